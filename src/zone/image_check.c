/*
 * Little is believed and then bounded; nearly all is worked out anew and compared. Nodes are gone
 * through in order with the stack of open ancestors that zone_build has, which says what parent,
 * cut, wildcard and flags must be, and beside them the leaves of the search tree (image_tree.c).
 * That is one pass along the file, without memory of its own but for a bit for each place where a
 * node begins: with those bits the targets are checked last, each by the key of the node it names.
 *
 * A large zone is gone through by several threads, each over a part. A part begins in the middle
 * knowing nothing: it takes what the file itself says of that place (which node, under which
 * ancestors, where in the tree) for true, and what stands there is compared when the part before
 * has come to it. So a lie told at the seam is found like any other.
 *
 * Regions may overlap: nothing here is ever written, and each is good by itself.
 */
#include "zone/image_check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/image_tree.h"
#include "zone/nsec3_chain.h"
#include "zone/rrset_check.h"

enum {
    BITS = 64,             /* of a word of the map */
    PART_OCTETS = 1 << 20, /* checked in a millisecond; a thread costs 30 us */
};

/* An ancestor of the node being looked at, or the node itself. */
struct open_node {
    const struct node *node;
    bool hides;    /* a DNAME here or above: what is below is occluded */
    bool star_met; /* its "*" child came */
};

/* Where a pass is: what it knows after a node. */
struct place {
    const struct node *before; /* that node; NULL: it is to begin with the apex */
    size_t depth;
    struct open_node path[NAME_MAX_LABELS + 1];
    struct tree_walk tree;
};

/* What all parts share. */
struct check {
    struct zone *zone;
    size_t end;    /* octets of the arena */
    uint64_t *map; /* a bit for each unit of the arena in which a node begins */
    struct part *parts;
    size_t count;
    int (*work)(struct part *part); /* what is being done for all parts, */
    atomic_size_t next;             /* and the first that no thread has taken yet */
};

/* The nodes behind begin.before, up to last. */
struct part {
    const struct check *check;
    struct image_fault fault;
    int error;

    struct place begin, now;
    const struct node *last; /* NULL: the head's */
    /* The name of the innermost open node in lower case, at the end; ancestors' are its ends. Room
     * for a block before it (key_to_label_before). */
    uint8_t name[KEY_BLOCK + NAME_MAX_OCTETS];

    uint64_t nodes, rrsets, records;
    arena_ref *targets; /* nodes with RRsets that have targets */
    size_t target_count, target_room;
    size_t shared_word; /* of the map, also the part before's: its bits here, set at the end */
    uint64_t shared_bits;
};

/* Notes what is wrong; always RR_EFORMAT. */
static int broken(struct part *c, const void *at, const char *reason)
{
    c->fault.reason = reason;
    c->fault.at = (size_t)((const uint8_t *)at - c->check->zone->arena.base);
    return RR_EFORMAT;
}

/* Whether `size` octets from ref on are in the arena, and past its head. */
static bool is_inside(const struct check *c, arena_ref ref, size_t size)
{
    size_t at = (size_t)ref * ARENA_UNIT;
    return at >= ZONE_HEAD_REF * ARENA_UNIT + sizeof(struct zone_head) && at <= c->end &&
           size <= c->end - at;
}

static arena_ref ref_of(const struct check *c, const void *node)
{
    size_t at = (size_t)((const uint8_t *)node - c->zone->arena.base);
    return (arena_ref)(at / ARENA_UNIT);
}

static int check_head(struct part *c)
{
    struct zone *zone = c->check->zone;
    size_t end = c->check->end;
    if (end < ZONE_HEAD_REF * ARENA_UNIT + sizeof(struct zone_head)) {
        return broken(c, zone->arena.base, "no room for a head");
    }
    const struct zone_head *head = arena_at(&zone->arena, ZONE_HEAD_REF);
    zone->head = head;
    if (head->magic != ZONE_IMAGE_MAGIC || head->version != ZONE_IMAGE_VERSION) {
        return broken(c, head, "not the head of a zone");
    }
    struct key key;
    if (head->apex_size == 0 || name_check(head->apex_name, head->apex_size) != head->apex_size) {
        return broken(c, head, "the apex is no name");
    }
    key_from_name(head->apex_name, &key);
    if (head->apex_key_size != key.size || head->apex_labels != name_labels(head->apex_name)) {
        return broken(c, head, "the apex is not as long as the head says");
    }
    if (head->nodes > end / sizeof(struct node) ||
        head->radix_size > end / sizeof(struct radix_entry)) {
        return broken(c, head, "more nodes than there is room for");
    }
    if (head->radix_size == 0 ||
        !is_inside(c->check, head->radix, (size_t)head->radix_size * sizeof(struct radix_entry))) {
        return broken(c, head, "the search tree isn't as large as the head says");
    }
    zone->radix = zone_at(zone, head->radix);
    return RR_OK;
}

/* --- nodes --- */

static uint8_t *open_name(struct part *c, size_t size)
{
    return c->name + sizeof c->name - size;
}

/* Closes all open nodes with keys of more than `common` symbols; -1: all. */
static int close_nodes(struct part *c, long common)
{
    struct place *now = &c->now;
    for (; now->depth > 0; now->depth--) {
        const struct open_node *top = &now->path[now->depth - 1];
        if ((long)top->node->key_size <= common) {
            break;
        }
        if (top->node->star != 0 && !top->star_met) {
            return broken(c, top->node, "a wildcard that isn't there");
        }
    }
    return RR_OK;
}

/* The label that the node's key has behind its parent's, whatever its octets: extends c->name.
 * Returns NULL, or what is wrong. */
static const char *take_label(struct part *c, const struct node *node, const struct node *parent)
{
    static const uint8_t root[1];
    uint8_t label[NAME_MAX_OCTETS];
    const uint8_t *symbols = node_key(node) + parent->key_size;
    size_t count = (size_t)node->key_size - parent->key_size;
    size_t size = key_to_label(symbols, count, label);
    if (size == 0) {
        return key_to_name(symbols, count, root, label) > 0 ? "a name whose parent isn't there"
                                                            : "a key that no name has";
    }
    if (node->name_size != parent->name_size + size) { /* so it is at most 255 */
        return "a name of another size than its key";
    }
    memcpy(open_name(c, node->name_size), label, size);
    return NULL;
}

/*
 * The key: one label more than the parent's, well formed, after the key before, with which it
 * shares `common` symbols. Extends c->name. An open node's key is a beginning of the key before: so
 * it is one of this key too just where it is no longer than what both share.
 */
static int check_key(struct part *c, const struct node *node, size_t common)
{
    const uint8_t *key = node_key(node);
    const struct node *before = c->now.before;
    bool after = common < node->key_size &&
                 (common == before->key_size || node_key(before)[common] < key[common]);
    int error = close_nodes(c, common < node->key_size ? (long)common : (long)common - 1);
    if (error != RR_OK) {
        return error;
    }
    if (c->now.depth == 0) {
        return broken(c, node, "a name whose parent isn't there");
    }
    const struct node *parent = c->now.path[c->now.depth - 1].node;
    size_t count = (size_t)node->key_size - parent->key_size;
    /* What is read before a label is the node's own head, or its parent's key. */
    if (node->name_size != parent->name_size + count ||
        !key_to_label_before(key + parent->key_size, count, open_name(c, parent->name_size))) {
        const char *fault = take_label(c, node, parent);
        if (fault != NULL) {
            return broken(c, node, fault);
        }
    }
    return after ? RR_OK : broken(c, node, "names out of order");
}

/* Notes that the node has targets to be checked. */
static int note_targets(struct part *c, const struct node *node)
{
    arena_ref ref = ref_of(c->check, node);
    if (c->target_count > 0 && c->targets[c->target_count - 1] == ref) {
        return RR_OK;
    }
    if (c->target_count == c->target_room) {
        size_t room = c->target_room == 0 ? 16 : 2 * c->target_room;
        arena_ref *targets = realloc(c->targets, room * sizeof *targets);
        if (targets == NULL) {
            return RR_ENOMEM;
        }
        c->targets = targets;
        c->target_room = room;
    }
    c->targets[c->target_count++] = ref;
    return RR_OK;
}

/* Goes through the node's RRsets; *flags becomes what follows from their types. */
static int check_rrsets(struct part *c, const struct node *node, bool wildcard, uint8_t *flags,
                        bool *has_ns)
{
    const uint8_t *name = open_name(c, node->name_size);
    struct rrset_check_owner owner = {
        .name = name,
        .size = node->name_size,
        .shared = (uint8_t)(node->name_size - (wildcard ? 1u + *name : 0u)),
    };
    size_t at = node->rrsets_at;
    int type = -1;
    bool hash_alone = true;
    for (unsigned i = 0; i < node->rrsets; i++) {
        const struct rrset *rrset = (const void *)((const uint8_t *)node + at);
        const char *fault = rrset_check(rrset, node->size - at, &owner);
        if (fault != NULL) {
            return broken(c, node, fault);
        }
        if (rrset->type <= type) {
            return broken(c, node, "RRsets out of order");
        }
        type = rrset->type;
        if (type == RRTYPE_SOA && c->now.depth > 0) {
            return broken(c, node, "an SOA that isn't at the apex");
        }
        *flags |= (uint8_t)((type == RRTYPE_CNAME ? NODE_CNAME : 0) |
                            (type == RRTYPE_DNAME ? NODE_DNAME : 0));
        *has_ns |= type == RRTYPE_NS;
        hash_alone &= type == RRTYPE_RRSIG || type == RRTYPE_NSEC3;
        if (rrset->targets > 0 && note_targets(c, node) != RR_OK) {
            return RR_ENOMEM;
        }
        c->records += rrset->count;
        at += rrset_span(rrset);
    }
    *flags |= (uint8_t)(hash_alone && type == RRTYPE_NSEC3 ? NODE_NSEC3 : 0);
    c->rrsets += node->rrsets;
    return at == node->size ? RR_OK : broken(c, node, "octets after a node's last RRset");
}

/* Parent, cut, wildcard and flags, as zone_build gives them; opens the node. */
static int check_place(struct part *c, const struct node *node, uint8_t flags, bool has_ns)
{
    const struct open_node *up = c->now.depth > 0 ? &c->now.path[c->now.depth - 1] : NULL;
    arena_ref ref = ref_of(c->check, node);
    arena_ref parent = up != NULL ? ref_of(c->check, up->node) : 0;
    arena_ref cut = up != NULL ? up->node->cut : 0;
    bool hidden = up != NULL && (cut != 0 || up->hides);
    flags |= (uint8_t)((up == NULL ? NODE_APEX : 0) | (hidden ? NODE_OCCLUDED : 0));
    if (has_ns && (flags & (NODE_APEX | NODE_OCCLUDED | NODE_WILDCARD)) == 0) {
        flags |= NODE_DELEGATION;
        cut = ref;
    }
    if (node->parent != parent || node->cut != cut || (node->flags & ~NODE_CASE) != flags) {
        return broken(c, node, "a node that isn't what its place makes it");
    }
    if (c->now.depth == sizeof c->now.path / sizeof c->now.path[0]) {
        return broken(c, node, "a name with too many labels");
    }
    bool dname = (flags & NODE_DNAME) != 0 && cut == 0;
    c->now.path[c->now.depth++] = (struct open_node){
        .node = node,
        .hides = (up != NULL && up->hides) || dname,
    };
    return RR_OK;
}

/* The first node has no label of its own. */
static int check_apex(struct part *c, const struct node *node)
{
    const struct zone_head *head = c->check->zone->head;
    if (node->key_size != 0 || node->name_size != head->apex_size) {
        return broken(c, node, "the first node isn't the apex");
    }
    uint8_t *name = open_name(c, head->apex_size);
    for (size_t i = 0; i < head->apex_size; i++) {
        name[i] = name_lower(head->apex_name[i]);
    }
    return RR_OK;
}

/* Where the RRsets begin, and the name as written before them. */
static int check_layout(struct part *c, const struct node *node)
{
    size_t relative = 0;
    if ((node->flags & NODE_CASE) != 0) {
        relative = (size_t)node->name_size - c->check->zone->head->apex_size;
    }
    size_t rrsets_at = sizeof *node + node->key_size + relative;
    rrsets_at = (rrsets_at + ARENA_UNIT - 1) & ~(size_t)(ARENA_UNIT - 1);
    if (node->rrsets_at != rrsets_at || rrsets_at > node->size) {
        return broken(c, node, "RRsets are not where the name ends");
    }
    const uint8_t *cased = node_key(node) + node->key_size;
    const uint8_t *name = open_name(c, node->name_size);
    for (size_t i = 0; i < relative; i++) {
        if (name_lower(cased[i]) != name[i]) {
            return broken(c, node, "a name written otherwise than its key");
        }
    }
    return RR_OK;
}

/* A node of which the fixed part is known to be in the arena. */
static int check_node(struct part *c, const struct node *node)
{
    if (node->size % ARENA_UNIT != 0 || !is_inside(c->check, ref_of(c->check, node), node->size) ||
        node->size < sizeof *node + node->key_size) {
        return broken(c, node, "a node ends outside the image");
    }
    const struct node *before = c->now.before;
    bool apex = before == NULL;
    size_t common =
        apex ? 0 : key_common(node_key(before), before->key_size, node_key(node), node->key_size);
    int error = apex ? check_apex(c, node) : check_key(c, node, common);
    if (error == RR_OK) {
        error = check_layout(c, node);
    }
    if (error != RR_OK) {
        return error;
    }
    const uint8_t *name = open_name(c, node->name_size);
    bool wildcard = !apex && name[0] == 1 && name[1] == '*';
    if (wildcard) {
        struct open_node *up = &c->now.path[c->now.depth - 1];
        up->star_met = true;
        if (up->node->star != ref_of(c->check, node)) {
            return broken(c, node, "a wildcard that its parent doesn't know");
        }
    }
    uint8_t flags = wildcard ? NODE_WILDCARD : 0;
    bool has_ns = false;
    error = check_rrsets(c, node, wildcard, &flags, &has_ns);
    if (error == RR_OK) {
        error = check_place(c, node, flags, has_ns);
    }
    if (error != RR_OK) {
        return error;
    }
    const char *fault = tree_walk_take(&c->now.tree, node_key(node), node->key_size,
                                       ref_of(c->check, node), common);
    return fault == NULL ? RR_OK : broken(c, c->check->zone->radix, fault);
}

/* That a node begins at ref. */
static void mark_node(struct part *c, arena_ref ref)
{
    uint64_t bit = (uint64_t)1 << ref % BITS;
    if (ref / BITS == c->shared_word) {
        c->shared_bits |= bit;
    } else {
        c->check->map[ref / BITS] |= bit;
    }
}

static int check_nodes(struct part *c)
{
    const struct check *check = c->check;
    const struct zone_head *head = check->zone->head;
    const struct node *node = c->now.before;
    arena_ref ref = node == NULL ? head->apex : ref_of(check, node) + node->size / ARENA_UNIT;
    arena_ref last = c->last == NULL ? head->last : ref_of(check, c->last);
    c->shared_word = ref / BITS;
    do {
        if (!is_inside(check, ref, sizeof *node) || c->nodes == head->nodes || ref > last) {
            return broken(c, head, "nodes don't end where the head says");
        }
        node = arena_at(&check->zone->arena, ref);
        int error = check_node(c, node);
        if (error != RR_OK) {
            return error;
        }
        mark_node(c, ref);
        c->nodes++;
        c->now.before = node;
        ref += node->size / ARENA_UNIT;
    } while (ref_of(check, node) != last);
    return RR_OK;
}

/* --- parts --- */

/* Whether these are a node and its ancestors, up to the apex, by key and size of name. */
static bool are_ancestors(const struct check *c, const struct node *const *up, size_t depth,
                          const uint8_t *name, size_t size)
{
    for (size_t i = 0; i < depth; i++) {
        if (up[i]->name_size != size ||
            memcmp(node_key(up[i]), node_key(up[0]), up[i]->key_size) != 0) {
            return false;
        }
        if (i + 1 < depth) {
            if (size <= c->zone->head->apex_size) {
                return false;
            }
            size -= 1u + *name;
            name += 1u + *name;
        }
    }
    return up[depth - 1]->key_size == 0 && size == c->zone->head->apex_size;
}

/*
 * Makes of c->now what the file says of the place after the node at ref. It need not be true, but
 * must be such that going on from there stays in bounds: so the open nodes must be in the image,
 * and their names those of one another's ancestors. False where that is not so.
 */
static bool place_at(struct part *c, arena_ref ref)
{
    const struct check *check = c->check;
    struct place *place = &c->now;
    const struct node *up[NAME_MAX_LABELS + 1];
    const struct node *below = NULL;
    size_t depth = 0;
    for (arena_ref at = ref; at != 0 || depth == 0; at = below->parent) {
        const struct node *node = arena_at(&check->zone->arena, at);
        if (depth == NAME_MAX_LABELS + 1 || !is_inside(check, at, sizeof *node) ||
            !is_inside(check, at, sizeof *node + node->key_size) ||
            (below != NULL && node->key_size >= below->key_size)) {
            return false;
        }
        up[depth++] = below = node;
    }
    uint8_t name[NAME_MAX_OCTETS];
    size_t size = key_to_name(node_key(up[0]), up[0]->key_size, check->zone->head->apex_name, name);
    if (size == 0 || !are_ancestors(check, up, depth, name, size)) {
        return false;
    }
    uint8_t *open = open_name(c, size);
    for (size_t i = 0; i < size; i++) {
        open[i] = name_lower(name[i]);
    }
    bool hides = false;
    for (size_t i = 0; i < depth; i++) {
        const struct node *node = up[depth - 1 - i];
        hides |= (node->flags & NODE_DNAME) != 0 && node->cut == 0;
        place->path[i] = (struct open_node){
            .node = node, .hides = hides, .star_met = node->star != 0 && node->star <= ref};
    }
    place->depth = depth;
    place->before = up[0];
    return true;
}

/* Whether the part that ended at `before` knows there what the next one began with. */
static bool places_meet(const struct place *before, const struct place *begin, struct place *after)
{
    if (before->before != begin->before || before->depth != begin->depth) {
        return false;
    }
    for (size_t i = 0; i < before->depth; i++) {
        const struct open_node *a = &before->path[i], *b = &begin->path[i];
        if (a->node != b->node || a->hides != b->hides || a->star_met != b->star_met) {
            return false;
        }
    }
    return tree_walk_meets(&before->tree, &begin->tree, &after->tree);
}

/* Divides the nodes into up to `wanted` parts of about as many octets. */
static int begin_parts(struct check *c, size_t wanted)
{
    const struct zone_head *head = c->zone->head;
    tree_walk_begin(&c->parts[0].now.tree, c->zone->radix, head->radix_size);
    uint64_t span = head->last > head->apex ? head->last - head->apex : 0;
    for (size_t i = 1; i < wanted; i++) {
        struct part *part = &c->parts[c->count];
        part->check = c;
        arena_ref leaf, near = head->apex + (arena_ref)(span * i / wanted);
        if (!tree_walk_at(&part->now.tree, c->zone->radix, head->radix_size, near, &leaf) ||
            !place_at(part, leaf)) {
            return broken(&c->parts[0], c->zone->radix, "the search tree isn't that of the names");
        }
        arena_ref begin = c->count > 1 ? ref_of(c, part[-1].now.before) : head->apex;
        if (leaf <= begin || leaf >= head->last) {
            memset(part, 0, sizeof *part); /* one node as large as a part */
            continue;
        }
        part->begin = part->now;
        c->parts[c->count - 1].last = part->now.before;
        c->count++;
    }
    return RR_OK;
}

static void work_on_parts(void *context)
{
    struct check *c = context;
    size_t i;
    while ((i = atomic_fetch_add(&c->next, 1)) < c->count) {
        c->parts[i].error = c->work(&c->parts[i]);
    }
}

/* Has work done for all parts, by a thread for each. Returns the error of the first that has one;
 * its fault is then parts[0]'s. */
static int run_parts(struct check *c, int (*work)(struct part *part))
{
    c->work = work;
    atomic_store(&c->next, 0);
    crew_run(c->count, work_on_parts, c);
    for (size_t i = 0; i < c->count; i++) {
        if (c->parts[i].error != RR_OK) {
            c->parts[0].fault = c->parts[i].fault;
            return c->parts[i].error;
        }
    }
    return RR_OK;
}

/* All nodes and the tree over them, and that the parts are one whole. */
static int check_parts(struct check *c)
{
    const struct zone_head *head = c->zone->head;
    struct part *first = &c->parts[0], *end = &c->parts[c->count - 1];
    int error = run_parts(c, check_nodes);
    uint64_t nodes = 0, rrsets = 0, records = 0;
    for (size_t i = 0; i < c->count && error == RR_OK; i++) {
        struct part *part = &c->parts[i];
        if (i > 0 && !places_meet(&part[-1].now, &part->begin, &part->now)) {
            return broken(first, part->begin.before, "a node that isn't what its place makes it");
        }
        c->map[part->shared_word] |= part->shared_bits;
        nodes += part->nodes;
        rrsets += part->rrsets;
        records += part->records;
    }
    if (error == RR_OK &&
        (nodes != head->nodes || rrsets != head->rrsets || records != head->records)) {
        return broken(first, head, "the head's counts are not the zone's");
    }
    if (error == RR_OK) {
        error = close_nodes(end, -1);
        first->fault = end->fault;
    }
    if (error == RR_OK && !tree_walk_ended(&end->now.tree)) {
        return broken(first, head, "the search tree isn't as large as the head says");
    }
    return error;
}

/* --- what needs all nodes --- */

/* Whether the node at ref, wherever that is, is this name's. */
static bool is_node_of(const struct check *c, arena_ref ref, const uint8_t *name)
{
    if ((size_t)ref * ARENA_UNIT >= c->end || (c->map[ref / BITS] >> ref % BITS & 1) == 0 ||
        !name_is_under(name, c->zone->head->apex_name)) {
        return false;
    }
    const struct node *node = zone_at(c->zone, ref);
    struct key key;
    key_from_name(name, &key);
    size_t skip = c->zone->head->apex_key_size;
    return node->key_size == key.size - skip &&
           memcmp(node_key(node), key.symbols + skip, node->key_size) == 0;
}

/* Whether an entry is one for a record of this RDATA, at a node. */
static bool is_target_good(const struct check *c, const struct node *node, uint16_t type,
                           const uint8_t *rdata, const struct rrset_target *entry)
{
    const uint8_t *target = rdata + rrtype_target(type);
    bool service = type == RRTYPE_SVCB || type == RRTYPE_HTTPS;
    bool alias = service && wire_get_u16(rdata) == 0;
    bool self = service && !alias && *target == 0;
    unsigned wanted = (alias ? TARGET_ALIAS : 0u) | (self ? TARGET_SELF : 0u);
    unsigned free_flags = type == RRTYPE_NS ? TARGET_REQUIRED : 0u;
    if ((entry->flags & ~free_flags) != wanted) {
        return false;
    }
    return entry->node == 0 ||
           (self ? entry->node == ref_of(c, node) : is_node_of(c, entry->node, target));
}

static int check_targets_of(struct part *c, const struct node *node, const struct rrset *rrset,
                            const uint8_t *owner, uint8_t *rdata)
{
    const struct rrset_target *targets = rrset_targets(rrset);
    size_t position = 0;
    for (unsigned i = 0; i < rrset->targets;) {
        size_t at = position + RECORD_HEAD + (size_t)rrtype_target(rrset->type);
        if (rrset_rdata(rrset, owner, &position, rdata) < 0) {
            return broken(c, node, "a target that no record has");
        }
        if (targets[i].position == at) {
            if (!is_target_good(c->check, node, rrset->type, rdata, &targets[i])) {
                return broken(c, node, "a target that isn't what its record says");
            }
            i++;
        }
    }
    return RR_OK;
}

static int check_targets(struct part *c, uint8_t *rdata)
{
    for (size_t at = 0; at < c->target_count; at++) {
        const struct node *node = zone_at(c->check->zone, c->targets[at]);
        const struct rrset *rrset = node_first_rrset(node);
        uint8_t owner[NAME_MAX_OCTETS];
        node_name(c->check->zone, node, owner);
        for (unsigned i = 0; i < node->rrsets; i++) {
            int error = rrset->targets > 0 ? check_targets_of(c, node, rrset, owner, rdata) : RR_OK;
            if (error != RR_OK) {
                return error;
            }
            rrset = rrset_next(rrset);
        }
    }
    return RR_OK;
}

static int check_part_targets(struct part *part)
{
    if (part->target_count == 0) {
        return RR_OK;
    }
    uint8_t *rdata = malloc(MESSAGE_MAX);
    int error = rdata != NULL ? check_targets(part, rdata) : RR_ENOMEM;
    free(rdata);
    return error;
}

/* The apex's SOA, and its double for negative answers. */
static int check_soa(struct part *c)
{
    const struct zone_head *head = c->check->zone->head;
    const struct zone *zone = c->check->zone;
    const struct rrset *soa = node_rrset(zone_first(zone), RRTYPE_SOA);
    if (soa == NULL || !is_inside(c->check, head->negative_soa, rrset_span(soa))) {
        return broken(c, head, "no SOA");
    }
    uint32_t serial = wire_get_u32(soa->block + soa->block_size - 20);
    if (head->serial != serial || !rrset_is_negative_soa(zone_at(zone, head->negative_soa), soa)) {
        return broken(c, head, "the SOA of negative answers isn't the zone's");
    }
    return RR_OK;
}

static int check_all(struct check *c, size_t wanted)
{
    struct part *first = &c->parts[0];
    int error = check_head(first);
    if (error == RR_OK) {
        error = begin_parts(c, wanted);
    }
    if (error == RR_OK) {
        error = check_parts(c);
    }
    if (error == RR_OK) {
        error = check_soa(first);
    }
    if (error == RR_OK && !nsec3_chain_check(c->zone)) {
        error = broken(first, c->zone->head, "the chain of NSEC3 isn't that of the names");
    }
    if (error == RR_OK) {
        error = run_parts(c, check_part_targets);
    }
    return error;
}

int image_check(struct zone *zone, size_t threads, struct image_fault *fault)
{
    struct check c = {.zone = zone, .end = zone->arena.used, .count = 1};
    size_t wanted = c.end / PART_OCTETS + 1;
    wanted = wanted < threads ? wanted : threads;
    wanted = wanted > 0 ? wanted : 1;
    c.map = calloc(c.end / ARENA_UNIT / BITS + 1, sizeof *c.map);
    c.parts = calloc(wanted, sizeof *c.parts);
    int error = RR_ENOMEM;
    if (c.map != NULL && c.parts != NULL) {
        c.parts[0].check = &c;
        error = check_all(&c, wanted);
        *fault = c.parts[0].fault;
        if (error == RR_OK) {
            zone_settle(zone);
        }
        for (size_t i = 0; i < wanted; i++) {
            free(c.parts[i].targets);
        }
    }
    free(c.map);
    free(c.parts);
    return error;
}

/*
 * Little is believed and then bounded; nearly all is worked out anew and compared. Nodes are gone
 * through in order with the stack of open ancestors that zone_build has, which says what parent,
 * cut, wildcard and flags must be. The search tree over given keys is the only one there is, so it
 * is built once more and must come out the same: no walk through an untrusted tree is needed. Last
 * come the targets, which a search of the tree must find where they say.
 *
 * Regions may overlap: nothing here is ever written, and each is good by itself.
 */
#include "zone/image_check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/rrset_check.h"

enum { HEAD_REF = 1 };

/* An ancestor of the node being looked at, or the node itself. */
struct open_node {
    const struct node *node;
    bool hides;    /* a DNAME here or above: what is below is occluded */
    bool star_met; /* its "*" child came */
};

struct check {
    struct zone *zone;
    struct image_fault *fault;
    size_t end; /* octets of the arena */

    arena_ref *nodes; /* in order, room for as many as the head tells */
    uint16_t *common; /* symbols shared with the node before */
    size_t count;
    const struct node *before; /* the node before, NULL at the apex */

    struct open_node path[NAME_MAX_LABELS + 1];
    size_t depth;
    /* The name of the innermost open node in lower case, at the end; ancestors' are its ends. */
    uint8_t name[NAME_MAX_OCTETS];

    uint64_t rrsets, records;
    bool targets; /* some RRset has targets */
};

/* Notes what is wrong; always RR_EFORMAT. */
static int broken(struct check *c, const void *at, const char *reason)
{
    c->fault->reason = reason;
    c->fault->at = (size_t)((const uint8_t *)at - c->zone->arena.base);
    return RR_EFORMAT;
}

/* Whether `size` octets from ref on are in the arena, and past its head. */
static bool is_inside(const struct check *c, arena_ref ref, size_t size)
{
    size_t at = (size_t)ref * ARENA_UNIT;
    return at >= HEAD_REF * ARENA_UNIT + sizeof(struct zone_head) && at <= c->end &&
           size <= c->end - at;
}

static arena_ref ref_of(const struct check *c, const struct node *node)
{
    size_t at = (size_t)((const uint8_t *)node - c->zone->arena.base);
    return (arena_ref)(at / ARENA_UNIT);
}

static int check_head(struct check *c)
{
    if (c->end < HEAD_REF * ARENA_UNIT + sizeof(struct zone_head)) {
        return broken(c, c->zone->arena.base, "no room for a head");
    }
    const struct zone_head *head = arena_at(&c->zone->arena, HEAD_REF);
    c->zone->head = head;
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
    /* So that memory for as many can be asked for. */
    if (head->nodes > c->end / sizeof(struct node) ||
        head->radix_size > c->end / sizeof(struct radix_entry)) {
        return broken(c, head, "more nodes than there is room for");
    }
    return RR_OK;
}

/* --- nodes --- */

static uint8_t *open_name(struct check *c, size_t size)
{
    return c->name + sizeof c->name - size;
}

/* Closes all open nodes that are no ancestors of key; all of them for NULL. */
static int close_nodes(struct check *c, const uint8_t *key, size_t key_size)
{
    for (; c->depth > 0; c->depth--) {
        const struct open_node *top = &c->path[c->depth - 1];
        if (key != NULL && top->node->key_size < key_size &&
            memcmp(node_key(top->node), key, top->node->key_size) == 0) {
            break;
        }
        if (top->node->star != 0 && !top->star_met) {
            return broken(c, top->node, "a wildcard that isn't there");
        }
    }
    return RR_OK;
}

/* The key: one label more than the parent's, well formed, after the key before. Extends c->name. */
static int check_key(struct check *c, const struct node *node)
{
    const uint8_t *key = node_key(node);
    int error = close_nodes(c, key, node->key_size);
    if (error != RR_OK) {
        return error;
    }
    if (c->depth == 0) {
        return broken(c, node, "a name whose parent isn't there");
    }
    const struct node *parent = c->path[c->depth - 1].node;
    static const uint8_t root[1];
    uint8_t label[NAME_MAX_OCTETS];
    size_t start = parent->key_size;
    size_t size = key_to_name(key + start, (size_t)node->key_size - start, root, label);
    if (size == 0) {
        return broken(c, node, "a key that no name has");
    }
    if (size != 2u + label[0]) {
        return broken(c, node, "a name whose parent isn't there");
    }
    size_t whole = (size_t)parent->name_size + size - 1;
    if (node->name_size != whole) { /* so it is at most 255 */
        return broken(c, node, "a name of another size than its key");
    }
    if (key_compare(node_key(c->before), c->before->key_size, key, node->key_size) >= 0) {
        return broken(c, node, "names out of order");
    }
    memcpy(open_name(c, whole), label, size - 1);
    return RR_OK;
}

/* Goes through the node's RRsets; *flags becomes what follows from their types. */
static int check_rrsets(struct check *c, const struct node *node, bool wildcard, uint8_t *flags,
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
        if (type == RRTYPE_SOA && c->depth > 0) {
            return broken(c, node, "an SOA that isn't at the apex");
        }
        *flags |= (uint8_t)((type == RRTYPE_CNAME ? NODE_CNAME : 0) |
                            (type == RRTYPE_DNAME ? NODE_DNAME : 0));
        *has_ns |= type == RRTYPE_NS;
        c->targets |= rrset->targets > 0;
        c->records += rrset->count;
        at += rrset_span(rrset);
    }
    c->rrsets += node->rrsets;
    return at == node->size ? RR_OK : broken(c, node, "octets after a node's last RRset");
}

/* Parent, cut, wildcard and flags, as zone_build gives them; opens the node. */
static int check_place(struct check *c, const struct node *node, uint8_t flags, bool has_ns)
{
    const struct open_node *up = c->depth > 0 ? &c->path[c->depth - 1] : NULL;
    arena_ref ref = ref_of(c, node);
    arena_ref parent = up != NULL ? ref_of(c, up->node) : 0;
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
    bool dname = (flags & NODE_DNAME) != 0 && cut == 0;
    c->path[c->depth++] = (struct open_node){
        .node = node,
        .hides = (up != NULL && up->hides) || dname,
    };
    return RR_OK;
}

/* The first node has no label of its own. */
static int check_apex(struct check *c, const struct node *node)
{
    const struct zone_head *head = c->zone->head;
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
static int check_layout(struct check *c, const struct node *node)
{
    size_t relative = 0;
    if ((node->flags & NODE_CASE) != 0) {
        relative = (size_t)node->name_size - c->zone->head->apex_size;
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
static int check_node(struct check *c, const struct node *node)
{
    if (node->size % ARENA_UNIT != 0 || !is_inside(c, ref_of(c, node), node->size) ||
        node->size < sizeof *node + node->key_size) {
        return broken(c, node, "a node ends outside the image");
    }
    bool apex = c->before == NULL;
    int error = apex ? check_apex(c, node) : check_key(c, node);
    if (error == RR_OK) {
        error = check_layout(c, node);
    }
    if (error != RR_OK) {
        return error;
    }
    const uint8_t *name = open_name(c, node->name_size);
    bool wildcard = !apex && name[0] == 1 && name[1] == '*';
    if (wildcard) {
        struct open_node *up = &c->path[c->depth - 1];
        up->star_met = true;
        if (up->node->star != ref_of(c, node)) {
            return broken(c, node, "a wildcard that its parent doesn't know");
        }
    }
    uint8_t flags = wildcard ? NODE_WILDCARD : 0;
    bool has_ns = false;
    error = check_rrsets(c, node, wildcard, &flags, &has_ns);
    return error == RR_OK ? check_place(c, node, flags, has_ns) : error;
}

static int check_nodes(struct check *c)
{
    const struct zone_head *head = c->zone->head;
    arena_ref ref = head->apex;
    const struct node *node;
    do {
        if (!is_inside(c, ref, sizeof *node) || c->count == head->nodes) {
            return broken(c, head, "nodes don't end where the head says");
        }
        node = arena_at(&c->zone->arena, ref);
        int error = check_node(c, node);
        if (error != RR_OK) {
            return error;
        }
        size_t common = 0;
        if (c->before != NULL) {
            common = key_common(node_key(c->before), c->before->key_size, node_key(node),
                                node->key_size);
        }
        c->nodes[c->count] = ref;
        c->common[c->count++] = (uint16_t)common;
        c->before = node;
        ref += node->size / ARENA_UNIT;
    } while (ref_of(c, node) != head->last);
    if (c->count != head->nodes || c->rrsets != head->rrsets || c->records != head->records) {
        return broken(c, head, "the head's counts are not the zone's");
    }
    return close_nodes(c, NULL, 0);
}

/* --- the search tree --- */

static struct radix_key tree_key(const void *context, size_t index)
{
    const struct check *c = context;
    const struct node *node = zone_at(c->zone, c->nodes[index]);
    return (struct radix_key){node_key(node), node->key_size};
}

static uint32_t tree_value(const void *context, size_t index)
{
    const struct check *c = context;
    return c->nodes[index];
}

static int check_tree(struct check *c)
{
    const struct zone_head *head = c->zone->head;
    size_t size = (size_t)head->radix_size * sizeof(struct radix_entry);
    if (!is_inside(c, head->radix, size) || radix_count(c->common, c->count) != head->radix_size) {
        return broken(c, head, "the search tree isn't as large as the head says");
    }
    struct radix_entry *entries = malloc(size);
    if (entries == NULL) {
        return RR_ENOMEM;
    }
    struct radix_source source = {
        .count = c->count, .key = tree_key, .value = tree_value, .context = c};
    radix_build(&source, c->common, entries);
    c->zone->radix = zone_at(c->zone, head->radix);
    bool same = memcmp(entries, c->zone->radix, size) == 0;
    free(entries);
    return same ? RR_OK : broken(c, c->zone->radix, "the search tree isn't that of the names");
}

/* --- what needs the tree --- */

/* The node of a name, found by the checked tree; 0 where it has none. */
static arena_ref find_node(const struct check *c, const uint8_t *name)
{
    if (!name_is_under(name, c->zone->head->apex_name)) {
        return 0;
    }
    struct key key;
    struct zone_match match;
    key_from_name(name, &key);
    zone_lookup(c->zone, &key, &match);
    return match.node != NULL ? ref_of(c, match.node) : 0;
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
    return entry->node == 0 || entry->node == (self ? ref_of(c, node) : find_node(c, target));
}

static int check_targets_of(struct check *c, const struct node *node, const struct rrset *rrset,
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
            if (!is_target_good(c, node, rrset->type, rdata, &targets[i])) {
                return broken(c, node, "a target that isn't what its record says");
            }
            i++;
        }
    }
    return RR_OK;
}

static int check_targets(struct check *c)
{
    if (!c->targets) {
        return RR_OK;
    }
    uint8_t *rdata = malloc(MESSAGE_MAX);
    if (rdata == NULL) {
        return RR_ENOMEM;
    }
    int error = RR_OK;
    const struct node *node = zone_first(c->zone);
    for (; node != NULL && error == RR_OK; node = zone_next(c->zone, node)) {
        const struct rrset *rrset = node_first_rrset(node);
        for (unsigned i = 0; i < node->rrsets && error == RR_OK; i++) {
            if (rrset->targets > 0) {
                uint8_t owner[NAME_MAX_OCTETS];
                node_name(c->zone, node, owner);
                error = check_targets_of(c, node, rrset, owner, rdata);
            }
            rrset = rrset_next(rrset);
        }
    }
    free(rdata);
    return error;
}

/* The apex's SOA, and its double for negative answers. */
static int check_soa(struct check *c)
{
    const struct zone_head *head = c->zone->head;
    const struct rrset *soa = node_rrset(zone_first(c->zone), RRTYPE_SOA);
    if (soa == NULL || !is_inside(c, head->negative_soa, rrset_span(soa))) {
        return broken(c, head, "no SOA");
    }
    const uint8_t *end = soa->block + soa->block_size;
    uint32_t minimum = wire_get_u32(end - 4);
    uint32_t ttl = rrset_ttl(soa);
    const struct rrset *negative = zone_at(c->zone, head->negative_soa);
    const size_t ttl_at = offsetof(struct rrset, block) + 6;
    if (head->serial != wire_get_u32(end - 20) || memcmp(negative, soa, ttl_at) != 0 ||
        rrset_ttl(negative) != (minimum < ttl ? minimum : ttl) ||
        memcmp((const uint8_t *)negative + ttl_at + 4, (const uint8_t *)soa + ttl_at + 4,
               rrset_span(soa) - ttl_at - 4) != 0) {
        return broken(c, head, "the SOA of negative answers isn't the zone's");
    }
    return RR_OK;
}

static int check_all(struct check *c)
{
    int error = check_nodes(c);
    if (error == RR_OK) {
        error = check_tree(c);
    }
    if (error == RR_OK) {
        error = check_soa(c);
    }
    return error == RR_OK ? check_targets(c) : error;
}

int image_check(struct zone *zone, struct image_fault *fault)
{
    struct check *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return RR_ENOMEM;
    }
    *c = (struct check){.zone = zone, .fault = fault, .end = zone->arena.used};
    int error = check_head(c);
    if (error == RR_OK) {
        c->nodes = malloc((size_t)zone->head->nodes * sizeof *c->nodes + 1);
        c->common = malloc((size_t)zone->head->nodes * sizeof *c->common + 1);
        error = c->nodes != NULL && c->common != NULL ? check_all(c) : RR_ENOMEM;
    }
    free(c->nodes);
    free(c->common);
    free(c);
    return error;
}

#include "zone/image_pass.h"

#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/rrtype.h"
#include "zone/rrset_check.h"

enum {
    MAP_BITS = 64, /* of a word of the map */
};

/* --- what is asked of the image as a whole --- */

size_t image_area_words(size_t end)
{
    return end / ARENA_UNIT / MAP_BITS + 1;
}

bool image_area_begins(const struct image_area *area, arena_ref ref)
{
    return (size_t)ref * ARENA_UNIT < area->end &&
           (area->map[ref / MAP_BITS] >> ref % MAP_BITS & 1) != 0;
}

int image_pass_broken(struct image_pass *pass, const void *at, const char *reason)
{
    pass->fault.reason = reason;
    pass->fault.at = (size_t)((const uint8_t *)at - pass->area->zone->arena.base);
    return RR_EFORMAT;
}

/* --- nodes --- */

static uint8_t *open_name(struct image_pass *pass, size_t size)
{
    return pass->name + sizeof pass->name - size;
}

int image_pass_close(struct image_pass *pass, long common)
{
    struct image_place *now = &pass->now;
    for (; now->depth > 0; now->depth--) {
        const struct image_open_node *top = &now->path[now->depth - 1];
        if ((long)top->node->key_size <= common) {
            break;
        }
        if (top->node->star != 0 && !top->star_met) {
            return image_pass_broken(pass, top->node, "a wildcard that isn't there");
        }
    }
    return RR_OK;
}

/* The label that the node's key has behind its parent's, whatever its octets: extends pass->name.
 * Returns NULL, or what is wrong. */
static const char *take_label(struct image_pass *pass, const struct node *node,
                              const struct node *parent)
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
    memcpy(open_name(pass, node->name_size), label, size);
    return NULL;
}

/*
 * The key: one label more than the parent's, well formed, after the key before, with which it
 * shares `common` symbols. Extends pass->name. An open node's key is a beginning of the key before:
 * so it is one of this key too just where it is no longer than what both share.
 */
static int check_key(struct image_pass *pass, const struct node *node, size_t common)
{
    const uint8_t *key = node_key(node);
    const struct node *before = pass->now.before;
    bool after = common < node->key_size &&
                 (common == before->key_size || node_key(before)[common] < key[common]);
    int error = image_pass_close(pass, common < node->key_size ? (long)common : (long)common - 1);
    if (error != RR_OK) {
        return error;
    }
    if (pass->now.depth == 0) {
        return image_pass_broken(pass, node, "a name whose parent isn't there");
    }
    const struct node *parent = pass->now.path[pass->now.depth - 1].node;
    size_t count = (size_t)node->key_size - parent->key_size;
    /* What is read before a label is the node's own head, or its parent's key. */
    if (node->name_size != parent->name_size + count ||
        !key_to_label_before(key + parent->key_size, count, open_name(pass, parent->name_size))) {
        const char *fault = take_label(pass, node, parent);
        if (fault != NULL) {
            return image_pass_broken(pass, node, fault);
        }
    }
    return after ? RR_OK : image_pass_broken(pass, node, "names out of order");
}

/* Notes that the node has targets to be checked. */
static int note_targets(struct image_pass *pass, const struct node *node)
{
    arena_ref ref = image_area_ref(pass->area, node);
    if (pass->target_count > 0 && pass->targets[pass->target_count - 1] == ref) {
        return RR_OK;
    }
    if (pass->target_count == pass->target_room) {
        size_t room = pass->target_room == 0 ? 16 : 2 * pass->target_room;
        arena_ref *targets = realloc(pass->targets, room * sizeof *targets);
        if (targets == NULL) {
            return RR_ENOMEM;
        }
        pass->targets = targets;
        pass->target_room = room;
    }
    pass->targets[pass->target_count++] = ref;
    return RR_OK;
}

/* Goes through the node's RRsets; *flags becomes what follows from their types. */
static int check_rrsets(struct image_pass *pass, const struct node *node, bool wildcard,
                        uint8_t *flags, bool *has_ns)
{
    const uint8_t *name = open_name(pass, node->name_size);
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
            return image_pass_broken(pass, node, fault);
        }
        if (rrset->type <= type) {
            return image_pass_broken(pass, node, "RRsets out of order");
        }
        type = rrset->type;
        if (type == RRTYPE_SOA && pass->now.depth > 0) {
            return image_pass_broken(pass, node, "an SOA that isn't at the apex");
        }
        *flags |= (uint8_t)((type == RRTYPE_CNAME ? NODE_CNAME : 0) |
                            (type == RRTYPE_DNAME ? NODE_DNAME : 0));
        *has_ns |= type == RRTYPE_NS;
        hash_alone &= type == RRTYPE_RRSIG || type == RRTYPE_NSEC3;
        if (rrset->targets > 0 && note_targets(pass, node) != RR_OK) {
            return RR_ENOMEM;
        }
        pass->records += rrset->count;
        at += rrset_span(rrset);
    }
    *flags |= (uint8_t)(hash_alone && type == RRTYPE_NSEC3 ? NODE_NSEC3 : 0);
    pass->rrsets += node->rrsets;
    return at == node->size ? RR_OK
                            : image_pass_broken(pass, node, "octets after a node's last RRset");
}

/* Parent, cut, wildcard and flags, as zone_nodes gives them; opens the node. */
static int check_place(struct image_pass *pass, const struct node *node, uint8_t flags, bool has_ns)
{
    size_t depth = pass->now.depth;
    const struct image_open_node *up = depth > 0 ? &pass->now.path[depth - 1] : NULL;
    arena_ref ref = image_area_ref(pass->area, node);
    arena_ref parent = up != NULL ? image_area_ref(pass->area, up->node) : 0;
    arena_ref cut = up != NULL ? up->node->cut : 0;
    bool hidden = up != NULL && (cut != 0 || up->hides);
    flags |= (uint8_t)((up == NULL ? NODE_APEX : 0) | (hidden ? NODE_OCCLUDED : 0));
    if (has_ns && (flags & (NODE_APEX | NODE_OCCLUDED | NODE_WILDCARD)) == 0) {
        flags |= NODE_DELEGATION;
        cut = ref;
    }
    if (node->parent != parent || node->cut != cut || (node->flags & ~NODE_CASE) != flags) {
        return image_pass_broken(pass, node, "a node that isn't what its place makes it");
    }
    if (depth == sizeof pass->now.path / sizeof pass->now.path[0]) {
        return image_pass_broken(pass, node, "a name with too many labels");
    }
    bool dname = (flags & NODE_DNAME) != 0 && cut == 0;
    pass->now.path[pass->now.depth++] = (struct image_open_node){
        .node = node,
        .hides = (up != NULL && up->hides) || dname,
    };
    return RR_OK;
}

/* The first node has no label of its own. */
static int check_apex(struct image_pass *pass, const struct node *node)
{
    const struct zone_head *head = pass->area->zone->head;
    if (node->key_size != 0 || node->name_size != head->apex_size) {
        return image_pass_broken(pass, node, "the first node isn't the apex");
    }
    uint8_t *name = open_name(pass, head->apex_size);
    for (size_t i = 0; i < head->apex_size; i++) {
        name[i] = name_lower(head->apex_name[i]);
    }
    return RR_OK;
}

/* Where the RRsets begin, and the name as written before them. */
static int check_layout(struct image_pass *pass, const struct node *node)
{
    size_t relative = 0;
    if ((node->flags & NODE_CASE) != 0) {
        relative = (size_t)node->name_size - pass->area->zone->head->apex_size;
    }
    size_t rrsets_at = sizeof *node + node->key_size + relative;
    rrsets_at = (rrsets_at + ARENA_UNIT - 1) & ~(size_t)(ARENA_UNIT - 1);
    if (node->rrsets_at != rrsets_at || rrsets_at > node->size) {
        return image_pass_broken(pass, node, "RRsets are not where the name ends");
    }
    const uint8_t *cased = node_key(node) + node->key_size;
    const uint8_t *name = open_name(pass, node->name_size);
    for (size_t i = 0; i < relative; i++) {
        if (name_lower(cased[i]) != name[i]) {
            return image_pass_broken(pass, node, "a name written otherwise than its key");
        }
    }
    return RR_OK;
}

/* A node of which the fixed part is known to be in the arena. */
static int check_node(struct image_pass *pass, const struct node *node)
{
    arena_ref ref = image_area_ref(pass->area, node);
    if (node->size % ARENA_UNIT != 0 || !image_area_has(pass->area, ref, node->size) ||
        node->size < sizeof *node + node->key_size) {
        return image_pass_broken(pass, node, "a node ends outside the image");
    }
    const struct node *before = pass->now.before;
    bool apex = before == NULL;
    size_t common =
        apex ? 0 : key_common(node_key(before), before->key_size, node_key(node), node->key_size);
    int error = apex ? check_apex(pass, node) : check_key(pass, node, common);
    if (error == RR_OK) {
        error = check_layout(pass, node);
    }
    if (error != RR_OK) {
        return error;
    }
    const uint8_t *name = open_name(pass, node->name_size);
    bool wildcard = !apex && name[0] == 1 && name[1] == '*';
    if (wildcard) {
        struct image_open_node *up = &pass->now.path[pass->now.depth - 1];
        up->star_met = true;
        if (up->node->star != ref) {
            return image_pass_broken(pass, node, "a wildcard that its parent doesn't know");
        }
    }
    uint8_t flags = wildcard ? NODE_WILDCARD : 0;
    bool has_ns = false;
    error = check_rrsets(pass, node, wildcard, &flags, &has_ns);
    if (error == RR_OK) {
        error = check_place(pass, node, flags, has_ns);
    }
    if (error != RR_OK) {
        return error;
    }
    const char *fault =
        tree_walk_take(&pass->now.tree, node_key(node), node->key_size, ref, common);
    return fault == NULL ? RR_OK : image_pass_broken(pass, pass->area->zone->radix, fault);
}

/* That a node begins at ref. */
static void mark_node(struct image_pass *pass, arena_ref ref)
{
    uint64_t bit = (uint64_t)1 << ref % MAP_BITS;
    if (ref / MAP_BITS == pass->shared_word) {
        pass->shared_bits |= bit;
    } else {
        pass->area->map[ref / MAP_BITS] |= bit;
    }
}

int image_pass_nodes(struct image_pass *pass)
{
    const struct image_area *area = pass->area;
    const struct zone_head *head = area->zone->head;
    const struct node *node = pass->now.before;
    arena_ref ref = head->apex;
    if (node != NULL) {
        ref = image_area_ref(area, node) + node->size / ARENA_UNIT;
    }
    arena_ref last = pass->last == NULL ? head->last : image_area_ref(area, pass->last);
    pass->shared_word = ref / MAP_BITS;
    do {
        if (!image_area_has(area, ref, sizeof *node) || pass->nodes == head->nodes || ref > last) {
            return image_pass_broken(pass, head, "nodes don't end where the head says");
        }
        node = arena_at(&area->zone->arena, ref);
        int error = check_node(pass, node);
        if (error != RR_OK) {
            return error;
        }
        mark_node(pass, ref);
        pass->nodes++;
        pass->now.before = node;
        ref += node->size / ARENA_UNIT;
        crew_step();
    } while (image_area_ref(area, node) != last);
    return RR_OK;
}

void image_pass_mark_shared(struct image_pass *pass)
{
    pass->area->map[pass->shared_word] |= pass->shared_bits;
}

/* --- where passes begin and meet --- */

/* Whether these are a node and its ancestors, up to the apex, by key and size of name. */
static bool are_ancestors(const struct image_area *area, const struct node *const *up, size_t depth,
                          const uint8_t *name, size_t size)
{
    for (size_t i = 0; i < depth; i++) {
        if (up[i]->name_size != size ||
            memcmp(node_key(up[i]), node_key(up[0]), up[i]->key_size) != 0) {
            return false;
        }
        if (i + 1 < depth) {
            if (size <= area->zone->head->apex_size) {
                return false;
            }
            size -= 1u + *name;
            name += 1u + *name;
        }
    }
    return up[depth - 1]->key_size == 0 && size == area->zone->head->apex_size;
}

bool image_pass_begin_at(struct image_pass *pass, arena_ref ref)
{
    const struct image_area *area = pass->area;
    struct image_place *place = &pass->now;
    const struct node *up[NAME_MAX_LABELS + 1];
    const struct node *below = NULL;
    size_t depth = 0;
    for (arena_ref at = ref; at != 0 || depth == 0; at = below->parent) {
        const struct node *node = arena_at(&area->zone->arena, at);
        if (depth == NAME_MAX_LABELS + 1 || !image_area_has(area, at, sizeof *node) ||
            !image_area_has(area, at, sizeof *node + node->key_size) ||
            (below != NULL && node->key_size >= below->key_size)) {
            return false;
        }
        up[depth++] = below = node;
    }
    uint8_t name[NAME_MAX_OCTETS];
    size_t size = key_to_name(node_key(up[0]), up[0]->key_size, area->zone->head->apex_name, name);
    if (size == 0 || !are_ancestors(area, up, depth, name, size)) {
        return false;
    }
    uint8_t *open = open_name(pass, size);
    for (size_t i = 0; i < size; i++) {
        open[i] = name_lower(name[i]);
    }
    bool hides = false;
    for (size_t i = 0; i < depth; i++) {
        const struct node *node = up[depth - 1 - i];
        hides |= (node->flags & NODE_DNAME) != 0 && node->cut == 0;
        place->path[i] = (struct image_open_node){
            .node = node, .hides = hides, .star_met = node->star != 0 && node->star <= ref};
    }
    place->depth = depth;
    place->before = up[0];
    return true;
}

bool image_place_meets(const struct image_place *before, const struct image_place *begin,
                       struct image_place *after)
{
    if (before->before != begin->before || before->depth != begin->depth) {
        return false;
    }
    for (size_t i = 0; i < before->depth; i++) {
        const struct image_open_node *a = &before->path[i], *b = &begin->path[i];
        if (a->node != b->node || a->hides != b->hides || a->star_met != b->star_met) {
            return false;
        }
    }
    return tree_walk_meets(&before->tree, &begin->tree, &after->tree);
}

/*
 * Two passes over the sorted owners. The first emits a node per name, ancestors first, so that
 * what a node inherits (parent, cut, occlusion) is known when it is written; names that exist only
 * because something is below them (empty non-terminals) are emitted on the way. Then the search
 * tree is laid over the nodes. The second pass needs it: it finds the nodes that NS, MX, SRV
 * targets stand for, which may come later in the zone than the records that name them.
 */
#include "zone/zone_build.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/record_sort.h"
#include "zone/records_list.h"
#include "zone/zone_group.h"
#include "zone/zone_targets.h"

/* An open ancestor of the node being emitted. */
struct open_node {
    arena_ref ref;
    uint16_t key_size;
    arena_ref cut;  /* as node.cut */
    bool dname;     /* a DNAME here or above hides what is below */
};

struct build {
    const struct records *records;
    struct diag *diag;
    struct zone *zone; /* arena in it grows; head and radix are set as they come to be */

    struct sort_item *items;
    size_t owners;

    arena_ref *nodes;  /* in order */
    uint16_t *common;  /* symbols shared with the node before */
    size_t node_count, node_room;

    struct open_node path[NAME_MAX_LABELS + 1];
    size_t depth;

    struct zone_group group; /* of the owner being added */
    struct bytes pending;    /* arena_ref of nodes with targets */
    uint64_t rrsets;
};

static bool collect_owners(struct build *b)
{
    b->items = malloc((b->records->owners + 1) * sizeof *b->items);
    struct sort_item *spare = malloc((b->records->owners + 1) * sizeof *spare);
    if (b->items == NULL || spare == NULL) {
        free(spare);
        return false;
    }
    for (const struct record_chunk *c = b->records->first; c != NULL; c = c->next) {
        const struct record_owner *owner = (const struct record_owner *)(const void *)c->data;
        for (size_t i = 0; i < c->owners; i++) {
            if (owner->count > 0) {
                b->items[b->owners++].owner = owner;
            }
            owner = record_owner_next(owner);
        }
    }
    record_sort(b->items, spare, b->owners);
    free(spare);
    return true;
}

/* --- nodes --- */

static bool remember_node(struct build *b, arena_ref ref, uint16_t common)
{
    if (b->node_count == b->node_room) {
        size_t room = b->node_room == 0 ? 64 : b->node_room * 2;
        arena_ref *nodes = realloc(b->nodes, room * sizeof *nodes);
        if (nodes != NULL) {
            b->nodes = nodes;
        }
        uint16_t *shared = realloc(b->common, room * sizeof *shared);
        if (shared != NULL) {
            b->common = shared;
        }
        if (nodes == NULL || shared == NULL) {
            return false;
        }
        b->node_room = room;
    }
    b->nodes[b->node_count] = ref;
    b->common[b->node_count++] = common;
    return true;
}

static uint16_t common_with_last(const struct build *b, const uint8_t *key, uint16_t key_size)
{
    if (b->node_count == 0) {
        return 0;
    }
    const struct node *last = zone_at(b->zone, b->nodes[b->node_count - 1]);
    return (uint16_t)key_common(node_key(last), last->key_size, key, key_size);
}

struct node_content {
    const uint8_t *key;
    uint16_t key_size;
    const uint8_t *cased_name; /* whole name where it has upper case, else NULL */
    uint8_t name_size;
    uint8_t flags;
    uint16_t rrsets;
};

static bool is_wildcard_label(const struct build *b, const uint8_t *key, size_t key_size)
{
    static const uint8_t star[] = {1, '*', KEY_SEPARATOR};
    if (b->depth == 0) {
        return false;
    }
    size_t start = b->path[b->depth - 1].key_size;
    return key_size - start == sizeof star && memcmp(key + start, star, sizeof star) == 0;
}

/* What the node inherits or begins: flags and the cut, from its parent on the path. */
static uint8_t inherit(const struct build *b, uint8_t flags, bool has_ns, arena_ref ref,
                       arena_ref *cut, bool *dname)
{
    *cut = 0;
    *dname = false;
    if (b->depth > 0) {
        const struct open_node *parent = &b->path[b->depth - 1];
        *cut = parent->cut;
        *dname = parent->dname;
        if (parent->cut != 0 || parent->dname) {
            flags |= NODE_OCCLUDED;
        }
    } else {
        flags |= NODE_APEX;
    }
    if (has_ns && (flags & (NODE_APEX | NODE_OCCLUDED | NODE_WILDCARD)) == 0) {
        flags |= NODE_DELEGATION;
        *cut = ref;
    }
    if ((flags & NODE_DNAME) != 0 && *cut == 0) {
        *dname = true;
    }
    return flags;
}

/* Writes a node with the RRsets in b->group.built.body and makes it the innermost open one. */
static bool emit_node(struct build *b, const struct node_content *content, bool has_ns)
{
    size_t head = sizeof(struct node) + content->key_size;
    size_t relative = 0;
    if (content->cased_name != NULL) {
        relative = (size_t)content->name_size - b->records->apex_size;
    }
    size_t rrsets_at = (head + relative + ARENA_UNIT - 1) & ~(size_t)(ARENA_UNIT - 1);
    uint16_t common = common_with_last(b, content->key, content->key_size);
    arena_ref ref = arena_alloc(&b->zone->arena, rrsets_at + b->group.built.body.size);
    if (ref == 0 || !remember_node(b, ref, common)) {
        return false;
    }
    struct open_node open = {.ref = ref, .key_size = content->key_size};
    uint8_t flags = (uint8_t)(content->flags | (content->cased_name != NULL ? NODE_CASE : 0));
    if (is_wildcard_label(b, content->key, content->key_size)) {
        flags |= NODE_WILDCARD;
        ((struct node *)arena_at(&b->zone->arena, b->path[b->depth - 1].ref))->star = ref;
    }
    flags = inherit(b, flags, has_ns, ref, &open.cut, &open.dname);
    struct node *node = arena_at(&b->zone->arena, ref);
    *node = (struct node){
        .parent = b->depth > 0 ? b->path[b->depth - 1].ref : 0,
        .cut = open.cut,
        .size = (uint32_t)(rrsets_at + b->group.built.body.size),
        .key_size = content->key_size,
        .rrsets = content->rrsets,
        .rrsets_at = (uint16_t)rrsets_at,
        .flags = flags,
        .name_size = content->name_size,
    };
    uint8_t *tail = (uint8_t *)(node + 1);
    if (content->key_size > 0) {
        memcpy(tail, content->key, content->key_size);
    }
    if (relative > 0) {
        memcpy(tail + content->key_size, content->cased_name, relative);
    }
    if (b->group.built.body.size > 0) {
        memcpy((uint8_t *)node + rrsets_at, b->group.built.body.data, b->group.built.body.size);
    }
    b->path[b->depth++] = open;
    return true;
}

/* Where the label that begins at `start` of a key ends, its separator included. */
static size_t label_end(const uint8_t *key, size_t start)
{
    while (key[start] != KEY_SEPARATOR) {
        start += key_symbol_is_group(key[start]) ? 2 : 1;
    }
    return start + 1;
}

/* Closes what is no ancestor of key, opens what is missing between (empty non-terminals). */
static bool open_ancestors(struct build *b, const uint8_t *key, size_t key_size)
{
    while (b->depth > 0) {
        const struct open_node *top = &b->path[b->depth - 1];
        const struct node *node = zone_at(b->zone, top->ref);
        if (top->key_size < key_size && memcmp(node_key(node), key, top->key_size) == 0) {
            break;
        }
        b->depth--;
    }
    if (b->depth == 0) {
        return true; /* the apex itself */
    }
    for (;;) {
        size_t end = label_end(key, b->path[b->depth - 1].key_size);
        if (end == key_size) {
            return true;
        }
        uint8_t name[NAME_MAX_OCTETS];
        struct node_content content = {
            .key = key,
            .key_size = (uint16_t)end,
            .name_size = (uint8_t)key_to_name(key, end, b->records->apex, name),
        };
        b->group.built.body.size = 0;
        if (!emit_node(b, &content, false)) {
            return false;
        }
    }
}

static bool is_glue_type(uint16_t type)
{
    return type == RRTYPE_A || type == RRTYPE_AAAA || type == RRTYPE_NSEC ||
           type == RRTYPE_RRSIG || type == RRTYPE_NS || type == RRTYPE_DS ||
           type == RRTYPE_NSEC3;
}

/* owner is the wire name of the node emitted last, whose records the group still has. */
static void warn_occluded(struct build *b, const uint8_t *owner)
{
    const struct open_node *open = &b->path[b->depth - 1];
    const struct node *node = zone_at(b->zone, open->ref);
    const struct node *cut = zone_node(b->zone, node->cut);
    bool hidden = (node->flags & NODE_OCCLUDED) != 0;
    if (!hidden && cut != node) {
        return;
    }
    for (size_t i = 0; i < b->group.count; i++) {
        uint16_t type = b->group.list[i]->type;
        bool glue = cut != NULL && is_glue_type(type) &&
                    !(hidden && (type == RRTYPE_NS || type == RRTYPE_DS));
        if (!glue) {
            char text[NAME_MAX_TEXT], name[RRTYPE_TEXT_MAX];
            rrtype_to_text(type, name);
            name_to_text(owner, text);
            record_warn(b->records, b->diag, b->group.list[i],
                        "%s %s is occluded by a %s above, never answered", text, name,
                        cut != NULL ? "delegation" : "DNAME");
        }
    }
}

static bool body_has_targets(const struct build *b, uint16_t rrsets)
{
    size_t at = 0;
    for (uint16_t i = 0; i < rrsets; i++) {
        const void *place = b->group.built.body.data + at;
        const struct rrset *rrset = place;
        if (rrset->targets > 0) {
            return true;
        }
        at += rrset_span(rrset);
    }
    return false;
}

/* One owner, all its records: items low to high have the same key. */
static bool add_owner(struct build *b, size_t low, size_t high)
{
    const struct record_owner *owner = b->items[low].owner;
    const uint8_t *key = record_owner_key(owner);
    if (!zone_group_gather(&b->group, b->items + low, high - low) ||
        !open_ancestors(b, key, owner->key_size)) {
        return false;
    }
    bool has_ns = zone_group_find(&b->group, RRTYPE_NS) != NULL;
    uint8_t name[NAME_MAX_OCTETS];
    record_owner_name(b->records, owner, name);
    bool wildcard = is_wildcard_label(b, key, owner->key_size);
    struct rrset_owner place = {
        .name = name,
        .size = owner->name_size,
        .wildcard = wildcard,
        .delegation = has_ns && !wildcard && !record_owner_is_apex(owner),
        .apex = b->records->apex,
    };
    struct node_content content = {
        .key = key,
        .key_size = owner->key_size,
        .cased_name = owner->cased ? name : NULL,
        .name_size = owner->name_size,
        .flags = (uint8_t)(
            (zone_group_find(&b->group, RRTYPE_CNAME) != NULL ? NODE_CNAME : 0) |
            (zone_group_find(&b->group, RRTYPE_DNAME) != NULL ? NODE_DNAME : 0)),
    };
    zone_group_build(&b->group, owner, &place);
    content.rrsets = b->group.rrsets;
    b->rrsets += content.rrsets;
    if (b->group.built.body.failed || b->group.no_memory || !emit_node(b, &content, has_ns)) {
        return false;
    }
    warn_occluded(b, name);
    if (body_has_targets(b, content.rrsets)) {
        if (!bytes_reserve(&b->pending, sizeof(arena_ref))) {
            return false;
        }
        memcpy(b->pending.data + b->pending.size, &b->path[b->depth - 1].ref, sizeof(arena_ref));
        b->pending.size += sizeof(arena_ref);
    }
    return true;
}

static bool same_key(const struct record_owner *a, const struct record_owner *b)
{
    return a->key_size == b->key_size &&
           memcmp(record_owner_key(a), record_owner_key(b), a->key_size) == 0;
}

enum { FETCH_AHEAD = 12 }; /* owners; sorted, they lie all over memory */

static bool add_owners(struct build *b)
{
    for (size_t low = 0, high; low < b->owners; low = high) {
        if (low + FETCH_AHEAD < b->owners) {
            const char *ahead = (const char *)b->items[low + FETCH_AHEAD].owner;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
        }
        for (high = low + 1; high < b->owners; high++) {
            if (!same_key(b->items[low].owner, b->items[high].owner)) {
                break;
            }
        }
        if (!add_owner(b, low, high)) {
            return false;
        }
    }
    return true;
}

/* --- the search tree --- */

static struct radix_key tree_key(const void *context, size_t index)
{
    const struct build *b = context;
    const struct node *node = zone_at(b->zone, b->nodes[index]);
    return (struct radix_key){node_key(node), node->key_size};
}

static uint32_t tree_value(const void *context, size_t index)
{
    const struct build *b = context;
    return b->nodes[index];
}

static arena_ref build_tree(struct build *b, size_t *size)
{
    *size = radix_count(b->common, b->node_count);
    arena_ref ref = arena_alloc(&b->zone->arena, *size * sizeof(struct radix_entry));
    if (ref != 0 && *size <= UINT32_MAX) {
        struct radix_source source = {b->node_count, tree_key, tree_value, b};
        b->zone->radix = arena_at(&b->zone->arena, ref);
        radix_build(&source, b->common, arena_at(&b->zone->arena, ref));
    }
    return ref;
}

/* --- the whole --- */

static void check_apex(struct build *b)
{
    const struct record *soa = NULL, *first = NULL;
    bool ns = false;
    for (size_t i = 0; i < b->owners && record_owner_is_apex(b->items[i].owner); i++) {
        const struct record *record = record_first(b->items[i].owner);
        for (uint32_t r = 0; r < b->items[i].owner->count; r++) {
            soa = soa == NULL && record->type == RRTYPE_SOA ? record : soa;
            first = first == NULL ? record : first;
            ns |= record->type == RRTYPE_NS;
            record = record_next(record);
        }
    }
    if (soa == NULL) {
        const struct record nowhere = {.line = 1};
        record_fault(b->records, b->diag, first != NULL ? first : &nowhere,
                     "no SOA record at the apex");
    } else if (!ns) {
        record_warn(b->records, b->diag, soa, "no NS record at the apex");
    }
}

/* The SOA once more, with the TTL that negative answers give it (RFC 2308 section 5). */
static arena_ref build_negative_soa(struct build *b, const struct rrset *soa)
{
    size_t span = rrset_span(soa);
    arena_ref soa_ref = (arena_ref)(((const uint8_t *)soa - b->zone->arena.base) / ARENA_UNIT);
    arena_ref ref = arena_alloc(&b->zone->arena, span);
    if (ref == 0) {
        return 0;
    }
    soa = zone_at(b->zone, soa_ref);
    struct rrset *negative = arena_at(&b->zone->arena, ref);
    memcpy(negative, soa, span);
    uint32_t minimum = wire_get_u32(soa->block + soa->block_size - 4);
    uint32_t ttl = rrset_ttl(soa);
    wire_put_u32(negative->block + 6, minimum < ttl ? minimum : ttl);
    return ref;
}

static bool finish(struct build *b, arena_ref head_ref)
{
    size_t radix_size;
    arena_ref radix = build_tree(b, &radix_size);
    if (radix == 0) {
        return false;
    }
    const struct node *apex = zone_at(b->zone, b->nodes[0]);
    const struct rrset *soa = node_rrset(apex, RRTYPE_SOA);
    uint32_t serial = wire_get_u32(soa->block + soa->block_size - 20);
    arena_ref negative = build_negative_soa(b, soa);
    if (negative == 0) {
        return false;
    }
    struct zone_head *head = arena_at(&b->zone->arena, head_ref);
    *head = (struct zone_head){
        .magic = ZONE_IMAGE_MAGIC,
        .version = ZONE_IMAGE_VERSION,
        .apex = b->nodes[0],
        .last = b->nodes[b->node_count - 1],
        .radix = radix,
        .radix_size = (uint32_t)radix_size,
        .negative_soa = negative,
        .serial = serial,
        .nodes = b->node_count,
        .rrsets = b->rrsets,
        .records = b->group.records_kept,
        .apex_key_size = b->records->apex_key_size,
        .apex_labels = b->records->apex_labels,
        .apex_size = b->records->apex_size,
    };
    memcpy(head->apex_name, b->records->apex, b->records->apex_size);
    b->zone->head = head;
    b->zone->radix = zone_at(b->zone, radix);
    struct zone_targets targets = {b->zone, b->records, b->items, b->owners, b->diag};
    if (zone_targets_resolve(&targets, (const arena_ref *)(const void *)b->pending.data,
                             b->pending.size / sizeof(arena_ref)) != RR_OK) {
        return false;
    }
    if (arena_seal(&b->zone->arena) != RR_OK) {
        return false;
    }
    b->zone->head = zone_at(b->zone, head_ref);
    b->zone->radix = zone_at(b->zone, radix);
    return true;
}

static int run(struct build *b)
{
    arena_ref head = arena_alloc(&b->zone->arena, sizeof(struct zone_head));
    if (head == 0 || !collect_owners(b)) {
        return RR_ENOMEM;
    }
    check_apex(b);
    if (b->diag->faults > 0 || !add_owners(b)) {
        return b->diag->faults > 0 ? RR_EINVAL : RR_ENOMEM;
    }
    if (b->diag->faults > 0) {
        return RR_EINVAL;
    }
    return finish(b, head) ? RR_OK : RR_ENOMEM;
}

int zone_build(const struct records *records, struct diag *diag, struct zone **zone)
{
    *zone = NULL;
    struct build *b = calloc(1, sizeof *b);
    struct zone *fresh = calloc(1, sizeof *fresh);
    int error = RR_ENOMEM;
    if (b == NULL || fresh == NULL) {
        goto out;
    }
    *fresh = (struct zone){.magic = ZONE_MAGIC, .references = 1};
    arena_init(&fresh->arena);
    *b = (struct build){
        .records = records,
        .diag = diag,
        .zone = fresh,
        .group = {.records = records, .diag = diag},
    };
    error = run(b);
    free(b->items);
    free(b->nodes);
    free(b->common);
    zone_group_free(&b->group);
    free(b->pending.data);
    if (error == RR_OK) {
        *zone = fresh;
        fresh = NULL;
    }
out:
    zone_unref(fresh);
    free(b);
    return error;
}

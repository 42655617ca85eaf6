/*
 * Everything here is of one part and one thread: see zone_join.c for how parts come together.
 */
#include "zone/zone_nodes.h"

#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "dns/rrtype.h"
#include "zone/records_list.h"
#include "zone/zone.h"

static const struct node *node_at(const struct zone_nodes *b, arena_ref ref)
{
    return arena_at(b->arena, ref);
}

static bool remember_node(struct zone_nodes *b, arena_ref ref, uint16_t common)
{
    if (b->count == b->room) {
        size_t room = b->room == 0 ? 64 : b->room * 2;
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
        b->room = room;
    }
    b->nodes[b->count] = ref;
    b->common[b->count++] = common;
    return true;
}

static uint16_t common_with_last(const struct zone_nodes *b, const uint8_t *key, uint16_t key_size)
{
    if (b->count == 0) {
        return 0;
    }
    const struct node *last = node_at(b, b->nodes[b->count - 1]);
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

static bool is_wildcard_label(const struct zone_nodes *b, const uint8_t *key, size_t key_size)
{
    static const uint8_t star[] = {1, '*', KEY_SEPARATOR};
    if (b->depth == 0) {
        return false;
    }
    size_t start = b->path[b->depth - 1].key_size;
    return key_size - start == sizeof star && memcmp(key + start, star, sizeof star) == 0;
}

/* What the node inherits or begins: flags and the cut, from its parent on the path. */
static uint8_t inherit(const struct zone_nodes *b, uint8_t flags, bool has_ns, arena_ref ref,
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
static bool emit_node(struct zone_nodes *b, const struct node_content *content, bool has_ns)
{
    size_t head = sizeof(struct node) + content->key_size;
    size_t relative = 0;
    if (content->cased_name != NULL) {
        relative = (size_t)content->name_size - b->records->apex_size;
    }
    size_t rrsets_at = (head + relative + ARENA_UNIT - 1) & ~(size_t)(ARENA_UNIT - 1);
    uint16_t common = common_with_last(b, content->key, content->key_size);
    arena_ref ref = arena_alloc(b->arena, rrsets_at + b->group.built.body.size);
    if (ref == 0 || !remember_node(b, ref, common)) {
        return false;
    }
    struct open_node open = {.ref = ref, .key_size = content->key_size};
    uint8_t flags = (uint8_t)(content->flags | (content->cased_name != NULL ? NODE_CASE : 0));
    if (is_wildcard_label(b, content->key, content->key_size)) {
        flags |= NODE_WILDCARD;
        ((struct node *)arena_at(b->arena, b->path[b->depth - 1].ref))->star = ref;
    }
    flags = inherit(b, flags, has_ns, ref, &open.cut, &open.dname);
    struct node *node = arena_at(b->arena, ref);
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

/* Closes what is no ancestor of key, opens what is missing between (empty non-terminals). */
static bool open_ancestors(struct zone_nodes *b, const uint8_t *key, size_t key_size)
{
    while (b->depth > 0) {
        const struct open_node *top = &b->path[b->depth - 1];
        const struct node *node = node_at(b, top->ref);
        if (top->key_size < key_size && memcmp(node_key(node), key, top->key_size) == 0) {
            break;
        }
        b->depth--;
    }
    if (b->depth == 0) {
        return true; /* the apex itself */
    }
    for (;;) {
        size_t end = key_label_end(key, b->path[b->depth - 1].key_size);
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
    return type == RRTYPE_A || type == RRTYPE_AAAA || type == RRTYPE_NSEC || type == RRTYPE_RRSIG ||
           type == RRTYPE_NS || type == RRTYPE_DS || type == RRTYPE_NSEC3;
}

/* Of the node emitted last, whose records the group still has. */
static void warn_occluded(struct zone_nodes *b, const struct record_owner *owner)
{
    const struct open_node *open = &b->path[b->depth - 1];
    const struct node *node = node_at(b, open->ref);
    const struct node *cut = node->cut != 0 ? node_at(b, node->cut) : NULL;
    bool hidden = (node->flags & NODE_OCCLUDED) != 0;
    if ((!hidden && cut != node) || (node->flags & NODE_NSEC3) != 0) {
        return;
    }
    for (size_t i = 0; i < b->group.count; i++) {
        const struct record *record = b->group.list[i];
        bool glue = cut != NULL && is_glue_type(record->type) &&
                    !(hidden && (record->type == RRTYPE_NS || record->type == RRTYPE_DS));
        if (!glue) {
            char text[NAME_MAX_TEXT], type[RRTYPE_TEXT_MAX];
            uint8_t name[NAME_MAX_OCTETS];
            record_owner_name(b->records, owner, name);
            name_to_text(name, text);
            rrtype_to_text(record->type, type);
            diag_warn(b->diag, record_file(b->records, zone_group_file(&b->group, record)),
                      record->line, "%s %s is occluded by a %s above, never answered", text, type,
                      cut != NULL ? "delegation" : "DNAME");
        }
    }
}

/* Where the records stood whose targets are to be resolved: those of the node emitted last. */
static bool note_places(struct zone_nodes *b)
{
    size_t count = b->group.built.noted.size / sizeof(const struct record *);
    if (!bytes_reserve(&b->places, count * sizeof(struct target_place))) {
        return false;
    }
    const void *noted = b->group.built.noted.data;
    const struct record *const *records = noted;
    for (size_t i = 0; i < count; i++) {
        struct target_place place = {b->path[b->depth - 1].ref,
                                     zone_group_file(&b->group, records[i]), records[i]->line};
        memcpy(b->places.data + b->places.size, &place, sizeof place);
        b->places.size += sizeof place;
    }
    return true;
}

/* Whether any of the group's RRsets is built with a look at its owner's name. */
static bool wants_name(const struct zone_group *group)
{
    for (size_t i = 0; i < group->count; i++) {
        uint16_t type = group->list[i]->type;
        if (type != RRTYPE_A && type != RRTYPE_AAAA &&
            (rrtype_compressible(type).count > 0 || rrtype_target(type) >= 0)) {
            return true;
        }
    }
    return false;
}

/* Whether there are NSEC3 and nothing else but signatures. The list is by type. */
static bool is_hash_alone(const struct zone_group *group)
{
    size_t i = group->count;
    while (i > 0 && group->list[i - 1]->type == RRTYPE_NSEC3) {
        i--;
    }
    if (i == group->count) {
        return false;
    }
    while (i > 0 && group->list[i - 1]->type == RRTYPE_RRSIG) {
        i--;
    }
    return i == 0;
}

/* One owner, all its records: count items with the same key. */
static bool add_owner(struct zone_nodes *b, const struct sort_item *items, size_t count)
{
    const struct record_owner *owner = items[0].owner;
    const uint8_t *key = record_owner_key(owner);
    if (!zone_group_gather(&b->group, items, count) || !open_ancestors(b, key, owner->key_size)) {
        return false;
    }
    bool has_ns = zone_group_find(&b->group, RRTYPE_NS) != NULL;
    uint8_t name[NAME_MAX_OCTETS];
    if (owner->cased || wants_name(&b->group)) {
        record_owner_name(b->records, owner, name);
    }
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
        .flags = (uint8_t)((zone_group_find(&b->group, RRTYPE_CNAME) != NULL ? NODE_CNAME : 0) |
                           (zone_group_find(&b->group, RRTYPE_DNAME) != NULL ? NODE_DNAME : 0) |
                           (is_hash_alone(&b->group) ? NODE_NSEC3 : 0)),
    };
    zone_group_build(&b->group, owner, &place);
    content.rrsets = b->group.rrsets;
    b->rrsets += content.rrsets;
    if (b->group.built.body.failed || b->group.no_memory || !emit_node(b, &content, has_ns)) {
        return false;
    }
    warn_occluded(b, owner);
    return note_places(b);
}

static bool same_key(const struct record_owner *a, const struct record_owner *b)
{
    return a->key_size == b->key_size &&
           memcmp(record_owner_key(a), record_owner_key(b), a->key_size) == 0;
}

enum { FETCH_AHEAD = 12 }; /* owners; sorted, they lie all over memory */

bool zone_nodes_add(struct zone_nodes *b, const struct sort_item *items, size_t count)
{
    for (size_t low = 0, high; low < count; low = high) {
        if (low + FETCH_AHEAD < count) {
            const char *ahead = (const char *)items[low + FETCH_AHEAD].owner;
            __builtin_prefetch(ahead);
            __builtin_prefetch(ahead + 64);
        }
        for (high = low + 1; high < count; high++) {
            if (!same_key(items[low].owner, items[high].owner)) {
                break;
            }
        }
        if (!add_owner(b, items + low, high - low)) {
            return false;
        }
        crew_step();
    }
    return true;
}

bool zone_nodes_begin(struct zone_nodes *b, struct arena *arena, const struct zone_stub *stubs,
                      size_t count)
{
    arena_reset(arena);
    b->arena = arena;
    b->count = 0;
    b->depth = 0;
    b->places.size = 0;
    b->group.built.body.size = 0;
    b->stubs = count;
    if (count == 0) {
        return arena_alloc(arena, sizeof(struct zone_head)) != 0;
    }
    for (size_t i = 0; i < count; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        struct node_content content = {
            .key = stubs[i].key,
            .key_size = stubs[i].key_size,
            .name_size =
                (uint8_t)key_to_name(stubs[i].key, stubs[i].key_size, b->records->apex, name),
            .flags = stubs[i].has_dname ? NODE_DNAME : 0,
        };
        if (!emit_node(b, &content, stubs[i].has_ns)) {
            return false;
        }
    }
    return true;
}

void zone_nodes_go_on(struct zone_nodes *b)
{
    b->nodes[0] = b->nodes[b->count - 1];
    b->count = b->stubs = 1;
    b->places.size = 0;
}

void zone_nodes_free(struct zone_nodes *b)
{
    arena_free(&b->own);
    free(b->nodes);
    free(b->common);
    free(b->places.data);
    zone_group_free(&b->group);
}

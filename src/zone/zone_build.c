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
#include "zone/rrset_build.h"

enum { ZONE_IMAGE_VERSION = 1, ZONE_MAGIC = 0x7a6f6e65 };

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

    const struct record **group; /* records of one owner */
    size_t group_size, group_room;
    struct bytes body;    /* RRsets of one node */
    struct bytes pending; /* arena_ref of nodes with targets */
    uint8_t rdata[MESSAGE_MAX];

    uint64_t rrsets, record_count;
    bool no_memory;
};

static const char *place_file(const struct build *b, const struct record *record)
{
    return record->file < b->records->files ? b->records->file[record->file] : NULL;
}

#define fault_at(b, record, ...)                                                                   \
    diag_fault((b)->diag, place_file(b, record), (record)->line, __VA_ARGS__)
#define warn_at(b, record, ...)                                                                    \
    diag_warn((b)->diag, place_file(b, record), (record)->line, __VA_ARGS__)

static bool is_apex(const struct record_owner *owner)
{
    return owner->key_size == 0;
}

/* The owner's whole wire name, case as written. */
static void owner_name(const struct build *b, const struct record_owner *owner, uint8_t *name)
{
    const uint8_t *key = record_owner_key(owner);
    if (owner->cased) {
        size_t relative = (size_t)owner->name_size - b->records->apex_size;
        memcpy(name, key + owner->key_size, relative);
        memcpy(name + relative, b->records->apex, b->records->apex_size);
    } else {
        key_to_name(key, owner->key_size, b->records->apex, name);
    }
}

/* For messages: the owner in text. */
static const char *owner_text(const struct build *b, const struct record_owner *owner, char *text)
{
    uint8_t name[NAME_MAX_OCTETS];
    owner_name(b, owner, name);
    name_to_text(name, text);
    return text;
}

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

/* Writes a node with the RRsets in b->body and makes it the innermost open one. */
static bool emit_node(struct build *b, const struct node_content *content, bool has_ns)
{
    size_t head = sizeof(struct node) + content->key_size;
    size_t relative = 0;
    if (content->cased_name != NULL) {
        relative = (size_t)content->name_size - b->records->apex_size;
    }
    size_t rrsets_at = (head + relative + ARENA_UNIT - 1) & ~(size_t)(ARENA_UNIT - 1);
    uint16_t common = common_with_last(b, content->key, content->key_size);
    arena_ref ref = arena_alloc(&b->zone->arena, rrsets_at + b->body.size);
    if (ref == 0 || !remember_node(b, ref, common)) {
        return false;
    }
    struct open_node open = {.ref = ref, .key_size = content->key_size};
    uint8_t flags = content->flags;
    if (is_wildcard_label(b, content->key, content->key_size)) {
        flags |= NODE_WILDCARD;
        ((struct node *)arena_at(&b->zone->arena, b->path[b->depth - 1].ref))->star = ref;
    }
    flags = inherit(b, flags, has_ns, ref, &open.cut, &open.dname);
    struct node *node = arena_at(&b->zone->arena, ref);
    *node = (struct node){
        .parent = b->depth > 0 ? b->path[b->depth - 1].ref : 0,
        .cut = open.cut,
        .size = (uint32_t)(rrsets_at + b->body.size),
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
    if (b->body.size > 0) {
        memcpy((uint8_t *)node + rrsets_at, b->body.data, b->body.size);
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
        b->body.size = 0;
        if (!emit_node(b, &content, false)) {
            return false;
        }
    }
}

/* --- RRsets of a node --- */

static bool names_fold(uint16_t type)
{
    return rrtype_compressible(type).count > 0 || type == RRTYPE_DNAME || type == RRTYPE_SRV;
}

/* Equal as DNS data: names in the RDATA of the common types without regard to case. */
static bool same_rdata(const struct record *a, const struct record *b)
{
    if (a->size != b->size) {
        return false;
    }
    if (memcmp(a->rdata, b->rdata, a->size) == 0) {
        return true;
    }
    if (!names_fold(a->type)) {
        return false;
    }
    struct rrtype_names names = rrtype_compressible(a->type);
    size_t at = a->type == RRTYPE_SRV ? 6 : names.prefix;
    unsigned count = names.count > 0 ? names.count : 1;
    if (memcmp(a->rdata, b->rdata, at) != 0) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        if (!name_equal(a->rdata + at, b->rdata + at)) {
            return false;
        }
        at += name_size(a->rdata + at);
    }
    return memcmp(a->rdata + at, b->rdata + at, a->size - at) == 0;
}

static int compare_rdata(const void *x, const void *y)
{
    const struct record *a = *(const struct record *const *)x;
    const struct record *b = *(const struct record *const *)y;
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    for (size_t i = 0; i < a->size; i++) {
        int order = name_lower(a->rdata[i]) - name_lower(b->rdata[i]);
        if (order != 0) {
            return order;
        }
    }
    return (a->line > b->line) - (a->line < b->line);
}

/* The record of set[0..count) that record repeats, or NULL. */
static const struct record *find_same(const struct record *const *set, size_t count,
                                      const struct record *record)
{
    for (size_t i = 0; i < count; i++) {
        if (same_rdata(set[i], record)) {
            return set[i];
        }
    }
    return NULL;
}

enum { PAIRWISE_MAX = 32 }; /* RRsets up to this size are compared pair by pair */

/* Drops duplicates from a set, order kept; returns how many are left. */
static size_t drop_duplicates(struct build *b, const struct record **set, size_t count)
{
    const struct record **sorted = NULL;
    if (count > PAIRWISE_MAX) {
        sorted = malloc(count * sizeof *sorted);
        if (sorted == NULL) {
            b->no_memory = true;
            return count;
        }
        memcpy(sorted, set, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, compare_rdata);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct record *same = NULL;
        if (sorted == NULL) {
            same = find_same(set, kept, set[i]);
        } else {
            /* Equal ones are neighbours, the first of the file first. */
            const struct record **at = bsearch(&set[i], sorted, count, sizeof *sorted,
                                               compare_rdata);
            same = at != NULL && at > sorted && same_rdata(at[-1], set[i]) ? at[-1] : NULL;
        }
        if (same != NULL) {
            char type[RRTYPE_TEXT_MAX];
            rrtype_to_text(set[i]->type, type);
            warn_at(b, set[i], "duplicate %s record, dropped (first on line %u)", type,
                    same->line);
        } else {
            set[kept++] = set[i];
        }
    }
    free(sorted);
    return kept;
}

static uint32_t lowest_ttl(struct build *b, const struct record *const *set, size_t count)
{
    uint32_t ttl = set[0]->ttl;
    const struct record *odd = NULL;
    for (size_t i = 1; i < count; i++) {
        if (set[i]->ttl != set[0]->ttl && odd == NULL) {
            odd = set[i];
        }
        ttl = set[i]->ttl < ttl ? set[i]->ttl : ttl;
    }
    if (odd != NULL) {
        char type[RRTYPE_TEXT_MAX];
        rrtype_to_text(odd->type, type);
        warn_at(b, odd, "TTLs differ in the %s RRset; the lowest, %u, is used", type, ttl);
    }
    return ttl;
}

static int compare_types(const void *x, const void *y)
{
    const struct record *a = *(const struct record *const *)x;
    const struct record *b = *(const struct record *const *)y;
    if (a->type != b->type) {
        return a->type < b->type ? -1 : 1;
    }
    if (a->file != b->file) {
        return a->file < b->file ? -1 : 1;
    }
    return (a->line > b->line) - (a->line < b->line);
}

/* By type, records of a type in the order read. */
static void sort_group(const struct record **group, size_t count)
{
    if (count > PAIRWISE_MAX) {
        qsort(group, count, sizeof *group, compare_types);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        const struct record *record = group[i];
        size_t j = i;
        for (; j > 0 && group[j - 1]->type > record->type; j--) {
            group[j] = group[j - 1];
        }
        group[j] = record;
    }
}

static bool gather_group(struct build *b, size_t low, size_t high)
{
    b->group_size = 0;
    for (size_t i = low; i < high; i++) {
        const struct record_owner *owner = b->items[i].owner;
        if (b->group_size + owner->count > b->group_room) {
            size_t room = (b->group_size + owner->count) * 2;
            const struct record **group = realloc(b->group, room * sizeof *group);
            if (group == NULL) {
                return false;
            }
            b->group = group;
            b->group_room = room;
        }
        const struct record *record = record_first(owner);
        for (uint32_t r = 0; r < owner->count; r++) {
            b->group[b->group_size++] = record;
            record = record_next(record);
        }
    }
    sort_group(b->group, b->group_size);
    return true;
}

/* Types that may stand beside a CNAME (RFC 2181 section 10.1, RFC 4034 sections 3 and 4). */
static bool beside_cname(uint16_t type)
{
    return type == RRTYPE_RRSIG || type == RRTYPE_NSEC || type == RRTYPE_KEY ||
           type == RRTYPE_SIG;
}

static const struct record *find_type(const struct build *b, uint16_t type)
{
    for (size_t i = 0; i < b->group_size; i++) {
        if (b->group[i]->type == type) {
            return b->group[i];
        }
    }
    return NULL;
}

static void check_cname(struct build *b, const struct record_owner *owner,
                        const struct record *cname)
{
    char text[NAME_MAX_TEXT];
    for (size_t i = 0; i < b->group_size; i++) {
        const struct record *other = b->group[i];
        if (other->type != RRTYPE_CNAME && !beside_cname(other->type)) {
            char type[RRTYPE_TEXT_MAX];
            rrtype_to_text(other->type, type);
            const struct record *later = other->line > cname->line ? other : cname;
            fault_at(b, later, "%s has a CNAME beside other data (%s)",
                     owner_text(b, owner, text), type);
            return;
        }
    }
}

/* Rules for one RRset, duplicates already out. */
static void check_set(struct build *b, const struct record_owner *owner,
                      const struct record *const *set, size_t count)
{
    char text[NAME_MAX_TEXT];
    uint16_t type = set[0]->type;
    bool single = type == RRTYPE_CNAME || type == RRTYPE_DNAME || type == RRTYPE_SOA;
    if (single && count > 1) {
        char name[RRTYPE_TEXT_MAX];
        rrtype_to_text(type, name);
        fault_at(b, set[1], "%s has several %s records", owner_text(b, owner, text), name);
    }
    if (type == RRTYPE_SOA && !is_apex(owner)) {
        fault_at(b, set[0], "SOA at %s, which is not the zone's apex", owner_text(b, owner, text));
    }
}

/* One RRset of the group into the body; returns the records it took. */
static size_t add_set(struct build *b, const struct record_owner *owner,
                      const struct rrset_owner *place, size_t from)
{
    const struct record **set = b->group + from;
    size_t count = 1;
    while (from + count < b->group_size && set[count]->type == set[0]->type) {
        count++;
    }
    size_t kept = drop_duplicates(b, set, count);
    check_set(b, owner, set, kept);
    size_t before = b->body.size;
    uint32_t ttl = set[0]->type == RRTYPE_RRSIG ? set[0]->ttl : lowest_ttl(b, set, kept);
    rrset_build(&b->body, place, set, kept, ttl);
    if (!b->body.failed) {
        const struct rrset *rrset = (const struct rrset *)(const void *)(b->body.data + before);
        size_t message = (size_t)MESSAGE_HEADER + place->size + 4 + rrset->block_size;
        if (message > MESSAGE_MAX || kept > UINT16_MAX) {
            fault_at(b, set[0], "RRset of %zu records is too large for a DNS message", kept);
        }
    }
    b->record_count += kept;
    return count;
}

static bool is_glue_type(uint16_t type)
{
    return type == RRTYPE_A || type == RRTYPE_AAAA || type == RRTYPE_NSEC ||
           type == RRTYPE_RRSIG || type == RRTYPE_NS || type == RRTYPE_DS ||
           type == RRTYPE_NSEC3;
}

static void warn_occluded(struct build *b, const struct record_owner *owner)
{
    const struct open_node *open = &b->path[b->depth - 1];
    const struct node *node = zone_at(b->zone, open->ref);
    const struct node *cut = zone_node(b->zone, node->cut);
    bool hidden = (node->flags & NODE_OCCLUDED) != 0;
    if (!hidden && cut != node) {
        return;
    }
    for (size_t i = 0; i < b->group_size; i++) {
        uint16_t type = b->group[i]->type;
        bool glue = cut != NULL && is_glue_type(type) &&
                    !(hidden && (type == RRTYPE_NS || type == RRTYPE_DS));
        if (!glue) {
            char text[NAME_MAX_TEXT], name[RRTYPE_TEXT_MAX];
            rrtype_to_text(type, name);
            warn_at(b, b->group[i], "%s %s is occluded by a %s above, never answered",
                    owner_text(b, owner, text), name, cut != NULL ? "delegation" : "DNAME");
        }
    }
}

static bool body_has_targets(const struct build *b, uint16_t rrsets)
{
    size_t at = 0;
    for (uint16_t i = 0; i < rrsets; i++) {
        const struct rrset *rrset = (const struct rrset *)(const void *)(b->body.data + at);
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
    if (!gather_group(b, low, high) || !open_ancestors(b, key, owner->key_size)) {
        return false;
    }
    const struct record *cname = find_type(b, RRTYPE_CNAME);
    if (cname != NULL) {
        check_cname(b, owner, cname);
    }
    const struct record *ns = find_type(b, RRTYPE_NS);
    uint8_t name[NAME_MAX_OCTETS];
    owner_name(b, owner, name);
    struct rrset_owner place = {
        .name = name,
        .size = owner->name_size,
        .wildcard = is_wildcard_label(b, key, owner->key_size),
        .delegation = ns != NULL && !is_apex(owner),
        .apex = b->records->apex,
    };
    struct node_content content = {
        .key = key,
        .key_size = owner->key_size,
        .cased_name = owner->cased ? name : NULL,
        .name_size = owner->name_size,
        .flags = (uint8_t)((cname != NULL ? NODE_CNAME : 0) |
                           (find_type(b, RRTYPE_DNAME) != NULL ? NODE_DNAME : 0)),
    };
    b->body.size = 0;
    for (size_t i = 0; i < b->group_size; content.rrsets++) {
        i += add_set(b, owner, &place, i);
    }
    b->rrsets += content.rrsets;
    if (b->body.failed || b->no_memory || !emit_node(b, &content, ns != NULL)) {
        return false;
    }
    warn_occluded(b, owner);
    if (body_has_targets(b, content.rrsets)) {
        uint8_t *entry = bytes_grow(&b->pending, sizeof(arena_ref));
        if (entry == NULL) {
            return false;
        }
        memcpy(entry, &b->path[b->depth - 1].ref, sizeof(arena_ref));
    }
    return true;
}

static bool same_key(const struct record_owner *a, const struct record_owner *b)
{
    return a->key_size == b->key_size &&
           memcmp(record_owner_key(a), record_owner_key(b), a->key_size) == 0;
}

static bool add_owners(struct build *b)
{
    for (size_t low = 0, high; low < b->owners; low = high) {
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

/* --- targets --- */

/* The record of node's RRset that has the given target, for messages; found the slow way. */
static const struct record *find_record(const struct build *b, const struct node *node,
                                        uint16_t type, const uint8_t *target)
{
    size_t low = 0, high = b->owners;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct record_owner *owner = b->items[middle].owner;
        if (key_compare(record_owner_key(owner), owner->key_size, node_key(node),
                        node->key_size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < b->owners; low++) {
        const struct record_owner *owner = b->items[low].owner;
        const struct record *record = record_first(owner);
        for (uint32_t i = 0; i < owner->count; i++) {
            if (record->type == type && name_equal(record->rdata + rrtype_target(type), target)) {
                return record;
            }
            record = record_next(record);
        }
    }
    return record_first(b->items[0].owner);
}

/* Whether the node a target names has something to add for it. */
static bool target_serves(const struct node *from, const struct rrset *rrset,
                          const struct rrset_target *entry, const struct zone_match *match)
{
    const struct node *node = match->node;
    bool referral = rrset->type == RRTYPE_NS && (from->flags & NODE_DELEGATION) != 0;
    if (match->dname != NULL || (match->cut != NULL && !referral)) {
        return false;
    }
    return node_rrset(node, RRTYPE_A) != NULL || node_rrset(node, RRTYPE_AAAA) != NULL ||
           ((entry->flags & TARGET_ALIAS) != 0 && node_rrset(node, rrset->type) != NULL);
}

static void resolve_target(struct build *b, const struct node *from, const struct rrset *rrset,
                           struct rrset_target *entry, const uint8_t *target)
{
    struct key key;
    struct zone_match match;
    char text[NAME_MAX_TEXT];
    key_from_name(target, &key);
    zone_lookup(b->zone, &key, &match);
    if (match.node != NULL && target_serves(from, rrset, entry, &match)) {
        entry->node = (arena_ref)(((const uint8_t *)match.node - b->zone->arena.base) / ARENA_UNIT);
        return;
    }
    if ((entry->flags & TARGET_REQUIRED) != 0 && (from->flags & NODE_DELEGATION) != 0) {
        name_to_text(target, text);
        warn_at(b, find_record(b, from, rrset->type, target),
                "no glue: name server %s is in the delegated zone, but has no address here", text);
    } else if (match.node != NULL && match.cut == NULL &&
               (match.node->flags & NODE_CNAME) != 0 && rrset->type != RRTYPE_SVCB &&
               rrset->type != RRTYPE_HTTPS) {
        char type[RRTYPE_TEXT_MAX];
        rrtype_to_text(rrset->type, type);
        name_to_text(target, text);
        warn_at(b, find_record(b, from, rrset->type, target),
                "%s target %s is a CNAME (RFC 2181 section 10.3)", type, text);
    }
}

/* Each node is listed once; a later entry for it is emptied. */
static void drop_repeated(struct rrset_target *targets, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (targets[i].node == targets[index].node) {
            targets[index].node = 0;
            return;
        }
    }
}

static void resolve_rrset(struct build *b, const struct node *node, const struct rrset *rrset,
                          const uint8_t *owner)
{
    struct rrset_target *targets = (struct rrset_target *)(uintptr_t)rrset_targets(rrset);
    uint8_t *rdata = b->rdata;
    size_t position = 0, next = 0, record = 0;
    while (next < rrset->targets) {
        record = position;
        if (rrset_rdata(rrset, owner, &position, rdata) < 0) {
            return;
        }
        /* The entries are in record order, for those records whose target may be here. */
        size_t at = record + RECORD_HEAD + (size_t)rrtype_target(rrset->type);
        if (targets[next].position != at) {
            continue;
        }
        bool self = (targets[next].flags & TARGET_SELF) != 0;
        resolve_target(b, node, rrset, &targets[next],
                       self ? owner : rdata + rrtype_target(rrset->type));
        if (targets[next].node != 0) {
            drop_repeated(targets, next);
        }
        next++;
    }
}

static void resolve_targets(struct build *b)
{
    for (size_t i = 0; i < b->pending.size; i += sizeof(arena_ref)) {
        arena_ref ref;
        memcpy(&ref, b->pending.data + i, sizeof ref);
        const struct node *node = zone_at(b->zone, ref);
        uint8_t owner[NAME_MAX_OCTETS];
        node_name(b->zone, node, owner);
        const struct rrset *rrset = node_first_rrset(node);
        for (unsigned s = 0; s < node->rrsets; s++) {
            if (rrset->targets > 0) {
                resolve_rrset(b, node, rrset, owner);
            }
            rrset = rrset_next(rrset);
        }
    }
}

/* --- the whole --- */

static void check_apex(struct build *b)
{
    const char *file = b->records->files > 0 ? b->records->file[0] : NULL;
    const struct record *soa = NULL, *first = NULL;
    bool ns = false;
    for (size_t i = 0; i < b->owners && is_apex(b->items[i].owner); i++) {
        const struct record *record = record_first(b->items[i].owner);
        for (uint32_t r = 0; r < b->items[i].owner->count; r++) {
            soa = soa == NULL && record->type == RRTYPE_SOA ? record : soa;
            first = first == NULL ? record : first;
            ns |= record->type == RRTYPE_NS;
            record = record_next(record);
        }
    }
    if (soa == NULL) {
        diag_fault(b->diag, file, first != NULL ? first->line : 1, "no SOA record at the apex");
    } else if (!ns) {
        warn_at(b, soa, "no NS record at the apex");
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
        .records = b->record_count,
        .apex_key_size = b->records->apex_key_size,
        .apex_labels = b->records->apex_labels,
        .apex_size = b->records->apex_size,
    };
    memcpy(head->apex_name, b->records->apex, b->records->apex_size);
    b->zone->head = head;
    b->zone->radix = zone_at(b->zone, radix);
    resolve_targets(b);
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
    *b = (struct build){.records = records, .diag = diag, .zone = fresh};
    error = run(b);
    free(b->items);
    free(b->nodes);
    free(b->common);
    free(b->group);
    free(b->body.data);
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

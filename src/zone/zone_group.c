#include "zone/zone_group.h"

#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/records_list.h"
#include "zone/zone.h"

uint32_t zone_group_file(const struct zone_group *g, const struct record *record)
{
    const uint8_t *at = (const uint8_t *)record;
    for (size_t i = 0; i < g->owners; i++) {
        const uint8_t *owner = (const uint8_t *)g->items[i].owner;
        if (at >= owner && at < owner + g->items[i].owner->size) {
            return g->items[i].owner->file;
        }
    }
    return UINT32_MAX;
}

/* Diagnostics with the record's place. */
#define record_fault(g, record, ...)                                                               \
    diag_fault((g)->diag, record_file((g)->records, zone_group_file(g, record)), (record)->line,   \
               __VA_ARGS__)
#define record_warn(g, record, ...)                                                                \
    diag_warn((g)->diag, record_file((g)->records, zone_group_file(g, record)), (record)->line,    \
              __VA_ARGS__)

/* For messages: the owner in text, in a buffer of NAME_MAX_TEXT. */
static const char *owner_text(const struct zone_group *g, const struct record_owner *owner,
                              char *text)
{
    uint8_t name[NAME_MAX_OCTETS];
    record_owner_name(g->records, owner, name);
    name_to_text(name, text);
    return text;
}

/* The part of the RDATA of the common types that is names, and has no case. */
static void names_part(const struct record *record, size_t *from, size_t *to)
{
    struct rrtype_names names = rrtype_compressible(record->type);
    *from = *to = names.prefix;
    for (unsigned i = 0; i < names.count; i++) {
        *to += name_size(record->rdata + *to);
    }
    if (record->type == RRTYPE_DNAME || record->type == RRTYPE_SRV) {
        *from = record->type == RRTYPE_SRV ? 6 : 0;
        *to = record->size;
    }
}

/* Zero for what is equal as DNS data; else some order. Both are of one type. */
static int compare_rdata(const struct record *a, const struct record *b)
{
    if (a->size != b->size) {
        return a->size < b->size ? -1 : 1;
    }
    if (memcmp(a->rdata, b->rdata, a->size) == 0) {
        return 0;
    }
    size_t from_a, to_a, from_b, to_b;
    names_part(a, &from_a, &to_a);
    names_part(b, &from_b, &to_b);
    for (size_t i = 0; i < a->size; i++) {
        int x = i >= from_a && i < to_a ? name_lower(a->rdata[i]) : a->rdata[i];
        int y = i >= from_b && i < to_b ? name_lower(b->rdata[i]) : b->rdata[i];
        if (x != y) {
            return x - y;
        }
    }
    return 0;
}

enum { PAIRWISE_MAX = 32 }; /* up to so many records pairs are compared one by one */

/* For sorting more than that: qsort keeps no order of equals, the place does. */
struct placed {
    const struct record *record;
    size_t place;
};

static int compare_places(const struct placed *a, const struct placed *b)
{
    return a->place < b->place ? -1 : 1;
}

static int by_rdata(const void *x, const void *y)
{
    const struct placed *a = x, *b = y;
    int order = compare_rdata(a->record, b->record);
    return order != 0 ? order : compare_places(a, b);
}

/* What records are sorted by: their type, and for signatures the type that they cover. */
static uint32_t sort_value(const struct record *record)
{
    uint32_t value = (uint32_t)record->type << 16;
    if (record->type == RRTYPE_RRSIG && record->size >= 2) {
        value |= wire_get_u16(record->rdata);
    }
    return value;
}

static int by_type(const void *x, const void *y)
{
    const struct placed *a = x, *b = y;
    uint32_t value_a = sort_value(a->record), value_b = sort_value(b->record);
    return value_a != value_b ? (value_a < value_b ? -1 : 1) : compare_places(a, b);
}

/* The records with their places, sorted; NULL where there is no memory. */
static struct placed *sort_placed(const struct record *const *list, size_t count,
                                  int (*compare)(const void *, const void *))
{
    struct placed *placed = malloc(count * sizeof *placed);
    if (placed != NULL) {
        for (size_t i = 0; i < count; i++) {
            placed[i] = (struct placed){list[i], i};
        }
        qsort(placed, count, sizeof *placed, compare);
    }
    return placed;
}

static void warn_duplicate(struct zone_group *g, const struct record *record,
                           const struct record *first)
{
    char type[RRTYPE_TEXT_MAX];
    rrtype_to_text(record->type, type);
    record_warn(g, record, "duplicate %s record, dropped (first on line %u)",
                type, first->line);
}

/* first[i] becomes the first record of the set that set[i] repeats, or set[i] itself. */
static bool find_first(const struct record *const *set, size_t count, const struct record **first)
{
    struct placed *sorted = sort_placed(set, count, by_rdata);
    if (sorted == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        bool same = i > 0 && compare_rdata(sorted[i - 1].record, sorted[i].record) == 0;
        first[sorted[i].place] = same ? first[sorted[i - 1].place] : sorted[i].record;
    }
    free(sorted);
    return true;
}

static size_t drop_from_many(struct zone_group *g, const struct record **set, size_t count)
{
    const struct record **first = malloc(count * sizeof *first);
    if (first == NULL || !find_first(set, count, first)) {
        free(first);
        g->no_memory = true;
        return count;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (first[i] != set[i]) {
            warn_duplicate(g, set[i], first[i]);
        } else {
            set[kept++] = set[i];
        }
    }
    free(first);
    return kept;
}

/* Drops duplicates from a set, order kept; returns how many are left. */
static size_t drop_duplicates(struct zone_group *g, const struct record **set, size_t count)
{
    if (count > PAIRWISE_MAX) {
        return drop_from_many(g, set, count);
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t same = 0;
        while (same < kept && compare_rdata(set[same], set[i]) != 0) {
            same++;
        }
        if (same < kept) {
            warn_duplicate(g, set[i], set[same]);
        } else {
            set[kept++] = set[i];
        }
    }
    return kept;
}

static uint32_t lowest_ttl(struct zone_group *g, const struct record *const *set, size_t count)
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
        record_warn(g, odd,
                    "TTLs differ in the %s RRset; the lowest, %u, is used", type, ttl);
    }
    return ttl;
}

/* By type, signatures by what they cover too; records alike in the order read. False: no memory. */
static bool sort_list(const struct record **list, size_t count)
{
    if (count > PAIRWISE_MAX) {
        struct placed *sorted = sort_placed(list, count, by_type);
        for (size_t i = 0; sorted != NULL && i < count; i++) {
            list[i] = sorted[i].record;
        }
        free(sorted);
        return sorted != NULL;
    }
    for (size_t i = 1; i < count; i++) {
        const struct record *record = list[i];
        uint32_t value = sort_value(record);
        size_t j = i;
        for (; j > 0 && sort_value(list[j - 1]) > value; j--) {
            list[j] = list[j - 1];
        }
        list[j] = record;
    }
    return true;
}

bool zone_group_gather(struct zone_group *g, const struct sort_item *items, size_t count)
{
    g->count = 0;
    g->items = items;
    g->owners = count;
    for (size_t i = 0; i < count; i++) {
        const struct record_owner *owner = items[i].owner;
        if (g->count + owner->count > g->room) {
            size_t room = (g->count + owner->count) * 2;
            const struct record **list = realloc(g->list, room * sizeof *list);
            if (list == NULL) {
                return false;
            }
            g->list = list;
            g->room = room;
        }
        const struct record *record = record_first(owner);
        for (uint32_t r = 0; r < owner->count; r++) {
            g->list[g->count++] = record;
            record = record_next(record);
        }
    }
    return sort_list(g->list, g->count);
}

/* Types that may stand beside a CNAME (RFC 2181 section 10.1, RFC 4034 sections 3 and 4). */
static bool beside_cname(uint16_t type)
{
    return type == RRTYPE_RRSIG || type == RRTYPE_NSEC || type == RRTYPE_KEY ||
           type == RRTYPE_SIG;
}

const struct record *zone_group_find(const struct zone_group *g, uint16_t type)
{
    for (size_t i = 0; i < g->count; i++) {
        if (g->list[i]->type == type) {
            return g->list[i];
        }
    }
    return NULL;
}

static void check_cname(struct zone_group *g, const struct record_owner *owner,
                        const struct record *cname)
{
    char text[NAME_MAX_TEXT];
    for (size_t i = 0; i < g->count; i++) {
        const struct record *other = g->list[i];
        if (other->type != RRTYPE_CNAME && !beside_cname(other->type)) {
            char type[RRTYPE_TEXT_MAX];
            rrtype_to_text(other->type, type);
            const struct record *later = other->line > cname->line ? other : cname;
            record_fault(g, later, "%s has a CNAME beside other data (%s)",
                     owner_text(g, owner, text), type);
            return;
        }
    }
}

/* Rules for one RRset, duplicates already out. */
static void check_set(struct zone_group *g, const struct record_owner *owner,
                      const struct record *const *set, size_t count)
{
    char text[NAME_MAX_TEXT];
    uint16_t type = set[0]->type;
    bool single = type == RRTYPE_CNAME || type == RRTYPE_DNAME || type == RRTYPE_SOA;
    if (single && count > 1) {
        char name[RRTYPE_TEXT_MAX];
        rrtype_to_text(type, name);
        record_fault(g, set[1], "%s has several %s records",
                     owner_text(g, owner, text), name);
    }
    if (type == RRTYPE_SOA && !record_owner_is_apex(owner)) {
        record_fault(g, set[0],
                     "SOA at %s, which is not the zone's apex", owner_text(g, owner, text));
    }
}

/* One RRset, all records of a type, into the body; returns how many stay in the set. */
static size_t add_set(struct zone_group *g, const struct record_owner *owner,
                      const struct rrset_owner *place, const struct record **set, size_t count)
{
    size_t kept = drop_duplicates(g, set, count);
    check_set(g, owner, set, kept);
    size_t before = g->built.body.size;
    uint32_t ttl = set[0]->type == RRTYPE_RRSIG ? 0 : lowest_ttl(g, set, kept);
    rrset_build(&g->built, place, set, kept, ttl);
    if (!g->built.body.failed) {
        const void *built = g->built.body.data + before;
        const struct rrset *rrset = built;
        size_t message = (size_t)MESSAGE_HEADER + place->size + 4 + rrset->block_size;
        if (message > MESSAGE_MAX || kept > UINT16_MAX) {
            record_fault(g, set[0],
                         "RRset of %zu records is too large for a DNS message", kept);
        }
    }
    g->records_kept += kept;
    return kept;
}

void zone_group_build(struct zone_group *g, const struct record_owner *owner,
                      const struct rrset_owner *place)
{
    const struct record *cname = zone_group_find(g, RRTYPE_CNAME);
    if (cname != NULL) {
        check_cname(g, owner, cname);
    }
    g->built.body.size = 0;
    g->built.noted.size = 0;
    g->rrsets = 0;
    size_t kept = 0;
    for (size_t from = 0, to; from < g->count; from = to, g->rrsets++) {
        const struct record **set = g->list + from;
        for (to = from + 1; to < g->count && g->list[to]->type == set[0]->type; to++) {
        }
        size_t left = add_set(g, owner, place, set, to - from);
        memmove(g->list + kept, set, left * sizeof *set);
        kept += left;
    }
    g->count = kept;
}

void zone_group_free(struct zone_group *g)
{
    free(g->list);
    rrset_builder_free(&g->built);
}

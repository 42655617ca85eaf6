#include "zone/zone_group.h"

#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "zone/records_list.h"
#include "zone/zone.h"

/* For messages: the owner in text, in a buffer of NAME_MAX_TEXT. */
static const char *owner_text(const struct zone_group *g, const struct record_owner *owner,
                              char *text)
{
    uint8_t name[NAME_MAX_OCTETS];
    record_owner_name(g->records, owner, name);
    name_to_text(name, text);
    return text;
}

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
static size_t drop_duplicates(struct zone_group *g, const struct record **set, size_t count)
{
    const struct record **sorted = NULL;
    if (count > PAIRWISE_MAX) {
        sorted = malloc(count * sizeof *sorted);
        if (sorted == NULL) {
            g->no_memory = true;
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
            record_warn(g->records, g->diag, set[i], "duplicate %s record, dropped (first on line %u)", type,
                    same->line);
        } else {
            set[kept++] = set[i];
        }
    }
    free(sorted);
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
        record_warn(g->records, g->diag, odd, "TTLs differ in the %s RRset; the lowest, %u, is used", type, ttl);
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
static void sort_list(const struct record **list, size_t count)
{
    if (count > PAIRWISE_MAX) {
        qsort(list, count, sizeof *list, compare_types);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        const struct record *record = list[i];
        size_t j = i;
        for (; j > 0 && list[j - 1]->type > record->type; j--) {
            list[j] = list[j - 1];
        }
        list[j] = record;
    }
}

bool zone_group_gather(struct zone_group *g, const struct sort_item *items, size_t count)
{
    g->count = 0;
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
    sort_list(g->list, g->count);
    return true;
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
            record_fault(g->records, g->diag, later, "%s has a CNAME beside other data (%s)",
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
        record_fault(g->records, g->diag, set[1], "%s has several %s records", owner_text(g, owner, text), name);
    }
    if (type == RRTYPE_SOA && !record_owner_is_apex(owner)) {
        record_fault(g->records, g->diag, set[0], "SOA at %s, which is not the zone's apex", owner_text(g, owner, text));
    }
}

/* One RRset of the group into the body; returns the records it took. */
static size_t add_set(struct zone_group *g, const struct record_owner *owner,
                      const struct rrset_owner *place, size_t from)
{
    const struct record **set = g->list + from;
    size_t count = 1;
    while (from + count < g->count && set[count]->type == set[0]->type) {
        count++;
    }
    size_t kept = drop_duplicates(g, set, count);
    check_set(g, owner, set, kept);
    size_t before = g->built.body.size;
    uint32_t ttl = set[0]->type == RRTYPE_RRSIG ? set[0]->ttl : lowest_ttl(g, set, kept);
    rrset_build(&g->built, place, set, kept, ttl);
    if (!g->built.body.failed) {
        const struct rrset *rrset = (const struct rrset *)(const void *)(g->built.body.data + before);
        size_t message = (size_t)MESSAGE_HEADER + place->size + 4 + rrset->block_size;
        if (message > MESSAGE_MAX || kept > UINT16_MAX) {
            record_fault(g->records, g->diag, set[0], "RRset of %zu records is too large for a DNS message", kept);
        }
    }
    g->records_kept += kept;
    return count;
}

void zone_group_build(struct zone_group *g, const struct record_owner *owner,
                      const struct rrset_owner *place)
{
    const struct record *cname = zone_group_find(g, RRTYPE_CNAME);
    if (cname != NULL) {
        check_cname(g, owner, cname);
    }
    g->built.body.size = 0;
    g->rrsets = 0;
    for (size_t i = 0; i < g->count; g->rrsets++) {
        i += add_set(g, owner, place, i);
    }
}

void zone_group_free(struct zone_group *g)
{
    free(g->list);
    rrset_builder_free(&g->built);
}

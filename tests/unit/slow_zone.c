#include "slow_zone.h"

#include <stdlib.h>
#include <string.h>

#include "dns/rrtype.h"
#include "dns/wire.h"
#include "make_zone.h"

void slow_init(struct slow_zone *zone, const uint8_t *apex)
{
    *zone = (struct slow_zone){0};
    memcpy(zone->apex, apex, names_size(apex));
    static const uint8_t soa[] = "\2ns\0\4host\0"
                                 "\0\0\0\1"
                                 "\0\0\34\40"
                                 "\0\0\3\204"
                                 "\0\1\121\200"
                                 "\0\0\1\54";
    slow_add(zone, apex, RRTYPE_SOA, 3600, soa, sizeof soa - 1);
    slow_add(zone, apex, RRTYPE_NS, 3600, "\2ns", 4);
}

void slow_free(struct slow_zone *zone)
{
    free(zone->records);
    *zone = (struct slow_zone){0};
}

static bool allowed(const struct slow_zone *zone, const struct slow_record *fresh)
{
    for (size_t i = 0; i < zone->count; i++) {
        const struct slow_record *r = &zone->records[i];
        if (names_compare(r->owner, fresh->owner) != 0) {
            continue;
        }
        if (r->type == RRTYPE_CNAME || fresh->type == RRTYPE_CNAME) {
            return false;
        }
        if (r->type != fresh->type) {
            continue;
        }
        if (r->type == RRTYPE_DNAME || r->type == RRTYPE_SOA) {
            return false;
        }
        bool names = r->type != RRTYPE_A && r->type != RRTYPE_AAAA && r->type != RRTYPE_TXT &&
                     r->type != RRTYPE_DS;
        bool same = r->size == fresh->size;
        for (size_t k = 0; same && k < r->size; k++) {
            same = r->rdata[k] == fresh->rdata[k] ||
                   (names && name_lower(r->rdata[k]) == name_lower(fresh->rdata[k]));
        }
        if (same) {
            return false;
        }
    }
    return true;
}

bool slow_add(struct slow_zone *zone, const uint8_t *owner, uint16_t type, uint32_t ttl,
              const void *rdata, size_t size)
{
    if (zone->count == zone->room) {
        zone->room = zone->room == 0 ? 16 : 2 * zone->room;
        zone->records = realloc(zone->records, zone->room * sizeof *zone->records);
    }
    struct slow_record *r = &zone->records[zone->count];
    *r = (struct slow_record){.type = type, .ttl = ttl, .size = size};
    ck_assert_uint_le(size, sizeof r->rdata);
    memcpy(r->owner, owner, names_size(owner));
    memcpy(r->rdata, rdata, size);
    if (!allowed(zone, r)) {
        return false;
    }
    for (size_t i = 0; i < zone->count; i++) {
        if (zone->records[i].type == type && names_compare(zone->records[i].owner, owner) == 0) {
            r->ttl = zone->records[i].ttl;
            break;
        }
    }
    zone->count++;
    return true;
}

/* Some name: of the zone mostly, an owner often. */
static void random_target(struct rng *rng, const struct slow_zone *zone, enum names_kind kind,
                          uint8_t *name)
{
    if (rng_once_in(rng, 2)) {
        const uint8_t *owner = zone->records[rng_below(rng, (unsigned)zone->count)].owner;
        memcpy(name, owner, names_size(owner));
    } else {
        names_random(rng, kind, rng_once_in(rng, 8) ? names_wire("b.") : zone->apex, 4, name);
    }
}

static void add_random(struct rng *rng, struct slow_zone *zone, enum names_kind kind)
{
    static const uint16_t types[] = {RRTYPE_A,   RRTYPE_A,     RRTYPE_AAAA,  RRTYPE_NS,
                                     RRTYPE_NS,  RRTYPE_CNAME, RRTYPE_CNAME, RRTYPE_DNAME,
                                     RRTYPE_TXT, RRTYPE_MX,    RRTYPE_SRV,   RRTYPE_DS};
    uint8_t owner[NAME_MAX_OCTETS], rdata[6 + NAME_MAX_OCTETS];
    names_random(rng, kind, zone->apex, 4, owner);
    uint16_t type = types[rng_below(rng, sizeof types / sizeof types[0])];
    size_t size;
    switch (type) {
    case RRTYPE_A:
        size = 4;
        rng_fill(rng, rdata, size);
        break;
    case RRTYPE_AAAA:
        size = 16;
        rng_fill(rng, rdata, size);
        break;
    case RRTYPE_TXT:
        size = 1 + rng_below(rng, 40);
        rng_fill(rng, rdata, size);
        rdata[0] = (uint8_t)(size - 1);
        break;
    case RRTYPE_DS:
        size = 36;
        rng_fill(rng, rdata, size);
        break;
    default:
        size = type == RRTYPE_MX ? 2 : type == RRTYPE_SRV ? 6 : 0;
        rng_fill(rng, rdata, size);
        random_target(rng, zone, kind, rdata + size);
        size += names_size(rdata + size);
        break;
    }
    slow_add(zone, owner, type, 60 + rng_below(rng, 100000), rdata, size);
}

void slow_random(struct rng *rng, struct slow_zone *zone, enum names_kind kind, size_t count)
{
    while (count-- > 0) {
        add_random(rng, zone, kind);
    }
}

struct records *slow_records(const struct slow_zone *zone)
{
    struct records *records = records_new(zone->apex);
    records_file(records, "slow");
    for (size_t i = 0; i < zone->count; i++) {
        const struct slow_record *r = &zone->records[i];
        make_record(records, r->owner, r->type, r->ttl, r->rdata, r->size, 0, (uint32_t)i + 1);
    }
    return records;
}

bool slow_owns(const struct slow_zone *zone, const uint8_t *name, uint16_t type)
{
    for (size_t i = 0; i < zone->count; i++) {
        if (zone->records[i].type == type && names_compare(zone->records[i].owner, name) == 0) {
            return true;
        }
    }
    return false;
}

bool slow_exists(const struct slow_zone *zone, const uint8_t *name)
{
    for (size_t i = 0; i < zone->count; i++) {
        if (names_under(zone->records[i].owner, name)) {
            return names_under(name, zone->apex);
        }
    }
    return false;
}

static bool is_star(const uint8_t *name)
{
    return name[0] == 1 && name[1] == '*';
}

static const uint8_t *ancestor(const uint8_t *name, unsigned labels)
{
    for (unsigned skip = names_labels(name) - labels; skip > 0; skip--) {
        name += 1u + *name;
    }
    return name;
}

void slow_lookup(const struct slow_zone *zone, const uint8_t *name, struct slow_match *match)
{
    *match = (struct slow_match){.exact = slow_exists(zone, name)};
    unsigned top = names_labels(zone->apex), all = names_labels(name);

    unsigned labels = all;
    while (!slow_exists(zone, ancestor(name, labels))) {
        labels--;
    }
    const uint8_t *encloser = ancestor(name, labels);
    memcpy(match->encloser, encloser, names_size(encloser));

    /* From the apex down: the first cut or DNAME met hides all that is below it. */
    for (unsigned n = top; n <= all && !match->has_cut && !match->has_dname; n++) {
        const uint8_t *at = ancestor(name, n);
        if (n > top && slow_owns(zone, at, RRTYPE_NS) && !is_star(at)) {
            match->has_cut = true;
            memcpy(match->cut, at, names_size(at));
        } else if (n < all && slow_owns(zone, at, RRTYPE_DNAME)) {
            match->has_dname = true;
            memcpy(match->dname, at, names_size(at));
        }
    }
    if (match->exact || match->has_cut || match->has_dname) {
        return;
    }
    memcpy(match->wildcard, match->encloser, sizeof match->wildcard);
    match->has_wildcard =
        names_prepend(match->wildcard, "*", 1) && slow_exists(zone, match->wildcard);
}

static int compare_names(const void *x, const void *y)
{
    return names_compare(x, y);
}

size_t slow_names(const struct slow_zone *zone, uint8_t (**result)[NAME_MAX_OCTETS])
{
    size_t count = 0, room = 0;
    unsigned top = names_labels(zone->apex);
    for (size_t i = 0; i < zone->count; i++) {
        room += names_labels(zone->records[i].owner) - top + 1;
    }
    uint8_t(*names)[NAME_MAX_OCTETS] = malloc(room * sizeof *names);
    /* Owners first, so that their case is what counts for names that are both. */
    for (int inner = 0; inner < 2; inner++) {
        for (size_t i = 0; i < zone->count; i++) {
            const uint8_t *owner = zone->records[i].owner;
            unsigned from = inner ? top : names_labels(owner);
            for (unsigned n = from; n <= names_labels(owner); n++) {
                const uint8_t *name = ancestor(owner, n);
                bool known = false;
                for (size_t k = 0; k < count && !known; k++) {
                    known = names_compare(names[k], name) == 0;
                }
                if (!known) {
                    memcpy(names[count++], name, names_size(name));
                }
            }
        }
    }
    qsort(names, count, sizeof *names, compare_names);
    *result = names;
    return count;
}

/*
 * The slow and obvious zone: a list of records, every question answered by going through all of
 * it. What the real zone is compared with; shares no code with it.
 */
#ifndef RRDNS_TESTS_SLOW_ZONE_H
#define RRDNS_TESTS_SLOW_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "names.h"
#include "zone/records.h"

enum { SLOW_RDATA_MAX = 540 };

struct slow_record {
    uint8_t owner[NAME_MAX_OCTETS];
    uint16_t type;
    uint32_t ttl;
    size_t size;
    uint8_t rdata[SLOW_RDATA_MAX];
};

struct slow_zone {
    uint8_t apex[NAME_MAX_OCTETS];
    struct slow_record *records;
    size_t count, room;
};

/* An empty zone with an SOA and an NS at the apex. */
void slow_init(struct slow_zone *zone, const uint8_t *apex);
void slow_free(struct slow_zone *zone);

/*
 * Adds a record unless it breaks a rule (CNAME beside other data, a second CNAME, DNAME or SOA, an
 * RRset with the same RDATA twice, be it but for case); false then. The TTL of an RRset is that of
 * its first record.
 */
bool slow_add(struct slow_zone *zone, const uint8_t *owner, uint16_t type, uint32_t ttl,
              const void *rdata, size_t size);

/* Records of one of many types with random RDATA at names of a kind; names in RDATA mostly in the
 * zone. About count of them. */
void slow_random(struct rng *rng, struct slow_zone *zone, enum names_kind kind, size_t count);

/* All records, into new records to be built from. */
struct records *slow_records(const struct slow_zone *zone);

bool slow_owns(const struct slow_zone *zone, const uint8_t *name, uint16_t type);
bool slow_exists(const struct slow_zone *zone, const uint8_t *name);

/* As struct zone_match, but in names; has_x tells whether there is one. */
struct slow_match {
    bool exact, has_cut, has_dname, has_wildcard;
    uint8_t encloser[NAME_MAX_OCTETS];
    uint8_t cut[NAME_MAX_OCTETS];
    uint8_t dname[NAME_MAX_OCTETS];
    uint8_t wildcard[NAME_MAX_OCTETS];
};
void slow_lookup(const struct slow_zone *zone, const uint8_t *name, struct slow_match *match);

/*
 * All names that exist, empty non-terminals included, in canonical order, each once. Case as in
 * the first record of the name. The array is malloc'd.
 */
size_t slow_names(const struct slow_zone *zone, uint8_t (**names)[NAME_MAX_OCTETS]);

#endif

/*
 * Zones for tests, from text that ldns reads: one record a line, owners and names absolute or
 * relative to the apex. Independent of our own scanner, and every line's number is known.
 *
 *     struct zone *zone = make_zone("example.", "@ SOA ns host 1 2 3 4 300\n"
 *                                               "@ NS ns\n"
 *                                               "ns A 192.0.2.1\n");
 *
 * The TTL is 3600 where none is given. Empty lines and lines beginning with ';' are passed over. A
 * line "$FILE name number" makes what follows come from the file `name`, its first line having
 * that number; at first it is line 1 of "zone".
 */
#ifndef RRDNS_TESTS_MAKE_ZONE_H
#define RRDNS_TESTS_MAKE_ZONE_H

#include "base/diag.h"
#include "zone/records.h"
#include "zone/zone.h"

/* Adds what text says to records; lines outside the apex end the test. */
void make_records(struct records *records, const char *apex, const char *text);

/* One record of any owner and RDATA. */
void make_record(struct records *records, const uint8_t *owner, uint16_t type, uint32_t ttl,
                 const void *rdata, size_t size, uint32_t file, uint32_t line);

/* The zone, which must build without a fault. */
struct zone *make_zone(const char *apex, const char *text);

/* The zone of records, which are freed, likewise. */
struct zone *make_built(struct records *records);

/* What a build said, kept or refused. */
struct made {
    int error;
    struct zone *zone; /* NULL where refused */
    struct diag diag;
};
struct made make_try(const char *apex, const char *text);
struct made make_try_records(struct records *records); /* frees records */
void make_free(struct made *made);

/* Faults and warnings of a diag, "fault: " or "warning: " before each and a newline after. */
const char *make_told(const struct diag *diag);

/* The start of every zone that is not about SOA: an SOA with minimum 300 and an NS outside. */
#define MAKE_APEX "@ SOA ns.elsewhere. host.elsewhere. 1 7200 900 86400 300\n@ NS ns.elsewhere.\n"

#endif

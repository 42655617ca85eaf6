/*
 * Records on their way from a master file into a zone: an append-only list, in the order read,
 * that the scanner fills and zone_build sorts. Owner names are given once for a run of records.
 */
#ifndef RRDNS_ZONE_RECORDS_H
#define RRDNS_ZONE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct records;

/* apex: wire name, copied. NULL where there is no memory. */
struct records *records_new(const uint8_t *apex);
void records_free(struct records *records);

/*
 * Makes owner (an uncompressed wire name, case kept) the owner of the records that follow.
 * Returns 0, RR_ENOENT where it is not under the apex (nothing changes; the caller warns and
 * skips), RR_ENOMEM.
 */
int records_owner(struct records *records, const uint8_t *owner);

/*
 * Room for the RDATA of the next record, 65535 octets, valid until the next call on records;
 * NULL where there is no memory. The caller fills it and calls records_add.
 */
uint8_t *records_room(struct records *records);

/*
 * Adds a record of the current owner whose RDATA (uncompressed wire form, size octets) stands in
 * the room asked for last. file is an index given by the caller (records_file), line counts from 1.
 * RDATA is taken as it is: the scanner has checked its form. size is at most 65535.
 */
void records_add(struct records *records, uint16_t type, uint32_t ttl, size_t size, uint32_t file,
                 uint32_t line);

/* Registers a file name (copied) for use in places; returns its index, or UINT32_MAX: no memory. */
uint32_t records_file(struct records *records, const char *path);

/* Records added so far. */
size_t records_count(const struct records *records);

#endif

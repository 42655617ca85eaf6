/*
 * Records on their way from a master file into a zone: an append-only list, in the order read,
 * that the scanner fills and zone_build sorts. Owner names are given once for a run of records.
 *
 * A large list is split into parts by owner name, each with the names between two limits. So parts
 * can be sorted and built by several threads, and each fits the caches while it is.
 */
#ifndef RRDNS_ZONE_RECORDS_H
#define RRDNS_ZONE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/key.h"

struct records;

/* apex: wire name, copied. NULL where there is no memory. */
struct records *records_new(const uint8_t *apex);

/* Makes the list an empty one for another zone, as records_new would; the little memory that most
 * zones need is kept for it. */
void records_renew(struct records *records, const uint8_t *apex);

void records_free(struct records *records);

/*
 * Splits an empty list into about `parts` parts (at most RECORDS_PARTS_MAX) of about as many names
 * each, going by samples: keys, from the root, of names that will come, in any order; names
 * that lie elsewhere cost balance, nothing else. Returns 0 or RR_ENOMEM.
 */
enum { RECORDS_PARTS_MAX = 256 };
int records_split(struct records *records, const struct key *samples, size_t count, size_t parts);

/* An empty list with the same apex and parts, to be joined later. NULL: no memory. */
struct records *records_like(const struct records *records);

/*
 * Moves all records of `from`, which was made by records_like, behind those of `records`. From then
 * on records takes no more of its own.
 */
void records_join(struct records *records, struct records *from);

/* Takes all records out again; apex, parts and files stay. */
void records_clear(struct records *records);

/*
 * Makes owner (an uncompressed wire name, case kept) the owner of the records that follow.
 * Returns 0, RR_ENOENT where it is not under the apex (nothing changes; the caller warns and
 * skips), RR_ENOMEM.
 */
int records_owner(struct records *records, const uint8_t *owner);

/* The calling thread's room for the RDATA of its next record, 65535 octets: filled, and then
 * records_add called, or not. */
uint8_t *records_room(void);

/*
 * Adds a record of the current owner whose RDATA (uncompressed wire form, size octets) stands in
 * the thread's room. file is an index given by records_file, line counts from 1. RDATA is taken as it
 * is: the scanner has checked its form. size is at most 65535. Returns 0 or RR_ENOMEM.
 */
int records_add(struct records *records, uint16_t type, uint32_t ttl, size_t size, uint32_t file,
                uint32_t line);

/* Registers a file name (copied) for use in places; returns its index, or UINT32_MAX: no memory. */
uint32_t records_file(struct records *records, const char *path);

/* Records added so far. */
size_t records_count(const struct records *records);

#endif

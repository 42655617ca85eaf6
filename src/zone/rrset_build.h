/*
 * One RRset: records of a type at an owner -> struct rrset, compressed within itself.
 */
#ifndef RRDNS_ZONE_RRSET_BUILD_H
#define RRDNS_ZONE_RRSET_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zone/records_list.h"

/* Bytes that grow; `failed` sticks where there was no memory. */
struct bytes {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

struct rrset_owner {
    const uint8_t *name;     /* whole wire name, case as written */
    uint8_t size;
    bool wildcard;           /* the first label may stand for another: no pointer to it */
    bool delegation;         /* for NS: targets under the owner are required glue */
    const uint8_t *apex;     /* targets outside it are none of ours */
};

/*
 * Appends to body the RRset of count records, all of one type, with the given TTL. body's size is a
 * multiple of 8 before and after.
 */
void rrset_build(struct bytes *body, const struct rrset_owner *owner,
                 const struct record *const *records, size_t count, uint32_t ttl);

/* n octets more at the end of bytes, zeroed; NULL where there is no memory. */
uint8_t *bytes_grow(struct bytes *bytes, size_t n);

#endif

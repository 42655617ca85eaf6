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
    const uint8_t *name;     /* whole wire name, case as written; not read for RRsets whose type
                                has no names to compress and no targets */
    uint8_t size;
    bool wildcard;           /* the first label may stand for another: no pointer to it */
    bool delegation;         /* for NS: targets under the owner are required glue */
    const uint8_t *apex;     /* targets outside it are none of ours */
};

/* Where RRsets are built, one behind the other; spare parts are kept for the next. */
struct rrset_builder {
    struct bytes body;    /* the RRsets, each padded to a multiple of 8 octets */
    struct bytes patches; /* of the one being built: uint16_t */
    struct bytes targets; /* likewise: struct rrset_target */
    struct bytes noted;   /* const struct record *: those that the targets of all RRsets in body are
                             of, in order; emptied by who empties body */
};

/*
 * Appends to builder->body the RRset of count records, all of one type, with the given TTL; only
 * signatures keep their own, that of what they sign (RFC 4034 section 3). Where there is no memory
 * body.failed is set.
 */
void rrset_build(struct rrset_builder *builder, const struct rrset_owner *owner,
                 const struct record *const *records, size_t count, uint32_t ttl);

void rrset_builder_free(struct rrset_builder *builder);

/* Room for n octets more at the end. False, and failed, where there is no memory. */
bool bytes_grow(struct bytes *bytes, size_t n);
static inline bool bytes_reserve(struct bytes *bytes, size_t n)
{
    return n <= bytes->capacity - bytes->size ? !bytes->failed : bytes_grow(bytes, n);
}

#endif

/*
 * Whether an RRset of an image is one that rrset_build could have made.
 */
#ifndef RRDNS_ZONE_RRSET_CHECK_H
#define RRDNS_ZONE_RRSET_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zone/zone.h"

struct rrset_check_owner {
    const uint8_t *name; /* whole wire name; case does not matter */
    uint8_t size;
    uint8_t shared; /* octets of its end that may be pointed into: less for a wildcard */
};

/*
 * Checks the RRset, of which no more than room octets may be touched: its span, its records and
 * their RDATA, that every placeholder leads to a name and that the patch table lists just them, and
 * that a table of targets stands only where the type has any. Not what the targets say. Returns
 * NULL, or what is wrong (static text).
 */
const char *rrset_check(const struct rrset *rrset, size_t room,
                        const struct rrset_check_owner *owner);

/* Whether `negative`, of which as many octets as soa has may be touched, is that SOA with the TTL
 * of negative answers. */
bool rrset_is_negative_soa(const struct rrset *negative, const struct rrset *soa);

#endif

/*
 * What a signature is made over: an RRset in canonical form (RFC 4034 sections 3.1.8.1, 6.2, 6.3,
 * RFC 6840 section 5.1).
 */
#ifndef RRDNS_DNSSEC_CANONICAL_H
#define RRDNS_DNSSEC_CANONICAL_H

#include <stddef.h>
#include <stdint.h>

#include "zone/zone.h"

/* Octets that grow as need be and are used again. A zeroed one is empty. */
struct canonical {
    uint8_t *data;
    size_t size, room;
};

void canonical_free(struct canonical *canonical);

/* Appends size octets: 0 or RR_ENOMEM. */
int canonical_octets(struct canonical *canonical, const uint8_t *octets, size_t size);

/*
 * Appends the records of the RRset, sorted, duplicates out, names in lower case: owner is the name
 * that stands before each (for a wildcard that was expanded and is signed as such "*" and the
 * closest encloser), ttl the original TTL. Returns 0 or RR_ENOMEM.
 */
int canonical_rrset(struct canonical *canonical, const struct rrset *rrset, const uint8_t *owner,
                    uint32_t ttl);

#endif

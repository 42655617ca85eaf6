/*
 * The hash of NSEC3 (RFC 5155 section 5).
 */
#ifndef RRDNS_DNSSEC_NSEC3_H
#define RRDNS_DNSSEC_NSEC3_H

#include <stdbool.h>
#include <stdint.h>

#include "zone/nsec3_chain.h"
#include "zone/zone.h"

/* What hashing needs, made once and used by one thread. */
struct nsec3_hasher;

/* NULL where there is no memory, or OpenSSL has no SHA-1. */
struct nsec3_hasher *nsec3_hasher_new(void);
void nsec3_hasher_free(struct nsec3_hasher *hasher); /* NULL is harmless */

/* The hash of an uncompressed wire name, whatever its case. Allocates nothing. False where OpenSSL
 * fails, for which there is no known reason. */
bool nsec3_hash(struct nsec3_hasher *hasher, const struct nsec3_params *params,
                const uint8_t *name, uint8_t hash[NSEC3_HASH]);

#endif

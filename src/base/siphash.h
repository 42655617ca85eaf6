/*
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed hash that a peer who does not know the key
 * can't steer. For server cookies (RFC 9018) and tables indexed by what peers choose.
 */
#ifndef RRDNS_BASE_SIPHASH_H
#define RRDNS_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash24(const uint8_t key[16], const void *data, size_t size);

#endif

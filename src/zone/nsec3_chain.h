/*
 * The NSEC3 records of a zone as one list in the order of their hashes (RFC 5155), for the
 * parameters that the zone's NSEC3PARAM tells. Made at build; zones without have none.
 *
 * The list has only what decides nearly every comparison, the first octets of a hash: the rest is
 * looked up in the owner's name where those are equal.
 */
#ifndef RRDNS_ZONE_NSEC3_CHAIN_H
#define RRDNS_ZONE_NSEC3_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "zone/zone.h"

enum {
    NSEC3_HASH = 20, /* octets of a SHA-1 */
    /*
     * Iterations up to which a chain is used: each is a SHA-1 more for every name hashed, of which
     * an answer has three, and more for deep names. RFC 9276 wants none, and validators take what
     * is over 50 to 150 as unsigned; but a zone with more, as RFC 5155 section 10.3 allowed keys
     * of 2048 bits, must be served with its proofs: without them it would be bogus, not unsigned.
     */
    NSEC3_ITERATIONS_MAX = 500,
};

struct nsec3_entry {
    uint32_t start; /* the first four octets of the hash, as a number */
    arena_ref node;
};

struct nsec3_chain {
    uint32_t count; /* at least 1 */
    uint16_t iterations;
    uint8_t salt_size;
    uint8_t reserved;
    struct nsec3_entry entries[]; /* and then the salt */
};

/* How names are hashed (RFC 5155 section 5), by SHA-1. */
struct nsec3_params {
    const uint8_t *salt;
    uint16_t iterations;
    uint8_t salt_size;
};

/* The chain of a zone whose denial is ZONE_NSEC3, and its parameters. */
static inline const struct nsec3_chain *nsec3_chain_of(const struct zone *zone)
{
    return zone_at(zone, zone->head->nsec3);
}

static inline struct nsec3_params nsec3_chain_params(const struct nsec3_chain *chain)
{
    return (struct nsec3_params){(const uint8_t *)(chain->entries + chain->count),
                                 chain->iterations, chain->salt_size};
}

/* Whether a chain with this RDATA of an NSEC3PARAM can be used: it is for SHA-1, without flags, and
 * within NSEC3_ITERATIONS_MAX. Of several at the apex the first such one tells the chain. */
bool nsec3_params_usable(const uint8_t *rdata, size_t size);

/*
 * Puts the list for a zone under construction, whose nodes these are in order (the apex first),
 * into its arena; *chain is 0 where there is nothing to list. False: no memory.
 */
bool nsec3_chain_build(struct zone *zone, const arena_ref *nodes, size_t count, arena_ref *chain);

/* Whether the list of an image, whose nodes are known to be good, is within it and just what
 * nsec3_chain_build would make. */
bool nsec3_chain_check(const struct zone *zone);

/* The node with the NSEC3 that matches the hash (*exact) or else covers it. */
const struct node *nsec3_chain_find(const struct zone *zone, const uint8_t hash[NSEC3_HASH],
                                    bool *exact);

#endif

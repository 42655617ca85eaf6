/*
 * Signatures of a zone's RRsets by one key, made when first asked for and kept: filled and read
 * by all workers without locks.
 *
 * An index (open addressing) finds the slot of an RRset; slots are handed out one after another
 * from one region. So memory is what the signatures made so far need, wherever in the zone their
 * RRsets are, and never more than one slot for each RRset. A slot is replaced in place when its
 * signature gets old; a sequence number tells readers that they read in the middle of that.
 */
#ifndef RRDNS_DNSSEC_SIGSTORE_H
#define RRDNS_DNSSEC_SIGSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which RRset of the zone: its node and type. Never 0. */
typedef uint64_t sigstore_key;

static inline sigstore_key sigstore_key_of(uint32_t node, uint16_t type)
{
    return (uint64_t)node << 16 | type;
}

static inline uint32_t sigstore_key_node(sigstore_key key)
{
    return (uint32_t)(key >> 16);
}

static inline uint16_t sigstore_key_type(sigstore_key key)
{
    return (uint16_t)key;
}

struct sigstore;

/* Room for `most` signatures of `size` octets each; only what is used takes memory. NULL: none. */
struct sigstore *sigstore_new(size_t most, size_t size);
/* References are counted by loaders alone, as those of zones. */
struct sigstore *sigstore_ref(struct sigstore *store);
void sigstore_unref(struct sigstore *store); /* NULL is harmless */

struct sigstore_times {
    uint32_t inception, expiration; /* as RRSIG has them */
};

/* Copies the signature (size octets) and its times. False where there is none (now). */
bool sigstore_get(const struct sigstore *store, sigstore_key key, struct sigstore_times *times,
                  uint8_t *signature);

/* Keeps a signature, in place of an older one of the same key. Where another thread does so at the
 * same time, or there is no room, it isn't kept: false. */
bool sigstore_put(struct sigstore *store, sigstore_key key, struct sigstore_times times,
                  const uint8_t *signature);

/* Signatures kept, octets of memory that they and the index take (not counting what was never
 * touched). */
size_t sigstore_count(const struct sigstore *store);
size_t sigstore_octets(const struct sigstore *store);

/* The nth kept, n below the count: its key (0: none, passed over) and times. */
sigstore_key sigstore_at(const struct sigstore *store, size_t n, struct sigstore_times *times);

#endif

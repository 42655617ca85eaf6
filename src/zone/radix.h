/*
 * The search tree: a static radix trie over sorted keys (dns/key.h), qp style.
 *
 * Every branch looks at one symbol of the key and has a bitmap of the symbols that occur there;
 * its children stand side by side, found by counting bits. An entry is 12 octets, a branch or a
 * leaf, and a trie of n keys has at most 2n - 1 of them (about 1.3 n for real names). The trie
 * does not hold keys: a search goes down by the symbols where keys differ and ends at the one leaf
 * whose key shares the longest beginning with the one sought. The caller compares there, and all
 * else (exact match, closest encloser, nearest apex) follows from that leaf's links to its
 * ancestors, because an ancestor's key is a beginning of its own.
 *
 * Built once over all keys in order; there is no insert and no delete. Entries lie in an arena or
 * in any other memory: a radix is a pointer to entries that refer to each other by index.
 */
#ifndef RRDNS_ZONE_RADIX_H
#define RRDNS_ZONE_RADIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/key.h"

/*
 * Leaf: meta has RADIX_LEAF set, value is the caller's. Branch: bits 0-45 of bitmap (low in
 * bits, the rest in meta) say which symbols have a child, meta's upper bits at which symbol of the
 * key, value is the index of the first child.
 */
struct radix_entry {
    uint32_t low;   /* bitmap bits 0-31 */
    uint32_t meta;  /* bits 0-13: bitmap bits 32-45; 14-30: symbol position; 31: leaf */
    uint32_t value;
};

enum { RADIX_LEAF_BIT = 31, RADIX_POSITION_SHIFT = 14 };

static inline bool radix_is_leaf(const struct radix_entry *e)
{
    return e->meta >> RADIX_LEAF_BIT != 0;
}

static inline uint32_t radix_position(const struct radix_entry *e)
{
    return e->meta >> RADIX_POSITION_SHIFT & 0x1ffff;
}

static inline uint64_t radix_bitmap(const struct radix_entry *e)
{
    return (uint64_t)(e->meta & 0x3fff) << 32 | e->low;
}

/* The value of the leaf whose key shares the longest beginning with symbols. entries[0] is the
 * root; the trie must not be empty. */
uint32_t radix_search(const struct radix_entry *entries, const uint8_t *symbols, size_t size);

/* A search in steps, for interleaving many: each step touches one entry, asked for before. */
struct radix_cursor {
    const struct radix_entry *entries;
    const struct radix_entry *at; /* NULL: nothing to search; a leaf: done */
    const uint8_t *symbols;
    size_t size;
};

enum { RADIX_MANY_MAX = 64 };

/* Runs count searches (at most RADIX_MANY_MAX) to their leaves, one step of each in turn,
 * prefetching each next entry. */
void radix_search_many(struct radix_cursor *cursors, size_t count);

/*
 * The leaf before the place where a key would stand. common and after say how the key relates to
 * the leaf that a search for it ends at: how many symbols they share, and whether the key sorts
 * after it. Sets *value and returns true, or false where no leaf is before. For a key that is in the
 * trie (after = false) this is the leaf before its own.
 */
bool radix_before(const struct radix_entry *entries, const uint8_t *symbols, size_t size,
                  size_t common, bool after, uint32_t *value);

/* What radix_build asks of the caller: the i-th key in order. */
struct radix_key {
    const uint8_t *symbols;
    uint32_t size;
};

struct radix_source {
    size_t count;
    /* ahead[i] has eight symbols of key i, the first one highest, from behind those that it shares
     * with key i - 1 (of the first key, its first ones), zeros past its end. Who has them spares a
     * look at most keys, which lie cold in memory. NULL: none. */
    const uint64_t *ahead;
    struct radix_key (*key)(const void *context, size_t index);
    uint32_t (*value)(const void *context, size_t index);
    const void *context;
};

/* How many entries radix_build will write for these sorted, distinct keys; common[i] must be
 * key_common of keys i - 1 and i (common[0] is not read). */
size_t radix_count(const uint16_t *common, size_t count);

/* Writes the trie into entries (radix_count of them). common as above; may be overwritten. */
void radix_build(const struct radix_source *source, const uint16_t *common,
                 struct radix_entry *entries);

#endif

/*
 * Keys: names as strings of symbols, made so that memcmp of two keys (shorter first where one
 * is the other's beginning) is the canonical order of RFC 4034 section 6.1, and so that a trie
 * needs a bitmap of 46 bits per branch.
 *
 * A key is the labels from the root side down, each as the symbols of its lower-cased octets and
 * the separator KEY_SEPARATOR = 0 after it. What host names are made of (a-z, 0-9, '-', '_') is
 * one symbol; any other octet is two, a group symbol that sorts where its range sorts and
 * the octet's place in the range. So the key of an ancestor is a beginning of the key of every
 * name under it, always ending in a separator; and since no label is empty, a separator where a
 * label could begin never occurs: past its end a key reads as separators without ambiguity.
 *
 * Keys are made once a query (about a nanosecond an octet) and serve the zone table (from the
 * root) and the zone's tree (from the apex on) alike, because the apex is just a prefix.
 */
#ifndef RRDNS_DNS_KEY_H
#define RRDNS_DNS_KEY_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    KEY_SEPARATOR = 0,
    KEY_SYMBOLS = 46,  /* symbols are 0..45 */
    KEY_BLOCK = 16,    /* symbols looked at at once */
    KEY_MAX = 510,     /* most symbols a 255-octet name can have */
};

struct key {
    uint16_t size; /* symbols used */
    uint8_t symbols[KEY_MAX];
};

/* Whether a first symbol is a group's, followed by a second one. */
static inline bool key_symbol_is_group(uint8_t symbol)
{
    return symbol == 1 || symbol == 3 || symbol == 14 || symbol == 16 ||
           (symbol >= 43 && symbol < KEY_SYMBOLS);
}

/* The key of a well-formed wire name; the root's is empty. */
void key_from_name(const uint8_t *name, struct key *key);

/* The same where it is known where its labels begin. */
void key_from_starts(const uint8_t *name, const uint8_t *starts, unsigned labels, struct key *key);

/* That of its first labels as if they were all: the key relative to the rest of the name. */
void key_from_labels(const uint8_t *name, unsigned labels, struct key *key);

/*
 * The name of a key (lower case) followed by suffix, an uncompressed wire name: with suffix the
 * apex and symbols the part of a key past the apex, this is the whole name again. Writes at most
 * 255 octets to name; returns the octets written, or 0 where symbols are no whole key or the name
 * would be too long.
 */
size_t key_to_name(const uint8_t *symbols, size_t size, const uint8_t *suffix, uint8_t *name);

/* Where the label that begins at `start` of a whole key ends, behind its separator. */
static inline size_t key_label_end(const uint8_t *symbols, size_t start)
{
    while (symbols[start] != KEY_SEPARATOR) {
        start += key_symbol_is_group(symbols[start]) ? 2 : 1;
    }
    return start + 1;
}

/* Eight symbols from `depth` on, the first one highest; zeros past the key's end. depth is at most
 * size. Numbers in order are keys in canonical order, as far as they go. */
static inline uint64_t key_prefix(const uint8_t *symbols, size_t size, size_t depth)
{
    uint64_t word = 0;
    size_t left = size - depth;
    memcpy(&word, symbols + depth, left < sizeof word ? left : sizeof word);
    return be64toh(word);
}

/*
 * One label of a key, with the separator after it, in wire form (lower case, room for 64 octets, no
 * root after it). Returns its octets, or 0 where symbols are anything but one whole label.
 */
size_t key_to_label(const uint8_t *symbols, size_t size, uint8_t *label);

/*
 * The same for a label of octets that have one symbol each, as nearly all have; it is written to
 * end at `end`, as many octets as there are symbols. False where it is another label or none. Works
 * in blocks from the end on: KEY_BLOCK octets before the separator must be readable, whatever they
 * are, and the label's size rounded up to blocks is written.
 */
bool key_to_label_before(const uint8_t *symbols, size_t size, uint8_t *end);

/* Length of the longest common beginning of two symbol strings, in symbols. */
size_t key_common(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

/* Canonical order: negative, zero, positive as a is before, equal to, after b. */
int key_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size);

#endif

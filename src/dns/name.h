/*
 * Domain names in wire form (RFC 1035 section 3.1), uncompressed: length octet, label, ..., 0.
 * All octet values may stand in a label (RFC 2181 section 11); case is kept and ignored in
 * comparisons.
 */
#ifndef RRDNS_DNS_NAME_H
#define RRDNS_DNS_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    NAME_MAX_OCTETS = 255, /* the wire form with the root's zero octet */
    NAME_MAX_LABEL = 63,
    NAME_MAX_LABELS = 127,     /* without the root label */
    NAME_MAX_TEXT = 4 * 255 + 1, /* every octet as \DDD, and the NUL */
};

/* Lower case of A-Z, every other octet as it is. */
extern const uint8_t name_lower_table[256];

static inline uint8_t name_lower(uint8_t octet)
{
    return name_lower_table[octet];
}

/*
 * Octets of the wire name at data, its final zero included, or 0 where the octets are not a
 * whole uncompressed name of at most 255 octets within size.
 */
size_t name_check(const uint8_t *data, size_t size);

/* Octets of a name known to be well formed. */
size_t name_size(const uint8_t *name);

/* Labels without the root's: 0 for ".", 3 for "www.example.com.". */
unsigned name_labels(const uint8_t *name);

/* Equal without regard to case. */
bool name_equal(const uint8_t *a, const uint8_t *b);

/* Whether name is under or equal to ancestor, without regard to case. */
bool name_is_under(const uint8_t *name, const uint8_t *ancestor);

/* The name without its first count labels; count is at most name_labels(name). */
const uint8_t *name_skip(const uint8_t *name, unsigned count);

/*
 * Reads the text form: \DDD and \X escapes, "@" is not special, "." is the root. A name without
 * a final dot gets origin (wire form) appended; where origin is NULL it is taken as absolute.
 * text need not end in NUL. Writes at most 255 octets to name. Returns 0; RR_EINVAL for
 * syntax (empty label, bad escape, empty text); RR_ERANGE for a label over 63 or a name over 255
 * octets.
 */
int name_from_text(const char *text, size_t length, const uint8_t *origin, uint8_t *name);

/*
 * Writes the absolute text form (final dot; escapes where RFC 1035 section 5.1 needs them) and a
 * NUL to text, which has room for NAME_MAX_TEXT. Returns the length without the NUL.
 */
size_t name_to_text(const uint8_t *name, char *text);

#endif

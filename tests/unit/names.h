/*
 * Names for tests: from text, by chance, and compared by the letter of RFC 4034.
 */
#ifndef RRDNS_TESTS_NAMES_H
#define RRDNS_TESTS_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "unit.h"

/*
 * The wire form of an absolute name in text, read by ldns. In one of 256 buffers in turn: good
 * until as many more names were asked for. Not for threads.
 */
const uint8_t *names_wire(const char *text);

/* Text of a wire name, in one of 256 buffers in turn. */
const char *names_text(const uint8_t *name);

/* Canonical order as RFC 4034 section 6.1 words it, label by label, octet by octet. */
int names_compare(const uint8_t *a, const uint8_t *b);

/* Whether name is ancestor or under it, label by label from the end. */
bool names_under(const uint8_t *name, const uint8_t *ancestor);

size_t names_size(const uint8_t *name);
unsigned names_labels(const uint8_t *name);

/*
 * Puts a label before a name, in place; false, and nothing done, where the whole would be longer
 * than 255 octets.
 */
bool names_prepend(uint8_t *name, const void *label, size_t size);

/* What labels random names are made of. */
enum names_kind {
    NAMES_DENSE,  /* "a", "b", "c", "*": names meet all the time */
    NAMES_HOST,   /* letters, digits and hyphens, up to 12 of them, upper case among them */
    NAMES_OCTETS, /* any octets, 0 and 255 more often than others, up to 63 */
    NAMES_LONG,   /* a name of exactly 255 octets of any kind */
    NAMES_MANY,   /* as many labels of one octet as there is room for */
};

/* A random name under apex (or apex itself); most is the largest number of labels added. */
void names_random(struct rng *rng, enum names_kind kind, const uint8_t *apex, unsigned most,
                  uint8_t *name);

/* Turns letters to upper or lower case by chance. */
void names_shuffle_case(struct rng *rng, uint8_t *name);

#endif

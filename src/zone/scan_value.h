/*
 * What entries of a master file are made of: numbers, durations, names, strings. Each reader takes
 * the current token and moves to the next, or leaves a fault in the lexer and returns RR_EINVAL.
 */
#ifndef RRDNS_ZONE_SCAN_VALUE_H
#define RRDNS_ZONE_SCAN_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/wire.h"
#include "zone/lexer.h"

/* Room for a name in wire form. What is past 255 octets lets it be copied in whole blocks. */
enum { SCAN_NAME_ROOM = NAME_MAX_OCTETS + 1 + LEXER_SLACK };

struct scan_name {
    uint8_t wire[SCAN_NAME_ROOM];
    uint8_t size;
};

/* Decimal digits, at most max. */
int scan_number(struct lexer *lexer, uint32_t max, uint32_t *value);

/* Seconds, or numbers with the units w d h m s (1h30m), at most max in all. */
int scan_duration(struct lexer *lexer, uint32_t max, uint32_t *value);

/* A name; one without a final dot is relative to origin, "@" is origin itself. */
int scan_name(struct lexer *lexer, const struct scan_name *origin, struct scan_name *name);

/* The same, to out. */
int scan_name_to(struct lexer *lexer, const struct scan_name *origin, struct wire_writer *out);

/* A word or quoted string, its escapes undone, to out as it is. */
int scan_octets(struct lexer *lexer, struct wire_writer *out);

/* The same as a character-string: with a length octet, at most 255 octets. */
int scan_string(struct lexer *lexer, struct wire_writer *out);

/* The octets of size characters at text, escapes undone: 0, or RR_EINVAL at a bad escape. */
int scan_unescape(const char *text, size_t size, struct wire_writer *out);

/*
 * Decimal digits of at most max without sign; false for anything else. For parts of tokens: what
 * follows text is read, as far as LEXER_SLACK.
 */
bool scan_digits(const char *text, size_t size, uint32_t max, uint32_t *value);

#endif

/*
 * Names are most of a zone's text, so the plain ones (no escapes) are read in one pass: the text is
 * copied as it stands one octet behind the first length octet, so that every dot already stands
 * where the next length octet belongs.
 */
#include "zone/scan_value.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "zone/block.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool scan_digits(const char *text, size_t size, uint32_t max, uint32_t *value)
{
    if (size == 0 || size > 10) {
        return false;
    }
    size_t head = size <= 8 ? 0 : size - 8;
    uint64_t sum = 0;
    for (size_t i = 0; i < head; i++) {
        if (!is_digit(text[i])) {
            return false;
        }
        sum = sum * 10 + (uint64_t)(text[i] - '0');
    }
    uint64_t digits = block_digits(text + head, size - head);
    sum = sum * 100000000 + block_decimal(digits);
    *value = (uint32_t)sum;
    return block_are_digits(digits) && sum <= max;
}

int scan_number(struct lexer *lexer, uint32_t max, uint32_t *value)
{
    const struct token *token = &lexer->token;
    if (token->kind != TOKEN_WORD || !scan_digits(token->text, token->size, max, value)) {
        char what[48];
        snprintf(what, sizeof what, "a number from 0 to %u", max);
        return lexer_expected(lexer, what);
    }
    lexer_next(lexer);
    return RR_OK;
}

/* Seconds in a unit, 0 where there is none of that letter. */
static uint32_t unit(char letter)
{
    switch (name_lower((uint8_t)letter)) {
    case 'w':
        return 7 * 86400;
    case 'd':
        return 86400;
    case 'h':
        return 3600;
    case 'm':
        return 60;
    case 's':
        return 1;
    default:
        return 0;
    }
}

/* Numbers each followed by a unit. */
static bool parse_units(const char *text, size_t size, uint32_t max, uint32_t *value)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < size;) {
        size_t digits = i;
        while (digits < size && is_digit(text[digits])) {
            digits++;
        }
        uint32_t number;
        if (digits == size || unit(text[digits]) == 0 ||
            !scan_digits(text + i, digits - i, max, &number)) {
            return false;
        }
        sum += (uint64_t)number * unit(text[digits]);
        if (sum > max) {
            return false;
        }
        i = digits + 1;
    }
    *value = (uint32_t)sum;
    return true;
}

int scan_duration(struct lexer *lexer, uint32_t max, uint32_t *value)
{
    const struct token *token = &lexer->token;
    if (token->kind != TOKEN_WORD || (!scan_digits(token->text, token->size, max, value) &&
                                      !parse_units(token->text, token->size, max, value))) {
        char what[64];
        snprintf(what, sizeof what, "a time from 0 to %u seconds", max);
        return lexer_expected(lexer, what);
    }
    lexer_next(lexer);
    return RR_OK;
}

/* ---- Names ---- */

enum { PLAIN_MAX = 64 }; /* longer names are read octet by octet */

/* Copies size octets in whole blocks where they are few; both sides have LEXER_SLACK to spare. */
static inline void copy(uint8_t *to, const void *from, size_t size)
{
    if (size <= 32) {
        memcpy(to, from, 32);
    } else {
        memcpy(to, from, size);
    }
}

/* A bit for each dot in size octets of text. */
static inline uint64_t dots_in(const char *text, size_t size)
{
    uint64_t dots = block_equal(text, '.');
    for (size_t at = BLOCK; at < size; at += BLOCK) {
        dots |= (uint64_t)block_equal(text + at, '.') << at;
    }
    return dots & (~UINT64_C(0) >> (64 - size));
}

/* A name without escapes; returns its octets, or 0 where it isn't one, or not that plain. */
static inline size_t plain_name(const char *text, size_t size, const struct scan_name *origin,
                                uint8_t *wire)
{
    if (size > PLAIN_MAX) {
        return 0;
    }
    copy(wire + 1, text, size);
    size_t label = 0; /* where its length octet belongs */
    for (uint64_t dots = dots_in(text, size); dots != 0; dots &= dots - 1) {
        size_t dot = (size_t)__builtin_ctzll(dots);
        if (dot == label) {
            return 0;
        }
        wire[label] = (uint8_t)(dot - label);
        label = dot + 1;
    }
    if (label == size) { /* a final dot */
        wire[label] = 0;
        return size + 1;
    }
    if (size - label > NAME_MAX_LABEL || size + 1 + origin->size > NAME_MAX_OCTETS) {
        return 0;
    }
    wire[label] = (uint8_t)(size - label);
    copy(wire + size + 1, origin->wire, origin->size);
    return size + 1 + origin->size;
}

/* Names with escapes, long ones, the root, and those that are wrong. */
static size_t slow_name(struct lexer *lexer, const struct scan_name *origin, uint8_t *wire)
{
    const struct token *token = &lexer->token;
    if (token->size == 1 && token->text[0] == '@') {
        copy(wire, origin->wire, origin->size);
        return origin->size;
    }
    switch (name_from_text(token->text, token->size, origin->wire, wire)) {
    case RR_OK:
        return name_size(wire);
    case RR_ERANGE:
        lexer_refused(lexer, "a label is over 63 octets or the name over 255");
        return 0;
    default:
        lexer_refused(lexer, token->escaped ? "no name: an empty label or a bad escape"
                                            : "no name: an empty label");
        return 0;
    }
}

/* Reads a name to wire, SCAN_NAME_ROOM octets; returns its octets, or 0 with a fault. */
static inline size_t read_name(struct lexer *lexer, const struct scan_name *origin, uint8_t *wire)
{
    const struct token *token = &lexer->token;
    size_t size = 0;
    if (token->kind != TOKEN_WORD) {
        lexer_expected(lexer, "a name");
        return 0;
    }
    if (!token->escaped && token->text[0] != '@') {
        size = plain_name(token->text, token->size, origin, wire);
    }
    if (size == 0) {
        size = slow_name(lexer, origin, wire);
    }
    if (size > 0) {
        lexer_next(lexer);
    }
    return size;
}

int scan_name(struct lexer *lexer, const struct scan_name *origin, struct scan_name *name)
{
    name->size = (uint8_t)read_name(lexer, origin, name->wire);
    return name->size > 0 ? RR_OK : RR_EINVAL;
}

int scan_name_to(struct lexer *lexer, const struct scan_name *origin, struct wire_writer *out)
{
    if (out->size - out->pos < SCAN_NAME_ROOM) {
        struct scan_name name;
        int error = scan_name(lexer, origin, &name);
        wire_write_octets(out, name.wire, error == RR_OK ? name.size : 0);
        return error;
    }
    size_t size = read_name(lexer, origin, out->data + out->pos);
    out->pos += size;
    return size > 0 ? RR_OK : RR_EINVAL;
}

/* ---- Strings ---- */

/* The octet that the escape at text stands for; returns the characters it takes, 0: a bad one. */
static size_t unescape_octet(const char *text, size_t left, uint8_t *octet)
{
    if (left >= 2 && !is_digit(text[1])) {
        *octet = (uint8_t)text[1];
        return 2;
    }
    uint32_t value;
    if (left < 4 || !scan_digits(text + 1, 3, 255, &value)) {
        return 0;
    }
    *octet = (uint8_t)value;
    return 4;
}

int scan_unescape(const char *text, size_t size, struct wire_writer *out)
{
    size_t i = 0;
    while (i < size) {
        const char *escape = memchr(text + i, '\\', size - i);
        size_t plain = escape != NULL ? (size_t)(escape - text) - i : size - i;
        wire_write_octets(out, text + i, plain);
        i += plain;
        if (i < size) {
            uint8_t octet;
            size_t taken = unescape_octet(text + i, size - i, &octet);
            if (taken == 0) {
                return RR_EINVAL;
            }
            wire_write_u8(out, octet);
            i += taken;
        }
    }
    return RR_OK;
}

static bool is_text(const struct token *token)
{
    return token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED;
}

/* The current token's octets, without moving on. */
static int put_octets(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    if (!is_text(token)) {
        return lexer_expected(lexer, "a string");
    }
    if (!token->escaped) {
        wire_write_octets(out, token->text, token->size);
    } else if (scan_unescape(token->text, token->size, out) != RR_OK) {
        return lexer_refused(lexer, "a bad escape (\\DDD goes from \\000 to \\255)");
    }
    return RR_OK;
}

int scan_octets(struct lexer *lexer, struct wire_writer *out)
{
    int error = put_octets(lexer, out);
    if (error == RR_OK) {
        lexer_next(lexer);
    }
    return error;
}

int scan_string(struct lexer *lexer, struct wire_writer *out)
{
    uint8_t *length = wire_write_room(out, 1);
    size_t start = out->pos;
    int error = put_octets(lexer, out);
    if (error != RR_OK) {
        return error;
    }
    if (!out->failed) { /* else told when the record is whole */
        size_t size = out->pos - start;
        if (size > 255) {
            return lexer_fault(lexer, lexer->token.line,
                               "a string of %zu octets: 255 are the most", size);
        }
        *length = (uint8_t)size;
    }
    lexer_next(lexer);
    return RR_OK;
}

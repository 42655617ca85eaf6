/*
 * Service parameters (RFC 9460 section 2.1 and appendix A): key, key=value or key="value", in any
 * order. Each is written as it comes and then rotated to where its key belongs, which mostly is
 * where it is. What makes the set of them right is judged at the end, in wire form.
 */
#include "zone/rdata_scan.h"

#include <string.h>

#include "base/err.h"
#include "dns/base_encoding.h"
#include "dns/rdata.h"
#include "zone/scan_address.h"

struct slice {
    const char *text;
    size_t size;
};

/* A key's number by its name, or by keyNNNNN without leading zeros. */
static bool parse_key(struct slice name, uint16_t *key, bool *by_number)
{
    const char *known;
    for (uint16_t i = 0; (known = rdata_svc_name(i)) != NULL; i++) {
        if (strlen(known) == name.size && memcmp(known, name.text, name.size) == 0) {
            *key = i;
            *by_number = false;
            return true;
        }
    }
    uint32_t number;
    if (name.size < 4 || memcmp(name.text, "key", 3) != 0 ||
        (name.text[3] == '0' && name.size > 4) ||
        !scan_digits(name.text + 3, name.size - 3, UINT16_MAX, &number)) {
        return false;
    }
    *key = (uint16_t)number;
    *by_number = true;
    return true;
}

/* Takes what stands before the next comma from list; false where nothing is left. */
static bool next_item(struct slice *list, struct slice *item)
{
    if (list->text == NULL) {
        return false;
    }
    const char *comma = memchr(list->text, ',', list->size);
    *item = *list;
    if (comma == NULL) {
        list->text = NULL;
        return true;
    }
    item->size = (size_t)(comma - list->text);
    list->text = comma + 1;
    list->size -= item->size + 1;
    return true;
}

/* ---- Values: each writes what the key's value is in wire form, or says what is wrong ---- */

static const char *value_mandatory(struct slice list, struct wire_writer *out)
{
    size_t start = out->pos;
    struct slice item;
    while (next_item(&list, &item)) {
        uint16_t key;
        bool by_number;
        if (!parse_key(item, &key, &by_number)) {
            return "mandatory: not a list of keys";
        }
        wire_write_u16(out, key);
        for (size_t at = out->pos - 2; !out->failed && at > start; at -= 2) {
            uint16_t before = wire_get_u16(out->data + at - 2);
            if (before <= key) {
                break;
            }
            wire_put_u16(out->data + at, before);
            wire_put_u16(out->data + at - 2, key);
        }
    }
    return NULL;
}

/*
 * Comma-separated protocols in a character-string: the string's own escapes are undone first, then
 * the list's (\, and \\). Both results are shorter than their text, but for the first length octet,
 * so the list is taken apart where it stands.
 */
static const char *value_alpn(struct slice text, struct wire_writer *out)
{
    wire_write_u8(out, 0); /* the first one's length, to be */
    size_t at = out->pos;
    if (scan_unescape(text.text, text.size, out) != RR_OK) {
        return "alpn: a bad escape";
    }
    if (out->failed) {
        return NULL;
    }
    uint8_t *length = out->data + at - 1, *to = length + 1;
    for (; at <= out->pos; at++) {
        if (at == out->pos || out->data[at] == ',') {
            if (to - length - 1 > 255) {
                return "alpn: a protocol over 255 octets";
            }
            *length = (uint8_t)(to - length - 1);
            length = to++;
            continue;
        }
        at += out->data[at] == '\\';
        if (at == out->pos) {
            return "alpn: a backslash with nothing behind it";
        }
        *to++ = out->data[at];
    }
    wire_writer_rewind(out, (size_t)(length - out->data));
    return NULL;
}

static const char *value_addresses(struct slice list, unsigned key, struct wire_writer *out)
{
    struct slice item;
    while (next_item(&list, &item)) {
        uint8_t address[16];
        if (key == SVC_IPV4HINT ? !scan_ipv4(item.text, item.size, address)
                                : !scan_ipv6(item.text, item.size, address)) {
            return key == SVC_IPV4HINT ? "ipv4hint: not a list of IPv4 addresses"
                                       : "ipv6hint: not a list of IPv6 addresses";
        }
        wire_write_octets(out, address, key == SVC_IPV4HINT ? 4 : 16);
    }
    return NULL;
}

static const char *value_port(struct slice text, struct wire_writer *out)
{
    uint32_t port;
    if (!scan_digits(text.text, text.size, UINT16_MAX, &port)) {
        return "port: not a number from 0 to 65535";
    }
    wire_write_u16(out, (uint16_t)port);
    return NULL;
}

static const char *value_ech(struct slice text, struct wire_writer *out)
{
    struct base_decoder decoder = {0};
    bool good = base64_feed(&decoder, text.text, text.size, out) == RR_OK &&
                base64_end(&decoder) == RR_OK;
    return good ? NULL : "ech: not base64";
}

static const char *write_value(unsigned key, bool by_number, struct slice text,
                               struct wire_writer *out)
{
    switch (by_number ? (unsigned)SVC_INVALID : key) {
    case SVC_MANDATORY:
        return value_mandatory(text, out);
    case SVC_ALPN:
        return value_alpn(text, out);
    case SVC_PORT:
        return value_port(text, out);
    case SVC_IPV4HINT:
    case SVC_IPV6HINT:
        return value_addresses(text, key, out);
    case SVC_ECH:
        return value_ech(text, out);
    default:
        return scan_unescape(text.text, text.size, out) == RR_OK ? NULL : "a bad escape";
    }
}

/* ---- Parameters ---- */

static void reverse(uint8_t *data, size_t size)
{
    for (size_t i = 0, j = size; i + 1 < j; i++) {
        uint8_t swap = data[i];
        data[i] = data[--j];
        data[j] = swap;
    }
}

/* Moves the parameter at `at`, the last one, before those from start on with greater keys. */
static void sort_in(struct wire_writer *out, size_t start, size_t at)
{
    uint16_t key = wire_get_u16(out->data + at);
    size_t to = start;
    while (to < at && wire_get_u16(out->data + to) <= key) {
        to += 4u + wire_get_u16(out->data + to + 2);
    }
    if (to < at) {
        reverse(out->data + to, at - to);
        reverse(out->data + at, out->pos - at);
        reverse(out->data + to, out->pos - to);
    }
}

/*
 * Splits the current token at "=". A quoted value is a token of its own that follows without a
 * blank; the lexer then stands on it, else still on the word. False: a fault, which is told.
 */
static bool split_parameter(struct lexer *lexer, struct slice *name, struct slice *value)
{
    struct token word = lexer->token;
    if (word.kind != TOKEN_WORD) {
        lexer_expected(lexer, "a service parameter");
        return false;
    }
    const char *end = word.text + word.size;
    const char *equals = memchr(word.text, '=', word.size);
    name->text = word.text;
    name->size = (size_t)((equals != NULL ? equals : end) - word.text);
    value->text = equals != NULL ? equals + 1 : end;
    value->size = (size_t)(end - value->text);
    if (equals != NULL && value->size == 0 && *end == '"') {
        lexer_next(lexer);
        if (lexer->token.kind != TOKEN_QUOTED) {
            return false; /* the quote has no end: told already */
        }
        value->text = lexer->token.text;
        value->size = lexer->token.size;
    }
    return true;
}

static int read_parameter(struct lexer *lexer, struct wire_writer *out, size_t start)
{
    struct slice name, value;
    if (!split_parameter(lexer, &name, &value)) {
        return RR_EINVAL;
    }
    uint16_t key;
    bool by_number;
    if (!parse_key(name, &key, &by_number)) {
        return lexer_refused(lexer, "an unknown service parameter");
    }
    size_t at = out->pos;
    wire_write_u16(out, key);
    wire_write_u16(out, 0);
    const char *fault = write_value(key, by_number, value, out);
    if (fault != NULL) {
        return lexer_refused(lexer, fault);
    }
    if (!out->failed) {
        wire_put_u16(out->data + at + 2, (uint16_t)(out->pos - at - 4));
        sort_in(out, start, at);
    }
    lexer_next(lexer);
    return RR_OK;
}

int rdata_scan_svcb(struct lexer *lexer, struct wire_writer *out)
{
    size_t line = lexer->token.line;
    size_t start = out->pos;
    while (lexer->token.kind != TOKEN_END) {
        int error = read_parameter(lexer, out, start);
        if (error != RR_OK) {
            return error;
        }
    }
    if (out->failed) {
        return RR_OK; /* told when the record is whole */
    }
    const char *fault = rdata_svcb_fault(out->data + start, out->pos - start);
    return fault != NULL ? lexer_fault(lexer, line, "%s", fault) : RR_OK;
}

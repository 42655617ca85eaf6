/*
 * The mirror of rdata_scan_svcb.c: a list of protocols is escaped twice, first as a list (comma and
 * backslash), then as a character-string (RFC 9460 appendix A.1).
 */
#include "zone/rdata_print_svcb.h"

#include <stdio.h>
#include <string.h>

#include "dns/base_encoding.h"
#include "dns/rdata.h"

static void put_text(struct wire_writer *out, const char *text)
{
    wire_write_octets(out, text, strlen(text));
}

static void put_key(struct wire_writer *out, unsigned key)
{
    const char *name = rdata_svc_name(key);
    char text[16];
    snprintf(text, sizeof text, "key%u", key);
    put_text(out, name != NULL ? name : text);
}

static void put_alpn(struct wire_writer *out, const uint8_t *value, size_t size)
{
    for (size_t at = 0; at < size; at += 1u + value[at]) {
        if (at > 0) {
            wire_write_u8(out, ',');
        }
        for (unsigned i = 1; i <= value[at]; i++) {
            uint8_t octet = value[at + i];
            if (octet == ',' || octet == '\\') {
                rdata_print_octet('\\', out);
            }
            rdata_print_octet(octet, out);
        }
    }
}

static void put_mandatory(struct wire_writer *out, const uint8_t *value, size_t size)
{
    for (size_t at = 0; at < size; at += 2) {
        if (at > 0) {
            wire_write_u8(out, ',');
        }
        put_key(out, wire_get_u16(value + at));
    }
}

static void put_addresses(struct wire_writer *out, const uint8_t *value, size_t size, size_t each)
{
    for (size_t at = 0; at < size; at += each) {
        if (at > 0) {
            wire_write_u8(out, ',');
        }
        rdata_print_address(value + at, each, out);
    }
}

static void put_value(struct wire_writer *out, unsigned key, const uint8_t *value, size_t size)
{
    char port[16];
    switch (key) {
    case SVC_MANDATORY:
        put_mandatory(out, value, size);
        break;
    case SVC_ALPN:
        put_alpn(out, value, size);
        break;
    case SVC_PORT:
        snprintf(port, sizeof port, "%u", wire_get_u16(value));
        put_text(out, port);
        break;
    case SVC_IPV4HINT:
        put_addresses(out, value, size, 4);
        break;
    case SVC_IPV6HINT:
        put_addresses(out, value, size, 16);
        break;
    case SVC_ECH:
        base64_encode(out, value, size);
        break;
    default:
        for (size_t i = 0; i < size; i++) {
            rdata_print_octet(value[i], out);
        }
    }
}

void rdata_print_svcb(const uint8_t *data, size_t size, struct wire_writer *out)
{
    for (size_t at = 0, step; at < size; at += step) {
        unsigned key = wire_get_u16(data + at);
        size_t length = wire_get_u16(data + at + 2);
        step = 4 + length;
        if (at > 0) {
            wire_write_u8(out, ' ');
        }
        put_key(out, key);
        if (length > 0) {
            put_text(out, "=\"");
            put_value(out, key, data + at + 4, length);
            wire_write_u8(out, '"');
        }
    }
}

/*
 * Strings are always quoted and names always absolute: what is printed means the same wherever it
 * is read.
 */
#include "zone/rdata_print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dns/base_encoding.h"
#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "zone/rdata_print_svcb.h"

static void put_text(struct wire_writer *out, const char *text)
{
    wire_write_octets(out, text, strlen(text));
}

static void put_number(struct wire_writer *out, uint32_t value)
{
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    put_text(out, text);
}

void rdata_print_octet(uint8_t octet, struct wire_writer *out)
{
    char text[8];
    if (octet < ' ' || octet >= 0x7f) {
        snprintf(text, sizeof text, "\\%03u", octet);
        put_text(out, text);
        return;
    }
    if (octet == '"' || octet == '\\') {
        wire_write_u8(out, '\\');
    }
    wire_write_u8(out, octet);
}

static void put_quoted(struct wire_writer *out, const uint8_t *data, size_t size)
{
    wire_write_u8(out, '"');
    for (size_t i = 0; i < size; i++) {
        rdata_print_octet(data[i], out);
    }
    wire_write_u8(out, '"');
}

static void put_strings(struct wire_writer *out, const uint8_t *data, size_t size)
{
    for (size_t at = 0; at < size; at += 1u + data[at]) {
        if (at > 0) {
            wire_write_u8(out, ' ');
        }
        put_quoted(out, data + at + 1, data[at]);
    }
}

static void put_name(struct wire_writer *out, const uint8_t *name)
{
    char text[NAME_MAX_TEXT];
    wire_write_octets(out, text, name_to_text(name, text));
}

static void put_type(struct wire_writer *out, uint16_t type)
{
    char text[RRTYPE_TEXT_MAX];
    wire_write_octets(out, text, rrtype_to_text(type, text));
}

/* YYYYMMDDHHmmSS in UTC. */
static void put_time(struct wire_writer *out, uint32_t value)
{
    time_t seconds = value;
    struct tm tm;
    char text[32];
    gmtime_r(&seconds, &tm);
    wire_write_octets(out, text, strftime(text, sizeof text, "%Y%m%d%H%M%S", &tm));
}

static void put_ipv4(struct wire_writer *out, const uint8_t *address)
{
    char text[16];
    snprintf(text, sizeof text, "%u.%u.%u.%u", address[0], address[1], address[2], address[3]);
    put_text(out, text);
}

/* RFC 5952: lower case, the longest run of zeros (of two or more) as "::". */
static void put_ipv6(struct wire_writer *out, const uint8_t *address)
{
    unsigned best = 8, best_size = 1;
    for (unsigned start = 0; start < 8; start++) {
        unsigned size = 0;
        while (start + size < 8 && wire_get_u16(address + 2 * (start + size)) == 0) {
            size++;
        }
        if (size > best_size) {
            best = start;
            best_size = size;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        char text[8];
        if (i == best) {
            put_text(out, "::");
            i += best_size - 1;
            continue;
        }
        bool first = i == 0 || (best < 8 && i == best + best_size);
        snprintf(text, sizeof text, first ? "%x" : ":%x", wire_get_u16(address + 2 * i));
        put_text(out, text);
    }
}

/* Each type with a blank before it, but the first. */
static void put_bitmap(struct wire_writer *out, const uint8_t *data, size_t size)
{
    bool first = true;
    for (size_t at = 0; at < size; at += 2u + data[at + 1]) {
        for (unsigned bit = 0; bit < 8u * data[at + 1]; bit++) {
            if ((data[at + 2 + bit / 8] & 0x80u >> bit % 8) != 0) {
                if (!first) {
                    wire_write_u8(out, ' ');
                }
                first = false;
                put_type(out, (uint16_t)((unsigned)data[at] << 8 | bit));
            }
        }
    }
}

void rdata_print_address(const uint8_t *address, size_t size, struct wire_writer *out)
{
    if (size == 4) {
        put_ipv4(out, address);
    } else {
        put_ipv6(out, address);
    }
}

static void put_field(struct wire_writer *out, const struct rdata_field *field)
{
    const uint8_t *data = field->data;
    switch (field->form) {
    case 'N':
    case 'n':
    case 'o':
        put_name(out, data);
        break;
    case '1':
    case 'g':
        put_number(out, data[0]);
        break;
    case '2':
    case 'c':
        put_number(out, wire_get_u16(data));
        break;
    case 'T':
        put_type(out, wire_get_u16(data));
        break;
    case '4':
    case 'd':
        put_number(out, wire_get_u32(data));
        break;
    case 't':
        put_time(out, wire_get_u32(data));
        break;
    case 'a':
    case 'A':
        rdata_print_address(data, field->size, out);
        break;
    case 's':
    case 'S':
        put_strings(out, data, field->size);
        break;
    case 'k':
        wire_write_octets(out, data + 1, data[0]);
        break;
    case 'q':
        put_quoted(out, data, field->size);
        break;
    case 'x':
        if (data[0] == 0) {
            wire_write_u8(out, '-');
        }
        hex_encode(out, data + 1, data[0]);
        break;
    case 'w':
        base32hex_encode(out, data + 1, data[0]);
        break;
    case 'h':
        hex_encode(out, data, field->size);
        break;
    case 'b':
        base64_encode(out, data, field->size);
        break;
    case 'M':
        put_bitmap(out, data, field->size);
        break;
    default: /* V */
        rdata_print_svcb(data, field->size, out);
    }
}

static void put_generic(struct wire_writer *out, const uint8_t *rdata, size_t size)
{
    put_text(out, "\\# ");
    put_number(out, (uint32_t)size);
    if (size > 0) {
        wire_write_u8(out, ' ');
        hex_encode(out, rdata, size);
    }
}

void rdata_print(uint16_t type, const uint8_t *rdata, size_t size, struct wire_writer *out)
{
    struct rdata_walk walk;
    struct rdata_field field;
    if (!rdata_walk_begin(&walk, type, rdata, size) || rdata_fault(type, rdata, size) != NULL) {
        put_generic(out, rdata, size);
        return;
    }
    for (bool first = true; rdata_walk_next(&walk, &field) > 0; first = false) {
        if (!first && (field.size > 0 || field.form == 'q')) {
            wire_write_u8(out, ' ');
        }
        put_field(out, &field);
    }
}

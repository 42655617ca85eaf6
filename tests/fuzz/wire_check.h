/*
 * Whether octets are a well-formed DNS message, to the letter: names end where they should and
 * point only backwards, RDATA is of its type, nothing is left over. Shares the RDATA rules with
 * the server, but no way of reading names. Static, as desk.h is.
 */
#ifndef RRDNS_TESTS_WIRE_CHECK_H
#define RRDNS_TESTS_WIRE_CHECK_H

#include <stdbool.h>
#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

/* The name at *at, which moves past it; written whole to name. False where it is none. */
static inline bool wire_check_name(const uint8_t *message, size_t size, size_t *at,
                                   uint8_t name[NAME_MAX_OCTETS], size_t *name_octets)
{
    size_t pos = *at, limit = *at, written = 0; /* pointers must lead below limit */
    bool moved = false;
    for (;;) {
        if (pos >= size) {
            return false;
        }
        uint8_t length = message[pos];
        if (length >= 0xc0) {
            if (pos + 1 >= size) {
                return false;
            }
            size_t target = wire_get_u16(message + pos) & 0x3fff;
            if (!moved) {
                *at = pos + 2;
                moved = true;
            }
            if (target >= limit || target < MESSAGE_HEADER) {
                return false;
            }
            pos = limit = target;
            continue;
        }
        if (length > NAME_MAX_LABEL || pos + length >= size ||
            written + 1 + length > NAME_MAX_OCTETS) {
            return false;
        }
        memcpy(name + written, message + pos, 1u + length);
        written += 1u + length;
        pos += 1u + length;
        if (length == 0) {
            if (!moved) {
                *at = pos;
            }
            *name_octets = written;
            return true;
        }
    }
}

static inline bool wire_check_rdata(const uint8_t *message, uint16_t type, size_t at, size_t end)
{
    static uint8_t rdata[MESSAGE_MAX];
    struct rrtype_names names = rrtype_compressible(type);
    if (type == RRTYPE_OPT || type == RRTYPE_TSIG) {
        return true;
    }
    if (end - at < names.prefix) {
        return false;
    }
    size_t size = names.prefix;
    memcpy(rdata, message + at, size);
    at += size;
    for (unsigned i = 0; i < names.count; i++) {
        size_t octets;
        if (!wire_check_name(message, end, &at, rdata + size, &octets)) {
            return false;
        }
        size += octets;
    }
    memcpy(rdata + size, message + at, end - at);
    return rdata_fault(type, rdata, size + (end - at)) == NULL;
}

static inline bool wire_check_record(const uint8_t *message, size_t size, size_t *at)
{
    uint8_t name[NAME_MAX_OCTETS];
    size_t octets;
    if (!wire_check_name(message, size, at, name, &octets) || size - *at < 10) {
        return false;
    }
    uint16_t type = wire_get_u16(message + *at);
    size_t end = *at + 10 + wire_get_u16(message + *at + 8);
    if (end > size || !wire_check_rdata(message, type, *at + 10, end)) {
        return false;
    }
    *at = end;
    return true;
}

static inline bool wire_check_message(const uint8_t *message, size_t size)
{
    if (size < MESSAGE_HEADER || wire_get_u16(message + 4) > 1) {
        return false;
    }
    size_t at = MESSAGE_HEADER;
    if (wire_get_u16(message + 4) == 1) {
        uint8_t name[NAME_MAX_OCTETS];
        size_t octets;
        if (!wire_check_name(message, size, &at, name, &octets) || size - at < 4) {
            return false;
        }
        at += 4;
    }
    size_t records =
        (size_t)wire_get_u16(message + 6) + wire_get_u16(message + 8) + wire_get_u16(message + 10);
    while (records-- > 0) {
        if (!wire_check_record(message, size, &at)) {
            return false;
        }
    }
    return at == size;
}

#endif

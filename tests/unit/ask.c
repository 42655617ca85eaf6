#include "ask.h"

#include <string.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "names.h"

void ask_octets(struct ask *ask, const void *octets, size_t size)
{
    ck_assert_uint_le(ask->size + size, ASK_MAX);
    if (size > 0) {
        memcpy(ask->data + ask->size, octets, size);
    }
    ask->size += size;
}

static void put_u16(struct ask *ask, uint16_t value)
{
    uint8_t octets[2];
    wire_put_u16(octets, value);
    ask_octets(ask, octets, 2);
}

static void put_u32(struct ask *ask, uint32_t value)
{
    uint8_t octets[4];
    wire_put_u32(octets, value);
    ask_octets(ask, octets, 4);
}

struct ask ask_nothing(void)
{
    struct ask ask = {.size = MESSAGE_HEADER};
    wire_put_u16(ask.data, ASK_ID);
    return ask;
}

struct ask ask_for_wire(const uint8_t *name, uint16_t type, uint16_t class)
{
    struct ask ask = ask_nothing();
    ask_octets(&ask, name, names_size(name));
    put_u16(&ask, type);
    put_u16(&ask, class);
    ask_count(&ask, ASK_QUESTION, 1);
    return ask;
}

struct ask ask_for_class(const char *name, uint16_t type, uint16_t class)
{
    return ask_for_wire(names_wire(name), type, class);
}

struct ask ask_for(const char *name, uint16_t type)
{
    return ask_for_class(name, type, CLASS_IN);
}

void ask_flags(struct ask *ask, uint16_t flags)
{
    wire_put_u16(ask->data + 2, flags);
}

void ask_count(struct ask *ask, enum ask_section section, uint16_t count)
{
    wire_put_u16(ask->data + 4 + 2 * (unsigned)section, count);
}

void ask_record(struct ask *ask, enum ask_section section, const uint8_t *owner, uint16_t type,
                uint16_t class, uint32_t ttl, const void *rdata, size_t size)
{
    ask_octets(ask, owner, names_size(owner));
    put_u16(ask, type);
    put_u16(ask, class);
    put_u32(ask, ttl);
    put_u16(ask, (uint16_t)size);
    ask_octets(ask, rdata, size);
    uint16_t count = wire_get_u16(ask->data + 4 + 2 * (unsigned)section);
    ask_count(ask, section, (uint16_t)(count + 1));
}

void ask_opt_version(struct ask *ask, uint16_t udp_size, uint8_t version, uint16_t flags)
{
    ask_record(ask, ASK_ADDITIONAL, (const uint8_t *)"", RRTYPE_OPT, udp_size,
               (uint32_t)version << 16 | flags, NULL, 0);
    ask->opt = ask->size - 2;
}

void ask_opt(struct ask *ask, uint16_t udp_size, uint16_t flags)
{
    ask_opt_version(ask, udp_size, 0, flags);
}

void ask_option_octets(struct ask *ask, const void *octets, size_t size)
{
    ask_octets(ask, octets, size);
    wire_put_u16(ask->data + ask->opt, (uint16_t)(ask->size - ask->opt - 2));
}

void ask_option(struct ask *ask, uint16_t code, const void *data, size_t size)
{
    uint8_t head[4];
    wire_put_u16(head, code);
    wire_put_u16(head + 2, (uint16_t)size);
    ask_option_octets(ask, head, sizeof head);
    ask_option_octets(ask, data, size);
}

void ask_tsig(struct ask *ask, const char *key)
{
    struct ask rdata = {0};
    ask_octets(&rdata, names_wire("hmac-sha256."), 13);
    ask_octets(&rdata, "\0\0\x65\x53\xf1\0", 6); /* time */
    put_u16(&rdata, 300);
    put_u16(&rdata, 32);
    ask_octets(&rdata, "0123456789abcdef0123456789abcdef", 32);
    put_u16(&rdata, ASK_ID);
    put_u16(&rdata, 0); /* error */
    put_u16(&rdata, 0); /* other */
    ask_record(ask, ASK_ADDITIONAL, names_wire(key), RRTYPE_TSIG, CLASS_ANY, 0, rdata.data,
               rdata.size);
}

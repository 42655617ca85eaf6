/*
 * Replies for tests, on top of ask.h:
 *
 *     struct ask reply = reply_to("www.example.", RRTYPE_A, RCODE_NOERROR);
 *     reply_add(&reply, ASK_ANSWER, "\xc0\x0c", 2, RRTYPE_A, 300, "\1\2\3\4", 4);
 */
#ifndef RRDNS_TESTS_REPLY_AID_H
#define RRDNS_TESTS_REPLY_AID_H

#include <string.h>

#include "ask.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

/* QR, RD and RA are set. */
static inline struct ask reply_to(const char *name, uint16_t type, uint16_t rcode)
{
    struct ask reply = ask_for(name, type);
    ask_flags(&reply, FLAG_QR | FLAG_RD | FLAG_RA | rcode);
    return reply;
}

/* A record of class IN, of any octets for an owner. */
static inline void reply_add(struct ask *reply, enum ask_section section, const void *owner,
                             size_t owner_size, uint16_t type, uint32_t ttl, const void *rdata,
                             size_t size)
{
    uint8_t fixed[10];
    wire_put_u16(fixed, type);
    wire_put_u16(fixed + 2, CLASS_IN);
    wire_put_u32(fixed + 4, ttl);
    wire_put_u16(fixed + 8, (uint16_t)size);
    ask_octets(reply, owner, owner_size);
    ask_octets(reply, fixed, sizeof fixed);
    ask_octets(reply, rdata, size);
    ask_count(reply, section, (uint16_t)(wire_get_u16(reply->data + 4 + 2 * section) + 1));
}

/* An address of the name in question. */
static inline void reply_a(struct ask *reply, uint32_t ttl, uint32_t address)
{
    uint8_t rdata[4];
    wire_put_u32(rdata, address);
    reply_add(reply, ASK_ANSWER, "\xc0\x0c", 2, RRTYPE_A, ttl, rdata, sizeof rdata);
}

/* An SOA of the root in authority. */
static inline void reply_soa(struct ask *reply, uint32_t ttl, uint32_t minimum)
{
    uint8_t rdata[22] = {0};
    wire_put_u32(rdata + 18, minimum);
    reply_add(reply, ASK_AUTHORITY, "", 1, RRTYPE_SOA, ttl, rdata, sizeof rdata);
}

#endif

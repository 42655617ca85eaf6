/*
 * A question to a server, as it is on the wire.
 */
#include <assert.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "net/proxy_own.h"

enum {
    /* What we take in a datagram; the same as what is advertised to clients by default: it passes
     * all usual paths whole. */
    EDNS_SIZE = 1232,
    OPT_HEAD = 11,
    OPTION_HEAD = 4,
    /* Over TLS the length tells an onlooker less when it is a multiple of this (RFC 8467 section
     * 4.1). */
    BLOCK = 128,
};
static_assert(PROXY_QUERY % BLOCK == 0, "the longest question has room for its padding");

/* Octets of padding in a message that has so many with the head of that option. */
static size_t padding(size_t size)
{
    return (BLOCK - size % BLOCK) % BLOCK;
}

static void write_padding(struct wire_writer *w, size_t size)
{
    static const uint8_t zeros[BLOCK];
    wire_write_u16(w, EDNS_PADDING);
    wire_write_u16(w, (uint16_t)size);
    wire_write_octets(w, zeros, size);
}

static void write_opt(struct wire_writer *w, const struct proxy *proxy, const struct transaction *t,
                      const struct upstream *upstream)
{
    const uint8_t *mark = proxy->service->world->settings.loop_mark;
    size_t mark_size = sizeof proxy->service->world->settings.loop_mark;
    size_t size = 2 * OPTION_HEAD + upstream->cookie_size + mark_size, pad = 0;
    bool padded = upstream->server.transport == UPSTREAM_TLS;
    if (padded) {
        pad = padding(w->pos + OPT_HEAD + size + OPTION_HEAD);
        size += OPTION_HEAD + pad;
    }
    wire_write_u8(w, 0);
    wire_write_u16(w, RRTYPE_OPT);
    wire_write_u16(w, EDNS_SIZE);
    wire_write_u32(w, (t->question.flags & PROXY_DO) != 0 ? EDNS_DO : 0);
    wire_write_u16(w, (uint16_t)size);
    wire_write_u16(w, EDNS_COOKIE);
    wire_write_u16(w, upstream->cookie_size);
    wire_write_octets(w, upstream->cookie, upstream->cookie_size);
    wire_write_u16(w, EDNS_LOOP);
    wire_write_u16(w, (uint16_t)mark_size);
    wire_write_octets(w, mark, mark_size);
    if (padded) {
        write_padding(w, pad);
    }
}

/* AD asks that it be told in the reply whether the data was validated (RFC 6840 section 5.7). */
static uint16_t query_flags(const struct transaction *t)
{
    return (uint16_t)(((t->question.flags & PROXY_RD) != 0 ? FLAG_RD : 0) |
                      ((t->question.flags & PROXY_CD) != 0 ? FLAG_CD : 0) |
                      (t->group->origin ? 0 : FLAG_AD));
}

size_t proxy_compose(const struct proxy *proxy, const struct attempt *attempt, uint8_t *out)
{
    const struct transaction *t = attempt->transaction;
    struct wire_writer w = wire_writer_init(out, PROXY_QUERY);
    wire_write_u16(&w, attempt->id);
    wire_write_u16(&w, query_flags(t));
    wire_write_u16(&w, 1);
    wire_write_u32(&w, 0);
    wire_write_u16(&w, attempt->plain ? 0 : 1);
    wire_write_octets(&w, t->qname, t->qname_size);
    wire_write_u16(&w, t->question.qtype);
    wire_write_u16(&w, CLASS_IN);
    if (!attempt->plain) {
        write_opt(&w, proxy, t, attempt->upstream);
    }
    return w.pos;
}

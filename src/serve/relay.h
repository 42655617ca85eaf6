/*
 * Answers to forwarded questions: the body is an upstream's (or of the cache), all around it is
 * ours: ID and question as the client sent them, header bits, OPT.
 */
#ifndef RRDNS_SERVE_RELAY_H
#define RRDNS_SERVE_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "dns/message.h"
#include "serve/cookie.h"
#include "world/world.h"

/* What an answer takes from its query: to be kept until the answer is there. */
struct relay_client {
    const uint8_t *qname; /* in the client's case */
    uint16_t id;
    uint16_t flags;       /* of the header as received */
    uint16_t qtype;
    uint16_t limit;       /* octets that the answer may have */
    uint16_t edns_flags;
    int32_t keepalive;    /* told by EDNS in units of 100 ms, or -1 */
    uint8_t qname_size;
    bool has_edns;
    bool nsid;            /* asked for */
    uint8_t cookie_size;  /* 0, or COOKIE_SIZE */
    uint8_t cookie[COOKIE_SIZE]; /* to answer with */
};

struct relay_answer {
    uint16_t rcode;     /* 12 bits */
    uint16_t flags;     /* AA, AD, RA, TC that it should have; AD is left out for who did not ask */
    uint16_t counts[3]; /* records of the body */
    size_t body_size;
    int ede;            /* enum ede */
    const char *ede_text; /* or NULL */
};

/* Where the body stands in an answer. */
static inline size_t relay_body_at(const struct relay_client *client)
{
    return MESSAGE_HEADER + (size_t)client->qname_size + 4;
}

/* Octets that a body may have in an answer with that EDE. At least a header, a question and an OPT
 * fit any answer. */
size_t relay_body_room(const struct relay_client *client, const struct settings *settings, int ede,
                       const char *ede_text);

/*
 * Writes all but the body, which stands at out + relay_body_at, unless it has more octets than
 * relay_body_room: then it is left out and TC set. Returns the octets of the answer, at most
 * client->limit, and counts it.
 */
size_t relay_finish(const struct relay_client *client, const struct settings *settings,
                    const struct relay_answer *answer, uint8_t *out, struct counters *counters);

#endif

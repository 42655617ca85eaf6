/*
 * A query, read from the wire: everything later stages ask about it. Nothing is allocated and
 * nothing points anywhere but into the message.
 */
#ifndef RRDNS_DNS_QUERY_H
#define RRDNS_DNS_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/key.h"
#include "dns/name.h"

/* What query_parse found out. */
enum query_status {
    QUERY_DROP,    /* not to be answered at all: a response, or no header */
    QUERY_ERROR,   /* answer at once with query.rcode (and query.ede) */
    QUERY_OK,      /* a question in query, to be answered from data */
    QUERY_COOKIE,  /* no question but a cookie: answer the cookie (RFC 7873 section 5.4) */
};

struct query {
    const uint8_t *message;
    size_t size;

    uint16_t id;
    uint16_t flags;       /* as received, see enum message_flags */
    uint8_t opcode;
    bool has_question;    /* the question could be read, and is to be echoed */
    uint8_t labels;       /* of qname, without the root */
    uint16_t qname_size;  /* octets of qname in wire form, which stands at message + 12 */
    uint16_t qtype;
    uint16_t qclass;

    uint16_t rcode;       /* for QUERY_ERROR: 12 bits */
    int16_t ede;          /* for QUERY_ERROR: enum ede */

    bool has_edns;
    bool nsid;            /* asked for NSID */
    bool keepalive;       /* sent the keepalive option */
    uint16_t edns_flags;  /* DO, CO */
    uint16_t edns_size;   /* UDP payload size the client takes, raised to at least 512 */
    uint8_t cookie_size;  /* 0: none; 8: client cookie only; 16 to 40: with a server cookie */
    const uint8_t *cookie;
    const uint8_t *loop;  /* 8 octets of EDNS_LOOP, or NULL */

    const uint8_t *tsig_name;  /* key name of the TSIG record that ends the message, or NULL */
    const uint8_t *tsig_rdata; /* its RDATA: algorithm name, then at least 16 octets */

    struct key key;       /* of qname, for QUERY_OK only */
};

/*
 * Reads a message of size octets. q is filled wholly; message must outlive it. q->message + 12
 * is the qname where q->has_question. RFC 1035, 6891, 9619; the order of checks and which fault
 * gives which RCODE are this server's promise (tests/e2e). Never reads past size.
 */
enum query_status query_parse(const uint8_t *message, size_t size, struct query *q);

static inline const uint8_t *query_name(const struct query *q)
{
    return q->message + 12;
}

#endif

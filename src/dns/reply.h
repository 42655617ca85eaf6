/*
 * A reply of an upstream server, read from the wire: all that is needed to accept it, to keep it
 * and to pass it on. Nothing is allocated and nothing points anywhere but into the message.
 */
#ifndef RRDNS_DNS_REPLY_H
#define RRDNS_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Records whose TTLs are known by place. A reply with more can be passed on but not kept. */
    REPLY_RECORDS_MAX = 1024,
};

enum reply_kind {
    REPLY_POSITIVE, /* records answer the question, or RCODE tells a failure */
    /* NOERROR and nothing of the type asked for; at the end of a CNAME chain only where there is an
     * SOA, since else the end is not denied but elsewhere: REPLY_POSITIVE then */
    REPLY_NODATA,
    REPLY_NXDOMAIN,
};

struct reply {
    const uint8_t *message;
    size_t size;

    uint16_t id;
    uint16_t flags;      /* as received, see enum message_flags */
    uint16_t rcode;      /* 12 bits, with the upper ones from OPT */
    uint16_t qname_size;
    uint16_t qtype;
    uint16_t qclass;
    bool has_question;   /* one, uncompressed; qname stands at message + 12 */

    /* The records without OPT: octets [body, body + body_size) of the message. What stands behind
     * an OPT that is not the last record is left out. */
    size_t body;
    size_t body_size;
    uint16_t counts[3];  /* answer, authority, additional: records in the body */

    bool has_edns;
    uint8_t cookie_size; /* 0: none; 8, or 16 to 40 with a server cookie */
    uint16_t edns_size;  /* raised to at least 512 */
    uint16_t edns_flags;
    int32_t ede;         /* the first INFO-CODE (RFC 8914), or -1 */
    const uint8_t *cookie;

    enum reply_kind kind;
    bool has_soa;        /* in authority */
    uint32_t negative_ttl; /* min(TTL of that SOA, its minimum) (RFC 2308 section 5) */
    uint32_t ttl;        /* the lowest of all records' in the body; UINT32_MAX where there are none.
                            TTLs over 2^31 - 1 count as 0 (RFC 2181 section 8) */
    uint32_t ttl_most;   /* the highest, as it stands there; 0 where there are none */
    uint32_t records;    /* in the body */
};

/*
 * Reads a message of size octets. False where it is none that could be a reply: under 12 octets,
 * QR clear, another opcode than QUERY, more than one question or a compressed one, records that are
 * not whole, octets behind the last record; a second OPT, one that is not the root's or not in
 * additional, or with options that are not whole or a cookie of a size that none has (RFC 7873
 * section 5.3); names (owners, and those in RDATA that may be compressed) that are longer than 255
 * octets, point into the header, to what does not end before them, or on over more than 128 steps;
 * such RDATA with anything else than its fields. A reply with TC may end anywhere: what is whole of
 * it counts, records 0 where nothing is. r is filled as far as was read. Never reads past size, and
 * takes time linear in it.
 *
 * A name may still point into the middle of something, a TTL for one: who sends such things has
 * clients find the answer malformed, nothing worse.
 */
bool reply_parse(const uint8_t *message, size_t size, struct reply *r);

/*
 * The places of all TTLs in the body, as offsets from its beginning, in order: r->records of them.
 * r is of a reply that reply_parse has taken. Returns false where there are more than
 * REPLY_RECORDS_MAX.
 */
bool reply_ttls(const struct reply *r, uint16_t *offsets);

#endif

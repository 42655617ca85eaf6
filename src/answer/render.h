/*
 * Plan -> wire: header, question, RRsets with their pointers set, OPT; truncation.
 */
#ifndef RRDNS_ANSWER_RENDER_H
#define RRDNS_ANSWER_RENDER_H

#include <stddef.h>
#include <stdint.h>

#include "answer/plan.h"
#include "dns/query.h"
#include "dns/wire.h"

enum { RENDER_COOKIE_MAX = 40 };

/* What the OPT record of an answer says; used only where the query had one. */
struct render_edns {
    uint16_t udp_size;        /* that we take */
    const uint8_t *nsid;      /* nsid_size octets, or size 0: none */
    uint16_t nsid_size;
    uint8_t cookie_size;      /* 0: none */
    uint8_t cookie[RENDER_COOKIE_MAX];
    int32_t keepalive;        /* in units of 100 ms, or -1: none */
    const char *ede_text;     /* EXTRA-TEXT for the EDE code, or NULL */
};

/* Octets of the OPT record with it and an EDE code (or EDE_NONE). */
size_t render_opt_size(const struct render_edns *edns, int ede);

/* Writes it. rcode has 12 bits, of which the upper eight stand here; flags are those of EDNS.
 * Nothing is written where it does not fit. */
void render_opt(struct wire_writer *w, const struct render_edns *edns, uint16_t rcode,
                uint16_t flags, int ede);

struct render_result {
    size_t size;    /* octets written; 0 where not even a header fits */
    bool truncated; /* TC is set */
};

/*
 * Writes the answer to q into out. size is the most the answer may have, at least 512 for UDP. The
 * OPT always fits: room for it is kept. RRsets of the answer and authority sections and required
 * glue that do not fit set TC; others are left out silently. A TSIG in the query is answered
 * BADKEY, as RFC 8945 section 5.2.1 has it for a server that holds no key.
 */
struct render_result render(const struct query *q, struct plan *plan,
                            const struct render_edns *edns, uint8_t *out, size_t size);

#endif

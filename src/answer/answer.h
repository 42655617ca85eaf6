/*
 * The answering algorithm (RFC 1034 section 4.3.2 as amended by 2308, 4592, 6672, 8020, 9471),
 * over one zone at a time. Knows nothing of sockets, signatures or other zones.
 */
#ifndef RRDNS_ANSWER_ANSWER_H
#define RRDNS_ANSWER_ANSWER_H

#include "answer/plan.h"
#include "dns/query.h"
#include "zone/zone.h"

enum { ANSWER_CHAIN_MAX = 16 }; /* CNAME and DNAME links in an answer */

/* One question on its way through the zones. */
struct answer {
    const struct query *query;
    bool stream;           /* came over TCP: ANY is answered in full (RFC 8482) */
    size_t size_limit;     /* octets of the answer; no more additional records than fit are planned */
    struct scratch *scratch;
    struct plan_name name; /* asked for now; at first the question's */
    unsigned links;        /* followed so far */
    bool wildcard;         /* some of it came from a wildcard */
    bool referral;
    const struct key *visited[ANSWER_CHAIN_MAX]; /* names that had a link */
    struct plan plan;
};

enum answer_next {
    ANSWER_DONE,  /* the plan is complete */
    ANSWER_CHASE, /* name has moved along a CNAME: look it up and call again */
};

/* Begins: name is the question's, the plan empty, AA clear. */
void answer_begin(struct answer *answer, const struct query *query, bool stream, size_t size_limit,
                  struct scratch *scratch);

/*
 * Adds to the plan what `zone` says of answer->name, of which match is the lookup there. With
 * ANSWER_CHASE the next name may be in any zone, or in none: then the plan ends as it is.
 */
enum answer_next answer_plan(struct answer *answer, const struct zone *zone,
                             const struct zone_match *match);

#endif

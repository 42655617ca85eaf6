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

struct signing;
struct sign_request;

/* A zone to be asked. */
struct answer_zone {
    const struct zone *zone;
    const struct zone_overlay *overlay; /* or NULL */
    const struct signing *signing;      /* NULL: not signed here. Nothing in answer.c looks at it */
};

/* What was found of a name in a zone: each is something that may have to be proved. */
enum step_kind {
    STEP_DATA,     /* an RRset of the name, of a wildcard for it, or a DNAME above it */
    STEP_NODATA,   /* the name, or a wildcard for it, is there, but not the type */
    STEP_NXDOMAIN,
    STEP_REFERRAL, /* the delegation at match.cut */
};

struct answer_step {
    struct answer_step *next;
    struct answer_zone source;
    struct zone_match match;
    struct plan_name name; /* that was asked for */
    enum step_kind kind;
};

/* One question on its way through the zones. */
struct answer {
    const struct query *query;
    bool stream;           /* came over TCP: ANY is answered in full (RFC 8482) */
    bool proves;           /* steps are noted, in zones that have proofs */
    size_t size_limit;     /* octets of the answer; no more additional records than fit are planned */
    struct scratch *scratch;
    struct plan_name name; /* asked for now; at first the question's */
    unsigned links;        /* followed so far */
    bool wildcard;         /* some of it came from a wildcard */
    bool referral;
    const struct key *visited[ANSWER_CHAIN_MAX]; /* names that had a link */
    struct answer_step *first_step, *last_step;  /* noted; NULL: none */
    struct answer_step *step;                    /* the latest; NULL: it is not noted */
    struct sign_request *requests;               /* signatures that are missing (prove_online.h) */
    struct answer_zone source;                   /* the latest */
    uint16_t referral_item;                      /* index of the delegation's NS */
    struct plan plan;
};

enum answer_next {
    ANSWER_DONE,  /* the plan is complete */
    ANSWER_CHASE, /* name has moved along a CNAME: look it up and call again */
};

/* Begins: name is the question's, the plan empty, AA clear. With DO in the query, steps are noted. */
void answer_begin(struct answer *answer, const struct query *query, bool stream, size_t size_limit,
                  struct scratch *scratch);

/*
 * Adds to the answer and authority sections what `source` says of answer->name, of which match is
 * the lookup there. With ANSWER_CHASE the next name may be in any zone, or in none: then the plan
 * ends as it is.
 */
enum answer_next answer_plan(struct answer *answer, const struct answer_zone *source,
                             const struct zone_match *match);

/* Adds an item to the authority section, on behalf of a step: its owner is prefix (prefix_size
 * octets of whole labels, which must live as long as the plan; 0: none) and then the last
 * owner_size octets of the step's name. NULL where scratch is full. */
struct plan_item *answer_prove(struct answer *answer, const struct answer_step *step,
                               const struct rrset *rrset, const struct node *node,
                               const uint8_t *prefix, uint8_t prefix_size, uint16_t owner_size);

/* Completes the plan, after the last step: the additional section. */
void answer_finish(struct answer *answer);

#endif

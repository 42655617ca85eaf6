/*
 * Proofs: what an answer to a DO query has besides its data (RFC 4035 section 3.1, RFC 5155
 * section 7.2). Of zones that are signed in their files; for those signed as they are asked see
 * prove_online.h.
 */
#ifndef RRDNS_ANSWER_PROVE_H
#define RRDNS_ANSWER_PROVE_H

#include "answer/answer.h"
#include "dnssec/nsec3.h"

/*
 * Adds to the authority section, after the last answer_plan and before answer_finish: for each
 * step the NSEC or NSEC3 that deny what is not there, and the DS of a referral. Each once.
 */
void prove_denials(struct answer *answer, struct nsec3_hasher *hasher);

/* Puts the signatures to all items of zones that are signed in their files, after answer_finish. */
void prove_signatures(struct answer *answer);

/* ---- For those who prove steps ---- */

/* Adds an RRset of the step's zone to the authority section, which may be one of any node, unless
 * the node's of that type is there already. NULL (no such RRset) is passed over. */
void prove_add(struct answer *answer, const struct answer_step *step, const struct rrset *rrset,
               const struct node *node);

/* A node's NSEC RRset, or NULL. */
typedef const struct rrset *prove_nsec_of(struct answer *answer, const struct answer_step *step,
                                          const struct node *node);

/*
 * Adds the NSEC that the step needs, of a chain through all names with data that are not occluded
 * (RFC 4034 section 4). DS of referrals are none of it.
 */
void prove_nsec_step(struct answer *answer, const struct answer_step *step, prove_nsec_of *nsec_of);

/* Adds the NSEC3 that the step needs, of the zone's chain. */
void prove_nsec3_step(struct answer *answer, const struct answer_step *step,
                      struct nsec3_hasher *hasher);

/* Whether what the step found comes from a wildcard. */
static inline bool prove_is_wildcard(const struct answer_step *step)
{
    const struct zone_match *match = &step->match;
    return match->node == NULL && match->cut == NULL && match->dname == NULL &&
           step->kind != STEP_NXDOMAIN;
}

#endif

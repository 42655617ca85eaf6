/*
 * Proofs of zones that are signed as they are asked: denials are made for the plan, signatures
 * looked up, and what is missing noted, to be made when everything else has been sent.
 */
#ifndef RRDNS_ANSWER_PROVE_ONLINE_H
#define RRDNS_ANSWER_PROVE_ONLINE_H

#include "answer/answer.h"
#include "dnssec/desk.h"
#include "dnssec/nsec3.h"

/* An RRset of a plan whose signatures have to be made. */
struct sign_request {
    struct sign_request *next;
    const struct signing *signing;
    struct sign_what what; /* owner NULL: the node's */
    uint32_t item;         /* of the plan */
    uint8_t *run;          /* where its RRSIG records go */
};

/*
 * Adds what denies in the step, of a zone with step->source.signing, to the authority section.
 * Where it found nothing because the question is for NSEC or RRSIG, gives these instead.
 */
void prove_online_step(struct answer *answer, struct answer_step *step,
                       struct nsec3_hasher *hasher);

/* The part of it for zones that deny by NSEC3. */
void prove_lies(struct answer *answer, const struct answer_step *step,
                struct nsec3_hasher *hasher);

/*
 * Gives the items of such zones their signatures. Those that are not there are noted in
 * answer->requests. Returns how many RRsets got theirs.
 */
unsigned prove_online_find(struct answer *answer, struct sign_desk *desk, uint32_t now);

/* Looks again for what was requested: it may have been made for another answer since. Takes out the
 * requests that are settled. */
void prove_online_retry(struct answer *answer, struct sign_desk *desk, uint32_t now);

/* Makes the signature of one request and gives it to its item. Returns the number of signatures
 * made, or RR_ENOMEM. */
int prove_online_make(struct answer *answer, const struct sign_request *request,
                      struct sign_desk *desk, uint32_t now);

#endif

/*
 * NSEC proofs (RFC 4035 section 3.1.3). An NSEC stands at each name of the chain, so the one that
 * covers a name is at the last member of the chain before it, which the order of nodes tells.
 */
#include <string.h>

#include "answer/prove.h"
#include "dns/rrtype.h"

enum {
    /* Nodes without an NSEC of the chain that may be passed over on the way back. An empty
     * non-terminal has nothing before it but its ancestors and what is past these, and from what is
     * occluded one step leads out: so no name has more than ancestors can. Only what a signer took
     * for occluded and we do not (prove_at) may be more; a name behind it then lacks a proof. */
    STEPS_BACK = NAME_MAX_LABELS + 1,
};

static bool is_member(const struct node *node)
{
    return node->rrsets > 0 && (node->flags & NODE_NSEC3) == 0;
}

/* The key of a node, from the root on. */
static void whole_key(const struct answer_step *step, const struct node *node, struct key *key)
{
    size_t skip = step->source.zone->head->apex_key_size;
    memcpy(key->symbols, step->name.key->symbols, skip);
    memcpy(key->symbols + skip, node_key(node), node->key_size);
    key->size = (uint16_t)(skip + node->key_size);
}

/* Adds the node's NSEC. False where it has none: a signer may take for occluded what is not so here
 * (what is below a wildcard with NS, RFC 4592 section 4.2). */
static bool prove_at(struct answer *a, const struct answer_step *step, const struct node *node,
                     prove_nsec_of *nsec_of)
{
    if (!is_member(node)) {
        return false;
    }
    const struct rrset *nsec = nsec_of(a, step, node);
    prove_add(a, step, nsec, node);
    return nsec != NULL || a->plan.failed;
}

/* By the last member of the chain that is before the key. */
static void prove_cover(struct answer *a, const struct answer_step *step, const struct key *key,
                        prove_nsec_of *nsec_of)
{
    const struct zone *zone = step->source.zone;
    struct key at;
    for (unsigned i = 0; i < STEPS_BACK; i++) {
        const struct node *node = zone_visible(zone, zone_before(zone, key));
        if (prove_at(a, step, node, nsec_of)) {
            return;
        }
        whole_key(step, node, &at);
        key = &at;
    }
}

/* That the name has no such type: by its own NSEC, or, as it is an empty non-terminal, by the one
 * that goes from before it to what is below it. */
static void prove_no_type(struct answer *a, const struct answer_step *step,
                          const struct node *node, prove_nsec_of *nsec_of)
{
    if (is_member(node)) {
        prove_add(a, step, nsec_of(a, step, node), node);
        return;
    }
    struct key key;
    whole_key(step, node, &key);
    prove_cover(a, step, &key, nsec_of);
}

/* That the closest encloser has no wildcard. */
static void prove_no_wildcard(struct answer *a, const struct answer_step *step,
                              prove_nsec_of *nsec_of)
{
    static const uint8_t star[] = {1, '*', 0};
    struct key key, label;
    whole_key(step, step->match.encloser, &key);
    key_from_name(star, &label);
    memcpy(key.symbols + key.size, label.symbols, label.size);
    key.size = (uint16_t)(key.size + label.size);
    prove_cover(a, step, &key, nsec_of);
}

void prove_nsec_step(struct answer *a, const struct answer_step *step, prove_nsec_of *nsec_of)
{
    const struct zone_match *match = &step->match;
    if (step->kind == STEP_REFERRAL) {
        prove_no_type(a, step, match->cut, nsec_of);
        return;
    }
    if (step->kind == STEP_NXDOMAIN || prove_is_wildcard(step)) {
        prove_cover(a, step, step->name.key, nsec_of);
    }
    if (step->kind == STEP_NXDOMAIN) {
        prove_no_wildcard(a, step, nsec_of);
    } else if (step->kind == STEP_NODATA) {
        prove_no_type(a, step, match->node != NULL ? match->node : match->wildcard, nsec_of);
    }
}

/*
 * NSEC3 proofs (RFC 5155 section 7.2). That a name is not there is shown by its closest encloser,
 * which is, and the name one label longer, which is not. Where that one lies in an opt-out span
 * the encloser may be a name that has no NSEC3: then the nearest above that has one does.
 *
 * All names that are hashed are ends of the step's name, or "*" before one.
 */
#include <string.h>

#include "answer/prove.h"
#include "dns/rrtype.h"

struct proving {
    struct answer *answer;
    const struct answer_step *step;
    struct nsec3_hasher *hasher;
    struct nsec3_params params;
};

/* The node with the NSEC3 that matches, or else covers, a name; NULL where OpenSSL fails. */
static const struct node *find(const struct proving *p, const uint8_t *name, bool *matches)
{
    const struct zone *zone = p->step->source.zone;
    uint8_t hash[NSEC3_HASH];
    *matches = false;
    return nsec3_hash(p->hasher, &p->params, name, hash) ? nsec3_chain_find(zone, hash, matches)
                                                           : NULL;
}

static void add(const struct proving *p, const struct node *node)
{
    if (node != NULL) {
        prove_add(p->answer, p->step, node_rrset(node, RRTYPE_NSEC3), node);
    }
}

/* Adds what matches or covers the name. */
static void prove_name(const struct proving *p, const uint8_t *name)
{
    bool matches;
    add(p, find(p, name, &matches));
}

/* The ancestor of the step's name that has so many octets, or the one a label longer. */
static const uint8_t *end_of_name(const struct proving *p, size_t size, bool longer)
{
    const uint8_t *name = p->step->name.wire, *before = name;
    for (size_t left = p->step->name.place.size; left > size; left -= 1u + *before) {
        before = name;
        name += 1u + *name;
    }
    return longer ? before : name;
}

static void prove_wildcard(const struct proving *p, const struct node *encloser)
{
    uint8_t name[NAME_MAX_OCTETS] = {1, '*'};
    memcpy(name + 2, end_of_name(p, encloser->name_size, false), encloser->name_size);
    prove_name(p, name);
}

/*
 * Adds the proof that what is below `encloser` on the way to the step's name isn't there. cover has
 * the NSEC3 that covers that name, where it was looked for already, or is NULL. Returns the
 * encloser that could be proved; NULL where none could: the chain is broken.
 */
static const struct node *prove_encloser(const struct proving *p, const struct node *encloser,
                                         const struct node *cover)
{
    while (encloser != NULL) {
        bool matches;
        const struct node *node = find(p, end_of_name(p, encloser->name_size, false), &matches);
        if (matches) {
            add(p, node);
            add(p, cover != NULL ? cover
                                 : find(p, end_of_name(p, encloser->name_size, true), &matches));
            return encloser;
        }
        cover = node;
        encloser = zone_node(p->step->source.zone, encloser->parent);
    }
    return NULL;
}

/* That a name that is there, an end of the step's, lacks a type. In an opt-out span it has no
 * NSEC3: an unsigned delegation, or something empty above one (sections 7.2.4, 7.2.7). */
static void prove_no_type(const struct proving *p, const struct node *node)
{
    bool matches;
    const struct node *found = find(p, end_of_name(p, node->name_size, false), &matches);
    if (matches) {
        add(p, found);
    } else {
        prove_encloser(p, zone_node(p->step->source.zone, node->parent), found);
    }
}

void prove_nsec3_step(struct answer *a, const struct answer_step *step,
                      struct nsec3_hasher *hasher)
{
    const struct nsec3_chain *chain = nsec3_chain_of(step->source.zone);
    const struct proving p = {a, step, hasher, nsec3_chain_params(chain)};
    const struct zone_match *match = &step->match;
    const struct node *encloser = match->encloser;
    switch (step->kind) {
    case STEP_REFERRAL:
        prove_no_type(&p, match->cut);
        break;
    case STEP_NXDOMAIN:
        encloser = prove_encloser(&p, encloser, NULL);
        if (encloser != NULL) {
            prove_wildcard(&p, encloser);
        }
        break;
    case STEP_NODATA:
        if (match->node != NULL) {
            prove_no_type(&p, match->node);
        } else if (prove_encloser(&p, encloser, NULL) != NULL) {
            prove_wildcard(&p, encloser);
        }
        break;
    case STEP_DATA:
        if (prove_is_wildcard(step)) { /* the signature tells the encloser (section 7.2.6) */
            prove_name(&p, end_of_name(&p, encloser->name_size, true));
        }
        break;
    }
}

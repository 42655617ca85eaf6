/*
 * A plan: what an answer will say, as pointers to RRsets, before a byte of it is written.
 *
 * Owners are not names but places: every owner of an answer is the end of a name that stands in
 * the message before it, the question's or one in the RDATA of an earlier item. So rendering
 * never searches for compression targets. Only owners of denials (NSEC, NSEC3) may be other names
 * of the zone: they are some labels, and then the zone's apex as the end of such a name.
 *
 * An RRset and its signatures are one item: both are written, or neither.
 *
 * Plans, their items and synthesized RRsets live in the worker's scratch memory until the batch
 * is sent.
 */
#ifndef RRDNS_ANSWER_PLAN_H
#define RRDNS_ANSWER_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zone/zone.h"

/*
 * Memory for one batch, reset as a whole. Items of plans grow from the front, each plan's side by
 * side; what they refer to (synthesized RRsets, names of a chain) comes from the back.
 */
struct scratch {
    uint8_t *base;
    size_t front; /* octets used at the front */
    size_t back;  /* where the part used at the back begins */
};

/* size octets aligned to 8, or NULL where the scratch is full. Contents are undefined. */
static inline void *scratch_front(struct scratch *scratch, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    if (size > scratch->back - scratch->front) {
        return NULL;
    }
    void *p = scratch->base + scratch->front;
    scratch->front += size;
    return p;
}

static inline void *scratch_back(struct scratch *scratch, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    if (size > scratch->back - scratch->front) {
        return NULL;
    }
    scratch->back -= size;
    return scratch->base + scratch->back;
}

enum { PLAN_QNAME = UINT16_MAX };

/* Where a whole name stands in the message. */
struct plan_place {
    uint16_t base;     /* PLAN_QNAME: the question's name; else the item whose block holds it */
    uint16_t position; /* in that block; unused for PLAN_QNAME */
    uint16_t size;     /* octets of the whole name, uncompressed */
};

struct answer_step;

struct plan_item {
    const struct rrset *rrset;
    const struct node *node;         /* the owner's, or the wildcard's that stands for it; NULL: an
                                        RRset that is in no zone */
    const struct answer_step *step;  /* that planned it; NULL where nothing is to be proved */
    const uint8_t *signatures;       /* RRSIG records that go with it, as in a block; or NULL */
    const uint8_t *prefix;           /* labels of the owner before what place tells; or NULL */
    struct plan_place place;         /* of the name whose end is the owner */
    uint16_t owner_size;             /* octets of the owner, the last of the name at place */
    uint16_t signatures_size;
    uint16_t start;         /* set by render: where the block stands in the message; 0: left out */
    uint8_t signatures_count;
    uint8_t prefix_size;
    bool required;          /* additional section: left out only with TC set */
};

struct plan {
    struct plan_item *items; /* answer, then authority, then additional */
    uint16_t answer;         /* items in each section */
    uint16_t authority;
    uint16_t additional;
    uint16_t rcode;          /* 12 bits */
    int16_t ede;             /* enum ede */
    const char *ede_text;    /* EXTRA-TEXT that goes with it, or NULL */
    bool aa;
    bool co;                 /* compact denial is what this zone gives (RFC 9824 section 5.1) */
    bool nxname;             /* a name that isn't there, told by NOERROR and NXNAME */
    bool truncate;           /* nothing but TC is to be said: come back over TCP */
    bool failed;             /* scratch ran out: to be answered SERVFAIL */
    size_t size;             /* octets that the items take at most */
};

/* A name that is being answered for. */
struct plan_name {
    const struct key *key;
    const uint8_t *wire; /* uncompressed */
    struct plan_place place;
};

#endif

/*
 * White lies (RFC 7129 appendix B): NSEC3 records made for the question, each of which covers
 * nothing but the one hash that has to be denied, or matches the one that has to be shown.
 */
#include <string.h>

#include "answer/prove.h"
#include "answer/prove_online.h"
#include "dns/base_encoding.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "dnssec/denial.h"

enum {
    LABEL = 1 + 32, /* the hash in base32hex, with its length octet */
    FIXED = 1 + 1 + 2 + 1 + 1 + NSEC3_HASH, /* RDATA before the bitmap; no salt */
};

/* Iterations 0, no salt (RFC 9276). */
static const struct nsec3_params params = {.iterations = 0};

/* Moves the hash, a number of 160 bits, up or down by one. */
static void move(uint8_t hash[NSEC3_HASH], int by)
{
    for (int i = NSEC3_HASH - 1; i >= 0; i--) {
        hash[i] = (uint8_t)(hash[i] + by);
        if (hash[i] != (by > 0 ? 0x00 : 0xff)) {
            return;
        }
    }
}

static bool is_there(const struct answer *a, const uint8_t *owner)
{
    const struct plan_item *item = a->plan.items;
    for (unsigned i = 0; i < (unsigned)a->plan.answer + a->plan.authority; i++, item++) {
        if (item->prefix_size == LABEL && memcmp(item->prefix, owner, LABEL) == 0 &&
            item->rrset->type == RRTYPE_NSEC3) {
            return true;
        }
    }
    return false;
}

/* The record that says that behind the hash `from` comes `to`, for which types is what is there. */
static void add_record(struct answer *a, const struct answer_step *step, const uint8_t *from,
                       const uint8_t *to, const struct denial_types *types)
{
    const struct zone_head *head = step->source.zone->head;
    uint8_t *owner = scratch_back(a->scratch, (size_t)LABEL + head->apex_size);
    struct rrset *rrset = scratch_back(a->scratch, denial_room(types) + FIXED);
    if (owner == NULL || rrset == NULL) {
        a->plan.failed = true;
        return;
    }
    struct wire_writer w = wire_writer_init(owner, LABEL);
    wire_write_u8(&w, LABEL - 1);
    base32hex_encode(&w, from, NSEC3_HASH);
    memcpy(owner + LABEL, head->apex_name, head->apex_size);
    if (is_there(a, owner)) {
        return;
    }
    uint8_t *record = rrset->block;
    uint8_t *rdata = record + RECORD_HEAD;
    memcpy(rdata, "\1\0\0\0\0", 5); /* SHA-1, no opt-out, no iterations, no salt */
    rdata[5] = NSEC3_HASH;
    memcpy(rdata + 6, to, NSEC3_HASH);
    size_t size = FIXED + denial_bitmap(types, rdata + FIXED);
    wire_put_u16(record, 0);
    wire_put_u16(record + 2, RRTYPE_NSEC3);
    wire_put_u16(record + 4, CLASS_IN);
    wire_put_u32(record + 6, step->source.signing->denial_ttl);
    wire_put_u16(record + 10, (uint16_t)size);
    *rrset = (struct rrset){
        .type = RRTYPE_NSEC3, .count = 1, .block_size = (uint32_t)(RECORD_HEAD + size)};
    answer_prove(a, step, rrset, NULL, owner, LABEL, head->apex_size);
}

static void hash_of(struct answer *a, struct nsec3_hasher *hasher, const uint8_t *name,
                    uint8_t hash[NSEC3_HASH])
{
    if (!nsec3_hash(hasher, &params, name, hash)) {
        a->plan.failed = true;
    }
}

/* Shows the name with the types of its node. */
static void show(struct answer *a, const struct answer_step *step, struct nsec3_hasher *hasher,
                 const uint8_t *name, const struct node *node)
{
    uint8_t from[NSEC3_HASH] = {0}, to[NSEC3_HASH];
    hash_of(a, hasher, name, from);
    memcpy(to, from, sizeof to);
    move(to, 1);
    struct denial_types types = {
        .node = node, .overlay = &step->source.signing->overlay, .nsec3 = true};
    add_record(a, step, from, to, &types);
}

static void deny(struct answer *a, const struct answer_step *step, struct nsec3_hasher *hasher,
                 const uint8_t *name)
{
    uint8_t from[NSEC3_HASH] = {0}, to[NSEC3_HASH];
    hash_of(a, hasher, name, from);
    memcpy(to, from, sizeof to);
    move(from, -1);
    move(to, 1);
    /* A record that is there for its hash alone: with no types, as an empty non-terminal has. */
    add_record(a, step, from, to, &(struct denial_types){.nsec3 = true});
}

/* The name itself has no node: shows its closest encloser, denies the name one label longer. */
static void deny_name(struct answer *a, const struct answer_step *step,
                      struct nsec3_hasher *hasher)
{
    const struct node *encloser = step->match.encloser;
    size_t size = step->name.place.size;
    const uint8_t *next_closer = step->name.wire;
    while (size - (1u + *next_closer) > encloser->name_size) {
        size -= 1u + *next_closer;
        next_closer += 1u + *next_closer;
    }
    deny(a, step, hasher, next_closer);
    show(a, step, hasher, next_closer + 1 + *next_closer, encloser);
}

void prove_lies(struct answer *a, const struct answer_step *step, struct nsec3_hasher *hasher)
{
    const struct zone_match *match = &step->match;
    const uint8_t *end = step->name.wire + step->name.place.size;
    uint8_t wildcard[NAME_MAX_OCTETS + 2] = {1, '*'};
    switch (step->kind) {
    case STEP_DATA:
        if (prove_is_wildcard(step)) {
            deny_name(a, step, hasher); /* RFC 5155 section 7.2.6 */
        }
        return;
    case STEP_REFERRAL:
        show(a, step, hasher, end - match->cut->name_size, match->cut);
        return;
    case STEP_NODATA:
        if (match->node != NULL) {
            show(a, step, hasher, step->name.wire, match->node);
            return;
        }
        break;
    case STEP_NXDOMAIN:
        break;
    }
    const uint8_t *encloser = end - match->encloser->name_size;
    memcpy(wildcard + 2, encloser, match->encloser->name_size);
    deny_name(a, step, hasher);
    if (match->wildcard != NULL) {
        show(a, step, hasher, wildcard, match->wildcard);
    } else {
        deny(a, step, hasher, wildcard);
    }
}

/*
 * Which proofs an answer needs follows from its steps, which signatures from its items: an item
 * tells its node, whose signatures stand in one RRset, ordered by the type they cover. So they are
 * pointed to where they lie.
 */
#include "answer/prove.h"

#include <string.h>

#include "answer/prove_online.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

/* ---- Denials ---- */

/* Whether a step's zone brings its proofs along. */
static bool is_signed_in_file(const struct answer_step *step)
{
    return step != NULL && step->source.signing == NULL &&
           step->source.zone->denial != ZONE_UNSIGNED;
}

static bool is_in_authority(const struct plan *plan, const struct node *node, uint16_t type)
{
    unsigned end = plan->answer + (unsigned)plan->authority;
    for (unsigned i = plan->answer; i < end; i++) {
        if (plan->items[i].node == node && plan->items[i].rrset->type == type) {
            return true;
        }
    }
    return false;
}

/* The node's nearest ancestor, or itself, that the step's name has too. */
static const struct node *shared_with(const struct answer_step *step, const struct node *node)
{
    const struct zone *zone = step->source.zone;
    const struct key *key = step->name.key;
    size_t skip = zone->head->apex_key_size;
    size_t common =
        key_common(key->symbols + skip, key->size - skip, node_key(node), node->key_size);
    while (node->key_size > common) {
        node = zone_node(zone, node->parent);
    }
    return node;
}

void prove_add(struct answer *a, const struct answer_step *step, const struct rrset *rrset,
               const struct node *node)
{
    if (rrset == NULL || is_in_authority(&a->plan, node, rrset->type)) {
        return;
    }
    const struct node *shared = shared_with(step, node);
    uint8_t *name = NULL;
    if (shared != node) {
        name = scratch_back(a->scratch, node->name_size);
        if (name == NULL) {
            a->plan.failed = true;
            return;
        }
        node_name(step->source.zone, node, name);
    }
    answer_prove(a, step, rrset, node, name, (uint8_t)(node->name_size - shared->name_size),
                 shared->name_size);
}

static const struct rrset *nsec_in_file(struct answer *a, const struct answer_step *step,
                                        const struct node *node)
{
    (void)a;
    (void)step;
    return node_rrset(node, RRTYPE_NSEC);
}

void prove_denials(struct answer *a, struct nsec3_hasher *hasher)
{
    for (struct answer_step *step = a->first_step; step != NULL; step = step->next) {
        bool in_file = is_signed_in_file(step);
        if (a->plan.failed || (!in_file && step->source.signing == NULL)) {
            continue;
        }
        const struct rrset *ds = NULL;
        if (step->kind == STEP_REFERRAL) {
            ds = node_rrset(step->match.cut, RRTYPE_DS);
        }
        if (ds != NULL) {
            prove_add(a, step, ds, step->match.cut);
        } else if (!in_file) {
            prove_online_step(a, step, hasher);
        } else if (step->source.zone->denial == ZONE_NSEC) {
            prove_nsec_step(a, step, nsec_in_file);
        } else {
            prove_nsec3_step(a, step, hasher);
        }
    }
}

/* ---- Signatures ---- */

/* Whether the zone signs the item's RRset: delegations and what is below them it does not. */
static bool has_signatures(const struct plan_item *item)
{
    const struct node *node = item->node;
    uint16_t type = item->rrset->type;
    return is_signed_in_file(item->step) && node != NULL && type != RRTYPE_RRSIG &&
           signing_covers(node, type);
}

/* The records that cover a type among the signatures of a node, into the item. */
static void find_signatures(struct plan_item *item, const struct rrset *signatures)
{
    uint16_t type = item->rrset->type;
    size_t at = 0, start = 0;
    while (at < signatures->block_size && item->signatures_count < UINT8_MAX) {
        const uint8_t *record = signatures->block + at;
        uint16_t covered = wire_get_u16(record + RECORD_HEAD);
        if (covered > type) {
            break;
        }
        if (covered == type && item->signatures_count++ == 0) {
            start = at;
        }
        at += RECORD_HEAD + (size_t)wire_get_u16(record + RECORD_HEAD - 2);
    }
    if (item->signatures_count > 0) {
        item->signatures = signatures->block + start;
        item->signatures_size = (uint16_t)(at - start);
    }
}

/* Puts a copy in the place of signatures that would outlive what they cover, which the SOA of
 * negative answers is for (RFC 2308 section 5). */
static void shorten_signatures(struct answer *a, struct plan_item *item)
{
    uint32_t ttl = rrset_ttl(item->rrset);
    uint8_t *copy = NULL;
    for (size_t at = 0; at < item->signatures_size;) {
        if (wire_get_u32(item->signatures + at + 6) > ttl) {
            if (copy == NULL) {
                copy = scratch_back(a->scratch, item->signatures_size);
                if (copy == NULL) {
                    a->plan.failed = true;
                    return;
                }
                memcpy(copy, item->signatures, item->signatures_size);
                item->signatures = copy;
            }
            wire_put_u32(copy + at + 6, ttl);
        }
        at += RECORD_HEAD + (size_t)wire_get_u16(item->signatures + at + RECORD_HEAD - 2);
    }
}

void prove_signatures(struct answer *a)
{
    const struct answer_step *step = a->first_step;
    while (step != NULL && !is_signed_in_file(step)) {
        step = step->next;
    }
    if (step == NULL) {
        return; /* most answers there are: not to be looked through */
    }
    size_t count = (size_t)a->plan.answer + a->plan.authority + a->plan.additional;
    for (size_t i = 0; i < count; i++) {
        struct plan_item *item = &a->plan.items[i];
        const struct rrset *signatures =
            has_signatures(item) ? node_rrset(item->node, RRTYPE_RRSIG) : NULL;
        if (signatures != NULL) {
            find_signatures(item, signatures);
            shorten_signatures(a, item);
        }
    }
}

#include "answer/prove_online.h"

#include <string.h>

#include "answer/prove.h"
#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dnssec/denial.h"

static const struct zone *step_zone(const struct answer_step *step)
{
    return step->source.zone;
}

/* The last `size` octets of the name that was asked for: an ancestor of it, or itself. */
static const uint8_t *ancestor(const struct answer_step *step, size_t size)
{
    return step->name.wire + (step->name.place.size - size);
}

/* --- compact denial (RFC 9824) --- */

/* The NSEC of an ancestor of the name (size its octets) or of the name itself, that says nothing of
 * any other name. NULL, and the plan failed, without memory. */
static const struct rrset *compact_nsec(struct answer *a, const struct answer_step *step,
                                        const struct denial_types *types, size_t size)
{
    void *memory = scratch_back(a->scratch, denial_room(types));
    if (memory == NULL) {
        a->plan.failed = true;
        return NULL;
    }
    uint8_t next[NAME_MAX_OCTETS];
    denial_successor(ancestor(step, size), step_zone(step)->head->apex_name, next);
    return denial_nsec(types, step->source.signing->denial_ttl, next, memory);
}

/* node: whose record it is; NULL where it is of no node. */
static void add_compact(struct answer *a, const struct answer_step *step,
                        const struct denial_types *types, const struct node *node, size_t size)
{
    const struct rrset *nsec = compact_nsec(a, step, types, size);
    if (nsec != NULL) {
        answer_prove(a, step, nsec, node, NULL, 0, (uint16_t)size);
    }
}

static void prove_compact(struct answer *a, const struct answer_step *step)
{
    const struct zone_match *match = &step->match;
    struct denial_types types = {.overlay = &step->source.signing->overlay};
    size_t size = step->name.place.size;
    switch (step->kind) {
    case STEP_DATA:
        return;
    case STEP_REFERRAL:
        types.node = match->cut;
        add_compact(a, step, &types, match->cut, match->cut->name_size);
        return;
    case STEP_NODATA:
        types.node = match->node != NULL ? match->node : match->wildcard;
        add_compact(a, step, &types, match->node, size);
        return;
    case STEP_NXDOMAIN:
        types.absent = true;
        add_compact(a, step, &types, NULL, size);
        if ((a->query->edns_flags & EDNS_CO) == 0) {
            a->plan.rcode = RCODE_NOERROR;
            a->plan.nxname = true;
        }
        return;
    }
}

/* --- all modes --- */

/* Who asks for NSEC of a name that isn't there gets the one that says so as the answer: as a denial
 * it would say that it is there itself. There is the SOA and behind it the NSEC. */
static void give_absent(struct answer *a, const struct answer_step *step)
{
    struct plan *plan = &a->plan;
    if (a->query->qtype != RRTYPE_NSEC || plan->failed || plan->rcode != RCODE_NOERROR ||
        plan->answer != 0 || plan->authority != 2) {
        return;
    }
    struct plan_item *soa = &plan->items[0], *nsec = &plan->items[1];
    if (nsec->rrset->type == RRTYPE_NSEC && nsec->prefix == NULL &&
        nsec->owner_size == step->name.place.size) {
        plan->size -= soa->rrset->block_size;
        *soa = *nsec;
        a->scratch->front -= sizeof *nsec;
        plan->answer = 1;
        plan->authority = 0;
    }
}

/* The NSEC of a member of the chain. */
static const struct rrset *chain_nsec(struct answer *a, const struct answer_step *step,
                                      const struct node *node)
{
    const struct signing *signing = step->source.signing;
    void *memory = scratch_back(a->scratch, signing_room(signing, node));
    if (memory == NULL) {
        a->plan.failed = true;
        return NULL;
    }
    return signing_rrset(signing, node, RRTYPE_NSEC, memory);
}

/* --- questions for what is made here --- */

/* What the question for the NSEC of the step's node is answered with; NULL: it has none. */
static const struct rrset *own_nsec(struct answer *a, const struct answer_step *step,
                                    const struct node *node)
{
    if (step->source.signing->denial == DENIAL_COMPACT) {
        return compact_nsec(a, step, &(struct denial_types){.node = node,
                                                            .overlay = step->source.overlay},
                            step->name.place.size);
    }
    bool is_member = step->source.signing->denial == DENIAL_NSEC && denial_in_chain(node);
    return is_member ? chain_nsec(a, step, node) : NULL;
}

/* The RRset without what it has for the additional section. */
static const struct rrset *without_targets(struct answer *a, const struct rrset *rrset)
{
    size_t size = (size_t)((const uint8_t *)rrset_targets(rrset) - (const uint8_t *)rrset);
    struct rrset *copy = rrset->targets > 0 ? scratch_back(a->scratch, size) : NULL;
    if (rrset->targets == 0) {
        return rrset;
    }
    if (copy == NULL) {
        a->plan.failed = true;
        return NULL;
    }
    memcpy(copy, rrset, size);
    copy->targets = 0;
    return copy;
}

/* An RRset of the node that has signatures; NULL: there is none but, maybe, the denial's. */
static const struct rrset *signed_rrset(struct answer *a, const struct node *node)
{
    const struct rrset *rrset = node_first_rrset(node);
    for (unsigned i = 0; i < node->rrsets; i++, rrset = rrset_next(rrset)) {
        if (signing_covers(node, rrset->type) && !zone_overlay_hides(node, rrset->type)) {
            return without_targets(a, rrset);
        }
    }
    return NULL;
}

/*
 * NSEC and RRSIG stand in no zone that is signed here, yet denials say, rightly, that they are
 * there. So who asks for them gets the name's NSEC; or the signatures of one of its RRsets, as
 * RFC 8482 has it for ANY: all of them would be for an amplifier only. Such questions follow no
 * chain, so there is one step, and the plan holds the SOA alone, in whose place it goes.
 */
static void answer_made(struct answer *a, struct answer_step *step)
{
    const struct zone_match *match = &step->match;
    const struct node *node = match->node != NULL ? match->node : match->wildcard;
    const struct rrset *rrset = NULL;
    if (a->query->qtype == RRTYPE_RRSIG) {
        rrset = signed_rrset(a, node);
    }
    if (rrset == NULL) {
        rrset = own_nsec(a, step, node);
    }
    if (rrset == NULL) {
        return;
    }
    bool of_name = match->node == NULL && rrset->type == RRTYPE_NSEC &&
                   step->source.signing->denial == DENIAL_COMPACT;
    struct plan_item *item = &a->plan.items[0];
    a->plan.size = a->plan.size - item->rrset->block_size + rrset->block_size;
    a->plan.answer = 1;
    a->plan.authority = 0;
    item->rrset = rrset;
    item->node = of_name ? NULL : node;
    item->place = step->name.place;
    item->owner_size = step->name.place.size;
    step->kind = STEP_DATA;
}

void prove_online_step(struct answer *a, struct answer_step *step, struct nsec3_hasher *hasher)
{
    uint16_t qtype = a->query->qtype;
    if (step->kind == STEP_NODATA && (qtype == RRTYPE_NSEC || qtype == RRTYPE_RRSIG)) {
        answer_made(a, step);
    }
    switch (step->source.signing->denial) {
    case DENIAL_COMPACT:
        a->plan.co = true;
        prove_compact(a, step);
        give_absent(a, step);
        return;
    case DENIAL_NSEC:
        prove_nsec_step(a, step, chain_nsec);
        return;
    case DENIAL_NSEC3:
        prove_lies(a, step, hasher);
        return;
    }
}

/* --- signatures --- */

/* Whether the item's owner is a name that a wildcard stands for. */
static bool is_expanded(const struct plan_item *item)
{
    const struct plan_place *name = &item->step->name.place;
    return item->node != NULL && item->node == item->step->match.wildcard &&
           item->place.base == name->base && item->place.position == name->position &&
           item->owner_size == name->size;
}

/* Labels of a name that may well begin with "*", whether or not there is a wildcard (RFC 4034 section
 * 3.1.3). */
static uint8_t signed_labels(const uint8_t *name)
{
    bool star = name[0] == 1 && name[1] == '*';
    return (uint8_t)(name_labels(name) - star);
}

/* What the item's signature covers; false where it has none. */
static bool describe(const struct plan_item *item, struct sign_what *what)
{
    const struct answer_step *step = item->step;
    const struct zone *zone = step_zone(step);
    const struct node *node = item->node;
    uint16_t type = item->rrset->type;
    *what = (struct sign_what){.rrset = item->rrset, .ttl = rrset_ttl(item->rrset)};
    bool compact = step->source.signing->denial == DENIAL_COMPACT;
    if (node == NULL ? type == RRTYPE_NSEC || type == RRTYPE_NSEC3 : is_expanded(item) && compact) {
        what->owner = item->prefix != NULL ? item->prefix : step->name.wire;
        what->labels = signed_labels(what->owner);
        return true;
    }
    if (node == NULL || !signing_covers(node, type)) {
        return false;
    }
    if (type == RRTYPE_SOA) { /* that of a negative answer has a TTL of its own */
        what->ttl = rrset_ttl(node_rrset(node, RRTYPE_SOA));
    }
    what->labels = signing_labels(zone, node);
    what->key = signing_key_of(zone, node, type);
    return true;
}

static void give(struct answer *a, struct plan_item *item, const uint8_t *run)
{
    static const struct rrset nothing = {.type = RRTYPE_RRSIG};
    size_t count;
    size_t size = signing_run_size(item->step->source.signing, item->rrset->type, &count);
    if (a->query->qtype == RRTYPE_RRSIG && item == a->plan.items && a->plan.answer == 1) {
        a->plan.size -= item->rrset->block_size; /* what they sign was not asked for */
        item->rrset = &nothing;
    }
    item->signatures = run;
    item->signatures_size = (uint16_t)size;
    item->signatures_count = (uint8_t)count;
    a->plan.size += size;
}

/* The signatures go to run later. NOLINTNEXTLINE(readability-non-const-parameter) */
static void request(struct answer *a, const struct sign_what *what, uint32_t item, uint8_t *run)
{
    struct sign_request *request = scratch_back(a->scratch, sizeof *request);
    if (request == NULL) {
        a->plan.failed = true;
        return;
    }
    *request = (struct sign_request){
        .next = a->requests,
        .signing = a->plan.items[item].step->source.signing,
        .what = *what,
        .item = item,
        .run = run,
    };
    a->requests = request;
}

/* Leaves out the rest of the additional section, from the item on, where that has no room in the
 * message: what is not sent need not be signed. False where it has, or is no additional data. */
static bool cut_additional(struct answer *a, uint32_t item, size_t used)
{
    uint32_t before = (uint32_t)a->plan.answer + a->plan.authority;
    if (item < before || a->plan.items[item].required || used <= a->size_limit) {
        return false;
    }
    a->plan.additional = (uint16_t)(item - before);
    return true;
}

unsigned prove_online_find(struct answer *a, struct sign_desk *desk, uint32_t now)
{
    unsigned found = 0;
    size_t used = 0; /* octets of the records up to the item */
    uint32_t items = (uint32_t)a->plan.answer + a->plan.authority + a->plan.additional;
    for (uint32_t i = 0; i < items && !a->plan.failed; i++) {
        struct plan_item *item = &a->plan.items[i];
        struct sign_what what;
        used += item->rrset->block_size;
        if (cut_additional(a, i, used)) {
            break;
        }
        if (item->step == NULL || item->step->source.signing == NULL || !describe(item, &what)) {
            continue;
        }
        const struct signing *signing = item->step->source.signing;
        size_t count, size = signing_run_size(signing, what.rrset->type, &count);
        used += size;
        if (cut_additional(a, i, used)) {
            break;
        }
        uint8_t *run = scratch_back(a->scratch, size);
        if (run == NULL) {
            a->plan.failed = true;
        } else if (sign_desk_find(desk, signing, &what, now, run)) {
            give(a, item, run);
            found++;
        } else {
            request(a, &what, i, run);
        }
    }
    return found;
}

void prove_online_retry(struct answer *a, struct sign_desk *desk, uint32_t now)
{
    struct sign_request **at = &a->requests;
    while (*at != NULL) {
        struct sign_request *request = *at;
        if (sign_desk_find(desk, request->signing, &request->what, now, request->run)) {
            give(a, &a->plan.items[request->item], request->run);
            *at = request->next;
        } else {
            at = &(*at)->next;
        }
    }
}

int prove_online_make(struct answer *a, const struct sign_request *request, struct sign_desk *desk,
                      uint32_t now)
{
    struct plan_item *item = &a->plan.items[request->item];
    struct sign_what what = request->what;
    uint8_t name[NAME_MAX_OCTETS];
    if (what.owner == NULL) {
        node_name(step_zone(item->step), item->node, name);
        what.owner = name;
    }
    int made = sign_desk_make(desk, request->signing, &what, now, request->run);
    if (made >= 0) {
        give(a, item, request->run);
    }
    return made;
}

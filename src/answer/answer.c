#include "answer/answer.h"

#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

void answer_begin(struct answer *answer, const struct query *query, bool stream, size_t size_limit,
                  struct scratch *scratch)
{
    answer->query = query;
    answer->stream = stream;
    answer->size_limit = size_limit;
    answer->scratch = scratch;
    answer->name = (struct plan_name){
        .key = &query->key,
        .wire = query_name(query),
        .place = {PLAN_QNAME, 0, query->qname_size},
    };
    answer->links = 0;
    answer->wildcard = false;
    answer->referral = false;
    answer->proves = query->has_edns && (query->edns_flags & EDNS_DO) != 0;
    answer->first_step = NULL;
    answer->last_step = NULL;
    answer->step = NULL;
    answer->requests = NULL;
    answer->source = (struct answer_zone){0};
    answer->plan = (struct plan){.ede = EDE_NONE};
}

/* --- adding to the plan --- */

static size_t plan_items(const struct plan *plan)
{
    return (size_t)plan->answer + plan->authority + plan->additional;
}

/* The next item, its section's count not yet raised; NULL (and failed) where scratch is full. */
static struct plan_item *add_item(struct answer *a, const struct rrset *rrset,
                                  const struct node *node, struct plan_place place,
                                  uint16_t owner_size)
{
    struct plan_item *item = scratch_front(a->scratch, sizeof *item);
    if (item == NULL || plan_items(&a->plan) >= PLAN_QNAME) {
        a->plan.failed = true;
        return NULL;
    }
    if (a->plan.items == NULL) {
        a->plan.items = item;
    }
    *item = (struct plan_item){
        .rrset = rrset,
        .node = node,
        .step = a->step,
        .place = place,
        .owner_size = owner_size,
    };
    a->plan.size += rrset->block_size;
    return item;
}

/* An RRset of the name asked for (owner_size its size) or of an ancestor of it. */
static void add_answer(struct answer *a, const struct rrset *rrset, const struct node *node,
                       uint16_t owner_size)
{
    if (add_item(a, rrset, node, a->name.place, owner_size) != NULL) {
        a->plan.answer++;
    }
}

static void add_authority(struct answer *a, const struct rrset *rrset, const struct node *node,
                          uint16_t owner_size)
{
    if (add_item(a, rrset, node, a->name.place, owner_size) != NULL) {
        a->plan.authority++;
    }
}

struct plan_item *answer_prove(struct answer *a, const struct answer_step *step,
                               const struct rrset *rrset, const struct node *node,
                               const uint8_t *prefix, uint8_t prefix_size, uint16_t owner_size)
{
    struct plan_item *item = add_item(a, rrset, node, step->name.place, owner_size);
    if (item != NULL) {
        item->step = step;
        item->prefix = prefix;
        item->prefix_size = prefix_size;
        a->plan.size += prefix_size;
        a->plan.authority++;
    }
    return item;
}

/* Begins a step that is noted. What it found is told by conclude. */
static void begin_step(struct answer *a, const struct zone_match *match)
{
    struct answer_step *step = scratch_back(a->scratch, sizeof *step);
    if (step == NULL) {
        a->plan.failed = true;
        return;
    }
    *step = (struct answer_step){.source = a->source, .match = *match, .name = a->name};
    if (a->last_step != NULL) {
        a->last_step->next = step;
    } else {
        a->first_step = step;
    }
    a->last_step = step;
    a->step = step;
}

static void conclude(struct answer *a, enum step_kind kind)
{
    if (a->step != NULL) {
        a->step->kind = kind;
    }
}

/* --- additional section --- */

static bool is_planned(const struct plan *plan, const struct rrset *rrset)
{
    for (size_t i = 0; i < plan_items(plan); i++) {
        if (plan->items[i].rrset == rrset) {
            return true;
        }
    }
    return false;
}

static void add_additional(struct answer *a, const struct rrset *rrset, const struct node *node,
                           struct plan_place place, uint16_t owner_size, bool required)
{
    if (rrset == NULL || is_planned(&a->plan, rrset)) {
        return;
    }
    struct plan_item *item = add_item(a, rrset, node, place, owner_size);
    if (item != NULL) {
        item->required = required;
        a->plan.additional++;
    }
}

/* What belongs into the additional section for the targets of one item. */
static void add_targets(struct answer *a, const struct zone *zone, size_t index, bool required)
{
    const struct rrset *rrset = a->plan.items[index].rrset;
    const struct rrset_target *targets = rrset_targets(rrset);
    for (unsigned i = 0; i < rrset->targets && a->plan.size <= a->size_limit; i++) {
        const struct rrset_target *target = &targets[i];
        if (target->node == 0 || ((target->flags & TARGET_REQUIRED) != 0) != required) {
            continue;
        }
        const struct node *node = zone_node(zone, target->node);
        struct plan_place place = {(uint16_t)index, target->position, node->name_size};
        uint16_t owner_size = node->name_size;
        if ((target->flags & TARGET_SELF) != 0) {
            place = a->plan.items[index].place;
            owner_size = a->plan.items[index].owner_size;
        }
        if ((target->flags & TARGET_ALIAS) != 0) {
            add_additional(a, node_rrset(node, rrset->type), node, place, owner_size, false);
        }
        add_additional(a, node_rrset(node, RRTYPE_A), node, place, owner_size, required);
        add_additional(a, node_rrset(node, RRTYPE_AAAA), node, place, owner_size, required);
    }
}

/*
 * Items with targets are all of the last zone: a chain's links have none. The list grows on the
 * way with RRsets that have targets themselves (AliasMode); each is there once, so it ends.
 * Required glue comes first, so that it is what remains where room is short.
 */
void answer_finish(struct answer *a)
{
    const struct zone *zone = a->source.zone;
    if (a->plan.failed || zone == NULL) {
        return;
    }
    if (a->referral) {
        add_targets(a, zone, a->referral_item, true);
    }
    for (size_t i = 0; i < plan_items(&a->plan) && a->plan.size <= a->size_limit; i++) {
        if (a->plan.items[i].rrset->targets > 0) {
            add_targets(a, zone, i, false);
        }
    }
}

/* --- chains --- */

/* Types for which a CNAME is not followed: they may stand beside it, or ask for it itself. */
static bool follows_cname(uint16_t qtype)
{
    return qtype != RRTYPE_CNAME && qtype != RRTYPE_ANY && qtype != RRTYPE_RRSIG &&
           qtype != RRTYPE_NSEC;
}

static bool keys_equal(const struct key *a, const struct key *b)
{
    return a->size == b->size && memcmp(a->symbols, b->symbols, a->size) == 0;
}

/*
 * Moves on to target, whose name stands as the whole RDATA of the item added last. False where the
 * chain ends here: it is a loop, or out of memory. wire is in scratch or in the zone for good.
 */
static bool follow(struct answer *a, const uint8_t *wire)
{
    struct key *key = scratch_back(a->scratch, sizeof *key);
    if (key == NULL || a->plan.failed) {
        a->plan.failed = true;
        return false;
    }
    key_from_name(wire, key);
    a->visited[a->links++] = a->name.key;
    for (unsigned i = 0; i < a->links; i++) {
        if (keys_equal(a->visited[i], key)) {
            return false;
        }
    }
    a->name.key = key;
    a->name.wire = wire;
    a->name.place = (struct plan_place){
        .base = (uint16_t)(plan_items(&a->plan) - 1),
        .position = RECORD_HEAD,
        .size = (uint16_t)name_size(wire),
    };
    return true;
}

/* Adds the CNAME and follows it; false where the chain ends with it. */
static bool take_cname(struct answer *a, const struct node *node)
{
    uint8_t *target = scratch_back(a->scratch, NAME_MAX_OCTETS);
    if (target == NULL) {
        a->plan.failed = true;
        return false;
    }
    const struct rrset *cname = node_rrset(node, RRTYPE_CNAME);
    size_t position = 0;
    rrset_rdata(cname, a->name.wire, &position, target);
    add_answer(a, cname, node, a->name.place.size);
    return follow(a, target);
}

/* The CNAME that a DNAME makes for the name (RFC 6672 section 2.2), as an RRset of its own. */
static struct rrset *synthesize_cname(struct answer *a, const struct rrset *dname,
                                      const uint8_t *target, size_t prefix)
{
    size_t tail = name_size(target);
    size_t size = prefix + tail;
    struct rrset *rrset = scratch_back(a->scratch, sizeof *rrset + RECORD_HEAD + size);
    if (rrset == NULL) {
        a->plan.failed = true;
        return NULL;
    }
    *rrset = (struct rrset){
        .type = RRTYPE_CNAME,
        .count = 1,
        .block_size = (uint32_t)(RECORD_HEAD + size),
    };
    uint8_t *record = rrset->block;
    wire_put_u16(record, 0);
    wire_put_u16(record + 2, RRTYPE_CNAME);
    wire_put_u16(record + 4, CLASS_IN);
    wire_put_u32(record + 6, rrset_ttl(dname));
    wire_put_u16(record + 10, (uint16_t)size);
    memcpy(record + RECORD_HEAD, a->name.wire, prefix);
    memcpy(record + RECORD_HEAD + prefix, target, tail);
    return rrset;
}

/* Adds the DNAME and the CNAME it makes, and follows that; false where the chain ends. */
static bool take_dname(struct answer *a, const struct node *node)
{
    const struct rrset *dname = node_rrset(node, RRTYPE_DNAME);
    const uint8_t *target = dname->block + RECORD_HEAD; /* never compressed */
    if (!is_planned(&a->plan, dname)) { /* a chain may come through it again */
        add_answer(a, dname, node, node->name_size);
    }
    size_t prefix = (size_t)a->name.place.size - node->name_size;
    if (prefix + name_size(target) > NAME_MAX_OCTETS) {
        a->plan.rcode = RCODE_YXDOMAIN;
        return false;
    }
    struct rrset *cname = synthesize_cname(a, dname, target, prefix);
    if (cname == NULL) {
        return false;
    }
    add_answer(a, cname, NULL, a->name.place.size);
    return follows_cname(a->query->qtype) && follow(a, cname->block + RECORD_HEAD);
}

/* --- the algorithm --- */

static void add_soa(struct answer *a)
{
    const struct zone *zone = a->source.zone;
    add_authority(a, zone_at(zone, zone->head->negative_soa), zone_at(zone, zone->head->apex),
                  zone->head->apex_size);
}

/* The overlay of the node, where it is the apex and has one; else an empty one. */
static struct zone_overlay overlay_of(const struct answer *a, const struct node *node)
{
    const struct zone_overlay *overlay = a->source.overlay;
    return overlay != NULL && (node->flags & NODE_APEX) != 0 ? *overlay : (struct zone_overlay){0};
}

/* Whether the zone has an overlay that stands for this of its own file. */
static bool is_hidden(const struct answer *a, const struct node *node, uint16_t type)
{
    return a->source.overlay != NULL && zone_overlay_hides(node, type);
}

static const struct rrset *overlay_find(const struct zone_overlay *overlay, uint16_t type)
{
    for (size_t i = 0; i < overlay->count; i++) {
        if (overlay->sets[i]->type == type) {
            return overlay->sets[i];
        }
    }
    return NULL;
}

/* ANY (RFC 8482 section 4.1): over datagrams one RRset, over a stream all. */
static void answer_any(struct answer *a, const struct node *node)
{
    struct zone_overlay overlay = overlay_of(a, node);
    const struct rrset *rrset = node_first_rrset(node);
    for (unsigned i = 0; i < node->rrsets; i++) {
        if (rrset->type != RRTYPE_RRSIG && !is_hidden(a, node, rrset->type)) {
            add_answer(a, rrset, node, a->name.place.size);
            if (!a->stream) {
                return;
            }
        }
        rrset = rrset_next(rrset);
    }
    for (size_t i = 0; i < overlay.count; i++) {
        add_answer(a, overlay.sets[i], node, a->name.place.size);
    }
}

/* The node of the name, or the wildcard that stands for it (expanded). */
static enum answer_next answer_node(struct answer *a, const struct node *node, bool expanded)
{
    uint16_t qtype = a->query->qtype;
    uint16_t before = a->plan.answer;
    if (qtype == RRTYPE_ANY) {
        answer_any(a, node);
    } else if ((node->flags & NODE_CNAME) != 0 && follows_cname(qtype)) {
        return a->links < ANSWER_CHAIN_MAX && take_cname(a, node) ? ANSWER_CHASE : ANSWER_DONE;
    } else {
        struct zone_overlay overlay = overlay_of(a, node);
        const struct rrset *rrset = overlay_find(&overlay, qtype);
        if (rrset == NULL && !is_hidden(a, node, qtype)) {
            rrset = node_rrset(node, qtype);
        }
        if (rrset != NULL && !expanded && is_planned(&a->plan, rrset)) {
            return ANSWER_DONE; /* the DNAME that the chain came through */
        }
        if (rrset != NULL) {
            add_answer(a, rrset, node, a->name.place.size);
        }
    }
    if (a->plan.answer == before) {
        conclude(a, STEP_NODATA);
        add_soa(a);
    }
    return ANSWER_DONE;
}

/* At or below a delegation: a referral, but for the DS, which is the parent's own. */
static enum answer_next answer_cut(struct answer *a, const struct zone_match *match)
{
    if (a->query->qtype == RRTYPE_DS && match->node == match->cut) {
        return answer_node(a, match->node, false);
    }
    if (a->links == 0) {
        a->plan.aa = false;
    }
    a->referral = true;
    a->referral_item = (uint16_t)plan_items(&a->plan);
    conclude(a, STEP_REFERRAL);
    add_authority(a, node_rrset(match->cut, RRTYPE_NS), match->cut, match->cut->name_size);
    return ANSWER_DONE;
}

enum answer_next answer_plan(struct answer *a, const struct answer_zone *source,
                             const struct zone_match *match)
{
    if (a->links == 0) {
        a->plan.aa = true;
    }
    a->source = *source;
    a->step = NULL;
    if (a->proves && (source->signing != NULL || source->zone->denial != ZONE_UNSIGNED)) {
        begin_step(a, match);
    }
    if (match->cut != NULL) {
        return answer_cut(a, match);
    }
    if (match->dname != NULL) {
        return a->links < ANSWER_CHAIN_MAX && take_dname(a, match->dname) ? ANSWER_CHASE
                                                                           : ANSWER_DONE;
    }
    if (match->node != NULL) {
        return answer_node(a, match->node, false);
    }
    if (match->wildcard != NULL) {
        a->wildcard = true;
        return answer_node(a, match->wildcard, true);
    }
    a->plan.rcode = RCODE_NXDOMAIN;
    conclude(a, STEP_NXDOMAIN);
    add_soa(a);
    return ANSWER_DONE;
}

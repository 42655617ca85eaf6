/*
 * A packet's whole life, stage by stage over the batch. Each stage goes over all queries
 * before the next begins, so that the memory one query waits for is fetched while others work.
 */
#include "serve/serve.h"

#include <stdlib.h>
#include <string.h>

#include "answer/answer.h"
#include "answer/prove.h"
#include "answer/prove_online.h"
#include "answer/render.h"
#include "dns/message.h"
#include "dns/query.h"
#include "dns/rrtype.h"
#include "serve/budget.h"
#include "serve/chaos.h"
#include "serve/cookie.h"

enum {
    /*
     * Plans of one batch. A plan has at most 64 KiB / 16 octets of records, 4096 items of 24
     * octets; datagrams at most a few dozen. Only what is used is touched. Where it does not
     * suffice for all of a batch, the batch is planned and rendered in parts.
     */
    SCRATCH_SIZE = 1 << 20,
    /* Name servers of a referral whose glue is fetched ahead. Most delegations have two to four;
     * for those with more, others' lines would have to leave the first-level cache. */
    GLUE_AHEAD = 4,
};

/* One query on its way. */
struct slot {
    enum query_status status;
    uint32_t position;       /* of its zone in the world, or WORLD_NONE */
    const struct zone *zone; /* NULL: none, or not loaded */
    unsigned used;           /* of the budget for signatures, by the first query of each zone */
    struct answer answer;
    struct query query;
};

struct serve {
    struct counters *counters;
    struct zone_counts *zone_counts;
    struct nsec3_hasher *hasher;
    struct scratch scratch;
    struct sign_desk *desk;
    uint64_t keys_generation; /* of the world that the desk's keys are of */
    size_t later;             /* queries left for serve_later */
    struct slot slots[SERVE_BATCH];
};

struct serve *serve_new(struct counters *counters, struct zone_counts *zone_counts)
{
    struct serve *s = calloc(1, sizeof *s); /* off the query path: a worker's start */
    uint8_t *scratch = malloc(SCRATCH_SIZE); /* off the query path: a worker's start */
    struct sign_desk *desk = sign_desk_new();
    struct nsec3_hasher *hasher = nsec3_hasher_new();
    if (s == NULL || scratch == NULL || desk == NULL || hasher == NULL) {
        nsec3_hasher_free(hasher);
        free(s);       /* off the query path: a worker's start */
        free(scratch); /* off the query path: a worker's start */
        sign_desk_free(desk);
        return NULL;
    }
    s->desk = desk;
    s->counters = counters;
    s->zone_counts = zone_counts;
    s->scratch.base = scratch;
    s->hasher = hasher;
    return s;
}

void serve_free(struct serve *serve)
{
    if (serve != NULL) {
        sign_desk_free(serve->desk);
        nsec3_hasher_free(serve->hasher);
        free(serve->scratch.base); /* off the query path: a worker's end */
        free(serve);               /* off the query path: a worker's end */
    }
}

static bool is_transfer(uint16_t qtype)
{
    return qtype == RRTYPE_AXFR || qtype == RRTYPE_IXFR;
}

/* Whether zone data is to be asked for an answer. */
static bool asks_zones(const struct slot *slot)
{
    return slot->status == QUERY_OK && slot->query.qclass == CLASS_IN;
}

static void parse_all(struct serve *s, const struct serve_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &s->slots[i];
        slot->status = query_parse(requests[i].in, requests[i].in_size, &slot->query);
        slot->position = WORLD_NONE;
        slot->zone = NULL;
    }
}

/* The zone that is to answer for a name: the nearest apex, for DS of an apex the one above it. */
static uint32_t choose_zone(const struct world *world, uint32_t position, const struct key *key,
                            uint16_t qtype)
{
    if (qtype == RRTYPE_DS && position != WORLD_NONE &&
        zone_index_key_size(world->index, position) == key->size) {
        uint32_t parent = world_parent(world, position);
        return parent != WORLD_NONE ? parent : position;
    }
    return position;
}

static void locate_all(struct serve *s, const struct world *world, size_t count)
{
    const struct key *keys[SERVE_BATCH] = {NULL};
    struct slot *asking[SERVE_BATCH];
    uint32_t positions[SERVE_BATCH];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (asks_zones(&s->slots[i])) {
            asking[n] = &s->slots[i];
            keys[n++] = &s->slots[i].query.key;
        }
    }
    world_locate_many(world, keys, n, positions);
    for (size_t i = 0; i < n; i++) {
        struct slot *slot = asking[i];
        slot->position = choose_zone(world, positions[i], keys[i], slot->query.qtype);
        if (slot->position != WORLD_NONE) {
            const struct world_zone *place = &world->zones[slot->position];
            slot->zone = place->zone;
            __builtin_prefetch(&s->zone_counts[place->slot], 1);
            if (slot->zone != NULL) {
                __builtin_prefetch(slot->zone); /* which may lie across two lines */
                __builtin_prefetch(&slot->zone->radix);
            }
        }
    }
}

/* The node whose RRsets an answer begins with. */
static const struct node *match_source(const struct zone_match *match)
{
    return match->cut != NULL    ? match->cut
           : match->node != NULL ? match->node
                                 : match->wildcard;
}

/* The first lines of a node's RRsets: most have no more. */
static void prefetch_rrsets(const struct node *node)
{
    const uint8_t *rrsets = (const uint8_t *)node_first_rrset(node);
    __builtin_prefetch(rrsets);
    __builtin_prefetch(rrsets + 64);
}

/* The nodes of a referral's first name servers. Not read here, so two lines stand for each. */
static void prefetch_glue(const struct zone *zone, const struct node *cut)
{
    const struct rrset *ns = node_rrset(cut, RRTYPE_NS);
    const struct rrset_target *targets = rrset_targets(ns);
    for (unsigned i = 0; i < ns->targets && i < GLUE_AHEAD; i++) {
        const uint8_t *node = zone_at(zone, targets[i].node);
        __builtin_prefetch(node);
        __builtin_prefetch(node + 64);
    }
}

/*
 * Finds what each query's name is in its zone. Whatever a step will read was asked for a step
 * before: the zone's tree, then the leaf's node, then the RRsets of the node that will answer, and
 * for a referral the nodes with its glue.
 */
static void search_all(struct serve *s, const struct world *world, size_t count,
                       struct zone_match *matches)
{
    struct radix_cursor cursors[SERVE_BATCH];
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &s->slots[i];
        cursors[i].at = NULL;
        if (slot->zone != NULL) {
            size_t skip = zone_index_key_size(world->index, slot->position);
            cursors[i] = (struct radix_cursor){slot->zone->radix, slot->zone->radix,
                                               slot->query.key.symbols + skip,
                                               slot->query.key.size - skip};
            __builtin_prefetch(slot->zone->radix);
        }
    }
    radix_search_many(cursors, count);
    for (size_t i = 0; i < count; i++) {
        if (cursors[i].at != NULL) {
            __builtin_prefetch(zone_at(s->slots[i].zone, cursors[i].at->value));
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (cursors[i].at != NULL) {
            zone_match_leaf(s->slots[i].zone, cursors[i].symbols, cursors[i].size,
                            cursors[i].at->value, &matches[i]);
            const struct node *node = match_source(&matches[i]);
            if (node != NULL) {
                prefetch_rrsets(node);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (cursors[i].at != NULL && matches[i].cut != NULL) {
            prefetch_glue(s->slots[i].zone, matches[i].cut);
        }
    }
}

/*
 * DS of an apex is looked for in the nearest zone above. Where that one has it below a cut, the
 * zone between is somebody else's, and the child's own "no data" is due (RFC 4035 section
 * 3.1.4.1). Moves *position and match to the child then.
 */
static void settle_ds(const struct world *world, const struct key *key, uint32_t *position,
                      struct zone_match *match)
{
    if (match->cut == NULL || match->cut == match->node) {
        return;
    }
    uint32_t nearest = world_locate(world, key);
    const struct zone *child = world->zones[nearest].zone;
    if (nearest != *position && child != NULL) {
        *position = nearest;
        zone_lookup(child, key, match);
    }
}

static struct answer_zone source_at(const struct world *world, uint32_t position)
{
    const struct signing *signing = world->zones[position].signing;
    return (struct answer_zone){
        .zone = world->zones[position].zone,
        .overlay = signing != NULL ? &signing->overlay : NULL,
        .signing = signing,
    };
}

/*
 * Follows the name along its chain through all zones, from the first zone's match on. False where
 * the chain ends in a zone that is not loaded.
 */
static bool plan_chain(struct slot *slot, const struct world *world, struct zone_match *match)
{
    struct answer *a = &slot->answer;
    struct answer_zone source = source_at(world, slot->position);
    while (answer_plan(a, &source, match) == ANSWER_CHASE) {
        uint32_t position = world_locate(world, a->name.key);
        position = choose_zone(world, position, a->name.key, slot->query.qtype);
        if (position == WORLD_NONE) {
            return true; /* the chain leaves our zones: it ends here */
        }
        source = source_at(world, position);
        if (source.zone == NULL) {
            a->plan.rcode = RCODE_SERVFAIL;
            a->plan.ede = EDE_INVALID_DATA;
            return false;
        }
        zone_lookup(source.zone, a->name.key, match);
        if (slot->query.qtype == RRTYPE_DS) {
            settle_ds(world, a->name.key, &position, match);
            source = source_at(world, position);
        }
    }
    return true;
}

/* What no zone alone tells: proofs, the additional section, signatures. Those that are missing are
 * requested. */
static void finish_plan(struct serve *s, struct answer *a, uint32_t wall)
{
    bool proves = a->first_step != NULL; /* some zone on the way has proofs */
    if (proves) {
        prove_denials(a, s->hasher);
    }
    answer_finish(a);
    if (proves && !a->plan.failed) {
        prove_signatures(a);
        unsigned found = prove_online_find(a, s->desk, wall);
        if (found > 0) {
            counter_add(s->counters, COUNTER_signatures_found, found);
        }
    }
}

static void plan_error(struct plan *plan, uint16_t rcode, int ede)
{
    *plan = (struct plan){.rcode = rcode, .ede = (int16_t)ede};
}

/* Plans the answer of one query; match is of its name in its zone, if it has one. plan.failed is
 * set where the memory for plans did not suffice. */
static void plan_one(struct serve *s, const struct world *world, struct slot *slot, bool stream,
                     size_t limit, struct zone_match match, uint32_t wall)
{
    struct answer *a = &slot->answer;
    const struct query *q = &slot->query;
    answer_begin(a, q, stream, limit, &s->scratch);
    if (slot->status == QUERY_ERROR) {
        plan_error(&a->plan, q->rcode, q->ede);
    } else if (slot->status == QUERY_COOKIE) {
        plan_error(&a->plan, world->settings.cookies ? RCODE_NOERROR : RCODE_FORMERR, EDE_NONE);
    } else if (q->qclass == CLASS_CH) {
        chaos_plan(a, &world->settings);
    } else if (q->qclass != CLASS_IN) {
        plan_error(&a->plan, RCODE_REFUSED, EDE_NONE);
    } else if (slot->position == WORLD_NONE) {
        plan_error(&a->plan, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE);
    } else if (is_transfer(q->qtype)) {
        plan_error(&a->plan, RCODE_REFUSED, EDE_NOT_SUPPORTED);
    } else if (slot->zone == NULL) {
        plan_error(&a->plan, RCODE_SERVFAIL, EDE_INVALID_DATA);
    } else {
        if (q->qtype == RRTYPE_DS) {
            settle_ds(world, &q->key, &slot->position, &match);
            slot->zone = world->zones[slot->position].zone;
        }
        if (plan_chain(slot, world, &match)) {
            finish_plan(s, a, wall);
        }
    }
}

/* What the answer may have in octets. */
static size_t answer_limit(const struct query *q, const struct settings *settings,
                           const struct serve_request *request)
{
    if (request->stream) {
        return MESSAGE_MAX;
    }
    size_t limit = MESSAGE_UDP_MIN;
    if (q->has_edns) {
        limit = q->edns_size < settings->udp_payload_max ? q->edns_size
                                                         : settings->udp_payload_max;
    }
    return limit < request->out_size ? limit : request->out_size;
}

/*
 * Plans queries from the first on, as many as the memory for plans holds but at least one; returns
 * how far it got. All of a batch, but for streams that ask for the largest answers again and again.
 */
static size_t plan_some(struct serve *s, const struct world *world,
                        const struct serve_request *requests, size_t first, size_t count,
                        const struct zone_match *matches, uint32_t wall)
{
    s->scratch.front = 0;
    s->scratch.back = SCRATCH_SIZE;
    for (size_t i = first; i < count; i++) {
        struct slot *slot = &s->slots[i];
        if (slot->status == QUERY_DROP) {
            continue;
        }
        size_t limit = answer_limit(&slot->query, &world->settings, &requests[i]);
        uint32_t position = slot->position;
        const struct zone *zone = slot->zone;
        plan_one(s, world, slot, requests[i].stream, limit, matches[i], wall);
        if (slot->answer.plan.failed && i > first) {
            slot->position = position;
            slot->zone = zone;
            return i; /* again, with all of the memory */
        }
        if (slot->answer.plan.failed) {
            plan_error(&slot->answer.plan, RCODE_SERVFAIL, EDE_OTHER);
            slot->answer.requests = NULL;
        }
    }
    return count;
}

static const char *ede_text(const struct plan *plan)
{
    switch (plan->ede) {
    case EDE_INVALID_DATA:
        return "zone is not loaded";
    case EDE_NOT_AUTHORITATIVE:
        return "no zone here for this name";
    default:
        return NULL;
    }
}

static void fill_edns(struct serve *s, const struct settings *settings, const struct slot *slot,
                      const struct serve_request *request, uint32_t wall, struct render_edns *edns)
{
    const struct query *q = &slot->query;
    edns->udp_size = settings->udp_payload_max;
    edns->nsid = settings->nsid;
    edns->nsid_size = q->nsid ? settings->nsid_size : 0;
    edns->keepalive = q->keepalive && request->stream ? settings->tcp_keepalive : -1;
    edns->ede_text = ede_text(&slot->answer.plan);
    edns->cookie_size = 0;
    if (q->cookie_size > 0 && settings->cookies) {
        static const uint16_t counter[] = {
            [COOKIE_CLIENT] = COUNTER_cookies_client,
            [COOKIE_VALID] = COUNTER_cookies_valid,
            [COOKIE_INVALID] = COUNTER_cookies_invalid,
        };
        counter_add(s->counters,
                    counter[cookie_check(settings, q, request->peer, wall, edns->cookie)], 1);
        edns->cookie_size = COOKIE_SIZE;
    }
}

static void cell_add(_Atomic uint64_t *cell, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(cell, memory_order_relaxed);
    atomic_store_explicit(cell, value + amount, memory_order_relaxed);
}

static void count_zone(struct zone_counts *counts, const struct plan *plan, size_t size)
{
    cell_add(&counts->queries, 1);
    cell_add(&counts->bytes, size);
    if (plan->rcode == RCODE_NXDOMAIN || plan->nxname) {
        cell_add(&counts->nxdomain, 1);
    }
}

static void count_answer(struct counters *c, const struct answer *a, bool truncated)
{
    const struct plan *plan = &a->plan;
    counter_add(c, COUNTER_rcode + (plan->rcode < 24 ? plan->rcode : 24u), 1);
    if (truncated) {
        counter_add(c, COUNTER_answers_truncated, 1);
    }
    if (plan->aa) {
        counter_add(c, COUNTER_answers_authoritative, 1);
    }
    if (a->referral) {
        counter_add(c, COUNTER_answers_referral, 1);
    } else if (plan->nxname) {
        counter_add(c, COUNTER_answers_nxname, 1);
    } else if (plan->aa && plan->answer == 0 && plan->rcode == RCODE_NOERROR) {
        counter_add(c, COUNTER_answers_nodata, 1);
    }
    if (a->wildcard) {
        counter_add(c, COUNTER_answers_wildcard, 1);
    }
    if (a->links > 0) {
        counter_add(c, COUNTER_chain_links, a->links);
    }
}

static void count_query(struct counters *c, const struct query *q)
{
    counter_add(c, COUNTER_opcode + q->opcode, 1);
    if (q->has_question) {
        counter_add(c, COUNTER_qtype + (q->qtype < 258 ? q->qtype : 258u), 1);
    }
    if (q->has_edns) {
        counter_add(c, COUNTER_queries_edns, 1);
        if ((q->edns_flags & EDNS_DO) != 0) {
            counter_add(c, COUNTER_queries_do, 1);
        }
    }
}

static void drop(struct counters *c, struct serve_request *request)
{
    counter_add(c, request->in_size < MESSAGE_HEADER ? COUNTER_dropped_short
                                                     : COUNTER_dropped_response, 1);
    request->out_size = 0;
    request->verdict = SERVE_DROP;
}

/* Where a stream's answer goes: behind those before it, room for its length kept. */
static void place_in_stream(struct serve_request *request, const struct serve_stream *stream)
{
    request->out = stream->data + stream->used + 2;
    request->out_size = MESSAGE_MAX;
}

static void end_in_stream(const struct serve_request *request, struct serve_stream *stream)
{
    uint8_t *length = stream->data + stream->used;
    length[0] = (uint8_t)(request->out_size >> 8);
    length[1] = (uint8_t)request->out_size;
    stream->used += 2 + request->out_size;
}

static void render_one(struct serve *s, const struct world *world, struct slot *slot,
                       struct serve_request *request, uint32_t wall)
{
    struct render_edns edns;
    if (slot->query.has_edns) {
        fill_edns(s, &world->settings, slot, request, wall, &edns);
    }
    size_t limit = answer_limit(&slot->query, &world->settings, request);
    struct render_result result =
        render(&slot->query, &slot->answer.plan, &edns, request->out, limit);
    request->out_size = result.size;
    request->verdict = result.size > 0 ? SERVE_SEND : SERVE_DROP;
    count_query(s->counters, &slot->query);
    count_answer(s->counters, &slot->answer, result.truncated);
    if (slot->position != WORLD_NONE) {
        count_zone(&s->zone_counts[world->zones[slot->position].slot], &slot->answer.plan,
                   result.size);
    }
}

/* --- fresh signatures --- */

/* Makes what an answer needs; false, and the plan is an error, where that fails. */
static void sign_one(struct serve *s, struct slot *slot, uint32_t wall)
{
    struct answer *a = &slot->answer;
    for (const struct sign_request *r = a->requests; r != NULL; r = r->next) {
        int made = prove_online_make(a, r, s->desk, wall);
        if (made < 0) {
            counter_add(s->counters, COUNTER_signatures_failed, 1);
            plan_error(&a->plan, RCODE_SERVFAIL, EDE_OTHER);
            break;
        }
        counter_add(s->counters, COUNTER_signatures_made, (uint64_t)made);
    }
    a->requests = NULL;
}

static unsigned cost_of(const struct slot *slot)
{
    unsigned cost = 0;
    for (const struct sign_request *r = slot->answer.requests; r != NULL; r = r->next) {
        cost += r->signing->cost;
    }
    return cost;
}

/* Whether the client has shown that it is where it says. */
static bool is_known(const struct world *world, const struct slot *slot,
                     const struct serve_request *request, uint32_t wall)
{
    uint8_t cookie[COOKIE_SIZE];
    return slot->query.cookie_size > 0 && world->settings.cookies &&
           cookie_check(&world->settings, &slot->query, request->peer, wall, cookie) ==
               COOKIE_VALID;
}

/* Says nothing but that TCP is the way. */
static void turn_away(struct slot *slot)
{
    slot->answer.plan = (struct plan){.truncate = true, .aa = slot->answer.plan.aa, .ede = EDE_NONE};
    slot->answer.referral = false;
    slot->answer.requests = NULL;
}

/* What a zone has used of the batch's budget so far. */
static unsigned *zone_used(struct serve *s, size_t i)
{
    for (size_t before = 0; before < i; before++) {
        if (s->slots[before].position == s->slots[i].position) {
            return &s->slots[before].used;
        }
    }
    return &s->slots[i].used;
}

/* Signs one answer that was left where its cost is within the budget; false where it isn't. */
static bool settle_within(struct serve *s, size_t i, struct budget *budget, uint32_t wall)
{
    struct slot *slot = &s->slots[i];
    if (!budget_take(budget, zone_used(s, i), cost_of(slot))) {
        return false;
    }
    sign_one(s, slot, wall);
    return true;
}

/* Signs one that is beyond the budget for a known client, or turns the client away. */
static void settle_beyond(struct serve *s, const struct world *world, size_t i,
                          const struct serve_request *request, struct budget *budget,
                          uint32_t wall)
{
    struct slot *slot = &s->slots[i];
    if (is_known(world, slot, request, wall)) {
        counter_add(s->counters, COUNTER_signing_beyond, 1);
        budget_overdraw(budget, cost_of(slot));
        sign_one(s, slot, wall);
    } else {
        counter_add(s->counters, COUNTER_signing_refused, 1);
        turn_away(slot);
    }
}

bool serve_has_later(const struct serve *s)
{
    return s->later > 0;
}

/* Once over what was left: each zone has its share, or, the last time, all that there still is, and
 * who gets nothing then is turned away. */
static void settle_all(struct serve *s, const struct world *world, struct serve_request *requests,
                       size_t count, struct budget *budget, bool last, uint32_t wall)
{
    for (size_t i = 0; i < count && s->later > 0; i++) {
        if (requests[i].verdict != SERVE_LATER) {
            continue;
        }
        if (!last) {
            prove_online_retry(&s->slots[i].answer, s->desk, wall);
        }
        if (!settle_within(s, i, budget, wall)) {
            if (!last) {
                continue;
            }
            settle_beyond(s, world, i, &requests[i], budget, wall);
        }
        render_one(s, world, &s->slots[i], &requests[i], wall);
        s->later--;
    }
}

unsigned serve_later(struct serve *s, const struct world *world, struct serve_request *requests,
                     size_t count, unsigned waiting, uint32_t wall)
{
    struct budget budget = budget_for(waiting);
    for (size_t i = 0; i < count; i++) {
        s->slots[i].used = 0;
        if (requests[i].verdict != SERVE_LATER) {
            requests[i].verdict = SERVE_DROP;
        }
    }
    settle_all(s, world, requests, count, &budget, false, wall);
    budget_share_rest(&budget);
    settle_all(s, world, requests, count, &budget, true, wall);
    s->later = 0;
    return budget.used;
}

/* Signs at once what was left so far: its plans are about to be overwritten. */
static void sign_early(struct serve *s, const struct world *world, struct serve_request *requests,
                       size_t count, uint32_t wall)
{
    for (size_t i = 0; i < count && s->later > 0; i++) {
        if (requests[i].verdict == SERVE_LATER) {
            sign_one(s, &s->slots[i], wall);
            render_one(s, world, &s->slots[i], &requests[i], wall);
            s->later--;
        }
    }
}

size_t serve_batch(struct serve *s, const struct world *world, struct serve_request *requests,
                   size_t count, struct serve_stream *stream, uint32_t wall)
{
    struct zone_match matches[SERVE_BATCH];
    if (s->keys_generation != world->keys_generation) {
        sign_desk_forget(s->desk);
        s->keys_generation = world->keys_generation;
    }
    s->later = 0;
    parse_all(s, requests, count);
    locate_all(s, world, count);
    search_all(s, world, count, matches);

    for (size_t i = 0, planned = 0; i < count; i++) {
        if (i == planned) {
            sign_early(s, world, requests, i, wall);
            planned = plan_some(s, world, requests, i, count, matches, wall);
        }
        struct slot *slot = &s->slots[i];
        struct serve_request *request = &requests[i];
        if (slot->status == QUERY_DROP) {
            drop(s->counters, request);
            continue;
        }
        if (request->stream) {
            if (stream->size - stream->used < SERVE_STREAM_ROOM) {
                return i;
            }
            place_in_stream(request, stream);
        }
        if (slot->answer.requests != NULL) {
            counter_add(s->counters, COUNTER_signing_later, 1);
            if (!request->stream) {
                request->verdict = SERVE_LATER;
                s->later++;
                continue;
            }
            sign_one(s, slot, wall);
        }
        render_one(s, world, slot, request, wall);
        if (request->stream && request->verdict == SERVE_SEND) {
            end_in_stream(request, stream);
        }
    }
    return count;
}

/*
 * A packet's whole life, stage by stage over the batch. Each stage goes over all queries
 * before the next begins, so that the memory one query waits for is fetched while others work.
 */
#include <stdlib.h>
#include <string.h>

#include "answer/prove_online.h"
#include "answer/render.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "serve/chaos.h"
#include "serve/cookie.h"
#include "serve/serve_own.h"

enum {
    /*
     * Plans of one batch. A plan has at most 64 KiB / 16 octets of records, 4096 items of 24
     * octets; datagrams at most a few dozen. Only what is used is touched. Where it does not
     * suffice for all of a batch, the batch is planned and rendered in parts.
     */
    SCRATCH_SIZE = 1 << 20,
};

static const char not_loaded[] = "zone is not loaded";

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

static void parse_all(struct serve *s, const struct serve_request *requests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &s->slots[i];
        slot->status = query_parse(requests[i].in, requests[i].in_size, &slot->query);
        slot->position = WORLD_NONE;
        slot->zone = NULL;
        slot->forwarded = false;
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

/* Whether a name of a chain would take a route. */
static bool is_routed(const struct world *world, const struct key *key, uint16_t qtype,
                      uint32_t position)
{
    uint16_t zone_size;
    return world->settings.routes != NULL &&
           forward_locate(world, key, qtype, position, &zone_size) != NULL;
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
        if (is_routed(world, a->name.key, slot->query.qtype, position)) {
            return true; /* the chain leaves our zones: it ends here */
        }
        position = serve_choose_zone(world, position, a->name.key, slot->query.qtype);
        if (position == WORLD_NONE) {
            return true; /* likewise */
        }
        source = source_at(world, position);
        if (source.zone == NULL) {
            a->plan.rcode = RCODE_SERVFAIL;
            a->plan.ede = EDE_INVALID_DATA;
            a->plan.ede_text = not_loaded;
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

void serve_plan_error(struct plan *plan, uint16_t rcode, int ede)
{
    *plan = (struct plan){.rcode = rcode, .ede = (int16_t)ede};
}

/* The same in words. */
static void plan_refusal(struct plan *plan, uint16_t rcode, int ede, const char *text)
{
    serve_plan_error(plan, rcode, ede);
    plan->ede_text = text;
}

/* Whether the question came from here: what we ask upstream carries our mark. */
static bool is_loop(const struct settings *settings, const struct query *q)
{
    return q->loop != NULL &&
           memcmp(q->loop, settings->loop_mark, sizeof settings->loop_mark) == 0;
}

/* Plans the answer of what has a route but is not forwarded. */
static void plan_forward(struct serve *s, const struct world *world, struct slot *slot,
                         const struct sockaddr *peer)
{
    struct plan *plan = &slot->answer.plan;
    uint16_t rcode = RCODE_NOERROR;
    if (!route_allows(slot->forward.route, peer)) {
        counter_add(s->counters, COUNTER_proxy_refused_client, 1);
        plan_refusal(plan, rcode = RCODE_REFUSED, EDE_PROHIBITED, "not forwarded for this client");
    } else if (is_transfer(slot->query.qtype)) {
        serve_plan_error(plan, rcode = RCODE_REFUSED, EDE_NOT_SUPPORTED);
    } else if (is_loop(&world->settings, &slot->query)) {
        counter_add(s->counters, COUNTER_proxy_loops, 1);
        plan_refusal(plan, rcode = RCODE_SERVFAIL, EDE_OTHER, "the question comes from here");
    }
    slot->forwarded = rcode == RCODE_NOERROR;
}

/* Plans the answer of one query; match is of its name in its zone, if it has one. plan.failed is
 * set where the memory for plans did not suffice. */
static void plan_one(struct serve *s, const struct world *world, struct slot *slot,
                     const struct serve_request *request, size_t limit, struct zone_match match,
                     uint32_t wall)
{
    struct answer *a = &slot->answer;
    const struct query *q = &slot->query;
    answer_begin(a, q, request->stream, limit, &s->scratch);
    if (slot->status == QUERY_ERROR) {
        serve_plan_error(&a->plan, q->rcode, q->ede);
    } else if (slot->status == QUERY_COOKIE) {
        serve_plan_error(&a->plan, world->settings.cookies ? RCODE_NOERROR : RCODE_FORMERR,
                         EDE_NONE);
    } else if (q->qclass == CLASS_CH) {
        chaos_plan(a, &world->settings);
    } else if (q->qclass != CLASS_IN) {
        serve_plan_error(&a->plan, RCODE_REFUSED, EDE_NONE);
    } else if (slot->forwarded) {
        plan_forward(s, world, slot, request->peer);
    } else if (slot->position == WORLD_NONE) {
        plan_refusal(&a->plan, RCODE_REFUSED, EDE_NOT_AUTHORITATIVE, "no zone here for this name");
    } else if (is_transfer(q->qtype)) {
        serve_plan_error(&a->plan, RCODE_REFUSED, EDE_NOT_SUPPORTED);
    } else if (slot->zone == NULL) {
        plan_refusal(&a->plan, RCODE_SERVFAIL, EDE_INVALID_DATA, not_loaded);
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
        plan_one(s, world, slot, &requests[i], limit, matches[i], wall);
        if (slot->answer.plan.failed && i > first) {
            slot->position = position;
            slot->zone = zone;
            return i; /* again, with all of the memory */
        }
        if (slot->answer.plan.failed) {
            serve_plan_error(&slot->answer.plan, RCODE_SERVFAIL, EDE_OTHER);
            slot->answer.requests = NULL;
        }
    }
    return count;
}

/* Checks and counts the query's cookie, where it has one. Returns the octets of the one to answer
 * with. */
static uint8_t answer_cookie(struct serve *s, const struct settings *settings,
                             const struct query *q, const struct sockaddr *peer, uint32_t wall,
                             uint8_t cookie[COOKIE_SIZE])
{
    static const uint16_t counter[] = {
        [COOKIE_CLIENT] = COUNTER_cookies_client,
        [COOKIE_VALID] = COUNTER_cookies_valid,
        [COOKIE_INVALID] = COUNTER_cookies_invalid,
    };
    if (q->cookie_size == 0 || !settings->cookies) {
        return 0;
    }
    counter_add(s->counters, counter[cookie_check(settings, q, peer, wall, cookie)], 1);
    return COOKIE_SIZE;
}

static int32_t answer_keepalive(const struct settings *settings, const struct query *q, bool stream)
{
    return q->keepalive && stream ? (int32_t)settings->tcp_keepalive : -1;
}

static void fill_edns(struct serve *s, const struct settings *settings, const struct slot *slot,
                      const struct serve_request *request, uint32_t wall, struct render_edns *edns)
{
    const struct query *q = &slot->query;
    edns->udp_size = settings->udp_payload_max;
    edns->nsid = settings->nsid;
    edns->nsid_size = q->nsid ? settings->nsid_size : 0;
    edns->keepalive = answer_keepalive(settings, q, request->stream);
    edns->ede_text = slot->answer.plan.ede_text;
    edns->cookie_size = answer_cookie(s, settings, q, request->peer, wall, edns->cookie);
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

void serve_render_one(struct serve *s, const struct world *world, struct slot *slot,
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

/* --- forwarding --- */

static void fill_client(struct serve *s, const struct settings *settings, const struct query *q,
                        const struct serve_request *request, uint32_t wall,
                        struct relay_client *client)
{
    *client = (struct relay_client){
        .qname = query_name(q),
        .id = q->id,
        .flags = q->flags,
        .qtype = q->qtype,
        .limit = (uint16_t)answer_limit(q, settings, request),
        .edns_flags = q->edns_flags,
        .keepalive = answer_keepalive(settings, q, request->stream),
        .qname_size = (uint8_t)q->qname_size,
        .has_edns = q->has_edns,
        .nsid = q->nsid,
    };
    client->cookie_size = answer_cookie(s, settings, q, request->peer, wall, client->cookie);
}

/* Answers from the proxy's cache, or leaves it to who asks upstream. */
static void forward_one(struct serve *s, const struct world *world, struct slot *slot,
                        struct serve_request *request, struct serve_time time)
{
    struct forward *f = &slot->forward;
    fill_client(s, &world->settings, &slot->query, request, time.wall, &f->client);
    count_query(s->counters, &slot->query);
    request->out_size = forward_find(f, &world->settings, time.now, request->out,
                                     &request->refresh, s->counters);
    request->verdict = request->out_size > 0 ? SERVE_SEND : SERVE_FORWARD;
}

const struct forward *serve_forwarded(const struct serve *s, size_t request)
{
    return &s->slots[request].forward;
}

/* Answers one query that is planned, or leaves it to upstream or serve_later. */
static void answer_one(struct serve *s, const struct world *world, struct slot *slot,
                       struct serve_request *request, struct serve_time time)
{
    bool unsigned_yet = slot->answer.requests != NULL;
    if (slot->forwarded) {
        forward_one(s, world, slot, request, time);
        return;
    }
    if (unsigned_yet) {
        counter_add(s->counters, COUNTER_signing_later, 1);
    }
    if (unsigned_yet && !request->stream) {
        request->verdict = SERVE_LATER;
        s->later++;
        return;
    }
    if (unsigned_yet) {
        serve_sign_one(s, slot, time.wall);
    }
    serve_render_one(s, world, slot, request, time.wall);
}

size_t serve_batch(struct serve *s, const struct world *world, struct serve_request *requests,
                   size_t count, struct serve_stream *stream, struct serve_time time)
{
    uint32_t wall = time.wall;
    struct zone_match matches[SERVE_BATCH];
    if (s->keys_generation != world->keys_generation) {
        sign_desk_forget(s->desk);
        s->keys_generation = world->keys_generation;
    }
    s->later = 0;
    parse_all(s, requests, count);
    serve_locate_all(s, world, requests, count);
    serve_search_all(s, world, count, matches);

    for (size_t i = 0, planned = 0; i < count; i++) {
        if (i == planned) {
            serve_sign_early(s, world, requests, i, wall);
            planned = plan_some(s, world, requests, i, count, matches, wall);
        }
        struct slot *slot = &s->slots[i];
        struct serve_request *request = &requests[i];
        if (slot->status == QUERY_DROP) {
            drop(s->counters, request);
            continue;
        }
        if (request->stream) {
            unsigned cost = serve_cost(slot);
            if (stream->size - stream->used < SERVE_STREAM_ROOM ||
                (stream->cost > 0 && cost > 0 && stream->cost + cost > SERVE_STREAM_COST)) {
                return i;
            }
            stream->cost += cost;
            place_in_stream(request, stream);
        }
        answer_one(s, world, slot, request, time);
        if (request->stream && request->verdict == SERVE_SEND) {
            end_in_stream(request, stream);
        }
    }
    return count;
}

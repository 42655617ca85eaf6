/*
 * What the stages of serve_batch share: serve.c (the batch as a whole), serve_find.c (zones and
 * nodes), serve_later.c (fresh signatures).
 */
#ifndef RRDNS_SERVE_SERVE_OWN_H
#define RRDNS_SERVE_SERVE_OWN_H

#include "answer/answer.h"
#include "answer/prove.h"
#include "dns/query.h"
#include "serve/forward.h"
#include "serve/serve.h"

/* One query on its way. */
struct slot {
    enum query_status status;
    uint32_t position;       /* of its zone in the world, or WORLD_NONE */
    const struct zone *zone; /* NULL: none, or not loaded */
    unsigned used;           /* of the budget for signatures, by the first query of each zone */
    bool forwarded;          /* to be answered along forward.route */
    struct answer answer;
    struct query query;
    struct forward forward;
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

/* Whether zone data is to be asked for an answer. */
static inline bool asks_zones(const struct slot *slot)
{
    return slot->status == QUERY_OK && slot->query.qclass == CLASS_IN;
}

/* ---- serve_find.c ---- */

/* The zone that is to answer for a name: the nearest apex, which stands at position, for DS of an
 * apex the one above it. */
uint32_t serve_choose_zone(const struct world *world, uint32_t position, const struct key *key,
                           uint16_t qtype);
/* Finds the zone of each query, or the route that it takes. */
void serve_locate_all(struct serve *s, const struct world *world,
                      const struct serve_request *requests, size_t count);
/* What each query's name is in its zone. */
void serve_search_all(struct serve *s, const struct world *world, size_t count,
                      struct zone_match *matches);

/* ---- serve.c ---- */

void serve_plan_error(struct plan *plan, uint16_t rcode, int ede);
void serve_render_one(struct serve *s, const struct world *world, struct slot *slot,
                      struct serve_request *request, uint32_t wall);

/* ---- serve_later.c ---- */

/* Makes what an answer needs; where that fails, the plan is an error. */
void serve_sign_one(struct serve *s, struct slot *slot, uint32_t wall);
/* What that costs, in P-256 signatures. */
unsigned serve_cost(const struct slot *slot);
/* Signs at once what was left so far: its plans are about to be overwritten. */
void serve_sign_early(struct serve *s, const struct world *world, struct serve_request *requests,
                      size_t count, uint32_t wall);

#endif

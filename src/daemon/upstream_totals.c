/*
 * Counts never go back, those of workers that have been retired included. What a worker believes of
 * a server counts only while it serves.
 */
#include "daemon/upstream_totals.h"

#include <stdatomic.h>

static uint64_t value(const _Atomic uint64_t *cell)
{
    return atomic_load_explicit(cell, memory_order_relaxed);
}

static void add_sums(struct upstream_totals *totals, const struct upstream_counts *counts)
{
    totals->queries += value(&counts->queries);
    totals->replies += value(&counts->replies);
    totals->timeouts += value(&counts->timeouts);
    totals->unreachable += value(&counts->unreachable);
    totals->rejected += value(&counts->rejected);
    totals->servfail += value(&counts->servfail);
    totals->truncated += value(&counts->truncated);
    totals->connections += value(&counts->connections);
    totals->probes += value(&counts->probes);
    for (size_t i = 0; i < UPSTREAM_LATENCY_BUCKETS; i++) {
        totals->latency[i] += value(&counts->latency[i]);
    }
    uint64_t error_ns = value(&counts->last_error_ns);
    if (error_ns > totals->last_error_ns) {
        totals->last_error_ns = error_ns;
        totals->last_error =
            (enum upstream_error)atomic_load_explicit(&counts->last_error, memory_order_relaxed);
    }
}

/* Up where any worker has it up, down where one has it down and none up. */
static enum upstream_state better(enum upstream_state a, uint32_t b)
{
    if (a == UPSTREAM_UP || b == UPSTREAM_UP) {
        return UPSTREAM_UP;
    }
    return a == UPSTREAM_DOWN || b == UPSTREAM_DOWN ? UPSTREAM_DOWN : UPSTREAM_UNKNOWN;
}

void upstream_totals_read(const struct net *net, uint32_t slot, struct upstream_totals *totals)
{
    unsigned serving = net_workers(net), know = 0;
    *totals = (struct upstream_totals){0};
    for (unsigned i = 0; i < net_counter_sets(net); i++) {
        const struct upstream_counts *counts = net_upstream_counts(net, i, slot);
        add_sums(totals, counts);
        if (i >= serving) {
            continue; /* what a retired one believed says nothing of now */
        }
        uint64_t ewma_ns = value(&counts->ewma_ns);
        totals->ewma_ns += ewma_ns;
        know += ewma_ns > 0;
        totals->outstanding += atomic_load_explicit(&counts->outstanding, memory_order_relaxed);
        totals->state =
            better(totals->state, atomic_load_explicit(&counts->state, memory_order_relaxed));
    }
    totals->ewma_ns = know > 0 ? totals->ewma_ns / know : 0;
}

void upstream_totals_since(struct upstream_totals *totals, const struct upstream_totals *base)
{
    totals->queries -= base->queries;
    totals->replies -= base->replies;
    totals->timeouts -= base->timeouts;
    totals->unreachable -= base->unreachable;
    totals->rejected -= base->rejected;
    totals->servfail -= base->servfail;
    totals->truncated -= base->truncated;
    totals->connections -= base->connections;
    totals->probes -= base->probes;
    for (size_t i = 0; i < UPSTREAM_LATENCY_BUCKETS; i++) {
        totals->latency[i] -= base->latency[i];
    }
    if (totals->last_error_ns <= base->last_error_ns) {
        totals->last_error_ns = 0;
        totals->last_error = UPSTREAM_NO_ERROR;
    }
}

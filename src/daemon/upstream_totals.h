/*
 * What all workers together have counted of an upstream server.
 */
#ifndef RRDNS_DAEMON_UPSTREAM_TOTALS_H
#define RRDNS_DAEMON_UPSTREAM_TOTALS_H

#include <stdint.h>

#include "net/net.h"
#include "net/upstream.h"

struct upstream_totals {
    uint64_t queries, replies, timeouts, unreachable, rejected, servfail, truncated, connections,
        probes;
    uint64_t latency[UPSTREAM_LATENCY_BUCKETS];

    /* Of the workers that serve now. */
    uint64_t outstanding;
    uint64_t ewma_ns;          /* the mean of those that know; 0: none does */
    enum upstream_state state; /* the best */

    enum upstream_error last_error; /* of the latest one */
    uint64_t last_error_ns;         /* 0: there was none */
};

void upstream_totals_read(const struct net *net, uint32_t slot, struct upstream_totals *totals);

/* Takes away what had been counted before: base. */
void upstream_totals_since(struct upstream_totals *totals, const struct upstream_totals *base);

#endif

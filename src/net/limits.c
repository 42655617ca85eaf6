/*
 * Counts are added to first and looked at then, so that workers that accept at the same moment
 * never go over a limit together; one of them may be refused a place that was just about to be
 * given back, which harms nobody.
 */
#include "net/limits.h"

#include <stdlib.h>
#include <sys/random.h>

#include "base/siphash.h"
#include "net/socket.h"

struct limits *limits_new(const struct net_options *options)
{
    struct limits *limits = calloc(1, sizeof *limits);
    if (limits == NULL) {
        return NULL;
    }
    if (getrandom(limits->key, sizeof limits->key, 0) != (ssize_t)sizeof limits->key) {
        free(limits);
        return NULL;
    }
    limits_set(limits, options);
    return limits;
}

void limits_set(struct limits *limits, const struct net_options *options)
{
    atomic_store_explicit(&limits->clients_max, options->tcp_clients_max, memory_order_relaxed);
    atomic_store_explicit(&limits->clients_per_address, options->tcp_clients_per_address,
                          memory_order_relaxed);
    atomic_store_explicit(&limits->idle_ms, options->tcp_idle_ms, memory_order_relaxed);
    atomic_store_explicit(&limits->queries_per_connection, options->tcp_queries_per_connection,
                          memory_order_relaxed);
}

uint32_t limits_cell(const struct limits *limits, const struct sockaddr *peer)
{
    const union socket_address *address = (const union socket_address *)peer;
    uint64_t hash = peer->sa_family == AF_INET6 ? siphash24(limits->key, &address->v6.sin6_addr, 8)
                                                : siphash24(limits->key, &address->v4.sin_addr, 4);
    return (uint32_t)(hash % LIMITS_CELLS);
}

static bool add_below(_Atomic unsigned *count, unsigned limit)
{
    if (atomic_fetch_add_explicit(count, 1, memory_order_relaxed) < limit) {
        return true;
    }
    atomic_fetch_sub_explicit(count, 1, memory_order_relaxed);
    return false;
}

enum limits_answer limits_enter(struct limits *limits, uint32_t cell)
{
    if (!add_below(&limits->cells[cell], limits_get(&limits->clients_per_address))) {
        return LIMITS_ADDRESS_FULL;
    }
    if (!add_below(&limits->clients, limits_get(&limits->clients_max))) {
        atomic_fetch_sub_explicit(&limits->cells[cell], 1, memory_order_relaxed);
        return LIMITS_FULL;
    }
    return LIMITS_ADMITTED;
}

void limits_leave(struct limits *limits, uint32_t cell)
{
    atomic_fetch_sub_explicit(&limits->cells[cell], 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&limits->clients, 1, memory_order_relaxed);
}

/*
 * What everything that runs on a worker serves with: its loop, its serve and its counters, and
 * the world of the turn.
 */
#ifndef RRDNS_NET_SERVICE_H
#define RRDNS_NET_SERVICE_H

#include <stdint.h>
#include <time.h>

#include "base/clock.h"
#include "base/counters.h"
#include "serve/serve.h"
#include "world/world.h"

struct event_base;
struct proxy;

/* Signatures, in P-256's costs, that take as long as a batch without any. */
enum { SIGNATURES_A_BATCH = 6 };

struct service {
    struct event_base *base;
    struct serve *serve;
    struct proxy *proxy; /* what is forwarded */
    struct counters *counters;
    const struct world *world; /* adopted at the top of the turn, not to be kept beyond it */
    uint64_t now;              /* the monotonic clock when last read in this turn; 0: not yet */
    /* Serves the datagrams that wait: for those whose turns together take longer than a datagram
     * may wait. */
    void (*datagrams)(struct service *service);
};

/* The monotonic clock. */
static inline uint64_t service_clock(struct service *service)
{
    service->now = clock_now_ns();
    return service->now;
}

/* As it was last read in this turn, when the connection before was done: 25 ns saved. */
static inline uint64_t service_now(struct service *service)
{
    return service->now != 0 ? service->now : service_clock(service);
}

/*
 * The time for serve_batch, now_ns being the monotonic clock's. Wall seconds are read for each
 * batch and not once a turn, because a turn begins by waiting, for hours on a quiet server; the
 * coarse clock costs 5 ns.
 */
static inline struct serve_time service_time(uint64_t now_ns)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    return (struct serve_time){(uint32_t)ts.tv_sec, (uint32_t)(now_ns / 1000000000u)};
}

#endif

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

struct service {
    struct event_base *base;
    struct serve *serve;
    struct counters *counters;
    const struct world *world; /* adopted at the top of the turn, not to be kept beyond it */
    uint64_t now;              /* the monotonic clock when last read in this turn; 0: not yet */
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
 * Wall seconds for serve_batch. Read for each batch and not once a turn, because a turn begins by
 * waiting, for hours on a quiet server; the coarse clock costs 5 ns.
 */
static inline uint32_t service_wall(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    return (uint32_t)ts.tv_sec;
}

#endif

/*
 * The two clocks. Everything that measures a span uses the monotonic one; wall time is for
 * what has a date (signatures, "loaded at", log lines). Read only on floors 7 and 8 and by
 * loaders; the query path is handed `now`.
 */
#ifndef RRDNS_BASE_CLOCK_H
#define RRDNS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds on the monotonic clock. */
static inline uint64_t clock_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Seconds since the epoch. */
static inline int64_t clock_wall(void)
{
    return (int64_t)time(NULL);
}

#endif

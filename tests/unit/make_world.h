/*
 * A server without sockets for tests: a world of some zones, and serve_batch over it.
 */
#ifndef RRDNS_TESTS_MAKE_WORLD_H
#define RRDNS_TESTS_MAKE_WORLD_H

#include <stddef.h>
#include <stdint.h>

#include "ask.h"
#include "serve/serve.h"
#include "world/world.h"

/* What all worlds of tests are set to: payload 1232, no NSID, cookies with some secret. */
struct settings make_settings(void);

/*
 * A world of `count` zones by name; zones[i] (one reference is taken over) may be NULL: it did
 * not load. The slot of zone i is i.
 */
struct world *make_world(const struct settings *settings, const uint8_t *const *names,
                         struct zone *const *zones, size_t count);

/* A serve with counters of its own, at zero. */
struct desk {
    struct counters *counters;
    struct zone_counts *zone_counts;
    struct serve *serve;
    uint8_t *answer; /* of the last desk_ask */
    size_t answer_size;
};
struct desk desk_new(void);
void desk_free(struct desk *desk);

/* A client's address: IPv4 192.0.2.77. */
const struct sockaddr *desk_client(void);

enum { DESK_WALL = 1700000000, DESK_NOW = 5000 };

/* With that wall time. */
static inline struct serve_time desk_time(uint32_t wall)
{
    return (struct serve_time){wall, DESK_NOW};
}

/* Serves one query, as a datagram or over a stream; true where it was answered. */
bool desk_ask(struct desk *desk, const struct world *world, const struct ask *ask, bool stream);

/* All counters that are not zero, "name=value" or "name[index]=value" by line; static storage. */
const char *desk_counters(const struct desk *desk);

#endif

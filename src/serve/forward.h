/*
 * Questions that are forwarded: which route takes one, what the cache has for it, and what whoever
 * asks upstream (net/proxy) needs to know of it.
 */
#ifndef RRDNS_SERVE_FORWARD_H
#define RRDNS_SERVE_FORWARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "dns/query.h"
#include "serve/proxy_cache.h"
#include "serve/relay.h"
#include "world/routes.h"

struct forward {
    const struct route *route;
    uint16_t zone_size; /* symbols in the key of the route's zone */
    bool stale;         /* the cache has an answer past its time */
    struct proxy_question question;
    struct relay_client client;
};

/*
 * The route for a question in class IN, where there are routes: that with the longest zone at or
 * above its name, if that zone is longer than the name of the nearest zone of ours, at position (or
 * WORLD_NONE). DS stands in the zone above: so that of a routed child is ours, where the zone above
 * it is, and that of a zone of ours is the route's. NULL: none, the question is ours. *zone_size
 * becomes the symbols in the key of the route's zone.
 */
const struct route *forward_locate(const struct world *world, const struct key *key, uint16_t qtype,
                                   uint32_t position, uint16_t *zone_size);

/* Fills forward->question for a query on its way along forward->route, and has what the cache may
 * hold for it fetched. */
void forward_begin(struct forward *forward, const struct routes *routes, const struct query *q);

/*
 * Answers from the cache; forward->client is filled. Returns the octets of the answer in out, of
 * which client.limit may be used; 0: upstream is to be asked, and forward->stale tells whether
 * there is something to fall back on. *refresh: answered, but to be asked anew all the same, if
 * forward->stale only where upstream is known to be better than it was. now: seconds of the
 * monotonic clock.
 */
size_t forward_find(struct forward *forward, const struct settings *settings, uint32_t now,
                    uint8_t *out, bool *refresh, struct counters *counters);

/*
 * Answers with what the cache has past its time, or, where it was filled meanwhile, with that.
 * Returns 0 where it has nothing. question and client as in a struct forward.
 */
size_t forward_find_stale(const struct proxy_question *question, const struct relay_client *client,
                          bool origin, const struct settings *settings, uint32_t now, uint8_t *out,
                          struct counters *counters);

/* Header bits of an answer whose reply (or entry) had these: see struct upstream_group, origin. */
uint16_t forward_flags(uint16_t flags, bool origin);

#endif

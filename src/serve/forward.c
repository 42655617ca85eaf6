/*
 * The cache is asked for a body first, with room for an OPT that says nothing; only where it
 * comes with an EDE (stale, or the upstream's own) is that one longer, by a few octets, and the
 * answer may be truncated for them.
 */
#include "serve/forward.h"

#include <string.h>

#include "dns/message.h"
#include "dns/rrtype.h"

/* The symbols in the key of the name above; key is not the root's. */
static uint16_t parent_size(const struct key *key)
{
    size_t start = 0;
    for (size_t end = 0; end < key->size; end = key_label_end(key->symbols, end)) {
        start = end;
    }
    return (uint16_t)start;
}

static const struct route *locate_above(const struct routes *routes, const struct key *key,
                                        uint16_t *zone_size)
{
    struct key above = {.size = parent_size(key)};
    memcpy(above.symbols, key->symbols, above.size);
    return routes_locate(routes, &above, zone_size);
}

const struct route *forward_locate(const struct world *world, const struct key *key, uint16_t qtype,
                                   uint32_t position, uint16_t *zone_size)
{
    const struct routes *routes = world->settings.routes;
    const struct route *route;
    if (qtype == RRTYPE_DS && key->size > 0) {
        if (position != WORLD_NONE &&
            zone_index_key_size(world->index, position) == key->size) {
            position = world_parent(world, position);
        }
        route = locate_above(routes, key, zone_size);
    } else {
        route = routes_locate(routes, key, zone_size);
    }
    bool ours = position != WORLD_NONE && route != NULL &&
                zone_index_key_size(world->index, position) >= *zone_size;
    return ours ? NULL : route;
}

void forward_begin(struct forward *forward, const struct routes *routes, const struct query *q)
{
    bool dnssec = q->has_edns && (q->edns_flags & EDNS_DO) != 0;
    forward->question = (struct proxy_question){
        .key = &q->key,
        .qtype = q->qtype,
        .flags = (uint8_t)((dnssec ? PROXY_DO : 0) | ((q->flags & FLAG_CD) != 0 ? PROXY_CD : 0) |
                           ((q->flags & FLAG_RD) != 0 ? PROXY_RD : 0)),
        .group = routes->group[forward->route->group].id,
    };
    forward->question.hash = proxy_cache_hash(routes->cache, &forward->question);
    proxy_cache_prefetch(routes->cache, forward->question.hash);
}

uint16_t forward_flags(uint16_t flags, bool origin)
{
    return origin ? flags & FLAG_AA : (flags & FLAG_AD) | FLAG_RA;
}

/* The answer that an entry makes, its body in out already. */
static size_t finish(const struct proxy_found *found, bool stale, bool origin,
                     const struct relay_client *client, const struct settings *settings,
                     uint8_t *out, struct counters *counters)
{
    struct relay_answer answer = {
        .rcode = found->rcode,
        .flags = (uint16_t)(forward_flags(found->flags, origin) | (found->fits ? 0 : FLAG_TC)),
        .ede = found->ede,
    };
    if (stale) {
        answer.ede = found->rcode == RCODE_NXDOMAIN ? EDE_STALE_NXDOMAIN : EDE_STALE;
    }
    if (found->fits) {
        memcpy(answer.counts, found->counts, sizeof answer.counts);
        answer.body_size = found->size;
    }
    counter_add(counters, stale ? COUNTER_proxy_stale : COUNTER_proxy_hits, 1);
    return relay_finish(client, settings, &answer, out, counters);
}

static enum proxy_cache_state find(const struct proxy_question *question,
                                   const struct relay_client *client,
                                   const struct settings *settings, uint32_t now, uint8_t *out,
                                   struct proxy_found *found)
{
    const struct routes *routes = settings->routes;
    return proxy_cache_find(routes->cache, question, &routes->times, now,
                            out + relay_body_at(client),
                            relay_body_room(client, settings, EDE_NONE, NULL), found);
}

size_t forward_find(struct forward *forward, const struct settings *settings, uint32_t now,
                    uint8_t *out, bool *refresh, struct counters *counters)
{
    struct proxy_found found;
    enum proxy_cache_state state =
        find(&forward->question, &forward->client, settings, now, out, &found);
    *refresh = state == PROXY_CACHE_FRESH ? found.refresh : state == PROXY_CACHE_STALE;
    forward->stale = state == PROXY_CACHE_STALE;
    if (state == PROXY_CACHE_NONE || (state == PROXY_CACHE_STALE && found.refresh)) {
        counter_add(counters, COUNTER_proxy_misses, 1);
        return 0;
    }
    bool origin = settings->routes->group[forward->route->group].origin;
    return finish(&found, forward->stale, origin, &forward->client, settings, out, counters);
}

size_t forward_find_stale(const struct proxy_question *question, const struct relay_client *client,
                          bool origin, const struct settings *settings, uint32_t now, uint8_t *out,
                          struct counters *counters)
{
    struct proxy_found found;
    enum proxy_cache_state state = find(question, client, settings, now, out, &found);
    if (state == PROXY_CACHE_NONE) {
        return 0;
    }
    return finish(&found, state == PROXY_CACHE_STALE, origin, client, settings, out, counters);
}

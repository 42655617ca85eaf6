#include "daemon/control_proxy.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "daemon/forwarding.h"
#include "dns/key.h"
#include "serve/proxy_cache.h"

enum { SECOND_NS = 1000000000, MILLISECOND_NS = 1000000 };

static void set_number(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

/* ---- Cache ---- */

static struct proxy_cache *cache_of(const struct server *server)
{
    const struct routes *routes = forwarding_routes(server->forwarding);
    return routes != NULL ? routes->cache : NULL;
}

/* A counter, over all workers. */
static uint64_t counted(const struct server *server, size_t cell)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < net_counter_sets(server->net); i++) {
        sum += counter_get(net_counters(server->net, i), cell);
    }
    return sum;
}

json_t *control_cache_json(const struct server *server)
{
    const struct proxy_cache *cache = cache_of(server);
    struct proxy_cache_figures figures = {0};
    if (cache != NULL) {
        proxy_cache_figures(cache, &figures);
    }
    json_t *result = json_object();
    set_number(result, "size", figures.size);
    set_number(result, "used", figures.used);
    set_number(result, "entries", figures.entries);
    set_number(result, "put", figures.put);
    set_number(result, "evicted", figures.evicted);
    set_number(result, "hits", counted(server, COUNTER_proxy_hits));
    set_number(result, "stale", counted(server, COUNTER_proxy_stale));
    set_number(result, "misses", counted(server, COUNTER_proxy_misses));
    return result;
}

json_t *control_flush_json(const struct server *server, const uint8_t *name)
{
    struct proxy_cache *cache = cache_of(server);
    struct key key;
    size_t flushed = 0;
    if (name != NULL) {
        key_from_name(name, &key);
    }
    if (cache != NULL) {
        flushed = proxy_cache_flush(cache, name != NULL ? &key : NULL);
    }
    return json_pack("{s:I}", "flushed", (json_int_t)flushed);
}

/* ---- Upstreams ---- */

static json_t *latency_json(const uint64_t *buckets)
{
    json_t *object = json_object();
    for (size_t i = 0; i < UPSTREAM_LATENCY_BUCKETS; i++) {
        char label[24];
        if (buckets[i] == 0) {
            continue;
        }
        if (i + 1 == UPSTREAM_LATENCY_BUCKETS) {
            snprintf(label, sizeof label, "inf");
        } else {
            snprintf(label, sizeof label, "%" PRIu64, UINT64_C(1) << i);
        }
        set_number(object, label, buckets[i]);
    }
    return object;
}

static void set_last_error(json_t *object, const struct upstream_totals *totals, uint64_t now)
{
    static const char *const names[] = {
        [UPSTREAM_NO_ERROR] = "",
        [UPSTREAM_TIMEOUT] = "timeout",
        [UPSTREAM_UNREACHABLE] = "unreachable",
        [UPSTREAM_TLS_FAILED] = "tls",
        [UPSTREAM_SERVFAIL] = "servfail",
        [UPSTREAM_REFUSED] = "refused",
        [UPSTREAM_MALFORMED] = "malformed",
    };
    /* Worker and main thread read the clock on their own: one that has just failed is of now. */
    uint64_t age = now > totals->last_error_ns ? (now - totals->last_error_ns) / SECOND_NS : 0;
    bool any = totals->last_error != UPSTREAM_NO_ERROR;
    json_object_set_new(object, "last_error", json_string(names[totals->last_error]));
    json_object_set_new(object, "last_error_age",
                        any ? json_integer((json_int_t)age) : json_null());
}

static json_t *upstream_json(const struct server *server, const struct upstream_group *group,
                             const struct upstream_server *upstream)
{
    static const char *const states[] = {
        [UPSTREAM_UNKNOWN] = "unknown", [UPSTREAM_UP] = "up", [UPSTREAM_DOWN] = "down"};
    struct upstream_totals totals;
    forwarding_totals(server->forwarding, server->net, upstream->slot, &totals);
    json_t *object = json_object();
    json_object_set_new(object, "group", json_string(group->name));
    json_object_set_new(object, "server", json_string(upstream->text));
    json_object_set_new(object, "state", json_string(states[totals.state]));
    json_object_set_new(object, "latency_ms",
                        totals.ewma_ns > 0 ? json_real((double)totals.ewma_ns / MILLISECOND_NS)
                                           : json_null());
    set_number(object, "queries", totals.queries);
    set_number(object, "replies", totals.replies);
    set_number(object, "timeouts", totals.timeouts);
    set_number(object, "unreachable", totals.unreachable);
    set_number(object, "rejected", totals.rejected);
    set_number(object, "servfail", totals.servfail);
    set_number(object, "truncated", totals.truncated);
    set_number(object, "connections", totals.connections);
    set_number(object, "probes", totals.probes);
    set_number(object, "outstanding", totals.outstanding);
    set_last_error(object, &totals, clock_now_ns());
    json_object_set_new(object, "latency", latency_json(totals.latency));
    return object;
}

json_t *control_upstreams_json(const struct server *server)
{
    const struct routes *routes = forwarding_routes(server->forwarding);
    json_t *list = json_array();
    for (size_t i = 0; routes != NULL && i < routes->groups; i++) {
        const struct upstream_group *group = &routes->group[i];
        for (size_t j = 0; j < group->servers; j++) {
            json_array_append_new(list, upstream_json(server, group, &group->server[j]));
        }
    }
    return json_pack("{s:o}", "upstreams", list);
}

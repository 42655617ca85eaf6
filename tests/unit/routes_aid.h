/*
 * Routes made by hand, for everybody and to servers of tests.
 */
#ifndef RRDNS_TESTS_ROUTES_AID_H
#define RRDNS_TESTS_ROUTES_AID_H

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "serve/proxy_cache.h"
#include "unit.h"
#include "world/routes.h"

/* A group without servers yet, asked once with 4 s of patience and never probed. */
static inline void routes_group(struct upstream_group *group, uint32_t id)
{
    *group = (struct upstream_group){.name = strdup("group"),
                                     .id = id,
                                     .server = calloc(GROUP_SERVERS_MAX, sizeof *group->server),
                                     .select = SELECT_ORDERED,
                                     .timeout_ms = 4000,
                                     .attempts = 1,
                                     .queries_max = 4096,
                                     .probe_name = calloc(1, 1),
                                     .probe_type = 2,
                                     .probe_interval_ms = UINT32_MAX};
}

/* Routes of zones, the first to group 0, the second to group 1 and so on, the last ones to the last
 * group; with the smallest cache. Given back with routes_end. */
static inline struct routes *routes_begin(const char *const *zones, size_t count, size_t groups)
{
    static uint64_t id;
    const uint8_t *names[16];
    uint32_t order[16];
    for (size_t i = 0; i < count; i++) {
        names[i] = names_wire(zones[i]);
    }
    struct routes *routes = calloc(1, sizeof *routes);
    ck_assert_ptr_nonnull(routes);
    ck_assert_int_eq(zone_index_new(names, count, order, &routes->index), 0);
    routes->id = ++id;
    routes->allowed = 1;
    routes->allow = calloc(1, sizeof *routes->allow); /* all of IPv4 */
    routes->route = calloc(count, sizeof *routes->route);
    for (size_t i = 0; i < count; i++) {
        routes->route[order[i]] = (struct route){.group = (uint32_t)(i < groups ? i : groups - 1),
                                                 .allowed = routes->allowed,
                                                 .allow = routes->allow};
    }
    routes->groups = groups;
    routes->group = calloc(groups, sizeof *routes->group);
    for (size_t i = 0; i < groups; i++) {
        routes_group(&routes->group[i], (uint32_t)i + 1);
    }
    routes->queries_per_client = 100000;
    routes->times = (struct cache_times){
        .ttl_max = 86400, .negative_ttl_max = 3600, .stale = 3600, .prefetch = true};
    routes->cache = proxy_cache_new(PROXY_CACHE_SIZE_MIN);
    ck_assert_ptr_nonnull(routes->cache);
    return routes;
}

static inline void routes_end(struct routes *routes)
{
    proxy_cache_free(routes->cache);
    routes_free(routes);
}

/* One more server of a group, at a port of 127.0.0.1. */
static inline void routes_server(struct routes *routes, unsigned group, uint16_t port,
                                 enum upstream_transport transport)
{
    struct upstream_group *to = &routes->group[group];
    struct upstream_server *server = &to->server[to->servers];
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    *server = (struct upstream_server){.address_size = sizeof address,
                                       .transport = transport,
                                       .text = strdup("server"),
                                       .slot = (uint32_t)(group * GROUP_SERVERS_MAX + to->servers)};
    memcpy(&server->address, &address, sizeof address);
    to->servers++;
}

#endif

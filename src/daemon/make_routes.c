/*
 * Everything but trusts is copied, so that routes outlive the configuration that they are made of:
 * workers use them until the world that has them is gone.
 */
#include "daemon/make_routes.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/err.h"
#include "base/siphash.h"
#include "dns/name.h"
#include "net/tls.h"

/* ---- Identity ---- */

/* Of a text in which case counts as nothing, behind a number. */
static uint64_t hash_text(unsigned number, const char *text)
{
    static const uint8_t key[16]; /* whoever chooses these texts is the operator */
    uint8_t data[2 + NAME_MAX_TEXT];
    size_t size = 1;
    data[0] = (uint8_t)number;
    for (; *text != '\0' && size < sizeof data; text++) {
        data[size++] = name_lower((uint8_t)*text);
    }
    return siphash24(key, data, size);
}

static uint64_t hash_server(const struct upstream_server *server)
{
    char address[ADDRESS_TEXT_MAX];
    address_format((const struct sockaddr *)&server->address, address);
    uint64_t hash = hash_text(server->transport, address);
    return server->tls_name != NULL ? hash ^ hash_text(UPSTREAM_TLS + 1, server->tls_name) : hash;
}

/* The same for the same name and servers, in whatever order; different within the groups. */
static uint32_t group_id(const struct routes *routes, const struct upstream_group *group)
{
    uint64_t sum = hash_text(UINT8_MAX, group->name);
    for (size_t i = 0; i < group->servers; i++) {
        sum += hash_server(&group->server[i]);
    }
    uint32_t id = (uint32_t)(sum ^ sum >> 32);
    for (size_t i = 0; i < routes->groups; i++) {
        if (routes->group[i].id == id) {
            id++;
            i = SIZE_MAX; /* from the first on again */
        }
    }
    return id;
}

/* ---- Copies ---- */

/* false: no memory. NULL stays NULL. */
static bool copy_text(char **to, const char *from)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

static bool copy_octets(void **to, const void *from, size_t size)
{
    *to = malloc(size > 0 ? size : 1);
    if (*to != NULL && size > 0) {
        memcpy(*to, from, size);
    }
    return *to != NULL;
}

static bool copy_prefixes(struct prefix **to, const struct prefix *from, size_t count)
{
    void *copy;
    bool ok = copy_octets(&copy, from, count * sizeof *from);
    *to = copy;
    return ok;
}

static bool copy_servers(struct upstream_group *to, const struct upstream_group *from)
{
    to->server = calloc(from->servers + 1, sizeof *to->server);
    if (to->server == NULL) {
        return false;
    }
    while (to->servers < from->servers) {
        const struct upstream_server *server = &from->server[to->servers];
        struct upstream_server *copy = &to->server[to->servers++];
        *copy = *server;
        copy->tls_name = NULL;
        if (!copy_text(&copy->text, server->text) ||
            !copy_text(&copy->tls_name, server->tls_name)) {
            return false;
        }
    }
    return true;
}

static bool copy_group(struct upstream_group *to, const struct upstream_group *from)
{
    void *probe_name = NULL;
    *to = *from;
    to->name = strdup(from->name);
    to->server = NULL;
    to->servers = 0;
    to->probe_name = NULL;
    to->trust = from->trust != NULL ? tls_trust_ref(from->trust) : NULL;
    bool ok =
        to->name != NULL && copy_octets(&probe_name, from->probe_name, name_size(from->probe_name));
    to->probe_name = probe_name;
    return ok && copy_servers(to, from);
}

static int copy_groups(const struct config_proxy *proxy, struct routes *routes)
{
    routes->group = calloc(proxy->groups + 1, sizeof *routes->group);
    if (routes->group == NULL) {
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < proxy->groups; i++) {
        struct upstream_group *group = &routes->group[i];
        bool ok = copy_group(group, &proxy->group[i]);
        if (ok) {
            group->id = group_id(routes, group);
        }
        routes->groups++;
        if (!ok) {
            return RR_ENOMEM;
        }
    }
    return RR_OK;
}

/* ---- Routes ---- */

static bool fill_route(const struct config_route *from, const struct routes *routes,
                       struct route *route)
{
    *route = (struct route){
        .group = (uint32_t)from->group,
        .allowed = routes->allowed,
        .allow = routes->allow,
        .rate = from->rate,
        .rate_truncates = from->rate_truncates,
    };
    if (!from->own_allow) {
        return true;
    }
    route->allowed = from->allowed;
    return copy_prefixes(&route->allow, from->allow, from->allowed);
}

static int fill_routes(const struct config_proxy *proxy, struct routes *routes)
{
    const uint8_t **names = calloc(proxy->routes + 1, sizeof *names);
    uint32_t *order = calloc(proxy->routes + 1, sizeof *order);
    int error = names != NULL && order != NULL ? RR_OK : RR_ENOMEM;
    for (size_t i = 0; i < proxy->routes && error == RR_OK; i++) {
        names[i] = proxy->route[i].zone;
    }
    if (error == RR_OK) {
        error = zone_index_new(names, proxy->routes, order, &routes->index);
    }
    if (error == RR_OK) {
        routes->route = calloc(proxy->routes + 1, sizeof *routes->route);
        error = routes->route != NULL ? RR_OK : RR_ENOMEM;
    }
    for (size_t i = 0; i < proxy->routes && error == RR_OK; i++) {
        bool ok = fill_route(&proxy->route[i], routes, &routes->route[order[i]]);
        error = ok ? RR_OK : RR_ENOMEM;
    }
    free(names);
    free(order);
    return error;
}

int make_routes(const struct config_proxy *proxy, struct routes **routes)
{
    struct routes *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return RR_ENOMEM;
    }
    made->allowed = proxy->allowed;
    made->queries_per_client = proxy->queries_per_client;
    made->times = (struct cache_times){
        .ttl_min = proxy->ttl_min_ms / 1000,
        .ttl_max = proxy->ttl_max_ms / 1000,
        .negative_ttl_max = proxy->negative_ttl_max_ms / 1000,
        .stale = proxy->stale_ms / 1000,
        .prefetch = proxy->prefetch,
    };
    bool ok = copy_prefixes(&made->allow, proxy->allow, proxy->allowed);
    int error = ok ? copy_groups(proxy, made) : RR_ENOMEM;
    error = error == RR_OK ? fill_routes(proxy, made) : error;
    if (error != RR_OK) {
        unmake_routes(made);
        return error;
    }
    *routes = made;
    return RR_OK;
}

void unmake_routes(struct routes *routes)
{
    for (size_t i = 0; routes != NULL && i < routes->groups; i++) {
        tls_trust_unref(routes->group[i].trust);
    }
    routes_free(routes);
}

/*
 * Groups are made anew with each configuration; servers that stay are the same objects, with what
 * is known of them, their sockets and connections. Old groups go with the last transaction that has
 * one.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "net/proxy_own.h"
#include "net/tls.h"

void proxy_upstream_unref(struct proxy *proxy, struct upstream *upstream)
{
    if (upstream->references == 1) {
        upstream_sockets_close(upstream);
        if (upstream->streams != NULL) {
            upstream_stream_close(proxy->streams, upstream);
        }
    }
    if (--upstream->references == 0) {
        upstream_free(upstream);
    }
}

void proxy_group_unref(struct proxy *proxy, struct proxy_group *group)
{
    if (--group->references > 0) {
        return;
    }
    for (size_t i = 0; i < group->set.count; i++) {
        proxy_upstream_unref(proxy, group->set.upstream[i]);
    }
    tls_trust_unref(group->trust);
    free(group);
}

/* The server as it is known already, from the groups before, or from those just made. */
static struct upstream *known(struct proxy_group *const *groups, size_t count,
                              const struct upstream_server *server)
{
    for (size_t i = 0; i < count; i++) {
        const struct upstream_set *set = &groups[i]->set;
        for (size_t n = 0; n < set->count; n++) {
            if (upstream_server_same(&set->upstream[n]->server, server)) {
                return set->upstream[n];
            }
        }
    }
    return NULL;
}

static struct upstream *new_upstream(struct proxy *proxy, const struct upstream_server *server)
{
    uint8_t cookie[8];
    proxy_random_octets(proxy, cookie, sizeof cookie);
    return upstream_new(server, &proxy->counts[server->slot], cookie);
}

/* Gives the group its servers; false where there is no memory. */
static bool fill(struct proxy *proxy, struct proxy_group *group, const struct upstream_group *from,
                 struct proxy_group *const *made, size_t count)
{
    for (size_t i = 0; i < from->servers; i++) {
        const struct upstream_server *server = &from->server[i];
        assert(server->transport != UPSTREAM_TLS || from->trust != NULL);
        struct upstream *upstream = known(proxy->group, proxy->groups, server);
        upstream = upstream != NULL ? upstream : known(made, count, server);
        if (upstream != NULL) {
            upstream->references++;
        } else if ((upstream = new_upstream(proxy, server)) == NULL) {
            return false;
        }
        group->set.upstream[group->set.count++] = upstream;
    }
    return true;
}

static struct proxy_group *new_group(struct proxy *proxy, const struct upstream_group *from,
                                     struct proxy_group *const *made, size_t count)
{
    struct proxy_group *group = calloc(1, sizeof *group);
    if (group == NULL) {
        return NULL;
    }
    group->references = 1;
    group->id = from->id;
    group->set.select = from->select;
    group->set.queries_max = from->queries_max;
    group->timeout_ns = from->timeout_ms * PROXY_MS;
    group->attempts = from->attempts;
    group->case_mix = from->case_mix;
    group->origin = from->origin;
    memcpy(group->probe_name, from->probe_name, name_size(from->probe_name));
    group->probe_type = from->probe_type;
    group->probe_interval_ns = from->probe_interval_ms * PROXY_MS;
    group->trust = from->trust != NULL ? tls_trust_ref(from->trust) : NULL;
    if (!fill(proxy, group, from, made, count)) {
        proxy_group_unref(proxy, group);
        return NULL;
    }
    return group;
}

static void drop(struct proxy *proxy, struct proxy_group **groups, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        proxy_group_unref(proxy, groups[i]);
    }
}

void proxy_groups_drop(struct proxy *proxy)
{
    drop(proxy, proxy->group, proxy->groups);
    proxy->groups = 0;
}

void proxy_adopt(struct proxy *proxy)
{
    static const struct timeval second = {1, 0};
    const struct routes *routes = proxy->service->world->settings.routes;
    uint64_t id = routes != NULL ? routes->id : 0;
    if (id == proxy->routes_id) {
        return;
    }
    struct proxy_group *made[ROUTES_GROUPS_MAX] = {NULL};
    size_t count = 0;
    proxy->routes_id = id;
    while (routes != NULL && count < routes->groups) {
        made[count] = new_group(proxy, &routes->group[count], made, count);
        if (made[count] == NULL) {
            log_error("proxy: no memory for its routes: what they forward is answered SERVFAIL");
            break;
        }
        count++;
    }
    proxy_groups_drop(proxy);
    memcpy(proxy->group, made, sizeof made);
    proxy->groups = count;
    if (count > 0) {
        event_add(proxy->probes, &second);
    } else {
        event_del(proxy->probes);
    }
}

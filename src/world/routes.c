/*
 * The longest zone is found as among zones that are served: in an index of names.
 */
#include "world/routes.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const struct route *routes_locate(const struct routes *routes, const struct key *key,
                                  uint16_t *key_size)
{
    uint32_t position = zone_index_locate(routes->index, key);
    if (position == WORLD_NONE) {
        return NULL;
    }
    *key_size = zone_index_key_size(routes->index, position);
    return &routes->route[position];
}

bool upstream_server_same(const struct upstream_server *a, const struct upstream_server *b)
{
    bool same_name = a->tls_name == NULL || b->tls_name == NULL
                         ? a->tls_name == b->tls_name
                         : strcasecmp(a->tls_name, b->tls_name) == 0;
    return same_name && a->transport == b->transport && a->address_size == b->address_size &&
           memcmp(&a->address, &b->address, a->address_size) == 0;
}

void upstream_group_clear(struct upstream_group *group)
{
    for (size_t i = 0; i < group->servers; i++) {
        free(group->server[i].text);
        free(group->server[i].tls_name);
    }
    free(group->server);
    free(group->name);
    free(group->probe_name);
}

void routes_free(struct routes *routes)
{
    if (routes == NULL) {
        return;
    }
    size_t count = routes->index != NULL ? zone_index_count(routes->index) : 0;
    for (size_t i = 0; i < count && routes->route != NULL; i++) {
        if (routes->route[i].allow != routes->allow) {
            free(routes->route[i].allow);
        }
    }
    for (size_t i = 0; i < routes->groups; i++) {
        upstream_group_clear(&routes->group[i]);
    }
    free(routes->group);
    free(routes->route);
    free(routes->allow);
    zone_index_unref(routes->index);
    free(routes);
}

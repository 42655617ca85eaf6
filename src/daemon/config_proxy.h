/*
 * What a configuration says of forwarding: "proxy", its groups of upstream servers and its routes.
 */
#ifndef RRDNS_DAEMON_CONFIG_PROXY_H
#define RRDNS_DAEMON_CONFIG_PROXY_H

#include <stddef.h>

#include "base/diag.h"
#include "daemon/config.h"
#include "daemon/config_walk.h"

/* Where what has to be looked at once more stands in the file; lines, 0: not given. */
struct proxy_reading {
    size_t open_line; /* of a prefix of "allow" that holds every address */
    size_t ca_line;   /* of the last "tls_ca" */
    size_t groups;
    struct group_reading {
        size_t line, ca_line;
        char *ca; /* file of certificates to trust; NULL: the system's */
    } group[ROUTES_GROUPS_MAX];
    size_t servers; /* of all groups, in the order of the file */
    size_t server_line[ROUTES_GROUPS_MAX * GROUP_SERVERS_MAX];
    size_t routes, room;
    struct route_reading {
        char *upstream;
        size_t zone_line, upstream_line, open_line;
    } now, *route; /* the one being read, and those that were: by config_proxy.route */
};

extern const struct schema config_proxy_keys[];

/* 0 or RR_ENOMEM. */
int config_proxy_defaults(struct config_proxy *proxy);
void config_free_proxy(struct config_proxy *proxy);

/*
 * Looks at what only the whole tells: gives routes the groups that they name, and groups with
 * servers over TLS the certificates that they trust; tells as faults groups there are not, zones
 * with two routes, servers that are ourselves, certificates that can't be read; as warnings groups
 * without a route, certificates that nobody needs, and that everybody may use this server as a
 * resolver. For a configuration without faults so far, with its listen addresses. Returns 0 (also
 * where there are faults) or RR_ENOMEM.
 */
int config_check_proxy(const struct proxy_reading *reading, struct config *config,
                       struct diag *diag);

void proxy_reading_free(struct proxy_reading *reading);

#endif

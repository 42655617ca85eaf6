/*
 * From the configuration of the proxy to the routes that workers use.
 */
#ifndef RRDNS_DAEMON_MAKE_ROUTES_H
#define RRDNS_DAEMON_MAKE_ROUTES_H

#include "daemon/config.h"
#include "world/routes.h"

/*
 * Makes routes of proxy, which has one at least; of it they keep the trusts of groups, with
 * references of their own. id, cache and the slots of servers are the caller's to set. Returns 0,
 * RR_ENOMEM, or RR_ELIMIT or RR_EEXIST where proxy was not checked.
 */
int make_routes(const struct config_proxy *proxy, struct routes **routes);

/* Gives back what make_routes made, but for the cache. NULL is harmless. */
void unmake_routes(struct routes *routes);

#endif

/*
 * What the daemon keeps of forwarding over reloads: the routes in force, the cache, the slots of
 * upstream servers. All on the main thread.
 */
#ifndef RRDNS_DAEMON_FORWARDING_H
#define RRDNS_DAEMON_FORWARDING_H

#include <stdbool.h>

#include "daemon/config.h"
#include "daemon/upstream_totals.h"
#include "net/net.h"
#include "world/routes.h"

struct forwarding;

struct forwarding *forwarding_new(void); /* NULL: no memory */

/* Where no world has any of its routes any more. NULL is harmless. */
void forwarding_free(struct forwarding *forwarding);

/*
 * Makes the routes that config wants (*routes; NULL: none), for the settings of the next world. The
 * cache stays the one in force while its size is the same; trusts of groups, in config too, become
 * those in force where they are of the same certificates. What is in force stays until
 * forwarding_settle, which has to follow. net may be NULL. Returns 0, or RR_ENOMEM or RR_ELIMIT,
 * with which nothing has changed.
 */
int forwarding_prepare(struct forwarding *forwarding, struct config *config, const struct net *net,
                       const struct routes **routes);

/*
 * adopted: every worker uses a world with what was prepared, and what it replaces is freed. Else no
 * world ever had it, and it is freed itself. Harmless where nothing is prepared.
 */
void forwarding_settle(struct forwarding *forwarding, bool adopted);

/* The routes in force; NULL: nothing is forwarded. */
const struct routes *forwarding_routes(const struct forwarding *forwarding);

/* What has been counted of a server since it has its slot. */
void forwarding_totals(const struct forwarding *forwarding, const struct net *net, uint32_t slot,
                       struct upstream_totals *totals);

#endif

/*
 * What `rrdnsctl cache` and `rrdnsctl upstreams` tell, as JSON. Where nothing is forwarded figures
 * are 0 and lists empty.
 */
#ifndef RRDNS_DAEMON_CONTROL_PROXY_H
#define RRDNS_DAEMON_CONTROL_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "daemon/server.h"

/* Figures of the cache, and what was asked of it. */
json_t *control_cache_json(const struct server *server);

/* Throws away what the cache has at and below a name in wire form (NULL: everything), and tells how
 * many entries that were. */
json_t *control_flush_json(const struct server *server, const uint8_t *name);

/* Every server of every group. */
json_t *control_upstreams_json(const struct server *server);

#endif

/*
 * The keys of rrdns.json: what config.c hands to walk_text. The walk's target is a struct config,
 * its context a struct config_reading.
 */
#ifndef RRDNS_DAEMON_CONFIG_KEYS_H
#define RRDNS_DAEMON_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config.h"
#include "daemon/config_proxy.h"
#include "daemon/config_walk.h"
#include "daemon/config_zones.h"

/* What is known only while a configuration is read. */
struct config_reading {
    struct zone_entries entries;
    size_t zone_directory_line; /* 0: not given in the file */
    size_t policy_line;         /* of the "dnssec" of the zone being read */
    struct proxy_reading proxy;
};

extern const struct schema config_schema;

/* A bound on sockets: each address takes two for every worker. */
enum { CONFIG_ADDRESSES_MAX = 1024 };

/* Of a control socket's path that is too long: its octets, and CONFIG_SOCKET_PATH_MAX. */
#define CONFIG_SOCKET_PATH_FAULT "the path has %zu octets, a socket's at most %zu"

/*
 * Adds a listen address given as text. Returns 0; or RR_EINVAL and in reason (CONFIG_REASON_MAX)
 * what is wrong with it; or RR_ENOMEM.
 */
enum { CONFIG_REASON_MAX = 256 };
int config_add_address(struct config *config, const char *text, char *reason);

#endif

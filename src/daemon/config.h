/*
 * Configuration: JSON to one struct, every key with a default, every fault with file, line and key
 * path. See rrdns.json(5).
 */
#ifndef RRDNS_DAEMON_CONFIG_H
#define RRDNS_DAEMON_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/un.h>

#include "base/diag.h"
#include "base/log.h"
#include "dnssec/policy.h"
#include "net/net.h"
#include "world/routes.h"

struct config_zone {
    uint8_t *name; /* wire form, as written */
    char *file;    /* path, relative ones already joined to the configuration's directory */
    bool listed;   /* by "zones", else found in zone_directory */
    const struct dnssec_policy *policy; /* one of the configuration's, or NULL: not signed */
};

struct config_route {
    uint8_t *zone; /* wire form, as written */
    size_t group;  /* in config_proxy.group */
    bool own_allow; /* else that of all */
    size_t allowed;
    struct prefix *allow;
    uint32_t rate;
    bool rate_truncates;
};

/* What is forwarded. make_routes makes a struct routes of it. */
struct config_proxy {
    size_t allowed;
    struct prefix *allow;
    unsigned queries_per_client;
    size_t cache_size;
    unsigned ttl_min_ms, ttl_max_ms, negative_ttl_max_ms, stale_ms; /* whole seconds */
    bool prefetch;
    size_t groups;
    struct upstream_group *group; /* without id and slots; trusts have been read */
    size_t routes;                /* none: nothing is forwarded */
    struct config_route *route;
};

#define CONFIG_SOCKET_PATH_MAX (sizeof((struct sockaddr_un *)0)->sun_path - 1)

struct config {
    char *path; /* of the configuration file, or NULL */

    size_t addresses;
    struct net_address *address;
    unsigned workers; /* 0: one per CPU */
    char *user, *group;
    size_t user_line, group_line; /* of the file; 0: it names none, they are the default */
    char *nsid, *version;
    unsigned udp_payload_max;
    unsigned tcp_clients_max, tcp_clients_per_address;
    unsigned tcp_idle_ms, tcp_queries_per_connection;
    bool cookies;
    unsigned drain_ms;

    char *control_socket; /* "": none */
    bool control_given;   /* named in the file or on the command line */

    enum log_target log_target;
    char *log_path;
    enum log_level log_level;

    char *zone_directory;  /* "" where there is none */
    char *image_directory; /* likewise */
    size_t zones;         /* sorted by name, without duplicates; the directory's included */
    struct config_zone *zone;

    bool dry_run; /* set by who only checks: keys that zones have not are not made */
    size_t policies;
    struct dnssec_policy *policy;

    struct config_proxy proxy;
};

/* What the command line replaces; NULL, 0 or -1 where an option was not given. */
struct config_overrides {
    const char *const *listen;
    size_t listens;
    const char *zone_directory;
    int workers;
    const char *control_socket;
};

/*
 * Reads path (NULL: defaults only), applies overrides, lists the zone directory. Returns 0 and
 * *config (to be freed with config_free), or RR_EINVAL with every fault in diag. Warnings too go
 * to diag.
 */
int config_load(const char *path, const struct config_overrides *overrides, struct config **config,
                struct diag *diag);

/* The same over text in memory (tests, fuzzing); name stands for the path. */
int config_parse(const char *name, const char *text, size_t size,
                 const struct config_overrides *overrides, struct config **config,
                 struct diag *diag);

void config_free(struct config *config); /* NULL is harmless */

#endif

/*
 * Routes: which names are forwarded, to which group of upstream servers, and for whom. One
 * immutable object, made from the configuration by the daemon, which also frees it when no world
 * with it is in use any more. Workers find it in the settings of their world.
 */
#ifndef RRDNS_WORLD_ROUTES_H
#define RRDNS_WORLD_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/prefix.h"
#include "dns/key.h"
#include "world/world.h"

enum {
    ROUTES_GROUPS_MAX = 64,
    ROUTES_SERVERS_MAX = 256, /* of all groups; their slots are below */
    GROUP_SERVERS_MAX = 16,
    GROUP_ATTEMPTS_MAX = 8,
};

enum upstream_transport { UPSTREAM_UDP, UPSTREAM_TCP, UPSTREAM_TLS };

struct upstream_server {
    struct sockaddr_storage address;
    socklen_t address_size;
    enum upstream_transport transport; /* UPSTREAM_UDP: TCP too, where an answer was truncated */
    char *text;     /* as configured */
    char *tls_name; /* that the certificate must name; NULL: the address */
    uint32_t slot;  /* of its counters, the same over reloads */
};

enum upstream_select { SELECT_FASTEST, SELECT_ROUNDROBIN, SELECT_ORDERED, SELECT_HASH };

struct tls_trust; /* net/tls.h */

struct upstream_group {
    char *name;
    uint32_t id; /* goes into the key of cache entries: the same as long as name and servers are */
    size_t servers;
    struct upstream_server *server;
    enum upstream_select select;
    unsigned timeout_ms; /* of one attempt */
    unsigned attempts;   /* 1 to GROUP_ATTEMPTS_MAX */
    unsigned queries_max; /* unanswered by one server, a worker */
    bool case_mix;       /* letters of the question in random case ("0x20") */
    bool origin;         /* authoritative: AA is passed on and kept, RA clear */
    struct tls_trust *trust; /* a reference, the daemon's to give back; NULL: no server has TLS */
    uint8_t *probe_name; /* wire form */
    uint16_t probe_type;
    unsigned probe_interval_ms;
};

struct route {
    uint32_t group;
    size_t allowed;
    struct prefix *allow; /* the route's own, or that of all */
    uint32_t rate;        /* questions a second let through to the group; 0: no limit */
    bool rate_truncates;  /* over it: TC instead of REFUSED */
};

/* How long what is kept is good, in seconds. */
struct cache_times {
    uint32_t ttl_min, ttl_max, negative_ttl_max;
    uint32_t stale; /* past its time, for where upstream fails */
    bool prefetch;
};

struct proxy_cache; /* serve/proxy_cache.h */

struct routes {
    uint64_t id; /* another one for another object, also at the same address */
    struct zone_index *index;
    struct route *route; /* by index position */
    size_t groups;
    struct upstream_group *group;
    size_t allowed;
    struct prefix *allow;
    unsigned queries_per_client; /* unanswered, a worker */
    struct cache_times times;
    struct proxy_cache *cache; /* the daemon's; lives at least as long as this */
};

/*
 * The route with the longest zone at or above the name, or NULL. *key_size becomes the symbols in
 * that zone's key.
 */
const struct route *routes_locate(const struct routes *routes, const struct key *key,
                                  uint16_t *key_size);

static inline bool route_allows(const struct route *route, const struct sockaddr *client)
{
    return prefix_any_holds(route->allow, route->allowed, client);
}

/* Whether address, transport and the name in its certificate are the same. */
bool upstream_server_same(const struct upstream_server *a, const struct upstream_server *b);

/* Gives back what a group has but its trust, and not itself. */
void upstream_group_clear(struct upstream_group *group);

/* Gives back all but the cache and the groups' trusts. NULL is harmless. */
void routes_free(struct routes *routes);

#endif

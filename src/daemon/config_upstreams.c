/*
 * What only the whole of "proxy" tells, with its places. proxy_reading has lines in the order of
 * reading; since nothing here is asked where there were faults, what is stored is in that order.
 */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "daemon/config_proxy.h"
#include "dns/name.h"
#include "net/tls.h"

/* A group's name in messages. */
enum { GROUP_TEXT_MAX = 64 };

static const char *group_text(const struct upstream_group *group, char *text)
{
    return text_printable(group->name, text, GROUP_TEXT_MAX);
}

/* ---- Groups of routes ---- */

static void find_group(const struct route_reading *read, struct config *config, size_t index,
                       struct diag *diag)
{
    struct config_proxy *proxy = &config->proxy;
    struct meant meant = {0};
    char quoted[WALK_QUOTED_MAX], hint[MEANT_TEXT_MAX];
    for (size_t i = 0; i < proxy->groups; i++) {
        if (strcmp(proxy->group[i].name, read->upstream) == 0) {
            proxy->route[index].group = i;
            return;
        }
        meant_consider(&meant, read->upstream, proxy->group[i].name);
    }
    diag_fault(diag, config->path, read->upstream_line,
               "proxy.routes[%zu].upstream: no group %s under \"proxy.upstreams\"%s", index,
               walk_quote(read->upstream, quoted), meant_text(&meant, hint));
}

static void warn_unused(const struct proxy_reading *reading, const struct config *config,
                        struct diag *diag)
{
    bool used[ROUTES_GROUPS_MAX] = {false};
    char name[GROUP_TEXT_MAX];
    for (size_t i = 0; i < config->proxy.routes; i++) {
        used[config->proxy.route[i].group] = true;
    }
    for (size_t i = 0; i < config->proxy.groups; i++) {
        if (!used[i]) {
            diag_warn(diag, config->path, reading->group[i].line,
                      "proxy.upstreams.%s: no route uses it",
                      group_text(&config->proxy.group[i], name));
        }
        if (reading->group[i].ca != NULL && config->proxy.group[i].trust == NULL) {
            diag_warn(diag, config->path, reading->group[i].ca_line,
                      "proxy.upstreams.%s.tls_ca: no server of the group is asked over TLS",
                      group_text(&config->proxy.group[i], name));
        }
    }
}

/* ---- Zones of routes ---- */

struct named_route {
    const uint8_t *zone;
    size_t index;
};

static int compare(const void *left, const void *right)
{
    const struct named_route *a = left, *b = right;
    size_t size = name_size(a->zone), other = name_size(b->zone);
    if (size != other) {
        return size < other ? -1 : 1;
    }
    for (size_t i = 0; i < size; i++) {
        int difference = name_lower(a->zone[i]) - name_lower(b->zone[i]);
        if (difference != 0) {
            return difference;
        }
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static int find_doubles(const struct proxy_reading *reading, const struct config *config,
                        struct diag *diag)
{
    size_t count = config->proxy.routes, first = 0;
    struct named_route *sorted = calloc(count + 1, sizeof *sorted);
    char name[NAME_MAX_TEXT];
    if (sorted == NULL) {
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = (struct named_route){config->proxy.route[i].zone, i};
    }
    qsort(sorted, count, sizeof *sorted, compare);
    for (size_t i = 1; i < count; i++) {
        if (!name_equal(sorted[i].zone, sorted[first].zone)) {
            first = i;
            continue;
        }
        name_to_text(sorted[i].zone, name);
        diag_fault(diag, config->path, reading->route[sorted[i].index].zone_line,
                   "proxy.routes[%zu].zone: %s is already given by proxy.routes[%zu] in line %zu",
                   sorted[i].index, name, sorted[first].index,
                   reading->route[sorted[first].index].zone_line);
    }
    free(sorted);
    return RR_OK;
}

/* ---- Who may ask ---- */

/* Origins are asked about what is public anyway; whoever lets everybody ask resolvers has an open
 * resolver, which is abused before long. */
static void warn_open(const struct proxy_reading *reading, const struct config *config,
                      struct diag *diag)
{
    static const char why[] = "every address: an open resolver, which anybody may use and abuse";
    const struct config_proxy *proxy = &config->proxy;
    bool shared = false;
    for (size_t i = 0; i < proxy->routes; i++) {
        const struct config_route *route = &proxy->route[i];
        bool resolves = !proxy->group[route->group].origin;
        shared |= resolves && !route->own_allow;
        if (resolves && reading->route[i].open_line != 0) {
            diag_warn(diag, config->path, reading->route[i].open_line,
                      "proxy.routes[%zu].allow: %s", i, why);
        }
    }
    if (shared && reading->open_line != 0) {
        diag_warn(diag, config->path, reading->open_line, "proxy.allow: %s", why);
    }
}

/* ---- Loops ---- */

/* An address without its port, IPv4 as it is mapped into IPv6. */
struct host {
    struct in6_addr address;
    uint16_t port; /* in network order */
    bool v4;
};

static struct host host_of(const struct sockaddr *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct host host = {0};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        memcpy(host.address.s6_addr, mapped, sizeof mapped);
        memcpy(host.address.s6_addr + sizeof mapped, &in.sin_addr, sizeof in.sin_addr);
        host.port = in.sin_port;
    } else {
        struct sockaddr_in6 in6;
        memcpy(&in6, address, sizeof in6);
        host.address = in6.sin6_addr;
        host.port = in6.sin6_port;
    }
    host.v4 = IN6_IS_ADDR_V4MAPPED(&host.address);
    return host;
}

static bool is_wildcard(const struct host *host)
{
    static const uint8_t none[4];
    return host->v4 ? memcmp(host->address.s6_addr + 12, none, sizeof none) == 0
                    : IN6_IS_ADDR_UNSPECIFIED(&host->address);
}

static bool is_loopback(const struct host *host)
{
    return host->v4 ? host->address.s6_addr[12] == IN_LOOPBACKNET
                    : IN6_IS_ADDR_LOOPBACK(&host->address);
}

/* Whether some interface has the address. */
static bool is_of_machine(const struct host *host)
{
    struct ifaddrs *all = NULL;
    bool found = false;
    if (getifaddrs(&all) != 0) {
        return false;
    }
    for (const struct ifaddrs *at = all; at != NULL && !found; at = at->ifa_next) {
        int family = at->ifa_addr != NULL ? at->ifa_addr->sa_family : AF_UNSPEC;
        if (family == AF_INET || family == AF_INET6) {
            struct host own = host_of(at->ifa_addr);
            found = IN6_ARE_ADDR_EQUAL(&own.address, &host->address);
        }
    }
    freeifaddrs(all);
    return found;
}

static bool is_served(const struct config *config, const struct upstream_server *server)
{
    struct host host = host_of((const struct sockaddr *)&server->address);
    for (size_t i = 0; i < config->addresses; i++) {
        struct host own = host_of((const struct sockaddr *)&config->address[i].address);
        if (own.port != host.port) {
            continue;
        }
        if (IN6_ARE_ADDR_EQUAL(&own.address, &host.address) ||
            (is_wildcard(&own) && own.v4 == host.v4 &&
             (is_loopback(&host) || is_of_machine(&host)))) {
            return true;
        }
    }
    return false;
}

/* ---- Servers ---- */

static bool stands_before(const struct upstream_server *server, const struct upstream_group *group,
                          size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (upstream_server_same(&group->server[i], server)) {
            return true;
        }
    }
    return false;
}

/* Whether no group before has it: the servers that need a slot. */
static bool is_new(const struct config_proxy *proxy, size_t group,
                   const struct upstream_server *server)
{
    for (size_t i = 0; i < group; i++) {
        if (stands_before(server, &proxy->group[i], proxy->group[i].servers)) {
            return false;
        }
    }
    return true;
}

static void check_servers(const struct proxy_reading *reading, const struct config *config,
                          struct diag *diag)
{
    const struct config_proxy *proxy = &config->proxy;
    char name[GROUP_TEXT_MAX], quoted[WALK_QUOTED_MAX];
    size_t number = 0, different = 0;
    for (size_t i = 0; i < proxy->groups; i++) {
        const struct upstream_group *group = &proxy->group[i];
        for (size_t j = 0; j < group->servers; j++, number++) {
            const struct upstream_server *server = &group->server[j];
            bool twice = stands_before(server, group, j);
            different += is_new(proxy, i, server);
            if (twice || is_served(config, server)) {
                diag_fault(diag, config->path, reading->server_line[number],
                           "proxy.upstreams.%s.servers[%zu]: %s %s", group_text(group, name), j,
                           walk_quote(server->text, quoted),
                           twice ? "is given twice" : "is this server itself: a loop");
            }
        }
    }
    if (different > ROUTES_SERVERS_MAX) {
        diag_fault(diag, config->path, reading->group[0].line,
                   "proxy.upstreams: %zu different servers, at most %d are possible", different,
                   ROUTES_SERVERS_MAX);
    }
}

/* ---- Certificates to trust ---- */

static bool has_tls(const struct upstream_group *group)
{
    size_t i = 0;
    while (i < group->servers && group->server[i].transport != UPSTREAM_TLS) {
        i++;
    }
    return i < group->servers;
}

/* What a group before has read from the same file; NULL: none has. */
static struct tls_trust *read_before(const struct proxy_reading *reading,
                                     const struct config_proxy *proxy, size_t group)
{
    const char *ca = reading->group[group].ca;
    for (size_t i = 0; i < group; i++) {
        const char *other = reading->group[i].ca;
        bool same = ca == NULL || other == NULL ? ca == other : strcmp(ca, other) == 0;
        if (same && proxy->group[i].trust != NULL) {
            return proxy->group[i].trust;
        }
    }
    return NULL;
}

static void tell_unreadable(const struct group_reading *read, const struct upstream_group *group,
                            const struct config *config, const char *why, struct diag *diag)
{
    char name[GROUP_TEXT_MAX], quoted[WALK_QUOTED_MAX];
    group_text(group, name);
    if (read->ca != NULL) {
        diag_fault(diag, config->path, read->ca_line, "proxy.upstreams.%s.tls_ca: %s: %s", name,
                   walk_quote(read->ca, quoted), why);
    } else {
        diag_fault(diag, config->path, read->line,
                   "proxy.upstreams.%s: no \"tls_ca\", and of the system's certificates %s", name,
                   why);
    }
}

/* Reads them: at the first connection there would be nobody to be told of faults, and a worker
 * would have to wait. */
static int read_trusts(const struct proxy_reading *reading, struct config *config,
                       struct diag *diag)
{
    struct config_proxy *proxy = &config->proxy;
    int error = RR_OK;
    for (size_t i = 0; i < proxy->groups && error != RR_ENOMEM; i++) {
        const char *why;
        struct upstream_group *group = &proxy->group[i];
        if (!has_tls(group)) {
            continue;
        }
        struct tls_trust *before = read_before(reading, proxy, i);
        if (before != NULL) {
            group->trust = tls_trust_ref(before);
            continue;
        }
        error = tls_trust_open(reading->group[i].ca, &group->trust, &why);
        if (error == RR_EIO) {
            tell_unreadable(&reading->group[i], group, config, why, diag);
        }
    }
    return error == RR_ENOMEM ? error : RR_OK;
}

/* ---- All of it ---- */

int config_check_proxy(const struct proxy_reading *reading, struct config *config,
                       struct diag *diag)
{
    size_t faults = diag->faults;
    if (config->proxy.routes > WORLD_ZONES_MAX) {
        diag_fault(diag, config->path, 0, "proxy.routes: %zu routes, at most %d are possible",
                   config->proxy.routes, WORLD_ZONES_MAX);
        return RR_OK;
    }
    for (size_t i = 0; i < config->proxy.routes; i++) {
        find_group(&reading->route[i], config, i, diag);
    }
    check_servers(reading, config, diag);
    int error = find_doubles(reading, config, diag);
    if (error == RR_OK && diag->faults == faults) {
        error = read_trusts(reading, config, diag);
    }
    if (error == RR_OK && diag->faults == faults) {
        warn_unused(reading, config, diag);
        warn_open(reading, config, diag);
    }
    return error;
}

void proxy_reading_free(struct proxy_reading *reading)
{
    for (size_t i = 0; i < reading->routes; i++) {
        free(reading->route[i].upstream);
    }
    free(reading->route);
    for (size_t i = 0; i < reading->groups; i++) {
        free(reading->group[i].ca);
    }
}

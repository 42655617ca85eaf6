/*
 * Groups are read twice, as signing policies are: checked while they are walked, when their path is
 * at hand for messages, and stored when the whole map is known to be good. A route is stored as
 * soon as it is good itself; what it names is looked for when all is read (config_upstreams.c).
 */
#include "daemon/config_proxy.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/err.h"
#include "base/text.h"
#include "daemon/config_keys.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "net/tls.h"
#include "serve/proxy_cache.h"

enum {
    SECOND = 1000,
    HOUR = 3600 * SECOND,
    DAY = 24 * HOUR,
    WEEK = 7 * DAY,
    COUNT_MAX = 1000000000,
    QUERIES_MAX = 1000000,
    PORT_DNS = 53,
    PORT_TLS = 853,
    TIMEOUT_MS = 2 * SECOND,
    TIMEOUT_LEAST_MS = 10,
    TIMEOUT_MOST_MS = 5 * SECOND,
    ATTEMPTS = 3,
    QUERIES = 4096,
    PROBE_MS = 30 * SECOND,
};

#define CACHE_SIZE_MAX (INT64_C(1) << 40)

#define KEY(text, type) .name = (text), .kind = SCHEMA_##type
#define AT(field) .offset = offsetof(struct config, proxy.field)

static const char *const selects[] = {
    [SELECT_FASTEST] = "fastest",
    [SELECT_ROUNDROBIN] = "roundrobin",
    [SELECT_ORDERED] = "ordered",
    [SELECT_HASH] = "hash",
};
enum { SELECTS = sizeof selects / sizeof selects[0] };

static struct proxy_reading *reading_of(const struct walk *walk)
{
    return &((struct config_reading *)walk->context)->proxy;
}

/* ---- allow ---- */

static void take_prefix(struct walk *walk, const json_t *value, size_t line, size_t *open_line)
{
    struct prefix prefix;
    char quoted[WALK_QUOTED_MAX];
    const char *text = json_string_value(value);
    int error = prefix_parse(text, &prefix);
    if (error == RR_ERANGE) {
        walk_fault(walk, line, "%s has bits set past its length", walk_quote(text, quoted));
    } else if (error != 0) {
        walk_fault(walk, line,
                   "%s is no address or prefix such as \"192.0.2.0/24\" or \"2001:db8::/32\"",
                   walk_quote(text, quoted));
    } else if (prefix.bits == 0) {
        *open_line = line;
    }
}

static void take_allow_element(struct walk *walk, const json_t *value, size_t line)
{
    take_prefix(walk, value, line, &reading_of(walk)->open_line);
}

static void take_route_allow_element(struct walk *walk, const json_t *value, size_t line)
{
    take_prefix(walk, value, line, &reading_of(walk)->now.open_line);
}

/* Reads a checked list. false: no memory. */
static bool read_prefixes(const json_t *list, struct prefix **prefixes, size_t *count)
{
    size_t i;
    const json_t *text;
    free(*prefixes);
    *count = json_array_size(list);
    *prefixes = calloc(*count + 1, sizeof **prefixes);
    json_array_foreach (list, i, text) {
        if (*prefixes != NULL) {
            prefix_parse(json_string_value(text), &(*prefixes)[i]);
        }
    }
    return *prefixes != NULL;
}

static void take_allow(struct walk *walk, const json_t *value, size_t line)
{
    struct config_proxy *proxy = &((struct config *)walk->target)->proxy;
    (void)line;
    walk->no_memory |= !read_prefixes(value, &proxy->allow, &proxy->allowed);
}

/* ---- Cache ---- */

static void take_cache(struct walk *walk, const json_t *value, size_t line)
{
    const struct config_proxy *proxy = &((struct config *)walk->target)->proxy;
    char low[TEXT_DURATION_MAX], high[TEXT_DURATION_MAX];
    (void)value;
    if (proxy->ttl_min_ms > proxy->ttl_max_ms) {
        text_from_duration(proxy->ttl_min_ms, low);
        text_from_duration(proxy->ttl_max_ms, high);
        walk_fault(walk, line, "ttl_min (%s) must not be more than ttl_max (%s)", low, high);
    }
}

/* ---- Servers ---- */

/* A server's text taken apart; tls_name points into it. */
struct server_text {
    enum upstream_transport transport;
    struct sockaddr_storage address;
    socklen_t address_size;
    const char *tls_name;
};

static bool is_unspecified(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;
        return in->sin_addr.s_addr == htonl(INADDR_ANY);
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;
    return IN6_IS_ADDR_UNSPECIFIED(&in6->sin6_addr);
}

/* 0; RR_EINVAL, RR_ERANGE (port), RR_ENOENT (a TLS name that is none) or RR_ESTATE (an address that
 * can't be asked). */
static int read_server(const char *text, struct server_text *server)
{
    static const char *const schemes[] = {[UPSTREAM_TCP] = "tcp://", [UPSTREAM_TLS] = "tls://"};
    char host[ADDRESS_TEXT_MAX];
    uint8_t name[NAME_MAX_OCTETS];
    *server = (struct server_text){.transport = UPSTREAM_UDP};
    for (int i = UPSTREAM_TCP; i <= UPSTREAM_TLS; i++) {
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0) {
            server->transport = (enum upstream_transport)i;
            text += strlen(schemes[i]);
            break;
        }
    }
    const char *hash = server->transport == UPSTREAM_TLS ? strchr(text, '#') : NULL;
    size_t length = hash != NULL ? (size_t)(hash - text) : strlen(text);
    if (length >= sizeof host) {
        return RR_EINVAL;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    if (hash != NULL) {
        server->tls_name = hash + 1;
        if (name_from_text(hash + 1, strlen(hash + 1), NULL, name) != 0 || name[0] == 0) {
            return RR_ENOENT;
        }
    }
    int error = address_parse(host, server->transport == UPSTREAM_TLS ? PORT_TLS : PORT_DNS,
                              &server->address, &server->address_size);
    return error == 0 && is_unspecified(&server->address) ? RR_ESTATE : error;
}

static void take_server(struct walk *walk, const json_t *value, size_t line)
{
    struct proxy_reading *reading = reading_of(walk);
    struct server_text server;
    char quoted[WALK_QUOTED_MAX];
    const char *text = json_string_value(value);
    int error = read_server(text, &server);
    walk_quote(text, quoted);
    switch (error) {
    case RR_OK:
        if (reading->servers < sizeof reading->server_line / sizeof reading->server_line[0]) {
            reading->server_line[reading->servers++] = line;
        }
        break;
    case RR_ERANGE:
        walk_fault(walk, line, "%s: the port is outside 1 to 65535", quoted);
        break;
    case RR_ENOENT:
        walk_fault(walk, line, "%s: what is behind \"#\" is no host name", quoted);
        break;
    case RR_ESTATE:
        walk_fault(walk, line, "%s: no server has that address", quoted);
        break;
    default:
        walk_fault(walk, line,
                   "%s is no server such as \"192.0.2.1\", \"[2001:db8::1]:53\", "
                   "\"tcp://192.0.2.1\" or \"tls://192.0.2.1#dns.example\"",
                   quoted);
    }
}

static void take_servers(struct walk *walk, const json_t *value, size_t line)
{
    size_t count = json_array_size(value);
    if (count == 0) {
        walk_fault(walk, line, "needs one server at least");
    } else if (count > GROUP_SERVERS_MAX) {
        walk_fault(walk, line, "%zu servers, at most %d are possible", count, GROUP_SERVERS_MAX);
    }
}

/* ---- Groups ---- */

static void take_select(struct walk *walk, const json_t *value, size_t line)
{
    const char *text = json_string_value(value);
    char quoted[WALK_QUOTED_MAX];
    for (size_t i = 0; i < SELECTS; i++) {
        if (strcmp(text, selects[i]) == 0) {
            return;
        }
    }
    walk_fault(walk, line, "%s is none of \"fastest\", \"roundrobin\", \"ordered\" and \"hash\"",
               walk_quote(text, quoted));
}

static void take_tls_ca(struct walk *walk, const json_t *value, size_t line)
{
    (void)value;
    reading_of(walk)->ca_line = line;
}

static void take_type(struct walk *walk, const json_t *value, size_t line)
{
    uint16_t type;
    char quoted[WALK_QUOTED_MAX];
    const char *text = json_string_value(value);
    if (rrtype_from_text(text, strlen(text), &type) != 0 || rrtype_is_meta(type)) {
        walk_fault(walk, line, "%s is no record type that can be asked for",
                   walk_quote(text, quoted));
    }
}

static void take_upstream(struct walk *walk, const json_t *value, size_t line)
{
    struct proxy_reading *reading = reading_of(walk);
    const char *ca = json_string_value(json_object_get(value, "tls_ca"));
    if (json_object_get(value, "servers") == NULL) {
        walk_fault(walk, line, "has no \"servers\"");
    } else if (reading->groups < ROUTES_GROUPS_MAX) {
        struct group_reading *group = &reading->group[reading->groups++];
        *group = (struct group_reading){.line = line, .ca_line = reading->ca_line};
        if (ca != NULL && ca[0] != '\0') {
            group->ca = walk_path(walk->file, ca);
            walk->no_memory |= group->ca == NULL;
        }
    }
}

/* Replaces *text where the object has the key; the value has been checked. */
static void read_text(const json_t *object, const char *key, const char **text)
{
    const json_t *value = json_object_get(object, key);
    *text = value != NULL ? json_string_value(value) : *text;
}

static void read_ms(const json_t *object, const char *key, unsigned *ms)
{
    int64_t value;
    const char *text = json_string_value(json_object_get(object, key));
    if (text != NULL && text_duration(text, &value) == 0) {
        *ms = (unsigned)value;
    }
}

static void read_count(const json_t *object, const char *key, unsigned *count)
{
    const json_t *value = json_object_get(object, key);
    *count = value != NULL ? (unsigned)json_integer_value(value) : *count;
}

/* false: no memory. */
static bool read_servers(const json_t *list, struct upstream_group *group)
{
    size_t i;
    const json_t *value;
    group->server = calloc(json_array_size(list) + 1, sizeof *group->server);
    if (group->server == NULL) {
        return false;
    }
    json_array_foreach (list, i, value) {
        struct server_text text;
        struct upstream_server *server = &group->server[group->servers++];
        read_server(json_string_value(value), &text);
        server->transport = text.transport;
        server->address = text.address;
        server->address_size = text.address_size;
        server->text = strdup(json_string_value(value));
        server->tls_name = text.tls_name != NULL ? strdup(text.tls_name) : NULL;
        if (server->text == NULL || (text.tls_name != NULL && server->tls_name == NULL)) {
            return false;
        }
    }
    return true;
}

static enum upstream_select select_of(const char *text)
{
    size_t i = SELECTS - 1;
    while (i > 0 && strcmp(text, selects[i]) != 0) {
        i--;
    }
    return (enum upstream_select)i;
}

/* What a checked group says, defaults where it says nothing. false: no memory. */
static bool read_group(const char *name, const json_t *value, struct upstream_group *group)
{
    const json_t *probe = json_object_get(value, "probe");
    const char *chosen = selects[SELECT_FASTEST], *probe_name = ".", *probe_type = "NS";
    uint8_t wire[NAME_MAX_OCTETS];
    *group = (struct upstream_group){
        .name = strdup(name),
        .timeout_ms = TIMEOUT_MS,
        .attempts = ATTEMPTS,
        .queries_max = QUERIES,
        .case_mix = json_is_true(json_object_get(value, "case_mix")),
        .origin = json_is_true(json_object_get(value, "origin")),
        .probe_interval_ms = PROBE_MS,
    };
    read_text(value, "select", &chosen);
    read_ms(value, "timeout", &group->timeout_ms);
    read_count(value, "attempts", &group->attempts);
    read_count(value, "queries_max", &group->queries_max);
    read_text(probe, "name", &probe_name);
    read_text(probe, "type", &probe_type);
    read_ms(probe, "interval", &group->probe_interval_ms);
    group->select = select_of(chosen);
    rrtype_from_text(probe_type, strlen(probe_type), &group->probe_type);
    name_from_text(probe_name, strlen(probe_name), NULL, wire);
    group->probe_name = malloc(name_size(wire));
    if (group->probe_name != NULL) {
        memcpy(group->probe_name, wire, name_size(wire));
    }
    return read_servers(json_object_get(value, "servers"), group) && group->name != NULL &&
           group->probe_name != NULL;
}

static void take_upstreams(struct walk *walk, const json_t *value, size_t line)
{
    struct config_proxy *proxy = &((struct config *)walk->target)->proxy;
    const char *name;
    const json_t *group;
    if (json_object_size(value) > ROUTES_GROUPS_MAX) {
        walk_fault(walk, line, "%zu groups, at most %d are possible", json_object_size(value),
                   ROUTES_GROUPS_MAX);
        return;
    }
    proxy->group = calloc(json_object_size(value) + 1, sizeof *proxy->group);
    if (proxy->group == NULL) {
        walk->no_memory = true;
        return;
    }
    json_object_foreach ((json_t *)value, name, group) {
        walk->no_memory |= !read_group(name, group, &proxy->group[proxy->groups++]);
    }
}

/* ---- Routes ---- */

static void take_route_zone(struct walk *walk, const json_t *value, size_t line)
{
    reading_of(walk)->now.zone_line = line;
    walk_take_name(walk, value, line);
}

static void take_route_upstream(struct walk *walk, const json_t *value, size_t line)
{
    (void)value;
    reading_of(walk)->now.upstream_line = line;
}

static void take_over(struct walk *walk, const json_t *value, size_t line)
{
    const char *text = json_string_value(value);
    char quoted[WALK_QUOTED_MAX];
    if (strcmp(text, "refuse") != 0 && strcmp(text, "truncate") != 0) {
        walk_fault(walk, line, "%s is none of \"refuse\" and \"truncate\"",
                   walk_quote(text, quoted));
    }
}

/* Room for one more route in both lists. false: no memory. */
static bool route_room(struct config_proxy *proxy, struct proxy_reading *reading)
{
    if (proxy->routes < reading->room) {
        return true;
    }
    size_t room = reading->room == 0 ? 16 : 2 * reading->room;
    struct config_route *route = realloc(proxy->route, room * sizeof *route);
    if (route == NULL) {
        return false;
    }
    proxy->route = route;
    struct route_reading *read = realloc(reading->route, room * sizeof *read);
    if (read == NULL) {
        return false;
    }
    reading->route = read;
    reading->room = room;
    return true;
}

static void take_route(struct walk *walk, const json_t *value, size_t line)
{
    struct config_proxy *proxy = &((struct config *)walk->target)->proxy;
    struct proxy_reading *reading = reading_of(walk);
    const char *zone = json_string_value(json_object_get(value, "zone"));
    const char *upstream = json_string_value(json_object_get(value, "upstream"));
    const json_t *allow = json_object_get(value, "allow");
    const json_t *limit = json_object_get(value, "rate_limit");
    const char *over = "refuse";
    uint8_t name[NAME_MAX_OCTETS];
    if (zone == NULL || upstream == NULL) {
        walk_fault(walk, line, "has no \"%s\"", zone == NULL ? "zone" : "upstream");
        return;
    }
    if (!route_room(proxy, reading)) {
        walk->no_memory = true;
        return;
    }
    name_from_text(zone, strlen(zone), NULL, name);
    read_text(limit, "over", &over);
    struct route_reading *read = &reading->route[reading->routes++];
    struct config_route *route = &proxy->route[proxy->routes++];
    *read = reading->now;
    read->upstream = strdup(upstream);
    *route = (struct config_route){
        .zone = malloc(name_size(name)),
        .own_allow = allow != NULL,
        .rate_truncates = strcmp(over, "truncate") == 0,
    };
    read_count(limit, "queries_per_second", &route->rate);
    reading->now = (struct route_reading){0};
    if (route->zone == NULL || read->upstream == NULL ||
        (allow != NULL && !read_prefixes(allow, &route->allow, &route->allowed))) {
        walk->no_memory = true;
        return;
    }
    memcpy(route->zone, name, name_size(name));
}

/* ---- Keys ---- */

static const struct schema allow_element = {.kind = SCHEMA_TEXT, .take = take_allow_element};
static const struct schema route_allow_element = {.kind = SCHEMA_TEXT,
                                                  .take = take_route_allow_element};
static const struct schema server_element = {.kind = SCHEMA_TEXT, .take = take_server};

static const struct schema cache_keys[] = {
    {KEY("size", SIZE), .minimum = PROXY_CACHE_SIZE_MIN, .maximum = CACHE_SIZE_MAX, AT(cache_size)},
    {KEY("ttl_min", DURATION), .maximum = HOUR, AT(ttl_min_ms), .take = walk_whole_seconds},
    {KEY("ttl_max", DURATION), .minimum = SECOND, .maximum = WEEK, AT(ttl_max_ms),
     .take = walk_whole_seconds},
    {KEY("negative_ttl_max", DURATION), .maximum = DAY, AT(negative_ttl_max_ms),
     .take = walk_whole_seconds},
    {KEY("stale", DURATION), .maximum = WEEK, AT(stale_ms), .take = walk_whole_seconds},
    {KEY("prefetch", BOOL), AT(prefetch)},
    {.name = NULL},
};

static const struct schema probe_keys[] = {
    {KEY("name", TEXT), .take = walk_take_name},
    {KEY("type", TEXT), .take = take_type},
    {KEY("interval", DURATION), .minimum = SECOND, .maximum = HOUR},
    {.name = NULL},
};

static const struct schema upstream_keys[] = {
    {KEY("servers", LIST), .inner = &server_element, .take = take_servers},
    {KEY("select", TEXT), .take = take_select},
    {KEY("timeout", DURATION), .minimum = TIMEOUT_LEAST_MS, .maximum = TIMEOUT_MOST_MS},
    {KEY("attempts", NUMBER), .minimum = 1, .maximum = GROUP_ATTEMPTS_MAX},
    {KEY("queries_max", NUMBER), .minimum = 1, .maximum = QUERIES_MAX},
    {KEY("case_mix", BOOL)},
    {KEY("origin", BOOL)},
    {KEY("tls_ca", TEXT), .take = take_tls_ca},
    {KEY("probe", OBJECT), .inner = probe_keys},
    {.name = NULL},
};
static const struct schema upstream_element = {
    .kind = SCHEMA_OBJECT, .inner = upstream_keys, .take = take_upstream};

static const struct schema limit_keys[] = {
    {KEY("queries_per_second", NUMBER), .maximum = COUNT_MAX},
    {KEY("over", TEXT), .take = take_over},
    {.name = NULL},
};

static const struct schema route_keys[] = {
    {KEY("zone", TEXT), .take = take_route_zone},
    {KEY("upstream", TEXT), .take = take_route_upstream},
    {KEY("allow", LIST), .inner = &route_allow_element},
    {KEY("rate_limit", OBJECT), .inner = limit_keys},
    {.name = NULL},
};
static const struct schema route_element = {
    .kind = SCHEMA_OBJECT, .inner = route_keys, .take = take_route};

const struct schema config_proxy_keys[] = {
    {KEY("allow", LIST), .inner = &allow_element, .take = take_allow},
    {KEY("queries_per_client", NUMBER), .minimum = 1, .maximum = QUERIES_MAX,
     AT(queries_per_client)},
    {KEY("cache", OBJECT), .inner = cache_keys, .take = take_cache},
    {KEY("upstreams", MAP), .inner = &upstream_element, .take = take_upstreams},
    {KEY("routes", LIST), .inner = &route_element},
    {.name = NULL},
};

/* ---- Life ---- */

int config_proxy_defaults(struct config_proxy *proxy)
{
    static const char *const allow[] = {"127.0.0.0/8", "::1/128"};
    enum { ALLOWED = sizeof allow / sizeof allow[0] };
    *proxy = (struct config_proxy){
        .allow = calloc(ALLOWED, sizeof *proxy->allow),
        .queries_per_client = 2048,
        .cache_size = 64 << 20,
        .ttl_max_ms = DAY,
        .negative_ttl_max_ms = HOUR,
        .stale_ms = HOUR,
        .prefetch = true,
    };
    if (proxy->allow == NULL) {
        return RR_ENOMEM;
    }
    while (proxy->allowed < ALLOWED) {
        prefix_parse(allow[proxy->allowed], &proxy->allow[proxy->allowed]);
        proxy->allowed++;
    }
    return RR_OK;
}

void config_free_proxy(struct config_proxy *proxy)
{
    for (size_t i = 0; i < proxy->groups; i++) {
        tls_trust_unref(proxy->group[i].trust);
        upstream_group_clear(&proxy->group[i]);
    }
    for (size_t i = 0; i < proxy->routes; i++) {
        free(proxy->route[i].zone);
        free(proxy->route[i].allow);
    }
    free(proxy->group);
    free(proxy->route);
    free(proxy->allow);
}

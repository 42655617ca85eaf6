/*
 * From configurations to routes, and what of them lasts over reloads: slots and counts of servers,
 * ids of groups, the cache. The cache itself is not of interest here, so it is made up, as is the
 * net.
 */
#include "daemon/forwarding.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/address.h"
#include "config_aid.h"
#include "dns/name.h"
#include "net/net.h"
#include "net/tls.h"
#include "no_cache.h"
#include "stream_aid.h"
#include "unit.h"

/* ---- The made-up parts ---- */

enum { SETS = 3, SERVING = 2 };

static struct upstream_counts counts[SETS][ROUTES_SERVERS_MAX];
static unsigned caches; /* that there are now */

struct proxy_cache {
    size_t size;
};

struct proxy_cache *proxy_cache_new(size_t size)
{
    struct proxy_cache *cache = malloc(sizeof *cache);
    cache->size = size;
    caches++;
    return cache;
}

void proxy_cache_free(struct proxy_cache *cache)
{
    caches--;
    free(cache);
}

size_t proxy_cache_flush(struct proxy_cache *cache, const struct key *name)
{
    (void)cache, (void)name;
    ck_abort_msg("the cache is flushed");
}

void proxy_cache_figures(const struct proxy_cache *cache, struct proxy_cache_figures *figures)
{
    (void)cache, (void)figures;
    ck_abort_msg("the cache is asked for figures");
}

unsigned net_workers(const struct net *net)
{
    (void)net;
    return SERVING;
}

unsigned net_counter_sets(const struct net *net)
{
    (void)net;
    return SETS;
}

const struct upstream_counts *net_upstream_counts(const struct net *net, unsigned worker,
                                                  uint32_t slot)
{
    (void)net;
    return &counts[worker][slot];
}

static int some_net;
static const struct net *const net = (const struct net *)(const void *)&some_net;

/* ---- Aids ---- */

/* A configuration with these members of "proxy". */
static struct config *proxy_config(const char *members)
{
    char *text;
    ck_assert_int_gt(
        asprintf(&text, "{\"server\": {\"listen\": [\"127.0.0.1\"]}, \"proxy\": {%s}}", members),
        0);
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_msg(parse(text, &config, &diag) == RR_OK, "%s", diag_first_fault(&diag));
    diag_clear(&diag);
    free(text);
    return config;
}

static const struct routes *prepare(struct forwarding *forwarding, const char *members)
{
    struct config *config = proxy_config(members);
    const struct routes *routes;
    ck_assert_int_eq(forwarding_prepare(forwarding, config, net, &routes), RR_OK);
    config_free(config); /* nothing of it is needed any more */
    return routes;
}

static const struct routes *adopt(struct forwarding *forwarding, const char *members)
{
    const struct routes *routes = prepare(forwarding, members);
    forwarding_settle(forwarding, true);
    ck_assert_ptr_eq(forwarding_routes(forwarding), routes);
    return routes;
}

/* One group "r" of these servers, and a route to it. */
static const char *servers(const char *list)
{
    static char text[4][8192];
    static unsigned turn;
    char *at = text[turn++ % 4];
    snprintf(at, sizeof text[0],
             "\"upstreams\": {\"r\": {\"servers\": [%s]}}, \"routes\": [{\"zone\": \".\", "
             "\"upstream\": \"r\"}]",
             list);
    return at;
}

static const struct route *locate(const struct routes *routes, const char *text, unsigned labels)
{
    uint8_t name[NAME_MAX_OCTETS];
    struct key key, zone;
    uint16_t size;
    ck_assert_int_eq(name_from_text(text, strlen(text), NULL, name), RR_OK);
    key_from_name(name, &key);
    const struct route *route = routes_locate(routes, &key, &size);
    if (route != NULL) {
        key_from_name(name_skip(name, name_labels(name) - labels), &zone);
        ck_assert_uint_eq(size, zone.size);
    }
    return route;
}

static bool allows(const struct route *route, const char *text)
{
    struct sockaddr_storage address;
    socklen_t size;
    ck_assert_int_eq(address_parse(text, 53, &address, &size), RR_OK);
    return route_allows(route, (const struct sockaddr *)&address);
}

/* ---- Routes ---- */

START_TEST(routes_are_as_configured)
{
    struct forwarding *forwarding = forwarding_new();
    const struct routes *routes = adopt(
        forwarding,
        "\"allow\": [\"10.0.0.0/8\"], \"queries_per_client\": 9, \"cache\": {\"size\": \"2M\","
        "\"ttl_min\": \"1s\", \"ttl_max\": \"2s\", \"negative_ttl_max\": \"3s\", \"stale\": \"4s\","
        "\"prefetch\": false}, \"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\","
        "\"tls://192.0.2.2#Dns.Example\"], \"select\": \"ordered\", \"timeout\": \"1s\","
        "\"attempts\": 2, \"queries_max\": 3, \"case_mix\": true, \"probe\": {\"name\": \"p.q\","
        "\"type\": \"A\", \"interval\": \"5s\"}}, \"b\": {\"servers\": [\"192.0.2.1\"],"
        "\"origin\": true}}, \"routes\": [{\"zone\": \"example\", \"upstream\": \"b\","
        "\"allow\": [], \"rate_limit\": {\"queries_per_second\": 7, \"over\": \"truncate\"}},"
        "{\"zone\": \"Sub.Example\", \"upstream\": \"a\", \"allow\": [\"::1\"]},"
        "{\"zone\": \"test\", \"upstream\": \"a\"}]");
    ck_assert_uint_eq(routes->queries_per_client, 9);
    ck_assert_uint_eq(routes->times.ttl_min, 1);
    ck_assert_uint_eq(routes->times.ttl_max, 2);
    ck_assert_uint_eq(routes->times.negative_ttl_max, 3);
    ck_assert_uint_eq(routes->times.stale, 4);
    ck_assert(!routes->times.prefetch);
    ck_assert_uint_eq(routes->cache->size, 2 << 20);
    ck_assert_uint_eq(routes->groups, 2);
    const struct upstream_group *a = &routes->group[0], *b = &routes->group[1];
    ck_assert_str_eq(a->name, "a");
    ck_assert_uint_eq(a->servers, 2);
    ck_assert_str_eq(a->server[1].text, "tls://192.0.2.2#Dns.Example");
    ck_assert_str_eq(a->server[1].tls_name, "Dns.Example");
    ck_assert_int_eq(a->server[1].transport, UPSTREAM_TLS);
    ck_assert_int_eq(a->select, SELECT_ORDERED);
    ck_assert_uint_eq(a->timeout_ms, 1000);
    ck_assert_uint_eq(a->attempts, 2);
    ck_assert_uint_eq(a->queries_max, 3);
    ck_assert(a->case_mix && !a->origin && b->origin);
    ck_assert_mem_eq(a->probe_name, "\1p\1q", 5);
    ck_assert_uint_eq(a->probe_type, 1);
    ck_assert_uint_eq(a->probe_interval_ms, 5000);
    ck_assert_uint_ne(a->id, b->id);
    ck_assert_uint_eq(a->server[0].slot, b->server[0].slot); /* one server in two groups */
    ck_assert_uint_ne(a->server[0].slot, a->server[1].slot);

    const struct route *route = locate(routes, "x.EXAMPLE", 1);
    ck_assert_uint_eq(route->group, 1);
    ck_assert_uint_eq(route->rate, 7);
    ck_assert(route->rate_truncates);
    ck_assert(!allows(route, "10.1.2.3"));
    route = locate(routes, "a.sub.example", 2);
    ck_assert_uint_eq(route->group, 0);
    ck_assert_uint_eq(route->rate, 0);
    ck_assert(!route->rate_truncates);
    ck_assert(allows(route, "::1") && !allows(route, "10.1.2.3"));
    route = locate(routes, "test", 1);
    ck_assert(allows(route, "10.1.2.3") && !allows(route, "11.1.2.3") && !allows(route, "::1"));
    ck_assert_ptr_null(locate(routes, "other", 0));
    ck_assert_ptr_null(locate(routes, ".", 0));
    forwarding_free(forwarding);
    ck_assert_uint_eq(caches, 0);
}
END_TEST

/* ---- Reloads ---- */

START_TEST(nothing_is_forwarded)
{
    struct forwarding *forwarding = forwarding_new();
    ck_assert_ptr_null(adopt(forwarding, "\"upstreams\": {\"r\": {\"servers\": [\"192.0.2.1\"]}}"));
    ck_assert_uint_eq(caches, 0);
    ck_assert_ptr_nonnull(adopt(forwarding, servers("\"192.0.2.1\"")));
    ck_assert_uint_eq(caches, 1);
    ck_assert_ptr_null(adopt(forwarding, ""));
    ck_assert_uint_eq(caches, 0);
    forwarding_settle(forwarding, true); /* nothing is prepared */
    forwarding_free(forwarding);
    forwarding_free(NULL);
}
END_TEST

START_TEST(cache_stays_while_its_size_does)
{
    struct forwarding *forwarding = forwarding_new();
    char small[1024];
    snprintf(small, sizeof small, "\"cache\": {\"size\": \"1M\"}, %s", servers("\"192.0.2.1\""));
    const struct routes *routes = adopt(forwarding, servers("\"192.0.2.1\""));
    uint64_t id = routes->id;
    const struct proxy_cache *cache = routes->cache;
    routes = adopt(forwarding, servers("\"192.0.2.2\""));
    ck_assert_ptr_eq(routes->cache, cache);
    ck_assert_uint_ne(routes->id, id);
    ck_assert_uint_eq(caches, 1);
    /* Another size, but the reload fails: the old one is still there. */
    ck_assert_ptr_ne(prepare(forwarding, small)->cache, cache);
    ck_assert_uint_eq(caches, 2);
    ck_assert_ptr_eq(forwarding_routes(forwarding), routes);
    forwarding_settle(forwarding, false);
    ck_assert_uint_eq(caches, 1);
    ck_assert_ptr_eq(forwarding_routes(forwarding)->cache, cache);
    ck_assert_ptr_eq(adopt(forwarding, servers("\"192.0.2.1\""))->cache, cache);
    /* It succeeds: both are there until all workers have the new one. */
    ck_assert_uint_eq(prepare(forwarding, small)->cache->size, 1 << 20);
    ck_assert_uint_eq(caches, 2);
    forwarding_settle(forwarding, true);
    ck_assert_uint_eq(caches, 1);
    prepare(forwarding, servers("\"192.0.2.1\"")); /* stopped before it is settled */
    forwarding_free(forwarding);
    ck_assert_uint_eq(caches, 0);
}
END_TEST

START_TEST(slots_stay)
{
    struct forwarding *forwarding = forwarding_new();
    const struct routes *routes =
        adopt(forwarding, servers("\"192.0.2.1\", \"192.0.2.2\", \"tls://192.0.2.2#a\""));
    uint32_t first = routes->group[0].server[0].slot, second = routes->group[0].server[1].slot,
             third = routes->group[0].server[2].slot;
    ck_assert(first != second && second != third && first != third);
    /* Another order, another writing, one that is new, one that is gone. */
    routes =
        adopt(forwarding, servers("\"192.0.2.3\", \"tls://192.0.2.2:853#A\", \"192.0.2.1:53\""));
    const struct upstream_server *server = routes->group[0].server;
    ck_assert_uint_eq(server[1].slot, third);
    ck_assert_uint_eq(server[2].slot, first);
    ck_assert(server[0].slot != first && server[0].slot != second && server[0].slot != third);
    /* Gone servers keep their slots while there are others. */
    routes = adopt(forwarding, servers("\"tcp://192.0.2.2\", \"192.0.2.2\""));
    server = routes->group[0].server;
    ck_assert_uint_eq(server[1].slot, second);
    ck_assert(server[0].slot != first && server[0].slot != second && server[0].slot != third);
    forwarding_free(forwarding);
}
END_TEST

/* Sixteen servers 192.0.SECOND.*, in quotes. */
static void sixteen(char *text, size_t size, unsigned second)
{
    size_t used = 0;
    for (unsigned i = 0; i < GROUP_SERVERS_MAX; i++) {
        used += (size_t)snprintf(text + used, size - used, "%s\"192.0.%u.%u\"", i > 0 ? "," : "",
                                 second, i + 1);
    }
}

START_TEST(slots_are_used_again_when_none_is_free)
{
    enum { ROUNDS = ROUTES_SERVERS_MAX / GROUP_SERVERS_MAX };
    struct forwarding *forwarding = forwarding_new();
    bool used[ROUTES_SERVERS_MAX] = {false};
    uint32_t first[GROUP_SERVERS_MAX];
    char list[1024];
    struct upstream_totals totals;
    for (unsigned round = 0; round < ROUNDS; round++) {
        sixteen(list, sizeof list, round);
        const struct upstream_server *server = adopt(forwarding, servers(list))->group[0].server;
        for (size_t i = 0; i < GROUP_SERVERS_MAX; i++) {
            ck_assert(!used[server[i].slot]);
            used[server[i].slot] = true;
            first[i] = round == 0 ? server[i].slot : first[i];
        }
    }
    uint32_t slot = first[0];
    counts[0][slot].queries = 5;
    counts[2][slot].latency[7] = 6;
    counts[1][slot].last_error_ns = 1000;
    counts[1][slot].last_error = UPSTREAM_TIMEOUT;
    forwarding_totals(forwarding, net, slot, &totals);
    ck_assert_uint_eq(totals.queries, 5);

    /* A reload that fails gives nobody's slot away. */
    sixteen(list, sizeof list, ROUNDS);
    prepare(forwarding, servers(list));
    forwarding_settle(forwarding, false);
    forwarding_totals(forwarding, net, slot, &totals);
    ck_assert_uint_eq(totals.queries, 5);

    /* The slots of those that are gone longest, counted from zero. */
    const struct upstream_server *server = adopt(forwarding, servers(list))->group[0].server;
    for (size_t i = 0; i < GROUP_SERVERS_MAX; i++) {
        ck_assert_uint_eq(server[i].slot, first[i]);
    }
    forwarding_totals(forwarding, net, slot, &totals);
    ck_assert_uint_eq(totals.queries, 0);
    ck_assert_uint_eq(totals.latency[7], 0);
    ck_assert_uint_eq(totals.last_error_ns, 0);
    ck_assert_int_eq(totals.last_error, UPSTREAM_NO_ERROR);
    counts[1][slot].queries = 3;
    counts[0][slot].last_error_ns = 2000;
    counts[0][slot].last_error = UPSTREAM_REFUSED;
    forwarding_totals(forwarding, net, slot, &totals);
    ck_assert_uint_eq(totals.queries, 3);
    ck_assert_int_eq(totals.last_error, UPSTREAM_REFUSED);
    forwarding_free(forwarding);
}
END_TEST

START_TEST(all_slots_at_once)
{
    struct forwarding *forwarding = forwarding_new();
    bool used[ROUTES_SERVERS_MAX];
    char *text;
    size_t size;
    for (unsigned second = 0; second < 2; second++) {
        FILE *out = open_memstream(&text, &size);
        fprintf(out, "\"upstreams\": {");
        for (unsigned i = 0; i < ROUTES_SERVERS_MAX / GROUP_SERVERS_MAX; i++) {
            char list[1024];
            sixteen(list, sizeof list, 16 * second + i);
            fprintf(out, "%s\"g%u\": {\"servers\": [%s]}", i > 0 ? "," : "", i, list);
        }
        fprintf(out, "}, \"routes\": [{\"zone\": \"a\", \"upstream\": \"g0\"}]");
        fclose(out);
        const struct routes *routes = adopt(forwarding, text);
        memset(used, 0, sizeof used);
        for (size_t i = 0; i < routes->groups; i++) {
            for (size_t j = 0; j < routes->group[i].servers; j++) {
                ck_assert(!used[routes->group[i].server[j].slot]);
                used[routes->group[i].server[j].slot] = true;
            }
        }
        free(text);
    }
    forwarding_free(forwarding);
}
END_TEST

static uint32_t group_id_of(struct forwarding *forwarding, const char *name, const char *list)
{
    char text[1024];
    snprintf(text, sizeof text,
             "\"upstreams\": {\"%s\": {\"servers\": [%s], \"timeout\": \"1s\"}}, \"routes\": "
             "[{\"zone\": \".\", \"upstream\": \"%s\"}]",
             name, list, name);
    return adopt(forwarding, text)->group[0].id;
}

START_TEST(ids_of_groups)
{
    struct forwarding *forwarding = forwarding_new(), *another = forwarding_new();
    uint32_t id = group_id_of(forwarding, "r", "\"192.0.2.1\", \"tls://192.0.2.2#a.b\"");
    ck_assert_uint_eq(group_id_of(forwarding, "r", "\"tls://192.0.2.2#A.b\", \"192.0.2.1:53\""),
                      id);
    ck_assert_uint_eq(group_id_of(another, "r", "\"192.0.2.1\", \"tls://192.0.2.2#a.b\""), id);
    ck_assert_uint_ne(group_id_of(forwarding, "s", "\"192.0.2.1\", \"tls://192.0.2.2#a.b\""), id);
    ck_assert_uint_ne(group_id_of(forwarding, "r", "\"192.0.2.1\", \"tls://192.0.2.2#b.a\""), id);
    ck_assert_uint_ne(group_id_of(forwarding, "r", "\"192.0.2.1\", \"tls://192.0.2.2\""), id);
    ck_assert_uint_ne(group_id_of(forwarding, "r", "\"192.0.2.1\""), id);
    ck_assert_uint_ne(group_id_of(forwarding, "r", "\"tcp://192.0.2.1\""),
                      group_id_of(forwarding, "r", "\"192.0.2.1\""));
    forwarding_free(forwarding);
    forwarding_free(another);
}
END_TEST

/* ---- Trusts ---- */

static struct stream_certificates authorities;

static void set_up(void)
{
    stream_certify(&authorities);
    make_directory();
    setenv("SSL_CERT_FILE", authorities.strange, 1); /* the system's, on all machines */
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
}

static void tear_down(void)
{
    remove_directory();
    stream_certificates_free(&authorities);
}

/* One group of a server over TLS that trusts a file, and one of another that trusts the
 * system's. */
static const char *trusting(const char *file)
{
    static char text[512];
    snprintf(text, sizeof text,
             "\"upstreams\": {\"a\": {\"servers\": [\"tls://192.0.2.1\"], \"tls_ca\": \"%s\"}, "
             "\"b\": {\"servers\": [\"tls://192.0.2.2\"]}, \"c\": {\"servers\": [\"192.0.2.1\"]}}, "
             "\"routes\": [{\"zone\": \".\", \"upstream\": \"a\"}]",
             file);
    return text;
}

START_TEST(trusts_stay_while_certificates_do)
{
    struct forwarding *forwarding = forwarding_new();
    char path[128];
    snprintf(path, sizeof path, "%s/%s", directory, "trusted.pem");
    ck_assert_int_eq(symlink(authorities.ca, path), 0);
    const struct routes *routes = adopt(forwarding, trusting(path));
    struct tls_trust *file = tls_trust_ref(routes->group[0].trust);
    struct tls_trust *system = tls_trust_ref(routes->group[1].trust);
    ck_assert_ptr_ne(file, system);
    ck_assert_ptr_null(routes->group[2].trust);
    /* Read again, and another file with the same in it: the same object. */
    routes = adopt(forwarding, trusting(path));
    ck_assert_ptr_eq(routes->group[0].trust, file);
    routes = adopt(forwarding, trusting(authorities.ca));
    ck_assert_ptr_eq(routes->group[0].trust, file);
    /* Something else in it, but the reload fails. */
    unlink(path);
    ck_assert_int_eq(symlink(authorities.strange, path), 0);
    ck_assert_ptr_ne(prepare(forwarding, trusting(path))->group[0].trust, file);
    forwarding_settle(forwarding, false);
    ck_assert_ptr_eq(forwarding_routes(forwarding)->group[0].trust, file);
    routes = adopt(forwarding, trusting(path));
    ck_assert_ptr_ne(routes->group[0].trust, file);
    ck_assert_ptr_eq(routes->group[1].trust, system);
    /* Workers may have it longer than the routes last. */
    ck_assert_ptr_null(adopt(forwarding, ""));
    forwarding_free(forwarding);
    ck_assert(!tls_trust_same(file, system));
    tls_trust_unref(file);
    tls_trust_unref(system);
}
END_TEST

START_TEST(config_shares_the_trust_in_force)
{
    struct forwarding *forwarding = forwarding_new();
    const struct routes *routes = adopt(forwarding, trusting(authorities.ca));
    struct config *config = proxy_config(trusting(authorities.ca));
    ck_assert_ptr_ne(config->proxy.group[0].trust, routes->group[0].trust);
    const struct routes *next;
    ck_assert_int_eq(forwarding_prepare(forwarding, config, net, &next), RR_OK);
    ck_assert_ptr_eq(config->proxy.group[0].trust, routes->group[0].trust);
    forwarding_settle(forwarding, true);
    forwarding_free(forwarding);
    config_free(config);
}
END_TEST

/* ---- Totals ---- */

START_TEST(totals_of_workers)
{
    struct upstream_totals totals;
    memset(counts, 0, sizeof counts);
    upstream_totals_read(net, 9, &totals);
    ck_assert_int_eq(totals.state, UPSTREAM_UNKNOWN);
    ck_assert_uint_eq(totals.ewma_ns, 0);
    counts[0][9].replies = 1;
    counts[2][9].replies = 2; /* of a worker that is gone: what it counted stays counted */
    counts[2][9].state = UPSTREAM_UP;
    counts[2][9].outstanding = 4;
    counts[2][9].ewma_ns = 1;
    counts[0][9].outstanding = 5;
    counts[1][9].outstanding = 6;
    counts[1][9].ewma_ns = 300;
    counts[1][9].state = UPSTREAM_DOWN;
    counts[0][9].last_error_ns = 20;
    counts[0][9].last_error = UPSTREAM_SERVFAIL;
    counts[1][9].last_error_ns = 10;
    counts[1][9].last_error = UPSTREAM_TLS_FAILED;
    upstream_totals_read(net, 9, &totals);
    ck_assert_uint_eq(totals.replies, 3);
    ck_assert_uint_eq(totals.outstanding, 11);
    ck_assert_uint_eq(totals.ewma_ns, 300);
    ck_assert_int_eq(totals.state, UPSTREAM_DOWN);
    ck_assert_int_eq(totals.last_error, UPSTREAM_SERVFAIL);
    counts[0][9].ewma_ns = 100;
    counts[0][9].state = UPSTREAM_UP;
    upstream_totals_read(net, 9, &totals);
    ck_assert_uint_eq(totals.ewma_ns, 200);
    ck_assert_int_eq(totals.state, UPSTREAM_UP);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("forwarding");
    tcase_add_unchecked_fixture(unit.tests, set_up, tear_down);
    tcase_add_test(unit.tests, routes_are_as_configured);
    tcase_add_test(unit.tests, nothing_is_forwarded);
    tcase_add_test(unit.tests, cache_stays_while_its_size_does);
    tcase_add_test(unit.tests, slots_stay);
    tcase_add_test(unit.tests, slots_are_used_again_when_none_is_free);
    tcase_add_test(unit.tests, all_slots_at_once);
    tcase_add_test(unit.tests, ids_of_groups);
    tcase_add_test(unit.tests, trusts_stay_while_certificates_do);
    tcase_add_test(unit.tests, config_shares_the_trust_in_force);
    tcase_add_test(unit.tests, totals_of_workers);
    return unit_end(&unit);
}

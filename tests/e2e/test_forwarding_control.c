/*
 * A server with a configured proxy, seen from its control socket: what it tells of upstream servers
 * and cache, and how that follows reloads. What is forwarded, and how, is not of interest here:
 * nobody listens where it would ask.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "example.h"

/* Upstream servers at port 9 (discard) of loopback addresses that the server does not listen on. */
static const char two_groups[] =
    "{\"proxy\": {\"cache\": {\"size\": \"2M\"}, \"upstreams\": {"
    "\"resolvers\": {\"servers\": [\"127.0.0.9:9\", \"tls://127.0.0.8:9#dns.example\"]},"
    "\"internal\": {\"servers\": [\"tcp://127.0.0.9:9\"], \"origin\": true}},"
    "\"routes\": [{\"zone\": \".\", \"upstream\": \"resolvers\"},"
    "{\"zone\": \"internal.test\", \"upstream\": \"internal\", \"allow\": [\"127.0.0.1\"]}]}}";
static const char one_group[] = "{\"proxy\": {\"cache\": {\"size\": \"%s\"}, \"upstreams\": {"
                                "\"resolvers\": {\"servers\": [\"127.0.0.7:9\", \"127.0.0.9:9\"]}},"
                                "\"routes\": [{\"zone\": \".\", \"upstream\": \"resolvers\"}]}}";

static void restart(const char *more)
{
    daemon_stop(&server);
    daemon_configure(&server, more);
    daemon_start(&server);
}

/* "group server, ..." of all there are. */
static const char *upstreams(void)
{
    json_t *result = printed("upstreams");
    const json_t *upstream;
    const char *text = "";
    size_t i;
    json_array_foreach (json_object_get(result, "upstreams"), i, upstream) {
        text = format_text("%s%s%s %s", text, i > 0 ? ", " : "", json_at(upstream, "group"),
                           json_at(upstream, "server"));
    }
    json_decref(result);
    return text;
}

static const char *cache_size(void)
{
    json_t *result = printed("cache");
    const char *text = format_text("%s", json_at(result, "size"));
    json_decref(result);
    return text;
}

START_TEST(told)
{
    restart(two_groups);
    example_served();
    ck_assert_str_eq(upstreams(), "resolvers 127.0.0.9:9, resolvers tls://127.0.0.8:9#dns.example, "
                                  "internal tcp://127.0.0.9:9");
    struct output o = rrdnsctl(&server, "upstreams");
    ck_assert_int_eq(o.status, 0);
    ck_assert_str_eq(o.err, "");
    ck_contains(o.out, "GROUP ");
    ck_contains(o.out, "tls://127.0.0.8:9#dns.example");
    ck_assert_str_eq(cache_size(), "2097152");
    ck_contains(rrdnsctl(&server, "cache").out, "size         2097152\n");
    ck_contains(rrdnsctl(&server, "cache flush").out, "0 entries flushed");
    ck_contains(rrdnsctl(&server, "cache flush www.example.test").out, "0 entries flushed");
    o = rrdnsctl(&server, "cache flush a..b");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "\"a..b\" is not a domain name");
    ck_contains(rrdnsctl(&server, "status").out, "routes       2\n");
    json_t *result = printed("cache flush");
    ck_assert_str_eq(json_at(result, "flushed"), "0");
    json_decref(result);
}
END_TEST

START_TEST(nothing_configured)
{
    ck_assert_str_eq(upstreams(), "");
    ck_assert_str_eq(cache_size(), "0");
    ck_contains(rrdnsctl(&server, "cache flush").out, "0 entries flushed");
    ck_contains(rrdnsctl(&server, "status").out, "routes       0\n");
}
END_TEST

/* No zones at all: a proxy and nothing else. */
START_TEST(without_zones)
{
    restart("{\"zone_directory\": \"\", \"proxy\": {\"upstreams\": {\"r\": {\"servers\": "
            "[\"127.0.0.9:9\"]}}, \"routes\": [{\"zone\": \".\", \"upstream\": \"r\"}]}}");
    ck_assert_str_eq(upstreams(), "r 127.0.0.9:9");
    ck_lacks(daemon_log(&server), "every query is refused");
}
END_TEST

START_TEST(reloads)
{
    ck_assert_str_eq(upstreams(), "");
    daemon_configure(&server, two_groups);
    control_reload_ok(&server);
    ck_assert_str_eq(cache_size(), "2097152");
    for (unsigned i = 0; i < 20; i++) {
        bool odd = i % 2 != 0;
        daemon_configure(&server, odd ? two_groups : format_text(one_group, i < 10 ? "2M" : "3M"));
        control_reload_ok(&server);
        ck_assert_str_eq(upstreams(),
                         odd ? "resolvers 127.0.0.9:9, resolvers tls://127.0.0.8:9#dns.example, "
                               "internal tcp://127.0.0.9:9"
                             : "resolvers 127.0.0.7:9, resolvers 127.0.0.9:9");
        ck_assert_str_eq(cache_size(), odd || i < 10 ? "2097152" : "3145728");
        example_served();
    }
    /* Reloads of single zones leave the proxy as it is. */
    const char *before = upstreams();
    json_decref(control_reload(&server, "[\"example.test\"]"));
    ck_assert_str_eq(upstreams(), before);
    daemon_configure(&server, NULL);
    control_reload_ok(&server);
    ck_assert_str_eq(upstreams(), "");
    ck_assert_str_eq(cache_size(), "0");
    example_served();
}
END_TEST

START_TEST(refused)
{
    restart(two_groups);
    const char *before = upstreams();
    static const char *const bad[][2] = {
        {"{\"proxy\": {\"upstreams\": {\"resolvers\": {\"servers\": [\"127.0.0.9:9\"]}},"
         "\"routes\": [{\"zone\": \".\", \"upstream\": \"resolver\"}]}}",
         "proxy.routes[0].upstream: no group \"resolver\" under \"proxy.upstreams\", did you mean "
         "\"resolvers\"?"},
        {"{\"proxy\": {\"upstreams\": {\"r\": {\"servers\": [\"127.0.0.1:%u\"]}},"
         "\"routes\": [{\"zone\": \".\", \"upstream\": \"r\"}]}}",
         "is this server itself: a loop"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char text[512];
        const char *at = strstr(bad[i][0], "%u");
        snprintf(text, sizeof text, "%.*s", (int)(at != NULL ? at - bad[i][0] : 511), bad[i][0]);
        daemon_configure(&server,
                         at != NULL ? format_text("%s%u%s", text, server.port, at + 2) : text);
        struct output o = rrdnsctl(&server, "reload");
        ck_assert_int_eq(o.status, 1);
        ck_contains(o.err, bad[i][1]);
        ck_assert_str_eq(upstreams(), before);
        ck_assert_str_eq(cache_size(), "2097152");
        ck_assert_int_eq(rrdnsd(format_text("-t -c %s", server.config)).status, 1);
    }
    example_served();
}
END_TEST

static Suite *forwarding_control(void)
{
    const TTest *const tests[] = {told, nothing_configured, without_zones, reloads, refused, NULL};
    return example_suite("forwarding_control", tests);
}

int main(void)
{
    return harness_main("forwarding_control", forwarding_control);
}

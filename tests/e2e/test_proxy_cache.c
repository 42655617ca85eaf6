/*
 * What is kept, for how long, and what is thrown away.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "proxied.h"
#include "transport.h"

/* The configuration with these options of the cache. */
static const char *proxy_with(const char *cache)
{
    return format_text("{\"upstreams\": {%s}, \"cache\": {%s}, \"routes\": ["
                       "{\"zone\": \"up.test\", \"upstream\": \"main\"}]}",
                       proxied_upstream("main", proxied_address(up), ""), cache);
}

static void begin(void)
{
    proxied_upstreams();
    proxied_start("cache", proxy_with("\"size\": \"4M\""), NULL);
}

/* See the test of that name. */
static const char prefetch_name[] = "late-300.ttl-10.prefetch.up.test.";
static uint64_t prefetch_start;

static void begin_prefetch(void)
{
    say_to(server.port, false, prefetch_name, "A", 0);
    prefetch_start = clock_ms();
}

static void begin_with_prefetch(void)
{
    begin();
    begin_prefetch();
}

static const char *say(const char *name, const char *type)
{
    return text_of(server.port, name, type);
}

/* ---- How long ---- */

START_TEST(ttls_count_down)
{
    proxied_reset();
    uint64_t start = clock_ms();
    ck_assert_int_eq(say_to(server.port, false, "ttl-3.a.up.test.", "A", 0).ttl, 3);
    ck_assert_int_eq(say_to(server.port, false, "nodata.ttl-3.a.up.test.", "A", 0).ttl, 3);
    ck_assert_int_eq(say_to(server.port, false, "nxdomain.ttl-3.a.up.test.", "A", 0).ttl, 3);
    ck_assert_int_eq(proxied_grown("proxy_misses"), 3);
    pause_ms(1500);
    struct said said = say_to(server.port, false, "ttl-3.a.up.test.", "A", 0);
    int64_t nodata = say_to(server.port, false, "nodata.ttl-3.a.up.test.", "A", 0).ttl;
    int64_t least = 3 - (int64_t)(clock_ms() - start + 999) / 1000;
    if (clock_ms() - start < 2000) { /* else this machine slept */
        ck_assert_msg(said.ttl >= least && said.ttl < 3, "TTL %lld", (long long)said.ttl);
        ck_assert_msg(nodata >= least && nodata < 3, "TTL %lld", (long long)nodata);
        ck_assert_int_eq(said.ede, -1);
        ck_assert_int_eq(proxied_grown("proxy_hits"), 2);
        ck_assert_uint_eq(scripted_asked(up, "ttl-3.a.up.test.", "A"), 1);
    }
    pause_ms(2000);
    say("ttl-3.a.up.test.", "A");
    say("nodata.ttl-3.a.up.test.", "A");
    say("nxdomain.ttl-3.a.up.test.", "A");
    ck_assert_uint_eq(scripted_asked(up, "ttl-3.a.up.test.", "A"), 2);
    ck_assert_uint_eq(scripted_asked(up, "nodata.ttl-3.a.up.test.", "A"), 2);
    ck_assert_uint_eq(scripted_asked(up, "nxdomain.ttl-3.a.up.test.", "A"), 2);
}
END_TEST

START_TEST(what_is_not_kept)
{
    static const char *const names[] = {"nodata.nosoa.up.test.", "nxdomain.nosoa.up.test.",
                                        "ttl-0.up.test.", "huge.kept.up.test."};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        unsigned each = strncmp(names[i], "huge", 4) == 0 ? 2 : 1; /* UDP, then TCP */
        say(names[i], "A");
        say(names[i], "A");
        ck_assert_msg(scripted_asked(up, names[i], "A") == 2 * each, "%s: %u", names[i],
                      scripted_asked(up, names[i], "A"));
    }
}
END_TEST

/* What is asked for again and again is fetched before its time is over, in its last tenth, so that
 * nobody waits. Other tests have run since it came to be known. */
START_TEST(prefetch)
{
    unsigned slowest = 0;
    while (clock_ms() < prefetch_start + 8500) {
        pause_ms(10);
    }
    if (clock_ms() > prefetch_start + 9000) { /* the others took too long */
        json_decref(proxied_ctl("cache flush"));
        begin_prefetch();
        pause_ms(8500);
    }
    unsigned asked = scripted_asked(up, prefetch_name, "A");
    proxied_reset();
    while (clock_ms() < prefetch_start + 11500) {
        struct said said = say_to(server.port, false, prefetch_name, "A", 0);
        ck_assert_str_eq(said.text, scripted_text(prefetch_name, "A", 1));
        slowest = said.ms > slowest ? said.ms : slowest;
        pause_ms(5);
    }
    ck_assert_int_ge(proxied_grown("proxy_prefetches"), 1);
    /* Once; and once more for each time that upstream was too slow, where this machine stood still. */
    unsigned more = scripted_asked(up, prefetch_name, "A") - asked;
    ck_assert_uint_ge(more, 1);
    ck_assert_uint_le(more, 1 + (unsigned)proxied_grown("proxy_timeouts"));
    ck_assert_msg(slowest < 250 || harness_sanitized(), "an answer took %u ms", slowest);
}
END_TEST

/* ---- Other limits ---- */

static void reconfigure(const char *cache)
{
    proxied_configure(proxy_with(cache), NULL);
    control_reload_ok(&server);
}

/* From upstream, and then from the cache. */
static void expect_ttl(const char *name, int64_t ttl)
{
    for (unsigned i = 0; i < 2; i++) {
        struct said said = say_to(server.port, false, name, "A", 0);
        ck_assert_msg(said.ttl <= ttl && said.ttl >= ttl - 2, "%s, number %u: %lld, not %lld", name,
                      i, (long long)said.ttl, (long long)ttl);
    }
}

START_TEST(ttls_within_limits)
{
    reconfigure("\"size\": \"4M\", \"ttl_min\": \"20s\", \"ttl_max\": \"100s\","
                " \"negative_ttl_max\": \"50s\"");
    proxied_reset();
    expect_ttl("ttl-60.within.up.test.", 60);
    expect_ttl("ttl-1.within.up.test.", 20);
    expect_ttl("ttl-5000.within.up.test.", 100);
    expect_ttl("nodata.ttl-5000.within.up.test.", 50);
    expect_ttl("nxdomain.ttl-40.within.up.test.", 40);
    ck_assert_int_eq(proxied_grown("proxy_hits"), 5);
}
END_TEST

/* Another size is another cache. */
START_TEST(size_changes)
{
    const char *name = "size.up.test.";
    reconfigure("\"size\": \"4M\"");
    say(name, "A");
    reconfigure("\"size\": \"4M\", \"stale\": \"2h\"");
    say(name, "A");
    ck_assert_uint_eq(scripted_asked(up, name, "A"), 1);
    reconfigure("\"size\": \"2M\"");
    json_t *cache = proxied_ctl("cache");
    ck_assert_int_le(json_integer_value(json_object_get(cache, "size")), 2 << 20);
    json_decref(cache);
    say(name, "A");
    say(name, "A");
    ck_assert_uint_eq(scripted_asked(up, name, "A"), 2);
}
END_TEST

/* A failure is remembered for a second at least (RFC 9520 section 3.2), and two at most. */
START_TEST(failures)
{
    static const char *const names[] = {"servfail.failed.up.test.", "silent.failed.up.test."};
    unsigned asked[2];
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq(say(names[i], "A"), "SERVFAIL");
        uint64_t start = clock_ms();
        asked[i] = scripted_asked(up, names[i], "A");
        for (unsigned n = 0; n < 10; n++) {
            ck_assert_str_eq(say(names[i], "A"), "SERVFAIL");
        }
        ck_assert(clock_ms() - start > 900 || scripted_asked(up, names[i], "A") == asked[i]);
    }
    pause_ms(2100);
    for (size_t i = 0; i < 2; i++) {
        ck_assert_str_eq(say(names[i], "A"), "SERVFAIL");
        ck_assert_uint_gt(scripted_asked(up, names[i], "A"), asked[i]);
    }
}
END_TEST

/* ---- Control ---- */

static int64_t flushed(const char *arguments)
{
    json_t *result = proxied_ctl(format_text("cache flush %s", arguments));
    int64_t count = json_integer_value(json_object_get(result, "flushed"));
    json_decref(result);
    return count;
}

START_TEST(cache_flush)
{
    static const char *const names[] = {"flush.up.test.", "a.flush.up.test.", "b.a.FLUSH.up.test.",
                                        "noflush.up.test."};
    for (unsigned version = 1; version <= 3; version++) {
        scripted_version(up, (uint8_t)version);
        if (version == 2) {
            /* A and TXT of the three. */
            ck_assert_int_eq(flushed("Flush.up.test"), 6);
        } else if (version == 3) {
            ck_assert_int_ge(flushed(""), 8);
            json_t *cache = proxied_ctl("cache");
            ck_assert_str_eq(json_at(cache, "entries"), "0");
            json_decref(cache);
        }
        for (unsigned i = 0; i < 4; i++) {
            uint8_t expected = (uint8_t)(i == 3 && version == 2 ? 1 : version);
            ck_assert_str_eq(say(names[i], "A"), scripted_text(names[i], "A", expected));
            ck_assert_str_eq(say(names[i], "TXT"), scripted_text(names[i], "TXT", expected));
        }
    }
    scripted_version(up, 1);
    ck_assert_int_eq(flushed("nothing.of.that.test"), 0);
    flushed("");
}
END_TEST

START_TEST(cache_figures)
{
    json_t *before = proxied_ctl("cache");
    say("figures.up.test.", "A");
    say("figures.up.test.", "A");
    json_t *after = proxied_ctl("cache");
    static const struct {
        const char *key;
        int64_t grows;
    } keys[] = {{"size", 0},   {"entries", 1}, {"put", 1},    {"hits", 1},
                {"misses", 1}, {"stale", 0},   {"evicted", 0}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *from = json_object_get(before, keys[i].key);
        const json_t *to = json_object_get(after, keys[i].key);
        ck_assert_msg(json_is_integer(from) && json_is_integer(to), "no %s", keys[i].key);
        ck_assert_msg(json_integer_value(to) - json_integer_value(from) == keys[i].grows,
                      "%s: %s, then %s", keys[i].key, json_at(before, keys[i].key),
                      json_at(after, keys[i].key));
    }
    int64_t used = json_integer_value(json_object_get(after, "used"));
    int64_t size = json_integer_value(json_object_get(after, "size"));
    ck_assert_msg(used > 0 && used <= size && size <= 4 << 20, "used %lld of %lld", (long long)used,
                  (long long)size);
    json_decref(before);
    json_decref(after);
    struct output o = rrdnsctl(&server, "cache");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "entries");
}
END_TEST

/* What was asked before a flush is not kept after it. */
START_TEST(flush_while_asked)
{
    enum { COUNT = 50 };
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    int fd = udp_open(NULL, "127.0.0.1", server.port);
    for (unsigned i = 0; i < COUNT; i++) {
        const char *name = format_text("late-400.while%u.up.test.", i);
        send_all(fd, message, ask_message(name, "A", (uint16_t)i, message));
    }
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    while (scripted_asked(up, format_text("late-400.while%u.up.test.", COUNT - 1), "A") == 0 &&
           clock_ms() < end) {
        pause_ms(1);
    }
    scripted_version(up, 2);
    flushed("");
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_int_gt(receive(fd, answer, sizeof answer, harness_patience_ms()), 12);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        send_all(
            fd, message,
            ask_message(format_text("late-400.while%u.up.test.", i), "A", (uint16_t)i, message));
    }
    for (unsigned i = 0; i < COUNT; i++) {
        ssize_t got = receive(fd, answer, sizeof answer, harness_patience_ms());
        ck_assert_int_gt(got, 12);
        const char *name =
            format_text("late-400.while%u.up.test.", (unsigned)(answer[0] << 8 | answer[1]));
        ck_assert_str_eq(answer_text(answer, (size_t)got), scripted_text(name, "A", 2));
    }
    scripted_version(up, 1);
    flushed("");
    close(fd);
}
END_TEST

static Suite *cache_suite(void)
{
    Suite *suite = suite_create("proxy_cache");
    const TTest *const tests[] = {
        ttls_count_down,   what_is_not_kept, failures,           prefetch,     cache_flush,
        flush_while_asked, cache_figures,    ttls_within_limits, size_changes, NULL};
    proxied_group(suite, "cache", begin_with_prefetch, tests);
    return suite;
}

int main(void)
{
    return harness_main("proxy_cache", cache_suite);
}

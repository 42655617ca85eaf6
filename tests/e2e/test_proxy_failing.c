/*
 * Upstream servers that die, fall silent and come back, a server that is reconfigured and stopped,
 * and a cache that overflows, all under load: every question is answered.
 */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "crowd.h"
#include "packet.h"
#include "proxied.h"
#include "transport.h"

enum { NAMES = 500, MILLION = 1000000, MILLION_MS = 25000, CACHE_MB = 8, DRAINED = 100 };

#define PROBES                    \
    ", \"queries_max\": 100000, " \
    "\"probe\": {\"name\": \"ok.probe.up.test\", \"type\": \"A\", \"interval\": \"5s\"}"
#define OPTIONS ", \"timeout\": \"400ms\"" PROBES

static const char *proxy_with(const char *servers, const char *options)
{
    return format_text("{\"queries_per_client\": 1000000, \"cache\": {\"size\": \"%uM\"},"
                       " \"upstreams\": {%s}, \"routes\": ["
                       "{\"zone\": \".\", \"upstream\": \"main\"}]}",
                       CACHE_MB, proxied_upstream("main", servers, options));
}

static const char *proxy_of(const char *servers)
{
    return proxy_with(servers, OPTIONS);
}

static const char *both(void)
{
    return format_text("%s, %s", proxied_address(up), proxied_address(other));
}

static void begin(void)
{
    proxied_upstreams();
    proxied_start("failing", proxy_of(both()), NULL);
}

/* Popular names that are soon to be fetched anew, and new ones. Each has a domain of its own, since
 * new names under one that fail are an attack. */
static struct crowd *crowd_of(const char *words)
{
    struct crowd_plan plan = {.port = server.port,
                              .words = words,
                              .zone = "",
                              .names = NAMES,
                              .fresh = 30,
                              .rate = 3000 / harness_slow(),
                              .one_type = true};
    return crowd_begin(&plan);
}

static struct crowd_figures after(struct crowd *crowd, unsigned ms)
{
    crowd_look(crowd);
    pause_ms(ms);
    return crowd_look(crowd);
}

#define expect(figures, condition)                                                                \
    ck_assert_msg((condition),                                                                    \
                  #condition ": %llu answers, %llu good, %llu stale, %llu failed, "               \
                             "%llu other (%s); ms: median %u, 99 %% %u, all %u",                  \
                  (unsigned long long)(figures).answered, (unsigned long long)(figures).good,     \
                  (unsigned long long)(figures).stale, (unsigned long long)(figures).failed,      \
                  (unsigned long long)(figures).other, (figures).last_other, (figures).median_ms, \
                  (figures).p99_ms, (figures).slowest_ms)

static void expect_normal(struct crowd *crowd)
{
    struct crowd_figures now = after(crowd, 700 * harness_slow());
    expect(now, now.answered > 100 && now.good == now.answered && now.stale == 0);
    expect(now, now.p99_ms < 1000 * harness_slow());
}

/* ---- Which server is asked ---- */

static const char *selecting(const char *how)
{
    return proxied_upstream(how, both(), format_text("%s, \"select\": \"%s\"", OPTIONS, how));
}

static void begin_selection(void)
{
    proxied_upstreams();
    proxied_start("selection",
                  format_text("{\"upstreams\": {%s, %s, %s, %s}, \"routes\": ["
                              "{\"zone\": \"fastest.test\", \"upstream\": \"fastest\"},"
                              "{\"zone\": \"roundrobin.test\", \"upstream\": \"roundrobin\"},"
                              "{\"zone\": \"ordered.test\", \"upstream\": \"ordered\"},"
                              "{\"zone\": \"hash.test\", \"upstream\": \"hash\"}]}",
                              selecting("fastest"), selecting("roundrobin"), selecting("ordered"),
                              selecting("hash")),
                  "\"server\": {\"workers\": 1}");
}

/* Asks `count` names one after the other. Returns how many questions up had, in percent of all. */
static unsigned share_of_up(const char *zone, unsigned count)
{
    static unsigned number;
    uint64_t before[] = {scripted_count(up), scripted_count(other)};
    for (unsigned i = 0; i < count; i++) {
        const char *name = format_text("s%u.%s.test.", number++, zone);
        ck_assert_str_eq(text_of(server.port, name, "A"), scripted_text(name, "A", 1));
    }
    uint64_t of_up = scripted_count(up) - before[0], of_other = scripted_count(other) - before[1];
    ck_assert_uint_ge(of_up + of_other, count);
    return (unsigned)(of_up * 100 / (of_up + of_other));
}

static void expect_share(const char *zone, unsigned count, unsigned least, unsigned most)
{
    unsigned share = share_of_up(zone, count);
    ck_assert_msg(share >= least && share <= most, "%s: the first has %u %%", zone, share);
}

START_TEST(selection)
{
    scripted_delay(other, 30);
    expect_share("fastest", 200, 85, 99); /* one time in 32, another */
    scripted_delay(other, 0);
    expect_share("roundrobin", 100, 45, 55);
    expect_share("ordered", 50, 96, 100);
    expect_share("hash", 200, 25, 75);
}
END_TEST

/* What one server had stays with it. */
START_TEST(selection_by_hash)
{
    for (unsigned i = 0; i < 10; i++) {
        const char *name = format_text("ttl-0.h%u.hash.test.", i);
        for (unsigned times = 0; times < 5; times++) {
            ck_assert_str_eq(text_of(server.port, name, "A"), scripted_text(name, "A", 1));
        }
        unsigned of_up = scripted_asked(up, name, NULL),
                 of_other = scripted_asked(other, name, NULL);
        ck_assert_msg(of_up + of_other == 5 && (of_up == 0 || of_other == 0), "%s: %u and %u", name,
                      of_up, of_other);
    }
}
END_TEST

START_TEST(selection_without_the_first)
{
    static const char *const zones[] = {"ordered", "hash", "roundrobin", "fastest"};
    scripted_silence(up, true);
    for (unsigned i = 0; i < 4; i++) {
        share_of_up(zones[i], 8); /* all are answered; after some, up is not asked first */
        expect_share(zones[i], 10, 0, 20);
    }
    scripted_silence(up, false);
    proxied_await("ordered", up, "state", "up");
    expect_share("ordered", 50, 90, 100);
}
END_TEST

/* ---- One fails, the other serves ---- */

START_TEST(one_dies)
{
    struct crowd *crowd = crowd_of("ttl-1");
    pause_ms(300);
    expect_normal(crowd);
    scripted_kill(up);
    struct crowd_figures now = after(crowd, 2000);
    expect(now, now.good == now.answered && now.answered > 100);
    /* ICMP tells of it at once. */
    expect(now, now.slowest_ms < 3000 * harness_slow());
    proxied_await("main", up, "state", "down");
    ck_assert_str_eq(proxied_told("main", up, "last_error"), "unreachable");
    ck_assert_str_eq(proxied_told("main", other, "state"), "up");
    scripted_revive(up);
    proxied_await("main", up, "state", "up");
    expect_normal(crowd);
    now = crowd_end(crowd);
    expect(now, now.good == now.answered);
}
END_TEST

START_TEST(one_falls_silent)
{
    struct crowd *crowd = crowd_of("ttl-1");
    pause_ms(300);
    expect_normal(crowd);
    scripted_silence(other, true);
    struct crowd_figures now = after(crowd, 2500);
    expect(now, now.good == now.answered && now.answered > 100);
    expect(now, now.slowest_ms < 3000 * harness_slow());
    proxied_await("main", other, "state", "down");
    ck_assert_str_eq(proxied_told("main", other, "last_error"), "timeout");
    now = after(crowd, 1000); /* known now: hardly anybody waits for it any more */
    expect(now, now.good == now.answered && now.p99_ms < 1000 * harness_slow());
    scripted_silence(other, false);
    proxied_await("main", other, "state", "up");
    expect_normal(crowd);
    now = crowd_end(crowd);
    expect(now, now.good == now.answered);
}
END_TEST

/* Both: what is known is served stale; what is not fails in time, and says why. */
START_TEST(both_fail)
{
    struct crowd *crowd = crowd_of("ttl-1");
    pause_ms(1000); /* all popular ones come to be known */
    proxied_reset();
    expect_normal(crowd);
    scripted_kill(up);
    scripted_silence(other, true);
    pause_ms(1500);
    struct crowd_figures now = after(crowd, 2500);
    expect(now, now.other == 0 && now.stale > 100 && now.failed > 100);
    expect(now, now.slowest_ms < CLIENT_MS);
    /* Seven of ten ask for what is known. */
    expect(now, now.good > now.failed);
    proxied_await("main", up, "state", "down");
    proxied_await("main", other, "state", "down");
    ck_assert_int_gt(proxied_grown("proxy_stale"), 100);
    ck_assert_int_gt(proxied_grown("proxy_failed"), 100);
    scripted_revive(up);
    scripted_silence(other, false);
    uint64_t start = clock_ms();
    proxied_await("main", up, "state", "up");
    proxied_await("main", other, "state", "up");
    ck_assert_uint_lt(clock_ms() - start, 10000 * harness_slow());
    pause_ms(1300 * harness_slow()); /* what was asked before ends: three attempts of 400 ms */
    now = after(crowd, 500);
    expect(now, now.good == now.answered);
    /* What could not be had would be left alone for half a minute (RFC 8767 section 5); not after
     * an outage. */
    expect_normal(crowd);
    now = crowd_end(crowd);
    expect(now, now.other == 0);
}
END_TEST

/* The first question after its time waits 1.8 s at most, others not at all. */
START_TEST(stale_for_one)
{
    const char *name = "ttl-1.stale.up.test.";
    ck_assert_str_eq(text_of(server.port, name, "A"), scripted_text(name, "A", 1));
    text_of(server.port, "nxdomain.ttl-1.stale.up.test.", "A");
    scripted_silence(up, true);
    scripted_silence(other, true);
    pause_ms(2100);
    for (unsigned i = 0; i < 3; i++) {
        struct said said = say_to(server.port, false, name, "A", 0);
        ck_assert_str_eq(said.text, scripted_text(name, "A", 1));
        ck_assert_int_eq(said.ede, EDE_STALE);
        ck_assert_int_eq(said.ttl, 30);
        ck_assert_msg(said.ms < (i == 0 ? 4500 : 1500) * harness_slow(), "number %u: %u ms", i,
                      said.ms);
    }
    struct said said = say_to(server.port, false, "nxdomain.ttl-1.stale.up.test.", "A", 0);
    ck_assert_str_eq(said.text, "NXDOMAIN");
    ck_assert_int_eq(said.ede, EDE_STALE_NXDOMAIN);
    said = say_to(server.port, false, "unknown.stale.up.test.", "A", 0);
    ck_assert_str_eq(said.text, "SERVFAIL");
    ck_assert_msg(said.ede == EDE_UNREACHABLE || said.ede == EDE_NETWORK, "EDE %d", said.ede);
    scripted_silence(up, false);
    scripted_silence(other, false);
    proxied_await("main", up, "state", "up");
    proxied_await("main", other, "state", "up");
}
END_TEST

/* ---- Reloads ---- */

static void reload(const char *proxy, const char *more)
{
    int64_t done = daemon_counter(&server, "reloads_ok");
    proxied_configure(proxy, more);
    kill(server.pid, SIGHUP);
    daemon_await_counter(&server, "reloads_ok", done + 1);
}

START_TEST(reload_upstreams)
{
    const char *const servers[] = {proxied_address(up), proxied_address(other), both()};
    struct crowd *crowd = crowd_of("late-20.ttl-1");
    for (unsigned i = 0; i < 12; i++) {
        pause_ms(100);
        uint64_t before[] = {scripted_count(up), scripted_count(other)};
        reload(proxy_of(servers[i % 3]), NULL);
        pause_ms(100);
        ck_assert(i % 3 == 1 || scripted_count(up) > before[0]);
        ck_assert(i % 3 == 0 || scripted_count(other) > before[1]);
    }
    struct crowd_figures now = crowd_end(crowd);
    expect(now, now.good == now.answered && now.answered > 100);
    expect(now, now.slowest_ms < 3000 * harness_slow());
}
END_TEST

/* Questions of a worker that goes are answered too, but those that wait for upstream in vain. */
START_TEST(reload_workers)
{
    static const unsigned workers[] = {4, 1, 3, 2};
    struct crowd *crowd = crowd_of("late-20.ttl-1");
    for (unsigned i = 0; i < 4; i++) {
        pause_ms(300);
        reload(proxy_of(both()), format_text("\"server\": {\"workers\": %u}", workers[i]));
    }
    pause_ms(300);
    struct crowd_figures now = crowd_end(crowd);
    expect(now, now.other == 0 && now.answered > 100 && now.failed < now.answered / 20);
}
END_TEST

/* A proxy that goes and comes; what is no more routed is refused, what was is known no more. */
START_TEST(reload_without)
{
    ck_assert_str_eq(text_of(server.port, "www.up.test.", "A"),
                     scripted_text("www.up.test.", "A", 1));
    reload("{}", NULL);
    ck_assert_str_eq(text_of(server.port, "www.up.test.", "A"), "REFUSED");
    ck_assert_str_eq(text_of(server.port, "www.own.test.", "A"), "NOERROR 192.0.2.10");
    reload(proxy_of(both()), NULL);
    ck_assert_str_eq(text_of(server.port, "new.up.test.", "A"),
                     scripted_text("new.up.test.", "A", 1));
}
END_TEST

/* ---- Stopping ---- */

/* What is under way upstream is waited for. */
START_TEST(stop_answers_what_is_in_flight)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    proxied_upstreams();
    proxied_start("stop", proxy_of(both()), NULL);
    int udp = udp_open(NULL, "127.0.0.1", server.port);
    int tcp = tcp_open(NULL, "127.0.0.1", server.port);
    for (unsigned i = 0; i < DRAINED; i++) {
        size_t size =
            ask_message(format_text("late-350.u%u.up.test.", i), "A", (uint16_t)i, message);
        send_all(udp, message, size);
        size = ask_message(format_text("late-350.t%u.up.test.", i), "A", (uint16_t)i, message);
        tcp_send(tcp, message, size);
    }
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    while (scripted_count(up) + scripted_count(other) < 2 * DRAINED && clock_ms() < end) {
        pause_ms(1);
    }
    kill(server.pid, SIGTERM);
    for (unsigned i = 0; i < DRAINED; i++) {
        ssize_t got = receive(udp, answer, sizeof answer, CLIENT_MS * (int)harness_slow());
        ck_assert_msg(got > 12, "%u of %u answers over UDP came", i, DRAINED);
        unsigned n = (unsigned)(answer[0] << 8 | answer[1]);
        ck_assert_str_eq(answer_text(answer, (size_t)got),
                         scripted_text(format_text("late-350.u%u.up.test.", n), "A", 1));
    }
    for (unsigned i = 0; i < DRAINED; i++) {
        ssize_t got = tcp_receive(tcp, answer, CLIENT_MS * (int)harness_slow());
        ck_assert_msg(got > 12, "%u of %u answers over TCP came", i, DRAINED);
    }
    daemon_ended(&server);
    close(udp);
    close(tcp);
    scripted_end(up);
    scripted_end(other);
    up = other = NULL;
}
END_TEST

/* But not for longer than server.drain. */
START_TEST(stop_does_not_wait_for_ever)
{
    uint8_t message[512];
    proxied_upstreams();
    proxied_start("stubborn", proxy_of(both()), "\"server\": {\"drain\": \"1s\"}");
    int udp = udp_open(NULL, "127.0.0.1", server.port);
    send_all(udp, message, ask_message("silent.up.test.", "A", 1, message));
    pause_ms(100);
    uint64_t start = clock_ms();
    daemon_stop(&server);
    ck_assert_uint_lt(clock_ms() - start, 2000 * harness_slow());
    close(udp);
    scripted_end(up);
    scripted_end(other);
    up = other = NULL;
}
END_TEST

/* ---- A million names ---- */

static void begin_million(void)
{
    proxied_upstreams();
    proxied_start("million", proxy_with(both(), ", \"timeout\": \"2s\"" PROBES), NULL);
}

START_TEST(million_names)
{
    struct crowd_plan plan = {.port = server.port,
                              .zone = "million",
                              .window = 512,
                              .count = harness_sanitized() ? MILLION / 20 : MILLION,
                              .one_type = true};
    size_t before = daemon_memory(&server);
    struct crowd *crowd = crowd_begin(&plan);
    uint64_t end = clock_ms() + MILLION_MS;
    while (!crowd_is_done(crowd) && clock_ms() < end) {
        pause_ms(20);
    }
    struct crowd_figures now = crowd_end(crowd);
    size_t memory = daemon_memory(&server);
    expect(now, now.good == now.answered);
    expect(now, now.answered >= plan.count / 5); /* on a slow machine it has to do with fewer */
    json_t *cache = proxied_ctl("cache");
    int64_t used = json_integer_value(json_object_get(cache, "used"));
    int64_t evicted = json_integer_value(json_object_get(cache, "evicted"));
    json_decref(cache);
    ck_assert_msg(used > 0 && used <= CACHE_MB << 20, "%lld octets used", (long long)used);
    ck_assert(harness_sanitized() || evicted > (int64_t)now.answered / 4);
    ck_assert_msg(harness_sanitized() || memory < before + ((CACHE_MB + 8) << 20),
                  "resident: %zu, then %zu", before, memory);
}
END_TEST

static Suite *failing_suite(void)
{
    Suite *suite = suite_create("proxy_failing");
    const TTest *const fail[] = {one_dies,         one_falls_silent, both_fail,      stale_for_one,
                                 reload_upstreams, reload_workers,   reload_without, NULL};
    const TTest *const selections[] = {selection, selection_by_hash, selection_without_the_first,
                                       NULL};
    const TTest *const million[] = {million_names, NULL};
    proxied_group(suite, "selection", begin_selection, selections);
    proxied_group(suite, "failing", begin, fail);
    TCase *stopping = tcase_create("stopping");
    tcase_add_test(stopping, stop_answers_what_is_in_flight);
    tcase_add_test(stopping, stop_does_not_wait_for_ever);
    suite_add_tcase(suite, stopping);
    proxied_group(suite, "million", begin_million, million);
    return suite;
}

int main(void)
{
    return harness_main("proxy_failing", failing_suite);
}

/*
 * Upstream servers that do what they should not: every client gets an answer in time, nothing wrong
 * is taken for one, and what was seen is counted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "crowd.h"
#include "packet.h"
#include "proxied.h"
#include "transport.h"

/* So that what is never answered does not take long. */
#define HURRY ", \"timeout\": \"200ms\", \"attempts\": 2"

static void begin(void)
{
    proxied_upstreams();
    proxied_start("hostile",
                  format_text("{\"upstreams\": {%s, %s}, \"routes\": ["
                              "{\"zone\": \"up.test\", \"upstream\": \"main\"},"
                              "{\"zone\": \"mixed.test\", \"upstream\": \"mixed\"}]}",
                              proxied_upstream("main", proxied_address(up), HURRY),
                              proxied_upstream("mixed", proxied_address(other),
                                               HURRY ", \"case_mix\": true")),
                  NULL);
}

static void expect_well(void)
{
    static unsigned number;
    const char *name = format_text("well%u.up.test.", number++);
    struct said said = say_to(server.port, false, name, "A", 0);
    ck_assert_str_eq(said.text, scripted_text(name, "A", 1));
}

/* What the server counts of a behaviour, at least once; NULL: nothing. good: the client gets the
 * right answer all the same; else it gets SERVFAIL, or the RCODE that is told. */
static const struct hostile {
    const char *name, *counter;
    bool good;
    const char *rcode;
} hostile[] = {
    {"late-50.up.test.", NULL, true, NULL},
    {"drop-1.up.test.", "proxy_timeouts", true, NULL},
    {"twice.up.test.", NULL, true, NULL},
    {"badcookie.up.test.", NULL, true, NULL},
    {"truncated.up.test.", "proxy_over_tcp", true, NULL},
    {"wrongid.up.test.", "proxy_rejected_id", false, NULL},
    {"wrongquestion.up.test.", "proxy_rejected_question", false, NULL},
    {"wrongtype.up.test.", "proxy_rejected_question", false, NULL},
    {"wrongcase.letters.of.mixed.test.", "proxy_rejected_question", false, NULL},
    {"wrongsource.up.test.", "proxy_timeouts", false, NULL},
    {"wrongcookie.up.test.", NULL, false, NULL},
    {"empty.up.test.", NULL, false, NULL},
    {"garbage-0.up.test.", NULL, false, NULL},
    {"garbage-1.up.test.", "proxy_rejected_malformed", false, NULL},
    {"garbage-2.up.test.", "proxy_rejected_malformed", false, NULL},
    {"garbage-3.up.test.", "proxy_rejected_malformed", false, NULL},
    {"garbage-4.up.test.", "proxy_rejected_malformed", false, NULL},
    {"garbage-5.up.test.", "proxy_rejected_malformed", false, NULL},
    {"garbage-6.up.test.", "proxy_rejected_malformed", false, NULL},
    {"garbage-7.up.test.", "proxy_rejected_malformed", false, NULL},
    {"silent.up.test.", "proxy_timeouts", false, NULL},
    {"late-1000.up.test.", "proxy_timeouts", false, NULL},
    {"late-1000.truncated.up.test.", "proxy_timeouts", false, NULL},
    {"reset.up.test.", "proxy_over_tcp", false, NULL},
    {"half.up.test.", "proxy_over_tcp", false, NULL},
    {"stuck.up.test.", "proxy_over_tcp", false, NULL},
    {"servfail.up.test.", NULL, false, NULL},
    {"refused.up.test.", NULL, false, "REFUSED"},
    {"notimp.up.test.", NULL, false, "NOTIMP"},
};

enum { HOSTILE = sizeof hostile / sizeof hostile[0] };

static void expect_item(const struct hostile *how, const struct volley_item *item)
{
    const struct said *said = &item->said;
    if (how->good) {
        ck_assert_msg(strcmp(said->text, scripted_text(item->name, item->type, 1)) == 0, "%s: %s",
                      item->name, said->text);
        return;
    }
    bool told = how->rcode != NULL && strcmp(said->text, how->rcode) == 0;
    ck_assert_msg(told || strcmp(said->text, "SERVFAIL") == 0, "%s: %s", item->name, said->text);
}

/* One after the other, so that what is counted is its own. */
START_TEST(each_way)
{
    const struct hostile *how = &hostile[_i];
    struct volley_item item = {.name = how->name, .type = "A"};
    proxied_reset();
    volley(NULL, server.port, &item, 1, CLIENT_MS * (int)harness_slow());
    volley_all_answered(&item, 1);
    expect_item(how, &item);
    if (how->counter != NULL) {
        int64_t grown = proxied_grown(how->counter);
        ck_assert_msg(grown >= 1, "%s: %s has not grown", how->name, how->counter);
    }
    expect_well();
}
END_TEST

/* All of them together, and at the same time others who want nothing but answers. */
START_TEST(all_ways_at_once)
{
    enum { TIMES = 20 };
    static struct volley_item items[HOSTILE * TIMES];
    struct crowd_plan plan = {
        .port = server.port, .zone = "crowd.up.test", .names = 100, .fresh = 20, .rate = 500};
    for (unsigned i = 0; i < HOSTILE * TIMES; i++) {
        const char *name = hostile[i % HOSTILE].name;
        const char *dot = strstr(name, ".up.test.");
        dot = dot != NULL ? dot : strstr(name, ".mixed.test.");
        items[i] = (struct volley_item){
            .name = format_text("%.*s.x%u.at-once%s", (int)(dot - name), name, i / HOSTILE, dot),
            .type = "A"};
    }
    struct crowd *crowd = crowd_begin(&plan);
    volley(NULL, server.port, items, HOSTILE * TIMES, CLIENT_MS * (int)harness_slow());
    struct crowd_figures figures = crowd_end(crowd);
    volley_all_answered(items, HOSTILE * TIMES);
    for (unsigned i = 0; i < HOSTILE * TIMES; i++) {
        /* How good an answer can be depends on others: who is thought down is not asked as
         * often. */
        if (!hostile[i % HOSTILE].good) {
            expect_item(&hostile[i % HOSTILE], &items[i]);
        }
    }
    ck_assert_msg(figures.good > 0 && figures.other == 0, "%llu good, other: %s",
                  (unsigned long long)figures.good, figures.last_other);
    expect_well();
}
END_TEST

/* Late answers come when nobody waits any more; then the next question is asked as if they had not
 * been. */
START_TEST(late_ones_change_nothing)
{
    proxied_reset();
    struct volley_item items[100];
    for (unsigned i = 0; i < 100; i++) {
        items[i] = (struct volley_item){
            .name = format_text("late-%u.l%u.late.up.test.", 20 + i % 10 * 50, i), .type = "A"};
    }
    volley(NULL, server.port, items, 100, CLIENT_MS * (int)harness_slow());
    volley_all_answered(items, 100);
    for (unsigned i = 0; i < 100; i++) {
        bool right = strcmp(items[i].said.text, scripted_text(items[i].name, "A", 1)) == 0;
        ck_assert_msg(right || strcmp(items[i].said.text, "SERVFAIL") == 0, "%s: %s", items[i].name,
                      items[i].said.text);
        ck_assert_msg(right || i % 10 > 1, "%s: not even that in time", items[i].name);
    }
    expect_well();
}
END_TEST

/* ---- Nothing crosses ---- */

START_TEST(thousands_interleaved)
{
    struct crowd_plan plan = {.port = server.port,
                              .zone = "many.up.test",
                              .names = 2000,
                              .fresh = 30,
                              .window = 400,
                              .count = harness_sanitized() ? 10000 : 60000};
    struct crowd *crowd = crowd_begin(&plan);
    uint64_t end = clock_ms() + 20000 * harness_slow();
    while (!crowd_is_done(crowd) && clock_ms() < end) {
        pause_ms(10);
    }
    struct crowd_figures figures = crowd_end(crowd);
    ck_assert_msg(figures.good == figures.answered, "%llu of %llu good, other: %s",
                  (unsigned long long)figures.good, (unsigned long long)figures.answered,
                  figures.last_other);
    ck_assert_uint_eq(figures.answered, plan.count);
}
END_TEST

/* Two clients with the same ID and name, but another type; a third with all the same as the
 * first. */
START_TEST(same_name_same_id)
{
    enum { COUNT = 100, CLIENTS = 3 };
    static const char *const type[CLIENTS] = {"A", "TXT", "A"};
    static uint8_t answer[MESSAGE_ROOM];
    int fd[CLIENTS];
    for (unsigned c = 0; c < CLIENTS; c++) {
        fd[c] = udp_open(NULL, "127.0.0.1", server.port);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        for (unsigned c = 0; c < CLIENTS; c++) {
            uint8_t message[512];
            send_all(fd[c], message,
                     ask_message(format_text("late-30.same%u.same.up.test.", i), type[c], (uint16_t)i,
                                 message));
        }
    }
    for (unsigned c = 0; c < CLIENTS; c++) {
        bool seen[COUNT] = {false};
        for (unsigned n = 0; n < COUNT; n++) {
            ssize_t got = receive(fd[c], answer, sizeof answer, harness_patience_ms());
            ck_assert_int_gt(got, 12);
            unsigned i = (unsigned)(answer[0] << 8 | answer[1]);
            ck_assert(i < COUNT && !seen[i]);
            seen[i] = true;
            ck_assert_str_eq(answer_text(answer, (size_t)got),
                             scripted_text(format_text("late-30.same%u.same.up.test.", i), type[c], 1));
        }
        ck_assert_int_lt(receive(fd[c], answer, sizeof answer, 50), 0);
        close(fd[c]);
    }
}
END_TEST

/* ---- Without EDNS ---- */

static void begin_plain(void)
{
    proxied_upstreams();
    proxied_start("plain",
                  format_text("{\"upstreams\": {%s}, \"routes\": ["
                              "{\"zone\": \"up.test\", \"upstream\": \"main\"}]}",
                              proxied_upstream("main", proxied_address(up), "")),
                  "\"server\": {\"workers\": 1}");
}

/* Who answers FORMERR to EDNS is asked without, and remembered. */
START_TEST(no_edns)
{
    for (unsigned i = 0; i < 5; i++) {
        const char *name = format_text("noedns.n%u.up.test.", i);
        ck_assert_str_eq(text_of(server.port, name, "A"), scripted_text(name, "A", 1));
        ck_assert(!scripted_last(up, name, "A").edns);
        ck_assert_uint_eq(scripted_asked(up, name, "A"), i == 0 ? 2 : 1);
    }
    /* A client with DO gets what there is. */
    struct said said = say_to(server.port, false, "noedns.do.up.test.", "A", EDNS_DO);
    ck_assert_str_eq(said.text, scripted_text("noedns.do.up.test.", "A", 1));
}
END_TEST

/* ---- Loops ---- */

START_TEST(loop_through_upstream)
{
    proxied_reset();
    scripted_loop(up, server.port);
    for (unsigned i = 0; i < 3; i++) {
        const char *name = format_text("loop.l%u.up.test.", i);
        struct said said = say_to(server.port, false, name, "A", 0);
        ck_assert_str_eq(said.text, "SERVFAIL");
        ck_assert_uint_le(scripted_asked(up, name, "A"), 3);
    }
    ck_assert_int_ge(proxied_grown("proxy_loops"), 3);
    expect_well();
}
END_TEST

/* Two that take each other for the upstream: neither passes on what marks the other's questions,
 * but each knows its own. */
START_TEST(loop_of_two)
{
    struct daemon second = {.control = -1};
    daemon_prepare(
        &second, "second",
        format_text("{\"server\": {\"workers\": 1}, \"proxy\": {\"upstreams\": {%s},"
                    " \"routes\": [{\"zone\": \"two.test\", \"upstream\": \"m\"}]}}",
                    proxied_upstream("m", format_text("\"127.0.0.1:%u\"", server.port), "")));
    daemon_start(&second);
    proxied_configure(
        format_text("{\"upstreams\": {%s, %s}, \"routes\": ["
                    "{\"zone\": \"up.test\", \"upstream\": \"main\"},"
                    "{\"zone\": \"two.test\", \"upstream\": \"second\"}]}",
                    proxied_upstream("main", proxied_address(up), ""),
                    proxied_upstream("second", format_text("\"127.0.0.1:%u\"", second.port), "")),
        "\"server\": {\"workers\": 1}");
    control_reload_ok(&server);
    for (unsigned i = 0; i < 3; i++) {
        struct said said = say_to(server.port, false, format_text("l%u.two.test.", i), "A", 0);
        ck_assert_str_eq(said.text, "SERVFAIL");
    }
    /* What is known to be going round is not sent round and round. */
    int64_t asked = daemon_counter(&second, "proxy_asked");
    ck_assert_msg(asked < 40, "%lld questions", (long long)asked);
    expect_well();
    daemon_stop(&second);
}
END_TEST

/* ---- TLS ---- */

static void begin_tls(void)
{
    const char *ca = format_text(", \"attempts\": 1, \"tls_ca\": \"%s\"", CERTIFICATE);
    proxied_upstreams();
    uint16_t port = scripted_tls_port(up);
    const char *named = format_text("\"tls://127.0.0.1:%u#up.test\"", port);
    proxied_start(
        "hostile-tls",
        format_text(
            "{\"upstreams\": {%s, %s, %s, %s, %s, %s}, \"routes\": ["
            "{\"zone\": \"named.test\", \"upstream\": \"named\"},"
            "{\"zone\": \"address.test\", \"upstream\": \"address\"},"
            "{\"zone\": \"wrong.test\", \"upstream\": \"wrong\"},"
            "{\"zone\": \"unknown.test\", \"upstream\": \"unknown\"},"
            "{\"zone\": \"notls.test\", \"upstream\": \"notls\"},"
            "{\"zone\": \"closed.test\", \"upstream\": \"closed\"}]}",
            proxied_upstream("named", named, format_text("%s, \"timeout\": \"2s\"", ca)),
            proxied_upstream("address", format_text("\"tls://127.0.0.1:%u\"", port), ca),
            proxied_upstream("wrong", format_text("\"tls://127.0.0.1:%u#other.test\"", port), ca),
            proxied_upstream("unknown", named, ", \"attempts\": 1"),
            proxied_upstream("notls",
                             format_text("\"tls://127.0.0.1:%u#up.test\"", scripted_port(up)), ca),
            proxied_upstream("closed", format_text("\"tls://127.0.0.1:%u#up.test\"", free_port()),
                             ca)),
        NULL);
}

START_TEST(tls_certificates)
{
    static const char *const groups[][2] = {
        {"wrong", "tls"}, {"unknown", "tls"}, {"notls", "timeout"}, {"closed", "unreachable"}};
    ck_assert_str_eq(text_of(server.port, "x.named.test.", "A"),
                     scripted_text("x.named.test.", "A", 1));
    ck_assert_str_eq(text_of(server.port, "x.address.test.", "A"),
                     scripted_text("x.address.test.", "A", 1));
    for (size_t i = 0; i < 4; i++) {
        const char *name = format_text("x.%s.test.", groups[i][0]);
        struct said said = say_to(server.port, false, name, "A", 0);
        ck_assert_str_eq(said.text, "SERVFAIL");
        ck_assert_msg(said.ede == EDE_UNREACHABLE || said.ede == EDE_NETWORK, "EDE %d", said.ede);
        ck_assert_uint_eq(scripted_asked(up, name, "A"), 0);
        ck_assert_str_eq(proxied_told(groups[i][0], NULL, "last_error"), groups[i][1]);
    }
}
END_TEST

/* From now on connections begin so late; there are none any more, and the server has seen it. */
static void connect_anew(unsigned ms)
{
    scripted_kill(up);
    scripted_revive(up);
    scripted_handshake(up, ms);
    pause_ms(100 * harness_slow());
}

START_TEST(slow_tls)
{
    connect_anew(700);
    struct volley_item items[50];
    for (unsigned i = 0; i < 50; i++) {
        items[i] = (struct volley_item){.name = format_text("slow%u.named.test.", i), .type = "A"};
    }
    volley(NULL, server.port, items, 50, CLIENT_MS * (int)harness_slow());
    volley_all_answered(items, 50);
    ck_assert_uint_eq(volley_count(items, 50, "NOERROR"), 50);
    /* One that does not come to its end within a client's patience. */
    connect_anew(20000);
    for (unsigned i = 0; i < 50; i++) {
        items[i] = (struct volley_item){.name = format_text("never%u.named.test.", i), .type = "A"};
    }
    volley(NULL, server.port, items, 50, CLIENT_MS * (int)harness_slow());
    volley_all_answered(items, 50);
    ck_assert_uint_eq(volley_count(items, 50, "SERVFAIL"), 50);
    scripted_handshake(up, 0);
}
END_TEST

static Suite *hostile_suite(void)
{
    Suite *suite = suite_create("proxy_hostile");
    const TTest *const tests[] = {all_ways_at_once, late_ones_change_nothing, thousands_interleaved,
                                  same_name_same_id, NULL};
    const TTest *const plain[] = {no_edns, NULL};
    const TTest *const loops[] = {loop_through_upstream, loop_of_two, NULL};
    const TTest *const tls[] = {tls_certificates, slow_tls, NULL};
    TCase *each = tcase_create("each");
    tcase_add_unchecked_fixture(each, begin, NULL);
    tcase_add_loop_test(each, each_way, 0, HOSTILE);
    suite_add_tcase(suite, each);
    proxied_group(suite, "hostile", NULL, tests);
    proxied_group(suite, "plain", begin_plain, plain);
    proxied_group(suite, "loops", begin_plain, loops);
    proxied_group(suite, "tls", begin_tls, tls);
    return suite;
}

int main(void)
{
    return harness_main("proxy_hostile", hostile_suite);
}

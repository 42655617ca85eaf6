/*
 * What is asked once for many, what is not asked at all, and clients on streams.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "packet.h"
#include "proxied.h"
#include "transport.h"

enum { SLOW_MS = 1000 };

/* Names of their own, not many under one that then seems to be attacked, fail slowly. */
#define SLOW ", \"timeout\": \"1s\", \"attempts\": 1"

static const char one_worker[] = "\"server\": {\"workers\": 1}";

static void begin(void)
{
    proxied_upstreams();
    proxied_start("limits",
                  format_text("{\"queries_per_client\": 150, \"upstreams\": {%s}, \"routes\": ["
                              "{\"zone\": \".\", \"upstream\": \"main\"},"
                              "{\"zone\": \"rate.test\", \"upstream\": \"main\","
                              " \"rate_limit\": {\"queries_per_second\": 20}},"
                              "{\"zone\": \"cut.test\", \"upstream\": \"main\", \"rate_limit\":"
                              " {\"queries_per_second\": 20, \"over\": \"truncate\"}}]}",
                              proxied_upstream("main", proxied_address(up), SLOW)),
                  one_worker);
}

static void begin_few(void)
{
    proxied_upstreams();
    proxied_start(
        "few",
        format_text("{\"upstreams\": {%s}, \"routes\": ["
                    "{\"zone\": \".\", \"upstream\": \"main\"}]}",
                    proxied_upstream("main", proxied_address(up), SLOW ", \"queries_max\": 20")),
        one_worker);
}

static struct volley_item *items_named(const char *format, unsigned count)
{
    static struct volley_item items[4096];
    ck_assert_uint_le(count, 4096);
    for (unsigned i = 0; i < count; i++) {
        char number[16];
        snprintf(number, sizeof number, "%u", i);
        const char *at = strchr(format, '#');
        items[i] = (struct volley_item){
            .name = format_text("%.*s%s%s", (int)(at - format), format, number, at + 1),
            .type = "A"};
    }
    return items;
}

/* ---- Coalescing ---- */

START_TEST(one_question_for_a_hundred_clients)
{
    enum { CLIENTS = 100 };
    static uint8_t answer[MESSAGE_ROOM];
    int fd[CLIENTS];
    uint8_t message[512];
    proxied_reset();
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = udp_open(format_text("127.0.0.%u", 1 + i % 10), "127.0.0.1", server.port);
        /* Letters differ, and so do IDs. */
        const char *name = i % 2 == 0 ? "late-300.together.up.test." : "LATE-300.Together.UP.test.";
        send_all(fd[i], message, ask_message(name, "A", (uint16_t)(1000 * i + 7), message));
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        ssize_t got = receive(fd[i], answer, sizeof answer, harness_patience_ms());
        ck_assert_int_gt(got, 12);
        ck_assert_uint_eq((unsigned)(answer[0] << 8 | answer[1]), (1000 * i + 7) & 0xffff);
        ck_assert_int_eq(answer[13], i % 2 == 0 ? 'l' : 'L');
        ck_assert_str_eq(answer_text(answer, (size_t)got),
                         scripted_text("late-300.together.up.test.", "A", 1));
        ck_assert_int_lt(receive(fd[i], answer, sizeof answer, 0), 0);
        close(fd[i]);
    }
    ck_assert_uint_eq(scripted_asked(up, "late-300.together.up.test.", NULL), 1);
    ck_assert_int_eq(proxied_grown("proxy_coalesced"), CLIENTS - 1);
    ck_assert_int_eq(proxied_grown("proxy_misses"), CLIENTS);
    ck_assert_int_eq(proxied_grown("proxy_asked"), 1);
}
END_TEST

/* ---- Limits ---- */

START_TEST(limit_of_a_client)
{
    enum { COUNT = 400, LIMIT = 150 };
    struct volley_item *items = items_named("silent.c#.", COUNT);
    struct volley_item well = {.name = "ok.meanwhile.up.test.", .type = "A"};
    proxied_reset();
    volley("127.0.0.3", server.port, items, COUNT, 500); /* those over it, at once */
    size_t failed = volley_count(items, COUNT, "SERVFAIL");
    ck_assert_msg(failed == COUNT - LIMIT, "%zu failed at once", failed);
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert(!items[i].said.answered || items[i].said.ede >= 0);
    }
    volley("127.0.0.4", server.port, &well, 1, CLIENT_MS);
    ck_assert_str_eq(well.said.text, scripted_text(well.name, "A", 1));
    ck_assert_int_eq(proxied_grown("proxy_limited_client"), COUNT - LIMIT);
    pause_ms(2 * SLOW_MS);
    volley("127.0.0.3", server.port, &well, 1, CLIENT_MS); /* those are over */
    ck_assert_str_eq(well.said.text, scripted_text(well.name, "A", 1));
    ck_assert_int_eq(proxied_grown("proxy_failed") >= LIMIT, 1);
}
END_TEST

START_TEST(limit_of_an_upstream)
{
    enum { COUNT = 100, LIMIT = 20 };
    struct volley_item *items = items_named("silent.u#.", COUNT);
    proxied_reset();
    volley(NULL, server.port, items, COUNT, CLIENT_MS * (int)harness_slow());
    volley_all_answered(items, COUNT);
    ck_assert_uint_eq(volley_count(items, COUNT, "SERVFAIL"), COUNT);
    size_t at_once = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_int_ge(items[i].said.ede, 0);
        at_once += items[i].said.ms < 200 * harness_slow();
    }
    ck_assert_msg(at_once == COUNT - LIMIT, "%zu failed at once", at_once);
    ck_assert_int_eq(proxied_grown("proxy_limited_upstream"), COUNT - LIMIT);
    ck_assert_str_eq(text_of(server.port, "ok.few.", "A"), scripted_text("ok.few.", "A", 1));
}
END_TEST

/* ---- Rate ---- */

START_TEST(rate_refused)
{
    enum { COUNT = 120 };
    const char *known = "known.rate.test.";
    ck_assert_str_eq(text_of(server.port, known, "A"), scripted_text(known, "A", 1));
    struct volley_item *items = items_named("r#.rate.test.", COUNT);
    proxied_reset();
    uint64_t start = clock_ms();
    volley(NULL, server.port, items, COUNT, CLIENT_MS);
    unsigned most = 12 + (unsigned)(clock_ms() - start) * 20 / 1000;
    volley_all_answered(items, COUNT);
    size_t good = volley_count(items, COUNT, "NOERROR");
    size_t refused = volley_count(items, COUNT, "REFUSED");
    ck_assert_msg(good + refused == COUNT && good >= 5 && good <= most,
                  "%zu answered, %zu refused; at most %u", good, refused, most);
    ck_assert_int_eq(proxied_grown("proxy_refused_rate"), (int64_t)refused);
    ck_assert_str_eq(text_of(server.port, known, "A"), scripted_text(known, "A", 1));
    /* Another route of the same group has no limit. */
    ck_assert_str_eq(text_of(server.port, "free.up.test.", "A"),
                     scripted_text("free.up.test.", "A", 1));
    pause_ms(600);
    ck_assert_str_eq(text_of(server.port, "later.rate.test.", "A"),
                     scripted_text("later.rate.test.", "A", 1));
}
END_TEST

START_TEST(rate_truncated)
{
    enum { COUNT = 100 };
    struct volley_item *items = items_named("t#.cut.test.", COUNT);
    size_t cut = 0;
    volley(NULL, server.port, items, COUNT, CLIENT_MS);
    volley_all_answered(items, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        cut += (items[i].said.flags & FLAG_TC) != 0 && items[i].said.records == 0;
    }
    size_t good = volley_count(items, COUNT, "NOERROR");
    ck_assert_msg(cut + good == COUNT && good >= 5 && good <= 40, "%zu good, %zu truncated", good,
                  cut);
}
END_TEST

/* ---- Random names ---- */

static void begin_random(void)
{
    proxied_upstreams();
    proxied_start("random",
                  format_text("{\"queries_per_client\": 100000, \"upstreams\": {%s}, \"routes\": ["
                              "{\"zone\": \"test\", \"upstream\": \"main\"}]}",
                              proxied_upstream("main", proxied_address(up),
                                               ", \"timeout\": \"100ms\", \"attempts\": 1,"
                                               " \"queries_max\": 100000")),
                  one_worker);
}

/* Names that are not there, under a name whose servers fail: they are refused after a while,
 * what is known below it is not, nor what is elsewhere. */
START_TEST(random_names)
{
    enum { COUNT = 3000 };
    const char *known = "known.victim.test.", *elsewhere = "ok.quiet.test.";
    ck_assert_str_eq(text_of(server.port, known, "A"), scripted_text(known, "A", 1));
    proxied_reset();
    struct volley_item *items = items_named("silent.a#.victim.test.", COUNT);
    for (unsigned i = 0; i < COUNT; i += 500) {
        volley(NULL, server.port, items + i, 500, CLIENT_MS * (int)harness_slow());
        volley_all_answered(items + i, 500);
    }
    int64_t refused = proxied_grown("proxy_refused_suffix");
    size_t told = volley_count(items, COUNT, "REFUSED");
    ck_assert_msg(refused > COUNT / 3 && told <= (size_t)refused, "%lld counted, %zu refused",
                  (long long)refused, told);
    ck_assert_str_eq(text_of(server.port, known, "A"), scripted_text(known, "A", 1));
    ck_assert_str_eq(text_of(server.port, elsewhere, "A"), scripted_text(elsewhere, "A", 1));
    /* It recovers: names that are answered are let through again. */
    uint64_t end = clock_ms() + 2 * (uint64_t)harness_patience_ms();
    unsigned number = 0, good = 0;
    while (good < 20 && clock_ms() < end) {
        const char *name = format_text("ok.b%u.victim.test.", number++);
        bool right = strcmp(text_of(server.port, name, "A"), scripted_text(name, "A", 1)) == 0;
        good = right ? good + 1 : 0;
        pause_ms(10);
    }
    ck_assert_msg(good == 20, "names under the suffix are still refused");
}
END_TEST

/* ---- Clients on streams ---- */

static void begin_streams(void)
{
    proxied_upstreams();
    proxied_start("streams",
                  format_text("{\"upstreams\": {%s}, \"routes\": ["
                              "{\"zone\": \"up.test\", \"upstream\": \"main\"}]}",
                              proxied_upstream("main", proxied_address(up), "")),
                  NULL);
}

/* Questions of all kinds on one connection, and what is expected of each. */
static const struct {
    const char *name, *type, *text; /* text NULL: the plain answer */
} kinds[] = {
    {"www.own.test.", "A", "NOERROR 192.0.2.10"},
    {"cached.up.test.", "A", NULL},
    {"late-#.up.test.", "A", NULL},
    {"fresh#.up.test.", "TXT", NULL},
    {"nothere.own.test.", "A", "NXDOMAIN"},
    {"www.nowhere.test.", "A", "REFUSED"},
    {"truncated.t#.up.test.", "A", NULL},
    {"silent.up.test.", "A", "SERVFAIL"},
    {"nxdomain.n#.up.test.", "A", "NXDOMAIN"},
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

static const char *kind_name(unsigned i)
{
    const char *name = kinds[i % KINDS].name, *at = strchr(name, '#');
    return at == NULL ? name : format_text("%.*s%u%s", (int)(at - name), name, i, at + 1);
}

static uint8_t *pipeline_of_kinds(unsigned count, size_t *size)
{
    uint8_t *all = malloc((size_t)count * 256);
    ck_assert_ptr_nonnull(all);
    *size = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t one = ask_message(kind_name(i), kinds[i % KINDS].type, (uint16_t)i, all + *size + 2);
        all[*size] = (uint8_t)(one >> 8);
        all[*size + 1] = (uint8_t)one;
        *size += 2 + one;
    }
    return all;
}

START_TEST(pipelined)
{
    enum { COUNT = 450, PARTS = 7 };
    static uint8_t answer[MESSAGE_ROOM];
    static bool seen[COUNT];
    size_t size, sent = 0;
    memset(seen, 0, sizeof seen);
    text_of(server.port, "cached.up.test.", "A");
    uint8_t *all = pipeline_of_kinds(COUNT, &size);
    int fd = tcp_open(NULL, "127.0.0.1", server.port);
    for (unsigned part = 1; part <= PARTS; part++) { /* cut anywhere, also within a message */
        size_t until = size * part / PARTS;
        send_all(fd, all + sent, until - sent);
        sent = until;
        pause_ms(5);
    }
    for (unsigned n = 0; n < COUNT; n++) {
        ssize_t got = tcp_receive(fd, answer, CLIENT_MS * (int)harness_slow());
        ck_assert_msg(got > 12, "%u of %u answers came", n, COUNT);
        unsigned i = (unsigned)(answer[0] << 8 | answer[1]);
        ck_assert(i < COUNT && !seen[i]);
        seen[i] = true;
        const char *name = kind_name(i), *type = kinds[i % KINDS].type;
        const char *text = kinds[i % KINDS].text;
        const char *came = answer_text(answer, (size_t)got);
        ck_assert_msg(strcmp(came, text != NULL ? text : scripted_text(name, type, 1)) == 0,
                      "%s: %s", name, came);
    }
    free(all);
    close(fd);
}
END_TEST

/* Who does not read its answers is not answered for ever: what waits for it is bounded. */
START_TEST(who_reads_nothing)
{
    enum { COUNT = 1000 };
    static uint8_t all[COUNT * 64];
    size_t size = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        size_t one = ask_message(format_text("huge.h%u.up.test.", i % 50), "TXT", (uint16_t)i,
                                 all + size + 2);
        all[size] = (uint8_t)(one >> 8);
        all[size + 1] = (uint8_t)one;
        size += 2 + one;
    }
    size_t before = daemon_memory(&server);
    int fd[4];
    for (unsigned i = 0; i < 4; i++) {
        fd[i] = tcp_open(NULL, "127.0.0.1", server.port);
        send(fd[i], all, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    for (unsigned i = 0; i < 20; i++) {
        const char *name = format_text("others%u.up.test.", i);
        ck_assert_str_eq(text_of(server.port, name, "A"), scripted_text(name, "A", 1));
        pause_ms(50);
    }
    size_t now = daemon_memory(&server);
    ck_assert_msg(harness_sanitized() || now < before + (32u << 20), "resident: %zu, then %zu",
                  before, now);
    for (unsigned i = 0; i < 4; i++) {
        close(fd[i]);
    }
}
END_TEST

/* Who closes its side after the questions gets the answers; who goes away is not waited for. */
START_TEST(half_closed)
{
    enum { COUNT = 20 };
    static uint8_t answer[MESSAGE_ROOM];
    int fd = tcp_open(NULL, "127.0.0.1", server.port);
    for (unsigned i = 0; i < COUNT; i++) {
        uint8_t message[512];
        tcp_send(
            fd, message,
            ask_message(format_text("late-100.half%u.up.test.", i), "A", (uint16_t)i, message));
    }
    shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < COUNT; i++) {
        ck_assert_int_gt(tcp_receive(fd, answer, harness_patience_ms()), 12);
    }
    ck_assert(tcp_ends(fd, harness_patience_ms()));
    close(fd);
}
END_TEST

START_TEST(clients_that_go_away)
{
    enum { CLIENTS = 40, EACH = 25 };
    unsigned descriptors = daemon_descriptors(&server);
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    proxied_reset();
    for (unsigned c = 0; c < CLIENTS; c++) {
        int fd = tcp_open(NULL, "127.0.0.1", server.port);
        for (unsigned i = 0; i < EACH; i++) {
            uint8_t message[512];
            tcp_send(fd, message,
                     ask_message(format_text("late-300.g%u.gone%u.up.test.", i, c), "A",
                                 (uint16_t)i, message));
        }
        while (scripted_asked(up, format_text("late-300.g%u.gone%u.up.test.", EACH - 1, c), "A") ==
                   0 &&
               clock_ms() < end) {
            pause_ms(1);
        }
        tcp_reset(fd);
    }
    daemon_await_counter(&server, "tcp_closed", daemon_counter(&server, "tcp_accepted"));
    pause_ms(400);
    int64_t gone = proxied_grown("proxy_gone");
    ck_assert_msg(gone > CLIENTS * EACH / 2, "%lld gone", (long long)gone);
    ck_assert_str_eq(text_of(server.port, "after.up.test.", "A"),
                     scripted_text("after.up.test.", "A", 1));
    /* Upstream sockets rotate; connections leave nothing. */
    ck_assert_uint_le(daemon_descriptors(&server), descriptors + 64);
    /* What came was kept all the same. */
    uint64_t start = clock_ms();
    ask_once("127.0.0.1", server.port, false, "late-300.g0.gone0.up.test.", "A");
    ck_assert_uint_lt(clock_ms() - start, 250 * harness_slow());
}
END_TEST

static Suite *limits_suite(void)
{
    Suite *suite = suite_create("proxy_limits");
    const TTest *const tests[] = {one_question_for_a_hundred_clients, limit_of_a_client,
                                  rate_refused, rate_truncated, NULL};
    const TTest *const few[] = {limit_of_an_upstream, NULL};
    const TTest *const names[] = {random_names, NULL};
    const TTest *const streams[] = {pipelined, half_closed, who_reads_nothing, clients_that_go_away,
                                    NULL};
    proxied_group(suite, "limits", begin, tests);
    proxied_group(suite, "few", begin_few, few);
    proxied_group(suite, "random", begin_random, names);
    proxied_group(suite, "streams", begin_streams, streams);
    return suite;
}

int main(void)
{
    return harness_main("proxy_limits", limits_suite);
}

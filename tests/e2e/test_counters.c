/*
 * The whole account: after each kind of query of dig, drill and hand-made messages, every counter
 * is compared, also those that must not have moved; octets to the last one.
 *
 * Exempt are control_commands, which looking counts itself, and how `latency` is split: that its
 * cells sum to the answers is checked instead.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "example.h"
#include "packet.h"
#include "transport.h"

static const char zone[] = "$TTL 3600\n"
                           "@ SOA ns hostmaster 7 7200 3600 1209600 300\n"
                           "  NS ns\n"
                           "ns A 192.0.2.1\n"
                           "www A 192.0.2.10\n"
                           "*.w A 192.0.2.11\n"
                           "alias CNAME www\n"
                           "chain CNAME alias\n"
                           "out CNAME www.other.test.\n"
                           "sub NS ns.sub\n"
                           "ns.sub A 198.51.100.1\n"
                           "$GENERATE 1-60 big A 10.0.0.$\n";

static void begin(void)
{
    daemon_prepare(&server, "counters", NULL);
    daemon_zone(&server, "c.test", zone);
    daemon_zone(&server, "other.test", zone);
    daemon_zone(&server, "broken.test", "nonsense\n");
    daemon_start(&server);
}

/* ---- Differences ---- */

static int64_t sum_of(json_t *object)
{
    const char *key;
    json_t *cell;
    int64_t sum = 0;
    json_object_foreach (object, key, cell) {
        sum += json_integer_value(cell);
    }
    return sum;
}

/* A counter set as one flat object: "rcode.NOERROR"; `latency` its sum; zeros left out. */
static json_t *flatten(json_t *counters)
{
    json_t *flat = json_object();
    const char *name, *label;
    json_t *value, *cell;
    json_object_foreach (counters, name, value) {
        if (strcmp(name, "control_commands") == 0) {
            continue;
        }
        if (json_is_object(value) && strcmp(name, "latency") != 0) {
            json_object_foreach (value, label, cell) {
                json_object_set(flat, format_text("%s.%s", name, label), cell);
            }
            continue;
        }
        int64_t number = json_is_object(value) ? sum_of(value) : json_integer_value(value);
        if (number != 0) {
            json_object_set_new(flat, name, json_integer(number));
        }
    }
    return flat;
}

static int64_t number_of(const json_t *flat, const char *name)
{
    return json_integer_value(json_object_get(flat, name));
}

static const char *const received_as[] = {"queries_udp4", "queries_udp6", "queries_tcp4",
                                          "queries_tcp6"};

static json_t *counters_now(void)
{
    json_t *stats = control_stats(&server);
    json_t *flat = flatten(json_object_get(stats, "counters"));
    json_decref(stats);
    return flat;
}

/* The same once all that was received is answered and counted to the end. */
static json_t *counters_settled(void)
{
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    for (;;) {
        json_t *now = counters_now();
        int64_t answers = number_of(now, "answers_udp") + number_of(now, "answers_tcp");
        int64_t received = 0;
        for (size_t i = 0; i < sizeof received_as / sizeof received_as[0]; i++) {
            received += number_of(now, received_as[i]);
        }
        received -= number_of(now, "dropped_short") + number_of(now, "dropped_response");
        if (number_of(now, "latency") == answers && received == answers &&
            number_of(now, "tcp_accepted") == number_of(now, "tcp_closed")) {
            return now;
        }
        json_decref(now);
        ck_assert_msg(clock_ms() < last, "%lld received, %lld answered", (long long)received,
                      (long long)answers);
        pause_ms(2);
    }
}

/* What has changed, and by how much. */
static json_t *difference(json_t *after, json_t *before)
{
    json_t *changed = json_object();
    const char *name;
    json_t *value;
    json_object_foreach (after, name, value) {
        int64_t by = json_integer_value(value) - number_of(before, name);
        if (by != 0) {
            json_object_set_new(changed, name, json_integer(by));
        }
    }
    return changed;
}

/*
 * Waits until all that has changed since `before` is just what is expected (both are consumed): an
 * answer is there before it is counted, a connection's end is seen later still.
 */
static void expect_changes(json_t *before, json_t *expected, const char *what)
{
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    for (bool equal = false; !equal;) {
        json_t *after = counters_now();
        json_t *changed = difference(after, before);
        bool late = clock_ms() >= last;
        equal = json_equal(changed, expected);
        if (!equal && late) {
            char *is = json_dumps(changed, JSON_SORT_KEYS);
            char *should = json_dumps(expected, JSON_SORT_KEYS);
            ck_abort_msg("%s changed\n%s\nand not\n%s", what, is, should);
        }
        json_decref(after);
        json_decref(changed);
        if (!equal) {
            pause_ms(2);
        }
    }
    json_decref(before);
    json_decref(expected);
}

/* Words such as "rcode.NOERROR qtype.A chain_links=2" put on top of expected. */
static void expect_words(json_t *expected, const char *words)
{
    char name[64];
    int used;
    while (sscanf(words, " %63[^ =]%n", name, &used) == 1) {
        long long value = 1;
        words += used;
        if (*words == '=') {
            value = strtoll(words + 1, (char **)&words, 10);
        }
        json_object_set_new(expected, name, json_integer(value));
    }
}

/* ---- Clients ---- */

enum { OPT = 11, CLIENT_COOKIE = 12, SERVER_COOKIE = 28 };

/* One query, over each transport. */
struct asked {
    const char *client; /* "dig" or "drill" */
    const char *words;
    const char *name;
    unsigned extra;       /* octets of the query after its question */
    const char *zone;     /* that counts it, or NULL */
    const char *expected; /* changes, but for those every query has */
};

static const struct asked asked[] = {
    {"dig", "+noedns", "www.c.test.", 0, "c.test", "rcode.NOERROR qtype.A answers_authoritative"},
    {"dig", "+nocookie", "www.c.test.", OPT, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative queries_edns"},
    {"dig", "+nocookie +dnssec", "WWW.C.tesT.", OPT, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative queries_edns queries_do"},
    {"dig", "+cookie=0123456789abcdef", "www.c.test.", OPT + CLIENT_COOKIE, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative queries_edns cookies_client"},
    {"dig", "+cookie=0123456789abcdef0100000000000000ffffffffffffffff", "www.c.test.",
     OPT + SERVER_COOKIE, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative queries_edns cookies_invalid"},
    {"dig", "+noedns -t AAAA", "www.c.test.", 0, "c.test",
     "rcode.NOERROR qtype.AAAA answers_authoritative answers_nodata"},
    {"dig", "+noedns -t TYPE65280", "www.c.test.", 0, "c.test",
     "rcode.NOERROR qtype.other answers_authoritative answers_nodata"},
    {"dig", "+noedns", "no.c.test.", 0, "c.test", "rcode.NXDOMAIN qtype.A answers_authoritative"},
    {"dig", "+noedns", "chain.c.test.", 0, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative chain_links=2"},
    /* Counted for the zone asked, not for where the chain leads. */
    {"dig", "+noedns", "out.c.test.", 0, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative chain_links=1"},
    {"dig", "+noedns", "x.y.w.c.test.", 0, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative answers_wildcard"},
    {"dig", "+noedns", "x.sub.c.test.", 0, "c.test", "rcode.NOERROR qtype.A answers_referral"},
    {"dig", "+noedns", "broken.test.", 0, "broken.test", "rcode.SERVFAIL qtype.A"},
    {"dig", "+noedns", "example.org.", 0, NULL, "rcode.REFUSED qtype.A"},
    {"dig", "+noedns -t TXT -c CH", "version.bind.", 0, NULL, "rcode.REFUSED qtype.TXT"},
    {"dig", "+nocookie +edns=7 +noednsneg", "www.c.test.", OPT, NULL,
     "rcode.BADVERS qtype.A queries_edns"},
    {"dig", "+noedns +opcode=2", "www.c.test.", 0, NULL,
     "rcode.NOTIMP opcode.STATUS qtype.A opcode.QUERY=0"},
    {"drill", "", "www.c.test.", 0, "c.test", "rcode.NOERROR qtype.A answers_authoritative"},
    {"drill", "-D", "www.c.test.", OPT, "c.test",
     "rcode.NOERROR qtype.A answers_authoritative queries_edns queries_do"},
    {"drill", "", "no.other.test.", 0, "other.test",
     "rcode.NXDOMAIN qtype.A answers_authoritative"},
};
enum { ASKED = sizeof asked / sizeof asked[0] };

static int64_t zone_number(const char *name, const char *key)
{
    json_t *answer =
        control_line(&server, format_text("{\"command\": \"zone\", \"name\": \"%s\"}", name),
                     harness_patience_ms());
    int64_t value = atoll(json_at(answer, format_text("result.%s", key)));
    json_decref(answer);
    return value;
}

static const struct {
    const char *address, *ip;
    bool tcp;
} transports[] = {
    {"127.0.0.1", "4", false}, {"::1", "6", false}, {"127.0.0.1", "4", true}, {"::1", "6", true}};

/* Asks, and returns the size of the answer. */
static unsigned ask_with(const struct asked *a, size_t way)
{
    const char *address = transports[way].address;
    bool tcp = transports[way].tcp;
    struct output o;
    if (strcmp(a->client, "dig") == 0) {
        o = command("dig @%s -p %u +tries=1 +timeout=%d %s %s %s", address, server.port,
                    harness_patience_ms() / 1000, tcp ? "+tcp" : "+ignore", a->words, a->name);
    } else {
        o = command("drill %s %s -p %u %s @%s A", tcp ? "-t" : "-u", a->words, server.port, a->name,
                    address);
    }
    ck_assert_msg(o.status == 0, "%s %s %s: %s%s", a->client, a->words, a->name, o.out, o.err);
    const char *size = strstr(o.out, "MSG SIZE  rcvd: ");
    ck_assert_msg(size != NULL, "%s", o.out);
    return (unsigned)strtoul(size + strlen("MSG SIZE  rcvd: "), NULL, 10);
}

/* What every query changes by itself. */
static json_t *expected_of(const struct asked *a, size_t way, unsigned answer)
{
    bool tcp = transports[way].tcp;
    const char *stream = tcp ? "tcp" : "udp";
    unsigned prefix = tcp ? 2 : 0;
    unsigned query = 12 + (unsigned)strlen(a->name) + 1 + 4 + a->extra;
    json_t *expected = json_object();
    expect_words(expected,
                 format_text("queries_%s%s answers_%s bytes_received_%s=%u bytes_sent_%s=%u "
                             "latency opcode.QUERY %s %s",
                             stream, transports[way].ip, stream, stream, query + prefix, stream,
                             answer + prefix, tcp ? "tcp_accepted tcp_closed" : "", a->expected));
    if (json_integer_value(json_object_get(expected, "opcode.QUERY")) == 0) {
        json_object_del(expected, "opcode.QUERY");
    }
    return expected;
}

START_TEST(clients)
{
    const struct asked *a = &asked[_i];
    static const char *const zones[] = {"c.test", "other.test", "broken.test"};
    static const char *const keys[] = {"queries", "nxdomain", "bytes_sent"};
    int64_t zones_before[3][3];
    for (size_t way = 0; way < 4; way++) {
        if (transports[way].address[0] == ':' && !have_ipv6()) {
            continue;
        }
        for (size_t i = 0; i < 9; i++) {
            zones_before[i / 3][i % 3] = zone_number(zones[i / 3], keys[i % 3]);
        }
        json_t *before = counters_settled();
        unsigned answer = ask_with(a, way);
        expect_changes(before, expected_of(a, way, answer),
                       format_text("%s %s %s %s", a->client, a->words, a->name,
                                   transports[way].tcp ? "over TCP" : "over UDP"));
        for (size_t i = 0; i < 9; i++) {
            const int64_t asked_here[] = {1, strstr(a->expected, "NXDOMAIN") != NULL, answer};
            bool here = a->zone != NULL && strcmp(a->zone, zones[i / 3]) == 0;
            int64_t more = zone_number(zones[i / 3], keys[i % 3]) - zones_before[i / 3][i % 3];
            ck_assert_msg(more == (here ? asked_here[i % 3] : 0), "%s: %s of %s rose by %lld",
                          a->name, keys[i % 3], zones[i / 3], (long long)more);
        }
    }
}
END_TEST

/* The cookie that the server gave, brought back. */
START_TEST(cookie_of_the_server)
{
    char cookie[64] = "";
    int seconds = harness_patience_ms() / 1000;
    struct output o =
        command("dig @127.0.0.1 -p %u +tries=1 +timeout=%d www.c.test", server.port, seconds);
    const char *found = strstr(o.out, "; COOKIE: ");
    ck_assert_msg(found != NULL, "%s", o.out);
    ck_assert_int_eq(sscanf(found, "; COOKIE: %63[0-9a-f] (good)", cookie), 1);
    json_t *before = counters_settled();
    o = command("dig @127.0.0.1 -p %u +tries=1 +timeout=%d +cookie=%s www.c.test", server.port,
                seconds, cookie);
    ck_contains(o.out, cookie);
    json_t *expected = json_object();
    unsigned query = 12 + 12 + 4 + OPT + SERVER_COOKIE;
    expect_words(expected,
                 format_text("queries_udp4 answers_udp latency opcode.QUERY qtype.A rcode.NOERROR "
                             "answers_authoritative queries_edns cookies_valid "
                             "bytes_received_udp=%u bytes_sent_udp=%u",
                             query, query + 16));
    expect_changes(before, expected, "a query with the server's cookie");
}
END_TEST

/* Truncated over UDP, whole over TCP: dig does it by itself. */
START_TEST(truncated)
{
    json_t *before = counters_settled();
    struct output o = command("dig @127.0.0.1 -p %u +tries=1 +timeout=%d +noedns big.c.test",
                              server.port, harness_patience_ms() / 1000);
    ck_contains(o.out, "ANSWER: 60,");
    json_t *expected = json_object();
    /* The truncated answer is the question alone; the whole one 60 times 16 octets more. */
    expect_words(expected, "queries_udp4 queries_tcp4 answers_udp answers_tcp latency=2 "
                           "opcode.QUERY=2 qtype.A=2 rcode.NOERROR=2 answers_authoritative=2 "
                           "answers_truncated bytes_received_udp=28 bytes_received_tcp=30 "
                           "bytes_sent_udp=28 bytes_sent_tcp=990 tcp_accepted tcp_closed");
    expect_changes(before, expected, "a truncated answer");
}
END_TEST

/* ---- What no client sends ---- */

START_TEST(dropped)
{
    uint8_t message[512];
    size_t size = ask_message("www.c.test.", "A", 1, message);
    ck_assert_uint_eq(size, 28);
    json_t *before = counters_settled();
    int fd = udp_open(NULL, "127.0.0.1", server.port);
    send_all(fd, message, 11);
    send_all(fd, message, 1);
    message[2] |= 0x80;
    send_all(fd, message, size);
    message[2] &= 0x7f;
    send_all(fd, message, 20); /* the question is cut: FORMERR */
    ck_assert_int_eq(receive(fd, message, sizeof message, harness_patience_ms()), 12);
    close(fd);
    json_t *expected = json_object();
    expect_words(expected, "queries_udp4=4 answers_udp dropped_short=2 dropped_response latency "
                           "opcode.QUERY rcode.FORMERR bytes_received_udp=60 bytes_sent_udp=12");
    expect_changes(before, expected, "junk over UDP");
}
END_TEST

START_TEST(tcp_ends_of_each_kind)
{
    uint8_t message[512];
    size_t size = ask_message("www.c.test.", "A", 1, message);
    json_t *before = counters_settled();
    int silent = tcp_open(NULL, "127.0.0.1", server.port);
    int malformed = tcp_open(NULL, "127.0.0.1", server.port);
    int reset = tcp_open(NULL, "127.0.0.1", server.port);
    int response = tcp_open(NULL, "127.0.0.1", server.port);
    close(silent);
    send_all(malformed, "\0\013xxxxxxxxxxx", 13);
    ck_assert(tcp_ends(malformed, harness_patience_ms()));
    close(malformed);
    ck_assert_str_eq(ask_tcp(reset, "www.c.test.", "A"), "NOERROR 192.0.2.10");
    tcp_reset(reset);
    message[2] |= 0x80;
    tcp_send(response, message, size); /* dropped; the connection stays */
    ck_assert_str_eq(ask_tcp(response, "www.c.test.", "A"), "NOERROR 192.0.2.10");
    close(response);
    json_t *expected = json_object();
    expect_words(expected, "tcp_accepted=4 tcp_closed=4 tcp_malformed tcp_reset queries_tcp4=3 "
                           "answers_tcp=2 dropped_response opcode.QUERY=2 qtype.A=2 "
                           "rcode.NOERROR=2 answers_authoritative=2 latency=2 "
                           "bytes_received_tcp=103 bytes_sent_tcp=92");
    expect_changes(before, expected, "connections that end in each way");
}
END_TEST

/* ---- Sums ---- */

START_TEST(workers_sum_to_the_whole)
{
    for (unsigned i = 0; i < 50; i++) {
        ask_once("127.0.0.1", server.port, i % 2 == 0, "www.c.test.", "A");
    }
    json_t *all, *flat, *sums = json_object();
    json_decref(counters_settled());
    json_t *answer = control_line(&server, "{\"command\": \"stats\", \"per_worker\": true}",
                                  harness_patience_ms());
    all = json_object_get(answer, "result");
    flat = flatten(json_object_get(all, "counters"));
    size_t i;
    json_t *worker, *value;
    const char *name;
    json_array_foreach (json_object_get(all, "per_worker"), i, worker) {
        ck_assert_int_eq(json_integer_value(json_object_get(worker, "worker")), (int)i);
        json_t *own = flatten(json_object_get(worker, "counters"));
        json_object_foreach (own, name, value) {
            int64_t so_far = number_of(sums, name);
            json_object_set_new(sums, name, json_integer(so_far + json_integer_value(value)));
        }
        json_decref(own);
    }
    ck_assert_uint_eq(i, 2);
    /* These two no worker counts. */
    ck_assert_str_eq(json_at(flat, "zones_loaded"), "2");
    ck_assert_str_eq(json_at(flat, "zones_failed"), "1");
    json_object_del(flat, "zones_loaded");
    json_object_del(flat, "zones_failed");
    char *is = json_dumps(sums, JSON_SORT_KEYS), *should = json_dumps(flat, JSON_SORT_KEYS);
    ck_assert_msg(json_equal(sums, flat), "%s\nis not\n%s", is, should);
    ck_assert_int_eq(number_of(flat, "latency"),
                     number_of(flat, "answers_udp") + number_of(flat, "answers_tcp"));
    free(is);
    free(should);
    json_decref(flat);
    json_decref(sums);
    json_decref(answer);
}
END_TEST

/* The text has the numbers of the JSON. */
START_TEST(text_has_the_same_numbers)
{
    json_t *flat = counters_now();
    const char *text = rrdnsctl(&server, "stats").out;
    const char *name;
    json_t *value;
    json_object_foreach (flat, name, value) {
        if (strcmp(name, "latency") != 0) {
            ck_contains(text,
                        format_text("%-28s %lld\n", name, (long long)json_integer_value(value)));
        }
    }
    json_decref(flat);
}
END_TEST

START_TEST(stops)
{
    daemon_stop(&server);
}
END_TEST

static Suite *counters(void)
{
    Suite *suite = suite_create("counters");
    TCase *tcase = tcase_create("counters");
    tcase_add_unchecked_fixture(tcase, begin, NULL);
    tcase_add_loop_test(tcase, clients, 0, ASKED);
    tcase_add_test(tcase, cookie_of_the_server);
    tcase_add_test(tcase, truncated);
    tcase_add_test(tcase, dropped);
    tcase_add_test(tcase, tcp_ends_of_each_kind);
    tcase_add_test(tcase, workers_sum_to_the_whole);
    tcase_add_test(tcase, text_has_the_same_numbers);
    tcase_add_test(tcase, stops);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return harness_main("counters", counters);
}

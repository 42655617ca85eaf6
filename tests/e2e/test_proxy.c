/*
 * What is forwarded where, what is in the answers and in the questions upstream, and the cache,
 * with upstream servers that behave.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "packet.h"
#include "proxied.h"
#include "resolver.h"
#include "transport.h"

enum { OPTION_COOKIE = 10, OPTION_NSID = 3, MANY_QUESTIONS = 2000 };

/* Groups: main asks up; authority, an origin, and mixed, with letters in random case, ask other;
 * tcp and tls ask up. What is routed to which is below. */
static void begin(void)
{
    proxied_upstreams();
    scripted_authoritative(other, true);
    proxied_start(
        "proxy",
        format_text(
            "{\"upstreams\": {%s, %s, %s, %s, %s}, \"allow\": [\"127.0.0.0/24\", \"::1\"],"
            " \"cache\": {\"size\": \"4M\"}, \"routes\": ["
            "{\"zone\": \"up.test\", \"upstream\": \"main\"},"
            "{\"zone\": \"below.up.test\", \"upstream\": \"authority\"},"
            "{\"zone\": \"child.own.test\", \"upstream\": \"authority\"},"
            "{\"zone\": \"tie.test\", \"upstream\": \"main\"},"
            "{\"zone\": \"mixed.test\", \"upstream\": \"mixed\"},"
            "{\"zone\": \"tcp.test\", \"upstream\": \"tcp\"},"
            "{\"zone\": \"tls.test\", \"upstream\": \"tls\"},"
            "{\"zone\": \"some.test\", \"upstream\": \"main\", \"allow\": [\"127.0.0.2/32\"]}]}",
            proxied_upstream("main", proxied_address(up), ""),
            proxied_upstream("authority", proxied_address(other), ", \"origin\": true"),
            proxied_upstream("mixed", proxied_address(other), ", \"case_mix\": true"),
            proxied_upstream("tcp", format_text("\"tcp://127.0.0.1:%u\"", scripted_port(up)), ""),
            proxied_upstream("tls",
                             format_text("\"tls://127.0.0.1:%u#up.test\"", scripted_tls_port(up)),
                             format_text(", \"tls_ca\": \"%s\"", CERTIFICATE))),
        NULL);
}

static const char *say(const char *name, const char *type)
{
    return text_of(server.port, name, type);
}

/* What the upstreams of the tests say, asked without anything between. */
START_TEST(the_upstream_itself)
{
    static const char *const kinds[] = {"A", "AAAA", "TXT", "TYPE65280"};
    for (size_t i = 0; i < 4; i++) {
        for (unsigned stream = 0; stream < 2; stream++) {
            ck_assert_str_eq(
                ask_once("127.0.0.1", scripted_port(up), stream, "x.up.test.", kinds[i]),
                scripted_text("x.up.test.", kinds[i], 1));
        }
    }
    ck_assert_str_ne(scripted_text("x.up.test.", "A", 1), scripted_text("y.up.test.", "A", 1));
    scripted_forget(up);
}
END_TEST

/* ---- Routes ---- */

START_TEST(own_zones)
{
    uint64_t count = scripted_count(up) + scripted_count(other);
    ck_assert_str_eq(say("www.own.test.", "A"), "NOERROR 192.0.2.10");
    ck_assert_str_eq(say("www.tie.test.", "A"), "NOERROR 192.0.2.10"); /* a tie goes to our own */
    ck_assert_str_eq(say("nothere.tie.test.", "A"), "NXDOMAIN");
    ck_assert_uint_eq(scripted_count(up) + scripted_count(other), count);
}
END_TEST

START_TEST(longest_match)
{
    ck_assert_str_eq(say("longest.up.test.", "A"), scripted_text("longest.up.test.", "A", 1));
    ck_assert_str_eq(say("longest.below.up.test.", "A"),
                     scripted_text("longest.below.up.test.", "A", 1));
    ck_assert_str_eq(say("up.test.", "TXT"), scripted_text("up.test.", "TXT", 1));
    ck_assert_uint_eq(scripted_asked(up, "longest.up.test.", NULL), 1);
    ck_assert_uint_eq(scripted_asked(up, "up.test.", NULL), 1);
    ck_assert_uint_eq(scripted_asked(up, "longest.below.up.test.", NULL), 0);
    ck_assert_uint_eq(scripted_asked(other, "longest.below.up.test.", NULL), 1);
}
END_TEST

/* A child of our own zone has its origin; its DS is the parent's business, its NS its own. */
START_TEST(child_of_own_zone)
{
    struct said said = say_to(server.port, false, "www.child.own.test.", "A", 0);
    ck_assert_str_eq(said.text, scripted_text("www.child.own.test.", "A", 1));
    ck_assert_msg((said.flags & FLAG_AA) != 0 && (said.flags & FLAG_RA) == 0, "flags %04x",
                  said.flags);
    said = say_to(server.port, false, "www.child.own.test.", "A", 0);
    ck_assert_msg((said.flags & FLAG_AA) != 0 && (said.flags & FLAG_RA) == 0,
                  "from the cache: flags %04x", said.flags);
    ck_assert_str_eq(say("child.own.test.", "TXT"), scripted_text("child.own.test.", "TXT", 1));
    uint64_t count = scripted_count(other);
    said = say_to(server.port, false, "child.own.test.", "DS", 0);
    ck_assert_str_eq(said.text, "NOERROR 12345 13 2 0123456789abcdef0123456789abcdef"
                                "0123456789abcdef0123456789abcdef");
    ck_assert((said.flags & FLAG_AA) != 0);
    ck_assert_uint_eq(scripted_count(other), count);
    say("below.child.own.test.", "DS");
    ck_assert_uint_eq(scripted_count(other), count + 1);
}
END_TEST

START_TEST(no_route)
{
    struct said said = say_to(server.port, false, "www.elsewhere.test.", "A", 0);
    ck_assert_str_eq(said.text, "REFUSED");
    ck_assert((said.flags & FLAG_RA) == 0);
    ck_assert_str_eq(say(".", "NS"), "REFUSED");
}
END_TEST

/* Zone transfers, other classes and other opcodes are no business of a forwarder. */
START_TEST(not_forwarded)
{
    uint64_t count = scripted_count(up);
    struct query_spec queries[4];
    for (unsigned i = 0; i < 4; i++) {
        struct packet packet;
        queries[i] = query_for("not.up.test.", i == 0 ? "AXFR" : i == 1 ? "IXFR" : "A");
        queries[i].class = i == 2 ? 3 : 1;
        queries[i].flags = (uint16_t)(i == 3 ? 4 << 11 : 0); /* NOTIFY */
        query_ask(&server, true, &queries[i], &packet);
        ck_assert_msg(packet.rcode != 0, "question %u: %s", i, packet_text(&packet));
        packet_free(&packet);
    }
    ck_assert_uint_eq(scripted_count(up), count);
}
END_TEST

static void expect_prohibited(const char *from, const char *name)
{
    struct volley_item item = {.name = name, .type = "A"};
    proxied_reset();
    volley(from, server.port, &item, 1, CLIENT_MS);
    ck_assert(item.said.answered);
    ck_assert_str_eq(item.said.text, "REFUSED");
    ck_assert_int_eq(item.said.ede, EDE_PROHIBITED);
    ck_assert((item.said.flags & FLAG_RA) == 0);
    ck_assert_int_eq(proxied_grown("proxy_refused_client"), 1);
}

START_TEST(clients_that_may)
{
    struct volley_item item = {.name = "may.some.test.", .type = "A"};
    expect_prohibited(NULL, "may.some.test.");
    volley("127.0.0.2", server.port, &item, 1, CLIENT_MS);
    ck_assert_str_eq(item.said.text, scripted_text("may.some.test.", "A", 1));
    expect_prohibited(NULL, "may.some.test."); /* what is in the cache is not for all either */
    expect_prohibited("127.0.1.1", "may.up.test.");
    struct volley_item own = {.name = "www.own.test.", .type = "A"};
    volley("127.0.1.1", server.port, &own, 1, CLIENT_MS);
    ck_assert_str_eq(own.said.text, "NOERROR 192.0.2.10");
    if (have_ipv6()) {
        ck_assert_str_eq(ask_once("::1", server.port, false, "six.up.test.", "A"),
                         scripted_text("six.up.test.", "A", 1));
    }
    ck_assert_uint_eq(scripted_asked(up, "may.some.test.", NULL), 1);
    ck_assert_uint_eq(scripted_asked(up, "may.up.test.", NULL), 0);
}
END_TEST

/* ---- Messages ---- */

/* One combination of RD, CD and DO: asked upstream as it came, answered as asked. Two times: from
 * upstream, and from the cache. */
static void pass_through(const char *name, unsigned bits, unsigned expect_asked)
{
    struct query_spec query = query_for(name, "A");
    bool dnssec_ok = (bits & 4) != 0;
    query.flags = (uint16_t)((bits & 1 ? FLAG_RD : 0) | (bits & 2 ? FLAG_CD : 0));
    query.edns = dnssec_ok || (bits & 8) != 0;
    query.edns_flags = (uint16_t)(dnssec_ok ? EDNS_DO : 0);
    uint16_t both = query.flags | query.edns_flags;
    for (unsigned times = 0; times < 2; times++) {
        struct packet packet;
        query_ask(&server, false, &query, &packet);
        ck_assert_uint_eq(packet.rcode, 0);
        ck_assert_msg(packet.flags == (0x8000 | FLAG_RA | (dnssec_ok ? FLAG_AD : 0) | query.flags),
                      "bits %u: flags %04x", bits, packet.flags);
        ck_assert_int_eq(memcmp(packet.data + 12, query.name, query.name_size), 0);
        ck_assert_uint_eq(packet.opts, query.edns);
        ck_assert_uint_eq(packet.edns_flags, query.edns_flags);
        ck_assert_uint_eq(packet.records[SECTION_ANSWER], dnssec_ok ? 2 : 1);
        packet_free(&packet);
    }
    struct scripted_question asked = scripted_last(up, name, "A");
    uint16_t passed =
        (uint16_t)((asked.flags & (FLAG_RD | FLAG_CD)) | (asked.edns_flags & EDNS_DO));
    if (expect_asked > 0) {
        ck_assert_uint_eq(scripted_asked(up, name, "A"), expect_asked);
        ck_assert_msg(passed == both && (asked.flags & ~(FLAG_RD | FLAG_CD | FLAG_AD)) == 0,
                      "bits %u: flags %04x, EDNS %04x", bits, asked.flags, asked.edns_flags);
        ck_assert(asked.edns && asked.edns_size >= 512);
    }
}

START_TEST(bits_pass_through)
{
    for (unsigned bits = 0; bits < 8; bits++) {
        pass_through("BiTs.uP.TesT.", bits, bits + 1); /* an entry of the cache for each */
    }
    pass_through("bits.up.test.", 8 | 1, 0); /* EDNS without DO is as none */
    /* AD is for those who ask for it (RFC 6840 section 5.7). */
    struct query_spec query = query_for("bits.up.test.", "A");
    struct packet packet;
    query.flags = FLAG_RD | FLAG_AD;
    query_ask(&server, false, &query, &packet);
    ck_assert_uint_eq(packet.flags, 0x8000 | FLAG_RA | FLAG_RD | FLAG_AD);
    packet_free(&packet);
    ck_assert_uint_eq(scripted_asked(up, "bits.up.test.", "A"), 8);
}
END_TEST

/* IDs of upstream questions have nothing to do with those of clients, nor with each other. */
START_TEST(ids_and_ports_vary)
{
    static bool seen[2][65536];
    size_t count, distinct[2] = {0}, steps = 0, client_ids = 0;
    scripted_forget(up);
    for (unsigned i = 0; i < MANY_QUESTIONS; i += 100) {
        static struct volley_item items[100];
        for (unsigned j = 0; j < 100; j++) {
            items[j] =
                (struct volley_item){.name = format_text("vary%u.up.test.", i + j), .type = "A"};
        }
        volley(NULL, server.port, items, 100, CLIENT_MS);
        volley_all_answered(items, 100);
        ck_assert_uint_eq(volley_count(items, 100, "NOERROR"), 100);
    }
    struct scripted_question *all = scripted_all(up, &count);
    ck_assert_uint_ge(count, MANY_QUESTIONS);
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < count; i++) {
        distinct[0] += !seen[0][all[i].id];
        distinct[1] += !seen[1][all[i].port];
        seen[0][all[i].id] = seen[1][all[i].port] = true;
        client_ids += all[i].id < 100;
        steps += i > 0 && (uint16_t)(all[i].id - all[i - 1].id) < 8;
    }
    free(all);
    /* Of 2000 in 65536, some 30 are there twice. */
    ck_assert_msg(distinct[0] > count * 95 / 100, "only %zu IDs in %zu questions", distinct[0],
                  count);
    ck_assert_msg(distinct[1] >= 16, "only %zu ports in %zu questions", distinct[1], count);
    ck_assert_msg(client_ids < 20 && steps < 20, "%zu IDs of clients, %zu that follow", client_ids,
                  steps);
}
END_TEST

/* EDNS is hop by hop: nothing of the upstream's reaches the client, nothing of the client's the
 * upstream. */
static void expect_own_edns(const char *name, bool with_cookie)
{
    struct query_spec query = query_for(name, "A");
    struct packet packet;
    static const uint8_t subnet[] = {0, 1, 24, 0, 192, 0, 2};
    uint8_t cookie[8] = "clients!";
    size_t size;
    query_add_option(&query, 8, subnet, sizeof subnet);
    query_add_option(&query, 65002, "mine", 4);
    if (with_cookie) {
        query_add_option(&query, OPTION_COOKIE, cookie, sizeof cookie);
    }
    query_ask(&server, false, &query, &packet);
    ck_assert_uint_eq(packet.rcode, 0);
    ck_assert_uint_eq(packet.records[SECTION_ANSWER], 1);
    ck_assert_uint_eq(packet.opts, 1);
    ck_assert_ptr_null(packet_option(&packet, OPTION_NSID, &size));
    ck_assert_ptr_null(packet_option(&packet, SCRIPTED_OPTION, &size));
    ck_assert_ptr_null(packet_option(&packet, 8, &size));
    const uint8_t *came = packet_option(&packet, OPTION_COOKIE, &size);
    ck_assert_int_eq(came != NULL, with_cookie);
    if (with_cookie) {
        ck_assert_uint_eq(size, 24);
        ck_assert_int_eq(memcmp(came, cookie, 8), 0);
        ck_assert_int_ne(memcmp(came + 8, "a server's own..", 16), 0);
    }
    packet_free(&packet);
}

START_TEST(edns_is_hop_by_hop)
{
    for (unsigned times = 0; times < 2; times++) {
        expect_own_edns("edns.up.test.", true);
        expect_own_edns("edns.up.test.", false);
    }
    struct scripted_question asked = scripted_last(up, "edns.up.test.", "A");
    ck_assert(asked.edns);
    for (size_t at = 0; at + 4 <= asked.options_size;) {
        unsigned code = (unsigned)(asked.options[at] << 8 | asked.options[at + 1]);
        ck_assert_msg(code != 8 && code != 65002, "option %u was passed on", code);
        at += 4u + (unsigned)(asked.options[at + 2] << 8 | asked.options[at + 3]);
    }
    ck_assert_int_ne(memcmp(asked.cookie, "clients!", 8), 0);
}
END_TEST

START_TEST(cookies_of_upstream)
{
    /* One worker or the other: both come to know the server's cookie. */
    for (unsigned i = 0; i < 40; i++) {
        say(format_text("cookie%u.up.test.", i), "A");
    }
    unsigned full = 0;
    for (unsigned i = 20; i < 40; i++) {
        struct scripted_question q = scripted_last(up, format_text("cookie%u.up.test.", i), "A");
        ck_assert_msg(q.cookie_size == 8 || q.cookie_size == 24, "a cookie of %u octets",
                      q.cookie_size);
        full += q.cookie_size == 24 && memcmp(q.cookie + 8, "a server's own..", 16) == 0;
    }
    ck_assert_uint_ge(full, 15);
    ck_assert_str_eq(say("badcookie.up.test.", "A"), scripted_text("badcookie.up.test.", "A", 1));
}
END_TEST

START_TEST(behind_opt)
{
    for (unsigned times = 0; times < 2; times++) {
        struct said said = say_to(server.port, false, "behind.up.test.", "A", 0);
        ck_assert_str_eq(said.text, scripted_text("behind.up.test.", "A", 1));
    }
}
END_TEST

/* A chain's second owner is a pointer into the first record's data. */
START_TEST(chains)
{
    for (unsigned times = 0; times < 2; times++) {
        struct said said = say_to(server.port, false, "chain.up.test.", "A", 0);
        ck_assert_str_eq(said.text, "NOERROR t.chain.up.test.");
        ck_assert_uint_eq(said.records, 2);
        said = say_to(server.port, false, "many-20.up.test.", "A", 0);
        ck_assert_uint_eq(said.records, 20);
    }
}
END_TEST

START_TEST(rcodes_pass)
{
    static const char *const kinds[][2] = {{"servfail.up.test.", "SERVFAIL"},
                                           {"nxdomain.up.test.", "NXDOMAIN"},
                                           {"nodata.up.test.", "NOERROR"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        ck_assert_str_eq(say(kinds[i][0], "A"), kinds[i][1]);
    }
    struct said said = say_to(server.port, false, "servfail.ede-6.up.test.", "A", 0);
    ck_assert_str_eq(said.text, "SERVFAIL");
    ck_assert_int_eq(said.ede, 6);
}
END_TEST

START_TEST(truncated_goes_to_tcp)
{
    proxied_reset();
    struct said said = say_to(server.port, false, "truncated.up.test.", "A", 0);
    ck_assert_str_eq(said.text, scripted_text("truncated.up.test.", "A", 1));
    ck_assert_int_eq(proxied_grown("proxy_over_tcp"), 1);
    ck_assert_uint_eq(scripted_asked(up, "truncated.up.test.", "A"), 2);
    ck_assert_int_eq(scripted_last(up, "truncated.up.test.", "A").way, BY_TCP);
    say("truncated.up.test.", "A");
    ck_assert_uint_eq(scripted_asked(up, "truncated.up.test.", "A"), 2);
}
END_TEST

START_TEST(huge_answers)
{
    struct said said = say_to(server.port, true, "huge.up.test.", "TXT", 0);
    ck_assert_uint_ge(said.size, 60000);
    ck_assert_uint_eq(said.records, 232);
    said = say_to(server.port, false, "huge.up.test.", "TXT", 0);
    ck_assert((said.flags & FLAG_TC) != 0);
    ck_assert_uint_le(said.size, 1232);
    /* One that fits what upstream may send, and our cache, but not what this client takes. */
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, true, "many-60.up.test.", "A"),
                     scripted_text("many-60.up.test.", "A", 1));
    ck_assert_uint_eq(say_to(server.port, false, "many-60.up.test.", "A", 0).records, 60);
    struct query_spec query = query_for("many-60.up.test.", "A");
    struct packet packet;
    query_ask(&server, false, &query, &packet);
    ck_assert((packet.flags & FLAG_TC) != 0 && packet.size <= 512);
    packet_free(&packet);
}
END_TEST

START_TEST(streams_upstream)
{
    static const char *const zones[] = {"tcp.test.", "tls.test."};
    static const enum scripted_way ways[] = {BY_TCP, BY_TLS};
    for (unsigned i = 0; i < 2; i++) {
        unsigned connections = scripted_connections(up);
        struct volley_item items[200];
        for (unsigned j = 0; j < 200; j++) {
            items[j] = (struct volley_item){.name = format_text("s%u.%s", j, zones[i]),
                                            .type = j % 2 == 0 ? "A" : "TXT"};
        }
        volley(NULL, server.port, items, 200, CLIENT_MS);
        volley_all_answered(items, 200);
        for (unsigned j = 0; j < 200; j++) {
            ck_assert_str_eq(items[j].said.text, scripted_text(items[j].name, items[j].type, 1));
        }
        ck_assert_int_eq(scripted_last(up, format_text("s7.%s", zones[i]), NULL).way, ways[i]);
        unsigned opened = scripted_connections(up) - connections;
        ck_assert_msg(opened <= 8, "%u connections for 200 questions", opened); /* 4 a worker */
        struct said said = say_to(server.port, true, format_text("huge.%s", zones[i]), "TXT", 0);
        ck_assert_uint_eq(said.records, 232);
    }
}
END_TEST

START_TEST(mixed_case)
{
    unsigned mixed = 0;
    for (unsigned i = 0; i < 20; i++) {
        const char *name = format_text("aLetter%u.lots.of.letters.mixed.test.", i);
        struct said said = say_to(server.port, false, name, "A", 0); /* the case is looked at */
        ck_assert_str_eq(said.text, scripted_text(name, "A", 1));
        struct scripted_question q = scripted_last(other, name, "A");
        unsigned upper = 0;
        for (size_t j = 0; j < q.name_size; j++) {
            upper += isupper(q.name[j]) != 0;
        }
        mixed += upper > 2; /* of 30 letters */
    }
    ck_assert_uint_eq(mixed, 20);
    proxied_reset();
    struct said said = say_to(server.port, false, "wrongcase.lots.of.letters.mixed.test.", "A", 0);
    ck_assert_str_eq(said.text, "SERVFAIL");
    ck_assert_int_ge(proxied_grown("proxy_rejected_question"), 1);
}
END_TEST

/* ---- Control ---- */

START_TEST(upstreams_told)
{
    say("told.up.test.", "A");
    json_t *result = proxied_ctl("upstreams");
    const json_t *list = json_object_get(result, "upstreams");
    ck_assert_uint_eq(json_array_size(list), 5);
    const json_t *of_main = NULL, *one;
    size_t i;
    json_array_foreach (list, i, one) {
        of_main = strcmp(json_at(one, "group"), "main") == 0 ? one : of_main;
    }
    ck_assert_ptr_nonnull(of_main);
    ck_contains(json_at(of_main, "server"), format_text("127.0.0.1:%u", scripted_port(up)));
    ck_assert_str_eq(json_at(of_main, "state"), "up");
    static const char *const keys[] = {"queries", "replies"};
    for (unsigned k = 0; k < 2; k++) {
        ck_assert_msg(json_integer_value(json_object_get(of_main, keys[k])) > MANY_QUESTIONS,
                      "%s: %s", keys[k], json_at(of_main, keys[k]));
    }
    double latency = json_number_value(json_object_get(of_main, "latency_ms"));
    ck_assert_msg(latency > 0 && latency < 1000, "latency %s", json_at(of_main, "latency_ms"));
    ck_assert_str_eq(json_at(of_main, "outstanding"), "0");
    json_decref(result);
    struct output o = rrdnsctl(&server, "upstreams");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "authority");
    ck_contains(o.out, format_text("127.0.0.1:%u", scripted_port(other)));
}
END_TEST

static Suite *proxy_suite(void)
{
    Suite *suite = suite_create("proxy");
    const TTest *const tests[] = {the_upstream_itself,
                                  own_zones,
                                  longest_match,
                                  child_of_own_zone,
                                  no_route,
                                  not_forwarded,
                                  clients_that_may,
                                  bits_pass_through,
                                  ids_and_ports_vary,
                                  edns_is_hop_by_hop,
                                  cookies_of_upstream,
                                  behind_opt,
                                  chains,
                                  rcodes_pass,
                                  truncated_goes_to_tcp,
                                  huge_answers,
                                  streams_upstream,
                                  mixed_case,
                                  upstreams_told,
                                  NULL};
    proxied_group(suite, "proxy", begin, tests);
    return suite;
}

int main(void)
{
    return harness_main("proxy", proxy_suite);
}

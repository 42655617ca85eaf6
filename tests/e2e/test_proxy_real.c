/*
 * The proxy between real servers: unbound as its upstream, over UDP and TLS; an rrdnsd that signs
 * online as the hidden origin behind it, as validators see it: delv, ldns, and unbound in front.
 */
#include <stdlib.h>
#include <string.h>

#include "certificate.h"
#include "packet.h"
#include "proxied.h"
#include "resolver.h"
#include "transport.h"

/* Zones of the origin, all signed by it. direct.example and nsec.example are routed to it,
 * via.example is to unbound. */
enum { DIRECT, NSEC, VIA, ZONES };
static struct zone_keys zones[ZONES] = {
    {.zone = "direct.example."}, {.zone = "nsec.example."}, {.zone = "via.example."}};
static const char *const denial[ZONES] = {"compact", "nsec", "compact"};

static struct daemon origin = {.control = -1};
static struct resolver behind, front;
static uint16_t tls_port;

static const char zone_text[] = "$TTL 60\n@ SOA ns host 1 7200 900 86400 30\n@ NS ns\n"
                                "ns A 192.0.2.1\nwww A 192.0.2.3\nwww TXT hello\n"
                                "alias CNAME www\n*.wild A 192.0.2.4\nb.ent A 192.0.2.5\n"
                                "$GENERATE 1-20 big TXT \"a text that fills answers, number $\"\n";

static void begin_origin(void)
{
    json_t *policies = json_object(), *list = json_array();
    for (size_t i = 0; i < ZONES; i++) {
        const char *name = format_text("%.*s", (int)strlen(zones[i].zone) - 1, zones[i].zone);
        json_object_set_new(policies, name,
                            json_pack("{s:s,s:s}", "keys", "keys", "denial", denial[i]));
        json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "name", name, "file",
                                              format_text("zones/%s.zone", name), "dnssec", name));
    }
    json_t *config = json_pack("{s:o,s:o}", "zones", list, "dnssec", policies);
    char *text = json_dumps(config, 0);
    daemon_prepare(&origin, "origin", text);
    free(text);
    json_decref(config);
    for (size_t i = 0; i < ZONES; i++) {
        daemon_zone(&origin, format_text("%.*s", (int)strlen(zones[i].zone) - 1, zones[i].zone),
                    zone_text);
    }
    dir_make(format_text("%s/keys", origin.dir));
    daemon_start(&origin);
    for (size_t i = 0; i < ZONES; i++) {
        keys_read(&zones[i], format_text("%s/keys", origin.dir), format_text("%s", zones[i].zone));
    }
}

static void begin_behind(void)
{
    certificate_make("unbound", "DNS:resolver.example,IP:127.0.0.1");
    tls_port = free_port();
    resolver_start(
        &behind, "behind", &origin, &zones[VIA], 1,
        format_text(" interface: 127.0.0.1@%u\n tls-port: %u\n"
                    " tls-service-pem: \"%s\"\n tls-service-key: \"%s\"\n"
                    " local-zone: \"local.example.\" static\n"
                    " local-data: \"local.example. 60 SOA ns host 1 7200 900 86400 30\"\n"
                    " local-data: \"www.local.example. 60 A 192.0.2.77\"\n"
                    " local-data: \"www.local.example. 60 AAAA 2001:db8::77\"\n"
                    " local-zone: \"dot.example.\" redirect\n"
                    " local-data: \"dot.example. 60 A 192.0.2.88\"\n",
                    tls_port, tls_port, harness_path("unbound.pem"), harness_path("unbound.key")));
}

static void begin(void)
{
    begin_origin();
    begin_behind();
    const char *ca = format_text(", \"tls_ca\": \"%s\"", harness_path("unbound.pem"));
    proxied_start(
        "real",
        format_text(
            "{\"upstreams\": {%s, %s, %s, %s}, \"routes\": ["
            "{\"zone\": \".\", \"upstream\": \"resolver\"},"
            "{\"zone\": \"direct.example\", \"upstream\": \"origin\"},"
            "{\"zone\": \"nsec.example\", \"upstream\": \"origin\"},"
            "{\"zone\": \"dot.example\", \"upstream\": \"dot\"},"
            "{\"zone\": \"bad.dot.example\", \"upstream\": \"baddot\"}]}",
            proxied_upstream("resolver", format_text("\"127.0.0.1:%u\"", behind.port),
                             ", \"timeout\": \"2s\""),
            proxied_upstream("origin", format_text("\"127.0.0.1:%u\"", origin.port),
                             ", \"origin\": true"),
            proxied_upstream("dot",
                             format_text("\"tls://127.0.0.1:%u#resolver.example\"", tls_port), ca),
            proxied_upstream("baddot",
                             format_text("\"tls://127.0.0.1:%u#other.example\"", tls_port), ca)),
        NULL);
}

/* ---- unbound as the upstream ---- */

START_TEST(local_data)
{
    for (unsigned times = 0; times < 2; times++) {
        struct said said = say_to(server.port, false, "www.local.example.", "A", 0);
        ck_assert_str_eq(said.text, "NOERROR 192.0.2.77");
        ck_assert_msg((said.flags & (FLAG_AA | FLAG_RA)) == FLAG_RA || times == 0, "flags %04x",
                      said.flags);
        ck_assert_str_eq(text_of(server.port, "www.local.example.", "AAAA"),
                         "NOERROR 2001:db8::77");
        ck_assert_str_eq(text_of(server.port, "nothere.local.example.", "A"), "NXDOMAIN");
        ck_assert_str_eq(text_of(server.port, "www.local.example.", "MX"), "NOERROR");
    }
    ck_assert_str_eq(text_of(server.port, "www.own.test.", "A"), "NOERROR 192.0.2.10");
    ck_assert_int_ge(proxied_grown("proxy_hits"), 4);
}
END_TEST

START_TEST(over_tls)
{
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_str_eq(text_of(server.port, format_text("x%u.dot.example.", i), "A"),
                         "NOERROR 192.0.2.88");
    }
    ck_assert_str_eq(proxied_told("dot", NULL, "state"), "up");
    struct said said = say_to(server.port, false, "x.bad.dot.example.", "A", 0);
    ck_assert_str_eq(said.text, "SERVFAIL");
    ck_assert_str_eq(proxied_told("baddot", NULL, "last_error"), "tls");
    ck_assert_str_eq(proxied_told("baddot", NULL, "replies"), "0");
}
END_TEST

/* unbound validates for us: what it says of it, and that a bad signature is not seen as good. */
START_TEST(through_a_validator)
{
    struct said said = say_to(server.port, false, "www.via.example.", "A", EDNS_DO);
    ck_assert_str_eq(said.text, "NOERROR 192.0.2.3");
    ck_assert_uint_eq(said.records, 2);
    said = say_to(server.port, false, "www.via.example.", "A", 0);
    ck_assert_uint_eq(said.records, 1);
}
END_TEST

static void expect_delv(size_t zone)
{
    static const struct {
        const char *name, *type, *said;
    } questions[] = {
        {"www.", "A", "fully validated"},
        {"", "DNSKEY", "fully validated"},
        {"alias.", "A", "fully validated"},
        {"x.wild.", "A", "fully validated"},
        {"www.", "MX", "negative response, fully validated"},
        {"big.", "TXT", "fully validated"},
        {"nothere.", "A", "negative response, fully validated"},
        {"ent.", "A", "negative response, fully validated"},
    };
    enum { COUNT = sizeof questions / sizeof questions[0] };
    struct delv_question asked[COUNT];
    char *said[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        asked[i] = (struct delv_question){format_text("%s%s", questions[i].name, zones[zone].zone),
                                          questions[i].type};
    }
    delv(&server, &zones[zone], asked, COUNT, said);
    for (size_t i = 0; i < COUNT; i++) {
        ck_assert_msg(strstr(said[i], questions[i].said) != NULL, "%s %s: %s", asked[i].name,
                      asked[i].type, said[i]);
        free(said[i]);
    }
}

/* Two times: from upstream and, in part, from the cache. */
START_TEST(delv_validates)
{
    expect_delv((size_t)_i);
    expect_delv((size_t)_i);
}
END_TEST

/* ---- A hidden origin ---- */

START_TEST(origin_seen_through_us)
{
    static const char *const questions[][2] = {{"www.", "A"},    {"", "SOA"},    {"", "DNSKEY"},
                                               {"x.wild.", "A"}, {"www.", "MX"}, {"nothere.", "A"},
                                               {"b.ent.", "A"},  {"big.", "TXT"}};
    for (size_t zone = DIRECT; zone <= NSEC; zone++) {
        for (size_t i = 0; i < 2 * sizeof questions / sizeof questions[0]; i++) {
            const char *const *question = questions[i / 2];
            const char *name = format_text("%s%s", question[0], zones[zone].zone);
            struct packet packet, straight;
            signed_ask(&server, true, 1232, name, question[1], &packet);
            signed_ask(&origin, true, 1232, name, question[1], &straight);
            ck_assert_msg((packet.flags & FLAG_AA) != 0 && (packet.flags & FLAG_RA) == 0,
                          "%s: flags %04x", name, packet.flags);
            ck_assert_uint_eq(packet.rcode, straight.rcode);
            for (unsigned section = 0; section < SECTIONS; section++) {
                ck_assert_uint_eq(packet.records[section], straight.records[section]);
            }
            const char *fault = signatures_fault(&server, zones, ZONES, &packet);
            ck_assert_msg(fault == NULL, "%s: %s\n%s", name, fault, packet_text(&packet));
            packet_free(&packet);
            packet_free(&straight);
        }
    }
}
END_TEST

/* A resolver that believes us to be the zone's server. */
START_TEST(resolver_in_front)
{
    resolver_start(&front, "front", &server, zones, 2, NULL);
    static const char *const questions[][3] = {
        {"www.direct.example.", "A", "NOERROR AD"},
        {"alias.direct.example.", "A", "NOERROR AD"},
        {"x.wild.direct.example.", "A", "NOERROR AD"},
        {"www.direct.example.", "MX", "NOERROR AD"},
        {"nothere.direct.example.", "A", "NOERROR AD"},
        {"nothere.nsec.example.", "A", "NXDOMAIN AD"},
        {"x.wild.nsec.example.", "TXT", "NOERROR AD"},
        {"big.nsec.example.", "TXT", "NOERROR AD"},
    };
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        const char *said = resolver_ask(&front, questions[i][0], questions[i][1]);
        ck_assert_msg(strcmp(said, questions[i][2]) == 0, "%s %s: %s", questions[i][0],
                      questions[i][1], said);
    }
    resolver_stop(&front);
}
END_TEST

/* The origin is gone: what is known is still served, with its signatures; it comes back. */
START_TEST(origin_gone_and_back)
{
    struct packet packet;
    ck_assert_str_eq(text_of(server.port, "www.direct.example.", "A"), "NOERROR 192.0.2.3");
    daemon_stop(&origin);
    ck_assert_str_eq(text_of(server.port, "www.direct.example.", "A"), "NOERROR 192.0.2.3");
    signed_ask(&server, true, 1232, "www.direct.example.", "A", &packet);
    const char *fault = signatures_fault(&server, zones, ZONES, &packet);
    ck_assert_msg(fault == NULL, "%s", fault);
    packet_free(&packet);
    struct said said = say_to(server.port, false, "unseen.direct.example.", "A", 0);
    ck_assert_str_eq(said.text, "SERVFAIL");
    ck_assert_msg(said.ede == EDE_UNREACHABLE || said.ede == EDE_NETWORK, "EDE %d", said.ede);
    uint16_t port = origin.port;
    daemon_start(&origin);
    ck_assert_uint_eq(origin.port, port);
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    unsigned number = 0;
    while (strcmp(text_of(server.port, format_text("x%u.wild.direct.example.", number++), "A"),
                  "NOERROR 192.0.2.4") != 0) {
        ck_assert_msg(clock_ms() < end, "the origin is not seen again");
        pause_ms(20);
    }
}
END_TEST

START_TEST(others_stop)
{
    resolver_stop(&behind);
    resolver_stop(&front);
    daemon_stop(&origin);
}
END_TEST

static Suite *real_suite(void)
{
    Suite *suite = suite_create("proxy_real");
    const TTest *const tests[] = {local_data,          over_tls,
                                  through_a_validator, origin_seen_through_us,
                                  resolver_in_front,   origin_gone_and_back,
                                  others_stop,         NULL};
    TCase *validated = tcase_create("validated");
    tcase_add_unchecked_fixture(validated, begin, NULL);
    tcase_add_loop_test(validated, delv_validates, 0, ZONES);
    suite_add_tcase(suite, validated);
    proxied_group(suite, "real", NULL, tests);
    return suite;
}

int main(void)
{
    return harness_main("proxy_real", real_suite);
}

/*
 * Whole worlds, query in and answer out: which zone answers, chains from zone to zone, what no zone
 * answers, cookies, streams, counters; and worlds by chance against the slow server.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "make_world.h"
#include "make_zone.h"
#include "names.h"
#include "serve/cookie.h"
#include "slow_answer.h"
#include "told.h"
#include "unit.h"

struct given {
    const char *apex;
    const char *text; /* NULL: did not load */
};

static struct world *world_of(const struct settings *settings, const struct given *given,
                              size_t count)
{
    const uint8_t *names[16];
    struct zone *zones[16];
    for (size_t i = 0; i < count; i++) {
        names[i] = names_wire(given[i].apex);
        zones[i] = NULL;
        if (given[i].text != NULL) {
            struct made made = make_try(given[i].apex, given[i].text);
            ck_assert_msg(made.zone != NULL, "%s", make_told(&made.diag));
            zones[i] = zone_ref(made.zone);
            make_free(&made);
        }
    }
    return make_world(settings, names, zones, count);
}

static void expect_ask(struct desk *desk, const struct world *world, const struct ask *ask,
                       bool stream, const char *expected)
{
    ck_assert(desk_ask(desk, world, ask, stream));
    told_expect(desk->answer, desk->answer_size, expected);
}

/* Asks "name type" of class IN over UDP; `expected` is without the question. */
static void expect(struct desk *desk, const struct world *world, const char *name, uint16_t type,
                   const char *expected)
{
    struct ask ask = ask_for(name, type);
    ck_assert(desk_ask(desk, world, &ask, false));
    char *text = told_text(desk->answer, desk->answer_size);
    char *question = strchr(text, '\n') + 1;
    char *rest = strchr(question, '\n') + 1;
    memmove(question, rest, strlen(rest) + 1);
    ck_assert_str_eq(text, expected);
    free(text);
}

/* --- which zone --- */

#define NS_OUT "@ NS ns.elsewhere.\n"

static const struct given nested[] = {
    {"example.", "@ SOA parent. . 1 2 3 4 300\n" NS_OUT "sub NS ns.sub\n"
                 "ns.sub A 192.0.2.1\n"
                 "sub DS 1 8 1 0000000000000000000000000000000000000000\n"
                 "hidden.sub TXT parent\n"
                 "*.wild TXT parent\n"
                 "bare NS ns.elsewhere.\n"
                 "into CNAME www.sub\n"
                 "into2 CNAME no.sub\n"
                 "broken CNAME www.unloaded\n"
                 "unloaded NS ns.elsewhere.\n"
                 "other CNAME x.example.net.\n"
                 "dn DNAME sub\n"
                 "twice CNAME sub\n"
                 "far NS ns.elsewhere.\n"},
    {"sub.example.", "@ SOA child. . 1 2 3 4 600\n" NS_OUT "@ TXT child\n"
                     "www A 192.0.2.2\n"
                     "back CNAME a.wild.example.\n"
                     "ns A 192.0.2.3\n"},
    {"in.wild.example.", "@ SOA wild. . 1 2 3 4 60\n" NS_OUT},
    {"unloaded.example.", NULL},
    {"example.net.", "@ SOA net. . 1 2 3 4 60\n" NS_OUT "x CNAME into.example.\n"
                     "y CNAME www.elsewhere.\nz CNAME z.example.org.\n"},
    {"child.only.", "@ SOA only. . 1 2 3 4 60\n" NS_OUT},
    {"b.a.far.example.", "@ SOA far. . 1 2 3 4 60\n" NS_OUT},
    {"between.example.", "@ SOA between. . 1 2 3 4 60\n" NS_OUT},
};
enum { NESTED = sizeof nested / sizeof nested[0] };

#define PARENT_SOA "authority example. 300 IN SOA parent. . 1 2 3 4 300\n"
#define CHILD_SOA "authority sub.example. 600 IN SOA child. . 1 2 3 4 600\n"

START_TEST(nearest_zone)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    expect(&d, w, "sub.example.", RRTYPE_TXT,
           "NOERROR qr aa\nanswer sub.example. 3600 IN TXT \"child\"\n");
    expect(&d, w, "sub.example.", RRTYPE_NS,
           "NOERROR qr aa\nanswer sub.example. 3600 IN NS ns.elsewhere.\n");
    expect(&d, w, "www.SUB.example.", RRTYPE_A,
           "NOERROR qr aa\nanswer www.SUB.example. 3600 IN A 192.0.2.2\n");
    /* What the parent has below the cut changes nothing in the child. */
    expect(&d, w, "hidden.sub.example.", RRTYPE_TXT, "NXDOMAIN qr aa\n" CHILD_SOA);
    expect(&d, w, "ns.sub.example.", RRTYPE_A,
           "NOERROR qr aa\nanswer ns.sub.example. 3600 IN A 192.0.2.3\n");
    /* A zone within the parent's wildcard, and its parent's own names. */
    expect(&d, w, "x.in.wild.example.", RRTYPE_TXT,
           "NXDOMAIN qr aa\nauthority in.wild.example. 60 IN SOA wild. . 1 2 3 4 60\n");
    expect(&d, w, "x.wild.example.", RRTYPE_TXT,
           "NOERROR qr aa\nanswer x.wild.example. 3600 IN TXT \"parent\"\n");
    expect(&d, w, "bare.example.", RRTYPE_A,
           "NOERROR qr\nauthority bare.example. 3600 IN NS ns.elsewhere.\n");
    desk_free(&d);
    world_free(w);
}
END_TEST

START_TEST(ds_is_the_parents)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    expect(&d, w, "sub.example.", RRTYPE_DS,
           "NOERROR qr aa\nanswer sub.example. 3600 IN DS 1 8 1 "
           "0000000000000000000000000000000000000000\n");
    expect(&d, w, "twice.example.", RRTYPE_DS,
           "NOERROR qr aa\nanswer twice.example. 3600 IN CNAME sub.example.\n"
           "answer sub.example. 3600 IN DS 1 8 1 0000000000000000000000000000000000000000\n");
    /* Below the child's apex it is the child's. */
    expect(&d, w, "www.sub.example.", RRTYPE_DS, "NOERROR qr aa\n" CHILD_SOA);
    /* The parent does not delegate it. */
    expect(&d, w, "between.example.", RRTYPE_DS, "NXDOMAIN qr aa\n" PARENT_SOA);
    /* Only the child is here: its own denial. */
    expect(&d, w, "child.only.", RRTYPE_DS,
           "NOERROR qr aa\nauthority child.only. 60 IN SOA only. . 1 2 3 4 60\n");
    /* The zone right above is not here: RFC 4035 section 3.1.4.1. */
    expect(&d, w, "b.a.far.example.", RRTYPE_DS,
           "NOERROR qr aa\nauthority b.a.far.example. 60 IN SOA far. . 1 2 3 4 60\n");
    desk_free(&d);
    world_free(w);
}
END_TEST

START_TEST(chains_across_zones)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    expect(&d, w, "into.example.", RRTYPE_A,
           "NOERROR qr aa\nanswer into.example. 3600 IN CNAME www.sub.example.\n"
           "answer www.sub.example. 3600 IN A 192.0.2.2\n");
    expect(&d, w, "into2.example.", RRTYPE_A,
           "NXDOMAIN qr aa\nanswer into2.example. 3600 IN CNAME no.sub.example.\n" CHILD_SOA);
    expect(&d, w, "x.example.net.", RRTYPE_TXT,
           "NOERROR qr aa\nanswer x.example.net. 3600 IN CNAME into.example.\n"
           "answer into.example. 3600 IN CNAME www.sub.example.\n" CHILD_SOA);
    expect(&d, w, "back.sub.example.", RRTYPE_TXT,
           "NOERROR qr aa\nanswer back.sub.example. 3600 IN CNAME a.wild.example.\n"
           "answer a.wild.example. 3600 IN TXT \"parent\"\n");
    expect(&d, w, "www.dn.example.", RRTYPE_A,
           "NOERROR qr aa\nanswer dn.example. 3600 IN DNAME sub.example.\n"
           "answer www.dn.example. 3600 IN CNAME www.sub.example.\n"
           "answer www.sub.example. 3600 IN A 192.0.2.2\n");
    expect(&d, w, "y.example.net.", RRTYPE_A,
           "NOERROR qr aa\nanswer y.example.net. 3600 IN CNAME www.elsewhere.\n");
    expect(&d, w, "broken.example.", RRTYPE_A,
           "SERVFAIL qr aa\nanswer broken.example. 3600 IN CNAME www.unloaded.example.\n");
    desk_free(&d);
    world_free(w);
}
END_TEST

START_TEST(nobody_answers)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    expect(&d, w, "elsewhere.", RRTYPE_A, "REFUSED qr\n");
    expect(&d, w, ".", RRTYPE_NS, "REFUSED qr\n");
    expect(&d, w, "only.", RRTYPE_DS, "REFUSED qr\n");
    expect(&d, w, "www.unloaded.example.", RRTYPE_A, "SERVFAIL qr\n");
    struct ask ask = ask_for("elsewhere.", RRTYPE_A);
    ask_opt(&ask, 512, 0);
    /* 20, "no zone here for this name" */
    expect_ask(&d, w, &ask, false,
               "REFUSED qr\nquestion elsewhere. IN A\nopt 1232\noption 15 "
               "00146e6f207a6f6e65206865726520666f722074686973206e616d65\n");
    ask = ask_for("unloaded.example.", RRTYPE_A);
    ask_opt(&ask, 512, EDNS_DO);
    /* 24, "zone is not loaded" */
    expect_ask(&d, w, &ask, false,
               "SERVFAIL qr\nquestion unloaded.example. IN A\nopt 1232 do\noption 15 "
               "00187a6f6e65206973206e6f74206c6f61646564\n");
    static const uint16_t transfers[] = {RRTYPE_AXFR, RRTYPE_IXFR};
    for (size_t i = 0; i < 2; i++) {
        expect(&d, w, "example.", transfers[i], "REFUSED qr\n");
        expect(&d, w, "elsewhere.", transfers[i], "REFUSED qr\n");
    }
    world_free(w);
    w = world_of(&settings, NULL, 0);
    expect(&d, w, "example.", RRTYPE_A, "REFUSED qr\n");
    desk_free(&d);
    world_free(w);
}
END_TEST

/* --- classes --- */

START_TEST(chaos)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, 1);
    struct desk d = desk_new();
    static const char *const names[] = {"version.bind.", "version.server.", "hostname.bind.",
                                        "id.server."};
    char expected[400];
    for (size_t i = 0; i < 4; i++) { /* not configured */
        struct ask ask = ask_for_class(names[i], RRTYPE_TXT, CLASS_CH);
        snprintf(expected, sizeof expected, "REFUSED qr\nquestion %s CH TXT\n", names[i]);
        expect_ask(&d, w, &ask, false, expected);
    }
    world_free(w);
    strcpy(settings.version, "rrdns of tests");
    strcpy(settings.hostname, "a-host");
    w = world_of(&settings, nested, 1);
    for (size_t i = 0; i < 4; i++) {
        const char *text = i < 2 ? "rrdns of tests" : "a-host";
        struct ask ask = ask_for_class(names[i], RRTYPE_TXT, CLASS_CH);
        snprintf(expected, sizeof expected,
                 "NOERROR qr aa\nquestion %s CH TXT\nanswer %s 0 CH TXT \"%s\"\n", names[i],
                 names[i], text);
        expect_ask(&d, w, &ask, false, expected);
        ask = ask_for_class(names[i], RRTYPE_A, CLASS_CH);
        snprintf(expected, sizeof expected, "REFUSED qr\nquestion %s CH A\n", names[i]);
        expect_ask(&d, w, &ask, false, expected);
    }
    struct ask ask = ask_for_class("Version.BIND.", RRTYPE_ANY, CLASS_CH);
    expect_ask(&d, w, &ask, true,
               "NOERROR qr aa\nquestion Version.BIND. CH ANY\n"
               "answer Version.BIND. 0 CH TXT \"rrdns of tests\"\n");
    ask = ask_for_class("example.", RRTYPE_SOA, CLASS_CH);
    expect_ask(&d, w, &ask, false, "REFUSED qr\nquestion example. CH SOA\n");
    world_free(w);
    /* A text of 255 octets is the longest there is. */
    memset(settings.version, 'x', 255);
    settings.version[255] = '\0';
    w = world_of(&settings, nested, 1);
    ask = ask_for_class("version.bind.", RRTYPE_TXT, CLASS_CH);
    ck_assert(desk_ask(&d, w, &ask, false));
    ck_assert_uint_eq(d.answer_size, 12 + 14 + 4 + 12 + 256);
    world_free(w);
    desk_free(&d);
}
END_TEST

START_TEST(other_classes)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    static const uint16_t classes[] = {0, 2, CLASS_HS, CLASS_NONE, CLASS_ANY, 65535};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        struct ask ask = ask_for_class("example.", RRTYPE_SOA, classes[i]);
        ck_assert(desk_ask(&d, w, &ask, false));
        char *text = told_text(d.answer, d.answer_size);
        ck_assert(strncmp(text, "REFUSED qr\nquestion ", 20) == 0);
        ck_assert_ptr_null(strstr(text, "answer"));
        free(text);
    }
    ck_assert_uint_eq(d.zone_counts[0].queries, 0);
    desk_free(&d);
    world_free(w);
}
END_TEST

/* --- cookies --- */

static size_t unhex(const char *text, uint8_t *octets)
{
    size_t size = strlen(text) / 2;
    for (size_t i = 0; i < size; i++) {
        unsigned octet;
        ck_assert_int_eq(sscanf(text + 2 * i, "%2x", &octet), 1);
        octets[i] = (uint8_t)octet;
    }
    return size;
}

struct vector {
    const char *secret, *before, *peer, *sent, *answer;
    uint32_t wall;
    enum cookie_verdict verdict;
};

#define SECRET_A "e5e973e5a6b2a43f48e7dc849e37bfcf"
#define SECRET_B "dd3bdf9344b678b185a6f5cb60fca715"
#define SECRET_C "445536bcd2513298075a5d379663c962"
#define NO_SECRET "00000000000000000000000000000000"
#define PEER_6 "2001:db8:220:1:59de:d0f4:8769:82b8"

static void check_vector(const struct vector *v)
{
    struct settings settings = {.cookies = true};
    uint8_t cookie[40], answer[COOKIE_SIZE], expected[COOKIE_SIZE];
    unhex(v->secret, settings.cookie_secret);
    unhex(v->before, settings.cookie_secret_before);
    struct query q = {.cookie = cookie, .cookie_size = (uint8_t)unhex(v->sent, cookie)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    struct sockaddr_in in = {.sin_family = AF_INET};
    const struct sockaddr *peer = (const struct sockaddr *)(const void *)&in;
    if (inet_pton(AF_INET, v->peer, &in.sin_addr) != 1) {
        ck_assert_int_eq(inet_pton(AF_INET6, v->peer, &in6.sin6_addr), 1);
        peer = (const struct sockaddr *)(const void *)&in6;
    }
    enum cookie_verdict verdict = cookie_check(&settings, &q, peer, v->wall, answer);
    ck_assert_msg(verdict == v->verdict, "%s at %u: verdict %d", v->sent, v->wall, (int)verdict);
    unhex(v->answer, expected);
    ck_assert_msg(memcmp(answer, expected, COOKIE_SIZE) == 0, "%s at %u", v->sent, v->wall);
}

/* RFC 9018 appendix A; A.3's cookie is also asked about while it is young. */
START_TEST(cookie_vectors)
{
    static const struct vector vectors[] = {
        {SECRET_A, NO_SECRET, "198.51.100.100", "2464c4abcf10c957",
         "2464c4abcf10c957010000005cf79f111f8130c3eee29480", 1559731985, COOKIE_CLIENT},
        {SECRET_A, NO_SECRET, "198.51.100.100", "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
         "2464c4abcf10c957010000005cf7a871d4a564a1442aca77", 1559734385, COOKIE_VALID},
        {SECRET_A, NO_SECRET, "203.0.113.203", "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
         "fc93fc62807ddb86010000005cf7a9acf73a7810aca2381e", 1559734700, COOKIE_INVALID},
        {SECRET_C, SECRET_B, PEER_6, "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
         "22681ab97d52c298010000005cf7c609a6bb79d16625507a", 1559741961, COOKIE_VALID},
        {SECRET_C, NO_SECRET, PEER_6, "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
         "22681ab97d52c298010000005cf7c609a6bb79d16625507a", 1559741961, COOKIE_INVALID},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        check_vector(&vectors[i]);
    }
}
END_TEST

/* Reserved octets must not be enforced to be zero; the hash is over what came (section 4.2). */
START_TEST(cookie_reserved_octets)
{
    struct settings settings = {.cookies = true};
    uint8_t cookie[24], answer[COOKIE_SIZE];
    unhex(SECRET_A, settings.cookie_secret);
    unhex("fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5", cookie);
    struct query q = {.cookie = cookie, .cookie_size = 24};
    struct sockaddr_in in = {.sin_family = AF_INET};
    inet_pton(AF_INET, "203.0.113.203", &in.sin_addr);
    const struct sockaddr *peer = (const struct sockaddr *)(const void *)&in;
    ck_assert_int_eq(cookie_check(&settings, &q, peer, 1559727985 + 60, answer), COOKIE_VALID);
    cookie[9]++;
    ck_assert_int_eq(cookie_check(&settings, &q, peer, 1559727985 + 60, answer), COOKIE_INVALID);
}
END_TEST

START_TEST(cookie_ages)
{
    static const struct {
        int32_t age; /* of the cookie, when it comes */
        enum cookie_verdict verdict;
        bool same; /* it is sent back as it is */
    } cases[] = {
        {0, COOKIE_VALID, true},       {1799, COOKIE_VALID, true},
        {1800, COOKIE_VALID, false},   {3600, COOKIE_VALID, false},
        {3601, COOKIE_INVALID, false}, {-300, COOKIE_VALID, true},
        {-301, COOKIE_INVALID, false}, {0x7fffffff, COOKIE_INVALID, false},
    };
    /* Also where 32 bits of seconds wrap. */
    static const uint32_t made[] = {1559731985, 100, 0xffffff00};
    struct settings settings = make_settings();
    for (size_t m = 0; m < 3; m++) {
        uint8_t cookie[COOKIE_SIZE], answer[COOKIE_SIZE];
        struct query q = {.cookie = (const uint8_t *)"12345678", .cookie_size = 8};
        ck_assert_int_eq(cookie_check(&settings, &q, desk_client(), made[m], cookie),
                         COOKIE_CLIENT);
        q = (struct query){.cookie = cookie, .cookie_size = COOKIE_SIZE};
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            uint32_t wall = made[m] + (uint32_t)cases[i].age;
            ck_assert_msg(cookie_check(&settings, &q, desk_client(), wall, answer) ==
                              cases[i].verdict,
                          "age %d", cases[i].age);
            ck_assert_int_eq(memcmp(answer, cookie, COOKIE_SIZE) == 0, cases[i].same);
            ck_assert_mem_eq(answer, "12345678", 8);
            if (!cases[i].same) {
                ck_assert_uint_eq(wire_get_u32(answer + 12), wall);
            }
        }
    }
}
END_TEST

/* One octet changed anywhere, another client or another length: not ours. */
START_TEST(cookie_forged)
{
    struct settings settings = make_settings();
    uint8_t cookie[40] = {0}, answer[COOKIE_SIZE];
    struct query q = {.cookie = (const uint8_t *)"12345678", .cookie_size = 8};
    cookie_check(&settings, &q, desk_client(), 1000000, cookie);
    q = (struct query){.cookie = cookie, .cookie_size = COOKIE_SIZE};
    for (size_t i = 0; i < COOKIE_SIZE; i++) {
        cookie[i] ^= 0x10;
        ck_assert_int_eq(cookie_check(&settings, &q, desk_client(), 1000000, answer),
                         COOKIE_INVALID);
        cookie[i] ^= 0x10;
    }
    for (uint8_t size = 16; size <= 40; size++) {
        q.cookie_size = size;
        ck_assert_int_eq(cookie_check(&settings, &q, desk_client(), 1000000, answer),
                         size == COOKIE_SIZE ? COOKIE_VALID : COOKIE_INVALID);
    }
    q.cookie_size = COOKIE_SIZE;
    struct sockaddr_in in = {.sin_family = AF_INET};
    ck_assert_int_eq(
        cookie_check(&settings, &q, (const struct sockaddr *)(const void *)&in, 1000000, answer),
        COOKIE_INVALID);
}
END_TEST

START_TEST(cookies_served)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    struct ask ask = ask_for("elsewhere.", RRTYPE_NXNAME);
    ask_opt(&ask, 512, 0);
    ask_option(&ask, EDNS_COOKIE, "12345678", 8);
    ck_assert(desk_ask(&d, w, &ask, false));
    char *text = told_text(d.answer, d.answer_size), *option = strstr(text, "option 10 ");
    uint8_t cookie[24];
    ck_assert_ptr_nonnull(option);
    option[10 + 48] = '\0';
    ck_assert_uint_eq(unhex(option + 10, cookie), 24);
    free(text);
    ck_assert_mem_eq(cookie, "12345678\1\0\0\0", 12);
    ck_assert_uint_eq(wire_get_u32(cookie + 12), DESK_WALL);
    ck_assert_uint_eq(counter_get(d.counters, COUNTER_cookies_client), 1);

    /* A query for a cookie alone, with what was learned. */
    ask = ask_nothing();
    ask_opt(&ask, 512, 0);
    ask_option(&ask, EDNS_COOKIE, cookie, 24);
    char expected[200] = "NOERROR qr\nopt 1232\noption 10 ";
    for (size_t i = 0; i < 24; i++) {
        sprintf(expected + strlen(expected), "%02x", cookie[i]);
    }
    strcat(expected, "\n");
    expect_ask(&d, w, &ask, false, expected);
    ck_assert_uint_eq(counter_get(d.counters, COUNTER_cookies_valid), 1);
    cookie[20] ^= 1;
    ask = ask_nothing();
    ask_opt(&ask, 512, 0);
    ask_option(&ask, EDNS_COOKIE, cookie, 24);
    cookie[20] ^= 1;
    expect_ask(&d, w, &ask, true, expected);
    ck_assert_uint_eq(counter_get(d.counters, COUNTER_cookies_invalid), 1);
    ck_assert_uint_eq(counter_get(d.counters, COUNTER_answers_nodata), 0);
    world_free(w);

    settings.cookies = false;
    w = world_of(&settings, nested, NESTED);
    expect_ask(&d, w, &ask, false, "FORMERR qr\nopt 1232\n");
    ask = ask_for("sub.example.", RRTYPE_A);
    ask_opt(&ask, 512, 0);
    ask_option(&ask, EDNS_COOKIE, cookie, 24);
    expect_ask(&d, w, &ask, false,
               "NOERROR qr aa\nquestion sub.example. IN A\n" CHILD_SOA "opt 1232\n");
    ck_assert_uint_eq(counter_get(d.counters, COUNTER_cookies_valid), 1);
    world_free(w);
    desk_free(&d);
}
END_TEST

/* --- datagrams and streams --- */

START_TEST(options)
{
    struct settings settings = make_settings();
    memcpy(settings.nsid, "id", 2);
    settings.nsid_size = 2;
    settings.udp_payload_max = 1400;
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    struct ask ask = ask_for("sub.example.", RRTYPE_A);
    ask_opt(&ask, 65535, EDNS_DO);
    ask_option(&ask, EDNS_NSID, NULL, 0);
    ask_option(&ask, EDNS_KEEPALIVE, NULL, 0);
    static const char head[] =
        "NOERROR qr aa\nquestion sub.example. IN A\n" CHILD_SOA "opt 1400 do\noption 3 6964\n";
    char expected[400];
    expect_ask(&d, w, &ask, false, head);
    snprintf(expected, sizeof expected, "%soption 11 0064\n", head);
    expect_ask(&d, w, &ask, true, expected);
    ask = ask_for("sub.example.", RRTYPE_A);
    ask_opt(&ask, 512, 0);
    expect_ask(&d, w, &ask, true,
               "NOERROR qr aa\nquestion sub.example. IN A\n" CHILD_SOA "opt 1400\n");
    desk_free(&d);
    world_free(w);
}
END_TEST

/* 100 addresses at a.example.: 12 + 15 + 1600 octets. */
static struct world *large_world(void)
{
    char text[4000] = MAKE_APEX;
    for (int i = 1; i <= 100; i++) {
        sprintf(text + strlen(text), "a A 192.0.2.%d\n", i);
    }
    strcat(text, "b MX 1 a\nb TXT x\nb A 192.0.2.1\n");
    struct settings settings = make_settings();
    struct given given = {"example.", text};
    return world_of(&settings, &given, 1);
}

START_TEST(sizes_of_datagrams)
{
    struct world *w = large_world();
    struct desk d = desk_new();
    static const char truncated[] = "NOERROR qr aa tc\nquestion a.example. IN A\n";
    struct ask ask = ask_for("a.example.", RRTYPE_A);
    expect_ask(&d, w, &ask, false, truncated);
    ck_assert(desk_ask(&d, w, &ask, true));
    ck_assert_uint_eq(d.answer_size, 1627);
    ask_opt(&ask, 4096, 0);
    char expected[100];
    snprintf(expected, sizeof expected, "%sopt 1232\n", truncated);
    expect_ask(&d, w, &ask, false, expected); /* ours is smaller */
    w->settings.udp_payload_max = 4096;
    ck_assert(desk_ask(&d, w, &ask, false));
    ck_assert_uint_eq(d.answer_size, 1627 + 11);
    ask = ask_for("a.example.", RRTYPE_A);
    ask_opt(&ask, 1637, 0);
    snprintf(expected, sizeof expected, "%sopt 4096\n", truncated);
    expect_ask(&d, w, &ask, false, expected);
    ask = ask_for("a.example.", RRTYPE_A);
    ask_opt(&ask, 1638, 0);
    ck_assert(desk_ask(&d, w, &ask, false));
    ck_assert_uint_eq(d.answer_size, 1638);
    desk_free(&d);
    world_free(w);
}
END_TEST

START_TEST(any)
{
    struct world *w = large_world();
    struct desk d = desk_new();
    struct ask ask = ask_for("b.example.", RRTYPE_ANY);
    expect_ask(
        &d, w, &ask, false,
        "NOERROR qr aa\nquestion b.example. IN ANY\nanswer b.example. 3600 IN A 192.0.2.1\n");
    ck_assert(desk_ask(&d, w, &ask, true));
    char *text = told_text(d.answer, d.answer_size);
    static const char all[] = "NOERROR qr aa\nquestion b.example. IN ANY\n"
                              "answer b.example. 3600 IN A 192.0.2.1\n"
                              "answer b.example. 3600 IN MX 1 a.example.\n"
                              "answer b.example. 3600 IN TXT \"x\"\n"
                              "additional a.example. 3600 IN A 192.0.2.1\n";
    ck_assert_msg(strncmp(text, all, strlen(all)) == 0, "%s", text);
    free(text);
    desk_free(&d);
    world_free(w);
}
END_TEST

START_TEST(dropped)
{
    struct world *w = large_world();
    struct desk d = desk_new();
    struct ask ask = ask_for("b.example.", RRTYPE_A);
    for (int stream = 0; stream < 2; stream++) {
        ask_flags(&ask, FLAG_QR);
        ck_assert(!desk_ask(&d, w, &ask, stream));
        size_t size = ask.size;
        ask.size = 11;
        ask_flags(&ask, 0);
        ck_assert(!desk_ask(&d, w, &ask, stream));
        ask.size = size;
    }
    ck_assert_str_eq(desk_counters(&d), "dropped_short=2\ndropped_response=2\n");
    desk_free(&d);
    world_free(w);
}
END_TEST

/* Answers of a stream stand one after the other; serving stops where one more might not fit. */
START_TEST(stream_stops)
{
    struct world *w = large_world();
    struct desk d = desk_new();
    struct ask ask = ask_for("a.example.", RRTYPE_A);
    enum { COUNT = 10, ONE = 2 + 1627 };
    uint8_t *octets = malloc(2 * SERVE_STREAM_ROOM);
    for (size_t fit = 0; fit <= COUNT; fit++) {
        for (int over = 0; over < 2; over++) {
            /* Room for `fit` of them, or one octet less. */
            size_t size = SERVE_STREAM_ROOM + fit * ONE - ONE - (size_t)over;
            if (fit == 0 && over == 0) {
                size = 0;
            }
            struct serve_stream stream = {.data = octets, .size = size};
            struct serve_request requests[COUNT];
            for (size_t i = 0; i < COUNT; i++) {
                requests[i] = (struct serve_request){
                    .in = ask.data, .in_size = ask.size, .peer = desk_client(), .stream = true};
            }
            size_t expected = fit == 0 ? 0 : fit - (size_t)over;
            memset(octets, 0xa5, 2 * SERVE_STREAM_ROOM);
            ck_assert_uint_eq(serve_batch(d.serve, w, requests, COUNT, &stream, desk_time(DESK_WALL)),
                              expected);
            ck_assert_uint_eq(stream.used, expected * ONE);
            for (size_t i = 0; i < expected; i++) {
                ck_assert_uint_eq(wire_get_u16(octets + i * ONE), 1627);
                ck_assert_ptr_eq(requests[i].out, octets + i * ONE + 2);
                ck_assert_uint_eq(requests[i].out_size, 1627);
                ck_assert_int_eq(requests[i].verdict, SERVE_SEND);
            }
            ck_assert_uint_eq(octets[stream.used], 0xa5);
        }
    }
    free(octets);
    desk_free(&d);
    world_free(w);
}
END_TEST

/* --- counters --- */

START_TEST(counters)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    static const struct {
        const char *name;
        uint16_t type;
        const char *told;
    } cases[] = {
        {"www.sub.example.", RRTYPE_A,
         "opcode[0]=1\nqtype[1]=1\nrcode[0]=1\nanswers_authoritative=1\n"},
        {"no.sub.example.", RRTYPE_A,
         "opcode[0]=1\nqtype[1]=1\nrcode[3]=1\nanswers_authoritative=1\n"},
        {"sub.example.", 258,
         "opcode[0]=1\nqtype[258]=1\nrcode[0]=1\nanswers_authoritative=1\nanswers_nodata=1\n"},
        {"sub.example.", 65535,
         "opcode[0]=1\nqtype[258]=1\nrcode[0]=1\nanswers_authoritative=1\nanswers_nodata=1\n"},
        {"sub.example.", 257,
         "opcode[0]=1\nqtype[257]=1\nrcode[0]=1\nanswers_authoritative=1\nanswers_nodata=1\n"},
        {"bare.example.", RRTYPE_A, "opcode[0]=1\nqtype[1]=1\nrcode[0]=1\nanswers_referral=1\n"},
        {"x.wild.example.", RRTYPE_TXT,
         "opcode[0]=1\nqtype[16]=1\nrcode[0]=1\nanswers_authoritative=1\nanswers_wildcard=1\n"},
        {"x.wild.example.", RRTYPE_A,
         "opcode[0]=1\nqtype[1]=1\nrcode[0]=1\nanswers_authoritative=1\nanswers_nodata=1\n"
         "answers_wildcard=1\n"},
        {"x.example.net.", RRTYPE_A,
         "opcode[0]=1\nqtype[1]=1\nrcode[0]=1\nanswers_authoritative=1\nchain_links=2\n"},
        {"elsewhere.", RRTYPE_A, "opcode[0]=1\nqtype[1]=1\nrcode[5]=1\n"},
        {"unloaded.example.", RRTYPE_A, "opcode[0]=1\nqtype[1]=1\nrcode[2]=1\n"},
        {"example.", RRTYPE_OPT, "opcode[0]=1\nqtype[41]=1\nrcode[1]=1\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct desk d = desk_new();
        struct ask ask = ask_for(cases[i].name, cases[i].type);
        ck_assert(desk_ask(&d, w, &ask, false));
        ck_assert_str_eq(desk_counters(&d), cases[i].told);
        desk_free(&d);
    }
    struct desk d = desk_new();
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_opt_version(&ask, 512, 1, EDNS_DO);
    ck_assert(desk_ask(&d, w, &ask, false));
    ask = ask_for("example.", RRTYPE_SOA);
    ask_flags(&ask, OPCODE_NOTIFY << FLAG_OPCODE_SHIFT);
    ck_assert(desk_ask(&d, w, &ask, true));
    ck_assert_str_eq(desk_counters(&d),
                     "queries_edns=1\nqueries_do=1\nopcode[0]=1\nopcode[4]=1\nqtype[1]=1\n"
                     "qtype[6]=1\nrcode[4]=1\nrcode[16]=1\n");
    desk_free(&d);
    world_free(w);
    w = large_world();
    d = desk_new();
    ask = ask_for("a.example.", RRTYPE_A);
    ck_assert(desk_ask(&d, w, &ask, false));
    ck_assert_uint_eq(counter_get(d.counters, COUNTER_answers_truncated), 1);
    desk_free(&d);
    world_free(w);
}
END_TEST

START_TEST(counts_of_zones)
{
    struct settings settings = make_settings();
    struct world *w = world_of(&settings, nested, NESTED);
    struct desk d = desk_new();
    static const char *const names[] = {"into.example.",  "no.sub.example.",
                                        "x.sub.example.", "www.sub.example.",
                                        "elsewhere.",     "x.unloaded.example."};
    size_t bytes[NESTED] = {0};
    static const size_t slots[] = {0, 1, 1, 1, SIZE_MAX, 3};
    for (size_t i = 0; i < 6; i++) {
        struct ask ask = ask_for(names[i], RRTYPE_A);
        ck_assert(desk_ask(&d, w, &ask, i % 2 == 1));
        if (slots[i] != SIZE_MAX) {
            bytes[slots[i]] += d.answer_size;
        }
    }
    static const uint64_t queries[NESTED] = {1, 3, 0, 1}, nxdomain[NESTED] = {0, 2};
    for (size_t i = 0; i < NESTED; i++) {
        ck_assert_uint_eq(d.zone_counts[i].queries, queries[i]);
        ck_assert_uint_eq(d.zone_counts[i].nxdomain, nxdomain[i]);
        ck_assert_uint_eq(d.zone_counts[i].bytes, bytes[i]);
    }
    desk_free(&d);
    world_free(w);
}
END_TEST

/* --- by chance --- */

enum { RANDOM_ZONES = 6 };

struct random_world {
    struct slow_zone zones[RANDOM_ZONES];
    struct world *world;
};

/* Zones at, above and below each other. */
static struct random_world random_world(struct rng *rng, size_t records)
{
    static const char *const apexes[RANDOM_ZONES] = {".", "a.", "b.a.", "a.b.a.", "*.b.", "c."};
    struct random_world r = {0};
    const uint8_t *names[RANDOM_ZONES];
    struct zone *zones[RANDOM_ZONES];
    size_t first = rng_below(rng, 2); /* with the root or without */
    for (size_t i = first; i < RANDOM_ZONES; i++) {
        slow_init(&r.zones[i], names_wire(apexes[i]));
        slow_random(rng, &r.zones[i], NAMES_DENSE, records);
        names[i] = r.zones[i].apex;
        zones[i] = make_built(slow_records(&r.zones[i]));
    }
    struct settings settings = make_settings();
    settings.udp_payload_max = 4096;
    r.world = make_world(&settings, names + first, zones + first, RANDOM_ZONES - first);
    return r;
}

static void random_world_free(struct random_world *r)
{
    for (size_t i = 0; i < RANDOM_ZONES; i++) {
        slow_free(&r->zones[i]);
    }
    world_free(r->world);
}

static struct ask random_ask(struct rng *rng, uint8_t *name, uint16_t *type)
{
    static const uint16_t types[] = {RRTYPE_A,     RRTYPE_NS,    RRTYPE_MX, RRTYPE_SRV, RRTYPE_TXT,
                                     RRTYPE_CNAME, RRTYPE_DNAME, RRTYPE_DS, RRTYPE_DS,  RRTYPE_ANY};
    names_random(rng, NAMES_DENSE, names_wire(rng_once_in(rng, 3) ? "." : "b.a."), 4, name);
    *type = types[rng_below(rng, sizeof types / sizeof types[0])];
    struct ask ask = ask_for_wire(name, *type, CLASS_IN);
    if (rng_once_in(rng, 2)) {
        ask_opt(&ask, (uint16_t)(512 + rng_below(rng, 2) * 3584), 0);
    }
    return ask;
}

START_TEST(random_worlds)
{
    struct rng rng = rng_start();
    struct desk d = desk_new();
    static struct slow_answer slow;
    for (unsigned round = 0; round < 60 / UNIT_SLOWER; round++) {
        struct random_world r = random_world(&rng, 4 + rng_below(&rng, 60));
        size_t first = r.zones[0].count == 0;
        for (unsigned n = 0; n < 250; n++) {
            uint8_t name[NAME_MAX_OCTETS];
            uint16_t type;
            struct ask ask = random_ask(&rng, name, &type);
            bool stream = rng_once_in(&rng, 2);
            slow_answer(r.zones + first, RANDOM_ZONES - first, name, type, stream, &slow);
            ck_assert(desk_ask(&d, r.world, &ask, stream));
            char *text = told_text(d.answer, d.answer_size);
            slow_expect(&slow, text, stream);
            free(text);
            slow_answer_free(&slow);
        }
        random_world_free(&r);
    }
    desk_free(&d);
}
END_TEST

/* Serves requests in one batch and each alone; the octets and counters are the same. */
static void check_batch(const struct world *w, const struct ask *asks, size_t count, bool streams)
{
    struct desk together = desk_new(), alone = desk_new();
    enum { DATAGRAM = 4096 };
    size_t room = SERVE_BATCH * (size_t)SERVE_STREAM_ROOM;
    uint8_t *out = malloc(SERVE_BATCH * DATAGRAM), *octets = malloc(room);
    struct serve_request requests[SERVE_BATCH];
    struct serve_stream stream = {.data = octets, .size = room};
    for (size_t i = 0; i < count; i++) {
        requests[i] = (struct serve_request){
            .in = asks[i].data,
            .in_size = asks[i].size,
            .peer = desk_client(),
            .stream = streams && i % 3 != 0,
            .out = out + i * DATAGRAM,
            .out_size = DATAGRAM,
        };
    }
    /* A batch may be served in parts where a stream is full: the caller comes again. */
    for (size_t done = 0; done < count;) {
        size_t served =
            serve_batch(together.serve, w, requests + done, count - done, &stream,
                        desk_time(DESK_WALL));
        ck_assert_uint_gt(served, 0);
        done += served;
    }
    for (size_t i = 0; i < count; i++) {
        bool sent = desk_ask(&alone, w, &asks[i], requests[i].stream);
        ck_assert_int_eq(sent, requests[i].verdict == SERVE_SEND);
        if (sent && (alone.answer_size != requests[i].out_size ||
                     memcmp(alone.answer, requests[i].out, alone.answer_size) != 0)) {
            ck_abort_msg("answer %zu differs:\n%.500s\nis in a batch\n%.500s", i,
                         told_text(alone.answer, alone.answer_size),
                         told_text(requests[i].out, requests[i].out_size));
        }
    }
    ck_assert(memcmp(together.counters, alone.counters, sizeof *alone.counters) == 0);
    free(out);
    free(octets);
    desk_free(&together);
    desk_free(&alone);
}

START_TEST(batches)
{
    struct rng rng = rng_start();
    struct ask *asks = malloc(SERVE_BATCH * sizeof *asks);
    for (unsigned round = 0; round < 30 / UNIT_SLOWER; round++) {
        struct random_world r = random_world(&rng, 30);
        for (unsigned n = 0; n < 4; n++) {
            size_t count = n == 0 ? SERVE_BATCH : rng_below(&rng, SERVE_BATCH + 1);
            for (size_t i = 0; i < count; i++) {
                uint8_t name[NAME_MAX_OCTETS];
                uint16_t type;
                asks[i] = random_ask(&rng, name, &type);
                switch (rng_below(&rng, 12)) {
                case 0:
                    asks[i].size = rng_below(&rng, (unsigned)asks[i].size);
                    break;
                case 1:
                    ask_flags(&asks[i], (uint16_t)rng_next(&rng));
                    break;
                case 2:
                    asks[i] = ask_for_class("version.bind.", RRTYPE_TXT, CLASS_CH);
                    break;
                default:
                    break;
                }
            }
            check_batch(r.world, asks, count, rng_once_in(&rng, 2));
        }
        random_world_free(&r);
    }
    free(asks);
}
END_TEST

/* The largest plans there are, a whole batch: memory for plans must not run out for any of them. */
START_TEST(batch_of_large_answers)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX);
    for (uint32_t i = 0; i < 1000; i++) {
        const uint8_t *owner = names_wire("m.example.");
        char text[40];
        snprintf(text, sizeof text, "h%u.example.", i);
        uint8_t mx[40] = {0};
        const uint8_t *host = names_wire(text);
        memcpy(mx + 2, host, names_size(host));
        make_record(records, owner, RRTYPE_MX, 60, mx, 2 + names_size(host), 0, 3);
        make_record(records, host, RRTYPE_A, 60, mx, 4, 0, 3);
        make_record(records, host, RRTYPE_AAAA, 60, mx, 16, 0, 3);
    }
    const uint8_t *name = names_wire("example.");
    struct zone *zone = make_built(records);
    struct settings settings = make_settings();
    struct world *w = make_world(&settings, &name, &zone, 1);
    struct ask *asks = malloc(SERVE_BATCH * sizeof *asks);
    for (size_t i = 0; i < SERVE_BATCH; i++) {
        asks[i] = ask_for("m.example.", RRTYPE_MX);
    }
    struct desk d = desk_new();
    ck_assert(desk_ask(&d, w, &asks[0], true));
    ck_assert_uint_gt(d.answer_size, 50000);
    desk_free(&d);
    check_batch(w, asks, SERVE_BATCH, true);
    free(asks);
    world_free(w);
}
END_TEST

/* Sixteen links for each datagram of a batch, with names as long as can be. */
START_TEST(batch_of_long_chains)
{
    char text[20000] = MAKE_APEX;
    char label[64];
    memset(label, 'x', 60);
    label[60] = '\0';
    for (int i = 0; i < 17; i++) {
        sprintf(text + strlen(text), "a%c.%s.%s.%s DNAME a%c.%s.%s.%s\n", 'a' + i, label, label,
                label, 'b' + i, label, label, label);
    }
    struct settings settings = make_settings();
    struct given given = {"example.", text};
    struct world *w = world_of(&settings, &given, 1);
    struct ask *asks = malloc(SERVE_BATCH * sizeof *asks);
    char name[256];
    snprintf(name, sizeof name, "%s.aa.%s.%s.%s.example.",
             "0123456789012345678901234567890123456789", label, label, label);
    for (size_t i = 0; i < SERVE_BATCH; i++) {
        asks[i] = ask_for(name, RRTYPE_A);
        ask_opt(&asks[i], 4096, 0);
    }
    check_batch(w, asks, SERVE_BATCH, false);
    struct desk d = desk_new();
    ck_assert(desk_ask(&d, w, &asks[0], true));
    ck_assert_uint_eq(counter_get(d.counters, COUNTER_chain_links), 16);
    desk_free(&d);
    free(asks);
    world_free(w);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("serve");
    tcase_add_test(unit.tests, nearest_zone);
    tcase_add_test(unit.tests, ds_is_the_parents);
    tcase_add_test(unit.tests, chains_across_zones);
    tcase_add_test(unit.tests, nobody_answers);
    tcase_add_test(unit.tests, chaos);
    tcase_add_test(unit.tests, other_classes);
    tcase_add_test(unit.tests, cookie_vectors);
    tcase_add_test(unit.tests, cookie_reserved_octets);
    tcase_add_test(unit.tests, cookie_ages);
    tcase_add_test(unit.tests, cookie_forged);
    tcase_add_test(unit.tests, cookies_served);
    tcase_add_test(unit.tests, options);
    tcase_add_test(unit.tests, sizes_of_datagrams);
    tcase_add_test(unit.tests, any);
    tcase_add_test(unit.tests, dropped);
    tcase_add_test(unit.tests, stream_stops);
    tcase_add_test(unit.tests, counters);
    tcase_add_test(unit.tests, counts_of_zones);
    tcase_add_test(unit.tests, random_worlds);
    tcase_add_test(unit.tests, batches);
    tcase_add_test(unit.tests, batch_of_large_answers);
    tcase_add_test(unit.tests, batch_of_long_chains);
    return unit_end(&unit);
}

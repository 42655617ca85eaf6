/*
 * Which questions are forwarded, along which route, and answers from the proxy's cache; by whole
 * queries through serve_batch, with routes made by hand.
 */
#include "serve/forward.h"

#include <stdio.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/wire.h"
#include "make_world.h"
#include "make_zone.h"
#include "reply_aid.h"
#include "routes_aid.h"
#include "serve/serve.h"

enum { COUNT = 4 }; /* of routes, each to a group of its own */

static const char *const zones[COUNT] = {".", "child.example.", "b.c.", "com."};

static struct routes *routes;
static struct world *world;
static struct desk desk;
static struct serve_request request;
static uint8_t stream_octets[SERVE_STREAM_ROOM];
static uint8_t out[4096];

static struct zone *zone_of(const char *apex, const char *text)
{
    struct made made = make_try(apex, text);
    ck_assert_msg(made.zone != NULL, "%s", make_told(&made.diag));
    struct zone *zone = zone_ref(made.zone);
    make_free(&made);
    return zone;
}

#define APEX "@ SOA ns. . 1 2 3 4 300\n@ NS ns.elsewhere.\n"

static void setup(void)
{
    static const char *const own[] = {"example.", "own.child.example.", "a.b.c.", "c."};
    const uint8_t *names[4];
    struct zone *made[4];
    for (size_t i = 0; i < 4; i++) {
        names[i] = names_wire(own[i]);
        made[i] = zone_of(own[i], i > 0 ? APEX "www A 192.0.2.1\n"
                                        : APEX "child NS ns.child\nns.child A 192.0.2.1\n"
                                          "www A 192.0.2.1\n"
                                          "away CNAME www.child\n"
                                          "far CNAME www.com.\n"
                                          "near CNAME www.own.child\n");
    }
    struct settings settings = make_settings();
    memcpy(settings.loop_mark, "the mark", 8);
    routes = routes_begin(zones, COUNT, COUNT);
    settings.routes = routes;
    world = make_world(&settings, names, made, 4);
    desk = desk_new();
}

static void teardown(void)
{
    desk_free(&desk);
    world_free(world);
    routes_end(routes);
}

/* ---- Asking ---- */

static void serve_from(const struct ask *ask, const struct sockaddr *peer, bool stream)
{
    struct serve_stream to = {.data = stream_octets, .size = sizeof stream_octets};
    request = (struct serve_request){.in = ask->data,
                                     .in_size = ask->size,
                                     .peer = peer,
                                     .stream = stream,
                                     .out = out,
                                     .out_size = sizeof out};
    ck_assert_uint_eq(serve_batch(desk.serve, world, &request, 1, stream ? &to : NULL,
                                  desk_time(DESK_WALL)), 1);
}

static void serve_one(const struct ask *ask)
{
    serve_from(ask, desk_client(), false);
}

static unsigned rcode(void)
{
    ck_assert_int_eq(request.verdict, SERVE_SEND);
    return request.out[3] & 0xf;
}

/* The INFO-CODE of an answer whose OPT has nothing else and is its last record; or -1. */
static int ede(void)
{
    const uint8_t *end = request.out + request.out_size;
    const uint8_t *text = request.out + 12;
    for (const uint8_t *at = end - 6; at > text; at--) {
        if (wire_get_u16(at) == EDNS_EDE && at + 4 + wire_get_u16(at + 2) == end &&
            wire_get_u16(at - 2) == end - at && at[-11] == 0 &&
            wire_get_u16(at - 10) == RRTYPE_OPT) {
            return wire_get_u16(at + 4);
        }
    }
    return -1;
}

/* ---- Which route ---- */

/* The group that a question goes to, or -1. */
static int group_of(const char *name, uint16_t type)
{
    struct ask ask = ask_for(name, type);
    serve_one(&ask);
    if (request.verdict != SERVE_FORWARD) {
        return -1;
    }
    const struct forward *f = serve_forwarded(desk.serve, 0);
    ck_assert_uint_eq(f->question.qtype, type);
    ck_assert_uint_eq(f->question.group, f->route->group + 1);
    struct key zone;
    key_from_name(names_wire(zones[f->route->group]), &zone);
    ck_assert_uint_eq(f->zone_size, zone.size);
    return (int)f->route->group;
}

START_TEST(the_longest_wins)
{
    ck_assert_int_eq(group_of(".", RRTYPE_NS), 0);
    ck_assert_int_eq(group_of("org.", RRTYPE_A), 0);
    ck_assert_int_eq(group_of("com.", RRTYPE_A), 3);
    ck_assert_int_eq(group_of("www.com.", RRTYPE_A), 3);
    ck_assert_int_eq(group_of("example.", RRTYPE_SOA), -1);
    ck_assert_int_eq(group_of("no.example.", RRTYPE_A), -1);
    ck_assert_int_eq(group_of("child.example.", RRTYPE_NS), 1);
    ck_assert_int_eq(group_of("www.CHILD.example.", RRTYPE_A), 1);
    ck_assert_int_eq(group_of("own.child.example.", RRTYPE_SOA), -1);
    ck_assert_int_eq(group_of("no.own.child.example.", RRTYPE_A), -1);
    ck_assert_int_eq(group_of("x.b.c.", RRTYPE_A), 2);
    ck_assert_int_eq(group_of("x.a.b.c.", RRTYPE_A), -1);
    ck_assert_int_eq(group_of("x.c.", RRTYPE_A), -1);
}
END_TEST

/* DS is a matter of the zone above. */
START_TEST(ds)
{
    ck_assert_int_eq(group_of(".", RRTYPE_DS), 0);
    ck_assert_int_eq(group_of("com.", RRTYPE_DS), 0);         /* not com's own server */
    ck_assert_int_eq(group_of("x.com.", RRTYPE_DS), 3);
    ck_assert_int_eq(group_of("child.example.", RRTYPE_DS), -1); /* example is ours */
    ck_assert_int_eq(group_of("x.child.example.", RRTYPE_DS), 1);
    ck_assert_int_eq(group_of("own.child.example.", RRTYPE_DS), 1);
    ck_assert_int_eq(group_of("example.", RRTYPE_DS), 0);
    ck_assert_int_eq(group_of("a.b.c.", RRTYPE_DS), 2);
    ck_assert_int_eq(group_of("b.c.", RRTYPE_DS), -1); /* c is ours */
    ck_assert_int_eq(group_of("x.b.c.", RRTYPE_DS), 2);
}
END_TEST

/* Who is not forwarded for is told what we know of an apex of ours. */
START_TEST(ds_for_others)
{
    struct sockaddr_in6 other = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct ask ask = ask_for("example.", RRTYPE_DS);
    serve_from(&ask, (const struct sockaddr *)&other, false);
    ck_assert_uint_eq(rcode(), RCODE_NOERROR);
    ck_assert_uint_eq(request.out[2] & 4, 4); /* AA */
    ask = ask_for("x.child.example.", RRTYPE_DS);
    ask_opt(&ask, 1232, 0);
    serve_from(&ask, (const struct sockaddr *)&other, false);
    ck_assert_uint_eq(rcode(), RCODE_REFUSED);
    ck_assert_int_eq(ede(), EDE_PROHIBITED);
}
END_TEST

/* What is not forwarded, though a route takes it. */
START_TEST(not_forwarded)
{
    struct sockaddr_in6 other = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct ask ask = ask_for("www.com.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    serve_from(&ask, (const struct sockaddr *)&other, false);
    ck_assert_uint_eq(rcode(), RCODE_REFUSED);
    ck_assert_int_eq(ede(), EDE_PROHIBITED);
    ck_assert_uint_eq(request.out[3] & 0x80, 0); /* no RA for this one */
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_proxy_refused_client), 1);

    ask = ask_for("com.", RRTYPE_AXFR);
    serve_from(&ask, desk_client(), true);
    ck_assert_uint_eq(rcode(), RCODE_REFUSED);

    for (unsigned i = 0; i < 2; i++) {
        ask = ask_for("www.com.", RRTYPE_A);
        ask_opt(&ask, 1232, 0);
        ask_option(&ask, EDNS_LOOP, i == 0 ? "the mark" : "another!", 8);
        serve_one(&ask);
        ck_assert_int_eq(request.verdict, i == 0 ? SERVE_SEND : SERVE_FORWARD);
        ck_assert(i == 1 || (rcode() == RCODE_SERVFAIL && ede() == EDE_OTHER));
    }
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_proxy_loops), 1);

    ask = ask_for_class("www.com.", RRTYPE_A, CLASS_CH);
    serve_one(&ask);
    ck_assert_uint_eq(rcode(), RCODE_REFUSED);
}
END_TEST

/* A chain in our zones goes on in zones of ours only. */
START_TEST(chains)
{
    static const struct {
        const char *name;
        unsigned answers;
    } cases[] = {{"away.example.", 1}, {"far.example.", 1}, {"near.example.", 2}};
    for (size_t i = 0; i < 3; i++) {
        struct ask ask = ask_for(cases[i].name, RRTYPE_A);
        serve_one(&ask);
        ck_assert_uint_eq(rcode(), RCODE_NOERROR);
        ck_assert_msg(wire_get_u16(request.out + 6) == cases[i].answers, "%s", cases[i].name);
    }
}
END_TEST

/* What tells one question from another. */
START_TEST(questions)
{
    static const struct {
        uint16_t flags, edns;
        uint8_t expected;
    } cases[] = {
        {0, 0, 0},
        {FLAG_RD, 0, PROXY_RD},
        {FLAG_RD | FLAG_CD | FLAG_AD, 0, PROXY_RD | PROXY_CD},
        {0, EDNS_DO, PROXY_DO},
    };
    uint64_t hashes[4];
    for (size_t i = 0; i < 4; i++) {
        struct ask ask = ask_for("wWw.coM.", RRTYPE_TXT);
        ask_flags(&ask, cases[i].flags);
        if (cases[i].edns != 0) {
            ask_opt(&ask, 1232, cases[i].edns);
        }
        serve_one(&ask);
        ck_assert_int_eq(request.verdict, SERVE_FORWARD);
        const struct forward *f = serve_forwarded(desk.serve, 0);
        ck_assert_uint_eq(f->question.flags, cases[i].expected);
        ck_assert(!f->stale);
        ck_assert_mem_eq(f->client.qname, "\3wWw\3coM", 9);
        ck_assert_uint_eq(f->client.id, ASK_ID);
        ck_assert_uint_eq(f->client.limit, cases[i].edns != 0 ? 1232 : 512);
        hashes[i] = f->question.hash;
        for (size_t j = 0; j < i; j++) {
            ck_assert(hashes[i] != hashes[j]);
        }
    }
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_proxy_misses), 4);
}
END_TEST

/* ---- From the cache ---- */

/* Keeps a reply to www.com A, as asked with these flags, at a time. */
static void keep(const struct ask *reply, uint8_t flags, uint32_t now)
{
    static struct key key;
    struct reply r;
    struct proxy_question question = {.key = &key, .qtype = RRTYPE_A, .flags = flags, .group = 4};
    key_from_name(names_wire("www.com."), &key);
    question.hash = proxy_cache_hash(routes->cache, &question);
    ck_assert(reply_parse(reply->data, reply->size, &r));
    ck_assert(proxy_cache_put(routes->cache, &question, &r, &routes->times, now,
                              proxy_cache_epoch(routes->cache)));
}

static struct ask address(uint16_t flags)
{
    struct ask reply = reply_to("www.com.", RRTYPE_A, RCODE_NOERROR);
    ask_flags(&reply, FLAG_QR | FLAG_RD | flags);
    reply_a(&reply, 300, 0xc0000209);
    return reply;
}

static void expect_hit(const struct ask *ask, uint16_t flags, uint32_t ttl)
{
    serve_one(ask);
    ck_assert_int_eq(request.verdict, SERVE_SEND);
    ck_assert_uint_eq(wire_get_u16(out), ASK_ID);
    ck_assert_uint_eq(wire_get_u16(out + 2), FLAG_QR | flags);
    ck_assert_mem_eq(out + 12, ask->data + 12, 9 + 4);
    ck_assert_uint_eq(wire_get_u16(out + 6), 1);
    ck_assert_uint_eq(wire_get_u32(out + 25 + 6), ttl);
}

START_TEST(hits)
{
    struct ask reply = address(FLAG_RA | FLAG_AA | FLAG_AD | FLAG_CD);
    keep(&reply, 0, DESK_NOW - 100);
    keep(&reply, PROXY_RD, DESK_NOW - 100);
    keep(&reply, PROXY_RD | PROXY_CD, DESK_NOW - 100);
    struct ask ask = ask_for("WWW.com.", RRTYPE_A);
    expect_hit(&ask, FLAG_RA, 200);
    ask_flags(&ask, FLAG_RD | FLAG_AD);
    expect_hit(&ask, FLAG_RD | FLAG_RA | FLAG_AD, 200);
    ask_flags(&ask, FLAG_RD | FLAG_CD);
    expect_hit(&ask, FLAG_RD | FLAG_CD | FLAG_RA, 200);
    routes->group[3].origin = true;
    expect_hit(&ask, FLAG_RD | FLAG_CD | FLAG_AA, 200);
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_proxy_hits), 4);
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_proxy_misses), 0);
    ck_assert(!request.refresh);
}
END_TEST

/* The OPT has what the client asked for. */
START_TEST(hits_have_our_opt)
{
    struct ask reply = address(FLAG_RA);
    uint8_t cookie[8] = "clients!";
    ask_opt(&reply, 4096, EDNS_DO);
    ask_option(&reply, EDNS_NSID, "theirs", 6);
    keep(&reply, PROXY_RD, DESK_NOW);
    struct ask ask = ask_for("www.com.", RRTYPE_A);
    ask_flags(&ask, FLAG_RD);
    ask_opt(&ask, 4096, 0);
    expect_hit(&ask, FLAG_RD | FLAG_RA, 300);
    ck_assert_uint_eq(request.out_size, 25 + 16 + 11);
    ck_assert_uint_eq(wire_get_u16(out + 25 + 16 + 3), 1232);
    ask_option(&ask, EDNS_COOKIE, cookie, sizeof cookie);
    expect_hit(&ask, FLAG_RD | FLAG_RA, 300);
    ck_assert_uint_eq(request.out_size, 25 + 16 + 11 + 4 + 24);
    ck_assert_mem_eq(out + 25 + 16 + 11 + 4, cookie, 8);
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_cookies_client), 1);
}
END_TEST

/* Past its time, and asking anew has failed: the answer says so, if the client can read it. */
START_TEST(stale)
{
    struct ask reply = address(FLAG_RA);
    keep(&reply, PROXY_RD, DESK_NOW - 400);
    struct ask nothing = reply_to("www.com.", RRTYPE_A, RCODE_NXDOMAIN);
    reply_soa(&nothing, 300, 300);
    keep(&nothing, PROXY_RD | PROXY_CD, DESK_NOW - 400);
    struct ask ask = ask_for("www.com.", RRTYPE_A);
    ask_flags(&ask, FLAG_RD);
    serve_one(&ask);
    ck_assert_int_eq(request.verdict, SERVE_FORWARD);
    struct forward f = *serve_forwarded(desk.serve, 0);
    ck_assert(f.stale);
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_proxy_misses), 1);

    /* Whoever asks upstream falls back on it. */
    size_t size = forward_find_stale(&f.question, &f.client, false, &world->settings, DESK_NOW, out,
                                     desk.counters);
    ck_assert_uint_eq(size, 25 + 16);
    ck_assert_uint_eq(wire_get_u32(out + 25 + 6), PROXY_CACHE_STALE_TTL);
    ck_assert(proxy_cache_failed(routes->cache, &f.question, &routes->times, DESK_NOW));
    expect_hit(&ask, FLAG_RD | FLAG_RA, PROXY_CACHE_STALE_TTL);
    ask_opt(&ask, 1232, 0);
    expect_hit(&ask, FLAG_RD | FLAG_RA, PROXY_CACHE_STALE_TTL);
    ck_assert_int_eq(ede(), EDE_STALE);

    ask = ask_for("www.com.", RRTYPE_A);
    ask_flags(&ask, FLAG_RD | FLAG_CD);
    ask_opt(&ask, 1232, 0);
    serve_one(&ask);
    ck_assert_int_eq(request.verdict, SERVE_FORWARD);
    f = *serve_forwarded(desk.serve, 0);
    ck_assert(proxy_cache_failed(routes->cache, &f.question, &routes->times, DESK_NOW));
    serve_one(&ask);
    ck_assert_uint_eq(rcode(), RCODE_NXDOMAIN);
    ck_assert_int_eq(ede(), EDE_STALE_NXDOMAIN);
    ck_assert_uint_eq(counter_get(desk.counters, COUNTER_proxy_stale), 4);
}
END_TEST

/* A failure is kept with the reason upstream gave. */
START_TEST(failures)
{
    struct ask reply = reply_to("www.com.", RRTYPE_A, RCODE_SERVFAIL);
    ask_opt(&reply, 1232, 0);
    ask_option(&reply, EDNS_EDE, "\0\11bogus", 7);
    keep(&reply, 0, DESK_NOW);
    struct ask ask = ask_for("www.com.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    serve_one(&ask);
    ck_assert_uint_eq(rcode(), RCODE_SERVFAIL);
    ck_assert_int_eq(ede(), 9);
}
END_TEST

/* To the octet: a body that fits the limit only where there is no OPT, or no EDE in it. */
START_TEST(limits)
{
    enum { BODY = 512 - 25 };
    static uint8_t octets[BODY];
    struct ask reply = reply_to("www.com.", RRTYPE_A, RCODE_NOERROR);
    reply_add(&reply, ASK_ANSWER, "\xc0\x0c", 2, 65280, 300, octets, BODY - 12);
    keep(&reply, 0, DESK_NOW);
    struct ask ask = ask_for("www.com.", RRTYPE_A);
    expect_hit(&ask, FLAG_RA, 300);
    ck_assert_uint_eq(request.out_size, 512);
    for (uint16_t size = 512 + 10; size <= 512 + 11; size++) {
        struct ask with = ask_for("www.com.", RRTYPE_A);
        ask_opt(&with, size, 0);
        serve_one(&with);
        bool fits = size == 512 + 11;
        ck_assert_uint_eq(wire_get_u16(out + 2) & FLAG_TC, fits ? 0 : FLAG_TC);
        ck_assert_uint_eq(wire_get_u16(out + 6), fits);
        ck_assert_uint_eq(wire_get_u16(out + 10), 1);
        ck_assert_uint_eq(request.out_size, fits ? size : 25u + 11);
        serve_from(&with, desk_client(), true);
        ck_assert_uint_eq(request.out_size, 512 + 11);
    }
}
END_TEST

/* One of a batch is forwarded, the others are answered, each as its own. */
START_TEST(batches)
{
    static const char *const asked[] = {"www.example.", "www.com.", "x.child.example.", "www.c."};
    struct serve_request requests[4];
    struct ask asks[4];
    static uint8_t outs[4][4096];
    for (size_t i = 0; i < 4; i++) {
        asks[i] = ask_for(asked[i], RRTYPE_A);
        requests[i] = (struct serve_request){.in = asks[i].data, .in_size = asks[i].size,
                                             .peer = desk_client(), .out = outs[i],
                                             .out_size = sizeof outs[i]};
    }
    ck_assert_uint_eq(serve_batch(desk.serve, world, requests, 4, NULL, desk_time(DESK_WALL)), 4);
    for (size_t i = 0; i < 4; i++) {
        bool forwarded = i == 1 || i == 2;
        ck_assert_int_eq(requests[i].verdict, forwarded ? SERVE_FORWARD : SERVE_SEND);
        ck_assert(!forwarded || serve_forwarded(desk.serve, i)->route->group == (i == 1 ? 3 : 1));
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("forward");
    tcase_add_checked_fixture(unit.tests, setup, teardown);
    tcase_add_test(unit.tests, the_longest_wins);
    tcase_add_test(unit.tests, ds);
    tcase_add_test(unit.tests, ds_for_others);
    tcase_add_test(unit.tests, not_forwarded);
    tcase_add_test(unit.tests, chains);
    tcase_add_test(unit.tests, questions);
    tcase_add_test(unit.tests, hits);
    tcase_add_test(unit.tests, hits_have_our_opt);
    tcase_add_test(unit.tests, stale);
    tcase_add_test(unit.tests, failures);
    tcase_add_test(unit.tests, limits);
    tcase_add_test(unit.tests, batches);
    return unit_end(&unit);
}

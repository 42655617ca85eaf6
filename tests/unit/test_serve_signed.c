/*
 * Signing in batches: what is ready leaves first, what is over the budget is turned away or, for
 * who has a cookie, is not; the clock may jump.
 */
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/wire.h"
#include "dnssec/signing.h"
#include "key_aid.h"
#include "make_world.h"
#include "make_zone.h"
#include "names.h"
#include "serve/cookie.h"
#include "unit.h"

static const uint8_t apex[] = "\7example\4test";

enum { YEAR = 365 * 86400, ROOM = 4096 };

static struct dnssec_policy policy;
static struct world *world;
static struct desk desk;
static uint8_t answers[SERVE_BATCH][ROOM];
static struct ask asks[SERVE_BATCH];
static struct serve_request requests[SERVE_BATCH];

/* A world of one zone that is signed by a key of this algorithm. */
static void open_world(enum dnssec_denial denial, uint8_t algorithm)
{
    const uint8_t *name = apex;
    struct zone *zone = make_zone("example.test.", MAKE_APEX "www A 192.0.2.1\n"
                                                             "*.wild A 192.0.2.2\n"
                                                             "b.ent TXT x\n"
                                                             "@ NSEC3PARAM 1 0 5 ab\n"
                                                             "stray A 192.0.2.3\n"
                                                             "stray NSEC www MX\n"
                                                             "stray RRSIG A 13 3 3600 1 0 1 @ AA==\n");
    struct settings settings = make_settings();
    struct keyset *keyset;
    struct diag diag = {0};
    char ds[DNSKEY_DS_TEXT];
    key_directory_make();
    policy = (struct dnssec_policy){.denial = denial,
                                    .lifetime = 14 * 86400,
                                    .refresh = 7 * 86400,
                                    .inception_offset = 3600,
                                    .dnskey_ttl = 3600};
    ck_assert_int_eq(
        keyset_make(key_directory, apex, algorithm, DESK_WALL, &keyset, ds, &diag), RR_OK);
    world = make_world(&settings, &name, &zone, 1);
    ck_assert_int_eq(
        signing_new(&policy, keyset, DESK_WALL, zone, NULL, &world->zones[0].signing), RR_OK);
    keyset_unref(keyset);
    desk = desk_new();
}

static void close_world(void)
{
    desk_free(&desk);
    world_free(world);
    key_directory_remove();
}

static uint64_t count_of(enum counter counter)
{
    return counter_get(desk.counters, counter);
}

/* The nth question of a batch, with DO. */
static void put(size_t n, const char *name, uint16_t type)
{
    asks[n] = ask_for(name, type);
    ask_opt(&asks[n], 1232, EDNS_DO);
}

/* Gives the nth question a cookie that the server made. */
static void put_cookie(size_t n)
{
    static const uint8_t client[] = "a client";
    uint8_t cookie[COOKIE_SIZE];
    struct query q = {.cookie = client, .cookie_size = 8};
    cookie_check(&world->settings, &q, desk_client(), DESK_WALL, cookie);
    ask_option(&asks[n], EDNS_COOKIE, cookie, COOKIE_SIZE);
}

static void serve_all(size_t count, uint32_t wall)
{
    for (size_t i = 0; i < count; i++) {
        requests[i] = (struct serve_request){
            .in = asks[i].data,
            .in_size = asks[i].size,
            .peer = desk_client(),
            .out = answers[i],
            .out_size = ROOM,
        };
    }
    ck_assert_uint_eq(serve_batch(desk.serve, world, requests, count, NULL, desk_time(wall)),
                      count);
}

static bool is_truncated(size_t n)
{
    return (wire_get_u16(answers[n] + 2) & FLAG_TC) != 0;
}

/* The nth answer, read by ldns; to be freed. */
static ldns_pkt *packet_of(size_t n)
{
    ldns_pkt *packet;
    ck_assert_int_eq(requests[n].verdict, SERVE_SEND);
    ck_assert_int_eq(ldns_wire2pkt(&packet, answers[n], requests[n].out_size), LDNS_STATUS_OK);
    return packet;
}

/* All signatures of the nth answer are there, and good at the time. */
static void expect_signed_at(size_t n, uint32_t wall, size_t least)
{
    ldns_pkt *packet = packet_of(n);
    ldns_rr_list *all = ldns_pkt_all_noquestion(packet);
    size_t found = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(all); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(all, i);
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG) {
            ck_assert_uint_le(ldns_rdf2native_int32(ldns_rr_rrsig_inception(rr)), wall);
            ck_assert_uint_gt(ldns_rdf2native_int32(ldns_rr_rrsig_expiration(rr)), wall);
            found++;
        }
    }
    ck_assert_uint_ge(found, least);
    ldns_rr_list_deep_free(all);
    ldns_pkt_free(packet);
}

/* ---- Ready ones first ---- */

START_TEST(ready_answers_leave_first)
{
    open_world(DENIAL_COMPACT, DNSKEY_ECDSAP256SHA256);
    put(0, "www.example.test.", RRTYPE_A);
    serve_all(1, DESK_WALL);
    ck_assert_int_eq(requests[0].verdict, SERVE_LATER);
    ck_assert(serve_has_later(desk.serve));
    ck_assert_uint_eq(serve_later(desk.serve, world, requests, 1, 0, DESK_WALL), 1);
    expect_signed_at(0, DESK_WALL, 1);
    ck_assert(!serve_has_later(desk.serve));

    put(0, "none.example.test.", RRTYPE_A);
    put(1, "www.example.test.", RRTYPE_A);
    asks[2] = ask_for("none.example.test.", RRTYPE_A); /* without DO: nothing to sign */
    put(3, "WWW.example.test.", RRTYPE_A);
    serve_all(4, DESK_WALL);
    ck_assert_int_eq(requests[0].verdict, SERVE_LATER);
    expect_signed_at(1, DESK_WALL, 1);
    ck_assert_int_eq(requests[2].verdict, SERVE_SEND);
    ck_assert_uint_eq(wire_get_u16(answers[2] + 2) & 15, RCODE_NXDOMAIN);
    expect_signed_at(3, DESK_WALL, 1);
    /* SOA and the NSEC of a name that isn't there. */
    ck_assert_uint_eq(serve_later(desk.serve, world, requests, 4, 0, DESK_WALL), 2);
    expect_signed_at(0, DESK_WALL, 2);
    for (size_t i = 1; i < 4; i++) {
        ck_assert_int_eq(requests[i].verdict, SERVE_DROP); /* not to be sent twice */
    }
    ck_assert_uint_eq(count_of(COUNTER_signatures_made), 3);
    ck_assert_uint_eq(count_of(COUNTER_signing_later), 2);
    ck_assert_uint_eq(count_of(COUNTER_answers_nxname), 1);
    close_world();
}
END_TEST

/* The same question again needs nothing, whatever it was; over a stream nothing is left. */
START_TEST(asked_again)
{
    static const char *const names[] = {"www.example.test.", "none.example.test.",
                                        "x.wild.example.test.", "ent.example.test."};
    for (unsigned mode = DENIAL_COMPACT; mode <= DENIAL_NSEC3; mode++) {
        open_world(mode, DNSKEY_ED25519);
        for (unsigned round = 0; round < 2; round++) {
            for (size_t i = 0; i < 4; i++) {
                put(i, names[i], RRTYPE_A);
            }
            serve_all(4, DESK_WALL);
            ck_assert(serve_has_later(desk.serve) == (round == 0));
            if (round == 0) {
                serve_later(desk.serve, world, requests, 4, 0, DESK_WALL);
            }
            for (size_t i = 0; i < 4; i++) {
                expect_signed_at(i, DESK_WALL, 1);
            }
        }
        uint64_t made = count_of(COUNTER_signatures_made);
        put(0, "www.example.test.", RRTYPE_TXT);
        ck_assert(desk_ask(&desk, world, &asks[0], true));
        ck_assert_uint_ge(wire_get_u16(desk.answer + 8), 4); /* SOA, denial, and theirs */
        ck_assert_uint_ge(count_of(COUNTER_signatures_made), made);
        close_world();
    }
}
END_TEST

/* An NSEC that is asked for is an answer. A denial with it would say that it is there itself. */
START_TEST(nsec_by_type)
{
    static const char *const names[] = {"example.test.", "www.example.test.", "*.wild.example.test.",
                                        "none.example.test.", "ent.example.test."};
    for (unsigned mode = DENIAL_COMPACT; mode <= DENIAL_NSEC3; mode++) {
        open_world(mode, DNSKEY_ED25519);
        for (size_t i = 0; i < 5; i++) {
            put(i, names[i], RRTYPE_NSEC);
        }
        asks[5] = ask_for("none.example.test.", RRTYPE_NSEC);
        ask_opt(&asks[5], 1232, EDNS_DO | EDNS_CO);
        serve_all(6, DESK_WALL);
        serve_later(desk.serve, world, requests, 6, 0, DESK_WALL);
        for (size_t i = 0; i < 6; i++) {
            bool given = mode == DENIAL_COMPACT ? i < 5 : mode == DENIAL_NSEC && i < 3;
            ldns_pkt *packet = packet_of(i);
            ck_assert_uint_eq(ldns_pkt_ancount(packet), given ? 2 : 0);
            ck_assert(!given || ldns_pkt_nscount(packet) == 0);
            ck_assert(given || ldns_pkt_nscount(packet) >= 4);
            ck_assert_uint_eq(ldns_pkt_get_rcode(packet),
                              i == 5 || (i == 3 && !given) ? LDNS_RCODE_NXDOMAIN
                                                           : LDNS_RCODE_NOERROR);
            ldns_pkt_free(packet);
        }
        close_world();
    }
}
END_TEST

/* Labels as RRSIG counts them: no "*" at the beginning of a name, be it a wildcard's or not. */
START_TEST(labels_of_stars)
{
    static const struct {
        const char *name;
        uint8_t compact, others;
    } asked[] = {{"*.wild.example.test.", 3, 3},   {"x.wild.example.test.", 4, 3},
                 {"*.x.wild.example.test.", 4, 3}, {"*.none.example.test.", 3, 0},
                 {"x.*.none.example.test.", 5, 0}};
    for (unsigned mode = DENIAL_COMPACT; mode <= DENIAL_NSEC3; mode++) {
        open_world(mode, DNSKEY_ED25519);
        for (size_t i = 0; i < 5; i++) {
            put(i, asked[i].name, RRTYPE_A);
        }
        serve_all(5, DESK_WALL);
        serve_later(desk.serve, world, requests, 5, 0, DESK_WALL);
        for (size_t i = 0; i < 5; i++) {
            uint8_t expected = mode == DENIAL_COMPACT ? asked[i].compact : asked[i].others;
            ldns_pkt *packet = packet_of(i);
            const ldns_rr_list *list = ldns_pkt_ancount(packet) > 0 ? ldns_pkt_answer(packet)
                                                                    : ldns_pkt_authority(packet);
            const ldns_rr *last = ldns_rr_list_rr(list, ldns_rr_list_rr_count(list) - 1);
            ck_assert_int_eq(ldns_rr_get_type(last), LDNS_RR_TYPE_RRSIG);
            if (expected != 0) { /* else what is last is no record of the name */
                ck_assert_uint_eq(ldns_rdf2native_int8(ldns_rr_rrsig_labels(last)), expected);
            }
            ldns_pkt_free(packet);
        }
        close_world();
    }
}
END_TEST

/* What a file has left of another's signing is not told: there would be two NSEC of a name. */
START_TEST(not_the_files_own)
{
    for (unsigned mode = DENIAL_COMPACT; mode <= DENIAL_NSEC3; mode++) {
        open_world(mode, DNSKEY_ED25519);
        put(0, "stray.example.test.", RRTYPE_NSEC);
        put(1, "stray.example.test.", RRTYPE_RRSIG);
        put(2, "example.test.", RRTYPE_NSEC3PARAM);
        serve_all(3, DESK_WALL);
        serve_later(desk.serve, world, requests, 3, 0, DESK_WALL);
        ldns_pkt *packet = packet_of(0);
        char *text = ldns_pkt2str(packet);
        ck_assert_ptr_null(strstr(text, " MX"));
        free(text);
        ldns_pkt_free(packet);
        packet = packet_of(1);
        for (size_t i = 0; i < ldns_pkt_ancount(packet); i++) { /* the server's */
            const ldns_rr *rr = ldns_rr_list_rr(ldns_pkt_answer(packet), i);
            ck_assert_uint_eq(ldns_rdf2native_int8(ldns_rr_rrsig_algorithm(rr)), DNSKEY_ED25519);
        }
        ldns_pkt_free(packet);
        ck_assert_uint_eq(wire_get_u16(answers[2] + 6), mode == DENIAL_NSEC3 ? 2 : 0);
        close_world();
    }
}
END_TEST

/* ---- The budget ---- */

static void put_flood(size_t count)
{
    static unsigned number;
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "flood%u.example.test.", number++);
        put(i, name, RRTYPE_A);
    }
}

START_TEST(many_wait_and_nothing_is_signed)
{
    open_world(DENIAL_COMPACT, DNSKEY_ECDSAP256SHA256);
    put_flood(SERVE_BATCH);
    put_cookie(7);
    serve_all(SERVE_BATCH, DESK_WALL);
    ck_assert_uint_eq(serve_later(desk.serve, world, requests, SERVE_BATCH, 100000, DESK_WALL), 2);
    for (size_t i = 0; i < SERVE_BATCH; i++) {
        ck_assert_int_eq(requests[i].verdict, SERVE_SEND);
        ck_assert(is_truncated(i) == (i != 7));
        if (i != 7) { /* no records but the OPT */
            ck_assert_uint_eq(wire_get_u16(answers[i] + 6), 0);
            ck_assert_uint_eq(wire_get_u16(answers[i] + 8), 0);
            ck_assert_uint_eq(wire_get_u16(answers[i] + 10), 1);
        }
    }
    expect_signed_at(7, DESK_WALL, 2);
    ck_assert_uint_eq(count_of(COUNTER_signing_refused), SERVE_BATCH - 1);
    ck_assert_uint_eq(count_of(COUNTER_signing_beyond), 1);
    ck_assert_uint_eq(count_of(COUNTER_answers_truncated), SERVE_BATCH - 1);
    /* Over TCP it is signed, whatever else goes on. */
    ck_assert(desk_ask(&desk, world, &asks[0], true));
    ck_assert_uint_eq(wire_get_u16(desk.answer + 8), 4);
    close_world();
}
END_TEST

START_TEST(few_wait_and_all_are_signed)
{
    open_world(DENIAL_COMPACT, DNSKEY_ECDSAP256SHA256);
    put_flood(SERVE_BATCH);
    serve_all(SERVE_BATCH, DESK_WALL);
    serve_later(desk.serve, world, requests, SERVE_BATCH, 0, DESK_WALL);
    for (size_t i = 0; i < SERVE_BATCH; i++) {
        ck_assert(!is_truncated(i));
        expect_signed_at(i, DESK_WALL, 2);
    }
    ck_assert_uint_eq(count_of(COUNTER_signing_refused), 0);
    close_world();
}
END_TEST

/* An algorithm that costs more has fewer signatures in its budget. */
START_TEST(costs_count)
{
    open_world(DENIAL_COMPACT, DNSKEY_ECDSAP384SHA384);
    put_flood(SERVE_BATCH);
    serve_all(SERVE_BATCH, DESK_WALL);
    unsigned cost = serve_later(desk.serve, world, requests, SERVE_BATCH, 0, DESK_WALL);
    ck_assert_uint_gt(count_of(COUNTER_signing_refused), SERVE_BATCH / 2);
    ck_assert_uint_le(cost, 200);
    close_world();
}
END_TEST

/* One answer may cost more than a batch's budget; who asks alone gets it all the same. */
START_TEST(the_first_is_signed)
{
    static const uint8_t algorithms[] = {DNSKEY_ECDSAP384SHA384, DNSKEY_RSASHA256, DNSKEY_ED448};
    for (size_t i = 0; i < sizeof algorithms; i++) {
        open_world(DENIAL_NSEC3, algorithms[i]);
        put(0, "a.none.example.test.", RRTYPE_A);
        put(1, "b.none2.example.test.", RRTYPE_A);
        serve_all(2, DESK_WALL);
        serve_later(desk.serve, world, requests, 2, 0, DESK_WALL);
        ck_assert_uint_ge(count_of(COUNTER_signatures_made), 4);
        ck_assert_uint_eq(count_of(COUNTER_signing_refused), 1);
        put_flood(1);
        serve_all(1, DESK_WALL);
        serve_later(desk.serve, world, requests, 1, 1000, DESK_WALL); /* others wait */
        ck_assert_uint_eq(count_of(COUNTER_signing_refused), 2);
        close_world();
    }
}
END_TEST

/* ---- Clocks ---- */

/* Over a stream everything is signed, but so much at a time. */
START_TEST(streams_stop)
{
    static const struct {
        uint8_t algorithm;
        size_t least, most;
    } cases[] = {{13, 6, SERVE_STREAM_COST}, {14, 1, 1}};
    static uint8_t octets[SERVE_BATCH * 4096 + SERVE_STREAM_ROOM];
    for (size_t c = 0; c < 2; c++) {
        open_world(DENIAL_COMPACT, cases[c].algorithm);
        put(0, "example.test.", RRTYPE_SOA);
        serve_all(1, DESK_WALL); /* the SOA of denials */
        serve_later(desk.serve, world, requests, 1, 0, DESK_WALL);
        for (size_t i = 0; i < SERVE_BATCH; i++) {
            char name[64];
            snprintf(name, sizeof name, "none%zu.example.test.", i);
            put(i, name, RRTYPE_A);
            requests[i] = (struct serve_request){
                .in = asks[i].data, .in_size = asks[i].size, .peer = desk_client(), .stream = true};
        }
        size_t done = 0;
        while (done < SERVE_BATCH) {
            struct serve_stream stream = {.data = octets, .size = sizeof octets};
            size_t served = serve_batch(desk.serve, world, requests + done, SERVE_BATCH - done,
                                        &stream, desk_time(DESK_WALL));
            ck_assert_uint_le(served, cases[c].most);
            ck_assert(served >= cases[c].least || done + served == SERVE_BATCH);
            ck_assert(stream.cost <= SERVE_STREAM_COST || served == 1);
            for (size_t i = done; i < done + served; i++) {
                ck_assert_int_eq(requests[i].verdict, SERVE_SEND);
                ck_assert_uint_gt(requests[i].out_size, 200);
            }
            done += served;
        }
        /* What is signed already costs nothing. */
        struct serve_stream stream = {.data = octets, .size = sizeof octets};
        ck_assert_uint_eq(
            serve_batch(desk.serve, world, requests, SERVE_BATCH, &stream, desk_time(DESK_WALL)),
            SERVE_BATCH);
        ck_assert_uint_eq(stream.cost, 0);
        ck_assert_uint_eq(count_of(COUNTER_signing_refused), 0);
        close_world();
    }
}
END_TEST

START_TEST(clock_jumps)
{
    static const int64_t jumps[] = {0, YEAR, 0, -YEAR, 0, 13 * 86400, 10 * 86400, 0};
    for (unsigned mode = DENIAL_COMPACT; mode <= DENIAL_NSEC3; mode++) {
        open_world(mode, DNSKEY_ED25519);
        for (size_t j = 0; j < sizeof jumps / sizeof jumps[0]; j++) {
            uint32_t wall = (uint32_t)(DESK_WALL + jumps[j]);
            put(0, "www.example.test.", RRTYPE_A);
            put(1, "none.example.test.", RRTYPE_A);
            put(2, "example.test.", RRTYPE_DNSKEY);
            put(3, "www.example.test.", RRTYPE_MX);
            serve_all(4, wall);
            if (serve_has_later(desk.serve)) {
                bool left[4];
                for (size_t i = 0; i < 4; i++) {
                    left[i] = requests[i].verdict == SERVE_LATER;
                }
                serve_later(desk.serve, world, requests, 4, 0, wall);
                for (size_t i = 0; i < 4; i++) {
                    requests[i].verdict = left[i] ? requests[i].verdict : SERVE_SEND;
                }
            }
            for (size_t i = 0; i < 4; i++) {
                expect_signed_at(i, wall, 1);
            }
        }
        close_world();
    }
}
END_TEST

/* ---- What does not fit ---- */

/* Whatever the size: TC, or every RRset that is there has its signatures. */
START_TEST(never_without_signatures)
{
    open_world(DENIAL_NSEC3, DNSKEY_ECDSAP256SHA256);
    unsigned truncated = 0;
    for (uint16_t size = 512; size < 1232; size = (uint16_t)(size + 9)) {
        asks[0] = ask_for("a.b.c.none.example.test.", RRTYPE_A);
        ask_opt(&asks[0], size, EDNS_DO);
        serve_all(1, DESK_WALL);
        if (serve_has_later(desk.serve)) {
            serve_later(desk.serve, world, requests, 1, 0, DESK_WALL);
        }
        ck_assert_uint_le(requests[0].out_size, size);
        ldns_pkt *packet = packet_of(0);
        const ldns_rr_list *list = ldns_pkt_authority(packet);
        size_t signatures = 0, count = ldns_rr_list_rr_count(list);
        for (size_t i = 0; i < count; i++) {
            signatures += ldns_rr_get_type(ldns_rr_list_rr(list, i)) == LDNS_RR_TYPE_RRSIG;
        }
        ck_assert_uint_eq(signatures * 2, count);
        ck_assert(ldns_pkt_tc(packet) == (count < 8)); /* SOA and three NSEC3 */
        truncated += ldns_pkt_tc(packet) ? 1 : 0;
        ldns_pkt_free(packet);
    }
    ck_assert_uint_gt(truncated, 0);
    close_world();
}
END_TEST

/* ---- Questions for what the server makes itself ---- */

static ldns_pkt *asked_for(const char *name, uint16_t type)
{
    put(0, name, type);
    serve_all(1, DESK_WALL);
    if (serve_has_later(desk.serve)) {
        serve_later(desk.serve, world, requests, 1, 0, DESK_WALL);
    }
    return packet_of(0);
}

/* The types of the records in the answer and authority sections: "NSEC RRSIG | SOA". */
static void expect_types(const char *name, uint16_t type, const char *expected)
{
    char said[256] = "";
    ldns_pkt *packet = asked_for(name, type);
    for (unsigned section = 0; section < 2; section++) {
        const ldns_rr_list *list =
            section == 0 ? ldns_pkt_answer(packet) : ldns_pkt_authority(packet);
        for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
            char *text = ldns_rr_type2str(ldns_rr_get_type(ldns_rr_list_rr(list, i)));
            snprintf(said + strlen(said), sizeof said - strlen(said), "%s ", text);
            free(text);
        }
        strcat(said, section == 0 ? "| " : "");
    }
    ck_assert_msg(strcmp(said, expected) == 0, "%s %u: %s, not %s", name, type, said, expected);
    ldns_pkt_free(packet);
}

START_TEST(nsec_and_rrsig)
{
    open_world(DENIAL_COMPACT, DNSKEY_ECDSAP256SHA256);
    expect_types("www.example.test.", RRTYPE_NSEC, "NSEC RRSIG | ");
    expect_types("ent.example.test.", RRTYPE_NSEC, "NSEC RRSIG | ");
    expect_types("x.wild.example.test.", RRTYPE_NSEC, "NSEC RRSIG | ");
    expect_types("www.example.test.", RRTYPE_RRSIG, "RRSIG | ");
    expect_types("x.wild.example.test.", RRTYPE_RRSIG, "RRSIG | ");
    expect_types("ent.example.test.", RRTYPE_RRSIG, "RRSIG | ");
    expect_types("none.example.test.", RRTYPE_NSEC, "NSEC RRSIG | ");
    close_world();
    open_world(DENIAL_NSEC, DNSKEY_ECDSAP256SHA256);
    expect_types("example.test.", RRTYPE_NSEC, "NSEC RRSIG | ");
    expect_types("www.example.test.", RRTYPE_NSEC, "NSEC RRSIG | ");
    expect_types("ent.example.test.", RRTYPE_NSEC, "| SOA RRSIG NSEC RRSIG ");
    expect_types("x.wild.example.test.", RRTYPE_NSEC, "NSEC RRSIG | NSEC RRSIG ");
    expect_types("www.example.test.", RRTYPE_RRSIG, "RRSIG | ");
    expect_types("x.wild.example.test.", RRTYPE_RRSIG, "RRSIG | NSEC RRSIG ");
    close_world();
    open_world(DENIAL_NSEC3, DNSKEY_ECDSAP256SHA256);
    expect_types("www.example.test.", RRTYPE_NSEC, "| SOA RRSIG NSEC3 RRSIG ");
    expect_types("www.example.test.", RRTYPE_RRSIG, "RRSIG | ");
    expect_types("ent.example.test.", RRTYPE_RRSIG, "| SOA RRSIG NSEC3 RRSIG ");
    close_world();
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("serve_signed");
    tcase_set_timeout(unit.tests, 60);
    tcase_add_test(unit.tests, ready_answers_leave_first);
    tcase_add_test(unit.tests, asked_again);
    tcase_add_test(unit.tests, nsec_by_type);
    tcase_add_test(unit.tests, labels_of_stars);
    tcase_add_test(unit.tests, not_the_files_own);
    tcase_add_test(unit.tests, many_wait_and_nothing_is_signed);
    tcase_add_test(unit.tests, few_wait_and_all_are_signed);
    tcase_add_test(unit.tests, costs_count);
    tcase_add_test(unit.tests, the_first_is_signed);
    tcase_add_test(unit.tests, streams_stop);
    tcase_add_test(unit.tests, clock_jumps);
    tcase_add_test(unit.tests, never_without_signatures);
    tcase_add_test(unit.tests, nsec_and_rrsig);
    return unit_end(&unit);
}

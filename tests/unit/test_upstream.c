/*
 * What is learned of upstream servers and which is asked, one call at a time. How that works out
 * under load, with servers that die and come back, is simulated in test_upstream_load.c.
 */
#include "net/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "unit.h"

enum { SERVERS = 4 };

static const uint64_t MS = 1000000, SECOND = 1000000000;

static struct upstream_counts counts[SERVERS];
static struct upstream_set set;
static struct upstream_random chance;
static uint64_t now;

static struct upstream *make(const char *text, enum upstream_transport transport, char *tls_name,
                             struct upstream_counts *at)
{
    static const uint8_t cookie[8] = "cookies";
    char copy[ADDRESS_TEXT_MAX];
    strcpy(copy, text);
    struct upstream_server server = {.transport = transport, .text = copy, .tls_name = tls_name};
    ck_assert_int_eq(address_parse(text, 53, &server.address, &server.address_size), 0);
    struct upstream *upstream = upstream_new(&server, at, cookie);
    ck_assert_ptr_nonnull(upstream);
    return upstream;
}

static void set_up(void)
{
    static const char *const texts[SERVERS] = {"192.0.2.1", "192.0.2.2:5353", "[2001:db8::1]:53",
                                               "2001:db8::2"};
    struct rng rng = rng_start();
    chance.state = rng_next(&rng) | 1;
    now = 1000 * SECOND;
    set = (struct upstream_set){.count = SERVERS, .queries_max = 100};
    memset(counts, 0, sizeof counts);
    for (size_t i = 0; i < SERVERS; i++) {
        set.upstream[i] = make(texts[i], UPSTREAM_UDP, NULL, &counts[i]);
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < SERVERS; i++) {
        upstream_free(set.upstream[i]);
    }
}

static void reply(size_t i, uint64_t latency)
{
    upstream_sent(set.upstream[i], false);
    now += latency;
    upstream_replied(set.upstream[i], latency, now);
    upstream_done(set.upstream[i], false);
}

static void miss(size_t i, enum upstream_error error, uint64_t after)
{
    upstream_sent(set.upstream[i], false);
    now += after;
    upstream_failed(set.upstream[i], error, now - after, now, &chance);
    upstream_done(set.upstream[i], false);
}

static void take_down(size_t i)
{
    while (set.upstream[i]->state != UPSTREAM_DOWN) {
        miss(i, UPSTREAM_TIMEOUT, 300 * MS);
    }
}

static int choose(uint32_t tried)
{
    return upstream_choose(&set, tried, 0, &chance);
}

/* ---- What a server is ---- */

START_TEST(a_new_one)
{
    char name[] = "dns.example";
    struct upstream *upstream = make("192.0.2.1:853", UPSTREAM_TLS, name, &counts[0]);
    ck_assert_int_eq(upstream->state, UPSTREAM_UNKNOWN);
    ck_assert_str_eq(upstream->server.text, "192.0.2.1:853");
    ck_assert_str_eq(upstream->server.tls_name, "dns.example");
    ck_assert_ptr_ne(upstream->server.tls_name, name);
    ck_assert_uint_eq(upstream->references, 1);
    ck_assert_uint_eq(upstream->cookie_size, 8);
    ck_assert_mem_eq(upstream->cookie, "cookies", 8);
    upstream_free(upstream);
    upstream_free(NULL);
}
END_TEST

START_TEST(the_same_one)
{
    char name[] = "dns.example", same[] = "dns.example", other[] = "dns2.example";
    struct upstream *upstream = make("[2001:db8::1]:853", UPSTREAM_TLS, name, &counts[0]);
    struct upstream_server server = upstream->server;
    server.text = NULL;
    server.slot = 7;
    server.tls_name = same;
    ck_assert(upstream_server_same(&upstream->server, &server));
    server.tls_name = other;
    ck_assert(!upstream_server_same(&upstream->server, &server));
    server.tls_name = NULL;
    ck_assert(!upstream_server_same(&upstream->server, &server));
    server.tls_name = same;
    server.transport = UPSTREAM_TCP;
    ck_assert(!upstream_server_same(&upstream->server, &server));
    server.transport = UPSTREAM_TLS;
    ck_assert_int_eq(address_parse("[2001:db8::1]:854", 0, &server.address, &server.address_size),
                     0);
    ck_assert(!upstream_server_same(&upstream->server, &server));
    upstream_free(upstream);
}
END_TEST

START_TEST(counters_tell)
{
    reply(0, 10 * MS);
    upstream_sent(set.upstream[0], true);
    miss(0, UPSTREAM_TIMEOUT, 300 * MS);
    miss(0, UPSTREAM_UNREACHABLE, MS);
    miss(0, UPSTREAM_TLS_FAILED, MS);
    miss(0, UPSTREAM_SERVFAIL, MS);
    miss(0, UPSTREAM_REFUSED, MS);
    const struct upstream_counts *c = &counts[0];
    ck_assert_uint_eq(c->queries, 6);
    ck_assert_uint_eq(c->probes, 1);
    ck_assert_uint_eq(c->outstanding, 1);
    ck_assert_uint_eq(c->replies, 1);
    ck_assert_uint_eq(c->latency[24], 1); /* 2^23 <= 10,000,000 < 2^24 */
    ck_assert_uint_eq(c->timeouts, 1);
    ck_assert_uint_eq(c->unreachable, 2);
    ck_assert_uint_eq(c->servfail, 1);
    ck_assert_uint_eq(c->last_error, UPSTREAM_REFUSED);
    ck_assert_uint_eq(c->last_error_ns, now);
    ck_assert_uint_eq(c->state, UPSTREAM_DOWN);
    ck_assert_uint_eq(c->ewma_ns, set.upstream[0]->ewma_ns);
    upstream_done(set.upstream[0], true);
    ck_assert_uint_eq(c->outstanding, 0);
}
END_TEST

START_TEST(chance_is_even)
{
    unsigned high[32] = {0};
    for (unsigned i = 0; i < 32000; i++) {
        high[upstream_random(&chance) >> 59]++;
        ck_assert_uint_ne(chance.state, 0);
    }
    for (unsigned i = 0; i < 32; i++) {
        ck_assert_uint_gt(high[i], 800); /* six deviations from 1000 */
        ck_assert_uint_lt(high[i], 1200);
    }
}
END_TEST

/* ---- How it does ---- */

START_TEST(latency_is_followed_within_ten_replies)
{
    reply(0, 10 * MS);
    ck_assert_uint_eq(set.upstream[0]->ewma_ns, 10 * MS);
    for (unsigned i = 0; i < 10; i++) {
        reply(0, 100 * MS);
    }
    ck_assert_uint_gt(set.upstream[0]->ewma_ns, 90 * MS);
    for (unsigned i = 0; i < 10; i++) {
        reply(0, 10 * MS);
    }
    ck_assert_uint_lt(set.upstream[0]->ewma_ns, 16 * MS);
    reply(1, 0);
    ck_assert_uint_gt(set.upstream[1]->ewma_ns, 0);
    ck_assert_int_eq(set.upstream[1]->state, UPSTREAM_UP);
}
END_TEST

START_TEST(patience_follows_latency)
{
    ck_assert_uint_eq(upstream_patience_ns(set.upstream[0], 2 * SECOND), 600 * MS);
    ck_assert_uint_eq(upstream_patience_ns(set.upstream[0], 100 * MS), 100 * MS);
    reply(0, 10 * MS);
    ck_assert_uint_eq(upstream_patience_ns(set.upstream[0], 2 * SECOND), 300 * MS);
    ck_assert_uint_eq(upstream_patience_ns(set.upstream[0], 100 * MS), 100 * MS);
    reply(1, 100 * MS);
    ck_assert_uint_eq(upstream_patience_ns(set.upstream[1], 2 * SECOND), 800 * MS);
    reply(2, SECOND);
    ck_assert_uint_eq(upstream_patience_ns(set.upstream[2], 2 * SECOND), 2 * SECOND);
    /* That of replies: losses don't make others wait longer. */
    miss(0, UPSTREAM_TIMEOUT, SECOND);
    miss(0, UPSTREAM_TIMEOUT, SECOND);
    ck_assert_uint_eq(upstream_patience_ns(set.upstream[0], 2 * SECOND), 300 * MS);
}
END_TEST

START_TEST(three_failures_in_a_row)
{
    reply(0, MS);
    miss(0, UPSTREAM_TIMEOUT, 300 * MS);
    miss(0, UPSTREAM_UNREACHABLE, MS);
    reply(0, MS);
    miss(0, UPSTREAM_TLS_FAILED, MS);
    miss(0, UPSTREAM_MALFORMED, MS);
    ck_assert_int_eq(set.upstream[0]->state, UPSTREAM_UP);
    miss(0, UPSTREAM_TIMEOUT, 300 * MS);
    ck_assert_int_eq(set.upstream[0]->state, UPSTREAM_DOWN);
    /* Also of one never heard of. */
    miss(1, UPSTREAM_TIMEOUT, 300 * MS);
    miss(1, UPSTREAM_TIMEOUT, 300 * MS);
    ck_assert_int_eq(set.upstream[1]->state, UPSTREAM_UNKNOWN);
    miss(1, UPSTREAM_TIMEOUT, 300 * MS);
    ck_assert_int_eq(set.upstream[1]->state, UPSTREAM_DOWN);
}
END_TEST

START_TEST(errors_that_say_nothing_of_health)
{
    for (unsigned i = 0; i < 10; i++) {
        miss(0, UPSTREAM_SERVFAIL, MS);
        miss(0, UPSTREAM_REFUSED, MS);
    }
    ck_assert_int_eq(set.upstream[0]->state, UPSTREAM_UNKNOWN);
    reply(0, 5 * MS);
    for (unsigned i = 0; i < 10; i++) {
        miss(0, UPSTREAM_SERVFAIL, MS);
    }
    ck_assert_uint_eq(set.upstream[0]->ewma_ns, 5 * MS);
}
END_TEST

/* A server that refuses everything is quick, and no good. */
START_TEST(who_refuses_is_not_fast)
{
    set.count = 2;
    unsigned refuser = 0;
    for (unsigned i = 0; i < 1000; i++) {
        int chosen = choose(0);
        reply((size_t)chosen, chosen == 0 ? MS : 50 * MS);
        if (chosen == 0) {
            refuser++;
            miss(0, UPSTREAM_REFUSED, 0);
        }
    }
    ck_assert_uint_lt(refuser, 80);
}
END_TEST

/* In a flood, what was sent before it was found dead fails for as long as the timeout. */
START_TEST(late_failures_change_nothing)
{
    uint64_t died = now;
    take_down(0);
    uint64_t retry_at = set.upstream[0]->retry_at;
    ck_assert_uint_ge(retry_at, now + 750 * MS);
    ck_assert_uint_le(retry_at, now + 1250 * MS);
    uint64_t found = now;
    for (unsigned i = 0; i < 10000; i++) {
        now += 500000; /* five seconds in all */
        upstream_failed(set.upstream[0], UPSTREAM_TIMEOUT, died + i * 50000, now, &chance);
        ck_assert_uint_eq(set.upstream[0]->retry_at, retry_at);
    }
    ck_assert_uint_gt(now, retry_at);
    ck_assert_uint_lt(found, retry_at);
    ck_assert_uint_eq(set.upstream[0]->back_off, 0);

    /* A probe brings it back; what failed from before takes it down no more, nor makes it slow. */
    reply(0, 20 * MS);
    uint64_t back = now;
    for (unsigned i = 0; i < 10000; i++) {
        now += 100000;
        upstream_failed(set.upstream[0], UPSTREAM_TIMEOUT, back - 1 - i, now, &chance);
    }
    ck_assert_int_eq(set.upstream[0]->state, UPSTREAM_UP);
    ck_assert_uint_eq(set.upstream[0]->ewma_ns, 20 * MS);
    ck_assert_uint_eq(set.upstream[0]->vain_ns, 0);
}
END_TEST

/* As many questions as one likes, sent when it was due, and it is one probe. */
START_TEST(failures_at_once_double_once)
{
    take_down(0);
    for (unsigned doubled = 1; doubled < 5; doubled++) {
        now = set.upstream[0]->retry_at;
        uint64_t sent = now;
        now += 2 * SECOND;
        for (unsigned i = 0; i < 1000; i++) {
            upstream_failed(set.upstream[0], UPSTREAM_TIMEOUT, sent + i * MS, now + i * MS,
                            &chance);
        }
        ck_assert_uint_eq(set.upstream[0]->back_off, doubled);
    }
}
END_TEST

START_TEST(back_off_doubles_up_to_a_minute)
{
    static const unsigned seconds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};
    uint64_t shortest = UINT64_MAX, longest = 0;
    for (unsigned round = 0; round < 100; round++) {
        take_down(0);
        for (unsigned i = 0; i < sizeof seconds / sizeof *seconds; i++) {
            uint64_t span = set.upstream[0]->retry_at - now;
            ck_assert_uint_ge(span, seconds[i] * SECOND * 3 / 4);
            ck_assert_uint_le(span, seconds[i] * SECOND * 5 / 4);
            if (seconds[i] == 60) {
                shortest = span < shortest ? span : shortest;
                longest = span > longest ? span : longest;
            }
            now = set.upstream[0]->retry_at;
            miss(0, UPSTREAM_TIMEOUT, 2 * SECOND);
        }
        reply(0, MS);
        ck_assert_int_eq(set.upstream[0]->state, UPSTREAM_UP);
        ck_assert_uint_eq(set.upstream[0]->back_off, 0);
    }
    ck_assert_uint_lt(shortest, 48 * SECOND);
    ck_assert_uint_gt(longest, 72 * SECOND);
}
END_TEST

START_TEST(a_reply_is_life_whenever_it_was_sent)
{
    reply(0, 100 * MS);
    uint64_t before = now;
    take_down(0);
    now += 10 * MS;
    upstream_replied(set.upstream[0], now - before, now);
    ck_assert_int_eq(set.upstream[0]->state, UPSTREAM_UP);
    ck_assert_uint_eq(set.upstream[0]->ewma_ns, now - before); /* fresh */
    ck_assert_uint_eq(set.upstream[0]->failures, 0);
}
END_TEST

/* Names whose own servers are dead never get an answer through a resolver. It is up as long as it
 * answers others. */
START_TEST(who_answers_some_is_up)
{
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t sent = now;
        reply(0, 5 * MS);
        now += 300 * MS;
        for (unsigned n = 0; n < 100; n++) {
            upstream_failed(set.upstream[0], UPSTREAM_TIMEOUT, sent, now, &chance);
            ck_assert_int_eq(set.upstream[0]->state, UPSTREAM_UP);
        }
    }
}
END_TEST

START_TEST(probes_are_due)
{
    const uint64_t interval = 30 * SECOND;
    struct upstream *upstream = set.upstream[0];
    ck_assert(upstream_probe_due(upstream, interval, now));
    upstream_sent(upstream, true);
    ck_assert(!upstream_probe_due(upstream, interval, now));
    upstream_replied(upstream, MS, now += MS);
    upstream_done(upstream, true);
    ck_assert(!upstream_probe_due(upstream, interval, now + interval - 1));
    ck_assert(upstream_probe_due(upstream, interval, now + interval));
    take_down(0);
    ck_assert(!upstream_probe_due(upstream, interval, upstream->retry_at - 1));
    ck_assert(upstream_probe_due(upstream, interval, upstream->retry_at));
    now = upstream->retry_at;
    upstream_sent(upstream, true);
    upstream_done(upstream, false); /* of a question sent before */
    ck_assert(!upstream_probe_due(upstream, interval, now));
}
END_TEST

/* ---- Which is asked ---- */

START_TEST(ordered_takes_the_first_healthy)
{
    set.select = SELECT_ORDERED;
    reply(1, MS);
    reply(0, 500 * MS);
    ck_assert_int_eq(choose(0), 0);
    ck_assert_int_eq(choose(1), 1);
    ck_assert_int_eq(choose(3), 2);
    take_down(0);
    ck_assert_int_eq(choose(0), 1);
    ck_assert_int_eq(choose(2), 2);
    ck_assert_int_eq(choose(2 + 4 + 8), 1); /* all that are not down have been tried */
    reply(0, MS);
    ck_assert_int_eq(choose(0), 0);
}
END_TEST

START_TEST(in_turn)
{
    set.select = SELECT_ROUNDROBIN;
    for (int i = 0; i < 12; i++) {
        ck_assert_int_eq(choose(0), i % SERVERS);
    }
    take_down(1);
    unsigned asked[SERVERS] = {0};
    for (unsigned i = 0; i < 300; i++) {
        asked[choose(0)]++;
    }
    /* What the dead one had is not all its neighbour's. */
    ck_assert_uint_eq(asked[0], 100);
    ck_assert_uint_eq(asked[1], 0);
    ck_assert_uint_eq(asked[2], 100);
    ck_assert_uint_eq(asked[3], 100);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(choose(1 + 4), 3);
    }
}
END_TEST

START_TEST(the_fastest_and_one_in_32_another)
{
    for (size_t i = 0; i < SERVERS; i++) {
        reply(i, (i == 2 ? 5 : 20) * MS);
    }
    unsigned asked[SERVERS] = {0};
    for (unsigned i = 0; i < 32000; i++) {
        asked[choose(0)]++;
    }
    unsigned others = asked[0] + asked[1] + asked[3];
    ck_assert_uint_gt(others, 800);
    ck_assert_uint_lt(others, 1200);
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert_uint_gt(asked[i], 200);
    }
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_ne(choose(4), 2);
    }
    take_down(2);
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_ne(choose(0), 2);
    }
}
END_TEST

/* Through the one in 32, an improvement is seen. */
START_TEST(who_becomes_faster_is_found)
{
    set.count = 2;
    for (unsigned i = 0; i < 10; i++) {
        reply(0, 20 * MS);
        reply(1, 200 * MS);
    }
    unsigned asked = 0;
    while (set.upstream[1]->ewma_ns > set.upstream[0]->ewma_ns) {
        int chosen = choose(0);
        reply((size_t)chosen, chosen == 0 ? 20 * MS : 2 * MS);
        ck_assert_uint_lt(asked++, 2000); /* 9 replies, one in 32 */
    }
}
END_TEST

START_TEST(unknown_ones_first_but_few_at_once)
{
    reply(0, MS);
    reply(1, 2 * MS);
    reply(2, 3 * MS);
    unsigned asked = 0;
    for (unsigned i = 0; i < 90; i++) {
        int chosen = choose(0);
        upstream_sent(set.upstream[chosen], false);
        asked += chosen == 3;
    }
    ck_assert_uint_ge(asked, 4);
    ck_assert_uint_le(asked, 10); /* a third of one in 32 are explorations */
    upstream_replied(set.upstream[3], 100000, now);
    unsigned after = 0;
    for (unsigned i = 0; i < 60; i++) {
        int chosen = choose(0);
        upstream_sent(set.upstream[chosen], false);
        after += chosen == 3;
    }
    ck_assert_uint_gt(after, 40);
}
END_TEST

START_TEST(all_unknown_share)
{
    unsigned asked[SERVERS] = {0};
    for (unsigned i = 0; i < 200; i++) {
        int chosen = choose(0);
        upstream_sent(set.upstream[chosen], false);
        asked[chosen]++;
    }
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert_uint_gt(asked[i], 40);
    }
}
END_TEST

START_TEST(a_name_stays_with_its_server)
{
    enum { NAMES = 4000 };
    static int of[NAMES];
    set.select = SELECT_HASH;
    struct rng rng = rng_start();
    uint64_t salt = rng_next(&rng);
    unsigned asked[SERVERS] = {0};
    for (uint64_t i = 0; i < NAMES; i++) {
        of[i] = upstream_choose(&set, 0, salt + i, &chance);
        asked[of[i]]++;
    }
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert_uint_gt(asked[i], 800); /* seven deviations from 1000 */
        ck_assert_uint_lt(asked[i], 1200);
    }
    take_down(1);
    unsigned to[SERVERS] = {0};
    for (uint64_t i = 0; i < NAMES; i++) {
        int chosen = upstream_choose(&set, 0, salt + i, &chance);
        ck_assert(of[i] == 1 ? chosen != 1 : chosen == of[i]);
        to[chosen] += of[i] == 1;
    }
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert(i == 1 || to[i] > 200); /* shared by the others */
    }
    reply(1, MS);
    for (uint64_t i = 0; i < NAMES; i++) {
        ck_assert_int_eq(upstream_choose(&set, 0, salt + i, &chance), of[i]);
        ck_assert_int_ne(upstream_choose(&set, 1u << of[i], salt + i, &chance), of[i]);
    }
    /* The place in the list plays no part. */
    struct upstream *first = set.upstream[0];
    set.upstream[0] = set.upstream[3];
    set.upstream[3] = first;
    for (uint64_t i = 0; i < NAMES; i++) {
        int chosen = upstream_choose(&set, 0, salt + i, &chance);
        ck_assert_int_eq(chosen == 0 ? 3 : chosen == 3 ? 0 : chosen, of[i]);
    }
}
END_TEST

START_TEST(the_least_bad)
{
    for (int select = SELECT_FASTEST; select <= SELECT_HASH; select++) {
        set.select = (enum upstream_select)select;
        ck_assert(!upstream_all_down(&set));
        for (size_t i = SERVERS; i-- > 0;) {
            reply(i, MS);
            take_down(i);
        }
        ck_assert(upstream_all_down(&set));
        static const unsigned order[SERVERS] = {4, 2, 1, 3};
        for (size_t i = 0; i < SERVERS; i++) {
            set.upstream[i]->retry_at = now + order[i];
        }
        ck_assert_int_eq(choose(0), 2);
        ck_assert_int_eq(choose(4), 1);
        ck_assert_int_eq(choose(15), 2);
        set.upstream[2]->outstanding = set.queries_max;
        ck_assert_int_eq(choose(0), 1);
        set.upstream[2]->outstanding = 0;
        reply(3, MS);
        ck_assert_int_eq(choose(0), 3);
        ck_assert_int_eq(choose(8), 3);
    }
}
END_TEST

START_TEST(never_more_than_they_may_have)
{
    for (int select = SELECT_FASTEST; select <= SELECT_HASH; select++) {
        set.select = (enum upstream_select)select;
        for (size_t i = 0; i < SERVERS; i++) {
            reply(i, (1 + i) * MS);
        }
        for (unsigned i = 0; i < SERVERS * set.queries_max; i++) {
            int chosen = choose(0);
            ck_assert_int_ge(chosen, 0);
            ck_assert_uint_lt(set.upstream[chosen]->outstanding, set.queries_max);
            upstream_sent(set.upstream[chosen], false);
        }
        ck_assert_int_eq(choose(0), -1);
        ck_assert_int_eq(choose(15), -1);
        upstream_done(set.upstream[2], false);
        ck_assert_int_eq(choose(4), 2);
        upstream_sent(set.upstream[2], false);
        for (size_t i = 0; i < SERVERS; i++) {
            set.upstream[i]->outstanding = 0;
        }
    }
    /* A dead one is no way out for what those that live have no room for. */
    take_down(0);
    for (size_t i = 1; i < SERVERS; i++) {
        set.upstream[i]->outstanding = set.queries_max;
    }
    ck_assert_int_eq(choose(0), -1);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("upstream");
    tcase_add_checked_fixture(unit.tests, set_up, tear_down);
    tcase_add_test(unit.tests, a_new_one);
    tcase_add_test(unit.tests, the_same_one);
    tcase_add_test(unit.tests, counters_tell);
    tcase_add_test(unit.tests, chance_is_even);
    tcase_add_test(unit.tests, latency_is_followed_within_ten_replies);
    tcase_add_test(unit.tests, patience_follows_latency);
    tcase_add_test(unit.tests, three_failures_in_a_row);
    tcase_add_test(unit.tests, errors_that_say_nothing_of_health);
    tcase_add_test(unit.tests, who_refuses_is_not_fast);
    tcase_add_test(unit.tests, late_failures_change_nothing);
    tcase_add_test(unit.tests, failures_at_once_double_once);
    tcase_add_test(unit.tests, back_off_doubles_up_to_a_minute);
    tcase_add_test(unit.tests, a_reply_is_life_whenever_it_was_sent);
    tcase_add_test(unit.tests, who_answers_some_is_up);
    tcase_add_test(unit.tests, probes_are_due);
    tcase_add_test(unit.tests, ordered_takes_the_first_healthy);
    tcase_add_test(unit.tests, in_turn);
    tcase_add_test(unit.tests, the_fastest_and_one_in_32_another);
    tcase_add_test(unit.tests, who_becomes_faster_is_found);
    tcase_add_test(unit.tests, unknown_ones_first_but_few_at_once);
    tcase_add_test(unit.tests, all_unknown_share);
    tcase_add_test(unit.tests, a_name_stays_with_its_server);
    tcase_add_test(unit.tests, the_least_bad);
    tcase_add_test(unit.tests, never_more_than_they_may_have);
    return unit_end(&unit);
}

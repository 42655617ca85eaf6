/*
 * Answers around a body that is there: header, question, OPT, and what does not fit.
 */
#include "serve/relay.h"

#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "dns/wire.h"
#include "names.h"
#include "unit.h"

enum { QUESTION = 12 + 13 + 4, ROOM = 4096 };

static const uint8_t name[] = "\3wWw\7eXample";

static struct counters *counters;
static struct settings settings;
static struct relay_client client;
static struct relay_answer answer;
static uint8_t *out;

static void setup(void)
{
    counters = aligned_alloc(64, sizeof *counters);
    memset(counters, 0, sizeof *counters);
    settings = (struct settings){.udp_payload_max = 1232, .nsid_size = 4, .nsid = "here"};
    client = (struct relay_client){.qname = name,
                                   .id = 0x1234,
                                   .flags = FLAG_RD,
                                   .qtype = 28,
                                   .limit = 512,
                                   .keepalive = -1,
                                   .qname_size = sizeof name};
    answer = (struct relay_answer){.flags = FLAG_RA, .ede = EDE_NONE};
    out = unit_guarded(ROOM);
}

static void teardown(void)
{
    unit_guarded_free(out, ROOM);
    free(counters);
}

/* So many octets of body, two records it says. */
static void body(size_t size)
{
    answer.body_size = size;
    answer.counts[0] = 1;
    answer.counts[2] = 1;
    if (size <= relay_body_room(&client, &settings, answer.ede, answer.ede_text)) {
        memset(out + relay_body_at(&client), 0xbb, size);
    }
}

static size_t finish(void)
{
    size_t size = relay_finish(&client, &settings, &answer, out, counters);
    ck_assert_uint_le(size, client.limit);
    ck_assert_uint_eq(wire_get_u16(out), client.id);
    ck_assert_uint_eq(wire_get_u16(out + 4), 1);
    ck_assert_mem_eq(out + 12, name, sizeof name);
    ck_assert_uint_eq(wire_get_u16(out + 12 + sizeof name), client.qtype);
    ck_assert_uint_eq(wire_get_u16(out + 14 + sizeof name), CLASS_IN);
    return size;
}

static void expect_counts(unsigned an, unsigned ns, unsigned ar)
{
    ck_assert_uint_eq(wire_get_u16(out + 6), an);
    ck_assert_uint_eq(wire_get_u16(out + 8), ns);
    ck_assert_uint_eq(wire_get_u16(out + 10), ar);
}

START_TEST(around_a_body)
{
    body(100);
    ck_assert_uint_eq(finish(), QUESTION + 100);
    ck_assert_uint_eq(wire_get_u16(out + 2), FLAG_QR | FLAG_RD | FLAG_RA);
    expect_counts(1, 0, 1);
    for (size_t i = 0; i < 100; i++) {
        ck_assert_uint_eq(out[QUESTION + i], 0xbb);
    }
    ck_assert_uint_eq(counter_get(counters, COUNTER_rcode), 1);
    ck_assert_uint_eq(counter_get(counters, COUNTER_answers_truncated), 0);
}
END_TEST

/* RD and CD are the client's; AD is for who asked for it, be it with DO. */
START_TEST(flags)
{
    static const struct {
        uint16_t asked, edns, told, expected;
    } cases[] = {
        {0, 0, FLAG_RA, FLAG_RA},
        {FLAG_RD | FLAG_CD, 0, FLAG_RA, FLAG_RD | FLAG_CD | FLAG_RA},
        {FLAG_RD, 0, FLAG_RA | FLAG_AD, FLAG_RD | FLAG_RA},
        {FLAG_AD, 0, FLAG_RA | FLAG_AD, FLAG_RA | FLAG_AD},
        {0, EDNS_DO, FLAG_RA | FLAG_AD, FLAG_RA | FLAG_AD},
        {FLAG_AD, EDNS_DO, FLAG_RA, FLAG_RA},
        {FLAG_RD, 0, FLAG_AA, FLAG_RD | FLAG_AA},
        {FLAG_AA | FLAG_TC | FLAG_RA | 0x40 | FLAG_RD, 0, 0, FLAG_RD},
        {0, 0, FLAG_TC, FLAG_TC},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        client.flags = cases[i].asked;
        client.has_edns = cases[i].edns != 0;
        client.edns_flags = cases[i].edns;
        answer.flags = cases[i].told;
        finish();
        ck_assert_msg(wire_get_u16(out + 2) == (FLAG_QR | cases[i].expected), "case %zu: %x", i,
                      wire_get_u16(out + 2));
    }
    ck_assert_uint_eq(counter_get(counters, COUNTER_answers_truncated), 1);
}
END_TEST

/* An OPT is ours and only there where the query had one, with what it asked for. */
START_TEST(opt)
{
    static const uint8_t plain[] = "\0\0\51\4\320\0\0\0\0\0";
    client.has_edns = true;
    body(10);
    ck_assert_uint_eq(finish(), QUESTION + 10 + 11);
    ck_assert_mem_eq(out + QUESTION + 10, plain, 11);
    expect_counts(1, 0, 2);

    client.edns_flags = EDNS_DO | EDNS_CO;
    client.nsid = true;
    client.keepalive = 100;
    client.cookie_size = COOKIE_SIZE;
    memset(client.cookie, 0xcc, sizeof client.cookie);
    answer.rcode = 0x123;
    answer.ede = EDE_STALE;
    answer.ede_text = "old";
    body(10);
    size_t size = finish();
    const uint8_t *at = out + QUESTION + 10;
    ck_assert_uint_eq(size,
                      QUESTION + 10 + 11 + (4 + 4) + (4 + 2) + (4 + COOKIE_SIZE) + (4 + 2 + 3));
    ck_assert_uint_eq(at[5], 0x12); /* the upper bits of the RCODE */
    ck_assert_uint_eq(out[3] & 0xf, 3);
    ck_assert_uint_eq(wire_get_u16(at + 7), EDNS_DO);
    unsigned seen = 0;
    for (const uint8_t *o = at + 11; o < out + size; o += 4 + wire_get_u16(o + 2)) {
        seen |= 1u << wire_get_u16(o);
    }
    ck_assert_uint_eq(seen, 1u << EDNS_NSID | 1u << EDNS_COOKIE | 1u << EDNS_KEEPALIVE |
                                1u << EDNS_EDE);
    ck_assert_uint_eq(counter_get(counters, COUNTER_rcode + 24), 1);
}
END_TEST

/* To the octet: what fits is whole, what doesn't is left out whole, and TC tells. */
START_TEST(limits)
{
    for (unsigned edns = 0; edns < 2; edns++) {
        for (unsigned ede = 0; ede < 2; ede++) {
            client.has_edns = edns != 0;
            client.limit = edns != 0 ? 1232 : 512;
            answer.ede = ede != 0 ? EDE_STALE : EDE_NONE;
            size_t own = edns == 0 ? 0 : ede == 0 ? 11 : 11 + 6;
            size_t room = relay_body_room(&client, &settings, answer.ede, NULL);
            ck_assert_uint_eq(room, client.limit - QUESTION - own);
            body(room);
            ck_assert_uint_eq(finish(), client.limit);
            ck_assert_uint_eq(wire_get_u16(out + 2) & FLAG_TC, 0);
            expect_counts(1, 0, 1 + edns);
            body(room + 1);
            ck_assert_uint_eq(finish(), QUESTION + own);
            ck_assert_uint_eq(wire_get_u16(out + 2) & FLAG_TC, FLAG_TC);
            expect_counts(0, 0, edns);
        }
    }
    ck_assert_uint_eq(counter_get(counters, COUNTER_answers_truncated), 4);
}
END_TEST

/* The longest name and the most options that there may be fit into the least limit. */
START_TEST(the_least_limit_suffices)
{
    struct rng rng = rng_start();
    uint8_t longest[NAME_MAX_OCTETS];
    names_random(&rng, NAMES_LONG, (const uint8_t *)"", 0, longest);
    client.qname = longest;
    client.qname_size = NAME_MAX_OCTETS;
    client.has_edns = true;
    client.nsid = true;
    client.cookie_size = COOKIE_SIZE;
    settings.nsid_size = sizeof settings.nsid;
    answer.ede = EDE_OTHER;
    answer.ede_text = "too many questions of yours unanswered"; /* the longest that the proxy has */
    size_t size = relay_finish(&client, &settings, &answer, out, counters);
    ck_assert_uint_le(size, 512);
    ck_assert_uint_eq(wire_get_u16(out + 10), 1);
    ck_assert_uint_eq(size, 12 + 255 + 4 + 11 + (4 + 128) + (4 + COOKIE_SIZE) + (4 + 2 + 38));
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("relay");
    tcase_add_checked_fixture(unit.tests, setup, teardown);
    tcase_add_test(unit.tests, around_a_body);
    tcase_add_test(unit.tests, flags);
    tcase_add_test(unit.tests, opt);
    tcase_add_test(unit.tests, limits);
    tcase_add_test(unit.tests, the_least_limit_suffices);
    return unit_end(&unit);
}

/*
 * Answers as they stand on the wire: read back by ldns, all pointers walked, compared with what
 * was asked of the slow server; what is left out where room is short; OPT, TSIG; answers that
 * pointers do not reach into. Every answer is written to memory that ends where the answer must.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/answer.h"
#include "answer/render.h"
#include "ask.h"
#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "make_zone.h"
#include "names.h"
#include "slow_answer.h"
#include "told.h"
#include "unit.h"

enum { SCRATCH = 1 << 20, STREAM = MESSAGE_MAX };

static struct query query;
static struct answer answer;
static struct render_edns edns;
static uint8_t message[MESSAGE_MAX];
static size_t message_size;

static void edns_reset(void)
{
    edns = (struct render_edns){.udp_size = 1232, .keepalive = -1};
}

/* Plans and renders into exactly `size` octets; the answer stands in message. Returns TC. */
static bool render_into(const struct zone *zone, const struct ask *ask, bool stream, size_t size)
{
    struct scratch scratch = {.base = malloc(SCRATCH), .back = SCRATCH};
    enum query_status status = query_parse(ask->data, ask->size, &query);
    answer_begin(&answer, &query, stream, size, &scratch);
    if (status != QUERY_OK) {
        answer.plan = (struct plan){.rcode = query.rcode, .ede = query.ede};
    } else {
        struct zone_match match;
        zone_lookup(zone, &query.key, &match);
        const struct answer_zone source = {.zone = zone};
        while (answer_plan(&answer, &source, &match) == ANSWER_CHASE &&
               names_under(answer.name.wire, zone->head->apex_name)) {
            zone_lookup(zone, answer.name.key, &match);
        }
        answer_finish(&answer);
    }
    ck_assert(!answer.plan.failed);
    uint8_t *out = unit_guarded(size);
    memset(out, 0xa5, size);
    struct render_result result = render(&query, &answer.plan, &edns, out, size);
    ck_assert_uint_le(result.size, size);
    memcpy(message, out, result.size);
    message_size = result.size;
    unit_guarded_free(out, size);
    free(scratch.base);
    return result.truncated;
}

static void expect(const struct zone *zone, const struct ask *ask, const char *expected)
{
    edns_reset();
    bool truncated = render_into(zone, ask, false, 1232);
    ck_assert_int_eq(truncated, strstr(expected, " tc") != NULL);
    told_expect(message, message_size, expected);
}

/* --- by hand --- */

static const char plain_zone[] = "@ SOA ns host.mail 1 2 3 4 300\n"
                                 "@ NS ns\n"
                                 "@ NS ns2\n"
                                 "@ MX 10 mail\n"
                                 "ns A 192.0.2.1\n"
                                 "ns AAAA 2001:db8::1\n"
                                 "ns2 A 192.0.2.2\n"
                                 "mail A 192.0.2.3\n"
                                 "www CNAME Web\n"
                                 "Web TXT \"some text\" more\n"
                                 "*.w MX 1 mail.w\n"
                                 "s SRV 1 2 3 mail\n"
                                 "d DNAME w\n"
                                 "minfo MINFO mail host.mail\n"
                                 "sub NS ns.sub\n"
                                 "sub NS ns2.sub\n"
                                 "sub NS ns\n"
                                 "ns.sub A 192.0.2.4\n"
                                 "ns2.sub AAAA ::4\n";

START_TEST(plain)
{
    struct zone *z = make_zone("example.", plain_zone);
    struct ask ask = ask_for("eXample.", RRTYPE_NS);
    expect(z, &ask,
           "NOERROR qr aa\nquestion eXample. IN NS\n"
           "answer eXample. 3600 IN NS ns.eXample.\nanswer eXample. 3600 IN NS ns2.eXample.\n"
           "additional ns.eXample. 3600 IN A 192.0.2.1\n"
           "additional ns.eXample. 3600 IN AAAA 2001:db8::1\n"
           "additional ns2.eXample. 3600 IN A 192.0.2.2\n");
    /* 12 + 13, (12 + 5) + (12 + 6), 16 + 28 + 16: as small as it can be. */
    ck_assert_uint_eq(message_size, 120);
    ask = ask_for("www.example.", RRTYPE_TXT);
    expect(z, &ask,
           "NOERROR qr aa\nquestion www.example. IN TXT\n"
           "answer www.example. 3600 IN CNAME Web.example.\n"
           "answer Web.example. 3600 IN TXT \"some text\" \"more\"\n");
    ask = ask_for("a.b.w.example.", RRTYPE_MX);
    expect(z, &ask,
           "NOERROR qr aa\nquestion a.b.w.example. IN MX\n"
           "answer a.b.w.example. 3600 IN MX 1 mail.w.example.\n");
    ask = ask_for("x.d.example.", RRTYPE_MX);
    expect(z, &ask,
           "NOERROR qr aa\nquestion x.d.example. IN MX\n"
           "answer d.example. 3600 IN DNAME w.example.\n"
           "answer x.d.example. 3600 IN CNAME x.w.example.\n"
           "answer x.w.example. 3600 IN MX 1 mail.w.example.\n");
    ask = ask_for("s.example.", RRTYPE_SRV);
    expect(z, &ask,
           "NOERROR qr aa\nquestion s.example. IN SRV\n"
           "answer s.example. 3600 IN SRV 1 2 3 mail.example.\n"
           "additional mail.example. 3600 IN A 192.0.2.3\n");
    ask = ask_for("minfo.example.", RRTYPE_MINFO);
    expect(z, &ask,
           "NOERROR qr aa\nquestion minfo.example. IN MINFO\n"
           "answer minfo.example. 3600 IN MINFO mail.example. host.mail.example.\n");
    ask = ask_for("no.s.example.", RRTYPE_A);
    expect(z, &ask,
           "NXDOMAIN qr aa\nquestion no.s.example. IN A\n"
           "authority example. 300 IN SOA ns.example. host.mail.example. 1 2 3 4 300\n");
    ask = ask_for("x.sub.example.", RRTYPE_A);
    expect(z, &ask,
           "NOERROR qr\nquestion x.sub.example. IN A\n"
           "authority sub.example. 3600 IN NS ns.sub.example.\n"
           "authority sub.example. 3600 IN NS ns2.sub.example.\n"
           "authority sub.example. 3600 IN NS ns.example.\n"
           "additional ns.sub.example. 3600 IN A 192.0.2.4\n"
           "additional ns2.sub.example. 3600 IN AAAA ::4\n"
           "additional ns.example. 3600 IN A 192.0.2.1\n"
           "additional ns.example. 3600 IN AAAA 2001:db8::1\n");
    zone_unref(z);
}
END_TEST

START_TEST(header_bits)
{
    struct zone *z = make_zone("example.", plain_zone);
    struct ask ask = ask_for("web.example.", RRTYPE_A);
    static const char rest[] =
        "question web.example. IN A\n"
        "authority example. 300 IN SOA ns.example. host.mail.example. 1 2 3 4 300\n";
    static const struct {
        uint16_t flags;
        const char *told;
    } cases[] = {
        {0, "NOERROR qr aa\n"},
        {FLAG_RD, "NOERROR qr aa rd\n"},
        {FLAG_CD, "NOERROR qr aa cd\n"},
        {FLAG_AA | FLAG_TC | FLAG_RA | 0x40 | FLAG_AD | 0xf, "NOERROR qr aa\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char expected[1000];
        snprintf(expected, sizeof expected, "%s%s", cases[i].told, rest);
        ask_flags(&ask, cases[i].flags);
        expect(z, &ask, expected);
        ck_assert_uint_eq(wire_get_u16(message), ASK_ID);
    }
    zone_unref(z);
}
END_TEST

START_TEST(errors)
{
    struct zone *z = make_zone("example.", plain_zone);
    struct ask ask = ask_for("www.Example.", RRTYPE_A);
    ask_flags(&ask, (uint16_t)(OPCODE_UPDATE << FLAG_OPCODE_SHIFT | FLAG_RD));
    expect(z, &ask, "NOTIMP qr rd opcode 5\nquestion www.Example. IN A\n");
    ask = ask_for("www.Example.", RRTYPE_A);
    ask_octets(&ask, "x", 1);
    expect(z, &ask, "FORMERR qr\nquestion www.Example. IN A\n");
    ask = ask_nothing();
    ask_flags(&ask, FLAG_CD);
    expect(z, &ask, "FORMERR qr cd\n");
    ck_assert_uint_eq(message_size, 12);
    ask = ask_for("www.Example.", RRTYPE_A);
    ask_opt_version(&ask, 4096, 1, EDNS_DO);
    expect(z, &ask, "BADVERS qr\nquestion www.Example. IN A\nopt 1232 do\n");
    zone_unref(z);
}
END_TEST

/* --- OPT --- */

START_TEST(opt)
{
    struct zone *z = make_zone("example.", "@ SOA . . 1 2 3 4 5\n@ NS .\n@ A 192.0.2.1\n");
    struct ask ask = ask_for("example.", RRTYPE_A);
    static const char bare[] = "NOERROR qr aa\nquestion example. IN A\n"
                               "answer example. 3600 IN A 192.0.2.1\n";
    char expected[1000];
    edns_reset();
    edns.nsid = (const uint8_t *)"abc";
    edns.nsid_size = 3;
    edns.cookie_size = 24;
    edns.keepalive = 100;
    memcpy(edns.cookie, "0123456789abcdefghijklmn", 24);
    /* Nothing of it without an OPT in the query. */
    render_into(z, &ask, true, STREAM);
    told_expect(message, message_size, bare);
    ask_opt(&ask, 512, EDNS_DO | EDNS_CO | 0xff);
    render_into(z, &ask, true, STREAM);
    snprintf(expected, sizeof expected,
             "%sopt 1232 do\noption 3 616263\noption 10 "
             "303132333435363738396162636465666768696a6b6c6d6e\noption 11 0064\n",
             bare);
    told_expect(message, message_size, expected);
    edns_reset();
    ask = ask_for("example.", RRTYPE_NXNAME);
    ask_opt(&ask, 512, 0);
    edns.udp_size = 4096;
    render_into(z, &ask, false, 512);
    told_expect(message, message_size,
                "FORMERR qr\nquestion example. IN TYPE128\nopt 4096\noption 15 001e\n");
    edns.ede_text = "why";
    render_into(z, &ask, false, 512);
    told_expect(message, message_size,
                "FORMERR qr\nquestion example. IN TYPE128\nopt 4096\noption 15 001e776879\n");
    /* A text is cut, not left out. */
    edns.ede_text = "0123456789012345678901234567890123456789012345678901234567890123456789";
    render_into(z, &ask, false, 512);
    char *text = told_text(message, message_size);
    ck_assert_uint_eq(strlen(strstr(text, "option 15 ")), strlen("option 15 001e\n") + 2 * 64);
    free(text);
    zone_unref(z);
}
END_TEST

/* The longest question, and all options at their largest: they fit 512 octets, the answer not. */
START_TEST(opt_always_fits)
{
    struct rng rng = rng_start();
    uint8_t name[NAME_MAX_OCTETS], nsid[128];
    memset(nsid, 'n', sizeof nsid);
    names_random(&rng, NAMES_LONG, names_wire("example."), 1, name);
    struct slow_zone slow;
    slow_init(&slow, names_wire("example."));
    static const uint8_t txt[256] = {255};
    slow_add(&slow, name, RRTYPE_TXT, 60, txt, sizeof txt);
    struct zone *z = make_built(slow_records(&slow));
    slow_free(&slow);
    struct ask ask = ask_for_wire(name, RRTYPE_TXT, CLASS_IN);
    ask_opt(&ask, 512, EDNS_DO);
    edns_reset();
    edns.nsid = nsid;
    edns.nsid_size = sizeof nsid;
    edns.cookie_size = 24;
    ck_assert(render_into(z, &ask, false, 512));
    ck_assert_uint_eq(message_size, 12 + 255 + 4 + 11 + 4 + 128 + 4 + 24);
    char *text = told_text(message, message_size);
    ck_assert_ptr_nonnull(strstr(text, "NOERROR qr aa tc\n"));
    ck_assert_ptr_nonnull(strstr(text, "opt 1232 do\noption 3 6e6e"));
    ck_assert_ptr_null(strstr(text, "answer"));
    free(text);
    /* Where not even that fits there is no answer at all. */
    for (size_t size = 0; size < 12 + 255 + 4 + 11 + 4 + 128 + 4 + 24; size += 29) {
        render_into(z, &ask, false, size);
        ck_assert_uint_eq(message_size, 0);
    }
    zone_unref(z);
}
END_TEST

/* --- TSIG --- */

START_TEST(tsig)
{
    struct zone *z = make_zone("example.", plain_zone);
    struct ask ask = ask_for("www.example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_tsig(&ask, "Some.Key.");
    /* RFC 8945 section 5.2.1: NOTAUTH, error BADKEY (17), no MAC, as signed by nobody. */
    expect(z, &ask,
           "NOTAUTH qr\nquestion www.example. IN A\nopt 1232\n"
           "tsig Some.Key. 0 ANY TSIG hmac-sha256. 1700000000  300 0  4660 17 0 \n");
    ask = ask_for("www.example.", RRTYPE_A);
    ask_tsig(&ask, "Some.Key.");
    expect(z, &ask,
           "NOTAUTH qr\nquestion www.example. IN A\n"
           "tsig Some.Key. 0 ANY TSIG hmac-sha256. 1700000000  300 0  4660 17 0 \n");
    ck_assert_uint_eq(message_size, 12 + 17 + 10 + 10 + 13 + 16);
    zone_unref(z);
}
END_TEST

/* --- room --- */

/*
 * At every size from the smallest to that of the whole answer. The smallest size without TC is
 * exactly that of the answer then: nothing is left out that would fit. Returns that size.
 */
static size_t sweep(const struct zone *zone, const struct ask *ask, const struct slow_answer *slow,
                    bool stream)
{
    size_t first = 0;
    render_into(zone, ask, stream, STREAM);
    size_t whole = message_size;
    for (size_t size = whole; size >= ask->size; size--) {
        bool truncated = render_into(zone, ask, stream, size);
        if (!truncated && first != 0) {
            ck_abort_msg("TC at %zu octets, but not at %zu", first, size);
        }
        if (truncated && first == 0) {
            first = size;
            render_into(zone, ask, stream, size + 1);
            ck_assert_uint_eq(message_size, size + 1);
            render_into(zone, ask, stream, size);
        }
        if (whole < 4096 || size % 16 == 0 || size > first) {
            char *text = told_text(message, message_size);
            slow_expect(slow, text, size == whole);
            free(text);
        }
    }
    ck_assert_uint_gt(first, 0);
    return first + 1;
}

static struct slow_answer slow;

static void slow_ask(const struct slow_zone *zone, const char *name, uint16_t type, bool stream)
{
    slow_answer(zone, 1, names_wire(name), type, stream, &slow);
}

static void slow_host(struct slow_zone *zone, const uint8_t *name, bool a, bool aaaa)
{
    static uint8_t next;
    next++;
    uint8_t octets[16] = {192, 0, 2, next, next};
    if (a) {
        slow_add(zone, name, RRTYPE_A, 60, octets, 4);
    }
    if (aaaa) {
        slow_add(zone, name, RRTYPE_AAAA, 60, octets, 16);
    }
}

/* RRset after RRset is left out, from the end, each whole. */
START_TEST(answers_are_cut_by_rrset)
{
    struct slow_zone s;
    slow_init(&s, names_wire("example."));
    for (uint8_t i = 0; i < 5; i++) {
        slow_add(&s, names_wire("a.example."), RRTYPE_TXT, 60, (uint8_t[]){1, i}, 2);
        slow_add(&s, names_wire("a.example."), RRTYPE_DS, 60, (uint8_t[]){1, i, 3, 4, 5}, 5);
    }
    slow_host(&s, names_wire("a.example."), true, true);
    struct zone *z = make_built(slow_records(&s));
    struct ask ask = ask_for("a.example.", RRTYPE_ANY);
    slow_ask(&s, "a.example.", RRTYPE_ANY, true);
    edns_reset();
    /* Question 27, A 16, TXT 5 * 14, AAAA 28, DS 5 * 17. */
    ck_assert_uint_eq(sweep(z, &ask, &slow, true), 27 + 16 + 70 + 28 + 85);
    ask_opt(&ask, 1232, 0);
    ck_assert_uint_eq(sweep(z, &ask, &slow, true), 27 + 16 + 70 + 28 + 85 + 11);
    render_into(z, &ask, true, 27 + 16 + 70 + 28 + 84 + 11);
    char *text = told_text(message, message_size);
    ck_assert_ptr_nonnull(strstr(text, "NOERROR qr aa tc\n"));
    ck_assert_ptr_nonnull(strstr(text, "AAAA"));
    ck_assert_ptr_null(strstr(text, "DS"));
    free(text);
    slow_answer_free(&slow);
    zone_unref(z);
    slow_free(&s);
}
END_TEST

/* Optional addresses go without a word; a smaller one may stay where a larger one went. */
START_TEST(optional_is_dropped)
{
    struct slow_zone s;
    slow_init(&s, names_wire("example."));
    for (uint8_t i = 0; i < 4; i++) {
        uint8_t mx[] = {0, 1, 2, 'm', (uint8_t)('0' + i), 7, 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0};
        slow_add(&s, names_wire("example."), RRTYPE_MX, 60, mx, sizeof mx);
        slow_host(&s, mx + 2, true, i == 0);
        slow_host(&s, mx + 2, true, false);
    }
    struct zone *z = make_built(slow_records(&s));
    struct ask ask = ask_for("example.", RRTYPE_MX);
    slow_ask(&s, "example.", RRTYPE_MX, false);
    edns_reset();
    size_t without = 12 + 13 + 4 * (12 + 2 + 3 + 2);
    ck_assert_uint_eq(sweep(z, &ask, &slow, false), without);
    ck_assert(!render_into(z, &ask, false, without + 32 + 27));
    ck_assert_uint_eq(message_size,
                      without + 32); /* A of m0; its AAAA and other A sets do not fit */
    ck_assert(!render_into(z, &ask, false, without + 31));
    ck_assert_uint_eq(message_size, without + 28);
    slow_answer_free(&slow);
    zone_unref(z);
    slow_free(&s);
}
END_TEST

/* Glue of in-domain name servers is there or TC is set (RFC 9471); sibling glue is optional. */
START_TEST(required_glue)
{
    struct slow_zone s;
    slow_init(&s, names_wire("example."));
    const uint8_t *sub = names_wire("sub.example.");
    static const char *const hosts[] = {"o.other.example.", "n1.sub.example.", "n2.sub.example."};
    for (size_t i = 0; i < 3; i++) {
        const uint8_t *host = names_wire(hosts[i]);
        slow_add(&s, sub, RRTYPE_NS, 60, host, names_size(host));
        slow_host(&s, host, true, true);
    }
    slow_add(&s, names_wire("other.example."), RRTYPE_NS, 60, names_wire(hosts[0]), 17);
    struct zone *z = make_built(slow_records(&s));
    struct ask ask = ask_for("www.sub.example.", RRTYPE_A);
    slow_ask(&s, "www.sub.example.", RRTYPE_A, false);
    edns_reset();
    /* Question 33; o.other 10 and two 5s; required 2 * 44, optional 44. */
    size_t required = 33 + 12 + 10 + 2 * (12 + 5) + 88;
    ck_assert_uint_eq(sweep(z, &ask, &slow, false), required);
    ck_assert(!render_into(z, &ask, false, required + 43));
    ck_assert_uint_eq(message_size, required + 16);
    slow_answer_free(&slow);
    zone_unref(z);
    slow_free(&s);
}
END_TEST

/* --- past what pointers reach --- */

/* `count` name servers under `cut` for it, each with addresses. */
static void many_servers(struct slow_zone *s, const uint8_t *cut, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t host[NAME_MAX_OCTETS];
        char label[16];
        int size = snprintf(label, sizeof label, "Server%u", i);
        memcpy(host, cut, names_size(cut));
        ck_assert(names_prepend(host, label, (size_t)size));
        slow_add(s, cut, RRTYPE_NS, 60, host, names_size(host));
        slow_host(s, host, true, i % 2 == 0);
    }
}

static void expect_stream(const struct slow_zone *s, const struct zone *z, const char *name,
                          uint16_t type, bool truncated)
{
    struct ask ask = ask_for(name, type);
    ask_opt(&ask, 1232, 0);
    slow_ask(s, name, type, true);
    edns_reset();
    ck_assert_int_eq(render_into(z, &ask, true, STREAM), truncated);
    char *text = told_text(message, message_size);
    slow_expect(&slow, text, false);
    free(text);
    slow_answer_free(&slow);
}

START_TEST(long_referral)
{
    struct slow_zone s;
    slow_init(&s, names_wire("example."));
    many_servers(&s, names_wire("sub.example."), 800);
    struct zone *z = make_built(slow_records(&s));
    expect_stream(&s, z, "www.sub.example.", RRTYPE_A, false);
    ck_assert_uint_gt(message_size, 40000);
    zone_unref(z);
    slow_free(&s);
}
END_TEST

START_TEST(referral_over_64k)
{
    struct slow_zone s;
    slow_init(&s, names_wire("example."));
    many_servers(&s, names_wire("sub.example."), 1200);
    struct zone *z = make_built(slow_records(&s));
    expect_stream(&s, z, "www.sub.example.", RRTYPE_A, true);
    ck_assert_uint_gt(message_size, 65000);
    zone_unref(z);
    slow_free(&s);
}
END_TEST

/* Large RRsets of types below and above NS: its targets stand before, across or past 16 KiB. */
START_TEST(long_any)
{
    static const unsigned addresses[] = {0, 750, 1000, 1020, 1024, 1100};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        struct slow_zone s;
        slow_init(&s, names_wire("example."));
        for (unsigned n = 0; n < addresses[i]; n++) {
            uint8_t a[4] = {10, 0, (uint8_t)(n >> 8), (uint8_t)n};
            slow_add(&s, names_wire("example."), RRTYPE_A, 60, a, 4);
        }
        many_servers(&s, names_wire("example."), 300);
        for (unsigned n = 0; n < 60; n++) {
            uint8_t txt[240] = {239, (uint8_t)n};
            slow_add(&s, names_wire("example."), RRTYPE_TXT, 60, txt, sizeof txt);
            uint8_t mx[] = "\0\0\5host0\7example";
            mx[1] = (uint8_t)n;
            mx[7] = (uint8_t)('0' + n % 10);
            slow_add(&s, names_wire("example."), RRTYPE_MX, 60, mx, sizeof mx);
            slow_host(&s, mx + 2, n < 10, false);
        }
        struct zone *z = make_built(slow_records(&s));
        expect_stream(&s, z, "example.", RRTYPE_ANY, false);
        ck_assert_uint_gt(message_size, 16384 + 1000);
        zone_unref(z);
        slow_free(&s);
    }
}
END_TEST

/*
 * Names of 254 octets in PTR records, some ending like the 15th and the 16th: these stand at the
 * last positions that others may point to, and past them.
 */
START_TEST(long_names_at_the_reach)
{
    /* The block begins at 29 + 16 * addresses: around 12 KiB, and on to where 16 KiB end. */
    for (unsigned addresses = 760; addresses < 1026; addresses += addresses < 772 ? 1 : 23) {
        struct slow_zone s;
        const uint8_t *owner = names_wire("big.example.");
        slow_init(&s, names_wire("example."));
        for (unsigned n = 0; n < addresses; n++) {
            uint8_t a[4] = {10, 0, (uint8_t)(n >> 8), (uint8_t)n};
            slow_add(&s, owner, RRTYPE_A, 60, a, 4);
        }
        for (uint8_t n = 0; n < 20; n++) {
            uint8_t name[NAME_MAX_OCTETS] = {0}, label[63];
            memset(label, 'a' + (n < 16 ? n : 14 + n % 2), sizeof label);
            ck_assert(names_prepend(name, label, 60) && names_prepend(name, label, 63));
            label[0] = (uint8_t)('0' + n);
            ck_assert(names_prepend(name, label, 63) && names_prepend(name, label, 63));
            slow_add(&s, owner, RRTYPE_PTR, 60, name, names_size(name));
        }
        struct zone *z = make_built(slow_records(&s));
        expect_stream(&s, z, "big.example.", RRTYPE_ANY, false);
        zone_unref(z);
        slow_free(&s);
    }
}
END_TEST

/* --- by chance --- */

static void lower(char *text)
{
    for (; *text != '\0'; text++) {
        *text = (char)tolower((unsigned char)*text);
    }
}

static void check_random(enum names_kind kind, unsigned rounds, size_t records, bool fold)
{
    static const uint16_t types[] = {RRTYPE_A,     RRTYPE_NS,    RRTYPE_MX, RRTYPE_SRV, RRTYPE_TXT,
                                     RRTYPE_CNAME, RRTYPE_DNAME, RRTYPE_DS, RRTYPE_ANY, RRTYPE_SOA};
    struct rng rng = rng_start();
    edns_reset();
    for (unsigned round = 0; round < rounds / UNIT_SLOWER + 1; round++) {
        struct slow_zone s;
        slow_init(&s, names_wire(rng_once_in(&rng, 2) ? "a." : "."));
        slow_random(&rng, &s, kind, records);
        struct zone *z = make_built(slow_records(&s));
        for (unsigned n = 0; n < 100; n++) {
            uint8_t name[NAME_MAX_OCTETS];
            const uint8_t *base = s.apex;
            if (rng_once_in(&rng, 2)) {
                base = s.records[rng_below(&rng, (unsigned)s.count)].owner;
            }
            names_random(&rng, kind, base, 2, name);
            if (fold) {
                names_shuffle_case(&rng, name);
            }
            uint16_t type = types[rng_below(&rng, sizeof types / sizeof types[0])];
            bool stream = rng_once_in(&rng, 2);
            struct ask ask = ask_for_wire(name, type, CLASS_IN);
            slow_answer(&s, 1, name, type, stream, &slow);
            for (size_t i = 0; fold && i < slow.count; i++) {
                lower(slow.sets[i].text);
            }
            for (unsigned turn = 0; turn < 3; turn++) {
                size_t size = turn == 0 ? STREAM : ask.size + rng_below(&rng, 400);
                bool truncated = render_into(z, &ask, stream, size);
                char *text = told_text(message, message_size);
                char *body = strchr(text, '\n');
                /* Names may hold " tc" too: only the first line tells the flag. */
                char *tc = strstr(text, " tc");
                ck_assert_msg(truncated == (tc != NULL && tc < body), "TC is not what it says");
                if (fold) {
                    lower(body);
                }
                slow_expect(&slow, text, turn == 0);
                free(text);
            }
            slow_answer_free(&slow);
        }
        zone_unref(z);
        slow_free(&s);
    }
}

START_TEST(random_dense)
{
    check_random(NAMES_DENSE, 30, 30, false);
}
END_TEST

START_TEST(random_dense_large)
{
    check_random(NAMES_DENSE, 5, 200, false);
}
END_TEST

START_TEST(random_octets)
{
    check_random(NAMES_OCTETS, 10, 30, true);
}
END_TEST

START_TEST(random_long)
{
    check_random(NAMES_LONG, 6, 20, true);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("render");
    tcase_add_test(unit.tests, plain);
    tcase_add_test(unit.tests, header_bits);
    tcase_add_test(unit.tests, errors);
    tcase_add_test(unit.tests, opt);
    tcase_add_test(unit.tests, opt_always_fits);
    tcase_add_test(unit.tests, tsig);
    tcase_add_test(unit.tests, answers_are_cut_by_rrset);
    tcase_add_test(unit.tests, optional_is_dropped);
    tcase_add_test(unit.tests, required_glue);
    tcase_add_test(unit.tests, long_referral);
    tcase_add_test(unit.tests, referral_over_64k);
    tcase_add_test(unit.tests, long_any);
    tcase_add_test(unit.tests, long_names_at_the_reach);
    tcase_add_test(unit.tests, random_dense);
    tcase_add_test(unit.tests, random_dense_large);
    tcase_add_test(unit.tests, random_octets);
    tcase_add_test(unit.tests, random_long);
    return unit_end(&unit);
}

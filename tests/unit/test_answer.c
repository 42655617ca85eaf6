/*
 * Plans: what is said, in which section and order, with which RCODE and AA; one zone, one rule of
 * BEHAVIOUR at a time, each expectation written out whole.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/answer.h"
#include "ask.h"
#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"

enum { SCRATCH = 1 << 20 };

static struct ask asked;
static struct query query;
static struct scratch scratch;
static struct answer answer;

/* --- a plan as text --- */

/* The owner of an item: the end of a whole name, which is the question's or stands in a record. */
static void item_owner(const struct plan *plan, size_t index, uint8_t *owner)
{
    const struct plan_item *item = &plan->items[index];
    uint8_t whole[NAME_MAX_OCTETS], base[NAME_MAX_OCTETS], rdata[65535];
    if (item->place.base == PLAN_QNAME) {
        memcpy(whole, query_name(&query), names_size(query_name(&query)));
    } else {
        ck_assert_uint_lt(item->place.base, index);
        item_owner(plan, item->place.base, base);
        const struct rrset *rrset = plan->items[item->place.base].rrset;
        size_t record = 0, next = 0;
        while (rrset_rdata(rrset, base, &next, rdata) >= 0 && next <= item->place.position) {
            record = next;
        }
        const uint8_t *name = rdata + (item->place.position - record - RECORD_HEAD);
        memcpy(whole, name, names_size(name));
    }
    size_t size = names_size(whole);
    ck_assert_uint_eq(item->place.size, size);
    memcpy(owner, whole + size - item->owner_size, item->owner_size);
    ck_assert_uint_eq(names_size(owner), item->owner_size);
}

/* One line an item: section, owner, TTL, type, and the number of records where it is not one. */
static const char *plan_text(void)
{
    static char text[1 << 20];
    static const char *const rcodes[] = {
        [RCODE_NOERROR] = "NOERROR",
        [RCODE_SERVFAIL] = "SERVFAIL",
        [RCODE_NXDOMAIN] = "NXDOMAIN",
        [RCODE_YXDOMAIN] = "YXDOMAIN",
    };
    const struct plan *plan = &answer.plan;
    ck_assert(!plan->failed);
    char *at = text + sprintf(text, "%s%s\n", rcodes[plan->rcode], plan->aa ? " aa" : "");
    size_t count = (size_t)plan->answer + plan->authority + plan->additional;
    for (size_t i = 0; i < count; i++) {
        const struct plan_item *item = &plan->items[i];
        const char *section = i < plan->answer                             ? "answer"
                              : i < (size_t)plan->answer + plan->authority ? "authority"
                                                                           : "additional";
        uint8_t owner[NAME_MAX_OCTETS];
        char type[RRTYPE_TEXT_MAX];
        item_owner(plan, i, owner);
        rrtype_to_text(item->rrset->type, type);
        at += sprintf(at, "%s %s %u %s", section, names_text(owner), rrset_ttl(item->rrset), type);
        if (item->rrset->count != 1) {
            at += sprintf(at, " x%u", item->rrset->count);
        }
        at += sprintf(at, "%s\n", item->required ? " required" : "");
    }
    return text;
}

/* Plans the answer to a question from one zone, following chains within it. */
static void plan_wire(const struct zone *zone, const uint8_t *name, uint16_t type, bool stream,
                      size_t limit)
{
    asked = ask_for_wire(name, type, CLASS_IN);
    ck_assert_int_eq(query_parse(asked.data, asked.size, &query), QUERY_OK);
    answer_begin(&answer, &query, stream, limit, &scratch);
    struct zone_match match;
    zone_lookup(zone, &query.key, &match);
    const struct answer_zone source = {.zone = zone};
    while (answer_plan(&answer, &source, &match) == ANSWER_CHASE &&
           names_under(answer.name.wire, zone->head->apex_name)) {
        zone_lookup(zone, answer.name.key, &match);
    }
    answer_finish(&answer);
}

static void scratch_new(size_t size)
{
    scratch = (struct scratch){.base = malloc(size), .back = size};
}

static void expect_over(const struct zone *zone, const char *name, uint16_t type, bool stream,
                        const char *expected)
{
    scratch_new(SCRATCH);
    plan_wire(zone, names_wire(name), type, stream, stream ? 65535 : 1232);
    ck_assert_str_eq(plan_text(), expected);
    free(scratch.base);
}

static void expect(const struct zone *zone, const char *name, uint16_t type, const char *expected)
{
    expect_over(zone, name, type, false, expected);
}

/* --- names of the zone itself --- */

static const char plain_zone[] = "@ SOA ns host 1 2 3 4 300\n"
                                 "@ NS ns\n"
                                 "@ NS ns2\n"
                                 "@ NS ns.elsewhere.\n"
                                 "@ MX 1 mail\n"
                                 "@ MX 2 ns\n"
                                 "ns A 192.0.2.1\n"
                                 "ns AAAA 2001:db8::1\n"
                                 "ns2 AAAA 2001:db8::2\n"
                                 "mail 60 A 192.0.2.3\n"
                                 "mail 60 A 192.0.2.4\n"
                                 "a.ent TXT x\n"
                                 "rare TYPE65280 \\# 2 abcd\n"
                                 "rare TYPE62347 \\# 0\n";

#define SOA_LINE "authority example. 300 SOA\n"

START_TEST(positive)
{
    struct zone *z = make_zone("example.", plain_zone);
    expect(z, "mail.example.", RRTYPE_A, "NOERROR aa\nanswer mail.example. 60 A x2\n");
    expect(z, "MAIL.Example.", RRTYPE_A, "NOERROR aa\nanswer MAIL.Example. 60 A x2\n");
    expect(z, "rare.example.", 65280, "NOERROR aa\nanswer rare.example. 3600 TYPE65280\n");
    expect(z, "rare.example.", 62347, "NOERROR aa\nanswer rare.example. 3600 TYPE62347\n");
    expect(z, "example.", RRTYPE_SOA, "NOERROR aa\nanswer example. 3600 SOA\n");
    zone_unref(z);
}
END_TEST

START_TEST(negative)
{
    struct zone *z = make_zone("example.", plain_zone);
    expect(z, "mail.example.", RRTYPE_AAAA, "NOERROR aa\n" SOA_LINE);
    expect(z, "mail.example.", 65281, "NOERROR aa\n" SOA_LINE);
    expect(z, "rare.example.", 65281, "NOERROR aa\n" SOA_LINE);
    expect(z, "example.", RRTYPE_DS, "NOERROR aa\n" SOA_LINE);
    expect(z, "no.example.", RRTYPE_A, "NXDOMAIN aa\n" SOA_LINE);
    expect(z, "no.mail.EXAMPLE.", RRTYPE_A, "NXDOMAIN aa\nauthority EXAMPLE. 300 SOA\n");
    expect(z, "no.such.example.", RRTYPE_ANY, "NXDOMAIN aa\n" SOA_LINE);
    zone_unref(z);
}
END_TEST

START_TEST(additional)
{
    struct zone *z = make_zone("example.", plain_zone);
    expect(z, "example.", RRTYPE_NS,
           "NOERROR aa\nanswer example. 3600 NS x3\nadditional ns.example. 3600 A\n"
           "additional ns.example. 3600 AAAA\nadditional ns2.example. 3600 AAAA\n");
    expect(z, "example.", RRTYPE_MX,
           "NOERROR aa\nanswer example. 3600 MX x2\nadditional mail.example. 60 A x2\n"
           "additional ns.example. 3600 A\nadditional ns.example. 3600 AAAA\n");
    zone_unref(z);
}
END_TEST

/* What another section has already is not said again. */
START_TEST(additional_is_no_repetition)
{
    struct zone *z = make_zone("example.", MAKE_APEX "a A 192.0.2.1\na MX 1 a\na MX 2 A\n"
                                                     "a MX 3 b\nb A 192.0.2.2\na SRV 1 2 3 b\n");
    expect_over(z, "a.example.", RRTYPE_ANY, true,
                "NOERROR aa\nanswer a.example. 3600 A\nanswer a.example. 3600 MX x3\n"
                "answer a.example. 3600 SRV\nadditional b.example. 3600 A\n");
    zone_unref(z);
}
END_TEST

START_TEST(service_bindings)
{
    struct zone *z = make_zone("example.", MAKE_APEX "s HTTPS 0 t\n"
                                                     "t HTTPS 1 u\n"
                                                     "t HTTPS 2 .\n"
                                                     "t A 192.0.2.1\n"
                                                     "u AAAA ::1\n"
                                                     "u SVCB 1 .\n"
                                                     "loop HTTPS 0 loop2\n"
                                                     "loop2 HTTPS 0 loop\n"
                                                     "none SVCB 0 .\n"
                                                     "Self SVCB 1 .\n"
                                                     "self A 192.0.2.9\n"
                                                     "*.w SVCB 1 .\n"
                                                     "*.w A 192.0.2.8\n");
    expect(z, "s.example.", RRTYPE_HTTPS,
           "NOERROR aa\nanswer s.example. 3600 HTTPS\nadditional t.example. 3600 HTTPS x2\n"
           "additional t.example. 3600 A\nadditional u.example. 3600 AAAA\n");
    expect(z, "loop.example.", RRTYPE_HTTPS,
           "NOERROR aa\nanswer loop.example. 3600 HTTPS\nadditional loop2.example. 3600 HTTPS\n");
    expect(z, "none.example.", RRTYPE_SVCB, "NOERROR aa\nanswer none.example. 3600 SVCB\n");
    expect(z, "self.example.", RRTYPE_SVCB,
           "NOERROR aa\nanswer self.example. 3600 SVCB\nadditional self.example. 3600 A\n");
    /* "." is the owner, which is here what was asked for (RFC 9460 section 2.5). */
    expect(z, "some.q.w.example.", RRTYPE_SVCB,
           "NOERROR aa\nanswer some.q.w.example. 3600 SVCB\n"
           "additional some.q.w.example. 3600 A\n");
    zone_unref(z);
}
END_TEST

START_TEST(any)
{
    struct zone *z = make_zone(
        "example.", MAKE_APEX "a TXT x\na A 192.0.2.1\n"
                              "a RRSIG A 8 2 3600 20300101000000 20200101000000 1 example. AAAA\n"
                              "sig RRSIG A 8 2 3600 20300101000000 20200101000000 1 example. AAAA\n"
                              "c CNAME a\nb.ent A 192.0.2.1\n");
    expect(z, "a.example.", RRTYPE_ANY, "NOERROR aa\nanswer a.example. 3600 A\n");
    expect_over(z, "a.example.", RRTYPE_ANY, true,
                "NOERROR aa\nanswer a.example. 3600 A\nanswer a.example. 3600 TXT\n");
    expect(z, "a.example.", RRTYPE_RRSIG, "NOERROR aa\nanswer a.example. 3600 RRSIG\n");
    expect(z, "sig.example.", RRTYPE_ANY, "NOERROR aa\n" SOA_LINE);
    expect(z, "c.example.", RRTYPE_ANY, "NOERROR aa\nanswer c.example. 3600 CNAME\n");
    expect(z, "ent.example.", RRTYPE_ANY, "NOERROR aa\n" SOA_LINE);
    zone_unref(z);
}
END_TEST

/* --- empty non-terminals and wildcards --- */

static const char wild_zone[] = MAKE_APEX "*.w TXT wild\n"
                                          "*.w MX 1 host.w\n"
                                          "host.w A 192.0.2.1\n"
                                          "x.y.w TXT deep\n"
                                          "a.*.w TXT literal\n"
                                          "*.c CNAME target\n"
                                          "target A 192.0.2.2\n"
                                          "a.*.empty TXT x\n"
                                          "*.*.double TXT x\n"
                                          "sub.cutonly NS ns.sub.cutonly\n"
                                          "*.wildonly A 192.0.2.3\n"
                                          "cut.w NS ns.cut.w\n"
                                          "ns.cut.w A 192.0.2.4\n"
                                          "glue.deep.cut.w A 192.0.2.4\n"
                                          "d.w DNAME other\n"
                                          "*.ns NS host.w\n"
                                          "*.ns2 NS a.*.ns2\n"
                                          "a.*.ns2 A 192.0.2.9\n"
                                          "rdata TXT x\n"
                                          "rdata NS *.w\n"
                                          "*.loop CNAME x.loop\n"
                                          "*.cc CNAME *.w\n";

START_TEST(empty_non_terminals)
{
    struct zone *z = make_zone("example.", wild_zone);
    expect(z, "w.example.", RRTYPE_TXT, "NOERROR aa\n" SOA_LINE);
    expect(z, "y.w.example.", RRTYPE_TXT, "NOERROR aa\n" SOA_LINE);
    expect(z, "cutonly.example.", RRTYPE_A, "NOERROR aa\n" SOA_LINE);
    expect(z, "wildonly.example.", RRTYPE_A, "NOERROR aa\n" SOA_LINE);
    expect(z, "*.empty.example.", RRTYPE_TXT, "NOERROR aa\n" SOA_LINE);
    expect(z, "no.y.w.example.", RRTYPE_TXT, "NXDOMAIN aa\n" SOA_LINE);
    zone_unref(z);
}
END_TEST

START_TEST(wildcards)
{
    struct zone *z = make_zone("example.", wild_zone);
    expect(z, "q.w.example.", RRTYPE_TXT, "NOERROR aa\nanswer q.w.example. 3600 TXT\n");
    ck_assert(answer.wildcard);
    expect(z, "r.Q.w.example.", RRTYPE_TXT, "NOERROR aa\nanswer r.Q.w.example. 3600 TXT\n");
    expect(z, "q.w.example.", RRTYPE_MX,
           "NOERROR aa\nanswer q.w.example. 3600 MX\nadditional host.w.example. 3600 A\n");
    expect(z, "q.w.example.", RRTYPE_A, "NOERROR aa\n" SOA_LINE);
    expect_over(z, "q.w.example.", RRTYPE_ANY, true,
                "NOERROR aa\nanswer q.w.example. 3600 MX\nanswer q.w.example. 3600 TXT\n"
                "additional host.w.example. 3600 A\n");
    /* Literally: an ordinary name, and the parent of ordinary names. */
    expect(z, "*.w.example.", RRTYPE_TXT, "NOERROR aa\nanswer *.w.example. 3600 TXT\n");
    ck_assert(!answer.wildcard);
    expect(z, "a.*.w.example.", RRTYPE_TXT, "NOERROR aa\nanswer a.*.w.example. 3600 TXT\n");
    expect(z, "b.*.w.example.", RRTYPE_TXT, "NXDOMAIN aa\n" SOA_LINE);
    /* What exists, has no such data, or is in between, blocks. */
    expect(z, "host.w.example.", RRTYPE_TXT, "NOERROR aa\n" SOA_LINE);
    expect(z, "q.host.w.example.", RRTYPE_TXT, "NXDOMAIN aa\n" SOA_LINE);
    ck_assert(!answer.wildcard);
    /* A wildcard that has no data itself. */
    expect(z, "q.empty.example.", RRTYPE_TXT, "NOERROR aa\n" SOA_LINE);
    expect(z, "a.q.empty.example.", RRTYPE_TXT, "NOERROR aa\n" SOA_LINE);
    expect(z, "q.*.double.example.", RRTYPE_TXT,
           "NOERROR aa\nanswer q.*.double.example. 3600 TXT\n");
    expect(z, "q.double.example.", RRTYPE_TXT, "NOERROR aa\n" SOA_LINE);
    /* NS at a wildcard delegates nothing (RFC 4592 section 4.2). */
    expect(z, "q.ns.example.", RRTYPE_NS,
           "NOERROR aa\nanswer q.ns.example. 3600 NS\nadditional host.w.example. 3600 A\n");
    expect(z, "q.ns.example.", RRTYPE_A, "NOERROR aa\n" SOA_LINE);
    expect(z, "q.ns2.example.", RRTYPE_NS,
           "NOERROR aa\nanswer q.ns2.example. 3600 NS\nadditional a.*.ns2.example. 3600 A\n");
    zone_unref(z);
}
END_TEST

START_TEST(wildcard_cnames)
{
    struct zone *z = make_zone("example.", wild_zone);
    expect(z, "q.c.example.", RRTYPE_A,
           "NOERROR aa\nanswer q.c.example. 3600 CNAME\nanswer target.example. 3600 A\n");
    expect(z, "q.c.example.", RRTYPE_TXT, "NOERROR aa\nanswer q.c.example. 3600 CNAME\n" SOA_LINE);
    expect(z, "q.loop.example.", RRTYPE_A,
           "NOERROR aa\nanswer q.loop.example. 3600 CNAME\nanswer x.loop.example. 3600 CNAME\n");
    /* "*" in RDATA is a label like any other. */
    expect(z, "q.cc.example.", RRTYPE_TXT,
           "NOERROR aa\nanswer q.cc.example. 3600 CNAME\nanswer *.w.example. 3600 TXT\n");
    zone_unref(z);
}
END_TEST

START_TEST(wildcards_end_at_cuts)
{
    struct zone *z = make_zone("example.", wild_zone);
    static const char referral[] = "NOERROR\nauthority cut.w.example. 3600 NS\n"
                                   "additional ns.cut.w.example. 3600 A required\n";
    expect(z, "cut.w.example.", RRTYPE_TXT, referral);
    expect(z, "q.cut.w.example.", RRTYPE_TXT, referral);
    expect(
        z, "q.d.w.example.", RRTYPE_TXT,
        "NXDOMAIN aa\nanswer d.w.example. 3600 DNAME\nanswer q.d.w.example. 3600 CNAME\n" SOA_LINE);
    zone_unref(z);
}
END_TEST

/* --- delegations --- */

static const char cut_zone[] = "@ SOA a. b. 1 2 3 4 300\n"
                               "@ NS ns\n"
                               "ns A 192.0.2.1\n"
                               "sub NS ns1.sub\n"
                               "sub NS ns.other\n"
                               "sub NS ns\n"
                               "sub NS ns.elsewhere.\n"
                               "sub 77 DS 1 8 1 0000000000000000000000000000000000000000\n"
                               "sub TXT hidden\n"
                               "ns1.sub A 192.0.2.2\n"
                               "ns1.sub AAAA ::2\n"
                               "ns1.sub TXT hidden\n"
                               "below.sub NS ns1.sub\n"
                               "below.sub DS 1 8 1 0000000000000000000000000000000000000000\n"
                               "*.sub A 192.0.2.66\n"
                               "other NS ns.other\n"
                               "ns.other A 192.0.2.3\n"
                               "plain NS ns.elsewhere.\n"
                               "mx MX 1 ns1.sub\n"
                               "mx MX 2 ns\n"
                               "into CNAME www.sub\n"
                               "at CNAME sub\n"
                               "deep.ent NS deep.ent\n"
                               "deep.ent A 192.0.2.5\n";

static const char referral_to_sub[] = "NOERROR\n"
                                      "authority sub.example. 3600 NS x4\n"
                                      "additional ns1.sub.example. 3600 A required\n"
                                      "additional ns1.sub.example. 3600 AAAA required\n"
                                      "additional ns.other.example. 3600 A\n"
                                      "additional ns.example. 3600 A\n";

START_TEST(referrals)
{
    struct zone *z = make_zone("example.", cut_zone);
    static const char *const names[] = {"sub.example.",         "www.sub.example.",
                                        "ns1.sub.example.",     "below.sub.example.",
                                        "x.below.sub.example.", "*.sub.example."};
    static const uint16_t types[] = {RRTYPE_A, RRTYPE_NS, RRTYPE_TXT, RRTYPE_ANY, RRTYPE_SOA};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
            expect(z, names[i], types[k], referral_to_sub);
            ck_assert(answer.referral && !answer.wildcard);
        }
    }
    expect(z, "plain.example.", RRTYPE_A, "NOERROR\nauthority plain.example. 3600 NS\n");
    expect(z, "deep.ent.example.", RRTYPE_A,
           "NOERROR\nauthority deep.ent.example. 3600 NS\n"
           "additional deep.ent.example. 3600 A required\n");
    zone_unref(z);
}
END_TEST

/* The DS is the parent's own; below the cut it is a referral like all else. */
START_TEST(ds_at_cuts)
{
    struct zone *z = make_zone("example.", cut_zone);
    expect(z, "sub.example.", RRTYPE_DS, "NOERROR aa\nanswer sub.example. 77 DS\n");
    ck_assert(!answer.referral);
    expect(z, "other.example.", RRTYPE_DS, "NOERROR aa\n" SOA_LINE);
    expect(z, "below.sub.example.", RRTYPE_DS, referral_to_sub);
    expect(z, "x.sub.example.", RRTYPE_DS, referral_to_sub);
    zone_unref(z);
}
END_TEST

/* Addresses below a cut are told as glue only. */
START_TEST(glue_is_no_data)
{
    struct zone *z = make_zone("example.", cut_zone);
    expect(z, "mx.example.", RRTYPE_MX,
           "NOERROR aa\nanswer mx.example. 3600 MX x2\nadditional ns.example. 3600 A\n");
    zone_unref(z);
}
END_TEST

/* A chain that ends at a cut: AA is of its beginning, the NS are in authority. */
START_TEST(chain_into_cut)
{
    struct zone *z = make_zone("example.", cut_zone);
    char expected[1000];
    snprintf(expected, sizeof expected, "NOERROR aa\nanswer into.example. 3600 CNAME\n%s",
             strchr(referral_to_sub, '\n') + 1);
    expect(z, "into.example.", RRTYPE_A, expected);
    snprintf(expected, sizeof expected, "NOERROR aa\nanswer at.example. 3600 CNAME\n%s",
             strchr(referral_to_sub, '\n') + 1);
    expect(z, "at.example.", RRTYPE_A, expected);
    expect(z, "at.example.", RRTYPE_DS,
           "NOERROR aa\nanswer at.example. 3600 CNAME\nanswer sub.example. 77 DS\n");
    zone_unref(z);
}
END_TEST

/* --- CNAME --- */

static const char chain_zone[] =
    MAKE_APEX "a CNAME b\n"
              "b 60 CNAME C\n"
              "C MX 1 host\n"
              "host A 192.0.2.1\n"
              "nx CNAME missing\n"
              "out CNAME www.elsewhere.\n"
              "self CNAME self\n"
              "l1 CNAME l2\n"
              "l2 CNAME l3\n"
              "l3 CNAME l2\n"
              "sig CNAME host\n"
              "sig NSEC t CNAME NSEC\n"
              "sig RRSIG CNAME 8 2 60 20300101000000 20200101000000 1 example. AAAA\n"
              "root CNAME .\n"
              "mxc MX 1 a\n";

START_TEST(chains)
{
    struct zone *z = make_zone("example.", chain_zone);
    expect(z, "a.example.", RRTYPE_MX,
           "NOERROR aa\nanswer a.example. 3600 CNAME\nanswer b.example. 60 CNAME\n"
           "answer C.example. 3600 MX\nadditional host.example. 3600 A\n");
    ck_assert_uint_eq(answer.links, 2);
    expect(z, "a.example.", RRTYPE_A,
           "NOERROR aa\nanswer a.example. 3600 CNAME\nanswer b.example. 60 CNAME\n" SOA_LINE);
    expect(z, "nx.example.", RRTYPE_A, "NXDOMAIN aa\nanswer nx.example. 3600 CNAME\n" SOA_LINE);
    expect(z, "out.example.", RRTYPE_A, "NOERROR aa\nanswer out.example. 3600 CNAME\n");
    expect(z, "root.example.", RRTYPE_A, "NOERROR aa\nanswer root.example. 3600 CNAME\n");
    /* A target that is a CNAME has no addresses. */
    expect(z, "mxc.example.", RRTYPE_MX, "NOERROR aa\nanswer mxc.example. 3600 MX\n");
    zone_unref(z);
}
END_TEST

START_TEST(not_followed)
{
    struct zone *z = make_zone("example.", chain_zone);
    expect(z, "a.example.", RRTYPE_CNAME, "NOERROR aa\nanswer a.example. 3600 CNAME\n");
    expect(z, "a.example.", RRTYPE_ANY, "NOERROR aa\nanswer a.example. 3600 CNAME\n");
    expect(z, "sig.example.", RRTYPE_RRSIG, "NOERROR aa\nanswer sig.example. 3600 RRSIG\n");
    expect(z, "sig.example.", RRTYPE_NSEC, "NOERROR aa\nanswer sig.example. 3600 NSEC\n");
    expect(z, "a.example.", RRTYPE_NSEC, "NOERROR aa\n" SOA_LINE);
    expect_over(z, "sig.example.", RRTYPE_ANY, true,
                "NOERROR aa\nanswer sig.example. 3600 CNAME\nanswer sig.example. 3600 NSEC\n");
    zone_unref(z);
}
END_TEST

START_TEST(loops)
{
    struct zone *z = make_zone("example.", chain_zone);
    expect(z, "self.example.", RRTYPE_A, "NOERROR aa\nanswer self.example. 3600 CNAME\n");
    expect(z, "l1.example.", RRTYPE_A,
           "NOERROR aa\nanswer l1.example. 3600 CNAME\nanswer l2.example. 3600 CNAME\n"
           "answer l3.example. 3600 CNAME\n");
    expect(z, "L3.example.", RRTYPE_A,
           "NOERROR aa\nanswer L3.example. 3600 CNAME\nanswer l2.example. 3600 CNAME\n");
    zone_unref(z);
}
END_TEST

START_TEST(longest_chain)
{
    char text[4000] = MAKE_APEX, expected[4000] = "NOERROR aa\n", line[100];
    for (int i = 0; i < 17; i++) {
        snprintf(line, sizeof line, "c%d CNAME c%d\n", i, i + 1);
        strcat(text, line);
    }
    strcat(text, "c17 A 192.0.2.1\n");
    struct zone *z = make_zone("example.", text);
    for (int i = 1; i < 17; i++) {
        snprintf(line, sizeof line, "answer c%d.example. 3600 CNAME\n", i);
        strcat(expected, line);
    }
    strcat(expected, "answer c17.example. 3600 A\n");
    expect(z, "c1.example.", RRTYPE_A, expected);
    ck_assert_uint_eq(answer.links, 16);
    /* One link more: sixteen links, and no end. */
    strcpy(expected, "NOERROR aa\n");
    for (int i = 0; i < 16; i++) {
        snprintf(line, sizeof line, "answer c%d.example. 3600 CNAME\n", i);
        strcat(expected, line);
    }
    expect(z, "c0.example.", RRTYPE_A, expected);
    zone_unref(z);
}
END_TEST

/* --- DNAME --- */

static const char dname_zone[] = MAKE_APEX "d 50 DNAME t\n"
                                           "d TXT seen\n"
                                           "hidden.d A 192.0.2.66\n"
                                           "cut.d NS ns.elsewhere.\n"
                                           "*.d TXT hidden\n"
                                           "a.t A 192.0.2.1\n"
                                           "b.t CNAME a.t\n"
                                           "c.t CNAME x.d2\n"
                                           "d2 DNAME t2\n"
                                           "x.t2 A 192.0.2.2\n"
                                           "x.x.t2 A 192.0.2.3\n"
                                           "out DNAME elsewhere.\n"
                                           "inner.t DNAME t2\n"
                                           "loop1 DNAME loop2\n"
                                           "loop2 DNAME loop1\n"
                                           "grow DNAME more.grow\n"
                                           "shrink DNAME example.\n"
                                           "cutd DNAME sub\n"
                                           "sub NS ns.elsewhere.\n"
                                           "point CNAME a.d\n"
                                           "mx MX 1 hidden.d\n";

START_TEST(dname_owner)
{
    struct zone *z = make_zone("example.", dname_zone);
    expect(z, "d.example.", RRTYPE_TXT, "NOERROR aa\nanswer d.example. 3600 TXT\n");
    expect(z, "d.example.", RRTYPE_DNAME, "NOERROR aa\nanswer d.example. 50 DNAME\n");
    expect(z, "d.example.", RRTYPE_A, "NOERROR aa\n" SOA_LINE);
    expect(z, "d.example.", RRTYPE_CNAME, "NOERROR aa\n" SOA_LINE);
    zone_unref(z);
}
END_TEST

#define VIA_D(name) "answer d.example. 50 DNAME\nanswer " name " 50 CNAME\n"

START_TEST(dname_below)
{
    struct zone *z = make_zone("example.", dname_zone);
    expect(z, "a.d.example.", RRTYPE_A,
           "NOERROR aa\n" VIA_D("a.d.example.") "answer a.t.example. 3600 A\n");
    expect(z, "no.d.example.", RRTYPE_A, "NXDOMAIN aa\n" VIA_D("no.d.example.") SOA_LINE);
    expect(z, "a.d.example.", RRTYPE_TXT, "NOERROR aa\n" VIA_D("a.d.example.") SOA_LINE);
    expect(z, "b.D.example.", RRTYPE_A,
           "NOERROR aa\nanswer D.example. 50 DNAME\nanswer b.D.example. 50 CNAME\n"
           "answer b.t.example. 3600 CNAME\nanswer a.t.example. 3600 A\n");
    expect(z, "point.example.", RRTYPE_A,
           "NOERROR aa\nanswer point.example. 3600 CNAME\n" VIA_D(
               "a.d.example.") "answer a.t.example. 3600 A\n");
    expect(z, "x.out.example.", RRTYPE_A,
           "NOERROR aa\nanswer out.example. 3600 DNAME\nanswer x.out.example. 3600 CNAME\n");
    /* The synthesized CNAME is what was asked for; it is there for ANY as well. */
    expect(z, "a.d.example.", RRTYPE_CNAME, "NOERROR aa\n" VIA_D("a.d.example."));
    expect(z, "a.d.example.", RRTYPE_ANY, "NOERROR aa\n" VIA_D("a.d.example."));
    zone_unref(z);
}
END_TEST

START_TEST(dname_hides)
{
    struct zone *z = make_zone("example.", dname_zone);
    expect(z, "hidden.d.example.", RRTYPE_A, "NXDOMAIN aa\n" VIA_D("hidden.d.example.") SOA_LINE);
    expect(z, "x.cut.d.example.", RRTYPE_A, "NXDOMAIN aa\n" VIA_D("x.cut.d.example.") SOA_LINE);
    expect(z, "q.d.example.", RRTYPE_TXT, "NXDOMAIN aa\n" VIA_D("q.d.example.") SOA_LINE);
    expect(z, "*.d.example.", RRTYPE_TXT, "NXDOMAIN aa\n" VIA_D("*.d.example.") SOA_LINE);
    expect(z, "mx.example.", RRTYPE_MX, "NOERROR aa\nanswer mx.example. 3600 MX\n");
    zone_unref(z);
}
END_TEST

START_TEST(dname_chains)
{
    struct zone *z = make_zone("example.", dname_zone);
    expect(z, "c.d.example.", RRTYPE_A,
           "NOERROR aa\n" VIA_D(
               "c.d.example.") "answer c.t.example. 3600 CNAME\n"
                               "answer d2.example. 3600 DNAME\nanswer x.d2.example. 3600 CNAME\n"
                               "answer x.t2.example. 3600 A\n");
    expect(z, "x.x.inner.d.example.", RRTYPE_A,
           "NOERROR aa\n"
           "answer d.example. 50 DNAME\n"
           "answer x.x.inner.d.example. 50 CNAME\n"
           "answer inner.t.example. 3600 DNAME\n"
           "answer x.x.inner.t.example. 3600 CNAME\n"
           "answer x.x.t2.example. 3600 A\n");
    expect(z, "x.cutd.example.", RRTYPE_A,
           "NOERROR aa\nanswer cutd.example. 3600 DNAME\nanswer x.cutd.example. 3600 CNAME\n"
           "authority sub.example. 3600 NS\n");
    /* Each record once, also where the chain comes through a DNAME again. */
    expect(z, "x.loop1.example.", RRTYPE_A,
           "NOERROR aa\nanswer loop1.example. 3600 DNAME\nanswer x.loop1.example. 3600 CNAME\n"
           "answer loop2.example. 3600 DNAME\nanswer x.loop2.example. 3600 CNAME\n");
    expect(z, "mx.shrink.shrink.example.", RRTYPE_MX,
           "NOERROR aa\nanswer shrink.example. 3600 DNAME\n"
           "answer mx.shrink.shrink.example. 3600 CNAME\nanswer mx.shrink.example. 3600 CNAME\n"
           "answer mx.example. 3600 MX\n");
    zone_unref(z);
}
END_TEST

START_TEST(dname_grows)
{
    struct zone *z = make_zone("example.", dname_zone);
    scratch_new(SCRATCH);
    plan_wire(z, names_wire("x.grow.example."), RRTYPE_A, false, 1232);
    ck_assert_uint_eq(answer.links, 16);
    ck_assert_uint_eq(answer.plan.rcode, RCODE_NOERROR);
    ck_assert_uint_eq(answer.plan.answer, 17); /* the DNAME once and 16 CNAMEs */
    ck_assert_uint_eq(answer.plan.items[0].rrset->type, RRTYPE_DNAME);
    for (size_t i = 1; i < 17; i++) {
        ck_assert_uint_eq(answer.plan.items[i].rrset->type, RRTYPE_CNAME);
    }
    free(scratch.base);
    zone_unref(z);
}
END_TEST

/* Under a DNAME whose target is `tail` octets longer than its owner, a name of each size. */
START_TEST(dname_too_long)
{
    struct zone *z = make_zone("example.", MAKE_APEX "d DNAME 0123456789.d\n");
    for (size_t size = 240; size <= 255; size++) {
        uint8_t name[NAME_MAX_OCTETS], label[63];
        memset(label, 'x', sizeof label);
        memcpy(name, names_wire("d.example."), 11);
        while (names_size(name) < size) {
            size_t left = size - names_size(name) - 1;
            ck_assert(names_prepend(name, label, left > 63 ? 50 : left));
        }
        ck_assert_uint_eq(names_size(name), size);
        scratch_new(SCRATCH);
        plan_wire(z, name, RRTYPE_CNAME, false, 1232);
        ck_assert(answer.plan.aa);
        ck_assert_uint_eq(answer.plan.items[0].rrset->type, RRTYPE_DNAME);
        if (size + 11 <= 255) {
            ck_assert_uint_eq(answer.plan.rcode, RCODE_NOERROR);
            ck_assert_uint_eq(answer.plan.answer, 2);
            const uint8_t *target = answer.plan.items[1].rrset->block + RECORD_HEAD;
            ck_assert_uint_eq(names_size(target), size + 11);
            ck_assert_mem_eq(target, name, size - 11);
        } else {
            ck_assert_uint_eq(answer.plan.rcode, RCODE_YXDOMAIN);
            ck_assert_uint_eq(answer.plan.answer, 1);
        }
        ck_assert_uint_eq(answer.plan.authority + answer.plan.additional, 0);
        free(scratch.base);
    }
    zone_unref(z);
}
END_TEST

/* --- bounds --- */

/* No more additional records are planned than an answer of that size could hold. */
START_TEST(additional_is_bounded)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX);
    for (uint32_t i = 0; i < 200; i++) {
        char text[50];
        snprintf(text, sizeof text, "a%u.example.", i);
        uint8_t mx[50] = {0};
        const uint8_t *host = names_wire(text);
        memcpy(mx + 2, host, names_size(host));
        make_record(records, names_wire("m.example."), RRTYPE_MX, 60, mx, 2 + names_size(host), 0,
                    3);
        make_record(records, host, RRTYPE_AAAA, 60, "0123456789abcdef", 16, 0, 3);
    }
    struct zone *z = make_built(records);
    for (int stream = 0; stream < 2; stream++) {
        scratch_new(SCRATCH);
        plan_wire(z, names_wire("m.example."), RRTYPE_MX, stream, stream ? 65535 : 1232);
        ck_assert_uint_eq(answer.plan.answer, 1);
        ck_assert_uint_eq(answer.plan.additional, stream ? 200 : 0);
        free(scratch.base);
    }
    zone_unref(z);
}
END_TEST

/* Where memory runs out the plan says so, whatever it was doing. */
START_TEST(scratch_runs_out)
{
    static const char *const names[] = {"a.example.",   "sub.example.", "x.d.example.",
                                        "q.w.example.", "no.example.",  "s.example."};
    struct zone *z = make_zone("example.", MAKE_APEX "a CNAME b\nb CNAME x.d\n"
                                                     "d DNAME t\nx.t MX 1 h\nh A 192.0.2.1\n"
                                                     "sub NS ns.sub\nns.sub A 192.0.2.1\n"
                                                     "*.w CNAME a\ns MX 1 h\n");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        bool failed = true;
        for (size_t size = 0; size <= 8192; size += 8) {
            uint8_t *memory = unit_guarded(size == 0 ? 8 : size);
            scratch = (struct scratch){.base = memory, .back = size};
            plan_wire(z, names_wire(names[i]), RRTYPE_MX, false, 1232);
            if (failed && !answer.plan.failed) {
                failed = false; /* from here on there is enough */
                ck_assert_uint_ge(size, sizeof(struct plan_item));
            }
            if (answer.plan.failed != failed) {
                ck_abort_msg("%s fails with %zu octets, but not with less", names[i], size);
            }
            unit_guarded_free(memory, size == 0 ? 8 : size);
        }
        ck_assert_msg(!failed, "%s takes over 8 KiB", names[i]);
    }
    zone_unref(z);
}
END_TEST

START_TEST(root_zone)
{
    struct zone *z = make_zone(".", "@ SOA a. b. 1 2 3 4 300\n@ NS a.root.\na.root A 192.0.2.1\n"
                                    "com NS ns.com\nns.com A 192.0.2.2\n* TXT wild\n");
    expect(z, ".", RRTYPE_NS, "NOERROR aa\nanswer . 3600 NS\nadditional a.root. 3600 A\n");
    expect(z, ".", RRTYPE_A, "NOERROR aa\nauthority . 300 SOA\n");
    expect(z, "www.example.com.", RRTYPE_A,
           "NOERROR\nauthority com. 3600 NS\nadditional ns.com. 3600 A required\n");
    expect(z, "any.where.", RRTYPE_TXT, "NOERROR aa\nanswer any.where. 3600 TXT\n");
    expect(z, "x.root.", RRTYPE_TXT, "NXDOMAIN aa\nauthority . 300 SOA\n");
    expect(z, "com.", RRTYPE_DS, "NOERROR aa\nauthority . 300 SOA\n");
    zone_unref(z);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("answer");
    tcase_add_test(unit.tests, positive);
    tcase_add_test(unit.tests, negative);
    tcase_add_test(unit.tests, additional);
    tcase_add_test(unit.tests, additional_is_no_repetition);
    tcase_add_test(unit.tests, service_bindings);
    tcase_add_test(unit.tests, any);
    tcase_add_test(unit.tests, empty_non_terminals);
    tcase_add_test(unit.tests, wildcards);
    tcase_add_test(unit.tests, wildcard_cnames);
    tcase_add_test(unit.tests, wildcards_end_at_cuts);
    tcase_add_test(unit.tests, referrals);
    tcase_add_test(unit.tests, ds_at_cuts);
    tcase_add_test(unit.tests, glue_is_no_data);
    tcase_add_test(unit.tests, chain_into_cut);
    tcase_add_test(unit.tests, chains);
    tcase_add_test(unit.tests, not_followed);
    tcase_add_test(unit.tests, loops);
    tcase_add_test(unit.tests, longest_chain);
    tcase_add_test(unit.tests, dname_owner);
    tcase_add_test(unit.tests, dname_below);
    tcase_add_test(unit.tests, dname_hides);
    tcase_add_test(unit.tests, dname_chains);
    tcase_add_test(unit.tests, dname_grows);
    tcase_add_test(unit.tests, dname_too_long);
    tcase_add_test(unit.tests, additional_is_bounded);
    tcase_add_test(unit.tests, scratch_runs_out);
    tcase_add_test(unit.tests, root_zone);
    return unit_end(&unit);
}

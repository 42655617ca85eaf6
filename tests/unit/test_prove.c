/*
 * Proofs in answers, which NSEC and NSEC3 stand in them and what is signed: the zone and the
 * answers of RFC 5155, a zone with NSEC, and files that hold what they should not. Signatures here
 * are made up: whether they hold is for tests/e2e/test_presigned.c, with real ones.
 */
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer/prove.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "make_world.h"
#include "make_zone.h"
#include "names.h"
#include "slow_zone.h"
#include "unit.h"

/* ---- Zones ---- */

/* The text with a signature for each owner's types, over everything. */
static const char *with_signatures(const char *text, const char *apex)
{
    static char out[1 << 16];
    char seen[200][128], line[512];
    size_t count = 0;
    char *at = out + sprintf(out, "%s", text);
    for (const char *p = text; *p != '\0'; p += strcspn(p, "\n") + 1) {
        char owner[80], type[20];
        snprintf(line, sizeof line, "%.*s", (int)strcspn(p, "\n"), p);
        ck_assert_int_eq(sscanf(line, "%79s %19s", owner, type), 2);
        snprintf(line, sizeof line, "%s RRSIG %s", owner, type);
        size_t i = 0;
        while (i < count && strcmp(seen[i], line) != 0) {
            i++;
        }
        if (i == count) {
            ck_assert_uint_lt(count, 200);
            strcpy(seen[count++], line);
            at += sprintf(at, "%s 13 1 3600 20300101000000 20200101000000 1 %s AAAA\n", line, apex);
        }
    }
    return out;
}

static struct desk desk;
static struct world *world;

/* A world of up to two zones, whose signatures are all there; the second's name is NULL: none. */
static void serve_zones(const char *apex, const char *text, const char *other, const char *its)
{
    const uint8_t *names[] = {names_wire(apex), other != NULL ? names_wire(other) : NULL};
    struct zone *zones[2] = {NULL};
    struct made made = make_try(apex, with_signatures(text, apex));
    ck_assert_msg(made.zone != NULL, "%s", make_told(&made.diag));
    zones[0] = zone_ref(made.zone);
    make_free(&made);
    if (other != NULL) {
        zones[1] = make_zone(other, its);
    }
    struct settings settings = make_settings();
    world = make_world(&settings, names, zones, other != NULL ? 2 : 1);
    desk = desk_new();
}

static void serve_end(void)
{
    desk_free(&desk);
    world_free(world);
}

/* ---- Answers ---- */

static bool covers(const ldns_rr *signature, const ldns_rr *rr)
{
    return ldns_rr_get_type(signature) == LDNS_RR_TYPE_RRSIG &&
           ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(signature)) == ldns_rr_get_type(rr) &&
           ldns_dname_compare(ldns_rr_owner(signature), ldns_rr_owner(rr)) == 0 &&
           ldns_rr_ttl(signature) == ldns_rr_ttl(rr);
}

/* "RCODE" and for each RRset its type and owner, "+" where signatures with its TTL follow it, "|"
 * between sections. */
static const char *said(const char *name, uint16_t type, uint16_t flags)
{
    static char text[4096];
    struct ask ask = ask_for(name, type);
    ldns_pkt *packet = NULL;
    ask_opt(&ask, 4096, flags);
    ck_assert(desk_ask(&desk, world, &ask, true));
    ck_assert_int_eq(ldns_wire2pkt(&packet, desk.answer, desk.answer_size), LDNS_STATUS_OK);
    ldns_rr_list *sections[] = {ldns_pkt_answer(packet), ldns_pkt_authority(packet),
                                ldns_pkt_additional(packet)};
    char *at = text + sprintf(text, "%d", ldns_pkt_get_rcode(packet));
    for (unsigned s = 0; s < 3; s++) {
        at += sprintf(at, "|");
        const ldns_rr *set = NULL;
        for (size_t i = 0; i < ldns_rr_list_rr_count(sections[s]); i++) {
            const ldns_rr *rr = ldns_rr_list_rr(sections[s], i);
            if (set != NULL && covers(rr, set)) {
                at += sprintf(at, "+");
                continue;
            }
            char *owner = ldns_rdf2str(ldns_rr_owner(rr));
            char *its = ldns_rr_type2str(ldns_rr_get_type(rr));
            owner[strlen(owner) - 1] = '\0';
            at += sprintf(at, " %s %s", its, owner);
            free(its);
            free(owner);
            set = rr;
        }
    }
    ldns_pkt_free(packet);
    return text;
}

static void expect(const char *name, uint16_t type, const char *expected)
{
    const char *text = said(name, type, EDNS_DO);
    ck_assert_msg(strcmp(text, expected) == 0, "%s: %s\ninstead of %s", name, text, expected);
}

/* ---- RFC 5155 ---- */

#define H_EXAMPLE "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"
#define H_NS1 "2t7b4g4vsa5smi47k61mv5bv1a22bojr"
#define H_XYW "2vptu5timamqttgl4luu9kg21e0aor3s"
#define H_A "35mthgpgcu1qg68fab165klnsnk3dpvl"
#define H_XW "b4um86eghhds6nea196smvmlo4ors995"
#define H_AI "gjeqe526plbf1g8mklp59enfd789njgi"
#define H_YW "ji6neoaepv8b5o6k4ev33abha8ht9fgc"
#define H_W "k8udemvp1j2f7eg6jebps17vp3n8i58h"
#define H_H_NS1 "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"
#define H_NS2 "q04jkcevqvmu85r014c7dkba38o0ji5r"
#define H_STAR_W "r53bq7cc2uvmubfu5ocmm6pers9tk9en"
#define H_XX "t644ebqk9bibcna874givr6joj62mlhv"
#define LINK(hash, next, types) hash " NSEC3 1 1 12 aabbccdd " next " " types "\n"

/* Of appendix A, but for what stands in the RDATA. */
static const char rfc5155[] =
    "@ SOA ns1 bugs 1 3600 300 3600000 3600\n"
    "@ NS ns1\n@ NS ns2\n@ MX 1 xx\n"
    "@ DNSKEY 256 3 7 AAAA\n@ NSEC3PARAM 1 0 12 aabbccdd\n"
    LINK(H_EXAMPLE, H_NS1, "MX DNSKEY NS SOA NSEC3PARAM RRSIG")
    H_NS1 " A 192.0.2.127\n"
    LINK(H_NS1, H_XYW, "A RRSIG") LINK(H_XYW, H_A, "MX RRSIG") LINK(H_A, H_XW, "NS DS RRSIG")
    LINK(H_XW, H_AI, "") LINK(H_AI, H_YW, "A HINFO AAAA RRSIG") LINK(H_YW, H_W, "")
    LINK(H_W, H_H_NS1, "") LINK(H_H_NS1, H_NS2, "A RRSIG") LINK(H_NS2, H_STAR_W, "A RRSIG")
    LINK(H_STAR_W, H_XX, "MX RRSIG") LINK(H_XX, H_EXAMPLE, "A HINFO AAAA RRSIG")
    "a NS ns1.a\na NS ns2.a\na DS 58470 5 1 3079f1593ebad6dc121e202a8b766a6a4837206c\n"
    "ns1.a A 192.0.2.5\nns2.a A 192.0.2.6\n"
    "ai A 192.0.2.9\nai HINFO \"KLH-10\" \"ITS\"\nai AAAA 2001:db8::f00:baa9\n"
    "c NS ns1.c\nc NS ns2.c\nns1.c A 192.0.2.7\nns2.c A 192.0.2.8\n"
    "ns1 A 192.0.2.1\nns2 A 192.0.2.2\n"
    "*.w MX 1 ai\nx.w MX 1 xx\nx.y.w MX 1 xx\n"
    "xx A 192.0.2.10\nxx HINFO \"KLH-10\" \"TOPS-20\"\nxx AAAA 2001:db8::f00:baaa\n";

START_TEST(answers_of_rfc5155)
{
    serve_zones("example.", rfc5155, NULL, NULL);
    expect("a.c.x.w.example.", RRTYPE_A,
           "3|| SOA example+ NSEC3 " H_XW ".example+ NSEC3 " H_EXAMPLE ".example+ NSEC3 " H_A
           ".example+|");
    expect("ns1.example.", RRTYPE_MX, "0|| SOA example+ NSEC3 " H_NS1 ".example+|");
    expect("y.w.example.", RRTYPE_A, "0|| SOA example+ NSEC3 " H_YW ".example+|");
    expect("mc.c.example.", RRTYPE_MX,
           "0|| NS c.example NS c.example NSEC3 " H_EXAMPLE ".example+ NSEC3 " H_A
           ".example+| A ns1.c.example A ns2.c.example");
    expect("a.z.w.example.", RRTYPE_MX,
           "0| MX a.z.w.example+| NSEC3 " H_NS2 ".example+| A ai.example+ AAAA ai.example+");
    expect("a.z.w.example.", RRTYPE_AAAA,
           "0|| SOA example+ NSEC3 " H_W ".example+ NSEC3 " H_NS2 ".example+ NSEC3 " H_STAR_W
           ".example+|");
    expect("example.", RRTYPE_DS, "0|| SOA example+ NSEC3 " H_EXAMPLE ".example+|");
    /* Besides the RFC's. */
    expect("x.a.example.", RRTYPE_A,
           "0|| NS a.example NS a.example DS a.example+| A ns1.a.example A ns2.a.example");
    expect("a.example.", RRTYPE_DS, "0| DS a.example+||");
    expect("c.example.", RRTYPE_DS,
           "0|| SOA example+ NSEC3 " H_EXAMPLE ".example+ NSEC3 " H_A ".example+|");
    /* An owner of NSEC3 that is a name; one that is not; what is below it; one twice needed. */
    expect(H_NS1 ".example.", RRTYPE_MX, "0|| SOA example+ NSEC3 " H_H_NS1 ".example+|");
    ck_assert_int_eq(said(H_A ".example.", RRTYPE_NSEC3, EDNS_DO)[0], '3');
    ck_assert_int_eq(said("x." H_A ".example.", RRTYPE_A, EDNS_DO)[0], '3');
    ck_assert_str_eq(said("ns1.example.", RRTYPE_MX, 0), "0|| SOA example|");
    ck_assert_str_eq(said("ns1.example.", RRTYPE_A, 0), "0| A ns1.example||");
    serve_end();
}
END_TEST

/* ---- NSEC ---- */

static const char plain_text[] = "@ SOA ns.plain. h.plain. 1 7200 900 86400 300\n@ NS ns.plain.\n"
                                 "www A 192.0.2.1\n";

static const char nsec_text[] =
    "@ SOA ns host 1 7200 900 86400 300\n@ NS ns\n@ NSEC Alias.example. NS SOA RRSIG NSEC\n"
    "Alias CNAME www\nAlias NSEC away.example. CNAME RRSIG NSEC\n"
    "away NS ns.away\naway DS 1 13 2 "
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    "away NSEC b.ent.deep.example. NS DS RRSIG NSEC\n"
    "ns.away A 192.0.2.1\nns.away NSEC zzz.away.example. A\n"
    "dn DNAME wild\ndn NSEC lost.example. DNAME RRSIG NSEC\n"
    "hid.dn A 192.0.2.9\nhid.dn NSEC zzz.dn.example. A\n"
    "b.ent.deep A 192.0.2.1\nb.ent.deep NSEC dn.example. A RRSIG NSEC\n"
    "lost NS ns.lost\nlost NSEC ns.example. NS RRSIG NSEC\nns.lost A 192.0.2.1\n"
    "ns A 192.0.2.1\nns NSEC out.example. A RRSIG NSEC\n"
    "out CNAME www.plain.\nout NSEC *.wild.example. CNAME RRSIG NSEC\n"
    "*.wild A 192.0.2.1\n*.wild NSEC www.example. A RRSIG NSEC\n"
    "www A 192.0.2.1\nwww NSEC example. A RRSIG NSEC\n";

START_TEST(answers_with_nsec)
{
    serve_zones("example.", nsec_text, "plain.", plain_text);
    expect("www.example.", RRTYPE_A, "0| A www.example+||");
    expect("www.example.", RRTYPE_TXT, "0|| SOA example+ NSEC www.example+|");
    expect("www.example.", RRTYPE_NSEC, "0| NSEC www.example+||");
    expect("www.example.", RRTYPE_RRSIG, "0| RRSIG www.example RRSIG www.example||");
    expect("www.example.", RRTYPE_ANY, "0| A www.example+ NSEC www.example+||");
    expect("alias.example.", RRTYPE_A, "0| CNAME alias.example+ A www.example+||");
    expect("alias.example.", RRTYPE_TXT,
           "0| CNAME alias.example+| SOA example+ NSEC www.example+|");
    expect("out.example.", RRTYPE_A, "0| CNAME out.example+ A www.plain||");
    expect("out.example.", RRTYPE_TXT, "0| CNAME out.example+| SOA plain|");
    /* Once, where it does for both. */
    expect("0.example.", RRTYPE_A, "3|| SOA example+ NSEC example+|");
    expect("x.www.example.", RRTYPE_A, "3|| SOA example+ NSEC www.example+|");
    expect("nothere.example.", RRTYPE_A, "3|| SOA example+ NSEC lost.example+ NSEC example+|");
    /* The predecessor is glue, below a DNAME, empty; the owner's case is as written. */
    expect("b.example.", RRTYPE_A, "3|| SOA example+ NSEC away.example+ NSEC example+|");
    expect("do.example.", RRTYPE_A, "3|| SOA example+ NSEC dn.example+ NSEC example+|");
    expect("alias2.example.", RRTYPE_A, "3|| SOA example+ NSEC Alias.example+ NSEC example+|");
    expect("ent.deep.example.", RRTYPE_A, "0|| SOA example+ NSEC away.example+|");
    expect("deep.example.", RRTYPE_A, "0|| SOA example+ NSEC away.example+|");
    expect("a.ent.deep.example.", RRTYPE_A, "3|| SOA example+ NSEC away.example+|");
    expect("x.wild.example.", RRTYPE_A, "0| A x.wild.example+| NSEC *.wild.example+|");
    expect("x.wild.example.", RRTYPE_TXT, "0|| SOA example+ NSEC *.wild.example+|");
    expect("x.wild.example.", RRTYPE_NSEC, "0| NSEC x.wild.example+| NSEC *.wild.example+|");
    expect("*.wild.example.", RRTYPE_TXT, "0|| SOA example+ NSEC *.wild.example+|");
    expect("wild.example.", RRTYPE_A, "0|| SOA example+ NSEC out.example+|");
    expect("x.dn.example.", RRTYPE_A,
           "0| DNAME dn.example+ CNAME x.dn.example A x.wild.example+| NSEC *.wild.example+|");
    expect("dn.example.", RRTYPE_A, "0|| SOA example+ NSEC dn.example+|");
    /* Delegations: whatever signatures the file has for NS and glue. */
    expect("x.away.example.", RRTYPE_A, "0|| NS away.example DS away.example+| A ns.away.example");
    expect("lost.example.", RRTYPE_A, "0|| NS lost.example NSEC lost.example+| A ns.lost.example");
    expect("away.example.", RRTYPE_DS, "0| DS away.example+||");
    expect("lost.example.", RRTYPE_DS, "0|| SOA example+ NSEC lost.example+|");
    expect("example.", RRTYPE_DS, "0|| SOA example+ NSEC example+|");
    /* Nothing of it without DO. */
    ck_assert_str_eq(said("nothere.example.", RRTYPE_A, 0), "3|| SOA example|");
    ck_assert_str_eq(said("x.away.example.", RRTYPE_A, 0),
                     "0|| NS away.example| A ns.away.example");
    ck_assert_str_eq(said("www.example.", RRTYPE_NSEC, 0), "0| NSEC www.example||");
    serve_end();
}
END_TEST

/* ---- Odd files ---- */

/* What is missing is left out, what can't be used is passed over. */
START_TEST(broken_files)
{
    /* NSEC at the apex only, an NSEC3 left over. */
    serve_zones("example.", "@ SOA ns host 1 7200 900 86400 300\n@ NS ns\n@ NSEC a.example. SOA\n"
                            "a A 192.0.2.1\nb.c.d A 192.0.2.1\n"
                            "e NSEC3 1 0 0 - " H_A " A\n", NULL, NULL);
    expect("a.example.", RRTYPE_TXT, "0|| SOA example+|");
    expect("c.d.example.", RRTYPE_TXT, "0|| SOA example+ NSEC example+|");
    expect("f.example.", RRTYPE_TXT, "3|| SOA example+ NSEC example+|");
    expect("e.example.", RRTYPE_TXT, "3|| SOA example+ NSEC example+|");
    serve_end();
    /* A chain without the apex: nothing can be proved. */
    serve_zones("example.", "@ SOA ns host 1 7200 900 86400 300\n@ NS ns\n"
                            "@ NSEC3PARAM 1 0 12 aabbccdd\n" LINK(H_A, H_A, "A"), NULL, NULL);
    expect("b.c.example.", RRTYPE_A, "3|| SOA example+|");
    expect("example.", RRTYPE_A, "0|| SOA example+|");
    serve_end();
    /* A name below an NSEC3's owner makes that one a name. */
    serve_zones("example.", "@ SOA ns host 1 7200 900 86400 300\n@ NS ns\n@ NSEC example. SOA\n"
                            "e NSEC3 1 0 0 - " H_A " A\nx.e A 192.0.2.1\n", NULL, NULL);
    ck_assert_int_eq(said("e.example.", RRTYPE_TXT, EDNS_DO)[0], '0');
    ck_assert_int_eq(said("f.example.", RRTYPE_TXT, EDNS_DO)[0], '3');
    expect("x.e.example.", RRTYPE_A, "0| A x.e.example+||");
    serve_end();
}
END_TEST

/* A signature never outlives what it covers. */
START_TEST(negative_ttl)
{
    serve_zones("example.", nsec_text, NULL, NULL);
    struct ask ask = ask_for("nothere.example.", RRTYPE_A);
    ldns_pkt *packet = NULL;
    ask_opt(&ask, 4096, EDNS_DO);
    ck_assert(desk_ask(&desk, world, &ask, false));
    ck_assert_int_eq(ldns_wire2pkt(&packet, desk.answer, desk.answer_size), LDNS_STATUS_OK);
    const ldns_rr_list *list = ldns_pkt_authority(packet);
    ck_assert_uint_eq(ldns_rr_ttl(ldns_rr_list_rr(list, 0)), 300);
    ck_assert_uint_eq(ldns_rr_ttl(ldns_rr_list_rr(list, 1)), 300);
    ck_assert_uint_eq(ldns_rr_ttl(ldns_rr_list_rr(list, 2)), 3600);
    ldns_pkt_free(packet);
    serve_end();
}
END_TEST

/* ---- By chance ---- */

static const struct node *chosen[4];
static size_t chosen_count;

static const struct rrset *note_node(struct answer *a, const struct answer_step *step,
                                     const struct node *node)
{
    (void)step;
    ck_assert_uint_lt(chosen_count, 4);
    chosen[chosen_count++] = node;
    a->plan.failed = true; /* it is a member, and its NSEC is not wanted */
    return NULL;
}

static bool is_in_chain(const struct node *node)
{
    return node->rrsets > 0 && (node->flags & (NODE_OCCLUDED | NODE_NSEC3)) == 0;
}

/* The last of the chain before a name, by looking at all. */
static const struct node *slow_before(const struct zone *zone, const uint8_t *name)
{
    const struct node *before = NULL;
    for (const struct node *n = zone_first(zone); n != NULL; n = zone_next(zone, n)) {
        uint8_t its[NAME_MAX_OCTETS];
        node_name(zone, n, its);
        if (is_in_chain(n) && names_compare(its, name) < 0) {
            before = n;
        }
    }
    return before;
}

/* What has to be chosen for a name that is there, in order. */
static const struct node *slow_at(const struct zone *zone, const struct node *node)
{
    uint8_t name[NAME_MAX_OCTETS];
    node_name(zone, node, name);
    return is_in_chain(node) ? node : slow_before(zone, name);
}

static void check_step(struct rng *rng, const struct zone *zone, const uint8_t *name)
{
    struct key key;
    struct answer answer = {0};
    struct answer_step step = {.source = {.zone = zone}, .name = {.key = &key, .wire = name}};
    struct zone_match *m = &step.match;
    const struct node *expected[4];
    size_t count = 0;
    key_from_name(name, &key);
    zone_lookup(zone, &key, m);
    if (m->cut != NULL) {
        step.kind = STEP_REFERRAL;
        expected[count++] = m->cut;
    } else if (m->dname != NULL) {
        step.kind = STEP_DATA;
    } else if (m->node != NULL) {
        step.kind = STEP_NODATA;
        expected[count++] = slow_at(zone, m->node);
    } else {
        step.kind = m->wildcard == NULL ? STEP_NXDOMAIN
                    : rng_once_in(rng, 2) ? STEP_NODATA
                                          : STEP_DATA;
        expected[count++] = slow_before(zone, name);
        uint8_t star[NAME_MAX_OCTETS + 2];
        node_name(zone, m->encloser, star);
        ck_assert(names_prepend(star, "*", 1));
        if (step.kind == STEP_NXDOMAIN) {
            expected[count++] = slow_before(zone, star);
        } else if (step.kind == STEP_NODATA) {
            expected[count++] = slow_at(zone, m->wildcard);
        }
    }
    chosen_count = 0;
    prove_nsec_step(&answer, &step, note_node);
    ck_assert_uint_eq(chosen_count, count);
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(chosen[i] == expected[i], "%s", names_text(name));
    }
}

START_TEST(nsec_by_chance)
{
    static const struct {
        enum names_kind kind;
        unsigned rounds, records;
    } tries[] = {{NAMES_DENSE, 300, 40}, {NAMES_HOST, 40, 60}, {NAMES_OCTETS, 60, 60},
                 {NAMES_LONG, 10, 20}, {NAMES_MANY, 4, 3}};
    struct rng rng = rng_start();
    for (size_t t = 0; t < sizeof tries / sizeof tries[0]; t++) {
        for (unsigned i = 0; i < tries[t].rounds / UNIT_SLOWER + 1; i++) {
            struct slow_zone slow;
            slow_init(&slow, names_wire(rng_once_in(&rng, 3) ? "." : "a.b."));
            slow_random(&rng, &slow, tries[t].kind, rng_below(&rng, tries[t].records));
            struct zone *zone = make_built(slow_records(&slow));
            for (unsigned n = 0; n < 60; n++) {
                uint8_t name[NAME_MAX_OCTETS];
                names_random(&rng, tries[t].kind, slow.apex, 5, name);
                check_step(&rng, zone, name);
            }
            zone_unref(zone);
            slow_free(&slow);
        }
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("prove");
    tcase_add_test(unit.tests, answers_of_rfc5155);
    tcase_add_test(unit.tests, answers_with_nsec);
    tcase_add_test(unit.tests, broken_files);
    tcase_add_test(unit.tests, negative_ttl);
    tcase_add_test(unit.tests, nsec_by_chance);
    return unit_end(&unit);
}

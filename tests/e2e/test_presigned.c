/*
 * Zones that are signed in their files, by two signers and with each kind of denial, as validators
 * see them: unbound before the server, delv, and ldns record by record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "packet.h"
#include "resolver.h"

#define BIG(n) "big TXT \"text of some length that fills the answer, number " #n " of twelve\"\n"

/* Of each kind; with it stand a signed and an unsigned child zone, which the server has too. */
static const char parent_text[] =
    "$TTL 3600\n"
    "@ SOA ns host 1 7200 900 86400 300\n"
    "@ NS ns\n@ MX 10 mail\n@ TXT apex\n"
    "ns A 192.0.2.1\nns AAAA 2001:db8::1\nmail A 192.0.2.2\n"
    "www A 192.0.2.3\nwww TXT hello\n"
    "alias CNAME www\ndeep CNAME x.y.wild\ngone CNAME nothere\n"
    "cross CNAME www.ldns-nsec3.example.\nplain CNAME www.plain.example.\n"
    "toward CNAME www.child\n"
    "*.wild A 192.0.2.4\n*.wild TXT w\n*.wildalias CNAME www\n"
    "b.ent.deep.nt A 192.0.2.5\na.*.oddwild A 192.0.2.6\n"
    "dn DNAME www\ndn2 DNAME wild\nbelow.dnx A 192.0.2.9\n"
    "child NS ns\ninsecure NS ns\n"
    "away NS ns.away\nns.away A 192.0.2.7\n"
    "away DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    "lost NS ns.lost\nns.lost A 192.0.2.8\n"
    "u1.optout NS ns.lost\nu2.optout NS ns.lost\n"
    BIG(1) BIG(2) BIG(3) BIG(4) BIG(5) BIG(6) BIG(7) BIG(8) BIG(9) BIG(10) BIG(11) BIG(12);
static const char child_text[] = "$TTL 3600\n"
                                 "@ SOA ns.elsewhere. host.elsewhere. 1 7200 900 86400 300\n"
                                 "@ NS ns.elsewhere.\nwww A 192.0.2.20\n*.wild A 192.0.2.21\n";

enum { KINDS = 6, PARENTS = 0, CHILDREN = KINDS, INSECURE = 2 * KINDS };
enum { PLAIN = 3 * KINDS, BAD, STARRED, ALIASED, ZONES = ALIASED + KINDS };

/* All below the apex is elsewhere, but for NSEC3 (of each kind). */
static const char aliased_text[] = "$TTL 3600\n@ SOA ns.elsewhere. host.elsewhere. 1 7200 900 86400 "
                                   "300\n@ NS ns.elsewhere.\n@ DNAME plain.example.\n";
/* To its signer, what is below the wildcard is another zone's and has no NSEC. */
static const char starred_text[] = "$TTL 3600\n@ SOA ns.elsewhere. host.elsewhere. 1 7200 900 86400 "
                                   "300\n@ NS ns.elsewhere.\n* NS ns.*\nns.* A 192.0.2.1\n"
                                   "b.ent A 192.0.2.2\n";

static const struct {
    const char *name;
    enum signer signer;
    enum signer_denial denial;
} kinds[KINDS] = {
    {"ldns-nsec.example.", SIGNER_LDNS, SIGNS_NSEC},
    {"ldns-nsec3.example.", SIGNER_LDNS, SIGNS_NSEC3},
    {"ldns-optout.example.", SIGNER_LDNS, SIGNS_OPT_OUT},
    {"bind-nsec.example.", SIGNER_BIND, SIGNS_NSEC},
    {"bind-nsec3.example.", SIGNER_BIND, SIGNS_NSEC3},
    {"bind-optout.example.", SIGNER_BIND, SIGNS_OPT_OUT},
};

enum {
    COVERED = 1,  /* proved by an NSEC3 that covers something: with opt-out it is insecure */
    INSECURES = 2, /* it is so in any case */
    NO_DELV = 4,  /* it leaves the zone that delv has the key of */
    NO_UNBOUND = 8,
    UNSIGNED_CUT = 16, /* with opt-out there may be no NSEC3 of it */
    DENIED = 32,       /* ldns can tell whether it is denied */
};

static const struct question {
    const char *name, *type, *rcode;
    unsigned flags;
} questions[] = {
    {"", "SOA", "NOERROR", 0},
    {"", "NS", "NOERROR", 0},
    {"", "MX", "NOERROR", 0},
    {"", "DNSKEY", "NOERROR", 0},
    {"", "AAAA", "NOERROR", DENIED},
    {"", "DS", "NOERROR", NO_DELV | NO_UNBOUND},
    {"www.", "A", "NOERROR", 0},
    {"WwW.", "TXT", "NOERROR", 0},
    {"www.", "AAAA", "NOERROR", DENIED},
    {"alias.", "A", "NOERROR", 0},
    {"alias.", "AAAA", "NOERROR", 0},
    {"alias.", "CNAME", "NOERROR", 0},
    {"deep.", "A", "NOERROR", COVERED},
    {"deep.", "AAAA", "NOERROR", COVERED},
    {"gone.", "A", "NXDOMAIN", COVERED},
    {"cross.", "A", "NOERROR", NO_DELV},
    {"plain.", "A", "NOERROR", INSECURES | NO_DELV},
    {"toward.", "A", "NOERROR", 0},
    {"x.wild.", "A", "NOERROR", COVERED},
    {"a.b.wild.", "TXT", "NOERROR", COVERED},
    {"x.wild.", "AAAA", "NOERROR", COVERED | DENIED},
    {"*.wild.", "A", "NOERROR", 0},
    {"*.wild.", "AAAA", "NOERROR", 0},
    {"wild.", "A", "NOERROR", 0},
    {"x.wildalias.", "A", "NOERROR", COVERED},
    {"x.wildalias.", "AAAA", "NOERROR", COVERED},
    {"nothere.", "A", "NXDOMAIN", COVERED | DENIED},
    {"0.", "A", "NXDOMAIN", COVERED | DENIED},
    {"zzzz.", "TXT", "NXDOMAIN", COVERED | DENIED},
    {"a.b.c.d.", "A", "NXDOMAIN", COVERED},
    {"ent.deep.nt.", "A", "NOERROR", 0},
    {"nt.", "TXT", "NOERROR", 0},
    {"x.deep.nt.", "A", "NXDOMAIN", COVERED | DENIED},
    {"x.oddwild.", "A", "NOERROR", COVERED},
    {"*.oddwild.", "A", "NOERROR", 0},
    {"b.*.oddwild.", "A", "NXDOMAIN", COVERED},
    {"a.*.oddwild.", "A", "NOERROR", 0},
    {"a.dn.", "A", "NXDOMAIN", COVERED},
    {"a.dn2.", "A", "NOERROR", COVERED},
    {"dn.", "DNAME", "NOERROR", 0},
    {"dn.", "A", "NOERROR", DENIED},
    {"x.dnx.", "A", "NXDOMAIN", COVERED},
    {"away.", "DS", "NOERROR", 0},
    {"lost.", "DS", "NOERROR", UNSIGNED_CUT},
    {"insecure.", "DS", "NOERROR", UNSIGNED_CUT},
    {"u1.optout.", "DS", "NOERROR", UNSIGNED_CUT},
    {"optout.", "A", "NOERROR", UNSIGNED_CUT},
    {"x.optout.", "A", "NXDOMAIN", COVERED},
    {"child.", "DS", "NOERROR", 0},
    {"child.", "DNSKEY", "NOERROR", 0},
    {"www.child.", "A", "NOERROR", 0},
    {"nothere.child.", "A", "NXDOMAIN", COVERED},
    {"x.wild.child.", "A", "NOERROR", COVERED},
    {"www.insecure.", "A", "NOERROR", INSECURES},
    {"big.", "TXT", "NOERROR", 0},
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

static struct zone_keys zones[ZONES];
static struct resolver resolver;

/* ---- The zones ---- */

static void write_zone(const struct zone_keys *keys, const char *text)
{
    size_t length = strlen(keys->zone) - 1; /* without the dot */
    daemon_zone(&server, format_text("%.*s", (int)length, keys->zone), text);
}

static void write_signed(const struct zone_keys *keys, const char *text, size_t kind)
{
    char *made = zone_sign(keys, text, kinds[kind].signer, kinds[kind].denial);
    write_zone(keys, made);
    free(made);
}

static void write_kind(const char *dir, size_t kind)
{
    struct zone_keys *parent = &zones[PARENTS + kind], *child = &zones[CHILDREN + kind];
    struct zone_keys *insecure = &zones[INSECURE + kind];
    keys_make(parent, dir, kinds[kind].name);
    keys_make(child, dir, format_text("child.%s", kinds[kind].name));
    child->anchor[0] = '\0'; /* its parent vouches for it */
    snprintf(insecure->zone, sizeof insecure->zone, "insecure.%s", kinds[kind].name);
    write_zone(insecure, child_text);
    write_signed(child, child_text, kind);
    write_signed(parent, format_text("%s%s\n", parent_text, child->ds), kind);
    keys_make(&zones[ALIASED + kind], dir, format_text("aliased-%s", kinds[kind].name));
    write_signed(&zones[ALIASED + kind], aliased_text, kind);
}

/* One signature of a zone that is otherwise good is changed: that of www A. */
static void write_bad(const char *dir)
{
    keys_make(&zones[BAD], dir, "bad.example.");
    char *text = zone_sign(&zones[BAD], parent_text, SIGNER_LDNS, SIGNS_NSEC);
    char *at = strstr(text, "\nwww.bad.example.");
    while (at != NULL && strncmp(at + strcspn(at, "R"), "RRSIG\tA ", 8) != 0) {
        at = strstr(at + 1, "\nwww.bad.example.");
    }
    ck_assert_ptr_nonnull(at);
    char *signature = strstr(at, " bad.example. ") + strlen(" bad.example. ");
    signature[10] = signature[10] == 'A' ? 'B' : 'A';
    write_zone(&zones[BAD], text);
    free(text);
}

static void begin(void)
{
    daemon_prepare(&server, "presigned", NULL);
    const char *dir = harness_path("keys");
    dir_make(dir);
    for (size_t kind = 0; kind < KINDS; kind++) {
        write_kind(dir, kind);
    }
    write_bad(dir);
    keys_make(&zones[STARRED], dir, "starred.example.");
    write_signed(&zones[STARRED], starred_text, 0);
    snprintf(zones[PLAIN].zone, sizeof zones[PLAIN].zone, "plain.example.");
    write_zone(&zones[PLAIN], child_text);
    daemon_start(&server);
    resolver_start(&resolver, "unbound", &server, zones, ZONES, NULL);
}

static void end(void)
{
    resolver_stop(&resolver);
    daemon_stop(&server);
}

static const char *name_in(size_t kind, const struct question *q)
{
    return format_text("%s%s", q->name, kinds[kind].name);
}

/* ---- What validators say ---- */

/* Whether a validator can know the answer to be right. */
static bool is_secure(size_t kind, const struct question *q)
{
    bool opt_out = kinds[kind].denial == SIGNS_OPT_OUT;
    if ((q->flags & INSECURES) != 0 || ((q->flags & COVERED) != 0 && opt_out)) {
        return false;
    }
    /* ldns gives every delegation an NSEC3, BIND leaves out what it may. */
    return (q->flags & UNSIGNED_CUT) == 0 || !opt_out || kinds[kind].signer == SIGNER_LDNS;
}

START_TEST(unbound_validates)
{
    size_t kind = (size_t)_i;
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        if ((q->flags & NO_UNBOUND) == 0) {
            const char *name = name_in(kind, q);
            const char *expected = format_text("%s%s", q->rcode, is_secure(kind, q) ? " AD" : "");
            const char *said = resolver_ask(&resolver, name, q->type);
            ck_assert_msg(strcmp(said, expected) == 0, "%s %s: %s instead of %s", name, q->type,
                          said, expected);
        }
    }
}
END_TEST

START_TEST(apex_with_dname)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        const char *apex = zones[ALIASED + kind].zone;
        ck_assert_str_eq(resolver_ask(&resolver, apex, "A"), "NOERROR AD");
        ck_assert_str_eq(resolver_ask(&resolver, apex, "DNAME"), "NOERROR AD");
        ck_assert_str_eq(resolver_ask(&resolver, format_text("www.%s", apex), "A"), "NOERROR");
    }
    ck_lacks(daemon_log(&server), "occluded by a DNAME");
}
END_TEST

START_TEST(names_beside_a_wildcard_cut)
{
    ck_assert_str_eq(resolver_ask(&resolver, "b.ent.starred.example.", "A"), "NOERROR AD");
    ck_assert_str_eq(resolver_ask(&resolver, "ent.starred.example.", "A"), "NOERROR AD");
    ck_assert_str_eq(resolver_ask(&resolver, "x.ent.starred.example.", "A"), "NXDOMAIN AD");
}
END_TEST

START_TEST(unbound_refuses)
{
    ck_assert_str_eq(resolver_ask(&resolver, "www.bad.example.", "A"), "SERVFAIL");
    ck_assert_str_eq(resolver_ask(&resolver, "alias.bad.example.", "A"), "SERVFAIL");
    ck_assert_str_eq(resolver_ask(&resolver, "www.bad.example.", "TXT"), "NOERROR AD");
    ck_assert_str_eq(resolver_ask(&resolver, "nothere.bad.example.", "TXT"), "NXDOMAIN AD");
    static const struct delv_question both[] = {{"www.bad.example.", "A"},
                                                {"www.bad.example.", "TXT"}};
    char *said[2];
    delv(&server, &zones[BAD], both, 2, said);
    ck_contains(said[0], "resolution failed: RRSIG failed to verify");
    ck_contains(said[1], "; fully validated");
    free(said[0]);
    free(said[1]);
}
END_TEST

START_TEST(delv_validates)
{
    size_t kind = (size_t)_i, count = 0;
    struct delv_question asked[QUESTIONS];
    bool secure[QUESTIONS];
    char *said[QUESTIONS];
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        if ((q->flags & NO_DELV) == 0) {
            secure[count] = is_secure(kind, q);
            asked[count++] = (struct delv_question){name_in(kind, q), q->type};
        }
    }
    delv(&server, &zones[PARENTS + kind], asked, count, said);
    for (size_t i = 0; i < count; i++) {
        /* That is how it tells of any negative answer. */
        const char *failed = strstr(said[i], "resolution failed: ");
        bool good = failed == NULL || strncmp(strchr(failed, ':') + 2, "ncache ", 7) == 0;
        good = good && (!secure[i] || strstr(said[i], "fully validated") != NULL);
        ck_assert_msg(good, "%s %s: %s", asked[i].name, asked[i].type, said[i]);
        free(said[i]);
    }
}
END_TEST

/* ---- What ldns says ---- */

START_TEST(ldns_verifies)
{
    size_t kind = (size_t)_i;
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        const char *name = name_in(kind, q);
        struct packet packet;
        signed_ask(&server, true, 1232, name, q->type, &packet);
        ck_assert_str_eq(rcode_text(packet.rcode), q->rcode);
        const char *fault = signatures_fault(&server, zones, ZONES, &packet);
        ck_assert_msg(fault == NULL, "%s %s: %s\n%s", name, q->type, fault, packet_text(&packet));
        if ((q->flags & DENIED) != 0) {
            fault = denial_fault(&packet, name, q->type);
            ck_assert_msg(fault == NULL, "%s %s: %s\n%s", name, q->type, fault,
                          packet_text(&packet));
        }
        packet_free(&packet);
    }
}
END_TEST

/* However little there is room for: an RRset comes with its signature or not at all. */
START_TEST(small_datagrams)
{
    size_t kind = (size_t)_i;
    unsigned truncated = 0;
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        for (uint16_t size = 512; size <= 1232; size = (uint16_t)(size + 240)) {
            struct packet packet;
            signed_ask(&server, false, size, name_in(kind, q), q->type, &packet);
            ck_assert_uint_le(packet.size, size);
            truncated += (packet.flags & 0x0200) != 0;
            const char *fault = signatures_fault(&server, zones, ZONES, &packet);
            ck_assert_msg(fault == NULL, "%s %s in %u octets: %s\n%s", name_in(kind, q), q->type,
                          size, fault, packet_text(&packet));
            packet_free(&packet);
        }
    }
    ck_assert_uint_gt(truncated, 0);
    ck_assert_uint_lt(truncated, QUESTIONS);
}
END_TEST

static size_t count_type(const struct packet *packet, enum section section, ldns_rr_type type)
{
    const ldns_rr_list *list = packet_section(packet, section);
    size_t count = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        count += ldns_rr_get_type(ldns_rr_list_rr(list, i)) == type;
    }
    return count;
}

/* Delegations to zones that are not here: their DS, or the proof that there is none. */
START_TEST(referrals)
{
    size_t kind = (size_t)_i;
    bool nsec = kinds[kind].denial == SIGNS_NSEC;
    bool left_out = kinds[kind].denial == SIGNS_OPT_OUT && kinds[kind].signer == SIGNER_BIND;
    static const char *const names[] = {"away", "x.y.away", "lost", "ns.lost"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct packet packet;
        bool has_ds = strstr(names[i], "away") != NULL;
        const char *name = format_text("%s.%s", names[i], kinds[kind].name);
        signed_ask(&server, false, 1232, name, "A", &packet);
        ck_assert_uint_eq(packet.flags & 0x0600, 0);
        const char *fault = signatures_fault(&server, zones, ZONES, &packet);
        ck_assert_msg(fault == NULL, "%s: %s\n%s", name, fault, packet_text(&packet));
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_NS), 1);
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_DS), has_ds);
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_NSEC),
                          !has_ds && nsec);
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_NSEC3),
                          has_ds || nsec ? 0 : left_out ? 2 : 1);
        ck_assert_uint_eq(count_type(&packet, SECTION_ADDITIONAL, LDNS_RR_TYPE_A), 1);
        packet_free(&packet);
    }
}
END_TEST

/* Who does not ask for proofs gets none, but what they are made of when asked for by type. */
START_TEST(without_do)
{
    size_t kind = (size_t)_i;
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        struct packet packet;
        signed_ask(&server, true, 0, name_in(kind, q), q->type, &packet);
        ck_assert_str_eq(rcode_text(packet.rcode), q->rcode);
        ck_lacks(packet_text(&packet), "\tRRSIG\t");
        ck_lacks(packet_text(&packet), "\tNSEC");
        packet_free(&packet);
    }
    struct packet packet;
    signed_ask(&server, true, 0, format_text("www.%s", kinds[kind].name), "RRSIG", &packet);
    ck_contains(packet_text(&packet), "RRSIG\tA 13");
    ck_contains(packet_text(&packet), "RRSIG\tTXT 13");
    packet_free(&packet);
}
END_TEST

/* The owner of an NSEC3 is no name. */
START_TEST(hashes_are_no_names)
{
    for (size_t kind = 0; kind < KINDS; kind++) {
        struct packet packet;
        signed_ask(&server, true, 1232, kinds[kind].name, "AAAA", &packet);
        ldns_rr_list *nsec3 =
            ldns_pkt_rr_list_by_type(packet.ldns, LDNS_RR_TYPE_NSEC3, LDNS_SECTION_AUTHORITY);
        packet_free(&packet);
        ck_assert_int_eq(nsec3 != NULL, kinds[kind].denial != SIGNS_NSEC);
        if (nsec3 == NULL) {
            continue;
        }
        char *owner = ldns_rdf2str(ldns_rr_owner(ldns_rr_list_rr(nsec3, 0)));
        bool secure = kinds[kind].denial != SIGNS_OPT_OUT;
        const char *denied = secure ? "NXDOMAIN AD" : "NXDOMAIN";
        ck_assert_str_eq(resolver_ask(&resolver, owner, "NSEC3"), denied);
        ck_assert_str_eq(resolver_ask(&resolver, format_text("x.%s", owner), "A"), denied);
        free(owner);
        ldns_rr_list_deep_free(nsec3);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("presigned");
    TCase *t = tcase_create("presigned");
    tcase_add_unchecked_fixture(t, begin, end);
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, ldns_verifies, 0, KINDS);
    tcase_add_loop_test(t, referrals, 0, KINDS);
    tcase_add_loop_test(t, small_datagrams, 0, KINDS);
    tcase_add_loop_test(t, unbound_validates, 0, KINDS);
    tcase_add_test(t, apex_with_dname);
    tcase_add_test(t, names_beside_a_wildcard_cut);
    tcase_add_test(t, unbound_refuses);
    tcase_add_loop_test(t, delv_validates, 0, KINDS);
    tcase_add_loop_test(t, without_do, 0, KINDS);
    tcase_add_test(t, hashes_are_no_names);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return harness_main("presigned", suite);
}

/*
 * Zones that the server signs, over time: what compact denial says to whom, which signatures are
 * made and which are kept, over reloads too, and what happens where a zone can't be signed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "packet.h"
#include "resolver.h"

enum { COMPACT, NSEC, NSEC3, MODES, ZONES = MODES };
static const char *const names[MODES] = {"compact.example.", "nsec.example.", "nsec3.example."};
enum { FLAG_TC = 0x0200, DO = 0x8000, CO = 0x4000, EDE = 15, TYPE_NXNAME = 128 };

static struct zone_keys zones[ZONES];

static const char zone_text[] =
    "$TTL 3600\n"
    "@ SOA ns host %u 7200 900 86400 300\n"
    "@ NS ns\n@ MX 10 mail\nns A 192.0.2.1\nns AAAA 2001:db8::1\nmail A 192.0.2.2\n"
    "www A 192.0.2.3\nwww A 192.0.2.4\nwww TXT hello\nalias CNAME www\ndn DNAME www\n"
    "*.wild A 192.0.2.5\nb.ent A 192.0.2.6\nUPPER MX 5 MAIL\na\\.b TXT dot\n\\000 TXT nul\n"
    "lost NS ns.lost\nns.lost A 192.0.2.7\n"
    "away NS ns.away\nns.away A 192.0.2.8\n"
    "away DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    "%s\n";

static void write_version(size_t mode, unsigned serial, const char *more)
{
    daemon_zone(&server, format_text("%.*s", (int)strlen(names[mode]) - 1, names[mode]),
                format_text(zone_text, serial, more));
}

/* One worker: each has a cache of its own for the denials of what isn't there. */
static void configure(const char *policy_of_compact)
{
    const char *zone = "{\"name\": \"%s\", \"file\": \"zones/%.*s.zone\"%s%s%s}";
    const char *list[MODES];
    static const char *const policies[] = {"compact", "nsec", "nsec3"};
    for (size_t i = 0; i < MODES; i++) {
        const char *policy = i == COMPACT ? policy_of_compact : policies[i];
        list[i] = format_text(zone, names[i], (int)strlen(names[i]) - 1, names[i],
                              policy != NULL ? ", \"dnssec\": \"" : "",
                              policy != NULL ? policy : "", policy != NULL ? "\"" : "");
    }
    daemon_configure(&server,
                     format_text("{\"server\": {\"workers\": 1}, \"zones\": [%s, %s, %s],"
                                 "\"dnssec\": {\"compact\": {\"denial\": \"compact\"},"
                                 "\"short\": {\"lifetime\": \"2d\", \"refresh\": \"6h\"},"
                                 "\"later\": {\"lifetime\": \"2d\", \"refresh\": \"7h\"},"
                                 "\"nsec\": {\"denial\": \"nsec\"},"
                                 "\"nsec3\": {\"denial\": \"nsec3\"}}}",
                                 list[0], list[1], list[2]));
}

static void begin(void)
{
    daemon_prepare(&server, "signing", NULL);
    dir_make(format_text("%s/keys", server.dir));
    for (size_t i = 0; i < MODES; i++) {
        write_version(i, 1, "");
    }
    configure("compact");
    daemon_start(&server);
    for (size_t i = 0; i < ZONES; i++) {
        keys_read(&zones[i], format_text("%s/keys", server.dir), names[i]);
    }
}

static void end(void)
{
    daemon_stop(&server);
}

/* ---- Asking ---- */

static void expect_signed(const char *name, const struct packet *packet)
{
    const char *fault = signatures_fault(&server, zones, ZONES, packet);
    ck_assert_msg(fault == NULL, "%s: %s\n%s", name, fault, packet_text(packet));
}

/* Asks over UDP with DO; the answer has its signatures. */
static void ask_signed(size_t mode, const char *name, const char *type)
{
    struct packet packet;
    const char *whole = format_text("%s%s", name, names[mode]);
    signed_ask(&server, false, 1232, whole, type, &packet);
    ck_assert_msg((packet.flags & FLAG_TC) == 0, "%s %s is truncated", whole, type);
    expect_signed(whole, &packet);
    packet_free(&packet);
}

static void ask_flags(size_t mode, const char *name, const char *type, unsigned flags,
                      struct packet *packet)
{
    struct query_spec query = query_for(format_text("%s%s", name, names[mode]), type);
    query.edns = true;
    query.edns_size = 1232;
    query.edns_flags = (uint16_t)flags;
    query_ask(&server, false, &query, packet);
}

static int64_t counter(const char *name)
{
    return daemon_counter(&server, name);
}

/* ---- Compact denial ---- */

/* Of the NSEC in the answer; NULL: there is none (or more than one). */
static const ldns_rr *only_nsec(const struct packet *packet)
{
    const ldns_rr *found = NULL;
    const ldns_rr_list *list = packet_section(packet, SECTION_AUTHORITY);
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_NSEC) {
            ck_assert_ptr_null(found);
            found = rr;
        }
    }
    return found;
}

static void expect_compact(const char *name, unsigned flags, const char *rcode, bool nxname)
{
    struct packet packet;
    ask_flags(COMPACT, name, "A", flags, &packet);
    ck_assert_msg(strcmp(rcode_text(packet.rcode), rcode) == 0, "%s: %s", name,
                  packet_text(&packet));
    const ldns_rr *nsec = only_nsec(&packet);
    if ((flags & DO) == 0) {
        ck_assert_ptr_null(nsec);
        ck_lacks(packet_text(&packet), "RRSIG");
    } else {
        ck_assert_ptr_nonnull(nsec);
        ck_assert(ldns_nsec_bitmap_covers_type(ldns_nsec_get_bitmap(nsec),
                                               (ldns_rr_type)TYPE_NXNAME) == nxname);
        ck_assert(ldns_nsec_bitmap_covers_type(ldns_nsec_get_bitmap(nsec), LDNS_RR_TYPE_RRSIG));
        ck_assert(ldns_nsec_bitmap_covers_type(ldns_nsec_get_bitmap(nsec), LDNS_RR_TYPE_NSEC));
        ck_assert_uint_eq(packet.edns_flags & CO, flags & CO);
        expect_signed(name, &packet);
    }
    packet_free(&packet);
}

START_TEST(who_gets_which_rcode)
{
    static const char *const absent[] = {"nothere.", "a.b.c.", "x.b.ent.", "x.*.wild."};
    for (size_t i = 0; i < sizeof absent / sizeof absent[0]; i++) {
        int64_t before = counter("answers_nxname");
        expect_compact(absent[i], DO | CO, "NXDOMAIN", true);
        ck_assert_int_eq(counter("answers_nxname"), before);
        expect_compact(absent[i], DO, "NOERROR", true);
        ck_assert_int_eq(counter("answers_nxname"), before + 1);
        expect_compact(absent[i], 0, "NXDOMAIN", true);
        expect_compact(absent[i], CO, "NXDOMAIN", true);
    }
    static const char *const empty[] = {"ent.", "wild.", "upper.", "dn."};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        expect_compact(empty[i], DO | CO, "NOERROR", false);
        expect_compact(empty[i], DO, "NOERROR", false);
        expect_compact(empty[i], 0, "NOERROR", false);
    }
}
END_TEST

START_TEST(nxname_is_no_question)
{
    static const unsigned flags[] = {0, DO, DO | CO};
    for (size_t i = 0; i < 3; i++) {
        for (size_t mode = 0; mode < MODES; mode++) {
            struct packet packet;
            size_t size;
            ask_flags(mode, "www.", "TYPE128", flags[i], &packet);
            ck_assert_str_eq(rcode_text(packet.rcode), "FORMERR");
            const uint8_t *ede = packet_option(&packet, EDE, &size);
            ck_assert_ptr_nonnull(ede);
            ck_assert_uint_ge(size, 2);
            ck_assert_uint_eq(ede[0] << 8 | ede[1], 30);
            packet_free(&packet);
        }
    }
}
END_TEST

/* ---- What is made, and what is found ---- */

static const char *const again[] = {"www.", "ent.", "again.", "x.wild.", "alias.", "x.dn.", "lost."};
enum { AGAIN = sizeof again / sizeof again[0] };

START_TEST(nothing_is_made_twice)
{
    for (size_t mode = 0; mode < MODES; mode++) {
        for (size_t i = 0; i < AGAIN; i++) {
            for (size_t j = 0; j < 2; j++) {
                const char *type = j == 0 ? "A" : "MX";
                struct packet packet;
                signed_ask(&server, false, 1232, format_text("%s%s", again[i], names[mode]), type,
                           &packet);
                packet_free(&packet);
                int64_t made = counter("signatures_made"), found = counter("signatures_found");
                int64_t later = counter("signing_later");
                signed_ask(&server, false, 1232, format_text("%s%s", again[i], names[mode]), type,
                           &packet);
                packet_free(&packet);
                ck_assert_int_eq(counter("signatures_made"), made);
                ck_assert_int_eq(counter("signing_later"), later);
                ck_assert_int_gt(counter("signatures_found"), found);
            }
        }
    }
    ck_assert_int_eq(counter("signatures_failed"), 0);
    ck_assert_int_eq(counter("signing_refused"), 0);
}
END_TEST

/* Of the chain: names with something at them that are not below a cut. */
enum { MEMBERS = 13 };

START_TEST(a_chain_is_finite)
{
    int64_t before = counter("signatures_made"), later = counter("signing_later");
    for (unsigned i = 0; i < 50; i++) {
        ask_signed(NSEC, format_text("%c%u.", 'a' + (int)(i * 7 % 26), i), "A");
    }
    int64_t made = counter("signatures_made") - before;
    ck_assert_msg(made <= MEMBERS + 2, "%d made", (int)made); /* SOA and DNSKEY besides */
    ck_assert_int_le(counter("signing_later") - later, made);
    before = counter("signatures_made");
    for (unsigned i = 0; i < 50; i++) {
        ask_signed(NSEC, format_text("%c%u.", 'a' + (int)(i * 5 % 26), i), "A");
    }
    ck_assert_int_le(counter("signatures_made") - before, MEMBERS);
}
END_TEST

/* ---- The zone from its answers ---- */

static void add_records(ldns_rr_list *zone, const struct packet *packet)
{
    for (enum section section = SECTION_ANSWER; section < SECTIONS; section++) {
        const ldns_rr_list *list = packet_section(packet, section);
        for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
            if (!ldns_rr_list_contains_rr(zone, ldns_rr_list_rr(list, i))) {
                ldns_rr_list_push_rr(zone, ldns_rr_clone(ldns_rr_list_rr(list, i)));
            }
        }
    }
}

static void collect(ldns_rr_list *zone, const char *name, const char *type, struct packet *packet)
{
    signed_ask(&server, true, 1232, name, type, packet);
    add_records(zone, packet);
}

/* Adds all of a name to the zone and returns the next name, text to be freed. */
static char *walk_on(ldns_rr_list *zone, const char *name)
{
    struct packet packet;
    collect(zone, name, "ANY", &packet);
    bool referral = (packet.flags & 0x0400) == 0;
    packet_free(&packet);
    if (referral) { /* its NSEC is told by the denial of a name behind all that is below it */
        collect(zone, format_text("%.*s\\000%s", (int)strcspn(name, "."), name, strchr(name, '.')),
                "A", &packet);
    } else {
        collect(zone, name, "NSEC", &packet);
    }
    packet_free(&packet);
    ldns_rdf *owner = ldns_dname_new_frm_str(name);
    char *next = NULL;
    for (size_t i = 0; i < ldns_rr_list_rr_count(zone); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(zone, i);
        if (next == NULL && ldns_rr_get_type(rr) == LDNS_RR_TYPE_NSEC &&
            ldns_dname_compare(ldns_rr_owner(rr), owner) == 0) {
            next = ldns_rdf2str(ldns_rr_rdf(rr, 0));
        }
    }
    ldns_rdf_deep_free(owner);
    ck_assert_msg(next != NULL, "%s has no NSEC", name);
    return next;
}

/* Negative answers have a SOA with another TTL; the one that was asked for comes first. */
static void write_collected(const char *path, const ldns_rr_list *zone)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (size_t i = 0; i < ldns_rr_list_rr_count(zone); i++) {
        ldns_rr_print(file, ldns_rr_list_rr(zone, i));
    }
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(chain_makes_a_zone)
{
    ldns_rr_list *zone = ldns_rr_list_new();
    unsigned members = 0;
    for (char *name = strdup(names[NSEC]); name != NULL; members++) {
        ck_assert_uint_lt(members, 2 * MEMBERS);
        char *next = walk_on(zone, name);
        free(name);
        if (strcmp(next, names[NSEC]) == 0) {
            free(next);
            next = NULL;
        }
        name = next;
    }
    ck_assert_uint_eq(members, MEMBERS);
    const char *path = harness_path("collected.zone");
    write_collected(path, zone);
    ldns_rr_list_deep_free(zone);
    struct output o = command("ldns-verify-zone -V 3 %s", path);
    ck_assert_msg(o.status == 0, "%s%s", o.out, o.err);
    ck_contains(o.out, "Zone is verified and complete");
    o = command("dnssec-verify -z -o %s %s", names[NSEC], path);
    ck_assert_msg(o.status == 0, "%s%s", o.out, o.err);
}
END_TEST

/* ---- Reloads ---- */

static void expect_reload(int loaded, int failed)
{
    json_t *answer = control_reload(&server, NULL);
    char *text = json_dumps(answer, 0);
    ck_assert_msg(strcmp(json_at(answer, "result.loaded"), format_text("%d", loaded)) == 0 &&
                      strcmp(json_at(answer, "result.failed"), format_text("%d", failed)) == 0,
                  "not %d loaded, %d failed: %s", loaded, failed, text);
    free(text);
    json_decref(answer);
}

static void ask_all(size_t mode)
{
    static const char *const types[] = {"A", "TXT", "MX", "AAAA"};
    for (size_t i = 0; i < AGAIN; i++) {
        for (size_t j = 0; j < 4; j++) {
            ask_signed(mode, again[i], types[j]);
        }
    }
    static const char *const apex[] = {"SOA", "NS", "MX", "DNSKEY", "CDS", "A"};
    for (size_t i = 0; i < 6; i++) {
        ask_signed(mode, "", apex[i]);
    }
}

START_TEST(signatures_survive)
{
    for (size_t mode = 0; mode < MODES; mode++) {
        ask_all(mode);
        int64_t before = counter("signatures_made");
        write_version(mode, 2, "");
        expect_reload(1, 0);
        ask_all(mode);
        ck_assert_int_eq(counter("signatures_made") - before, 1); /* SOA */
        /* One name more, and gone again; in a chain with the NSEC of the one before. */
        static const char *const more[] = {"www2 TXT more", ""};
        for (unsigned i = 0; i < 2; i++) {
            before = counter("signatures_made");
            write_version(mode, 3 + i, more[i]);
            expect_reload(1, 0);
            ask_all(mode);
            ck_assert_int_eq(counter("signatures_made") - before, mode == NSEC ? 2 : 1);
        }
        /* Another RRset at a name: that, and the bitmaps of what denies its other types. */
        before = counter("signatures_made");
        write_version(mode, 5, "www AAAA 2001:db8::2");
        expect_reload(1, 0);
        ask_all(mode);
        ck_assert_int_eq(counter("signatures_made") - before, 3);
    }
}
END_TEST

/* A policy's times are those of what is signed already, too. */
START_TEST(lifetimes_change)
{
    ask_all(COMPACT);
    int64_t before = counter("signatures_made");
    configure("short");
    expect_reload(0, 0);
    ask_all(COMPACT);
    ck_assert_int_gt(counter("signatures_made") - before, 3);
    before = counter("signatures_made");
    configure("later");
    expect_reload(0, 0);
    ask_all(COMPACT);
    ck_assert_int_eq(counter("signatures_made") - before, 0);
    configure("compact");
    expect_reload(0, 0);
}
END_TEST

/* ---- Where it can't be signed ---- */

static void expect_serial(size_t mode, unsigned serial)
{
    struct packet packet;
    signed_ask(&server, false, 1232, names[mode], "SOA", &packet);
    ck_contains(packet_text(&packet), format_text(". %u 7200 900", serial));
    ck_contains(packet_text(&packet), "RRSIG\tSOA");
    expect_signed(names[mode], &packet);
    packet_free(&packet);
    ask_signed(mode, "www.", "A");
    ask_signed(mode, "nothere.", "A");
}

START_TEST(signed_already)
{
    write_version(COMPACT, 10, "");
    expect_reload(1, 0);
    size_t log = daemon_log_size(&server);
    write_version(COMPACT, 11,
                  "@ RRSIG SOA 13 2 3600 20300101000000 20200101000000 1 compact.example. AAAA");
    expect_reload(0, 1);
    ck_assert(daemon_logs(&server, log, "the zone is signed already (its apex has RRSIG records), "
                                        "so it can't have the dnssec policy \"compact\""));
    expect_serial(COMPACT, 10);
    write_version(COMPACT, 12, "");
    expect_reload(1, 0);
    expect_serial(COMPACT, 12);
}
END_TEST

/* Signatures anywhere make it a signed zone, also where nobody would be answered with them. */
START_TEST(signed_away_from_the_apex)
{
    static const struct {
        const char *records, *name;
    } stray[] = {
        {"z.deep RRSIG A 13 4 3600 20300101000000 20200101000000 1 compact.example. AAAA",
         "z.deep.compact.example."},
        {"cut NS ns.cut\nns.cut A 192.0.2.1\n"
         "ns.cut RRSIG A 13 4 3600 20300101000000 20200101000000 1 compact.example. AAAA",
         "ns.cut.compact.example."},
    };
    write_version(COMPACT, 13, "");
    expect_reload(1, 0);
    for (unsigned i = 0; i < 2; i++) {
        size_t log = daemon_log_size(&server);
        write_version(COMPACT, 14 + i, stray[i].records);
        expect_reload(0, 1);
        ck_assert(daemon_logs(&server, log,
                              format_text("the zone is signed already (%s has RRSIG records), so "
                                          "it can't have the dnssec policy \"compact\"",
                                          stray[i].name)));
        expect_serial(COMPACT, 13);
    }
    write_version(COMPACT, 16, "");
    expect_reload(1, 0);
    expect_serial(COMPACT, 16);
}
END_TEST

START_TEST(key_for_all_to_read)
{
    const char *path = format_text("%s/%s.private", zones[NSEC].dir, zones[NSEC].ksk);
    int64_t made = counter("signatures_made");
    expect_serial(NSEC, 5);
    size_t log = daemon_log_size(&server);
    ck_assert_int_eq(chmod(path, 0644), 0);
    expect_reload(0, 1);
    ck_assert(daemon_logs(&server, log, "a private key that group or others have access to"));
    expect_serial(NSEC, 5);
    write_version(NSEC, 6, ""); /* nor is a new version of the zone put in service */
    expect_reload(0, 1);
    expect_serial(NSEC, 5);
    made = counter("signatures_made") - made;
    ck_assert_int_le(made, 2);
    ck_assert_int_eq(chmod(path, 0600), 0);
    expect_reload(1, 0);
    expect_serial(NSEC, 6);
}
END_TEST

START_TEST(no_directory_of_keys)
{
    const char *dir = zones[0].dir, *away = format_text("%s/away", server.dir);
    for (size_t mode = 0; mode < MODES; mode++) {
        write_version(mode, 20, "");
    }
    expect_reload(3, 0);
    for (size_t mode = 0; mode < MODES; mode++) {
        expect_serial(mode, 20);
    }
    int64_t made = counter("signatures_made");
    size_t log = daemon_log_size(&server);
    ck_assert_int_eq(rename(dir, away), 0);
    expect_reload(0, 3);
    ck_assert(daemon_logs(&server, log, "keys: "));
    for (size_t mode = 0; mode < MODES; mode++) {
        expect_serial(mode, 20);
    }
    ck_assert_int_eq(rename(away, dir), 0);
    expect_reload(0, 0);
    if (geteuid() != 0) { /* who reads all the same */
        ck_assert_int_eq(chmod(dir, 0), 0);
        expect_reload(0, 3);
        ck_assert_int_eq(chmod(dir, 0700), 0);
        expect_reload(0, 0);
    }
    for (size_t mode = 0; mode < MODES; mode++) {
        expect_serial(mode, 20);
    }
    ck_assert_int_eq(counter("signatures_made"), made);
}
END_TEST

/* ---- Other policies ---- */

START_TEST(policies_come_and_go)
{
    static const char *const policies[] = {"nsec3", NULL, "nsec", "compact"};
    for (size_t i = 0; i < 4; i++) {
        configure(policies[i]);
        control_reload_ok(&server);
        struct packet packet;
        const char *name = format_text("nothere.%s", names[COMPACT]);
        signed_ask(&server, true, 1232, name, "A", &packet);
        ck_assert_str_eq(rcode_text(packet.rcode), i == 3 ? "NOERROR" : "NXDOMAIN");
        if (policies[i] == NULL) {
            ck_lacks(packet_text(&packet), "RRSIG");
        } else {
            ck_contains(packet_text(&packet), i == 0 ? "\tNSEC3\t" : "\tNSEC\t");
            expect_signed(name, &packet);
            const char *fault = denial_fault(&packet, name, "A");
            ck_assert_msg(fault == NULL, "%s\n%s", fault, packet_text(&packet));
        }
        packet_free(&packet);
        signed_ask(&server, true, 1232, names[COMPACT], "NSEC3PARAM", &packet);
        ck_assert_uint_eq(packet.records[SECTION_ANSWER], i == 0 ? 2 : 0);
        packet_free(&packet);
        signed_ask(&server, true, 1232, names[COMPACT], "DNSKEY", &packet);
        ck_assert_uint_eq(packet.records[SECTION_ANSWER], policies[i] != NULL ? 2 : 0);
        packet_free(&packet);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("signing_state");
    TCase *t = tcase_create("signing_state");
    tcase_add_unchecked_fixture(t, begin, end);
    tcase_set_timeout(t, 0);
    tcase_add_test(t, a_chain_is_finite);
    tcase_add_test(t, who_gets_which_rcode);
    tcase_add_test(t, nxname_is_no_question);
    tcase_add_test(t, nothing_is_made_twice);
    tcase_add_test(t, chain_makes_a_zone);
    tcase_add_test(t, signatures_survive);
    tcase_add_test(t, lifetimes_change);
    tcase_add_test(t, signed_already);
    tcase_add_test(t, signed_away_from_the_apex);
    tcase_add_test(t, key_for_all_to_read);
    tcase_add_test(t, no_directory_of_keys);
    tcase_add_test(t, policies_come_and_go);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return harness_main("signing_state", suite);
}

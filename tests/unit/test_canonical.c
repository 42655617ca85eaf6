/*
 * Canonical RRsets, octet by octet as ldns makes them.
 */
#include "dnssec/canonical.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rrtype.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"

static const struct rrset *find(const struct zone *zone, const uint8_t *name, uint16_t type)
{
    struct key key;
    struct zone_match match;
    key_from_name(name, &key);
    zone_lookup(zone, &key, &match);
    ck_assert_ptr_nonnull(match.node);
    return node_rrset(match.node, type);
}

/* All records of text (lines "RDATA") of one owner and type, sorted and put in wire form by ldns. */
static size_t by_ldns(const char *owner, const char *type, const char *const *rdata, uint32_t ttl,
                      uint8_t *out)
{
    ldns_rr_list *list = ldns_rr_list_new();
    for (; *rdata != NULL; rdata++) {
        char line[4096];
        ldns_rr *rr = NULL;
        snprintf(line, sizeof line, "%s %u IN %s %s", owner, ttl, type, *rdata);
        ck_assert_int_eq(ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL), LDNS_STATUS_OK);
        ldns_rr2canonical(rr);
        ldns_rr_list_push_rr(list, rr);
    }
    ldns_rr_list_sort(list);
    size_t size = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        uint8_t *wire = NULL;
        size_t octets = 0;
        ldns_rr2wire(&wire, ldns_rr_list_rr(list, i), LDNS_SECTION_ANSWER, &octets);
        memcpy(out + size, wire, octets);
        size += octets;
        free(wire);
    }
    ldns_rr_list_deep_free(list);
    return size;
}

/* Builds the zone with these records and compares. */
static void compare(const char *owner, const char *type, const char *const *rdata)
{
    char text[8192] = MAKE_APEX;
    for (size_t i = 0; rdata[i] != NULL; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s %s %s\n", owner, type, rdata[i]);
    }
    struct zone *zone = make_zone("example.", text);
    uint16_t number;
    rrtype_from_text(type, strlen(type), &number);
    const struct rrset *rrset = find(zone, names_wire(owner), number);
    struct canonical c = {0};
    ck_assert_int_eq(canonical_octets(&c, (const uint8_t *)"abc", 3), 0);
    ck_assert_int_eq(canonical_rrset(&c, rrset, names_wire(owner), 1234), 0);
    static uint8_t expected[65536];
    size_t size = by_ldns(owner, type, rdata, 1234, expected);
    ck_assert_mem_eq(c.data, "abc", 3);
    ck_assert_uint_eq(c.size, 3 + size);
    ck_assert_mem_eq(c.data + 3, expected, size);
    canonical_free(&c);
    zone_unref(zone);
}

#define COMPARE(owner, type, ...) compare(owner, type, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(single_records)
{
    COMPARE("WWW.example.", "A", "192.0.2.1");
    COMPARE("www.example.", "CNAME", "Target.WWW.Example.");
    COMPARE("d.example.", "DNAME", "Elsewhere.Example.");
    COMPARE("t.example.", "TXT", "\"Case Is Kept\" \"\"");
    COMPARE("n.example.", "NAPTR", "1 2 \"U\" \"E2U\" \"!^.*$!SIP:A!\" Some.Where.");
    COMPARE("p.example.", "RP", "A.Example. B.Example.");
}
END_TEST

START_TEST(sorted_by_rdata)
{
    COMPARE("www.example.", "A", "192.0.2.200", "192.0.2.1", "10.0.0.1", "192.0.2.30");
    COMPARE("mx.example.", "MX", "20 A.mx.example.", "10 b.mx.example.", "10 B.elsewhere.",
            "5 example.");
    COMPARE("ns.example.", "TXT", "b", "a", "ab", "\"\"", "aa");
    COMPARE("srv.example.", "SRV", "1 1 1 Z.Example.", "1 1 1 a.example.", "0 9 9 q.");
    COMPARE("u.example.", "TYPE65280", "\\# 2 0102", "\\# 1 01", "\\# 3 010200", "\\# 1 00");
}
END_TEST

/* RFC 6840 section 5.1: names in these types keep their case. */
START_TEST(case_of_younger_types)
{
    struct zone *zone = make_zone("example.", MAKE_APEX "s SVCB 1 Target.Example. alpn=h2\n");
    const struct rrset *rrset = find(zone, names_wire("s.example."), RRTYPE_SVCB);
    struct canonical c = {0};
    ck_assert_int_eq(canonical_rrset(&c, rrset, names_wire("S.example."), 60), 0);
    ck_assert_ptr_nonnull(memmem(c.data, c.size, "\6Target\7Example", 15));
    ck_assert_mem_eq(c.data, "\1s\7example", 10);
    canonical_free(&c);
    zone_unref(zone);
}
END_TEST

/* What differs in case alone is one record (NAPTR is not compared so when a zone is built). */
START_TEST(duplicates_are_out)
{
    struct zone *zone = make_zone("example.", MAKE_APEX "n NAPTR 1 2 \"U\" \"\" \"\" A.example.\n"
                                                        "n NAPTR 1 2 \"U\" \"\" \"\" a.example.\n");
    const struct rrset *rrset = find(zone, names_wire("n.example."), RRTYPE_NAPTR);
    struct canonical c = {0};
    ck_assert_int_eq(canonical_rrset(&c, rrset, names_wire("n.example."), 60), 0);
    static uint8_t expected[4096];
    const char *const one[] = {"1 2 \"U\" \"\" \"\" a.example.", NULL};
    ck_assert_uint_eq(c.size, by_ldns("n.example.", "NAPTR", one, 60, expected));
    ck_assert_mem_eq(c.data, expected, c.size);
    canonical_free(&c);
    zone_unref(zone);
}
END_TEST

/* As many as a message holds, with names that are compressed as sent. */
START_TEST(many_records)
{
    static char lines[3000][64];
    static const char *rdata[3001];
    struct rng rng = rng_start();
    static char text[300000];
    size_t used = (size_t)snprintf(text, sizeof text, "%s", MAKE_APEX);
    for (unsigned i = 0; i < 3000; i++) {
        snprintf(lines[i], sizeof lines[i], "%u H%u.many.example.", rng_below(&rng, 60000), i);
        rdata[i] = lines[i];
        used += (size_t)snprintf(text + used, sizeof text - used, "many MX %s\n", lines[i]);
    }
    struct zone *zone = make_zone("example.", text);
    const struct rrset *rrset = find(zone, names_wire("many.example."), RRTYPE_MX);
    struct canonical c = {0};
    ck_assert_int_eq(canonical_rrset(&c, rrset, names_wire("many.example."), 60), 0);
    static uint8_t expected[300000];
    ck_assert_uint_eq(c.size, by_ldns("many.example.", "MX", rdata, 60, expected));
    ck_assert_mem_eq(c.data, expected, c.size);
    canonical_free(&c);
    zone_unref(zone);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("canonical");
    tcase_add_test(unit.tests, single_records);
    tcase_add_test(unit.tests, sorted_by_rdata);
    tcase_add_test(unit.tests, case_of_younger_types);
    tcase_add_test(unit.tests, duplicates_are_out);
    tcase_add_test(unit.tests, many_records);
    return unit_end(&unit);
}

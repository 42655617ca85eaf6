/*
 * From records to an image: what is refused and warned of, in which words, and what stands in the
 * image: flags, targets, order, TTLs, and RDATA that comes out exactly as it went in.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "make_zone.h"
#include "names.h"
#include "slow_zone.h"
#include "unit.h"
#include "zone/zone.h"
#include "zone/zone_build.h"

/* Builds and compares all that was told; a fault refuses the zone, a warning does not. */
static void expect_told(const char *text, const char *told)
{
    struct made made = make_try("example.", text);
    ck_assert_str_eq(make_told(&made.diag), told);
    bool refused = strstr(told, "fault: ") != NULL;
    ck_assert_int_eq(made.error, refused ? RR_EINVAL : RR_OK);
    make_free(&made);
}

static const struct node *node_of(const struct zone *zone, const char *name)
{
    struct key key;
    struct zone_match match;
    key_from_name(names_wire(name), &key);
    zone_lookup(zone, &key, &match);
    ck_assert_msg(match.node != NULL, "no %s", name);
    return match.node;
}

static const struct rrset *rrset_of(const struct zone *zone, const char *name, uint16_t type)
{
    const struct rrset *rrset = node_rrset(node_of(zone, name), type);
    ck_assert_msg(rrset != NULL, "no type %u at %s", type, name);
    return rrset;
}

/* --- what is refused --- */

START_TEST(soa_missing)
{
    expect_told("a A 192.0.2.1\n", "fault: zone:1: no SOA record at the apex\n");
    expect_told("a A 192.0.2.1\n@ NS a\n@ A 192.0.2.1\n",
                "fault: zone:2: no SOA record at the apex\n");
    expect_told("a A 192.0.2.1\n$FILE part 7\n@ NS a\n",
                "fault: part:7: no SOA record at the apex\n");
    expect_told("", "fault: zone:1: no SOA record at the apex\n");
}
END_TEST

START_TEST(soa_several)
{
    expect_told("@ NS ns.elsewhere.\n@ SOA a. b. 1 2 3 4 5\n@ SOA a. b. 2 2 3 4 5\n",
                "fault: zone:3: example. has several SOA records\n");
    expect_told("@ NS ns.elsewhere.\n@ SOA a. b. 1 2 3 4 5\n@ SOA A. B. 1 2 3 4 5\n",
                "warning: zone:3: duplicate SOA record, dropped (first on line 2)\n");
}
END_TEST

START_TEST(soa_elsewhere)
{
    expect_told(MAKE_APEX "Sub SOA a. b. 1 2 3 4 5\n",
                "fault: zone:3: SOA at Sub.example., which is not the zone's apex\n");
}
END_TEST

START_TEST(cname_beside_data)
{
    expect_told(MAKE_APEX "a CNAME b\na A 192.0.2.1\n",
                "fault: zone:4: a.example. has a CNAME beside other data (A)\n");
    expect_told(MAKE_APEX "a TXT x\nq A 192.0.2.1\nA CNAME b\n",
                "fault: zone:5: a.example. has a CNAME beside other data (TXT)\n");
    expect_told(MAKE_APEX "@ CNAME b\n",
                "fault: zone:3: example. has a CNAME beside other data (NS)\n");
    expect_told(MAKE_APEX "a CNAME b.\na DNAME c.\n",
                "fault: zone:4: a.example. has a CNAME beside other data (DNAME)\n");
    expect_told(MAKE_APEX "a CNAME b.\na NSEC c. CNAME NSEC\n"
                          "a RRSIG CNAME 8 2 60 20300101000000 20200101000000 1 example. AAAA\n",
                "");
}
END_TEST

START_TEST(cname_or_dname_several)
{
    expect_told(MAKE_APEX "a CNAME b.\na CNAME c.\n",
                "fault: zone:4: a.example. has several CNAME records\n");
    expect_told(MAKE_APEX "a DNAME b.\na DNAME c.\na DNAME d.\n",
                "fault: zone:4: a.example. has several DNAME records\n");
    expect_told(MAKE_APEX "a CNAME b.\na CNAME B.\n",
                "warning: zone:4: duplicate CNAME record, dropped (first on line 3)\n");
    expect_told(MAKE_APEX "a DNAME b.\na DNAME B.\n",
                "warning: zone:4: duplicate DNAME record, dropped (first on line 3)\n");
}
END_TEST

START_TEST(all_faults_are_told)
{
    expect_told(MAKE_APEX "a CNAME b\na A 192.0.2.1\nb SOA a. b. 1 2 3 4 5\nc DNAME d\nc DNAME e\n",
                "fault: zone:4: a.example. has a CNAME beside other data (A)\n"
                "fault: zone:5: SOA at b.example., which is not the zone's apex\n"
                "fault: zone:7: c.example. has several DNAME records\n");
}
END_TEST

/* Two records of one type at the apex of `example.`, of these sizes. */
static struct made try_two(size_t first, size_t second)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX);
    uint8_t *rdata = calloc(1, 65535);
    make_record(records, names_wire("example."), 65280, 60, rdata, first, 0, 3);
    rdata[0] = 1;
    make_record(records, names_wire("example."), 65280, 60, rdata, second, 0, 4);
    free(rdata);
    return make_try_records(records);
}

START_TEST(rrset_too_large)
{
    /* Header 12, question 9 + 4, twice 12 octets before the RDATA: 65486 octets of it fit. */
    struct made made = try_two(40000, 25486);
    ck_assert_str_eq(make_told(&made.diag), "");
    ck_assert_int_eq(made.error, RR_OK);
    ck_assert_uint_eq(rrset_of(made.zone, "example.", 65280)->block_size, 65510);
    make_free(&made);
    made = try_two(40000, 25487);
    ck_assert_str_eq(make_told(&made.diag),
                     "fault: zone:3: RRset of 2 records is too large for a DNS message\n");
    ck_assert_int_eq(made.error, RR_EINVAL);
    make_free(&made);
    made = try_two(65535, 65535);
    ck_assert_uint_eq(made.diag.faults, 1);
    make_free(&made);
}
END_TEST

START_TEST(faults_of_the_scanner_count)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX);
    struct made made = {0};
    diag_fault(&made.diag, "zone", 9, "told before");
    make_free(&made);
    diag_fault(&made.diag, "zone", 9, "told before");
    struct zone *zone = (struct zone *)(uintptr_t)1;
    ck_assert_int_eq(zone_build(records, 1, &made.diag, &zone), RR_EINVAL);
    ck_assert_ptr_null(zone);
    records_free(records);
    diag_clear(&made.diag);
}
END_TEST

START_TEST(owner_outside)
{
    struct records *records = records_new(names_wire("example."));
    ck_assert_int_eq(records_owner(records, names_wire("a.example.")), RR_OK);
    ck_assert_int_eq(records_owner(records, names_wire("example.org.")), RR_ENOENT);
    ck_assert_int_eq(records_owner(records, names_wire("xexample.")), RR_ENOENT);
    ck_assert_int_eq(records_owner(records, names_wire(".")), RR_ENOENT);
    ck_assert_int_eq(records_owner(records, names_wire("EXAMPLE.")), RR_OK);
    ck_assert_uint_eq(records_count(records), 0);
    records_free(records);
    records_free(NULL);
}
END_TEST

/* --- what is warned of --- */

START_TEST(ns_missing)
{
    expect_told("a NS b.\n@ SOA a. b. 1 2 3 4 5\n", "warning: zone:2: no NS record at the apex\n");
}
END_TEST

START_TEST(duplicates)
{
    expect_told(MAKE_APEX "a A 192.0.2.1\na A 192.0.2.2\na A 192.0.2.1\nA A 192.0.2.1\n",
                "warning: zone:5: duplicate A record, dropped (first on line 3)\n"
                "warning: zone:6: duplicate A record, dropped (first on line 3)\n");
    /* Names in RDATA have no case, all other octets do. */
    expect_told(MAKE_APEX "a MX 65 b.c.\na MX 97 B.c.\na MX 65 B.C.\n",
                "warning: zone:5: duplicate MX record, dropped (first on line 3)\n");
    expect_told(MAKE_APEX "a SRV 65 0 97 b.c.\na SRV 97 0 65 b.c.\na SRV 65 0 97 B.C.\n",
                "warning: zone:5: duplicate SRV record, dropped (first on line 3)\n");
    expect_told(MAKE_APEX "a TXT x\na TXT X\na TXT X\n",
                "warning: zone:5: duplicate TXT record, dropped (first on line 4)\n");
    expect_told(MAKE_APEX "a A 65.0.0.1\na A 97.0.0.1\n", "");
}
END_TEST

START_TEST(ttls_differ)
{
    struct made made = make_try("example.", MAKE_APEX "a 300 A 192.0.2.1\na 100 A 192.0.2.2\n"
                                                      "a 200 A 192.0.2.3\na 999 AAAA ::1\n");
    ck_assert_str_eq(make_told(&made.diag),
                     "warning: zone:4: TTLs differ in the A RRset; the lowest, 100, is used\n");
    const struct rrset *rrset = rrset_of(made.zone, "a.example.", RRTYPE_A);
    ck_assert_uint_eq(rrset_ttl(rrset), 100);
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(wire_get_u32(rrset->block + i * 16 + 6), 100);
    }
    ck_assert_uint_eq(rrset_ttl(rrset_of(made.zone, "a.example.", RRTYPE_AAAA)), 999);
    make_free(&made);
}
END_TEST

/* The TTL of a signature is that of what it signs (RFC 4034 section 3): each its own. */
START_TEST(ttls_of_signatures)
{
    struct made made =
        make_try("example.", MAKE_APEX
                 "a 300 A 192.0.2.1\na 100 AAAA ::1\n"
                 "a 300 RRSIG A 8 2 300 20300101000000 20200101000000 1 example. AAAA\n"
                 "a 100 RRSIG AAAA 8 2 100 20300101000000 20200101000000 1 example. AAAA\n");
    ck_assert_str_eq(make_told(&made.diag), "");
    const struct rrset *rrset = rrset_of(made.zone, "a.example.", RRTYPE_RRSIG);
    size_t second = RECORD_HEAD + wire_get_u16(rrset->block + 10);
    ck_assert_uint_eq(wire_get_u32(rrset->block + 6), 300);
    ck_assert_uint_eq(wire_get_u32(rrset->block + second + 6), 100);
    make_free(&made);
}
END_TEST

START_TEST(targets_that_are_cnames)
{
    expect_told(MAKE_APEX "alias CNAME b.\n"
                          "@ NS Alias\n"
                          "a MX 1 x.\n"
                          "a MX 2 alias\n"
                          "a SRV 1 2 3 alias\n"
                          "a SVCB 1 alias\n"
                          "sub NS alias\n",
                "warning: zone:4: NS target Alias.example. is a CNAME (RFC 2181 section 10.3)\n"
                "warning: zone:6: MX target alias.example. is a CNAME (RFC 2181 section 10.3)\n"
                "warning: zone:7: SRV target alias.example. is a CNAME (RFC 2181 section 10.3)\n"
                "warning: zone:9: NS target alias.example. is a CNAME (RFC 2181 section 10.3)\n");
}
END_TEST

START_TEST(glue_missing)
{
    expect_told(MAKE_APEX "sub NS Ns.sub\n"
                          "sub NS sub\n"
                          "sub NS ns.elsewhere.\n"
                          "sub NS nowhere\n"
                          "sub NS ok.sub\n"
                          "ok.sub AAAA ::1\n"
                          "@ NS missing\n",
                "warning: zone:3: no glue: name server Ns.sub.example. is in the delegated zone, "
                "but has no address here\n"
                "warning: zone:4: no glue: name server sub.example. is in the delegated zone, "
                "but has no address here\n");
}
END_TEST

START_TEST(occluded)
{
    expect_told(
        MAKE_APEX "d DNAME e.\n"
                  "A.d A 192.0.2.1\n"
                  "d TXT seen\n"
                  "sub NS ns.sub\n"
                  "ns.sub A 192.0.2.1\n"
                  "sub DS 1 8 1 0000000000000000000000000000000000000000\n"
                  "sub TXT hidden\n"
                  "x.sub MX 1 a.\n"
                  "y.sub NS ns.sub\n"
                  "sub A 192.0.2.1\n",
        "warning: zone:4: A.d.example. A is occluded by a DNAME above, never answered\n"
        "warning: zone:9: sub.example. TXT is occluded by a delegation above, never answered\n"
        "warning: zone:10: x.sub.example. MX is occluded by a delegation above, never answered\n"
        "warning: zone:11: y.sub.example. NS is occluded by a delegation above, never answered\n");
    /* A record dropped as a duplicate is not told of again, and no other one twice. */
    expect_told(MAKE_APEX "d DNAME e.\na.d A 192.0.2.1\na.d A 192.0.2.1\na.d A 192.0.2.2\n",
                "warning: zone:5: duplicate A record, dropped (first on line 4)\n"
                "warning: zone:4: a.d.example. A is occluded by a DNAME above, never answered\n"
                "warning: zone:6: a.d.example. A is occluded by a DNAME above, never answered\n");
    expect_told(MAKE_APEX "d DNAME e.\na.d A 192.0.2.1\na.d A 192.0.2.1\na.d TXT x\na.d TXT y\n",
                "warning: zone:5: duplicate A record, dropped (first on line 4)\n"
                "warning: zone:4: a.d.example. A is occluded by a DNAME above, never answered\n"
                "warning: zone:6: a.d.example. TXT is occluded by a DNAME above, never answered\n"
                "warning: zone:7: a.d.example. TXT is occluded by a DNAME above, never answered\n");
}
END_TEST

/* --- large RRsets take other ways through the code than small ones --- */

/* "192.0.2.1" and so on, one a line, `count` of them at `a`, beginning with line 3. */
static void many_addresses(struct records *records, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint8_t rdata[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
        make_record(records, names_wire("a.example."), RRTYPE_A, 60, rdata, 4, 0, 3 + i);
    }
}

static struct records *apex_records(void)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX);
    return records;
}

START_TEST(duplicates_in_a_large_set)
{
    struct records *records = apex_records();
    static const uint8_t upper[] = {65, 0, 0, 1}, lower[] = {97, 0, 0, 1}, low[] = {10, 0, 0, 0};
    const uint8_t *owner = names_wire("a.example.");
    make_record(records, owner, RRTYPE_A, 60, upper, 4, 0, 100);
    make_record(records, owner, RRTYPE_A, 60, lower, 4, 0, 101);
    make_record(records, owner, RRTYPE_A, 60, upper, 4, 0, 102);
    many_addresses(records, 40);
    make_record(records, owner, RRTYPE_A, 60, lower, 4, 0, 103);
    make_record(records, owner, RRTYPE_A, 60, low, 4, 0, 104);
    make_record(records, owner, RRTYPE_A, 60, low, 4, 0, 105);
    struct made made = make_try_records(records);
    ck_assert_str_eq(make_told(&made.diag),
                     "warning: zone:102: duplicate A record, dropped (first on line 100)\n"
                     "warning: zone:103: duplicate A record, dropped (first on line 101)\n"
                     "warning: zone:104: duplicate A record, dropped (first on line 3)\n"
                     "warning: zone:105: duplicate A record, dropped (first on line 3)\n");
    ck_assert_uint_eq(rrset_of(made.zone, "a.example.", RRTYPE_A)->count, 42);
    make_free(&made);
}
END_TEST

/* As $GENERATE makes them, or a file that is included twice. */
START_TEST(duplicates_on_one_line)
{
    for (unsigned count = 2; count < 100; count += 31) {
        struct records *records = apex_records();
        for (unsigned i = 0; i < count; i++) {
            make_record(records, names_wire("a.example."), RRTYPE_A, 60, "\1\2\3\4", 4, 0, 3);
        }
        struct made made = make_try_records(records);
        ck_assert_int_eq(made.error, RR_OK);
        ck_assert_uint_eq(made.diag.warnings, count - 1);
        const struct rrset *rrset = rrset_of(made.zone, "a.example.", RRTYPE_A);
        ck_assert_uint_eq(rrset->count, 1);
        ck_assert_uint_eq(rrset->block_size, 16);
        ck_assert_mem_eq(rrset->block + RECORD_HEAD, "\1\2\3\4", 4);
        make_free(&made);
    }
}
END_TEST

/* Records stay in the order read: included files among the lines, records of a line in theirs. */
START_TEST(order_is_kept)
{
    for (unsigned count = 9; count < 1000; count *= 10) {
        struct records *records = apex_records();
        records_file(records, "part");
        for (unsigned i = 0; i < count; i++) {
            uint8_t txt[5] = {4, 'a', (uint8_t)(count - i), (uint8_t)(count >> 8),
                              (uint8_t)(i >> 8)};
            uint32_t file = i % 5 == 2, line = 3 + i / 3;
            make_record(records, names_wire("a.example."), RRTYPE_TXT, 60, txt, 5, file, line);
            make_record(records, names_wire("a.example."), RRTYPE_A, 60, txt + 1, 4, file, line);
        }
        struct zone *zone = make_built(records);
        const struct rrset *rrset = rrset_of(zone, "a.example.", RRTYPE_TXT);
        ck_assert_uint_eq(rrset->count, count);
        size_t position = 0;
        for (unsigned i = 0; i < count; i++) {
            uint8_t rdata[16];
            ck_assert_int_eq(rrset_rdata(rrset, names_wire("a.example."), &position, rdata), 5);
            ck_assert_uint_eq(rdata[2], (uint8_t)(count - i));
            ck_assert_uint_eq(rdata[4], i >> 8);
        }
        zone_unref(zone);
    }
}
END_TEST

/* One owner with so much data that it goes over several pieces of the list of records. */
START_TEST(owner_of_megabytes)
{
    struct records *records = apex_records();
    uint8_t *rdata = malloc(60000);
    for (unsigned type = 0; type < 60; type++) {
        memset(rdata, (int)type, 60000);
        make_record(records, names_wire("Big.example."), (uint16_t)(65280 + type), 60, rdata, 60000,
                    0, 3 + type);
    }
    struct zone *zone = make_built(records);
    ck_assert_uint_eq(node_of(zone, "big.example.")->rrsets, 60);
    uint8_t *got = malloc(65535);
    for (unsigned type = 0; type < 60; type++) {
        size_t position = 0;
        const struct rrset *rrset = rrset_of(zone, "big.example.", (uint16_t)(65280 + type));
        ck_assert_int_eq(rrset_rdata(rrset, names_wire("big.example."), &position, got), 60000);
        memset(rdata, (int)type, 60000);
        ck_assert(memcmp(got, rdata, 60000) == 0);
        ck_assert_int_eq(rrset_rdata(rrset, names_wire("big.example."), &position, got), RR_ENOENT);
    }
    free(rdata);
    free(got);
    zone_unref(zone);
}
END_TEST

/* --- what stands in the image --- */

START_TEST(head)
{
    struct zone *zone = make_zone("Sub.Example.", "@ 3600 SOA a. b. 4294967295 2 3 4 300\n"
                                                  "@ NS ns\n"
                                                  "ns A 192.0.2.1\n"
                                                  "a.ent A 192.0.2.1\n"
                                                  "a.ent A 192.0.2.2\n");
    const struct zone_head *h = zone->head;
    ck_assert_uint_eq(h->magic, ZONE_IMAGE_MAGIC);
    ck_assert_uint_eq(h->version, ZONE_IMAGE_VERSION);
    ck_assert_uint_eq(h->serial, 4294967295u);
    ck_assert_uint_eq(h->nodes, 4);
    ck_assert_uint_eq(h->rrsets, 4);
    ck_assert_uint_eq(h->records, 5);
    ck_assert_uint_eq(h->apex_labels, 2);
    ck_assert_uint_eq(h->apex_size, 13);
    ck_assert_uint_eq(h->apex_key_size, 12);
    ck_assert_mem_eq(h->apex_name, "\3Sub\7Example", 13);
    zone_unref(zone);
}
END_TEST

START_TEST(negative_ttl)
{
    static const struct {
        const char *text;
        uint32_t ttl, negative;
    } cases[] = {
        {"@ 3600 SOA a. b. 1 2 3 4 300\n@ NS a.\n", 3600, 300},
        {"@ 300 SOA a. b. 1 2 3 4 3600\n@ NS a.\n", 300, 300},
        {"@ 0 SOA a. b. 1 2 3 4 3600\n@ NS a.\n", 0, 0},
        {"@ 60 SOA a. b. 1 2 3 4 0\n@ NS a.\n", 60, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zone *zone = make_zone("example.", cases[i].text);
        const struct rrset *soa = rrset_of(zone, "example.", RRTYPE_SOA);
        const struct rrset *negative = zone_at(zone, zone->head->negative_soa);
        ck_assert_uint_eq(rrset_ttl(soa), cases[i].ttl);
        ck_assert_uint_eq(rrset_ttl(negative), cases[i].negative);
        uint8_t one[600], other[600];
        size_t position = 0;
        int size = rrset_rdata(soa, zone->head->apex_name, &position, one);
        position = 0;
        ck_assert_int_eq(rrset_rdata(negative, zone->head->apex_name, &position, other), size);
        ck_assert_mem_eq(one, other, (size_t)size);
        zone_unref(zone);
    }
}
END_TEST

/* Records of a name that are not together in the file, and in other case, come together. */
START_TEST(owner_comes_again)
{
    struct zone *zone = make_zone("example.", MAKE_APEX "Www A 192.0.2.1\nb TXT x\nwww AAAA ::1\n"
                                                        "b TXT y\nwWW A 192.0.2.2\n");
    const struct node *node = node_of(zone, "www.example.");
    uint8_t name[NAME_MAX_OCTETS];
    ck_assert_uint_eq(node_name(zone, node, name), 13);
    ck_assert_mem_eq(name, "\3Www\7example", 13);
    ck_assert_uint_eq(node->rrsets, 2);
    ck_assert_uint_eq(node_rrset(node, RRTYPE_A)->count, 2);
    ck_assert_uint_eq(zone->head->nodes, 3);
    zone_unref(zone);
}
END_TEST

/* "name node flags" of every target of an RRset. */
static void expect_targets(const struct zone *zone, const char *owner, uint16_t type,
                           const char *expected)
{
    const struct rrset *rrset = rrset_of(zone, owner, type);
    char text[4000] = "";
    for (unsigned i = 0; i < rrset->targets; i++) {
        const struct rrset_target *t = &rrset_targets(rrset)[i];
        uint8_t name[NAME_MAX_OCTETS];
        const char *node = "-";
        if (t->node != 0) {
            node_name(zone, zone_node(zone, t->node), name);
            node = names_text(name);
        }
        sprintf(text + strlen(text), "%s%s%s%s\n", node,
                (t->flags & TARGET_REQUIRED) != 0 ? " required" : "",
                (t->flags & TARGET_ALIAS) != 0 ? " alias" : "",
                (t->flags & TARGET_SELF) != 0 ? " self" : "");
    }
    ck_assert_str_eq(text, expected);
}

static const char with_targets[] = "@ SOA a. b. 1 2 3 4 5\n"
                                   "@ NS ns1\n"
                                   "@ NS NS1.sub\n"
                                   "@ NS ns.elsewhere.\n"
                                   "ns1 A 192.0.2.1\n"
                                   "sub NS ns1.sub\n"
                                   "sub NS ns1\n"
                                   "sub NS ns2.sub\n"
                                   "sub NS ns.other\n"
                                   "sub NS nothing\n"
                                   "sub NS ns.d\n"
                                   "sub NS Ns.elsewhere.\n"
                                   "ns1.sub A 192.0.2.2\n"
                                   "ns2.sub TXT none\n"
                                   "other NS ns.other\n"
                                   "ns.other AAAA ::1\n"
                                   "d DNAME e.\n"
                                   "ns.d A 192.0.2.3\n"
                                   "m MX 1 ns1\n"
                                   "m MX 2 NS1\n"
                                   "m MX 3 ns1.sub\n"
                                   "m MX 4 host\n"
                                   "m MX 5 .\n"
                                   "host A 192.0.2.4\n"
                                   "_sip SRV 1 2 3 host\n"
                                   "af AFSDB 1 host\n"
                                   "kx KX 1 host\n"
                                   "svc SVCB 1 host\n"
                                   "svc A 192.0.2.5\n"
                                   "svc SVCB 2 .\n"
                                   "svc SVCB 0 svc2\n"
                                   "svc2 SVCB 1 .\n"
                                   "svc2 SVCB 0 .\n"
                                   "web HTTPS 0 svc2\n"
                                   "web2 HTTPS 0 web\n"
                                   "ptr PTR host\n"
                                   "c CNAME host\n"
                                   "*.w NS host\n";

START_TEST(targets)
{
    struct made made = make_try("example.", with_targets);
    ck_assert_int_eq(made.error, RR_OK);
    const struct zone *z = made.zone;
    /* The apex is no delegation: its in-zone name server under a cut is not ours to tell. */
    expect_targets(z, "example.", RRTYPE_NS, "ns1.example.\n-\n");
    expect_targets(
        z, "sub.example.", RRTYPE_NS,
        "ns1.sub.example. required\nns1.example.\n- required\nns.other.example.\n-\n-\n");
    expect_targets(z, "other.example.", RRTYPE_NS, "ns.other.example. required\n");
    expect_targets(z, "m.example.", RRTYPE_MX, "ns1.example.\n-\n-\nhost.example.\n");
    expect_targets(z, "_sip.example.", RRTYPE_SRV, "host.example.\n");
    expect_targets(z, "af.example.", RRTYPE_AFSDB, "host.example.\n");
    expect_targets(z, "kx.example.", RRTYPE_KX, "host.example.\n");
    expect_targets(z, "svc.example.", RRTYPE_SVCB,
                   "host.example.\nsvc.example. self\nsvc2.example. alias\n");
    /* No address there, and an AliasMode to the root is no service. */
    expect_targets(z, "svc2.example.", RRTYPE_SVCB, "- self\n");
    expect_targets(z, "web.example.", RRTYPE_HTTPS, "- alias\n");
    expect_targets(z, "web2.example.", RRTYPE_HTTPS, "web.example. alias\n");
    expect_targets(z, "ptr.example.", RRTYPE_PTR, "");
    expect_targets(z, "c.example.", RRTYPE_CNAME, "");
    expect_targets(z, "*.w.example.", RRTYPE_NS, "host.example.\n");
    make_free(&made);
}
END_TEST

/* The position of a target is where its name stands in the block. */
START_TEST(target_positions)
{
    struct made made = make_try("example.", with_targets);
    const struct rrset *rrset = rrset_of(made.zone, "m.example.", RRTYPE_MX);
    const struct rrset_target *t = rrset_targets(rrset);
    ck_assert_uint_eq(rrset->targets, 4);
    ck_assert_uint_eq(t[0].position, RECORD_HEAD + 2);
    ck_assert_mem_eq(rrset->block + t[0].position, "\3ns1", 4);
    ck_assert_mem_eq(rrset->block + t[3].position, "\4host", 5);
    make_free(&made);
}
END_TEST

/* Compression as RFC 1035 section 4.1.4 allows, against the owner and within the RRset. */
START_TEST(compression_by_hand)
{
    struct zone *zone = make_zone("example.", "@ SOA ns.a.example. host.a.example. 1 2 3 4 5\n"
                                              "@ NS ns.a\n"
                                              "@ NS ns2.a\n"
                                              "@ NS ns.elsewhere.\n"
                                              "ns.a A 192.0.2.1\nns2.a A 192.0.2.1\n"
                                              "x NS x\nx A 192.0.2.1\n"
                                              "s SRV 1 2 3 s\n"
                                              "up MX 1 UP.example.\n"
                                              "*.w MX 1 a.*.w\n");
    /* "ns" "a" -> owner; "ns2" -> "a" of the first; 4 octets each for two pointers. */
    const struct rrset *ns = rrset_of(zone, "example.", RRTYPE_NS);
    ck_assert_uint_eq(ns->block_size, 12 + 3 + 2 + 2 + 12 + 4 + 2 + 12 + 14);
    ck_assert_uint_eq(ns->patches, 2);
    ck_assert_uint_eq(rrset_patch_table(ns)[0], 12 + 5);
    ck_assert_uint_eq(wire_get_u16(ns->block + 17), 0xc000 + 9);
    ck_assert_uint_eq(rrset_patch_table(ns)[1], 19 + 12 + 4);
    ck_assert_uint_eq(wire_get_u16(ns->block + 35), 0xc000 + 256 + 15);
    const struct rrset *soa = rrset_of(zone, "example.", RRTYPE_SOA);
    ck_assert_uint_eq(soa->block_size, 12 + 3 + 2 + 2 + 5 + 2 + 20);
    /* The owner itself is two octets. */
    ck_assert_uint_eq(rrset_of(zone, "x.example.", RRTYPE_NS)->block_size, 12 + 2);
    /* Types younger than RFC 1035 are never compressed; neither is what differs in case. */
    ck_assert_uint_eq(rrset_of(zone, "s.example.", RRTYPE_SRV)->block_size, 12 + 6 + 11);
    ck_assert_uint_eq(rrset_of(zone, "up.example.", RRTYPE_MX)->block_size, 12 + 2 + 3 + 2);
    /* A wildcard's first label may be another one in the answer: a *.w is compressed to "w". */
    const struct rrset *mx = rrset_of(zone, "*.w.example.", RRTYPE_MX);
    ck_assert_uint_eq(mx->block_size, 12 + 2 + 2 + 2 + 2);
    ck_assert_uint_eq(wire_get_u16(mx->block + 18), 0xc000 + 11);
    zone_unref(zone);
}
END_TEST

/* --- RDATA comes out as it went in --- */

static void check_round_trip(const struct slow_zone *slow, const struct zone *zone)
{
    uint8_t *got = malloc(65535);
    for (size_t i = 0; i < slow->count; i++) {
        const struct slow_record *first = &slow->records[i];
        struct key key;
        struct zone_match match;
        key_from_name(first->owner, &key);
        zone_lookup(zone, &key, &match);
        const struct rrset *rrset = node_rrset(match.node, first->type);
        ck_assert_ptr_nonnull(rrset);
        uint8_t owner[NAME_MAX_OCTETS];
        node_name(zone, match.node, owner);
        size_t position = 0, records = 0;
        for (size_t k = 0; k < slow->count; k++) {
            const struct slow_record *r = &slow->records[k];
            if (r->type != first->type || names_compare(r->owner, first->owner) != 0) {
                continue;
            }
            if (k < i) {
                break; /* this RRset was looked at */
            }
            records++;
            if (wire_get_u32(rrset->block + position + 6) != r->ttl ||
                rrset_rdata(rrset, owner, &position, got) != (int)r->size ||
                memcmp(got, r->rdata, r->size) != 0) {
                ck_abort_msg("record %zu of type %u at %s is not what it was", records, r->type,
                             names_text(owner));
            }
        }
        if (records > 0 && (rrset->count != records || position != rrset->block_size)) {
            ck_abort_msg("%zu records of type %u at %s, not %u", records, first->type,
                         names_text(owner), rrset->count);
        }
    }
    free(got);
}

/* A name that ends as others do, in one case or another. */
static void random_rdata_name(struct rng *rng, const struct slow_zone *slow, uint8_t *name)
{
    static const char *const ends[] = {"example.",     "EXAMPLE.",       "w.example.", "W.Example.",
                                       "*.w.example.", "a.*.w.example.", ".",          "other."};
    if (rng_once_in(rng, 3)) {
        const uint8_t *owner = slow->records[rng_below(rng, (unsigned)slow->count)].owner;
        memcpy(name, owner, names_size(owner));
    } else {
        const uint8_t *end = names_wire(ends[rng_below(rng, 8)]);
        names_random(rng, rng_once_in(rng, 4) ? NAMES_OCTETS : NAMES_DENSE, end, 3, name);
    }
    if (rng_once_in(rng, 20)) {
        names_random(rng, NAMES_LONG, names_wire("example."), 1, name);
    }
    if (rng_once_in(rng, 4)) {
        names_shuffle_case(rng, name);
    }
}

static void add_with_names(struct rng *rng, struct slow_zone *slow)
{
    static const uint16_t types[] = {RRTYPE_NS,    RRTYPE_MD,    RRTYPE_MF,  RRTYPE_MB, RRTYPE_MG,
                                     RRTYPE_MR,    RRTYPE_CNAME, RRTYPE_PTR, RRTYPE_MX, RRTYPE_MX,
                                     RRTYPE_MINFO, RRTYPE_RP,    RRTYPE_SRV, RRTYPE_NS};
    static const char *const owners[] = {"example.",       "w.example.",
                                         "*.w.example.",   "Mixed.Case.Example.",
                                         "x.*.w.Example.", "*.*.w.example."};
    uint16_t type = types[rng_below(rng, sizeof types / sizeof types[0])];
    uint8_t rdata[6 + 2 * NAME_MAX_OCTETS];
    size_t size = type == RRTYPE_MX ? 2 : type == RRTYPE_SRV ? 6 : 0;
    rng_fill(rng, rdata, size);
    for (unsigned names = type == RRTYPE_MINFO || type == RRTYPE_RP ? 2 : 1; names > 0; names--) {
        random_rdata_name(rng, slow, rdata + size);
        size += names_size(rdata + size);
    }
    slow_add(slow, names_wire(owners[rng_below(rng, 6)]), type, 60, rdata, size);
}

START_TEST(round_trip_names)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 60 / UNIT_SLOWER + 1; round++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire("example."));
        for (unsigned n = rng_below(&rng, round % 10 == 0 ? 2000 : 200); n > 0; n--) {
            add_with_names(&rng, &slow);
        }
        struct zone *zone = make_built(slow_records(&slow));
        check_round_trip(&slow, zone);
        zone_unref(zone);
        slow_free(&slow);
    }
}
END_TEST

START_TEST(round_trip_any)
{
    static const enum names_kind kinds[] = {NAMES_DENSE, NAMES_HOST, NAMES_OCTETS, NAMES_LONG};
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 120 / UNIT_SLOWER + 1; round++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire(round % 3 == 0 ? "." : "example."));
        slow_random(&rng, &slow, kinds[round % 4], 100);
        struct zone *zone = make_built(slow_records(&slow));
        check_round_trip(&slow, zone);
        zone_unref(zone);
        slow_free(&slow);
    }
}
END_TEST

START_TEST(round_trip_soa)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 300; round++) {
        uint8_t rdata[2 * NAME_MAX_OCTETS + 20], got[2 * NAME_MAX_OCTETS + 20];
        struct slow_zone slow;
        slow_init(&slow, names_wire("W.example."));
        random_rdata_name(&rng, &slow, rdata);
        size_t size = names_size(rdata);
        random_rdata_name(&rng, &slow, rdata + size);
        size += names_size(rdata + size);
        rng_fill(&rng, rdata + size, 20);
        size += 20;
        slow_free(&slow);
        struct records *records = records_new(names_wire("W.example."));
        make_record(records, names_wire("w.example."), RRTYPE_SOA, 60, rdata, size, 0, 1);
        struct zone *zone = make_built(records);
        size_t position = 0;
        ck_assert_int_eq(rrset_rdata(rrset_of(zone, "w.example.", RRTYPE_SOA),
                                     names_wire("W.example."), &position, got),
                         (int)size);
        ck_assert_mem_eq(got, rdata, size);
        zone_unref(zone);
    }
}
END_TEST

/* A name of 255 octets, and what a referral at such a name needs. */
START_TEST(longest_owner)
{
    struct rng rng = rng_start();
    struct slow_zone slow;
    uint8_t name[NAME_MAX_OCTETS];
    slow_init(&slow, names_wire("example."));
    names_random(&rng, NAMES_LONG, names_wire("example."), 1, name);
    ck_assert_uint_eq(names_size(name), 255);
    slow_add(&slow, name, RRTYPE_NS, 60, name, 255);
    slow_add(&slow, name, RRTYPE_MX, 60, "\0\1\1x", 5);
    struct zone *zone = make_built(slow_records(&slow));
    check_round_trip(&slow, zone);
    zone_unref(zone);
    slow_free(&slow);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("zone_build");
    tcase_add_test(unit.tests, soa_missing);
    tcase_add_test(unit.tests, soa_several);
    tcase_add_test(unit.tests, soa_elsewhere);
    tcase_add_test(unit.tests, cname_beside_data);
    tcase_add_test(unit.tests, cname_or_dname_several);
    tcase_add_test(unit.tests, all_faults_are_told);
    tcase_add_test(unit.tests, rrset_too_large);
    tcase_add_test(unit.tests, faults_of_the_scanner_count);
    tcase_add_test(unit.tests, owner_outside);
    tcase_add_test(unit.tests, ns_missing);
    tcase_add_test(unit.tests, duplicates);
    tcase_add_test(unit.tests, ttls_differ);
    tcase_add_test(unit.tests, ttls_of_signatures);
    tcase_add_test(unit.tests, targets_that_are_cnames);
    tcase_add_test(unit.tests, glue_missing);
    tcase_add_test(unit.tests, occluded);
    tcase_add_test(unit.tests, duplicates_in_a_large_set);
    tcase_add_test(unit.tests, duplicates_on_one_line);
    tcase_add_test(unit.tests, order_is_kept);
    tcase_add_test(unit.tests, owner_of_megabytes);
    tcase_add_test(unit.tests, head);
    tcase_add_test(unit.tests, negative_ttl);
    tcase_add_test(unit.tests, owner_comes_again);
    tcase_add_test(unit.tests, targets);
    tcase_add_test(unit.tests, target_positions);
    tcase_add_test(unit.tests, compression_by_hand);
    tcase_add_test(unit.tests, round_trip_names);
    tcase_add_test(unit.tests, round_trip_any);
    tcase_add_test(unit.tests, round_trip_soa);
    tcase_add_test(unit.tests, longest_owner);
    return unit_end(&unit);
}

/*
 * Type bitmaps against ldns, successors of names and the chain against the letter of the RFCs.
 */
#include "dnssec/denial.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "dns/rrtype.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"

/* ---- Successors ---- */

static void expect_successor(const char *name, const char *expected)
{
    uint8_t next[NAME_MAX_OCTETS];
    denial_successor(names_wire(name), names_wire("example."), next);
    ck_assert_str_eq(names_text(next), expected);
}

START_TEST(next_is_a_zero_label)
{
    expect_successor("example.", "\\000.example.");
    expect_successor("wWw.eXample.", "\\000.www.example.");
}
END_TEST

#define OCTETS_50 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
#define LABEL_63 OCTETS_50 "fffffffffffff"

/* 3 * 64 + 9 = 201 octets of "LABEL_63 three times, example."; a label of n makes 202 + n. */
#define LONG LABEL_63 "." LABEL_63 "." LABEL_63 ".example."

START_TEST(no_room_for_a_label)
{
    /* 253 octets: just room. 254: one octet more in the label. 255: a higher octet. */
    expect_successor(OCTETS_50 "a." LONG, "\\000." OCTETS_50 "a." LONG);
    expect_successor(OCTETS_50 "aa." LONG, OCTETS_50 "aa\\000." LONG);
    expect_successor(OCTETS_50 "aaa." LONG, OCTETS_50 "aab." LONG);
    expect_successor(OCTETS_50 "aa\\255." LONG, OCTETS_50 "ab." LONG);
    expect_successor(OCTETS_50 "aa\\064." LONG, OCTETS_50 "aa[." LONG);
}
END_TEST

START_TEST(highest_label_of_all)
{
    char name[NAME_MAX_TEXT] = "", label[63 * 4 + 1] = "";
    for (unsigned i = 0; i < 53; i++) {
        strcat(label, "\\255");
    }
    snprintf(name, sizeof name, "%s.%s", label, LONG);
    /* So it is the ancestor's turn, whose label is full: its last octet is raised. */
    expect_successor(name, OCTETS_50 "ffffffffffffg." LABEL_63 "." LABEL_63 ".example.");
}
END_TEST

/* Whatever comes after a name comes after its successor too, or is it. */
START_TEST(nothing_between)
{
    struct rng rng = rng_start();
    static const enum names_kind kinds[] = {NAMES_DENSE, NAMES_HOST, NAMES_OCTETS, NAMES_LONG,
                                            NAMES_MANY};
    const uint8_t *apex = names_wire("a.");
    for (unsigned i = 0; i < 20000 / UNIT_SLOWER; i++) {
        uint8_t name[NAME_MAX_OCTETS], next[NAME_MAX_OCTETS], other[NAME_MAX_OCTETS];
        names_random(&rng, kinds[rng_below(&rng, 5)], apex, 4, name);
        denial_successor(name, apex, next);
        ck_assert_uint_eq(name_check(next, NAME_MAX_OCTETS), name_size(next));
        ck_assert(names_under(next, apex));
        bool last = names_compare(next, apex) == 0;
        ck_assert(last || names_compare(name, next) < 0);
        /* Names that are near: below it, with a longer or another last label. */
        for (unsigned n = 0; n < 20; n++) {
            memcpy(other, name, sizeof other);
            uint8_t octet = (uint8_t)rng_below(&rng, 256);
            if (rng_once_in(&rng, 2) || !names_prepend(other, &octet, 1)) {
                unsigned skip = rng_below(&rng, names_labels(name));
                uint8_t *label = (uint8_t *)(uintptr_t)name_skip(other, skip);
                if (*label > 0) {
                    label[1 + rng_below(&rng, *label)] = octet;
                }
                memmove(other, label, name_size(label));
            }
            if (names_under(other, apex)) {
                ck_assert_msg(names_compare(other, name) <= 0 ||
                                  (!last && names_compare(other, next) >= 0),
                              "%s is between %s and %s", names_text(other), names_text(name),
                              names_text(next));
            }
        }
    }
}
END_TEST

/* ---- RRsets ---- */

static const struct node *node_of(const struct zone *zone, const char *name)
{
    struct key key;
    struct zone_match match;
    key_from_name(names_wire(name), &key);
    zone_lookup(zone, &key, &match);
    return match.node;
}

/* The NSEC as ldns prints it, without what comes before the next name. */
static const char *nsec_text(const struct denial_types *types, const char *next)
{
    static char text[4096];
    void *memory = malloc(denial_room(types));
    const struct rrset *rrset = denial_nsec(types, 300, names_wire(next), memory);
    ck_assert_uint_eq(rrset->type, RRTYPE_NSEC);
    ck_assert_uint_eq(rrset_ttl(rrset), 300);
    ck_assert_uint_le(sizeof *rrset + rrset->block_size, denial_room(types));
    uint8_t wire[4096] = {0}; /* a root owner instead of the pointer */
    memcpy(wire + 1, rrset->block + 2, rrset->block_size - 2);
    ldns_rr *rr = NULL;
    size_t pos = 0;
    ck_assert_int_eq(ldns_wire2rr(&rr, wire, rrset->block_size - 1, &pos, LDNS_SECTION_ANSWER),
                     LDNS_STATUS_OK);
    ck_assert_uint_eq(pos, rrset->block_size - 1);
    char *whole = ldns_rr2str(rr);
    const char *rdata = strstr(whole, "NSEC\t") + 5;
    snprintf(text, sizeof text, "%.*s", (int)strcspn(rdata, "\n"), rdata);
    size_t end = strlen(text);
    while (end > 0 && text[end - 1] == ' ') {
        text[--end] = '\0';
    }
    free(whole);
    ldns_rr_free(rr);
    free(memory);
    return text;
}

static struct zone *sample(void)
{
    return make_zone("example.", MAKE_APEX "@ CAA 0 issue \"x\"\n"
                                           "a A 192.0.2.1\n"
                                           "a TYPE65280 \\# 1 00\n"
                                           "b.ent A 192.0.2.1\n"
                                           "cut NS ns.cut\n"
                                           "ns.cut A 192.0.2.1\n"
                                           "signed NS ns.elsewhere.\n"
                                           "signed DS 1 13 2 "
                                           "00112233445566778899aabbccddeeff"
                                           "00112233445566778899aabbccddeeff\n"
                                           "dname DNAME elsewhere.\n");
}

START_TEST(types_of_nodes)
{
    struct zone *zone = sample();
    struct denial_types types = {.node = node_of(zone, "example.")};
    ck_assert_str_eq(nsec_text(&types, "a.example."), "a.example. NS SOA RRSIG NSEC CAA");
    types.node = node_of(zone, "a.example.");
    ck_assert_str_eq(nsec_text(&types, "b.example."), "b.example. A RRSIG NSEC TYPE65280");
    types.node = node_of(zone, "cut.example.");
    ck_assert_str_eq(nsec_text(&types, "."), ". NS RRSIG NSEC");
    types.node = node_of(zone, "signed.example.");
    ck_assert_str_eq(nsec_text(&types, "."), ". NS DS RRSIG NSEC");
    types.node = node_of(zone, "ent.example.");
    ck_assert_str_eq(nsec_text(&types, "."), ". RRSIG NSEC");
    types = (struct denial_types){.absent = true};
    ck_assert_str_eq(nsec_text(&types, "."), ". RRSIG NSEC TYPE128");
    zone_unref(zone);
}
END_TEST

START_TEST(types_of_the_overlay)
{
    struct zone *zone = sample();
    struct rrset dnskey = {.type = RRTYPE_DNSKEY}, cds = {.type = RRTYPE_CDS};
    const struct rrset *sets[] = {&dnskey, &cds};
    struct zone_overlay overlay = {2, sets};
    struct denial_types types = {.node = node_of(zone, "example."), .overlay = &overlay};
    ck_assert_str_eq(nsec_text(&types, "."), ". NS SOA RRSIG NSEC DNSKEY CDS CAA");
    types.node = node_of(zone, "a.example.");
    ck_assert_str_eq(nsec_text(&types, "."), ". A RRSIG NSEC TYPE65280");
    zone_unref(zone);
}
END_TEST

/* A signed file that its apex's RRSIG was cut out of. */
START_TEST(types_the_overlay_hides)
{
    static const char text[] = MAKE_APEX "@ NSEC a A\n@ NSEC3PARAM 1 0 5 ab\n"
                                         "@ DNSKEY 256 3 13 AAAA\n@ CDS 0 0 0 00\n"
                                         "@ CDNSKEY 0 3 0 AA==\n"
                                         "a NSEC3 1 0 0 - 0123456789abcdefghijklmnopqrstuv A\na NSEC b A\na A 192.0.2.1\n"
                                         "a DNSKEY 256 3 13 AAAA\n";
    struct zone *zone = make_zone("example.", text);
    struct rrset dnskey = {.type = RRTYPE_DNSKEY};
    const struct rrset *sets[] = {&dnskey};
    struct zone_overlay overlay = {1, sets};
    struct denial_types types = {.node = node_of(zone, "example."), .overlay = &overlay};
    ck_assert_str_eq(nsec_text(&types, "."), ". NS SOA RRSIG NSEC DNSKEY");
    types.node = node_of(zone, "a.example.");
    ck_assert_str_eq(nsec_text(&types, "."), ". A RRSIG NSEC DNSKEY");
    zone_unref(zone);
}
END_TEST

START_TEST(types_for_nsec3)
{
    struct zone *zone = sample();
    uint8_t bitmap[1024];
    struct denial_types types = {.node = node_of(zone, "cut.example."), .nsec3 = true};
    ck_assert_uint_eq(denial_bitmap(&types, bitmap), 3); /* NS alone */
    ck_assert_mem_eq(bitmap, "\0\1\x20", 3);
    types.node = node_of(zone, "ent.example.");
    ck_assert_uint_eq(denial_bitmap(&types, bitmap), 0);
    types.node = node_of(zone, "signed.example.");
    ck_assert_uint_eq(denial_bitmap(&types, bitmap), 8); /* NS DS RRSIG */
    ck_assert_mem_eq(bitmap, "\0\6\x20\0\0\0\0\x12", 8);
    zone_unref(zone);
}
END_TEST

/* Every window, the first and the last type of it, in one node. */
START_TEST(all_windows)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX);
    const uint8_t *owner = names_wire("all.example.");
    for (unsigned type = 1; type < 65536; type++) {
        unsigned low = type & 0xff;
        if ((low == 0 || low == 255) && !rrtype_is_meta((uint16_t)type) && type >= 300) {
            make_record(records, owner, (uint16_t)type, 300, "x", 1, 0, 1);
        }
    }
    struct zone *zone = make_built(records);
    struct denial_types types = {.node = node_of(zone, "all.example.")};
    uint8_t *bitmap = malloc(denial_room(&types));
    /* Window 0 has RRSIG and NSEC: 6 octets; each other window all 32. */
    ck_assert_uint_eq(denial_bitmap(&types, bitmap), 2 + 6 + 254 * 34 + 34);
    free(bitmap);
    zone_unref(zone);
}
END_TEST

/* ---- The chain ---- */

/* Members in the order of a walk over all nodes. */
static void check_chain(const struct zone *zone)
{
    const struct node *before = NULL, *first = zone_first(zone);
    for (const struct node *node = first; node != NULL; node = zone_next(zone, node)) {
        if ((node->flags & NODE_OCCLUDED) != 0 || node->rrsets == 0) {
            ck_assert(!denial_in_chain(node));
            continue;
        }
        ck_assert(denial_in_chain(node));
        if (before != NULL) {
            ck_assert_ptr_eq(denial_next(zone, before), node);
        }
        before = node;
    }
    ck_assert_ptr_eq(denial_next(zone, before), first);
}

START_TEST(chain_passes_over_what_is_hidden)
{
    struct zone *zone = sample();
    check_chain(zone);
    zone_unref(zone);
    zone = make_zone("example.", MAKE_APEX "z NS a.z\n"
                                           "a.z A 192.0.2.1\n"
                                           "\\255.\\255.z A 192.0.2.1\n"
                                           "d DNAME x.\n"
                                           "\\255\\255\\255.d A 192.0.2.1\n"
                                           "e A 192.0.2.1\n");
    check_chain(zone);
    zone_unref(zone);
    zone = make_zone("example.", MAKE_APEX);
    check_chain(zone);
    zone_unref(zone);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("denial");
    tcase_add_test(unit.tests, next_is_a_zero_label);
    tcase_add_test(unit.tests, no_room_for_a_label);
    tcase_add_test(unit.tests, highest_label_of_all);
    tcase_add_test(unit.tests, nothing_between);
    tcase_add_test(unit.tests, types_of_nodes);
    tcase_add_test(unit.tests, types_of_the_overlay);
    tcase_add_test(unit.tests, types_the_overlay_hides);
    tcase_add_test(unit.tests, types_for_nsec3);
    tcase_add_test(unit.tests, all_windows);
    tcase_add_test(unit.tests, chain_passes_over_what_is_hidden);
    return unit_end(&unit);
}

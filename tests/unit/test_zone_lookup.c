/*
 * Lookups in real zones against the slow zone: names made of few labels, so that empty
 * non-terminals, wildcards, cuts and DNAMEs stand on and under each other, and names at every
 * limit. Every zone is also moved to another address and asked again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/rrtype.h"
#include "make_zone.h"
#include "names.h"
#include "slow_zone.h"
#include "unit.h"
#include "zone/zone.h"

/* The node's name, or "none". */
static const char *told(const struct zone *zone, const struct node *node)
{
    if (node == NULL) {
        return "none";
    }
    uint8_t name[NAME_MAX_OCTETS];
    node_name(zone, node, name);
    return names_text(name);
}

static void check_is(const struct zone *zone, const struct node *node, bool there,
                     const uint8_t *expected, const uint8_t *asked, const char *what)
{
    uint8_t name[NAME_MAX_OCTETS];
    bool right = (node != NULL) == there;
    if (right && there) {
        right = node_name(zone, node, name) == names_size(expected) &&
                names_compare(name, expected) == 0;
    }
    if (!right) { /* an assertion that holds costs a system call */
        ck_abort_msg("%s of %s: %s, should be %s", what, names_text(asked), told(zone, node),
                     there ? names_text(expected) : "none");
    }
}

/* The name before, by going through all of them; the last one for what is before the apex. */
static const uint8_t *slow_before(const uint8_t (*names)[NAME_MAX_OCTETS], size_t count,
                                  const uint8_t *name)
{
    const uint8_t *before = names[count - 1];
    for (size_t i = 0; i < count && names_compare(names[i], name) < 0; i++) {
        before = names[i];
    }
    return before;
}

struct pair {
    const struct slow_zone *slow;
    const struct zone *zone;
    const uint8_t (*names)[NAME_MAX_OCTETS];
    size_t count;
};

static void check_name(const struct pair *p, const uint8_t *name)
{
    struct slow_match slow;
    struct zone_match match;
    struct key key;
    slow_lookup(p->slow, name, &slow);
    key_from_name(name, &key);
    memset(&match, 0xff, sizeof match);
    zone_lookup(p->zone, &key, &match);
    check_is(p->zone, match.node, slow.exact, name, name, "node");
    check_is(p->zone, match.encloser, true, slow.encloser, name, "encloser");
    check_is(p->zone, match.cut, slow.has_cut, slow.cut, name, "cut");
    check_is(p->zone, match.dname, slow.has_dname, slow.dname, name, "DNAME");
    check_is(p->zone, match.wildcard, slow.has_wildcard, slow.wildcard, name, "wildcard");
    check_is(p->zone, zone_before(p->zone, &key), true, slow_before(p->names, p->count, name), name,
             "name before");
}

/* Names near those of the zone: themselves, other case, children, siblings, cousins. */
static void check_lookups(struct rng *rng, const struct pair *p, enum names_kind kind)
{
    for (size_t i = 0; i < p->count; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        memcpy(name, p->names[i], sizeof name);
        check_name(p, name);
        names_shuffle_case(rng, name);
        check_name(p, name);
        for (unsigned n = 0; n < 3; n++) {
            uint8_t below[NAME_MAX_OCTETS];
            names_random(rng, kind, name, 2, below);
            check_name(p, below);
        }
        if (names_compare(name, p->slow->apex) != 0) {
            uint8_t sibling[NAME_MAX_OCTETS];
            names_random(rng, kind, name + 1 + name[0], 2, sibling);
            check_name(p, sibling);
            for (unsigned end = 0; end < 2; end++) { /* the last octet of the first label changed */
                memcpy(sibling, name, sizeof name);
                sibling[name[0]] = (uint8_t)(sibling[name[0]] + (end == 0 ? 1 : -1));
                check_name(p, sibling);
            }
        }
    }
    for (unsigned n = 0; n < 50; n++) {
        uint8_t name[NAME_MAX_OCTETS];
        names_random(rng, kind, p->slow->apex, 6, name);
        check_name(p, name);
    }
}

static uint8_t expected_flags(const struct slow_zone *slow, const uint8_t *name, bool cased)
{
    struct slow_match match;
    slow_lookup(slow, name, &match);
    bool apex = names_compare(name, slow->apex) == 0;
    bool at_cut = match.has_cut && names_compare(match.cut, name) == 0;
    bool star = !apex && name[0] == 1 && name[1] == '*';
    return (uint8_t)((at_cut ? NODE_DELEGATION : 0) |
                     ((match.has_cut && !at_cut) || match.has_dname ? NODE_OCCLUDED : 0) |
                     (slow_owns(slow, name, RRTYPE_DNAME) ? NODE_DNAME : 0) |
                     (slow_owns(slow, name, RRTYPE_CNAME) ? NODE_CNAME : 0) |
                     (star ? NODE_WILDCARD : 0) | (apex ? NODE_APEX : 0) | (cased ? NODE_CASE : 0));
}

/* The owner of the name's first record, or NULL for an empty non-terminal. */
static const uint8_t *first_owner(const struct slow_zone *slow, const uint8_t *name)
{
    for (size_t i = 0; i < slow->count; i++) {
        if (names_compare(slow->records[i].owner, name) == 0) {
            return slow->records[i].owner;
        }
    }
    return NULL;
}

static bool has_upper(const uint8_t *name, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (name[i] >= 'A' && name[i] <= 'Z') {
            return true;
        }
    }
    return false;
}

static void check_node(const struct pair *p, const struct node *node, const uint8_t *name)
{
    const char *text = names_text(name);
    uint8_t got[NAME_MAX_OCTETS], star[NAME_MAX_OCTETS];
    size_t size = names_size(name), relative = size - names_size(p->slow->apex);
    ck_assert_uint_eq(node_name(p->zone, node, got), size);
    ck_assert_uint_eq(node->name_size, size);
    const uint8_t *owner = first_owner(p->slow, name);
    bool cased = owner != NULL && has_upper(owner, relative);
    if (owner != NULL) {
        ck_assert_msg(memcmp(got, owner, relative) == 0, "%s has become %s", names_text(owner),
                      names_text(got));
        ck_assert_mem_eq(got + relative, p->slow->apex, size - relative);
    } else {
        ck_assert_int_eq(names_compare(got, name), 0);
        ck_assert_uint_eq(node->rrsets, 0);
    }
    uint8_t flags = expected_flags(p->slow, name, cased);
    ck_assert_msg(node->flags == flags, "flags of %s: %x, should be %x", text, node->flags, flags);

    bool apex = relative == 0;
    check_is(p->zone, zone_node(p->zone, node->parent), !apex, name + 1 + name[0], name, "parent");
    memcpy(star, name, size);
    bool has_star = names_prepend(star, "*", 1) && slow_exists(p->slow, star);
    check_is(p->zone, zone_node(p->zone, node->star), has_star, star, name, "star");
}

/* All nodes, in order, and nothing else; the head's numbers. */
static void check_nodes(const struct pair *p)
{
    const struct node *node = zone_first(p->zone);
    for (size_t i = 0; i < p->count; i++) {
        ck_assert_msg(node != NULL, "%s is missing", names_text(p->names[i]));
        check_node(p, node, p->names[i]);
        node = zone_next(p->zone, node);
    }
    ck_assert_ptr_null(node);
    ck_assert_uint_eq(p->zone->head->nodes, p->count);
    ck_assert_uint_eq(p->zone->head->records, p->slow->count);
}

/* The same image at another address; the first one's memory is gone. */
static struct zone *moved(struct zone *zone)
{
    struct zone *copy = calloc(1, sizeof *copy);
    *copy = *zone;
    copy->arena.base = malloc(zone->arena.used);
    copy->arena.mapped = false;
    copy->arena.capacity = zone->arena.used;
    memcpy(copy->arena.base, zone->arena.base, zone->arena.used);
    ck_assert_ptr_ne(copy->arena.base, zone->arena.base);
    zone_settle(copy);
    zone_unref(zone);
    return copy;
}

static void check_zone(struct rng *rng, const struct slow_zone *slow, enum names_kind kind)
{
    struct zone *zone = make_built(slow_records(slow));
    uint8_t(*names)[NAME_MAX_OCTETS];
    size_t count = slow_names(slow, &names);
    for (int turn = 0; turn < 2; turn++) {
        ck_assert_uint_eq(zone->head->magic, ZONE_IMAGE_MAGIC);
        struct pair p = {slow, zone, (const uint8_t(*)[NAME_MAX_OCTETS])names, count};
        check_nodes(&p);
        check_lookups(rng, &p, kind);
        zone = turn == 0 ? moved(zone) : zone;
    }
    free(names);
    zone_unref(zone);
}

static void check_random(enum names_kind kind, unsigned rounds, unsigned records)
{
    static const char *const apexes[] = {"example.", ".", "a.b.", "Sub.Example.", "*."};
    struct rng rng = rng_start();
    for (unsigned i = 0; i < rounds / UNIT_SLOWER + 1; i++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire(apexes[rng_below(&rng, 5)]));
        slow_random(&rng, &slow, kind, rng_below(&rng, records));
        check_zone(&rng, &slow, kind);
        slow_free(&slow);
    }
}

START_TEST(dense)
{
    check_random(NAMES_DENSE, 300, 40);
}
END_TEST

START_TEST(dense_large)
{
    check_random(NAMES_DENSE, 8, 400);
}
END_TEST

START_TEST(host_names)
{
    check_random(NAMES_HOST, 60, 60);
}
END_TEST

START_TEST(all_octets)
{
    check_random(NAMES_OCTETS, 100, 60);
}
END_TEST

START_TEST(longest_names)
{
    check_random(NAMES_LONG, 20, 20);
}
END_TEST

START_TEST(most_labels)
{
    check_random(NAMES_MANY, 4, 3);
}
END_TEST

START_TEST(apex_alone)
{
    struct rng rng = rng_start();
    static const char *const apexes[] = {".", "example.", "*.example.", "\\000.\\255."};
    for (size_t i = 0; i < sizeof apexes / sizeof apexes[0]; i++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire(apexes[i]));
        check_zone(&rng, &slow, NAMES_DENSE);
        slow_free(&slow);
    }
}
END_TEST

/* A few by hand, so that a mistake that the slow zone shares has somewhere to show. */
static const char by_hand[] = MAKE_APEX "ent.a A 192.0.2.1\n"
                                        "*.w TXT wild\n"
                                        "x.*.w TXT literal\n"
                                        "b.ent.w TXT deep\n"
                                        "cut NS ns.cut\n"
                                        "ns.cut A 192.0.2.2\n"
                                        "*.cut TXT hidden\n"
                                        "sub.cut NS ns.elsewhere.\n"
                                        "d DNAME target.elsewhere.\n"
                                        "x.d TXT hidden\n"
                                        "cut.d NS ns.elsewhere.\n"
                                        "*.star NS ns.elsewhere.\n";

static void check_by_hand(const struct zone *zone, const char *name, const char *expected)
{
    struct key key;
    struct zone_match m;
    char text[5 * NAME_MAX_TEXT];
    key_from_name(names_wire(name), &key);
    zone_lookup(zone, &key, &m);
    snprintf(text, sizeof text, "%s, encloser %s, cut %s, dname %s, wildcard %s",
             told(zone, m.node), told(zone, m.encloser), told(zone, m.cut), told(zone, m.dname),
             told(zone, m.wildcard));
    ck_assert_str_eq(text, expected);
}

START_TEST(matches_by_hand)
{
    struct zone *z = make_zone("example.", by_hand);
    static const char *const cases[][2] = {
        {"example.", "example., encloser example., cut none, dname none, wildcard none"},
        {"a.example.", "a.example., encloser a.example., cut none, dname none, wildcard none"},
        {"b.a.example.", "none, encloser a.example., cut none, dname none, wildcard none"},
        {"q.w.example.", "none, encloser w.example., cut none, dname none, wildcard *.w.example."},
        {"r.q.w.example.",
         "none, encloser w.example., cut none, dname none, wildcard *.w.example."},
        {"ent.w.example.",
         "ent.w.example., encloser ent.w.example., cut none, dname none, wildcard none"},
        {"q.ent.w.example.", "none, encloser ent.w.example., cut none, dname none, wildcard none"},
        {"*.w.example.",
         "*.w.example., encloser *.w.example., cut none, dname none, wildcard none"},
        {"y.*.w.example.", "none, encloser *.w.example., cut none, dname none, wildcard none"},
        {"cut.example.",
         "cut.example., encloser cut.example., cut cut.example., dname none, wildcard none"},
        {"q.cut.example.",
         "none, encloser cut.example., cut cut.example., dname none, wildcard none"},
        {"x.sub.cut.example.",
         "none, encloser sub.cut.example., cut cut.example., dname none, wildcard none"},
        {"d.example.", "d.example., encloser d.example., cut none, dname none, wildcard none"},
        {"q.d.example.", "none, encloser d.example., cut none, dname d.example., wildcard none"},
        {"x.d.example.",
         "x.d.example., encloser x.d.example., cut none, dname d.example., wildcard none"},
        {"y.cut.d.example.",
         "none, encloser cut.d.example., cut none, dname d.example., wildcard none"},
        {"q.star.example.",
         "none, encloser star.example., cut none, dname none, wildcard *.star.example."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_by_hand(z, cases[i][0], cases[i][1]);
    }
    zone_unref(z);
}
END_TEST

START_TEST(before_by_hand)
{
    struct zone *z = make_zone("example.", MAKE_APEX "a A 192.0.2.1\n"
                                                     "yljkjljk.a A 192.0.2.1\n"
                                                     "Z.a A 192.0.2.1\n"
                                                     "zABC.a A 192.0.2.1\n"
                                                     "z A 192.0.2.1\n"
                                                     "\\001.z A 192.0.2.1\n"
                                                     "*.z A 192.0.2.1\n"
                                                     "\\200.z A 192.0.2.1\n");
    static const char *const cases[][2] = {
        {"example.", "\\200.z.example."},
        {"0.example.", "example."},
        {"a.example.", "example."},
        {"yljkjljk.a.example.", "a.example."},
        {"z.a.example.", "yljkjljk.a.example."},
        {"zb.a.example.", "zABC.a.example."},
        {"z.example.", "zABC.a.example."},
        {"\\000.z.example.", "z.example."},
        {"\\201.z.example.", "\\200.z.example."},
        {"zz.example.", "\\200.z.example."},
        {"+.z.example.", "*.z.example."},
        {")\\255.z.example.", "\\001.z.example."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct key key;
        key_from_name(names_wire(cases[i][0]), &key);
        ck_assert_str_eq(told(z, zone_before(z, &key)), cases[i][1]);
    }
    zone_unref(z);
}
END_TEST

START_TEST(rrsets_of_a_node)
{
    struct zone *z = make_zone("example.", MAKE_APEX "a TXT one\na A 192.0.2.1\na A 192.0.2.2\n"
                                                     "a TYPE65535 \\# 1 00\na MX 1 a\n");
    struct key key;
    struct zone_match m;
    key_from_name(names_wire("a.example."), &key);
    zone_lookup(z, &key, &m);
    static const uint16_t types[] = {RRTYPE_A, RRTYPE_MX, RRTYPE_TXT, 65535};
    ck_assert_uint_eq(m.node->rrsets, 4);
    const struct rrset *rrset = node_first_rrset(m.node);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(rrset->type, types[i]);
        ck_assert_ptr_eq(node_rrset(m.node, types[i]), rrset);
        rrset = rrset_next(rrset);
    }
    ck_assert_ptr_eq(rrset, (const uint8_t *)m.node + m.node->size);
    ck_assert_uint_eq(node_rrset(m.node, RRTYPE_A)->count, 2);
    ck_assert_ptr_null(node_rrset(m.node, 0));
    ck_assert_ptr_null(node_rrset(m.node, RRTYPE_NS));
    ck_assert_ptr_null(node_rrset(m.node, RRTYPE_AAAA));
    ck_assert_ptr_null(node_rrset(m.node, 65534));
    zone_unref(z);
}
END_TEST

START_TEST(references)
{
    struct zone *zone = make_zone("example.", MAKE_APEX);
    ck_assert_uint_eq(zone->references, 1);
    ck_assert_ptr_eq(zone_ref(zone), zone);
    ck_assert_uint_eq(zone->references, 2);
    zone_unref(zone);
    ck_assert_uint_eq(zone->references, 1);
    ck_assert_uint_eq(zone->head->serial, 1);
    zone_unref(zone);
    zone_unref(NULL);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("zone_lookup");
    tcase_add_test(unit.tests, dense);
    tcase_add_test(unit.tests, dense_large);
    tcase_add_test(unit.tests, host_names);
    tcase_add_test(unit.tests, all_octets);
    tcase_add_test(unit.tests, longest_names);
    tcase_add_test(unit.tests, most_labels);
    tcase_add_test(unit.tests, apex_alone);
    tcase_add_test(unit.tests, matches_by_hand);
    tcase_add_test(unit.tests, before_by_hand);
    tcase_add_test(unit.tests, rrsets_of_a_node);
    tcase_add_test(unit.tests, references);
    return unit_end(&unit);
}

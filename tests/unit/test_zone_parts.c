/*
 * Zones built in parts by several threads: octet by octet what one part and one thread make, for
 * records in any order, split anywhere; and the same faults and warnings in the same order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/rrtype.h"
#include "make_zone.h"
#include "slow_zone.h"
#include "unit.h"
#include "zone/records_list.h"
#include "zone/zone_build.h"

static struct made build(struct records *records, size_t threads)
{
    struct made made = {0};
    made.error = zone_build(records, threads, &made.diag, &made.zone);
    ck_assert_uint_eq(records_count(records), 0);
    records_free(records);
    return made;
}

static void add(struct records *records, const struct slow_zone *slow, size_t i)
{
    const struct slow_record *r = &slow->records[i];
    make_record(records, r->owner, r->type, r->ttl, r->rdata, r->size, 0, (uint32_t)i + 1);
}

/* Names to split by: of the zone, and some that are only under its apex. */
static void split(struct rng *rng, struct records *records, const struct slow_zone *slow,
                  enum names_kind kind)
{
    struct key samples[64];
    size_t count = rng_below(rng, 65);
    for (size_t i = 0; i < count; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        memcpy(name, slow->records[rng_below(rng, (unsigned)slow->count)].owner, sizeof name);
        if (rng_once_in(rng, 8)) {
            names_random(rng, kind, slow->apex, 5, name);
        }
        key_from_name(name, &samples[i]);
    }
    ck_assert_int_eq(records_split(records, samples, count, rng_below(rng, 40)), RR_OK);
}

/* The zone's records split into parts, read as several pieces. */
static struct records *in_parts(struct rng *rng, const struct slow_zone *slow, enum names_kind kind)
{
    struct records *records = records_new(slow->apex);
    records_file(records, "slow");
    split(rng, records, slow, kind);
    size_t pieces = 1 + rng_below(rng, 4);
    for (size_t piece = 0; piece < pieces; piece++) {
        struct records *some = records_like(records);
        for (size_t i = piece * slow->count / pieces; i < (piece + 1) * slow->count / pieces; i++) {
            add(some, slow, i);
        }
        records_join(records, some);
        records_free(some);
    }
    ck_assert_uint_eq(records_count(records), slow->count);
    return records;
}

static void check_same(const struct made *whole, const struct made *parts)
{
    char *told = strdup(make_told(&whole->diag));
    ck_assert_str_eq(make_told(&parts->diag), told);
    free(told);
    ck_assert_int_eq(parts->error, whole->error);
    if (whole->error == RR_OK) {
        ck_assert_uint_eq(parts->zone->arena.used, whole->zone->arena.used);
        /* The first unit is nobody's. */
        ck_assert(memcmp(parts->zone->arena.base + ARENA_UNIT, whole->zone->arena.base + ARENA_UNIT,
                         whole->zone->arena.used - ARENA_UNIT) == 0);
    }
}

static void check_parts(struct rng *rng, const struct slow_zone *slow, enum names_kind kind)
{
    struct made whole = build(slow_records(slow), 1);
    for (unsigned i = 0; i < 4; i++) {
        struct made parts = build(in_parts(rng, slow, kind), 1 + rng_below(rng, 4));
        check_same(&whole, &parts);
        make_free(&parts);
    }
    make_free(&whole);
}

START_TEST(random_zones)
{
    static const enum names_kind kinds[] = {NAMES_DENSE, NAMES_HOST, NAMES_OCTETS, NAMES_LONG,
                                            NAMES_MANY};
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 120 / UNIT_SLOWER + 1; round++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire(round % 3 == 0 ? "." : "example."));
        slow_random(&rng, &slow, kinds[round % 5], 20 + rng_below(&rng, 200));
        check_parts(&rng, &slow, kinds[round % 5]);
        slow_free(&slow);
    }
}
END_TEST

/* All data below one name that is a cut, a DNAME, or nothing: in another part than its apex. */
START_TEST(below_one_name)
{
    static const uint16_t types[] = {RRTYPE_NS, RRTYPE_DNAME, RRTYPE_TXT};
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 36 / UNIT_SLOWER + 1; round++) {
        struct slow_zone slow, below;
        const uint8_t *top = names_wire("one.two.three.example.");
        slow_init(&slow, names_wire("example."));
        slow_init(&below, top);
        slow_random(&rng, &below, NAMES_DENSE, 150);
        if (round % 2 == 0) {
            const uint8_t *owner =
                names_wire(round % 4 == 0 ? "two.three.example." : "three.example.");
            slow_add(&slow, owner, types[round % 3], 60, names_wire("x."), 3);
        }
        for (size_t i = 2; i < below.count; i++) { /* not its SOA and NS */
            const struct slow_record *r = &below.records[i];
            if (names_compare(r->owner, top) != 0) {
                slow_add(&slow, r->owner, r->type, r->ttl, r->rdata, r->size);
            }
        }
        check_parts(&rng, &slow, NAMES_DENSE);
        slow_free(&slow);
        slow_free(&below);
    }
}
END_TEST

/* Parts are in canonical order, whatever they were split by and whatever comes. */
START_TEST(order_of_parts)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 200; round++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire("example."));
        enum names_kind kind = round % 2 == 0 ? NAMES_DENSE : NAMES_OCTETS;
        slow_random(&rng, &slow, kind, 40);
        struct records *records = in_parts(&rng, &slow, kind);
        for (unsigned i = 0; i < 100; i++) {
            uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS];
            struct key key_a, key_b;
            names_random(&rng, kind, slow.apex, 4, a);
            names_random(&rng, kind, slow.apex, 4, b);
            key_from_name(a, &key_a);
            key_from_name(b, &key_b);
            size_t skip = records->apex_key_size;
            size_t part_a = records_part(records, key_a.symbols + skip, key_a.size - skip);
            size_t part_b = records_part(records, key_b.symbols + skip, key_b.size - skip);
            ck_assert_uint_lt(part_a, records->parts);
            if (names_compare(a, b) <= 0) {
                ck_assert_uint_le(part_a, part_b);
            }
        }
        records_free(records);
        slow_free(&slow);
    }
}
END_TEST

/* Of names that are all alike there is nothing to split by. */
START_TEST(nothing_to_split_by)
{
    struct key key;
    struct key same[40];
    key_from_name(names_wire("a.example."), &key);
    for (size_t i = 0; i < 40; i++) {
        same[i] = key;
    }
    struct records *records = records_new(names_wire("example."));
    ck_assert_int_eq(records_split(records, same, 0, 8), RR_OK);
    ck_assert_uint_eq(records->parts, 1);
    ck_assert_int_eq(records_split(records, same, 40, 8), RR_OK);
    ck_assert_uint_eq(records->parts, 1);
    records_free(records);
}
END_TEST

/* One builder and one list of records for zones of all sizes, with and without faults. */
START_TEST(one_after_another)
{
    static const char *const apexes[] = {"example.", ".", "a.much.longer.example."};
    struct rng rng = rng_start();
    struct records *records = records_new(names_wire("none."));
    struct zone_builder *builder = zone_builder_new();
    for (unsigned round = 0; round < 200 / UNIT_SLOWER + 1; round++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire(apexes[rng_below(&rng, 3)]));
        size_t most = rng_once_in(&rng, 20) ? 3000 : rng_once_in(&rng, 3) ? 200 : 10;
        slow_random(&rng, &slow, round % 2 == 0 ? NAMES_HOST : NAMES_OCTETS,
                    1 + rng_below(&rng, (unsigned)most));
        if (rng_once_in(&rng, 4)) {
            slow_add(&slow, slow.apex, RRTYPE_CNAME, 60, names_wire("x."), 3);
        }
        struct made alone = build(slow_records(&slow), 1), next = {0};
        records_renew(records, slow.apex);
        ck_assert_uint_eq(records_file(records, "slow"), 0);
        if (rng_once_in(&rng, 4)) {
            split(&rng, records, &slow, NAMES_HOST);
        }
        for (size_t i = 0; i < slow.count; i++) {
            add(records, &slow, i);
        }
        next.error = zone_builder_build(builder, records, 1 + rng_below(&rng, 3), &next.diag,
                                        &next.zone);
        ck_assert_uint_eq(records_count(records), 0);
        check_same(&alone, &next);
        make_free(&alone);
        make_free(&next);
        slow_free(&slow);
    }
    zone_builder_free(builder);
    zone_builder_free(NULL);
    records_free(records);
}
END_TEST

START_TEST(faults_in_order)
{
    struct rng rng = rng_start();
    struct slow_zone slow;
    slow_init(&slow, names_wire("example."));
    for (unsigned i = 0; i < 60; i++) {
        char owner[32];
        snprintf(owner, sizeof owner, "n%u.example.", (i * 7) % 60);
        slow_add(&slow, names_wire(owner), RRTYPE_CNAME, 60, names_wire("x."), 3);
    }
    for (unsigned round = 0; round < 20; round++) {
        struct records *one = slow_records(&slow), *parts = in_parts(&rng, &slow, NAMES_HOST);
        for (unsigned i = 0; i < 60; i += 5) {
            char owner[32];
            snprintf(owner, sizeof owner, "n%u.example.", i);
            make_record(one, names_wire(owner), RRTYPE_A, 60, "\xc0\0\2\1", 4, 0, 100 + i);
            make_record(parts, names_wire(owner), RRTYPE_A, 60, "\xc0\0\2\1", 4, 0, 100 + i);
        }
        struct made whole = build(one, 1), several = build(parts, 3);
        ck_assert_uint_eq(whole.diag.faults, 12);
        check_same(&whole, &several);
        make_free(&whole);
        make_free(&several);
    }
    slow_free(&slow);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("zone_parts");
    tcase_add_test(unit.tests, random_zones);
    tcase_add_test(unit.tests, below_one_name);
    tcase_add_test(unit.tests, order_of_parts);
    tcase_add_test(unit.tests, nothing_to_split_by);
    tcase_add_test(unit.tests, one_after_another);
    tcase_add_test(unit.tests, faults_in_order);
    return unit_end(&unit);
}

/*
 * Sorting owners: canonical order, and of equals the order they were read in; sizes around where
 * the sort changes its ways, long common beginnings, input that is sorted already or backwards.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "names.h"
#include "unit.h"
#include "zone/record_sort.h"

struct owner_place {
    const struct record_owner *owner;
    size_t place;
    uint8_t name[NAME_MAX_OCTETS];
};

static int by_name_and_place(const void *x, const void *y)
{
    const struct owner_place *a = x, *b = y;
    int order = names_compare(a->name, b->name);
    return order != 0 ? order : (a->place > b->place) - (a->place < b->place);
}

static int by_name(const void *a, const void *b)
{
    return names_compare(a, b);
}

/* Owners of these names in this order, sorted by the real sort and by qsort. */
static void check_sort(const uint8_t (*names)[NAME_MAX_OCTETS], size_t count)
{
    struct records *records = records_new(names_wire("."));
    struct owner_place *expected = malloc((count + 1) * sizeof *expected);
    struct sort_item *items = unit_guarded(count * sizeof *items);
    struct sort_item *spare = unit_guarded(count * sizeof *spare);
    for (size_t i = 0; i < count; i++) {
        ck_assert(records_owner(records, names[i]) == RR_OK);
        items[i] = (struct sort_item){.owner = records->owner};
        expected[i] = (struct owner_place){.owner = records->owner, .place = i};
        memcpy(expected[i].name, names[i], NAME_MAX_OCTETS);
    }
    qsort(expected, count, sizeof *expected, by_name_and_place);
    record_sort(items, spare, count);
    for (size_t i = 0; i < count; i++) {
        if (items[i].owner != expected[i].owner) {
            ck_abort_msg("place %zu of %zu: not %s", i, count, names_text(expected[i].name));
        }
    }
    unit_guarded_free(items, count * sizeof *items);
    unit_guarded_free(spare, count * sizeof *spare);
    free(expected);
    records_free(records);
}

static void check_random(enum names_kind kind, unsigned rounds, size_t most)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < rounds / UNIT_SLOWER + 1; round++) {
        size_t count = 1 + rng_below(&rng, (unsigned)most);
        uint8_t(*names)[NAME_MAX_OCTETS] = malloc(count * sizeof *names);
        for (size_t i = 0; i < count; i++) {
            if (i > 0 && rng_once_in(&rng, 4)) { /* the same again, or below it */
                const uint8_t *other = names[rng_below(&rng, (unsigned)i)];
                bool full = kind == NAMES_LONG || kind == NAMES_MANY;
                names_random(&rng, full ? NAMES_OCTETS : kind, other, 1, names[i]);
                names_shuffle_case(&rng, names[i]);
            } else {
                names_random(&rng, kind, names_wire("."), 5, names[i]);
            }
        }
        check_sort((const uint8_t(*)[NAME_MAX_OCTETS])names, count);
        /* Sorted already, then backwards. */
        qsort(names, count, sizeof *names, by_name);
        check_sort((const uint8_t(*)[NAME_MAX_OCTETS])names, count);
        for (size_t i = 0; i < count / 2; i++) {
            uint8_t swap[NAME_MAX_OCTETS];
            memcpy(swap, names[i], sizeof swap);
            memcpy(names[i], names[count - 1 - i], sizeof swap);
            memcpy(names[count - 1 - i], swap, sizeof swap);
        }
        check_sort((const uint8_t(*)[NAME_MAX_OCTETS])names, count);
        free(names);
    }
}

START_TEST(few)
{
    check_random(NAMES_DENSE, 300, 10);
    check_random(NAMES_OCTETS, 300, 10);
}
END_TEST

START_TEST(around_fifty)
{
    check_random(NAMES_DENSE, 100, 120);
    check_random(NAMES_OCTETS, 100, 120);
}
END_TEST

START_TEST(many)
{
    check_random(NAMES_DENSE, 5, 5000);
    check_random(NAMES_HOST, 5, 5000);
    check_random(NAMES_OCTETS, 5, 5000);
}
END_TEST

START_TEST(longest)
{
    check_random(NAMES_LONG, 10, 300);
    check_random(NAMES_MANY, 5, 100);
}
END_TEST

/* Names that differ only in their last octet, after beginnings of every length. */
START_TEST(long_beginnings)
{
    for (size_t length = 0; length < 60; length++) {
        uint8_t names[100][NAME_MAX_OCTETS] = {{0}};
        for (uint8_t i = 0; i < 100; i++) {
            uint8_t label[63];
            memset(label, length % 2 == 0 ? 'x' : 0xff, sizeof label);
            label[length] = (uint8_t)(i * 37 % 100);
            size_t size = i % 10 != 9 || length == 0 ? length + 1 : length;
            ck_assert(names_prepend(names[i], label, size));
        }
        check_sort((const uint8_t(*)[NAME_MAX_OCTETS])names, 100);
    }
}
END_TEST

/* Each size where insertion gives way to counting: all equal, then in turn up and down. */
START_TEST(every_size)
{
    for (size_t count = 2; count <= 100; count++) {
        uint8_t names[100][NAME_MAX_OCTETS] = {{0}};
        for (size_t i = 0; i < count; i++) {
            names_prepend(names[i], "same", 4);
        }
        check_sort((const uint8_t(*)[NAME_MAX_OCTETS])names, count);
        for (size_t i = 0; i < count; i++) {
            const uint8_t label = (uint8_t)(i % 2 == 0 ? i : 255 - i / 2);
            names_prepend(names[i], &label, 1);
        }
        check_sort((const uint8_t(*)[NAME_MAX_OCTETS])names, count);
    }
}
END_TEST

START_TEST(none_and_one)
{
    record_sort(NULL, NULL, 0);
    uint8_t name[1][NAME_MAX_OCTETS] = {{0}};
    check_sort((const uint8_t(*)[NAME_MAX_OCTETS])name, 1);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("record_sort");
    tcase_add_test(unit.tests, few);
    tcase_add_test(unit.tests, around_fifty);
    tcase_add_test(unit.tests, many);
    tcase_add_test(unit.tests, longest);
    tcase_add_test(unit.tests, long_beginnings);
    tcase_add_test(unit.tests, every_size);
    tcase_add_test(unit.tests, none_and_one);
    return unit_end(&unit);
}

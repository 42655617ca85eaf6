/*
 * The search tree against going through all keys: sets of one, two and many, keys that are
 * beginnings of others, keys at every limit.
 */
#include <stdlib.h>
#include <string.h>

#include "dns/key.h"
#include "names.h"
#include "unit.h"
#include "zone/radix.h"

/* Names in canonical order, each once, their keys, and the tree; the value of name i is i * 7. */
struct set {
    size_t count;
    uint8_t (*names)[NAME_MAX_OCTETS];
    struct key *keys;
    struct radix_entry *entries;
    size_t entries_size; /* octets */
};

static int by_name(const void *a, const void *b)
{
    return names_compare(a, b);
}

static struct radix_key set_key(const void *context, size_t i)
{
    const struct set *set = context;
    return (struct radix_key){set->keys[i].symbols, set->keys[i].size};
}

static uint32_t set_value(const void *context, size_t i)
{
    (void)context;
    return (uint32_t)i * 7;
}

/* Sorts and builds; names is taken over. The entries end where memory does. */
static struct set set_make(uint8_t (*names)[NAME_MAX_OCTETS], size_t count)
{
    struct set set = {.names = names};
    qsort(names, count, sizeof *names, by_name);
    for (size_t i = 0; i < count; i++) {
        if (set.count == 0 || names_compare(names[set.count - 1], names[i]) != 0) {
            memmove(names[set.count++], names[i], sizeof *names);
        }
    }
    set.keys = malloc(set.count * sizeof *set.keys);
    uint16_t *common = unit_guarded(set.count * sizeof *common);
    for (size_t i = 0; i < set.count; i++) {
        key_from_name(names[i], &set.keys[i]);
        common[i] = i == 0 ? 999
                           : (uint16_t)key_common(set.keys[i - 1].symbols, set.keys[i - 1].size,
                                                  set.keys[i].symbols, set.keys[i].size);
    }
    size_t entries = radix_count(common, set.count);
    ck_assert_uint_ge(entries, set.count);
    ck_assert_uint_le(entries, 2 * set.count - 1);
    set.entries_size = entries * sizeof *set.entries;
    set.entries = unit_guarded(set.entries_size);
    memset(set.entries, 0xa5, set.entries_size);
    struct radix_source source = {
        .count = set.count, .key = set_key, .value = set_value, .context = &set};
    radix_build(&source, common, set.entries);
    unit_guarded_free(common, set.count * sizeof *common);
    return set;
}

static void set_free(struct set *set)
{
    unit_guarded_free(set->entries, set->entries_size);
    free(set->keys);
    free(set->names);
}

static size_t common_of(const struct key *a, const struct key *b)
{
    size_t i = 0;
    while (i < a->size && i < b->size && a->symbols[i] == b->symbols[i]) {
        i++;
    }
    return i;
}

static void check_key(const struct set *set, const uint8_t *name)
{
    struct key key;
    key_from_name(name, &key);
    size_t longest = 0, before = SIZE_MAX, exact = SIZE_MAX;
    for (size_t i = 0; i < set->count; i++) {
        size_t common = common_of(&set->keys[i], &key);
        longest = common > longest ? common : longest;
        int order = names_compare(set->names[i], name);
        before = order < 0 ? i : before;
        exact = order == 0 ? i : exact;
    }

    uint32_t value = radix_search(set->entries, key.symbols, key.size);
    size_t found = value / 7;
    if (value % 7 != 0 || found >= set->count) {
        ck_abort_msg("%s: value %u was never put in", names_text(name), value);
    }
    size_t common = common_of(&set->keys[found], &key);
    if (common != longest || (exact != SIZE_MAX && found != exact)) {
        ck_abort_msg("%s: found %s, with %zu symbols in common, not %zu", names_text(name),
                     names_text(set->names[found]), common, longest);
    }
    bool after = names_compare(name, set->names[found]) > 0;
    bool there = radix_before(set->entries, key.symbols, key.size, common, after, &value);
    if (there != (before != SIZE_MAX) || (there && value != before * 7)) {
        ck_abort_msg("before %s: %s, not %s", names_text(name),
                     there ? names_text(set->names[value / 7]) : "none",
                     before != SIZE_MAX ? names_text(set->names[before]) : "none");
    }
}

static void check_set(struct rng *rng, const struct set *set, enum names_kind kind)
{
    for (size_t i = 0; i < set->count; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        memcpy(name, set->names[i], sizeof name);
        check_key(set, name);
        names_shuffle_case(rng, name);
        check_key(set, name);
        names_random(rng, kind, set->names[i], 2, name);
        check_key(set, name);
        if (set->names[i][0] > 0) {
            memcpy(name, set->names[i], sizeof name);
            name[name[0]] ^= (uint8_t)(1u << rng_below(rng, 8));
            check_key(set, name);
            check_key(set, set->names[i] + 1 + set->names[i][0]);
        }
    }
    for (unsigned n = 0; n < 30; n++) {
        uint8_t name[NAME_MAX_OCTETS];
        names_random(rng, kind, names_wire("."), 5, name);
        check_key(set, name);
    }
}

/* Up to `most` names, some of them ancestors or descendants of others. */
static struct set set_random(struct rng *rng, enum names_kind kind, unsigned most)
{
    size_t count = 1 + rng_below(rng, most);
    uint8_t(*names)[NAME_MAX_OCTETS] = malloc(count * sizeof *names);
    for (size_t i = 0; i < count; i++) {
        const uint8_t *under = names_wire(".");
        if (i > 0 && rng_once_in(rng, 3)) {
            under = names[rng_below(rng, (unsigned)i)];
            while (*under != 0 && rng_once_in(rng, 2)) {
                under += 1u + *under;
            }
        }
        names_random(rng, kind, under, 4, names[i]);
    }
    return set_make(names, count);
}

static void check_random(enum names_kind kind, unsigned rounds, unsigned most)
{
    struct rng rng = rng_start();
    for (unsigned i = 0; i < rounds / UNIT_SLOWER + 1; i++) {
        struct set set = set_random(&rng, kind, most);
        check_set(&rng, &set, kind);
        set_free(&set);
    }
}

START_TEST(one_or_two)
{
    check_random(NAMES_DENSE, 1000, 2);
    check_random(NAMES_OCTETS, 1000, 2);
}
END_TEST

START_TEST(few)
{
    check_random(NAMES_DENSE, 1000, 12);
    check_random(NAMES_OCTETS, 1000, 12);
}
END_TEST

START_TEST(many)
{
    check_random(NAMES_DENSE, 15, 400);
    check_random(NAMES_HOST, 15, 400);
    check_random(NAMES_OCTETS, 15, 400);
}
END_TEST

START_TEST(longest)
{
    check_random(NAMES_LONG, 60, 30);
    check_random(NAMES_MANY, 15, 12);
}
END_TEST

/* All 230 names of one octet there are (letters have no case): every branch there can be. */
START_TEST(all_octets)
{
    uint8_t(*names)[NAME_MAX_OCTETS] = calloc(256 + 256, sizeof *names);
    for (unsigned i = 0; i < 256; i++) {
        names_prepend(names[i], &(uint8_t){(uint8_t)i}, 1);
        names_prepend(names[256 + i], "x", 1);
        names_prepend(names[256 + i], &(uint8_t){(uint8_t)i}, 1);
    }
    struct set set = set_make(names, 512);
    ck_assert_uint_eq(set.count, 2 * (256 - 26));
    struct rng rng = rng_start();
    check_set(&rng, &set, NAMES_OCTETS);
    set_free(&set);
}
END_TEST

START_TEST(root_alone)
{
    uint8_t(*names)[NAME_MAX_OCTETS] = calloc(1, sizeof *names);
    struct set set = set_make(names, 1);
    ck_assert_uint_eq(set.entries_size, sizeof(struct radix_entry));
    ck_assert(radix_is_leaf(&set.entries[0]));
    ck_assert_uint_eq(sizeof(struct radix_entry), 12);
    struct rng rng = rng_start();
    check_set(&rng, &set, NAMES_DENSE);
    set_free(&set);
}
END_TEST

/* Searches of several trees side by side end where each of them would alone. */
START_TEST(search_many)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 200 / UNIT_SLOWER; round++) {
        struct set sets[3] = {set_random(&rng, NAMES_DENSE, 1), set_random(&rng, NAMES_DENSE, 50),
                              set_random(&rng, NAMES_OCTETS, 50)};
        struct radix_cursor cursors[RADIX_MANY_MAX];
        struct key keys[RADIX_MANY_MAX];
        size_t count = rng_once_in(&rng, 4) ? 1 : rng_below(&rng, RADIX_MANY_MAX + 1);
        for (size_t i = 0; i < count; i++) {
            const struct set *set = &sets[rng_below(&rng, 3)];
            uint8_t name[NAME_MAX_OCTETS];
            names_random(&rng, rng_once_in(&rng, 2) ? NAMES_DENSE : NAMES_OCTETS, names_wire("."),
                         5, name);
            key_from_name(name, &keys[i]);
            cursors[i] =
                (struct radix_cursor){set->entries, set->entries, keys[i].symbols, keys[i].size};
            if (rng_once_in(&rng, 5)) {
                cursors[i].at = NULL;
            }
        }
        struct radix_cursor before[RADIX_MANY_MAX];
        memcpy(before, cursors, count * sizeof *cursors);
        radix_search_many(cursors, count);
        for (size_t i = 0; i < count; i++) {
            if (before[i].at == NULL) {
                ck_assert_ptr_null(cursors[i].at);
                continue;
            }
            ck_assert(radix_is_leaf(cursors[i].at));
            ck_assert_uint_eq(cursors[i].at->value,
                              radix_search(before[i].entries, keys[i].symbols, keys[i].size));
        }
        for (size_t i = 0; i < 3; i++) {
            set_free(&sets[i]);
        }
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("radix");
    tcase_add_test(unit.tests, one_or_two);
    tcase_add_test(unit.tests, few);
    tcase_add_test(unit.tests, many);
    tcase_add_test(unit.tests, longest);
    tcase_add_test(unit.tests, all_octets);
    tcase_add_test(unit.tests, root_alone);
    tcase_add_test(unit.tests, search_many);
    return unit_end(&unit);
}

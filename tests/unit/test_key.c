/*
 * Keys: their order is the canonical order, whatever the octets; they tell the name again; the key
 * of an ancestor is the beginning of its descendants' keys.
 */
#include <stdlib.h>
#include <string.h>

#include "dns/key.h"
#include "names.h"
#include "unit.h"

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

/* Order by key_compare, and by memcmp with the shorter first, against the letter of the RFC. */
static void check_pair(const uint8_t *a, const uint8_t *b)
{
    struct key x, y;
    key_from_name(a, &x);
    key_from_name(b, &y);
    int expected = sign(names_compare(a, b));
    int got = sign(key_compare(x.symbols, x.size, y.symbols, y.size));
    int octets = memcmp(x.symbols, y.symbols, x.size < y.size ? x.size : y.size);
    int plain = octets != 0 ? sign(octets) : (x.size > y.size) - (x.size < y.size);
    size_t common = 0;
    while (common < x.size && common < y.size && x.symbols[common] == y.symbols[common]) {
        common++;
    }
    if (got != expected || plain != expected ||
        key_common(x.symbols, x.size, y.symbols, y.size) != common) {
        ck_abort_msg("%s and %s: %d and %d, should be %d", names_text(a), names_text(b), got, plain,
                     expected);
    }
    bool under = names_under(b, a);
    bool begins = x.size <= y.size && memcmp(x.symbols, y.symbols, x.size) == 0;
    if (under != begins) {
        ck_abort_msg("%s is %sunder %s", names_text(b), under ? "" : "not ", names_text(a));
    }
}

/* The name again, in lower case; also from any of its ancestors on. */
static void check_round_trip(const uint8_t *name)
{
    static uint8_t *got;
    if (got == NULL) {
        got = unit_guarded(NAME_MAX_OCTETS);
    }
    struct key key, top, relative;
    unsigned labels = 0;
    key_from_name(name, &key);
    if (key.size > KEY_MAX) {
        ck_abort_msg("a key of %u symbols", key.size);
    }
    for (const uint8_t *suffix = name;; suffix += 1u + *suffix) {
        key_from_name(suffix, &top);
        key_from_labels(name, labels++, &relative);
        ck_assert_uint_eq(relative.size, key.size - top.size);
        ck_assert(memcmp(relative.symbols, key.symbols + top.size, relative.size) == 0);
        size_t size = key_to_name(key.symbols + top.size, (size_t)key.size - top.size, suffix, got);
        bool right = size == names_size(name) && names_compare(got, name) == 0;
        for (size_t i = 0; right && i < size - names_size(suffix); i++) {
            right = got[i] < 'A' || got[i] > 'Z';
        }
        if (!right) {
            ck_abort_msg("%s has become %s", names_text(name), names_text(got));
        }
        if (*suffix == 0) {
            return;
        }
    }
}

/* The symbols are below KEY_SYMBOLS, labels are not empty, and the end is a separator. */
static void check_symbols(const uint8_t *name)
{
    struct key key;
    key_from_name(name, &key);
    unsigned labels = 0, octets = 0, in_label = 0;
    bool right = true;
    for (size_t i = 0; i < key.size; i++) {
        right = right && key.symbols[i] < KEY_SYMBOLS;
        if (key.symbols[i] == KEY_SEPARATOR) {
            right = right && in_label > 0;
            labels++;
            in_label = 0;
            continue;
        }
        if (key_symbol_is_group(key.symbols[i])) {
            right = right && ++i < key.size && key.symbols[i] < KEY_SYMBOLS;
        }
        in_label++;
        octets++;
    }
    if (!right || in_label != 0 || labels != names_labels(name) ||
        octets + labels + 1 != names_size(name)) {
        ck_abort_msg("the key of %s is none", names_text(name));
    }
}

START_TEST(by_hand)
{
    struct key key;
    key_from_name(names_wire("."), &key);
    ck_assert_uint_eq(key.size, 0);
    /* a is 17, '0' is 4, '-' is 2, '_' is 15, then the label's end; the last label first. */
    key_from_name(names_wire("_0-.Ab."), &key);
    static const uint8_t expected[] = {17, 18, 0, 15, 4, 2, 0};
    ck_assert_uint_eq(key.size, sizeof expected);
    ck_assert_mem_eq(key.symbols, expected, sizeof expected);
    key_from_name(names_wire("\\000\\255."), &key);
    static const uint8_t edges[] = {1, 0, 45, 42, 0};
    ck_assert_uint_eq(key.size, sizeof edges);
    ck_assert_mem_eq(key.symbols, edges, sizeof edges);
}
END_TEST

START_TEST(all_pairs_of_octets)
{
    for (unsigned i = 0; i < 256; i++) {
        uint8_t a[4] = {1, (uint8_t)i};
        check_round_trip(a);
        check_symbols(a);
        for (unsigned k = 0; k < 256; k++) {
            uint8_t b[4] = {1, (uint8_t)k};
            check_pair(a, b);
            uint8_t longer[5] = {2, (uint8_t)k, 0};
            check_pair(a, longer);
            uint8_t below[6] = {1, 0, 1, (uint8_t)k};
            check_pair(a, below);
        }
    }
}
END_TEST

/* The example of RFC 4034 section 6.1. */
START_TEST(order_of_the_rfc)
{
    static const char *const names[] = {
        "example.",         "a.example.",      "yljkjljk.a.example.",
        "Z.a.example.",     "zABC.a.EXAMPLE.", "z.example.",
        "\\001.z.example.", "*.z.example.",    "\\200.z.example.",
    };
    for (size_t i = 0; i < 9; i++) {
        for (size_t k = 0; k < 9; k++) {
            struct key a, b;
            key_from_name(names_wire(names[i]), &a);
            key_from_name(names_wire(names[k]), &b);
            ck_assert_int_eq(sign(key_compare(a.symbols, a.size, b.symbols, b.size)),
                             (i > k) - (i < k));
        }
    }
}
END_TEST

START_TEST(case_is_nothing)
{
    struct rng rng = rng_start();
    for (unsigned i = 0; i < 2000; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        struct key a, b;
        names_random(&rng, NAMES_HOST, names_wire("."), 6, name);
        key_from_name(name, &a);
        names_shuffle_case(&rng, name);
        key_from_name(name, &b);
        ck_assert_uint_eq(a.size, b.size);
        ck_assert(memcmp(a.symbols, b.symbols, a.size) == 0);
    }
}
END_TEST

static void check_random(enum names_kind kind, unsigned rounds)
{
    struct rng rng = rng_start();
    for (unsigned i = 0; i < rounds / UNIT_SLOWER; i++) {
        uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS];
        names_random(&rng, kind, names_wire("."), 5, a);
        memcpy(b, a, sizeof b);
        for (unsigned n = 1 + rng_below(&rng, 3); n > 0 && names_size(b) > 1; n--) {
            /* An octet of a label changed, so that names are alike to somewhere inside. */
            uint8_t *label = b;
            while (label[1 + label[0]] != 0 && rng_once_in(&rng, 2)) {
                label += 1u + *label;
            }
            label[1 + rng_below(&rng, label[0])] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        check_round_trip(a);
        check_symbols(a);
        check_pair(a, b);
        check_pair(b, a);
        check_pair(a, a);
        names_random(&rng, kind, names_wire("."), 5, b);
        check_pair(a, b);
        if (*a != 0) {
            names_random(&rng, kind, a + 1 + *a, 2, b);
            check_pair(a, b);
        }
    }
}

START_TEST(random_dense)
{
    check_random(NAMES_DENSE, 20000);
}
END_TEST

START_TEST(random_octets)
{
    check_random(NAMES_OCTETS, 20000);
}
END_TEST

START_TEST(random_long)
{
    check_random(NAMES_LONG, 2000);
}
END_TEST

START_TEST(random_many)
{
    check_random(NAMES_MANY, 300);
}
END_TEST

/* A name of 255 octets whose octets all take two symbols. */
START_TEST(longest_key)
{
    uint8_t name[NAME_MAX_OCTETS] = {0}, label[63];
    memset(label, 0xff, sizeof label);
    ck_assert(names_prepend(name, label, 63) && names_prepend(name, label, 63) &&
              names_prepend(name, label, 63) && names_prepend(name, label, 61));
    ck_assert_uint_eq(names_size(name), 255);
    struct key *key = unit_guarded(sizeof *key);
    key_from_name(name, key);
    ck_assert_uint_eq(key->size, 2 * 250 + 4);
    unit_guarded_free(key, sizeof *key);
    check_round_trip(name);
}
END_TEST

/* What is no whole key is refused, not read past its end. */
START_TEST(broken_keys)
{
    static const struct {
        uint8_t symbols[8];
        size_t size;
    } broken[] = {
        {{17}, 1},          {{0}, 1},         {{17, 0, 0}, 3},  {{1}, 1},        {{17, 1}, 2},
        {{17, 0, 1, 0}, 4}, {{46, 0}, 2},     {{255, 0}, 2},    {{1, 46, 0}, 3}, {{16, 1, 0}, 3},
        {{3, 2, 0}, 3},     {{14, 11, 0}, 3}, {{45, 43, 0}, 3},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        uint8_t *symbols = unit_guarded(broken[i].size), name[NAME_MAX_OCTETS];
        memcpy(symbols, broken[i].symbols, broken[i].size);
        ck_assert_msg(key_to_name(symbols, broken[i].size, names_wire("."), name) == 0,
                      "broken key %zu", i);
        unit_guarded_free(symbols, broken[i].size);
    }
    uint8_t symbols[65], name[NAME_MAX_OCTETS];
    memset(symbols, 17, sizeof symbols);
    symbols[63] = 0;
    ck_assert_uint_eq(key_to_name(symbols, 64, names_wire("."), name), 65);
    symbols[63] = 17;
    symbols[64] = 0;
    ck_assert_uint_eq(key_to_name(symbols, 65, names_wire("."), name), 0);
}
END_TEST

/* Of any symbols, a label written before its end is the label where each octet has one symbol. */
static void check_label(const uint8_t *symbols, size_t size, struct rng *rng)
{
    uint8_t *room = unit_guarded(KEY_BLOCK + size), *out = unit_guarded(5 * KEY_BLOCK);
    uint8_t label[NAME_MAX_LABEL + 1], *end = out + 5 * KEY_BLOCK;
    rng_fill(rng, room, KEY_BLOCK);
    memcpy(room + KEY_BLOCK, symbols, size);
    bool plain = size > 0 && key_to_label(symbols, size, label) == size;
    if (key_to_label_before(room + KEY_BLOCK, size, end) != plain ||
        (plain && memcmp(end - size, label, size) != 0)) {
        ck_abort_msg("a label of %zu symbols", size);
    }
    unit_guarded_free(room, KEY_BLOCK + size);
    unit_guarded_free(out, 5 * KEY_BLOCK);
}

START_TEST(labels_before_their_end)
{
    struct rng rng = rng_start();
    uint8_t symbols[NAME_MAX_LABEL + 3];
    for (size_t size = 0; size <= sizeof symbols; size++) {
        memset(symbols, 17, sizeof symbols);
        check_label(symbols, size, &rng);
        if (size > 0) {
            symbols[size - 1] = KEY_SEPARATOR;
        }
        check_label(symbols, size, &rng);
        for (size_t at = 0; at + 1 < size; at++) {
            for (unsigned symbol = 0; symbol < 256; symbol += 1 + rng_below(&rng, 8)) {
                symbols[at] = (uint8_t)symbol;
                check_label(symbols, size, &rng);
            }
            symbols[at] = (uint8_t)(17 + at % 26);
        }
    }
    for (unsigned symbol = 0; symbol < 256; symbol++) {
        const uint8_t one[2] = {(uint8_t)symbol, KEY_SEPARATOR};
        check_label(one, sizeof one, &rng);
    }
}
END_TEST

/* With a suffix the whole may become too long: 255 octets are a name, 256 are none. */
START_TEST(too_long_with_suffix)
{
    uint8_t suffix[NAME_MAX_OCTETS] = {0}, label[63] = {0}, *name = unit_guarded(NAME_MAX_OCTETS);
    memset(label, 'x', sizeof label);
    for (int i = 0; i < 3; i++) {
        ck_assert(names_prepend(suffix, label, 63));
    }
    uint8_t relative[NAME_MAX_OCTETS] = {0};
    struct key key;
    ck_assert(names_prepend(relative, label, 61));
    key_from_name(relative, &key);
    ck_assert_uint_eq(key_to_name(key.symbols, key.size, suffix, name), 255);
    relative[0] = 0;
    ck_assert(names_prepend(relative, label, 62));
    key_from_name(relative, &key);
    ck_assert_uint_eq(key_to_name(key.symbols, key.size, suffix, name), 0);
    unit_guarded_free(name, NAME_MAX_OCTETS);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("key");
    tcase_add_test(unit.tests, by_hand);
    tcase_add_test(unit.tests, all_pairs_of_octets);
    tcase_add_test(unit.tests, order_of_the_rfc);
    tcase_add_test(unit.tests, case_is_nothing);
    tcase_add_test(unit.tests, random_dense);
    tcase_add_test(unit.tests, random_octets);
    tcase_add_test(unit.tests, random_long);
    tcase_add_test(unit.tests, random_many);
    tcase_add_test(unit.tests, longest_key);
    tcase_add_test(unit.tests, broken_keys);
    tcase_add_test(unit.tests, labels_before_their_end);
    tcase_add_test(unit.tests, too_long_with_suffix);
    return unit_end(&unit);
}

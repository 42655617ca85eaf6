/*
 * Names in wire form and as text; ldns is the judge of texts.
 */
#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/name.h"
#include "names.h"
#include "unit.h"

START_TEST(lower_case)
{
    for (unsigned octet = 0; octet < 256; octet++) {
        unsigned expected = octet >= 'A' && octet <= 'Z' ? octet + 32 : octet;
        ck_assert_uint_eq(name_lower((uint8_t)octet), expected);
    }
}
END_TEST

/* name_check at the end of memory: the size of a good name, 0 for all else. */
static void expect_check(const void *octets, size_t size, size_t expected)
{
    uint8_t *data = unit_guarded(size == 0 ? 1 : size);
    memcpy(data, octets, size);
    size_t got = name_check(data, size);
    ck_assert_uint_eq(got, expected);
    unit_guarded_free(data, size == 0 ? 1 : size);
}

START_TEST(check)
{
    expect_check("", 0, 0);
    expect_check("\0", 1, 1);
    expect_check("\0\1a", 3, 1);
    expect_check("\1a", 2, 0);
    expect_check("\1a\0", 3, 3);
    expect_check("\2a", 2, 0);
    expect_check("\2a\0", 3, 0);
    expect_check("\xc0\0", 2, 0);
    expect_check("\1a\xc0\0", 4, 0);
    expect_check("\x40"
                 "a\0",
                 3, 0);
    expect_check("\x80"
                 "a\0",
                 3, 0);
    uint8_t octets[300] = {63};
    expect_check(octets, 64, 0);
    expect_check(octets, 65, 65);
    octets[0] = 64; /* whole, but for its length */
    expect_check(octets, 66, 0);
    octets[0] = 63;
    octets[64] = octets[128] = 63;
    octets[192] = 61;
    expect_check(octets, 255, 255);
    expect_check(octets, 254, 0);
    expect_check(octets, 300, 255);
    octets[192] = 62;
    expect_check(octets, 256, 0);
    expect_check(octets, 300, 0);
    for (size_t i = 0; i < 300; i++) {
        octets[i] = i % 2 == 0;
    }
    octets[254] = 0;
    expect_check(octets, 300, 255); /* 127 labels */
    octets[254] = 1;
    expect_check(octets, 300, 0); /* 128 */
}
END_TEST

START_TEST(sizes)
{
    struct rng rng = rng_start();
    static const enum names_kind kinds[] = {NAMES_DENSE, NAMES_OCTETS, NAMES_LONG, NAMES_MANY};
    for (unsigned i = 0; i < 4000; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        names_random(&rng, kinds[i % 4], names_wire("."), 6, name);
        size_t size = names_size(name);
        unsigned labels = names_labels(name);
        if (name_size(name) != size || name_labels(name) != labels ||
            name_check(name, sizeof name) != size) {
            ck_abort_msg("%s", names_text(name));
        }
        const uint8_t *rest = name;
        for (unsigned n = 0; n <= labels; n++) {
            if (name_skip(name, n) != rest) {
                ck_abort_msg("%s without %u labels", names_text(name), n);
            }
            rest += 1u + *rest;
        }
    }
}
END_TEST

START_TEST(comparisons)
{
    struct rng rng = rng_start();
    unsigned equal = 0, under = 0;
    for (unsigned i = 0; i < 50000 / UNIT_SLOWER; i++) {
        uint8_t a[NAME_MAX_OCTETS], b[NAME_MAX_OCTETS];
        enum names_kind kind = i % 3 == 0 ? NAMES_OCTETS : NAMES_DENSE;
        names_random(&rng, kind, names_wire("."), 3, a);
        if (i % 2 == 0) {
            names_random(&rng, kind, names_wire("."), 3, b);
        } else {
            names_random(&rng, kind, a, 1, b);
        }
        names_shuffle_case(&rng, a);
        bool same = names_compare(a, b) == 0;
        if (name_equal(a, b) != same || name_is_under(a, b) != names_under(a, b) ||
            name_is_under(b, a) != names_under(b, a)) {
            ck_abort_msg("%s and %s", names_text(a), names_text(b));
        }
        equal += same ? 1 : 0;
        under += names_under(b, a) ? 1 : 0;
    }
    ck_assert_uint_gt(equal, 500 / UNIT_SLOWER);
    ck_assert_uint_gt(under, 5000 / UNIT_SLOWER);
    /* '@' and '`', '[' and '{' differ like letters do, but are none. */
    ck_assert(!name_equal((const uint8_t *)"\1@", (const uint8_t *)"\1`"));
    ck_assert(!name_equal((const uint8_t *)"\1[", (const uint8_t *)"\1{"));
    ck_assert(!name_equal((const uint8_t *)"\1\xc1", (const uint8_t *)"\1\xe1"));
    ck_assert(name_equal((const uint8_t *)"\1Z", (const uint8_t *)"\1z"));
    ck_assert(!name_is_under((const uint8_t *)"\3x.b\1c", (const uint8_t *)"\1b\1c"));
}
END_TEST

/* --- from text --- */

static void expect_name(const char *text, const char *origin, int error, const char *wire,
                        size_t size)
{
    size_t length = strlen(text);
    char *copy = unit_guarded(length == 0 ? 1 : length);
    memcpy(copy, text, length);
    uint8_t *name = unit_guarded(NAME_MAX_OCTETS);
    const uint8_t *from = origin != NULL ? names_wire(origin) : NULL;
    int got = name_from_text(copy, length, from, name);
    ck_assert_msg(got == error, "%s: %s", text, rr_strerror(got));
    if (error == RR_OK) {
        ck_assert_msg(name_size(name) == size && memcmp(name, wire, size) == 0, "%s has become %s",
                      text, names_text(name));
    }
    unit_guarded_free(copy, length == 0 ? 1 : length);
    unit_guarded_free(name, NAME_MAX_OCTETS);
}

START_TEST(from_text)
{
    expect_name(".", NULL, RR_OK, "\0", 1);
    expect_name(".", "example.", RR_OK, "\0", 1);
    expect_name("a.", NULL, RR_OK, "\1a\0", 3);
    expect_name("a", NULL, RR_OK, "\1a\0", 3);
    expect_name("a", "Example.", RR_OK, "\1a\7Example\0", 11);
    expect_name("A.b.", "example.", RR_OK, "\1A\1b\0", 5);
    expect_name("a.b", "c.", RR_OK, "\1a\1b\1c\0", 7);
    expect_name("a", ".", RR_OK, "\1a\0", 3);
    expect_name("@", "c.", RR_OK, "\1@\1c\0", 5);
    expect_name("a\\.b.", NULL, RR_OK, "\3a.b\0", 5);
    expect_name("a\\.", "c.", RR_OK, "\2a.\1c\0", 6);
    expect_name("\\000\\255\\032.", NULL, RR_OK, "\3\0\xff \0", 5);
    expect_name("\\\\\\\"\\(.", NULL, RR_OK, "\3\\\"(\0", 5);
    expect_name("\\0012.", NULL, RR_OK,
                "\2\1"
                "2\0",
                4);
    expect_name("*.*.", NULL, RR_OK, "\1*\1*\0", 5);
}
END_TEST

START_TEST(from_text_refused)
{
    static const char *const wrong[] = {"",      "..",  "a..",   ".a",    "a..b",  ".a.",
                                        "\\",    "a\\", "\\25",  "\\256", "\\2a5", "\\25a",
                                        "a.\\1", "...", "a.b..", "\\999."};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        expect_name(wrong[i], "example.", RR_EINVAL, NULL, 0);
    }
}
END_TEST

/* A label of so many octets, then a dot. */
static void put_label(char *text, size_t size)
{
    size_t at = strlen(text);
    memset(text + at, 'x', size);
    text[at + size] = '.';
    text[at + size + 1] = '\0';
}

START_TEST(from_text_limits)
{
    char text[400] = "";
    uint8_t wire[300] = {63};
    memset(wire + 1, 'x', 63);
    put_label(text, 63);
    expect_name(text, NULL, RR_OK, (const char *)wire, 65);
    text[0] = '\0';
    put_label(text, 64);
    expect_name(text, NULL, RR_ERANGE, NULL, 0);
    text[64] = '\0';
    expect_name(text, NULL, RR_ERANGE, NULL, 0);
    /* 255 octets, absolute and with an origin; then one more. */
    for (size_t last = 60; last <= 63; last++) {
        text[0] = '\0';
        for (size_t i = 0; i < 3; i++) {
            put_label(text, 63);
            wire[i * 64] = 63;
            memset(wire + i * 64 + 1, 'x', 63);
        }
        put_label(text, last);
        wire[192] = (uint8_t)last;
        memset(wire + 193, 'x', last);
        wire[193 + last] = 0;
        int error = last <= 61 ? RR_OK : RR_ERANGE;
        expect_name(text, NULL, error, (const char *)wire, 194 + last);
        text[strlen(text) - 1] = '\0';
        expect_name(text, NULL, error, (const char *)wire, 194 + last);
        expect_name(text, ".", error, (const char *)wire, 194 + last);
        if (last >= 60) {
            expect_name(text, "a.", RR_ERANGE, NULL, 0);
        }
    }
    /* 127 labels of one octet are 255 octets. */
    text[0] = '\0';
    for (int i = 0; i < 127; i++) {
        put_label(text, 1);
        wire[2 * i] = 1;
        wire[2 * i + 1] = 'x';
    }
    wire[254] = 0;
    expect_name(text, NULL, RR_OK, (const char *)wire, 255);
    put_label(text, 1);
    expect_name(text, NULL, RR_ERANGE, NULL, 0);
}
END_TEST

/* --- to text --- */

START_TEST(to_text)
{
    static const char *const texts[] = {
        ".",
        "a.",
        "Www.Example.",
        "a\\.b.c.",
        "\\000\\031\\032!~\\127\\255.",
        "\\\\\\\"\\(\\)\\;\\@\\$.",
        "#%&'*+,-/0:<=>?[]^_`{|}.",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        char text[NAME_MAX_TEXT];
        ck_assert_int_eq(name_from_text(texts[i], strlen(texts[i]), NULL, name), RR_OK);
        ck_assert_uint_eq(name_to_text(name, text), strlen(texts[i]));
        ck_assert_str_eq(text, texts[i]);
    }
}
END_TEST

/* Every name comes back from its text, read by us and by ldns. */
START_TEST(round_trip)
{
    struct rng rng = rng_start();
    static const enum names_kind kinds[] = {NAMES_DENSE, NAMES_OCTETS, NAMES_LONG, NAMES_MANY};
    char *text = unit_guarded(NAME_MAX_TEXT);
    for (unsigned i = 0; i < 8000 / UNIT_SLOWER; i++) {
        uint8_t name[NAME_MAX_OCTETS], back[NAME_MAX_OCTETS];
        names_random(&rng, kinds[i % 4], names_wire("."), 6, name);
        size_t size = names_size(name), length = name_to_text(name, text);
        if (strlen(text) != length || name_from_text(text, length, NULL, back) != RR_OK ||
            memcmp(back, name, size) != 0) {
            ck_abort_msg("%s does not come back", text);
        }
        ldns_rdf *rdf = ldns_dname_new_frm_str(text);
        if (rdf == NULL || ldns_rdf_size(rdf) != size ||
            memcmp(ldns_rdf_data(rdf), name, size) != 0) {
            ck_abort_msg("%s is another name for ldns", text);
        }
        ldns_rdf_deep_free(rdf);
    }
    /* The longest text: every octet takes four characters. */
    uint8_t name[NAME_MAX_OCTETS] = {0}, label[63] = {0};
    ck_assert(names_prepend(name, label, 63) && names_prepend(name, label, 63) &&
              names_prepend(name, label, 63) && names_prepend(name, label, 61));
    ck_assert_uint_eq(name_to_text(name, text), 250 * 4 + 4);
    unit_guarded_free(text, NAME_MAX_TEXT);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("name");
    tcase_add_test(unit.tests, lower_case);
    tcase_add_test(unit.tests, check);
    tcase_add_test(unit.tests, sizes);
    tcase_add_test(unit.tests, comparisons);
    tcase_add_test(unit.tests, from_text);
    tcase_add_test(unit.tests, from_text_refused);
    tcase_add_test(unit.tests, from_text_limits);
    tcase_add_test(unit.tests, to_text);
    tcase_add_test(unit.tests, round_trip);
    return unit_end(&unit);
}

/*
 * Record types: numbers and words, what is compressed, what has targets.
 */
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/rrtype.h"
#include "unit.h"

static int from_text(const char *text, uint16_t *type)
{
    size_t length = strlen(text);
    char *copy = unit_guarded(length == 0 ? 1 : length);
    memcpy(copy, text, length);
    int error = rrtype_from_text(copy, length, type);
    unit_guarded_free(copy, length == 0 ? 1 : length);
    return error;
}

/* Every number to text and back; words agree with ldns where it knows the type. */
START_TEST(all_numbers)
{
    unsigned known = 0;
    for (unsigned number = 0; number < 65536; number++) {
        char text[RRTYPE_TEXT_MAX], plain[RRTYPE_TEXT_MAX];
        uint16_t type = 0;
        size_t length = rrtype_to_text((uint16_t)number, text);
        snprintf(plain, sizeof plain, "TYPE%u", number);
        if (strlen(text) != length || rrtype_from_text(text, length, &type) != RR_OK ||
            type != number || rrtype_from_text(plain, strlen(plain), &type) != RR_OK ||
            type != number) {
            ck_abort_msg("%s does not come back", text);
        }
        bool has_word = strcmp(text, plain) != 0;
        known += has_word ? 1 : 0;
        if (has_word != (rrtype_form((uint16_t)number) != NULL)) {
            ck_abort_msg("%s has a form but no word, or the other way round", text);
        }
        if (has_word && number != RRTYPE_NXNAME) { /* younger than ldns 1.8 */
            ck_assert_uint_eq(ldns_get_rr_type_by_name(text), number);
        }
    }
    ck_assert_uint_gt(known, 60);
}
END_TEST

/* Each line of rrtypes.def, in upper, lower and mixed case; and what is nearly it is not it. */
START_TEST(all_words)
{
    static const struct {
        const char *word;
        uint16_t number;
        const char *form;
    } lines[] = {
#define RRTYPE(mnemonic, number, form) {#mnemonic, number, form},
#include "dns/rrtypes.def"
#undef RRTYPE
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const char *word = lines[i].word;
        size_t length = strlen(word);
        for (unsigned lower = 0; lower < 1u << length; lower++) {
            char text[RRTYPE_TEXT_MAX] = "";
            for (size_t k = 0; k < length; k++) {
                bool letter = word[k] >= 'A' && word[k] <= 'Z' && (lower >> k & 1) != 0;
                text[k] = (char)(letter ? word[k] + ('a' - 'A') : word[k]);
            }
            uint16_t type = 0;
            if (rrtype_from_text(text, length, &type) != RR_OK || type != lines[i].number) {
                ck_abort_msg("%s is type %u", text, type);
            }
        }
        char text[RRTYPE_TEXT_MAX];
        ck_assert_uint_eq(rrtype_to_text(lines[i].number, text), length);
        ck_assert_str_eq(text, word);
        ck_assert_str_eq(rrtype_form(lines[i].number), lines[i].form);
        /* One bit off but for the case's: another word, or none. */
        for (size_t bit = 0; bit < 8 * length; bit++) {
            memcpy(text, word, length);
            text[bit / 8] = (char)(text[bit / 8] ^ 1 << bit % 8);
            uint16_t type = 0;
            bool letter = word[bit / 8] >= 'A' && word[bit / 8] <= 'Z';
            bool same = rrtype_from_text(text, length, &type) == RR_OK && type == lines[i].number;
            if (same != (letter && bit % 8 == 5)) {
                ck_abort_msg("%s with bit %zu turned", word, bit);
            }
        }
    }
}
END_TEST

START_TEST(word)
{
    static const struct {
        const char *word;
        int error;
        uint16_t type;
    } words[] = {
        {"A", RR_OK, 1},
        {"a", RR_OK, 1},
        {"aAaA", RR_OK, 28},
        {"soa", RR_OK, 6},
        {"Nsec3Param", RR_OK, 51},
        {"type1", RR_OK, 1},
        {"TYPE0", RR_OK, 0},
        {"Type65535", RR_OK, 65535},
        {"TYPE00001", RR_OK, 1},
        {"TYPE65536", RR_ERANGE, 0},
        {"TYPE99999", RR_ERANGE, 0},
        {"TYPE", RR_ENOENT, 0},
        {"TYPE1x", RR_ENOENT, 0},
        {"TYPE-1", RR_ENOENT, 0},
        {"TYPE100000", RR_ENOENT, 0},
        {"", RR_ENOENT, 0},
        {"AA", RR_ENOENT, 0},
        {"AAA", RR_ENOENT, 0},
        {"MXX", RR_ENOENT, 0},
        {"M", RR_ENOENT, 0},
        {"CNAMES", RR_ENOENT, 0},
        {"IN", RR_ENOENT, 0},
        {"DNSKEYS", RR_ENOENT, 0},
        {"1", RR_ENOENT, 0},
        {"\x01", RR_ENOENT, 0},
        {"ANY", RR_OK, 255},
        {"nxname", RR_OK, 128},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        uint16_t type = 0;
        int error = from_text(words[i].word, &type);
        ck_assert_msg(error == words[i].error, "%s: %s", words[i].word, rr_strerror(error));
        if (error == RR_OK) {
            ck_assert_msg(type == words[i].type, "%s: %u", words[i].word, type);
        }
    }
}
END_TEST

/* Also with NULs in them: a word is as long as it is said to be. */
START_TEST(words_of_a_length)
{
    uint16_t type;
    ck_assert_int_eq(rrtype_from_text("A\0", 2, &type), RR_ENOENT);
    ck_assert_int_eq(rrtype_from_text("\0A", 2, &type), RR_ENOENT);
    ck_assert_int_eq(rrtype_from_text("AAAA", 1, &type), RR_OK);
    ck_assert_uint_eq(type, RRTYPE_A);
    ck_assert_int_eq(rrtype_from_text("TYPE12", 5, &type), RR_OK);
    ck_assert_uint_eq(type, 1);
}
END_TEST

START_TEST(meta)
{
    for (unsigned type = 0; type < 65536; type++) {
        bool expected = type == 0 || type == 41 || (type >= 128 && type <= 255);
        if (rrtype_is_meta((uint16_t)type) != expected) {
            ck_abort_msg("type %u", type);
        }
        const char *form = rrtype_form((uint16_t)type);
        if (form != NULL && (*form == '\0') != expected) {
            ck_abort_msg("the form of type %u", type);
        }
    }
}
END_TEST

/* RFC 3597 section 4: those of RFC 1035 and no others; they agree with the form. */
START_TEST(compressible)
{
    static const struct {
        uint16_t type;
        uint8_t prefix, count;
    } types[] = {
        {RRTYPE_NS, 0, 1}, {RRTYPE_MD, 0, 1},    {RRTYPE_MF, 0, 1},  {RRTYPE_CNAME, 0, 1},
        {RRTYPE_MB, 0, 1}, {RRTYPE_MG, 0, 1},    {RRTYPE_MR, 0, 1},  {RRTYPE_PTR, 0, 1},
        {RRTYPE_MX, 2, 1}, {RRTYPE_MINFO, 0, 2}, {RRTYPE_SOA, 0, 2},
    };
    for (unsigned type = 0; type < 65536; type++) {
        unsigned prefix = 0, count = 0;
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            if (types[i].type == type) {
                prefix = types[i].prefix;
                count = types[i].count;
            }
        }
        struct rrtype_names names = rrtype_compressible((uint16_t)type);
        const char *form = rrtype_form((uint16_t)type);
        unsigned in_form = 0;
        for (; form != NULL && *form != '\0'; form++) {
            in_form += *form == 'N';
        }
        if (names.prefix != prefix || names.count != count || in_form != count) {
            ck_abort_msg("type %u", type);
        }
    }
}
END_TEST

/* Which types have a host whose addresses are sent along, and where its name stands. */
START_TEST(targets)
{
    static const struct {
        uint16_t type;
        int at;
    } types[] = {
        {RRTYPE_NS, 0}, {RRTYPE_MB, 0}, {RRTYPE_MX, 2},   {RRTYPE_AFSDB, 2}, {RRTYPE_RT, 2},
        {RRTYPE_KX, 2}, {RRTYPE_LP, 2}, {RRTYPE_SVCB, 2}, {RRTYPE_HTTPS, 2}, {RRTYPE_SRV, 6},
    };
    for (unsigned type = 0; type < 65536; type++) {
        int expected = -1;
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            expected = types[i].type == type ? types[i].at : expected;
        }
        if (rrtype_target((uint16_t)type) != expected) {
            ck_abort_msg("type %u", type);
        }
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("rrtype");
    tcase_add_test(unit.tests, all_numbers);
    tcase_add_test(unit.tests, all_words);
    tcase_add_test(unit.tests, word);
    tcase_add_test(unit.tests, words_of_a_length);
    tcase_add_test(unit.tests, meta);
    tcase_add_test(unit.tests, compressible);
    tcase_add_test(unit.tests, targets);
    return unit_end(&unit);
}

/*
 * Hex, base32hex, base64: the vectors of RFC 4648 section 10, what is refused, and any octets there
 * and back in any pieces.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "dns/base_encoding.h"
#include "unit.h"

struct base {
    int (*feed)(struct base_decoder *, const char *, size_t, struct wire_writer *);
    int (*end)(const struct base_decoder *);
    void (*encode)(struct wire_writer *, const uint8_t *, size_t);
};

static const struct base hex = {hex_feed, hex_end, hex_encode};
static const struct base base32 = {base32hex_feed, base32hex_end, base32hex_encode};
static const struct base base64 = {base64_feed, base64_end, base64_encode};

/* The octets of text, or NULL where it is refused. */
static const char *decoded(const struct base *base, const char *text)
{
    static uint8_t room[1024];
    struct base_decoder decoder = {0};
    struct wire_writer out = wire_writer_init(room, sizeof room - 1);
    if (base->feed(&decoder, text, strlen(text), &out) != RR_OK || base->end(&decoder) != RR_OK) {
        return NULL;
    }
    room[out.pos] = '\0';
    return (const char *)room;
}

static const char *encoded(const struct base *base, const char *octets)
{
    static uint8_t room[1024];
    struct wire_writer out = wire_writer_init(room, sizeof room - 1);
    base->encode(&out, (const uint8_t *)octets, strlen(octets));
    room[out.pos] = '\0';
    return (const char *)room;
}

START_TEST(vectors)
{
    static const char *const octets[] = {"", "f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const as64[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                       "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char *const as32[] = {"",        "co",       "cpng",      "cpnmu",
                                       "cpnmuog", "cpnmuoj1", "cpnmuoj1e8"};
    static const char *const as16[] = {"",         "66",         "666F",        "666F6F",
                                       "666F6F62", "666F6F6261", "666F6F626172"};
    for (unsigned i = 0; i < 7; i++) {
        ck_assert_str_eq(encoded(&base64, octets[i]), as64[i]);
        ck_assert_str_eq(encoded(&base32, octets[i]), as32[i]);
        ck_assert_str_eq(encoded(&hex, octets[i]), as16[i]);
        ck_assert_str_eq(decoded(&base64, as64[i]), octets[i]);
        ck_assert_str_eq(decoded(&base32, as32[i]), octets[i]);
        ck_assert_str_eq(decoded(&hex, as16[i]), octets[i]);
    }
    ck_assert_str_eq(decoded(&hex, "666f6F"), "foo");
    ck_assert_str_eq(decoded(&base32, "CPNMUOJ1"), "fooba");
}
END_TEST

START_TEST(refused)
{
    static const char *const bad64[] = {"Z",    "Zg",    "Zg=",   "Zg===", "Zh==", "Zm9=",  "=",
                                        "Zm8", "Zm8==", "Zg==Zg==", "Zm 9v", "Zm9-", "Zm9v=",
                                        "Z=g="};
    static const char *const bad32[] = {"c", "cp1n", "cw", "co=", "cpn", "cpnmuo", "cp!g", "cp"};
    static const char *const bad16[] = {"6", "6g", "0x66", "66 66", "666"};
    for (size_t i = 0; i < sizeof bad64 / sizeof bad64[0]; i++) {
        ck_assert_msg(decoded(&base64, bad64[i]) == NULL, "%s", bad64[i]);
    }
    for (size_t i = 0; i < sizeof bad32 / sizeof bad32[0]; i++) {
        ck_assert_msg(decoded(&base32, bad32[i]) == NULL, "%s", bad32[i]);
    }
    for (size_t i = 0; i < sizeof bad16 / sizeof bad16[0]; i++) {
        ck_assert_msg(decoded(&hex, bad16[i]) == NULL, "%s", bad16[i]);
    }
}
END_TEST

START_TEST(every_octet_of_text)
{
    /* at every place of a group, only digits are taken */
    static const char digits64[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
    for (unsigned octet = 1; octet < 256; octet++) {
        for (unsigned place = 0; place < 8; place++) {
            char text[] = "AAAAAAAA";
            text[place] = (char)octet;
            bool digit = strchr(digits64, (int)octet) != NULL;
            ck_assert_int_eq(decoded(&base64, text) != NULL,
                             digit && (octet != '=' || place == 7));
            ck_assert_int_eq(decoded(&base32, text) != NULL,
                             strchr("0123456789ABCDEFGHIJKLMNOPQRSTUVabcdefghijklmnopqrstuv",
                                    (int)octet) != NULL);
            ck_assert_int_eq(decoded(&hex, text) != NULL,
                             strchr("0123456789ABCDEFabcdef", (int)octet) != NULL);
        }
    }
}
END_TEST

static void there_and_back(struct rng *rng, const struct base *base)
{
    uint8_t octets[300], text[700], back[300];
    size_t size = rng_below(rng, sizeof octets + 1);
    rng_fill(rng, octets, size);
    struct wire_writer out = wire_writer_init(text, sizeof text);
    base->encode(&out, octets, size);
    ck_assert(!out.failed);
    struct base_decoder decoder = {0};
    struct wire_writer in = wire_writer_init(back, size);
    for (size_t at = 0; at < out.pos;) {
        size_t piece = 1 + rng_below(rng, 9);
        piece = piece < out.pos - at ? piece : out.pos - at;
        ck_assert_int_eq(base->feed(&decoder, (const char *)text + at, piece, &in), RR_OK);
        at += piece;
    }
    ck_assert_int_eq(base->end(&decoder), RR_OK);
    ck_assert(!in.failed && in.pos == size);
    ck_assert_mem_eq(back, octets, size);
    /* no room for the last octet: the writer says so */
    if (size > 0) {
        struct base_decoder again = {0};
        struct wire_writer small = wire_writer_init(back, size - 1);
        base->feed(&again, (const char *)text, out.pos, &small);
        ck_assert(small.failed);
    }
}

START_TEST(random_octets)
{
    struct rng rng = rng_start();
    for (unsigned i = 0; i < 20000 / UNIT_SLOWER; i++) {
        there_and_back(&rng, &hex);
        there_and_back(&rng, &base32);
        there_and_back(&rng, &base64);
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("base_encoding");
    tcase_add_test(unit.tests, vectors);
    tcase_add_test(unit.tests, refused);
    tcase_add_test(unit.tests, every_octet_of_text);
    tcase_add_test(unit.tests, random_octets);
    return unit_end(&unit);
}

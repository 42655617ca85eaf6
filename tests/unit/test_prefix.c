/*
 * Prefixes: as text, and what they hold; compared bit by bit with the address.
 */
#include "base/prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "unit.h"

static struct prefix parse(const char *text)
{
    struct prefix prefix;
    ck_assert_msg(prefix_parse(text, &prefix) == RR_OK, "%s", text);
    return prefix;
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage storage;
    memset(&storage, 0xff, sizeof storage); /* what is no part of the address plays none */
    bool v6 = strchr(text, ':') != NULL;
    storage.ss_family = v6 ? AF_INET6 : AF_INET;
    void *octets = v6 ? (void *)&((struct sockaddr_in6 *)&storage)->sin6_addr
                      : (void *)&((struct sockaddr_in *)&storage)->sin_addr;
    ck_assert_int_eq(inet_pton(storage.ss_family, text, octets), 1);
    return storage;
}

static bool holds(const char *prefix, const char *text)
{
    struct prefix parsed = parse(prefix);
    struct sockaddr_storage storage = address(text);
    return prefix_any_holds(&parsed, 1, (const struct sockaddr *)&storage);
}

START_TEST(as_text)
{
    struct prefix prefix = parse("192.0.2.0/24");
    ck_assert_uint_eq(prefix.family_v6, 0);
    ck_assert_uint_eq(prefix.bits, 24);
    ck_assert_mem_eq(prefix.address, "\300\0\2\0", 4);
    prefix = parse("2001:db8::/32");
    ck_assert_uint_eq(prefix.family_v6, 1);
    ck_assert_uint_eq(prefix.bits, 32);
    ck_assert_mem_eq(prefix.address, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0", 16);
    ck_assert_uint_eq(parse("192.0.2.1").bits, 32);
    ck_assert_uint_eq(parse("2001:db8::1").bits, 128);
    ck_assert_uint_eq(parse("0.0.0.0/0").bits, 0);
    ck_assert_uint_eq(parse("::/0").bits, 0);
    ck_assert_uint_eq(parse("128.0.0.0/1").bits, 1);
    ck_assert_uint_eq(parse("2001:db8:1111:2222:3333:4444:192.168.100.200/128").bits, 128);
}
END_TEST

START_TEST(no_prefixes)
{
    static const char *const texts[] = {
        "",
        "/",
        "/24",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/+8",
        "192.0.2.0/ 8",
        "192.0.2.0/8 ",
        "192.0.2.0/024",
        "192.0.2.0/00",
        "192.0.2.0/24/24",
        "192.0.2.0/999",
        "192.0.2.0/4294967320",
        "192.0.2/24",
        "192.0.2.0.0/24",
        "192.0.2.256/32",
        "::/129",
        "::/256",
        ":/0",
        "fe80::1%lo",
        "[::1]/128",
        "localhost",
        "example.com/24",
        " 192.0.2.1",
        "0x7f.0.0.1",
        "2001:db8:1111:2222:3333:4444:192.168.100.200.300.400/128",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct prefix prefix;
        ck_assert_msg(prefix_parse(texts[i], &prefix) == RR_EINVAL, "%s", texts[i]);
    }
}
END_TEST

START_TEST(bits_past_the_length)
{
    static const char *const texts[] = {
        "192.0.2.1/24",         "192.0.2.1/31",     "0.0.0.1/0", "128.0.0.0/0",
        "192.0.2.128/24",       "2001:db8::1/127",  "::1/0",     "8000::/0",
        "::ffff:192.0.2.1/120", "::ffff:0.0.0.0/95"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct prefix prefix;
        ck_assert_msg(prefix_parse(texts[i], &prefix) == RR_ERANGE, "%s", texts[i]);
    }
}
END_TEST

START_TEST(what_they_hold)
{
    ck_assert(holds("192.0.2.0/24", "192.0.2.0"));
    ck_assert(holds("192.0.2.0/24", "192.0.2.255"));
    ck_assert(!holds("192.0.2.0/24", "192.0.3.0"));
    ck_assert(!holds("192.0.2.0/24", "192.0.1.255"));
    ck_assert(holds("192.0.2.1", "192.0.2.1"));
    ck_assert(!holds("192.0.2.1", "192.0.2.0"));
    ck_assert(holds("0.0.0.0/0", "255.255.255.255"));
    ck_assert(holds("10.128.0.0/9", "10.255.0.1"));
    ck_assert(!holds("10.128.0.0/9", "10.127.255.255"));
    ck_assert(holds("2001:db8::/33", "2001:db8:7fff::1"));
    ck_assert(!holds("2001:db8::/33", "2001:db8:8000::1"));
    ck_assert(holds("::/0", "2001:db8::1"));
    ck_assert(holds("::1", "::1"));
    ck_assert(!holds("::1", "::2"));
}
END_TEST

START_TEST(families_apart)
{
    ck_assert(!holds("::/0", "192.0.2.1"));
    ck_assert(!holds("0.0.0.0/0", "2001:db8::1"));
    /* The first octets alike. */
    ck_assert(!holds("32.1.13.184/32", "2001:db8::1"));
    ck_assert(!holds("2001:db8::/32", "32.1.13.184"));
}
END_TEST

START_TEST(mapped_ones_are_ipv4)
{
    ck_assert(holds("192.0.2.0/24", "::ffff:192.0.2.1"));
    ck_assert(!holds("192.0.2.0/24", "::ffff:192.0.3.1"));
    ck_assert(!holds("192.0.2.0/24", "::192.0.2.1")); /* not mapped */
    ck_assert(!holds("::/0", "::ffff:192.0.2.1"));
    ck_assert(holds("::ffff:192.0.2.0/120", "192.0.2.1"));
    ck_assert(holds("::ffff:192.0.2.0/120", "::ffff:192.0.2.1"));
    ck_assert(!holds("::ffff:192.0.2.0/120", "192.0.3.1"));
    ck_assert(holds("::ffff:0:0/96", "198.51.100.1"));
    ck_assert_uint_eq(parse("::ffff:0:0/96").family_v6, 0);
}
END_TEST

START_TEST(any_of_them)
{
    struct prefix prefixes[] = {parse("10.0.0.0/8"), parse("::1"), parse("192.0.2.7")};
    struct sockaddr_storage storage = address("192.0.2.7");
    const struct sockaddr *client = (const struct sockaddr *)&storage;
    ck_assert(prefix_any_holds(prefixes, 3, client));
    ck_assert(!prefix_any_holds(prefixes, 2, client));
    ck_assert(!prefix_any_holds(prefixes, 0, client));
    ck_assert(!prefix_any_holds(NULL, 0, client));
    storage = address("::1");
    ck_assert(prefix_any_holds(prefixes, 2, client));
    ck_assert(!prefix_any_holds(prefixes, 1, client));
}
END_TEST

START_TEST(every_length)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 20000; round++) {
        bool v6 = rng_once_in(&rng, 2);
        unsigned size = v6 ? 128 : 32;
        struct prefix prefix = {.family_v6 = v6, .bits = (uint8_t)rng_below(&rng, size + 1)};
        struct sockaddr_storage storage = address(v6 ? "2001:db8::" : "192.0.2.0");
        uint8_t *octets = v6 ? ((struct sockaddr_in6 *)&storage)->sin6_addr.s6_addr
                             : (uint8_t *)&((struct sockaddr_in *)&storage)->sin_addr;
        rng_fill(&rng, octets + 1, size / 8 - 1);
        for (unsigned bit = 0; bit < prefix.bits; bit++) {
            unsigned own = octets[bit / 8] & 0x80u >> bit % 8;
            prefix.address[bit / 8] = (uint8_t)(prefix.address[bit / 8] | own);
        }
        const struct sockaddr *client = (const struct sockaddr *)&storage;
        ck_assert(prefix_any_holds(&prefix, 1, client));
        char text[INET6_ADDRSTRLEN + 4];
        inet_ntop(v6 ? AF_INET6 : AF_INET, prefix.address, text, INET6_ADDRSTRLEN);
        size_t length = strlen(text);
        snprintf(text + length, sizeof text - length, "/%u", prefix.bits);
        struct prefix read = parse(text);
        ck_assert_mem_eq(&read, &prefix, sizeof read);
        unsigned flipped = rng_below(&rng, size);
        octets[flipped / 8] ^= (uint8_t)(0x80 >> flipped % 8);
        ck_assert(prefix_any_holds(&prefix, 1, client) == (flipped >= prefix.bits));
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("prefix");
    tcase_add_test(unit.tests, as_text);
    tcase_add_test(unit.tests, no_prefixes);
    tcase_add_test(unit.tests, bits_past_the_length);
    tcase_add_test(unit.tests, what_they_hold);
    tcase_add_test(unit.tests, families_apart);
    tcase_add_test(unit.tests, mapped_ones_are_ipv4);
    tcase_add_test(unit.tests, any_of_them);
    tcase_add_test(unit.tests, every_length);
    return unit_end(&unit);
}

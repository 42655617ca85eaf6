/*
 * Server cookies against RFC 9018 rebuilt from its text over OpenSSL's SipHash: what a cookie is
 * made of, how long it is good and when it is renewed, how a new secret takes over from an old one
 * (section 5). The vectors of appendix A are in test_serve.c but for the first, which here says
 * that the rebuilt reference is right.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "dns/wire.h"
#include "serve/cookie.h"
#include "unit.h"

enum { WALL = 1559731985 };

struct client {
    struct sockaddr_storage address;
    uint8_t octets[16]; /* of the address alone, as it is hashed */
    size_t size;
};

static struct client client_at(const char *text)
{
    struct client client = {.size = 4};
    if (inet_pton(AF_INET, text, client.octets) == 1) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(53)};
        memcpy(&in.sin_addr, client.octets, 4);
        memcpy(&client.address, &in, sizeof in);
        return client;
    }
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    ck_assert_int_eq(inet_pton(AF_INET6, text, client.octets), 1);
    client.size = 16;
    memcpy(&in6.sin6_addr, client.octets, 16);
    memcpy(&client.address, &in6, sizeof in6);
    return client;
}

static const struct sockaddr *peer_of(const struct client *client)
{
    return (const struct sockaddr *)(const void *)&client->address;
}

/* SipHash-2-4 with a result of 8 octets; OpenSSL's key is ours. */
static void slow_siphash(const uint8_t secret[16], const uint8_t *data, size_t size, uint8_t *hash)
{
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "SIPHASH", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    size_t length = 8, got = 0;
    OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &length),
                               OSSL_PARAM_construct_end()};
    ck_assert_int_eq(EVP_MAC_CTX_set_params(context, parameters), 1);
    ck_assert_int_eq(EVP_MAC_init(context, secret, 16, NULL), 1);
    ck_assert_int_eq(EVP_MAC_update(context, data, size), 1);
    ck_assert_int_eq(EVP_MAC_final(context, hash, &got, 8), 1);
    ck_assert_uint_eq(got, 8);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
}

/*
 * Section 4: Client Cookie | Version | Reserved | Timestamp | Hash, the hash over all before it and
 * the client's address.
 */
static void slow_cookie(const uint8_t secret[16], const uint8_t own[8], uint32_t reserved,
                        uint32_t when, const struct client *client, uint8_t cookie[COOKIE_SIZE])
{
    uint8_t input[32];
    uint32_t second = htonl(1u << 24 | reserved), third = htonl(when);
    memcpy(input, own, 8);
    memcpy(input + 8, &second, 4);
    memcpy(input + 12, &third, 4);
    memcpy(input + 16, client->octets, client->size);
    memcpy(cookie, input, 16);
    slow_siphash(secret, input, 16 + client->size, cookie + 16);
}

static enum cookie_verdict check(const struct settings *settings, const struct client *client,
                                 const uint8_t *cookie, size_t size, uint32_t wall,
                                 uint8_t answer[COOKIE_SIZE])
{
    /* A cookie is read up to its end and no further. */
    uint8_t *sent = unit_guarded(size);
    memcpy(sent, cookie, size);
    struct query q = {.cookie = sent, .cookie_size = (uint8_t)size};
    memset(answer, 0xee, COOKIE_SIZE);
    enum cookie_verdict verdict = cookie_check(settings, &q, peer_of(client), wall, answer);
    unit_guarded_free(sent, size);
    return verdict;
}

static struct settings settings_of(const char *secret, const char *before)
{
    struct settings settings = {.cookies = true};
    memcpy(settings.cookie_secret, secret, 16);
    memcpy(settings.cookie_secret_before, before, 16);
    return settings;
}

/* RFC 9018 appendix A.1, as it is printed there. */
START_TEST(learning_a_cookie)
{
    static const uint8_t own[8] = {0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57};
    static const uint8_t secret[16] = {0xe5, 0xe9, 0x73, 0xe5, 0xa6, 0xb2, 0xa4, 0x3f,
                                       0x48, 0xe7, 0xdc, 0x84, 0x9e, 0x37, 0xbf, 0xcf};
    static const uint8_t expected[COOKIE_SIZE] = {
        0x24, 0x64, 0xc4, 0xab, 0xcf, 0x10, 0xc9, 0x57, 0x01, 0x00, 0x00, 0x00,
        0x5c, 0xf7, 0x9f, 0x11, 0x1f, 0x81, 0x30, 0xc3, 0xee, 0xe2, 0x94, 0x80,
    };
    struct settings settings = {.cookies = true};
    memcpy(settings.cookie_secret, secret, 16);
    struct client client = client_at("198.51.100.100");
    uint8_t answer[COOKIE_SIZE];
    ck_assert_int_eq(check(&settings, &client, own, 8, WALL, answer), COOKIE_CLIENT);
    ck_assert_mem_eq(answer, expected, COOKIE_SIZE);
    slow_cookie(secret, own, 0, WALL, &client, answer);
    ck_assert_mem_eq(answer, expected, COOKIE_SIZE);
}
END_TEST

/* Neither the port nor, with IPv6, the scope or flow: a client keeps its cookie over sockets. */
START_TEST(address_alone)
{
    struct settings settings = settings_of("secret of today.", "one of yesterday");
    uint8_t first[COOKIE_SIZE], answer[COOKIE_SIZE];
    struct client client = client_at("192.0.2.1");
    check(&settings, &client, (const uint8_t *)"12345678", 8, WALL, first);
    ((struct sockaddr_in *)(void *)&client.address)->sin_port = htons(4711);
    ck_assert_int_eq(check(&settings, &client, first, COOKIE_SIZE, WALL, answer), COOKIE_VALID);
    ck_assert_mem_eq(answer, first, COOKIE_SIZE);

    client = client_at("fe80::1");
    check(&settings, &client, (const uint8_t *)"12345678", 8, WALL, first);
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)&client.address;
    in6->sin6_port = htons(4711);
    in6->sin6_scope_id = 3;
    in6->sin6_flowinfo = htonl(5);
    ck_assert_int_eq(check(&settings, &client, first, COOKIE_SIZE, WALL, answer), COOKIE_VALID);
    in6->sin6_addr.s6_addr[15]++; /* all 16 octets count */
    ck_assert_int_eq(check(&settings, &client, first, COOKIE_SIZE, WALL, answer), COOKIE_INVALID);
}
END_TEST

/*
 * Section 5: a cookie made with the secret before is good through its hour, but answered with one
 * of the new secret at once; after a second change it is worth nothing.
 */
START_TEST(rollover)
{
    struct settings one = settings_of("first secret ...", "none, ever .....");
    struct settings two = settings_of("second secret ..", "first secret ...");
    struct settings three = settings_of("third secret ...", "second secret ..");
    struct client client = client_at("2001:db8::77");
    uint8_t cookie[COOKIE_SIZE], answer[COOKIE_SIZE], expected[COOKIE_SIZE];
    const uint8_t *own = (const uint8_t *)"abcdefgh";
    check(&one, &client, own, 8, WALL, cookie);

    ck_assert_int_eq(check(&two, &client, cookie, COOKIE_SIZE, WALL + 1, answer), COOKIE_VALID);
    slow_cookie(two.cookie_secret, own, 0, WALL + 1, &client, expected);
    ck_assert_mem_eq(answer, expected, COOKIE_SIZE);
    ck_assert_int_eq(check(&two, &client, cookie, COOKIE_SIZE, WALL + 3600, answer), COOKIE_VALID);
    ck_assert_int_eq(check(&two, &client, cookie, COOKIE_SIZE, WALL + 3601, answer),
                     COOKIE_INVALID);
    ck_assert_int_eq(check(&three, &client, cookie, COOKIE_SIZE, WALL + 1, answer),
                     COOKIE_INVALID);
    slow_cookie(three.cookie_secret, own, 0, WALL + 1, &client, expected);
    ck_assert_mem_eq(answer, expected, COOKIE_SIZE);

    /* What was renewed outlives the third secret's coming, not the fourth's. */
    ck_assert_int_eq(check(&three, &client, expected, COOKIE_SIZE, WALL + 1, answer),
                     COOKIE_VALID);
    slow_cookie(two.cookie_secret, own, 0, WALL + 1, &client, cookie);
    ck_assert_int_eq(check(&three, &client, cookie, COOKIE_SIZE, WALL + 2, answer), COOKIE_VALID);
    ck_assert_int_eq(check(&one, &client, cookie, COOKIE_SIZE, WALL + 2, answer), COOKIE_INVALID);
}
END_TEST

/* One client asking every ten minutes for a day: never refused, a new cookie each half hour. */
START_TEST(a_day)
{
    struct settings settings = settings_of("secret of today.", "one of yesterday");
    struct client client = client_at("192.0.2.1");
    uint8_t cookie[COOKIE_SIZE] = "12345678", answer[COOKIE_SIZE];
    check(&settings, &client, cookie, 8, WALL, cookie);
    unsigned renewed = 0;
    for (uint32_t after = 600; after <= 86400; after += 600) {
        ck_assert_int_eq(check(&settings, &client, cookie, COOKIE_SIZE, WALL + after, answer),
                         COOKIE_VALID);
        bool same = memcmp(answer, cookie, COOKIE_SIZE) == 0;
        ck_assert_uint_eq(same, after % 1800 != 0);
        renewed += same ? 0 : 1;
        memcpy(cookie, answer, COOKIE_SIZE);
    }
    ck_assert_uint_eq(renewed, 48);
}
END_TEST

static bool good_age(int64_t age)
{
    return age >= -300 && age <= 3600;
}

static const uint8_t other_secret[16] = "somebody else's.";

/* Cookies of every kind, by either secret or none, at ages around every limit. */
START_TEST(random_cookies)
{
    static const int64_t ages[] = {-100000, -301, -300, -299, -1,   0,    1,    1799,
                                   1800,    1801, 3599, 3600, 3601, 7200, 100000};
    struct rng rng = rng_start();
    struct client clients[] = {client_at("192.0.2.1"), client_at("192.0.2.2"),
                               client_at("2001:db8::1"), client_at("::ffff:192.0.2.1")};
    unsigned seen[3] = {0};
    for (unsigned round = 0; round < 20000 / UNIT_SLOWER; round++) {
        struct settings settings = {.cookies = true};
        uint8_t own[8], sent[40], answer[COOKIE_SIZE], expected[COOKIE_SIZE];
        rng_fill(&rng, settings.cookie_secret, 16);
        rng_fill(&rng, settings.cookie_secret_before, 16);
        rng_fill(&rng, own, sizeof own);
        rng_fill(&rng, sent, sizeof sent);
        unsigned by = rng_below(&rng, 4); /* the current secret, twice as often as the others */
        const uint8_t *secret = by < 2    ? settings.cookie_secret
                                : by == 2 ? settings.cookie_secret_before
                                          : other_secret;
        const struct client *from = &clients[rng_below(&rng, 4)];
        const struct client *made_for = rng_once_in(&rng, 6) ? &clients[rng_below(&rng, 4)] : from;
        uint32_t reserved = rng_once_in(&rng, 3) ? rng_below(&rng, 1u << 24) : 0;
        uint32_t wall = rng_once_in(&rng, 4) ? rng_below(&rng, 5000) : (uint32_t)rng_next(&rng);
        int64_t age = ages[rng_below(&rng, sizeof ages / sizeof ages[0])];
        slow_cookie(secret, own, reserved, wall - (uint32_t)age, made_for, sent);
        size_t size = COOKIE_SIZE;
        bool whole = true;
        switch (rng_below(&rng, 8)) {
        case 0:
            size = 8;
            whole = false;
            break;
        case 1:
            size = 16 + rng_below(&rng, 25);
            whole = size == COOKIE_SIZE;
            break;
        case 2:
            sent[8 + rng_below(&rng, 16)] ^= (uint8_t)(1u << rng_below(&rng, 8));
            whole = false;
            break;
        default:
            break;
        }
        bool valid = whole && by != 3 && made_for == from && good_age(age);
        enum cookie_verdict verdict = size == 8 ? COOKIE_CLIENT
                                      : valid   ? COOKIE_VALID
                                                : COOKIE_INVALID;
        if (valid && by < 2 && age < 1800) {
            memcpy(expected, sent, COOKIE_SIZE);
        } else {
            slow_cookie(settings.cookie_secret, own, 0, wall, from, expected);
        }
        enum cookie_verdict got = check(&settings, from, sent, size, wall, answer);
        if (got != verdict || memcmp(answer, expected, COOKIE_SIZE) != 0) {
            ck_abort_msg("round %u: size %zu, age %lld, secret %u: verdict %d, should be %d", round,
                         size, (long long)age, by, (int)got, (int)verdict);
        }
        seen[verdict]++;
    }
    for (size_t i = 0; i < 3; i++) {
        ck_assert_uint_gt(seen[i], 500 / UNIT_SLOWER);
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("cookie");
    tcase_add_test(unit.tests, learning_a_cookie);
    tcase_add_test(unit.tests, address_alone);
    tcase_add_test(unit.tests, rollover);
    tcase_add_test(unit.tests, a_day);
    tcase_add_test(unit.tests, random_cookies);
    return unit_end(&unit);
}

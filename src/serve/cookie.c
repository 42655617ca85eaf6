#include "serve/cookie.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/siphash.h"
#include "dns/wire.h"

enum {
    CLIENT_SIZE = 8,
    HEAD_SIZE = 8, /* of the server cookie; the hash follows */
    HASH_SIZE = 8,
    VERSION = 1,
    /* RFC 9018 section 4.3. */
    MAX_AGE = 3600,
    MAX_AHEAD = 300,
    RENEW_AGE = 1800,
};

/* The hash over client cookie, the head of a server cookie (version, reserved octets, timestamp)
 * and the client's address. */
static void make_hash(const uint8_t secret[16], const uint8_t *client, const uint8_t *head,
                      const struct sockaddr *peer, uint8_t *hash)
{
    uint8_t input[CLIENT_SIZE + HEAD_SIZE + 16];
    memcpy(input, client, CLIENT_SIZE);
    memcpy(input + CLIENT_SIZE, head, HEAD_SIZE);
    size_t size = CLIENT_SIZE + HEAD_SIZE;
    if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)peer;
        memcpy(input + size, &in6->sin6_addr, 16);
        size += 16;
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)peer;
        memcpy(input + size, &in->sin_addr, 4);
        size += 4;
    }
    uint64_t value = siphash24(secret, input, size);
    for (unsigned i = 0; i < HASH_SIZE; i++) { /* RFC 9018 section 4.4: little end first */
        hash[i] = (uint8_t)(value >> (8 * i));
    }
}

/* A fresh server cookie. */
static void make(const uint8_t secret[16], const uint8_t *client, uint32_t when,
                 const struct sockaddr *peer, uint8_t *server)
{
    server[0] = VERSION;
    memset(server + 1, 0, 3);
    wire_put_u32(server + 4, when);
    make_hash(secret, client, server, peer, server + HEAD_SIZE);
}

/* No early exit: how many octets agree must not show in the time taken. */
static bool same(const uint8_t *a, const uint8_t *b)
{
    unsigned differ = 0;
    for (unsigned i = 0; i < HASH_SIZE; i++) {
        differ |= (unsigned)(a[i] ^ b[i]);
    }
    return differ == 0;
}

enum cookie_verdict cookie_check(const struct settings *settings, const struct query *q,
                                 const struct sockaddr *peer, uint32_t wall,
                                 uint8_t answer[COOKIE_SIZE])
{
    enum cookie_verdict verdict = COOKIE_CLIENT;
    memcpy(answer, q->cookie, CLIENT_SIZE);
    if (q->cookie_size > CLIENT_SIZE) {
        verdict = COOKIE_INVALID;
    }
    if (q->cookie_size == COOKIE_SIZE && q->cookie[CLIENT_SIZE] == VERSION) {
        const uint8_t *sent = q->cookie + CLIENT_SIZE;
        uint32_t when = wire_get_u32(sent + 4);
        int32_t age = (int32_t)(wall - when); /* serial arithmetic (RFC 1982) */
        /* Over the reserved octets as they came: they need not be zero (section 4.2). */
        uint8_t expected[HASH_SIZE];
        make_hash(settings->cookie_secret, q->cookie, sent, peer, expected);
        bool current = same(expected, sent + HEAD_SIZE);
        make_hash(settings->cookie_secret_before, q->cookie, sent, peer, expected);
        bool before = same(expected, sent + HEAD_SIZE);
        if ((current || before) && age <= MAX_AGE && age >= -MAX_AHEAD) {
            verdict = COOKIE_VALID;
            if (current && age < RENEW_AGE) {
                memcpy(answer + CLIENT_SIZE, sent, HEAD_SIZE + HASH_SIZE);
                return verdict;
            }
        }
    }
    make(settings->cookie_secret, q->cookie, wall, peer, answer + CLIENT_SIZE);
    return verdict;
}

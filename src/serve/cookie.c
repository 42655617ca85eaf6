#include "serve/cookie.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "base/siphash.h"
#include "dns/wire.h"

enum {
    CLIENT_SIZE = 8,
    SERVER_SIZE = 16,
    VERSION = 1,
    /* RFC 9018 section 4.3. */
    MAX_AGE = 3600,
    MAX_AHEAD = 300,
    RENEW_AGE = 1800,
};

/* Version, reserved, timestamp, hash. */
static void make(const uint8_t secret[16], const uint8_t *client, uint32_t when,
                 const struct sockaddr *peer, uint8_t *server)
{
    uint8_t input[CLIENT_SIZE + 8 + 16];
    memcpy(input, client, CLIENT_SIZE);
    server[0] = VERSION;
    memset(server + 1, 0, 3);
    wire_put_u32(server + 4, when);
    memcpy(input + CLIENT_SIZE, server, 8);
    size_t size = CLIENT_SIZE + 8;
    if (peer->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)peer;
        memcpy(input + size, &in6->sin6_addr, 16);
        size += 16;
    } else {
        const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)peer;
        memcpy(input + size, &in->sin_addr, 4);
        size += 4;
    }
    uint64_t hash = siphash24(secret, input, size);
    for (unsigned i = 0; i < 8; i++) { /* RFC 9018 section 4.4: the hash's octets, little end first */
        server[8 + i] = (uint8_t)(hash >> (8 * i));
    }
}

/* No early exit: how many octets agree must not show in the time taken. */
static bool same(const uint8_t *a, const uint8_t *b)
{
    unsigned differ = 0;
    for (unsigned i = 0; i < SERVER_SIZE; i++) {
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
        uint8_t expected[SERVER_SIZE];
        make(settings->cookie_secret, q->cookie, when, peer, expected);
        bool current = same(expected, sent);
        make(settings->cookie_secret_before, q->cookie, when, peer, expected);
        bool before = same(expected, sent);
        if ((current || before) && age <= MAX_AGE && age >= -MAX_AHEAD) {
            verdict = COOKIE_VALID;
            if (current && age < RENEW_AGE) {
                memcpy(answer + CLIENT_SIZE, sent, SERVER_SIZE);
                return verdict;
            }
        }
    }
    make(settings->cookie_secret, q->cookie, wall, peer, answer + CLIENT_SIZE);
    return verdict;
}

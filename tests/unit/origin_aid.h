/*
 * What the tests of the proxy over sockets share: a net whose route "test." goes to an upstream
 * server that is the test itself, which so has every question in hand before it is answered.
 */
#ifndef RRDNS_TESTS_ORIGIN_AID_H
#define RRDNS_TESTS_ORIGIN_AID_H

#include <netinet/in.h>
#include <pthread.h>

#include "dns/message.h"
#include "net_aid.h"
#include "routes_aid.h"


struct origin {
    struct aid aid;
    struct routes *routes;
    int datagrams; /* the upstream server's sockets */
    int listener;
    uint16_t port;
};

/* A question as it came to the upstream server. */
struct question_in {
    uint8_t data[512];
    size_t size;
    struct sockaddr_in from;
};

/* The number in a name of origin_query. */
static inline unsigned origin_number(const uint8_t *message)
{
    return (unsigned)strtoul((const char *)message + 14, NULL, 10);
}

/* A query for qNNNNN.test A, 28 octets. */
static inline size_t origin_query(uint8_t *out, uint16_t id, unsigned number)
{
    static const uint8_t header[12] = {0, 0, 1, 0, 0, 1};
    char label[8];
    memcpy(out, header, sizeof header);
    wire_put_u16(out, id);
    snprintf(label, sizeof label, "Q%05u", number % 100000);
    out[12] = 6;
    memcpy(out + 13, label, 6);
    memcpy(out + 19, "\4test", 6);
    wire_put_u16(out + 25, TYPE_A);
    wire_put_u16(out + 27, CLASS_IN);
    return 29;
}

static inline size_t origin_query_tcp(uint8_t *out, uint16_t id, unsigned number)
{
    size_t size = origin_query(out + 2, id, number);
    wire_put_u16(out, (uint16_t)size);
    return 2 + size;
}

static inline void origin_ask(int fd, unsigned number)
{
    uint8_t query[64];
    aid_send(fd, query, origin_query(query, (uint16_t)number, number));
}

static inline void origin_ask_tcp(int fd, unsigned number)
{
    uint8_t query[64];
    aid_send(fd, query, origin_query_tcp(query, (uint16_t)number, number));
}

/* ---- The upstream server ---- */

static inline void origin_open(struct origin *origin)
{
    struct sockaddr_in own = {.sin_family = AF_INET};
    socklen_t size = sizeof own;
    int octets = 4 << 20;
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    origin->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(origin->listener, (struct sockaddr *)&own, sizeof own), 0);
    ck_assert_int_eq(listen(origin->listener, 16), 0);
    getsockname(origin->listener, (struct sockaddr *)&own, &size);
    origin->datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(origin->datagrams, (struct sockaddr *)&own, sizeof own), 0);
    setsockopt(origin->datagrams, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    origin->port = ntohs(own.sin_port);
}

/* Not started yet, so that options and routes can be set. */
static inline void origin_prepare(struct origin *origin, const char *const *addresses,
                                  enum upstream_transport transport)
{
    static const char *const zones[] = {"test."};
    aid_prepare(&origin->aid, addresses);
    origin_open(origin);
    origin->routes = routes_begin(zones, 1, 1);
    routes_server(origin->routes, 0, origin->port, transport);
    atomic_load(&origin->aid.publisher->current)->settings.routes = origin->routes;
}

static inline void origin_begin(struct origin *origin)
{
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    origin_prepare(origin, addresses, UPSTREAM_UDP);
    aid_start(&origin->aid);
}

/* The clients' descriptors are closed. */
static inline void origin_end(struct origin *origin)
{
    net_stop(origin->aid.net, 1000);
    close(origin->datagrams);
    close(origin->listener);
    aid_end(&origin->aid);
    routes_end(origin->routes);
}

static inline bool origin_try(struct origin *origin, struct question_in *q, int ms)
{
    socklen_t size = sizeof q->from;
    if (!aid_ready(origin->datagrams, POLLIN, ms)) {
        return false;
    }
    ssize_t got = recvfrom(origin->datagrams, q->data, sizeof q->data, 0,
                           (struct sockaddr *)&q->from, &size);
    ck_assert_int_ge(got, 29);
    q->size = (size_t)got;
    return true;
}

static inline void origin_take(struct origin *origin, struct question_in *q)
{
    ck_assert(origin_try(origin, q, AID_PATIENCE_MS));
}

/* Whether upstream is asked no more, for so long that it would have been. */
static inline bool origin_is_quiet(struct origin *origin)
{
    return !aid_ready(origin->datagrams, POLLIN, 100);
}

/* Makes a question with the name of origin_query an answer: flags and RCODE as told, one address of
 * 192.0.2.9 if it is NOERROR. Returns its size. */
static inline size_t origin_make(uint8_t *data, uint16_t flags)
{
    static const uint8_t counts[8] = {0, 1};
    static const uint8_t record[16] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4, 192, 0, 2, 9};
    wire_put_u16(data + 2, (uint16_t)(FLAG_QR | flags));
    memcpy(data + 4, counts, sizeof counts);
    if ((flags & (FLAG_TC | 0xf)) != 0) {
        return 29;
    }
    data[7] = 1;
    memcpy(data + 29, record, sizeof record);
    return 29 + sizeof record;
}

static inline void origin_say(struct origin *origin, const struct question_in *q, uint16_t flags)
{
    uint8_t data[512];
    memcpy(data, q->data, q->size);
    size_t size = origin_make(data, flags);
    ck_assert_int_eq(sendto(origin->datagrams, data, size, 0, (const struct sockaddr *)&q->from,
                            sizeof q->from),
                     (ssize_t)size);
}

static inline void origin_reply(struct origin *origin, const struct question_in *q)
{
    origin_say(origin, q, FLAG_RD | FLAG_RA);
}

/* Takes so many questions and answers them. */
static inline void origin_reply_all(struct origin *origin, unsigned count)
{
    struct question_in q;
    for (unsigned i = 0; i < count; i++) {
        origin_take(origin, &q);
        origin_reply(origin, &q);
    }
}

/* ---- Its clients ---- */

/* An answer to origin_query: the number asked is its ID, the name stands as asked. Returns its
 * RCODE. */
static inline unsigned origin_check(const uint8_t *answer, size_t size)
{
    uint8_t query[64];
    ck_assert_uint_ge(size, 29);
    origin_query(query, 0, wire_get_u16(answer));
    ck_assert_mem_eq(answer + 12, query + 12, 17);
    ck_assert_uint_eq(answer[2] & 0xfc, 0x80); /* no AA */
    ck_assert_uint_eq(answer[3] & 0x80, 0x80); /* RA */
    unsigned rcode = answer[3] & 0xf;
    ck_assert_uint_eq(size, rcode == 0 && (answer[2] & 2) == 0 ? 29 + 16 : 29);
    return rcode;
}

/* Reads the next answer; *number becomes what was asked. Returns its RCODE. */
static inline unsigned origin_answer(int fd, unsigned *number)
{
    uint8_t answer[512];
    ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
    ssize_t got = recv(fd, answer, sizeof answer, 0);
    ck_assert_int_ge(got, 29);
    *number = wire_get_u16(answer);
    return origin_check(answer, (size_t)got);
}

static inline unsigned origin_answer_tcp(int fd, unsigned *number)
{
    uint8_t answer[512];
    uint8_t length[2];
    aid_read(fd, length, 2);
    ck_assert_uint_le(wire_get_u16(length), sizeof answer);
    aid_read(fd, answer, wire_get_u16(length));
    *number = wire_get_u16(answer);
    return origin_check(answer, wire_get_u16(length));
}

/* Reads so many answers, each to another question from first on, all NOERROR. */
static inline void origin_expect_tcp(int fd, unsigned first, unsigned count)
{
    bool *seen = calloc(count, sizeof *seen);
    for (unsigned i = 0; i < count; i++) {
        unsigned number;
        ck_assert_uint_eq(origin_answer_tcp(fd, &number), 0);
        ck_assert_uint_ge(number, first);
        ck_assert_uint_lt(number, first + count);
        ck_assert(!seen[number - first]);
        seen[number - first] = true;
    }
    free(seen);
}

#endif

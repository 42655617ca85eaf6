/*
 * What the tests of net/ share: a world with one zone, a net over it on loopback, clients whose
 * patience ends, and counters to look at.
 */
#ifndef RRDNS_TESTS_NET_AID_H
#define RRDNS_TESTS_NET_AID_H

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/counters.h"
#include "base/err.h"
#include "dns/wire.h"
#include "net/net.h"
#include "world/publish.h"
#include "world/world.h"
#include "zone/records.h"
#include "zone/zone_build.h"
#include "unit.h"

enum {
    AID_PATIENCE_MS = 10000, /* what hangs so long has failed; instrumented builds are slow */
    AID_ADDRESSES = 4,
    AID_QUERY = 29,        /* octets of a query of aid_query() */
    AID_BIG_RECORDS = 200, /* of 200 octets: big.example TXT is 40 KB */
    TYPE_A = 1,
    TYPE_TXT = 16,
};

struct aid {
    struct publisher *publisher;
    struct net *net;
    struct net_options options;
    struct net_address address[AID_ADDRESSES];
    unsigned descriptors; /* before anything was opened */
};

/* ---- The world ---- */

static inline void aid_add(struct records *records, const char *owner, uint16_t type,
                           const void *rdata, size_t size)
{
    ck_assert_int_eq(records_owner(records, (const uint8_t *)owner), 0);
    memcpy(records_room(), rdata, size);
    records_add(records, type, 60, size, 0, 1);
}

static inline struct zone *aid_zone(void)
{
    static const uint8_t soa[] = "\2ns\7example\0\1h\7example\0"
                                 "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5";
    struct records *records = records_new((const uint8_t *)"\7example");
    struct diag diag = {0};
    struct zone *zone = NULL;
    ck_assert_ptr_nonnull(records);
    records_file(records, "example.zone");
    aid_add(records, "\7example", 6, soa, sizeof soa - 1);
    aid_add(records, "\7example", 2, "\2ns\7example", 12);
    aid_add(records, "\2ns\7example", TYPE_A, "\300\0\2\1", 4);
    aid_add(records, "\3www\7example", TYPE_A, "\300\0\2\120", 4);
    for (unsigned i = 0; i < AID_BIG_RECORDS; i++) {
        char text[190];
        snprintf(text, sizeof text, "\274%0188u", i);
        aid_add(records, "\3big\7example", TYPE_TXT, text, 189);
    }
    int error = zone_build(records, 1, &diag, &zone);
    ck_assert_msg(error == 0, "%s", diag_first_fault(&diag));
    records_free(records);
    diag_clear(&diag);
    return zone;
}

static inline struct world *aid_world(void)
{
    static const struct settings settings = {.udp_payload_max = 1232};
    const uint8_t *name = (const uint8_t *)"\7example";
    struct zone_index *index;
    uint32_t order;
    ck_assert_int_eq(zone_index_new(&name, 1, &order, &index), 0);
    struct world *world = world_new(index, &settings);
    ck_assert_ptr_nonnull(world);
    zone_index_unref(index);
    world->zones[order] = (struct world_zone){.zone = aid_zone(), .slot = 7};
    return world;
}

/* ---- The net ---- */

static inline void aid_parse(const char *text, struct net_address *address)
{
    char copy[ADDRESS_TEXT_MAX];
    snprintf(copy, sizeof copy, "%s", text);
    char *zero = strstr(copy, ":0");
    bool any = zero != NULL && zero[2] == '\0';
    if (any) {
        memcpy(zero, ":1", 2); /* address_parse takes no port 0 */
    }
    ck_assert_int_eq(address_parse(copy, 53, &address->address, &address->size), 0);
    if (any) {
        ((struct sockaddr_in *)&address->address)->sin_port = 0;
    }
}

/* Addresses as text, one after the other, to the options; NULL ends them. */
static inline void aid_addresses(struct aid *aid, const char *const *texts)
{
    aid->options.addresses = 0;
    aid->options.address = aid->address;
    for (size_t i = 0; texts[i] != NULL; i++) {
        aid_parse(texts[i], &aid->address[aid->options.addresses++]);
    }
}

/* A net that is not open yet, with generous limits and one worker. */
static inline void aid_prepare(struct aid *aid, const char *const *texts)
{
    memset(aid, 0, sizeof *aid);
    aid->descriptors = unit_descriptors();
    aid->publisher = aligned_alloc(_Alignof(struct publisher), sizeof *aid->publisher);
    publisher_init(aid->publisher, aid_world());
    aid->options = (struct net_options){.workers = 1,
                                        .tcp_clients_max = 1000,
                                        .tcp_clients_per_address = 1000,
                                        .tcp_idle_ms = 30000};
    aid_addresses(aid, texts);
}

static inline void aid_start(struct aid *aid)
{
    struct diag diag = {0};
    int error = net_open(&aid->options, aid->publisher, &aid->net, &diag);
    ck_assert_msg(error == 0, "%s", diag_first_fault(&diag));
    ck_assert_int_eq(net_start(aid->net), 0);
    diag_clear(&diag);
}

static inline void aid_reconfigure(struct aid *aid)
{
    struct diag diag = {0};
    int error = net_reconfigure(aid->net, &aid->options, &diag);
    ck_assert_msg(error == 0, "%s", diag_first_fault(&diag));
    ck_assert_uint_eq(net_workers(aid->net), aid->options.workers);
    diag_clear(&diag);
}

/* Stops and frees everything; the clients' descriptors must be closed already. */
static inline void aid_end(struct aid *aid)
{
    net_stop(aid->net, 1000);
    net_free(aid->net);
    world_free(atomic_load(&aid->publisher->current));
    free(aid->publisher);
    ck_assert_uint_eq(unit_descriptors(), aid->descriptors);
}

/* The address served at a place of the options, with the port it got. */
static inline struct net_address aid_bound(const struct aid *aid, size_t place)
{
    const struct net_address *addresses;
    ck_assert_uint_lt(place, net_addresses(aid->net, &addresses));
    return addresses[place];
}

static inline uint64_t aid_count(const struct aid *aid, size_t cell)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < net_counter_sets(aid->net); i++) {
        sum += counter_get(net_counters(aid->net, i), cell);
    }
    return sum;
}

/* Waits until a counter has reached a value. */
static inline void aid_await_more(const struct aid *aid, size_t cell, uint64_t value)
{
    for (unsigned ms = 0; ms < AID_PATIENCE_MS && aid_count(aid, cell) < value; ms++) {
        usleep(1000);
    }
    ck_assert_uint_ge(aid_count(aid, cell), value);
}

/* The same, and it has not gone beyond. */
static inline void aid_await(const struct aid *aid, size_t cell, uint64_t value)
{
    aid_await_more(aid, cell, value);
    ck_assert_uint_eq(aid_count(aid, cell), value);
}

/* Every message and every connection has met one fate. */
static inline void aid_balance(const struct aid *aid)
{
    static const size_t came[] = {COUNTER_queries_udp4, COUNTER_queries_udp6, COUNTER_queries_tcp4,
                                  COUNTER_queries_tcp6};
    static const size_t went[] = {COUNTER_answers_udp,       COUNTER_answers_tcp,
                                  COUNTER_dropped_short,     COUNTER_dropped_response,
                                  COUNTER_dropped_truncated, COUNTER_dropped_send};
    uint64_t in = 0;
    uint64_t out = 0;
    for (size_t i = 0; i < sizeof came / sizeof came[0]; i++) {
        in += aid_count(aid, came[i]);
    }
    for (size_t i = 0; i < sizeof went / sizeof went[0]; i++) {
        out += aid_count(aid, went[i]);
    }
    ck_assert_uint_eq(in, out);
    uint64_t spans = 0;
    for (size_t i = 0; i < 32; i++) {
        spans += aid_count(aid, COUNTER_latency + i);
    }
    ck_assert_uint_eq(spans,
                      aid_count(aid, COUNTER_answers_udp) + aid_count(aid, COUNTER_answers_tcp));
    ck_assert_uint_eq(aid_count(aid, COUNTER_tcp_accepted), aid_count(aid, COUNTER_tcp_closed));
}

/* ---- Messages ---- */

/* A query for www.example or big.example; AID_QUERY octets. */
static inline size_t aid_query(uint8_t *out, uint16_t id, const char *label, uint16_t type)
{
    static const uint8_t header[12] = {0, 0, 1, 0, 0, 1};
    memcpy(out, header, 12);
    wire_put_u16(out, id);
    out[12] = 3;
    memcpy(out + 13, label, 3);
    memcpy(out + 16, "\7example", 9);
    wire_put_u16(out + 25, type);
    wire_put_u16(out + 27, 1);
    return AID_QUERY;
}

/* The same after its length. */
static inline size_t aid_query_tcp(uint8_t *out, uint16_t id, const char *label, uint16_t type)
{
    size_t size = aid_query(out + 2, id, label, type);
    wire_put_u16(out, (uint16_t)size);
    return 2 + size;
}

static inline void aid_check_answer(const uint8_t *answer, size_t size, uint16_t id)
{
    ck_assert_uint_ge(size, AID_QUERY);
    ck_assert_uint_eq(wire_get_u16(answer), id);
    ck_assert_uint_eq(answer[2] & 0x80, 0x80);
    ck_assert_uint_eq(answer[3] & 0x0f, 0);
}

/* ---- Clients ---- */

static inline bool aid_ready(int fd, short events, int ms)
{
    struct pollfd poller = {.fd = fd, .events = events};
    return poll(&poller, 1, ms) == 1;
}

/* A socket connected to an address; type SOCK_DGRAM or SOCK_STREAM. */
static inline int aid_connect(const struct net_address *to, int type)
{
    int fd = socket(to->address.ss_family, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&to->address, to->size), 0);
    return fd;
}

/* Connected to place 0 of the aid. */
static inline int aid_client(const struct aid *aid, int type)
{
    struct net_address to = aid_bound(aid, 0);
    return aid_connect(&to, type);
}

/* Asks and gets the answer over a connected datagram socket. */
static inline void aid_ask(int fd, uint16_t id)
{
    uint8_t message[512];
    aid_query(message, id, "www", TYPE_A);
    ck_assert_int_eq(send(fd, message, AID_QUERY, 0), AID_QUERY);
    ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
    ssize_t got = recv(fd, message, sizeof message, 0);
    ck_assert_int_ge(got, 0);
    aid_check_answer(message, (size_t)got, id);
}

static inline void aid_send(int fd, const void *data, size_t size)
{
    ck_assert_int_eq(send(fd, data, size, MSG_NOSIGNAL), (ssize_t)size);
}

/* Exactly size octets of a stream. */
static inline void aid_read(int fd, void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
        ssize_t got = recv(fd, (uint8_t *)data + at, size - at, 0);
        ck_assert_msg(got > 0, "stream ended: %zd %s", got, strerror(errno));
        at += (size_t)got;
    }
}

/* The next answer of a stream; returns its size. */
static inline size_t aid_read_answer(int fd, uint16_t id)
{
    static uint8_t message[65535];
    uint8_t length[2];
    aid_read(fd, length, 2);
    size_t size = wire_get_u16(length);
    aid_read(fd, message, size);
    aid_check_answer(message, size, id);
    return size;
}

static inline void aid_ask_tcp(int fd, uint16_t id)
{
    uint8_t query[64];
    aid_send(fd, query, aid_query_tcp(query, id, "www", TYPE_A));
    aid_read_answer(fd, id);
}

/* The stream ends within patience; by FIN, or (may_reset) by a reset. */
static inline void aid_expect_end(int fd, bool may_reset)
{
    char octet;
    ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
    ssize_t got = recv(fd, &octet, 1, 0);
    ck_assert(got == 0 || (may_reset && got < 0 && errno == ECONNRESET));
}

#endif

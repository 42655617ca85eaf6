/*
 * Connections that have a query each in the same turn, served together. They connect and ask before
 * the worker begins, so it finds them all at once.
 */
#include "net_aid.h"
#include "unit.h"

#include <event2/event.h>
#include <fcntl.h>
#include <unistd.h>

#include "net/limits.h"
#include "net/proxy.h"
#include "net/service.h"
#include "net/socket.h"
#include "net/tcp.h"

static const char *const LOOPBACK[] = {"127.0.0.1:0", NULL};

enum { MANY = 100 }; /* more than a batch; more than are accepted in a turn */

/* A net that listens and has no worker yet. */
static void listen_only(struct aid *aid)
{
    struct diag diag = {0};
    ck_assert_int_eq(net_open(&aid->options, aid->publisher, &aid->net, &diag), 0);
    diag_clear(&diag);
}

static void begin(struct aid *aid)
{
    aid_prepare(aid, LOOPBACK);
    listen_only(aid);
}

static int ask(const struct aid *aid, const char *label, uint16_t type, uint16_t id)
{
    uint8_t query[64];
    int fd = aid_client(aid, SOCK_STREAM);
    aid_send(fd, query, aid_query_tcp(query, id, label, type));
    return fd;
}

/* All ask for the same, by IDs of their own; then the worker begins. */
static void ask_at_once(const struct aid *aid, int fds[MANY])
{
    for (uint16_t i = 0; i < MANY; i++) {
        fds[i] = ask(aid, "www", TYPE_A, i);
    }
    ck_assert_int_eq(net_start(aid->net), 0);
}

static void end(struct aid *aid, uint64_t connections)
{
    aid_await(aid, COUNTER_tcp_closed, connections);
    aid_balance(aid);
    aid_end(aid);
}

START_TEST(each_gets_its_own)
{
    int fds[MANY];
    struct aid aid;
    begin(&aid);
    ask_at_once(&aid, fds);
    for (uint16_t i = 0; i < MANY; i++) {
        aid_read_answer(fds[i], i);
        aid_ask_tcp(fds[i], i); /* and goes on */
        close(fds[i]);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_tcp4), 2 * MANY);
    end(&aid, MANY);
}
END_TEST

/* What a worker serves connections with, and no worker: a turn is what the test makes of it. */
struct bench {
    struct service service;
    struct limits *limits;
    struct upstream_counts *upstream_counts;
    struct shared_rate *rates;
    struct zone_counts zone_counts[8];
    struct tcp *tcp;
    struct endpoint endpoint;
};

static void *zeroed(size_t alignment, size_t size)
{
    void *made = aligned_alloc(alignment, size);
    ck_assert_ptr_nonnull(made);
    return memset(made, 0, size);
}

static void bench_begin(struct bench *bench, const struct aid *aid, struct net_address *bound)
{
    memset(bench, 0, sizeof *bench);
    bench->limits = limits_new(&aid->options);
    bench->upstream_counts = zeroed(_Alignof(struct upstream_counts),
                                    ROUTES_SERVERS_MAX * sizeof *bench->upstream_counts);
    bench->rates = zeroed(_Alignof(struct shared_rate), PROXY_RATES * sizeof *bench->rates);
    struct service *service = &bench->service;
    service->counters = zeroed(_Alignof(struct counters), sizeof *service->counters);
    service->base = event_base_new();
    service->serve = serve_new(service->counters, bench->zone_counts);
    service->world = atomic_load(&aid->publisher->current);
    service->proxy = proxy_new(service, bench->limits, bench->upstream_counts, bench->rates);
    bench->tcp = tcp_new(service, bench->limits);
    bench->endpoint = (struct endpoint){.stream = true, .family = AF_INET};
    bench->endpoint.fd = socket_open(&aid->address[0], true, true);
    ck_assert_int_ge(bench->endpoint.fd, 0);
    ck_assert_int_eq(socket_bound(bench->endpoint.fd, bound), 0);
}

static void bench_end(struct bench *bench, struct aid *aid)
{
    tcp_free(bench->tcp);
    proxy_free(bench->service.proxy);
    serve_free(bench->service.serve);
    event_base_free(bench->service.base);
    close(bench->endpoint.fd);
    free(bench->service.counters);
    free(bench->limits);
    free(bench->upstream_counts);
    free(bench->rates);
    world_free(atomic_load(&aid->publisher->current));
    free(aid->publisher);
    ck_assert_uint_eq(unit_descriptors(), aid->descriptors);
}

/* Connects so many clients; each asks for the same by its number. */
static void ask_all(const struct net_address *bound, int *fds, uint16_t count)
{
    uint8_t query[64];
    for (uint16_t i = 0; i < count; i++) {
        fds[i] = aid_connect(bound, SOCK_STREAM);
        aid_send(fds[i], query, aid_query_tcp(query, i, "www", TYPE_A));
    }
}

/* Queries are read, and none is answered before the turn ends or there are enough for a batch. */
START_TEST(queries_wait_for_company)
{
    enum { FEW = 20, ENOUGH = SERVE_BATCH + FEW };
    int fds[FEW + ENOUGH];
    struct aid aid;
    struct bench bench;
    struct net_address bound;
    aid_prepare(&aid, LOOPBACK);
    bench_begin(&bench, &aid, &bound);
    const struct counters *counters = bench.service.counters;
    ask_all(&bound, fds, FEW + ENOUGH);
    tcp_accept(bench.tcp, &bench.endpoint, FEW);
    ck_assert_uint_eq(counter_get(counters, COUNTER_bytes_received_tcp), FEW * (2 + AID_QUERY));
    ck_assert_uint_eq(counter_get(counters, COUNTER_answers_tcp), 0);
    tcp_finish_turn(bench.tcp);
    ck_assert_uint_eq(counter_get(counters, COUNTER_answers_tcp), FEW);
    tcp_accept(bench.tcp, &bench.endpoint, ENOUGH);
    ck_assert_uint_eq(counter_get(counters, COUNTER_answers_tcp), FEW + SERVE_BATCH);
    tcp_finish_turn(bench.tcp);
    ck_assert_uint_eq(counter_get(counters, COUNTER_answers_tcp), FEW + ENOUGH);
    for (uint16_t i = 0; i < FEW + ENOUGH; i++) {
        aid_read_answer(fds[i], i);
        close(fds[i]);
    }
    bench_end(&bench, &aid);
}
END_TEST

/* The one descriptor of this process that epoll's are. */
static int epoll_descriptor(void)
{
    int found = -1;
    for (int fd = 0; fd < 1024; fd++) {
        char path[32], what[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(path, what, sizeof what - 1);
        what[size > 0 ? size : 0] = '\0';
        if (strcmp(what, "anon_inode:[eventpoll]") == 0) {
            ck_assert_int_eq(found, -1);
            found = fd;
        }
    }
    ck_assert_int_ne(found, -1);
    return found;
}

/* libevent tells of each connection that it can't watch. */
static void expected(int severity, const char *message)
{
    (void)severity;
    (void)message;
}

/* Connections that the loop can't watch end while their queries wait; those beside are served. */
START_TEST(some_are_gone_before_they_are_served)
{
    enum { FEW = 8 };
    int fds[2 * FEW];
    struct aid aid;
    struct bench bench;
    struct net_address bound;
    aid_prepare(&aid, LOOPBACK);
    bench_begin(&bench, &aid, &bound);
    const struct counters *counters = bench.service.counters;
    ask_all(&bound, fds, 2 * FEW);
    tcp_accept(bench.tcp, &bench.endpoint, FEW / 2);
    int epoll = epoll_descriptor();
    int kept = dup(epoll), nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_eq(dup2(nothing, epoll), epoll);
    event_set_log_callback(expected);
    tcp_accept(bench.tcp, &bench.endpoint, FEW);
    event_set_log_callback(NULL);
    ck_assert_int_eq(dup2(kept, epoll), epoll);
    close(kept);
    close(nothing);
    tcp_accept(bench.tcp, &bench.endpoint, FEW / 2);
    ck_assert_uint_eq(counter_get(counters, COUNTER_tcp_accepted), 2 * FEW);
    ck_assert_uint_eq(counter_get(counters, COUNTER_tcp_closed), FEW);
    tcp_finish_turn(bench.tcp);
    ck_assert_uint_eq(tcp_count(bench.tcp), FEW);
    for (uint16_t i = 0; i < 2 * FEW; i++) {
        if (i < FEW / 2 || i >= FEW + FEW / 2) {
            aid_read_answer(fds[i], i);
        } else {
            aid_expect_end(fds[i], false);
        }
        close(fds[i]);
    }
    bench_end(&bench, &aid);
}
END_TEST

/* A worker that ends in the middle of a turn. */
START_TEST(all_are_gone_before_they_are_served)
{
    enum { FEW = 8 };
    int fds[FEW];
    struct aid aid;
    struct bench bench;
    struct net_address bound;
    aid_prepare(&aid, LOOPBACK);
    bench_begin(&bench, &aid, &bound);
    ask_all(&bound, fds, FEW);
    tcp_accept(bench.tcp, &bench.endpoint, FEW);
    ck_assert_uint_eq(tcp_count(bench.tcp), FEW);
    tcp_free(bench.tcp);
    bench.tcp = NULL;
    for (uint16_t i = 0; i < FEW; i++) {
        aid_expect_end(fds[i], false);
        close(fds[i]);
    }
    ck_assert_uint_eq(counter_get(bench.service.counters, COUNTER_tcp_closed), FEW);
    bench_end(&bench, &aid);
}
END_TEST

/* 40 KB each: three of a batch at most have room at once. */
START_TEST(large_ones_among_them)
{
    int fds[MANY];
    struct rng rng = rng_start();
    struct aid aid;
    begin(&aid);
    for (uint16_t i = 0; i < MANY; i++) {
        bool large = rng_once_in(&rng, 2);
        fds[i] = ask(&aid, large ? "big" : "www", large ? TYPE_TXT : TYPE_A, i);
    }
    ck_assert_int_eq(net_start(aid.net), 0);
    for (uint16_t i = 0; i < MANY; i++) {
        aid_read_answer(fds[i], i);
        close(fds[i]);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_answers_tcp), MANY);
    end(&aid, MANY);
}
END_TEST

enum { PADDED_MOST = 20000 };

/* A query with so many octets of padding (RFC 7830) in its OPT. */
static size_t padded_query(uint8_t *out, uint16_t id, size_t padding)
{
    size_t size = aid_query_tcp(out, id, "www", TYPE_A);
    uint8_t *opt = out + size;
    memset(opt, 0, 15 + padding);
    out[2 + 11] = 1;
    wire_put_u16(opt + 1, 41);
    wire_put_u16(opt + 3, 1232);
    wire_put_u16(opt + 9, (uint16_t)(4 + padding));
    wire_put_u16(opt + 11, 12);
    wire_put_u16(opt + 13, (uint16_t)padding);
    size += 15 + padding;
    wire_put_u16(out, (uint16_t)(size - 2));
    return size;
}

/* So long that a few fill the buffer that they share. */
START_TEST(long_ones_among_them)
{
    static uint8_t query[PADDED_MOST + 64];
    int fds[MANY];
    struct rng rng = rng_start();
    struct aid aid;
    begin(&aid);
    for (uint16_t i = 0; i < MANY; i++) {
        size_t padding = rng_once_in(&rng, 3) ? rng_below(&rng, PADDED_MOST) : 0;
        fds[i] = aid_client(&aid, SOCK_STREAM);
        aid_send(fds[i], query, padded_query(query, i, padding));
    }
    ck_assert_int_eq(net_start(aid.net), 0);
    for (uint16_t i = 0; i < MANY; i++) {
        aid_read_answer(fds[i], i);
        close(fds[i]);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_tcp4), MANY);
    end(&aid, MANY);
}
END_TEST

/* What a connection does otherwise than to ask one whole question. */
enum way { PLAIN, TWO, A_HALF, NOTHING, NO_MESSAGE, A_RESPONSE, AND_CLOSES, AND_RESETS, WAYS };

static void act(int fd, enum way way, uint16_t id)
{
    static const struct linger hard = {1, 0};
    uint8_t query[128];
    size_t size = aid_query_tcp(query, id, "www", TYPE_A);
    switch (way) {
    case TWO:
        size += aid_query_tcp(query + size, id, "www", TYPE_A);
        break;
    case A_HALF:
        size -= 7;
        break;
    case NOTHING:
        return;
    case NO_MESSAGE:
        query[1] = 11;
        break;
    case A_RESPONSE:
        query[4] |= 0x80;
        break;
    default:
        break;
    }
    aid_send(fd, query, size);
    if (way == AND_CLOSES) {
        shutdown(fd, SHUT_WR);
    } else if (way == AND_RESETS) {
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
}

/* Reads what is due, to the end where there is one; closes. Returns the answers. */
static unsigned expect(int fd, enum way way, uint16_t id)
{
    static const unsigned answers[WAYS] = {
        [PLAIN] = 1, [TWO] = 2, [A_HALF] = 1, [NOTHING] = 1, [A_RESPONSE] = 1, [AND_CLOSES] = 1};
    uint8_t query[64];
    size_t size = aid_query_tcp(query, id, "www", TYPE_A);
    if (way == A_HALF) {
        aid_send(fd, query + size - 7, 7);
    } else if (way == NOTHING || way == A_RESPONSE) {
        aid_send(fd, query, size);
    }
    for (unsigned i = 0; i < answers[way]; i++) {
        aid_read_answer(fd, id);
    }
    if (way == AND_CLOSES || way == NO_MESSAGE) {
        aid_expect_end(fd, false);
    }
    close(fd);
    return answers[way];
}

START_TEST(who_does_otherwise_disturbs_nobody)
{
    int fds[MANY];
    enum way ways[MANY];
    unsigned answers = 0;
    struct rng rng = rng_start();
    struct aid aid;
    begin(&aid);
    for (uint16_t i = 0; i < MANY; i++) {
        fds[i] = aid_client(&aid, SOCK_STREAM);
        ways[i] = rng_once_in(&rng, 2) ? PLAIN : (enum way)rng_below(&rng, WAYS);
        act(fds[i], ways[i], i);
        if (ways[i] == AND_RESETS) {
            close(fds[i]);
        }
    }
    ck_assert_int_eq(net_start(aid.net), 0);
    for (uint16_t i = 0; i < MANY; i++) {
        answers += ways[i] != AND_RESETS ? expect(fds[i], ways[i], i) : 0;
    }
    ck_assert_uint_ge(aid_count(&aid, COUNTER_answers_tcp), answers);
    end(&aid, MANY);
}
END_TEST

/* Who has to go for others has had its answer. */
START_TEST(who_must_go_is_answered_first)
{
    enum { PLACES = 10 };
    int fds[MANY];
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid.options.tcp_clients_max = PLACES;
    listen_only(&aid);
    ask_at_once(&aid, fds);
    for (uint16_t i = 0; i < MANY; i++) {
        aid_read_answer(fds[i], i);
    }
    for (uint16_t i = 0; i < MANY - PLACES; i++) {
        aid_expect_end(fds[i], false);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_evicted), MANY - PLACES);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_refused), 0);
    for (uint16_t i = 0; i < MANY; i++) {
        close(fds[i]);
    }
    end(&aid, MANY);
}
END_TEST

START_TEST(ends_after_so_many_queries)
{
    int fds[MANY];
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid.options.tcp_queries_per_connection = 2;
    listen_only(&aid);
    ask_at_once(&aid, fds);
    for (uint16_t i = 0; i < MANY; i++) {
        aid_read_answer(fds[i], i);
        aid_ask_tcp(fds[i], i);
        aid_expect_end(fds[i], false);
        close(fds[i]);
    }
    end(&aid, MANY);
}
END_TEST

/* Nothing that was asked before the end is lost in it. */
START_TEST(the_end_answers_them)
{
    int fds[MANY];
    struct aid aid;
    begin(&aid);
    ask_at_once(&aid, fds);
    net_stop(aid.net, AID_PATIENCE_MS);
    for (uint16_t i = 0; i < MANY; i++) {
        aid_read_answer(fds[i], i);
        aid_expect_end(fds[i], false);
        close(fds[i]);
    }
    aid_end(&aid);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("net_gather");
    tcase_add_test(unit.tests, each_gets_its_own);
    tcase_add_test(unit.tests, queries_wait_for_company);
    tcase_add_test(unit.tests, some_are_gone_before_they_are_served);
    tcase_add_test(unit.tests, all_are_gone_before_they_are_served);
    tcase_add_test(unit.tests, large_ones_among_them);
    tcase_add_test(unit.tests, long_ones_among_them);
    tcase_add_test(unit.tests, who_does_otherwise_disturbs_nobody);
    tcase_add_test(unit.tests, who_must_go_is_answered_first);
    tcase_add_test(unit.tests, ends_after_so_many_queries);
    tcase_add_test(unit.tests, the_end_answers_them);
    return unit_end(&unit);
}

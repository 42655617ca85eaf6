/*
 * Changes while queries keep coming: addresses and workers come and go, worlds are published, the
 * end. What counts is that nothing is lost.
 */
#include "net_aid.h"
#include "unit.h"

#include <netinet/in.h>
#include <pthread.h>

static const char *const ONE[] = {"127.0.0.1:0", NULL};
static const char *const TWO[] = {"127.0.0.1:0", "127.0.0.2:0", NULL};

/* ---- A steady load ---- */

enum { LOAD_SOCKETS = 64, LOAD_CONNECTIONS = 8 };

/*
 * A thread that asks over many UDP sockets (many source ports: every socket of an address gets a
 * share) and connections, each its next question when it has the answer, and gives none up.
 */
struct load {
    pthread_t thread;
    struct net_address to;
    _Atomic bool stop;
    uint64_t udp_answers, tcp_answers, fresh; /* fresh: connections made, asked and closed */
    const char *fault;
};

static bool load_answer(struct load *load, int fd, bool stream)
{
    uint8_t answer[512];
    size_t expected = AID_QUERY + 16u + (stream ? 2 : 0);
    ssize_t got = recv(fd, answer, expected, stream ? MSG_WAITALL : 0);
    if (got != (ssize_t)expected) {
        load->fault = stream ? "a connection was lost" : "a datagram of another size";
        return false;
    }
    return true;
}

/* A round of questions on all sockets and a fresh connection, and all their answers. */
static bool load_round(struct load *load, const int *fds)
{
    uint8_t query[64];
    struct pollfd poller = {.events = POLLIN};
    size_t size = aid_query_tcp(query, 1, "www", TYPE_A);
    int fresh = aid_connect(&load->to, SOCK_STREAM);
    load->fault = NULL;
    for (size_t i = 0; i <= LOAD_SOCKETS + LOAD_CONNECTIONS; i++) {
        bool stream = i >= LOAD_SOCKETS;
        int fd = i < LOAD_SOCKETS + LOAD_CONNECTIONS ? fds[i] : fresh;
        if (send(fd, stream ? query : query + 2, stream ? size : size - 2, MSG_NOSIGNAL) < 0) {
            load->fault = strerror(errno);
        }
    }
    for (size_t i = 0; i <= LOAD_SOCKETS + LOAD_CONNECTIONS && load->fault == NULL; i++) {
        bool stream = i >= LOAD_SOCKETS;
        poller.fd = i < LOAD_SOCKETS + LOAD_CONNECTIONS ? fds[i] : fresh;
        if (poll(&poller, 1, AID_PATIENCE_MS) != 1) {
            load->fault = stream ? "no answer on a connection" : "a datagram was lost";
        } else if (load_answer(load, poller.fd, stream)) {
            *(stream ? &load->tcp_answers : &load->udp_answers) += 1;
        }
    }
    close(fresh);
    load->fresh++;
    return load->fault == NULL;
}

static void *load_run(void *context)
{
    struct load *load = context;
    int fds[LOAD_SOCKETS + LOAD_CONNECTIONS];
    for (size_t i = 0; i < LOAD_SOCKETS + LOAD_CONNECTIONS; i++) {
        fds[i] = aid_connect(&load->to, i < LOAD_SOCKETS ? SOCK_DGRAM : SOCK_STREAM);
    }
    while (load_round(load, fds) && !atomic_load(&load->stop)) {
    }
    for (size_t i = 0; i < LOAD_SOCKETS + LOAD_CONNECTIONS; i++) {
        close(fds[i]);
    }
    return NULL;
}

static void load_start(struct load *load, const struct aid *aid)
{
    memset(load, 0, sizeof *load);
    load->to = aid_bound(aid, 0);
    ck_assert_int_eq(pthread_create(&load->thread, NULL, load_run, load), 0);
    aid_await_more(aid, COUNTER_answers_udp, LOAD_SOCKETS);
}

/* others: UDP queries answered that were not the load's. */
static void load_end(struct load *load, const struct aid *aid, uint64_t others)
{
    atomic_store(&load->stop, true);
    pthread_join(load->thread, NULL);
    ck_assert_msg(load->fault == NULL, "%s", load->fault);
    ck_assert_uint_gt(load->udp_answers, 0);
    aid_await(aid, COUNTER_tcp_closed, LOAD_CONNECTIONS + load->fresh);
    ck_assert_uint_eq(aid_count(aid, COUNTER_answers_udp), load->udp_answers + others);
    ck_assert_uint_eq(aid_count(aid, COUNTER_answers_tcp), load->tcp_answers);
    ck_assert_uint_eq(aid_count(aid, COUNTER_dropped_send), 0);
}

/* ---- Workers and addresses ---- */

START_TEST(workers_come_and_go_under_load)
{
    static const unsigned counts[] = {4, 1, 2, 3, 8, 5, 2, 2, 1};
    struct aid aid;
    struct load load;
    aid_prepare(&aid, ONE);
    aid_start(&aid);
    load_start(&load, &aid);
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        aid.options.workers = counts[i];
        aid_reconfigure(&aid);
        usleep(20000);
    }
    ck_assert_uint_eq(net_counter_sets(aid.net), 8);
    load_end(&load, &aid, 0);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

/* With several workers each gets a share; with their sockets at one of them, it gets all. */
START_TEST(sockets_of_retired_workers_are_served)
{
    struct aid aid;
    struct load load;
    aid_prepare(&aid, ONE);
    aid.options.workers = 4;
    aid_start(&aid);
    load_start(&load, &aid);
    usleep(50000);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_gt(counter_get(net_counters(aid.net, i), COUNTER_answers_udp), 0);
    }
    aid.options.workers = 1;
    aid_reconfigure(&aid);
    uint64_t others = 0;
    for (unsigned i = 1; i < 4; i++) {
        others += counter_get(net_counters(aid.net, i), COUNTER_answers_udp);
    }
    usleep(50000);
    load_end(&load, &aid, 0);
    for (unsigned i = 1; i < 4; i++) {
        others -= counter_get(net_counters(aid.net, i), COUNTER_answers_udp);
    }
    ck_assert_uint_eq(others, 0);
    aid_end(&aid);
}
END_TEST

START_TEST(addresses_come_and_go_under_load)
{
    struct aid aid;
    struct load load;
    aid_prepare(&aid, ONE);
    aid.options.workers = 2;
    aid_start(&aid);
    load_start(&load, &aid);
    uint64_t ours = 0;
    for (unsigned i = 0; i < 10; i++) {
        aid_addresses(&aid, TWO);
        aid.options.workers = 1 + i % 3;
        aid_reconfigure(&aid);
        struct net_address to = aid_bound(&aid, 1);
        int fd = aid_connect(&to, SOCK_DGRAM);
        aid_ask(fd, 1);
        ours++;
        close(fd);
        aid_addresses(&aid, ONE);
        aid_reconfigure(&aid);
        const struct net_address *addresses;
        ck_assert_uint_eq(net_addresses(aid.net, &addresses), 1);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ck_assert_int_eq(connect(fd, (struct sockaddr *)&to.address, to.size), -1);
        ck_assert_int_eq(errno, ECONNREFUSED);
        close(fd);
    }
    load_end(&load, &aid, ours);
    aid_end(&aid);
}
END_TEST

/* What has reached the sockets of an address when it is removed is still answered. */
START_TEST(a_removed_address_answers_what_waits)
{
    enum { QUERIES = 200 }; /* whose answers the client's socket can hold */
    struct aid aid;
    aid_prepare(&aid, TWO);
    aid_start(&aid);
    struct net_address to = aid_bound(&aid, 1);
    int fd = aid_connect(&to, SOCK_DGRAM);
    int stream = aid_connect(&to, SOCK_STREAM);
    uint8_t query[64];
    size_t size = aid_query_tcp(query, 1, "www", TYPE_A);
    for (unsigned i = 0; i < QUERIES; i++) {
        aid_send(fd, query + 2, size - 2);
    }
    aid_send(stream, query, size);
    aid_addresses(&aid, ONE);
    aid_reconfigure(&aid);
    for (unsigned i = 0; i < QUERIES; i++) {
        ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
        ck_assert_int_eq(recv(fd, query, sizeof query, 0), AID_QUERY + 16);
    }
    aid_read_answer(stream, 1);
    aid_ask_tcp(stream, 2); /* a connection outlives the address it came by */
    close(fd);
    close(stream);
    aid_await(&aid, COUNTER_tcp_closed, 1);
    aid_end(&aid);
}
END_TEST

/* ---- All or nothing ---- */

START_TEST(a_change_that_fails_changes_nothing)
{
    struct aid aid;
    struct load load;
    aid_prepare(&aid, ONE);
    aid.options.workers = 2;
    aid_start(&aid);
    unsigned descriptors = unit_descriptors();
    load_start(&load, &aid);

    const char *const wanted[] = {"127.0.0.2:0", "192.0.2.99:5300", "127.0.0.1:0",
                                  "192.0.2.98:5300", NULL};
    struct diag diag = {0};
    aid_addresses(&aid, wanted);
    aid.options.workers = 4;
    ck_assert_int_eq(net_reconfigure(aid.net, &aid.options, &diag), RR_EIO);
    ck_assert_uint_eq(diag.faults, 2);
    ck_assert_str_eq(diag.entries[0].text,
                     "192.0.2.99:5300 (udp): Cannot assign requested address");
    ck_assert_str_eq(diag.entries[1].text,
                     "192.0.2.98:5300 (udp): Cannot assign requested address");
    diag_clear(&diag);
    ck_assert_uint_eq(net_workers(aid.net), 2);
    const struct net_address *addresses;
    ck_assert_uint_eq(net_addresses(aid.net, &addresses), 1);

    aid_addresses(&aid, ONE);
    aid.options.workers = PUBLISH_READERS_MAX + 1;
    ck_assert_int_eq(net_reconfigure(aid.net, &aid.options, &diag), RR_ELIMIT);
    ck_assert_str_eq(diag_first_fault(&diag), "257 workers: there may be 1 to 256");
    diag_clear(&diag);
    load_end(&load, &aid, 0);
    ck_assert_uint_eq(unit_descriptors(), descriptors);
    aid_end(&aid);
}
END_TEST

/* Sockets that only root could open, asked for when root is gone. */
START_TEST(tells_where_a_restart_is_needed)
{
    struct aid aid;
    aid_prepare(&aid, ONE);
    aid_start(&aid);
    if (geteuid() == 0) {
        ck_assert_int_eq(setresuid(65534, 65534, 65534), 0);
    }
    const char *const wanted[] = {"127.0.0.1:0", "127.0.0.1:53", NULL};
    struct diag diag = {0};
    aid_addresses(&aid, wanted);
    if (net_reconfigure(aid.net, &aid.options, &diag) != 0) { /* this system may allow it */
        ck_assert_str_eq(diag_first_fault(&diag), "127.0.0.1:53 (udp): Permission denied; the "
                                                  "privileges for it are given up, a restart is "
                                                  "needed");
    }
    diag_clear(&diag);
    net_stop(aid.net, 1000);
    net_free(aid.net);
    world_free(atomic_load(&aid.publisher->current));
    free(aid.publisher);
}
END_TEST

/* ---- Limits and worlds ---- */

START_TEST(limits_change_for_those_who_are_there)
{
    struct aid aid;
    aid_prepare(&aid, ONE);
    aid_start(&aid);
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(fd, 1);
    aid.options.tcp_idle_ms = 50;
    aid_reconfigure(&aid);
    aid_expect_end(fd, false);
    close(fd);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_idle), 1);

    aid.options.tcp_clients_max = 0;
    aid_reconfigure(&aid);
    fd = aid_client(&aid, SOCK_STREAM);
    aid_expect_end(fd, true);
    close(fd);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_refused), 1);
    aid_end(&aid);
}
END_TEST

START_TEST(worlds_are_exchanged_under_load)
{
    struct aid aid;
    struct load load;
    aid_prepare(&aid, ONE);
    aid.options.workers = 3;
    aid_start(&aid);
    load_start(&load, &aid);
    for (unsigned i = 0; i < 50; i++) {
        publisher_publish(aid.publisher, aid_world());
        if (i % 10 == 5) {
            aid.options.workers = 1 + i / 10 % 4;
            aid_reconfigure(&aid);
        }
    }
    load_end(&load, &aid, 0);
    publisher_publish(aid.publisher, aid_world()); /* also with nothing going on */
    aid_end(&aid);
}
END_TEST

/* ---- The end ---- */

struct stopping {
    struct aid *aid;
    unsigned drain_ms;
    uint64_t took_ns;
};

static void *stop_run(void *context)
{
    struct stopping *stopping = context;
    uint64_t start = clock_now_ns();
    net_stop(stopping->aid->net, stopping->drain_ms);
    stopping->took_ns = clock_now_ns() - start;
    return NULL;
}

START_TEST(the_end_answers_what_is_under_way)
{
    enum { QUERIES = 200 };
    struct aid aid;
    aid_prepare(&aid, ONE);
    aid.options.workers = 2;
    aid_start(&aid);
    int datagrams = aid_client(&aid, SOCK_DGRAM);
    int idle = aid_client(&aid, SOCK_STREAM);
    int busy = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(idle, 1);
    uint8_t query[64];
    size_t size = aid_query_tcp(query, 1, "www", TYPE_A);
    aid_send(busy, query, size / 2);
    aid_await(&aid, COUNTER_bytes_received_tcp, size + size / 2);
    for (unsigned i = 0; i < QUERIES; i++) {
        aid_send(datagrams, query + 2, size - 2);
    }
    aid_send(idle, query, size); /* not idle any more, but the server may not have seen it */

    struct stopping stopping = {.aid = &aid, .drain_ms = AID_PATIENCE_MS};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_run, &stopping), 0);
    for (unsigned i = 0; i < QUERIES; i++) {
        uint8_t answer[512];
        ck_assert(aid_ready(datagrams, POLLIN, AID_PATIENCE_MS));
        ck_assert_int_eq(recv(datagrams, answer, sizeof answer, 0), AID_QUERY + 16);
    }
    aid_read_answer(idle, 1);
    aid_expect_end(idle, false);
    aid_send(busy, query + size / 2, size - size / 2);
    aid_read_answer(busy, 1);
    aid_expect_end(busy, false);
    pthread_join(thread, NULL);
    ck_assert_uint_lt(stopping.took_ns, UINT64_C(1000000) * AID_PATIENCE_MS);
    close(datagrams);
    close(idle);
    close(busy);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

/* More than one read takes, all sent before the end began. */
START_TEST(the_end_answers_all_that_is_pipelined)
{
    enum { QUERIES = 10000 };
    static uint8_t queries[QUERIES * (2 + AID_QUERY)];
    struct aid aid;
    size_t size = 0;
    aid_prepare(&aid, ONE);
    aid_start(&aid);
    int fd = aid_client(&aid, SOCK_STREAM);
    for (unsigned i = 0; i < QUERIES; i++) {
        size += aid_query_tcp(queries + size, (uint16_t)i, "www", TYPE_A);
    }
    aid_send(fd, queries, size);
    struct stopping stopping = {.aid = &aid, .drain_ms = AID_PATIENCE_MS};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_run, &stopping), 0);
    for (unsigned i = 0; i < QUERIES; i++) {
        aid_read_answer(fd, (uint16_t)i);
    }
    aid_expect_end(fd, false);
    pthread_join(thread, NULL);
    close(fd);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

START_TEST(the_end_does_not_wait_for_ever)
{
    struct aid aid;
    aid_prepare(&aid, ONE);
    aid_start(&aid);
    int idle = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(idle, 1);
    int busy = aid_client(&aid, SOCK_STREAM);
    uint8_t octet = 0;
    aid_send(busy, &octet, 1);
    aid_await(&aid, COUNTER_bytes_received_tcp, 2 + AID_QUERY + 1);
    struct stopping stopping = {.aid = &aid, .drain_ms = 300};
    stop_run(&stopping);
    ck_assert_uint_ge(stopping.took_ns, UINT64_C(290) * 1000000);
    ck_assert_uint_lt(stopping.took_ns, UINT64_C(1000000) * AID_PATIENCE_MS);
    aid_expect_end(idle, true);
    aid_expect_end(busy, true);
    close(idle);
    close(busy);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

/* A net that was opened and never started; and one whose start is its end. */
START_TEST(ends_without_a_beginning)
{
    struct aid aid;
    struct diag diag = {0};
    aid_prepare(&aid, TWO);
    aid.options.workers = 3;
    ck_assert_int_eq(net_open(&aid.options, aid.publisher, &aid.net, &diag), 0);
    const struct net_address *addresses;
    ck_assert_uint_eq(net_addresses(aid.net, &addresses), 2);
    ck_assert_uint_eq(net_workers(aid.net), 0);
    aid_end(&aid);

    aid_prepare(&aid, TWO);
    aid.options.workers = 3;
    aid_start(&aid);
    ck_assert_uint_eq(net_workers(aid.net), 3);
    aid_end(&aid);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("net_change");
    tcase_add_test(unit.tests, workers_come_and_go_under_load);
    tcase_add_test(unit.tests, sockets_of_retired_workers_are_served);
    tcase_add_test(unit.tests, addresses_come_and_go_under_load);
    tcase_add_test(unit.tests, a_removed_address_answers_what_waits);
    tcase_add_test(unit.tests, a_change_that_fails_changes_nothing);
    tcase_add_test(unit.tests, tells_where_a_restart_is_needed);
    tcase_add_test(unit.tests, limits_change_for_those_who_are_there);
    tcase_add_test(unit.tests, worlds_are_exchanged_under_load);
    tcase_add_test(unit.tests, the_end_answers_what_is_under_way);
    tcase_add_test(unit.tests, the_end_answers_all_that_is_pipelined);
    tcase_add_test(unit.tests, the_end_does_not_wait_for_ever);
    tcase_add_test(unit.tests, ends_without_a_beginning);
    return unit_end(&unit);
}

/*
 * Connections over real sockets: framing, pipelining, back-pressure, patience, limits.
 */
#include "net_aid.h"
#include "unit.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>

static const char *const LOOPBACK[] = {"127.0.0.1:0", NULL};

static void begin(struct aid *aid)
{
    aid_prepare(aid, LOOPBACK);
    aid_start(aid);
}

static void end(struct aid *aid, uint64_t connections)
{
    aid_await(aid, COUNTER_tcp_closed, connections);
    aid_balance(aid);
    aid_end(aid);
}

/* A client from another loopback address. */
static int client_from(const struct aid *aid, const char *from)
{
    struct net_address to = aid_bound(aid, 0);
    struct net_address own;
    aid_parse(from, &own);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&own.address, own.size), 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to.address, to.size), 0);
    return fd;
}

/* ---- Framing ---- */

START_TEST(takes_a_query_octet_by_octet)
{
    struct aid aid;
    uint8_t query[64];
    begin(&aid);
    int fd = aid_client(&aid, SOCK_STREAM);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    for (uint16_t id = 0; id < 3; id++) {
        size_t size = aid_query_tcp(query, id, "www", TYPE_A);
        for (size_t i = 0; i < size; i++) {
            aid_send(fd, query + i, 1);
            usleep(200);
        }
        ck_assert_uint_eq(aid_read_answer(fd, id), AID_QUERY + 16);
    }
    close(fd);
    end(&aid, 1);
}
END_TEST

/* Two queries cut at every place: within the first's length, its body, the second's length.. */
START_TEST(takes_queries_cut_anywhere)
{
    struct aid aid;
    uint8_t queries[128];
    begin(&aid);
    size_t size = aid_query_tcp(queries, 1, "www", TYPE_A);
    size += aid_query_tcp(queries + size, 2, "www", TYPE_A);
    int fd = aid_client(&aid, SOCK_STREAM);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    for (size_t cut = 1; cut < size; cut++) {
        aid_send(fd, queries, cut);
        usleep(1000);
        aid_send(fd, queries + cut, size - cut);
        aid_read_answer(fd, 1);
        aid_read_answer(fd, 2);
    }
    close(fd);
    end(&aid, 1);
}
END_TEST

/* The longest message there is, in pieces: its length is right, what it says is not. */
START_TEST(takes_the_longest_message)
{
    static uint8_t message[2 + 65535];
    struct aid aid;
    begin(&aid);
    aid_query(message + 2, 9, "www", TYPE_A);
    wire_put_u16(message, 65535);
    int fd = aid_client(&aid, SOCK_STREAM);
    for (size_t at = 0; at < sizeof message;) {
        size_t piece = sizeof message - at < 5000 ? sizeof message - at : 5000;
        aid_send(fd, message + at, piece);
        at += piece;
        usleep(500);
    }
    uint8_t head[6];
    aid_read(fd, head, sizeof head);
    ck_assert_uint_eq(wire_get_u16(head + 2), 9);
    ck_assert_uint_eq(head[5] & 0x0f, 1); /* FORMERR: octets behind the message */
    close(fd);
    end(&aid, 1);
}
END_TEST

START_TEST(answers_a_thousand_pipelined)
{
    enum { QUERIES = 1000 };
    static uint8_t queries[QUERIES * (2 + AID_QUERY)];
    struct aid aid;
    begin(&aid);
    size_t size = 0;
    for (uint16_t id = 0; id < QUERIES; id++) {
        size += aid_query_tcp(queries + size, id, "www", TYPE_A);
    }
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_send(fd, queries, size);
    shutdown(fd, SHUT_WR); /* all that came before the FIN is still answered */
    for (uint16_t id = 0; id < QUERIES; id++) {
        aid_read_answer(fd, id);
    }
    aid_expect_end(fd, false);
    close(fd);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_tcp4), QUERIES);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_answers_tcp), QUERIES);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_bytes_received_tcp), size);
    end(&aid, 1);
}
END_TEST

START_TEST(forgets_half_a_query_at_the_fin)
{
    struct aid aid;
    uint8_t queries[128];
    begin(&aid);
    size_t size = aid_query_tcp(queries, 1, "www", TYPE_A);
    size += aid_query_tcp(queries + size, 2, "www", TYPE_A) / 2;
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_send(fd, queries, size);
    shutdown(fd, SHUT_WR);
    aid_read_answer(fd, 1);
    aid_expect_end(fd, false);
    close(fd);
    end(&aid, 1);
}
END_TEST

/* What came before a connection is accepted is read then, without an event. */
START_TEST(serves_what_waits_when_it_accepts)
{
    struct aid aid;
    struct diag diag = {0};
    uint8_t query[64];
    int fds[3];
    aid_prepare(&aid, LOOPBACK);
    ck_assert_int_eq(net_open(&aid.options, aid.publisher, &aid.net, &diag), 0);
    size_t size = aid_query_tcp(query, 1, "www", TYPE_A);
    for (size_t i = 0; i < 3; i++) {
        fds[i] = aid_client(&aid, SOCK_STREAM);
    }
    aid_send(fds[0], query, size);
    aid_send(fds[1], query, size);
    shutdown(fds[1], SHUT_WR);
    aid_send(fds[2], query, size / 2);
    ck_assert_int_eq(net_start(aid.net), 0);
    aid_read_answer(fds[0], 1);
    aid_read_answer(fds[1], 1);
    aid_expect_end(fds[1], false);
    aid_send(fds[2], query + size / 2, size - size / 2);
    aid_read_answer(fds[2], 1);
    aid_send(fds[0], query, size);
    aid_read_answer(fds[0], 1);
    for (size_t i = 0; i < 3; i++) {
        close(fds[i]);
    }
    diag_clear(&diag);
    end(&aid, 3);
}
END_TEST

START_TEST(skips_responses)
{
    struct aid aid;
    uint8_t queries[128];
    begin(&aid);
    size_t size = aid_query_tcp(queries, 1, "www", TYPE_A);
    queries[4] |= 0x80;
    size += aid_query_tcp(queries + size, 2, "www", TYPE_A);
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_send(fd, queries, size);
    aid_read_answer(fd, 2);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_dropped_response), 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_answers_tcp), 1);
    close(fd);
    end(&aid, 1);
}
END_TEST

/* What is too short to be a message ends the connection, after what came before was answered. */
START_TEST(ends_on_what_is_no_message)
{
    static const uint16_t lengths[] = {0, 1, 11};
    struct aid aid;
    uint8_t octets[256] = {0};
    begin(&aid);
    for (size_t i = 0; i < 3; i++) {
        size_t size = aid_query_tcp(octets, 1, "www", TYPE_A);
        wire_put_u16(octets + size, lengths[i]);
        int fd = aid_client(&aid, SOCK_STREAM);
        aid_send(fd, octets, sizeof octets);
        aid_read_answer(fd, 1);
        aid_expect_end(fd, false);
        close(fd);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_malformed), 3);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_tcp4), 3);
    end(&aid, 3);
}
END_TEST

START_TEST(sends_without_delay)
{
    struct aid aid;
    begin(&aid);
    int fd = aid_client(&aid, SOCK_STREAM);
    uint64_t start = clock_now_ns();
    for (uint16_t id = 0; id < 20; id++) {
        /* Two answers written apart: with Nagle the second would wait for an ACK of 40 ms. */
        uint8_t query[64];
        size_t size = aid_query_tcp(query, id, "www", TYPE_A);
        aid_send(fd, query, size);
        aid_send(fd, query, size);
        aid_read_answer(fd, id);
        aid_read_answer(fd, id);
    }
    ck_assert_uint_lt(clock_now_ns() - start, UINT64_C(20) * 40 * 1000000);
    close(fd);
    end(&aid, 1);
}
END_TEST

/* ---- Back-pressure ---- */

/*
 * 2,000 queries for 40 KB each and nobody who reads: the server must stop reading, hold no more
 * than its buffers, serve others, and send everything once the client reads.
 */
START_TEST(stops_for_a_client_that_does_not_read)
{
    enum { QUERIES = 2000 };
    static uint8_t queries[QUERIES * (2 + AID_QUERY)];
    struct aid aid;
    begin(&aid);
    size_t size = 0;
    for (uint16_t id = 0; id < QUERIES; id++) {
        size += aid_query_tcp(queries + size, id, "big", TYPE_TXT);
    }
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_send(fd, queries, size);
    int other = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(other, 1);
    usleep(100000);
    uint64_t answered = aid_count(&aid, COUNTER_answers_tcp);
    ck_assert_uint_gt(answered, 10);
    ck_assert_uint_lt(answered, QUERIES / 2);
    usleep(50000);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_answers_tcp), answered);
    aid_ask_tcp(other, 2);
    for (uint16_t id = 0; id < QUERIES; id++) {
        ck_assert_uint_gt(aid_read_answer(fd, id), AID_BIG_RECORDS * 190);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_answers_tcp), QUERIES + 2);
    aid_ask_tcp(fd, 9);
    close(fd);
    close(other);
    end(&aid, 2);
}
END_TEST

/* A client that resets its connection while answers wait for it. */
START_TEST(survives_a_reset)
{
    enum { QUERIES = 500 };
    static uint8_t queries[QUERIES * (2 + AID_QUERY)];
    struct aid aid;
    begin(&aid);
    size_t size = 0;
    for (uint16_t id = 0; id < QUERIES; id++) {
        size += aid_query_tcp(queries + size, id, "big", TYPE_TXT);
    }
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_send(fd, queries, size);
    usleep(20000);
    struct linger now = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
    aid_await(&aid, COUNTER_tcp_closed, 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_reset), 1);
    int other = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(other, 2);
    close(other);
    end(&aid, 2);
}
END_TEST

/* ---- Patience ---- */

static void begin_impatient(struct aid *aid, unsigned idle_ms)
{
    aid_prepare(aid, LOOPBACK);
    aid->options.tcp_idle_ms = idle_ms;
    aid_start(aid);
}

START_TEST(closes_the_idle)
{
    struct aid aid;
    begin_impatient(&aid, 500);
    uint64_t start = clock_now_ns();
    int silent = aid_client(&aid, SOCK_STREAM);
    int asking = aid_client(&aid, SOCK_STREAM);
    for (uint16_t id = 0; id < 8; id++) {
        usleep(100000);
        aid_ask_tcp(asking, id);
    }
    aid_expect_end(silent, false); /* while the other was kept by its queries */
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_idle), 1);
    aid_expect_end(asking, false);
    ck_assert_uint_ge(clock_now_ns() - start, UINT64_C(1300) * 1000000);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_idle), 2);
    close(silent);
    close(asking);
    end(&aid, 2);
}
END_TEST

/* An octet every now and then is no progress. */
START_TEST(closes_who_trickles)
{
    struct aid aid;
    uint8_t query[64];
    begin_impatient(&aid, 300);
    int fd = aid_client(&aid, SOCK_STREAM);
    size_t size = aid_query_tcp(query, 1, "www", TYPE_A);
    uint64_t start = clock_now_ns();
    size_t sent = 0;
    while (sent < size && send(fd, query + sent, 1, MSG_NOSIGNAL) == 1 &&
           !aid_ready(fd, POLLIN, 30)) {
        sent++;
    }
    uint64_t took = clock_now_ns() - start;
    ck_assert_uint_lt(sent, size - 2);
    ck_assert_uint_ge(took, UINT64_C(250) * 1000000);
    aid_expect_end(fd, true);
    close(fd);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_idle), 1);
    end(&aid, 1);
}
END_TEST

START_TEST(closes_who_does_not_read)
{
    enum { QUERIES = 500 };
    static uint8_t queries[QUERIES * (2 + AID_QUERY)];
    struct aid aid;
    begin_impatient(&aid, 300);
    size_t size = 0;
    for (uint16_t id = 0; id < QUERIES; id++) {
        size += aid_query_tcp(queries + size, id, "big", TYPE_TXT);
    }
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_send(fd, queries, size);
    aid_await(&aid, COUNTER_tcp_closed, 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_idle), 1);
    close(fd);
    end(&aid, 1);
}
END_TEST

/* A client that has had its answers and does not close, though told that we have nothing more. */
START_TEST(closes_who_lingers)
{
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid.options.tcp_idle_ms = 200;
    aid.options.tcp_queries_per_connection = 1;
    aid_start(&aid);
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(fd, 1);
    aid_expect_end(fd, false);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_closed), 0);
    aid_await(&aid, COUNTER_tcp_closed, 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_idle), 1);
    close(fd);
    end(&aid, 1);
}
END_TEST

/* ---- Limits ---- */

START_TEST(ends_after_so_many_queries)
{
    enum { QUERIES = 200, LIMIT = 70 };
    static uint8_t queries[QUERIES * (2 + AID_QUERY)];
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid.options.tcp_queries_per_connection = LIMIT;
    aid_start(&aid);
    size_t size = 0;
    for (uint16_t id = 0; id < QUERIES; id++) {
        size += aid_query_tcp(queries + size, id, "www", TYPE_A);
    }
    int fd = aid_client(&aid, SOCK_STREAM);
    aid_send(fd, queries, size);
    for (uint16_t id = 0; id < LIMIT; id++) {
        aid_read_answer(fd, id);
    }
    aid_expect_end(fd, false); /* FIN and not a reset, though queries were left unread */
    close(fd);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_tcp4), LIMIT);
    end(&aid, 1);
}
END_TEST

START_TEST(makes_room_by_closing_the_oldest_idle)
{
    int fds[6];
    uint8_t query[64];
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid.options.tcp_clients_max = 4;
    aid_start(&aid);
    for (uint16_t i = 0; i < 4; i++) {
        fds[i] = aid_client(&aid, SOCK_STREAM);
        aid_ask_tcp(fds[i], i);
    }
    /* 0 has the oldest connection, but 1 has been idle the longest. */
    aid_ask_tcp(fds[0], 7);
    fds[4] = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(fds[4], 1);
    aid_expect_end(fds[1], false);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_evicted), 1);

    /* Busy ones are not idle: with all of them busy the new one is refused. */
    size_t size = aid_query_tcp(query, 1, "www", TYPE_A);
    const size_t busy[] = {0, 2, 3, 4};
    for (size_t i = 0; i < 4; i++) {
        aid_send(fds[busy[i]], query, size - 1);
    }
    aid_await(&aid, COUNTER_bytes_received_tcp, 6 * size + 4 * (size - 1));
    fds[5] = aid_client(&aid, SOCK_STREAM);
    aid_expect_end(fds[5], true);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_refused), 1);
    for (size_t i = 0; i < 4; i++) {
        aid_send(fds[busy[i]], query + size - 1, 1);
        aid_read_answer(fds[busy[i]], 1);
    }
    for (size_t i = 0; i < 6; i++) {
        close(fds[i]);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_evicted), 1);
    end(&aid, 6);
}
END_TEST

START_TEST(limits_an_address_among_its_own)
{
    int fds[5];
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid.options.tcp_clients_per_address = 2;
    aid_start(&aid);
    fds[0] = client_from(&aid, "127.0.0.9:0");
    aid_ask_tcp(fds[0], 0);
    for (uint16_t i = 1; i < 3; i++) {
        fds[i] = client_from(&aid, "127.0.0.8:0");
        aid_ask_tcp(fds[i], i);
    }
    aid_ask_tcp(fds[1], 4);
    fds[3] = client_from(&aid, "127.0.0.8:0");
    aid_ask_tcp(fds[3], 3);
    /* The third of 127.0.0.8 took the place of the one that had been idle the longest of its own; of
     * another address one has been so for longer, and stays. */
    aid_expect_end(fds[2], false);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_evicted), 1);
    aid_ask_tcp(fds[0], 5);
    aid_ask_tcp(fds[1], 5);
    aid_ask_tcp(fds[3], 5);

    uint8_t octet = 0;
    aid_send(fds[1], &octet, 1);
    aid_send(fds[3], &octet, 1);
    aid_await(&aid, COUNTER_bytes_received_tcp, 8 * (2 + AID_QUERY) + 2);
    fds[4] = client_from(&aid, "127.0.0.8:0");
    aid_expect_end(fds[4], true);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_refused), 1);
    aid_ask_tcp(fds[0], 6);
    for (size_t i = 0; i < 5; i++) {
        close(fds[i]);
    }
    end(&aid, 5);
}
END_TEST

/* Addresses of one IPv6 /64 are one client: here there is but ::1. */
START_TEST(limits_an_ipv6_network)
{
    static const char *const addresses[] = {"[::1]:0", NULL};
    struct aid aid;
    aid_prepare(&aid, addresses);
    aid.options.tcp_clients_per_address = 1;
    aid_start(&aid);
    int first = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(first, 1);
    int second = aid_client(&aid, SOCK_STREAM);
    aid_ask_tcp(second, 2);
    aid_expect_end(first, false);
    close(first);
    close(second);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_evicted), 1);
    end(&aid, 2);
}
END_TEST

/* With no descriptor left: counted, an idle connection closed, and service goes on. */
START_TEST(survives_without_descriptors)
{
    int fds[8];
    struct aid aid;
    struct rlimit limit;
    begin(&aid);
    for (uint16_t i = 0; i < 3; i++) {
        fds[i] = aid_client(&aid, SOCK_STREAM);
        aid_ask_tcp(fds[i], i);
    }
    for (size_t i = 3; i < 8; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    }
    getrlimit(RLIMIT_NOFILE, &limit);
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = 3; /* all descriptors there are stay, but there will be no other */
    setrlimit(RLIMIT_NOFILE, &limit);

    struct net_address to = aid_bound(&aid, 0);
    ck_assert_int_eq(connect(fds[3], (struct sockaddr *)&to.address, to.size), 0);
    aid_await(&aid, COUNTER_tcp_evicted, 3); /* in pauses, and not one after the other at once */
    usleep(120000);
    ck_assert_uint_ge(aid_count(&aid, COUNTER_accept_failed), 3);
    ck_assert_uint_lt(aid_count(&aid, COUNTER_accept_failed), 30);
    limit.rlim_cur = before;
    setrlimit(RLIMIT_NOFILE, &limit);

    aid_ask_tcp(fds[3], 4);
    for (size_t i = 0; i < 8; i++) {
        close(fds[i]);
    }
    end(&aid, 4);
}
END_TEST

/* Thousands of connections that come, ask and go; and the count of them comes back to zero. */
START_TEST(serves_many_connections)
{
    enum { ROUNDS = 20, CLIENTS = 100 };
    int fds[CLIENTS];
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid.options.workers = 2;
    aid.options.tcp_clients_per_address = CLIENTS;
    aid_start(&aid);
    for (uint16_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < CLIENTS; i++) {
            fds[i] = aid_client(&aid, SOCK_STREAM);
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            aid_ask_tcp(fds[i], (uint16_t)i);
        }
        for (size_t i = 0; i < CLIENTS; i++) {
            close(fds[i]);
        }
        aid_await(&aid, COUNTER_tcp_closed, (round + 1u) * CLIENTS);
    }
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_refused), 0);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_tcp_evicted), 0);
    end(&aid, ROUNDS * CLIENTS);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("net_tcp");
    tcase_add_test(unit.tests, takes_a_query_octet_by_octet);
    tcase_add_test(unit.tests, takes_queries_cut_anywhere);
    tcase_add_test(unit.tests, takes_the_longest_message);
    tcase_add_test(unit.tests, answers_a_thousand_pipelined);
    tcase_add_test(unit.tests, forgets_half_a_query_at_the_fin);
    tcase_add_test(unit.tests, serves_what_waits_when_it_accepts);
    tcase_add_test(unit.tests, skips_responses);
    tcase_add_test(unit.tests, ends_on_what_is_no_message);
    tcase_add_test(unit.tests, sends_without_delay);
    tcase_add_test(unit.tests, stops_for_a_client_that_does_not_read);
    tcase_add_test(unit.tests, survives_a_reset);
    tcase_add_test(unit.tests, closes_the_idle);
    tcase_add_test(unit.tests, closes_who_trickles);
    tcase_add_test(unit.tests, closes_who_does_not_read);
    tcase_add_test(unit.tests, closes_who_lingers);
    tcase_add_test(unit.tests, ends_after_so_many_queries);
    tcase_add_test(unit.tests, makes_room_by_closing_the_oldest_idle);
    tcase_add_test(unit.tests, limits_an_address_among_its_own);
    tcase_add_test(unit.tests, limits_an_ipv6_network);
    tcase_add_test(unit.tests, survives_without_descriptors);
    tcase_add_test(unit.tests, serves_many_connections);
    return unit_end(&unit);
}

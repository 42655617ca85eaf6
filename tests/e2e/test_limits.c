/*
 * TCP connections that last too long or are too many, how the server ends while some are there,
 * and that a hundred thousand of them leave nothing behind.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "stream.h"
#include "transport.h"

enum { WINDOW = 64, OWN_ADDRESSES = 200 };

/* ---- Patience and limits ---- */

static void begin_patience(void)
{
    stream_begin("patience", "{\"server\": {\"workers\": 1, \"tcp\": {\"idle\": \"1s\", "
                             "\"queries_per_connection\": 3}}}");
}

START_TEST(tcp_idle)
{
    int64_t before = daemon_counter(&server, "tcp_idle");
    int fd = stream_open();
    uint64_t start = clock_ms(); /* before the query: patience can't begin earlier */
    ck_assert_str_eq(ask_tcp(fd, "www.io.test.", "A"), "NOERROR 192.0.2.10");
    ck_assert(tcp_ends(fd, harness_patience_ms()));
    ck_assert_uint_ge(clock_ms() - start, 800);
    daemon_await_counter(&server, "tcp_idle", before + 1);
    close(fd);
}
END_TEST

START_TEST(tcp_never_says_anything)
{
    int64_t before = daemon_counter(&server, "tcp_idle");
    uint64_t start = clock_ms();
    int fd = stream_open();
    ck_assert(tcp_ends(fd, harness_patience_ms()));
    ck_assert_uint_ge(clock_ms() - start, 800);
    daemon_await_counter(&server, "tcp_idle", before + 1);
    close(fd);
}
END_TEST

/* A message that trickles in has one patience from its beginning. */
START_TEST(tcp_slow_loris)
{
    int64_t before = daemon_counter(&server, "tcp_idle");
    static const uint8_t length[2] = {0x40, 0};
    uint64_t start = clock_ms(), last = start + (uint64_t)harness_patience_ms();
    int fd = stream_open();
    send_all(fd, length, 2);
    bool open = true;
    while (open && clock_ms() < last) {
        open = send(fd, "x", 1, MSG_NOSIGNAL) == 1 && !tcp_ends(fd, 20);
    }
    ck_assert_msg(!open, "a message that never ends keeps its connection");
    ck_assert_uint_ge(clock_ms() - start, 800);
    daemon_await_counter(&server, "tcp_idle", before + 1);
    close(fd);
}
END_TEST

/* Who goes on asking is not idle. Where this machine slept too long itself, it does not count. */
START_TEST(tcp_not_idle)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    size_t size = ask_message("www.io.test.", "A", 1, message);
    unsigned well = 0;
    for (unsigned tries = 0; tries < 20 && well < 2; tries++) {
        int fd = stream_open();
        for (well = 0; well < 2; well++) {
            uint64_t start = clock_ms();
            pause_ms(600);
            tcp_send(fd, message, size);
            bool answered = tcp_receive(fd, answer, harness_patience_ms()) > 0;
            ck_assert_msg(answered || clock_ms() - start >= 900, "closed too early");
            if (!answered) {
                break;
            }
        }
        close(fd);
    }
    ck_assert_uint_eq(well, 2);
}
END_TEST

START_TEST(tcp_queries_per_connection)
{
    static uint8_t answer[MESSAGE_ROOM];
    size_t size;
    uint8_t *all = stream_pipeline("www.io.test.", "A", 0, 5, &size);
    int fd = stream_open();
    send_all(fd, all, size);
    stream_expect(fd, 0, 3, "NOERROR 192.0.2.10");
    ck_assert_int_eq(tcp_receive(fd, answer, harness_patience_ms()), 0);
    free(all);
    close(fd);
}
END_TEST

static void begin_limits(void)
{
    stream_begin("limits", "{\"server\": {\"workers\": 1, \"tcp\": {\"idle\": \"60s\", "
                           "\"clients_max\": 20, \"clients_per_address\": 5}}}");
}

/* A connection that has been served once, and so is idle; in this order. */
static int idle_from(const char *own)
{
    int fd = stream_open_from(own);
    ck_assert_str_eq(ask_tcp(fd, "www.io.test.", "A"), "NOERROR 192.0.2.10");
    return fd;
}

static bool is_alive(int fd)
{
    uint8_t octet;
    return recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

START_TEST(tcp_limit_of_an_address)
{
    int fd[6];
    int64_t evicted = daemon_counter(&server, "tcp_evicted");
    for (unsigned i = 0; i < 5; i++) {
        fd[i] = idle_from("127.0.0.9");
    }
    int other = idle_from("127.0.0.10");
    ck_assert_str_eq(ask_tcp(fd[0], "www.io.test.", "A"), "NOERROR 192.0.2.10");
    /* Now number 1 has been idle the longest of those of the address. */
    fd[5] = idle_from("127.0.0.9");
    ck_assert(tcp_ends(fd[1], harness_patience_ms()));
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_msg(i == 1 || is_alive(fd[i]), "number %u is gone too", i);
        close(fd[i]);
    }
    ck_assert(is_alive(other));
    close(other);
    daemon_await_counter(&server, "tcp_evicted", evicted + 1);
    stream_await_open(0);
}
END_TEST

/* Who has something under way is not put out; the new one is. */
START_TEST(tcp_limit_without_idle_ones)
{
    int fd[5];
    int64_t refused = daemon_counter(&server, "tcp_refused");
    int64_t received = daemon_counter(&server, "bytes_received_tcp");
    for (unsigned i = 0; i < 5; i++) {
        fd[i] = stream_open_from("127.0.0.11");
        send_all(fd[i], "\0\100half", 6);
    }
    daemon_await_counter(&server, "bytes_received_tcp", received + 30);
    int more = stream_open_from("127.0.0.11");
    ck_assert(tcp_ends(more, harness_patience_ms()));
    close(more);
    daemon_await_counter(&server, "tcp_refused", refused + 1);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert(is_alive(fd[i]));
        close(fd[i]);
    }
    stream_await_open(0);
}
END_TEST

START_TEST(tcp_limit_of_all)
{
    int fd[20];
    int64_t evicted = daemon_counter(&server, "tcp_evicted");
    for (unsigned i = 0; i < 20; i++) {
        fd[i] = idle_from(format_text("127.0.0.%u", 20 + i / 4));
    }
    int more = idle_from("127.0.0.99");
    ck_assert(tcp_ends(fd[0], harness_patience_ms()));
    int another = idle_from("127.0.0.98");
    ck_assert(tcp_ends(fd[1], harness_patience_ms()));
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_msg(i < 2 || is_alive(fd[i]), "number %u is gone too", i);
        close(fd[i]);
    }
    close(more);
    close(another);
    daemon_await_counter(&server, "tcp_evicted", evicted + 2);
    stream_await_open(0);
}
END_TEST

/* ---- Stopping ---- */

/* What reached the server before SIGTERM is answered. */
START_TEST(stop_answers_what_is_in_flight)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    size_t size;
    stream_begin(format_text("stop%d", _i), "{\"server\": {\"drain\": \"20s\"}}");
    uint8_t *all = stream_pipeline("www.io.test.", "A", 0, MANY, &size);
    int tcp = stream_open(), quiet = stream_open();
    int udp = udp_open(NULL, "127.0.0.1", server.port);
    ck_assert_str_eq(ask_tcp(tcp, "www.io.test.", "A"), "NOERROR 192.0.2.10");
    ck_assert_str_eq(ask_tcp(quiet, "www.io.test.", "A"), "NOERROR 192.0.2.10");
    kill(server.pid, SIGSTOP); /* so that nothing of it is served before */
    send_all(tcp, all, size);
    for (unsigned i = 0; i < WINDOW; i++) {
        send_all(udp, message, ask_message("www.io.test.", "A", (uint16_t)i, message));
    }
    kill(server.pid, _i == 0 ? SIGTERM : SIGINT);
    kill(server.pid, SIGCONT);
    stream_expect(tcp, 0, MANY, "NOERROR 192.0.2.10");
    ck_assert_int_eq(tcp_receive(tcp, answer, harness_patience_ms()), 0);
    ck_assert(tcp_ends(quiet, harness_patience_ms()));
    for (unsigned i = 0; i < WINDOW; i++) {
        ck_assert_int_gt(receive(udp, answer, sizeof answer, harness_patience_ms()), 12);
    }
    daemon_ended(&server);
    free(all);
    close(tcp);
    close(quiet);
    close(udp);
}
END_TEST

/* But nobody can hold it up for longer than server.drain. */
START_TEST(stop_does_not_wait_for_ever)
{
    stream_begin("stubborn", "{\"server\": {\"drain\": \"1s\", \"tcp\": {\"idle\": \"1h\"}}}");
    size_t size;
    uint8_t *all = stream_pipeline("big.io.test.", "TXT", 0, MANY, &size);
    int reads_nothing = stream_open(), says_half = stream_open();
    stream_stuff(reads_nothing, all, size);
    send_all(says_half, "\0\100half", 6);
    daemon_stop(&server);
    free(all);
    close(reads_nothing);
    close(says_half);
}
END_TEST

/* ---- Many ---- */

static void begin_many(void)
{
    stream_begin("many", "{\"server\": {\"tcp\": {\"idle\": \"60s\"}}}");
}

/* One connection in one of the ways in which they come and go. */
static void one_life(unsigned i, const uint8_t *query, size_t size)
{
    uint8_t answer[512];
    /* So many of our own addresses that none runs out of ports while old ones wait (2 MSL). */
    int fd = stream_open_from(
        format_text("127.1.%u.%u", i % OWN_ADDRESSES / 100, 1 + i % OWN_ADDRESSES % 100));
    switch (i % 8) {
    case 0: /* nothing at all */
        break;
    case 1: /* half a query */
        send_all(fd, query, size / 2);
        break;
    case 2: /* an answer never read */
        send_all(fd, query, size);
        break;
    default:
        send_all(fd, query, size);
        ck_assert_int_gt(tcp_receive(fd, answer, harness_patience_ms()), 12);
        break;
    }
    if (i % 16 == 7) {
        tcp_reset(fd);
    } else {
        close(fd);
    }
}

START_TEST(many_connections_leave_nothing)
{
    unsigned warm_up = harness_sanitized() ? 500 : 5000;
    unsigned count = harness_sanitized() ? 5000 : 100000;
    uint64_t last = clock_ms() + 40000; /* on a slow machine it has to do with fewer */
    size_t size;
    uint8_t *query = stream_pipeline("www.io.test.", "A", 1, 1, &size);
    for (unsigned i = 0; i < warm_up; i++) {
        one_life(i, query, size);
    }
    stream_await_open(0);
    unsigned descriptors = daemon_descriptors(&server);
    size_t memory = daemon_memory(&server);
    for (unsigned i = 0; i < count && clock_ms() < last; i++) {
        one_life(i, query, size);
    }
    stream_await_open(0);
    ck_assert_uint_eq(daemon_descriptors(&server), descriptors);
    if (!harness_sanitized()) {
        size_t now = daemon_memory(&server);
        ck_assert_msg(now < memory + (1u << 20), "memory grew from %zu to %zu", memory, now);
    }
    stream_check_well();
    free(query);
}
END_TEST

static Suite *limits_suite(void)
{
    Suite *suite = suite_create("limits");
    const TTest *const patience[] = {tcp_idle,     tcp_never_says_anything,    tcp_slow_loris,
                                     tcp_not_idle, tcp_queries_per_connection, NULL};
    const TTest *const limits[] = {tcp_limit_of_an_address, tcp_limit_without_idle_ones,
                                   tcp_limit_of_all, NULL};
    const TTest *const many[] = {many_connections_leave_nothing, NULL};
    stream_group(suite, "patience", begin_patience, patience);
    stream_group(suite, "limits", begin_limits, limits);
    TCase *stopping = tcase_create("stopping");
    tcase_add_loop_test(stopping, stop_answers_what_is_in_flight, 0, 2);
    tcase_add_test(stopping, stop_does_not_wait_for_ever);
    suite_add_tcase(suite, stopping);
    stream_group(suite, "many", begin_many, many);
    return suite;
}

int main(void)
{
    return harness_main("limits", limits_suite);
}

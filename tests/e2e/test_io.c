/*
 * Sockets: datagrams and connections in every shape that clients and attackers give them. The
 * answers themselves are the business of cases/.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "daemon.h"
#include "harness.h"
#include "packet.h"
#include "transport.h"

enum { MANY = 1000, WINDOW = 64, OWN_ADDRESSES = 200 };

static const char zone[] = "$TTL 3600\n"
                           "@ SOA ns hostmaster 1 7200 3600 1209600 300\n"
                           "  NS ns\n"
                           "ns A 192.0.2.1\n"
                           "www A 192.0.2.10\n"
                           /* 12 + 17 + 244 * 268 + 114 = 65535, "big.io.test" being asked for */
                           "$GENERATE 1-244 big TXT ${0,3}%s\n"
                           "big TXT %.101s\n"
                           "$GENERATE 1-1000 many MX $ h$.many\n"
                           "$GENERATE 1-1000 h$.many A 10.0.0.1\n";

static struct daemon server;

/* A server of its own for a group of tests. */
static void begin(const char *name, const char *more)
{
    char filler[253];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    daemon_prepare(&server, name, more);
    daemon_zone(&server, "io.test", format_text(zone, filler, filler));
    daemon_start(&server);
}

static void end(void)
{
    daemon_stop(&server);
}

static int connect_from(const char *own)
{
    return tcp_open(own, "127.0.0.1", server.port);
}

static int client(void)
{
    return connect_from(NULL);
}

/* The server is well: over everything it listens on. */
static void check_well(void)
{
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.io.test.", "A"),
                     "NOERROR 192.0.2.10");
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, true, "www.io.test.", "A"),
                     "NOERROR 192.0.2.10");
}

static void await_open(int64_t count)
{
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    for (;;) {
        json_t *stats = control_stats(&server);
        int64_t open = json_integer_value(json_object_get(json_object_get(stats, "gauges"),
                                                          "tcp_open"));
        json_decref(stats);
        if (open == count) {
            return;
        }
        ck_assert_msg(clock_ms() < last, "%lld connections are open, not %lld", (long long)open,
                      (long long)count);
        pause_ms(2);
    }
}

/* Octets of `count` queries with IDs from `first` on, each with its length. To be freed. */
static uint8_t *pipeline(const char *name, const char *type, unsigned first, unsigned count,
                         size_t *size)
{
    uint8_t message[512];
    size_t one = ask_message(name, type, 0, message);
    uint8_t *all = malloc(count * (one + 2));
    ck_assert_ptr_nonnull(all);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *at = all + i * (one + 2);
        at[0] = (uint8_t)(one >> 8);
        at[1] = (uint8_t)one;
        memcpy(at + 2, message, one);
        at[2] = (uint8_t)((first + i) >> 8);
        at[3] = (uint8_t)(first + i);
    }
    *size = count * (one + 2);
    return all;
}

/* Receives answers to IDs from `first` on, in order. */
static void expect_answers(int fd, unsigned first, unsigned count, const char *text)
{
    static uint8_t answer[MESSAGE_ROOM];
    for (unsigned i = 0; i < count; i++) {
        ssize_t got = tcp_receive(fd, answer, harness_patience_ms());
        ck_assert_msg(got > 0, "%u of %u answers came", i, count);
        ck_assert_uint_eq((unsigned)(answer[0] << 8 | answer[1]), (first + i) & 0xffff);
        if (text != NULL) {
            ck_assert_str_eq(answer_text(answer, (size_t)got), text);
        }
    }
}

/* ---- UDP ---- */

static void begin_plain(void)
{
    begin("plain", "{\"server\": {\"tcp\": {\"idle\": \"60s\", \"clients_per_address\": 4096}}}");
}

START_TEST(udp_both_families)
{
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.io.test.", "A"),
                     "NOERROR 192.0.2.10");
    if (have_ipv6()) {
        ck_assert_str_eq(ask_once("::1", server.port, false, "www.io.test.", "A"),
                         "NOERROR 192.0.2.10");
        ck_assert_str_eq(ask_once("::1", server.port, true, "www.io.test.", "A"),
                         "NOERROR 192.0.2.10");
    }
}
END_TEST

START_TEST(udp_many_clients)
{
    enum { CLIENTS = 200 };
    int fd[CLIENTS];
    uint8_t message[512], answer[512];
    int64_t before = daemon_counter(&server, "answers_udp");
    for (unsigned i = 0; i < CLIENTS; i++) {
        fd[i] = udp_open(NULL, "127.0.0.1", server.port);
        send_all(fd[i], message, ask_message("www.io.test.", "A", (uint16_t)i, message));
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        ssize_t got = receive(fd[i], answer, sizeof answer, harness_patience_ms());
        ck_assert_int_gt(got, 12);
        ck_assert_uint_eq((unsigned)(answer[0] << 8 | answer[1]), i);
        ck_assert_str_eq(answer_text(answer, (size_t)got), "NOERROR 192.0.2.10");
        close(fd[i]);
    }
    daemon_await_counter(&server, "answers_udp", before + CLIENTS);
}
END_TEST

/* Windows of queries on one socket: each is answered, once. */
START_TEST(udp_many_queries)
{
    unsigned windows = 200 / harness_slow();
    uint8_t message[512], answer[512];
    int fd = udp_open(NULL, "127.0.0.1", server.port);
    for (unsigned w = 0; w < windows; w++) {
        bool seen[WINDOW] = {false};
        for (unsigned i = 0; i < WINDOW; i++) {
            uint16_t id = (uint16_t)(w * WINDOW + i);
            send_all(fd, message, ask_message("www.io.test.", "A", id, message));
        }
        for (unsigned i = 0; i < WINDOW; i++) {
            ssize_t got = receive(fd, answer, sizeof answer, harness_patience_ms());
            ck_assert_msg(got > 12, "%u answers are missing", WINDOW - i);
            unsigned at = (unsigned)(answer[0] << 8 | answer[1]) - w * WINDOW;
            ck_assert_uint_lt(at, WINDOW);
            ck_assert_msg(!seen[at], "an answer twice");
            seen[at] = true;
        }
    }
    close(fd);
}
END_TEST

START_TEST(udp_too_long)
{
    static const uint8_t zeros[9000];
    int64_t before = daemon_counter(&server, "dropped_truncated");
    int fd = udp_open(NULL, "127.0.0.1", server.port);
    send_all(fd, zeros, 4097);
    send_all(fd, zeros, 9000);
    ck_assert_str_eq(ask_udp(fd, "www.io.test.", "A"), "NOERROR 192.0.2.10");
    daemon_await_counter(&server, "dropped_truncated", before + 2);
    close(fd);
}
END_TEST

/* Port 0 can't be answered and must not harm; nothing of that can be sent here, but ports that
 * closed meanwhile can: the ICMP errors they cause belong to nobody's socket but ours. */
START_TEST(udp_clients_that_left)
{
    uint8_t message[512];
    for (unsigned i = 0; i < 200; i++) {
        int fd = udp_open(NULL, "127.0.0.1", server.port);
        send_all(fd, message, ask_message("www.io.test.", "A", 1, message));
        close(fd);
    }
    check_well();
}
END_TEST

/* ---- TCP: how octets come ---- */

START_TEST(tcp_split_length)
{
    uint8_t answer[512];
    size_t size;
    uint8_t *all = pipeline("www.io.test.", "A", 7, 1, &size);
    int fd = client();
    send_all(fd, all, 1);
    ck_assert_int_eq(receive(fd, answer, sizeof answer, 50), -1);
    send_all(fd, all + 1, 1);
    ck_assert_int_eq(receive(fd, answer, sizeof answer, 50), -1);
    send_all(fd, all + 2, size - 2);
    expect_answers(fd, 7, 1, "NOERROR 192.0.2.10");
    free(all);
    close(fd);
}
END_TEST

START_TEST(tcp_octet_by_octet)
{
    size_t size;
    uint8_t *all = pipeline("www.io.test.", "A", 100, 5, &size);
    int one = 1;
    int fd = client();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t i = 0; i < size; i++) {
        send_all(fd, all + i, 1);
        pause_ms(1);
    }
    expect_answers(fd, 100, 5, "NOERROR 192.0.2.10");
    free(all);
    close(fd);
}
END_TEST

/* Cut at every place in turn. */
START_TEST(tcp_cut_anywhere)
{
    size_t size;
    uint8_t *all = pipeline("www.io.test.", "A", 0, 3, &size);
    int one = 1;
    int fd = client();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t cut = 1; cut < size; cut++) {
        send_all(fd, all, cut);
        pause_ms(1);
        send_all(fd, all + cut, size - cut);
        expect_answers(fd, 0, 3, NULL);
    }
    free(all);
    close(fd);
}
END_TEST

START_TEST(tcp_pipelined)
{
    size_t size;
    uint8_t *all = pipeline("www.io.test.", "A", 0, MANY, &size);
    int64_t queries = daemon_counter(&server, "queries_tcp4");
    int64_t answers = daemon_counter(&server, "answers_tcp");
    int fd = client();
    send_all(fd, all, size);
    expect_answers(fd, 0, MANY, "NOERROR 192.0.2.10");
    daemon_await_counter(&server, "queries_tcp4", queries + MANY);
    daemon_await_counter(&server, "answers_tcp", answers + MANY);
    free(all);
    close(fd);
}
END_TEST

START_TEST(tcp_half_closed)
{
    static uint8_t answer[MESSAGE_ROOM];
    size_t size;
    uint8_t *all = pipeline("www.io.test.", "A", 0, 50, &size);
    int fd = client();
    send_all(fd, all, size);
    shutdown(fd, SHUT_WR);
    expect_answers(fd, 0, 50, "NOERROR 192.0.2.10");
    ck_assert_int_eq(tcp_receive(fd, answer, harness_patience_ms()), 0);
    free(all);
    close(fd);
}
END_TEST

/* What is not a whole message is not answered; what came before it is. */
START_TEST(tcp_half_closed_in_a_message)
{
    static uint8_t answer[MESSAGE_ROOM];
    size_t size;
    uint8_t *all = pipeline("www.io.test.", "A", 0, 3, &size);
    int fd = client();
    send_all(fd, all, size - 5);
    shutdown(fd, SHUT_WR);
    expect_answers(fd, 0, 2, "NOERROR 192.0.2.10");
    ck_assert_int_eq(tcp_receive(fd, answer, harness_patience_ms()), 0);
    free(all);
    close(fd);
}
END_TEST

START_TEST(tcp_no_message)
{
    static const uint8_t lengths[][2] = {{0, 0}, {0, 1}, {0, 11}};
    static uint8_t answer[MESSAGE_ROOM];
    for (unsigned i = 0; i < 3; i++) {
        int64_t before = daemon_counter(&server, "tcp_malformed");
        size_t size;
        uint8_t *all = pipeline("www.io.test.", "A", 0, 2, &size);
        int fd = client();
        send_all(fd, all, size);
        send_all(fd, lengths[i], 2);
        send_all(fd, all, size);
        expect_answers(fd, 0, 2, "NOERROR 192.0.2.10");
        ck_assert_int_eq(tcp_receive(fd, answer, harness_patience_ms()), 0);
        daemon_await_counter(&server, "tcp_malformed", before + 1);
        free(all);
        close(fd);
    }
}
END_TEST

/* The longest query there can be is read, and refused for what is in it. */
START_TEST(tcp_longest_query)
{
    static uint8_t message[65535];
    memset(message, 0, sizeof message);
    size_t size = ask_message("www.io.test.", "A", 5, message);
    ck_assert_uint_gt(size, 12);
    int fd = client();
    tcp_send(fd, message, sizeof message);
    tcp_send(fd, message, size);
    expect_answers(fd, 5, 1, "FORMERR");
    expect_answers(fd, 5, 1, "NOERROR 192.0.2.10");
    close(fd);
}
END_TEST

START_TEST(tcp_longest_answer)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    struct packet packet;
    int fd = client();
    tcp_send(fd, message, ask_message("big.io.test.", "TXT", 1, message));
    ck_assert_int_eq(tcp_receive(fd, answer, harness_patience_ms()), 65535);
    const char *bad = packet_read(&packet, answer, 65535);
    ck_assert_msg(bad == NULL, "%s", bad);
    const ldns_rr_list *list = packet_section(&packet, SECTION_ANSWER);
    ck_assert_uint_eq(ldns_rr_list_rr_count(list), 245);
    packet_free(&packet);
    close(fd);
}
END_TEST

/* Names past 16 KiB of a message are out of reach of pointers. */
START_TEST(tcp_long_answer_with_names)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    struct packet packet;
    int fd = client();
    tcp_send(fd, message, ask_message("many.io.test.", "MX", 1, message));
    ssize_t got = tcp_receive(fd, answer, harness_patience_ms());
    ck_assert_int_gt(got, 0);
    const char *bad = packet_read(&packet, answer, (size_t)got);
    ck_assert_msg(bad == NULL, "%s", bad);
    const ldns_rr_list *list = packet_section(&packet, SECTION_ANSWER);
    const ldns_rr_list *more = packet_section(&packet, SECTION_ADDITIONAL);
    ck_assert_uint_eq(ldns_rr_list_rr_count(list), MANY);
    ck_assert_uint_eq(ldns_rr_list_rr_count(more), MANY);
    bool seen[2][MANY + 1] = {{false}};
    for (size_t i = 0; i < MANY; i++) {
        unsigned preference = 0, number = 0;
        const char *text = record_text(ldns_rr_list_rr(list, i));
        int fields = sscanf(text, "many.io.test. 3600 IN MX %u h%u.many.io.test.", &preference,
                            &number);
        ck_assert_msg(fields == 2 && preference == number && number <= MANY && !seen[0][number],
                      "%s", text);
        seen[0][number] = true;
        text = record_text(ldns_rr_list_rr(more, i));
        fields = sscanf(text, "h%u.many.io.test. 3600 IN A 10.0.0.%u", &number, &preference);
        ck_assert_msg(fields == 2 && preference == 1 && number <= MANY && !seen[1][number], "%s",
                      text);
        seen[1][number] = true;
    }
    packet_free(&packet);
    close(fd);
}
END_TEST

/* ---- TCP: clients that misbehave ---- */

/* Octets sent until the server takes no more: it does not read while its answers are not read. */
static size_t stuff(int fd, const uint8_t *all, size_t size)
{
    size_t sent = 0;
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    while (sent < size && poll(&room, 1, 300 * (int)harness_slow()) > 0) {
        ssize_t got = send(fd, all + sent, size - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
        ck_assert(got > 0 || errno == EAGAIN);
        sent += got > 0 ? (size_t)got : 0;
    }
    return sent;
}

START_TEST(tcp_client_that_does_not_read)
{
    enum { QUERIES = 1000000 }; /* 30 MB: more than all buffers of the kernel take */
    size_t size;
    uint8_t *all = pipeline("big.io.test.", "TXT", 0, QUERIES, &size);
    size_t one = size / QUERIES;
    check_well();
    size_t memory = daemon_memory(&server);
    int fd = client();
    size_t sent = stuff(fd, all, size);
    ck_assert_msg(sent < size, "the server reads on while nobody reads its answers");
    check_well();
    if (!harness_sanitized()) {
        ck_assert_uint_lt(daemon_memory(&server), memory + (4u << 20));
    }
    /* Then it reads after all: no answer was lost. Of the message that was cut, the rest. */
    size_t rest = (one - sent % one) % one;
    unsigned whole = (unsigned)((sent + rest) / one);
    unsigned some = whole > 40 ? 40 : whole;
    expect_answers(fd, 0, some, NULL);
    tcp_reset(fd);
    await_open(0);
    free(all);
}
END_TEST

/* Every query is answered in the end, whatever the pace. */
START_TEST(tcp_client_that_reads_late)
{
    enum { QUERIES = 300 };
    size_t size;
    uint8_t *all = pipeline("many.io.test.", "MX", 0, QUERIES, &size);
    int fd = client();
    size_t sent = stuff(fd, all, size);
    if (sent < size) { /* buffers of this machine are too small to take all at once */
        unsigned whole = (unsigned)(sent / (size / QUERIES));
        expect_answers(fd, 0, whole, NULL);
        send_all(fd, all + sent, size - sent);
        expect_answers(fd, whole, QUERIES - whole, NULL);
    } else {
        expect_answers(fd, 0, QUERIES, NULL);
    }
    free(all);
    close(fd);
    await_open(0);
}
END_TEST

START_TEST(tcp_resets)
{
    size_t size;
    uint8_t *all = pipeline("big.io.test.", "TXT", 0, 100, &size);
    int64_t accepted = daemon_counter(&server, "tcp_accepted");
    unsigned descriptors = daemon_descriptors(&server);
    unsigned rounds = 400 / harness_slow();
    for (unsigned i = 0; i < rounds; i++) {
        int fd = client();
        size_t part[] = {0, 1, 2, 20, size / 100, size};
        send_all(fd, all, part[i % 6]);
        if (i % 12 >= 6) { /* when answers are on their way already */
            pause_ms(1);
        }
        tcp_reset(fd);
    }
    await_open(0);
    ck_assert_int_le(daemon_counter(&server, "tcp_accepted"), accepted + rounds);
    ck_assert_uint_eq(daemon_descriptors(&server), descriptors);
    check_well();
    free(all);
}
END_TEST

/* A connection that is reset before it is accepted, and one whose FIN comes with the query. */
START_TEST(tcp_short_lives)
{
    for (unsigned i = 0; i < 200 / harness_slow(); i++) {
        int fd = client();
        tcp_reset(fd);
        fd = client();
        close(fd);
    }
    await_open(0);
    check_well();
}
END_TEST

/* ---- The wildcard address ---- */

static void begin_wild(void)
{
    struct daemon *d = &server;
    begin("wild", NULL);
    daemon_stop(d);
    daemon_configure(d, have_ipv6() ? format_text("{\"server\": {\"listen\": "
                                                  "[\"0.0.0.0:%u\", \"[::]:%u\"]}}",
                                                  d->port, d->port)
                                    : format_text("{\"server\": {\"listen\": [\"0.0.0.0:%u\"]}}",
                                                  d->port));
    daemon_start(d);
}

/* Who asks an address is answered from that address, or would take the answer for a forged one. */
START_TEST(udp_answered_from_the_address_asked)
{
    static const char *const addresses[] = {"127.0.0.1", "127.0.0.2", "127.200.100.50", "::1"};
    for (size_t i = 0; i < (have_ipv6() ? 4u : 3u); i++) {
        /* A connected socket takes datagrams of that address only. */
        int fd = udp_open(NULL, addresses[i], server.port);
        ck_assert_str_eq(ask_udp(fd, "www.io.test.", "A"), "NOERROR 192.0.2.10");
        close(fd);
        fd = udp_open(addresses[i], addresses[i], server.port);
        ck_assert_str_eq(ask_udp(fd, "www.io.test.", "A"), "NOERROR 192.0.2.10");
        close(fd);
        ck_assert_str_eq(ask_once(addresses[i], server.port, true, "www.io.test.", "A"),
                         "NOERROR 192.0.2.10");
    }
}
END_TEST

/* In one batch, from one client socket: each from its own. */
START_TEST(udp_addresses_mixed)
{
    enum { ADDRESSES = 30 };
    int fd[ADDRESSES];
    uint8_t message[512], answer[512];
    for (unsigned i = 0; i < ADDRESSES; i++) {
        fd[i] = udp_open(NULL, format_text("127.0.%u.%u", i / 7, 3 + i), server.port);
    }
    for (unsigned i = 0; i < ADDRESSES; i++) {
        send_all(fd[i], message, ask_message("www.io.test.", "A", (uint16_t)i, message));
    }
    for (unsigned i = 0; i < ADDRESSES; i++) {
        ssize_t got = receive(fd[i], answer, sizeof answer, harness_patience_ms());
        ck_assert_int_gt(got, 12);
        ck_assert_uint_eq((unsigned)(answer[0] << 8 | answer[1]), i);
        close(fd[i]);
    }
}
END_TEST

/* ---- Patience and limits ---- */

static void begin_patience(void)
{
    begin("patience", "{\"server\": {\"workers\": 1, \"tcp\": {\"idle\": \"1s\", "
                      "\"queries_per_connection\": 3}}}");
}

START_TEST(tcp_idle)
{
    int64_t before = daemon_counter(&server, "tcp_idle");
    int fd = client();
    ck_assert_str_eq(ask_tcp(fd, "www.io.test.", "A"), "NOERROR 192.0.2.10");
    uint64_t start = clock_ms();
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
    int fd = client();
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
    int fd = client();
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

/* Who goes on asking is not idle. */
START_TEST(tcp_not_idle)
{
    int fd = client();
    for (unsigned i = 0; i < 2; i++) {
        pause_ms(600);
        ck_assert_str_eq(ask_tcp(fd, "www.io.test.", "A"), "NOERROR 192.0.2.10");
    }
    close(fd);
}
END_TEST

START_TEST(tcp_queries_per_connection)
{
    static uint8_t answer[MESSAGE_ROOM];
    size_t size;
    uint8_t *all = pipeline("www.io.test.", "A", 0, 5, &size);
    int fd = client();
    send_all(fd, all, size);
    expect_answers(fd, 0, 3, "NOERROR 192.0.2.10");
    ck_assert_int_eq(tcp_receive(fd, answer, harness_patience_ms()), 0);
    free(all);
    close(fd);
}
END_TEST

static void begin_limits(void)
{
    begin("limits", "{\"server\": {\"workers\": 1, \"tcp\": {\"idle\": \"60s\", "
                    "\"clients_max\": 20, \"clients_per_address\": 5}}}");
}

/* A connection that has been served once, and so is idle; in this order. */
static int idle_from(const char *own)
{
    int fd = connect_from(own);
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
    await_open(0);
}
END_TEST

/* Who has something under way is not put out; the new one is. */
START_TEST(tcp_limit_without_idle_ones)
{
    int fd[5];
    int64_t refused = daemon_counter(&server, "tcp_refused");
    int64_t received = daemon_counter(&server, "bytes_received_tcp");
    for (unsigned i = 0; i < 5; i++) {
        fd[i] = connect_from("127.0.0.11");
        send_all(fd[i], "\0\100half", 6);
    }
    daemon_await_counter(&server, "bytes_received_tcp", received + 30);
    int more = connect_from("127.0.0.11");
    ck_assert(tcp_ends(more, harness_patience_ms()));
    close(more);
    daemon_await_counter(&server, "tcp_refused", refused + 1);
    for (unsigned i = 0; i < 5; i++) {
        ck_assert(is_alive(fd[i]));
        close(fd[i]);
    }
    await_open(0);
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
    await_open(0);
}
END_TEST

/* ---- Stopping ---- */

/* What reached the server before SIGTERM is answered. */
START_TEST(stop_answers_what_is_in_flight)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    size_t size;
    begin(format_text("stop%d", _i), "{\"server\": {\"drain\": \"20s\"}}");
    uint8_t *all = pipeline("www.io.test.", "A", 0, MANY, &size);
    int tcp = client(), quiet = client();
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
    expect_answers(tcp, 0, MANY, "NOERROR 192.0.2.10");
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
    begin("stubborn", "{\"server\": {\"drain\": \"1s\", \"tcp\": {\"idle\": \"1h\"}}}");
    size_t size;
    uint8_t *all = pipeline("big.io.test.", "TXT", 0, MANY, &size);
    int reads_nothing = client(), says_half = client();
    stuff(reads_nothing, all, size);
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
    begin("many", "{\"server\": {\"tcp\": {\"idle\": \"60s\"}}}");
}

/* One connection in one of the ways in which they come and go. */
static void one_life(unsigned i, const uint8_t *query, size_t size)
{
    uint8_t answer[512];
    /* So many of our own addresses that none runs out of ports while old ones wait (2 MSL). */
    int fd = connect_from(format_text("127.1.%u.%u", i % OWN_ADDRESSES / 100,
                                      1 + i % OWN_ADDRESSES % 100));
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
    uint8_t *query = pipeline("www.io.test.", "A", 1, 1, &size);
    for (unsigned i = 0; i < warm_up; i++) {
        one_life(i, query, size);
    }
    await_open(0);
    unsigned descriptors = daemon_descriptors(&server);
    size_t memory = daemon_memory(&server);
    for (unsigned i = 0; i < count && clock_ms() < last; i++) {
        one_life(i, query, size);
    }
    await_open(0);
    ck_assert_uint_eq(daemon_descriptors(&server), descriptors);
    if (!harness_sanitized()) {
        size_t now = daemon_memory(&server);
        ck_assert_msg(now < memory + (1u << 20), "memory grew from %zu to %zu", memory, now);
    }
    check_well();
    free(query);
}
END_TEST

static void add_group(Suite *suite, const char *name, void (*start)(void), const TTest *const *tests)
{
    TCase *tcase = tcase_create(name);
    tcase_add_unchecked_fixture(tcase, start, NULL);
    for (; *tests != NULL; tests++) {
        tcase_add_test(tcase, *tests);
    }
    suite_add_tcase(suite, tcase);
}

START_TEST(stops)
{
    end();
}
END_TEST

static Suite *io(void)
{
    Suite *suite = suite_create("io");
    const TTest *const plain[] = {udp_both_families,
                                  udp_many_clients,
                                  udp_many_queries,
                                  udp_too_long,
                                  udp_clients_that_left,
                                  tcp_split_length,
                                  tcp_octet_by_octet,
                                  tcp_cut_anywhere,
                                  tcp_pipelined,
                                  tcp_half_closed,
                                  tcp_half_closed_in_a_message,
                                  tcp_no_message,
                                  tcp_longest_query,
                                  tcp_longest_answer,
                                  tcp_long_answer_with_names,
                                  tcp_client_that_does_not_read,
                                  tcp_client_that_reads_late,
                                  tcp_resets,
                                  tcp_short_lives,
                                  stops,
                                  NULL};
    const TTest *const wild[] = {udp_answered_from_the_address_asked, udp_addresses_mixed, stops,
                                 NULL};
    const TTest *const patience[] = {tcp_idle,     tcp_never_says_anything,
                                     tcp_slow_loris, tcp_not_idle,
                                     tcp_queries_per_connection, stops, NULL};
    const TTest *const limits[] = {tcp_limit_of_an_address, tcp_limit_without_idle_ones,
                                   tcp_limit_of_all, stops, NULL};
    const TTest *const many[] = {many_connections_leave_nothing, stops, NULL};
    add_group(suite, "plain", begin_plain, plain);
    add_group(suite, "wildcard address", begin_wild, wild);
    add_group(suite, "patience", begin_patience, patience);
    add_group(suite, "limits", begin_limits, limits);
    TCase *stopping = tcase_create("stopping");
    tcase_add_loop_test(stopping, stop_answers_what_is_in_flight, 0, 2);
    tcase_add_test(stopping, stop_does_not_wait_for_ever);
    suite_add_tcase(suite, stopping);
    add_group(suite, "many", begin_many, many);
    return suite;
}

int main(void)
{
    return harness_main("io", io);
}

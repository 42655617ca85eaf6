/*
 * Sockets: datagrams and connections in every shape that clients and attackers give them. The
 * answers themselves are the business of cases/; limits and the end that of test_limits.c.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "packet.h"
#include "stream.h"
#include "transport.h"

enum { WINDOW = 64 };

/* ---- UDP ---- */

static void begin_plain(void)
{
    stream_begin("plain",
                 "{\"server\": {\"tcp\": {\"idle\": \"60s\", \"clients_per_address\": 4096}}}");
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
    stream_check_well();
}
END_TEST

/* ---- TCP: how octets come ---- */

START_TEST(tcp_split_length)
{
    uint8_t answer[512];
    size_t size;
    uint8_t *all = stream_pipeline("www.io.test.", "A", 7, 1, &size);
    int fd = stream_open();
    send_all(fd, all, 1);
    ck_assert_int_eq(receive(fd, answer, sizeof answer, 50), -1);
    send_all(fd, all + 1, 1);
    ck_assert_int_eq(receive(fd, answer, sizeof answer, 50), -1);
    send_all(fd, all + 2, size - 2);
    stream_expect(fd, 7, 1, "NOERROR 192.0.2.10");
    free(all);
    close(fd);
}
END_TEST

START_TEST(tcp_octet_by_octet)
{
    size_t size;
    uint8_t *all = stream_pipeline("www.io.test.", "A", 100, 5, &size);
    int one = 1;
    int fd = stream_open();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t i = 0; i < size; i++) {
        send_all(fd, all + i, 1);
        pause_ms(1);
    }
    stream_expect(fd, 100, 5, "NOERROR 192.0.2.10");
    free(all);
    close(fd);
}
END_TEST

/* Cut at every place in turn. */
START_TEST(tcp_cut_anywhere)
{
    size_t size;
    uint8_t *all = stream_pipeline("www.io.test.", "A", 0, 3, &size);
    int one = 1;
    int fd = stream_open();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    for (size_t cut = 1; cut < size; cut++) {
        send_all(fd, all, cut);
        pause_ms(1);
        send_all(fd, all + cut, size - cut);
        stream_expect(fd, 0, 3, NULL);
    }
    free(all);
    close(fd);
}
END_TEST

START_TEST(tcp_pipelined)
{
    size_t size;
    uint8_t *all = stream_pipeline("www.io.test.", "A", 0, MANY, &size);
    int64_t queries = daemon_counter(&server, "queries_tcp4");
    int64_t answers = daemon_counter(&server, "answers_tcp");
    int fd = stream_open();
    send_all(fd, all, size);
    stream_expect(fd, 0, MANY, "NOERROR 192.0.2.10");
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
    uint8_t *all = stream_pipeline("www.io.test.", "A", 0, 50, &size);
    int fd = stream_open();
    send_all(fd, all, size);
    shutdown(fd, SHUT_WR);
    stream_expect(fd, 0, 50, "NOERROR 192.0.2.10");
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
    uint8_t *all = stream_pipeline("www.io.test.", "A", 0, 3, &size);
    int fd = stream_open();
    send_all(fd, all, size - 5);
    shutdown(fd, SHUT_WR);
    stream_expect(fd, 0, 2, "NOERROR 192.0.2.10");
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
        uint8_t *all = stream_pipeline("www.io.test.", "A", 0, 2, &size);
        int fd = stream_open();
        send_all(fd, all, size);
        send_all(fd, lengths[i], 2);
        send_all(fd, all, size);
        stream_expect(fd, 0, 2, "NOERROR 192.0.2.10");
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
    int fd = stream_open();
    tcp_send(fd, message, sizeof message);
    tcp_send(fd, message, size);
    stream_expect(fd, 5, 1, "FORMERR");
    stream_expect(fd, 5, 1, "NOERROR 192.0.2.10");
    close(fd);
}
END_TEST

START_TEST(tcp_longest_answer)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    struct packet packet;
    int fd = stream_open();
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
    int fd = stream_open();
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
        int fields =
            sscanf(text, "many.io.test. 3600 IN MX %u h%u.many.io.test.", &preference, &number);
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

START_TEST(tcp_client_that_does_not_read)
{
    enum { QUERIES = 1000000 }; /* 30 MB: more than all buffers of the kernel take */
    size_t size;
    uint8_t *all = stream_pipeline("big.io.test.", "TXT", 0, QUERIES, &size);
    size_t one = size / QUERIES;
    stream_check_well();
    size_t memory = daemon_memory(&server);
    int fd = stream_open();
    size_t sent = stream_stuff(fd, all, size);
    ck_assert_msg(sent < size, "the server reads on while nobody reads its answers");
    stream_check_well();
    if (!harness_sanitized()) {
        ck_assert_uint_lt(daemon_memory(&server), memory + (4u << 20));
    }
    /* Then it reads after all: no answer was lost. Of the message that was cut, the rest. */
    size_t rest = (one - sent % one) % one;
    unsigned whole = (unsigned)((sent + rest) / one);
    unsigned some = whole > 40 ? 40 : whole;
    stream_expect(fd, 0, some, NULL);
    tcp_reset(fd);
    stream_await_open(0);
    free(all);
}
END_TEST

/* Every query is answered in the end, whatever the pace. */
START_TEST(tcp_client_that_reads_late)
{
    enum { QUERIES = 300 };
    size_t size;
    uint8_t *all = stream_pipeline("many.io.test.", "MX", 0, QUERIES, &size);
    int fd = stream_open();
    size_t sent = stream_stuff(fd, all, size);
    if (sent < size) { /* buffers of this machine are too small to take all at once */
        unsigned whole = (unsigned)(sent / (size / QUERIES));
        stream_expect(fd, 0, whole, NULL);
        send_all(fd, all + sent, size - sent);
        stream_expect(fd, whole, QUERIES - whole, NULL);
    } else {
        stream_expect(fd, 0, QUERIES, NULL);
    }
    free(all);
    close(fd);
    stream_await_open(0);
}
END_TEST

START_TEST(tcp_resets)
{
    size_t size;
    uint8_t *all = stream_pipeline("big.io.test.", "TXT", 0, 100, &size);
    int64_t accepted = daemon_counter(&server, "tcp_accepted");
    unsigned descriptors = daemon_descriptors(&server);
    unsigned rounds = 400 / harness_slow();
    for (unsigned i = 0; i < rounds; i++) {
        int fd = stream_open();
        size_t part[] = {0, 1, 2, 20, size / 100, size};
        send_all(fd, all, part[i % 6]);
        if (i % 12 >= 6) { /* when answers are on their way already */
            pause_ms(1);
        }
        tcp_reset(fd);
    }
    stream_await_open(0);
    ck_assert_int_le(daemon_counter(&server, "tcp_accepted"), accepted + rounds);
    ck_assert_uint_eq(daemon_descriptors(&server), descriptors);
    stream_check_well();
    free(all);
}
END_TEST

/* A connection that is reset before it is accepted, and one whose FIN comes with the query. */
START_TEST(tcp_short_lives)
{
    for (unsigned i = 0; i < 200 / harness_slow(); i++) {
        int fd = stream_open();
        tcp_reset(fd);
        fd = stream_open();
        close(fd);
    }
    stream_await_open(0);
    stream_check_well();
}
END_TEST

/* ---- The wildcard address ---- */

static void begin_wild(void)
{
    struct daemon *d = &server;
    stream_begin("wild", NULL);
    daemon_stop(d);
    daemon_configure(d, have_ipv6()
                            ? format_text("{\"server\": {\"listen\": "
                                          "[\"0.0.0.0:%u\", \"[::]:%u\"]}}",
                                          d->port, d->port)
                            : format_text("{\"server\": {\"listen\": [\"0.0.0.0:%u\"]}}", d->port));
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
                                  NULL};
    const TTest *const wild[] = {udp_answered_from_the_address_asked, udp_addresses_mixed, NULL};
    stream_group(suite, "plain", begin_plain, plain);
    stream_group(suite, "wildcard address", begin_wild, wild);
    return suite;
}

int main(void)
{
    return harness_main("io", io);
}

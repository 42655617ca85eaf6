/*
 * Datagrams over real sockets: which address answers, what is dropped and counted, what a
 * listen address that can't be had says.
 */
#include "net_aid.h"
#include "unit.h"

#include <netinet/in.h>

static const char *const LOOPBACK[] = {"127.0.0.1:0", NULL};

START_TEST(answers_on_both_families)
{
    const char *const addresses[] = {"127.0.0.1:0", "[::1]:0", NULL};
    struct aid aid;
    aid_prepare(&aid, addresses);
    aid_start(&aid);
    for (size_t place = 0; place < 2; place++) {
        struct net_address to = aid_bound(&aid, place);
        int fd = aid_connect(&to, SOCK_DGRAM);
        for (uint16_t id = 0; id < 10; id++) {
            aid_ask(fd, id);
        }
        close(fd);
        fd = aid_connect(&to, SOCK_STREAM); /* the same port */
        aid_ask_tcp(fd, 1);
        close(fd);
    }
    aid_await(&aid, COUNTER_tcp_closed, 2);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_udp4), 10);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_udp6), 10);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_tcp4), 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_tcp6), 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_bytes_received_udp), 20 * AID_QUERY);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_bytes_sent_udp), 20 * (AID_QUERY + 16));
    ck_assert_uint_eq(aid_count(&aid, COUNTER_bytes_received_tcp), 2 * (2 + AID_QUERY));
    ck_assert_uint_eq(aid_count(&aid, COUNTER_bytes_sent_tcp), 2 * (2 + AID_QUERY + 16));
    uint64_t queries, nxdomain, bytes;
    net_zone_counts(aid.net, 7, &queries, &nxdomain, &bytes);
    ck_assert_uint_eq(queries, 22);
    ck_assert_uint_eq(nxdomain, 0);
    ck_assert_uint_gt(bytes, 22 * AID_QUERY);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

/* Many at once: batches that are full, several in a turn. */
START_TEST(answers_a_burst)
{
    enum { BURST = 1000 };
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid_start(&aid);
    int fd = aid_client(&aid, SOCK_DGRAM);
    int size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    for (uint16_t id = 0; id < BURST; id++) {
        uint8_t query[AID_QUERY];
        aid_query(query, id, "www", TYPE_A);
        aid_send(fd, query, sizeof query);
    }
    for (uint16_t id = 0; id < BURST; id++) {
        uint8_t answer[512];
        ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
        ssize_t got = recv(fd, answer, sizeof answer, 0);
        aid_check_answer(answer, (size_t)got, id);
    }
    close(fd);
    aid_await(&aid, COUNTER_answers_udp, BURST);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

static void ask_wildcard(const char *listen, const char *asked, size_t workers)
{
    const char *const addresses[] = {listen, NULL};
    struct aid aid;
    aid_prepare(&aid, addresses);
    aid.options.workers = (unsigned)workers;
    aid_start(&aid);
    struct net_address bound = aid_bound(&aid, 0);
    struct net_address to;
    aid_parse(asked, &to);
    ((struct sockaddr_in *)&to.address)->sin_port =
        ((const struct sockaddr_in *)&bound.address)->sin_port;

    /* Not connected, so that an answer from anywhere is seen. */
    int fd = socket(to.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    uint8_t message[512];
    aid_query(message, 5, "www", TYPE_A);
    ck_assert_int_eq(sendto(fd, message, AID_QUERY, 0, (struct sockaddr *)&to.address, to.size),
                     AID_QUERY);
    ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
    struct net_address from = {.size = sizeof from.address};
    ssize_t got =
        recvfrom(fd, message, sizeof message, 0, (struct sockaddr *)&from.address, &from.size);
    aid_check_answer(message, (size_t)got, 5);
    char expected[ADDRESS_TEXT_MAX];
    char actual[ADDRESS_TEXT_MAX];
    address_format((struct sockaddr *)&to.address, expected);
    address_format((struct sockaddr *)&from.address, actual);
    ck_assert_str_eq(actual, expected);
    close(fd);
    aid_await(&aid, COUNTER_answers_udp, 1);
    aid_balance(&aid);
    aid_end(&aid);
}

START_TEST(wildcard_answers_from_the_address_asked)
{
    ask_wildcard("0.0.0.0:0", "127.0.0.2:1", 1);
    ask_wildcard("0.0.0.0:0", "127.1.2.3:1", 2);
    ask_wildcard("[::]:0", "[::1]:1", 1);
}
END_TEST

START_TEST(drops_and_counts_what_is_no_query)
{
    static uint8_t junk[5000];
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid_start(&aid);
    int fd = aid_client(&aid, SOCK_DGRAM);
    aid_query(junk, 1, "www", TYPE_A);
    aid_send(fd, junk, 0);
    aid_send(fd, junk, 11);
    aid_send(fd, junk, sizeof junk); /* longer than a slot */
    aid_send(fd, junk, 4097);
    junk[2] |= 0x80;
    aid_send(fd, junk, AID_QUERY); /* a response */
    aid_ask(fd, 77);
    ck_assert(!aid_ready(fd, POLLIN, 20));
    close(fd);
    aid_await(&aid, COUNTER_answers_udp, 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_dropped_short), 2);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_dropped_truncated), 2);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_dropped_response), 1);
    ck_assert_uint_eq(aid_count(&aid, COUNTER_queries_udp4), 6);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

/* A query with source port 0, which no answer can be sent to: false where we may not send one. */
static bool send_from_nowhere(const struct net_address *to)
{
    int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
    if (fd < 0) {
        return false;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&to->address;
    uint8_t packet[8 + AID_QUERY] = {0};
    wire_put_u16(packet + 2, ntohs(v4->sin_port));
    wire_put_u16(packet + 4, sizeof packet);
    aid_query(packet + 8, 1, "www", TYPE_A);
    ssize_t sent = sendto(fd, packet, sizeof packet, 0, (const struct sockaddr *)v4, to->size);
    close(fd);
    return sent == (ssize_t)sizeof packet;
}

/* One answer that the kernel refuses must not take those with it that are sent at the same time. */
START_TEST(an_answer_that_can_not_leave_holds_up_no_other)
{
    enum { ROUNDS = 50 };
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid_start(&aid);
    struct net_address to = aid_bound(&aid, 0);
    int fd = aid_client(&aid, SOCK_DGRAM);
    uint64_t refused = 0;
    uint8_t message[512];
    for (unsigned i = 0; i < ROUNDS; i++) {
        aid_query(message, 1, "www", TYPE_A);
        aid_send(fd, message, AID_QUERY);
        refused += send_from_nowhere(&to);
        aid_send(fd, message, AID_QUERY);
    }
    for (unsigned i = 0; i < 2 * ROUNDS; i++) {
        ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
        ck_assert_int_eq(recv(fd, message, sizeof message, 0), AID_QUERY + 16);
    }
    aid_await(&aid, COUNTER_dropped_send, refused);
    aid_await(&aid, COUNTER_answers_udp, 2 * ROUNDS);
    close(fd);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

static void expect_refusal(const struct aid *aid, const char *text)
{
    struct net *net = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(net_open(&aid->options, aid->publisher, &net, &diag), RR_EIO);
    ck_assert_ptr_null(net);
    ck_assert_str_eq(diag_first_fault(&diag), text);
    diag_clear(&diag);
}

START_TEST(tells_why_an_address_is_not_to_be_had)
{
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid_start(&aid);

    /* A second server on the address must not share it, though SO_REUSEPORT would let it. */
    aid.address[0] = aid_bound(&aid, 0);
    char name[ADDRESS_TEXT_MAX];
    char text[ADDRESS_TEXT_MAX + 64];
    address_format((struct sockaddr *)&aid.address[0].address, name);
    snprintf(text, sizeof text, "%s (udp): Address already in use", name);
    expect_refusal(&aid, text);

    aid_parse("192.0.2.99:5300", &aid.address[0]);
    expect_refusal(&aid, "192.0.2.99:5300 (udp): Cannot assign requested address");
    aid_end(&aid);
}
END_TEST

START_TEST(tells_that_tcp_alone_is_taken)
{
    struct aid aid;
    aid_prepare(&aid, LOOPBACK);
    aid_start(&aid);
    struct net_address taken = {.size = sizeof taken.address};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    aid_parse("127.0.0.1:0", &taken);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&taken.address, taken.size), 0);
    ck_assert_int_eq(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&taken.address, &taken.size);

    char name[ADDRESS_TEXT_MAX];
    char text[ADDRESS_TEXT_MAX + 64];
    address_format((struct sockaddr *)&taken.address, name);
    snprintf(text, sizeof text, "%s (tcp): Address already in use", name);
    aid.address[0] = taken;
    expect_refusal(&aid, text);
    close(fd);
    aid_end(&aid);
}
END_TEST

static void set_port(struct net_address *address, unsigned port)
{
    ((struct sockaddr_in *)&address->address)->sin_port = htons((uint16_t)port);
}

/* Opens and starts both places of the options on one port that is free; returns it. */
static unsigned start_on_one_port(struct aid *aid)
{
    unsigned port = 20000 + (unsigned)getpid() % 10000; /* below those that others get by chance */
    int error = RR_EIO;
    for (unsigned tries = 0; tries < 100 && error == RR_EIO; tries++) {
        struct diag diag = {0};
        port++;
        set_port(&aid->address[0], port);
        set_port(&aid->address[1], port);
        error = net_open(&aid->options, aid->publisher, &aid->net, &diag);
        diag_clear(&diag);
    }
    ck_assert_int_eq(error, RR_OK);
    ck_assert_int_eq(net_start(aid->net), 0);
    return port;
}

/* A wildcard and an address it covers, both ours, in either order. */
START_TEST(wildcard_beside_an_address)
{
    static const char *const orders[][3] = {{"0.0.0.0:0", "127.0.0.2:0", NULL},
                                            {"127.0.0.2:0", "0.0.0.0:0", NULL}};
    static const char *const asked[] = {"127.0.0.2:1", "127.0.0.3:1"};
    for (size_t i = 0; i < 2; i++) {
        struct aid aid;
        aid_prepare(&aid, orders[i]);
        aid.options.workers = 2;
        unsigned port = start_on_one_port(&aid);
        for (size_t j = 0; j < 2; j++) {
            struct net_address to;
            aid_parse(asked[j], &to);
            set_port(&to, port);
            int fd = aid_connect(&to, SOCK_DGRAM);
            aid_ask(fd, 3);
            close(fd);
        }
        aid_end(&aid);
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("net_udp");
    tcase_add_test(unit.tests, answers_on_both_families);
    tcase_add_test(unit.tests, answers_a_burst);
    tcase_add_test(unit.tests, wildcard_answers_from_the_address_asked);
    tcase_add_test(unit.tests, drops_and_counts_what_is_no_query);
    tcase_add_test(unit.tests, an_answer_that_can_not_leave_holds_up_no_other);
    tcase_add_test(unit.tests, tells_why_an_address_is_not_to_be_had);
    tcase_add_test(unit.tests, tells_that_tcp_alone_is_taken);
    tcase_add_test(unit.tests, wildcard_beside_an_address);
    return unit_end(&unit);
}

/*
 * Questions that are forwarded, over real sockets: what clients get, and what upstream is asked,
 * when clients go away, ask too much, do not read, and when upstream says what is of no use.
 */
#include "origin_aid.h"

static void end(struct origin *origin, uint64_t connections)
{
    aid_await(&origin->aid, COUNTER_tcp_closed, connections);
    net_stop(origin->aid.net, 1000); /* what was sent last is counted then */
    aid_balance(&origin->aid);
    origin_end(origin);
}

/* ---- Answers ---- */

START_TEST(answers_datagrams)
{
    struct origin origin;
    struct question_in q[2];
    unsigned number;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    origin_ask(fd, 1);
    origin_ask(fd, 2);
    origin_take(&origin, &q[0]);
    origin_take(&origin, &q[1]);
    ck_assert_uint_eq(q[0].data[13], 'Q'); /* in the case of who asked first */
    for (unsigned i = 2; i-- > 0;) {
        origin_reply(&origin, &q[i]);
        ck_assert_uint_eq(origin_answer(fd, &number), 0);
        ck_assert_uint_eq(number, origin_number(q[i].data));
    }
    origin_ask(fd, 1); /* is kept */
    ck_assert_uint_eq(origin_answer(fd, &number), 0);
    ck_assert(origin_is_quiet(&origin));
    close(fd);
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_proxy_asked), 2);
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_proxy_hits), 1);
    end(&origin, 0);
}
END_TEST

START_TEST(answers_connections)
{
    enum { QUESTIONS = 100 };
    struct origin origin;
    struct question_in q[QUESTIONS];
    unsigned number;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_STREAM);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        origin_ask_tcp(fd, i);
    }
    for (unsigned i = 0; i < QUESTIONS; i++) {
        origin_take(&origin, &q[i]);
    }
    for (unsigned i = QUESTIONS; i-- > 0;) {
        origin_reply(&origin, &q[i]);
        ck_assert_uint_eq(origin_answer_tcp(fd, &number), 0);
        ck_assert_uint_eq(number, origin_number(q[i].data));
    }
    close(fd);
    end(&origin, 1);
}
END_TEST

/* The same question of several clients of either kind is asked once. */
START_TEST(asks_once_for_all)
{
    struct origin origin;
    struct question_in q;
    unsigned number;
    origin_begin(&origin);
    int fds[6];
    for (unsigned i = 0; i < 6; i++) {
        fds[i] = aid_client(&origin.aid, i % 2 == 0 ? SOCK_DGRAM : SOCK_STREAM);
        (i % 2 == 0 ? origin_ask : origin_ask_tcp)(fds[i], 7);
    }
    origin_take(&origin, &q);
    aid_await(&origin.aid, COUNTER_proxy_coalesced, 5);
    ck_assert(origin_is_quiet(&origin));
    origin_reply(&origin, &q);
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_uint_eq((i % 2 == 0 ? origin_answer : origin_answer_tcp)(fds[i], &number), 0);
        close(fds[i]);
    }
    end(&origin, 3);
}
END_TEST

/* ---- Clients ---- */

/* Those who wait for the same answer as one that is gone still get it, and it is kept. */
START_TEST(clients_that_are_gone)
{
    struct origin origin;
    struct question_in q[3];
    unsigned number;
    origin_begin(&origin);
    int gone = aid_client(&origin.aid, SOCK_STREAM);
    for (unsigned i = 0; i < 3; i++) {
        origin_ask_tcp(gone, i);
        origin_ask_tcp(gone, i); /* twice: both wait for one */
        origin_take(&origin, &q[i]);
    }
    int other = aid_client(&origin.aid, SOCK_STREAM);
    origin_ask_tcp(other, 1);
    aid_await(&origin.aid, COUNTER_proxy_coalesced, 4);
    setsockopt(gone, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(gone);
    aid_await(&origin.aid, COUNTER_tcp_reset, 1);
    for (unsigned i = 0; i < 3; i++) {
        origin_reply(&origin, &q[i]);
    }
    ck_assert_uint_eq(origin_answer_tcp(other, &number), 0);
    ck_assert_uint_eq(number, 1);
    aid_await(&origin.aid, COUNTER_proxy_gone, 6);
    for (unsigned i = 0; i < 3; i++) {
        origin_ask_tcp(other, i);
        ck_assert_uint_eq(origin_answer_tcp(other, &number), 0);
    }
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_proxy_hits), 3);
    close(other);
    aid_await(&origin.aid, COUNTER_tcp_closed, 2);
    origin_end(&origin);
}
END_TEST

/* A client has so many questions asked at once; the others wait, and come when those are
 * answered. */
START_TEST(a_connection_waits_its_turn)
{
    enum { QUESTIONS = 1000, MOST = 256 + 32 };
    static struct question_in q[QUESTIONS];
    struct origin origin;
    unsigned asked = 0;
    unsigned answered = 0;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_STREAM);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        origin_ask_tcp(fd, i);
    }
    while (answered < QUESTIONS) {
        while (asked < QUESTIONS && asked - answered < MOST &&
               origin_try(&origin, &q[asked], 100)) {
            asked++;
        }
        ck_assert_uint_gt(asked, answered);
        ck_assert(asked - answered < MOST || origin_is_quiet(&origin));
        while (answered < asked) {
            origin_reply(&origin, &q[answered++]);
        }
    }
    origin_expect_tcp(fd, 0, QUESTIONS);
    close(fd);
    end(&origin, 1);
}
END_TEST

START_TEST(the_last_questions_of_a_connection_are_answered)
{
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct origin origin;
    origin_prepare(&origin, addresses, UPSTREAM_UDP);
    origin.aid.options.tcp_queries_per_connection = 10;
    aid_start(&origin.aid);
    int fd = aid_client(&origin.aid, SOCK_STREAM);
    uint8_t queries[20 * 64];
    size_t size = 0;
    for (unsigned i = 0; i < 20; i++) {
        size += origin_query_tcp(queries + size, (uint16_t)i, i);
    }
    aid_send(fd, queries, size);
    origin_reply_all(&origin, 10);
    ck_assert(origin_is_quiet(&origin));
    origin_expect_tcp(fd, 0, 10);
    aid_expect_end(fd, false);
    close(fd);
    end(&origin, 1);
}
END_TEST

START_TEST(half_closed_connections_get_their_answers)
{
    struct origin origin;
    struct question_in q[5];
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_STREAM);
    for (unsigned i = 0; i < 5; i++) {
        origin_ask_tcp(fd, i);
    }
    shutdown(fd, SHUT_WR);
    for (unsigned i = 0; i < 5; i++) {
        origin_take(&origin, &q[i]);
    }
    usleep(20000);
    for (unsigned i = 0; i < 5; i++) {
        origin_reply(&origin, &q[i]);
    }
    origin_expect_tcp(fd, 0, 5);
    aid_expect_end(fd, false);
    close(fd);
    end(&origin, 1);
}
END_TEST

/* It is not for the client's sake that nothing happens on it. */
START_TEST(patience_is_with_those_who_wait)
{
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct origin origin;
    struct question_in q;
    origin_prepare(&origin, addresses, UPSTREAM_UDP);
    origin.aid.options.tcp_idle_ms = 100;
    aid_start(&origin.aid);
    int fd = aid_client(&origin.aid, SOCK_STREAM);
    origin_ask_tcp(fd, 3);
    origin_take(&origin, &q);
    usleep(500000);
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_tcp_closed), 0);
    origin_reply(&origin, &q);
    origin_expect_tcp(fd, 3, 1);
    aid_expect_end(fd, true);
    close(fd);
    aid_await(&origin.aid, COUNTER_tcp_idle, 1);
    end(&origin, 1);
}
END_TEST

/* ---- A client that does not read ---- */

enum { LONG_ANSWER = 60000, CONNECTIONS = 4 };

/* Answers questions that come over one connection at length, until there are no more. */
static void *answer_at_length(void *context)
{
    uint8_t data[2 + LONG_ANSWER] = {0};
    int fd = accept(((struct origin *)context)->listener, NULL, NULL);
    uint8_t length[2];
    while (fd >= 0 && recv(fd, length, 2, MSG_WAITALL) == 2) {
        uint8_t question[512];
        ck_assert_int_eq(recv(fd, question, wire_get_u16(length), MSG_WAITALL),
                         wire_get_u16(length));
        memcpy(data + 2, question, 29);
        wire_put_u16(data, LONG_ANSWER);
        origin_make(data + 2, FLAG_RA);
        wire_put_u16(data + 2 + 29 + 10, LONG_ANSWER - 29 - 12); /* RDLENGTH */
        wire_put_u16(data + 2 + 29 + 2, 65280);                  /* any type */
        if (send(fd, data, sizeof data, MSG_NOSIGNAL) != (ssize_t)sizeof data) {
            break;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return NULL;
}

START_TEST(what_a_client_does_not_read_is_bounded)
{
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct origin origin;
    pthread_t threads[CONNECTIONS];
    origin_prepare(&origin, addresses, UPSTREAM_TCP);
    aid_start(&origin.aid);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, answer_at_length, &origin), 0);
    }
    struct net_address to = aid_bound(&origin.aid, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &(int){4096}, sizeof(int));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to.address, to.size), 0);
    uint8_t queries[250 * 64]; /* at once, before the first answer: 15 MB */
    size_t size = 0;
    for (unsigned i = 0; i < 250; i++) {
        size += origin_query_tcp(queries + size, (uint16_t)i, i);
    }
    aid_send(fd, queries, size);
    aid_await(&origin.aid, COUNTER_tcp_closed, 1);
    close(fd);
    fd = aid_client(&origin.aid, SOCK_DGRAM); /* all else goes on */
    aid_ask(fd, 5);
    close(fd);
    net_stop(origin.aid.net, 1000);
    shutdown(origin.listener, SHUT_RDWR);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        pthread_join(threads[i], NULL);
    }
    origin_end(&origin);
}
END_TEST

/* ---- Upstream ---- */

static void ask_in_vain(struct origin *origin, int fd, unsigned rcode)
{
    unsigned number;
    ck_assert_uint_eq(origin_answer(fd, &number), rcode);
    ck_assert(origin_is_quiet(origin));
}

/* Nobody listens there. */
START_TEST(a_closed_port)
{
    struct origin origin;
    unsigned number;
    origin_begin(&origin);
    close(origin.datagrams);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    uint64_t start = clock_now_ns();
    for (unsigned i = 0; i < 100; i++) {
        origin_ask(fd, i);
        ck_assert_uint_eq(origin_answer(fd, &number), RCODE_SERVFAIL);
    }
    ck_assert_uint_lt(clock_now_ns() - start, UINT64_C(4000000000));
    ck_assert_uint_le(aid_count(&origin.aid, COUNTER_proxy_asked), 100);
    close(fd);
    origin.datagrams = dup(0);
    end(&origin, 0);
}
END_TEST

/* All that left by a socket has failed, and is asked of the next server. */
START_TEST(a_closed_port_and_another_server)
{
    enum { QUESTIONS = 200 };
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct origin origin;
    unsigned number;
    origin_prepare(&origin, addresses, UPSTREAM_UDP);
    struct upstream_group *group = &origin.routes->group[0];
    uint16_t port = origin.port;
    group->attempts = 3;
    close(origin.listener);
    int closed = origin.datagrams;
    origin_open(&origin); /* another port */
    close(closed);
    routes_server(origin.routes, 0, origin.port, UPSTREAM_UDP);
    ck_assert_uint_ne(port, origin.port);
    aid_start(&origin.aid);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        origin_ask(fd, i);
    }
    origin_reply_all(&origin, QUESTIONS);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        ck_assert_uint_eq(origin_answer(fd, &number), 0);
    }
    close(fd);
    end(&origin, 0);
}
END_TEST

/* TC over UDP, and over TCP too: the end of it. */
START_TEST(truncated_for_ever)
{
    struct origin origin;
    struct question_in q;
    uint8_t data[512];
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    origin_ask(fd, 1);
    origin_take(&origin, &q);
    origin_say(&origin, &q, FLAG_TC);
    int stream = accept(origin.listener, NULL, NULL);
    aid_read(stream, data, 2);
    aid_read(stream, data + 2, wire_get_u16(data));
    wire_put_u16(data, (uint16_t)origin_make(data + 2, FLAG_TC));
    aid_send(stream, data, 2 + 29);
    ask_in_vain(&origin, fd, RCODE_SERVFAIL);
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_proxy_asked), 2);
    close(stream);
    close(fd);
    end(&origin, 0);
}
END_TEST

/* FORMERR to EDNS, and to the question without. */
START_TEST(no_sense_of_it)
{
    struct origin origin;
    struct question_in q;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    origin_ask(fd, 1);
    origin_take(&origin, &q);
    ck_assert_uint_eq(q.data[11], 1);
    origin_say(&origin, &q, RCODE_FORMERR);
    origin_take(&origin, &q);
    ck_assert_uint_eq(q.data[11], 0);
    origin_say(&origin, &q, RCODE_FORMERR);
    ask_in_vain(&origin, fd, RCODE_FORMERR);
    close(fd);
    end(&origin, 0);
}
END_TEST

/* BADCOOKIE, whatever cookie is sent: the client, who knows nothing of cookies, is told
 * SERVFAIL. */
static void say_badcookie(struct origin *origin, struct question_in *q)
{
    uint8_t data[512];
    size_t opt = 29;
    origin_take(origin, q);
    memcpy(data, q->data, q->size);
    origin_make(data, RCODE_BADCOOKIE & 0xf);
    data[11] = 1;
    memcpy(data + opt, "\0\0\51\4\320\1\0\0\0\0\24\0\12\0\20", 15);
    data[opt + 10] = 20;
    memcpy(data + opt + 15, q->data + opt + 15, 8); /* ours, then any */
    memcpy(data + opt + 23, "servers!", 8);
    ck_assert_int_gt(sendto(origin->datagrams, data, opt + 31, 0, (struct sockaddr *)&q->from,
                            sizeof q->from),
                     0);
}

START_TEST(no_cookie_is_good_enough)
{
    struct origin origin;
    struct question_in q;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    origin_ask(fd, 1);
    say_badcookie(&origin, &q);
    say_badcookie(&origin, &q);
    ask_in_vain(&origin, fd, RCODE_SERVFAIL);
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_proxy_asked), 2);
    close(fd);
    end(&origin, 0);
}
END_TEST

/* Takes a question and answers it with a cookie; its OPT is put behind the answer. */
static void reply_with_cookie(struct origin *origin, struct question_in *q)
{
    uint8_t data[512];
    origin_take(origin, q);
    memcpy(data, q->data, q->size);
    size_t at = origin_make(data, FLAG_RA);
    data[11] = 1;
    memcpy(data + at, "\0\0\51\4\320\0\0\0\0\0\24\0\12\0\20", 15);
    memcpy(data + at + 15, q->data + 29 + 15, 8);
    memcpy(data + at + 23, "servers!", 8);
    ck_assert_int_gt(sendto(origin->datagrams, data, at + 31, 0, (struct sockaddr *)&q->from,
                            sizeof q->from),
                     0);
}

/* A server that had cookies has none in a reply over UDP, which may be forged; over TCP it says so
 * itself, and is believed. */
START_TEST(a_cookie_is_missing)
{
    struct origin origin;
    struct question_in q;
    uint8_t data[512];
    unsigned number;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    origin_ask(fd, 1);
    reply_with_cookie(&origin, &q);
    ck_assert_uint_eq(origin_answer(fd, &number), 0);
    origin_ask(fd, 2);
    origin_take(&origin, &q);
    ck_assert_mem_eq(q.data + 29 + 23, "servers!", 8);
    origin_reply(&origin, &q);
    ck_assert(!aid_ready(fd, POLLIN, 20));
    int stream = accept(origin.listener, NULL, NULL);
    aid_read(stream, data, 2);
    aid_read(stream, data + 2, wire_get_u16(data));
    wire_put_u16(data, (uint16_t)origin_make(data + 2, FLAG_RA));
    aid_send(stream, data, 2 + 29 + 16);
    ck_assert_uint_eq(origin_answer(fd, &number), 0);
    ck_assert_uint_eq(number, 2);
    origin_ask(fd, 3);
    origin_reply_all(&origin, 1);
    ck_assert_uint_eq(origin_answer(fd, &number), 0);
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_proxy_over_tcp), 1);
    close(stream);
    close(fd);
    end(&origin, 0);
}
END_TEST

/* Whatever comes that was not asked for is counted, and changes nothing. */
START_TEST(what_was_not_asked)
{
    struct origin origin;
    struct question_in q;
    struct question_in forged;
    unsigned number;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    origin_ask(fd, 1);
    origin_take(&origin, &q);
    for (unsigned i = 0; i < 1000; i++) {
        forged = q;
        wire_put_u16(forged.data, (uint16_t)(wire_get_u16(q.data) + 1 + i));
        origin_reply(&origin, &forged);
    }
    forged = q;
    forged.data[14] ^= 1; /* another name */
    origin_reply(&origin, &forged);
    forged = q;
    forged.data[13] ^= 0x20; /* in another case */
    origin_reply(&origin, &forged);
    aid_await(&origin.aid, COUNTER_proxy_rejected_id, 1000);
    aid_await(&origin.aid, COUNTER_proxy_rejected_question, 2);
    ck_assert(!aid_ready(fd, POLLIN, 20));
    origin_reply(&origin, &q);
    ck_assert_uint_eq(origin_answer(fd, &number), 0);
    origin_reply(&origin, &q); /* once more: nobody waits */
    aid_await(&origin.aid, COUNTER_proxy_rejected_id, 1001);
    close(fd);
    end(&origin, 0);
}
END_TEST

/* Thousands that are all given up at the same time, and then forgotten. */
START_TEST(a_full_table_ends_at_once)
{
    enum { QUESTIONS = 4000 };
    static const char *const addresses[] = {"127.0.0.1:0", NULL};
    struct origin origin;
    unsigned number;
    origin_prepare(&origin, addresses, UPSTREAM_UDP);
    origin.routes->group[0].timeout_ms = 300;
    aid_start(&origin.aid);
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    int size = 16 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        origin_ask(fd, i);
        if (i % 100 == 0) {
            usleep(1000); /* the server's buffer holds so many */
        }
    }
    unsigned failed = 0;
    while (failed < QUESTIONS && aid_ready(fd, POLLIN, 2000)) {
        unsigned rcode = origin_answer(fd, &number);
        ck_assert(rcode == RCODE_SERVFAIL || rcode == RCODE_REFUSED); /* guarded */
        failed++;
    }
    ck_assert_uint_eq(failed, aid_count(&origin.aid, COUNTER_queries_udp4));
    close(fd);
    end(&origin, 0);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("net_proxy");
    tcase_set_timeout(unit.tests, 60);
    tcase_add_test(unit.tests, answers_datagrams);
    tcase_add_test(unit.tests, answers_connections);
    tcase_add_test(unit.tests, asks_once_for_all);
    tcase_add_test(unit.tests, clients_that_are_gone);
    tcase_add_test(unit.tests, a_connection_waits_its_turn);
    tcase_add_test(unit.tests, the_last_questions_of_a_connection_are_answered);
    tcase_add_test(unit.tests, half_closed_connections_get_their_answers);
    tcase_add_test(unit.tests, patience_is_with_those_who_wait);
    tcase_add_test(unit.tests, what_a_client_does_not_read_is_bounded);
    tcase_add_test(unit.tests, a_closed_port);
    tcase_add_test(unit.tests, a_closed_port_and_another_server);
    tcase_add_test(unit.tests, truncated_for_ever);
    tcase_add_test(unit.tests, no_sense_of_it);
    tcase_add_test(unit.tests, no_cookie_is_good_enough);
    tcase_add_test(unit.tests, a_cookie_is_missing);
    tcase_add_test(unit.tests, what_was_not_asked);
    tcase_add_test(unit.tests, a_full_table_ends_at_once);
    return unit_end(&unit);
}

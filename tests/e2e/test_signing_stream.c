/*
 * Many connections that ask for what has to be signed first, and datagrams beside them on the same
 * worker: these don't wait until every connection had its turn.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "daemon.h"
#include "harness.h"
#include "packet.h"
#include "transport.h"

enum { CONNECTIONS = 50, QUESTIONS = 400, ALL = CONNECTIONS * QUESTIONS, EDNS_DO = 0x8000 };

/* Questions for names that are not there, each its own, as they go over a connection. */
static uint8_t *pipeline(unsigned connection, size_t *size)
{
    uint8_t *all = malloc((size_t)QUESTIONS * 128);
    *size = 0;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        struct query_spec query = query_for(format_text("n%u-%u.a.test", connection, i), "A");
        query.edns = true;
        query.edns_size = 1232;
        query.edns_flags = EDNS_DO;
        uint8_t *at = all + *size;
        size_t length = query_write(&query, (uint16_t)i, at + 2);
        ck_assert_uint_le(length, 120);
        at[0] = 0;
        at[1] = (uint8_t)length;
        *size += 2 + length;
    }
    return all;
}

START_TEST(datagrams_between)
{
    int connection[CONNECTIONS];
    daemon_prepare(&server, "stream",
                   "{\"server\": {\"workers\": 1}, \"dnssec\": {\"p\": {\"keys\": \"keys\"}}, "
                   "\"zones\": [{\"name\": \"a.test\", \"file\": \"zones/a.test.zone\", "
                   "\"dnssec\": \"p\"}]}");
    dir_make(format_text("%s/keys", server.dir));
    daemon_zone(&server, "a.test", "$TTL 300\n@ SOA ns host 1 3600 600 86400 300\n@ NS ns\n"
                                   "ns A 192.0.2.53\nwww A 192.0.2.1\n");
    daemon_start(&server);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        connection[i] = tcp_open(NULL, "127.0.0.1", server.port);
    }
    daemon_await_counter(&server, "tcp_accepted", CONNECTIONS);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        size_t size;
        uint8_t *all = pipeline(i, &size);
        send_all(connection[i], all, size);
        free(all);
    }
    /* A turn of each connection would be half of all signatures and more. */
    int64_t before = daemon_counter(&server, "signatures_made");
    for (unsigned i = 0; i < 10; i++) {
        const char *said = ask_once("127.0.0.1", server.port, false, "www.a.test", "A");
        ck_assert_str_eq(said, "NOERROR 192.0.2.1");
    }
    int64_t between = daemon_counter(&server, "signatures_made") - before;
    ck_assert_int_lt(between, ALL / 2);
    /* Every question over a connection has its answer, none is turned away. */
    uint8_t *message = malloc(MESSAGE_ROOM);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        for (unsigned n = 0; n < QUESTIONS; n++) {
            ck_assert_int_gt(tcp_receive(connection[i], message, harness_patience_ms()), 200);
            ck_assert_uint_eq((unsigned)message[0] << 8 | message[1], n);
        }
        close(connection[i]);
    }
    free(message);
    ck_assert_int_ge(daemon_counter(&server, "signatures_made"), ALL);
    ck_assert_int_eq(daemon_counter(&server, "signing_refused"), 0);
    daemon_stop(&server);
}
END_TEST

static void teardown(void)
{
    daemon_kill(&server);
}

static Suite *suite(void)
{
    Suite *all = suite_create("signing_stream");
    TCase *tests = tcase_create("stream");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, datagrams_between);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_stream", suite);
}

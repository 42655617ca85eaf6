/*
 * Changes while upstream is being asked: workers and addresses go, the configuration is another
 * one, the end comes. Who asked before gets the answer.
 */
#include "origin_aid.h"

enum { SOCKETS = 24 }; /* so that every worker has some */

static const char *const ONE[] = {"127.0.0.1:0", NULL};
static const char *const TWO[] = {"127.0.0.1:0", "127.0.0.2:0", NULL};

/* ---- Many clients ---- */

struct clients {
    int datagrams[SOCKETS];
    int streams[SOCKETS];
    struct question_in asked[2 * SOCKETS];
};

/* Each asks a question from first on, which upstream has then. */
static void clients_ask(struct origin *origin, struct clients *clients, unsigned first)
{
    for (unsigned i = 0; i < SOCKETS; i++) {
        origin_ask(clients->datagrams[i], first + 2 * i);
        origin_ask_tcp(clients->streams[i], first + 2 * i + 1);
    }
    for (unsigned i = 0; i < 2 * SOCKETS; i++) {
        origin_take(origin, &clients->asked[i]);
    }
}

static void clients_begin(struct origin *origin, struct clients *clients, size_t place)
{
    struct net_address to = aid_bound(&origin->aid, place);
    for (unsigned i = 0; i < SOCKETS; i++) {
        clients->datagrams[i] = aid_connect(&to, SOCK_DGRAM);
        clients->streams[i] = aid_connect(&to, SOCK_STREAM);
    }
}

static void clients_reply(struct origin *origin, const struct clients *clients)
{
    for (unsigned i = 0; i < 2 * SOCKETS; i++) {
        origin_reply(origin, &clients->asked[i]);
    }
}

static void clients_expect(const struct clients *clients, unsigned first, unsigned rcode)
{
    for (unsigned i = 0; i < SOCKETS; i++) {
        unsigned number;
        ck_assert_uint_eq(origin_answer(clients->datagrams[i], &number), rcode);
        ck_assert_uint_eq(number, first + 2 * i);
        ck_assert_uint_eq(origin_answer_tcp(clients->streams[i], &number), rcode);
        ck_assert_uint_eq(number, first + 2 * i + 1);
    }
}

static void clients_end(struct clients *clients)
{
    for (unsigned i = 0; i < SOCKETS; i++) {
        close(clients->datagrams[i]);
        close(clients->streams[i]);
    }
}

/* Questions with IDs from 0 on, one behind the other. Returns the octets. */
static size_t pipeline(uint8_t *queries, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++) {
        size += origin_query_tcp(queries + size, (uint16_t)i, i);
    }
    return size;
}

static void begin(struct origin *origin, unsigned workers)
{
    origin_prepare(origin, ONE, UPSTREAM_UDP);
    origin->aid.options.workers = workers;
    aid_start(&origin->aid);
}

static void end(struct origin *origin, uint64_t connections)
{
    aid_await(&origin->aid, COUNTER_tcp_closed, connections);
    net_stop(origin->aid.net, 1000); /* what was sent last is counted then */
    aid_balance(&origin->aid);
    origin_end(origin);
}

/* ---- Something that happens meanwhile ---- */

struct meanwhile {
    pthread_t thread;
    struct origin *origin;
    unsigned drain_ms; /* 0: the net is configured anew; else it is stopped */
    uint64_t took_ns;
};

static void *meanwhile_run(void *context)
{
    struct meanwhile *meanwhile = context;
    uint64_t start = clock_now_ns();
    if (meanwhile->drain_ms == 0) {
        aid_reconfigure(&meanwhile->origin->aid);
    } else {
        net_stop(meanwhile->origin->aid.net, meanwhile->drain_ms);
    }
    meanwhile->took_ns = clock_now_ns() - start;
    return NULL;
}

static void meanwhile_begin(struct meanwhile *meanwhile, struct origin *origin, unsigned drain_ms)
{
    *meanwhile = (struct meanwhile){.origin = origin, .drain_ms = drain_ms};
    ck_assert_int_eq(pthread_create(&meanwhile->thread, NULL, meanwhile_run, meanwhile), 0);
    usleep(50000);
}

static void meanwhile_end(struct meanwhile *meanwhile)
{
    pthread_join(meanwhile->thread, NULL);
}

/* ---- Workers ---- */

START_TEST(workers_come_and_go)
{
    static const unsigned counts[] = {4, 2, 1, 3, 1};
    struct origin origin;
    struct clients clients;
    unsigned first = 0;
    begin(&origin, 2);
    clients_begin(&origin, &clients, 0);
    for (unsigned i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct meanwhile meanwhile;
        clients_ask(&origin, &clients, first);
        origin.aid.options.workers = counts[i];
        meanwhile_begin(&meanwhile, &origin, 0);
        clients_reply(&origin, &clients);
        clients_expect(&clients, first, RCODE_NOERROR);
        meanwhile_end(&meanwhile);
        first += 2 * SOCKETS;
    }
    clients_ask(&origin, &clients, first);
    clients_reply(&origin, &clients);
    clients_expect(&clients, first, RCODE_NOERROR);
    clients_end(&clients);
    ck_assert_uint_eq(aid_count(&origin.aid, COUNTER_proxy_failed), 0);
    end(&origin, SOCKETS);
}
END_TEST

/* Upstream says nothing: the change waits for it, but not for long, and all is told. */
START_TEST(a_worker_does_not_wait_for_ever)
{
    struct origin origin;
    struct clients clients;
    struct meanwhile meanwhile;
    unsigned failed = 0;
    begin(&origin, 2);
    clients_begin(&origin, &clients, 0);
    clients_ask(&origin, &clients, 0);
    origin.aid.options.workers = 1;
    meanwhile_begin(&meanwhile, &origin, 0);
    meanwhile_end(&meanwhile);
    ck_assert_uint_gt(meanwhile.took_ns, UINT64_C(1000000000));
    ck_assert_uint_lt(meanwhile.took_ns, UINT64_C(4000000000));
    failed = (unsigned)aid_count(&origin.aid, COUNTER_proxy_failed);
    ck_assert_uint_gt(failed, 0);
    ck_assert_uint_lt(failed, 2 * SOCKETS); /* the others are at the worker that stays */
    clients_reply(&origin, &clients);
    for (unsigned i = 0; i < SOCKETS; i++) {
        unsigned number;
        unsigned rcodes[2] = {origin_answer(clients.datagrams[i], &number),
                              origin_answer_tcp(clients.streams[i], &number)};
        failed -= rcodes[0] == RCODE_SERVFAIL;
        failed -= rcodes[1] == RCODE_SERVFAIL;
    }
    ck_assert_uint_eq(failed, 0);
    origin.aid.options.workers = 2; /* and nothing is waited for where nothing is asked */
    meanwhile_begin(&meanwhile, &origin, 0);
    meanwhile_end(&meanwhile);
    origin.aid.options.workers = 1;
    meanwhile_begin(&meanwhile, &origin, 0);
    meanwhile_end(&meanwhile);
    ck_assert_uint_lt(meanwhile.took_ns, UINT64_C(500000000));
    clients_end(&clients);
    end(&origin, SOCKETS);
}
END_TEST

/* Queries that wait behind those that are asked go with their connection. */
START_TEST(what_is_pipelined_goes_with_its_connection)
{
    enum { QUESTIONS = 2000 };
    static uint8_t queries[QUESTIONS * 64];
    struct origin origin;
    struct meanwhile meanwhile;
    struct question_in q;
    begin(&origin, 4);
    int fds[8];
    size_t size = pipeline(queries, QUESTIONS);
    for (unsigned i = 0; i < 8; i++) {
        fds[i] = aid_client(&origin.aid, SOCK_STREAM);
        aid_send(fds[i], queries, size);
    }
    ck_assert(origin_try(&origin, &q, AID_PATIENCE_MS));
    origin.aid.options.workers = 1;
    meanwhile_begin(&meanwhile, &origin, 0);
    do {
        origin_reply(&origin, &q);
    } while (origin_try(&origin, &q, 500));
    meanwhile_end(&meanwhile);
    for (unsigned i = 0; i < 8; i++) {
        origin_expect_tcp(fds[i], 0, QUESTIONS);
        close(fds[i]);
    }
    end(&origin, 8);
}
END_TEST

/* ---- Addresses ---- */

START_TEST(a_removed_address_answers_what_is_asked)
{
    struct origin origin;
    struct clients clients;
    origin_prepare(&origin, TWO, UPSTREAM_UDP);
    origin.aid.options.workers = 2;
    aid_start(&origin.aid);
    clients_begin(&origin, &clients, 1);
    clients_ask(&origin, &clients, 0);
    aid_addresses(&origin.aid, ONE);
    origin.aid.address[0] = aid_bound(&origin.aid, 0);
    aid_reconfigure(&origin.aid);
    clients_reply(&origin, &clients);
    clients_expect(&clients, 0, RCODE_NOERROR);
    clients_end(&clients);
    end(&origin, SOCKETS);
}
END_TEST

/* It is there again at once; what was asked by its sockets before is then told to have failed. */
START_TEST(an_address_goes_and_comes)
{
    struct origin origin;
    struct clients clients;
    unsigned number;
    origin_prepare(&origin, TWO, UPSTREAM_UDP);
    origin.aid.options.workers = 2;
    aid_start(&origin.aid);
    clients_begin(&origin, &clients, 1);
    clients_ask(&origin, &clients, 0);
    struct net_address addresses[2] = {aid_bound(&origin.aid, 0), aid_bound(&origin.aid, 1)};
    memcpy(origin.aid.address, addresses, sizeof addresses);
    origin.aid.options.addresses = 1;
    aid_reconfigure(&origin.aid);
    origin.aid.options.addresses = 2;
    aid_reconfigure(&origin.aid);
    for (unsigned i = 0; i < SOCKETS; i++) {
        ck_assert_uint_eq(origin_answer(clients.datagrams[i], &number), RCODE_SERVFAIL);
    }
    clients_reply(&origin, &clients);
    for (unsigned i = 0; i < SOCKETS; i++) {
        ck_assert_uint_eq(origin_answer_tcp(clients.streams[i], &number), RCODE_NOERROR);
    }
    clients_ask(&origin, &clients, 1000);
    clients_reply(&origin, &clients);
    clients_expect(&clients, 1000, RCODE_NOERROR);
    clients_end(&clients);
    end(&origin, SOCKETS);
}
END_TEST

/* ---- Routes ---- */

/* Other routes with another cache, or none: what is asked along the old ones is answered. */
START_TEST(routes_are_others)
{
    static const char *const zones[] = {"other.", "test."};
    struct origin origin;
    struct clients clients;
    begin(&origin, 2);
    clients_begin(&origin, &clients, 0);
    struct routes *routes[3] = {origin.routes, routes_begin(zones, 2, 2), NULL};
    routes_server(routes[1], 0, origin.port, UPSTREAM_TCP);
    routes_server(routes[1], 1, origin.port, UPSTREAM_UDP);
    for (unsigned i = 0; i < 2; i++) {
        clients_ask(&origin, &clients, 100 * i);
        struct world *world = aid_world();
        world->settings.routes = routes[i + 1];
        publisher_publish(origin.aid.publisher, world);
        routes_end(routes[i]); /* nobody reads them any more */
        clients_reply(&origin, &clients);
        clients_expect(&clients, 100 * i, RCODE_NOERROR);
    }
    int fd = aid_client(&origin.aid, SOCK_DGRAM);
    origin_ask(fd, 1);
    uint8_t answer[512];
    ck_assert(aid_ready(fd, POLLIN, AID_PATIENCE_MS));
    ck_assert_int_gt(recv(fd, answer, sizeof answer, 0), 0);
    ck_assert_uint_eq(answer[3] & 0xf, RCODE_REFUSED);
    close(fd);
    clients_end(&clients);
    aid_await(&origin.aid, COUNTER_tcp_closed, SOCKETS);
    origin.routes = routes_begin(zones, 1, 1); /* to be given back */
    end(&origin, SOCKETS);
}
END_TEST

/* ---- The end ---- */

START_TEST(the_end_answers_what_is_asked)
{
    struct origin origin;
    struct clients clients;
    struct meanwhile meanwhile;
    begin(&origin, 2);
    clients_begin(&origin, &clients, 0);
    clients_ask(&origin, &clients, 0);
    meanwhile_begin(&meanwhile, &origin, AID_PATIENCE_MS);
    clients_reply(&origin, &clients);
    clients_expect(&clients, 0, RCODE_NOERROR);
    meanwhile_end(&meanwhile);
    ck_assert_uint_lt(meanwhile.took_ns, UINT64_C(2000000000));
    for (unsigned i = 0; i < SOCKETS; i++) {
        aid_expect_end(clients.streams[i], false);
    }
    clients_end(&clients);
    end(&origin, SOCKETS);
}
END_TEST

/* Nor does it keep anyone in the dark. */
START_TEST(the_end_does_not_wait_for_ever)
{
    struct origin origin;
    struct clients clients;
    struct meanwhile meanwhile;
    begin(&origin, 2);
    clients_begin(&origin, &clients, 0);
    clients_ask(&origin, &clients, 0);
    meanwhile_begin(&meanwhile, &origin, 200);
    clients_expect(&clients, 0, RCODE_SERVFAIL);
    meanwhile_end(&meanwhile);
    ck_assert_uint_lt(meanwhile.took_ns, UINT64_C(2000000000));
    clients_end(&clients);
    end(&origin, SOCKETS);
}
END_TEST

/* More than is asked at once, and than is read at once, in a drain. */
START_TEST(the_end_answers_all_that_is_pipelined)
{
    enum { QUESTIONS = 4000 };
    static uint8_t queries[QUESTIONS * 64];
    struct origin origin;
    struct meanwhile meanwhile;
    struct question_in q;
    origin_begin(&origin);
    int fd = aid_client(&origin.aid, SOCK_STREAM);
    size_t size = pipeline(queries, QUESTIONS);
    aid_send(fd, queries, size);
    origin_take(&origin, &q);
    usleep(50000); /* it waits its turn */
    meanwhile_begin(&meanwhile, &origin, AID_PATIENCE_MS);
    do {
        origin_reply(&origin, &q);
    } while (origin_try(&origin, &q, 500));
    origin_expect_tcp(fd, 0, QUESTIONS);
    aid_expect_end(fd, false);
    meanwhile_end(&meanwhile);
    close(fd);
    end(&origin, 1);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("net_proxy_change");
    tcase_set_timeout(unit.tests, 60);
    tcase_add_test(unit.tests, workers_come_and_go);
    tcase_add_test(unit.tests, a_worker_does_not_wait_for_ever);
    tcase_add_test(unit.tests, what_is_pipelined_goes_with_its_connection);
    tcase_add_test(unit.tests, a_removed_address_answers_what_is_asked);
    tcase_add_test(unit.tests, an_address_goes_and_comes);
    tcase_add_test(unit.tests, routes_are_others);
    tcase_add_test(unit.tests, the_end_answers_what_is_asked);
    tcase_add_test(unit.tests, the_end_does_not_wait_for_ever);
    tcase_add_test(unit.tests, the_end_answers_all_that_is_pipelined);
    return unit_end(&unit);
}

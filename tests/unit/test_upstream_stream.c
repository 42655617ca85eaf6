/*
 * Questions to upstream servers over TCP: pipelining, IDs, and all the ways in which a connection
 * can be of no use. Each question is told of once, and never from inside upstream_stream_send.
 */
#include "stream_client.h"
#include "unit.h"

/* ---- Order ---- */

START_TEST(gets_a_reply)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = stream_echo});
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        client_await_told(&client, i + 1);
    }
    ck_assert_uint_eq(client.replied, 3);
    ck_assert_uint_eq(client.counts.connections, 1);
    client_end(&client);
}
END_TEST

START_TEST(gets_a_reply_over_ipv6)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = stream_echo, .v6 = true});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.replied, 1);
    client_end(&client);
}
END_TEST

static void fifty_backwards(struct stream_line *line)
{
    static uint8_t data[50][64];
    size_t size[50];
    for (unsigned i = 0; i < 50; i++) {
        size[i] = stream_message(line, data[i]);
    }
    for (unsigned i = 50; i-- > 0;) {
        stream_reply(line, data[i], size[i]);
    }
    stream_echo(line);
}

START_TEST(takes_replies_in_any_order)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = fifty_backwards});
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 50);
    ck_assert_uint_eq(client.replied, 50);
    for (unsigned i = 0; i < 50; i++) {
        ck_assert_uint_eq(client.order[i], 49 - i);
    }
    ck_assert_uint_eq(client.counts.connections, 1);
    client_end(&client);
}
END_TEST

/* ---- Pieces ---- */

START_TEST(takes_replies_octet_by_octet)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = stream_octet_by_octet});
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(client_ask(&client, i, 30 + i), 0);
    }
    client_await_told(&client, 5);
    ck_assert_uint_eq(client.replied, 5);
    client_end(&client);
}
END_TEST

/* Two replies at once, cut at every place. */
static void cut_anywhere(struct stream_line *line)
{
    uint8_t data[128];
    size_t size[2];
    for (size_t cut = 1;; cut++) {
        size_t end = 0;
        for (unsigned i = 0; i < 2; i++) {
            size[i] = stream_message(line, data + end + 2);
            if (size[i] == 0) {
                return;
            }
            wire_put_u16(data + end, (uint16_t)size[i]);
            data[end + 4] |= 0x80;
            end += 2 + size[i];
        }
        stream_put(line, data, cut);
        usleep(1000);
        stream_put(line, data + cut, end - cut);
    }
}

START_TEST(takes_replies_cut_anywhere)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = cut_anywhere});
    for (unsigned i = 0; i < 2 * 51; i += 2) {
        ck_assert_int_eq(client_ask(&client, i, 24), 0);
        ck_assert_int_eq(client_ask(&client, i + 1, 24), 0);
        client_await_told(&client, i + 2);
    }
    ck_assert_uint_eq(client.replied, 2 * 51);
    client_end(&client);
}
END_TEST

START_TEST(takes_the_longest_message)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = stream_echo});
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(client_ask(&client, i, 65535), 0);
    }
    client_await_told(&client, 3);
    ck_assert_uint_eq(client.replied, 3);
    ck_assert_int_eq(client_ask(&client, 3, 65536), RR_EINVAL);
    ck_assert_int_eq(client_ask(&client, 3, 11), RR_EINVAL);
    client_end(&client);
}
END_TEST

/* ---- Ends ---- */

static void reset_after(struct stream_line *line, unsigned replies)
{
    uint8_t data[64];
    for (unsigned i = 0; i <= replies; i++) {
        size_t size = stream_message(line, data);
        if (i < replies) {
            stream_reply(line, data, size);
        }
    }
    stream_put(line, "\0\50ab", 4);
    stream_sleep(line, 50);
    stream_will_reset(line);
}

static void reset_at_once(struct stream_line *line)
{
    reset_after(line, 0);
}

static void reset_after_two(struct stream_line *line)
{
    reset_after(line, 2);
}

START_TEST(fails_what_is_outstanding_at_a_reset)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = reset_at_once});
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 5);
    ck_assert_uint_eq(client.failed[UPSTREAM_UNREACHABLE], 5);
    client_end(&client);
}
END_TEST

/* Who answered before is not down. */
START_TEST(blames_nobody_after_replies)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = reset_after_two});
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 5);
    ck_assert_uint_eq(client.replied, 2);
    ck_assert_uint_eq(client.failed[UPSTREAM_NO_ERROR], 3);
    client_end(&client);
}
END_TEST

static void one_reply(struct stream_line *line)
{
    uint8_t data[64];
    size_t size = stream_message(line, data);
    if (size > 0) {
        stream_reply(line, data, size);
    }
}

START_TEST(connects_again_where_the_server_closes)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = one_reply});
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        client_await_told(&client, i + 1);
        client_run_ms(&client, 20);
    }
    ck_assert_uint_eq(client.replied, 5);
    ck_assert_uint_eq(client.counts.connections, 5);
    client_end(&client);
}
END_TEST

static void again(struct client *client, unsigned token)
{
    if (client->error[token] == UPSTREAM_NO_ERROR) {
        client->told[token] = 0;
        client->all--;
        ck_assert_int_eq(client_ask(client, token, 40), 0);
    }
}

/* The same with questions pipelined: those that were not answered are sent again, in the
 * handler. */
START_TEST(sends_again_in_the_handler)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = one_reply});
    client.on_failed = again;
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 20);
    ck_assert_uint_eq(client.replied, 20);
    ck_assert_uint_eq(client.failed[UPSTREAM_UNREACHABLE], 0);
    client_end(&client);
}
END_TEST

START_TEST(tells_of_a_refused_connection)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = stream_echo});
    stream_stop(&client.server);
    client.stopped = true;
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_UNREACHABLE], 1);
    client_end(&client);
}
END_TEST

/* ---- Garbage ---- */

static void short_length(struct stream_line *line)
{
    uint8_t data[64];
    stream_message(line, data);
    stream_put(line, "\0\13...........", 13);
    stream_sleep(line, 60000);
}

static void no_length(struct stream_line *line)
{
    uint8_t data[64];
    stream_message(line, data);
    stream_put(line, "\0\0", 2);
    stream_sleep(line, 60000);
}

/* Messages that nobody asked for, for ever. */
static void strangers(struct stream_line *line)
{
    uint8_t data[64];
    size_t size = stream_message(line, data);
    for (uint16_t id = wire_get_u16(data);; id++) {
        wire_put_u16(data, (uint16_t)(id + 1));
        if (!stream_reply(line, data, size)) {
            return;
        }
    }
}

START_TEST(ends_connections_with_garbage)
{
    stream_behaviour *const behaviours[] = {short_length, no_length, strangers};
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = behaviours[_i]});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_MALFORMED], 1);
    ck_assert_uint_eq(client.counts.rejected, _i == 2 ? 64 : 0);
    client_end(&client);
}
END_TEST

/* A length that is right, and never that much. */
static void promises(struct stream_line *line)
{
    uint8_t data[64];
    stream_message(line, data);
    stream_put(line, "\377\377", 2);
    while (stream_put(line, data, 10) && stream_sleep(line, 10)) {
    }
}

START_TEST(does_not_wait_for_promises)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = promises});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    ck_assert_int_eq(client_ask(&client, 1, 40), 0);
    client_run_ms(&client, 300);
    client_forget(&client, 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_TIMEOUT], 1);
    ck_assert_uint_eq(client.told[0], 0);
    client_end(&client);
}
END_TEST

/* First a reply to another question, and some that nobody asked for. */
static void wrong_then_right(struct stream_line *line)
{
    uint8_t data[64];
    size_t size;
    while ((size = stream_message(line, data)) > 0) {
        uint8_t wrong[64];
        memcpy(wrong, data, size);
        wrong[19]++;
        stream_reply(line, wrong, size);
        wrong[0]++;
        stream_reply(line, wrong, size);
        stream_reply(line, data, size);
    }
}

START_TEST(ignores_other_replies)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = wrong_then_right});
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        client_await_told(&client, i + 1);
    }
    ck_assert_uint_eq(client.replied, 200);
    ck_assert_uint_eq(client.strange, 200);
    ck_assert_uint_eq(client.counts.rejected, 200);
    ck_assert_uint_eq(client.counts.connections, 1);
    client_end(&client);
}
END_TEST

/* ---- Silence ---- */

/* The first connection is silent, the others answer. */
static void silent_at_first(struct stream_line *line)
{
    if (line->number > 0) {
        stream_echo(line);
        return;
    }
    uint8_t data[64];
    while (stream_message(line, data) > 0) {
    }
}

START_TEST(leaves_a_silent_connection)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = silent_at_first});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_run_ms(&client, 1000);
    client_forget(&client, 0);
    ck_assert_int_eq(client_ask(&client, 1, 40), 0); /* on the same one */
    client_run_ms(&client, 500);
    ck_assert_uint_eq(client.all, 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_TIMEOUT], 1);
    ck_assert_int_eq(client_ask(&client, 2, 40), 0);
    client_await_told(&client, 2);
    ck_assert_uint_eq(client.replied, 1);
    ck_assert_uint_eq(client.told[0], 0);
    ck_assert_uint_eq(client.counts.connections, 2);
    client_end(&client);
}
END_TEST

/* Whom nobody has lost patience with stays as long as he likes. */
static void three_seconds(struct stream_line *line)
{
    uint8_t data[64];
    size_t size = stream_message(line, data);
    stream_sleep(line, 3000);
    stream_reply(line, data, size);
    stream_echo(line);
}

START_TEST(waits_for_who_is_waited_for)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = three_seconds});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.replied, 1);
    client_end(&client);
}
END_TEST

/* Late replies to forgotten questions give their IDs back, and the connection lives. */
static void late(struct stream_line *line)
{
    uint8_t data[64];
    size_t size = stream_message(line, data);
    stream_sleep(line, 300);
    stream_reply(line, data, size);
    stream_echo(line);
}

START_TEST(takes_no_notice_of_late_replies)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = late});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_run_ms(&client, 100);
    client_forget(&client, 0);
    client_forget(&client, 0); /* harmless */
    client_forget(&client, 77);
    client_run_ms(&client, 2500);
    ck_assert_int_eq(client_ask(&client, 1, 40), 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.replied, 1);
    ck_assert_uint_eq(client.told[0], 0);
    ck_assert_uint_eq(client.counts.connections, 1);
    ck_assert_uint_eq(client.counts.rejected, 0);
    client_end(&client);
}
END_TEST

/* ---- Many ---- */

START_TEST(asks_a_thousand_over_four)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = stream_echo});
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 1000);
    ck_assert_uint_eq(client.replied, 1000);
    ck_assert_uint_eq(client.counts.connections, 4);
    for (unsigned i = 1000; i < 1064; i++) { /* what one can bear goes over one */
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 1064);
    ck_assert_uint_eq(client.counts.connections, 4);
    client_end(&client);
}
END_TEST

static _Atomic unsigned times_seen[4][65536];

static void notes_ids(struct stream_line *line)
{
    uint8_t data[64];
    while (stream_message(line, data) > 0) {
        atomic_fetch_add(&times_seen[line->number][wire_get_u16(data)], 1);
    }
}

/* Forgotten or not, an ID is on a connection once until its reply came. Up to the limit. */
START_TEST(uses_no_id_twice)
{
    enum { MOST = 4 * 4096 };
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = notes_ids});
    for (unsigned i = 0; i < MOST; i++) {
        ck_assert_int_eq(client_ask(&client, i, 20), 0);
        if (i % 3 == 0) {
            client_forget(&client, i);
        }
    }
    ck_assert_int_eq(client_ask(&client, MOST, 20), RR_ELIMIT);
    for (unsigned ms = 0; ms < 1000 && atomic_load(&client.server.asked) < MOST; ms++) {
        client_run_ms(&client, 1);
    }
    ck_assert_uint_eq(atomic_load(&client.server.asked), MOST);
    for (unsigned line = 0; line < 4; line++) {
        unsigned ids = 0;
        unsigned high = 0;
        for (unsigned id = 0; id < 65536; id++) {
            ck_assert_uint_le(times_seen[line][id], 1);
            ids += times_seen[line][id];
            high += id >= 32768 ? times_seen[line][id] : 0;
        }
        ck_assert_uint_eq(ids, 4096);
        ck_assert_uint_gt(high, 2048 - 200); /* six deviations */
        ck_assert_uint_lt(high, 2048 + 200);
    }
    ck_assert_uint_eq(client.counts.connections, 4);
    client_end(&client);
}
END_TEST

/* When all that a connection can bear is forgotten, it is left at once. */
START_TEST(leaves_what_is_full_of_forgotten_ones)
{
    enum { MOST = 4 * 4096 };
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = notes_ids});
    for (unsigned i = 0; i < MOST; i++) {
        ck_assert_int_eq(client_ask(&client, i, 20), 0);
    }
    client_run_ms(&client, 100);
    for (unsigned i = 0; i < MOST; i++) {
        client_forget(&client, i);
    }
    client_run_ms(&client, 50);
    ck_assert_int_eq(client_ask(&client, MOST, 20), 0);
    ck_assert_uint_eq(client.counts.connections, 5);
    ck_assert_uint_eq(client.all, 0);
    client_end(&client);
}
END_TEST

static void reads_nothing(struct stream_line *line)
{
    stream_sleep(line, 60000);
}

START_TEST(keeps_little_for_who_reads_nothing)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = reads_nothing});
    unsigned sent = 0;
    int error = 0;
    for (unsigned turn = 0; turn < 200; turn++) {
        while ((error = client_ask(&client, sent, 60000)) == 0) {
            sent++;
        }
        ck_assert_int_eq(error, RR_ELIMIT);
        client_run_ms(&client, 2);
    }
    ck_assert_uint_le(client.counts.connections, 4);
    ck_assert_uint_ge(sent, 4);
    client_end(&client);
    ck_assert_uint_eq(client.failed[UPSTREAM_NO_ERROR], sent);
}
END_TEST

/* ---- Closing ---- */

START_TEST(closes_what_is_outstanding)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = notes_ids});
    for (unsigned i = 0; i < 300; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_run_ms(&client, _i == 0 ? 0 : 50); /* not connected yet, and connected */
    client_forget(&client, 7);
    upstream_stream_close(client.streams, &client.upstream);
    ck_assert_ptr_null(client.upstream.streams);
    ck_assert_uint_eq(client.failed[UPSTREAM_NO_ERROR], 299);
    ck_assert_uint_eq(client.told[7], 0);
    upstream_stream_close(client.streams, &client.upstream);
    client_end(&client);
}
END_TEST

static void close_here(struct client *client, unsigned token)
{
    (void)token;
    upstream_stream_close(client->streams, &client->upstream);
}

START_TEST(closes_in_a_reply)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = stream_echo});
    client.on_replied = close_here;
    client.deny = _i == 1; /* and says that it was not the reply: then it is lost */
    for (unsigned i = 0; i < 100; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 100);
    ck_assert_uint_eq(client.replied, _i == 1 ? 0 : 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_NO_ERROR], _i == 1 ? 100 : 99);
    ck_assert_ptr_null(client.upstream.streams);
    client_end(&client);
}
END_TEST

START_TEST(closes_in_a_failure)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = reset_at_once});
    client.on_failed = close_here;
    for (unsigned i = 0; i < 200; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 200);
    ck_assert_uint_eq(client.failed[UPSTREAM_UNREACHABLE], 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_NO_ERROR], 199);
    ck_assert_ptr_null(client.upstream.streams);
    client_end(&client);
}
END_TEST

static void try_again(struct client *client, unsigned token)
{
    ck_assert_int_eq(client_ask(client, token + 1000, 40), RR_EIO);
}

START_TEST(opens_nothing_while_it_closes)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = notes_ids});
    client.on_failed = try_again;
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    upstream_stream_close(client.streams, &client.upstream);
    ck_assert_uint_eq(client.failed[UPSTREAM_NO_ERROR], 10);
    ck_assert_ptr_null(client.upstream.streams);
    client_end(&client);
}
END_TEST

static void forget_others(struct client *client, unsigned token)
{
    for (unsigned i = 0; i < 200; i++) {
        if (client->told[i] == 0) {
            client_forget(client, i);
        }
    }
    client_forget(client, token);
}

/* What the first handler forgets, no other hears of. */
START_TEST(forgets_in_handlers)
{
    struct client client;
    client_begin(&client,
                 &(struct stream_options){.behaviour = _i == 0 ? reset_at_once : stream_echo});
    client.on_failed = forget_others;
    client.on_replied = forget_others;
    for (unsigned i = 0; i < 60; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 1);
    client_run_ms(&client, 100);
    ck_assert_uint_eq(client.all, 1);
    client_end(&client);
}
END_TEST

/* ---- Time ---- */

/* Neither accepts nor refuses: its backlog is full. */
static int full_server(struct sockaddr_storage *address, socklen_t *size, int *filler)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)address;
    *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    *size = sizeof *v4;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)v4, *size), 0);
    ck_assert_int_eq(listen(fd, 0), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)v4, size), 0);
    for (unsigned i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        connect(filler[i], (struct sockaddr *)v4, *size);
    }
    usleep(100000);
    return fd;
}

START_TEST(gives_up_connecting)
{
    struct client client;
    int filler[4];
    client_begin(&client, &(struct stream_options){.behaviour = stream_echo});
    int fd =
        full_server(&client.upstream.server.address, &client.upstream.server.address_size, filler);
    uint64_t begin = clock_now_ns();
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    ck_assert_int_eq(client_ask(&client, 1, 40), 0);
    client_forget(&client, 1);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_TIMEOUT], 1);
    ck_assert_uint_ge(clock_now_ns() - begin, 4900000000u);
    ck_assert_uint_le(clock_now_ns() - begin, 7000000000u);
    close(fd);
    for (unsigned i = 0; i < 4; i++) {
        close(filler[i]);
    }
    client_end(&client);
}
END_TEST

static atomic_bool line_ended;

static void notes_the_end(struct stream_line *line)
{
    stream_echo(line);
    atomic_store(&line_ended, true);
}

START_TEST(closes_when_idle)
{
    struct client client;
    client_begin(&client, &(struct stream_options){.behaviour = notes_the_end});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_await_told(&client, 1);
    client_run_ms(&client, 1000);
    ck_assert_int_eq(client_ask(&client, 1, 40), 0);
    client_await_told(&client, 2);
    uint64_t begin = clock_now_ns();
    while (!atomic_load(&line_ended) && clock_now_ns() - begin < 15000000000u) {
        client_run_ms(&client, 10);
    }
    ck_assert_uint_ge(clock_now_ns() - begin, 9900000000u);
    ck_assert_uint_le(clock_now_ns() - begin, 12000000000u);
    ck_assert_uint_eq(client.counts.connections, 1);
    client_end(&client);
}
END_TEST

/* ---- Anything ---- */

/* Answers, stays silent, ends, resets, sends garbage: by the octets of the question. */
static void moody(struct stream_line *line)
{
    uint8_t data[64];
    size_t size;
    while ((size = stream_message(line, data)) > 0) {
        switch (data[20] % 32) {
        case 0:
            return;
        case 1:
            stream_will_reset(line);
            return;
        case 2:
            stream_put(line, "\0\5abcde", 7);
            break;
        case 3:
            stream_put(line, "\1\1abcde", 7);
            stream_will_reset(line);
            return;
        case 4:
        case 5:
            break;
        case 6:
            usleep(2000);
            stream_reply(line, data, size);
            break;
        case 7:
            data[19]++; /* another question */
            stream_reply(line, data, size);
            break;
        default:
            stream_reply(line, data, size);
        }
    }
}

static void sometimes_close(struct client *client, unsigned token)
{
    if (token % 97 == 3) {
        upstream_stream_close(client->streams, &client->upstream);
    } else if (token % 13 == 5 && token > 10) {
        client_forget(client, token - 10);
    }
}

START_TEST(lives_through_anything)
{
    const unsigned questions = 20000 / UNIT_SLOWER;
    struct client client;
    struct rng rng = rng_start();
    client_begin(&client, &(struct stream_options){.behaviour = moody});
    client.on_replied = sometimes_close;
    client.on_failed = sometimes_close;
    client.rng = &rng;
    for (unsigned i = 0; i < questions && client.counts.connections < STREAM_LINES_MAX - 4; i++) {
        int error = client_ask(&client, i, 40);
        ck_assert(error == 0 || error == RR_ELIMIT);
        if (rng_once_in(&rng, 20)) {
            client_forget(&client, rng_below(&rng, i + 1));
        }
        if (rng_once_in(&rng, 8)) {
            client_run_ms(&client, 0);
        }
        if (rng_once_in(&rng, 500)) {
            client_run_ms(&client, 5);
        }
    }
    client_run_ms(&client, 200);
    client_end(&client);
    for (unsigned i = 0; i < questions; i++) { /* one fate each */
        ck_assert_uint_eq(client.told[i] + client.forgotten[i], client.asked[i]);
    }
    ck_assert_uint_gt(client.replied, 0); /* how many is a matter of speed */
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("upstream_stream");
    tcase_add_test(unit.tests, gets_a_reply);
    tcase_add_test(unit.tests, gets_a_reply_over_ipv6);
    tcase_add_test(unit.tests, takes_replies_in_any_order);
    tcase_add_test(unit.tests, takes_replies_octet_by_octet);
    tcase_add_test(unit.tests, takes_replies_cut_anywhere);
    tcase_add_test(unit.tests, takes_the_longest_message);
    tcase_add_test(unit.tests, fails_what_is_outstanding_at_a_reset);
    tcase_add_test(unit.tests, blames_nobody_after_replies);
    tcase_add_test(unit.tests, connects_again_where_the_server_closes);
    tcase_add_test(unit.tests, sends_again_in_the_handler);
    tcase_add_test(unit.tests, tells_of_a_refused_connection);
    tcase_add_loop_test(unit.tests, ends_connections_with_garbage, 0, 3);
    tcase_add_test(unit.tests, does_not_wait_for_promises);
    tcase_add_test(unit.tests, ignores_other_replies);
    tcase_add_test(unit.tests, leaves_a_silent_connection);
    tcase_add_test(unit.tests, waits_for_who_is_waited_for);
    tcase_add_test(unit.tests, takes_no_notice_of_late_replies);
    tcase_add_test(unit.tests, asks_a_thousand_over_four);
    tcase_add_test(unit.tests, uses_no_id_twice);
    tcase_add_test(unit.tests, leaves_what_is_full_of_forgotten_ones);
    tcase_add_test(unit.tests, keeps_little_for_who_reads_nothing);
    tcase_add_loop_test(unit.tests, closes_what_is_outstanding, 0, 2);
    tcase_add_loop_test(unit.tests, closes_in_a_reply, 0, 2);
    tcase_add_test(unit.tests, closes_in_a_failure);
    tcase_add_test(unit.tests, opens_nothing_while_it_closes);
    tcase_add_loop_test(unit.tests, forgets_in_handlers, 0, 2);
    tcase_add_test(unit.tests, gives_up_connecting);
    tcase_add_test(unit.tests, closes_when_idle);
    tcase_add_test(unit.tests, lives_through_anything);
    return unit_end(&unit);
}

#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "transport.h"

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

/* A server of its own for a group of tests. */
void stream_begin(const char *name, const char *more)
{
    char filler[253];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    daemon_prepare(&server, name, more);
    daemon_zone(&server, "io.test", format_text(zone, filler, filler));
    daemon_start(&server);
}

int stream_open_from(const char *own)
{
    return tcp_open(own, "127.0.0.1", server.port);
}

int stream_open(void)
{
    return stream_open_from(NULL);
}

/* The server is well: over everything it listens on. */
void stream_check_well(void)
{
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.io.test.", "A"),
                     "NOERROR 192.0.2.10");
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, true, "www.io.test.", "A"),
                     "NOERROR 192.0.2.10");
}

void stream_await_open(int64_t count)
{
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    for (;;) {
        json_t *stats = control_stats(&server);
        int64_t open =
            json_integer_value(json_object_get(json_object_get(stats, "gauges"), "tcp_open"));
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
uint8_t *stream_pipeline(const char *name, const char *type, unsigned first, unsigned count,
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
void stream_expect(int fd, unsigned first, unsigned count, const char *text)
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

/* Octets sent until the server takes no more: it does not read while its answers are not read. */
size_t stream_stuff(int fd, const uint8_t *all, size_t size)
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

START_TEST(stops)
{
    daemon_stop(&server);
}
END_TEST

void stream_group(Suite *suite, const char *name, void (*start)(void), const TTest *const *tests)
{
    harness_group(suite, name, start, tests, stops);
}

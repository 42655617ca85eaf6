/*
 * A fixed number of queries is always under way, each on one of a few sockets (so that all workers
 * have some); an answer makes room for the next query. So nothing here can overflow a buffer, and
 * a missing answer is one that the server lost.
 *
 * Answers are read by hand: the rest of the harness is not made for threads.
 */
#include "load.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "octets.h"
#include "transport.h"

enum {
    SOCKETS = 8,
    WINDOW = 4, /* queries under way on each */
    HEADER = 12,
    RECORD = 12, /* of a compressed owner up to its data */
    MX = 15,
    A = 1,
    SOA = 6,
};

struct query {
    unsigned name;
    unsigned least; /* generation that was in force for sure when it was sent */
    uint16_t id;
    bool negative; /* asks for a name that is not there */
    bool waiting;
};

struct load {
    pthread_t thread;
    atomic_bool stop;
    _Atomic uint64_t answered;
    atomic_uint least;
    unsigned names;
    uint32_t random;
    int fd[SOCKETS];
    struct query query[SOCKETS][WINDOW];
    char error[512];
};

void load_write_zone(const char *path, unsigned generation, unsigned names)
{
    const char *beside = format_text("%s.new", path);
    FILE *out = fopen(beside, "we");
    ck_assert_ptr_nonnull(out);
    fprintf(out,
            "$TTL 3600\n@ SOA ns hostmaster %u 7200 3600 1209600 300\n@ NS ns\nns A 192.0.2.1\n",
            generation);
    for (unsigned n = 0; n < names; n++) {
        fprintf(out, "m%u MX %u h%u\nh%u A %u.%u.%u.%u\n", n, generation, n, n, generation, n >> 16,
                n >> 8 & 255, n & 255);
    }
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_int_eq(rename(beside, path), 0);
}

static bool wrong(struct load *load, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool wrong(struct load *load, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (load->error[0] == '\0') {
        vsnprintf(load->error, sizeof load->error, format, arguments);
    }
    va_end(arguments);
    return false;
}

static size_t write_query(const struct query *query, uint8_t *message)
{
    static const uint8_t end[] = "\4load\4test\0\0\0\0\1";
    memset(message, 0, HEADER);
    write16(message, query->id);
    write16(message + 4, 1);
    char label[32];
    int size = snprintf(label, sizeof label, "%c%u", query->negative ? 'x' : 'm', query->name);
    uint8_t *at = message + HEADER;
    *at++ = (uint8_t)size;
    memcpy(at, label, (size_t)size);
    at += size;
    memcpy(at, end, sizeof end - 1);
    write16(at + 11, MX);
    return (size_t)(at - message) + sizeof end - 1;
}

static bool ask(struct load *load, unsigned socket, unsigned slot)
{
    struct query *query = &load->query[socket][slot];
    uint8_t message[128];
    load->random = load->random * 1103515245u + 12345u;
    query->name = (load->random >> 4) % load->names;
    query->negative = load->random >> 28 == 0;
    query->least = atomic_load(&load->least);
    query->id = (uint16_t)((query->id + WINDOW) & ~(WINDOW - 1)) | (uint16_t)slot;
    query->waiting = true;
    size_t size = write_query(query, message);
    if (send(load->fd[socket], message, size, MSG_NOSIGNAL) != (ssize_t)size) {
        return wrong(load, "send: %s", strerror(errno));
    }
    return true;
}

/* The generation that an answer's two places tell; 0 where the answer is wrong. */
static unsigned generation_of(struct load *load, const struct query *query, const uint8_t *answer,
                              size_t size)
{
    uint8_t asked[128];
    size_t question = write_query(query, asked);
    const uint8_t *end = answer + size;
    if (size < question + RECORD ||
        memcmp(answer + HEADER, asked + HEADER, question - HEADER) != 0) {
        wrong(load, "an answer of %zu octets, or to another question", size);
        return 0;
    }
    unsigned flags = read16(answer + 2);
    const uint8_t *record = answer + question;
    if (query->negative) {
        if (flags != 0x8403 || read16(answer + 6) != 0 || read16(answer + 8) != 1 ||
            read16(answer + 10) != 0 || read16(record + 2) != SOA) {
            wrong(load, "x%u: flags %04x", query->name, flags);
            return 0;
        }
        return read16(end - 18);
    }
    if (flags != 0x8400 || read16(answer + 6) != 1 || read16(answer + 8) != 0 ||
        read16(answer + 10) != 1 || read16(record + 2) != MX || read16(end - 14) != A) {
        wrong(load, "m%u: flags %04x, %u answers, %u additional", query->name, flags,
              read16(answer + 6), read16(answer + 10));
        return 0;
    }
    unsigned name = (unsigned)(end[-3] << 16 | end[-2] << 8 | end[-1]);
    unsigned preference = read16(record + RECORD);
    if (name != query->name || end[-4] != preference) {
        wrong(load, "m%u: a mix of generations %u and %u, of %u", query->name, preference, end[-4],
              name);
        return 0;
    }
    return preference;
}

static bool take(struct load *load, unsigned socket)
{
    uint8_t answer[1024];
    ssize_t got = recv(load->fd[socket], answer, sizeof answer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) {
        return true;
    }
    if (got < HEADER) {
        return wrong(load, "recv: %s", got < 0 ? strerror(errno) : "too short");
    }
    unsigned slot = answer[1] % WINDOW;
    struct query *query = &load->query[socket][slot];
    if (!query->waiting || read16(answer) != query->id) {
        return wrong(load, "an answer to nothing that was asked");
    }
    unsigned generation = generation_of(load, query, answer, (size_t)got);
    if (generation == 0) {
        return false;
    }
    if (generation < query->least) {
        return wrong(load, "generation %u after %u was in force", generation, query->least);
    }
    query->waiting = false;
    atomic_fetch_add(&load->answered, 1);
    return atomic_load(&load->stop) || ask(load, socket, slot);
}

static unsigned under_way(const struct load *load)
{
    unsigned count = 0;
    for (unsigned s = 0; s < SOCKETS; s++) {
        for (unsigned w = 0; w < WINDOW; w++) {
            count += load->query[s][w].waiting;
        }
    }
    return count;
}

static void *run(void *argument)
{
    struct load *load = argument;
    struct pollfd waiting[SOCKETS];
    bool well = true;
    /* Some 20,000 queries a second: what is tested is that none is lost, not who gets the CPU. */
    const struct timespec pace = {.tv_nsec = 300000};
    for (unsigned s = 0; s < SOCKETS; s++) {
        waiting[s] = (struct pollfd){.fd = load->fd[s], .events = POLLIN};
        for (unsigned w = 0; w < WINDOW && well; w++) {
            well = ask(load, s, w);
        }
    }
    while (well && under_way(load) > 0) {
        int ready = poll(waiting, SOCKETS, 3 * harness_patience_ms());
        if (ready == 0) {
            wrong(load, "%u queries are not answered", under_way(load));
            break;
        }
        for (unsigned s = 0; s < SOCKETS && ready > 0 && well; s++) {
            if (waiting[s].revents != 0) {
                well = take(load, s);
            }
        }
        nanosleep(&pace, NULL);
    }
    return NULL;
}

struct load *load_begin(const char *address, uint16_t port, unsigned names)
{
    struct load *load = calloc(1, sizeof *load);
    ck_assert_ptr_nonnull(load);
    load->names = names;
    load->random = (uint32_t)clock_ms();
    atomic_store(&load->least, 1);
    for (unsigned s = 0; s < SOCKETS; s++) {
        load->fd[s] = udp_open(NULL, address, port);
    }
    ck_assert_int_eq(pthread_create(&load->thread, NULL, run, load), 0);
    return load;
}

uint64_t load_answered(const struct load *load)
{
    return atomic_load(&load->answered);
}

void load_await(const struct load *load, uint64_t more)
{
    uint64_t until = load_answered(load) + more;
    uint64_t end = clock_ms() + 2 * (uint64_t)harness_patience_ms();
    while (load_answered(load) < until && clock_ms() < end) {
        pause_ms(1); /* a load that is stuck is told by load_end */
    }
}

void load_at_least(struct load *load, unsigned generation)
{
    atomic_store(&load->least, generation);
}

uint64_t load_end(struct load *load)
{
    atomic_store(&load->stop, true);
    pthread_join(load->thread, NULL);
    for (unsigned s = 0; s < SOCKETS; s++) {
        close(load->fd[s]);
    }
    uint64_t answered = load_answered(load);
    static char error[sizeof load->error];
    memcpy(error, load->error, sizeof error);
    free(load);
    ck_assert_msg(error[0] == '\0', "after %llu answers: %s", (unsigned long long)answered, error);
    return answered;
}

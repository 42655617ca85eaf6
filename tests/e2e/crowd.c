/*
 * A question's place in the table stands in its ID and socket, so an answer finds it at once; the
 * rest of the ID counts up, so that late answers to former questions of the place are known for
 * what they are. Answers are read by hand: the rest of the harness is not made for threads.
 */
#include "crowd.h"

#include <check.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "harness.h"
#include "octets.h"
#include "scripted.h"
#include "transport.h"
#include "volley.h"

enum {
    SOCKETS = 8,
    BATCH = 32,
    HEADER = 12,
    PLACES = CROWD_WINDOW_MAX / SOCKETS, /* of a socket; their numbers are an ID's lower bits */
    MS_MAX = 8192,                       /* of the histogram */
    LATE_MS = 5500,                      /* CLIENT_MS, and some for our own slowness */
    OPT = 41,
    OPTION_EDE = 15,
    STALE_TTL = 30,
    MESSAGE = 512,
};

static const uint16_t types[] = {1, 28, 16, SCRIPTED_TYPE};

struct place {
    uint64_t name;
    uint64_t sent; /* ns */
    uint16_t id, type;
    bool waiting;
};

struct crowd {
    struct crowd_plan plan;
    uint8_t words[128], zone[128]; /* wire form, zone with its end */
    size_t words_size, zone_size;
    pthread_t thread;
    atomic_bool stop, done;
    int fd[SOCKETS];
    struct place place[SOCKETS][PLACES];
    unsigned *free; /* numbers of free places: socket + SOCKETS * place */
    unsigned free_count;
    uint64_t asked, fresh, random;
    char error[512];

    pthread_mutex_t lock; /* of figures and histogram */
    struct crowd_figures figures;
    uint32_t histogram[MS_MAX + 1];
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t next_random(struct crowd *crowd)
{
    crowd->random ^= crowd->random << 13;
    crowd->random ^= crowd->random >> 7;
    return crowd->random ^= crowd->random << 17;
}

static bool wrong(struct crowd *crowd, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool wrong(struct crowd *crowd, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (crowd->error[0] == '\0') {
        vsnprintf(crowd->error, sizeof crowd->error, format, arguments);
    }
    va_end(arguments);
    return false;
}

/* ---- Questions ---- */

/* Labels of a text without escapes, without the root's. */
static size_t labels(const char *text, uint8_t *wire)
{
    size_t size = 0;
    while (text != NULL && *text != '\0') {
        size_t length = strcspn(text, ".");
        wire[size++] = (uint8_t)length;
        memcpy(wire + size, text, length);
        size += length;
        text += length + (text[length] == '.');
    }
    return size;
}

/* The name of a place's question; case differs with its ID. */
static size_t write_name(const struct crowd *crowd, const struct place *place, uint8_t *name)
{
    size_t size = crowd->words_size;
    char label[32];
    memcpy(name, crowd->words, size);
    int length = snprintf(label, sizeof label, "%c%llu", (place->id & 0x8000) != 0 ? 'n' : 'N',
                          (unsigned long long)place->name);
    name[size++] = (uint8_t)length;
    memcpy(name + size, label, (size_t)length);
    size += (size_t)length;
    memcpy(name + size, crowd->zone, crowd->zone_size);
    size += crowd->zone_size;
    name[size++] = 0;
    return size;
}

static size_t write_question(const struct crowd *crowd, const struct place *place, uint8_t *message)
{
    static const uint8_t opt[] = {0, 0, OPT, 4, 208, 0, 0, 0, 0, 0, 0};
    memset(message, 0, HEADER);
    write16(message, place->id);
    write16(message + 2, FLAG_RD);
    write16(message + 4, 1);
    write16(message + 10, 1);
    size_t size = HEADER + write_name(crowd, place, message + HEADER);
    write16(message + size, place->type);
    write16(message + size + 2, 1);
    memcpy(message + size + 4, opt, sizeof opt);
    return size + 4 + sizeof opt;
}

static void choose(struct crowd *crowd, unsigned number)
{
    struct place *place = &crowd->place[number % SOCKETS][number / SOCKETS];
    const struct crowd_plan *plan = &crowd->plan;
    uint64_t random = next_random(crowd) >> 16;
    bool fresh = plan->names == 0 || random / 256 % 100 < plan->fresh;
    place->name = fresh ? plan->names + crowd->fresh++ : (random >> 20) % plan->names;
    place->type = types[plan->one_type ? 0 : random % 4];
    place->id = (uint16_t)((place->id + PLACES) & ~(PLACES - 1)) | (uint16_t)(number / SOCKETS);
    place->waiting = true;
    place->sent = now_ns();
}

static bool ask(struct crowd *crowd, uint64_t count)
{
    uint8_t messages[SOCKETS][MESSAGE];
    for (uint64_t i = 0; i < count; i++) {
        unsigned number = crowd->free[--crowd->free_count], socket = number % SOCKETS;
        choose(crowd, number);
        size_t size =
            write_question(crowd, &crowd->place[socket][number / SOCKETS], messages[socket]);
        /* ECONNREFUSED is of what was sent before: the server is not there, or not yet. */
        if (send(crowd->fd[socket], messages[socket], size, MSG_NOSIGNAL) < 0 &&
            errno != ECONNREFUSED) {
            return wrong(crowd, "send: %s", strerror(errno));
        }
        crowd->asked++;
    }
    return true;
}

/* ---- Answers ---- */

struct view {
    int ede;
    const uint8_t *record; /* the first of the answer section: type and what follows */
};

/* Walks the records. False where they are not well formed. */
static bool look_through(const uint8_t *data, size_t size, size_t at, struct view *view)
{
    unsigned answers = read16(data + 6);
    unsigned records = answers + read16(data + 8) + read16(data + 10);
    *view = (struct view){.ede = -1};
    for (unsigned i = 0; i < records; i++) {
        while (at < size && data[at] != 0 && data[at] < 0xc0) {
            at += 1u + data[at];
        }
        at += at < size && data[at] >= 0xc0 ? 2 : 1;
        if (at + 10 > size || at + 10 + read16(data + at + 8) > size) {
            return false;
        }
        const uint8_t *options = data + at + 10;
        size_t left = read16(data + at + 8);
        if (i == 0 && answers > 0) {
            view->record = data + at;
        }
        while (read16(data + at) == OPT && left >= 4) {
            size_t length = 4u + read16(options + 2);
            if (length > left) {
                return false;
            }
            view->ede = read16(options) == OPTION_EDE ? (int)read16(options + 4) : view->ede;
            options += length;
            left -= length;
        }
        at += 10u + read16(data + at + 8);
    }
    return at == size;
}

/* Whether the record is what the upstream has for this name and type, in whatever version. */
static bool is_right(const struct crowd *crowd, const struct place *place, const uint8_t *record)
{
    uint8_t name[256], rdata[SCRIPTED_RDATA_MAX];
    size_t name_size = write_name(crowd, place, name);
    uint8_t version = place->type == 28 ? record[11] : record[10];
    if (place->type == 16) {
        static const char digits[] = "0123456789abcdef";
        const char *high = memchr(digits, record[12], 16), *low = memchr(digits, record[13], 16);
        if (high == NULL || low == NULL) {
            return false;
        }
        version = (uint8_t)((high - digits) << 4 | (low - digits));
    }
    size_t size = scripted_rdata(name, name_size, place->type, version, 0, rdata);
    return read16(record) == place->type && read16(record + 8) == size &&
           memcmp(record + 10, rdata, size) == 0;
}

static void count_answer(struct crowd *crowd, const struct place *place, unsigned flags,
                         const struct view *view)
{
    uint64_t ms = (now_ns() - place->sent) / 1000000;
    struct crowd_figures *figures = &crowd->figures;
    unsigned rcode = flags & 15;
    pthread_mutex_lock(&crowd->lock);
    figures->answered++;
    crowd->histogram[ms < MS_MAX ? ms : MS_MAX]++;
    if (rcode == 0 && view->record != NULL && (view->ede < 0 || view->ede == EDE_STALE)) {
        figures->good++;
        figures->stale += view->ede == EDE_STALE;
    } else if (rcode == 2 && (view->ede == EDE_UNREACHABLE || view->ede == EDE_NETWORK)) {
        figures->failed++;
    } else {
        figures->other++;
        snprintf(figures->last_other, sizeof figures->last_other,
                 "flags %04x, EDE %d, number %llu, type %u, after %u ms", flags, view->ede,
                 (unsigned long long)place->name, place->type, (unsigned)ms);
    }
    pthread_mutex_unlock(&crowd->lock);
}

static bool check(struct crowd *crowd, unsigned socket, const uint8_t *answer, size_t size)
{
    uint8_t question[MESSAGE];
    struct view view;
    if (size < HEADER) {
        return wrong(crowd, "an answer of %zu octets", size);
    }
    unsigned number = read16(answer) % PLACES;
    struct place *place = &crowd->place[socket][number];
    if (!place->waiting || read16(answer) != place->id) {
        return wrong(crowd, "an answer to nothing that was asked");
    }
    size_t question_end = write_question(crowd, place, question) - 11;
    if (size < question_end ||
        memcmp(answer + HEADER, question + HEADER, question_end - HEADER) != 0) {
        return wrong(crowd, "the answer to another question than number %llu",
                     (unsigned long long)place->name);
    }
    unsigned flags = read16(answer + 2);
    if ((flags & ~(FLAG_TC | FLAG_RA | 15u)) != (0x8000 | FLAG_RD) ||
        !look_through(answer, size, question_end, &view)) {
        return wrong(crowd, "number %llu: flags %04x, or not well formed",
                     (unsigned long long)place->name, flags);
    }
    if (view.record != NULL && !is_right(crowd, place, view.record)) {
        return wrong(crowd, "number %llu, type %u: data of another name or type",
                     (unsigned long long)place->name, place->type);
    }
    if (view.record != NULL && view.ede == EDE_STALE && read16(view.record + 6) != STALE_TTL) {
        return wrong(crowd, "stale, with a TTL of %u", read16(view.record + 6));
    }
    count_answer(crowd, place, flags, &view);
    place->waiting = false;
    crowd->free[crowd->free_count++] = socket + SOCKETS * number;
    return true;
}

static bool take(struct crowd *crowd, unsigned socket)
{
    static _Thread_local uint8_t room[BATCH][2048];
    struct iovec iov[BATCH];
    struct mmsghdr messages[BATCH] = {0};
    for (unsigned i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){.iov_base = room[i], .iov_len = sizeof room[i]};
        messages[i].msg_hdr.msg_iov = &iov[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    int got = recvmmsg(crowd->fd[socket], messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        if (!check(crowd, socket, room[i], messages[i].msg_len)) {
            return false;
        }
    }
    return true;
}

static bool look_for_lost(struct crowd *crowd)
{
    uint64_t now = now_ns(), most = (uint64_t)LATE_MS * harness_slow() * 1000000;
    for (unsigned socket = 0; socket < SOCKETS; socket++) {
        for (unsigned i = 0; i < PLACES; i++) {
            const struct place *place = &crowd->place[socket][i];
            if (place->waiting && now - place->sent > most) {
                return wrong(crowd, "number %llu, type %u: no answer in %u ms",
                             (unsigned long long)place->name, place->type,
                             (unsigned)(most / 1000000));
            }
        }
    }
    return true;
}

/* ---- The thread ---- */

/* How many questions are due. */
static uint64_t due(const struct crowd *crowd, uint64_t began)
{
    const struct crowd_plan *plan = &crowd->plan;
    uint64_t left = plan->count > 0 ? plan->count - crowd->asked : UINT64_MAX;
    uint64_t most = crowd->free_count < left ? crowd->free_count : left;
    if (atomic_load(&crowd->stop)) {
        return 0;
    }
    if (plan->rate > 0) {
        uint64_t by_now = (now_ns() - began) / 1000 * plan->rate / 1000000;
        uint64_t wanted = by_now > crowd->asked ? by_now - crowd->asked : 0;
        most = wanted < most ? wanted : most;
    }
    return most < BATCH ? most : BATCH;
}

static bool is_over(const struct crowd *crowd, unsigned places)
{
    bool all = crowd->plan.count > 0 && crowd->asked >= crowd->plan.count;
    return crowd->free_count == places && (all || atomic_load(&crowd->stop));
}

static void *run(void *argument)
{
    struct crowd *crowd = argument;
    struct pollfd waiting[SOCKETS];
    unsigned places = crowd->free_count;
    uint64_t began = now_ns(), looked = began;
    bool well = true;
    for (unsigned i = 0; i < SOCKETS; i++) {
        waiting[i] = (struct pollfd){.fd = crowd->fd[i], .events = POLLIN};
    }
    while (well && !is_over(crowd, places)) {
        uint64_t count = due(crowd, began);
        well = ask(crowd, count);
        poll(waiting, SOCKETS, count > 0 ? 0 : 1);
        for (unsigned i = 0; i < SOCKETS && well; i++) {
            if (waiting[i].revents != 0) {
                well = take(crowd, i);
            }
        }
        if (now_ns() - looked > 200000000) {
            looked = now_ns();
            well = well && look_for_lost(crowd);
        }
    }
    atomic_store(&crowd->done, true);
    return NULL;
}

struct crowd *crowd_begin(const struct crowd_plan *plan)
{
    static uint64_t crowds;
    struct crowd *crowd = calloc(1, sizeof *crowd);
    unsigned window = plan->window > 0 ? plan->window : CROWD_WINDOW_MAX;
    ck_assert(crowd != NULL && window <= CROWD_WINDOW_MAX);
    crowd->plan = *plan;
    crowd->words_size = labels(plan->words, crowd->words);
    crowd->zone_size = labels(plan->zone, crowd->zone);
    crowd->random = now_ns() | 1;
    crowd->fresh = crowds++ * 1000000000u; /* names that are new to the server too */
    crowd->free = calloc(window, sizeof *crowd->free);
    ck_assert_ptr_nonnull(crowd->free);
    for (unsigned i = 0; i < window; i++) {
        crowd->free[crowd->free_count++] = i;
    }
    for (unsigned i = 0; i < SOCKETS; i++) {
        crowd->fd[i] = udp_open(NULL, "127.0.0.1", plan->port);
    }
    pthread_mutex_init(&crowd->lock, NULL);
    ck_assert_int_eq(pthread_create(&crowd->thread, NULL, run, crowd), 0);
    return crowd;
}

/* The latency below which so many of a thousand are. */
static unsigned quantile(const struct crowd *crowd, uint64_t count, unsigned per_mille)
{
    uint64_t wanted = count * per_mille / 1000, seen = 0;
    for (unsigned ms = 0; ms < MS_MAX; ms++) {
        seen += crowd->histogram[ms];
        if (seen >= wanted) {
            return ms;
        }
    }
    return MS_MAX;
}

struct crowd_figures crowd_look(struct crowd *crowd)
{
    pthread_mutex_lock(&crowd->lock);
    struct crowd_figures figures = crowd->figures;
    figures.median_ms = quantile(crowd, figures.answered, 500);
    figures.p99_ms = quantile(crowd, figures.answered, 990);
    figures.slowest_ms = quantile(crowd, figures.answered, 1000);
    memset(&crowd->figures, 0, sizeof crowd->figures);
    memset(crowd->histogram, 0, sizeof crowd->histogram);
    pthread_mutex_unlock(&crowd->lock);
    return figures;
}

bool crowd_is_done(const struct crowd *crowd)
{
    return atomic_load(&crowd->done);
}

struct crowd_figures crowd_end(struct crowd *crowd)
{
    static char error[sizeof crowd->error];
    atomic_store(&crowd->stop, true);
    pthread_join(crowd->thread, NULL);
    struct crowd_figures figures = crowd_look(crowd);
    for (unsigned i = 0; i < SOCKETS; i++) {
        close(crowd->fd[i]);
    }
    memcpy(error, crowd->error, sizeof error);
    pthread_mutex_destroy(&crowd->lock);
    free(crowd->free);
    free(crowd);
    ck_assert_msg(error[0] == '\0', "%s", error);
    return figures;
}

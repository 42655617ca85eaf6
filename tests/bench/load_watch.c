// Questions at a fixed rate, for latencies that are not those of a full queue; and what happens to
// them while the server takes a change: the command that makes it runs amid the load, and SOA
// questions beside it tell when the new serial is served.
//
// Sockets are watched with epoll and never slept on. Each question goes out when it is due,
// whatever became of the ones before it.
//
// The command must not wait for a processor that the load spins on: a client program of a few
// milliseconds would take ten, and that would be taken for the server's time. So a shell waits for
// the word to go before the load begins, and with that word the generator puts itself last on its
// core (SCHED_IDLE) for 50 ms. Anyone may do that, but only root may undo it.
#include "cpu.h"
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const uint64_t second = 1000000000U;

// ---- One question, asked by hand ----

static size_t soa_question(const char *zone, uint16_t id, uint8_t *out)
{
    size_t at = 12;
    memset(out, 0, at);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    out[5] = 1;
    while (*zone != '\0' && strcmp(zone, ".") != 0) {
        size_t length = strcspn(zone, ".");
        out[at] = (uint8_t)length;
        memcpy(out + at + 1, zone, length);
        at += 1 + length;
        zone += length;
        zone += *zone == '.';
    }
    memcpy(out + at, "\0\0\6\0\1", 5);
    return at + 5;
}

static size_t skip_name(const uint8_t *answer, size_t length, size_t at)
{
    while (at < length && answer[at] != 0 && answer[at] < 0xc0) {
        at += 1U + answer[at];
    }
    return at < length && answer[at] >= 0xc0 ? at + 2 : at + 1;
}

uint32_t answer_serial(const uint8_t *answer, size_t length)
{
    if (length < 12 || (answer[3] & 15) != 0 || (answer[6] | answer[7]) == 0) {
        return 0;
    }
    size_t at = skip_name(answer, length, skip_name(answer, length, 12) + 4);
    if (at + 10 > length || answer[at] != 0 || answer[at + 1] != 6) {
        return 0;
    }
    at = skip_name(answer, length, skip_name(answer, length, at + 10));
    if (at + 4 > length) {
        return 0;
    }
    return (uint32_t)answer[at] << 24 | (uint32_t)answer[at + 1] << 16 |
           (uint32_t)answer[at + 2] << 8 | answer[at + 3];
}

// ---- Until everything is right ----

double wait_until_right(struct load *load, int pid)
{
    uint8_t answer[ANSWER_MAX];
    uint64_t begin = now_ns();
    if (load->began != 0) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        begin -= (uint64_t)now.tv_sec * second + (uint64_t)now.tv_nsec - load->began;
    }
    uint64_t end = begin + (uint64_t)(load->seconds * 1e9);
    struct client *client = &load->all[0];
    for (size_t i = 0; i < load->queries.count;) {
        if (now_ns() > end || (pid > 0 && cpu_gone(pid))) {
            return -1;
        }
        // A fresh socket each time: one that got "connection refused" has it still to tell.
        if (client->fd >= 0) {
            close(client->fd);
        }
        client->fd = client_socket(load, SOCK_DGRAM, (unsigned)i);
        client->since = now_ns();
        client->generation++;
        struct bucket one = {.first = i, .count = 1};
        uint64_t right = load->tally.answered;
        size_t length = ask(load, client, 0, &one, 0);
        if (client->fd >= 0 && send(client->fd, client->sent, length, 0) > 0) {
            // A loading server may leave questions lying: ask again after 20 ms. It may be loading
            // on this core as well, which is left to it meanwhile.
            struct pollfd in = {.fd = client->fd, .events = POLLIN};
            while (client->open > 0 && poll(&in, 1, 20) > 0) {
                ssize_t got = recv(client->fd, answer, sizeof answer, 0);
                if (got <= 0) {
                    break;
                }
                check(load, client, answer, (size_t)got, now_ns());
            }
        }
        client->open = 0;
        client->slots[0].sent = 0;
        if (load->tally.answered > right) {
            i++;
        } else {
            usleep(2000);
        }
    }
    return (double)(now_ns() - begin) * 1e-9;
}

// ---- A fixed rate ----

struct watcher { // asks for the zone's SOA
    int fd;
    uint64_t asked;
    uint16_t id;
};

static void watch(const struct load *load, struct watcher *watcher, struct change *change,
                  uint64_t now)
{
    uint8_t bytes[ANSWER_MAX];
    ssize_t got = recv(watcher->fd, bytes, sizeof bytes, 0);
    if (got > 2 && (unsigned)(bytes[0] << 8 | bytes[1]) == watcher->id) {
        if (answer_serial(bytes, (size_t)got) == load->serial) {
            change->seen = now;
            return;
        }
        watcher->asked -= watcher->asked > second ? second : 0; // answered: the next may go
    }
    static uint64_t next;
    if (now < next || now < watcher->asked + second / 50) {
        return;
    }
    next = now + second / 1000; // no more than 1,000 a second
    watcher->asked = now;
    watcher->id++;
    size_t length = soa_question(load->zone, watcher->id, bytes);
    if (send(watcher->fd, bytes, length, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED) {
        complain("send");
    }
}

// A shell that waits for a line on *go and then runs the command.
static pid_t prepare(const char *command, int *go)
{
    int ends[2];
    char *line = NULL;
    if (asprintf(&line, "read go; %s", command) < 0 || pipe2(ends, O_CLOEXEC) != 0) {
        complain("pipe");
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[0], STDIN_FILENO);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    free(line);
    *go = ends[1];
    return pid;
}

static bool ask_one(struct load *load, unsigned n, uint64_t now)
{
    struct client *client = &load->all[n];
    // A slot for each question in turn: one still open means 64 questions without an answer.
    unsigned slot = client->batches++ % WINDOW_MAX;
    if (slot == 0) {
        client->generation++;
    }
    if (client->slots[slot].sent != 0) {
        load->tally.unsent++;
        return false;
    }
    size_t skip = (size_t)slot * QUERY_MAX;
    client->since = now;
    size_t length = ask(load, client, slot, queries_bucket(&load->queries), skip);
    if (send(client->fd, client->sent + skip, length, 0) < 0 && errno == ECONNREFUSED) {
        // The error was an earlier question's, and is taken with this: once more.
        if (send(client->fd, client->sent + skip, length, 0) < 0) {
            return false;
        }
    }
    return true;
}

// The time. One turn of the loop takes less than 0.1 ms: where far more has passed since it was last
// asked for, the generator had no processor, as where a virtual machine is stopped with all of its
// processors for having used too much of them.
static uint64_t look(struct load *load)
{
    static const uint64_t stop = 2000000;
    uint64_t now = now_ns();
    if (load->looked != 0 && now - load->looked > stop) {
        load->stopped += now - load->looked;
        load->blind = now;
    }
    load->looked = now;
    return now;
}

static void collect(struct load *load, int epoll)
{
    uint8_t answer[ANSWER_MAX];
    struct epoll_event events[64];
    int ready = epoll_wait(epoll, events, 64, 0);
    for (int i = 0; i < ready; i++) {
        struct client *client = &load->all[events[i].data.u32];
        for (ssize_t got; (got = recv(client->fd, answer, sizeof answer, 0)) > 0;) {
            check(load, client, answer, (size_t)got, look(load));
        }
    }
}

static uint64_t lost(const struct tally *tally)
{
    return tally->lost + tally->unsent + tally->bad_rcode + tally->empty + tally->bad_record;
}

// From here on the change is under way: what came before is set aside.
static void begin_change(struct load *load, struct change *change, int go, uint64_t now)
{
    change->before = load->tally.latency;
    change->lost_before = lost(&load->tally);
    memset(&load->tally.latency, 0, sizeof load->tally.latency);
    sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    change->started = now;
    if (write(go, "\n", 1) != 1) {
        complain("the command");
    }
}

static void end_change(struct load *load, struct change *change)
{
    change->during = load->tally.latency;
    memset(&load->tally.latency, 0, sizeof load->tally.latency);
}

// All latencies since the change began are told together as well.
static void join_latencies(struct load *load, struct change *change)
{
    if (change->seen == 0) {
        end_change(load, change);
    }
    change->after = load->tally.latency;
    for (size_t i = 0; i < HISTOGRAM_CELLS; i++) {
        load->tally.latency.cells[i] += change->during.cells[i];
    }
    load->tally.latency.count += change->during.count;
    if (change->during.max > load->tally.latency.max) {
        load->tally.latency.max = change->during.max;
    }
}

static int open_clients(struct load *load, int epoll)
{
    for (unsigned n = 0; n < load->clients; n++) {
        struct epoll_event event = {.events = EPOLLIN, .data.u32 = n};
        load->all[n].fd = client_socket(load, SOCK_DGRAM, n);
        if (load->all[n].fd < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, load->all[n].fd, &event) != 0) {
            complain("epoll");
            return -1;
        }
    }
    return 0;
}

// Answers on their way are waited for, at most as long as an answer may take.
static void collect_rest(struct load *load, int epoll)
{
    unsigned open = 1;
    for (uint64_t until = now_ns() + load->timeout; open > 0 && now_ns() < until;) {
        collect(load, epoll);
        be_upstream(load, look(load), true);
        open = 0;
        for (unsigned n = 0; n < load->clients; n++) {
            open += load->all[n].open;
        }
    }
    load->tally.lost += open;
}

static void expire_all(struct load *load, uint64_t now)
{
    for (unsigned n = 0; n < load->clients; n++) {
        expire(load, &load->all[n], now);
    }
}

// The loop: until `warm` without counting, then for load->seconds, or until a second after a
// change is seen that began two seconds after `warm`.
static void ask_at_rate(struct load *load, struct watcher *watcher, struct change *change,
                        int epoll, pid_t *child, int go)
{
    uint64_t begin = now_ns();
    uint64_t warm = begin + (uint64_t)(load->warm_up * 1e9);
    uint64_t end = warm + (uint64_t)(load->seconds * 1e9);
    uint64_t change_at = load->command != NULL ? warm + 2 * second : UINT64_MAX;
    uint64_t back_at = UINT64_MAX; // no longer last on the core
    uint64_t due = begin;
    uint64_t expire_at = begin;
    uint64_t interval = (uint64_t)(1e9 / load->rate);
    unsigned turn = 0;
    bool measured = false;
    for (uint64_t now = begin; now < end; now = look(load)) {
        if (!measured && now >= warm) {
            memset(&load->tally, 0, sizeof load->tally);
            load->stopped = 0;
            if (load->flood != NULL) {
                memset(&load->flood->tally, 0, sizeof load->flood->tally);
            }
            change->own = own_time();
            measured = true;
        }
        if (now >= due) {
            ask_one(load, turn++ % load->clients, now);
            // Someone else had this core: what fell due meanwhile is asked now, but not as one
            // wave.
            due = now > due + second / 100 ? now : due + interval;
        }
        collect(load, epoll);
        be_upstream(load, now, true);
        if (load->flood != NULL) {
            flood_turn(load->flood, now);
        }
        if (now >= change_at) {
            begin_change(load, change, go, now_ns());
            change_at = UINT64_MAX;
            back_at = now + second / 20;
        }
        if (now >= back_at) {
            sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){0});
            back_at = UINT64_MAX;
        }
        if (change->started != 0 && *child > 0 &&
            waitpid(*child, &change->status, WNOHANG) == *child) {
            change->ended = now;
            *child = 0;
        }
        if (change->started != 0 && change->seen == 0) {
            watch(load, watcher, change, now);
            if (change->seen != 0) {
                end_change(load, change);
                end = end > now + second ? now + second : end;
            }
        }
        if (now >= expire_at) {
            expire_all(load, now);
            expire_at = now + second / 20;
        }
    }
    change->measured = (double)(now_ns() - warm) * 1e-9;
    change->own = own_time() - change->own;
}

int udp_rate(struct load *load, struct change *change)
{
    struct watcher watcher = {.fd = -1};
    int result = -1;
    int go = -1;
    pid_t child = 0;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    memset(change, 0, sizeof *change);
    if (open_clients(load, epoll) != 0 ||
        (load->command != NULL && ((watcher.fd = client_socket(load, SOCK_DGRAM, 0)) < 0 ||
                                   (child = prepare(load->command, &go)) < 0))) {
        goto out;
    }
    ask_at_rate(load, &watcher, change, epoll, &child, go);
    collect_rest(load, epoll);
    if (load->command != NULL) {
        join_latencies(load, change);
    }
    if (child > 0) { // the server took the change or not: the command is not waited for any more
        kill(child, SIGTERM);
        waitpid(child, &change->status, 0);
    }
    result = 0;
out:
    if (epoll >= 0) {
        close(epoll);
    }
    if (watcher.fd >= 0) {
        close(watcher.fd);
    }
    if (go >= 0) {
        close(go);
    }
    return result;
}

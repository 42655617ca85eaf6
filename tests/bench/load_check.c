// Clients, their questions, and whether an answer is right.
//
// An ID is a slot number in its low six bits and a generation above: an answer that comes after its
// question was given up for lost never counts for the next one in the slot.
#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

double own_time(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

void pause_ns(uint64_t ns)
{
    for (uint64_t end = now_ns() + ns; now_ns() < end;) {
        for (int i = 0; i < 16; i++) {
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#else
            __asm__ volatile("" ::: "memory");
#endif
        }
    }
}

void complain(const char *what)
{
    static const char *last;
    if (what != last) {
        fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
        last = what;
    }
}

void histogram_add(struct histogram *histogram, uint64_t ns)
{
    unsigned octave = ns < HISTOGRAM_STEPS ? 0 : 63U - (unsigned)__builtin_clzll(ns) - 4U;
    size_t cell = octave == 0 ? (size_t)ns
                              : octave * (size_t)HISTOGRAM_STEPS +
                                    ((size_t)(ns >> (octave - 1)) & (HISTOGRAM_STEPS - 1));
    histogram->cells[cell < HISTOGRAM_CELLS ? cell : HISTOGRAM_CELLS - 1]++;
    histogram->count++;
    if (ns > histogram->max) {
        histogram->max = ns;
    }
}

double histogram_at(const struct histogram *histogram, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)histogram->count);
    uint64_t sum = 0;
    for (size_t i = 0; i < HISTOGRAM_CELLS; i++) {
        sum += histogram->cells[i];
        if (sum > wanted) {
            size_t octave = i / HISTOGRAM_STEPS;
            double base = (double)(i % HISTOGRAM_STEPS) + 0.5;
            if (octave > 0) {
                base = (base + HISTOGRAM_STEPS) * (double)(UINT64_C(1) << (octave - 1));
            }
            return base / 1000;
        }
    }
    return (double)histogram->max / 1000;
}

int client_socket(const struct load *load, int type, unsigned n)
{
    int fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        complain("socket");
        return -1;
    }
    static const int on = 1;
    struct sockaddr_in from = {.sin_family = AF_INET};
    n %= load->sources;
    from.sin_addr.s_addr = htonl((127U << 24) + (1U << 16) + (n / 250 << 8) + n % 250 + 1);
    if (type == SOCK_STREAM) {
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (bind(fd, (struct sockaddr *)&from, sizeof from) != 0) {
        complain("bind");
        close(fd);
        return -1;
    }
    if (connect(fd, (const struct sockaddr *)&load->server, sizeof load->server) != 0 &&
        errno != EINPROGRESS) {
        complain("connect");
        close(fd);
        return -1;
    }
    return fd;
}

int clients_make(struct load *load)
{
    load->all = calloc((size_t)load->clients + 1, sizeof *load->all);
    if (load->all == NULL) {
        complain("memory");
        return -1;
    }
    for (unsigned n = 0; n <= load->clients; n++) {
        struct client *client = &load->all[n];
        client->fd = -1;
        client->before = client->after = n;
        if (n == load->clients) {
            break; // the last is only the ring's head
        }
        client->sent = malloc((size_t)WINDOW_MAX * (2 + QUERY_MAX));
        client->in = malloc(2 + 65535);
        client->out = malloc((size_t)WINDOW_MAX * (2 + QUERY_MAX));
        if (client->sent == NULL || client->in == NULL || client->out == NULL) {
            complain("memory");
            return -1;
        }
    }
    return 0;
}

void clients_free(struct load *load)
{
    for (unsigned n = 0; load->all != NULL && n < load->clients; n++) {
        if (load->all[n].fd >= 0) {
            close(load->all[n].fd);
        }
        free(load->all[n].sent);
        free(load->all[n].in);
        free(load->all[n].out);
    }
    free(load->all);
    load->all = NULL;
}

void ring_push(struct load *load, unsigned n)
{
    struct client *head = &load->all[load->clients];
    load->all[n].before = head->before;
    load->all[n].after = load->clients;
    load->all[head->before].after = n;
    head->before = n;
}

void ring_drop(struct load *load, unsigned n)
{
    struct client *client = &load->all[n];
    load->all[client->before].after = client->after;
    load->all[client->after].before = client->before;
    client->before = client->after = n;
}

size_t ask(struct load *load, struct client *client, unsigned slot, struct bucket *bucket,
           size_t skip)
{
    uint8_t *out = client->sent + skip;
    const struct question *question = queries_draw(&load->queries, bucket, out);
    uint16_t id = (uint16_t)((unsigned)client->generation << 6 | slot);
    out[0] = (uint8_t)(id >> 8);
    out[1] = (uint8_t)id;
    client->slots[slot] = (struct slot){
        .sent = client->since,
        .wire = out,
        .id = id,
        .question_length = (uint16_t)(question->length - 12U - load->queries.tail),
        .rcode = question->rcode,
    };
    if (load->forwarded) {
        out[2] |= 1; // RD
    }
    client->open++;
    load->tally.sent++;
    return question->length;
}

// Whether the first record is the address that the upstream makes for the name.
static bool right_record(const struct slot *slot, const uint8_t *answer, size_t length)
{
    static const uint8_t fixed[4] = {0, 1, 0, 1}; // A, IN
    size_t name_length = slot->question_length - 4U;
    size_t at = 12U + slot->question_length;
    at += at < length && answer[at] >= 0xc0 ? 2 : name_length;
    if (at + 14 > length || memcmp(answer + at, fixed, sizeof fixed) != 0 || answer[at + 8] != 0 ||
        answer[at + 9] != 4) {
        return false;
    }
    uint32_t address;
    memcpy(&address, answer + at + 10, sizeof address);
    return ntohl(address) == origin_address(slot->wire + 12, name_length - 1);
}

bool check(struct load *load, struct client *client, const uint8_t *answer, size_t length,
           uint64_t now)
{
    struct tally *tally = &load->tally;
    if (length < 12) {
        tally->late++;
        return false;
    }
    unsigned id = (unsigned)answer[0] << 8 | answer[1];
    struct slot *slot = &client->slots[id & (WINDOW_MAX - 1)];
    if (slot->sent == 0 || slot->id != id || (answer[2] & 0x80) == 0) {
        tally->late++;
        return false;
    }
    uint64_t asked = slot->sent;
    slot->sent = 0;
    client->open--;
    if (!load->echo) {
        unsigned sections = answer[6] | answer[7] | answer[8] | answer[9];
        unsigned rcode = answer[3] & 15;
        if (answer[4] != 0 || answer[5] != 1 || length < 12U + slot->question_length ||
            memcmp(answer + 12, slot->wire + 12, slot->question_length) != 0) {
            tally->bad_question++;
            return true;
        }
        if (slot->rcode != ANY_RCODE && slot->rcode != rcode) {
            tally->bad_rcode++;
            return true;
        }
        if ((answer[2] & 2) != 0) {
            tally->truncated++; // right as far as it goes
        } else if (sections == 0 && slot->rcode != ANY_RCODE) {
            tally->empty++;
            return true;
        } else if (load->forwarded && slot->rcode == 0 && !right_record(slot, answer, length)) {
            tally->bad_record++;
            return true;
        }
    }
    tally->answered++;
    if (asked > load->blind) {
        histogram_add(&tally->latency, now - asked);
    }
    return true;
}

void expire(struct load *load, struct client *client, uint64_t now)
{
    for (unsigned i = 0; i < WINDOW_MAX && client->open > 0; i++) {
        struct slot *slot = &client->slots[i];
        if (slot->sent != 0 && now > slot->sent + load->timeout) {
            slot->sent = 0;
            client->open--;
            load->tally.lost++;
        }
    }
}

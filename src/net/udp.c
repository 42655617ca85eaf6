/*
 * A batch of datagrams: recvmmsg, serve_batch, sendmmsg; then what needs fresh signatures. This is
 * where the server spends its time (3 us of a packet's 3.5, in the kernel), so all that can be is
 * set up once: headers point to their buffers for good, and nothing is allocated.
 *
 * Slots are 64 octets more than a page apart. Were they exactly a page apart, the first lines of
 * all of them, the only ones that most packets need, would compete for the same few sets of the
 * first-level cache.
 */
#include "net/udp.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "net/datagram.h"
#include "net/proxy.h"

enum {
    /*
     * Octets of a query. What we advertise by EDNS is at most this, so no client may send more, and
     * none has a reason to: a name, OPT and its options end well under 1000. The kernel writes
     * only what came, so the room costs address space and no time.
     */
    QUERY_MAX = 4096,
    /* Octets of an answer; udp_payload_max is at most this. */
    ANSWER_MAX = 4096,
    SLOT = 4096 + 64,
    /* What a short datagram takes of the socket's buffer: 256 octets of it and 512 for the kernel's
     * own. */
    WAITING_OCTETS = 768,
};

_Static_assert(SLOT >= QUERY_MAX && SLOT >= ANSWER_MAX, "a slot holds any message");

struct udp {
    struct service *service;
    struct mmsghdr in[SERVE_BATCH];
    struct mmsghdr out[SERVE_BATCH]; /* the answers to be sent, without gaps */
    struct iovec in_vector[SERVE_BATCH];
    struct iovec out_vector[SERVE_BATCH];
    struct serve_request requests[SERVE_BATCH];
    size_t slots[SERVE_BATCH]; /* of each request */
    union socket_address peers[SERVE_BATCH];
    struct datagram_control controls[SERVE_BATCH];
    _Alignas(64) uint8_t queries[SERVE_BATCH][SLOT];
    _Alignas(64) uint8_t answers[SERVE_BATCH][SLOT];
};

/* The kernel writes lengths over the room it was told of. */
static void prepare(struct udp *udp, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct msghdr *header = &udp->in[i].msg_hdr;
        header->msg_namelen = sizeof udp->peers[i];
        header->msg_controllen = sizeof udp->controls[i];
    }
}

struct udp *udp_new(struct service *service)
{
    struct udp *udp = aligned_alloc(_Alignof(struct udp), sizeof *udp);
    if (udp == NULL) {
        return NULL;
    }
    memset(udp, 0, sizeof *udp);
    udp->service = service;
    for (size_t i = 0; i < SERVE_BATCH; i++) {
        udp->in_vector[i] = (struct iovec){udp->queries[i], QUERY_MAX};
        udp->in[i].msg_hdr = (struct msghdr){
            .msg_name = &udp->peers[i],
            .msg_iov = &udp->in_vector[i],
            .msg_iovlen = 1,
            .msg_control = &udp->controls[i],
        };
    }
    prepare(udp, SERVE_BATCH);
    return udp;
}

void udp_free(struct udp *udp)
{
    free(udp);
}

/* Queries, without those that did not fit their slot. Returns how many there are. */
static size_t take_queries(struct udp *udp, size_t received, uint64_t *octets)
{
    size_t count = 0;
    for (size_t i = 0; i < received; i++) {
        const struct mmsghdr *in = &udp->in[i];
        *octets += in->msg_len;
        if ((in->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
            continue;
        }
        udp->slots[count] = i;
        udp->requests[count++] = (struct serve_request){
            .in = udp->queries[i],
            .in_size = in->msg_len,
            .peer = &udp->peers[i].any,
            .out = udp->answers[i],
            .out_size = ANSWER_MAX,
        };
    }
    return count;
}

/* Hands on what upstream is to be asked. */
static void forward_served(struct udp *udp, struct endpoint *endpoint, size_t count)
{
    struct service *service = udp->service;
    for (size_t i = 0; i < count; i++) {
        const struct serve_request *request = &udp->requests[i];
        if (request->verdict == SERVE_FORWARD) {
            proxy_take_datagram(service->proxy, serve_forwarded(service->serve, i), endpoint,
                                &udp->in[udp->slots[i]].msg_hdr);
        } else if (request->refresh) {
            proxy_refresh(service->proxy, serve_forwarded(service->serve, i));
        }
    }
    proxy_flush(service->proxy);
}

/* Headers for all answers there are. Returns their number. */
static size_t gather_answers(struct udp *udp, size_t served)
{
    size_t count = 0;
    for (size_t i = 0; i < served; i++) {
        const struct serve_request *request = &udp->requests[i];
        if (request->verdict != SERVE_SEND) {
            continue;
        }
        udp->out_vector[count] = (struct iovec){request->out, request->out_size};
        struct msghdr *header = &udp->out[count].msg_hdr;
        *header = udp->in[udp->slots[i]].msg_hdr;
        header->msg_iov = &udp->out_vector[count];
        if (header->msg_controllen != 0) {
            datagram_answer_from(header);
        }
        count++;
    }
    return count;
}

/* Datagrams that wait in the socket, about: the kernel tells the memory that they take. */
static unsigned waiting(int fd)
{
    uint32_t memory[SK_MEMINFO_VARS] = {0};
    socklen_t size = sizeof memory;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &size) != 0) {
        return 0;
    }
    return memory[SK_MEMINFO_RMEM_ALLOC] / WAITING_OCTETS;
}

/* Sends all answers there are, and counts them. begin is when their batch came. */
static void send_served(struct udp *udp, int fd, size_t count, uint64_t begin)
{
    struct counters *counters = udp->service->counters;
    uint64_t octets = 0;
    size_t answers = gather_answers(udp, count);
    size_t sent = datagrams_send(fd, udp->out, answers, &octets);
    uint64_t end = service_clock(udp->service);
    counter_add(counters, COUNTER_answers_udp, sent);
    counter_add(counters, COUNTER_bytes_sent_udp, octets);
    counter_add(counters, COUNTER_latency + counter_latency_bucket(end - begin), sent);
    if (sent < answers) {
        counter_add(counters, COUNTER_dropped_send, answers - sent);
    }
}

/* Returns how many batches' time it took. */
static unsigned serve_received(struct udp *udp, struct endpoint *endpoint, size_t received)
{
    struct service *service = udp->service;
    struct counters *counters = service->counters;
    uint64_t begin = clock_now_ns();
    uint64_t octets = 0;
    unsigned cost = 0;

    size_t count = take_queries(udp, received, &octets);
    if (count > 0) {
        struct serve_time time = service_time(begin);
        serve_batch(service->serve, service->world, udp->requests, count, NULL, time);
        send_served(udp, endpoint->fd, count, begin);
        if (service->world->settings.routes != NULL) {
            forward_served(udp, endpoint, count);
        }
        if (serve_has_later(service->serve)) {
            cost = serve_later(service->serve, service->world, udp->requests, count,
                               received == SERVE_BATCH ? waiting(endpoint->fd) : 0, time.wall);
            send_served(udp, endpoint->fd, count, begin);
        }
    }
    bool v6 = endpoint->family == AF_INET6;
    counter_add(counters, v6 ? COUNTER_queries_udp6 : COUNTER_queries_udp4, received);
    counter_add(counters, COUNTER_bytes_received_udp, octets);
    if (count < received) {
        counter_add(counters, COUNTER_dropped_truncated, received - count);
    }
    prepare(udp, received);
    return 1 + cost / SIGNATURES_A_BATCH;
}

bool udp_serve(struct udp *udp, struct endpoint *endpoint, unsigned batches)
{
    while (batches > 0) {
        unsigned taken = 1;
        int received = recvmmsg(endpoint->fd, udp->in, SERVE_BATCH, MSG_DONTWAIT, NULL);
        if (received > 0) {
            taken = serve_received(udp, endpoint, (size_t)received);
        } else if (received < 0 && errno == EINTR) {
            continue;
        }
        if (received < SERVE_BATCH) {
            return false;
        }
        batches -= taken < batches ? taken : batches;
    }
    return true;
}

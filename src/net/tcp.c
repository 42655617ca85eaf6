/*
 * Who may stay, and for how long. Every connection stands in one of two lists, idle (nothing is
 * under way) or busy, in the order of its last progress. All have the same patience, so the heads
 * of the lists are the next to lose it, and one timer a worker looks at no more than those. The
 * head of the idle list is also the one to go where a new client finds no room; the idle
 * ones are listed by client address besides, since an address that is at its own limit makes
 * room among its own. All of this takes the same few steps with ten connections and with a
 * hundred thousand.
 *
 * What counts as progress decides who can hold a place: a query that is complete, the first octet
 * of the next one, an answer's octets taken by the client. The octets in between do not, so a
 * message that trickles in has one patience from its beginning.
 */
#include "net/tcp.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/client.h"

enum {
    /* Connections whose patience ended, closed in one turn (3 us each); the rest in the next. */
    EXPIRE_TURN = 256,
};

static const uint64_t MILLISECOND = 1000000;

/* ---- Lists ---- */

static struct client_list *neighbourhood(struct client *client)
{
    return &client->tcp->neighbourhoods[client->cell % TCP_NEIGHBOURHOODS];
}

static void unlist(struct client *client)
{
    if (client->idle) {
        TAILQ_REMOVE(neighbourhood(client), client, neighbours);
        TAILQ_REMOVE(&client->tcp->idle, client, timeline);
    } else {
        TAILQ_REMOVE(&client->tcp->busy, client, timeline);
    }
}

/* At the end of its list: its progress is the latest. */
static void list(struct client *client)
{
    client->idle = client_is_idle(client);
    if (client->idle) {
        TAILQ_INSERT_TAIL(neighbourhood(client), client, neighbours);
        TAILQ_INSERT_TAIL(&client->tcp->idle, client, timeline);
    } else {
        TAILQ_INSERT_TAIL(&client->tcp->busy, client, timeline);
    }
}

/* The one that has been idle the longest, of a client address or (LIMITS_FULL) of all; or NULL. */
static struct client *oldest_idle(struct tcp *tcp, enum limits_answer full, uint32_t cell)
{
    gather_serve(tcp); /* who has asked is not idle */
    struct client *client = TAILQ_FIRST(&tcp->idle);
    if (full == LIMITS_ADDRESS_FULL) {
        client = TAILQ_FIRST(&tcp->neighbourhoods[cell % TCP_NEIGHBOURHOODS]);
        while (client != NULL && client->cell != cell) {
            client = TAILQ_NEXT(client, neighbours);
        }
    }
    return client;
}

/* ---- Patience ---- */

static uint64_t patience(const struct tcp *tcp)
{
    return limits_get(&tcp->limits->idle_ms) * MILLISECOND;
}

/* Sets the timer for the next connection that may lose its patience. */
static void arm(struct tcp *tcp, uint64_t now)
{
    const struct client *first = TAILQ_FIRST(&tcp->idle);
    const struct client *busy = TAILQ_FIRST(&tcp->busy);
    if (first == NULL || (busy != NULL && busy->since < first->since)) {
        first = busy;
    }
    if (first == NULL) {
        return;
    }
    uint64_t end = first->since + patience(tcp);
    uint64_t us = end > now ? (end - now) / 1000 : 0;
    us += 1000; /* the loop's clock is a little behind ours */
    struct timeval wait = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    evtimer_add(tcp->timer, &wait);
}

/* Takes the connection out of our books; its descriptor, event and memory remain. */
static void retire(struct client *client)
{
    struct tcp *tcp = client->tcp;
    unlist(client);
    tcp->clients--;
}

/* Counted before it is closed: who sees the end finds it in the counters. */
static void end(struct client *client, enum counter why)
{
    struct tcp *tcp = client->tcp;
    if (client->gathered) {
        gather_forget(client);
    }
    retire(client);
    proxy_forget(tcp->service->proxy, &client->waiters);
    limits_leave(tcp->limits, client->cell);
    counter_add(tcp->service->counters, COUNTER_tcp_closed, 1);
    if (why != COUNTER_tcp_closed) {
        counter_add(tcp->service->counters, why, 1);
    }
    client_free(client);
}

/* It is not the client who makes us wait, but upstream; and that not for long. */
static bool owed_an_answer(const struct client *client)
{
    return client->waiting > 0 && client->unsent.data == NULL;
}

static void expire(struct tcp *tcp)
{
    struct client_list *lists[] = {&tcp->idle, &tcp->busy};
    uint64_t limit = patience(tcp);
    unsigned looked_at = 0;
    gather_serve(tcp);
    uint64_t now = clock_now_ns(); /* not before the clients it served */
    for (size_t i = 0; i < 2; i++) {
        struct client *client;
        while ((client = TAILQ_FIRST(lists[i])) != NULL && now - client->since >= limit &&
               looked_at++ < EXPIRE_TURN) {
            if (owed_an_answer(client)) {
                unlist(client);
                client->since = now;
                list(client);
            } else {
                end(client, COUNTER_tcp_idle);
            }
        }
    }
    arm(tcp, now);
}

static void timer_fired(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    expire(context);
}

/* ---- Connections ---- */

static bool nothing_waits(const struct client *client)
{
    uint8_t octet;
    return recv(client->fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}

/* From here on the loop watches it, if it is there. */
void tcp_client_settle(struct client *client, bool open, uint64_t now)
{
    struct tcp *tcp = client->tcp;
    bool idle = client_is_idle(client);
    bool done = !open || (tcp->draining && idle && nothing_waits(client));
    if (done || client_watch(client) != 0) {
        end(client, COUNTER_tcp_closed);
    } else if (client->since == now || client->idle != idle) {
        unlist(client);
        list(client);
    }
}

static void proceed(struct client *client, uint64_t now)
{
    tcp_client_settle(client, client_ready(client, now), now);
}

void tcp_client_ready(evutil_socket_t fd, short what, void *context)
{
    struct client *client = context;
    (void)fd;
    (void)what;
    proceed(client, service_now(client->tcp->service));
}

/* Takes a connection that is within the limits into our books. The caller settles it. */
static void begin(struct tcp *tcp, struct client *client, uint64_t now)
{
    client->tcp = tcp;
    client->since = now;
    tcp->clients++;
    list(client);
    if (!evtimer_pending(tcp->timer, NULL)) {
        arm(tcp, now);
    }
}

/* A place within the limits, made free by closing an idle connection where need be. */
static bool make_room(struct tcp *tcp, uint32_t cell)
{
    enum limits_answer answer = limits_enter(tcp->limits, cell);
    if (answer == LIMITS_ADMITTED) {
        return true;
    }
    struct client *oldest = oldest_idle(tcp, answer, cell);
    if (oldest == NULL) {
        return false;
    }
    end(oldest, COUNTER_tcp_evicted);
    return limits_enter(tcp->limits, cell) == LIMITS_ADMITTED;
}

static void admit(struct tcp *tcp, int fd, const union socket_address *peer)
{
    struct counters *counters = tcp->service->counters;
    counter_add(counters, COUNTER_tcp_accepted, 1);
    uint32_t cell = limits_cell(tcp->limits, &peer->any);
    if (make_room(tcp, cell)) {
        struct client *client = client_new(fd, peer, cell);
        if (client != NULL) {
            uint64_t now = service_now(tcp->service);
            begin(tcp, client, now);
            proceed(client, now); /* the first query mostly came right behind the handshake */
            return;
        }
        limits_leave(tcp->limits, cell);
    }
    counter_add(counters, COUNTER_tcp_refused, 1);
    counter_add(counters, COUNTER_tcp_closed, 1);
    close(fd);
}

/*
 * How many connections wait at a listening socket. An accept4() that finds none costs 4.5 us, since
 * the kernel makes a socket and a file before it looks; to ask costs 0.3 us.
 */
static unsigned waiting_at(int fd)
{
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? info.tcpi_unacked : 0;
}

bool tcp_accept(struct tcp *tcp, const struct endpoint *endpoint, unsigned most)
{
    unsigned waiting = 1; /* not asked: the loop has told, or it is a listener's last time */
    for (unsigned i = 0; i < most; i++, waiting--) {
        if (waiting == 0 && (waiting = waiting_at(endpoint->fd)) == 0) {
            break;
        }
        union socket_address peer;
        socklen_t size = sizeof peer;
        int fd = accept4(endpoint->fd, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            admit(tcp, fd, &peer);
            continue;
        }
        if (errno == EAGAIN) {
            break;
        }
        counter_add(tcp->service->counters, COUNTER_accept_failed, 1);
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            struct client *oldest = oldest_idle(tcp, LIMITS_FULL, 0);
            if (oldest != NULL) {
                end(oldest, COUNTER_tcp_evicted);
            }
            return false;
        }
        /* Else it was an error of that one connection, and it is gone. */
    }
    return true;
}

/* ---- All of them ---- */

struct tcp *tcp_new(struct service *service, struct limits *limits)
{
    struct tcp *tcp = calloc(1, sizeof *tcp);
    if (tcp == NULL) {
        return NULL;
    }
    tcp->service = service;
    tcp->limits = limits;
    TAILQ_INIT(&tcp->idle);
    TAILQ_INIT(&tcp->busy);
    for (size_t i = 0; i < TCP_NEIGHBOURHOODS; i++) {
        TAILQ_INIT(&tcp->neighbourhoods[i]);
    }
    tcp->in = (struct buffer){.data = malloc(CLIENT_IN), .size = CLIENT_IN};
    tcp->out = (struct serve_stream){.data = malloc(CLIENT_OUT), .size = CLIENT_OUT};
    tcp->timer = evtimer_new(service->base, timer_fired, tcp);
    if (tcp->in.data == NULL || tcp->out.data == NULL || tcp->timer == NULL) {
        tcp_free(tcp);
        return NULL;
    }
    return tcp;
}

static struct client *any(const struct tcp *tcp)
{
    struct client *client = TAILQ_FIRST(&tcp->idle);
    return client != NULL ? client : TAILQ_FIRST(&tcp->busy);
}

void tcp_free(struct tcp *tcp)
{
    if (tcp == NULL) {
        return;
    }
    struct client *client;
    while ((client = any(tcp)) != NULL) {
        end(client, COUNTER_tcp_closed);
    }
    if (tcp->timer != NULL) {
        event_free(tcp->timer);
    }
    free(tcp->in.data);
    free(tcp->out.data);
    free(tcp);
}

void tcp_leave(struct tcp *tcp)
{
    struct client_list *lists[] = {&tcp->idle, &tcp->busy};
    gather_serve(tcp);
    tcp->leaving = true;
    for (size_t i = 0; i < 2; i++) {
        struct client *client;
        TAILQ_FOREACH(client, lists[i], timeline) {
            client_watch(client);
        }
    }
}

void tcp_take(struct tcp *tcp, struct client_list *clients)
{
    struct client *client;
    gather_serve(tcp);
    while ((client = any(tcp)) != NULL) {
        client_unwatch(client);
        retire(client);
        TAILQ_INSERT_TAIL(clients, client, timeline);
    }
}

/* What waits on them is read at once: in a drain, those that have nothing under way end here. */
void tcp_give(struct tcp *tcp, struct client_list *clients)
{
    uint64_t now = clock_now_ns();
    struct client *client;
    while ((client = TAILQ_FIRST(clients)) != NULL) {
        TAILQ_REMOVE(clients, client, timeline);
        begin(tcp, client, now);
        if (client->state == CLIENT_READING && client->held.data != NULL) {
            client->state = CLIENT_WRITING; /* there may be queries among it, for their turn */
        }
        proceed(client, now);
    }
}

void tcp_finish_turn(struct tcp *tcp)
{
    gather_serve(tcp);
}

void tcp_limits_changed(struct tcp *tcp)
{
    event_del(tcp->timer);
    expire(tcp);
}

void tcp_drain(struct tcp *tcp)
{
    struct client_list clients = TAILQ_HEAD_INITIALIZER(clients);
    tcp->draining = true;
    tcp_take(tcp, &clients);
    tcp_give(tcp, &clients);
}

size_t tcp_count(const struct tcp *tcp)
{
    return tcp->clients;
}

/*
 * Handlers may do anything, closing the server under our feet included. So every callback holds its
 * connection while it runs; a connection that fails is dead at once, its memory though is freed
 * when it is held no more; and after each handler nothing is taken for granted but that.
 *
 * A connection's one timer stands for its next deadline. Deadlines mostly move away while things go
 * well, so it is not set anew with each message; when it fires, it looks at what is really due.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "dns/wire.h"
#include "net/tls.h"
#include "net/upstream_own.h"

enum { STRANGERS_MAX = 64 }; /* messages in a row that nobody asked for */

static const uint64_t MILLISECOND = 1000000;
static const uint64_t ESTABLISH = 5000 * MILLISECOND;
static const uint64_t IDLE = 10000 * MILLISECOND;
static const uint64_t SILENCE = 2000 * MILLISECOND;
static const uint64_t LOG_PAUSE = 10000 * MILLISECOND; /* between lines about one server */
static const uint64_t NEVER = UINT64_MAX;

/* ---- The end of a connection ---- */

/* Gives back what it has but its memory. libevent keeps a bufferevent, and what a handler is
 * looking at in its input, until the callback is over. */
static void connection_shut(struct connection *connection)
{
    if (connection->buffers != NULL && connection->lane->trust != NULL) {
        tls_close(connection->buffers);
    } else if (connection->buffers != NULL) {
        bufferevent_free(connection->buffers);
    }
    if (connection->connected != NULL) {
        event_free(connection->connected);
    }
    if (connection->timer != NULL) {
        event_free(connection->timer);
    }
    if (connection->waiting != NULL) {
        evbuffer_free(connection->waiting);
    }
    if (connection->fd >= 0) {
        close(connection->fd);
    }
    upstream_lane_leave(connection->peer, connection->lane);
    connection->lane = NULL;
    connection->state = DEAD;
}

static void connection_hold(struct connection *connection)
{
    connection->held++;
}

static void connection_release(struct connection *connection)
{
    if (--connection->held == 0 && connection->state == DEAD) {
        free(connection);
    }
}

/*
 * Questions are taken off one at a time, since while one is told of, others may be forgotten, or
 * this be entered again by upstream_stream_close, which then tells the rest. The one in hand is
 * left to whom has it there.
 */
void upstream_connection_fail(struct connection *connection, enum upstream_error error)
{
    const struct upstream_stream_handler *handler = &connection->streams->handler;
    struct question *question;
    connection_hold(connection);
    if (connection->state != DEAD) {
        connection_shut(connection);
    }
    if (connection->in_hand != NULL) {
        upstream_question_unlink(connection->in_hand);
        connection->in_hand = NULL;
    }
    while ((question = upstream_question_take(connection)) != NULL) {
        uint64_t token = question->token;
        free(question);
        handler->failed(handler->context, token, error);
    }
    upstream_questions_drop(connection);
    if (connection->peer != NULL) {
        TAILQ_REMOVE(&connection->peer->connections, connection, entry);
        connection->peer = NULL;
    }
    connection_release(connection);
}

struct evbuffer *upstream_connection_output(const struct connection *connection)
{
    return connection->state == OPEN ? bufferevent_get_output(connection->buffers)
                                     : connection->waiting;
}

/* ---- What the operator should know ---- */

/* Of all workers: when a line was last written about the server with a slot. */
static _Atomic uint64_t told_at[ROUTES_SERVERS_MAX];

static void tell_tls_failure(const struct upstream *upstream, const char *reason)
{
    _Atomic uint64_t *told = &told_at[upstream->server.slot % ROUTES_SERVERS_MAX];
    uint64_t now = clock_now_ns();
    uint64_t last = atomic_load_explicit(told, memory_order_relaxed);
    if ((last == 0 || now - last >= LOG_PAUSE) &&
        atomic_compare_exchange_strong_explicit(told, &last, now, memory_order_relaxed,
                                                memory_order_relaxed)) {
        log_warning("upstream %s: TLS: %s", upstream->server.text, reason);
    }
}

/* ---- Deadlines ---- */

/* When something is to be done about the connection if nothing happens before. */
static uint64_t due(const struct connection *connection)
{
    if (connection->state != OPEN) {
        return connection->since + ESTABLISH;
    }
    if (connection->questions == 0) {
        return connection->since + IDLE;
    }
    if (connection->questions == UPSTREAM_QUESTIONS_MAX &&
        connection->forgotten == UPSTREAM_QUESTIONS_MAX) {
        return 0; /* good for nothing any more */
    }
    return connection->forgotten > 0 ? connection->since + SILENCE : NEVER;
}

/* Sees to it that the timer fires at the next deadline, or before. */
void upstream_connection_watch(struct connection *connection, uint64_t now)
{
    uint64_t deadline = due(connection);
    if (deadline >= connection->deadline) {
        return;
    }
    uint64_t us = deadline > now ? (deadline - now) / 1000 + 1 : 0;
    struct timeval wait = {(time_t)(us / 1000000), (suseconds_t)(us % 1000000)};
    if (evtimer_add(connection->timer, &wait) == 0) {
        connection->deadline = deadline;
    }
}

static void timer_fired(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    uint64_t now = clock_now_ns();
    connection->deadline = NEVER;
    if (now < due(connection)) {
        upstream_connection_watch(connection, now);
    } else if (connection->state == HANDSHAKE) {
        tell_tls_failure(connection->peer->upstream, "no end of the handshake in time");
        upstream_connection_fail(connection, UPSTREAM_TLS_FAILED);
    } else {
        upstream_connection_fail(connection, UPSTREAM_TIMEOUT);
    }
}

/* ---- What comes ---- */

/* A message with the ID of a question came. */
static void answered(struct connection *connection, struct question *question, const uint8_t *data,
                     size_t size)
{
    const struct upstream_stream_handler *handler = &connection->streams->handler;
    uint64_t token = question->token;
    bool reply = true;
    if (!question->forgotten) {
        connection->in_hand = question;
        reply = handler->replied(handler->context, token, data, size);
        if (connection->state == DEAD) { /* closed in the handler: the question is ours alone */
            bool lost = !reply && !question->forgotten;
            free(question);
            if (lost) {
                handler->failed(handler->context, token, UPSTREAM_NO_ERROR);
            }
            return;
        }
        connection->in_hand = NULL;
    }
    if (reply) {
        upstream_question_unlink(question);
        free(question);
        connection->answered = true;
        connection->strangers = 0;
        connection->since = connection->now;
    }
}

/* False: the connection is of no use any more. */
static bool take_message(struct connection *connection, const uint8_t *data, size_t size)
{
    struct question *question = upstream_question_of_id(connection, wire_get_u16(data));
    if (question != NULL) {
        answered(connection, question, data, size);
        return true;
    }
    upstream_count(&connection->peer->upstream->counts->rejected);
    return ++connection->strangers < STRANGERS_MAX;
}

/* The messages that are complete. What is left is less than one, so the input stays below 64 KB and
 * what one reading brings; an incomplete one is not copied, whatever pieces it comes in. */
static void take_input(struct connection *connection, struct evbuffer *input)
{
    while (connection->state != DEAD) {
        uint8_t length[2];
        if (evbuffer_copyout(input, length, 2) != 2) {
            return;
        }
        size_t size = wire_get_u16(length);
        if (size >= UPSTREAM_HEADER && evbuffer_get_length(input) < 2 + size) {
            return;
        }
        const uint8_t *data =
            size >= UPSTREAM_HEADER ? evbuffer_pullup(input, (ev_ssize_t)(2 + size)) : NULL;
        if (data == NULL || !take_message(connection, data + 2, size)) {
            upstream_connection_fail(connection, UPSTREAM_MALFORMED);
        } else if (connection->state != DEAD) {
            evbuffer_drain(input, 2 + size);
        }
    }
}

static void readable(struct bufferevent *buffers, void *context)
{
    struct connection *connection = context;
    connection_hold(connection);
    connection->now = clock_now_ns();
    take_input(connection, bufferevent_get_input(buffers));
    if (connection->state != DEAD) {
        upstream_connection_watch(connection, connection->now);
    }
    connection_release(connection);
}

/* ---- What happens ---- */

static void opened(struct connection *connection)
{
    connection->state = OPEN;
    connection->since = clock_now_ns();
    bool full = bufferevent_write_buffer(connection->buffers, connection->waiting) != 0;
    evbuffer_free(connection->waiting);
    connection->waiting = NULL;
    if (full || bufferevent_enable(connection->buffers, EV_READ | EV_WRITE) != 0) {
        upstream_connection_fail(connection, UPSTREAM_UNREACHABLE);
    } else {
        upstream_connection_watch(connection, connection->since);
    }
}

/* The connection failed, or the server ended it. */
static void ended(struct connection *connection)
{
    const char *reason = connection->lane->trust != NULL ? tls_failure(connection->buffers) : NULL;
    if (connection->state == HANDSHAKE) {
        tls_session_clear(connection->lane->session); /* it may be what the server dislikes */
        if (reason == NULL) {
            reason = "the connection ended in the handshake";
        }
    }
    if (reason != NULL) {
        tell_tls_failure(connection->peer->upstream, reason);
        upstream_connection_fail(connection, UPSTREAM_TLS_FAILED);
    } else {
        /* A server that closes with questions unread in its socket resets the connection: that is
         * no other case than an end in order. */
        upstream_connection_fail(connection,
                                 connection->answered ? UPSTREAM_NO_ERROR : UPSTREAM_UNREACHABLE);
    }
}

static void happened(struct bufferevent *buffers, short what, void *context)
{
    (void)buffers;
    struct connection *connection = context;
    connection_hold(connection);
    if (what & BEV_EVENT_CONNECTED) {
        opened(connection);
    } else {
        ended(connection);
    }
    connection_release(connection);
}

/* TCP has connected. */
static int establish(struct connection *connection)
{
    const struct upstream_server *server = &connection->peer->upstream->server;
    const struct lane *lane = connection->lane;
    struct event_base *base = connection->streams->base;
    if (lane->trust != NULL) {
        int error = tls_connect(lane->trust, lane->session, base, connection->fd, server->tls_name,
                                (const struct sockaddr *)&server->address, &connection->buffers);
        if (error != 0) {
            return error;
        }
    } else {
        connection->buffers = bufferevent_socket_new(base, connection->fd, BEV_OPT_CLOSE_ON_FREE);
        if (connection->buffers == NULL) {
            return RR_ENOMEM;
        }
    }
    connection->fd = -1;
    bufferevent_setcb(connection->buffers, readable, NULL, happened, connection);
    if (lane->trust != NULL) {
        connection->state = HANDSHAKE;
    } else {
        opened(connection);
    }
    return 0;
}

static void connected(evutil_socket_t fd, short what, void *context)
{
    (void)what;
    struct connection *connection = context;
    int error = 0;
    socklen_t size = sizeof error;
    connection_hold(connection);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        upstream_connection_fail(connection, UPSTREAM_UNREACHABLE);
    } else if ((error = establish(connection)) != 0) {
        if (connection->lane->trust != NULL) {
            tell_tls_failure(connection->peer->upstream, rr_strerror(error));
        }
        upstream_connection_fail(connection, connection->lane->trust != NULL
                                                 ? UPSTREAM_TLS_FAILED
                                                 : UPSTREAM_UNREACHABLE);
    }
    connection_release(connection);
}

/* ---- A new connection ---- */

static int begin_connect(const struct upstream_server *server, int *out)
{
    const struct sockaddr *address = (const struct sockaddr *)&server->address;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return RR_EIO;
    }
    /* Without it a question could wait for the acknowledgement of the one before. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    if (connect(fd, address, server->address_size) != 0 && errno != EINPROGRESS) {
        int error = errno;
        close(fd);
        errno = error;
        return RR_EIO;
    }
    *out = fd;
    return 0;
}

int upstream_connection_open(struct upstream_streams *streams, struct peer *peer, struct lane *lane,
                             struct connection **out)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return RR_ENOMEM;
    }
    connection->streams = streams;
    connection->peer = peer;
    connection->lane = lane;
    connection->since = clock_now_ns();
    connection->deadline = NEVER;
    connection->fd = -1;
    TAILQ_INIT(&connection->line);
    TAILQ_INSERT_TAIL(&peer->connections, connection, entry);
    lane->connections++;
    int error = begin_connect(&peer->upstream->server, &connection->fd);
    if (error == 0) {
        connection->connected =
            event_new(streams->base, connection->fd, EV_WRITE, connected, connection);
        connection->timer = evtimer_new(streams->base, timer_fired, connection);
        connection->waiting = evbuffer_new();
        if (connection->connected == NULL || connection->timer == NULL ||
            connection->waiting == NULL || event_add(connection->connected, NULL) != 0) {
            error = RR_ENOMEM;
        }
    }
    if (error != 0) {
        /* Nothing was asked: nobody is told. */
        upstream_connection_fail(connection, UPSTREAM_NO_ERROR);
        return error;
    }
    upstream_count(&peer->upstream->counts->connections);
    upstream_connection_watch(connection, connection->since);
    *out = connection;
    return 0;
}

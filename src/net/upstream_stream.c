/*
 * A server has lanes: one without TLS, one for each trust it is asked with. A connection belongs to
 * a lane, and what was verified with one trust is never used by who has another. A lane has a
 * reference to its trust, so no other can come to be at the same address.
 */
#include "net/upstream_stream.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "dns/wire.h"
#include "net/tls.h"
#include "net/upstream_own.h"

enum {
    CONNECTIONS_MAX = 4,     /* a lane */
    CROWDED = 64,            /* questions on a connection, from which on another one is opened */
    OUTPUT_MAX = 256 * 1024, /* octets of a connection that the server does not take */
};

/* ---- Questions ---- */

/* Random, and not in use on the connection. One in sixteen draws is in vain at most. */
static int draw_id(struct upstream_streams *streams, struct connection *connection, uint16_t *id)
{
    do {
        if (streams->random_left < 2) {
            if (getrandom(streams->random, sizeof streams->random, 0) !=
                (ssize_t)sizeof streams->random) {
                return RR_EIO;
            }
            streams->random_left = sizeof streams->random;
        }
        streams->random_left -= 2;
        *id = wire_get_u16(streams->random + streams->random_left);
    } while (upstream_question_of_id(connection, *id) != NULL);
    return 0;
}

/* ---- Servers and lanes ---- */

static struct peer *peer_of(struct upstream *upstream)
{
    struct peer *peer = upstream->streams;
    if (peer == NULL && (peer = calloc(1, sizeof *peer)) != NULL) {
        peer->upstream = upstream;
        SLIST_INIT(&peer->lanes);
        TAILQ_INIT(&peer->connections);
        upstream->streams = peer;
    }
    return peer;
}

static void lane_free(struct peer *peer, struct lane *lane)
{
    SLIST_REMOVE(&peer->lanes, lane, lane, entry);
    tls_trust_unref(lane->trust);
    tls_session_free(lane->session);
    free(lane);
}

/*
 * Lanes of what nobody trusts any more would stay for ever, so only the newest one stays without a
 * connection, for its session's sake. Another that is needed again has only lost that.
 */
void upstream_lane_leave(struct peer *peer, struct lane *lane)
{
    if (--lane->connections == 0 && lane != SLIST_FIRST(&peer->lanes)) {
        lane_free(peer, lane);
    }
}

static struct lane *new_lane(struct peer *peer, struct tls_trust *trust)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL || (trust != NULL && (lane->session = tls_session_new()) == NULL)) {
        free(lane);
        return NULL;
    }
    lane->trust = trust != NULL ? tls_trust_ref(trust) : NULL;
    struct lane *newest = SLIST_FIRST(&peer->lanes);
    if (newest != NULL && newest->connections == 0) {
        lane_free(peer, newest);
    }
    SLIST_INSERT_HEAD(&peer->lanes, lane, entry);
    return lane;
}

static struct lane *lane_of(struct peer *peer, struct tls_trust *trust)
{
    struct lane *lane;
    for (lane = SLIST_FIRST(&peer->lanes); lane != NULL; lane = SLIST_NEXT(lane, entry)) {
        if (lane->trust == trust) {
            return lane;
        }
    }
    return new_lane(peer, trust);
}

/* ---- Sending ---- */

/*
 * The first connection that is not crowded, the oldest: the others get idle and are closed. Where
 * all are crowded, a new one, or else the one with the least to do.
 */
static int choose(struct upstream_streams *streams, struct peer *peer, struct lane *lane,
                  size_t size, struct connection **out)
{
    struct connection *least = NULL;
    struct connection *connection;
    for (connection = TAILQ_FIRST(&peer->connections); connection != NULL;
         connection = TAILQ_NEXT(connection, entry)) {
        if (connection->lane == lane && connection->questions < UPSTREAM_QUESTIONS_MAX &&
            evbuffer_get_length(upstream_connection_output(connection)) + 2 + size <= OUTPUT_MAX &&
            (least == NULL || connection->questions < least->questions)) {
            least = connection;
            if (least->questions < CROWDED) {
                break;
            }
        }
    }
    int error = least != NULL ? 0 : RR_ELIMIT;
    if (lane->connections < CONNECTIONS_MAX && (least == NULL || least->questions >= CROWDED)) {
        error = upstream_connection_open(streams, peer, lane, out);
        if (error == 0 || least == NULL) {
            return error;
        }
    }
    *out = least;
    return least != NULL ? 0 : error;
}

/* Length and message, as one piece: the server may be one that takes a segment for a message. */
static int put(struct evbuffer *out, const uint8_t *data, size_t size)
{
    struct evbuffer_iovec room;
    if (evbuffer_reserve_space(out, (ev_ssize_t)(2 + size), &room, 1) != 1) {
        return RR_ENOMEM;
    }
    wire_put_u16(room.iov_base, (uint16_t)size);
    memcpy((uint8_t *)room.iov_base + 2, data, size);
    room.iov_len = 2 + size;
    return evbuffer_commit_space(out, &room, 1) == 0 ? 0 : RR_ENOMEM;
}

static int ask(struct connection *connection, uint8_t *data, size_t size, uint64_t token)
{
    struct question *question = calloc(1, sizeof *question);
    if (question == NULL) {
        return RR_ENOMEM;
    }
    int error = draw_id(connection->streams, connection, &question->id);
    if (error == 0) {
        wire_put_u16(data, question->id);
        error = put(upstream_connection_output(connection), data, size);
    }
    if (error != 0) {
        free(question);
        return error;
    }
    if (connection->state == OPEN && connection->questions == 0) {
        connection->since = clock_now_ns();
    }
    question->token = token;
    upstream_question_link(question, connection);
    return 0;
}

int upstream_stream_send(struct upstream_streams *streams, struct upstream *upstream,
                         struct tls_trust *trust, uint8_t *data, size_t size, uint64_t token)
{
    if (size < UPSTREAM_HEADER || size > UINT16_MAX) {
        return RR_EINVAL;
    }
    struct peer *peer = peer_of(upstream);
    if (peer == NULL) {
        return RR_ENOMEM;
    }
    if (peer->closing) {
        return RR_EIO;
    }
    struct lane *lane = lane_of(peer, trust);
    if (lane == NULL) {
        return RR_ENOMEM;
    }
    struct connection *connection;
    int error = choose(streams, peer, lane, size, &connection);
    return error != 0 ? error : ask(connection, data, size, token);
}

void upstream_stream_forget(struct upstream_streams *streams, struct upstream *upstream,
                            uint64_t token)
{
    (void)streams;
    struct peer *peer = upstream->streams;
    struct question *question = peer != NULL ? upstream_question_of_token(peer, token) : NULL;
    if (question == NULL) {
        return;
    }
    upstream_question_forget(question);
    if (question->connection->state != DEAD) {
        upstream_connection_watch(question->connection, clock_now_ns());
    }
}

void upstream_stream_close(struct upstream_streams *streams, struct upstream *upstream)
{
    (void)streams;
    struct peer *peer = upstream->streams;
    struct connection *connection;
    struct lane *lane;
    if (peer == NULL || peer->closing) {
        return;
    }
    peer->closing = true;
    while ((connection = TAILQ_FIRST(&peer->connections)) != NULL) {
        upstream_connection_fail(connection, UPSTREAM_NO_ERROR);
    }
    while ((lane = SLIST_FIRST(&peer->lanes)) != NULL) {
        lane_free(peer, lane);
    }
    upstream->streams = NULL;
    free(peer);
}

/* ---- All of a worker ---- */

struct upstream_streams *upstream_streams_new(struct event_base *base,
                                              const struct upstream_stream_handler *handler)
{
    struct upstream_streams *streams = calloc(1, sizeof *streams);
    if (streams != NULL) {
        streams->base = base;
        streams->handler = *handler;
    }
    return streams;
}

void upstream_streams_free(struct upstream_streams *streams)
{
    free(streams);
}

/*
 * A server has lanes: one without TLS, one for each file of certificates it is asked with. A
 * connection belongs to a lane, and what was verified with one file is never used by who trusts
 * another.
 */
#include "net/upstream_stream.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "dns/wire.h"
#include "net/tls.h"
#include "net/upstream_own.h"

enum {
    CONNECTIONS_MAX = 4,     /* a lane */
    CROWDED = 64,            /* questions on a connection, from which on another one is opened */
    OUTPUT_MAX = 256 * 1024, /* octets of a connection that the server does not take */
};

static const uint64_t TRUST_PAUSE = 10000000000; /* between tries to read a file */

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

/* ---- Servers, lanes and trust ---- */

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

static bool same_file(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void trust_free(struct trust *trust)
{
    tls_trust_free(trust->tls);
    free(trust->file);
    free(trust);
}

static struct trust *trust_of(struct upstream_streams *streams, const char *file)
{
    struct trust *trust;
    for (trust = SLIST_FIRST(&streams->trusts); trust != NULL; trust = SLIST_NEXT(trust, entry)) {
        if (same_file(trust->file, file)) {
            return trust;
        }
    }
    trust = calloc(1, sizeof *trust);
    if (trust == NULL || (file != NULL && (trust->file = strdup(file)) == NULL)) {
        free(trust);
        return NULL;
    }
    trust->stale = true;
    SLIST_INSERT_HEAD(&streams->trusts, trust, entry);
    return trust;
}

/* Reads the file where it has to be. What was read before stays in use where it can't be read. */
static int trust_read(struct trust *trust)
{
    uint64_t now;
    if (!trust->stale || (now = clock_now_ns()) < trust->retry_at) {
        return trust->tls != NULL ? 0 : RR_EIO;
    }
    struct tls_trust *tls;
    int error = tls_trust_open(trust->file, &tls);
    if (error == 0) {
        tls_trust_free(trust->tls);
        trust->tls = tls;
        trust->stale = false;
        return 0;
    }
    trust->retry_at = now + TRUST_PAUSE;
    log_warning("%s: no certificates to trust can be read from it: %s",
                trust->file != NULL ? trust->file : "the system's certificates",
                rr_strerror(error));
    return trust->tls != NULL ? 0 : error;
}

static void lane_free(struct lane *lane)
{
    if (lane->trust != NULL) {
        lane->trust->lanes--;
        tls_session_free(lane->session);
    }
    free(lane);
}

/* Lanes of files that the configuration names no more would stay for ever. One that is needed again
 * has only lost its session. */
static void free_idle_lanes(struct peer *peer)
{
    struct lane *lane = SLIST_FIRST(&peer->lanes);
    while (lane != NULL) {
        struct lane *next = SLIST_NEXT(lane, entry);
        if (lane->connections == 0) {
            SLIST_REMOVE(&peer->lanes, lane, lane, entry);
            lane_free(lane);
        }
        lane = next;
    }
}

static int lane_of(struct upstream_streams *streams, struct peer *peer, bool tls, const char *ca,
                   struct lane **out)
{
    struct lane *lane;
    for (lane = SLIST_FIRST(&peer->lanes); lane != NULL; lane = SLIST_NEXT(lane, entry)) {
        if (tls ? lane->trust != NULL && same_file(lane->trust->file, ca) : lane->trust == NULL) {
            *out = lane;
            return 0;
        }
    }
    free_idle_lanes(peer);
    lane = calloc(1, sizeof *lane);
    if (lane == NULL || (tls && ((lane->trust = trust_of(streams, ca)) == NULL ||
                                 (lane->session = tls_session_new()) == NULL))) {
        free(lane);
        return RR_ENOMEM;
    }
    if (tls) {
        lane->trust->lanes++;
    }
    SLIST_INSERT_HEAD(&peer->lanes, lane, entry);
    *out = lane;
    return 0;
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
        error = lane->trust != NULL ? trust_read(lane->trust) : 0;
        if (error == 0) {
            error = upstream_connection_open(streams, peer, lane, out);
        }
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

int upstream_stream_send(struct upstream_streams *streams, struct upstream *upstream, bool tls,
                         const char *ca, uint8_t *data, size_t size, uint64_t token)
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
    struct lane *lane;
    struct connection *connection;
    int error = lane_of(streams, peer, tls, ca, &lane);
    if (error == 0) {
        error = choose(streams, peer, lane, size, &connection);
    }
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
        SLIST_REMOVE_HEAD(&peer->lanes, entry);
        lane_free(lane);
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
        SLIST_INIT(&streams->trusts);
    }
    return streams;
}

void upstream_streams_reread(struct upstream_streams *streams)
{
    struct trust *trust = SLIST_FIRST(&streams->trusts);
    while (trust != NULL) {
        struct trust *next = SLIST_NEXT(trust, entry);
        trust->stale = true;
        trust->retry_at = 0;
        if (trust->lanes == 0) {
            SLIST_REMOVE(&streams->trusts, trust, trust, entry);
            trust_free(trust);
        }
        trust = next;
    }
}

void upstream_streams_free(struct upstream_streams *streams)
{
    struct trust *trust;
    while ((trust = SLIST_FIRST(&streams->trusts)) != NULL) {
        SLIST_REMOVE_HEAD(&streams->trusts, entry);
        trust_free(trust);
    }
    free(streams);
}

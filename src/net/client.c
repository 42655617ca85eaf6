/*
 * The life of a connection's octets: read all there is, serve the messages that are complete in
 * batches, each batch's answers with one write, come back for more. While answers can't be written
 * nothing is read, so a client that does not take its answers costs at most CLIENT_OUT + CLIENT_IN
 * octets here (CLIENT_UNSENT_MAX instead of the first where upstream goes on answering what it
 * asked before), and its next queries wait in the kernel and at last at its own side.
 *
 * A connection that has but one query waits for others that have one, to be served with them
 * (gather.h), until the end of the turn.
 *
 * Reading goes to one buffer of the worker. Only what is left over after serving, the beginning of
 * a message, is kept with the connection, in a buffer as long as that message; the rest of
 * the message is then read there. So idle connections have no buffers, and a message that comes
 * octet by octet is not copied octet by octet.
 *
 * Closing takes care: close() with unread octets makes the kernel send a reset, on which the
 * client's kernel may throw away answers that its program has not read. So when it is us who
 * end the conversation, we send FIN and read on until the client's FIN or the end of patience.
 */
#include "net/client.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "dns/message.h"
#include "dns/wire.h"

enum {
    /*
     * Batches of one connection before the others have their turn: 0.2 ms of usual queries. If
     * all ask for the longest answer it is 10 ms.
     */
    BATCHES_TURN = 8,
    /*
     * Queries of all connections before datagrams have their turn, and signatures that take as
     * long: hundreds of connections may be ready at once, and each may ask for what has to be
     * signed first. Measured with 400 connections that keep 256 new names each open: datagrams have
     * their turn each 0.55 ms (p99 0.83), with p50 of kept answers at 0.8 ms; without this, 1.5 s,
     * and answers were late or lost.
     */
    QUERIES_DATAGRAMS = 4 * SERVE_BATCH,
    QUERIES_SIGNATURE = SERVE_BATCH / SIGNATURES_A_BATCH,
    /* Room for a message whose length has not come in full: what nearly all queries fit. */
    FIRST_HOLD = 512,
    /* Octets that one read is to have room for: half of the worker's buffer. */
    GATHER_ROOM = CLIENT_IN / 2,
};

struct client *client_new(int fd, const union socket_address *peer, uint32_t cell)
{
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL) {
        return NULL;
    }
    client->fd = fd;
    client->peer = *peer;
    client->cell = cell;
    return client;
}

/* 0: for upstream alone. */
static short waits_for(const struct client *client)
{
    if (client->state == CLIENT_WRITING || client->unsent.data != NULL) {
        return EV_WRITE;
    }
    bool leaves = client->tcp->leaving && client->state == CLIENT_READING;
    return client->state == CLIENT_LAST || client->ended || client->paused || leaves ? 0 : EV_READ;
}

int client_watch(struct client *client)
{
    short what = waits_for(client);
    if (client->watched == what) {
        return 0;
    }
    client_unwatch(client);
    if (what == 0) {
        return 0;
    }
    if (event_assign(&client->event, client->tcp->service->base, client->fd,
                     (short)(what | EV_PERSIST), tcp_client_ready, client) != 0 ||
        event_add(&client->event, NULL) != 0) {
        return -1;
    }
    client->watched = what;
    return 0;
}

void client_unwatch(struct client *client)
{
    if (client->watched != 0) {
        event_del(&client->event);
        client->watched = 0;
    }
}

void client_free(struct client *client)
{
    client_unwatch(client);
    close(client->fd);
    free(client->held.data);
    free(client->unsent.data);
    free(client);
}

static void count(struct client *client, size_t cell, uint64_t amount)
{
    counter_add(client->tcp->service->counters, cell, amount);
}

/* Nothing more will be said but what upstream is still asked for: then FIN, and only the client's
 * is waited for. */
static void finish(struct client *client, uint64_t now)
{
    client->since = now;
    if (client->waiting > 0 || client->unsent.data != NULL) {
        client->state = CLIENT_LAST;
        return;
    }
    shutdown(client->fd, SHUT_WR);
    client->state = CLIENT_FINISHING;
}

/* Errors of the connection; the client is gone. */
static bool broken(struct client *client)
{
    count(client, COUNTER_tcp_reset, 1);
    return false;
}

/* Octets copied to the front of room for as many or more; NULL where there is no memory. */
static uint8_t *copy(const uint8_t *data, size_t octets, size_t room)
{
    uint8_t *made = malloc(room);
    if (made != NULL) {
        memcpy(made, data, octets);
    }
    return made;
}

static void drop_held(struct client *client)
{
    free(client->held.data);
    client->held = (struct buffer){0};
}

/*
 * Keeps what follows the first `served` octets of from, which is the worker's buffer or held, with
 * room for the rest of the message they begin.
 */
static bool hold(struct client *client, const struct buffer *from, size_t served, uint64_t now)
{
    size_t left = from->used - served;
    if (from->data == NULL || left == 0 || client->state >= CLIENT_LAST) {
        drop_held(client);
        return true;
    }
    const uint8_t *rest = from->data + served;
    size_t size = left < 2 ? FIRST_HOLD : 2u + wire_get_u16(rest);
    size = size < left ? left : size;
    if (client->held.data == NULL) {
        client->since = now; /* the message begins */
    } else if (from == &client->held && served == 0 && size <= from->size) {
        return true;
    }
    struct buffer held = {.data = copy(rest, left, size), .used = left, .size = size};
    drop_held(client); /* after the copy: rest may stand there */
    client->held = held;
    return held.data != NULL;
}

bool client_at_its_limit(const struct client *client, size_t more)
{
    unsigned limit = limits_get(&client->tcp->limits->queries_per_connection);
    return limit != 0 && client->queries + more >= limit;
}

/*
 * Requests for the complete messages in buffer from at on, at most so many. Returns their number;
 * malformed tells of one that can't be a message, behind them.
 */
static size_t take_queries(struct client *client, const struct buffer *buffer, size_t at,
                           size_t most, bool *malformed)
{
    struct serve_request *requests = client->tcp->requests;
    size_t taken = 0;
    *malformed = false;
    while (taken < most && buffer->used - at >= 2 && !client_at_its_limit(client, taken)) {
        const uint8_t *message = buffer->data + at;
        size_t length = wire_get_u16(message);
        if (length < MESSAGE_HEADER) {
            *malformed = true;
            break;
        }
        if (buffer->used - at < 2 + length) {
            break;
        }
        requests[taken++] = (struct serve_request){
            .in = message + 2, .in_size = length, .peer = &client->peer.any, .stream = true};
        at += 2 + length;
    }
    return taken;
}

/* Room for size octets more behind those that wait; twice what there was, so that many small ones
 * are not all moved for each. */
static bool make_room(struct unsent *unsent, size_t size)
{
    size_t left = unsent->size - unsent->written;
    size_t room = left + size > 2 * left ? left + size : 2 * left;
    uint8_t *all = malloc(room);
    if (all == NULL) {
        return false;
    }
    if (unsent->data != NULL) {
        memcpy(all, unsent->data + unsent->written, left);
    }
    free(unsent->data);
    *unsent = (struct unsent){.data = all, .size = left, .room = room};
    return true;
}

/* Puts octets behind those that wait to be written. */
static bool keep_unsent(struct client *client, const uint8_t *data, size_t size)
{
    struct unsent *unsent = &client->unsent;
    if (unsent->size - unsent->written + size > CLIENT_UNSENT_MAX ||
        ((unsent->data == NULL || unsent->size + size > unsent->room) &&
         !make_room(unsent, size))) {
        return false;
    }
    memcpy(unsent->data + unsent->size, data, size);
    unsent->size += size;
    if (client->state == CLIENT_READING) {
        client->state = CLIENT_WRITING;
    }
    return true;
}

/* Writes octets, behind those that could not be written before; keeps what can't be now. */
static bool write_octets(struct client *client, const uint8_t *data, size_t size, uint64_t now)
{
    ssize_t sent = 0;
    if (client->unsent.data != NULL || size == 0) {
        return size == 0 || keep_unsent(client, data, size);
    }
    do {
        sent = send(client->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && errno != EAGAIN) {
        return broken(client);
    }
    size_t done = sent > 0 ? (size_t)sent : 0;
    count(client, COUNTER_bytes_sent_tcp, done);
    client->since = now;
    return done == size || keep_unsent(client, data + done, size - done);
}

/* Hands on what upstream is to be asked, if anything, of the index-th request just served. The
 * caller flushes the proxy. */
static void forward(struct client *client, const struct serve_request *request, size_t index)
{
    struct service *service = client->tcp->service;
    if (request->verdict == SERVE_FORWARD) {
        client->waiting++;
        proxy_take_query(service->proxy, serve_forwarded(service->serve, index), client);
    } else if (request->refresh) {
        proxy_refresh(service->proxy, serve_forwarded(service->serve, index));
    }
}

static void count_queries(struct client *client, size_t queries, size_t answers)
{
    bool v6 = client->peer.any.sa_family == AF_INET6;
    client->queries += (unsigned)queries;
    count(client, v6 ? COUNTER_queries_tcp6 : COUNTER_queries_tcp4, queries);
    count(client, COUNTER_answers_tcp, answers);
}

bool client_served(struct client *client, const struct serve_request *request, size_t index,
                   uint64_t now)
{
    bool answered = request->verdict == SERVE_SEND;
    count_queries(client, 1, answered);
    client->since = now;
    client->serving = true;
    forward(client, request, index);
    bool open = !answered || write_octets(client, request->out - 2, 2 + request->out_size, now);
    client->serving = false;
    if (open && !client->broken && client_at_its_limit(client, 0)) {
        finish(client, now);
    }
    return open && !client->broken;
}

/*
 * Serves the first of the requests taken, as many as their answers have room. Returns how many;
 * *octets is what they took of the input, *answers the answers in the worker's buffer now.
 */
static size_t serve_some(struct client *client, size_t taken, size_t *octets, size_t *answers)
{
    struct tcp *tcp = client->tcp;
    struct service *service = tcp->service;
    tcp->out.used = 0;
    tcp->out.cost = 0;
    size_t served = serve_batch(service->serve, service->world, tcp->requests, taken, &tcp->out,
                                service_time(service_now(service)));
    assert(served > 0); /* an empty buffer has room for any answer */
    *octets = 0;
    *answers = 0;
    for (size_t i = 0; i < served; i++) {
        *octets += 2 + tcp->requests[i].in_size;
        *answers += tcp->requests[i].verdict == SERVE_SEND;
    }
    count_queries(client, served, *answers);
    if (service->world->settings.routes != NULL) {
        for (size_t i = 0; i < served; i++) {
            forward(client, &tcp->requests[i], i);
        }
        proxy_flush(service->proxy);
        client->paused = client->waiting >= CLIENT_FORWARDS;
    }
    return served;
}

void tcp_let_datagrams_in(struct tcp *tcp, size_t served)
{
    tcp->since_datagrams += served + QUERIES_SIGNATURE * (size_t)tcp->out.cost;
    if (tcp->since_datagrams >= QUERIES_DATAGRAMS) {
        tcp->since_datagrams = 0;
        tcp->service->datagrams(tcp->service);
    }
}

/*
 * Serves queries that were gathered, whose requests and octets stand where this client's are to.
 * Datagrams may have their turn then, and bring it answers from upstream. Returns false where it is
 * to be closed.
 */
static bool serve_gathered(struct client *client)
{
    client->serving = true;
    gather_serve(client->tcp);
    client->serving = false;
    return !client->broken;
}

/* It goes on with its queries in the next turn when upstream has answered enough of them. */
static void end_pause(struct client *client)
{
    if (client->paused && client->waiting <= CLIENT_FORWARDS / 2) {
        client->paused = false;
        if (client->state == CLIENT_READING) {
            client->state = CLIENT_WRITING;
        }
    }
}

/*
 * Serves the complete messages in buffer and holds what is left over. Where a batch's answers
 * did not fit one write, the queries behind are prepared again; so the next batch is but a little
 * larger than what did fit, else a client that asks for the largest answers would have a batch
 * prepared for each one it gets. The same where signatures took the time of several batches.
 */
static bool serve_queries(struct client *client, const struct buffer *buffer, uint64_t now)
{
    size_t at = 0;
    size_t most = SERVE_BATCH;
    unsigned batches = 0;
    if (!serve_gathered(client)) {
        return false;
    }
    client->serving = true;
    while (client->state == CLIENT_READING && !client->paused && !client->tcp->leaving) {
        if (batches >= BATCHES_TURN) {
            client->state = CLIENT_WRITING; /* goes on here in the next turn */
            break;
        }
        bool malformed;
        size_t taken = take_queries(client, buffer, at, most, &malformed);
        if (taken == 0) {
            if (malformed) {
                count(client, COUNTER_tcp_malformed, 1);
            }
            if (malformed || client_at_its_limit(client, 0)) {
                finish(client, now);
            }
            break;
        }
        size_t octets;
        size_t answers;
        size_t served = serve_some(client, taken, &octets, &answers);
        at += octets;
        most = served < taken ? served + 1 : SERVE_BATCH;
        batches += 1 + client->tcp->out.cost / SIGNATURES_A_BATCH;
        client->since = now;
        const struct serve_stream *out = &client->tcp->out;
        bool open = write_octets(client, out->data, out->used, now);
        uint64_t end = service_clock(client->tcp->service);
        count(client, COUNTER_latency + counter_latency_bucket(end - now), answers);
        if (open) {
            tcp_let_datagrams_in(client->tcp, served); /* these may bring it answers from upstream */
        }
        if (!open || client->broken) {
            return false;
        }
    }
    client->serving = false;
    end_pause(client);
    return hold(client, buffer, at, now);
}

/* One read: where it did not take all there is, the event comes again. */
static bool read_queries(struct client *client, uint64_t now)
{
    struct tcp *tcp = client->tcp;
    bool full = tcp->gather.count == SERVE_BATCH || tcp->in.size - tcp->in.used < GATHER_ROOM;
    if (full && !serve_gathered(client)) {
        return false;
    }
    struct buffer shared = {.data = tcp->in.data + tcp->in.used,
                            .size = tcp->in.size - tcp->in.used};
    struct buffer *buffer = client->held.data != NULL ? &client->held : &shared;
    ssize_t got =
        recv(client->fd, buffer->data + buffer->used, buffer->size - buffer->used, MSG_DONTWAIT);
    if (got < 0) {
        return errno == EAGAIN || errno == EINTR || broken(client);
    }
    if (got == 0) {
        /* The client's FIN, and all its complete queries are answered, or upstream is asked. */
        client->ended = true;
        return client->waiting > 0;
    }
    count(client, COUNTER_bytes_received_tcp, (uint64_t)got);
    buffer->used += (size_t)got;
    return (buffer == &shared && gather_take(client, shared.data, shared.used, now)) ||
           serve_queries(client, buffer, now);
}

/* The rest of answers that could not be written at once. Returns false where the client is gone. */
static bool write_rest(struct client *client, uint64_t now)
{
    struct unsent *unsent = &client->unsent;
    ssize_t sent = send(client->fd, unsent->data + unsent->written, unsent->size - unsent->written,
                        MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        return errno == EAGAIN || errno == EINTR || broken(client);
    }
    count(client, COUNTER_bytes_sent_tcp, (uint64_t)sent);
    client->since = now;
    unsent->written += (size_t)sent;
    if (unsent->written == unsent->size) {
        free(unsent->data);
        *unsent = (struct unsent){0};
    }
    return true;
}

/* Then the queries behind them. */
static bool write_more(struct client *client, uint64_t now)
{
    if (client->unsent.data != NULL && !write_rest(client, now)) {
        return false;
    }
    if (client->unsent.data != NULL) {
        return true;
    }
    client->state = CLIENT_READING;
    if (client->ended) {
        return client->waiting > 0;
    }
    return serve_queries(client, &client->held, now);
}

/* The last answers are being written, or waited for. */
static bool write_last(struct client *client, uint64_t now)
{
    if (client->unsent.data != NULL && !write_rest(client, now)) {
        return false;
    }
    if (client->unsent.data == NULL && client->waiting == 0) {
        finish(client, now);
    }
    return true;
}

/* After finish(): what still comes is read to where no answers are at the moment. */
static bool discard(struct client *client)
{
    const struct serve_stream *nowhere = &client->tcp->out;
    ssize_t got = recv(client->fd, nowhere->data, nowhere->size, MSG_DONTWAIT);
    return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

bool client_ready(struct client *client, uint64_t now)
{
    switch (client->state) {
    case CLIENT_READING:
        return read_queries(client, now);
    case CLIENT_WRITING:
        return write_more(client, now);
    case CLIENT_LAST:
        return write_last(client, now);
    default:
        return discard(client);
    }
}

/* What follows from one answer less to wait for. */
static bool go_on(struct client *client, uint64_t now)
{
    end_pause(client);
    if (client->waiting > 0 || client->unsent.data != NULL) {
        return true;
    }
    if (client->state == CLIENT_LAST) {
        finish(client, now);
    }
    return !client->ended;
}

void client_answer(struct client *client, const uint8_t *data, size_t size, uint64_t now)
{
    client->waiting--;
    count(client, COUNTER_answers_tcp, 1);
    bool open = write_octets(client, data, size, now);
    if (client->serving) {
        client->broken |= !open;
    } else {
        tcp_client_settle(client, open && go_on(client, now), now);
    }
}

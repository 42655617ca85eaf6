/*
 * The asking side of the tests of upstream_stream.h: a server of stream_aid.h, a loop, and books of
 * what was told of each question. Tokens are small numbers; a question carries its own.
 */
#ifndef RRDNS_TESTS_STREAM_CLIENT_H
#define RRDNS_TESTS_STREAM_CLIENT_H

#include <check.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "dns/wire.h"
#include "net/tls.h"
#include "net/upstream_stream.h"
#include "stream_aid.h"
#include "unit.h"

enum { CLIENT_TOKENS = 20480, CLIENT_PATIENCE_MS = 20000 };

struct client {
    struct event_base *base;
    struct upstream_streams *streams;
    struct upstream upstream;
    struct upstream_counts counts;
    struct stream_server server;
    bool stopped;         /* the server is */
    unsigned descriptors; /* before anything was opened */
    struct tls_trust *trust; /* NULL: no TLS */
    char text[32];
    struct rng *rng; /* of what is not the token; NULL: zeros */

    bool sending; /* no handler may be called */
    bool closing; /* client_end */
    bool deny;    /* no message is the reply */
    void (*on_replied)(struct client *client, unsigned token);
    void (*on_failed)(struct client *client, unsigned token);

    unsigned all, replied, strange, failed[UPSTREAM_MALFORMED + 1];
    uint8_t told[CLIENT_TOKENS], asked[CLIENT_TOKENS], forgotten[CLIENT_TOKENS];
    enum upstream_error error[CLIENT_TOKENS];
    unsigned order[CLIENT_TOKENS];
};

static inline void client_told(struct client *client, uint64_t token)
{
    ck_assert(!client->sending);
    ck_assert_uint_lt(token, CLIENT_TOKENS);
    ck_assert_uint_eq(client->asked[token], 1);
    ck_assert_uint_eq(client->told[token]++, 0);
    ck_assert_uint_eq(client->forgotten[token], 0);
    client->order[client->all++] = (unsigned)token;
}

static inline bool client_replied(void *context, uint64_t token, const uint8_t *data, size_t size)
{
    struct client *client = context;
    ck_assert(!client->sending);
    ck_assert_uint_lt(token, CLIENT_TOKENS);
    ck_assert_uint_ge(size, 20);
    uint64_t sum = 0;
    for (size_t i = 0; i < size; i++) { /* all of it can be read, also after a close below */
        sum += data[i];
    }
    if (wire_get_u32(data + 16) != token) {
        client->strange++;
        return false;
    }
    ck_assert_uint_eq(client->told[token], 0);
    ck_assert_uint_eq(client->forgotten[token], 0);
    if (client->deny) {
        if (client->on_replied != NULL) {
            client->on_replied(client, (unsigned)token);
        }
        return false;
    }
    client_told(client, token);
    client->replied++;
    if (client->on_replied != NULL) {
        client->on_replied(client, (unsigned)token);
    }
    for (size_t i = 0; i < size; i++) {
        sum -= data[i];
    }
    ck_assert_uint_eq(sum, 0);
    return true;
}

static inline void client_failed(void *context, uint64_t token, enum upstream_error error)
{
    struct client *client = context;
    client_told(client, token);
    client->failed[error]++;
    client->error[token] = error;
    if (client->on_failed != NULL) {
        client->on_failed(client, (unsigned)token);
    }
}

/* The server at which the client asks from now on. */
static inline void client_turn_to(struct client *client, const struct stream_server *server)
{
    client->upstream.server.address = server->address;
    client->upstream.server.address_size = server->address_size;
}

static inline void client_begin(struct client *client, const struct stream_options *options)
{
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    memset(client, 0, sizeof *client);
    client->descriptors = unit_descriptors();
    stream_start(&client->server, options);
    client->base = event_base_new();
    client->streams = upstream_streams_new(
        client->base, &(struct upstream_stream_handler){
                          .replied = client_replied, .failed = client_failed, .context = client});
    ck_assert_ptr_nonnull(client->streams);
    client_turn_to(client, &client->server);
    client->upstream.counts = &client->counts;
    snprintf(client->text, sizeof client->text, "a server");
    client->upstream.server.text = client->text;
}

/* What is in a file, NULL: what the system has, to be trusted. */
static inline struct tls_trust *client_trust(const char *file)
{
    const char *why;
    struct tls_trust *trust = NULL;
    ck_assert_int_eq(tls_trust_open(file, &trust, &why), 0);
    return trust;
}

/* The client trusts this from now on. */
static inline void client_believe(struct client *client, const char *file)
{
    tls_trust_unref(client->trust);
    client->trust = client_trust(file);
}

static inline int client_ask(struct client *client, unsigned token, size_t size)
{
    static uint8_t data[65536];
    ck_assert_uint_lt(token, CLIENT_TOKENS);
    memset(data, 0, size);
    if (client->rng != NULL) {
        rng_fill(client->rng, data + 20, size - 20);
    }
    if (size >= 20) {
        wire_put_u32(data + 16, token);
    }
    client->sending = true;
    int error =
        upstream_stream_send(client->streams, &client->upstream, client->trust, data, size, token);
    client->sending = false;
    if (error == 0) {
        client->asked[token] = 1;
    }
    return error;
}

static inline void client_forget(struct client *client, unsigned token)
{
    bool sending = client->sending;
    client->sending = true;
    upstream_stream_forget(client->streams, &client->upstream, token);
    client->sending = sending;
    if (client->asked[token] && !client->told[token]) {
        client->forgotten[token] = 1;
    }
}

static inline void client_run_ms(struct client *client, unsigned ms)
{
    uint64_t end = clock_now_ns() + ms * UINT64_C(1000000);
    do {
        if (ms == 0) {
            event_base_loop(client->base, EVLOOP_NONBLOCK);
        } else {
            struct timeval wait = {0, 1000};
            event_base_loopexit(client->base, &wait);
            event_base_dispatch(client->base);
        }
    } while (clock_now_ns() < end);
}

/* Runs until so many were told of. */
static inline void client_await_told(struct client *client, unsigned all)
{
    for (unsigned ms = 0; ms < CLIENT_PATIENCE_MS && client->all < all; ms++) {
        client_run_ms(client, 1);
    }
    ck_assert_uint_eq(client->all, all);
}

static inline void client_end(struct client *client)
{
    client->closing = true;
    upstream_stream_close(client->streams, &client->upstream);
    ck_assert_ptr_null(client->upstream.streams);
    upstream_streams_free(client->streams);
    tls_trust_unref(client->trust);
    event_base_free(client->base);
    if (!client->stopped) {
        stream_stop(&client->server);
    }
    ck_assert_uint_eq(unit_descriptors(), client->descriptors);
}

#endif

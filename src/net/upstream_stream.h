/*
 * Questions to upstream servers over TCP and TLS (RFC 7766, 7858): connections that are kept and
 * pipelined, by libevent's bufferevents. All on one worker's loop.
 */
#ifndef RRDNS_NET_UPSTREAM_STREAM_H
#define RRDNS_NET_UPSTREAM_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/upstream.h"

struct event_base;
struct upstream_streams; /* of one worker: its TLS contexts and what follows */

/*
 * What becomes of a question that was sent. token is the caller's, as given with it.
 *
 * replied: a whole message (without its length) came whose ID is that of the question; it is the
 * caller's to judge. True: that was the reply. False: it was not (wrong question); the question
 * stays outstanding.
 * failed: the connection failed or ended before a reply came. Both are called from the loop, never
 * from inside upstream_stream_send. data is valid during the call.
 */
struct upstream_stream_handler {
    bool (*replied)(void *context, uint64_t token, const uint8_t *data, size_t size);
    void (*failed)(void *context, uint64_t token, enum upstream_error error);
    void *context;
};

/* NULL: no memory. */
struct upstream_streams *upstream_streams_new(struct event_base *base,
                                              const struct upstream_stream_handler *handler);
/* All connections have been closed (upstream_stream_close) before. */
void upstream_streams_free(struct upstream_streams *streams);

/*
 * Sends a question (data, without its length; the ID is written into it, a random one that is in use
 * on no question outstanding on the connection) to upstream, over a connection that is there or a
 * new one: at most four a server, a new one where all others have 64 outstanding or none is. tls:
 * with TLS, the server's name or address checked against its certificate, which is trusted by the
 * file ca (NULL: by the system's). Returns 0, or RR_ELIMIT where too much is outstanding, RR_EIO,
 * RR_ENOMEM. Times nothing: who loses patience calls upstream_stream_forget.
 *
 * Connections idle for ten seconds are closed (RFC 7766 section 6.2.3); one that does not get
 * established within five fails. One on which nothing came for the last two seconds while questions
 * are outstanding that were forgotten is closed too, so that the next question opens another.
 */
int upstream_stream_send(struct upstream_streams *streams, struct upstream *upstream, bool tls,
                         const char *ca, uint8_t *data, size_t size, uint64_t token);

/* A question will not be waited for any more; its handler is not called, its ID is not used again
 * on the connection until the reply came. */
void upstream_stream_forget(struct upstream_streams *streams, struct upstream *upstream,
                            uint64_t token);

/* Closes all connections of upstream; the failed handler is called for what is outstanding. After it
 * upstream->streams is NULL. */
void upstream_stream_close(struct upstream_streams *streams, struct upstream *upstream);

#endif

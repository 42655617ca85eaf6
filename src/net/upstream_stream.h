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
struct tls_trust;        /* net/tls.h */
struct upstream_streams; /* of one worker */

/*
 * What becomes of a question that was sent. token is the caller's, as given with it, another one
 * for each question outstanding.
 *
 * replied: a whole message (without its length) came whose ID is that of the question; it is the
 * caller's to judge. True: that was the reply. False: it was not (wrong question); the question
 * stays outstanding.
 *
 * failed: the connection failed or ended before a reply came. UPSTREAM_UNREACHABLE, _TIMEOUT (not
 * established in time, or silent), _TLS_FAILED (all that goes wrong from the beginning of a
 * handshake to its end, and broken TLS later), _MALFORMED (what came is no DNS). UPSTREAM_NO_ERROR:
 * nobody is to be blamed, the question may be sent again: the server ended a connection on which it
 * had answered before (RFC 7766 section 6.2.4), or upstream_stream_close did.
 *
 * Both are called from the loop or from upstream_stream_close, never from inside the other
 * functions, once a question. They may call all of the functions below but upstream_streams_free.
 * data is valid during the call.
 */
struct upstream_stream_handler {
    bool (*replied)(void *context, uint64_t token, const uint8_t *data, size_t size);
    void (*failed)(void *context, uint64_t token, enum upstream_error error);
    void *context;
};

/* handler is copied. NULL: no memory. SIGPIPE must be ignored in the process. */
struct upstream_streams *upstream_streams_new(struct event_base *base,
                                              const struct upstream_stream_handler *handler);
/* All connections have been closed (upstream_stream_close) before. What libevent frees later it
 * frees with the next turn of the loop, or with the base. */
void upstream_streams_free(struct upstream_streams *streams);

/*
 * Sends a question (data, without its length, 12 to 65535 octets; the ID is written into it, a
 * random one that no question outstanding or forgotten has on the connection) to upstream, over a
 * connection that is there or a new one: at most four a server (and each trust), a new one where
 * all others have 64 outstanding or none is. trust: with TLS, the server's name or address checked
 * against its certificate, which has to lead to one of these; NULL: without TLS. Returns 0; or, and
 * no handler is called then, RR_ELIMIT where too much is outstanding (4096 questions or 256 KB
 * unsent on each connection), RR_EIO (no connection can be begun, or upstream_stream_close is under
 * way), RR_ENOMEM, RR_EINVAL for a size that can't be. Times nothing: who loses patience calls
 * upstream_stream_forget.
 *
 * A connection has a reference to the trust that it was made with, and carries only questions that
 * come with the very same one. So with a trust that takes another's place questions go over new
 * connections; the old ones still bring the replies to what was asked over them, and end as all do
 * that are idle.
 *
 * Connections idle for ten seconds are closed (RFC 7766 section 6.2.3); one that does not get
 * established within five fails. One on which no reply came for the last two seconds while
 * questions are outstanding that were forgotten is closed too, so that the next question opens
 * another; what else is outstanding on it fails with UPSTREAM_TIMEOUT.
 *
 * Counted here, in upstream->counts: connections (begun), rejected (messages with an ID that was
 * not asked; 64 of them with no reply between end the connection).
 */
int upstream_stream_send(struct upstream_streams *streams, struct upstream *upstream,
                         struct tls_trust *trust, uint8_t *data, size_t size, uint64_t token);

/* A question will not be waited for any more; its handler is not called, its ID is not used again
 * on the connection until the reply came. A token that is not outstanding is harmless. */
void upstream_stream_forget(struct upstream_streams *streams, struct upstream *upstream,
                            uint64_t token);

/* Closes all connections of upstream; the failed handler is called for what is outstanding, here
 * and now. After it upstream->streams is NULL; inside it there is no effect in calling it again. */
void upstream_stream_close(struct upstream_streams *streams, struct upstream *upstream);

#endif

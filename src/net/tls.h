/*
 * TLS to upstream servers (RFC 7858, with the strict profile of RFC 8310): the server's certificate
 * must lead to one that is trusted and hold the name or the address that is configured. A trust may
 * be used by several threads at once; all else is one thread's. Only tls*.c know OpenSSL in net/.
 */
#ifndef RRDNS_NET_TLS_H
#define RRDNS_NET_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct bufferevent;
struct event_base;

/* Certificates to be trusted, and the settings that go with them; immutable, with references. */
struct tls_trust;

/* What the last connection to a server left behind, to begin the next one with: no certificates, no
 * signatures. One for each server and trust. */
struct tls_session;

/*
 * Reads a file of certificates (PEM); NULL: the system's, which are those that OpenSSL's own
 * programs trust, all of them read here and now. Each in a file is trusted, though it may be no
 * authority's. Blocks: not for workers. Returns 0 with one reference; or RR_ENOMEM; or RR_EIO where
 * it can't be read, is no regular file, has more than 4 MB, holds none or one that is broken, *why
 * telling which (valid as long as strerror's text).
 */
int tls_trust_open(const char *file, struct tls_trust **trust, const char **why);

/* One more reference to it; returns it. */
struct tls_trust *tls_trust_ref(struct tls_trust *trust);
/* One less. Connections that were made with it may go on. NULL is harmless. */
void tls_trust_unref(struct tls_trust *trust);

/* Whether both trust the same certificates, read from the same kind of place. */
bool tls_trust_same(const struct tls_trust *a, const struct tls_trust *b);

struct tls_session *tls_session_new(void);
/* Connections that were made with it may go on. NULL is harmless. */
void tls_session_free(struct tls_session *session);

/*
 * Begins a handshake on a connected socket, which belongs to *out from then on (close-on-free).
 * name: that the certificate must hold, NULL: the address. A session made under another trust is
 * not used. BEV_EVENT_CONNECTED tells that the server is the one it should be; BEV_EVENT_ERROR or
 * BEV_EVENT_EOF before it that it is not. 0, or RR_ENOMEM (the socket is the caller's still), or
 * RR_EINVAL for a name that can be no server's.
 */
int tls_connect(const struct tls_trust *trust, struct tls_session *session, struct event_base *base,
                int fd, const char *name, const struct sockaddr *address, struct bufferevent **out);

/* What TLS found wrong, after BEV_EVENT_ERROR or _EOF, as a text that has nothing of the peer's in
 * it; NULL: nothing, the connection below it failed. To be asked once. */
const char *tls_failure(struct bufferevent *bufferevent);

/* Forgets what is there to begin with: it may be why a handshake failed. */
void tls_session_clear(struct tls_session *session);

/* Says farewell where there is someone to say it to, and frees. */
void tls_close(struct bufferevent *bufferevent);

#endif

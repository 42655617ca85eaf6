/*
 * Upstream servers over TCP and TLS for tests: each on loopback with a port of its own, each
 * connection on a thread of its own that runs what the test says, and blocks where it will.
 */
#ifndef RRDNS_TESTS_STREAM_AID_H
#define RRDNS_TESTS_STREAM_AID_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

enum { STREAM_LINES_MAX = 4096 };

struct stream_server;

/* A connection that was accepted. */
struct stream_line {
    struct stream_server *server;
    unsigned number; /* from 0 */
    int fd;
    void *ssl; /* NULL: plain */
    pthread_t thread;
};

typedef void stream_behaviour(struct stream_line *line);

struct stream_certificate;

struct stream_options {
    stream_behaviour *behaviour;
    const struct stream_certificate *certificate; /* NULL: plain TCP */
    bool v6;
    bool tls12;            /* no newer one */
    bool no_alpn;          /* takes no notice of it */
    unsigned handshake_ms; /* waits so long before it */
};

struct stream_server {
    struct stream_options options;
    struct sockaddr_storage address;
    socklen_t address_size;
    int fd;
    void *context; /* SSL_CTX */
    pthread_t thread;
    pthread_mutex_t lock;
    atomic_bool end;
    _Atomic unsigned lines, resumed, asked, refused;
    uint8_t alpn[16]; /* the protocol that was agreed on last, after its length */
    struct stream_line *line[STREAM_LINES_MAX];
};

void stream_start(struct stream_server *server, const struct stream_options *options);
/* Ends all connections and waits for their threads. */
void stream_stop(struct stream_server *server);

/* ---- For behaviours ---- */

/* False: the connection ended. */
bool stream_get(struct stream_line *line, void *data, size_t size);
bool stream_put(struct stream_line *line, const void *data, size_t size);
/* The next message, without its length; 0: the end. */
size_t stream_message(struct stream_line *line, uint8_t *data);
/* Sends it back as a reply, with its length. */
bool stream_reply(struct stream_line *line, uint8_t *data, size_t size);
/* The connection will end by a reset. */
void stream_will_reset(struct stream_line *line);
/* Sleeps in small pieces; false: the server is to end. */
bool stream_sleep(struct stream_line *line, unsigned ms);

/* Answers everything in order. */
void stream_echo(struct stream_line *line);
/* Likewise, each octet by itself (over TLS a record each). */
void stream_octet_by_octet(struct stream_line *line);
/* Answers the first one. */
void stream_one(struct stream_line *line);

/* ---- Certificates ---- */

enum stream_kind {
    STREAM_GOOD,        /* DNS:dns.example, IP:127.0.0.1, IP:::1 */
    STREAM_NAME_ONLY,   /* DNS:dns.example */
    STREAM_EXPIRED,     /* otherwise good */
    STREAM_SELF_SIGNED, /* otherwise good */
    STREAM_STRANGE,     /* good, but of another authority */
    STREAM_KINDS,
};

struct stream_certificates {
    struct stream_certificate *kind[STREAM_KINDS];
    char ca[64];      /* file with the authority's certificate */
    char strange[64]; /* with the other authority's */
    char self[64];    /* with the self-signed one */
};

void stream_certify(struct stream_certificates *certificates);
void stream_certificates_free(struct stream_certificates *certificates);

#endif

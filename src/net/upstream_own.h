/*
 * What the sources of upstream_stream.h share: upstream_stream.c chooses and asks,
 * upstream_connection.c is the life of a connection, upstream_questions.c what it was asked.
 */
#ifndef RRDNS_NET_UPSTREAM_OWN_H
#define RRDNS_NET_UPSTREAM_OWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "net/upstream_stream.h"

struct bufferevent;
struct evbuffer;
struct event;
struct tls_session; /* net/tls.h */

enum {
    UPSTREAM_QUESTIONS_MAX = 4096, /* a connection: a 16th of all IDs, a free one is found soon */
    UPSTREAM_CHAINS = 256,         /* of a hash table: 16 questions a chain at most, usually one */
    UPSTREAM_HEADER = 12,          /* octets of the shortest message */
};

struct question {
    LIST_ENTRY(question) of_id;    /* of its connection */
    LIST_ENTRY(question) of_token; /* of its server; not while forgotten */
    TAILQ_ENTRY(question) line;    /* of its connection, in the order they were sent; the same */
    struct connection *connection;
    uint64_t token;
    uint16_t id;
    bool forgotten;
};
LIST_HEAD(chain, question);
TAILQ_HEAD(line, question);

enum connection_state { CONNECTING, HANDSHAKE, OPEN, DEAD };

struct connection {
    TAILQ_ENTRY(connection) entry; /* of its server */
    struct upstream_streams *streams;
    struct peer *peer; /* NULL: none any more */
    struct lane *lane; /* NULL: dead */
    enum connection_state state;
    unsigned held; /* callbacks that are running */
    int fd;        /* while CONNECTING */
    struct event *connected, *timer;
    struct evbuffer *waiting; /* what is to be sent, until OPEN */
    struct bufferevent *buffers;
    uint64_t since;    /* begun; OPEN: the last reply, or the first question after an idle time */
    uint64_t deadline; /* that the timer is set for */
    uint64_t now;      /* of the input that is looked at */
    bool answered;     /* at least once */
    unsigned strangers;
    unsigned questions; /* forgotten ones included */
    unsigned forgotten;
    struct question *in_hand; /* that a handler is just told of */
    struct line line;
    struct chain of_id[UPSTREAM_CHAINS];
};
TAILQ_HEAD(connection_list, connection);

/* One way to ask a server: see upstream_stream.c. */
struct lane {
    SLIST_ENTRY(lane) entry;
    struct tls_trust *trust; /* NULL: no TLS */
    unsigned connections;    /* that are not dead */
    struct tls_session *session; /* NULL: no TLS */
};
SLIST_HEAD(lane_list, lane);

/* One server. */
struct peer {
    struct upstream *upstream;
    bool closing;
    struct lane_list lanes; /* the newest first */
    struct connection_list connections;
    struct chain of_token[UPSTREAM_CHAINS];
};

struct upstream_streams {
    struct event_base *base;
    struct upstream_stream_handler handler;
    size_t random_left;
    uint8_t random[256];
};

/* ---- Lanes ---- */

/* A connection of the lane has died. */
void upstream_lane_leave(struct peer *peer, struct lane *lane);

/* ---- Connections ---- */

/* Begins to connect; nothing is asked yet. 0, or RR_EIO or RR_ENOMEM. */
int upstream_connection_open(struct upstream_streams *streams, struct peer *peer, struct lane *lane,
                             struct connection **out);

/* Closes it, tells of all that is outstanding on it, takes it off its peer. Its memory is gone
 * after that, unless one of its callbacks is running. */
void upstream_connection_fail(struct connection *connection, enum upstream_error error);

/* Sees to it that the next deadline is kept, after a question was forgotten. */
void upstream_connection_watch(struct connection *connection, uint64_t now);

/* Where what is to be sent goes. The connection is not dead. */
struct evbuffer *upstream_connection_output(const struct connection *connection);

/* ---- Questions ---- */

/* The one with an ID, also where it was forgotten; or NULL. */
struct question *upstream_question_of_id(const struct connection *connection, uint16_t id);
/* The one with a token that was not forgotten; or NULL. */
struct question *upstream_question_of_token(struct peer *peer, uint64_t token);

/* Its id and token are set. */
void upstream_question_link(struct question *question, struct connection *connection);
/* Nobody waits for it any more; its ID stays in use. */
void upstream_question_forget(struct question *question);
/* Off all tables; its memory is the caller's. */
void upstream_question_unlink(struct question *question);
/* The same with the oldest that was not forgotten; NULL: there is none. */
struct question *upstream_question_take(struct connection *connection);
/* Frees all there are. */
void upstream_questions_drop(struct connection *connection);

#endif

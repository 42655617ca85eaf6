/*
 * Datagram sockets to upstream servers: a few for each, connected, bound to random ports, and
 * replaced before long, so that who wants to forge a reply has to guess port and ID.
 */
#ifndef RRDNS_NET_UPSTREAM_UDP_H
#define RRDNS_NET_UPSTREAM_UDP_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "net/upstream.h"

enum {
    UPSTREAM_SOCKETS = 8, /* a server */
    /* A port is given up after so many questions, or so long. */
    UPSTREAM_SOCKET_QUESTIONS = 4096,
    UPSTREAM_SOCKET_SECONDS = 60,
};

struct attempt;
LIST_HEAD(attempt_list, attempt);

struct upstream_socket {
    int fd;
    uint32_t number;            /* among all that its worker ever had */
    struct event event;
    void *context;              /* as given to upstream_socket_take */
    struct upstream *upstream;
    struct attempt_list attempts; /* whose replies it waits for */
    unsigned questions;
    uint64_t opened;
    bool busy;                  /* being read from: not to be closed */
    bool retired;               /* in no pool any more: closed when attempts is empty */
};

/*
 * The socket for the next question to upstream: the same one until upstream_socket_turn. readable
 * is called by the loop with the socket as its context. NULL with errno set where none could be
 * opened.
 */
struct upstream_socket *upstream_socket_take(struct event_base *base, struct upstream *upstream,
                                             event_callback_fn readable, void *context,
                                             uint64_t now);
/* The next question goes over another one. */
void upstream_socket_turn(struct upstream_socket *socket);

/* To be called when an attempt has left socket->attempts: closes it where it is retired and none
 * is left. */
void upstream_socket_settle(struct upstream_socket *socket);

/* Closes all sockets of upstream, on which nothing is waited for. */
void upstream_sockets_close(struct upstream *upstream);

#endif

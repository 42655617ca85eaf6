/*
 * Sockets that listen: how they are opened, and with which options.
 */
#ifndef RRDNS_NET_SOCKET_H
#define RRDNS_NET_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "net/net.h"

/* Any address we speak to: a quarter of a sockaddr_storage. */
union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct worker;
struct event;

/* One socket of a listen address. Opened by net.c, watched by at most one worker. */
struct endpoint {
    int fd; /* -1: closed */
    bool stream;
    sa_family_t family;
    struct worker *worker; /* that watches it, or NULL */
    struct event *event;   /* that worker's */
    bool behind;           /* more waits in it than a turn takes: read each turn, not waited for */
    unsigned waiting;      /* datagrams that it still has to answer by the socket */
    TAILQ_ENTRY(endpoint) link;
};
TAILQ_HEAD(endpoint_list, endpoint);

/*
 * Opens a non-blocking socket and binds it with SO_REUSEPORT, so that more can be bound to the
 * same address; a stream socket listens. alone: refused with EADDRINUSE where any socket, be it
 * one that would share the port, is bound to it already. Returns the descriptor, or -1 with errno
 * set.
 */
int socket_open(const struct net_address *address, bool stream, bool alone);

/* The address the socket is bound to, with the port that port 0 became. 0, or -1 with errno. */
int socket_bound(int fd, struct net_address *address);

bool socket_is_wildcard(const struct net_address *address);
uint16_t socket_port(const struct net_address *address);
/* Same family, address, port and scope. */
bool socket_same(const struct net_address *a, const struct net_address *b);

#endif

/*
 * TCP connections of a worker (RFC 7766): accepting within the limits, patience and its end.
 * What a connection does with its octets is client.c's.
 */
#ifndef RRDNS_NET_TCP_H
#define RRDNS_NET_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

#include "net/limits.h"
#include "net/service.h"
#include "net/socket.h"

enum {
    /* Connections accepted of one socket before the worker looks at its others. */
    TCP_ACCEPTS_TURN = 64,
};

/* The connections of one worker. */
struct tcp;

struct client;
TAILQ_HEAD(client_list, client);

/* service and limits outlive the tcp. NULL where there is no memory. */
struct tcp *tcp_new(struct service *service, struct limits *limits);
/* Closes all connections there are. */
void tcp_free(struct tcp *tcp);

/*
 * Accepts what waits in the socket, at most so many. Returns false where descriptors or memory
 * have run out: accepting should pause for a moment.
 */
bool tcp_accept(struct tcp *tcp, const struct endpoint *endpoint, unsigned most);

/* Serves what was read in this turn of the loop and waits for company. At the end of each. */
void tcp_finish_turn(struct tcp *tcp);

/* Takes no more queries from connections from here on; those under way are still answered. */
void tcp_leave(struct tcp *tcp);

/*
 * Takes all connections out of service, to the end of clients, to be given to another tcp, perhaps
 * of another thread; their patience begins anew there.
 */
void tcp_take(struct tcp *tcp, struct client_list *clients);
void tcp_give(struct tcp *tcp, struct client_list *clients);

/* The limits have changed. */
void tcp_limits_changed(struct tcp *tcp);

/*
 * From here on a connection is closed when nothing is under way on it: those where nothing waits
 * to be read at once, the others when they are done.
 */
void tcp_drain(struct tcp *tcp);

size_t tcp_count(const struct tcp *tcp);

#endif

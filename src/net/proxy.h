/*
 * The proxy of a worker: asks upstream servers what is forwarded, and answers who waits for it.
 * Nothing here waits: all is done in events of the worker's loop.
 */
#ifndef RRDNS_NET_PROXY_H
#define RRDNS_NET_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "net/limits.h"
#include "net/service.h"
#include "net/socket.h"
#include "net/upstream.h"
#include "serve/forward.h"
#include "serve/proxy_shield.h"

enum {
    /* Rates of routes; routes beyond share cells. */
    PROXY_RATES = 1024,
};

/* Questions of a connection that upstream is being asked. */
struct waiter;
LIST_HEAD(waiter_list, waiter);

struct client;
struct proxy;

/* counts (ROUTES_SERVERS_MAX, by slot) are this worker's, rates (PROXY_RATES) all workers'. All
 * arguments outlive the proxy. NULL where there is no memory. */
struct proxy *proxy_new(struct service *service, struct limits *limits,
                        struct upstream_counts *counts, struct shared_rate *rates);
/* Who still waits is not answered: see proxy_cut. */
void proxy_free(struct proxy *proxy);

/* Takes over the routes of service->world, where they are other ones. At the top of each turn. */
void proxy_adopt(struct proxy *proxy);

/*
 * Takes a question that serve_batch left (SERVE_FORWARD): it will be answered, be it with SERVFAIL,
 * within 5 seconds. from is the header that the datagram was received with; for connections,
 * answers are written by client_answer, maybe before this returns.
 */
void proxy_take_datagram(struct proxy *proxy, const struct forward *forward,
                         struct endpoint *endpoint, const struct msghdr *from);
void proxy_take_query(struct proxy *proxy, const struct forward *forward, struct client *client);

/* Asks upstream for what the cache should have anew; nobody waits for it. If forward->stale, that
 * failed before: only where upstream has recovered since. */
void proxy_refresh(struct proxy *proxy, const struct forward *forward);

/* Sends all that was gathered since the last time: to be called after some were taken. */
void proxy_flush(struct proxy *proxy);

/* Questions that somebody waits for. */
size_t proxy_waiting(const struct proxy *proxy);

/* Answers at once those that came in at endpoint, or (NULL) all, as if upstream were down. */
void proxy_cut(struct proxy *proxy, const struct endpoint *endpoint);

/* The answers to what came in at one endpoint leave by another one. */
void proxy_move(struct proxy *proxy, struct endpoint *from, struct endpoint *to);

/* A connection ends: nobody waits for its questions any more. */
void proxy_forget(struct proxy *proxy, struct waiter_list *waiters);

#endif

/*
 * A worker: one thread with one event loop, and the sockets and connections it serves.
 *
 * All calls are made from the main thread. Those on a worker that runs are carried out by its own
 * thread between two events, and have been when they return; since a worker never waits for
 * anything and a turn of its loop is bounded, that takes milliseconds at the most.
 */
#ifndef RRDNS_NET_WORKER_H
#define RRDNS_NET_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/limits.h"
#include "net/proxy.h"
#include "net/socket.h"
#include "serve/serve.h"
#include "world/publish.h"

struct worker;

/* What is a worker's for good: the workers that follow each other in a slot go on counting. */
struct worker_slot {
    uint32_t number; /* of the publisher's reader */
    int wake_fd;     /* eventfd, written to by main thread and publisher */
    struct counters *counters;
    struct zone_counts *zone_counts;
    struct upstream_counts *upstream_counts; /* ROUTES_SERVERS_MAX */
    struct shared_rate *rates;               /* PROXY_RATES, of all workers */
};

/* A worker that does not run yet. slot, publisher and limits outlive it. NULL: no memory. */
struct worker *worker_new(const struct worker_slot *slot, struct publisher *publisher,
                          struct limits *limits);

/* Starts its thread. When it returns 0 the worker uses the current world. RR_EIO: no thread. */
int worker_start(struct worker *worker);

/* Watches a socket from now on. 0, or RR_EIO where the system does not let it. */
int worker_watch(struct worker *worker, struct endpoint *endpoint);
/* No more; what comes now waits in the socket, for the worker who will watch it. */
void worker_unwatch(struct worker *worker, struct endpoint *endpoint);
/*
 * Serves what waits in a socket, which it watches or nobody does, then closes it. patient: not
 * before upstream has answered what came by it, a few seconds at most; nobody reads what comes
 * until then, so it is not for a socket of an address that stays. worker_close_resting does not
 * wait for that any longer.
 */
void worker_close(struct worker *worker, struct endpoint *endpoint, bool patient);
void worker_close_resting(struct worker *worker);

/* Takes no more from its connections, which are about to be handed over. */
void worker_leave(struct worker *worker);
/* Questions that upstream is still being asked by it. */
size_t worker_waiting(struct worker *worker);

/* Moves all connections of one worker to another. What upstream is being asked for them is answered
 * as if it were down. */
void worker_hand_over(struct worker *from, struct worker *to);

void worker_limits_changed(struct worker *worker);

/*
 * Closes all its sockets as worker_close does, then all connections when they have nothing under
 * way, or after drain_ms. Returns at once: worker_end() waits for the end.
 */
void worker_drain(struct worker *worker, unsigned drain_ms);

/*
 * Ends the thread, at once where it was not drained, and frees the worker. Sockets it watched and
 * did not close remain open. Harmless on NULL and on a worker that was never started.
 */
void worker_end(struct worker *worker);

#endif

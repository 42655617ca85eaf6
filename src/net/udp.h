/*
 * Datagrams of a worker: read a batch, serve it, send what is ready.
 */
#ifndef RRDNS_NET_UDP_H
#define RRDNS_NET_UDP_H

#include <stdbool.h>

#include "net/service.h"
#include "net/socket.h"

enum {
    /*
     * Batches served of one socket before the worker looks at its others: some 500 queries or
     * 2 ms, the longest that a TCP client or a second address waits for its turn under a flood.
     * A look at the others costs 1 us then, for all of these queries together.
     */
    UDP_TURN = 16,
};

/* The buffers of one worker. */
struct udp;

/* service outlives the udp. NULL where there is no memory. */
struct udp *udp_new(struct service *service);
void udp_free(struct udp *udp);

/*
 * Serves what waits in the socket, at most so many batches. Returns whether more may wait.
 */
bool udp_serve(struct udp *udp, struct endpoint *endpoint, unsigned batches);

#endif

/*
 * The network side as the daemon sees it: workers, each a thread with a libevent loop of its
 * own, and for every listen address one UDP and one TCP socket per worker (SO_REUSEPORT).
 *
 * All calls are made from one thread, the daemon's main one.
 */
#ifndef RRDNS_NET_NET_H
#define RRDNS_NET_NET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/counters.h"
#include "base/diag.h"
#include "serve/serve.h"
#include "world/publish.h"

struct net_address {
    struct sockaddr_storage address;
    socklen_t size;
};

/* What may change on reload. */
struct net_options {
    unsigned workers; /* 1 to PUBLISH_READERS_MAX; the caller resolves "one per CPU" */
    size_t addresses;
    const struct net_address *address;
    unsigned tcp_clients_max; /* connections in all, over all workers */
    unsigned tcp_clients_per_address;
    unsigned tcp_idle_ms;
    unsigned tcp_queries_per_connection; /* 0: no limit */
};

struct net;

/*
 * Binds and listens on every address for every worker; no thread is started yet, so that
 * privileges can be dropped between. publisher outlives the net. Returns 0, or RR_EIO / RR_ENOMEM
 * / RR_ELIMIT with each address that failed told in diag ("192.0.2.1:53 (udp): Permission
 * denied").
 */
int net_open(const struct net_options *options, struct publisher *publisher, struct net **net,
             struct diag *diag);

/* Starts the workers. Returns 0 or RR_ENOMEM / RR_EIO. When it returns, every worker serves. */
int net_start(struct net *net);

/*
 * Takes over new options while serving: opens sockets for new addresses, closes those no longer
 * named, starts or retires workers, without losing a datagram that reached a socket that stays.
 * All or nothing: where a socket can't be opened (diag tells which and that a restart is needed
 * where it is for want of privileges), nothing changes and the error is returned.
 */
int net_reconfigure(struct net *net, const struct net_options *options, struct diag *diag);

/*
 * Stops: no new connection, datagrams that wait in sockets and queries in flight on connections
 * still answered, then everything closed, after drain_ms at the most. Threads have ended when it
 * returns.
 */
void net_stop(struct net *net, unsigned drain_ms);
void net_free(struct net *net);

/* Workers that have ever been (retired ones keep their counters), and each one's counters. */
unsigned net_workers(const struct net *net);      /* serving now */
unsigned net_counter_sets(const struct net *net); /* all that were */
const struct counters *net_counters(const struct net *net, unsigned worker);
/* Of one zone's slot, summed over workers. */
void net_zone_counts(const struct net *net, uint32_t slot, uint64_t *queries, uint64_t *nxdomain,
                     uint64_t *bytes);
/* One worker's of one upstream server (net/upstream.h), by its slot; NULL where there is none. */
struct upstream_counts;
const struct upstream_counts *net_upstream_counts(const struct net *net, unsigned worker,
                                                  uint32_t slot);
/* Addresses served now; valid until the next net_reconfigure. */
size_t net_addresses(const struct net *net, const struct net_address **addresses);

#endif

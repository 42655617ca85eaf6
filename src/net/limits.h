/*
 * How many TCP connections there may be, in all and for one client address: the numbers of the
 * configuration, and the counts against them, shared by all workers.
 */
#ifndef RRDNS_NET_LIMITS_H
#define RRDNS_NET_LIMITS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#include "net/net.h"

enum {
    /*
     * Cells that client addresses are hashed to. Addresses that share one share its limit, so
     * there are many more of them than clients; at four octets they are 256 KiB.
     */
    LIMITS_CELLS = 1 << 16,
};

struct limits {
    /* From the configuration; changed while workers read them. */
    _Atomic unsigned clients_max, clients_per_address, idle_ms, queries_per_connection;
    _Atomic unsigned clients;
    uint8_t key[16]; /* random: nobody can aim at another's cell */
    _Atomic unsigned cells[LIMITS_CELLS];
};

enum limits_answer { LIMITS_ADMITTED, LIMITS_FULL, LIMITS_ADDRESS_FULL };

/* NULL where there is no memory. Freed with free(). */
struct limits *limits_new(const struct net_options *options);
void limits_set(struct limits *limits, const struct net_options *options);

/* The cell of a client address: of IPv4 the address, of IPv6 the /64 it is in. */
uint32_t limits_cell(const struct limits *limits, const struct sockaddr *peer);

/* One more connection of that cell; counted only where it was admitted. */
enum limits_answer limits_enter(struct limits *limits, uint32_t cell);
void limits_leave(struct limits *limits, uint32_t cell);

static inline unsigned limits_get(const _Atomic unsigned *limit)
{
    return atomic_load_explicit(limit, memory_order_relaxed);
}

#endif

/*
 * Which slot of the workers' counters is which upstream server's: the same as long as the server
 * runs, over reloads that leave the server out and bring it back too, as far as slots suffice.
 */
#ifndef RRDNS_DAEMON_UPSTREAM_SLOTS_H
#define RRDNS_DAEMON_UPSTREAM_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/upstream_totals.h"
#include "net/net.h"
#include "world/routes.h"

struct upstream_slot;

/* A zeroed one is empty. */
struct upstream_slots {
    uint64_t round; /* of assignments */
    struct upstream_slot *now[ROUTES_SERVERS_MAX];
    struct upstream_slot *next[ROUTES_SERVERS_MAX]; /* while an assignment is not settled */
};

/*
 * Gives every server of the groups its slot. To be settled before the next. net (NULL: nothing has
 * counted yet) tells what had been counted in a slot that changes hands. Returns 0; RR_ENOMEM or
 * RR_ELIMIT (more than ROUTES_SERVERS_MAX), when nothing is to be settled.
 */
int upstream_slots_assign(struct upstream_slots *slots, const struct net *net,
                          struct upstream_group *groups, size_t count);

/* What was assigned last is in force, or never will be. */
void upstream_slots_settle(struct upstream_slots *slots, bool adopted);

/* What the slot had counted before the server that has it now. NULL: nothing. */
const struct upstream_totals *upstream_slots_base(const struct upstream_slots *slots,
                                                  uint32_t slot);

void upstream_slots_clear(struct upstream_slots *slots);

#endif

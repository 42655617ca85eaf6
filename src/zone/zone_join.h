/*
 * The nodes of all parts of a zone, put together in order to one image: nodes of a part that was
 * written elsewhere are copied behind the parts before, their refs moved, their stubs replaced.
 */
#ifndef RRDNS_ZONE_ZONE_JOIN_H
#define RRDNS_ZONE_ZONE_JOIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "zone/rrset_build.h"
#include "zone/zone_nodes.h"

/* A zeroed one with zone set is ready. */
struct zone_join {
    struct zone *zone; /* arena in it grows; head and radix are set by whoever has all nodes */
    arena_ref *nodes;  /* in order */
    uint16_t *common;  /* symbols shared with the node before */
    uint64_t *ahead;   /* the symbols behind those, as the search tree wants them */
    size_t count, room;
    struct bytes places; /* struct target_place, of all targets */
};

/* Takes over the next part's nodes and places; a part that was written in the zone's own arena
 * stays where it is. False: no memory. */
bool zone_join_append(struct zone_join *join, const struct zone_nodes *part);

/* Forgets the nodes, not the memory for them. */
void zone_join_empty(struct zone_join *join);

void zone_join_free(struct zone_join *join);

#endif

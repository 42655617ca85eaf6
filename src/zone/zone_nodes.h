/*
 * The owners of one part, sorted -> nodes in an arena.
 *
 * What a node inherits (parent, cut, occlusion) is known when it is written, because ancestors come
 * first; names that exist only because something is below them (empty non-terminals) are written
 * on the way. Ancestors that stand in parts before are there as stubs: nodes like others, with
 * their keys, but no data. Whoever puts parts together puts the real ones in their place.
 */
#ifndef RRDNS_ZONE_ZONE_NODES_H
#define RRDNS_ZONE_ZONE_NODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "dns/name.h"
#include "zone/record_sort.h"
#include "zone/zone_group.h"
#include "zone/zone_targets.h"

/* An ancestor that stands in a part before. */
struct zone_stub {
    const uint8_t *key; /* relative to the apex */
    uint16_t key_size;
    bool has_ns, has_dname;
};

/* An open ancestor of the node being written. */
struct open_node {
    arena_ref ref;
    uint16_t key_size;
    arena_ref cut; /* as node.cut */
    bool dname;    /* a DNAME here or above hides what is below */
};

/* Used for one part after another. A zeroed one with records and diag set is ready. */
struct zone_nodes {
    const struct records *records;
    struct diag *diag;
    struct arena *arena; /* the part's */
    struct arena own;    /* room for parts that have none elsewhere */

    arena_ref *nodes; /* in order, the stubs first */
    uint16_t *common; /* symbols shared with the node before */
    size_t count, room;
    size_t stubs;

    struct open_node path[NAME_MAX_LABELS + 1];
    size_t depth;

    struct zone_group group; /* of the owner being added */
    struct bytes places;     /* struct target_place, of all targets */
    uint64_t rrsets;
};

/* Begins a part, in an arena that is emptied, below these ancestors, outermost first; with none it
 * begins with the zone's apex, and room for a struct zone_head is left before it, at ref 1. False:
 * no memory. */
bool zone_nodes_begin(struct zone_nodes *nodes, struct arena *arena, const struct zone_stub *stubs,
                      size_t count);

/* Begins the part behind the last one, in the same arena: that one's last node stands for all the
 * nodes before, as the only stub. */
void zone_nodes_go_on(struct zone_nodes *nodes);

/* Writes the nodes for count sorted owners. Faults and warnings go to diag. False: no memory. */
bool zone_nodes_add(struct zone_nodes *nodes, const struct sort_item *items, size_t count);

void zone_nodes_free(struct zone_nodes *nodes);

#endif

/*
 * A pass along the nodes of an image, each checked by what is known of those before it.
 * image_check's own.
 */
#ifndef RRDNS_ZONE_IMAGE_PASS_H
#define RRDNS_ZONE_IMAGE_PASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "zone/image_check.h"
#include "zone/image_tree.h"
#include "zone/zone.h"

/* The image that passes go along. */
struct image_area {
    struct zone *zone;
    size_t end;    /* octets of the arena */
    uint64_t *map; /* a bit for each unit of the arena in which a node begins */
};

/* Whether `size` octets from ref on are in the arena, and past its head. */
static inline bool image_area_has(const struct image_area *area, arena_ref ref, size_t size)
{
    size_t at = (size_t)ref * ARENA_UNIT;
    return at >= ZONE_HEAD_REF * ARENA_UNIT + sizeof(struct zone_head) && at <= area->end &&
           size <= area->end - at;
}

/* Words of the map for an arena of so many octets. */
size_t image_area_words(size_t end);

/* Whether a node begins at ref, wherever that is; known when all passes have come to their ends. */
bool image_area_begins(const struct image_area *area, arena_ref ref);

/* The ref of a node that is in the arena. */
static inline arena_ref image_area_ref(const struct image_area *area, const void *node)
{
    size_t at = (size_t)((const uint8_t *)node - area->zone->arena.base);
    return (arena_ref)(at / ARENA_UNIT);
}

/* An ancestor of the node being looked at, or the node itself. */
struct image_open_node {
    const struct node *node;
    bool hides;    /* a DNAME here or above: what is below is occluded */
    bool star_met; /* its "*" child came */
};

/* Where a pass is: what it knows after a node. */
struct image_place {
    const struct node *before; /* that node; NULL: it is to begin with the apex */
    size_t depth;
    struct image_open_node path[NAME_MAX_LABELS + 1];
    struct tree_walk tree;
};

/* The nodes behind begin.before, up to last. */
struct image_pass {
    const struct image_area *area;
    struct image_fault fault;
    int error;

    struct image_place begin, now;
    const struct node *last; /* NULL: the head's */
    /* The name of the innermost open node in lower case, at the end; ancestors' are its ends. Room
     * for a block before it (key_to_label_before). */
    uint8_t name[KEY_BLOCK + NAME_MAX_OCTETS];

    uint64_t nodes, rrsets, records;
    arena_ref *targets; /* nodes with RRsets that have targets */
    size_t target_count, target_room;
    size_t shared_word; /* of the map, also the part before's: its bits here, set at the end */
    uint64_t shared_bits;
};

/* Notes what is wrong; always RR_EFORMAT. */
int image_pass_broken(struct image_pass *pass, const void *at, const char *reason);

/* Goes through the pass's nodes. Returns 0; RR_EFORMAT with pass->fault; RR_ENOMEM. */
int image_pass_nodes(struct image_pass *pass);

/* Closes all open nodes with keys of more than `common` symbols; -1: all. Returns as above. */
int image_pass_close(struct image_pass *pass, long common);

/* Sets the bits of the map that are in a word of the pass before too, which must have ended. */
void image_pass_mark_shared(struct image_pass *pass);

/*
 * Makes of pass->now what the file says of the place after the node at ref. It need not be true, but
 * must be such that going on from there stays in bounds: so the open nodes must be in the image,
 * and their names those of one another's ancestors. False where that is not so.
 */
bool image_pass_begin_at(struct image_pass *pass, arena_ref ref);

/* Whether the pass that ended at `before` knows there what the next one began with; `after`, where
 * that one ended, then knows what the first one does. */
bool image_place_meets(const struct image_place *before, const struct image_place *begin,
                       struct image_place *after);

#endif

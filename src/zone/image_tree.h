/*
 * The search tree of an image, checked leaf by leaf beside the names it is over. image_check's own.
 *
 * The tree over given keys is the only one there is: where two neighbours part is a branch at that
 * symbol, and entries stand in the order in which radix_build hands them out, children together,
 * a branch's before those of what is under it. So a walk in the order of names that takes entries
 * just as they must be handed out meets each once, comes to an end whatever the file says, and
 * needs nothing but the path to where it is.
 */
#ifndef RRDNS_ZONE_IMAGE_TREE_H
#define RRDNS_ZONE_IMAGE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "zone/radix.h"

/* A branch on the way to the leaf last taken. */
struct tree_branch {
    uint64_t left; /* symbols whose children are still to come */
    uint32_t next; /* the entry of the first of them */
    uint32_t position;
};

struct tree_walk {
    const struct radix_entry *entries;
    uint32_t size;  /* entries in all */
    uint32_t given; /* entries handed out so far; 0: not known yet (tree_walk_at) */
    uint32_t began; /* what the first branch met says of how many those were before; 0: none yet */
    size_t depth;
    struct tree_branch path[KEY_MAX + 2]; /* positions rise along it */
};

/* Before the first leaf. size is at least 1. */
void tree_walk_begin(struct tree_walk *walk, const struct radix_entry *entries, uint32_t size);

/*
 * As if the last leaf at or before the node at ref had just been taken, for all that the tree says
 * itself: what comes before must lead here (tree_walk_meets). *leaf is its node. False where there
 * is no such leaf.
 */
bool tree_walk_at(struct tree_walk *walk, const struct radix_entry *entries, uint32_t size,
                  arena_ref ref, arena_ref *leaf);

/*
 * Takes the next leaf, which must be this name's. common: symbols that it shares with the name
 * before. Returns NULL, or what is wrong.
 */
const char *tree_walk_take(struct tree_walk *walk, const uint8_t *key, size_t size, arena_ref ref,
                           size_t common);

/* Whether the walk has taken all of the tree. */
bool tree_walk_ended(const struct tree_walk *walk);

/*
 * Whether `before` has come to just where `after` began, which is `begin`; after then goes on from
 * what before knows.
 */
bool tree_walk_meets(const struct tree_walk *before, const struct tree_walk *begin,
                     struct tree_walk *after);

#endif

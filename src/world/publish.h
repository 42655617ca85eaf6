/*
 * Publication by generations: how a new world reaches the workers and when the old one may go.
 *
 * A worker adopts at the top of each turn of its loop: it announces the generation of the world it
 * is about to use and keeps that world through the turn. The publisher stores the new world, wakes
 * everyone, and frees the old world once every worker has announced the new generation. No
 * locks, nothing to do for a reader but one load and one store a turn.
 */
#ifndef RRDNS_WORLD_PUBLISH_H
#define RRDNS_WORLD_PUBLISH_H

#include <stdatomic.h>
#include <stdint.h>

#include "world/world.h"

enum { PUBLISH_READERS_MAX = 256 };

struct publish_reader {
    _Alignas(64) _Atomic uint64_t generation; /* announced; UINT64_MAX: reads nothing */
    _Atomic int wake_fd;                      /* eventfd of the reader's loop */
};

struct publisher {
    _Atomic(struct world *) current;
    _Atomic uint32_t readers; /* reader slots in use are below this */
    uint64_t generation;      /* of the newest world; the publisher's thread only */
    struct publish_reader reader[PUBLISH_READERS_MAX];
};

/* first becomes generation 1. */
void publisher_init(struct publisher *publisher, struct world *first);

/*
 * Makes slot a reader, before its first adopt; no other join at the same time, but a publication
 * may be under way. wake_fd (an eventfd) is written to when a world is published, by a publication
 * under way even after publisher_leave: it must stay open until that is over. slot is below
 * PUBLISH_READERS_MAX.
 */
void publisher_join(struct publisher *publisher, uint32_t slot, int wake_fd);

/* The reader will adopt no more. From its own thread at its end, or after it ended. */
void publisher_leave(struct publisher *publisher, uint32_t slot);

/* The world to use until the next call. From the reader's thread, at the top of its loop. */
const struct world *publisher_adopt(struct publisher *publisher, uint32_t slot);

/*
 * Makes world the current one, returns when every reader uses it, and frees the one before. One
 * thread at a time.
 */
void publisher_publish(struct publisher *publisher, struct world *world);

#endif

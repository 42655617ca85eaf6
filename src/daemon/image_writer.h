/*
 * Writes shards of the image cache, one at a time, on a thread of its own at the lowest priority.
 * loader_images.c's own.
 */
#ifndef RRDNS_DAEMON_IMAGE_WRITER_H
#define RRDNS_DAEMON_IMAGE_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/image_names.h"
#include "zone/source.h"
#include "zone/zone.h"

struct image_shard_zone {
    struct zone *zone;          /* a reference that the shard's owner gives back */
    struct source_list sources; /* a copy */
    bool write;                 /* its own file, for a large zone */
};

/* All zones of a shard as they are to be found in the folder. */
struct image_shard {
    unsigned number;
    int folder;
    const char *directory; /* for messages */
    bool write_small;      /* the pack of its small zones */
    bool failed;           /* when done: not all was written */
    size_t count;
    struct image_shard_zone *zones;
};

struct image_writer;

/* done is called on the writer's thread when it has done with a shard. NULL: no memory. */
struct image_writer *image_writer_new(void (*done)(void *context), void *context);

/* Gives up what it is at and ends. NULL is harmless. */
void image_writer_free(struct image_writer *writer);

/* Hands it a shard, which must stay until done; one at a time. */
void image_writer_begin(struct image_writer *writer, struct image_shard *shard);

/* Whether it has a shard that it has not done with. */
bool image_writer_is_busy(struct image_writer *writer);

#endif

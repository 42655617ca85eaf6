/*
 * The cache of zone images in image_directory: read at the start, so that zones whose files have
 * not changed need no parsing, and kept up to date behind the loader's back while it is idle. The
 * loader's own; others see loader.h.
 *
 * Zones fall into 256 shards by a hash of their names. The small ones of a shard share a pack
 * (zone/image_pack.h), which is written anew as a whole; a zone of LOADER_IMAGES_LARGE or more has
 * a pack of its own. What is written is a shard at a time, on a thread at low priority that holds
 * references to just those zones.
 *
 * Only the start reads. A reload looks at zones because their files changed, and then no image
 * can be theirs; zones that it finds new had none, or theirs was removed with them.
 *
 * All functions are for the coordinator (and for who has no coordinator yet, or no more).
 */
#ifndef RRDNS_DAEMON_LOADER_IMAGES_H
#define RRDNS_DAEMON_LOADER_IMAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/diag.h"
#include "daemon/loader_table.h"

enum { LOADER_IMAGES_LARGE = 1 << 20 }; /* octets of an arena */

#define LOADER_IMAGES_REFUSED "image_directory is not used: %s"

struct loader_images;

/* A cache without a directory. ready is called from the writer's thread when loader_images_step has
 * something to do again. NULL: no memory. */
struct loader_images *loader_images_new(void (*ready)(void *context), void *context);

/* Gives up what is being written and frees all. NULL is harmless. */
void loader_images_free(struct loader_images *images);

/* Why a server that runs as user would not use the directory, but for another that does; or NULL. */
const char *loader_images_refuse(const char *directory, uid_t user);

/*
 * Makes directory ("" or NULL: none) the one in use. Another than before, which one of the same
 * path is where the path leads to another by now, is locked and looked at: one that can't be used
 * is told as a warning, and then there is none. Returns whether it is another than before: then all
 * zones there are have to be written.
 */
bool loader_images_use(struct loader_images *images, const char *directory, struct diag *diag);

/*
 * Fills in what has an image that is good and whose sources are unchanged, of a plan for the first
 * job: outcome, zone, sources, milliseconds, from_image; the others are left alone. What is wrong
 * with an image is a warning of its zone or, where it is more than one zone's, in diag.
 */
void loader_images_load(struct loader_images *images, struct loader_plan *plan,
                        const atomic_bool *stop, struct diag *diag);

/* Notes what images a plan has to have written, and those that could not be written before; before
 * its world is published. Harmless where that then fails. */
void loader_images_note(struct loader_images *images, const struct loader_plan *plan);
/* The same for all zones. */
void loader_images_note_all(struct loader_images *images);

/* Whether loader_images_step would do something. */
bool loader_images_pending(struct loader_images *images);

/* Takes back what the writer has done with and hands it the next shard. */
void loader_images_step(struct loader_images *images, const struct loader_table *table,
                        const struct world *world);

#endif

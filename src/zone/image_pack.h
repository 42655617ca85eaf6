/*
 * Packs: images of several zones in one file, each with the files that it was made from, so that
 * who finds one can tell whether it still is what those files say. The server's cache is made of
 * packs (daemon/loader_images.h); image.h has the form for a single zone that is passed on.
 *
 *   struct pack_header
 *   directory: an entry a zone, with its name and its sources
 *   the arenas, each at the next multiple of 8 octets
 *
 * As with images nothing in the file is trusted. But what it says of sources is taken as it is: who
 * can write a pack could pass other zone data off as that of a file. So image_pack_open takes only
 * files that nobody but root and the reader's user can write.
 */
#ifndef RRDNS_ZONE_IMAGE_PACK_H
#define RRDNS_ZONE_IMAGE_PACK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/source.h"
#include "zone/zone.h"

/* ---- Writing ---- */

struct image_pack_zone {
    const struct zone *zone;
    const struct source_list *sources;
};

/*
 * Writes a pack under a temporary name (IMAGE_PACK_TEMPORARY and six letters) in the folder, then
 * gives it its name. Nothing is synced: what a crash leaves broken is found by its checksums, and
 * is a cache. Gives up when *stop becomes true. Returns 0; RR_EIO with errno set; RR_ESTATE where
 * it was stopped; RR_ENOMEM.
 */
int image_pack_write(int folder, const char *name, const struct image_pack_zone *zones,
                     size_t count, const atomic_bool *stop);

#define IMAGE_PACK_TEMPORARY ".rrdns-image-"

/* ---- Reading ---- */

struct image_pack;

/*
 * Opens a pack and checks its directory. path is for messages. Returns 0; RR_EIO with errno set;
 * RR_EFORMAT with the reason in diag; RR_EPERM where it belongs to, or can be written by, others
 * than root and this process's user (diag has it too); RR_ENOMEM.
 */
int image_pack_open(int folder, const char *name, const char *path, struct image_pack **pack,
                    struct diag *diag);

/* The same for a pack in memory (tests, fuzzing), which must outlive the pack. */
int image_pack_parse(const char *path, const void *data, size_t size, struct image_pack **pack,
                     struct diag *diag);

void image_pack_close(struct image_pack *pack); /* NULL is harmless */

/* Makes the checksums of a file in memory right for what they cover, where that can be told (tests,
 * fuzzing: whoever can write a file can do so too). */
void image_pack_mend(uint8_t *data, size_t size);

struct image_pack_entry {
    uint8_t name[NAME_MAX_OCTETS]; /* wire form */
    uint64_t size;                 /* octets of the arena */
    /* The reader's. */
    size_t at, sources_at;
};

/*
 * The entry after this one; a zeroed one comes before the first. Returns false past the last.
 */
bool image_pack_next(const struct image_pack *pack, struct image_pack_entry *entry);

/* Whether the entry's first source has this path. */
bool image_pack_is_of(const struct image_pack *pack, const struct image_pack_entry *entry,
                      const char *path);

/* The entry's sources, into an empty list. Returns 0 or RR_ENOMEM. */
int image_pack_sources(const struct image_pack *pack, const struct image_pack_entry *entry,
                       struct source_list *sources);

/* Loads and checks the entry's zone, whose name must be the entry's, as image_read. */
int image_pack_load(const struct image_pack *pack, const struct image_pack_entry *entry,
                    size_t threads, struct zone **zone, struct diag *diag);

#endif

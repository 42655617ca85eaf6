/*
 * Offset bump allocator: one growing region whose objects are named by refs, 32-bit offsets in
 * units of 8 octets. So a finished arena can be moved, copied, checksummed, written to a file and
 * read back at any address without touching a byte of it.
 *
 * Built in a growing region, then sealed: given its exact size and, where it fills pages of its
 * own, made read-only. 32 bits of 8 octets are 32 GiB an arena; past that allocation fails, it
 * never wraps.
 *
 * Not thread safe while it grows; a sealed arena may be read by any thread.
 */
#ifndef RRDNS_BASE_ARENA_H
#define RRDNS_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARENA_UNIT = 8 };

/* Names an object in an arena; 0 is "none" (the first unit is never handed out). */
typedef uint32_t arena_ref;

struct arena {
    uint8_t *base;
    size_t used;     /* octets, a multiple of ARENA_UNIT */
    size_t capacity; /* octets */
    bool mapped;     /* base is a mapping of its own, not a malloc */
    bool huge;       /* in huge pages, where there are any */
    bool failed;     /* an allocation failed; all later ones do too */
};

/* An empty arena; the first allocation makes its region. */
void arena_init(struct arena *arena);

/* Frees the region. Harmless on an empty one. */
void arena_free(struct arena *arena);

/* Empties an unsealed arena, whose region is kept for what comes next. */
void arena_reset(struct arena *arena);

/*
 * size octets, zeroed, aligned to ARENA_UNIT; 0 where there is no memory or no offset left
 * (failed is then set). May move the region: pointers from arena_at are good until the next
 * allocation.
 */
arena_ref arena_alloc(struct arena *arena, size_t size);

static inline void *arena_at(const struct arena *arena, arena_ref ref)
{
    return arena->base + (size_t)ref * ARENA_UNIT;
}

/*
 * Makes an empty arena (arena_init) one of size octets, what a former arena had used, for the
 * caller to fill with that one's octets from base on and then to seal. Contents are undefined
 * until then. Returns 0; RR_ERANGE where no arena can have had that size; RR_ENOMEM.
 */
int arena_restore(struct arena *arena, size_t size);

/*
 * Ends building: the region shrinks to what is used; large ones become read-only. Returns 0, or
 * RR_ENOMEM (also when an allocation had failed), the arena then still to be freed.
 */
int arena_seal(struct arena *arena);

/*
 * The same for one of many small arenas: its region goes to *room, an empty arena, to be used for the
 * next, and what was used of it is copied to memory of its exact size. A large one keeps its region,
 * and *room stays empty.
 */
int arena_seal_apart(struct arena *arena, struct arena *room);

#endif

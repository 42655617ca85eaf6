/*
 * Arenas on their way to and from files, for image.c and image_pack.c: the sum over an arena's
 * octets, and the making of a zone from octets that nobody vouches for.
 */
#ifndef RRDNS_ZONE_IMAGE_ARENA_H
#define RRDNS_ZONE_IMAGE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/diag.h"
#include "zone/zone.h"

/* Where octets come from. */
struct image_octets {
    const char *name;    /* of the file, for messages */
    const uint8_t *data; /* all of it in memory; NULL: in fd */
    int fd;
    uint64_t size; /* octets in all */
};

/* size octets from `at` on. Returns 0; RR_EIO with errno set; RR_EFORMAT where they aren't there. */
int image_take(const struct image_octets *octets, uint64_t at, void *out, size_t size);

/* All or nothing, from the descriptor's place on. */
bool image_put(int fd, const void *data, size_t size);

/*
 * The sum of an arena: XXH3 with 128 bits, in canonical form, of its pieces of 1 MiB, chained. So
 * several threads can make it, each of what it has just read.
 */
void image_sum(const void *arena, size_t size, uint8_t sum[16]);

/* What a sum is compared with once it is made; what is wrong, or NULL. */
typedef const char *image_expect(const void *context, const uint8_t sum[16]);

/*
 * A zone of the size octets from `at` on, read and checked on up to `threads` threads. Returns
 * as image_read.
 */
int image_load(const struct image_octets *octets, uint64_t at, uint64_t size, size_t threads,
               image_expect *expect, const void *context, struct zone **zone, struct diag *diag);

#endif

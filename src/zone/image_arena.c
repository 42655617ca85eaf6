#include "zone/image_arena.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/crew.h"
#include "base/err.h"
#include "zone/image_check.h"

enum {
    PIECE = 1 << 20,     /* still in the cache when it is summed up after it was read */
    READ_STEP = 1 << 16, /* in a call, during which the kernel need not let go of the CPU */
};

int image_take(const struct image_octets *octets, uint64_t at, void *out, size_t size)
{
    if (at > octets->size || size > octets->size - at) {
        return RR_EFORMAT;
    }
    if (octets->data != NULL) {
        memcpy(out, octets->data + at, size);
        return RR_OK;
    }
    for (size_t got = 0; got < size;) {
        size_t step = size - got < READ_STEP ? size - got : READ_STEP;
        ssize_t n = pread(octets->fd, (uint8_t *)out + got, step, (off_t)(at + got));
        if (n == 0) {
            return RR_EFORMAT; /* shorter than it was */
        }
        if (n > 0) {
            got += (size_t)n;
        } else if (errno != EINTR) {
            return RR_EIO;
        }
        crew_give_way();
    }
    return RR_OK;
}

bool image_put(int fd, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        p += n;
        size -= (size_t)n;
    }
    return true;
}

static size_t pieces_of(size_t size)
{
    return (size + PIECE - 1) / PIECE;
}

static void sum_piece(const uint8_t *arena, size_t size, size_t piece, XXH128_canonical_t *sum)
{
    size_t at = piece * PIECE;
    size_t octets = size - at < PIECE ? size - at : PIECE;
    XXH128_canonicalFromHash(sum, XXH3_128bits(arena + at, octets));
}

/* Takes the sum of one more piece into the sum of those before it, which is zero at first. */
static void sum_add(uint8_t sum[16], const XXH128_canonical_t *piece)
{
    uint8_t both[2 * sizeof *piece];
    XXH128_canonical_t canonical;
    memcpy(both, sum, sizeof *piece);
    memcpy(both + sizeof *piece, piece->digest, sizeof *piece);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(both, sizeof both));
    memcpy(sum, canonical.digest, sizeof canonical.digest);
}

void image_sum(const void *arena, size_t size, uint8_t sum[16])
{
    memset(sum, 0, 16);
    for (size_t piece = 0; piece < pieces_of(size); piece++) {
        XXH128_canonical_t its;
        sum_piece(arena, size, piece, &its);
        sum_add(sum, &its);
    }
}

/* Reading by many: each takes the next piece. */
struct reading {
    const struct image_octets *octets;
    uint64_t at;
    struct arena *arena;
    size_t size; /* octets of the arena */
    XXH128_canonical_t *sums;
    atomic_size_t next;
    _Atomic int error, reason;
};

static void read_pieces(void *context)
{
    struct reading *r = context;
    while (atomic_load_explicit(&r->error, memory_order_relaxed) == RR_OK) {
        size_t piece = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed);
        if (piece >= pieces_of(r->size)) {
            break;
        }
        size_t at = piece * PIECE;
        size_t octets = r->size - at < PIECE ? r->size - at : PIECE;
        int error = image_take(r->octets, r->at + at, r->arena->base + at, octets);
        if (error != RR_OK) {
            atomic_store(&r->reason, errno);
            atomic_store(&r->error, error);
            break;
        }
        sum_piece(r->arena->base, r->size, piece, &r->sums[piece]);
        crew_give_way();
    }
}

/* Fills the arena and makes its sum. */
static int read_arena(const struct image_octets *octets, uint64_t at, size_t threads,
                      struct arena *arena, uint8_t sum[16])
{
    size_t pieces = pieces_of(arena->used);
    struct reading r = {.octets = octets, .at = at, .arena = arena, .size = arena->used};
    r.sums = malloc(pieces * sizeof *r.sums);
    if (r.sums == NULL) {
        return RR_ENOMEM;
    }
    threads = threads < pieces ? threads : pieces;
    crew_run(threads, read_pieces, &r);
    int error = atomic_load(&r.error);
    memset(sum, 0, 16);
    for (size_t piece = 0; piece < pieces && error == RR_OK; piece++) {
        sum_add(sum, &r.sums[piece]);
    }
    free(r.sums);
    errno = atomic_load(&r.reason);
    return error;
}

static int refuse(const struct image_octets *octets, struct diag *diag, const char *reason)
{
    diag_fault(diag, octets->name, 0, "%s", reason);
    return RR_EFORMAT;
}

static int fill(const struct image_octets *octets, uint64_t at, uint64_t size, size_t threads,
                image_expect *expect, const void *context, struct zone *zone, struct diag *diag)
{
    int error = size <= SIZE_MAX ? arena_restore(&zone->arena, (size_t)size) : RR_ERANGE;
    if (error != RR_OK) {
        return error == RR_ERANGE ? refuse(octets, diag, "zone image of an impossible size")
                                  : error;
    }
    uint8_t sum[16];
    error = read_arena(octets, at, threads > 0 ? threads : 1, &zone->arena, sum);
    if (error != RR_OK) {
        return error == RR_EFORMAT ? refuse(octets, diag, "zone image is cut short") : error;
    }
    const char *reason = expect(context, sum);
    if (reason != NULL) {
        return refuse(octets, diag, reason);
    }
    error = arena_seal(&zone->arena);
    if (error != RR_OK) {
        return error;
    }
    struct image_fault fault;
    error = image_check(zone, threads, &fault);
    if (error == RR_EFORMAT) {
        diag_fault(diag, octets->name, 0, "zone image is broken at octet %zu: %s",
                   (size_t)at + fault.at, fault.reason);
    }
    return error;
}

int image_load(const struct image_octets *octets, uint64_t at, uint64_t size, size_t threads,
               image_expect *expect, const void *context, struct zone **zone, struct diag *diag)
{
    struct zone *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return RR_ENOMEM;
    }
    *fresh = (struct zone){.magic = ZONE_MAGIC, .references = 1};
    arena_init(&fresh->arena);
    int error = fill(octets, at, size, threads, expect, context, fresh, diag);
    if (error != RR_OK) {
        int saved = errno;
        zone_unref(fresh);
        errno = saved;
        return error;
    }
    *zone = fresh;
    return RR_OK;
}

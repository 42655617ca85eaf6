/*
 * Large regions are mappings that mremap grows without copying (the kernel moves page tables);
 * small ones, the many zones of a few records, come from malloc so that 200,000 of them do not
 * cost a page each. The line between the two is SMALL.
 */
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/err.h"

enum {
    SMALL = 64 * 1024,
    PAGE = 4096,
    /* Octets given back or protected in one call, during which the kernel need not let a worker
     * have the CPU: 15 us. */
    STEP = 128 * 1024,
    /* From here on a restored arena comes in huge pages where there are any: filling small ones
     * costs as much as the reading. Those are given back and protected whole: to do so with a part
     * of one, the kernel would make small ones of it, and each is but one entry to it. */
    HUGE_FROM = 8 * 1024 * 1024,
    HUGE_PAGE = 2 * 1024 * 1024,
};

static const size_t ARENA_MAX = (size_t)UINT32_MAX * ARENA_UNIT;

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

/* How much of the region a step that begins at `at` takes. */
static size_t step_at(const struct arena *arena, size_t at)
{
    size_t left = arena->capacity - at;
    size_t whole = arena->huge ? HUGE_PAGE : STEP;
    size_t step = whole - ((uintptr_t)arena->base + at) % whole;
    return left < step ? left : step;
}

void arena_free(struct arena *arena)
{
    if (arena->mapped) {
        for (size_t at = 0; at < arena->capacity; at += step_at(arena, at)) {
            munmap(arena->base + at, step_at(arena, at));
            crew_give_way();
        }
    } else {
        free(arena->base);
        crew_step();
    }
    arena_init(arena);
}

void arena_reset(struct arena *arena)
{
    if (arena->used > 0) {
        memset(arena->base, 0, arena->used);
    }
    arena->used = 0;
}

static uint8_t *map_new(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

/*
 * The region grown to capacity, moved where need be; NULL: no memory. The thread sanitizer does not
 * see mremap, and takes a region that comes to lie where another thread's has been for that one.
 */
static uint8_t *map_grow(uint8_t *base, size_t from, size_t capacity)
{
#ifdef __SANITIZE_THREAD__
    uint8_t *p = map_new(capacity);
    if (p != NULL) {
        memcpy(p, base, from);
        munmap(base, from);
    }
    return p;
#else
    void *p = mremap(base, from, capacity, MREMAP_MAYMOVE);
    return p == MAP_FAILED ? NULL : p;
#endif
}

/* Room for at least `wanted` octets in all. Fresh memory past `used` is zero. */
static int grow(struct arena *arena, size_t wanted)
{
    size_t capacity = arena->capacity < 512 ? 512 : arena->capacity;
    while (capacity < wanted) {
        capacity *= 2;
    }
    if (arena->mapped) {
        uint8_t *p = map_grow(arena->base, arena->capacity, capacity);
        if (p == NULL) {
            return RR_ENOMEM;
        }
        arena->base = p;
    } else if (capacity <= SMALL) {
        uint8_t *p = realloc(arena->base, capacity);
        if (p == NULL) {
            return RR_ENOMEM;
        }
        memset(p + arena->capacity, 0, capacity - arena->capacity);
        arena->base = p;
    } else {
        uint8_t *p = map_new(capacity);
        if (p == NULL) {
            return RR_ENOMEM;
        }
        if (arena->used > 0) {
            memcpy(p, arena->base, arena->used);
        }
        free(arena->base);
        arena->base = p;
        arena->mapped = true;
    }
    arena->capacity = capacity;
    return RR_OK;
}

arena_ref arena_alloc(struct arena *arena, size_t size)
{
    size_t start = arena->used == 0 ? ARENA_UNIT : arena->used;
    size_t room = (size + ARENA_UNIT - 1) & ~(size_t)(ARENA_UNIT - 1);
    if (arena->failed || size > ARENA_MAX || room > ARENA_MAX - start ||
        (start + room > arena->capacity && grow(arena, start + room) != RR_OK)) {
        arena->failed = true;
        return 0;
    }
    arena->used = start + room;
    return (arena_ref)(start / ARENA_UNIT);
}

int arena_restore(struct arena *arena, size_t size)
{
    if (size == 0 || size % ARENA_UNIT != 0 || size > ARENA_MAX) {
        return RR_ERANGE;
    }
    size_t capacity = size;
    if (size > SMALL) {
        capacity = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
        arena->base = map_new(capacity);
        arena->mapped = true;
        if (arena->base != NULL && size >= HUGE_FROM) {
            arena->huge = madvise(arena->base, capacity, MADV_HUGEPAGE) == 0;
        }
    } else {
        arena->base = malloc(capacity);
    }
    if (arena->base == NULL) {
        arena_init(arena);
        return RR_ENOMEM;
    }
    arena->capacity = capacity;
    arena->used = size;
    return RR_OK;
}

int arena_seal_apart(struct arena *arena, struct arena *room)
{
    if (arena->failed || arena->mapped) {
        return arena_seal(arena);
    }
    uint8_t *exact = malloc(arena->used > 0 ? arena->used : 1);
    if (exact == NULL) {
        return RR_ENOMEM;
    }
    if (arena->used > 0) {
        memcpy(exact, arena->base, arena->used);
    }
    *room = *arena;
    arena_reset(room);
    *arena = (struct arena){.base = exact, .used = arena->used, .capacity = arena->used};
    return RR_OK;
}

int arena_seal(struct arena *arena)
{
    if (arena->failed) {
        return RR_ENOMEM;
    }
    if (!arena->mapped) {
        uint8_t *p = realloc(arena->base, arena->used > 0 ? arena->used : 1);
        if (p == NULL) {
            return RR_ENOMEM;
        }
        arena->base = p;
        arena->capacity = arena->used;
        return RR_OK;
    }
    /* mremap wants whole pages: a capacity that grew is a power of two above SMALL, the largest
     * page there is; a restored one is exact and stays. */
    size_t exact = (arena->used + PAGE - 1) & ~(size_t)(PAGE - 1);
    if (exact < arena->capacity) {
        void *p = mremap(arena->base, arena->capacity, exact, 0);
        if (p == MAP_FAILED) {
            return RR_ENOMEM;
        }
        arena->capacity = exact;
    }
    for (size_t at = 0; at < arena->capacity; at += step_at(arena, at)) {
        if (mprotect(arena->base + at, step_at(arena, at), PROT_READ) != 0) {
            return RR_ENOMEM;
        }
        crew_give_way();
    }
    return RR_OK;
}

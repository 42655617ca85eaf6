/*
 * Counting bits is one instruction on every x86-64 of the last fifteen years, but not in the
 * baseline that distributions build for, where it is a call. So the two searches are compiled twice
 * and the processor is asked; elsewhere the compiler knows.
 */
#include "zone/radix.h"

#include "base/crew.h"

#if defined(__x86_64__) && !defined(__POPCNT__)
#define RADIX_TWICE 1
#endif

/*
 * One step down from a branch: the child for the key's symbol there, or some child where there
 * is none for it (every leaf below then shares the same, longest, beginning with the key).
 */
static inline __attribute__((always_inline)) const struct radix_entry *
step(const struct radix_entry *entries, const struct radix_entry *e, const uint8_t *symbols,
     size_t size)
{
    uint32_t position = radix_position(e);
    unsigned symbol = position < size ? symbols[position] : KEY_SEPARATOR;
    uint64_t bitmap = radix_bitmap(e);
    uint64_t bit = (uint64_t)1 << symbol;
    unsigned index = (bitmap & bit) != 0 ? (unsigned)__builtin_popcountll(bitmap & (bit - 1)) : 0;
    return &entries[e->value + index];
}

static inline __attribute__((always_inline)) const struct radix_entry *
search(const struct radix_entry *entries, const uint8_t *symbols, size_t size)
{
    const struct radix_entry *e = entries;
    while (!radix_is_leaf(e)) {
        e = step(entries, e, symbols, size);
    }
    return e;
}

/* Searches that have ended leave the list, so that the last long one does not drag all along. */
static inline __attribute__((always_inline)) void search_many(struct radix_cursor *cursors,
                                                              size_t count)
{
    struct radix_cursor *active[RADIX_MANY_MAX];
    size_t n = 0;
    if (count == 1 && cursors->at != NULL) { /* none to take turns with */
        cursors->at = search(cursors->entries, cursors->symbols, cursors->size);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (cursors[i].at != NULL) {
            active[n++] = &cursors[i];
        }
    }
    while (n > 0) {
        size_t left = 0;
        for (size_t i = 0; i < n; i++) {
            struct radix_cursor *c = active[i];
            if (!radix_is_leaf(c->at)) { /* fetched since the round before */
                c->at = step(c->entries, c->at, c->symbols, c->size);
                __builtin_prefetch(c->at);
                active[left++] = c;
            }
        }
        n = left;
    }
}

#ifdef RADIX_TWICE
__attribute__((target("popcnt"))) static uint32_t
search_popcnt(const struct radix_entry *entries, const uint8_t *symbols, size_t size)
{
    return search(entries, symbols, size)->value;
}

__attribute__((target("popcnt"))) static void search_many_popcnt(struct radix_cursor *cursors,
                                                                 size_t count)
{
    search_many(cursors, count);
}
#endif

uint32_t radix_search(const struct radix_entry *entries, const uint8_t *symbols, size_t size)
{
#ifdef RADIX_TWICE
    if (__builtin_cpu_supports("popcnt")) {
        return search_popcnt(entries, symbols, size);
    }
#endif
    return search(entries, symbols, size)->value;
}

void radix_search_many(struct radix_cursor *cursors, size_t count)
{
#ifdef RADIX_TWICE
    if (__builtin_cpu_supports("popcnt")) {
        search_many_popcnt(cursors, count);
        return;
    }
#endif
    search_many(cursors, count);
}

static uint32_t rightmost(const struct radix_entry *entries, const struct radix_entry *e)
{
    while (!radix_is_leaf(e)) {
        e = &entries[e->value + (unsigned)__builtin_popcountll(radix_bitmap(e)) - 1];
    }
    return e->value;
}

bool radix_before(const struct radix_entry *entries, const uint8_t *symbols, size_t size,
                  size_t common, bool after, uint32_t *value)
{
    const struct radix_entry *e = entries;
    const struct radix_entry *left = NULL; /* the subtree just before all that e leads to */
    while (!radix_is_leaf(e) && radix_position(e) <= common) {
        uint32_t position = radix_position(e);
        unsigned symbol = position < size ? symbols[position] : KEY_SEPARATOR;
        uint64_t bitmap = radix_bitmap(e);
        uint64_t bit = (uint64_t)1 << symbol;
        unsigned lower = (unsigned)__builtin_popcountll(bitmap & (bit - 1));
        if (lower > 0) {
            left = &entries[e->value + lower - 1];
        }
        if ((bitmap & bit) == 0) {
            e = NULL;
            break;
        }
        e = &entries[e->value + lower];
    }
    /* All under e share the key's first `common` symbols: the key is before or after all of it. */
    if (e != NULL && after) {
        left = e;
    }
    if (left == NULL) {
        return false;
    }
    *value = rightmost(entries, left);
    return true;
}

/* Branches are the distinct values between which common beginnings rise: an increasing stack. */
size_t radix_count(const uint16_t *common, size_t count)
{
    uint16_t open[KEY_MAX + 2];
    size_t depth = 0, branches = 0;
    for (size_t i = 1; i < count; i++) {
        crew_step();
        while (depth > 0 && open[depth - 1] > common[i]) {
            depth--;
        }
        if (depth == 0 || open[depth - 1] < common[i]) {
            open[depth++] = common[i];
            branches++;
        }
    }
    return count + branches;
}

struct build {
    const struct radix_source *source;
    const uint16_t *common;
    struct radix_entry *entries;
    uint32_t next;
};

/* The symbol of a key at a position at or behind where it differs from the one before. */
static unsigned symbol_at(const struct build *b, size_t i, size_t position)
{
    size_t ahead = position - (i > 0 ? b->common[i] : 0);
    if (b->source->ahead != NULL && ahead < sizeof *b->source->ahead) {
        return b->source->ahead[i] >> (56 - 8 * ahead) & 0xff;
    }
    struct radix_key key = b->source->key(b->source->context, i);
    return position < key.size ? key.symbols[position] : KEY_SEPARATOR;
}

static void build_range(struct build *b, size_t low, size_t high, uint32_t at)
{
    if (high - low == 1) {
        b->entries[at] = (struct radix_entry){
            .meta = (uint32_t)1 << RADIX_LEAF_BIT,
            .value = b->source->value(b->source->context, low),
        };
        return;
    }
    uint16_t position = UINT16_MAX;
    for (size_t i = low + 1; i < high; i++) {
        if (b->common[i] < position) {
            position = b->common[i];
        }
    }
    size_t starts[KEY_SYMBOLS + 1];
    size_t children = 0;
    uint64_t bitmap = 0;
    for (size_t i = low; i < high; i++) {
        crew_step();
        if (i == low || b->common[i] == position) {
            bitmap |= (uint64_t)1 << symbol_at(b, i, position);
            starts[children++] = i;
        }
    }
    starts[children] = high;
    uint32_t first = b->next;
    b->next += (uint32_t)children;
    b->entries[at] = (struct radix_entry){
        .low = (uint32_t)bitmap,
        .meta = (uint32_t)(bitmap >> 32) | (uint32_t)position << RADIX_POSITION_SHIFT,
        .value = first,
    };
    for (size_t i = 0; i < children; i++) {
        build_range(b, starts[i], starts[i + 1], first + (uint32_t)i);
    }
}

void radix_build(const struct radix_source *source, const uint16_t *common,
                 struct radix_entry *entries)
{
    struct build b = {source, common, entries, 1};
    build_range(&b, 0, source->count, 0);
}

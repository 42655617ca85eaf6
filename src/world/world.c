/*
 * The nearest apex above a name: a search of the tree over all apexes ends at the apex that shares
 * the longest beginning with the name; any apex at or above the name is then an ancestor of that
 * one (or itself), so the answer is found by climbing its chain of enclosing zones.
 */
#include "world/world.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "zone/radix.h"

enum { WORLD_MAGIC = 0x776f726c, LOCATE_MAX = 64 };

struct index_entry {
    uint32_t key_at;   /* of its key in keys */
    uint32_t name_at;  /* of its wire name in names */
    uint32_t parent;   /* position of the enclosing zone, or WORLD_NONE */
    uint16_t key_size;
};

struct zone_index {
    size_t references;
    size_t count;
    struct index_entry *entries; /* by canonical order of the apexes */
    uint8_t *keys;
    uint8_t *names;
    struct radix_entry *radix; /* NULL where there are no zones */
};

/* --- building --- */

struct named {
    const uint8_t *name;
    uint32_t from; /* place among the names given */
    uint32_t key_at;
    uint16_t key_size;
    uint8_t name_size;
};

static _Thread_local const uint8_t *compare_keys; /* qsort has no context */

static int compare_named(const void *x, const void *y)
{
    const struct named *a = x, *b = y;
    return key_compare(compare_keys + a->key_at, a->key_size, compare_keys + b->key_at,
                       b->key_size);
}

/* As the names of a configuration are. */
static bool is_sorted(const struct named *named, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (compare_named(&named[i - 1], &named[i]) > 0) {
            return false;
        }
    }
    return true;
}

static struct radix_key index_key(const void *context, size_t i)
{
    const struct zone_index *index = context;
    const struct index_entry *e = &index->entries[i];
    return (struct radix_key){index->keys + e->key_at, e->key_size};
}

static uint32_t index_value(const void *context, size_t i)
{
    (void)context;
    return (uint32_t)i;
}

static bool index_radix(struct zone_index *index)
{
    uint16_t *common = malloc((index->count + 1) * sizeof *common);
    if (common == NULL) {
        return false;
    }
    for (size_t i = 1; i < index->count; i++) {
        const struct index_entry *a = &index->entries[i - 1], *b = &index->entries[i];
        common[i] = (uint16_t)key_common(index->keys + a->key_at, a->key_size,
                                         index->keys + b->key_at, b->key_size);
    }
    struct radix_source source = {
        .count = index->count, .key = index_key, .value = index_value, .context = index};
    index->radix = malloc(radix_count(common, index->count) * sizeof *index->radix);
    if (index->radix != NULL) {
        radix_build(&source, common, index->radix);
    }
    free(common);
    return index->radix != NULL;
}

static bool encloses(const struct zone_index *index, uint32_t outer, const uint8_t *key,
                     size_t key_size)
{
    const struct index_entry *e = &index->entries[outer];
    return e->key_size <= key_size && memcmp(index->keys + e->key_at, key, e->key_size) == 0;
}

/* The enclosing zone of each: the one before it, or one of that one's enclosing zones. */
static void index_parents(struct zone_index *index)
{
    for (uint32_t i = 0; i < index->count; i++) {
        struct index_entry *e = &index->entries[i];
        uint32_t parent = i > 0 ? i - 1 : WORLD_NONE;
        while (parent != WORLD_NONE &&
               !encloses(index, parent, index->keys + e->key_at, e->key_size)) {
            parent = index->entries[parent].parent;
        }
        e->parent = parent;
    }
}

static int index_fill(struct zone_index *index, struct named *named, uint32_t *order)
{
    compare_keys = index->keys;
    if (!is_sorted(named, index->count)) {
        qsort(named, index->count, sizeof *named, compare_named);
    }
    uint32_t name_at = 0;
    for (size_t i = 0; i < index->count; i++) {
        if (i > 0 && compare_named(&named[i - 1], &named[i]) == 0) {
            return RR_EEXIST;
        }
        index->entries[i] = (struct index_entry){
            .key_at = named[i].key_at,
            .key_size = named[i].key_size,
            .name_at = name_at,
        };
        for (size_t n = 0; n < named[i].name_size; n++) {
            index->names[name_at++] = name_lower(named[i].name[n]);
        }
        order[named[i].from] = (uint32_t)i;
    }
    index_parents(index);
    return index->count == 0 || index_radix(index) ? RR_OK : RR_ENOMEM;
}

int zone_index_new(const uint8_t *const *names, size_t count, uint32_t *order,
                   struct zone_index **result)
{
    *result = NULL;
    if (count > WORLD_ZONES_MAX) {
        return RR_ELIMIT;
    }
    struct zone_index *index = calloc(1, sizeof *index);
    struct named *named = malloc((count + 1) * sizeof *named);
    if (index == NULL || named == NULL) {
        free(index);
        free(named);
        return RR_ENOMEM;
    }
    index->references = 1;
    index->count = count;
    size_t key_octets = 0, name_octets = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = name_size(names[i]);
        named[i] = (struct named){.name = names[i], .from = (uint32_t)i,
                                  .name_size = (uint8_t)size};
        name_octets += size;
        key_octets += 2 * size;
    }
    index->entries = malloc((count + 1) * sizeof *index->entries);
    index->keys = malloc(key_octets + 1);
    index->names = malloc(name_octets + 1);
    int error = RR_ENOMEM;
    if (index->entries != NULL && index->keys != NULL && index->names != NULL) {
        uint32_t key_at = 0;
        for (size_t i = 0; i < count; i++) {
            struct key key;
            key_from_name(names[i], &key);
            memcpy(index->keys + key_at, key.symbols, key.size);
            named[i].key_at = key_at;
            named[i].key_size = key.size;
            key_at += key.size;
        }
        error = index_fill(index, named, order);
    }
    free(named);
    if (error != RR_OK) {
        zone_index_unref(index);
        return error;
    }
    *result = index;
    return RR_OK;
}

struct zone_index *zone_index_ref(struct zone_index *index)
{
    index->references++;
    return index;
}

void zone_index_unref(struct zone_index *index)
{
    if (index == NULL || --index->references > 0) {
        return;
    }
    free(index->entries);
    free(index->keys);
    free(index->names);
    free(index->radix);
    free(index);
}

size_t zone_index_count(const struct zone_index *index)
{
    return index->count;
}

const uint8_t *zone_index_name(const struct zone_index *index, uint32_t position)
{
    return index->names + index->entries[position].name_at;
}

uint16_t zone_index_key_size(const struct zone_index *index, uint32_t position)
{
    return index->entries[position].key_size;
}

/* --- worlds --- */

struct world *world_new(struct zone_index *index, const struct settings *settings)
{
    struct world *world = calloc(1, sizeof *world);
    struct world_zone *zones = calloc(index->count + 1, sizeof *zones);
    if (world == NULL || zones == NULL) {
        free(world);
        free(zones);
        return NULL;
    }
    world->magic = WORLD_MAGIC;
    world->index = zone_index_ref(index);
    world->zones = zones;
    world->settings = *settings;
    return world;
}

void world_free(struct world *world)
{
    if (world == NULL) {
        return;
    }
    assert(world->magic == WORLD_MAGIC);
    world->magic = 0;
    const struct world *heir = world->heir;
    for (size_t i = 0; i < world->index->count; i++) {
        if (heir == NULL || heir->zones[i].signing != world->zones[i].signing) {
            signing_unref(world->zones[i].signing);
        }
        if (heir == NULL || heir->zones[i].zone != world->zones[i].zone) {
            zone_unref(world->zones[i].zone);
        }
    }
    zone_index_unref(world->index);
    free(world->zones);
    free(world);
}

/* --- lookups --- */

static uint32_t climb(const struct zone_index *index, uint32_t position, const uint8_t *key,
                      size_t key_size)
{
    while (position != WORLD_NONE && !encloses(index, position, key, key_size)) {
        position = index->entries[position].parent;
    }
    return position;
}

uint32_t zone_index_locate(const struct zone_index *index, const struct key *key)
{
    if (index->radix == NULL) {
        return WORLD_NONE;
    }
    return climb(index, radix_search(index->radix, key->symbols, key->size), key->symbols,
                 key->size);
}

uint32_t world_locate(const struct world *world, const struct key *key)
{
    return zone_index_locate(world->index, key);
}

void world_locate_many(const struct world *world, const struct key *const *keys, size_t count,
                       uint32_t *positions)
{
    const struct zone_index *index = world->index;
    struct radix_cursor cursors[LOCATE_MAX];
    for (size_t from = 0; from < count; from += LOCATE_MAX) {
        size_t n = count - from < LOCATE_MAX ? count - from : LOCATE_MAX;
        for (size_t i = 0; i < n; i++) {
            cursors[i] = (struct radix_cursor){index->radix, index->radix,
                                               keys[from + i]->symbols, keys[from + i]->size};
        }
        radix_search_many(cursors, n);
        for (size_t i = 0; i < n; i++) {
            if (cursors[i].at != NULL) {
                __builtin_prefetch(&index->entries[cursors[i].at->value]);
                __builtin_prefetch(&world->zones[cursors[i].at->value]); /* for the caller */
            }
        }
        for (size_t i = 0; i < n; i++) {
            if (cursors[i].at != NULL) {
                __builtin_prefetch(index->keys + index->entries[cursors[i].at->value].key_at);
            }
        }
        for (size_t i = 0; i < n; i++) {
            positions[from + i] = cursors[i].at == NULL
                                      ? WORLD_NONE
                                      : climb(index, cursors[i].at->value,
                                              keys[from + i]->symbols, keys[from + i]->size);
        }
    }
}

uint32_t world_parent(const struct world *world, uint32_t position)
{
    return world->index->entries[position].parent;
}

uint32_t world_find(const struct world *world, const uint8_t *name)
{
    struct key key;
    key_from_name(name, &key);
    uint32_t position = world_locate(world, &key);
    if (position != WORLD_NONE && world->index->entries[position].key_size == key.size) {
        return position;
    }
    return WORLD_NONE;
}

#include "zone/records.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/key.h"
#include "dns/name.h"
#include "zone/records_list.h"

enum {
    /*
     * The last room of a chunk is kept free for one record of the largest size, so a chunk of 1 MiB
     * wastes a sixteenth. The first is small: most zones are.
     */
    ROOM = 65535 + sizeof(struct record) + 8,
    OWNER_ROOM = sizeof(struct record_owner) + KEY_MAX + NAME_MAX_OCTETS + 8,
    CHUNK_FIRST = 2 * (ROOM + OWNER_ROOM),
    CHUNK = 1 << 20,
};

struct records *records_new(const uint8_t *apex)
{
    struct records *records = calloc(1, sizeof *records);
    if (records == NULL) {
        return NULL;
    }
    struct key key;
    key_from_name(apex, &key);
    records->apex_key_size = key.size;
    records->apex_size = (uint8_t)name_size(apex);
    records->apex_labels = (uint8_t)name_labels(apex);
    memcpy(records->apex, apex, records->apex_size);
    return records;
}

void records_free(struct records *records)
{
    if (records == NULL) {
        return;
    }
    for (struct record_chunk *chunk = records->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    for (uint32_t i = 0; i < records->files; i++) {
        free(records->file[i]);
    }
    free(records->file);
    free(records);
}

/* The last chunk with at least `room` octets free, a new one where it has not. */
static struct record_chunk *chunk_with(struct records *records, size_t room)
{
    struct record_chunk *chunk = records->last;
    if (chunk != NULL && chunk->size - chunk->used >= room) {
        return chunk;
    }
    size_t size = chunk == NULL ? CHUNK_FIRST : CHUNK;
    struct record_chunk *fresh = malloc(sizeof *fresh + size);
    if (fresh == NULL) {
        return NULL;
    }
    *fresh = (struct record_chunk){.size = size};
    if (chunk == NULL) {
        records->first = fresh;
    } else {
        chunk->next = fresh;
    }
    records->last = fresh;
    return fresh;
}

static struct record_owner *owner_append(struct records *records, const uint8_t *key,
                                         uint16_t key_size, const uint8_t *name, uint8_t size,
                                         bool cased)
{
    struct record_chunk *chunk = chunk_with(records, OWNER_ROOM + ROOM);
    if (chunk == NULL) {
        return NULL;
    }
    struct record_owner *owner = (struct record_owner *)(void *)(chunk->data + chunk->used);
    size_t relative = cased ? (size_t)size - records->apex_size : 0;
    size_t first_at = record_align(sizeof *owner + key_size + relative);
    *owner = (struct record_owner){
        .size = (uint32_t)first_at,
        .first_at = (uint16_t)first_at,
        .key_size = key_size,
        .name_size = size,
        .cased = cased,
    };
    memcpy(owner + 1, key, key_size);
    memcpy((uint8_t *)(owner + 1) + key_size, name, relative);
    chunk->used += first_at;
    chunk->owners++;
    records->owners++;
    records->owner = owner;
    return owner;
}

int records_owner(struct records *records, const uint8_t *owner)
{
    if (!name_is_under(owner, records->apex)) {
        return RR_ENOENT;
    }
    struct key key;
    key_from_name(owner, &key);
    size_t size = name_size(owner);
    bool cased = false;
    for (size_t i = 0; i + records->apex_size < size; i++) {
        cased |= name_lower(owner[i]) != owner[i];
    }
    struct record_owner *added =
        owner_append(records, key.symbols + records->apex_key_size,
                     (uint16_t)(key.size - records->apex_key_size), owner, (uint8_t)size, cased);
    return added != NULL ? RR_OK : RR_ENOMEM;
}

uint8_t *records_room(struct records *records)
{
    struct record_chunk *chunk = records->last;
    if (chunk->size - chunk->used < ROOM) {
        const struct record_owner *owner = records->owner;
        const uint8_t *key = record_owner_key(owner);
        if (owner_append(records, key, owner->key_size, key + owner->key_size, owner->name_size,
                         owner->cased != 0) == NULL) {
            return NULL;
        }
        chunk = records->last;
    }
    struct record *record = (struct record *)(void *)(chunk->data + chunk->used);
    return record->rdata;
}

void records_add(struct records *records, uint16_t type, uint32_t ttl, size_t size, uint32_t file,
                 uint32_t line)
{
    struct record_chunk *chunk = records->last;
    struct record *record = (struct record *)(void *)(chunk->data + chunk->used);
    record->ttl = ttl;
    record->line = line;
    record->file = file;
    record->type = type;
    record->size = (uint16_t)size;
    size_t span = record_align(sizeof *record + size);
    chunk->used += span;
    records->owner->size += (uint32_t)span;
    records->owner->count++;
    records->count++;
}

uint32_t records_file(struct records *records, const char *path)
{
    char *copy = strdup(path);
    char **files = realloc(records->file, (records->files + 1) * sizeof *files);
    if (files != NULL) {
        records->file = files;
    }
    if (copy == NULL || files == NULL) {
        free(copy);
        return UINT32_MAX;
    }
    files[records->files] = copy;
    return records->files++;
}

size_t records_count(const struct records *records)
{
    return records->count;
}

void record_owner_name(const struct records *records, const struct record_owner *owner,
                       uint8_t *name)
{
    const uint8_t *key = record_owner_key(owner);
    if (owner->cased) {
        size_t relative = (size_t)owner->name_size - records->apex_size;
        memcpy(name, key + owner->key_size, relative);
        memcpy(name + relative, records->apex, records->apex_size);
    } else {
        key_to_name(key, owner->key_size, records->apex, name);
    }
}

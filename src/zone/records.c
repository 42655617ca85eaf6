/*
 * Which part a name belongs to is found by eight symbols of its key, one number to compare. They
 * are taken behind the symbols that all samples begin with, or all names of a zone whose data lies
 * under one name would be in one part; names that begin otherwise go to the first or the last, so
 * parts are in canonical order whatever comes.
 */
#include "zone/records.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/key.h"
#include "dns/name.h"
#include "zone/records_list.h"

enum {
    RDATA_ROOM = 65535,
    /* The first chunk of a part: many zones are small, and some parts stay so. */
    CHUNK_FIRST = 2048 - sizeof(struct record_chunk) - RECORD_SLACK,
    /* Then twice as much each time, up to this. From CHUNK_MAPPED on a chunk is a mapping of its
     * own: a part that has been built gives its memory back while others are. */
    CHUNK_MOST = 256 * 1024 - sizeof(struct record_chunk) - RECORD_SLACK,
    CHUNK_MAPPED = 64 * 1024,
};

/* All but the memory that is kept from zone to zone. */
static void set_apex(struct records *records, const uint8_t *apex)
{
    struct key key;
    key_from_name(apex, &key);
    records->part = &records->only;
    records->parts = 1;
    records->apex_key_size = key.size;
    records->apex_size = (uint8_t)name_size(apex);
    records->apex_labels = (uint8_t)name_labels(apex);
    memcpy(records->apex, apex, records->apex_size);
}

struct records *records_new(const uint8_t *apex)
{
    struct records *records = calloc(1, sizeof *records);
    if (records != NULL) {
        set_apex(records, apex);
    }
    return records;
}

/* Parts that records_split made. */
static void free_parts(struct records *records)
{
    if (records->part != &records->only) {
        free(records->part);
    }
    free(records->limit);
    records->limit = NULL;
}

static void free_files(struct records *records)
{
    for (uint32_t i = 0; i < records->files; i++) {
        free(records->file[i]);
    }
    records->files = 0;
}

void records_renew(struct records *records, const uint8_t *apex)
{
    records_clear(records);
    free_parts(records);
    free_files(records);
    set_apex(records, apex);
}

void records_free(struct records *records)
{
    if (records == NULL) {
        return;
    }
    records_clear(records);
    free_parts(records);
    free_files(records);
    free(records->file);
    free(records->spare);
    free(records);
}

/* ---- Parts ---- */

size_t records_part(const struct records *records, const uint8_t *key, size_t size)
{
    if (records->parts == 1) {
        return 0;
    }
    size_t shared = size < records->depth ? size : records->depth;
    int order = memcmp(key, records->beginning, shared);
    if (order != 0 || shared < records->depth) {
        return order <= 0 ? 0 : records->parts - 1;
    }
    uint64_t prefix = key_prefix(key, size, records->depth);
    const uint64_t *limit = records->limit;
    size_t low = 0;
    for (size_t count = records->parts - 1; count > 0;) {
        size_t half = (count + 1) / 2;
        low += limit[low + half - 1] <= prefix ? half : 0;
        count -= half;
    }
    return low;
}

static int compare_prefixes(const void *x, const void *y)
{
    uint64_t a, b;
    memcpy(&a, x, sizeof a);
    memcpy(&b, y, sizeof b);
    return a < b ? -1 : a > b;
}

/* What all samples begin with, past the apex. */
static void find_beginning(struct records *records, const struct key *samples, size_t count)
{
    size_t skip = records->apex_key_size;
    size_t depth = samples[0].size - skip;
    for (size_t i = 1; i < count; i++) {
        depth = key_common(samples[0].symbols + skip, depth, samples[i].symbols + skip,
                           samples[i].size - skip);
    }
    records->depth = depth;
    memcpy(records->beginning, samples[0].symbols + skip, depth);
}

/* Limits between equal numbers of samples, each once; returns how many. */
static size_t choose_limits(struct records *records, const struct key *samples, size_t count,
                            size_t parts, uint64_t *prefixes)
{
    size_t skip = records->apex_key_size;
    for (size_t i = 0; i < count; i++) {
        prefixes[i] = key_prefix(samples[i].symbols + skip, samples[i].size - skip, records->depth);
    }
    qsort(prefixes, count, sizeof *prefixes, compare_prefixes);
    size_t limits = 0;
    for (size_t i = 1; i < parts; i++) {
        uint64_t limit = prefixes[i * count / parts];
        if (limit > (limits > 0 ? records->limit[limits - 1] : 0)) {
            records->limit[limits++] = limit;
        }
    }
    return limits;
}

int records_split(struct records *records, const struct key *samples, size_t count, size_t parts)
{
    parts = parts < RECORDS_PARTS_MAX ? parts : RECORDS_PARTS_MAX;
    if (count == 0 || parts < 2) {
        return RR_OK;
    }
    uint64_t *prefixes = malloc(count * sizeof *prefixes);
    struct record_part *part = calloc(parts, sizeof *part);
    records->limit = malloc(parts * sizeof *records->limit);
    if (prefixes == NULL || part == NULL || records->limit == NULL) {
        free(prefixes);
        free(part);
        return RR_ENOMEM;
    }
    find_beginning(records, samples, count);
    records->parts = 1 + choose_limits(records, samples, count, parts, prefixes);
    records->part = part;
    free(prefixes);
    return RR_OK;
}

struct records *records_like(const struct records *records)
{
    struct records *made = records_new(records->apex);
    struct record_part *part = calloc(records->parts, sizeof *part);
    uint64_t *limit = malloc(records->parts * sizeof *limit);
    if (made == NULL || part == NULL || limit == NULL) {
        records_free(made);
        free(part);
        free(limit);
        return NULL;
    }
    made->part = part;
    made->limit = limit;
    made->parts = records->parts;
    made->depth = records->depth;
    memcpy(made->beginning, records->beginning, records->depth);
    if (records->parts > 1) {
        memcpy(limit, records->limit, (records->parts - 1) * sizeof *limit);
    }
    return made;
}

void records_join(struct records *records, struct records *from)
{
    for (size_t i = 0; i < records->parts; i++) {
        struct record_part *part = &records->part[i], *more = &from->part[i];
        if (part->last == NULL) {
            part->first = more->first;
        } else {
            part->last->next = more->first;
        }
        part->last = more->last != NULL ? more->last : part->last;
        part->owners += more->owners;
        *more = (struct record_part){0};
    }
    records->count += from->count;
    records->owner = NULL;
    from->count = 0;
}

/* ---- Chunks ---- */

static struct record_chunk *chunk_new(size_t size)
{
    size_t whole = sizeof(struct record_chunk) + size + RECORD_SLACK;
    void *room;
    if (size < CHUNK_MAPPED) {
        room = malloc(whole);
    } else {
        room = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        room = room != MAP_FAILED ? room : NULL;
    }
    struct record_chunk *chunk = room;
    if (chunk != NULL) {
        *chunk = (struct record_chunk){.size = size};
    }
    return chunk;
}

/* Whether the chunk is to be kept for the next zone. Of several parts none is: several threads may
 * be dropping them. */
static bool is_spare(const struct records *records, const struct record_chunk *chunk)
{
    return records->parts == 1 && records->spare == NULL && chunk->size == CHUNK_FIRST;
}

void records_drop(struct records *records, size_t i)
{
    struct record_part *part = &records->part[i];
    for (struct record_chunk *chunk = part->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        if (is_spare(records, chunk)) {
            *chunk = (struct record_chunk){.size = CHUNK_FIRST};
            records->spare = chunk;
        } else if (chunk->size < CHUNK_MAPPED) {
            free(chunk);
        } else {
            munmap(chunk, sizeof *chunk + chunk->size + RECORD_SLACK);
            crew_give_way();
        }
    }
    *part = (struct record_part){0};
}

void records_clear(struct records *records)
{
    for (size_t i = 0; i < records->parts; i++) {
        records_drop(records, i);
    }
    records->owner = NULL;
    records->count = 0;
}

static size_t next_size(const struct record_chunk *last, size_t room)
{
    size_t whole = last == NULL ? CHUNK_FIRST : 2 * last->size;
    whole = whole < CHUNK_MOST ? whole : CHUNK_MOST;
    return whole > room ? whole : room;
}

/* The part's last chunk with at least `room` octets free, a new one where it has not. */
static struct record_chunk *chunk_with(struct records *records, size_t room)
{
    struct record_part *part = records->current;
    struct record_chunk *chunk = part->last;
    if (chunk != NULL && chunk->size - chunk->used >= room) {
        return chunk;
    }
    size_t size = next_size(chunk, room);
    struct record_chunk *fresh = records->spare;
    if (fresh != NULL && size == CHUNK_FIRST) {
        records->spare = NULL;
    } else {
        fresh = chunk_new(size);
    }
    if (fresh == NULL) {
        return NULL;
    }
    if (chunk == NULL) {
        part->first = fresh;
    } else {
        chunk->next = fresh;
    }
    part->last = fresh;
    return fresh;
}

/* ---- Adding ---- */

/* An owner without records, in a chunk with room for a record of `room` octets behind it. */
static struct record_owner *owner_append(struct records *records, const struct record_owner *head,
                                         const uint8_t *key, const uint8_t *name, size_t room)
{
    struct record_part *part = records->current;
    size_t relative = head->cased ? (size_t)head->name_size - records->apex_size : 0;
    size_t first_at = record_align(sizeof *head + head->key_size + relative);
    struct record_chunk *chunk = chunk_with(records, first_at + room);
    if (chunk == NULL) {
        return NULL;
    }
    struct record_owner *owner = (struct record_owner *)(void *)(chunk->data + chunk->used);
    *owner = *head;
    owner->count = 0;
    owner->size = (uint32_t)first_at;
    owner->first_at = (uint16_t)first_at;
    memcpy(owner + 1, key, head->key_size);
    memcpy((uint8_t *)(owner + 1) + head->key_size, name, relative);
    chunk->used += first_at;
    chunk->owners++;
    part->owners++;
    records->owner = owner;
    return owner;
}

int records_owner(struct records *records, const uint8_t *owner)
{
    size_t size = name_size(owner);
    size_t relative = size > records->apex_size ? size - records->apex_size : 0, pos = 0;
    unsigned labels = 0;
    for (; pos < relative; pos += 1u + owner[pos]) {
        labels++;
    }
    if (pos != relative || !name_equal(owner + relative, records->apex)) {
        return RR_ENOENT;
    }
    bool cased = false;
    for (size_t i = 0; i < relative; i++) {
        cased |= name_lower(owner[i]) != owner[i];
    }
    struct key key; /* the apex's part of it is the same for all */
    key_from_labels(owner, labels, &key);
    struct record_owner head = {
        .key_size = key.size,
        .name_size = (uint8_t)size,
        .cased = cased,
    };
    records->current = &records->part[records_part(records, key.symbols, key.size)];
    bool added = owner_append(records, &head, key.symbols, owner, 0) != NULL;
    return added ? RR_OK : RR_ENOMEM;
}

/* 64 KiB from malloc and back for each of 100,000 small zones would make it tidy its heap each time;
 * this is in the cache. */
static _Thread_local uint8_t room_of_thread[RDATA_ROOM];

uint8_t *records_room(void)
{
    return room_of_thread;
}

int records_add(struct records *records, uint16_t type, uint32_t ttl, size_t size, uint32_t file,
                uint32_t line)
{
    struct record_owner *owner = records->owner;
    struct record_chunk *chunk = records->current->last;
    size_t span = record_align(sizeof(struct record) + size);
    if (chunk->size - chunk->used < span || (owner->count > 0 && owner->file != file)) {
        const uint8_t *key = record_owner_key(owner);
        owner = owner_append(records, owner, key, key + owner->key_size, span);
        if (owner == NULL) {
            return RR_ENOMEM;
        }
        chunk = records->current->last;
    }
    struct record *record = (struct record *)(void *)(chunk->data + chunk->used);
    *record = (struct record){.ttl = ttl, .line = line, .type = type, .size = (uint16_t)size};
    memcpy(record->rdata, room_of_thread, size);
    chunk->used += span;
    owner->file = file;
    owner->size += (uint32_t)span;
    owner->count++;
    records->count++;
    return RR_OK;
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

/*
 * What struct records looks like inside: for the builders of zones alone.
 *
 * Memory is lists of chunks, one list a part. In chunks stand owners, each followed by its records;
 * a run of records that reaches a chunk's end or comes to another file goes on under a second
 * owner of the same name, which sorting brings together again. Everything is aligned to 4.
 */
#ifndef RRDNS_ZONE_RECORDS_LIST_H
#define RRDNS_ZONE_RECORDS_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "dns/key.h"
#include "zone/records.h"

struct record {
    uint32_t ttl;
    uint32_t line;
    uint16_t type;
    uint16_t size;
    uint8_t rdata[];
};

/* Followed by the key relative to the apex, then by the relative wire name where `cased`. */
struct record_owner {
    uint32_t count;    /* records */
    uint32_t size;     /* octets with all its records: where the chunk's next owner stands */
    uint32_t file;     /* of all its records */
    uint16_t first_at; /* octets from here to the first record */
    uint16_t key_size;
    uint8_t name_size; /* whole name, apex included */
    uint8_t cased;     /* the name as written has upper case, and follows the key */
};

struct record_chunk {
    struct record_chunk *next;
    size_t used; /* of data */
    size_t size;
    size_t owners;
    uint8_t data[]; /* size octets and RECORD_SLACK more, that a sort may read past a key */
};

enum { RECORD_SLACK = 8 };

/* Owners whose keys lie between those of the parts before and behind. */
struct record_part {
    struct record_chunk *first, *last;
    size_t owners;
};

struct records {
    struct record_part only;    /* where there is one part it is this, */
    struct record_part *part;
    size_t parts;
    uint64_t *limit;            /* parts - 1 prefixes: where each part but the first begins */
    size_t depth;               /* symbols that (nearly) all keys begin with, */
    uint8_t beginning[KEY_MAX]; /* and those symbols; prefixes are of what follows */

    struct record_chunk *spare;  /* an empty first chunk, or NULL */
    struct record_part *current; /* where the owner stands */
    struct record_owner *owner;  /* NULL: none yet */
    size_t count;
    uint32_t files;
    char **file;
    uint8_t apex[255];
    uint16_t apex_key_size;
    uint8_t apex_size;
    uint8_t apex_labels;
};

static inline const uint8_t *record_owner_key(const struct record_owner *owner)
{
    return (const uint8_t *)(owner + 1);
}

static inline size_t record_align(size_t size)
{
    return (size + 3) & ~(size_t)3;
}

static inline const struct record *record_first(const struct record_owner *owner)
{
    return (const struct record *)(const void *)((const uint8_t *)owner + owner->first_at);
}

static inline const struct record *record_next(const struct record *record)
{
    return (const struct record *)(const void *)((const uint8_t *)record +
                                                 record_align(sizeof *record + record->size));
}

static inline const struct record_owner *record_owner_next(const struct record_owner *owner)
{
    return (const struct record_owner *)(const void *)((const uint8_t *)owner + owner->size);
}

static inline bool record_owner_is_apex(const struct record_owner *owner)
{
    return owner->key_size == 0;
}

/* The part that a key relative to the apex belongs to. */
size_t records_part(const struct records *records, const uint8_t *key, size_t size);

/* Frees the chunks of a part, with all owners and records in it. Parts may be dropped by several
 * threads. */
void records_drop(struct records *records, size_t part);

/* The owner's whole wire name, case as written, to name (room for 255 octets). */
void record_owner_name(const struct records *records, const struct record_owner *owner,
                       uint8_t *name);

/* A file by its index, for messages; may be NULL. */
static inline const char *record_file(const struct records *records, uint32_t file)
{
    return file < records->files ? records->file[file] : NULL;
}

#endif

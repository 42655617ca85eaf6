/*
 * What struct records looks like inside: for zone_build alone.
 *
 * Memory is a list of large chunks. In them stand owners, each followed by its records without gaps
 * but for alignment; a run of records that reaches a chunk's end goes on under a second owner of
 * the same name, which sorting brings together again.
 */
#ifndef RRDNS_ZONE_RECORDS_LIST_H
#define RRDNS_ZONE_RECORDS_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/records.h"

struct record {
    uint32_t ttl;
    uint32_t line;
    uint32_t file;
    uint16_t type;
    uint16_t size;
    uint8_t rdata[];
};

/* Followed by the key relative to the apex, then by the relative wire name where `cased`. */
struct record_owner {
    uint32_t count;     /* records */
    uint32_t size;      /* octets with all its records: where the chunk's next owner stands */
    uint16_t first_at;  /* octets from here to the first record */
    uint16_t key_size;
    uint8_t name_size;  /* whole name, apex included */
    uint8_t cased;      /* the name as written has upper case, and follows the key */
};

struct record_chunk {
    struct record_chunk *next;
    size_t used; /* of data */
    size_t size;
    size_t owners;
    _Alignas(8) uint8_t data[];
};

struct records {
    struct record_chunk *first, *last;
    struct record_owner *owner;    /* current; NULL: none yet */
    size_t count;
    size_t owners;
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
    return (size + 7) & ~(size_t)7;
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

/* The owner's whole wire name, case as written, to name (room for 255 octets). */
void record_owner_name(const struct records *records, const struct record_owner *owner,
                       uint8_t *name);

/* The file a record was read from, for messages; may be NULL. */
static inline const char *record_file(const struct records *records, const struct record *record)
{
    return record->file < records->files ? records->file[record->file] : NULL;
}

/* Diagnostics with the record's place. */
#define record_fault(records, diag, record, ...)                                                   \
    diag_fault(diag, record_file(records, record), (record)->line, __VA_ARGS__)
#define record_warn(records, diag, record, ...)                                                    \
    diag_warn(diag, record_file(records, record), (record)->line, __VA_ARGS__)

#endif

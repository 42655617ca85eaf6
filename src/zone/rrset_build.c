/*
 * Compression is decided here, once, instead of in every answer. A name in RDATA is cut at the
 * longest end that it shares with the owner's name, or with a name earlier in the same block, and
 * a placeholder that says which of the two stands for the rest (see struct rrset). Octets are
 * compared as they are, case included, so that what is stored can be told exactly again.
 */
#include "zone/rrset_build.h"

#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/zone.h"

enum {
    NAMES_MAX = 2, /* compressible names in the RDATA of any type */
    /* Names of the block that a later one is compared with; comparing all would be quadratic. */
    EARLIER_MAX = 16,
};

struct earlier {
    const uint8_t *name; /* whole, uncompressed */
    size_t size;
    size_t literal;  /* octets of it that stand in the block literally */
    size_t position; /* of its first octet in the block */
};

struct block {
    struct rrset_builder *builder;
    struct bytes *body;
    size_t start; /* of the block in body */
    const struct rrset_owner *owner;
    struct earlier earlier[EARLIER_MAX];
    size_t earliers;
};

bool bytes_grow(struct bytes *bytes, size_t n)
{
    if (!bytes->failed) {
        size_t capacity = bytes->capacity < 256 ? 256 : bytes->capacity;
        while (capacity < bytes->size + n) {
            capacity *= 2;
        }
        uint8_t *data = realloc(bytes->data, capacity);
        if (data == NULL) {
            bytes->failed = true;
            return false;
        }
        bytes->data = data;
        bytes->capacity = capacity;
    }
    return !bytes->failed;
}

/* n octets where room was reserved. */
static void put(struct bytes *bytes, const void *octets, size_t n)
{
    if (n > 0) {
        memcpy(bytes->data + bytes->size, octets, n);
        bytes->size += n;
    }
}

/* Zeros up to a multiple of unit, counted from start. */
static void pad(struct bytes *bytes, size_t start, size_t unit)
{
    while ((bytes->size - start) % unit != 0) {
        bytes->data[bytes->size++] = 0;
    }
}

/*
 * Octets at the end of name that are an end of other too, root included: 1 where only the root is
 * common.
 */
static size_t common_end(const uint8_t *name, size_t size, const uint8_t *other, size_t other_size)
{
    if (size == 1 || other_size == 1 || name[size - 2] != other[other_size - 2]) {
        return 1; /* where nothing is shared, the last octet before the root nearly always tells */
    }
    unsigned labels = name_labels(name), other_labels = name_labels(other);
    while (size > other_size || labels > other_labels) {
        size -= 1u + *name;
        name += 1u + *name;
        labels--;
    }
    other = name_skip(other, other_labels - labels);
    /* Now label by label from the front: the last mismatch is where the common end begins. */
    const uint8_t *end = name;
    for (const uint8_t *p = name, *q = other; *p != 0;) {
        if (*p != *q || memcmp(p + 1, q + 1, *p) != 0) {
            end = p + 1u + *p;
        }
        q += 1u + *q;
        p += 1u + *p;
    }
    return size - (size_t)(end - name);
}

/* The longest end of name that can be pointed to: its octets and what goes into the placeholder. */
static size_t find_end(const struct block *b, const uint8_t *name, size_t size, uint16_t *value)
{
    const uint8_t *owner = b->owner->name;
    size_t owner_size = b->owner->size;
    if (b->owner->wildcard) {
        owner_size -= 1u + *owner;
        owner += 1u + *owner;
    }
    size_t best = common_end(name, size, owner, owner_size);
    *value = (uint16_t)best;
    for (size_t i = 0; i < b->earliers && best < size; i++) {
        const struct earlier *e = &b->earlier[i];
        size_t end = common_end(name, size, e->name, e->size);
        size_t offset = e->size - end; /* where that end begins in the earlier name */
        if (end > best && offset < e->literal && e->position + offset <= RRSET_REACH) {
            best = end;
            *value = (uint16_t)(256 + e->position + offset);
        }
    }
    return best;
}

static void append_name(struct block *b, const uint8_t *name, size_t size)
{
    uint16_t value;
    size_t end = find_end(b, name, size, &value);
    size_t position = b->body->size - b->start;
    size_t literal = end > 1 ? size - end : size;
    put(b->body, name, literal);
    if (end > 1) {
        uint16_t at = (uint16_t)(position + literal);
        uint8_t placeholder[2];
        wire_put_u16(placeholder, (uint16_t)(0xc000u | value));
        put(b->body, placeholder, sizeof placeholder);
        put(&b->builder->patches, &at, sizeof at);
    }
    if (literal > 1 && b->earliers < EARLIER_MAX) {
        b->earlier[b->earliers++] = (struct earlier){name, size, literal, position};
    }
}

/* Notes where the record's target stands, if it may have addresses in this zone. */
static void note_target(struct block *b, const struct record *record, size_t position)
{
    uint16_t type = record->type;
    const uint8_t *rdata = record->rdata;
    int at = rrtype_target(type);
    const uint8_t *target = rdata + at;
    struct rrset_target entry = {.position = (uint16_t)(position + (size_t)at)};
    if (type == RRTYPE_SVCB || type == RRTYPE_HTTPS) {
        bool alias = rdata[0] == 0 && rdata[1] == 0;
        if (*target == 0 && alias) {
            return; /* RFC 9460 section 2.5.1: the service is not there */
        }
        entry.flags = (uint16_t)((alias ? TARGET_ALIAS : 0) | (*target == 0 ? TARGET_SELF : 0));
    }
    if (entry.flags != TARGET_SELF && !name_is_under(target, b->owner->apex)) {
        return;
    }
    if (type == RRTYPE_NS && b->owner->delegation && name_is_under(target, b->owner->name)) {
        entry.flags |= TARGET_REQUIRED;
    }
    put(&b->builder->targets, &entry, sizeof entry);
    put(&b->builder->noted, &record, sizeof(struct record *));
}

static void append_record(struct block *b, const struct record *record, uint32_t ttl)
{
    struct rrtype_names names = rrtype_compressible(record->type);
    /* Written where it stays: copied from a variable it is read eight octets at a time, before the
     * shorter writes have reached the cache. The processor's waiting for that was a 25th of what a
     * load took. */
    uint8_t *head = b->body->data + b->body->size;
    wire_put_u16(head, 0);
    wire_put_u16(head + 2, record->type);
    wire_put_u16(head + 4, CLASS_IN);
    wire_put_u32(head + 6, record->type == RRTYPE_RRSIG ? record->ttl : ttl);
    wire_put_u16(head + 10, record->size);
    b->body->size += RECORD_HEAD;

    size_t rdata_start = b->body->size;
    if (rrtype_target(record->type) >= 0) {
        note_target(b, record, rdata_start - b->start);
    }
    put(b->body, record->rdata, names.prefix);
    size_t at = names.prefix;
    for (unsigned i = 0; i < names.count; i++) {
        size_t size = name_size(record->rdata + at);
        append_name(b, record->rdata + at, size);
        at += size;
    }
    put(b->body, record->rdata + at, record->size - at);
    if (names.count > 0) {
        wire_put_u16(b->body->data + rdata_start - 2, (uint16_t)(b->body->size - rdata_start));
    }
}

/* Room for all that the records can come to: compression only makes them shorter. */
static bool reserve(struct rrset_builder *builder, const struct record *const *records,
                    size_t count)
{
    size_t body = sizeof(struct rrset) + 4 * ARENA_UNIT;
    for (size_t i = 0; i < count; i++) {
        body += RECORD_HEAD + records[i]->size;
    }
    size_t patches = count * NAMES_MAX * sizeof(uint16_t);
    size_t targets = count * sizeof(struct rrset_target);
    builder->patches.size = 0;
    builder->targets.size = 0;
    if (!bytes_reserve(&builder->patches, patches) || !bytes_reserve(&builder->targets, targets) ||
        !bytes_reserve(&builder->noted, count * sizeof(struct record *))) {
        builder->body.failed = true;
    }
    return bytes_reserve(&builder->body, body + patches + targets);
}

void rrset_build(struct rrset_builder *builder, const struct rrset_owner *owner,
                 const struct record *const *records, size_t count, uint32_t ttl)
{
    if (!reserve(builder, records, count)) {
        return;
    }
    struct bytes *body = &builder->body;
    size_t start = body->size;
    body->size += offsetof(struct rrset, block);
    struct block b;
    b.builder = builder;
    b.body = body;
    b.start = body->size;
    b.owner = owner;
    b.earliers = 0; /* the array is filled as far as this says: it is large, RRsets are small */
    for (size_t i = 0; i < count; i++) {
        append_record(&b, records[i], ttl);
    }
    struct rrset *rrset = (struct rrset *)(void *)(body->data + start);
    rrset->type = records[0]->type;
    rrset->count = (uint16_t)count;
    rrset->block_size = (uint32_t)(body->size - b.start);
    rrset->patches = (uint16_t)(builder->patches.size / sizeof(uint16_t));
    rrset->targets = (uint16_t)(builder->targets.size / sizeof(struct rrset_target));
    pad(body, b.start, 4);
    put(body, builder->patches.data, builder->patches.size);
    pad(body, b.start, 4);
    put(body, builder->targets.data, builder->targets.size);
    pad(body, start, ARENA_UNIT);
}

void rrset_builder_free(struct rrset_builder *builder)
{
    free(builder->body.data);
    free(builder->patches.data);
    free(builder->targets.data);
    free(builder->noted.data);
}

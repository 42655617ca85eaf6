#include "dnssec/canonical.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/rdata.h"
#include "dns/wire.h"

void canonical_free(struct canonical *canonical)
{
    free(canonical->data);
    *canonical = (struct canonical){0};
}

/* Makes room for size octets more. */
static bool reserve(struct canonical *c, size_t size)
{
    if (size <= c->room - c->size) {
        return true;
    }
    size_t room = (c->size + size) * 2;
    uint8_t *data = realloc(c->data, room);
    if (data == NULL) {
        return false;
    }
    c->data = data;
    c->room = room;
    return true;
}

int canonical_octets(struct canonical *c, const uint8_t *octets, size_t size)
{
    if (!reserve(c, size)) {
        return RR_ENOMEM;
    }
    memcpy(c->data + c->size, octets, size);
    c->size += size;
    return RR_OK;
}

/* Lowers the names that have no case in canonical form. */
static void lower_names(uint16_t type, uint8_t *rdata, size_t size)
{
    struct rdata_walk walk;
    struct rdata_field field;
    if (!rdata_walk_begin(&walk, type, rdata, size)) {
        return;
    }
    while (rdata_walk_next(&walk, &field) > 0) {
        if (field.form == 'N' || field.form == 'n') {
            uint8_t *name = rdata + (field.data - rdata);
            for (size_t i = 0; i < field.size; i++) {
                name[i] = name_lower(name[i]); /* lengths are below 64: no letters */
            }
        }
    }
}

/* RDATA of one record, in what was appended. */
struct place {
    const uint8_t *data;
    size_t size;
};

static int compare_places(const void *x, const void *y)
{
    const struct place *a = x, *b = y;
    size_t common = a->size < b->size ? a->size : b->size;
    int order = memcmp(a->data, b->data, common);
    return order != 0 ? order : a->size < b->size ? -1 : a->size > b->size;
}

static uint8_t *put_head(uint8_t *p, const uint8_t *owner, size_t owner_size, uint16_t type,
                         uint32_t ttl, size_t size)
{
    memcpy(p, owner, owner_size);
    for (size_t i = 0; i < owner_size; i++) {
        p[i] = name_lower(p[i]);
    }
    p += owner_size;
    wire_put_u16(p, type);
    wire_put_u16(p + 2, CLASS_IN);
    wire_put_u32(p + 4, ttl);
    wire_put_u16(p + 8, (uint16_t)size);
    return p + 10;
}

/* Octets of all records at the most, with names in full. */
static size_t most_octets(const struct rrset *rrset, size_t owner_size)
{
    size_t head = owner_size + 10;
    return rrset->block_size + rrset->count * (head + 2u * NAME_MAX_OCTETS);
}

/* The common case: nothing to be sorted, written where it stays. */
static void append_single(struct canonical *c, const struct rrset *rrset, const uint8_t *owner,
                          size_t owner_size, uint32_t ttl)
{
    size_t position = 0;
    uint8_t *rdata = c->data + c->size + owner_size + 10;
    int size = rrset_rdata(rrset, owner, &position, rdata);
    lower_names(rrset->type, rdata, (size_t)size);
    put_head(c->data + c->size, owner, owner_size, rrset->type, ttl, (size_t)size);
    c->size += owner_size + 10 + (size_t)size;
}

/*
 * RDATA in file order goes to the far end of the room, and from there, sorted, to where it belongs.
 */
static int append_sorted(struct canonical *c, const struct rrset *rrset, const uint8_t *owner,
                         size_t owner_size, uint32_t ttl)
{
    struct place *places = malloc(rrset->count * sizeof *places);
    if (places == NULL) {
        return RR_ENOMEM;
    }
    uint8_t *rdata = c->data + c->size + most_octets(rrset, owner_size);
    size_t position = 0;
    for (unsigned i = 0; i < rrset->count; i++) {
        int size = rrset_rdata(rrset, owner, &position, rdata);
        lower_names(rrset->type, rdata, (size_t)size);
        places[i] = (struct place){rdata, (size_t)size};
        rdata += size;
    }
    qsort(places, rrset->count, sizeof *places, compare_places);
    uint8_t *p = c->data + c->size;
    for (unsigned i = 0; i < rrset->count; i++) {
        if (i > 0 && compare_places(&places[i - 1], &places[i]) == 0) {
            continue;
        }
        p = put_head(p, owner, owner_size, rrset->type, ttl, places[i].size);
        memcpy(p, places[i].data, places[i].size);
        p += places[i].size;
    }
    c->size = (size_t)(p - c->data);
    free(places);
    return RR_OK;
}

int canonical_rrset(struct canonical *c, const struct rrset *rrset, const uint8_t *owner,
                    uint32_t ttl)
{
    size_t owner_size = name_size(owner);
    size_t most = most_octets(rrset, owner_size);
    if (!reserve(c, rrset->count == 1 ? most : 2 * most)) {
        return RR_ENOMEM;
    }
    if (rrset->count == 1) {
        append_single(c, rrset, owner, owner_size, ttl);
        return RR_OK;
    }
    return append_sorted(c, rrset, owner, owner_size, ttl);
}

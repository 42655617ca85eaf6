#include "zone/zone.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

void zone_settle(struct zone *zone)
{
    zone->head = zone_at(zone, ZONE_HEAD_REF);
    zone->radix = zone_at(zone, zone->head->radix);
    zone->denial = ZONE_UNSIGNED;
    const struct node *apex = zone_first(zone);
    if (node_rrset(apex, RRTYPE_RRSIG) == NULL) {
        return;
    }
    /* Where both chains are there the file is on its way from one to the other, and NSEC, of which
     * nothing tells that it is whole, must be so before or still. */
    if (node_rrset(apex, RRTYPE_NSEC) != NULL) {
        zone->denial = ZONE_NSEC;
    } else if (zone->head->nsec3 != 0) {
        zone->denial = ZONE_NSEC3;
    }
}

bool zone_overlay_hides(const struct node *node, uint16_t type)
{
    switch (type) {
    case RRTYPE_RRSIG:
    case RRTYPE_NSEC:
    case RRTYPE_NSEC3:
        return true;
    case RRTYPE_DNSKEY:
    case RRTYPE_CDS:
    case RRTYPE_CDNSKEY:
    case RRTYPE_NSEC3PARAM:
        return (node->flags & NODE_APEX) != 0;
    default:
        return false;
    }
}

struct zone *zone_ref(struct zone *zone)
{
    zone->references++;
    return zone;
}

const struct rrset *node_rrset(const struct node *node, uint16_t type)
{
    const struct rrset *rrset = node_first_rrset(node);
    for (unsigned i = 0; i < node->rrsets; i++) {
        if (rrset->type >= type) {
            return rrset->type == type ? rrset : NULL;
        }
        rrset = rrset_next(rrset);
    }
    return NULL;
}

/* The topmost node with a DNAME among node and its ancestors. */
static const struct node *topmost_dname(const struct zone *zone, const struct node *node)
{
    const struct node *dname = NULL;
    for (; node != NULL; node = zone_node(zone, node->parent)) {
        if ((node->flags & NODE_DNAME) != 0) {
            dname = node;
        }
    }
    return dname;
}

/* Whether no name is below the node. */
static bool is_childless(const struct zone *zone, const struct node *node)
{
    const struct node *next = zone_next(zone, node);
    return next == NULL || zone_node(zone, next->parent) != node;
}

void zone_match_leaf(const struct zone *zone, const uint8_t *symbols, size_t size, arena_ref leaf,
                     struct zone_match *match)
{
    const struct node *node = zone_at(zone, leaf);
    size_t common = key_common(symbols, size, node_key(node), node->key_size);
    while (node->key_size > common) {
        node = zone_at(zone, node->parent);
    }
    bool exact = node->key_size == size;
    if ((node->flags & NODE_NSEC3) != 0 && is_childless(zone, node)) {
        node = zone_at(zone, node->parent);
        exact = false;
    }
    match->encloser = node;
    match->node = exact ? node : NULL;
    match->cut = zone_node(zone, node->cut);
    match->dname = NULL;
    match->wildcard = NULL;
    if (match->cut != NULL) {
        return;
    }
    if ((node->flags & NODE_OCCLUDED) != 0 || (!exact && (node->flags & NODE_DNAME) != 0)) {
        match->dname = topmost_dname(zone, exact ? zone_node(zone, node->parent) : node);
        return;
    }
    if (!exact) {
        match->wildcard = zone_node(zone, node->star);
    }
}

void zone_lookup(const struct zone *zone, const struct key *key, struct zone_match *match)
{
    const uint8_t *symbols = key->symbols + zone->head->apex_key_size;
    size_t size = (size_t)key->size - zone->head->apex_key_size;
    arena_ref leaf = radix_search(zone->radix, symbols, size);
    zone_match_leaf(zone, symbols, size, leaf, match);
}

const struct node *zone_before(const struct zone *zone, const struct key *key)
{
    size_t skip = zone->head->apex_key_size;
    const uint8_t *symbols = key->symbols + skip;
    size_t size = key->size - skip;
    const struct node *leaf = zone_at(zone, radix_search(zone->radix, symbols, size));
    size_t common = key_common(symbols, size, node_key(leaf), leaf->key_size);
    bool after = key_compare(symbols, size, node_key(leaf), leaf->key_size) > 0;
    arena_ref before;
    if (radix_before(zone->radix, symbols, size, common, after, &before)) {
        return zone_at(zone, before);
    }
    return zone_at(zone, zone->head->last);
}

const struct node *zone_visible(const struct zone *zone, const struct node *node)
{
    if ((node->flags & NODE_OCCLUDED) == 0) {
        return node;
    }
    return node->cut != 0 ? zone_at(zone, node->cut)
                          : topmost_dname(zone, zone_node(zone, node->parent));
}

size_t node_name(const struct zone *zone, const struct node *node, uint8_t *name)
{
    const uint8_t *key = node_key(node);
    if ((node->flags & NODE_CASE) == 0) {
        return key_to_name(key, node->key_size, zone->head->apex_name, name);
    }
    size_t relative = (size_t)node->name_size - zone->head->apex_size;
    memcpy(name, key + node->key_size, relative);
    memcpy(name + relative, zone->head->apex_name, zone->head->apex_size);
    return node->name_size;
}

const struct node *zone_first(const struct zone *zone)
{
    return zone_at(zone, zone->head->apex);
}

const struct node *zone_next(const struct zone *zone, const struct node *node)
{
    if (node == zone_at(zone, zone->head->last)) {
        return NULL;
    }
    return (const struct node *)(const void *)((const uint8_t *)node + node->size);
}

/* Copies the name at `at` in the block, its pointers followed; returns octets taken in the block. */
static size_t expand_name(const uint8_t *block, size_t at, const uint8_t *owner,
                          uint8_t *out, size_t *out_size)
{
    size_t taken = 0;
    const uint8_t *p = block + at;
    bool followed = false;
    for (;;) {
        if (*p >= 0xc0) {
            size_t value = wire_get_u16(p) & 0x3fffu;
            if (!followed) {
                taken += 2;
                followed = true;
            }
            p = value < 256 ? owner + name_size(owner) - value : block + (value - 256);
            continue;
        }
        size_t step = 1u + *p;
        memcpy(out + *out_size, p, step);
        *out_size += step;
        if (!followed) {
            taken += step;
        }
        if (step == 1) {
            return taken;
        }
        p += step;
    }
}

void rrset_name(const struct rrset *rrset, size_t position, const uint8_t *owner, uint8_t *name)
{
    size_t size = 0;
    expand_name(rrset->block, position, owner, name, &size);
}

int rrset_rdata(const struct rrset *rrset, const uint8_t *owner, size_t *position, uint8_t *rdata)
{
    if (*position >= rrset->block_size) {
        return RR_ENOENT;
    }
    const uint8_t *record = rrset->block + *position;
    size_t size = wire_get_u16(record + 10);
    size_t at = *position + RECORD_HEAD;
    size_t end = at + size;
    struct rrtype_names names = rrtype_compressible(rrset->type);
    size_t written = names.prefix;
    memcpy(rdata, rrset->block + at, written);
    at += written;
    for (unsigned i = 0; i < names.count; i++) {
        at += expand_name(rrset->block, at, owner, rdata, &written);
    }
    memcpy(rdata + written, rrset->block + at, end - at);
    *position = end;
    return (int)(written + (end - at));
}

void zone_unref(struct zone *zone)
{
    assert(zone == NULL || zone->magic == ZONE_MAGIC);
    if (zone != NULL && --zone->references == 0) {
        zone->magic = 0;
        arena_free(&zone->arena);
        free(zone); /* off the query path: loaders alone hold references */
    }
}

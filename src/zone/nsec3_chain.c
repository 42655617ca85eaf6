/*
 * Base32hex keeps the order of what it encodes, and so do keys: in the order of nodes the owners of
 * NSEC3 are in the order of their hashes already.
 *
 * Hashes are evenly spread, so a search begins where the hash should stand and widens from there.
 */
#include "zone/nsec3_chain.h"

#include <string.h>

#include "base/crew.h"
#include "dns/base_encoding.h"
#include "dns/key.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

enum {
    SHA1 = 1,
    LABEL = 32, /* characters of a SHA-1 in base32hex, each one symbol of a key */
    HASH_KEY = LABEL + 1,
    PARAMS_FIXED = 5, /* algorithm, flags, iterations, octets of salt */
};

/* ---- Which chain ---- */

/* RDATA of NSEC3PARAM, or the beginning of an NSEC3's, which is alike. */
static bool read_params(const uint8_t *rdata, size_t size, struct nsec3_params *params)
{
    if (size < PARAMS_FIXED || rdata[0] != SHA1 || (size_t)rdata[4] + PARAMS_FIXED > size) {
        return false;
    }
    *params = (struct nsec3_params){
        .salt = rdata + PARAMS_FIXED,
        .iterations = wire_get_u16(rdata + 2),
        .salt_size = rdata[4],
    };
    return true;
}

static bool read_usable(const uint8_t *rdata, size_t size, struct nsec3_params *params)
{
    return read_params(rdata, size, params) && rdata[1] == 0 &&
           params->iterations <= NSEC3_ITERATIONS_MAX;
}

bool nsec3_params_usable(const uint8_t *rdata, size_t size)
{
    struct nsec3_params params;
    return read_usable(rdata, size, &params);
}

/* Those of the chain to be used; false where there is none. */
static bool find_params(const struct node *apex, struct nsec3_params *params)
{
    const struct rrset *rrset = node_rrset(apex, RRTYPE_NSEC3PARAM);
    for (size_t at = 0; rrset != NULL && at < rrset->block_size;) {
        const uint8_t *record = rrset->block + at;
        size_t size = wire_get_u16(record + RECORD_HEAD - 2);
        if (read_usable(record + RECORD_HEAD, size, params)) {
            return true;
        }
        at += RECORD_HEAD + size;
    }
    return false;
}

/* ---- Its members ---- */

/* The hash that is the node's first label; false where that is none. */
static bool owner_hash(const struct node *node, uint8_t hash[NSEC3_HASH])
{
    uint8_t label[64];
    if (node->key_size != HASH_KEY || key_to_label(node_key(node), HASH_KEY, label) != HASH_KEY) {
        return false;
    }
    struct base_decoder decoder = {0};
    struct wire_writer out = wire_writer_init(hash, NSEC3_HASH);
    return base32hex_feed(&decoder, (const char *)label + 1, LABEL, &out) == 0 &&
           base32hex_end(&decoder) == 0 && !out.failed && out.pos == NSEC3_HASH;
}

static bool has_params(const struct rrset *rrset, const struct nsec3_params *wanted)
{
    for (size_t at = 0; at < rrset->block_size;) {
        const uint8_t *record = rrset->block + at;
        size_t size = wire_get_u16(record + RECORD_HEAD - 2);
        struct nsec3_params params;
        if (read_params(record + RECORD_HEAD, size, &params) &&
            params.iterations == wanted->iterations && params.salt_size == wanted->salt_size &&
            memcmp(params.salt, wanted->salt, params.salt_size) == 0) {
            return true;
        }
        at += RECORD_HEAD + size;
    }
    return false;
}

/* Whether the node has an NSEC3 of the chain; the entry for it. */
static bool is_member(const struct zone *zone, arena_ref ref, arena_ref apex,
                      const struct nsec3_params *params, struct nsec3_entry *entry)
{
    const struct node *node = zone_at(zone, ref);
    uint8_t hash[NSEC3_HASH];
    crew_step();
    if (node->parent != apex || node->key_size != HASH_KEY) {
        return false;
    }
    const struct rrset *rrset = node_rrset(node, RRTYPE_NSEC3);
    if (rrset == NULL || !has_params(rrset, params) || !owner_hash(node, hash)) {
        return false;
    }
    *entry = (struct nsec3_entry){wire_get_u32(hash), ref};
    return true;
}

static size_t chain_size(size_t count, size_t salt_size)
{
    return sizeof(struct nsec3_chain) + count * sizeof(struct nsec3_entry) + salt_size;
}

bool nsec3_chain_build(struct zone *zone, const arena_ref *nodes, size_t count, arena_ref *chain)
{
    struct nsec3_params params;
    struct nsec3_entry entry;
    size_t members = 0;
    *chain = 0;
    if (!find_params(zone_at(zone, nodes[0]), &params)) {
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        members += is_member(zone, nodes[i], nodes[0], &params, &entry);
    }
    if (members == 0) {
        return true;
    }
    *chain = arena_alloc(&zone->arena, chain_size(members, params.salt_size));
    if (*chain == 0) {
        return false;
    }
    find_params(zone_at(zone, nodes[0]), &params); /* the arena may have moved */
    struct nsec3_chain *list = arena_at(&zone->arena, *chain);
    list->iterations = params.iterations;
    list->salt_size = params.salt_size;
    for (size_t i = 0; i < count; i++) {
        if (is_member(zone, nodes[i], nodes[0], &params, &entry)) {
            list->entries[list->count++] = entry;
        }
    }
    memcpy(list->entries + list->count, params.salt, params.salt_size);
    return true;
}

/* Whether a chain with these parameters is at ref, as far as its size. */
static bool is_there(const struct zone *zone, arena_ref ref, const struct nsec3_params *params)
{
    size_t at = (size_t)ref * ARENA_UNIT, end = zone->arena.used;
    if (at > end || chain_size(0, params->salt_size) > end - at) {
        return false;
    }
    const struct nsec3_chain *chain = zone_at(zone, ref);
    if (chain->count == 0 || chain->reserved != 0 || chain->iterations != params->iterations ||
        chain->salt_size != params->salt_size ||
        chain_size(chain->count, params->salt_size) > end - at) {
        return false;
    }
    const uint8_t *salt = nsec3_chain_params(chain).salt;
    return memcmp(salt, params->salt, params->salt_size) == 0;
}

bool nsec3_chain_check(const struct zone *zone)
{
    const struct zone_head *head = zone->head;
    struct nsec3_params params;
    if (!find_params(zone_at(zone, head->apex), &params)) {
        return head->nsec3 == 0;
    }
    if (head->nsec3 != 0 && !is_there(zone, head->nsec3, &params)) {
        return false;
    }
    const struct nsec3_chain *chain = head->nsec3 != 0 ? nsec3_chain_of(zone) : NULL;
    uint32_t count = chain != NULL ? chain->count : 0, met = 0;
    for (const struct node *node = zone_first(zone); node != NULL; node = zone_next(zone, node)) {
        size_t at = (size_t)((const uint8_t *)node - zone->arena.base);
        struct nsec3_entry entry;
        if (!is_member(zone, (arena_ref)(at / ARENA_UNIT), head->apex, &params, &entry)) {
            continue;
        }
        if (met == count || chain->entries[met].start != entry.start ||
            chain->entries[met].node != entry.node) {
            return false;
        }
        met++;
    }
    return met == count;
}

/* ---- Search ---- */

/* Negative, zero, positive as the entry's hash is before, equal to, after this one. */
static int compare(const struct zone *zone, const struct nsec3_entry *entry, uint32_t start,
                   const uint8_t hash[NSEC3_HASH])
{
    if (entry->start != start) {
        return entry->start < start ? -1 : 1;
    }
    uint8_t its[NSEC3_HASH];
    owner_hash(zone_at(zone, entry->node), its);
    return memcmp(its, hash, NSEC3_HASH);
}

/* How many entries are not after the hash. */
static size_t count_up_to(const struct zone *zone, const struct nsec3_chain *chain, uint32_t start,
                          const uint8_t hash[NSEC3_HASH])
{
    /* Entries before low are not after it, those from high on are. */
    size_t low = 0, high = chain->count;
    size_t probe = (size_t)((uint64_t)chain->count * start >> 32);
    for (size_t step = 4;; step *= 2) { /* away from the guess, until the place is between */
        if (compare(zone, &chain->entries[probe], start, hash) > 0) {
            high = probe;
            if (low > 0 || high <= step) {
                break;
            }
            probe = high - step;
        } else {
            low = probe + 1;
            if (high < chain->count || high - low <= step) {
                break;
            }
            probe = low + step;
        }
    }
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (compare(zone, &chain->entries[middle], start, hash) > 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

const struct node *nsec3_chain_find(const struct zone *zone, const uint8_t hash[NSEC3_HASH],
                                    bool *exact)
{
    const struct nsec3_chain *chain = nsec3_chain_of(zone);
    uint32_t start = wire_get_u32(hash);
    size_t count = count_up_to(zone, chain, start, hash);
    const struct nsec3_entry *entry = &chain->entries[(count > 0 ? count : chain->count) - 1];
    *exact = compare(zone, entry, start, hash) == 0;
    return zone_at(zone, entry->node);
}

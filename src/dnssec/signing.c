/*
 * What is kept of signatures hangs on an image of the zone: its nodes are their names there. So a
 * new version of the zone begins with stores of its own, and what was signed before is looked at
 * once: where the RRset is the same, octet by octet, its signature is taken over. That costs a
 * search for each signature kept, not a walk over the zone.
 */
#include "dnssec/signing.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "dnssec/denial.h"

uint8_t signing_labels(const struct zone *zone, const struct node *node)
{
    const uint8_t *key = node_key(node);
    unsigned labels = zone->head->apex_labels;
    for (size_t at = 0; at < node->key_size; labels++) {
        at = key_label_end(key, at);
    }
    return (uint8_t)(labels - ((node->flags & NODE_WILDCARD) != 0));
}

size_t signing_run_size(const struct signing *signing, uint16_t type, size_t *count)
{
    if (type == RRTYPE_DNSKEY && signing->given_size > 0) {
        *count = signing->given_count;
        return signing->given_size;
    }
    size_t size = 0;
    *count = 0;
    for (size_t i = 0; i < signing->keys; i++) {
        if (signing_key_signs(&signing->key[i], type)) {
            size += RECORD_HEAD + 18u + signing->zone->head->apex_size +
                    dnskey_signature_size(signing->key[i].key);
            ++*count;
        }
    }
    return size;
}

/* --- RRsets --- */

static struct denial_types types_of(const struct signing *signing, const struct node *node)
{
    return (struct denial_types){.node = node, .overlay = &signing->overlay};
}

size_t signing_room(const struct signing *signing, const struct node *node)
{
    struct denial_types types = types_of(signing, node);
    return denial_room(&types);
}

static const struct rrset *node_denial(const struct signing *signing, const struct node *node,
                                       void *memory)
{
    const struct zone *zone = signing->zone;
    struct denial_types types = types_of(signing, node);
    uint8_t name[NAME_MAX_OCTETS], next[NAME_MAX_OCTETS];
    if (signing->denial == DENIAL_COMPACT) {
        node_name(zone, node, name);
        denial_successor(name, zone->head->apex_name, next);
    } else {
        node_name(zone, denial_next(zone, node), next);
    }
    return denial_nsec(&types, signing->denial_ttl, next, memory);
}

const struct rrset *signing_rrset(const struct signing *signing, const struct node *node,
                                  uint16_t type, void *memory)
{
    if ((node->flags & NODE_APEX) != 0) {
        for (size_t i = 0; i < signing->overlay.count; i++) {
            if (signing->sets[i]->type == type) {
                return signing->sets[i];
            }
        }
    }
    if (type == RRTYPE_NSEC) {
        return node_denial(signing, node, memory);
    }
    return node_rrset(node, type);
}

/* --- taking over --- */

static bool same_rrset(const struct rrset *a, const struct rrset *b)
{
    return a != NULL && b != NULL && a->block_size == b->block_size &&
           memcmp(a->block, b->block, a->block_size) == 0;
}

/* The node of the same name in another version of its zone; NULL: there is none. */
static const struct node *same_node(const struct zone *zone, const struct node *node)
{
    arena_ref leaf = radix_search(zone->radix, node_key(node), node->key_size);
    const struct node *found = zone_node(zone, leaf);
    bool same = found->key_size == node->key_size &&
                memcmp(node_key(found), node_key(node), node->key_size) == 0;
    return same ? found : NULL;
}

/* Whether what was signed at `node` is what is to be signed at `found`. False, too, without
 * memory. */
static bool is_unchanged(const struct signing *signing, const struct node *found,
                         const struct signing *before, const struct node *node, uint16_t type)
{
    void *now = malloc(signing_room(signing, found));
    void *then = malloc(signing_room(before, node));
    bool same = now != NULL && then != NULL && signing_covers(found, type) &&
                same_rrset(signing_rrset(signing, found, type, now),
                           signing_rrset(before, node, type, then));
    free(now);
    free(then);
    return same;
}

static void take_over(struct signing *signing, struct sigstore *store,
                      const struct signing *before, const struct sigstore *old, size_t size)
{
    uint8_t signature[DNSKEY_SIGNATURE_MAX];
    (void)size;
    for (size_t i = 0; i < sigstore_count(old); i++) {
        struct sigstore_times times;
        sigstore_key key = sigstore_at(old, i, &times);
        const struct node *node = zone_node(before->zone, sigstore_key_node(key));
        const struct node *found = node != NULL ? same_node(signing->zone, node) : NULL;
        uint16_t type = sigstore_key_type(key);
        if (found != NULL && is_unchanged(signing, found, before, node, type) &&
            sigstore_get(old, key, &times, signature)) {
            sigstore_put(store, signing_key_of(signing->zone, found, type), times, signature);
        }
    }
}

/* What the key had before, or NULL. */
static const struct signing_key *same_key(const struct signing *before, const struct dnskey *key)
{
    for (size_t i = 0; before != NULL && i < before->keys; i++) {
        const struct dnskey *other = before->key[i].key;
        if (other->rdata_size == key->rdata_size &&
            memcmp(other->rdata, key->rdata, key->rdata_size) == 0) {
            return &before->key[i];
        }
    }
    return NULL;
}

/*
 * What is kept of signatures hangs on an image of the zone: its nodes are their names there. So a
 * new version of the zone begins with stores of its own, and what was signed before is looked at
 * once: where the RRset is the same, octet by octet, its signature is taken over. That costs a
 * search for each signature kept, not a walk over the zone.
 */
#include "dnssec/signing.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/name.h"
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
        if (type == RRTYPE_NSEC && signing->apex_nsec != NULL) {
            return signing->apex_nsec;
        }
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

static void take_over(const struct signing *signing, struct sigstore *store,
                      const struct signing *before, const struct sigstore *old)
{
    uint8_t signature[DNSKEY_SIGNATURE_MAX];
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

/* The key's store: the one it had, where that is of the same image and what it holds still good;
 * else one of its own, with what is still good of that. */
static bool take_store(struct signing *signing, struct signing_key *key,
                       const struct signing *before, bool same)
{
    static _Atomic uint64_t last_id; /* loaders make these on several threads */
    const struct signing_key *had = same_key(before, key->key);
    key->id = had != NULL ? had->id : atomic_fetch_add(&last_id, 1) + 1;
    if (had != NULL && same) {
        key->store = sigstore_ref(had->store);
        return true;
    }
    const struct zone_head *head = signing->zone->head;
    size_t most = (size_t)(head->nodes + head->rrsets) + SIGNING_SETS_MAX;
    key->store = sigstore_new(most, key->signature_size);
    if (key->store != NULL && had != NULL) {
        take_over(signing, key->store, before, had->store);
    }
    return key->store != NULL;
}

/* Whether all that was signed before is as it was: the image and what stands at the apex. */
static bool is_same(const struct signing *signing, const struct signing *before)
{
    if (before == NULL || before->zone != signing->zone || before->denial != signing->denial ||
        before->overlay.count != signing->overlay.count) {
        return false;
    }
    for (size_t i = 0; i < signing->overlay.count; i++) {
        if (before->sets[i]->type != signing->sets[i]->type ||
            !same_rrset(before->sets[i], signing->sets[i])) {
            return false;
        }
    }
    return true;
}

/* --- what stands at the apex --- */

/* An RRset of records whose RDATA has no names in it. */
static struct rrset *set_new(uint16_t type, uint32_t ttl, const struct keyset_list *list)
{
    size_t size = 0;
    for (size_t i = 0; i < list->count; i++) {
        size += RECORD_HEAD + (size_t)list->record[i].size;
    }
    struct rrset *rrset = calloc(1, sizeof *rrset + size);
    if (rrset == NULL) {
        return NULL;
    }
    *rrset = (struct rrset){
        .type = type, .count = (uint16_t)list->count, .block_size = (uint32_t)size};
    uint8_t *record = rrset->block;
    for (size_t i = 0; i < list->count; i++) {
        wire_put_u16(record + 2, type);
        wire_put_u16(record + 4, CLASS_IN);
        wire_put_u32(record + 6, ttl);
        wire_put_u16(record + 10, list->record[i].size);
        memcpy(record + RECORD_HEAD, list->record[i].data, list->record[i].size);
        record += RECORD_HEAD + (size_t)list->record[i].size;
    }
    return rrset;
}

static bool add_set(struct signing *signing, uint16_t type, uint32_t ttl,
                    const struct keyset_list *list)
{
    if (list->count == 0) {
        return true;
    }
    struct rrset *rrset = set_new(type, ttl, list);
    signing->set[signing->overlay.count] = rrset;
    signing->sets[signing->overlay.count] = rrset;
    signing->overlay.count += rrset != NULL;
    return rrset != NULL;
}

/* By ascending type. */
static bool add_sets(struct signing *signing, uint32_t dnskey_ttl)
{
    static const uint8_t no_salt[] = {1, 0, 0, 0, 0}; /* SHA-1, no iterations */
    static const struct keyset_list nsec3param = {1, {{no_salt, sizeof no_salt}}};
    const struct keyset_moment *moment = &signing->moment;
    const struct keyset_offline *offline = moment->offline ? signing->keyset->offline : NULL;
    uint32_t ttl = offline != NULL ? offline->ttl : dnskey_ttl;
    signing->overlay.sets = signing->sets;
    if (!add_set(signing, RRTYPE_DNSKEY, ttl, &moment->dnskey)) {
        return false;
    }
    if (offline != NULL) {
        signing->given = set_new(RRTYPE_RRSIG, ttl, &offline->rrsig);
    }
    return (offline == NULL || signing->given != NULL) &&
           (signing->denial != DENIAL_NSEC3 ||
            add_set(signing, RRTYPE_NSEC3PARAM, signing->denial_ttl, &nsec3param)) &&
           add_set(signing, RRTYPE_CDS, ttl, &moment->cds) &&
           add_set(signing, RRTYPE_CDNSKEY, ttl, &moment->cdnskey);
}

/* --- the whole --- */

/* OpenSSL has faster code for up to 2048 bits. */
static unsigned cost_of_rsa(size_t bits)
{
    return bits <= 2048 ? 13 : bits <= 3072 ? 100 : 250;
}

/* Of one signature, in those of P-256 (19 us): measured with OpenSSL 3.0. */
static unsigned cost_of(const struct dnskey *key)
{
    switch (key->algorithm) {
    case DNSKEY_ECDSAP256SHA256:
        return 1;
    case DNSKEY_ED25519:
        return 2;
    case DNSKEY_ED448:
        return 10;
    case DNSKEY_ECDSAP384SHA384:
        return 41;
    default:
        return cost_of_rsa(8 * dnskey_signature_size(key));
    }
}

static bool add_keys(struct signing *signing, const struct signing *before)
{
    bool same = is_same(signing, before);
    for (size_t i = 0; i < signing->keyset->count; i++) {
        struct signing_key *key = &signing->key[signing->keys];
        *key = (struct signing_key){
            .key = &signing->keyset->key[i],
            .signs_keys = signing->moment.signs_dnskey[i],
            .signs_zone = signing->moment.signs_zone[i],
        };
        if (!key->signs_keys && !key->signs_zone) {
            continue;
        }
        key->signature_size = dnskey_signature_size(key->key);
        if (!take_store(signing, key, before, same)) {
            return false;
        }
        signing->cost += key->signs_zone ? cost_of(key->key) : 0;
        signing->keys++;
    }
    return true;
}

/* False without memory. */
static bool add_apex_nsec(struct signing *signing)
{
    if (signing->denial == DENIAL_NSEC3) {
        return true;
    }
    const struct node *apex = zone_first(signing->zone);
    struct rrset *nsec = malloc(signing_room(signing, apex));
    if (nsec != NULL) {
        node_denial(signing, apex, nsec);
    }
    signing->apex_nsec = nsec;
    return nsec != NULL;
}

static void add_to_run(struct signing_run *run, size_t size)
{
    run->size += (uint32_t)size;
    run->count++;
}

/* What is asked for with every answer is found once. */
static void measure_runs(struct signing *signing)
{
    const struct zone_head *head = signing->zone->head;
    signing->signer_size = head->apex_size;
    for (size_t i = 0; i < head->apex_size; i++) {
        signing->signer[i] = name_lower(head->apex_name[i]);
    }
    for (size_t i = 0; i < signing->keys; i++) {
        const struct signing_key *key = &signing->key[i];
        size_t size = RECORD_HEAD + signing_rrsig_size(signing, key);
        if (key->signs_keys) {
            add_to_run(&signing->run_of_keys, size);
        }
        if (key->signs_zone) {
            add_to_run(&signing->run_of_zone, size);
        }
    }
    if (signing->given != NULL) {
        signing->run_given =
            (struct signing_run){signing->given->block_size, signing->given->count};
    }
}

int signing_new(const struct dnssec_policy *policy, struct keyset *keyset, int64_t now,
                const struct zone *zone, const struct signing *before, struct signing **result)
{
    struct signing *signing = calloc(1, sizeof *signing);
    *result = NULL;
    if (signing == NULL) {
        return RR_ENOMEM;
    }
    if (before != NULL && (before->lifetime != policy->lifetime ||
                           before->inception_offset != policy->inception_offset)) {
        before = NULL; /* its signatures were made for other times */
    }
    signing->references = 1;
    signing->zone = zone;
    signing->keyset = keyset_ref(keyset);
    keyset_at(keyset, now, &signing->moment);
    signing->since = now;
    signing->denial = policy->denial;
    signing->lifetime = policy->lifetime;
    signing->refresh = policy->refresh;
    signing->inception_offset = policy->inception_offset;
    signing->dnskey_ttl = policy->dnskey_ttl;
    const struct rrset *negative = zone_at(zone, zone->head->negative_soa);
    signing->denial_ttl = rrset_ttl(negative);
    if (!add_sets(signing, policy->dnskey_ttl) || !add_apex_nsec(signing) ||
        !add_keys(signing, before)) {
        signing_unref(signing);
        return RR_ENOMEM;
    }
    measure_runs(signing);
    *result = signing;
    return RR_OK;
}

struct signing *signing_ref(struct signing *signing)
{
    signing->references++;
    return signing;
}

void signing_unref(struct signing *signing)
{
    if (signing == NULL || --signing->references > 0) {
        return;
    }
    for (size_t i = 0; i < signing->keys; i++) {
        sigstore_unref(signing->key[i].store);
    }
    for (size_t i = 0; i < signing->overlay.count; i++) {
        free(signing->set[i]);
    }
    free(signing->apex_nsec);
    free(signing->given);
    keyset_unref(signing->keyset);
    free(signing);
}

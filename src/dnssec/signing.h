/*
 * How a zone is signed: the keys that sign now, the policy's times, what stands at the apex because
 * of them (DNSKEY, CDS, CDNSKEY, NSEC3PARAM), and the signatures made so far. Immutable for workers
 * but for the stores of signatures, which are theirs to fill. A change of keys makes a new one.
 */
#ifndef RRDNS_DNSSEC_SIGNING_H
#define RRDNS_DNSSEC_SIGNING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/name.h"
#include "dns/rrtype.h"
#include "dnssec/dnskey.h"
#include "dnssec/keyset.h"
#include "dnssec/policy.h"
#include "dnssec/sigstore.h"
#include "zone/zone.h"

enum {
    SIGNING_KEYS_MAX = KEYSET_KEYS_MAX,
    SIGNING_SETS_MAX = 4, /* at the apex */
    SIGNING_RRSIG_FIXED = 18, /* octets of RDATA before the signer's name */
};

struct signing_key {
    const struct dnskey *key; /* the keyset's */
    size_t signature_size;
    uint64_t id;              /* of its contexts: no other key has or had it */
    bool signs_keys;          /* DNSKEY, CDS, CDNSKEY */
    bool signs_zone;          /* all else */
    struct sigstore *store;
};

/* The RRSIG records of an RRset. */
struct signing_run {
    uint32_t size; /* octets */
    uint32_t count;
};

struct signing {
    uint32_t references;
    const struct zone *zone;
    struct keyset *keyset;
    struct keyset_moment moment; /* what its keys are good for, until moment.next */
    int64_t since;               /* when that was found */
    enum dnssec_denial denial;
    uint32_t lifetime, refresh, inception_offset; /* seconds */
    uint32_t denial_ttl;                          /* of NSEC and NSEC3 (RFC 9077) */
    uint32_t dnskey_ttl;                          /* the policy's */
    unsigned cost; /* of the signatures of an RRset of the zone, in those of P-256 */
    size_t keys;
    struct signing_key key[SIGNING_KEYS_MAX];
    struct signing_run run_of_keys, run_of_zone, run_given; /* signing_run_size tells which */
    size_t signer_size;
    uint8_t signer[NAME_MAX_OCTETS]; /* the signer's name: the apex, in lower case */
    struct zone_overlay overlay;
    const struct rrset *sets[SIGNING_SETS_MAX]; /* of the overlay */
    struct rrset *set[SIGNING_SETS_MAX];        /* the same, to be freed */
    /* The apex's NSEC, which is in most denials by the chain; NULL: NSEC3 denies. */
    struct rrset *apex_nsec;
    /* RRSIGs of the DNSKEY RRset made elsewhere (offline KSK), as in a block; NULL: none. */
    struct rrset *given;
};

/*
 * How `zone` is signed at the time `now` with these keys. before: how it, or its version before,
 * was signed until now, from which signatures of equal RRsets are taken over, unless the policy has
 * them last for another time now; or NULL. The new one has one reference, the caller's; it takes
 * one to keyset and none to zone, which must outlive it.
 * Returns 0 or RR_ENOMEM.
 */
int signing_new(const struct dnssec_policy *policy, struct keyset *keyset, int64_t now,
                const struct zone *zone, const struct signing *before, struct signing **signing);
struct signing *signing_ref(struct signing *signing);
void signing_unref(struct signing *signing); /* NULL is harmless */

/* Whether the zone signs an RRset of this type at the node: not what is below a cut or a DNAME, nor
 * the delegation itself. NSEC3 is below the apex whatever that holds. */
static inline bool signing_covers(const struct node *node, uint16_t type)
{
    return type == RRTYPE_NSEC3 ||
           ((node->flags & NODE_OCCLUDED) == 0 &&
            (node->cut == 0 || type == RRTYPE_DS || type == RRTYPE_NSEC));
}

/* Labels of the node's name, without the root and a "*" at its beginning (RFC 4034 3.1.3). */
uint8_t signing_labels(const struct zone *zone, const struct node *node);

/* Where the signatures of a node's RRset are kept. */
static inline sigstore_key signing_key_of(const struct zone *zone, const struct node *node,
                                          uint16_t type)
{
    size_t at = (size_t)((const uint8_t *)node - zone->arena.base);
    return sigstore_key_of((uint32_t)(at / ARENA_UNIT), type);
}

/* Whether RRsets of this type are for the keys that sign keys. */
static inline bool signing_is_of_keys(uint16_t type)
{
    return type == RRTYPE_DNSKEY || type == RRTYPE_CDS || type == RRTYPE_CDNSKEY;
}

/* Whether a key signs RRsets of this type. */
static inline bool signing_key_signs(const struct signing_key *key, uint16_t type)
{
    return signing_is_of_keys(type) ? key->signs_keys : key->signs_zone;
}

/*
 * The RRset of that type which the zone signs at the node, denials and what comes of keys included:
 * of the zone, of the overlay, or made at memory (aligned to 8; of signing_room octets). NULL where
 * there is none.
 */
const struct rrset *signing_rrset(const struct signing *signing, const struct node *node,
                                  uint16_t type, void *memory);
size_t signing_room(const struct signing *signing, const struct node *node);

/* Octets of an RRSIG's RDATA by the key (RFC 4034 section 3.1). */
static inline size_t signing_rrsig_size(const struct signing *signing,
                                        const struct signing_key *key)
{
    return SIGNING_RRSIG_FIXED + signing->signer_size + key->signature_size;
}

/* Octets and number of the RRSIG records for an RRset of this type. */
static inline size_t signing_run_size(const struct signing *signing, uint16_t type, size_t *count)
{
    const struct signing_run *run = &signing->run_of_zone;
    if (signing_is_of_keys(type)) {
        bool given = type == RRTYPE_DNSKEY && signing->given != NULL;
        run = given ? &signing->run_given : &signing->run_of_keys;
    }
    *count = run->count;
    return run->size;
}

#endif

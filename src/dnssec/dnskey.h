/*
 * Keys of zones: DNSKEY records (RFC 4034 section 2) and, where it is there, the private part.
 *
 * A key is filled by one thread and then read by any. Every function that can fail returns a code
 * of base/err.h; OpenSSL's error queue is empty afterwards.
 */
#ifndef RRDNS_DNSSEC_DNSKEY_H
#define RRDNS_DNSSEC_DNSKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/types.h>

#include "dns/name.h"

/* The algorithms that can be used here (RFC 5702, 6605, 8080). */
enum dnskey_algorithm {
    DNSKEY_RSASHA256 = 8,
    DNSKEY_RSASHA512 = 10,
    DNSKEY_ECDSAP256SHA256 = 13,
    DNSKEY_ECDSAP384SHA384 = 14,
    DNSKEY_ED25519 = 15,
    DNSKEY_ED448 = 16,
};

enum dnskey_flags { DNSKEY_ZONE = 0x0100, DNSKEY_REVOKE = 0x0080, DNSKEY_SEP = 0x0001 };

enum {
    DNSKEY_RSA_BITS = 2048,    /* of keys that are made: 256 octets a signature, as most signers */
    DNSKEY_RSA_BITS_MIN = 512, /* RFC 5702 section 2 */
    DNSKEY_RSA_BITS_MAX = 4096,
    DNSKEY_RSA_EXPONENT_MAX = 8, /* octets; OpenSSL takes no longer ones with large moduli */
    DNSKEY_RSA_MAX = DNSKEY_RSA_BITS_MAX / 8,
    DNSKEY_RDATA_MAX = 4 + 1 + DNSKEY_RSA_EXPONENT_MAX + DNSKEY_RSA_MAX,
    DNSKEY_SIGNATURE_MAX = DNSKEY_RSA_MAX,
    DNSKEY_DS_MAX = 4 + 48,
};

enum dnskey_digest { DNSKEY_SHA256 = 2, DNSKEY_SHA384 = 4 }; /* digest types of DS */

/* Seconds since the epoch, or DNSKEY_UNSET; the names are those of BIND's key files. */
#define DNSKEY_UNSET INT64_MIN
enum dnskey_event {
    DNSKEY_CREATED,
    DNSKEY_PUBLISH,      /* from then on in the DNSKEY RRset */
    DNSKEY_ACTIVATE,     /* signs from then on */
    DNSKEY_INACTIVE,     /* signs no longer, stays published */
    DNSKEY_DELETE,       /* no longer published */
    DNSKEY_SYNC_PUBLISH, /* CDS and CDNSKEY from then on, */
    DNSKEY_SYNC_DELETE,  /* and no longer from then on */
    DNSKEY_EVENTS,
};

struct dnskey {
    uint8_t owner[NAME_MAX_OCTETS]; /* wire form, lower case */
    uint16_t flags;
    uint8_t algorithm;
    uint16_t tag; /* RFC 4034 appendix B */
    uint16_t rdata_size;
    uint8_t rdata[DNSKEY_RDATA_MAX];
    EVP_PKEY *private; /* NULL: there is the public part only */
    int64_t times[DNSKEY_EVENTS];
};

/*
 * A private part as numbers, big-endian, as key files have it. For RSA all of them; else the first
 * alone: the scalar of ECDSA, the seed of EdDSA. To be wiped by who holds it.
 */
enum dnskey_number {
    DNSKEY_SCALAR = 0,
    DNSKEY_MODULUS = 0,
    DNSKEY_PUBLIC_EXPONENT,
    DNSKEY_PRIVATE_EXPONENT,
    DNSKEY_PRIME1,
    DNSKEY_PRIME2,
    DNSKEY_EXPONENT1,
    DNSKEY_EXPONENT2,
    DNSKEY_COEFFICIENT,
    DNSKEY_NUMBERS,
};
struct dnskey_private {
    struct {
        uint8_t data[DNSKEY_RSA_MAX];
        uint16_t size; /* 0: not there */
    } number[DNSKEY_NUMBERS];
};

/* ---- Algorithms ---- */

/* "ECDSAP256SHA256" and so on, or NULL for an algorithm that can't be used here. */
const char *dnskey_algorithm_name(unsigned algorithm);

/* Such a name in any case to its number: 0, or RR_ENOENT. */
int dnskey_algorithm_parse(const char *name, uint8_t *algorithm);

static inline bool dnskey_is_rsa(unsigned algorithm)
{
    return algorithm == DNSKEY_RSASHA256 || algorithm == DNSKEY_RSASHA512;
}

/* Names for messages, in the order of the numbers: NULL behind the last. */
const char *dnskey_algorithm_list(size_t index);

/* ---- Making keys ---- */

/*
 * A new key with a private part, no times set. key is written over, to be cleared even on
 * failure. Returns 0, RR_EINVAL (algorithm), RR_ENOMEM.
 */
int dnskey_generate(const uint8_t *owner, uint16_t flags, uint8_t algorithm, struct dnskey *key);

/*
 * A key without private part from DNSKEY RDATA, whose public key is proven to be one. Returns 0, or
 * RR_EINVAL and in *reason why (static storage), or RR_ENOMEM.
 */
int dnskey_from_rdata(const uint8_t *owner, const uint8_t *rdata, size_t size, struct dnskey *key,
                      const char **reason);

/*
 * Adds the private part to a key that has none. That it belongs to the public part is proven by a
 * signature. Returns 0, or RR_EINVAL and in *reason why (static storage), or RR_ENOMEM.
 */
int dnskey_set_private(struct dnskey *key, const struct dnskey_private *numbers,
                       const char **reason);

/* The numbers of a key that has a private part. Returns 0 or RR_ENOMEM. */
int dnskey_get_private(const struct dnskey *key, struct dnskey_private *numbers);

/* Wipes and frees the private part; a zeroed key and one cleared before are harmless. */
void dnskey_clear(struct dnskey *key);

/* ---- What follows from a key ---- */

uint16_t dnskey_tag(const uint8_t *rdata, size_t size);

/*
 * DS RDATA (RFC 4034 section 5.1, 4509, 6605) to ds, which has room for DNSKEY_DS_MAX. Returns its
 * size; 0 where there is no memory.
 */
size_t dnskey_ds(const struct dnskey *key, enum dnskey_digest digest, uint8_t *ds);

/* "EXAMPLE. IN DS TAG ALGORITHM DIGESTTYPE HEX" to text (DNSKEY_DS_TEXT): 0 or RR_ENOMEM. */
enum { DNSKEY_DS_TEXT = NAME_MAX_TEXT + 40 + 2 * 48 };
int dnskey_ds_text(const struct dnskey *key, enum dnskey_digest digest, char *text);

/* ---- Signing ---- */

/* One thread's means to sign with one key: contexts that are made once and used again. The key must
 * outlive it. NULL where there is no memory, or no private part. */
struct dnskey_signer;
struct dnskey_signer *dnskey_signer_new(const struct dnskey *key);
void dnskey_signer_free(struct dnskey_signer *signer); /* NULL is harmless */

/* Octets of every signature by the key. */
size_t dnskey_signature_size(const struct dnskey *key);

/*
 * Signs data as RRSIG has it (RFC 3110, 6605, 8080) to signature, which has room for
 * dnskey_signature_size. Returns 0, or RR_ENOMEM: nothing else can go wrong.
 */
int dnskey_sign(struct dnskey_signer *signer, const uint8_t *data, size_t size, uint8_t *signature);

/* Whether signature is the key's of data: 0, RR_EINVAL where it isn't, RR_ENOMEM. Not quick. */
int dnskey_verify(const struct dnskey *key, const uint8_t *data, size_t size,
                  const uint8_t *signature, size_t signature_size);

#endif

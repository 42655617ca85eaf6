/*
 * What the files of dnskey share: algorithms as OpenSSL has them.
 */
#ifndef RRDNS_DNSSEC_DNSKEY_EVP_H
#define RRDNS_DNSSEC_DNSKEY_EVP_H

#include <stddef.h>
#include <stdint.h>

#include "dnssec/dnskey.h"

enum dnskey_family { DNSKEY_FAMILY_RSA, DNSKEY_FAMILY_ECDSA, DNSKEY_FAMILY_EDDSA };

struct dnskey_kind {
    uint8_t algorithm;
    enum dnskey_family family;
    const char *name;
    const char *type;   /* OpenSSL's name of the key type */
    const char *group;  /* ECDSA: the curve's name */
    const char *digest; /* NULL: the algorithm's own */
    uint16_t number;    /* octets: of an ECDSA number, of an EdDSA key; RSA: 0 */
    uint16_t signature; /* likewise */
};

/* NULL for an algorithm that can't be used here. */
const struct dnskey_kind *dnskey_kind(unsigned algorithm);

/* The public key in a key's RDATA, to be freed: 0; RR_EINVAL and *reason; RR_ENOMEM. */
int dnskey_public(const struct dnskey *key, EVP_PKEY **public, const char **reason);

#endif

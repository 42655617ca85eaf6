/*
 * One context for all hashes: beginning anew with the same digest costs no allocation, and the
 * digest is fetched but once, which is most of what the plain calls take.
 */
#include "dnssec/nsec3.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "dns/name.h"

struct nsec3_hasher {
    EVP_MD *sha1;
    EVP_MD_CTX *context;
};

struct nsec3_hasher *nsec3_hasher_new(void)
{
    struct nsec3_hasher *hasher = calloc(1, sizeof *hasher);
    if (hasher == NULL) {
        return NULL;
    }
    hasher->sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    hasher->context = EVP_MD_CTX_new();
    if (hasher->sha1 == NULL || hasher->context == NULL ||
        EVP_DigestInit_ex2(hasher->context, hasher->sha1, NULL) != 1) {
        nsec3_hasher_free(hasher);
        return NULL;
    }
    return hasher;
}

void nsec3_hasher_free(struct nsec3_hasher *hasher)
{
    if (hasher != NULL) {
        EVP_MD_CTX_free(hasher->context);
        EVP_MD_free(hasher->sha1);
        free(hasher);
    }
}

bool nsec3_hash(struct nsec3_hasher *hasher, const struct nsec3_params *params,
                const uint8_t *name, uint8_t hash[NSEC3_HASH])
{
    uint8_t input[NAME_MAX_OCTETS + UINT8_MAX];
    size_t size = name_size(name);
    for (size_t i = 0; i < size; i++) {
        input[i] = name_lower(name[i]);
    }
    for (unsigned round = 0; round <= params->iterations; round++) {
        if (params->salt_size > 0) { /* else there may be none to point to */
            memcpy(input + size, params->salt, params->salt_size);
        }
        if (EVP_DigestInit_ex2(hasher->context, NULL, NULL) != 1 ||
            EVP_DigestUpdate(hasher->context, input, size + params->salt_size) != 1 ||
            EVP_DigestFinal_ex(hasher->context, hash, NULL) != 1) {
            return false;
        }
        memcpy(input, hash, NSEC3_HASH);
        size = NSEC3_HASH;
    }
    return true;
}

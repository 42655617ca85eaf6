/*
 * Signing costs what the algorithm costs: contexts are made and algorithms looked up once per key
 * and thread. For ECDSA that means a digest made here and EVP_PKEY_sign; EVP_DigestSign makes and
 * copies contexts with every signature.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "base/err.h"
#include "dnssec/dnskey.h"
#include "dnssec/dnskey_evp.h"
#include "dnssec/secret.h"

enum {
    DIGEST_MAX = 64,
    DER_MAX = 2 + 2 * (2 + 1 + 48), /* an ECDSA signature: a sequence of two integers */
};

struct dnskey_signer {
    const struct dnskey_kind *kind;
    size_t signature_size;
    EVP_MD *digest;        /* NULL for EdDSA */
    EVP_MD_CTX *hash;      /* for EdDSA the key's */
    EVP_PKEY_CTX *context; /* NULL for EdDSA */
};

size_t dnskey_signature_size(const struct dnskey *key)
{
    const struct dnskey_kind *kind = dnskey_kind(key->algorithm);
    if (kind->family != DNSKEY_FAMILY_RSA) {
        return kind->signature;
    }
    /* As long as the modulus, which is what is behind the exponent (RFC 3110 section 2). */
    size_t exponent = key->rdata[4];
    return exponent != 0 ? key->rdata_size - 5u - exponent
                         : key->rdata_size - 7u - (size_t)(key->rdata[5] << 8 | key->rdata[6]);
}

/* ---- ECDSA's two forms ---- */

/* An INTEGER of DER at *at to width octets; false where it isn't one. */
static bool read_integer(const uint8_t **at, const uint8_t *end, uint8_t *out, size_t width)
{
    const uint8_t *p = *at;
    if (end - p < 2 || p[0] != 0x02 || p[1] == 0 || p[1] > end - p - 2) {
        return false;
    }
    size_t size = p[1];
    p += 2;
    *at = p + size;
    while (size > width && *p == 0) {
        p++;
        size--;
    }
    if (size > width) {
        return false;
    }
    memset(out, 0, width - size);
    memcpy(out + width - size, p, size);
    return true;
}

/* r || s of fixed width (RFC 6605 section 4) from DER, whose lengths are below 128 here. */
static bool from_der(const uint8_t *der, size_t size, uint8_t *signature, size_t width)
{
    const uint8_t *at = der + 2, *end = der + size;
    return size > 2 && der[0] == 0x30 && der[1] == size - 2 &&
           read_integer(&at, end, signature, width) &&
           read_integer(&at, end, signature + width, width) && at == end;
}

static uint8_t *write_integer(uint8_t *out, const uint8_t *data, size_t width)
{
    while (width > 1 && *data == 0) {
        data++;
        width--;
    }
    size_t zero = data[0] >> 7; /* it would be a negative number else */
    *out++ = 0x02;
    *out++ = (uint8_t)(zero + width);
    *out = 0;
    memcpy(out + zero, data, width);
    return out + zero + width;
}

static size_t to_der(const uint8_t *signature, size_t width, uint8_t *der)
{
    uint8_t *end = write_integer(der + 2, signature, width);
    end = write_integer(end, signature + width, width);
    der[0] = 0x30;
    der[1] = (uint8_t)(end - der - 2);
    return (size_t)(end - der);
}

/* ---- Signers ---- */

static bool signer_init(struct dnskey_signer *signer, EVP_PKEY *private)
{
    signer->hash = EVP_MD_CTX_new();
    if (signer->hash == NULL) {
        return false;
    }
    if (signer->kind->family == DNSKEY_FAMILY_EDDSA) {
        return EVP_DigestSignInit_ex(signer->hash, NULL, NULL, NULL, NULL, private, NULL) == 1;
    }
    signer->digest = EVP_MD_fetch(NULL, signer->kind->digest, NULL);
    signer->context = EVP_PKEY_CTX_new_from_pkey(NULL, private, NULL);
    if (signer->digest == NULL || signer->context == NULL ||
        EVP_PKEY_sign_init(signer->context) != 1) {
        return false;
    }
    return signer->kind->family == DNSKEY_FAMILY_ECDSA ||
           (EVP_PKEY_CTX_set_rsa_padding(signer->context, RSA_PKCS1_PADDING) == 1 &&
            EVP_PKEY_CTX_set_signature_md(signer->context, signer->digest) == 1);
}

struct dnskey_signer *dnskey_signer_new(const struct dnskey *key)
{
    struct dnskey_signer *signer = key->private != NULL ? calloc(1, sizeof *signer) : NULL;
    if (signer == NULL) {
        return NULL;
    }
    signer->kind = dnskey_kind(key->algorithm);
    signer->signature_size = dnskey_signature_size(key);
    if (!signer_init(signer, key->private)) {
        dnskey_signer_free(signer);
        ERR_clear_error();
        return NULL;
    }
    return signer;
}

void dnskey_signer_free(struct dnskey_signer *signer)
{
    if (signer != NULL) {
        EVP_PKEY_CTX_free(signer->context);
        EVP_MD_CTX_free(signer->hash);
        EVP_MD_free(signer->digest);
        free(signer);
    }
}

static bool hash(EVP_MD_CTX *context, const EVP_MD *digest, const uint8_t *data, size_t size,
                 uint8_t *out, unsigned *out_size)
{
    return EVP_DigestInit_ex2(context, digest, NULL) == 1 &&
           EVP_DigestUpdate(context, data, size) == 1 &&
           EVP_DigestFinal_ex(context, out, out_size) == 1;
}

static bool sign_eddsa(struct dnskey_signer *signer, const uint8_t *data, size_t size,
                       uint8_t *signature)
{
    /* Without a key: the same again. */
    size_t room = signer->signature_size;
    return EVP_DigestSignInit_ex(signer->hash, NULL, NULL, NULL, NULL, NULL, NULL) == 1 &&
           EVP_DigestSign(signer->hash, signature, &room, data, size) == 1 &&
           room == signer->signature_size;
}

static bool sign_digest(struct dnskey_signer *signer, const uint8_t *data, size_t size,
                        uint8_t *signature)
{
    uint8_t digest[DIGEST_MAX], der[DER_MAX];
    bool ecdsa = signer->kind->family == DNSKEY_FAMILY_ECDSA;
    size_t room = ecdsa ? sizeof der : signer->signature_size;
    unsigned digest_size;
    if (!hash(signer->hash, signer->digest, data, size, digest, &digest_size) ||
        EVP_PKEY_sign(signer->context, ecdsa ? der : signature, &room, digest, digest_size) != 1) {
        return false;
    }
    return ecdsa ? from_der(der, room, signature, signer->kind->number)
                 : room == signer->signature_size;
}

/* What OpenSSL calculates with, for each signature anew, tells as much as the key itself. Where the
 * room for secrets does not suffice it is in ordinary memory, for less than a millisecond. */
static bool sign_rsa(struct dnskey_signer *signer, const uint8_t *data, size_t size,
                     uint8_t *signature)
{
    secret_begin();
    bool good = sign_digest(signer, data, size, signature);
    secret_end();
    return good;
}

int dnskey_sign(struct dnskey_signer *signer, const uint8_t *data, size_t size, uint8_t *signature)
{
    bool good;
    switch (signer->kind->family) {
    case DNSKEY_FAMILY_RSA:
        good = sign_rsa(signer, data, size, signature);
        break;
    case DNSKEY_FAMILY_ECDSA:
        good = sign_digest(signer, data, size, signature);
        break;
    default:
        good = sign_eddsa(signer, data, size, signature);
    }
    if (!good) {
        ERR_clear_error();
        return RR_ENOMEM;
    }
    return RR_OK;
}

/* ---- Verification ---- */

int dnskey_verify(const struct dnskey *key, const uint8_t *data, size_t size,
                  const uint8_t *signature, size_t signature_size)
{
    const struct dnskey_kind *kind = dnskey_kind(key->algorithm);
    uint8_t der[DER_MAX];
    const char *reason;
    EVP_PKEY *public;
    if (signature_size != dnskey_signature_size(key)) {
        return RR_EINVAL;
    }
    int error = dnskey_public(key, &public, &reason);
    if (error != RR_OK) {
        return error;
    }
    if (kind->family == DNSKEY_FAMILY_ECDSA) {
        signature_size = to_der(signature, kind->number, der);
        signature = der;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    error = RR_ENOMEM;
    if (context != NULL &&
        EVP_DigestVerifyInit_ex(context, NULL, kind->digest, NULL, NULL, public, NULL) == 1) {
        error = EVP_DigestVerify(context, signature, signature_size, data, size) == 1 ? RR_OK
                                                                                      : RR_EINVAL;
    }
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(public);
    ERR_clear_error();
    return error;
}

/*
 * DNSKEY RDATA <-> OpenSSL's keys. Keys are built from parameters (EVP_PKEY_fromdata), public and
 * private alike; the parameters' private numbers are in OpenSSL's secure heap on the way.
 */
#include "dnssec/dnskey.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include "base/err.h"
#include "dns/base_encoding.h"
#include "dns/wire.h"
#include "dnssec/dnskey_evp.h"
#include "dnssec/secret.h"

enum { HEADER = 4, PROTOCOL = 3 }; /* flags, protocol, algorithm (RFC 4034 section 2.1) */

/* ---- Algorithms ---- */

static const struct dnskey_kind kinds[] = {
    {DNSKEY_RSASHA256, DNSKEY_FAMILY_RSA, "RSASHA256", "RSA", NULL, "SHA256", 0, 0},
    {DNSKEY_RSASHA512, DNSKEY_FAMILY_RSA, "RSASHA512", "RSA", NULL, "SHA512", 0, 0},
    {DNSKEY_ECDSAP256SHA256, DNSKEY_FAMILY_ECDSA, "ECDSAP256SHA256", "EC", "P-256", "SHA256", 32,
     64},
    {DNSKEY_ECDSAP384SHA384, DNSKEY_FAMILY_ECDSA, "ECDSAP384SHA384", "EC", "P-384", "SHA384", 48,
     96},
    {DNSKEY_ED25519, DNSKEY_FAMILY_EDDSA, "ED25519", "ED25519", NULL, NULL, 32, 64},
    {DNSKEY_ED448, DNSKEY_FAMILY_EDDSA, "ED448", "ED448", NULL, NULL, 57, 114},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

const struct dnskey_kind *dnskey_kind(unsigned algorithm)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (kinds[i].algorithm == algorithm) {
            return &kinds[i];
        }
    }
    return NULL;
}

const char *dnskey_algorithm_name(unsigned algorithm)
{
    const struct dnskey_kind *kind = dnskey_kind(algorithm);
    return kind != NULL ? kind->name : NULL;
}

const char *dnskey_algorithm_list(size_t index)
{
    return index < KINDS ? kinds[index].name : NULL;
}

int dnskey_algorithm_parse(const char *name, uint8_t *algorithm)
{
    for (size_t i = 0; i < KINDS; i++) {
        if (strcasecmp(name, kinds[i].name) == 0) {
            *algorithm = kinds[i].algorithm;
            return RR_OK;
        }
    }
    return RR_ENOENT;
}

uint16_t dnskey_tag(const uint8_t *rdata, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += (i & 1) != 0 ? rdata[i] : (uint32_t)rdata[i] << 8;
    }
    return (uint16_t)(sum + (sum >> 16));
}

/* ---- Public keys ---- */

struct rsa_public {
    const uint8_t *exponent, *modulus;
    size_t exponent_size, modulus_size;
};

/* RFC 3110 section 2. NULL, or what is wrong. */
static const char *rsa_read(const uint8_t *data, size_t size, struct rsa_public *rsa)
{
    struct wire_reader r = wire_reader_init(data, size);
    rsa->exponent_size = wire_read_u8(&r);
    if (rsa->exponent_size == 0) {
        rsa->exponent_size = wire_read_u16(&r);
    }
    rsa->exponent = wire_read_octets(&r, rsa->exponent_size);
    rsa->modulus_size = wire_reader_left(&r);
    rsa->modulus = wire_read_octets(&r, rsa->modulus_size);
    if (r.failed || rsa->exponent_size == 0 || rsa->modulus_size == 0) {
        return "the RSA public key is cut short";
    }
    if (rsa->exponent[0] == 0 || rsa->modulus[0] == 0) {
        return "a number of the RSA public key begins with zeros";
    }
    if (rsa->exponent_size > DNSKEY_RSA_EXPONENT_MAX) {
        return "the exponent of the RSA public key has more than 64 bits";
    }
    if (rsa->modulus_size < DNSKEY_RSA_BITS_MIN / 8 || rsa->modulus_size > DNSKEY_RSA_MAX) {
        return "the modulus of the RSA public key has not 512 to 4096 bits";
    }
    return NULL;
}

/* A key from the parameters built so far: 0, RR_EINVAL where they are no key, RR_ENOMEM. */
static int from_parameters(const char *type, int selection, OSSL_PARAM_BLD *build, EVP_PKEY **key)
{
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    int error = RR_ENOMEM;
    *key = NULL;
    if (parameters != NULL && context != NULL && EVP_PKEY_fromdata_init(context) == 1) {
        error = EVP_PKEY_fromdata(context, key, selection, parameters) == 1 ? RR_OK : RR_EINVAL;
    }
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    ERR_clear_error();
    return error;
}

static bool push_number(OSSL_PARAM_BLD *build, const char *name, BIGNUM *number,
                        const uint8_t *data, size_t size)
{
    return number != NULL && BN_bin2bn(data, (int)size, number) != NULL &&
           OSSL_PARAM_BLD_push_BN(build, name, number) == 1;
}

static int rsa_public(const struct rsa_public *rsa, EVP_PKEY **public)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *e = BN_new(), *n = BN_new();
    int error = RR_ENOMEM;
    if (build != NULL &&
        push_number(build, OSSL_PKEY_PARAM_RSA_N, n, rsa->modulus, rsa->modulus_size) &&
        push_number(build, OSSL_PKEY_PARAM_RSA_E, e, rsa->exponent, rsa->exponent_size)) {
        error = from_parameters("RSA", EVP_PKEY_PUBLIC_KEY, build, public);
    }
    BN_free(e);
    BN_free(n);
    OSSL_PARAM_BLD_free(build);
    return error;
}

/* An ECDSA key; the private number is NULL or a BIGNUM of the secure heap. */
static int ec_key(const struct dnskey_kind *kind, const uint8_t *point, const BIGNUM *private,
                  EVP_PKEY **key)
{
    uint8_t octets[1 + 2 * 48] = {POINT_CONVERSION_UNCOMPRESSED};
    size_t size = 2u * kind->number;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    int error = RR_ENOMEM;
    memcpy(octets + 1, point, size);
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, kind->group, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, octets, 1 + size) == 1 &&
        (private == NULL ||
         OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_PRIV_KEY, private) == 1)) {
        error = from_parameters(
            kind->type, private != NULL ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, build, key);
    }
    OSSL_PARAM_BLD_free(build);
    return error;
}

int dnskey_public(const struct dnskey *key, EVP_PKEY **public, const char **reason)
{
    const struct dnskey_kind *kind = dnskey_kind(key->algorithm);
    const uint8_t *data = key->rdata + HEADER;
    size_t size = key->rdata_size - (size_t)HEADER;
    size_t expected = kind->family == DNSKEY_FAMILY_ECDSA ? 2u * kind->number : kind->number;
    struct rsa_public rsa;
    int error;
    *public = NULL;
    if (kind->family == DNSKEY_FAMILY_RSA) {
        *reason = rsa_read(data, size, &rsa);
        error = *reason == NULL ? rsa_public(&rsa, public) : RR_EINVAL;
    } else if (size != expected) {
        *reason = "the public key has not the length that its algorithm asks for";
        error = RR_EINVAL;
    } else if (kind->family == DNSKEY_FAMILY_ECDSA) {
        *reason = "the public key is no point of its curve";
        error = ec_key(kind, data, NULL, public);
    } else {
        *reason = "the public key can't be used";
        *public = EVP_PKEY_new_raw_public_key_ex(NULL, kind->type, NULL, data, size);
        error = *public != NULL ? RR_OK : RR_EINVAL;
        ERR_clear_error();
    }
    if (error == RR_EINVAL && *reason == NULL) {
        *reason = "the RSA public key can't be used";
    }
    return error;
}

static void begin(struct dnskey *key, const uint8_t *owner)
{
    memset(key, 0, sizeof *key);
    size_t size = name_size(owner);
    for (size_t i = 0; i < size; i++) {
        key->owner[i] = name_lower(owner[i]);
    }
    for (int i = 0; i < DNSKEY_EVENTS; i++) {
        key->times[i] = DNSKEY_UNSET;
    }
}

int dnskey_from_rdata(const uint8_t *owner, const uint8_t *rdata, size_t size, struct dnskey *key,
                      const char **reason)
{
    begin(key, owner);
    if (size < HEADER || size > sizeof key->rdata) {
        *reason = size < HEADER ? "the RDATA is cut short" : "the public key is too long";
        return RR_EINVAL;
    }
    if (dnskey_kind(rdata[3]) == NULL) {
        *reason = "its algorithm is none of 8, 10, 13, 14, 15 and 16, which can be used here";
        return RR_EINVAL;
    }
    if (rdata[2] != PROTOCOL) {
        *reason = "its protocol is not 3";
        return RR_EINVAL;
    }
    key->flags = wire_get_u16(rdata);
    if ((key->flags & DNSKEY_ZONE) == 0) {
        *reason = "its flags don't say that it is a zone's key (256 or 257)";
        return RR_EINVAL;
    }
    key->algorithm = rdata[3];
    key->tag = dnskey_tag(rdata, size);
    key->rdata_size = (uint16_t)size;
    memcpy(key->rdata, rdata, size);
    EVP_PKEY *public;
    int error = dnskey_public(key, &public, reason);
    EVP_PKEY_free(public);
    return error;
}

/* ---- Private keys ---- */

static const char *const rsa_names[DNSKEY_NUMBERS] = {
    [DNSKEY_MODULUS] = OSSL_PKEY_PARAM_RSA_N,
    [DNSKEY_PUBLIC_EXPONENT] = OSSL_PKEY_PARAM_RSA_E,
    [DNSKEY_PRIVATE_EXPONENT] = OSSL_PKEY_PARAM_RSA_D,
    [DNSKEY_PRIME1] = OSSL_PKEY_PARAM_RSA_FACTOR1,
    [DNSKEY_PRIME2] = OSSL_PKEY_PARAM_RSA_FACTOR2,
    [DNSKEY_EXPONENT1] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
    [DNSKEY_EXPONENT2] = OSSL_PKEY_PARAM_RSA_EXPONENT2,
    [DNSKEY_COEFFICIENT] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
};

static int rsa_private(const struct dnskey_private *numbers, EVP_PKEY **private)
{
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    BIGNUM *number[DNSKEY_NUMBERS] = {NULL};
    bool good = build != NULL;
    for (int i = 0; i < DNSKEY_NUMBERS && good; i++) {
        number[i] = BN_secure_new();
        good = push_number(build, rsa_names[i], number[i], numbers->number[i].data,
                           numbers->number[i].size);
    }
    int error = good ? from_parameters("RSA", EVP_PKEY_KEYPAIR, build, private) : RR_ENOMEM;
    for (int i = 0; i < DNSKEY_NUMBERS; i++) {
        BN_clear_free(number[i]);
    }
    OSSL_PARAM_BLD_free(build);
    ERR_clear_error();
    return error;
}

static int ec_private(const struct dnskey *key, const struct dnskey_private *numbers,
                      EVP_PKEY **private)
{
    BIGNUM *scalar = BN_secure_new();
    int error = RR_ENOMEM;
    if (scalar != NULL && BN_bin2bn(numbers->number[DNSKEY_SCALAR].data,
                                    numbers->number[DNSKEY_SCALAR].size, scalar) != NULL) {
        error = ec_key(dnskey_kind(key->algorithm), key->rdata + HEADER, scalar, private);
    }
    BN_clear_free(scalar);
    ERR_clear_error();
    return error;
}

static int ed_private(const struct dnskey_kind *kind, const struct dnskey_private *numbers,
                      EVP_PKEY **private)
{
    *private = EVP_PKEY_new_raw_private_key_ex(NULL, kind->type, NULL,
                                               numbers->number[DNSKEY_SCALAR].data, kind->number);
    ERR_clear_error();
    return *private != NULL ? RR_OK : RR_ENOMEM;
}

/* Whether a signature by the private part is one by the public part. */
static int prove(const struct dnskey *key)
{
    static const uint8_t data[] = "rrdns";
    uint8_t signature[DNSKEY_SIGNATURE_MAX];
    struct dnskey_signer *signer = dnskey_signer_new(key);
    int error = RR_ENOMEM;
    if (signer != NULL && dnskey_sign(signer, data, sizeof data, signature) == RR_OK) {
        error = dnskey_verify(key, data, sizeof data, signature, dnskey_signature_size(key));
    }
    dnskey_signer_free(signer);
    return error;
}

/* All numbers are there, and of a length that can be right. */
static bool numbers_fit(const struct dnskey_kind *kind, const struct dnskey_private *numbers)
{
    size_t size = numbers->number[DNSKEY_SCALAR].size;
    if (kind->family == DNSKEY_FAMILY_ECDSA) {
        return size > 0 && size <= kind->number; /* leading zeros may be left out */
    }
    if (kind->family == DNSKEY_FAMILY_EDDSA) {
        return size == kind->number;
    }
    for (int i = 0; i < DNSKEY_NUMBERS; i++) {
        if (numbers->number[i].size == 0) {
            return false;
        }
    }
    return true;
}

/* The RSA numbers that both parts have; others' mismatch shows in a signature. */
static bool same_public(const struct dnskey *key, const struct dnskey_private *numbers)
{
    struct rsa_public rsa;
    return rsa_read(key->rdata + HEADER, key->rdata_size - (size_t)HEADER, &rsa) == NULL &&
           numbers->number[DNSKEY_MODULUS].size == rsa.modulus_size &&
           memcmp(numbers->number[DNSKEY_MODULUS].data, rsa.modulus, rsa.modulus_size) == 0 &&
           numbers->number[DNSKEY_PUBLIC_EXPONENT].size == rsa.exponent_size &&
           memcmp(numbers->number[DNSKEY_PUBLIC_EXPONENT].data, rsa.exponent, rsa.exponent_size) ==
               0;
}

/*
 * With secret_end, around all that makes a private key, its first signature included, with which an
 * RSA key makes itself what it keeps. Not for ECDSA: OpenSSL has its numbers in secret memory by
 * itself, and the rest of a key would take ten times the room there.
 */
static void keep_secret(const struct dnskey_kind *kind)
{
    if (kind->family != DNSKEY_FAMILY_ECDSA) {
        secret_begin();
    }
}

/* Makes the private part and proves it: 0, RR_EINVAL, RR_ENOMEM. */
static int make_private(struct dnskey *key, const struct dnskey_kind *kind,
                        const struct dnskey_private *numbers)
{
    EVP_PKEY *private = NULL;
    int error;
    if (kind->family == DNSKEY_FAMILY_RSA) {
        error = same_public(key, numbers) ? rsa_private(numbers, &private) : RR_EINVAL;
    } else if (kind->family == DNSKEY_FAMILY_ECDSA) {
        error = ec_private(key, numbers, &private);
    } else {
        error = ed_private(kind, numbers, &private);
    }
    if (error == RR_OK) {
        key->private = private;
        /* A key that can't sign can't be told from one for which there is no memory. */
        error = prove(key) == RR_OK ? RR_OK : RR_EINVAL;
    }
    if (error != RR_OK) {
        EVP_PKEY_free(private);
        key->private = NULL;
    }
    return error;
}

int dnskey_set_private(struct dnskey *key, const struct dnskey_private *numbers,
                       const char **reason)
{
    const struct dnskey_kind *kind = dnskey_kind(key->algorithm);
    if (!numbers_fit(kind, numbers)) {
        *reason = "a number is not there, or has not the length that the algorithm asks for";
        return RR_EINVAL;
    }
    *reason = "the private part does not belong to the public key";
    keep_secret(kind);
    int error = make_private(key, kind, numbers);
    if (!secret_end()) {
        dnskey_clear(key);
        return RR_ENOMEM;
    }
    return error == RR_EINVAL && secret_is_full() ? RR_ENOMEM : error;
}

static int get_number(const EVP_PKEY *private, const char *name, size_t width,
                      struct dnskey_private *numbers, size_t index)
{
    BIGNUM *number = BN_secure_new();
    int error = RR_ENOMEM;
    if (number != NULL && EVP_PKEY_get_bn_param(private, name, &number) == 1) {
        size_t size = width != 0 ? width : (size_t)BN_num_bytes(number);
        if (size <= sizeof numbers->number[index].data &&
            BN_bn2binpad(number, numbers->number[index].data, (int)size) >= 0) {
            numbers->number[index].size = (uint16_t)size;
            error = RR_OK;
        }
    }
    BN_clear_free(number);
    return error;
}

int dnskey_get_private(const struct dnskey *key, struct dnskey_private *numbers)
{
    const struct dnskey_kind *kind = dnskey_kind(key->algorithm);
    int error = RR_OK;
    memset(numbers, 0, sizeof *numbers);
    if (kind->family == DNSKEY_FAMILY_RSA) {
        for (size_t i = 0; i < DNSKEY_NUMBERS && error == RR_OK; i++) {
            error = get_number(key->private, rsa_names[i], 0, numbers, i);
        }
    } else if (kind->family == DNSKEY_FAMILY_ECDSA) {
        error = get_number(key->private, OSSL_PKEY_PARAM_PRIV_KEY, kind->number, numbers,
                           DNSKEY_SCALAR);
    } else {
        size_t size = sizeof numbers->number[DNSKEY_SCALAR].data;
        error = EVP_PKEY_get_raw_private_key(key->private, numbers->number[DNSKEY_SCALAR].data,
                                             &size) == 1
                    ? RR_OK
                    : RR_ENOMEM;
        numbers->number[DNSKEY_SCALAR].size = error == RR_OK ? (uint16_t)size : 0;
    }
    ERR_clear_error();
    return error;
}

void dnskey_clear(struct dnskey *key)
{
    EVP_PKEY_free(key->private);
    key->private = NULL;
}

/* ---- New keys ---- */

static EVP_PKEY *generate(const struct dnskey_kind *kind)
{
    switch (kind->family) {
    case DNSKEY_FAMILY_RSA:
        return EVP_PKEY_Q_keygen(NULL, NULL, kind->type, (size_t)DNSKEY_RSA_BITS);
    case DNSKEY_FAMILY_ECDSA:
        return EVP_PKEY_Q_keygen(NULL, NULL, kind->type, kind->group);
    default:
        return EVP_PKEY_Q_keygen(NULL, NULL, kind->type);
    }
}

static bool write_rsa_number(struct wire_writer *out, const EVP_PKEY *key, const char *name,
                             bool length)
{
    BIGNUM *number = NULL;
    bool good = EVP_PKEY_get_bn_param(key, name, &number) == 1;
    if (good) {
        int size = BN_num_bytes(number);
        if (length) {
            wire_write_u8(out, (uint8_t)size);
        }
        uint8_t *room = wire_write_room(out, (size_t)size);
        good = room != NULL && BN_bn2bin(number, room) == size;
    }
    BN_free(number);
    return good;
}

/* The public key as DNSKEY RDATA ends with it. */
static bool write_public(struct wire_writer *out, const struct dnskey_kind *kind,
                         const EVP_PKEY *key)
{
    uint8_t octets[1 + 2 * 48];
    size_t size = sizeof octets;
    switch (kind->family) {
    case DNSKEY_FAMILY_RSA:
        return write_rsa_number(out, key, OSSL_PKEY_PARAM_RSA_E, true) &&
               write_rsa_number(out, key, OSSL_PKEY_PARAM_RSA_N, false);
    case DNSKEY_FAMILY_ECDSA:
        if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, octets, sizeof octets,
                                            &size) != 1 ||
            size != 1 + 2u * kind->number || octets[0] != POINT_CONVERSION_UNCOMPRESSED) {
            return false;
        }
        wire_write_octets(out, octets + 1, size - 1);
        return true;
    default:
        if (EVP_PKEY_get_raw_public_key(key, octets, &size) != 1) {
            return false;
        }
        wire_write_octets(out, octets, size);
        return true;
    }
}

/* Private part and RDATA of a key that has owner and times: 0, or RR_ENOMEM. */
static int make_key(struct dnskey *key, const struct dnskey_kind *kind, uint16_t flags)
{
    struct wire_writer out = wire_writer_init(key->rdata, sizeof key->rdata);
    wire_write_u16(&out, flags);
    wire_write_u8(&out, PROTOCOL);
    wire_write_u8(&out, kind->algorithm);
    key->private = generate(kind);
    if (key->private == NULL || !write_public(&out, kind, key->private) || out.failed) {
        ERR_clear_error();
        return RR_ENOMEM;
    }
    key->flags = flags;
    key->algorithm = kind->algorithm;
    key->rdata_size = (uint16_t)out.pos;
    key->tag = dnskey_tag(key->rdata, out.pos);
    return RR_OK;
}

int dnskey_generate(const uint8_t *owner, uint16_t flags, uint8_t algorithm, struct dnskey *key)
{
    const struct dnskey_kind *kind = dnskey_kind(algorithm);
    begin(key, owner);
    if (kind == NULL) {
        return RR_EINVAL;
    }
    keep_secret(kind);
    int error = make_key(key, kind, flags);
    if (error == RR_OK && kind->family == DNSKEY_FAMILY_RSA) {
        error = prove(key);
    }
    return secret_end() ? error : RR_ENOMEM;
}

/* ---- DS ---- */

size_t dnskey_ds(const struct dnskey *key, enum dnskey_digest digest, uint8_t *ds)
{
    uint8_t data[NAME_MAX_OCTETS + DNSKEY_RDATA_MAX];
    size_t owner_size = name_size(key->owner), size = 0;
    memcpy(data, key->owner, owner_size);
    memcpy(data + owner_size, key->rdata, key->rdata_size);
    wire_put_u16(ds, key->tag);
    ds[2] = key->algorithm;
    ds[3] = (uint8_t)digest;
    if (EVP_Q_digest(NULL, digest == DNSKEY_SHA256 ? "SHA256" : "SHA384", NULL, data,
                     owner_size + key->rdata_size, ds + 4, &size) != 1) {
        ERR_clear_error();
        return 0;
    }
    return 4 + size;
}

int dnskey_ds_text(const struct dnskey *key, enum dnskey_digest digest, char *text)
{
    uint8_t ds[DNSKEY_DS_MAX];
    size_t size = dnskey_ds(key, digest, ds);
    if (size == 0) {
        return RR_ENOMEM;
    }
    size_t at = name_to_text(key->owner, text);
    at += (size_t)snprintf(text + at, DNSKEY_DS_TEXT - at, " IN DS %u %u %u ", key->tag,
                           key->algorithm, (unsigned)digest);
    struct wire_writer out = wire_writer_init((uint8_t *)text + at, 2 * 48);
    hex_encode(&out, ds + 4, size - 4);
    text[at + out.pos] = '\0';
    return RR_OK;
}

/*
 * Keys: the examples of RFC 5702, 6605 and 8080 in full, every algorithm made, signed with and
 * verified, by ldns too, and what is no key.
 */
#include "dnssec/dnskey.h"

#include <ldns/ldns.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "base/diag.h"
#include "base/err.h"
#include "dns/rrtype.h"
#include "dnssec/key_file.h"
#include "dnssec/secret.h"
#include "unit.h"

static const uint8_t algorithms[] = {DNSKEY_RSASHA256,       DNSKEY_RSASHA512,
                                     DNSKEY_ECDSAP256SHA256, DNSKEY_ECDSAP384SHA384,
                                     DNSKEY_ED25519,         DNSKEY_ED448};
enum { ALGORITHMS = sizeof algorithms / sizeof algorithms[0] };

static const uint8_t example[] = "\7Example\4test";

/* ---- Examples from RFCs ---- */

struct vector {
    const char *public, *private; /* the key's files */
    unsigned tag;
    const char *ds; /* or NULL */
    const char *record, *rrsig;
    bool deterministic;
};

static const struct vector vectors[] = {
    {/* RFC 5702 section 6.1 */
     "example.net. 3600 IN DNSKEY (256 3 8 AwEAAcFcGsaxxdgiuuGmCkVI\n"
     "  my4h99CqT7jwY3pexPGcnUFtR2Fh36BponcwtkZ4cAgtvd4Qs8P\n"
     "  kxUdp6p/DlUmObdk= );{id = 9033 (zsk), size = 512b}\n",
     "Private-key-format: v1.2\n"
     "Algorithm:       8 (RSASHA256)\n"
     "Modulus:         wVwaxrHF2CK64aYKRUibLiH30KpPuPBjel7E8ZydQW1HYWHfoGmidzC2RnhwCC293hCzw+"
     "TFR2nqn8OVSY5t2Q==\n"
     "PublicExponent:  AQAB\n"
     "PrivateExponent: UR44xX6zB3eaeyvTRzmskHADrPCmPWnr8dxsNwiDGHzrMKLN+i/HAam+97HxIKVWNDH2ba9Mf"
     "1SA8xu9dcHZAQ==\n"
     "Prime1:          4c8IvFu1AVXGWeFLLFh5vs7fbdzdC6U82fduE6KkSWk=\n"
     "Prime2:          2zZpBE8ZXVnL74QjG4zINlDfH+EOEtjJJ3RtaYDugvE=\n"
     "Exponent1:       G2xAPfK0KGxGANDVNxd1K1c9wOmmJ51mGbzKFFNMFFk=\n"
     "Exponent2:       GYxP1Pa7CAwtHm8SAGX594qZVofOMhgd6YFCNyeVpKE=\n"
     "Coefficient:     icQdNRjlZGPmuJm2TIadubcO8X7V4y07aVhX464tx8Q=\n",
     9033, NULL, "www.example.net. 3600 IN A 192.0.2.91",
     "www.example.net. 3600 IN RRSIG A 8 3 3600 20300101000000 20000101000000 9033 example.net. "
     "kRCOH6u7l0QGy9qpC9l1sLncJcOKFLJ7GhiUOibu4teYp5VE9RncriShZNz85mwlMgNEacFYK/lPtPiVYP4bwg==",
     true},
    {/* RFC 5702 section 6.2, the public part */
     "example.net. IN DNSKEY 256 3 10 AwEAAdHoNTOW+et86KuJOWRDp1pndvwb6Y83nSVXXyLA3DLroROUkN6X0O6p"
     "nWnjJQujX/AyhqFDxj13tOnD9u/1kTg7cV6rklMrZDtJCQ5PCl/D7QNPsgVsMu1J2Q8gpMpztNFLpPBz1bWXjDtaR7ZQ"
     "BlZ3PFY12ZTSncorffcGmhOL\n",
     NULL, 3740, NULL, "www.example.net. 3600 IN A 192.0.2.91",
     "www.example.net. 3600 IN RRSIG A 10 3 3600 20300101000000 20000101000000 3740 example.net. "
     "tsb4wnjRUDnB1BUi+t6TMTXThjVnG+eCkWqjvvjhzQL1d0YRoOe0CbxrVDYd0xDtsuJRaeUw1ep94PzEWzr0iGYgZBWm"
     "/zpq+9fOuagYJRfDqfReKBzMweOLDiNa8iP5g9vMhpuv6OPlvpXwm9Sa9ZXIbNl1MBGk0fthPgxdDLw=",
     true},
    {/* RFC 6605 section 6.1 */
     "example.net. 3600 IN DNSKEY 257 3 13 (\n GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edb\n"
     " krSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA== )\n",
     "Private-key-format: v1.2\nAlgorithm: 13 (ECDSAP256SHA256)\n"
     "PrivateKey: GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=\n",
     55648,
     "example.net. IN DS 55648 13 2 "
     "B4C8C1FE2E7477127B27115656AD6256F424625BF5C1E2770CE6D6E37DF61D17",
     "www.example.net. 3600 IN A 192.0.2.1",
     "www.example.net. 3600 IN RRSIG A 13 3 3600 20100909100439 20100812100439 55648 example.net. "
     "qx6wLYqmh+l9oCKTN6qIc+bw6ya+KJ8oMz0YP107epXAyGmt+3SNruPFKG7tZoLBLlUzGGus7ZwmwWep666VCw==",
     false},
    {/* RFC 6605 section 6.2 */
     "example.net. 3600 IN DNSKEY 257 3 14 xKYaNhWdGOfJ+nPrL8/arkwf2EY3MDJ+SErKivBVSum1w/egsXvSADtN"
     "Jhyem5RCOpgQ6K8X1DRSEkrbYQ+OB+v8/uX45NBwY8rp65F6Glur8I/mlVNgF6W/qTI37m40\n",
     "Private-key-format: v1.2\nAlgorithm: 14 (ECDSAP384SHA384)\n"
     "PrivateKey: WURgWHCcYIYUPWgeLmiPY2DJJk02vgrmTfitxgqcL4vwW7BOrbawVmVe0d9V94SR\n",
     10771,
     "example.net. IN DS 10771 14 4 72D7B62976CE06438E9C0BF319013CF801F09ECC84B8"
     "D7E9495F27E305C6A9B0563A9B5F4D288405C3008A946DF983D6",
     "www.example.net. 3600 IN A 192.0.2.1",
     "www.example.net. 3600 IN RRSIG A 14 3 3600 20100909102025 20100812102025 10771 example.net. "
     "/L5hDKIvGDyI1fcARX3z65qrmPsVz73QD1Mr5CEqOiLP95hxQouuroGCeZOvzFaxsT8Glr74hbavRKayJNuydCuzWTSSP"
     "dz7wnqXL5bdcJzusdnI0RSMROxxwGipWcJm",
     false},
    {/* RFC 8080 section 6.1, with the signature of erratum 4935 */
     "example.com. 3600 IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n",
     "Private-key-format: v1.2\nAlgorithm: 15 (ED25519)\n"
     "PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\n",
     3613,
     "example.com. IN DS 3613 15 2 "
     "3AA5AB37EFCE57F737FC1627013FEE07BDF241BD10F3B1964AB55C78E79A304B",
     "example.com. 3600 IN MX 10 mail.example.com.",
     "example.com. 3600 IN RRSIG MX 15 2 3600 1440021600 1438207200 3613 example.com. "
     "oL9krJun7xfBOIWcGHi7mag5/hdZrKWw15jPGrHpjQeRAvTdszaPD+QLs3fx8A4M3e23mRZ9VrbpMngwcrqNAg==",
     true},
    {/* RFC 8080 section 6.2, likewise */
     "example.com. 3600 IN DNSKEY 257 3 16 3kgROaDjrh0H2iuixWBrc8g2EpBBLCdGzHmn+G2MpTPhpj/OiBVHHSfP"
     "odx1FYYUcJKm1MDpJtIA\n",
     "Private-key-format: v1.2\nAlgorithm: 16 (ED448)\n"
     "PrivateKey: xZ+5Cgm463xugtkY5B0Jx6erFTXp13rYegst0qRtNsOYnaVpMx0Z/c5EiA9x8wWbDDct/U3FhYWA\n",
     9713,
     "example.com. IN DS 9713 16 2 "
     "6CCF18D5BC5D7FC2FCEB1D59D17321402F2AA8D368048DB93DD811F5CB2B19C7",
     "example.com. 3600 IN MX 10 mail.example.com.",
     "example.com. 3600 IN RRSIG MX 16 2 3600 1440021600 1438207200 9713 example.com. "
     "3cPAHkmlnxcDHMyg7vFC34l0blBhuG1qpwLmjInI8w1CMB29FkEAIJUA0amxWndkmnBZ6SKiwZSAxGILn/NBtOXft0+G"
     "j7FSvOKxE/07+4RQvE581N3Aj/JtIyaiYVdnYtyMWbSNyGEY2213WKsJlwEA",
     true},
};

static ldns_rr *record(const char *text)
{
    ldns_rr *rr = NULL;
    ck_assert_int_eq(ldns_rr_new_frm_str(&rr, text, 3600, NULL, NULL), LDNS_STATUS_OK);
    return rr;
}

/* What an RRSIG signs: its RDATA without the signature, and the record (RFC 4034 section 3.1.8.1).
 * To be freed. */
static ldns_buffer *signed_data(const ldns_rr *rrsig, const ldns_rr *rr)
{
    ldns_buffer *data = ldns_buffer_new(LDNS_MAX_PACKETLEN);
    for (size_t i = 0; i + 1 < ldns_rr_rd_count(rrsig); i++) {
        ck_assert_int_eq(ldns_rdf2buffer_wire_canonical(data, ldns_rr_rdf(rrsig, i)),
                         LDNS_STATUS_OK);
    }
    ck_assert_int_eq(ldns_rr2buffer_wire_canonical(data, rr, LDNS_SECTION_ANSWER), LDNS_STATUS_OK);
    return data;
}

static void read_vector(const struct vector *vector, struct dnskey *key)
{
    struct diag diag = {0};
    int error = keyfile_parse_public("x.key", vector->public, strlen(vector->public), key, &diag);
    ck_assert_msg(error == RR_OK, "%s", diag_first_fault(&diag));
    if (vector->private != NULL) {
        error = keyfile_parse_private("x.private", vector->private, strlen(vector->private), key,
                                      &diag);
        ck_assert_msg(error == RR_OK, "%s", diag_first_fault(&diag));
    }
    ck_assert_uint_eq(diag.warnings, 0);
    diag_clear(&diag);
}

START_TEST(rfc_examples)
{
    const struct vector *vector = &vectors[_i];
    struct dnskey key;
    read_vector(vector, &key);
    ck_assert_uint_eq(key.tag, vector->tag);
    if (vector->ds != NULL) {
        char text[DNSKEY_DS_TEXT];
        bool sha384 = strstr(vector->ds, " 14 4 ") != NULL;
        ck_assert_int_eq(dnskey_ds_text(&key, sha384 ? DNSKEY_SHA384 : DNSKEY_SHA256, text), 0);
        ck_assert_str_eq(text, vector->ds);
    }
    ldns_rr *rrsig = record(vector->rrsig), *rr = record(vector->record);
    ldns_buffer *data = signed_data(rrsig, rr);
    const ldns_rdf *expected = ldns_rr_rrsig_sig(rrsig);
    const uint8_t *octets = ldns_buffer_begin(data);
    size_t size = ldns_buffer_position(data);
    ck_assert_int_eq(
        dnskey_verify(&key, octets, size, ldns_rdf_data(expected), ldns_rdf_size(expected)), 0);
    if (vector->private != NULL) {
        uint8_t signature[DNSKEY_SIGNATURE_MAX];
        struct dnskey_signer *signer = dnskey_signer_new(&key);
        ck_assert_uint_eq(dnskey_signature_size(&key), ldns_rdf_size(expected));
        for (int round = 0; round < 3; round++) {
            ck_assert_int_eq(dnskey_sign(signer, octets, size, signature), 0);
            ck_assert_int_eq(dnskey_verify(&key, octets, size, signature, ldns_rdf_size(expected)),
                             0);
            ck_assert(!vector->deterministic ||
                      memcmp(signature, ldns_rdf_data(expected), ldns_rdf_size(expected)) == 0);
        }
        dnskey_signer_free(signer);
    }
    ldns_buffer_free(data);
    ldns_rr_free(rrsig);
    ldns_rr_free(rr);
    dnskey_clear(&key);
}
END_TEST

/* ---- Keys made here ---- */

START_TEST(made_and_signed)
{
    struct rng rng = rng_start();
    struct dnskey key, public;
    const char *reason = "";
    uint8_t data[300], signature[DNSKEY_SIGNATURE_MAX];
    ck_assert_int_eq(dnskey_generate(example, 257, algorithms[_i], &key), RR_OK);
    ck_assert_uint_eq(key.flags, 257);
    ck_assert_uint_eq(key.algorithm, algorithms[_i]);
    ck_assert_int_eq(memcmp(key.owner, "\7example\4test", 14), 0);
    ck_assert_int_eq(dnskey_from_rdata(example, key.rdata, key.rdata_size, &public, &reason), 0);
    ck_assert_uint_eq(public.tag, key.tag);
    ck_assert_ptr_null(public.private);
    ck_assert_ptr_null(dnskey_signer_new(&public));
    size_t width = dnskey_signature_size(&key);
    struct dnskey_signer *signer = dnskey_signer_new(&key);
    /* Many, for the numbers of ECDSA that begin with zeros, and so are shorter in DER. */
    unsigned rounds = dnskey_is_rsa(algorithms[_i]) ? 20 : 1000 / UNIT_SLOWER;
    for (unsigned round = 0; round < rounds; round++) {
        size_t size = rng_below(&rng, sizeof data);
        rng_fill(&rng, data, size);
        uint8_t *guarded = unit_guarded(width);
        ck_assert_int_eq(dnskey_sign(signer, data, size, guarded), RR_OK);
        memcpy(signature, guarded, width);
        unit_guarded_free(guarded, width);
        ck_assert_int_eq(dnskey_verify(&public, data, size, signature, width), RR_OK);
        signature[rng_below(&rng, (unsigned)width)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        ck_assert_int_eq(dnskey_verify(&public, data, size, signature, width), RR_EINVAL);
    }
    ck_assert_int_eq(dnskey_verify(&public, data, 10, signature, width - 1), RR_EINVAL);
    ck_assert_uint_eq(ERR_peek_error(), 0);
    dnskey_signer_free(signer);
    dnskey_signer_free(NULL);
    dnskey_clear(&key);
    dnskey_clear(&key);
}
END_TEST

/* ldns has other code for all of that. */
START_TEST(ldns_agrees)
{
    struct dnskey key;
    uint8_t signature[DNSKEY_SIGNATURE_MAX], ds[DNSKEY_DS_MAX];
    ck_assert_int_eq(dnskey_generate(example, 256, algorithms[_i], &key), RR_OK);
    ldns_rr *dnskey = ldns_rr_new();
    size_t at = 0;
    uint8_t wire[14 + 10 + DNSKEY_RDATA_MAX] = "\7example\4test\0\0\60\0\1\0\0\0\1";
    wire[22] = (uint8_t)(key.rdata_size >> 8);
    wire[23] = (uint8_t)key.rdata_size;
    memcpy(wire + 24, key.rdata, key.rdata_size);
    ldns_rr_free(dnskey);
    ck_assert_int_eq(ldns_wire2rr(&dnskey, wire, 24u + key.rdata_size, &at, LDNS_SECTION_ANSWER),
                     0);
    ck_assert_uint_eq(ldns_calc_keytag(dnskey), key.tag);
    static const struct {
        enum dnskey_digest digest;
        ldns_hash hash;
    } digests[] = {{DNSKEY_SHA256, LDNS_SHA256}, {DNSKEY_SHA384, LDNS_SHA384}};
    for (size_t i = 0; i < 2; i++) {
        ldns_rr *expected = ldns_key_rr2ds(dnskey, digests[i].hash);
        size_t size = dnskey_ds(&key, digests[i].digest, ds);
        const ldns_rdf *hash = ldns_rr_rdf(expected, 3);
        ck_assert_uint_eq(size, 4 + ldns_rdf_size(hash));
        ck_assert_int_eq(memcmp(ds + 4, ldns_rdf_data(hash), size - 4), 0);
        ck_assert_uint_eq(ds[3], digests[i].digest);
        ldns_rr_free(expected);
    }
    ldns_rr *rrsig = record("example.test. 60 IN RRSIG A 8 2 60 20300101000000 20200101000000 1 "
                            "example.test. AAAA");
    ldns_rr *rr = record("example.test. 60 IN A 192.0.2.1");
    ldns_rdf_deep_free(
        ldns_rr_set_rdf(rrsig, ldns_native2rdf_int8(LDNS_RDF_TYPE_ALG, key.algorithm), 1));
    ldns_rdf_deep_free(
        ldns_rr_set_rdf(rrsig, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, key.tag), 6));
    ldns_buffer *data = signed_data(rrsig, rr);
    struct dnskey_signer *signer = dnskey_signer_new(&key);
    ck_assert_int_eq(
        dnskey_sign(signer, ldns_buffer_begin(data), ldns_buffer_position(data), signature), 0);
    ldns_rdf_deep_free(ldns_rr_set_rdf(
        rrsig, ldns_rdf_new_frm_data(LDNS_RDF_TYPE_B64, dnskey_signature_size(&key), signature),
        8));
    ldns_rr_list *rrset = ldns_rr_list_new();
    ldns_rr_list_push_rr(rrset, rr);
    ck_assert_int_eq(ldns_verify_rrsig(rrset, rrsig, dnskey), LDNS_STATUS_OK);
    ldns_rr_list_deep_free(rrset);
    ldns_rr_free(rrsig);
    ldns_rr_free(dnskey);
    ldns_buffer_free(data);
    dnskey_signer_free(signer);
    dnskey_clear(&key);
}
END_TEST

/* A private part taken out and put in again, and another key's. */
START_TEST(private_numbers)
{
    struct dnskey key, other, copy;
    struct dnskey_private numbers, wrong;
    const char *reason = "";
    ck_assert_int_eq(dnskey_generate(example, 257, algorithms[_i], &key), RR_OK);
    ck_assert_int_eq(dnskey_generate(example, 257, algorithms[_i], &other), RR_OK);
    ck_assert_int_eq(dnskey_get_private(&key, &numbers), RR_OK);
    ck_assert_int_eq(dnskey_get_private(&other, &wrong), RR_OK);
    ck_assert_int_eq(dnskey_from_rdata(example, key.rdata, key.rdata_size, &copy, &reason), 0);
    ck_assert_int_eq(dnskey_set_private(&copy, &wrong, &reason), RR_EINVAL);
    ck_assert_str_eq(reason, "the private part does not belong to the public key");
    ck_assert_ptr_null(copy.private);
    wrong = numbers;
    wrong.number[0].size--;
    if (wrong.number[0].size > 0 && !dnskey_is_rsa(algorithms[_i])) {
        ck_assert_int_eq(dnskey_set_private(&copy, &wrong, &reason), RR_EINVAL);
    }
    for (int i = 0; i < DNSKEY_NUMBERS && dnskey_is_rsa(algorithms[_i]); i++) {
        /* OpenSSL goes without numbers that turn out wrong, where it can; what signs is a key. */
        wrong = numbers;
        wrong.number[i].data[wrong.number[i].size / 2] ^= 4;
        int error = dnskey_set_private(&copy, &wrong, &reason);
        ck_assert(error == RR_EINVAL || i > DNSKEY_PUBLIC_EXPONENT);
        ck_assert((error == RR_OK) == (copy.private != NULL));
        dnskey_clear(&copy);
        wrong.number[i].size = 0;
        ck_assert_int_eq(dnskey_set_private(&copy, &wrong, &reason), RR_EINVAL);
    }
    ck_assert_int_eq(dnskey_set_private(&copy, &numbers, &reason), RR_OK);
    struct dnskey_signer *signer = dnskey_signer_new(&copy);
    uint8_t signature[DNSKEY_SIGNATURE_MAX];
    ck_assert_int_eq(dnskey_sign(signer, example, sizeof example, signature), RR_OK);
    ck_assert_int_eq(
        dnskey_verify(&key, example, sizeof example, signature, dnskey_signature_size(&key)),
        RR_OK);
    dnskey_signer_free(signer);
    dnskey_clear(&key);
    dnskey_clear(&other);
    dnskey_clear(&copy);
}
END_TEST

static void no_key(const uint8_t *rdata, size_t size, const char *expected)
{
    struct dnskey key;
    const char *reason = "";
    uint8_t *guarded = unit_guarded(size);
    memcpy(guarded, rdata, size);
    ck_assert_int_eq(dnskey_from_rdata(example, guarded, size, &key, &reason), RR_EINVAL);
    ck_assert_str_eq(reason, expected);
    unit_guarded_free(guarded, size);
}

START_TEST(no_keys)
{
    uint8_t rdata[DNSKEY_RDATA_MAX + 1] = {1, 0, 3, 13};
    static const char length[] = "the public key has not the length that its algorithm asks for";
    no_key(rdata, 3, "the RDATA is cut short");
    no_key(rdata, sizeof rdata, "the public key is too long");
    no_key(rdata, 4, length);
    no_key(rdata, 67, length);
    no_key(rdata, 69, length);
    no_key(rdata, 68, "the public key is no point of its curve");
    rdata[3] = 15;
    no_key(rdata, 35, length);
    rdata[3] = 16;
    no_key(rdata, 4 + 56, length);
    rdata[3] = 5;
    no_key(rdata, 68, "its algorithm is none of 8, 10, 13, 14, 15 and 16, which can be used here");
    rdata[3] = 13;
    rdata[2] = 2;
    no_key(rdata, 68, "its protocol is not 3");
    rdata[2] = 3;
    rdata[0] = 0;
    no_key(rdata, 68, "its flags don't say that it is a zone's key (256 or 257)");
    rdata[0] = 1;
    rdata[3] = 8;
    static const char cut[] = "the RSA public key is cut short";
    no_key(rdata, 4, cut);
    no_key(rdata, 6, cut);
    no_key(rdata, 7, cut);
    rdata[4] = 1;
    no_key(rdata, 5, cut);
    no_key(rdata, 6, cut);
    rdata[5] = 3;
    no_key(rdata, 6 + 128, "a number of the RSA public key begins with zeros");
    rdata[6] = 0x80;
    no_key(rdata, 6 + 63, "the modulus of the RSA public key has not 512 to 4096 bits");
    no_key(rdata, 6 + 513, "the modulus of the RSA public key has not 512 to 4096 bits");
    rdata[4] = 9;
    rdata[14] = 1;
    no_key(rdata, 100, "the exponent of the RSA public key has more than 64 bits");
}
END_TEST

START_TEST(algorithm_names)
{
    uint8_t algorithm;
    for (size_t i = 0; i < ALGORITHMS; i++) {
        ck_assert_str_eq(dnskey_algorithm_list(i), dnskey_algorithm_name(algorithms[i]));
        ck_assert_int_eq(dnskey_algorithm_parse(dnskey_algorithm_list(i), &algorithm), RR_OK);
        ck_assert_uint_eq(algorithm, algorithms[i]);
    }
    ck_assert_ptr_null(dnskey_algorithm_list(ALGORITHMS));
    ck_assert_int_eq(dnskey_algorithm_parse("ecdsap256sha256", &algorithm), RR_OK);
    ck_assert_uint_eq(algorithm, 13);
    ck_assert_int_eq(dnskey_algorithm_parse("RSASHA1", &algorithm), RR_ENOENT);
    ck_assert_int_eq(dnskey_algorithm_parse("", &algorithm), RR_ENOENT);
    ck_assert_ptr_null(dnskey_algorithm_name(5));
    struct dnskey key;
    ck_assert_int_eq(dnskey_generate(example, 256, 5, &key), RR_EINVAL);
}
END_TEST

/* ---- Threads, and memory ---- */

static void *sign_much(void *argument)
{
    const struct dnskey *key = argument;
    uint8_t signature[DNSKEY_SIGNATURE_MAX];
    struct dnskey_signer *signer = dnskey_signer_new(key);
    for (unsigned i = 0; i < 200 / UNIT_SLOWER && signer != NULL; i++) {
        if (dnskey_sign(signer, (const uint8_t *)&i, sizeof i, signature) != RR_OK ||
            dnskey_verify(key, (const uint8_t *)&i, sizeof i, signature,
                          dnskey_signature_size(key)) != RR_OK) {
            return NULL;
        }
    }
    dnskey_signer_free(signer);
    return argument;
}

START_TEST(several_threads)
{
    enum { THREADS = 4 };
    struct dnskey key;
    pthread_t thread[THREADS];
    ck_assert_int_eq(dnskey_generate(example, 257, algorithms[_i], &key), RR_OK);
    for (int i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, sign_much, &key), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(thread[i], &result);
        ck_assert_ptr_eq(result, &key);
    }
    dnskey_clear(&key);
}
END_TEST

/* A key of a size that can only be in the secure heap, and gone from it. */
START_TEST(secure_heap)
{
    struct dnskey key;
    ck_assert_int_ne(secret_init(), RR_ENOMEM);
    ck_assert_int_eq(secret_init(), RR_OK);
    ck_assert_int_eq(dnskey_generate(example, 257, 13, &key), RR_OK);
    dnskey_clear(&key); /* what OpenSSL keeps for the next time stays */
    size_t before = CRYPTO_secure_used();
    ck_assert_int_eq(dnskey_generate(example, 257, 13, &key), RR_OK);
    ck_assert_uint_ge(CRYPTO_secure_used(), before + 32);
    ck_assert_uint_lt(CRYPTO_secure_used(), before + 1024);
    dnskey_clear(&key);
    ck_assert_uint_eq(CRYPTO_secure_used(), before);
    uint8_t *memory = secret_alloc(10000);
    ck_assert_ptr_nonnull(memory);
    ck_assert(memory[0] == 0 && memory[9999] == 0);
    secret_free(memory, 10000);
    secret_free(NULL, 1);
}
END_TEST

/* Whether the mapping of the secure heap is kept out of core dumps, by /proc. */
static bool heap_is_undumped(const void *address)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[512];
    bool here = false, undumped = false;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2) {
            here = (unsigned long)address >= from && (unsigned long)address < to;
        } else if (here && strncmp(line, "VmFlags:", 8) == 0) {
            undumped = strstr(line, " dd") != NULL;
        }
    }
    if (maps != NULL) {
        fclose(maps);
    }
    return undumped;
}

/* Where nothing may be locked, keys are there all the same, and it is told. Root may lock anything,
 * so that the test runs as nobody; each test is in a process of its own (Check forks). */
START_TEST(nothing_locked)
{
    struct rlimit none = {0, 0};
    struct dnskey key;
    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(setuid(65534), 0);
    }
    ck_assert_int_eq(secret_init(), RR_EPERM);
    ck_assert_int_eq(dnskey_generate(example, 257, 13, &key), RR_OK);
    void *memory = OPENSSL_secure_malloc(32);
    ck_assert(CRYPTO_secure_allocated(memory));
    OPENSSL_secure_free(memory);
    dnskey_clear(&key);
    memory = secret_alloc(4096);
    ck_assert_ptr_nonnull(memory);
    secret_free(memory, 4096);
}
END_TEST

START_TEST(not_in_core_dumps)
{
    ck_assert_int_ne(secret_init(), RR_ENOMEM);
    void *memory = OPENSSL_secure_malloc(32);
    ck_assert(heap_is_undumped(memory));
    OPENSSL_secure_free(memory);
    memory = secret_alloc(4096);
    ck_assert(heap_is_undumped(memory));
    secret_free(memory, 4096);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("dnskey");
    tcase_add_loop_test(unit.tests, rfc_examples, 0, sizeof vectors / sizeof vectors[0]);
    tcase_add_loop_test(unit.tests, made_and_signed, 0, ALGORITHMS);
    tcase_add_loop_test(unit.tests, ldns_agrees, 0, ALGORITHMS);
    tcase_add_loop_test(unit.tests, private_numbers, 0, ALGORITHMS);
    tcase_add_test(unit.tests, no_keys);
    tcase_add_test(unit.tests, algorithm_names);
    tcase_add_loop_test(unit.tests, several_threads, 0, ALGORITHMS);
    tcase_add_test(unit.tests, secure_heap);
    tcase_add_test(unit.tests, nothing_locked);
    tcase_add_test(unit.tests, not_in_core_dumps);
    return unit_end(&unit);
}

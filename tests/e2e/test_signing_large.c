/*
 * The largest that can be signed: RRsets of nearly 64 KiB, and a zone with as many keys as there
 * may be, of the largest kind.
 */
#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/bn.h>
#include <openssl/evp.h>

#include "daemon.h"
#include "harness.h"
#include "packet.h"
#include "resolver.h"

enum { KEYS = 16, PRIMES = 7, PRIME_BITS = 2048, TRUNCATED = 0x0200 };

static struct zone_keys zone;

#define HEAD "$TTL 300\n@ SOA ns host 1 3600 600 86400 300\n@ NS ns\nns A 192.0.2.53\n"

static void lay_out(const char *denial, const char *text)
{
    static unsigned number;
    daemon_prepare(&server, format_text("large%u", number++),
                   format_text("{\"dnssec\": {\"p\": {\"keys\": \"keys\", \"denial\": \"%s\"}}, "
                               "\"zones\": [{\"name\": \"a.test\", \"file\": \"zones/a.test.zone\","
                               " \"dnssec\": \"p\"}]}",
                               denial));
    dir_make(format_text("%s/keys", server.dir));
    daemon_zone(&server, "a.test", text);
    zone = (struct zone_keys){0};
    snprintf(zone.zone, sizeof zone.zone, "a.test.");
}

static void teardown(void)
{
    daemon_kill(&server);
}

static size_t count_type(const struct packet *packet, ldns_rr_type type)
{
    const ldns_rr_list *list = packet_section(packet, SECTION_ANSWER);
    size_t count = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        count += ldns_rr_get_type(ldns_rr_list_rr(list, i)) == type;
    }
    return count;
}

/* Asks over TCP: so many records, with so many signatures. */
static void ask(const char *name, const char *type, size_t records, size_t signatures,
                bool verifies)
{
    struct packet packet;
    signed_ask(&server, true, 1232, name, type, &packet);
    ck_assert_uint_eq(packet.rcode, 0);
    ck_assert_uint_eq(packet.flags & TRUNCATED, 0);
    ck_assert_uint_eq(count_type(&packet, (ldns_rr_type)type_number(type)), records);
    ck_assert_uint_eq(count_type(&packet, LDNS_RR_TYPE_RRSIG), signatures);
    const char *fault = verifies ? signatures_fault(&server, &zone, 1, &packet) : NULL;
    ck_assert_msg(fault == NULL, "%s %s: %s", name, type, fault);
    packet_free(&packet);
}

/* The signatures are good, as ldns sees it. */
static void expect(const char *name, const char *type, size_t records, size_t signatures)
{
    ask(name, type, records, signatures, true);
}

/* The one signature is, as delv sees it: what is signed of many records, with owners in full, is
 * more than 64 KiB, which ldns can't verify. */
static void expect_many(const char *name, size_t records)
{
    const struct delv_question question = {name, "TXT"};
    char *said;
    ask(name, "TXT", records, 1, false);
    delv(&server, &zone, &question, 1, &said);
    ck_assert_ptr_nonnull(strstr(said, "; fully validated"));
    free(said);
}

/* The same over UDP: TC, and nothing. */
static void expect_truncated(const char *name, const char *type)
{
    struct packet packet;
    signed_ask(&server, false, 1232, name, type, &packet);
    ck_assert_uint_eq(packet.flags & TRUNCATED, TRUNCATED);
    ck_assert_uint_eq(count_type(&packet, (ldns_rr_type)type_number(type)), 0);
    packet_free(&packet);
}

/* ---- Large RRsets ---- */

/* A string of TXT with so many octets, the first ones from number. */
static void put_string(FILE *out, unsigned number, size_t size)
{
    fprintf(out, " \"%0*u\"", (int)size, number);
}

/* One record of so many octets of RDATA, a multiple of 256. */
static void put_single(FILE *out, const char *name, size_t size)
{
    fprintf(out, "%s TXT (", name);
    for (size_t i = 0; i < size / 256; i++) {
        put_string(out, (unsigned)i, 255);
    }
    fprintf(out, " )\n");
}

static void put_many(FILE *out, const char *name, unsigned count, size_t size)
{
    for (unsigned i = 0; i < count; i++) {
        fprintf(out, "%s TXT", name);
        put_string(out, i, size - 1);
        fprintf(out, "\n");
    }
}

START_TEST(nearly_64k)
{
    static const char *const denials[] = {"compact", "nsec", "nsec3"};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs(HEAD, out);
    put_single(out, "single", 254 * 256);       /* 65,024 octets and the head */
    put_many(out, "many", 1500, 31);            /* 1500 * 43 = 64,500 */
    put_many(out, "*.wild", 1500, 31);
    put_single(out, "full", 255 * 256);         /* 65,280, with 65,535 to a message: it fits, */
    put_many(out, "full", 1, 100);              /* but no signature beside it */
    fclose(out);
    lay_out(denials[_i], text);
    daemon_start(&server);
    keys_read(&zone, format_text("%s/keys", server.dir), "a.test.");
    for (unsigned round = 0; round < 2; round++) {
        expect("single.a.test", "TXT", 1, 1);
        expect_many("many.a.test", 1500);
        expect_many("x.wild.a.test", 1500);
        expect_truncated("single.a.test", "TXT");
        expect_truncated("many.a.test", "TXT");
    }
    /* With DO it can't be said at all; without, it can. */
    struct packet packet;
    signed_ask(&server, true, 1232, "full.a.test", "TXT", &packet);
    ck_assert_uint_eq(count_type(&packet, LDNS_RR_TYPE_TXT), 0);
    ck_assert_uint_eq(packet.flags & TRUNCATED, TRUNCATED);
    packet_free(&packet);
    signed_ask(&server, true, 0, "full.a.test", "TXT", &packet);
    ck_assert_uint_eq(count_type(&packet, LDNS_RR_TYPE_TXT), 2);
    packet_free(&packet);
    /* In a new version of the zone it is not signed anew. */
    int64_t made = daemon_counter(&server, "signatures_made");
    size_t log = daemon_log_size(&server);
    text = realloc(text, size + 100);
    strcpy(text + size, "more A 192.0.2.1\n");
    daemon_zone(&server, "a.test", text);
    free(text);
    control_reload_ok(&server);
    ck_assert(daemon_logs(&server, log, "reload: 1 zones loaded"));
    expect("single.a.test", "TXT", 1, 1);
    expect_many("many.a.test", 1500);
    ck_assert_int_eq(daemon_counter(&server, "signatures_made"), made);
    ck_assert_int_eq(daemon_counter(&server, "signatures_failed"), 0);
    daemon_stop(&server);
}
END_TEST

/* ---- Sixteen keys ---- */

static void put_base64(FILE *out, const char *name, const uint8_t *data, size_t size)
{
    char text[1024];
    ck_assert_uint_lt(size, 700);
    EVP_EncodeBlock((unsigned char *)text, data, (int)size);
    fprintf(out, "%s%s\n", name, text);
}

static void put_number(FILE *out, const char *name, const BIGNUM *number)
{
    uint8_t data[512];
    ck_assert_int_le(BN_num_bytes(number), (int)sizeof data);
    put_base64(out, name, data, (size_t)BN_bn2bin(number, data));
}

static unsigned key_tag(const uint8_t *rdata, size_t size)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += (i & 1) != 0 ? rdata[i] : (uint32_t)rdata[i] << 8;
    }
    return (sum + (sum >> 16)) & 0xffff;
}

/* Both files of an RSA key, algorithm 8, from its primes. */
static void write_key(const BIGNUM *p, const BIGNUM *q, BN_CTX *context)
{
    BIGNUM *n = BN_new(), *e = BN_new(), *p1 = BN_dup(p), *q1 = BN_dup(q), *phi = BN_new();
    BIGNUM *rest = BN_new();
    uint8_t rdata[4 + 4 + 512] = {1, 1, 3, 8, 3, 1, 0, 1}; /* flags 257; the exponent is 65537 */
    ck_assert_int_eq(BN_set_word(e, 65537), 1);
    ck_assert(BN_mul(n, p, q, context) && BN_sub_word(p1, 1) && BN_sub_word(q1, 1) &&
              BN_mul(phi, p1, q1, context));
    BIGNUM *d = BN_mod_inverse(NULL, e, phi, context);
    ck_assert_ptr_nonnull(d);
    ck_assert_int_eq(BN_bn2bin(n, rdata + 8), 512);
    const char *path = format_text("%s/keys/Ka.test.+008+%05u", server.dir,
                                   key_tag(rdata, sizeof rdata));
    FILE *out = fopen(format_text("%s.key", path), "w");
    ck_assert_ptr_nonnull(out);
    put_base64(out, "a.test. IN DNSKEY 257 3 8 ", rdata + 4, sizeof rdata - 4);
    fclose(out);
    out = fopen(format_text("%s.private", path), "w");
    ck_assert_ptr_nonnull(out);
    fprintf(out, "Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\n");
    put_number(out, "Modulus: ", n);
    put_number(out, "PublicExponent: ", e);
    put_number(out, "PrivateExponent: ", d);
    put_number(out, "Prime1: ", p);
    put_number(out, "Prime2: ", q);
    ck_assert(BN_mod(rest, d, p1, context));
    put_number(out, "Exponent1: ", rest);
    ck_assert(BN_mod(rest, d, q1, context));
    put_number(out, "Exponent2: ", rest);
    ck_assert_ptr_nonnull(BN_mod_inverse(rest, q, p, context));
    put_number(out, "Coefficient: ", rest);
    fclose(out);
    ck_assert_int_eq(chmod(format_text("%s.private", path), 0600), 0);
    BIGNUM *all[] = {n, e, p1, q1, phi, rest, d};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        BN_free(all[i]);
    }
}

/* Keys that share primes, since new ones for each would take half a minute; the top bits of the
 * primes are set, so that all moduli have 4096. */
static void write_keys(void)
{
    BN_CTX *context = BN_CTX_new();
    BIGNUM *prime[PRIMES];
    size_t made = 0;
    for (size_t i = 0; i < PRIMES; i++) {
        prime[i] = BN_new();
        ck_assert_int_eq(BN_generate_prime_ex(prime[i], PRIME_BITS, 0, NULL, NULL, NULL), 1);
        for (size_t j = 0; j < i && made < KEYS; j++, made++) {
            write_key(prime[i], prime[j], context);
        }
    }
    ck_assert_uint_eq(made, KEYS);
    for (size_t i = 0; i < PRIMES; i++) {
        BN_free(prime[i]);
    }
    BN_CTX_free(context);
}

static void expect_all_keys(void)
{
    expect("a.test", "DNSKEY", KEYS, KEYS);
    expect("www.a.test", "A", 1, KEYS);
    expect("a.test", "SOA", 1, KEYS);
    expect_truncated("www.a.test", "A");
}

START_TEST(sixteen_of_4096)
{
    lay_out("compact", HEAD "www A 192.0.2.1\n");
    write_keys();
    daemon_start(&server);
    expect_all_keys();
    size_t log = daemon_log_size(&server);
    daemon_zone(&server, "a.test",
                "$TTL 300\n@ SOA ns host 2 3600 600 86400 300\n@ NS ns\nns A 192.0.2.53\n"
                "www A 192.0.2.2\nnew A 192.0.2.3\n");
    ck_assert_int_eq(kill(server.pid, SIGHUP), 0);
    ck_assert(daemon_logs(&server, log, "reload: 1 zones loaded"));
    expect_all_keys();
    expect("new.a.test", "A", 1, KEYS);
    /* A denial: SOA and NSEC, each with all signatures. */
    struct packet packet;
    signed_ask(&server, true, 1232, "none.a.test", "A", &packet);
    const char *fault = signatures_fault(&server, &zone, 1, &packet);
    ck_assert_msg(fault == NULL, "%s", fault);
    ck_assert_uint_eq(ldns_rr_list_rr_count(packet_section(&packet, SECTION_AUTHORITY)),
                      2 + 2 * KEYS);
    packet_free(&packet);
    ck_assert_int_eq(daemon_counter(&server, "signatures_failed"), 0);
    daemon_stop(&server);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("signing_large");
    TCase *tests = tcase_create("large");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, nearly_64k, 0, 3);
    tcase_add_test(tests, sixteen_of_4096);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_large", suite);
}

/*
 * A key-signing key that never comes near the server: the DNSKEY RRset is signed elsewhere and
 * given as a file, the server has the key that signs the rest.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "packet.h"
#include "resolver.h"

static const char zone[] = "offline.example.";
static struct zone_keys keys;
static struct resolver resolver;

static const char zone_text[] = "$TTL 3600\n"
                                "@ SOA ns host 1 7200 900 86400 300\n"
                                "@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.3\n";

/* Lines of text that have this in them. */
static const char *lines_with(const char *text, const char *what)
{
    static char found[8192];
    found[0] = '\0';
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1) {
        size_t length = strcspn(line, "\n") + 1;
        const char *at = strstr(line, what);
        if (at != NULL && at < line + length) {
            ck_assert_uint_lt(strlen(found) + length, sizeof found);
            strncat(found, line, length);
        }
    }
    return found;
}

static void copy(const char *file, const char *suffix, mode_t mode)
{
    char *text = file_read(format_text("%s/elsewhere/%s%s", server.dir, file, suffix));
    const char *path = format_text("%s/keys/%s%s", server.dir, file, suffix);
    file_write(path, text);
    ck_assert_int_eq(chmod(path, mode), 0);
    free(text);
}

/* Elsewhere: both keys, and the zone signed by them. Here: the DNSKEY RRset with its signature, the
 * public half of one key and the whole of the other. */
static void begin(void)
{
    daemon_prepare(&server, "offline", NULL);
    dir_make(format_text("%s/keys", server.dir));
    dir_make(format_text("%s/elsewhere", server.dir));
    keys_make(&keys, format_text("%s/elsewhere", server.dir), zone);
    char *text = zone_sign(&keys, zone_text, SIGNER_LDNS, SIGNS_NSEC);
    char *dnskey = strdup(lines_with(text, "\tDNSKEY\t"));
    const char *rrsig = lines_with(text, "RRSIG\tDNSKEY ");
    ck_assert_str_ne(dnskey, "");
    ck_assert_str_ne(rrsig, "");
    file_printf(format_text("%s/keys/Koffline.example.dnskey", server.dir), "%s%s", dnskey, rrsig);
    free(dnskey);
    free(text);
    copy(keys.ksk, ".key", 0644);
    copy(keys.zsk, ".key", 0644);
    copy(keys.zsk, ".private", 0600);
    daemon_zone(&server, "offline.example", zone_text);
    daemon_configure(&server, "{\"zones\": [{\"name\": \"offline.example\", \"file\": "
                              "\"zones/offline.example.zone\", \"dnssec\": \"p\"}],"
                              "\"dnssec\": {\"p\": {\"denial\": \"nsec\"}}}");
    daemon_start(&server);
    resolver_start(&resolver, "unbound", &server, &keys, 1, NULL);
}

static void end(void)
{
    resolver_stop(&resolver);
    daemon_stop(&server);
}

START_TEST(validates)
{
    ck_assert_str_eq(resolver_ask(&resolver, "www.offline.example.", "A"), "NOERROR AD");
    ck_assert_str_eq(resolver_ask(&resolver, "none.offline.example.", "A"), "NXDOMAIN AD");
    ck_assert_str_eq(resolver_ask(&resolver, "www.offline.example.", "MX"), "NOERROR AD");
    ck_assert_str_eq(resolver_ask(&resolver, zone, "DNSKEY"), "NOERROR AD");
    ck_assert_str_eq(resolver_ask(&resolver, zone, "CDS"), "NOERROR AD");
}
END_TEST

START_TEST(is_told)
{
    struct output o = rrdnsctl(&server, "dnssec offline.example");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "its private part is not here");
    o = rrdnsctl(&server, "-j dnssec offline.example");
    ck_contains(o.out, "\"offline_ksk\":true");
}
END_TEST

/* The file goes: then the key that is here signs all, which no DS vouches for; told as a warning, and
 * the zone is not secure any more. It comes back: all is well again. */
START_TEST(comes_and_goes)
{
    const char *path = format_text("%s/keys/Koffline.example.dnskey", server.dir);
    char *text = file_read(path);
    ck_assert_int_eq(unlink(path), 0);
    control_reload_ok(&server);
    ck_contains(rrdnsctl(&server, "-j dnssec offline.example").out, "\"offline_ksk\":false");
    file_write(path, text);
    control_reload_ok(&server);
    ck_contains(rrdnsctl(&server, "-j dnssec offline.example").out, "\"offline_ksk\":true");
    struct packet packet;
    signed_ask(&server, false, 1232, zone, "DNSKEY", &packet);
    const char *fault = signatures_fault(&server, &keys, 1, &packet);
    ck_assert_msg(fault == NULL, "%s\n%s", fault, packet_text(&packet));
    packet_free(&packet);
    free(text);
}
END_TEST

/* One that is not signed by its own keys is refused, and what was served is served on. */
START_TEST(damaged)
{
    const char *path = format_text("%s/keys/Koffline.example.dnskey", server.dir);
    char *text = file_read(path);
    char *signature = strstr(text, "RRSIG");
    ck_assert_ptr_nonnull(signature);
    char *octet = signature + strcspn(signature, "\n") - 20;
    *octet = *octet == 'A' ? 'B' : 'A';
    file_write(path, text);
    struct output o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "Koffline.example.dnskey");
    struct packet packet;
    signed_ask(&server, false, 1232, zone, "DNSKEY", &packet);
    const char *fault = signatures_fault(&server, &keys, 1, &packet);
    ck_assert_msg(fault == NULL, "%s\n%s", fault, packet_text(&packet));
    packet_free(&packet);
    free(text);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("signing_offline");
    TCase *t = tcase_create("signing_offline");
    tcase_add_unchecked_fixture(t, begin, end);
    tcase_set_timeout(t, 0);
    tcase_add_test(t, validates);
    tcase_add_test(t, is_told);
    tcase_add_test(t, comes_and_goes);
    tcase_add_test(t, damaged);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return harness_main("signing_offline", suite);
}

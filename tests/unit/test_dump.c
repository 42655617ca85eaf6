/*
 * Zone images as text: the form of it, and that text -> image -> text -> image is a fixed point,
 * for zones of every type and of any names.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/rrtype.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"
#include "zone/dump.h"
#include "zone/zone_build.h"
#include "zone/zone_load.h"

/* The zone that text makes, which must be without a fault. */
static struct zone *load(const char *apex, const char *text, size_t size)
{
    struct records *records = records_new(names_wire(apex));
    struct source_list sources = {0};
    struct diag diag = {0};
    struct zone *zone = NULL;
    int error = zone_scan_text("z", text, size, names_wire(apex), 1, records, &sources, &diag);
    if (error == RR_OK) {
        error = zone_build(records, 1, &diag, &zone);
    }
    ck_assert_msg(error == RR_OK, "%s", make_told(&diag));
    records_free(records);
    source_list_clear(&sources);
    diag_clear(&diag);
    return zone;
}

/* The dump of a zone, to be freed. */
static char *dump(const struct zone *zone, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    ck_assert_int_eq(zone_dump(zone, out), RR_OK);
    fclose(out);
    return text;
}

static void dump_is(const char *apex, const char *text, const char *expected)
{
    size_t size;
    struct zone *zone = load(apex, text, strlen(text));
    char *found = dump(zone, &size);
    ck_assert_str_eq(found, expected);
    zone_unref(zone);
    free(found);
}

/* Dumps, loads, dumps again; the images must be the same octet for octet. */
static void check_fixed_point(const char *apex, const struct zone *zone)
{
    size_t size, again_size;
    char *text = dump(zone, &size);
    struct zone *second = load(apex, text, size);
    ck_assert_uint_eq(second->arena.used, zone->arena.used);
    ck_assert(memcmp(second->arena.base, zone->arena.base, zone->arena.used) == 0);
    char *again = dump(second, &again_size);
    ck_assert_uint_eq(again_size, size);
    ck_assert(memcmp(again, text, size) == 0);
    zone_unref(second);
    free(text);
    free(again);
}

START_TEST(form)
{
    dump_is("Example.",
            "$TTL 1h\n"
            "z A 192.0.2.1\n"
            "*.B TXT \"a;\" b\n"
            "@ NS ns.elsewhere.\n"
            "\\000x.a MX 10 .\n"
            "@ SOA ns.elsewhere. host 1 2h 3 4 5m\n"
            "@ A 192.0.2.2\n"
            "b 5 TYPE65280 \\# 0\n"
            "b 5 A 192.0.2.1\n",
            "Example.\t3600\tIN\tSOA\tns.elsewhere. host.Example. 1 7200 3 4 300\n"
            "Example.\t3600\tIN\tA\t192.0.2.2\n"
            "Example.\t3600\tIN\tNS\tns.elsewhere.\n"
            "\\000x.a.Example.\t3600\tIN\tMX\t10 .\n"
            "b.Example.\t5\tIN\tA\t192.0.2.1\n"
            "b.Example.\t5\tIN\tTYPE65280\t\\# 0\n"
            "*.B.Example.\t3600\tIN\tTXT\t\"a;\" \"b\"\n"
            "z.Example.\t3600\tIN\tA\t192.0.2.1\n");
    dump_is(".", "@ 5 SOA . . 1 2 3 4 5\n@ 5 NS ns.\nns 5 A 192.0.2.1\n",
            ".\t5\tIN\tSOA\t. . 1 2 3 4 5\n.\t5\tIN\tNS\tns.\nns.\t5\tIN\tA\t192.0.2.1\n");
}
END_TEST

/* At least one record of every type a zone can have, and every kind of field in several forms. */
static const char all_types[] =
    "$TTL 1h\n"
    "@ SOA ns1 host\\.master 2024010101 1d 2h30m 1w 1800\n"
    "@ NS ns1\n@ NS ns2.Other.test.\n"
    "ns1 300 A 192.0.2.1\nns1 300 AAAA 2001:DB8::1\nns1 AAAA ::ffff:192.0.2.1\n"
    "ns1 AAAA 1:0:0:2::3\nns1 AAAA ::\nns1 AAAA 1:2:3:4:5:6:7:0\nns1 AAAA 0:0:1::\n"
    "txt TXT un\\ quoted \"quoted ; ( )\" \"\\\" \\\\ \\065\\000\\255\" \"\"\n"
    "txt TXT \"over\nlines\" second\n"
    "t1 MD a\nt1 MF b\nt2 MB c\nt2 MG d\nt2 MR e\nt2 MINFO f g\nptr PTR x.\n"
    "cname CNAME Target.UPPER\n"
    "mx MX 10 mail\nmx MX 0 .\nmx MX 65535 mx\n"
    "wks WKS 10.0.0.1 tcp 25 80\nwks WKS 10.0.0.1 200\n"
    "h HINFO \"PC-Intel 700mhz\" \"\"\nr RP mbox.dom txt.dom\na AFSDB 1 afs\nx X25 311061700956\n"
    "i ISDN 150862028003217 004\ni ISDN 150862028003217\nrt RT 10 relay\nn NSAP 0x47.0005.80\n"
    "sig SIG A 5 3 86400 20030322173103 20030220173103 2642 example.com. AQIDBA==\n"
    "key KEY 512 255 1 AQID\nkey KEY 49152 3 5\npx PX 10 map822 mapx400\n"
    "loc LOC 42 21 54 N 71 06 18 W -24m 30m\nsrv SRV 0 5 5060 Sip\n"
    "nap NAPTR 100 10 \"\" \"\" \"!^urn:cid:.+@([^\\\\.]+\\\\.)(.*)$!\\\\2!i\" .\n"
    "kx KX 10 kx-host\ncert CERT PKIX 1 RSASHA256 AQID\ncert CERT 65534 65535 254 AQIDBA==\n"
    "dn DNAME dn.target\napl APL 1:192.168.32.0/21 !2:2001:db8::/32\napl APL\n"
    "d NS ns.d\nns.d A 192.0.2.9\nd DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118\n"
    "ssh SSHFP 2 1 123456789abcdef67890\nip IPSECKEY 10 1 2 192.0.2.38 AQID\n"
    "ip IPSECKEY 10 3 0 gw\nrrsig RRSIG NSEC 13 2 300 4294967295 0 65535 . oJB1\n"
    "nsec NSEC \\001.host A CAA TYPE65535\nnsec2 NSEC .\n"
    "@ DNSKEY 257 3 8 AwEAAaz/\ndh DHCID AAIB\n"
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom NSEC3 1 1 12 aabb 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX\n"
    "0p9mhaveqvm6t7vbl5lop2u3t2rp3tol NSEC3 1 0 0 - 2t7b4g4vsa5smi47k61mv5bv1a22bojr\n"
    "@ NSEC3PARAM 1 0 12 aabb\n"
    "tlsa TLSA 1 1 2 92003ba3\ns SMIMEA 0 0 0 00aabb\n"
    "hip HIP 2 200100107B1A74DF AQID rvs rvs2.abs.\ncds CDS 0 0 0 00\ncds CDNSKEY 0 3 0 AA==\n"
    "pgp OPENPGPKEY AwEAAQ==\ncs CSYNC 66 3 A NS TYPE1234\n"
    "zm ZONEMD 1 1 9 000102030405060708090a0b\n"
    "svcb SVCB 16 foo alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1,192.0.2.2 port=53\n"
    "svcb SVCB 1 . key667=\"hello\\210q\\\"o\\\\\" no-default-alpn alpn=x key65534 ohttp\n"
    "svcb HTTPS 1 . ipv6hint=\"2001:db8::1,::\" alpn=\"f\\\\\\\\oo\\\\,b\\032r,h2\" ech=AQID\n"
    "svcb HTTPS 0 alias\nsv2 SVCB 1 svc dohpath=/dns-query{?dns}\n"
    "spf SPF \"v=spf1\"\nnid NID 10 0014:4fff:ff20:ee64\nnid L32 10 10.1.2.0\n"
    "nid L64 10 2001:0DB8:1140:1000\nnid LP 10 l64\ne EUI48 00-00-5e-00-53-2a\n"
    "e EUI64 00-00-5e-ef-10-00-00-2a\nuri URI 10 1 \"ftp://a;\\\"b\"\n"
    "caa CAA 0 issue \"ca.example.net; policy=ev\"\ncaa CAA 128 tbs \"\"\n"
    "t TYPE731 \\# 6 abcdef012345\nt TYPE62347 \\# 0\n";

START_TEST(every_type)
{
    struct zone *zone = load("example.", all_types, sizeof all_types - 1);
    check_fixed_point("example.", zone);
    /* and there is none that the text above has forgotten */
    static const uint16_t types[] = {
#define RRTYPE(mnemonic, number, form) number,
#include "dns/rrtypes.def"
#undef RRTYPE
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        bool found = rrtype_form(types[i])[0] == '\0';
        for (const struct node *node = zone_first(zone); node != NULL && !found;
             node = zone_next(zone, node)) {
            found = node_rrset(node, types[i]) != NULL;
        }
        ck_assert_msg(found, "no record of type %u", types[i]);
    }
    zone_unref(zone);
}
END_TEST

/* Names that text can hardly hold, as owners and in RDATA. */
START_TEST(any_names)
{
    static const enum names_kind kinds[] = {NAMES_DENSE, NAMES_HOST, NAMES_OCTETS, NAMES_LONG,
                                            NAMES_MANY};
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 300 / UNIT_SLOWER; round++) {
        static const char apex[] = "Ex\\.ample.\\000.";
        struct records *records = records_new(names_wire(apex));
        make_records(records, apex, MAKE_APEX);
        for (unsigned i = 0; i < 60; i++) {
            uint8_t owner[NAME_MAX_OCTETS], target[2 + NAME_MAX_OCTETS] = {0, 10};
            names_random(&rng, kinds[rng_below(&rng, 5)], names_wire(apex), 4, owner);
            names_random(&rng, kinds[rng_below(&rng, 5)], names_wire("."), 4, target + 2);
            make_record(records, owner, RRTYPE_MX, 60, target, 2 + names_size(target + 2), 0, i);
            make_record(records, owner, RRTYPE_TXT, 60, "\3\0\377\"", 4, 0, i);
        }
        struct zone *zone = make_built(records);
        check_fixed_point(apex, zone);
        zone_unref(zone);
    }
}
END_TEST

START_TEST(no_room)
{
    struct zone *zone = load("example.", all_types, sizeof all_types - 1);
    FILE *full = fopen("/dev/full", "w");
    if (full != NULL) {
        ck_assert_int_eq(zone_dump(zone, full), RR_EIO);
        fclose(full);
    }
    zone_unref(zone);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("dump");
    tcase_add_test(unit.tests, form);
    tcase_add_test(unit.tests, every_type);
    tcase_add_test(unit.tests, any_names);
    tcase_add_test(unit.tests, no_room);
    return unit_end(&unit);
}

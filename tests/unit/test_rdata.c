/*
 * RDATA from text: what octets it makes (examples of the RFCs), and what it is refused for. The
 * comparison with ldns, and random RDATA, are in test_rdata_random.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "scan_aid.h"
#include "unit.h"

struct sample {
    uint16_t type;
    const char *text;
    const char *result; /* hex, or the fault */
};

#define EXAMPLE "076578616d706c6500"
#define SVC "03666f6f076578616d706c65036f726700" /* foo.example.org. */
#define NUMBER(max) "expected a number from 0 to " max ", found "
#define SHA1 "2BB183AF5F22588179A53B0A98631FAD1A292118"

static const struct sample taken[] = {
    {RRTYPE_A, "192.0.2.255", "c00002ff"},
    {RRTYPE_A, "\\# 4 c00002ff", "c00002ff"},
    {RRTYPE_AAAA, "::", "00000000000000000000000000000000"},
    {RRTYPE_AAAA, "2001:DB8::1:0:0:192.0.2.1", "20010db80000000100000000c0000201"},
    {RRTYPE_NS, "@", EXAMPLE},
    {RRTYPE_NS, ".", "00"},
    {RRTYPE_NS, "A.b", "01410162" EXAMPLE},
    {RRTYPE_NS, "a\\.b\\000.", "04612e620000"},
    {RRTYPE_SOA, "a. b. 4294967295 1h 2m 1w 0",
     "016100016200ffffffff00000e100000007800093a8000000000"},
    {RRTYPE_MX, "65535 .", "ffff00"},
    {RRTYPE_MX, "\\# 5 000a 01 61 00", "000a016100"},
    {RRTYPE_TXT, "a \"\" \\065", "0161000141"},
    {RRTYPE_TXT, "\\# 1 00", "00"},
    {RRTYPE_HINFO, "a \"b c\"", "016103622063"},
    {RRTYPE_DS, "60485 5 1 " SHA1, "ec4505012bb183af5f22588179a53b0a98631fad1a292118"},
    {RRTYPE_DS, "1 rsaSHA1 1 2BB183AF5F2258 8179A53B0A98631F\tAD1A2921 18",
     "000105012bb183af5f22588179a53b0a98631fad1a292118"},
    {RRTYPE_CDS, "0 0 0 00", "0000000000"},
    {RRTYPE_CDNSKEY, "0 3 0 AA==", "0000030000"},
    {RRTYPE_DNSKEY, "257 3 ED25519 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
     "0101030f974d96a22d224bc01adb915091477d44ccd91c9a41a11430010117d52c59240e"},
    {RRTYPE_KEY, "49152 3 5", "c0000305"},
    {RRTYPE_RRSIG, "A 5 3 86400 20030322173103 1045780000 2642 example.com. AQID",
     "00010503000151803e7c9dd73e5556200a52 076578616d706c6503636f6d00 010203"},
    {RRTYPE_RRSIG, "TYPE65535 254 0 0 21060207062815 19700101000000 0 . AA==",
     "fffffe0000000000ffffffff00000000000000 00"},
    {RRTYPE_RRSIG, "A 8 0 0 20240229235959 20000301000000 0 . AA==",
     "0001080000000000 65e11a7f 38bc5d80 0000 00 00"},
    {RRTYPE_NSEC, "host.example.com. A MX RRSIG NSEC TYPE1234",
     "04686f7374076578616d706c6503636f6d00 0006400100000003 041b"
     "000000000000000000000000000000000000000000000000000020"},
    {RRTYPE_NSEC, ". CAA A A TYPE0 type65535",
     "00 0001c0 010140 ff20 "
     "0000000000000000000000000000000000000000000000000000000000000001"},
    {RRTYPE_NSEC, ".", "00"},
    {RRTYPE_NSEC3, "1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr MX",
     "0101000c04aabbccdd14174eb2409fe28bcb4887a1836f957f0a8425e27b 00020001"},
    {RRTYPE_NSEC3PARAM, "1 0 65535 -", "0100ffff00"},
    {RRTYPE_CSYNC, "66 3 A NS AAAA", "00000042000300046000 0008"},
    {RRTYPE_CERT, "PKIX 1 RSASHA256 AQID", "00010001080 10203"},
    {RRTYPE_CERT, "65534 65535 254 AQID", "fffefffffe010203"},
    {RRTYPE_CAA, "0 issue \"ca.example; a=b\"", "00056973737565 63612e6578616d706c653b20613d62"},
    {RRTYPE_CAA, "128 TBS \"\"", "8003544253"},
    {RRTYPE_URI, "10 1 \"ftp://a\"", "000a00016674703a2f2f61"},
    {RRTYPE_NAPTR, "100 50 s \"http+I2L\" \"\" .", "006400320173 08687474702b49324c 00 00"},
    {RRTYPE_SRV, "0 65535 5060 a.", "0000ffff13c4016100"},
    {RRTYPE_SSHFP, "2 1 1234", "02011234"},
    {RRTYPE_OPENPGPKEY, "AQ ID", "010203"},
    {RRTYPE_ZONEMD, "1 1 240 000102030405060708090a0b", "0000000101f0000102030405060708090a0b"},
    /* rare ones */
    {RRTYPE_WKS, "10.0.0.1 TCP 25 0 80 25", "0a00000106 800000400000000000 0080"},
    {RRTYPE_WKS, "10.0.0.1 udp 53", "0a00000111 00000000000004"},
    {RRTYPE_WKS, "10.0.0.1 255", "0a000001ff"},
    {RRTYPE_ISDN, "150862028003217 \"00\\052\"", "0f313530383632303238303033323137 03303034"},
    {RRTYPE_NSAP, "0x47.0005.80.01.0a", "47000580010a"},
    {RRTYPE_LOC, "42 21 54 N 71 06 18 W -24m 30m", "0033161389172dd070be15f000988d20"},
    {RRTYPE_LOC, "42 n 71 6 w 10.5 0.5m 1000m 10.25m", "00511513890321007 0be5c4000989a9a"},
    {RRTYPE_LOC, "90 0 0.000 S 180 E -100000.00m 0.00m 90000000.00m 1m",
     "0000991 26cb02700a69fb20000000000"},
    {RRTYPE_LOC, "0 0 0.001 N 0 E 42849672.95", "00121613 80000001 80000000 ffffffff"},
    {RRTYPE_APL, "1:192.168.32.0/21 !1:0.0.0.0/0 2:2001:db8::/32",
     "00011503c0a820 00010080 0002200420010db8"},
    {RRTYPE_APL, "", ""},
    {RRTYPE_IPSECKEY, "10 1 2 192.0.2.38 AQ ID", "0a0102c0000226010203"},
    {RRTYPE_IPSECKEY, "10 0 0 .", "0a0000"},
    {RRTYPE_IPSECKEY, "10 3 2 gw AQID", "0a0302026777" EXAMPLE "010203"},
    {RRTYPE_IPSECKEY, "10 2 2 ::1 AQID", "0a020200000000000000000000000000000001010203"},
    {RRTYPE_HIP, "2 20010a AQID rvs b.", "03020003 20010a 010203 03727673" EXAMPLE "016200"},
    {RRTYPE_NID, "10 14:4fff:ff20:ee64", "000a00144fffff20ee64"},
    {RRTYPE_L64, "10 2001:0DB8:1140:1000", "000a20010db811401000"},
    {RRTYPE_L32, "10 10.1.2.0", "000a0a010200"},
    {RRTYPE_EUI48, "00-00-5E-00-53-2a", "00005e00532a"},
    {RRTYPE_EUI64, "00-00-5e-ef-10-00-00-2a", "00005eef1000002a"},
    /* RFC 9460 appendix D */
    {RRTYPE_HTTPS, "0 foo.example.org.", "0000" SVC},
    {RRTYPE_SVCB, "1 .", "000100"},
    {RRTYPE_SVCB, "16 foo.example.org. port=53", "0010" SVC "000300020035"},
    {RRTYPE_SVCB, "1 foo.example.org. key667=hello", "0001" SVC "029b000568656c6c6f"},
    {RRTYPE_SVCB, "1 foo.example.org. key667=\"hello\\210qoo\"",
     "0001" SVC "029b000968656c6c6fd2716f6f"},
    {RRTYPE_SVCB, "1 foo.example.org. ipv6hint=\"2001:db8::1,2001:db8::53:1\"",
     "0001" SVC "0006002020010db800000000000000000000000120010db8000000000000000000530001"},
    {RRTYPE_SVCB, "16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1",
     "0010" SVC "0000000400010004000100090268320568332d313900040004c0000201"},
    {RRTYPE_SVCB, "16 foo.example.org. alpn=\"f\\\\\\\\oo\\\\,bar,h2\"",
     "0010" SVC "0001000c08665c6f6f2c626172026832"},
    {RRTYPE_SVCB, "16 foo.example.org. alpn=f\\\\\\092oo\\092,bar,h2",
     "0010" SVC "0001000c08665c6f6f2c626172026832"},
    {RRTYPE_SVCB, "1 . no-default-alpn alpn=\"h2\" port=\"1\"", "000100 00010003026832 00020000 "
                                                             "000300020001"},
    {RRTYPE_SVCB, "1 . key1=\"\\002h2\" dohpath=/q{?dns} ohttp ech=AQID key65534",
     "000100 00010003026832 00050003010203 000700082f717b3f646e737d 00080000 fffe0000"},
    {RRTYPE_SVCB, "\\# 3 000100", "000100"},
};

static const struct sample refused[] = {
    {RRTYPE_A, "192.0.2.256", "expected an IPv4 address, found \"192.0.2.256\""},
    {RRTYPE_A, "\"192.0.2.1\"", "expected an IPv4 address, found \"192.0.2.1\""},
    {RRTYPE_A, "192.0.2.01", "expected an IPv4 address, found \"192.0.2.01\""},
    {RRTYPE_A, "192.0.2", "expected an IPv4 address, found \"192.0.2\""},
    {RRTYPE_A, "", "expected an IPv4 address, found the end of the file"},
    {RRTYPE_A, "192.0.2.1 x", "expected the end of the record, found \"x\""},
    {RRTYPE_AAAA, "192.0.2.1", "expected an IPv6 address, found \"192.0.2.1\""},
    {RRTYPE_AAAA, "1:2:3:4:5:6:7:8:9", "expected an IPv6 address, found \"1:2:3:4:5:6:7:8:9\""},
    {RRTYPE_MX, "65536 a.", NUMBER("65535") "\"65536\""},
    {RRTYPE_MX, "70000 a.", NUMBER("65535") "\"70000\""},
    {RRTYPE_MX, "-1 a.", NUMBER("65535") "\"-1\""},
    {RRTYPE_MX, "0x1 a.", NUMBER("65535") "\"0x1\""},
    {RRTYPE_MX, "1\\048 a.", NUMBER("65535") "\"1\\048\""},
    {RRTYPE_MX, "1", "expected a name, found the end of the file"},
    {RRTYPE_SOA, "a. b. 4294967296 1 1 1 1", NUMBER("4294967295") "\"4294967296\""},
    {RRTYPE_SOA, "a. b. 1 1 1 1 4294967296",
     "expected a time from 0 to 4294967295 seconds, found \"4294967296\""},
    {RRTYPE_SOA, "a. b. 1 1 1 1", "expected a time from 0 to 4294967295 seconds, found the end of "
                                  "the file"},
    {RRTYPE_SOA, "a. b. 1h 1 1 1 1", NUMBER("4294967295") "\"1h\""},
    {RRTYPE_TXT, "", "expected a string, found the end of the file"},
    {RRTYPE_TXT, "a\\256", "\"a\\256\": a bad escape (\\DDD goes from \\000 to \\255)"},
    {RRTYPE_TXT, "\"\\1\"", "\"\\1\": a bad escape (\\DDD goes from \\000 to \\255)"},
    {RRTYPE_HINFO, "a", "expected a string, found the end of the file"},
    {RRTYPE_DS, "1 256 1 " SHA1, NUMBER("255") "\"256\""},
    {RRTYPE_DS, "1 NOSUCH 1 " SHA1, NUMBER("255") "\"NOSUCH\""},
    {RRTYPE_DS, "1 8 1 " SHA1 "00", "the digest has not the length of its digest type"},
    {RRTYPE_DS, "1 8 2 " SHA1, "the digest has not the length of its digest type"},
    {RRTYPE_DS, "1 8 4 " SHA1, "the digest has not the length of its digest type"},
    {RRTYPE_DS, "1 8 1", "expected hex digits, found the end of the file"},
    {RRTYPE_DS, "1 8 200 abc", "an odd number of hex digits"},
    {RRTYPE_DS, "1 8 200 ab xy", "expected hex digits, found \"xy\""},
    {RRTYPE_DNSKEY, "257 3 8 AQI", "base64 that is cut short or badly padded"},
    {RRTYPE_DNSKEY, "257 3 8 AQ==ID", "expected base64, found \"AQ==ID\""},
    {RRTYPE_DNSKEY, "257 3 8 A*", "expected base64, found \"A*\""},
    {RRTYPE_DNSKEY, "257 3 8", "expected base64, found the end of the file"},
    {RRTYPE_KEY, "0 3 5", "the key is empty"},
    {RRTYPE_RRSIG, "NOSUCH 5 3 1 0 0 0 . AA==", "expected a record type, found \"NOSUCH\""},
    {RRTYPE_RRSIG, "A 5 3 1 20230229000000 0 0 . AA==",
     "expected a time as YYYYMMDDHHmmSS, from 1970 to 2106, found \"20230229000000\""},
    {RRTYPE_RRSIG, "A 5 3 1 21060207062816 0 0 . AA==",
     "expected a time as YYYYMMDDHHmmSS, from 1970 to 2106, found \"21060207062816\""},
    {RRTYPE_RRSIG, "A 5 3 1 20230101240000 0 0 . AA==",
     "expected a time as YYYYMMDDHHmmSS, from 1970 to 2106, found \"20230101240000\""},
    {RRTYPE_RRSIG, "A 5 3 1 4294967296 0 0 . AA==", NUMBER("4294967295") "\"4294967296\""},
    {RRTYPE_RRSIG, "A 5 3 1 1d 0 0 . AA==", NUMBER("4294967295") "\"1d\""},
    {RRTYPE_NSEC, ". A NOSUCH", "expected a record type, found \"NOSUCH\""},
    {RRTYPE_NSEC, ". TYPE65536", "expected a record type, found \"TYPE65536\""},
    {RRTYPE_NSEC3, "1 1 12 abc 2t7b A",
     "expected a salt (\"-\" or at most 255 octets of hex), found \"abc\""},
    {RRTYPE_NSEC3, "1 1 12 - 2t7w A",
     "expected a hash in base32hex (at most 255 octets), found \"2t7w\""},
    {RRTYPE_NSEC3PARAM, "1 1 65536 -", NUMBER("65535") "\"65536\""},
    {RRTYPE_CAA, "0 is-sue x", "expected a tag of letters and digits, found \"is-sue\""},
    {RRTYPE_CAA, "0 \"\" x", "expected a tag of letters and digits, found \"\""},
    {RRTYPE_CAA, "256 issue x", NUMBER("255") "\"256\""},
    {RRTYPE_CAA, "0 issue x y", "expected the end of the record, found \"y\""},
    {RRTYPE_URI, "1 1 \"\"", "the target is empty"},
    {RRTYPE_ZONEMD, "1 1 1 00", "the digest has not the length of its hash"},
    {RRTYPE_ZONEMD, "1 1 9 0001", "the digest has not the length of its hash"},
    {65280, "1 2 3", "expected \\# (the type is known by its number only), found \"1\""},
    /* \#: short, long, odd, and not fit for its type */
    {65280, "\\# 3 abcd", "\\# announces 3 octets, but fewer follow"},
    {65280, "\\# 1 abcd", "\\# announces 1 octets, but more follow"},
    {65280, "\\# 1", "expected hex digits, found the end of the file"},
    {65280, "\\# 0 00", "\\# announces 0 octets, but more follow"},
    {65280, "\\# 1 abc", "an odd number of hex digits"},
    {65280, "\\# 65536 ab", NUMBER("65535") "\"65536\""},
    {65280, "\\#", NUMBER("65535") "the end of the file"},
    {RRTYPE_A, "\\# 3 c00002", "\\#: the data is malformed or too short for its type"},
    {RRTYPE_A, "\\# 5 c000020101", "\\#: the data is too long for its type"},
    {RRTYPE_A, "\\# 0", "\\#: the data is malformed or too short for its type"},
    {RRTYPE_NS, "\\# 2 c000", "\\#: the data is malformed or too short for its type"},
    {RRTYPE_TXT, "\\# 2 0241", "\\#: the data is malformed or too short for its type"},
    {RRTYPE_TXT, "\\# 0", "\\#: the data is malformed or too short for its type"},
    {RRTYPE_DS, "\\# 5 0001080100", "\\#: the digest has not the length of its digest type"},
    {RRTYPE_DNSKEY, "\\# 4 01010308", "\\#: the data is too short for its type"},
    {RRTYPE_NSEC, "\\# 4 00000100", "\\#: the data is malformed or too short for its type"},
    {RRTYPE_SVCB, "\\# 7 00010000030001", "\\#: a service parameter is cut short"},
    {RRTYPE_LOC, "\\# 16 0133161389172dd070be15f000988d20", "\\#: the data does not fit its type"},
    {RRTYPE_EUI48, "\\# 5 0000000000", "\\#: the data does not fit its type"},
    /* rare ones: numbers that ldns would wrap, words it would take for zero */
    {RRTYPE_WKS, "10.0.0.1 tcp 65536",
     "expected a port number or the name of a service, found \"65536\""},
    {RRTYPE_WKS, "10.0.0.1 tcp nosuch",
     "expected a port number or the name of a service, found \"nosuch\""},
    {RRTYPE_WKS, "10.0.0.1 256 1", NUMBER("255") "\"256\""},
    {RRTYPE_NID, "65536 1:2:3:4", NUMBER("65535") "\"65536\""},
    {RRTYPE_NID, "1 1:2:3", "expected four groups of hex digits, with \":\" between, found "
                            "\"1:2:3\""},
    {RRTYPE_NID, "1 12345:2:3:4", "expected four groups of hex digits, with \":\" between, found "
                                  "\"12345:2:3:4\""},
    {RRTYPE_EUI48, "00-00-5e-00-53", "expected six octets in hex, with \"-\" between, found "
                                     "\"00-00-5e-00-53\""},
    {RRTYPE_EUI64, "00-00-5e-00-53-2a-1-1", "expected eight octets in hex, with \"-\" between, "
                                            "found \"00-00-5e-00-53-2a-1-1\""},
    {RRTYPE_NSAP, "0x123", "expected 0x and an even number of hex digits, found \"0x123\""},
    {RRTYPE_NSAP, "47", "expected 0x and an even number of hex digits, found \"47\""},
    {RRTYPE_APL, "1:192.0.2.0/33", "expected [!]1:IPv4/prefix or [!]2:IPv6/prefix, found "
                                   "\"1:192.0.2.0/33\""},
    {RRTYPE_APL, "3:192.0.2.0/1", "expected [!]1:IPv4/prefix or [!]2:IPv6/prefix, found "
                                  "\"3:192.0.2.0/1\""},
    {RRTYPE_IPSECKEY, "256 0 0 .", NUMBER("255") "\"256\""},
    {RRTYPE_IPSECKEY, "1 4 0 .", NUMBER("3") "\"4\""},
    {RRTYPE_IPSECKEY, "1 0 2 .", "the data does not fit its type"},
    {RRTYPE_IPSECKEY, "1 0 2 x AQID", "expected \".\" (no gateway), found \"x\""},
    {RRTYPE_HIP, "2 200 AQID", "expected a host identity tag in hex, found \"200\""},
    {RRTYPE_HIP, "2 2001 AQI", "expected a public key in base64, found \"AQI\""},
    {RRTYPE_LOC, "91 N 0 E 0", NUMBER("90") "\"91\""},
    {RRTYPE_LOC, "90 0 0.001 N 0 E 0", "the data does not fit its type"},
    {RRTYPE_LOC, "1 60 N 0 E 0", NUMBER("59") "\"60\""},
    {RRTYPE_LOC, "1 1 60 N 0 E 0", "expected seconds from 0 to 59.999, found \"60\""},
    {RRTYPE_LOC, "1 1 1.0001 N 0 E 0", "expected seconds from 0 to 59.999, found \"1.0001\""},
    {RRTYPE_LOC, "1 1 1 E 0 E 0", "expected N or S, found \"E\""},
    {RRTYPE_LOC, "1 N 1 E",
     "expected an altitude from -100000.00m to 42849672.95m, found the end of the file"},
    {RRTYPE_LOC, "1 N 1 E -100000.01",
     "expected an altitude from -100000.00m to 42849672.95m, found \"-100000.01\""},
    {RRTYPE_LOC, "1 N 1 E 1 -1",
     "expected a size or precision up to 90000000.00m, found \"-1\""},
    /* RFC 9460 appendix D.3 and more */
    {RRTYPE_SVCB, "1 . key123=abc key123=def", "a service parameter is given twice"},
    {RRTYPE_SVCB, "1 . mandatory", "\"mandatory\": mandatory: not a list of keys"},
    {RRTYPE_SVCB, "1 . alpn", "alpn: the list or one of its protocols is empty"},
    {RRTYPE_SVCB, "1 . port", "\"port\": port: not a number from 0 to 65535"},
    {RRTYPE_SVCB, "1 . port=65536", "\"port=65536\": port: not a number from 0 to 65535"},
    {RRTYPE_SVCB, "1 . ipv4hint", "\"ipv4hint\": ipv4hint: not a list of IPv4 addresses"},
    {RRTYPE_SVCB, "1 . ipv6hint=::1,", "\"ipv6hint=::1,\": ipv6hint: not a list of IPv6 addresses"},
    {RRTYPE_SVCB, "1 . no-default-alpn=abc alpn=h2", "no-default-alpn takes no value"},
    {RRTYPE_SVCB, "1 . no-default-alpn", "no-default-alpn needs alpn"},
    {RRTYPE_SVCB, "1 . mandatory=key123", "mandatory: a key in the list is not among the "
                                          "parameters"},
    {RRTYPE_SVCB, "1 . mandatory=mandatory", "mandatory: a key is listed twice, out of order, or "
                                             "is mandatory itself"},
    {RRTYPE_SVCB, "1 . mandatory=key123,key123 key123=abc",
     "mandatory: a key is listed twice, out of order, or is mandatory itself"},
    {RRTYPE_SVCB, "1 . alpn=h2,,h3", "alpn: the list or one of its protocols is empty"},
    {RRTYPE_SVCB, "1 . alpn=h2\\\\", "\"alpn=h2\\\\\": alpn: a backslash with nothing behind it"},
    {RRTYPE_SVCB, "1 . ech=A", "\"ech=A\": ech: not base64"},
    {RRTYPE_SVCB, "1 . ech", "ech: the value is empty"},
    {RRTYPE_SVCB, "1 . ohttp=x", "ohttp takes no value"},
    {RRTYPE_SVCB, "1 . key65535=x", "key65535 is reserved (RFC 9460 section 14.3.2)"},
    {RRTYPE_SVCB, "1 . key65536=x", "\"key65536=x\": an unknown service parameter"},
    {RRTYPE_SVCB, "1 . key01=x", "\"key01=x\": an unknown service parameter"},
    {RRTYPE_SVCB, "1 . foo=x", "\"foo=x\": an unknown service parameter"},
    {RRTYPE_SVCB, "1 . key9=\"a", "the quote opened here is never closed"},
    {RRTYPE_SVCB, "1 . key9= \"a\"", "expected a service parameter, found \"a\""},
    {RRTYPE_SVCB, "1 . key9=\\999", "\"key9=\\999\": a bad escape"},
};

static uint8_t rdata[65535];

START_TEST(text_that_is_taken)
{
    const struct sample *sample = &taken[_i];
    const char *fault;
    char found[2 * 256 + 1] = "", expected[2 * 256 + 1] = "";
    int size = scan_aid_rdata(sample->type, sample->text, rdata, &fault);
    ck_assert_msg(size >= 0, "type %u %s: %s", sample->type, sample->text, fault);
    for (int i = 0; i < size; i++) {
        sprintf(found + 2 * i, "%02x", rdata[i]);
    }
    for (const char *p = sample->result; *p != '\0'; p++) {
        if (*p != ' ') {
            strncat(expected, p, 1);
        }
    }
    ck_assert_msg(strcmp(found, expected) == 0, "type %u %s: %s, should be %s", sample->type,
                  sample->text, found, expected);
    ck_assert_ptr_null(rdata_fault(sample->type, rdata, (size_t)size));
}
END_TEST

START_TEST(text_that_is_refused)
{
    const struct sample *sample = &refused[_i];
    const char *fault;
    int size = scan_aid_rdata(sample->type, sample->text, rdata, &fault);
    ck_assert_msg(size < 0, "type %u %s: taken", sample->type, sample->text);
    ck_assert_str_eq(fault, sample->result);
}
END_TEST

START_TEST(strings_of_255)
{
    const char *fault;
    for (size_t size = 253; size < 258; size++) {
        char text[2 * 300] = "\"";
        memset(text + 1, 'x', size);
        text[1] = '\\';
        text[2] = ';'; /* two characters, one octet */
        text[1 + size] = '"';
        int taken_size = scan_aid_rdata(RRTYPE_TXT, text, rdata, &fault);
        ck_assert_int_eq(taken_size, size - 1 <= 255 ? (int)size : -1);
    }
    ck_assert_str_eq(fault, "a string of 256 octets: 255 are the most");
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("rdata");
    tcase_add_loop_test(unit.tests, text_that_is_taken, 0, sizeof taken / sizeof taken[0]);
    tcase_add_loop_test(unit.tests, text_that_is_refused, 0, sizeof refused / sizeof refused[0]);
    tcase_add_test(unit.tests, strings_of_255);
    return unit_end(&unit);
}

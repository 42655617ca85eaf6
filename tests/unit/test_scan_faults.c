/*
 * What a master file is refused for: each fault with the line where the wrong token stands, and all
 * of them, since reading goes on with the next entry. And rubbish, which must be harmless.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "make_zone.h"
#include "names.h"
#include "scan_aid.h"
#include "unit.h"
#include "zone/scan.h"
#include "zone/zone_load.h"

#define L63 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define TTL_FAULT "expected a time from 0 to 2147483647 seconds, found "
#define RANGE_FAULT "expected a range, START-STOP or START-STOP/STEP, found "
#define DOLLAR_FAULT \
    "expected ${OFFSET,WIDTH,BASE}, and a number that is not below 0 ($GENERATE at "

/* Text from line 2 on, and what is told. */
static const char *const faults[][2] = {
    /* entries */
    {"w\n", "2: expected a record type, found the end of the line"},
    {"w 300 IN", "2: expected a record type, found the end of the file"},
    {"w FOO x\n", "2: expected a record type, found \"FOO\""},
    {"w \"A\" 192.0.2.1\n", "2: expected a record type, found \"A\""},
    {"w 300 300 A 192.0.2.1\n", "2: expected a record type, found \"300\""},
    {"w IN IN A 192.0.2.1\n", "2: expected a record type, found \"IN\""},
    {"w TYPE65536 \\# 0\n", "2: expected a record type, TYPE1 to TYPE65535, found \"TYPE65536\""},
    {"w TYPE99999999999 \\# 0\n", "2: expected a record type, found \"TYPE99999999999\""},
    {"w TYPE1x 192.0.2.1\n", "2: expected a record type, found \"TYPE1x\""},
    {"w CH A 192.0.2.1\n", "2: \"CH\": only class IN is served"},
    {"w 5 hs A 192.0.2.1\n", "2: \"hs\": only class IN is served"},
    {"w CLASS3 A 192.0.2.1\n", "2: \"CLASS3\": only class IN is served"},
    {"w CLASS65536 A 192.0.2.1\n",
     "2: expected a class, CLASS0 to CLASS65535, found \"CLASS65536\""},
    {"w ANY x\n", "2: \"ANY\": a meta type can't be data in a zone"},
    {"w OPT x\n", "2: \"OPT\": a meta type can't be data in a zone"},
    {"w AXFR x\n", "2: \"AXFR\": a meta type can't be data in a zone"},
    {"w TYPE0 \\# 0\n", "2: \"TYPE0\": a meta type can't be data in a zone"},
    {"w TYPE128 \\# 0\n", "2: \"TYPE128\": a meta type can't be data in a zone"},
    {"w TYPE200 \\# 0\n", "2: \"TYPE200\": a meta type can't be data in a zone"},
    {"\n  A 192.0.2.1\n", "3: a record without owner, and none before it"},
    /* TTLs */
    {"w 2147483648 A 192.0.2.1\n", "2: " TTL_FAULT "\"2147483648\""},
    {"w 4294967297 A 192.0.2.1\n", "2: " TTL_FAULT "\"4294967297\""},
    {"w 99999999999999999999 A 192.0.2.1\n", "2: " TTL_FAULT "\"99999999999999999999\""},
    {"w 3551w A 192.0.2.1\n", "2: " TTL_FAULT "\"3551w\""},
    {"w 7102000w A 192.0.2.1\n", "2: " TTL_FAULT "\"7102000w\""},
    {"w 1h30 A 192.0.2.1\n", "2: " TTL_FAULT "\"1h30\""},
    {"w 1y A 192.0.2.1\n", "2: " TTL_FAULT "\"1y\""},
    {"w 1hh A 192.0.2.1\n", "2: " TTL_FAULT "\"1hh\""},
    {"w -1 A 192.0.2.1\n", "2: expected a record type, found \"-1\""},
    {"$TTL\n", "2: " TTL_FAULT "the end of the line"},
    {"$TTL -1\n", "2: " TTL_FAULT "\"-1\""},
    {"$TTL 2147483648\n", "2: " TTL_FAULT "\"2147483648\""},
    {"$TTL 5 6\n", "2: expected the end of the line, found \"6\""},
    /* owners and names */
    {"a..b A 192.0.2.1\n", "2: \"a..b\": no name: an empty label"},
    {".a A 192.0.2.1\n", "2: \".a\": no name: an empty label"},
    {"w\\256 A 192.0.2.1\n", "2: \"w\\256\": no name: an empty label or a bad escape"},
    {"w\\12 A 192.0.2.1\n", "2: \"w\\12\": no name: an empty label or a bad escape"},
    {"\"w\" A 192.0.2.1\n", "2: expected a name, found \"w\""},
    {L63 "a A 192.0.2.1\n", "2: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\": a label is over "
                            "63 octets or the name over 255"},
    {L63 "." L63 "." L63 "." L63 " A 192.0.2.1\n", "2: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                                   "...\": a label is over 63 octets or the name "
                                                   "over 255"},
    {"w NS a..b\n", "2: \"a..b\": no name: an empty label"},
    {"w NS \"a\"\n", "2: expected a name, found \"a\""},
    {"w NS\n", "2: expected a name, found the end of the line"},
    {"w NS a b\n", "2: expected the end of the record, found \"b\""},
    {"$ORIGIN a..b\n", "2: \"a..b\": no name: an empty label"},
    {"$ORIGIN\n", "2: expected a name, found the end of the line"},
    {"$ORIGIN a b\n", "2: expected the end of the line, found \"b\""},
    /* directives */
    {"$FOO\n", "2: \"$FOO\": an unknown directive"},
    {"$\n", "2: \"$\": an unknown directive"},
    {"$TTLS 5\n", "2: \"$TTLS\": an unknown directive"},
    {"$GENERATE\n", "2: " RANGE_FAULT "the end of the line"},
    {"$GENERATE 5 a$ A 192.0.2.$\n", "2: " RANGE_FAULT "\"5\""},
    {"$GENERATE 5-4 a$ A 192.0.2.$\n", "2: " RANGE_FAULT "\"5-4\""},
    {"$GENERATE 5-6/0 a$ A 192.0.2.$\n", "2: " RANGE_FAULT "\"5-6/0\""},
    {"$GENERATE 5/2-6 a$ A 192.0.2.$\n", "2: " RANGE_FAULT "\"5/2-6\""},
    {"$GENERATE 1-2147483648 a$ A 192.0.2.$\n", "2: " RANGE_FAULT "\"1-2147483648\""},
    {"$GENERATE 0-16777216 a$ A 192.0.2.$\n",
     "2: over 16777216 records from $GENERATE in one zone"},
    {"$GENERATE 1-2\n", "2: expected an owner name, found the end of the line"},
    {"$GENERATE 1-2 a$ 5 IN\n", "2: expected a record type, found the end of the line"},
    {"$GENERATE 1-2 a$ A\n",
     "2: expected an IPv4 address, found the end of the line ($GENERATE at 1)"},
    {"$GENERATE 1-2 a${-2} A 192.0.2.1\n", "2: " DOLLAR_FAULT "1)"},
    {"$GENERATE 1-2 a${} A 192.0.2.1\n", "2: " DOLLAR_FAULT "1)"},
    {"$GENERATE 1-2 a${0 A 192.0.2.1\n", "2: " DOLLAR_FAULT "1)"},
    {"$GENERATE 1-2 a${0,2,q} A 192.0.2.1\n", "2: " DOLLAR_FAULT "1)"},
    {"$GENERATE 1-2 a${0,256} A 192.0.2.1\n", "2: " DOLLAR_FAULT "1)"},
    {"$GENERATE 1-2 a${,2} A 192.0.2.1\n", "2: " DOLLAR_FAULT "1)"},
    {"$GENERATE 1-2 a${0,2,dd} A 192.0.2.1\n", "2: " DOLLAR_FAULT "1)"},
    {"\n$GENERATE 256-300 a A 192.0.2.$\n",
     "3: expected an IPv4 address, found \"192.0.2.256\" ($GENERATE at 256)"},
    {"$GENERATE 1-2 a$ TXT \"b\nc\"\n", "2: a $GENERATE line over 4096 octets, or with a newline"},
    /* places: where the wrong token stands, not where the entry begins or ends */
    {"w (\n\nA\n192.0.2.x ; here\n)\n", "5: expected an IPv4 address, found \"192.0.2.x\""},
    {"w TXT \"a\nb\" (\n\"c\\256\" )\n",
     "4: \"c\\256\": a bad escape (\\DDD goes from \\000 to \\255)"},
    /* what never ends */
    {"w TXT ( a\n", "2: the parenthesis opened here is never closed"},
    {"w TXT ( ( a )\n\n\n", "2: the parenthesis opened here is never closed"},
    {"w TXT \"a\n\n", "2: the quote opened here is never closed"},
    {"w A 192.0.2.1 )\n", "2: a closing parenthesis without an opening one"},
    {"w TXT a\\\n", "2: a backslash with nothing behind it"},
    {"w TXT a\rb\n", "2: a carriage return without a newline"},
};

START_TEST(each_fault)
{
    scan_faults(faults[_i][0], faults[_i][1]);
}
END_TEST

START_TEST(marks_and_nuls)
{
    static const char mark[] = "\xef\xbb\xbfw 5 A 192.0.2.1\n";
    scan_is_bare(mark, sizeof mark - 1, "w.example. 5 A 192.0.2.1\n",
                 "fault: z:1: a UTF-8 byte order mark: the file is to be saved without it\n");
    static const char nuls[] = "\0w 5 A 192.0.2.1\nv 5 A\0 192.0.2.1\nu 5 A 192.0.2.1\0\n"
                               "t 5 A 192.0.2.1\0\0\0\ns 5 TXT \"a\0b\"\nr 5 A 192.0.2.2\n\0";
    scan_is_bare(nuls, sizeof nuls - 1, "r.example. 5 A 192.0.2.2\n",
                 "fault: z:1: a NUL octet\nfault: z:2: a NUL octet\nfault: z:3: a NUL octet\n"
                 "fault: z:4: a NUL octet\nfault: z:5: a NUL octet inside quotes\n"
                 "fault: z:7: a NUL octet\n");
}
END_TEST

START_TEST(all_are_told)
{
    scan_is("a A x\nb A 192.0.2.1\nc (\n A y\n)\nd MX 70000 m\n$ORIGIN ..\ne A 192.0.2.2\n",
            "b.example. 60 A 192.0.2.1\ne.example. 60 A 192.0.2.2\n",
            "fault: z:2: expected an IPv4 address, found \"x\"\n"
            "fault: z:5: expected an IPv4 address, found \"y\"\n"
            "fault: z:7: expected a number from 0 to 65535, found \"70000\"\n"
            "fault: z:8: \"..\": no name: an empty label\n");
    /* a bad owner is told once, its records are still looked through */
    scan_is("a..b A 192.0.2.1\n A 192.0.2.2\n A x\nc A 192.0.2.3\n", "c.example. 60 A 192.0.2.3\n",
            "fault: z:2: \"a..b\": no name: an empty label\n"
            "fault: z:4: expected an IPv4 address, found \"x\"\n");
    scan_is(" A 192.0.2.1\n A 192.0.2.2\nc A 192.0.2.3\n", "c.example. 60 A 192.0.2.3\n",
            "fault: z:2: a record without owner, and none before it\n");
}
END_TEST

START_TEST(what_is_open_swallows_nothing)
{
    scan_is("a TXT ( x\nb A 192.0.2.1\nc A y\nd A 192.0.2.2\n",
            "b.example. 60 A 192.0.2.1\nd.example. 60 A 192.0.2.2\n",
            "fault: z:2: the parenthesis opened here is never closed\n"
            "fault: z:4: expected an IPv4 address, found \"y\"\n");
    scan_is("@ SOA a b ( 1 2 3 4 5\n NS a\nb A 192.0.2.1\n",
            "example. 60 NS a.example.\nb.example. 60 A 192.0.2.1\n",
            "fault: z:2: the parenthesis opened here is never closed\n");
    /* both are told where one is not the other's consequence */
    scan_is("a A x (\nb A 192.0.2.1\n", "b.example. 60 A 192.0.2.1\n",
            "fault: z:2: expected an IPv4 address, found \"x\"\n"
            "fault: z:2: the parenthesis opened here is never closed\n");
    scan_is("a TXT \"x\nb A 192.0.2.1\nc A 192.0.2.2\n",
            "b.example. 60 A 192.0.2.1\nc.example. 60 A 192.0.2.2\n",
            "fault: z:2: the quote opened here is never closed\n");
}
END_TEST

START_TEST(an_open_quote_and_a_later_one)
{
    char text[2048] = "a TXT \"x\n";
    for (unsigned i = 0; i < 20; i++) {
        strcat(text, "b A 192.0.2.1 ; filling\n");
    }
    strcat(text, "c TXT \"y\"\n");
    char records[2048] = "";
    for (unsigned i = 0; i < 20; i++) {
        strcat(records, "b.example. 60 A 192.0.2.1\n");
    }
    strcat(records, "c.example. 60 TXT \"y\"\n");
    scan_is(text, records, "fault: z:2: a string of 488 octets: 255 are the most\n");
}
END_TEST

START_TEST(sizes)
{
    /* 65535 octets of RDATA are taken, one more is not */
    char *text = malloc(400000);
    for (unsigned last = 254; last <= 255; last++) {
        char *at = text + sprintf(text, "w 5 TXT");
        for (unsigned i = 0; i < 256; i++) {
            unsigned size = i < 255 ? 255 : last;
            *at++ = ' ';
            memset(at, 'x', size);
            at += size;
        }
        strcpy(at, "\n");
        struct records *list = records_new(names_wire("example."));
        struct source_list sources = {0};
        struct diag diag = {0};
        zone_scan_text("z", text, strlen(text), names_wire("example."), 1, list, &sources, &diag);
        ck_assert_str_eq(make_told(&diag),
                         last == 254 ? ""
                                     : "fault: z:1: the record's data is over 65535 octets\n");
        records_free(list);
        diag_clear(&diag);
        source_list_clear(&sources);
    }
    /* a token as long as one likes */
    memset(text, 'x', 300000);
    strcpy(text + 300000, " A 192.0.2.1\nw A ");
    memset(text + 300017, '1', 90000);
    text[390017] = '\0';
    scan_is(text, "",
            "fault: z:2: \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...\": a label is over 63 "
            "octets or the name over 255\n"
            "fault: z:3: expected an IPv4 address, found "
            "\"1111111111111111111111111111111111111111...\"\n");
    free(text);
}
END_TEST

/* ---- Rubbish ---- */

/* What random text is made of: enough sense to get deep, and enough nonsense. */
static const char *const words[] = {
    "a", "b.c", "example.", "@", "$ORIGIN", "$TTL", "$INCLUDE", "$GENERATE", "1-3", "${0,3,x}",
    "$", "IN", "CH", "300", "1h", "A", "AAAA", "NS", "SOA", "MX", "TXT", "SRV", "NSEC", "NSEC3",
    "RRSIG", "DNSKEY", "DS", "SVCB", "CAA", "NAPTR", "LOC", "APL", "WKS", "HIP", "IPSECKEY", "CERT",
    "TYPE1", "TYPE700", "\\#", "0", "4", "65536", "192.0.2.1", "2001:db8::1", "alpn=h2,h3",
    "mandatory=port", "port=", "key9=\"", "ab", "AbCd", "AQ==", "-", "2t7b4g4v", "20240101000000",
    "42", "N", "E", "10m", "tcp", "smtp", "1:10.0.0.0/8", "!2:::/0", "\\256", "\\", "\\000", "\\.",
    "(", ")", "\"", "\"q\"", "\"\"", ";c", "\n", "\n", "\n", "\n ", "\r\n", "\r", "\t", "\xff",
};

static size_t rubbish(struct rng *rng, char *text, size_t room)
{
    size_t size = 0;
    unsigned count = 1 + rng_below(rng, 60);
    for (unsigned i = 0; i < count; i++) {
        const char *word = words[rng_below(rng, sizeof words / sizeof words[0])];
        if (size + strlen(word) + 2 > room) {
            break;
        }
        size += (size_t)sprintf(text + size, "%s%s", word, rng_once_in(rng, 8) ? "" : " ");
    }
    for (unsigned i = rng_below(rng, 4); i > 0 && size > 0 && rng_once_in(rng, 3); i--) {
        text[rng_below(rng, (unsigned)size)] = (char)rng_next(rng);
    }
    return size;
}

START_TEST(rubbish_is_harmless)
{
    struct rng rng = rng_start();
    for (unsigned i = 0; i < 200000 / UNIT_SLOWER; i++) {
        char text[2048];
        size_t size = rubbish(&rng, text, sizeof text);
        struct records *list = records_new(names_wire("example."));
        struct source_list sources = {0};
        struct diag diag = {0};
        char *guarded = unit_guarded(size);
        memcpy(guarded, text, size);
        int error = zone_scan_text("/nowhere/z", guarded, size, names_wire("example."), 1, list,
                                   &sources, &diag);
        ck_assert((error == RR_EINVAL) == (diag.faults > 0));
        for (size_t k = 0; k < diag.kept; k++) { /* every one has a place */
            ck_assert_int_eq(strncmp(diag.entries[k].text, "/nowhere/z:", 11), 0);
            ck_assert_int_gt(atoi(diag.entries[k].text + 11), 0);
        }
        unit_guarded_free(guarded, size);
        records_free(list);
        diag_clear(&diag);
        source_list_clear(&sources);
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("scan_faults");
    tcase_add_loop_test(unit.tests, each_fault, 0, sizeof faults / sizeof faults[0]);
    tcase_add_test(unit.tests, marks_and_nuls);
    tcase_add_test(unit.tests, all_are_told);
    tcase_add_test(unit.tests, what_is_open_swallows_nothing);
    tcase_add_test(unit.tests, an_open_quote_and_a_later_one);
    tcase_add_test(unit.tests, sizes);
    tcase_add_test(unit.tests, rubbish_is_harmless);
    return unit_end(&unit);
}

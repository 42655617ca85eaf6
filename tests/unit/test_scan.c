/*
 * Master files as BEHAVIOUR wants them read: owners, TTLs, classes, directives, included files.
 * What is refused is in test_scan_faults.c.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "make_zone.h"
#include "names.h"
#include "scan_aid.h"
#include "unit.h"
#include "zone/zone_load.h"

#define BARE(text, records, told) scan_is_bare(text, sizeof(text) - 1, records, told)

START_TEST(owners)
{
    scan_is("www A 192.0.2.1\n", "www.example. 60 A 192.0.2.1\n", "");
    scan_is("@ A 192.0.2.1\nwww.example. A 192.0.2.2\n*.a A 192.0.2.3\n",
            "example. 60 A 192.0.2.1\nwww.example. 60 A 192.0.2.2\n*.a.example. 60 A 192.0.2.3\n",
            "");
    /* blank: the one before, in any case of blanks; also behind comments and empty lines */
    scan_is("www A 192.0.2.1\n A 192.0.2.2\n\n\t \n; c\n ; c\n\tA 192.0.2.3\n",
            "www.example. 60 A 192.0.2.1\nwww.example. 60 A 192.0.2.2\nwww.example. 60 A "
            "192.0.2.3\n",
            "");
    /* as \DDD and \X; a dot, a blank, an @ within; octets from 0 to 255; case kept */
    scan_is("a\\.b\\032c\\@ A 192.0.2.1\n\\000\\255 A 192.0.2.2\n\\@ A 192.0.2.3\n"
            "WwW A 192.0.2.4\n",
            "a\\.b\\032c\\@.example. 60 A 192.0.2.1\n\\000\\255.example. 60 A 192.0.2.2\n"
            "\\@.example. 60 A 192.0.2.3\nWwW.example. 60 A 192.0.2.4\n",
            "");
    /* what is no type, class or TTL behind an owner may be an owner */
    scan_is("A A 192.0.2.1\nIN IN A 192.0.2.2\n300 300 A 192.0.2.3\n",
            "A.example. 60 A 192.0.2.1\nIN.example. 60 A 192.0.2.2\n300.example. 300 A 192.0.2.3\n",
            "");
}
END_TEST

START_TEST(outside)
{
    /* told once for a run of records, and ignored; the next owner is not */
    scan_is("a.test. A 192.0.2.1\n A 192.0.2.2\na.test. A 192.0.2.3\nb A 192.0.2.4\n"
            "a.test. A 192.0.2.5\n",
            "b.example. 60 A 192.0.2.4\n",
            "warning: z:2: a.test. is outside the zone example.: ignored\n"
            "warning: z:6: a.test. is outside the zone example.: ignored\n");
    /* what is wrong there is wrong all the same */
    scan_is("xexample. A 192.0.2\n", "",
            "warning: z:2: xexample. is outside the zone example.: ignored\n"
            "fault: z:2: expected an IPv4 address, found \"192.0.2\"\n");
}
END_TEST

START_TEST(ttl_and_class)
{
    static const char *const forms[] = {
        "300 IN A", "IN 300 A", "300 A", "5m in a", "In 5M A", "CLASS1 300 TYPE1", "300 class1 a",
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "w %s 192.0.2.1\n", forms[i]);
        scan_is(text, "w.example. 300 A 192.0.2.1\n", "");
    }
    scan_is("w IN A 192.0.2.1\nw 0 A 192.0.2.2\nw 2147483647 A 192.0.2.3\n",
            "w.example. 60 A 192.0.2.1\nw.example. 0 A 192.0.2.2\n"
            "w.example. 2147483647 A 192.0.2.3\n",
            "");
    scan_is("w 1w2d3h4m5s A 192.0.2.1\nw 1H30m A 192.0.2.2\nw 0s A 192.0.2.3\n",
            "w.example. 788645 A 192.0.2.1\nw.example. 5400 A 192.0.2.2\nw.example. 0 A "
            "192.0.2.3\n",
            "");
}
END_TEST

START_TEST(ttl_from_elsewhere)
{
    /* $TTL is before the TTL of the record before, and may change */
    BARE("$TTL 1h\na 5 A 192.0.2.1\nb A 192.0.2.2\n$ttl 2h\nc A 192.0.2.3\n",
         "a.example. 5 A 192.0.2.1\nb.example. 3600 A 192.0.2.2\nc.example. 7200 A 192.0.2.3\n",
         "");
    /* without it, the record before */
    BARE("a 5 A 192.0.2.1\nb A 192.0.2.2\nc 7 A 192.0.2.3\nd A 192.0.2.4\n",
         "a.example. 5 A 192.0.2.1\nb.example. 5 A 192.0.2.2\nc.example. 7 A 192.0.2.3\n"
         "d.example. 7 A 192.0.2.4\n",
         "");
    /* an SOA that comes first: its minimum */
    BARE("@ SOA ns host 1 2 3 4 5\n A 192.0.2.1\n",
         "example. 5 SOA ns.example. host.example. 1 2 3 4 5\nexample. 5 A 192.0.2.1\n",
         "warning: z:1: no TTL, and no $TTL before: taking the SOA's minimum, 5\n");
    /* else it is a fault, told once */
    BARE("\na A 192.0.2.1\nb A 192.0.2.2\nc 5 A 192.0.2.3\n",
         "b.example. 0 A 192.0.2.2\nc.example. 5 A 192.0.2.3\n",
         "fault: z:2: no TTL, and no $TTL before\n");
}
END_TEST

START_TEST(layout)
{
    /* parentheses over lines, comments, no newline at the end, CRLF */
    scan_is("@ SOA ns host ( ; comment (\n\t1 ; serial\n2\n3 4\n)5\nw ( A ) 192.0.2.1 ; x\n",
            "example. 60 SOA ns.example. host.example. 1 2 3 4 5\nw.example. 60 A 192.0.2.1\n", "");
    scan_is("w\tA\t192.0.2.1", "w.example. 60 A 192.0.2.1\n", "");
    scan_is("w A 192.0.2.1 ; no newline", "w.example. 60 A 192.0.2.1\n", "");
    scan_is("w A 192.0.2.1\r\n TXT ( a\r\n b )\r\n\r\n", "w.example. 60 A 192.0.2.1\n"
                                                         "w.example. 60 TXT \"a\" \"b\"\n", "");
    scan_is("(w A 192.0.2.1)\n( ) \n", "w.example. 60 A 192.0.2.1\n", "");
    scan_is("", "", "");
    BARE("", "", "");
    BARE("\n", "", "");
}
END_TEST

START_TEST(strings)
{
    scan_is("w TXT plain \"with blanks ; ( )\" \"\" \"q\\\"\\\\\\065\" un\\ quoted\\009 \"a\"b\n",
            "w.example. 60 TXT \"plain\" \"with blanks ; ( )\" \"\" \"q\\\"\\\\A\" "
            "\"un quoted\\009\" \"a\" \"b\"\n",
            "");
    scan_is("w TXT \"over\n  two lines\" z\nv A 192.0.2.1\n",
            "w.example. 60 TXT \"over\\010  two lines\" \"z\"\nv.example. 60 A 192.0.2.1\n", "");
    char text[300] = "w TXT \"", expected[300] = "w.example. 60 TXT \"";
    memset(text + 7, 'x', 255);
    memcpy(text + 7 + 255, "\"\n", 3);
    memset(expected + 19, 'x', 255);
    memcpy(expected + 19 + 255, "\"\n", 3);
    scan_is(text, expected, "");
}
END_TEST

START_TEST(origin)
{
    scan_is("$ORIGIN sub\na A 192.0.2.1\n@ A 192.0.2.2\n$ORIGIN more\na MX 1 b\n$origin example.\n"
            "a A 192.0.2.3\n$ORIGIN @ ; stays\na A 192.0.2.4\n$ORIGIN \\100\\.x\na A 192.0.2.5\n",
            "a.sub.example. 60 A 192.0.2.1\nsub.example. 60 A 192.0.2.2\n"
            "a.more.sub.example. 60 MX 1 b.more.sub.example.\na.example. 60 A 192.0.2.3\n"
            "a.example. 60 A 192.0.2.4\na.d\\.x.example. 60 A 192.0.2.5\n",
            "");
    /* a blank owner is the one before, also behind a directive */
    scan_is("a A 192.0.2.1\n$ORIGIN sub\n A 192.0.2.2\n$TTL 5\n A 192.0.2.3\na A 192.0.2.4\n",
            "a.example. 60 A 192.0.2.1\na.example. 60 A 192.0.2.2\na.example. 5 A 192.0.2.3\n"
            "a.sub.example. 5 A 192.0.2.4\n",
            "");
    scan_is("$ORIGIN .\nexample A 192.0.2.1\n", "example. 60 A 192.0.2.1\n", "");
}
END_TEST

START_TEST(numbered_types)
{
    scan_is("w TYPE1 192.0.2.1\nw type65280 \\# 2 ab CD\nw TYPE65534 \\# 0\nw A \\# 4 ( c0\n000201 "
            ")\n",
            "w.example. 60 A 192.0.2.1\nw.example. 60 TYPE65280 \\# 2 ABCD\n"
            "w.example. 60 TYPE65534 \\# 0\nw.example. 60 A 192.0.2.1\n",
            "");
}
END_TEST

START_TEST(alias_with_parameters)
{
    scan_is("w HTTPS 0 a. port=1\nv SVCB 0 a.\nu SVCB 1 a. port=1\n",
            "w.example. 60 HTTPS 0 a. port=\"1\"\nv.example. 60 SVCB 0 a.\n"
            "u.example. 60 SVCB 1 a. port=\"1\"\n",
            "warning: z:2: service parameters in an AliasMode record: clients ignore them\n");
}
END_TEST

/* ---- $GENERATE ---- */

START_TEST(generate)
{
    scan_is("$GENERATE 1-3 h$ A 192.0.2.$\n",
            "h1.example. 60 A 192.0.2.1\nh2.example. 60 A 192.0.2.2\nh3.example. 60 A 192.0.2.3\n",
            "");
    scan_is("$GENERATE 1-10/4 $ 5 IN PTR h$.test.\n",
            "1.example. 5 PTR h1.test.\n5.example. 5 PTR h5.test.\n9.example. 5 PTR h9.test.\n",
            "");
    scan_is("$generate 7-7 a IN 5 MX $ m-$\n", "a.example. 5 MX 7 m-7.example.\n", "");
    scan_is("$GENERATE 0-0 a TXT $ \"b $ c\" ; d\n", "a.example. 60 TXT \"0\" \"b 0 c\"\n", "");
    /* what follows is as before: owner, origin, line */
    scan_is("w A 192.0.2.1\n$GENERATE 1-1 a$ A 192.0.2.2\n A 192.0.2.3\nw A 192.0.2\n",
            "w.example. 60 A 192.0.2.1\na1.example. 60 A 192.0.2.2\na1.example. 60 A 192.0.2.3\n",
            "fault: z:5: expected an IPv4 address, found \"192.0.2\"\n");
}
END_TEST

/* As named-compilezone 9.18 writes them. */
START_TEST(generate_as_bind)
{
    static const struct {
        const char *form, *number, *result;
    } forms[] = {
        {"17", "${0}", "17"},           {"17", "${3}", "20"},          {"17", "${-10}", "7"},
        {"17", "${0,4}", "0017"},       {"17", "${0,1}", "17"},        {"17", "${0,0,d}", "17"},
        {"26", "${0,3,x}", "01a"},      {"26", "${0,3,X}", "01A"},     {"26", "${0,3,o}", "032"},
        {"17", "${0,2,n}", "1.1"},      {"26", "${0,3,N}", "A.1"},     {"1", "${0,5,n}", "1.0.0"},
        {"4096", "${0,4,n}", "0.0.0.1"}, {"1", "a$$b", "a\\$b"},       {"1", "a\\$b$", "a\\$b1"},
        {"1", "${0,1,x}${0}${1,2}", "1102"}, {"26", "${-20,3}", "006"}, {"0", "$", "0"},
        {"2147483647", "$", "2147483647"},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        char text[128], records[128];
        snprintf(text, sizeof text, "$GENERATE %s-%s %s A 192.0.2.1\n", forms[i].form,
                 forms[i].form, forms[i].number);
        snprintf(records, sizeof records, "%s.example. 60 A 192.0.2.1\n", forms[i].result);
        scan_is(text, records, "");
    }
    /* an even number of nibble characters ends in a dot, and so is absolute: BIND too */
    scan_is("$GENERATE 1-1 f${0,4,n}example. A 192.0.2.1\n", "f1.0.example. 60 A 192.0.2.1\n", "");
    /* data in one quoted string stands for what it quotes */
    scan_is("$GENERATE 1-1 m MX \"10 mail$\"\n$GENERATE 1-1 t TXT \"a b $\"\n"
            "$GENERATE 1-1 u TXT \"\\\"a b $\\\"\"\n",
            "m.example. 60 MX 10 mail1.example.\nt.example. 60 TXT \"a\" \"b\" \"1\"\n"
            "u.example. 60 TXT \"a b 1\"\n",
            "");
}
END_TEST

/* ---- Files ---- */

static char folder[] = "/tmp/rrdns-scan-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void make_folder(void)
{
    char path[PATH_MAX];
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/sub", folder);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void remove_folder(void)
{
    char command[PATH_MAX];
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

/* Text with the folder's name for every "~". */
static const char *placed(const char *text)
{
    static char out[4][16384];
    static unsigned turn;
    char *to = out[++turn % 4];
    size_t used = 0;
    for (; *text != '\0'; text++) {
        if (*text == '~') {
            used += (size_t)sprintf(to + used, "%s", folder);
        } else {
            to[used++] = *text;
        }
    }
    to[used] = '\0';
    return to;
}

static void file_is(const char *name, const char *records, const char *told, const char *read)
{
    char *paths = NULL;
    size_t size = 0;
    struct records *list = records_new(names_wire("example."));
    struct source_list sources = {0};
    struct diag diag = {0};
    int error = zone_scan_file(placed(name), names_wire("example."), 1, list, &sources, &diag);
    ck_assert_str_eq(make_told(&diag), placed(told));
    ck_assert_int_eq(error != RR_OK, diag.faults > 0);
    char *found = scan_aid_records(list);
    ck_assert_str_eq(found, records);
    FILE *out = open_memstream(&paths, &size);
    for (size_t i = 0; i < sources.count; i++) {
        fprintf(out, "%s%s\n", sources.files[i].path, sources.files[i].missing ? " missing" : "");
    }
    fclose(out);
    ck_assert_str_eq(paths, placed(read));
    free(paths);
    free(found);
    records_free(list);
    diag_clear(&diag);
    source_list_clear(&sources);
}

START_TEST(include)
{
    write_file("z", "$TTL 60\na A 192.0.2.1\n$INCLUDE sub/i1\n A 192.0.2.2\na A 192.0.2.3\n"
                    "$INCLUDE \"sub/i\\040\" other ; comment\n@ A 192.0.2.4\n");
    /* relative to the file it stands in; begins with the includer's owner and origin */
    write_file("sub/i1", " A 192.0.2.11\n$ORIGIN sub\nb A 192.0.2.12\n$INCLUDE i2\nc A 192.0.2.13");
    write_file("sub/i2", "$ORIGIN deeper\nd A 192.0.2.21\n$TTL 5");
    write_file("sub/i(", "@ A 192.0.2.31\n$ORIGIN x\na A 192.0.2.32\n");
    file_is("~/z",
            "a.example. 60 A 192.0.2.1\na.example. 60 A 192.0.2.11\nb.sub.example. 60 A "
            "192.0.2.12\nd.deeper.sub.example. 60 A 192.0.2.21\nc.sub.example. 5 A 192.0.2.13\n"
            "a.example. 5 A 192.0.2.2\na.example. 5 A 192.0.2.3\nother.example. 5 A 192.0.2.31\n"
            "a.x.other.example. 5 A 192.0.2.32\nexample. 5 A 192.0.2.4\n",
            "", "~/z\n~/sub/i1\n~/sub/i2\n~/sub/i(\n");
    /* twice, one after the other, is fine, and each fault has its own place */
    write_file("z", "$TTL 60\n$INCLUDE i a\n$INCLUDE ./i b\nc A x\n");
    write_file("i", "@ A 192.0.2.1\n\n@ A y\n");
    file_is("~/z", "a.example. 60 A 192.0.2.1\nb.example. 60 A 192.0.2.1\n",
            "fault: ~/i:3: expected an IPv4 address, found \"y\"\n"
            "fault: ~/./i:3: expected an IPv4 address, found \"y\"\n"
            "fault: ~/z:4: expected an IPv4 address, found \"x\"\n",
            "~/z\n~/i\n~/./i\n");
    /* the owner outside the zone, and the lost one, are as before */
    write_file("z", "$TTL 60\na.test. A 192.0.2.1\n$INCLUDE i\n A 192.0.2.2\n");
    write_file("i", "b A 192.0.2.3\n");
    file_is("~/z", "b.example. 60 A 192.0.2.3\n",
            "warning: ~/z:2: a.test. is outside the zone example.: ignored\n", "~/z\n~/i\n");
}
END_TEST

START_TEST(include_refused)
{
    write_file("z", "$INCLUDE none\n$INCLUDE sub\n$INCLUDE\n$INCLUDE a b c\n$INCLUDE \"\"\n"
                    "$INCLUDE a\\000b\n$INCLUDE a b..c\n");
    file_is("~/z", "",
            "fault: ~/z:1: can't read ~/none: No such file or directory\n"
            "fault: ~/z:2: can't read ~/sub: not a regular file\n"
            "fault: ~/z:3: expected a file name, found the end of the line\n"
            "fault: ~/z:4: expected the end of the line, found \"c\"\n"
            "fault: ~/z:5: expected a file name, found \"\"\n"
            "fault: ~/z:6: a file name that is too long or holds a NUL\n"
            "fault: ~/z:7: \"b..c\": no name: an empty label\n",
            "~/z\n~/none missing\n~/sub missing\n");
    /* loops, through links too */
    write_file("z", "\n$INCLUDE i\n");
    write_file("i", "$INCLUDE sub/../i\n$INCLUDE link\n");
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/link", folder);
    ck_assert_int_eq(symlink("z", path), 0);
    file_is("~/z", "",
            "fault: ~/i:1: ~/sub/../i includes itself\nfault: ~/i:2: ~/link includes itself\n",
            "~/z\n~/i\n~/sub/../i\n~/link\n");
}
END_TEST

START_TEST(include_depth)
{
    for (unsigned i = 0; i < 40; i++) {
        char name[16], text[64];
        snprintf(name, sizeof name, "d%u", i);
        snprintf(text, sizeof text, "$INCLUDE d%u\n", i + 1);
        write_file(name, text);
    }
    struct records *list = records_new(names_wire("example."));
    struct source_list sources = {0};
    struct diag diag = {0};
    ck_assert_int_eq(zone_scan_file(placed("~/d0"), names_wire("example."), 1, list, &sources, &diag),
                     RR_EINVAL);
    ck_assert_str_eq(make_told(&diag),
                     placed("fault: ~/d32:1: $INCLUDE nested deeper than 32 files\n"));
    ck_assert_uint_eq(sources.count, 33);
    records_free(list);
    diag_clear(&diag);
    source_list_clear(&sources);
}
END_TEST

/* Files that fan out: no chain is long and none is a loop, but there is no end to them. */
START_TEST(include_count)
{
    write_file("z", "$INCLUDE a\n");
    for (char c = 'a'; c < 'z'; c++) {
        char name[2] = {c, '\0'}, text[64];
        snprintf(text, sizeof text, "$INCLUDE %c\n$INCLUDE %c\n", c + 1, c + 1);
        write_file(c < 'z' - 1 ? name : "y", c < 'z' - 1 ? text : "\n");
    }
    struct records *list = records_new(names_wire("example."));
    struct source_list sources = {0};
    struct diag diag = {0};
    ck_assert_int_eq(zone_scan_file(placed("~/z"), names_wire("example."), 1, list, &sources, &diag),
                     RR_EINVAL);
    ck_assert_ptr_nonnull(strstr(diag_first_fault(&diag),
                                 "more than 10000 times $INCLUDE in one zone"));
    records_free(list);
    diag_clear(&diag);
    source_list_clear(&sources);
}
END_TEST

START_TEST(file_refused)
{
    file_is("~/none", "", "fault: ~/none: No such file or directory\n", "~/none missing\n");
    file_is("~/sub", "", "fault: ~/sub: not a regular file\n", "~/sub missing\n");
    struct records *list = records_new(names_wire("example."));
    struct source_list sources = {0};
    struct diag diag = {0};
    int error = zone_scan_file(placed("~/none"), names_wire("example."), 1, list, &sources, &diag);
    ck_assert_int_eq(error, RR_EIO);
    records_free(list);
    diag_clear(&diag);
    source_list_clear(&sources);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("scan");
    tcase_add_test(unit.tests, owners);
    tcase_add_test(unit.tests, outside);
    tcase_add_test(unit.tests, ttl_and_class);
    tcase_add_test(unit.tests, ttl_from_elsewhere);
    tcase_add_test(unit.tests, layout);
    tcase_add_test(unit.tests, strings);
    tcase_add_test(unit.tests, origin);
    tcase_add_test(unit.tests, numbered_types);
    tcase_add_test(unit.tests, alias_with_parameters);
    tcase_add_test(unit.tests, generate);
    tcase_add_test(unit.tests, generate_as_bind);
    TCase *files = tcase_create("files");
    tcase_set_timeout(files, 60);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, include);
    tcase_add_test(files, include_refused);
    tcase_add_test(files, include_depth);
    tcase_add_test(files, include_count);
    tcase_add_test(files, file_refused);
    suite_add_tcase(unit.suite, files);
    return unit_end(&unit);
}

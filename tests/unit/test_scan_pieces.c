/*
 * Large master files read in blocks and pieces: the zone, faults and warnings are those that come
 * of the text read as a whole, with everything in it that could make a block begin in the wrong
 * place or miss what stood before it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"
#include "zone/scan.h"
#include "zone/scan_blocks.h"
#include "zone/zone_build.h"
#include "zone/zone_load.h"

enum { SIZE = 9 << 19 }; /* above what is read in one piece */

static struct made load(const char *text, size_t size, size_t threads)
{
    struct made made = {0};
    struct source_list sources = {0};
    struct records *records = records_new(names_wire("example."));
    made.error = zone_scan_text("z", text, size, names_wire("example."), threads, records, &sources,
                                &made.diag);
    if (made.error == RR_OK) {
        made.error = zone_build(records, threads, &made.diag, &made.zone);
    }
    records_free(records);
    source_list_clear(&sources);
    return made;
}

/* The text as a whole, into one part. */
static struct made load_whole(const char *text, size_t size)
{
    struct made made = {0};
    struct source_list sources = {0};
    struct scan scan = {.apex = names_wire("example."),
                        .records = records_new(names_wire("example.")),
                        .sources = &sources,
                        .diag = &made.diag};
    struct scan_file file = {.path = "z", .index = records_file(scan.records, "z")};
    char *copy = calloc(1, size + LEXER_SLACK);
    memcpy(copy, text, size);
    scan.origin.size = (uint8_t)name_size(scan.apex);
    memcpy(scan.origin.wire, scan.apex, scan.origin.size);
    scan_text(&scan, &file, copy, size);
    made.error = made.diag.faults > 0 ? RR_EINVAL
                                      : zone_build(scan.records, 1, &made.diag, &made.zone);
    free(copy);
    records_free(scan.records);
    source_list_clear(&sources);
    return made;
}

/* Behind every line: it is the size of a text that counts, not how many records it has. */
#define PADDING                                                                                   \
    "; 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890\n" \
    "; 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890 1234567890\n"

/* Lines of a large zone, one in `every` of them `special`. */
static char *make_text(const char *head, const char *line, const char *special, unsigned every,
                       size_t *size)
{
    char *text = malloc(SIZE + 4096);
    size_t used = (size_t)sprintf(text, "%s", head);
    for (unsigned i = 0; used < SIZE; i++) {
        const char *form = special != NULL && i % every == every - 1 ? special : line;
        /* Scattered over the zone, so that all pieces have names of all parts. */
        used += (size_t)sprintf(text + used, form, i * 7919 % 1000003, i, i, i);
        if (text[used - 1] == '\n') {
            used += (size_t)sprintf(text + used, "%s", PADDING);
        }
    }
    *size = used;
    return text;
}

static void check(const char *head, const char *line, const char *special, unsigned every,
                  bool faulty)
{
    size_t size;
    char *text = make_text(head, line, special, every, &size);
    struct made one = load_whole(text, size);
    char *told = strdup(make_told(&one.diag));
    ck_assert_msg((one.diag.faults > 0) == faulty, "%.1000s", told);
    for (size_t threads = 1; threads <= 3; threads++) {
        struct made several = load(text, size, threads);
        ck_assert_str_eq(make_told(&several.diag), told);
        ck_assert_int_eq(several.error, one.error);
        ck_assert_uint_eq(several.diag.warnings, one.diag.warnings);
        if (one.error == RR_OK) {
            ck_assert_uint_eq(several.zone->arena.used, one.zone->arena.used);
            ck_assert(memcmp(several.zone->arena.base + ARENA_UNIT,
                             one.zone->arena.base + ARENA_UNIT,
                             one.zone->arena.used - ARENA_UNIT) == 0);
        }
        make_free(&several);
    }
    free(told);
    make_free(&one);
    free(text);
}

#define HEAD "$TTL 60\n@ SOA ns.x. host.x. 1 2 3 4 5\n@ NS ns.x.\n"
#define LINE "n%u A 192.0.2.1 ; the %uth line\n"

START_TEST(plain)
{
    check(HEAD, LINE, NULL, 1, false);
    check("@ 60 SOA ns.x. host.x. 1 2 3 4 5\n@ 60 NS ns.x.\n", "n%u 60 A 192.0.2.1 ; %u\n", NULL, 1,
          false);
    check("$TTL 60\r\n@ SOA ns.x. host.x. 1 2 3 4 5\r\n@ NS ns.x.\r\n", "n%u A 192.0.2.1 ; %u\r\n",
          NULL, 1, false);
}
END_TEST

/* Lines inside parentheses and quotes that look like entries, all over the file. */
START_TEST(several_lines)
{
    check(HEAD, LINE, "n%u TXT ( a\nlooks A 192.0.2.1\n) ; %u\n", 5, false);
    check(HEAD, "n%u TXT ( a\nlooks A 192.0.2.1 ; ( \"\nas CNAME well ) ; %u\n", NULL, 1, false);
    check(HEAD, "n%u TXT \"a\nlooks A 192.0.2.1\nas CNAME well\" ; %u\n", NULL, 1, false);
}
END_TEST

START_TEST(owners_of_before)
{
    check(HEAD, "n%u A 192.0.2.1 ; %u\n A 192.0.2.2\n\n; comment %u\n\tAAAA 2001:db8::1\n", NULL, 1,
          false);
}
END_TEST

/* TTLs that come from the record before, which may be in the piece before. */
START_TEST(ttls_of_before)
{
    static const char head[] = "@ 60 SOA ns.x. host.x. 1 2 3 4 5\n@ NS ns.x.\n";
    check(head, "n%u A 192.0.2.1 ; %u\n", "n%u 77 TXT %u\n", 300, false);
    check(head, "n%u A 192.0.2.1 ; %u\n", NULL, 1, false);
    /* The SOA's own, where it does not stand at the beginning. */
    check("a 99 A 192.0.2.1\n", "n%u 60 A 192.0.2.1 ; %u\n",
          "@ SOA ns.x. host.x. 1 2 3 4 5 ; %u %u\n", 15000, false);
}
END_TEST

START_TEST(directives)
{
    check(HEAD "$ORIGIN sub.example.\n", LINE, NULL, 1, false);
    check(HEAD, LINE, "$TTL 9%u ; %u\n", 4000, false);
    check(HEAD, LINE, "$ORIGIN o%u.example. ; %u\n", 2000, false);
    check(HEAD, LINE, "$GENERATE 1-3 g%u-$ A 192.0.2.$ ; %u\n", 3000, false);
    check(HEAD, "n%u TXT ( a ; %u\n$ORIGIN not. )\n", NULL, 1, false);
    check("$ORIGIN .\n$TTL 60\nexample SOA ns.x. host.x. 1 2 3 4 5\n",
          "n%u.example A 192.0.2.1 ; %u\n", NULL, 1, false);
}
END_TEST

/* They need not begin a line with their own first octet. */
START_TEST(directives_in_parentheses)
{
    char path[] = "/tmp/rrdns-scan-pieces-XXXXXX", line[64];
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, "included A 192.0.2.9\n", 21), 21);
    close(fd);
    check(HEAD, LINE, "($TTL 9%u) ; %u\n", 9000, false);
    check(HEAD, LINE, "( $ORIGIN o%u.example. ) ; %u\n", 9000, false);
    check(HEAD, LINE, "($GENERATE 1-3 g%u-$ A) 192.0.2.$ ; %u\n", 9000, false);
    snprintf(line, sizeof line, "($INCLUDE %s) ; %%u\n", path);
    check(HEAD, LINE, line, 100, false);
    unlink(path);
}
END_TEST

START_TEST(warnings)
{
    check(HEAD, LINE, "n%u.elsewhere. A 192.0.2.1 ; %u\n", 5000, false);
    check(HEAD, LINE, "dup A 192.0.2.1 ; %u %u\n", 4000, false);
    check(HEAD, LINE, "d%u NS ns.d%u\n", 3, false);
}
END_TEST

START_TEST(faults)
{
    check(HEAD, LINE, "n%u A 192.0.2.256 ; %u\n", 4000, true);
    check(HEAD, LINE, "n%u TXT ( never closed ; %u\n", 9000, true);
    check(HEAD, LINE, "n%u TXT \"never closed ; %u\n", 9001, true);
    check("\xef\xbb\xbf" HEAD, LINE, NULL, 1, true);
    check("$TTL 60\nx ( \n", LINE, NULL, 1, true);
}
END_TEST

/* A name that takes over half of the file, and a file of one line. */
START_TEST(lopsided)
{
    check(HEAD, "same TXT %u ; %u\n", NULL, 1, true); /* too large for a message */
    check(HEAD "big TXT ( ", "t%u-%u\n", NULL, 1, true);
    check(HEAD "; ", "%u %u ", NULL, 1, false);
}
END_TEST

/* More than a block without a line that begins with a name. */
START_TEST(long_entries)
{
    check(HEAD, "n%u A 192.0.2.1 ; %u\n", " TXT \"%u %u\" ; no name\n", 2, false);
    char *head = malloc(1 << 20);
    size_t used = (size_t)sprintf(head, HEAD "many A 192.0.2.1\n");
    for (unsigned i = 0; i < 20000; i++) {
        used += (size_t)sprintf(head + used, " AAAA 2001:db8::%x:%x\n", i / 4096 + 1, i % 4096);
    }
    char *text = malloc(used + SIZE);
    memcpy(text, head, used);
    struct made made;
    for (unsigned i = 0; used < SIZE; i++) {
        used += (size_t)sprintf(text + used, "m%u A 192.0.2.1\n" PADDING, i);
    }
    struct made whole = load_whole(text, used);
    made = load(text, used, 1);
    ck_assert_int_eq(made.error, whole.error);
    ck_assert_str_eq(make_told(&made.diag), make_told(&whole.diag));
    make_free(&made);
    make_free(&whole);
    free(text);
    free(head);
}
END_TEST

/* A file is known by all that it held, as it is when it is read as a whole. */
START_TEST(from_a_file)
{
    char path[] = "/tmp/rrdns-scan-pieces-XXXXXX";
    size_t size;
    char *text = make_text(HEAD, LINE, NULL, 1, &size);
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
    for (size_t threads = 1; threads <= 2; threads++) {
        struct source_list sources = {0};
        struct made made = {0}, whole = load_whole(text, size);
        struct zone_scratch scratch = {0};
        made.error = zone_load(&scratch, path, names_wire("example."), threads, &made.zone,
                               &sources, &made.diag);
        zone_scratch_free(&scratch);
        ck_assert_int_eq(made.error, RR_OK);
        ck_assert_uint_eq(made.zone->arena.used, whole.zone->arena.used);
        ck_assert(memcmp(made.zone->arena.base + ARENA_UNIT, whole.zone->arena.base + ARENA_UNIT,
                         whole.zone->arena.used - ARENA_UNIT) == 0);
        ck_assert_uint_eq(sources.count, 1);
        const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
        ck_assert_int_eq(futimens(fd, times), 0);
        ck_assert(!source_list_changed(&sources, NULL));
        ck_assert_int_eq(pwrite(fd, "#", 1, (off_t)size - 2), 1);
        ck_assert(source_list_changed(&sources, NULL));
        ck_assert_int_eq(pwrite(fd, text + size - 2, 1, (off_t)size - 2), 1);
        source_list_clear(&sources);
        make_free(&made);
        make_free(&whole);
    }
    close(fd);
    unlink(path);
    free(text);
}
END_TEST

/* What changes or ends between the two readings is noticed. */
START_TEST(changed_meanwhile)
{
    char path[] = "/tmp/rrdns-scan-pieces-XXXXXX";
    size_t size;
    char *text = make_text(HEAD, LINE, NULL, 1, &size);
    char *room = malloc(scan_block_room());
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
    struct source_list sources = {0};
    struct source_open file;
    struct scan_blocks blocks;
    ck_assert_int_eq(source_open(&sources, NULL, path, &file), RR_OK);
    struct scan_input input = {.file = &file, .size = size};
    ck_assert_int_eq(scan_blocks_find(&blocks, &input, names_wire("example."), 10, true), RR_OK);
    ck_assert_uint_gt(blocks.count, 2);
    ck_assert_uint_eq(blocks.samples, 10);
    ck_assert(scan_block_read(&blocks, 1, room));
    ck_assert_int_eq(memcmp(room, text + blocks.block[1].offset, blocks.block[1].size), 0);
    ck_assert_int_eq(pwrite(fd, "#", 1, (off_t)blocks.block[1].offset + 9), 1);
    ck_assert(!scan_block_read(&blocks, 1, room));
    ck_assert(scan_block_read(&blocks, 2, room));
    ck_assert_int_eq(ftruncate(fd, (off_t)blocks.block[2].offset + 1), 0);
    ck_assert(!scan_block_read(&blocks, 2, room));
    scan_blocks_free(&blocks);
    ck_assert_int_eq(scan_blocks_find(&blocks, &input, names_wire("example."), 10, true), RR_EIO);
    scan_blocks_free(&blocks);
    source_close(&sources, &file, NULL);
    ck_assert(sources.files[0].missing);
    source_list_clear(&sources);
    close(fd);
    unlink(path);
    free(room);
    free(text);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("scan_pieces");
    tcase_set_timeout(unit.tests, 120);
    tcase_add_test(unit.tests, plain);
    tcase_add_test(unit.tests, several_lines);
    tcase_add_test(unit.tests, owners_of_before);
    tcase_add_test(unit.tests, ttls_of_before);
    tcase_add_test(unit.tests, directives);
    tcase_add_test(unit.tests, directives_in_parentheses);
    tcase_add_test(unit.tests, warnings);
    tcase_add_test(unit.tests, faults);
    tcase_add_test(unit.tests, lopsided);
    tcase_add_test(unit.tests, long_entries);
    tcase_add_test(unit.tests, from_a_file);
    tcase_add_test(unit.tests, changed_meanwhile);
    return unit_end(&unit);
}

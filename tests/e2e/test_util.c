/*
 * rrdnsutil: checks of zone files, images and back.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "example.h"

START_TEST(util_check)
{
    const char *good = daemon_zone_path(&server, "example.test");
    struct output o = rrdnsutil(format_text("check %s", good));
    ck_assert_int_eq(o.status, 0);
    ck_assert_str_eq(o.err, "");
    ck_contains(o.out, "serial 7, 68 records, 9 names");
    const char *file = format_text("%s/a-file", server.dir);
    file_write(file, example_zone);
    o = rrdnsutil(format_text("check %s some.origin", file));
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "some.origin");
    ck_assert_int_eq(rrdnsutil(format_text("check %s", file)).status, 2);
    ck_assert_int_eq(rrdnsutil(format_text("check %s a..b", file)).status, 2);
    o = rrdnsutil("check /nowhere/x.zone");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "/nowhere/x.zone");
    ck_contains(o.err, "No such file");
    /* Warnings are told and passed. */
    file_write(file, "$TTL 1h\n@ SOA ns h 1 1h 1h 1h 1h\n@ NS ns\nns A 192.0.2.1\n"
                     "ns A 192.0.2.1\nx.other. A 192.0.2.1\nmx MX 1 c\nc CNAME ns\n");
    o = rrdnsutil(format_text("check %s w.test", file));
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.err, format_text("%s:5: ", file));
    ck_contains(o.err, format_text("%s:6: ", file));
    ck_contains(o.err, format_text("%s:7: ", file));
    /* Every fault, each with its place. */
    file_write(file, "$TTL 1h\n@ SOA ns h 1 1h 1h 1h 1h\n@ NS ns\nns A 192.0.2.256\n\n"
                     "mx MX 65536 ns\nt TXT \"unfinished\nd A 192.0.2.1\nd CNAME ns\n"
                     "$INCLUDE nowhere.inc\nu TYPE65280 \\# 3 0102\nlast AAAA ::g\n");
    o = rrdnsutil(format_text("check %s f.test", file));
    ck_assert_int_eq(o.status, 1);
    static const unsigned lines[] = {4, 6, 7, 10, 11, 12};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        ck_contains(o.err, format_text("%s:%u: ", file, lines[i]));
    }
}
END_TEST

/* What dump writes makes the same image, but for the hash of its source and the checksum in its
 * header, and dump writes it again. */
START_TEST(util_compile_and_dump)
{
    glob_t found;
    ck_assert_int_eq(glob(format_text("%s/zones/*.zone", harness_src()), 0, NULL, &found), 0);
    ck_assert_uint_ge(found.gl_pathc, 4);
    const char *dir = format_text("%s/dumped", server.dir);
    dir_make(dir);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        const char *name = strrchr(path, '/') + 1;
        const char *image = format_text("%s/image%zu", server.dir, i);
        const char *again = format_text("%s/again%zu", server.dir, i);
        struct output o = rrdnsutil(format_text("compile %s %s", path, image));
        ck_assert_msg(o.status == 0, "%s: %s", path, o.err);
        o = rrdnsutil(format_text("dump %s", image));
        ck_assert_msg(o.status == 0, "%s: %s", path, o.err);
        const char *text = format_text("%s/%s", dir, name);
        file_write(text, o.out);
        o = rrdnsutil(format_text("compile %s %s", text, again));
        ck_assert_msg(o.status == 0, "%s: %s", text, o.err);
        ck_assert_int_eq(command("cmp -i 56 %s %s", image, again).status, 0);
        char *first = file_read(text);
        o = rrdnsutil(format_text("dump %s", again));
        ck_assert_msg(strcmp(o.out, first) == 0, "%s: the second dump differs", path);
        free(first);
    }
    globfree(&found);
    ck_contains(rrdnsd(format_text("-t -l 127.0.0.1:5300 -z %s", dir)).out, "0 faults");
}
END_TEST

START_TEST(util_bad_image)
{
    const char *image = format_text("%s/image", server.dir);
    const char *bad = format_text("%s/bad", server.dir);
    ck_assert_int_eq(
        rrdnsutil(format_text("compile %s %s", daemon_zone_path(&server, "example.test"), image))
            .status,
        0);
    struct stat st;
    ck_assert_int_eq(stat(image, &st), 0);
    for (long at = 0; at < st.st_size; at += 97) { /* an octet changed, anywhere */
        struct output o =
            command("cp %s %s && printf '\\252' | dd of=%s bs=1 seek=%ld conv=notrunc "
                    "2>/dev/null",
                    image, bad, bad, at);
        ck_assert_int_eq(o.status, 0);
        if (command("cmp -s %s %s", image, bad).status == 0) {
            continue;
        }
        o = rrdnsutil(format_text("dump %s", bad));
        ck_assert_msg(o.status == 1, "octet %ld changed: exit status %d", at, o.status);
        ck_contains(o.err, bad);
    }
    static const long sizes[] = {0, 1, 7, 64, 4096};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        command("head -c %ld %s >%s", sizes[i] < st.st_size ? sizes[i] : st.st_size - 1, image,
                bad);
        ck_assert_int_eq(rrdnsutil(format_text("dump %s", bad)).status, 1);
    }
    ck_assert_int_eq(rrdnsutil(format_text("dump %s", server.config)).status, 1);
    ck_assert_int_eq(rrdnsutil("dump /nowhere").status, 1);
    ck_assert_int_eq(rrdnsutil("dump /dev/null").status, 1);
    ck_assert_int_eq(rrdnsutil(format_text("compile %s /nowhere/image",
                                           daemon_zone_path(&server, "example.test")))
                         .status,
                     1);
    ck_assert_int_eq(command("%s/rrdnsutil dump %s >/dev/full", harness_build(), image).status, 1);
}
END_TEST

static Suite *utils(void)
{
    const TTest *const tests[] = {util_check, util_compile_and_dump, util_bad_image, NULL};
    return example_suite("util", tests);
}

int main(void)
{
    return harness_main("util", utils);
}

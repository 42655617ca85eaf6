/*
 * rrdnsutil: checks of zone files, images and back; keys, with BIND's tools as witnesses.
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
        struct stat st;
        mode_t mask = umask(0);
        umask(mask);
        ck_assert_int_eq(stat(image, &st), 0);
        ck_assert_uint_eq(st.st_mode & 0777, 0666 & ~mask);
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

/* ---- Keys ---- */

static const char *keys_dir(void)
{
    const char *dir = format_text("%s/keys", server.dir);
    if (!file_exists(dir)) {
        dir_make(dir);
    }
    return dir;
}

/* Makes a key: its file's path without suffix. */
static const char *keygen(const char *arguments)
{
    struct output o = rrdnsutil(format_text("keygen --dir %s %s", keys_dir(), arguments));
    ck_assert_msg(o.status == 0, "%s: %s", arguments, o.err);
    ck_assert_str_eq(o.err, "");
    return format_text("%s/%.*s", keys_dir(), (int)strcspn(o.out, "\n"), o.out);
}

static bool has_program(const char *name)
{
    return command("command -v %s", name).status == 0;
}

START_TEST(util_keygen)
{
    static const struct {
        const char *arguments, *name, *record;
    } cases[] = {
        {"keys.test", "/Kkeys.test.+013+", "keys.test. IN DNSKEY 257 3 13 "},
        {"--zsk Keys.Test.", "/Kkeys.test.+013+", "keys.test. IN DNSKEY 256 3 13 "},
        {"keys.test --ksk --algorithm RSASHA256", "/Kkeys.test.+008+", " IN DNSKEY 257 3 8 AwEAA"},
        {"keys.test --csk --algorithm rsasha512", "/Kkeys.test.+010+", " IN DNSKEY 257 3 10 "},
        {". --algorithm ecdsap384sha384", "/K.+014+", ". IN DNSKEY 257 3 14 "},
        {"'a/b\\.c.test' --algorithm=ed25519", "/Ka%2Fb%2Ec.test.+015+",
         "a/b\\.c.test. IN DNSKEY 257 3 15 "},
        {"keys.test --algorithm ed448", "/Kkeys.test.+016+", " IN DNSKEY 257 3 16 "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = keygen(cases[i].arguments);
        struct stat st;
        ck_contains(path, cases[i].name);
        char *text = file_read(format_text("%s.key", path));
        ck_contains(text, cases[i].record);
        free(text);
        ck_assert_int_eq(stat(format_text("%s.private", path), &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
    }
    const char *path = keygen("times.test --publish 20300101 --activate 20300102030405 "
                              "--inactive 20400101 --delete none");
    char *text = file_read(format_text("%s.private", path));
    ck_contains(text, "\nPublish: 20300101000000\nActivate: 20300102030405\n"
                      "Inactive: 20400101000000\n");
    ck_lacks(text, "Delete");
    free(text);
    path = keygen("times.test --publish now+1d");
    text = file_read(format_text("%s.private", path));
    const char *publish = strstr(text, "Publish: "), *activate = strstr(text, "Activate: ");
    ck_assert_int_eq(strncmp(publish + 9, activate + 10, 14), 0);
    free(text);
    path = keygen("times.test --publish none");
    text = file_read(format_text("%s.private", path));
    ck_lacks(text, "Publish");
    ck_lacks(text, "Activate");
    free(text);
}
END_TEST

START_TEST(util_keygen_faults)
{
    static const struct {
        const char *arguments;
        int status;
        const char *told;
    } cases[] = {
        {"keygen", 2, "usage: "},
        {"keygen --zsk", 2, "usage: "},
        {"keygen a.test b.test", 2, "usage: "},
        {"keygen a.test --what", 2, "usage: "},
        {"keygen a..test", 2, "\"a..test\" is not a domain name"},
        {"keygen a.test --algorithm rsasha1", 2, "\"rsasha1\" is no algorithm"},
        {"keygen a.test --ksk --zsk", 2, "only one of --ksk, --zsk and --csk"},
        {"keygen a.test --publish tomorrow", 2, "\"tomorrow\" is no time"},
        {"keygen a.test --publish +1z", 2, "\"+1z\" is no time"},
        {"keygen a.test --publish 20301301", 2, "is no time"},
        {"keygen a.test --inactive +2d --delete +1d", 2, "must come in this order"},
        {"keygen a.test --dir /nowhere", 1, "/nowhere: No such file or directory"},
        {"ds", 2, "usage: "},
        {"ds a.test b.test", 2, "usage: "},
        {"ds /nowhere/Ka.test.+013+00001", 1, "/nowhere/Ka.test.+013+00001.key: No such file"},
        {"ds a.test --dir /nowhere", 1, "/nowhere: No such file or directory"},
        {"ds a..test --dir /", 2, "neither a key file nor a domain name"},
        {"ds a.test --dir /", 1, "/: no key of a.test with the SEP flag"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct output o = rrdnsutil(cases[i].arguments);
        ck_assert_msg(o.status == cases[i].status, "%s: %d", cases[i].arguments, o.status);
        ck_contains(o.err, cases[i].told);
        ck_assert_str_eq(o.out, "");
    }
}
END_TEST

START_TEST(util_ds)
{
    const char *ksk = keygen("ds.test --algorithm ed25519"), *zsk = keygen("ds.test --zsk");
    const char *other = keygen("ds.test");
    keygen("other.test");
    struct output one = rrdnsutil(format_text("ds %s.key", ksk));
    ck_assert_int_eq(one.status, 0);
    ck_contains(one.out, "ds.test. IN DS ");
    ck_assert_str_eq(rrdnsutil(format_text("ds %s", ksk)).out, one.out);
    ck_assert_str_eq(rrdnsutil(format_text("ds %s.private", ksk)).out, one.out);
    ck_assert_int_eq(rrdnsutil(format_text("ds %s", zsk)).status, 0);
    struct output two = rrdnsutil(format_text("ds %s", other));
    /* In the order of file names: algorithm 13 first. */
    struct output all = rrdnsutil(format_text("ds ds.test --dir %s", keys_dir()));
    ck_assert_int_eq(all.status, 0);
    ck_assert_str_eq(all.out, format_text("%s%s", two.out, one.out));
    file_write(format_text("%s.key", ksk), "ds.test. IN DNSKEY 257 3 15 AAAA\n");
    all = rrdnsutil(format_text("ds ds.test --dir %s", keys_dir()));
    ck_assert_int_eq(all.status, 1);
    ck_contains(all.err, format_text("%s.key:1: the public key has not the length", ksk));
    ck_assert_str_eq(all.out, two.out);
    /* Names that may look like paths (RFC 2317) or files, and files that are not there. */
    char *build = realpath(harness_build(), NULL);
    static const char *const names[] = {"0/26.2.0.192.in-addr.arpa", "a.key", "b.private"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ck_assert_int_eq(rrdnsutil(format_text("keygen --dir %s %s", server.dir, names[i])).status,
                         0);
        struct output o = command("env -C %s %s/rrdnsutil ds %s", server.dir, build, names[i]);
        ck_assert_msg(o.status == 0, "%s: %s", names[i], o.err);
        ck_contains(o.out, format_text("%s. IN DS ", names[i]));
    }
    free(build);
    ck_contains(rrdnsutil("ds nowhere/Kds.test.+013+00001").err,
                "nowhere/Kds.test.+013+00001.key: No such file");
    struct output full =
        command("%s/rrdnsutil ds ds.test --dir %s >/dev/full", harness_build(), keys_dir());
    ck_assert_int_eq(full.status, 1);
}
END_TEST

/* What is made here is signed with by BIND, and found good by two verifiers. */
START_TEST(util_keys_elsewhere)
{
    static const char *const algorithms[] = {"rsasha256",       "rsasha512", "ecdsap256sha256",
                                             "ecdsap384sha384", "ed25519",   "ed448"};
    if (!has_program("dnssec-signzone") || !has_program("dnssec-dsfromkey")) {
        return;
    }
    const char *zone = format_text("%s/db", server.dir);
    file_write(zone, "$TTL 60\n@ SOA ns h 1 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n");
    for (size_t i = 0; i < sizeof algorithms / sizeof algorithms[0]; i++) {
        const char *name = algorithms[i], *dir = keys_dir();
        const char *ksk = keygen(format_text("%s.test --algorithm %s --ksk", name, name));
        keygen(format_text("%s.test --algorithm %s --zsk", name, name));
        struct output ds = command("dnssec-dsfromkey -2 %s", ksk);
        ck_assert_int_eq(ds.status, 0);
        ck_assert_str_eq(rrdnsutil(format_text("ds %s", ksk)).out, ds.out);
        struct output o = command("cd %s && dnssec-signzone -S -x -o %s.test -K . -f %s.signed %s",
                                  dir, name, name, zone);
        ck_assert_msg(o.status == 0, "%s: %s", name, o.err);
        if (has_program("ldns-verify-zone")) {
            o = command("ldns-verify-zone %s/%s.signed", dir, name);
            ck_assert_msg(o.status == 0, "%s: %s", name, o.err);
        }
    }
}
END_TEST

static Suite *utils(void)
{
    const TTest *const tests[] = {
        util_check,         util_compile_and_dump, util_bad_image,      util_keygen,
        util_keygen_faults, util_ds,               util_keys_elsewhere, NULL,
    };
    return example_suite("util", tests);
}

int main(void)
{
    return harness_main("util", utils);
}

/*
 * What operators do wrong with keys: each is told, with the file, and what was served before goes
 * on; nothing half is left behind, and no secret gets out.
 */
#include <check.h>
#include <ctype.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "daemon.h"
#include "harness.h"
#include "packet.h"
#include "resolver.h"

static const char policy[] = "{\"dnssec\": {\"p\": {\"keys\": \"keys\"}}, \"zones\": ["
                             "{\"name\": \"a.test\", \"file\": \"zones/a.test.zone\","
                             " \"dnssec\": \"p\"}]}";
static const char plain[] = "{\"zones\": [{\"name\": \"a.test\","
                            " \"file\": \"zones/a.test.zone\"}]}";

/* ---- The daemon and its keys ---- */

static const char *keys(void)
{
    return format_text("%s/keys", server.dir);
}

static const char *key_file(const char *name)
{
    return format_text("%s/%s", keys(), name);
}

static void write_zone(const char *address)
{
    daemon_zone(&server, "a.test",
                format_text("$TTL 300\n@ SOA ns host %s 3600 600 86400 300\n@ NS ns\n"
                            "ns A 192.0.2.53\nwww A 192.0.2.%s\n",
                            address, address));
}

static void setup(void)
{
    static unsigned number;
    daemon_prepare(&server, format_text("faults%u", number++), policy);
    dir_make(keys());
    ck_assert_int_eq(chmod(keys(), 0700), 0);
    write_zone("1");
}

static void teardown(void)
{
    daemon_kill(&server);
}

/* Signatures in the answer for www. */
static unsigned signatures(void)
{
    struct output dig = command("dig +dnssec +short +time=2 +tries=1 @127.0.0.1 -p %u www.a.test A "
                                "| grep -c '^A '",
                                server.port);
    return (unsigned)strtoul(dig.out, NULL, 10);
}

static void expect_address(const char *address)
{
    const char *said = ask_once("127.0.0.1", server.port, false, "www.a.test", "A");
    ck_assert_str_eq(said, address);
}

/* A reload in which the zone fails, and its reason in the log. */
static void reload_failing(const char *reason)
{
    size_t from = daemon_log_size(&server);
    json_t *answer = control_reload(&server, NULL);
    json_decref(answer);
    ck_assert_msg(daemon_logs(&server, from, reason), "\"%s\" is not in:\n%.2000s", reason,
                  daemon_log(&server) + from);
    ck_assert_msg(daemon_logs(&server, from, "1 failed"), "%.2000s", daemon_log(&server) + from);
}

/* Another version of the zone does not come into service while its keys are bad; the one before
 * does what it did. */
static void expect_fault(const char *reason)
{
    write_zone("2");
    reload_failing(reason);
    expect_address("NOERROR 192.0.2.1");
    ck_assert_uint_eq(signatures(), 1);
}

static void expect_mended(void)
{
    control_reload_ok(&server);
    expect_address("NOERROR 192.0.2.2");
    ck_assert_uint_eq(signatures(), 1);
}

/* Names of files in the directory of keys, by a pattern's number. */
static unsigned files(const char *suffix)
{
    DIR *from = opendir(keys());
    unsigned count = 0;
    for (const struct dirent *entry; from != NULL && (entry = readdir(from)) != NULL;) {
        size_t length = strlen(entry->d_name), tail = strlen(suffix);
        count += entry->d_name[0] != '.' && length >= tail &&
                 strcmp(entry->d_name + length - tail, suffix) == 0;
    }
    if (from != NULL) {
        closedir(from);
    }
    return count;
}

/* The name, without its ending, of the one key there is. */
static const char *key_name(void)
{
    struct output list = command("ls %s | grep key$", keys());
    ck_assert_msg(list.status == 0 && strchr(list.out, '.') != NULL, "no key: %s", list.err);
    return format_text("%.*s", (int)(strlen(list.out) - strlen(".key\n")), list.out);
}

static const char *keygen(const char *arguments)
{
    struct output made = command("dnssec-keygen -q -K %s %s", keys(), arguments);
    ck_assert_msg(made.status == 0, "dnssec-keygen %s: %s", arguments, made.err);
    return format_text("%.*s", (int)strcspn(made.out, "\n"), made.out);
}

/* ---- The directory ---- */

START_TEST(no_directory_at_the_start)
{
    ck_assert_int_eq(rmdir(keys()), 0);
    daemon_start(&server);
    ck_contains(daemon_log(&server), "keys: No such file or directory");
    expect_address("SERVFAIL");
    dir_make(keys());
    control_reload_ok(&server);
    expect_address("NOERROR 192.0.2.1");
    ck_assert_uint_eq(signatures(), 1);
    daemon_stop(&server);
}
END_TEST

START_TEST(directory_goes)
{
    daemon_start(&server);
    ck_assert_int_eq(rename(keys(), format_text("%s-away", keys())), 0);
    expect_fault("keys: No such file or directory");
    file_write(keys(), "");
    expect_fault("keys: Not a directory");
    ck_assert_int_eq(unlink(keys()), 0);
    ck_assert_int_eq(rename(format_text("%s-away", keys()), keys()), 0);
    expect_mended();
    daemon_stop(&server);
}
END_TEST

/* A policy that could not be followed, as there were no keys, is followed once there are. */
START_TEST(policy_of_a_failed_reload)
{
    daemon_start(&server);
    ck_assert_int_eq(rename(keys(), format_text("%s-away", keys())), 0);
    daemon_configure(&server, "{\"dnssec\": {\"p\": {\"keys\": \"keys\", \"denial\": \"nsec3\"}},"
                              "\"zones\": [{\"name\": \"a.test\","
                              " \"file\": \"zones/a.test.zone\", \"dnssec\": \"p\"}]}");
    reload_failing("keys: No such file or directory");
    ck_contains(rrdnsctl(&server, "-j dnssec a.test").out, "\"compact\"");
    ck_assert_int_eq(rename(format_text("%s-away", keys()), keys()), 0);
    control_reload_ok(&server);
    ck_contains(rrdnsctl(&server, "-j dnssec a.test").out, "\"nsec3\"");
    daemon_stop(&server);
}
END_TEST

/* No key can be written: the zone is not served unsigned instead. Nothing half remains. */
static void expect_no_key(const char *reason)
{
    daemon_start(&server);
    ck_contains(daemon_log(&server), "no key can be made for a.test.");
    ck_contains(daemon_log(&server), reason);
    expect_address("SERVFAIL");
    ck_assert_uint_eq(files(""), 0);
    daemon_stop(&server);
}

static void expect_no_key_on(const char *mount, const char *reason)
{
    if (geteuid() != 0 || command("%s", mount).status != 0) {
        return; /* not to be had here */
    }
    daemon_start(&server);
    const char *log = format_text("%s", daemon_log(&server));
    const char *said = ask_once("127.0.0.1", server.port, false, "www.a.test", "A");
    bool failed = strcmp(said, "SERVFAIL") == 0;
    unsigned left = files("y") + files("e");
    daemon_stop(&server);
    ck_assert_int_eq(command("umount %s", keys()).status, 0);
    ck_contains(log, "no key can be made for a.test.");
    ck_contains(log, reason);
    ck_assert(failed);
    ck_assert_uint_eq(left, 0);
    daemon_start(&server);
    ck_assert_uint_eq(signatures(), 1);
    daemon_stop(&server);
}

START_TEST(full_disk)
{
    expect_no_key_on(format_text("mount -t tmpfs -o size=4k,mode=700 rrdns-test %s && "
                                 "dd if=/dev/zero of=%s/fill bs=4096 count=1 2>/dev/null",
                                 keys(), keys()),
                     "No space left on device");
}
END_TEST

START_TEST(read_only)
{
    expect_no_key_on(format_text("mount --bind %s %s && mount -o remount,ro,bind %s", keys(),
                                 keys(), keys()),
                     "Read-only file system");
}
END_TEST

START_TEST(not_writable)
{
    if (geteuid() != 0) {
        ck_assert_int_eq(chmod(keys(), 0500), 0);
        expect_no_key("Permission denied");
        ck_assert_int_eq(chmod(keys(), 0700), 0);
    }
}
END_TEST

/* A check of the configuration makes nothing. */
START_TEST(checking_makes_no_keys)
{
    struct output check = command("%s/rrdnsd -t -c %s 2>&1", harness_build(), server.config);
    ck_assert_int_eq(check.status, 0);
    ck_contains(check.out, "no key");
    ck_assert_uint_eq(files(""), 0);
}
END_TEST

/* ---- Files ---- */

/* Replaces a file of the key, which must be told, and mends it. */
static void spoil(const char *name, const char *text, const char *reason)
{
    const char *path = key_file(name);
    char *good = file_read(path);
    file_write(path, text);
    expect_fault(reason);
    ck_assert_int_eq(unlink(path), 0);
    file_write(path, good);
    ck_assert_int_eq(chmod(path, 0600), 0);
    free(good);
    expect_mended();
    write_zone("1");
    control_reload_ok(&server);
}

START_TEST(garbage)
{
    daemon_start(&server);
    const char *name = key_name();
    const char *public = format_text("%s.key", name), *private = format_text("%s.private", name);
    spoil(private, "\377\376 no key\n", format_text("keys/%s", private));
    spoil(private, "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n"
                   "PrivateKey: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n",
          "the private part does not belong to the public key");
    spoil(private, "Private-key-format: v1.3\nAlgorithm: 13 (X)\nPrivateKey: !\n", "not base64");
    spoil(private, "", format_text("keys/%s", private));
    spoil(public, "", format_text("keys/%s", public));
    spoil(public, "\0garbage", format_text("keys/%s", public));
    spoil(public, "b.test. IN DNSKEY 257 3 13 AAAA\n", format_text("keys/%s", public));
    daemon_stop(&server);
}
END_TEST

/* The private part of a key that signs vanishes: not silently unsigned, but told. */
START_TEST(readable_by_others)
{
    daemon_start(&server);
    const char *path = key_file(format_text("%s.private", key_name()));
    ck_assert_int_eq(chmod(path, 0640), 0);
    expect_fault("chmod 600");
    ck_assert_int_eq(chmod(path, 0600), 0);
    expect_mended();
    daemon_stop(&server);
}
END_TEST

/* The files of the keys that a zone is signed with: a new key would not be what its DS tells. */
START_TEST(files_go)
{
    daemon_start(&server);
    const char *name = key_name();
    static const char *const gone[] = {"*", "*.key"};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        dir_make(format_text("%s-away", keys()));
        ck_assert_int_eq(command("mv %s/%s %s-away/", keys(), gone[i], keys()).status, 0);
        expect_fault("keys: the keys that the zone is signed with are no longer there");
        reload_failing("are no longer there");
        ck_assert_int_eq(command("mv %s-away/* %s/ && rmdir %s-away", keys(), keys(), keys()).status,
                         0);
        expect_mended();
        ck_assert_str_eq(key_name(), name);
        write_zone("1");
        control_reload_ok(&server);
    }
    daemon_stop(&server);
}
END_TEST

/* Warned of by any reload that finds it so, though the zone has not changed. */
START_TEST(private_part_goes)
{
    daemon_start(&server);
    size_t from = daemon_log_size(&server);
    ck_assert_int_eq(command("rm %s/*.private", keys()).status, 0);
    struct output o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "1 unchanged");
    ck_contains(o.out, "none of them is active");
    ck_assert(daemon_logs(&server, from, "none of them is active"));
    ck_assert_uint_eq(signatures(), 0);
    expect_address("NOERROR 192.0.2.1");
    daemon_stop(&server);
}
END_TEST

/* As is what comes with time. */
START_TEST(keys_run_out)
{
    if (command("sh -c 'command -v dnssec-keygen'").status != 0) {
        return;
    }
    keygen("-a 13 -f KSK -I +3 -D +90 a.test");
    daemon_start(&server);
    ck_assert_uint_eq(signatures(), 1);
    ck_assert(daemon_logs(&server, 0, "its keys' times were followed"));
    ck_assert(daemon_logs(&server, 0, "none of them is active"));
    ck_assert_uint_eq(signatures(), 0);
    daemon_stop(&server);
}
END_TEST

START_TEST(keys_that_are_none_of_it)
{
    if (command("sh -c 'command -v dnssec-keygen'").status != 0) {
        return;
    }
    daemon_start(&server);
    const char *name = key_name();
    /* Of another zone, by its name: of no concern. */
    keygen("-a 13 -f KSK b.test");
    write_zone("2");
    expect_mended();
    write_zone("1");
    control_reload_ok(&server);
    /* Of another zone, renamed. */
    const char *other = keygen("-a 13 -f KSK c.test");
    const char *moved = format_text("Ka.test.%s", strchr(other, '+'));
    for (unsigned i = 0; i < 2; i++) {
        const char *ending = i == 0 ? "key" : "private";
        ck_assert_int_eq(rename(key_file(format_text("%s.%s", other, ending)),
                                key_file(format_text("%s.%s", moved, ending))),
                         0);
    }
    expect_fault("the key in it belongs into Kc.test.");
    command("rm %s/%s.*", keys(), moved);
    /* Of an algorithm that can't be used. */
    file_write(key_file("Ka.test.+005+00001.key"), "a.test. IN DNSKEY 257 3 5 AwEAAQ==\n");
    expect_fault("Ka.test.+005+00001.key");
    ck_assert_int_eq(unlink(key_file("Ka.test.+005+00001.key")), 0);
    expect_mended();
    ck_contains(rrdnsctl(&server, "dnssec a.test").out,
                format_text(" %lu ", strtoul(strrchr(name, '+') + 1, NULL, 10)));
    daemon_stop(&server);
}
END_TEST

START_TEST(seventeen_keys)
{
    if (command("sh -c 'command -v dnssec-keygen'").status != 0) {
        return;
    }
    daemon_start(&server);
    for (unsigned i = 0; i < 15; i++) {
        keygen("-a 13 a.test");
    }
    control_reload_ok(&server);
    ck_assert_uint_eq(signatures(), 15);
    ck_contains(command("dig +dnssec +tcp @127.0.0.1 -p %u a.test DNSKEY", server.port).out,
                "ANSWER: 17");
    const char *one = keygen("-a 13 a.test");
    reload_failing("more than 16 keys that are not deleted");
    ck_assert_uint_eq(signatures(), 15);
    command("rm %s/%s.*", keys(), one);
    control_reload_ok(&server);
    daemon_stop(&server);
}
END_TEST

/* ---- Policies ---- */

START_TEST(policy_removed)
{
    daemon_start(&server);
    ck_assert_uint_eq(signatures(), 1);
    daemon_configure(&server, plain);
    control_reload_ok(&server);
    ck_assert_uint_eq(signatures(), 0);
    expect_address("NOERROR 192.0.2.1");
    ck_contains(command("dig +dnssec @127.0.0.1 -p %u a.test DNSKEY", server.port).out,
                "ANSWER: 0");
    ck_assert_int_ne(rrdnsctl(&server, "dnssec a.test").status, 0);
    daemon_configure(&server, policy);
    control_reload_ok(&server);
    ck_assert_uint_eq(signatures(), 1);
    ck_assert_uint_eq(files(".key"), 1); /* the same again */
    daemon_stop(&server);
}
END_TEST

/* ---- A kill while keys are made ---- */

/* Whatever is there of a key is whole: a .key file with the .private that belongs to it. */
START_TEST(killed_while_making_keys)
{
    enum { ZONES = 200, ROUNDS = 5 };
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fprintf(out, "{\"dnssec\": {\"p\": {\"keys\": \"keys\"}}, \"zones\": [");
    for (unsigned i = 0; i < ZONES; i++) {
        fprintf(out, "%s{\"name\": \"z%u.test\", \"file\": \"zones/a.test.zone\","
                     " \"dnssec\": \"p\"}", i > 0 ? "," : "", i);
    }
    fprintf(out, "]}");
    fclose(out);
    daemon_configure(&server, text);
    free(text);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        const char *program = format_text("%s/rrdnsd", harness_build());
        pid_t pid = child_start((const char *const[]){program, "-c", server.config, NULL},
                                server.log);
        while (files(".key") < round * ZONES / (ROUNDS + 1)) {
            pause_ms(1);
        }
        child_kill(pid);
    }
    ck_assert_uint_lt(files(".key"), ZONES);
    daemon_start(&server);
    ck_assert_uint_eq(files(".key"), ZONES);
    /* One more is in the directory of zones. */
    ck_assert(strstr(daemon_log(&server), "201 zones loaded") != NULL);
    daemon_stop(&server);
}
END_TEST

/* ---- Secrets ---- */

/* Runs of base64 in a .private file that are secret. */
static void expect_not_in_log(void)
{
    char *text = file_read(key_file(format_text("%s.private", key_name())));
    const char *at = strstr(text, "PrivateKey: ");
    ck_assert_ptr_nonnull(at);
    const char *secret = format_text("%.*s", (int)strcspn(at + 12, "\n"), at + 12);
    ck_assert_uint_ge(strlen(secret), 40);
    ck_lacks(daemon_log(&server), secret);
    /* Nor a piece of it. */
    for (size_t i = 0; i + 12 <= strlen(secret); i += 4) {
        ck_lacks(daemon_log(&server), format_text("%.12s", secret + i));
    }
    free(text);
}

/* Octets of locked mappings that are in no core dump. */
static size_t locked_and_not_dumped(void)
{
    char *text = file_read(format_text("/proc/%d/smaps", (int)server.pid));
    size_t size = 0, found = 0;
    for (char *save, *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long kilobytes;
        if (sscanf(line, "Size: %lu kB", &kilobytes) == 1) {
            size = kilobytes * 1024;
        }
        if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") != NULL &&
            strstr(line, " lo") != NULL) {
            found += size;
        }
    }
    free(text);
    return found;
}

START_TEST(secrets_stay)
{
    daemon_configure(&server, "{\"log\": {\"level\": \"debug\"}, \"dnssec\": {\"p\": {\"keys\": "
                              "\"keys\"}}, \"zones\": [{\"name\": \"a.test\","
                              " \"file\": \"zones/a.test.zone\", \"dnssec\": \"p\"}]}");
    daemon_start(&server);
    ck_assert_uint_eq(signatures(), 1);
    control_reload_ok(&server);
    expect_not_in_log();
    ck_assert_uint_ge(locked_and_not_dumped(), 4 << 20);
    /* Misplaced in the files, it isn't told either. */
    const char *path = key_file(format_text("%s.private", key_name()));
    char *good = file_read(path);
    const char *secret = strstr(good, "PrivateKey: ") + strlen("PrivateKey: ");
    const char *const bad[] = {"%.44s\n", "Private-key-format: v1.3\n%.44s\n",
                               "Private-key-format: v1.3\nPrivatKey: %.44s\n",
                               "Private-key-format: v1.3\n%.44s: 1\n",
                               "Private-key-format: v1.3\nAlgorithm: %.44s\n"};
    size_t from = daemon_log_size(&server);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *before = strstr(bad[i], "%.44s");
        file_write(path, format_text("%.*s%.44s%s", (int)(before - bad[i]), bad[i], secret,
                                     before + 5));
        reload_failing("failed");
    }
    file_write(path, good);
    free(good);
    ck_assert_uint_gt(daemon_log_size(&server), from);
    expect_not_in_log();
    control_reload_ok(&server);
    daemon_stop(&server);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("signing_faults");
    TCase *tests = tcase_create("faults");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, no_directory_at_the_start);
    tcase_add_test(tests, directory_goes);
    tcase_add_test(tests, policy_of_a_failed_reload);
    tcase_add_test(tests, full_disk);
    tcase_add_test(tests, read_only);
    tcase_add_test(tests, not_writable);
    tcase_add_test(tests, checking_makes_no_keys);
    tcase_add_test(tests, garbage);
    tcase_add_test(tests, readable_by_others);
    tcase_add_test(tests, files_go);
    tcase_add_test(tests, private_part_goes);
    tcase_add_test(tests, keys_run_out);
    tcase_add_test(tests, keys_that_are_none_of_it);
    tcase_add_test(tests, seventeen_keys);
    tcase_add_test(tests, policy_removed);
    tcase_add_test(tests, killed_while_making_keys);
    tcase_add_test(tests, secrets_stay);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_faults", suite);
}

/*
 * Key files: names, times, every fault by its message, files with their modes; and both ways with
 * the tools of BIND and ldns, where they are installed.
 */
#include "dnssec/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "dns/name.h"
#include "key_aid.h"
#include "unit.h"

static const uint8_t algorithms[] = {8, 10, 13, 14, 15, 16};
static const uint8_t zone[] = "\7example\4test";

static const char public_text[] =
    "; This is a key-signing key, keyid 3613, for example.com.\n"
    "; Created: 20261126232521 (Thu Nov 26 23:25:21 2026)\n"
    "; Activate: 20261126232522 (Thu Nov 26 23:25:21 2026)\n"
    "example.com. IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\n";
static const char private_text[] = "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\n"
                                   "PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\n";

/* ---- Names and times ---- */

START_TEST(names)
{
    static const struct {
        const char *name, *prefix;
    } cases[] = {
        {".", "K."},
        {"Example.TEST.", "Kexample.test."},
        {"a\\.b/c.Ex\\032ample.test.", "Ka%2Eb%2Fc.ex%20ample.test."},
        {"\\255\\@_-x.test.", "K%FF%40_-x.test."},
        {"a:b\\$\\(c\\)\\\"x~!#.test.", "Ka%3Ab%24%28c%29%22x%7E%21%23.test."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        char prefix[KEYFILE_NAME_MAX];
        ck_assert_int_eq(name_from_text(cases[i].name, strlen(cases[i].name), NULL, name), 0);
        ck_assert_uint_eq(keyfile_prefix(name, prefix), strlen(cases[i].prefix));
        ck_assert_str_eq(prefix, cases[i].prefix);
    }
    /* The longest there is. */
    struct dnskey key = {.algorithm = 13, .tag = 65535};
    char text[KEYFILE_NAME_MAX];
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t length = i < 3 ? 63 : 61;
        key.owner[at++] = length;
        memset(key.owner + at, 0xff, length);
        at += length;
    }
    ck_assert_uint_eq(name_check(key.owner, sizeof key.owner), 255);
    ck_assert_uint_eq(keyfile_name(&key, text), 1 + 3 * 250 + 4 + 10);
    ck_assert_uint_lt(strlen(text), KEYFILE_NAME_MAX);
}
END_TEST

START_TEST(times_as_text)
{
    static const struct {
        const char *text;
        int64_t time;
    } cases[] = {
        {"19700101000000", 0},
        {"20261126232521", 1795735521},
        {"20240229235959", 1709251199},
        {"99991231235959", 253402300799},
        {"21060207062816", 4294967296},
        {"20230229000000", -1},
        {"20261301000000", -1},
        {"20260001000000", -1},
        {"20260132000000", -1},
        {"20260101240000", -1},
        {"20260101006000", -1},
        {"20260101000060", -1},
        {"19691231235959", -1},
        {"2026010100000", -1},
        {"202601010000000", -1},
        {"2026010100000x", -1},
        {"", -1},
        {"-0260101000000", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t time = -1;
        char text[KEYFILE_TIME_MAX];
        int error = keyfile_time_parse(cases[i].text, strlen(cases[i].text), &time);
        ck_assert_int_eq(error, cases[i].time < 0 ? RR_EINVAL : RR_OK);
        ck_assert_int_eq(time, cases[i].time);
        if (error == RR_OK) {
            keyfile_time_format(time, text);
            ck_assert_str_eq(text, cases[i].text);
        }
    }
}
END_TEST

/* ---- Texts ---- */

static void public_fault(const char *text, const char *told)
{
    struct dnskey key;
    struct diag diag = {0};
    ck_assert_int_eq(keyfile_parse_public("x.key", text, strlen(text), &key, &diag), RR_EINVAL);
    key_expect_diag(&diag, told);
}

START_TEST(public_texts)
{
    struct dnskey key;
    struct diag diag = {0};
    ck_assert_int_eq(keyfile_parse_public("x.key", public_text, strlen(public_text), &key, &diag),
                     0);
    ck_assert_uint_eq(key.tag, 3613);
    ck_assert_int_eq(key.times[DNSKEY_CREATED], 1795735521);
    ck_assert_int_eq(key.times[DNSKEY_ACTIVATE], 1795735522);
    ck_assert_int_eq(key.times[DNSKEY_PUBLISH], DNSKEY_UNSET);
    static const char *const good[] = {
        "example.com DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=",
        "\n\nexample.com. 1h IN DNSKEY 257 3 ED25519 ( l02Woi0iS8Aa25FQkUd9RMzZHJpB ; half\n"
        "oRQwAQEX1SxZJA4= )\n\n; Publish: 2026\n; Publish: 20269926232521\n",
        "EXAMPLE.com.\t3600\tdnskey\t257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=\r\n"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        int error = keyfile_parse_public("x.key", good[i], strlen(good[i]), &key, &diag);
        key_expect_diag(&diag, "");
        ck_assert_int_eq(error, RR_OK);
        ck_assert_uint_eq(key.tag, 3613);
        ck_assert(name_equal(key.owner, (const uint8_t *)"\7example\3com"));
        ck_assert_int_eq(key.times[DNSKEY_PUBLISH], DNSKEY_UNSET);
    }
    public_fault("", "x.key:1: no DNSKEY record in it\n");
    public_fault("; nothing\n\n", "x.key:3: no DNSKEY record in it\n");
    public_fault("$TTL 60\n", "x.key:1: \"$TTL\": directives have no place in a key file\n");
    public_fault("example.com. 60\n", "x.key:1: expected DNSKEY, found the end of the line\n");
    public_fault("example.com. IN A 192.0.2.1\n", "x.key:1: expected DNSKEY, found \"A\"\n");
    public_fault("\na. DNSKEY 257 3 13 AAAA\n",
                 "x.key:2: the public key has not the length that its algorithm asks for\n");
    public_fault("a. DNSKEY 257 3 5 AwEAAQ==\n",
                 "x.key:1: its algorithm is none of 8, 10, 13, 14, 15 and 16, which can be used "
                 "here\n");
    char twice[2 * sizeof public_text];
    sprintf(twice, "%s%s", public_text, public_text);
    public_fault(twice, "x.key:8: a second record in a key file\n");
}
END_TEST

static int parse_private(const char *text, struct dnskey *key, struct diag *diag)
{
    ck_assert_int_eq(keyfile_parse_public("x.key", public_text, strlen(public_text), key, diag), 0);
    size_t size = strlen(text);
    char *guarded = unit_guarded(size > 0 ? size : 1);
    memcpy(guarded, text, size);
    int error = keyfile_parse_private("x.private", guarded, size, key, diag);
    unit_guarded_free(guarded, size > 0 ? size : 1);
    return error;
}

static void private_fault(const char *text, const char *told)
{
    struct dnskey key;
    struct diag diag = {0};
    ck_assert_int_eq(parse_private(text, &key, &diag), RR_EINVAL);
    ck_assert_ptr_null(key.private);
    key_expect_diag(&diag, told);
}

#define HEAD "Private-key-format: v1.3\nAlgorithm: 15 (ED25519)\n"
#define NUMBER "PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\n"

START_TEST(private_texts)
{
    struct dnskey key;
    struct diag diag = {0};
    ck_assert_int_eq(parse_private(private_text, &key, &diag), RR_OK);
    key_expect_diag(&diag, "");
    ck_assert_ptr_nonnull(key.private);
    ck_assert_int_eq(key.times[DNSKEY_ACTIVATE], DNSKEY_UNSET); /* not the .key file's */
    dnskey_clear(&key);
    ck_assert_int_eq(parse_private("; said\n\nprivate-key-format:  v1.2 \r\nAlgorithm: 15\n"
                                   "PRIVATEKEY:ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjI=\r\n"
                                   "Publish: 20260101000000\nSyncDelete: 20270101000000\n"
                                   "Successor: 17\nMaxTTL: 3600\nRevoke: 20270101000000",
                                   &key, &diag),
                     RR_OK);
    key_expect_diag(&diag, "warning: x.private:10: Revoke is not acted on: when it is time, "
                           "dnssec-revoke makes the revoked key\n");
    ck_assert_int_eq(key.times[DNSKEY_PUBLISH], 1767225600);
    ck_assert_int_eq(key.times[DNSKEY_SYNC_DELETE], 1798761600);
    dnskey_clear(&key);
    ck_assert_int_eq(
        parse_private("Private-key-format: v1.4\nAlgorithm: 15\nNews: 1\n" NUMBER, &key, &diag),
        RR_OK);
    key_expect_diag(&diag, "");
    dnskey_clear(&key);
}
END_TEST

START_TEST(private_faults)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"", ": no private key: Private-key-format or Algorithm is not there"},
        {"Private-key-format: v1.3\n",
         ": no private key: Private-key-format or Algorithm is not there"},
        {"Algorithm: 15\n", ":1: does not begin with Private-key-format"},
        {"secret\n", ":1: not a line \"WORD: VALUE\""},
        {"Private-key-format: v2.0\n", ":1: its version is not v1.2 or v1.3"},
        {"Private-key-format: 1.3\n", ":1: its version is not v1.2 or v1.3"},
        {"Private-key-format: v1.3x\n", ":1: its version is not v1.2 or v1.3"},
        {HEAD HEAD, ":3: a second Private-key-format"},
        {"Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\n",
         ":2: the algorithm is not that of the .key file"},
        {"Private-key-format: v1.3\nAlgorithm: ED25519\n",
         ":2: Algorithm is not a number and a name"},
        {"Private-key-format: v1.3\nAlgorithm: 15x\n", ":2: Algorithm is not a number and a name"},
        {HEAD, ": a number is not there, or has not the length that the algorithm asks for"},
        {HEAD "PrivateKey: AAAA\n",
         ": a number is not there, or has not the length that the algorithm asks for"},
        {HEAD "PrivateKey: ODIyNjAzODQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjM=\n",
         ": the private part does not belong to the public key"},
        {HEAD "PrivateKey: ODIyNjAz_DQ2MjgwODAxMjI2NDUxOTAyMDQxNDIyNjM=\n", ":3: not base64"},
        {HEAD "PrivateKey: ODIyN\n", ":3: not base64"},
        {HEAD "PrivateKey:\n", ":3: a number that is empty or too long"},
        {HEAD NUMBER NUMBER, ":4: a number that is given twice"},
        {HEAD NUMBER "Modulus: AAAA\n", ":4: unknown word"},
        {HEAD NUMBER "Publish: 2026\n", ":4: not a time YYYYMMDDHHMMSS of 1970 or later"},
        {HEAD NUMBER "Publish: 20260101000000\nPublish: 20260101000000\n",
         ":5: a time that is given twice"},
        {HEAD NUMBER "Activte: 20260101000000\n", ":4: unknown word, did you mean \"Activate\"?"},
        {HEAD NUMBER "Label: pkcs11\n", ":4: the key is in a device, which can't be used here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char told[256];
        snprintf(told, sizeof told, "x.private%s\n", cases[i].told);
        private_fault(cases[i].text, told);
    }
    /* An RSA number longer than there may be; none of it is in the message. */
    char *text = malloc(3000);
    memset(text, 'A', 2999);
    memcpy(text, HEAD "PrivateKey: ", strlen(HEAD "PrivateKey: "));
    text[strlen(HEAD "PrivateKey: ") + 2000] = '\0';
    private_fault(text, "x.private:3: a number that is empty or too long\n");
    free(text);
}
END_TEST

/* ---- Files ---- */

static void set_times(int64_t *times)
{
    for (int i = 0; i < DNSKEY_EVENTS; i++) {
        times[i] = 1700000000 + i;
    }
}

START_TEST(written_and_read)
{
    struct dnskey key, again;
    struct diag diag = {0};
    struct stat st;
    char name[KEYFILE_NAME_MAX + 8];
    int64_t times[DNSKEY_EVENTS];
    set_times(times);
    umask(0777); /* modes are what they are to be */
    ck_assert_int_eq(keyfile_make(key_directory, zone, 256, algorithms[_i], times, &key), RR_OK);
    size_t length = keyfile_name(&key, name);
    strcpy(name + length, ".private");
    ck_assert_int_eq(stat(key_path(name), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    strcpy(name + length, ".key");
    ck_assert_int_eq(stat(key_path(name), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0644);
    ck_assert_int_eq(keyfile_read(key_path(name), &again, &diag), RR_OK);
    key_expect_diag(&diag, "");
    ck_assert_uint_eq(again.flags, 256);
    ck_assert_uint_eq(again.tag, key.tag);
    ck_assert_int_eq(memcmp(again.times, times, sizeof times), 0);
    ck_assert_ptr_nonnull(again.private);
    ck_assert_int_eq(keyfile_write(key_directory, &key), RR_EEXIST);
    dnskey_clear(&again);
    /* Without the private file the times in the comments count. */
    strcpy(name + length, ".private");
    ck_assert_int_eq(unlink(key_path(name)), 0);
    strcpy(name + length, ".key");
    ck_assert_int_eq(keyfile_read(key_path(name), &again, &diag), RR_OK);
    ck_assert_ptr_null(again.private);
    ck_assert_int_eq(memcmp(again.times, times, sizeof times), 0);
    /* The .key file is in the way: no .private is left, and nothing else. */
    ck_assert_int_eq(keyfile_write(key_directory, &key), RR_EEXIST);
    key_command("test \"$(ls -A %s)\" = %s", key_directory, name);
    dnskey_clear(&key);
}
END_TEST

START_TEST(refused_files)
{
    struct dnskey key;
    struct diag diag = {0};
    static const unsigned modes[] = {0640, 0604, 0620, 0610, 0666};
    static const char name[] = "Kexample.com.+015+03613.key";
    key_write(name, public_text, 0644);
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        key_write("Kexample.com.+015+03613.private", private_text, modes[i]);
        ck_assert_int_eq(keyfile_read(key_path(name), &key, &diag), RR_EINVAL);
        ck_assert_ptr_null(key.private);
        key_expect_diag(&diag, "DIR/Kexample.com.+015+03613.private: a private key that group or "
                               "others have access to: chmod 600 it, and think of replacing it\n");
    }
    key_write("Kexample.com.+015+03613.private", private_text, 0400);
    ck_assert_int_eq(keyfile_read(key_path(name), &key, &diag), RR_OK);
    ck_assert_ptr_nonnull(key.private);
    dnskey_clear(&key);
    key_write("Kexample.com.+015+03614.key", public_text, 0644);
    ck_assert_int_eq(keyfile_read(key_path("Kexample.com.+015+03614.key"), &key, &diag), RR_EINVAL);
    key_expect_diag(&diag, "DIR/Kexample.com.+015+03614.key: the key in it belongs into "
                           "Kexample.com.+015+03613.key\n");
    ck_assert_int_eq(keyfile_read(key_path("none.key"), &key, &diag), RR_EIO);
    key_expect_diag(&diag, "DIR/none.key: No such file or directory\n");
    ck_assert_int_eq(mkdir(key_path("dir.key"), 0700), 0);
    ck_assert_int_eq(keyfile_read(key_path("dir.key"), &key, &diag), RR_EINVAL);
    key_expect_diag(&diag, "DIR/dir.key: not a regular file\n");
    ck_assert_int_eq(mkfifo(key_path("pipe.key"), 0600), 0);
    ck_assert_int_eq(keyfile_read(key_path("pipe.key"), &key, &diag), RR_EINVAL);
    key_expect_diag(&diag, "DIR/pipe.key: not a regular file\n");
    key_write("large.key", "", 0600);
    ck_assert_int_eq(truncate(key_path("large.key"), KEYFILE_SIZE_MAX + 1), 0);
    ck_assert_int_eq(keyfile_read(key_path("large.key"), &key, &diag), RR_EINVAL);
    key_expect_diag(&diag, "DIR/large.key: too large for a key file\n");
    key_write("plain", public_text, 0600);
    ck_assert_int_eq(keyfile_read_public(key_path("plain"), &key, &diag), RR_OK);
    ck_assert_int_eq(keyfile_read(key_path("plain"), &key, &diag), RR_EINVAL);
    key_expect_diag(&diag, "DIR/plain: not named as a .key file\n");
}
END_TEST

START_TEST(nowhere_to_write)
{
    struct dnskey key;
    int64_t times[DNSKEY_EVENTS];
    set_times(times);
    ck_assert_int_eq(keyfile_make("/nowhere", zone, 256, 15, times, &key), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    dnskey_clear(&key);
    ck_assert_int_eq(keyfile_make(key_directory, zone, 256, 5, times, &key), RR_EINVAL);
    dnskey_clear(&key);
}
END_TEST

/* ---- Others' tools ---- */

/* Reads every key in the directory: `count` of them, all with their private part. */
static void read_all(unsigned count)
{
    key_command("cd %s && for f in K*.key; do echo $f; done >list", key_directory);
    char *list = key_read("list"), *rest = list;
    unsigned found = 0;
    for (char *file; (file = strsep(&rest, "\n")) != NULL && *file != '\0'; found++) {
        struct dnskey key;
        struct diag diag = {0};
        int error = keyfile_read(key_path(file), &key, &diag);
        key_expect_diag(&diag, "");
        ck_assert_int_eq(error, RR_OK);
        ck_assert_ptr_nonnull(key.private);
        dnskey_clear(&key);
    }
    ck_assert_uint_eq(found, count);
    free(list);
}

START_TEST(keys_of_bind)
{
    if (!key_has_program("dnssec-keygen")) {
        return;
    }
    key_command("cd %s && for a in 8 10 13 14 15 16; do"
                "  case $a in 8|10) bits='-b 2048';; *) bits=; esac;"
                "  dnssec-keygen -q -a $a $bits -f KSK Example.test &&"
                "  dnssec-keygen -q -a $a $bits -P now -A +1d -I +2d -D +3d -P sync now"
                "    -D sync +2d example.test || exit 1;"
                "done >/dev/null &&"
                "dnssec-keygen -q -a 13 . >/dev/null &&"
                "dnssec-keygen -q -a 13 'a\\.b/c.Ex\\032ample.test' >/dev/null &&"
                "dnssec-keygen -q -a 13 '\\255\\@_-x.test' >/dev/null &&"
                "dnssec-keygen -q -a 8 -b 1024 -C old.test >/dev/null",
                key_directory);
    read_all(16);
}
END_TEST

START_TEST(keys_of_ldns)
{
    if (!key_has_program("ldns-keygen")) {
        return;
    }
    key_command("cd %s && for a in RSASHA256 RSASHA512 ECDSAP256SHA256 ECDSAP384SHA384 ED25519"
                " ED448; do ldns-keygen -a $a -k example.test || exit 1; done >/dev/null",
                key_directory);
    read_all(6);
}
END_TEST

/* BIND makes DS records and a signed zone from keys made here, and its verifier is content. */
START_TEST(bind_takes_ours)
{
    struct dnskey key[2];
    char text[DNSKEY_DS_TEXT], name[KEYFILE_NAME_MAX];
    int64_t times[DNSKEY_EVENTS];
    set_times(times);
    if (!key_has_program("dnssec-signzone") || !key_has_program("dnssec-dsfromkey")) {
        return;
    }
    times[DNSKEY_INACTIVE] = times[DNSKEY_DELETE] = times[DNSKEY_SYNC_DELETE] = DNSKEY_UNSET;
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(
            keyfile_make(key_directory, zone, (uint16_t)(256 + i), algorithms[_i], times, &key[i]),
            RR_OK);
    }
    keyfile_name(&key[1], name);
    key_command("cd %s && dnssec-dsfromkey -2 %s >ds", key_directory, name);
    char *ds = key_read("ds");
    ds[strcspn(ds, "\n")] = '\0';
    ck_assert_int_eq(dnskey_ds_text(&key[1], DNSKEY_SHA256, text), RR_OK);
    ck_assert_str_eq(ds, text);
    free(ds);
    key_write("zone", "$TTL 60\n@ SOA ns h 1 60 60 60 60\n@ NS ns\nns A 192.0.2.1\n", 0644);
    key_command("cd %s && dnssec-signzone -S -o example.test -f signed zone >log 2>&1 &&"
                " grep -q 'RRSIG.DNSKEY %u ' signed",
                key_directory, algorithms[_i]);
    /* As dnssec-settime, which writes both files anew, has them. */
    if (key_has_program("dnssec-settime")) {
        key_command("cd %s && dnssec-settime -I +1d %s >/dev/null", key_directory, name);
        read_all(2);
    }
    dnskey_clear(&key[0]);
    dnskey_clear(&key[1]);
}
END_TEST

int main(void)
{
    enum { ALGORITHMS = sizeof algorithms };
    struct unit unit = unit_begin("key_file");
    tcase_set_timeout(unit.tests, 60);
    tcase_add_checked_fixture(unit.tests, key_directory_make, key_directory_remove);
    tcase_add_test(unit.tests, names);
    tcase_add_test(unit.tests, times_as_text);
    tcase_add_test(unit.tests, public_texts);
    tcase_add_test(unit.tests, private_texts);
    tcase_add_test(unit.tests, private_faults);
    tcase_add_loop_test(unit.tests, written_and_read, 0, ALGORITHMS);
    tcase_add_test(unit.tests, refused_files);
    tcase_add_test(unit.tests, nowhere_to_write);
    tcase_add_test(unit.tests, keys_of_bind);
    tcase_add_test(unit.tests, keys_of_ldns);
    tcase_add_loop_test(unit.tests, bind_takes_ours, 0, ALGORITHMS);
    return unit_end(&unit);
}

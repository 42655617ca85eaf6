/*
 * Who makes a key is killed before each of its system calls in turn (ptrace): what there is of a
 * key then is whole, what else there is is told of and harms nothing. With files that have no
 * names, and on file systems that have none (seccomp plays one).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "dnssec/key_file.h"
#include "dnssec/keyset.h"
#include "key_aid.h"
#include "unit.h"

enum { STEPS_MAX = 2000, NOW = 1800000000 };

static const uint8_t owner[] = "\7example\4test";

/* ---- A child that makes a key ---- */

/* Opening a file without a name fails from here on as where there are none. */
static int forbid_nameless(void)
{
    enum { NAMELESS = O_TMPFILE & ~O_DIRECTORY };
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 3),
        /* the lower half of the flags, where the machine is little-endian */
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, NAMELESS, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
               ? prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)
               : -1;
}

enum { CANNOT = 77, FAILED = 78 };

/* Makes the key's files once it is let go on; the key is made before, so that all steps count. */
static void child(bool nameless, struct dnskey *key)
{
    if ((!nameless && forbid_nameless() != 0) || ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) {
        _exit(CANNOT);
    }
    raise(SIGSTOP);
    _exit(keyfile_write(key_directory, key) == RR_OK ? 0 : FAILED);
}

enum outcome { KILLED, DONE, IMPOSSIBLE };

/* Lets it make so many system calls, half ones counted, and kills it. */
static enum outcome run(bool nameless, struct dnskey *key, unsigned steps)
{
    int status;
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        child(nameless, key);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (!WIFSTOPPED(status)) {
        return IMPOSSIBLE;
    }
    for (unsigned step = 0; step < steps; step++) {
        ck_assert_int_eq(ptrace(PTRACE_SYSCALL, pid, NULL, NULL), 0);
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status)) {
            ck_assert_int_eq(WEXITSTATUS(status), 0);
            return DONE;
        }
    }
    kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    return KILLED;
}

/* ---- What is left ---- */

static unsigned count_files(const char *part)
{
    DIR *from = opendir(key_directory);
    unsigned count = 0;
    ck_assert_ptr_nonnull(from);
    for (const struct dirent *entry; (entry = readdir(from)) != NULL;) {
        count += entry->d_name[0] == 'K' && strstr(entry->d_name, part) != NULL;
    }
    closedir(from);
    return count;
}

/* Reads the zone's keys: how many, each with its private part. */
static size_t read_keys(struct diag *diag)
{
    struct keyset_directory *directory;
    struct keyset *keyset;
    ck_assert_int_eq(keyset_directory_read(key_directory, &directory, diag), RR_OK);
    ck_assert_int_eq(keyset_read(directory, owner, NOW, &keyset, diag), RR_OK);
    size_t count = keyset->count;
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_nonnull(keyset->key[i].private);
    }
    keyset_unref(keyset);
    keyset_directory_free(directory);
    return count;
}

/* As the server does when it is started again: another key is made where there is none. */
static void start_again(size_t keys)
{
    struct diag diag = {0};
    struct keyset *keyset;
    char ds[DNSKEY_DS_TEXT];
    if (keys == 0) {
        ck_assert_int_eq(keyset_make(key_directory, owner, DNSKEY_ECDSAP256SHA256, NOW, &keyset, ds,
                                     &diag),
                         RR_OK);
        keyset_unref(keyset);
    }
    ck_assert_uint_eq(read_keys(&diag), 1);
    diag_clear(&diag);
}

static void check_left(bool nameless)
{
    struct diag diag = {0};
    unsigned public = count_files(".key"), unfinished = count_files(KEYFILE_UNFINISHED);
    unsigned all = count_files("");
    size_t keys = read_keys(&diag);
    unsigned leftover = all - 2 * (unsigned)keys;
    ck_assert(!nameless || unfinished == 0);
    ck_assert_uint_le(unfinished, 2);
    ck_assert_uint_le(keys, public);
    ck_assert_uint_eq(diag.faults, 0);
    ck_assert_uint_eq(diag.warnings, leftover);
    for (size_t i = 0; i < diag.kept; i++) {
        ck_assert_ptr_nonnull(strstr(diag.entries[i].text, "it may be removed"));
    }
    diag_clear(&diag);
    start_again(keys);
    ck_assert_uint_eq(count_files(""), leftover + 2);
}

START_TEST(killed_at_every_step)
{
    bool nameless = _i == 0;
    struct dnskey key;
    enum outcome outcome = KILLED;
    unsigned steps = 1, half = 0;
    ck_assert_int_eq(dnskey_generate(owner, 257, DNSKEY_ECDSAP256SHA256, &key), RR_OK);
    key.times[DNSKEY_CREATED] = NOW;
    for (; outcome == KILLED; steps++) {
        ck_assert_uint_lt(steps, STEPS_MAX);
        outcome = run(nameless, &key, steps);
        half += count_files(".private") > count_files(".key");
        if (outcome == KILLED) {
            check_left(nameless);
        }
        key_command("rm -f %s/K*", key_directory);
    }
    dnskey_clear(&key);
    ck_assert(outcome == DONE || outcome == IMPOSSIBLE);
    /* The half that may be was there: so it was looked for at the right time. */
    ck_assert(outcome == IMPOSSIBLE || (half > 0 && steps > 20));
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("key_kill");
    tcase_add_checked_fixture(unit.tests, key_directory_make, key_directory_remove);
    tcase_add_loop_test(unit.tests, killed_at_every_step, 0, 2);
    return unit_end(&unit);
}

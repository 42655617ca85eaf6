/*
 * Keys and a server that is started as root and becomes somebody else: keys that only root may
 * read, or no place for new ones, are told with the file, and the zone is not served unsigned
 * instead. Only root can try.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "daemon.h"
#include "harness.h"

enum { NOBODY = 65534 };

static const char *keys(void)
{
    return format_text("%s/keys", server.dir);
}

static void setup(void)
{
    static unsigned number;
    daemon_prepare(&server, format_text("user%u", number++),
                   "{\"server\": {\"user\": \"nobody\", \"group\": \"nogroup\"}, "
                   "\"dnssec\": {\"p\": {\"keys\": \"keys\"}}, \"zones\": [{\"name\": \"a.test\", "
                   "\"file\": \"zones/a.test.zone\", \"dnssec\": \"p\"}]}");
    daemon_zone(&server, "a.test", "$TTL 300\n@ SOA ns host 1 3600 600 86400 300\n@ NS ns\n"
                                   "ns A 192.0.2.53\nwww A 192.0.2.1\n");
    dir_make(keys());
    ck_assert_int_eq(chmod(keys(), 0755), 0); /* root's, as all that root makes */
}

static void teardown(void)
{
    daemon_kill(&server);
}

/* Its control socket's directory is root's, so that its end is not as daemon_stop has it. */
static void stop(void)
{
    daemon_kill(&server);
    unlink(server.socket);
}

/* One address, and as many signatures. */
static void expect_signed(void)
{
    const char *said = ask_once("127.0.0.1", server.port, false, "www.a.test", "A");
    ck_assert_str_eq(said, "NOERROR 192.0.2.1");
    ck_contains(command("dig +dnssec +short @127.0.0.1 -p %u www.a.test A", server.port).out,
                "A 13 3 300 ");
}

static void expect_refused(size_t log, const char *reason)
{
    ck_contains(daemon_log(&server) + log, reason);
    const char *said = ask_once("127.0.0.1", server.port, false, "www.a.test", "A");
    ck_assert_str_eq(said, "SERVFAIL");
}

static void keygen(void)
{
    struct output made = command("%s/rrdnsutil keygen a.test --dir %s", harness_build(), keys());
    ck_assert_msg(made.status == 0, "%s", made.err);
}

/* Keys made as root, for root alone. */
START_TEST(keys_of_root)
{
    if (geteuid() != 0) {
        return;
    }
    keygen();
    daemon_start(&server);
    expect_refused(0, ".private: Permission denied");
    ck_assert_int_eq(command("chown nobody %s/*", keys()).status, 0);
    control_reload_ok(&server);
    expect_signed();
    /* Read is read: what root takes back is told, and what is served goes on. */
    ck_assert_int_eq(command("chown root %s/*", keys()).status, 0);
    size_t log = daemon_log_size(&server);
    json_decref(control_reload(&server, NULL));
    ck_contains(daemon_log(&server) + log, ".private: Permission denied");
    expect_signed();
    stop();
}
END_TEST

START_TEST(directory_of_root)
{
    if (geteuid() != 0) {
        return;
    }
    keygen();
    ck_assert_int_eq(command("chown nobody %s/*", keys()).status, 0);
    ck_assert_int_eq(chmod(keys(), 0700), 0);
    daemon_start(&server);
    expect_refused(0, "keys: Permission denied");
    /* May be looked into, but not listed. */
    ck_assert_int_eq(chmod(keys(), 0711), 0);
    size_t log = daemon_log_size(&server);
    json_decref(control_reload(&server, NULL));
    expect_refused(log, "keys: Permission denied");
    ck_assert_int_eq(chown(keys(), NOBODY, NOBODY), 0);
    control_reload_ok(&server);
    expect_signed();
    stop();
}
END_TEST

/* A zone without key, and nowhere to put one. */
START_TEST(no_place_for_a_key)
{
    if (geteuid() != 0) {
        return;
    }
    daemon_start(&server);
    expect_refused(0, "keys: no key can be made for a.test.: Permission denied");
    ck_assert_int_eq(command("ls %s/* 2>/dev/null | grep .", keys()).status, 1);
    ck_assert_int_eq(chown(keys(), NOBODY, NOBODY), 0);
    control_reload_ok(&server);
    expect_signed();
    ck_assert_int_eq(command("test $(stat -c %%U:%%a %s/*.private) = nobody:600", keys()).status,
                     0);
    stop();
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("signing_user");
    TCase *tests = tcase_create("user");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, keys_of_root);
    tcase_add_test(tests, directory_of_root);
    tcase_add_test(tests, no_place_for_a_key);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_user", suite);
}

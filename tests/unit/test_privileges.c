/*
 * Who the server becomes. Tests run in processes of their own, so that they can give up root; where
 * there is no root to give up, what is left is tested.
 */
#include "daemon/privileges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "unit.h"

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(config_parse("rrdns.json", text, strlen(text), NULL, &config, &diag), RR_OK);
    return config;
}

static bool is_root(void)
{
    return geteuid() == 0;
}

START_TEST(named_ones_must_exist)
{
    struct config *config =
        parse("{\"server\": {\"user\": \"no-such-user\", \"group\": \"no-such-group\"}}");
    struct privileges privileges;
    struct diag diag = {0};
    int error = privileges_find(config, &privileges, &diag);
    if (is_root()) {
        ck_assert_int_eq(error, RR_EINVAL);
        ck_assert_uint_eq(diag.faults, 2);
        ck_assert_str_eq(diag.entries[0].text,
                         "rrdns.json:1: server.user: there is no user \"no-such-user\"");
        ck_assert_str_eq(diag.entries[1].text,
                         "rrdns.json:1: server.group: there is no group \"no-such-group\"");
    } else {
        ck_assert_int_eq(error, RR_OK);
        ck_assert_uint_eq(diag.warnings, 1);
        ck_assert(privileges.uid == (uid_t)-1 && privileges.gid == (gid_t)-1);
    }
    diag_clear(&diag);
    config_free(config);
}
END_TEST

START_TEST(defaults_need_not_exist)
{
    struct config *config = parse("{}");
    struct privileges privileges;
    struct diag diag = {0};
    free(config->user);
    free(config->group);
    config->user = strdup("no-such-user");
    config->group = strdup("no-such-group");
    ck_assert_int_eq(privileges_find(config, &privileges, &diag), RR_OK);
    ck_assert(privileges.uid == (uid_t)-1 && privileges.gid == (gid_t)-1);
    ck_assert_uint_eq(diag.faults, 0);
    if (is_root()) {
        ck_assert_uint_eq(diag.warnings, 1);
        ck_assert_str_eq(diag.entries[0].text,
                         "rrdns.json: there is no user \"no-such-user\", the server stays root "
                         "(server.user names another user)");
    }
    ck_assert_int_eq(privileges_drop(&privileges, &diag), RR_OK);
    ck_assert_int_eq(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 1);
    diag_clear(&diag);
    config_free(config);
}
END_TEST

START_TEST(empty_stays)
{
    struct config *config = parse("{\"server\": {\"user\": \"\", \"group\": \"\"}}");
    struct privileges privileges;
    struct diag diag = {0};
    ck_assert_int_eq(privileges_find(config, &privileges, &diag), RR_OK);
    ck_assert(privileges.uid == (uid_t)-1 && privileges.gid == (gid_t)-1);
    ck_assert_uint_eq(diag.faults + diag.warnings, 0);
    config_free(config);
}
END_TEST

START_TEST(root_is_given_up)
{
    struct config *config = parse("{\"server\": {\"user\": \"nobody\"}}");
    struct privileges privileges;
    struct diag diag = {0};
    if (!is_root()) {
        config_free(config);
        return;
    }
    ck_assert_int_eq(privileges_find(config, &privileges, &diag), RR_OK);
    ck_assert_str_eq(privileges.user, "nobody");
    ck_assert_int_eq(privileges_drop(&privileges, &diag), RR_OK);
    ck_assert_uint_eq(diag.faults + diag.warnings, 0);
    ck_assert(geteuid() == privileges.uid && getuid() == privileges.uid);
    ck_assert(getegid() == privileges.gid && getgid() == privileges.gid);
    ck_assert_int_ne(setuid(0), 0);
    ck_assert_int_ne(setgid(0), 0);
    config_free(config);
}
END_TEST

START_TEST(files)
{
    struct rlimit limit = {.rlim_cur = 50, .rlim_max = 100};
    struct diag diag = {0};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    privileges_raise_files(30, &diag);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(limit.rlim_cur, 100);
    ck_assert_uint_eq(diag.warnings, 0);
    privileges_raise_files(1000, &diag);
    ck_assert_str_eq(diag.entries[0].text, "at most 100 files can be open, sockets and "
                                           "server.tcp.clients_max want 1064");
    ck_assert_uint_eq(diag.faults, 0);
    diag_clear(&diag);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("privileges");
    tcase_add_test(unit.tests, named_ones_must_exist);
    tcase_add_test(unit.tests, defaults_need_not_exist);
    tcase_add_test(unit.tests, empty_stays);
    tcase_add_test(unit.tests, root_is_given_up);
    tcase_add_test(unit.tests, files);
    return unit_end(&unit);
}

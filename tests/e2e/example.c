#include "example.h"

#include <check.h>
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"

const char example_zone[] = "$TTL 3600\n"
                            "@ SOA ns hostmaster 7 7200 3600 1209600 300\n"
                            "  NS ns\n"
                            "ns A 192.0.2.1\n"
                            "www A 192.0.2.10\n"
                            "*.w A 192.0.2.11\n"
                            "alias CNAME www\n"
                            "sub NS ns.sub\n"
                            "ns.sub A 198.51.100.1\n"
                            "$GENERATE 1-60 big A 10.0.0.$\n";

void example_begin(void)
{
    static unsigned number;
    daemon_prepare(&server, format_text("server%u", number++), NULL);
    daemon_zone(&server, "example.test", example_zone);
    daemon_zone(&server, "other.test", example_zone);
    daemon_start(&server);
}

void example_end(void)
{
    daemon_stop(&server);
}

struct output rrdnsd(const char *arguments)
{
    return command("%s/rrdnsd %s", harness_build(), arguments);
}

struct output rrdnsutil(const char *arguments)
{
    return command("%s/rrdnsutil %s", harness_build(), arguments);
}

void example_served(void)
{
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.example.test.", "A"),
                     "NOERROR 192.0.2.10");
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, true, "www.example.test.", "A"),
                     "NOERROR 192.0.2.10");
}

/* The object that `rrdnsctl -j ARGUMENTS` prints: its "result". New reference. */
json_t *printed(const char *arguments)
{
    struct output o = rrdnsctl(&server, format_text("-j %s", arguments));
    ck_assert_msg(o.status == 0, "rrdnsctl %s: %s", arguments, o.err);
    json_error_t error;
    json_t *answer = json_loads(o.out, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(answer != NULL, "%s: %s", error.text, o.out);
    ck_assert(json_is_true(json_object_get(answer, "ok")));
    json_t *result = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
    return result;
}

struct output dig(const char *arguments)
{
    return command("dig @127.0.0.1 -p %u +tries=1 %s", server.port, arguments);
}

struct output drill(const char *arguments)
{
    return command("drill -p %u %s", server.port, arguments);
}

enum as_user status_as(uid_t uid, gid_t gid)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char answer[4096] = "";
        strcpy(address.sun_path, server.socket);
        alarm(60);
        if (setgroups(0, NULL) != 0 || setgid(gid) != 0 || setuid(uid) != 0) {
            _exit(AS_USER_FAILED);
        }
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
            _exit(errno == EACCES ? AS_USER_FORBIDDEN : AS_USER_FAILED);
        }
        (void)!write(fd, "{\"command\": \"status\"}\n", 22);
        if (read(fd, answer, sizeof answer - 1) <= 0) {
            _exit(AS_USER_FAILED);
        }
        _exit(strstr(answer, "\"running\"") != NULL     ? AS_USER_ANSWERED
              : strstr(answer, "not permitted") != NULL ? AS_USER_REFUSED
                                                        : AS_USER_FAILED);
    }
    int status = 0;
    ck_assert_int_gt(pid, 0);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? (enum as_user)WEXITSTATUS(status) : AS_USER_FAILED;
}

Suite *example_suite(const char *name, const TTest *const *tests)
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_add_checked_fixture(tcase, example_begin, example_end);
    for (; *tests != NULL; tests++) {
        tcase_add_test(tcase, *tests);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

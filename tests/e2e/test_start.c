/*
 * How the server starts and does not, under which account, by which options; what it tells the
 * service manager and its log; rrdnsd -t.
 */
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ask.h"
#include "example.h"
#include "transport.h"

/* ---- The account ---- */

/* The fields of a line of /proc/PID/task/TID/status. */
static void expect_account(const char *path, uid_t uid, gid_t gid)
{
    char *text = file_read(path);
    ck_contains(text, format_text("\nUid:\t%u\t%u\t%u\t%u\n", uid, uid, uid, uid));
    ck_contains(text, format_text("\nGid:\t%u\t%u\t%u\t%u\n", gid, gid, gid, gid));
    ck_contains(text, "\nNoNewPrivs:\t1\n");
    ck_contains(text, "\nCapEff:\t0000000000000000\n");
    ck_contains(text, "\nCapPrm:\t0000000000000000\n");
    free(text);
}

/* Started by root with another user named: below port 1024 it serves, and root it is no more. */
START_TEST(privileges)
{
    if (geteuid() != 0) {
        return;
    }
    daemon_stop(&server);
    uint16_t low = 0;
    for (uint16_t port = 1000; port > 600 && low == 0; port--) {
        int fd = tcp_try(NULL, "127.0.0.77", port); /* nobody there: probably free */
        low = fd < 0 ? port : 0;
        if (fd >= 0) {
            close(fd);
        }
    }
    daemon_configure(&server, format_text("{\"server\": {\"user\": \"nobody\", \"group\": "
                                          "\"nogroup\", \"listen\": [\"127.0.0.1:%u\", "
                                          "\"127.0.0.77:%u\"]}}",
                                          server.port, low));
    const char *secret = daemon_zone_path(&server, "secret.test");
    file_write(secret, example_zone);
    ck_assert_int_eq(chmod(secret, 0600), 0);
    daemon_start(&server);
    example_served();
    ck_assert_str_eq(ask_once("127.0.0.77", low, false, "www.example.test.", "A"),
                     "NOERROR 192.0.2.10");

    glob_t tasks;
    ck_assert_int_eq(glob(format_text("/proc/%d/task/*/status", (int)server.pid), 0, NULL, &tasks),
                     0);
    ck_assert_uint_ge(tasks.gl_pathc, 3);
    for (size_t i = 0; i < tasks.gl_pathc; i++) {
        expect_account(tasks.gl_pathv[i], NOBODY, NOBODY);
    }
    globfree(&tasks);

    struct stat st;
    ck_assert_int_eq(stat(server.socket, &st), 0);
    ck_assert_uint_eq(st.st_uid, NOBODY);
    ck_assert_uint_eq(st.st_gid, NOBODY);
    ck_assert_uint_eq(st.st_mode & 07777, 0660);
    ck_assert_int_eq(status_as(NOBODY, NOBODY), AS_USER_ANSWERED);

    /* What it can't read now it could not have read later either. */
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.secret.test.", "A"),
                     "SERVFAIL");
    ck_contains(daemon_log(&server), "Permission denied");
    daemon_zone(&server, "new.test", example_zone);
    struct output o = rrdnsctl(&server, "reload");
    ck_contains(o.out, "new.test: loaded");
    ck_assert_int_eq(o.status, 1); /* secret.test */
    ck_assert_int_eq(chmod(secret, 0644), 0);
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 0);
    /* A new port below 1024 needs root: that is told, all else is done. */
    daemon_configure(&server, format_text("{\"server\": {\"user\": \"nobody\", \"group\": "
                                          "\"nogroup\", \"listen\": [\"127.0.0.1:%u\", "
                                          "\"127.0.0.77:%u\", \"127.0.0.78:%u\"]}}",
                                          server.port, low, low));
    o = rrdnsctl(&server, "reload");
    if (strstr(o.out, "server.listen") != NULL) { /* not where the kernel lets anyone have them */
        ck_contains(o.out, "Permission denied");
        ck_contains(o.out, "restart");
    }
    ck_assert_str_eq(ask_once("127.0.0.77", low, false, "www.example.test.", "A"),
                     "NOERROR 192.0.2.10");
    example_served();
    /* Its socket's directory is root's, so its own file it can't remove. */
    kill(server.pid, SIGTERM);
    int status = 0;
    ck_assert(child_wait(server.pid, harness_patience_ms(), &status));
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", (unsigned)status);
    server.pid = 0;
}
END_TEST

/* ---- Starting ---- */

static void expect_no_start(const char *arguments, const char *reason)
{
    struct output o = rrdnsd(arguments);
    ck_assert_msg(o.status == 1, "rrdnsd %s: exit status %d: %s", arguments, o.status, o.err);
    ck_contains(o.err, reason);
}

START_TEST(faults_at_start)
{
    const char *dir = server.dir;
    const char *zones = format_text("-z %s/zones", dir);
    expect_no_start("-c /nowhere/rrdns.json", "/nowhere/rrdns.json: No such file");
    expect_no_start(format_text("-l 127.0.0.1:%u -s %s/second %s", server.port, dir, zones),
                    "Address already in use");
    uint16_t port = free_port();
    expect_no_start(format_text("-l 127.0.0.1:%u -s %s %s", port, server.socket, zones),
                    "another server listens there");
    expect_no_start(format_text("-l 127.0.0.1:%u -s %s %s", port, server.config, zones),
                    "is no socket");
    expect_no_start(format_text("-l 127.0.0.1:%u -s /nowhere/at/all/socket %s", port, zones),
                    "/nowhere/at/all");
    expect_no_start(format_text("-l 192.0.2.77:%u -s %s/second %s", port, dir, zones),
                    "192.0.2.77");
    expect_no_start(format_text("-l 127.0.0.1:%u -s %s/second -z /nowhere", port, dir),
                    "/nowhere: No such file");
    const char *config = format_text("%s/bad.json", dir);
    file_write(config, "{\n \"server\": {\n  \"workers\": \"many\",\n  \"user\": 7\n },\n"
                       " \"zones\": [{\"name\": \"a..b\"}],\n \"colour\": \"red\"\n}\n");
    struct output o = rrdnsd(format_text("-c %s", config));
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "bad.json:3: server.workers: ");
    ck_contains(o.err, "bad.json:4: server.user: ");
    ck_contains(o.err, "bad.json:6: zones[0].name: ");
    ck_contains(o.err, "bad.json:7: colour: unknown key");
    if (geteuid() == 0) {
        file_write(config, format_text("{\"server\": {\"user\": \"no-such-user\", \"listen\": "
                                       "[\"127.0.0.1:%u\"]}, \"control\": {\"socket\": \"c\"}}\n",
                                       port));
        expect_no_start(format_text("-c %s", config), "bad.json:1: server.user: there is no user");
    }
    example_served(); /* and none of them harmed the one that runs */
    ck_assert_int_eq(rrdnsctl(&server, "status").status, 0);
}
END_TEST

START_TEST(by_options_alone)
{
    daemon_stop(&server);
    const char *listen = format_text("127.0.0.1:%u", server.port);
    const char *zones = format_text("%s/zones", server.dir);
    const char *more = format_text("127.0.0.5:%u", server.port);
    const char *const given[] = {"-l", listen, "-l",        more,          "--zones", zones,
                                 "-w", "3",    "--control", server.socket, NULL};
    daemon_start_with(&server, given);
    example_served();
    ck_assert_str_eq(ask_once("127.0.0.5", server.port, false, "www.example.test.", "A"),
                     "NOERROR 192.0.2.10");
    json_t *result = printed("status");
    ck_assert_str_eq(json_at(result, "workers"), "3");
    json_decref(result);
    /* A reload reads the directory again. */
    daemon_zone(&server, "new.test", example_zone);
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 0);
    ck_assert_str_eq(ask_once("127.0.0.5", server.port, false, "www.new.test.", "A"),
                     "NOERROR 192.0.2.10");
}
END_TEST

/* Options replace what the file says. */
START_TEST(options_over_configuration)
{
    daemon_stop(&server);
    const char *zones = format_text("%s/others", server.dir);
    dir_make(zones);
    file_write(format_text("%s/only.test.zone", zones), example_zone);
    const char *const given[] = {"-c", server.config, "-z", zones, "-w", "1", NULL};
    daemon_start_with(&server, given);
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.only.test.", "A"),
                     "NOERROR 192.0.2.10");
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.example.test.", "A"),
                     "REFUSED");
    json_t *result = printed("status");
    ck_assert_str_eq(json_at(result, "workers"), "1");
    json_decref(result);
}
END_TEST

START_TEST(broken_zone_at_start)
{
    daemon_stop(&server);
    daemon_zone(&server, "broken.test",
                "$TTL 1h\n@ SOA ns hostmaster 1 1h 1h 1h 1h\nwww A 1.2.3\n");
    size_t log = daemon_log_size(&server);
    daemon_start(&server);
    const char *place = format_text("%s:3: ", daemon_zone_path(&server, "broken.test"));
    ck_contains(daemon_log(&server) + log, place);
    example_served();
    struct output o = dig("+norec www.broken.test A");
    ck_contains(o.out, "status: SERVFAIL");
    ck_contains(o.out, "EDE: 24 (Invalid Data)");
    o = rrdnsctl(&server, "zones");
    ck_contains(o.out, "not served");
    ck_contains(o.out, place);
    ck_contains(rrdnsctl(&server, "status").out, "3 (2 in service)");
    ck_assert_int_eq(daemon_counter(&server, "zones_failed"), 1);
    ck_assert_int_eq(daemon_counter(&server, "zones_loaded"), 2);
}
END_TEST

/* The service manager's protocol: told when it is ready, reloads and stops. */
START_TEST(service_manager)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char text[1024];
    daemon_stop(&server);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", harness_path("notify"));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    setenv("NOTIFY_SOCKET", address.sun_path, 1);
    daemon_start(&server);
    unsetenv("NOTIFY_SOCKET");
    ssize_t got = receive(fd, text, sizeof text - 1, harness_patience_ms());
    ck_assert_int_gt(got, 0);
    text[got] = '\0';
    ck_contains(text, "READY=1");
    kill(server.pid, SIGHUP);
    got = receive(fd, text, sizeof text - 1, harness_patience_ms());
    ck_assert_int_gt(got, 0);
    text[got] = '\0';
    ck_contains(text, "RELOADING=1");
    ck_contains(text, "MONOTONIC_USEC=");
    got = receive(fd, text, sizeof text - 1, harness_patience_ms());
    ck_assert_int_gt(got, 0);
    text[got] = '\0';
    ck_contains(text, "READY=1");
    kill(server.pid, SIGTERM);
    got = receive(fd, text, sizeof text - 1, harness_patience_ms());
    ck_assert_int_gt(got, 0);
    text[got] = '\0';
    ck_contains(text, "STOPPING=1");
    daemon_ended(&server);
    close(fd);
    unlink(address.sun_path);
}
END_TEST

START_TEST(log_file)
{
    daemon_stop(&server);
    daemon_configure(&server, "{\"log\": {\"target\": \"file:own.log\"}}");
    const char *path = format_text("%s/own.log", server.dir);
    const char *rotated = format_text("%s/own.log.1", server.dir);
    daemon_start(&server);
    char *text = file_read(path);
    ck_contains(text, "is ready");
    ck_contains(text, "Z rrdnsd: info: ");
    free(text);
    ck_assert_int_eq(rename(path, rotated), 0);
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 0);
    ck_assert(!file_exists(path)); /* nobody has asked for it yet */
    struct stat st;
    ck_assert_int_eq(stat(rotated, &st), 0);
    kill(server.pid, SIGUSR1);
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    while (!file_exists(path)) {
        ck_assert_uint_lt(clock_ms(), last);
        pause_ms(2);
    }
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 0);
    text = file_read(path);
    ck_contains(text, "reload: ");
    ck_lacks(text, "is ready");
    free(text);
    struct stat after;
    ck_assert_int_eq(stat(rotated, &after), 0);
    ck_assert_int_eq(after.st_size, st.st_size);
}
END_TEST

/* ---- rrdnsd -t ---- */

START_TEST(check_of_everything)
{
    struct output o = rrdnsd(format_text("-t -c %s", server.config)); /* beside the one that runs */
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "2 zones, 0 faults");
    o = rrdnsd(format_text("-t -l 127.0.0.1:5300 -z %s/zones", harness_src()));
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "0 faults");
    daemon_zone(&server, "broken.test",
                "$TTL 1h\n@ SOA ns hostmaster 1 1h 1h 1h 1h\n"
                "www A 1.2.3\nwww A 1.2.3.4\nx TXT \"\nmail MX 70000 www\n");
    daemon_zone(&server, "other.test", "www A 192.0.2.1\n");
    o = rrdnsd(format_text("--check --config %s", server.config));
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "broken.test.zone:3: ");
    ck_contains(o.err, "broken.test.zone:5: ");
    ck_contains(o.err, "broken.test.zone:6: ");
    ck_contains(o.err, "other.test.zone:1: ");
    ck_contains(o.out, "3 zones");
    daemon_configure(&server, "{\"server\": {\"wokers\": 2}}");
    o = rrdnsd(format_text("-t -c %s", server.config));
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "server.wokers: unknown key, did you mean \"workers\"?");
    example_served();
}
END_TEST

/* What a start would refuse, or warn of. */
START_TEST(check_of_paths)
{
    static const struct {
        const char *config, *said;
        int status;
    } cases[] = {
        {"{\"log\": {\"target\": \"file:none/log\"}}", "log: No such file or directory", 1},
        {"{\"log\": {\"target\": \"file:zones\"}}", "zones: Is a directory", 1},
        {"{\"log\": {\"target\": \"file:new\"}}", "", 0},
        {"{\"image_directory\": \"none\"}",
         "none: image_directory is not used: No such file or directory", 0},
        {"{\"image_directory\": \"zones\"}",
         "image_directory is not used: others than the server's user can write there", 0},
    };
    ck_assert_int_eq(command("chmod 777 %s/zones", server.dir).status, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        daemon_configure(&server, cases[i].config);
        struct output o = rrdnsd(format_text("-t -c %s", server.config));
        ck_assert_msg(o.status == cases[i].status, "%s: %s", cases[i].config, o.err);
        ck_contains(o.err, cases[i].said);
    }
    ck_assert_int_ne(access(format_text("%s/new", server.dir), F_OK), 0);
    ck_assert_int_eq(command("chmod 755 %s/zones", server.dir).status, 0);
    daemon_configure(&server, NULL);
    struct output o = rrdnsd(format_text("-t -c %s -s /tmp/%0110u", server.config, 0));
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "--socket: the path has 115 octets, a socket's at most 107");
    o = command("%s/rrdnsd -t -c %s >/dev/full", harness_build(), server.config);
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "No space left on device");
}
END_TEST

static Suite *starts(void)
{
    const TTest *const tests[] = {privileges,
                                  faults_at_start,
                                  by_options_alone,
                                  options_over_configuration,
                                  broken_zone_at_start,
                                  service_manager,
                                  log_file,
                                  check_of_everything,
                                  check_of_paths,
                                  NULL};
    return example_suite("start", tests);
}

int main(void)
{
    return harness_main("start", starts);
}

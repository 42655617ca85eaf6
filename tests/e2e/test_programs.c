/*
 * The programs among others: installed, started where something stands in their way, ended in
 * every manner, and what they say word by word.
 */
#include <errno.h>
#include <glob.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "example.h"
#include "stream.h"
#include "transport.h"

/* ---- Installing ---- */

/* Is there, with just that mode, and holds what the original does. */
static void expect_installed(const char *root, const char *place, unsigned mode,
                             const char *original)
{
    struct stat st;
    const char *path = format_text("%s%s", root, place);
    ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
    ck_assert_msg((st.st_mode & 07777) == mode, "%s: mode %o", path, st.st_mode & 07777);
    if (original != NULL) {
        ck_assert_int_eq(command("cmp %s %s", original, path).status, 0);
    }
}

/* -o all: what is tested is what was built, so nothing is built here. */
static void make(const char *root, const char *target)
{
    struct output o = command("env -u MAKEFLAGS -u MAKELEVEL make -s -C %s -o all B=%s DESTDIR=%s "
                              "PREFIX=/opt/rrdns %s",
                              harness_src(), harness_build(), root, target);
    ck_assert_msg(o.status == 0, "make %s: %s", target, o.err);
}

START_TEST(installs)
{
    const char *root = harness_path("root");
    dir_make(root);
    make(root, "install");
    const char *build = harness_build(), *src = harness_src();
    expect_installed(root, "/opt/rrdns/sbin/rrdnsd", 0755, format_text("%s/rrdnsd", build));
    expect_installed(root, "/opt/rrdns/sbin/rrdnsctl", 0755, format_text("%s/rrdnsctl", build));
    expect_installed(root, "/opt/rrdns/bin/rrdnsutil", 0755, format_text("%s/rrdnsutil", build));
    glob_t pages;
    ck_assert_int_eq(glob(format_text("%s/man/*.[1-9]", src), 0, NULL, &pages), 0);
    for (size_t i = 0; i < pages.gl_pathc; i++) {
        const char *name = strrchr(pages.gl_pathv[i], '/') + 1;
        const char *section = strrchr(name, '.') + 1;
        expect_installed(root, format_text("/opt/rrdns/share/man/man%s/%s", section, name), 0644,
                         pages.gl_pathv[i]);
    }
    globfree(&pages);
    const char *unit = "/opt/rrdns/lib/systemd/system/rrdnsd.service";
    expect_installed(root, unit, 0644, NULL);
    char *text = file_read(format_text("%s%s", root, unit));
    ck_contains(text, "ExecStart=/opt/rrdns/sbin/rrdnsd");
    free(text);
    expect_installed(root, "/etc/rrdns/rrdns.json.example", 0644,
                     format_text("%s/tools/dist/rrdns.json", src));
    ck_assert(file_exists(format_text("%s/etc/rrdns/zones", root)));
    /* The example is a configuration but for the user, whom a package makes. */
    const char *example = format_text("%s/etc/rrdns/rrdns.json.example", root);
    file_write(format_text("%s/etc/rrdns/example.com.zone", root), example_zone);
    struct output o = command("%s/opt/rrdns/sbin/rrdnsd -t -c %s", root, example);
    ck_lacks(o.err, "unknown key");
    ck_contains(o.out, "1 zones");

    ck_assert_int_eq(unlink(format_text("%s/etc/rrdns/example.com.zone", root)), 0);
    make(root, "uninstall");
    o = command("find %s -type f", root);
    ck_assert_str_eq(o.out, "");
}
END_TEST

/* ---- Ends ---- */

/*
 * A server that ends at once leaves its threads where they are, which ThreadSanitizer would call a
 * leak. It goes on looking for everything else, and for leaks in all other tests.
 */
static char sanitizer_options[1024];

static void leave_threads(void)
{
    const char *options = getenv("TSAN_OPTIONS");
    snprintf(sanitizer_options, sizeof sanitizer_options, "%s", options != NULL ? options : "");
    setenv("TSAN_OPTIONS", format_text("%s:report_thread_leaks=0", sanitizer_options), 1);
}

static void leave_no_threads(void)
{
    setenv("TSAN_OPTIONS", sanitizer_options, 1);
}

/* While what is in flight is waited for, a second signal ends it at once. */
START_TEST(second_signal)
{
    static const int signals[][2] = {{SIGTERM, SIGTERM}, {SIGINT, SIGTERM}, {SIGTERM, SIGINT}};
    size_t size;
    stream_begin(format_text("signals%d", _i),
                 "{\"server\": {\"drain\": \"1h\", \"tcp\": {\"idle\": \"1h\"}}}");
    uint8_t *all = stream_pipeline("big.io.test.", "TXT", 0, MANY, &size);
    int reads_nothing = stream_open();
    stream_stuff(reads_nothing, all, size);
    kill(server.pid, signals[_i][0]);
    ck_assert(daemon_logs(&server, 0, "info: stopping"));
    int status;
    ck_assert_msg(!child_wait(server.pid, 50, &status), "it has not waited");
    kill(server.pid, signals[_i][1]);
    daemon_ended(&server);
    ck_contains(daemon_log(&server), "stopped at once");
    close(reads_nothing);
    free(all);
}
END_TEST

/* Loading would take seconds: it is not waited for. */
START_TEST(signal_while_loading)
{
    example_begin();
    daemon_stop(&server);
    daemon_zone(&server, "large.test",
                format_text("$TTL 1h\n@ SOA ns h 1 1h 1h 1h 1h\n@ NS ns\nns A 192.0.2.1\n"
                            "$GENERATE 1-%u h$ TXT \"number $\"\n",
                            3000000 / harness_slow()));
    const char *argv[] = {format_text("%s/rrdnsd", harness_build()), "-c", server.config, NULL};
    server.pid = child_start(argv, server.log);
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    while (!file_exists(server.socket)) { /* made just before */
        ck_assert_uint_lt(clock_ms(), last);
        pause_ms(1);
    }
    kill(server.pid, SIGTERM);
    daemon_ended(&server);
}
END_TEST

/* After SIGKILL the socket's file is there still: the next one takes its place. */
START_TEST(start_after_a_kill)
{
    struct stat before, after;
    example_begin();
    ck_assert_int_eq(stat(server.socket, &before), 0);
    daemon_kill(&server);
    ck_assert(file_exists(server.socket));
    daemon_start(&server);
    ck_assert_int_eq(stat(server.socket, &after), 0);
    ck_assert_uint_eq(after.st_mode & 07777, 0660);
    example_served();
    ck_assert_int_eq(rrdnsctl(&server, "status").status, 0);
    example_end();
}
END_TEST

/* ---- In the way ---- */

/* A socket at the address that shares with nobody. */
static int hold_port(int family, int type, uint16_t port)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v6.sin6_addr = in6addr_loopback;
    const struct sockaddr *address =
        family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, address, family == AF_INET ? sizeof v4 : sizeof v6), 0);
    if (type == SOCK_STREAM) {
        ck_assert_int_eq(listen(fd, 1), 0);
    }
    return fd;
}

START_TEST(port_taken)
{
    static const int types[] = {SOCK_DGRAM, SOCK_STREAM};
    const char *zones = format_text("%s/zones", harness_src());
    const char *socket_path = harness_path("control");
    for (size_t i = 0; i < 4; i++) {
        int family = i < 2 ? AF_INET : AF_INET6;
        if (family == AF_INET6 && !have_ipv6()) {
            continue;
        }
        uint16_t port = free_port();
        int fd = hold_port(family, types[i % 2], port);
        const char *address =
            format_text(family == AF_INET ? "127.0.0.1:%u" : "[::1]:%u", (unsigned)port);
        struct output o = rrdnsd(format_text("-l '%s' -z %s -s %s", address, zones, socket_path));
        close(fd);
        ck_assert_int_eq(o.status, 1);
        ck_contains(o.err, address);
        ck_contains(o.err, "Address already in use");
        ck_lacks(o.err, "is ready");
        ck_assert(!file_exists(socket_path));
    }
}
END_TEST

/* Neither log can be written: it serves, reloads and stops as ever. */
START_TEST(log_on_a_full_disk)
{
    example_begin();
    daemon_stop(&server);
    daemon_configure(&server, "{\"log\": {\"target\": \"file:/dev/full\", \"level\": \"debug\"}}");
    const char *line =
        format_text("exec %s/rrdnsd -c %s 2>/dev/full", harness_build(), server.config);
    const char *argv[] = {"/bin/sh", "-c", line, NULL};
    server.pid = child_start(argv, server.log);
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    while (rrdnsctl(&server, "status").status != 0) {
        ck_assert_uint_lt(clock_ms(), last);
        pause_ms(5);
    }
    example_served();
    daemon_zone(&server, "broken.test", "nonsense\n"); /* makes it say much */
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 1);
    kill(server.pid, SIGUSR1);
    example_served();
    daemon_zone(&server, "broken.test", example_zone);
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 0);
    example_end();
}
END_TEST

/* ---- Word by word ---- */

static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, server.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* The answer with its newline; static. */
static const char *answer_from(int fd)
{
    static char text[1 << 16];
    size_t used = 0;
    do {
        ssize_t got = receive(fd, text + used, sizeof text - 1 - used, harness_patience_ms());
        ck_assert_msg(got > 0, "no whole answer: %.*s", (int)used, text);
        used += (size_t)got;
    } while (text[used - 1] != '\n' && used < sizeof text - 1);
    text[used] = '\0';
    return text;
}

static const char *raw(const char *line)
{
    int fd = connect_raw();
    send_all(fd, line, strlen(line));
    send_all(fd, "\n", 1);
    const char *answer = answer_from(fd);
    close(fd);
    return answer;
}

START_TEST(json_is_the_servers)
{
    example_begin();
    struct output o = rrdnsctl(&server, "-j zones");
    ck_assert_str_eq(o.out, raw("{\"command\":\"zones\"}"));
    ck_assert_str_eq(o.err, "");
    o = rrdnsctl(&server, "--json zone other.test");
    ck_assert_str_eq(o.out, raw("{\"command\":\"zone\",\"name\":\"other.test\"}"));
    o = rrdnsctl(&server, "-j zone nowhere.test");
    ck_assert_int_eq(o.status, 1);
    ck_assert_str_eq(o.out, raw("{\"command\":\"zone\",\"name\":\"nowhere.test\"}"));
    o = rrdnsctl(&server, "-j log warning");
    ck_assert_str_eq(o.out, "{\"ok\":true,\"result\":{\"level\":\"warning\"}}\n");
    ck_assert_str_eq(raw("{\"command\":\"reboot\"}"),
                     "{\"ok\":false,\"error\":\"unknown command \\\"reboot\\\"\"}\n");
    ck_assert_str_eq(raw("{\"command\":\"zones\",\"colour\":\"red\"}"),
                     "{\"ok\":false,\"error\":\"unknown field \\\"colour\\\" of command "
                     "\\\"zones\\\"\"}\n");
    example_end();
}
END_TEST

/* 64 KiB are a line, an octet more is none. */
START_TEST(longest_line)
{
    static char line[65536 + 2];
    static const char status[] = "{\"command\":\"status\"}";
    example_begin();
    for (size_t more = 0; more < 2; more++) {
        memset(line, ' ', sizeof line);
        memcpy(line, status, sizeof status - 1);
        line[65536 + more] = '\n';
        int fd = connect_raw();
        send_all(fd, line, 65536 + more + 1);
        const char *answer = answer_from(fd);
        ck_contains(answer, more == 0 ? "\"running\"" : "longer than 64 KiB");
        if (more > 0) {
            ck_assert(tcp_ends(fd, harness_patience_ms()));
        }
        close(fd);
    }
    example_end();
}
END_TEST

/* Zones z0.test to z<n-1>.test with that serial. */
static void write_zones(unsigned count, unsigned serial)
{
    for (unsigned i = 0; i < count; i++) {
        daemon_zone(
            &server, format_text("z%u.test", i),
            format_text("$TTL 1h\n@ SOA ns h %u 1h 1h 1h 1h\n@ NS ns\nns A 192.0.2.1\n", serial));
    }
}

/* More than a hundred zones at once are told one by one at level debug only. */
START_TEST(log_at_each_level)
{
    enum { ZONES = 101 };
    static char names[ZONES * 10 + 16] = "reload";
    for (unsigned i = 0; i < ZONES; i++) {
        strcat(names, format_text(" z%u.test", i));
    }
    daemon_prepare(&server, "levels", NULL);
    write_zones(ZONES, 1);
    daemon_start(&server);
    ck_contains(daemon_log(&server), "101 zones loaded");
    ck_lacks(daemon_log(&server), "zone z42.test. loaded");
    static const struct {
        const char *level;
        bool sum, each;
    } levels[] = {{"error", false, false},
                  {"warning", false, false},
                  {"info", true, false},
                  {"debug", true, true}};
    for (unsigned i = 0; i < 4; i++) {
        write_zones(ZONES, 2 + i);
        size_t from = daemon_log_size(&server);
        struct output o = rrdnsctl(&server, format_text("log %s", levels[i].level));
        ck_assert_int_eq(o.status, 0);
        ck_assert_str_eq(o.out, format_text("log level %s\n", levels[i].level));
        ck_assert_int_eq(rrdnsctl(&server, names).status, 0);
        const char *log = daemon_log(&server) + from;
        ck_assert_msg((strstr(log, "101 zones loaded") != NULL) == levels[i].sum, "%s", log);
        ck_assert_msg((strstr(log, "debug: zone z42.test. loaded: serial ") != NULL) ==
                          levels[i].each,
                      "%s", log);
    }
    daemon_stop(&server);
}
END_TEST

static Suite *programs(void)
{
    Suite *suite = suite_create("programs");
    TCase *tcase = tcase_create("programs");
    tcase_add_test(tcase, installs);
    tcase_add_test(tcase, start_after_a_kill);
    tcase_add_test(tcase, port_taken);
    tcase_add_test(tcase, log_on_a_full_disk);
    tcase_add_test(tcase, json_is_the_servers);
    tcase_add_test(tcase, longest_line);
    tcase_add_test(tcase, log_at_each_level);
    suite_add_tcase(suite, tcase);
    tcase = tcase_create("at once");
    tcase_add_checked_fixture(tcase, leave_threads, leave_no_threads);
    tcase_add_loop_test(tcase, second_signal, 0, 3);
    tcase_add_test(tcase, signal_while_loading);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return harness_main("programs", programs);
}

/*
 * Reloads: what changes, what stays, what the operator is told, and that nobody who asks notices.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "daemon.h"
#include "harness.h"
#include "load.h"
#include "transport.h"

/* example.test in version v: www is 192.0.2.v, the serial v. */
static const char *version(unsigned v)
{
    return format_text("$TTL 3600\n@ SOA ns hostmaster %u 7200 3600 1209600 300\n  NS ns\n"
                       "ns A 192.0.2.250\nwww A 192.0.2.%u\n",
                       v, v);
}

static void write_version(const char *name, unsigned v)
{
    daemon_zone(&server, name, version(v));
}

/* From many sockets, so that every worker is asked. */
static void expect_www(const char *name, const char *text)
{
    const char *www = format_text("www.%s.", name);
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, www, "A"), text);
    }
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, true, www, "A"), text);
}

static void expect_version(const char *name, unsigned v)
{
    expect_www(name, format_text("NOERROR 192.0.2.%u", v));
}

static void begin(void)
{
    static unsigned number;
    daemon_prepare(&server, format_text("reload%u", number++), NULL);
    write_version("example.test", 1);
    write_version("other.test", 1);
    daemon_start(&server);
    expect_version("example.test", 1);
}

static void end(void)
{
    daemon_stop(&server);
}

/* The result of a reload that is "ok", zones failed or not. New reference. */
static json_t *reload(const char *names)
{
    json_t *answer = control_reload(&server, names);
    ck_assert_msg(json_is_true(json_object_get(answer, "ok")), "reload: %s",
                  json_at(answer, "error"));
    json_t *result = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
    return result;
}

static void expect_reload(const char *names, int loaded, int unchanged, int failed, int removed)
{
    json_t *result = reload(names);
    char *text = json_dumps(result, 0);
    ck_assert_msg(json_integer_value(json_object_get(result, "loaded")) == loaded &&
                      json_integer_value(json_object_get(result, "unchanged")) == unchanged &&
                      json_integer_value(json_object_get(result, "failed")) == failed &&
                      json_integer_value(json_object_get(result, "removed")) == removed,
                  "not %d loaded, %d unchanged, %d failed, %d removed: %s", loaded, unchanged,
                  failed, removed, text);
    free(text);
    json_decref(result);
}

/* A value of one zone, as text. */
static const char *zone_value(const char *name, const char *key)
{
    static char text[2048];
    const char *line = format_text("{\"command\": \"zone\", \"name\": \"%s\"}", name);
    json_t *answer = control_line(&server, line, harness_patience_ms());
    const json_t *result = json_object_get(answer, "result");
    snprintf(text, sizeof text, "%s", json_at(result, key));
    json_decref(answer);
    return text;
}

/* ---- Zones ---- */

START_TEST(by_signal)
{
    int64_t done = daemon_counter(&server, "reloads_ok");
    int64_t loaded = daemon_counter(&server, "zones_loaded");
    write_version("example.test", 2);
    kill(server.pid, SIGHUP);
    daemon_await_counter(&server, "reloads_ok", done + 1);
    expect_version("example.test", 2);
    expect_version("other.test", 1);
    daemon_await_counter(&server, "zones_loaded", loaded + 1);
}
END_TEST

START_TEST(by_command)
{
    write_version("example.test", 2);
    struct output o = rrdnsctl(&server, "reload");
    expect_version("example.test", 2);
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "example.test: loaded, serial 2");
    ck_lacks(o.out, "other.test");
    ck_contains(o.out, "1 loaded, 1 unchanged, 0 failed, 0 removed");
    ck_assert_str_eq(o.err, "");
    ck_assert_str_eq(zone_value("example.test", "serial"), "2");
}
END_TEST

START_TEST(unchanged)
{
    int64_t before = daemon_counter(&server, "zones_unchanged");
    expect_reload(NULL, 0, 2, 0, 0);
    file_touch(daemon_zone_path(&server, "example.test"), 5);
    expect_reload(NULL, 0, 2, 0, 0);
    write_version("example.test", 1); /* another file with the same content */
    expect_reload(NULL, 0, 2, 0, 0);
    daemon_await_counter(&server, "zones_unchanged", before + 6);
    struct output o = rrdnsctl(&server, "reload example.test");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "example.test: unchanged, serial 1");
    expect_version("example.test", 1);
}
END_TEST

/* A change that leaves size and time stamp alone is a change. */
START_TEST(changed_in_disguise)
{
    const char *path = daemon_zone_path(&server, "example.test");
    for (unsigned v = 2; v < 10; v++) {
        write_version("example.test", v);
        file_touch(path, 0);
        expect_reload(NULL, 1, 1, 0, 0);
        expect_version("example.test", v);
    }
}
END_TEST

START_TEST(broken)
{
    const char *path = daemon_zone_path(&server, "example.test");
    const char *place = format_text("%s:5: ", path);
    int64_t failures = daemon_counter(&server, "reloads_failed");
    int64_t zones = daemon_counter(&server, "zones_failed");
    char *good = strdup(version(1));
    for (unsigned i = 0; i < 2; i++) { /* the second time nothing has changed: it is as broken */
        size_t log = daemon_log_size(&server);
        file_replace(path, "$TTL 3600\n@ SOA ns hostmaster 2 7200 3600 1209600 300\n  NS ns\n"
                           "ns A 192.0.2.250\nwww A 192.0.2.256\n");
        struct output o = rrdnsctl(&server, "reload");
        ck_assert_int_eq(o.status, 1);
        ck_contains(o.err, "example.test: failed");
        ck_contains(o.err, place);
        ck_contains(o.out, "0 loaded, 1 unchanged, 1 failed, 0 removed");
        ck_assert_msg(daemon_logs(&server, log, place), "not in the log: %s", place);
        expect_version("example.test", 1);
        ck_contains(zone_value("example.test", "last_error"), place);
        ck_assert_str_eq(zone_value("example.test", "serving"), "true");
        ck_assert_str_eq(zone_value("example.test", "serial"), "1");
    }
    daemon_await_counter(&server, "reloads_failed", failures + 2);
    daemon_await_counter(&server, "zones_failed", zones + 2);
    /* The others are not held up by it. */
    write_version("other.test", 7);
    expect_reload(NULL, 1, 0, 1, 0);
    expect_version("other.test", 7);
    /* What is served is what the file says again: nothing is left of the fault. */
    file_replace(path, good);
    free(good);
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 0);
    ck_assert_str_eq(zone_value("example.test", "last_error"), "null");
    write_version("example.test", 3);
    expect_reload(NULL, 1, 1, 0, 0);
    expect_version("example.test", 3);
}
END_TEST

/* Not a fault in the file, but no file. */
START_TEST(unreadable)
{
    const char *path = format_text("%s/elsewhere", server.dir);
    daemon_configure(&server, format_text("{\"zones\": [{\"name\": \"example.test\", \"file\": "
                                          "\"%s\"}]}",
                                          path));
    struct output o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, path);
    ck_contains(o.err, "No such file");
    expect_version("example.test", 1);
    dir_make(path); /* a directory is no file either */
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 1);
    expect_version("example.test", 1);
    expect_version("other.test", 1);
}
END_TEST

START_TEST(added_and_removed)
{
    expect_www("new.test", "REFUSED");
    write_version("new.test", 5);
    write_version("sub.example.test", 6);
    struct output o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "new.test: loaded, serial 5");
    ck_contains(o.out, "sub.example.test: loaded, serial 6");
    expect_version("new.test", 5);
    expect_version("sub.example.test", 6);
    ck_assert_str_eq(zone_value("new.test", "queries"), "21");

    ck_assert_int_eq(unlink(daemon_zone_path(&server, "new.test")), 0);
    ck_assert_int_eq(unlink(daemon_zone_path(&server, "sub.example.test")), 0);
    o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "new.test: removed");
    ck_contains(o.out, "0 loaded, 2 unchanged, 0 failed, 2 removed");
    expect_www("new.test", "REFUSED");
    expect_www("sub.example.test", "NXDOMAIN");
    ck_assert_int_eq(rrdnsctl(&server, "zone new.test").status, 1);

    /* Back again, it begins to count anew, and so does another in its place. */
    write_version("new.test", 8);
    write_version("newer.test", 9);
    expect_reload(NULL, 2, 2, 0, 0);
    ck_assert_str_eq(zone_value("new.test", "queries"), "0");
    ck_assert_str_eq(zone_value("newer.test", "queries"), "0");
    expect_version("new.test", 8);
    expect_version("newer.test", 9);
}
END_TEST

/* A new zone that is broken is there all the same, and answers SERVFAIL. */
START_TEST(added_broken)
{
    daemon_zone(&server, "new.test", "no zone at all\n");
    expect_reload(NULL, 0, 2, 1, 0);
    expect_www("new.test", "SERVFAIL");
    ck_assert_str_eq(zone_value("new.test", "serving"), "false");
    write_version("new.test", 2);
    expect_reload(NULL, 1, 2, 0, 0);
    expect_version("new.test", 2);
}
END_TEST

START_TEST(by_configuration)
{
    const char *path = format_text("%s/special", server.dir);
    file_write(path, version(40));
    const char *zones = format_text("{\"zones\": [{\"name\": \"example.test\", \"file\": "
                                    "\"special\"}, {\"name\": \"more.test\", \"file\": \"%s\"}]}",
                                    path);
    daemon_configure(&server, zones);
    expect_reload(NULL, 2, 1, 0, 0);
    expect_version("example.test", 40); /* what is listed wins over the directory */
    expect_version("more.test", 40);
    daemon_configure(&server, NULL);
    expect_reload(NULL, 1, 1, 0, 1);
    expect_version("example.test", 1);
    expect_www("more.test", "REFUSED");
}
END_TEST

START_TEST(included)
{
    const char *part = format_text("%s/zones/part.inc", server.dir);
    file_write(part, "www A 192.0.2.20\n");
    daemon_zone(&server, "example.test",
                "$TTL 3600\n@ SOA ns hostmaster 1 7200 3600 1209600 300\n  NS ns\n"
                "ns A 192.0.2.250\n$INCLUDE part.inc\n");
    expect_reload(NULL, 1, 1, 0, 0);
    expect_version("example.test", 20);
    file_replace(part, "www A 192.0.2.21\n");
    expect_reload(NULL, 1, 1, 0, 0);
    expect_version("example.test", 21);
    /* A fault in it is told by its own name and line. */
    file_replace(part, "\nwww A 192.0.2.2100\n");
    struct output o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "part.inc:2: ");
    expect_version("example.test", 21);
    ck_assert_int_eq(unlink(part), 0);
    expect_reload(NULL, 0, 1, 1, 0);
    expect_version("example.test", 21);
    file_write(part, "www A 192.0.2.22\n");
    expect_reload(NULL, 1, 1, 0, 0);
    expect_version("example.test", 22);
}
END_TEST

START_TEST(named)
{
    write_version("example.test", 2);
    write_version("other.test", 2);
    struct output o = rrdnsctl(&server, "reload other.test");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "other.test: loaded, serial 2");
    expect_version("other.test", 2);
    expect_version("example.test", 1);
    o = rrdnsctl(&server, "reload EXAMPLE.test. other.test");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "example.test: loaded, serial 2");
    ck_contains(o.out, "other.test: unchanged, serial 2");
    expect_version("example.test", 2);
}
END_TEST

START_TEST(named_wrongly)
{
    write_version("example.test", 2);
    write_version("new.test", 2); /* there is a file, but no reload of the whole has found it */
    struct output o = rrdnsctl(&server, "reload example.test new.test");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "new.test");
    expect_version("example.test", 1);
    expect_www("new.test", "REFUSED");
    o = rrdnsctl(&server, "reload 'two..dots'");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "two..dots");
}
END_TEST

/* ---- Configuration ---- */

static json_t *status(void)
{
    return control_result(&server, "status");
}

START_TEST(addresses)
{
    load_write_zone(daemon_zone_path(&server, "load.test"), 1, 100);
    expect_reload(NULL, 1, 2, 0, 0);
    struct load *load = load_begin("127.0.0.1", server.port, 100);
    load_await(load, 100);
    uint16_t port = free_port();
    for (unsigned i = 0; i < 3; i++) {
        daemon_configure(&server, format_text("{\"server\": {\"listen\": [\"127.0.0.1:%u\", "
                                              "\"127.0.0.3:%u\", \"127.0.0.4:%u\"]}}",
                                              server.port, server.port, port));
        control_reload_ok(&server);
        ck_assert_str_eq(ask_once("127.0.0.3", server.port, false, "www.other.test.", "A"),
                         "NOERROR 192.0.2.1");
        ck_assert_str_eq(ask_once("127.0.0.3", server.port, true, "www.other.test.", "A"),
                         "NOERROR 192.0.2.1");
        ck_assert_str_eq(ask_once("127.0.0.4", port, false, "www.other.test.", "A"),
                         "NOERROR 192.0.2.1");
        json_t *now = status();
        ck_assert_str_eq(json_at(now, "listen"),
                         format_text("[\"127.0.0.1:%u\",\"127.0.0.3:%u\",\"127.0.0.4:%u\"]",
                                     server.port, server.port, port));
        json_decref(now);
        load_await(load, 100);

        daemon_configure(
            &server, format_text("{\"server\": {\"listen\": [\"127.0.0.1:%u\"]}}", server.port));
        control_reload_ok(&server);
        ck_assert_str_eq(ask_once("127.0.0.3", server.port, false, "www.other.test.", "A"),
                         "(no answer)");
        ck_assert_str_eq(ask_once("127.0.0.4", port, true, "www.other.test.", "A"), "(no answer)");
        load_await(load, 100);
    }
    load_end(load);
}
END_TEST

/* Loses no query, no connection, and no count. */
START_TEST(workers)
{
    static const unsigned numbers[] = {4, 1, 3, 8, 2};
    load_write_zone(daemon_zone_path(&server, "load.test"), 1, 100);
    expect_reload(NULL, 1, 2, 0, 0);
    enum { CONNECTIONS = 20 };
    int fd[CONNECTIONS];
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        fd[i] = tcp_open(NULL, "127.0.0.1", server.port);
        ck_assert_str_eq(ask_tcp(fd[i], "www.other.test.", "A"), "NOERROR 192.0.2.1");
    }
    json_t *stats = control_stats(&server);
    int64_t before = counter_value(stats, "answers_udp");
    json_decref(stats);
    struct load *load = load_begin("127.0.0.1", server.port, 100);
    for (unsigned n = 0; n < sizeof numbers / sizeof numbers[0]; n++) {
        load_await(load, 200);
        daemon_configure(&server, format_text("{\"server\": {\"workers\": %u}}", numbers[n]));
        control_reload_ok(&server);
        json_t *now = status();
        ck_assert_str_eq(json_at(now, "workers"), format_text("%u", numbers[n]));
        json_decref(now);
        load_await(load, 200);
        for (unsigned i = 0; i < CONNECTIONS; i++) {
            ck_assert_str_eq(ask_tcp(fd[i], "www.other.test.", "A"), "NOERROR 192.0.2.1");
        }
    }
    uint64_t answered = load_end(load);
    daemon_await_counter(&server, "answers_udp", before + (int64_t)answered);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        close(fd[i]);
    }
}
END_TEST

START_TEST(settings)
{
    expect_www("example.test", "NOERROR 192.0.2.1");
    struct output o = command("dig +nsid +norec @127.0.0.1 -p %u www.example.test A", server.port);
    ck_lacks(o.out, "NSID");
    daemon_configure(&server, "{\"server\": {\"nsid\": \"first\"}}");
    control_reload_ok(&server);
    o = command("dig +nsid +norec @127.0.0.1 -p %u www.example.test A", server.port);
    ck_contains(o.out, "(\"first\")");
    daemon_configure(&server, "{\"server\": {\"nsid\": \"second\", \"udp_payload_max\": 1400}}");
    control_reload_ok(&server);
    o = command("dig +nsid +norec @127.0.0.1 -p %u www.example.test A", server.port);
    ck_contains(o.out, "(\"second\")");
    ck_contains(o.out, "udp: 1400");
}
END_TEST

START_TEST(what_needs_a_restart)
{
    size_t log = daemon_log_size(&server);
    write_version("example.test", 2);
    daemon_configure(&server, format_text("{\"server\": {\"user\": \"nobody\", \"group\": "
                                          "\"nogroup\"}, \"control\": {\"socket\": \"%s/other\"}}",
                                          server.dir));
    struct output o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "restart");
    ck_contains(o.out, "server.user");
    ck_contains(o.out, "server.group");
    ck_contains(o.out, "control.socket");
    ck_assert(daemon_logs(&server, log, "control.socket"));
    expect_version("example.test", 2); /* all else is done */
    daemon_configure(&server, NULL);
    o = rrdnsctl(&server, "reload");
    ck_lacks(o.out, "restart");
}
END_TEST

/* An address that can't be had leaves the others as they are, and is told. */
START_TEST(address_that_is_taken)
{
    uint16_t port = free_port();
    const char *listen = format_text("{\"server\": {\"listen\": [\"127.0.0.1:%u\", "
                                     "\"127.0.0.1:%u\"], \"nsid\": \"new\"}}",
                                     server.port, port);
    struct daemon other;
    daemon_prepare(&other, "other", NULL);
    daemon_configure(&other, format_text("{\"server\": {\"listen\": [\"127.0.0.1:%u\"]}}", port));
    daemon_zone(&other, "other.test", version(99));
    daemon_start(&other);
    daemon_configure(&server, listen);
    write_version("example.test", 2);
    struct output o = rrdnsctl(&server, "reload");
    ck_contains(o.out, format_text("127.0.0.1:%u", port));
    ck_contains(o.out, "Address already in use");
    ck_contains(o.out, "server.listen");
    expect_version("example.test", 2);
    ck_assert_str_eq(ask_once("127.0.0.1", port, false, "www.other.test.", "A"),
                     "NOERROR 192.0.2.99");
    daemon_stop(&other);
    /* Once it is free, the next reload has it. */
    o = rrdnsctl(&server, "reload");
    ck_lacks(o.out, "server.listen");
    ck_assert_str_eq(ask_once("127.0.0.1", port, false, "www.other.test.", "A"),
                     "NOERROR 192.0.2.1");
}
END_TEST

START_TEST(broken_configuration)
{
    char *good = file_read(server.config);
    size_t log = daemon_log_size(&server);
    int64_t failures = daemon_counter(&server, "reloads_failed");
    write_version("example.test", 2);
    file_write(server.config, "{\n    \"server\": {\n        \"workres\": 3\n    },\n"
                              "    \"zone_directory\": 5\n}\n");
    struct output o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "rrdns.json:3: server.workres: unknown key, did you mean \"workers\"?");
    ck_contains(o.err, "rrdns.json:5: zone_directory");
    ck_assert(daemon_logs(&server, log, "rrdns.json:3: server.workres"));
    expect_version("example.test", 1); /* nothing of it, not the zones either */
    file_write(server.config, "{ \"server\": {\n");
    o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "rrdns.json:");
    ck_assert_int_eq(unlink(server.config), 0);
    o = rrdnsctl(&server, "reload");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "rrdns.json");
    daemon_await_counter(&server, "reloads_failed", failures + 3);
    kill(server.pid, SIGHUP);
    daemon_await_counter(&server, "reloads_failed", failures + 4);
    expect_version("example.test", 1);
    /* A zone by name does not need it. */
    ck_assert_int_eq(rrdnsctl(&server, "reload example.test").status, 0);
    expect_version("example.test", 2);
    file_write(server.config, good);
    free(good);
    expect_reload(NULL, 0, 2, 0, 0);
}
END_TEST

/* A zone directory that is not there would mean that all zones are to go: refused. */
START_TEST(directory_gone)
{
    const char *zones = format_text("%s/zones", server.dir);
    const char *away = format_text("%s/away", server.dir);
    ck_assert_int_eq(rename(zones, away), 0);
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 1);
    expect_version("example.test", 1);
    ck_assert_int_eq(rename(away, zones), 0);
    expect_reload(NULL, 0, 2, 0, 0);
}
END_TEST

START_TEST(signals_in_a_row)
{
    int64_t done = daemon_counter(&server, "reloads_ok");
    for (unsigned v = 2; v < 100; v++) {
        write_version("example.test", v);
        kill(server.pid, SIGHUP);
    }
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    while (clock_ms() < last && strcmp(zone_value("example.test", "serial"), "99") != 0) {
        pause_ms(5);
    }
    expect_version("example.test", 99);
    ck_assert_int_gt(daemon_counter(&server, "reloads_ok"), done);
}
END_TEST

/* ---- Accidents ---- */

START_TEST(killed)
{
    write_version("example.test", 2);
    int fd = tcp_open(NULL, "127.0.0.1", server.port);
    ck_assert_str_eq(ask_tcp(fd, "www.example.test.", "A"), "NOERROR 192.0.2.1");
    daemon_kill(&server);
    ck_assert(file_exists(server.socket)); /* what it left does not stop the next one */
    daemon_start(&server);
    expect_version("example.test", 2);
    close(fd);
}
END_TEST

START_TEST(log_on_a_full_disk)
{
    daemon_stop(&server);
    daemon_configure(&server, "{\"log\": {\"target\": \"file:/dev/full\", \"level\": \"debug\"}}");
    daemon_start(&server);
    daemon_zone(&server, "new.test", "no zone at all\n");
    expect_reload(NULL, 0, 2, 1, 0);
    write_version("example.test", 2);
    expect_reload(NULL, 1, 1, 1, 0);
    expect_version("example.test", 2);
    kill(server.pid, SIGUSR1);
    expect_version("other.test", 1);
}
END_TEST

START_TEST(standard_error_on_a_full_disk)
{
    daemon_stop(&server);
    char log[PATH_MAX];
    snprintf(log, sizeof log, "%s", server.log);
    snprintf(server.log, sizeof server.log, "/dev/full");
    const char *arguments[] = {"-c", server.config, NULL};
    char program[PATH_MAX];
    snprintf(program, sizeof program, "%s/rrdnsd", harness_build());
    const char *argv[] = {program, arguments[0], arguments[1], NULL};
    server.pid = child_start(argv, "/dev/full");
    snprintf(server.log, sizeof server.log, "%s", log);
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    while (strcmp(ask_once("127.0.0.1", server.port, true, "www.example.test.", "A"),
                  "NOERROR 192.0.2.1") != 0) {
        ck_assert_uint_lt(clock_ms(), last);
        pause_ms(10);
    }
    write_version("example.test", 2);
    expect_reload(NULL, 1, 1, 0, 0);
    expect_version("example.test", 2);
}
END_TEST

/* ---- Much ---- */

START_TEST(a_thousand_reloads)
{
    unsigned count = harness_sanitized() ? 200 : 1000, warm_up = count / 5;
    size_t memory = 0;
    unsigned descriptors = 0;
    for (unsigned i = 0; i < warm_up + count; i++) {
        if (i == warm_up) {
            memory = daemon_memory(&server);
            descriptors = daemon_descriptors(&server);
        }
        write_version("example.test", 1 + i % 200);
        if (i % 3 == 0) { /* now and then zones come and go too, and one is broken */
            write_version("sometimes.test", i % 6);
        } else if (i % 3 == 1) {
            unlink(daemon_zone_path(&server, "sometimes.test"));
        }
        daemon_zone(&server, "other.test", i % 10 == 5 ? "broken\n" : version(1));
        json_decref(reload(NULL));
    }
    ck_assert_uint_eq(daemon_descriptors(&server), descriptors);
    if (!harness_sanitized()) {
        size_t now = daemon_memory(&server);
        ck_assert_msg(now < memory + (2u << 20), "memory grew from %zu to %zu", memory, now);
    }
    expect_version("example.test", 1 + (warm_up + count - 1) % 200);
}
END_TEST

/* How many of the server's workers have the scheduling policy. For any thread. */
static unsigned workers_with(int policy)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/task", (int)server.pid);
    DIR *tasks = opendir(path);
    ck_assert_ptr_nonnull(tasks);
    for (const struct dirent *task; (task = readdir(tasks)) != NULL;) {
        int tid = atoi(task->d_name);
        char name[32] = "";
        snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)server.pid, tid);
        FILE *comm = fopen(path, "r");
        if (comm != NULL) {
            (void)!fgets(name, sizeof name, comm);
            fclose(comm);
        }
        count += strncmp(name, "worker-", 7) == 0 && sched_getscheduler(tid) == policy;
    }
    closedir(tasks);
    return count;
}

struct policy_watch {
    pthread_t thread;
    atomic_bool end;
    unsigned most; /* workers that were SCHED_BATCH at a time */
};

static void *watch_policy(void *context)
{
    struct policy_watch *watch = context;
    while (!atomic_load(&watch->end)) {
        unsigned batch = workers_with(SCHED_BATCH);
        watch->most = batch > watch->most ? batch : watch->most;
        usleep(2000);
    }
    return NULL;
}

/* Two names with a record each make a million records. */
START_TEST(a_million_records)
{
    unsigned names = harness_sanitized() ? 50000 : 500000;
    const char *path = daemon_zone_path(&server, "load.test");
    load_write_zone(path, 1, names);
    expect_reload(NULL, 1, 2, 0, 0);
    ck_assert_str_eq(zone_value("load.test", "records"), format_text("%u", 2 * names + 3));
    struct load *load = load_begin("127.0.0.1", server.port, names);
    load_await(load, 1000);
    struct policy_watch watch = {0};
    ck_assert_int_eq(pthread_create(&watch.thread, NULL, watch_policy, &watch), 0);
    for (unsigned generation = 2; generation <= 4; generation++) {
        load_write_zone(path, generation, names);
        uint64_t before = load_answered(load);
        if (generation == 3) { /* a broken one in between changes nothing */
            daemon_zone(&server, "load.test", "broken\n");
            expect_reload(NULL, 0, 2, 1, 0);
            load_write_zone(path, generation, names);
        }
        expect_reload(NULL, 1, 2, 0, 0);
        load_at_least(load, generation); /* what is asked from now on is answered from the new */
        ck_assert_msg(load_answered(load) > before, "nothing was answered during the reload");
        load_await(load, 1000);
    }
    atomic_store(&watch.end, true);
    pthread_join(watch.thread, NULL);
    ck_assert_uint_gt(watch.most, 0); /* they let the loader be while it gives way, */
    for (int i = 0; i < 500 && workers_with(SCHED_BATCH) > 0; i++) {
        expect_version("example.test", 1);
    }
    ck_assert_uint_eq(workers_with(SCHED_BATCH), 0); /* and no longer */
    uint64_t answered = load_end(load);
    ck_assert_uint_gt(answered, 4000);
    ck_assert_str_eq(zone_value("load.test", "serial"), "4");
}
END_TEST

static Suite *reloads(void)
{
    const TTest *const tests[] = {by_signal,
                                  by_command,
                                  unchanged,
                                  changed_in_disguise,
                                  broken,
                                  unreadable,
                                  added_and_removed,
                                  added_broken,
                                  by_configuration,
                                  included,
                                  named,
                                  named_wrongly,
                                  addresses,
                                  workers,
                                  settings,
                                  what_needs_a_restart,
                                  address_that_is_taken,
                                  broken_configuration,
                                  directory_gone,
                                  signals_in_a_row,
                                  killed,
                                  log_on_a_full_disk,
                                  standard_error_on_a_full_disk,
                                  a_thousand_reloads,
                                  a_million_records};
    Suite *suite = suite_create("reload");
    TCase *tcase = tcase_create("reload");
    tcase_add_checked_fixture(tcase, begin, end);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return harness_main("reload", reloads);
}

/*
 * rrdnsctl and the control socket: what is told, to whom, and what becomes of nonsense; counters
 * against queries of the usual clients, dig and drill.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "ask.h"
#include "example.h"
#include "transport.h"

/* ---- status, stats ---- */

START_TEST(status_told)
{
    struct output o = rrdnsctl(&server, "status");
    ck_assert_int_eq(o.status, 0);
    ck_assert_str_eq(o.err, "");
    ck_contains(o.out, "running");
    ck_contains(o.out, format_text("%d", (int)server.pid));
    ck_contains(o.out, format_text("127.0.0.1:%u", server.port));
    ck_contains(o.out, "2 (2 in service)");
    json_t *result = printed("status");
    ck_assert_str_eq(json_at(result, "status"), "running");
    ck_assert_int_eq(json_integer_value(json_object_get(result, "pid")), server.pid);
    ck_assert_str_eq(json_at(result, "workers"), "2");
    ck_assert_str_eq(json_at(result, "zones"), "2");
    ck_assert_str_eq(json_at(result, "zones_serving"), "2");
    ck_assert_str_eq(json_at(result, "listen.0"), format_text("127.0.0.1:%u", server.port));
    ck_assert_int_ge(json_integer_value(json_object_get(result, "uptime")), 0);
    const char *version = json_at(result, "version");
    ck_contains(rrdnsd("-V").out, version);
    ck_contains(rrdnsctl(&server, "-V").out, version);
    ck_contains(rrdnsutil("-V").out, version);
    json_decref(result);
}
END_TEST

/* Every counter of counters.def is in the JSON and in the text. */
START_TEST(all_counters)
{
    char *source = file_read(format_text("%s/src/base/counters.def", harness_src()));
    json_t *result = printed("stats");
    const json_t *counters = json_object_get(result, "counters");
    const char *text = rrdnsctl(&server, "stats").out;
    size_t found = 0;
    for (char *line = strtok(source, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char kind[16], name[64];
        if (sscanf(line, "%15[A-Z](%63[a-z0-9_],", kind, name) == 2) {
            const json_t *value = json_object_get(counters, name);
            bool vector = strcmp(kind, "VECTOR") == 0;
            ck_assert_msg(vector ? json_is_object(value) : json_is_integer(value), "%s", name);
            if (!vector) {
                ck_contains(text, name);
            }
            found++;
        }
    }
    ck_assert_uint_eq(json_object_size(counters), found);
    ck_assert_uint_gt(found, 30);
    json_decref(result);
    free(source);
}
END_TEST

static const json_t *before;

static void expect_delta(const json_t *after, const char *counter, int64_t delta)
{
    int64_t now = counter_value(after, counter) - counter_value(before, counter);
    ck_assert_msg(now == delta, "%s went up by %lld, not %lld", counter, (long long)now,
                  (long long)delta);
}

START_TEST(stats_of_dig)
{
    json_t *stats = control_stats(&server);
    before = stats;
    struct output o = dig("www.example.test A");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "status: NOERROR");
    ck_contains(o.out, "flags: qr aa rd;");
    ck_contains(o.out, "www.example.test.\t3600\tIN\tA\t192.0.2.10");
    ck_contains(o.out, "udp: 1232");
    ck_contains(o.out, "(good)"); /* the cookie */
    o = dig("+tcp +noedns nowhere.example.test AAAA");
    ck_contains(o.out, "status: NXDOMAIN");
    ck_contains(o.out, "example.test.\t\t300\tIN\tSOA\tns.example.test.");
    o = dig("+norec +nocookie alias.example.test A");
    ck_contains(o.out, "flags: qr aa;");
    o = dig("+norec +noedns x.w.example.test A +dnssec");
    ck_contains(o.out, "flags: do;");
    o = dig("+norec +nocookie sub.example.test A");
    ck_contains(o.out, "flags: qr;");
    o = dig("+norec +nocookie +ednsopt=65001:abcd ns.example.test MX");
    ck_contains(o.out, "AUTHORITY: 1");
    o = dig("+nocookie example.org A");
    ck_contains(o.out, "status: REFUSED");
    ck_contains(o.out, "EDE: 20 (Not Authoritative)");
    o = dig("+noedns big.example.test A"); /* truncated, asked again over TCP */
    ck_contains(o.out, "ANSWER: 60");
    o = dig("example.test AXFR");
    ck_contains(o.out, "Transfer failed");
    json_t *after = control_stats(&server);
    expect_delta(after, "queries_udp4", 7);
    expect_delta(after, "queries_tcp4", 3);
    expect_delta(after, "answers_udp", 7);
    expect_delta(after, "answers_tcp", 3);
    expect_delta(after, "rcode.NOERROR", 7);
    expect_delta(after, "rcode.NXDOMAIN", 1);
    expect_delta(after, "rcode.REFUSED", 2);
    expect_delta(after, "qtype.A", 7);
    expect_delta(after, "qtype.AAAA", 1);
    expect_delta(after, "qtype.MX", 1);
    expect_delta(after, "qtype.AXFR", 1);
    expect_delta(after, "opcode.QUERY", 10);
    expect_delta(after, "cookies_client", 3); /* dig's AXFR and +dnssec have one too */
    expect_delta(after, "queries_do", 1);
    expect_delta(after, "answers_wildcard", 1);
    expect_delta(after, "answers_referral", 1);
    expect_delta(after, "answers_nodata", 1);
    expect_delta(after, "answers_truncated", 1);
    expect_delta(after, "chain_links", 1);
    expect_delta(after, "tcp_accepted", 3);
    json_decref(after);
    json_decref(stats);
}
END_TEST

START_TEST(stats_of_drill)
{
    json_t *stats = control_stats(&server);
    before = stats;
    struct output o = drill("www.example.test @127.0.0.1 A");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "rcode: NOERROR");
    ck_contains(o.out, "www.example.test.\t3600\tIN\tA\t192.0.2.10");
    o = drill("-t -D nowhere.example.test @127.0.0.1 A");
    ck_contains(o.out, "rcode: NXDOMAIN");
    int64_t v6 = have_ipv6();
    if (v6) {
        o = drill("alias.example.test @::1 A");
        ck_contains(o.out, "alias.example.test.\t3600\tIN\tCNAME\twww.example.test.");
        o = drill("-t alias.example.test @::1 A");
        ck_contains(o.out, "192.0.2.10");
    }
    json_t *after = control_stats(&server);
    expect_delta(after, "queries_udp4", 1);
    expect_delta(after, "queries_tcp4", 1);
    expect_delta(after, "queries_udp6", v6);
    expect_delta(after, "queries_tcp6", v6);
    expect_delta(after, "queries_do", 1);
    expect_delta(after, "chain_links", 2 * v6);
    expect_delta(after, "rcode.NXDOMAIN", 1);
    json_decref(after);
    json_decref(stats);
}
END_TEST

/* Types, opcodes and RCODEs that have no counter of their own. */
START_TEST(stats_of_rare_things)
{
    json_t *stats = control_stats(&server);
    before = stats;
    dig("+nocookie www.example.test TYPE65280");
    dig("+nocookie www.example.test TYPE257");
    dig("+nocookie www.example.test TYPE99");
    dig("+nocookie +opcode=9 www.example.test A");
    dig("+nocookie +edns=5 +noednsneg www.example.test A");
    json_t *after = control_stats(&server);
    expect_delta(after, "qtype.other", 1);
    expect_delta(after, "qtype.CAA", 1);
    expect_delta(after, "qtype.SPF", 1);
    expect_delta(after, "opcode.OPCODE9", 1);
    expect_delta(after, "rcode.NOTIMP", 1);
    expect_delta(after, "rcode.BADVERS", 1);
    json_decref(after);
    json_decref(stats);
}
END_TEST

START_TEST(stats_per_worker)
{
    for (unsigned i = 0; i < 40; i++) {
        example_served();
    }
    daemon_await_counter(&server, "answers_udp", 40);
    daemon_await_counter(&server, "answers_tcp", 40);
    json_t *result = printed("stats --per-worker");
    const json_t *workers = json_object_get(result, "per_worker");
    ck_assert_uint_eq(json_array_size(workers), 2);
    int64_t sum = 0;
    for (size_t i = 0; i < 2; i++) {
        sum += counter_value(json_array_get(workers, i), "answers_udp");
    }
    ck_assert_int_eq(sum, 40);
    /* Every answer is in one cell of the histogram. */
    int64_t latency = 0;
    const char *label;
    json_t *value;
    json_object_foreach (json_object_get(json_object_get(result, "counters"), "latency"), label,
                         value) {
        latency += json_integer_value(value);
    }
    ck_assert_int_eq(latency, 80);
    ck_assert_int_gt(
        json_integer_value(json_object_get(json_object_get(result, "gauges"), "latency_p99_ns")),
        0);
    json_decref(result);
    ck_contains(rrdnsctl(&server, "stats --per-worker").out, "worker 1");
}
END_TEST

/* ---- zones, zone, log ---- */

START_TEST(list_of_zones)
{
    example_served();
    ask_once("127.0.0.1", server.port, false, "nowhere.example.test.", "A");
    struct output o = rrdnsctl(&server, "zones");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "example.test");
    ck_contains(o.out, "other.test");
    json_t *result = printed("zones");
    const json_t *list = json_object_get(result, "zones");
    ck_assert_uint_eq(json_array_size(list), 2);
    const json_t *first = json_array_get(list, 0);
    ck_assert_str_eq(json_at(first, "name"), "example.test");
    ck_assert_str_eq(json_at(first, "serial"), "7");
    ck_assert_str_eq(json_at(first, "records"), "68");
    /* apex, ns, www, w, *.w, alias, sub, ns.sub, big */
    ck_assert_str_eq(json_at(first, "names"), "9");
    ck_assert_str_eq(json_at(first, "signed"), "false");
    ck_assert_str_eq(json_at(first, "last_error"), "null");
    ck_assert_str_eq(json_at(first, "file"), daemon_zone_path(&server, "example.test"));
    ck_assert_str_eq(json_at(first, "queries"), "3");
    ck_assert_str_eq(json_at(first, "nxdomain"), "1");
    ck_assert_str_eq(json_at(json_array_get(list, 1), "queries"), "0");
    json_decref(result);
}
END_TEST

START_TEST(one_zone)
{
    struct output o = rrdnsctl(&server, "zone EXAMPLE.Test.");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "serial       7\n");
    ck_contains(o.out, "signed       no\n");
    o = rrdnsctl(&server, "zone nowhere.test");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "zone \"nowhere.test\" is not configured");
    ck_assert_str_eq(o.out, "");
    o = rrdnsctl(&server, "zone 'no..name'");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "is not a domain name");
    o = rrdnsctl(&server, "-j zone nowhere.test");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.out, "\"ok\":false");
}
END_TEST

START_TEST(log_level)
{
    size_t from = daemon_log_size(&server);
    struct output o = rrdnsctl(&server, "log error");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "error");
    ck_assert_int_eq(rrdnsctl(&server, "reload example.test").status, 0);
    ck_lacks(daemon_log(&server) + from, "info:");
    ck_assert_int_eq(rrdnsctl(&server, "log info").status, 0);
    ck_assert_int_eq(rrdnsctl(&server, "reload example.test").status, 0);
    ck_contains(daemon_log(&server) + from, "info: reload:");
    /* A reload of the configuration puts its own level in force again. */
    ck_assert_int_eq(rrdnsctl(&server, "log error").status, 0);
    from = daemon_log_size(&server);
    ck_assert_int_eq(rrdnsctl(&server, "reload").status, 0);
    ck_contains(daemon_log(&server) + from, "info: reload:");
    o = rrdnsctl(&server, "log loud");
    ck_assert_int_eq(o.status, 1);
    ck_contains(o.err, "error, warning, info, debug");
}
END_TEST

START_TEST(stop)
{
    struct output o = rrdnsctl(&server, "stop");
    ck_assert_int_eq(o.status, 0);
    /* It returns when nothing is served any more. */
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "www.example.test.", "A"),
                     "(no answer)");
    daemon_ended(&server);
    ck_assert_int_eq(rrdnsctl(&server, "status").status, 3);
}
END_TEST

/* ---- Exit statuses ---- */

START_TEST(wrong_usage)
{
    static const char *const wrong[] = {"",         "nonsense",   "status more", "zone",
                                        "zone a b", "stats more", "log",         "-x status",
                                        "log a b",  "zones x",    "stop now",    "--nonsense"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct output o = rrdnsctl(&server, wrong[i]);
        ck_assert_msg(o.status == 2, "rrdnsctl %s: exit status %d", wrong[i], o.status);
        ck_assert_str_eq(o.out, "");
        ck_contains(o.err, "usage: rrdnsctl");
    }
    struct output o = rrdnsctl(&server, "--help");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "usage: rrdnsctl");

    static const char *const wrong_server[] = {"-x",    "argument",   "-w many",
                                               "-w -1", "-w 1000000", "-l nonsense",
                                               "-c",    "--nonsense", "-t more"};
    for (size_t i = 0; i < sizeof wrong_server / sizeof wrong_server[0]; i++) {
        o = rrdnsd(wrong_server[i]);
        ck_assert_msg(o.status == 2, "rrdnsd %s: exit status %d", wrong_server[i], o.status);
        ck_contains(o.err, "usage: rrdnsd");
    }
    o = rrdnsd("-h");
    ck_assert_int_eq(o.status, 0);
    ck_contains(o.out, "usage: rrdnsd");

    static const char *const wrong_util[] = {"",     "check",    "check a b c", "compile a",
                                             "dump", "dump a b", "nonsense",    "-x"};
    for (size_t i = 0; i < sizeof wrong_util / sizeof wrong_util[0]; i++) {
        o = rrdnsutil(wrong_util[i]);
        ck_assert_msg(o.status == 2, "rrdnsutil %s: exit status %d", wrong_util[i], o.status);
        ck_contains(o.err, "usage: rrdnsutil");
    }
    example_served();
}
END_TEST

START_TEST(no_server)
{
    daemon_kill(&server); /* its socket's file stays */
    struct output o = rrdnsctl(&server, "status");
    ck_assert_int_eq(o.status, 3);
    ck_contains(o.err, "no server");
    ck_assert_int_eq(unlink(server.socket), 0);
    ck_assert_int_eq(rrdnsctl(&server, "-j stats").status, 3);
}
END_TEST

/* ---- The protocol ---- */

static int control_connect(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, server.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* What comes up to a newline or the end; static. */
static const char *line_from(int fd)
{
    static char line[70000];
    size_t used = 0;
    while (used < sizeof line - 1) {
        ssize_t got = receive(fd, line + used, 1, harness_patience_ms());
        ck_assert_msg(got >= 0 || errno == ECONNRESET, "no answer: %s", strerror(errno));
        if (got <= 0 || line[used] == '\n') {
            break;
        }
        used++;
    }
    line[used] = '\0';
    return line;
}

START_TEST(junk)
{
    static const struct {
        const char *line;
        const char *error; /* in the answer */
    } lines[] = {
        {"hello", "ok\":false"},
        {"", "ok\":false"},
        {"{", "ok\":false"},
        {"[]", "ok\":false"},
        {"17", "ok\":false"},
        {"null", "ok\":false"},
        {"\"status\"", "ok\":false"},
        {"{}", "command"},
        {"{\"command\": 5}", "command"},
        {"{\"command\": \"reboot\"}", "reboot"},
        {"{\"command\": \"status\", \"verbose\": true}", "verbose"},
        {"{\"command\": \"status\", \"command\": \"stop\"}", "ok\":false"},
        {"{\"command\": \"stats\", \"per_worker\": 1}", "per_worker"},
        {"{\"command\": \"zone\"}", "name"},
        {"{\"command\": \"zone\", \"name\": []}", "ok\":false"},
        {"{\"command\": \"zone\", \"name\": \"\\u0000\"}", "ok\":false"},
        {"{\"command\": \"reload\", \"zones\": \"example.test\"}", "zones"},
        {"{\"command\": \"reload\", \"zones\": [1]}", "ok\":false"},
        {"{\"command\": \"log\", \"level\": 3}", "level"},
        {"{\"command\": \"status\"} {\"command\": \"stop\"}", "ok\":false"},
        {"\xff\xfe\xfd", "ok\":false"},
        {"{\"command\": \"sta\xfftus\"}", "ok\":false"},
        {"{\"command\": \"status\"}\r", "ok\":true"},
    };
    int fd = control_connect();
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        send_text(fd, lines[i].line);
        send_text(fd, "\n");
        const char *answer = line_from(fd);
        ck_assert_msg(strstr(answer, lines[i].error) != NULL, "%s: %s", lines[i].line, answer);
        json_t *value = json_loads(answer, 0, NULL);
        ck_assert_msg(value != NULL, "%s: no JSON: %s", lines[i].line, answer);
        json_decref(value);
    }
    /* NULs, and a nesting that would fill a stack. */
    send_all(fd, "\0\0\0\n", 4);
    ck_contains(line_from(fd), "ok\":false");
    static char deep[60001];
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = '\n';
    send_all(fd, deep, sizeof deep);
    ck_contains(line_from(fd), "ok\":false");
    send_text(fd, "{\"command\": \"status\"}\n");
    ck_contains(line_from(fd), "ok\":true");
    close(fd);
    example_served();
}
END_TEST

START_TEST(junk_without_end)
{
    static char much[65537];
    memset(much, 'x', sizeof much);
    int fd = control_connect();
    send_all(fd, much, sizeof much);
    ck_contains(line_from(fd), "64 KiB");
    ck_assert(tcp_ends(fd, harness_patience_ms()));
    close(fd);
    /* A line that just ends, and one that is cut by the end. */
    fd = control_connect();
    send_text(fd, "{\"command\": \"sta");
    close(fd);
    fd = control_connect();
    send_text(fd, "{\"command\": \"status\"}\n{\"comm");
    shutdown(fd, SHUT_WR);
    ck_contains(line_from(fd), "ok\":true");
    ck_assert(tcp_ends(fd, harness_patience_ms()));
    close(fd);
    example_served();
}
END_TEST

/* Many commands at once are answered in order; who does not read is not answered, and no harm. */
START_TEST(many_commands)
{
    enum { COMMANDS = 500 };
    static const char two[] =
        "{\"command\": \"status\"}\n{\"command\": \"zone\", \"name\": \"x\"}\n";
    int fd = control_connect(), deaf = control_connect();
    for (unsigned i = 0; i < COMMANDS; i++) {
        send_all(fd, two, sizeof two - 1);
    }
    for (unsigned i = 0; i < COMMANDS; i++) {
        ck_contains(line_from(fd), "ok\":true");
        ck_contains(line_from(fd), "ok\":false");
    }
    close(fd);
    static const char stats[] = "{\"command\": \"stats\", \"per_worker\": true}\n";
    size_t sent = 0;
    struct pollfd room = {.fd = deaf, .events = POLLOUT};
    while (sent < (8u << 20) && poll(&room, 1, 200 * (int)harness_slow()) > 0) {
        ssize_t got = send(deaf, stats, sizeof stats - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += got > 0 ? (size_t)got : 0;
    }
    ck_assert_uint_lt(sent, 8u << 20);
    uint64_t busy = daemon_cpu_ms(&server);
    pause_ms(1000);
    ck_assert_msg(daemon_cpu_ms(&server) - busy < 300, "the server turns in circles");
    ck_assert_int_eq(rrdnsctl(&server, "status").status, 0);
    example_served();
    close(deaf);
}
END_TEST

START_TEST(many_connections)
{
    enum { CONNECTIONS = 100 };
    int fd[CONNECTIONS];
    unsigned descriptors = daemon_descriptors(&server);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        static const char line[] = "{\"command\": \"status\"}\n";
        fd[i] = control_connect();
        /* One too many may be told so, and hung up on, before this comes. */
        (void)send(fd[i], line, sizeof line - 1, MSG_NOSIGNAL);
    }
    unsigned served = 0, refused = 0;
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        const char *answer = line_from(fd[i]);
        served += strstr(answer, "\"running\"") != NULL;
        refused += strstr(answer, "too many") != NULL;
    }
    ck_assert_uint_ge(served, 50);
    ck_assert_uint_eq(served + refused, CONNECTIONS);
    for (unsigned i = 0; i < CONNECTIONS; i++) {
        close(fd[i]);
    }
    uint64_t last = clock_ms() + (uint64_t)harness_patience_ms();
    while (daemon_descriptors(&server) != descriptors) {
        ck_assert_uint_lt(clock_ms(), last);
        pause_ms(5);
    }
    ck_assert_int_eq(rrdnsctl(&server, "status").status, 0);
}
END_TEST

/* ---- Who may ---- */

START_TEST(permissions)
{
    struct stat st;
    ck_assert_int_eq(stat(server.socket, &st), 0);
    ck_assert(S_ISSOCK(st.st_mode));
    ck_assert_uint_eq(st.st_mode & 07777, 0660);
    if (geteuid() != 0) {
        return;
    }
    ck_assert_int_eq(status_as(0, 0), AS_USER_ANSWERED);
    ck_assert_int_eq(status_as(NOBODY, NOBODY), AS_USER_FORBIDDEN);
    ck_assert_int_eq(status_as(NOBODY, 0), AS_USER_ANSWERED); /* in the server's group */
    /* The mode may be changed by hand: the kernel's word on who asks stays. */
    ck_assert_int_eq(chmod(server.socket, 0666), 0);
    ck_assert_int_eq(status_as(NOBODY, NOBODY), AS_USER_REFUSED);
    ck_assert_int_eq(status_as(NOBODY, 0), AS_USER_ANSWERED);
}
END_TEST

static Suite *controls(void)
{
    const TTest *const tests[] = {
        status_told,      all_counters,  stats_of_dig, stats_of_drill,   stats_of_rare_things,
        stats_per_worker, list_of_zones, one_zone,     log_level,        stop,
        wrong_usage,      no_server,     junk,         junk_without_end, many_commands,
        many_connections, permissions,   NULL};
    return example_suite("control", tests);
}

int main(void)
{
    return harness_main("control", controls);
}

/*
 * The control protocol: what each command answers, and that no peer, however it behaves, stops
 * others from being answered.
 */
#include "control_aid.h"

#include <grp.h>
#include <sys/wait.h>

#include "base/log.h"
#include "unit.h"

/* ---- Commands ---- */

START_TEST(status_tells_all)
{
    aid.zones = 5;
    aid_start();
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"status\"}");
    const json_t *result = result_of(answer);
    ck_assert_str_eq(string_at(result, "status"), "running");
    ck_assert_int_eq(number_at(result, "pid"), getpid());
    ck_assert_int_eq(number_at(result, "workers"), AID_WORKERS);
    ck_assert_int_eq(number_at(result, "zones"), 5);
    ck_assert_int_eq(number_at(result, "zones_serving"), 4);
    ck_assert_int_eq(number_at(result, "routes"), 0);
    ck_assert_int_eq(number_at(result, "generation"), 7);
    ck_assert_int_lt(number_at(result, "uptime"), 100);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(result, "listen"), 0)),
                     "127.0.0.1:5300");
    ck_assert_uint_gt(strlen(string_at(result, "version")), 0);
    json_decref(answer);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(stats_sum_and_label)
{
    aid_start();
    counter_add(&aid.counters[0], COUNTER_queries_udp4, 3);
    counter_add(&aid.counters[1], COUNTER_queries_udp4, 4);
    counter_add(&aid.counters[0], COUNTER_qtype + 28, 5);
    counter_add(&aid.counters[0], COUNTER_qtype_last, 1);
    counter_add(&aid.counters[1], COUNTER_rcode + 3, 2);
    counter_add(&aid.counters[1], COUNTER_tcp_accepted, 9);
    counter_add(&aid.counters[1], COUNTER_tcp_closed, 6);
    counter_add(&aid.counters[AID_WORKERS], COUNTER_reloads_ok, 8);
    counter_add(&aid.counters[0], COUNTER_latency + 10, 98); /* 512 to 1024 ns */
    counter_add(&aid.counters[0], COUNTER_latency + 20, 2);
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"stats\",\"per_worker\":true}");
    json_t *result = result_of(answer);
    json_t *counters = json_object_get(result, "counters");
    ck_assert_uint_eq(json_object_size(counters), counter_infos_count);
    ck_assert_int_eq(number_at(counters, "queries_udp4"), 7);
    ck_assert_int_eq(number_at(counters, "queries_tcp6"), 0);
    ck_assert_int_eq(number_at(counters, "reloads_ok"), 8);
    ck_assert_int_eq(number_at(counters, "control_commands"), 1);
    const json_t *qtype = json_object_get(counters, "qtype");
    ck_assert_uint_eq(json_object_size(qtype), 2);
    ck_assert_int_eq(number_at(qtype, "AAAA"), 5);
    ck_assert_int_eq(number_at(qtype, "other"), 1);
    ck_assert_int_eq(number_at(json_object_get(counters, "rcode"), "NXDOMAIN"), 2);
    ck_assert_int_eq(number_at(json_object_get(counters, "latency"), "1024"), 98);
    const json_t *gauges = json_object_get(result, "gauges");
    ck_assert_int_eq(number_at(gauges, "tcp_open"), 3);
    ck_assert_int_ge(number_at(gauges, "latency_p50_ns"), 700);
    ck_assert_int_le(number_at(gauges, "latency_p50_ns"), 800);
    ck_assert_int_le(number_at(gauges, "latency_p90_ns"), 1024);
    ck_assert_int_gt(number_at(gauges, "latency_p99_ns"), 500000);
    const json_t *workers = json_object_get(result, "per_worker");
    ck_assert_uint_eq(json_array_size(workers), AID_WORKERS);
    const json_t *second = json_object_get(json_array_get(workers, 1), "counters");
    ck_assert_int_eq(number_at(second, "queries_udp4"), 4);
    json_decref(answer);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(zone_by_name)
{
    aid.zones = 3;
    aid_start();
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"zone\",\"name\":\"Z000002.EXAMPLE.\"}");
    const json_t *zone = result_of(answer);
    ck_assert_str_eq(string_at(zone, "name"), "z000002.example");
    ck_assert_str_eq(string_at(zone, "file"), "/zones/z000002.example.zone");
    ck_assert_str_eq(string_at(zone, "loaded_at"), "2023-11-14T22:13:20Z");
    ck_assert_int_eq(number_at(zone, "loaded_at_epoch"), 1700000000);
    ck_assert_int_eq(number_at(zone, "serial"), 102);
    ck_assert_int_eq(number_at(zone, "records"), 5);
    ck_assert_int_eq(number_at(zone, "names"), 3);
    ck_assert_int_eq(number_at(zone, "bytes"), 4096);
    ck_assert_int_eq(number_at(zone, "queries"), 2); /* what the slot counted before is not its */
    ck_assert_int_eq(number_at(zone, "nxdomain"), 2);
    ck_assert_int_eq(number_at(zone, "bytes_sent"), 3000);
    ck_assert(json_is_true(json_object_get(zone, "serving")));
    ck_assert(json_is_false(json_object_get(zone, "signed")));
    ck_assert(json_is_null(json_object_get(zone, "last_error")));
    json_decref(answer);

    answer = client_ask(&client, "{\"command\":\"zone\",\"name\":\"z000001.example\"}");
    zone = result_of(answer);
    ck_assert(json_is_false(json_object_get(zone, "serving")));
    ck_assert(json_is_null(json_object_get(zone, "serial")));
    ck_assert_str_eq(string_at(zone, "last_error"), "z.zone:3: caf? is no address");
    json_decref(answer);

    ask_refused(&client, "{\"command\":\"zone\",\"name\":\"nope.example\"}",
                "zone \"nope.example\" is not configured");
    ask_refused(&client, "{\"command\":\"zone\",\"name\":\"a..b\"}", "not a domain name");
    ask_refused(&client, "{\"command\":\"zone\"}", "\"name\" is missing");
    client_close(&client);
    aid_stop();
}
END_TEST

/* Counts the zones of a list and checks that they come in order, each once. */
static void check_list(json_t *answer, size_t count)
{
    const json_t *zones = json_object_get(result_of(answer), "zones");
    ck_assert_uint_eq(json_array_size(zones), count);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        snprintf(name, sizeof name, "z%06zu.example", i);
        ck_assert_str_eq(string_at(json_array_get(zones, i), "name"), name);
    }
    json_decref(answer);
}

START_TEST(zones_in_pieces)
{
    static const size_t counts[] = {0, 1, 255, 256, 257, 512, 5000};
    aid_start();
    struct client client = client_connect();
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        aid.zones = counts[i]; /* nothing is asked now, so nobody reads it */
        check_list(client_ask(&client, "{\"command\":\"zones\"}"), counts[i]);
    }
    client_close(&client);
    aid_stop();
}
END_TEST

static size_t resident_kib(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(file, "%*u %zu", &pages), 1);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE) / 1024;
}

START_TEST(who_does_not_read_costs_nothing)
{
    aid.zones = 40000;
    aid_start();
    struct client sleeper = client_connect(), other = client_connect();
    size_t before = resident_kib();
    for (int i = 0; i < 20; i++) {
        client_say(&sleeper, "{\"command\":\"zones\"}"); /* 12 MB each */
    }
    for (int i = 0; i < 50; i++) {
        json_decref(client_ask(&other, "{\"command\":\"status\"}"));
    }
    ck_assert_uint_lt(resident_kib() - before, 20000 * UNIT_SLOWER);
    check_list(client_answer(&sleeper), aid.zones);
    client_close(&sleeper);
    client_close(&other);
    aid_stop();
}
END_TEST

START_TEST(log_level_changes)
{
    aid_start();
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"log\",\"level\":\"debug\"}");
    ck_assert_str_eq(string_at(result_of(answer), "level"), "debug");
    ck_assert_int_eq((int)log_get_level(), (int)LOG_LEVEL_DEBUG);
    json_decref(answer);
    ask_refused(&client, "{\"command\":\"log\",\"level\":\"loud\"}", "error, warning, info, debug");
    ask_refused(&client, "{\"command\":\"log\"}", "error, warning, info, debug");
    client_close(&client);
    aid_stop();
}
END_TEST

/* ---- Reloads ---- */

static void add_result(struct loader_result *result, const char *name, enum loader_outcome outcome)
{
    result->zones = realloc(result->zones, (result->count + 1) * sizeof *result->zones);
    struct loader_zone_result *zone = &result->zones[result->count++];
    *zone = (struct loader_zone_result){.outcome = outcome, .serial = 9, .records = 4};
    static uint8_t names[2][NAME_MAX_OCTETS];
    uint8_t *wire = names[result->count % 2];
    ck_assert_int_eq(name_from_text(name, strlen(name), NULL, wire), 0);
    zone->name = wire;
    if (outcome == LOADER_FAILED) {
        result->failed++;
        for (size_t line = 1; line <= 150; line++) {
            diag_fault(&zone->diag, "bad.zone", line, "no good \"\x01\xff\"");
        }
    } else {
        result->loaded++;
        diag_warn(&zone->diag, "good.zone", 7, "not so good");
    }
}

START_TEST(reload_tells_each_zone)
{
    add_result(&aid.reload, "bad.example", LOADER_FAILED);
    add_result(&aid.reload, "good.example", LOADER_LOADED);
    aid.reload.unchanged = 17;
    aid_start();
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"reload\"}");
    const json_t *result = result_of(answer);
    ck_assert_int_eq(number_at(result, "loaded"), 1);
    ck_assert_int_eq(number_at(result, "unchanged"), 17);
    ck_assert_int_eq(number_at(result, "failed"), 1);
    ck_assert_str_eq(string_at(result, "restart_needed_for"), "server.user");
    const json_t *zones = json_object_get(result, "zones");
    ck_assert_uint_eq(json_array_size(zones), 2);
    const json_t *bad = json_array_get(zones, 0), *good = json_array_get(zones, 1);
    ck_assert_str_eq(string_at(bad, "name"), "bad.example");
    ck_assert_str_eq(string_at(bad, "outcome"), "failed");
    const json_t *faults = json_object_get(bad, "faults");
    ck_assert_uint_eq(json_array_size(faults), 100);
    ck_assert_int_eq(number_at(bad, "more_faults"), 50);
    ck_assert_str_eq(json_string_value(json_array_get(faults, 0)), "bad.zone:1: no good \"\x01?\"");
    ck_assert_str_eq(string_at(good, "outcome"), "loaded");
    ck_assert_int_eq(number_at(good, "serial"), 9);
    ck_assert_ptr_null(json_object_get(good, "faults"));
    ck_assert_uint_eq(json_array_size(json_object_get(good, "warnings")), 1);
    json_decref(answer);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(reload_of_a_bad_configuration)
{
    aid.reload_error = RR_EINVAL;
    diag_fault(&aid.reload_diag, "rrdns.json", 4, "zones[0].nam: unknown key");
    aid_start();
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"reload\"}");
    ck_assert(json_is_false(json_object_get(answer, "ok")));
    ck_assert_ptr_nonnull(strstr(string_at(answer, "error"), "configuration is refused"));
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(answer, "faults"), 0)),
                     "rrdns.json:4: zones[0].nam: unknown key");
    json_decref(answer);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(reload_by_name)
{
    aid.zones = 3;
    aid_start();
    struct client client = client_connect();
    ask_refused(&client, "{\"command\":\"reload\",\"zones\":[\"z000001.example\",\"nope\"]}",
                "\"nope\" is not configured");
    ask_refused(&client, "{\"command\":\"reload\",\"zones\":[]}", "list of names");
    ask_refused(&client, "{\"command\":\"reload\",\"zones\":\"z000001.example\"}", "list of names");
    ask_refused(&client, "{\"command\":\"reload\",\"zones\":[1]}", "is to be a string");
    ask_refused(&client, "{\"command\":\"reload\",\"zones\":[\"..\"]}", "not a domain name");
    json_decref(client_ask(&client, "{\"command\":\"reload\",\"zones\":[\"z000001.example.\"]}"));
    ck_assert_uint_eq(aid.reloads, 1);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(others_are_answered_while_a_reload_runs)
{
    aid.reload_ms = 1000;
    aid_start();
    struct client waiting = client_connect(), other = client_connect();
    uint64_t asked = clock_now_ns();
    client_say(&waiting, "{\"command\":\"reload\"}");
    client_say(&waiting, "{\"command\":\"log\",\"level\":\"info\"}");
    json_t *answer = client_ask(&other, "{\"command\":\"status\"}");
    ck_assert_int_eq(recv(waiting.fd, (char[1]){0}, 1, MSG_DONTWAIT | MSG_PEEK), -1);
    json_decref(answer);
    answer = client_answer(&waiting);
    ck_assert_uint_ge((clock_now_ns() - asked) / 1000000, 990);
    number_at(result_of(answer), "unchanged"); /* the reload's answer comes before the log's */
    json_decref(answer);
    answer = client_answer(&waiting);
    ck_assert_str_eq(string_at(result_of(answer), "level"), "info");
    json_decref(answer);
    client_close(&waiting);
    client_close(&other);
    aid_stop();
}
END_TEST

START_TEST(who_asked_for_a_reload_may_go)
{
    aid.reload_ms = 100;
    aid_start();
    struct client gone = client_connect(), other = client_connect();
    client_say(&gone, "{\"command\":\"reload\"}");
    client_close(&gone);
    client_say(&other, "{\"command\":\"reload\"}");
    json_decref(client_answer(&other));
    client_close(&other);
    aid_stop();
}
END_TEST

/* ---- Peers of all kinds ---- */

START_TEST(faults_are_named)
{
    static const struct {
        const char *line, *why;
    } cases[] = {
        {"", "not JSON"},
        {"hello", "not JSON"},
        {"{\"command\":\"status\"", "not JSON"},
        {"{\"command\":\"status\",\"command\":\"stop\"}", "duplicate"},
        {"{\"command\":\"sta\\u0000tus\"}", "not JSON"},
        {"{\"command\":\"\xff\"}", "not JSON"},
        {"[\"status\"]", "not a JSON object"},
        {"{}", "\"command\" is missing"},
        {"{\"command\":7}", "\"command\" is missing"},
        {"{\"command\":\"dance\"}", "unknown command \"dance\""},
        {"{\"command\":\"status\",\"color\":1}", "unknown field \"color\""},
        {"{\"command\":\"stats\",\"name\":\"x\"}", "unknown field \"name\""},
        {"{\"command\":\"stats\",\"per_worker\":1}", "true or false"},
        {"{\"command\":\"cache\",\"action\":\"drop\"}", "\"action\" is to be \"flush\""},
        {"{\"command\":\"cache\",\"action\":1}", "\"action\" is to be \"flush\""},
        {"{\"command\":\"cache\",\"name\":\"a\"}", "\"action\" is to be \"flush\""},
        {"{\"command\":\"cache\",\"action\":\"flush\",\"name\":1}", "to be a string"},
        {"{\"command\":\"cache\",\"action\":\"flush\",\"name\":\"a..b\"}",
         "\"a..b\" is not a domain name"},
        {"{\"command\":\"cache\",\"zone\":\"a\"}", "unknown field \"zone\""},
        {"{\"command\":\"upstreams\",\"name\":\"a\"}", "unknown field \"name\""},
    };
    aid_start();
    struct client client = client_connect();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask_refused(&client, cases[i].line, cases[i].why);
    }
    json_decref(client_ask(&client, "{\"command\":\"status\"}\r"));
    client_close(&client);
    aid_stop();
}
END_TEST

/* A status request of exactly this many octets. */
static char *long_request(size_t size)
{
    static const char start[] = "{\"command\":\"status\"";
    char *line = malloc(size + 1);
    memset(line, ' ', size);
    memcpy(line, start, sizeof start - 1);
    line[size - 1] = '}';
    line[size] = '\0';
    return line;
}

START_TEST(long_lines)
{
    aid_start();
    struct client client = client_connect();
    char *line = long_request(65536);
    json_t *answer = client_ask(&client, line);
    result_of(answer);
    json_decref(answer);
    free(line);

    client_close(&client);

    for (size_t size = 65537; size < 300000; size += 50000) {
        client = client_connect();
        line = long_request(size);
        /* The server may hang up before it has all of it. */
        send(client.fd, line, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        send(client.fd, "\n", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        answer = client_answer(&client);
        ck_assert_ptr_nonnull(strstr(string_at(answer, "error"), "longer than 64 KiB"));
        json_decref(answer);
        ck_assert_ptr_null(client_line(&client));
        client_close(&client);
        free(line);
    }
    aid_stop();
}
END_TEST

static void *say_thousand(void *context)
{
    static const char *const lines[] = {"{\"command\":\"status\"}\n{\"comm",
                                        "and\":\"log\",\"level\":\"info\"}\n"};
    struct client *client = context;
    for (int i = 0; i < 2000; i++) {
        client_send(client, lines[i % 2], strlen(lines[i % 2]));
    }
    shutdown(client->fd, SHUT_WR);
    return NULL;
}

START_TEST(pipelined_commands_are_answered_in_order)
{
    aid_start();
    struct client client = client_connect();
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, say_thousand, &client), 0);
    for (int i = 0; i < 2000; i++) {
        json_t *answer = client_answer(&client);
        string_at(result_of(answer), i % 2 == 0 ? "status" : "level");
        json_decref(answer);
    }
    ck_assert_ptr_null(client_line(&client));
    pthread_join(thread, NULL);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(half_closed_after_a_reload)
{
    aid.reload_ms = 50;
    aid_start();
    struct client client = client_connect();
    client_say(&client, "{\"command\":\"reload\"}");
    client_say(&client, "{\"command\":\"status\"}");
    client_send(&client, "{\"comm", 7); /* never finished, never run */
    shutdown(client.fd, SHUT_WR);
    for (int i = 0; i < 2; i++) {
        json_t *answer = client_answer(&client);
        result_of(answer);
        json_decref(answer);
    }
    ck_assert_ptr_null(client_line(&client));
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(garbage)
{
    aid_start();
    struct rng rng = rng_start();
    for (int round = 0; round < 300 / UNIT_SLOWER; round++) {
        struct client client = client_connect();
        uint8_t data[400];
        size_t size = rng_below(&rng, sizeof data), lines = 0;
        rng_fill(&rng, data, size);
        for (size_t i = 0; i < size; i++) {
            data[i] = rng_once_in(&rng, 20) ? '\n' : data[i];
            lines += data[i] == '\n';
        }
        client_send(&client, (const char *)data, size);
        shutdown(client.fd, SHUT_WR);
        for (size_t i = 0; i < lines; i++) {
            json_t *answer = client_answer(&client);
            ck_assert(json_is_false(json_object_get(answer, "ok")));
            json_decref(answer);
        }
        ck_assert_ptr_null(client_line(&client));
        client_close(&client);
    }
    aid_stop();
}
END_TEST

START_TEST(connections_are_bounded)
{
    enum { MOST = 64 };
    struct client clients[MOST + 1];
    aid_start();
    for (int i = 0; i < MOST; i++) {
        clients[i] = client_connect();
        json_decref(client_ask(&clients[i], "{\"command\":\"status\"}"));
    }
    clients[MOST] = client_connect();
    json_t *answer = client_answer(&clients[MOST]);
    ck_assert_str_eq(string_at(answer, "error"), "too many control connections");
    json_decref(answer);
    ck_assert_ptr_null(client_line(&clients[MOST]));
    client_close(&clients[MOST]);
    client_close(&clients[0]);
    usleep(100000);
    clients[0] = client_connect();
    json_decref(client_ask(&clients[0], "{\"command\":\"status\"}"));
    for (int i = 0; i < MOST; i++) {
        client_close(&clients[i]);
    }
    aid_stop();
}
END_TEST

/* ---- Who may ---- */

enum { NOBODY = 65534 };

/* Connects as another user; returns 0 where it is served, 1 where refused, 2 for anything else. */
static int ask_as(uid_t user, gid_t group, const gid_t *groups, size_t count)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(count, groups) != 0 || setgid(group) != 0 || setuid(user) != 0) {
            _exit(2);
        }
        struct client client = client_connect();
        char *line = client_line(&client);
        _exit(line != NULL && strstr(line, "not permitted") != NULL ? 1 : 2);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

/* As before, for one that is to be let in. */
static int served_as(uid_t user, gid_t group, const gid_t *groups, size_t count)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(count, groups) != 0 || setgid(group) != 0 || setuid(user) != 0) {
            _exit(2);
        }
        struct client client = client_connect();
        client_say(&client, "{\"command\":\"status\"}");
        char *line = client_line(&client);
        _exit(line != NULL && strstr(line, "running") != NULL ? 0 : 2);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    return WEXITSTATUS(status);
}

START_TEST(others_are_refused)
{
    if (geteuid() != 0) {
        return; /* needs root to become others */
    }
    aid_start();
    /* With the mode as it is, others do not even reach it; with a wrong one they are refused. */
    ck_assert_int_eq(chmod(aid.directory, 0755), 0);
    ck_assert_int_eq(chmod(aid.socket, 0666), 0);
    const gid_t server = getegid(), other = NOBODY;
    ck_assert_int_eq(ask_as(NOBODY, NOBODY, &other, 1), 1);
    ck_assert_int_eq(ask_as(NOBODY, NOBODY, NULL, 0), 1);
    ck_assert_int_eq(served_as(NOBODY, server, NULL, 0), 0);
    ck_assert_int_eq(served_as(NOBODY, NOBODY, &server, 1), 0);
    aid_stop();
}
END_TEST

/* ---- The socket file ---- */

static int try_open(const char *path, char *why, size_t size)
{
    struct control *control = NULL;
    struct diag diag = {0};
    int error = control_open(&aid.server, path, (uid_t)-1, (gid_t)-1, &control, &diag);
    const char *fault = diag_first_fault(&diag);
    snprintf(why, size, "%s", fault != NULL ? fault : "");
    diag_clear(&diag);
    control_close(control);
    return error;
}

START_TEST(socket_files)
{
    char why[512];
    struct stat status;
    aid_start();
    ck_assert_int_eq(stat(aid.socket, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07777, 0660);

    ck_assert_int_eq(try_open(aid.socket, why, sizeof why), RR_EEXIST);
    ck_assert_ptr_nonnull(strstr(why, "another server listens there"));
    ck_assert_int_eq(stat(aid.socket, &status), 0);

    char path[256];
    snprintf(path, sizeof path, "%s/file", aid.directory);
    fclose(fopen(path, "w"));
    ck_assert_int_eq(try_open(path, why, sizeof why), RR_EINVAL);
    ck_assert_ptr_nonnull(strstr(why, "is no socket"));
    unlink(path);

    /* What a dead server leaves: bound, and nobody listens. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    ck_assert_int_eq(try_open(path, why, sizeof why), RR_OK);
    ck_assert_int_ne(stat(path, &status), 0);

    snprintf(path, sizeof path, "%s/new/socket", aid.directory);
    ck_assert_int_eq(try_open(path, why, sizeof why), RR_OK);
    snprintf(path, sizeof path, "%s/new", aid.directory);
    ck_assert_int_eq(rmdir(path), 0);
    snprintf(path, sizeof path, "%s/no/where/socket", aid.directory);
    ck_assert_int_eq(try_open(path, why, sizeof why), RR_EIO);
    ck_assert_ptr_nonnull(strstr(why, "No such file"));
    aid_stop();
    ck_assert_int_ne(stat(aid.socket, &status), 0);
}
END_TEST

START_TEST(stop_is_answered)
{
    aid_start();
    struct client client = client_connect();
    client_say(&client, "{\"command\":\"stop\"}");
    aid_end(); /* the loop ended before it could write */
    json_t *answer = client_answer(&client);
    ck_assert(json_is_true(json_object_get(result_of(answer), "stopping")));
    json_decref(answer);
    ck_assert_ptr_null(client_line(&client));
    client_close(&client);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("control");
    tcase_add_test(unit.tests, status_tells_all);
    tcase_add_test(unit.tests, stats_sum_and_label);
    tcase_add_test(unit.tests, zone_by_name);
    tcase_add_test(unit.tests, zones_in_pieces);
    tcase_add_test(unit.tests, who_does_not_read_costs_nothing);
    tcase_add_test(unit.tests, log_level_changes);
    tcase_add_test(unit.tests, reload_tells_each_zone);
    tcase_add_test(unit.tests, reload_of_a_bad_configuration);
    tcase_add_test(unit.tests, reload_by_name);
    tcase_add_test(unit.tests, others_are_answered_while_a_reload_runs);
    tcase_add_test(unit.tests, who_asked_for_a_reload_may_go);
    tcase_add_test(unit.tests, faults_are_named);
    tcase_add_test(unit.tests, long_lines);
    tcase_add_test(unit.tests, pipelined_commands_are_answered_in_order);
    tcase_add_test(unit.tests, half_closed_after_a_reload);
    tcase_add_test(unit.tests, garbage);
    tcase_add_test(unit.tests, connections_are_bounded);
    tcase_add_test(unit.tests, others_are_refused);
    tcase_add_test(unit.tests, socket_files);
    tcase_add_test(unit.tests, stop_is_answered);
    return unit_end(&unit);
}

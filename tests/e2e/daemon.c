/*
 * Ready is what INTERFACE says it is: `status` on the control socket answers "running". Nothing
 * here sleeps for a fixed time and hopes.
 */
#include "daemon.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "transport.h"

enum {
    ARGUMENTS_MAX = 32,
    START_TRIES = 5, /* another program may take the port between our look and the start */
    ANSWER_ROOM = 16 << 20,
};

struct daemon server = {.control = -1};

/* ---- Its directory ---- */

static void merge(json_t *onto, json_t *more)
{
    const char *key;
    json_t *value;
    json_object_foreach (more, key, value) {
        json_t *old = json_object_get(onto, key);
        if (json_is_object(old) && json_is_object(value)) {
            merge(old, value);
        } else {
            json_object_set(onto, key, value);
        }
    }
}

void daemon_configure(struct daemon *daemon, const char *more)
{
    json_t *config = json_pack("{s:{s:[s],s:i}, s:{s:s}, s:s}", "server", "listen",
                               format_text("127.0.0.1:%u", daemon->port), "workers", 2, "control",
                               "socket", daemon->socket, "zone_directory", "zones");
    ck_assert_ptr_nonnull(config);
    if (have_ipv6()) {
        json_array_append_new(json_object_get(json_object_get(config, "server"), "listen"),
                              json_string(format_text("[::1]:%u", daemon->port)));
    }
    if (more != NULL) {
        json_error_t error;
        json_t *object = json_loads(more, JSON_REJECT_DUPLICATES, &error);
        ck_assert_msg(object != NULL, "configuration of a test: %s: %s", error.text, more);
        merge(config, object);
        json_decref(object);
    }
    char *text = json_dumps(config, JSON_INDENT(4));
    json_decref(config);
    ck_assert_ptr_nonnull(text);
    file_replace(daemon->config, text);
    free(text);
}

void daemon_prepare(struct daemon *daemon, const char *name, const char *more)
{
    *daemon = (struct daemon){.control = -1, .port = free_port()};
    snprintf(daemon->dir, sizeof daemon->dir, "%s", harness_path("%s", name));
    snprintf(daemon->config, sizeof daemon->config, "%s/rrdns.json", daemon->dir);
    snprintf(daemon->socket, sizeof daemon->socket, "%s/control", daemon->dir);
    snprintf(daemon->log, sizeof daemon->log, "%s/log", daemon->dir);
    dir_make(daemon->dir);
    dir_make(format_text("%s/zones", daemon->dir));
    daemon_configure(daemon, more);
}

const char *daemon_zone_path(const struct daemon *daemon, const char *name)
{
    return format_text("%s/zones/%s.zone", daemon->dir, name);
}

void daemon_zone(const struct daemon *daemon, const char *name, const char *text)
{
    file_replace(daemon_zone_path(daemon, name), text);
}

/* ---- Start and end ---- */

/* What the sanitizers print; ours has nothing like it. */
static const char *const reports[] = {"AddressSanitizer", "LeakSanitizer",
                                      "ThreadSanitizer",  "UndefinedBehaviorSanitizer",
                                      "runtime error:",   "Assertion `"};

static void check_log(const struct daemon *daemon)
{
    const char *log = daemon_log(daemon);
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        const char *at = strstr(log, reports[i]);
        ck_assert_msg(at == NULL, "the server's log has a report:\n%s", log);
    }
}

static void close_control(struct daemon *daemon)
{
    if (daemon->control >= 0) {
        close(daemon->control);
        daemon->control = -1;
    }
}

static bool is_running(struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(daemon->socket), sizeof address.sun_path);
    strcpy(address.sun_path, daemon->socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return false;
    }
    close_control(daemon);
    daemon->control = fd;
    /* Accepted by the kernel, the question waits until all zones are loaded. */
    json_t *answer = control_line(daemon, "{\"command\": \"status\"}", 3 * harness_patience_ms());
    bool running = strcmp(json_at(answer, "result.status"), "running") == 0;
    json_decref(answer);
    return running;
}

/* Waits until it serves. False where it ended instead, because its port is taken. */
static bool await_ready(struct daemon *daemon, size_t log_start)
{
    uint64_t end = clock_ms() + 3u * (uint64_t)harness_patience_ms();
    while (!is_running(daemon)) {
        int status;
        if (child_wait(daemon->pid, 2, &status)) {
            daemon->pid = 0;
            const char *log = daemon_log(daemon) + log_start;
            if (strstr(log, "Address already in use") != NULL) {
                return false;
            }
            ck_abort_msg("rrdnsd ended at its start, status %x:\n%s", (unsigned)status, log);
        }
        if (clock_ms() >= end) {
            daemon_kill(daemon);
            ck_abort_msg("rrdnsd is not ready in time:\n%s", daemon_log(daemon) + log_start);
        }
    }
    return true;
}

static void launch(struct daemon *daemon, const char *const *arguments)
{
    static char program[PATH_MAX];
    const char *argv[ARGUMENTS_MAX] = {program};
    snprintf(program, sizeof program, "%s/rrdnsd", harness_build());
    for (size_t i = 0; arguments[i] != NULL; i++) {
        ck_assert_uint_lt(i + 2, ARGUMENTS_MAX);
        argv[i + 1] = arguments[i];
    }
    ck_assert_msg(daemon->pid == 0, "it runs already");
    daemon->pid = child_start(argv, daemon->log);
}

void daemon_start_with(struct daemon *daemon, const char *const *arguments)
{
    size_t start = daemon_log_size(daemon);
    launch(daemon, arguments);
    bool ready = await_ready(daemon, start);
    ck_assert_msg(ready, "the port is taken:\n%s", daemon_log(daemon));
}

/* The same configuration at another port. */
static void move(struct daemon *daemon)
{
    char from[16], to[16];
    uint16_t port = free_port();
    snprintf(from, sizeof from, ":%u\"", daemon->port);
    snprintf(to, sizeof to, ":%u\"", port);
    char *text = file_read(daemon->config);
    FILE *out = fopen(daemon->config, "we");
    ck_assert_ptr_nonnull(out);
    const char *rest = text;
    for (const char *at; (at = strstr(rest, from)) != NULL; rest = at + strlen(from)) {
        fprintf(out, "%.*s%s", (int)(at - rest), rest, to);
    }
    fputs(rest, out);
    fclose(out);
    free(text);
    daemon->port = port;
}

void daemon_start(struct daemon *daemon)
{
    const char *arguments[] = {"-c", daemon->config, NULL};
    for (unsigned tries = 0; tries < START_TRIES; tries++) {
        size_t start = daemon_log_size(daemon);
        launch(daemon, arguments);
        if (await_ready(daemon, start)) {
            return;
        }
        move(daemon);
    }
    ck_abort_msg("no port to be had:\n%s", daemon_log(daemon));
}

void daemon_ended(struct daemon *daemon)
{
    int status = 0;
    int patience = 2 * harness_patience_ms();
    close_control(daemon);
    if (!child_wait(daemon->pid, patience, &status)) {
        daemon_kill(daemon);
        ck_abort_msg("rrdnsd did not end in time:\n%s", daemon_log(daemon));
    }
    daemon->pid = 0;
    check_log(daemon);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "rrdnsd ended with status %x:\n%s",
                  (unsigned)status, daemon_log(daemon));
    ck_assert_msg(!file_exists(daemon->socket), "the control socket's file is still there");
}

void daemon_stop(struct daemon *daemon)
{
    if (daemon->pid == 0) {
        return;
    }
    kill(daemon->pid, SIGTERM);
    daemon_ended(daemon);
}

void daemon_kill(struct daemon *daemon)
{
    close_control(daemon);
    child_kill(daemon->pid);
    daemon->pid = 0;
}

/* ---- Its log ---- */

const char *daemon_log(const struct daemon *daemon)
{
    static char *text;
    free(text);
    text = NULL;
    if (!file_exists(daemon->log)) {
        return "";
    }
    return text = file_read(daemon->log);
}

size_t daemon_log_size(const struct daemon *daemon)
{
    struct stat st;
    return stat(daemon->log, &st) == 0 ? (size_t)st.st_size : 0;
}

bool daemon_logs(const struct daemon *daemon, size_t from, const char *part)
{
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    for (;;) {
        const char *log = daemon_log(daemon);
        if (strlen(log) >= from && strstr(log + from, part) != NULL) {
            return true;
        }
        if (clock_ms() >= end) {
            return false;
        }
        pause_ms(5);
    }
}

/* ---- Seen from the system ---- */

unsigned daemon_descriptors(const struct daemon *daemon)
{
    DIR *directory = opendir(format_text("/proc/%d/fd", (int)daemon->pid));
    ck_assert_msg(directory != NULL, "/proc: %s", strerror(errno));
    unsigned count = 0;
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count - 2;
}

size_t daemon_memory(const struct daemon *daemon)
{
    char *text = file_read(format_text("/proc/%d/statm", (int)daemon->pid));
    unsigned long all = 0, resident = 0;
    int fields = sscanf(text, "%lu %lu", &all, &resident);
    free(text);
    ck_assert_int_eq(fields, 2);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

uint64_t daemon_cpu_ms(const struct daemon *daemon)
{
    char *text = file_read(format_text("/proc/%d/stat", (int)daemon->pid));
    unsigned long long user = 0, system = 0;
    const char *fields = strrchr(text, ')');
    ck_assert_ptr_nonnull(fields);
    int found = sscanf(fields + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                       &system);
    free(text);
    ck_assert_int_eq(found, 2);
    return (user + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

/* ---- Control ---- */

static void connect_control(struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    ck_assert_uint_lt(strlen(daemon->socket), sizeof address.sun_path);
    strcpy(address.sun_path, daemon->socket);
    daemon->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_msg(daemon->control >= 0 &&
                      connect(daemon->control, (struct sockaddr *)&address, sizeof address) == 0,
                  "control socket: %s", strerror(errno));
}

json_t *control_line(struct daemon *daemon, const char *line, int ms)
{
    static char answer[ANSWER_ROOM];
    size_t used = 0;
    if (daemon->control < 0) {
        connect_control(daemon);
    }
    send_text(daemon->control, line);
    send_text(daemon->control, "\n");
    uint64_t end = clock_ms() + (uint64_t)ms;
    do {
        uint64_t now = clock_ms();
        ssize_t got = receive(daemon->control, answer + used, sizeof answer - used - 1,
                              now < end ? (int)(end - now) : 0);
        if (got <= 0) {
            close_control(daemon);
            ck_abort_msg("no answer to %s: %s\nlog:\n%s", line,
                         got == 0 ? "connection closed" : strerror(errno), daemon_log(daemon));
        }
        used += (size_t)got;
    } while (answer[used - 1] != '\n');
    json_error_t error;
    json_t *value = json_loadb(answer, used, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(value != NULL, "answer to %s: %s: %.*s", line, error.text, (int)used, answer);
    return value;
}

json_t *control_result(struct daemon *daemon, const char *command_name)
{
    const char *line = format_text("{\"command\": \"%s\"}", command_name);
    json_t *answer = control_line(daemon, line, harness_patience_ms());
    ck_assert_msg(json_is_true(json_object_get(answer, "ok")), "%s: %s", command_name,
                  json_at(answer, "error"));
    json_t *result = json_incref(json_object_get(answer, "result"));
    json_decref(answer);
    return result;
}

json_t *control_reload(struct daemon *daemon, const char *names)
{
    const char *line = names == NULL
                           ? "{\"command\": \"reload\"}"
                           : format_text("{\"command\": \"reload\", \"zones\": %s}", names);
    return control_line(daemon, line, 8 * harness_patience_ms());
}

void control_reload_ok(struct daemon *daemon)
{
    json_t *answer = control_reload(daemon, NULL);
    ck_assert_msg(json_is_true(json_object_get(answer, "ok")), "reload: %s",
                  json_at(answer, "error"));
    json_decref(answer);
}

json_t *control_stats(struct daemon *daemon)
{
    return control_result(daemon, "stats");
}

int64_t counter_value(const json_t *stats, const char *path)
{
    const json_t *counters = json_object_get(stats, "counters");
    char vector[64];
    const char *dot = strchr(path, '.');
    snprintf(vector, sizeof vector, "%.*s", dot != NULL ? (int)(dot - path) : 63, path);
    const json_t *value = json_object_get(counters, vector);
    ck_assert_msg(value != NULL, "there is no counter %s", vector);
    if (dot != NULL) {
        value = json_object_get(value, dot + 1);
    }
    return value != NULL ? json_integer_value(value) : 0;
}

int64_t daemon_counter(struct daemon *daemon, const char *path)
{
    json_t *stats = control_stats(daemon);
    int64_t value = counter_value(stats, path);
    json_decref(stats);
    return value;
}

void daemon_await_counter(struct daemon *daemon, const char *path, int64_t value)
{
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    int64_t now;
    while ((now = daemon_counter(daemon, path)) != value) {
        ck_assert_msg(clock_ms() < end, "counter %s is %lld, not %lld", path, (long long)now,
                      (long long)value);
        pause_ms(2);
    }
}

struct output rrdnsctl(const struct daemon *daemon, const char *arguments)
{
    return command("%s/rrdnsctl -s %s %s", harness_build(), daemon->socket, arguments);
}

const char *json_at(const json_t *value, const char *path)
{
    static char *dumped[8];
    static unsigned next;
    char key[256];
    while (value != NULL && *path != '\0') {
        size_t size = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)size, path);
        path += size + (path[size] == '.');
        value = json_is_array(value) ? json_array_get(value, (size_t)atol(key))
                                     : json_object_get(value, key);
    }
    if (value == NULL) {
        return "(none)";
    }
    if (json_is_string(value)) {
        return json_string_value(value);
    }
    char **slot = &dumped[next++ % 8];
    free(*slot);
    *slot = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    return *slot != NULL ? *slot : "(no memory)";
}

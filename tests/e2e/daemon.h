/*
 * A real rrdnsd: its directory, its start and end, and what can be seen of it from outside.
 */
#ifndef E2E_DAEMON_H
#define E2E_DAEMON_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Everything stands in dir: zones/, rrdns.json, log, control. */
struct daemon {
    pid_t pid; /* 0: does not run */
    uint16_t port;
    char dir[PATH_MAX - 64];
    char config[PATH_MAX];
    char socket[PATH_MAX];
    char log[PATH_MAX];
    int control; /* our connection to it, or -1 */
};

/* The one that most test programs are about, one at a time. */
extern struct daemon server;

/*
 * Lays out a directory of that name in harness_dir() and a configuration: 127.0.0.1 and ::1 at a
 * free port, two workers, the control socket, zone_directory "zones". more is a JSON object that
 * is put over it (objects are merged, all else replaces), or NULL.
 */
void daemon_prepare(struct daemon *daemon, const char *name, const char *more);
/* The same configuration with other additions; takes effect at a start or reload. */
void daemon_configure(struct daemon *daemon, const char *more);

/* Writes zones/NAME.zone. */
void daemon_zone(const struct daemon *daemon, const char *name, const char *text);
const char *daemon_zone_path(const struct daemon *daemon, const char *name);

/* Starts it and waits until it is ready ("ready means ready"). */
void daemon_start(struct daemon *daemon);
/* Starts it with these arguments instead of -c (NULL-terminated, program excluded) and waits. */
void daemon_start_with(struct daemon *daemon, const char *const *arguments);

/*
 * SIGTERM; fails the test unless it ends within patience with exit status 0 and a log in which no
 * sanitizer has anything to say. Harmless where it does not run.
 */
void daemon_stop(struct daemon *daemon);
/* Waits for an end that something else brought about; the same demands. */
void daemon_ended(struct daemon *daemon);
/* SIGKILL. For fixtures of failed tests, and tests of just that. */
void daemon_kill(struct daemon *daemon);

/* The whole log so far; valid until the next call. */
const char *daemon_log(const struct daemon *daemon);
/* Waits until part stands in the log, beginning at octet `from` of it; false after patience. */
bool daemon_logs(const struct daemon *daemon, size_t from, const char *part);
size_t daemon_log_size(const struct daemon *daemon);

/* ---- Seen from the system ---- */

unsigned daemon_descriptors(const struct daemon *daemon); /* open ones */
size_t daemon_memory(const struct daemon *daemon);        /* resident, in octets */
uint64_t daemon_cpu_ms(const struct daemon *daemon);      /* of all its threads, since its start */

/* ---- Control ---- */

/*
 * One command line (a JSON object) on the kept connection and its answer, a new reference. Fails
 * the test where there is none within ms.
 */
json_t *control_line(struct daemon *daemon, const char *line, int ms);
/* {"command": COMMAND}; its "result", a new reference. Fails unless "ok". */
json_t *control_result(struct daemon *daemon, const char *command);
/* {"command": "reload"} (with names where not NULL: a JSON list): the whole answer. */
json_t *control_reload(struct daemon *daemon, const char *names);
/* The same, which must succeed. */
void control_reload_ok(struct daemon *daemon);

/* A counter now, by its path in the stats: "answers_udp", "rcode.NXDOMAIN". 0 where not there. */
int64_t counter_value(const json_t *stats, const char *path);
/* A snapshot for counter_value. New reference. */
json_t *control_stats(struct daemon *daemon);
/* One counter now. */
int64_t daemon_counter(struct daemon *daemon, const char *path);
/* Waits until the counter has that value; fails the test when it has not within patience. */
void daemon_await_counter(struct daemon *daemon, const char *path, int64_t value);

/* rrdnsctl on this server: command("rrdnsctl -s SOCKET ..."). */
struct output rrdnsctl(const struct daemon *daemon, const char *arguments);

/* The text at a path of keys ("zones.0.serial") of a JSON value, for messages and comparisons: a
 * string as it is, all else dumped. "(none)" where there is none. */
const char *json_at(const json_t *value, const char *path);

#endif

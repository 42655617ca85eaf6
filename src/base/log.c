/*
 * The descriptor in use is an atomic: log_reopen() may run while loader threads write. dup3 puts
 * the new file under the old number, so that no writer ever holds a closed descriptor.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

enum { LINE_MAX_OCTETS = 2048 }; /* a longer line is cut: one write stays one line */

static _Atomic int log_level = LOG_LEVEL_INFO;
static _Atomic int log_target = LOG_TARGET_STDERR;
static _Atomic int log_fd = STDERR_FILENO;
static int file_fd = -1; /* of the log file, once there was one; stays open for good */
static char *log_path;

static const char *const level_names[] = {
    [LOG_LEVEL_ERROR] = "error",
    [LOG_LEVEL_WARNING] = "warning",
    [LOG_LEVEL_INFO] = "info",
    [LOG_LEVEL_DEBUG] = "debug",
};

static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

int log_open(enum log_target target, const char *path)
{
    if (target == LOG_TARGET_FILE) {
        char *copy = strdup(path);
        int fd = copy != NULL ? open_file(path) : -1;
        if (fd < 0) {
            int saved = errno;
            free(copy);
            errno = saved;
            return RR_EIO;
        }
        if (file_fd < 0) {
            file_fd = fd;
        } else {
            dup3(fd, file_fd, O_CLOEXEC);
            close(fd);
        }
        atomic_store(&log_fd, file_fd);
        free(log_path);
        log_path = copy;
    } else if (target == LOG_TARGET_STDERR) {
        atomic_store(&log_fd, STDERR_FILENO);
    } else if (target == LOG_TARGET_SYSLOG) {
        openlog("rrdnsd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
    }
    atomic_store(&log_target, (int)target);
    return RR_OK;
}

int log_reopen(void)
{
    if (atomic_load(&log_target) != LOG_TARGET_FILE) {
        return RR_OK;
    }
    int fd = open_file(log_path);
    if (fd < 0) {
        return RR_EIO;
    }
    dup3(fd, atomic_load(&log_fd), O_CLOEXEC);
    close(fd);
    return RR_OK;
}

void log_set_level(enum log_level level)
{
    atomic_store(&log_level, (int)level);
}

enum log_level log_get_level(void)
{
    return (enum log_level)atomic_load(&log_level);
}

int log_level_parse(const char *text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof level_names / sizeof level_names[0]; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return RR_OK;
        }
    }
    return RR_EINVAL;
}

const char *log_level_name(enum log_level level)
{
    return level_names[level];
}

static int syslog_priority(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return LOG_ERR;
    case LOG_LEVEL_WARNING:
        return LOG_WARNING;
    case LOG_LEVEL_INFO:
        return LOG_INFO;
    default:
        return LOG_DEBUG;
    }
}

void log_msg(enum log_level level, const char *format, ...)
{
    if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed)) {
        return;
    }
    va_list args;
    va_start(args, format);
    if (atomic_load(&log_target) == LOG_TARGET_SYSLOG) {
        vsyslog(syslog_priority(level), format, args);
        va_end(args);
        return;
    }
    char line[LINE_MAX_OCTETS];
    size_t used = 0;
    if (atomic_load(&log_target) == LOG_TARGET_FILE) {
        struct tm tm;
        time_t now = time(NULL);
        gmtime_r(&now, &tm);
        used = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%SZ ", &tm);
    }
    int n = snprintf(line + used, sizeof line - used, "rrdnsd: %s: ", level_names[level]);
    used += (size_t)n;
    n = vsnprintf(line + used, sizeof line - used - 1, format, args);
    va_end(args);
    if (n < 0) {
        return;
    }
    used += (size_t)n < sizeof line - used - 1 ? (size_t)n : sizeof line - used - 2;
    line[used++] = '\n';
    /* A log that can't be written must not stop a server that can answer. */
    ssize_t ignored = write(atomic_load(&log_fd), line, used);
    (void)ignored;
}

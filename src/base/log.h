/*
 * Logging for operators. Never called per packet: anything a peer can cause by sending a
 * packet is a counter, not a line. Lines are written with one write(2) each, so lines of
 * several threads do not mix.
 */
#ifndef RRDNS_BASE_LOG_H
#define RRDNS_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

enum log_target { LOG_TARGET_STDERR, LOG_TARGET_SYSLOG, LOG_TARGET_FILE };

/*
 * Chooses where lines go. path is used by LOG_TARGET_FILE only (copied). Returns 0, or RR_EIO
 * with errno set when the file can't be opened; the target then stays what it was.
 * To be called from the main thread only.
 */
int log_open(enum log_target target, const char *path);

/* Opens the log file again under its name (SIGUSR1, after rotation). 0, or RR_EIO (the old file
 * stays in use). No effect for other targets. */
int log_reopen(void);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* "error", "warning", "info" or "debug" to a level: 0, or RR_EINVAL for any other text. */
int log_level_parse(const char *text, enum log_level *level);
const char *log_level_name(enum log_level level);

/* Writes a line when level is at or above the current one. Safe from any thread. */
void log_msg(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_msg(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_msg(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_msg(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_msg(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

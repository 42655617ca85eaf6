/*
 * What every end-to-end test needs: a directory of its own, files in it, commands, children that
 * never outlive the test, an end in any case.
 *
 * Functions end the test at hand (ck_abort) where they can't do what they promise; so callers
 * check nothing but what they test.
 */
#ifndef E2E_HARNESS_H
#define E2E_HARNESS_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * The body of main(): runs the suite in this process (nothing is forked, so that one server may
 * serve many tests), prints what Check has to say, ends all children, removes the directory unless
 * a test failed. Returns the exit status.
 */
int harness_main(const char *name, Suite *(*suite)(void));

/* A group of tests (ended by NULL) that share what `start` begins; `last` is one more test, that it
 * ends well. */
void harness_group(Suite *suite, const char *name, void (*start)(void), const TTest *const *tests,
                   const TTest *last);

/* Where the programs under test and the sources are: RRDNS_BUILD, RRDNS_SRC. Absolute. */
const char *harness_build(void);
const char *harness_src(void);

/* Whether tests, and so the server, run under a sanitizer, and how many times slower that may be.
 * For limits of time and for how much is done, never for what is expected. */
bool harness_sanitized(void);
unsigned harness_slow(void);

/* The longest that anything that should happen is waited for. */
int harness_patience_ms(void);

/* The program's own temporary directory; a path in it (as format_text). */
const char *harness_dir(void);
const char *harness_path(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Text by format, up to 64 KiB; it lasts for the next 4095 calls. */
const char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- Files ---- */

void file_write(const char *path, const char *text);
void file_printf(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Written beside and renamed, as careful operators do. */
void file_replace(const char *path, const char *text);
/* The whole file, a NUL behind it; to be freed. */
char *file_read(const char *path);
bool file_exists(const char *path);
void dir_make(const char *path);
/* mtime so many seconds from what it is. */
void file_touch(const char *path, int seconds);

/* ---- Time ---- */

uint64_t clock_ms(void); /* monotonic */
void pause_ms(unsigned ms);

/* ---- Children ---- */

/*
 * Starts a program, given as path and arguments (argv ends with NULL), with standard output and
 * error appended to the file `log` (NULL: to nowhere) and nothing on standard input. It is killed
 * when this program ends, however it ends.
 */
pid_t child_start(const char *const argv[], const char *log);
/*
 * Waits up to ms for its end: true, and the status as of waitpid(). False: it still runs.
 */
bool child_wait(pid_t pid, int ms, int *status);
/* SIGKILL, and waits. Harmless where it is gone. */
void child_kill(pid_t pid);

/* ---- Commands ---- */

/* What a command came to. Valid until the eighth call after. */
struct output {
    int status;      /* exit status; -1: ended by a signal */
    const char *out; /* standard output */
    const char *err; /* standard error */
};

/* Runs a shell command (popen), for at most harness_patience_ms(). */
struct output command(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fails unless text contains part. */
#define ck_contains(text, part)                                                             \
    do {                                                                                    \
        const char *text_ = (text), *part_ = (part);                                        \
        ck_assert_msg(strstr(text_, part_) != NULL, "\"%s\" is not in:\n%s", part_, text_); \
    } while (0)
#define ck_lacks(text, part)                                                            \
    do {                                                                                \
        const char *text_ = (text), *part_ = (part);                                    \
        ck_assert_msg(strstr(text_, part_) == NULL, "\"%s\" is in:\n%s", part_, text_); \
    } while (0)

#endif

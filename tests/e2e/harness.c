/*
 * All tests of a program run in one process, and the servers they start are its children. Three
 * things see to it that none is left behind: a list of them, killed on a normal end, on SIGTERM
 * (the runner's time limit) and by our own alarm; and PR_SET_PDEATHSIG for the end by SIGKILL,
 * where no handler runs.
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    CHILDREN_MAX = 64,
    BUFFERS = 8,
    TEXTS = 4096,
    TEXT_MAX = 65536,
    /* A little under the runner's limits (tools/run-tests): the alarm tells more. */
    ALARM_SECONDS = 110,
    PATIENCE_MS = 10000,
};

static char directory[PATH_MAX];
static volatile pid_t children[CHILDREN_MAX];
static char *texts[TEXTS];
static unsigned texts_next;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

bool harness_sanitized(void)
{
    return SANITIZED != 0;
}

unsigned harness_slow(void)
{
    return SANITIZED ? 5 : 1;
}

int harness_patience_ms(void)
{
    return PATIENCE_MS * (int)harness_slow();
}

static const char *absolute(const char *variable, const char *otherwise)
{
    static char paths[2][PATH_MAX];
    char *path = paths[strcmp(variable, "RRDNS_SRC") == 0];
    if (path[0] == '\0') {
        const char *given = getenv(variable);
        if (realpath(given != NULL && given[0] != '\0' ? given : otherwise, path) == NULL) {
            fprintf(stderr, "%s: %s: %s\n", variable, given != NULL ? given : otherwise,
                    strerror(errno));
            exit(2);
        }
    }
    return path;
}

const char *harness_build(void)
{
    return absolute("RRDNS_BUILD", "build");
}

const char *harness_src(void)
{
    return absolute("RRDNS_SRC", ".");
}

/* ---- Text ---- */

const char *harness_dir(void)
{
    return directory;
}

/* Keeps a copy of text until as many more have come as there is room for. */
static const char *keep(const char *text)
{
    unsigned place = texts_next++ % TEXTS;
    free(texts[place]);
    texts[place] = strdup(text);
    ck_assert_ptr_nonnull(texts[place]);
    return texts[place];
}

static void forget_texts(void)
{
    for (unsigned i = 0; i < TEXTS; i++) {
        free(texts[i]);
        texts[i] = NULL;
    }
}

const char *harness_path(const char *format, ...)
{
    static char path[2 * PATH_MAX];
    int size = snprintf(path, sizeof path, "%s/", directory);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(path + size, sizeof path - (size_t)size, format, arguments);
    va_end(arguments);
    return keep(path);
}

const char *format_text(const char *format, ...)
{
    static char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, TEXT_MAX, format, arguments);
    va_end(arguments);
    ck_assert_msg(size >= 0 && size < TEXT_MAX, "a text is too long");
    return keep(text);
}

/* ---- Files ---- */

void file_write(const char *path, const char *text)
{
    FILE *out = fopen(path, "we");
    ck_assert_msg(out != NULL, "%s: %s", path, strerror(errno));
    bool written = fputs(text, out) >= 0;
    ck_assert_msg(fclose(out) == 0 && written, "%s: %s", path, strerror(errno));
}

void file_printf(const char *path, const char *format, ...)
{
    static char text[TEXT_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ck_assert_msg(size >= 0 && size < TEXT_MAX, "%s: the text is too long", path);
    file_write(path, text);
}

void file_replace(const char *path, const char *text)
{
    char beside[PATH_MAX];
    snprintf(beside, sizeof beside, "%s.new", path);
    file_write(beside, text);
    ck_assert_msg(rename(beside, path) == 0, "%s: %s", path, strerror(errno));
}

char *file_read(const char *path)
{
    FILE *in = fopen(path, "re");
    ck_assert_msg(in != NULL, "%s: %s", path, strerror(errno));
    size_t room = 65536, used = 0;
    char *text = malloc(room);
    size_t got = 0;
    while (text != NULL && (got = fread(text + used, 1, room - used - 1, in)) > 0) {
        used += got;
        if (room - used < 4096) {
            room *= 2;
            text = realloc(text, room);
        }
    }
    fclose(in);
    ck_assert_ptr_nonnull(text);
    text[used] = '\0';
    return text;
}

bool file_exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

void dir_make(const char *path)
{
    ck_assert_msg(mkdir(path, 0755) == 0, "%s: %s", path, strerror(errno));
}

void file_touch(const char *path, int seconds)
{
    struct stat st;
    ck_assert_msg(stat(path, &st) == 0, "%s: %s", path, strerror(errno));
    struct timespec times[2] = {st.st_atim, st.st_mtim};
    times[1].tv_sec += seconds;
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* ---- Time ---- */

uint64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void pause_ms(unsigned ms)
{
    poll(NULL, 0, (int)ms);
}

/* ---- Children ---- */

static void on_end(int signal_number);

/*
 * Check has handlers of its own while tests run; without a process for each test, theirs would
 * kill our whole process group (kill(0)). So ours are put in their place once a test begins.
 */
static void take_signals(void)
{
    struct sigaction action = {.sa_handler = on_end};
    sigaction(SIGALRM, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
}

static void remember(pid_t pid)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] == 0) {
            children[i] = pid;
            return;
        }
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_abort_msg("too many children");
}

static void forget(pid_t pid)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] == pid) {
            children[i] = 0;
        }
    }
}

/* Safe in a signal handler. */
static void kill_children(void)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (children[i] != 0) {
            kill(children[i], SIGKILL);
            waitpid(children[i], NULL, 0);
            children[i] = 0;
        }
    }
}

static _Noreturn void be_child(const char *const argv[], const char *log)
{
    signal(SIGALRM, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    alarm(0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int out = log != NULL ? open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : null;
    if (null < 0 || out < 0 || dup2(null, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0) {
        _exit(126);
    }
    execv(argv[0], (char *const *)argv);
    dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

pid_t child_start(const char *const argv[], const char *log)
{
    take_signals();
    fflush(NULL);
    pid_t pid = fork();
    ck_assert_msg(pid >= 0, "fork: %s", strerror(errno));
    if (pid == 0) {
        be_child(argv, log);
    }
    remember(pid);
    return pid;
}

bool child_wait(pid_t pid, int ms, int *status)
{
    uint64_t end = clock_ms() + (uint64_t)ms;
    for (;;) {
        pid_t ended = waitpid(pid, status, WNOHANG);
        ck_assert_msg(ended >= 0, "waitpid: %s", strerror(errno));
        if (ended == pid) {
            forget(pid);
            return true;
        }
        if (clock_ms() >= end) {
            return false;
        }
        pause_ms(2);
    }
}

void child_kill(pid_t pid)
{
    for (size_t i = 0; i < CHILDREN_MAX; i++) {
        if (pid > 0 && children[i] == pid) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
            children[i] = 0;
        }
    }
}

/* ---- Commands ---- */

static char *read_all(FILE *in, size_t *used)
{
    size_t room = 4096;
    char *text = malloc(room);
    size_t got;
    *used = 0;
    while (text != NULL && (got = fread(text + *used, 1, room - *used - 1, in)) > 0) {
        *used += got;
        if (room - *used < 1024) {
            room *= 2;
            text = realloc(text, room);
        }
    }
    ck_assert_ptr_nonnull(text);
    text[*used] = '\0';
    return text;
}

struct output command(const char *format, ...)
{
    static char *kept[BUFFERS][2];
    static unsigned next;
    static char line[TEXT_MAX];
    char words[TEXT_MAX / 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    const char *errors = harness_path("command.err");
    int seconds = harness_patience_ms() / 1000 + 5;
    snprintf(line, sizeof line, "{ timeout -k 1 %d %s ; } 2>'%s' </dev/null", seconds, words,
             errors);

    char **slot = kept[next++ % BUFFERS];
    free(slot[0]);
    free(slot[1]);
    slot[0] = slot[1] = NULL;
    FILE *pipe = popen(line, "re");
    ck_assert_msg(pipe != NULL, "popen: %s", strerror(errno));
    size_t size;
    slot[0] = read_all(pipe, &size);
    int status = pclose(pipe);
    slot[1] = file_read(errors);
    return (struct output){
        .status = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .out = slot[0], .err = slot[1]};
}

/* ---- The whole ---- */

static void on_end(int signal_number)
{
    const char *text = signal_number == SIGALRM ? "\nno end in time: killed by its own alarm\n"
                                                : "\nended by a signal\n";
    ssize_t ignored = write(2, text, strlen(text));
    (void)ignored;
    kill_children();
    _exit(3);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void prepare(const char *name)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/rrdns-%s-XXXXXX", base != NULL ? base : "/tmp", name);
    if (mkdtemp(directory) == NULL || chmod(directory, 0755) != 0) {
        fprintf(stderr, "%s: %s\n", directory, strerror(errno));
        exit(2);
    }
    take_signals();
    signal(SIGPIPE, SIG_IGN);
    /* Tests open thousands of connections. */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    atexit(kill_children);
    alarm(ALARM_SECONDS * harness_slow());
}

int harness_main(const char *name, Suite *(*suite)(void))
{
    prepare(name);
    SRunner *runner = srunner_create(suite());
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    kill_children();
    forget_texts();
    if (failed == 0) {
        nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    } else {
        fprintf(stderr, "what the tests wrote remains in %s\n", directory);
    }
    return failed == 0 ? 0 : 1;
}

void harness_group(Suite *suite, const char *name, void (*start)(void), const TTest *const *tests,
                   const TTest *last)
{
    TCase *tcase = tcase_create(name);
    tcase_add_unchecked_fixture(tcase, start, NULL);
    for (; *tests != NULL; tests++) {
        tcase_add_test(tcase, *tests);
    }
    tcase_add_test(tcase, last);
    suite_add_tcase(suite, tcase);
}

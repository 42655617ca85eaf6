/*
 * The command line of rrdnsd, and what the service manager is told.
 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/notify.h"
#include "unit.h"

static struct options options;

/* Reads a command line given as one string of words. */
static int read_line(const char *line)
{
    static char words[256];
    char *argv[16] = {"rrdnsd"};
    int argc = 1;
    snprintf(words, sizeof words, "%s", line);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    optind = 0; /* getopt begins anew */
    return options_read(argc, argv, &options);
}

START_TEST(nothing_given)
{
    ck_assert_int_eq(read_line(""), -1);
    ck_assert(!options.check);
    ck_assert_uint_eq(options.overrides.listens, 0);
    ck_assert_int_eq(options.overrides.workers, -1);
    ck_assert_ptr_null(options.overrides.zone_directory);
    ck_assert_ptr_null(options.overrides.control_socket);
}
END_TEST

START_TEST(short_ones)
{
    ck_assert_int_eq(read_line("-c f -l 127.0.0.1:53 -l [::1] -z d -w 0 -s s -t"), -1);
    ck_assert_str_eq(options.config_path, "f");
    ck_assert_uint_eq(options.overrides.listens, 2);
    ck_assert_str_eq(options.overrides.listen[0], "127.0.0.1:53");
    ck_assert_str_eq(options.overrides.listen[1], "[::1]");
    ck_assert_str_eq(options.overrides.zone_directory, "d");
    ck_assert_int_eq(options.overrides.workers, 0);
    ck_assert_str_eq(options.overrides.control_socket, "s");
    ck_assert(options.check);
}
END_TEST

START_TEST(long_ones)
{
    ck_assert_int_eq(read_line("--config=f --listen 127.0.0.1:53 --zones d --workers 256 "
                               "--control s --check"),
                     -1);
    ck_assert_str_eq(options.config_path, "f");
    ck_assert_uint_eq(options.overrides.listens, 1);
    ck_assert_str_eq(options.overrides.zone_directory, "d");
    ck_assert_int_eq(options.overrides.workers, 256);
    ck_assert_str_eq(options.overrides.control_socket, "s");
    ck_assert(options.check);
}
END_TEST

START_TEST(ends)
{
    static const struct {
        const char *line;
        int status;
    } cases[] = {
        {"-h", 0},      {"--help", 0},       {"-V", 0},     {"--version", 0},
        {"-x", 2},      {"--nosuch", 2},     {"word", 2},   {"-w", 2},
        {"-w many", 2}, {"-w -1", 2},        {"-w 257", 2}, {"-w 1000000000000", 2},
        {"-l here", 2}, {"-l 1.2.3.4:0", 2}, {"-c", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(read_line(cases[i].line) == cases[i].status, "%s", cases[i].line);
    }
}
END_TEST

/* ---- sd_notify ---- */

/* A socket of that name (a leading '@': abstract), and $NOTIFY_SOCKET saying so. */
static int listen_at(const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path, name, length);
    if (name[0] == '@') {
        address.sun_path[0] = '\0';
    }
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&address, size), 0);
    ck_assert_int_eq(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static const char *heard(int fd)
{
    static char text[256];
    ssize_t size = recv(fd, text, sizeof text - 1, MSG_DONTWAIT);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

static void speak(const char *name)
{
    int fd = listen_at(name);
    unsigned long long microseconds;
    notify_ready();
    ck_assert_str_eq(heard(fd), "READY=1");
    notify_reloading();
    ck_assert_int_eq(sscanf(heard(fd), "RELOADING=1\nMONOTONIC_USEC=%llu", &microseconds), 1);
    ck_assert_uint_gt(microseconds, 0);
    notify_stopping();
    ck_assert_str_eq(heard(fd), "STOPPING=1");
    close(fd);
}

START_TEST(notify_by_path)
{
    char directory[] = "/tmp/rrdns-notify-XXXXXX", path[64];
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/socket", directory);
    speak(path);
    notify_ready(); /* nobody there any more: nothing happens */
    unlink(path);
    notify_ready();
    rmdir(directory);
}
END_TEST

START_TEST(notify_abstract)
{
    char name[64];
    snprintf(name, sizeof name, "@rrdns-test-%d", (int)getpid());
    speak(name);
}
END_TEST

START_TEST(notify_nobody)
{
    char *path = calloc(1, 4001);
    ck_assert_ptr_nonnull(path);
    memset(path, '/', 4000);
    static const char *const names[] = {"", "relative", "@", "/"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        notify_ready();
    }
    setenv("NOTIFY_SOCKET", path, 1);
    notify_ready();
    unsetenv("NOTIFY_SOCKET");
    notify_ready();
    free(path);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("options");
    tcase_add_test(unit.tests, nothing_given);
    tcase_add_test(unit.tests, short_ones);
    tcase_add_test(unit.tests, long_ones);
    tcase_add_test(unit.tests, ends);
    tcase_add_test(unit.tests, notify_by_path);
    tcase_add_test(unit.tests, notify_abstract);
    tcase_add_test(unit.tests, notify_nobody);
    return unit_end(&unit);
}

/*
 * rrdnsctl: one command to a running server over its control socket, and its answer printed. See
 * rrdnsctl(8). It knows the commands just well enough to build their request and to print their
 * result; what is right and wrong the server says.
 */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <jansson.h>

#include "base/version.h"
#include "daemon/ctl_text.h"

enum { EXIT_DONE = 0, EXIT_REFUSED = 1, EXIT_USAGE = 2, EXIT_NO_SERVER = 3 };

enum { LINE_MAX_OCTETS = 64 * 1024 }; /* longer ones the server does not take */

static const char default_socket[] = "/run/rrdns/rrdnsd.sock";

static const char usage[] =
    "usage: rrdnsctl [-s SOCKET] [-j] COMMAND\n"
    "  status               what runs, since when, and what it serves\n"
    "  stats [--per-worker] all counters\n"
    "  reload [ZONE...]     the configuration and all that changed, or the zones named\n"
    "  zones                all zones\n"
    "  zone NAME            one zone\n"
    "  dnssec NAME          keys and signatures of a zone that is signed here\n"
    "  cache [flush [NAME]] figures of the proxy's cache; or empties it, at and below a name\n"
    "  upstreams            the servers that are asked, and how they do\n"
    "  log LEVEL            error, warning, info or debug\n"
    "  stop                 ends the server\n"
    "options:\n"
    "  -s, --socket SOCKET  control socket (default /run/rrdns/rrdnsd.sock)\n"
    "  -j, --json           prints the server's answer as it is\n"
    "  -V, --version        prints the version\n"
    "  -h, --help           prints this\n";

/* ---- Requests ---- */

static json_t *plain_request(char **words)
{
    return json_pack("{s:s}", "command", words[0]);
}

static json_t *stats_request(char **words)
{
    bool per_worker = words[1] != NULL && strcmp(words[1], "--per-worker") == 0;
    if (words[1] != NULL && !per_worker) {
        return NULL;
    }
    return per_worker ? json_pack("{s:s, s:b}", "command", words[0], "per_worker", 1)
                      : plain_request(words);
}

static json_t *reload_request(char **words)
{
    if (words[1] == NULL) {
        return plain_request(words);
    }
    json_t *zones = json_array();
    for (char **zone = words + 1; *zone != NULL; zone++) {
        if (json_array_append_new(zones, json_string(*zone)) != 0) {
            json_decref(zones);
            return NULL;
        }
    }
    return json_pack("{s:s, s:o}", "command", words[0], "zones", zones);
}

static json_t *zone_request(char **words)
{
    return json_pack("{s:s, s:s}", "command", words[0], "name", words[1]);
}

static json_t *cache_request(char **words)
{
    if (words[1] == NULL) {
        return plain_request(words);
    }
    if (strcmp(words[1], "flush") != 0) {
        return NULL;
    }
    return words[2] != NULL ? json_pack("{s:s, s:s, s:s}", "command", words[0], "action", words[1],
                                        "name", words[2])
                            : json_pack("{s:s, s:s}", "command", words[0], "action", words[1]);
}

static json_t *log_request(char **words)
{
    return json_pack("{s:s, s:s}", "command", words[0], "level", words[1]);
}

static const struct command {
    const char *name;
    int least, most; /* words after it */
    json_t *(*request)(char **words);
} commands[] = {
    {"status", 0, 0, plain_request},       {"stats", 0, 1, stats_request},
    {"reload", 0, 100000, reload_request}, {"zones", 0, 0, plain_request},
    {"zone", 1, 1, zone_request},          {"log", 1, 1, log_request},
    {"dnssec", 1, 1, zone_request},        {"stop", 0, 0, plain_request},
    {"cache", 0, 2, cache_request},        {"upstreams", 0, 0, plain_request},
};

/* The request as a line, to be freed; NULL where the words are no command. */
static char *make_line(int count, char **words)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *command = &commands[i];
        if (strcmp(words[0], command->name) != 0 || count - 1 < command->least ||
            count - 1 > command->most) {
            continue;
        }
        json_t *request = command->request(words);
        char *line = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
        json_decref(request);
        return line;
    }
    return NULL;
}

/* ---- Talking ---- */

/* A connected socket, or -1 with the reason told and *status the exit status. */
static int connect_to(const char *path, int *status)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *status = EXIT_NO_SERVER;
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "rrdnsctl: %s: too long for a socket's path\n", path);
        return -1;
    }
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        bool forbidden = errno == EACCES || errno == EPERM;
        *status = forbidden ? EXIT_REFUSED : EXIT_NO_SERVER;
        fprintf(stderr, "rrdnsctl: %s%s: %s\n", forbidden ? "" : "no server at ", path,
                strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* Where it fails, the server has hung up: the answer that says why may still be read. */
static void send_line(int fd, const char *line)
{
    size_t size = strlen(line), sent = 0;
    while (sent < size) {
        ssize_t n = send(fd, line + sent, size - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR) {
            return;
        }
        sent += n > 0 ? (size_t)n : 0;
    }
    (void)send(fd, "\n", 1, MSG_NOSIGNAL);
}

/* The answer's line with its newline, to be freed; NULL where the connection ends before. */
static char *receive_line(int fd, size_t *size)
{
    size_t room = LINE_MAX_OCTETS;
    char *line = malloc(room);
    *size = 0;
    while (line != NULL) {
        ssize_t n = read(fd, line + *size, room - *size);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        *size += (size_t)n;
        if (line[*size - 1] == '\n') { /* one request, so nothing comes after its answer */
            return line;
        }
        if (*size == room) {
            char *larger = realloc(line, room *= 2);
            if (larger == NULL) {
                break;
            }
            line = larger;
        }
    }
    free(line);
    return NULL;
}

/* Reads until the server hangs up, which is the last it does when it stops. */
static void wait_for_end(int fd)
{
    char ignored[256];
    ssize_t n;
    do {
        n = read(fd, ignored, sizeof ignored);
    } while (n > 0 || (n < 0 && errno == EINTR));
}

/* ---- Answers ---- */

static int print_answer(const char *command, const char *line, size_t size, bool as_json)
{
    json_error_t error;
    json_t *answer = json_loadb(line, size, 0, &error);
    if (as_json) {
        fwrite(line, 1, size, stdout);
    }
    int status = EXIT_REFUSED;
    const json_t *result = json_object_get(answer, "result");
    if (answer == NULL) {
        fprintf(stderr, "rrdnsctl: the server's answer is no JSON: %s\n", error.text);
    } else if (json_is_true(json_object_get(answer, "ok"))) {
        bool failed = json_integer_value(json_object_get(result, "failed")) > 0;
        status = failed ? EXIT_REFUSED : EXIT_DONE;
        if (!as_json) {
            ctl_text_result(command, result, stdout, stderr);
        }
    } else {
        ctl_text_refusal(answer, stderr);
    }
    json_decref(answer);
    return status;
}

static int talk(int fd, const char *command, const char *line, bool as_json)
{
    size_t size;
    send_line(fd, line);
    char *answer = receive_line(fd, &size);
    if (answer == NULL) {
        fprintf(stderr, "rrdnsctl: the server hung up without an answer\n");
        return EXIT_REFUSED;
    }
    if (strcmp(command, "stop") == 0) {
        wait_for_end(fd);
    }
    int status = print_answer(command, answer, size, as_json);
    free(answer);
    if (fflush(stdout) != 0) {
        fprintf(stderr, "rrdnsctl: standard output: %s\n", strerror(errno));
        status = EXIT_REFUSED;
    }
    return status;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"socket", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = default_socket;
    bool as_json = false;
    int option;
    while ((option = getopt_long(argc, argv, "+s:jVh", options, NULL)) != -1) {
        switch (option) {
        case 's':
            path = optarg;
            break;
        case 'j':
            as_json = true;
            break;
        case 'V':
            puts("rrdnsctl " RRDNS_VERSION);
            return EXIT_DONE;
        case 'h':
            fputs(usage, stdout);
            return EXIT_DONE;
        default:
            fputs(usage, stderr);
            return EXIT_USAGE;
        }
    }
    char *line = optind < argc ? make_line(argc - optind, argv + optind) : NULL;
    if (line == NULL) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    if (strlen(line) > LINE_MAX_OCTETS) {
        fprintf(stderr, "rrdnsctl: more zones than fit a line of 64 KiB\n");
        free(line);
        return EXIT_USAGE;
    }
    int status;
    int fd = connect_to(path, &status);
    if (fd >= 0) {
        status = talk(fd, argv[optind], line, as_json);
        close(fd);
    }
    free(line);
    return status;
}

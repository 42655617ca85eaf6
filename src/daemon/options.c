/*
 * Words only: what is wrong in itself (no number, no address) is wrong usage and ends here with 2.
 * What is wrong with the machine or the files (no such directory) is config_load's to say.
 */
#include "daemon/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/version.h"
#include "world/publish.h"

static const char default_path[] = "/etc/rrdns/rrdns.json";

static const char usage[] =
    "usage: rrdnsd [-c FILE] [-l ADDR:PORT]... [-z DIR] [-w N] [-s SOCKET] [-t] [-V] [-h]\n";

static const char help[] =
    "  -c, --config FILE     configuration (default /etc/rrdns/rrdns.json when it exists)\n"
    "  -l, --listen A:P      address and port, may repeat; [v6]:port for IPv6\n"
    "  -z, --zones DIR       serve every DIR/*.zone\n"
    "  -w, --workers N       worker threads; 0 = one per CPU it may run on\n"
    "  -s, --control SOCKET  path of the control socket\n"
    "  -t, --check           load configuration and every zone, report every fault, end\n"
    "  -V, --version         tell the version, end\n"
    "  -h, --help            this text\n"
    "-l, -z, -w and -s replace what the configuration says.\n";

static const struct option longs[] = {
    {"config", required_argument, NULL, 'c'},
    {"listen", required_argument, NULL, 'l'},
    {"zones", required_argument, NULL, 'z'},
    {"workers", required_argument, NULL, 'w'},
    {"control", required_argument, NULL, 's'},
    {"check", no_argument, NULL, 't'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int wrong(const char *reason, const char *what)
{
    fprintf(stderr, "rrdnsd: %s%s\n%s", reason, what, usage);
    return 2;
}

static int add_listen(const char *text, struct options *options)
{
    struct sockaddr_storage address;
    socklen_t size;
    if (address_parse(text, 53, &address, &size) != 0) {
        return wrong("not an address such as 192.0.2.1:53 or [2001:db8::1]:53: ", text);
    }
    if (options->overrides.listens == OPTIONS_LISTEN_MAX) {
        return wrong("too many addresses", "");
    }
    options->listen[options->overrides.listens++] = text;
    return -1;
}

static int read_workers(const char *text, int *workers)
{
    size_t digits = strspn(text, "0123456789");
    long value = digits > 0 && digits <= 6 && text[digits] == '\0' ? strtol(text, NULL, 10) : -1;
    if (value < 0 || value > PUBLISH_READERS_MAX) {
        char range[64];
        snprintf(range, sizeof range, "takes a number from 0 to %d", PUBLISH_READERS_MAX);
        return wrong("--workers ", range);
    }
    *workers = (int)value;
    return -1;
}

/* One option: -1 to go on, or the exit status. */
static int take(int option, struct options *options)
{
    struct config_overrides *overrides = &options->overrides;
    switch (option) {
    case 'c':
        options->config_path = optarg;
        return -1;
    case 'l':
        return add_listen(optarg, options);
    case 'z':
        overrides->zone_directory = optarg;
        return -1;
    case 'w':
        return read_workers(optarg, &overrides->workers);
    case 's':
        overrides->control_socket = optarg;
        return -1;
    case 't':
        options->check = true;
        return -1;
    case 'V':
        puts("rrdnsd " RRDNS_VERSION);
        return 0;
    case 'h':
        printf("%s%s", usage, help);
        return 0;
    default:
        fputs(usage, stderr); /* getopt has said what is wrong */
        return 2;
    }
}

int options_read(int argc, char **argv, struct options *options)
{
    *options = (struct options){.overrides = {.workers = -1}};
    options->overrides.listen = options->listen;
    int option;
    while ((option = getopt_long(argc, argv, "c:l:z:w:s:tVh", longs, NULL)) != -1) {
        int status = take(option, options);
        if (status >= 0) {
            return status;
        }
    }
    if (optind < argc) {
        return wrong("takes no argument such as ", argv[optind]);
    }
    if (options->config_path == NULL && access(default_path, F_OK) == 0) {
        options->config_path = default_path;
    }
    return -1;
}

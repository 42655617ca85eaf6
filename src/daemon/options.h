/*
 * The command line of rrdnsd.
 */
#ifndef RRDNS_DAEMON_OPTIONS_H
#define RRDNS_DAEMON_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/config.h"

enum { OPTIONS_LISTEN_MAX = 1024 };

struct options {
    const char *config_path; /* NULL: none was given, and there is no default one */
    struct config_overrides overrides;
    bool check;
    const char *listen[OPTIONS_LISTEN_MAX];
};

/*
 * Reads argv into *options, which must stay where it is (overrides point into it). Returns -1 to go
 * on, or the exit status where the process is to end: 0 after -h or -V (text to standard output),
 * 2 for wrong usage (told on standard error).
 */
int options_read(int argc, char **argv, struct options *options);

#endif

/*
 * rrdnsutil: what is done with zones offline. Each command is a function that takes what is left
 * of the command line and returns the exit status: 0 done, 1 a fault, 2 wrong usage; -1 lets the
 * usage be told.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "base/crew.h"
#include "base/err.h"
#include "base/version.h"
#include "daemon/report.h"
#include "daemon/util_keys.h"
#include "dns/name.h"
#include "zone/dump.h"
#include "zone/image.h"
#include "zone/zone_load.h"

static const char usage[] = "usage: rrdnsutil check ZONEFILE [ORIGIN]\n"
                            "       rrdnsutil compile ZONEFILE IMAGE [ORIGIN]\n"
                            "       rrdnsutil dump IMAGE\n"
                            "       rrdnsutil keygen ZONE [--algorithm A] [--ksk|--zsk|--csk] "
                            "[--dir DIR]\n"
                            "                 [--publish T] [--activate T] [--inactive T] "
                            "[--delete T]\n"
                            "       rrdnsutil ds KEYFILE|ZONE [--dir DIR]\n"
                            "       rrdnsutil -V | -h\n";

/* The zone's name: origin, or where that is NULL what the file's name has before ".zone". */
static int find_apex(const char *path, const char *origin, uint8_t *apex)
{
    if (origin != NULL) {
        if (name_from_text(origin, strlen(origin), NULL, apex) == RR_OK) {
            return RR_OK;
        }
        fprintf(stderr, "rrdnsutil: \"%s\" is not a domain name\n", origin);
        return RR_EINVAL;
    }
    static const char suffix[] = ".zone";
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    size_t length = strlen(file), tail = sizeof suffix - 1;
    if (length > tail && strcmp(file + length - tail, suffix) == 0 &&
        name_from_text(file, length - tail, NULL, apex) == RR_OK) {
        return RR_OK;
    }
    fprintf(stderr, "rrdnsutil: %s is not named NAME.zone: give the zone's name as ORIGIN\n", path);
    return RR_EINVAL;
}

/* Loads a master file and prints what there is to say about it: 0 and *zone, or an exit status. */
static int load(const char *path, const char *origin, struct zone **zone,
                struct source_list *sources)
{
    uint8_t apex[NAME_MAX_OCTETS];
    *zone = NULL;
    if (find_apex(path, origin, apex) != RR_OK) {
        return 2;
    }
    struct diag diag = {0};
    struct zone_scratch scratch = {0};
    int error = zone_load(&scratch, path, apex, crew_cpus(), zone, sources, &diag);
    zone_scratch_free(&scratch);
    report_print(&diag, stderr);
    if (error != RR_OK && diag.faults == 0) {
        fprintf(stderr, "%s: %s\n", path, rr_strerror(error));
    }
    diag_clear(&diag);
    return error != RR_OK;
}

static int check(char **words)
{
    struct zone *zone;
    struct source_list sources = {0};
    int status = load(words[0], words[1], &zone, &sources);
    source_list_clear(&sources);
    if (status != 0) {
        return status;
    }
    char name[NAME_MAX_TEXT];
    name_to_text(zone->head->apex_name, name);
    printf("zone %s: serial %" PRIu32 ", %" PRIu64 " records, %" PRIu64 " names\n", name,
           zone->head->serial, zone->head->records, zone->head->nodes);
    zone_unref(zone);
    return 0;
}

static int compile(char **words)
{
    struct zone *zone;
    struct source_list sources = {0};
    int status = load(words[0], words[2], &zone, &sources);
    if (status == 0 && image_write(zone, &sources, words[1]) != RR_OK) {
        fprintf(stderr, "%s: %s\n", words[1], strerror(errno));
        status = 1;
    }
    zone_unref(zone);
    source_list_clear(&sources);
    return status;
}

static int dump(char **words)
{
    struct zone *zone;
    struct diag diag = {0};
    int error = image_read(words[0], 1, NULL, &zone, &diag);
    report_print(&diag, stderr);
    if (error != RR_OK && diag.faults == 0) {
        fprintf(stderr, "%s: %s\n", words[0],
                error == RR_EIO ? strerror(errno) : rr_strerror(error));
    }
    diag_clear(&diag);
    if (error != RR_OK) {
        return 1;
    }
    error = zone_dump(zone, stdout);
    if (error == RR_OK && fflush(stdout) != 0) {
        error = RR_EIO;
    }
    if (error != RR_OK) {
        fprintf(stderr, "standard output: %s\n",
                error == RR_EIO ? strerror(errno) : rr_strerror(error));
    }
    zone_unref(zone);
    return error != RR_OK;
}

enum { WORDS_MAX = 32 };

static const struct command {
    const char *name;
    int least, most; /* words after it */
    int (*run)(char **words);
} commands[] = {
    {"check", 1, 2, check},
    {"compile", 2, 3, compile},
    {"dump", 1, 1, dump},
    {"keygen", 1, WORDS_MAX, util_keygen},
    {"ds", 1, WORDS_MAX, util_ds},
};

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
        puts("rrdnsutil " RRDNS_VERSION);
        return 0;
    }
    if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const struct command *command = &commands[i];
        if (strcmp(word, command->name) == 0 && argc - 2 >= command->least &&
            argc - 2 <= command->most) {
            int status = command->run(argv + 2);
            if (status >= 0) {
                return status > 0 ? status : report_flush();
            }
            break;
        }
    }
    fputs(usage, stderr);
    return 2;
}

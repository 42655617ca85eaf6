/*
 * The daemon's main(): the command line, then either a check of everything, or the server.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/apply.h"
#include "daemon/config.h"
#include "daemon/loader.h"
#include "daemon/loader_images.h"
#include "daemon/options.h"
#include "daemon/privileges.h"
#include "daemon/report.h"
#include "daemon/server.h"
#include "dns/name.h"
#include "world/publish.h"

struct tally {
    size_t faults, warnings;
};

/* Prints what diag holds, adds it to the tally and empties it. */
static void print_diag(struct diag *diag, struct tally *tally)
{
    report_print(diag, stderr);
    tally->faults += diag->faults;
    tally->warnings += diag->warnings;
    diag_clear(diag);
}

/* Whether the log's file could be written: one that is not there is not made. */
static void check_log(const struct config *config, struct diag *diag)
{
    if (config->log_target != LOG_TARGET_FILE) {
        return;
    }
    int fd = open(config->log_path, O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC);
    char *copy = fd < 0 && errno == ENOENT ? strdup(config->log_path) : NULL;
    if (fd < 0 && (copy == NULL || access(dirname(copy), W_OK | X_OK) != 0)) {
        diag_fault(diag, config->path, 0, "log.target: %s: %s", config->log_path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    free(copy);
}

static void check_images(const struct config *config, const struct privileges *privileges,
                         struct diag *diag)
{
    uid_t user = privileges->uid != (uid_t)-1 ? privileges->uid : geteuid();
    const char *reason = config->image_directory[0] != '\0'
                             ? loader_images_refuse(config->image_directory, user)
                             : NULL;
    if (reason != NULL) {
        diag_warn(diag, config->image_directory, 0, LOADER_IMAGES_REFUSED, reason);
    }
}

/* Loads every zone the way a start does: on all CPUs. */
static void check_zones(struct config *config, struct tally *tally)
{
    static struct publisher publisher;
    struct settings settings = {0};
    struct loader *loader;
    struct loader_result result = {0};
    apply_settings(config, &settings);
    config->image_directory[0] = '\0'; /* all that master files have to say is wanted */
    config->dry_run = true;
    int error = loader_new(config, &settings, &publisher, &loader, &result);
    if (error != RR_OK) {
        fprintf(stderr, "zones: %s\n", rr_strerror(error));
        tally->faults++;
        return;
    }
    for (size_t i = 0; i < result.count; i++) {
        struct loader_zone_result *zone = &result.zones[i];
        if (zone->outcome == LOADER_FAILED && zone->diag.faults == 0) {
            char name[NAME_MAX_TEXT];
            name_to_text(zone->name, name);
            diag_fault(&zone->diag, NULL, 0, "zone %s can't be loaded", name);
        }
        print_diag(&zone->diag, tally);
    }
    loader_result_free(&result);
    loader_free(loader);
    world_free(atomic_load(&publisher.current));
}

static int check(const char *path, const struct config_overrides *overrides)
{
    struct diag diag = {0};
    struct tally tally = {0};
    struct config *config = NULL;
    struct privileges privileges;
    size_t zones = 0;
    if (config_load(path, overrides, &config, &diag) == RR_OK) {
        privileges_find(config, &privileges, &diag);
        check_log(config, &diag);
        check_images(config, &privileges, &diag);
        print_diag(&diag, &tally);
        zones = config->zones;
        check_zones(config, &tally);
        config_free(config);
    }
    print_diag(&diag, &tally);
    printf("%zu zones, %zu faults, %zu warnings\n", zones, tally.faults, tally.warnings);
    return report_flush() != 0 || tally.faults > 0;
}

int main(int argc, char **argv)
{
    static struct options options;
    int status = options_read(argc, argv, &options);
    if (status >= 0) {
        return status;
    }
    return options.check ? check(options.config_path, &options.overrides)
                         : server_run(options.config_path, &options.overrides);
}

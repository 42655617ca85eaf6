/*
 * The log tells enough to find the fault; `rrdnsd -t` and `rrdnsutil check` tell all of it. So
 * lines are bounded: one bad zone must not push the others out of the operator's sight.
 */
#include "daemon/report.h"

#include <inttypes.h>
#include <stdbool.h>

#include "base/log.h"
#include "dns/name.h"

enum {
    LINES_A_ZONE = 10,
    ZONES_AT_INFO = 100, /* more of them loaded at once are told one by one at level debug only */
};

static void report_lines(const struct diag *diag, size_t most)
{
    for (size_t i = 0; i < diag->kept && i < most; i++) {
        bool fault = diag->entries[i].severity == DIAG_FAULT;
        log_msg(fault ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "%s", diag->entries[i].text);
    }
    size_t told = diag->kept < most ? diag->kept : most;
    if (diag->faults + diag->warnings > told) {
        log_msg(diag->faults > 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING, "... and %zu more",
                diag->faults + diag->warnings - told);
    }
}

void report_diag(const struct diag *diag)
{
    report_lines(diag, DIAG_KEEP);
}

static void report_zone(const struct loader_zone_result *zone, enum log_level level)
{
    char name[NAME_MAX_TEXT];
    name_to_text(zone->name, name);
    switch (zone->outcome) {
    case LOADER_LOADED:
        log_msg(level, "zone %s loaded: serial %" PRIu32 ", %zu records", name, zone->serial,
                zone->records);
        break;
    case LOADER_REMOVED:
        log_msg(level, "zone %s removed", name);
        break;
    case LOADER_FAILED:
        log_error("zone %s not loaded", name);
        break;
    default:
        break;
    }
}

void report_zones(const char *what, const struct loader_result *result)
{
    enum log_level level = result->count <= ZONES_AT_INFO ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG;
    bool told = level <= log_get_level();
    for (size_t i = 0; i < result->count; i++) {
        const struct loader_zone_result *zone = &result->zones[i];
        report_lines(&zone->diag, LINES_A_ZONE);
        if (told || zone->outcome == LOADER_FAILED) {
            report_zone(zone, level);
        }
    }
    report_diag(&result->diag);
    if (result->from_images > 0) {
        log_info("%s: %zu zones came from images", what, result->from_images);
    }
    log_info("%s: %zu zones loaded, %zu unchanged, %zu removed, %zu failed, in %" PRId64 " ms",
             what, result->loaded, result->unchanged, result->removed, result->failed,
             result->milliseconds);
}

void report_print(const struct diag *diag, FILE *out)
{
    for (size_t i = 0; i < diag->kept; i++) {
        bool fault = diag->entries[i].severity == DIAG_FAULT;
        fprintf(out, "%s%s\n", fault ? "" : "warning: ", diag->entries[i].text);
    }
    size_t more = diag->faults + diag->warnings - diag->kept;
    if (more > 0) {
        fprintf(out, "... and %zu more\n", more);
    }
}

int report_flush(void)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return 0;
    }
    perror("standard output");
    return 1;
}

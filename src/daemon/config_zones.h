/*
 * The zones of a configuration: what "zones" lists and what lies in the zone directory, made one
 * sorted list.
 */
#ifndef RRDNS_DAEMON_CONFIG_ZONES_H
#define RRDNS_DAEMON_CONFIG_ZONES_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "daemon/config.h"

struct zone_entry {
    struct config_zone zone;
    size_t line;  /* in the configuration file; 0: not listed there */
    size_t index; /* in "zones" */
    char *policy;       /* named by its "dnssec", or NULL */
    size_t policy_line; /* of that */
};

/* A zeroed one is empty. */
struct zone_entries {
    size_t count, room;
    size_t octets; /* of all names */
    struct zone_entry *entry;
};

/* file (or NULL: none given) is taken over, also on failure. Returns 0 or RR_ENOMEM. */
int zone_entries_add(struct zone_entries *entries, const uint8_t *name, char *file, size_t line,
                     size_t index);

/* Has the entry added last name a policy, given in that line. Returns 0 or RR_ENOMEM. */
int zone_entries_policy(struct zone_entries *entries, const char *policy, size_t line);

void zone_entries_free(struct zone_entries *entries);

/*
 * Adds what lies in config->zone_directory and hands everything to config->zone, sorted and
 * without doubles. place tells where the directory was named ("zone_directory" or "--zones"), line
 * that in the file. Returns 0, RR_EINVAL with the faults in diag, RR_ENOMEM.
 */
int zone_entries_finish(struct zone_entries *entries, struct config *config, const char *place,
                        size_t line, struct diag *diag);

#endif

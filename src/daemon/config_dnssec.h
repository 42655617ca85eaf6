/*
 * Signing policies of a configuration, and the zones that name them.
 */
#ifndef RRDNS_DAEMON_CONFIG_DNSSEC_H
#define RRDNS_DAEMON_CONFIG_DNSSEC_H

#include "base/diag.h"
#include "daemon/config.h"
#include "daemon/config_walk.h"
#include "daemon/config_zones.h"

/* A policy's keys. */
extern const struct schema config_policy;

/* For the map of policies, when all of it is good: fills policies of the struct config. */
void config_take_policies(struct walk *walk, const json_t *value, size_t line);

/* Gives listed zones the policies they name; a name that there is not is told as a fault. */
void config_find_policies(struct zone_entries *entries, const struct config *config,
                          struct diag *diag);

void config_free_policies(struct config *config);

#endif

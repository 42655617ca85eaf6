/*
 * Targets: the names in NS, MX, SRV and other RDATA, resolved to the nodes whose addresses go into
 * the additional section. Needs the finished tree, since a target may come after what names it.
 */
#ifndef RRDNS_ZONE_ZONE_TARGETS_H
#define RRDNS_ZONE_ZONE_TARGETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/record_sort.h"
#include "zone/zone.h"

struct zone_targets {
    struct zone *zone;             /* complete but for this, not sealed yet */
    const struct records *records; /* for the places in messages */
    const struct sort_item *items; /* sorted owners */
    size_t owners;
    struct diag *diag;
};

/*
 * Fills the target lists of the RRsets of count nodes, given by ref. Warns of glue that is missing
 * and of targets that are CNAMEs. Returns 0 or RR_ENOMEM.
 */
int zone_targets_resolve(const struct zone_targets *targets, const arena_ref *nodes, size_t count);

#endif

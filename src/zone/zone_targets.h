/*
 * Targets: the names in NS, MX, SRV and other RDATA, resolved to the nodes whose addresses go into
 * the additional section. Needs the finished tree, since a target may come after what names it.
 */
#ifndef RRDNS_ZONE_ZONE_TARGETS_H
#define RRDNS_ZONE_ZONE_TARGETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/records.h"
#include "zone/zone.h"

/* Where the record of a target was read: one for each struct rrset_target of a node, in order. */
struct target_place {
    arena_ref node;
    uint32_t file; /* records_file's index */
    uint32_t line;
};

/*
 * Fills the targets that these places are of, in zone, which is complete but for them and not sealed
 * yet; those of a node must all be there. Warns of glue that is missing and of targets that are
 * CNAMEs; records knows the files. Several threads may work on different nodes.
 */
void zone_targets_resolve(struct zone *zone, const struct records *records,
                          const struct target_place *places, size_t count, struct diag *diag);

#endif

/*
 * Records -> zone image: sorts them, checks what makes a zone (RFC 1035 section 5.2 and the rules
 * of CNAME, DNAME, SOA), resolves everything that answers would otherwise have to search for.
 */
#ifndef RRDNS_ZONE_ZONE_BUILD_H
#define RRDNS_ZONE_ZONE_BUILD_H

#include "base/diag.h"
#include "zone/records.h"
#include "zone/zone.h"

/*
 * Builds the zone that records make, with up to so many threads, the caller's included. Records
 * are taken out of the list on the way, so that the memory they need becomes the zone's; the
 * (empty) list stays the caller's. Returns 0 and *zone, one reference, the caller's; RR_EINVAL where
 * there were faults; RR_ENOMEM, also where the zone's image would be over 32 GiB. diag tells faults
 * and warnings with file and line, the same and in the same order however many threads there are.
 */
int zone_build(struct records *records, size_t threads, struct diag *diag, struct zone **zone);

/*
 * The same for one zone after another: a builder keeps the memory that building small ones takes.
 * Used by one thread at a time. NULL: no memory.
 */
struct zone_builder;
struct zone_builder *zone_builder_new(void);
void zone_builder_free(struct zone_builder *builder);
int zone_builder_build(struct zone_builder *builder, struct records *records, size_t threads,
                       struct diag *diag, struct zone **zone);

#endif

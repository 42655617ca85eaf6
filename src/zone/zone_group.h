/*
 * All records of one owner: brought together from where they stood in the file, checked against the
 * rules for what may stand at one name, and made into RRsets.
 */
#ifndef RRDNS_ZONE_ZONE_GROUP_H
#define RRDNS_ZONE_ZONE_GROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/record_sort.h"
#include "zone/rrset_build.h"

/* Used for one owner after another. A zeroed one with records and diag set is ready. */
struct zone_group {
    const struct records *records;
    struct diag *diag;
    const struct sort_item *items; /* the owners whose records these are */
    size_t owners;
    const struct record **list; /* by type, signatures by the type they cover; those alike in the
                                   order read */
    size_t count, room;
    struct rrset_builder built; /* the RRsets, as they will stand in the node */
    uint16_t rrsets;            /* in it */
    uint64_t records_kept;      /* over all owners so far */
    bool no_memory;
};

/* Takes the records of count sorted items, all of one name. False: no memory. */
bool zone_group_gather(struct zone_group *group, const struct sort_item *items, size_t count);

/* The file that a record of the list was read from, by its index. */
uint32_t zone_group_file(const struct zone_group *group, const struct record *record);

/* The first record of a type, or NULL. */
const struct record *zone_group_find(const struct zone_group *group, uint16_t type);

/* Checks the records and builds their RRsets into built.body; duplicates leave the list. Faults and
 * warnings go to diag. */
void zone_group_build(struct zone_group *group, const struct record_owner *owner,
                      const struct rrset_owner *place);

void zone_group_free(struct zone_group *group);

#endif

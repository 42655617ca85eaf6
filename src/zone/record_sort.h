/*
 * Sorting owners by key: canonical order, owners of one name in the order they were read.
 */
#ifndef RRDNS_ZONE_RECORD_SORT_H
#define RRDNS_ZONE_RECORD_SORT_H

#include <stddef.h>
#include <stdint.h>

#include "zone/records_list.h"

struct sort_item {
    uint64_t prefix; /* eight symbols of the key; scratch of the sort */
    const struct record_owner *owner;
};

/* Sorts in place; spare has room for count items too. */
void record_sort(struct sort_item *items, struct sort_item *spare, size_t count);

#endif

/*
 * Whether an arena that came from outside holds a zone.
 */
#ifndef RRDNS_ZONE_IMAGE_CHECK_H
#define RRDNS_ZONE_IMAGE_CHECK_H

#include <stddef.h>

#include "zone/zone.h"

struct image_fault {
    const char *reason; /* static text */
    size_t at;          /* octet of the arena: of what is wrong, or of the node that has it */
};

/*
 * Checks zone->arena and, where it is good, sets zone->head and zone->radix. After that everything
 * in zone.h, answers and their rendering stay in bounds and come to an end, for any name and type.
 * Returns 0; RR_EFORMAT with *fault; RR_ENOMEM. One pass, on up to `threads` threads where the
 * zone is large; takes a 64th of the arena's size while it runs, and 4 octets for each node that
 * has targets.
 */
int image_check(struct zone *zone, size_t threads, struct image_fault *fault);

#endif

/*
 * The zones that fuzz targets ask and change: small, and with something of everything that answers
 * can be made of.
 */
#ifndef RRDNS_TESTS_FUZZ_ZONES_H
#define RRDNS_TESTS_FUZZ_ZONES_H

#include <stddef.h>

#include "zone/zone.h"

enum {
    FUZZ_ZONES_SMALL = 7, /* these come first, with a few dozen nodes at most */
    FUZZ_ZONES = 10,
    FUZZ_ZONE_DEAD = 9, /* to be taken out of the world: a zone that did not load */
};

/* One of them, made anew from its master file; ends the program where that fails. */
struct zone *fuzz_zone(size_t index);
/* The same of any text and apex. */
struct zone *fuzz_zone_of(const char *apex, const char *text);

#endif

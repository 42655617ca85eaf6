/*
 * Zone image -> master file text: one record a line, names absolute, the SOA first and then all in
 * canonical order. Loading the text makes the same zone again.
 */
#ifndef RRDNS_ZONE_DUMP_H
#define RRDNS_ZONE_DUMP_H

#include <stdio.h>

#include "zone/zone.h"

/* Returns 0; RR_EIO where out could not be written (errno says why); RR_ENOMEM. */
int zone_dump(const struct zone *zone, FILE *out);

#endif

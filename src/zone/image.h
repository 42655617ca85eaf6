/*
 * The file form of a zone: its arena as it is, behind a header that says what it is.
 */
#ifndef RRDNS_ZONE_IMAGE_H
#define RRDNS_ZONE_IMAGE_H

#include "base/diag.h"
#include "zone/zone.h"

/*
 * Writes the zone to path, under a temporary name first, so that path never holds half an image.
 * Returns 0, or RR_EIO with errno set.
 */
int image_write(const struct zone *zone, const char *path);

/*
 * Reads an image into memory of its own. Nothing in the file is trusted: header, checksum and
 * every offset, size, name and RDATA length in it are checked, so that lookups and answers from the
 * zone stay in bounds whatever the file held. Returns 0 and *zone (one reference, the caller's);
 * RR_EIO with errno set; RR_EFORMAT with the reason in diag; RR_ENOMEM.
 */
int image_read(const char *path, struct zone **zone, struct diag *diag);

/* The same for an image in memory (tests, fuzzing); data is copied. name is for messages. */
int image_parse(const char *name, const void *data, size_t size, struct zone **zone,
                struct diag *diag);

#endif

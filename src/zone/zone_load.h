/*
 * Master file -> records -> zone image (RFC 1035 section 5, with $TTL of RFC 2308, $GENERATE,
 * unknown types of RFC 3597).
 */
#ifndef RRDNS_ZONE_ZONE_LOAD_H
#define RRDNS_ZONE_ZONE_LOAD_H

#include "base/diag.h"
#include "zone/records.h"
#include "zone/source.h"
#include "zone/zone.h"
#include "zone/zone_build.h"

/*
 * What a thread that loads one zone after another keeps between them: memory, as much as small
 * zones need, and the directory that they are in. A zeroed one is ready.
 */
struct zone_scratch {
    struct source_directory directory;
    struct source_text text;
    struct records *records;
    struct zone_builder *builder;
};
void zone_scratch_free(struct zone_scratch *scratch);

/*
 * Scans the master file at path, and what it includes, into records. apex is the zone's name and
 * the first $ORIGIN. A large text is read by up to so many threads. Goes on after a fault, with the
 * next entry, so that diag tells all of them. Every file read, or tried, is added to sources.
 * Returns 0; RR_EINVAL where there were faults (diag tells them); RR_EIO where the file can't be
 * read; RR_EFORMAT, and diag tells nothing, where it is no text but a zone image (image.h);
 * RR_ENOMEM.
 */
int zone_scan_file(const char *path, const uint8_t *apex, size_t threads, struct records *records,
                   struct source_list *sources, struct diag *diag);

/* The same with directory and text of a scratch. */
int zone_scan_next(struct zone_scratch *scratch, const char *path, const uint8_t *apex,
                   size_t threads, struct records *records, struct source_list *sources,
                   struct diag *diag);

/*
 * The same over text in memory (tests, fuzzing): name stands for the path in messages and is what
 * $INCLUDE is relative to. text need not end in a newline or NUL.
 */
int zone_scan_text(const char *name, const char *text, size_t size, const uint8_t *apex,
                   size_t threads, struct records *records, struct source_list *sources,
                   struct diag *diag);

/*
 * Scans and builds. Returns 0 and *zone (one reference, the caller's), or an error as above, or
 * any of zone_build; diag tells faults and warnings.
 */
int zone_load(struct zone_scratch *scratch, const char *path, const uint8_t *apex, size_t threads,
              struct zone **zone, struct source_list *sources, struct diag *diag);

#endif

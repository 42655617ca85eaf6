#include "zone/zone_load.h"

#include <stdlib.h>

#include "base/err.h"

enum { TEXT_KEPT = 64 * 1024 }; /* octets: a larger text's memory is not kept */

void zone_scratch_free(struct zone_scratch *scratch)
{
    source_directory_close(&scratch->directory);
    source_text_free(&scratch->text);
    records_free(scratch->records);
    zone_builder_free(scratch->builder);
    *scratch = (struct zone_scratch){0};
}

/* Makes records and builder ready for a zone. */
static int prepare(struct zone_scratch *scratch, const uint8_t *apex)
{
    if (scratch->records == NULL) {
        scratch->records = records_new(apex);
    } else {
        records_renew(scratch->records, apex);
    }
    if (scratch->builder == NULL) {
        scratch->builder = zone_builder_new();
    }
    return scratch->records != NULL && scratch->builder != NULL ? RR_OK : RR_ENOMEM;
}

int zone_load(struct zone_scratch *scratch, const char *path, const uint8_t *apex, size_t threads,
              struct zone **zone, struct source_list *sources, struct diag *diag)
{
    *zone = NULL;
    int error = prepare(scratch, apex);
    if (error == RR_OK) {
        error = zone_scan_next(scratch, path, apex, threads, scratch->records, sources, diag);
    }
    if (scratch->text.room > TEXT_KEPT) {
        source_text_free(&scratch->text);
    }
    if (error == RR_OK) {
        error = zone_builder_build(scratch->builder, scratch->records, threads, diag, zone);
    }
    return error;
}

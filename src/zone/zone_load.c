#include "zone/zone_load.h"

#include "base/err.h"
#include "zone/zone_build.h"

int zone_load(const char *path, const uint8_t *apex, size_t threads, struct zone **zone,
              struct source_list *sources, struct diag *diag)
{
    *zone = NULL;
    struct records *records = records_new(apex);
    if (records == NULL) {
        return RR_ENOMEM;
    }
    int error = zone_scan_file(path, apex, threads, records, sources, diag);
    if (error == RR_OK) {
        error = zone_build(records, threads, diag, zone);
    }
    records_free(records);
    return error;
}

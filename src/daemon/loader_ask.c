/*
 * What the loader tells of zones: copies, made under its lock, for any thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "daemon/loader.h"
#include "daemon/loader_own.h"

void loader_totals(struct loader *loader, size_t *zones, size_t *serving, uint64_t *generation)
{
    pthread_mutex_lock(&loader->lock);
    *zones = loader->table.count;
    *serving = loader->serving;
    *generation = loader->generation;
    pthread_mutex_unlock(&loader->lock);
}

static void tell(const struct loader_entry *entry, struct loader_zone_info *info)
{
    memset(info, 0, sizeof *info);
    memcpy(info->name, entry->name, name_size(entry->name));
    info->slot = entry->slot->number;
    info->serving = entry->serving;
    info->from_image = entry->from_image;
    info->is_signed = entry->signing != NULL || entry->signed_in_file;
    info->serial = entry->serial;
    info->records = entry->records;
    info->nodes = entry->nodes;
    info->bytes = entry->bytes;
    info->loaded_at = entry->loaded_at;
    snprintf(info->file, sizeof info->file, "%s", entry->file);
    if (entry->last_error != NULL) {
        snprintf(info->last_error, sizeof info->last_error, "%s", entry->last_error);
    }
    info->queries_base = entry->slot->queries;
    info->nxdomain_base = entry->slot->nxdomain;
    info->bytes_base = entry->slot->bytes;
}

int loader_zone_info(struct loader *loader, const uint8_t *name, struct loader_zone_info *info)
{
    pthread_mutex_lock(&loader->lock);
    bool known;
    size_t position = loader_table_find(&loader->table, name, &known);
    if (known) {
        tell(loader->table.entries[position], info);
    }
    pthread_mutex_unlock(&loader->lock);
    return known ? RR_OK : RR_ENOENT;
}

bool loader_signing(struct loader *loader, const uint8_t *name,
                    void (*show)(void *context, const struct signing *signing), void *context)
{
    pthread_mutex_lock(&loader->lock);
    bool known;
    size_t position = loader_table_find(&loader->table, name, &known);
    const struct signing *signing = known ? loader->table.entries[position]->signing : NULL;
    if (signing != NULL) {
        show(context, signing);
    }
    pthread_mutex_unlock(&loader->lock);
    return signing != NULL;
}

size_t loader_each(struct loader *loader, const uint8_t *after, size_t limit,
                   void (*each)(void *context, const struct loader_zone_info *info), void *context)
{
    struct loader_zone_info info;
    pthread_mutex_lock(&loader->lock);
    size_t position = 0;
    if (after != NULL) {
        bool exact;
        position = loader_table_find(&loader->table, after, &exact);
        position += exact;
    }
    size_t told = 0;
    while (told < limit && position < loader->table.count) {
        tell(loader->table.entries[position++], &info);
        each(context, &info);
        told++;
    }
    pthread_mutex_unlock(&loader->lock);
    return told;
}

const struct counters *loader_counters(const struct loader *loader)
{
    return &loader->counters;
}

/*
 * Results are made while the job can still be given up, since a list of 200,000 zones may not
 * find memory.
 */
#include "daemon/loader_result.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/name.h"

void loader_name_text(const uint8_t *name, char *text)
{
    size_t length = name_to_text(name, text);
    if (length > 1) {
        text[length - 1] = '\0';
    }
}

void loader_result_free(struct loader_result *result)
{
    for (size_t i = 0; i < result->count; i++) {
        diag_clear(&result->zones[i].diag);
    }
    free(result->zones);
    free(result->names);
    diag_clear(&result->diag);
    *result = (struct loader_result){0};
}

/* Whether the item is told of by itself. What is unchanged may have a warning too: of its keys. */
static bool is_listed(const struct loader_plan *plan, const struct loader_item *item)
{
    return plan->named || item->outcome != LOADER_UNCHANGED || item->diag.kept > 0;
}

/* Copies a name to the end of names; what comes behind it goes there next. */
static uint8_t *put_name(struct loader_zone_result *zone, const uint8_t *name, uint8_t *names)
{
    size_t size = name_size(name);
    zone->name = memcpy(names, name, size);
    return names + size;
}

static size_t names_size(const struct loader_result *result)
{
    size_t octets = 0;
    for (size_t i = 0; i < result->count; i++) {
        octets += name_size(result->zones[i].name);
    }
    return octets;
}

/* Gives the result copies of its zones' names, in names, which is large enough. */
static void take_names(struct loader_result *result, uint8_t *names)
{
    result->names = names;
    for (size_t i = 0; i < result->count; i++) {
        names = put_name(&result->zones[i], result->zones[i].name, names);
    }
}

int loader_result_new(struct loader_plan *plan, struct loader_result *result)
{
    size_t outcomes[4] = {0}, from_images = 0, listed = 0, octets = 0;
    for (size_t i = 0; i < plan->count; i++) {
        const struct loader_item *item = &plan->items[i];
        outcomes[item->outcome]++;
        from_images += item->from_image;
        if (is_listed(plan, item)) {
            listed++;
            octets += name_size(item->entry->name);
        }
    }
    *result = (struct loader_result){
        .loaded = outcomes[LOADER_LOADED],
        .unchanged = outcomes[LOADER_UNCHANGED],
        .failed = outcomes[LOADER_FAILED],
        .removed = outcomes[LOADER_REMOVED],
        .from_images = from_images,
        .zones = calloc(listed > 0 ? listed : 1, sizeof *result->zones),
        .names = malloc(octets > 0 ? octets : 1),
    };
    if (result->zones == NULL || result->names == NULL) {
        return RR_ENOMEM;
    }
    uint8_t *names = result->names;
    for (size_t i = 0; i < plan->count; i++) {
        struct loader_item *item = &plan->items[i];
        if (!is_listed(plan, item)) {
            continue;
        }
        struct loader_zone_result *zone = &result->zones[result->count++];
        names = put_name(zone, item->entry->name, names);
        zone->outcome = item->outcome;
        zone->milliseconds = item->milliseconds;
        zone->diag = item->diag;
        item->diag = (struct diag){0};
        const struct zone *now = item->outcome == LOADER_LOADED    ? item->zone
                                 : item->outcome == LOADER_REMOVED ? NULL
                                                                   : item->served;
        if (now != NULL) {
            zone->serial = now->head->serial;
            zone->records = now->head->records;
        }
    }
    return RR_OK;
}

void loader_result_add(struct loader_result *result, struct loader_result *early)
{
    if (early->count == 0) {
        loader_result_free(early);
        return; /* nearly always, and the list may be of 200,000 zones */
    }
    struct loader_zone_result *zones =
        calloc(result->count + early->count + 1, sizeof *result->zones);
    uint8_t *names = malloc(names_size(result) + names_size(early));
    if (zones == NULL || names == NULL) {
        free(zones);
        free(names);
        zones = NULL;
    }
    size_t at = 0, count = 0;
    for (size_t i = 0; i < early->count; i++) {
        struct loader_zone_result *zone = &early->zones[i];
        if (zone->outcome != LOADER_LOADED) {
            continue; /* the job came to that itself */
        }
        while (at < result->count && loader_name_compare(result->zones[at].name, zone->name) < 0) {
            if (zones != NULL) {
                zones[count++] = result->zones[at];
            }
            at++;
        }
        if (at < result->count && name_equal(result->zones[at].name, zone->name)) {
            struct loader_zone_result *again = &result->zones[at];
            if (again->outcome == LOADER_UNCHANGED) {
                again->outcome = LOADER_LOADED;
                result->loaded++;
                result->unchanged--;
            }
            continue; /* else it has changed once more */
        }
        result->loaded++;
        result->unchanged--;
        if (zones != NULL) {
            zones[count++] = *zone;
            zone->diag = (struct diag){0};
        }
    }
    if (zones != NULL) {
        memcpy(zones + count, result->zones + at, (result->count - at) * sizeof *zones);
        result->count = count + result->count - at;
        free(result->zones);
        result->zones = zones;
        uint8_t *before = result->names;
        take_names(result, names);
        free(before);
    }
    loader_result_free(early);
}

static bool diag_copy(const struct diag *from, struct diag *to)
{
    *to = (struct diag){0};
    for (size_t i = 0; i < from->kept; i++) {
        diag_add(to, from->entries[i].severity, NULL, 0, "%s", from->entries[i].text);
    }
    bool whole = to->kept == from->kept;
    to->faults = from->faults;
    to->warnings = from->warnings;
    return whole;
}

struct loader_result loader_result_copy(const struct loader_result *from)
{
    struct loader_result to = *from;
    to.count = 0;
    to.zones = calloc(from->count > 0 ? from->count : 1, sizeof *to.zones);
    to.names = malloc(names_size(from) + 1);
    bool whole = diag_copy(&from->diag, &to.diag) && to.zones != NULL && to.names != NULL;
    while (whole && to.count < from->count) {
        struct loader_zone_result *zone = &to.zones[to.count];
        *zone = from->zones[to.count];
        whole = diag_copy(&from->zones[to.count++].diag, &zone->diag);
    }
    if (!whole) {
        struct loader_result numbers = to;
        loader_result_free(&to);
        numbers.diag = (struct diag){0};
        numbers.count = 0;
        numbers.zones = NULL;
        numbers.names = NULL;
        return numbers;
    }
    take_names(&to, to.names);
    return to;
}

/*
 * The loader: which zones are served, where they come from, and the only place where worlds are
 * made and published. It owns all bookkeeping about zones; workers see just the finished world.
 *
 * Loading runs on threads of its own: a coordinator that takes one job at a time, and helpers for
 * the zones of a job (at low priority, so that they give way to workers). Results tell all there is
 * to say; only what no job waits for, the writing of images and the following of keys' times, logs
 * for itself.
 */
#ifndef RRDNS_DAEMON_LOADER_H
#define RRDNS_DAEMON_LOADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "base/diag.h"
#include "daemon/config.h"
#include "world/publish.h"
#include "world/world.h"

enum loader_outcome { LOADER_LOADED, LOADER_UNCHANGED, LOADER_FAILED, LOADER_REMOVED };

struct loader_zone_result {
    const uint8_t *name; /* wire form, in the result's names */
    enum loader_outcome outcome;
    uint32_t serial; /* in service now, where there is one */
    size_t records;
    int64_t milliseconds; /* that loading took */
    struct diag diag;     /* faults and warnings */
};

/* What a job came to. LOADED, FAILED and REMOVED zones are listed one by one, in name order;
 * UNCHANGED ones too where they were asked for by name, else only counted. */
struct loader_result {
    int error; /* 0; RR_ENOMEM, RR_ELIMIT (too many zones), RR_ESTATE (the loader ends): then
                  nothing has changed, and the rest is zero */
    size_t loaded, unchanged, failed, removed;
    size_t from_images; /* of those loaded */
    struct diag diag;   /* of the cache of images: warnings */
    size_t count;
    struct loader_zone_result *zones;
    uint8_t *names; /* those of zones, one behind the other */
    int64_t milliseconds;
};
void loader_result_free(struct loader_result *result);

/* A zone as `rrdnsctl zone` shows it. */
struct loader_zone_info {
    uint8_t name[255];
    uint32_t slot;
    bool serving;    /* some version of it is in service */
    bool from_image; /* which came from image_directory, not from its master file */
    bool is_signed;  /* here, or in its file */
    uint32_t serial;
    uint64_t records, nodes, bytes;
    int64_t loaded_at; /* wall seconds */
    char file[1024];
    char last_error[512];                             /* "" where the last load went well */
    uint64_t queries_base, nxdomain_base, bytes_base; /* what the slot had counted before it */
};

struct loader;

/*
 * Makes a loader and loads all zones of config, on several threads, before it returns; the first
 * world, with these settings (copied), is published to *publisher (which it initialises). Zones
 * that fail are in the world without data. Returns 0, RR_ENOMEM, or RR_ELIMIT (too many zones);
 * *result (may be NULL) is the caller's to free.
 */
int loader_new(const struct config *config, const struct settings *settings,
               struct publisher *publisher, struct loader **loader, struct loader_result *result);

/*
 * Stops and joins the loader's threads: what runs is given up after the zone it is at, what
 * waits is not begun; done is called for each with RR_ESTATE. The last world stays in the
 * publisher; the caller frees it when its readers have ended. NULL is harmless.
 */
void loader_free(struct loader *loader);

/*
 * Tells how to read what a slot has counted, so that a zone that gets the slot of a removed one
 * starts from there. Called from within loader_reload, on its caller's thread, with the
 * loader's lock held. Without it slots of removed zones are not used again. (Workers write their
 * cells and the loader knows no net: the caller has net_zone_counts.)
 */
typedef void loader_slot_counts(void *context, uint32_t slot, uint64_t *queries, uint64_t *nxdomain,
                                uint64_t *bytes);
void loader_set_slot_counts(struct loader *loader, loader_slot_counts *counts, void *context);

/* Called once, from the coordinator thread, when a job is done. What *result holds is the callee's
 * to free (loader_result_free); the struct itself is gone after the call, to be copied where it is
 * wanted longer. */
typedef void loader_done(void *context, struct loader_result *result);

/*
 * Queues a reload: of the zones in config (taken over by value of what it needs; config stays the
 * caller's and may be freed after the call), all whose content changed, new and removed ones
 * included. settings (copied) go out with the world that this publishes, also where no zone
 * changed; NULL keeps those in force. Where names is not NULL, of just those zones, as the loader
 * knows them: config is then not read and may be NULL. Returns 0; RR_ENOENT where a name is not
 * configured (none is then loaded); RR_ENOMEM. done is called when every worker serves the
 * outcome.
 */
int loader_reload(struct loader *loader, const struct config *config,
                  const struct settings *settings, const uint8_t *const *names, size_t count,
                  loader_done *done, void *context);

/*
 * Says that the file, from which the zone of that name is loaded, seems to have changed: the next
 * reload of all zones loads it, and puts it in service, before it looks at the others. No more than
 * that depends on it; hints past the first few, or about what isn't so, are forgotten.
 */
void loader_hint(struct loader *loader, const uint8_t *name, const char *file);

/* Number of zones configured and of those in service; generation of the current world. */
void loader_totals(struct loader *loader, size_t *zones, size_t *serving, uint64_t *generation);

/* Copies what is known of a zone: 0 or RR_ENOENT. Any thread. */
int loader_zone_info(struct loader *loader, const uint8_t *name, struct loader_zone_info *info);

/* Calls show with how a zone is signed here, under the loader's lock: false, and no call, where it is
 * not. Any thread. */
bool loader_signing(struct loader *loader, const uint8_t *name,
                    void (*show)(void *context, const struct signing *signing), void *context);

/*
 * Calls each for up to limit zones in name order, beginning with the first after the name `after`
 * (NULL: the first of all), under the loader's lock. Returns how many: fewer than limit at the
 * end. So a list of 200,000 zones is made piece by piece. Any thread.
 */
size_t loader_each(struct loader *loader, const uint8_t *after, size_t limit,
                   void (*each)(void *context, const struct loader_zone_info *info), void *context);

/* A zone's name as people and JSON get it, without the final dot but for the root's; text has
 * room for NAME_MAX_TEXT. */
void loader_name_text(const uint8_t *name, char *text);

/* Counters of loading (reloads_ok, zones_loaded, ...); written by the coordinator. */
const struct counters *loader_counters(const struct loader *loader);

#endif

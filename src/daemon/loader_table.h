/*
 * What the loader knows of each configured zone, and the plan of a job: which zones it looks at.
 * The loader's own; others see loader.h.
 */
#ifndef RRDNS_DAEMON_LOADER_TABLE_H
#define RRDNS_DAEMON_LOADER_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "daemon/config.h"
#include "daemon/loader.h"
#include "dnssec/signing.h"
#include "world/world.h"
#include "zone/source.h"
#include "zone/zone.h"

/* A slot of per-zone counters, held by a zone or kept for the next one. */
struct loader_slot {
    struct loader_slot *next;
    uint32_t number;
    uint64_t queries, nxdomain, bytes; /* counted before the zone that holds it */
};

/* Where slots for new zones come from: those kept, then numbers never used. */
struct loader_slots {
    struct loader_slot *spare;
    uint32_t used; /* numbers ever given out are below this */
};

/* Returns 0, RR_ELIMIT, RR_ENOMEM. */
int loader_slots_take(struct loader_slots *slots, struct loader_slot **slot);
void loader_slots_give(struct loader_slots *slots, struct loader_slot *slot);
void loader_slots_free(struct loader_slots *slots);

struct loader_policy; /* loader_sign.h */

/*
 * A configured zone. Changed by the coordinator alone, under the loader's lock, so that others may
 * read it with the lock and the coordinator without; but sources, which only the coordinator and
 * the helper that has the zone in hand look at.
 */
struct loader_entry {
    struct loader_slot *slot;
    char *file;
    bool serving;
    uint32_t serial;
    uint64_t records, nodes, bytes;
    int64_t loaded_at;          /* wall seconds */
    bool from_image;            /* what is in service came from an image of the cache */
    bool signed_in_file;        /* what is in service has its signatures in its file */
    bool imaged;                /* an image of its own need not be written: the coordinator's */
    char *last_error;           /* NULL where the last load went well */
    struct source_list sources; /* of the version in service */
    struct loader_policy *policy; /* NULL: not signed */
    struct signing *signing;      /* of the version in service; NULL: it is not signed here */
    uint8_t name[];             /* wire form, as configured */
};

/* NULL where there is no memory. */
struct loader_entry *loader_entry_new(const uint8_t *name, const char *file);
/* Frees all but the slot. NULL is harmless. */
void loader_entry_free(struct loader_entry *entry);

/* Configured zones, as the index of the world has them. */
struct loader_table {
    size_t count;
    struct loader_entry **entries; /* in canonical order of names: by index position */
    uint32_t *order;               /* position of the zone that is nth in the configuration */
    struct zone_index *index;
};

/* Frees the table itself and its reference to the index, not the entries. */
void loader_table_clear(struct loader_table *table);

/* Canonical order of two wire names: negative, zero, positive. */
int loader_name_compare(const uint8_t *a, const uint8_t *b);

/* Position of the first zone whose name is not before this one; *exact tells whether it is it. */
size_t loader_table_find(const struct loader_table *table, const uint8_t *name, bool *exact);

/* Zones wanted by a configuration, by value: names and files are part of one block. */
struct loader_wish {
    const uint8_t *name;
    const char *file;
    struct loader_policy *policy; /* one of the wishes', or NULL */
};
struct loader_wishes {
    size_t count;
    struct loader_wish *zones;
    size_t policies;
    struct loader_policy **policy;
};
/* Returns 0 or RR_ENOMEM. */
int loader_wishes_new(const struct config *config, struct loader_wishes *wishes);
void loader_wishes_free(struct loader_wishes *wishes);

/* A zone that a job looks at, and what became of it. */
struct loader_item {
    struct loader_entry *entry;
    const char *file;    /* to be loaded from; NULL: the zone is no longer wanted */
    struct loader_policy *policy; /* NULL: not to be signed; no reference */
    bool keys_only;      /* the file is not looked at: the time of its keys has come */
    bool followed;       /* and that is in force now */
    struct zone *served; /* the version in service; NULL: none. No reference. */
    uint32_t position;   /* in the new table */
    bool fresh;          /* the entry was made by this plan */
    bool from_image;     /* the cache had it: LOADED, nothing more to be done */
    bool image_current;  /* and has it as it would be written now */
    enum loader_outcome outcome;
    struct zone *zone;          /* LOADED: the new version, its reference the item's */
    bool resigned;              /* signing is the new one, NULL where it is to be signed no more */
    struct signing *signing;    /* its reference the item's */
    struct source_list sources; /* of it */
    int64_t milliseconds;       /* that loading took */
    struct diag diag;
    char *new_file;  /* for the entry, where it changes */
    char *new_error; /* FAILED: for the entry */
};

struct loader_plan {
    bool named;      /* of zones asked for by name */
    bool same_names; /* table is the one in force */
    struct loader_table table;
    size_t count; /* items, in canonical order of names */
    struct loader_item *items;
};

/*
 * Plans: of all zones in wishes; or of those of names, which no longer configured ones are left
 * out of. world is the one in force (NULL: none yet) and table its. Returns 0, RR_ENOMEM,
 * RR_ELIMIT, RR_EEXIST.
 */
int loader_plan_all(const struct loader_table *table, const struct world *world,
                    const struct loader_wishes *wishes, struct loader_slots *slots,
                    struct loader_plan *plan);
int loader_plan_named(const struct loader_table *table, const struct world *world,
                      const uint8_t *const *names, size_t count, struct loader_plan *plan);
/* Of the zones whose keys' time has come; their files are not looked at. */
int loader_plan_due(const struct loader_table *table, const struct world *world, int64_t now,
                    struct loader_plan *plan);

/*
 * Frees the plan with all that its items hold. undo: it did not come into force, so that entries
 * it made, their slots and its table go too.
 */
void loader_plan_free(struct loader_plan *plan, struct loader_slots *slots, bool undo);

#endif

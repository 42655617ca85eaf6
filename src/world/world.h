/*
 * The world: all that workers need to answer, as one immutable object behind one atomic pointer.
 *
 * A world is a table of zones (found by longest apex) and the settings that go with it. The sorted
 * names and the search tree over them are an index of their own, shared between worlds
 * as long as the set of zones is the same: exchanging one zone among 200,000 copies a table of
 * pointers, no more. Zones are shared by counts that only the loader touches.
 */
#ifndef RRDNS_WORLD_WORLD_H
#define RRDNS_WORLD_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dnssec/signing.h"
#include "zone/zone.h"

enum {
    WORLD_ZONES_MAX = 1 << 20, /* per-zone counter cells are reserved for so many */
    WORLD_NONE = UINT32_MAX,
};

/* The names of all zones and the tree over them. */
struct zone_index;

/* What is forwarded (world/routes.h). */
struct routes;

/*
 * names: count wire names, in any order, without duplicates. Returns 0; RR_EEXIST for a duplicate;
 * RR_ELIMIT above WORLD_ZONES_MAX; RR_ENOMEM. order[i] tells at which position of the index (and
 * of world.zones) names[i] stands.
 */
int zone_index_new(const uint8_t *const *names, size_t count, uint32_t *order,
                   struct zone_index **index);
struct zone_index *zone_index_ref(struct zone_index *index);
void zone_index_unref(struct zone_index *index);
size_t zone_index_count(const struct zone_index *index);
/* Wire name (lower case) of the zone at a position. */
const uint8_t *zone_index_name(const struct zone_index *index, uint32_t position);
/* Symbols in its key. */
uint16_t zone_index_key_size(const struct zone_index *index, uint32_t position);
/* Position of the longest name at or above that of key, or WORLD_NONE. */
uint32_t zone_index_locate(const struct zone_index *index, const struct key *key);

/* Settings of the server that answers depend on. Text is owned by the settings. */
struct settings {
    uint16_t udp_payload_max;
    uint8_t nsid[128];
    uint8_t nsid_size;
    char version[256];   /* for version.bind and version.server; "": refused */
    char hostname[256];  /* for hostname.bind and id.server; "": refused */
    bool cookies;
    uint8_t cookie_secret[16];       /* makes and checks */
    uint8_t cookie_secret_before[16]; /* still checks, after a change of secret */
    uint16_t tcp_keepalive;          /* idle time told to clients, in units of 100 ms */
    uint8_t loop_mark[8]; /* stands in what we ask upstream: who sees it come in, sees a loop */
    /* Of the daemon, which frees it when no world has it any more; NULL: nothing is forwarded. */
    const struct routes *routes;
};

/* A zone's place in a world. zone is NULL where it did not load: SERVFAIL. */
struct world_zone {
    struct zone *zone;
    struct signing *signing; /* how it is signed as it is asked; NULL: not at all */
    uint32_t slot; /* of its per-zone counters, the same over reloads */
};

struct world {
    uint32_t magic;
    uint64_t generation;      /* set by publication */
    uint64_t keys_generation; /* another one: keys may have gone that others before used */
    struct zone_index *index;
    struct world_zone *zones; /* by index position */
    struct settings settings;
    /*
     * A world over the same index that took the references to zones over, all but those that
     * differ, so that exchanging one zone among 200,000 need not touch the others. NULL: none.
     * Set before the heir is published, read when this world is freed; no worker looks at it.
     */
    const struct world *heir;
};

/* A world over index (a reference is taken) with all zones NULL and slots 0; NULL: no memory. */
struct world *world_new(struct zone_index *index, const struct settings *settings);
/* Gives back the references to the index and, but for those an heir took over, to all zones. NULL
 * is harmless. */
void world_free(struct world *world);

/* Position of the zone with the longest apex at or above the name, or WORLD_NONE. */
uint32_t world_locate(const struct world *world, const struct key *key);

/* The same for count names at once, searches interleaved. */
void world_locate_many(const struct world *world, const struct key *const *keys, size_t count,
                       uint32_t *positions);

/* Position of the nearest zone strictly above the one at position, or WORLD_NONE (DS at an
 * apex). */
uint32_t world_parent(const struct world *world, uint32_t position);

/* Position of the zone of exactly this wire name, or WORLD_NONE. */
uint32_t world_find(const struct world *world, const uint8_t *name);

#endif

/*
 * How the loader's zones are signed: policies by value, keys from their directories, and what the
 * passing of time asks for. The loader's own; others see loader.h.
 */
#ifndef RRDNS_DAEMON_LOADER_SIGN_H
#define RRDNS_DAEMON_LOADER_SIGN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/counters.h"
#include "daemon/loader_table.h"
#include "dnssec/desk.h"

/* A policy, shared by the wishes, entries and items of its zones. */
struct loader_policy {
    atomic_size_t references;
    struct dnssec_policy policy;
    bool makes_keys;
    struct keyset_directory *directory; /* of its keys, during a job; or NULL and why */
    struct diag fault;
};

/* Copies; NULL where there is no memory. */
struct loader_policy *loader_policy_new(const struct dnssec_policy *policy, bool makes_keys);
struct loader_policy *loader_policy_ref(struct loader_policy *policy); /* NULL stays NULL */
void loader_policy_unref(struct loader_policy *policy);                /* NULL is harmless */

/* Lists the directories that a plan needs, for loader_sign; and forgets them. */
void loader_sign_begin(struct loader_plan *plan);
void loader_sign_end(struct loader_plan *plan);

/*
 * Decides how the item's zone is signed, when its file has been looked at: reads its keys, makes one
 * where it has none, and sets signing and resigned where anything is otherwise than before. With
 * keys that can't be read, or a zone that is signed already, the item has failed. now is the wall
 * time. One zone is one thread's.
 */
void loader_sign(struct loader_item *item, int64_t now);

/* Whether the entry's keys have to be looked at again: a time that they name has come, or the clock
 * went back. */
bool loader_sign_is_due(const struct loader_entry *entry, int64_t now);

/* ---- Refreshing ---- */

struct loader_refresh {
    struct sign_desk *desk;   /* made when first needed */
    uint64_t keys_generation; /* of the world that its keys are of */
    size_t position;        /* of the zone in the table */
    uint64_t cursor;        /* in its signatures */
};

/*
 * Makes signatures anew whose time comes to an end: a few, to be called once a second. So what was
 * signed in one second is not signed again in one.
 */
void loader_refresh_step(struct loader_refresh *refresh, const struct loader_table *table,
                         uint64_t keys_generation, struct counters *counters, int64_t now);
void loader_refresh_free(struct loader_refresh *refresh);

#endif

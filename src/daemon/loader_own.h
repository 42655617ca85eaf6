/*
 * The loader's state, shared by its files; others see loader.h.
 */
#ifndef RRDNS_DAEMON_LOADER_OWN_H
#define RRDNS_DAEMON_LOADER_OWN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loader.h"
#include "daemon/loader_images.h"
#include "daemon/loader_job.h"
#include "daemon/loader_sign.h"
#include "daemon/loader_table.h"
#include "dns/name.h"

enum { HINTS_MAX = 64 }; /* where more have changed it is all one which come first */

struct loader {
    struct counters counters; /* the coordinator's */
    struct publisher *publisher;
    pthread_t coordinator;
    atomic_bool stop;

    /* The coordinator's own. */
    struct world *world; /* in force */
    struct loader_slots slots;
    struct loader_images *images;
    struct loader_refresh refresh;
    size_t signing;       /* zones of the table that are signed here */
    uint64_t next_second; /* when keys and signatures are looked at again: monotonic */

    pthread_mutex_t lock; /* of what follows; the coordinator reads table without it */
    pthread_cond_t wanted;
    struct loader_job *queue;
    struct loader_table table;
    size_t serving;
    uint64_t generation;
    size_t hints;
    struct hint {
        uint8_t name[NAME_MAX_OCTETS];
        char *file;
    } hint[HINTS_MAX];
    struct loader_slot *retired; /* used by no world any more, their counts not read yet */
    struct loader_slot *settled; /* their counts are read: to be used again */
    loader_slot_counts *slot_counts;
    void *slot_context;
};

#endif

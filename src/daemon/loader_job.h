/*
 * A job for the coordinator: what is to be reloaded, and who waits for it. The loader's own; others
 * see loader.h.
 */
#ifndef RRDNS_DAEMON_LOADER_JOB_H
#define RRDNS_DAEMON_LOADER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/loader_table.h"
#include "dns/name.h"

struct loader_waiter {
    struct loader_waiter *next;
    loader_done *done;
    void *context;
};

struct loader_job {
    struct loader_job *next;
    struct loader_waiter *waiters; /* the last that came is first */
    bool all;
    bool has_settings;
    struct settings settings;
    struct loader_wishes wishes; /* all */
    char *image_directory;       /* all; NULL: none */
    size_t count;                /* named */
    uint8_t (*names)[NAME_MAX_OCTETS];
};

/* A copy of what is given, as in loader_reload. NULL: no memory. */
struct loader_job *loader_job_new(const struct config *config, const struct settings *settings,
                                  const uint8_t *const *names, size_t count);
void loader_job_free(struct loader_job *job);

/* Makes the waiting job want what the newer one wants, and its waiters wait for both. */
void loader_job_merge(struct loader_job *job, struct loader_job *newer);

/* Tells everyone who waits for the job, who came first first, and frees it. */
void loader_job_done(struct loader_job *job, struct loader_result *result);

#endif

#include "daemon/loader_job.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/loader_result.h"

void loader_job_free(struct loader_job *job)
{
    while (job->waiters != NULL) {
        struct loader_waiter *next = job->waiters->next;
        free(job->waiters);
        job->waiters = next;
    }
    loader_wishes_free(&job->wishes);
    free(job->image_directory);
    free(job->names);
    free(job);
}

struct loader_job *loader_job_new(const struct config *config, const struct settings *settings,
                                  const uint8_t *const *names, size_t count)
{
    struct loader_job *job = calloc(1, sizeof *job);
    if (job == NULL) {
        return NULL;
    }
    job->all = names == NULL;
    job->has_settings = settings != NULL;
    if (settings != NULL) {
        memcpy(&job->settings, settings, sizeof *settings);
    }
    if (job->all) {
        bool images = config->image_directory != NULL && config->image_directory[0] != '\0';
        job->image_directory = images ? strdup(config->image_directory) : NULL;
        if ((images && job->image_directory == NULL) ||
            loader_wishes_new(config, &job->wishes) != RR_OK) {
            goto failed;
        }
        return job;
    }
    job->names = calloc(count > 0 ? count : 1, sizeof *job->names);
    if (job->names == NULL) {
        goto failed;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(job->names[i], names[i], name_size(names[i]));
    }
    job->count = count;
    return job;
failed:
    loader_job_free(job);
    return NULL;
}

void loader_job_merge(struct loader_job *job, struct loader_job *newer)
{
    struct loader_wishes wishes = job->wishes;
    job->wishes = newer->wishes;
    newer->wishes = wishes;
    char *image_directory = job->image_directory;
    job->image_directory = newer->image_directory;
    newer->image_directory = image_directory;
    if (newer->has_settings) {
        job->has_settings = true;
        memcpy(&job->settings, &newer->settings, sizeof job->settings);
    }
    newer->waiters->next = job->waiters;
    job->waiters = newer->waiters;
    newer->waiters = NULL;
    loader_job_free(newer);
}

void loader_job_done(struct loader_job *job, struct loader_result *result)
{
    struct loader_waiter *in_order = NULL;
    while (job->waiters != NULL) {
        struct loader_waiter *waiter = job->waiters;
        job->waiters = waiter->next;
        waiter->next = in_order;
        in_order = waiter;
    }
    job->waiters = in_order;
    for (struct loader_waiter *w = in_order; w != NULL; w = w->next) {
        struct loader_result its = w->next != NULL ? loader_result_copy(result) : *result;
        w->done(w->context, &its);
    }
    loader_job_free(job);
}

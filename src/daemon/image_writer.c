/*
 * A failure is told once, when it begins, and so is its end: a disk that is full stays so for a
 * while, and there are 256 shards.
 */
#include "daemon/image_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/loader_images.h"
#include "zone/image_pack.h"

enum { LOWEST_NICE = 19 };

struct image_writer {
    void (*done)(void *context);
    void *context;
    pthread_t thread;
    bool failing; /* the thread's own */

    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t wanted;
    struct image_shard *shard; /* NULL: idle */
    bool end;
    atomic_bool stop;
};

static void tell(struct image_writer *writer, const struct image_shard *shard, int error)
{
    if (error == RR_ESTATE || (error != RR_OK) == writer->failing) {
        return;
    }
    writer->failing = error != RR_OK;
    if (error == RR_OK) {
        log_info("%s: zone images are written again", shard->directory);
    } else {
        log_warning("%s: zone images can't be written: %s", shard->directory,
                    error == RR_EIO ? strerror(errno) : rr_strerror(error));
    }
}

static bool is_large(const struct image_shard_zone *zone)
{
    return zone->zone->arena.used >= LOADER_IMAGES_LARGE;
}

static void zone_file(const struct image_shard_zone *zone, char *name)
{
    struct image_hash hash = image_hash(zone->zone->head->apex_name);
    image_name_zone(&hash, name);
}

static int write_small(struct image_writer *writer, const struct image_shard *shard)
{
    struct image_pack_zone *zones = calloc(shard->count + 1, sizeof *zones);
    size_t count = 0;
    int error = zones != NULL ? RR_OK : RR_ENOMEM;
    for (size_t i = 0; i < shard->count && zones != NULL; i++) {
        const struct image_shard_zone *zone = &shard->zones[i];
        if (!is_large(zone)) {
            zones[count++] = (struct image_pack_zone){zone->zone, &zone->sources};
        }
    }
    if (count > 0) {
        char name[IMAGE_NAME_MAX];
        image_name_shard(shard->number, name);
        error = image_pack_write(shard->folder, name, zones, count, &writer->stop);
    }
    free(zones);
    return error;
}

static int write_shard(struct image_writer *writer, const struct image_shard *shard)
{
    int error = shard->write_small ? write_small(writer, shard) : RR_OK;
    for (size_t i = 0; i < shard->count && error == RR_OK; i++) {
        const struct image_shard_zone *zone = &shard->zones[i];
        if (is_large(zone) && zone->write) {
            char name[IMAGE_NAME_MAX];
            zone_file(zone, name);
            struct image_pack_zone one = {zone->zone, &zone->sources};
            error = image_pack_write(shard->folder, name, &one, 1, &writer->stop);
        }
    }
    return error;
}

/* Whether a file of the shard holds any of its zones. */
static bool is_wanted(const struct image_shard *shard, const char *file, bool large)
{
    for (size_t i = 0; i < shard->count; i++) {
        char name[IMAGE_NAME_MAX];
        if (is_large(&shard->zones[i]) != large) {
            continue;
        }
        if (!large) {
            return true;
        }
        zone_file(&shard->zones[i], name);
        if (strcmp(name, file) == 0) {
            return true;
        }
    }
    return false;
}

/* Removes the shard's files of zones that are no longer there. */
static void sweep(const struct image_shard *shard)
{
    int fd = openat(shard->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL) {
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        unsigned number;
        bool large;
        if (image_name_read(entry->d_name, &number, &large) && number == shard->number &&
            !is_wanted(shard, entry->d_name, large)) {
            (void)unlinkat(shard->folder, entry->d_name, 0); /* else it is found unwanted again */
        }
    }
    closedir(stream);
}

static void *run(void *argument)
{
    struct image_writer *writer = argument;
    pthread_setname_np(pthread_self(), "rrdns-images");
    /* Of this thread alone. Where it is refused the writer competes with others for the CPU. */
    (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    (void)setpriority(PRIO_PROCESS, 0, LOWEST_NICE);
    pthread_mutex_lock(&writer->lock);
    for (;;) {
        while (writer->shard == NULL && !writer->end) {
            pthread_cond_wait(&writer->wanted, &writer->lock);
        }
        if (writer->end) {
            break;
        }
        struct image_shard *shard = writer->shard;
        pthread_mutex_unlock(&writer->lock);
        int error = write_shard(writer, shard);
        shard->failed = error != RR_OK;
        tell(writer, shard, error);
        sweep(shard);
        pthread_mutex_lock(&writer->lock);
        writer->shard = NULL;
        pthread_mutex_unlock(&writer->lock);
        writer->done(writer->context);
        pthread_mutex_lock(&writer->lock);
    }
    pthread_mutex_unlock(&writer->lock);
    return NULL;
}

struct image_writer *image_writer_new(void (*done)(void *context), void *context)
{
    struct image_writer *writer = calloc(1, sizeof *writer);
    if (writer == NULL) {
        return NULL;
    }
    writer->done = done;
    writer->context = context;
    pthread_mutex_init(&writer->lock, NULL);
    pthread_cond_init(&writer->wanted, NULL);
    /* No signals for the thread; SIGXFSZ, too, is then just an error of write(). */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&writer->thread, NULL, run, writer);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        pthread_cond_destroy(&writer->wanted);
        pthread_mutex_destroy(&writer->lock);
        free(writer);
        return NULL;
    }
    return writer;
}

void image_writer_free(struct image_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    atomic_store(&writer->stop, true);
    pthread_mutex_lock(&writer->lock);
    writer->end = true;
    pthread_cond_signal(&writer->wanted);
    pthread_mutex_unlock(&writer->lock);
    pthread_join(writer->thread, NULL);
    pthread_cond_destroy(&writer->wanted);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

void image_writer_begin(struct image_writer *writer, struct image_shard *shard)
{
    pthread_mutex_lock(&writer->lock);
    writer->shard = shard;
    pthread_cond_signal(&writer->wanted);
    pthread_mutex_unlock(&writer->lock);
}

bool image_writer_is_busy(struct image_writer *writer)
{
    pthread_mutex_lock(&writer->lock);
    bool busy = writer->shard != NULL;
    pthread_mutex_unlock(&writer->lock);
    return busy;
}

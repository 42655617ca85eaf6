#include "daemon/loader_images.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crew.h"
#include "base/err.h"
#include "daemon/image_names.h"
#include "daemon/image_writer.h"
#include "dns/name.h"
#include "zone/image_pack.h"

/* What of a shard is to be written. */
enum {
    WANT_SMALL = 1,
    WANT_LARGE = 2, /* those whose image is not what is served */
    WANT_ANEW = 4,  /* all that are large */
};

/* A table's positions by shard: those of shard s are at[begin[s]] up to at[begin[s + 1]]. */
struct groups {
    struct zone_index *index; /* of the table that it is for; NULL: none */
    size_t begin[IMAGE_SHARDS + 1];
    uint32_t *at;
};

struct loader_images {
    char *directory; /* NULL: none */
    int folder;      /* its descriptor, or -1 */
    uint8_t wanted[IMAGE_SHARDS];
    uint8_t missed[IMAGE_SHARDS]; /* that failed: it is wanted again with the next reload */
    atomic_size_t wanting;        /* shards with something wanted */
    struct groups groups;

    struct image_writer *writer; /* NULL until there is something to be written */
    struct image_shard shard;    /* that it has */
    bool handed;                 /* it has one, or has done with one that is not taken back yet */
    void (*ready)(void *context);
    void *context;
};

/* ---- Shards and their zones ---- */

static void groups_clear(struct groups *groups)
{
    zone_index_unref(groups->index);
    free(groups->at);
    *groups = (struct groups){0};
}

/* Makes the groups those of the table, where they are not. Returns 0 or RR_ENOMEM. */
static int groups_for(struct groups *groups, const struct loader_table *table)
{
    if (groups->index != NULL && groups->index == table->index) {
        return RR_OK;
    }
    groups_clear(groups);
    uint8_t *shards = malloc(table->count + 1);
    groups->at = malloc((table->count + 1) * sizeof *groups->at);
    if (shards == NULL || groups->at == NULL) {
        free(shards);
        groups_clear(groups);
        return RR_ENOMEM;
    }
    size_t next[IMAGE_SHARDS + 1] = {0};
    for (size_t i = 0; i < table->count; i++) {
        shards[i] = image_hash(table->entries[i]->name).octets[0];
        next[shards[i] + 1]++;
    }
    for (size_t s = 0; s < IMAGE_SHARDS; s++) {
        next[s + 1] += next[s];
    }
    memcpy(groups->begin, next, sizeof next);
    for (size_t i = 0; i < table->count; i++) {
        groups->at[next[shards[i]]++] = (uint32_t)i;
    }
    free(shards);
    groups->index = zone_index_ref(table->index);
    return RR_OK;
}

static void want(struct loader_images *images, unsigned shard, uint8_t what)
{
    if (images->folder >= 0 && what != 0) {
        if (images->wanted[shard] == 0) {
            atomic_fetch_add(&images->wanting, 1);
        }
        images->wanted[shard] |= what;
    }
}

static uint8_t kind_of(const struct zone *zone)
{
    return zone == NULL ? 0 : zone->arena.used < LOADER_IMAGES_LARGE ? WANT_SMALL : WANT_LARGE;
}

void loader_images_note(struct loader_images *images, const struct loader_plan *plan)
{
    for (unsigned shard = 0; shard < IMAGE_SHARDS; shard++) {
        want(images, shard, images->missed[shard]);
        images->missed[shard] = 0;
    }
    for (size_t i = 0; i < plan->count && images->folder >= 0; i++) {
        const struct loader_item *item = &plan->items[i];
        bool loaded = item->outcome == LOADER_LOADED && !item->image_current;
        if (loaded || item->outcome == LOADER_REMOVED) {
            unsigned shard = image_hash(item->entry->name).octets[0];
            want(images, shard, kind_of(item->served) | kind_of(item->zone));
        }
    }
}

void loader_images_note_all(struct loader_images *images)
{
    for (unsigned shard = 0; shard < IMAGE_SHARDS; shard++) {
        want(images, shard, WANT_SMALL | WANT_ANEW);
    }
}

/* ---- The directory ---- */

static const char *open_directory(const char *directory, uid_t user, int *folder)
{
    struct stat st;
    *folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*folder < 0 || fstat(*folder, &st) != 0) {
        return strerror(errno);
    }
    if ((st.st_uid != 0 && st.st_uid != user) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        return "others than the server's user can write there";
    }
    return NULL;
}

static const char *lock_directory(int folder)
{
    if (flock(folder, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK ? "another server uses it" : strerror(errno);
    }
    return NULL;
}

const char *loader_images_refuse(const char *directory, uid_t user)
{
    int folder;
    const char *reason = open_directory(directory, user, &folder);
    if (folder >= 0) {
        close(folder);
    }
    return reason;
}

/* A folder to be read by name; NULL with errno set. */
static DIR *list(int folder)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    if (stream == NULL && fd >= 0) {
        close(fd);
    }
    return stream;
}

/* What a server that was killed had begun to write. */
static void remove_temporaries(int folder)
{
    DIR *stream = list(folder);
    const struct dirent *entry;
    while (stream != NULL && (entry = readdir(stream)) != NULL) {
        static const char prefix[] = IMAGE_PACK_TEMPORARY;
        if (strncmp(entry->d_name, prefix, sizeof prefix - 1) == 0) {
            (void)unlinkat(folder, entry->d_name, 0);
        }
    }
    if (stream != NULL) {
        closedir(stream);
    }
}

/* Gives back a shard's references: the last ones, where a large zone has been reloaded meanwhile. */
static void release(void *context)
{
    struct image_shard *shard = context;
    for (size_t i = 0; i < shard->count; i++) {
        zone_unref(shard->zones[i].zone);
        source_list_clear(&shard->zones[i].sources);
    }
    free(shard->zones);
}

/* Takes back what the writer had; it has done with it. */
static void take_back(struct loader_images *images)
{
    struct image_shard *shard = &images->shard;
    if (shard->failed) {
        images->missed[shard->number] |= (shard->write_small ? WANT_SMALL : 0) | WANT_ANEW;
    }
    if (shard->zones != NULL) {
        crew_run_gently(1, release, shard);
    }
    *shard = (struct image_shard){0};
    images->handed = false;
}

static void leave_directory(struct loader_images *images)
{
    image_writer_free(images->writer); /* it may be in the middle of it */
    images->writer = NULL;
    take_back(images);
    if (images->folder >= 0) {
        close(images->folder);
    }
    images->folder = -1;
    free(images->directory);
    images->directory = NULL;
    memset(images->wanted, 0, sizeof images->wanted);
    memset(images->missed, 0, sizeof images->missed);
    atomic_store(&images->wanting, 0);
}

/* Whether the path still leads to the folder. */
static bool is_there(const char *directory, int folder)
{
    struct stat there, ours;
    return stat(directory, &there) == 0 && fstat(folder, &ours) == 0 &&
           there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

bool loader_images_use(struct loader_images *images, const char *directory, struct diag *diag)
{
    directory = directory != NULL ? directory : "";
    if (images->folder >= 0 && strcmp(directory, images->directory) == 0 &&
        is_there(directory, images->folder)) {
        return false;
    }
    leave_directory(images);
    if (directory[0] == '\0') {
        return false;
    }
    images->directory = strdup(directory);
    const char *reason = images->directory != NULL
                             ? open_directory(directory, geteuid(), &images->folder)
                             : rr_strerror(RR_ENOMEM);
    if (reason == NULL) {
        reason = lock_directory(images->folder);
    }
    if (reason != NULL) {
        diag_warn(diag, directory, 0, LOADER_IMAGES_REFUSED, reason);
        leave_directory(images);
        return false;
    }
    remove_temporaries(images->folder);
    return true;
}

/* ---- Reading ---- */

/* A file of the cache. */
struct found {
    struct found *next;
    char name[IMAGE_NAME_MAX];
};

struct loading {
    struct loader_images *images;
    struct loader_plan *plan;
    const atomic_bool *stop;
    size_t threads; /* for one zone */
    struct found *large[IMAGE_SHARDS], *small[IMAGE_SHARDS];
    atomic_uint next;     /* shard */
    pthread_mutex_t lock; /* of diag */
    struct diag *diag;
};

static void warn_file(struct loading *loading, const char *path, int error,
                      const struct diag *reasons)
{
    const char *reason = diag_first_fault(reasons);
    pthread_mutex_lock(&loading->lock);
    if (reason != NULL) {
        diag_warn(loading->diag, NULL, 0, "%s: not used", reason);
    } else {
        diag_warn(loading->diag, path, 0, "not used: %s",
                  error == RR_EIO ? strerror(errno) : rr_strerror(error));
    }
    pthread_mutex_unlock(&loading->lock);
}

/* The item of a zone in the shard; *at is where it is sought first, and moves past it. */
static struct loader_item *find_item(const struct loading *loading, unsigned shard,
                                     const uint8_t *name, size_t *at)
{
    const struct groups *groups = &loading->images->groups;
    const struct loader_plan *plan = loading->plan;
    size_t end = groups->begin[shard + 1];
    if (*at < end && name_equal(name, plan->table.entries[groups->at[*at]]->name)) {
        return &plan->items[groups->at[(*at)++]];
    }
    bool exact;
    size_t position = loader_table_find(&plan->table, name, &exact);
    if (!exact) {
        return NULL;
    }
    for (*at = groups->begin[shard]; *at < end && groups->at[*at] < position;) {
        ++*at;
    }
    if (*at == end || groups->at[*at] != position) {
        return NULL; /* a zone of another shard */
    }
    return &plan->items[groups->at[(*at)++]];
}

/* Whether sources are unchanged; *current where their time stamps are too. */
static bool are_unchanged(struct source_list *sources, struct source_directory *directory,
                          bool *current)
{
    int64_t before = 0, after = 0;
    for (size_t i = 0; i < sources->count; i++) {
        before ^= sources->files[i].read_ns;
    }
    if (source_list_changed(sources, directory)) {
        return false;
    }
    for (size_t i = 0; i < sources->count; i++) {
        after ^= sources->files[i].read_ns;
    }
    *current = before == after;
    return true;
}

/* Loads the entry for the item. False where it is of no use: then it is to be written anew. */
static bool load_entry(struct loading *loading, struct source_directory *directory,
                       const struct image_pack *pack, const struct image_pack_entry *entry,
                       struct loader_item *item)
{
    uint64_t begin = clock_now_ns();
    struct source_list sources = {0};
    struct zone *zone = NULL;
    struct diag diag = {0};
    bool current = false, loaded = false;
    if (!item->from_image && image_pack_is_of(pack, entry, item->file) &&
        image_pack_sources(pack, entry, &sources) == RR_OK &&
        are_unchanged(&sources, directory, &current)) {
        int error = image_pack_load(pack, entry, loading->threads, &zone, &diag);
        loaded = error == RR_OK;
        if (!loaded) {
            const char *reason = diag_first_fault(&diag);
            diag_warn(&item->diag, NULL, 0, "%s: loading the zone's own files instead",
                      reason != NULL    ? reason
                      : error == RR_EIO ? strerror(errno)
                                        : rr_strerror(error));
        }
    }
    if (loaded) {
        item->outcome = LOADER_LOADED;
        item->zone = zone;
        item->sources = sources;
        item->from_image = true;
        item->image_current = current;
        item->milliseconds = (int64_t)((clock_now_ns() - begin) / 1000000);
    } else {
        source_list_clear(&sources);
    }
    diag_clear(&diag);
    return loaded && current;
}

/* Loads what a file holds. Returns whether it is just what it should be. */
static bool load_file(struct loading *loading, struct source_directory *directory, unsigned shard,
                      const char *name)
{
    const struct loader_images *images = loading->images;
    char *path;
    if (asprintf(&path, "%s/%s", images->directory, name) < 0) {
        return false;
    }
    struct diag diag = {0};
    struct image_pack *pack;
    int error = image_pack_open(images->folder, name, path, &pack, &diag);
    if (error != RR_OK) {
        warn_file(loading, path, error, &diag);
    }
    diag_clear(&diag);
    free(path);
    if (error != RR_OK) {
        return false;
    }
    bool good = true;
    size_t at = images->groups.begin[shard];
    struct image_pack_entry entry = {0};
    while (image_pack_next(pack, &entry) && !atomic_load(loading->stop)) {
        struct loader_item *item = find_item(loading, shard, entry.name, &at);
        good &= item != NULL && load_entry(loading, directory, pack, &entry, item);
    }
    image_pack_close(pack);
    return good;
}

static void load_shards(void *context)
{
    struct loading *loading = context;
    struct source_directory directory = {0}; /* of zones */
    unsigned shard;
    while ((shard = atomic_fetch_add(&loading->next, 1)) < IMAGE_SHARDS &&
           !atomic_load(loading->stop)) {
        for (const struct found *file = loading->small[shard]; file != NULL; file = file->next) {
            if (!load_file(loading, &directory, shard, file->name)) {
                want(loading->images, shard, WANT_SMALL);
            }
        }
    }
    source_directory_close(&directory);
}

/* Notes all files of the cache. Returns 0; RR_EIO with errno set; RR_ENOMEM. */
static int find_files(struct loading *loading)
{
    DIR *stream = list(loading->images->folder);
    if (stream == NULL) {
        return RR_EIO;
    }
    int error = RR_OK;
    const struct dirent *entry;
    /* Every one is in a list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
    while (error == RR_OK && (entry = readdir(stream)) != NULL) {
        unsigned shard;
        bool large;
        if (!image_name_read(entry->d_name, &shard, &large)) {
            continue;
        }
        struct found *found = calloc(1, sizeof *found);
        if (found == NULL) {
            error = RR_ENOMEM;
            break;
        }
        struct found **at = large ? &loading->large[shard] : &loading->small[shard];
        memcpy(found->name, entry->d_name, strlen(entry->d_name));
        found->next = *at;
        *at = found;
    }
    closedir(stream);
    return error;
}

static void free_files(struct found **lists)
{
    for (unsigned shard = 0; shard < IMAGE_SHARDS; shard++) {
        while (lists[shard] != NULL) {
            struct found *next = lists[shard]->next;
            free(lists[shard]);
            lists[shard] = next;
        }
    }
}

void loader_images_load(struct loader_images *images, struct loader_plan *plan,
                        const atomic_bool *stop, struct diag *diag)
{
    if (images->folder < 0) {
        return;
    }
    struct loading loading = {.images = images, .plan = plan, .stop = stop, .diag = diag};
    pthread_mutex_init(&loading.lock, NULL);
    int error = groups_for(&images->groups, &plan->table);
    if (error == RR_OK) {
        error = find_files(&loading);
    }
    if (error != RR_OK) {
        diag_warn(diag, images->directory, 0, "zone images can't be read: %s",
                  error == RR_EIO ? strerror(errno) : rr_strerror(error));
    } else {
        /* A large zone with all CPUs, one after the other; then small ones, a shard a thread. */
        loading.threads = crew_cpus();
        for (unsigned shard = 0; shard < IMAGE_SHARDS; shard++) {
            for (struct found *at = loading.large[shard]; at != NULL; at = at->next) {
                if (!load_file(&loading, NULL, shard, at->name)) {
                    want(images, shard, WANT_LARGE);
                }
            }
        }
        loading.threads = 1;
        crew_run(crew_cpus(), load_shards, &loading);
    }
    free_files(loading.large);
    free_files(loading.small);
    pthread_mutex_destroy(&loading.lock);
}

/* ---- Writing ---- */

/* Makes the shard's snapshot in images->shard. False: no memory. */
static bool make_shard(struct loader_images *images, unsigned number, uint8_t what,
                       const struct loader_table *table, const struct world *world)
{
    const struct groups *groups = &images->groups;
    size_t begin = groups->begin[number], end = groups->begin[number + 1];
    struct image_shard *shard = &images->shard;
    *shard = (struct image_shard){
        .number = number,
        .folder = images->folder,
        .directory = images->directory,
        .write_small = (what & WANT_SMALL) != 0,
        .zones = calloc(end - begin + 1, sizeof *shard->zones),
    };
    if (shard->zones == NULL) {
        return false;
    }
    for (size_t i = begin; i < end; i++) {
        struct loader_entry *entry = table->entries[groups->at[i]];
        struct zone *zone = world->zones[groups->at[i]].zone;
        struct image_shard_zone *out = &shard->zones[shard->count];
        if (zone == NULL || entry->sources.count == 0 || entry->sources.files[0].image) {
            continue;
        }
        if (source_list_copy(&entry->sources, &out->sources) != RR_OK) {
            return false;
        }
        out->zone = zone_ref(zone);
        out->write = !entry->imaged || (what & WANT_ANEW) != 0;
        entry->imaged = true;
        shard->count++;
    }
    return true;
}

static void on_written(void *context)
{
    struct loader_images *images = context;
    images->ready(images->context);
}

bool loader_images_pending(struct loader_images *images)
{
    if (images->handed) {
        return !image_writer_is_busy(images->writer);
    }
    return atomic_load(&images->wanting) > 0;
}

/* The next shard with something wanted, and what; none is wanted of it any more. */
static uint8_t next_wanted(struct loader_images *images, unsigned *shard)
{
    for (*shard = 0; *shard < IMAGE_SHARDS; ++*shard) {
        uint8_t what = images->wanted[*shard];
        if (what != 0) {
            images->wanted[*shard] = 0;
            atomic_fetch_sub(&images->wanting, 1);
            return what;
        }
    }
    return 0;
}

void loader_images_step(struct loader_images *images, const struct loader_table *table,
                        const struct world *world)
{
    if (!loader_images_pending(images)) {
        return;
    }
    take_back(images);
    unsigned shard;
    uint8_t what = next_wanted(images, &shard);
    if (what == 0) {
        return;
    }
    if (images->writer == NULL) {
        images->writer = image_writer_new(on_written, images);
    }
    if (images->writer == NULL || groups_for(&images->groups, table) != RR_OK ||
        !make_shard(images, shard, what, table, world)) { /* no memory */
        take_back(images);
        images->missed[shard] |= what | WANT_ANEW;
        return;
    }
    images->handed = true;
    image_writer_begin(images->writer, &images->shard);
}

/* ---- Life ---- */

struct loader_images *loader_images_new(void (*ready)(void *context), void *context)
{
    struct loader_images *images = calloc(1, sizeof *images);
    if (images != NULL) {
        images->folder = -1;
        images->ready = ready;
        images->context = context;
    }
    return images;
}

void loader_images_free(struct loader_images *images)
{
    if (images == NULL) {
        return;
    }
    leave_directory(images);
    groups_clear(&images->groups);
    free(images);
}

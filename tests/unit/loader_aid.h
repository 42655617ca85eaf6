/*
 * What the tests of the loader share: a temporary directory of zone files, configurations of
 * them, a loader, and the asking for reloads and their outcome in few words.
 */
#ifndef RRDNS_TESTS_LOADER_AID_H
#define RRDNS_TESTS_LOADER_AID_H

#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/loader.h"
#include "dns/name.h"
#include "world/publish.h"

enum { PATH_ROOM = 200 };

/* ---- A directory of zones and a configuration of them ---- */

static char directory[64];
static struct publisher publisher;
static struct settings settings;
static struct loader *loader;

static inline void path_of(const char *file, char *path)
{
    snprintf(path, PATH_ROOM, "%s/%s", directory, file);
}

static inline void write_text(const char *file, const char *format, ...)
{
    char path[PATH_ROOM];
    path_of(file, path);
    FILE *stream = fopen(path, "w");
    ck_assert_ptr_nonnull(stream);
    va_list args;
    va_start(args, format);
    vfprintf(stream, format, args);
    va_end(args);
    ck_assert_int_eq(fclose(stream), 0);
}

/* A zone of one SOA, one NS and one A record. */
static inline void write_zone(const char *file, unsigned serial)
{
    write_text(file,
               "$TTL 300\n@ IN SOA ns.elsewhere. host.elsewhere. %u 7200 900 86400 300\n"
               "@ NS ns.elsewhere.\nwww A 192.0.2.1\n",
               serial);
}

static inline void setup(void)
{
    strcpy(directory, "/tmp/rrdns-loader-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    settings = (struct settings){.udp_payload_max = 1232};
}

static inline void remove_directory(void)
{
    DIR *stream = opendir(directory);
    struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        char path[PATH_ROOM + 300];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        unlink(path);
    }
    closedir(stream);
    rmdir(directory);
}

static inline void name_of(const char *text, uint8_t *name)
{
    ck_assert_int_eq(name_from_text(text, strlen(text), NULL, name), 0);
}

/* Zones "name file name file...", each file in the directory. To be freed with config_drop. */
static inline struct config config_of(const char *words)
{
    struct config config = {0};
    char *copy = strdup(words), *rest = copy, *name;
    config.zone = calloc(strlen(words) / 2 + 1, sizeof *config.zone);
    while ((name = strtok_r(rest, " ", &rest)) != NULL) {
        struct config_zone *zone = &config.zone[config.zones++];
        zone->name = malloc(NAME_MAX_OCTETS);
        name_of(name, zone->name);
        zone->file = malloc(PATH_ROOM);
        path_of(strtok_r(rest, " ", &rest), zone->file);
    }
    free(copy);
    return config;
}

static inline void config_drop(struct config *config)
{
    for (size_t i = 0; i < config->zones; i++) {
        free(config->zone[i].name);
        free(config->zone[i].file);
    }
    free(config->zone);
}

/* ---- Starting, reloading, and what came of it ---- */

static inline struct loader_result start(const char *words)
{
    struct config config = config_of(words);
    struct loader_result result;
    ck_assert_int_eq(loader_new(&config, &settings, &publisher, &loader, &result), 0);
    config_drop(&config);
    return result;
}

static inline void finish(void)
{
    loader_free(loader);
    world_free(atomic_load(&publisher.current));
    remove_directory();
}

struct waiting {
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned count;
    struct loader_result result; /* of the last */
};

static inline void on_done(void *context, struct loader_result *result)
{
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    loader_result_free(&waiting->result);
    waiting->result = *result;
    waiting->count++;
    pthread_cond_signal(&waiting->done);
    pthread_mutex_unlock(&waiting->lock);
}

static inline void await(struct waiting *waiting, unsigned count)
{
    pthread_mutex_lock(&waiting->lock);
    while (waiting->count < count) {
        pthread_cond_wait(&waiting->done, &waiting->lock);
    }
    pthread_mutex_unlock(&waiting->lock);
}

#define WAITING_INIT                                                        \
    {                                                                       \
        .lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER \
    }

static inline struct loader_result reload(const char *words)
{
    struct waiting waiting = WAITING_INIT;
    struct config config = config_of(words);
    ck_assert_int_eq(loader_reload(loader, &config, &settings, NULL, 0, on_done, &waiting), 0);
    config_drop(&config);
    await(&waiting, 1);
    return waiting.result;
}

static inline struct loader_result reload_named(const char *first, const char *second)
{
    struct waiting waiting = WAITING_INIT;
    uint8_t names[2][NAME_MAX_OCTETS];
    const uint8_t *list[2] = {names[0], names[1]};
    name_of(first, names[0]);
    if (second != NULL) {
        name_of(second, names[1]);
    }
    ck_assert_int_eq(
        loader_reload(loader, NULL, NULL, list, second != NULL ? 2 : 1, on_done, &waiting), 0);
    await(&waiting, 1);
    return waiting.result;
}

/* The result's counts and its list as "loaded/unchanged/failed/removed name=outcome:serial ...". */
static inline void expect(struct loader_result result, const char *wanted)
{
    static const char letters[] = {'L', 'U', 'F', 'R'};
    char text[2000];
    int used = snprintf(text, sizeof text, "%zu/%zu/%zu/%zu", result.loaded, result.unchanged,
                        result.failed, result.removed);
    ck_assert_int_eq(result.error, 0);
    for (size_t i = 0; i < result.count; i++) {
        char name[NAME_MAX_TEXT];
        loader_name_text(result.zones[i].name, name);
        used += snprintf(text + used, sizeof text - (size_t)used, " %s=%c:%u", name,
                         letters[result.zones[i].outcome], result.zones[i].serial);
    }
    ck_assert_str_eq(text, wanted);
    loader_result_free(&result);
}

/* The serial that the world serves for a name: 0 where the zone has no data, -1 where it is not. */
static inline long served(const char *text)
{
    uint8_t name[NAME_MAX_OCTETS];
    const struct world *world = atomic_load(&publisher.current);
    name_of(text, name);
    uint32_t position = world_find(world, name);
    if (position == WORLD_NONE) {
        return -1;
    }
    const struct zone *zone = world->zones[position].zone;
    return zone != NULL ? (long)zone->head->serial : 0;
}

static inline uint64_t generation(void)
{
    size_t zones, serving;
    uint64_t number;
    loader_totals(loader, &zones, &serving, &number);
    ck_assert_uint_eq(number, atomic_load(&publisher.current)->generation);
    return number;
}

static inline void expect_totals(size_t zones, size_t serving)
{
    size_t has_zones, has_serving;
    uint64_t number;
    loader_totals(loader, &has_zones, &has_serving, &number);
    ck_assert_uint_eq(has_zones, zones);
    ck_assert_uint_eq(has_serving, serving);
}

static inline struct loader_zone_info info_of(const char *text)
{
    struct loader_zone_info info;
    uint8_t name[NAME_MAX_OCTETS];
    name_of(text, name);
    ck_assert_int_eq(loader_zone_info(loader, name, &info), 0);
    return info;
}

#endif

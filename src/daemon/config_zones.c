/*
 * Sorting by canonical keys finds doubles and gives the order that everything after wants; the
 * keys stand in one buffer, since struct key has room for the longest of names and 200,000 of
 * them would be 100 MB.
 */
#include "daemon/config_zones.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/key.h"
#include "dns/name.h"
#include "world/world.h"

static const char suffix[] = ".zone";
enum { SUFFIX = sizeof suffix - 1 };

int zone_entries_add(struct zone_entries *entries, const uint8_t *name, char *file, size_t line,
                     size_t index)
{
    if (entries->count == entries->room) {
        size_t room = entries->room == 0 ? 16 : 2 * entries->room;
        struct zone_entry *entry = realloc(entries->entry, room * sizeof *entry);
        if (entry == NULL) {
            free(file);
            return RR_ENOMEM;
        }
        entries->entry = entry;
        entries->room = room;
    }
    size_t size = name_size(name);
    uint8_t *copy = malloc(size);
    if (copy == NULL) {
        free(file);
        return RR_ENOMEM;
    }
    memcpy(copy, name, size);
    entries->octets += size;
    entries->entry[entries->count++] = (struct zone_entry){
        .zone = {.name = copy, .file = file, .listed = line != 0}, .line = line, .index = index};
    return RR_OK;
}

int zone_entries_policy(struct zone_entries *entries, const char *policy, size_t line)
{
    struct zone_entry *entry = &entries->entry[entries->count - 1];
    entry->policy = strdup(policy);
    entry->policy_line = line;
    return entry->policy != NULL ? RR_OK : RR_ENOMEM;
}

void zone_entries_free(struct zone_entries *entries)
{
    for (size_t i = 0; i < entries->count; i++) {
        free(entries->entry[i].zone.name);
        free(entries->entry[i].zone.file);
        free(entries->entry[i].policy);
    }
    free(entries->entry);
    *entries = (struct zone_entries){0};
}

/* ---- The directory ---- */

/* "DIRECTORY/FILE", or FILE alone where directory is "". NULL: no memory. */
static char *join(const char *directory, const char *file)
{
    size_t size = strlen(directory), length = strlen(file) + 1;
    bool slash = size > 0 && directory[size - 1] != '/';
    char *path = malloc(size + slash + length); /* by hand: there are 100,000 in a reload */
    if (path != NULL) {
        memcpy(path, directory, size);
        path[size] = '/';
        memcpy(path + size + slash, file, length);
    }
    return path;
}

static int add_file(struct zone_entries *entries, const char *directory, const char *file,
                    struct diag *diag)
{
    size_t length = strlen(file);
    if (file[0] == '.' || length <= SUFFIX || strcmp(file + length - SUFFIX, suffix) != 0) {
        return RR_OK;
    }
    char *path = join(directory, file);
    if (path == NULL) {
        return RR_ENOMEM;
    }
    uint8_t name[NAME_MAX_OCTETS];
    if (name_from_text(file, length - SUFFIX, NULL, name) != 0) {
        diag_warn(diag, path, 0, "not served: what is before \"%s\" is not a domain name", suffix);
        free(path);
        return RR_OK;
    }
    return zone_entries_add(entries, name, path, 0, 0);
}

static int add_directory(struct zone_entries *entries, const struct config *config,
                         const char *place, size_t line, struct diag *diag)
{
    const char *path = config->zone_directory;
    const char *file = line != 0 ? config->path : NULL;
    DIR *directory = opendir(path);
    if (directory == NULL) {
        diag_fault(diag, file, line, "%s: %s: %s", place, path, strerror(errno));
        return RR_EINVAL;
    }
    int error = RR_OK;
    struct dirent *found;
    errno = 0;
    while (error == RR_OK && (found = readdir(directory)) != NULL) {
        error = add_file(entries, path, found->d_name, diag);
        errno = 0;
    }
    if (error == RR_OK && errno != 0) {
        diag_fault(diag, file, line, "%s: %s: %s", place, path, strerror(errno));
        error = RR_EINVAL;
    }
    closedir(directory);
    return error;
}

/* ---- Sorting ---- */

struct sorted {
    uint64_t prefix; /* the key's first symbols: they decide nearly always, and stand at hand */
    const uint8_t *key;
    size_t key_size;
    struct zone_entry *entry;
};

/* As many symbols as a word has room for; behind the key's end the separator, which is the lowest
 * and begins no label. */
static uint64_t prefix_of(const struct key *key)
{
    enum { BITS = 6, SYMBOLS = 64 / BITS };
    _Static_assert(KEY_SYMBOLS <= 1 << BITS && KEY_SEPARATOR == 0, "prefixes are in order of keys");
    uint64_t prefix = 0;
    for (size_t i = 0; i < SYMBOLS; i++) {
        prefix = prefix << BITS | (i < key->size ? key->symbols[i] : KEY_SEPARATOR);
    }
    return prefix;
}

/* By name; what is listed before what was found, as listed; what was found by file name. */
static int compare(const void *left, const void *right)
{
    const struct sorted *a = left, *b = right;
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    int order = key_compare(a->key, a->key_size, b->key, b->key_size);
    if (order != 0) {
        return order;
    }
    if (a->entry->zone.listed != b->entry->zone.listed) {
        return a->entry->zone.listed ? -1 : 1;
    }
    if (a->entry->zone.listed) {
        return a->entry->index < b->entry->index ? -1 : 1;
    }
    return strcmp(a->entry->zone.file, b->entry->zone.file);
}

/* The entries in order, and in *keys the buffer that the result points into. */
static struct sorted *sort(const struct zone_entries *entries, uint8_t **keys)
{
    struct sorted *sorted = calloc(entries->count + 1, sizeof *sorted);
    struct key key;
    *keys = malloc(2 * entries->octets + 1); /* no key has more symbols than that */
    if (sorted == NULL || *keys == NULL) {
        free(sorted);
        free(*keys);
        return NULL;
    }
    uint8_t *at = *keys;
    for (size_t i = 0; i < entries->count; i++) {
        key_from_name(entries->entry[i].zone.name, &key);
        memcpy(at, key.symbols, key.size);
        sorted[i] = (struct sorted){prefix_of(&key), at, key.size, &entries->entry[i]};
        at += key.size;
    }
    qsort(sorted, entries->count, sizeof *sorted, compare);
    return sorted;
}

static bool same_zone(const struct sorted *a, const struct sorted *b)
{
    return a->key_size == b->key_size && memcmp(a->key, b->key, a->key_size) == 0;
}

/* ---- One entry a zone ---- */

/* The name as people write it: without the final dot but for the root's. */
static void plain_name(const uint8_t *name, char *text)
{
    size_t length = name_to_text(name, text);
    if (length > 1) {
        text[length - 1] = '\0';
    }
}

/* The path of a zone that was listed without one: NAME.zone, root.zone for the root. */
static char *default_file(const struct config *config, const uint8_t *name)
{
    char text[NAME_MAX_TEXT], file[(size_t)4 * NAME_MAX_TEXT + sizeof suffix];
    plain_name(name, text);
    char *out = file;
    for (const char *p = *name == 0 ? "root" : text; *p != '\0'; p++) {
        if (*p == '/') {
            memcpy(out, "\\047", 4); /* a name's octet, not a directory */
            out += 4;
        } else {
            *out++ = *p;
        }
    }
    memcpy(out, suffix, sizeof suffix);
    if (config->zone_directory[0] != '\0') {
        return join(config->zone_directory, file);
    }
    const char *slash = config->path != NULL ? strrchr(config->path, '/') : NULL;
    char *directory =
        slash != NULL ? strndup(config->path, (size_t)(slash + 1 - config->path)) : strdup("");
    char *path = directory != NULL ? join(directory, file) : NULL;
    free(directory);
    return path;
}

static void report_listed_twice(const struct zone_entry *first, const struct zone_entry *second,
                                const struct config *config, struct diag *diag)
{
    char name[NAME_MAX_TEXT];
    plain_name(second->zone.name, name);
    diag_fault(diag, config->path, second->line,
               "zones[%zu]: zone %s is already given by zones[%zu] in line %zu", second->index,
               name, first->index, first->line);
}

/* Makes *zone of the count entries for one zone that begin at group. */
static int take_group(const struct sorted *group, size_t count, const struct config *config,
                      struct config_zone *zone, struct diag *diag)
{
    struct zone_entry *first = group[0].entry;
    struct zone_entry *found = NULL; /* in the directory; it counts where no file is listed */
    for (size_t i = 0; i < count; i++) {
        struct zone_entry *entry = group[i].entry;
        if (entry->zone.listed && entry != first) {
            report_listed_twice(first, entry, config, diag);
        } else if (!entry->zone.listed && found == NULL) {
            found = entry;
        } else if (!entry->zone.listed && (first->zone.file == NULL || first == found)) {
            diag_warn(diag, entry->zone.file, 0, "not served: %s is the same zone",
                      found->zone.file);
        }
    }
    *zone = first->zone;
    first->zone.name = NULL;
    first->zone.file = NULL;
    if (zone->file == NULL && found != NULL) {
        zone->file = found->zone.file;
        found->zone.file = NULL;
    }
    if (zone->file == NULL) {
        zone->file = default_file(config, zone->name);
    }
    return zone->file != NULL ? RR_OK : RR_ENOMEM;
}

static int merge(struct zone_entries *entries, struct config *config, struct diag *diag)
{
    uint8_t *keys;
    struct sorted *sorted = sort(entries, &keys);
    if (sorted == NULL) {
        return RR_ENOMEM;
    }
    int error = RR_OK;
    config->zone = calloc(entries->count + 1, sizeof *config->zone);
    if (config->zone == NULL) {
        error = RR_ENOMEM;
    }
    for (size_t i = 0, next; i < entries->count && error == RR_OK; i = next) {
        for (next = i + 1; next < entries->count && same_zone(&sorted[i], &sorted[next]);) {
            next++;
        }
        error = take_group(sorted + i, next - i, config, &config->zone[config->zones++], diag);
    }
    free(keys);
    free(sorted);
    return error;
}

int zone_entries_finish(struct zone_entries *entries, struct config *config, const char *place,
                        size_t line, struct diag *diag)
{
    size_t faults = diag->faults;
    int error = RR_OK;
    if (config->zone_directory[0] != '\0') {
        error = add_directory(entries, config, place, line, diag);
    }
    if (error != RR_ENOMEM) {
        error = merge(entries, config, diag);
    }
    if (error == RR_OK && config->zones > WORLD_ZONES_MAX) {
        diag_fault(diag, config->path, 0, "%zu zones, at most %d are possible", config->zones,
                   WORLD_ZONES_MAX);
    }
    return error != RR_OK ? error : faults != diag->faults ? RR_EINVAL : RR_OK;
}

/*
 * Reading and making key sets.
 */
#include "dnssec/keyset.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <xxhash.h>

#include "base/err.h"
#include "dnssec/key_file.h"
#include "dnssec/keyset_list.h"
#include "dnssec/secret.h"
#include "zone/source.h"

enum {
    PATH_ROOM = 4096,
    SETTLED_NS = 2000000000, /* some file systems count whole seconds, FAT pairs of them */
};

/* ---- Directories ---- */

/*
 * Zones may be a hundred thousand with all their keys in one place: looking through that for each
 * zone would be ten thousand million names. So it is read once, and sorted.
 */
struct names {
    size_t count, room;
    char **name; /* sorted once all are there */
};

struct keyset_directory {
    char *path;
    struct names files;    /* of keys: .key, .dnskey */
    struct names privates; /* .private */
    struct names leftover; /* what is of no key: .private alone, unfinished files */
};

static bool ends_with(const char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    return length >= tail && strcmp(text + length - tail, suffix) == 0;
}

static int add_name(struct names *names, const char *name)
{
    if (names->count == names->room) {
        size_t room = names->room == 0 ? 64 : 2 * names->room;
        char **grown = realloc(names->name, room * sizeof *grown);
        if (grown == NULL) {
            return RR_ENOMEM;
        }
        names->name = grown;
        names->room = room;
    }
    char *copy = strdup(name);
    if (copy == NULL) {
        return RR_ENOMEM;
    }
    names->name[names->count++] = copy;
    return RR_OK;
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->name[i]);
    }
    free(names->name);
    *names = (struct names){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort_names(struct names *names)
{
    if (names->count > 0) {
        qsort(names->name, names->count, sizeof *names->name, by_name);
    }
}

/* The index of the first name that is not before text. */
static size_t lower_bound(const struct names *names, const char *text)
{
    size_t low = 0, high = names->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(names->name[middle], text) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The name that is this text; NULL: there is none. */
static const char *find_name(const struct names *names, const char *text)
{
    size_t index = lower_bound(names, text);
    bool found = index < names->count && strcmp(names->name[index], text) == 0;
    return found ? names->name[index] : NULL;
}

/* Takes a file's name to where it belongs, if it is of a key: 0 or RR_ENOMEM. */
static int take_name(struct keyset_directory *directory, const char *name)
{
    if (name[0] != 'K') {
        return RR_OK;
    }
    if (ends_with(name, ".key") || ends_with(name, ".dnskey")) {
        return add_name(&directory->files, name);
    }
    if (ends_with(name, ".private")) {
        return add_name(&directory->privates, name);
    }
    return strstr(name, KEYFILE_UNFINISHED) != NULL ? add_name(&directory->leftover, name) : RR_OK;
}

/* Which .private files have no .key file; the others' names are of no use. */
static int find_leftover(struct keyset_directory *directory)
{
    int error = RR_OK;
    for (size_t i = 0; i < directory->privates.count && error == RR_OK; i++) {
        const char *name = directory->privates.name[i];
        char key[NAME_MAX + 1];
        snprintf(key, sizeof key, "%.*skey", (int)(strlen(name) - strlen("private")), name);
        if (find_name(&directory->files, key) == NULL) {
            error = add_name(&directory->leftover, name);
        }
    }
    free_names(&directory->privates);
    sort_names(&directory->leftover);
    return error;
}

static int list_names(struct keyset_directory *directory, DIR *from, struct diag *diag)
{
    int error = RR_OK;
    while (error == RR_OK) {
        errno = 0;
        const struct dirent *entry = readdir(from);
        if (entry == NULL) {
            break;
        }
        error = take_name(directory, entry->d_name);
    }
    if (error == RR_OK && errno != 0) {
        diag_fault(diag, directory->path, 0, "%s", strerror(errno));
        error = RR_EIO;
    }
    sort_names(&directory->files);
    return error == RR_OK ? find_leftover(directory) : error;
}

int keyset_directory_read(const char *path, struct keyset_directory **result, struct diag *diag)
{
    struct keyset_directory *directory = calloc(1, sizeof *directory);
    *result = NULL;
    if (directory == NULL || (directory->path = strdup(path)) == NULL) {
        free(directory);
        return RR_ENOMEM;
    }
    DIR *from = opendir(path);
    int error = RR_EIO;
    if (from == NULL) {
        diag_fault(diag, path, 0, "%s", strerror(errno));
    } else {
        error = list_names(directory, from, diag);
        closedir(from);
    }
    if (error != RR_OK) {
        keyset_directory_free(directory);
        return error;
    }
    *result = directory;
    return RR_OK;
}

void keyset_directory_free(struct keyset_directory *directory)
{
    if (directory == NULL) {
        return;
    }
    free_names(&directory->files);
    free_names(&directory->privates);
    free_names(&directory->leftover);
    free(directory->path);
    free(directory);
}

const char *keyset_directory_path(const struct keyset_directory *directory)
{
    return directory->path;
}

/* The names that begin with those of a zone's keys: how many, and the first one's index. */
static size_t names_of(const struct names *names, const uint8_t *zone, size_t *first)
{
    char prefix[KEYFILE_NAME_MAX];
    size_t length = keyfile_prefix(zone, prefix);
    prefix[length++] = '+';
    prefix[length] = '\0';
    size_t end = *first = lower_bound(names, prefix);
    while (end < names->count && strncmp(names->name[end], prefix, length) == 0) {
        end++;
    }
    return end - *first;
}

size_t keyset_directory_keys(const struct keyset_directory *directory, const uint8_t *zone,
                             const char *const **names)
{
    size_t first, count = names_of(&directory->files, zone, &first), keys = 0;
    while (keys < count && ends_with(directory->files.name[first + keys], ".key")) {
        keys++;
    }
    *names = (const char *const *)directory->files.name + first;
    return keys;
}

/* The name of the zone's DNSKEY RRset made elsewhere; NULL: there is no such file. */
static const char *offline_file(const struct keyset_directory *directory, const uint8_t *zone)
{
    char name[KEYFILE_NAME_MAX + 8];
    size_t length = keyfile_prefix(zone, name);
    memcpy(name + length, "dnskey", sizeof "dnskey"); /* behind the zone's final dot */
    return find_name(&directory->files, name);
}

/* ---- What files look like ---- */

struct stamping {
    XXH3_state_t *state;
    int64_t settled; /* files changed after this may change again without a trace: wall ns */
    bool sure;
};

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static void stamp_file(struct stamping *stamping, const char *path)
{
    struct stat st;
    int64_t look[6] = {0};
    if (stat(path, &st) == 0) {
        look[0] = (int64_t)st.st_dev;
        look[1] = (int64_t)st.st_ino;
        look[2] = (int64_t)st.st_size;
        look[3] = (int64_t)st.st_mode;
        look[4] = nanoseconds(st.st_mtim);
        look[5] = nanoseconds(st.st_ctim);
        stamping->sure &= look[5] < stamping->settled;
    } else {
        stamping->sure &= errno == ENOENT;
    }
    XXH3_128bits_update(stamping->state, path, strlen(path) + 1);
    XXH3_128bits_update(stamping->state, look, sizeof look);
}

/* A .key file's and its .private file's. */
static void stamp_key(struct stamping *stamping, const char *directory, const char *name)
{
    char path[PATH_ROOM];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    stamp_file(stamping, path);
    snprintf(path, sizeof path, "%s/%.*sprivate", directory, (int)(strlen(name) - strlen("key")),
             name);
    stamp_file(stamping, path);
}

/*
 * Of all files of a zone's keys; 0 where that would not tell of every change: what was changed just
 * now could be so once more within a tick of the file system's clock, and a DNSKEY RRset from
 * elsewhere may include other files.
 */
static void stamp_files(const struct keyset_directory *directory, const uint8_t *zone,
                        uint64_t stamp[2])
{
    const char *const *names;
    size_t count = keyset_directory_keys(directory, zone, &names);
    struct stamping stamping = {.state = XXH3_createState(),
                                .settled = source_now() - SETTLED_NS,
                                .sure = count > 0 && offline_file(directory, zone) == NULL};
    stamp[0] = stamp[1] = 0;
    if (stamping.state == NULL || XXH3_128bits_reset(stamping.state) != XXH_OK) {
        XXH3_freeState(stamping.state);
        return;
    }
    for (size_t i = 0; i < count && stamping.sure; i++) {
        stamp_key(&stamping, directory->path, names[i]);
    }
    if (stamping.sure) {
        XXH128_hash_t hash = XXH3_128bits_digest(stamping.state);
        stamp[0] = hash.low64 | 1;
        stamp[1] = hash.high64;
    }
    XXH3_freeState(stamping.state);
}

bool keyset_is_current(const struct keyset *keyset, const struct keyset_directory *directory)
{
    uint64_t stamp[2];
    if (keyset->stamp[0] == 0) {
        return false;
    }
    stamp_files(directory, keyset->zone, stamp);
    return stamp[0] == keyset->stamp[0] && stamp[1] == keyset->stamp[1];
}

/* ---- Reading ---- */

static struct keyset *new_keyset(const uint8_t *zone)
{
    struct keyset *keyset = calloc(1, sizeof *keyset);
    size_t size = name_size(zone);
    if (keyset == NULL) {
        return NULL;
    }
    keyset->references = 1;
    keyset->whole_from = INT64_MIN;
    for (size_t i = 0; i < size; i++) {
        keyset->zone[i] = name_lower(zone[i]);
    }
    return keyset;
}

static int make_room(struct keyset *keyset, size_t count)
{
    struct dnskey *grown = realloc(keyset->key, count * sizeof *grown);
    if (grown == NULL) {
        return RR_ENOMEM;
    }
    keyset->key = grown;
    return RR_OK;
}

/* Takes over the last key, which has been read or made: its CDS. */
static int add_key(struct keyset *keyset)
{
    size_t index = keyset->count++;
    return dnskey_ds(&keyset->key[index], DNSKEY_SHA256, keyset->cds[index]) == KEYSET_CDS_SIZE
               ? RR_OK
               : RR_ENOMEM;
}

/* Reads a key file; one more than there may be is told. */
static int read_key(struct keyset *keyset, const char *path, int64_t now, struct diag *diag)
{
    struct dnskey key;
    int error = keyfile_read(path, &key, diag);
    if (error == RR_OK && keyset_state(&key, now) == KEYSET_REMOVED) {
        int64_t removed = key.times[DNSKEY_DELETE];
        keyset->whole_from = removed > keyset->whole_from ? removed : keyset->whole_from;
    } else if (error == RR_OK && keyset->count == KEYSET_KEYS_MAX) {
        diag_fault(diag, path, 0, "the zone has more than %d keys that are not deleted",
                   KEYSET_KEYS_MAX);
        error = RR_EINVAL;
    } else if (error == RR_OK) {
        error = make_room(keyset, keyset->count + 1);
        if (error == RR_OK) {
            keyset->key[keyset->count] = key;
            return add_key(keyset);
        }
        diag_fault(diag, path, 0, "%s", rr_strerror(error));
    }
    dnskey_clear(&key);
    return error;
}

static int read_keys(const struct keyset_directory *directory, struct keyset *keyset, int64_t now,
                     struct diag *diag)
{
    const char *const *names;
    char path[PATH_ROOM];
    size_t count = keyset_directory_keys(directory, keyset->zone, &names);
    if (count > KEYSET_FILES_MAX) {
        diag_fault(diag, directory->path, 0, "%zu files %s and the like, at most %d are read",
                   count, names[0], KEYSET_FILES_MAX);
        return RR_EINVAL;
    }
    int error = RR_OK;
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/%s", directory->path, names[i]);
        int one = read_key(keyset, path, now, diag);
        error = one != RR_OK ? one : error;
    }
    return error;
}

/* What was left by who was killed while making a key, which its owner should know of. */
static void warn_leftover(const struct keyset_directory *directory, const uint8_t *zone,
                          struct diag *diag)
{
    char path[PATH_ROOM];
    size_t first, count = names_of(&directory->leftover, zone, &first);
    for (size_t i = first; i < first + count; i++) {
        const char *name = directory->leftover.name[i];
        snprintf(path, sizeof path, "%s/%s", directory->path, name);
        diag_warn(diag, path, 0, "%s, so it is passed over: left where the making of a key was cut "
                  "short, it may be removed",
                  ends_with(name, ".private") ? "has no .key file" : "was not finished");
    }
}

static int read_offline(const struct keyset_directory *directory, struct keyset *keyset,
                        struct diag *diag)
{
    char path[PATH_ROOM];
    const char *name = offline_file(directory, keyset->zone);
    if (name == NULL) {
        return RR_OK;
    }
    snprintf(path, sizeof path, "%s/%s", directory->path, name);
    return keyset_offline_read(path, keyset->zone, &keyset->offline, diag);
}

int keyset_read(const struct keyset_directory *directory, const uint8_t *zone, int64_t now,
                struct keyset **result, struct diag *diag)
{
    struct keyset *keyset = new_keyset(zone);
    *result = NULL;
    if (keyset == NULL) {
        diag_fault(diag, directory->path, 0, "%s", rr_strerror(RR_ENOMEM));
        return RR_ENOMEM;
    }
    stamp_files(directory, zone, keyset->stamp); /* before they are read */
    warn_leftover(directory, zone, diag);
    int error = read_keys(directory, keyset, now, diag);
    if (error == RR_OK) {
        error = read_offline(directory, keyset, diag);
    }
    if (error != RR_OK) {
        keyset_unref(keyset);
        return error;
    }
    *result = keyset;
    return RR_OK;
}

/* ---- Making ---- */

static void tell_make(const char *path, const uint8_t *zone, int error, struct diag *diag)
{
    char name[NAME_MAX_TEXT];
    name_to_text(zone, name);
    diag_fault(diag, path, 0, "no key can be made for %s: %s", name,
               error == RR_EIO ? strerror(errno) : secret_strerror(error));
}

int keyset_make(const char *path, const uint8_t *zone, uint8_t algorithm, int64_t now,
                struct keyset **result, char *ds, struct diag *diag)
{
    int64_t times[DNSKEY_EVENTS];
    struct keyset *keyset = new_keyset(zone);
    int error = RR_ENOMEM;
    *result = NULL;
    for (unsigned event = 0; event < DNSKEY_EVENTS; event++) {
        times[event] = event <= DNSKEY_ACTIVATE ? now : DNSKEY_UNSET;
    }
    if (keyset != NULL && make_room(keyset, 1) == RR_OK) {
        error = keyfile_make(path, zone, DNSKEY_ZONE | DNSKEY_SEP, algorithm, times,
                             &keyset->key[0]);
        if (error != RR_OK) {
            dnskey_clear(&keyset->key[0]);
        }
    }
    if (error != RR_OK) {
        tell_make(path, zone, error, diag);
    } else {
        error = add_key(keyset);
    }
    if (error == RR_OK) {
        error = dnskey_ds_text(&keyset->key[0], DNSKEY_SHA256, ds);
    }
    if (error != RR_OK) {
        keyset_unref(keyset);
        return error;
    }
    *result = keyset;
    return RR_OK;
}

struct keyset *keyset_ref(struct keyset *keyset)
{
    keyset->references++;
    return keyset;
}

void keyset_unref(struct keyset *keyset)
{
    if (keyset == NULL || --keyset->references > 0) {
        return;
    }
    for (size_t i = 0; i < keyset->count; i++) {
        dnskey_clear(&keyset->key[i]);
    }
    keyset_offline_free(keyset->offline);
    free(keyset->key);
    free(keyset);
}

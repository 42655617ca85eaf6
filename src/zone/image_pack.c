/*
 * The directory has a checksum of its own and is looked through whole when a pack is opened, so
 * that going through entries needs no more checks. Each arena's sum stands in its entry: a zone
 * that is broken says nothing about its neighbours.
 *
 * A pack of many small zones is read whole, since a system call a zone would cost as much as the
 * zone; of a large one the arena goes straight to its place.
 */
#include "zone/image_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/err.h"
#include "zone/image.h"
#include "zone/image_arena.h"

#define PACK_MAGIC "\x89rrP\r\n\x1a\n"

enum {
    UNIT = 8,
    READ_WHOLE =
        16 << 20, /* a file up to that; memory for one is taken by each thread that reads */
    NAME_TRIES = 100,
};

struct pack_header {
    uint8_t magic[8];
    uint32_t byte_order;
    uint32_t version;     /* ZONE_IMAGE_VERSION */
    uint64_t directory;   /* octets of the directory, a multiple of 8 */
    uint64_t count;       /* entries */
    uint8_t checksum[16]; /* XXH3, 128 bits, of the directory behind this header with zero here */
};

/* Followed by the name, then, at the next unit, by the sources. */
struct pack_entry {
    uint64_t arena_at, arena_size; /* in the file; octets */
    uint8_t sum[16];               /* image_sum of the arena */
    uint32_t size; /* octets of the entry with all that follows: where the next is */
    uint32_t sources;
    uint64_t name_size;
};

/* Followed by the path and at least one NUL, up to the next unit. */
struct pack_source {
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns, read_ns;
    uint64_t hash[2];
    uint32_t flags;
    uint32_t path_size; /* without the NUL */
};

enum source_flags { SOURCE_MISSING = 1 };

static size_t rounded(size_t size)
{
    return (size + UNIT - 1) & ~(size_t)(UNIT - 1);
}

static void make_checksum(const struct pack_header *header, const uint8_t *directory,
                          uint8_t checksum[16])
{
    struct pack_header plain = *header;
    memset(plain.checksum, 0, sizeof plain.checksum);
    XXH128_hash_t first = XXH3_128bits(&plain, sizeof plain);
    XXH128_hash_t all =
        XXH3_128bits_withSeed(directory, (size_t)header->directory, first.low64 ^ first.high64);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, all);
    memcpy(checksum, canonical.digest, 16);
}

/* ---- Writing ---- */

static size_t source_size(const struct source_file *file)
{
    return sizeof(struct pack_source) + rounded(strlen(file->path) + 1);
}

static size_t entry_size(const struct image_pack_zone *zone)
{
    size_t size = sizeof(struct pack_entry) + rounded(zone->zone->head->apex_size);
    for (size_t i = 0; i < zone->sources->count; i++) {
        size += source_size(&zone->sources->files[i]);
    }
    return size;
}

static void put_source(const struct source_file *file, uint8_t *out)
{
    struct pack_source source = {
        .device = file->device,
        .inode = file->inode,
        .size = file->size,
        .mtime_ns = file->mtime_ns,
        .ctime_ns = file->ctime_ns,
        .read_ns = file->read_ns,
        .hash = {file->hash[0], file->hash[1]},
        .flags = file->missing ? SOURCE_MISSING : 0,
        .path_size = (uint32_t)strlen(file->path),
    };
    memcpy(out, &source, sizeof source);
    memcpy(out + sizeof source, file->path, source.path_size);
}

static void put_entry(const struct image_pack_zone *zone, uint64_t arena_at, uint8_t *out)
{
    const struct zone_head *head = zone->zone->head;
    struct pack_entry entry = {
        .arena_at = arena_at,
        .arena_size = zone->zone->arena.used,
        .size = (uint32_t)entry_size(zone),
        .sources = (uint32_t)zone->sources->count,
        .name_size = head->apex_size,
    };
    image_sum(zone->zone->arena.base, zone->zone->arena.used, entry.sum);
    memcpy(out, &entry, sizeof entry);
    out += sizeof entry;
    memcpy(out, head->apex_name, head->apex_size);
    out += rounded(head->apex_size);
    for (size_t i = 0; i < zone->sources->count; i++) {
        put_source(&zone->sources->files[i], out);
        out += source_size(&zone->sources->files[i]);
    }
}

/* Header and directory in one block; *size its octets. */
static uint8_t *make_directory(const struct image_pack_zone *zones, size_t count, size_t *size)
{
    *size = sizeof(struct pack_header);
    for (size_t i = 0; i < count; i++) {
        *size += entry_size(&zones[i]);
    }
    uint8_t *block = calloc(1, *size);
    if (block == NULL) {
        return NULL;
    }
    uint64_t arena_at = *size;
    uint8_t *out = block + sizeof(struct pack_header);
    for (size_t i = 0; i < count; i++) {
        put_entry(&zones[i], arena_at, out);
        out += entry_size(&zones[i]);
        arena_at += zones[i].zone->arena.used;
    }
    struct pack_header header = {
        .byte_order = IMAGE_BYTE_ORDER,
        .version = ZONE_IMAGE_VERSION,
        .directory = *size - sizeof header,
        .count = count,
    };
    memcpy(header.magic, PACK_MAGIC, sizeof header.magic);
    make_checksum(&header, block + sizeof header, header.checksum);
    memcpy(block, &header, sizeof header);
    return block;
}

/* An open file of a name that was not there; its descriptor, or -1 with errno set. */
static int open_temporary(int folder, char name[static sizeof IMAGE_PACK_TEMPORARY + 6])
{
    static atomic_uint number;
    int fd = -1;
    for (unsigned try = 0; try < NAME_TRIES; try++) {
        unsigned unique = (unsigned)getpid() * 31 + atomic_fetch_add(&number, 1);
        snprintf(name, sizeof IMAGE_PACK_TEMPORARY + 6, IMAGE_PACK_TEMPORARY "%06x",
                 unique & 0xffffff);
        fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0 || errno != EEXIST) {
            break;
        }
    }
    return fd;
}

static int write_zones(int fd, const struct image_pack_zone *zones, size_t count,
                       const atomic_bool *stop)
{
    enum { STEP = 8 << 20 };
    for (size_t i = 0; i < count; i++) {
        const struct arena *arena = &zones[i].zone->arena;
        for (size_t at = 0; at < arena->used; at += STEP) {
            if (atomic_load_explicit(stop, memory_order_relaxed)) {
                return RR_ESTATE;
            }
            size_t left = arena->used - at;
            if (!image_put(fd, arena->base + at, left < STEP ? left : STEP)) {
                return RR_EIO;
            }
        }
    }
    return RR_OK;
}

int image_pack_write(int folder, const char *name, const struct image_pack_zone *zones,
                     size_t count, const atomic_bool *stop)
{
    char temporary[sizeof IMAGE_PACK_TEMPORARY + 6];
    size_t size;
    uint8_t *block = make_directory(zones, count, &size);
    if (block == NULL) {
        return RR_ENOMEM;
    }
    int fd = open_temporary(folder, temporary);
    if (fd < 0) {
        free(block);
        return RR_EIO;
    }
    int error = image_put(fd, block, size) ? write_zones(fd, zones, count, stop) : RR_EIO;
    int saved = errno;
    free(block);
    if (close(fd) != 0 && error == RR_OK) {
        error = RR_EIO;
        saved = errno;
    }
    if (error == RR_OK && renameat(folder, temporary, folder, name) != 0) {
        error = RR_EIO;
        saved = errno;
    }
    if (error != RR_OK) {
        unlinkat(folder, temporary, 0);
    }
    errno = saved;
    return error;
}

/* ---- Reading ---- */

struct image_pack {
    char *path;
    int fd;
    uint8_t *whole; /* the file's octets where it was read whole; ours */
    struct image_octets octets;
    uint8_t *directory;
    size_t size; /* octets of it */
};

static int refuse(struct diag *diag, const char *path, const char *reason)
{
    diag_fault(diag, path, 0, "%s", reason);
    return RR_EFORMAT;
}

static struct pack_entry entry_at(const struct image_pack *pack, size_t at)
{
    struct pack_entry entry;
    memcpy(&entry, pack->directory + at, sizeof entry);
    return entry;
}

static struct pack_source source_at(const struct image_pack *pack, size_t at)
{
    struct pack_source source;
    memcpy(&source, pack->directory + at, sizeof source);
    return source;
}

static size_t after_source(size_t at, const struct pack_source *source)
{
    return at + sizeof *source + rounded((size_t)source->path_size + 1);
}

/* Whether the entry at `at` with its name and its sources lies within the directory. */
static bool is_entry_good(const struct image_pack *pack, size_t at)
{
    if (pack->size - at < sizeof(struct pack_entry)) {
        return false;
    }
    struct pack_entry entry = entry_at(pack, at);
    if (entry.size > pack->size - at || entry.size % UNIT != 0 || entry.sources == 0 ||
        entry.name_size == 0 || entry.name_size > NAME_MAX_OCTETS ||
        entry.size < sizeof entry + rounded((size_t)entry.name_size) ||
        entry.arena_at > pack->octets.size ||
        entry.arena_size > pack->octets.size - entry.arena_at) {
        return false;
    }
    size_t end = at + entry.size;
    at += sizeof entry;
    if (name_check(pack->directory + at, (size_t)entry.name_size) != entry.name_size) {
        return false;
    }
    at += rounded((size_t)entry.name_size);
    for (uint32_t i = 0; i < entry.sources; i++) {
        if (end - at < sizeof(struct pack_source)) {
            return false;
        }
        struct pack_source source = source_at(pack, at);
        const uint8_t *path = pack->directory + at + sizeof source;
        if (source.path_size >= PATH_MAX || after_source(at, &source) > end ||
            memchr(path, '\0', (size_t)source.path_size + 1) != path + source.path_size) {
            return false;
        }
        at = after_source(at, &source);
    }
    return at == end;
}

static int check_header(const struct pack_header *header, const struct image_pack *pack,
                        struct diag *diag)
{
    if (memcmp(header->magic, PACK_MAGIC, sizeof header->magic) != 0) {
        return refuse(diag, pack->path, "not a pack of zone images");
    }
    if (header->byte_order != IMAGE_BYTE_ORDER) {
        return refuse(diag, pack->path, "zone images of a machine with another byte order");
    }
    if (header->version != ZONE_IMAGE_VERSION) {
        diag_fault(diag, pack->path, 0, "zone images of version %u; this program's is %u",
                   header->version, (unsigned)ZONE_IMAGE_VERSION);
        return RR_EFORMAT;
    }
    if (header->directory % UNIT != 0 || header->directory > pack->octets.size - sizeof *header) {
        return refuse(diag, pack->path, "zone images are cut short");
    }
    return RR_OK;
}

static int read_directory(struct image_pack *pack, struct diag *diag)
{
    struct pack_header header;
    int error = image_take(&pack->octets, 0, &header, sizeof header);
    if (error == RR_OK) {
        error = check_header(&header, pack, diag);
    } else if (error == RR_EFORMAT) {
        return refuse(diag, pack->path, "not a pack of zone images: too short");
    }
    if (error != RR_OK) {
        return error;
    }
    pack->size = (size_t)header.directory;
    pack->directory = malloc(pack->size + 1);
    if (pack->directory == NULL) {
        return RR_ENOMEM;
    }
    error = image_take(&pack->octets, sizeof header, pack->directory, pack->size);
    if (error != RR_OK) {
        return error == RR_EFORMAT ? refuse(diag, pack->path, "zone images are cut short") : error;
    }
    uint8_t checksum[16];
    make_checksum(&header, pack->directory, checksum);
    if (memcmp(checksum, header.checksum, sizeof checksum) != 0) {
        return refuse(diag, pack->path, "zone images are damaged: their checksum is another");
    }
    size_t at = 0;
    for (uint64_t i = 0; i < header.count; i++) {
        if (!is_entry_good(pack, at)) {
            return refuse(diag, pack->path, "zone images with a broken directory");
        }
        at += entry_at(pack, at).size;
    }
    return at == pack->size ? RR_OK
                            : refuse(diag, pack->path, "zone images with a broken directory");
}

static struct image_pack *pack_new(const char *path)
{
    struct image_pack *pack = calloc(1, sizeof *pack);
    if (pack == NULL) {
        return NULL;
    }
    pack->fd = -1;
    pack->path = strdup(path);
    if (pack->path == NULL) {
        free(pack);
        return NULL;
    }
    pack->octets = (struct image_octets){.name = pack->path, .fd = -1};
    return pack;
}

static int finish(struct image_pack *pack, int error, struct image_pack **result)
{
    if (error != RR_OK) {
        int saved = errno;
        image_pack_close(pack);
        errno = saved;
        return error;
    }
    *result = pack;
    return RR_OK;
}

/* Reads a small file whole; for a large one what is needed is read when it is. */
static int read_whole(struct image_pack *pack, struct diag *diag)
{
    size_t size = (size_t)pack->octets.size;
    if (pack->octets.size > READ_WHOLE) {
        return RR_OK;
    }
    pack->whole = malloc(size + 1);
    if (pack->whole == NULL) {
        return RR_ENOMEM;
    }
    int error = image_take(&pack->octets, 0, pack->whole, size);
    pack->octets.data = pack->whole;
    return error == RR_EFORMAT ? refuse(diag, pack->path, "zone images are cut short") : error;
}

int image_pack_open(int folder, const char *name, const char *path, struct image_pack **result,
                    struct diag *diag)
{
    *result = NULL;
    struct image_pack *pack = pack_new(path);
    if (pack == NULL) {
        return RR_ENOMEM;
    }
    struct stat st;
    pack->fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (pack->fd < 0 || fstat(pack->fd, &st) != 0) {
        return finish(pack, RR_EIO, result);
    }
    if (!S_ISREG(st.st_mode)) {
        return finish(pack, refuse(diag, path, "not a regular file"), result);
    }
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
        diag_fault(diag, path, 0, "others than the server's user can write it");
        return finish(pack, RR_EPERM, result);
    }
    pack->octets.fd = pack->fd;
    pack->octets.size = (uint64_t)st.st_size;
    int error = read_whole(pack, diag);
    return finish(pack, error == RR_OK ? read_directory(pack, diag) : error, result);
}

int image_pack_parse(const char *path, const void *data, size_t size, struct image_pack **result,
                     struct diag *diag)
{
    *result = NULL;
    struct image_pack *pack = pack_new(path);
    if (pack == NULL) {
        return RR_ENOMEM;
    }
    pack->octets.data = data;
    pack->octets.size = size;
    return finish(pack, read_directory(pack, diag), result);
}

void image_pack_mend(uint8_t *data, size_t size)
{
    struct pack_header header;
    if (size < sizeof header) {
        return;
    }
    memcpy(&header, data, sizeof header);
    if (header.directory > size - sizeof header) {
        return;
    }
    uint8_t *directory = data + sizeof header;
    for (size_t at = 0; header.directory - at >= sizeof(struct pack_entry);) {
        struct pack_entry entry;
        memcpy(&entry, directory + at, sizeof entry);
        if (entry.arena_at <= size && entry.arena_size <= size - entry.arena_at) {
            image_sum(data + entry.arena_at, (size_t)entry.arena_size, entry.sum);
            memcpy(directory + at, &entry, sizeof entry);
        }
        if (entry.size == 0 || entry.size > header.directory - at) {
            break;
        }
        at += entry.size;
    }
    make_checksum(&header, directory, header.checksum);
    memcpy(data, &header, sizeof header);
}

void image_pack_close(struct image_pack *pack)
{
    if (pack == NULL) {
        return;
    }
    if (pack->fd >= 0) {
        close(pack->fd);
    }
    free(pack->whole);
    free(pack->directory);
    free(pack->path);
    free(pack);
}

bool image_pack_next(const struct image_pack *pack, struct image_pack_entry *entry)
{
    size_t at = entry->size == 0 ? 0 : entry->at + entry_at(pack, entry->at).size;
    if (at >= pack->size) {
        return false;
    }
    struct pack_entry next = entry_at(pack, at);
    entry->at = at;
    entry->size = next.arena_size > 0 ? next.arena_size : 1;
    at += sizeof next;
    memcpy(entry->name, pack->directory + at, (size_t)next.name_size);
    entry->sources_at = at + rounded((size_t)next.name_size);
    return true;
}

static const char *path_of(const struct image_pack *pack, size_t source_at_octet)
{
    return (const char *)pack->directory + source_at_octet + sizeof(struct pack_source);
}

bool image_pack_is_of(const struct image_pack *pack, const struct image_pack_entry *entry,
                      const char *path)
{
    return strcmp(path_of(pack, entry->sources_at), path) == 0;
}

int image_pack_sources(const struct image_pack *pack, const struct image_pack_entry *entry,
                       struct source_list *sources)
{
    uint32_t count = entry_at(pack, entry->at).sources;
    sources->files = calloc(count, sizeof *sources->files);
    if (sources->files == NULL) {
        return RR_ENOMEM;
    }
    size_t at = entry->sources_at;
    for (uint32_t i = 0; i < count; i++) {
        struct pack_source source = source_at(pack, at);
        char *path = strdup(path_of(pack, at));
        if (path == NULL) {
            source_list_clear(sources);
            return RR_ENOMEM;
        }
        sources->files[sources->count++] = (struct source_file){
            .path = path,
            .device = source.device,
            .inode = source.inode,
            .size = source.size,
            .mtime_ns = source.mtime_ns,
            .ctime_ns = source.ctime_ns,
            .read_ns = source.read_ns,
            .hash = {source.hash[0], source.hash[1]},
            .missing = (source.flags & SOURCE_MISSING) != 0,
        };
        at = after_source(at, &source);
    }
    return RR_OK;
}

static const char *expect_sum(const void *context, const uint8_t sum[16])
{
    return memcmp(context, sum, 16) == 0 ? NULL : "zone image is damaged: its checksum is another";
}

int image_pack_load(const struct image_pack *pack, const struct image_pack_entry *entry,
                    size_t threads, struct zone **zone, struct diag *diag)
{
    struct pack_entry its = entry_at(pack, entry->at);
    *zone = NULL;
    int error = image_load(&pack->octets, its.arena_at, its.arena_size, threads, expect_sum,
                           its.sum, zone, diag);
    if (error == RR_OK && !name_equal((*zone)->head->apex_name, entry->name)) {
        zone_unref(*zone);
        *zone = NULL;
        error = refuse(diag, pack->path, "zone image of another zone than its entry says");
    }
    return error;
}

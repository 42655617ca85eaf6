/*
 * A file is read into memory of its own, not mapped: a mapped file that someone truncates ends the
 * server with SIGBUS, and one that someone writes to changes under checks that have passed.
 *
 * The checksum finds disks and copies that went wrong, and finds them first, so that its message
 * is the one the operator sees. It is no protection: whoever can write an image can write its
 * checksum. So what it covers is checked as if it came from a stranger (image_check.c).
 */
#include "zone/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/err.h"
#include "zone/image_check.h"

/* Where an image's octets come from. */
struct source {
    const char *name; /* for messages */
    int fd;           /* -1: from data */
    const uint8_t *data;
    uint64_t size; /* octets in all */
};

static void checksum(const void *arena, size_t size, uint8_t sum[16])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(arena, size));
    memcpy(sum, canonical.digest, sizeof canonical.digest);
}

void image_header(const void *arena, size_t size, struct image_header *header)
{
    *header = (struct image_header){
        .byte_order = IMAGE_BYTE_ORDER,
        .version = ZONE_IMAGE_VERSION,
        .size = size,
    };
    memcpy(header->magic, IMAGE_MAGIC, sizeof header->magic);
    checksum(arena, size, header->checksum);
}

/* --- writing --- */

static bool write_all(int fd, const void *data, size_t size)
{
    const uint8_t *p = data;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/*
 * The content is on disk before its name is, so a crash leaves the old image or the new one. The
 * folder is not synced: either is as good as the other.
 */
static bool write_as(const struct zone *zone, int fd, const char *temporary, const char *path)
{
    struct image_header header;
    image_header(zone->arena.base, zone->arena.used, &header);
    bool written = write_all(fd, &header, sizeof header) &&
                   write_all(fd, zone->arena.base, zone->arena.used) && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && written) {
        written = false;
        error = errno;
    }
    errno = error;
    return written && rename(temporary, path) == 0;
}

int image_write(const struct zone *zone, const char *path)
{
    static const char suffix[] = ".XXXXXX";
    size_t length = strlen(path);
    char *temporary = malloc(length + sizeof suffix);
    if (temporary == NULL) {
        errno = ENOMEM;
        return RR_EIO;
    }
    memcpy(temporary, path, length);
    memcpy(temporary + length, suffix, sizeof suffix);

    int result = RR_EIO;
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        goto out;
    }
    if (!write_as(zone, fd, temporary, path)) {
        int error = errno;
        unlink(temporary);
        errno = error;
        goto out;
    }
    result = RR_OK;
out:
    free(temporary);
    return result;
}

/* --- reading --- */

/* The next size octets into out, fewer where the source ends before; RR_EIO, or 0 and *got. */
static int take(struct source *source, void *out, size_t size, size_t *got)
{
    *got = 0;
    if (source->fd < 0) {
        *got = source->size < size ? (size_t)source->size : size;
        memcpy(out, source->data, *got);
        source->data += *got;
        source->size -= *got;
        return RR_OK;
    }
    while (*got < size) {
        ssize_t n = read(source->fd, (uint8_t *)out + *got, size - *got);
        if (n == 0) {
            break;
        }
        if (n > 0) {
            *got += (size_t)n;
        } else if (errno != EINTR) {
            return RR_EIO;
        }
    }
    return RR_OK;
}

static int refuse(const struct source *source, struct diag *diag, const char *reason)
{
    diag_fault(diag, source->name, 0, "%s", reason);
    return RR_EFORMAT;
}

static int check_header(const struct source *source, const struct image_header *header,
                        uint64_t size, struct diag *diag)
{
    if (memcmp(header->magic, IMAGE_MAGIC, sizeof header->magic) != 0) {
        return refuse(source, diag, "not a zone image");
    }
    if (header->byte_order != IMAGE_BYTE_ORDER) {
        return refuse(source, diag, "zone image of a machine with another byte order");
    }
    if (header->version != ZONE_IMAGE_VERSION) {
        diag_fault(diag, source->name, 0, "zone image of version %u; this program's is %u",
                   header->version, (unsigned)ZONE_IMAGE_VERSION);
        return RR_EFORMAT;
    }
    if (header->size != size - sizeof *header) {
        return refuse(source, diag,
                      header->size > size - sizeof *header ? "zone image is cut short"
                                                           : "zone image is longer than it says");
    }
    return RR_OK;
}

/* Fills the arena with the octets that follow the header. */
static int load_arena(struct source *source, const struct image_header *header, struct arena *arena,
                      struct diag *diag)
{
    int error = arena_restore(arena, (size_t)header->size);
    if (error != RR_OK) {
        return error == RR_ERANGE ? refuse(source, diag, "zone image of an impossible size")
                                  : error;
    }
    size_t got;
    error = take(source, arena->base, arena->used, &got);
    if (error != RR_OK) {
        return error;
    }
    uint8_t sum[sizeof header->checksum];
    checksum(arena->base, got, sum);
    if (got < arena->used || memcmp(sum, header->checksum, sizeof sum) != 0) {
        return refuse(source, diag, "zone image is damaged: its checksum is another");
    }
    return arena_seal(arena);
}

static int load(struct source *source, struct zone **zone, struct diag *diag)
{
    struct image_header header;
    uint64_t size = source->size;
    size_t got;
    int error = take(source, &header, sizeof header, &got);
    if (error != RR_OK) {
        return error;
    }
    if (got < sizeof header || size < sizeof header) {
        return refuse(source, diag, "not a zone image: too short");
    }
    error = check_header(source, &header, size, diag);
    if (error != RR_OK) {
        return error;
    }
    struct zone *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) {
        return RR_ENOMEM;
    }
    *fresh = (struct zone){.magic = ZONE_MAGIC, .references = 1};
    arena_init(&fresh->arena);
    error = load_arena(source, &header, &fresh->arena, diag);
    if (error == RR_OK) {
        struct image_fault fault;
        error = image_check(fresh, &fault);
        if (error == RR_EFORMAT) {
            diag_fault(diag, source->name, 0, "zone image is broken at octet %zu: %s",
                       sizeof header + fault.at, fault.reason);
        }
    }
    if (error != RR_OK) {
        int saved = errno;
        zone_unref(fresh);
        errno = saved;
        return error;
    }
    *zone = fresh;
    return RR_OK;
}

int image_parse(const char *name, const void *data, size_t size, struct zone **zone,
                struct diag *diag)
{
    *zone = NULL;
    struct source source = {.name = name, .fd = -1, .data = data, .size = size};
    return load(&source, zone, diag);
}

int image_read(const char *path, struct zone **zone, struct diag *diag)
{
    *zone = NULL;
    /* Not to wait for a writer, should it be a FIFO. */
    struct source source = {.name = path, .fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
    if (source.fd < 0) {
        return RR_EIO;
    }
    int error = RR_EIO;
    struct stat status;
    if (fstat(source.fd, &status) == 0) {
        source.size = (uint64_t)status.st_size;
        error = S_ISREG(status.st_mode) ? load(&source, zone, diag)
                                        : refuse(&source, diag, "not a regular file");
    }
    int saved = errno;
    close(source.fd);
    errno = saved;
    return error;
}

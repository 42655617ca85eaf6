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
#include "zone/image_arena.h"

/* Makes the header's checksum, for an arena of that sum. */
static void seal_header(struct image_header *header, const uint8_t sum[16])
{
    uint8_t covered[sizeof *header + 16];
    memset(header->checksum, 0, sizeof header->checksum);
    memcpy(covered, header, sizeof *header);
    memcpy(covered + sizeof *header, sum, 16);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(covered, sizeof covered));
    memcpy(header->checksum, canonical.digest, sizeof header->checksum);
}

void image_header(const void *arena, size_t size, const struct source_list *sources,
                  struct image_header *header)
{
    *header = (struct image_header){
        .byte_order = IMAGE_BYTE_ORDER,
        .version = ZONE_IMAGE_VERSION,
        .size = size,
    };
    memcpy(header->magic, IMAGE_MAGIC, sizeof header->magic);
    if (sources != NULL) {
        source_list_hash(sources, header->source);
    }
    uint8_t sum[16];
    image_sum(arena, size, sum);
    seal_header(header, sum);
}

/* --- writing --- */

/*
 * The content is on disk before its name is, so a crash leaves the old image or the new one. The
 * folder is not synced: either is as good as the other.
 */
static bool write_as(const struct zone *zone, const struct source_list *sources, int fd,
                     const char *temporary, const char *path)
{
    struct image_header header;
    mode_t mask = umask(0);
    umask(mask);
    image_header(zone->arena.base, zone->arena.used, sources, &header);
    bool written = image_put(fd, &header, sizeof header) &&
                   image_put(fd, zone->arena.base, zone->arena.used) &&
                   fchmod(fd, 0666 & ~mask) == 0 && fsync(fd) == 0;
    int error = errno;
    if (close(fd) != 0 && written) {
        written = false;
        error = errno;
    }
    errno = error;
    return written && rename(temporary, path) == 0;
}

int image_write(const struct zone *zone, const struct source_list *sources, const char *path)
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
    if (!write_as(zone, sources, fd, temporary, path)) {
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

static int refuse(const char *name, struct diag *diag, const char *reason)
{
    diag_fault(diag, name, 0, "%s", reason);
    return RR_EFORMAT;
}

static int check_header(const char *name, const struct image_header *header, uint64_t size,
                        struct diag *diag)
{
    if (memcmp(header->magic, IMAGE_MAGIC, sizeof header->magic) != 0) {
        return refuse(name, diag, "not a zone image");
    }
    if (header->byte_order != IMAGE_BYTE_ORDER) {
        return refuse(name, diag, "zone image of a machine with another byte order");
    }
    if (header->version != ZONE_IMAGE_VERSION) {
        diag_fault(diag, name, 0, "zone image of version %u; this program's is %u", header->version,
                   (unsigned)ZONE_IMAGE_VERSION);
        return RR_EFORMAT;
    }
    if (header->size != size - sizeof *header) {
        return refuse(name, diag,
                      header->size > size - sizeof *header ? "zone image is cut short"
                                                           : "zone image is longer than it says");
    }
    return RR_OK;
}

static const char *expect_header(const void *context, const uint8_t sum[16])
{
    const struct image_header *given = context;
    struct image_header header = *given;
    seal_header(&header, sum);
    return memcmp(&header, given, sizeof header) == 0
               ? NULL
               : "zone image is damaged: its checksum is another";
}

static int load(const struct image_octets *octets, size_t threads, struct image_header *header,
                struct zone **zone, struct diag *diag)
{
    int error = image_take(octets, 0, header, sizeof *header);
    if (error == RR_EFORMAT) {
        return refuse(octets->name, diag, "not a zone image: too short");
    }
    if (error == RR_OK) {
        error = check_header(octets->name, header, octets->size, diag);
    }
    return error != RR_OK ? error
                          : image_load(octets, sizeof *header, header->size, threads, expect_header,
                                       header, zone, diag);
}

int image_parse(const char *name, const void *data, size_t size, size_t threads, struct zone **zone,
                struct diag *diag)
{
    *zone = NULL;
    struct image_header header;
    struct image_octets octets = {.name = name, .data = data, .fd = -1, .size = size};
    return load(&octets, threads, &header, zone, diag);
}

int image_read(const char *path, size_t threads, struct source_list *sources, struct zone **zone,
               struct diag *diag)
{
    *zone = NULL;
    struct stat status;
    struct image_header header;
    int64_t read_ns = source_now();
    /* Not to wait for a writer, should it be a FIFO. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return RR_EIO;
    }
    int error = RR_EIO;
    if (fstat(fd, &status) == 0) {
        struct image_octets octets = {.name = path, .fd = fd, .size = (uint64_t)status.st_size};
        error = S_ISREG(status.st_mode) ? load(&octets, threads, &header, zone, diag)
                                        : refuse(path, diag, "not a regular file");
    }
    int saved = errno;
    close(fd);
    errno = saved;
    if (error == RR_OK && sources != NULL) {
        error = source_add_image(sources, path, &status, read_ns, header.checksum);
        if (error != RR_OK) {
            zone_unref(*zone);
            *zone = NULL;
        }
    }
    return error;
}

bool image_is(const void *data, size_t size)
{
    return size >= sizeof IMAGE_MAGIC - 1 && memcmp(data, IMAGE_MAGIC, sizeof IMAGE_MAGIC - 1) == 0;
}

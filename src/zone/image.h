/*
 * The file form of a zone: its arena as it is, behind a header that says what it is.
 *
 * An image is for the machine that wrote it, or one like it: numbers are in its byte order, and a
 * reader of another order or of another version of zone.h refuses it. It is a cache of what the
 * master file says and can always be made again from that.
 */
#ifndef RRDNS_ZONE_IMAGE_H
#define RRDNS_ZONE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/source.h"
#include "zone/zone.h"

/* First in the file; the octets of the arena follow, and nothing else. */
struct image_header {
    uint8_t magic[8];     /* IMAGE_MAGIC */
    uint32_t byte_order;  /* IMAGE_BYTE_ORDER, as its writer stores a number */
    uint32_t version;     /* ZONE_IMAGE_VERSION */
    uint64_t size;        /* octets of the arena */
    uint8_t source[16];   /* source_list_hash of the files it was made from; zero: not known */
    uint8_t checksum[16]; /* of this header, with zero here, and the arena's image_sum */
};

/* The high octet and the line ends tell apart what was mangled as text on the way. */
#define IMAGE_MAGIC "\x89rrZ\r\n\x1a\n"
#define IMAGE_BYTE_ORDER UINT32_C(0x01020304)

/* The header for an arena of size octets, made from sources (NULL: not known). */
void image_header(const void *arena, size_t size, const struct source_list *sources,
                  struct image_header *header);

/*
 * Writes the zone to path, under a temporary name beside it first, so that path never holds half an
 * image; what stood there stays where that fails. sources (may be NULL) are what it was made
 * from. Who may read it says the umask, so this is for programs of one thread. Returns 0, or RR_EIO
 * with errno set.
 */
int image_write(const struct zone *zone, const struct source_list *sources, const char *path);

/* Whether what begins with these octets is an image. */
bool image_is(const void *data, size_t size);

/*
 * Reads an image into memory of its own, on up to `threads` threads. Nothing in the file is
 * trusted: header, checksum and every offset, size, name and RDATA length in it are checked, so
 * that lookups and answers from the zone stay in bounds whatever the file held. Where sources is not
 * NULL the file is added to it. Returns 0 and *zone (one reference, the caller's); RR_EIO with errno
 * set; RR_EFORMAT with the reason in diag; RR_ENOMEM.
 */
int image_read(const char *path, size_t threads, struct source_list *sources, struct zone **zone,
               struct diag *diag);

/* The same for an image in memory (tests, fuzzing); data is copied. name is for messages. */
int image_parse(const char *name, const void *data, size_t size, size_t threads, struct zone **zone,
                struct diag *diag);

#endif

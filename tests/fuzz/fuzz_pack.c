/*
 * Packs of images, the files of the server's cache: whatever they hold they are refused, or every
 * entry is, or answers from its zone are well formed.
 *
 * An input is a list of changes to a good pack of all zones: each four octets are a place
 * (big-endian), what is done there, and with which value. A first octet with its high bit set says
 * that the rest is the whole file instead. The checksum of the directory is mended, so that
 * what is behind it is reached.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "desk.h"
#include "zone/image_pack.h"
#include "zones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CHANGE = 4, CHANGES_MAX = 64 };

static struct desk desk;

static uint8_t *good;
static size_t good_size;

/* What image_pack_write makes of all small zones. */
static void make_good(void)
{
    static char path[] = "/tmp/rrdns-fuzz-pack-XXXXXX";
    static atomic_bool stop;
    struct source_file file = {.path = (char[]){"/zones/x.zone"}, .size = 5};
    struct source_list sources = {1, &file};
    struct image_pack_zone zones[FUZZ_ZONES_SMALL];
    for (size_t i = 0; i < FUZZ_ZONES_SMALL; i++) {
        zones[i] = (struct image_pack_zone){fuzz_zone(i), &sources};
    }
    desk_require(mkdtemp(path) != NULL, "no directory");
    int folder = open(path, O_RDONLY | O_DIRECTORY);
    desk_require(image_pack_write(folder, "pack", zones, FUZZ_ZONES_SMALL, &stop) == 0, "no pack");
    int fd = openat(folder, "pack", O_RDONLY);
    struct stat st;
    desk_require(fd >= 0 && fstat(fd, &st) == 0, "no file");
    good_size = (size_t)st.st_size;
    good = malloc(good_size);
    desk_require(good != NULL && read(fd, good, good_size) == st.st_size, "not read");
    unlinkat(folder, "pack", 0);
    rmdir(path);
    close(fd);
    close(folder);
    for (size_t i = 0; i < FUZZ_ZONES_SMALL; i++) {
        zone_unref((struct zone *)(uintptr_t)zones[i].zone);
    }
}

/* Loads every zone; asks just one, since that takes a hundred times longer. */
static void read_all(const struct image_pack *pack, unsigned asked)
{
    struct image_pack_entry entry = {0};
    for (unsigned i = 0; image_pack_next(pack, &entry); i++) {
        struct diag diag = {0};
        struct source_list sources = {0};
        struct zone *zone;
        desk_require(image_pack_sources(pack, &entry, &sources) == 0, "no sources");
        source_list_clear(&sources);
        if (image_pack_load(pack, &entry, 1, &zone, &diag) == 0) {
            if (i == asked) {
                desk_walk(&desk, zone, desk_check_answer, NULL);
            } else {
                zone_unref(zone);
            }
        }
        diag_clear(&diag);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (good == NULL) {
        make_good();
    }
    if (size == 0) {
        return 0;
    }
    bool whole = (data[0] & 0x80) != 0;
    size_t room = whole ? size - 1 : good_size;
    uint8_t *file = malloc(room + 1);
    desk_require(file != NULL, "no memory");
    memcpy(file, whole ? data + 1 : good, room);
    for (size_t at = 1; !whole && at + CHANGE <= size && at < CHANGES_MAX * CHANGE; at += CHANGE) {
        uint8_t *place = file + ((size_t)data[at] << 8 | data[at + 1]) % room;
        uint8_t value = data[at + 3];
        *place = data[at + 2] % 3 == 0   ? value
                 : data[at + 2] % 3 == 1 ? *place ^ value
                                         : (uint8_t)(*place + value);
    }
    image_pack_mend(file, room);
    struct diag diag = {0};
    struct image_pack *pack;
    if (image_pack_parse("fuzz", file, room, &pack, &diag) == 0) {
        read_all(pack, data[0] % FUZZ_ZONES_SMALL);
    }
    image_pack_close(pack);
    diag_clear(&diag);
    free(file);
    return 0;
}

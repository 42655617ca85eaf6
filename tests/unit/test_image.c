/*
 * Images: written, read back and asked the same questions; cut short, with every octet changed,
 * and without memory. What is looked for in them is in test_image_check.c.
 *
 * An image that is taken in spite of a change must be harmless: it is read through and asked
 * about everything in it, which the address sanitizer watches.
 */
#include "zone/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../fuzz/desk.h"
#include "base/err.h"
#include "craft.h"
#include "make_zone.h"
#include "names.h"
#include "slow_zone.h"
#include "unit.h"

static struct desk desk;

/* ---- Aids ---- */

/* All answers a zone gives, one after another. */
struct transcript {
    uint8_t *data;
    size_t size, room;
};

static void note(void *context, const uint8_t *query, size_t query_size, const uint8_t *answer,
                 size_t size)
{
    struct transcript *t = context;
    if (t->size + query_size + size > t->room) {
        t->room = 2 * (t->room + query_size + size);
        t->data = realloc(t->data, t->room);
    }
    memcpy(t->data + t->size, query, query_size);
    memcpy(t->data + t->size + query_size, answer, size);
    t->size += query_size + size;
}

static char *folder_new(void)
{
    static char folder[64];
    snprintf(folder, sizeof folder, "/tmp/rrdns-image-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    return folder;
}

static char *in_folder(const char *folder, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static size_t folder_entries(const char *folder)
{
    DIR *dir = opendir(folder);
    size_t count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count;
}

static void folder_free(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            unlink(in_folder(folder, entry->d_name));
        }
    }
    closedir(dir);
    ck_assert_int_eq(rmdir(folder), 0);
}

/* ---- Round trips ---- */

static struct zone *read_good(const char *path)
{
    struct diag diag = {0};
    struct zone *zone;
    int error = image_read(path, 1, NULL, &zone, &diag);
    ck_assert_msg(error == RR_OK, "%s: %s", rr_strerror(error),
                  diag.faults > 0 ? diag_first_fault(&diag) : strerror(errno));
    return zone;
}

/* The zone (given away), through a file: the same octets elsewhere, and the same answers. */
static void round_trip(struct zone *zone)
{
    const char *folder = folder_new();
    const char *path = in_folder(folder, "zone.img");
    ck_assert_int_eq(image_write(zone, NULL, path), RR_OK);
    ck_assert_uint_eq(folder_entries(folder), 1);
    struct zone *again = read_good(path);

    ck_assert_ptr_ne(again->arena.base, zone->arena.base);
    ck_assert_uint_eq(again->arena.used, zone->arena.used);
    ck_assert_mem_eq(again->arena.base, zone->arena.base, zone->arena.used);
    ck_assert_uint_eq(again->magic, zone->magic);
    ck_assert_uint_eq(again->references, 1);

    struct transcript before = {0}, after = {0};
    desk_walk(&desk, zone, note, &before); /* frees it */
    desk_walk(&desk, again, note, &after);
    ck_assert_uint_eq(before.size, after.size);
    ck_assert_mem_eq(before.data, after.data, before.size);
    free(before.data);
    free(after.data);
    folder_free(folder);
}

START_TEST(same_answers_from_elsewhere)
{
    round_trip(make_zone("example.", craft_rich_text));
    round_trip(make_zone("Sub.EXAMPLE.", MAKE_APEX "Www A 192.0.2.1\nwww.x.Y A 192.0.2.2\n"));
    round_trip(make_zone(".", "@ SOA a.root host 1 2 3 4 5\n@ NS a.root\na.root A 192.0.2.1\n"
                              "com NS ns.com\nns.com A 192.0.2.2\n"));
    round_trip(make_zone("*.example.", MAKE_APEX "* MX 1 @\n*.* A 192.0.2.1\n"));
}
END_TEST

/* One large enough for pages of its own. */
START_TEST(same_answers_from_pages)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", craft_rich_text);
    for (uint32_t i = 0; i < 3000; i++) {
        char text[64];
        snprintf(text, sizeof text, "host-%u.%u.example.", i, i % 7);
        make_record(records, names_wire(text), RRTYPE_A, 60, &i, 4, 0, i);
    }
    struct zone *zone = make_built(records);
    ck_assert(zone->arena.mapped);
    round_trip(zone);
}
END_TEST

START_TEST(random_zones)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 40 / UNIT_SLOWER; round++) {
        struct slow_zone slow;
        slow_init(&slow, names_wire(round % 8 == 0 ? "." : "a.example."));
        slow_random(&rng, &slow, (enum names_kind)(round % 5), 1 + rng_below(&rng, 40));
        for (size_t i = 0; i < slow.count; i++) {
            if (slow.records[i].type == RRTYPE_DS) {
                slow.records[i].rdata[3] = 2; /* of the length it has */
            }
        }
        round_trip(make_built(slow_records(&slow)));
        slow_free(&slow);
    }
}
END_TEST

/* An RRset with positions past those that are pointed to, and as many patches as may be. */
START_TEST(large_rrsets)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", MAKE_APEX "a.mx A 192.0.2.1\n");
    for (uint16_t i = 0; i < 2600; i++) {
        uint8_t rdata[64];
        char text[64];
        snprintf(text, sizeof text, "a%u.mx.example.", i);
        wire_put_u16(rdata, i);
        memcpy(rdata + 2, names_wire(text), names_size(names_wire(text)));
        make_record(records, names_wire("mx.example."), RRTYPE_MX, 60, rdata,
                    2 + names_size(names_wire(text)), 0, i);
        snprintf(text, sizeof text, "n%u.ns.elsewhere.", i % 2000);
        if (i < 2000) {
            make_record(records, names_wire("ns.example."), RRTYPE_NS, 60, names_wire(text),
                        names_size(names_wire(text)), 0, i);
        }
    }
    round_trip(make_built(records));
}
END_TEST

START_TEST(same_zone_same_octets)
{
    struct zone *zone = make_zone("example.", craft_rich_text);
    struct zone *again = make_zone("example.", craft_rich_text);
    ck_assert_uint_eq(zone->arena.used, again->arena.used);
    ck_assert_mem_eq(zone->arena.base, again->arena.base, zone->arena.used);
    zone_unref(zone);
    zone_unref(again);
}
END_TEST

/* ---- Files ---- */

START_TEST(what_is_no_image_file)
{
    const char *folder = folder_new();
    struct diag diag = {0};
    struct zone *zone;
    ck_assert_int_eq(image_read(in_folder(folder, "none"), 1, NULL, &zone, &diag), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_uint_eq(diag.faults, 0);

    const char *fifo = in_folder(folder, "fifo");
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
    const char *const others[] = {fifo, folder, "/dev/null"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(image_read(others[i], 1, NULL, &zone, &diag), RR_EFORMAT);
        ck_assert_ptr_null(zone);
        ck_assert_ptr_nonnull(strstr(diag_first_fault(&diag), ": not a regular file"));
        diag_clear(&diag);
    }
    folder_free(folder);
}
END_TEST

/* Where writing fails, what was there stays, and nothing else does. */
START_TEST(failed_writes_leave_nothing)
{
    const char *folder = folder_new();
    const char *path = in_folder(folder, "zone.img");
    struct zone *zone = make_zone("example.", craft_rich_text);
    struct zone *small = make_zone("example.", MAKE_APEX);
    ck_assert_int_eq(image_write(small, NULL, path), RR_OK);

    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {CRAFT_HEAD + small->arena.used, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(image_write(zone, NULL, path), RR_EIO);
    ck_assert_int_eq(errno, EFBIG);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_uint_eq(folder_entries(folder), 1);
    struct zone *kept = read_good(path);
    ck_assert_uint_eq(kept->arena.used, small->arena.used);
    zone_unref(kept);

    ck_assert_int_eq(image_write(zone, NULL, in_folder(folder, "no/zone.img")), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    const char *taken = in_folder(folder, "taken");
    ck_assert_int_eq(mkdir(taken, 0700), 0);
    ck_assert_int_eq(image_write(zone, NULL, taken), RR_EIO);
    ck_assert_int_eq(errno, EISDIR);
    ck_assert_int_eq(rmdir(taken), 0);
    ck_assert_uint_eq(folder_entries(folder), 1);

    path = in_folder(folder, "zone.img");
    ck_assert_int_eq(image_write(zone, NULL, path), RR_OK);
    kept = read_good(path);
    ck_assert_uint_eq(kept->arena.used, zone->arena.used);
    zone_unref(kept);
    zone_unref(zone);
    zone_unref(small);
    folder_free(folder);
}
END_TEST

/* ---- Damage ---- */

START_TEST(every_header_octet_counts)
{
    struct craft c = craft_new("example.", MAKE_APEX);
    for (size_t i = 0; i < CRAFT_HEAD; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            c.data[i] ^= (uint8_t)(1u << bit);
            craft_refused(c.data, c.size, "image");
            c.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    craft_free(&c);
}
END_TEST

START_TEST(header_messages)
{
    struct craft c = craft_new("example.", MAKE_APEX);
    struct image_header *header = (void *)c.data;
    struct image_header good = *header;
    header->magic[7]++;
    craft_refused(c.data, c.size, "x.img: not a zone image");
    *header = good;
    header->byte_order = 0x04030201;
    craft_refused(c.data, c.size, "byte order");
    *header = good;
    header->version++;
    char text[80];
    snprintf(text, sizeof text, "zone image of version %d; this program's is %d",
             ZONE_IMAGE_VERSION + 1, ZONE_IMAGE_VERSION);
    craft_refused(c.data, c.size, text);
    *header = good;
    header->size += 8;
    craft_refused(c.data, c.size, "cut short");
    header->size -= 16;
    craft_refused(c.data, c.size, "longer than it says");
    *header = good;
    header->checksum[15]++;
    craft_refused(c.data, c.size, "damaged");
    *header = good;
    craft_refused(c.data, CRAFT_HEAD - 1, "too short");
    craft_refused(c.data, 0, "too short");
    craft_mend(c.data, CRAFT_HEAD);
    craft_refused(c.data, CRAFT_HEAD, "impossible size");
    craft_mend(c.data, CRAFT_HEAD + 12);
    craft_refused(c.data, CRAFT_HEAD + 12, "impossible size");
    craft_free(&c);
}
END_TEST

/* Without and with a checksum that fits, and with memory that ends where the image does. */
START_TEST(every_length)
{
    struct craft c = craft_new("example.", craft_rich_text);
    for (size_t size = 0; size < c.size; size++) {
        uint8_t *data = unit_guarded(size);
        memcpy(data, c.data, size);
        struct diag diag = {0};
        ck_assert_ptr_null(craft_parse(data, size, &diag));
        diag_clear(&diag);
        if (size >= CRAFT_HEAD) {
            craft_mend(data, size);
            ck_assert_ptr_null(craft_parse(data, size, &diag));
            diag_clear(&diag);
        }
        unit_guarded_free(data, size);
    }
    craft_free(&c);
}
END_TEST

/* More octets after the zone, told by the header: nothing refers to them. */
START_TEST(idle_octets)
{
    struct craft c = craft_new("example.", MAKE_APEX);
    uint8_t *data = calloc(1, c.size + 80);
    memcpy(data, c.data, c.size);
    craft_mend(data, c.size + 80);
    ck_assert(craft_harmless(data, c.size + 80));
    free(data);
    craft_free(&c);
}
END_TEST

START_TEST(every_octet)
{
    struct craft c = craft_new("example.", craft_rich_text);
    size_t taken = 0;
    for (size_t at = CRAFT_HEAD; at < c.size; at++) {
        static const uint8_t changes[] = {0xff, 0x01, 0x80, 0x0c};
        uint8_t kept = c.data[at];
        for (size_t i = 0; i < (UNIT_SLOWER > 1 ? 2 : sizeof changes); i++) {
            c.data[at] = (uint8_t)(kept ^ changes[i]);
            if (i == 0) {
                craft_refused(c.data, c.size, "damaged");
            }
            craft_mend(c.data, c.size);
            taken += craft_harmless(c.data, c.size);
            c.data[at] = kept;
            craft_mend(c.data, c.size);
        }
    }
    /* Addresses, text, numbers of the SOA. */
    ck_assert_uint_gt(taken, 100);
    craft_free(&c);
}
END_TEST

/* Several changes at once, small numbers more often than others. */
START_TEST(random_changes)
{
    struct rng rng = rng_start();
    struct craft c = craft_new("example.", craft_rich_text);
    uint8_t *data = malloc(c.size);
    for (unsigned round = 0; round < 20000 / UNIT_SLOWER; round++) {
        memcpy(data, c.data, c.size);
        for (unsigned n = 1 + rng_below(&rng, 4); n > 0; n--) {
            uint8_t *at = data + CRAFT_HEAD + rng_below(&rng, (unsigned)(c.size - CRAFT_HEAD));
            switch (rng_below(&rng, 4)) {
            case 0:
                *at = (uint8_t)rng_next(&rng);
                break;
            case 1:
                *at = (uint8_t)(*at + rng_below(&rng, 5) - 2);
                break;
            case 2:
                *at = (uint8_t)rng_below(&rng, 4);
                break;
            default:
                *at = data[CRAFT_HEAD + rng_below(&rng, (unsigned)(c.size - CRAFT_HEAD))];
                break;
            }
        }
        craft_mend(data, c.size);
        craft_harmless(data, c.size);
    }
    free(data);
    craft_free(&c);
}
END_TEST

/* ---- No memory ---- */

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CAN_FAIL 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static long allocations_left = -1; /* negative: no end to them */

static bool has_memory(void)
{
    if (allocations_left == 0) {
        errno = ENOMEM;
        return false;
    }
    allocations_left -= allocations_left > 0;
    return true;
}

void *malloc(size_t size)
{
    return has_memory() ? __libc_malloc(size) : NULL;
}

void *calloc(size_t count, size_t size)
{
    return has_memory() ? __libc_calloc(count, size) : NULL;
}

void *realloc(void *old, size_t size)
{
    return has_memory() ? __libc_realloc(old, size) : NULL;
}

START_TEST(every_allocation_fails)
{
    struct craft c = craft_rich();
    const char *folder = folder_new();
    const char *path = in_folder(folder, "zone.img");
    long before = -1;
    struct zone *zone = NULL;
    while (zone == NULL) {
        ck_assert_int_lt(++before, 100);
        struct diag diag = {0};
        allocations_left = before;
        int error = image_parse("x", c.data, c.size, 1, &zone, &diag);
        allocations_left = -1;
        ck_assert_int_eq(error, zone != NULL ? RR_OK : RR_ENOMEM);
        ck_assert_uint_eq(diag.faults, 0);
    }
    ck_assert_int_gt(before, 5);
    allocations_left = 0;
    int error = image_write(zone, NULL, path);
    int reason = errno;
    allocations_left = -1;
    ck_assert_int_eq(error, RR_EIO);
    ck_assert_int_eq(reason, ENOMEM);
    ck_assert_uint_eq(folder_entries(folder), 0);
    zone_unref(zone);
    craft_free(&c);
    folder_free(folder);
}
END_TEST

/* A file that tells of a gigabyte, where there is less. */
START_TEST(more_than_there_is)
{
    const char *folder = folder_new();
    const char *path = in_folder(folder, "large.img");
    struct image_header header;
    image_header("", 0, NULL, &header);
    header.size = (uint64_t)1 << 30;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, &header, CRAFT_HEAD), CRAFT_HEAD);
    ck_assert_int_eq(ftruncate(fd, (off_t)(CRAFT_HEAD + header.size)), 0);
    close(fd);
    struct rlimit limit = {(rlim_t)1 << 29, (rlim_t)1 << 29};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    struct diag diag = {0};
    struct zone *zone;
    ck_assert_int_eq(image_read(path, 1, NULL, &zone, &diag), RR_ENOMEM);
    ck_assert_ptr_null(zone);
    folder_free(folder);
}
END_TEST
#endif

int main(void)
{
    struct unit unit = unit_begin("image");
    tcase_add_test(unit.tests, same_answers_from_elsewhere);
    tcase_add_test(unit.tests, same_answers_from_pages);
    tcase_add_test(unit.tests, random_zones);
    tcase_add_test(unit.tests, large_rrsets);
    tcase_add_test(unit.tests, same_zone_same_octets);
    tcase_add_test(unit.tests, what_is_no_image_file);
    tcase_add_test(unit.tests, failed_writes_leave_nothing);
    tcase_add_test(unit.tests, every_header_octet_counts);
    tcase_add_test(unit.tests, header_messages);
    tcase_add_test(unit.tests, every_length);
    tcase_add_test(unit.tests, idle_octets);
    tcase_add_test(unit.tests, every_octet);
    tcase_add_test(unit.tests, random_changes);
#ifdef CAN_FAIL
    tcase_add_test(unit.tests, every_allocation_fails);
    tcase_add_test(unit.tests, more_than_there_is);
#endif
    return unit_end(&unit);
}

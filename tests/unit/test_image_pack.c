/*
 * Packs: what goes in comes out, sources included; every octet changed and every length is
 * refused or harmless. And large images, checked by several threads: as by one.
 */
#include "zone/image_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "../fuzz/desk.h"
#include "../fuzz/wire_check.h"
#include "base/err.h"
#include "craft.h"
#include "dns/wire.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"
#include "zone/image.h"
#include "zone/image_check.h"

static struct desk desk;
static atomic_bool stop;

/* ---- Aids ---- */

static char folder[64];
static int folder_fd;

static void folder_begin(void)
{
    strcpy(folder, "/tmp/rrdns-pack-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    folder_fd = open(folder, O_RDONLY | O_DIRECTORY);
}

static void folder_end(void)
{
    unlinkat(folder_fd, "pack", 0);
    ck_assert_int_eq(rmdir(folder), 0); /* nothing else is left there */
    close(folder_fd);
}

struct pack_zones {
    struct zone *zones[3];
    struct source_list sources[3];
    struct source_file files[6];
    struct image_pack_zone list[3];
};

static struct pack_zones zones_new(void)
{
    struct pack_zones z = {.zones = {make_zone("a.example.", craft_rich_text),
                                     make_zone("B.Example.", MAKE_APEX "www A 192.0.2.1\n"),
                                     make_zone(".", "@ SOA . . 1 2 3 4 5\n@ NS ns.\n")}};
    static char *const paths[] = {"/zones/a", "/zones/a.inc", "b", "root", "root.1", "root.22"};
    for (unsigned i = 0; i < 6; i++) {
        z.files[i] = (struct source_file){.path = paths[i],
                                          .device = i,
                                          .inode = 10 + i,
                                          .size = 20 + i,
                                          .mtime_ns = -(int64_t)i,
                                          .ctime_ns = 30 + i,
                                          .read_ns = 40 + i,
                                          .hash = {50 + i, 60 + i},
                                          .missing = i == 5};
    }
    return z;
}

static void zones_link(struct pack_zones *z)
{
    static const unsigned from[] = {0, 2, 3, 6};
    for (unsigned i = 0; i < 3; i++) {
        z->sources[i] = (struct source_list){from[i + 1] - from[i], z->files + from[i]};
        z->list[i] = (struct image_pack_zone){z->zones[i], &z->sources[i]};
    }
}

static void zones_free(struct pack_zones *z)
{
    for (unsigned i = 0; i < 3; i++) {
        zone_unref(z->zones[i]);
    }
}

/* Reads all that a pack has; the number of zones that are good, answers of which are looked at. */
static void well_formed(void *context, const uint8_t *query, size_t query_size,
                        const uint8_t *answer, size_t size)
{
    (void)context, (void)query, (void)query_size;
    ck_assert(size > 0 && wire_check_message(answer, size));
}

static unsigned read_all(const struct image_pack *pack)
{
    unsigned good = 0;
    struct image_pack_entry entry = {0};
    while (image_pack_next(pack, &entry)) {
        struct diag diag = {0};
        struct source_list sources = {0};
        struct zone *zone;
        ck_assert_int_eq(image_pack_sources(pack, &entry, &sources), 0);
        ck_assert(image_pack_is_of(pack, &entry, sources.files[0].path));
        source_list_clear(&sources);
        if (image_pack_load(pack, &entry, 2, &zone, &diag) == RR_OK) {
            desk_walk(&desk, zone, well_formed, NULL);
            good++;
        } else {
            ck_assert_uint_eq(diag.faults, 1);
        }
        diag_clear(&diag);
    }
    return good;
}

static unsigned parse_all(const uint8_t *data, size_t size)
{
    uint8_t *guarded = unit_guarded(size);
    memcpy(guarded, data, size);
    struct diag diag = {0};
    struct image_pack *pack;
    unsigned good = 0;
    if (image_pack_parse("x", guarded, size, &pack, &diag) == RR_OK) {
        good = read_all(pack);
    } else {
        ck_assert_ptr_null(pack);
        ck_assert_uint_eq(diag.faults, 1);
    }
    image_pack_close(pack);
    diag_clear(&diag);
    unit_guarded_free(guarded, size);
    return good;
}

/* The pack of three zones as a file has it. To be freed. */
static uint8_t *pack_octets(size_t *size)
{
    struct pack_zones z = zones_new();
    zones_link(&z);
    folder_begin();
    ck_assert_int_eq(image_pack_write(folder_fd, "pack", z.list, 3, &stop), 0);
    int fd = openat(folder_fd, "pack", O_RDONLY);
    struct stat st;
    fstat(fd, &st);
    *size = (size_t)st.st_size;
    uint8_t *data = malloc(*size);
    ck_assert_int_eq(read(fd, data, *size), st.st_size);
    close(fd);
    folder_end();
    zones_free(&z);
    return data;
}

/* ---- Tests ---- */

START_TEST(same_from_the_file)
{
    struct pack_zones z = zones_new();
    zones_link(&z);
    folder_begin();
    ck_assert_int_eq(image_pack_write(folder_fd, "pack", z.list, 3, &stop), 0);
    struct diag diag = {0};
    struct image_pack *pack;
    ck_assert_int_eq(image_pack_open(folder_fd, "pack", "pack", &pack, &diag), 0);
    struct image_pack_entry entry = {0};
    for (unsigned i = 0; i < 3; i++) {
        ck_assert(image_pack_next(pack, &entry));
        ck_assert(name_equal(entry.name, z.zones[i]->head->apex_name));
        ck_assert_uint_eq(entry.size, z.zones[i]->arena.used);
        ck_assert(image_pack_is_of(pack, &entry, z.sources[i].files[0].path));
        ck_assert(!image_pack_is_of(pack, &entry, "elsewhere"));
        struct source_list sources = {0};
        ck_assert_int_eq(image_pack_sources(pack, &entry, &sources), 0);
        ck_assert_uint_eq(sources.count, z.sources[i].count);
        for (size_t n = 0; n < sources.count; n++) {
            struct source_file got = sources.files[n], had = z.sources[i].files[n];
            ck_assert_str_eq(got.path, had.path);
            ck_assert(got.device == had.device && got.inode == had.inode && got.size == had.size &&
                      got.mtime_ns == had.mtime_ns && got.ctime_ns == had.ctime_ns &&
                      got.read_ns == had.read_ns && got.hash[0] == had.hash[0] &&
                      got.hash[1] == had.hash[1] && got.missing == had.missing && !got.image);
        }
        source_list_clear(&sources);
        struct zone *zone;
        ck_assert_int_eq(image_pack_load(pack, &entry, 1, &zone, &diag), 0);
        ck_assert_mem_eq(zone->arena.base, z.zones[i]->arena.base, zone->arena.used);
        zone_unref(zone);
    }
    ck_assert(!image_pack_next(pack, &entry));
    image_pack_close(pack);
    zones_free(&z);
    folder_end();
}
END_TEST

START_TEST(every_length)
{
    size_t size;
    uint8_t *data = pack_octets(&size);
    ck_assert_uint_eq(parse_all(data, size), 3);
    for (size_t cut = 0; cut < size; cut += 1 + cut / 500) {
        ck_assert_uint_lt(parse_all(data, cut), 3);
    }
    free(data);
}
END_TEST

START_TEST(every_octet)
{
    size_t size;
    uint8_t *data = pack_octets(&size);
    for (size_t at = 0; at < size; at++) {
        data[at] ^= (uint8_t)(1u << at % 8);
        ck_assert_uint_lt(parse_all(data, size), 3);
        data[at] ^= (uint8_t)(1u << at % 8);
    }
    free(data);
}
END_TEST

/* Behind checksums that fit. */
START_TEST(random_changes)
{
    struct rng rng = rng_start();
    size_t size;
    uint8_t *data = pack_octets(&size), *changed = malloc(size);
    for (unsigned round = 0; round < 10000 / UNIT_SLOWER; round++) {
        memcpy(changed, data, size);
        for (unsigned n = 1 + rng_below(&rng, 3); n > 0; n--) {
            size_t room = rng_below(&rng, 2) == 0 ? size : 700; /* the directory more often */
            uint8_t *at = changed + rng_below(&rng, (unsigned)room);
            *at = rng_below(&rng, 2) == 0 ? (uint8_t)rng_next(&rng)
                                          : (uint8_t)(*at + rng_below(&rng, 5) - 2);
        }
        image_pack_mend(changed, size);
        parse_all(changed, size);
    }
    free(changed);
    free(data);
}
END_TEST

/* Only an entry whose octets are damaged is lost. */
START_TEST(neighbours_stay)
{
    size_t size;
    uint8_t *data = pack_octets(&size);
    data[size - 1]++; /* the last zone's */
    ck_assert_uint_eq(parse_all(data, size), 2);
    free(data);
}
END_TEST

START_TEST(whose_file)
{
    struct pack_zones z = zones_new();
    zones_link(&z);
    folder_begin();
    struct diag diag = {0};
    struct image_pack *pack;
    ck_assert_int_eq(image_pack_open(folder_fd, "pack", "pack", &pack, &diag), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(image_pack_write(folder_fd, "pack", z.list, 3, &stop), 0);
    ck_assert_int_eq(fchmodat(folder_fd, "pack", 0620, 0), 0);
    ck_assert_int_eq(image_pack_open(folder_fd, "pack", "pack", &pack, &diag), RR_EPERM);
    ck_assert_ptr_nonnull(strstr(diag_first_fault(&diag), "others than the server's user"));
    diag_clear(&diag);
    ck_assert_int_eq(unlinkat(folder_fd, "pack", 0), 0);
    ck_assert_int_eq(symlinkat("/etc/passwd", folder_fd, "pack"), 0);
    ck_assert_int_eq(image_pack_open(folder_fd, "pack", "pack", &pack, &diag), RR_EIO);
    ck_assert_int_eq(errno, ELOOP);
    ck_assert_ptr_null(pack);
    zones_free(&z);
    folder_end();
}
END_TEST

/* Where writing fails, or is given up, what was there stays and nothing else does. */
START_TEST(failed_writes)
{
    struct pack_zones z = zones_new();
    zones_link(&z);
    folder_begin();
    ck_assert_int_eq(image_pack_write(folder_fd, "pack", z.list, 1, &stop), 0);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {1000, RLIM_INFINITY};
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(image_pack_write(folder_fd, "pack", z.list, 3, &stop), RR_EIO);
    ck_assert_int_eq(errno, EFBIG);
    limit.rlim_cur = RLIM_INFINITY;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    atomic_store(&stop, true);
    ck_assert_int_eq(image_pack_write(folder_fd, "pack", z.list, 3, &stop), RR_ESTATE);
    atomic_store(&stop, false);
    struct diag diag = {0};
    struct image_pack *pack;
    ck_assert_int_eq(image_pack_open(folder_fd, "pack", "pack", &pack, &diag), 0);
    ck_assert_uint_eq(read_all(pack), 1);
    image_pack_close(pack);
    zones_free(&z);
    folder_end();
}
END_TEST

/* ---- Parts ---- */

/* A zone of some MiB: deep names, cuts, a DNAME, wildcards, targets ahead and behind. */
static struct zone *large_zone(void)
{
    struct records *records = records_new(names_wire("example."));
    make_records(records, "example.", craft_rich_text);
    for (uint32_t i = 0; i < 12000; i++) {
        char text[128];
        snprintf(text, sizeof text, "%shost-%u.d%u.d%u.example.", i % 50 == 0 ? "*." : "", i, i % 7,
                 i % 11);
        make_record(records, names_wire(text), RRTYPE_A, 60, &i, 4, 0, i);
        if (i % 9 == 0) {
            uint8_t rdata[128] = {0, 1};
            snprintf(text, sizeof text, "host-%u.d%u.d%u.example.", i ^ 5, (i ^ 5) % 7,
                     (i ^ 5) % 11);
            size_t size = names_size(names_wire(text));
            memcpy(rdata + 2, names_wire(text), size);
            snprintf(text, sizeof text, "mx.host-%u.d%u.d%u.example.", i, i % 7, i % 11);
            make_record(records, names_wire(text), RRTYPE_MX, 60, rdata, size + 2, 0, i);
        }
    }
    return make_built(records);
}

START_TEST(parts_make_a_whole)
{
    struct zone *zone = large_zone();
    struct craft c = craft_of(zone);
    ck_assert_uint_gt(zone->arena.used, (size_t)1 << 20);
    for (size_t threads = 1; threads < 9; threads++) {
        struct image_fault fault;
        struct zone again = {.magic = ZONE_MAGIC, .arena = c.view.arena};
        ck_assert_int_eq(image_check(&again, threads, &fault), 0);
        ck_assert_ptr_eq(again.head, c.head);
    }
    craft_free(&c);
    zone_unref(zone);
}
END_TEST

/* Whatever is changed, at seams more often than elsewhere: several threads take it just where one
 * does. */
START_TEST(parts_see_what_one_sees)
{
    struct rng rng = rng_start();
    struct zone *zone = large_zone();
    struct craft c = craft_of(zone);
    uint8_t *arena = c.data + CRAFT_HEAD;
    size_t size = zone->arena.used;
    size_t begin = (size_t)c.head->apex * ARENA_UNIT;
    size_t last = (size_t)c.head->last * ARENA_UNIT;
    size_t tree = (size_t)c.head->radix * ARENA_UNIT;
    unsigned taken = 0, refused = 0;
    for (unsigned round = 0; round < 400 / UNIT_SLOWER; round++) {
        size_t seam = begin + (last - begin) * (1 + rng_below(&rng, 3)) / 4;
        size_t at = round % 4 == 0   ? rng_below(&rng, (unsigned)size)
                    : round % 4 == 1 ? tree + rng_below(&rng, (unsigned)(size - tree))
                    : round % 4 == 2 ? tree + rng_below(&rng, 600)
                                     : seam - 200 + rng_below(&rng, 400);
        if (at >= size) {
            continue;
        }
        uint8_t kept = arena[at];
        arena[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
        struct image_fault fault;
        struct zone one = {.magic = ZONE_MAGIC, .arena = c.view.arena}, many = one;
        int alone = image_check(&one, 1, &fault);
        int together = image_check(&many, 4, &fault);
        ck_assert_int_eq(alone, together);
        taken += alone == RR_OK;
        refused += alone != RR_OK;
        arena[at] = kept;
    }
    ck_assert_uint_gt(taken, 0);
    ck_assert_uint_gt(refused, 0);
    craft_free(&c);
    zone_unref(zone);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("image_pack");
    tcase_add_test(unit.tests, same_from_the_file);
    tcase_add_test(unit.tests, every_length);
    tcase_add_test(unit.tests, every_octet);
    tcase_add_test(unit.tests, random_changes);
    tcase_add_test(unit.tests, neighbours_stay);
    tcase_add_test(unit.tests, whose_file);
    tcase_add_test(unit.tests, failed_writes);
    tcase_add_test(unit.tests, parts_make_a_whole);
    tcase_add_test(unit.tests, parts_see_what_one_sees);
    return unit_end(&unit);
}

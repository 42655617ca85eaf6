/*
 * The loader with real zone files in a temporary directory: what a reload loads, keeps, drops and
 * says of it; that nothing is lost over thousands of them; and readers that look up all the
 * while (under the thread sanitizer this is the test of publication).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/loader.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "unit.h"
#include "world/publish.h"

enum { PATH_ROOM = 200 };

/* ---- A directory of zones and a configuration of them ---- */

static char directory[64];
static struct publisher publisher;
static struct settings settings;
static struct loader *loader;

static void path_of(const char *file, char *path)
{
    snprintf(path, PATH_ROOM, "%s/%s", directory, file);
}

static void write_text(const char *file, const char *format, ...)
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
static void write_zone(const char *file, unsigned serial)
{
    write_text(file,
               "$TTL 300\n@ IN SOA ns.elsewhere. host.elsewhere. %u 7200 900 86400 300\n"
               "@ NS ns.elsewhere.\nwww A 192.0.2.1\n",
               serial);
}

static void setup(void)
{
    strcpy(directory, "/tmp/rrdns-loader-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(directory));
    settings = (struct settings){.udp_payload_max = 1232};
}

static void remove_directory(void)
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

static void name_of(const char *text, uint8_t *name)
{
    ck_assert_int_eq(name_from_text(text, strlen(text), NULL, name), 0);
}

/* Zones "name file name file...", each file in the directory. To be freed with config_drop. */
static struct config config_of(const char *words)
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

static void config_drop(struct config *config)
{
    for (size_t i = 0; i < config->zones; i++) {
        free(config->zone[i].name);
        free(config->zone[i].file);
    }
    free(config->zone);
}

/* ---- Starting, reloading, and what came of it ---- */

static struct loader_result start(const char *words)
{
    struct config config = config_of(words);
    struct loader_result result;
    ck_assert_int_eq(loader_new(&config, &settings, &publisher, &loader, &result), 0);
    config_drop(&config);
    return result;
}

static void finish(void)
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

static void on_done(void *context, struct loader_result *result)
{
    struct waiting *waiting = context;
    pthread_mutex_lock(&waiting->lock);
    loader_result_free(&waiting->result);
    waiting->result = *result;
    waiting->count++;
    pthread_cond_signal(&waiting->done);
    pthread_mutex_unlock(&waiting->lock);
}

static void await(struct waiting *waiting, unsigned count)
{
    pthread_mutex_lock(&waiting->lock);
    while (waiting->count < count) {
        pthread_cond_wait(&waiting->done, &waiting->lock);
    }
    pthread_mutex_unlock(&waiting->lock);
}

#define WAITING_INIT {.lock = PTHREAD_MUTEX_INITIALIZER, .done = PTHREAD_COND_INITIALIZER}

static struct loader_result reload(const char *words)
{
    struct waiting waiting = WAITING_INIT;
    struct config config = config_of(words);
    ck_assert_int_eq(loader_reload(loader, &config, &settings, NULL, 0, on_done, &waiting), 0);
    config_drop(&config);
    await(&waiting, 1);
    return waiting.result;
}

static struct loader_result reload_named(const char *first, const char *second)
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
static void expect(struct loader_result result, const char *wanted)
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
static long served(const char *text)
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

static uint64_t generation(void)
{
    size_t zones, serving;
    uint64_t number;
    loader_totals(loader, &zones, &serving, &number);
    ck_assert_uint_eq(number, atomic_load(&publisher.current)->generation);
    return number;
}

static void expect_totals(size_t zones, size_t serving)
{
    size_t has_zones, has_serving;
    uint64_t number;
    loader_totals(loader, &has_zones, &has_serving, &number);
    ck_assert_uint_eq(has_zones, zones);
    ck_assert_uint_eq(has_serving, serving);
}

static struct loader_zone_info info_of(const char *text)
{
    struct loader_zone_info info;
    uint8_t name[NAME_MAX_OCTETS];
    name_of(text, name);
    ck_assert_int_eq(loader_zone_info(loader, name, &info), 0);
    return info;
}

/* ---- What a reload finds ---- */

START_TEST(changes_are_loaded)
{
    setup();
    write_zone("a", 1);
    write_zone("b", 1);
    expect(start("a.example a b.example b"), "2/0/0/0 a.example=L:1 b.example=L:1");
    expect_totals(2, 2);
    ck_assert_int_eq(served("A.Example"), 1);
    ck_assert_uint_eq(generation(), 1);

    write_zone("b", 2);
    expect(reload("a.example a b.example b"), "1/1/0/0 b.example=L:2");
    ck_assert_int_eq(served("a.example"), 1);
    ck_assert_int_eq(served("b.example"), 2);
    ck_assert_uint_eq(generation(), 2);
    ck_assert_uint_eq(counter_get(loader_counters(loader), COUNTER_zones_loaded), 3);
    ck_assert_uint_eq(counter_get(loader_counters(loader), COUNTER_zones_unchanged), 1);
    ck_assert_uint_eq(counter_get(loader_counters(loader), COUNTER_reloads_ok), 1);
    finish();
}
END_TEST

START_TEST(nothing_changed_publishes_nothing)
{
    setup();
    write_zone("a", 1);
    expect(start("a.example a"), "1/0/0/0 a.example=L:1");
    expect(reload("a.example a"), "0/1/0/0");
    ck_assert_uint_eq(generation(), 1);
    write_zone("a", 1); /* written again, the same */
    expect(reload("a.example a"), "0/1/0/0");
    ck_assert_uint_eq(generation(), 1);
    settings.udp_payload_max = 4096; /* settings go out where no zone changed */
    expect(reload("a.example a"), "0/1/0/0");
    ck_assert_uint_eq(generation(), 2);
    ck_assert_uint_eq(atomic_load(&publisher.current)->settings.udp_payload_max, 4096);
    finish();
}
END_TEST

START_TEST(broken_file_keeps_what_is_served)
{
    setup();
    write_zone("a", 1);
    expect(start("a.example a"), "1/0/0/0 a.example=L:1");
    write_text("a", "$TTL 300\n@ SOA ns. host. 2 7200 900 86400 300\nwww A 192.0.2.300\n");
    struct loader_result result = reload("a.example a");
    ck_assert_ptr_nonnull(strstr(diag_first_fault(&result.zones[0].diag), "/a:3: "));
    expect(result, "0/0/1/0 a.example=F:1");
    ck_assert_int_eq(served("a.example"), 1);
    ck_assert_ptr_nonnull(strstr(info_of("a.example").last_error, "/a:3: "));
    ck_assert(info_of("a.example").serving);
    ck_assert_uint_eq(counter_get(loader_counters(loader), COUNTER_reloads_failed), 1);

    expect(reload("a.example a"), "0/0/1/0 a.example=F:1"); /* told again */
    write_zone("a", 1);                                     /* back to what is served */
    expect(reload("a.example a"), "0/1/0/0");
    ck_assert_str_eq(info_of("a.example").last_error, "");
    write_zone("a", 3);
    expect(reload("a.example a"), "1/0/0/0 a.example=L:3");
    char path[PATH_ROOM];
    path_of("a", path);
    unlink(path);
    result = reload("a.example a");
    ck_assert_uint_gt(result.zones[0].diag.faults, 0);
    expect(result, "0/0/1/0 a.example=F:3");
    ck_assert_int_eq(served("a.example"), 3);
    finish();
}
END_TEST

START_TEST(never_loaded_has_no_data)
{
    setup();
    write_zone("a", 1);
    expect(start("a.example a b.example b"), "1/0/1/0 a.example=L:1 b.example=F:0");
    ck_assert_int_eq(served("b.example"), 0);
    expect_totals(2, 1);
    ck_assert(!info_of("b.example").serving);
    expect(reload("a.example a b.example b"), "0/1/1/0 b.example=F:0");
    write_zone("b", 1);
    expect(reload("a.example a b.example b"), "1/1/0/0 b.example=L:1");
    ck_assert_int_eq(served("b.example"), 1);
    expect_totals(2, 2);
    finish();
}
END_TEST

START_TEST(zones_come_and_go)
{
    setup();
    write_zone("a", 1);
    write_zone("b", 2);
    write_zone("c", 3);
    expect(start("b.example b"), "1/0/0/0 b.example=L:2");
    expect(reload("a.example a b.example b c.example c"),
           "2/1/0/0 a.example=L:1 c.example=L:3");
    expect_totals(3, 3);
    expect(reload("c.example c a.example a"), "0/2/0/1 b.example=R:0");
    ck_assert_int_eq(served("b.example"), -1);
    ck_assert_int_eq(served("a.example"), 1);
    ck_assert_int_eq(served("c.example"), 3);
    expect(reload("c.example c a.example a"), "0/2/0/0");
    expect(reload("a.example a c.example c"), "0/2/0/0"); /* another order, the same zones */
    expect(reload("sub.a.example b . c"),
           "2/0/0/2 .=L:3 a.example=R:0 sub.a.example=L:2 c.example=R:0");
    expect(reload(""), "0/0/0/2 .=R:0 sub.a.example=R:0");
    expect_totals(0, 0);
    ck_assert_int_eq(served("a.example"), -1);
    expect(reload("a.example a"), "1/0/0/0 a.example=L:1");
    finish();
}
END_TEST

START_TEST(another_file_for_a_zone)
{
    setup();
    write_zone("a", 1);
    write_zone("b", 1);
    expect(start("a.example a"), "1/0/0/0 a.example=L:1");
    expect(reload("a.example b"), "1/0/0/0 a.example=L:1");
    ck_assert_ptr_nonnull(strstr(info_of("a.example").file, "/b"));
    expect(reload("a.example none"), "0/0/1/0 a.example=F:1");
    expect(reload("a.example none"), "0/0/1/0 a.example=F:1");
    ck_assert_ptr_nonnull(strstr(info_of("a.example").file, "/none"));
    write_zone("b", 2);
    expect(reload("a.example b"), "1/0/0/0 a.example=L:2");
    finish();
}
END_TEST

START_TEST(includes_are_watched)
{
    setup();
    write_text("a", "$TTL 300\n@ SOA ns.elsewhere. host.elsewhere. 1 7200 900 86400 300\n"
                    "@ NS ns.elsewhere.\n$INCLUDE more\n");
    write_text("more", "www A 192.0.2.1\n");
    expect(start("a.example a"), "1/0/0/0 a.example=L:1");
    ck_assert_uint_eq(info_of("a.example").records, 3);
    expect(reload("a.example a"), "0/1/0/0");
    write_text("more", "www A 192.0.2.1\nftp A 192.0.2.2\n");
    expect(reload("a.example a"), "1/0/0/0 a.example=L:1");
    ck_assert_uint_eq(info_of("a.example").records, 4);
    char path[PATH_ROOM];
    path_of("more", path);
    unlink(path);
    expect(reload("a.example a"), "0/0/1/0 a.example=F:1");
    write_text("more", "www A 192.0.2.7\n");
    expect(reload("a.example a"), "1/0/0/0 a.example=L:1");
    finish();
}
END_TEST

START_TEST(by_name)
{
    setup();
    write_zone("a", 1);
    write_zone("b", 1);
    expect(start("a.example a b.example b"), "2/0/0/0 a.example=L:1 b.example=L:1");
    write_zone("a", 2);
    write_zone("b", 2);
    expect(reload_named("B.example", NULL), "1/0/0/0 b.example=L:2");
    ck_assert_int_eq(served("a.example"), 1);
    ck_assert_int_eq(served("b.example"), 2);
    expect(reload_named("b.example", "a.example"), "1/1/0/0 a.example=L:2 b.example=U:2");
    expect(reload_named("a.example", "A.EXAMPLE"), "0/1/0/0 a.example=U:2");
    write_text("a", "nonsense\n");
    expect(reload_named("a.example", "b.example"), "0/1/1/0 a.example=F:2 b.example=U:2");
    ck_assert_int_eq(served("a.example"), 2);

    struct waiting waiting = WAITING_INIT;
    uint8_t known[NAME_MAX_OCTETS], unknown[NAME_MAX_OCTETS];
    const uint8_t *names[] = {known, unknown};
    name_of("b.example", known);
    name_of("c.example", unknown);
    ck_assert_int_eq(loader_reload(loader, NULL, NULL, names, 2, on_done, &waiting), RR_ENOENT);
    struct loader_zone_info info;
    ck_assert_int_eq(loader_zone_info(loader, unknown, &info), RR_ENOENT);
    finish();
}
END_TEST

/* ---- Counter slots ---- */

static uint64_t counted; /* what every slot has counted */

static void count_slot(void *context, uint32_t slot, uint64_t *queries, uint64_t *nxdomain,
                       uint64_t *bytes)
{
    (void)slot;
    ++*(unsigned *)context;
    *queries = counted;
    *nxdomain = counted + 1;
    *bytes = counted + 2;
}

START_TEST(slots_are_kept_and_used_again)
{
    unsigned asked = 0;
    setup();
    write_zone("a", 1);
    expect(start("a.example a b.example a"), "2/0/0/0 a.example=L:1 b.example=L:1");
    loader_set_slot_counts(loader, count_slot, &asked);
    uint32_t a = info_of("a.example").slot, b = info_of("b.example").slot;
    ck_assert_uint_ne(a, b);
    ck_assert_uint_eq(info_of("b.example").queries_base, 0);

    expect(reload("b.example a"), "0/1/0/1 a.example=R:0");
    ck_assert_uint_eq(info_of("b.example").slot, b);
    ck_assert_uint_eq(asked, 0);
    counted = 50;
    expect(reload("b.example a c.example a"), "1/1/0/0 c.example=L:1");
    ck_assert_uint_eq(asked, 1);
    ck_assert_uint_eq(info_of("c.example").slot, a);
    ck_assert_uint_eq(info_of("c.example").queries_base, 50);
    ck_assert_uint_eq(info_of("c.example").nxdomain_base, 51);
    ck_assert_uint_eq(info_of("c.example").bytes_base, 52);
    const struct world *world = atomic_load(&publisher.current);
    uint8_t name[NAME_MAX_OCTETS];
    name_of("c.example", name);
    ck_assert_uint_eq(world->zones[world_find(world, name)].slot, a);

    /* A zone that goes and comes back is counted anew. */
    expect(reload("c.example a"), "0/1/0/1 b.example=R:0");
    expect(reload("c.example a b.example a"), "1/1/0/0 b.example=L:1");
    ck_assert_uint_eq(info_of("b.example").queries_base, 50);
    finish();
}
END_TEST

/* ---- The queue ---- */

START_TEST(waiting_reloads_are_one)
{
    enum { ASKED = 50 };
    struct waiting waiting = WAITING_INIT;
    setup();
    write_zone("a", 1);
    write_text("b", "rubbish\n");
    expect(start("a.example a"), "1/0/0/0 a.example=L:1");
    struct config config = config_of("a.example a b.example b");
    for (int i = 0; i < ASKED; i++) {
        ck_assert_int_eq(loader_reload(loader, &config, &settings, NULL, 0, on_done, &waiting), 0);
    }
    config_drop(&config);
    await(&waiting, ASKED);
    struct loader_result result = waiting.result;
    ck_assert_uint_gt(result.zones[0].diag.faults, 0);
    ck_assert_ptr_nonnull(strstr(diag_first_fault(&result.zones[0].diag), "/b:1: "));
    expect(result, "0/1/1/0 b.example=F:0");
    uint64_t done = counter_get(loader_counters(loader), COUNTER_reloads_failed);
    ck_assert_uint_lt(done, ASKED / 2);
    finish();
}
END_TEST

START_TEST(freed_in_the_middle)
{
    for (int round = 0; round < 40 / UNIT_SLOWER; round++) {
        struct waiting waiting = WAITING_INIT;
        setup();
        write_zone("a", 1);
        expect(start("a.example a"), "1/0/0/0 a.example=L:1");
        struct config config = config_of("a.example a b.example a c.example a");
        uint8_t name[NAME_MAX_OCTETS];
        const uint8_t *names[] = {name};
        name_of("a.example", name);
        for (int i = 0; i < 5; i++) {
            write_zone("a", 2 + (unsigned)i);
            loader_reload(loader, &config, NULL, NULL, 0, on_done, &waiting);
            loader_reload(loader, NULL, NULL, names, 1, on_done, &waiting);
        }
        config_drop(&config);
        usleep((useconds_t)round * 20);
        finish();
        ck_assert_uint_eq(waiting.count, 10); /* each was told, one way or other */
        loader_result_free(&waiting.result);
    }
}
END_TEST

/* ---- Many ---- */

static struct config many(size_t count, const char *file)
{
    struct config config = {.zones = count, .zone = calloc(count, sizeof(struct config_zone))};
    for (size_t i = 0; i < count; i++) {
        char text[64];
        snprintf(text, sizeof text, "z%zu.example", (i * 7919) % count);
        config.zone[i].name = malloc(NAME_MAX_OCTETS);
        name_of(text, config.zone[i].name);
        config.zone[i].file = malloc(PATH_ROOM);
        path_of(file, config.zone[i].file);
    }
    return config;
}

struct order {
    size_t count;
    uint8_t last[NAME_MAX_OCTETS];
};

static void check_order(void *context, const struct loader_zone_info *info)
{
    struct order *order = context;
    struct key before, now;
    key_from_name(order->last, &before);
    key_from_name(info->name, &now);
    ck_assert(order->count == 0 ||
              key_compare(before.symbols, before.size, now.symbols, now.size) < 0);
    memcpy(order->last, info->name, sizeof order->last);
    order->count++;
}

START_TEST(list_in_pieces)
{
    enum { COUNT = 1000 };
    struct order order = {0};
    setup();
    write_zone("a", 1);
    struct config config = many(COUNT, "a");
    ck_assert_int_eq(loader_new(&config, &settings, &publisher, &loader, NULL), 0);
    config_drop(&config);
    size_t told = loader_each(loader, NULL, 7, check_order, &order);
    while (told == 7) {
        uint8_t after[NAME_MAX_OCTETS];
        memcpy(after, order.last, sizeof after);
        told = loader_each(loader, after, 7, check_order, &order);
    }
    ck_assert_uint_eq(order.count, COUNT);
    uint8_t name[NAME_MAX_OCTETS];
    name_of("z5x.example", name); /* not configured: goes on where it would be */
    memset(&order, 0, sizeof order);
    ck_assert_uint_eq(loader_each(loader, name, 1, check_order, &order), 1);
    ck_assert_str_eq((const char *)order.last, "\x02z6\x07" "example");
    finish();
}
END_TEST

/* Every zone of a large set by name, then all changed at once. */
START_TEST(large_set)
{
    enum { COUNT = 20000 / UNIT_SLOWER };
    struct loader_result result;
    struct waiting waiting = WAITING_INIT;
    setup();
    write_zone("a", 1);
    struct config config = many(COUNT, "a");
    ck_assert_int_eq(loader_new(&config, &settings, &publisher, &loader, &result), 0);
    ck_assert_uint_eq(result.loaded, COUNT);
    loader_result_free(&result);
    for (int i = 0; i < 20; i++) {
        ck_assert_int_eq(served("z17.example"), 1);
        expect(reload_named("z17.example", NULL), "0/1/0/0 z17.example=U:1");
    }
    write_zone("a", 2);
    expect(reload_named("z17.example", NULL), "1/0/0/0 z17.example=L:2");
    ck_assert_int_eq(served("z17.example"), 2);
    ck_assert_int_eq(served("z18.example"), 1);
    ck_assert_int_eq(loader_reload(loader, &config, &settings, NULL, 0, on_done, &waiting), 0);
    await(&waiting, 1);
    ck_assert_uint_eq(waiting.result.loaded, COUNT - 1);
    ck_assert_uint_eq(waiting.result.unchanged, 1);
    ck_assert_uint_eq(waiting.result.count, COUNT - 1);
    for (size_t i = 0; i < COUNT; i += 97) {
        char text[64];
        snprintf(text, sizeof text, "z%zu.example", i);
        ck_assert_int_eq(served(text), 2);
    }
    loader_result_free(&waiting.result);
    config_drop(&config);
    finish();
}
END_TEST

static size_t open_files(void)
{
    size_t count = 0;
    DIR *stream = opendir("/proc/self/fd");
    while (readdir(stream) != NULL) {
        count++;
    }
    closedir(stream);
    return count;
}

START_TEST(thousands_of_reloads_leave_nothing)
{
    const unsigned rounds = 2000 / UNIT_SLOWER;
    setup();
    write_zone("a", 1);
    write_zone("b", 1);
    expect(start("a.example a b.example b"), "2/0/0/0 a.example=L:1 b.example=L:1");
    size_t files = open_files();
    size_t memory = 0;
    for (unsigned i = 0; i < rounds; i++) {
        write_zone("a", i + 2);
        switch (i % 4) {
        case 0:
                    struct loader_result result = reload("a.example a b.example b c.example none");
            ck_assert_uint_eq(result.failed, 1);
            loader_result_free(&result);
            break;
        case 1:
            result = reload("a.example a");
            ck_assert_uint_eq(result.removed, 2);
            loader_result_free(&result);
            break;
        default:
            result = reload_named("a.example", NULL);
            ck_assert_uint_eq(result.loaded, 1);
            loader_result_free(&result);
            break;
        }
        if (i == rounds / 4) {
            memory = mallinfo2().uordblks + mallinfo2().hblkhd;
        }
    }
    ck_assert_uint_eq(open_files(), files);
    ck_assert_uint_le(mallinfo2().uordblks + mallinfo2().hblkhd, memory + 64 * 1024);
    finish();
}
END_TEST

/* ---- Readers ---- */

static atomic_bool readers_stop;
static atomic_ulong lookups;

/*
 * A worker: adopts, looks names up, and checks that what it finds is whole: the serial of the SOA
 * and the address of www are written together, so they must be seen together.
 */
static void *read_worlds(void *argument)
{
    uint32_t slot = *(uint32_t *)argument;
    struct key key, www;
    uint8_t name[NAME_MAX_OCTETS];
    name_of("www.a.example", name);
    key_from_name(name, &www);
    name_of("deep.under.b.example", name);
    key_from_name(name, &key);
    uint32_t last = 0;
    while (!atomic_load(&readers_stop)) {
        const struct world *world = publisher_adopt(&publisher, slot);
        for (int i = 0; i < 50; i++) {
            uint32_t position = world_locate(world, &www);
            ck_assert_uint_ne(position, WORLD_NONE);
            const struct zone *zone = world->zones[position].zone;
            struct zone_match match;
            zone_lookup(zone, &www, &match);
            const struct rrset *a = node_rrset(match.node, RRTYPE_A);
            uint32_t serial = zone->head->serial;
            ck_assert_uint_eq(a->block[RECORD_HEAD + 3], serial % 250);
            ck_assert_uint_ge(serial, last);
            last = serial;
            position = world_locate(world, &key);
            if (position != WORLD_NONE && world->zones[position].zone != NULL) {
                zone_lookup(world->zones[position].zone, &key, &match);
            }
        }
        atomic_fetch_add_explicit(&lookups, 50, memory_order_relaxed);
    }
    publisher_leave(&publisher, slot);
    return NULL;
}

static void write_pair(unsigned serial)
{
    write_text("a",
               "$TTL 300\n@ SOA ns.elsewhere. host.elsewhere. %u 7200 900 86400 300\n"
               "@ NS ns.elsewhere.\nwww A 192.0.2.%u\n",
               serial, serial % 250);
}

START_TEST(readers_never_wait_and_never_see_halves)
{
    enum { READERS = 2 };
    pthread_t threads[READERS];
    uint32_t slots[READERS];
    int fds[READERS];
    setup();
    write_pair(1);
    write_zone("b", 1);
    expect(start("a.example a b.example b"), "2/0/0/0 a.example=L:1 b.example=L:1");
    for (uint32_t i = 0; i < READERS; i++) {
        slots[i] = i;
        fds[i] = eventfd(0, EFD_NONBLOCK);
        publisher_join(&publisher, i, fds[i]);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, read_worlds, &slots[i]), 0);
    }
    for (unsigned i = 2; i < 150; i++) {
        write_pair(i);
        struct loader_result result =
            reload(i % 3 == 0 ? "a.example a" : "a.example a b.example b");
        ck_assert_uint_ge(result.loaded, 1);
        loader_result_free(&result);
    }
    atomic_store(&readers_stop, true);
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        close(fds[i]);
    }
    ck_assert_uint_gt(atomic_load(&lookups), 0);
    finish();
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("loader");
    tcase_add_test(unit.tests, changes_are_loaded);
    tcase_add_test(unit.tests, nothing_changed_publishes_nothing);
    tcase_add_test(unit.tests, broken_file_keeps_what_is_served);
    tcase_add_test(unit.tests, never_loaded_has_no_data);
    tcase_add_test(unit.tests, zones_come_and_go);
    tcase_add_test(unit.tests, another_file_for_a_zone);
    tcase_add_test(unit.tests, includes_are_watched);
    tcase_add_test(unit.tests, by_name);
    tcase_add_test(unit.tests, slots_are_kept_and_used_again);
    tcase_add_test(unit.tests, waiting_reloads_are_one);
    tcase_add_test(unit.tests, freed_in_the_middle);
    tcase_add_test(unit.tests, list_in_pieces);
    tcase_add_test(unit.tests, large_set);
    tcase_add_test(unit.tests, thousands_of_reloads_leave_nothing);
    tcase_add_test(unit.tests, readers_never_wait_and_never_see_halves);
    return unit_end(&unit);
}

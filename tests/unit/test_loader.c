/*
 * The loader with real zone files in a temporary directory: what a reload loads, keeps, drops and
 * says of it; that nothing is lost over thousands of them; and readers that look up all the
 * while (under the thread sanitizer this is the test of publication).
 */
#include "loader_aid.h"

#include <malloc.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "dns/rrtype.h"
#include "unit.h"

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
    expect(reload("a.example a b.example b c.example c"), "2/1/0/0 a.example=L:1 c.example=L:3");
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

static void hint(const char *text, const char *file)
{
    uint8_t name[NAME_MAX_OCTETS];
    char path[PATH_ROOM];
    name_of(text, name);
    path_of(file, path);
    loader_hint(loader, name, path);
}

/* Hints change what comes first, and nothing in what comes out. */
START_TEST(hints)
{
    setup();
    write_zone("a", 1);
    write_zone("b", 1);
    write_zone("c", 1);
    const char *words = "c.example c a.example a b.example b";
    expect(start(words), "3/0/0/0 a.example=L:1 b.example=L:1 c.example=L:1");
    uint64_t before = generation();
    hint("a.example", "a"); /* not so */
    hint("no.example", "a");
    expect(reload(words), "0/3/0/0");
    ck_assert_uint_eq(generation(), before);

    write_zone("a", 2);
    write_zone("c", 2);
    hint("c.example", "c");
    hint("c.example", "c");
    expect(reload(words), "2/1/0/0 a.example=L:2 c.example=L:2");
    ck_assert_uint_eq(generation(), before + 2); /* c first */

    write_zone("b", 3);
    hint("b.example", "a"); /* of another file */
    write_text("c", "broken\n");
    hint("c.example", "c");
    expect(reload(words), "1/1/1/0 b.example=L:3 c.example=F:2");
    ck_assert_uint_eq(generation(), before + 3);

    write_zone("a", 4);
    write_zone("c", 4);
    hint("a.example", "a");
    hint("c.example", "c");
    expect(reload("b.example b a.example a"), "1/1/0/1 a.example=L:4 c.example=R:0");
    ck_assert_int_eq(served("a.example"), 4);
    ck_assert_int_eq(served("c.example"), -1);
    for (unsigned i = 0; i < 1000; i++) {
        char text[32];
        snprintf(text, sizeof text, "z%u.example", i);
        hint(text, "a"); /* more than are kept, and kept at the end */
    }
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

/* One zone that there is no memory for fails, and is told; the others load. */
START_TEST(out_of_memory_for_one)
{
    struct rlimit limit;
    size_t pages;
    if (UNIT_SLOWER > 1) {
        return; /* sanitizers reserve terabytes */
    }
    setup();
    write_zone("a", 1);
    write_zone("b", 1);
    expect(start("a.example a b.example b"), "2/0/0/0 a.example=L:1 b.example=L:1");
    write_text("a", "$TTL 300\n@ SOA ns. host. 2 7200 900 86400 300\n@ NS ns.\n"
                    "$GENERATE 1-3000000 a-host-of-many-$ A 192.0.2.1\n");
    write_zone("b", 2);
    FILE *statm = fopen("/proc/self/statm", "r");
    ck_assert_int_eq(fscanf(statm, "%zu", &pages), 1);
    fclose(statm);
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = pages * (size_t)sysconf(_SC_PAGESIZE) + (64 << 20);
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &limit), 0);
    struct loader_result result = reload("a.example a b.example b");
    ck_assert_ptr_nonnull(strstr(diag_first_fault(&result.zones[0].diag), "memory"));
    expect(result, "1/0/1/0 a.example=F:1 b.example=L:2");
    ck_assert_int_eq(served("a.example"), 1);
    ck_assert_int_eq(served("b.example"), 2);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_AS, &limit);
    result = reload("a.example a b.example b");
    ck_assert_uint_eq(info_of("a.example").records, 3000002);
    expect(result, "1/1/0/0 a.example=L:2");
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
    ck_assert_str_eq((const char *)order.last, "\x02z6\x07"
                                               "example");
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
    tcase_add_test(unit.tests, hints);
    tcase_add_test(unit.tests, by_name);
    tcase_add_test(unit.tests, out_of_memory_for_one);
    tcase_add_test(unit.tests, slots_are_kept_and_used_again);
    tcase_add_test(unit.tests, waiting_reloads_are_one);
    tcase_add_test(unit.tests, freed_in_the_middle);
    tcase_add_test(unit.tests, list_in_pieces);
    tcase_add_test(unit.tests, large_set);
    tcase_add_test(unit.tests, thousands_of_reloads_leave_nothing);
    tcase_add_test(unit.tests, readers_never_wait_and_never_see_halves);
    return unit_end(&unit);
}

/*
 * Worlds are published while readers read: nobody sees a world go back, nobody reads what was
 * freed (the sanitizers look), a publication returns when all have adopted it.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "make_world.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"
#include "world/publish.h"

/* The serial of example. in a world is its generation; shared. is the same zone in all. */
static struct zone *shared;

static struct world *numbered_world(uint32_t generation)
{
    char text[200];
    snprintf(text, sizeof text, "@ SOA . . %u 1 2 3 4\n@ NS .\na A 192.0.2.1\n", generation);
    const uint8_t *names[2] = {names_wire("example."), names_wire("shared.")};
    struct zone *zones[2] = {make_zone("example.", text), zone_ref(shared)};
    struct settings settings = make_settings();
    return make_world(&settings, names, zones, 2);
}

struct reader {
    struct publisher *publisher;
    uint32_t slot;
    int wake_fd;
    bool sleeps; /* until woken; else spins */
    bool comes_and_goes;
    int stays; /* turns, where it comes and goes */
    pthread_t thread;
    _Atomic bool stop;
    _Atomic uint64_t seen; /* generation */
    _Atomic unsigned turns;
    _Atomic unsigned faults; /* Check's assertions are for the main thread */
};

/* Uses the world as a worker would; counts what is wrong with it. */
static void use_world(struct reader *r, const struct world *world)
{
    struct key key;
    struct zone_match match;
    key_from_name((const uint8_t *)"\1a\7example", &key); /* names_wire is not for threads */
    uint32_t position = world_locate(world, &key);
    bool right = position == 0 && world->generation >= atomic_load(&r->seen);
    const struct zone *zone = world->zones[0].zone;
    zone_lookup(zone, &key, &match);
    right = right && match.node != NULL && node_rrset(match.node, 1) != NULL &&
            zone->head->serial == world->generation && world->zones[1].zone->head->serial == 77;
    atomic_store(&r->seen, world->generation);
    atomic_fetch_add(&r->faults, right ? 0 : 1);
    atomic_fetch_add(&r->turns, 1);
}

static void sleep_until_woken(const struct reader *r)
{
    struct pollfd pollfd = {.fd = r->wake_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&pollfd, 1, 10000) == 1 && read(r->wake_fd, &count, sizeof count) < 0) {
        return; /* another turn */
    }
}

static pthread_mutex_t door = PTHREAD_MUTEX_INITIALIZER; /* one joins at a time */

static void *read_worlds(void *argument)
{
    struct reader *r = argument;
    while (!atomic_load(&r->stop)) {
        if (r->comes_and_goes) {
            pthread_mutex_lock(&door);
            publisher_join(r->publisher, r->slot, r->wake_fd);
            pthread_mutex_unlock(&door);
        }
        for (int turn = 0; turn < r->stays; turn++) {
            use_world(r, publisher_adopt(r->publisher, r->slot));
            if (r->sleeps && !atomic_load(&r->stop)) {
                sleep_until_woken(r);
            } else {
                sched_yield();
            }
        }
        if (r->comes_and_goes) {
            publisher_leave(r->publisher, r->slot);
            sched_yield();
        }
    }
    if (!r->comes_and_goes) {
        publisher_leave(r->publisher, r->slot);
    }
    return NULL;
}

static void reader_start(struct reader *r)
{
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ck_assert_int_ge(r->wake_fd, 0);
    if (!r->comes_and_goes) {
        publisher_join(r->publisher, r->slot, r->wake_fd);
    }
    ck_assert_int_eq(pthread_create(&r->thread, NULL, read_worlds, r), 0);
}

static void reader_end(struct reader *r)
{
    atomic_store(&r->stop, true);
    uint64_t one = 1;
    ck_assert_int_eq(write(r->wake_fd, &one, sizeof one), sizeof one);
    ck_assert_int_eq(pthread_join(r->thread, NULL), 0);
    ck_assert_uint_eq(atomic_load(&r->faults), 0);
    ck_assert_uint_gt(atomic_load(&r->turns), 0);
    close(r->wake_fd);
}

static struct publisher *publisher_new(void)
{
    struct publisher *publisher = aligned_alloc(64, sizeof *publisher);
    shared = make_zone("shared.", "@ SOA . . 77 1 2 3 4\n@ NS .\n");
    publisher_init(publisher, numbered_world(1));
    return publisher;
}

static void publisher_free(struct publisher *publisher)
{
    world_free(atomic_load(&publisher->current));
    ck_assert_uint_eq(shared->references, 1); /* all worlds are gone */
    zone_unref(shared);
    free(publisher);
}

/* Readers that spin, that sleep until woken, and two that come and go. */
START_TEST(readers_and_a_publisher)
{
    enum { READERS = 6, WORLDS = 2000 / UNIT_SLOWER };
    struct publisher *publisher = publisher_new();
    struct reader readers[READERS] = {{0}};
    for (uint32_t i = 0; i < READERS; i++) {
        readers[i].publisher = publisher;
        readers[i].slot = i;
        readers[i].sleeps = i == 1 || i == 2;
        readers[i].comes_and_goes = i == 3 || i == READERS - 1;
        readers[i].stays = i == READERS - 1 ? 1 : 3;
        reader_start(&readers[i]);
    }
    for (uint32_t generation = 2; generation < 2 + WORLDS; generation++) {
        publisher_publish(publisher, numbered_world(generation));
        ck_assert_uint_eq(atomic_load(&publisher->current)->generation, generation);
        for (size_t i = 0; i < 3; i++) {
            uint64_t announced = atomic_load(&publisher->reader[i].generation);
            if (announced < generation) {
                ck_abort_msg("published %u, but reader %zu has %llu", generation, i,
                             (unsigned long long)announced);
            }
        }
        ck_assert_uint_le(shared->references, 2); /* the world before is freed */
    }
    for (size_t i = 0; i < READERS; i++) {
        reader_end(&readers[i]);
    }
    ck_assert_uint_eq(atomic_load(&readers[0].seen), 1 + WORLDS);
    publisher_free(publisher);
}
END_TEST

/* Without readers, or with readers that have gone, nobody is waited for. */
START_TEST(nobody_reads)
{
    struct publisher *publisher = publisher_new();
    publisher_publish(publisher, numbered_world(2));
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    publisher_join(publisher, 7, fd);
    ck_assert_uint_eq(publisher_adopt(publisher, 7)->generation, 2);
    publisher_leave(publisher, 7);
    publisher_publish(publisher, numbered_world(3));
    uint64_t count;
    ck_assert_int_eq(read(fd, &count, sizeof count), -1); /* it was not woken either */
    ck_assert_int_eq(errno, EAGAIN);
    close(fd);
    publisher_free(publisher);
}
END_TEST

struct publication {
    struct publisher *publisher;
    struct world *world;
};

static void *publish_it(void *argument)
{
    const struct publication *p = argument;
    publisher_publish(p->publisher, p->world);
    return NULL;
}

/*
 * Publishes the second world in a thread of its own. It must not come to an end until the reader
 * in slot 0 adopts, and keep the first world until then.
 */
static void check_waits(struct publisher *publisher, int fd)
{
    const struct world *first = atomic_load(&publisher->current);
    struct publication publication = {publisher, numbered_world(2)};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, publish_it, &publication), 0);
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&pollfd, 1, 10000), 1); /* woken */
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    ck_assert_uint_eq(atomic_load(&publisher->current)->generation, 2);
    ck_assert_uint_eq(shared->references, 3);
    ck_assert_uint_eq(first->generation, 1);
    ck_assert_uint_eq(first->zones[0].zone->head->serial, 1);
    ck_assert_uint_eq(publisher_adopt(publisher, 0)->generation, 2);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(shared->references, 2);
}

START_TEST(waits_for_a_reader)
{
    struct publisher *publisher = publisher_new();
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    publisher_join(publisher, 0, fd);
    ck_assert_uint_eq(publisher_adopt(publisher, 0)->generation, 1);
    check_waits(publisher, fd);
    publisher_leave(publisher, 0);
    close(fd);
    publisher_free(publisher);
}
END_TEST

/* It may be about to adopt: between its load of the world and what it announces. */
START_TEST(waits_for_who_has_only_joined)
{
    struct publisher *publisher = publisher_new();
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    publisher_join(publisher, 0, fd);
    check_waits(publisher, fd);
    publisher_leave(publisher, 0);
    close(fd);
    publisher_free(publisher);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("publish");
    tcase_add_test(unit.tests, readers_and_a_publisher);
    tcase_add_test(unit.tests, nobody_reads);
    tcase_add_test(unit.tests, waits_for_a_reader);
    tcase_add_test(unit.tests, waits_for_who_has_only_joined);
    return unit_end(&unit);
}

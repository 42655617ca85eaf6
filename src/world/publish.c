#include "world/publish.h"

#include <time.h>
#include <unistd.h>

#include "base/crew.h"

static const uint64_t GONE = UINT64_MAX;

void publisher_init(struct publisher *publisher, struct world *first)
{
    first->generation = 1;
    publisher->generation = 1;
    atomic_init(&publisher->current, first);
    atomic_init(&publisher->readers, 0);
    for (size_t i = 0; i < PUBLISH_READERS_MAX; i++) {
        atomic_init(&publisher->reader[i].generation, GONE);
        atomic_init(&publisher->reader[i].wake_fd, -1);
    }
}

void publisher_join(struct publisher *publisher, uint32_t slot, int wake_fd)
{
    atomic_store(&publisher->reader[slot].wake_fd, wake_fd);
    /* Generation 0: holds back every world until the reader adopts for the first time. */
    atomic_store(&publisher->reader[slot].generation, 0);
    if (slot >= atomic_load(&publisher->readers)) {
        atomic_store(&publisher->readers, slot + 1);
    }
}

void publisher_leave(struct publisher *publisher, uint32_t slot)
{
    atomic_store(&publisher->reader[slot].generation, GONE);
}

const struct world *publisher_adopt(struct publisher *publisher, uint32_t slot)
{
    /*
     * The world read here is the current one or the one before (published in between); what is
     * announced is its own generation, so it is not freed while this reader may use it.
     *
     * Sequentially consistent like the stores in join and publish: a reader that joins while a
     * world is published either is seen by the publisher or sees that world.
     */
    const struct world *world = atomic_load(&publisher->current);
    atomic_store_explicit(&publisher->reader[slot].generation, world->generation,
                          memory_order_release);
    return world;
}

static void wake(int fd)
{
    uint64_t one = 1;
    ssize_t ignored = write(fd, &one, sizeof one); /* a full eventfd is awake already */
    (void)ignored;
}

/* For what was served it can be many calls that give memory back. */
static void free_world(void *world)
{
    world_free(world);
}

void publisher_publish(struct publisher *publisher, struct world *world)
{
    struct world *old = atomic_load(&publisher->current);
    world->generation = ++publisher->generation;
    atomic_store(&publisher->current, world);

    uint32_t readers = atomic_load(&publisher->readers);
    for (uint32_t i = 0; i < readers; i++) {
        if (atomic_load(&publisher->reader[i].generation) < world->generation) {
            wake(atomic_load(&publisher->reader[i].wake_fd));
        }
    }
    for (uint32_t i = 0; i < readers; i++) {
        /* A turn of a worker's loop takes microseconds; 0.1 ms apart costs nobody anything. */
        const struct timespec pause = {0, 100000};
        while (atomic_load_explicit(&publisher->reader[i].generation, memory_order_acquire) <
               world->generation) {
            nanosleep(&pause, NULL);
        }
    }
    crew_run_gently(1, free_world, old);
}

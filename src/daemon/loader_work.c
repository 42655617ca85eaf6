/*
 * Helpers: threads that pull zones from one shared index until none is left, so that one zone of
 * ten million records does not hold up a hundred thousand small ones, nor the other way round.
 *
 * They are made for each job, because priority can't be raised again without privileges: helpers
 * are gentle while somebody is served, the coordinator is not, so that what is loaded is also
 * published when CPUs are busy.
 */
#include "daemon/loader_work.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/crew.h"
#include "base/err.h"
#include "daemon/loader_sign.h"
#include "dns/name.h"
#include "zone/image.h"
#include "zone/zone_load.h"

enum {
    /*
     * glibc lets the heap of a thread grow a page at a time, each with a system call of its own.
     * Small zones take a page for three or four, so this much is asked for at once, after so many
     * (and stays below what free() gives back to the system). A call that puts pages there
     * spares their faults: 100,000 zones load on one CPU in a fifteenth less time.
     */
    HEAP_STEP = 48 * 1024,
    HEAP_ZONES = 32,
};

struct work {
    struct loader_plan *plan;
    const atomic_bool *stop;
    size_t threads; /* for each zone */
    atomic_size_t next;
};

/* Whether what is served is still what the zone's files hold. */
static bool is_unchanged(const struct loader_item *item, struct source_directory *directory)
{
    struct source_list *sources = &item->entry->sources;
    return item->served != NULL && sources->count > 0 &&
           strcmp(sources->files[0].path, item->file) == 0 &&
           !source_list_changed(sources, directory);
}

/* From text, or from an image, which is known by how it begins, whatever it is called. Nearly all
 * are text, and asking before would be another open() for each of 100,000. */
static int load(struct loader_item *item, size_t threads, struct zone_scratch *scratch)
{
    const uint8_t *name = item->entry->name;
    int error =
        zone_load(scratch, item->file, name, threads, &item->zone, &item->sources, &item->diag);
    if (error != RR_EFORMAT) {
        return error;
    }
    source_list_clear(&item->sources);
    error = image_read(item->file, threads, &item->sources, &item->zone, &item->diag);
    if (error == RR_OK && !name_equal(item->zone->head->apex_name, name)) {
        diag_fault(&item->diag, item->file, 0, "zone image of another zone");
        zone_unref(item->zone);
        error = RR_EFORMAT;
    } else if (error == RR_EIO) {
        diag_fault(&item->diag, item->file, 0, "%s", strerror(errno));
    }
    return error;
}

static void look_at_file(struct loader_item *item, size_t threads, struct zone_scratch *scratch)
{
    if (item->from_image) {
        return;
    }
    if (item->file == NULL) {
        item->outcome = LOADER_REMOVED;
        return;
    }
    if (item->keys_only || is_unchanged(item, &scratch->directory)) {
        item->outcome = LOADER_UNCHANGED;
        return;
    }
    uint64_t begin = clock_now_ns();
    int error = load(item, threads, scratch);
    item->milliseconds = (int64_t)((clock_now_ns() - begin) / 1000000);
    item->outcome = error == RR_OK ? LOADER_LOADED : LOADER_FAILED;
    if (error != RR_OK) {
        item->zone = NULL;
        if (item->diag.faults == 0) {
            diag_fault(&item->diag, item->file, 0, "%s", rr_strerror(error));
        }
    }
}

static void look_at(struct loader_item *item, size_t threads, struct zone_scratch *scratch)
{
    look_at_file(item, threads, scratch);
    loader_sign(item, clock_wall());
}

static void widen_heap(void)
{
    char *volatile room = malloc(HEAP_STEP); /* or the compiler sees that it is for nothing */
#ifdef MADV_POPULATE_WRITE
    if (room != NULL) {
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
        char *whole = room + -(uintptr_t)room % page; /* its first page that is its alone */
        /* Where that fails, as before Linux 5.14, it is faults as ever. */
        madvise(whole, (size_t)(room + HEAP_STEP - whole) & -page, MADV_POPULATE_WRITE);
    }
#endif
    free(room);
}

/* Asks for what the next zone is known by, while the file of the one before is opened. */
static void prefetch(const struct loader_plan *plan, size_t i)
{
    if (i < plan->count) {
        __builtin_prefetch(plan->items[i].entry->name);
        __builtin_prefetch(plan->items[i].file);
    }
}

static void help(void *context)
{
    struct work *work = context;
    struct zone_scratch scratch = {0};
    size_t done = 0;
    while (!atomic_load_explicit(work->stop, memory_order_relaxed)) {
        size_t i = atomic_fetch_add_explicit(&work->next, 1, memory_order_relaxed);
        if (i >= work->plan->count) {
            break;
        }
        if (done++ % HEAP_ZONES == 0) {
            widen_heap();
        }
        prefetch(work->plan, i + 1);
        look_at(&work->plan->items[i], work->threads, &scratch);
        crew_give_way();
    }
    zone_scratch_free(&scratch);
}

void loader_work(struct loader_plan *plan, bool gentle, const atomic_bool *stop)
{
    size_t cpus = crew_cpus();
    size_t count = plan->count < cpus ? plan->count : cpus;
    struct work work = {.plan = plan, .stop = stop, .threads = count > 0 ? cpus / count : 1};
    (gentle ? crew_run_gently : crew_run)(count, help, &work);
}

/*
 * The coordinator and its queue. A job is planned (loader_table.c), its zones looked at on helper
 * threads (loader_work.c), and what came out is put in force here, in this order:
 *
 *  1. everything that can fail for want of memory: the next world, the result, copies of text;
 *  2. publisher_publish: the next world is served by all, the one before is freed;
 *  3. the bookkeeping, under the lock, so that `rrdnsctl zone` never tells of what isn't served;
 *  4. the result, to everyone who waits for it.
 *
 * So a job takes effect whole or, with an error, not at all, but for the few zones that a hint
 * says have changed: they go all this way ahead of the others. A zone that fails is no error of the
 * job. Reference counts of zones and indexes are plain integers because the coordinator alone
 * touches them (and loader_new before it runs, loader_free after it ended).
 */
#include "daemon/loader.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/loader_images.h"
#include "daemon/loader_job.h"
#include "daemon/loader_own.h"
#include "daemon/loader_result.h"
#include "daemon/loader_sign.h"
#include "daemon/loader_table.h"
#include "daemon/loader_work.h"
#include "daemon/report.h"
#include "dns/name.h"

enum {
    /*
     * From so many records loaded on, memory that malloc keeps is given back after the job. Walking
     * its free lists takes tens of milliseconds after a large load; small ones reuse what there is.
     */
    TRIM_RECORDS = 100000,
    /*
     * From here on malloc's blocks are mappings, which realloc moves without copying. glibc would
     * raise the line with the first of them that is freed, and copy the arrays of a large zone
     * whenever they grow.
     */
    MAPPED_FROM = 512 * 1024,
    FREE_AT_END = 4 * 1024 * 1024, /* what a heap keeps for the next block below that */
    SECOND_NS = 1000000000,
};

/* ---- Putting a plan in force ---- */

/* What the entries will need, so that nothing can fail later. */
static int prepare_entries(struct loader_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct loader_item *item = &plan->items[i];
        if (item->file != NULL && strcmp(item->file, item->entry->file) != 0) {
            item->new_file = strdup(item->file);
            if (item->new_file == NULL) {
                return RR_ENOMEM;
            }
        }
        if (item->outcome == LOADER_FAILED) {
            const char *fault = diag_first_fault(&item->diag);
            item->new_error = strdup(fault != NULL ? fault : "not loaded");
            if (item->new_error == NULL) {
                return RR_ENOMEM;
            }
        }
    }
    return RR_OK;
}

static bool is_resigned(const struct loader_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (plan->items[i].resigned) {
            return true;
        }
    }
    return false;
}

/*
 * The world that the plan makes; NULL: no memory. Where the names stay the same, it is the heir of
 * the one in force: the table is copied and just the zones that changed are touched.
 */
static struct world *next_world(const struct loader *loader, const struct loader_plan *plan,
                                const struct settings *settings)
{
    const struct loader_table *table = plan->same_names ? &loader->table : &plan->table;
    struct world *world = world_new(table->index, settings);
    if (world == NULL) {
        return NULL;
    }
    if (plan->same_names) {
        memcpy(world->zones, loader->world->zones, table->count * sizeof *world->zones);
    }
    for (size_t i = 0; i < plan->count; i++) {
        const struct loader_item *item = &plan->items[i];
        if (item->outcome == LOADER_REMOVED) {
            continue;
        }
        struct world_zone *zone = &world->zones[item->position];
        struct zone *kept = plan->same_names ? NULL : item->served; /* else it is there already */
        struct zone *now = item->outcome == LOADER_LOADED ? item->zone : kept;
        if (now != NULL) {
            zone->zone = zone_ref(now);
        }
        if (item->resigned) {
            zone->signing = item->signing != NULL ? signing_ref(item->signing) : NULL;
        } else if (!plan->same_names && item->entry->signing != NULL) {
            zone->signing = signing_ref(item->entry->signing);
        }
        zone->slot = item->entry->slot->number;
    }
    if (loader->world != NULL) {
        bool keys_change = is_resigned(plan) || !plan->same_names;
        world->keys_generation = loader->world->keys_generation + keys_change;
    }
    return world;
}

static void entry_loaded(struct loader_entry *entry, struct loader_item *item)
{
    const struct zone_head *head = item->zone->head;
    struct source_list old = entry->sources;
    entry->sources = item->sources;
    item->sources = old;
    entry->serving = true;
    entry->serial = head->serial;
    entry->records = head->records;
    entry->nodes = head->nodes;
    entry->bytes = item->zone->arena.capacity + sizeof *item->zone;
    entry->loaded_at = clock_wall();
    entry->from_image = item->from_image;
    entry->signed_in_file = item->zone->denial != ZONE_UNSIGNED;
    entry->imaged = item->image_current;
}

/* The bookkeeping of one zone; under the lock. */
static void apply_item(struct loader *loader, struct loader_item *item)
{
    struct loader_entry *entry = item->entry;
    if (item->outcome == LOADER_REMOVED) {
        loader->serving -= entry->serving;
        loader->signing -= entry->signing != NULL;
        entry->slot->next = loader->retired;
        loader->retired = entry->slot;
        loader_entry_free(entry);
        return;
    }
    if (item->outcome == LOADER_LOADED) {
        loader->serving += !entry->serving;
        entry_loaded(entry, item);
    }
    if (item->new_file != NULL) {
        free(entry->file);
        entry->file = item->new_file;
        item->new_file = NULL;
    }
    if (item->policy != entry->policy) {
        loader_policy_unref(entry->policy);
        entry->policy = loader_policy_ref(item->policy);
    }
    if (item->resigned) {
        item->followed = item->keys_only;
        loader->signing -= entry->signing != NULL;
        signing_unref(entry->signing);
        entry->signing = item->signing;
        item->signing = NULL;
        loader->signing += entry->signing != NULL;
    }
    free(entry->last_error);
    entry->last_error = item->new_error;
    item->new_error = NULL;
}

static void apply(struct loader *loader, struct loader_plan *plan)
{
    pthread_mutex_lock(&loader->lock);
    for (size_t i = 0; i < plan->count; i++) {
        apply_item(loader, &plan->items[i]);
    }
    if (!plan->same_names) {
        loader_table_clear(&loader->table);
        loader->table = plan->table;
        plan->table = (struct loader_table){0};
    }
    loader->generation = loader->world->generation;
    pthread_mutex_unlock(&loader->lock);
}

/* Whether workers would see any difference. Settings are compared with their padding, which a copy
 * keeps: at worst a world too many is published. */
static bool is_news(const struct loader *loader, const struct loader_result *result,
                    const struct loader_plan *plan, const struct settings *settings)
{
    return loader->world == NULL || result->loaded > 0 || !plan->same_names || is_resigned(plan) ||
           /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
           memcmp(&loader->world->settings, settings, sizeof *settings) != 0;
}

static int put_in_force(struct loader *loader, struct loader_plan *plan,
                        const struct settings *settings, struct loader_result *result)
{
    int error = prepare_entries(plan);
    if (error == RR_OK) {
        struct diag diag = result->diag;
        error = loader_result_new(plan, result);
        result->diag = diag;
    }
    if (error != RR_OK) {
        return error;
    }
    loader_images_note(loader->images, plan); /* while what was served is still there */
    if (is_news(loader, result, plan, settings)) {
        struct world *next = next_world(loader, plan, settings);
        if (next == NULL) {
            return RR_ENOMEM;
        }
        if (loader->world == NULL) {
            publisher_init(loader->publisher, next);
        } else {
            loader->world->heir = plan->same_names ? next : NULL;
            publisher_publish(loader->publisher, next);
        }
        loader->world = next;
    }
    apply(loader, plan);
    return RR_OK;
}

/* ---- Jobs ---- */

static void count_job(struct loader *loader, const struct loader_result *result, bool first)
{
    struct counters *counters = &loader->counters;
    counter_add(counters, COUNTER_zones_loaded, result->loaded);
    counter_add(counters, COUNTER_zones_from_images, result->from_images);
    counter_add(counters, COUNTER_zones_unchanged, result->unchanged);
    counter_add(counters, COUNTER_zones_failed, result->failed);
    if (!first) {
        bool ok = result->error == RR_OK && result->failed == 0;
        counter_add(counters, ok ? COUNTER_reloads_ok : COUNTER_reloads_failed, 1);
    }
}

static void trim(const struct loader_result *result)
{
    size_t records = 0;
    for (size_t i = 0; i < result->count; i++) {
        records += result->zones[i].outcome == LOADER_LOADED ? result->zones[i].records : 0;
    }
    if (records >= TRIM_RECORDS) {
        malloc_trim(0);
    }
}

static int plan_job(struct loader *loader, const struct loader_job *job, struct loader_plan *plan)
{
    if (job->all) {
        return loader_plan_all(&loader->table, loader->world, &job->wishes, &loader->slots, plan);
    }
    const uint8_t **names = calloc(job->count > 0 ? job->count : 1, sizeof *names);
    if (names == NULL) {
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < job->count; i++) {
        names[i] = job->names[i];
    }
    int error = loader_plan_named(&loader->table, loader->world, names, job->count, plan);
    free(names);
    return error;
}

/* ---- Hints ---- */

static void forget_hints(struct loader *loader)
{
    while (loader->hints > 0) {
        free(loader->hint[--loader->hints].file);
    }
}

void loader_hint(struct loader *loader, const uint8_t *name, const char *file)
{
    pthread_mutex_lock(&loader->lock);
    bool known = false;
    for (size_t i = 0; i < loader->hints && !known; i++) {
        known = name_equal(loader->hint[i].name, name);
    }
    char *copy = !known && loader->hints < HINTS_MAX ? strdup(file) : NULL;
    if (copy != NULL) {
        struct hint *hint = &loader->hint[loader->hints++];
        memcpy(hint->name, name, name_size(name));
        hint->file = copy;
    }
    pthread_mutex_unlock(&loader->lock);
}

/* Plans the zones of all hints that are true. */
static int plan_hints(struct loader *loader, struct loader_plan *plan)
{
    const uint8_t *names[HINTS_MAX];
    size_t count = 0;
    pthread_mutex_lock(&loader->lock);
    for (size_t i = 0; i < loader->hints; i++) {
        const struct hint *hint = &loader->hint[i];
        bool known;
        size_t position = loader_table_find(&loader->table, hint->name, &known);
        if (known && strcmp(loader->table.entries[position]->file, hint->file) == 0) {
            names[count++] = hint->name;
        }
    }
    int error = count == 0 ? RR_ENOENT
                           : loader_plan_named(&loader->table, loader->world, names, count, plan);
    forget_hints(loader);
    pthread_mutex_unlock(&loader->lock);
    return error;
}

/* Does what is planned and puts it in force, unless the loader is stopped meanwhile. */
static int carry_out(struct loader *loader, struct loader_plan *plan,
                     const struct settings *settings, bool gentle, struct loader_result *result)
{
    loader_sign_begin(plan);
    loader_work(plan, gentle, &loader->stop);
    loader_sign_end(plan);
    if (atomic_load(&loader->stop)) {
        return RR_ESTATE;
    }
    return put_in_force(loader, plan, settings, result);
}

/* The part of a job that hints say is urgent. Where it fails the job itself will tell. */
static void run_hints(struct loader *loader, struct loader_result *early)
{
    struct loader_plan plan;
    *early = (struct loader_result){0};
    if (plan_hints(loader, &plan) != RR_OK) {
        return;
    }
    int error = carry_out(loader, &plan, &loader->world->settings, true, early);
    if (error != RR_OK) {
        loader_result_free(early);
    }
    loader_plan_free(&plan, &loader->slots, error != RR_OK);
}

static void run_job(struct loader *loader, const struct loader_job *job,
                    struct loader_result *result)
{
    uint64_t begin = clock_now_ns();
    bool first = loader->world == NULL;
    pthread_mutex_lock(&loader->lock);
    while (loader->settled != NULL) {
        struct loader_slot *next = loader->settled->next;
        loader_slots_give(&loader->slots, loader->settled);
        loader->settled = next;
    }
    pthread_mutex_unlock(&loader->lock);

    *result = (struct loader_result){0};
    struct loader_result early = {0};
    if (job->all && !first) {
        run_hints(loader, &early);
    }
    struct loader_plan plan;
    int error = plan_job(loader, job, &plan);
    if (error == RR_OK) {
        if (job->all && loader_images_use(loader->images, job->image_directory, &result->diag)) {
            if (first) {
                loader_images_load(loader->images, &plan, &loader->stop, &result->diag);
            } else {
                loader_images_note_all(loader->images);
            }
        }
        error = carry_out(loader, &plan,
                          job->has_settings ? &job->settings : &loader->world->settings, !first,
                          result);
        if (error == RR_OK) {
            result->milliseconds = (int64_t)((clock_now_ns() - begin) / 1000000);
        }
        loader_plan_free(&plan, &loader->slots, error != RR_OK);
    }
    if (error == RR_OK) {
        loader_result_add(result, &early);
    } else {
        loader_result_free(&early);
        loader_result_free(result);
        result->error = error;
    }
    count_job(loader, result, first);
    trim(result);
}

/* ---- What time asks for ---- */

/* Publishes zones whose keys begin or end to be used now. What fails is tried again in a second. */
static void follow_keys(struct loader *loader, int64_t now)
{
    struct loader_plan plan;
    struct loader_result result = {0};
    if (loader_plan_due(&loader->table, loader->world, now, &plan) != RR_OK) {
        return;
    }
    int error = RR_ENOENT;
    if (plan.count > 0) {
        error = carry_out(loader, &plan, &loader->world->settings, true, &result);
    }
    for (size_t i = 0; error == RR_OK && i < plan.count; i++) {
        char name[NAME_MAX_TEXT];
        if (!plan.items[i].followed) {
            continue;
        }
        name_to_text(plan.items[i].entry->name, name);
        log_info("zone %s: its keys' times were followed", name);
    }
    for (size_t i = 0; i < result.count; i++) {
        if (result.zones[i].outcome != LOADER_FAILED) { /* which it would be each second */
            report_diag(&result.zones[i].diag);
        }
    }
    loader_result_free(&result);
    loader_plan_free(&plan, &loader->slots, false);
}

/* Whether it is time to look at keys and signatures: every second where zones are signed, whatever
 * else goes on. */
static bool is_second(const struct loader *loader)
{
    return loader->signing > 0 && !atomic_load(&loader->stop) &&
           clock_now_ns() >= loader->next_second;
}

static void each_second(struct loader *loader)
{
    int64_t now = clock_wall();
    follow_keys(loader, now);
    loader_refresh_step(&loader->refresh, &loader->table, loader->world->keys_generation,
                        &loader->counters, now);
    loader->next_second = clock_now_ns() + SECOND_NS;
}

/* Waits for work, where zones are signed until the next second. */
static void wait_for_work(struct loader *loader)
{
    if (loader->signing == 0) {
        pthread_cond_wait(&loader->wanted, &loader->lock);
        return;
    }
    struct timespec until = {.tv_sec = (time_t)(loader->next_second / SECOND_NS),
                             .tv_nsec = (long)(loader->next_second % SECOND_NS)};
    pthread_cond_timedwait(&loader->wanted, &loader->lock, &until);
}

static void *coordinate(void *argument)
{
    struct loader *loader = argument;
    pthread_setname_np(pthread_self(), "rrdns-loader");
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    pthread_mutex_lock(&loader->lock);
    for (;;) {
        while (loader->queue == NULL && !atomic_load(&loader->stop) && !is_second(loader) &&
               !loader_images_pending(loader->images)) {
            wait_for_work(loader);
        }
        if (is_second(loader)) {
            pthread_mutex_unlock(&loader->lock);
            each_second(loader);
            pthread_mutex_lock(&loader->lock);
            continue;
        }
        struct loader_job *job = loader->queue;
        if (job == NULL && atomic_load(&loader->stop)) {
            break;
        }
        if (job == NULL) {
            pthread_mutex_unlock(&loader->lock);
            loader_images_step(loader->images, &loader->table, loader->world);
            pthread_mutex_lock(&loader->lock);
            continue;
        }
        loader->queue = job->next;
        pthread_mutex_unlock(&loader->lock);
        struct loader_result result = {.error = RR_ESTATE};
        if (!atomic_load(&loader->stop)) {
            run_job(loader, job, &result);
        }
        loader_job_done(job, &result);
        pthread_mutex_lock(&loader->lock);
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- Queueing jobs ---- */

static void job_queue(struct loader *loader, struct loader_job *job)
{
    struct loader_job **end = &loader->queue;
    for (; *end != NULL; end = &(*end)->next) {
        if (job->all && (*end)->all) {
            loader_job_merge(*end, job);
            return;
        }
    }
    *end = job;
    pthread_cond_signal(&loader->wanted);
}

/* Reads what retired slots have counted, on the caller's thread; under the lock. */
static void settle_slots(struct loader *loader)
{
    while (loader->slot_counts != NULL && loader->retired != NULL) {
        struct loader_slot *slot = loader->retired;
        loader->retired = slot->next;
        loader->slot_counts(loader->slot_context, slot->number, &slot->queries, &slot->nxdomain,
                            &slot->bytes);
        slot->next = loader->settled;
        loader->settled = slot;
    }
}

int loader_reload(struct loader *loader, const struct config *config,
                  const struct settings *settings, const uint8_t *const *names, size_t count,
                  loader_done *done, void *context)
{
    struct loader_job *job = loader_job_new(config, settings, names, count);
    struct loader_waiter *waiter = calloc(1, sizeof *waiter);
    if (job == NULL || waiter == NULL) {
        if (job != NULL) {
            loader_job_free(job);
        }
        free(waiter);
        return RR_ENOMEM;
    }
    *waiter = (struct loader_waiter){.done = done, .context = context};
    job->waiters = waiter;

    pthread_mutex_lock(&loader->lock);
    bool known = true;
    for (size_t i = 0; i < job->count && known; i++) {
        loader_table_find(&loader->table, names[i], &known);
    }
    if (known) {
        settle_slots(loader);
        job_queue(loader, job);
    }
    pthread_mutex_unlock(&loader->lock);
    if (!known) {
        loader_job_free(job);
        return RR_ENOENT;
    }
    return RR_OK;
}

void loader_set_slot_counts(struct loader *loader, loader_slot_counts *counts, void *context)
{
    pthread_mutex_lock(&loader->lock);
    loader->slot_counts = counts;
    loader->slot_context = context;
    pthread_mutex_unlock(&loader->lock);
}

/* ---- Beginning and end ---- */

/* Wakes the coordinator for loader_images_step. */
static void on_images_ready(void *context)
{
    struct loader *loader = context;
    pthread_mutex_lock(&loader->lock);
    pthread_cond_signal(&loader->wanted);
    pthread_mutex_unlock(&loader->lock);
}

static void loader_destroy(struct loader *loader)
{
    loader_images_free(loader->images);
    loader_refresh_free(&loader->refresh);
    forget_hints(loader);
    for (size_t i = 0; i < loader->table.count; i++) {
        loader_slots_give(&loader->slots, loader->table.entries[i]->slot);
        loader_entry_free(loader->table.entries[i]);
    }
    loader_table_clear(&loader->table);
    loader_slots_free(&loader->slots);
    loader_slots_free(&(struct loader_slots){.spare = loader->retired});
    loader_slots_free(&(struct loader_slots){.spare = loader->settled});
    pthread_cond_destroy(&loader->wanted);
    pthread_mutex_destroy(&loader->lock);
    free(loader);
}

int loader_new(const struct config *config, const struct settings *settings,
               struct publisher *publisher, struct loader **loader, struct loader_result *result)
{
    struct loader_result first;
    mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
    mallopt(M_TRIM_THRESHOLD, FREE_AT_END);
    struct loader_job *job = loader_job_new(config, settings, NULL, 0);
    struct loader *made = aligned_alloc(_Alignof(struct loader), sizeof *made);
    if (job == NULL || made == NULL) {
        if (job != NULL) {
            loader_job_free(job);
        }
        free(made);
        return RR_ENOMEM;
    }
    memset(made, 0, sizeof *made);
    made->publisher = publisher;
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&made->wanted, &monotonic);
    pthread_condattr_destroy(&monotonic);
    made->images = loader_images_new(on_images_ready, made);
    if (made->images == NULL) {
        loader_job_free(job);
        loader_destroy(made);
        return RR_ENOMEM;
    }
    run_job(made, job, &first);
    loader_job_free(job);

    int error = first.error;
    if (error == RR_OK && pthread_create(&made->coordinator, NULL, coordinate, made) != 0) {
        loader_result_free(&first);
        world_free(made->world);
        error = RR_ENOMEM;
    }
    if (error != RR_OK) {
        loader_destroy(made);
        return error;
    }
    if (result != NULL) {
        *result = first;
    } else {
        loader_result_free(&first);
    }
    *loader = made;
    return RR_OK;
}

void loader_free(struct loader *loader)
{
    if (loader == NULL) {
        return;
    }
    pthread_mutex_lock(&loader->lock);
    atomic_store(&loader->stop, true);
    pthread_cond_signal(&loader->wanted);
    pthread_mutex_unlock(&loader->lock);
    pthread_join(loader->coordinator, NULL);
    loader_destroy(loader);
}

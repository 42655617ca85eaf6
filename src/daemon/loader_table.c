/*
 * Bookkeeping by name. The order of everything is the canonical one of names, because the index of
 * the world has it: an entry's place in the table is the zone's place in the world, and
 * exchanging the configuration is a merge of two sorted lists.
 *
 * Most reloads change no name. That case must not sort or search 200,000 names: the order in which
 * the configuration gave them is remembered, and one pass that compares name by name tells that
 * they are the same again.
 */
#include "daemon/loader_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/loader_sign.h"
#include "dns/key.h"
#include "dns/name.h"

int loader_slots_take(struct loader_slots *slots, struct loader_slot **slot)
{
    if (slots->spare != NULL) {
        *slot = slots->spare;
        slots->spare = slots->spare->next;
        return RR_OK;
    }
    if (slots->used == WORLD_ZONES_MAX) {
        return RR_ELIMIT;
    }
    struct loader_slot *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return RR_ENOMEM;
    }
    made->number = slots->used++;
    *slot = made;
    return RR_OK;
}

void loader_slots_give(struct loader_slots *slots, struct loader_slot *slot)
{
    slot->next = slots->spare;
    slots->spare = slot;
}

void loader_slots_free(struct loader_slots *slots)
{
    while (slots->spare != NULL) {
        struct loader_slot *next = slots->spare->next;
        free(slots->spare);
        slots->spare = next;
    }
}

struct loader_entry *loader_entry_new(const uint8_t *name, const char *file)
{
    size_t size = name_size(name);
    struct loader_entry *entry = calloc(1, sizeof *entry + size);
    if (entry == NULL) {
        return NULL;
    }
    memcpy(entry->name, name, size);
    entry->file = strdup(file);
    if (entry->file == NULL) {
        free(entry);
        return NULL;
    }
    return entry;
}

void loader_entry_free(struct loader_entry *entry)
{
    if (entry == NULL) {
        return;
    }
    source_list_clear(&entry->sources);
    loader_policy_unref(entry->policy);
    signing_unref(entry->signing);
    free(entry->file);
    free(entry->last_error);
    free(entry);
}

void loader_table_clear(struct loader_table *table)
{
    free(table->entries);
    free(table->order);
    if (table->index != NULL) {
        zone_index_unref(table->index);
    }
    *table = (struct loader_table){0};
}

size_t loader_table_find(const struct loader_table *table, const uint8_t *name, bool *exact)
{
    struct key wanted, key;
    key_from_name(name, &wanted);
    size_t low = 0, high = table->count;
    *exact = false;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        key_from_name(table->entries[middle]->name, &key);
        int order = key_compare(key.symbols, key.size, wanted.symbols, wanted.size);
        if (order < 0) {
            low = middle + 1;
        } else {
            *exact = *exact || order == 0;
            high = middle;
        }
    }
    return low;
}

/* Copies of the configuration's policies, in its order. False: no memory. */
static bool copy_policies(const struct config *config, struct loader_wishes *wishes)
{
    wishes->policy = calloc(config->policies + 1, sizeof(struct loader_policy *));
    if (wishes->policy == NULL) {
        return false;
    }
    for (; wishes->policies < config->policies; wishes->policies++) {
        struct loader_policy *copy =
            loader_policy_new(&config->policy[wishes->policies], !config->dry_run);
        if (copy == NULL) {
            return false;
        }
        wishes->policy[wishes->policies] = copy;
    }
    return true;
}

int loader_wishes_new(const struct config *config, struct loader_wishes *wishes)
{
    size_t size = config->zones * sizeof *wishes->zones;
    for (size_t i = 0; i < config->zones; i++) {
        size += name_size(config->zone[i].name) + strlen(config->zone[i].file) + 1;
    }
    *wishes = (struct loader_wishes){.zones = malloc(size > 0 ? size : 1)};
    if (wishes->zones == NULL || !copy_policies(config, wishes)) {
        loader_wishes_free(wishes);
        return RR_ENOMEM;
    }
    char *text = (char *)(wishes->zones + config->zones);
    for (size_t i = 0; i < config->zones; i++) {
        const struct config_zone *zone = &config->zone[i];
        struct loader_wish *wish = &wishes->zones[i];
        size_t name = name_size(zone->name);
        size_t file = strlen(zone->file) + 1;
        wish->name = memcpy(text, zone->name, name);
        wish->file = memcpy(text + name, zone->file, file);
        wish->policy =
            zone->policy != NULL ? wishes->policy[zone->policy - config->policy] : NULL;
        text += name + file;
    }
    wishes->count = config->zones;
    return RR_OK;
}

void loader_wishes_free(struct loader_wishes *wishes)
{
    for (size_t i = 0; i < wishes->policies; i++) {
        loader_policy_unref(wishes->policy[i]);
    }
    free(wishes->policy);
    free(wishes->zones);
    *wishes = (struct loader_wishes){0};
}

static struct loader_item *items_new(size_t count)
{
    return calloc(count > 0 ? count : 1, sizeof(struct loader_item));
}

static struct zone *served_at(const struct world *world, size_t position)
{
    return world != NULL ? world->zones[position].zone : NULL;
}

/* Whether the wishes are for the table's zones, in the order in which they were given last time. */
static bool same_names(const struct loader_table *table, const struct loader_wishes *wishes)
{
    if (table->index == NULL || wishes->count != table->count) {
        return false;
    }
    for (size_t i = 0; i < wishes->count; i++) {
        if (!name_equal(wishes->zones[i].name, table->entries[table->order[i]]->name)) {
            return false;
        }
    }
    return true;
}

/* All names as they were: the nth item is the nth of the table. */
static int plan_same(const struct loader_table *table, const struct world *world,
                     const struct loader_wishes *wishes, struct loader_plan *plan)
{
    plan->items = items_new(wishes->count);
    if (plan->items == NULL) {
        return RR_ENOMEM;
    }
    plan->same_names = true;
    plan->count = wishes->count;
    for (size_t i = 0; i < wishes->count; i++) {
        uint32_t position = table->order[i];
        plan->items[position] = (struct loader_item){.entry = table->entries[position],
                                                     .file = wishes->zones[i].file,
                                                     .policy = wishes->zones[i].policy,
                                                     .served = served_at(world, position),
                                                     .position = position};
    }
    return RR_OK;
}

/* The table for the wishes: index and order made, entries still NULL. */
static int table_prepare(struct loader_table *table, const struct loader_wishes *wishes)
{
    size_t room = wishes->count > 0 ? wishes->count : 1;
    const uint8_t **names = calloc(room, sizeof *names);
    table->entries = calloc(room, sizeof(struct loader_entry *));
    table->order = calloc(room, sizeof *table->order);
    int error = RR_ENOMEM;
    if (names != NULL && table->entries != NULL && table->order != NULL) {
        for (size_t i = 0; i < wishes->count; i++) {
            names[i] = wishes->zones[i].name;
        }
        error = zone_index_new(names, wishes->count, table->order, &table->index);
        table->count = wishes->count;
    }
    free(names);
    return error;
}

int loader_name_compare(const uint8_t *a, const uint8_t *b)
{
    struct key key_a, key_b;
    if (name_equal(a, b)) {
        return 0;
    }
    key_from_name(a, &key_a);
    key_from_name(b, &key_b);
    return key_compare(key_a.symbols, key_a.size, key_b.symbols, key_b.size);
}

/* A zone that was not configured before. */
static int plan_fresh(const struct loader_wish *wish, struct loader_slots *slots,
                      struct loader_item *item)
{
    struct loader_slot *slot;
    int error = loader_slots_take(slots, &slot);
    if (error != RR_OK) {
        return error;
    }
    item->entry = loader_entry_new(wish->name, wish->file);
    if (item->entry == NULL) {
        loader_slots_give(slots, slot);
        return RR_ENOMEM;
    }
    item->entry->slot = slot;
    item->fresh = true;
    return RR_OK;
}

/* Merges the old table and the wishes (wanted[position]) into items and the new table. */
static int plan_merge(const struct loader_table *old, const struct world *world,
                      const struct loader_wish *const *wanted, struct loader_slots *slots,
                      struct loader_plan *plan)
{
    size_t at_old = 0, at_new = 0;
    while (at_old < old->count || at_new < plan->table.count) {
        struct loader_entry *entry = at_old < old->count ? old->entries[at_old] : NULL;
        const struct loader_wish *wish = at_new < plan->table.count ? wanted[at_new] : NULL;
        int order = wish == NULL    ? -1
                    : entry == NULL ? 1
                                    : loader_name_compare(entry->name, wish->name);
        struct loader_item *item = &plan->items[plan->count];
        if (order <= 0) {
            item->entry = entry;
            item->served = served_at(world, at_old++);
        } else {
            int error = plan_fresh(wish, slots, item);
            if (error != RR_OK) {
                return error;
            }
        }
        plan->count++;
        if (order >= 0) {
            item->file = wish->file;
            item->policy = wish->policy;
            item->position = (uint32_t)at_new;
            plan->table.entries[at_new++] = item->entry;
        }
    }
    return RR_OK;
}

int loader_plan_all(const struct loader_table *table, const struct world *world,
                    const struct loader_wishes *wishes, struct loader_slots *slots,
                    struct loader_plan *plan)
{
    *plan = (struct loader_plan){0};
    if (same_names(table, wishes)) {
        return plan_same(table, world, wishes, plan);
    }
    const struct loader_wish **wanted = NULL;
    int error = table_prepare(&plan->table, wishes);
    if (error == RR_OK) {
        wanted = calloc(wishes->count + 1, sizeof(struct loader_wish *));
        plan->items = items_new(table->count + wishes->count);
        error = wanted != NULL && plan->items != NULL ? RR_OK : RR_ENOMEM;
    }
    if (error == RR_OK) {
        for (size_t i = 0; i < wishes->count; i++) {
            wanted[plan->table.order[i]] = &wishes->zones[i];
        }
        error = plan_merge(table, world, wanted, slots, plan);
    }
    free(wanted);
    if (error != RR_OK) {
        loader_plan_free(plan, slots, true);
    }
    return error;
}

static int compare_positions(const void *a, const void *b)
{
    uint32_t left = ((const struct loader_item *)a)->position;
    uint32_t right = ((const struct loader_item *)b)->position;
    return left < right ? -1 : left > right;
}

int loader_plan_named(const struct loader_table *table, const struct world *world,
                      const uint8_t *const *names, size_t count, struct loader_plan *plan)
{
    *plan = (struct loader_plan){.named = true, .same_names = true};
    plan->items = items_new(count);
    if (plan->items == NULL) {
        return RR_ENOMEM;
    }
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        bool exact;
        size_t position = loader_table_find(table, names[i], &exact);
        if (exact) {
            plan->items[found++].position = (uint32_t)position;
        }
    }
    qsort(plan->items, found, sizeof *plan->items, compare_positions);
    for (size_t i = 0; i < found; i++) {
        uint32_t position = plan->items[i].position;
        if (plan->count > 0 && plan->items[plan->count - 1].position == position) {
            continue;
        }
        struct loader_entry *entry = table->entries[position];
        plan->items[plan->count++] = (struct loader_item){.entry = entry,
                                                          .file = entry->file,
                                                          .policy = entry->policy,
                                                          .served = served_at(world, position),
                                                          .position = position};
    }
    return RR_OK;
}

int loader_plan_due(const struct loader_table *table, const struct world *world, int64_t now,
                    struct loader_plan *plan)
{
    *plan = (struct loader_plan){.named = true, .same_names = true};
    size_t due = 0;
    for (size_t i = 0; i < table->count; i++) {
        due += loader_sign_is_due(table->entries[i], now);
    }
    plan->items = items_new(due);
    if (plan->items == NULL) {
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < table->count; i++) {
        struct loader_entry *entry = table->entries[i];
        if (loader_sign_is_due(entry, now)) {
            plan->items[plan->count++] = (struct loader_item){.entry = entry,
                                                              .file = entry->file,
                                                              .policy = entry->policy,
                                                              .keys_only = true,
                                                              .served = served_at(world, i),
                                                              .position = (uint32_t)i};
        }
    }
    return RR_OK;
}

void loader_plan_free(struct loader_plan *plan, struct loader_slots *slots, bool undo)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct loader_item *item = &plan->items[i];
        /* Counted are only items that are there. NOLINTNEXTLINE(clang-analyzer-core.*) */
        zone_unref(item->zone);
        signing_unref(item->signing);
        source_list_clear(&item->sources);
        diag_clear(&item->diag);
        free(item->new_file);
        free(item->new_error);
        if (undo && item->fresh) {
            loader_slots_give(slots, item->entry->slot);
            loader_entry_free(item->entry);
        }
    }
    free(plan->items);
    if (undo) {
        loader_table_clear(&plan->table);
    }
    *plan = (struct loader_plan){0};
}

/*
 * From the parts of records to one image, by a crew of threads:
 *
 *  1. every part is sorted;
 *  2. what the parts need to know of those before them is found: which ancestors of their names
 *     stand there (find_stubs);
 *  3. every part becomes nodes (zone_nodes.c), the first one's in the image, the others' in arenas
 *     of their own, which are then put behind the parts before (zone_join.c). Parts are put there in
 *     order, one at a time; a part's records are gone before the next one of the same thread
 *     begins, so that records shrink as the image grows;
 *  4. the search tree is laid over all nodes;
 *  5. targets are resolved, which needs the tree: they may come later in the zone than the records
 *     that name them.
 *
 * A single thread sorts each part just before it makes nodes of it, while its records are in the
 * caches, and goes on in the image, so that it needs neither stubs nor copies. A small zone is one
 * part.
 */
#include "zone/zone_build.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/nsec3_chain.h"
#include "zone/record_sort.h"
#include "zone/records_list.h"
#include "zone/zone_join.h"
#include "zone/zone_nodes.h"
#include "zone/zone_targets.h"

enum {
    TARGETS_TURN = 4096, /* targets that a thread takes at a time */
    FEW_OWNERS = 64,     /* up to so many are sorted without asking for memory */
};

/* Before it is built. */
struct part {
    struct sort_item *items;
    size_t owners;
    struct zone_stub *stubs;
    size_t stub_count;
};

/*
 * Memory stays from one small zone to the next, also where it is empty in between: 100,000 zones
 * would otherwise ask malloc for it, and give it back, forty times each.
 */
struct zone_builder {
    struct records *records;
    size_t threads;
    struct diag *diag;
    struct part *parts;
    struct part only; /* where there is one, with what it is made in */
    struct sort_item few[FEW_OWNERS], few_spare[FEW_OWNERS];
    struct zone_nodes work;

    atomic_size_t next; /* part or turn that no thread has taken yet */
    atomic_bool failed; /* no memory */
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t turn; /* part to be appended next; with what follows, under the lock */

    struct zone_join join;     /* the zone, and its nodes so far */
    struct diag *target_diags; /* one for each turn */
    struct diag only_diag;
    uint64_t rrsets, records_kept;
};

/* ---- Sorting ---- */

static void free_items(const struct zone_builder *b, struct sort_item *items)
{
    if (items != b->few && items != b->few_spare) {
        free(items);
    }
}

static bool sort_part(struct zone_builder *b, const struct record_part *list, struct part *part)
{
    bool few = part == &b->only && list->owners <= FEW_OWNERS;
    part->items = few ? b->few : malloc((list->owners + 1) * sizeof *part->items);
    struct sort_item *spare = few ? b->few_spare : malloc((list->owners + 1) * sizeof *spare);
    if (part->items == NULL || spare == NULL) {
        free_items(b, spare);
        return false;
    }
    for (const struct record_chunk *c = list->first; c != NULL; c = c->next) {
        const struct record_owner *owner = (const struct record_owner *)(const void *)c->data;
        for (size_t i = 0; i < c->owners; i++) {
            if (owner->count > 0) {
                part->items[part->owners++].owner = owner;
            }
            owner = record_owner_next(owner);
            crew_step();
        }
    }
    record_sort(part->items, spare, part->owners);
    free_items(b, spare);
    return true;
}

static void sort_parts(void *context)
{
    struct zone_builder *b = context;
    size_t i;
    while ((i = atomic_fetch_add(&b->next, 1)) < b->records->parts) {
        if (!sort_part(b, &b->records->part[i], &b->parts[i])) {
            atomic_store(&b->failed, true);
        }
    }
}

/* ---- What stands in the parts before ---- */

/* The first of the part's items that is not before the key. */
static size_t lower_bound(const struct part *part, const uint8_t *key, size_t size)
{
    size_t low = 0, high = part->owners;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct record_owner *owner = part->items[middle].owner;
        if (key_compare(record_owner_key(owner), owner->key_size, key, size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Fills in what the records of the stub's name say, if it has any. */
static void look_up_stub(const struct zone_builder *b, struct zone_stub *stub)
{
    const struct part *part = &b->parts[records_part(b->records, stub->key, stub->key_size)];
    size_t i = lower_bound(part, stub->key, stub->key_size);
    for (; i < part->owners; i++) {
        const struct record_owner *owner = part->items[i].owner;
        if (owner->key_size != stub->key_size ||
            memcmp(record_owner_key(owner), stub->key, stub->key_size) != 0) {
            return;
        }
        const struct record *record = record_first(owner);
        for (uint32_t r = 0; r < owner->count; r++, record = record_next(record)) {
            stub->has_ns |= record->type == RRTYPE_NS;
            stub->has_dname |= record->type == RRTYPE_DNAME;
        }
    }
}

/* The ancestors of the part's first name that the name before it, the last of the parts before, has
 * too or is: they are written there. */
static bool find_part_stubs(const struct zone_builder *b, struct part *part,
                            const struct record_owner *before)
{
    const struct record_owner *first = part->items[0].owner;
    const uint8_t *key = record_owner_key(first);
    size_t shared = key_common(key, first->key_size, record_owner_key(before), before->key_size);
    part->stubs = calloc(NAME_MAX_LABELS + 1, sizeof *part->stubs);
    if (part->stubs == NULL) {
        return false;
    }
    for (size_t end = 0; end <= shared && end < first->key_size; end = key_label_end(key, end)) {
        struct zone_stub *stub = &part->stubs[part->stub_count++];
        *stub = (struct zone_stub){.key = key, .key_size = (uint16_t)end};
        look_up_stub(b, stub);
    }
    return true;
}

static bool find_stubs(const struct zone_builder *b)
{
    const struct record_owner *before = NULL;
    for (size_t i = 0; i < b->records->parts; i++) {
        struct part *part = &b->parts[i];
        if (part->owners == 0) {
            continue;
        }
        if (before != NULL && !find_part_stubs(b, part, before)) {
            return false;
        }
        before = part->items[part->owners - 1].owner;
    }
    return true;
}

static void check_apex(const struct zone_builder *b)
{
    const struct record *soa = NULL;
    const struct record_owner *soa_owner = NULL, *first = NULL;
    const struct part *part = &b->parts[0];
    bool ns = false;
    for (size_t i = 0; i < part->owners && record_owner_is_apex(part->items[i].owner); i++) {
        const struct record_owner *owner = part->items[i].owner;
        const struct record *record = record_first(owner);
        first = first == NULL ? owner : first;
        for (uint32_t r = 0; r < owner->count; r++, record = record_next(record)) {
            if (soa == NULL && record->type == RRTYPE_SOA) {
                soa = record;
                soa_owner = owner;
            }
            ns |= record->type == RRTYPE_NS;
            if (record->type == RRTYPE_NSEC3PARAM &&
                !nsec3_params_usable(record->rdata, record->size)) {
                diag_warn(b->diag, record_file(b->records, owner->file), record->line,
                          "NSEC3PARAM can't be used: not SHA-1 without flags, or more than %u "
                          "iterations",
                          (unsigned)NSEC3_ITERATIONS_MAX);
            }
        }
    }
    if (soa == NULL) {
        diag_fault(b->diag, record_file(b->records, first != NULL ? first->file : 0),
                   first != NULL ? record_first(first)->line : 1, "no SOA record at the apex");
    } else if (!ns) {
        diag_warn(b->diag, record_file(b->records, soa_owner->file), soa->line,
                  "no NS record at the apex");
    }
}

/* ---- Parts become nodes ---- */

/* Takes over what a part became; under the lock, in order. */
static bool append_part(struct zone_builder *b, struct zone_nodes *part)
{
    b->rrsets += part->rrsets;
    part->rrsets = 0;
    return zone_join_append(&b->join, part);
}

/* Waits until the parts before are appended, then appends this one, if there is anything of it. */
static void take_turn(struct zone_builder *b, size_t i, struct zone_nodes *nodes, bool wanted,
                      bool built)
{
    pthread_mutex_lock(&b->lock);
    while (b->turn != i) {
        pthread_cond_wait(&b->moved, &b->lock);
    }
    diag_merge(b->diag, nodes->diag);
    if (wanted && (!built || (!atomic_load(&b->failed) && !append_part(b, nodes)))) {
        atomic_store(&b->failed, true);
    }
    b->turn++;
    pthread_cond_broadcast(&b->moved);
    pthread_mutex_unlock(&b->lock);
}

/* Whether one thread builds all parts. */
static bool is_alone(const struct zone_builder *b)
{
    return b->threads == 1 || b->records->parts == 1;
}

static bool begin_part(struct zone_builder *b, struct zone_nodes *nodes, const struct part *part)
{
    if (is_alone(b) ? b->join.count == 0 : part->stub_count == 0) {
        b->join.zone->arena = nodes->own;
        arena_init(&nodes->own);
        return zone_nodes_begin(nodes, &b->join.zone->arena, NULL, 0);
    }
    if (is_alone(b)) {
        zone_nodes_go_on(nodes);
        return true;
    }
    return zone_nodes_begin(nodes, &nodes->own, part->stubs, part->stub_count);
}

static bool build_part(struct zone_builder *b, struct zone_nodes *nodes, size_t i)
{
    struct part *part = &b->parts[i];
    return (part->items != NULL || sort_part(b, &b->records->part[i], part)) &&
           begin_part(b, nodes, part) && zone_nodes_add(nodes, part->items, part->owners);
}

static void build_parts_in(struct zone_builder *b, struct zone_nodes *nodes)
{
    struct diag diag = {0};
    nodes->records = nodes->group.records = b->records;
    nodes->diag = nodes->group.diag = &diag;
    nodes->group.records_kept = 0;
    size_t i;
    while ((i = atomic_fetch_add(&b->next, 1)) < b->records->parts) {
        struct part *part = &b->parts[i];
        bool wanted = b->records->part[i].owners > 0 && !atomic_load(&b->failed);
        bool built = wanted && build_part(b, nodes, i);
        free_items(b, part->items);
        free(part->stubs);
        *part = (struct part){0};
        records_drop(b->records, i);
        take_turn(b, i, nodes, wanted, built);
    }
    nodes->diag = nodes->group.diag = NULL;
    pthread_mutex_lock(&b->lock);
    b->records_kept += nodes->group.records_kept;
    pthread_mutex_unlock(&b->lock);
}

static void build_parts(void *context)
{
    struct zone_builder *b = context;
    if (b->parts == &b->only) {
        build_parts_in(b, &b->work);
        return;
    }
    struct zone_nodes nodes = {0};
    build_parts_in(b, &nodes);
    zone_nodes_free(&nodes);
}

/* ---- The search tree ---- */

static struct radix_key tree_key(const void *context, size_t index)
{
    const struct zone_builder *b = context;
    const struct node *node = zone_at(b->join.zone, b->join.nodes[index]);
    return (struct radix_key){node_key(node), node->key_size};
}

static uint32_t tree_value(const void *context, size_t index)
{
    const struct zone_builder *b = context;
    return b->join.nodes[index];
}

static arena_ref build_tree(struct zone_builder *b, size_t *size)
{
    *size = radix_count(b->join.common, b->join.count);
    arena_ref ref = arena_alloc(&b->join.zone->arena, *size * sizeof(struct radix_entry));
    if (ref != 0 && *size <= UINT32_MAX) {
        struct radix_source source = {.count = b->join.count,
                                      .ahead = b->join.ahead,
                                      .key = tree_key,
                                      .value = tree_value,
                                      .context = b};
        radix_build(&source, b->join.common, arena_at(&b->join.zone->arena, ref));
    }
    return ref;
}

/* ---- Targets ---- */

/* The place from `at` on where a node's begin. */
static size_t next_node(const struct target_place *places, size_t count, size_t at)
{
    while (at > 0 && at < count && places[at].node == places[at - 1].node) {
        at++;
    }
    return at < count ? at : count;
}

static void resolve_targets(void *context)
{
    struct zone_builder *b = context;
    const void *data = b->join.places.data;
    const struct target_place *places = data;
    size_t count = b->join.places.size / sizeof *places, i;
    while ((i = atomic_fetch_add(&b->next, 1)) * TARGETS_TURN < count) {
        size_t first = next_node(places, count, i * TARGETS_TURN);
        size_t end = next_node(places, count, (i + 1) * TARGETS_TURN);
        zone_targets_resolve(b->join.zone, b->records, places + first, end - first,
                             &b->target_diags[i]);
    }
}

/* ---- The whole ---- */

static void run_crew(struct zone_builder *b, size_t pieces, void (*work)(void *context))
{
    atomic_store(&b->next, 0);
    crew_run(pieces < b->threads ? pieces : b->threads, work, b);
}

static bool run_targets(struct zone_builder *b)
{
    size_t turns = b->join.places.size / sizeof(struct target_place) / TARGETS_TURN + 1;
    b->target_diags = turns == 1 ? &b->only_diag : calloc(turns, sizeof *b->target_diags);
    if (b->target_diags == NULL) {
        return false;
    }
    run_crew(b, turns, resolve_targets);
    for (size_t i = 0; i < turns; i++) {
        diag_merge(b->diag, &b->target_diags[i]);
    }
    return true;
}

/* The SOA once more, with the TTL that negative answers give it (RFC 2308 section 5). */
static arena_ref build_negative_soa(struct zone_builder *b, const struct rrset *soa)
{
    size_t span = rrset_span(soa);
    arena_ref soa_ref = (arena_ref)(((const uint8_t *)soa - b->join.zone->arena.base) / ARENA_UNIT);
    arena_ref ref = arena_alloc(&b->join.zone->arena, span);
    if (ref == 0) {
        return 0;
    }
    soa = zone_at(b->join.zone, soa_ref);
    struct rrset *negative = arena_at(&b->join.zone->arena, ref);
    memcpy(negative, soa, span);
    uint32_t minimum = wire_get_u32(soa->block + soa->block_size - 4);
    uint32_t ttl = rrset_ttl(soa);
    wire_put_u32(negative->block + 6, minimum < ttl ? minimum : ttl);
    return ref;
}

static bool finish(struct zone_builder *b)
{
    size_t radix_size;
    arena_ref radix = build_tree(b, &radix_size);
    if (radix == 0) {
        return false;
    }
    const struct node *apex = zone_at(b->join.zone, b->join.nodes[0]);
    const struct rrset *soa = node_rrset(apex, RRTYPE_SOA);
    uint32_t serial = wire_get_u32(soa->block + soa->block_size - 20);
    arena_ref negative = build_negative_soa(b, soa);
    if (negative == 0) {
        return false;
    }
    arena_ref nsec3;
    if (!nsec3_chain_build(b->join.zone, b->join.nodes, b->join.count, &nsec3)) {
        return false;
    }
    struct zone_head *head = arena_at(&b->join.zone->arena, ZONE_HEAD_REF);
    *head = (struct zone_head){
        .magic = ZONE_IMAGE_MAGIC,
        .version = ZONE_IMAGE_VERSION,
        .apex = b->join.nodes[0],
        .last = b->join.nodes[b->join.count - 1],
        .radix = radix,
        .radix_size = (uint32_t)radix_size,
        .negative_soa = negative,
        .serial = serial,
        .nodes = b->join.count,
        .rrsets = b->rrsets,
        .records = b->records_kept,
        .nsec3 = nsec3,
        .apex_key_size = b->records->apex_key_size,
        .apex_labels = b->records->apex_labels,
        .apex_size = b->records->apex_size,
    };
    memcpy(head->apex_name, b->records->apex, b->records->apex_size);
    zone_settle(b->join.zone);
    if (!run_targets(b)) {
        return false;
    }
    struct arena *arena = &b->join.zone->arena;
    int error = b->parts == &b->only ? arena_seal_apart(arena, &b->work.own) : arena_seal(arena);
    if (error != RR_OK) {
        return false;
    }
    zone_settle(b->join.zone);
    return true;
}

static int run(struct zone_builder *b)
{
    size_t parts = b->records->parts;
    b->parts = parts == 1 ? &b->only : calloc(parts, sizeof *b->parts);
    if (b->parts == NULL) {
        return RR_ENOMEM;
    }
    if (!is_alone(b)) {
        run_crew(b, parts, sort_parts);
    } else if (!sort_part(b, &b->records->part[0], &b->parts[0])) {
        return RR_ENOMEM;
    }
    if (atomic_load(&b->failed) || (!is_alone(b) && !find_stubs(b))) {
        return RR_ENOMEM;
    }
    check_apex(b);
    if (b->diag->faults > 0) {
        return RR_EINVAL;
    }
    run_crew(b, parts, build_parts);
    if (b->diag->faults > 0 || atomic_load(&b->failed)) {
        return b->diag->faults > 0 ? RR_EINVAL : RR_ENOMEM;
    }
    return finish(b) ? RR_OK : RR_ENOMEM;
}

/* What is of the zone that was built, or could not be. */
static void end_zone(struct zone_builder *b)
{
    for (size_t i = 0; b->parts != NULL && i < b->records->parts; i++) {
        free_items(b, b->parts[i].items);
        free(b->parts[i].stubs);
    }
    if (b->parts != &b->only) {
        free(b->parts);
    }
    if (b->target_diags != &b->only_diag) {
        free(b->target_diags);
    }
    b->parts = NULL;
    b->target_diags = NULL;
    b->only = (struct part){0};
    zone_join_empty(&b->join);
    b->rrsets = b->records_kept = 0;
    b->turn = 0;
}

/* The memory that stays. */
static void drop_memory(struct zone_builder *b)
{
    zone_nodes_free(&b->work);
    memset(&b->work, 0, sizeof b->work);
    zone_join_free(&b->join);
    atomic_store(&b->failed, false);
}

struct zone_builder *zone_builder_new(void)
{
    struct zone_builder *b = calloc(1, sizeof *b);
    if (b != NULL) {
        pthread_mutex_init(&b->lock, NULL);
        pthread_cond_init(&b->moved, NULL);
    }
    return b;
}

void zone_builder_free(struct zone_builder *b)
{
    if (b != NULL) {
        drop_memory(b);
        pthread_cond_destroy(&b->moved);
        pthread_mutex_destroy(&b->lock);
        free(b);
    }
}

int zone_builder_build(struct zone_builder *b, struct records *records, size_t threads,
                       struct diag *diag, struct zone **zone)
{
    *zone = NULL;
    struct zone *fresh = malloc(sizeof *fresh);
    if (fresh == NULL) {
        return RR_ENOMEM;
    }
    *fresh = (struct zone){.magic = ZONE_MAGIC, .references = 1};
    arena_init(&fresh->arena);
    b->records = records;
    b->threads = threads;
    b->diag = diag;
    b->join.zone = fresh;
    int error = run(b);
    end_zone(b);
    records_clear(records);
    if (error != RR_OK || fresh->arena.mapped) {
        drop_memory(b); /* after a fault it isn't known what is in it; a large zone leaves much */
    }
    if (error != RR_OK) {
        zone_unref(fresh);
        return error;
    }
    *zone = fresh;
    return RR_OK;
}

int zone_build(struct records *records, size_t threads, struct diag *diag, struct zone **zone)
{
    *zone = NULL;
    struct zone_builder *b = zone_builder_new();
    if (b == NULL) {
        return RR_ENOMEM;
    }
    int error = zone_builder_build(b, records, threads, diag, zone);
    zone_builder_free(b);
    return error;
}

#include "zone/zone_join.h"

#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "dns/name.h"
#include "zone/zone.h"

static bool room_for_nodes(struct zone_join *join, size_t more)
{
    if (join->room - join->count >= more) {
        return true;
    }
    size_t room = join->count + more > 2 * join->room ? join->count + more : 2 * join->room;
    arena_ref *nodes = realloc(join->nodes, room * sizeof *nodes);
    if (nodes != NULL) {
        join->nodes = nodes;
    }
    uint16_t *common = realloc(join->common, room * sizeof *common);
    if (common != NULL) {
        join->common = common;
    }
    uint64_t *ahead = realloc(join->ahead, room * sizeof *ahead);
    if (ahead != NULL) {
        join->ahead = ahead;
    }
    if (nodes == NULL || common == NULL || ahead == NULL) {
        return false;
    }
    join->room = room;
    return true;
}

/* Notes a node as the next in order. common is what it shares with the one before. */
static void note_node(struct zone_join *join, arena_ref ref, size_t common)
{
    const struct node *node = zone_at(join->zone, ref);
    join->nodes[join->count] = ref;
    join->common[join->count] = (uint16_t)common;
    join->ahead[join->count++] = key_prefix(node_key(node), node->key_size, common);
    crew_step();
}

/* The node of a key that is among those noted. */
static arena_ref find_node(const struct zone_join *join, const uint8_t *key, size_t size)
{
    size_t low = 0, high = join->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct node *node = zone_at(join->zone, join->nodes[middle]);
        if (key_compare(node_key(node), node->key_size, key, size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return join->nodes[low];
}

/* How refs of a part become refs of the image. */
struct moving {
    const struct zone_nodes *part;
    arena_ref from, to;                  /* of the first node that is no stub */
    arena_ref real[NAME_MAX_LABELS + 1]; /* of each stub */
};

static arena_ref move_ref(const struct moving *moving, arena_ref ref)
{
    if (ref == 0 || ref >= moving->from) {
        return ref == 0 ? 0 : ref - moving->from + moving->to;
    }
    size_t stub = 0;
    while (moving->part->nodes[stub] != ref) {
        stub++;
    }
    return moving->real[stub];
}

/* Copies the part's nodes behind those there are. */
static bool copy_nodes(struct zone_join *join, struct moving *moving)
{
    const struct zone_nodes *part = moving->part;
    size_t size = part->arena->used - (size_t)moving->from * ARENA_UNIT;
    for (size_t i = 0; i < part->stubs; i++) {
        const struct node *stub = arena_at(part->arena, part->nodes[i]);
        moving->real[i] = find_node(join, node_key(stub), stub->key_size);
    }
    moving->to = arena_alloc(&join->zone->arena, size);
    if (moving->to == 0) {
        return false;
    }
    memcpy(arena_at(&join->zone->arena, moving->to), arena_at(part->arena, moving->from), size);
    for (size_t i = 0; i < part->stubs; i++) {
        const struct node *stub = arena_at(part->arena, part->nodes[i]);
        if (stub->star != 0) {
            ((struct node *)arena_at(&join->zone->arena, moving->real[i]))->star =
                move_ref(moving, stub->star);
        }
    }
    return true;
}

/* Notes the part's nodes, their refs moved. */
static void move_nodes(struct zone_join *join, const struct moving *moving)
{
    const struct zone_nodes *part = moving->part;
    for (size_t i = part->stubs; i < part->count; i++) {
        arena_ref ref = move_ref(moving, part->nodes[i]);
        struct node *node = arena_at(&join->zone->arena, ref);
        node->parent = move_ref(moving, node->parent);
        node->cut = move_ref(moving, node->cut);
        node->star = move_ref(moving, node->star);
        size_t common = part->common[i];
        if (i == part->stubs) {
            const struct node *last = zone_at(join->zone, join->nodes[join->count - 1]);
            common = key_common(node_key(last), last->key_size, node_key(node), node->key_size);
        }
        note_node(join, ref, common);
    }
}

static bool append_places(struct zone_join *join, const struct zone_nodes *part,
                          const struct moving *moving)
{
    if (!bytes_reserve(&join->places, part->places.size)) {
        return false;
    }
    const void *data = part->places.data;
    const struct target_place *places = data;
    for (size_t i = 0; i < part->places.size / sizeof *places; i++) {
        struct target_place place = places[i];
        place.node = moving != NULL ? move_ref(moving, place.node) : place.node;
        memcpy(join->places.data + join->places.size, &place, sizeof place);
        join->places.size += sizeof place;
    }
    return true;
}

bool zone_join_append(struct zone_join *join, const struct zone_nodes *part)
{
    if (!room_for_nodes(join, part->count)) {
        return false;
    }
    if (part->arena == &join->zone->arena) {
        for (size_t i = part->stubs; i < part->count; i++) {
            note_node(join, part->nodes[i], part->common[i]);
        }
        return append_places(join, part, NULL);
    }
    struct moving moving = {.part = part, .from = part->nodes[part->stubs]};
    if (!copy_nodes(join, &moving)) {
        return false;
    }
    move_nodes(join, &moving);
    return append_places(join, part, &moving);
}

void zone_join_empty(struct zone_join *join)
{
    join->count = 0;
    join->places.size = 0;
}

void zone_join_free(struct zone_join *join)
{
    free(join->nodes);
    free(join->common);
    free(join->ahead);
    free(join->places.data);
    *join = (struct zone_join){0};
}

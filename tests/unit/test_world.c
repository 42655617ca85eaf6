/*
 * The table of zones: the longest apex at or above a name, the zone above a zone, exact names,
 * against going through all of them; who holds references to what.
 */
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "make_world.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"
#include "world/world.h"

struct table {
    size_t count;
    uint8_t (*names)[NAME_MAX_OCTETS];
    uint32_t *order;
    struct zone_index *index;
    struct world *world;
};

/* An index and a world over count random names, each once. */
static struct table random_table(struct rng *rng, enum names_kind kind, size_t most)
{
    struct table t = {.names = malloc((most + 1) * sizeof *t.names)};
    for (size_t tries = rng_below(rng, (unsigned)most + 1); tries > 0; tries--) {
        uint8_t *name = t.names[t.count];
        const uint8_t *under = names_wire(".");
        if (t.count > 0 && rng_once_in(rng, 2)) {
            under = t.names[rng_below(rng, (unsigned)t.count)];
        }
        names_random(rng, kind, under, 3, name);
        bool known = false;
        for (size_t i = 0; i < t.count && !known; i++) {
            known = names_compare(t.names[i], name) == 0;
        }
        t.count += known ? 0 : 1;
    }
    const uint8_t **pointers = malloc((t.count + 1) * sizeof *pointers);
    for (size_t i = 0; i < t.count; i++) {
        pointers[i] = t.names[i];
    }
    t.order = malloc((t.count + 1) * sizeof *t.order);
    ck_assert_int_eq(zone_index_new(pointers, t.count, t.order, &t.index), RR_OK);
    free(pointers);
    struct settings settings = make_settings();
    t.world = world_new(t.index, &settings);
    return t;
}

static void table_free(struct table *t)
{
    world_free(t->world);
    zone_index_unref(t->index);
    free(t->names);
    free(t->order);
}

/* Place in names of the longest apex at or above name; strictly above where `above` is set. */
static size_t slow_nearest(const struct table *t, const uint8_t *name, bool above)
{
    size_t best = SIZE_MAX;
    for (size_t i = 0; i < t->count; i++) {
        if (names_under(name, t->names[i]) && !(above && names_compare(name, t->names[i]) == 0) &&
            (best == SIZE_MAX || names_labels(t->names[i]) > names_labels(t->names[best]))) {
            best = i;
        }
    }
    return best;
}

static uint32_t position(const struct table *t, size_t place)
{
    return place == SIZE_MAX ? WORLD_NONE : t->order[place];
}

static void check_name(const struct table *t, const uint8_t *name)
{
    struct key key;
    key_from_name(name, &key);
    size_t nearest = slow_nearest(t, name, false);
    bool exact = nearest != SIZE_MAX && names_compare(t->names[nearest], name) == 0;
    uint32_t found = world_find(t->world, name);
    if (world_locate(t->world, &key) != position(t, nearest) ||
        found != (exact ? position(t, nearest) : WORLD_NONE)) {
        ck_abort_msg("%s: another zone than %s", names_text(name),
                     nearest == SIZE_MAX ? "none" : names_text(t->names[nearest]));
    }
}

static void check_index(const struct table *t)
{
    ck_assert_uint_eq(zone_index_count(t->index), t->count);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t at = t->order[i];
        struct key key;
        key_from_name(t->names[i], &key);
        const uint8_t *name = zone_index_name(t->index, at);
        bool right = names_compare(name, t->names[i]) == 0 &&
                     zone_index_key_size(t->index, at) == key.size &&
                     world_parent(t->world, at) == position(t, slow_nearest(t, t->names[i], true));
        for (size_t k = 0; right && k < names_size(name); k++) {
            right = name[k] < 'A' || name[k] > 'Z';
        }
        /* Canonical order. */
        right = right && (at == 0 || names_compare(zone_index_name(t->index, at - 1), name) < 0);
        if (!right) {
            ck_abort_msg("%s at position %u", names_text(t->names[i]), at);
        }
    }
}

/* Batches of names of any length find what each name finds alone. */
static void check_many(struct rng *rng, const struct table *t, enum names_kind kind)
{
    size_t count = rng_below(rng, 200);
    struct key *keys = malloc((count + 1) * sizeof *keys);
    const struct key **pointers = malloc((count + 1) * sizeof *pointers);
    uint32_t *positions = malloc((count + 1) * sizeof *positions);
    positions[count] = 12345;
    for (size_t i = 0; i < count; i++) {
        uint8_t name[NAME_MAX_OCTETS];
        names_random(rng, kind, names_wire("."), 5, name);
        key_from_name(name, &keys[i]);
        pointers[i] = &keys[i];
    }
    world_locate_many(t->world, pointers, count, positions);
    for (size_t i = 0; i < count; i++) {
        if (positions[i] != world_locate(t->world, pointers[i])) {
            ck_abort_msg("name %zu of %zu", i, count);
        }
    }
    ck_assert_uint_eq(positions[count], 12345);
    free(keys);
    free(pointers);
    free(positions);
}

static void check_random(enum names_kind kind, unsigned rounds, size_t most)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < rounds / UNIT_SLOWER + 1; round++) {
        struct table t = random_table(&rng, kind, most);
        check_index(&t);
        for (unsigned n = 0; n < 300; n++) {
            uint8_t name[NAME_MAX_OCTETS];
            const uint8_t *under = names_wire(".");
            if (t.count > 0 && rng_once_in(&rng, 2)) {
                under = t.names[rng_below(&rng, (unsigned)t.count)];
            }
            names_random(&rng, kind, under, 3, name);
            names_shuffle_case(&rng, name);
            check_name(&t, name);
        }
        check_many(&rng, &t, kind);
        table_free(&t);
    }
}

START_TEST(few_zones)
{
    check_random(NAMES_DENSE, 200, 8);
}
END_TEST

START_TEST(many_zones)
{
    check_random(NAMES_DENSE, 20, 300);
    check_random(NAMES_HOST, 20, 300);
    check_random(NAMES_OCTETS, 20, 300);
}
END_TEST

START_TEST(by_hand)
{
    static const char *const names[] = {"Example.", "sub.example.", "a.b.sub.example.",
                                        "example.net."};
    const uint8_t *wires[4];
    for (size_t i = 0; i < 4; i++) {
        wires[i] = names_wire(names[i]);
    }
    uint32_t order[4];
    struct zone_index *index;
    ck_assert_int_eq(zone_index_new(wires, 4, order, &index), RR_OK);
    struct settings settings = make_settings();
    struct world *world = world_new(index, &settings);
    static const uint32_t expected[] = {0, 1, 2, 3};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_uint_eq(order[i], expected[i]);
    }
    ck_assert_str_eq(names_text(zone_index_name(index, 0)), "example.");
    ck_assert_uint_eq(world_parent(world, 2), 1);
    ck_assert_uint_eq(world_parent(world, 1), 0);
    ck_assert_uint_eq(world_parent(world, 0), WORLD_NONE);
    ck_assert_uint_eq(world_parent(world, 3), WORLD_NONE);
    ck_assert_uint_eq(world_find(world, names_wire("EXAMPLE.net.")), 3);
    ck_assert_uint_eq(world_find(world, names_wire("net.")), WORLD_NONE);
    ck_assert_uint_eq(world_find(world, names_wire("b.sub.example.")), WORLD_NONE);
    struct key key;
    key_from_name(names_wire("x.b.sub.example."), &key);
    ck_assert_uint_eq(world_locate(world, &key), 1);
    key_from_name(names_wire("."), &key);
    ck_assert_uint_eq(world_locate(world, &key), WORLD_NONE);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_ptr_null(world->zones[i].zone);
        ck_assert_uint_eq(world->zones[i].slot, 0);
    }
    world_free(world);
    zone_index_unref(index);
}
END_TEST

/* With the root as a zone every name has one. */
START_TEST(root_zone)
{
    const uint8_t *names[3] = {names_wire("b.a."), names_wire("."), names_wire("a.")};
    struct zone *none[3] = {NULL};
    struct settings settings = make_settings();
    struct world *world = make_world(&settings, names, none, 3);
    static const struct {
        const char *name;
        uint32_t position;
    } cases[] = {{".", 0},      {"c.", 0}, {"a.", 1},  {"c.a.", 1}, {"b.a.", 2},
                 {"x.b.a.", 2}, {"b.", 0}, {"aa.", 0}, {"a.b.", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct key key;
        key_from_name(names_wire(cases[i].name), &key);
        ck_assert_uint_eq(world_locate(world, &key), cases[i].position);
    }
    ck_assert_uint_eq(world_find(world, names_wire(".")), 0);
    ck_assert_uint_eq(world_find(world, names_wire("c.")), WORLD_NONE);
    ck_assert_uint_eq(world_parent(world, 2), 1);
    ck_assert_uint_eq(world_parent(world, 1), 0);
    ck_assert_uint_eq(world_parent(world, 0), WORLD_NONE);
    ck_assert_uint_eq(world->zones[0].slot, 1); /* make_world: by the order given */
    ck_assert_uint_eq(world->zones[2].slot, 0);
    world_free(world);
}
END_TEST

START_TEST(refused)
{
    const uint8_t *names[3] = {names_wire("a.b."), names_wire("c."), names_wire("A.B.")};
    uint32_t order[3];
    struct zone_index *index = (struct zone_index *)(uintptr_t)1;
    ck_assert_int_eq(zone_index_new(names, 3, order, &index), RR_EEXIST);
    ck_assert_ptr_null(index);
    ck_assert_int_eq(zone_index_new(names, WORLD_ZONES_MAX + 1, order, &index), RR_ELIMIT);
    ck_assert_ptr_null(index);
    zone_index_unref(NULL);
    world_free(NULL);
}
END_TEST

/* A world holds a reference to its index and one to each of its zones. */
START_TEST(references)
{
    const uint8_t *names[2] = {names_wire("a."), names_wire("b.")};
    struct zone *zones[2] = {make_zone("a.", MAKE_APEX), make_zone("b.", MAKE_APEX)};
    struct settings settings = make_settings();
    zone_ref(zones[0]);
    zone_ref(zones[1]);
    struct world *world = make_world(&settings, names, zones, 2);
    /* A second world over the same index, with one of the zones exchanged. */
    struct world *next = world_new(world->index, &settings);
    struct zone *fresh = make_zone("b.", MAKE_APEX);
    next->zones[0].zone = zone_ref(zones[0]);
    next->zones[1].zone = zone_ref(fresh);
    ck_assert_uint_eq(zones[0]->references, 3);
    ck_assert_uint_eq(zones[1]->references, 2);
    world_free(world);
    ck_assert_uint_eq(zones[0]->references, 2);
    ck_assert_uint_eq(zones[1]->references, 1);
    ck_assert_uint_eq(world_find(next, names_wire("b.")), 1); /* the index is still there */
    world_free(next);
    ck_assert_uint_eq(zones[0]->references, 1);
    ck_assert_uint_eq(fresh->references, 1);
    zone_unref(zones[0]);
    zone_unref(zones[1]);
    zone_unref(fresh);
}
END_TEST

/* A world with an heir gives back only what the heir did not take over. */
START_TEST(heirs)
{
    const uint8_t *names[2] = {names_wire("a."), names_wire("b.")};
    struct zone *zones[2] = {make_zone("a.", MAKE_APEX), make_zone("b.", MAKE_APEX)};
    struct settings settings = make_settings();
    zone_ref(zones[0]);
    zone_ref(zones[1]);
    struct world *world = make_world(&settings, names, zones, 2);
    struct world *heir = world_new(world->index, &settings);
    heir->zones[0] = world->zones[0];
    heir->zones[1].zone = NULL;
    world->heir = heir;
    world_free(world);
    ck_assert_uint_eq(zones[0]->references, 2);
    ck_assert_uint_eq(zones[1]->references, 1);
    world_free(heir);
    ck_assert_uint_eq(zones[0]->references, 1);
    zone_unref(zones[0]);
    zone_unref(zones[1]);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("world");
    tcase_add_test(unit.tests, few_zones);
    tcase_add_test(unit.tests, many_zones);
    tcase_add_test(unit.tests, by_hand);
    tcase_add_test(unit.tests, root_zone);
    tcase_add_test(unit.tests, refused);
    tcase_add_test(unit.tests, references);
    tcase_add_test(unit.tests, heirs);
    return unit_end(&unit);
}

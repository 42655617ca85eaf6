/*
 * Zones, routes and nodes of a batch. Whatever a step will read was asked for a step before.
 */
#include "dns/rrtype.h"
#include "serve/serve_own.h"

enum {
    /* Name servers of a referral whose glue is fetched ahead. Most delegations have two to four;
     * for those with more, others' lines would have to leave the first-level cache. */
    GLUE_AHEAD = 4,
};

uint32_t serve_choose_zone(const struct world *world, uint32_t position, const struct key *key,
                           uint16_t qtype)
{
    if (qtype == RRTYPE_DS && position != WORLD_NONE &&
        zone_index_key_size(world->index, position) == key->size) {
        uint32_t parent = world_parent(world, position);
        return parent != WORLD_NONE ? parent : position;
    }
    return position;
}

/*
 * Whether the question takes a route instead of the zone at position. DS of an apex of ours is
 * answered by that zone, as well as it can, for clients that the zone above is not forwarded for.
 */
static bool takes_route(const struct world *world, struct slot *slot, uint32_t position,
                        const struct sockaddr *peer)
{
    struct forward *f = &slot->forward;
    f->route = forward_locate(world, &slot->query.key, slot->query.qtype, position, &f->zone_size);
    if (f->route == NULL ||
        (position != WORLD_NONE && slot->query.qtype == RRTYPE_DS &&
         zone_index_key_size(world->index, position) == slot->query.key.size &&
         !route_allows(f->route, peer))) {
        return false;
    }
    forward_begin(f, world->settings.routes, &slot->query);
    return true;
}

/* Finds which of the questions take a route. */
static void route_all(const struct world *world, struct slot *const *asking,
                      const struct sockaddr *const *peers, const uint32_t *positions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        asking[i]->forwarded = takes_route(world, asking[i], positions[i], peers[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (asking[i]->forwarded) {
            proxy_cache_prefetch_entry(world->settings.routes->cache,
                                       asking[i]->forward.question.hash);
        }
    }
}

void serve_locate_all(struct serve *s, const struct world *world,
                      const struct serve_request *requests, size_t count)
{
    const struct key *keys[SERVE_BATCH];
    keys[0] = NULL; /* else the compiler takes them for unset where none is asked for */
    struct slot *asking[SERVE_BATCH];
    const struct sockaddr *peers[SERVE_BATCH];
    uint32_t positions[SERVE_BATCH];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (asks_zones(&s->slots[i])) {
            peers[n] = requests[i].peer;
            asking[n] = &s->slots[i];
            keys[n++] = &s->slots[i].query.key;
        }
    }
    world_locate_many(world, keys, n, positions);
    if (world->settings.routes != NULL) {
        route_all(world, asking, peers, positions, n);
    }
    for (size_t i = 0; i < n; i++) {
        struct slot *slot = asking[i];
        if (slot->forwarded) {
            continue;
        }
        slot->position = serve_choose_zone(world, positions[i], keys[i], slot->query.qtype);
        if (slot->position != WORLD_NONE) {
            const struct world_zone *place = &world->zones[slot->position];
            slot->zone = place->zone;
            __builtin_prefetch(&s->zone_counts[place->slot], 1);
            if (slot->zone != NULL) {
                __builtin_prefetch(slot->zone); /* which may lie across two lines */
                __builtin_prefetch(&slot->zone->radix);
            }
        }
    }
}

/* The node whose RRsets an answer begins with. */
static const struct node *match_source(const struct zone_match *match)
{
    return match->cut != NULL    ? match->cut
           : match->node != NULL ? match->node
                                 : match->wildcard;
}

/* The first lines of a node's RRsets: most have no more. */
static void prefetch_rrsets(const struct node *node)
{
    const uint8_t *rrsets = (const uint8_t *)node_first_rrset(node);
    __builtin_prefetch(rrsets);
    __builtin_prefetch(rrsets + 64);
}

/* The nodes of a referral's first name servers. Not read here, so two lines stand for each. */
static void prefetch_glue(const struct zone *zone, const struct node *cut)
{
    const struct rrset *ns = node_rrset(cut, RRTYPE_NS);
    const struct rrset_target *targets = rrset_targets(ns);
    for (unsigned i = 0; i < ns->targets && i < GLUE_AHEAD; i++) {
        const uint8_t *node = zone_at(zone, targets[i].node);
        __builtin_prefetch(node);
        __builtin_prefetch(node + 64);
    }
}

/*
 * Finds what each query's name is in its zone. Whatever a step will read was asked for a step
 * before: the zone's tree, then the leaf's node, then the RRsets of the node that will answer, and
 * for a referral the nodes with its glue.
 */
void serve_search_all(struct serve *s, const struct world *world, size_t count,
                      struct zone_match *matches)
{
    struct radix_cursor cursors[SERVE_BATCH];
    for (size_t i = 0; i < count; i++) {
        const struct slot *slot = &s->slots[i];
        cursors[i].at = NULL;
        if (slot->zone != NULL) {
            size_t skip = zone_index_key_size(world->index, slot->position);
            cursors[i] = (struct radix_cursor){slot->zone->radix, slot->zone->radix,
                                               slot->query.key.symbols + skip,
                                               slot->query.key.size - skip};
            __builtin_prefetch(slot->zone->radix);
        }
    }
    radix_search_many(cursors, count);
    for (size_t i = 0; i < count; i++) {
        const struct zone *zone = s->slots[i].zone;
        if (zone != NULL) {
            __builtin_prefetch(zone_at(zone, cursors[i].at->value));
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct zone *zone = s->slots[i].zone;
        if (zone != NULL) {
            zone_match_leaf(zone, cursors[i].symbols, cursors[i].size, cursors[i].at->value,
                            &matches[i]);
            const struct node *node = match_source(&matches[i]);
            if (node != NULL) {
                prefetch_rrsets(node);
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct zone *zone = s->slots[i].zone;
        if (zone != NULL && matches[i].cut != NULL) {
            prefetch_glue(zone, matches[i].cut);
        }
    }
}

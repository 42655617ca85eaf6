/*
 * Little is believed and then bounded; nearly all is worked out anew and compared. Nodes are gone
 * through in order (image_pass.c) with the stack of open ancestors that zone_nodes has, which says
 * what parent, cut, wildcard and flags must be, and beside them the leaves of the search tree
 * (image_tree.c). That is one pass along the file, without memory of its own but for a bit for each
 * place where a node begins: with those bits the targets are checked last, each by the key of the
 * node it names.
 *
 * A large zone is gone through by several threads, each over a part. A part begins in the middle
 * knowing nothing: it takes what the file itself says of that place (which node, under which
 * ancestors, where in the tree) for true, and what stands there is compared when the part before
 * has come to it. So a lie told at the seam is found like any other.
 *
 * Regions may overlap: nothing here is ever written, and each is good by itself.
 */
#include "zone/image_check.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "zone/image_pass.h"
#include "zone/nsec3_chain.h"
#include "zone/rrset_check.h"

enum {
    PART_OCTETS = 1 << 20, /* checked in a millisecond; a thread costs 30 us */
};

/* What all parts share. */
struct check {
    struct image_area area;
    struct image_pass *parts;
    size_t count;
    int (*work)(struct image_pass *part); /* what is being done for all parts, */
    atomic_size_t next;                   /* and the first that no thread has taken yet */
};

static int check_head(struct image_pass *pass)
{
    struct zone *zone = pass->area->zone;
    size_t end = pass->area->end;
    if (end < ZONE_HEAD_REF * ARENA_UNIT + sizeof(struct zone_head)) {
        return image_pass_broken(pass, zone->arena.base, "no room for a head");
    }
    const struct zone_head *head = arena_at(&zone->arena, ZONE_HEAD_REF);
    zone->head = head;
    if (head->magic != ZONE_IMAGE_MAGIC || head->version != ZONE_IMAGE_VERSION) {
        return image_pass_broken(pass, head, "not the head of a zone");
    }
    struct key key;
    if (head->apex_size == 0 || name_check(head->apex_name, head->apex_size) != head->apex_size) {
        return image_pass_broken(pass, head, "the apex is no name");
    }
    key_from_name(head->apex_name, &key);
    if (head->apex_key_size != key.size || head->apex_labels != name_labels(head->apex_name)) {
        return image_pass_broken(pass, head, "the apex is not as long as the head says");
    }
    if (head->nodes > end / sizeof(struct node) ||
        head->radix_size > end / sizeof(struct radix_entry)) {
        return image_pass_broken(pass, head, "more nodes than there is room for");
    }
    if (head->radix_size == 0 ||
        !image_area_has(pass->area, head->radix,
                        (size_t)head->radix_size * sizeof(struct radix_entry))) {
        return image_pass_broken(pass, head, "the search tree isn't as large as the head says");
    }
    zone->radix = zone_at(zone, head->radix);
    return RR_OK;
}

/* --- parts --- */

/* Divides the nodes into up to `wanted` parts of about as many octets. */
static int begin_parts(struct check *c, size_t wanted)
{
    const struct zone_head *head = c->area.zone->head;
    tree_walk_begin(&c->parts[0].now.tree, c->area.zone->radix, head->radix_size);
    uint64_t span = head->last > head->apex ? head->last - head->apex : 0;
    for (size_t i = 1; i < wanted; i++) {
        struct image_pass *part = &c->parts[c->count];
        part->area = &c->area;
        arena_ref leaf, near = head->apex + (arena_ref)(span * i / wanted);
        if (!tree_walk_at(&part->now.tree, c->area.zone->radix, head->radix_size, near, &leaf) ||
            !image_pass_begin_at(part, leaf)) {
            return image_pass_broken(&c->parts[0], c->area.zone->radix,
                                     "the search tree isn't that of the names");
        }
        arena_ref begin = c->count > 1 ? image_area_ref(&c->area, part[-1].now.before) : head->apex;
        if (leaf <= begin || leaf >= head->last) {
            memset(part, 0, sizeof *part); /* one node as large as a part */
            continue;
        }
        part->begin = part->now;
        c->parts[c->count - 1].last = part->now.before;
        c->count++;
    }
    return RR_OK;
}

static void work_on_parts(void *context)
{
    struct check *c = context;
    size_t i;
    while ((i = atomic_fetch_add(&c->next, 1)) < c->count) {
        c->parts[i].error = c->work(&c->parts[i]);
    }
}

/* Has work done for all parts, by a thread for each. Returns the error of the first that has one;
 * its fault is then parts[0]'s. */
static int run_parts(struct check *c, int (*work)(struct image_pass *part))
{
    c->work = work;
    atomic_store(&c->next, 0);
    crew_run(c->count, work_on_parts, c);
    for (size_t i = 0; i < c->count; i++) {
        if (c->parts[i].error != RR_OK) {
            c->parts[0].fault = c->parts[i].fault;
            return c->parts[i].error;
        }
    }
    return RR_OK;
}

/* All nodes and the tree over them, and that the parts are one whole. */
static int check_parts(struct check *c)
{
    const struct zone_head *head = c->area.zone->head;
    struct image_pass *first = &c->parts[0], *end = &c->parts[c->count - 1];
    int error = run_parts(c, image_pass_nodes);
    uint64_t nodes = 0, rrsets = 0, records = 0;
    for (size_t i = 0; i < c->count && error == RR_OK; i++) {
        struct image_pass *part = &c->parts[i];
        if (i > 0 && !image_place_meets(&part[-1].now, &part->begin, &part->now)) {
            return image_pass_broken(first, part->begin.before,
                                     "a node that isn't what its place makes it");
        }
        image_pass_mark_shared(part);
        nodes += part->nodes;
        rrsets += part->rrsets;
        records += part->records;
    }
    if (error == RR_OK &&
        (nodes != head->nodes || rrsets != head->rrsets || records != head->records)) {
        return image_pass_broken(first, head, "the head's counts are not the zone's");
    }
    if (error == RR_OK) {
        error = image_pass_close(end, -1);
        first->fault = end->fault;
    }
    if (error == RR_OK && !tree_walk_ended(&end->now.tree)) {
        return image_pass_broken(first, head, "the search tree isn't as large as the head says");
    }
    return error;
}

/* --- what needs all nodes --- */

/* Whether the node at ref, wherever that is, is this name's. */
static bool is_node_of(const struct image_area *area, arena_ref ref, const uint8_t *name)
{
    if (!image_area_begins(area, ref) || !name_is_under(name, area->zone->head->apex_name)) {
        return false;
    }
    const struct node *node = zone_at(area->zone, ref);
    struct key key;
    key_from_name(name, &key);
    size_t skip = area->zone->head->apex_key_size;
    return node->key_size == key.size - skip &&
           memcmp(node_key(node), key.symbols + skip, node->key_size) == 0;
}

/* Whether an entry is one for a record of this RDATA, at a node. */
static bool is_target_good(const struct image_area *area, const struct node *node, uint16_t type,
                           const uint8_t *rdata, const struct rrset_target *entry)
{
    const uint8_t *target = rdata + rrtype_target(type);
    bool service = type == RRTYPE_SVCB || type == RRTYPE_HTTPS;
    bool alias = service && wire_get_u16(rdata) == 0;
    bool self = service && !alias && *target == 0;
    unsigned wanted = (alias ? TARGET_ALIAS : 0u) | (self ? TARGET_SELF : 0u);
    unsigned free_flags = type == RRTYPE_NS ? TARGET_REQUIRED : 0u;
    if ((entry->flags & ~free_flags) != wanted) {
        return false;
    }
    return entry->node == 0 || (self ? entry->node == image_area_ref(area, node)
                                     : is_node_of(area, entry->node, target));
}

static int check_targets_of(struct image_pass *pass, const struct node *node,
                            const struct rrset *rrset, const uint8_t *owner, uint8_t *rdata)
{
    const struct rrset_target *targets = rrset_targets(rrset);
    size_t position = 0;
    for (unsigned i = 0; i < rrset->targets;) {
        size_t at = position + RECORD_HEAD + (size_t)rrtype_target(rrset->type);
        if (rrset_rdata(rrset, owner, &position, rdata) < 0) {
            return image_pass_broken(pass, node, "a target that no record has");
        }
        if (targets[i].position == at) {
            if (!is_target_good(pass->area, node, rrset->type, rdata, &targets[i])) {
                return image_pass_broken(pass, node, "a target that isn't what its record says");
            }
            i++;
        }
    }
    return RR_OK;
}

static int check_targets(struct image_pass *pass, uint8_t *rdata)
{
    for (size_t at = 0; at < pass->target_count; at++) {
        const struct node *node = zone_at(pass->area->zone, pass->targets[at]);
        const struct rrset *rrset = node_first_rrset(node);
        uint8_t owner[NAME_MAX_OCTETS];
        node_name(pass->area->zone, node, owner);
        for (unsigned i = 0; i < node->rrsets; i++) {
            int error =
                rrset->targets > 0 ? check_targets_of(pass, node, rrset, owner, rdata) : RR_OK;
            if (error != RR_OK) {
                return error;
            }
            rrset = rrset_next(rrset);
        }
        crew_step();
    }
    return RR_OK;
}

static int check_part_targets(struct image_pass *part)
{
    if (part->target_count == 0) {
        return RR_OK;
    }
    uint8_t *rdata = malloc(MESSAGE_MAX);
    int error = rdata != NULL ? check_targets(part, rdata) : RR_ENOMEM;
    free(rdata);
    return error;
}

/* The apex's SOA, and its double for negative answers. */
static int check_soa(struct image_pass *pass)
{
    const struct zone_head *head = pass->area->zone->head;
    const struct zone *zone = pass->area->zone;
    const struct rrset *soa = node_rrset(zone_first(zone), RRTYPE_SOA);
    if (soa == NULL || !image_area_has(pass->area, head->negative_soa, rrset_span(soa))) {
        return image_pass_broken(pass, head, "no SOA");
    }
    uint32_t serial = wire_get_u32(soa->block + soa->block_size - 20);
    if (head->serial != serial || !rrset_is_negative_soa(zone_at(zone, head->negative_soa), soa)) {
        return image_pass_broken(pass, head, "the SOA of negative answers isn't the zone's");
    }
    return RR_OK;
}

static int check_all(struct check *c, size_t wanted)
{
    struct image_pass *first = &c->parts[0];
    int error = check_head(first);
    if (error == RR_OK) {
        error = begin_parts(c, wanted);
    }
    if (error == RR_OK) {
        error = check_parts(c);
    }
    if (error == RR_OK) {
        error = check_soa(first);
    }
    if (error == RR_OK && !nsec3_chain_check(c->area.zone)) {
        error = image_pass_broken(first, c->area.zone->head,
                                  "the chain of NSEC3 isn't that of the names");
    }
    if (error == RR_OK) {
        error = run_parts(c, check_part_targets);
    }
    return error;
}

int image_check(struct zone *zone, size_t threads, struct image_fault *fault)
{
    struct check c = {.area = {.zone = zone, .end = zone->arena.used}, .count = 1};
    size_t wanted = c.area.end / PART_OCTETS + 1;
    wanted = wanted < threads ? wanted : threads;
    wanted = wanted > 0 ? wanted : 1;
    c.area.map = calloc(image_area_words(c.area.end), sizeof *c.area.map);
    c.parts = calloc(wanted, sizeof *c.parts);
    int error = RR_ENOMEM;
    if (c.area.map != NULL && c.parts != NULL) {
        c.parts[0].area = &c.area;
        error = check_all(&c, wanted);
        *fault = c.parts[0].fault;
        if (error == RR_OK) {
            zone_settle(zone);
        }
        for (size_t i = 0; i < wanted; i++) {
            free(c.parts[i].targets);
        }
    }
    free(c.area.map);
    free(c.parts);
    return error;
}

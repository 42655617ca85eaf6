#include "zone/zone_targets.h"

#include <stdlib.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "zone/records_list.h"

/* The record of node's RRset that has the given target, for messages; found the slow way. */
static const struct record *find_record(const struct zone_targets *t, const struct node *node,
                                        uint16_t type, const uint8_t *target)
{
    size_t low = 0, high = t->owners;
    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct record_owner *owner = t->items[middle].owner;
        if (key_compare(record_owner_key(owner), owner->key_size, node_key(node),
                        node->key_size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < t->owners; low++) {
        const struct record_owner *owner = t->items[low].owner;
        const struct record *record = record_first(owner);
        for (uint32_t i = 0; i < owner->count; i++) {
            if (record->type == type && name_equal(record->rdata + rrtype_target(type), target)) {
                return record;
            }
            record = record_next(record);
        }
    }
    return record_first(t->items[0].owner);
}

/* Whether the node a target names has something to add for it. */
static bool target_serves(const struct node *from, const struct rrset *rrset,
                          const struct rrset_target *entry, const struct zone_match *match)
{
    const struct node *node = match->node;
    bool referral = rrset->type == RRTYPE_NS && (from->flags & NODE_DELEGATION) != 0;
    if (match->dname != NULL || (match->cut != NULL && !referral)) {
        return false;
    }
    return node_rrset(node, RRTYPE_A) != NULL || node_rrset(node, RRTYPE_AAAA) != NULL ||
           ((entry->flags & TARGET_ALIAS) != 0 && node_rrset(node, rrset->type) != NULL);
}

static void resolve_target(const struct zone_targets *t, const struct node *from, const struct rrset *rrset,
                           struct rrset_target *entry, const uint8_t *target)
{
    struct key key;
    struct zone_match match;
    char text[NAME_MAX_TEXT];
    key_from_name(target, &key);
    zone_lookup(t->zone, &key, &match);
    if (match.node != NULL && target_serves(from, rrset, entry, &match)) {
        entry->node = (arena_ref)(((const uint8_t *)match.node - t->zone->arena.base) / ARENA_UNIT);
        return;
    }
    if ((entry->flags & TARGET_REQUIRED) != 0 && (from->flags & NODE_DELEGATION) != 0) {
        name_to_text(target, text);
        record_warn(t->records, t->diag, find_record(t, from, rrset->type, target),
                "no glue: name server %s is in the delegated zone, but has no address here", text);
    } else if (match.node != NULL && match.cut == NULL &&
               (match.node->flags & NODE_CNAME) != 0 && rrset->type != RRTYPE_SVCB &&
               rrset->type != RRTYPE_HTTPS) {
        char type[RRTYPE_TEXT_MAX];
        rrtype_to_text(rrset->type, type);
        name_to_text(target, text);
        record_warn(t->records, t->diag, find_record(t, from, rrset->type, target),
                "%s target %s is a CNAME (RFC 2181 section 10.3)", type, text);
    }
}

/* Each node is listed once; a later entry for it is emptied. */
static void drop_repeated(struct rrset_target *targets, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (targets[i].node == targets[index].node) {
            targets[index].node = 0;
            return;
        }
    }
}

static void resolve_rrset(const struct zone_targets *t, const struct node *node, const struct rrset *rrset,
                          const uint8_t *owner, uint8_t *rdata)
{
    struct rrset_target *targets = (struct rrset_target *)(uintptr_t)rrset_targets(rrset);
    size_t position = 0, next = 0, record = 0;
    while (next < rrset->targets) {
        record = position;
        if (rrset_rdata(rrset, owner, &position, rdata) < 0) {
            return;
        }
        /* The entries are in record order, for those records whose target may be here. */
        size_t at = record + RECORD_HEAD + (size_t)rrtype_target(rrset->type);
        if (targets[next].position != at) {
            continue;
        }
        bool self = (targets[next].flags & TARGET_SELF) != 0;
        resolve_target(t, node, rrset, &targets[next],
                       self ? owner : rdata + rrtype_target(rrset->type));
        if (targets[next].node != 0) {
            drop_repeated(targets, next);
        }
        next++;
    }
}

int zone_targets_resolve(const struct zone_targets *t, const arena_ref *nodes, size_t count)
{
    uint8_t *rdata = malloc(MESSAGE_MAX);
    if (rdata == NULL) {
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        const struct node *node = zone_at(t->zone, nodes[i]);
        uint8_t owner[NAME_MAX_OCTETS];
        node_name(t->zone, node, owner);
        const struct rrset *rrset = node_first_rrset(node);
        for (unsigned s = 0; s < node->rrsets; s++) {
            if (rrset->targets > 0) {
                resolve_rrset(t, node, rrset, owner, rdata);
            }
            rrset = rrset_next(rrset);
        }
    }
    free(rdata);
    return RR_OK;
}

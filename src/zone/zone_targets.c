#include "zone/zone_targets.h"

#include "base/crew.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "zone/records_list.h"

/* Glue stands right behind its delegation: so many nodes are looked at there before the tree is
 * asked, which costs a walk through cold memory. */
enum { NEAR = 8 };

struct targets {
    struct zone *zone;
    const struct records *records;
    struct diag *diag;
};

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

/* The node of the key among those right behind `from` and below it; NULL where it is not there. */
static const struct node *find_near(const struct zone *zone, const struct node *from,
                                    const uint8_t *key, size_t size)
{
    const struct node *node = from;
    for (unsigned i = 0; i < NEAR && (node = zone_next(zone, node)) != NULL; i++) {
        size_t common = key_common(key, size, node_key(node), node->key_size);
        if (common == size && common == node->key_size) {
            return node;
        }
        if (common < from->key_size) {
            break;
        }
    }
    return NULL;
}

static arena_ref ref_of(const struct zone *zone, const struct node *node)
{
    return (arena_ref)(((const uint8_t *)node - zone->arena.base) / ARENA_UNIT);
}

static void find_target(const struct zone *zone, const struct node *from, const uint8_t *target,
                        struct zone_match *match)
{
    struct key key;
    key_from_name(target, &key);
    size_t skip = zone->head->apex_key_size;
    const struct node *near = NULL;
    if (key.size - skip > from->key_size) {
        near = find_near(zone, from, key.symbols + skip, key.size - skip);
    }
    if (near != NULL) {
        zone_match_leaf(zone, key.symbols + skip, key.size - skip, ref_of(zone, near), match);
    } else {
        zone_lookup(zone, &key, match);
    }
}

static void resolve_target(const struct targets *t, const struct node *from,
                           const struct rrset *rrset, struct rrset_target *entry,
                           const uint8_t *target, const struct target_place *place)
{
    struct zone_match match;
    char text[NAME_MAX_TEXT], type[RRTYPE_TEXT_MAX];
    find_target(t->zone, from, target, &match);
    if (match.node != NULL && target_serves(from, rrset, entry, &match)) {
        entry->node = ref_of(t->zone, match.node);
        return;
    }
    const char *file = record_file(t->records, place->file);
    if ((entry->flags & TARGET_REQUIRED) != 0 && (from->flags & NODE_DELEGATION) != 0) {
        name_to_text(target, text);
        diag_warn(t->diag, file, place->line,
                  "no glue: name server %s is in the delegated zone, but has no address here",
                  text);
    } else if (match.node != NULL && match.cut == NULL && (match.node->flags & NODE_CNAME) != 0 &&
               rrset->type != RRTYPE_SVCB && rrset->type != RRTYPE_HTTPS) {
        name_to_text(target, text);
        rrtype_to_text(rrset->type, type);
        diag_warn(t->diag, file, place->line, "%s target %s is a CNAME (RFC 2181 section 10.3)",
                  type, text);
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

/* All of one node; returns how many places they took. */
static size_t resolve_node(const struct targets *t, struct node *node,
                           const struct target_place *places)
{
    uint8_t owner[NAME_MAX_OCTETS], target[NAME_MAX_OCTETS];
    node_name(t->zone, node, owner);
    size_t done = 0;
    const struct rrset *rrset = node_first_rrset(node);
    for (unsigned s = 0; s < node->rrsets; s++, rrset = rrset_next(rrset)) {
        struct rrset_target *entries = (struct rrset_target *)rrset_targets(rrset);
        for (unsigned i = 0; i < rrset->targets; i++) {
            bool self = (entries[i].flags & TARGET_SELF) != 0;
            if (!self) {
                rrset_name(rrset, entries[i].position, owner, target);
            }
            resolve_target(t, node, rrset, &entries[i], self ? owner : target, &places[done++]);
            if (entries[i].node != 0) {
                drop_repeated(entries, i);
            }
        }
    }
    return done;
}

void zone_targets_resolve(struct zone *zone, const struct records *records,
                          const struct target_place *places, size_t count, struct diag *diag)
{
    const struct targets targets = {zone, records, diag};
    for (size_t i = 0; i < count;) {
        i += resolve_node(&targets, arena_at(&zone->arena, places[i].node), &places[i]);
        crew_step();
    }
}

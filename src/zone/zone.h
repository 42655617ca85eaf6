/*
 * A zone, ready to be asked: an immutable image in one arena, and the lookups in it.
 *
 * The image is what zone_build makes: a head, nodes in canonical order each followed by its key
 * and its RRsets, the search tree over them. All that is known at load is resolved there: parents,
 * the cut above a name, wildcards, empty non-terminals, the nodes that NS, MX, SRV targets stand
 * for. Nothing in it is a pointer, so it can be copied, written to a file and read back anywhere.
 *
 * Node and RRset layout is public, because the answer is planned and rendered straight from it.
 */
#ifndef RRDNS_ZONE_ZONE_H
#define RRDNS_ZONE_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "dns/key.h"
#include "dns/name.h"
#include "zone/radix.h"

enum node_flags {
    NODE_DELEGATION = 0x01, /* NS here, and not the apex, and no cut above */
    NODE_OCCLUDED = 0x02,   /* under a cut or a DNAME: never answered, may be glue */
    NODE_DNAME = 0x04,      /* has a DNAME */
    NODE_CNAME = 0x08,      /* has a CNAME */
    NODE_WILDCARD = 0x10,   /* its first label is "*" */
    NODE_APEX = 0x20,
    NODE_CASE = 0x40,       /* the owner as written has upper case: it follows the key */
    NODE_NSEC3 = 0x80,      /* nothing here but NSEC3 and their signatures */
};

/*
 * A name of the zone. An empty non-terminal has no RRsets. Followed by its key relative to the
 * apex (key_size symbols), then with NODE_CASE the owner relative to the apex in wire form (without
 * a final zero), then, at the next unit, its RRsets by ascending type. Nodes stand in canonical
 * order, so what a referral needs (the cut, then its glue) mostly stands together.
 */
struct node {
    arena_ref parent;   /* 0 at the apex */
    arena_ref cut;      /* the topmost delegation at or above, unless under a DNAME; 0: none */
    arena_ref star;     /* its "*" child; 0: none */
    uint32_t size;      /* octets of the node and all that follows it: where the next one begins */
    uint16_t key_size;
    uint16_t rrsets;
    uint16_t rrsets_at; /* octets from the node to its first RRset */
    uint8_t flags;
    uint8_t name_size;  /* octets of the whole name in wire form */
};

/*
 * One RRset in the form in which it is sent. The block is `count` records back to back, each
 * owner pointer (2), type (2), class (2), TTL (4), RDLENGTH (2), RDATA; names that RFC 1035 allows
 * to compress are compressed, against the owner or earlier in the same block. Rendering is a copy
 * and the setting of those pointers:
 *
 * - the 2 octets where each record begins, to the owner;
 * - `patches` more, each 2 octets at a position that the table after the block lists (uint16_t,
 *   host order). What stands there is 0xC000 plus where to point: below 256, to the last that many
 *   octets of the owner's name; else, minus 256, to that position in this block.
 *
 * RRSIG records stand by ascending type covered: those of an RRset are one run.
 *
 * So the whole name of an owner must stand in the message before its RRset does. Where an answer
 * can't point (positions past 0x3fff), rrset_rdata gives the RDATA uncompressed. After the patch
 * table comes the list of targets.
 */
struct rrset {
    uint16_t type;
    uint16_t count;      /* records */
    uint32_t block_size; /* octets */
    uint16_t patches;
    uint16_t targets;    /* struct rrset_target behind the patch table */
    uint8_t block[];
};

enum target_flags {
    TARGET_REQUIRED = 1, /* glue of a delegation, in-domain: without it TC (RFC 9471) */
    TARGET_ALIAS = 2,    /* of an AliasMode record: its SVCB or HTTPS records belong there too */
    TARGET_SELF = 4,     /* the owner itself (TargetName "." of SVCB and HTTPS) */
};

/* A node whose addresses belong into the additional section with this RRset. Each node once. */
struct rrset_target {
    arena_ref node;    /* 0: no data here, to be passed over */
    uint16_t position; /* of the target name in the block */
    uint16_t flags;
};

enum {
    RECORD_HEAD = 12,
    /* The last position of a block that is pointed to: so a block that begins anywhere in the first
     * 12 KiB of a message can have its pointers set (they reach 16 KiB). */
    RRSET_REACH = 0xfff,
    ZONE_MAGIC = 0x7a6f6e65,       /* struct zone */
    ZONE_IMAGE_MAGIC = 0x525a4e45, /* struct zone_head */
    ZONE_IMAGE_VERSION = 3,        /* to be raised with any change of what an image looks like */
    ZONE_HEAD_REF = 1,             /* where the head is */
};

/* First in the arena, at ZONE_HEAD_REF. */
struct zone_head {
    uint32_t magic;
    uint32_t version;
    arena_ref apex;         /* node */
    arena_ref last;         /* node, the canonically last */
    arena_ref radix;        /* struct radix_entry[radix_size] */
    uint32_t radix_size;
    arena_ref negative_soa; /* the SOA RRset with the TTL of negative answers (RFC 2308) */
    uint32_t serial;
    uint64_t nodes;         /* empty non-terminals included */
    uint64_t rrsets;
    uint64_t records;
    arena_ref nsec3;        /* struct nsec3_chain (nsec3_chain.h); 0: none */
    uint16_t apex_key_size; /* symbols of the apex's own key */
    uint8_t apex_labels;
    uint8_t apex_size;      /* octets of the apex name */
    uint8_t apex_name[NAME_MAX_OCTETS]; /* wire form, case as given */
};

/* How the zone's file proves what isn't there; a zone that has no such proof is unsigned. */
enum zone_denial { ZONE_UNSIGNED, ZONE_NSEC, ZONE_NSEC3 };

/*
 * The handle. References are counted by loaders alone (plain integer): worlds that share a zone
 * each hold one; workers hold none, they are bounded by the world they read.
 */
struct zone {
    uint32_t magic;
    uint32_t references;
    struct arena arena;
    const struct zone_head *head;
    const struct radix_entry *radix;
    enum zone_denial denial;
};

/* What a zone that is signed here has at its apex though its file has it not: RRsets by ascending
 * type. */
struct zone_overlay {
    size_t count;
    const struct rrset *const *sets;
};

/*
 * Whether a type that stands at the node is passed over where there is an overlay: what is made of
 * keys at the apex, and signatures and denials anywhere, are never the file's own. (Such a file is
 * a signed one that something was cut out of; one that has signatures left gets no overlay.)
 */
bool zone_overlay_hides(const struct node *node, uint16_t type);

/* Makes the handle's fields of what its arena, which is complete, holds. */
void zone_settle(struct zone *zone);

struct zone *zone_ref(struct zone *zone);
/* Gives a reference back; the last one frees. NULL is harmless. */
void zone_unref(struct zone *zone);

/*
 * What a name is in a zone. All pointers go into the image. The owner of NSEC3 records is no name
 * of the zone, unless there are names below it (RFC 5155 section 7.2.8).
 */
struct zone_match {
    const struct node *node;     /* the name's own node; NULL: it does not exist */
    const struct node *encloser; /* node, or the closest encloser (RFC 4592 section 3.3.1) */
    const struct node *cut;      /* topmost delegation at or above the name; NULL: none */
    const struct node *dname;    /* topmost DNAME strictly above the name; NULL: none */
    const struct node *wildcard; /* where the name doesn't exist: the encloser's "*" child */
};

static inline const void *zone_at(const struct zone *zone, arena_ref ref)
{
    return arena_at(&zone->arena, ref);
}

static inline const struct node *zone_node(const struct zone *zone, arena_ref ref)
{
    return ref != 0 ? zone_at(zone, ref) : NULL;
}

static inline const uint8_t *node_key(const struct node *node)
{
    return (const uint8_t *)(node + 1);
}

static inline const struct rrset *node_first_rrset(const struct node *node)
{
    return (const struct rrset *)(const void *)((const uint8_t *)node + node->rrsets_at);
}

/* Octets of block that the patch table begins after: it is aligned to 4. */
static inline size_t rrset_block_room(const struct rrset *rrset)
{
    return ((size_t)rrset->block_size + 3) & ~(size_t)3;
}

static inline const uint16_t *rrset_patch_table(const struct rrset *rrset)
{
    return (const uint16_t *)(const void *)(rrset->block + rrset_block_room(rrset));
}

static inline const struct rrset_target *rrset_targets(const struct rrset *rrset)
{
    size_t patches = (2u * (size_t)rrset->patches + 3) & ~(size_t)3;
    return (const struct rrset_target *)(const void *)(rrset->block + rrset_block_room(rrset) +
                                                       patches);
}

/* Octets from an RRset to the next of its node. */
static inline size_t rrset_span(const struct rrset *rrset)
{
    const void *end = rrset_targets(rrset) + rrset->targets;
    size_t size = (size_t)((const uint8_t *)end - (const uint8_t *)rrset);
    return (size + ARENA_UNIT - 1) & ~(size_t)(ARENA_UNIT - 1);
}

static inline const struct rrset *rrset_next(const struct rrset *rrset)
{
    return (const struct rrset *)(const void *)((const uint8_t *)rrset + rrset_span(rrset));
}

/* The node's RRset of a type, or NULL. */
const struct rrset *node_rrset(const struct node *node, uint16_t type);

/* Looks a name up. key is the whole name's, which must be under the apex. */
void zone_lookup(const struct zone *zone, const struct key *key, struct zone_match *match);

/* The second half of zone_lookup: what follows once a search of zone->radix for symbols, the key
 * past the apex, has ended at the leaf `leaf` (a radix value, the ref of a node). For batched
 * lookups. */
void zone_match_leaf(const struct zone *zone, const uint8_t *symbols, size_t size, arena_ref leaf,
                     struct zone_match *match);

/* The last node that is canonically before the key (which need not exist); the zone's last node
 * is before its apex. */
const struct node *zone_before(const struct zone *zone, const struct key *key);

/* The topmost delegation or DNAME that occludes the node; the node itself where nothing does. */
const struct node *zone_visible(const struct zone *zone, const struct node *node);

/* Octets of the node's whole name, written to name (room for 255), case as in the master file. */
size_t node_name(const struct zone *zone, const struct node *node, uint8_t *name);

/* Nodes in canonical order: NULL past the last. */
const struct node *zone_first(const struct zone *zone);
const struct node *zone_next(const struct zone *zone, const struct node *node);

/* Of all its records; but each of a set of signatures has its own (RFC 4034 section 3). */
static inline uint32_t rrset_ttl(const struct rrset *rrset)
{
    return (uint32_t)rrset->block[6] << 24 | (uint32_t)rrset->block[7] << 16 |
           (uint32_t)rrset->block[8] << 8 | rrset->block[9];
}

/* The name that stands at a position of the block, uncompressed, to name (room for 255 octets).
 * owner is the whole wire name of the RRset's owner. */
void rrset_name(const struct rrset *rrset, size_t position, const uint8_t *owner, uint8_t *name);

/*
 * Records of an RRset with their RDATA uncompressed. position is 0 at first and names the record:
 * the call moves it to the next. owner is the whole wire name of the RRset's owner. Writes at most
 * 65535 octets to rdata and returns their number; negative (RR_ENOENT) past the last record.
 */
int rrset_rdata(const struct rrset *rrset, const uint8_t *owner, size_t *position, uint8_t *rdata);

#endif

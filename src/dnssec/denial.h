/*
 * Denial of existence made at query time: RRsets of NSEC for names that are there and names that
 * are not (RFC 4034 section 4, RFC 9077, RFC 9824). RRsets are written to memory of the caller's.
 */
#ifndef RRDNS_DNSSEC_DENIAL_H
#define RRDNS_DNSSEC_DENIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zone/zone.h"

/*
 * What the type bitmap of a name says: the types of its node (NULL: it has none, as an empty
 * non-terminal), of the overlay where it is the apex, and those of the denial itself.
 */
struct denial_types {
    const struct node *node;
    const struct zone_overlay *overlay; /* or NULL */
    bool nsec3;                         /* of an NSEC3 record, else of NSEC */
    bool absent;                        /* NXNAME is set: the name does not exist */
};

/* Octets of memory that denial_nsec needs at most. */
size_t denial_room(const struct denial_types *types);

/* Writes the bitmap; returns its octets. There must be denial_room at bitmap. */
size_t denial_bitmap(const struct denial_types *types, uint8_t *bitmap);

/*
 * Makes the NSEC RRset of a name at memory (aligned to 8, denial_room octets): ttl is its TTL, next
 * the name it says comes next.
 */
const struct rrset *denial_nsec(const struct denial_types *types, uint32_t ttl, const uint8_t *next,
                                void *memory);

/*
 * The name that comes right after `name` in canonical order within the zone (RFC 4471 section 3.1,
 * the absolute method), to next (room for 255 octets), in lower case: \000.name, but where that
 * has no room a longer or higher last label, or that of an ancestor; the apex where none is left.
 */
void denial_successor(const uint8_t *name, const uint8_t *apex, uint8_t *next);

/*
 * Members of the zone's NSEC chain: names with authoritative data or a delegation, not what is
 * below a cut or a DNAME, nor empty non-terminals.
 */
static inline bool denial_in_chain(const struct node *node)
{
    return (node->flags & (NODE_OCCLUDED | NODE_NSEC3)) == 0 && node->rrsets > 0;
}

/* The member of the chain behind a member; the apex behind the last. */
const struct node *denial_next(const struct zone *zone, const struct node *node);

#endif

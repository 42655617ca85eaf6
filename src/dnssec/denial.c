#include "dnssec/denial.h"

#include <string.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

/* --- type bitmaps (RFC 4034 section 4.1.2) --- */

enum { WINDOW_MAX = 2 + 32 }; /* octets: number, length, bits */

struct bitmap {
    uint8_t *at;   /* the window being written */
    int window;    /* its number; -1: none yet */
};

/* Types come in ascending order. A window is zeroed as a whole when it begins: denial_room has the
 * octets, and they cost less than to count those that are needed. */
static void add_type(struct bitmap *b, uint16_t type)
{
    int window = type >> 8;
    if (window != b->window) {
        if (b->window >= 0) {
            b->at += 2 + b->at[1];
        }
        memset(b->at, 0, WINDOW_MAX);
        b->window = window;
        b->at[0] = (uint8_t)window;
    }
    unsigned octet = (type & 0xffu) / 8;
    b->at[1] = (uint8_t)(octet + 1);
    b->at[2 + octet] |= (uint8_t)(0x80u >> (type & 7));
}

/* Whether a type that stands at the node is said to be there: at a cut only what is the parent's. */
static bool is_told(const struct denial_types *types, uint16_t type)
{
    const struct node *node = types->node;
    if (types->overlay != NULL && zone_overlay_hides(node, type)) {
        return false;
    }
    bool cut = (node->flags & NODE_DELEGATION) != 0;
    return !cut || type == RRTYPE_NS || type == RRTYPE_DS;
}

/* Whether anything at the name is signed but the denial itself (NSEC3 says RRSIG only then). */
static bool has_signed_data(const struct node *node)
{
    return node != NULL && node->rrsets > 0 &&
           ((node->flags & NODE_DELEGATION) == 0 || node_rrset(node, RRTYPE_DS) != NULL);
}

/* Types that are there without standing at the node, ascending. Returns their number. */
enum { EXTRA_MAX = 3 + 8 };
static size_t extra_types(const struct denial_types *types, uint16_t extra[EXTRA_MAX])
{
    size_t count = 0;
    if (!types->nsec3 || has_signed_data(types->node)) {
        extra[count++] = RRTYPE_RRSIG;
    }
    if (!types->nsec3) {
        extra[count++] = RRTYPE_NSEC;
    }
    bool apex = types->node != NULL && (types->node->flags & NODE_APEX) != 0;
    for (size_t i = 0; apex && types->overlay != NULL && i < types->overlay->count; i++) {
        extra[count++] = types->overlay->sets[i]->type;
    }
    if (types->absent) {
        extra[count++] = RRTYPE_NXNAME;
    }
    return count;
}

size_t denial_bitmap(const struct denial_types *types, uint8_t *bitmap)
{
    uint16_t extra[EXTRA_MAX];
    size_t extras = extra_types(types, extra), next = 0;
    struct bitmap b = {.at = bitmap, .window = -1};
    const struct node *node = types->node;
    const struct rrset *rrset = node != NULL ? node_first_rrset(node) : NULL;
    for (unsigned i = 0; node != NULL && i < node->rrsets; i++, rrset = rrset_next(rrset)) {
        if (is_told(types, rrset->type)) {
            for (; next < extras && extra[next] <= rrset->type; next++) {
                add_type(&b, extra[next]);
            }
            add_type(&b, rrset->type);
        }
    }
    for (; next < extras; next++) {
        add_type(&b, extra[next]);
    }
    return b.window < 0 ? 0 : (size_t)(b.at - bitmap) + 2 + b.at[1];
}

/* --- RRsets --- */

size_t denial_room(const struct denial_types *types)
{
    size_t windows = EXTRA_MAX + (types->node != NULL ? types->node->rrsets : 0u);
    windows = windows < 256 ? windows : 256;
    return sizeof(struct rrset) + RECORD_HEAD + NAME_MAX_OCTETS + windows * WINDOW_MAX;
}

const struct rrset *denial_nsec(const struct denial_types *types, uint32_t ttl, const uint8_t *next,
                                void *memory)
{
    struct rrset *rrset = memory;
    uint8_t *record = rrset->block;
    size_t next_size = name_size(next);
    memcpy(record + RECORD_HEAD, next, next_size);
    size_t size = next_size + denial_bitmap(types, record + RECORD_HEAD + next_size);
    wire_put_u16(record, 0);
    wire_put_u16(record + 2, RRTYPE_NSEC);
    wire_put_u16(record + 4, CLASS_IN);
    wire_put_u32(record + 6, ttl);
    wire_put_u16(record + 10, (uint16_t)size);
    *rrset = (struct rrset){
        .type = RRTYPE_NSEC, .count = 1, .block_size = (uint32_t)(RECORD_HEAD + size)};
    return rrset;
}

/* --- names in order --- */

/* Raises the label at `name` (lower case) to the next one of the same length or shorter; false
 * where it is the highest. Returns its new length in *length. */
static bool raise_label(uint8_t *name, size_t *length)
{
    size_t size = name[0];
    while (size > 0 && name[size] == 0xff) {
        size--;
    }
    *length = size;
    if (size == 0) {
        return false;
    }
    /* Past what is no letter in canonical order. */
    name[size] = name[size] == 'A' - 1 ? 'Z' + 1 : (uint8_t)(name[size] + 1);
    return true;
}

void denial_successor(const uint8_t *name, const uint8_t *apex, uint8_t *next)
{
    uint8_t lower[NAME_MAX_OCTETS];
    size_t size = name_size(name);
    for (size_t i = 0; i < size; i++) {
        lower[i] = name_lower(name[i]);
    }
    if (size + 2 <= NAME_MAX_OCTETS) {
        next[0] = 1;
        next[1] = 0;
        /* cppcheck-suppress uninitvar ; a name has at least the octet that ends it */
        memcpy(next + 2, lower, size);
        return;
    }
    size_t apex_size = name_size(apex);
    for (uint8_t *label = lower; size > apex_size; size -= 1u + *label, label += 1u + *label) {
        size_t length = label[0];
        if (length < NAME_MAX_LABEL && size < NAME_MAX_OCTETS) { /* the label and a zero octet */
            next[0] = (uint8_t)(length + 1);
            memcpy(next + 1, label + 1, length);
            next[1 + length] = 0;
            memcpy(next + 2 + length, label + 1 + length, size - 1 - length);
            return;
        }
        size_t raised;
        uint8_t copy[1 + NAME_MAX_LABEL];
        memcpy(copy, label, 1 + length);
        if (raise_label(copy, &raised)) {
            next[0] = (uint8_t)raised;
            memcpy(next + 1, copy + 1, raised);
            memcpy(next + 1 + raised, label + 1 + length, size - 1 - length);
            return;
        }
    }
    memcpy(next, apex, apex_size);
}

/* --- the chain --- */

/* The last node at or below `node`, which hides what is below it. */
static const struct node *last_below(const struct zone *zone, const struct node *node)
{
    const struct node *after = zone_next(zone, node);
    if (after == NULL || (after->flags & NODE_OCCLUDED) == 0) {
        return node;
    }
    /* With a symbol higher than all that keys have, the name before it is the last one below. */
    struct key key;
    uint8_t name[NAME_MAX_OCTETS];
    node_name(zone, node, name);
    key_from_name(name, &key);
    if (key.size < sizeof key.symbols) {
        key.symbols[key.size++] = KEY_SYMBOLS;
    }
    return zone_before(zone, &key);
}

const struct node *denial_next(const struct zone *zone, const struct node *node)
{
    const struct node *next = zone_next(zone, last_below(zone, node));
    while (next != NULL && !denial_in_chain(next)) {
        next = zone_next(zone, next);
    }
    return next != NULL ? next : zone_first(zone);
}

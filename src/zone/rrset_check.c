/*
 * The block is gone through once, in the order in which rrset_build wrote it. Names are the only
 * hard part: what a placeholder points to must be known to be the beginning of a label, or the
 * middle of one would be read as a name. So label starts are marked as names are read, and nothing
 * else can be pointed to. A name that points into itself is found by its length: every step along
 * pointers adds a label, and 255 octets are the end.
 */
#include "zone/rrset_check.h"

#include <stdbool.h>
#include <string.h>

#include "dns/message.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

enum {
    POINTER = 0xc0,     /* a first octet from here on is a placeholder's */
    OWNER_VALUES = 256, /* placeholders below this point to the owner */
    /* RDATA with compressible names, in full: at most two, and 20 octets (SOA). */
    EXPANDED_MAX = 2 * NAME_MAX_OCTETS + 20,
};

struct walk {
    const struct rrset *rrset;
    const struct rrset_check_owner *owner;
    const uint16_t *patches;
    unsigned patches_met;
    uint64_t starts[(RRSET_REACH + 64) / 64]; /* positions where a label begins */
};

/* A name as it is put together. */
struct whole_name {
    size_t size;
    uint8_t octets[NAME_MAX_OCTETS];
};

static void mark_start(struct walk *w, size_t position)
{
    if (position <= RRSET_REACH) {
        w->starts[position / 64] |= (uint64_t)1 << position % 64;
    }
}

static bool is_start(const struct walk *w, size_t position)
{
    return position <= RRSET_REACH && (w->starts[position / 64] >> position % 64 & 1) != 0;
}

static bool add_label(struct whole_name *name, const uint8_t *label)
{
    size_t size = 1u + *label;
    if (name->size + size > NAME_MAX_OCTETS) {
        return false;
    }
    memcpy(name->octets + name->size, label, size);
    name->size += size;
    return true;
}

/* The end of the owner's name that has `size` octets. */
static bool add_owner_end(const struct walk *w, struct whole_name *name, size_t size)
{
    const uint8_t *p = w->owner->name;
    size_t left = w->owner->size;
    while (left > size && left > 1) {
        left -= 1u + *p;
        p += 1u + *p;
    }
    if (left != size || size > w->owner->shared || name->size + size > NAME_MAX_OCTETS) {
        return false;
    }
    memcpy(name->octets + name->size, p, size);
    name->size += size;
    return true;
}

/* Where the placeholder at p leads: on to another position of the block, or (0) to the end. */
static bool follow(const struct walk *w, const uint8_t *p, struct whole_name *name, size_t *next)
{
    size_t value = wire_get_u16(p) & 0x3fffu;
    *next = 0;
    if (value < OWNER_VALUES) {
        return add_owner_end(w, name, value);
    }
    *next = value - OWNER_VALUES;
    return is_start(w, *next);
}

/* The rest of a name, from a label on that is known to begin at `at`. */
static bool add_rest(const struct walk *w, struct whole_name *name, size_t at)
{
    const uint8_t *block = w->rrset->block;
    for (;;) {
        if (block[at] >= POINTER) {
            if (!follow(w, block + at, name, &at)) {
                return false;
            }
            if (at == 0) {
                return true;
            }
        }
        if (!add_label(name, block + at)) {
            return false;
        }
        if (block[at] == 0) {
            return true;
        }
        at += 1u + block[at];
    }
}

/* Reads the name at *at of the block, which may go up to `end`; *at moves past it. */
static bool read_name(struct walk *w, size_t *at, size_t end, struct whole_name *name)
{
    const uint8_t *block = w->rrset->block;
    name->size = 0;
    for (bool more = true; more;) {
        if (*at >= end) {
            return false;
        }
        const uint8_t *p = block + *at;
        if (*p >= POINTER) {
            size_t next;
            if (end - *at < 2 || w->patches_met == w->rrset->patches ||
                w->patches[w->patches_met] != *at || !follow(w, p, name, &next) ||
                (next != 0 && !add_rest(w, name, next))) {
                return false;
            }
            w->patches_met++;
            *at += 2;
            more = false;
        } else {
            if (*p > NAME_MAX_LABEL || *p >= end - *at || !add_label(name, p)) {
                return false;
            }
            more = *p != 0;
            if (more) {
                mark_start(w, *at);
            }
            *at += 1u + *p;
        }
    }
    return true;
}

/* RDATA from `at` to `end`, of a type whose names are compressed: NULL, or what is wrong. */
static const char *names_fault(struct walk *w, size_t at, size_t end)
{
    const uint8_t *block = w->rrset->block;
    uint8_t rdata[EXPANDED_MAX];
    struct wire_writer whole = wire_writer_init(rdata, sizeof rdata);
    struct rrtype_names names = rrtype_compressible(w->rrset->type);
    if (end - at < names.prefix) {
        return "RDATA is too short";
    }
    wire_write_octets(&whole, block + at, names.prefix);
    at += names.prefix;
    for (unsigned i = 0; i < names.count; i++) {
        struct whole_name name;
        if (!read_name(w, &at, end, &name)) {
            return "a name in RDATA is broken";
        }
        wire_write_octets(&whole, name.octets, name.size);
    }
    wire_write_octets(&whole, block + at, end - at);
    return whole.failed ? "RDATA is too long" : rdata_fault(w->rrset->type, rdata, whole.pos);
}

/* The record at *at, with its head as all records of the set have it; *at moves past it. */
static const char *check_record(struct walk *w, size_t *at, bool compressible)
{
    const struct rrset *rrset = w->rrset;
    const uint8_t *record = rrset->block + *at;
    if (rrset->block_size - *at < RECORD_HEAD) {
        return "a record ends outside its RRset";
    }
    if (wire_get_u16(record + 2) != rrset->type || wire_get_u16(record + 4) != CLASS_IN ||
        (rrset->type != RRTYPE_RRSIG && memcmp(record + 6, rrset->block + 6, 4) != 0)) {
        return "a record is not of its RRset's type, class and TTL";
    }
    size_t size = wire_get_u16(record + 10);
    *at += RECORD_HEAD;
    if (size > rrset->block_size - *at) {
        return "a record ends outside its RRset";
    }
    if ((rrset->type == RRTYPE_A && size == 4) || (rrset->type == RRTYPE_AAAA && size == 16)) {
        *at += size; /* most records there are: any octets are an address */
        return NULL;
    }
    const char *fault = compressible ? names_fault(w, *at, *at + size)
                                     : rdata_fault(rrset->type, rrset->block + *at, size);
    *at += size;
    return fault;
}

static const char *check_records(const struct rrset *rrset, const struct rrset_check_owner *owner)
{
    bool compressible = rrtype_compressible(rrset->type).count > 0;
    struct walk w;
    w.rrset = rrset;
    w.owner = owner;
    w.patches = rrset_patch_table(rrset);
    w.patches_met = 0;
    if (compressible) {
        memset(w.starts, 0, sizeof w.starts);
    }
    size_t at = 0;
    unsigned covered = 0;
    for (unsigned i = 0; i < rrset->count; i++) {
        const uint8_t *record = rrset->block + at;
        const char *fault = check_record(&w, &at, compressible);
        if (fault != NULL) {
            return fault;
        }
        if (rrset->type == RRTYPE_RRSIG) {
            unsigned type = wire_get_u16(record + RECORD_HEAD);
            if (type < covered) {
                return "signatures out of order";
            }
            covered = type;
        }
    }
    if (at != rrset->block_size) {
        return "octets after an RRset's last record";
    }
    return w.patches_met == rrset->patches ? NULL : "a patch where no name is compressed";
}

/* Whether it is one A or AAAA record and nothing else, as most are: any octets are an address. */
static bool is_address(const struct rrset *rrset)
{
    unsigned octets = rrset->type == RRTYPE_A ? 4 : 16;
    return (rrset->type == RRTYPE_A || rrset->type == RRTYPE_AAAA) && rrset->count == 1 &&
           rrset->block_size == RECORD_HEAD + octets && rrset->patches == 0 &&
           rrset->targets == 0 && wire_get_u16(rrset->block + 2) == rrset->type &&
           wire_get_u16(rrset->block + 4) == CLASS_IN && wire_get_u16(rrset->block + 10) == octets;
}

const char *rrset_check(const struct rrset *rrset, size_t room,
                        const struct rrset_check_owner *owner)
{
    /* The head first, then sizes that the head claims, then what it says lies within them. */
    if (room < offsetof(struct rrset, block) || rrset->block_size > room ||
        rrset_span(rrset) > room) {
        return "an RRset ends outside its node";
    }
    if (is_address(rrset)) {
        return NULL;
    }
    /* So that positions fit 16 bits, and an answer can hold it: as zone_build wants it. */
    if ((size_t)MESSAGE_HEADER + owner->size + 4 + rrset->block_size > MESSAGE_MAX) {
        return "an RRset is too large for a message";
    }
    bool single =
        rrset->type == RRTYPE_CNAME || rrset->type == RRTYPE_DNAME || rrset->type == RRTYPE_SOA;
    if (rrset->count == 0 || (single && rrset->count > 1)) {
        return "an RRset has too few or too many records";
    }
    if (rrset->targets > 0 && rrtype_target(rrset->type) < 0) {
        return "targets of a type that has none";
    }
    return check_records(rrset, owner);
}

bool rrset_is_negative_soa(const struct rrset *negative, const struct rrset *soa)
{
    const size_t ttl_at = offsetof(struct rrset, block) + 6, rest = ttl_at + 4;
    uint32_t minimum = wire_get_u32(soa->block + soa->block_size - 4);
    uint32_t ttl = rrset_ttl(soa);
    return memcmp(negative, soa, ttl_at) == 0 &&
           rrset_ttl(negative) == (minimum < ttl ? minimum : ttl) &&
           memcmp((const uint8_t *)negative + rest, (const uint8_t *)soa + rest,
                  rrset_span(soa) - rest) == 0;
}

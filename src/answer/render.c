/*
 * An RRset's block is copied whole and its pointers are set: see struct rrset. The owner of every
 * item is the end of a name that stands in the message already, so nothing is searched.
 *
 * Pointers reach 16 KiB. Past that, which only long answers over TCP come to, records are written
 * the plain way, with every name in full.
 */
#include "answer/render.h"

#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

enum {
    POINTER_MAX = 0x3fff,
    /* An owner up to here has all its labels within reach; a block up to here all its positions
     * that are pointed to. */
    OWNER_REACH = POINTER_MAX - NAME_MAX_OCTETS,
    BLOCK_REACH = POINTER_MAX - RRSET_REACH,
    OPT_FIXED = 11,
    OPTION_HEAD = 4,
    EDE_TEXT_MAX = 64,
    TSIG_ERROR_BADKEY = 17,
};

struct renderer {
    const struct plan *plan;
    uint8_t *out;
    size_t pos;
    size_t limit; /* where records must end: OPT and TSIG come after */
};

/* The position of the last `want` octets of the name at `at`, which has `size` octets in all. */
static size_t find_end(const uint8_t *out, size_t at, size_t size, size_t want)
{
    while (size > want || out[at] >= 0xc0) {
        if (out[at] >= 0xc0) {
            at = wire_get_u16(out + at) & POINTER_MAX;
        } else {
            size -= 1u + out[at];
            at += 1u + out[at];
        }
    }
    return at;
}

/* Where the name at an item's place begins; 0 where the item that holds it was left out. */
static size_t place_position(const struct renderer *r, const struct plan_place *place)
{
    if (place->base == PLAN_QNAME) {
        return MESSAGE_HEADER;
    }
    const struct plan_item *base = &r->plan->items[place->base];
    return base->start != 0 ? (size_t)base->start + place->position : 0;
}

/* Copies the block to where it stands now and sets its pointers. */
static void write_block(struct renderer *r, const struct plan_item *item, size_t owner)
{
    const struct rrset *rrset = item->rrset;
    uint8_t *block = r->out + r->pos;
    memcpy(block, rrset->block, rrset->block_size);

    uint16_t pointer = (uint16_t)(0xc000u | owner);
    wire_put_u16(block, pointer);
    size_t record = 0;
    for (unsigned i = 1; i < rrset->count; i++) {
        record += RECORD_HEAD + wire_get_u16(rrset->block + record + 10);
        wire_put_u16(block + record, pointer);
    }
    const uint16_t *patch = rrset_patch_table(rrset);
    for (unsigned i = 0; i < rrset->patches; i++) {
        uint8_t *at = block + patch[i];
        size_t value = wire_get_u16(at) & POINTER_MAX;
        size_t target = value < 256 ? find_end(r->out, owner, item->owner_size, value)
                                    : r->pos + value - 256;
        wire_put_u16(at, (uint16_t)(0xc000u | target));
    }
    r->pos += rrset->block_size;
}

/* The whole name whose last `size` octets stand at `at`, without pointers. */
static void copy_name(const uint8_t *out, size_t at, uint8_t *name)
{
    for (;;) {
        at = find_end(out, at, 0, 0);
        size_t step = 1u + out[at];
        memcpy(name, out + at, step);
        if (step == 1) {
            return;
        }
        name += step;
        at += step;
    }
}

/* Sets the owner of each record in a run of them. */
static void point_owners(uint8_t *records, size_t size, uint16_t pointer)
{
    for (size_t at = 0; at < size; at += RECORD_HEAD + (size_t)wire_get_u16(records + at + 10)) {
        wire_put_u16(records + at, pointer);
    }
}

/* The owner of an item in full, which ends with the name at `owner`; returns its octets. */
static size_t plain_owner(const struct renderer *r, const struct plan_item *item, size_t owner,
                          uint8_t *name)
{
    if (item->prefix_size > 0) {
        memcpy(name, item->prefix, item->prefix_size);
    }
    copy_name(r->out, owner, name + item->prefix_size);
    return (size_t)item->prefix_size + item->owner_size;
}

/* The RRSIG records, with their owner in full, for which there is room. */
static void write_signatures_plain(struct renderer *r, const struct plan_item *item,
                                   const uint8_t *name, size_t name_octets)
{
    for (size_t at = 0; at < item->signatures_size;) {
        size_t size = RECORD_HEAD + (size_t)wire_get_u16(item->signatures + at + 10);
        memcpy(r->out + r->pos, name, name_octets);
        memcpy(r->out + r->pos + name_octets, item->signatures + at + 2, size - 2);
        r->pos += name_octets + size - 2;
        at += size;
    }
}

/* Every record with its names in full. False, and nothing written, where there is no room. */
static bool write_plain(struct renderer *r, const struct plan_item *item, size_t owner)
{
    uint8_t name[NAME_MAX_OCTETS];
    size_t name_octets = plain_owner(r, item, owner, name);
    size_t signatures = item->signatures_size + item->signatures_count * name_octets;
    if (signatures > r->limit - r->pos) {
        return false;
    }
    size_t start = r->pos;
    size_t position = 0;
    /* RDATA in full is at most this longer than it stands in the block. */
    size_t longer = (size_t)rrtype_compressible(item->rrset->type).count * NAME_MAX_OCTETS;
    while (position < item->rrset->block_size) {
        const uint8_t *head = item->rrset->block + position;
        size_t fixed = name_octets + RECORD_HEAD - 2;
        size_t most = fixed + wire_get_u16(head + 10) + longer;
        if (most > r->limit - r->pos - signatures) {
            r->pos = start;
            return false;
        }
        uint8_t *p = r->out + r->pos;
        memcpy(p, name, name_octets);
        p += name_octets;
        memcpy(p, head + 2, RECORD_HEAD - 4);
        int size = rrset_rdata(item->rrset, name, &position, p + RECORD_HEAD - 2);
        wire_put_u16(p + RECORD_HEAD - 4, (uint16_t)size);
        r->pos += fixed + (size_t)size;
        if (signatures > r->limit - r->pos) {
            r->pos = start;
            return false;
        }
    }
    write_signatures_plain(r, item, name, name_octets);
    return true;
}

/* The RRset's block and its signatures, for which there is room, pointing to their owner. */
static void write_pointing(struct renderer *r, struct plan_item *item, size_t owner)
{
    size_t start = r->pos;
    if (item->prefix_size > 0) {
        memcpy(r->out + r->pos, item->prefix, item->prefix_size);
        r->pos += item->prefix_size;
    }
    item->start = (uint16_t)r->pos;
    write_block(r, item, owner);
    if (item->signatures_size > 0) {
        uint16_t pointer = (uint16_t)(0xc000u | (item->prefix_size > 0 ? start : owner));
        memcpy(r->out + r->pos, item->signatures, item->signatures_size);
        point_owners(r->out + r->pos, item->signatures_size, pointer);
        r->pos += item->signatures_size;
    }
}

/* One item; false, and nothing written, where it does not fit. */
static bool write_item(struct renderer *r, struct plan_item *item)
{
    item->start = 0;
    size_t place = place_position(r, &item->place);
    if (place == 0) {
        return false;
    }
    size_t owner = item->place.base == PLAN_QNAME
                       ? place + item->place.size - item->owner_size
                       : find_end(r->out, place, item->place.size, item->owner_size);
    bool pointed = item->rrset->patches > 0 || item->prefix_size > 0; /* into the item itself */
    if (owner > OWNER_REACH || (pointed && r->pos > BLOCK_REACH)) {
        return write_plain(r, item, owner);
    }
    size_t size = item->rrset->block_size + item->signatures_size + item->prefix_size;
    if (size > r->limit - r->pos) {
        return false;
    }
    write_pointing(r, item, owner);
    return true;
}

static unsigned item_records(const struct plan_item *item)
{
    return item->rrset->count + (unsigned)item->signatures_count;
}

/* Sections in order. Fills in how many records each got; returns whether TC is due. */
static bool write_items(struct renderer *r, struct plan *plan, uint16_t counts[3])
{
    struct plan_item *item = plan->items;
    const uint16_t sizes[2] = {plan->answer, plan->authority};
    for (unsigned section = 0; section < 2; section++) {
        for (unsigned i = 0; i < sizes[section]; i++, item++) {
            if (!write_item(r, item)) {
                return true;
            }
            counts[section] = (uint16_t)(counts[section] + item_records(item));
        }
    }
    for (unsigned i = 0; i < plan->additional; i++, item++) {
        if (write_item(r, item)) {
            counts[2] = (uint16_t)(counts[2] + item_records(item));
        } else if (item->required) {
            return true;
        }
    }
    return false;
}

static size_t ede_text_size(const struct render_edns *edns)
{
    return edns->ede_text != NULL ? strnlen(edns->ede_text, EDE_TEXT_MAX) : 0;
}

size_t render_opt_size(const struct render_edns *edns, int ede)
{
    size_t size = OPT_FIXED;
    size += edns->nsid_size > 0 ? OPTION_HEAD + (size_t)edns->nsid_size : 0;
    size += edns->cookie_size > 0 ? OPTION_HEAD + (size_t)edns->cookie_size : 0;
    size += edns->keepalive >= 0 ? OPTION_HEAD + 2u : 0;
    size += ede != EDE_NONE ? OPTION_HEAD + 2u + ede_text_size(edns) : 0;
    return size;
}

/* An option's head, and then its data. Returns where the next one goes. */
static uint8_t *put_option(uint8_t *at, uint16_t code, const void *data, size_t size)
{
    wire_put_u16(at, code);
    wire_put_u16(at + 2, (uint16_t)size);
    memcpy(at + OPTION_HEAD, data, size);
    return at + OPTION_HEAD + size;
}

static void put_options(uint8_t *at, const struct render_edns *edns, int ede)
{
    if (edns->nsid_size > 0) {
        at = put_option(at, EDNS_NSID, edns->nsid, edns->nsid_size);
    }
    if (edns->cookie_size > 0) {
        at = put_option(at, EDNS_COOKIE, edns->cookie, edns->cookie_size);
    }
    if (edns->keepalive >= 0) {
        uint8_t timeout[2];
        wire_put_u16(timeout, (uint16_t)edns->keepalive);
        at = put_option(at, EDNS_KEEPALIVE, timeout, sizeof timeout);
    }
    if (ede != EDE_NONE) {
        uint8_t code[2 + EDE_TEXT_MAX];
        size_t text = ede_text_size(edns);
        wire_put_u16(code, (uint16_t)ede);
        if (text > 0) {
            memcpy(code + 2, edns->ede_text, text);
        }
        put_option(at, EDNS_EDE, code, 2 + text);
    }
}

void render_opt(struct wire_writer *w, const struct render_edns *edns, uint16_t rcode,
                uint16_t flags, int ede)
{
    size_t size = render_opt_size(edns, ede), before = w->pos;
    uint8_t *opt = wire_write_room(w, size);
    if (opt == NULL) {
        wire_writer_rewind(w, before);
        return;
    }
    opt[0] = 0;
    wire_put_u16(opt + 1, RRTYPE_OPT);
    wire_put_u16(opt + 3, edns->udp_size);
    wire_put_u32(opt + 5, (uint32_t)(rcode >> 4) << 24 | flags);
    wire_put_u16(opt + 9, (uint16_t)(size - OPT_FIXED));
    if (size > OPT_FIXED) {
        put_options(opt + OPT_FIXED, edns, ede);
    }
}

/* The flags of EDNS that come back. */
static uint16_t echoed_flags(const struct query *q, const struct plan *plan)
{
    return (uint16_t)(q->edns_flags & (EDNS_DO | (plan->co ? EDNS_CO : 0u)));
}

/* Octets of the TSIG that answers the query's, 0 where it had none. With the longest names it does
 * not fit 512 octets: then the answer goes without. */
static size_t tsig_size(const struct query *q)
{
    if (q->tsig_name == NULL) {
        return 0;
    }
    return name_size(q->tsig_name) + RECORD_HEAD - 2 + name_size(q->tsig_rdata) + 16;
}

/* Key unknown: error BADKEY, no MAC; key, algorithm and time as in the query. */
static void write_tsig(struct wire_writer *w, const struct query *q)
{
    size_t algorithm = name_size(q->tsig_rdata);
    wire_write_octets(w, q->tsig_name, name_size(q->tsig_name));
    wire_write_u16(w, RRTYPE_TSIG);
    wire_write_u16(w, CLASS_ANY);
    wire_write_u32(w, 0);
    wire_write_u16(w, (uint16_t)(algorithm + 16));
    wire_write_octets(w, q->tsig_rdata, algorithm + 8); /* algorithm, time signed, fudge */
    wire_write_u16(w, 0);                               /* MAC size */
    wire_write_u16(w, q->id);
    wire_write_u16(w, TSIG_ERROR_BADKEY);
    wire_write_u16(w, 0); /* other data */
}

static uint16_t answer_flags(const struct query *q, const struct plan *plan, bool truncated)
{
    unsigned flags = FLAG_QR | (q->flags & (FLAG_OPCODE_MASK | FLAG_RD | FLAG_CD));
    flags |= plan->aa ? FLAG_AA : 0u;
    flags |= truncated ? FLAG_TC : 0u;
    return (uint16_t)(flags | (plan->rcode & 0xfu));
}

struct render_result render(const struct query *q, struct plan *plan,
                            const struct render_edns *edns, uint8_t *out, size_t size)
{
    struct renderer r = {.plan = plan, .out = out, .pos = MESSAGE_HEADER};
    if (q->has_question) {
        r.pos += (size_t)q->qname_size + 4;
    }
    size_t tail = q->has_edns ? render_opt_size(edns, plan->ede) : 0;
    if (size > MESSAGE_MAX) {
        size = MESSAGE_MAX;
    }
    size_t tsig = tsig_size(q);
    bool says_tsig = tsig > 0 && r.pos + tail + tsig <= size;
    tail += says_tsig ? tsig : 0;
    if (size < r.pos + tail) {
        return (struct render_result){0};
    }
    r.limit = size - tail;
    memcpy(out + MESSAGE_HEADER, q->message + MESSAGE_HEADER, r.pos - MESSAGE_HEADER);

    uint16_t counts[3] = {0};
    bool truncated = plan->truncate || write_items(&r, plan, counts);

    struct wire_writer w = wire_writer_init(out, size);
    w.pos = r.pos;
    if (q->has_edns) {
        render_opt(&w, edns, plan->rcode, echoed_flags(q, plan), plan->ede);
        counts[2]++;
    }
    if (says_tsig) {
        write_tsig(&w, q);
        counts[2]++;
    }
    wire_put_u16(out, q->id);
    wire_put_u16(out + 2, answer_flags(q, plan, truncated));
    wire_put_u16(out + 4, q->has_question ? 1 : 0);
    for (unsigned i = 0; i < 3; i++) {
        wire_put_u16(out + 6 + 2 * i, counts[i]);
    }
    return (struct render_result){w.pos, truncated};
}

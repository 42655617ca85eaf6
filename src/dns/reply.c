/*
 * One pass over the message. Each record's owner and the names in RDATA that may be compressed are
 * followed to their end, since what is passed on to clients should not be what upsets them; all
 * else in RDATA is left to those who asked for it.
 */
#include "dns/reply.h"

#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

enum {
    TTL_MOST = 0x7fffffff,
    RECORD_FIXED = 10, /* octets of type, class, TTL and RDLENGTH */
    /* Pointers of one name: as many as it can have labels, and one for the root. Without an end to
     * pointers that point at pointers a message could cost the square of its size. */
    POINTERS_MAX = NAME_MAX_LABELS + 1,
};

enum outcome {
    WHOLE,
    CUT, /* the message ends before what was to be read: a fault, unless TC is set */
    WRONG,
};

struct walk {
    const uint8_t *message;
    size_t size, pos;
    uint16_t qname_size; /* 0: no question */
    /* Where the last compressed name pointed to, and the octets of the name there: those of an
     * RRset all point to the same. */
    size_t known_target;
    size_t known_octets;
};

struct record {
    size_t start, rdata;
    bool root; /* the owner is the root, uncompressed */
    uint16_t type, class, rdata_size;
    uint32_t ttl;
};

static uint32_t ttl_of(uint32_t ttl)
{
    return ttl <= TTL_MOST ? ttl : 0;
}

/*
 * Octets of the name that a pointer leads to, 0 where there is none. Each part of it must end
 * before the part that points to it begins, at limit: one that goes on over what came later would
 * be cut where the message or the body is.
 */
static size_t follow(struct walk *w, size_t target, size_t limit)
{
    if (target >= limit || target < MESSAGE_HEADER) {
        return 0;
    }
    if (target == MESSAGE_HEADER && w->qname_size > 0) {
        return w->qname_size;
    }
    if (target == w->known_target) {
        return w->known_octets;
    }
    size_t start = target, pos = target, octets = 0;
    unsigned pointers = 1;
    while (pos < limit) {
        uint8_t length = w->message[pos];
        if (length >= 0xc0) {
            size_t next = wire_get_u16(w->message + pos) & 0x3fff;
            if (pos + 2 > limit || next >= start || next < MESSAGE_HEADER ||
                ++pointers > POINTERS_MAX) {
                return 0;
            }
            limit = start;
            start = pos = next;
            continue;
        }
        octets += 1u + length;
        if (length > NAME_MAX_LABEL || octets > NAME_MAX_OCTETS) {
            return 0;
        }
        if (length == 0) {
            w->known_target = target;
            w->known_octets = octets;
            return octets;
        }
        pos += 1u + length;
    }
    return 0;
}

/* Goes past the name at w->pos, which must end by `end`. */
static enum outcome read_name(struct walk *w, size_t end)
{
    size_t start = w->pos, pos = start;
    for (;;) {
        if (pos >= end) {
            return CUT;
        }
        uint8_t length = w->message[pos];
        if (length >= 0xc0) {
            if (end - pos < 2) {
                return CUT;
            }
            size_t rest = follow(w, wire_get_u16(w->message + pos) & 0x3fff, start);
            w->pos = pos + 2;
            return rest > 0 && pos - start + rest <= NAME_MAX_OCTETS ? WHOLE : WRONG;
        }
        pos += 1u + length;
        if (length > NAME_MAX_LABEL || pos - start > NAME_MAX_OCTETS) {
            return WRONG;
        }
        if (length == 0) {
            w->pos = pos;
            return WHOLE;
        }
    }
}

/* The names in RDATA, where there are some that may be compressed. */
static bool check_rdata(struct walk *w, const struct record *record)
{
    struct rrtype_names names = rrtype_compressible(record->type);
    size_t end = record->rdata + record->rdata_size;
    if (names.count == 0) {
        return true;
    }
    if (record->rdata_size < names.prefix) {
        return false;
    }
    w->pos = record->rdata + names.prefix;
    for (unsigned i = 0; i < names.count; i++) {
        if (read_name(w, end) != WHOLE) {
            return false;
        }
    }
    /* SOA: five numbers */
    return record->type == RRTYPE_SOA ? end - w->pos == 20 : end == w->pos;
}

static enum outcome read_record(struct walk *w, struct record *record)
{
    record->start = w->pos;
    enum outcome outcome = read_name(w, w->size);
    if (outcome != WHOLE) {
        return outcome;
    }
    if (w->size - w->pos < RECORD_FIXED) {
        return CUT;
    }
    const uint8_t *fixed = w->message + w->pos;
    record->root = w->pos == record->start + 1;
    record->type = wire_get_u16(fixed);
    record->class = wire_get_u16(fixed + 2);
    record->ttl = wire_get_u32(fixed + 4);
    record->rdata_size = wire_get_u16(fixed + 8);
    record->rdata = w->pos + RECORD_FIXED;
    if (w->size - record->rdata < record->rdata_size) {
        return CUT;
    }
    if (!check_rdata(w, record)) {
        return WRONG;
    }
    w->pos = record->rdata + record->rdata_size;
    return WHOLE;
}

static enum outcome read_question(struct walk *w, struct reply *r)
{
    size_t size = 0, left = w->size - MESSAGE_HEADER;
    const uint8_t *name = w->message + MESSAGE_HEADER;
    for (uint8_t length = 1; length != 0; size += 1u + length) {
        if (size >= left) {
            return CUT;
        }
        length = name[size];
        if (length > NAME_MAX_LABEL || size + 1 + length > NAME_MAX_OCTETS) {
            return WRONG;
        }
    }
    if (left < size + 4) {
        return CUT;
    }
    r->has_question = true;
    r->qname_size = w->qname_size = (uint16_t)size;
    r->qtype = wire_get_u16(name + size);
    r->qclass = wire_get_u16(name + size + 2);
    w->pos += size + 4;
    return WHOLE;
}

static bool read_options(const uint8_t *rdata, size_t size, struct reply *r)
{
    struct wire_reader reader = wire_reader_init(rdata, size);
    while (wire_reader_left(&reader) > 0) {
        uint16_t code = wire_read_u16(&reader);
        uint16_t length = wire_read_u16(&reader);
        const uint8_t *data = wire_read_octets(&reader, length);
        if (reader.failed) {
            return false;
        }
        if (code == EDNS_COOKIE) {
            if (length != 8 && (length < 16 || length > 40)) {
                return false;
            }
            if (r->cookie_size == 0) {
                r->cookie = data;
                r->cookie_size = (uint8_t)length;
            }
        } else if (code == EDNS_EDE) {
            if (length < 2) {
                return false;
            }
            if (r->ede == EDE_NONE) {
                r->ede = wire_get_u16(data);
            }
        }
    }
    return true;
}

static bool read_opt(const uint8_t *message, const struct record *record, struct reply *r)
{
    if (r->has_edns || !record->root) {
        return false;
    }
    r->has_edns = true;
    r->edns_size = record->class < MESSAGE_UDP_MIN ? MESSAGE_UDP_MIN : record->class;
    r->edns_flags = (uint16_t)record->ttl;
    r->rcode = (uint16_t)(r->rcode | (record->ttl >> 24) << 4);
    if ((record->ttl >> 16 & 0xff) != 0) { /* options of a version unknown to us */
        return true;
    }
    return read_options(message + record->rdata, record->rdata_size, r);
}

/* The lesser of an SOA's TTL and its minimum, the last number. */
static uint32_t negative_ttl(const uint8_t *message, const struct record *record)
{
    uint32_t ttl = ttl_of(record->ttl);
    uint32_t minimum = ttl_of(wire_get_u32(message + record->rdata + record->rdata_size - 4));
    return ttl < minimum ? ttl : minimum;
}

/* What a record of the body means for the whole; *kind becomes REPLY_POSITIVE where it answers. */
static void note_record(const struct walk *w, const struct record *record, unsigned section,
                        struct reply *r, enum reply_kind *kind)
{
    uint32_t ttl = ttl_of(record->ttl);
    r->counts[section]++;
    r->records++;
    if (record->ttl > r->ttl_most) {
        r->ttl_most = record->ttl;
    }
    if (ttl < r->ttl) {
        r->ttl = ttl;
    }
    if (section == 0 && (record->type == r->qtype || r->qtype == RRTYPE_ANY)) {
        *kind = REPLY_POSITIVE;
    }
    if (section == 1 && record->type == RRTYPE_SOA && !r->has_soa) {
        r->has_soa = true;
        r->negative_ttl = negative_ttl(w->message, record);
    }
}

/* All sections, until w is at the end or something was WRONG or CUT. */
static enum outcome read_sections(struct walk *w, struct reply *r, enum reply_kind *kind)
{
    for (unsigned section = 0; section < 3; section++) {
        unsigned count = wire_get_u16(w->message + 6 + (size_t)2 * section);
        for (unsigned i = 0; i < count; i++) {
            struct record record;
            enum outcome outcome = read_record(w, &record);
            if (outcome != WHOLE) {
                return outcome;
            }
            if (record.type == RRTYPE_OPT) {
                if (section != 2 || !read_opt(w->message, &record, r)) {
                    return WRONG;
                }
            } else if (!r->has_edns) {
                note_record(w, &record, section, r, kind);
                r->body_size = w->pos - r->body;
            }
        }
    }
    return w->pos == w->size ? WHOLE : WRONG;
}

/* A chain that ends in a CNAME, without the SOA that denies what would follow, only says that
 * its end is elsewhere (authoritative servers answer so): it denies nothing. */
static enum reply_kind kind_of(const struct reply *r, enum reply_kind answers)
{
    if (r->rcode == RCODE_NXDOMAIN) {
        return REPLY_NXDOMAIN;
    }
    if (r->rcode != RCODE_NOERROR || (r->counts[0] > 0 && !r->has_soa)) {
        return REPLY_POSITIVE;
    }
    return answers;
}

bool reply_parse(const uint8_t *message, size_t size, struct reply *r)
{
    *r = (struct reply){.message = message, .size = size, .ede = EDE_NONE, .ttl = UINT32_MAX};
    if (size < MESSAGE_HEADER) {
        return false;
    }
    r->id = wire_get_u16(message);
    r->flags = wire_get_u16(message + 2);
    r->rcode = r->flags & 0xf;
    unsigned questions = wire_get_u16(message + 4);
    if ((r->flags & (FLAG_QR | FLAG_OPCODE_MASK)) != FLAG_QR || questions > 1) {
        return false;
    }
    struct walk w = {.message = message, .size = size, .pos = MESSAGE_HEADER};
    enum outcome outcome = questions == 1 ? read_question(&w, r) : WHOLE;
    enum reply_kind answers = REPLY_NODATA;
    r->body = w.pos;
    if (outcome == WHOLE) {
        outcome = read_sections(&w, r, &answers);
    }
    r->kind = kind_of(r, answers);
    return outcome == WHOLE || (outcome == CUT && (r->flags & FLAG_TC) != 0);
}

/* Behind the name at pos, known to be whole. */
static size_t skip_name(const uint8_t *message, size_t pos)
{
    while (message[pos] != 0) {
        if (message[pos] >= 0xc0) {
            return pos + 2;
        }
        pos += 1u + message[pos];
    }
    return pos + 1;
}

bool reply_ttls(const struct reply *r, uint16_t *offsets)
{
    if (r->records > REPLY_RECORDS_MAX) {
        return false;
    }
    size_t pos = r->body;
    for (uint32_t i = 0; i < r->records; i++) {
        pos = skip_name(r->message, pos);
        offsets[i] = (uint16_t)(pos + 4 - r->body);
        pos += RECORD_FIXED + wire_get_u16(r->message + pos + 8);
    }
    return true;
}

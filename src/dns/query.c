/*
 * The order of checks: what can't be a query is dropped; a header alone decides opcode faults;
 * then the question; then the other sections, of which only additional may have records; then
 * EDNS. A fault found late still has what was read before it, so that the answer can echo the
 * question and carry an OPT.
 */
#include "dns/query.h"

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"

enum { ROOT_RECORD = 11 }; /* octets of a record of the root's before its RDATA */

static enum query_status fail(struct query *q, uint16_t rcode, enum ede ede)
{
    q->rcode = rcode;
    q->ede = (int16_t)ede;
    return QUERY_ERROR;
}

/* The question at r; false where it can't be read (or is compressed). starts: of its labels, and room
 * for the one that would be too many. */
static bool read_question(struct wire_reader *r, struct query *q,
                          uint8_t starts[NAME_MAX_LABELS + 1])
{
    const uint8_t *name = r->data + r->pos;
    size_t left = wire_reader_left(r);
    size_t pos = 0;
    unsigned labels = 0;
    for (;;) {
        if (pos >= left || pos >= NAME_MAX_OCTETS) {
            return false;
        }
        uint8_t length = name[pos];
        if (length == 0) {
            pos++;
            break;
        }
        if (length > NAME_MAX_LABEL) {
            return false;
        }
        starts[labels++] = (uint8_t)pos;
        pos += 1u + length;
    }
    if (pos > NAME_MAX_OCTETS || left < pos + 4) {
        return false;
    }
    q->qname_size = (uint16_t)pos;
    q->labels = (uint8_t)labels;
    q->qtype = wire_get_u16(name + pos);
    q->qclass = wire_get_u16(name + pos + 2);
    r->pos += pos + 4;
    q->has_question = true;
    return true;
}

static bool cookie_size_valid(size_t size)
{
    return size == 8 || (size >= 16 && size <= 40);
}

/* Options of an OPT; false where one has a bad length. */
static bool read_options(const uint8_t *rdata, size_t size, struct query *q)
{
    struct wire_reader r = wire_reader_init(rdata, size);
    while (wire_reader_left(&r) > 0) {
        uint16_t code = wire_read_u16(&r);
        uint16_t length = wire_read_u16(&r);
        const uint8_t *data = wire_read_octets(&r, length);
        if (r.failed) {
            return false;
        }
        switch (code) {
        case EDNS_NSID:
            q->nsid = true;
            break;
        case EDNS_COOKIE:
            if (!cookie_size_valid(length)) {
                return false;
            }
            if (q->cookie_size == 0) { /* RFC 7873 section 5.2: only the first counts */
                q->cookie = data;
                q->cookie_size = (uint8_t)length;
            }
            break;
        case EDNS_KEEPALIVE:
            if (length != 0) { /* RFC 7828 section 3.2.1: clients send it empty */
                return false;
            }
            q->keepalive = true;
            break;
        case EDNS_LOOP:
            q->loop = length == 8 ? data : NULL;
            break;
        default:
            break;
        }
    }
    return true;
}

/* A TSIG, whole and uncompressed; what it says is not looked at: there are no keys here. */
static bool read_tsig(const uint8_t *name, size_t left, const uint8_t *rdata, size_t size,
                      struct query *q)
{
    size_t algorithm = name_check(rdata, size);
    if (name_check(name, left) == 0 || algorithm == 0 || size - algorithm < 16) {
        return false;
    }
    q->tsig_name = name;
    q->tsig_rdata = rdata;
    return true;
}

/* A record behind the question, unread but for its fixed part. */
struct raw_record {
    const uint8_t *owner; /* maybe compressed */
    bool root;            /* the owner is the root */
    uint16_t type, class;
    uint32_t ttl;
    const uint8_t *rdata;
    uint16_t size;
};

/* One that belongs to the root, as OPT does, and is whole. */
static inline bool read_root_record(struct wire_reader *r, struct raw_record *record)
{
    const uint8_t *at = r->data + r->pos;
    size_t left = wire_reader_left(r);
    if (r->failed || left < ROOT_RECORD || at[0] != 0 ||
        left - ROOT_RECORD < wire_get_u16(at + 9)) {
        return false;
    }
    record->owner = at;
    record->root = true;
    record->type = wire_get_u16(at + 1);
    record->class = wire_get_u16(at + 3);
    record->ttl = wire_get_u32(at + 5);
    record->size = wire_get_u16(at + 9);
    record->rdata = at + ROOT_RECORD;
    r->pos += ROOT_RECORD + (size_t)record->size;
    return true;
}

static void read_any_record(struct wire_reader *r, struct raw_record *record)
{
    size_t start = r->pos;
    record->owner = r->data + start;
    for (;;) {
        uint8_t length = wire_read_u8(r);
        if (length >= 0xc0) {
            wire_read_u8(r);
            break;
        }
        if (length > NAME_MAX_LABEL) {
            r->failed = true;
        }
        if (length == 0 || wire_read_octets(r, length) == NULL) {
            break;
        }
    }
    record->root = r->pos == start + 1 && !r->failed; /* nothing but the octet that ends it */
    record->type = wire_read_u16(r);
    record->class = wire_read_u16(r);
    record->ttl = wire_read_u32(r);
    record->size = wire_read_u16(r);
    record->rdata = wire_read_octets(r, record->size);
}

/*
 * The record at r; r->failed where it is not whole. (Returned as a value it would be read in larger
 * pieces than it was written in, which processors wait for: a tenth of the user time of a query
 * with an OPT.)
 */
static inline void read_record(struct wire_reader *r, struct raw_record *record)
{
    if (!read_root_record(r, record)) {
        read_any_record(r, record);
    }
}

/* One record of the additional section, at r. */
static bool read_additional(struct wire_reader *r, struct query *q)
{
    struct raw_record record;
    read_record(r, &record);
    if (r->failed || q->tsig_name != NULL) { /* nothing may follow a TSIG (RFC 8945 section 5.1) */
        return false;
    }
    if (record.type == RRTYPE_TSIG) {
        size_t left = (size_t)(r->data + r->size - record.owner);
        return read_tsig(record.owner, left, record.rdata, record.size, q);
    }
    if (record.type != RRTYPE_OPT) {
        return true;
    }
    if (q->has_edns || !record.root) {
        return false;
    }
    q->has_edns = true;
    q->edns_size = record.class < MESSAGE_UDP_MIN ? MESSAGE_UDP_MIN : record.class;
    q->edns_flags = (uint16_t)record.ttl;
    if ((record.ttl >> 16 & 0xff) != 0) {
        q->rcode = RCODE_BADVERS; /* options of a version unknown to us are not read */
        return true;
    }
    return read_options(record.rdata, record.size, q);
}

/*
 * A message that is refused whatever else it says: all that is still wanted of it is its OPT, since
 * an answer to one must have one (RFC 6891 section 6.1.1).
 */
static void find_opt(struct wire_reader *r, unsigned before, unsigned additional, struct query *q)
{
    struct raw_record record;
    while (before-- > 0 && !r->failed) {
        read_record(r, &record);
    }
    while (additional-- > 0 && !r->failed && read_additional(r, q)) {
    }
    q->tsig_name = NULL;
}

/* Types that are no question for data: which RCODE, or NOERROR for those that are. */
static uint16_t refused_qtype(uint16_t type)
{
    switch (type) {
    case 0:
    case RRTYPE_OPT:
    case RRTYPE_TSIG:
    case RRTYPE_NXNAME:
        return RCODE_FORMERR;
    case RRTYPE_ANY:
    case RRTYPE_AXFR:
    case RRTYPE_IXFR:
        return RCODE_NOERROR;
    default:
        return rrtype_is_meta(type) ? RCODE_NOTIMP : RCODE_NOERROR;
    }
}

enum query_status query_parse(const uint8_t *message, size_t size, struct query *q)
{
    /* The key, the largest part by far, is written where it is needed; all else starts at zero. */
    memset(q, 0, offsetof(struct query, key));
    q->message = message;
    q->size = size;
    q->ede = EDE_NONE;
    if (size < MESSAGE_HEADER) {
        return QUERY_DROP;
    }
    q->id = wire_get_u16(message);
    q->flags = wire_get_u16(message + 2);
    q->opcode = (uint8_t)((q->flags & FLAG_OPCODE_MASK) >> FLAG_OPCODE_SHIFT);
    if ((q->flags & FLAG_QR) != 0) {
        return QUERY_DROP;
    }
    uint16_t questions = wire_get_u16(message + 4);
    uint16_t answers = wire_get_u16(message + 6);
    uint16_t authority = wire_get_u16(message + 8);
    uint16_t additional = wire_get_u16(message + 10);

    struct wire_reader r = wire_reader_init(message, size);
    uint8_t starts[NAME_MAX_LABELS + 1];
    r.pos = MESSAGE_HEADER;
    if (questions == 1 && !read_question(&r, q, starts)) {
        return fail(q, q->opcode == OPCODE_QUERY ? RCODE_FORMERR : RCODE_NOTIMP, EDE_NONE);
    }
    if (q->opcode != OPCODE_QUERY || questions > 1 || answers != 0 || authority != 0) {
        if (questions <= 1) {
            find_opt(&r, answers + (unsigned)authority, additional, q);
        }
        return q->opcode != OPCODE_QUERY ? fail(q, RCODE_NOTIMP, EDE_NOT_SUPPORTED)
                                         : fail(q, RCODE_FORMERR, EDE_NONE);
    }
    for (unsigned i = 0; i < additional; i++) {
        if (!read_additional(&r, q)) {
            return fail(q, RCODE_FORMERR, EDE_NONE);
        }
    }
    if (wire_reader_left(&r) > 0) {
        return fail(q, RCODE_FORMERR, EDE_NONE);
    }
    if (q->rcode == RCODE_BADVERS) {
        return fail(q, RCODE_BADVERS, EDE_NONE);
    }
    if (questions == 0) {
        return q->cookie_size > 0 ? QUERY_COOKIE : fail(q, RCODE_FORMERR, EDE_NONE);
    }
    if (q->tsig_name != NULL) {
        return fail(q, RCODE_NOTAUTH, EDE_NONE);
    }
    uint16_t rcode = refused_qtype(q->qtype);
    if (rcode != RCODE_NOERROR) {
        return fail(q, rcode,
                    q->qtype == RRTYPE_NXNAME ? EDE_INVALID_QUERY_TYPE
                    : rcode == RCODE_NOTIMP   ? EDE_NOT_SUPPORTED
                                              : EDE_NONE);
    }
    key_from_starts(query_name(q), starts, q->labels, &q->key);
    return QUERY_OK;
}

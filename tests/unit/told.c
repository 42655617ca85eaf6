#include "told.h"

#include <ldns/ldns.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "names.h"

/* --- lines --- */

static void append(struct told_lines *lines, const char *text, size_t size)
{
    if (lines->size + size + 1 > lines->room) {
        lines->room = 2 * (lines->room + size + 1);
        lines->text = realloc(lines->text, lines->room);
    }
    memcpy(lines->text + lines->size, text, size);
    lines->size += size;
    lines->text[lines->size] = '\0';
}

void told_line(struct told_lines *lines, const char *format, ...)
{
    char line[2048];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ck_assert_uint_lt((size_t)size, sizeof line);
    append(lines, line, (size_t)size);
}

/* ldns's text of a record, tabs made blanks. */
static void append_rr(struct told_lines *lines, const char *section, const ldns_rr *rr)
{
    char *text = ldns_rr2str(rr);
    for (char *p = text; *p != '\0'; p++) {
        *p = *p == '\t' ? ' ' : *p;
    }
    told_line(lines, "%s ", section);
    append(lines, text, strlen(text));
    free(text);
}

void told_record(struct told_lines *lines, const char *section, const uint8_t *owner, uint16_t type,
                 uint32_t ttl, const uint8_t *rdata, size_t size)
{
    uint8_t wire[NAME_MAX_OCTETS + 10 + 65535];
    size_t at = names_size(owner);
    memcpy(wire, owner, at);
    wire_put_u16(wire + at, type);
    wire_put_u16(wire + at + 2, CLASS_IN);
    wire_put_u32(wire + at + 4, ttl);
    wire_put_u16(wire + at + 8, (uint16_t)size);
    memcpy(wire + at + 10, rdata, size);
    ldns_rr *rr;
    size_t pos = 0;
    ck_assert_int_eq(ldns_wire2rr(&rr, wire, at + 10 + size, &pos, LDNS_SECTION_ANSWER),
                     LDNS_STATUS_OK);
    append_rr(lines, section, rr);
    ldns_rr_free(rr);
}

/* --- the message, name by name --- */

struct walk {
    const uint8_t *data;
    size_t size, pos;
    uint8_t starts[65536]; /* 1 where a label of a name begins */
};

static void need(const struct walk *w, size_t octets)
{
    if (octets > w->size - w->pos) {
        ck_abort_msg("octets missing at %zu of %zu", w->pos, w->size);
    }
}

static void walk_pointer(struct walk *w, size_t at, size_t start, bool may_point)
{
    size_t target = at + 1 < w->size ? wire_get_u16(w->data + at) & 0x3fffu : SIZE_MAX;
    if (!may_point || target >= start || w->starts[target] == 0) {
        ck_abort_msg("a pointer at %zu to %zu in a name that begins at %zu", at, target, start);
    }
}

/* Passes the name at pos and marks its labels. */
static void walk_name(struct walk *w, bool may_point)
{
    size_t start = w->pos, at = w->pos, octets = 0, end = 0;
    for (;;) {
        if (at >= w->size || octets > NAME_MAX_OCTETS) {
            ck_abort_msg("a name at %zu that has no end", w->pos);
        }
        uint8_t length = w->data[at];
        if (length >= 0xc0) {
            walk_pointer(w, at, start, may_point);
            end = end != 0 ? end : at + 2;
            start = at = wire_get_u16(w->data + at) & 0x3fffu;
            continue;
        }
        if (length > NAME_MAX_LABEL) {
            ck_abort_msg("a label of %u octets", length);
        }
        w->starts[at] = 1;
        octets += 1u + length;
        at += 1u + length;
        if (length == 0) {
            break;
        }
    }
    if (octets > NAME_MAX_OCTETS) {
        ck_abort_msg("a name of %zu octets", octets);
    }
    w->pos = end != 0 ? end : at;
}

/* Passes a record; returns its type. */
static uint16_t walk_record(struct walk *w)
{
    walk_name(w, true);
    need(w, 10);
    uint16_t type = wire_get_u16(w->data + w->pos);
    uint16_t size = wire_get_u16(w->data + w->pos + 8);
    w->pos += 10;
    need(w, size);
    size_t end = w->pos + size;
    size_t names = 0;
    switch (type) { /* RFC 3597 section 4: the types of RFC 1035 alone */
    case RRTYPE_NS:
    case RRTYPE_MD:
    case RRTYPE_MF:
    case RRTYPE_CNAME:
    case RRTYPE_MB:
    case RRTYPE_MG:
    case RRTYPE_MR:
    case RRTYPE_PTR:
        names = 1;
        break;
    case RRTYPE_SOA:
    case RRTYPE_MINFO:
        names = 2;
        break;
    case RRTYPE_MX:
        names = 1;
        w->pos += 2;
        break;
    case RRTYPE_SRV: /* a whole name, that others may point to, but no pointer in it */
        w->pos += 6;
        walk_name(w, false);
        break;
    case RRTYPE_DNAME:
        walk_name(w, false);
        break;
    case RRTYPE_SVCB:
    case RRTYPE_HTTPS:
        w->pos += 2;
        walk_name(w, false);
        break;
    default:
        break;
    }
    while (names-- > 0) {
        walk_name(w, true);
    }
    if (w->pos > end) {
        ck_abort_msg("RDATA of type %u is longer than its RDLENGTH", type);
    }
    w->pos = end;
    return type;
}

static void walk_message(const uint8_t *message, size_t size)
{
    struct walk *w = calloc(1, sizeof *w);
    *w = (struct walk){.data = message, .size = size, .pos = MESSAGE_HEADER};
    ck_assert_uint_ge(size, MESSAGE_HEADER);
    uint16_t questions = wire_get_u16(message + 4);
    ck_assert_uint_le(questions, 1);
    if (questions == 1) {
        walk_name(w, false);
        need(w, 4);
        w->pos += 4;
    }
    unsigned opts = 0;
    for (unsigned section = 1; section <= 3; section++) {
        for (unsigned n = wire_get_u16(message + 4 + 2 * section); n > 0; n--) {
            uint16_t type = walk_record(w);
            opts += type == RRTYPE_OPT;
            if ((type == RRTYPE_OPT && (section != 3 || opts > 1)) ||
                (type == RRTYPE_TSIG && (section != 3 || n > 1))) {
                ck_abort_msg("OPT or TSIG where it must not be");
            }
        }
    }
    if (w->pos != size) {
        ck_abort_msg("%zu octets after the message", size - w->pos);
    }
    free(w);
}

/* --- the text --- */

static void append_head(struct told_lines *lines, const uint8_t *message, uint16_t rcode)
{
    static const struct {
        uint16_t flag;
        const char *name;
    } flags[] = {{FLAG_QR, "qr"}, {FLAG_AA, "aa"}, {FLAG_TC, "tc"}, {FLAG_RD, "rd"},
                 {FLAG_RA, "ra"}, {0x40, "z"},     {FLAG_AD, "ad"}, {FLAG_CD, "cd"}};
    static const char *const rcodes[24] = {
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        [RCODE_NOTAUTH] = "NOTAUTH",
        [RCODE_BADVERS] = "BADVERS",
        [RCODE_BADCOOKIE] = "BADCOOKIE",
    };
    uint16_t bits = wire_get_u16(message + 2);
    ck_assert(rcode < 24 && rcodes[rcode] != NULL);
    told_line(lines, "%s", rcodes[rcode]);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        if ((bits & flags[i].flag) != 0) {
            told_line(lines, " %s", flags[i].name);
        }
    }
    unsigned opcode = (unsigned)(bits >> FLAG_OPCODE_SHIFT) & 0xfu;
    if (opcode != OPCODE_QUERY) {
        told_line(lines, " opcode %u", opcode);
    }
    told_line(lines, "\n");
}

static void append_section(struct told_lines *lines, const char *section, const ldns_rr_list *list)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        append_rr(lines, section, ldns_rr_list_rr(list, i));
    }
}

static void append_edns(struct told_lines *lines, const ldns_pkt *pkt)
{
    told_line(lines, "opt %u%s\n", ldns_pkt_edns_udp_size(pkt), ldns_pkt_edns_do(pkt) ? " do" : "");
    ck_assert_uint_eq(ldns_pkt_edns_version(pkt), 0);
    ck_assert_uint_eq(ldns_pkt_edns_z(pkt) & 0x7fff, 0);
    const ldns_rdf *options = ldns_pkt_edns_data(pkt);
    size_t size = options != NULL ? ldns_rdf_size(options) : 0;
    const uint8_t *data = options != NULL ? ldns_rdf_data(options) : NULL;
    for (size_t at = 0; at < size;) {
        ck_assert_uint_le(at + 4, size);
        uint16_t length = wire_get_u16(data + at + 2);
        told_line(lines, "option %u ", wire_get_u16(data + at));
        at += 4;
        ck_assert_uint_le(at + length, size);
        for (size_t end = at + length; at < end; at++) {
            told_line(lines, "%02x", data[at]);
        }
        told_line(lines, "\n");
    }
}

char *told_text(const uint8_t *message, size_t size)
{
    walk_message(message, size);
    ldns_pkt *pkt;
    ldns_status status = ldns_wire2pkt(&pkt, message, size);
    if (status != LDNS_STATUS_OK) {
        ck_abort_msg("ldns: %s", ldns_get_errorstr_by_id(status));
    }
    struct told_lines lines = {0};
    unsigned extended = ldns_pkt_edns_extended_rcode(pkt);
    uint16_t rcode = (uint16_t)(extended << 4 | (unsigned)ldns_pkt_get_rcode(pkt));
    append_head(&lines, message, rcode);
    append_section(&lines, "question", ldns_pkt_question(pkt));
    append_section(&lines, "answer", ldns_pkt_answer(pkt));
    append_section(&lines, "authority", ldns_pkt_authority(pkt));
    append_section(&lines, "additional", ldns_pkt_additional(pkt));
    if (ldns_pkt_edns(pkt)) {
        append_edns(&lines, pkt);
    }
    if (ldns_pkt_tsig(pkt) != NULL) {
        append_rr(&lines, "tsig", ldns_pkt_tsig(pkt));
    }
    ldns_pkt_free(pkt);
    return lines.text;
}

void told_expect(const uint8_t *message, size_t size, const char *expected)
{
    char *text = told_text(message, size);
    ck_assert_str_eq(text, expected);
    free(text);
}

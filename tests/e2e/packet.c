#include "packet.h"

#include <check.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "octets.h"

enum { OPT = 41, TSIG = 250 };

/* ---- Making queries ---- */

size_t name_wire(const char *text, uint8_t wire[PACKET_NAME_MAX])
{
    ldns_rdf *name = NULL;
    ldns_status status = ldns_str2rdf_dname(&name, text);
    ck_assert_msg(status == LDNS_STATUS_OK, "%s: %s", text, ldns_get_errorstr_by_id(status));
    size_t size = ldns_rdf_size(name);
    ck_assert_uint_le(size, PACKET_NAME_MAX);
    memcpy(wire, ldns_rdf_data(name), size);
    ldns_rdf_deep_free(name);
    return size;
}

uint16_t type_number(const char *text)
{
    if (isdigit((unsigned char)text[0])) {
        return (uint16_t)atoi(text);
    }
    if (strncmp(text, "TYPE", 4) == 0) {
        return (uint16_t)atoi(text + 4);
    }
    if (strcmp(text, "NXNAME") == 0) {
        return 128;
    }
    ldns_rr_type type = ldns_get_rr_type_by_name(text);
    if (type == 0) { /* no ck_assert here and below: cases are read before tests run */
        ck_abort_msg("%s is no type", text);
    }
    return (uint16_t)type;
}

struct query_spec query_for(const char *name, const char *type)
{
    struct query_spec query = {.type = type_number(type), .class = 1, .edns_size = 1232};
    query.name_size = name_wire(name, query.name);
    return query;
}

void query_add_option(struct query_spec *query, uint16_t code, const void *data, size_t size)
{
    if (query->options_size + 4 + size > sizeof query->options) {
        ck_abort_msg("too many options");
    }
    uint8_t *at = query->options + query->options_size;
    write16(at, code);
    write16(at + 2, (unsigned)size);
    if (size > 0) {
        memcpy(at + 4, data, size);
    }
    query->options_size += 4 + size;
    query->edns = true;
}

size_t query_write(const struct query_spec *query, uint16_t id, uint8_t *message)
{
    memset(message, 0, 12);
    write16(message, id);
    write16(message + 2, query->flags);
    write16(message + 4, 1);
    uint8_t *at = message + 12;
    memcpy(at, query->name, query->name_size);
    at += query->name_size;
    write16(at, query->type);
    write16(at + 2, query->class);
    at += 4;
    if (query->edns) {
        write16(message + 10, 1);
        *at = 0;
        write16(at + 1, OPT);
        write16(at + 3, query->edns_size);
        at[5] = 0;
        at[6] = query->edns_version;
        write16(at + 7, query->edns_flags);
        write16(at + 9, (unsigned)query->options_size);
        memcpy(at + 11, query->options, query->options_size);
        at += 11 + query->options_size;
    }
    return (size_t)(at - message);
}

uint16_t random_id(void)
{
    uint16_t id = 0;
    ck_assert_int_eq(getrandom(&id, sizeof id, 0), (ssize_t)sizeof id);
    return id;
}

/* ---- Reading answers ---- */

static char fault[512];

static const char *wrong(const char *format, ...) __attribute__((format(printf, 1, 2)));
static const char *wrong(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fault, sizeof fault, format, arguments);
    va_end(arguments);
    return fault;
}

/* The end of the name at `at`; 0 where it is not well formed. */
static size_t walk_name(const uint8_t *data, size_t size, size_t at)
{
    size_t end = 0, octets = 0, before = at;
    for (;;) {
        if (at >= size) {
            return 0;
        }
        uint8_t length = data[at];
        if (length >= 0xc0) {
            if (at + 2 > size) {
                return 0;
            }
            size_t target = read16(data + at) & 0x3fffu;
            end = end == 0 ? at + 2 : end;
            if (target >= before || target < 12) {
                return 0;
            }
            before = at = target;
            continue;
        }
        if (length > 63) {
            return 0;
        }
        at += 1u + length;
        octets += 1u + length;
        if (octets > PACKET_NAME_MAX || at > size) {
            return 0;
        }
        if (length == 0) {
            return end == 0 ? at : end;
        }
    }
}

static const char *walk_opt(struct packet *p, size_t owner, size_t fixed, int section)
{
    if (section != SECTION_ADDITIONAL || p->data[owner] != 0 || fixed != owner + 1) {
        return wrong("an OPT that is not the root's, or not in additional");
    }
    const uint8_t *at = p->data + fixed;
    p->opts++;
    p->edns_size = read16(at + 2);
    p->rcode = (uint16_t)(p->rcode | at[4] << 4);
    p->edns_version = at[5];
    p->edns_flags = read16(at + 6);
    p->options_size = read16(at + 8);
    p->options = at + 10;
    size_t pos = 0;
    while (pos < p->options_size) {
        if (p->options_size - pos < 4 || p->options_size - pos - 4 < read16(p->options + pos + 2)) {
            return wrong("options of the OPT do not end where it ends");
        }
        pos += 4u + read16(p->options + pos + 2);
    }
    return p->opts > 1 ? wrong("two OPT records") : NULL;
}

static const char *walk(struct packet *p)
{
    size_t at = 12;
    for (unsigned i = 0; i < p->questions; i++) {
        at = walk_name(p->data, p->size, at);
        if (at == 0 || p->size - at < 4) {
            return wrong("the question can't be read");
        }
        at += 4;
    }
    p->question_end = at;
    for (int section = 0; section < SECTIONS; section++) {
        for (unsigned i = 0; i < p->records[section]; i++) {
            size_t owner = at;
            at = walk_name(p->data, p->size, at);
            if (at == 0 || p->size - at < 10 || p->size - at - 10 < read16(p->data + at + 8)) {
                return wrong("record %u of section %d can't be read", i, section);
            }
            if (read16(p->data + at) == OPT) {
                const char *bad = walk_opt(p, owner, at, section);
                if (bad != NULL) {
                    return bad;
                }
            }
            at += 10u + read16(p->data + at + 8);
        }
    }
    return at == p->size ? NULL : wrong("%zu octets behind the last record", p->size - at);
}

const char *record_text(const ldns_rr *rr)
{
    static char *texts[4];
    static unsigned next;
    char **text = &texts[next++ % 4];
    free(*text);
    *text = ldns_rr2str(rr);
    if (*text == NULL) {
        ck_abort_msg("a record without text");
    }
    (*text)[strcspn(*text, "\n")] = '\0';
    return *text;
}

/* Signatures belong together with what they cover. */
static bool same_rrset(const ldns_rr *a, const ldns_rr *b)
{
    ldns_rr_type type = ldns_rr_get_type(a);
    if (type != ldns_rr_get_type(b) ||
        ldns_dname_compare(ldns_rr_owner(a), ldns_rr_owner(b)) != 0) {
        return false;
    }
    return type != LDNS_RR_TYPE_RRSIG ||
           ldns_rdf_compare(ldns_rr_rrsig_typecovered(a), ldns_rr_rrsig_typecovered(b)) == 0;
}

/* Of each record what is before it in the message must agree with. */
static const char *check_records(const struct packet *p)
{
    for (int section = 0; section < SECTIONS; section++) {
        const ldns_rr_list *list = packet_section(p, (enum section)section);
        size_t count = ldns_rr_list_rr_count(list);
        for (size_t i = 1; i < count; i++) {
            const ldns_rr *rr = ldns_rr_list_rr(list, i);
            const ldns_rr *last = ldns_rr_list_rr(list, i - 1);
            if (same_rrset(rr, last) && ldns_rr_ttl(rr) != ldns_rr_ttl(last)) {
                return wrong("TTLs differ within an RRset: %s", record_text(rr));
            }
            for (size_t j = 0; j + 1 < i && count < 300 && !same_rrset(rr, last); j++) {
                if (same_rrset(rr, ldns_rr_list_rr(list, j))) {
                    return wrong("an RRset in two pieces: %s", record_text(rr));
                }
            }
        }
        for (int other = 0; other <= section && count < 300; other++) {
            const ldns_rr_list *before = packet_section(p, (enum section)other);
            for (size_t i = 0; i < count; i++) {
                size_t most = other == section ? i : ldns_rr_list_rr_count(before);
                for (size_t j = 0; j < most; j++) {
                    const ldns_rr *rr = ldns_rr_list_rr(list, i);
                    const ldns_rr *old = ldns_rr_list_rr(before, j);
                    if (same_rrset(rr, old) && ldns_rr_compare(rr, old) == 0) {
                        return wrong("a record twice: %s", record_text(rr));
                    }
                }
            }
        }
    }
    return NULL;
}

const char *packet_read(struct packet *packet, const uint8_t *data, size_t size)
{
    *packet = (struct packet){.data = data, .size = size};
    if (size < 12) {
        return wrong("%zu octets, not even a header", size);
    }
    packet->id = read16(data);
    packet->flags = read16(data + 2);
    packet->rcode = packet->flags & 0xf;
    packet->questions = read16(data + 4);
    for (unsigned i = 0; i < SECTIONS; i++) {
        packet->records[i] = read16(data + 6 + 2 * i);
    }
    const char *bad = walk(packet);
    if (bad != NULL) {
        return bad;
    }
    ldns_status status = ldns_wire2pkt(&packet->ldns, data, size);
    if (status != LDNS_STATUS_OK) {
        packet->ldns = NULL;
        return wrong("ldns: %s", ldns_get_errorstr_by_id(status));
    }
    return check_records(packet);
}

void packet_free(struct packet *packet)
{
    if (packet->ldns != NULL) {
        ldns_pkt_free(packet->ldns);
        packet->ldns = NULL;
    }
}

ldns_rr_list *packet_section(const struct packet *packet, enum section section)
{
    switch (section) {
    case SECTION_ANSWER:
        return ldns_pkt_answer(packet->ldns);
    case SECTION_AUTHORITY:
        return ldns_pkt_authority(packet->ldns);
    default:
        return ldns_pkt_additional(packet->ldns);
    }
}

const uint8_t *packet_option(const struct packet *packet, uint16_t code, size_t *size)
{
    for (size_t at = 0; at < packet->options_size; at += 4u + read16(packet->options + at + 2)) {
        if (read16(packet->options + at) == code) {
            *size = read16(packet->options + at + 2);
            return packet->options + at + 4;
        }
    }
    return NULL;
}

/* ---- Text ---- */

const char *packet_text(const struct packet *packet)
{
    static char text[8192];
    size_t used = 0;
    if (packet->ldns != NULL) {
        char *all = ldns_pkt2str(packet->ldns);
        used = (size_t)snprintf(text, sizeof text, "%s(%zu octets)\n", all != NULL ? all : "",
                                packet->size);
        free(all);
        return text;
    }
    for (size_t i = 0; i < packet->size && used < sizeof text - 4; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used, "%02x%s", packet->data[i],
                                 i % 16 == 15 ? "\n" : " ");
    }
    return text;
}

static const struct {
    const char *text;
    unsigned number;
} rcodes[] = {
    {"NOERROR", 0}, {"FORMERR", 1},  {"SERVFAIL", 2}, {"NXDOMAIN", 3}, {"NOTIMP", 4},
    {"REFUSED", 5}, {"YXDOMAIN", 6}, {"NOTAUTH", 9},  {"BADVERS", 16}, {"BADCOOKIE", 23},
};

int rcode_number(const char *text)
{
    for (size_t i = 0; i < sizeof rcodes / sizeof rcodes[0]; i++) {
        if (strcmp(rcodes[i].text, text) == 0) {
            return (int)rcodes[i].number;
        }
    }
    return -1;
}

const char *rcode_text(unsigned rcode)
{
    for (size_t i = 0; i < sizeof rcodes / sizeof rcodes[0]; i++) {
        if (rcodes[i].number == rcode) {
            return rcodes[i].text;
        }
    }
    return "RCODE?";
}

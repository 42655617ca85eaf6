/*
 * DNS messages as tests make and read them. Independent of the server's own code on purpose: text
 * goes through ldns, and answers are walked octet by octet besides, because ldns forgives much.
 */
#ifndef E2E_PACKET_H
#define E2E_PACKET_H

#include <ldns/ldns.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PACKET_NAME_MAX = 255, PACKET_OPTIONS_MAX = 512 };

/* ---- Making queries ---- */

struct query_spec {
    uint8_t name[PACKET_NAME_MAX];
    size_t name_size;
    uint16_t type;
    uint16_t class;
    uint16_t flags; /* the header's second word: opcode and bits */
    bool edns;
    uint16_t edns_size;
    uint8_t edns_version;
    uint16_t edns_flags;
    uint8_t options[PACKET_OPTIONS_MAX];
    size_t options_size;
};

/* A query for name (text; case kept) and type ("A", "TYPE65280") in class IN, no flags, no EDNS. */
struct query_spec query_for(const char *name, const char *type);
/* Adds an option, and EDNS with it. */
void query_add_option(struct query_spec *query, uint16_t code, const void *data, size_t size);
/* Writes the message, at most 1200 octets. */
size_t query_write(const struct query_spec *query, uint16_t id, uint8_t *message);

uint16_t random_id(void);

/* Wire form of a name in text; fails the test where it is none. */
size_t name_wire(const char *text, uint8_t wire[PACKET_NAME_MAX]);
/* Type by mnemonic, TYPEn or number. */
uint16_t type_number(const char *text);

/* ---- Reading answers ---- */

enum section { SECTION_ANSWER, SECTION_AUTHORITY, SECTION_ADDITIONAL, SECTIONS };

struct packet {
    const uint8_t *data;
    size_t size;
    uint16_t id, flags;
    uint16_t questions;
    uint16_t records[SECTIONS]; /* as the header says, OPT and TSIG included */
    size_t question_end;        /* octets up to the end of the question section */
    uint16_t rcode;             /* with the OPT's bits */

    unsigned opts; /* OPT records, which should be one at most */
    uint16_t edns_size;
    uint8_t edns_version;
    uint16_t edns_flags;
    const uint8_t *options;
    size_t options_size;

    ldns_pkt *ldns; /* what ldns made of it: records without OPT and TSIG */
};

/*
 * Reads a message and checks what every answer must keep to: nothing behind its end, names well
 * formed, pointers only back, RRsets in one piece with one TTL, no record twice, OPT only once in
 * additional, owned by the root. Returns NULL, or what is wrong (static).
 */
const char *packet_read(struct packet *packet, const uint8_t *data, size_t size);
void packet_free(struct packet *packet);

/* Records of a section. */
ldns_rr_list *packet_section(const struct packet *packet, enum section section);

/* The option with this code: its data and size, or NULL. Its place among them in *index. */
const uint8_t *packet_option(const struct packet *packet, uint16_t code, size_t *size);

/* For messages of failed tests: header and sections as text (static). */
const char *packet_text(const struct packet *packet);

/* "NOERROR".. to its number, -1 where there is none; and back. */
int rcode_number(const char *text);
const char *rcode_text(unsigned rcode);

/* A record's text without its newline (static, four in turn). */
const char *record_text(const ldns_rr *rr);

#endif

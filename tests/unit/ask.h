/*
 * Queries for tests, put together piece by piece, right or wrong:
 *
 *     struct ask ask = ask_for("www.example.", RRTYPE_A);
 *     ask_opt(&ask, 1232, EDNS_DO);
 *     ask_option(&ask, EDNS_NSID, NULL, 0);
 */
#ifndef RRDNS_TESTS_ASK_H
#define RRDNS_TESTS_ASK_H

#include <stddef.h>
#include <stdint.h>

enum { ASK_ID = 0x1234, ASK_MAX = 4096 };

enum ask_section { ASK_QUESTION, ASK_ANSWER, ASK_AUTHORITY, ASK_ADDITIONAL };

struct ask {
    uint8_t data[ASK_MAX];
    size_t size;
    size_t opt; /* where the RDLENGTH of the last OPT stands */
};

/* A header alone: ASK_ID, no flags, no question. */
struct ask ask_nothing(void);

/* A question of class IN, no flags. */
struct ask ask_for(const char *name, uint16_t type);
struct ask ask_for_class(const char *name, uint16_t type, uint16_t class);
struct ask ask_for_wire(const uint8_t *name, uint16_t type, uint16_t class);

/* Sets the 16 bits after the ID. */
void ask_flags(struct ask *ask, uint16_t flags);

/* Sets the count of a section. */
void ask_count(struct ask *ask, enum ask_section section, uint16_t count);

/* Octets at the end, not counted in any section. */
void ask_octets(struct ask *ask, const void *octets, size_t size);

/* A record at the end, counted in section. */
void ask_record(struct ask *ask, enum ask_section section, const uint8_t *owner, uint16_t type,
                uint16_t class, uint32_t ttl, const void *rdata, size_t size);

/* An OPT at the end, of version 0 and without options. */
void ask_opt(struct ask *ask, uint16_t udp_size, uint16_t flags);
void ask_opt_version(struct ask *ask, uint16_t udp_size, uint8_t version, uint16_t flags);

/* An option more in the OPT, which must be the last record. */
void ask_option(struct ask *ask, uint16_t code, const void *data, size_t size);

/* Octets more in the OPT's RDATA, whatever they mean. */
void ask_option_octets(struct ask *ask, const void *octets, size_t size);

/* A TSIG at the end: HMAC-SHA256, some time, fudge 300 and a MAC of 32 octets. */
void ask_tsig(struct ask *ask, const char *key);

#endif

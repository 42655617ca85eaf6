/*
 * RDATA in uncompressed wire form, seen through the form letters of rrtypes.def: whether it is
 * what its type asks for, and what it is made of, field by field.
 */
#ifndef RRDNS_DNS_RDATA_H
#define RRDNS_DNS_RDATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RDATA_MAX = 65535 };

/*
 * What is wrong with size octets as RDATA of the type, as a text for operators (static storage), or
 * NULL where nothing is. Types that are not listed in rrtypes.def may hold anything, meta types
 * nothing.
 */
const char *rdata_fault(uint16_t type, const uint8_t *rdata, size_t size);

/* The part of rdata_fault that goes beyond form letters, for RDATA whose fields are known to fit
 * them: digest lengths, rules between fields, types with a form of their own ("r"). */
const char *rdata_rules_fault(uint16_t type, const uint8_t *rdata, size_t size);

struct rdata_field {
    char form; /* letter of rrtypes.def */
    const uint8_t *data;
    size_t size;
};

struct rdata_walk {
    const char *form; /* letters still to come */
    const uint8_t *data;
    size_t left;
};

/* false where the type's form has no fields: not listed, a meta type, or rare ("r"). */
bool rdata_walk_begin(struct rdata_walk *walk, uint16_t type, const uint8_t *rdata, size_t size);

/*
 * The next field: 1; 0 past the last; RR_EFORMAT where what is left does not begin with such a
 * field. A field that goes on to the end of the RDATA is one field (all strings of a TXT record),
 * and may be empty. Octets after the last field are not complained of: walk->left counts them.
 */
int rdata_walk_next(struct rdata_walk *walk, struct rdata_field *field);

/* Whether a type bitmap (RFC 4034 section 4.1.2) is well formed; an empty one is. */
bool rdata_bitmap_check(const uint8_t *data, size_t size);

/* Service parameter keys (RFC 9460 section 14.3.2, RFC 9461, RFC 9540). */
enum svc_key {
    SVC_MANDATORY = 0,
    SVC_ALPN = 1,
    SVC_NO_DEFAULT_ALPN = 2,
    SVC_PORT = 3,
    SVC_IPV4HINT = 4,
    SVC_ECH = 5,
    SVC_IPV6HINT = 6,
    SVC_DOHPATH = 7,
    SVC_OHTTP = 8,
    SVC_INVALID = 65535,
};

/* The key's name, or NULL for one that has a number only; names are given to 0, 1, ... */
const char *rdata_svc_name(unsigned key);

/*
 * What is wrong with service parameters in wire form (text as rdata_fault), or NULL: keys ascend,
 * values fit their keys, mandatory keys are there, and alpn where no-default-alpn needs it.
 */
const char *rdata_svcb_fault(const uint8_t *data, size_t size);

#endif

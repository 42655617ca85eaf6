/*
 * Record types: numbers, mnemonics, and what their RDATA is made of (rrtypes.def).
 */
#ifndef RRDNS_DNS_RRTYPE_H
#define RRDNS_DNS_RRTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rrtype {
#define RRTYPE(mnemonic, number, form) RRTYPE_##mnemonic = (number),
#include "dns/rrtypes.def"
#undef RRTYPE
};

enum { RRTYPE_TEXT_MAX = 16 }; /* room for any mnemonic or TYPE65535, and the NUL */

/* The form string of rrtypes.def, or NULL for a type that isn't listed there. */
const char *rrtype_form(uint16_t type);

/* Whether the type may never be data in a zone: 0, OPT, 128-255 (RFC 6895 section 3.1). */
static inline bool rrtype_is_meta(uint16_t type)
{
    return type == 0 || type == RRTYPE_OPT || (type >= 128 && type <= 255);
}

/*
 * Mnemonic (any case) or TYPEn to number. Returns 0, RR_ENOENT for an unknown word, RR_ERANGE for
 * TYPEn above 65535. text need not end in NUL.
 */
int rrtype_from_text(const char *text, size_t length, uint16_t *type);

/* Mnemonic, or TYPEn, to a buffer of RRTYPE_TEXT_MAX. Returns the length. */
size_t rrtype_to_text(uint16_t type, char *text);

/*
 * Where the names stand in RDATA that answers may compress: octets before the first name and
 * the number of names (0 for all types but those with 'N' in their form).
 */
struct rrtype_names {
    uint8_t prefix;
    uint8_t count;
};
struct rrtype_names rrtype_compressible(uint16_t type);

/*
 * Octet position in RDATA of the host name whose addresses belong into the additional section
 * (NS, MX, SRV, SVCB, HTTPS, and the like), or -1 where the type has none.
 */
int rrtype_target(uint16_t type);

#endif

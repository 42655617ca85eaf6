/*
 * A signing policy: what the configuration's "dnssec" says under a name (rrdns.json(5)).
 */
#ifndef RRDNS_DNSSEC_POLICY_H
#define RRDNS_DNSSEC_POLICY_H

#include <stdint.h>

enum dnssec_denial {
    DENIAL_COMPACT, /* RFC 9824 */
    DENIAL_NSEC,    /* the zone's chain, RFC 4034 */
    DENIAL_NSEC3,   /* white lies, RFC 5155 and 7129 appendix B */
};

/* Spans are in seconds. */
struct dnssec_policy {
    char *name;
    char *keys;        /* directory of key files */
    uint8_t algorithm; /* of a key that is made; enum dnskey_algorithm */
    enum dnssec_denial denial;
    uint32_t lifetime;         /* a signature expires so long after it was made, */
    uint32_t refresh;          /* is replaced when so much of that is left, */
    uint32_t inception_offset; /* and is valid from so long before it was made, for slow clocks */
    uint32_t dnskey_ttl;       /* of DNSKEY, CDS and CDNSKEY */
};

#endif

/*
 * A thread's place to sign at: contexts of the keys it used last, the octets that are signed, and
 * a cache for the signatures of what is in no zone: denials of names that do not exist, wildcards
 * expanded. That cache is of a fixed size and apart from the stores of zones, so that a flood of
 * random names puts out nothing but what other random names left there.
 *
 * Looking up allocates nothing; making a signature does, in OpenSSL.
 */
#ifndef RRDNS_DNSSEC_DESK_H
#define RRDNS_DNSSEC_DESK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dnssec/signing.h"

struct sign_desk;

/* NULL where there is no memory, or no random numbers. */
struct sign_desk *sign_desk_new(void);
/* Contexts hold private keys: they are wiped. NULL is harmless. */
void sign_desk_free(struct sign_desk *desk);
/* Gives up the contexts, and with them keys no longer in use. */
void sign_desk_forget(struct sign_desk *desk);

/* What is to be signed. */
struct sign_what {
    const struct rrset *rrset;
    const uint8_t *owner; /* the whole name: of a wildcard's RRset "*" and the encloser */
    uint8_t labels;       /* of owner, without the root and a "*" at its beginning */
    uint32_t ttl;         /* original */
    sigstore_key key;     /* where the zone's signatures are kept; 0: in the desk's cache */
    uint64_t hash[2];     /* with key 0: 0 at first, then found and kept here by the desk */
};

/*
 * Writes the RRSIG records for it (signing_run_size octets, owners to be filled in) where all its
 * signatures are there and good for a while. now is the wall time. owner is not looked at but with
 * key 0.
 */
bool sign_desk_find(struct sign_desk *desk, const struct signing *signing,
                    struct sign_what *what, uint32_t now, uint8_t *run);

/* The same, making what is missing. Returns the number of signatures made, or RR_ENOMEM. */
int sign_desk_make(struct sign_desk *desk, const struct signing *signing,
                   struct sign_what *what, uint32_t now, uint8_t *run);

/*
 * Goes through the signatures kept by the zone's keys, a piece at a time: looks at up to *look of
 * them, which it counts down, from *cursor (0 at first) on, and makes those anew of which no more
 * than the policy's `refresh` is left, up to `make`. Moves *cursor; it is 0 when all were looked
 * at. Returns the number made, or RR_ENOMEM.
 */
int sign_desk_refresh(struct sign_desk *desk, const struct signing *signing, uint64_t *cursor,
                      unsigned *look, unsigned make, uint32_t now);

#endif

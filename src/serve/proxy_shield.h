/*
 * What keeps questions from upstream servers: the rate that a route lets through, and the defence
 * against random names. One per worker, but for the rates, which all workers share.
 */
#ifndef RRDNS_SERVE_PROXY_SHIELD_H
#define RRDNS_SERVE_PROXY_SHIELD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dns/key.h"

/*
 * A rate shared by workers (GCRA): the time, ns of the monotonic clock, up to which what was let
 * through has used it up. Zero at first.
 */
struct shared_rate {
    _Alignas(64) _Atomic uint64_t until;
};

/* Takes one of per_second (not 0); bursts of up to a tenth of a second, but at least of ten. False
 * where it is over the rate. Never blocks. */
bool shared_rate_take(struct shared_rate *rate, uint32_t per_second, uint64_t now_ns);

/*
 * Random-prefix defence. Names that fail are counted under each suffix that could be the target:
 * the enclosing names from the route's zone down (from two labels down where the zone is the root,
 * which itself never is one), the upper four of them. A suffix is under attack where many different
 * labels below it (some ninety within seconds) failed and most of those that ended did: then one in
 * sixteen of the misses below it is let through, to see whether it has recovered, and the others
 * are refused. Where those succeed it is opened again in steps, twice as many each half second.
 * What ends below a suffix that is under attack isn't counted under those above it: victim.co.uk is
 * the target, not co.uk. Fixed memory (100 KB), keyed hash.
 */
struct suffix_guard;

struct suffix_guard *suffix_guard_new(void); /* NULL: no memory */
void suffix_guard_free(struct suffix_guard *guard);

/* Whether a question that is in no cache may be asked upstream. zone_size: symbols in the key of
 * the route's zone. */
bool suffix_guard_admits(struct suffix_guard *guard, const struct key *key, uint16_t zone_size,
                         uint64_t now_ns);

/*
 * What came of one that was asked: an answer, NXDOMAIN too, or a failure (timeout, SERVFAIL, no
 * upstream). Once a question, not for each attempt. symbols: the whole key of its name.
 */
void suffix_guard_ended(struct suffix_guard *guard, const uint8_t *symbols, uint16_t size,
                        uint16_t zone_size, bool failed, uint64_t now_ns);

#endif

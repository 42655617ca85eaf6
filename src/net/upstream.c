/*
 * A server's health is told by what was sent when. Under load thousands of questions are on their
 * way when a server dies, and fail one after the other for as long as the timeout; each of them
 * says what the first three said. So a failure counts only where its question was sent after the
 * last that was heard of the server, after it was to be tried again, and after it came back.
 * Counting all of them would put a server that was gone for a second out of use for a minute, and
 * take one that is back for dead again.
 */
#include "net/upstream.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/counters.h"
#include "base/siphash.h"
#include "net/socket.h"

enum {
    FAILURES_MAX = 3,
    BACK_OFF_MAX = 6, /* doublings: 64 s, cut to a minute */
    /*
     * Each reply moves the average by a quarter of what it differs: after ten 6 % are left of what
     * was before. With an eighth it would be 26 %, with a half a single slow name would look like a
     * slow server.
     */
    EWMA_SHIFT = 2,
    /* Losses are rarer than replies: with less memory a server that loses one in ten questions
     * would be the fastest again after every few that it answers. */
    VAIN_SHIFT = 5,
    /* Questions that a server of which nothing is known has at once: enough to learn of it though
     * one is lost or slow, and few to be late if it is dead. */
    UNKNOWN_QUERIES = 4,
    PATIENCE_FACTOR = 8,
    EXPLORE_BITS = 5, /* one in 32 */
};

static const uint64_t MS = 1000000, SECOND = 1000000000;
static const uint64_t BACK_OFF_LONGEST = 60 * SECOND;
static const uint64_t PATIENCE_LEAST = 300 * MS;
static const uint64_t PATIENCE_UNKNOWN = 600 * MS; /* a satellite's round trip */

/* Xorshift64* (Vigna, 2014): the high bits are the good ones. */
uint64_t upstream_random(struct upstream_random *random)
{
    uint64_t x = random->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    random->state = x;
    return x * 0x2545f4914f6cdd1du;
}

/* ---- Counters ---- */

/* Tells others how it stands. */
static void publish(const struct upstream *upstream)
{
    struct upstream_counts *counts = upstream->counts;
    atomic_store_explicit(&counts->ewma_ns, upstream->ewma_ns, memory_order_relaxed);
    atomic_store_explicit(&counts->outstanding, upstream->outstanding, memory_order_relaxed);
    atomic_store_explicit(&counts->state, upstream->state, memory_order_relaxed);
}

static void count_error(struct upstream_counts *counts, enum upstream_error error, uint64_t now)
{
    switch (error) {
    case UPSTREAM_TIMEOUT:
        upstream_count(&counts->timeouts);
        break;
    case UPSTREAM_UNREACHABLE:
    case UPSTREAM_TLS_FAILED:
        upstream_count(&counts->unreachable);
        break;
    case UPSTREAM_SERVFAIL:
        upstream_count(&counts->servfail);
        break;
    case UPSTREAM_NO_ERROR:
    case UPSTREAM_REFUSED:
    case UPSTREAM_MALFORMED:
        break;
    }
    atomic_store_explicit(&counts->last_error, error, memory_order_relaxed);
    atomic_store_explicit(&counts->last_error_ns, now, memory_order_relaxed);
}

/* ---- Coming and going ---- */

/* From where it is and how it is asked, so that it is the same in all workers and after a restart:
 * then a name is asked of the same server by all. */
static uint64_t hash_server(const struct upstream_server *server)
{
    static const uint8_t no_key[16];
    const union socket_address *address = (const union socket_address *)&server->address;
    uint8_t input[16 + 2 + 1] = {0};
    if (address->any.sa_family == AF_INET6) {
        memcpy(input, &address->v6.sin6_addr, 16);
    } else {
        memcpy(input, &address->v4.sin_addr, 4);
    }
    memcpy(input + 16, &address->v4.sin_port, 2);
    input[18] = (uint8_t)server->transport;
    return siphash24(no_key, input, sizeof input);
}

struct upstream *upstream_new(const struct upstream_server *server, struct upstream_counts *counts,
                              const uint8_t cookie[8])
{
    struct upstream *upstream = calloc(1, sizeof *upstream);
    if (upstream == NULL) {
        return NULL;
    }
    upstream->server = *server;
    upstream->server.text = strdup(server->text);
    upstream->server.tls_name = server->tls_name != NULL ? strdup(server->tls_name) : NULL;
    upstream->hash_seed = hash_server(server);
    upstream->counts = counts;
    memcpy(upstream->cookie, cookie, 8);
    upstream->cookie_size = 8;
    upstream->references = 1;
    if (upstream->server.text == NULL ||
        (upstream->server.tls_name == NULL) != (server->tls_name == NULL)) {
        upstream_free(upstream);
        return NULL;
    }
    publish(upstream);
    return upstream;
}

void upstream_free(struct upstream *upstream)
{
    if (upstream == NULL) {
        return;
    }
    free(upstream->server.text);
    free(upstream->server.tls_name);
    free(upstream);
}

/* ---- What happened ---- */

void upstream_sent(struct upstream *upstream, bool probe)
{
    upstream->outstanding++;
    if (probe) {
        upstream->probing = true;
        upstream_count(&upstream->counts->probes);
    } else {
        upstream_count(&upstream->counts->queries);
    }
    publish(upstream);
}

void upstream_done(struct upstream *upstream, bool probe)
{
    upstream->outstanding--;
    if (probe) {
        upstream->probing = false;
    }
    publish(upstream);
}

static uint64_t average(uint64_t before, uint64_t span, unsigned shift)
{
    return before - (before >> shift) + (span >> shift);
}

void upstream_replied(struct upstream *upstream, uint64_t latency_ns, uint64_t now)
{
    upstream_count(&upstream->counts->replies);
    upstream_count(&upstream->counts->latency[counter_latency_bucket(latency_ns)]);
    /* What it was before it went down has been its end, not its usual. */
    bool fresh = upstream->state != UPSTREAM_UP;
    uint64_t ewma = fresh ? latency_ns : average(upstream->ewma_ns, latency_ns, EWMA_SHIFT);
    upstream->ewma_ns = ewma > 0 ? ewma : 1;
    upstream->vain_ns = fresh ? 0 : average(upstream->vain_ns, 0, VAIN_SHIFT);
    if (fresh) {
        upstream->retry_at = now;
        upstream->state = UPSTREAM_UP;
    }
    upstream->failures = 0;
    upstream->back_off = 0;
    upstream->heard_at = now;
    publish(upstream);
}

/* A second, doubled, with a quarter more or less. */
static uint64_t back_off_ns(unsigned doublings, struct upstream_random *random)
{
    uint64_t span = SECOND << doublings;
    span = span < BACK_OFF_LONGEST ? span : BACK_OFF_LONGEST;
    uint64_t chance = upstream_random(random) >> 40; /* 24 bits */
    return span - span / 4 + (span / 2 * chance >> 24);
}

static void leave_alone(struct upstream *upstream, uint64_t now, struct upstream_random *random)
{
    upstream->state = UPSTREAM_DOWN;
    upstream->retry_at = now + back_off_ns(upstream->back_off, random);
}

/* One that says something of how it is now. */
static void count_failure(struct upstream *upstream, uint64_t now, struct upstream_random *random)
{
    upstream->failures++;
    if (upstream->state == UPSTREAM_DOWN) {
        upstream->back_off += upstream->back_off < BACK_OFF_MAX;
        leave_alone(upstream, now, random);
    } else if (upstream->failures >= FAILURES_MAX) {
        leave_alone(upstream, now, random);
    }
}

void upstream_failed(struct upstream *upstream, enum upstream_error error, uint64_t sent_at,
                     uint64_t now, struct upstream_random *random)
{
    count_error(upstream->counts, error, now);
    if (error == UPSTREAM_REFUSED) {
        /* Another has to be asked: as bad as a loss, and else it would be the quickest of all. */
        upstream->vain_ns = average(upstream->vain_ns, PATIENCE_LEAST, VAIN_SHIFT);
    } else if (error != UPSTREAM_SERVFAIL && sent_at >= upstream->retry_at) {
        if (error == UPSTREAM_TIMEOUT) {
            upstream->vain_ns = average(upstream->vain_ns, now - sent_at, VAIN_SHIFT);
        }
        if (sent_at >= upstream->heard_at) {
            count_failure(upstream, now, random);
        }
    }
    publish(upstream);
}

bool upstream_probe_due(const struct upstream *upstream, uint64_t interval_ns, uint64_t now)
{
    if (upstream->probing) {
        return false;
    }
    return upstream->state == UPSTREAM_DOWN ? now >= upstream->retry_at
                                            : now >= upstream->heard_at + interval_ns;
}

uint64_t upstream_patience_ns(const struct upstream *upstream, uint64_t timeout_ns)
{
    uint64_t patience = upstream->ewma_ns * PATIENCE_FACTOR;
    if (upstream->ewma_ns == 0) {
        patience = PATIENCE_UNKNOWN;
    } else if (patience < PATIENCE_LEAST) {
        patience = PATIENCE_LEAST;
    }
    return patience < timeout_ns ? patience : timeout_ns;
}

/* ---- The choice: sets of servers are bits ---- */

/* Where it stands among others: the lower the better. */
static uint64_t rank(const struct upstream *upstream)
{
    if (upstream->ewma_ns != 0) {
        return upstream->ewma_ns + upstream->vain_ns;
    }
    /* All unknown and with their share: the next question goes where the fewest wait. */
    return upstream->outstanding < UNKNOWN_QUERIES ? 0 : UINT64_MAX / 2 + upstream->outstanding;
}

/* Any of those in fit, which are some. */
static unsigned any_of(uint32_t fit, uint64_t chance)
{
    unsigned skip = (unsigned)((chance >> 32) * (uint64_t)__builtin_popcount(fit) >> 32);
    while (skip-- > 0) {
        fit &= fit - 1;
    }
    return (unsigned)__builtin_ctz(fit);
}

static unsigned choose_fastest(const struct upstream_set *set, uint32_t fit,
                               struct upstream_random *random)
{
    unsigned best = 0;
    uint64_t lowest = UINT64_MAX;
    for (uint32_t rest = fit; rest != 0; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        uint64_t own = rank(set->upstream[i]);
        if (own < lowest) {
            lowest = own;
            best = i;
        }
    }
    uint32_t others = fit & ~(1u << best);
    if (others != 0 && upstream_random(random) >> (64 - EXPLORE_BITS) == 0) {
        return any_of(others, upstream_random(random));
    }
    return best;
}

static unsigned choose_in_turn(struct upstream_set *set, uint32_t fit)
{
    uint32_t from_next = fit & (uint32_t)(UINT64_MAX << set->next);
    unsigned chosen = (unsigned)__builtin_ctz(from_next != 0 ? from_next : fit);
    set->next = chosen + 1;
    return chosen;
}

/* Rendezvous (Thaler and Ravishankar, 1998): each server draws a number for the name, the highest
 * has it; so with a server gone, or added, no other name moves. */
static unsigned choose_by_hash(const struct upstream_set *set, uint32_t fit, uint64_t hash)
{
    unsigned best = 0;
    uint64_t highest = 0;
    for (uint32_t rest = fit; rest != 0; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        uint64_t drawn = (hash ^ set->upstream[i]->hash_seed) * 0x9e3779b97f4a7c15u;
        drawn = (drawn ^ drawn >> 32) * 0xbf58476d1ce4e5b9u;
        drawn ^= drawn >> 29;
        /* No branch: it would be guessed wrong every other time. */
        best = drawn >= highest ? i : best;
        highest = drawn >= highest ? drawn : highest;
    }
    return best;
}

static unsigned choose_least_bad(const struct upstream_set *set, uint32_t fit)
{
    unsigned best = (unsigned)__builtin_ctz(fit);
    for (uint32_t rest = fit; rest != 0; rest &= rest - 1) {
        unsigned i = (unsigned)__builtin_ctz(rest);
        if (set->upstream[i]->retry_at < set->upstream[best]->retry_at) {
            best = i;
        }
    }
    return best;
}

int upstream_choose(struct upstream_set *set, uint32_t tried, uint64_t hash,
                    struct upstream_random *random)
{
    uint32_t fit = 0; /* not down unless all are, with room */
    bool all_down = upstream_all_down(set);
    for (unsigned i = 0; i < set->count; i++) {
        const struct upstream *upstream = set->upstream[i];
        bool fits = upstream->outstanding < set->queries_max &&
                    (all_down || upstream->state != UPSTREAM_DOWN);
        fit |= (uint32_t)fits << i;
    }
    if (fit == 0) {
        return -1;
    }
    fit = (fit & ~tried) != 0 ? fit & ~tried : fit;
    if (all_down) {
        return (int)choose_least_bad(set, fit);
    }
    switch (set->select) {
    case SELECT_FASTEST:
        return (int)choose_fastest(set, fit, random);
    case SELECT_ROUNDROBIN:
        return (int)choose_in_turn(set, fit);
    case SELECT_HASH:
        return (int)choose_by_hash(set, fit, hash);
    case SELECT_ORDERED:
        break;
    }
    return __builtin_ctz(fit);
}

bool upstream_all_down(const struct upstream_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->upstream[i]->state != UPSTREAM_DOWN) {
            return false;
        }
    }
    return true;
}

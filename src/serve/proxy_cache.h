/*
 * Answers of upstreams, kept: one table of fixed size shared by all workers, read without locks.
 *
 * An entry is the body of a reply (all records, without question and OPT), with the places of its
 * TTLs. It is copied out under a sequence number to where it belongs in an answer of the same
 * question, so its compression pointers are right, and TTLs are counted down on the way.
 *
 * All times are seconds of a monotonic clock, handed in.
 */
#ifndef RRDNS_SERVE_PROXY_CACHE_H
#define RRDNS_SERVE_PROXY_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/key.h"
#include "dns/reply.h"
#include "world/routes.h"

enum {
    PROXY_CACHE_ENTRY_MAX = 4096, /* octets of an entry, all told; longer replies are not kept */
    PROXY_CACHE_SIZE_MIN = 1 << 20,
    PROXY_CACHE_STALE_TTL = 30,  /* TTL of records past their time (RFC 8767 section 4) */
    PROXY_CACHE_RETRY = 30,      /* seconds that a failed refresh is not tried again, likewise */
    PROXY_CACHE_FAILURE_TTL = 2, /* seconds, and so one at least, that a failure is kept (RFC 9520
                                    section 3.2) */
};

/* What else but the name an entry is for. */
enum proxy_cache_flags { PROXY_DO = 1, PROXY_CD = 2, PROXY_RD = 4 };

struct proxy_question {
    const struct key *key; /* of the name */
    uint16_t qtype;
    uint8_t flags;  /* proxy_cache_flags */
    uint32_t group; /* upstream_group.id */
    uint64_t hash;  /* of all that: proxy_cache_hash */
};

/*
 * size: octets in all, of memory that is taken at once (a second for a GiB or two); at least
 * PROXY_CACHE_SIZE_MIN. NULL where there is no memory.
 */
struct proxy_cache *proxy_cache_new(size_t size);
void proxy_cache_free(struct proxy_cache *cache);

/* Depends on a secret of the cache's own, so that nobody can aim at a place of it. */
uint64_t proxy_cache_hash(const struct proxy_cache *cache, const struct proxy_question *question);

/* Has the memory fetched that proxy_cache_find will look at first; then, when that is there, what
 * it will look at next: for many questions at a time. */
void proxy_cache_prefetch(const struct proxy_cache *cache, uint64_t hash);
void proxy_cache_prefetch_entry(const struct proxy_cache *cache, uint64_t hash);

enum proxy_cache_state {
    PROXY_CACHE_NONE,
    PROXY_CACHE_FRESH,
    PROXY_CACHE_STALE, /* past its time, but within times->stale */
};

struct proxy_found {
    uint16_t rcode; /* 12 bits */
    uint16_t flags; /* AA and AD as they were */
    uint16_t counts[3];
    size_t size;  /* octets of the body */
    bool fits;    /* it was written */
    /*
     * To be fetched anew. Stale: unless that failed in the last PROXY_CACHE_RETRY seconds; told to
     * everyone, since who asks next joins who asks already. Fresh: asked for so often and so near
     * its end that it should be; told to one caller in PROXY_CACHE_RETRY seconds.
     */
    bool refresh;
    int32_t ede;  /* of the reply, or -1 */
};

/*
 * Looks up question. The body is written to out where room suffices, TTLs counted down to now
 * (those of stale ones are PROXY_CACHE_STALE_TTL). Where no copy could be had for writers the
 * entry counts as not there. Whatever comes of it, all of room may have been written to, and found
 * says nothing where the outcome is PROXY_CACHE_NONE.
 */
enum proxy_cache_state proxy_cache_find(struct proxy_cache *cache,
                                        const struct proxy_question *question,
                                        const struct cache_times *times, uint32_t now, uint8_t *out,
                                        size_t room, struct proxy_found *found);

/*
 * Keeps a reply, in place of the one before, if it may be kept: NOERROR and NXDOMAIN for the lowest
 * TTL of its records within times, negative ones for their SOA's and not without one (RFC 2308
 * section 5); failures (SERVFAIL, REFUSED and others) for PROXY_CACHE_FAILURE_TTL and not over an
 * entry that is fresh or stale. TTLs in the body become what times makes of them, in negative ones
 * at most that of the whole. Who is no failure but may not be kept ends the one before nonetheless.
 * r has no TC. epoch is what proxy_cache_epoch was when the question was sent: what was asked
 * before a flush is not kept after it. Returns whether it was kept; it isn't either where another
 * thread is writing nearby just then.
 */
bool proxy_cache_put(struct proxy_cache *cache, const struct proxy_question *question,
                     const struct reply *r, const struct cache_times *times, uint32_t now,
                     uint64_t epoch);
uint64_t proxy_cache_epoch(const struct proxy_cache *cache);

/* Makes of the TTLs in body, a copy of the reply's, what they would be in the cache; leaves those
 * of failures and of denials without SOA. */
void proxy_cache_clamp(const struct reply *r, const struct cache_times *times, uint8_t *body);

/* Fetching it anew failed: stale answers are good for PROXY_CACHE_RETRY seconds without trying
 * again. Returns whether there is an entry, fresh or stale. */
bool proxy_cache_failed(struct proxy_cache *cache, const struct proxy_question *question,
                        const struct cache_times *times, uint32_t now);

/*
 * Throws away all entries at and below a name (NULL: all), for all types, flags and groups. Not on
 * the query path; any thread, beside readers and writers. Returns how many.
 */
size_t proxy_cache_flush(struct proxy_cache *cache, const struct key *name);

struct proxy_cache_figures {
    size_t size;           /* octets it may take */
    size_t used;           /* octets of entries */
    size_t entries;        /* all that are there, also past their time */
    uint64_t put, evicted; /* evicted: thrown out for others while still good */
};
/* Goes over the whole table. Not on the query path. */
void proxy_cache_figures(const struct proxy_cache *cache, struct proxy_cache_figures *figures);

#endif

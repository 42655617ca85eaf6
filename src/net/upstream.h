/*
 * What a worker knows of upstream servers: how fast they answer, whether they do, and which one is
 * to be asked next. No sockets here, and no clock: times are nanoseconds of the monotonic clock,
 * handed in.
 *
 * Each worker has its own view, so nothing is shared but the counters, which it alone writes.
 */
#ifndef RRDNS_NET_UPSTREAM_H
#define RRDNS_NET_UPSTREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "world/routes.h"

enum { UPSTREAM_LATENCY_BUCKETS = 32 };

/* Why a server was no good the last time. */
enum upstream_error {
    UPSTREAM_NO_ERROR,
    UPSTREAM_TIMEOUT,
    UPSTREAM_UNREACHABLE, /* refused, no route, reset */
    UPSTREAM_TLS_FAILED,  /* handshake or certificate */
    UPSTREAM_SERVFAIL,
    UPSTREAM_REFUSED,
    UPSTREAM_MALFORMED,
};

/*
 * One server's counters of one worker, at its slot. Written by the worker, read by anyone. The
 * functions below count queries, replies, timeouts, unreachable (TLS too), servfail, probes and
 * latency and keep the lower group up to date; the others are counted by who sees them happen.
 */
struct upstream_counts {
    _Alignas(64) _Atomic uint64_t queries, replies, timeouts, unreachable, rejected, servfail,
        truncated, connections, probes;
    _Atomic uint64_t ewma_ns;       /* 0: not known */
    _Atomic uint64_t last_error_ns; /* when; 0: never */
    _Atomic uint32_t last_error;    /* enum upstream_error */
    _Atomic uint32_t outstanding;
    _Atomic uint32_t state;         /* enum upstream_state */
    _Atomic uint64_t latency[UPSTREAM_LATENCY_BUCKETS]; /* as counter_latency_bucket has it */
};

/* Adds one to a count; for the worker whose it is. */
static inline void upstream_count(_Atomic uint64_t *count)
{
    uint64_t value = atomic_load_explicit(count, memory_order_relaxed);
    atomic_store_explicit(count, value + 1, memory_order_relaxed);
}

enum upstream_state { UPSTREAM_UNKNOWN, UPSTREAM_UP, UPSTREAM_DOWN };

/* One server as a worker sees it. */
struct upstream {
    /* What a choice looks at, side by side. */
    enum upstream_state state;
    unsigned outstanding;
    uint64_t ewma_ns;   /* of the latency of replies; 0: not known */
    uint64_t vain_ns;   /* that a question to it is waited for in vain, on average */
    uint64_t retry_at;  /* down: when it may be probed; up: when it came back. What was sent before
                           and failed says nothing. */
    uint64_t hash_seed; /* its own, the same in all workers */
    unsigned failures;  /* since the last reply */
    unsigned back_off;  /* doublings of the time it is left alone */
    uint64_t heard_at;  /* of the last reply, also to a probe */
    bool probing;       /* a probe is on its way */
    bool plain;         /* takes no EDNS: asked without for a while */
    uint64_t plain_until;
    uint8_t cookie[40];  /* client cookie (8 octets), then what the server gave */
    uint8_t cookie_size; /* 8 where it gave none yet */
    unsigned references; /* of groups, attempts, and who reads from its sockets */
    struct upstream_counts *counts;
    void *sockets;                 /* upstream_udp.c's */
    void *streams;                 /* upstream_stream.c's */
    struct upstream_server server; /* text and tls_name are copies of its own */
};

/* Random numbers for choices that need no secrecy: xorshift, one per worker. */
struct upstream_random {
    uint64_t state; /* not 0 */
};
uint64_t upstream_random(struct upstream_random *random);

/* A server just configured; counts outlives it. NULL: no memory. References: one. */
struct upstream *upstream_new(const struct upstream_server *server, struct upstream_counts *counts,
                              const uint8_t cookie[8]);
/* Frees what upstream_new made, where the last reference went: sockets and streams are then
 * NULL. */
void upstream_free(struct upstream *upstream);

/* ---- What happened ---- */

/* A question was sent, or a probe; upstream_done follows when it is over. */
void upstream_sent(struct upstream *upstream, bool probe);
/*
 * A reply came so long after its question: the server is up. Also one that comes when it is waited
 * for no more, if the caller still knows when the question was sent. An answer SERVFAIL or REFUSED
 * is one too; upstream_failed is told of it after this.
 */
void upstream_replied(struct upstream *upstream, uint64_t latency_ns, uint64_t now);
/*
 * To what was sent at sent_at no reply came, or it was an error. Three in a row, without a reply
 * since they were sent, and it is down: left alone for a second, after each failed probe twice as
 * long, up to a minute, all with a random part of a quarter either way. Any question sent when it
 * was due again counts as a probe; what was sent before that, or before it came back, changes
 * nothing when it fails, however many there are. UPSTREAM_SERVFAIL and _REFUSED are noted but say
 * nothing about its health. Timeouts and refusals make it no choice for the fastest.
 */
void upstream_failed(struct upstream *upstream, enum upstream_error error, uint64_t sent_at,
                     uint64_t now, struct upstream_random *random);
/* What was sent (a probe?) is waited for no more, whatever became of it. */
void upstream_done(struct upstream *upstream, bool probe);

/* Whether a probe is due: none is on its way, and it is down and retry_at has come, or nothing was
 * heard for interval. */
bool upstream_probe_due(const struct upstream *upstream, uint64_t interval_ns, uint64_t now);

/* How long a reply of it is waited for before another server is tried: eight times its usual
 * latency, but 300 ms at least and timeout at most; 600 ms where nothing is known of it. */
uint64_t upstream_patience_ns(const struct upstream *upstream, uint64_t timeout_ns);

/* ---- The choice ---- */

/* A group as a worker sees it. */
struct upstream_set {
    size_t count;
    struct upstream *upstream[GROUP_SERVERS_MAX];
    enum upstream_select select;
    unsigned queries_max;
    unsigned next; /* round robin */
};

/*
 * The server to be asked, not among those whose bits are set in tried: of those that are not down
 * and have fewer than queries_max outstanding, by set->select (fastest: the lowest EWMA, with
 * what is waited in vain; unknown ones first but for four questions each at a time, and one time in
 * 32 any other; hash: by name hash, so that what one server had stays with it while it is up).
 * Where they have all been tried, again the best of them. Where all are down, the one that is due
 * first, those tried last. Its number; or -1 where every one that is not down, or every one, has
 * its queries_max.
 */
int upstream_choose(struct upstream_set *set, uint32_t tried, uint64_t hash,
                    struct upstream_random *random);

/* Whether none of the set is believed to answer. */
bool upstream_all_down(const struct upstream_set *set);

#endif

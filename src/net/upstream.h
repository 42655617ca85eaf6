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

/* One server's counters of one worker, at its slot. Written by the worker, read by anyone. */
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

enum upstream_state { UPSTREAM_UNKNOWN, UPSTREAM_UP, UPSTREAM_DOWN };

/* One server as a worker sees it. */
struct upstream {
    struct upstream_server server; /* text and tls_name are copies of its own */
    struct upstream_counts *counts;
    enum upstream_state state;
    uint64_t ewma_ns;
    unsigned failures;       /* since the last reply */
    unsigned back_off;       /* doublings of the time it is left alone */
    uint64_t retry_at;       /* down: when it may be probed */
    uint64_t heard_at;       /* of the last reply or probe */
    unsigned outstanding;
    bool plain;              /* takes no EDNS: asked without for a while */
    uint64_t plain_until;
    uint8_t cookie[40];      /* client cookie (8 octets), then what the server gave */
    uint8_t cookie_size;     /* 8 where it gave none yet */
    unsigned references;     /* of groups and transactions */
    void *sockets;           /* upstream_udp.c's */
    void *streams;           /* upstream_stream.c's */
};

/* Random numbers for choices that need no secrecy: xorshift, one per worker. */
struct upstream_random {
    uint64_t state; /* not 0 */
};
uint64_t upstream_random(struct upstream_random *random);

/* A server just configured; counts outlives it. NULL: no memory. References: one. */
struct upstream *upstream_new(const struct upstream_server *server, struct upstream_counts *counts,
                              const uint8_t cookie[8]);
/* Whether it is the one that server describes: address, transport and name are the same. */
bool upstream_is(const struct upstream *upstream, const struct upstream_server *server);
/* Frees what upstream_new made, where the last reference went: sockets and streams are then NULL. */
void upstream_free(struct upstream *upstream);

/* ---- What happened ---- */

/* A question was sent, or a probe. */
void upstream_sent(struct upstream *upstream, bool probe);
/* A reply to it came after so long: the server is up. */
void upstream_replied(struct upstream *upstream, uint64_t latency_ns, uint64_t now);
/*
 * None came, or it was an error. Three in a row, without a reply between, and it is down: left alone
 * for a second, after each failed probe twice as long, up to a minute, all with a random part of a
 * quarter either way. UPSTREAM_SERVFAIL and _REFUSED are noted but say nothing about its health.
 */
void upstream_failed(struct upstream *upstream, enum upstream_error error, uint64_t now,
                     struct upstream_random *random);
/* What was sent is waited for no more, whatever became of it. */
void upstream_done(struct upstream *upstream);

/* Whether a probe is due: down and retry_at has come; or nothing heard for interval. */
bool upstream_probe_due(const struct upstream *upstream, uint64_t interval_ns, uint64_t now);

/* How long a reply of it is waited for before another server is tried: eight times its usual
 * latency, but 300 ms at least and timeout at most. */
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
 * and have fewer than queries_max outstanding, by set->select (fastest: the lowest EWMA, unknown
 * ones first, and one time in 32 any other; hash: by name hash, so that what one server had stays
 * with it while it is up). Where all are down, the one that is due first; where all have been tried,
 * again the best. Its number; or -1 where every one has its queries_max.
 */
int upstream_choose(struct upstream_set *set, uint32_t tried, uint64_t hash, uint64_t now,
                    struct upstream_random *random);

/* Whether none of the set is believed to answer. */
bool upstream_all_down(const struct upstream_set *set);

#endif

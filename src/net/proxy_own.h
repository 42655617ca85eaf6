/*
 * What the files of the proxy share: proxy.c (its life, and questions coming in), proxy_table.c
 * (transactions and who waits for them), proxy_ask.c (asking, and losing patience), proxy_query.c
 * (how it is put), proxy_reply.c (what upstream says), proxy_answer.c (what clients are told),
 * proxy_groups.c (whom to ask).
 */
#ifndef RRDNS_NET_PROXY_OWN_H
#define RRDNS_NET_PROXY_OWN_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dns/name.h"
#include "dns/reply.h"
#include "net/datagram.h"
#include "net/proxy.h"
#include "net/upstream_stream.h"
#include "net/upstream_udp.h"

enum {
    PROXY_TRANSACTIONS = 16384, /* questions being asked at once, a worker */
    PROXY_WAITERS = 32768,      /* clients waiting for them */
    /* Few enough to stay in a core's caches; where all transactions are in use, eight in each. */
    PROXY_BUCKETS = 2048,
    PROXY_BATCH = 32,           /* messages sent or received at once */
    PROXY_SLOT = 4096 + 64,     /* room for one, see udp.c */
    PROXY_QUERY = 384,          /* the longest that we ask: 12 + 259 + 11 + 44 + 12 + 4, padded */
    /* Attempts of a transaction: each may come to a repetition over TCP or without EDNS. */
    PROXY_ATTEMPTS = 2 * GROUP_ATTEMPTS_MAX,
    TICK_MS = 10,
    WHEEL_TICKS = 512,          /* 5.12 s: nothing is waited for longer */
};

#define PROXY_MS UINT64_C(1000000)
/* When clients are told that there is no answer (they give up at 5 s), or given one past its
 * time. */
#define PROXY_GIVE_UP_NS (4700 * PROXY_MS)
#define PROXY_STALE_NS (1800 * PROXY_MS)

/* A group of upstream servers as it was when a question was taken. */
struct proxy_group {
    unsigned references; /* of the proxy and of transactions */
    uint32_t id;
    struct upstream_set set;
    uint64_t recovered; /* when one answered after all were down */
    uint64_t timeout_ns;
    unsigned attempts;
    bool case_mix;
    bool origin;
    struct tls_trust *trust; /* a reference; NULL: no server is asked over TLS */
    uint8_t probe_name[NAME_MAX_OCTETS];
    uint16_t probe_type;
    uint64_t probe_interval_ns;
};

/* A client that waits for a transaction. */
struct waiter {
    struct waiter *next;            /* of its transaction, or free */
    LIST_ENTRY(waiter) of_client;   /* connections */
    struct client *client;          /* NULL: a datagram's */
    struct endpoint *endpoint;      /* datagrams: where it came in */
    uint64_t since;
    uint32_t cell;                  /* of limits */
    socklen_t peer_size;
    size_t control_size;
    union socket_address peer;
    struct datagram_control control;
    struct relay_client asked;      /* its qname is the one below */
    uint8_t qname[NAME_MAX_OCTETS];
};

/* A question on its way to one server. */
struct attempt {
    struct attempt *next_id;        /* in its bucket */
    LIST_ENTRY(attempt) of_socket;
    struct transaction *transaction;
    struct upstream *upstream;
    struct upstream_socket *socket; /* NULL: on none */
    uint64_t sent;
    uint16_t id;
    uint8_t staged;                 /* place among queries to be sent, plus one; 0: it has left */
    bool live;
    bool late;                      /* longer on its way than the group's timeout */
    bool stream;                    /* it is on a stream */
    bool answered;                  /* there: it is waited for no more */
    bool plain;                     /* without EDNS */
};

struct transaction {
    struct transaction *next;       /* of its bucket, or free */
    LIST_ENTRY(transaction) timed;
    struct waiter *waiters, **waiters_end;
    struct proxy_group *group;
    uint64_t started;
    uint64_t due;                   /* when something is to be done about it */
    uint64_t next_attempt;          /* when another server is asked besides */
    uint64_t give_up;
    const struct proxy_cache *cache; /* that the question's hash is of: to be compared only */
    uint64_t epoch;                 /* of it, when this began */
    uint32_t serial;                /* another one each time the place is used */
    uint32_t tried;                 /* bits of servers of the group */
    unsigned attempts;              /* made, repetitions not counted */
    unsigned used;                  /* of attempt */
    unsigned live;                  /* of them */
    uint16_t zone_size;
    uint16_t rcode;                 /* the last failure that a server told, or 0 */
    int ede;                        /* with it */
    bool unreachable;               /* some server was */
    bool limited;                   /* some had too much to do */
    bool stale;                     /* the cache has an answer past its time */
    bool open;                      /* begun, not ended */
    bool listed;                    /* in a bucket: others may join */
    bool repeated;                  /* asked once more for a cookie's sake */
    int probe;                      /* number of the server it probes, or -1 */
    uint8_t qname_size;
    uint8_t qname[NAME_MAX_OCTETS]; /* as asked */
    struct attempt attempt[PROXY_ATTEMPTS];
    struct proxy_question question; /* its key is the one below */
    struct key key;
};

LIST_HEAD(transaction_list, transaction);

/* Random octets that nobody can guess, fetched from the kernel many at a time. */
struct proxy_secrets {
    size_t used;
    uint8_t octets[1024];
};

/* Datagrams to be sent: answers to clients, questions to servers. */
struct proxy_answers {
    size_t count;
    struct mmsghdr message[PROXY_BATCH];
    struct iovec vector[PROXY_BATCH];
    struct waiter *waiter[PROXY_BATCH]; /* given back when sent */
    uint8_t octets[PROXY_BATCH][PROXY_SLOT];
};
struct proxy_queries {
    size_t count;
    struct mmsghdr message[PROXY_BATCH];
    struct iovec vector[PROXY_BATCH];
    struct attempt *attempt[PROXY_BATCH];
    uint8_t octets[PROXY_BATCH][PROXY_QUERY];
};

struct proxy {
    struct service *service;
    struct limits *limits;
    struct upstream_counts *counts;
    struct shared_rate *rates;
    struct suffix_guard *guard;
    struct upstream_streams *streams;
    struct upstream_random random;
    struct proxy_secrets secrets;

    uint64_t routes_id; /* of the routes that group is of; 0: none */
    size_t groups;
    struct proxy_group *group[ROUTES_GROUPS_MAX]; /* as in routes */

    struct event *tick; /* pending while there are live transactions, and a little longer */
    size_t live;
    uint64_t ticked; /* ticks of the clock handled */
    struct transaction_list wheel[WHEEL_TICKS];
    struct event *probes;

    struct transaction *transactions; /* PROXY_TRANSACTIONS */
    struct waiter *waiters;           /* PROXY_WAITERS */
    struct transaction *free_transactions;
    struct waiter *free_waiters;
    size_t transactions_made, waiters_made; /* so many were ever used: the rest is untouched */
    size_t waiting;
    struct transaction *bucket[PROXY_BUCKETS];
    struct attempt *ids[PROXY_BUCKETS];
    uint32_t *outstanding; /* by cell of the client */

    struct proxy_answers answers;
    struct proxy_queries queries;
    struct mmsghdr in[PROXY_BATCH];
    struct iovec in_vector[PROXY_BATCH];
    uint8_t replies[PROXY_BATCH][PROXY_SLOT];
    uint8_t *stream_answer; /* room for the longest, with its length */
};

/* The cache in use, or NULL where nothing is forwarded any more. */
static inline const struct proxy_cache *proxy_cache_of(const struct proxy *proxy)
{
    const struct routes *routes = proxy->service->world->settings.routes;
    return routes != NULL ? routes->cache : NULL;
}

/* ---- proxy_table.c ---- */

/* The transaction that asks this already, or NULL. */
struct transaction *proxy_find(const struct proxy *proxy, const struct proxy_question *question);
/* A new one, in no bucket; NULL where there are too many. */
struct transaction *proxy_begin(struct proxy *proxy, struct proxy_group *group,
                                const struct proxy_question *question, uint64_t now);
void proxy_list(struct proxy *proxy, struct transaction *t);
/* Takes it from its bucket: nobody joins any more. Harmless where it isn't in one. */
void proxy_unlist(struct proxy *proxy, struct transaction *t);
/* Gives it back, attempts with it; nobody waits. */
void proxy_end(struct proxy *proxy, struct transaction *t);
/* Has proxy_tick called for it about then; sooner, where it is set so already. */
void proxy_wake(struct proxy *proxy, struct transaction *t, uint64_t due);

/* One that waits for t (NULL: for nothing, an answer is due at once); NULL where there are too
 * many. */
struct waiter *proxy_wait(struct proxy *proxy, struct transaction *t, const struct forward *forward,
                          uint32_t cell, uint64_t now);
void proxy_wait_no_more(struct proxy *proxy, struct waiter *waiter);

/* An attempt of t at upstream, counted there; NULL where t has had its share. */
struct attempt *proxy_attempt(struct transaction *t, struct upstream *upstream, uint64_t now);
/* Gives it an ID of its own on its socket. */
void proxy_attempt_id(struct proxy *proxy, struct attempt *attempt, struct upstream_socket *socket);
void proxy_attempt_end(struct proxy *proxy, struct attempt *attempt);
/* The live one that a reply's ID belongs to, or NULL. */
struct attempt *proxy_attempt_of(const struct proxy *proxy, const struct upstream_socket *socket,
                                 uint16_t id);
uint64_t proxy_token(const struct proxy *proxy, const struct attempt *attempt);
struct attempt *proxy_attempt_of_token(struct proxy *proxy, uint64_t token);

/* ---- proxy_groups.c ---- */

void proxy_group_unref(struct proxy *proxy, struct proxy_group *group);
void proxy_groups_drop(struct proxy *proxy);
void proxy_upstream_unref(struct proxy *proxy, struct upstream *upstream);

/* ---- proxy_ask.c ---- */

void proxy_random_octets(struct proxy *proxy, void *octets, size_t size);
/* Asks the next server. Where there is none left, t ends, all told. */
void proxy_ask(struct proxy *proxy, struct transaction *t, uint64_t now);
/* Asks upstream once more: over a stream, or as it now is to be asked. False where that can't
 * be. */
bool proxy_ask_again(struct proxy *proxy, struct transaction *t, struct upstream *upstream,
                     bool stream, uint64_t now);
/* An attempt came to nothing: another is made, or t ends. */
void proxy_attempt_failed(struct proxy *proxy, struct attempt *attempt, enum upstream_error error,
                          uint64_t now);
/*
 * A reply has come to the attempt `by`: who was asked before it and has not answered yet is too
 * late, though the group's timeout has not come. Without that, a server that is silent would never
 * be known for it while others are there to answer, and be waited for first again and again.
 */
void proxy_overtaken(struct proxy *proxy, const struct attempt *by, uint64_t now);
void proxy_send_queries(struct proxy *proxy);
/* There are live transactions, which there were none of before. */
void proxy_start_clock(struct proxy *proxy, uint64_t now);
void proxy_tick(evutil_socket_t fd, short what, void *proxy);
void proxy_probe(evutil_socket_t fd, short what, void *proxy);

/* ---- proxy_query.c ---- */

/* Writes the question of an attempt to out, which has room for PROXY_QUERY octets; returns its
 * size. Over TLS it is padded (RFC 7830, 8467), unless it goes without EDNS. */
size_t proxy_compose(const struct proxy *proxy, const struct attempt *attempt, uint8_t *out);

/* ---- proxy_reply.c ---- */

void proxy_readable(evutil_socket_t fd, short what, void *socket);
bool proxy_stream_replied(void *proxy, uint64_t token, const uint8_t *data, size_t size);
void proxy_stream_failed(void *proxy, uint64_t token, enum upstream_error error);

/* ---- proxy_answer.c ---- */

/* Answers all who wait for t, each with r. */
void proxy_answer_all(struct proxy *proxy, struct transaction *t, const struct reply *r);
/* With what the cache has past its time, or with a failure. */
void proxy_fail_all(struct proxy *proxy, struct transaction *t);
/* With what the cache has past its time; who can't be is left waiting. */
void proxy_stale_all(struct proxy *proxy, struct transaction *t);
/* One, with an error: a failure of this kind, not to be blamed on upstream. stale: with what the
 * cache has past its time, if anything. */
void proxy_refuse(struct proxy *proxy, struct waiter *waiter, const struct forward *forward,
                  bool stale, const struct relay_answer *answer);
void proxy_send_answers(struct proxy *proxy);

#endif

/*
 * Places are taken from the front of their arrays, and given back to a list from which they are
 * taken again first: so memory follows what was ever needed at once.
 */
#include <string.h>

#include "net/proxy_own.h"

static struct transaction **bucket_of(struct proxy *proxy, uint64_t hash)
{
    return &proxy->bucket[hash % PROXY_BUCKETS];
}

static bool asks(const struct transaction *t, const struct proxy_question *q)
{
    const struct proxy_question *own = &t->question;
    return own->hash == q->hash && own->qtype == q->qtype && own->flags == q->flags &&
           own->group == q->group && t->key.size == q->key->size &&
           memcmp(t->key.symbols, q->key->symbols, t->key.size) == 0;
}

struct transaction *proxy_find(const struct proxy *proxy, const struct proxy_question *question)
{
    struct transaction *t = proxy->bucket[question->hash % PROXY_BUCKETS];
    while (t != NULL && !asks(t, question)) {
        t = t->next;
    }
    return t;
}

static struct transaction *take_transaction(struct proxy *proxy)
{
    struct transaction *t = proxy->free_transactions;
    if (t != NULL) {
        proxy->free_transactions = t->next;
    } else if (proxy->transactions_made < PROXY_TRANSACTIONS) {
        t = &proxy->transactions[proxy->transactions_made++];
    }
    return t;
}

struct transaction *proxy_begin(struct proxy *proxy, struct proxy_group *group,
                                const struct proxy_question *question, uint64_t now)
{
    struct transaction *t = take_transaction(proxy);
    if (t == NULL) {
        return NULL;
    }
    uint32_t serial = t->serial;
    memset(t, 0, offsetof(struct transaction, qname));
    t->serial = serial + 1;
    if (proxy->live++ == 0) {
        proxy_start_clock(proxy, now);
    }
    t->waiters_end = &t->waiters;
    t->group = group;
    group->references++;
    t->started = now;
    t->open = true;
    t->probe = -1;
    t->ede = EDE_NONE;
    t->key.size = question->key->size;
    memcpy(t->key.symbols, question->key->symbols, question->key->size);
    t->question = *question;
    t->question.key = &t->key;
    return t;
}

void proxy_list(struct proxy *proxy, struct transaction *t)
{
    struct transaction **bucket = bucket_of(proxy, t->question.hash);
    t->next = *bucket;
    *bucket = t;
    t->listed = true;
}

void proxy_unlist(struct proxy *proxy, struct transaction *t)
{
    if (!t->listed) {
        return;
    }
    struct transaction **at = bucket_of(proxy, t->question.hash);
    while (*at != t) {
        at = &(*at)->next;
    }
    *at = t->next;
    t->listed = false;
}

void proxy_end(struct proxy *proxy, struct transaction *t)
{
    proxy_unlist(proxy, t);
    for (unsigned i = 0; i < t->used; i++) {
        if (t->attempt[i].live) {
            proxy_attempt_end(proxy, &t->attempt[i]);
        }
    }
    if (t->due != 0) {
        LIST_REMOVE(t, timed);
    }
    proxy_group_unref(proxy, t->group);
    t->serial++;
    t->open = false;
    proxy->live--;
    t->next = proxy->free_transactions;
    proxy->free_transactions = t;
}

void proxy_wake(struct proxy *proxy, struct transaction *t, uint64_t due)
{
    if (t->due != 0 && t->due <= due) {
        return;
    }
    if (t->due != 0) {
        LIST_REMOVE(t, timed);
    }
    uint64_t tick = due / (TICK_MS * PROXY_MS) + 1;
    uint64_t most = proxy->ticked + WHEEL_TICKS - 1;
    tick = tick <= proxy->ticked ? proxy->ticked + 1 : tick > most ? most : tick;
    t->due = due;
    LIST_INSERT_HEAD(&proxy->wheel[tick % WHEEL_TICKS], t, timed);
}

/* ---- Who waits ---- */

static struct waiter *take_waiter(struct proxy *proxy)
{
    struct waiter *w = proxy->free_waiters;
    if (w != NULL) {
        proxy->free_waiters = w->next;
    } else if (proxy->waiters_made < PROXY_WAITERS) {
        w = &proxy->waiters[proxy->waiters_made++];
    }
    return w;
}

struct waiter *proxy_wait(struct proxy *proxy, struct transaction *t, const struct forward *forward,
                          uint32_t cell, uint64_t now)
{
    struct waiter *w = take_waiter(proxy);
    if (w == NULL) {
        return NULL;
    }
    w->next = NULL;
    w->client = NULL;
    w->endpoint = NULL;
    w->since = now;
    w->cell = cell;
    w->asked = forward->client;
    memcpy(w->qname, forward->client.qname, forward->client.qname_size);
    w->asked.qname = w->qname;
    if (t != NULL) {
        *t->waiters_end = w;
        t->waiters_end = &w->next;
    }
    proxy->outstanding[cell]++;
    proxy->waiting++;
    return w;
}

void proxy_wait_no_more(struct proxy *proxy, struct waiter *waiter)
{
    if (waiter->endpoint != NULL) {
        waiter->endpoint->waiting--;
    }
    proxy->outstanding[waiter->cell]--;
    proxy->waiting--;
    waiter->next = proxy->free_waiters;
    proxy->free_waiters = waiter;
}

/* ---- Attempts ---- */

struct attempt *proxy_attempt(struct transaction *t, struct upstream *upstream, uint64_t now)
{
    if (t->used == PROXY_ATTEMPTS) {
        return NULL;
    }
    struct attempt *attempt = &t->attempt[t->used++];
    *attempt = (struct attempt){
        .transaction = t, .upstream = upstream, .sent = now, .live = true,
        .plain = upstream->plain && now < upstream->plain_until};
    t->live++;
    upstream->references++;
    upstream_sent(upstream, t->probe >= 0);
    return attempt;
}

static size_t id_bucket(const struct upstream_socket *socket, uint16_t id)
{
    return (socket->number * 0x9e3779b1u ^ id) % PROXY_BUCKETS;
}

struct attempt *proxy_attempt_of(const struct proxy *proxy, const struct upstream_socket *socket,
                                 uint16_t id)
{
    struct attempt *at = proxy->ids[id_bucket(socket, id)];
    while (at != NULL && (at->id != id || at->socket != socket)) {
        at = at->next_id;
    }
    return at;
}

void proxy_attempt_id(struct proxy *proxy, struct attempt *attempt, struct upstream_socket *socket)
{
    do {
        proxy_random_octets(proxy, &attempt->id, sizeof attempt->id);
    } while (proxy_attempt_of(proxy, socket, attempt->id) != NULL);
    struct attempt **bucket = &proxy->ids[id_bucket(socket, attempt->id)];
    attempt->socket = socket;
    attempt->next_id = *bucket;
    *bucket = attempt;
    LIST_INSERT_HEAD(&socket->attempts, attempt, of_socket);
    socket->questions++;
}

static void leave_socket(struct proxy *proxy, struct attempt *attempt)
{
    struct upstream_socket *socket = attempt->socket;
    struct attempt **at = &proxy->ids[id_bucket(socket, attempt->id)];
    while (*at != attempt) {
        at = &(*at)->next_id;
    }
    *at = attempt->next_id;
    LIST_REMOVE(attempt, of_socket);
    upstream_socket_settle(socket);
}

void proxy_attempt_end(struct proxy *proxy, struct attempt *attempt)
{
    if (attempt->staged > 0) {
        proxy->queries.attempt[attempt->staged - 1] = NULL;
    }
    if (attempt->socket != NULL) {
        leave_socket(proxy, attempt);
    } else if (attempt->stream && !attempt->answered) {
        upstream_stream_forget(proxy->streams, attempt->upstream, proxy_token(proxy, attempt));
    }
    attempt->live = false;
    attempt->transaction->live--;
    upstream_done(attempt->upstream, attempt->transaction->probe >= 0);
    proxy_upstream_unref(proxy, attempt->upstream);
}

/* Place of the transaction, its serial, number of the attempt. */
uint64_t proxy_token(const struct proxy *proxy, const struct attempt *attempt)
{
    const struct transaction *t = attempt->transaction;
    return (uint64_t)(t - proxy->transactions) << 40 | (uint64_t)t->serial << 8 |
           (uint64_t)(attempt - t->attempt);
}

struct attempt *proxy_attempt_of_token(struct proxy *proxy, uint64_t token)
{
    struct transaction *t = &proxy->transactions[token >> 40];
    struct attempt *attempt = &t->attempt[token & 0xff];
    return t->serial == (uint32_t)(token >> 8) && attempt->live ? attempt : NULL;
}

/*
 * What is taken for a reply: a message on the socket that the question left by (connected, so from
 * the address and port asked), with an ID that is waited for there, and the same question, its case
 * included. All else is counted and ignored; the question stays open.
 */
#include <errno.h>
#include <string.h>

#include "dns/message.h"
#include "net/proxy_own.h"

enum {
    READ_BATCHES = 16,      /* of one socket, before the worker looks at others */
    COOKIE_CLIENT_SIZE = 8, /* our part of a cookie */
};

/* So long a server that could not read EDNS is asked without. */
#define PLAIN_NS (600 * (1000 * PROXY_MS))

static void reject(struct proxy *proxy, struct upstream *upstream, enum counter why)
{
    counter_add(proxy->service->counters, why, 1);
    upstream_count(&upstream->counts->rejected);
}

/* Whether r answers what was asked. FORMERR may come without a question (of servers that could not
 * read it). */
static bool answers(const struct attempt *attempt, const struct reply *r)
{
    const struct transaction *t = attempt->transaction;
    if (!r->has_question) {
        return r->rcode == RCODE_FORMERR;
    }
    return r->qtype == t->question.qtype && r->qclass == CLASS_IN &&
           r->qname_size == t->qname_size &&
           memcmp(r->message + MESSAGE_HEADER, t->qname, t->qname_size) == 0;
}

/* Whether the cookie in a reply is not the one we sent: a forgery (RFC 7873 section 5.3). */
static bool has_wrong_cookie(const struct upstream *upstream, const struct reply *r)
{
    return r->cookie_size > 0 && memcmp(r->cookie, upstream->cookie, COOKIE_CLIENT_SIZE) != 0;
}

/* Whether a reply has no cookie though the server is known to have them. Over UDP that may be a
 * forgery (RFC 7873 section 5.3). */
static bool lacks_cookie(const struct attempt *attempt, const struct reply *r)
{
    return r->cookie_size == 0 && !attempt->stream && !attempt->plain &&
           attempt->upstream->cookie_size > COOKIE_CLIENT_SIZE;
}

/* Keeps the cookie that a server gave. Who sends none over a stream has no more. */
static void keep_cookie(const struct attempt *attempt, const struct reply *r)
{
    struct upstream *upstream = attempt->upstream;
    if (r->cookie_size >= 16 && r->cookie_size <= sizeof upstream->cookie) {
        memcpy(upstream->cookie, r->cookie, r->cookie_size);
        upstream->cookie_size = r->cookie_size;
    } else if (r->cookie_size == 0 && attempt->stream && !attempt->plain) {
        upstream->cookie_size = COOKIE_CLIENT_SIZE;
    }
}

static bool is_failure(uint16_t rcode)
{
    return rcode != RCODE_NOERROR && rcode != RCODE_NXDOMAIN && rcode != RCODE_YXDOMAIN;
}

/* Whether the server could not make sense of EDNS: an error, told without an OPT of its own (RFC
 * 6891 section 7). */
static bool dislikes_edns(const struct attempt *attempt, const struct reply *r)
{
    return !attempt->plain && !r->has_edns &&
           (r->rcode == RCODE_FORMERR || r->rcode == RCODE_NOTIMP);
}

static void succeed(struct proxy *proxy, const struct attempt *attempt, const struct reply *r,
                    uint64_t now)
{
    struct transaction *t = attempt->transaction;
    const struct routes *routes = proxy->service->world->settings.routes;
    if (t->cache == proxy_cache_of(proxy)) {
        proxy_cache_put(routes->cache, &t->question, r, &routes->times,
                        (uint32_t)(now / 1000000000), t->epoch);
    }
    suffix_guard_ended(proxy->guard, t->key.symbols, t->key.size, t->zone_size, false, now);
    proxy_overtaken(proxy, attempt, now);
    proxy_answer_all(proxy, t, r);
    proxy_end(proxy, t);
}

/* A reply that is not the end of it: the server is asked once more, in another way. */
static bool ask_otherwise(struct proxy *proxy, struct attempt *attempt, const struct reply *r,
                          uint64_t now)
{
    struct transaction *t = attempt->transaction;
    struct upstream *upstream = attempt->upstream;
    if (lacks_cookie(attempt, r)) {
        counter_add(proxy->service->counters, COUNTER_proxy_over_tcp, 1);
        return proxy_ask_again(proxy, t, upstream, true, now);
    }
    if ((r->flags & FLAG_TC) != 0 && !attempt->stream) {
        counter_add(proxy->service->counters, COUNTER_proxy_over_tcp, 1);
        upstream_count(&upstream->counts->truncated);
        return proxy_ask_again(proxy, t, upstream, true, now);
    }
    if (dislikes_edns(attempt, r)) {
        upstream->plain = true;
        upstream->plain_until = now + PLAIN_NS;
        return proxy_ask_again(proxy, t, upstream, attempt->stream, now);
    }
    if (r->rcode == RCODE_BADCOOKIE && r->cookie_size >= 16 && !t->repeated) {
        t->repeated = true;
        return proxy_ask_again(proxy, t, upstream, attempt->stream, now);
    }
    return false;
}

/* attempt's reply is there. */
static void take(struct proxy *proxy, struct attempt *attempt, const struct reply *r, uint64_t now)
{
    struct transaction *t = attempt->transaction;
    counter_add(proxy->service->counters, COUNTER_proxy_replies, 1);
    bool down = upstream_all_down(&t->group->set);
    upstream_replied(attempt->upstream, now - attempt->sent, now);
    if (down && !upstream_all_down(&t->group->set)) {
        t->group->recovered = now;
    }
    keep_cookie(attempt, r);
    if (t->probe >= 0) {
        proxy_end(proxy, t);
        return;
    }
    if (ask_otherwise(proxy, attempt, r, now)) {
        proxy_attempt_end(proxy, attempt);
        return;
    }
    bool doubtful = lacks_cookie(attempt, r);
    if (doubtful || (r->flags & FLAG_TC) != 0 || is_failure(r->rcode)) {
        t->rcode = is_failure(r->rcode) && !doubtful ? r->rcode : RCODE_SERVFAIL;
        t->ede = doubtful ? EDE_NONE : r->ede;
        proxy_attempt_failed(proxy, attempt,
                             r->rcode == RCODE_SERVFAIL ? UPSTREAM_SERVFAIL : UPSTREAM_REFUSED,
                             now);
        return;
    }
    succeed(proxy, attempt, r, now);
}

/* ---- Datagrams ---- */

static void read_one(struct proxy *proxy, struct upstream_socket *socket, const struct reply *r,
                     uint64_t now)
{
    struct attempt *attempt = proxy_attempt_of(proxy, socket, r->id);
    if (attempt == NULL) {
        reject(proxy, socket->upstream, COUNTER_proxy_rejected_id);
    } else if (!answers(attempt, r) || has_wrong_cookie(attempt->upstream, r)) {
        reject(proxy, socket->upstream, COUNTER_proxy_rejected_question);
    } else {
        take(proxy, attempt, r, now);
    }
}

/* Reads what has come, and leaves out what is no reply. Returns how many are left. */
static size_t parse_all(struct proxy *proxy, struct upstream_socket *socket, size_t received,
                        struct reply *replies)
{
    size_t count = 0;
    for (size_t i = 0; i < received; i++) {
        const struct mmsghdr *in = &proxy->in[i];
        if ((in->msg_hdr.msg_flags & MSG_TRUNC) != 0 ||
            !reply_parse(proxy->replies[i], in->msg_len, &replies[count])) {
            reject(proxy, socket->upstream, COUNTER_proxy_rejected_malformed);
        } else {
            count++;
        }
    }
    return count;
}

/* Has fetched what the replies will be looked at with: their transactions, then who waits for
 * these, and their places in the cache. */
static void prefetch_all(struct proxy *proxy, const struct upstream_socket *socket,
                         const struct reply *replies, size_t count)
{
    const struct proxy_cache *cache = proxy_cache_of(proxy);
    const struct transaction *transactions[PROXY_BATCH];
    for (size_t i = 0; i < count; i++) {
        const struct attempt *attempt = proxy_attempt_of(proxy, socket, replies[i].id);
        transactions[i] = attempt != NULL ? attempt->transaction : NULL;
        if (transactions[i] != NULL) {
            __builtin_prefetch(&transactions[i]->waiters);
            __builtin_prefetch(transactions[i]->qname);
            __builtin_prefetch(&transactions[i]->question);
            __builtin_prefetch(&transactions[i]->key);
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct transaction *t = transactions[i];
        if (t != NULL && t->waiters != NULL) {
            __builtin_prefetch(t->waiters);
            __builtin_prefetch(&t->waiters->peer);
            __builtin_prefetch(&t->waiters->asked);
            __builtin_prefetch(t->waiters->qname);
        }
        if (t != NULL && t->cache == cache && cache != NULL) {
            proxy_cache_prefetch(cache, t->question.hash);
        }
    }
}

/* The kernel was told that nobody listens there: that goes for all that left by this socket, not
 * for what is asked again because of it. */
static void refused(struct proxy *proxy, struct upstream_socket *socket, uint64_t now)
{
    struct attempt_list gone = LIST_HEAD_INITIALIZER(gone);
    struct attempt *attempt;
    struct attempt *next;
    for (attempt = LIST_FIRST(&socket->attempts); attempt != NULL; attempt = next) {
        next = LIST_NEXT(attempt, of_socket);
        if (attempt->staged == 0) {
            LIST_REMOVE(attempt, of_socket);
            LIST_INSERT_HEAD(&gone, attempt, of_socket);
        }
    }
    while ((attempt = LIST_FIRST(&gone)) != NULL) {
        proxy_attempt_failed(proxy, attempt, UPSTREAM_UNREACHABLE, now);
    }
}

void proxy_readable(evutil_socket_t fd, short what, void *context)
{
    struct upstream_socket *socket = context;
    struct upstream *upstream = socket->upstream;
    struct proxy *proxy = socket->context;
    struct reply replies[PROXY_BATCH];
    uint64_t now = service_clock(proxy->service);
    (void)what;
    upstream->references++; /* both stay while they are read from */
    socket->busy = true;
    for (unsigned i = 0; i < READ_BATCHES; i++) {
        int received = recvmmsg(fd, proxy->in, PROXY_BATCH, MSG_DONTWAIT, NULL);
        if (received < 0 && (errno == ECONNREFUSED || errno == EHOSTUNREACH ||
                             errno == ENETUNREACH)) {
            refused(proxy, socket, now);
            continue;
        }
        size_t count = received > 0 ? parse_all(proxy, socket, (size_t)received, replies) : 0;
        prefetch_all(proxy, socket, replies, count);
        for (size_t n = 0; n < count; n++) {
            read_one(proxy, socket, &replies[n], now);
        }
        proxy_flush(proxy);
        if (received < PROXY_BATCH) {
            break;
        }
    }
    proxy_flush(proxy);
    socket->busy = false;
    upstream_socket_settle(socket);
    proxy_upstream_unref(proxy, upstream);
}

/* ---- Streams ---- */

bool proxy_stream_replied(void *context, uint64_t token, const uint8_t *data, size_t size)
{
    struct proxy *proxy = context;
    struct attempt *attempt = proxy_attempt_of_token(proxy, token);
    struct reply r;
    if (attempt == NULL) {
        return true; /* nobody waits for it */
    }
    if (!reply_parse(data, size, &r)) {
        reject(proxy, attempt->upstream, COUNTER_proxy_rejected_malformed);
        return false;
    }
    if (!answers(attempt, &r) || has_wrong_cookie(attempt->upstream, &r)) {
        reject(proxy, attempt->upstream, COUNTER_proxy_rejected_question);
        return false;
    }
    attempt->answered = true;
    take(proxy, attempt, &r, service_clock(proxy->service));
    proxy_flush(proxy);
    return true;
}

void proxy_stream_failed(void *context, uint64_t token, enum upstream_error error)
{
    struct proxy *proxy = context;
    struct attempt *attempt = proxy_attempt_of_token(proxy, token);
    if (attempt != NULL) {
        attempt->answered = true;
        proxy_attempt_failed(proxy, attempt, error, service_clock(proxy->service));
        proxy_flush(proxy);
    }
}

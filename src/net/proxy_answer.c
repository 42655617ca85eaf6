/*
 * An answer is made in place: for datagrams in one of the slots that leave together, for
 * connections in a buffer that is written at once.
 */
#include <assert.h>
#include <string.h>

#include "dns/message.h"
#include "net/client.h"
#include "net/proxy_own.h"

static const struct settings *settings_of(const struct proxy *proxy)
{
    return &proxy->service->world->settings;
}

static uint32_t now_s(const struct proxy *proxy)
{
    return (uint32_t)(service_now(proxy->service) / 1000000000);
}

/* ---- Where it goes ---- */

void proxy_send_answers(struct proxy *proxy)
{
    struct proxy_answers *answers = &proxy->answers;
    struct counters *counters = proxy->service->counters;
    uint64_t now = answers->count > 0 ? service_clock(proxy->service) : 0;
    for (size_t at = 0, end = 0; at < answers->count; at = end) {
        const struct endpoint *endpoint = answers->waiter[at]->endpoint;
        while (end < answers->count && answers->waiter[end]->endpoint == endpoint) {
            end++;
        }
        uint64_t octets;
        size_t sent = datagrams_send(endpoint->fd, &answers->message[at], end - at, &octets);
        counter_add(counters, COUNTER_answers_udp, sent);
        counter_add(counters, COUNTER_bytes_sent_udp, octets);
        if (sent < end - at) {
            counter_add(counters, COUNTER_dropped_send, end - at - sent);
        }
        for (; at < end; at++) {
            uint64_t taken = now - answers->waiter[at]->since;
            if (sent > 0) {
                counter_add(counters, COUNTER_latency + counter_latency_bucket(taken), 1);
                sent--;
            }
            proxy_wait_no_more(proxy, answers->waiter[at]);
        }
    }
    answers->count = 0;
}

/* Room for an answer to w, or NULL: it is gone, and given back. */
static uint8_t *room_for(struct proxy *proxy, struct waiter *w)
{
    if (w->client != NULL) {
        return proxy->stream_answer + 2;
    }
    if (w->endpoint == NULL) {
        counter_add(proxy->service->counters, COUNTER_proxy_gone, 1);
        proxy_wait_no_more(proxy, w);
        return NULL;
    }
    if (proxy->answers.count == PROXY_BATCH) {
        proxy_send_answers(proxy);
    }
    return proxy->answers.octets[proxy->answers.count];
}

static void send_stream(struct proxy *proxy, struct waiter *w, size_t size)
{
    struct client *client = w->client;
    proxy->stream_answer[0] = (uint8_t)(size >> 8);
    proxy->stream_answer[1] = (uint8_t)size;
    uint64_t now = service_now(proxy->service);
    counter_add(proxy->service->counters, COUNTER_latency + counter_latency_bucket(now - w->since),
                1);
    LIST_REMOVE(w, of_client);
    proxy_wait_no_more(proxy, w);
    client_answer(client, proxy->stream_answer, size + 2, now);
}

/* Sends what was made in room_for(w). */
static void send_to(struct proxy *proxy, struct waiter *w, size_t size)
{
    if (w->client != NULL) {
        send_stream(proxy, w, size);
        return;
    }
    struct proxy_answers *answers = &proxy->answers;
    size_t place = answers->count++;
    answers->waiter[place] = w;
    answers->vector[place] = (struct iovec){answers->octets[place], size};
    answers->message[place].msg_hdr = (struct msghdr){
        .msg_name = &w->peer,
        .msg_namelen = w->peer_size,
        .msg_iov = &answers->vector[place],
        .msg_iovlen = 1,
        .msg_control = w->control_size > 0 ? &w->control : NULL,
        .msg_controllen = w->control_size,
    };
}

/* ---- What it says ---- */

static void answer_reply(struct proxy *proxy, struct waiter *w, const struct reply *r, bool origin)
{
    uint8_t *out = room_for(proxy, w);
    if (out == NULL) {
        return;
    }
    const struct settings *settings = settings_of(proxy);
    struct relay_answer answer = {
        .rcode = r->rcode,
        .flags = forward_flags(r->flags, origin),
        .counts = {r->counts[0], r->counts[1], r->counts[2]},
        .body_size = r->body_size,
        .ede = r->ede,
    };
    assert(r->body == relay_body_at(&w->asked)); /* the same question, so as long */
    if (r->body_size <= relay_body_room(&w->asked, settings, r->ede, NULL)) {
        memcpy(out + r->body, r->message + r->body, r->body_size);
        if (settings->routes != NULL) {
            proxy_cache_clamp(r, &settings->routes->times, out + r->body);
        }
    }
    send_to(proxy, w, relay_finish(&w->asked, settings, &answer, out, proxy->service->counters));
}

/* Answers with what the cache has past its time; false, and nothing done, where it has nothing. */
static bool answer_stale(struct proxy *proxy, struct waiter *w,
                         const struct proxy_question *question, bool origin)
{
    uint8_t *out = room_for(proxy, w);
    if (out == NULL) {
        return true;
    }
    size_t size = forward_find_stale(question, &w->asked, origin, settings_of(proxy),
                                     now_s(proxy), out, proxy->service->counters);
    if (size > 0) {
        send_to(proxy, w, size);
    }
    return size > 0;
}

static void answer_error(struct proxy *proxy, struct waiter *w, const struct relay_answer *answer)
{
    uint8_t *out = room_for(proxy, w);
    if (out != NULL) {
        send_to(proxy, w, relay_finish(&w->asked, settings_of(proxy), answer, out,
                                       proxy->service->counters));
    }
}

/* Whether the cache is still the one that t's question has its hash from. */
static bool has_cache(const struct proxy *proxy, const struct transaction *t)
{
    return t->cache == proxy_cache_of(proxy);
}

/* All that wait for t, which nobody does any more then. */
static struct waiter *take_waiters(struct transaction *t)
{
    struct waiter *w = t->waiters;
    t->waiters = NULL;
    t->waiters_end = &t->waiters;
    return w;
}

static void wait_again(struct transaction *t, struct waiter *w)
{
    w->next = NULL;
    *t->waiters_end = w;
    t->waiters_end = &w->next;
}

void proxy_answer_all(struct proxy *proxy, struct transaction *t, const struct reply *r)
{
    proxy_unlist(proxy, t);
    for (struct waiter *next, *w = take_waiters(t); w != NULL; w = next) {
        next = w->next;
        answer_reply(proxy, w, r, t->group->origin);
    }
}

void proxy_stale_all(struct proxy *proxy, struct transaction *t)
{
    for (struct waiter *next, *w = take_waiters(t); w != NULL; w = next) {
        next = w->next;
        if (!has_cache(proxy, t) ||
            !answer_stale(proxy, w, &t->question, t->group->origin)) {
            wait_again(t, w);
        }
    }
    t->stale = false;
}

/* What a failure of t is told as. */
static struct relay_answer failure_of(const struct transaction *t)
{
    struct relay_answer answer = {
        .rcode = RCODE_SERVFAIL,
        .flags = forward_flags(0, t->group->origin),
        .ede = EDE_NO_REACHABLE_AUTHORITY,
        .ede_text = "no upstream server answers",
    };
    if (t->rcode != 0) {
        /* Those beyond 15 are about EDNS between us and the server, and the client may have
         * none. */
        answer.rcode = t->rcode < 16 ? t->rcode : RCODE_SERVFAIL;
        answer.ede = t->ede;
        answer.ede_text = NULL;
    } else if (t->limited && t->attempts == 0) {
        answer.ede = EDE_OTHER;
        answer.ede_text = "too many questions unanswered";
    } else if (t->unreachable) {
        answer.ede = EDE_NETWORK_ERROR;
        answer.ede_text = "no upstream server can be reached";
    }
    return answer;
}

static void fail_one(struct proxy *proxy, const struct transaction *t, struct waiter *w,
                     const struct relay_answer *answer)
{
    if (has_cache(proxy, t) && answer_stale(proxy, w, &t->question, t->group->origin)) {
        return;
    }
    counter_add(proxy->service->counters,
                t->limited && t->attempts == 0 ? COUNTER_proxy_limited_upstream
                                               : COUNTER_proxy_failed, 1);
    answer_error(proxy, w, answer);
}

/*
 * What can't be had is not asked for again at once: not for a while, where something past its time
 * stands in for it; else for a moment (RFC 9520 section 3.2). Where all of the group are down
 * nothing is asked in any case, and when they are back all is.
 */
static void remember_failure(struct proxy *proxy, const struct transaction *t,
                             const struct relay_answer *answer)
{
    const struct routes *routes = settings_of(proxy)->routes;
    const struct reply r = {.message = (const uint8_t *)"",
                            .rcode = answer->rcode,
                            .ede = answer->ede,
                            .ttl = UINT32_MAX};
    if (t->attempts == 0 || !has_cache(proxy, t)) {
        return;
    }
    if (upstream_all_down(&t->group->set) ||
        !proxy_cache_failed(routes->cache, &t->question, &routes->times, now_s(proxy))) {
        proxy_cache_put(routes->cache, &t->question, &r, &routes->times, now_s(proxy), t->epoch);
    }
}

void proxy_fail_all(struct proxy *proxy, struct transaction *t)
{
    struct relay_answer answer = failure_of(t);
    proxy_unlist(proxy, t);
    for (struct waiter *next, *w = take_waiters(t); w != NULL; w = next) {
        next = w->next;
        fail_one(proxy, t, w, &answer);
    }
    remember_failure(proxy, t, &answer);
}

void proxy_refuse(struct proxy *proxy, struct waiter *waiter, const struct forward *forward,
                  bool stale, const struct relay_answer *answer)
{
    bool origin = settings_of(proxy)->routes->group[forward->route->group].origin;
    if (!stale || !answer_stale(proxy, waiter, &forward->question, origin)) {
        struct relay_answer error = *answer;
        error.flags |= forward_flags(0, origin);
        answer_error(proxy, waiter, &error);
    }
}

/* Answers those who wait for t and came in at endpoint (or all) as if it had failed. */
static void cut(struct proxy *proxy, struct transaction *t, const struct endpoint *endpoint)
{
    struct relay_answer answer = failure_of(t);
    for (struct waiter *next, *w = take_waiters(t); w != NULL; w = next) {
        next = w->next;
        if (endpoint == NULL || w->endpoint == endpoint) {
            fail_one(proxy, t, w, &answer);
        } else {
            wait_again(t, w);
        }
    }
}

void proxy_cut(struct proxy *proxy, const struct endpoint *endpoint)
{
    for (size_t i = 0; i < proxy->transactions_made && proxy->waiting > 0; i++) {
        if (proxy->transactions[i].waiters != NULL) {
            cut(proxy, &proxy->transactions[i], endpoint);
        }
    }
    proxy_flush(proxy);
}

void proxy_move(struct proxy *proxy, struct endpoint *from, struct endpoint *to)
{
    proxy_flush(proxy);
    for (size_t i = 0; i < proxy->transactions_made && from->waiting > 0; i++) {
        for (struct waiter *w = proxy->transactions[i].waiters; w != NULL; w = w->next) {
            if (w->endpoint == from) {
                w->endpoint = to;
                from->waiting--;
                to->waiting++;
            }
        }
    }
}

/*
 * Questions coming in. One that is being asked already is joined; a new one has to pass all that
 * keeps questions from upstream, and is answered at once where it doesn't: from the cache, if that
 * has something past its time, else with an error that says why.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "net/client.h"
#include "net/proxy_own.h"

/* Waiters kept back for those who are answered at once. */
enum { WAITERS_SPARE = 2 * PROXY_BATCH };

static const struct relay_answer client_limited = {
    .rcode = RCODE_SERVFAIL,
    .ede = EDE_OTHER,
    .ede_text = "too many questions of yours unanswered"};
static const struct relay_answer table_full = {
    .rcode = RCODE_SERVFAIL, .ede = EDE_OTHER, .ede_text = "too many questions unanswered"};
static const struct relay_answer down = {.rcode = RCODE_SERVFAIL,
                                         .ede = EDE_NO_REACHABLE_AUTHORITY,
                                         .ede_text = "no upstream server answers"};
static const struct relay_answer over_rate = {
    .rcode = RCODE_REFUSED, .ede = EDE_PROHIBITED, .ede_text = "over the rate of this route"};
static const struct relay_answer over_rate_truncated = {.flags = FLAG_TC, .ede = EDE_NONE};
static const struct relay_answer guarded = {
    .rcode = RCODE_REFUSED, .ede = EDE_PROHIBITED, .ede_text = "too many names fail here"};

/* ---- Taking ---- */

static void count_one(struct proxy *proxy, enum counter counter)
{
    counter_add(proxy->service->counters, counter, 1);
}

static struct proxy_group *group_of(const struct proxy *proxy, const struct forward *forward)
{
    return forward->route->group < proxy->groups ? proxy->group[forward->route->group] : NULL;
}

static struct shared_rate *rate_of(const struct proxy *proxy, const struct forward *forward)
{
    const struct routes *routes = proxy->service->world->settings.routes;
    return &proxy->rates[(size_t)(forward->route - routes->route) % PROXY_RATES];
}

/* What keeps a question that is not being asked yet from upstream; NULL: nothing. */
static const struct relay_answer *objection(struct proxy *proxy, const struct forward *forward,
                                            bool stream, uint64_t now)
{
    const struct route *route = forward->route;
    const struct proxy_group *group = group_of(proxy, forward);
    if (group == NULL || (forward->stale && upstream_all_down(&group->set))) {
        return &down;
    }
    if (!suffix_guard_admits(proxy->guard, forward->question.key, forward->zone_size, now)) {
        count_one(proxy, COUNTER_proxy_refused_suffix);
        /* Where no server answers every suffix has names that fail, and none is to be blamed. */
        return upstream_all_down(&group->set) ? &down : &guarded;
    }
    if (route->rate != 0 && !shared_rate_take(rate_of(proxy, forward), route->rate, now)) {
        count_one(proxy, COUNTER_proxy_refused_rate);
        return route->rate_truncates && !stream ? &over_rate_truncated : &over_rate;
    }
    return NULL;
}

static struct transaction *begin(struct proxy *proxy, const struct forward *forward, uint64_t now)
{
    const struct routes *routes = proxy->service->world->settings.routes;
    struct transaction *t = proxy_begin(proxy, group_of(proxy, forward), &forward->question, now);
    if (t == NULL) {
        return NULL;
    }
    t->zone_size = forward->zone_size;
    t->stale = forward->stale;
    t->cache = routes->cache;
    t->epoch = proxy_cache_epoch(routes->cache);
    t->qname_size = forward->client.qname_size;
    memcpy(t->qname, forward->client.qname, t->qname_size); /* in the case of who asked first */
    proxy_list(proxy, t);
    return t;
}

/* The transaction that a question is to wait for, begun where need be; NULL where it is answered at
 * once, with *answer. */
static struct transaction *admit(struct proxy *proxy, const struct forward *forward, uint32_t cell,
                                 bool stream, uint64_t now, const struct relay_answer **answer)
{
    const struct routes *routes = proxy->service->world->settings.routes;
    if (proxy->outstanding[cell] >= routes->queries_per_client) {
        count_one(proxy, COUNTER_proxy_limited_client);
        *answer = &client_limited;
        return NULL;
    }
    struct transaction *t = NULL;
    if (proxy->waiting < PROXY_WAITERS - WAITERS_SPARE) {
        t = proxy_find(proxy, &forward->question);
        if (t != NULL && forward->stale && now - t->started >= PROXY_STALE_NS) {
            *answer = &down; /* those before were told what the cache has, too */
            return NULL;
        }
        if (t != NULL) {
            count_one(proxy, COUNTER_proxy_coalesced);
            return t;
        }
        *answer = objection(proxy, forward, stream, now);
        if (*answer != NULL) {
            return NULL;
        }
        t = begin(proxy, forward, now);
    }
    if (t == NULL) {
        count_one(proxy, COUNTER_proxy_limited_table);
        *answer = &table_full;
    }
    return t;
}

static void proceed(struct proxy *proxy, struct transaction *t, struct waiter *waiter,
                    const struct forward *forward, const struct relay_answer *answer, uint64_t now)
{
    if (t == NULL) {
        proxy_refuse(proxy, waiter, forward, forward->stale, answer);
    } else if (t->attempts == 0) {
        proxy_ask(proxy, t, now);
    }
}

void proxy_take_datagram(struct proxy *proxy, const struct forward *forward,
                         struct endpoint *endpoint, const struct msghdr *from)
{
    const struct relay_answer *answer = NULL;
    uint64_t now = service_now(proxy->service);
    uint32_t cell = limits_cell(proxy->limits, from->msg_name);
    struct transaction *t = admit(proxy, forward, cell, false, now, &answer);
    struct waiter *w = proxy_wait(proxy, t, forward, cell, now);
    assert(w != NULL); /* some are kept back */
    struct msghdr header = *from;
    datagram_answer_from(&header);
    w->endpoint = endpoint;
    endpoint->waiting++;
    w->peer_size = from->msg_namelen;
    memcpy(&w->peer, from->msg_name, from->msg_namelen);
    w->control_size = header.msg_controllen;
    memcpy(&w->control, from->msg_control, header.msg_controllen);
    proceed(proxy, t, w, forward, answer, now);
}

void proxy_take_query(struct proxy *proxy, const struct forward *forward, struct client *client)
{
    const struct relay_answer *answer = NULL;
    uint64_t now = service_now(proxy->service);
    struct transaction *t = admit(proxy, forward, client->cell, true, now, &answer);
    struct waiter *w = proxy_wait(proxy, t, forward, client->cell, now);
    assert(w != NULL);
    w->client = client;
    LIST_INSERT_HEAD(&client->waiters, w, of_client);
    proceed(proxy, t, w, forward, answer, now);
}

/* Whether what failed a while ago is worth another try already. */
static bool has_recovered(const struct proxy_group *group, uint64_t now)
{
    return group != NULL && group->recovered != 0 &&
           now - group->recovered < PROXY_CACHE_RETRY * (1000 * PROXY_MS);
}

void proxy_refresh(struct proxy *proxy, const struct forward *forward)
{
    uint64_t now = service_now(proxy->service);
    if (forward->stale && !has_recovered(group_of(proxy, forward), now)) {
        return;
    }
    if (proxy_find(proxy, &forward->question) != NULL ||
        objection(proxy, forward, true, now) != NULL) {
        return;
    }
    struct transaction *t = begin(proxy, forward, now);
    if (t != NULL) {
        count_one(proxy, COUNTER_proxy_prefetches);
        proceed(proxy, t, NULL, forward, NULL, now);
    }
}

void proxy_flush(struct proxy *proxy)
{
    proxy_send_queries(proxy);
    proxy_send_answers(proxy);
}

size_t proxy_waiting(const struct proxy *proxy)
{
    return proxy->waiting;
}

void proxy_forget(struct proxy *proxy, struct waiter_list *waiters)
{
    struct waiter *w;
    (void)proxy;
    while ((w = LIST_FIRST(waiters)) != NULL) {
        LIST_REMOVE(w, of_client);
        w->client = NULL;
    }
}

/* ---- Life ---- */

static void prepare(struct proxy *proxy)
{
    for (size_t i = 0; i < PROXY_BATCH; i++) {
        proxy->in_vector[i] = (struct iovec){proxy->replies[i], PROXY_SLOT};
        proxy->in[i].msg_hdr = (struct msghdr){.msg_iov = &proxy->in_vector[i], .msg_iovlen = 1};
        proxy->queries.message[i].msg_hdr =
            (struct msghdr){.msg_iov = &proxy->queries.vector[i], .msg_iovlen = 1};
    }
    for (size_t i = 0; i < WHEEL_TICKS; i++) {
        LIST_INIT(&proxy->wheel[i]);
    }
    proxy->secrets.used = sizeof proxy->secrets.octets;
    proxy_random_octets(proxy, &proxy->random.state, sizeof proxy->random.state);
    proxy->random.state |= 1;
}

struct proxy *proxy_new(struct service *service, struct limits *limits,
                        struct upstream_counts *counts, struct shared_rate *rates)
{
    struct proxy *proxy = calloc(1, sizeof *proxy);
    if (proxy == NULL) {
        return NULL;
    }
    const struct upstream_stream_handler handler = {
        .replied = proxy_stream_replied, .failed = proxy_stream_failed, .context = proxy};
    proxy->service = service;
    proxy->limits = limits;
    proxy->counts = counts;
    proxy->rates = rates;
    proxy->random.state = 1;
    prepare(proxy);
    /* Large and mostly never used: pages come when they are touched. */
    proxy->transactions = calloc(PROXY_TRANSACTIONS, sizeof *proxy->transactions);
    proxy->waiters = calloc(PROXY_WAITERS, sizeof *proxy->waiters);
    proxy->outstanding = calloc(LIMITS_CELLS, sizeof *proxy->outstanding);
    proxy->stream_answer = malloc(2 + MESSAGE_MAX);
    proxy->guard = suffix_guard_new();
    proxy->streams = upstream_streams_new(service->base, &handler);
    proxy->tick = evtimer_new(service->base, proxy_tick, proxy);
    proxy->probes = event_new(service->base, -1, EV_PERSIST, proxy_probe, proxy);
    if (proxy->transactions == NULL || proxy->waiters == NULL || proxy->outstanding == NULL ||
        proxy->stream_answer == NULL || proxy->guard == NULL || proxy->streams == NULL ||
        proxy->tick == NULL || proxy->probes == NULL) {
        proxy_free(proxy);
        return NULL;
    }
    return proxy;
}

/* Ends what is open. Who waits has been answered before, or isn't any more. */
static void end_all(struct proxy *proxy)
{
    for (size_t i = 0; i < proxy->transactions_made; i++) {
        struct transaction *t = &proxy->transactions[i];
        if (t->open) {
            proxy_end(proxy, t);
        }
    }
}

void proxy_free(struct proxy *proxy)
{
    if (proxy == NULL) {
        return;
    }
    if (proxy->transactions != NULL) {
        end_all(proxy);
    }
    proxy_groups_drop(proxy);
    if (proxy->tick != NULL) {
        event_free(proxy->tick);
    }
    if (proxy->probes != NULL) {
        event_free(proxy->probes);
    }
    if (proxy->streams != NULL) {
        upstream_streams_free(proxy->streams);
    }
    suffix_guard_free(proxy->guard);
    free(proxy->transactions);
    free(proxy->waiters);
    free(proxy->outstanding);
    free(proxy->stream_answer);
    free(proxy);
}

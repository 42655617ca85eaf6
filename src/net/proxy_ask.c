/*
 * How a question is asked. The first server has its usual time and more to answer before a second
 * one is asked besides, whose reply is as welcome as the first one's; each attempt after that waits
 * twice as long. A server that did not answer within the group's timeout is held to have failed,
 * but what it says is still taken while the question is open.
 */
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "net/proxy_own.h"

enum {
    /* Transactions looked at before others on the loop have their turn: where all of a full table
     * end at once, nobody else waits for more than a millisecond or two. */
    TICK_TURN = 256,
};

/* ---- Secrets ---- */

/* Where the kernel has none to give (it always has, once it is up), old ones are not used again:
 * what was drawn before is spoiled by the clock. */
static void fetch_secrets(struct proxy *proxy)
{
    struct proxy_secrets *secrets = &proxy->secrets;
    if (getrandom(secrets->octets, sizeof secrets->octets, GRND_NONBLOCK) !=
        (ssize_t)sizeof secrets->octets) {
        for (size_t i = 0; i < sizeof secrets->octets; i++) {
            secrets->octets[i] ^= (uint8_t)(upstream_random(&proxy->random) >> 32);
        }
    }
    secrets->used = 0;
}

void proxy_random_octets(struct proxy *proxy, void *octets, size_t size)
{
    struct proxy_secrets *secrets = &proxy->secrets;
    if (sizeof secrets->octets - secrets->used < size) {
        fetch_secrets(proxy);
    }
    memcpy(octets, secrets->octets + secrets->used, size);
    secrets->used += size;
}

/* Turns the case of letters over by chance: a reply must have it the same ("0x20"). */
static void mix_case(struct proxy *proxy, uint8_t *name, size_t size)
{
    uint8_t bits[NAME_MAX_OCTETS / 8 + 1];
    proxy_random_octets(proxy, bits, sizeof bits);
    for (size_t i = 0; i < size; i++) {
        uint8_t letter = name_lower(name[i]);
        if (letter >= 'a' && letter <= 'z') { /* lengths are below */
            name[i] = (bits[i / 8] >> i % 8 & 1) != 0 ? letter - 'a' + 'A' : letter;
        }
    }
}

/* ---- Sending ---- */

/* Sends what it can. An error that the kernel kept of an earlier message is told by the first call
 * after it, which sends nothing; that of the messages that follow will be told when they are read
 * for. What can't be sent is as good as lost on the way. */
static void send_messages(int fd, struct mmsghdr *messages, size_t count)
{
    bool told = false;
    for (size_t at = 0; at < count;) {
        int done = sendmmsg(fd, &messages[at], (unsigned)(count - at), MSG_DONTWAIT);
        if (done > 0) {
            at += (size_t)done;
        } else if (errno == ECONNREFUSED && !told) {
            told = true;
        } else if (errno != EINTR) {
            at++;
        }
    }
}

/* Questions of one socket leave with one call. */
static void send_of_socket(struct proxy *proxy, struct upstream_socket *socket, size_t first)
{
    struct proxy_queries *queries = &proxy->queries;
    struct mmsghdr messages[PROXY_BATCH];
    size_t count = 0;
    for (size_t i = first; i < queries->count; i++) {
        struct attempt *attempt = queries->attempt[i];
        if (attempt != NULL && attempt->socket == socket) {
            messages[count++] = queries->message[i];
            attempt->staged = 0;
            queries->attempt[i] = NULL;
        }
    }
    send_messages(socket->fd, messages, count);
    upstream_socket_turn(socket);
}

void proxy_send_queries(struct proxy *proxy)
{
    struct proxy_queries *queries = &proxy->queries;
    for (size_t i = 0; i < queries->count; i++) {
        if (queries->attempt[i] != NULL) {
            send_of_socket(proxy, queries->attempt[i]->socket, i);
        }
    }
    queries->count = 0;
}

static bool send_datagram(struct proxy *proxy, struct attempt *attempt, uint64_t now)
{
    struct upstream_socket *socket = upstream_socket_take(
        proxy->service->base, attempt->upstream, proxy_readable, proxy, now);
    if (socket == NULL) {
        return false;
    }
    struct proxy_queries *queries = &proxy->queries;
    if (queries->count == PROXY_BATCH) {
        proxy_send_queries(proxy);
    }
    proxy_attempt_id(proxy, attempt, socket);
    size_t place = queries->count++;
    queries->vector[place] = (struct iovec){queries->octets[place],
                                            proxy_compose(proxy, attempt, queries->octets[place])};
    queries->attempt[place] = attempt;
    attempt->staged = (uint8_t)(place + 1);
    return true;
}

static bool send_stream(struct proxy *proxy, struct attempt *attempt)
{
    uint8_t query[PROXY_QUERY];
    struct upstream *upstream = attempt->upstream;
    bool tls = upstream->server.transport == UPSTREAM_TLS;
    size_t size = proxy_compose(proxy, attempt, query);
    attempt->stream = upstream_stream_send(proxy->streams, upstream,
                                           tls ? attempt->transaction->group->trust : NULL, query,
                                           size, proxy_token(proxy, attempt)) == 0;
    return attempt->stream;
}

/* Sends the question of t to upstream; false where that can't be. */
static bool send_to(struct proxy *proxy, struct transaction *t, struct upstream *upstream,
                    bool stream, uint64_t now)
{
    struct attempt *attempt = proxy_attempt(t, upstream, now);
    if (attempt == NULL) {
        return false;
    }
    if (stream ? send_stream(proxy, attempt) : send_datagram(proxy, attempt, now)) {
        counter_add(proxy->service->counters, COUNTER_proxy_asked, 1);
        return true;
    }
    upstream_failed(upstream, UPSTREAM_UNREACHABLE, now, now, &proxy->random);
    proxy_attempt_end(proxy, attempt);
    t->unreachable = true;
    return false;
}

/* ---- What next ---- */

static uint32_t all_servers(const struct transaction *t)
{
    return (uint32_t)((UINT64_C(1) << t->group->set.count) - 1);
}

static bool may_ask_more(const struct transaction *t)
{
    return t->attempts < t->group->attempts && t->probe < 0;
}

/* When t is to be looked at next. */
static void schedule(struct proxy *proxy, struct transaction *t)
{
    uint64_t due = t->give_up;
    for (unsigned i = 0; i < t->used; i++) {
        const struct attempt *attempt = &t->attempt[i];
        uint64_t late = attempt->sent + t->group->timeout_ns;
        if (attempt->live && !attempt->late && late < due) {
            due = late;
        }
    }
    if (may_ask_more(t) && t->next_attempt < due) {
        due = t->next_attempt;
    }
    if (t->stale && t->waiters != NULL && t->started + PROXY_STALE_NS < due) {
        due = t->started + PROXY_STALE_NS;
    }
    proxy_wake(proxy, t, due);
}

/* Nobody will answer any more. That nobody had room for the question says nothing of its name. */
static void fail(struct proxy *proxy, struct transaction *t, uint64_t now)
{
    if (t->probe < 0) {
        if (t->attempts > 0) {
            suffix_guard_ended(proxy->guard, t->key.symbols, t->key.size, t->zone_size, true, now);
        }
        proxy_fail_all(proxy, t);
    }
    proxy_end(proxy, t);
}

/* The first one only: name and times. */
static void begin_asking(struct proxy *proxy, struct transaction *t)
{
    struct proxy_group *group = t->group;
    uint64_t patience = group->timeout_ns * group->attempts;
    if (t->probe >= 0 || upstream_all_down(&group->set)) {
        patience = group->timeout_ns;
    }
    t->give_up = t->started + (patience < PROXY_GIVE_UP_NS ? patience : PROXY_GIVE_UP_NS);
    if (group->case_mix) {
        mix_case(proxy, t->qname, t->qname_size);
    }
}

static int choose(struct proxy *proxy, struct transaction *t)
{
    if (t->probe >= 0) {
        return t->probe;
    }
    return upstream_choose(&t->group->set, t->tried, t->question.hash, &proxy->random);
}

void proxy_ask(struct proxy *proxy, struct transaction *t, uint64_t now)
{
    if (t->attempts == 0) {
        begin_asking(proxy, t);
    }
    while (t->attempts < t->group->attempts) {
        int chosen = choose(proxy, t);
        if (chosen < 0) {
            t->limited = true;
            break;
        }
        struct upstream *upstream = t->group->set.upstream[chosen];
        uint64_t patience = upstream_patience_ns(upstream, t->group->timeout_ns);
        t->next_attempt = now + (patience << t->attempts);
        t->tried |= UINT32_C(1) << chosen;
        t->attempts++;
        if (send_to(proxy, t, upstream, upstream->server.transport != UPSTREAM_UDP, now)) {
            break;
        }
    }
    if (t->live == 0) {
        fail(proxy, t, now);
    } else {
        schedule(proxy, t);
    }
}

bool proxy_ask_again(struct proxy *proxy, struct transaction *t, struct upstream *upstream,
                     bool stream, uint64_t now)
{
    bool sent =
        send_to(proxy, t, upstream, stream || upstream->server.transport != UPSTREAM_UDP, now);
    if (sent) {
        schedule(proxy, t);
    }
    return sent;
}

/* The server had no part in it: another connection may do better. */
static bool ask_the_same(struct proxy *proxy, const struct attempt *attempt, uint64_t now)
{
    return proxy_ask_again(proxy, attempt->transaction, attempt->upstream, attempt->stream, now);
}

void proxy_attempt_failed(struct proxy *proxy, struct attempt *attempt, enum upstream_error error,
                          uint64_t now)
{
    struct transaction *t = attempt->transaction;
    bool blameless = error == UPSTREAM_NO_ERROR;
    bool again = blameless && ask_the_same(proxy, attempt, now);
    if (error == UPSTREAM_UNREACHABLE && attempt->stream &&
        attempt->upstream->server.transport == UPSTREAM_UDP) {
        attempt->upstream->cookie_size = 8; /* as it can't be asked about it over TCP */
    }
    if (!blameless) {
        upstream_failed(attempt->upstream, error, attempt->sent, now, &proxy->random);
        t->unreachable |= error == UPSTREAM_UNREACHABLE || error == UPSTREAM_TLS_FAILED;
    }
    proxy_attempt_end(proxy, attempt);
    if (again) {
        return;
    }
    if (may_ask_more(t) && t->tried != all_servers(t)) {
        proxy_ask(proxy, t, now);
    } else if (t->live == 0) {
        fail(proxy, t, now);
    }
}

/* ---- The clock ---- */

static void note_late(struct proxy *proxy, struct attempt *attempt, uint64_t now)
{
    if (attempt->live && !attempt->late) {
        attempt->late = true;
        counter_add(proxy->service->counters, COUNTER_proxy_timeouts, 1);
        upstream_failed(attempt->upstream, UPSTREAM_TIMEOUT, attempt->sent, now, &proxy->random);
    }
}

static void note_timeouts(struct proxy *proxy, struct transaction *t, uint64_t now)
{
    for (unsigned i = 0; i < t->used; i++) {
        if (now - t->attempt[i].sent >= t->group->timeout_ns) {
            note_late(proxy, &t->attempt[i], now);
        }
    }
}

void proxy_overtaken(struct proxy *proxy, const struct attempt *by, uint64_t now)
{
    struct transaction *t = by->transaction;
    for (struct attempt *attempt = t->attempt; attempt < by; attempt++) {
        note_late(proxy, attempt, now);
    }
}

static void look_at(struct proxy *proxy, struct transaction *t, uint64_t now)
{
    note_timeouts(proxy, t, now);
    if (now >= t->give_up) {
        fail(proxy, t, now);
        return;
    }
    if (t->stale && now - t->started >= PROXY_STALE_NS) {
        proxy_stale_all(proxy, t);
    }
    if (may_ask_more(t) && now >= t->next_attempt) {
        proxy_ask(proxy, t, now);
    } else {
        schedule(proxy, t);
    }
}

/* What is due of the tick at hand, which nothing is put back on: what was put off further than the
 * wheel reaches, or is not due quite yet, goes on others. False where the turn was over before. */
static bool tick(struct proxy *proxy, uint64_t now, unsigned *turn)
{
    struct transaction_list *list = &proxy->wheel[proxy->ticked % WHEEL_TICKS];
    struct transaction *t;
    while ((t = LIST_FIRST(list)) != NULL) {
        if ((*turn)-- == 0) {
            return false;
        }
        LIST_REMOVE(t, timed);
        uint64_t when = t->due;
        t->due = 0;
        if (when <= now) {
            look_at(proxy, t, now);
        } else {
            proxy_wake(proxy, t, when);
        }
    }
    return true;
}

static const struct timeval tick_interval = {0, TICK_MS * 1000L};
static const struct timeval at_once = {0, 0};

void proxy_start_clock(struct proxy *proxy, uint64_t now)
{
    if (!evtimer_pending(proxy->tick, NULL)) {
        proxy->ticked = now / (TICK_MS * PROXY_MS);
        evtimer_add(proxy->tick, &tick_interval);
    }
}

void proxy_tick(evutil_socket_t fd, short what, void *context)
{
    struct proxy *proxy = context;
    (void)fd;
    (void)what;
    uint64_t now = service_clock(proxy->service);
    uint64_t until = now / (TICK_MS * PROXY_MS);
    if (until - proxy->ticked > WHEEL_TICKS) {
        proxy->ticked = until - WHEEL_TICKS; /* once around is all */
    }
    bool done = true;
    for (unsigned turn = TICK_TURN; done && proxy->ticked < until;) {
        proxy->ticked++;
        done = tick(proxy, now, &turn);
    }
    proxy->ticked -= !done; /* goes on there */
    proxy_flush(proxy);
    if (proxy->live > 0) {
        evtimer_add(proxy->tick, done ? &tick_interval : &at_once);
    }
}

/* ---- Probes ---- */

static void probe(struct proxy *proxy, struct proxy_group *group, unsigned server, uint64_t now)
{
    struct key key;
    key_from_name(group->probe_name, &key);
    struct proxy_question question = {
        .key = &key, .qtype = group->probe_type, .flags = PROXY_RD, .group = group->id};
    struct transaction *t = proxy_begin(proxy, group, &question, now);
    if (t != NULL) {
        t->qname_size = (uint8_t)name_size(group->probe_name);
        memcpy(t->qname, group->probe_name, t->qname_size);
        t->probe = (int)server;
        proxy_ask(proxy, t, now);
    }
}

void proxy_probe(evutil_socket_t fd, short what, void *context)
{
    struct proxy *proxy = context;
    (void)fd;
    (void)what;
    uint64_t now = service_clock(proxy->service);
    for (size_t i = 0; i < proxy->groups; i++) {
        struct proxy_group *group = proxy->group[i];
        for (unsigned n = 0; n < group->set.count; n++) {
            if (upstream_probe_due(group->set.upstream[n], group->probe_interval_ns, now)) {
                probe(proxy, group, n, now);
            }
        }
    }
    proxy_flush(proxy);
}

/*
 * Upstream servers under load, simulated: questions come at a steady rate and are asked of servers
 * that are quick, slow, dead and back again, the way a worker asks (patience, attempts, probes,
 * late replies). The clock is the simulation's own.
 */
#include "net/upstream.h"

#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "unit.h"

enum {
    SERVERS = 3,
    ATTEMPTS = 3,
    EVENTS = 1 << 18,
    TICKS = 1 << 16, /* of the calendar: six seconds of 100 us */
    PROBE = -1,      /* a question that nobody asked */
};

static const uint64_t MS = 1000000, SECOND = 1000000000, TICK = 100000;
static const uint64_t TIMEOUT = 2000000000, PROBE_INTERVAL = 30000000000;

/* What a question sent comes to. */
struct event {
    uint64_t sent_at;
    int next;     /* in its tick, or among those free */
    int question; /* its number, or PROBE */
    uint8_t server;
    bool replies; /* else it is waited for no more */
    bool late;    /* the reply, when that has been */
};

struct question {
    uint64_t asked_at;
    uint8_t attempts;
    uint8_t tried;
};

/* How a server does now, and what came of it. */
struct server {
    bool dead;
    uint64_t latency;
    unsigned lost; /* so many in a thousand */
    unsigned asked, probed;
};

static struct {
    uint64_t now, tick;
    struct server server[SERVERS];
    struct upstream_set set;
    struct upstream_counts counts[SERVERS];
    struct upstream_random chance;
    struct rng rng;
    struct event event[EVENTS];
    struct question question[EVENTS]; /* in a ring */
    int free, questions;
    int calendar[TICKS];
    unsigned answered, failed, second_attempts;
    uint64_t longest; /* that one answered took */
} sim;

static void set_up(void)
{
    static const char *const texts[SERVERS] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
    memset(&sim, 0, sizeof sim);
    sim.now = 1000 * SECOND;
    sim.rng = rng_start();
    sim.chance.state = rng_next(&sim.rng) | 1;
    sim.set = (struct upstream_set){.count = SERVERS, .queries_max = 4096};
    for (size_t i = 0; i < SERVERS; i++) {
        static const uint8_t cookie[8];
        char text[ADDRESS_TEXT_MAX];
        strcpy(text, texts[i]);
        struct upstream_server server = {.text = text};
        address_parse(text, 53, &server.address, &server.address_size);
        sim.set.upstream[i] = upstream_new(&server, &sim.counts[i], cookie);
        ck_assert_ptr_nonnull(sim.set.upstream[i]);
        sim.server[i].latency = (10 + 10 * i) * MS;
    }
    for (int i = 0; i < EVENTS; i++) {
        sim.event[i].next = i + 1;
    }
    for (size_t i = 0; i < TICKS; i++) {
        sim.calendar[i] = EVENTS;
    }
}

static void tear_down(void)
{
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert_uint_eq(sim.set.upstream[i]->state, sim.counts[i].state);
        upstream_free(sim.set.upstream[i]);
    }
}

static void schedule(struct event event, uint64_t after)
{
    int i = sim.free;
    ck_assert_int_lt(i, EVENTS);
    sim.free = sim.event[i].next;
    uint64_t at = (sim.tick + after / TICK + 1) % TICKS;
    event.next = sim.calendar[at];
    sim.event[i] = event;
    sim.calendar[at] = i;
}

static void send_to(int question, uint8_t i, uint64_t patience)
{
    struct server *server = &sim.server[i];
    upstream_sent(sim.set.upstream[i], question == PROBE);
    struct event event = {.sent_at = sim.now, .question = question, .server = i};
    bool reached = !server->dead && rng_below(&sim.rng, 1000) >= server->lost;
    event.replies = reached && server->latency < patience;
    schedule(event, event.replies ? server->latency : patience);
    if (reached && !event.replies) {
        event.replies = event.late = true;
        schedule(event, server->latency);
    }
}

static void ask(int question)
{
    struct question *q = &sim.question[question % EVENTS];
    /* Names repeat themselves. */
    uint64_t hash = (uint64_t)(question % 1000) * 0x9e3779b97f4a7c15u;
    int chosen =
        q->attempts < ATTEMPTS ? upstream_choose(&sim.set, q->tried, hash, &sim.chance) : -1;
    if (chosen < 0) {
        sim.failed++;
        return;
    }
    sim.second_attempts += q->attempts == 1;
    q->attempts++;
    q->tried = (uint8_t)(q->tried | 1u << chosen);
    sim.server[chosen].asked++;
    send_to(question, (uint8_t)chosen, upstream_patience_ns(sim.set.upstream[chosen], TIMEOUT));
}

static void happen(const struct event *event)
{
    struct upstream *upstream = sim.set.upstream[event->server];
    bool probe = event->question == PROBE;
    if (event->replies) {
        upstream_replied(upstream, sim.now - event->sent_at, sim.now);
        if (event->late) {
            return;
        }
        upstream_done(upstream, probe);
        if (!probe) {
            uint64_t took = sim.now - sim.question[event->question % EVENTS].asked_at;
            sim.longest = took > sim.longest ? took : sim.longest;
            sim.answered++;
        }
        return;
    }
    upstream_failed(upstream, UPSTREAM_TIMEOUT, event->sent_at, sim.now, &sim.chance);
    upstream_done(upstream, probe);
    if (!probe) {
        ask(event->question);
    }
}

static void probe_all(void)
{
    for (uint8_t i = 0; i < SERVERS; i++) {
        if (upstream_probe_due(sim.set.upstream[i], PROBE_INTERVAL, sim.now)) {
            sim.server[i].probed++;
            send_to(PROBE, i, TIMEOUT);
        }
    }
}

/* Goes on for span, with so many questions in each tick of 100 us. */
static void run(uint64_t span, unsigned questions)
{
    for (uint64_t end = sim.now + span; sim.now < end; sim.now += TICK, sim.tick++) {
        int *due = &sim.calendar[sim.tick % TICKS];
        while (*due != EVENTS) {
            int i = *due;
            struct event event = sim.event[i];
            *due = event.next;
            sim.event[i].next = sim.free;
            sim.free = i;
            happen(&event);
        }
        for (unsigned n = 0; n < questions; n++) {
            int question = sim.questions++;
            sim.question[question % EVENTS] = (struct question){.asked_at = sim.now};
            ask(question);
        }
        if (sim.tick % 100 == 0) {
            probe_all();
        }
    }
}

/* Until nothing is on its way but a probe. */
static void run_out(void)
{
    run(5 * SECOND, 0);
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert_uint_eq(sim.set.upstream[i]->outstanding, sim.set.upstream[i]->probing);
    }
    ck_assert_uint_eq(sim.answered + sim.failed, (unsigned)sim.questions);
}

static void forget_counts(void)
{
    sim.answered = sim.failed = sim.second_attempts = 0;
    sim.questions = 0;
    sim.longest = 0;
    for (size_t i = 0; i < SERVERS; i++) {
        sim.server[i].asked = sim.server[i].probed = 0;
    }
}

/* The one that has most dies under 10,000 questions a second, and comes back, whatever the way to
 * choose. */
START_TEST(one_dies_and_comes_back)
{
    sim.set.select = (enum upstream_select)_i;
    run(2 * SECOND, 1);
    ck_assert_uint_eq(sim.failed, 0);
    unsigned before = sim.server[0].asked;

    sim.server[0].dead = true;
    run(10 * SECOND, 1);
    /* What was sent in 300 ms, until the first were late, and probes. */
    unsigned in_vain = sim.server[0].asked - before;
    ck_assert_int_eq(sim.set.upstream[0]->state, UPSTREAM_DOWN);
    ck_assert_uint_le(in_vain, before * 16 / 100 + 10);
    ck_assert_uint_le(sim.second_attempts, in_vain);
    ck_assert_uint_eq(sim.failed, 0);
    ck_assert_uint_le(sim.longest, 400 * MS);
    /* 1 + 2 (timeout) + 2 + 2 + 4 s: two or three have been, and the back-off is no longer. */
    ck_assert_uint_ge(sim.server[0].probed, 2);
    ck_assert_uint_le(sim.server[0].probed, 4);
    ck_assert_uint_le(sim.set.upstream[0]->back_off, 3);

    sim.server[0].dead = false;
    run(10 * SECOND, 1); /* eight seconds and a quarter at the most */
    ck_assert_int_eq(sim.set.upstream[0]->state, UPSTREAM_UP);
    ck_assert_uint_lt(sim.set.upstream[0]->ewma_ns, 12 * MS);
    ck_assert_uint_gt(sim.server[0].asked, before);
    run_out();
    ck_assert_uint_eq(sim.failed, 0);
}
END_TEST

/* Gone for a moment in a flood: as soon as a probe is answered it is back, and what is still to
 * fail from before does no harm. */
START_TEST(a_moment_of_silence)
{
    sim.set.select = SELECT_ORDERED;
    run(SECOND, 2);
    sim.server[0].dead = true;
    run(500 * MS, 2);
    ck_assert_int_eq(sim.set.upstream[0]->state, UPSTREAM_DOWN);
    sim.server[0].dead = false;
    run(1500 * MS, 2);
    ck_assert_int_eq(sim.set.upstream[0]->state, UPSTREAM_UP);
    forget_counts();
    run(5 * SECOND, 2);
    ck_assert_uint_eq(sim.server[0].asked, 100000);
    ck_assert_uint_eq(sim.second_attempts, 0);
}
END_TEST

START_TEST(all_die_and_come_back)
{
    sim.set.select = (enum upstream_select)_i;
    run(SECOND, 1);
    for (size_t i = 0; i < SERVERS; i++) {
        sim.server[i].dead = true;
    }
    run(20 * SECOND, 1);
    ck_assert(upstream_all_down(&sim.set));
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert_uint_le(sim.set.upstream[i]->back_off, 4);
    }
    /* A few times back_off had been doubled; but the least bad is always asked: one reply is
     * enough. */
    sim.server[2].dead = false;
    run(17 * SECOND, 1);
    ck_assert_int_eq(sim.set.upstream[2]->state, UPSTREAM_UP);
    run(3 * SECOND, 1);
    forget_counts();
    run(SECOND, 1);
    ck_assert_uint_eq(sim.server[2].asked, 10000);
    ck_assert_uint_eq(sim.failed, 0);
}
END_TEST

/* With nothing known at first, few of a flood go to the dead one among those that live. */
START_TEST(a_dead_one_from_the_start)
{
    sim.set.select = SELECT_FASTEST;
    sim.server[0].dead = true;
    run(3 * SECOND, 3);
    ck_assert_int_eq(sim.set.upstream[0]->state, UPSTREAM_DOWN);
    ck_assert_uint_eq(sim.failed, 0);
    /* Until any has replied all are as good; then the few that unknown ones have, and
     * explorations. */
    ck_assert_uint_le(sim.server[0].asked, 30 * 20 / 3 + 30 * 600 / 64 + 150);
    ck_assert_uint_le(sim.longest, 700 * MS);
    run_out();
}
END_TEST

START_TEST(slow_for_a_while)
{
    sim.set.select = SELECT_FASTEST;
    run(2 * SECOND, 1);
    forget_counts();
    run(SECOND, 1);
    ck_assert_uint_gt(sim.server[0].asked, 9500);
    sim.server[0].latency = 150 * MS;
    run(SECOND, 1);
    forget_counts();
    run(SECOND, 1);
    ck_assert_uint_gt(sim.server[1].asked, 9500);
    sim.server[0].latency = 5 * MS;
    run(SECOND, 1);
    forget_counts();
    run(SECOND, 1);
    ck_assert_uint_gt(sim.server[0].asked, 9500);
    /* Slower than patience, but it answers: it is never down for long, and its latency is known. */
    sim.server[0].latency = 900 * MS;
    run(10 * SECOND, 1);
    ck_assert_uint_gt(sim.set.upstream[0]->ewma_ns, 800 * MS);
    ck_assert_uint_eq(sim.failed, 0);
}
END_TEST

/* One in ten is lost by the nearest server: the next one is better. */
START_TEST(who_loses_is_slow)
{
    sim.set.select = SELECT_FASTEST;
    sim.server[0].lost = 100;
    run(10 * SECOND, 1);
    ck_assert_uint_lt(sim.server[0].asked, sim.server[1].asked / 2);
    run_out();
    ck_assert_uint_eq(sim.failed, 0);
}
END_TEST

/* With no questions at all, probes find what died and what is back. */
START_TEST(idle)
{
    run(SECOND, 0);
    for (size_t i = 0; i < SERVERS; i++) {
        ck_assert_int_eq(sim.set.upstream[i]->state, UPSTREAM_UP);
        ck_assert_uint_eq(sim.server[i].probed, 1);
    }
    run(60 * SECOND, 0);
    ck_assert_uint_eq(sim.server[0].probed, 3);
    sim.server[0].dead = true;
    run(40 * SECOND, 0);
    ck_assert_int_eq(sim.set.upstream[0]->state, UPSTREAM_DOWN);
    sim.server[0].dead = false;
    run(60 * SECOND, 0);
    ck_assert_int_eq(sim.set.upstream[0]->state, UPSTREAM_UP);
    /* A minute's back-off at the most, whatever it was. */
    sim.server[0].dead = true;
    run(600 * SECOND / UNIT_SLOWER, 0);
    unsigned before = sim.server[0].probed;
    run(300 * SECOND, 0);
    ck_assert_uint_ge(sim.server[0].probed - before, 3);
    ck_assert_uint_le(sim.server[0].probed - before, 7);
    run_out();
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("upstream under load");
    tcase_add_checked_fixture(unit.tests, set_up, tear_down);
    tcase_add_loop_test(unit.tests, one_dies_and_comes_back, SELECT_FASTEST, SELECT_HASH + 1);
    tcase_add_test(unit.tests, a_moment_of_silence);
    tcase_add_loop_test(unit.tests, all_die_and_come_back, SELECT_FASTEST, SELECT_HASH + 1);
    tcase_add_test(unit.tests, a_dead_one_from_the_start);
    tcase_add_test(unit.tests, slow_for_a_while);
    tcase_add_test(unit.tests, who_loses_is_slow);
    tcase_add_test(unit.tests, idle);
    return unit_end(&unit);
}

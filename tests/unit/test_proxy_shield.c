/*
 * What is kept from upstream servers. Attacks are simulated: names come at a steady rate, what is
 * let through ends after a while, and the clock is the test's own.
 */
#include "serve/proxy_shield.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"

static const uint64_t MS = 1000000, SECOND = 1000000000;

/* ---- The rate ---- */

static unsigned take_all(struct shared_rate *rate, uint32_t per_second, uint64_t now)
{
    unsigned taken = 0;
    while (shared_rate_take(rate, per_second, now)) {
        taken++;
    }
    return taken;
}

START_TEST(bursts_of_a_tenth_of_a_second)
{
    static const uint32_t rates[] = {1, 7, 99, 100, 1000, 30000, 1000000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct shared_rate rate = {0};
        uint32_t most = rates[i] <= 100 ? 10 : rates[i] / 10;
        ck_assert_uint_eq(take_all(&rate, rates[i], 100 * SECOND), most);
        /* Used up, and full again after as long. */
        ck_assert(!shared_rate_take(&rate, rates[i], 100 * SECOND));
        ck_assert_uint_eq(take_all(&rate, rates[i], 200 * SECOND), most);
    }
}
END_TEST

START_TEST(no_more_than_the_rate)
{
    struct shared_rate rate = {0};
    uint64_t now = 5000 * SECOND;
    unsigned taken = take_all(&rate, 1000, now);
    ck_assert_uint_eq(taken, 100);
    for (unsigned i = 0; i < 100000; i++) {
        now += MS / 10; /* ten times as many are asked for */
        taken += shared_rate_take(&rate, 1000, now);
    }
    ck_assert_uint_ge(taken, 100 + 9999);
    ck_assert_uint_le(taken, 100 + 10001);
    /* And all of what is within it. */
    for (unsigned i = 0; i < 1000; i++) {
        now += MS;
        ck_assert(shared_rate_take(&rate, 1000, now));
    }
}
END_TEST

static void *take_in_thread(void *rate)
{
    static _Thread_local unsigned taken;
    taken = take_all(rate, 1000000, 100 * SECOND);
    return (void *)(uintptr_t)taken;
}

START_TEST(workers_share_it)
{
    struct shared_rate rate = {0};
    pthread_t thread[4];
    uintptr_t taken = 0;
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, take_in_thread, &rate), 0);
    }
    for (size_t i = 0; i < 4; i++) {
        void *own;
        pthread_join(thread[i], &own);
        taken += (uintptr_t)own;
    }
    ck_assert_uint_eq(taken, 100000);
}
END_TEST

/* ---- The guard: who asks, and what becomes of it ---- */

enum { PENDING = 1 << 14 };

/* A kind of names asked for, so many each second. */
struct traffic {
    const char *format; /* the first "%u" is another number each time, the last one is drawn */
    unsigned per_second;
    unsigned below;    /* that is drawn; 0: another number each time too */
    unsigned failing;  /* so many in a hundred; 100 is a dead origin */
    unsigned capacity; /* answers a second at the most; 0: any */
    const char *zone;  /* of the route; NULL: the root */
    unsigned asked, admitted, refused, used;
};

struct pending {
    struct key key;
    uint16_t zone_size;
    bool failed;
};

static struct {
    struct suffix_guard *guard;
    struct rng rng;
    uint64_t now;
    uint64_t answer_ns, timeout_ns;
    /* Those that end with an answer and with a timeout, each in order. */
    struct queue {
        struct pending *pending;
        uint64_t *ends_at;
        unsigned first, next;
    } queue[2];
    unsigned number;
} sim;

static void set_up(void)
{
    memset(&sim, 0, sizeof sim);
    sim.guard = suffix_guard_new();
    ck_assert_ptr_nonnull(sim.guard);
    sim.rng = rng_start();
    sim.now = 77 * SECOND + rng_below(&sim.rng, 1000000000);
    sim.answer_ns = 20 * MS;
    sim.timeout_ns = SECOND;
    for (size_t i = 0; i < 2; i++) {
        sim.queue[i].pending = malloc(PENDING * sizeof *sim.queue[i].pending);
        sim.queue[i].ends_at = malloc(PENDING * sizeof *sim.queue[i].ends_at);
    }
}

static void tear_down(void)
{
    suffix_guard_free(sim.guard);
    for (size_t i = 0; i < 2; i++) {
        free(sim.queue[i].pending);
        free(sim.queue[i].ends_at);
    }
}

/* The key of a name as text, without a dot at its end. */
static void make_key(struct key *key, const char *text)
{
    uint8_t wire[NAME_MAX_OCTETS];
    size_t at = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, ".");
        wire[at++] = (uint8_t)size;
        memcpy(wire + at, text, size);
        at += size;
        text += size + (text[size] == '.');
    }
    wire[at] = 0;
    key_from_name(wire, key);
}

static void end_due(void)
{
    for (size_t i = 0; i < 2; i++) {
        struct queue *q = &sim.queue[i];
        while (q->first != q->next && q->ends_at[q->first % PENDING] <= sim.now) {
            struct pending *p = &q->pending[q->first++ % PENDING];
            suffix_guard_ended(sim.guard, p->key.symbols, p->key.size, p->zone_size, p->failed,
                               sim.now);
        }
    }
}

static void ask(struct traffic *traffic)
{
    char text[256];
    unsigned below = traffic->below > 0 ? rng_below(&sim.rng, traffic->below) : sim.number;
    bool one = strchr(traffic->format, '%') == strrchr(traffic->format, '%');
    snprintf(text, sizeof text, traffic->format, one ? below : sim.number, below);
    sim.number++;
    struct pending p = {.failed = rng_below(&sim.rng, 100) < traffic->failing};
    if (traffic->capacity != 0 && traffic->used++ >= traffic->capacity / 100) {
        p.failed = true;
    }
    make_key(&p.key, text);
    if (traffic->zone != NULL) {
        struct key zone;
        make_key(&zone, traffic->zone);
        p.zone_size = zone.size;
    }
    traffic->asked++;
    if (!suffix_guard_admits(sim.guard, &p.key, p.zone_size, sim.now)) {
        traffic->refused++;
        traffic->used -= traffic->capacity != 0;
        return;
    }
    traffic->admitted++;
    struct queue *q = &sim.queue[p.failed];
    ck_assert_uint_lt(q->next - q->first, PENDING);
    q->ends_at[q->next % PENDING] = sim.now + (p.failed ? sim.timeout_ns : sim.answer_ns);
    q->pending[q->next++ % PENDING] = p;
}

/* In steps of a tenth of a millisecond. */
static void run(uint64_t span, struct traffic *traffic, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        traffic[i].asked = traffic[i].admitted = traffic[i].refused = 0;
    }
    unsigned step = 0;
    for (uint64_t end = sim.now + span; sim.now < end; sim.now += MS / 10, step++) {
        end_due();
        for (size_t i = 0; i < count; i++) {
            if (step % 100 == 0) {
                traffic[i].used = 0;
            }
            uint64_t due = (uint64_t)(step + 1) * traffic[i].per_second / 10000;
            while (traffic[i].asked < due) {
                ask(&traffic[i]);
            }
        }
    }
}

/* ---- Attacks ---- */

/* Everybody else's: names under other suffixes, of which some fail. */
#define OTHERS                                                                      \
    {                                                                               \
        .format = "n%u.s%u.example", .per_second = 2000, .below = 200, .failing = 5 \
    }

static void attack(const char *format, unsigned below, const char *zone)
{
    struct traffic t[] = {
        {.format = format, .per_second = 10000, .below = below, .failing = 100, .zone = zone},
        OTHERS,
        {.format = "n%u.s%u.co.uk", .per_second = 1000, .below = 50, .failing = 5},
        {.format = "n%u.co.uk", .per_second = 1000, .failing = 5},
    };
    enum { KINDS = sizeof t / sizeof *t };
    /* Until the first have timed out nothing is known. */
    run(sim.timeout_ns + 300 * MS, t, KINDS);
    run(10 * SECOND, t, KINDS);
    ck_assert_uint_gt(t[0].refused, 100000 * 14 / 16);
    ck_assert_uint_gt(t[0].admitted, 100000 / 32); /* it looks whether it has recovered */
    for (size_t i = 1; i < KINDS; i++) {
        ck_assert_msg(t[i].refused == 0, "%u of %s", t[i].refused, t[i].format);
    }
    /* It has; the attack goes on. */
    t[0].failing = 0;
    run(sim.timeout_ns + 3 * SECOND, t, KINDS);
    run(5 * SECOND, t, KINDS);
    for (size_t i = 0; i < KINDS; i++) {
        ck_assert_msg(t[i].refused == 0, "%u of %s", t[i].refused, t[i].format);
    }
    /* And once more. */
    t[0].failing = 100;
    run(sim.timeout_ns + 300 * MS, t, KINDS);
    run(2 * SECOND, t, KINDS);
    ck_assert_uint_gt(t[0].refused, 20000 * 14 / 16);
}

START_TEST(random_names)
{
    attack("r%u.victim.example", 0, NULL);
}
END_TEST

START_TEST(random_names_at_two_levels)
{
    attack("r%u.s%u.victim.example", 0, NULL);
}
END_TEST

START_TEST(random_names_below_few)
{
    attack("r%u.s%u.victim.example", 20, NULL);
}
END_TEST

START_TEST(random_names_below_many)
{
    attack("r%u.s%u.victim.example", 3000, NULL);
}
END_TEST

START_TEST(random_names_far_down)
{
    attack("r%u.f.e.d.c.b.a.victim.example", 0, NULL);
    attack("f.e.d.c.b.a.r%u.x.y.z.w.v.other.example", 0, NULL);
}
END_TEST

/* Those beside the victim, under co.uk, are not it. */
START_TEST(random_names_below_a_public_suffix)
{
    attack("r%u.victim.co.uk", 0, NULL);
    /* Not even where the victim has about all failures there are, and others have their own. */
    struct traffic t[] = {
        {.format = "r%u.victim.org.uk", .per_second = 10000, .failing = 100},
        {.format = "n%u.org.uk", .per_second = 60, .failing = 30},
    };
    run(sim.timeout_ns + 300 * MS, t, 2);
    run(20 * SECOND, t, 2);
    ck_assert_uint_gt(t[0].refused, 200000 * 14 / 16);
    ck_assert_uint_eq(t[1].refused, 0);
}
END_TEST

START_TEST(random_names_below_the_routes_zone)
{
    attack("r%u.victim.example", 0, "victim.example");
    attack("r%u.corp", 0, "corp");
    attack("r%u.x.corp2", 0, "corp2");
}
END_TEST

/* As above, with all of the label set at random; symbols in pairs, long. */
START_TEST(random_octets)
{
    attack("\x01\xff\x80%010u\xfe\xfe.\xf0\xf1\xf2\x02%u.\xff\xff.example", 3, NULL);
}
END_TEST

START_TEST(never_above_two_labels_nor_the_zone_itself)
{
    struct traffic t[] = {
        {.format = "r%u.example", .per_second = 10000, .failing = 100},
        {.format = "r%u", .per_second = 1000, .failing = 100},
        {.format = "victim.net", .per_second = 1000, .failing = 100, .zone = "victim.net"},
        {.format = "www.victim.org", .per_second = 1000, .failing = 100},
        {.format = "www.a%u.victim.org", .per_second = 1000, .below = 20, .failing = 100},
    };
    run(10 * SECOND, t, 5);
    for (size_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(t[i].refused, 0);
    }
}
END_TEST

/* ---- What is none ---- */

START_TEST(some_failures_are_no_attack)
{
    struct traffic t[] = {
        OTHERS,
        {.format = "n%u.busy.example", .per_second = 2000, .failing = 5},
        {.format = "n%u.b%u.busy.example", .per_second = 1000, .below = 300, .failing = 5},
        {.format = "n%u.rare.example", .per_second = 8, .failing = 20},
    };
    run(200 * SECOND / UNIT_SLOWER, t, 4);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_msg(t[i].refused == 0, "%u of %s", t[i].refused, t[i].format);
    }
}
END_TEST

/* All that fails, but of few names a second. */
START_TEST(few_failures_are_no_attack)
{
    struct traffic t[] = {
        {.format = "n%u.few.example", .per_second = 4, .failing = 100},
        {.format = "n%u.again.example", .per_second = 1000, .below = 20, .failing = 100},
    };
    run(100 * SECOND, t, 2);
    ck_assert_uint_eq(t[0].refused, 0);
    ck_assert_uint_eq(t[1].refused, 0);
}
END_TEST

/* ---- Coming back ---- */

/* No attack any more, few questions: what is remembered fades. */
START_TEST(a_quiet_recovery)
{
    struct traffic t = {.format = "r%u.victim.example", .per_second = 10000, .failing = 100};
    run(5 * SECOND, &t, 1);
    ck_assert_uint_gt(t.refused, 0);
    t.failing = 0;
    t.per_second = 20;
    run(16 * SECOND, &t, 1);
    run(30 * SECOND, &t, 1);
    ck_assert_uint_eq(t.refused, 0);
}
END_TEST

START_TEST(silence_recovers)
{
    struct traffic t = {.format = "r%u.victim.example", .per_second = 10000, .failing = 100};
    run(5 * SECOND, &t, 1);
    sim.now += 3600 * SECOND;
    end_due();
    sim.now += 40 * SECOND;
    t.failing = 0;
    t.per_second = 100;
    run(SECOND, &t, 1);
    ck_assert_uint_eq(t.refused, 0);
}
END_TEST

/* The way to all upstream servers was broken. */
START_TEST(after_an_outage)
{
    struct traffic t[] = {
        {.format = "n%u.s%u.example", .per_second = 2000, .below = 200, .failing = 100},
        {.format = "n%u.busy.example", .per_second = 500, .failing = 100},
    };
    run(10 * SECOND, t, 2);
    t[0].failing = t[1].failing = 0;
    run(5 * SECOND, t, 2);
    run(5 * SECOND, t, 2);
    ck_assert_uint_eq(t[1].refused, 0);
    /* Where ten names a second are asked for, one of sixteen takes its time to tell: up to 14 s in
     * 400 runs. */
    run(10 * SECOND, t, 2);
    ck_assert_uint_lt(t[0].refused, 200);
    run(10 * SECOND, t, 2);
    ck_assert_uint_eq(t[0].refused, 0);
}
END_TEST

/* An origin that lives as long as it gets a tenth of the attack isn't buried again and again. */
START_TEST(an_origin_that_can_do_some)
{
    struct traffic t = {.format = "r%u.victim.example", .per_second = 10000, .capacity = 1000};
    run(5 * SECOND, &t, 1);
    run(60 * SECOND, &t, 1);
    ck_assert_uint_lt(t.admitted, t.asked / 3);
}
END_TEST

/* The table full of suffixes with one failure each, for good: attacks are seen and known all the
 * same. */
START_TEST(a_full_table)
{
    struct traffic t[] = {
        {.format = "n%u.s%u.example", .per_second = 10000, .failing = 100},
        {.format = "r%u.victim.example", .per_second = 1000, .failing = 100},
        OTHERS,
    };
    run(5 * SECOND, t, 3);
    run(10 * SECOND, t, 3);
    ck_assert_uint_eq(t[0].refused, 0);
    ck_assert_uint_gt(t[1].refused, 10000 * 14 / 16);
    ck_assert_uint_eq(t[2].refused, 0);
}
END_TEST

/* A key of any size, with nothing to be read behind it. */
START_TEST(reads_the_key_alone)
{
    for (unsigned round = 0; round < 5000; round++) {
        uint8_t name[NAME_MAX_OCTETS];
        names_random(&sim.rng, (enum names_kind)rng_below(&sim.rng, NAMES_MANY + 1),
                     (const uint8_t *)"", 6, name);
        struct key key;
        key_from_name(name, &key);
        size_t zone_size = 0;
        for (unsigned labels = rng_below(&sim.rng, 3); labels > 0 && zone_size < key.size;
             labels--) {
            zone_size = key_label_end(key.symbols, zone_size);
        }
        if (key.size == 0) {
            suffix_guard_ended(sim.guard, NULL, 0, 0, true, sim.now);
            continue;
        }
        uint8_t *symbols = unit_guarded(key.size);
        memcpy(symbols, key.symbols, key.size);
        suffix_guard_ended(sim.guard, symbols, key.size, (uint16_t)zone_size, true, sim.now);
        suffix_guard_ended(sim.guard, symbols, key.size, (uint16_t)zone_size, false, sim.now);
        unit_guarded_free(symbols, key.size);
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("proxy shield");
    tcase_add_checked_fixture(unit.tests, set_up, tear_down);
    tcase_add_test(unit.tests, bursts_of_a_tenth_of_a_second);
    tcase_add_test(unit.tests, no_more_than_the_rate);
    tcase_add_test(unit.tests, workers_share_it);
    tcase_add_test(unit.tests, random_names);
    tcase_add_test(unit.tests, random_names_at_two_levels);
    tcase_add_test(unit.tests, random_names_below_few);
    tcase_add_test(unit.tests, random_names_below_many);
    tcase_add_test(unit.tests, random_names_far_down);
    tcase_add_test(unit.tests, random_names_below_a_public_suffix);
    tcase_add_test(unit.tests, random_names_below_the_routes_zone);
    tcase_add_test(unit.tests, random_octets);
    tcase_add_test(unit.tests, never_above_two_labels_nor_the_zone_itself);
    tcase_add_test(unit.tests, some_failures_are_no_attack);
    tcase_add_test(unit.tests, few_failures_are_no_attack);
    tcase_add_test(unit.tests, a_quiet_recovery);
    tcase_add_test(unit.tests, silence_recovers);
    tcase_add_test(unit.tests, after_an_outage);
    tcase_add_test(unit.tests, an_origin_that_can_do_some);
    tcase_add_test(unit.tests, a_full_table);
    tcase_add_test(unit.tests, reads_the_key_alone);
    return unit_end(&unit);
}

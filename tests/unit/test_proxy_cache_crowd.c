/*
 * The proxy's cache with much in it: random use against a table that does the obvious, a million
 * names, and threads that read what others write.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "proxy_cache_aid.h"

static size_t resident(void)
{
    unsigned long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%lu %lu", &size, &pages), 2);
    fclose(file);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* A reply with a TXT record or several. Made without Check, which notes every assertion in a
 * file. */
static size_t make_txt(uint8_t *message, unsigned records, uint32_t ttl, const uint8_t *text,
                       size_t size)
{
    static const uint8_t head[] = {0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 1};
    static const uint8_t record[] = {0xc0, 12, 0, 16, 0, 1};
    memcpy(message, head, sizeof head);
    wire_put_u16(message + 6, (uint16_t)records);
    uint8_t *at = message + sizeof head;
    for (unsigned i = 0; i < records; i++, at += 12 + size) {
        memcpy(at, record, sizeof record);
        wire_put_u32(at + 6, ttl);
        wire_put_u16(at + 10, (uint16_t)size);
        memcpy(at + 12, text, size);
    }
    return (size_t)(at - message);
}

static bool put_txt(const struct proxy_question *question, unsigned records, uint32_t ttl,
                    const uint8_t *text, size_t size)
{
    uint8_t message[2 * ROOM];
    struct reply r;
    return reply_parse(message, make_txt(message, records, ttl, text, size), &r) &&
           proxy_cache_put(cache, question, &r, &usual, NOW, proxy_cache_epoch(cache));
}

static bool put_failure(const struct proxy_question *question, uint32_t now)
{
    static const uint8_t message[] = {0, 1, 0x80, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 1};
    struct reply r;
    return reply_parse(message, sizeof message, &r) &&
           proxy_cache_put(cache, question, &r, &times, now, proxy_cache_epoch(cache));
}

static const struct proxy_question *numbered(unsigned number)
{
    static struct asked asked;
    uint8_t name[24] = "\7x000000\7example\3com";
    for (unsigned i = 0; i < 6; i++, number /= 10) {
        name[7 - i] = (uint8_t)('0' + number % 10);
    }
    return question_of(&asked, name, RRTYPE_TXT, PROXY_RD, 1);
}

static bool put_numbered(unsigned number, size_t octets)
{
    static uint8_t text[ROOM];
    memset(text, (uint8_t)number, octets);
    return put_txt(numbered(number), 1, 300, text, octets);
}

static enum proxy_cache_state find_numbered(unsigned number)
{
    return proxy_cache_find(cache, numbered(number), &times, NOW, body, sizeof body, &found);
}

/* Sizes from small to large ones; the largest entries that there can be among them. */
static size_t octets_of(unsigned number)
{
    return number % 1000 == 0 ? 3900 : 20 + number * 2654435761u % 400;
}

START_TEST(a_million_names)
{
    enum { SIZE = 8 << 20, NAMES = 1000000 / UNIT_SLOWER };
    struct proxy_cache_figures figures;
    proxy_cache_free(cache);
    cache = proxy_cache_new(SIZE);
    ck_assert(put_numbered(0, 100)); /* whatever buffers come with the first one */
    size_t before = resident();
    bool good = true;
    for (unsigned i = 1; i < NAMES; i++) {
        good &= put_numbered(i, octets_of(i));
        if (i % 50 == 0) { /* what is asked for all the time stays */
            good &= find_numbered(0) == PROXY_CACHE_FRESH;
        }
    }
    ck_assert(good);
    size_t taken = resident() - before;
    ck_assert_msg(UNIT_SLOWER > 1 || taken < SIZE + (1 << 19), "%zu octets", taken);
    proxy_cache_figures(cache, &figures);
    ck_assert_uint_eq(figures.size, SIZE);
    ck_assert_uint_eq(figures.put, NAMES);
    ck_assert_uint_eq(figures.put - figures.evicted, figures.entries);
    ck_assert_uint_le(figures.used, SIZE);
    ck_assert_uint_ge(figures.used, SIZE / 4 * 3);
    unsigned there = 0, late = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        if (find_numbered(i) == PROXY_CACHE_FRESH) {
            ck_assert_uint_eq(body[12], (uint8_t)i);
            ck_assert_uint_eq(found.size, 12 + (i == 0 ? 100 : octets_of(i)));
            ck_assert_uint_eq(body[found.size - 1], (uint8_t)i);
            there++;
            late += i >= NAMES - 1000;
        }
    }
    ck_assert_uint_eq(there, figures.entries);
    ck_assert_uint_ge(late, 970); /* those put last are hardly the ones thrown out */
    ck_assert_uint_eq(proxy_cache_flush(cache, NULL), there);
    proxy_cache_figures(cache, &figures);
    ck_assert_uint_eq(figures.entries, 0);
    ck_assert_uint_eq(figures.used, 0);
}
END_TEST

/* What is past all use goes before what is good. */
START_TEST(dead_ones_go_first)
{
    struct proxy_cache_figures figures;
    times.stale = 0;
    bool good = put_numbered(0, 100);
    for (unsigned i = 1; i < 50000; i++) { /* of the 500 at a time most are dead */
        good &= put_failure(numbered(i), NOW + 2 * (i / 500));
    }
    ck_assert(good);
    ck_assert_int_eq(find_numbered(0), PROXY_CACHE_FRESH);
    proxy_cache_figures(cache, &figures);
    ck_assert_uint_eq(figures.evicted, 0);
    ck_assert_uint_lt(figures.entries, 8000);
}
END_TEST

/* ---- Against the obvious ---- */

enum { MODEL_NAMES = 30, MODEL_TYPES = 2, MODEL_FLAGS = 2 };

struct kept {
    bool there, failure;
    uint32_t put, ttl;
    uint32_t value;
    uint32_t retry; /* 0: never told */
    unsigned hits;
};

static const char *const model_names[] = {"a.", "b.a.", "c.b.a.", "ba.", "d.b.a.", "b.", "x.ba."};

static const uint8_t *model_name(unsigned n)
{
    static uint8_t name[NAME_MAX_OCTETS];
    memset(name, 0, sizeof name);
    const uint8_t *end = names_wire(model_names[n % 7]);
    memcpy(name, end, names_size(end));
    uint8_t label = (uint8_t)('p' + n / 7);
    ck_assert(n < 7 || names_prepend(name, &label, 1));
    return name;
}

static void model_put(struct rng *rng, struct kept *kept, const struct proxy_question *question,
                      uint32_t now)
{
    uint32_t ttl = rng_below(rng, 60), value = (uint32_t)rng_next(rng);
    bool failure = rng_once_in(rng, 4);
    struct ask reply = reply_to("x.", question->qtype, failure ? RCODE_SERVFAIL : RCODE_NOERROR);
    unsigned records = 1 + rng_below(rng, 20);
    for (unsigned i = 0; i < records; i++) {
        uint8_t rdata[4];
        wire_put_u32(rdata, value);
        reply_add(&reply, ASK_ANSWER, "\xc0\x0c", 2, question->qtype, ttl + i, rdata, 4);
    }
    bool good = kept->there && !kept->failure && now < kept->put + kept->ttl + times.stale;
    bool expected = failure ? !good : ttl > 0;
    ck_assert_int_eq(put_reply(question, &reply, now), expected);
    if (failure && !expected) {
        return;
    }
    unsigned hits = !failure && kept->there && kept->hits > 0 ? 1 : 0;
    *kept = (struct kept){.there = expected,
                          .failure = failure,
                          .put = now,
                          .ttl = failure ? PROXY_CACHE_FAILURE_TTL : ttl,
                          .value = value,
                          .hits = hits};
}

static void model_find(struct kept *kept, const struct proxy_question *question, uint32_t now)
{
    enum proxy_cache_state expected = PROXY_CACHE_NONE;
    if (kept->there && now < kept->put + kept->ttl) {
        expected = PROXY_CACHE_FRESH;
    } else if (kept->there && !kept->failure && now < kept->put + kept->ttl + times.stale) {
        expected = PROXY_CACHE_STALE;
    }
    ck_assert_int_eq(find_question(question, now), expected);
    if (expected == PROXY_CACHE_NONE) {
        return;
    }
    bool fresh = expected == PROXY_CACHE_FRESH;
    uint32_t left = kept->put + kept->ttl - now;
    ck_assert_uint_eq(first_ttl(), fresh ? left : PROXY_CACHE_STALE_TTL);
    ck_assert_uint_eq(wire_get_u32(body + 12), kept->value);
    ck_assert_uint_eq(found.rcode, kept->failure ? RCODE_SERVFAIL : RCODE_NOERROR);
    kept->hits++;
    bool refresh =
        !fresh || (!kept->failure && kept->hits >= 2 && kept->ttl >= 10 && left <= kept->ttl / 10);
    refresh = refresh && (kept->retry == 0 || now >= kept->retry);
    ck_assert_int_eq(found.refresh, refresh);
    if (refresh && fresh) {
        kept->retry = now + PROXY_CACHE_RETRY;
    }
}

START_TEST(as_the_obvious_table)
{
    static struct kept table[MODEL_NAMES][MODEL_TYPES][MODEL_FLAGS];
    struct rng rng = rng_start();
    struct asked asked;
    uint32_t now = UINT32_MAX / 2;
    times.stale = 50;
    for (unsigned round = 0; round < 100000 / UNIT_SLOWER; round++) {
        unsigned name = rng_below(&rng, MODEL_NAMES), type = rng_below(&rng, MODEL_TYPES);
        unsigned flags = rng_below(&rng, MODEL_FLAGS);
        struct kept *kept = &table[name][type][flags];
        question_of(&asked, model_name(name), type == 0 ? RRTYPE_A : RRTYPE_TXT, (uint8_t)flags, 9);
        if (rng_once_in(&rng, 3000)) {
            size_t flushed = 0, dead = 0; /* which may have gone already, to make room */
            uint8_t flushed_name[NAME_MAX_OCTETS];
            memcpy(flushed_name, model_name(name), sizeof flushed_name);
            for (unsigned i = 0; i < MODEL_NAMES * MODEL_TYPES * MODEL_FLAGS; i++) {
                struct kept *other = &table[0][0][0] + i;
                bool under = other->there && names_under(model_name(i / 4), flushed_name);
                flushed += under;
                dead += under && now >= other->put + other->ttl + (other->failure ? 0 : times.stale);
                other->there &= !under;
            }
            size_t said = proxy_cache_flush(cache, &asked.key);
            ck_assert_uint_le(said, flushed);
            ck_assert_uint_ge(said, flushed - dead);
        } else if (rng_once_in(&rng, 4)) {
            model_put(&rng, kept, &asked.question, now);
        } else {
            model_find(kept, &asked.question, now);
        }
        now += rng_once_in(&rng, 40);
    }
}
END_TEST

/* ---- Threads ---- */

enum { KEYS = 120, THREADS = 4 };

struct race {
    struct asked asked[KEYS];
    atomic_bool stop;
    _Atomic uint64_t started, reads, kept;
    uint64_t seed;
};

static bool race_put(struct rng *rng, const struct asked *asked, unsigned n)
{
    uint8_t text[600], version = (uint8_t)rng_next(rng);
    size_t size = 10 + rng_below(rng, 40) * (rng_once_in(rng, 3) ? 12 : 2);
    memset(text, version, size);
    text[0] = (uint8_t)n;
    text[1] = (uint8_t)size;
    return put_txt(&asked->question, 1u + version % 6, 1000u + version, text, size);
}

/* Whether what was read is what somebody has put for this name. */
static bool race_whole(const uint8_t *octets, const struct proxy_found *got, unsigned n)
{
    size_t records = got->counts[0], size = records > 0 ? got->size / records : 0;
    if (size < 22 || size * records != got->size) {
        return false;
    }
    uint8_t version = octets[14];
    for (size_t i = 0; i < records; i++, octets += size) {
        bool good = octets[12] == n && octets[13] == (uint8_t)(size - 12) &&
                    wire_get_u32(octets + 6) == 1000u + version - 5 && records == 1u + version % 6;
        for (size_t at = 14; at < size; at++) {
            good = good && octets[at] == version;
        }
        if (!good) {
            return false;
        }
    }
    return true;
}

static void *race(void *argument)
{
    struct race *r = argument;
    struct rng rng = {atomic_fetch_add(&r->started, 1) + r->seed};
    uint64_t reads = 0, kept = 0;
    while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
        unsigned n = rng_once_in(&rng, 2) ? rng_below(&rng, 3) : rng_below(&rng, KEYS);
        uint8_t octets[ROOM];
        struct proxy_found got;
        if (rng_once_in(&rng, 20000)) {
            proxy_cache_flush(cache, rng_once_in(&rng, 2) ? &r->asked[n].key : NULL);
        } else if (rng_once_in(&rng, 3)) {
            kept += race_put(&rng, &r->asked[n], n);
        } else if (proxy_cache_find(cache, &r->asked[n].question, &usual, NOW + 5, octets,
                                    sizeof octets, &got) == PROXY_CACHE_FRESH) {
            if (!race_whole(octets, &got, n)) {
                return argument;
            }
            reads++;
        }
    }
    atomic_fetch_add(&r->reads, reads);
    atomic_fetch_add(&r->kept, kept);
    return NULL;
}

/* All keys are in one set, where they don't have room together. */
START_TEST(never_read_by_halves)
{
    static struct race r;
    struct rng rng = rng_start();
    r.seed = rng.state;
    for (unsigned i = 0; i < KEYS; i++) {
        char text[40];
        snprintf(text, sizeof text, "n%u.example.", i);
        question_of(&r.asked[i], names_wire(text), RRTYPE_TXT, 0, 0);
        r.asked[i].question.key = &r.asked[i].key;
        r.asked[i].question.hash &= 0xffffffff;
    }
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &r), 0);
    }
    nanosleep(&(struct timespec){1, 0}, NULL);
    atomic_store(&r.stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        void *broken;
        pthread_join(threads[i], &broken);
        ck_assert_ptr_null(broken);
    }
    ck_assert_uint_gt(atomic_load(&r.reads), 1000);
    ck_assert_uint_gt(atomic_load(&r.kept), 1000);
    struct proxy_cache_figures figures;
    proxy_cache_figures(cache, &figures);
    ck_assert_uint_le(figures.entries, 60);
    ck_assert_uint_eq(proxy_cache_flush(cache, NULL), figures.entries);
    proxy_cache_figures(cache, &figures);
    ck_assert_uint_eq(figures.used, 0); /* and no unit was lost on the way */
}
END_TEST

struct teller {
    _Atomic unsigned told;
    atomic_bool go;
};

static void *hear(void *argument)
{
    struct teller *teller = argument;
    struct asked asked;
    struct proxy_found got;
    uint8_t octets[ROOM];
    key_from_name((const uint8_t *)"\1a", &asked.key);
    asked.question = (struct proxy_question){
        .key = &asked.key, .qtype = RRTYPE_A, .flags = PROXY_RD, .group = 1};
    asked.question.hash = proxy_cache_hash(cache, &asked.question);
    while (!atomic_load(&teller->go)) {
    }
    for (unsigned i = 0; i < 1000; i++) {
        bool there = proxy_cache_find(cache, &asked.question, &usual, NOW + 95, octets,
                                      sizeof octets, &got) == PROXY_CACHE_FRESH;
        atomic_fetch_add(&teller->told, there && got.refresh);
    }
    return NULL;
}

START_TEST(told_to_one_of_many)
{
    struct ask reply = reply_to("a.", RRTYPE_A, RCODE_NOERROR);
    reply_a(&reply, 100, 1);
    for (unsigned round = 0; round < 20; round++) {
        struct teller teller = {0};
        pthread_t threads[THREADS];
        ck_assert(put_reply(about("a.", RRTYPE_A), &reply, NOW));
        for (unsigned i = 0; i < THREADS; i++) {
            ck_assert_int_eq(pthread_create(&threads[i], NULL, hear, &teller), 0);
        }
        atomic_store(&teller.go, true);
        for (unsigned i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
        }
        ck_assert_uint_eq(atomic_load(&teller.told), 1);
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("proxy_cache_crowd");
    tcase_add_checked_fixture(unit.tests, setup, teardown);
    tcase_add_test(unit.tests, a_million_names);
    tcase_add_test(unit.tests, dead_ones_go_first);
    tcase_add_test(unit.tests, as_the_obvious_table);
    tcase_add_test(unit.tests, never_read_by_halves);
    tcase_add_test(unit.tests, told_to_one_of_many);
    return unit_end(&unit);
}

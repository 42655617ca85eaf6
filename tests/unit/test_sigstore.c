/*
 * The store of signatures, alone and with threads that read what others replace.
 */
#include "dnssec/sigstore.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "unit.h"

enum { SIZE = 67 }; /* not a multiple of a word */

static void signature_of(uint8_t *signature, size_t size, uint64_t key, uint32_t version)
{
    for (size_t i = 0; i < size; i++) {
        signature[i] = (uint8_t)(key * 31 + version * 7 + i);
    }
}

static void expect_kept(const struct sigstore *store, sigstore_key key, uint32_t version)
{
    uint8_t expected[SIZE], got[SIZE];
    struct sigstore_times times;
    signature_of(expected, SIZE, key, version);
    ck_assert(sigstore_get(store, key, &times, got));
    ck_assert_mem_eq(got, expected, SIZE);
    ck_assert_uint_eq(times.inception, version);
    ck_assert_uint_eq(times.expiration, version + 100);
}

static bool put(struct sigstore *store, sigstore_key key, uint32_t version)
{
    uint8_t signature[SIZE];
    signature_of(signature, SIZE, key, version);
    return sigstore_put(store, key, (struct sigstore_times){version, version + 100}, signature);
}

START_TEST(what_was_put_is_there)
{
    struct sigstore *store = sigstore_new(1000, SIZE);
    uint8_t got[SIZE];
    struct sigstore_times times;
    for (uint32_t i = 1; i <= 1000; i++) {
        ck_assert(!sigstore_get(store, sigstore_key_of(i * 3, 1), &times, got));
        ck_assert(put(store, sigstore_key_of(i * 3, 1), i));
    }
    for (uint32_t i = 1; i <= 1000; i++) {
        expect_kept(store, sigstore_key_of(i * 3, 1), i);
        ck_assert(!sigstore_get(store, sigstore_key_of(i * 3, 2), &times, got));
    }
    ck_assert_uint_eq(sigstore_count(store), 1000);
    sigstore_unref(store);
}
END_TEST

START_TEST(replaced_in_place)
{
    struct sigstore *store = sigstore_new(4, SIZE);
    for (uint32_t version = 1; version < 100; version++) {
        ck_assert(put(store, 0x10001, version));
        expect_kept(store, 0x10001, version);
    }
    ck_assert_uint_eq(sigstore_count(store), 1);
    sigstore_unref(store);
}
END_TEST

START_TEST(full_keeps_what_it_has)
{
    struct sigstore *store = sigstore_new(8, SIZE);
    for (uint32_t i = 1; i <= 8; i++) {
        ck_assert(put(store, i << 16, i));
    }
    ck_assert(!put(store, 9 << 16, 9));
    ck_assert(put(store, 3 << 16, 33));
    expect_kept(store, 3 << 16, 33);
    expect_kept(store, 8 << 16, 8);
    ck_assert_uint_eq(sigstore_count(store), 8);
    sigstore_unref(store);
}
END_TEST

START_TEST(walked_by_number)
{
    struct sigstore *store = sigstore_new(10, SIZE);
    struct sigstore_times times;
    put(store, sigstore_key_of(7, 47), 5);
    put(store, sigstore_key_of(9, 1), 6);
    sigstore_key key = sigstore_at(store, 0, &times);
    ck_assert_uint_eq(sigstore_key_node(key), 7);
    ck_assert_uint_eq(sigstore_key_type(key), 47);
    ck_assert_uint_eq(times.expiration, 105);
    ck_assert_uint_eq(sigstore_key_node(sigstore_at(store, 1, &times)), 9);
    sigstore_unref(store);
}
END_TEST

/* A store of many takes memory for what is in it, not for what could be. */
START_TEST(memory_follows_use)
{
    struct sigstore *store = sigstore_new(50000000, 64);
    ck_assert_ptr_nonnull(store);
    ck_assert_uint_eq(sigstore_octets(store), 0);
    uint8_t signature[64] = {1};
    for (uint32_t i = 1; i <= 100; i++) {
        sigstore_put(store, sigstore_key_of(i, 1), (struct sigstore_times){1, 2}, signature);
    }
    ck_assert_uint_le(sigstore_octets(store), 100 * (4096 + 96));
    sigstore_unref(store);
}
END_TEST

/* One of few is a piece of the heap, all of which counts. */
START_TEST(small_stores)
{
    struct sigstore *store = sigstore_new(10, 512);
    uint8_t signature[512] = {1}, found[512];
    struct sigstore_times times;
    ck_assert_ptr_nonnull(store);
    size_t octets = sigstore_octets(store);
    ck_assert_uint_ge(octets, 10 * 512);
    ck_assert_uint_le(octets, 10 * (512 + 64) + 256);
    for (uint32_t i = 1; i <= 11; i++) {
        bool kept = sigstore_put(store, sigstore_key_of(i, 1), (struct sigstore_times){i, 2},
                                 signature);
        ck_assert(kept == (i <= 10));
    }
    ck_assert(sigstore_get(store, sigstore_key_of(10, 1), &times, found));
    ck_assert_mem_eq(found, signature, sizeof found);
    ck_assert_uint_eq(times.inception, 10);
    ck_assert_uint_eq(sigstore_octets(store), octets);
    sigstore_unref(store);
}
END_TEST

/* ---- Threads ---- */

enum { KEYS = 64, THREADS = 4 };

struct race {
    struct sigstore *store;
    atomic_bool stop;
    _Atomic uint64_t reads;
    uint64_t seed;
};

/* Whatever is read is whole: signature and times of one version. */
static void *race(void *argument)
{
    struct race *r = argument;
    struct rng rng = {atomic_fetch_add(&r->reads, 1) + r->seed};
    uint64_t reads = 0;
    while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
        sigstore_key key = sigstore_key_of(1 + rng_below(&rng, KEYS), 1);
        uint8_t got[SIZE], expected[SIZE];
        struct sigstore_times times;
        if (rng_once_in(&rng, 3)) {
            put(r->store, key, (uint32_t)rng_below(&rng, 1000000));
        } else if (sigstore_get(r->store, key, &times, got)) {
            signature_of(expected, SIZE, key, times.inception);
            if (memcmp(got, expected, SIZE) != 0 || times.expiration != times.inception + 100) {
                return argument;
            }
            reads++;
        }
    }
    atomic_fetch_add(&r->reads, reads);
    return NULL;
}

START_TEST(never_read_by_halves)
{
    struct rng rng = rng_start();
    struct race r = {.store = sigstore_new(KEYS * THREADS, SIZE), .seed = rng.state};
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race, &r), 0);
    }
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    atomic_store(&r.stop, true);
    for (unsigned i = 0; i < THREADS; i++) {
        void *broken;
        pthread_join(threads[i], &broken);
        ck_assert_ptr_null(broken);
    }
    ck_assert_uint_gt(atomic_load(&r.reads), 100);
    /* None was lost but those of two threads that put a new key at the same time. */
    for (uint32_t i = 1; i <= KEYS; i++) {
        ck_assert(put(r.store, sigstore_key_of(i, 1), 7));
        expect_kept(r.store, sigstore_key_of(i, 1), 7);
    }
    sigstore_unref(r.store);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("sigstore");
    tcase_add_test(unit.tests, what_was_put_is_there);
    tcase_add_test(unit.tests, replaced_in_place);
    tcase_add_test(unit.tests, full_keeps_what_it_has);
    tcase_add_test(unit.tests, walked_by_number);
    tcase_add_test(unit.tests, memory_follows_use);
    tcase_add_test(unit.tests, small_stores);
    tcase_add_test(unit.tests, never_read_by_halves);
    return unit_end(&unit);
}

/*
 * What every unit test program has in common: its main, and reproducible chance.
 *
 *     int main(void)
 *     {
 *         struct unit unit = unit_begin("key");
 *         tcase_add_test(unit.tests, order_of_all_octets);
 *         return unit_end(&unit);
 *     }
 *
 * Random tests draw from a struct rng. Its seed is new in every run, told when a test fails, and
 * set by RRDNS_SEED to run the same again.
 */
#ifndef RRDNS_TESTS_UNIT_H
#define RRDNS_TESTS_UNIT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit {
    Suite *suite;
    TCase *tests;
};

struct unit unit_begin(const char *name);

/* Runs the tests, prints Check's summary and on failure the seed; main's exit status. */
int unit_end(struct unit *unit);

/* Instrumented programs are slower by this much: rounds of random tests are divided by it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { UNIT_SLOWER = 5 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
enum { UNIT_SLOWER = 5 };
#else
enum { UNIT_SLOWER = 1 };
#endif
#else
enum { UNIT_SLOWER = 1 };
#endif

/* Descriptors that are open. */
unsigned unit_descriptors(void);

struct rng {
    uint64_t state;
};

/* The same start in every test of a run. */
struct rng rng_start(void);
uint64_t rng_next(struct rng *rng);
/* 0 to n - 1; n is not 0. */
unsigned rng_below(struct rng *rng, unsigned n);
/* True once in n times. */
bool rng_once_in(struct rng *rng, unsigned n);
void rng_fill(struct rng *rng, void *data, size_t size);

/*
 * Memory whose last octet is followed by one that can't be touched: reading or writing past size
 * ends the test. To be freed with unit_guarded_free.
 */
void *unit_guarded(size_t size);
void unit_guarded_free(void *data, size_t size);

#endif

#include "unit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static uint64_t seed;

struct unit unit_begin(const char *name)
{
    const char *given = getenv("RRDNS_SEED");
    if (given != NULL) {
        seed = strtoull(given, NULL, 10);
    } else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        seed = ((uint64_t)now.tv_sec * 1000003 + (uint64_t)now.tv_nsec) ^ (uint64_t)getpid();
    }
    struct unit unit = {.suite = suite_create(name), .tests = tcase_create("all")};
    tcase_set_timeout(unit.tests, 60);
    suite_add_tcase(unit.suite, unit.tests);
    return unit;
}

int unit_end(struct unit *unit)
{
    SRunner *runner = srunner_create(unit->suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    if (failed > 0) {
        printf("random tests: RRDNS_SEED=%llu runs the same again\n", (unsigned long long)seed);
    }
    return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

struct rng rng_start(void)
{
    return (struct rng){seed};
}

/* SplitMix64 (Steele, Lea, Flood, 2014): any seed is a good one. */
uint64_t rng_next(struct rng *rng)
{
    uint64_t z = rng->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

unsigned rng_below(struct rng *rng, unsigned n)
{
    return (unsigned)(rng_next(rng) >> 32) % n;
}

bool rng_once_in(struct rng *rng, unsigned n)
{
    return rng_below(rng, n) == 0;
}

void rng_fill(struct rng *rng, void *data, size_t size)
{
    uint8_t *octets = data;
    for (size_t i = 0; i < size; i++) {
        octets[i] = (uint8_t)(rng_next(rng) >> 56);
    }
}

/* Whole pages for size octets, and the forbidden one. */
static size_t guarded_pages(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return ((size + page - 1) / page + 1) * page;
}

void *unit_guarded(size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = guarded_pages(size);
    uint8_t *base = mmap(NULL, pages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ck_assert_ptr_ne(base, MAP_FAILED);
    ck_assert_int_eq(mprotect(base + pages - page, page, PROT_NONE), 0);
    return base + pages - page - size;
}

void unit_guarded_free(void *data, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t pages = guarded_pages(size);
    munmap((uint8_t *)data + size + page - pages, pages);
}

unsigned unit_descriptors(void)
{
    unsigned count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

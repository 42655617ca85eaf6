/*
 * Counters: one set per thread that counts, each on cache lines of its own and written by that
 * thread alone (relaxed load and store: plain instructions, no lock prefix), summed by whoever
 * asks. counters.def is the one place where they are named.
 */
#ifndef RRDNS_BASE_COUNTERS_H
#define RRDNS_BASE_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* How the index of a vector is to be read. */
enum counter_labels { LABELS_NONE, LABELS_OPCODE, LABELS_RRTYPE, LABELS_RCODE, LABELS_LATENCY };

/* COUNTER_x is the first cell of counter x; a vector takes as many as its size. */
enum counter {
#define COUNTER(name, prose) COUNTER_##name,
#define VECTOR(name, size, labels, prose)                                                          \
    COUNTER_##name, COUNTER_##name##_last = COUNTER_##name + (size)-1,
#include "base/counters.def"
#undef COUNTER
#undef VECTOR
    COUNTER_CELLS
};

struct counters {
    _Alignas(64) _Atomic uint64_t cells[COUNTER_CELLS];
};

/* What counters.def says of one counter or vector. */
struct counter_info {
    const char *name;
    const char *prose;
    size_t first; /* cell */
    size_t size;  /* cells */
    enum counter_labels labels;
};

extern const struct counter_info counter_infos[];
extern const size_t counter_infos_count;

/* For the owning thread only. cell is COUNTER_x, for vectors plus the index. */
static inline void counter_add(struct counters *counters, size_t cell, uint64_t amount)
{
    uint64_t value = atomic_load_explicit(&counters->cells[cell], memory_order_relaxed);
    atomic_store_explicit(&counters->cells[cell], value + amount, memory_order_relaxed);
}

static inline uint64_t counter_get(const struct counters *counters, size_t cell)
{
    return atomic_load_explicit(&counters->cells[cell], memory_order_relaxed);
}

/* The histogram bucket of a span: the smallest n with ns < 2^n, at most 31. */
static inline size_t counter_latency_bucket(uint64_t ns)
{
    size_t bucket = ns == 0 ? 0 : 64u - (size_t)__builtin_clzll(ns);
    return bucket < 31 ? bucket : 31;
}

#endif

/*
 * Counters to JSON, as `rrdnsctl stats` gives them.
 */
#ifndef RRDNS_DAEMON_STATS_H
#define RRDNS_DAEMON_STATS_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/counters.h"

/*
 * One object of the sums over count sets: every counter of counters.def by its name; a vector as
 * an object of its cells that are not zero, by label ("AAAA", "NXDOMAIN"; latency: the time in ns
 * below which the cell's answers were, "inf" for the last). NULL where there is no memory. New
 * reference.
 */
json_t *stats_counters(const struct counters *const *sets, size_t count);

/*
 * What is derived from the sums: tcp_open, and latency_p50_ns, latency_p90_ns, latency_p99_ns
 * (estimates: linear within a bucket; 0 where nothing was answered). NULL where there is no
 * memory. New reference.
 */
json_t *stats_gauges(const struct counters *const *sets, size_t count);

enum { STATS_LABEL_MAX = 24 };

/* The label of a vector's cell, written to label (room for STATS_LABEL_MAX). */
void stats_label(const struct counter_info *info, size_t index, char *label);

#endif

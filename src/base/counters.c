#include "base/counters.h"

const struct counter_info counter_infos[] = {
#define COUNTER(name, prose) {#name, prose, COUNTER_##name, 1, LABELS_NONE},
#define VECTOR(name, size, labels, prose) {#name, prose, COUNTER_##name, size, LABELS_##labels},
#include "base/counters.def"
#undef COUNTER
#undef VECTOR
};

const size_t counter_infos_count = sizeof counter_infos / sizeof counter_infos[0];

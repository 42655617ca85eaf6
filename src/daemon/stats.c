/*
 * Latency is kept in powers of two, because a bucket is then one instruction to find; percentiles
 * out of them are right to within half a bucket, which is enough to see an order of magnitude
 * go wrong.
 */
#include "daemon/stats.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "dns/rrtype.h"

static const char *const opcode_names[] = {
    [0] = "QUERY", [1] = "IQUERY", [2] = "STATUS", [4] = "NOTIFY", [5] = "UPDATE", [6] = "DSO",
};

static const char *const rcode_names[] = {
    [0] = "NOERROR",  [1] = "FORMERR",    [2] = "SERVFAIL", [3] = "NXDOMAIN",  [4] = "NOTIMP",
    [5] = "REFUSED",  [6] = "YXDOMAIN",   [7] = "YXRRSET",  [8] = "NXRRSET",   [9] = "NOTAUTH",
    [10] = "NOTZONE", [11] = "DSOTYPENI", [16] = "BADVERS", [17] = "BADKEY",   [18] = "BADTIME",
    [19] = "BADMODE", [20] = "BADNAME",   [21] = "BADALG",  [22] = "BADTRUNC", [23] = "BADCOOKIE",
};

static void name_or_number(const char *const *names, size_t count, const char *prefix, size_t index,
                           char *label)
{
    if (index < count && names[index] != NULL) {
        snprintf(label, STATS_LABEL_MAX, "%s", names[index]);
    } else {
        snprintf(label, STATS_LABEL_MAX, "%s%zu", prefix, index);
    }
}

void stats_label(const struct counter_info *info, size_t index, char *label)
{
    bool last = index + 1 == info->size;
    switch (info->labels) {
    case LABELS_OPCODE:
        name_or_number(opcode_names, sizeof opcode_names / sizeof opcode_names[0], "OPCODE", index,
                       label);
        break;
    case LABELS_RCODE:
        if (last) {
            snprintf(label, STATS_LABEL_MAX, "other");
        } else {
            name_or_number(rcode_names, sizeof rcode_names / sizeof rcode_names[0], "RCODE", index,
                           label);
        }
        break;
    case LABELS_RRTYPE:
        if (last) {
            snprintf(label, STATS_LABEL_MAX, "other");
        } else {
            rrtype_to_text((uint16_t)index, label);
        }
        break;
    case LABELS_LATENCY:
        if (last) {
            snprintf(label, STATS_LABEL_MAX, "inf");
        } else {
            snprintf(label, STATS_LABEL_MAX, "%" PRIu64, UINT64_C(1) << index);
        }
        break;
    default:
        label[0] = '\0';
        break;
    }
}

static uint64_t sum(const struct counters *const *sets, size_t count, size_t cell)
{
    uint64_t value = 0;
    for (size_t i = 0; i < count; i++) {
        value += counter_get(sets[i], cell);
    }
    return value;
}

static json_t *vector(const struct counters *const *sets, size_t count,
                      const struct counter_info *info)
{
    json_t *object = json_object();
    for (size_t i = 0; i < info->size && object != NULL; i++) {
        uint64_t value = sum(sets, count, info->first + i);
        if (value == 0) {
            continue;
        }
        char label[STATS_LABEL_MAX];
        stats_label(info, i, label);
        if (json_object_set_new(object, label, json_integer((json_int_t)value)) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

json_t *stats_counters(const struct counters *const *sets, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < counter_infos_count && object != NULL; i++) {
        const struct counter_info *info = &counter_infos[i];
        json_t *value = info->labels == LABELS_NONE
                            ? json_integer((json_int_t)sum(sets, count, info->first))
                            : vector(sets, count, info);
        if (json_object_set_new(object, info->name, value) != 0) {
            json_decref(object);
            object = NULL;
        }
    }
    return object;
}

enum { BUCKETS = COUNTER_latency_last - COUNTER_latency + 1 };

/* The time below which `percent` of the answers were. */
static uint64_t percentile(const uint64_t *buckets, uint64_t all, unsigned percent)
{
    uint64_t wanted = all / 100 * percent + (all % 100 * percent + 99) / 100; /* no overflow */
    uint64_t before = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        if (buckets[i] > 0 && before + buckets[i] >= wanted) {
            double low = i == 0 ? 0 : (double)(UINT64_C(1) << (i - 1));
            double high = (double)(UINT64_C(1) << i);
            double part = (double)(wanted - before) / (double)buckets[i];
            return (uint64_t)(low + (high - low) * part);
        }
        before += buckets[i];
    }
    return 0;
}

json_t *stats_gauges(const struct counters *const *sets, size_t count)
{
    static const unsigned percents[] = {50, 90, 99};
    uint64_t buckets[BUCKETS], all = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        buckets[i] = sum(sets, count, COUNTER_latency + i);
        all += buckets[i];
    }
    /* Read at different moments, a connection may be seen closed before it is seen accepted. */
    uint64_t closed = sum(sets, count, COUNTER_tcp_closed);
    uint64_t accepted = sum(sets, count, COUNTER_tcp_accepted);
    uint64_t open = accepted > closed ? accepted - closed : 0;
    json_t *object = json_object();
    json_object_set_new(object, "tcp_open", json_integer((json_int_t)open));
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        char name[STATS_LABEL_MAX];
        uint64_t ns = percentile(buckets, all, percents[i]);
        snprintf(name, sizeof name, "latency_p%u_ns", percents[i]);
        json_object_set_new(object, name, json_integer((json_int_t)ns));
    }
    return object;
}

/*
 * A most-significant-first string sort that looks at eight symbols at a time, one 64-bit word, so
 * that a pass reads each key once and then moves 16-octet items. Groups that are equal so far are
 * sorted again by their next eight. Input that is in order already, as written zone files mostly
 * are, costs one pass.
 */
#include "zone/record_sort.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

#include "base/crew.h"
#include "dns/key.h"

enum {
    WINDOW = 8,           /* symbols in a prefix, an octet each */
    FEW = 48,             /* below this, insertion beats counting */
    DIGITS = KEY_SYMBOLS, /* values of a symbol */
};

/* Reads a whole word also past the key's end: a chunk has RECORD_SLACK behind it. */
static uint64_t prefix_at(const struct record_owner *owner, size_t depth)
{
    if (owner->key_size <= depth) {
        return 0;
    }
    uint64_t word;
    memcpy(&word, record_owner_key(owner) + depth, sizeof word);
    word = be64toh(word);
    size_t left = owner->key_size - depth;
    return left >= WINDOW ? word : word & ~(UINT64_MAX >> (8 * left));
}

static void insertion_sort(struct sort_item *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct sort_item item = items[i];
        size_t j = i;
        for (; j > 0 && items[j - 1].prefix > item.prefix; j--) {
            items[j] = items[j - 1];
        }
        items[j] = item;
    }
}

/* Least significant digit first; digits that are the same everywhere cost a count, no move. */
static void counting_sort(struct sort_item *items, struct sort_item *spare, size_t count)
{
    struct sort_item *from = items, *to = spare;
    for (unsigned shift = 0; shift < 8 * WINDOW; shift += 8) {
        crew_give_way();
        size_t start[DIGITS] = {0};
        for (size_t i = 0; i < count; i++) {
            start[from[i].prefix >> shift & 0xff]++;
        }
        if (start[from[0].prefix >> shift & 0xff] == count) {
            continue;
        }
        size_t sum = 0;
        for (size_t d = 0; d < DIGITS; d++) {
            size_t n = start[d];
            start[d] = sum;
            sum += n;
        }
        for (size_t i = 0; i < count; i++) {
            to[start[from[i].prefix >> shift & 0xff]++] = from[i];
        }
        struct sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items) {
        memcpy(items, from, count * sizeof *items);
    }
}

static void sort_window(struct sort_item *items, struct sort_item *spare, size_t count,
                        size_t depth)
{
    bool sorted = true;
    for (size_t i = 0; i < count; i++) {
        items[i].prefix = prefix_at(items[i].owner, depth);
        sorted = sorted && (i == 0 || items[i - 1].prefix <= items[i].prefix);
        crew_step();
    }
    if (!sorted) {
        if (count < FEW) {
            insertion_sort(items, count);
        } else {
            counting_sort(items, spare, count);
        }
    }
    for (size_t low = 0, high; low < count; low = high) {
        bool longer = items[low].owner->key_size > depth + WINDOW;
        for (high = low + 1; high < count && items[high].prefix == items[low].prefix; high++) {
            longer = longer || items[high].owner->key_size > depth + WINDOW;
        }
        if (high - low > 1 && longer) {
            sort_window(items + low, spare + low, high - low, depth + WINDOW);
        }
    }
}

void record_sort(struct sort_item *items, struct sort_item *spare, size_t count)
{
    sort_window(items, spare, count, 0);
}

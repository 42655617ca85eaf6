/*
 * A most-significant-first string sort that looks at ten symbols at a time: six bits a symbol
 * pack into one 64-bit word, so that a pass reads each key once and then moves 16-octet items.
 * Groups that are equal so far are sorted again by their next ten. Input that is in order
 * already, as written zone files mostly are, costs one pass.
 */
#include "zone/record_sort.h"

#include <stdbool.h>
#include <string.h>

enum {
    WINDOW = 10,          /* symbols in a prefix */
    SYMBOL_BITS = 6,
    FEW = 48,             /* below this, insertion beats counting */
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS,
    PREFIX_BITS = WINDOW * SYMBOL_BITS,
};

static uint64_t prefix_at(const struct record_owner *owner, size_t depth)
{
    const uint8_t *key = record_owner_key(owner);
    size_t size = owner->key_size;
    uint64_t prefix = 0;
    for (size_t i = depth; i < depth + WINDOW; i++) {
        prefix = prefix << SYMBOL_BITS | (i < size ? key[i] : 0u);
    }
    return prefix;
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
    for (unsigned shift = 0; shift < PREFIX_BITS; shift += DIGIT_BITS) {
        size_t start[DIGITS] = {0};
        for (size_t i = 0; i < count; i++) {
            start[from[i].prefix >> shift & (DIGITS - 1)]++;
        }
        if (start[from[0].prefix >> shift & (DIGITS - 1)] == count) {
            continue;
        }
        size_t sum = 0;
        for (size_t d = 0; d < DIGITS; d++) {
            size_t n = start[d];
            start[d] = sum;
            sum += n;
        }
        for (size_t i = 0; i < count; i++) {
            to[start[from[i].prefix >> shift & (DIGITS - 1)]++] = from[i];
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

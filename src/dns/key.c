/*
 * The symbol tables are filled at program start from one list of ranges. Octets in canonical order,
 * upper case folded away: 00-2C group 1, '-' alone, 2E-2F group 2, '0'-'9' alone, 3A-40 and 5B-5E
 * group 3, '_' alone, '`' group 4, 'a'-'z' alone, 7B-A7, A8-D4, D5-FF groups 5 to 7. Each group
 * has at most 45 members, so a second symbol fits the same bitmap.
 */
#include "dns/key.h"

#include <stdbool.h>
#include <string.h>

#include "dns/name.h"

struct range {
    uint8_t first, last;  /* octets */
    uint8_t symbol;       /* of the range (groups) or of its first octet */
    bool group;
    uint8_t place;        /* second symbol of the first octet (groups) */
};

static const struct range ranges[] = {
    {0x00, 0x2c, 1, true, 0},    {'-', '-', 2, false, 0},     {0x2e, 0x2f, 3, true, 0},
    {'0', '9', 4, false, 0},     {0x3a, 0x40, 14, true, 0},   {'A', 'Z', 17, false, 0},
    {0x5b, 0x5e, 14, true, 7},   {'_', '_', 15, false, 0},    {0x60, 0x60, 16, true, 0},
    {'a', 'z', 17, false, 0},    {0x7b, 0xa7, 43, true, 0},   {0xa8, 0xd4, 44, true, 0},
    {0xd5, 0xff, 45, true, 0},
};

static uint8_t first_symbol[256];
static uint8_t only_symbol[256];   /* the first, with GROUP where there is a second */
static uint8_t second_symbol[256]; /* NONE where the octet has one symbol */
static uint8_t single_octet[256];  /* 0 where the symbol is no octet's own: NUL is in a group */
static uint8_t group_octet[KEY_SYMBOLS][KEY_SYMBOLS];

enum { NONE = 255, GROUP = 0x80 };

__attribute__((constructor)) static void fill_tables(void)
{
    for (size_t r = 0; r < sizeof ranges / sizeof ranges[0]; r++) {
        const struct range *range = &ranges[r];
        for (unsigned octet = range->first; octet <= range->last; octet++) {
            unsigned place = octet - range->first;
            uint8_t lower = name_lower((uint8_t)octet);
            if (range->group) {
                unsigned second = range->place + place;
                first_symbol[octet] = range->symbol;
                only_symbol[octet] = range->symbol | GROUP;
                second_symbol[octet] = (uint8_t)second;
                group_octet[range->symbol][second] = lower;
            } else {
                first_symbol[octet] = (uint8_t)(range->symbol + place);
                only_symbol[octet] = first_symbol[octet];
                second_symbol[octet] = NONE;
                single_octet[range->symbol + place] = lower;
            }
        }
    }
}

/* A label with octets of two symbols. */
static uint8_t *put_symbols(const uint8_t *label, size_t octets, uint8_t *out)
{
    for (size_t i = 0; i < octets; i++) {
        *out++ = first_symbol[label[i]];
        if (second_symbol[label[i]] != NONE) {
            *out++ = second_symbol[label[i]];
        }
    }
    return out;
}

/*
 * The labels that begin at starts, the last one first. Those of host names are translated without
 * looking at each symbol; the few that had a group's among them are done again.
 */
void key_from_starts(const uint8_t *name, const uint8_t *starts, unsigned labels, struct key *key)
{
    uint8_t *out = key->symbols;
    while (labels-- > 0) {
        const uint8_t *label = name + starts[labels] + 1;
        size_t octets = label[-1];
        uint8_t seen = 0;
        for (size_t i = 0; i < octets; i++) {
            out[i] = only_symbol[label[i]];
            seen |= out[i];
        }
        out = (seen & GROUP) != 0 ? put_symbols(label, octets, out) : out + octets;
        *out++ = KEY_SEPARATOR;
    }
    key->size = (uint16_t)(out - key->symbols);
}

void key_from_name(const uint8_t *name, struct key *key)
{
    uint8_t starts[NAME_MAX_LABELS + 1];
    unsigned labels = 0;
    for (size_t pos = 0; name[pos] != 0; pos += 1u + name[pos]) {
        starts[labels++] = (uint8_t)pos;
    }
    key_from_starts(name, starts, labels, key);
}

void key_from_labels(const uint8_t *name, unsigned labels, struct key *key)
{
    uint8_t starts[NAME_MAX_LABELS + 1];
    size_t pos = 0;
    for (unsigned i = 0; i < labels; i++, pos += 1u + name[pos]) {
        starts[i] = (uint8_t)pos;
    }
    key_from_starts(name, starts, labels, key);
}

/* Where the labels of a key begin (one more: where it ends); returns their number, or -1 where
 * symbols are no whole key. */
static int find_labels(const uint8_t *symbols, size_t size, uint16_t starts[NAME_MAX_LABELS + 1])
{
    int labels = 0;
    size_t pos = 0;
    while (pos < size) {
        if (labels == NAME_MAX_LABELS) {
            return -1;
        }
        starts[labels++] = (uint16_t)pos;
        size_t start = pos;
        while (pos < size && symbols[pos] != KEY_SEPARATOR) {
            pos += key_symbol_is_group(symbols[pos]) ? 2 : 1;
        }
        if (pos >= size || pos == start) {
            return -1;
        }
        pos++;
    }
    starts[labels] = (uint16_t)size;
    return labels;
}

/* One label, separator excluded, to wire form; returns its octets, 0 where it is none. */
static size_t put_label(const uint8_t *symbols, size_t size, uint8_t *out, size_t room)
{
    size_t octets = 0;
    for (size_t pos = 0; pos < size; pos++) {
        uint8_t first = symbols[pos];
        if (first >= KEY_SYMBOLS || octets == NAME_MAX_LABEL || octets + 1 >= room) {
            return 0;
        }
        uint8_t octet = single_octet[first];
        if (key_symbol_is_group(first)) {
            uint8_t second = symbols[++pos];
            if (second >= KEY_SYMBOLS) {
                return 0;
            }
            octet = group_octet[first][second];
            if (first_symbol[octet] != first || second_symbol[octet] != second) {
                return 0; /* past the group's last octet */
            }
        }
        out[++octets] = octet;
    }
    out[0] = (uint8_t)octets;
    return octets + 1;
}

/*
 * A key of one-symbol octets, as nearly all are, is as long as its labels are in wire form, so each
 * label's place is known when its end is found. False: it is another, or none, or too long.
 */
static bool put_plain(const uint8_t *symbols, size_t size, uint8_t *name)
{
    if (size >= NAME_MAX_OCTETS) {
        return false;
    }
    for (size_t pos = 0; pos < size;) {
        const uint8_t *label = symbols + pos;
        const uint8_t *end = memchr(label, KEY_SEPARATOR, size - pos);
        size_t octets = end != NULL ? (size_t)(end - label) : 0;
        if (octets == 0 || octets > NAME_MAX_LABEL) {
            return false;
        }
        pos += octets + 1;
        uint8_t *out = name + (size - pos);
        *out++ = (uint8_t)octets;
        bool plain = true;
        for (size_t i = 0; i < octets; i++) {
            out[i] = single_octet[label[i]];
            plain = plain && out[i] != 0;
        }
        if (!plain) {
            return false;
        }
    }
    return true;
}

size_t key_to_name(const uint8_t *symbols, size_t size, const uint8_t *suffix, uint8_t *name)
{
    if (put_plain(symbols, size, name)) {
        size_t end = name_size(suffix);
        if (size + end > NAME_MAX_OCTETS) {
            return 0;
        }
        memcpy(name + size, suffix, end);
        return size + end;
    }
    uint16_t starts[NAME_MAX_LABELS + 1];
    int labels = find_labels(symbols, size, starts);
    size_t tail = name_size(suffix);
    size_t pos = 0;
    if (labels < 0) {
        return 0;
    }
    for (int i = labels - 1; i >= 0; i--) {
        size_t taken = put_label(symbols + starts[i], (size_t)(starts[i + 1] - starts[i]) - 1,
                                 name + pos, NAME_MAX_OCTETS - pos);
        if (taken == 0) {
            return 0;
        }
        pos += taken;
    }
    if (pos + tail > NAME_MAX_OCTETS) {
        return 0;
    }
    memcpy(name + pos, suffix, tail);
    return pos + tail;
}

size_t key_to_label(const uint8_t *symbols, size_t size, uint8_t *label)
{
    size_t octets = 0, pos = 0;
    /* Names are made of one-symbol octets but for a few. */
    while (pos < size && pos < NAME_MAX_LABEL && single_octet[symbols[pos]] != 0) {
        label[++octets] = single_octet[symbols[pos++]];
    }
    while (pos < size && symbols[pos] != KEY_SEPARATOR) {
        uint8_t first = symbols[pos++];
        if (first >= KEY_SYMBOLS || octets == NAME_MAX_LABEL) {
            return 0;
        }
        uint8_t octet = single_octet[first];
        if (octet == 0) { /* a group's */
            if (pos == size || symbols[pos] >= KEY_SYMBOLS) {
                return 0;
            }
            octet = group_octet[first][symbols[pos]];
            if (first_symbol[octet] != first || second_symbol[octet] != symbols[pos]) {
                return 0; /* past the group's last octet */
            }
            pos++;
        }
        label[++octets] = octet;
    }
    label[0] = (uint8_t)octets;
    return octets > 0 && pos + 1 == size ? octets + 1 : 0;
}

/*
 * Octets of a block of symbols, each with a symbol of its own: '-' is 2, digits begin at 4, '_' is
 * 15, letters begin at 17. False where one of the last `count` is none of those. No branches, so
 * that the compiler makes vectors of it.
 */
static inline bool put_block(const uint8_t *restrict symbols, size_t count, uint8_t *restrict out)
{
    static const uint8_t masks[2 * KEY_BLOCK] = {
        [KEY_BLOCK] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    const uint8_t *mask = masks + count;
    uint8_t others = 0;
    for (unsigned i = 0; i < KEY_BLOCK; i++) {
        uint8_t s = symbols[i];
        out[i] = (uint8_t)(s + ('_' - 15) - (s < 15 ? '_' - 15 - ('0' - 4) : 0) - (s < 4));
        others |= mask[i] & ((s < 2) | (s == 3) | (s == 14) | (s == 16) | (s > 42));
    }
    return others == 0;
}

bool key_to_label_before(const uint8_t *symbols, size_t size, uint8_t *end)
{
    if (size < 2 || size > NAME_MAX_LABEL + 1 || symbols[size - 1] != KEY_SEPARATOR) {
        return false;
    }
    const uint8_t *in = symbols + size - 1;
    uint8_t *out = end;
    size_t left = size - 1;
    bool plain = true;
    while (left > 0) {
        size_t count = left < KEY_BLOCK ? left : KEY_BLOCK;
        in -= KEY_BLOCK;
        out -= KEY_BLOCK;
        left -= count;
        plain &= put_block(in, count, out);
    }
    *(end - size) = (uint8_t)(size - 1);
    return plain;
}

size_t key_common(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t size = a_size < b_size ? a_size : b_size;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t x, y;
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y) {
            return i + (unsigned)__builtin_clzll(be64toh(x ^ y)) / 8;
        }
    }
    while (i < size && a[i] == b[i]) {
        i++;
    }
    return i;
}

int key_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    if (order != 0) {
        return order;
    }
    return (a_size > b_size) - (a_size < b_size);
}

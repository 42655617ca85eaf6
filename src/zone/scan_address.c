#include "zone/scan_address.h"

#include <string.h>

#include "zone/block.h"

enum { NO_GAP = 17 };

/* Without branches on the digits: where the dots stand is different in every address. */
bool scan_ipv4(const char *text, size_t size, uint8_t address[4])
{
    if (size < 7 || size > 15) {
        return false;
    }
    unsigned dots = block_equal(text, '.') & ((1u << size) - 1);
    bool good = true;
    size_t start = 0;
    for (unsigned i = 0; i < 4; i++) {
        size_t end = i < 3 && dots != 0 ? (size_t)__builtin_ctz(dots) : size;
        size_t digits = end - start;
        if (digits < 1 || digits > 3) {
            return false;
        }
        uint64_t word = block_digits(text + start, digits);
        uint32_t value = block_decimal(word);
        good &= block_are_digits(word) & (value <= 255) & ((text[start] != '0') | (digits == 1));
        address[i] = (uint8_t)value;
        start = end + 1;
        dots &= dots - 1;
    }
    return good && dots == 0;
}

/* Value of a hex digit plus one; 0: it is none. */
static const uint8_t hex_value[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

/* Up to four hex digits; returns how many there were. */
static size_t hex_group(const char *text, size_t size, unsigned *value)
{
    size_t at = 0;
    *value = 0;
    while (at < size && at < 4 && hex_value[(uint8_t)text[at]] != 0) {
        *value = *value << 4 | (hex_value[(uint8_t)text[at++]] - 1u);
    }
    return at;
}

bool scan_ipv6(const char *text, size_t size, uint8_t address[16])
{
    size_t filled = 0;   /* octets */
    size_t gap = NO_GAP; /* where "::" stands */
    size_t at = 0;
    if (size >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < size) {
        unsigned value;
        size_t digits = hex_group(text + at, size - at, &value);
        if (at + digits < size && text[at + digits] == '.') {
            if (filled > 12 || !scan_ipv4(text + at, size - at, address + filled)) {
                return false;
            }
            filled += 4;
            break;
        }
        if (digits == 0 || filled > 14) {
            return false;
        }
        address[filled++] = (uint8_t)(value >> 8);
        address[filled++] = (uint8_t)value;
        at += digits;
        if (at == size) {
            break;
        }
        if (text[at++] != ':' || at == size) {
            return false;
        }
        if (text[at] == ':') {
            if (gap != NO_GAP) {
                return false;
            }
            gap = filled;
            at++;
        }
    }
    if (gap == NO_GAP) {
        return filled == 16;
    }
    if (filled > 14) {
        return false;
    }
    memmove(address + 16 - (filled - gap), address + gap, filled - gap);
    memset(address + gap, 0, 16 - filled);
    return true;
}

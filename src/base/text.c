/*
 * One unit a duration, not "1h30m": what is configured are round figures, and a single unit has
 * just one way to be wrong.
 */
#include "base/text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

struct unit {
    const char *name;
    int64_t value;
};

/* Largest first, which text_from_duration relies on; weeks are read only. */
static const struct unit duration_units[] = {
    {"w", 604800000}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

static const struct unit size_units[] = {
    {"", 1}, {"K", 1024}, {"M", 1048576}, {"G", 1073741824}, {"T", 1099511627776},
};

static int parse(const char *text, const struct unit *units, size_t count, int64_t *value)
{
    int64_t number = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; p++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *p - '0', &number)) {
            return RR_ERANGE;
        }
    }
    if (p == text) {
        return RR_EINVAL;
    }
    if (*p == '\0' && number == 0) {
        *value = 0;
        return RR_OK;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(p, units[i].name) == 0) {
            return __builtin_mul_overflow(number, units[i].value, value) ? RR_ERANGE : RR_OK;
        }
    }
    return RR_EINVAL;
}

int text_duration(const char *text, int64_t *milliseconds)
{
    return parse(text, duration_units, sizeof duration_units / sizeof duration_units[0],
                 milliseconds);
}

int text_size(const char *text, int64_t *octets)
{
    return parse(text, size_units, sizeof size_units / sizeof size_units[0], octets);
}

void text_from_duration(int64_t milliseconds, char *text)
{
    const struct unit *unit = &duration_units[1];
    if (milliseconds == 0) {
        unit = &duration_units[4];
    }
    while (milliseconds % unit->value != 0) {
        unit++;
    }
    snprintf(text, TEXT_DURATION_MAX, "%" PRId64 "%s", milliseconds / unit->value, unit->name);
}

void text_from_size(int64_t octets, char *text)
{
    const struct unit *unit = &size_units[sizeof size_units / sizeof size_units[0] - 1];
    while (unit > size_units && (octets == 0 || octets % unit->value != 0)) {
        unit--;
    }
    snprintf(text, TEXT_SIZE_MAX, "%" PRId64 "%s", octets / unit->value, unit->name);
}

enum { SLIP_WORD_MAX = 40 }; /* longer words are no slip of any key that there is */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c;
}

size_t text_slip(const char *word, const char *other)
{
    size_t a = strlen(word), b = strlen(other);
    if (a > SLIP_WORD_MAX || b > SLIP_WORD_MAX) {
        return SIZE_MAX;
    }
    /* Levenshtein's table, one row kept: row[j] is the distance to other's first j octets. */
    size_t row[SLIP_WORD_MAX + 1];
    for (size_t j = 0; j <= b; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b; j++) {
            size_t best = diagonal + (lower(word[i - 1]) != lower(other[j - 1]));
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    size_t allowed = b <= 3 ? 1 : 1 + b / 4;
    return row[b] <= allowed && row[b] < b ? row[b] : SIZE_MAX;
}

char *text_printable(const char *text, char *out, size_t size)
{
    size_t used = 0;
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain = c >= ' ' && c != 0x7f;
        if (used + (plain ? 1 : 4) + sizeof "..." > size) {
            memcpy(out + used, "...", 3);
            used += 3;
            break;
        }
        if (plain) {
            out[used++] = (char)c;
        } else {
            used += (size_t)snprintf(out + used, size - used, "\\x%02x", c);
        }
    }
    out[used] = '\0';
    return out;
}

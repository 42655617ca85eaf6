#include "dns/name.h"

#include <string.h>

#include "base/err.h"

#define R8(n) (n), (n) + 1, (n) + 2, (n) + 3, (n) + 4, (n) + 5, (n) + 6, (n) + 7
#define R32(n) R8(n), R8((n) + 8), R8((n) + 16), R8((n) + 24)

const uint8_t name_lower_table[256] = {
    R32(0),   R32(32),  0x40,    R8('a'), R8('i'), R8('q'), 'y',     'z', 0x5b, 0x5c, 0x5d, 0x5e,
    0x5f,     R32(96),  R32(128), R32(160), R32(192), R32(224),
};

size_t name_check(const uint8_t *data, size_t size)
{
    size_t pos = 0;
    size_t limit = size < NAME_MAX_OCTETS ? size : NAME_MAX_OCTETS;
    while (pos < limit) {
        uint8_t length = data[pos];
        if (length == 0) {
            return pos + 1;
        }
        if (length > NAME_MAX_LABEL) {
            return 0;
        }
        pos += 1u + length;
    }
    return 0;
}

size_t name_size(const uint8_t *name)
{
    size_t pos = 0;
    while (name[pos] != 0) {
        pos += 1u + name[pos];
    }
    return pos + 1;
}

unsigned name_labels(const uint8_t *name)
{
    unsigned labels = 0;
    while (*name != 0) {
        name += 1u + *name;
        labels++;
    }
    return labels;
}

/* Length octets are below 'A', so folding them changes nothing and one loop serves for all. */
static bool octets_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (memcmp(a, b, size) == 0) {
        return true; /* nearly all names are written in one case */
    }
    for (size_t i = 0; i < size; i++) {
        if (name_lower(a[i]) != name_lower(b[i])) {
            return false;
        }
    }
    return true;
}

bool name_equal(const uint8_t *a, const uint8_t *b)
{
    size_t size = name_size(a);
    return size == name_size(b) && octets_equal(a, b, size);
}

bool name_is_under(const uint8_t *name, const uint8_t *ancestor)
{
    unsigned labels = name_labels(name);
    unsigned wanted = name_labels(ancestor);
    return labels >= wanted && name_equal(name_skip(name, labels - wanted), ancestor);
}

const uint8_t *name_skip(const uint8_t *name, unsigned count)
{
    while (count-- > 0) {
        name += 1u + *name;
    }
    return name;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* One octet of a label, escaped or not; returns the characters it took, 0 for a bad escape. */
static size_t text_octet(const char *text, size_t left, uint8_t *octet)
{
    if (text[0] != '\\') {
        *octet = (uint8_t)text[0];
        return 1;
    }
    if (left < 2) {
        return 0;
    }
    if (!is_digit(text[1])) {
        *octet = (uint8_t)text[1];
        return 2;
    }
    if (left < 4 || !is_digit(text[2]) || !is_digit(text[3])) {
        return 0;
    }
    int value = (text[1] - '0') * 100 + (text[2] - '0') * 10 + (text[3] - '0');
    if (value > 255) {
        return 0;
    }
    *octet = (uint8_t)value;
    return 4;
}

int name_from_text(const char *text, size_t length, const uint8_t *origin, uint8_t *name)
{
    if (length == 0) {
        return RR_EINVAL;
    }
    if (length == 1 && text[0] == '.') {
        name[0] = 0;
        return RR_OK;
    }
    size_t label = 0; /* where the length octet of the label being read stands */
    size_t pos = 1;
    bool absolute = false;
    for (size_t i = 0; i < length;) {
        if (text[i] == '.') {
            if (pos == label + 1) {
                return RR_EINVAL;
            }
            name[label] = (uint8_t)(pos - label - 1);
            label = pos++;
            i++;
            absolute = i == length;
            continue;
        }
        uint8_t octet;
        size_t taken = text_octet(text + i, length - i, &octet);
        if (taken == 0) {
            return RR_EINVAL;
        }
        if (pos - label > NAME_MAX_LABEL || pos >= NAME_MAX_OCTETS - 1) {
            return RR_ERANGE;
        }
        name[pos++] = octet;
        i += taken;
    }
    if (absolute) {
        if (label >= NAME_MAX_OCTETS) {
            return RR_ERANGE;
        }
        name[label] = 0;
        return RR_OK;
    }
    name[label] = (uint8_t)(pos - label - 1);
    size_t tail = origin != NULL ? name_size(origin) : 1;
    if (pos + tail > NAME_MAX_OCTETS) {
        return RR_ERANGE;
    }
    if (origin != NULL) {
        memcpy(name + pos, origin, tail);
    } else {
        name[pos] = 0;
    }
    return RR_OK;
}

size_t name_to_text(const uint8_t *name, char *text)
{
    size_t pos = 0;
    if (*name == 0) {
        text[pos++] = '.';
    }
    while (*name != 0) {
        uint8_t length = *name++;
        for (; length > 0; length--) {
            uint8_t octet = *name++;
            if (octet <= ' ' || octet >= 0x7f) {
                text[pos++] = '\\';
                text[pos++] = (char)('0' + octet / 100);
                text[pos++] = (char)('0' + octet / 10 % 10);
                text[pos++] = (char)('0' + octet % 10);
                continue;
            }
            if (strchr(".\\\"();@$", octet) != NULL) {
                text[pos++] = '\\';
            }
            text[pos++] = (char)octet;
        }
        text[pos++] = '.';
    }
    text[pos] = '\0';
    return pos;
}

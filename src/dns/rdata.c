/*
 * The size of each field follows from its letter; what a letter alone can't say (digest lengths,
 * types with a form of their own) is in rdata_rules.c.
 */
#include "dns/rdata.h"

#include <string.h>

#include "base/err.h"
#include "dns/name.h"
#include "dns/rrtype.h"

static bool is_alphanumeric(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Octets of a character-string with its length octet; 0: it is not whole. */
static size_t string_size(const uint8_t *data, size_t left)
{
    return left > 0 && left > data[0] ? 1u + data[0] : 0;
}

static bool is_tag(const uint8_t *string)
{
    for (unsigned i = 1; i <= string[0]; i++) {
        if (!is_alphanumeric(string[i])) {
            return false;
        }
    }
    return string[0] > 0;
}

static bool are_strings(const uint8_t *data, size_t left)
{
    size_t size = 1;
    for (size_t at = 0; at < left && size > 0; at += size) {
        size = string_size(data + at, left - at);
    }
    return left > 0 && size > 0;
}

/* Octets of the field, or -1 where it is malformed. Letters for "to the end" take all. */
static long field_size(char form, const uint8_t *data, size_t left)
{
    size_t size = 0;
    switch (form) {
    case 'N':
    case 'n':
    case 'o':
        size = name_check(data, left);
        return size > 0 ? (long)size : -1;
    case '1':
    case 'g':
        return 1;
    case '2':
    case 'T':
    case 'c':
        return 2;
    case '4':
    case 'd':
    case 't':
    case 'a':
        return 4;
    case 'A':
        return 16;
    case 's':
    case 'x':
        size = string_size(data, left);
        return size > 0 ? (long)size : -1;
    case 'k':
        size = string_size(data, left);
        return size > 0 && is_tag(data) ? (long)size : -1;
    case 'w':
        size = string_size(data, left);
        return size > 1 ? (long)size : -1;
    case 'S':
        return are_strings(data, left) ? (long)left : -1;
    case 'M':
        return rdata_bitmap_check(data, left) ? (long)left : -1;
    case 'V':
        return rdata_svcb_fault(data, left) == NULL ? (long)left : -1;
    default: /* q h b */
        return (long)left;
    }
}

bool rdata_walk_begin(struct rdata_walk *walk, uint16_t type, const uint8_t *rdata, size_t size)
{
    const char *form = rrtype_form(type);
    *walk = (struct rdata_walk){.form = form, .data = rdata, .left = size};
    return form != NULL && form[0] != '\0' && form[0] != 'r';
}

int rdata_walk_next(struct rdata_walk *walk, struct rdata_field *field)
{
    if (*walk->form == '\0') {
        return 0;
    }
    long size = field_size(*walk->form, walk->data, walk->left);
    if (size < 0 || (size_t)size > walk->left) {
        return RR_EFORMAT;
    }
    *field = (struct rdata_field){.form = *walk->form, .data = walk->data, .size = (size_t)size};
    walk->form++;
    walk->data += size;
    walk->left -= (size_t)size;
    return 1;
}

static const char *form_fault(struct rdata_walk *walk, uint16_t type)
{
    struct rdata_field field;
    int more;
    while ((more = rdata_walk_next(walk, &field)) > 0) {
        if ((field.form == 'h' || field.form == 'b') && field.size == 0 && type != RRTYPE_KEY) {
            return "the data is too short for its type";
        }
    }
    if (more == 0) {
        return walk->left > 0 ? "the data is too long for its type" : NULL;
    }
    const char *svcb = *walk->form == 'V' ? rdata_svcb_fault(walk->data, walk->left) : NULL;
    return svcb != NULL ? svcb : "the data is malformed or too short for its type";
}

const char *rdata_fault(uint16_t type, const uint8_t *rdata, size_t size)
{
    if (size > RDATA_MAX) {
        return "the data is over 65535 octets";
    }
    struct rdata_walk walk;
    if (rdata_walk_begin(&walk, type, rdata, size)) {
        const char *fault = form_fault(&walk, type);
        return fault != NULL ? fault : rdata_rules_fault(type, rdata, size);
    }
    return rrtype_is_meta(type) ? "a meta type has no data" : rdata_rules_fault(type, rdata, size);
}

bool rdata_bitmap_check(const uint8_t *data, size_t size)
{
    int before = -1;
    while (size > 0) {
        if (size < 3 || data[0] <= before || data[1] < 1 || data[1] > 32 ||
            size < 2u + data[1] || data[1u + data[1]] == 0) {
            return false;
        }
        before = data[0];
        size_t taken = 2u + data[1];
        data += taken;
        size -= taken;
    }
    return true;
}

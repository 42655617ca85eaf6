#include "dns/rrtype.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"

struct entry {
    const char *mnemonic;
    const char *form;
};

enum { DIRECT = 258 };

/* By number: all listed types are below DIRECT. */
static const struct entry entries[DIRECT] = {
#define RRTYPE(mnemonic, number, form) [number] = {#mnemonic, form},
#include "dns/rrtypes.def"
#undef RRTYPE
};

static const struct entry *find(uint16_t type)
{
    return type < DIRECT && entries[type].mnemonic != NULL ? &entries[type] : NULL;
}

const char *rrtype_form(uint16_t type)
{
    return type < DIRECT ? entries[type].form : NULL;
}

/*
 * The types that zones are made of, found in one step: their mnemonics as numbers, the first letter
 * lowest, hash perfectly with this multiplier. Adding one that collides is an error of the compiler
 * (an index initialized twice); another odd number at random will do after a few tries.
 */
#define WORD(a, b, c, d, e, f)                                                                     \
    ((uint64_t)(a) | (uint64_t)(b) << 8 | (uint64_t)(c) << 16 | (uint64_t)(d) << 24 |              \
     (uint64_t)(e) << 32 | (uint64_t)(f) << 40)
#define HASH(word) ((word) * UINT64_C(0xe7b128fd0f90e49d) >> 59)
#define FREQUENT(type, a, b, c, d, e, f)                                                           \
    [HASH(WORD(a, b, c, d, e, f))] = {WORD(a, b, c, d, e, f), RRTYPE_##type}

static const struct {
    uint64_t word;
    uint16_t type;
} frequent[32] = {
    FREQUENT(A, 'A', 0, 0, 0, 0, 0),
    FREQUENT(NS, 'N', 'S', 0, 0, 0, 0),
    FREQUENT(MX, 'M', 'X', 0, 0, 0, 0),
    FREQUENT(DS, 'D', 'S', 0, 0, 0, 0),
    FREQUENT(TXT, 'T', 'X', 'T', 0, 0, 0),
    FREQUENT(SOA, 'S', 'O', 'A', 0, 0, 0),
    FREQUENT(PTR, 'P', 'T', 'R', 0, 0, 0),
    FREQUENT(SRV, 'S', 'R', 'V', 0, 0, 0),
    FREQUENT(CAA, 'C', 'A', 'A', 0, 0, 0),
    FREQUENT(AAAA, 'A', 'A', 'A', 'A', 0, 0),
    FREQUENT(NSEC, 'N', 'S', 'E', 'C', 0, 0),
    FREQUENT(TLSA, 'T', 'L', 'S', 'A', 0, 0),
    FREQUENT(SVCB, 'S', 'V', 'C', 'B', 0, 0),
    FREQUENT(CNAME, 'C', 'N', 'A', 'M', 'E', 0),
    FREQUENT(DNAME, 'D', 'N', 'A', 'M', 'E', 0),
    FREQUENT(RRSIG, 'R', 'R', 'S', 'I', 'G', 0),
    FREQUENT(NSEC3, 'N', 'S', 'E', 'C', '3', 0),
    FREQUENT(NAPTR, 'N', 'A', 'P', 'T', 'R', 0),
    FREQUENT(HTTPS, 'H', 'T', 'T', 'P', 'S', 0),
    FREQUENT(SSHFP, 'S', 'S', 'H', 'F', 'P', 0),
    FREQUENT(DNSKEY, 'D', 'N', 'S', 'K', 'E', 'Y'),
};

static uint32_t load32(const char *p)
{
    return (uint32_t)(uint8_t)p[0] | (uint32_t)(uint8_t)p[1] << 8 | (uint32_t)(uint8_t)p[2] << 16 |
           (uint32_t)(uint8_t)p[3] << 24;
}

/* 1 to 8 characters as a number, a-z as A-Z. Loads that overlap spare a branch per character. */
static uint64_t load_word(const char *text, size_t length)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t word;
    if (length >= 4) {
        word = load32(text) | (uint64_t)load32(text + length - 4) << 8 * (length - 4);
    } else {
        size_t middle = length / 2, last = length - 1;
        word = (uint64_t)(uint8_t)text[0] | (uint64_t)(uint8_t)text[middle] << 8 * middle |
               (uint64_t)(uint8_t)text[last] << 8 * last;
    }
    /* In each octet's top bit: whether it is from 'a' to 'z'. */
    uint64_t low = word & ~(ones << 7);
    uint64_t lower = (low + ones * (0x80 - 'a')) & ~(low + ones * (0x7f - 'z')) & ~word & ones << 7;
    return word ^ lower >> 2;
}

/* 0 for a word that is not among them. */
static uint16_t find_frequent(const char *text, size_t length)
{
    if (length < 1 || length > 6 || text[length - 1] == '\0') {
        return 0;
    }
    uint64_t word = load_word(text, length);
    return frequent[HASH(word)].word == word ? frequent[HASH(word)].type : 0;
}

int rrtype_from_text(const char *text, size_t length, uint16_t *type)
{
    *type = find_frequent(text, length);
    if (*type != 0) {
        return RR_OK;
    }
    for (size_t i = 0; i < DIRECT; i++) {
        const char *mnemonic = entries[i].mnemonic;
        if (mnemonic != NULL && strlen(mnemonic) == length &&
            strncasecmp(mnemonic, text, length) == 0) {
            *type = (uint16_t)i;
            return RR_OK;
        }
    }
    if (length < 5 || length > 9 || strncasecmp(text, "TYPE", 4) != 0) {
        return RR_ENOENT;
    }
    uint32_t value = 0;
    for (size_t i = 4; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return RR_ENOENT;
        }
        value = value * 10 + (uint32_t)(text[i] - '0');
    }
    if (value > UINT16_MAX) {
        return RR_ERANGE;
    }
    *type = (uint16_t)value;
    return RR_OK;
}

size_t rrtype_to_text(uint16_t type, char *text)
{
    const struct entry *entry = find(type);
    int length = entry != NULL ? snprintf(text, RRTYPE_TEXT_MAX, "%s", entry->mnemonic)
                               : snprintf(text, RRTYPE_TEXT_MAX, "TYPE%u", (unsigned)type);
    return (size_t)length;
}

struct rrtype_names rrtype_compressible(uint16_t type)
{
    switch (type) {
    case RRTYPE_NS:
    case RRTYPE_MD:
    case RRTYPE_MF:
    case RRTYPE_CNAME:
    case RRTYPE_MB:
    case RRTYPE_MG:
    case RRTYPE_MR:
    case RRTYPE_PTR:
        return (struct rrtype_names){0, 1};
    case RRTYPE_SOA:
    case RRTYPE_MINFO:
        return (struct rrtype_names){0, 2};
    case RRTYPE_MX:
        return (struct rrtype_names){2, 1};
    default:
        return (struct rrtype_names){0, 0};
    }
}

int rrtype_target(uint16_t type)
{
    switch (type) {
    case RRTYPE_NS:
    case RRTYPE_MB:
        return 0;
    case RRTYPE_MX:
    case RRTYPE_AFSDB:
    case RRTYPE_RT:
    case RRTYPE_KX:
    case RRTYPE_LP:
    case RRTYPE_SVCB:
    case RRTYPE_HTTPS:
        return 2;
    case RRTYPE_SRV:
        return 6;
    default:
        return -1;
    }
}

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

bool rrtype_is_meta(uint16_t type)
{
    return type == 0 || type == RRTYPE_OPT || (type >= 128 && type <= 255);
}

/* Up to six letters as one number, so that a mnemonic can be a case label. */
#define WORD(a, b, c, d, e, f)                                                                     \
    ((uint64_t)(a) << 40 | (uint64_t)(b) << 32 | (uint64_t)(c) << 24 | (uint64_t)(d) << 16 |       \
     (uint64_t)(e) << 8 | (uint64_t)(f))

/* The types that zones are made of, in one step; 0 for any other word. */
static uint16_t frequent(const char *text, size_t length)
{
    uint64_t word = 0;
    if (length > 6) {
        return 0;
    }
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        if (c == 0) {
            return 0;
        }
        word = word << 8 | (uint8_t)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
    }
    switch (word) {
    case WORD(0, 0, 0, 0, 0, 'A'):
        return RRTYPE_A;
    case WORD(0, 0, 0, 0, 'N', 'S'):
        return RRTYPE_NS;
    case WORD(0, 0, 0, 0, 'M', 'X'):
        return RRTYPE_MX;
    case WORD(0, 0, 0, 0, 'D', 'S'):
        return RRTYPE_DS;
    case WORD(0, 0, 0, 'T', 'X', 'T'):
        return RRTYPE_TXT;
    case WORD(0, 0, 0, 'S', 'O', 'A'):
        return RRTYPE_SOA;
    case WORD(0, 0, 0, 'P', 'T', 'R'):
        return RRTYPE_PTR;
    case WORD(0, 0, 0, 'S', 'R', 'V'):
        return RRTYPE_SRV;
    case WORD(0, 0, 0, 'C', 'A', 'A'):
        return RRTYPE_CAA;
    case WORD(0, 0, 'A', 'A', 'A', 'A'):
        return RRTYPE_AAAA;
    case WORD(0, 0, 'N', 'S', 'E', 'C'):
        return RRTYPE_NSEC;
    case WORD(0, 0, 'T', 'L', 'S', 'A'):
        return RRTYPE_TLSA;
    case WORD(0, 'C', 'N', 'A', 'M', 'E'):
        return RRTYPE_CNAME;
    case WORD(0, 'R', 'R', 'S', 'I', 'G'):
        return RRTYPE_RRSIG;
    case WORD(0, 'N', 'S', 'E', 'C', '3'):
        return RRTYPE_NSEC3;
    case WORD(0, 'N', 'A', 'P', 'T', 'R'):
        return RRTYPE_NAPTR;
    case WORD(0, 'H', 'T', 'T', 'P', 'S'):
        return RRTYPE_HTTPS;
    case WORD('D', 'N', 'S', 'K', 'E', 'Y'):
        return RRTYPE_DNSKEY;
    default:
        return 0;
    }
}

int rrtype_from_text(const char *text, size_t length, uint16_t *type)
{
    *type = frequent(text, length);
    if (*type != 0) {
        return RR_OK;
    }
    for (uint16_t i = 0; i < DIRECT; i++) {
        const char *mnemonic = entries[i].mnemonic;
        if (mnemonic != NULL && strlen(mnemonic) == length &&
            strncasecmp(mnemonic, text, length) == 0) {
            *type = i;
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

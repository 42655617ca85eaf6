/*
 * IPv4 and IPv6 side by side: a prefix of the one never holds an address of the other.
 */
#include "base/prefix.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

/* The length behind the slash; false where it is no number up to most. */
static bool parse_bits(const char *text, unsigned most, uint8_t *bits)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 3 || text[digits] != '\0' || (digits > 1 && *text == '0')) {
        return false;
    }
    unsigned long value = strtoul(text, NULL, 10);
    *bits = (uint8_t)value;
    return value <= most;
}

/* Whether the first bits of a are those of b. */
static bool begins_alike(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    size_t octets = bits / 8;
    unsigned rest = bits % 8;
    return memcmp(a, b, octets) == 0 &&
           (rest == 0 || ((a[octets] ^ b[octets]) & (0xff00u >> rest & 0xffu)) == 0);
}

/* Addresses that came mapped into IPv6 count as IPv4, so a prefix of such ones is one of IPv4. */
static void unmap(struct prefix *prefix)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (prefix->family_v6 && prefix->bits >= 96 && memcmp(prefix->address, mapped, 12) == 0) {
        struct prefix v4 = {.bits = (uint8_t)(prefix->bits - 96)};
        memcpy(v4.address, prefix->address + 12, 4);
        *prefix = v4;
    }
}

/* Whether nothing is set past the prefix's length. */
static bool is_clean(const struct prefix *prefix, unsigned size)
{
    for (unsigned bit = prefix->bits; bit < size; bit++) {
        if ((prefix->address[bit / 8] & (0x80u >> bit % 8)) != 0) {
            return false;
        }
    }
    return true;
}

int prefix_parse(const char *text, struct prefix *prefix)
{
    char host[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    size_t length = slash != NULL ? (size_t)(slash - text) : strlen(text);
    if (length >= sizeof host) {
        return RR_EINVAL;
    }
    memcpy(host, text, length);
    host[length] = '\0';
    *prefix = (struct prefix){0};
    prefix->family_v6 = strchr(host, ':') != NULL;
    unsigned size = prefix->family_v6 ? 128 : 32;
    prefix->bits = (uint8_t)size;
    if (inet_pton(prefix->family_v6 ? AF_INET6 : AF_INET, host, prefix->address) != 1 ||
        (slash != NULL && !parse_bits(slash + 1, size, &prefix->bits))) {
        return RR_EINVAL;
    }
    if (!is_clean(prefix, size)) {
        return RR_ERANGE;
    }
    unmap(prefix);
    return RR_OK;
}

bool prefix_any_holds(const struct prefix *prefixes, size_t count, const struct sockaddr *address)
{
    const uint8_t *octets;
    bool v6 = address->sa_family == AF_INET6;
    if (v6) {
        const struct in6_addr *in6 =
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
        octets = in6->s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            v6 = false;
            octets += 12;
        }
    } else {
        octets = (const uint8_t *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
    }
    for (size_t i = 0; i < count; i++) {
        if (prefixes[i].family_v6 == v6 &&
            begins_alike(prefixes[i].address, octets, prefixes[i].bits)) {
            return true;
        }
    }
    return false;
}

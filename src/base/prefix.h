/*
 * Address prefixes as text, "192.0.2.0/24" or "2001:db8::/32", and whether an address is in one.
 */
#ifndef RRDNS_BASE_PREFIX_H
#define RRDNS_BASE_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct prefix {
    uint8_t family_v6; /* 0: IPv4, 1: IPv6 */
    uint8_t bits;
    uint8_t address[16]; /* IPv4: the first four; bits past the prefix are zero */
};

/*
 * Reads a prefix; an address alone is one of its whole length, one of IPv4 mapped into IPv6
 * ("::ffff:192.0.2.0/120") is one of IPv4. Returns 0, RR_EINVAL for what is no prefix, RR_ERANGE
 * where bits are set past the length ("192.0.2.1/24").
 */
int prefix_parse(const char *text, struct prefix *prefix);

/* Whether the address, of AF_INET or AF_INET6, is in any of count prefixes. An IPv4 address that
 * came mapped into IPv6 counts as IPv4. */
bool prefix_any_holds(const struct prefix *prefixes, size_t count, const struct sockaddr *address);

#endif

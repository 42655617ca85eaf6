/*
 * IPv4 and IPv6 addresses in text form (RFC 4291 section 2.2): what inet_pton takes, in half
 * its time, and from text that does not end in NUL. Up to 32 octets at text are read.
 */
#ifndef RRDNS_ZONE_SCAN_ADDRESS_H
#define RRDNS_ZONE_SCAN_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* false where the whole of text isn't an address. */
bool scan_ipv4(const char *text, size_t size, uint8_t address[4]);
bool scan_ipv6(const char *text, size_t size, uint8_t address[16]);

#endif

/*
 * RDATA in wire form -> master file text, which reads back as the same octets.
 */
#ifndef RRDNS_ZONE_RDATA_PRINT_H
#define RRDNS_ZONE_RDATA_PRINT_H

#include <stddef.h>
#include <stdint.h>

#include "dns/wire.h"

/*
 * Room in which the text of any RDATA fits: the worst is a bitmap of all 65536 types at ten
 * characters each.
 */
enum { RDATA_TEXT_MAX = 1 << 20 };

/*
 * Appends the text to out: names absolute, one line, no NUL. Types that rrtypes.def does not list
 * or calls rare, and RDATA that does not fit its type, come as `\#` (RFC 3597).
 */
void rdata_print(uint16_t type, const uint8_t *rdata, size_t size, struct wire_writer *out);

#endif

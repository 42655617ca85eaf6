/*
 * Service parameters -> text, and what that shares with rdata_print.c.
 */
#ifndef RRDNS_ZONE_RDATA_PRINT_SVCB_H
#define RRDNS_ZONE_RDATA_PRINT_SVCB_H

#include <stddef.h>
#include <stdint.h>

#include "dns/wire.h"

/* Well-formed parameters, a blank between them. */
void rdata_print_svcb(const uint8_t *data, size_t size, struct wire_writer *out);

/* An octet as it stands within quotes, escaped where that is needed. */
void rdata_print_octet(uint8_t octet, struct wire_writer *out);

/* An IPv4 (size 4) or IPv6 address. */
void rdata_print_address(const uint8_t *address, size_t size, struct wire_writer *out);

#endif

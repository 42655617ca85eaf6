/*
 * RDATA: text -> uncompressed wire form, field by field as the form letters of rrtypes.def tell,
 * or as `\#` (RFC 3597 section 5), which every type takes.
 */
#ifndef RRDNS_ZONE_RDATA_SCAN_H
#define RRDNS_ZONE_RDATA_SCAN_H

#include <stdint.h>

#include "dns/wire.h"
#include "zone/lexer.h"
#include "zone/scan_value.h"

/*
 * Reads the RDATA that begins with the current token, to the end of the entry, which is then the
 * current token. type is no meta type. out is empty and has room for 65535 octets. Returns 0 and
 * the RDATA in out; RR_EINVAL with the fault in the lexer; RR_ENOMEM (only types of form "r").
 */
int rdata_scan(struct lexer *lexer, uint16_t type, const struct scan_name *origin,
               struct wire_writer *out);

/* For the files of this module: the service parameters of SVCB and HTTPS, to the entry's end. */
int rdata_scan_svcb(struct lexer *lexer, struct wire_writer *out);

#endif

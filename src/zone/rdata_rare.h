/*
 * RDATA of the types that rrtypes.def calls rare (form "r"): WKS, ISDN, NSAP, LOC, APL, IPSECKEY,
 * HIP, NID, L64, EUI48, EUI64.
 */
#ifndef RRDNS_ZONE_RDATA_RARE_H
#define RRDNS_ZONE_RDATA_RARE_H

#include <stdint.h>

#include "dns/wire.h"
#include "zone/lexer.h"
#include "zone/scan_value.h"

/* As rdata_scan, without `\#`. */
int rdata_rare_scan(struct lexer *lexer, uint16_t type, const struct scan_name *origin,
                    struct wire_writer *out);

#endif

/*
 * Master file text through the scanner, and what came of it as text again.
 *
 *     scan_is("www A 192.0.2.1\n", "www.example. 60 A 192.0.2.1\n", "");
 *
 * The zone is "example.", the file "z"; "$TTL 60" is its first line and text begins on line 2.
 */
#ifndef RRDNS_TESTS_SCAN_AID_H
#define RRDNS_TESTS_SCAN_AID_H

#include <stddef.h>
#include <stdint.h>

#include "zone/records.h"

/* Records in the order read, one a line: owner, TTL, type, RDATA as printed. To be freed. */
char *scan_aid_records(const struct records *records);

/* Ends the test unless scanning text gives these records and these diagnostics (as make_told has
 * them), and an error exactly where there is a fault among them. */
void scan_is(const char *text, const char *records, const char *told);

/* The same without the $TTL before: text begins on line 1, and may hold NUL octets. */
void scan_is_bare(const char *text, size_t size, const char *records, const char *told);

/* Scanning text tells just this fault, "z:" and the severity left out, and gives no records. */
void scan_faults(const char *text, const char *fault);

/* RDATA of a type from text, origin "example.": its octets, or -1 and the first fault. */
int scan_aid_rdata(uint16_t type, const char *text, uint8_t *rdata, const char **fault);

#endif

/*
 * Master file text through the scanner, and what came of it as text again.
 *
 *     scan_is("www A 192.0.2.1\n", "www.example. 60 A 192.0.2.1\n", "");
 *
 * The zone is "example.", the file "z" on its first line; a $TTL of 60 stands before the text (on
 * line 0, so that text begins on line 1).
 */
#ifndef RRDNS_TESTS_SCAN_AID_H
#define RRDNS_TESTS_SCAN_AID_H

#include <stddef.h>
#include <stdint.h>

#include "zone/records.h"

/* Records in the order read, one a line: owner, TTL, type, RDATA as printed. */
char *scan_aid_records(const struct records *records);

/* Ends the test unless scanning text gives these records and these diagnostics (make_told), and
 * an error exactly where there is a fault among them. */
void scan_is(const char *text, const char *records, const char *told);
void scan_is_sized(const char *text, size_t size, const char *records, const char *told);

/* The same without the $TTL before. */
void scan_is_bare(const char *text, const char *records, const char *told);

/* Text that gives no records and one fault: "z:" and the rest of it are put around `fault`. */
void scan_faults(const char *text, const char *fault);

/* RDATA text of a type as wire: size, or -1 with the first fault in *fault (static). */
int scan_aid_rdata(uint16_t type, const char *text, uint8_t rdata[65535], const char **fault);

#endif

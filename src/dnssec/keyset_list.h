/*
 * For the files of keyset: lists of RDATA in canonical order, and the RRset made elsewhere.
 */
#ifndef RRDNS_DNSSEC_KEYSET_LIST_H
#define RRDNS_DNSSEC_KEYSET_LIST_H

#include "dnssec/keyset.h"

/* Adds a record in its place, unless it is there; the list has room. */
void keyset_list_add(struct keyset_list *list, const uint8_t *data, size_t size);

bool keyset_list_has(const struct keyset_list *list, const uint8_t *data, size_t size);

/*
 * Reads K<zone>.dnskey at path and verifies its signatures. Returns 0, or an error, told in diag.
 */
int keyset_offline_read(const char *path, const uint8_t *zone, struct keyset_offline **offline,
                        struct diag *diag);
void keyset_offline_free(struct keyset_offline *offline); /* NULL is harmless */

/*
 * Whether all signatures are valid at the time, and when that changes next (INT64_MAX: not any
 * more).
 */
bool keyset_offline_valid(const struct keyset_offline *offline, int64_t time, int64_t *next);

#endif

/*
 * Memory for private keys: not swapped out where the system allows to lock it, in no core dump,
 * wiped before it is given back. Not all of it for RSA keys that are read from files: OpenSSL makes
 * their numbers in ordinary memory, where they are wiped but may come into a core dump.
 */
#ifndef RRDNS_DNSSEC_SECRET_H
#define RRDNS_DNSSEC_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes the memory that OpenSSL keeps private keys in; to be called once at the start, before the
 * first key is made or read. Returns 0; RR_EPERM where the memory is there, but could not be locked
 * (RLIMIT_MEMLOCK): keys may then be swapped out; RR_ENOMEM where it is not there: keys live in
 * ordinary memory then, wiped all the same.
 */
int secret_init(void);

/* Whether there is no room for another key: OpenSSL's errors do not tell. */
bool secret_is_full(void);

/* Zeroed memory for texts and numbers on their way in or out, or NULL. */
void *secret_alloc(size_t size);

/* Wipes and frees; NULL is harmless. size is as it was for secret_alloc. */
void secret_free(void *memory, size_t size);

#endif

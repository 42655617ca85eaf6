/*
 * Memory for private keys: not swapped out where the system allows to lock it, in no core dump,
 * wiped before it is given back. That holds for the keys themselves, in all forms that OpenSSL
 * makes of them, and for what is read and written (tests/unit/test_secret.c looks for them in all
 * that would be dumped). It does not hold for what a signature under way has in registers, on its
 * thread's stack and, for ECDSA and EdDSA, in numbers that OpenSSL makes for the moment.
 */
#ifndef RRDNS_DNSSEC_SECRET_H
#define RRDNS_DNSSEC_SECRET_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes the memory that OpenSSL keeps private keys in; to be called once at the start, before
 * anything of OpenSSL is used. Returns 0; RR_EPERM where the memory is there, but could not be
 * locked (RLIMIT_MEMLOCK): keys may then be swapped out; RR_ENOMEM where it is not there: keys live
 * in ordinary memory then, wiped all the same.
 */
int secret_init(void);

/*
 * All that OpenSSL allocates in this thread between the two is of that memory, too: also what it
 * would put elsewhere, such as the numbers of an RSA key. Where there is no room it is of ordinary
 * memory as else, and secret_end returns false. What the calls between have left on the stack is
 * overwritten, too. Not to be nested; without secret_init, or where OpenSSL was used before that,
 * they only do the latter.
 */
void secret_begin(void);
bool secret_end(void);

/* Whether there is no room for another key: OpenSSL's errors do not tell. */
bool secret_is_full(void);

/* As rr_strerror, but RR_ENOMEM says so where there is no room for another key. */
const char *secret_strerror(int error);

/* Zeroed memory for texts and numbers on their way in or out, or NULL. */
void *secret_alloc(size_t size);

/* Wipes and frees; NULL is harmless. size is as it was for secret_alloc. */
void secret_free(void *memory, size_t size);

#endif

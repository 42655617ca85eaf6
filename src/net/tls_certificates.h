/*
 * Certificates to be trusted, from files. Blocks: not for workers.
 */
#ifndef RRDNS_NET_TLS_CERTIFICATES_H
#define RRDNS_NET_TLS_CERTIFICATES_H

#include <openssl/types.h>
#include <stdint.h>

enum { TLS_DIGEST = 32 };

/*
 * Puts the certificates of a file (PEM; what else is in it is passed over) into store. NULL: the
 * system's, from OpenSSL's default file and directories, or those that its environment variables
 * name; what can't be read of them is passed over then, but for all of it. digest becomes the same
 * where the same certificates come in the same order, and differs between files and the system.
 * Returns 0; or RR_ENOMEM; or RR_EIO and in *why what is wrong (valid as long as strerror's text).
 * OpenSSL's list of errors is left as it comes.
 */
int tls_certificates_read(X509_STORE *store, const char *file, uint8_t digest[TLS_DIGEST],
                          const char **why);

#endif

/*
 * JSON texts as jansson reads them, where memory may end.
 */
#ifndef RRDNS_DAEMON_JSON_READ_H
#define RRDNS_DAEMON_JSON_READ_H

#include <jansson.h>
#include <stddef.h>

/*
 * Reads a document of size octets; flags are jansson's (JSON_REJECT_DUPLICATES and so on). Returns
 * 0 and *document (one reference, the caller's); RR_EINVAL, and *error tells where and why; or
 * RR_ENOMEM. *document is NULL then. Any thread.
 */
int json_read(const char *text, size_t size, size_t flags, json_t **document, json_error_t *error);

#endif

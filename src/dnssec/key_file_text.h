/*
 * For the files of key_file: text in a buffer that the lexer may read ahead in.
 */
#ifndef RRDNS_DNSSEC_KEY_FILE_TEXT_H
#define RRDNS_DNSSEC_KEY_FILE_TEXT_H

#include "dnssec/key_file.h"
#include "zone/lexer.h"

enum { KEYFILE_TEXT_ROOM = KEYFILE_SIZE_MAX + LEXER_SLACK };

/* How an RSA number is named in .private files; index is of enum dnskey_number. */
const char *keyfile_number_name(size_t index);

/* keyfile_parse_public for a text that is followed by LEXER_SLACK zeros. */
int keyfile_parse_padded(const char *path, const char *text, size_t size, struct dnskey *key,
                         struct diag *diag);

#endif

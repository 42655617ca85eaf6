/*
 * Key files as BIND's tools have them: K<zone>+<algorithm>+<tag>.key with the DNSKEY record, and
 * .private beside it with the private part. Zones' names stand in lower case, every octet that is
 * no letter, digit, "-" or "_" as %XX; the root is "." ("K.+013+12345.key").
 *
 * Faults go to diag as "file:line: reason". No message has anything of a private part in it.
 */
#ifndef RRDNS_DNSSEC_KEY_FILE_H
#define RRDNS_DNSSEC_KEY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "dnssec/dnskey.h"

enum {
    KEYFILE_SIZE_MAX = 64 << 10, /* a file that is larger is none: RSA of 4096 bits takes 4 KiB */
    KEYFILE_NAME_MAX =
        1 + 3 * NAME_MAX_OCTETS + 1 + 3 + 1 + 5 + 1, /* without suffix, NUL included */
    KEYFILE_TIME_MAX = 15,                           /* "YYYYMMDDHHMMSS" and the NUL */
};

/* In names of files that are written, where the file system has none without names. */
#define KEYFILE_UNFINISHED ".unfinished-"

/* "K<zone>" to text (KEYFILE_NAME_MAX). Returns the length. */
size_t keyfile_prefix(const uint8_t *zone, char *text);

/* "K<zone>+<algorithm>+<tag>" to text (KEYFILE_NAME_MAX). Returns the length. */
size_t keyfile_name(const struct dnskey *key, char *text);

/* "YYYYMMDDHHMMSS" in UTC, of 1970 or later: 0, or RR_EINVAL. text need not end in NUL. */
int keyfile_time_parse(const char *text, size_t size, int64_t *time);
void keyfile_time_format(int64_t time, char *text);

/* How a time (enum dnskey_event) is named in key files: "Publish", "SyncDelete", ... */
const char *keyfile_event_name(unsigned event);

/* ---- Text in memory; path is for messages, text need not end in NUL ---- */

/*
 * Reads the text of a .key file: one DNSKEY record, and times in comments ("; Publish: ...").
 * Returns 0 and a key without private part; RR_EINVAL; RR_ENOMEM.
 */
int keyfile_parse_public(const char *path, const char *text, size_t size, struct dnskey *key,
                         struct diag *diag);

/*
 * Reads the text of a .private file into the key that its .key file gave: private part and times,
 * which replace those of the .key file. Returns 0; RR_EINVAL; RR_ENOMEM; key is then still to be
 * cleared.
 */
int keyfile_parse_private(const char *path, const char *text, size_t size, struct dnskey *key,
                          struct diag *diag);

/* ---- Files ---- */

/*
 * Reads the .key file at path. That its name fits what is in it is checked where its name has the
 * form K<zone>+<algorithm>+<tag>. Returns 0, or RR_EIO, RR_EINVAL, RR_ENOMEM, told in diag.
 */
int keyfile_read_public(const char *path, struct dnskey *key, struct diag *diag);

/*
 * The same, and the private part where the .private file is there; one that group or others may
 * read or write is refused. key is to be cleared, also on failure.
 */
int keyfile_read(const char *path, struct dnskey *key, struct diag *diag);

/*
 * Writes both files of a key that has a private part into directory: .private with mode 0600, .key
 * with 0644, both whole or not at all, and never over a file that is there. Killed, it may leave a
 * .private file without its .key file, never the other way round. Returns 0; RR_EEXIST where there
 * is such a file; RR_EIO with errno set; RR_ENOMEM.
 */
int keyfile_write(const char *directory, const struct dnskey *key);

/*
 * A new key in a directory: made, given times (DNSKEY_EVENTS of them) and written, under a tag that
 * no file of the zone has yet. Returns as keyfile_write and dnskey_generate; key is to be cleared
 * even on failure.
 */
int keyfile_make(const char *directory, const uint8_t *zone, uint16_t flags, uint8_t algorithm,
                 const int64_t *times, struct dnskey *key);

#endif

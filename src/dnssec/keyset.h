/*
 * All keys of a zone, and what they are good for at a time: which are published, which sign what,
 * what DNSKEY, CDS and CDNSKEY hold, and when that will be otherwise.
 *
 * A key set is read from a directory of key files (key_file.h), then never changed. Asking it about
 * a time reads nothing, allocates nothing and calls no cryptography.
 *
 * Keys of a zone whose key-signing key is kept elsewhere: a file K<zone>.dnskey in the directory,
 * in master file format, holds the DNSKEY RRset and RRSIGs made there. While all these are valid it
 * says what is published, and is served as it is.
 */
#ifndef RRDNS_DNSSEC_KEYSET_H
#define RRDNS_DNSSEC_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "dns/name.h"
#include "dnssec/dnskey.h"

enum {
    KEYSET_KEYS_MAX = 16, /* a DNSKEY RRset that is larger would not be answered over UDP anyway */
    KEYSET_FILES_MAX = 256, /* of a zone, those of keys deleted long ago included */
    KEYSET_CDS_SIZE = 4 + 32,
};

/* ---- A directory of key files, listed once for all zones that have keys in it ---- */

struct keyset_directory;

/* Returns 0; RR_EIO, told in diag; RR_ENOMEM. */
int keyset_directory_read(const char *path, struct keyset_directory **directory, struct diag *diag);
void keyset_directory_free(struct keyset_directory *directory); /* NULL is harmless */

/* The directory's path, as it was given. */
const char *keyset_directory_path(const struct keyset_directory *directory);

/* The zone's .key files, sorted: how many, and the first of their names. */
size_t keyset_directory_keys(const struct keyset_directory *directory, const uint8_t *zone,
                             const char *const **names);

/* ---- Key sets ---- */

struct keyset_rdata {
    const uint8_t *data;
    uint16_t size;
};

/* RDATA of an RRset in canonical order (RFC 4034 section 6.3), without doubles. */
struct keyset_list {
    size_t count;
    struct keyset_rdata record[KEYSET_KEYS_MAX];
};

/* A DNSKEY RRset made elsewhere, with signatures that have been verified. */
struct keyset_offline {
    char *path;
    uint32_t ttl;
    struct keyset_list dnskey, rrsig; /* into data */
    uint8_t *data;
};

struct keyset {
    size_t references; /* counted by loaders alone, as those of zones */
    uint8_t zone[NAME_MAX_OCTETS]; /* lower case */
    size_t count;
    struct dnskey *key; /* count of them */
    uint8_t cds[KEYSET_KEYS_MAX][KEYSET_CDS_SIZE]; /* each key's CDS RDATA, SHA-256 */
    struct keyset_offline *offline;                /* NULL: there is no such file */
    /* From when on it is all that the files hold: before, there were keys in them that are deleted
     * by now. */
    int64_t whole_from;
    uint64_t stamp[2]; /* of its files when they were read; 0: they may have changed meanwhile */
};

/*
 * Reads the zone's keys. Those deleted by `now` are left out. A zone without keys has an empty set.
 * Files of the zone that are of no key, such as a .private file alone, are warned of.
 * Returns 0, or RR_EINVAL, RR_EIO, RR_ENOMEM, all told in diag.
 */
int keyset_read(const struct keyset_directory *directory, const uint8_t *zone, int64_t now,
                struct keyset **keyset, struct diag *diag);

/*
 * Whether the zone's files are those that the set was read from, by the looks of them: as far as
 * the system tells of changes, nothing in them can be otherwise. False where that is in doubt.
 */
bool keyset_is_current(const struct keyset *keyset, const struct keyset_directory *directory);

/*
 * For a zone that has no key: makes one that signs everything, published and active from `now` on,
 * in the directory at path. Returns 0, the set of that one key, and in ds (DNSKEY_DS_TEXT) the DS
 * record for the parent; or an error, told in diag.
 */
int keyset_make(const char *path, const uint8_t *zone, uint8_t algorithm, int64_t now,
                struct keyset **keyset, char *ds, struct diag *diag);

struct keyset *keyset_ref(struct keyset *keyset);
/* Gives a reference back; the last one wipes the keys and frees. NULL is harmless. */
void keyset_unref(struct keyset *keyset);

/* ---- A time ---- */

enum keyset_state {
    KEYSET_FUTURE,    /* not yet published */
    KEYSET_PUBLISHED, /* not yet signing */
    KEYSET_ACTIVE,    /* signs, if its private part is here */
    KEYSET_RETIRED,   /* no longer signing, still published */
    KEYSET_REMOVED,   /* no longer published */
};

const char *keyset_state_name(enum keyset_state state);

/* By its times alone. A key without any, not even Created, is active: it comes from a tool that has
 * none. */
enum keyset_state keyset_state(const struct dnskey *key, int64_t time);

/* Arrays are parallel to keyset->key; lists point into the key set. */
struct keyset_moment {
    int64_t next; /* the first later time at which any of this may be otherwise; INT64_MAX: none */
    enum keyset_state state[KEYSET_KEYS_MAX];
    /*
     * Who signs DNSKEY, CDS and CDNSKEY, and who the rest. In an algorithm that has active keys
     * with the SEP flag and without, the former and the latter; where it has one kind only, these
     * sign everything. A revoked key signs DNSKEY alone (RFC 5011).
     */
    bool signs_dnskey[KEYSET_KEYS_MAX];
    bool signs_zone[KEYSET_KEYS_MAX];
    /*
     * RFC 7344, 8078: of keys with the SEP flag that are published, between SyncPublish and
     * SyncDelete; without SyncPublish, of active ones. Both are empty where the RRset made
     * elsewhere is served: nobody here could sign them.
     */
    struct keyset_list dnskey, cds, cdnskey;
    /* The RRset made elsewhere is served, as keyset->offline has it; nobody here signs DNSKEY. */
    bool offline;
};

void keyset_at(const struct keyset *keyset, int64_t time, struct keyset_moment *moment);

/*
 * Warns of what validators will not like (RFC 6840 section 5.11) or can't have been meant: an
 * algorithm that is published and does not sign, a DNSKEY RRset from elsewhere that is not valid at
 * the time, and the like.
 */
void keyset_warn(const struct keyset *keyset, int64_t time, const struct keyset_moment *moment,
                 struct diag *diag);

#endif

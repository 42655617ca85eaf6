/*
 * The state of reading a zone's master files, shared by the files of the scanner (scan*.c); the
 * outside sees zone_scan_file and zone_scan_text (zone_load.h).
 */
#ifndef RRDNS_ZONE_SCAN_H
#define RRDNS_ZONE_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/diag.h"
#include "zone/lexer.h"
#include "zone/records.h"
#include "zone/scan_value.h"
#include "zone/source.h"

enum {
    SCAN_TTL_MAX = 0x7fffffff, /* RFC 2181 section 8 */
    /* A chain of $INCLUDE this long is a mistake; so are so many of them in all. Both bounds keep
     * files that include each other by turns from running for ever. */
    SCAN_INCLUDE_DEPTH = 32,
    SCAN_INCLUDES = 10000,
    /* Records a zone may have from $GENERATE: a /8 of reverse names. 40 octets of text must not
     * fill all memory. */
    SCAN_GENERATED = 1 << 24,
};

/* A file being read. */
struct scan_file {
    const struct scan_file *parent; /* whose $INCLUDE it is; NULL: the zone's master file */
    const char *path;               /* as messages name it */
    uint64_t device, inode;         /* 0, 0: text without a file */
    uint32_t index;                 /* records_file's */
    unsigned depth;
};

struct scan {
    struct lexer lexer;
    const struct scan_file *file;
    struct scan_name origin;

    /* The owner last given. Its text, where it still stands in the file (else size 0), spares
     * reading it again when the next line begins with the same. */
    struct scan_name owner;
    const char *owner_text;
    size_t owner_text_size;
    bool has_owner;
    bool owner_told; /* to records, or found to be outside the zone */
    bool outside;

    uint32_t default_ttl, last_ttl;
    bool has_default_ttl, has_last_ttl;

    bool is_piece; /* of a text whose beginning another one reads: what the records before say of TTLs
                      is not known, and a directive, which is for what follows too, is a fault */

    bool generating;    /* inside $GENERATE: faults say for which number */
    uint64_t generated_number;
    size_t generated;   /* records so far */
    unsigned includes;  /* so far */
    int error;          /* RR_ENOMEM: everything stops */

    const uint8_t *apex;
    struct records *records;
    struct source_list *sources;
    struct diag *diag;
};

/* Reads all entries of text (followed by LEXER_SLACK zeros), which is file's content. */
void scan_text(struct scan *scan, const struct scan_file *file, const char *text, size_t size);

/* Reads entries until the lexer is at `end` or behind it. */
void scan_entries(struct scan *scan, const char *end);

/*
 * Reads a zone's master file in blocks, with up to so many threads, where it is large. What comes
 * of it is what scan_text would make of it. Returns 0 and the hash of all that was read;
 * RR_EFORMAT: it is a zone image; RR_ENOMEM. RR_ERANGE or RR_EIO, and nothing is left or told but
 * that records may be split: it is to be read as a whole, being small, or faulty, or changed
 * meanwhile.
 */
struct scan_input;
int scan_pieces(struct scan *scan, const struct scan_file *file, const struct scan_input *input,
                size_t threads, uint64_t hash[2]);

/*
 * Reads one entry; lexer->at is at its beginning. A fault is reported and the lexer is moved behind
 * the entry. Returns 0 or an error.
 */
int scan_entry(struct scan *scan);

/* Forgets the text of the owner: it does not stand, or means something else. */
static inline void scan_forget_text(struct scan *scan)
{
    scan->owner_text_size = 0;
}

/* Begins text as file's: refuses a byte order mark, moves the lexer to the first entry. */
void scan_begin(struct scan *scan, const struct scan_file *file, const char *text, size_t size);

/* The source that was read under path, or NULL. */
const struct source_file *scan_source(const struct scan *scan, const char *path);

/* Why source_read failed; errno is still its. */
const char *scan_source_error(int error);

/* ---- Directives; the current token is the directive's name. As rdata_scan they leave the end of
 * the entry as the current token, or a fault. ---- */

int scan_directive(struct scan *scan);
int scan_include(struct scan *scan);
int scan_generate(struct scan *scan);

#endif

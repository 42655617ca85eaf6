/*
 * A large text in blocks, each read into the same few hundred KiB again and again: the text as a
 * whole would be the largest part of what a reload needs memory for, all of it fresh.
 *
 * A first pass finds where to cut, and what readers of the blocks cannot know themselves; it is
 * also what the source is known by later. Private to the scanner (scan*.c).
 */
#ifndef RRDNS_ZONE_SCAN_BLOCKS_H
#define RRDNS_ZONE_SCAN_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dns/key.h"
#include "zone/scan_value.h"
#include "zone/source.h"

/* Where a text is read from: a file, or (file is NULL) memory. */
struct scan_input {
    const struct source_open *file;
    const char *text;
    size_t size;
};

struct scan_block {
    uint64_t offset;
    size_t size;
    size_t newlines; /* where they were wanted */
    uint64_t hash;
};

struct scan_blocks {
    const struct scan_input *input;
    size_t count;
    struct scan_block *block; /* each but the first begins with a line that begins with a name */
    bool directives;          /* there are lines behind the head that look like some; the same */
    size_t head;              /* octets up to the first entry behind the head's last directive */
    size_t samples;
    struct key *sample;       /* names from all over the text */
    uint64_t hash[2];         /* of all, as sources are known by */
};

/*
 * Looks through input. Takes about `samples` names that lines begin with and that lie under apex,
 * which is also the origin at the beginning. lines: who reads blocks will not have read all
 * before, and wants newlines counted and directives found. Returns 0; RR_EFORMAT: a zone image,
 * which is no text; RR_ERANGE: it can't be cut; RR_EIO; RR_ENOMEM. The samples are good with
 * RR_ERANGE too, and scan_blocks_free is to be called in any case.
 */
int scan_blocks_find(struct scan_blocks *blocks, const struct scan_input *input,
                     const uint8_t *apex, size_t samples, bool lines);

/* Octets of room that a block needs, with the zeros behind it that the lexer wants. */
size_t scan_block_room(void);

/* Reads a block into room. False: it can't be read, or is not what it was. */
bool scan_block_read(const struct scan_blocks *blocks, size_t block, char *room);

void scan_blocks_free(struct scan_blocks *blocks);

#endif

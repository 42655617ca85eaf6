/*
 * A large text is read in blocks (scan_blocks.h) that lie in pieces, several pieces at a time.
 * Nobody can tell where entries begin without reading all that is before: a line may lie inside
 * parentheses or quotes. So it is guessed that an entry begins with any line that begins with a
 * name, and whoever reads the block before finds out: where its last entry ends just where the
 * next block begins, the guess was right.
 *
 * What else an entry may depend on is kept out of pieces. Directives are: the head of the file up
 * to the last of them is read first, by one thread, and where more lines behind it look like some,
 * all is. The owner of the record before: a piece begins with a name. The TTL of the record before:
 * where a piece would need it, that is a fault, and so is a directive that did not look like one
 * (behind a parenthesis). And after a fault of any kind, as after a wrong guess, all is read again
 * by one thread and as a whole, which then tells everything as it should be told. Faulty zones pay
 * for it with time, and nobody else.
 *
 * The text is also what tells how to split the records into parts: by the names that lines here
 * and there begin with.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/crew.h"
#include "base/err.h"
#include "zone/scan.h"
#include "zone/scan_blocks.h"

enum {
    /* Octets of text that make a part: its records and what they become fit a second-level cache
     * (1 MiB) about as well as its overhead is still small. */
    PART_SIZE = 1 << 20,
    /* Below this a text is read as a whole into one part. */
    BLOCKS_MIN = 4 << 20,
    /* Samples for each limit between parts: parts then differ by a third or so. */
    PART_SAMPLES = 12,
    /* Pieces for each thread: where one thread is held up, the others take its share. */
    THREAD_PIECES = 4,
};

struct piece {
    size_t from, to; /* blocks */
    struct records *records;
    struct diag diag;
    bool good;
};

struct pieces {
    const struct scan *head; /* as it is behind the head */
    const struct scan_blocks *blocks;
    struct piece *piece;
    size_t count;
    atomic_size_t next;
};

/*
 * Reads blocks, but for the first `skip` octets of the first of them, which begin on lexer.line.
 * False: there was a fault, or they are not cut where entries begin, or no longer what they were.
 */
static bool read_blocks(struct scan *scan, const struct scan_blocks *blocks, size_t from, size_t to,
                        size_t skip)
{
    char *room = malloc(scan_block_room());
    bool good = room != NULL;
    for (size_t i = from; i < to && good; i++, skip = 0) {
        const char *end = room + blocks->block[i].size;
        good = scan_block_read(blocks, i, room);
        if (good) {
            scan_forget_text(scan);
            lexer_init(&scan->lexer, room + skip, (size_t)(end - room) - skip, scan->lexer.line);
            scan_entries(scan, end);
            good = scan->error == RR_OK && scan->diag->faults == 0 && scan->lexer.at == end;
        }
    }
    scan_forget_text(scan);
    free(room);
    return good;
}

/* ---- Pieces ---- */

static bool cut_pieces(struct pieces *pieces, size_t threads)
{
    size_t blocks = pieces->blocks->count, most = threads * THREAD_PIECES;
    pieces->count = blocks < most ? blocks : most;
    pieces->piece = calloc(pieces->count, sizeof *pieces->piece);
    for (size_t i = 0; i < pieces->count && pieces->piece != NULL; i++) {
        pieces->piece[i].from = i * blocks / pieces->count;
        pieces->piece[i].to = (i + 1) * blocks / pieces->count;
    }
    return pieces->piece != NULL;
}

static void read_piece(const struct pieces *pieces, struct piece *piece)
{
    struct scan scan = *pieces->head;
    piece->records = records_like(scan.records);
    if (piece->records == NULL) {
        return;
    }
    scan.records = piece->records;
    scan.diag = &piece->diag;
    scan.is_piece = true;
    scan.has_last_ttl = false;
    if (piece->from > 0) {
        scan.lexer.line = 1;
        for (size_t i = 0; i < piece->from; i++) {
            scan.lexer.line += pieces->blocks->block[i].newlines;
        }
    }
    piece->good = read_blocks(&scan, pieces->blocks, piece->from, piece->to,
                              piece->from == 0 ? pieces->blocks->head : 0);
}

static void read_pieces(void *context)
{
    struct pieces *pieces = context;
    size_t i;
    while ((i = atomic_fetch_add(&pieces->next, 1)) < pieces->count) {
        read_piece(pieces, &pieces->piece[i]);
    }
}

/* Joins what the pieces have, or drops it; returns whether all is well. */
static bool end_pieces(struct scan *scan, struct pieces *pieces)
{
    bool good = true;
    for (size_t i = 0; i < pieces->count; i++) {
        good = good && pieces->piece[i].good;
    }
    for (size_t i = 0; i < pieces->count; i++) {
        struct piece *piece = &pieces->piece[i];
        if (good) {
            records_join(scan->records, piece->records);
            diag_merge(scan->diag, &piece->diag);
        }
        records_free(piece->records);
        diag_clear(&piece->diag);
    }
    free(pieces->piece);
    return good;
}

/* ---- The whole ---- */

/* Reads all up to the first entry behind the head's last directive. */
static bool read_head(struct scan *scan, const struct scan_file *file,
                      const struct scan_blocks *blocks)
{
    char *room = malloc(scan_block_room());
    bool good = room != NULL && scan_block_read(blocks, 0, room);
    if (good) {
        scan_begin(scan, file, room, blocks->block[0].size);
        scan_entries(scan, room + blocks->head);
        good = scan->error == RR_OK && scan->lexer.at == room + blocks->head;
    }
    scan_forget_text(scan);
    free(room);
    return good;
}

/* Reads what is behind the head. */
static bool read_body(struct scan *scan, const struct scan_blocks *blocks, size_t threads)
{
    if (threads == 1 || blocks->directives) {
        return read_blocks(scan, blocks, 0, blocks->count, blocks->head);
    }
    struct pieces pieces = {.head = scan, .blocks = blocks};
    if (!cut_pieces(&pieces, threads)) {
        return false;
    }
    crew_run(threads, read_pieces, &pieces);
    return end_pieces(scan, &pieces);
}

/* Reads all in blocks. False: it didn't work out, and nothing is left of it. */
static bool try_blocks(struct scan *scan, const struct scan_file *file,
                       const struct scan_blocks *blocks, size_t threads)
{
    struct diag diag = {0};
    struct scan trial = *scan;
    trial.diag = &diag;
    bool good = read_head(&trial, file, blocks) && read_body(&trial, blocks, threads) &&
                diag.faults == 0;
    if (good) {
        diag_merge(scan->diag, &diag);
    } else {
        records_clear(scan->records);
    }
    diag_clear(&diag);
    return good;
}

int scan_pieces(struct scan *scan, const struct scan_file *file, const struct scan_input *input,
                size_t threads, uint64_t hash[2])
{
    if (input->size < BLOCKS_MIN) {
        return RR_ERANGE;
    }
    size_t parts = input->size / PART_SIZE;
    parts = parts < RECORDS_PARTS_MAX ? parts : RECORDS_PARTS_MAX;
    struct scan_blocks blocks;
    int error =
        scan_blocks_find(&blocks, input, scan->apex, parts * PART_SAMPLES, threads > 1);
    if (error == RR_OK || error == RR_ERANGE) {
        int split = records_split(scan->records, blocks.sample, blocks.samples, parts);
        error = split != RR_OK ? split : error;
    }
    if (error == RR_OK && !try_blocks(scan, file, &blocks, threads)) {
        error = RR_ERANGE;
    }
    memcpy(hash, blocks.hash, sizeof blocks.hash);
    scan_blocks_free(&blocks);
    return error;
}

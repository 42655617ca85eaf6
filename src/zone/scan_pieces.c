/*
 * A large text is read in pieces, several at a time. Nobody can tell where entries begin without
 * reading all that is before: a line may lie inside parentheses or quotes. So it is guessed that an
 * entry begins with any line that begins with a name, and whoever reads the piece before finds out:
 * where its last entry ends just where the next piece begins, the guess was right.
 *
 * What else an entry may depend on is kept out of pieces. Directives are: the head of the file up to
 * the last of them is read first, by one thread, and where there are more behind it, all is.
 * The owner of the record before: a piece begins with a name. The TTL of the record before: where a
 * piece would need it, that is a fault. And after a fault of any kind, as after a wrong guess, all is
 * read again by one thread, which then tells everything as it should be told. Faulty zones pay for
 * it with time, and nobody else.
 *
 * The text is also what tells how to split the records into parts: by the names that lines here
 * and there begin with.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/key.h"
#include "dns/name.h"
#include "zone/scan.h"

enum {
    /* Octets of text that make a part: its records and what they become fit a second-level cache
     * (1 MiB) about as well as its overhead is still small. */
    PART_SIZE = 1 << 20,
    /* Below this a text is read by one thread into one part. */
    PIECES_MIN = 4 << 20,
    /* Samples for each limit between parts: parts then differ by a third or so. */
    PART_SAMPLES = 12,
    /* Directives in so much of the file are its head's; one further on makes it one piece. */
    HEAD_MAX = 64 * 1024,
    /* Pieces for each thread: where one thread is held up, the others take its share. */
    THREAD_PIECES = 4,
};

struct piece {
    const char *start, *end;
    size_t newlines;
    bool directives; /* there are lines that look like some */
    struct records *records;
    struct diag diag;
    bool good;
};

struct pieces {
    const struct scan *head; /* as it is where the first piece begins */
    struct piece *piece;
    size_t count;
    atomic_size_t next;
};

/* The first line from p on that begins with a name; NULL: none. */
static const char *next_entry(const char *p, const char *end)
{
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL && ++p < end) {
        if (lexer_class(p) <= LEXER_ESCAPE && *p != '$') {
            return p;
        }
    }
    return NULL;
}

/* Behind the last directive's line of those in the head; where there is none, the beginning. */
static const char *head_end(const char *text, const char *end)
{
    size_t most = (size_t)(end - text) < HEAD_MAX ? (size_t)(end - text) : HEAD_MAX;
    for (const char *p = text + most; (p = memrchr(text, '$', (size_t)(p - text))) != NULL;) {
        if (p == text || p[-1] == '\n') {
            const char *newline = memchr(p, '\n', (size_t)(end - p));
            return newline != NULL ? newline + 1 : end;
        }
    }
    return text;
}

/* ---- Parts ---- */

/* The word at p as a name, relative to origin. */
static bool take_name(const char *p, const uint8_t *origin, uint8_t *name)
{
    const char *end = p;
    while (lexer_class(end) <= LEXER_ESCAPE) {
        end++;
    }
    return name_from_text(p, (size_t)(end - p), origin, name) == RR_OK;
}

/* What the last $ORIGIN before `body` most likely makes the origin. */
static void guess_origin(const char *text, const char *body, uint8_t *origin)
{
    static const char directive[] = "$ORIGIN";
    for (const char *p = text; p != NULL && p < body; p = memchr(p, '\n', (size_t)(body - p))) {
        p += *p == '\n';
        if (strncasecmp(p, directive, sizeof directive - 1) == 0) {
            uint8_t name[NAME_MAX_OCTETS];
            p += sizeof directive - 1;
            p += strspn(p, " \t");
            if (take_name(p, origin, name)) {
                memcpy(origin, name, name_size(name));
            }
        }
    }
}

/* Splits the records by the names that lines of the text here and there begin with. */
static int split_records(struct scan *scan, const char *text, const char *body, const char *end)
{
    uint8_t origin[NAME_MAX_OCTETS], name[NAME_MAX_OCTETS];
    memcpy(origin, scan->origin.wire, scan->origin.size);
    guess_origin(text, body, origin);
    size_t parts = (size_t)(end - text) / PART_SIZE;
    parts = parts < RECORDS_PARTS_MAX ? parts : RECORDS_PARTS_MAX;
    size_t wanted = parts * PART_SAMPLES, count = 0;
    struct key *samples = malloc(wanted * sizeof *samples);
    if (samples == NULL) {
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < wanted; i++) {
        const char *p = next_entry(text + i * (size_t)(end - text) / wanted, end);
        if (p != NULL && take_name(p, origin, name) && name_is_under(name, scan->apex)) {
            key_from_name(name, &samples[count++]);
        }
    }
    int error = records_split(scan->records, samples, count, parts);
    free(samples);
    return error;
}

/* ---- Pieces ---- */

static bool cut_pieces(struct pieces *pieces, const char *text, const char *end, size_t threads)
{
    size_t count = threads * THREAD_PIECES;
    pieces->piece = calloc(count, sizeof *pieces->piece);
    if (pieces->piece == NULL) {
        return false;
    }
    const char *start = text;
    for (size_t i = 1; i <= count && start != NULL && start < end; i++) {
        const char *stop =
            i < count ? next_entry(text + i * (size_t)(end - text) / count, end) : NULL;
        stop = stop != NULL ? stop : end;
        if (stop > start) {
            pieces->piece[pieces->count++] = (struct piece){.start = start, .end = stop};
            start = stop;
        }
    }
    return true;
}

/* Looks through a piece: how many lines, and whether there are directives. */
static void skim_piece(struct piece *piece)
{
    const char *p = piece->start;
    for (; piece->end - p >= BLOCK; p += BLOCK) {
        piece->newlines += (size_t)__builtin_popcount(block_equal(p, '\n'));
        unsigned dollars = block_equal(p, '$');
        for (; dollars != 0; dollars &= dollars - 1) {
            piece->directives |= p[(ptrdiff_t)__builtin_ctz(dollars) - 1] == '\n';
        }
    }
    for (; p < piece->end; p++) {
        piece->newlines += *p == '\n';
        piece->directives |= *p == '$' && p[-1] == '\n';
    }
}

static void skim_pieces(void *context)
{
    struct pieces *pieces = context;
    size_t i;
    while ((i = atomic_fetch_add(&pieces->next, 1)) < pieces->count) {
        skim_piece(&pieces->piece[i]);
    }
}

static void read_piece(const struct pieces *pieces, struct piece *piece)
{
    struct scan scan = *pieces->head;
    size_t line = scan.lexer.line;
    for (const struct piece *before = pieces->piece; before != piece; before++) {
        line += before->newlines;
    }
    piece->records = records_like(scan.records);
    if (piece->records == NULL) {
        return;
    }
    scan.records = piece->records;
    scan.diag = &piece->diag;
    scan.is_piece = true;
    scan.has_last_ttl = false;
    scan_forget_text(&scan);
    lexer_init(&scan.lexer, piece->start, (size_t)(scan.lexer.end - piece->start), line);
    scan_entries(&scan, piece->end);
    piece->good = scan.error == RR_OK && piece->diag.faults == 0 && scan.lexer.at == piece->end;
}

static void read_pieces(void *context)
{
    struct pieces *pieces = context;
    size_t i;
    while ((i = atomic_fetch_add(&pieces->next, 1)) < pieces->count) {
        read_piece(pieces, &pieces->piece[i]);
    }
}

/* Whether a directive changes what stands behind it. */
static bool any_directives(const struct pieces *pieces)
{
    for (size_t i = 0; i < pieces->count; i++) {
        if (pieces->piece[i].directives) {
            return true;
        }
    }
    return false;
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

/* Reads all from the lexer's place on with several threads. False: it didn't work out. */
static bool read_body(struct scan *scan, size_t threads)
{
    struct pieces pieces = {.head = scan};
    if (!cut_pieces(&pieces, scan->lexer.at, scan->lexer.end, threads)) {
        return false;
    }
    crew_run(threads, skim_pieces, &pieces);
    if (!any_directives(&pieces)) {
        atomic_store(&pieces.next, 0);
        crew_run(threads, read_pieces, &pieces);
    }
    return end_pieces(scan, &pieces);
}

/* Reads all with several threads. False: it didn't work out, and nothing is left of it. */
static bool try_pieces(struct scan *scan, const struct scan_file *file, const char *text,
                       size_t size, const char *body, size_t threads)
{
    const struct scan before = *scan;
    struct diag diag = {0};
    scan->diag = &diag;
    scan_begin(scan, file, text, size);
    const char *first = next_entry(body > text ? body - 1 : text, text + size);
    scan_entries(scan, first != NULL ? first : text + size);
    bool good = scan->error == RR_OK && scan->lexer.at == first && read_body(scan, threads) &&
                diag.faults == 0;
    if (good) {
        diag_merge(before.diag, &diag);
    } else {
        records_clear(scan->records);
    }
    diag_clear(&diag);
    *scan = before;
    return good;
}

void scan_pieces(struct scan *scan, const struct scan_file *file, const char *text, size_t size,
                 size_t threads)
{
    if (size >= PIECES_MIN) {
        const char *body = head_end(text, text + size);
        scan->error = split_records(scan, text, body, text + size);
        if (scan->error != RR_OK ||
            (threads > 1 && try_pieces(scan, file, text, size, body, threads))) {
            return;
        }
    }
    scan_text(scan, file, text, size);
}

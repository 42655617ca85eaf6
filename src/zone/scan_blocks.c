/*
 * The file is read twice, to look through it and to read its entries. That it is still the same the
 * second time, when it comes from the kernel's cache, is what a hash for each block is for.
 */
#include "zone/scan_blocks.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <xxhash.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/name.h"
#include "zone/image.h"
#include "zone/lexer.h"

enum {
    /* Half of a small second-level cache, beside what becomes of the text. A longer entry (of one
     * owner without a line that begins with a name) is read otherwise. */
    BLOCK_MOST = 256 * 1024,
    /* Directives in so much of the file are its head's. */
    HEAD_MAX = 64 * 1024,
};

/* The look through a text. */
struct look {
    struct scan_blocks *blocks;
    char *room;
    size_t kept;     /* octets in room */
    uint64_t offset; /* of the first of them */
    XXH3_state_t *state;
    size_t block_room;
    bool lines;    /* newlines and directives are wanted */
    size_t wanted; /* samples */
    size_t next;   /* the sample to be taken next */
    const uint8_t *apex;
    uint8_t origin[NAME_MAX_OCTETS];
    bool cut; /* false: there was no place to cut at */
};

size_t scan_block_room(void)
{
    return BLOCK_MOST + LEXER_SLACK;
}

static bool fetch(const struct scan_input *input, uint64_t offset, char *data, size_t size)
{
    if (input->file != NULL) {
        return source_piece(input->file, offset, data, size);
    }
    memcpy(data, input->text + offset, size);
    return true;
}

static bool begins_entry(const char *p)
{
    return lexer_class(p) <= LEXER_ESCAPE && *p != '$';
}

/* The first line from p on that begins with a name; NULL: none. */
static const char *next_entry(const char *p, const char *end)
{
    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL && ++p < end) {
        if (begins_entry(p)) {
            return p;
        }
    }
    return NULL;
}

/* The last such line behind the beginning; NULL: none. */
static const char *last_entry(const char *text, const char *end)
{
    for (const char *p = end; (p = memrchr(text, '\n', (size_t)(p - text))) != NULL;) {
        if (p + 1 < end && begins_entry(p + 1)) {
            return p + 1;
        }
    }
    return NULL;
}

/* ---- The head ---- */

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

static void look_at_head(struct look *look, const char *end)
{
    const char *text = look->room;
    const char *body = head_end(text, end);
    const char *first = next_entry(body > text ? body - 1 : text, end);
    guess_origin(text, body, look->origin);
    look->blocks->head = first != NULL ? (size_t)(first - text) : (size_t)(end - text);
    look->cut = first != NULL;
}

/* ---- Blocks ---- */

/* How many lines, and whether there are directives from `body` on. */
static void skim(struct look *look, struct scan_block *block, const char *body)
{
    const char *p = look->room, *end = p + block->size;
    bool directives = false;
    for (; end - p >= BLOCK; p += BLOCK) {
        block->newlines += (size_t)__builtin_popcount(block_equal(p, '\n'));
        unsigned dollars = block_equal(p, '$');
        for (; dollars != 0; dollars &= dollars - 1) {
            const char *dollar = p + __builtin_ctz(dollars);
            directives |= dollar > body && dollar[-1] == '\n';
        }
    }
    for (; p < end; p++) {
        block->newlines += *p == '\n';
        directives |= *p == '$' && p > body && p[-1] == '\n';
    }
    look->blocks->directives |= directives;
}

/* The names that are next to be taken, as far as they stand in the block. */
static void take_samples(struct look *look, const struct scan_block *block)
{
    struct scan_blocks *blocks = look->blocks;
    const char *end = look->room + block->size;
    uint8_t name[NAME_MAX_OCTETS];
    for (; look->next < look->wanted; look->next++) {
        uint64_t place = look->next * (uint64_t)blocks->input->size / look->wanted;
        if (place >= block->offset + block->size) {
            break;
        }
        const char *p = next_entry(look->room + (place - block->offset), end);
        if (p != NULL && take_name(p, look->origin, name) && name_is_under(name, look->apex)) {
            key_from_name(name, &blocks->sample[blocks->samples++]);
        }
    }
}

static bool add_block(struct look *look, const struct scan_block *block)
{
    struct scan_blocks *blocks = look->blocks;
    if (blocks->count == look->block_room) {
        size_t room = look->block_room > 0 ? 2 * look->block_room : 64;
        struct scan_block *grown = realloc(blocks->block, room * sizeof *grown);
        if (grown == NULL) {
            return false;
        }
        blocks->block = grown;
        look->block_room = room;
    }
    blocks->block[blocks->count++] = *block;
    return true;
}

/* Takes a block from the beginning of what is in the room; what is behind it stays there. */
static bool take_block(struct look *look, bool last)
{
    struct scan_blocks *blocks = look->blocks;
    const char *text = look->room, *end = text + look->kept;
    if (blocks->count == 0) {
        look_at_head(look, end);
    }
    const char *stop = last ? end : last_entry(text, end);
    look->cut = look->cut && stop != NULL;
    struct scan_block block = {
        .offset = look->offset,
        .size = stop != NULL ? (size_t)(stop - text) : look->kept,
    };
    if (blocks->count == 0) {
        look->cut = look->cut && blocks->head < block.size;
    }
    if (look->lines) {
        skim(look, &block, blocks->count == 0 ? text + blocks->head : text);
    }
    take_samples(look, &block);
    block.hash = XXH3_64bits(text, block.size);
    look->offset += block.size;
    look->kept -= block.size;
    memmove(look->room, text + block.size, look->kept);
    crew_give_way();
    return add_block(look, &block);
}

static int look_through(struct look *look)
{
    struct scan_blocks *blocks = look->blocks;
    size_t size = blocks->input->size;
    while (look->offset < size) {
        uint64_t from = look->offset + look->kept;
        size_t more = BLOCK_MOST - look->kept;
        more = more < size - from ? more : (size_t)(size - from);
        char *end = look->room + look->kept;
        if (!fetch(blocks->input, from, end, more)) {
            return RR_EIO;
        }
        XXH3_128bits_update(look->state, end, more);
        memset(end + more, 0, LEXER_SLACK);
        look->kept += more;
        if (from == 0 && image_is(look->room, look->kept)) {
            return RR_EFORMAT;
        }
        if (!take_block(look, from + more == size)) {
            return RR_ENOMEM;
        }
    }
    XXH128_hash_t hash = XXH3_128bits_digest(look->state);
    blocks->hash[0] = hash.high64;
    blocks->hash[1] = hash.low64;
    return look->cut ? RR_OK : RR_ERANGE;
}

int scan_blocks_find(struct scan_blocks *blocks, const struct scan_input *input,
                     const uint8_t *apex, size_t samples, bool lines)
{
    struct look look = {
        .blocks = blocks,
        .room = malloc(scan_block_room()),
        .state = XXH3_createState(),
        .lines = lines,
        .wanted = samples,
        .apex = apex,
    };
    *blocks = (struct scan_blocks){.input = input, .sample = malloc(samples * sizeof(struct key))};
    memcpy(look.origin, apex, name_size(apex));
    int error = RR_ENOMEM;
    if (look.room != NULL && look.state != NULL && blocks->sample != NULL) {
        XXH3_128bits_reset(look.state);
        error = look_through(&look);
    }
    XXH3_freeState(look.state);
    free(look.room);
    return error;
}

bool scan_block_read(const struct scan_blocks *blocks, size_t block, char *room)
{
    const struct scan_block *b = &blocks->block[block];
    if (!fetch(blocks->input, b->offset, room, b->size)) {
        return false;
    }
    memset(room + b->size, 0, LEXER_SLACK);
    return XXH3_64bits(room, b->size) == b->hash;
}

void scan_blocks_free(struct scan_blocks *blocks)
{
    free(blocks->block);
    free(blocks->sample);
    *blocks = (struct scan_blocks){0};
}

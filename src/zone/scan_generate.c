/*
 * $GENERATE START-STOP[/STEP] OWNER [TTL] [CLASS] TYPE DATA, as BIND has it: for each number in
 * the range the rest of the line is a record, in which "$" is the number. ${OFFSET[,WIDTH[,BASE]]}
 * is the number plus OFFSET, at least WIDTH characters wide, in base d, o, x, X, or as nibbles of a
 * reverse name (n, N). "\$" and "$$" are a dollar sign. Data that is one quoted string stands for
 * what it quotes (BIND wants the quotes where data has blanks; here they may be left out).
 *
 * The line is kept as text, and each record is written out and read like any other entry.
 */
#include <stdio.h>
#include <string.h>

#include "base/crew.h"
#include "base/err.h"
#include "zone/scan.h"

enum {
    LINE_MAX_SIZE = 4096, /* of the line, and of what is made of it */
    WIDTH_MAX = 255,
};

struct range {
    uint32_t start, stop, step;
};

static bool parse_range(const struct token *token, struct range *range)
{
    const char *end = token->text + token->size;
    const char *dash = memchr(token->text, '-', token->size);
    const char *slash = memchr(token->text, '/', token->size);
    const char *stop_end = slash != NULL ? slash : end;
    range->step = 1;
    return token->kind == TOKEN_WORD && dash != NULL && dash < stop_end &&
           scan_digits(token->text, (size_t)(dash - token->text), INT32_MAX, &range->start) &&
           scan_digits(dash + 1, (size_t)(stop_end - dash) - 1, INT32_MAX, &range->stop) &&
           (slash == NULL ||
            scan_digits(slash + 1, (size_t)(end - slash) - 1, INT32_MAX, &range->step)) &&
           range->step > 0 && range->start <= range->stop;
}

/* ---- The line ---- */

/* What a quoted string quotes: the string without the backslashes that quote its quotes. */
static void put_quoted(const struct token *token, struct wire_writer *line)
{
    for (size_t i = 0; i < token->size; i++) {
        const char *p = token->text + i;
        bool escape = *p == '\\' && i + 1 < token->size;
        if (!escape || p[1] != '"') {
            wire_write_u8(line, (uint8_t)*p);
        }
        if (escape) {
            wire_write_u8(line, (uint8_t)p[1]);
            i++;
        }
    }
}

static void put_token(const struct token *token, struct wire_writer *line)
{
    bool quoted = token->kind == TOKEN_QUOTED;
    wire_write_octets(line, quoted ? " \"" : " ", quoted ? 2 : 1);
    wire_write_octets(line, token->text, token->size);
    wire_write_octets(line, "\"", quoted ? 1 : 0);
}

static bool is_ttl_or_class(const struct lexer *lexer)
{
    const struct token *token = &lexer->token;
    return token->kind == TOKEN_WORD &&
           ((token->text[0] >= '0' && token->text[0] <= '9') || lexer_is_word(lexer, "in") ||
            lexer_is_word(lexer, "class1"));
}

/* Copies the tokens from owner to the end of the entry. */
static int read_line(struct lexer *lexer, struct wire_writer *line)
{
    const struct token *token = &lexer->token;
    size_t first = token->line;
    if (token->kind != TOKEN_WORD) {
        return lexer_expected(lexer, "an owner name");
    }
    wire_write_octets(line, token->text, token->size);
    lexer_next(lexer);
    while (is_ttl_or_class(lexer)) {
        put_token(token, line);
        lexer_next(lexer);
    }
    if (token->kind != TOKEN_WORD) {
        return lexer_expected(lexer, "a record type");
    }
    put_token(token, line);
    lexer_next(lexer);
    struct token data = *token;
    size_t mark = line->pos;
    for (unsigned tokens = 0; token->kind != TOKEN_END; tokens++) {
        if (token->kind == TOKEN_FAULT) {
            return RR_EINVAL;
        }
        put_token(token, line);
        lexer_next(lexer);
        if (tokens == 0 && token->kind == TOKEN_END && data.kind == TOKEN_QUOTED) {
            wire_writer_rewind(line, mark);
            wire_write_u8(line, ' ');
            put_quoted(&data, line);
        }
    }
    if (line->failed || memchr(line->data + mark, '\n', line->pos - mark) != NULL) {
        return lexer_fault(lexer, first, "a $GENERATE line over %d octets, or with a newline",
                           LINE_MAX_SIZE);
    }
    return RR_OK;
}

/* ---- Numbers ---- */

struct number_form {
    int64_t offset;
    uint32_t width;
    char base;
};

/* Nibbles from the least significant on, dots between; width counts both, as in BIND. */
static void put_nibbles(uint64_t value, uint32_t width, const char *digits, struct wire_writer *out)
{
    do {
        wire_write_u8(out, (uint8_t)digits[value & 15]);
        value >>= 4;
        width -= width > 0;
        if (width > 0 || value > 0) {
            wire_write_u8(out, '.');
            width -= width > 0;
        }
    } while (width > 0 || value > 0);
}

static void put_number(uint64_t value, const struct number_form *form, struct wire_writer *out)
{
    char text[WIDTH_MAX + 32];
    const char *format = form->base == 'd'   ? "%0*llu"
                         : form->base == 'o' ? "%0*llo"
                         : form->base == 'x' ? "%0*llx"
                                             : "%0*llX";
    if (form->base == 'n' || form->base == 'N') {
        put_nibbles(value, form->width,
                    form->base == 'n' ? "0123456789abcdef" : "0123456789ABCDEF", out);
        return;
    }
    int size = snprintf(text, sizeof text, format, (int)form->width, (unsigned long long)value);
    wire_write_octets(out, text, (size_t)size);
}

/* OFFSET[,WIDTH[,BASE]] */
static bool parse_form(const char *text, size_t size, struct number_form *form)
{
    const char *end = text + size;
    bool negative = size > 0 && *text == '-';
    text += negative;
    const char *comma = memchr(text, ',', (size_t)(end - text));
    const char *offset_end = comma != NULL ? comma : end;
    uint32_t offset;
    *form = (struct number_form){.base = 'd'};
    if (!scan_digits(text, (size_t)(offset_end - text), INT32_MAX, &offset)) {
        return false;
    }
    form->offset = negative ? -(int64_t)offset : (int64_t)offset;
    if (comma == NULL) {
        return true;
    }
    text = comma + 1;
    comma = memchr(text, ',', (size_t)(end - text));
    const char *width_end = comma != NULL ? comma : end;
    if (!scan_digits(text, (size_t)(width_end - text), WIDTH_MAX, &form->width)) {
        return false;
    }
    if (comma == NULL) {
        return true;
    }
    form->base = comma + 2 == end ? comma[1] : '\0';
    return form->base != '\0' && strchr("doxXnN", form->base) != NULL;
}

/* What the "$" at text stands for. Returns the characters it takes, 0: it is malformed. */
static size_t put_dollar(const char *text, size_t left, uint32_t number, struct wire_writer *out)
{
    struct number_form form = {.base = 'd'};
    size_t taken = 1;
    if (left > 1 && text[1] == '$') {
        wire_write_octets(out, "\\$", 2);
        return 2;
    }
    if (left > 1 && text[1] == '{') {
        const char *close = memchr(text, '}', left);
        if (close == NULL || !parse_form(text + 2, (size_t)(close - text) - 2, &form)) {
            return 0;
        }
        taken = (size_t)(close - text) + 1;
    }
    int64_t value = number + form.offset;
    if (value < 0) {
        return 0;
    }
    put_number((uint64_t)value, &form, out);
    return taken;
}

/* The line for one number; false where a "$" in it is malformed. */
static bool expand(const struct wire_writer *line, uint32_t number, struct wire_writer *out)
{
    const char *text = (const char *)line->data;
    for (size_t i = 0; i < line->pos;) {
        size_t taken = 1;
        if (text[i] == '$') {
            taken = put_dollar(text + i, line->pos - i, number, out);
            if (taken == 0) {
                return false;
            }
        } else {
            taken = text[i] == '\\' && i + 1 < line->pos ? 2 : 1;
            wire_write_octets(out, text + i, taken);
        }
        i += taken;
    }
    return true;
}

/* ---- The whole ---- */

/* Reads the entry for one number; returns whether to go on. */
static bool generate_one(struct scan *scan, const struct wire_writer *line, uint32_t number,
                         size_t line_number)
{
    uint8_t room[LINE_MAX_SIZE + LEXER_SLACK];
    struct wire_writer out = wire_writer_init(room, LINE_MAX_SIZE);
    bool good = expand(line, number, &out);
    wire_write_u8(&out, '\n');
    if (!good || out.failed) {
        diag_fault(scan->diag, scan->file->path, line_number, "%s ($GENERATE at %u)",
                   good ? "the record is too long"
                        : "expected ${OFFSET,WIDTH,BASE}, and a number that is not below 0",
                   number);
        return false;
    }
    memset(room + out.pos, 0, LEXER_SLACK);
    lexer_init(&scan->lexer, (const char *)room, out.pos, line_number);
    scan_forget_text(scan);
    scan->generated_number = number;
    scan->generated++;
    return scan_entry(scan) == RR_OK;
}

int scan_generate(struct scan *scan)
{
    uint8_t room[LINE_MAX_SIZE];
    struct wire_writer line = wire_writer_init(room, sizeof room);
    struct range range;
    size_t first = scan->lexer.token.line;
    if (!parse_range(&scan->lexer.token, &range)) {
        return lexer_expected(&scan->lexer, "a range, START-STOP or START-STOP/STEP");
    }
    size_t count = (range.stop - range.start) / range.step + 1;
    if (count > SCAN_GENERATED - scan->generated) {
        return lexer_fault(&scan->lexer, first, "over %d records from $GENERATE in one zone",
                           SCAN_GENERATED);
    }
    lexer_next(&scan->lexer);
    int error = read_line(&scan->lexer, &line);
    if (error != RR_OK) {
        return error;
    }
    const struct lexer lexer = scan->lexer;
    scan->generating = true;
    for (size_t i = 0; i < count; i++) {
        if (!generate_one(scan, &line, range.start + (uint32_t)i * range.step, first)) {
            break;
        }
        crew_step();
    }
    scan->generating = false;
    scan->lexer = lexer;
    scan_forget_text(scan);
    return RR_OK;
}

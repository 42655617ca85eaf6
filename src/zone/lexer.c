/*
 * A table says what each octet is; the common cases, a plain word and a newline, are inline in the
 * header (where words are measured 16 octets at a time) and everything else comes here.
 *
 * Recovery is guesswork by nature. What is certain is that an entry ends at a newline outside of
 * parentheses. What is guessed is that a parenthesis or quote without an end was forgotten on its
 * own line, so that the next line begins an entry.
 */
#include "zone/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "dns/name.h"

const uint8_t lexer_class_table[256] = {
    ['\0'] = LEXER_NUL,   ['\t'] = LEXER_BLANK, ['\n'] = LEXER_NEWLINE, ['\r'] = LEXER_RETURN,
    [' '] = LEXER_BLANK,  ['"'] = LEXER_QUOTE,  ['('] = LEXER_OPEN,     [')'] = LEXER_CLOSE,
    [';'] = LEXER_COMMENT, ['\\'] = LEXER_ESCAPE,
};

enum { SHOWN = 40 }; /* octets of a token that a message quotes */

void lexer_init(struct lexer *lexer, const char *text, size_t size, size_t line)
{
    *lexer = (struct lexer){.at = text, .end = text + size, .line = line};
}

bool lexer_is_word(const struct lexer *lexer, const char *word)
{
    const struct token *token = &lexer->token;
    if (token->kind != TOKEN_WORD || token->size != strlen(word)) {
        return false;
    }
    for (size_t i = 0; i < token->size; i++) {
        if (name_lower((uint8_t)token->text[i]) != (uint8_t)word[i]) {
            return false;
        }
    }
    return true;
}

/* ---- Tokens ---- */

static void set_token(struct lexer *lexer, enum token_kind kind, const char *text, const char *end)
{
    lexer->token.kind = kind;
    lexer->token.text = text;
    lexer->token.size = (size_t)(end - text);
    lexer->token.line = lexer->line;
}

/* What stands at p is no token: goes behind it. */
static void no_token(struct lexer *lexer, const char *p, const char *what)
{
    set_token(lexer, TOKEN_FAULT, p, p + 1);
    lexer->at = p + 1;
    lexer_fault(lexer, lexer->line, "%s", what);
}

static void unclosed(struct lexer *lexer, const char *open, size_t open_line, const char *what)
{
    lexer->unclosed = true;
    lexer->open = open;
    lexer->open_line = open_line;
    set_token(lexer, TOKEN_FAULT, lexer->end, lexer->end);
    lexer->at = lexer->end;
    lexer_fault(lexer, open_line, "the %s opened here is never closed", what);
}

/* p is behind the opening quote. A NUL is told behind the closing one, so that what follows is not
 * taken for more of the string. */
static void read_quoted(struct lexer *lexer, const char *p)
{
    const char *start = p;
    size_t lines = 0, nul_line = 0;
    lexer->token.escaped = false;
    for (; *p != '"'; p++) {
        if (*p == '\\') {
            lexer->token.escaped = true;
            p += p + 1 < lexer->end;
        }
        lines += *p == '\n';
        if (*p == '\0') {
            if (p >= lexer->end) {
                unclosed(lexer, start - 1, lexer->line, "quote");
                return;
            }
            nul_line = nul_line == 0 ? lexer->line + lines : nul_line;
        }
    }
    set_token(lexer, nul_line == 0 ? TOKEN_QUOTED : TOKEN_FAULT, start, p);
    lexer->line += lines;
    lexer->at = p + 1;
    if (nul_line != 0) {
        lexer_fault(lexer, nul_line, "a NUL octet inside quotes");
    }
}

static void read_word(struct lexer *lexer, const char *p)
{
    const char *start = p;
    lexer->token.escaped = false;
    while (lexer_class(p) <= LEXER_ESCAPE) {
        if (*p == '\\') {
            lexer->token.escaped = true;
            p++;
            if (*p == '\n' || *p == '\r' || *p == '\0') {
                no_token(lexer, p - 1, "a backslash with nothing behind it");
                return;
            }
        }
        p++;
    }
    set_token(lexer, TOKEN_WORD, start, p);
    lexer->at = p;
}

static void read_end(struct lexer *lexer, const char *p)
{
    if (lexer->depth > 0) {
        unclosed(lexer, lexer->open, lexer->open_line, "parenthesis");
        return;
    }
    set_token(lexer, TOKEN_END, p, p);
    lexer->at = p;
    if (*p == '\n') {
        lexer->line++;
        lexer->at++;
    }
}

static const char *open_parenthesis(struct lexer *lexer, const char *p)
{
    if (lexer->depth++ == 0) {
        lexer->open = p;
        lexer->open_line = lexer->line;
    }
    return p + 1;
}

/* Passes over blanks, comments, parentheses, and newlines inside parentheses. NULL: no way on. */
static const char *skip_blanks(struct lexer *lexer, const char *p)
{
    for (;;) {
        switch (lexer_class(p)) {
        case LEXER_BLANK:
            p++;
            break;
        case LEXER_RETURN:
            if (p[1] != '\n') {
                no_token(lexer, p, "a carriage return without a newline");
                return NULL;
            }
            p++;
            break;
        case LEXER_COMMENT:
            p = memchr(p, '\n', (size_t)(lexer->end - p));
            p = p != NULL ? p : lexer->end;
            break;
        case LEXER_OPEN:
            p = open_parenthesis(lexer, p);
            break;
        case LEXER_CLOSE:
            if (lexer->depth == 0) {
                no_token(lexer, p, "a closing parenthesis without an opening one");
                return NULL;
            }
            lexer->depth--;
            p++;
            break;
        case LEXER_NEWLINE:
            if (lexer->depth == 0) {
                return p;
            }
            lexer->line++;
            p++;
            break;
        default:
            return p;
        }
    }
}

void lexer_next_slow(struct lexer *lexer)
{
    const char *p = skip_blanks(lexer, lexer->at);
    if (p == NULL) {
        return;
    }
    if (*p == '"') {
        read_quoted(lexer, p + 1);
    } else if (*p == '\n' || p >= lexer->end) {
        read_end(lexer, p);
    } else if (*p == '\0') {
        no_token(lexer, p, "a NUL octet");
    } else {
        read_word(lexer, p);
    }
}

/* ---- Faults ---- */

int lexer_fault(struct lexer *lexer, size_t line, const char *format, ...)
{
    if (lexer->fault.line == 0) {
        lexer->fault.line = line;
        va_list args;
        va_start(args, format);
        vsnprintf(lexer->fault.text, sizeof lexer->fault.text, format, args);
        va_end(args);
    }
    return RR_EINVAL;
}

/* The token as a message shows it: quoted, escaped, cut where it is long. */
static void show_token(const struct lexer *lexer, char *text, size_t size)
{
    const struct token *token = &lexer->token;
    if (token->kind == TOKEN_END) {
        snprintf(text, size, "the end of the %s", token->text >= lexer->end ? "file" : "line");
        return;
    }
    size_t shown = token->size < SHOWN ? token->size : SHOWN;
    size_t pos = (size_t)snprintf(text, size, "\"");
    for (size_t i = 0; i < shown; i++) {
        uint8_t octet = (uint8_t)token->text[i];
        bool plain = octet >= ' ' && octet < 0x7f;
        pos += (size_t)snprintf(text + pos, size - pos, plain ? "%c" : "\\%03u", octet);
    }
    snprintf(text + pos, size - pos, shown < token->size ? "...\"" : "\"");
}

int lexer_expected(struct lexer *lexer, const char *what)
{
    char shown[4 * SHOWN + 16];
    show_token(lexer, shown, sizeof shown);
    return lexer_fault(lexer, lexer->token.line, "expected %s, found %s", what, shown);
}

int lexer_refused(struct lexer *lexer, const char *reason)
{
    char shown[4 * SHOWN + 16];
    show_token(lexer, shown, sizeof shown);
    return lexer_fault(lexer, lexer->token.line, "%s: %s", shown, reason);
}

/* ---- Recovery ---- */

/* To the line behind the one that `p`, on line `line`, stands on. */
static void resume_behind(struct lexer *lexer, const char *p, size_t line)
{
    const char *newline = memchr(p, '\n', (size_t)(lexer->end - p));
    lexer->at = newline != NULL ? newline + 1 : lexer->end;
    lexer->line = line + 1;
    lexer->depth = 0;
}

/* Goes on behind a parenthesis or quote that has no end, unless there have been many. */
static void retry(struct lexer *lexer, struct lexer_fault *more)
{
    if (lexer->retries++ < LEXER_RETRIES) {
        resume_behind(lexer, lexer->open, lexer->open_line);
        return;
    }
    lexer->at = lexer->end;
    lexer->depth = 0;
    more->line = lexer->open_line;
    snprintf(more->text, sizeof more->text,
             "too many parentheses or quotes without end: the rest of the file is not read");
}

void lexer_recover(struct lexer *lexer, struct lexer_fault *more)
{
    const struct token *token = &lexer->token;
    /* A fault in a string over several lines: its closing quote was likely another's opening. */
    if (token->kind == TOKEN_QUOTED && memchr(token->text, '\n', token->size) != NULL) {
        resume_behind(lexer, token->text, token->line);
        return;
    }
    struct lexer_fault first = lexer->fault;
    bool first_unclosed = lexer->unclosed;
    while (!lexer->unclosed && token->kind != TOKEN_END) {
        lexer->fault.line = 0; /* further faults of the same entry are not told */
        lexer_next(lexer);
    }
    if (!lexer->unclosed) {
        lexer->fault = first;
        return;
    }
    if (!first_unclosed && first.line <= lexer->fault.line) {
        *more = lexer->fault;
        lexer->fault = first;
    }
    retry(lexer, more);
    lexer->unclosed = false;
}

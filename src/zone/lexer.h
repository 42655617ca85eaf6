/*
 * Master file text -> tokens (RFC 1035 section 5.1): words, quoted strings, ends of entries.
 *
 * Tokens are slices of the text, with their escapes still in them; nothing is copied or allocated.
 * Blanks, comments, parentheses and the newlines inside parentheses are gone. The current token is
 * in lexer->token; readers take it and call lexer_next, so there is always one token of lookahead.
 *
 * The first fault of an entry is kept in the lexer, with its line. After a fault lexer_recover
 * finds the next entry.
 *
 * The text is followed by LEXER_SLACK zero octets, which end every word and may be read.
 */
#ifndef RRDNS_ZONE_LEXER_H
#define RRDNS_ZONE_LEXER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "zone/block.h"

enum {
    LEXER_SLACK = 64,
    LEXER_FAULT_TEXT = 512,
    /*
     * A parenthesis or quote that is never closed takes all that follows with it. Reading goes on
     * behind its line, each time at the price of another reading to the end of the file; after so
     * many of them the rest of the file is given up.
     */
    LEXER_RETRIES = 16,
};

enum token_kind {
    TOKEN_END,    /* of the entry, at a newline or the end of the text */
    TOKEN_WORD,   /* not empty */
    TOKEN_QUOTED, /* without its quotes; may be empty, may hold newlines */
    TOKEN_FAULT,  /* what stands here is no token; the fault is kept in the lexer */
};

struct token {
    enum token_kind kind;
    bool escaped; /* there is a backslash in it */
    const char *text;
    size_t size;
    size_t line; /* where it begins; for an end, the line it ends */
};

struct lexer_fault {
    size_t line; /* 0: there is none */
    char text[LEXER_FAULT_TEXT];
};

struct lexer {
    const char *at;  /* behind the current token */
    const char *end; /* of the text */
    size_t line;     /* of at */
    struct token token;
    size_t depth;        /* parentheses open */
    const char *open;    /* the outermost of them */
    size_t open_line;    /* its line */
    bool unclosed;       /* the fault is a parenthesis or quote without end, the one at open */
    unsigned retries;
    struct lexer_fault fault;
};

/* What an octet is to the lexer; LEXER_PLAIN is part of a word. */
enum lexer_class {
    LEXER_PLAIN,
    LEXER_ESCAPE,
    LEXER_BLANK,
    LEXER_NEWLINE,
    LEXER_RETURN,
    LEXER_COMMENT,
    LEXER_QUOTE,
    LEXER_OPEN,
    LEXER_CLOSE,
    LEXER_NUL,
};
extern const uint8_t lexer_class_table[256];

static inline uint8_t lexer_class(const char *p)
{
    return lexer_class_table[(uint8_t)*p];
}

/* Begins at the start of text, whose first line is number line. There is no current token yet. */
void lexer_init(struct lexer *lexer, const char *text, size_t size, size_t line);

/* Whether all entries have been read. To be asked between entries. */
static inline bool lexer_at_end(const struct lexer *lexer)
{
    return lexer->at >= lexer->end;
}

/* lexer_next where the next token isn't a plain word behind blanks, or an ordinary newline. */
void lexer_next_slow(struct lexer *lexer);

/* The first octet from p on that a word can't simply go on with. */
static inline const char *lexer_word_end(const char *p)
{
    unsigned special;
    while ((special = block_special(p)) == 0) {
        p += BLOCK;
    }
    return p + __builtin_ctz(special);
}

/* Moves to the next token. At the end of an entry, to the first token of the next. */
static inline void lexer_next(struct lexer *lexer)
{
    const char *p = lexer->at;
    while (*p == ' ' || *p == '\t') {
        p++;
    }
    const char *end = lexer_word_end(p);
    bool is_end = end == p;
    /* Not a newline outside of parentheses, nor a word that ends here. */
    if (is_end ? *p != '\n' || lexer->depth > 0 : lexer_class(end) <= LEXER_ESCAPE) {
        lexer->at = p;
        lexer_next_slow(lexer);
        return;
    }
    lexer->token.kind = is_end ? TOKEN_END : TOKEN_WORD;
    lexer->token.escaped = false;
    lexer->token.text = p;
    lexer->token.size = (size_t)(end - p);
    lexer->token.line = lexer->line;
    lexer->line += is_end;
    lexer->at = end + is_end;
}

/* Whether the current token is this word, in any case. word is lower case. */
bool lexer_is_word(const struct lexer *lexer, const char *word);

/*
 * Keeps a fault, unless the entry has one already. Returns RR_EINVAL, so that a reader can say
 * `return lexer_fault(...)`.
 */
int lexer_fault(struct lexer *lexer, size_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The same for the current token: "expected WHAT, found TOKEN", at the token's line. */
int lexer_expected(struct lexer *lexer, const char *what);

/* The same with a reason: "TOKEN: REASON". */
int lexer_refused(struct lexer *lexer, const char *reason);

/*
 * After a fault: moves behind the entry, so that lexer_next begins the next one. Where a
 * parenthesis or quote turns out to have no end, that is told in `more` (else left alone); or in
 * lexer->fault instead of what stood there, if that was on a later line, being its consequence.
 */
void lexer_recover(struct lexer *lexer, struct lexer_fault *more);

#endif

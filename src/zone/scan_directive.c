/*
 * $ORIGIN, $TTL, $INCLUDE. An included file begins with the origin and owner of the place where it
 * is included (or the origin given there) and leaves them as they were; $TTL and the last TTL go
 * on through it both ways.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "zone/scan.h"

static int expect_end(struct lexer *lexer)
{
    return lexer->token.kind == TOKEN_END ? RR_OK : lexer_expected(lexer, "the end of the line");
}

static int scan_origin(struct scan *scan)
{
    struct scan_name origin;
    int error = scan_name(&scan->lexer, &scan->origin, &origin);
    if (error == RR_OK) {
        error = expect_end(&scan->lexer);
    }
    if (error == RR_OK) {
        scan->origin = origin;
        scan_forget_text(scan);
    }
    return error;
}

static int scan_ttl(struct scan *scan)
{
    uint32_t ttl;
    int error = scan_duration(&scan->lexer, SCAN_TTL_MAX, &ttl);
    if (error == RR_OK) {
        error = expect_end(&scan->lexer);
    }
    if (error == RR_OK) {
        scan->default_ttl = ttl;
        scan->has_default_ttl = true;
    }
    return error;
}

int scan_directive(struct scan *scan)
{
    static const struct {
        const char *name;
        int (*read)(struct scan *scan);
    } directives[] = {
        {"$origin", scan_origin},
        {"$ttl", scan_ttl},
        {"$include", scan_include},
        {"$generate", scan_generate},
    };
    struct lexer *lexer = &scan->lexer;
    if (scan->is_piece) {
        return lexer_refused(lexer, "a directive in a piece");
    }
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        if (lexer_is_word(lexer, directives[i].name)) {
            lexer_next(lexer);
            return directives[i].read(scan);
        }
    }
    return lexer_refused(lexer, "an unknown directive");
}

/* ---- $INCLUDE ---- */

const char *scan_source_error(int error)
{
    switch (error) {
    case RR_EIO:
        return strerror(errno);
    case RR_EINVAL:
        return "not a regular file";
    default:
        return rr_strerror(error);
    }
}

/* The path that the current token gives, relative to the folder of the file it stands in. */
static int read_path(struct scan *scan, char path[PATH_MAX])
{
    struct lexer *lexer = &scan->lexer;
    struct wire_writer out = wire_writer_init((uint8_t *)path, PATH_MAX - 1);
    const struct token token = lexer->token;
    const char *base = scan->file->path;
    const char *slash = strrchr(base, '/');
    bool absolute = token.size > 0 && token.text[0] == '/';
    if (token.size == 0) {
        return lexer_expected(lexer, "a file name");
    }
    if (!absolute && slash != NULL) {
        wire_write_octets(&out, base, (size_t)(slash - base) + 1);
    }
    int error = scan_octets(lexer, &out);
    if (error != RR_OK) {
        return error;
    }
    if (out.failed || memchr(path, '\0', out.pos) != NULL) {
        return lexer_fault(lexer, token.line, "a file name that is too long or holds a NUL");
    }
    path[out.pos] = '\0';
    return RR_OK;
}

/* Reads all of the file and leaves origin, owner and lexer as they are now. */
static void read_included(struct scan *scan, const struct scan_file *file,
                          const struct source_text *text, const struct scan_name *origin)
{
    const struct scan_file *parent = scan->file;
    const struct lexer lexer = scan->lexer;
    const struct scan_name parent_origin = scan->origin, owner = scan->owner;
    const bool has_owner = scan->has_owner, outside = scan->outside;
    scan->origin = *origin;
    scan_text(scan, file, text->data, text->size);
    scan->file = parent;
    scan->lexer = lexer;
    scan->origin = parent_origin;
    scan->owner = owner;
    scan->has_owner = has_owner;
    scan->outside = outside;
    scan->owner_told = outside; /* records know another owner now */
}

static bool is_being_read(const struct scan_file *file, const struct source_file *source)
{
    for (; file != NULL; file = file->parent) {
        if (file->device == source->device && file->inode == source->inode) {
            return true;
        }
    }
    return false;
}

static int include(struct scan *scan, const char *path, size_t line,
                   const struct scan_name *origin)
{
    struct lexer *lexer = &scan->lexer;
    struct source_text text = {0};
    int error = source_read(scan->sources, NULL, path, &text);
    if (error == RR_ENOMEM) {
        return error;
    }
    if (error != RR_OK) {
        return lexer_fault(lexer, line, "can't read %s: %s", path, scan_source_error(error));
    }
    const struct source_file *source = scan_source(scan, path);
    struct scan_file file = {
        .parent = scan->file,
        .path = path,
        .device = source->device,
        .inode = source->inode,
        .depth = scan->file->depth + 1,
    };
    if (is_being_read(scan->file, source)) {
        error = lexer_fault(lexer, line, "%s includes itself", path);
    } else {
        file.index = records_file(scan->records, path);
        error = file.index == UINT32_MAX ? RR_ENOMEM : RR_OK;
    }
    if (error == RR_OK) {
        read_included(scan, &file, &text, origin);
    }
    source_text_free(&text);
    return error;
}

int scan_include(struct scan *scan)
{
    struct lexer *lexer = &scan->lexer;
    struct scan_name origin = scan->origin;
    size_t line = lexer->token.line;
    char path[PATH_MAX];
    int error = read_path(scan, path);
    if (error == RR_OK && lexer->token.kind != TOKEN_END) {
        error = scan_name(lexer, &scan->origin, &origin);
    }
    if (error == RR_OK) {
        error = expect_end(lexer);
    }
    if (error != RR_OK) {
        return error;
    }
    if (scan->file->depth >= SCAN_INCLUDE_DEPTH) {
        return lexer_fault(lexer, line, "$INCLUDE nested deeper than %d files",
                           SCAN_INCLUDE_DEPTH);
    }
    if (scan->includes++ >= SCAN_INCLUDES) {
        return lexer_fault(lexer, line, "more than %d times $INCLUDE in one zone", SCAN_INCLUDES);
    }
    return include(scan, path, line, &origin);
}

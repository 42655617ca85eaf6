/*
 * Entries of a master file: owner, TTL, class and type, then rdata_scan; `$` leads to the
 * directives. RDATA is written straight to where it stays. Nothing is allocated per record, and an
 * owner that is written the same as on the line before costs a comparison.
 */
#include "zone/scan.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/crew.h"
#include "base/err.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "zone/image.h"
#include "zone/rdata_scan.h"
#include "zone/scan_blocks.h"
#include "zone/zone_load.h"

/* What stands between owner and RDATA. */
struct prefix {
    size_t line; /* of the type */
    uint16_t type;
    bool has_ttl;
    uint32_t ttl;
};

static uint32_t line_number(size_t line)
{
    return line < UINT32_MAX ? (uint32_t)line : UINT32_MAX;
}

/* ---- Owner ---- */

/* An owner that could not be read: what is said of it is read as well, and goes nowhere. */
static void lose_owner(struct scan *scan)
{
    scan_forget_text(scan);
    scan->has_owner = true;
    scan->owner_told = true;
    scan->outside = true;
}

/* The current token as owner of this record and of those without one that follow. */
static int read_owner(struct scan *scan)
{
    struct lexer *lexer = &scan->lexer;
    struct token token = lexer->token;
    if (token.size == scan->owner_text_size && token.kind == TOKEN_WORD &&
        memcmp(token.text, scan->owner_text, token.size) == 0) {
        lexer_next(lexer);
        return RR_OK;
    }
    int error = scan_name(lexer, &scan->origin, &scan->owner);
    if (error != RR_OK) {
        lose_owner(scan);
        return error;
    }
    scan->owner_text = token.text;
    scan->owner_text_size = token.size;
    scan->has_owner = true;
    scan->owner_told = false;
    return RR_OK;
}

/* Before the first record of an owner. */
static int tell_owner(struct scan *scan, size_t line)
{
    int error = records_owner(scan->records, scan->owner.wire);
    if (error == RR_ENOENT) {
        char owner[NAME_MAX_TEXT], apex[NAME_MAX_TEXT];
        name_to_text(scan->owner.wire, owner);
        name_to_text(scan->apex, apex);
        diag_warn(scan->diag, scan->file->path, line, "%s is outside the zone %s: ignored", owner,
                  apex);
    } else if (error != RR_OK) {
        return error;
    }
    scan->owner_told = true;
    scan->outside = error == RR_ENOENT;
    return RR_OK;
}

/* ---- TTL, class, type ---- */

/* Moves behind "IN" or CLASS1; any other CLASSn is refused. */
static int read_class(struct lexer *lexer, bool *is_class)
{
    const struct token *token = &lexer->token;
    uint32_t number = 1;
    if (token->size == 2) {
        *is_class = (token->text[0] | 0x20) == 'i' && (token->text[1] | 0x20) == 'n';
    } else {
        *is_class = token->size > 5 && strncasecmp(token->text, "class", 5) == 0;
        if (*is_class && !scan_digits(token->text + 5, token->size - 5, UINT16_MAX, &number)) {
            return lexer_expected(lexer, "a class, CLASS0 to CLASS65535");
        }
    }
    if (number != 1) {
        return lexer_refused(lexer, "only class IN is served");
    }
    if (*is_class) {
        lexer_next(lexer);
    }
    return RR_OK;
}

/* A word that is no type. */
static int refuse_type(struct lexer *lexer, int error)
{
    static const char *const classes[] = {"ch", "hs", "cs", "none"};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (lexer_is_word(lexer, classes[i])) {
            return lexer_refused(lexer, "only class IN is served");
        }
    }
    return lexer_expected(lexer, error == RR_ERANGE ? "a record type, TYPE1 to TYPE65535"
                                                    : "a record type");
}

static int read_type(struct lexer *lexer, struct prefix *prefix)
{
    const struct token *token = &lexer->token;
    int error = rrtype_from_text(token->text, token->size, &prefix->type);
    if (error != RR_OK) {
        return refuse_type(lexer, error);
    }
    if (rrtype_is_meta(prefix->type)) {
        return lexer_refused(lexer, "a meta type can't be data in a zone");
    }
    prefix->line = token->line;
    lexer_next(lexer);
    return RR_OK;
}

/* TTL and class in either order, each at most once, then the type. */
static int read_prefix(struct lexer *lexer, struct prefix *prefix)
{
    const struct token *token = &lexer->token;
    bool has_class = false;
    *prefix = (struct prefix){0};
    for (;;) {
        int error = RR_OK;
        bool taken = false;
        if (token->kind != TOKEN_WORD) {
            return lexer_expected(lexer, "a record type");
        }
        if (token->text[0] >= '0' && token->text[0] <= '9' && !prefix->has_ttl) {
            prefix->has_ttl = taken = true;
            error = scan_duration(lexer, SCAN_TTL_MAX, &prefix->ttl);
        } else if (!has_class) {
            error = read_class(lexer, &has_class);
            taken = has_class;
        }
        if (error != RR_OK || !taken) {
            return error != RR_OK ? error : read_type(lexer, prefix);
        }
    }
}

/* The record's TTL, where none is given: from $TTL, the record before, or the SOA's own minimum. */
static int choose_ttl(struct scan *scan, struct prefix *prefix, const uint8_t *rdata, size_t size)
{
    if (!prefix->has_ttl) {
        if (scan->has_default_ttl) {
            prefix->ttl = scan->default_ttl;
        } else if (scan->has_last_ttl) {
            prefix->ttl = scan->last_ttl;
        } else if (prefix->type == RRTYPE_SOA && !scan->is_piece) {
            prefix->ttl = wire_get_u32(rdata + size - 4);
            prefix->ttl = prefix->ttl > SCAN_TTL_MAX ? SCAN_TTL_MAX : prefix->ttl;
            diag_warn(scan->diag, scan->file->path, prefix->line,
                      "no TTL, and no $TTL before: taking the SOA's minimum, %u", prefix->ttl);
        } else {
            /* Told once: the records that follow have one to take over. */
            scan->has_last_ttl = true;
            return lexer_fault(&scan->lexer, prefix->line, "no TTL, and no $TTL before");
        }
    }
    scan->last_ttl = prefix->ttl;
    scan->has_last_ttl = true;
    return RR_OK;
}

/* ---- Records ---- */

/* RFC 9460 section 2.4.2: in AliasMode parameters mean nothing. */
static void warn_alias_parameters(struct scan *scan, const struct prefix *prefix,
                                  const uint8_t *rdata, size_t size)
{
    if ((prefix->type == RRTYPE_SVCB || prefix->type == RRTYPE_HTTPS) && size > 2 &&
        wire_get_u16(rdata) == 0 && size > 2 + name_size(rdata + 2)) {
        diag_warn(scan->diag, scan->file->path, prefix->line,
                  "service parameters in an AliasMode record: clients ignore them");
    }
}

/* The current token is the first behind the owner. */
static int read_record(struct scan *scan)
{
    struct lexer *lexer = &scan->lexer;
    struct prefix prefix;
    int error = read_prefix(lexer, &prefix);
    if (error == RR_OK && !scan->owner_told) {
        error = tell_owner(scan, prefix.line);
    }
    if (error != RR_OK) {
        return error;
    }
    uint8_t *room = records_room();
    struct wire_writer out = wire_writer_init(room, RDATA_MAX);
    error = rdata_scan(lexer, prefix.type, &scan->origin, &out);
    if (error == RR_OK) {
        error = choose_ttl(scan, &prefix, room, out.pos);
    }
    if (error == RR_OK && !scan->outside) {
        warn_alias_parameters(scan, &prefix, room, out.pos);
        error = records_add(scan->records, prefix.type, prefix.ttl, out.pos, scan->file->index,
                            line_number(prefix.line));
    }
    return error;
}

/* ---- Entries ---- */

static int read_entry(struct scan *scan)
{
    struct lexer *lexer = &scan->lexer;
    const struct token *token = &lexer->token;
    bool blank = *lexer->at == ' ' || *lexer->at == '\t';
    lexer_next(lexer);
    if (token->kind == TOKEN_END) {
        return RR_OK;
    }
    if (blank) {
        if (!scan->has_owner) {
            lose_owner(scan);
            return lexer_fault(lexer, token->line, "a record without owner, and none before it");
        }
    } else if (token->kind == TOKEN_WORD && token->text[0] == '$') {
        return scan_directive(scan);
    } else {
        int error = read_owner(scan);
        if (error != RR_OK) {
            return error;
        }
    }
    return read_record(scan);
}

static void report(struct scan *scan, const struct lexer_fault *fault)
{
    if (scan->generating) {
        diag_fault(scan->diag, scan->file->path, fault->line, "%s ($GENERATE at %llu)",
                   fault->text, (unsigned long long)scan->generated_number);
    } else {
        diag_fault(scan->diag, scan->file->path, fault->line, "%s", fault->text);
    }
}

int scan_entry(struct scan *scan)
{
    int error = read_entry(scan);
    if (error == RR_OK) {
        return RR_OK;
    }
    if (error != RR_EINVAL) {
        scan->error = error;
        return error;
    }
    struct lexer *lexer = &scan->lexer;
    struct lexer_fault more = {0};
    lexer_recover(lexer, &more);
    report(scan, &lexer->fault);
    if (more.line != 0) {
        report(scan, &more);
    }
    lexer->fault.line = 0;
    return error;
}

/* What editors on other systems put before a text, and what no name can begin with. */
static bool has_byte_order_mark(const char *text, size_t size)
{
    return size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0;
}

void scan_begin(struct scan *scan, const struct scan_file *file, const char *text, size_t size)
{
    size_t mark = has_byte_order_mark(text, size) ? 3 : 0;
    scan->file = file;
    scan_forget_text(scan);
    if (mark > 0) {
        diag_fault(scan->diag, file->path, 1,
                   "a UTF-8 byte order mark: the file is to be saved without it");
    }
    lexer_init(&scan->lexer, text + mark, size - mark, 1);
}

void scan_entries(struct scan *scan, const char *end)
{
    while (scan->lexer.at < end && scan->error == RR_OK) {
        scan_entry(scan);
        crew_step();
    }
}

void scan_text(struct scan *scan, const struct scan_file *file, const char *text, size_t size)
{
    scan_begin(scan, file, text, size);
    scan_entries(scan, scan->lexer.end);
    scan_forget_text(scan);
}

/* ---- From outside ---- */

const struct source_file *scan_source(const struct scan *scan, const char *path)
{
    for (size_t i = 0; i < scan->sources->count; i++) {
        if (strcmp(scan->sources->files[i].path, path) == 0) {
            return &scan->sources->files[i];
        }
    }
    return NULL;
}

/* Prepares for the zone's master file. */
static int begin_master(struct scan *scan, struct scan_file *file)
{
    file->index = records_file(scan->records, file->path);
    scan->origin.size = (uint8_t)name_size(scan->apex);
    memcpy(scan->origin.wire, scan->apex, scan->origin.size);
    return file->index != UINT32_MAX ? RR_OK : RR_ENOMEM;
}

/* The master file as a whole. */
static int scan_whole(struct scan *scan, const struct scan_file *file, const char *text,
                      size_t size)
{
    size_t faults = scan->diag->faults;
    scan_text(scan, file, text, size);
    return scan->error != RR_OK ? scan->error : scan->diag->faults > faults ? RR_EINVAL : RR_OK;
}

/* Reads the open master file: in blocks where it is large and they will do, else as a whole. */
static int scan_open(struct scan *scan, struct scan_file *file, struct source_open *open,
                     size_t threads, struct source_text *text)
{
    struct scan_input input = {.file = open, .size = (size_t)open->st.st_size};
    uint64_t hash[2];
    int error = begin_master(scan, file);
    if (error == RR_OK) {
        error = scan_pieces(scan, file, &input, threads, hash);
    }
    if (error != RR_ERANGE && error != RR_EIO) {
        source_close(scan->sources, open, error == RR_OK ? hash : NULL);
        return error;
    }
    error = source_rest(scan->sources, open, text);
    if (error != RR_OK) {
        diag_fault(scan->diag, file->path, 0, "%s", scan_source_error(error));
        return error;
    }
    return image_is(text->data, text->size) ? RR_EFORMAT
                                            : scan_whole(scan, file, text->data, text->size);
}

int zone_scan_next(struct zone_scratch *scratch, const char *path, const uint8_t *apex,
                   size_t threads, struct records *records, struct source_list *sources,
                   struct diag *diag)
{
    struct scan scan = {.apex = apex, .records = records, .sources = sources, .diag = diag};
    struct scan_file file = {.path = path};
    struct source_open open;
    int error = source_open(sources, &scratch->directory, path, &open);
    if (error != RR_OK) {
        diag_fault(diag, path, 0, "%s", scan_source_error(error));
        return error == RR_ENOMEM ? error : RR_EIO;
    }
    file.device = open.st.st_dev;
    file.inode = open.st.st_ino;
    return scan_open(&scan, &file, &open, threads, &scratch->text);
}

int zone_scan_file(const char *path, const uint8_t *apex, size_t threads, struct records *records,
                   struct source_list *sources, struct diag *diag)
{
    struct zone_scratch scratch = {0};
    int error = zone_scan_next(&scratch, path, apex, threads, records, sources, diag);
    zone_scratch_free(&scratch);
    return error;
}

int zone_scan_text(const char *name, const char *text, size_t size, const uint8_t *apex,
                   size_t threads, struct records *records, struct source_list *sources,
                   struct diag *diag)
{
    struct scan scan = {.apex = apex, .records = records, .sources = sources, .diag = diag};
    struct scan_file file = {.path = name};
    struct scan_input input = {.text = text, .size = size};
    uint64_t hash[2];
    int error = begin_master(&scan, &file);
    if (error == RR_OK) {
        error = scan_pieces(&scan, &file, &input, threads, hash);
    }
    if (error != RR_ERANGE) {
        return error;
    }
    char *copy = malloc(size + LEXER_SLACK);
    if (copy == NULL) {
        return RR_ENOMEM;
    }
    memcpy(copy, text, size);
    memset(copy + size, 0, LEXER_SLACK);
    error = scan_whole(&scan, &file, copy, size);
    free(copy);
    return error;
}

/*
 * The texts of key files. A .key file is a master file with one record in it, and read as one. A
 * .private file has a word, a colon and a value in every line; it is read where it stands, and only
 * its numbers are copied, to memory for secrets.
 *
 * A word that is not known is a fault where the format's version is one whose words are all known:
 * "Activte: ..." must not make a key that signs for ever.
 */
#include "dnssec/key_file_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/err.h"
#include "base/text.h"
#include "dns/base_encoding.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "dnssec/secret.h"
#include "zone/rdata_scan.h"

/* ---- .key ---- */

/* Reads "OWNER [TTL] [CLASS] DNSKEY" up to the RDATA. 0 or RR_EINVAL. */
static int read_head(struct lexer *lexer, struct scan_name *owner)
{
    static const struct scan_name root = {.size = 1};
    uint32_t ttl;
    if (lexer->token.size > 0 && lexer->token.text[0] == '$') {
        return lexer_refused(lexer, "directives have no place in a key file");
    }
    int error = scan_name(lexer, &root, owner);
    if (error == RR_OK && lexer->token.kind == TOKEN_WORD && lexer->token.text[0] >= '0' &&
        lexer->token.text[0] <= '9') {
        error = scan_duration(lexer, INT32_MAX, &ttl);
    }
    if (error == RR_OK && lexer_is_word(lexer, "in")) {
        lexer_next(lexer);
    }
    if (error == RR_OK && !lexer_is_word(lexer, "dnskey")) {
        error = lexer_expected(lexer, "DNSKEY");
    }
    if (error == RR_OK) {
        lexer_next(lexer);
    }
    return error;
}

/* Reads a whole record to owner and rdata: 0, RR_EINVAL with the fault in the lexer. */
static int read_record(struct lexer *lexer, struct scan_name *owner, struct wire_writer *rdata)
{
    int error = read_head(lexer, owner);
    return error == RR_OK ? rdata_scan(lexer, RRTYPE_DNSKEY, owner, rdata) : error;
}

/* Times in comments, for keys whose .private is elsewhere: "; Publish: 20260101000000 (...)". */
static void read_comment(const char *line, size_t size, struct dnskey *key)
{
    for (unsigned event = 0; event < DNSKEY_EVENTS; event++) {
        const char *name = keyfile_event_name(event);
        size_t length = strlen(name), value = 2 + length + 2;
        if (size >= value + KEYFILE_TIME_MAX - 1 && strncmp(line, "; ", 2) == 0 &&
            strncmp(line + 2, name, length) == 0 && strncmp(line + 2 + length, ": ", 2) == 0) {
            /* A comment that only looks like a time is none. */
            keyfile_time_parse(line + value, KEYFILE_TIME_MAX - 1, &key->times[event]);
        }
    }
}

static void read_comments(const char *text, size_t size, struct dnskey *key)
{
    const char *end = text + size;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *stop = newline != NULL ? newline : end;
        read_comment(text, (size_t)(stop - text), key);
        text = newline != NULL ? newline + 1 : end;
    }
}

/* The one record of the text to key: 0, RR_EINVAL with the fault in the lexer, RR_ENOMEM. */
static int read_key(struct lexer *lexer, struct wire_writer *rdata, struct dnskey *key)
{
    struct scan_name owner;
    const char *reason = NULL;
    size_t line = 0;
    while (!lexer_at_end(lexer)) {
        lexer_next(lexer);
        if (lexer->token.kind == TOKEN_END) {
            continue;
        }
        if (line != 0) {
            return lexer_fault(lexer, lexer->token.line, "a second record in a key file");
        }
        line = lexer->token.line;
        int error = read_record(lexer, &owner, rdata);
        if (error != RR_OK) {
            return error;
        }
    }
    if (line == 0) {
        return lexer_fault(lexer, lexer->line, "no DNSKEY record in it");
    }
    int error = dnskey_from_rdata(owner.wire, rdata->data, rdata->pos, key, &reason);
    return error == RR_EINVAL ? lexer_fault(lexer, line, "%s", reason) : error;
}

int keyfile_parse_padded(const char *path, const char *text, size_t size, struct dnskey *key,
                         struct diag *diag)
{
    uint8_t *room = malloc(RDATA_MAX);
    struct lexer lexer;
    memset(key, 0, sizeof *key);
    if (room == NULL) {
        diag_fault(diag, path, 0, "%s", rr_strerror(RR_ENOMEM));
        return RR_ENOMEM;
    }
    struct wire_writer rdata = wire_writer_init(room, RDATA_MAX);
    lexer_init(&lexer, text, size, 1);
    int error = read_key(&lexer, &rdata, key);
    if (error == RR_EINVAL) {
        diag_fault(diag, path, lexer.fault.line, "%s", lexer.fault.text);
    } else if (error != RR_OK) {
        diag_fault(diag, path, 0, "%s", rr_strerror(error));
    } else {
        read_comments(text, size, key);
    }
    free(room);
    return error;
}

int keyfile_parse_public(const char *path, const char *text, size_t size, struct dnskey *key,
                         struct diag *diag)
{
    char *padded = calloc(1, size + LEXER_SLACK);
    if (padded == NULL) {
        diag_fault(diag, path, 0, "%s", rr_strerror(RR_ENOMEM));
        return RR_ENOMEM;
    }
    if (size > 0) {
        memcpy(padded, text, size);
    }
    int error = keyfile_parse_padded(path, padded, size, key, diag);
    free(padded);
    return error;
}

/* ---- .private ---- */

enum { VERSION_MAJOR = 1, VERSION_MINOR = 3 };

static const char *const number_names[DNSKEY_NUMBERS] = {
    [DNSKEY_MODULUS] = "Modulus",
    [DNSKEY_PUBLIC_EXPONENT] = "PublicExponent",
    [DNSKEY_PRIVATE_EXPONENT] = "PrivateExponent",
    [DNSKEY_PRIME1] = "Prime1",
    [DNSKEY_PRIME2] = "Prime2",
    [DNSKEY_EXPONENT1] = "Exponent1",
    [DNSKEY_EXPONENT2] = "Exponent2",
    [DNSKEY_COEFFICIENT] = "Coefficient",
};

const char *keyfile_number_name(size_t index)
{
    return number_names[index];
}

/* What BIND's tools write beside that, and what is of no concern for signing. */
static const char *const passed[] = {"Predecessor", "Successor", "MaxTTL",
                                     "RollPeriod",  "DSPublish", "DSRemoved"};

/* A private file being read, line by line. */
struct private_text {
    const char *path;
    struct diag *diag;
    struct dnskey *key;
    struct dnskey_private *numbers;
    int64_t times[DNSKEY_EVENTS];
    unsigned minor;          /* of the version */
    bool version, algorithm; /* have been read */
    size_t line;
    const char *name, *value; /* of the line */
    size_t name_size, value_size;
};

static int fault(struct private_text *text, const char *reason)
{
    diag_fault(text->diag, text->path, text->line, "%s", reason);
    return RR_EINVAL;
}

static bool is_name(const struct private_text *text, const char *name)
{
    return text->name_size == strlen(name) && strncasecmp(text->name, name, text->name_size) == 0;
}

/* "v1.3"; later minor versions may have words that are not known here. */
static int take_version(struct private_text *text)
{
    unsigned major, minor;
    char value[16], rest;
    if (text->version) {
        return fault(text, "a second Private-key-format");
    }
    snprintf(value, sizeof value, "%.*s", (int)(text->value_size < 15 ? text->value_size : 15),
             text->value);
    if (sscanf(value, "v%3u.%3u%c", &major, &minor, &rest) != 2 || major != VERSION_MAJOR) {
        return fault(text, "its version is not v1.2 or v1.3");
    }
    text->minor = minor;
    text->version = true;
    return RR_OK;
}

/* "13 (ECDSAP256SHA256)" */
static int take_algorithm(struct private_text *text)
{
    unsigned algorithm = 0;
    size_t at = 0;
    while (at < text->value_size && at < 3 && text->value[at] >= '0' && text->value[at] <= '9') {
        algorithm = 10 * algorithm + (unsigned)(text->value[at++] - '0');
    }
    if (at == 0 || (at < text->value_size && text->value[at] != ' ' && text->value[at] != '\t')) {
        return fault(text, "Algorithm is not a number and a name");
    }
    if (algorithm != text->key->algorithm) {
        return fault(text, "the algorithm is not that of the .key file");
    }
    text->algorithm = true;
    return RR_OK;
}

static int take_number(struct private_text *text, size_t index)
{
    struct base_decoder decoder = {0};
    struct wire_writer out = wire_writer_init(text->numbers->number[index].data,
                                              sizeof text->numbers->number[index].data);
    if (text->numbers->number[index].size != 0) {
        return fault(text, "a number that is given twice");
    }
    if (base64_feed(&decoder, text->value, text->value_size, &out) != RR_OK ||
        base64_end(&decoder) != RR_OK) {
        return fault(text, "not base64");
    }
    if (out.failed || out.pos == 0) {
        return fault(text, "a number that is empty or too long");
    }
    text->numbers->number[index].size = (uint16_t)out.pos;
    return RR_OK;
}

static int take_time(struct private_text *text, unsigned event)
{
    if (text->times[event] != DNSKEY_UNSET) {
        return fault(text, "a time that is given twice");
    }
    if (keyfile_time_parse(text->value, text->value_size, &text->times[event]) != RR_OK) {
        return fault(text, "not a time YYYYMMDDHHMMSS of 1970 or later");
    }
    return RR_OK;
}

static int take_unknown(struct private_text *text)
{
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++) {
        if (is_name(text, passed[i])) {
            return RR_OK;
        }
    }
    if (is_name(text, "Revoke")) {
        diag_warn(text->diag, text->path, text->line,
                  "Revoke is not acted on: when it is time, dnssec-revoke makes the revoked key");
        return RR_OK;
    }
    if (is_name(text, "Engine") || is_name(text, "Label")) {
        return fault(text, "the key is in a device, which can't be used here");
    }
    if (text->minor > VERSION_MINOR) {
        return RR_OK;
    }
    /* Of the name only what can't be a misplaced number is told. */
    for (unsigned event = 0; event < DNSKEY_EVENTS; event++) {
        char word[32], reason[64];
        snprintf(word, sizeof word, "%.*s", (int)(text->name_size < 31 ? text->name_size : 31),
                 text->name);
        if (text_slip(word, keyfile_event_name(event)) != SIZE_MAX) {
            snprintf(reason, sizeof reason, "unknown word, did you mean \"%s\"?",
                     keyfile_event_name(event));
            return fault(text, reason);
        }
    }
    return fault(text, "unknown word");
}

static int take_line(struct private_text *text)
{
    bool rsa = dnskey_is_rsa(text->key->algorithm);
    if (is_name(text, "Private-key-format")) {
        return take_version(text);
    }
    if (!text->version) {
        return fault(text, "does not begin with Private-key-format");
    }
    if (is_name(text, "Algorithm")) {
        return take_algorithm(text);
    }
    if (!rsa && is_name(text, "PrivateKey")) {
        return take_number(text, DNSKEY_SCALAR);
    }
    for (size_t i = 0; i < DNSKEY_NUMBERS && rsa; i++) {
        if (is_name(text, number_names[i])) {
            return take_number(text, i);
        }
    }
    for (unsigned event = 0; event < DNSKEY_EVENTS; event++) {
        if (is_name(text, keyfile_event_name(event))) {
            return take_time(text, event);
        }
    }
    return take_unknown(text);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Splits a line at its colon and takes it: 0, also for an empty line or a comment; RR_EINVAL. */
static int read_line(struct private_text *text, const char *line, const char *end)
{
    while (line < end && is_blank(*line)) {
        line++;
    }
    while (end > line && is_blank(end[-1])) {
        end--;
    }
    if (line == end || *line == ';' || *line == '#') {
        return RR_OK;
    }
    const char *colon = memchr(line, ':', (size_t)(end - line));
    if (colon == NULL) {
        return fault(text, "not a line \"WORD: VALUE\"");
    }
    text->name = line;
    text->name_size = (size_t)(colon - line);
    for (colon++; colon < end && is_blank(*colon); colon++) {
    }
    text->value = colon;
    text->value_size = (size_t)(end - colon);
    return take_line(text);
}

static int read_lines(struct private_text *text, const char *data, size_t size)
{
    const char *end = data + size;
    while (data < end) {
        const char *newline = memchr(data, '\n', (size_t)(end - data));
        text->line++;
        if (read_line(text, data, newline != NULL ? newline : end) != RR_OK) {
            return RR_EINVAL;
        }
        data = newline != NULL ? newline + 1 : end;
    }
    text->line = 0;
    if (!text->version || !text->algorithm) {
        return fault(text, "no private key: Private-key-format or Algorithm is not there");
    }
    return RR_OK;
}

/* That the numbers fit the .key file is told without a line: any of them may be the wrong one. */
static int finish(struct private_text *text)
{
    const char *reason = NULL;
    int error = dnskey_set_private(text->key, text->numbers, &reason);
    if (error == RR_EINVAL) {
        return fault(text, reason);
    }
    if (error == RR_OK) {
        memcpy(text->key->times, text->times, sizeof text->times);
    }
    return error;
}

int keyfile_parse_private(const char *path, const char *data, size_t size, struct dnskey *key,
                          struct diag *diag)
{
    struct private_text text = {
        .path = path, .diag = diag, .key = key, .numbers = secret_alloc(sizeof *text.numbers)};
    int error = RR_ENOMEM;
    for (unsigned event = 0; event < DNSKEY_EVENTS; event++) {
        text.times[event] = DNSKEY_UNSET;
    }
    if (text.numbers != NULL) {
        error = read_lines(&text, data, size);
    }
    if (error == RR_OK) {
        error = finish(&text);
    }
    if (error == RR_ENOMEM) {
        diag_fault(diag, path, 0, "%s", secret_strerror(error));
    }
    secret_free(text.numbers, sizeof *text.numbers);
    return error;
}

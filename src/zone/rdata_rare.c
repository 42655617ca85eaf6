/*
 * ldns knows how these types are laid out, but its reader takes much that is wrong (numbers wrap,
 * unknown services become port 0, "0.5m" becomes 5 cm) and some that is right it does not (relative
 * names, base64 in several pieces). So the tokens are read here, checked here, and written down
 * again in the one form that ldns reads right: a line without escapes, fractions, blanks or names
 * that could be taken otherwise. ldns turns the line into wire.
 *
 * WKS is done here altogether: ldns asks getservbyname, which two loaders can't call at once.
 */
#include "zone/rdata_rare.h"

#include <ldns/ldns.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/base_encoding.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "zone/scan_address.h"

enum {
    LINE_ROOM = 4 * RDATA_MAX, /* text of more can't be RDATA of 65535 octets */
    SERVICE_ROOM = 4096,       /* for what getservbyname_r finds: a name and its aliases */
};

/* The line in the making. Its writers do nothing once the lexer has a fault. */
struct line {
    struct lexer *lexer;
    const struct scan_name *origin;
    struct wire_writer text;
};

static bool stopped(const struct line *line)
{
    return line->lexer->fault.line != 0;
}

static void put(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct line *line, const char *format, ...)
{
    char text[NAME_MAX_TEXT + 16];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    wire_write_octets(&line->text, text, (size_t)size);
}

/* ---- Tokens, checked and copied ---- */

static uint32_t put_number(struct line *line, uint32_t max)
{
    uint32_t value = 0;
    if (!stopped(line) && scan_number(line->lexer, max, &value) == RR_OK) {
        put(line, " %u", value);
    }
    return value;
}

static void put_name(struct line *line)
{
    struct scan_name name;
    if (!stopped(line) && scan_name(line->lexer, line->origin, &name) == RR_OK) {
        char text[NAME_MAX_TEXT];
        name_to_text(name.wire, text);
        put(line, " %s", text);
    }
}

static void put_string(struct line *line)
{
    uint8_t octets[256];
    struct wire_writer string = wire_writer_init(octets, sizeof octets);
    if (stopped(line) || scan_string(line->lexer, &string) != RR_OK) {
        return;
    }
    if (string.failed) {
        lexer_fault(line->lexer, line->lexer->token.line, "a string over 255 octets");
        return;
    }
    put(line, " \"");
    for (size_t i = 1; i < string.pos; i++) {
        put(line, "\\%03u", octets[i]);
    }
    put(line, "\"");
}

/* Moves on where the token is good, having copied it; tells what was expected where it isn't. */
static void put_token(struct line *line, bool good, const char *what)
{
    struct lexer *lexer = line->lexer;
    if (stopped(line)) {
        return;
    }
    if (!good) {
        lexer_expected(lexer, what);
        return;
    }
    put(line, " ");
    wire_write_octets(&line->text, lexer->token.text, lexer->token.size);
    lexer_next(lexer);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Groups of hex digits, `least` to `most` of them in each, with a separator between. */
static bool is_groups(const struct token *token, unsigned groups, size_t least, size_t most,
                      char separator)
{
    size_t at = 0;
    if (token->kind != TOKEN_WORD) {
        return false;
    }
    for (unsigned i = 0; i < groups; i++) {
        size_t start = at;
        while (at < token->size && is_hex(token->text[at])) {
            at++;
        }
        if (at - start < least || at - start > most ||
            (i + 1 < groups && (at == token->size || token->text[at++] != separator))) {
            return false;
        }
    }
    return at == token->size;
}

static void put_eui(struct line *line, unsigned octets)
{
    put_token(line, is_groups(&line->lexer->token, octets, 2, 2, '-'),
              octets == 6 ? "six octets in hex, with \"-\" between"
                          : "eight octets in hex, with \"-\" between");
}

static void put_locator(struct line *line)
{
    put_token(line, is_groups(&line->lexer->token, 4, 1, 4, ':'),
              "four groups of hex digits, with \":\" between");
}

/* 0x and pairs of hex digits; dots may stand anywhere behind 0x (RFC 1706 section 7). */
static void put_nsap(struct line *line)
{
    struct lexer *lexer = line->lexer;
    const struct token *token = &lexer->token;
    bool good = token->kind == TOKEN_WORD && token->size > 2 && token->text[0] == '0' &&
                (token->text[1] == 'x' || token->text[1] == 'X');
    size_t digits = 0;
    put(line, " 0x");
    for (size_t i = 2; good && i < token->size; i++) {
        if (token->text[i] != '.') {
            good = is_hex(token->text[i]);
            digits++;
            wire_write_octets(&line->text, token->text + i, 1);
        }
    }
    if (!good || digits == 0 || digits % 2 != 0) {
        lexer_expected(lexer, "0x and an even number of hex digits");
        return;
    }
    lexer_next(lexer);
}

static void put_host_identity(struct line *line)
{
    const struct token *token = &line->lexer->token;
    put_token(line, token->size % 2 == 0 && is_groups(token, 1, 2, 2 * 255, ' '),
              "a host identity tag in hex");
}

static bool is_base64(const struct token *token)
{
    struct base_decoder decoder = {0};
    struct wire_writer nowhere = {0};
    return token->kind == TOKEN_WORD &&
           base64_feed(&decoder, token->text, token->size, &nowhere) == RR_OK &&
           base64_end(&decoder) == RR_OK;
}

/* Base64 to the end of the record, whose pieces are put together. */
static void put_base64(struct line *line)
{
    struct lexer *lexer = line->lexer;
    struct base_decoder decoder = {0};
    struct wire_writer nowhere = {0};
    put(line, " ");
    while (!stopped(line) && lexer->token.kind != TOKEN_END) {
        const struct token *token = &lexer->token;
        if (token->kind != TOKEN_WORD ||
            base64_feed(&decoder, token->text, token->size, &nowhere) != RR_OK) {
            lexer_expected(lexer, "base64");
            return;
        }
        wire_write_octets(&line->text, token->text, token->size);
        lexer_next(lexer);
    }
    if (base64_end(&decoder) != RR_OK) {
        lexer_fault(lexer, lexer->token.line, "base64 that is cut short or badly padded");
    }
}

/* [!]family:address/prefix (RFC 3123 section 5) */
static bool is_prefix(const struct token *token)
{
    const char *text = token->text;
    const char *end = text + token->size;
    uint8_t address[16];
    uint32_t prefix;
    if (token->kind != TOKEN_WORD) {
        return false;
    }
    text += *text == '!';
    const char *slash = memchr(text, '/', (size_t)(end - text));
    if (slash == NULL || slash - text < 3 || text[1] != ':') {
        return false;
    }
    size_t size = (size_t)(slash - text) - 2, digits = (size_t)(end - slash) - 1;
    return (text[0] == '1' && scan_ipv4(text + 2, size, address) &&
            scan_digits(slash + 1, digits, 32, &prefix)) ||
           (text[0] == '2' && scan_ipv6(text + 2, size, address) &&
            scan_digits(slash + 1, digits, 128, &prefix));
}

/* ---- LOC (RFC 1876 section 3) ---- */

/* A number with at most `decimals` digits behind its point, as an integer of the last of them. */
static bool parse_decimal(const struct token *token, size_t skip, size_t size, size_t decimals,
                          uint64_t max, uint64_t *value)
{
    const char *text = token->text + skip;
    const char *point = memchr(text, '.', size);
    size_t whole = point != NULL ? (size_t)(point - text) : size;
    size_t fraction = point != NULL ? size - whole - 1 : 0;
    uint32_t high, low = 0;
    if (token->kind != TOKEN_WORD || fraction > decimals ||
        !scan_digits(text, whole, UINT32_MAX, &high) ||
        (point != NULL && !scan_digits(point + 1, fraction, UINT32_MAX, &low))) {
        return false;
    }
    *value = high;
    for (size_t i = 0; i < decimals; i++) {
        *value *= 10;
        low *= i < fraction ? 1 : 10;
    }
    *value += low;
    return *value <= max;
}

/* Which of two letters the current token is, 0 where it is neither; moves on where it is. */
static char take_letter(struct lexer *lexer, const char *letters)
{
    const struct token *token = &lexer->token;
    if (token->kind == TOKEN_WORD && token->size == 1) {
        char upper = (char)(token->text[0] & ~0x20);
        if (upper == letters[0] || upper == letters[1]) {
            lexer_next(lexer);
            return upper;
        }
    }
    return 0;
}

static void put_seconds(struct line *line)
{
    struct lexer *lexer = line->lexer;
    uint64_t milliseconds;
    if (!parse_decimal(&lexer->token, 0, lexer->token.size, 3, 59999, &milliseconds)) {
        lexer_expected(lexer, "seconds from 0 to 59.999");
        return;
    }
    put(line, " %u.%03u", (unsigned)(milliseconds / 1000), (unsigned)(milliseconds % 1000));
    lexer_next(lexer);
}

/* Degrees, minutes and seconds, of which the last may be left out, then one of two letters. */
static void put_angle(struct line *line, uint32_t degrees, const char *letters)
{
    struct lexer *lexer = line->lexer;
    char letter = 0;
    for (unsigned part = 0; part < 3 && !stopped(line); part++) {
        if (letter != 0) {
            put(line, " 0");
        } else if (part < 2) {
            put_number(line, part == 0 ? degrees : 59);
        } else {
            put_seconds(line);
        }
        if (!stopped(line) && letter == 0) {
            letter = take_letter(lexer, letters);
        }
    }
    if (!stopped(line) && letter == 0) {
        lexer_expected(lexer, letters[0] == 'N' ? "N or S" : "E or W");
        return;
    }
    put(line, " %c", letter);
}

/* Metres with at most two decimals, "m" behind them or not, in centimetres from min to max. */
static void put_metres(struct line *line, uint64_t below, uint64_t above, const char *what)
{
    struct lexer *lexer = line->lexer;
    const struct token *token = &lexer->token;
    if (stopped(line)) {
        return;
    }
    size_t size = token->size;
    bool negative = below > 0 && size > 0 && token->text[0] == '-';
    size -= size > 0 && (token->text[size - 1] == 'm' || token->text[size - 1] == 'M');
    size -= negative && size > 0;
    uint64_t centimetres;
    if (token->kind != TOKEN_WORD ||
        !parse_decimal(token, negative, size, 2, negative ? below : above, &centimetres)) {
        lexer_expected(lexer, what);
        return;
    }
    put(line, " %s%llu.%02llum", negative ? "-" : "", (unsigned long long)centimetres / 100,
        (unsigned long long)centimetres % 100);
    lexer_next(lexer);
}

static void put_location(struct line *line)
{
    put_angle(line, 90, "NS");
    put_angle(line, 180, "EW");
    put_metres(line, UINT64_C(10000000), UINT64_C(4284967295),
               "an altitude from -100000.00m to 42849672.95m");
    for (unsigned i = 0; i < 3 && !stopped(line) && line->lexer->token.kind != TOKEN_END; i++) {
        put_metres(line, 0, UINT64_C(9000000000), "a size or precision up to 90000000.00m");
    }
}

/* ---- IPSECKEY (RFC 4025 section 3), WKS (RFC 1035 section 3.4.2) ---- */

static void put_gateway(struct line *line, uint32_t type)
{
    const struct token *token = &line->lexer->token;
    uint8_t address[16];
    bool word = token->kind == TOKEN_WORD;
    switch (type) {
    case 0:
        put_token(line, word && token->size == 1 && token->text[0] == '.', "\".\" (no gateway)");
        break;
    case 1:
        put_token(line, word && scan_ipv4(token->text, token->size, address), "an IPv4 address");
        break;
    case 2:
        put_token(line, word && scan_ipv6(token->text, token->size, address), "an IPv6 address");
        break;
    default:
        put_name(line);
    }
}

/* Returns whether there is a key. Where there is none ldns wants one all the same. */
static bool put_ipseckey(struct line *line)
{
    put_number(line, UINT8_MAX);
    uint32_t gateway = put_number(line, 3);
    put_number(line, UINT8_MAX);
    put_gateway(line, gateway);
    if (!stopped(line) && line->lexer->token.kind == TOKEN_END) {
        put(line, " AA==");
        return false;
    }
    put_base64(line);
    return true;
}

/* The port of a service, by number or by the system's name for it. */
static bool find_port(const struct token *token, uint32_t protocol, uint32_t *port)
{
    char name[64], room[SERVICE_ROOM];
    struct servent entry, *found = NULL;
    if (token->kind != TOKEN_WORD || scan_digits(token->text, token->size, UINT16_MAX, port)) {
        return token->kind == TOKEN_WORD;
    }
    if (token->size >= sizeof name || (protocol != 6 && protocol != 17)) {
        return false;
    }
    memcpy(name, token->text, token->size);
    name[token->size] = '\0';
    getservbyname_r(name, protocol == 6 ? "tcp" : "udp", &entry, room, sizeof room, &found);
    *port = found != NULL ? ntohs((uint16_t)found->s_port) : 0;
    return found != NULL;
}

static int scan_wks(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    uint8_t address[4], bits[8192] = {0};
    uint32_t protocol = 6, port;
    size_t size = 0;
    if (token->kind != TOKEN_WORD || !scan_ipv4(token->text, token->size, address)) {
        return lexer_expected(lexer, "an IPv4 address");
    }
    lexer_next(lexer);
    if (lexer_is_word(lexer, "tcp") || lexer_is_word(lexer, "udp")) {
        protocol = lexer_is_word(lexer, "tcp") ? 6 : 17;
        lexer_next(lexer);
    } else if (scan_number(lexer, UINT8_MAX, &protocol) != RR_OK) {
        return RR_EINVAL;
    }
    for (; token->kind != TOKEN_END; lexer_next(lexer)) {
        if (!find_port(token, protocol, &port)) {
            return lexer_expected(lexer, "a port number or the name of a service");
        }
        bits[port / 8] |= (uint8_t)(0x80u >> port % 8);
        size = port / 8 >= size ? port / 8 + 1 : size;
    }
    wire_write_octets(out, address, sizeof address);
    wire_write_u8(out, (uint8_t)protocol);
    wire_write_octets(out, bits, size);
    return RR_OK;
}

/* ---- The whole ---- */

/* Reads the tokens into the line. Returns whether the last octet ldns makes of it is to go. */
static bool collect(struct line *line, uint16_t type)
{
    const struct token *token = &line->lexer->token;
    switch (type) {
    case RRTYPE_ISDN:
        put_string(line);
        if (!stopped(line) && token->kind != TOKEN_END) {
            put_string(line);
        }
        return false;
    case RRTYPE_NSAP:
        put_nsap(line);
        return false;
    case RRTYPE_LOC:
        put_location(line);
        return false;
    case RRTYPE_APL:
        while (!stopped(line) && token->kind != TOKEN_END) {
            put_token(line, is_prefix(token), "[!]1:IPv4/prefix or [!]2:IPv6/prefix");
        }
        return false;
    case RRTYPE_IPSECKEY:
        return !put_ipseckey(line);
    case RRTYPE_HIP:
        put_number(line, UINT8_MAX);
        put_host_identity(line);
        put_token(line, is_base64(token), "a public key in base64");
        while (!stopped(line) && token->kind != TOKEN_END) {
            put_name(line);
        }
        return false;
    case RRTYPE_EUI48:
    case RRTYPE_EUI64:
        put_eui(line, type == RRTYPE_EUI48 ? 6 : 8);
        return false;
    default: /* NID, L64 */
        put_number(line, UINT16_MAX);
        put_locator(line);
        return false;
    }
}

/* The RDATA of a line of text, through ldns. */
static int convert(const char *text, struct wire_writer *out)
{
    ldns_rr *rr = NULL;
    ldns_status status = ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL);
    if (status != LDNS_STATUS_OK) {
        return status == LDNS_STATUS_MEM_ERR ? RR_ENOMEM : RR_EINVAL;
    }
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *field = ldns_rr_rdf(rr, i);
        wire_write_octets(out, ldns_rdf_data(field), ldns_rdf_size(field));
    }
    ldns_rr_free(rr);
    return RR_OK;
}

static int scan_line(struct line *line, uint16_t type, struct wire_writer *out)
{
    struct lexer *lexer = line->lexer;
    size_t first = lexer->token.line;
    char mnemonic[RRTYPE_TEXT_MAX];
    rrtype_to_text(type, mnemonic);
    put(line, ". 0 IN %s", mnemonic);
    bool extra = collect(line, type);
    wire_write_u8(&line->text, 0);
    if (stopped(line)) {
        return RR_EINVAL;
    }
    if (line->text.failed) {
        return lexer_fault(lexer, first, "the record's data is over %d octets", RDATA_MAX);
    }
    int error = convert((const char *)line->text.data, out);
    if (error == RR_EINVAL) {
        return lexer_fault(lexer, first, "the data does not fit its type");
    }
    out->pos -= extra && !out->failed;
    return error;
}

int rdata_rare_scan(struct lexer *lexer, uint16_t type, const struct scan_name *origin,
                    struct wire_writer *out)
{
    if (type == RRTYPE_WKS) {
        return scan_wks(lexer, out);
    }
    uint8_t *room = malloc(LINE_ROOM);
    if (room == NULL) {
        return RR_ENOMEM;
    }
    struct line line = {
        .lexer = lexer,
        .origin = origin,
        .text = wire_writer_init(room, LINE_ROOM),
    };
    int error = scan_line(&line, type, out);
    free(room);
    return error;
}

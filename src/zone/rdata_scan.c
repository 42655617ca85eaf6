/*
 * Every field reader takes tokens from the current one on and leaves the one behind its field. What
 * is written past 65535 octets is dropped by the writer and told once, at the end.
 */
#include "zone/rdata_scan.h"

#include <string.h>

#include "base/err.h"
#include "dns/base_encoding.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "zone/rdata_rare.h"
#include "zone/scan_address.h"

struct mnemonic {
    const char *word; /* lower case */
    uint16_t value;
};

/* IANA "DNS Security Algorithm Numbers". */
static const struct mnemonic algorithms[] = {
    {"delete", 0},           {"rsamd5", 1},           {"dh", 2},
    {"dsa", 3},              {"ecc", 4},              {"rsasha1", 5},
    {"dsa-nsec3-sha1", 6},   {"nsec3dsa", 6},         {"rsasha1-nsec3-sha1", 7},
    {"nsec3rsasha1", 7},     {"rsasha256", 8},        {"rsasha512", 10},
    {"ecc-gost", 12},        {"eccgost", 12},         {"ecdsap256sha256", 13},
    {"ecdsap384sha384", 14}, {"ed25519", 15},         {"ed448", 16},
    {"indirect", 252},       {"privatedns", 253},     {"privateoid", 254},
    {NULL, 0},
};

/* RFC 4398 section 2.1. */
static const struct mnemonic certificates[] = {
    {"pkix", 1}, {"spki", 2},   {"pgp", 3},     {"ipkix", 4}, {"ispki", 5},
    {"ipgp", 6}, {"acpkix", 7}, {"iacpkix", 8}, {"uri", 253}, {"oid", 254},
    {NULL, 0},
};

/* ---- Fields of one token ---- */

static int field_u8(struct lexer *lexer, struct wire_writer *out)
{
    uint32_t value;
    int error = scan_number(lexer, UINT8_MAX, &value);
    if (error == RR_OK) {
        wire_write_u8(out, (uint8_t)value);
    }
    return error;
}

static int field_u16(struct lexer *lexer, struct wire_writer *out)
{
    uint32_t value;
    int error = scan_number(lexer, UINT16_MAX, &value);
    if (error == RR_OK) {
        wire_write_u16(out, (uint16_t)value);
    }
    return error;
}

static int field_u32(struct lexer *lexer, struct wire_writer *out)
{
    uint32_t value;
    int error = scan_number(lexer, UINT32_MAX, &value);
    if (error == RR_OK) {
        wire_write_u32(out, value);
    }
    return error;
}

static int field_duration(struct lexer *lexer, struct wire_writer *out)
{
    uint32_t value;
    int error = scan_duration(lexer, UINT32_MAX, &value);
    if (error == RR_OK) {
        wire_write_u32(out, value);
    }
    return error;
}

/* The mnemonic that the current token is, or NULL. */
static const struct mnemonic *find_mnemonic(const struct lexer *lexer, const struct mnemonic *table)
{
    if (lexer->token.kind != TOKEN_WORD || lexer->token.text[0] <= '9') {
        return NULL;
    }
    for (; table->word != NULL; table++) {
        if (lexer_is_word(lexer, table->word)) {
            return table;
        }
    }
    return NULL;
}

static int field_algorithm(struct lexer *lexer, struct wire_writer *out)
{
    const struct mnemonic *found = find_mnemonic(lexer, algorithms);
    if (found == NULL) {
        return field_u8(lexer, out);
    }
    wire_write_u8(out, (uint8_t)found->value);
    lexer_next(lexer);
    return RR_OK;
}

static int field_certificate(struct lexer *lexer, struct wire_writer *out)
{
    const struct mnemonic *found = find_mnemonic(lexer, certificates);
    if (found == NULL) {
        return field_u16(lexer, out);
    }
    wire_write_u16(out, found->value);
    lexer_next(lexer);
    return RR_OK;
}

/* Days of a date since 1970-01-01, for years from 1970 on; negative for what is no date. */
static int64_t days_of(uint32_t year, uint32_t month, uint32_t day)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const uint16_t before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (uint32_t)(leap && month == 2)) {
        return -1;
    }
    uint32_t last = year - 1;
    int64_t leaps = (int64_t)(last / 4 - last / 100 + last / 400) - 477; /* 477 before 1970 */
    return (int64_t)(year - 1970) * 365 + leaps + before[month - 1] + (leap && month > 2) + day - 1;
}

/* YYYYMMDDHHmmSS, up to what 32 bits hold (2106-02-07). */
static bool parse_date(const char *text, uint32_t *value)
{
    uint32_t year, month, day, hour, minute, second;
    if (!scan_digits(text, 4, 9999, &year) || !scan_digits(text + 4, 2, 99, &month) ||
        !scan_digits(text + 6, 2, 99, &day) || !scan_digits(text + 8, 2, 23, &hour) ||
        !scan_digits(text + 10, 2, 59, &minute) || !scan_digits(text + 12, 2, 59, &second)) {
        return false;
    }
    int64_t days = days_of(year, month, day);
    int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second;
    *value = (uint32_t)seconds;
    return days >= 0 && seconds <= UINT32_MAX;
}

static int field_time(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    uint32_t value;
    if (token->kind != TOKEN_WORD || token->size != 14) {
        return field_u32(lexer, out);
    }
    if (!parse_date(token->text, &value)) {
        return lexer_expected(lexer, "a time as YYYYMMDDHHmmSS, from 1970 to 2106");
    }
    wire_write_u32(out, value);
    lexer_next(lexer);
    return RR_OK;
}

/* The type that the current token names. False: it names none, and the fault is told. */
static bool read_type(struct lexer *lexer, uint16_t *type)
{
    const struct token *token = &lexer->token;
    if (token->kind != TOKEN_WORD || rrtype_from_text(token->text, token->size, type) != RR_OK) {
        lexer_expected(lexer, "a record type");
        return false;
    }
    lexer_next(lexer);
    return true;
}

static int field_type(struct lexer *lexer, struct wire_writer *out)
{
    uint16_t type;
    if (!read_type(lexer, &type)) {
        return RR_EINVAL;
    }
    wire_write_u16(out, type);
    return RR_OK;
}

static int field_ipv4(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    uint8_t address[4];
    if (token->kind != TOKEN_WORD || !scan_ipv4(token->text, token->size, address)) {
        return lexer_expected(lexer, "an IPv4 address");
    }
    wire_write_octets(out, address, sizeof address);
    lexer_next(lexer);
    return RR_OK;
}

static int field_ipv6(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    uint8_t address[16];
    if (token->kind != TOKEN_WORD || !scan_ipv6(token->text, token->size, address)) {
        return lexer_expected(lexer, "an IPv6 address");
    }
    wire_write_octets(out, address, sizeof address);
    lexer_next(lexer);
    return RR_OK;
}

static int field_tag(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    bool good = (token->kind == TOKEN_WORD || token->kind == TOKEN_QUOTED) && token->size > 0;
    for (size_t i = 0; good && i < token->size; i++) {
        uint8_t c = name_lower((uint8_t)token->text[i]);
        good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z');
    }
    return good ? scan_string(lexer, out) : lexer_expected(lexer, "a tag of letters and digits");
}

/* Hex with a length octet, "-" when empty. */
static int field_salt(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    struct base_decoder decoder = {0};
    uint8_t salt[255];
    struct wire_writer bytes = wire_writer_init(salt, sizeof salt);
    bool empty = token->kind == TOKEN_WORD && token->size == 1 && token->text[0] == '-';
    if (!empty &&
        (token->kind != TOKEN_WORD ||
         hex_feed(&decoder, token->text, token->size, &bytes) != RR_OK ||
         hex_end(&decoder) != RR_OK || bytes.failed)) {
        return lexer_expected(lexer, "a salt (\"-\" or at most 255 octets of hex)");
    }
    wire_write_u8(out, (uint8_t)bytes.pos);
    wire_write_octets(out, salt, bytes.pos);
    lexer_next(lexer);
    return RR_OK;
}

/* base32hex with a length octet. */
static int field_hash(struct lexer *lexer, struct wire_writer *out)
{
    const struct token *token = &lexer->token;
    struct base_decoder decoder = {0};
    uint8_t hash[255];
    struct wire_writer bytes = wire_writer_init(hash, sizeof hash);
    if (token->kind != TOKEN_WORD ||
        base32hex_feed(&decoder, token->text, token->size, &bytes) != RR_OK ||
        base32hex_end(&decoder) != RR_OK || bytes.failed || bytes.pos == 0) {
        return lexer_expected(lexer, "a hash in base32hex (at most 255 octets)");
    }
    wire_write_u8(out, (uint8_t)bytes.pos);
    wire_write_octets(out, hash, bytes.pos);
    lexer_next(lexer);
    return RR_OK;
}

/* ---- Fields that go on to the end ---- */

static int field_strings(struct lexer *lexer, struct wire_writer *out)
{
    int error;
    do {
        error = scan_string(lexer, out);
    } while (error == RR_OK && lexer->token.kind != TOKEN_END);
    return error;
}

static int field_hex(struct lexer *lexer, struct wire_writer *out)
{
    struct base_decoder decoder = {0};
    const struct token *token = &lexer->token;
    do {
        if (token->kind != TOKEN_WORD ||
            hex_feed(&decoder, token->text, token->size, out) != RR_OK) {
            return lexer_expected(lexer, "hex digits");
        }
        lexer_next(lexer);
    } while (token->kind != TOKEN_END);
    if (hex_end(&decoder) != RR_OK) {
        return lexer_fault(lexer, token->line, "an odd number of hex digits");
    }
    return RR_OK;
}

static int field_base64(struct lexer *lexer, uint16_t type, struct wire_writer *out)
{
    struct base_decoder decoder = {0};
    const struct token *token = &lexer->token;
    if (type == RRTYPE_KEY && token->kind == TOKEN_END) {
        return RR_OK; /* rdata_rules_fault knows when a KEY may be without a key */
    }
    do {
        if (token->kind != TOKEN_WORD ||
            base64_feed(&decoder, token->text, token->size, out) != RR_OK) {
            return lexer_expected(lexer, "base64");
        }
        lexer_next(lexer);
    } while (token->kind != TOKEN_END);
    if (base64_end(&decoder) != RR_OK) {
        return lexer_fault(lexer, token->line, "base64 that is cut short or badly padded");
    }
    return RR_OK;
}

/* Types may come in any order and several times: bits are gathered first. */
static int field_bitmap(struct lexer *lexer, struct wire_writer *out)
{
    uint8_t bits[256][32]; /* a window's are zeroed when it is first used */
    uint8_t sizes[256] = {0};
    while (lexer->token.kind != TOKEN_END) {
        uint16_t type;
        if (!read_type(lexer, &type)) {
            return RR_EINVAL;
        }
        unsigned window = type >> 8, octet = (type & 0xffu) / 8;
        if (sizes[window] == 0) {
            memset(bits[window], 0, sizeof bits[window]);
        }
        if (sizes[window] <= octet) {
            sizes[window] = (uint8_t)(octet + 1);
        }
        bits[window][octet] |= (uint8_t)(0x80u >> type % 8);
    }
    for (unsigned window = 0; window < 256; window++) {
        if (sizes[window] > 0) {
            wire_write_u8(out, (uint8_t)window);
            wire_write_u8(out, sizes[window]);
            wire_write_octets(out, bits[window], sizes[window]);
        }
    }
    return RR_OK;
}

/* ---- The whole ---- */

static int read_field(struct lexer *lexer, char form, uint16_t type, const struct scan_name *origin,
                      struct wire_writer *out)
{
    switch (form) {
    case 'N':
    case 'n':
    case 'o':
        return scan_name_to(lexer, origin, out);
    case 'a':
        return field_ipv4(lexer, out);
    case 'A':
        return field_ipv6(lexer, out);
    case '1':
        return field_u8(lexer, out);
    case '2':
        return field_u16(lexer, out);
    case '4':
        return field_u32(lexer, out);
    case 'd':
        return field_duration(lexer, out);
    case 't':
        return field_time(lexer, out);
    case 'T':
        return field_type(lexer, out);
    case 'g':
        return field_algorithm(lexer, out);
    case 'c':
        return field_certificate(lexer, out);
    case 's':
        return scan_string(lexer, out);
    case 'S':
        return field_strings(lexer, out);
    case 'k':
        return field_tag(lexer, out);
    case 'q':
        return scan_octets(lexer, out);
    case 'h':
        return field_hex(lexer, out);
    case 'b':
        return field_base64(lexer, type, out);
    case 'x':
        return field_salt(lexer, out);
    case 'w':
        return field_hash(lexer, out);
    case 'M':
        return field_bitmap(lexer, out);
    default: /* V */
        return rdata_scan_svcb(lexer, out);
    }
}

/* Behind `\#`: the number of octets, then as many in hex. */
static int read_generic(struct lexer *lexer, uint16_t type, struct wire_writer *out)
{
    size_t line = lexer->token.line;
    uint32_t size;
    int error = scan_number(lexer, RDATA_MAX, &size);
    if (error == RR_OK && (size > 0 || lexer->token.kind != TOKEN_END)) {
        error = field_hex(lexer, out);
    }
    if (error != RR_OK) {
        return error;
    }
    if (out->failed || out->pos != size) {
        return lexer_fault(lexer, line, "\\# announces %u octets, but %s follow", size,
                           out->failed || out->pos > size ? "more" : "fewer");
    }
    const char *fault = rdata_fault(type, out->data, out->pos);
    return fault != NULL ? lexer_fault(lexer, line, "\\#: %s", fault) : RR_OK;
}

static bool is_generic(const struct token *token)
{
    return token->kind == TOKEN_WORD && token->size == 2 && token->text[0] == '\\' &&
           token->text[1] == '#';
}

/* The fields one by one, then the rules between them. */
static int read_form(struct lexer *lexer, uint16_t type, const struct scan_name *origin,
                     struct wire_writer *out)
{
    const char *form = rrtype_form(type);
    size_t line = lexer->token.line;
    int error = RR_OK;
    if (form == NULL) {
        return lexer_expected(lexer, "\\# (the type is known by its number only)");
    }
    if (form[0] == 'r') {
        error = rdata_rare_scan(lexer, type, origin, out);
    } else {
        for (; *form != '\0' && error == RR_OK; form++) {
            error = read_field(lexer, *form, type, origin, out);
        }
    }
    if (error != RR_OK || lexer->token.kind != TOKEN_END || out->failed) {
        return error;
    }
    const char *fault = rdata_rules_fault(type, out->data, out->pos);
    return fault != NULL ? lexer_fault(lexer, line, "%s", fault) : RR_OK;
}

int rdata_scan(struct lexer *lexer, uint16_t type, const struct scan_name *origin,
               struct wire_writer *out)
{
    size_t line = lexer->token.line;
    int error;
    if (is_generic(&lexer->token)) {
        lexer_next(lexer);
        return read_generic(lexer, type, out);
    }
    switch (type) { /* those that most records are of, without the way around by their form */
    case RRTYPE_A:
        error = field_ipv4(lexer, out);
        break;
    case RRTYPE_AAAA:
        error = field_ipv6(lexer, out);
        break;
    case RRTYPE_NS:
    case RRTYPE_CNAME:
    case RRTYPE_PTR:
        error = scan_name_to(lexer, origin, out);
        break;
    default:
        error = read_form(lexer, type, origin, out);
    }
    if (error == RR_OK && lexer->token.kind != TOKEN_END) {
        error = lexer_expected(lexer, "the end of the record");
    }
    if (error == RR_OK && out->failed) {
        error = lexer_fault(lexer, line, "the record's data is over %d octets", RDATA_MAX);
    }
    return error;
}

/*
 * A line reader with two states: in a zone's text, or not. A fault is kept with its line and ends
 * the reading; test_cases.c makes a failed test of it.
 */
#include "casefile.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_ROOM = 16384, DEFINES_MAX = 64, WORDS_MAX = 64 };

struct reading {
    struct case_file *file;
    unsigned line;
    char origin[1024];
    char *defines[DEFINES_MAX][2];
    size_t defines_count;
    struct case_zone *zone; /* whose text is being read */
    struct test_case *at;   /* the case being read */
};

static void *need(void *memory)
{
    if (memory == NULL) {
        fputs("no memory\n", stderr);
        exit(2);
    }
    return memory;
}

static char *copy(const char *text)
{
    return need(strdup(text));
}

static bool fault(struct reading *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fault(struct reading *r, const char *format, ...)
{
    char reason[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (r->file->fault == NULL) {
        size_t size = strlen(r->file->path) + sizeof reason + 32;
        r->file->fault = need(malloc(size));
        snprintf(r->file->fault, size, "%s:%u: %s", r->file->path, r->line, reason);
    }
    return false;
}

static void add_string(struct strings *strings, const char *text)
{
    strings->text = need(realloc(strings->text, (strings->count + 1) * sizeof *strings->text));
    strings->text[strings->count++] = copy(text);
}

/* ---- Words ---- */

/* Splits at blanks, in place; "quoted text" is one word, without its quotes. */
static size_t split(char *line, char *words[WORDS_MAX])
{
    size_t count = 0;
    char *p = line;
    while (count < WORDS_MAX) {
        p += strspn(p, " \t");
        if (*p == '\0') {
            break;
        }
        char end = ' ';
        if (*p == '"') {
            end = '"';
            p++;
        }
        words[count++] = p;
        while (*p != '\0' && (end == '"' ? *p != '"' : *p != ' ' && *p != '\t')) {
            p++;
        }
        if (*p != '\0') {
            *p++ = '\0';
        }
    }
    return count;
}

/* $WORD by what it was defined as. out has LINE_ROOM. False where it gets too long. */
static bool replace_defines(const struct reading *r, const char *line, char *out)
{
    size_t used = 0;
    while (*line != '\0') {
        const char *with = NULL;
        size_t name = 0;
        if (*line == '$') {
            while (isalnum((unsigned char)line[1 + name]) || line[1 + name] == '_') {
                name++;
            }
            for (size_t i = 0; i < r->defines_count; i++) {
                if (strlen(r->defines[i][0]) == name &&
                    strncmp(r->defines[i][0], line + 1, name) == 0) {
                    with = r->defines[i][1];
                }
            }
        }
        size_t size = with != NULL ? strlen(with) : 1;
        if (used + size >= LINE_ROOM) {
            return false;
        }
        memcpy(out + used, with != NULL ? with : line, size);
        used += size;
        line += with != NULL ? 1 + name : 1;
    }
    out[used] = '\0';
    return true;
}

/* A name in text, origin appended where it is relative; "@" is the origin. */
static bool full_name(struct reading *r, const char *text, char *out, size_t room)
{
    size_t size = strlen(text);
    bool absolute = size > 0 && text[size - 1] == '.' && (size < 2 || text[size - 2] != '\\');
    int written =
        strcmp(text, "@") == 0 ? snprintf(out, room, "%s", r->origin)
        : absolute             ? snprintf(out, room, "%s", text)
                   : snprintf(out, room, "%s%s%s", text, r->origin[0] == '.' ? "" : ".", r->origin);
    return written >= 0 && (size_t)written < room ? true : fault(r, "a name is too long");
}

static size_t wire_name(struct reading *r, const char *text, uint8_t wire[PACKET_NAME_MAX])
{
    char full[2048];
    if (!full_name(r, text, full, sizeof full)) {
        return 0;
    }
    ldns_rdf *name = NULL;
    if (ldns_str2rdf_dname(&name, full) != LDNS_STATUS_OK ||
        ldns_rdf_size(name) > PACKET_NAME_MAX) {
        fault(r, "%s is no name", full);
        return 0;
    }
    size_t size = ldns_rdf_size(name);
    memcpy(wire, ldns_rdf_data(name), size);
    ldns_rdf_deep_free(name);
    return size;
}

static bool read_class(struct reading *r, const char *text, uint16_t *class)
{
    static const struct {
        const char *text;
        uint16_t number;
    } classes[] = {{"IN", 1}, {"CH", 3}, {"HS", 4}, {"NONE", 254}, {"ANY", 255}};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strcmp(text, classes[i].text) == 0) {
            *class = classes[i].number;
            return true;
        }
    }
    if (strncmp(text, "CLASS", 5) == 0) {
        *class = (uint16_t)atoi(text + 5);
        return true;
    }
    return fault(r, "%s is no class", text);
}

static bool read_type(struct reading *r, const char *text, uint16_t *type)
{
    bool number = strncmp(text, "TYPE", 4) == 0 && isdigit((unsigned char)text[4]);
    if (!number && strcmp(text, "NXNAME") != 0 && ldns_get_rr_type_by_name(text) == 0) {
        return fault(r, "%s is no type", text);
    }
    *type = type_number(text);
    return true;
}

/* ---- Octets ---- */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

static void add_octets(struct test_case *c, const void *data, size_t size)
{
    c->message = need(realloc(c->message, c->message_size + size + 1));
    memcpy(c->message + c->message_size, data, size);
    c->message_size += size;
}

/* One word of `send`: hex, hex*TIMES, <name>, 'text'. */
static bool read_octets(struct reading *r, const char *word)
{
    uint8_t octets[2048];
    size_t size = 0;
    if (word[0] == '<') {
        char name[1024];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(word + 1, ">"), word + 1);
        size = wire_name(r, name, octets);
        add_octets(r->at, octets, size);
        return size > 0;
    }
    if (word[0] == '\'') {
        size = strcspn(word + 1, "'");
        add_octets(r->at, word + 1, size);
        return true;
    }
    while (hex_digit(word[0]) >= 0 && hex_digit(word[1]) >= 0 && size < sizeof octets) {
        octets[size++] = (uint8_t)(hex_digit(word[0]) << 4 | hex_digit(word[1]));
        word += 2;
    }
    long times = *word == '*' ? strtol(word + 1, NULL, 10) : 1;
    if (size == 0 || (*word != '\0' && *word != '*') || times < 0 || times > 65535) {
        return fault(r, "%s are no octets", word);
    }
    for (long i = 0; i < times; i++) {
        add_octets(r->at, octets, size);
    }
    return true;
}

/* ---- Queries ---- */

static bool read_option_flag(struct reading *r, const char *text)
{
    uint8_t data[PACKET_OPTIONS_MAX];
    size_t size = 0;
    char *end;
    long code = strtol(text, &end, 10);
    if (*end != ':') {
        return fault(r, "+opt is CODE:HEX");
    }
    for (end++; hex_digit(end[0]) >= 0 && hex_digit(end[1]) >= 0; end += 2) {
        data[size++] = (uint8_t)(hex_digit(end[0]) << 4 | hex_digit(end[1]));
    }
    query_add_option(&r->at->query, (uint16_t)code, data, size);
    return true;
}

static bool read_flag(struct reading *r, const char *text)
{
    static const struct {
        const char *text;
        uint16_t header, edns;
    } bits[] = {
        {"aa", 0x0400, 0}, {"tc", 0x0200, 0}, {"rd", 0x0100, 0}, {"ra", 0x0080, 0},
        {"z", 0x0040, 0},  {"ad", 0x0020, 0}, {"cd", 0x0010, 0}, {"qr", 0x8000, 0},
        {"do", 0, 0x8000}, {"co", 0, 0x4000}, {"ez", 0, 0x3fff},
    };
    struct query_spec *query = &r->at->query;
    const char *value = strchr(text, '=');
    value = value != NULL ? value + 1 : "";
    size_t size = strcspn(text, "=");
#define IS(word) (size == sizeof(word) - 1 && strncmp(text, word, size) == 0)
    for (size_t i = 0; i < sizeof bits / sizeof bits[0]; i++) {
        if (strcmp(text, bits[i].text) == 0) {
            query->flags |= bits[i].header;
            query->edns_flags |= bits[i].edns;
            query->edns |= bits[i].edns != 0;
            return true;
        }
    }
    if (IS("opcode")) {
        query->flags = (uint16_t)(query->flags | atoi(value) << 11);
    } else if (IS("edns")) {
        query->edns = true;
        query->edns_size = *value != '\0' ? (uint16_t)atoi(value) : query->edns_size;
    } else if (IS("version")) {
        query->edns = true;
        query->edns_version = (uint8_t)atoi(value);
    } else if (IS("nsid")) {
        query_add_option(query, 3, NULL, 0);
    } else if (IS("keepalive")) {
        query_add_option(query, 11, NULL, 0);
    } else if (IS("opt")) {
        return read_option_flag(r, value);
    } else if (IS("cookie")) {
        query->edns = true;
        r->at->cookie = strcmp(value, "last") == 0     ? COOKIE_LAST
                        : strcmp(value, "forged") == 0 ? COOKIE_FORGED
                                                       : COOKIE_FRESH;
    } else {
        return fault(r, "+%s is no flag", text);
    }
#undef IS
    return true;
}

static bool read_ask(struct reading *r, char **words, size_t count)
{
    struct query_spec *query = &r->at->query;
    if (count < 3) {
        return fault(r, "ask NAME TYPE [CLASS] [+FLAG...]");
    }
    query->class = 1;
    query->edns_size = 1232;
    query->name_size = wire_name(r, words[1], query->name);
    if (query->name_size == 0 || !read_type(r, words[2], &query->type)) {
        return false;
    }
    for (size_t i = 3; i < count; i++) {
        bool ok = words[i][0] == '+' ? read_flag(r, words[i] + 1)
                                     : read_class(r, words[i], &query->class);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool read_over(struct reading *r, char **words, size_t count)
{
    static const char *const names[] = {
        [UDP4] = "udp4", [UDP6] = "udp6", [TCP4] = "tcp4", [TCP6] = "tcp6"};
    memset(r->at->over, 0, sizeof r->at->over);
    for (size_t i = 1; i < count; i++) {
        bool known = false;
        for (size_t t = 0; t < TRANSPORTS; t++) {
            if (strncmp(names[t], words[i], strlen(words[i])) == 0) {
                r->at->over[t] = known = true;
            }
        }
        if (!known) {
            return fault(r, "%s is no transport", words[i]);
        }
    }
    return true;
}

/* ---- Expectations ---- */

static bool read_reply(struct reading *r, char **words, size_t count)
{
    static const struct {
        const char *text;
        uint16_t bit;
    } flags[] = {{"aa", 0x0400}, {"tc", 0x0200}, {"rd", 0x0100},
                 {"ra", 0x0080}, {"ad", 0x0020}, {"cd", 0x0010}};
    if (count < 2) {
        return fault(r, "reply RCODE [FLAG...]");
    }
    if (strcmp(words[1], "none") == 0) {
        r->at->silent = true;
        return true;
    }
    int rcode = rcode_number(words[1]);
    if (rcode < 0) {
        return fault(r, "%s is no RCODE", words[1]);
    }
    r->at->rcode = (unsigned)rcode;
    for (size_t i = 2; i < count; i++) {
        bool known = false;
        for (size_t f = 0; f < sizeof flags / sizeof flags[0]; f++) {
            if (strcmp(words[i], flags[f].text) == 0) {
                r->at->flags |= flags[f].bit;
                known = true;
            }
        }
        if (strncmp(words[i], "opcode=", 7) == 0) {
            r->at->opcode = atoi(words[i] + 7);
        } else if (!known) {
            return fault(r, "%s is no flag", words[i]);
        }
    }
    return true;
}

static bool read_question(struct reading *r, char **words, size_t count)
{
    r->at->question_given = true;
    if (count == 2 && strcmp(words[1], "none") == 0) {
        return true;
    }
    uint16_t type, class = 1;
    if (count < 3 || !read_type(r, words[2], &type) ||
        (count > 3 && !read_class(r, words[3], &class))) {
        return fault(r, "question NAME TYPE [CLASS]");
    }
    size_t size = wire_name(r, words[1], r->at->question);
    uint8_t *at = r->at->question + size;
    at[0] = (uint8_t)(type >> 8);
    at[1] = (uint8_t)type;
    at[2] = (uint8_t)(class >> 8);
    at[3] = (uint8_t) class;
    r->at->question_size = size + 4;
    return size > 0;
}

/* A record by ldns, and back to text: so it is compared in one form. TTL 3600 where none. */
static bool read_record(struct reading *r, enum section section, const char *text)
{
    ldns_rr *rr = NULL;
    ldns_rdf *origin = ldns_dname_new_frm_str(r->origin);
    long number;
    char *end;
    text += strspn(text, " \t");
    number = strtol(text, &end, 10);
    if (end != text && (*end == '\0' || strcmp(end, " records") == 0)) {
        ldns_rdf_deep_free(origin);
        r->at->records[section] = number;
        return true;
    }
    ldns_status status = ldns_rr_new_frm_str(&rr, text, 3600, origin, NULL);
    ldns_rdf_deep_free(origin);
    if (status != LDNS_STATUS_OK) {
        return fault(r, "%s: %s", ldns_get_errorstr_by_id(status), text);
    }
    add_string(&r->at->section[section], record_text(rr));
    ldns_rr_free(rr);
    return true;
}

static bool read_expected_option(struct reading *r, char **words, size_t count)
{
    static const struct {
        const char *text;
        uint16_t code;
        bool number, text_too;
    } known[] = {{"nsid", 3, false, true},
                 {"cookie", 10, false, false},
                 {"keepalive", 11, true, false},
                 {"ede", 15, true, true}};
    struct test_case *c = r->at;
    for (size_t i = 0; i < sizeof known / sizeof known[0] && count >= 2; i++) {
        if (strcmp(words[1], known[i].text) != 0) {
            continue;
        }
        size_t next = 2;
        struct expected_option option = {.code = known[i].code};
        if (known[i].number && next < count) {
            option.number = atol(words[next++]);
        }
        if (known[i].text_too && next < count) {
            option.text = copy(words[next++]);
        }
        if (next != count || c->options_count == sizeof c->options / sizeof c->options[0]) {
            free(option.text);
            break;
        }
        c->options[c->options_count++] = option;
        return true;
    }
    return fault(r, "option nsid TEXT | cookie | keepalive N | ede N [TEXT]");
}

static bool read_count(struct reading *r, char **words, size_t count)
{
    struct test_case *c = r->at;
    if (count != 3 || c->counts_count == sizeof c->counts / sizeof c->counts[0]) {
        return fault(r, "count COUNTER +N");
    }
    c->counts[c->counts_count++] =
        (struct expected_count){.counter = copy(words[1]), .delta = atoll(words[2])};
    return true;
}

static bool read_case_line(struct reading *r, char *line)
{
    static const char *const sections[] = {"answer", "authority", "additional"};
    struct test_case *c = r->at;
    char *words[WORDS_MAX];
    line += strspn(line, " \t");
    for (int s = 0; s < SECTIONS; s++) {
        size_t size = strlen(sections[s]);
        if (strncmp(line, sections[s], size) == 0 && line[size] == ' ') {
            return read_record(r, (enum section)s, line + size);
        }
    }
    size_t count = split(line, words);
    const char *word = words[0];
    if (strcmp(word, "ask") == 0) {
        return read_ask(r, words, count);
    } else if (strcmp(word, "send") == 0) {
        c->raw = true;
        for (size_t i = 1; i < count; i++) {
            if (!read_octets(r, words[i])) {
                return false;
            }
        }
        return true;
    } else if (strcmp(word, "over") == 0) {
        return read_over(r, words, count);
    } else if (strcmp(word, "reply") == 0) {
        return read_reply(r, words, count);
    } else if (strcmp(word, "question") == 0) {
        return read_question(r, words, count);
    } else if (strcmp(word, "option") == 0) {
        return read_expected_option(r, words, count);
    } else if (strcmp(word, "count") == 0) {
        return read_count(r, words, count);
    } else if (strcmp(word, "ordered") == 0) {
        c->ordered = true;
        return true;
    } else if (strcmp(word, "noedns") == 0) {
        c->edns = 0;
        return true;
    } else if (strcmp(word, "edns") == 0) {
        c->edns = 1;
        return true;
    } else if (strcmp(word, "size") == 0 && count == 2) {
        c->size = (size_t)atol(words[1]);
        return true;
    } else if (strcmp(word, "repeat") == 0 && count == 2) {
        c->repeat = (unsigned)atol(words[1]);
        return true;
    }
    return fault(r, "\"%s\" is not known here", word);
}

/* ---- The file ---- */

static void begin_case(struct reading *r, const char *title)
{
    struct case_file *file = r->file;
    file->cases = need(realloc(file->cases, (file->cases_count + 1) * sizeof *file->cases));
    r->at = &file->cases[file->cases_count++];
    *r->at = (struct test_case){
        .title = copy(title),
        .line = r->line,
        .over = {true, true, true, true},
        .repeat = 1,
        .opcode = -1,
        .records = {-1, -1, -1},
        .edns = -1,
    };
}

static void begin_zone(struct reading *r, const char *name, bool broken)
{
    struct case_file *file = r->file;
    file->zones = need(realloc(file->zones, (file->zones_count + 1) * sizeof *file->zones));
    r->zone = &file->zones[file->zones_count++];
    *r->zone = (struct case_zone){copy(name), copy(""), broken};
}

static void add_zone_line(struct reading *r, const char *line)
{
    size_t old = strlen(r->zone->text), size = strlen(line);
    r->zone->text = need(realloc(r->zone->text, old + size + 2));
    memcpy(r->zone->text + old, line, size);
    memcpy(r->zone->text + old + size, "\n", 2);
}

static bool read_top_line(struct reading *r, char *line)
{
    char *rest = line + strcspn(line, " ");
    size_t word = (size_t)(rest - line);
    rest += strspn(rest, " ");
#define IS(text) (word == sizeof(text) - 1 && strncmp(line, text, word) == 0)
    if ((IS("zone") || IS("broken")) && *rest != '\0') {
        begin_zone(r, rest, IS("broken"));
    } else if (IS("case") && *rest != '\0') {
        begin_case(r, rest);
    } else if (IS("server") && *rest != '\0') {
        free(r->file->server);
        r->file->server = copy(rest);
    } else if (IS("origin") && *rest != '\0') {
        snprintf(r->origin, sizeof r->origin, "%s", rest);
    } else if (IS("define") && *rest != '\0' && r->defines_count < DEFINES_MAX) {
        size_t name = strcspn(rest, " ");
        char *text = rest + name + strspn(rest + name, " ");
        rest[name] = '\0';
        r->defines[r->defines_count][0] = copy(rest);
        r->defines[r->defines_count++][1] = copy(text);
    } else {
        return fault(r, "\"%.*s\" is not known here", (int)word, line);
    }
#undef IS
    return true;
}

static bool read_line(struct reading *r, char *line)
{
    char replaced[LINE_ROOM];
    line[strcspn(line, "\r\n")] = '\0';
    size_t size = strlen(line);
    while (size > 0 && line[size - 1] == ' ') {
        line[--size] = '\0';
    }
    if (line[0] == '#' || (r->zone == NULL && line[strspn(line, " ")] == '#')) {
        return true;
    }
    if (!replace_defines(r, line, replaced)) {
        return fault(r, "the line gets too long");
    }
    if (replaced[0] == '\0') {
        if (r->zone != NULL) {
            add_zone_line(r, "");
        }
        return true;
    }
    if (replaced[0] != ' ') {
        r->zone = NULL;
        r->at = NULL;
        return read_top_line(r, replaced);
    }
    if (r->zone != NULL) {
        add_zone_line(r, replaced + (strspn(replaced, " ") < 4 ? strspn(replaced, " ") : 4));
        return true;
    }
    if (r->at == NULL) {
        return fault(r, "an indented line that belongs to nothing");
    }
    return read_case_line(r, replaced);
}

struct case_file *case_file_read(const char *path)
{
    struct case_file *file = need(calloc(1, sizeof *file));
    static char line[LINE_ROOM];
    struct reading r = {.file = file, .origin = "."};
    const char *slash = strrchr(path, '/');
    file->path = copy(path);
    file->name = copy(slash != NULL ? slash + 1 : path);
    char *dot = strstr(file->name, ".case");
    if (dot != NULL) {
        *dot = '\0';
    }
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        fault(&r, "%s", strerror(errno));
        return file;
    }
    while (fgets(line, sizeof line, in) != NULL) {
        r.line++;
        if (!read_line(&r, line)) {
            break;
        }
    }
    fclose(in);
    if (file->fault == NULL && file->cases_count == 0) {
        fault(&r, "no case");
    }
    for (size_t i = 0; i < file->cases_count; i++) {
        file->cases[i].file = file;
    }
    for (size_t i = 0; i < r.defines_count; i++) {
        free(r.defines[i][0]);
        free(r.defines[i][1]);
    }
    return file;
}

static void free_case(struct test_case *c)
{
    for (int s = 0; s < SECTIONS; s++) {
        for (size_t i = 0; i < c->section[s].count; i++) {
            free(c->section[s].text[i]);
        }
        free(c->section[s].text);
    }
    for (size_t i = 0; i < c->options_count; i++) {
        free(c->options[i].text);
    }
    for (size_t i = 0; i < c->counts_count; i++) {
        free(c->counts[i].counter);
    }
    free(c->title);
    free(c->message);
}

void case_file_free(struct case_file *file)
{
    for (size_t i = 0; i < file->cases_count; i++) {
        free_case(&file->cases[i]);
    }
    for (size_t i = 0; i < file->zones_count; i++) {
        free(file->zones[i].name);
        free(file->zones[i].text);
    }
    free(file->zones);
    free(file->cases);
    free(file->path);
    free(file->name);
    free(file->server);
    free(file->fault);
    free(file);
}

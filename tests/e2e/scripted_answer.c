#include "scripted_answer.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "octets.h"

enum {
    HEADER = 12,
    TO_QUESTION = 0xc00c,
    A = 1,
    SOA = 6,
    CNAME = 5,
    MX = 15,
    TXT = 16,
    AAAA = 28,
    OPT = 41,
    RRSIG = 46,
    OPTION_NSID = 3,
    OPTION_COOKIE = 10,
    OPTION_EDE = 15,
    FORMERR = 1,
    SERVFAIL = 2,
    NXDOMAIN = 3,
    NOTIMP = 4,
    REFUSED = 5,
    BADCOOKIE = 23,
    HUGE_RECORDS = 232, /* of 266 octets */
};

static const uint8_t server_cookie[16] = "a server's own..";

/* ---- Questions ---- */

static void read_options(struct scripted_question *q, const uint8_t *at, size_t size)
{
    q->options_size = (uint16_t)(size < sizeof q->options ? size : sizeof q->options);
    memcpy(q->options, at, q->options_size);
    while (size >= 4 && read16(at + 2) <= size - 4) {
        size_t length = read16(at + 2);
        if (read16(at) == OPTION_COOKIE && length <= sizeof q->cookie) {
            q->cookie_size = (uint8_t)length;
            memcpy(q->cookie, at + 4, length);
        }
        at += 4 + length;
        size -= 4 + length;
    }
}

bool scripted_read(const uint8_t *data, size_t size, struct scripted_question *q)
{
    size_t at = HEADER;
    if (size < HEADER + 5 || (data[2] & 0x80) != 0 || read16(data + 4) != 1) {
        return false;
    }
    while (at < size && data[at] != 0) {
        at += 1u + data[at];
    }
    at++;
    if (at + 4 > size || at - HEADER > 255) {
        return false;
    }
    *q = (struct scripted_question){.id = (uint16_t)read16(data),
                                    .flags = (uint16_t)read16(data + 2),
                                    .name_size = (uint8_t)(at - HEADER),
                                    .type = (uint16_t)read16(data + at),
                                    .class = (uint16_t)read16(data + at + 2)};
    memcpy(q->name, data + HEADER, q->name_size);
    at += 4;
    if (at + 11 <= size && data[at] == 0 && read16(data + at + 1) == OPT &&
        at + 11 + read16(data + at + 9) <= size) {
        q->edns = true;
        q->edns_size = (uint16_t)read16(data + at + 3);
        q->edns_flags = (uint16_t)read16(data + at + 7);
        read_options(q, data + at + 11, read16(data + at + 9));
    }
    return true;
}

/* ---- Words ---- */

static const struct {
    const char *word;
    enum scripted_action action;
} actions[] = {
    {"ok", ACT_OK},
    {"servfail", ACT_SERVFAIL},
    {"refused", ACT_REFUSED},
    {"notimp", ACT_NOTIMP},
    {"nodata", ACT_NODATA},
    {"nxdomain", ACT_NXDOMAIN},
    {"chain", ACT_CHAIN},
    {"many", ACT_MANY},
    {"truncated", ACT_TRUNCATED},
    {"huge", ACT_HUGE},
    {"behind", ACT_BEHIND},
    {"twice", ACT_TWICE},
    {"wrongid", ACT_WRONGID},
    {"wrongquestion", ACT_WRONGQUESTION},
    {"wrongtype", ACT_WRONGTYPE},
    {"wrongcase", ACT_WRONGCASE},
    {"wrongsource", ACT_WRONGSOURCE},
    {"wrongcookie", ACT_WRONGCOOKIE},
    {"badcookie", ACT_BADCOOKIE},
    {"noedns", ACT_NOEDNS},
    {"empty", ACT_EMPTY},
    {"garbage", ACT_GARBAGE},
    {"silent", ACT_SILENT},
    {"reset", ACT_RESET},
    {"half", ACT_HALF},
    {"stuck", ACT_STUCK},
    {"loop", ACT_LOOP},
};

static bool take_word(struct scripted_script *script, const char *word, unsigned number)
{
    if (strcmp(word, "ttl") == 0) {
        script->ttl = number;
    } else if (strcmp(word, "late") == 0) {
        script->late_ms = number;
    } else if (strcmp(word, "drop") == 0) {
        script->drop = number;
    } else if (strcmp(word, "ede") == 0) {
        script->ede = (int)number;
    } else if (strcmp(word, "nosoa") == 0) {
        script->nosoa = true;
    } else {
        for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
            if (strcmp(word, actions[i].word) == 0) {
                script->action = actions[i].action;
                script->argument = number;
                return true;
            }
        }
        return false;
    }
    return true;
}

void scripted_words(const struct scripted_question *q, struct scripted_script *script)
{
    *script = (struct scripted_script){.ttl = 300, .ede = -1};
    for (const uint8_t *label = q->name; *label != 0; label += 1u + *label) {
        char word[64];
        for (size_t i = 0; i < *label; i++) {
            word[i] = (char)tolower(label[1 + i]);
        }
        word[*label] = '\0';
        char *dash = strchr(word, '-');
        unsigned number = 0;
        if (dash != NULL) {
            number = (unsigned)strtoul(dash + 1, NULL, 10);
            *dash = '\0';
        }
        if (!take_word(script, word, number)) {
            return;
        }
    }
}

/* ---- Data ---- */

/* FNV-1a with a better end. */
static uint64_t hash_of(const uint8_t *name, size_t size, uint16_t type, unsigned n)
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ (uint8_t)tolower(name[i])) * 1099511628211u;
    }
    h = (h ^ type) * 1099511628211u;
    h = (h ^ n) * 1099511628211u;
    h ^= h >> 29;
    h *= 0xbf58476d1ce4e5b9u;
    return h ^ h >> 32;
}

static size_t hash_text(uint64_t hash, uint8_t version, uint8_t *rdata)
{
    static const char digits[] = "0123456789abcdef";
    rdata[0] = 20;
    rdata[1] = 'v';
    rdata[2] = (uint8_t)digits[version >> 4];
    rdata[3] = (uint8_t)digits[version & 15];
    rdata[4] = '-';
    for (unsigned i = 0; i < 16; i++) {
        rdata[5 + i] = (uint8_t)digits[hash >> (60 - 4 * i) & 15];
    }
    return 21;
}

size_t scripted_rdata(const uint8_t *name, size_t name_size, uint16_t type, uint8_t version,
                      unsigned n, uint8_t rdata[SCRIPTED_RDATA_MAX])
{
    uint64_t hash = hash_of(name, name_size, type, n);
    memset(rdata, 0, 16);
    switch (type) {
    case A:
        memcpy(rdata, &hash, 4);
        rdata[0] = version;
        return 4;
    case AAAA:
        rdata[0] = 0x20;
        rdata[1] = version;
        memcpy(rdata + 8, &hash, 8);
        return 16;
    case SCRIPTED_TYPE:
        rdata[0] = version;
        memcpy(rdata + 1, &hash, 8);
        return 9;
    case TXT:
        return hash_text(hash, version, rdata);
    case MX:
        memcpy(rdata, "\0\12\xc0\x0c", 4);
        return 4;
    default:
        return 0;
    }
}

/* ---- Messages ---- */

struct out {
    uint8_t *data;
    size_t size;
};

static void put(struct out *out, const void *data, size_t size)
{
    memcpy(out->data + out->size, data, size);
    out->size += size;
}

static void put16(struct out *out, unsigned value)
{
    out->data[out->size++] = (uint8_t)(value >> 8);
    out->data[out->size++] = (uint8_t)value;
}

static void put32(struct out *out, uint32_t value)
{
    put16(out, value >> 16);
    put16(out, value & 0xffff);
}

static void set16(struct out *out, size_t at, unsigned value)
{
    out->data[at] = (uint8_t)(value >> 8);
    out->data[at + 1] = (uint8_t)value;
}

static void count(struct out *out, unsigned section)
{
    set16(out, 6 + 2 * section, read16(out->data + 6 + 2 * section) + 1);
}

static void put_record(struct out *out, unsigned section, unsigned owner, uint16_t type,
                       uint32_t ttl, const void *rdata, size_t size)
{
    put16(out, owner);
    put16(out, type);
    put16(out, 1);
    put32(out, ttl);
    put16(out, (unsigned)size);
    put(out, rdata, size);
    count(out, section);
}

static void put_signature(struct out *out, unsigned section, unsigned owner, uint16_t type,
                          uint32_t ttl)
{
    uint8_t rdata[18 + 1 + 64] = {(uint8_t)(type >> 8), (uint8_t)type, 13, 3};
    rdata[8] = 0x7f;
    memset(rdata + 19, 's', 64);
    put_record(out, section, owner, RRSIG, ttl, rdata, sizeof rdata);
}

/* The zone of a name: its last two labels, as a pointer into the question. */
static unsigned zone_of(const struct scripted_question *q)
{
    unsigned last = 0, last_but_one = 0;
    for (unsigned at = 0; q->name[at] != 0; at += 1u + q->name[at]) {
        last_but_one = last;
        last = at;
    }
    return TO_QUESTION + last_but_one;
}

static void put_soa(struct out *out, unsigned section, const struct scripted_question *q,
                    uint32_t ttl)
{
    unsigned zone = zone_of(q);
    uint8_t rdata[24] = {0};
    struct out soa = {.data = rdata};
    put16(&soa, zone);
    put16(&soa, zone);
    for (unsigned i = 0; i < 5; i++) {
        put32(&soa, ttl);
    }
    put_record(out, section, zone, SOA, ttl, rdata, sizeof rdata);
}

static void put_plain(struct out *out, const struct scripted_question *q, unsigned owner,
                      const struct scripted_script *script, uint8_t version, unsigned records)
{
    uint8_t rdata[SCRIPTED_RDATA_MAX];
    for (unsigned n = 0; n < records; n++) {
        size_t size = scripted_rdata(q->name, q->name_size, q->type, version, n, rdata);
        if (size == 0) {
            put_soa(out, q->type == SOA ? 0 : 1, q, script->ttl);
            return;
        }
        put_record(out, 0, owner, q->type, script->ttl, rdata, size);
    }
    if ((q->edns_flags & EDNS_DO) != 0) {
        put_signature(out, 0, owner, q->type, script->ttl);
    }
}

static void put_huge(struct out *out, const struct scripted_question *q, uint32_t ttl)
{
    uint8_t rdata[254];
    memset(rdata, 'h', sizeof rdata);
    rdata[0] = sizeof rdata - 1;
    for (unsigned n = 0; n < HUGE_RECORDS; n++) {
        rdata[1] = (uint8_t)('a' + n / 26);
        rdata[2] = (uint8_t)('a' + n % 26);
        put_record(out, 0, TO_QUESTION, q->type, ttl, rdata, sizeof rdata);
    }
}

static void put_chain(struct out *out, const struct scripted_question *q,
                      const struct scripted_script *script, uint8_t version)
{
    put_record(out, 0, TO_QUESTION, CNAME, script->ttl, "\1t\xc0\x0c", 4);
    put_plain(out, q, (unsigned)(0xc000 + out->size - 4), script, version, 1);
}

static void put_option(struct out *out, unsigned code, const void *data, size_t size)
{
    put16(out, code);
    put16(out, (unsigned)size);
    put(out, data, size);
}

static void put_opt(struct out *out, const struct scripted_question *q,
                    const struct scripted_script *script, unsigned rcode)
{
    put(out, "", 1);
    put16(out, OPT);
    put16(out, 1232);
    put16(out, rcode >> 4 << 8);
    put16(out, q->edns_flags & EDNS_DO);
    size_t length = out->size;
    put16(out, 0);
    put_option(out, OPTION_NSID, "leak", 4);
    put_option(out, SCRIPTED_OPTION, "leak", 4);
    if (q->cookie_size > 0) {
        uint8_t cookie[24];
        memcpy(cookie, q->cookie, 8);
        cookie[0] ^= script->action == ACT_WRONGCOOKIE;
        memcpy(cookie + 8, server_cookie, 16);
        put_option(out, OPTION_COOKIE, cookie, sizeof cookie);
    }
    if (script->ede >= 0) {
        uint8_t code[] = {(uint8_t)(script->ede >> 8), (uint8_t)script->ede, 'w', 'h', 'y'};
        put_option(out, OPTION_EDE, code, sizeof code);
    }
    set16(out, length, (unsigned)(out->size - length - 2));
    count(out, 2);
}

static unsigned rcode_of(const struct scripted_question *q, const struct scripted_script *script,
                         const struct scripted_mood *mood)
{
    if (mood->fails) {
        return SERVFAIL;
    }
    bool known = q->cookie_size == 24 && memcmp(q->cookie + 8, server_cookie, 16) == 0;
    switch (script->action) {
    case ACT_SERVFAIL:
        return SERVFAIL;
    case ACT_REFUSED:
        return REFUSED;
    case ACT_NOTIMP:
        return NOTIMP;
    case ACT_NXDOMAIN:
        return NXDOMAIN;
    case ACT_BADCOOKIE:
        return known ? 0 : BADCOOKIE;
    default:
        return 0;
    }
}

static void put_body(struct out *out, const struct scripted_question *q,
                     const struct scripted_script *script, uint8_t version)
{
    switch (script->action) {
    case ACT_NODATA:
    case ACT_NXDOMAIN:
        if (!script->nosoa) {
            put_soa(out, 1, q, script->ttl);
        }
        break;
    case ACT_CHAIN:
        put_chain(out, q, script, version);
        break;
    case ACT_HUGE:
        put_huge(out, q, script->ttl);
        break;
    default:
        put_plain(out, q, TO_QUESTION, script, version,
                  script->action == ACT_MANY ? script->argument : 1);
    }
}

/* Makes of the answer what it should not be. */
static void spoil(struct out *out, const struct scripted_question *q,
                  const struct scripted_script *script)
{
    size_t question_end = HEADER + (size_t)q->name_size + 4;
    switch (script->action) {
    case ACT_WRONGID:
        set16(out, 0, q->id ^ 0x0101u);
        break;
    case ACT_WRONGQUESTION:
        out->data[HEADER + 1] ^= 1;
        break;
    case ACT_WRONGTYPE:
        set16(out, question_end - 4, q->type + 1u);
        break;
    case ACT_WRONGCASE:
        for (size_t i = HEADER; i < question_end - 4; i++) {
            out->data[i] = (uint8_t)(isalpha(out->data[i]) ? out->data[i] ^ 0x20 : out->data[i]);
        }
        break;
    case ACT_EMPTY:
        memset(out->data + 4, 0, 8);
        out->size = HEADER;
        break;
    case ACT_NOEDNS:
        if (q->edns) {
            memset(out->data + 4, 0, 8);
            set16(out, 2, read16(out->data + 2) | FORMERR);
            out->size = HEADER;
        }
        break;
    default:
        break;
    }
}

static void garble(struct out *out, const struct scripted_question *q, unsigned how)
{
    size_t question_end = HEADER + (size_t)q->name_size + 4;
    switch (how) {
    case 0:
        for (size_t i = 2; i < 60; i++) {
            out->data[i] = (uint8_t)((i * 2654435761u ^ q->id) >> 3);
        }
        out->data[2] |= 0x80;
        out->size = 60;
        break;
    case 1:
        out->size = 5;
        break;
    case 2:
        set16(out, 6, 300);
        break;
    case 3:
        set16(out, question_end, 0xc000 + (unsigned)question_end);
        break;
    case 4:
        out->data[2] &= 0x7f;
        break;
    case 5:
        put32(out, 0);
        break;
    case 6:
        out->size -= 2;
        break;
    default:
        put(out, "\0\0\51\4\xd0\0\0\0\0\0\0", 11);
        count(out, 2);
    }
}

static bool is_cut(const struct scripted_question *q, const struct scripted_script *script,
                   size_t size)
{
    size_t room = q->edns && q->edns_size > 512 ? q->edns_size : 512;
    return q->way == BY_UDP &&
           (size > room || script->action == ACT_TRUNCATED || script->action == ACT_RESET ||
            script->action == ACT_HALF || script->action == ACT_STUCK);
}

size_t scripted_compose(const struct scripted_question *q, const struct scripted_script *script,
                        const struct scripted_mood *mood, uint8_t *data)
{
    struct out out = {.data = data};
    unsigned rcode = rcode_of(q, script, mood);
    unsigned flags = FLAG_QR | (q->flags & (FLAG_RD | FLAG_CD)) | (rcode & 15);
    flags |= mood->authoritative ? FLAG_AA : FLAG_RA;
    flags |= (q->flags & FLAG_AD) != 0 || (q->edns_flags & EDNS_DO) != 0 ? FLAG_AD : 0;
    memset(data, 0, HEADER);
    set16(&out, 0, q->id);
    set16(&out, 2, flags);
    set16(&out, 4, 1);
    out.size = HEADER;
    put(&out, q->name, q->name_size);
    put16(&out, q->type);
    put16(&out, q->class);
    size_t question_end = out.size;
    if (rcode == 0 || rcode == NXDOMAIN) {
        put_body(&out, q, script, mood->version);
    }
    if (is_cut(q, script, out.size)) {
        memset(data + 6, 0, 6);
        set16(&out, 2, flags | FLAG_TC);
        out.size = question_end;
    }
    if (q->edns) {
        put_opt(&out, q, script, rcode);
    }
    if (script->action == ACT_BEHIND) {
        put_record(&out, 2, TO_QUESTION, TXT, script->ttl, "\6behind", 7);
    }
    if (script->action == ACT_GARBAGE) {
        garble(&out, q, script->argument);
    } else {
        spoil(&out, q, script);
    }
    return out.size;
}

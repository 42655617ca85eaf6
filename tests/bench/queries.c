// Reads question files and draws from them; queries.h says what they are.
//
// Everything is encoded before the clock starts: while it runs, drawing a question is a memcpy and,
// for patterns, a random number per twelve letters.
#include "queries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *text;
    uint16_t code;
} types[] = {{"A", 1},     {"NS", 2},    {"CNAME", 5},  {"SOA", 6},     {"PTR", 12},  {"MX", 15},
             {"TXT", 16},  {"AAAA", 28}, {"SRV", 33},   {"NAPTR", 35},  {"DS", 43},   {"NSEC", 47},
             {"TLSA", 52}, {"SVCB", 64}, {"HTTPS", 65}, {"DNSKEY", 48}, {"CAA", 257}, {"ANY", 255}};

static const char *const rcodes[] = {"NOERROR",  "FORMERR", "SERVFAIL",
                                     "NXDOMAIN", "NOTIMP",  "REFUSED"};

uint64_t queries_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * UINT64_C(0x2545f4914f6cdd1d);
}

static size_t below(uint64_t *state, size_t n)
{
    return (size_t)(((queries_random(state) >> 32) * (uint64_t)n) >> 32);
}

static int type_code(const char *text)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcasecmp(text, types[i].text) == 0) {
            return types[i].code;
        }
    }
    return strncasecmp(text, "TYPE", 4) == 0 ? atoi(text + 4) : -1;
}

static int rcode_code(const char *text)
{
    for (size_t i = 0; i < sizeof rcodes / sizeof *rcodes; i++) {
        if (strcasecmp(text, rcodes[i]) == 0) {
            return (int)i;
        }
    }
    return strcmp(text, "*") == 0 ? ANY_RCODE : -1;
}

// NAME to wire form; no escapes: what needs them is not worth a benchmark. Returns its length or 0.
static size_t name_to_wire(const char *text, uint8_t *out)
{
    size_t at = 0;
    while (*text != '\0' && strcmp(text, ".") != 0) {
        size_t length = strcspn(text, ".");
        if (length == 0 || length > 63 || at + length + 2 > 255) {
            return 0;
        }
        out[at] = (uint8_t)length;
        memcpy(out + at + 1, text, length);
        at += 1 + length;
        text += length;
        text += *text == '.';
    }
    out[at] = 0;
    return at + 1;
}

static size_t encode(const char *name, int type, const struct edns *edns, uint8_t *out)
{
    static const uint8_t header[12] = {[5] = 1};
    memcpy(out, header, sizeof header);
    size_t length = name_to_wire(name, out + 12);
    if (length == 0) {
        return 0;
    }
    uint8_t *at = out + 12 + length;
    *at++ = (uint8_t)(type >> 8);
    *at++ = (uint8_t)type;
    *at++ = 0;
    *at++ = 1;
    if (edns->on) {
        uint8_t opt[11] = {[2] = 41,
                           [3] = (uint8_t)(edns->payload >> 8),
                           [4] = (uint8_t)edns->payload,
                           [7] = edns->dnssec_ok ? 0x80 : 0};
        memcpy(at, opt, sizeof opt);
        at += sizeof opt;
        out[11] = 1;
    }
    return (size_t)(at - out);
}

static int by_length(const void *left, const void *right)
{
    const struct question *a = left;
    const struct question *b = right;
    if (a->length != b->length) {
        return a->length < b->length ? -1 : 1;
    }
    return a->offset < b->offset ? -1 : a->offset > b->offset; // the file's order
}

static int add_line(struct queries *queries, const char *line, const struct edns *edns,
                    size_t *used, size_t *room, size_t *lines_room)
{
    char name[300];
    char type[16] = "A";
    char rcode[16] = "NOERROR";
    if (sscanf(line, "%299s %15s %15s", name, type, rcode) < 1 || name[0] == '#') {
        return 0;
    }
    int type_is = type_code(type);
    int rcode_is = rcode_code(rcode);
    if (type_is < 0 || type_is > 0xffff || rcode_is < 0) {
        return -1;
    }
    if (*used + QUERY_MAX > *room) {
        *room = *room * 2 + (size_t)QUERY_MAX * 1024;
        queries->bytes = realloc(queries->bytes, *room);
    }
    if (queries->count == *lines_room) {
        *lines_room = *lines_room * 2 + 1024;
        queries->questions = realloc(queries->questions, *lines_room * sizeof *queries->questions);
    }
    if (queries->bytes == NULL || queries->questions == NULL || *used > UINT32_MAX) {
        return -1;
    }
    size_t length = encode(name, type_is, edns, queries->bytes + *used);
    if (length == 0) {
        return -1;
    }
    queries->questions[queries->count++] = (struct question){
        .offset = (uint32_t)*used,
        .length = (uint16_t)length,
        .random_label = (uint8_t)strspn(name, "?"),
        .rcode = (uint8_t)rcode_is,
    };
    *used += length;
    return 0;
}

int queries_read(struct queries *queries, const char *file, const struct edns *edns, size_t limit)
{
    memset(queries, 0, sizeof *queries);
    queries->random = UINT64_C(0x9e3779b97f4a7c15);
    queries->tail = edns->on ? 11 : 0;
    FILE *in = fopen(file, "re");
    if (in == NULL) {
        perror(file);
        return -1;
    }
    char line[512];
    size_t used = 0;
    size_t room = 0;
    size_t lines_room = 0;
    size_t number = 0;
    while ((limit == 0 || queries->count < limit) && fgets(line, sizeof line, in) != NULL) {
        number++;
        if (add_line(queries, line, edns, &used, &room, &lines_room) != 0) {
            fprintf(stderr, "%s:%zu: no question that this can ask: %s", file, number, line);
            fclose(in);
            return -1;
        }
    }
    fclose(in);
    if (queries->count == 0) {
        fprintf(stderr, "%s: no questions in it\n", file);
        return -1;
    }
    qsort(queries->questions, queries->count, sizeof *queries->questions, by_length);
    for (size_t i = 0; i < queries->count; i++) {
        struct bucket *bucket = &queries->buckets[queries->questions[i].length];
        if (bucket->count++ == 0) {
            bucket->first = i;
        }
    }
    return 0;
}

struct bucket *queries_bucket(struct queries *queries)
{
    size_t at = below(&queries->random, queries->count);
    struct bucket *bucket = queries->buckets;
    while (at >= bucket->count) {
        at -= bucket->count;
        bucket++;
    }
    return bucket;
}

// Every octave of ranks is as likely as another: within a few percent of 1/rank, and no logarithm.
static size_t draw_zipf(uint64_t *state, size_t count)
{
    unsigned octaves = 64U - (unsigned)__builtin_clzll(count);
    size_t low = (size_t)1 << below(state, octaves);
    size_t rank = low + below(state, low);
    return rank <= count ? rank - 1 : below(state, count);
}

static void make_label(uint64_t *state, uint8_t *label, size_t length)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    while (length > 0) {
        uint64_t bits = queries_random(state) >> 4;
        for (int i = 0; i < 12 && length > 0; i++, length--, bits >>= 5) {
            *label++ = (uint8_t)letters[bits & 31];
        }
    }
}

const struct question *queries_draw(struct queries *queries, struct bucket *bucket, uint8_t *out)
{
    size_t at;
    switch (queries->draw) {
    case DRAW_UNIFORM:
        at = below(&queries->random, bucket->count);
        break;
    case DRAW_ZIPF:
        at = draw_zipf(&queries->random, bucket->count);
        break;
    case DRAW_FILE:
    default:
        at = bucket->next;
        bucket->next = at + 1 < bucket->count ? at + 1 : 0;
        break;
    }
    const struct question *question = &queries->questions[bucket->first + at];
    memcpy(out, queries->bytes + question->offset, question->length);
    if (question->random_label > 0) {
        make_label(&queries->random, out + 13, question->random_label);
    }
    return question;
}

void queries_free(struct queries *queries)
{
    free(queries->questions);
    free(queries->bytes);
}

// The questions that a load generator asks, as wire messages ready to send.
//
// A file has one question a line: NAME TYPE [RCODE]. RCODE is what the answer must say (NOERROR
// when left out, "*" for anything). A first label of question marks is a pattern: each time it is
// asked it gets fresh random letters, which is how misses are made that no cache has seen.
//
// Messages are kept by length, because UDP_SEGMENT sends a run of equal ones for the price of one.
#ifndef RRDNS_BENCH_QUERIES_H
#define RRDNS_BENCH_QUERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { QUERY_MAX = 320, ANY_RCODE = 0xff };

enum draw {
    DRAW_FILE,    // in the file's order, each length for itself
    DRAW_UNIFORM, // any line, each as likely
    DRAW_ZIPF     // the n-th line about 1/n as often as the first
};

struct question {
    uint32_t offset;      // of the message in `bytes`
    uint16_t length;      // of the whole message
    uint8_t random_label; // letters to make up, 0 for none
    uint8_t rcode;        // what is expected, or ANY_RCODE
};

// Questions [first, first + count) have one length.
struct bucket {
    size_t first;
    size_t count;
    size_t next;
};

struct queries {
    struct question *questions; // sorted by length, else in the file's order
    uint8_t *bytes;
    size_t count;
    struct bucket buckets[QUERY_MAX + 1];
    enum draw draw;
    uint64_t random;
    size_t tail; // octets after the question: the OPT record
};

struct edns {
    bool on;
    bool dnssec_ok;
    uint16_t payload;
};

// Reads `file`, at most `limit` lines where it isn't 0. Returns 0, or -1 with a line on standard
// error.
int queries_read(struct queries *queries, const char *file, const struct edns *edns, size_t limit);

// Picks the length for a run of messages, each length as often as the file has it.
struct bucket *queries_bucket(struct queries *queries);

// Writes one message of that bucket to `out` (QUERY_MAX octets), ID zero, and returns its question.
const struct question *queries_draw(struct queries *queries, struct bucket *bucket, uint8_t *out);

// A pseudo-random number (xorshift64*): for load, not for secrets.
uint64_t queries_random(uint64_t *state);

void queries_free(struct queries *queries);

#endif

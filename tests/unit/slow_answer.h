/*
 * The slow and obvious server: what is to be answered from some slow zones, by the words of RFC
 * 1034 section 4.3.2 and those that amend it. Shares no code with the real one.
 */
#ifndef RRDNS_TESTS_SLOW_ANSWER_H
#define RRDNS_TESTS_SLOW_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "slow_zone.h"

enum slow_section { SLOW_ANSWER, SLOW_AUTHORITY, SLOW_REQUIRED, SLOW_OPTIONAL };

/* One RRset of an answer: its lines as told_text has them. */
struct slow_set {
    enum slow_section section;
    char *text;
    const struct slow_record *first; /* which RRset of which zone; NULL: synthesized */
};

struct slow_answer {
    uint16_t rcode;
    bool aa;
    size_t count;
    struct slow_set sets[4096]; /* in the order of the answer */
};

/* zones need be in no order. A qtype of ANY is answered as over a stream where stream is set. */
void slow_answer(const struct slow_zone *zones, size_t count, const uint8_t *name, uint16_t type,
                 bool stream, struct slow_answer *answer);
void slow_answer_free(struct slow_answer *answer);

/*
 * Compares the text of an answer (told_text) with what it should be. Without TC all but optional
 * sets must be there; with TC something must be missing, and nothing that comes after what is.
 * Nothing else may be there in any case. whole: nothing may be missing.
 */
void slow_expect(const struct slow_answer *answer, const char *text, bool whole);

#endif

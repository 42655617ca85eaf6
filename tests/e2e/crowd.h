/*
 * Clients that ask through the proxy for names of the scripted upstream, on a thread, at a steady
 * rate or as fast as answers come. Every answer is held against its question: the ID, the question
 * octet by octet, and data that is right for that name and type alone. What is not so fails the
 * test in crowd_end, and so does a question that is not answered in time.
 */
#ifndef E2E_CROWD_H
#define E2E_CROWD_H

#include <stdbool.h>
#include <stdint.h>

struct crowd;

struct crowd_plan {
    uint16_t port;     /* of the server, at 127.0.0.1 */
    const char *words; /* labels that every name begins with ("ttl-1"), or NULL */
    const char *zone;  /* and ends with ("up.test") */
    unsigned names;    /* so many different ones; 0: no name twice */
    unsigned fresh;    /* of a hundred questions, so many for a name that was never asked for */
    unsigned rate;     /* questions a second; 0: as fast as answers come */
    unsigned window;   /* under way at most (up to CROWD_WINDOW_MAX); 0: that */
    uint64_t count;    /* questions in all; 0: until crowd_end */
    bool one_type;     /* A alone; else A, AAAA, TXT and another by turns */
};

enum { CROWD_WINDOW_MAX = 16384 };

/* Answers since the last look. */
struct crowd_figures {
    uint64_t answered;
    uint64_t good, stale; /* stale: good too, with EDE 3; its TTLs are 30 */
    uint64_t failed;      /* SERVFAIL with EDE 22 or 23 */
    uint64_t other;       /* any other RCODE or EDE, or TC */
    unsigned slowest_ms, median_ms, p99_ms;
    char last_other[128]; /* what it was */
};

struct crowd *crowd_begin(const struct crowd_plan *plan);
/* What came since it began or this was called last. */
struct crowd_figures crowd_look(struct crowd *crowd);
/* Whether `count` questions have been asked and answered. */
bool crowd_is_done(const struct crowd *crowd);
/* Ends: no more questions; waits for the answers that are due, which it returns with all others
 * since the last look. */
struct crowd_figures crowd_end(struct crowd *crowd);

#endif

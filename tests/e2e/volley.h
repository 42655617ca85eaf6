/*
 * Many questions at once from one client, and what came of each; and one question with all that can
 * be said of its answer.
 */
#ifndef E2E_VOLLEY_H
#define E2E_VOLLEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "octets.h"

enum {
    EDE_STALE = 3,
    EDE_PROHIBITED = 18,
    EDE_STALE_NXDOMAIN = 19,
    EDE_UNREACHABLE = 22,
    EDE_NETWORK = 23,
    CLIENT_MS = 5000, /* the longest that a client waits (BEHAVIOUR: "Proxy") */
};

struct said {
    bool answered;
    unsigned ms; /* until it came */
    size_t size;
    uint16_t rcode, flags;
    int ede;          /* -1: none */
    int64_t ttl;      /* of the first record of answer, or else of authority; -1: none */
    unsigned records; /* of the answer section */
    char text[200];   /* as answer_text has it */
};

struct volley_item {
    const char *name, *type;
    struct said said;
};

/* Asks all with RD and EDNS from the address (NULL: any) at 127.0.0.1, not too many at a time
 * for the socket's buffers, and waits for all answers up to ms after the last was sent. */
void volley(const char *from, uint16_t port, struct volley_item *items, size_t count, int ms);

/* How many of them have the RCODE ("NOERROR"), and no TC. */
size_t volley_count(const struct volley_item *items, size_t count, const char *rcode);
/* Fails the test where one was not answered within CLIENT_MS (more where all is slow). */
void volley_all_answered(const struct volley_item *items, size_t count);

/*
 * One question, with RD, EDNS and these flags of EDNS besides; over UDP or TCP. Fails the test when
 * no answer comes within CLIENT_MS.
 */
struct said say_to(uint16_t port, bool stream, const char *name, const char *type,
                   uint16_t edns_flags);
/* Its text alone, over UDP (static, of the last eight). */
const char *text_of(uint16_t port, const char *name, const char *type);

#endif

/*
 * What the scripted upstream says: from a question and the words of its name to octets. See
 * scripted.h.
 */
#ifndef E2E_SCRIPTED_ANSWER_H
#define E2E_SCRIPTED_ANSWER_H

#include "scripted.h"

enum scripted_action {
    ACT_OK,
    ACT_SERVFAIL,
    ACT_REFUSED,
    ACT_NOTIMP,
    ACT_NODATA,
    ACT_NXDOMAIN,
    ACT_CHAIN,
    ACT_MANY,
    ACT_TRUNCATED,
    ACT_HUGE,
    ACT_BEHIND,
    ACT_TWICE,
    ACT_WRONGID,
    ACT_WRONGQUESTION,
    ACT_WRONGTYPE,
    ACT_WRONGCASE,
    ACT_WRONGSOURCE,
    ACT_WRONGCOOKIE,
    ACT_BADCOOKIE,
    ACT_NOEDNS,
    ACT_EMPTY,
    ACT_GARBAGE,
    ACT_SILENT,
    ACT_RESET,
    ACT_HALF,
    ACT_STUCK,
    ACT_LOOP,
};

struct scripted_script {
    enum scripted_action action;
    unsigned argument;
    unsigned late_ms, ttl, drop;
    int ede; /* -1: none */
    bool nosoa;
};

/* False where it is no question that could be answered. */
bool scripted_read(const uint8_t *data, size_t size, struct scripted_question *q);

void scripted_words(const struct scripted_question *q, struct scripted_script *script);

/* How the server is. */
struct scripted_mood {
    uint8_t version;
    bool authoritative, fails;
};

/* Writes the message that the script says, at most 65535 octets. */
size_t scripted_compose(const struct scripted_question *q, const struct scripted_script *script,
                        const struct scripted_mood *mood, uint8_t *out);

#endif

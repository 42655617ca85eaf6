/*
 * Class CH: who the server is, where it is configured to tell (RFC 4892).
 */
#ifndef RRDNS_SERVE_CHAOS_H
#define RRDNS_SERVE_CHAOS_H

#include "answer/answer.h"
#include "world/world.h"

/*
 * Plans the answer to a question in class CH: TXT of version.bind and version.server,
 * hostname.bind and id.server, where settings have them; all else is REFUSED.
 */
void chaos_plan(struct answer *answer, const struct settings *settings);

#endif

/*
 * DNS cookies (RFC 7873) in the interoperable form of RFC 9018: version 1, a timestamp, SipHash-2-4
 * over client cookie, timestamp and client address.
 */
#ifndef RRDNS_SERVE_COOKIE_H
#define RRDNS_SERVE_COOKIE_H

#include <stdint.h>
#include <sys/socket.h>

#include "dns/query.h"
#include "world/world.h"

enum { COOKIE_SIZE = 24 }; /* client cookie and server cookie together */

enum cookie_verdict {
    COOKIE_CLIENT, /* a client cookie alone */
    COOKIE_VALID,
    COOKIE_INVALID,
};

/*
 * Checks the query's cookie (q->cookie_size is not 0) against both secrets and the time (valid for
 * an hour, and five minutes ahead), and writes the cookie to answer with: the client's own part and
 * a fresh server cookie, or the server cookie sent where it is good for another half hour.
 */
enum cookie_verdict cookie_check(const struct settings *settings, const struct query *q,
                                 const struct sockaddr *peer, uint32_t wall,
                                 uint8_t answer[COOKIE_SIZE]);

#endif

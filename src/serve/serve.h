/*
 * A batch of queries from bytes to bytes: the whole of a packet's life but its sockets. Start
 * reading the server here (serve.c).
 */
#ifndef RRDNS_SERVE_SERVE_H
#define RRDNS_SERVE_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/counters.h"
#include "serve/forward.h"
#include "world/world.h"

enum {
    /*
     * Queries served together. Lookups of a batch are interleaved, so more of them hide more
     * memory latency; but 32 keep all of a core's cache misses under way, and what they use
     * themselves (a kilobyte each: query, plan, answer, what the sockets need) just about fits the
     * first-level cache. With 64, answers cost about 1 % more in all; with 16, 2 to 3 %.
     */
    SERVE_BATCH = 32,
    /* Where an answer over a stream may go must have so much left: length and largest message. */
    SERVE_STREAM_ROOM = 2 + 65535,
    /* Signatures of one serve_batch for a stream, in P-256's costs: half a millisecond. */
    SERVE_STREAM_COST = 24,
};

enum serve_verdict {
    SERVE_SEND, /* the answer stands in out */
    SERVE_DROP, /* nothing to be sent */
    SERVE_LATER, /* a signature has to be made first: serve_later */
    SERVE_FORWARD, /* upstream is to be asked: serve_forwarded */
};

struct serve_request {
    const uint8_t *in;
    size_t in_size;
    const struct sockaddr *peer; /* the client */
    bool stream;                 /* came over TCP */
    uint8_t *out;                /* datagrams: room for the answer; streams: set by serve_batch */
    size_t out_size;             /* datagrams: octets of room; after: octets of the answer */
    enum serve_verdict verdict;
    bool refresh;                /* answered by the proxy's cache, and to be asked upstream anew */
};

/* When it is. */
struct serve_time {
    uint32_t wall; /* seconds since the epoch: signatures, cookies */
    uint32_t now;  /* seconds of the monotonic clock: what is kept of upstream's answers */
};

/* Counters of one zone, by one worker. */
struct zone_counts {
    _Atomic uint64_t queries, nxdomain, bytes;
};

/* What one worker serves with. Opaque: see serve.c. */
struct serve;

/*
 * counters and zone_counts (an array of WORLD_ZONES_MAX, by slot) are written by the thread that
 * calls serve_batch, and outlive the serve. NULL where there is no memory.
 */
struct serve *serve_new(struct counters *counters, struct zone_counts *zone_counts);
void serve_free(struct serve *serve);

/*
 * Serves up to SERVE_BATCH requests from `world`. For requests of a stream the answers are
 * appended to `stream` (NULL where no request is of a stream), each after its two octets of
 * length; serving stops before a request for which less than SERVE_STREAM_ROOM is left there, and
 * before one that needs signatures where these would be more than SERVE_STREAM_COST, unless it is
 * the first. Returns the number of requests served, all of them unless a stream stopped. Counts
 * everything but what only the socket knows.
 *
 * Datagrams whose answers need fresh signatures are left (SERVE_LATER), so that all others can
 * leave first; answers of streams are signed at once.
 *
 * Questions of any kind that upstream is to be asked are SERVE_FORWARD: what of them is to be kept
 * until its answer is there is told by serve_forwarded, until the next serve_batch. That goes for
 * those with refresh too.
 */
struct serve_stream {
    uint8_t *data;
    size_t used;
    size_t size;
    unsigned cost; /* of the signatures made, by serve_batch, which adds to it; 0 before */
};
size_t serve_batch(struct serve *serve, const struct world *world, struct serve_request *requests,
                   size_t count, struct serve_stream *stream, struct serve_time time);

const struct forward *serve_forwarded(const struct serve *serve, size_t request);

/* Whether serve_batch has left anything. */
bool serve_has_later(const struct serve *serve);

/*
 * Signs what the last serve_batch, of the same arguments, has left: those requests alone have
 * SERVE_SEND (or SERVE_DROP) then, all others SERVE_DROP. waiting is the number of datagrams that
 * are in the socket's queue: the more there are, the fewer signatures are made, and clients without
 * a valid cookie are told to come back over TCP. Returns the signatures made, in P-256's costs.
 */
unsigned serve_later(struct serve *serve, const struct world *world,
                     struct serve_request *requests, size_t count, unsigned waiting, uint32_t wall);

#endif

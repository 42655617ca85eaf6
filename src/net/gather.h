/*
 * Single queries of many connections, served together: most connections have one query when they
 * can be read, and served one by one each would wait for memory on its own (serve.h).
 */
#ifndef RRDNS_NET_GATHER_H
#define RRDNS_NET_GATHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/serve.h"

struct client;
struct tcp;

/* Those of one worker that wait to be served, within a turn of its loop. Their requests are the
 * first of the tcp's, their octets stand in its buffer. */
struct gather {
    struct client *clients[SERVE_BATCH]; /* NULL: gone since */
    size_t count;
    uint64_t since; /* when the first one was read */
};

/*
 * Takes what was read of a connection, if that is one whole query and nothing else is under way on
 * it. size octets at data are the next in the tcp's buffer, and stay there until they are served.
 * Not when SERVE_BATCH are taken already.
 */
bool gather_take(struct client *client, const uint8_t *data, size_t size, uint64_t now);

/* Serves those that wait and writes their answers. Any of their connections may be gone then. The
 * tcp's requests and buffer are free for others. */
void gather_serve(struct tcp *tcp);

/* The connection is about to be gone. */
void gather_forget(struct client *client);

#endif

/*
 * What tests of sockets have in common: their server, and many queries and answers in one stream.
 */
#ifndef E2E_STREAM_H
#define E2E_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "daemon.h"
#include "harness.h"

enum { MANY = 1000 };

/*
 * Starts it. It serves io.test: www is 192.0.2.10, "big" TXT an answer of 65535 octets, "many" MX
 * 1000 records with as many addresses. more: see daemon_prepare.
 */
void stream_begin(const char *name, const char *more);

/* The server is well: over UDP and TCP. */
void stream_check_well(void);
/* Waits until so many TCP connections are open. */
void stream_await_open(int64_t count);

/* A connection to the server, from an address of ours. */
int stream_open(void);
int stream_open_from(const char *own);

/* Octets of `count` queries with IDs from `first` on, each with its length. To be freed. */
uint8_t *stream_pipeline(const char *name, const char *type, unsigned first, unsigned count,
                         size_t *size);
/* Receives so many answers, to IDs from `first` on, in order, each saying text (NULL: anything). */
void stream_expect(int fd, unsigned first, unsigned count, const char *text);
/* Sends until the server takes no more, or all. Returns how much. */
size_t stream_stuff(int fd, const uint8_t *all, size_t size);

/* A group of tests (ended by NULL) with a server that `start` begins for all of them; the last test
 * is that it ends well. */
void stream_group(Suite *suite, const char *name, void (*start)(void), const TTest *const *tests);

#endif

/*
 * The commands of the control protocol: a line in, a line out. Knows no sockets; control.c has
 * those. All on the main thread.
 */
#ifndef RRDNS_DAEMON_CONTROL_COMMANDS_H
#define RRDNS_DAEMON_CONTROL_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/buffer.h>

#include "daemon/server.h"
#include "dns/name.h"

enum control_progress {
    CONTROL_DONE,   /* the answer stands in reply, whole */
    CONTROL_MORE,   /* a part of it does: control_more once it has been written */
    CONTROL_WAIT,   /* ready is called when it does */
    CONTROL_FAILED, /* no memory for an answer: the connection is to be closed */
};

struct control_wait;

/* One command at a time. The first four are the caller's to set, the rest to be zero. */
struct control_call {
    struct server *server;
    struct evbuffer *reply; /* answers are added, each ended by a newline */
    void (*ready)(void *context, enum control_progress progress); /* DONE or FAILED */
    void *context;

    struct control_wait *wait;      /* the reload that is waited for */
    uint8_t after[NAME_MAX_OCTETS]; /* zones: the last one told */
};

/* Runs the command in line (which need not end in NUL). To be called when none is in progress. */
enum control_progress control_run(struct control_call *call, const char *line, size_t size);

/* Goes on after CONTROL_MORE. */
enum control_progress control_more(struct control_call *call);

/* Adds the answer that the command is refused with. */
enum control_progress control_refuse(struct evbuffer *reply, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Nobody waits for the answer any more: ready is not called. */
void control_abandon(struct control_call *call);

#endif

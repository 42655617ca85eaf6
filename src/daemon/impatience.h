/*
 * Ending at once: while the main thread is busy with something long (loading all zones at start,
 * draining at the end), SIGTERM or SIGINT ends the process then and there.
 */
#ifndef RRDNS_DAEMON_IMPATIENCE_H
#define RRDNS_DAEMON_IMPATIENCE_H

#include <pthread.h>
#include <stdbool.h>

struct impatience {
    pthread_t thread;
    bool watching;
    const char *control_socket; /* to be removed; NULL: none */
};

/* SIGTERM and SIGINT are blocked in all threads. control_socket stays the caller's. Where no
 * thread can be made the signals wait, as they would without this. */
void impatience_begin(struct impatience *impatience, const char *control_socket);
void impatience_end(struct impatience *impatience);

#endif

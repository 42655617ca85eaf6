/*
 * One piece of work done on several threads at once, by whoever can wait for it.
 */
#ifndef RRDNS_BASE_TEAM_H
#define RRDNS_BASE_TEAM_H

#include <stddef.h>

enum { TEAM_MAX = 64 };

/*
 * Calls work(context, i) for each i below count, each on a thread of its own but for 0, which the
 * caller's does; returns when all have ended. Threads get the caller's priority and no signals.
 * Where there is no thread to be had the caller does that part too. count is at most TEAM_MAX.
 */
void team_run(size_t count, void (*work)(void *context, size_t index), void *context);

#endif

/*
 * Work shared by threads: for loading, never on the query path.
 *
 * A crew is made for one piece of work and gone when it ends: a thread costs 30 us, what it is made
 * for takes milliseconds at least. Its members inherit the priority of the thread that calls
 * and have all signals blocked.
 */
#ifndef RRDNS_BASE_CREW_H
#define RRDNS_BASE_CREW_H

#include <stddef.h>

/* How many CPUs this thread may run on; at least 1. */
size_t crew_cpus(void);

/*
 * Has work(context) called by up to `members` threads at once, the caller among them, and returns
 * when the last has come back. Members take their share from context until there is nothing
 * left, so that it doesn't matter how many there are: where a thread can't be had, the others do
 * its part.
 */
void crew_run(size_t members, void (*work)(void *context), void *context);

/*
 * The same for work beside threads that answer: on threads of its own, which leave them nine tenths
 * of a CPU that both want and let them in soon when they wake up. The caller's thread just waits,
 * at its own priority; where no thread can be had it does the work.
 */
void crew_run_gently(size_t members, void (*work)(void *context), void *context);

#endif

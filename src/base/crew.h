/*
 * Work shared by threads: for loading, never on the query path.
 *
 * A crew is made for one piece of work and gone when it ends: a thread costs 30 us, what it is made
 * for takes milliseconds at least. Its members inherit the priority of the thread that calls
 * and have all signals blocked, but for one of gentle threads.
 */
#ifndef RRDNS_BASE_CREW_H
#define RRDNS_BASE_CREW_H

#include <stdbool.h>
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
 * of a CPU that both want, and give way to them where the work calls crew_give_way or crew_step,
 * each ms where it does not. The caller just waits; where no thread can be had it does the work.
 * Crews that such work makes are gentle too. Their work must do with EINTR from calls that a signal
 * ends even where it asks for them to be restarted (signal(7)).
 */
void crew_run_gently(size_t members, void (*work)(void *context), void *context);

/*
 * Whether there are gentle threads now, all of which give way. While that is so, a thread that
 * answers need not claim the CPU from them the moment it is woken. Any thread may ask.
 */
bool crew_gives_way(void);

/*
 * Where this thread is gentle and has had the CPU for 15 us, or 1 ms at most where the others use
 * it without a pause, lets them have it. Elsewhere it does nothing. Work that may be run gently
 * calls it every few microseconds; a look at the clock is 25 ns.
 */
void crew_give_way(void);

enum { CREW_STEPS = 16 };
extern _Thread_local unsigned crew_steps; /* left until crew_step looks at the clock */

/* The same for the smallest steps, those of a record or a name, of which each CREW_STEPS-th looks
 * at the clock. */
static inline void crew_step(void)
{
    if (--crew_steps == 0) {
        crew_steps = CREW_STEPS;
        crew_give_way();
    }
}

#endif

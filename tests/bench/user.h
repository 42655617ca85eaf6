// A server's time in user mode, finer than clock ticks tell it.
//
// The kernel splits a process's time into user and system by looking at each clock tick (100 to
// 1000 a second) what it is doing: of a server that is in user mode 5 % of the time, two seconds
// give a few dozen such looks, and the figure is off by a fifth. So this looks 10,000 times a
// second of the server's time, with a perf event on each of its threads that counts only what it
// finds in user mode. That slows the server by about a percent in the kernel, so it is done in a
// stretch of its own. Needs kernel.perf_event_paranoid of at most 2, or root.
#ifndef RRDNS_BENCH_USER_H
#define RRDNS_BENCH_USER_H

#include "cpu.h"

enum { USER_THREADS_MAX = 256 };

struct user_clock {
    int count;
    int fds[USER_THREADS_MAX];
    void *pages[USER_THREADS_MAX];
};

// Starts for all threads there are of the processes watched. Returns 0, or -1 where the kernel
// does not let it.
int user_clock_start(struct user_clock *clock, const struct cpu_watch *watch);
double user_clock_seconds(const struct user_clock *clock); // since the start, all threads
void user_clock_stop(struct user_clock *clock);

#endif

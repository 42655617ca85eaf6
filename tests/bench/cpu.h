// What a server costs: processor time of its processes and of the core that it runs on.
#ifndef RRDNS_BENCH_CPU_H
#define RRDNS_BENCH_CPU_H

#include <stdbool.h>

enum { CPU_PIDS_MAX = 64 };

// Whose time is added up.
struct cpu_watch {
    int pids[CPU_PIDS_MAX]; // the server's process and its descendants
    int count;
    int kernel_pid; // ksoftirqd of the core: what it does there is done for the server; 0: unknown
    int core;       // -1: no core of its own
};

// A moment's sums, in seconds.
struct cpu_sums {
    double run;    // on a core, all threads (to the nanosecond where the kernel says so)
    double user;   // by clock ticks
    double system; // by clock ticks
    double kernel; // ksoftirqd
    double core_busy;
    double core_softirq;
    double idle; // all processors together
    double all;
};

// Adds `pid` and all that descend from it.
void cpu_watch_tree(struct cpu_watch *watch, int pid);
// Whether a process has ended, reaped or not.
bool cpu_gone(int pid);
void cpu_read(const struct cpu_watch *watch, struct cpu_sums *sums);

#endif

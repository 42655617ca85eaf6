// Processor time from /proc.
//
// /proc/PID/stat counts in ticks of 10 ms, too coarse for short runs; /proc/PID/task/*/schedstat
// has nanoseconds but no parts. So the sum is taken from the second and its parts, user and system,
// from the first.
//
// Delivering an answer over loopback runs in a softirq on the sender's core, in the sender's own
// time: it is in `run` already, unless the kernel accounts for interrupts apart
// (IRQ_TIME_ACCOUNTING), when it is only in the core's softirq time. Who reads the sums decides;
// here both are told.
#include "cpu.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The fields of /proc/PID/stat after the name, which may hold anything: ppid 4, utime 14, stime 15.
static int read_stat(int pid, char *state, int *parent, double *user, double *system_time)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        return -1;
    }
    size_t length = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    text[length] = '\0';
    const char *rest = strrchr(text, ')');
    unsigned long ticks[2];
    if (rest == NULL || sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                               state, parent, &ticks[0], &ticks[1]) != 4) {
        return -1;
    }
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    *user = (double)ticks[0] * tick;
    *system_time = (double)ticks[1] * tick;
    return 0;
}

static void add_children(struct cpu_watch *watch, int pid)
{
    DIR *proc = opendir("/proc");
    if (proc == NULL) {
        return;
    }
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        int child = atoi(entry->d_name);
        char state;
        int parent;
        double user;
        double system_time;
        if (child > 0 && read_stat(child, &state, &parent, &user, &system_time) == 0 &&
            parent == pid) {
            cpu_watch_tree(watch, child);
        }
    }
    closedir(proc);
}

void cpu_watch_tree(struct cpu_watch *watch, int pid)
{
    if (watch->count < CPU_PIDS_MAX) {
        watch->pids[watch->count++] = pid;
        add_children(watch, pid);
    }
}

bool cpu_gone(int pid)
{
    char state;
    int parent;
    double user;
    double system_time;
    return read_stat(pid, &state, &parent, &user, &system_time) != 0 || state == 'Z';
}

// Nanoseconds on a core of all threads of a process, in seconds; 0 where the kernel doesn't say.
static double run_time(int pid)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *tasks = opendir(path);
    double sum = 0;
    if (tasks == NULL) {
        return 0;
    }
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        int task = atoi(entry->d_name);
        char file[96];
        snprintf(file, sizeof file, "%s/%d/schedstat", path, task);
        FILE *in = task > 0 ? fopen(file, "re") : NULL;
        if (in != NULL) {
            double ran;
            if (fscanf(in, "%lf", &ran) == 1) {
                sum += ran * 1e-9;
            }
            fclose(in);
        }
    }
    closedir(tasks);
    return sum;
}

// The core's line of /proc/stat and, named "cpu" alone, that of all.
static void read_cores(int core, struct cpu_sums *sums)
{
    FILE *in = fopen("/proc/stat", "re");
    char line[512];
    char name[16];
    double tick = 1.0 / (double)sysconf(_SC_CLK_TCK);
    snprintf(name, sizeof name, "cpu%d ", core);
    while (in != NULL && fgets(line, sizeof line, in) != NULL) {
        double t[7];
        const char *fields = strchr(line, ' ');
        if (strncmp(line, "cpu", 3) != 0 || fields == NULL ||
            sscanf(fields, "%lf %lf %lf %lf %lf %lf %lf", &t[0], &t[1], &t[2], &t[3], &t[4], &t[5],
                   &t[6]) != 7) {
            continue;
        }
        if (line[3] == ' ') {
            sums->idle = (t[3] + t[4]) * tick;
            sums->all = (t[0] + t[1] + t[2] + t[3] + t[4] + t[5] + t[6]) * tick;
        } else if (strncmp(line, name, strlen(name)) == 0) {
            sums->core_busy = (t[0] + t[1] + t[2] + t[5] + t[6]) * tick;
            sums->core_softirq = t[6] * tick;
        }
    }
    if (in != NULL) {
        fclose(in);
    }
}

void cpu_read(const struct cpu_watch *watch, struct cpu_sums *sums)
{
    memset(sums, 0, sizeof *sums);
    for (int i = 0; i < watch->count; i++) {
        char state;
        int parent;
        double user;
        double system_time;
        if (read_stat(watch->pids[i], &state, &parent, &user, &system_time) == 0) {
            double run = run_time(watch->pids[i]);
            sums->user += user;
            sums->system += system_time;
            sums->run += run > 0 ? run : user + system_time;
        }
    }
    if (watch->kernel_pid > 0) {
        sums->kernel = run_time(watch->kernel_pid);
    }
    read_cores(watch->core, sums);
}

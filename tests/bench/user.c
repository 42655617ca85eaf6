// Samples user mode; user.h says why.
//
// A sample that asks for no fields is written as a header alone, so the number of octets ever
// written to a thread's ring is the number of samples. Nobody reads the ring: mapped read-only it
// is overwritten round and round, and one page does.
#include "user.h"

#include <dirent.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// A prime, so that it falls in step with no timer of the kernel's.
static const unsigned period_ns = 99991;

static size_t map_size(void)
{
    return 2 * (size_t)sysconf(_SC_PAGESIZE);
}

static int add_thread(struct user_clock *clock, int thread)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE,
        .size = sizeof attr,
        .config = PERF_COUNT_SW_CPU_CLOCK,
        .sample_period = period_ns,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    if (clock->count == USER_THREADS_MAX) {
        return -1;
    }
    int fd = (int)syscall(SYS_perf_event_open, &attr, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    void *page = mmap(NULL, map_size(), PROT_READ, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED) {
        close(fd);
        return -1;
    }
    clock->fds[clock->count] = fd;
    clock->pages[clock->count++] = page;
    return 0;
}

int user_clock_start(struct user_clock *clock, const struct cpu_watch *watch)
{
    clock->count = 0;
    for (int i = 0; i < watch->count; i++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/%d/task", watch->pids[i]);
        DIR *tasks = opendir(path);
        if (tasks == NULL) {
            continue; // ended meanwhile
        }
        for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
            int thread = atoi(entry->d_name);
            if (thread > 0 && add_thread(clock, thread) != 0) {
                closedir(tasks);
                user_clock_stop(clock);
                return -1;
            }
        }
        closedir(tasks);
    }
    return clock->count > 0 ? 0 : -1;
}

double user_clock_seconds(const struct user_clock *clock)
{
    double samples = 0;
    for (int i = 0; i < clock->count; i++) {
        const struct perf_event_mmap_page *page = clock->pages[i];
        samples += (double)(__atomic_load_n(&page->data_head, __ATOMIC_ACQUIRE) /
                            sizeof(struct perf_event_header));
    }
    return samples * period_ns * 1e-9;
}

void user_clock_stop(struct user_clock *clock)
{
    for (int i = 0; i < clock->count; i++) {
        munmap(clock->pages[i], map_size());
        close(clock->fds[i]);
    }
    clock->count = 0;
}

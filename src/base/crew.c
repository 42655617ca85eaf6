#include "base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>

enum { CREW_MAX = 256 };

struct crew {
    void (*work)(void *context);
    void *context;
};

size_t crew_cpus(void)
{
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return cpus > 1 ? (size_t)cpus : 1;
}

static void *join_in(void *argument)
{
    const struct crew *crew = argument;
    pthread_setname_np(pthread_self(), "rrdns-load");
    crew->work(crew->context);
    return NULL;
}

void crew_run(size_t members, void (*work)(void *context), void *context)
{
    struct crew crew = {work, context};
    pthread_t threads[CREW_MAX];
    sigset_t all, before;
    size_t made = 0;
    if (members > 1) {
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        while (made + 1 < members && made < CREW_MAX &&
               pthread_create(&threads[made], NULL, join_in, &crew) == 0) {
            made++;
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    work(context);
    for (size_t i = 0; i < made; i++) {
        pthread_join(threads[i], NULL);
    }
}

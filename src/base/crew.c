/*
 * Gentle is SCHED_BATCH and GENTLE_NICE. SCHED_IDLE was tried and gets a 300th of a CPU that
 * workers fill: 20,000 zones that take 0.8 s took over a minute beside busy CPUs, and an operator
 * under attack waits for just that reload.
 *
 * And the caller, whose priority is that of the workers, wakes up every TICK_NS for nothing. A
 * worker that wakes up gets the CPU at once if it is owed time, which it mostly is; but 20,000
 * times a second uses that up, and then it waited until the kernel looked again, with its tick: 4
 * ms with HZ=250, several times a second, and 80 queries with it each time. Any other thread that
 * wakes up makes the kernel look, and the worker is owed time again after some microseconds. (On
 * several CPUs it helps the one that the caller wakes up on; longer slices for the gentle threads,
 * by sched_setattr, were tried and changed nothing.)
 */
#include "base/crew.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>

enum { CREW_MAX = 256, GENTLE_NICE = 10, TICK_NS = 500000 };

struct crew {
    void (*work)(void *context);
    void *context;
    pthread_mutex_t lock; /* with what follows for gentle ones */
    pthread_cond_t ended;
    size_t working;
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

/* Makes up to `members` threads that run `member`, all signals blocked; returns how many. */
static size_t make_threads(pthread_t *threads, size_t members, void *(*member)(void *),
                           struct crew *crew)
{
    sigset_t all, before;
    size_t made = 0;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (made < members && made < CREW_MAX &&
           pthread_create(&threads[made], NULL, member, crew) == 0) {
        made++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return made;
}

static void join_threads(const pthread_t *threads, size_t made)
{
    for (size_t i = 0; i < made; i++) {
        pthread_join(threads[i], NULL);
    }
}

void crew_run(size_t members, void (*work)(void *context), void *context)
{
    struct crew crew = {.work = work, .context = context};
    pthread_t threads[CREW_MAX];
    size_t made = members > 1 ? make_threads(threads, members - 1, join_in, &crew) : 0;
    work(context);
    join_threads(threads, made);
}

/* ---- Gently ---- */

static void *join_in_gently(void *argument)
{
    struct crew *crew = argument;
    /* Of this thread alone. Where it is refused the work competes with workers for the CPU. */
    (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + GENTLE_NICE);
    join_in(crew);
    pthread_mutex_lock(&crew->lock);
    crew->working--;
    pthread_cond_signal(&crew->ended);
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

/* Wakes up again and again until no member works any more. */
static void tick(struct crew *crew, size_t made, size_t members)
{
    pthread_mutex_lock(&crew->lock);
    crew->working -= members - made;
    while (crew->working > 0) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += TICK_NS;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
        pthread_cond_clockwait(&crew->ended, &crew->lock, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_unlock(&crew->lock);
}

void crew_run_gently(size_t members, void (*work)(void *context), void *context)
{
    struct crew crew = {.work = work, .context = context, .working = members};
    pthread_t threads[CREW_MAX];
    pthread_mutex_init(&crew.lock, NULL);
    pthread_cond_init(&crew.ended, NULL);
    size_t made = make_threads(threads, members, join_in_gently, &crew);
    if (made == 0) {
        work(context);
    } else {
        tick(&crew, made, members);
    }
    join_threads(threads, made);
    pthread_cond_destroy(&crew.ended);
    pthread_mutex_destroy(&crew.lock);
}

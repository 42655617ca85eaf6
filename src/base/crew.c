/*
 * Gentle is SCHED_BATCH and GENTLE_NICE. SCHED_IDLE was tried and gets a 300th of a CPU that
 * workers fill: 20,000 zones that take 0.8 s took over a minute beside busy CPUs, and an operator
 * under attack waits for just that reload.
 *
 * To interrupt such a thread for each question that a worker is woken for takes longer than to
 * answer the question: beside 20,000 questions a second on its CPU, a loader had the smaller part
 * of it. So the gentle thread gives way itself, each SPAN_NS that it has run, and a worker does
 * not claim the CPU the moment it is woken while there are gentle threads (net/worker.c). A
 * reload of a million delegations beside those questions took 1.75 s instead of 2.7 s, with a p99 of
 * 0.3 ms instead of 1.5 ms: before, workers waited for the kernel's tick whenever they had used up
 * what they were owed.
 *
 * A span is ended by a timer of the thread's own, whose signal has it call sched_yield(). Where
 * nobody waits that costs 4 us.
 */
#include "base/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    CREW_MAX = 256,
    GENTLE_NICE = 10,
    SPAN_NS = 200000,
    SPAN_SIGNAL = SIGURG, /* ignored where nobody asked for it, and nothing of ours does else */
};

struct crew {
    void (*work)(void *context);
    void *context;
};

static atomic_uint giving_way; /* gentle threads that do */
static atomic_uint stubborn;   /* those that can't, having no timer */
static _Thread_local bool gentle;
static _Thread_local timer_t span_timer;

size_t crew_cpus(void)
{
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return cpus > 1 ? (size_t)cpus : 1;
}

bool crew_gives_way(void)
{
    return atomic_load_explicit(&giving_way, memory_order_relaxed) > 0 &&
           atomic_load_explicit(&stubborn, memory_order_relaxed) == 0;
}

/* ---- Spans ---- */

/* From now on: time in which others had the CPU is none of the next span. */
static void begin_span(void)
{
    const struct itimerspec span = {.it_value = {.tv_nsec = SPAN_NS}};
    timer_settime(span_timer, 0, &span, NULL);
}

static void end_span(int signal)
{
    int error = errno;
    (void)signal;
    sched_yield();
    begin_span();
    errno = error;
}

static void handle_spans(void)
{
    struct sigaction action = {.sa_handler = end_span, .sa_flags = SA_RESTART};
    sigaction(SPAN_SIGNAL, &action, NULL);
}

static bool start_spans(void)
{
    static pthread_once_t handled = PTHREAD_ONCE_INIT;
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SPAN_SIGNAL};
    sigset_t set;
    event.sigev_notify_thread_id = gettid();
    pthread_once(&handled, handle_spans);
    if (timer_create(CLOCK_MONOTONIC, &event, &span_timer) != 0) {
        return false;
    }
    sigemptyset(&set);
    sigaddset(&set, SPAN_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    begin_span();
    return true;
}

/* ---- Threads ---- */

static void *join_in(void *argument)
{
    const struct crew *crew = argument;
    pthread_setname_np(pthread_self(), "rrdns-load");
    crew->work(crew->context);
    return NULL;
}

/* With the priority that it has. */
static void *join_in_spans(void *argument)
{
    bool spans = start_spans();
    gentle = true;
    atomic_fetch_add(spans ? &giving_way : &stubborn, 1);
    join_in(argument);
    atomic_fetch_sub(spans ? &giving_way : &stubborn, 1);
    if (spans) {
        timer_delete(span_timer);
    }
    return NULL;
}

static void *join_in_gently(void *argument)
{
    /* Of this thread alone. Where it is refused the work competes with workers for the CPU. */
    (void)sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0});
    (void)setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + GENTLE_NICE);
    return join_in_spans(argument);
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
    void *(*member)(void *) = gentle ? join_in_spans : join_in; /* priority is inherited */
    size_t made = members > 1 ? make_threads(threads, members - 1, member, &crew) : 0;
    work(context);
    join_threads(threads, made);
}

void crew_run_gently(size_t members, void (*work)(void *context), void *context)
{
    struct crew crew = {.work = work, .context = context};
    pthread_t threads[CREW_MAX];
    size_t made = make_threads(threads, members, join_in_gently, &crew);
    if (made == 0) {
        work(context);
    }
    join_threads(threads, made);
}

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
 * what they were owed. That was with spans of 0.2 ms. Shorter ones are a trade, since a worker that
 * is let in more often finds fewer questions. p99 and the reload's time in the quietest of four or
 * five rounds: 0.26 ms and 1.5 s with 0.15 ms, 0.17 ms and 1.75 s with 0.1, 0.16 ms and 1.95 s with
 * 0.07 (idle 0.1 ms).
 *
 * A span is ended by a timer of the thread's own, whose signal has it call sched_yield(). Where
 * nobody waits that costs 4 us. The kernel is told that a span is the thread's slice: Linux 6.18
 * charges one that yields for all of its slice, and beside a flood, where a loader lives on its
 * tenth of the CPU, the reload took 33 s instead of 17 s with the usual slice of 1.4 ms.
 */
#include "base/crew.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
    CREW_MAX = 256,
    GENTLE_NICE = 10,
    NICE_MOST = 19,
    SPAN_NS = 100000,
    SPAN_MOST_NS = 1000000,
    SPAN_SIGNAL = SIGURG, /* ignored where nobody asked for it, and nothing of ours does else */
};

/* The kernel's struct sched_attr, whose header does not go together with <sched.h>. */
struct scheduling {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

struct crew {
    void (*work)(void *context);
    void *context;
};

static atomic_uint giving_way; /* gentle threads that do */
static atomic_uint stubborn;   /* those that can't, having no timer */
static _Thread_local bool gentle;
static _Thread_local timer_t span_timer;
static _Thread_local uint64_t away_before; /* when the span began */

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

/* So long the thread has not had the CPU, since a time that is the same for all calls. */
static uint64_t time_away(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return clock_now_ns() - (uint64_t)used.tv_sec * 1000000000 - (uint64_t)used.tv_nsec;
}

/* From now on: time in which others had the CPU is none of the next span. */
static void begin_span(long ns)
{
    const struct itimerspec span = {.it_value = {.tv_nsec = ns}};
    away_before = time_away();
    timer_settime(span_timer, 0, &span, NULL);
}

/* Where others kept the CPU for long, as under a flood, the next span is the longer, so that a
 * tenth of the CPU is ours: the kernel hands it back with its tick at the earliest. */
static void end_span(int signal)
{
    int error = errno;
    (void)signal;
    sched_yield();
    uint64_t share = (time_away() - away_before) / 9;
    begin_span(share < SPAN_NS ? SPAN_NS : share < SPAN_MOST_NS ? (long)share : SPAN_MOST_NS);
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
    begin_span(SPAN_NS);
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
    int nice = getpriority(PRIO_PROCESS, 0) + GENTLE_NICE;
    const struct scheduling scheduling = {
        .size = sizeof scheduling,
        .policy = SCHED_BATCH,
        .nice = nice < NICE_MOST ? nice : NICE_MOST,
        .runtime = SPAN_NS,
    };
    /* Of this thread alone. Where it is refused the work competes with workers for the CPU. */
    (void)syscall(SYS_sched_setattr, 0, &scheduling, 0);
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

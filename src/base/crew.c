/*
 * Gentle is SCHED_BATCH and GENTLE_NICE. SCHED_IDLE was tried and gets a 300th of a CPU that
 * workers fill: 20,000 zones that take 0.8 s took over a minute beside busy CPUs, and an operator
 * under attack waits for just that reload.
 *
 * To interrupt such a thread for each question that a worker is woken for takes longer than to
 * answer the question: beside 20,000 questions a second on its CPU, a loader had the smaller part
 * of it, and workers waited for the kernel's tick whenever they had used up what they were owed. So
 * the gentle thread gives way itself, each SPAN_NS that it has run, and a worker does not claim the
 * CPU the moment it is woken while there are gentle threads (net/worker.c).
 *
 * A span is ended by the work, which looks at the clock here and there: that and a sched_yield()
 * where nobody waits is 2 us. A timer does it too, but an interrupt costs a virtual machine 20 us,
 * and with spans of 0.1 ms a reload of a million delegations took half as long again. So there is
 * one for each ms only, for work that does not look.
 *
 * That reload beside 20,000 questions a second took 1.4 s with spans of 0.1 ms, 1.5 s with 0.05 and
 * 1.6 s with 0.015, and the p99 meanwhile was 0.2, 0.15 and 0.14 ms (idle 0.07 ms), each the middle
 * of some five rounds. Interrupted for each question it took 2.7 s.
 *
 * The kernel is told of short slices: Linux 6.18 charges one that yields for all of its slice.
 * Beside a flood, where a loader lives on its tenth of the CPU, the reload took 33 s instead of 17 s
 * with the usual slice of 1.4 ms (and spans of 0.1 ms).
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
    SPAN_NS = 15000,
    SPAN_MOST_NS = 1000000,
    SLICE_NS = 100000,    /* no kernel takes less */
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

/* This thread's span: how much CPU time it is, when it began, what the thread had used by then, and
 * the time before which it can't be over. */
static _Thread_local uint64_t span, span_began, span_used;
static _Thread_local volatile uint64_t span_end;

_Thread_local unsigned crew_steps = CREW_STEPS;

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

/* The CPU time of this thread. */
static uint64_t time_used(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
}

void crew_give_way(void)
{
    uint64_t now;
    if (!gentle || (now = clock_now_ns()) < span_end) {
        return;
    }
    uint64_t used = time_used() - span_used; /* of this span */
    if (used < span) {                       /* others had the CPU meanwhile */
        span_end = now + (span - used);
        return;
    }
    sched_yield();
    /* Where others kept the CPU for long, as under a flood, the next span is the longer, so that a
     * tenth of the CPU is ours: the kernel hands it back with its tick at the earliest. */
    uint64_t back = clock_now_ns(), share = (back - span_began - used) / 9;
    span = share < SPAN_NS ? SPAN_NS : share < SPAN_MOST_NS ? share : SPAN_MOST_NS;
    span_began = now;
    span_used += used;
    span_end = back + span;
}

/* Each SPAN_MOST_NS: does nothing where the work calls crew_give_way, in which it may come. */
static void end_span(int signal)
{
    int error = errno;
    (void)signal;
    if (clock_now_ns() >= span_end) {
        sched_yield();
    }
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
    const struct timespec most = {.tv_nsec = SPAN_MOST_NS};
    const struct itimerspec spans = {.it_value = most, .it_interval = most};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SPAN_SIGNAL};
    sigset_t set;
    event.sigev_notify_thread_id = gettid();
    pthread_once(&handled, handle_spans);
    span_began = clock_now_ns();
    span_used = time_used();
    if (timer_create(CLOCK_MONOTONIC, &event, &span_timer) != 0) {
        return false;
    }
    sigemptyset(&set);
    sigaddset(&set, SPAN_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    timer_settime(span_timer, 0, &spans, NULL);
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
        .runtime = SLICE_NS,
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

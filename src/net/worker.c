/*
 * The loop is a few lines (run): adopt the world, wait for events and handle them, serve what they
 * gathered (gather.h) and what is behind, again. All that happens on a worker is an event of its
 * loop: a socket that can be read, a timer, or its eventfd that was written to, because there is a
 * new world or because the main thread wants something done.
 *
 * The exception is a flood. Where a socket is waited for, the kernel looks for who waits each time
 * that an answer has left by it, to say that there is room (0.1 us of a packet's 3.5), and each
 * time that a question came. So a socket that has more questions than a turn takes is not waited
 * for, but read in each turn until it is empty: the load that costs the most saves that.
 *
 * What the main thread wants is a job, a function to be called on the worker's thread, left in an
 * atomic pointer. There is never more than one: only the main thread leaves jobs, and it waits
 * until one is done before it leaves the next (but for the last, to drain, which is waited for by
 * joining the thread). So there is no queue, no lock, and nobody else who touches a worker's lists.
 */
#include "net/worker.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/crew.h"
#include "base/err.h"
#include "net/proxy.h"
#include "net/tcp.h"
#include "net/udp.h"

enum {
    /* Accepting rests so long after descriptors ran out: failing at full speed helps nobody. */
    ACCEPT_PAUSE_US = 50000,
    /*
     * A socket that is being closed is read until it is empty, under a flood until so many
     * batches or connections were taken: more than its buffer or backlog can hold, so everything
     * that was there when we began.
     */
    CLOSE_BATCHES = 512,
    CLOSE_ACCEPTS = 8192,
    /* Between looks at whether a socket given away has answered all: most need one. */
    REST_US = 20000,
};

struct job {
    void (*run)(struct worker *worker, void *context);
    void *context;
};

struct worker {
    const struct worker_slot *slot;
    struct publisher *publisher;
    struct service service;
    struct udp *udp;
    struct tcp *tcp;
    struct endpoint_list endpoints;
    unsigned behind;              /* of them */
    struct endpoint_list closing; /* in a drain: read no more, but answers still leave by them */
    struct endpoint_list resting; /* likewise, of sockets that it has given away; its own */
    struct event *wake;
    struct event *pause; /* pending: accepting rests */
    bool claims;         /* the CPU, whoever has it, when it is woken */
    struct event *deadline;
    struct event *rest; /* pending while any are resting */
    bool draining;
    bool ended;
    unsigned drain_ms;
    struct job drain_job;
    _Atomic(const struct job *) job;
    sem_t job_done;
    pthread_t thread;
    /* The main thread's only. */
    bool started;
    bool left; /* to itself, to drain and end */
};

/* ---- Sockets ---- */

static void on_datagrams(evutil_socket_t fd, short what, void *context)
{
    struct endpoint *endpoint = context;
    struct worker *worker = endpoint->worker;
    (void)fd;
    (void)what;
    if (udp_serve(worker->udp, endpoint, UDP_TURN) && event_del(endpoint->event) == 0) {
        endpoint->behind = true;
        worker->behind++;
    }
}

/* Those that have caught up are waited for again, at the latest when there is memory for it. */
static void serve_behind(struct worker *worker)
{
    struct endpoint *endpoint = TAILQ_FIRST(&worker->endpoints);
    for (; worker->behind > 0 && endpoint != NULL; endpoint = TAILQ_NEXT(endpoint, link)) {
        if (endpoint->behind && !udp_serve(worker->udp, endpoint, UDP_TURN) &&
            event_add(endpoint->event, NULL) == 0) {
            endpoint->behind = false;
            worker->behind--;
        }
    }
}

static void serve_datagrams(struct service *service)
{
    struct worker *worker = (struct worker *)((char *)service - offsetof(struct worker, service));
    struct endpoint *endpoint = TAILQ_FIRST(&worker->endpoints);
    for (; endpoint != NULL; endpoint = TAILQ_NEXT(endpoint, link)) {
        if (!endpoint->stream) {
            udp_serve(worker->udp, endpoint, UDP_TURN);
        }
    }
}

/* Level-triggered events would call us for the waiting connections again and again. */
static void pause_accepting(struct worker *worker)
{
    struct timeval rest = {0, ACCEPT_PAUSE_US};
    struct endpoint *endpoint = TAILQ_FIRST(&worker->endpoints);
    for (; endpoint != NULL; endpoint = TAILQ_NEXT(endpoint, link)) {
        if (endpoint->stream) {
            event_del(endpoint->event);
        }
    }
    evtimer_add(worker->pause, &rest);
}

static void on_pause_over(evutil_socket_t fd, short what, void *context)
{
    struct worker *worker = context;
    struct endpoint *endpoint = TAILQ_FIRST(&worker->endpoints);
    (void)fd;
    (void)what;
    for (; endpoint != NULL; endpoint = TAILQ_NEXT(endpoint, link)) {
        if (endpoint->stream && event_add(endpoint->event, NULL) != 0) {
            pause_accepting(worker); /* no memory yet */
            return;
        }
    }
}

static void on_connections(evutil_socket_t fd, short what, void *context)
{
    struct endpoint *endpoint = context;
    (void)fd;
    (void)what;
    if (!tcp_accept(endpoint->worker->tcp, endpoint, TCP_ACCEPTS_TURN)) {
        pause_accepting(endpoint->worker);
    }
}

static void watch(struct worker *worker, struct endpoint *endpoint, int *error)
{
    event_callback_fn callback = endpoint->stream ? on_connections : on_datagrams;
    struct event *event =
        event_new(worker->service.base, endpoint->fd, EV_READ | EV_PERSIST, callback, endpoint);
    bool rests = endpoint->stream && evtimer_pending(worker->pause, NULL);
    if (event == NULL || (!rests && event_add(event, NULL) != 0)) {
        if (event != NULL) {
            event_free(event);
        }
        *error = RR_EIO;
        return;
    }
    endpoint->worker = worker;
    endpoint->event = event;
    TAILQ_INSERT_TAIL(&worker->endpoints, endpoint, link);
}

static void unwatch(struct worker *worker, struct endpoint *endpoint)
{
    TAILQ_REMOVE(&worker->endpoints, endpoint, link);
    event_free(endpoint->event);
    worker->behind -= endpoint->behind;
    endpoint->behind = false;
    endpoint->event = NULL;
    endpoint->worker = NULL;
}

static const struct timeval rest_interval = {0, REST_US};

/* Upstream has not answered all that came in by the endpoint: it is still answered by fd, another
 * descriptor of the socket or its last one, which is closed after that. */
static void rest(struct worker *worker, struct endpoint *endpoint, int fd)
{
    struct endpoint *resting = calloc(1, sizeof *resting);
    if (resting == NULL || fd < 0) {
        proxy_cut(worker->service.proxy, endpoint);
        free(resting);
        if (fd >= 0) {
            close(fd);
        }
        return;
    }
    resting->fd = fd;
    resting->family = endpoint->family;
    proxy_move(worker->service.proxy, endpoint, resting);
    TAILQ_INSERT_TAIL(&worker->resting, resting, link);
    evtimer_add(worker->rest, &rest_interval);
}

/* Closes those that have nothing left to answer, or all. */
static void close_resting(struct worker *worker, bool all)
{
    struct endpoint *next;
    for (struct endpoint *at = TAILQ_FIRST(&worker->resting); at != NULL; at = next) {
        next = TAILQ_NEXT(at, link);
        if (all && at->waiting > 0) {
            proxy_cut(worker->service.proxy, at);
        }
        if (at->waiting == 0) {
            TAILQ_REMOVE(&worker->resting, at, link);
            close(at->fd);
            free(at);
        }
    }
}

static void on_rest(evutil_socket_t fd, short what, void *context)
{
    struct worker *worker = context;
    (void)fd;
    (void)what;
    close_resting(worker, false);
    if (!TAILQ_EMPTY(&worker->resting)) {
        evtimer_add(worker->rest, &rest_interval);
    }
}

static void close_endpoint(struct worker *worker, struct endpoint *endpoint, bool patient)
{
    if (endpoint->worker != NULL) {
        unwatch(worker, endpoint);
    }
    if (endpoint->stream) {
        tcp_accept(worker->tcp, endpoint, CLOSE_ACCEPTS);
    } else {
        udp_serve(worker->udp, endpoint, CLOSE_BATCHES);
    }
    if (patient && endpoint->waiting > 0) {
        rest(worker, endpoint, endpoint->fd);
    } else {
        proxy_cut(worker->service.proxy, endpoint);
        close(endpoint->fd);
    }
    endpoint->fd = -1;
}

/* In a drain: datagrams that have come are served, and their socket stays until all are
 * answered. */
static void put_to_rest(struct worker *worker, struct endpoint *endpoint)
{
    if (endpoint->stream) {
        close_endpoint(worker, endpoint, false);
        return;
    }
    unwatch(worker, endpoint);
    udp_serve(worker->udp, endpoint, CLOSE_BATCHES);
    TAILQ_INSERT_TAIL(&worker->closing, endpoint, link);
}

/* At the end: who still waits for upstream waits no more. */
static void close_all(struct worker *worker)
{
    struct endpoint *endpoint;
    proxy_cut(worker->service.proxy, NULL);
    close_resting(worker, true);
    while ((endpoint = TAILQ_FIRST(&worker->closing)) != NULL) {
        TAILQ_REMOVE(&worker->closing, endpoint, link);
        close_endpoint(worker, endpoint, false);
    }
}

/* ---- The thread ---- */

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    struct worker *worker = context;
    uint64_t times;
    (void)what;
    ssize_t got = read(fd, &times, sizeof times);
    (void)got; /* there may be nothing: the eventfd's last worker was woken at its end */
    const struct job *job = atomic_exchange(&worker->job, NULL);
    if (job != NULL) {
        job->run(worker, job->context);
        sem_post(&worker->job_done); /* and the job is gone */
    }
}

static void on_deadline(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    ((struct worker *)context)->ended = true;
}

/*
 * Threads that load let others in of themselves, soon (crew.h). To be let in costs less than to
 * interrupt them for each question. Where the CPU is free it is ours at once either way.
 */
static void be_patient_with_loaders(struct worker *worker)
{
    bool claims = !crew_gives_way();
    if (claims != worker->claims) {
        worker->claims = claims;
        sched_setscheduler(0, claims ? SCHED_OTHER : SCHED_BATCH, &(struct sched_param){0});
    }
}

static void *run(void *context)
{
    struct worker *worker = context;
    bool ordinary =
        sched_getscheduler(0) == SCHED_OTHER; /* not so if told otherwise from outside */
    worker->claims = true;
    while (!worker->ended) {
        if (ordinary) {
            be_patient_with_loaders(worker);
        }
        worker->service.world = publisher_adopt(worker->publisher, worker->slot->number);
        worker->service.now = 0;
        proxy_adopt(worker->service.proxy);
        event_base_loop(worker->service.base,
                        EVLOOP_ONCE | (worker->behind > 0 ? EVLOOP_NONBLOCK : 0));
        tcp_finish_turn(worker->tcp);
        serve_behind(worker);
        if (worker->draining && tcp_count(worker->tcp) == 0 &&
            proxy_waiting(worker->service.proxy) == 0) {
            worker->ended = true;
        }
    }
    close_all(worker);
    publisher_leave(worker->publisher, worker->slot->number);
    return NULL;
}

static void leave_job(struct worker *worker, const struct job *job)
{
    const uint64_t once = 1;
    assert(atomic_load(&worker->job) == NULL && !worker->left);
    atomic_store(&worker->job, job);
    ssize_t put = write(worker->slot->wake_fd, &once, sizeof once);
    (void)put; /* fails only where it was written to 2^64 times and is about to be read */
}

/* Has a function called on the worker's thread, and waits until it was. */
static void call(struct worker *worker, void (*function)(struct worker *, void *), void *context)
{
    struct job job = {function, context};
    leave_job(worker, &job);
    while (sem_wait(&worker->job_done) != 0) {
        assert(errno == EINTR);
    }
}

/* ---- Jobs ---- */

static void do_nothing(struct worker *worker, void *context)
{
    (void)worker;
    (void)context;
}

struct watch_job {
    struct endpoint *endpoint;
    int error;
};

static void do_watch(struct worker *worker, void *context)
{
    struct watch_job *job = context;
    watch(worker, job->endpoint, &job->error);
}

/* Another worker may close it before upstream has answered what came in by it. */
static void do_unwatch(struct worker *worker, void *context)
{
    struct endpoint *endpoint = context;
    unwatch(worker, endpoint);
    if (endpoint->waiting > 0) {
        rest(worker, endpoint, fcntl(endpoint->fd, F_DUPFD_CLOEXEC, 0));
    }
}

static void do_close(struct worker *worker, void *context)
{
    close_endpoint(worker, context, false);
}

static void do_close_patiently(struct worker *worker, void *context)
{
    close_endpoint(worker, context, true);
}

static void do_close_resting(struct worker *worker, void *context)
{
    (void)context;
    close_resting(worker, true);
}

static void do_leave(struct worker *worker, void *context)
{
    (void)context;
    tcp_leave(worker->tcp);
}

static void do_count_waiting(struct worker *worker, void *context)
{
    size_t *count = context;
    *count = proxy_waiting(worker->service.proxy);
}

/* Answers from upstream come to this worker: those of connections that leave it are cut short. */
static void do_take(struct worker *worker, void *context)
{
    tcp_finish_turn(worker->tcp);
    proxy_cut(worker->service.proxy, NULL);
    tcp_take(worker->tcp, context);
}

static void do_give(struct worker *worker, void *context)
{
    tcp_give(worker->tcp, context);
}

static void do_limits(struct worker *worker, void *context)
{
    (void)context;
    tcp_limits_changed(worker->tcp);
}

static void do_end(struct worker *worker, void *context)
{
    (void)context;
    worker->ended = true;
}

static void do_drain(struct worker *worker, void *context)
{
    const unsigned *ms = context;
    struct timeval wait = {(time_t)(*ms / 1000), (suseconds_t)(*ms % 1000 * 1000)};
    struct endpoint *endpoint;
    evtimer_add(worker->deadline, &wait);
    while ((endpoint = TAILQ_FIRST(&worker->endpoints)) != NULL) {
        put_to_rest(worker, endpoint);
    }
    tcp_drain(worker->tcp);
    worker->draining = true;
}

/* ---- What the main thread calls ---- */

int worker_watch(struct worker *worker, struct endpoint *endpoint)
{
    struct watch_job job = {endpoint, RR_OK};
    call(worker, do_watch, &job);
    return job.error;
}

void worker_unwatch(struct worker *worker, struct endpoint *endpoint)
{
    call(worker, do_unwatch, endpoint);
}

void worker_close(struct worker *worker, struct endpoint *endpoint, bool patient)
{
    call(worker, patient ? do_close_patiently : do_close, endpoint);
}

void worker_close_resting(struct worker *worker)
{
    call(worker, do_close_resting, NULL);
}

void worker_leave(struct worker *worker)
{
    call(worker, do_leave, NULL);
}

size_t worker_waiting(struct worker *worker)
{
    size_t count;
    call(worker, do_count_waiting, &count);
    return count;
}

void worker_hand_over(struct worker *from, struct worker *to)
{
    struct client_list clients = TAILQ_HEAD_INITIALIZER(clients);
    call(from, do_take, &clients);
    call(to, do_give, &clients);
}

void worker_limits_changed(struct worker *worker)
{
    call(worker, do_limits, NULL);
}

void worker_drain(struct worker *worker, unsigned drain_ms)
{
    worker->drain_ms = drain_ms;
    worker->drain_job = (struct job){do_drain, &worker->drain_ms};
    leave_job(worker, &worker->drain_job);
    worker->left = true;
}

/* Signals are the main thread's. */
static int start_thread(struct worker *worker)
{
    sigset_t all;
    sigset_t before;
    char name[16];
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&worker->thread, NULL, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error == 0) {
        snprintf(name, sizeof name, "worker-%u", worker->slot->number);
        pthread_setname_np(worker->thread, name);
    }
    return error;
}

int worker_start(struct worker *worker)
{
    publisher_join(worker->publisher, worker->slot->number, worker->slot->wake_fd);
    if (start_thread(worker) != 0) {
        publisher_leave(worker->publisher, worker->slot->number);
        return RR_EIO;
    }
    worker->started = true;
    call(worker, do_nothing, NULL);
    return RR_OK;
}

static struct event_base *make_base(void)
{
    struct event_base *base = NULL;
    struct event_config *config = event_config_new();
    if (config != NULL) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    return base;
}

struct worker *worker_new(const struct worker_slot *slot, struct publisher *publisher,
                          struct limits *limits)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        return NULL;
    }
    struct service *service = &worker->service;
    worker->slot = slot;
    worker->publisher = publisher;
    TAILQ_INIT(&worker->endpoints);
    TAILQ_INIT(&worker->closing);
    TAILQ_INIT(&worker->resting);
    sem_init(&worker->job_done, 0, 0);
    service->counters = slot->counters;
    service->serve = serve_new(slot->counters, slot->zone_counts);
    service->base = make_base();
    service->datagrams = serve_datagrams;
    worker->udp = udp_new(service);
    if (service->serve == NULL || service->base == NULL || worker->udp == NULL) {
        worker_end(worker);
        return NULL;
    }
    service->proxy = proxy_new(service, limits, slot->upstream_counts, slot->rates);
    worker->tcp = tcp_new(service, limits);
    worker->wake = event_new(service->base, slot->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
    worker->pause = evtimer_new(service->base, on_pause_over, worker);
    worker->deadline = evtimer_new(service->base, on_deadline, worker);
    worker->rest = evtimer_new(service->base, on_rest, worker);
    if (service->proxy == NULL || worker->tcp == NULL || worker->wake == NULL ||
        worker->pause == NULL || worker->deadline == NULL || worker->rest == NULL ||
        event_add(worker->wake, NULL) != 0) {
        worker_end(worker);
        return NULL;
    }
    return worker;
}

static void free_event(struct event *event)
{
    if (event != NULL) {
        event_free(event);
    }
}

static void free_worker(struct worker *worker)
{
    struct endpoint *endpoint;
    while ((endpoint = TAILQ_FIRST(&worker->endpoints)) != NULL) {
        unwatch(worker, endpoint);
    }
    tcp_free(worker->tcp);
    proxy_free(worker->service.proxy);
    udp_free(worker->udp);
    free_event(worker->wake);
    free_event(worker->pause);
    free_event(worker->deadline);
    free_event(worker->rest);
    if (worker->service.base != NULL) {
        event_base_free(worker->service.base);
    }
    serve_free(worker->service.serve);
    sem_destroy(&worker->job_done);
    free(worker);
}

void worker_end(struct worker *worker)
{
    if (worker == NULL) {
        return;
    }
    if (worker->started) {
        if (!worker->left) {
            call(worker, do_end, NULL);
        }
        pthread_join(worker->thread, NULL);
    }
    free_worker(worker);
}

/*
 * Addresses, sockets and workers, and who of them serves what.
 *
 * Every address has a pair of sockets (UDP, TCP) for each worker; pair i of an address is watched
 * by worker i. Sockets of one address are a group among which the kernel spreads what comes,
 * so closing one of them throws away what waits in it. With fewer workers than before, no pair is
 * closed therefore: pair i is then watched by worker i modulo their number, and when there are
 * more workers again it goes back.
 *
 * A change of options is made in two steps. First everything that can fail: sockets are opened,
 * workers started, new sockets put to work. If anything of that fails it is all taken back, and
 * nothing that was served before has been touched. The second step moves, closes and retires, and
 * can't fail.
 */
#include "net/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "net/limits.h"
#include "net/place.h"
#include "net/upstream.h"
#include "net/worker.h"

enum {
    /*
     * What workers that go are asking upstream is waited for so long, while connections that they
     * have rest; what has not been answered then is answered as if upstream were down. It is the
     * slowest of resolutions; more would keep the other connections waiting for the lost ones.
     */
    RETIRE_MS = 1500,
};

struct net {
    struct publisher *publisher;
    struct limits *limits;
    struct shared_rate *rates; /* PROXY_RATES */
    struct place_list places;
    unsigned wanted;  /* workers, by the options */
    unsigned workers; /* that serve: worker[0..workers) */
    unsigned slots;   /* made so far: slot[0..slots) */
    struct worker *worker[PUBLISH_READERS_MAX];
    struct worker_slot slot[PUBLISH_READERS_MAX];
};

/* ---- Workers ---- */

/*
 * Cells for all zones there may ever be: 24 MiB of addresses, of which the pages of zones that
 * are asked for get memory.
 */
static struct zone_counts *make_zone_counts(void)
{
    void *counts = mmap(NULL, WORLD_ZONES_MAX * sizeof(struct zone_counts), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return counts != MAP_FAILED ? counts : NULL;
}

static void free_slot(struct worker_slot *slot)
{
    free(slot->counters);
    free(slot->upstream_counts);
    if (slot->zone_counts != NULL) {
        munmap(slot->zone_counts, WORLD_ZONES_MAX * sizeof(struct zone_counts));
    }
    if (slot->wake_fd >= 0) {
        close(slot->wake_fd);
    }
}

/*
 * A slot's eventfd lives as long as the net: the publisher may be about to write to it when its
 * worker ends, and must not find another file under its number.
 */
static int make_slot(struct net *net)
{
    struct worker_slot *slot = &net->slot[net->slots];
    *slot = (struct worker_slot){
        .number = net->slots,
        .wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
        .counters = aligned_alloc(_Alignof(struct counters), sizeof(struct counters)),
        .zone_counts = make_zone_counts(),
        .upstream_counts = aligned_alloc(_Alignof(struct upstream_counts),
                                         ROUTES_SERVERS_MAX * sizeof(struct upstream_counts)),
        .rates = net->rates,
    };
    if (slot->wake_fd < 0 || slot->counters == NULL || slot->zone_counts == NULL ||
        slot->upstream_counts == NULL) {
        free_slot(slot);
        return RR_ENOMEM;
    }
    memset(slot->counters, 0, sizeof *slot->counters);
    memset(slot->upstream_counts, 0, ROUTES_SERVERS_MAX * sizeof *slot->upstream_counts);
    net->slots++;
    return RR_OK;
}

static void end_workers(struct net *net, unsigned left)
{
    while (net->workers > left) {
        worker_end(net->worker[--net->workers]);
    }
}

static int start_workers(struct net *net, unsigned workers)
{
    while (net->workers < workers) {
        unsigned next = net->workers;
        int error = next < net->slots ? RR_OK : make_slot(net);
        if (error != RR_OK) {
            return error;
        }
        struct worker *worker = worker_new(&net->slot[next], net->publisher, net->limits);
        if (worker == NULL) {
            return RR_ENOMEM;
        }
        error = worker_start(worker);
        if (error != RR_OK) {
            worker_end(worker);
            return error;
        }
        net->worker[net->workers++] = worker;
    }
    return RR_OK;
}

static struct worker *worker_for(const struct net *net, size_t endpoint, unsigned workers)
{
    return net->worker[endpoint / 2 % workers];
}

/* Puts sockets to work that no worker watches yet. */
static int watch_new(struct net *net, const struct place_list *places, unsigned workers)
{
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = places->place[i];
        for (size_t e = place->settled; e < place->endpoints; e++) {
            int error = worker_watch(worker_for(net, e, workers), place->endpoint[e]);
            if (error != RR_OK) {
                return error;
            }
        }
    }
    return RR_OK;
}

/*
 * Nothing is lost between the two steps, what comes waits in the socket. Where the system does
 * not let the second be done, for want of memory, the socket must not stay: the kernel would go on
 * sending it a part of what comes for its address.
 */
static void move(struct endpoint *endpoint, struct worker *to)
{
    worker_unwatch(endpoint->worker, endpoint);
    if (worker_watch(to, endpoint) != RR_OK) {
        log_error("no memory to move a listening socket between workers: it is closed");
        close(endpoint->fd);
        endpoint->fd = -1;
    }
}

static void spread(struct net *net, unsigned workers)
{
    for (size_t i = 0; i < net->places.count; i++) {
        struct place *place = net->places.place[i];
        for (size_t e = 0; e < place->endpoints; e++) {
            struct endpoint *endpoint = place->endpoint[e];
            struct worker *worker = worker_for(net, e, workers);
            if (endpoint->fd >= 0 && endpoint->worker != worker) {
                move(endpoint, worker);
            }
        }
    }
}

/* ---- Start, change, end ---- */

static int check(const struct net_options *options, struct diag *diag)
{
    if (options->workers < 1 || options->workers > PUBLISH_READERS_MAX) {
        diag_fault(diag, NULL, 0, "%u workers: there may be 1 to %d", options->workers,
                   PUBLISH_READERS_MAX);
        return RR_ELIMIT;
    }
    return RR_OK;
}

int net_open(const struct net_options *options, struct publisher *publisher, struct net **net,
             struct diag *diag)
{
    int error = check(options, diag);
    if (error != RR_OK) {
        return error;
    }
    struct net *made = calloc(1, sizeof *made);
    if (made == NULL) {
        return RR_ENOMEM;
    }
    made->publisher = publisher;
    made->wanted = options->workers;
    made->limits = limits_new(options);
    made->rates = aligned_alloc(_Alignof(struct shared_rate), PROXY_RATES * sizeof *made->rates);
    struct place_list next = {0};
    if (made->limits == NULL || made->rates == NULL) {
        net_free(made);
        return RR_ENOMEM;
    }
    memset(made->rates, 0, PROXY_RATES * sizeof *made->rates);
    error = places_plan(&made->places, options, NULL, &next, diag);
    if (error != RR_OK) {
        net_free(made);
        return error;
    }
    made->places = next;
    *net = made;
    return RR_OK;
}

int net_start(struct net *net)
{
    int error = start_workers(net, net->wanted);
    if (error == RR_OK) {
        error = watch_new(net, &net->places, net->wanted);
    }
    if (error != RR_OK) {
        end_workers(net, 0);
        return error;
    }
    struct place_list opened = net->places;
    net->places = (struct place_list){0};
    places_settle(&net->places, &opened);
    return RR_OK;
}

/* Until upstream has answered what the workers from first on ask, but not for long. */
static void await_upstream(const struct net *net, unsigned first)
{
    for (unsigned ms = 0; ms < RETIRE_MS; ms++) {
        size_t waiting = 0;
        for (unsigned i = first; i < net->workers; i++) {
            waiting += worker_waiting(net->worker[i]);
        }
        if (waiting == 0) {
            return;
        }
        usleep(1000);
    }
}

/* Workers beyond those that stay: their sockets are watched by others already. */
static void retire_workers(struct net *net, unsigned left)
{
    for (unsigned i = left; i < net->workers; i++) {
        worker_leave(net->worker[i]);
    }
    await_upstream(net, left);
    for (unsigned i = left; i < net->workers; i++) {
        worker_hand_over(net->worker[i], net->worker[i % left]);
    }
    end_workers(net, left);
}

static void close_resting(struct net *net)
{
    for (unsigned i = 0; i < net->workers; i++) {
        worker_close_resting(net->worker[i]);
    }
}

int net_reconfigure(struct net *net, const struct net_options *options, struct diag *diag)
{
    unsigned before = net->workers;
    unsigned workers = options->workers;
    int error = before > 0 ? check(options, diag) : RR_ESTATE;
    if (error != RR_OK) {
        return error;
    }
    struct place_list next;
    if (places_lack(&net->places, options)) {
        close_resting(net); /* it may be one that was given up a moment ago */
    }
    error = places_plan(&net->places, options, net->worker[0], &next, diag);
    if (error != RR_OK) {
        return error;
    }
    error = start_workers(net, workers);
    if (error == RR_OK) {
        error = watch_new(net, &next, workers);
    }
    if (error != RR_OK) {
        places_take_back(&next, net->worker[0]);
        end_workers(net, before);
        return error;
    }
    places_settle(&net->places, &next);
    spread(net, workers);
    retire_workers(net, workers);
    limits_set(net->limits, options);
    for (unsigned i = 0; i < net->workers; i++) {
        worker_limits_changed(net->worker[i]);
    }
    return RR_OK;
}

void net_stop(struct net *net, unsigned drain_ms)
{
    for (unsigned i = 0; i < net->workers; i++) {
        worker_drain(net->worker[i], drain_ms);
    }
    end_workers(net, 0);
    places_free(&net->places);
}

void net_free(struct net *net)
{
    if (net == NULL) {
        return;
    }
    net_stop(net, 0);
    while (net->slots > 0) {
        free_slot(&net->slot[--net->slots]);
    }
    free(net->limits);
    free(net->rates);
    free(net);
}

/* ---- What the daemon asks ---- */

unsigned net_workers(const struct net *net)
{
    return net->workers;
}

unsigned net_counter_sets(const struct net *net)
{
    return net->slots;
}

const struct counters *net_counters(const struct net *net, unsigned worker)
{
    return worker < net->slots ? net->slot[worker].counters : NULL;
}

void net_zone_counts(const struct net *net, uint32_t slot, uint64_t *queries, uint64_t *nxdomain,
                     uint64_t *bytes)
{
    *queries = *nxdomain = *bytes = 0;
    for (unsigned i = 0; i < net->slots; i++) {
        const struct zone_counts *counts = &net->slot[i].zone_counts[slot];
        *queries += atomic_load_explicit(&counts->queries, memory_order_relaxed);
        *nxdomain += atomic_load_explicit(&counts->nxdomain, memory_order_relaxed);
        *bytes += atomic_load_explicit(&counts->bytes, memory_order_relaxed);
    }
}

const struct upstream_counts *net_upstream_counts(const struct net *net, unsigned worker,
                                                  uint32_t slot)
{
    return worker < net->slots && slot < ROUTES_SERVERS_MAX
               ? &net->slot[worker].upstream_counts[slot]
               : NULL;
}

size_t net_addresses(const struct net *net, const struct net_address **addresses)
{
    *addresses = net->places.bound;
    return net->places.count;
}

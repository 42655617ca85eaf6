/*
 * Sockets are opened for the whole of a plan before any of it counts, and closed again when one of
 * them can't be had. Those that a worker watches already are read to their end by it first.
 */
#include "net/place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/address.h"
#include "base/err.h"
#include "net/worker.h"

enum {
    /* A port that is free for UDP may be taken for TCP: times that port 0 is tried again. */
    PORT_TRIES = 16,
};

/* ---- Closing ---- */

/* by: who reads what came where nobody watches yet. NULL: all are watched, unless no worker runs,
 * and their address goes with them. */
static void close_endpoint(struct endpoint *endpoint, struct worker *by)
{
    struct worker *worker = endpoint->worker != NULL ? endpoint->worker : by;
    if (endpoint->fd >= 0 && worker != NULL) {
        worker_close(worker, endpoint, by == NULL);
    } else if (endpoint->fd >= 0) {
        close(endpoint->fd);
    }
    free(endpoint);
}

static void cut(struct place *place, size_t endpoints, struct worker *by)
{
    while (place->endpoints > endpoints) {
        close_endpoint(place->endpoint[--place->endpoints], by);
    }
}

static void forget(struct place_list *places)
{
    free(places->place);
    free(places->bound);
    *places = (struct place_list){0};
}

void places_take_back(struct place_list *next, struct worker *by)
{
    for (size_t i = 0; i < next->count; i++) {
        struct place *place = next->place[i];
        cut(place, place->settled, by);
        if (place->settled == 0) {
            free(place);
        }
    }
    forget(next);
}

void places_settle(struct place_list *now, struct place_list *next)
{
    for (size_t i = 0; i < next->count; i++) {
        next->place[i]->settled = next->place[i]->endpoints;
    }
    for (size_t i = 0; i < now->count; i++) {
        size_t at = 0;
        while (at < next->count && next->place[at] != now->place[i]) {
            at++;
        }
        if (at == next->count) {
            cut(now->place[i], 0, NULL);
            free(now->place[i]);
        }
    }
    forget(now);
    *now = *next;
    *next = (struct place_list){0};
}

void places_free(struct place_list *places)
{
    struct place_list none = {0};
    places_settle(places, &none);
}

/* By the address as it was asked for, or as it was told by net_addresses(). */
static struct place *find(const struct place_list *places, const struct net_address *address)
{
    for (size_t i = 0; i < places->count; i++) {
        struct place *place = places->place[i];
        if (socket_same(&place->asked, address) || socket_same(&place->bound, address)) {
            return place;
        }
    }
    return NULL;
}

bool places_lack(const struct place_list *places, const struct net_options *options)
{
    for (size_t i = 0; i < options->addresses; i++) {
        if (find(places, &options->address[i]) == NULL) {
            return true;
        }
    }
    return false;
}

/* ---- Opening ---- */

static int failed(const struct place *place, bool stream, bool serving, struct diag *diag)
{
    int error = errno;
    char address[ADDRESS_TEXT_MAX];
    char name[ADDRESS_TEXT_MAX + 8];
    address_format((const struct sockaddr *)&place->asked.address, address);
    snprintf(name, sizeof name, "%s (%s)", address, stream ? "tcp" : "udp");
    /* More sockets for an address that we have: only those of another user are in the way. */
    bool privileges =
        error == EACCES || error == EPERM || (error == EADDRINUSE && place->settled > 0);
    diag_fault(diag, name, 0, "%s%s", strerror(error),
               serving && privileges ? "; the privileges for it are given up, a restart is needed"
                                     : "");
    switch (error) {
    case EMFILE:
    case ENFILE:
        return RR_ELIMIT;
    case ENOMEM:
    case ENOBUFS:
        return RR_ENOMEM;
    default:
        return RR_EIO;
    }
}

static int add_endpoint(struct place *place, bool stream, int fd)
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL) {
        close(fd);
        errno = ENOMEM;
        return -1;
    }
    endpoint->fd = fd;
    endpoint->stream = stream;
    endpoint->family = place->asked.address.ss_family;
    place->endpoint[place->endpoints++] = endpoint;
    return 0;
}

/* Opens one more socket of the place, UDP or TCP in turn. 0, or -1 with errno set. */
static int open_next(struct place *place, bool alone)
{
    bool stream = place->endpoints % 2 == 1;
    int fd = socket_open(&place->bound, stream, alone);
    if (fd < 0 || add_endpoint(place, stream, fd) != 0) {
        return -1;
    }
    return socket_port(&place->bound) == 0 ? socket_bound(fd, &place->bound) : 0;
}

/* The first pair of a place with port 0 may have to be tried again with another port. */
static bool try_again(struct place *place, unsigned *tries)
{
    if (errno != EADDRINUSE || place->endpoints != 1 || socket_port(&place->asked) != 0 ||
        (*tries)++ >= PORT_TRIES) {
        return false;
    }
    cut(place, 0, NULL);
    place->bound = place->asked;
    return true;
}

static int grow(struct place *place, size_t endpoints, bool overlaps, bool serving,
                struct diag *diag)
{
    unsigned tries = 0;
    while (place->endpoints < endpoints) {
        bool alone = place->endpoints < 2 && !overlaps;
        if (open_next(place, alone) != 0 && !try_again(place, &tries)) {
            return failed(place, place->endpoints % 2 == 1, serving, diag);
        }
    }
    return RR_OK;
}

/* Whether a wildcard address of ours and the address share their port. */
static bool overlap(const struct place_list *places, const struct place *with)
{
    uint16_t port = socket_port(&with->bound);
    for (size_t i = 0; i < places->count; i++) {
        const struct place *place = places->place[i];
        if (place != with && port != 0 && socket_port(&place->bound) == port &&
            place->bound.address.ss_family == with->bound.address.ss_family &&
            (socket_is_wildcard(&place->bound) || socket_is_wildcard(&with->bound))) {
            return true;
        }
    }
    return false;
}

/* Adds the place of an address to the plan; sockets come later. */
static int plan_place(const struct place_list *now, const struct net_address *asked,
                      struct place_list *next)
{
    if (find(next, asked) != NULL) {
        return RR_OK;
    }
    struct place *place = find(now, asked);
    if (place == NULL) {
        place = calloc(1, sizeof *place);
        if (place == NULL) {
            return RR_ENOMEM;
        }
        place->asked = *asked;
        place->bound = *asked;
    }
    next->place[next->count++] = place;
    return RR_OK;
}

/*
 * Opens what is missing: first the sockets of new addresses, which are the ones that fail, and
 * where they did not, more for addresses that are served. Those get a share of what comes from
 * the moment they are bound, so it is better not to open them than to close them again.
 */
static int open_missing(const struct place_list *now, const struct net_options *options,
                        bool serving, struct place_list *next, struct diag *diag)
{
    int error = RR_OK;
    for (int old = 0; old < 2 && error == RR_OK; old++) {
        for (size_t i = 0; i < next->count; i++) {
            struct place *place = next->place[i];
            if (old != (place->settled > 0)) {
                continue;
            }
            bool overlaps = overlap(now, place) || overlap(next, place);
            int failure = grow(place, 2 * (size_t)options->workers, overlaps, serving, diag);
            error = failure != RR_OK ? failure : error;
        }
    }
    return error;
}

int places_plan(const struct place_list *now, const struct net_options *options, struct worker *by,
                struct place_list *next, struct diag *diag)
{
    size_t room = options->addresses > 0 ? options->addresses : 1;
    int error = RR_OK;
    *next = (struct place_list){.place = calloc(room, sizeof(struct place *)),
                                .bound = calloc(room, sizeof(struct net_address))};
    if (next->place == NULL || next->bound == NULL) {
        forget(next);
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < options->addresses && error == RR_OK; i++) {
        error = plan_place(now, &options->address[i], next);
    }
    if (error == RR_OK) {
        error = open_missing(now, options, by != NULL, next, diag);
    }
    if (error != RR_OK) {
        places_take_back(next, by);
        return error;
    }
    for (size_t i = 0; i < next->count; i++) {
        next->bound[i] = next->place[i]->bound;
    }
    return RR_OK;
}

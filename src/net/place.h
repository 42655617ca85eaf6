/*
 * A listen address and its sockets: a pair, UDP and TCP, for each worker.
 */
#ifndef RRDNS_NET_PLACE_H
#define RRDNS_NET_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/diag.h"
#include "net/net.h"
#include "net/socket.h"

struct place {
    struct net_address asked; /* as in the options, perhaps with port 0 */
    struct net_address bound; /* with the port it got */
    size_t endpoints;         /* even ones are UDP, odd ones TCP */
    size_t settled;           /* those below are in service; the others may yet be taken back */
    struct endpoint *endpoint[2 * PUBLISH_READERS_MAX];
};

struct place_list {
    size_t count;
    struct place **place;
    struct net_address *bound; /* of each */
};

/*
 * The places for new options: those of `now` that are still named, and new ones, all with sockets
 * for so many workers at least. Where something fails it is told in diag for every address, and
 * every socket opened is closed again: RR_EIO, RR_ELIMIT or RR_ENOMEM.
 *
 * by: NULL before workers run; after, one of them, to read what has come to sockets that are
 * closed again; privileges may have been given up then, and diag tells where that is the cause.
 */
int places_plan(const struct place_list *now, const struct net_options *options, struct worker *by,
                struct place_list *next, struct diag *diag);

/* Closes what is not settled, in places of `now` too, and forgets the plan. */
void places_take_back(struct place_list *next, struct worker *by);

/* Puts `next` in the place of `now`: closes and frees what is no longer named. */
void places_settle(struct place_list *now, struct place_list *next);

/* Whether the options name addresses that have no place. */
bool places_lack(const struct place_list *places, const struct net_options *options);

/* Closes everything. */
void places_free(struct place_list *places);

#endif

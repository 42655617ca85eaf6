/*
 * An assignment works on a second table, which becomes the first or is thrown away: a reload that
 * fails leaves no trace. Servers that are known are found first, so that none of them loses its
 * slot to a new one that stands before it.
 */
#include "daemon/upstream_slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"

struct upstream_slot {
    struct upstream_server server; /* without its text */
    uint64_t round;                /* the last that had it */
    bool reused;
    struct upstream_totals base;
};

static void slot_free(struct upstream_slot *slot)
{
    if (slot != NULL) {
        free(slot->server.tls_name);
        free(slot);
    }
}

static struct upstream_slot *slot_new(const struct upstream_server *server)
{
    struct upstream_slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL) {
        return NULL;
    }
    slot->server = *server;
    slot->server.text = NULL;
    slot->server.tls_name = server->tls_name != NULL ? strdup(server->tls_name) : NULL;
    if (server->tls_name != NULL && slot->server.tls_name == NULL) {
        free(slot);
        return NULL;
    }
    return slot;
}

/* Its number, or ROUTES_SERVERS_MAX. */
static uint32_t find(const struct upstream_slots *slots, const struct upstream_server *server)
{
    uint32_t i = 0;
    while (i < ROUTES_SERVERS_MAX &&
           (slots->next[i] == NULL || !upstream_server_same(&slots->next[i]->server, server))) {
        i++;
    }
    return i;
}

/* The first that nobody ever had, else the one that is gone longest; ROUTES_SERVERS_MAX: all are
 * taken in this round. */
static uint32_t find_free(const struct upstream_slots *slots, const bool *taken)
{
    uint32_t oldest = ROUTES_SERVERS_MAX;
    for (uint32_t i = 0; i < ROUTES_SERVERS_MAX; i++) {
        if (slots->next[i] == NULL) {
            return i;
        }
        if (!taken[i] &&
            (oldest == ROUTES_SERVERS_MAX || slots->next[i]->round < slots->next[oldest]->round)) {
            oldest = i;
        }
    }
    return oldest;
}

static int take(struct upstream_slots *slots, const struct net *net, bool *taken,
                struct upstream_server *server)
{
    server->slot = find(slots, server);
    if (server->slot < ROUTES_SERVERS_MAX) {
        taken[server->slot] = true;
        return RR_OK;
    }
    uint32_t number = find_free(slots, taken);
    if (number == ROUTES_SERVERS_MAX) {
        return RR_ELIMIT;
    }
    struct upstream_slot *slot = slot_new(server);
    if (slot == NULL) {
        return RR_ENOMEM;
    }
    slot->reused = slots->next[number] != NULL && net != NULL;
    if (slot->reused) {
        upstream_totals_read(net, number, &slot->base);
    }
    slot->round = slots->round;
    slots->next[number] = slot;
    taken[number] = true;
    server->slot = number;
    return RR_OK;
}

int upstream_slots_assign(struct upstream_slots *slots, const struct net *net,
                          struct upstream_group *groups, size_t count)
{
    bool taken[ROUTES_SERVERS_MAX] = {false};
    int error = RR_OK;
    slots->round++;
    memcpy(slots->next, slots->now, sizeof slots->next);
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < groups[i].servers; j++) {
            uint32_t known = find(slots, &groups[i].server[j]);
            if (known < ROUTES_SERVERS_MAX) {
                taken[known] = true;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < groups[i].servers && error == RR_OK; j++) {
            error = take(slots, net, taken, &groups[i].server[j]);
        }
    }
    for (uint32_t i = 0; i < ROUTES_SERVERS_MAX && error == RR_OK; i++) {
        if (taken[i]) {
            slots->next[i]->round = slots->round;
        }
    }
    if (error != RR_OK) {
        upstream_slots_settle(slots, false);
    }
    return error;
}

void upstream_slots_settle(struct upstream_slots *slots, bool adopted)
{
    for (size_t i = 0; i < ROUTES_SERVERS_MAX; i++) {
        if (slots->next[i] == slots->now[i]) {
            continue;
        }
        slot_free(adopted ? slots->now[i] : slots->next[i]);
        if (adopted) {
            slots->now[i] = slots->next[i];
        }
    }
    memcpy(slots->next, slots->now, sizeof slots->next);
}

const struct upstream_totals *upstream_slots_base(const struct upstream_slots *slots, uint32_t slot)
{
    const struct upstream_slot *now = slots->now[slot];
    return now != NULL && now->reused ? &now->base : NULL;
}

void upstream_slots_clear(struct upstream_slots *slots)
{
    upstream_slots_settle(slots, false);
    for (size_t i = 0; i < ROUTES_SERVERS_MAX; i++) {
        slot_free(slots->now[i]);
    }
    *slots = (struct upstream_slots){0};
}

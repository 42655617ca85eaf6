/*
 * One TCP connection: its state, shared by tcp.c (how long it lives) and client.c (what it does).
 */
#ifndef RRDNS_NET_CLIENT_H
#define RRDNS_NET_CLIENT_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "net/gather.h"
#include "net/limits.h"
#include "net/proxy.h"
#include "net/service.h"
#include "net/socket.h"
#include "net/tcp.h"

enum {
    /* The longest message with its length. What was read never needs more room at once. */
    CLIENT_IN = 2 + 65535,
    /*
     * Answers gathered for one write: room for the longest one, which serve_batch asks for, and
     * as much again, so that a batch of usual answers (32 of 100 to 900 octets) leaves
     * in one piece. It is also what a client that does not read can make us keep of zones' data.
     */
    CLIENT_OUT = 2 * SERVE_STREAM_ROOM,
    /*
     * Questions of a connection that upstream is asked at once. Then the connection waits its turn,
     * as it does while its answers can't be written; it goes on when half of them have been
     * answered.
     */
    CLIENT_FORWARDS = 256,
    /*
     * Octets of answers that wait for a client to read them. Answers of upstream come whether it
     * reads or not: with 256 of 64 KB for each of its connections, one address could have a
     * gigabyte kept for it. Who lets more than this pile up, beyond what the kernel holds, is cut
     * off.
     */
    CLIENT_UNSENT_MAX = 1 << 20,
    /* Lists of idle connections by client address. */
    TCP_NEIGHBOURHOODS = 4096,
};

struct buffer {
    uint8_t *data; /* NULL: empty */
    size_t used;
    size_t size;
};

struct unsent {
    uint8_t *data; /* NULL: nothing */
    size_t size;
    size_t written; /* of size */
    size_t room;
};

enum client_state {
    CLIENT_READING,   /* queries are read and served */
    CLIENT_WRITING,   /* answers wait for the client to read, or queries for their turn; nothing
                         more is read before */
    CLIENT_LAST,      /* no more is read; the answers that upstream is still asked for follow */
    CLIENT_FINISHING, /* all is said; what the client still sends is thrown away until its FIN */
};

/* An idle connection has neither a buffer nor an unanswered query: this is all it costs. */
struct client {
    TAILQ_ENTRY(client) timeline;   /* in tcp.idle or tcp.busy, the oldest `since` first */
    TAILQ_ENTRY(client) neighbours; /* while idle: in tcp.neighbourhoods, likewise */
    struct tcp *tcp;
    struct event event;
    uint64_t since;       /* of the last progress: a query complete or begun, octets written */
    struct buffer held;   /* octets read and not served: an unfinished message, or the queries
                             behind an answer that could not be written */
    struct unsent unsent; /* answers */
    uint32_t cell;        /* of limits */
    unsigned queries;
    struct waiter_list waiters; /* what upstream is being asked for it */
    unsigned waiting;           /* how many */
    int fd;
    enum client_state state;
    short watched; /* what event is in the loop for: EV_READ, EV_WRITE or 0 */
    bool idle;
    bool ended;   /* its FIN was read: it waits for its last answers, if anything */
    bool paused;  /* until some of CLIENT_FORWARDS are answered */
    bool serving; /* its queries are being served: what is answered at once doesn't settle it */
    bool broken;  /* found out meanwhile */
    bool gathered; /* its query waits in tcp.gather */
    union socket_address peer;
};

struct tcp {
    struct service *service;
    struct limits *limits;
    struct event *timer;
    struct client_list idle, busy;
    struct client_list neighbourhoods[TCP_NEIGHBOURHOODS]; /* by cell */
    size_t clients;
    bool draining;
    bool leaving; /* no more queries are taken from connections: others will */
    size_t since_datagrams; /* queries served since these were, a signature counted as several */
    struct buffer in; /* CLIENT_IN octets: those gathered, behind them the connection at hand */
    struct gather gather;
    struct serve_stream out;
    struct serve_request requests[SERVE_BATCH];
};

/* A connection just accepted, in no list yet. NULL where there is no memory; fd is then still
 * open. */
struct client *client_new(int fd, const union socket_address *peer, uint32_t cell);
/* Takes its event from the loop, closes it and frees all it has; it stands in no list any more. */
void client_free(struct client *client);

/*
 * Does what the connection is ready for. Returns false where it is to be closed, which is then
 * counted but for tcp_closed. now is the monotonic clock's.
 */
bool client_ready(struct client *client, uint64_t now);

/* Whether the client has had all the answers it may have, or would have after so many more. */
bool client_at_its_limit(const struct client *client, size_t more);

/*
 * Its one query was served, as request index of the last serve_batch: counts that, and writes the
 * answer or hands on what upstream is to be asked (the caller flushes the proxy). Returns as
 * client_ready.
 */
bool client_served(struct client *client, const struct serve_request *request, size_t index,
                   uint64_t now);

/* Has the loop of its tcp call for what the client's state waits for. 0 or -1. */
int client_watch(struct client *client);
void client_unwatch(struct client *client);

/* Writes the answer of upstream, its length before it, that one of its waiters got. The connection
 * may be gone when it returns, but not while its own queries are being served. */
void client_answer(struct client *client, const uint8_t *data, size_t size, uint64_t now);

/* Whether nothing is under way. */
static inline bool client_is_idle(const struct client *client)
{
    return client->held.data == NULL && client->unsent.data == NULL && client->waiting == 0;
}

/* What the event calls (tcp.c): client_ready, and then back on a list or the end. */
void tcp_client_ready(evutil_socket_t fd, short what, void *client);
/* The latter, after something was done on it; open: false ends it. */
void tcp_client_settle(struct client *client, bool open, uint64_t now);

/* After a batch of so many queries (client.c): datagrams have their turn when there were enough. */
void tcp_let_datagrams_in(struct tcp *tcp, size_t served);

#endif

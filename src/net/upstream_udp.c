/*
 * A pool is filled as it is used: its sockets take turns, batch by batch, so a server that is
 * seldom asked has its questions spread as well.
 */
#include "net/upstream_udp.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/socket.h"

enum {
    PORT_FIRST = 1024,
    PORT_TRIES = 8, /* then the kernel chooses */
    /* Of replies that came while the worker was busy; the kernel takes as much as it may. */
    RECEIVE_BUFFER = 1 << 20,
};

static const uint64_t SECOND_NS = 1000000000;

struct upstream_pool {
    struct upstream_socket *socket[UPSTREAM_SOCKETS];
    unsigned next;
};

/* Where no port is free by chance, connect() will bind it. */
static void bind_random(int fd, sa_family_t family)
{
    union socket_address any = {.any = {.sa_family = family}};
    socklen_t size = family == AF_INET6 ? sizeof any.v6 : sizeof any.v4;
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        uint16_t port;
        if (getrandom(&port, sizeof port, GRND_NONBLOCK) != (ssize_t)sizeof port) {
            break;
        }
        if (port < PORT_FIRST) {
            continue;
        }
        if (family == AF_INET6) {
            any.v6.sin6_port = htons(port);
        } else {
            any.v4.sin_port = htons(port);
        }
        if (bind(fd, &any.any, size) == 0) {
            return;
        }
    }
}

static int open_socket(const struct upstream_server *server)
{
    const struct sockaddr *address = (const struct sockaddr *)&server->address;
    int octets = RECEIVE_BUFFER;
    int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &octets, sizeof octets);
    bind_random(fd, address->sa_family);
    if (connect(fd, address, server->address_size) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void close_socket(struct upstream_socket *socket)
{
    event_del(&socket->event);
    close(socket->fd);
    free(socket);
}

static struct upstream_socket *new_socket(struct event_base *base, struct upstream *upstream,
                                          event_callback_fn readable, void *context, uint64_t now)
{
    static _Thread_local uint32_t number;
    struct upstream_socket *socket = calloc(1, sizeof *socket);
    if (socket == NULL) {
        return NULL;
    }
    socket->fd = open_socket(&upstream->server);
    if (socket->fd < 0) {
        free(socket);
        return NULL;
    }
    LIST_INIT(&socket->attempts);
    socket->number = number++;
    socket->upstream = upstream;
    socket->context = context;
    socket->opened = now;
    if (event_assign(&socket->event, base, socket->fd, EV_READ | EV_PERSIST, readable, socket) !=
            0 ||
        event_add(&socket->event, NULL) != 0) {
        close(socket->fd);
        free(socket);
        errno = ENOMEM;
        return NULL;
    }
    return socket;
}

static void retire(struct upstream_socket *socket)
{
    socket->retired = true;
    upstream_socket_settle(socket);
}

struct upstream_socket *upstream_socket_take(struct event_base *base, struct upstream *upstream,
                                             event_callback_fn readable, void *context,
                                             uint64_t now)
{
    struct upstream_pool *pool = upstream->sockets;
    if (pool == NULL) {
        pool = upstream->sockets = calloc(1, sizeof *pool);
        if (pool == NULL) {
            return NULL;
        }
    }
    struct upstream_socket **place = &pool->socket[pool->next % UPSTREAM_SOCKETS];
    if (*place != NULL && ((*place)->questions >= UPSTREAM_SOCKET_QUESTIONS ||
                           now - (*place)->opened >= UPSTREAM_SOCKET_SECONDS * SECOND_NS)) {
        retire(*place);
        *place = NULL;
    }
    if (*place == NULL) {
        *place = new_socket(base, upstream, readable, context, now);
    }
    return *place;
}

void upstream_socket_turn(struct upstream_socket *socket)
{
    struct upstream_pool *pool = socket->upstream->sockets;
    if (!socket->retired && pool->socket[pool->next % UPSTREAM_SOCKETS] == socket) {
        pool->next++;
    }
}

void upstream_socket_settle(struct upstream_socket *socket)
{
    if (socket->retired && !socket->busy && LIST_EMPTY(&socket->attempts)) {
        close_socket(socket);
    }
}

void upstream_sockets_close(struct upstream *upstream)
{
    struct upstream_pool *pool = upstream->sockets;
    for (unsigned i = 0; pool != NULL && i < UPSTREAM_SOCKETS; i++) {
        if (pool->socket[i] != NULL) {
            close_socket(pool->socket[i]);
        }
    }
    free(pool);
    upstream->sockets = NULL;
}

// The limit: answers every question by sending it back with QR set, and knows nothing of DNS.
//
//   echo PORT [ADDRESS [N]]  UDP and TCP on 127.0.0.1 or ADDRESS, until it is ended; N processes,
//                            each with sockets of its own on that port (1)
//
// What a server costs beyond this is what its DNS costs. So this does what is cheapest with
// sockets as everyone may use them: up to 32 datagrams a system call in both directions, as
// rrdnsd takes, by a thread that has only that socket to wait for, since answers by one that epoll
// watches cost more; and on TCP everything that is there in one read, everything that there is to
// say in one write.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 32, EVENTS = 64, DATAGRAM = 1500, CONNECTIONS = 4096, BUFFER = 16384 };

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int listening(int type, const char *address, uint16_t port)
{
    static const int on = 1;
    static const int room = 4 << 20;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1) {
        fprintf(stderr, "echo: %s is no IPv4 address\n", address);
        exit(2);
    }
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | (type == SOCK_STREAM ? SOCK_NONBLOCK : 0), 0);
    if (fd < 0) {
        die("socket");
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (type == SOCK_DGRAM) {
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    } else {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 ||
        (type == SOCK_STREAM && listen(fd, 4096) != 0)) {
        die("bind");
    }
    return fd;
}

_Noreturn static void *echo_datagrams(void *context)
{
    static uint8_t bytes[BATCH][DATAGRAM];
    static struct sockaddr_in from[BATCH];
    static struct iovec iov[BATCH];
    static struct mmsghdr msgs[BATCH];
    int fd = *(const int *)context;
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            iov[i] = (struct iovec){.iov_base = bytes[i], .iov_len = DATAGRAM};
            msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
                                              .msg_iovlen = 1,
                                              .msg_name = &from[i],
                                              .msg_namelen = sizeof from[i]};
        }
        int got = recvmmsg(fd, msgs, BATCH, MSG_WAITFORONE, NULL);
        if (got < 0 && errno != EINTR) {
            die("recvmmsg");
        }
        for (int i = 0; i < got; i++) {
            bytes[i][2] |= 0x80;
            iov[i].iov_len = msgs[i].msg_len;
        }
        for (int done = 0; done < got;) {
            int sent = sendmmsg(fd, msgs + done, (unsigned)(got - done), 0);
            done += sent > 0 ? sent : 1; // one that can't be sent is left out
        }
    }
}

struct connection {
    int fd;
    size_t used;
    uint8_t bytes[BUFFER];
};

// False: the connection is over. One that does not take its answers is no client of this.
static bool echo_stream(struct connection *connection)
{
    ssize_t got =
        recv(connection->fd, connection->bytes + connection->used, BUFFER - connection->used, 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    connection->used += (size_t)got;
    size_t whole = 0;
    while (connection->used - whole >= 2) {
        uint8_t *at = connection->bytes + whole;
        size_t length = 2 + ((size_t)at[0] << 8 | at[1]);
        if (length < 5 || length > BUFFER) {
            return false;
        }
        if (connection->used - whole < length) {
            break;
        }
        at[4] |= 0x80;
        whole += length;
    }
    if (whole > 0 &&
        send(connection->fd, connection->bytes, whole, MSG_NOSIGNAL) != (ssize_t)whole) {
        return false;
    }
    connection->used -= whole;
    memmove(connection->bytes, connection->bytes + whole, connection->used);
    return true;
}

static void take_connections(int fd, int epoll)
{
    for (int taken; (taken = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        struct connection *connection = malloc(sizeof *connection);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (connection == NULL) {
            die("memory");
        }
        connection->fd = taken;
        connection->used = 0;
        // The first question is there as a rule, or will be in a moment.
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, taken, &event) != 0) {
            die("epoll_ctl");
        }
    }
}

int main(int argc, char **argv)
{
    int port = argc >= 2 && argc <= 4 ? atoi(argv[1]) : 0;
    const char *address = argc >= 3 ? argv[2] : "127.0.0.1";
    int processes = argc == 4 ? atoi(argv[3]) : 1;
    if (port <= 0 || port > 65535 || processes < 1) {
        fprintf(stderr, "usage: echo PORT [ADDRESS [PROCESSES]]\n");
        return 2;
    }
    while (--processes > 0 && fork() > 0) {
    }
    int udp = listening(SOCK_DGRAM, address, (uint16_t)port);
    int tcp = listening(SOCK_STREAM, address, (uint16_t)port);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_tcp = {.events = EPOLLIN, .data.ptr = &tcp};
    pthread_t datagrams;
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, tcp, &on_tcp) != 0) {
        die("epoll");
    }
    if (pthread_create(&datagrams, NULL, echo_datagrams, &udp) != 0) {
        die("pthread_create");
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        if (ready < 0 && errno != EINTR) {
            die("epoll_wait");
        }
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr == &tcp) {
                take_connections(tcp, epoll);
            } else {
                struct connection *connection = events[i].data.ptr;
                if (!echo_stream(connection)) {
                    close(connection->fd);
                    free(connection);
                }
            }
        }
    }
}

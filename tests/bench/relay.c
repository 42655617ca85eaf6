// The limit of a forwarder: passes questions on and answers back, and knows nothing of DNS but IDs.
//
//   relay PORT ADDRESS UPSTREAM-PORT  UDP on ADDRESS, to the upstream on it, until it is ended
//
// It has what no forwarder can do without: an ID of its own for each question, and for each ID who
// asked. It keeps no answers, gives up no question, chooses no upstream and checks nothing, and has
// one socket to each side, with up to 64 datagrams a system call. A forwarder's sockets cost at
// least twice what an echo's do, since there are twice the datagrams.
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM = 1500, IDS = 65536 };

static struct {
    struct sockaddr_in client;
    uint16_t id;
} asked[IDS];

struct batch {
    uint8_t bytes[BATCH][DATAGRAM];
    struct sockaddr_in peer[BATCH];
    struct iovec iov[BATCH];
    struct mmsghdr msgs[BATCH];
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int datagrams(void)
{
    static const int room = 4 << 20;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        die("socket");
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    return fd;
}

static unsigned receive(int fd, struct batch *batch)
{
    for (int i = 0; i < BATCH; i++) {
        batch->iov[i] = (struct iovec){.iov_base = batch->bytes[i], .iov_len = DATAGRAM};
        batch->msgs[i].msg_hdr = (struct msghdr){.msg_iov = &batch->iov[i],
                                                 .msg_iovlen = 1,
                                                 .msg_name = &batch->peer[i],
                                                 .msg_namelen = sizeof batch->peer[i]};
    }
    int got = recvmmsg(fd, batch->msgs, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        batch->iov[i].iov_len = batch->msgs[i].msg_len;
    }
    return got > 0 ? (unsigned)got : 0;
}

static void send_all(int fd, struct batch *batch, unsigned count)
{
    for (unsigned done = 0; done < count;) {
        int sent = sendmmsg(fd, batch->msgs + done, count - done, 0);
        done += sent > 0 ? (unsigned)sent : 1; // one that can't be sent is left out
    }
}

static void pass_on(int clients, int upstream)
{
    static struct batch batch;
    static uint16_t next;
    unsigned got = receive(clients, &batch);
    for (unsigned i = 0; i < got; i++) {
        uint8_t *bytes = batch.bytes[i];
        uint16_t id = next++;
        asked[id].client = batch.peer[i];
        asked[id].id = (uint16_t)(bytes[0] << 8 | bytes[1]);
        bytes[0] = (uint8_t)(id >> 8);
        bytes[1] = (uint8_t)id;
        batch.msgs[i].msg_hdr.msg_name = NULL; // the socket is connected
        batch.msgs[i].msg_hdr.msg_namelen = 0;
    }
    send_all(upstream, &batch, got);
}

static void pass_back(int clients, int upstream)
{
    static struct batch batch;
    unsigned got = receive(upstream, &batch);
    for (unsigned i = 0; i < got; i++) {
        uint8_t *bytes = batch.bytes[i];
        unsigned id = (unsigned)bytes[0] << 8 | bytes[1];
        bytes[0] = (uint8_t)(asked[id].id >> 8);
        bytes[1] = (uint8_t)asked[id].id;
        batch.peer[i] = asked[id].client;
        batch.msgs[i].msg_hdr.msg_namelen = sizeof batch.peer[i];
    }
    send_all(clients, &batch, got);
}

int main(int argc, char **argv)
{
    int port = argc == 4 ? atoi(argv[1]) : 0;
    int to_port = argc == 4 ? atoi(argv[3]) : 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)to_port)};
    if (port <= 0 || port > 65535 || to_port <= 0 || to_port > 65535 ||
        inet_pton(AF_INET, argv[2], &at.sin_addr) != 1) {
        fprintf(stderr, "usage: relay PORT ADDRESS UPSTREAM-PORT\n");
        return 2;
    }
    to.sin_addr = at.sin_addr;
    int clients = datagrams();
    int upstream = datagrams();
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_clients = {.events = EPOLLIN, .data.fd = clients};
    struct epoll_event on_upstream = {.events = EPOLLIN, .data.fd = upstream};
    if (bind(clients, (struct sockaddr *)&at, sizeof at) != 0 ||
        connect(upstream, (struct sockaddr *)&to, sizeof to) != 0 || epoll < 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, clients, &on_clients) != 0 ||
        epoll_ctl(epoll, EPOLL_CTL_ADD, upstream, &on_upstream) != 0) {
        die("relay");
    }
    for (;;) {
        struct epoll_event events[2];
        int ready = epoll_wait(epoll, events, 2, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.fd == clients) {
                pass_on(clients, upstream);
            } else {
                pass_back(clients, upstream);
            }
        }
    }
}

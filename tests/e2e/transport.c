#include "transport.h"

#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
    socklen_t size;
};

static struct address parse(const char *text, uint16_t port)
{
    struct address a;
    memset(&a, 0, sizeof a);
    if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
        a.v6.sin6_family = AF_INET6;
        a.v6.sin6_port = htons(port);
        a.size = sizeof a.v6;
    } else {
        ck_assert_msg(inet_pton(AF_INET, text, &a.v4.sin_addr) == 1, "%s is no address", text);
        a.v4.sin_family = AF_INET;
        a.v4.sin_port = htons(port);
        a.size = sizeof a.v4;
    }
    return a;
}

static bool can_bind(const char *text, int type, uint16_t port)
{
    struct address a = parse(text, port);
    int fd = socket(a.any.sa_family, type | SOCK_CLOEXEC, 0);
    int one = 1;
    if (fd >= 0 && type == SOCK_STREAM) {
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    }
    if (fd >= 0 && a.any.sa_family == AF_INET6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    }
    bool bound = fd >= 0 && bind(fd, &a.any, a.size) == 0;
    if (fd >= 0) {
        close(fd);
    }
    return bound;
}

bool have_ipv6(void)
{
    static int have = -1;
    if (have < 0) {
        have = can_bind("::1", SOCK_DGRAM, 0);
    }
    return have != 0;
}

/* Below the ports that the kernel gives to clients, so that no test's own socket sits there. */
uint16_t free_port(void)
{
    static unsigned state;
    if (state == 0) {
        state = (unsigned)getpid() * 2654435761u + (unsigned)clock_ms();
    }
    for (unsigned tries = 0; tries < 1000; tries++) {
        state = state * 1103515245u + 12345u;
        uint16_t port = (uint16_t)(10000 + (state >> 8) % 20000);
        if (can_bind("0.0.0.0", SOCK_DGRAM, port) && can_bind("0.0.0.0", SOCK_STREAM, port) &&
            (!have_ipv6() ||
             (can_bind("::", SOCK_DGRAM, port) && can_bind("::", SOCK_STREAM, port)))) {
            return port;
        }
    }
    ck_abort_msg("no free port");
}

static int open_socket(const char *from, const struct address *to, int type)
{
    int fd = socket(to->any.sa_family, type | SOCK_CLOEXEC, 0);
    if (fd >= 0 && from != NULL) {
        struct address own = parse(from, 0);
        int one = 1; /* the port is chosen when it is known where to: more of them may be had */
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        ck_assert_msg(bind(fd, &own.any, own.size) == 0, "bind %s: %s", from, strerror(errno));
    }
    if (fd >= 0 && connect(fd, &to->any, to->size) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int udp_open(const char *from, const char *address, uint16_t port)
{
    struct address to = parse(address, port);
    int fd = open_socket(from, &to, SOCK_DGRAM);
    ck_assert_msg(fd >= 0, "udp to %s: %s", address, strerror(errno));
    int size = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    return fd;
}

int tcp_try(const char *from, const char *address, uint16_t port)
{
    struct address to = parse(address, port);
    return open_socket(from, &to, SOCK_STREAM);
}

int tcp_open(const char *from, const char *address, uint16_t port)
{
    int fd = tcp_try(from, address, port);
    ck_assert_msg(fd >= 0, "tcp to %s: %s", address, strerror(errno));
    return fd;
}

void tcp_reset(int fd)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

static bool ready(int fd, short what, uint64_t end)
{
    struct pollfd waiting = {.fd = fd, .events = what};
    for (;;) {
        uint64_t now = clock_ms();
        int got = poll(&waiting, 1, now < end ? (int)(end - now) : 0);
        if (got > 0) {
            return true;
        }
        if (got == 0 && clock_ms() >= end) {
            errno = ETIMEDOUT;
            return false;
        }
    }
}

void send_all(int fd, const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    while (size > 0) {
        ck_assert_msg(ready(fd, POLLOUT, end), "sending: %s", strerror(errno));
        ssize_t sent = send(fd, p, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        ck_assert_msg(sent >= 0 || errno == EAGAIN, "sending: %s", strerror(errno));
        if (sent > 0) {
            p += sent;
            size -= (size_t)sent;
        }
    }
}

void send_text(int fd, const char *text)
{
    send_all(fd, text, strlen(text));
}

void tcp_send(int fd, const void *message, size_t size)
{
    uint8_t *framed = malloc(size + 2);
    ck_assert_ptr_nonnull(framed);
    framed[0] = (uint8_t)(size >> 8);
    framed[1] = (uint8_t)size;
    memcpy(framed + 2, message, size);
    send_all(fd, framed, size + 2);
    free(framed);
}

ssize_t receive(int fd, void *data, size_t room, int ms)
{
    if (!ready(fd, POLLIN, clock_ms() + (uint64_t)ms)) {
        return -1;
    }
    return recv(fd, data, room, MSG_DONTWAIT);
}

ssize_t tcp_receive(int fd, uint8_t *message, int ms)
{
    uint64_t end = clock_ms() + (uint64_t)ms;
    uint8_t length[2];
    size_t got = 0, want = 2;
    bool head = true;
    while (head || got < want) {
        if (head && got == 2) {
            want = (size_t)length[0] << 8 | length[1];
            got = 0;
            head = false;
            continue;
        }
        bool nothing = head && got == 0;
        if (!ready(fd, POLLIN, end)) {
            ck_assert_msg(nothing, "only part of a message came");
            return -1;
        }
        uint8_t *at = head ? length : message;
        ssize_t size = recv(fd, at + got, want - got, MSG_DONTWAIT);
        if (size == 0 || (size < 0 && errno == ECONNRESET)) {
            ck_assert_msg(nothing, "the connection ended within a message");
            return 0;
        }
        ck_assert_msg(size > 0 || errno == EAGAIN, "recv: %s", strerror(errno));
        got += size > 0 ? (size_t)size : 0;
    }
    return (ssize_t)got;
}

bool tcp_ends(int fd, int ms)
{
    uint64_t end = clock_ms() + (uint64_t)ms;
    static uint8_t ignored[65536];
    while (ready(fd, POLLIN, end)) {
        ssize_t got = recv(fd, ignored, sizeof ignored, MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) {
            return true;
        }
    }
    return false;
}

ssize_t udp_receive_from(int fd, void *data, size_t room, int ms, char address[64])
{
    struct address from = {.size = sizeof from.v6};
    if (!ready(fd, POLLIN, clock_ms() + (uint64_t)ms)) {
        return -1;
    }
    ssize_t got = recvfrom(fd, data, room, MSG_DONTWAIT, &from.any, &from.size);
    if (from.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &from.v6.sin6_addr, address, 64);
    } else {
        inet_ntop(AF_INET, &from.v4.sin_addr, address, 64);
    }
    return got;
}

/*
 * One UDP and one TCP socket for each worker and listen address, spread by the kernel over the
 * group that SO_REUSEPORT makes of them: no socket lock and no receive queue is shared between
 * cores.
 *
 * SO_REUSEPORT has a trap: a second server started by mistake under the same user would join the
 * group, and each would get half of the queries. So the first socket of an address is bound
 * without it, which fails where anyone is bound there, and allows sharing only then; the kernel
 * makes the group when the second one comes.
 */
#include "net/socket.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

enum {
    /*
     * Receive and send buffers of a UDP socket, in octets (the kernel doubles it, and charges
     * about 768 for a small datagram): room for some 10,000 queries, which is what arrives in
     * 30 ms at full rate while the worker is not scheduled. With the default of 208 KiB it would be
     * under 2 ms. More would make queues whose end is answered after the client gave up.
     */
    UDP_BUFFER = 4 << 20,
    /* Connections that wait for accept(); the kernel caps it at net.core.somaxconn. */
    BACKLOG = 4096,
    /* Connections of TCP Fast Open that have not finished their handshake. */
    FASTOPEN_QUEUE = 256,
};

static int set_option(int fd, int level, int option, int value)
{
    return setsockopt(fd, level, option, &value, sizeof value);
}

/* Beyond net.core.rmem_max where we may, else up to it. A small buffer is no reason not to serve. */
static void size_buffers(int fd)
{
    if (set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, UDP_BUFFER) != 0) {
        set_option(fd, SOL_SOCKET, SO_RCVBUF, UDP_BUFFER);
    }
    if (set_option(fd, SOL_SOCKET, SO_SNDBUFFORCE, UDP_BUFFER) != 0) {
        set_option(fd, SOL_SOCKET, SO_SNDBUF, UDP_BUFFER);
    }
}

/*
 * OMIT: answers go out without DF and whatever a (spoofable) "fragmentation needed" said about the
 * path, which would make us fragment at a size of an attacker's choice. On a wildcard address the
 * kernel would answer from the address of its route, which need not be the one that was
 * asked; so it is to tell us, for 0.16 us a packet, which specific addresses do not pay.
 */
static int prepare_udp(int fd, const struct net_address *address)
{
    bool v6 = address->address.ss_family == AF_INET6;
    size_buffers(fd);
    int error = v6 ? set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_OMIT)
                   : set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_OMIT);
    if (error == 0 && socket_is_wildcard(address)) {
        error = v6 ? set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
                   : set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    }
    return error;
}

/*
 * Set once here, since accepted sockets inherit it. TCP_DEFER_ACCEPT is not: it would hide
 * connections from our limits in the kernel's SYN queue, and lose those that wait there when a
 * listener closes. Fast Open is a gain where the system allows it, nothing to fail for.
 */
static int prepare_tcp(int fd)
{
    set_option(fd, IPPROTO_TCP, TCP_FASTOPEN, FASTOPEN_QUEUE);
    int error = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    return error == 0 ? set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) : error;
}

static int bind_it(int fd, const struct net_address *address, bool stream, bool alone)
{
    int error = 0;
    if (address->address.ss_family == AF_INET6) {
        error = set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    }
    if (error == 0) {
        error = stream ? prepare_tcp(fd) : prepare_udp(fd, address);
    }
    if (error == 0 && !alone) {
        error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (error == 0) {
        error = bind(fd, (const struct sockaddr *)&address->address, address->size);
    }
    if (error == 0 && alone) {
        error = set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
    }
    if (error == 0 && stream) {
        error = listen(fd, BACKLOG);
    }
    return error;
}

int socket_open(const struct net_address *address, bool stream, bool alone)
{
    int type = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC;
    int fd = socket(address->address.ss_family, type, 0);
    if (fd >= 0 && bind_it(fd, address, stream, alone) != 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

int socket_bound(int fd, struct net_address *address)
{
    address->size = sizeof address->address;
    return getsockname(fd, (struct sockaddr *)&address->address, &address->size);
}

/* A sockaddr_storage may not be looked at through another type; a copy may. */
static union socket_address view(const struct net_address *address)
{
    union socket_address copy;
    memcpy(&copy, &address->address, sizeof copy);
    return copy;
}

bool socket_is_wildcard(const struct net_address *address)
{
    union socket_address a = view(address);
    return a.any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&a.v6.sin6_addr)
                                       : a.v4.sin_addr.s_addr == htonl(INADDR_ANY);
}

/* sin_port and sin6_port stand at the same place. */
uint16_t socket_port(const struct net_address *address)
{
    return ntohs(view(address).v4.sin_port);
}

bool socket_same(const struct net_address *a, const struct net_address *b)
{
    union socket_address x = view(a);
    union socket_address y = view(b);
    if (x.any.sa_family != y.any.sa_family || x.v4.sin_port != y.v4.sin_port) {
        return false;
    }
    if (x.any.sa_family == AF_INET6) {
        return x.v6.sin6_scope_id == y.v6.sin6_scope_id &&
               memcmp(&x.v6.sin6_addr, &y.v6.sin6_addr, sizeof x.v6.sin6_addr) == 0;
    }
    return x.v4.sin_addr.s_addr == y.v4.sin_addr.s_addr;
}

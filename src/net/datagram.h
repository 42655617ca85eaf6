/*
 * Sending many datagrams at once, from the address of ours that was asked.
 */
#ifndef RRDNS_NET_DATAGRAM_H
#define RRDNS_NET_DATAGRAM_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/* Room for the one control message we ask for: which of our addresses was asked. */
struct datagram_control {
    _Alignas(struct cmsghdr) uint8_t octets[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Turns what was told of a query's way in into orders for its answer's way out: the same address of
 * ours, but whatever interface the route says. Harmless where nothing was told. */
void datagram_answer_from(struct msghdr *header);

/*
 * Sends messages, of one vector each, without waiting. One that the kernel refuses, for want of a
 * route or by a filter's rule, does not hold up those behind it. Returns how many were sent;
 * *octets becomes their octets.
 */
size_t datagrams_send(int fd, struct mmsghdr *messages, size_t count, uint64_t *octets);

#endif

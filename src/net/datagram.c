#include "net/datagram.h"

#include <errno.h>
#include <sched.h>

enum {
    /*
     * Times that a full send buffer is tried again. It is full because 10,000 answers wait for the
     * network card; what it can't take in these few microseconds the client will ask again,
     * while queries that wait behind a patient worker would all be late.
     */
    SEND_TRIES = 3,
};

/* Link-local addresses mean nothing without their interface. */
void datagram_answer_from(struct msghdr *header)
{
    struct cmsghdr *message = header->msg_controllen != 0 ? CMSG_FIRSTHDR(header) : NULL;
    if (message == NULL) {
        header->msg_control = NULL;
        header->msg_controllen = 0;
    } else if (message->cmsg_level == IPPROTO_IPV6) {
        struct in6_pktinfo *info = (struct in6_pktinfo *)(void *)CMSG_DATA(message);
        if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr)) {
            info->ipi6_ifindex = 0;
        }
    } else {
        struct in_pktinfo *info = (struct in_pktinfo *)(void *)CMSG_DATA(message);
        info->ipi_ifindex = 0;
    }
}

size_t datagrams_send(int fd, struct mmsghdr *messages, size_t count, uint64_t *octets)
{
    size_t sent = 0;
    unsigned tries = 0;
    *octets = 0;
    for (size_t at = 0; at < count;) {
        int done = sendmmsg(fd, &messages[at], (unsigned)(count - at), MSG_DONTWAIT);
        if (done > 0) {
            for (size_t end = at + (size_t)done; at < end; at++) {
                *octets += messages[at].msg_hdr.msg_iov->iov_len;
            }
            sent += (size_t)done;
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            if (++tries > SEND_TRIES) {
                break;
            }
            sched_yield();
        } else if (errno != EINTR) {
            at++;
        }
    }
    return sent;
}

// Answers for forwarders; origin.h says what for.
//
// Two sockets share the address by SO_REUSEPORT, and a filter that the first attaches says that the
// second is to be taken: where there is none, the kernel falls back on the only one. Thus a load
// generator steps in for the program that otherwise answers, without a question in between that
// nobody answers.
#include "origin.h"
#include "load.h"

#include <linux/filter.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BATCH = 64, DATAGRAM = 512, RECORD = 16, OPT = 11 };

// An hour: what is kept at the beginning is kept to the end.
static const uint8_t record[RECORD - 4] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0x0e, 0x10, 0, 4};
static const uint8_t opt[OPT] = {0, 0, 41, 1232 >> 8, 1232 & 0xff};

uint32_t origin_address(const uint8_t *name, size_t length)
{
    uint64_t hash = UINT64_C(0x9e3779b97f4a7c15) + length;
    while (length > 0) {
        uint64_t word = 0;
        size_t part = length < sizeof word ? length : sizeof word;
        memcpy(&word, name, part);
        hash = (hash ^ (word | UINT64_C(0x2020202020202020))) * UINT64_C(0x2545f4914f6cdd1d);
        hash ^= hash >> 29;
        name += part;
        length -= part;
    }
    return (uint32_t)(hash >> 32);
}

int origin_open(struct origin *origin, const struct sockaddr_in *at, bool keep)
{
    static const int on = 1;
    static const int room = 4 << 20;
    struct sock_filter second = BPF_STMT(BPF_RET | BPF_K, 1);
    struct sock_fprog program = {.len = 1, .filter = &second};
    memset(origin, 0, sizeof *origin);
    origin->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (origin->fd < 0) {
        complain("socket");
        return -1;
    }
    setsockopt(origin->fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    setsockopt(origin->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(origin->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    if (bind(origin->fd, (const struct sockaddr *)at, sizeof *at) != 0 ||
        (keep && setsockopt(origin->fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program,
                            sizeof program) != 0)) {
        complain("the upstream's socket");
        close(origin->fd);
        return -1;
    }
    return 0;
}

// Turns a question into its answer. Returns the answer's length, or 0 for what is no question.
static size_t answer(uint8_t *bytes, size_t length)
{
    size_t at = 12;
    if (length < 17 || (bytes[2] & 0x80) != 0 || bytes[4] != 0 || bytes[5] != 1) {
        return 0;
    }
    while (at < length && bytes[at] != 0) {
        at += 1U + bytes[at];
    }
    if (at + 5 > length || at + 5 + RECORD + OPT > DATAGRAM) {
        return 0;
    }
    const uint8_t *type = bytes + at + 1;
    bool for_address = type[0] == 0 && type[1] == 1;
    uint32_t address = origin_address(bytes + 12, at - 12);
    at += 5;
    bytes[2] |= 0x80; // QR
    bytes[3] = 0x80;  // RA, NOERROR
    bytes[7] = for_address;
    if (for_address) {
        memcpy(bytes + at, record, sizeof record);
        at += sizeof record;
        for (int shift = 24; shift >= 0; shift -= 8) {
            bytes[at++] = (uint8_t)(address >> shift);
        }
    }
    if (bytes[11] != 0) {
        memcpy(bytes + at, opt, sizeof opt);
        at += sizeof opt;
    }
    bytes[11] = bytes[11] != 0;
    return at;
}

unsigned origin_turn(struct origin *origin)
{
    static uint8_t bytes[BATCH][DATAGRAM];
    static struct sockaddr_in from[BATCH];
    static struct iovec iov[BATCH];
    static struct mmsghdr msgs[BATCH];
    static unsigned used = BATCH; // of the arrays, since they were as recvmmsg wants them
    for (unsigned i = 0; i < used; i++) {
        iov[i] = (struct iovec){.iov_base = bytes[i], .iov_len = DATAGRAM};
        msgs[i].msg_hdr = (struct msghdr){.msg_iov = &iov[i],
                                          .msg_iovlen = 1,
                                          .msg_name = &from[i],
                                          .msg_namelen = sizeof from[i]};
    }
    int got = recvmmsg(origin->fd, msgs, BATCH, MSG_DONTWAIT, NULL);
    used = got > 0 ? (unsigned)got : 0;
    if (got > 0) {
        origin->last = now_ns();
    }
    for (unsigned i = 0; i < used; i++) {
        iov[i].iov_len = answer(bytes[i], msgs[i].msg_len);
    }
    for (unsigned done = 0; done < used;) {
        // Who sent no question gets an empty datagram, which no forwarder waits for.
        int sent = sendmmsg(origin->fd, msgs + done, used - done, 0);
        done += sent > 0 ? (unsigned)sent : 1; // one that can't be sent is left out
    }
    return used;
}

void origin_close(struct origin *origin)
{
    uint64_t now = now_ns();
    uint64_t end = now + 1000000000U;
    for (uint64_t quiet = now + 20000000U; now < quiet && now < end; now = now_ns()) {
        if (origin_turn(origin) > 0) {
            quiet = now + 20000000U;
        }
    }
    close(origin->fd);
    origin->fd = -1;
}

// UDP as fast as it goes: every client sends a run of questions from its port, and the next run
// when the last is answered.
//
// The load must not be what limits. Over loopback a sender pays for the whole delivery, so one
// core that sends and receives single datagrams can just about keep up with one that echoes them,
// and a server that is faster than that would be measured idling: small batches, many wake-ups. A
// run is therefore one sendmsg with UDP_SEGMENT where the kernel has it: the server gets the same
// datagrams, the generator pays a third. It also never sleeps, so that no server pays for waking
// it.
#include "load.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static void fresh_port(struct load *load, unsigned n)
{
    static unsigned source;
    struct client *client = &load->all[n];
    if (client->fd >= 0) {
        close(client->fd);
    }
    client->fd = client_socket(load, SOCK_DGRAM, source++);
    client->batches = 0;
}

static bool send_segments(struct client *client, size_t each, size_t whole)
{
    struct iovec iov = {.iov_base = client->sent, .iov_len = whole};
    union {
        char bytes[CMSG_SPACE(sizeof(uint16_t))];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (whole > each) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof control.bytes;
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = IPPROTO_UDP;
        cmsg->cmsg_type = UDP_SEGMENT;
        cmsg->cmsg_len = CMSG_LEN(sizeof(uint16_t));
        uint16_t size = (uint16_t)each;
        memcpy(CMSG_DATA(cmsg), &size, sizeof size);
    }
    return sendmsg(client->fd, &msg, 0) >= 0;
}

static bool send_each(struct client *client, size_t each, unsigned count)
{
    struct mmsghdr msgs[WINDOW_MAX] = {0};
    struct iovec iov[WINDOW_MAX];
    for (unsigned i = 0; i < count; i++) {
        iov[i] = (struct iovec){.iov_base = client->sent + each * i, .iov_len = each};
        msgs[i].msg_hdr.msg_iov = &iov[i];
        msgs[i].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(client->fd, msgs, count, 0) >= 0;
}

void udp_send_run(struct load *load, unsigned n, uint64_t now)
{
    struct client *client = &load->all[n];
    if (client->fd < 0 || (load->fresh > 0 && client->batches >= load->fresh)) {
        fresh_port(load, n);
    }
    if (client->fd < 0) {
        return;
    }
    client->generation++;
    client->batches++;
    client->since = now;
    struct bucket *bucket = queries_bucket(&load->queries);
    size_t each = 0;
    size_t whole = 0;
    for (unsigned i = 0; i < load->window; i++) {
        each = ask(load, client, i, bucket, whole);
        whole += each;
    }
    if (load->segments && !send_segments(client, each, whole)) {
        if (errno == EAGAIN || errno == ECONNREFUSED) {
            return; // counted as lost when their time is over
        }
        complain("UDP_SEGMENT is not to be had; one datagram at a time");
        load->segments = false;
    }
    if (!load->segments && !send_each(client, each, load->window) && errno != EAGAIN &&
        errno != ECONNREFUSED) {
        complain("sendmmsg");
    }
}

static bool receive(struct load *load, unsigned n)
{
    static uint8_t answers[WINDOW_MAX][ANSWER_MAX];
    static struct iovec iov[WINDOW_MAX];
    static struct mmsghdr msgs[WINDOW_MAX];
    if (iov[0].iov_base == NULL) {
        for (unsigned i = 0; i < WINDOW_MAX; i++) {
            iov[i] = (struct iovec){.iov_base = answers[i], .iov_len = ANSWER_MAX};
            msgs[i].msg_hdr.msg_iov = &iov[i];
            msgs[i].msg_hdr.msg_iovlen = 1;
        }
    }
    struct client *client = &load->all[n];
    int got = recvmmsg(client->fd, msgs, WINDOW_MAX, MSG_DONTWAIT, NULL);
    if (got <= 0) {
        return false;
    }
    uint64_t now = now_ns();
    for (int i = 0; i < got; i++) {
        check(load, client, answers[i], msgs[i].msg_len, now);
    }
    return true;
}

// Servers answer in the order that they were asked, so the clients who asked first are looked at;
// `everyone` is for what got lost, and for servers that don't.
enum { LOOK_AT = 3 };

bool be_upstream(struct load *load, uint64_t now, bool everyone)
{
    unsigned asked = 0;
    if (load->origin != NULL && (everyone || now < load->origin->last + 100000000U)) {
        asked = origin_turn(load->origin);
        load->tally.asked += asked;
    }
    return asked > 0;
}

bool udp_turn(struct load *load, uint64_t now, bool everyone)
{
    bool any = be_upstream(load, now, everyone);
    for (unsigned n = 0; n < load->clients; n++) {
        if (load->all[n].fd >= 0) {
            break;
        }
        udp_send_run(load, n, now); // the very first turn
        ring_push(load, n);
        any = true;
    }
    unsigned n = load->all[load->clients].after;
    for (unsigned i = 0; n != load->clients && (everyone || i < LOOK_AT); i++) {
        struct client *client = &load->all[n];
        unsigned next = client->after;
        any |= receive(load, n);
        if (everyone) {
            expire(load, client, now);
        }
        if (client->open == 0) {
            ring_drop(load, n);
            udp_send_run(load, n, now_ns());
            ring_push(load, n);
            any = true;
        }
        n = next;
    }
    return any;
}

// TCP in three shapes: many questions at once on each connection, one at a time on each, and a
// connection for each. All three are the same turn: connect, write a run, read until it is answered.
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void drop_connection(struct load *load, struct client *client) {
    if (client->fd >= 0) {
        close(client->fd);
        client->fd = -1;
    }
    for (unsigned i = 0; i < load->window; i++) {
        if (client->slots[i].sent != 0) {
            client->slots[i].sent = 0;
            load->tally.lost++;
        }
    }
    client->open = 0;
    client->out_done = client->out_length = client->in_used = 0;
}

static void start_run(struct load *load, unsigned n, uint64_t now) {
    static unsigned source;
    struct client *client = &load->all[n];
    client->since = now;
    if (client->fd < 0) {
        client->fd = client_socket(load, SOCK_STREAM, source++);
    }
    client->generation++;
    size_t at = 0;
    for (unsigned i = 0; i < load->window; i++) {
        size_t length = ask(load, client, i, queries_bucket(&load->queries), at + 2);
        client->sent[at] = (uint8_t)(length >> 8);
        client->sent[at + 1] = (uint8_t)length;
        at += 2 + length;
    }
    client->out_length = at;
    client->out_done = 0;
}

// False: the connection is of no more use.
static bool write_run(struct client *client) {
    if (client->out_done == client->out_length) {
        return true;
    }
    ssize_t wrote = send(client->fd, client->sent + client->out_done,
                         client->out_length - client->out_done, MSG_NOSIGNAL);
    if (wrote < 0) {
        return errno == EAGAIN || errno == ENOTCONN;
    }
    client->out_done += (size_t)wrote;
    return true;
}

static bool read_run(struct load *load, struct client *client, bool *any) {
    ssize_t got = recv(client->fd, client->in + client->in_used, 2 + 65535 - client->in_used, 0);
    if (got <= 0) {
        return got < 0 && errno == EAGAIN;
    }
    *any = true;
    client->in_used += (size_t)got;
    size_t at = 0;
    uint64_t now = now_ns();
    while (client->in_used - at >= 2) {
        size_t length = (size_t)client->in[at] << 8 | client->in[at + 1];
        if (client->in_used - at - 2 < length) {
            break;
        }
        check(load, client, client->in + at + 2, length, now);
        at += 2 + length;
    }
    memmove(client->in, client->in + at, client->in_used - at);
    client->in_used -= at;
    return true;
}

// A server looks at its connections in an order of its own: more of them are tried than with UDP.
enum { LOOK_AT = 8 };

bool tcp_turn(struct load *load, uint64_t now, bool everyone) {
    bool any = false;
    for (unsigned n = 0; n < load->clients; n++) {
        if (load->all[n].after == n) { // in no ring: the first turn
            start_run(load, n, now);
            ring_push(load, n);
            any = true;
        }
    }
    unsigned n = load->all[load->clients].after;
    for (unsigned i = 0; n != load->clients && (everyone || i < LOOK_AT); i++) {
        struct client *client = &load->all[n];
        unsigned next = client->after;
        bool fine = client->fd >= 0 && write_run(client);
        if (fine && client->out_done == client->out_length) {
            fine = read_run(load, client, &any);
        }
        if (everyone && fine && now > client->since + load->timeout) {
            fine = false;
        }
        if (!fine) {
            load->tally.reconnects++;
            drop_connection(load, client);
        } else if (client->open == 0 && load->mode == MODE_CONNECTIONS) {
            drop_connection(load, client);
        }
        if (client->open == 0) {
            ring_drop(load, n);
            start_run(load, n, now_ns());
            ring_push(load, n);
            // A connection over loopback is there when connect() returns; else at the next look.
            if (client->fd >= 0) {
                write_run(client);
            }
            any = true;
        }
        n = next;
    }
    return any;
}

// TCP in three shapes: many questions at once on each connection, one at a time on each, and a
// connection for each. All three are the same turn: connect, read what is there, write as many new
// questions as were answered.
//
// A client that waits for all answers before it asks again would be simpler, and unfair: a server
// that leaves Nagle's algorithm on then sits until the delayed acknowledgement, 40 ms each time.
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void drop_connection(struct load *load, struct client *client)
{
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

// Fills the client's window with new questions; what could not be written yet goes first.
static void fill(struct load *load, unsigned n, uint64_t now)
{
    static unsigned source;
    struct client *client = &load->all[n];
    client->since = now;
    if (client->fd < 0) {
        client->fd = client_socket(load, SOCK_STREAM, source++);
    }
    memmove(client->out, client->out + client->out_done, client->out_length - client->out_done);
    client->out_length -= client->out_done;
    client->out_done = 0;
    client->generation++;
    for (unsigned i = 0; i < load->window; i++) {
        if (client->slots[i].sent != 0) {
            continue;
        }
        size_t place = (size_t)i * (2 + QUERY_MAX);
        size_t length = ask(load, client, i, queries_bucket(&load->queries), place + 2);
        client->sent[place] = (uint8_t)(length >> 8);
        client->sent[place + 1] = (uint8_t)length;
        memcpy(client->out + client->out_length, client->sent + place, length + 2);
        client->out_length += length + 2;
    }
}

// False: the connection is of no more use.
static bool write_out(struct client *client)
{
    if (client->out_done == client->out_length) {
        return true;
    }
    ssize_t wrote = send(client->fd, client->out + client->out_done,
                         client->out_length - client->out_done, MSG_NOSIGNAL);
    if (wrote < 0) {
        return errno == EAGAIN || errno == ENOTCONN;
    }
    client->out_done += (size_t)wrote;
    return true;
}

// Sets *any when something came; false as above.
static bool read_in(struct load *load, struct client *client, bool *any)
{
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

bool tcp_turn(struct load *load, uint64_t now, bool everyone)
{
    bool any = false;
    for (unsigned n = 0; n < load->clients; n++) {
        if (load->all[n].after == n) { // in no ring: the first turn
            fill(load, n, now);
            ring_push(load, n);
            any = true;
        }
    }
    unsigned n = load->all[load->clients].after;
    for (unsigned i = 0; n != load->clients && (everyone || i < LOOK_AT); i++) {
        struct client *client = &load->all[n];
        unsigned next = client->after;
        bool came = false;
        bool fine = client->fd >= 0 && write_out(client) && read_in(load, client, &came);
        if (everyone && fine && now > client->since + load->timeout) {
            fine = false;
        }
        if (!fine) {
            load->tally.reconnects++;
            drop_connection(load, client);
        } else if (client->open == 0 && load->mode == MODE_CONNECTIONS) {
            drop_connection(load, client);
        }
        if (client->open < load->window) {
            ring_drop(load, n);
            fill(load, n, now_ns());
            ring_push(load, n);
            // A connection over loopback is there when connect() returns; else at the next look.
            if (client->fd >= 0) {
                write_out(client);
            }
        }
        any |= came || !fine;
        n = next;
    }
    return any;
}

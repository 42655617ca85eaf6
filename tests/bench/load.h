// The load generator's inside: what its parts (load.c, load_check.c, load_udp.c, load_tcp.c,
// load_watch.c, load_flood.c) share.
#ifndef RRDNS_BENCH_LOAD_H
#define RRDNS_BENCH_LOAD_H

#include "origin.h"
#include "queries.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WINDOW_MAX = 64,  // questions a client may have open: six bits of their ID
    ANSWER_MAX = 4096 // what a datagram may hold; no answer here comes near
};

// Latencies in 32 steps an octave of nanoseconds: percentiles within 3 %.
enum { HISTOGRAM_STEPS = 32, HISTOGRAM_CELLS = 40 * HISTOGRAM_STEPS };

struct histogram {
    uint64_t cells[HISTOGRAM_CELLS];
    uint64_t count;
    uint64_t max;
};

// What came of the questions asked.
struct tally {
    uint64_t sent;
    uint64_t answered; // right answers
    uint64_t lost;     // no answer within the time
    uint64_t unsent;   // held back because a client had too many open (fixed rate only)
    uint64_t late;     // an answer to nothing that is open
    uint64_t bad_question;
    uint64_t bad_rcode;
    uint64_t empty;      // neither answer nor authority section
    uint64_t bad_record; // not the address that the upstream makes for the name
    uint64_t truncated;
    uint64_t asked;      // questions that came to this as an upstream
    uint64_t reconnects; // connections that the server ended
    struct histogram latency;
};

struct slot {
    uint64_t sent; // when, in ns; 0: free
    const uint8_t *wire;
    uint16_t id;
    uint16_t question_length; // octets of the question section
    uint8_t rcode;
};

// One source of questions: a socket, on a port of its own.
struct client {
    int fd;
    unsigned open;    // questions without an answer
    unsigned batches; // since the socket is there
    uint16_t generation;
    uint64_t since; // when it last asked
    struct slot slots[WINDOW_MAX];
    uint8_t *sent; // the questions as they were sent, one slot each of 2 + QUERY_MAX octets
    // TCP only:
    uint8_t *in;
    size_t in_used;
    uint8_t *out;
    size_t out_length;
    size_t out_done;
    // Clients with questions open stand in a ring, the one that asked first in front.
    unsigned before;
    unsigned after;
};

enum mode { MODE_UDP, MODE_TCP, MODE_CONNECTIONS, MODE_UNTIL };

struct load {
    enum mode mode;
    unsigned clients;
    unsigned window;
    unsigned fresh;   // batches after which a client takes a new port; 0: never
    unsigned sources; // source addresses, from 127.1.0.1
    bool segments;    // UDP_SEGMENT where the kernel has it
    bool yields;      // sleeps where it has nothing to do
    bool echo;        // the server only echoes: ID and QR are all there is to check
    bool forwarded;   // RD is set, and addresses have to be those of origin.h
    double rate;      // questions a second; 0: as many as come back
    double warm_up;   // seconds
    double seconds;
    uint64_t timeout; // ns
    struct sockaddr_in server;
    struct queries queries;
    struct edns edns;
    struct tally tally;
    struct client *all;
    struct origin *origin; // the upstream that this is at the same time; or NULL
    uint64_t began;        // when what is waited for was started, in ns since 1970; 0: now
    uint64_t waited;       // ns in which the generator had nothing to do
    // At a fixed rate: when it last looked at the clock, ns in which it was stopped itself, and until
    // when: what was open then says nothing of the server, and is counted but not timed.
    uint64_t looked;
    uint64_t stopped;
    uint64_t blind;
    // A change to make while it runs, and what shows that it is there.
    const char *command;
    const char *zone;
    uint32_t serial;
    struct load *flood; // asked meanwhile by the same generator (fixed rate only); or NULL
};

uint64_t now_ns(void);
double own_time(void); // seconds of processor time that this process had
// Burns time without touching a socket: the server's core must not fight for its cache lines.
void pause_ns(uint64_t ns);
void complain(const char *what); // perror, once per message

// A socket of type SOCK_DGRAM or SOCK_STREAM, non-blocking, bound to the n-th source address and
// being connected to the server; -1 with a complaint.
int client_socket(const struct load *load, int type, unsigned n);
int clients_make(struct load *load);
void clients_free(struct load *load);

void histogram_add(struct histogram *histogram, uint64_t ns);
double histogram_at(const struct histogram *histogram, double share); // microseconds

// Writes question `slot` of a client (after `skip` octets) and marks it open. Returns its length.
size_t ask(struct load *load, struct client *client, unsigned slot, struct bucket *bucket,
           size_t skip);
// Checks an answer, counts it, closes its slot. True when it closed one.
bool check(struct load *load, struct client *client, const uint8_t *answer, size_t length,
           uint64_t now);
// Counts what has been open for too long as lost and closes it.
void expire(struct load *load, struct client *client, uint64_t now);

// Sends a run of questions of one length, as one message where the kernel takes that.
void udp_send_run(struct load *load, unsigned n, uint64_t now);

// The ring of clients with questions open.
void ring_push(struct load *load, unsigned n);
void ring_drop(struct load *load, unsigned n);

// Answers what forwarders ask, where this is their upstream: looks at the socket where something came
// within the last 100 ms, or when it looks at `everyone`. Whether there was anything.
bool be_upstream(struct load *load, uint64_t now, bool everyone);

// One turn of a generator: whether anything happened. Sends, receives, never sleeps.
bool udp_turn(struct load *load, uint64_t now, bool everyone);
bool tcp_turn(struct load *load, uint64_t now, bool everyone);
// One turn of a flood: at its rate, whatever comes back (what does is only counted, answers and
// truncated ones), or without a rate as udp_turn does.
void flood_turn(struct load *flood, uint64_t now);

// What udp_rate() found around a change.
struct change {
    uint64_t started; // when the command was started
    uint64_t ended;   // when it had ended; 0: it hasn't
    int status;       // its exit status
    uint64_t seen;    // when the new serial was seen; 0: never
    uint64_t lost_before;
    double measured;         // seconds for which questions were asked and counted
    double own;              // seconds of these that the generator had a core
    struct histogram before; // latencies before the change, until it is seen, and then
    struct histogram during;
    struct histogram after;
};

// Asks at a fixed rate for the time set, or, with a command, until a second after its effect.
int udp_rate(struct load *load, struct change *change);

// Waits until `load->queries` are all answered right, at most `load->seconds`, or until the process
// `pid` (0: none) is no more. Returns the seconds it took, or -1.
double wait_until_right(struct load *load, int pid);

// The SOA serial in an answer to a SOA question; 0 when it is none.
uint32_t answer_serial(const uint8_t *answer, size_t length);

#endif

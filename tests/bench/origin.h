// What forwarders forward to: answers every question for an address with one that is made from the
// name, so that who asked can tell whether an answer is the right one.
//
// It costs as little as it can, and where it is measured with it is part of the load generator: it
// never sleeps then, so that no forwarder pays for waking it, and its time is not the server's.
#ifndef RRDNS_BENCH_ORIGIN_H
#define RRDNS_BENCH_ORIGIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct origin {
    int fd;
    uint64_t last; // when something came
};

// The address of a name in wire form, `length` octets, in whatever case: in host order.
uint32_t origin_address(const uint8_t *name, size_t length);

// Opens it at an address that several may share. Of those there, one that is opened to `keep` takes
// what comes while it is alone; one that isn't takes everything from the moment it is opened until
// it is closed. There may be one of each. Returns 0, or -1 with a complaint.
int origin_open(struct origin *origin, const struct sockaddr_in *at, bool keep);

// Answers what is there, at most one batch. Returns how many. Never blocks.
unsigned origin_turn(struct origin *origin);

// Answers on until nothing has come for 20 ms (at most for a second), then closes: no forwarder is
// left waiting.
void origin_close(struct origin *origin);

#endif

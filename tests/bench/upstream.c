// The upstream of forwarders while no load generator is it (origin.h): when they start, and between
// measurements.
//
//   upstream PORT [ADDRESS]  UDP on 127.0.0.1 or ADDRESS, until it is ended
#include "origin.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    struct origin origin;
    int port = argc == 2 || argc == 3 ? atoi(argv[1]) : 0;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (port <= 0 || port > 65535 ||
        inet_pton(AF_INET, argc == 3 ? argv[2] : "127.0.0.1", &at.sin_addr) != 1) {
        fprintf(stderr, "usage: upstream PORT [ADDRESS]\n");
        return 2;
    }
    if (origin_open(&origin, &at, true) != 0) {
        return 1;
    }
    for (;;) {
        struct pollfd in = {.fd = origin.fd, .events = POLLIN};
        poll(&in, 1, -1);
        while (origin_turn(&origin) > 0) {
        }
    }
}

/*
 * Sockets of the clients that the tests play. Every wait is bounded; addresses are text
 * ("127.0.0.1", "::1").
 */
#ifndef E2E_TRANSPORT_H
#define E2E_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { MESSAGE_ROOM = 65535 };

/* Whether this machine has ::1; where not, tests over IPv6 are left out. */
bool have_ipv6(void);

/* A port on which nothing listens on any of our addresses just now. */
uint16_t free_port(void);

/*
 * Sockets connected to the address; from is the client's own address, or NULL for any. -1 with
 * errno set only for tcp_try.
 */
int udp_open(const char *from, const char *address, uint16_t port);
int tcp_open(const char *from, const char *address, uint16_t port);
int tcp_try(const char *from, const char *address, uint16_t port);

/* Closes with a reset instead of a FIN. */
void tcp_reset(int fd);

/* Sends all of it. Fails the test when it can't within patience. */
void send_all(int fd, const void *data, size_t size);
void send_text(int fd, const char *text);
/* send_all, after two octets of length. */
void tcp_send(int fd, const void *message, size_t size);

/*
 * Waits up to ms for what comes: its size; 0 for the end of the connection; -1 with errno
 * ETIMEDOUT, ECONNRESET...
 */
ssize_t receive(int fd, void *data, size_t room, int ms);
/* One whole message by TCP: its size; 0 at the end of the connection (or with its reset before the
 * first octet); fails the test when only part of it comes within ms. -1: nothing came. */
ssize_t tcp_receive(int fd, uint8_t *message, int ms);

/* True when the peer ends the connection (FIN or reset) within ms; what it still sends is thrown
 * away. */
bool tcp_ends(int fd, int ms);

/* The remote address of the next datagram. */
ssize_t udp_receive_from(int fd, void *data, size_t room, int ms, char address[64]);

#endif

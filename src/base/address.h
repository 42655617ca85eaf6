/*
 * Socket addresses as text: "192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%eth0]:53".
 */
#ifndef RRDNS_BASE_ADDRESS_H
#define RRDNS_BASE_ADDRESS_H

#include <stdint.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_MAX = 80 }; /* room for any address with its scope and port, and the NUL */

/*
 * Reads an address with a port, or without one: then it gets port. IPv6 without a port may
 * stand without brackets. Never asks a name service. Returns 0, RR_EINVAL for what is no address,
 * RR_ERANGE for a port that is not 1 to 65535.
 */
int address_parse(const char *text, uint16_t port, struct sockaddr_storage *address,
                  socklen_t *size);

/* Writes the form that address_parse reads, always with the port, to text (ADDRESS_TEXT_MAX). */
void address_format(const struct sockaddr *address, char *text);

#endif

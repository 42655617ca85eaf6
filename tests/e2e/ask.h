/*
 * Simple questions, for tests in which the answer itself is not what is in doubt.
 */
#ifndef E2E_ASK_H
#define E2E_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A plain query's message, in room for 512 octets. Returns its size. */
size_t ask_message(const char *name, const char *type, uint16_t id, uint8_t *message);

/*
 * Asks on a connected socket and waits for the answer, which must be one (ID, question) and well
 * formed: "RCODE" and the first record of the answer section, "NOERROR 192.0.2.1", "REFUSED"
 * (static). Answers to other IDs are passed over for datagrams.
 */
const char *ask_udp(int fd, const char *name, const char *type);
const char *ask_tcp(int fd, const char *name, const char *type);

/* The same on a socket of its own. "(no answer)" instead of a failed test. */
const char *ask_once(const char *address, uint16_t port, bool stream, const char *name,
                     const char *type);

/* What an answer says, in that form. Fails the test where the message is malformed. */
const char *answer_text(const uint8_t *answer, size_t size);

#endif

/*
 * The server that most tests of programs and commands use: two zones, the same names in both. One
 * at a time, as a fixture around each test.
 */
#ifndef E2E_EXAMPLE_H
#define E2E_EXAMPLE_H

#include <jansson.h>
#include <sys/types.h>

#include "daemon.h"
#include "harness.h"

/* The zones' text: 68 records, 9 names, serial 7; www is 192.0.2.10, and so on. */
extern const char example_zone[];

/* The server, which serves example.test and other.test. */
void example_begin(void);
void example_end(void);

/* Fails the test unless www.example.test is answered over UDP and TCP. */
void example_served(void);

/* The programs, with arguments as a shell has them. */
struct output rrdnsd(const char *arguments);
struct output rrdnsutil(const char *arguments);
/* dig and drill, asking the server. */
struct output dig(const char *arguments);
struct output drill(const char *arguments);

/* The result that `rrdnsctl -j ARGUMENTS` prints. New reference. */
json_t *printed(const char *arguments);

/*
 * Asks for the status as another user, in a process of its own (root only): what came of it.
 */
enum as_user { AS_USER_ANSWERED, AS_USER_REFUSED, AS_USER_FORBIDDEN, AS_USER_FAILED };
enum as_user status_as(uid_t uid, gid_t gid);

enum { NOBODY = 65534 };

/* A suite of one group of tests (ended by NULL), each with that server. */
Suite *example_suite(const char *name, const TTest *const *tests);

#endif

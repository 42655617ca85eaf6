/*
 * One case against a server: the exchange, and everything that is checked of it.
 */
#ifndef E2E_CASE_RUN_H
#define E2E_CASE_RUN_H

#include "casefile.h"
#include "daemon.h"

/* Runs the case over each of its transports. Fails the test with what differs. */
void case_run(struct daemon *daemon, const struct test_case *c);

/* To be called when another server has taken the place of the last one. */
void case_run_reset(void);

#endif

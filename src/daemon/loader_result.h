/*
 * What a plan came to, as a struct loader_result. The loader's own; others see loader.h.
 */
#ifndef RRDNS_DAEMON_LOADER_RESULT_H
#define RRDNS_DAEMON_LOADER_RESULT_H

#include "daemon/loader_table.h"

/*
 * Takes the diagnostics over from the plan. Returns 0, or RR_ENOMEM and what is to be freed with
 * loader_result_free.
 */
int loader_result_new(struct loader_plan *plan, struct loader_result *result);

/*
 * Adds what was loaded ahead of the result's job to what that found unchanged. Takes over and frees
 * early; where there is no memory its zones are counted and not listed.
 */
void loader_result_add(struct loader_result *result, struct loader_result *early);

/* For a second waiter; where there is no memory it gets the numbers without the list. */
struct loader_result loader_result_copy(const struct loader_result *from);

#endif

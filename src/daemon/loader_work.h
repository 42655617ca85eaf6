/*
 * The work of a job: looks at each zone of a plan and loads what changed, on several threads. The
 * loader's own; others see loader.h.
 */
#ifndef RRDNS_DAEMON_LOADER_WORK_H
#define RRDNS_DAEMON_LOADER_WORK_H

#include <stdatomic.h>
#include <stdbool.h>

#include "daemon/loader_table.h"

/*
 * Fills in outcome, zone, sources, milliseconds and diag of the plan's items. gentle: on threads
 * that give way to workers (someone is being served), never on the caller's. Items not yet begun
 * when *stop becomes true are left as they are; the caller then gives the job up.
 */
void loader_work(struct loader_plan *plan, bool gentle, const atomic_bool *stop);

#endif

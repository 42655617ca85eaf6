/*
 * What loading and reloading came to, as lines of the log, or of a terminal.
 */
#ifndef RRDNS_DAEMON_REPORT_H
#define RRDNS_DAEMON_REPORT_H

#include <stdio.h>

#include "base/diag.h"
#include "daemon/loader.h"

/* Faults as errors, warnings as warnings. */
void report_diag(const struct diag *diag);

/* Every failed zone, every zone's warnings, what was loaded, and a sum that begins with what. */
void report_zones(const char *what, const struct loader_result *result);

/* Every line that diag kept, for the checks: faults as they are, warnings after "warning: ". */
void report_print(const struct diag *diag, FILE *out);

/* Whether all that was printed has been written: 0, or 1 and told on standard error. */
int report_flush(void);

#endif

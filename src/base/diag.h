/*
 * Diagnostics: faults and warnings with their place, collected while a file is read.
 *
 * A fault says why a zone or configuration is refused; a warning is told and passed. The first
 * DIAG_KEEP of them are kept as text, "place: reason", the rest only counted: a zone of ten
 * million bad lines must not cost ten million messages. Not thread safe: one reader, one diag.
 */
#ifndef RRDNS_BASE_DIAG_H
#define RRDNS_BASE_DIAG_H

#include <stddef.h>

enum { DIAG_KEEP = 100 };

enum diag_severity { DIAG_FAULT, DIAG_WARNING };

struct diag_entry {
    enum diag_severity severity;
    char *text; /* "file:line: reason", owned by the diag */
};

struct diag {
    size_t faults;   /* all of them, kept or not */
    size_t warnings; /* likewise */
    size_t kept;
    struct diag_entry *entries;
};

/* Empties; the entries are freed. A zeroed struct diag is a valid empty one. */
void diag_clear(struct diag *diag);

/* Adds "FILE:LINE: text" (or "FILE: text" where line is 0). file may be NULL: "text" alone. */
void diag_add(struct diag *diag, enum diag_severity severity, const char *file, size_t line,
              const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Adds all of from behind what diag has; from is then empty. */
void diag_merge(struct diag *diag, struct diag *from);

/* The text of the first fault, or NULL where there is none (or it was not kept). */
const char *diag_first_fault(const struct diag *diag);

#define diag_fault(diag, file, line, ...) diag_add(diag, DIAG_FAULT, file, line, __VA_ARGS__)
#define diag_warn(diag, file, line, ...) diag_add(diag, DIAG_WARNING, file, line, __VA_ARGS__)

#endif

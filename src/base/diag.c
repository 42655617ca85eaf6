/*
 * A tenth of the room is kept for faults: a flood of warnings must not hide the one line that
 * says why the zone was refused.
 */
#include "base/diag.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEEP_WARNINGS = DIAG_KEEP - DIAG_KEEP / 10 };

void diag_clear(struct diag *diag)
{
    for (size_t i = 0; i < diag->kept; i++) {
        free(diag->entries[i].text);
    }
    free(diag->entries);
    *diag = (struct diag){0};
}

/* Room doubles from 4 on: of 200,000 zones with a warning each, each has a diag. */
static bool make_room(struct diag *diag)
{
    size_t kept = diag->kept;
    if (kept != 0 && (kept < 4 || (kept & (kept - 1)) != 0)) {
        return true;
    }
    size_t room = kept == 0 ? 4 : 2 * kept;
    struct diag_entry *entries = realloc(diag->entries, room * sizeof *entries);
    if (entries != NULL) {
        diag->entries = entries;
    }
    return entries != NULL;
}

static size_t room_for(enum diag_severity severity)
{
    return severity == DIAG_FAULT ? DIAG_KEEP : KEEP_WARNINGS;
}

void diag_add(struct diag *diag, enum diag_severity severity, const char *file, size_t line,
              const char *format, ...)
{
    size_t *count = severity == DIAG_FAULT ? &diag->faults : &diag->warnings;
    (*count)++;
    if (diag->kept >= room_for(severity)) {
        return;
    }
    if (!make_room(diag)) {
        return;
    }
    char text[1024];
    int used = 0;
    if (file != NULL && line != 0) {
        used = snprintf(text, sizeof text, "%s:%zu: ", file, line);
    } else if (file != NULL) {
        used = snprintf(text, sizeof text, "%s: ", file);
    }
    if (used < 0 || (size_t)used >= sizeof text) {
        used = 0;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, sizeof text - (size_t)used, format, args);
    va_end(args);

    char *copy = strdup(text);
    if (copy == NULL) {
        return;
    }
    diag->entries[diag->kept++] = (struct diag_entry){.severity = severity, .text = copy};
}

void diag_merge(struct diag *diag, struct diag *from)
{
    diag->faults += from->faults;
    diag->warnings += from->warnings;
    for (size_t i = 0; i < from->kept; i++) {
        struct diag_entry *entry = &from->entries[i];
        if (diag->kept < room_for(entry->severity) && make_room(diag)) {
            diag->entries[diag->kept++] = *entry;
        } else {
            free(entry->text);
        }
    }
    from->kept = 0;
    diag_clear(from);
}

const char *diag_first_fault(const struct diag *diag)
{
    for (size_t i = 0; i < diag->kept; i++) {
        if (diag->entries[i].severity == DIAG_FAULT) {
            return diag->entries[i].text;
        }
    }
    return NULL;
}

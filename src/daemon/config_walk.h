/*
 * Walks a JSON document beside a schema: checks keys, types and ranges, stores plain values where
 * the schema says, and hands the others to functions. Every fault is told with file, line and key
 * path, and the walk goes on after it.
 */
#ifndef RRDNS_DAEMON_CONFIG_WALK_H
#define RRDNS_DAEMON_CONFIG_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/diag.h"
#include "daemon/json_places.h"

enum schema_kind {
    SCHEMA_OBJECT,   /* inner: its keys, ended by one without a name */
    SCHEMA_MAP,      /* an object with any keys; inner: what their values are */
    SCHEMA_LIST,     /* inner: what its elements are */
    SCHEMA_BOOL,     /* stored as bool */
    SCHEMA_NUMBER,   /* stored as unsigned */
    SCHEMA_DURATION, /* "10s"; stored as unsigned milliseconds */
    SCHEMA_SIZE,     /* "64M"; stored as size_t */
    SCHEMA_TEXT,     /* stored as char *, the one before freed; maximum: its octets */
    SCHEMA_PATH,     /* likewise; a relative one is joined to the file's directory, "" stays */
};

struct walk;

/* value is of the right kind, its inside has been walked; line is where it stands. */
typedef void schema_take(struct walk *walk, const json_t *value, size_t line);

struct schema {
    const char *name; /* key; NULL for elements and at the end of a table */
    enum schema_kind kind;
    const struct schema *inner;
    int64_t minimum, maximum; /* both 0: no limits */
    size_t offset;            /* in the walk's target where it is stored; 0: it isn't */
    schema_take *take;        /* or NULL */
    const char *only;         /* JSON of the only value that this version takes, or NULL */
};

struct walk {
    const char *file; /* for messages; relative paths are relative to its directory */
    struct diag *diag;
    void *target;   /* struct that offsets go into */
    void *context;  /* for takers */
    bool no_memory; /* something could not be stored; sticky */

    struct json_places places; /* the walk's own, as what follows */
    size_t index;              /* of the element reached in the list begun last */
    size_t path_size;
    char path[256]; /* "zones[2].name"; cut where it would be longer */
};

/*
 * Walks text, to be called with file, diag, target and context set and the rest zero. Returns 0,
 * RR_EINVAL where there was a fault, RR_ENOMEM.
 */
int walk_text(struct walk *walk, const struct schema *schema, const char *text, size_t size);

/* Tells a fault of the value being walked: "file:line: path: ...". */
void walk_fault(struct walk *walk, size_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Takers: of durations that are to be whole seconds, of texts that are to be domain names. */
schema_take walk_whole_seconds;
schema_take walk_take_name;

/* A copy of path, joined to the directory of file (NULL: none) where it is relative; "" stays.
 * NULL where there is no memory. */
char *walk_path(const char *file, const char *path);

/* Text of a file from outside in a message, in quotes, printable and not too long. */
enum { WALK_QUOTED_MAX = 100 };
const char *walk_quote(const char *text, char *quoted);

/* A place for did-you-mean: keeps the word that is nearest to what was written. Zeroed: none. */
struct meant {
    const char *word;
    size_t slip;
};
void meant_consider(struct meant *meant, const char *written, const char *word);

/* ", did you mean ...?" where there is something to mean, else "". Returns text. */
enum { MEANT_TEXT_MAX = WALK_QUOTED_MAX + 32 };
const char *meant_text(const struct meant *meant, char *text);

#endif

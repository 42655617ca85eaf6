/*
 * Where things stand in a JSON text. jansson forgets lines and drops all but the last of a
 * key given twice; this keeps both, as a tree that runs beside jansson's.
 */
#ifndef RRDNS_DAEMON_JSON_PLACES_H
#define RRDNS_DAEMON_JSON_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value: index 0 is the document's own; 0 elsewhere means "none". */
struct json_place {
    uint32_t parent;
    uint32_t child; /* first of an object or array, in the order of the text */
    uint32_t last;  /* child */
    uint32_t next;  /* sibling */
    uint32_t line;  /* from 1: of the key for a member of an object, else of the value */
    uint32_t key;   /* position in the text, inside the quotes; escapes not decoded */
    uint32_t key_size;
    bool object;
};

struct json_places {
    const char *text; /* the caller's, to outlive this */
    size_t count;
    struct json_place *place;
};

/*
 * Maps text, which jansson has accepted (anything else gives a tree that means nothing, but does
 * no harm). Returns 0, RR_ELIMIT for 4 GiB or more, RR_ENOMEM.
 */
int json_places_map(const char *text, size_t size, struct json_places *places);
void json_places_free(struct json_places *places);

/* The decoded key of a member, to be freed by the caller; NULL where there is no memory. */
char *json_places_key(const struct json_places *places, uint32_t place);

#endif

/*
 * One pass without recursion: the text is known to be JSON, so the only questions are where
 * values begin and how deep they are. A string is a key when it comes first in an object or
 * after a comma in one.
 */
#include "daemon/json_places.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/err.h"
#include "daemon/json_read.h"

struct scan {
    struct json_places *out;
    size_t room; /* places allocated */
    uint32_t line;
    uint32_t within; /* the object or array that is open */
    bool key_expected;
    uint32_t key, key_size, key_line; /* of the member whose value comes next; line 0: none */
};

static int place_add(struct scan *scan, uint32_t *index)
{
    struct json_places *out = scan->out;
    if (out->count == scan->room) {
        size_t room = scan->room == 0 ? 64 : 2 * scan->room;
        struct json_place *place = realloc(out->place, room * sizeof *place);
        if (place == NULL) {
            return RR_ENOMEM;
        }
        out->place = place;
        scan->room = room;
    }
    *index = (uint32_t)out->count++;
    struct json_place *added = &out->place[*index];
    *added = (struct json_place){.parent = scan->within, .line = scan->line};
    if (scan->key_line != 0) {
        added->line = scan->key_line;
        added->key = scan->key;
        added->key_size = scan->key_size;
        scan->key_line = 0;
    }
    if (*index != 0) {
        struct json_place *parent = &out->place[scan->within];
        if (parent->child == 0) {
            parent->child = *index;
        } else {
            out->place[parent->last].next = *index;
        }
        parent->last = *index;
    }
    return RR_OK;
}

/* Position of the quote that ends the string that begins at `at` (after its quote). */
static size_t string_end(const char *text, size_t size, size_t at)
{
    while (at < size && text[at] != '"') {
        at += text[at] == '\\' ? 2 : 1;
    }
    return at < size ? at : size;
}

static size_t scalar_end(const char *text, size_t size, size_t at)
{
    do {
        at++;
    } while (at < size && strchr(" \t\r\n,]}", text[at]) == NULL);
    return at;
}

/* What stands at `at` and is no white space; *next is where to go on. */
static int scan_token(struct scan *scan, const char *text, size_t size, size_t at, size_t *next)
{
    struct json_places *out = scan->out;
    uint32_t index;
    int error = RR_OK;
    *next = at + 1;
    switch (text[at]) {
    case '{':
    case '[':
        error = place_add(scan, &index);
        if (error == RR_OK) {
            out->place[index].object = text[at] == '{';
            scan->within = index;
            scan->key_expected = text[at] == '{';
        }
        return error;
    case '}':
    case ']':
        if (out->count > 0) {
            scan->within = out->place[scan->within].parent;
        }
        scan->key_expected = false;
        return RR_OK;
    case ',':
        scan->key_expected = out->count > 0 && out->place[scan->within].object;
        return RR_OK;
    case ':':
        return RR_OK;
    case '"':
        *next = string_end(text, size, at + 1);
        if (scan->key_expected) {
            scan->key_expected = false;
            scan->key = (uint32_t)(at + 1);
            scan->key_size = (uint32_t)(*next - at - 1);
            scan->key_line = scan->line;
        } else {
            error = place_add(scan, &index);
        }
        *next += 1;
        return error;
    default:
        *next = scalar_end(text, size, at);
        return place_add(scan, &index);
    }
}

int json_places_map(const char *text, size_t size, struct json_places *places)
{
    *places = (struct json_places){.text = text};
    if (size >= UINT32_MAX) {
        return RR_ELIMIT;
    }
    struct scan scan = {.out = places, .line = 1};
    size_t at = 0;
    while (at < size) {
        if (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n') {
            scan.line += text[at] == '\n';
            at++;
            continue;
        }
        int error = scan_token(&scan, text, size, at, &at);
        if (error != RR_OK) {
            json_places_free(places);
            return error;
        }
    }
    return RR_OK;
}

void json_places_free(struct json_places *places)
{
    free(places->place);
    *places = (struct json_places){0};
}

char *json_places_key(const struct json_places *places, uint32_t place)
{
    const struct json_place *at = &places->place[place];
    const char *raw = places->text + at->key;
    if (memchr(raw, '\\', at->key_size) == NULL) {
        return strndup(raw, at->key_size);
    }
    /* Escapes are jansson's to decode: with its quotes, a key is a document of its own. */
    json_t *string;
    int error = json_read(raw - 1, at->key_size + 2u, JSON_DECODE_ANY, &string, NULL);
    char *key = error == RR_OK ? strdup(json_string_value(string)) : NULL;
    json_decref(string);
    return key;
}

/*
 * Two trees are walked side by side: jansson's, which has the values, and json_places', which has
 * the lines and every key, also one given twice. Their children come in the same order but for
 * such doubles, so members are found by name and elements by number.
 */
#include "daemon/config_walk.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"
#include "daemon/json_read.h"
#include "dns/name.h"

static void walk_value(struct walk *walk, const struct schema *schema, const json_t *value,
                       uint32_t place);

const char *walk_quote(const char *text, char *quoted)
{
    char printable[WALK_QUOTED_MAX - 2];
    snprintf(quoted, WALK_QUOTED_MAX, "\"%s\"", text_printable(text, printable, sizeof printable));
    return quoted;
}

void walk_fault(struct walk *walk, size_t line, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (walk->path_size > 0) {
        diag_fault(walk->diag, walk->file, line, "%s: %s", walk->path, text);
    } else {
        diag_fault(walk->diag, walk->file, line, "%s", text);
    }
}

void walk_whole_seconds(struct walk *walk, const json_t *value, size_t line)
{
    int64_t milliseconds;
    char quoted[WALK_QUOTED_MAX];
    if (text_duration(json_string_value(value), &milliseconds) != 0 || milliseconds % 1000 != 0) {
        walk_fault(walk, line, "%s is not a number of whole seconds",
                   walk_quote(json_string_value(value), quoted));
    }
}

void walk_take_name(struct walk *walk, const json_t *value, size_t line)
{
    uint8_t name[NAME_MAX_OCTETS];
    char quoted[WALK_QUOTED_MAX];
    const char *text = json_string_value(value);
    int error = name_from_text(text, strlen(text), NULL, name);
    if (error != 0) {
        walk_fault(walk, line, "%s %s", walk_quote(text, quoted),
                   error == RR_ERANGE ? "is longer than a domain name may be"
                                      : "is not a domain name");
    }
}

void meant_consider(struct meant *meant, const char *written, const char *word)
{
    size_t slip = text_slip(written, word);
    if (meant->word == NULL || slip < meant->slip) {
        *meant = slip == SIZE_MAX ? *meant : (struct meant){word, slip};
    }
}

const char *meant_text(const struct meant *meant, char *text)
{
    text[0] = '\0';
    if (meant->word != NULL) {
        char quoted[WALK_QUOTED_MAX];
        snprintf(text, MEANT_TEXT_MAX, ", did you mean %s?", walk_quote(meant->word, quoted));
    }
    return text;
}

char *walk_path(const char *file, const char *path)
{
    const char *slash =
        file != NULL && path[0] != '/' && path[0] != '\0' ? strrchr(file, '/') : NULL;
    size_t prefix = slash != NULL ? (size_t)(slash + 1 - file) : 0;
    size_t size = strlen(path) + 1;
    char *joined = malloc(prefix + size);
    if (joined != NULL) {
        if (prefix > 0) {
            memcpy(joined, file, prefix);
        }
        memcpy(joined + prefix, path, size);
    }
    return joined;
}

/* Adds a step to the path; the caller puts path_size back with path_cut. */
static void path_add(struct walk *walk, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void path_add(struct walk *walk, const char *format, ...)
{
    size_t room = sizeof walk->path - walk->path_size;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(walk->path + walk->path_size, room, format, args);
    va_end(args);
    walk->path_size += n < 0 ? 0 : (size_t)n < room ? (size_t)n : room - 1;
}

static void path_cut(struct walk *walk, size_t size)
{
    walk->path_size = size;
    walk->path[size] = '\0';
}

static void path_add_key(struct walk *walk, const char *key)
{
    char printable[64];
    text_printable(key, printable, sizeof printable);
    path_add(walk, "%s%s", walk->path_size > 0 ? "." : "", printable);
}

/* ---- Objects ---- */

/* Where keys of an object stand that is known to have one twice: by key, an index into places. */
struct doubles {
    json_t *first, *last;
};

static void doubles_find(struct walk *walk, uint32_t object, struct doubles *doubles)
{
    const struct json_place *place = walk->places.place;
    doubles->first = json_object();
    doubles->last = json_object();
    for (uint32_t at = place[object].child; at != 0; at = place[at].next) {
        char *key = json_places_key(&walk->places, at);
        if (key == NULL) {
            walk->no_memory = true;
            return;
        }
        if (json_object_get(doubles->first, key) == NULL) {
            json_object_set_new(doubles->first, key, json_integer(at));
        }
        json_object_set_new(doubles->last, key, json_integer(at));
        free(key);
    }
}

/*
 * Whether the member at `at` is the one whose value jansson has: the last of its key. Those
 * after the first are told as faults.
 */
static bool doubles_check(struct walk *walk, const struct doubles *doubles, const char *key,
                          uint32_t at)
{
    const struct json_place *place = walk->places.place;
    json_int_t first = json_integer_value(json_object_get(doubles->first, key));
    if (first != at) {
        walk_fault(walk, place[at].line, "duplicate key, first given in line %" PRIu32,
                   place[first].line);
    }
    return json_integer_value(json_object_get(doubles->last, key)) == at;
}

static const struct schema *find_key(const struct schema *keys, const char *name)
{
    for (; keys->name != NULL; keys++) {
        if (strcmp(keys->name, name) == 0) {
            return keys;
        }
    }
    return NULL;
}

static void unknown_key(struct walk *walk, const struct schema *keys, const char *name, size_t line)
{
    struct meant meant = {0};
    char hint[MEANT_TEXT_MAX];
    for (; keys->name != NULL; keys++) {
        meant_consider(&meant, name, keys->name);
    }
    walk_fault(walk, line, "unknown key%s", meant_text(&meant, hint));
}

static void walk_member(struct walk *walk, const struct schema *schema, const json_t *object,
                        uint32_t at, const struct doubles *doubles)
{
    char *key = json_places_key(&walk->places, at);
    if (key == NULL) {
        walk->no_memory = true;
        return;
    }
    size_t before = walk->path_size;
    path_add_key(walk, key);
    if (doubles == NULL || doubles_check(walk, doubles, key, at)) {
        const json_t *value = json_object_get(object, key);
        const struct schema *known =
            schema->kind == SCHEMA_MAP ? schema->inner : find_key(schema->inner, key);
        if (known == NULL) {
            unknown_key(walk, schema->inner, key, walk->places.place[at].line);
        } else if (value != NULL) {
            walk_value(walk, known, value, at);
        }
    }
    path_cut(walk, before);
    free(key);
}

static void walk_object(struct walk *walk, const struct schema *schema, const json_t *object,
                        uint32_t place)
{
    size_t members = 0;
    for (uint32_t at = walk->places.place[place].child; at != 0; at = walk->places.place[at].next) {
        members++;
    }
    struct doubles doubles = {0};
    bool doubled = members != json_object_size(object);
    if (doubled) {
        doubles_find(walk, place, &doubles);
    }
    for (uint32_t at = walk->places.place[place].child; at != 0 && !walk->no_memory;
         at = walk->places.place[at].next) {
        walk_member(walk, schema, object, at, doubled ? &doubles : NULL);
    }
    json_decref(doubles.first);
    json_decref(doubles.last);
}

static void walk_list(struct walk *walk, const struct schema *schema, const json_t *list,
                      uint32_t place)
{
    size_t before = walk->path_size;
    size_t index = 0;
    for (uint32_t at = walk->places.place[place].child; at != 0; at = walk->places.place[at].next) {
        const json_t *value = json_array_get(list, index);
        walk->index = index;
        path_add(walk, "[%zu]", index++);
        if (value != NULL) {
            walk_value(walk, schema->inner, value, at);
        }
        path_cut(walk, before);
    }
}

/* ---- Plain values ---- */

static const char *kind_name(enum schema_kind kind)
{
    switch (kind) {
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        return "an object";
    case SCHEMA_LIST:
        return "a list";
    case SCHEMA_BOOL:
        return "true or false";
    case SCHEMA_NUMBER:
        return "a whole number";
    case SCHEMA_DURATION:
        return "a duration such as \"500ms\", \"10s\", \"5m\" or \"14d\"";
    case SCHEMA_SIZE:
        return "a size such as \"512K\", \"64M\" or \"1G\"";
    default:
        return "a string";
    }
}

static const char *value_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "a number";
    case JSON_REAL:
        return "a fraction";
    case JSON_NULL:
        return "null";
    default:
        return json_is_true(value) ? "true" : "false";
    }
}

static bool kind_fits(enum schema_kind kind, const json_t *value)
{
    switch (kind) {
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        return json_is_object(value);
    case SCHEMA_LIST:
        return json_is_array(value);
    case SCHEMA_BOOL:
        return json_is_boolean(value);
    case SCHEMA_NUMBER:
        return json_is_integer(value);
    default:
        return json_is_string(value);
    }
}

/* The number that stands for a value of a kind that has one; false: told as a fault. */
static bool read_number(struct walk *walk, const struct schema *schema, const json_t *value,
                        size_t line, int64_t *number)
{
    char quoted[WALK_QUOTED_MAX];
    int error = RR_OK;
    if (schema->kind == SCHEMA_NUMBER) {
        *number = json_integer_value(value);
    } else {
        const char *text = json_string_value(value);
        error =
            schema->kind == SCHEMA_DURATION ? text_duration(text, number) : text_size(text, number);
        walk_quote(text, quoted);
    }
    if (error == RR_EINVAL) {
        walk_fault(walk, line, "%s is not %s", quoted, kind_name(schema->kind));
        return false;
    }
    bool limited = schema->minimum != 0 || schema->maximum != 0;
    if (error == RR_OK &&
        (!limited || (*number >= schema->minimum && *number <= schema->maximum))) {
        return true;
    }
    char low[TEXT_DURATION_MAX + TEXT_SIZE_MAX], high[TEXT_DURATION_MAX + TEXT_SIZE_MAX];
    if (schema->kind == SCHEMA_DURATION) {
        text_from_duration(schema->minimum, low);
        text_from_duration(schema->maximum, high);
        walk_fault(walk, line, "%s is outside %s to %s", quoted, low, high);
    } else if (schema->kind == SCHEMA_NUMBER) {
        walk_fault(walk, line, "%" PRId64 " is outside %" PRId64 " to %" PRId64, *number,
                   schema->minimum, schema->maximum);
    } else if (limited) {
        text_from_size(schema->minimum, low);
        text_from_size(schema->maximum, high);
        walk_fault(walk, line, "%s is outside %s to %s", quoted, low, high);
    } else {
        walk_fault(walk, line, "%s is too large", quoted);
    }
    return false;
}

static void store_text(struct walk *walk, const struct schema *schema, const json_t *value,
                       size_t line)
{
    const char *text = json_string_value(value);
    if (schema->maximum != 0 && json_string_length(value) > (size_t)schema->maximum) {
        walk_fault(walk, line, "has %zu octets, at most %" PRId64 " are possible",
                   json_string_length(value), schema->maximum);
        return;
    }
    if (schema->offset == 0) {
        return;
    }
    char **stored = (char **)(void *)((char *)walk->target + schema->offset);
    char *copy = walk_path(schema->kind == SCHEMA_PATH ? walk->file : NULL, text);
    if (copy == NULL) {
        walk->no_memory = true;
        return;
    }
    free(*stored);
    *stored = copy;
}

static void walk_plain(struct walk *walk, const struct schema *schema, const json_t *value,
                       size_t line)
{
    char *target = (char *)walk->target + schema->offset;
    int64_t number;
    switch (schema->kind) {
    case SCHEMA_BOOL:
        if (schema->offset != 0) {
            *(bool *)(void *)target = json_is_true(value);
        }
        break;
    case SCHEMA_TEXT:
    case SCHEMA_PATH:
        store_text(walk, schema, value, line);
        break;
    default:
        if (!read_number(walk, schema, value, line, &number) || schema->offset == 0) {
            break;
        }
        if (schema->kind == SCHEMA_SIZE) {
            *(size_t *)(void *)target = (size_t)number;
        } else {
            *(unsigned *)(void *)target = (unsigned)number;
        }
    }
}

/* ---- Any value ---- */

static void check_only(struct walk *walk, const struct schema *schema, const json_t *value,
                       size_t line)
{
    json_t *only = json_loads(schema->only, JSON_DECODE_ANY, NULL);
    if (only == NULL) {
        walk->no_memory = true;
    } else if (!json_equal(only, value)) {
        walk_fault(walk, line, "not available in this version (only %s is accepted)", schema->only);
    }
    json_decref(only);
}

static void walk_value(struct walk *walk, const struct schema *schema, const json_t *value,
                       uint32_t place)
{
    size_t line = walk->places.place[place].line;
    size_t faults = walk->diag->faults;
    if (!kind_fits(schema->kind, value)) {
        walk_fault(walk, line, "must be %s, not %s", kind_name(schema->kind), value_name(value));
        return;
    }
    switch (schema->kind) {
    case SCHEMA_OBJECT:
    case SCHEMA_MAP:
        walk_object(walk, schema, value, place);
        break;
    case SCHEMA_LIST:
        walk_list(walk, schema, value, place);
        break;
    default:
        walk_plain(walk, schema, value, line);
    }
    /* A wrong text is told once; what is inside a container is told beside it. */
    if (schema->only != NULL && (schema->inner != NULL || faults == walk->diag->faults)) {
        check_only(walk, schema, value, line);
    }
    if (schema->take != NULL && faults == walk->diag->faults) {
        schema->take(walk, value, line);
    }
}

/* ---- Text ---- */

int walk_text(struct walk *walk, const struct schema *schema, const char *text, size_t size)
{
    size_t faults = walk->diag->faults;
    json_error_t json_error;
    char printable[sizeof json_error.text];
    json_t *document;
    int error = json_read(text, size, 0, &document, &json_error);
    if (error == RR_ENOMEM) {
        return error;
    }
    if (error != RR_OK) {
        size_t line = json_error.line > 0 ? (size_t)json_error.line : 0;
        diag_fault(walk->diag, walk->file, line, "not JSON: %s",
                   text_printable(json_error.text, printable, sizeof printable));
        return RR_EINVAL;
    }
    error = json_places_map(text, size, &walk->places);
    if (error == RR_OK) {
        walk_value(walk, schema, document, 0);
        json_places_free(&walk->places);
        error = walk->no_memory ? RR_ENOMEM : faults != walk->diag->faults ? RR_EINVAL : RR_OK;
    }
    json_decref(document);
    return error;
}

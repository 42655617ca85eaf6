/*
 * JSON texts are read or refused for want of memory, whichever allocation it is that fails; what is
 * read is never another text.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "daemon/json_read.h"
#include "unit.h"

/* Sanitizers have a malloc of their own, which can't be replaced like this. */
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
extern void *__libc_malloc(size_t size);

static size_t allocations; /* until they fail */
static bool fails;

void *malloc(size_t size)
{
    if (fails && (allocations == 0 || --allocations == 0)) {
        return NULL;
    }
    return __libc_malloc(size);
}

/* With memory for `good` allocations only, if that is not all it takes. Whether it was. */
static bool read_with(size_t good, const char *text, const json_t *whole)
{
    json_error_t json_error;
    json_t *document;
    allocations = good;
    fails = true;
    int error = json_read(text, strlen(text), 0, &document, &json_error);
    bool enough = allocations > 0;
    fails = false;
    if (enough) {
        ck_assert_int_eq(error, RR_OK);
        ck_assert(json_equal(document, whole));
    } else {
        ck_assert_int_eq(error, RR_ENOMEM);
        ck_assert_ptr_null(document);
    }
    json_decref(document);
    return enough;
}

static void try_all(const char *text)
{
    json_error_t json_error;
    json_t *whole = json_loads(text, 0, &json_error);
    ck_assert_msg(whole != NULL, "%s", json_error.text);
    size_t good = 1;
    while (!read_with(good, text, whole)) {
        good++;
    }
    ck_assert_uint_gt(good, 10);
    json_decref(whole);
}

START_TEST(no_memory)
{
    enum { LONG = 40000 };
    static char text[4 * LONG];
    try_all("{\"server\": {\"listen\": [\"127.0.0.1:5300\", \"[::1]:5300\"], \"workers\": 2},"
            " \"zones\": [{\"name\": \"a\\u00e9b.example\", \"file\": \"x\"}, {}, [], 1.5e3, null]}");
    size_t used = (size_t)sprintf(text, "[\"");
    memset(text + used, 'x', LONG);
    sprintf(text + used + LONG, "\", {\"");
    used = strlen(text);
    memset(text + used, 'y', LONG);
    sprintf(text + used + LONG, "\": [1, \"\\ud83d\\ude00\"]}]");
    try_all(text);
    used = 0;
    for (size_t i = 0; i < 400; i++) {
        used += (size_t)sprintf(text + used, "[0,");
    }
    used += (size_t)sprintf(text + used, "1");
    memset(text + used, ']', 400);
    text[used + 400] = '\0';
    try_all(text);
}
END_TEST
#endif

static int read_text(const char *text, size_t flags, json_t **document)
{
    json_error_t error;
    return json_read(text, strlen(text), flags, document, &error);
}

START_TEST(as_jansson_does)
{
    json_t *document;
    ck_assert_int_eq(read_text("{\"a\": 1, \"a\": 2}", 0, &document), RR_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(document, "a")), 2);
    json_decref(document);
    ck_assert_int_eq(read_text("{\"a\": 1, \"a\": 2}", JSON_REJECT_DUPLICATES, &document), RR_EINVAL);
    ck_assert_ptr_null(document);
    ck_assert_int_eq(read_text("\"one\"", JSON_DECODE_ANY, &document), RR_OK);
    ck_assert_str_eq(json_string_value(document), "one");
    json_decref(document);
    ck_assert_int_eq(read_text("", 0, &document), RR_EINVAL);
    ck_assert_int_eq(read_text("[1] x", 0, &document), RR_EINVAL);
    json_error_t error;
    ck_assert_int_eq(json_read("[1,\n2,\n  x]", 12, 0, &document, &error), RR_EINVAL);
    ck_assert_int_eq(error.line, 3);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("json_read");
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    tcase_add_test(unit.tests, no_memory);
#endif
    tcase_add_test(unit.tests, as_jansson_does);
    return unit_end(&unit);
}

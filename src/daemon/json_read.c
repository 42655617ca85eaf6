/*
 * Where jansson's lexer (2.14) gets no memory for the next octet of a string it goes on without it:
 * a reload would take "127.0.0.1:5300" for "127.0.0.1:53", and what it writes then may lie behind
 * what it has allocated. So it is never refused any: when memory ends, what it asks for comes from a
 * reserve that was taken before, the text ends for it within TEXT_STEP octets, and what it made is
 * dropped.
 */
#include "daemon/json_read.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum {
    TEXT_STEP = 64, /* octets it gets at a time */
    /* What TEXT_STEP octets make at most: as many arrays or objects of some 300 octets. */
    RESERVE_LEAST = 64 << 10,
    /* And what may just have to be doubled: an array, of 8 octets for each two of the text. A string
     * has copies of one octet each. The reserve is not touched, so it costs nothing. */
    RESERVE_TIMES = 16,
};

static _Thread_local struct {
    char *memory; /* NULL: nothing is being read */
    size_t size, used;
    bool needed;
} reserve;

static void *from_reserve(size_t size)
{
    size_t align = alignof(max_align_t), rounded = (size + align - 1) / align * align;
    reserve.needed = true;
    if (reserve.memory == NULL || rounded < size || rounded > reserve.size - reserve.used) {
        return NULL;
    }
    void *memory = reserve.memory + reserve.used;
    reserve.used += rounded;
    return memory;
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        memory = from_reserve(size);
    }
    return memory;
}

static void release(void *memory)
{
    const char *at = memory;
    if (reserve.memory == NULL || at < reserve.memory || at >= reserve.memory + reserve.size) {
        free(memory);
    }
}

static void watch_memory(void)
{
    json_set_alloc_funcs(allocate, release);
}

struct text {
    const char *next;
    size_t left;
};

static size_t give_text(void *buffer, size_t room, void *context)
{
    struct text *text = context;
    size_t size = reserve.needed ? 0 : text->left;
    size = size < room ? size : room;
    size = size < TEXT_STEP ? size : TEXT_STEP;
    memcpy(buffer, text->next, size);
    text->next += size;
    text->left -= size;
    return size;
}

int json_read(const char *text, size_t size, size_t flags, json_t **document, json_error_t *error)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct text from = {.next = text, .left = size};
    *document = NULL;
    reserve.size = RESERVE_TIMES * size + RESERVE_LEAST;
    reserve.used = 0;
    reserve.needed = false;
    reserve.memory = malloc(reserve.size);
    if (reserve.memory == NULL) {
        return RR_ENOMEM;
    }
    pthread_once(&once, watch_memory);
    *document = json_load_callback(give_text, &from, flags, error);
    if (reserve.needed) {
        json_decref(*document);
        *document = NULL;
    }
    free(reserve.memory);
    reserve.memory = NULL;
    return reserve.needed ? RR_ENOMEM : *document != NULL ? RR_OK : RR_EINVAL;
}

#include "names.h"

#include <ldns/ldns.h>
#include <string.h>

enum { BUFFERS = 256 };

const uint8_t *names_wire(const char *text)
{
    static uint8_t buffers[BUFFERS][NAME_MAX_OCTETS];
    static size_t next;
    ldns_rdf *rdf = ldns_dname_new_frm_str(text);
    ck_assert_msg(rdf != NULL, "no name: %s", text);
    size_t size = ldns_rdf_size(rdf);
    ck_assert_uint_le(size, NAME_MAX_OCTETS);
    uint8_t *name = buffers[next++ % BUFFERS];
    memcpy(name, ldns_rdf_data(rdf), size);
    ldns_rdf_deep_free(rdf);
    return name;
}

const char *names_text(const uint8_t *name)
{
    static char buffers[BUFFERS][NAME_MAX_TEXT];
    static size_t next;
    char *text = buffers[next++ % BUFFERS];
    name_to_text(name, text);
    return text;
}

size_t names_size(const uint8_t *name)
{
    size_t size = 1;
    while (*name != 0) {
        size += 1u + *name;
        name += 1u + *name;
    }
    return size;
}

unsigned names_labels(const uint8_t *name)
{
    unsigned labels = 0;
    while (*name != 0) {
        labels++;
        name += 1u + *name;
    }
    return labels;
}

/* Where the labels begin, the first one first; returns how many. */
static unsigned label_starts(const uint8_t *name, const uint8_t *starts[NAME_MAX_LABELS])
{
    unsigned labels = 0;
    for (; *name != 0; name += 1u + *name) {
        starts[labels++] = name;
    }
    return labels;
}

static int lower(int octet)
{
    return octet >= 'A' && octet <= 'Z' ? octet - 'A' + 'a' : octet;
}

/* As unsigned left-justified octet strings, lower case; absence before a zero octet. */
static int compare_labels(const uint8_t *a, const uint8_t *b)
{
    for (unsigned i = 1;; i++) {
        if (i > a[0] || i > b[0]) {
            return (int)a[0] - (int)b[0];
        }
        int order = lower(a[i]) - lower(b[i]);
        if (order != 0) {
            return order;
        }
    }
}

int names_compare(const uint8_t *a, const uint8_t *b)
{
    const uint8_t *in_a[NAME_MAX_LABELS], *in_b[NAME_MAX_LABELS];
    unsigned labels_a = label_starts(a, in_a), labels_b = label_starts(b, in_b);
    for (unsigned i = 1; i <= labels_a && i <= labels_b; i++) {
        int order = compare_labels(in_a[labels_a - i], in_b[labels_b - i]);
        if (order != 0) {
            return order;
        }
    }
    return (int)labels_a - (int)labels_b;
}

bool names_under(const uint8_t *name, const uint8_t *ancestor)
{
    unsigned labels = names_labels(name), wanted = names_labels(ancestor);
    for (; labels > wanted; labels--) {
        name += 1u + *name;
    }
    return labels == wanted && names_compare(name, ancestor) == 0;
}

bool names_prepend(uint8_t *name, const void *label, size_t size)
{
    size_t tail = names_size(name);
    if (tail + 1 + size > NAME_MAX_OCTETS) {
        return false;
    }
    memmove(name + 1 + size, name, tail);
    name[0] = (uint8_t)size;
    memcpy(name + 1, label, size);
    return true;
}

static size_t random_label(struct rng *rng, enum names_kind kind, uint8_t *label)
{
    static const char host[] = "abcdefghijklmnopqrstuvwxyz0123456789-_ABCXYZ";
    static const uint8_t edges[] = {0x00, 0xff, '-',  '.',  '/',  '0',  '@',  'A',
                                    'Z',  '[',  '_',  '`',  'a',  'z',  '{',  0x7f,
                                    0x80, 0xa7, 0xa8, 0xd4, 0xd5, 0xfe, 0x01, ','};
    size_t size = 1;
    switch (kind) {
    case NAMES_DENSE:
        label[0] = (uint8_t)("abc*"[rng_below(rng, 4)]);
        return 1;
    case NAMES_HOST:
        size = 1 + rng_below(rng, 12);
        for (size_t i = 0; i < size; i++) {
            label[i] = (uint8_t)host[rng_below(rng, sizeof host - 1)];
        }
        return size;
    case NAMES_MANY:
        break;
    case NAMES_LONG:
        size = 1 + rng_below(rng, 63);
        break;
    case NAMES_OCTETS:
        size = rng_once_in(rng, 10) ? 63 : 1 + rng_below(rng, 4);
        break;
    }
    rng_fill(rng, label, size);
    for (size_t i = 0; i < size; i++) {
        if (rng_once_in(rng, 2)) {
            label[i] = edges[rng_below(rng, sizeof edges)];
        }
    }
    return size;
}

void names_random(struct rng *rng, enum names_kind kind, const uint8_t *apex, unsigned most,
                  uint8_t *name)
{
    memcpy(name, apex, names_size(apex));
    uint8_t label[NAME_MAX_LABEL];
    if (kind == NAMES_MANY) {
        while (names_prepend(name, label, random_label(rng, kind, label))) {
        }
        return;
    }
    if (kind == NAMES_LONG) {
        size_t left;
        while ((left = NAME_MAX_OCTETS - names_size(name)) > 0) {
            size_t size = random_label(rng, kind, label);
            if (left <= 1 + NAME_MAX_LABEL) {
                size = left - 1;
            } else if (left - (1 + size) == 1) {
                size--; /* a single octet left could hold no label */
            }
            if (size == 0 || !names_prepend(name, label, size)) {
                return;
            }
        }
        return;
    }
    for (unsigned labels = rng_below(rng, most + 1); labels > 0; labels--) {
        names_prepend(name, label, random_label(rng, kind, label));
    }
}

void names_shuffle_case(struct rng *rng, uint8_t *name)
{
    for (uint8_t *p = name; *p != 0; p += 1u + *p) {
        for (unsigned i = 1; i <= *p; i++) {
            int letter = lower(p[i]);
            if (letter >= 'a' && letter <= 'z') {
                p[i] = (uint8_t)(rng_once_in(rng, 2) ? letter : letter - 'a' + 'A');
            }
        }
    }
}

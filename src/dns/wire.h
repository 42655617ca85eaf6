/*
 * Bounded reading and writing of wire integers and octets.
 *
 * Both sides fail stickily: after the first step out of bounds `failed` is set, reads return
 * zero and writes do nothing, so that code goes straight on and checks once. A writer can be
 * rolled back to a mark, which is how an RRset that does not fit is left out whole.
 */
#ifndef RRDNS_DNS_WIRE_H
#define RRDNS_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t wire_get_u16(const uint8_t *p)
{
    return (uint16_t)((unsigned)p[0] << 8 | p[1]);
}

static inline uint32_t wire_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void wire_put_u16(uint8_t *p, uint16_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static inline void wire_put_u32(uint8_t *p, uint32_t value)
{
    p[0] = (uint8_t)(value >> 24);
    p[1] = (uint8_t)(value >> 16);
    p[2] = (uint8_t)(value >> 8);
    p[3] = (uint8_t)value;
}

struct wire_reader {
    const uint8_t *data;
    size_t size;
    size_t pos;
    bool failed;
};

static inline struct wire_reader wire_reader_init(const uint8_t *data, size_t size)
{
    return (struct wire_reader){.data = data, .size = size};
}

static inline size_t wire_reader_left(const struct wire_reader *r)
{
    return r->size - r->pos;
}

/* The next n octets, or NULL (and failed) where fewer are left. */
static inline const uint8_t *wire_read_octets(struct wire_reader *r, size_t n)
{
    if (r->failed || n > r->size - r->pos) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->data + r->pos;
    r->pos += n;
    return p;
}

static inline uint8_t wire_read_u8(struct wire_reader *r)
{
    const uint8_t *p = wire_read_octets(r, 1);
    return p != NULL ? p[0] : 0;
}

static inline uint16_t wire_read_u16(struct wire_reader *r)
{
    const uint8_t *p = wire_read_octets(r, 2);
    return p != NULL ? wire_get_u16(p) : 0;
}

static inline uint32_t wire_read_u32(struct wire_reader *r)
{
    const uint8_t *p = wire_read_octets(r, 4);
    return p != NULL ? wire_get_u32(p) : 0;
}

struct wire_writer {
    uint8_t *data;
    size_t size; /* octets that may be written in all */
    size_t pos;
    bool failed;
};

static inline struct wire_writer wire_writer_init(uint8_t *data, size_t size)
{
    return (struct wire_writer){.data = data, .size = size};
}

/* Room for n octets to be filled by the caller, or NULL (and failed) where there is not enough. */
static inline uint8_t *wire_write_room(struct wire_writer *w, size_t n)
{
    if (w->failed || n > w->size - w->pos) {
        w->failed = true;
        return NULL;
    }
    uint8_t *p = w->data + w->pos;
    w->pos += n;
    return p;
}

static inline void wire_write_octets(struct wire_writer *w, const void *octets, size_t n)
{
    uint8_t *p = wire_write_room(w, n);
    if (p != NULL && n > 0) {
        memcpy(p, octets, n);
    }
}

static inline void wire_write_u8(struct wire_writer *w, uint8_t value)
{
    wire_write_octets(w, &value, 1);
}

static inline void wire_write_u16(struct wire_writer *w, uint16_t value)
{
    uint8_t *p = wire_write_room(w, 2);
    if (p != NULL) {
        wire_put_u16(p, value);
    }
}

static inline void wire_write_u32(struct wire_writer *w, uint32_t value)
{
    uint8_t *p = wire_write_room(w, 4);
    if (p != NULL) {
        wire_put_u32(p, value);
    }
}

/* Back to a position taken from w->pos before; clears failed. */
static inline void wire_writer_rewind(struct wire_writer *w, size_t mark)
{
    w->pos = mark;
    w->failed = false;
}

#endif

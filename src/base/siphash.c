#include "base/siphash.h"

struct state {
    uint64_t a, b, c, d; /* v0 to v3 of the paper */
};

static inline uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* Written out, it is one load where octets lie so in memory; as a loop it would be eight. */
static inline uint64_t little64(const uint8_t *p)
{
    return (uint64_t)p[0] | (uint64_t)p[1] << 8 | (uint64_t)p[2] << 16 | (uint64_t)p[3] << 24 |
           (uint64_t)p[4] << 32 | (uint64_t)p[5] << 40 | (uint64_t)p[6] << 48 |
           (uint64_t)p[7] << 56;
}

/* The state comes and goes by value, so that it stays in registers. */
static inline struct state round_of(struct state v)
{
    v.a += v.b;
    v.c += v.d;
    v.b = rotate(v.b, 13) ^ v.a;
    v.d = rotate(v.d, 16) ^ v.c;
    v.a = rotate(v.a, 32);
    v.c += v.b;
    v.a += v.d;
    v.b = rotate(v.b, 17) ^ v.c;
    v.d = rotate(v.d, 21) ^ v.a;
    v.c = rotate(v.c, 32);
    return v;
}

static inline struct state take_word(struct state v, uint64_t word)
{
    v.d ^= word;
    v = round_of(round_of(v));
    v.a ^= word;
    return v;
}

uint64_t siphash24(const uint8_t key[16], const void *data, size_t size)
{
    const uint8_t *p = data;
    uint64_t k0 = little64(key), k1 = little64(key + 8);
    struct state v = {
        k0 ^ 0x736f6d6570736575u,
        k1 ^ 0x646f72616e646f6du,
        k0 ^ 0x6c7967656e657261u,
        k1 ^ 0x7465646279746573u,
    };
    size_t left = size;
    for (; left >= 8; left -= 8, p += 8) {
        v = take_word(v, little64(p));
    }
    uint64_t last = (uint64_t)size << 56;
    for (size_t i = 0; i < left; i++) {
        last |= (uint64_t)p[i] << (8 * i);
    }
    v = take_word(v, last);
    v.c ^= 0xff;
    v = round_of(round_of(round_of(round_of(v))));
    return v.a ^ v.b ^ v.c ^ v.d;
}

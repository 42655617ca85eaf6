/*
 * Text looked at 16 octets at once, so that finding the end of a word or the dots of a name costs
 * no branch per octet (and no misprediction per word, which was a third of the time). SSE2
 * where there is any, which is every x86-64; else the compiler makes what it can of plain loops.
 *
 * All functions read 16 octets at p, whatever they need of them.
 */
#ifndef RRDNS_ZONE_BLOCK_H
#define RRDNS_ZONE_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { BLOCK = 16 };

/* A bit for each octet that is `octet`, the first one's lowest. */
static inline unsigned block_equal(const char *p, char octet)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
    return (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(block, _mm_set1_epi8(octet)));
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        mask |= (unsigned)(p[i] == octet) << i;
    }
    return mask;
#endif
}

/*
 * A bit for each octet that ends or escapes a word of a master file: blanks and all else up to
 * 0x20, and " ( ) ; \.
 */
static inline unsigned block_special(const char *p)
{
#ifdef __SSE2__
    __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i blank = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(' ')), block);
    __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    __m128i paren = _mm_cmpeq_epi8(_mm_and_si128(block, _mm_set1_epi8((char)0xfe)),
                                   _mm_set1_epi8('('));
    __m128i comment = _mm_cmpeq_epi8(block, _mm_set1_epi8(';'));
    __m128i escape = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    __m128i any = _mm_or_si128(_mm_or_si128(_mm_or_si128(blank, quote), paren),
                               _mm_or_si128(comment, escape));
    return (unsigned)_mm_movemask_epi8(any);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < BLOCK; i++) {
        uint8_t c = (uint8_t)p[i];
        mask |= (unsigned)(c <= ' ' || c == '"' || (c & 0xfe) == '(' || c == ';' || c == '\\') << i;
    }
    return mask;
#endif
}

/* Eight octets as a number, the first one lowest. */
static inline uint64_t block_load64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/*
 * 1 to 8 characters as digits, the last one in the highest octet, zeros in those before the first.
 * An octet above 9 was no digit: block_are_digits finds out.
 */
static inline uint64_t block_digits(const char *p, size_t size)
{
    return (block_load64(p) ^ UINT64_C(0x3030303030303030)) << (64 - 8 * size);
}

static inline bool block_are_digits(uint64_t digits)
{
    return ((digits | (digits + UINT64_C(0x7676767676767676))) & UINT64_C(0x8080808080808080)) == 0;
}

/* Their decimal value: neighbours are put together, then pairs, then fours. */
static inline uint32_t block_decimal(uint64_t digits)
{
    digits = (digits * 10 + (digits >> 8)) & UINT64_C(0x00ff00ff00ff00ff);
    digits = (digits * 100 + (digits >> 16)) & UINT64_C(0x0000ffff0000ffff);
    return (uint32_t)((digits & UINT32_MAX) * 10000 + (digits >> 32));
}

#endif

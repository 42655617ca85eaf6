/*
 * Messages by hand: numbers of 16 bits, and the bits of headers and of EDNS. The server's own
 * headers are not used here, so that a slip in them shows.
 */
#ifndef E2E_OCTETS_H
#define E2E_OCTETS_H

#include <stdint.h>

enum {
    FLAG_QR = 0x8000,
    FLAG_AA = 0x0400,
    FLAG_TC = 0x0200,
    FLAG_RD = 0x0100,
    FLAG_RA = 0x0080,
    FLAG_AD = 0x0020,
    FLAG_CD = 0x0010,
    EDNS_DO = 0x8000,
};

static inline void write16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline uint16_t read16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

#endif

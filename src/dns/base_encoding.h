/*
 * Octets as text: hex (RFC 4648 section 8), base32hex without padding (RFC 5155 section 3.3),
 * base64 (RFC 4648 section 4).
 *
 * Decoders take the text piece by piece, because master files may put blanks anywhere in it:
 * start with a zeroed struct base_decoder, feed, end. Text is taken in one form only: padding must
 * be whole and at the end, the bits left over must be zero.
 */
#ifndef RRDNS_DNS_BASE_ENCODING_H
#define RRDNS_DNS_BASE_ENCODING_H

#include <stddef.h>
#include <stdint.h>

#include "dns/wire.h"

struct base_decoder {
    uint32_t bits;    /* what has been read and not yet written, right-aligned */
    unsigned pending; /* how many bits that is */
    unsigned digits;  /* in the group that is being read */
    unsigned padding; /* '=' seen */
};

/* Each writes what is whole to out. Returns 0, or RR_EINVAL at a character that can't stand there
 * (blanks included). A full out fails stickily as ever. */
int hex_feed(struct base_decoder *decoder, const char *text, size_t size, struct wire_writer *out);
int base32hex_feed(struct base_decoder *decoder, const char *text, size_t size,
                   struct wire_writer *out);
int base64_feed(struct base_decoder *decoder, const char *text, size_t size,
                struct wire_writer *out);

/* Whether the text was whole: 0, or RR_EINVAL. */
int hex_end(const struct base_decoder *decoder);
int base32hex_end(const struct base_decoder *decoder);
int base64_end(const struct base_decoder *decoder);

/* Write the text (hex upper case, base32hex lower case as in NSEC3 names) without a NUL. */
void hex_encode(struct wire_writer *out, const uint8_t *data, size_t size);
void base32hex_encode(struct wire_writer *out, const uint8_t *data, size_t size);
void base64_encode(struct wire_writer *out, const uint8_t *data, size_t size);

#endif

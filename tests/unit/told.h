/*
 * Answers from the wire as text, to be compared whole. Read by ldns; and every name in them is
 * walked over by hand: pointers go backwards, to where a label stands in an earlier name, and only
 * where RFC 3597 section 4 allows them.
 *
 *     NOERROR qr aa
 *     question www.example. IN A
 *     answer www.example. 3600 IN A 192.0.2.1
 *     opt 1232 do
 *     option 3 616263
 */
#ifndef RRDNS_TESTS_TOLD_H
#define RRDNS_TESTS_TOLD_H

#include <stddef.h>
#include <stdint.h>

/* The text, malloc'd; a message that is broken ends the test. */
char *told_text(const uint8_t *message, size_t size);

/* Compares with a whole text. */
void told_expect(const uint8_t *message, size_t size, const char *expected);

/* Appends the line for one record, as told_text has it, to text. */
struct told_lines {
    char *text;
    size_t size, room;
};
void told_record(struct told_lines *lines, const char *section, const uint8_t *owner, uint16_t type,
                 uint32_t ttl, const uint8_t *rdata, size_t size);
void told_line(struct told_lines *lines, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif

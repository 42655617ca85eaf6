/*
 * Small texts that people write and read: durations, sizes, words that were meant to be others,
 * and text from outside made fit for a line of a log.
 */
#ifndef RRDNS_BASE_TEXT_H
#define RRDNS_BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/*
 * "500ms", "10s", "5m", "2h", "14d", "1w" to milliseconds; "0" needs no unit. Returns 0, RR_EINVAL
 * for any other text, RR_ERANGE above INT64_MAX.
 */
int text_duration(const char *text, int64_t *milliseconds);

/* "4096", "64K", "64M", "1G" (powers of 1024) to octets. Returns as text_duration. */
int text_size(const char *text, int64_t *octets);

/* Milliseconds in the largest unit that divides them ("10s", "90m"). Room for TEXT_DURATION_MAX. */
enum { TEXT_DURATION_MAX = 24 };
void text_from_duration(int64_t milliseconds, char *text);

/* Octets in the largest unit that divides them ("64M", "4097"). Room for TEXT_SIZE_MAX. */
enum { TEXT_SIZE_MAX = 24 };
void text_from_size(int64_t octets, char *text);

/*
 * Whether word may be a slip of the pen for other: the number of octets to insert, delete or
 * replace (case counts as nothing) where it is small for the words' length, else SIZE_MAX.
 */
size_t text_slip(const char *word, const char *other);

/*
 * Copies text with what would break a line or a terminal (control characters) as \xHH, cut with
 * "..." where out (of size octets, at least 8) is too short. Returns out.
 */
char *text_printable(const char *text, char *out, size_t size);

#endif

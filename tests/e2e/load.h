/*
 * A load of queries over UDP on a thread of its own, while the test changes things: every query
 * must be answered, with data of one version of the zone alone.
 *
 * The zone holds, for n from 0 to names - 1 and a generation g from 1 to 250 (its serial):
 *   m<n> MX g h<n>        h<n> A g.x.y.z, where x.y.z is n
 * so that an answer with its additional record tells twice which generation it is of.
 */
#ifndef E2E_LOAD_H
#define E2E_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;

/* Writes such a zone to path (beside it first, then renamed). */
void load_write_zone(const char *path, unsigned generation, unsigned names);

/* Begins to ask for names under the zone "load.test". */
struct load *load_begin(const char *address, uint16_t port, unsigned names);

/* Answers so far. */
uint64_t load_answered(const struct load *load);
/* Waits until so many more have come. */
void load_await(const struct load *load, uint64_t more);

/* From now on generations below this one are wrong: to be called when the change is done. */
void load_at_least(struct load *load, unsigned generation);

/*
 * Ends: waits for the answers to all that was asked. Fails the test where one was lost or wrong.
 * Returns how many there were.
 */
uint64_t load_end(struct load *load);

#endif

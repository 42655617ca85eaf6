/*
 * A set of the proxy's cache: 8 KiB in which entries are looked for by a tag of 16 bits. Read by
 * anybody under its sequence number, changed by who has made that odd.
 *
 *     word 0        sequence number, odd while the set is changed
 *          1        book: what only writers want to know
 *          2, 3     entries put, and evicted, ever
 *          8..127   15 rows of 8 words, each of 4 slots: their tags, 16 bits each (0: the slot is
 *                   free), places of their entries (first unit << 8 | units), 4 states
 *          128..    224 units of 4 words for entries, packed, with holes
 *
 * Lines of the cache are what a lookup costs: it touches the first one, that of a row, and the
 * entry. States stay where they are when entries are moved, since readers mark them by
 * compare-and-swap; the mark of a late one may then be on the next entry of the slot, where it does
 * no harm.
 *
 * All words are atomic, and read by acquire and written by release, which keeps them between the
 * two looks at the sequence number, and between its two changes; that costs nothing on x86. (Fences
 * would do, but the thread sanitizer does not know them.) What is read may be of different times
 * until the sequence number has been looked at again: nothing may be trusted to be within the set.
 */
#ifndef RRDNS_SERVE_PROXY_SET_H
#define RRDNS_SERVE_PROXY_SET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SET_WORDS = 1024,
    SET_SEQUENCE = 0,
    SET_BOOK = 1,
    SET_PUT = 2,
    SET_EVICTED = 3,

    SET_ROWS = 15,
    SET_ROW_WORDS = 8,
    SET_LANES = 4, /* slots of a row */
    SET_SLOTS = SET_ROWS * SET_LANES,
    /* Words of a row. */
    SET_TAGS = 0,
    SET_PLACES = 1,
    SET_STATES = 2,

    SET_UNIT_WORDS = 4,
    SET_UNIT_FIRST = 32,
    SET_UNITS = SET_WORDS / SET_UNIT_WORDS,
    SET_CAPACITY = SET_UNITS - SET_UNIT_FIRST,
    SET_ENTRY_MAX = 128, /* units of an entry */

    SET_NO_SLOT = -1,
};

_Static_assert(SET_UNIT_FIRST * SET_UNIT_WORDS == (1 + SET_ROWS) * SET_ROW_WORDS,
               "entries begin behind the rows");

typedef _Atomic uint64_t set_word;

struct proxy_set {
    set_word word[SET_WORDS];
};

_Static_assert(sizeof(struct proxy_set) == 8192, "a set is two pages");

static inline uint64_t set_load(const set_word *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline void set_store(set_word *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

/* A word of a row. */
static inline set_word *set_row(const struct proxy_set *set, unsigned row, unsigned word)
{
    return (set_word *)&set->word[(1 + row) * SET_ROW_WORDS + word];
}

/* The number of 16 bits that each slot has in the tags or places of its row. */
static inline uint16_t set_lane(const struct proxy_set *set, unsigned word, int slot)
{
    unsigned at = (unsigned)slot;
    return (uint16_t)(set_load(set_row(set, at / SET_LANES, word)) >> (at % SET_LANES * 16));
}

static inline set_word *set_state(const struct proxy_set *set, int slot)
{
    unsigned at = (unsigned)slot;
    return set_row(set, at / SET_LANES, SET_STATES + at % SET_LANES);
}

/* The first word of a unit. */
static inline const set_word *set_unit(const struct proxy_set *set, unsigned unit)
{
    return &set->word[(size_t)unit * SET_UNIT_WORDS];
}

/* --- hashes: which set, where in it to begin, and the tag --- */

static inline uint16_t set_tag(uint64_t hash)
{
    uint16_t tag = (uint16_t)hash;
    return tag != 0 ? tag : 1;
}

/* The row where a slot is looked for first. */
static inline unsigned set_home(uint64_t hash)
{
    return (unsigned)((hash >> 16 & 0xffff) * SET_ROWS >> 16);
}

/* The top bits of those lanes of a word that are this tag. */
static inline uint64_t set_match(uint64_t word, uint16_t tag)
{
    const uint64_t low = UINT64_C(0x7fff7fff7fff7fff);
    uint64_t differs = word ^ tag * UINT64_C(0x0001000100010001);
    return ~(((differs & low) + low) | differs | low);
}

/* --- states: expiry << 32 | failure << 31 | retry << 2 | hits --- */

enum { STATE_HITS = 3, STATE_RETRY_MASK = (1 << 29) - 1 };
#define STATE_FAILURE (UINT64_C(1) << 31)

static inline uint64_t state_new(uint32_t expiry, bool failure, unsigned hits)
{
    return (uint64_t)expiry << 32 | (failure ? STATE_FAILURE : 0) | hits;
}

static inline bool state_failure(uint64_t state)
{
    return (state & STATE_FAILURE) != 0;
}

static inline unsigned state_hits(uint64_t state)
{
    return (unsigned)(state & STATE_HITS);
}

/* Seconds until it is past its time; 0 or less where it is. */
static inline int32_t state_left(uint64_t state, uint32_t now)
{
    return (int32_t)((uint32_t)(state >> 32) - now);
}

/* Past its time, and past that for which it may be used nonetheless. */
static inline bool state_dead(uint64_t state, uint32_t now, uint32_t stale)
{
    int32_t left = state_left(state, now);
    return left <= 0 && (state_failure(state) || 0 - (uint32_t)left >= stale);
}

/* Whether nobody has been told to fetch it, or that is long enough ago. */
static inline bool state_may_retry(uint64_t state, uint32_t now)
{
    uint32_t retry = (uint32_t)(state >> 2) & STATE_RETRY_MASK;
    return retry == 0 || ((now - retry) & STATE_RETRY_MASK) <= STATE_RETRY_MASK / 2;
}

static inline uint64_t state_retry_at(uint64_t state, uint32_t time)
{
    uint64_t retry = time & STATE_RETRY_MASK;
    return (state & ~((uint64_t)STATE_RETRY_MASK << 2)) | (retry != 0 ? retry : 1) << 2;
}

/* --- writers --- */

/* A set being changed. */
struct set_change {
    struct proxy_set *set;
    uint64_t sequence;
    uint16_t end;  /* the first unit that no entry is behind */
    uint16_t used; /* units */
    uint16_t count;
    uint16_t hand; /* the slot that is next to be looked at for eviction */
    bool changed;
};

/* Begins one; false where somebody else is at it. */
bool set_begin(struct proxy_set *set, struct set_change *change);
void set_end(struct set_change *change);

/* An entry's words in a set, known to be good. */
set_word *set_entry(struct proxy_set *set, int slot);

void set_remove(struct set_change *change, int slot);

/*
 * A slot with room for an entry of `units` (SET_ENTRY_MAX at most), in place of that of slot
 * (SET_NO_SLOT: none). Others are thrown out as needed: those that are dead, then those that were
 * asked for least of late. The entry's words and the state are the caller's to store.
 */
int set_reserve(struct set_change *change, int slot, uint64_t hash, unsigned units, uint32_t now,
                uint32_t stale);

/* Entries and units in use, by any thread. */
void set_count(const struct proxy_set *set, unsigned *entries, unsigned *units);

#endif

/*
 * A set of the proxy's cache: 8 KiB in which entries are looked for by a tag of 16 bits. Read by
 * anybody under its sequence number, changed by who has made that odd.
 *
 *     word 0        sequence number, odd while the set is changed
 *          1..15    tags of 60 slots, 16 bits each; 0: the slot is free
 *          16..135  15 rows of 8 words, for 4 slots each: the places of their entries (first unit
 *                   << 8 | units), 4 states; those behind are the set's own in the first row: book
 *                   (what only writers want to know), entries put and evicted, ever
 *          136..    222 units of 4 words for entries, packed, with holes
 *
 * Lines of the processor's caches are what a lookup costs: it touches the first one or two, that of
 * a row, and the entry; for what is not there, two. States stay where they are when entries are
 * moved, since readers mark them by compare-and-swap; the mark of a late one may then be on the next
 * entry of the slot, where it does no harm.
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
    SET_ROWS = 15,
    SET_LANES = 4, /* slots of a row */
    SET_SLOTS = SET_ROWS * SET_LANES,
    SET_ROW_WORDS = 8,

    SET_SEQUENCE = 0,
    SET_TAGS = 1,
    SET_ROW_FIRST = SET_TAGS + SET_ROWS,
    SET_BOOK = SET_ROW_FIRST + 1 + SET_LANES,
    SET_PUT,
    SET_EVICTED,

    SET_UNIT_WORDS = 4,
    SET_UNIT_FIRST = (SET_ROW_FIRST + SET_ROWS * SET_ROW_WORDS) / SET_UNIT_WORDS,
    SET_UNITS = SET_WORDS / SET_UNIT_WORDS,
    SET_CAPACITY = SET_UNITS - SET_UNIT_FIRST,
    SET_ENTRY_MAX = 128, /* units of an entry */

    SET_NO_SLOT = -1,
};

_Static_assert(SET_ROW_FIRST % SET_ROW_WORDS == 0, "a row is a line");

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

/* The tags of a row's slots. */
static inline set_word *set_tags(const struct proxy_set *set, unsigned row)
{
    return (set_word *)&set->word[SET_TAGS + row];
}

/* The places of a row's slots, their states behind them. */
static inline set_word *set_row(const struct proxy_set *set, unsigned row)
{
    return (set_word *)&set->word[SET_ROW_FIRST + row * SET_ROW_WORDS];
}

/* A slot's number of 16 bits in a word of its row. */
static inline uint16_t set_lane(const set_word *word, int slot)
{
    return (uint16_t)(set_load(word) >> ((unsigned)slot % SET_LANES * 16));
}

static inline uint16_t set_slot_tag(const struct proxy_set *set, int slot)
{
    return set_lane(set_tags(set, (unsigned)slot / SET_LANES), slot);
}

static inline uint16_t set_slot_place(const struct proxy_set *set, int slot)
{
    return set_lane(set_row(set, (unsigned)slot / SET_LANES), slot);
}

static inline set_word *set_state(const struct proxy_set *set, int slot)
{
    return set_row(set, (unsigned)slot / SET_LANES) + 1 + (unsigned)slot % SET_LANES;
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

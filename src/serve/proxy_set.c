/*
 * Entries are put one behind the other, so that to make room costs nothing most of the time. What
 * is removed leaves a hole; when the end is reached, some are thrown out and all others moved
 * together.
 */
#include "serve/proxy_set.h"

enum {
    /* What is freed more than is needed, so that moving all entries together is paid for by several
     * of them: on average half of it, a fourteenth of the set, is not in use. */
    SPARE_UNITS = 32,
    SPARE_SLOTS = 4,
};

_Static_assert(SET_ENTRY_MAX + SPARE_UNITS <= SET_CAPACITY, "there can be room for any entry");

static void set_lane_store(set_word *word, int slot, uint16_t value)
{
    unsigned shift = (unsigned)slot % SET_LANES * 16;
    set_store(word, (set_load(word) & ~(UINT64_C(0xffff) << shift)) | (uint64_t)value << shift);
}

static void set_slot(struct proxy_set *set, int slot, uint16_t tag)
{
    set_lane_store(set_tags(set, (unsigned)slot / SET_LANES), slot, tag);
}

static void set_slot_at(struct proxy_set *set, int slot, uint16_t place)
{
    set_lane_store(set_row(set, (unsigned)slot / SET_LANES), slot, place);
}

static uint16_t place_of(unsigned first, unsigned units)
{
    return (uint16_t)(first << 8 | units);
}

static unsigned place_first(uint16_t place)
{
    return place >> 8;
}

static unsigned place_units(uint16_t place)
{
    return place & 0xff;
}

bool set_begin(struct proxy_set *set, struct set_change *change)
{
    uint64_t sequence = atomic_load_explicit(&set->word[SET_SEQUENCE], memory_order_relaxed);
    /* Sequentially consistent for proxy_cache_flush, which passes over sets that are unused yet. */
    if ((sequence & 1) != 0 ||
        !atomic_compare_exchange_strong(&set->word[SET_SEQUENCE], &sequence, sequence + 1)) {
        return false;
    }
    uint64_t book = set_load(&set->word[SET_BOOK]);
    *change = (struct set_change){
        .set = set,
        .sequence = sequence,
        .end = (uint16_t)book,
        .used = (uint16_t)(book >> 16),
        .count = (uint16_t)(book >> 32),
        .hand = (uint16_t)(book >> 48),
    };
    if (change->end == 0) { /* a new set */
        change->end = SET_UNIT_FIRST;
    }
    return true;
}

void set_end(struct set_change *change)
{
    set_word *word = change->set->word;
    if (change->changed) {
        set_store(&word[SET_BOOK], (uint64_t)change->hand << 48 | (uint64_t)change->count << 32 |
                                       (uint64_t)change->used << 16 | change->end);
    }
    /* What did not change may be read as if nothing had been. */
    set_store(&word[SET_SEQUENCE], change->changed ? change->sequence + 2 : change->sequence);
}

set_word *set_entry(struct proxy_set *set, int slot)
{
    size_t first = place_first(set_slot_place(set, slot));
    return &set->word[first * SET_UNIT_WORDS];
}

void set_remove(struct set_change *change, int slot)
{
    unsigned units = place_units(set_slot_place(change->set, slot));
    set_slot(change->set, slot, 0);
    set_slot_at(change->set, slot, 0);
    change->used = (uint16_t)(change->used - units);
    change->count--;
    change->changed = true;
}

static void remove_dead(struct set_change *change, uint32_t now, uint32_t stale)
{
    for (int slot = 0; slot < SET_SLOTS; slot++) {
        if (set_slot_tag(change->set, slot) != 0 &&
            state_dead(set_load(set_state(change->set, slot)), now, stale)) {
            set_remove(change, slot);
        }
    }
}

/*
 * The hand goes round and throws out what nobody has asked for since it was there last, or since it
 * was put: names that are asked for once don't put out those that are asked for again. There is an
 * entry.
 */
static void evict(struct set_change *change, uint32_t now)
{
    struct proxy_set *set = change->set;
    for (;;) {
        int slot = change->hand;
        change->hand = (uint16_t)((slot + 1) % SET_SLOTS);
        if (set_slot_tag(set, slot) == 0) {
            continue;
        }
        set_word *word = set_state(set, slot);
        uint64_t state = set_load(word);
        if (state_hits(state) > 0) { /* a reader's mark that comes between is as good as a hit */
            atomic_compare_exchange_strong(word, &state, state - 1);
            continue;
        }
        if (state_left(state, now) > 0 && !state_failure(state)) {
            set_word *evicted = &set->word[SET_EVICTED];
            set_store(evicted, set_load(evicted) + 1);
        }
        set_remove(change, slot);
        return;
    }
}

static void move_unit(struct proxy_set *set, unsigned from, unsigned to)
{
    const set_word *words = set_unit(set, from);
    set_word *moved = &set->word[(size_t)to * SET_UNIT_WORDS];
    for (unsigned i = 0; i < SET_UNIT_WORDS; i++) {
        set_store(&moved[i], set_load(&words[i]));
    }
}

/* Moves all entries to the beginning, in the order in which they are. */
static void compact(struct set_change *change)
{
    struct proxy_set *set = change->set;
    uint8_t slot_at[SET_UNITS] = {0}; /* slot and 1, by an entry's first unit */
    for (int slot = 0; slot < SET_SLOTS; slot++) {
        if (set_slot_tag(set, slot) != 0) {
            slot_at[place_first(set_slot_place(set, slot))] = (uint8_t)(slot + 1);
        }
    }
    unsigned end = SET_UNIT_FIRST;
    for (unsigned first = SET_UNIT_FIRST; first < change->end; first++) {
        if (slot_at[first] == 0) {
            continue;
        }
        int slot = slot_at[first] - 1;
        unsigned units = place_units(set_slot_place(set, slot));
        if (end < first) {
            for (unsigned i = 0; i < units; i++) {
                move_unit(set, first + i, end + i);
            }
            set_slot_at(set, slot, place_of(end, units));
        }
        end += units;
    }
    change->end = (uint16_t)end;
}

static void make_room(struct set_change *change, unsigned units, uint32_t now, uint32_t stale)
{
    if (change->count < SET_SLOTS && change->end + units <= SET_UNITS) {
        return;
    }
    remove_dead(change, now, stale);
    while (change->count > SET_SLOTS - SPARE_SLOTS ||
           change->used + units + SPARE_UNITS > SET_CAPACITY) {
        evict(change, now);
    }
    compact(change);
}

/* The first free slot from where the hash is looked for. There is one. */
static int free_slot(const struct proxy_set *set, uint64_t hash)
{
    unsigned at = set_home(hash);
    for (;;) {
        uint64_t match = set_match(set_load(set_tags(set, at)), 0);
        if (match != 0) {
            return (int)(at * SET_LANES) + __builtin_ctzll(match) / 16;
        }
        at = (at + 1) % SET_ROWS;
    }
}

int set_reserve(struct set_change *change, int slot, uint64_t hash, unsigned units, uint32_t now,
                uint32_t stale)
{
    struct proxy_set *set = change->set;
    change->changed = true;
    set_store(&set->word[SET_PUT], set_load(&set->word[SET_PUT]) + 1);
    if (slot != SET_NO_SLOT) {
        uint16_t place = set_slot_place(set, slot);
        if (units <= place_units(place)) {
            change->used = (uint16_t)(change->used - (place_units(place) - units));
            set_slot_at(set, slot, place_of(place_first(place), units));
            return slot;
        }
        set_remove(change, slot);
    }
    make_room(change, units, now, stale);
    slot = free_slot(set, hash);
    set_slot(set, slot, set_tag(hash));
    set_slot_at(set, slot, place_of(change->end, units));
    change->end = (uint16_t)(change->end + units);
    change->used = (uint16_t)(change->used + units);
    change->count++;
    return slot;
}

void set_count(const struct proxy_set *set, unsigned *entries, unsigned *units)
{
    uint64_t book = set_load(&set->word[SET_BOOK]);
    *units = (uint16_t)(book >> 16);
    *entries = (uint16_t)(book >> 32);
}

/*
 * Entries and what may become of them; how sets keep them is in proxy_set.h. A hash of the question
 * names a set, and in it a tag and where to begin to look; the entry has all of the question in
 * it. Another set is never tried: a set has some thirty to sixty entries, so that full ones among
 * empty ones are rare, and a lookup waits for memory twice, for the set's head and for the entry.
 *
 * TTLs are clamped when an entry is made, so that the entry's own is the least of them and no more
 * has to be known when they are counted down.
 */
#include "serve/proxy_cache.h"

#include <endian.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <xxhash.h>

#include "dns/message.h"
#include "dns/wire.h"
#include "serve/proxy_set.h"

enum {
    READ_TRIES = 8, /* of a set that is being changed, which takes a fraction of a microsecond */
    SECRET = 192,   /* octets that XXH3 wants at most */
    TTL_MOST = 1 << 28, /* 8 years; states can't tell times further apart */
    /* An entry is fetched ahead of its end when a tenth of its time is left, if that is a second at
     * least, and somebody else has asked for it before. */
    PREFETCH_PART = 10,
    PREFETCH_HITS = 2,

    UNIT_OCTETS = SET_UNIT_WORDS * 8,
    ENTRY_WORDS = PROXY_CACHE_ENTRY_MAX / 8,
};

/*
 * An entry, in words:
 *
 *     0    group << 32 | type << 16 | flags << 12 | symbols of the key
 *     1    time it was put << 32 | octets of the body << 16 | EDE
 *     2    counts, 16 bits each, << 16 | HAS_EDE, HAS_AD, HAS_AA | RCODE
 *     3..  the key; then offsets of TTLs in the body, 4 a word; then the body; each filled up
 */
enum { ENTRY_HEAD = 3, HAS_AA = 0x1000, HAS_AD = 0x2000, HAS_EDE = 0x4000, RCODE_MASK = 0xfff };

/* The head of the only mapping; sets begin a page later. */
struct proxy_cache {
    size_t size; /* as asked for */
    size_t mapped;
    size_t sets;
    struct proxy_set *set;
    _Atomic uint64_t epoch;
    uint64_t mix[2];        /* secret, too */
    uint8_t secret[SECRET]; /* of the hashes */
};

enum { HEAD_OCTETS = 4096 };

_Static_assert(sizeof(struct proxy_cache) <= HEAD_OCTETS, "the head is a page");
_Static_assert(PROXY_CACHE_ENTRY_MAX <= SET_ENTRY_MAX * UNIT_OCTETS, "a set holds any entry");

/*
 * Entries are all over it from the first one on, so it is taken at once, in huge pages where there
 * are any (hits: 131 instead of 156 ns), by who makes it: a worker that came to a fresh page would
 * wait while it is zeroed. False where there is not so much memory; kernels before 5.14 don't tell.
 */
static bool take_all(uint8_t *memory, size_t size)
{
    madvise(memory, size, MADV_HUGEPAGE);
#ifdef MADV_POPULATE_WRITE
    return madvise(memory, size, MADV_POPULATE_WRITE) == 0 || errno == EINVAL;
#else
    return true;
#endif
}

struct proxy_cache *proxy_cache_new(size_t size)
{
    size_t sets = size < PROXY_CACHE_SIZE_MIN ? 0 : (size - HEAD_OCTETS) / sizeof(struct proxy_set);
    size_t mapped = HEAD_OCTETS + sets * sizeof(struct proxy_set);
    if (sets == 0 || sets > UINT32_MAX) {
        return NULL;
    }
    uint8_t *memory = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                           -1, 0);
    if (memory == MAP_FAILED) {
        return NULL;
    }
    if (!take_all(memory, mapped)) {
        munmap(memory, mapped);
        return NULL;
    }
    struct proxy_cache *cache = (void *)memory;
    cache->size = size;
    cache->mapped = mapped;
    cache->sets = sets;
    cache->set = (void *)(memory + HEAD_OCTETS);
    if (getrandom(cache->secret, SECRET, 0) != SECRET ||
        getrandom(cache->mix, sizeof cache->mix, 0) != sizeof cache->mix) {
        munmap(memory, mapped);
        return NULL;
    }
    return cache;
}

void proxy_cache_free(struct proxy_cache *cache)
{
    if (cache != NULL) {
        munmap(cache, cache->mapped);
    }
}

uint64_t proxy_cache_epoch(const struct proxy_cache *cache)
{
    return atomic_load(&cache->epoch);
}

/* --- where an entry is --- */

/* What an entry is for, but for the name itself. */
static uint64_t identity_of(const struct proxy_question *question)
{
    return (uint64_t)question->group << 32 | (uint64_t)question->qtype << 16 |
           (uint64_t)question->flags << 12 | question->key->size;
}

uint64_t proxy_cache_hash(const struct proxy_cache *cache, const struct proxy_question *question)
{
    uint64_t name =
        XXH3_64bits_withSecret(question->key->symbols, question->key->size, cache->secret, SECRET);
    unsigned __int128 product =
        (unsigned __int128)(name ^ cache->mix[0]) * (identity_of(question) ^ cache->mix[1]);
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

static struct proxy_set *set_of(const struct proxy_cache *cache, uint64_t hash)
{
    return &cache->set[(hash >> 32) * cache->sets >> 32];
}

void proxy_cache_prefetch(const struct proxy_cache *cache, uint64_t hash)
{
    const struct proxy_set *set = set_of(cache, hash);
    __builtin_prefetch(&set->word[SET_SEQUENCE]);
    __builtin_prefetch(set_tags(set, SET_ROWS - 1));
    __builtin_prefetch(set_row(set, set_home(hash)));
}

/* Where a tag is found first, which mostly is the entry. */
void proxy_cache_prefetch_entry(const struct proxy_cache *cache, uint64_t hash)
{
    const struct proxy_set *set = set_of(cache, hash);
    unsigned home = set_home(hash);
    uint64_t match = set_match(set_load(set_tags(set, home)), set_tag(hash));
    if (match != 0) {
        int slot = (int)(home * SET_LANES) + __builtin_ctzll(match) / 16;
        size_t first = (size_t)(set_slot_place(set, slot) >> 8) * SET_UNIT_WORDS;
        __builtin_prefetch(&set->word[first]);
        __builtin_prefetch(&set->word[first + 8]);
    }
}

static size_t words_of(size_t octets)
{
    return (octets + 7) / 8;
}

/* Eight symbols of a key from `at` on, zeros past its end. Always reads eight that are there. */
static uint64_t key_word(const struct key *key, size_t at)
{
    uint64_t octets;
    size_t left = key->size - at;
    size_t from = at < KEY_MAX - 8 ? at : KEY_MAX - 8;
    memcpy(&octets, key->symbols + from, 8);
    uint64_t word = le64toh(octets) >> (at - from) * 8;
    return htole64(left >= 8 ? word : word & ((UINT64_C(1) << left * 8) - 1));
}

static bool same_key(const set_word *words, const struct key *key)
{
    for (size_t at = 0; at < key->size; at += 8) {
        if (set_load(&words[at / 8]) != key_word(key, at)) {
            return false;
        }
    }
    return true;
}

/* The entry of a slot and its words, or NULL where the slot can't have one just now. */
static const set_word *entry_at(const struct proxy_set *set, int slot, size_t *words)
{
    uint16_t place = set_slot_place(set, slot);
    unsigned first = place >> 8, units = place & 0xff;
    *words = (size_t)units * SET_UNIT_WORDS;
    return units > 0 && first >= SET_UNIT_FIRST && first + units <= SET_UNITS ? set_unit(set, first)
                                                                              : NULL;
}

/* The slot of an entry for question, or SET_NO_SLOT; where it is and how large. */
static int find_slot(const struct proxy_set *set, const struct proxy_question *question,
                     const set_word **entry, size_t *words)
{
    uint64_t identity = identity_of(question);
    uint16_t tag = set_tag(question->hash);
    unsigned at = set_home(question->hash);
    for (unsigned i = 0; i < SET_ROWS; i++) {
        uint64_t match = set_match(set_load(set_tags(set, at)), tag);
        for (; match != 0; match &= match - 1) {
            int slot = (int)(at * SET_LANES) + __builtin_ctzll(match) / 16;
            *entry = entry_at(set, slot, words);
            if (*entry != NULL && set_load(&(*entry)[0]) == identity &&
                ENTRY_HEAD + words_of(question->key->size) <= *words &&
                same_key(*entry + ENTRY_HEAD, question->key)) {
                return slot;
            }
        }
        at = at + 1 < SET_ROWS ? at + 1 : 0;
    }
    return SET_NO_SLOT;
}

/* --- reading --- */

/* Octets from words to out; may write up to 7 more where there is room. */
static void copy_words(const set_word *words, size_t size, uint8_t *out, size_t room)
{
    size_t whole = words_of(size) <= room / 8 ? words_of(size) : room / 8;
    for (size_t i = 0; i < whole; i++) {
        uint64_t word = set_load(&words[i]);
        memcpy(out + 8 * i, &word, 8);
    }
    if (8 * whole < size) {
        uint64_t word = set_load(&words[whole]);
        memcpy(out + 8 * whole, &word, size - 8 * whole);
    }
}

/* Four octets from `at` on, a number of the wire. Read from where they are kept, since to read them
 * from what was just copied by eight would have to wait until that is done. */
static uint32_t number_at(const set_word *words, size_t at)
{
    unsigned shift = at % 8 * 8;
    uint64_t octets = le64toh(set_load(&words[at / 8])) >> shift;
    if (shift > 32) {
        octets |= le64toh(set_load(&words[at / 8 + 1])) << (64 - shift);
    }
    return __builtin_bswap32((uint32_t)octets);
}

/* Sets the TTLs of a body copied to out: to fixed, or where that is 0 to age less than they are. */
static void set_ttls(const set_word *offsets, uint32_t records, const set_word *words, size_t size,
                     uint32_t age, uint32_t fixed, uint8_t *out)
{
    uint16_t lanes[SET_LANES];
    for (uint32_t i = 0; i < records; i++) {
        if (i % SET_LANES == 0) {
            uint64_t word = set_load(&offsets[i / SET_LANES]);
            memcpy(lanes, &word, sizeof word);
        }
        size_t at = lanes[i % SET_LANES];
        if (at + 4 > size) { /* not of this body: it is being changed */
            return;
        }
        uint32_t ttl = htobe32(fixed != 0 ? fixed : number_at(words, at) - age);
        memcpy(out + at, &ttl, sizeof ttl);
    }
}

struct look {
    enum proxy_cache_state state;
    int slot;
    uint64_t marks;    /* the slot's state as it was */
    uint32_t lifetime; /* seconds that it was put for */
};

static enum proxy_cache_state state_of(uint64_t marks, uint32_t now, uint32_t stale)
{
    return state_left(marks, now) > 0      ? PROXY_CACHE_FRESH
           : state_dead(marks, now, stale) ? PROXY_CACHE_NONE
                                           : PROXY_CACHE_STALE;
}

/* Reads an entry. False where that makes no sense: it is being changed. */
static bool read_entry(const set_word *entry, size_t words, size_t key_size, uint32_t now,
                       struct look *look, uint8_t *out, size_t room, struct proxy_found *found)
{
    uint64_t put = set_load(&entry[1]), what = set_load(&entry[2]);
    size_t size = put >> 16 & 0xffff;
    for (unsigned i = 0; i < 3; i++) {
        found->counts[i] = (uint16_t)(what >> (48 - 16 * i));
    }
    uint32_t records = (uint32_t)found->counts[0] + found->counts[1] + found->counts[2];
    size_t offsets = ENTRY_HEAD + words_of(key_size);
    size_t body = offsets + (records + SET_LANES - 1) / SET_LANES;
    if (body + words_of(size) > words) {
        return false;
    }
    found->rcode = what & RCODE_MASK;
    found->flags = (uint16_t)((what & HAS_AA ? FLAG_AA : 0) | (what & HAS_AD ? FLAG_AD : 0));
    found->ede = what & HAS_EDE ? (int32_t)(put & 0xffff) : EDE_NONE;
    found->size = size;
    found->fits = size <= room;
    look->lifetime = (uint32_t)(look->marks >> 32) - (uint32_t)(put >> 32);
    if (found->fits) {
        int32_t age = (int32_t)(now - (uint32_t)(put >> 32)); /* workers' times differ a little */
        uint32_t fixed = look->state == PROXY_CACHE_STALE ? PROXY_CACHE_STALE_TTL : 0;
        copy_words(entry + body, size, out, room);
        if (age > 0 || fixed != 0) {
            set_ttls(entry + offsets, records, entry + body, size, (uint32_t)age, fixed, out);
        }
    }
    return true;
}

/* Whether the caller is to fetch a fresh entry anew, which has been hit so often with this one. */
static bool wants_prefetch(const struct look *look, unsigned hits, const struct cache_times *times,
                           uint32_t now)
{
    return times->prefetch && hits >= PREFETCH_HITS && look->lifetime >= PREFETCH_PART &&
           (uint32_t)state_left(look->marks, now) <= look->lifetime / PREFETCH_PART &&
           !state_failure(look->marks);
}

/*
 * Marks what was read as used. Hits are counted to 3, so that what is asked for all the time is
 * not written to all the time. Returns whether the caller is to fetch it anew.
 */
static bool mark_used(set_word *word, const struct look *look, const struct cache_times *times,
                      uint32_t now)
{
    uint64_t marks = look->marks, before = marks;
    marks += state_hits(marks) < STATE_HITS;
    bool may = state_may_retry(marks, now);
    bool ahead = look->state == PROXY_CACHE_FRESH && may &&
                 wants_prefetch(look, state_hits(marks), times, now);
    if (ahead) {
        marks = state_retry_at(marks, now + PROXY_CACHE_RETRY);
    }
    bool marked = marks != before && atomic_compare_exchange_strong(word, &before, marks);
    return look->state == PROXY_CACHE_STALE ? may : ahead && marked;
}

static bool unchanged(const struct proxy_set *set, uint64_t sequence)
{
    return atomic_load_explicit(&set->word[SET_SEQUENCE], memory_order_relaxed) == sequence;
}

enum proxy_cache_state proxy_cache_find(struct proxy_cache *cache,
                                        const struct proxy_question *question,
                                        const struct cache_times *times, uint32_t now, uint8_t *out,
                                        size_t room, struct proxy_found *found)
{
    struct proxy_set *set = set_of(cache, question->hash);
    for (unsigned i = 0; i < READ_TRIES; i++) {
        uint64_t sequence = set_load(&set->word[SET_SEQUENCE]);
        if ((sequence & 1) != 0) {
            continue;
        }
        const set_word *entry;
        size_t words;
        struct look look = {.slot = find_slot(set, question, &entry, &words)};
        if (look.slot != SET_NO_SLOT) {
            look.marks = set_load(set_state(set, look.slot));
            look.state = state_of(look.marks, now, times->stale);
        }
        bool good = look.state == PROXY_CACHE_NONE ||
                    read_entry(entry, words, question->key->size, now, &look, out, room, found);
        if (good && unchanged(set, sequence)) {
            found->refresh = look.state != PROXY_CACHE_NONE &&
                             mark_used(set_state(set, look.slot), &look, times, now);
            return look.state;
        }
    }
    return PROXY_CACHE_NONE;
}

bool proxy_cache_failed(struct proxy_cache *cache, const struct proxy_question *question,
                        const struct cache_times *times, uint32_t now)
{
    struct proxy_set *set = set_of(cache, question->hash);
    const set_word *entry;
    size_t words;
    int slot = find_slot(set, question, &entry, &words);
    if (slot == SET_NO_SLOT) {
        return false;
    }
    set_word *word = set_state(set, slot);
    uint64_t marks = set_load(word);
    /* Where the set is being changed, the mark may be lost or be another's: one try more, or
     * less. */
    atomic_compare_exchange_strong(word, &marks, state_retry_at(marks, now + PROXY_CACHE_RETRY));
    return state_of(marks, now, times->stale) != PROXY_CACHE_NONE;
}

/* --- writing --- */

static bool is_failure(const struct reply *r)
{
    return r->rcode != RCODE_NOERROR && r->rcode != RCODE_NXDOMAIN;
}

/* What TTLs of a reply's records become: min or more, max or less. */
struct limits {
    uint32_t min, max;
    uint32_t ttl; /* of the whole; 0: it is not to be kept */
};

static uint32_t within(uint32_t ttl, uint32_t min, uint32_t max)
{
    ttl = ttl > min ? ttl : min;
    return ttl < max ? ttl : max;
}

static struct limits limits_of(const struct reply *r, const struct cache_times *times)
{
    struct limits limits = {.min = times->ttl_min, .max = times->ttl_max};
    if (is_failure(r)) {
        limits.min = limits.max = PROXY_CACHE_FAILURE_TTL;
    } else if (r->kind != REPLY_POSITIVE) {
        uint32_t most = times->negative_ttl_max < limits.max ? times->negative_ttl_max : limits.max;
        limits.max = r->has_soa ? within(r->negative_ttl, limits.min, most) : 0;
    }
    limits.max = limits.max < TTL_MOST ? limits.max : TTL_MOST;
    limits.ttl = within(r->ttl, limits.min, limits.max);
    return limits;
}

struct draft {
    uint64_t word[ENTRY_WORDS];
    size_t words;
};

/* Appends octets, filled up with zeros to whole words. */
static uint64_t *append(struct draft *draft, const void *octets, size_t size)
{
    uint64_t *at = draft->word + draft->words;
    size_t words = words_of(size);
    if (words > 0) {
        at[words - 1] = 0;
        memcpy(at, octets, size);
        draft->words += words;
    }
    return at;
}

static void clamp_ttls(uint8_t *body, const uint16_t *offsets, uint32_t records,
                       const struct limits *limits)
{
    for (uint32_t i = 0; i < records; i++) {
        uint32_t ttl = wire_get_u32(body + offsets[i]);
        ttl = ttl <= INT32_MAX ? ttl : 0;
        wire_put_u32(body + offsets[i], within(ttl, limits->min, limits->max));
    }
}

void proxy_cache_clamp(const struct reply *r, const struct cache_times *times, uint8_t *body)
{
    struct limits limits = limits_of(r, times);
    uint16_t offsets[REPLY_RECORDS_MAX];
    bool within_them = r->ttl >= limits.min && r->ttl_most <= limits.max;
    if (!within_them && !is_failure(r) && limits.max > 0 && reply_ttls(r, offsets)) {
        clamp_ttls(body, offsets, r->records, &limits);
    }
}

/* False where the reply is too large. */
static bool make_entry(struct draft *draft, const struct proxy_question *question,
                       const struct reply *r, const struct limits *limits, uint32_t now)
{
    uint16_t offsets[REPLY_RECORDS_MAX];
    size_t records = r->records;
    if (r->body_size > PROXY_CACHE_ENTRY_MAX || records > REPLY_RECORDS_MAX ||
        ENTRY_HEAD + words_of(question->key->size) + words_of(records * sizeof *offsets) +
                words_of(r->body_size) >
            ENTRY_WORDS ||
        !reply_ttls(r, offsets)) {
        return false;
    }
    uint64_t ede = r->ede >= 0 ? (uint64_t)r->ede & 0xffff : 0;
    draft->word[0] = identity_of(question);
    draft->word[1] = (uint64_t)now << 32 | (uint64_t)r->body_size << 16 | ede;
    draft->word[2] = (uint64_t)r->counts[0] << 48 | (uint64_t)r->counts[1] << 32 |
                     (uint64_t)r->counts[2] << 16 | (r->ede >= 0 ? HAS_EDE : 0) |
                     (r->flags & FLAG_AD ? HAS_AD : 0) | (r->flags & FLAG_AA ? HAS_AA : 0) |
                     (r->rcode & RCODE_MASK);
    draft->words = ENTRY_HEAD;
    append(draft, question->key->symbols, question->key->size);
    append(draft, offsets, records * sizeof *offsets);
    uint64_t *body = append(draft, r->message + r->body, r->body_size);
    clamp_ttls((uint8_t *)body, offsets, r->records, limits);
    return true;
}

static void store(struct set_change *change, int slot, uint64_t hash, const struct draft *draft,
                  uint64_t state, uint32_t now, uint32_t stale)
{
    unsigned units = (unsigned)((draft->words + SET_UNIT_WORDS - 1) / SET_UNIT_WORDS);
    slot = set_reserve(change, slot, hash, units, now, stale);
    set_word *entry = set_entry(change->set, slot);
    for (size_t i = 0; i < draft->words; i++) {
        set_store(&entry[i], draft->word[i]);
    }
    set_store(set_state(change->set, slot), state);
}

/* What proxy_cache_put does with the set: draft is NULL where the reply is not to be kept. */
static bool put_in_set(struct set_change *change, const struct proxy_question *question,
                       const struct draft *draft, uint64_t state, uint32_t now, uint32_t stale)
{
    const set_word *entry;
    size_t words;
    int slot = find_slot(change->set, question, &entry, &words);
    if (slot != SET_NO_SLOT) {
        uint64_t old = set_load(set_state(change->set, slot));
        if (state_failure(state) && !state_failure(old) && !state_dead(old, now, stale)) {
            return false;
        }
        state |= !state_failure(state) && state_hits(old) > 0; /* it is known to be asked for */
    }
    if (draft != NULL) {
        store(change, slot, question->hash, draft, state, now, stale);
    } else if (slot != SET_NO_SLOT) {
        set_remove(change, slot);
    }
    return draft != NULL;
}

bool proxy_cache_put(struct proxy_cache *cache, const struct proxy_question *question,
                     const struct reply *r, const struct cache_times *times, uint32_t now,
                     uint64_t epoch)
{
    struct limits limits = limits_of(r, times);
    struct draft draft;
    bool keep = limits.ttl > 0 && make_entry(&draft, question, r, &limits, now);
    uint64_t state = state_new(now + limits.ttl, is_failure(r), 0);
    struct set_change change;
    if ((!keep && is_failure(r)) || !set_begin(set_of(cache, question->hash), &change)) {
        return false;
    }
    /* Looked at with the set held: a flush either is seen here, or sees what is put. */
    bool kept = epoch == proxy_cache_epoch(cache) &&
                put_in_set(&change, question, keep ? &draft : NULL, state, now, times->stale);
    set_end(&change);
    return kept;
}

/* --- the whole --- */

static bool is_below(const set_word *entry, const struct key *name)
{
    uint8_t symbols[KEY_MAX + 8];
    size_t size = set_load(&entry[0]) & 0xfff;
    size_t wanted = name != NULL ? name->size : 0;
    if (size < wanted || size > KEY_MAX) {
        return false;
    }
    copy_words(entry + ENTRY_HEAD, size, symbols, sizeof symbols);
    return memcmp(symbols, name != NULL ? name->symbols : symbols, wanted) == 0;
}

static size_t flush_set(struct proxy_set *set, const struct key *name)
{
    struct set_change change;
    size_t flushed = 0;
    /* Never touched: no memory is to be taken for it now. In one order with set_begin. */
    if (atomic_load(&set->word[SET_SEQUENCE]) == 0) {
        return 0;
    }
    while (!set_begin(set, &change)) {
        sched_yield();
    }
    for (int slot = 0; slot < SET_SLOTS; slot++) {
        if (set_slot_tag(set, slot) != 0 && is_below(set_entry(set, slot), name)) {
            set_remove(&change, slot);
            flushed++;
        }
    }
    set_end(&change);
    return flushed;
}

size_t proxy_cache_flush(struct proxy_cache *cache, const struct key *name)
{
    size_t flushed = 0;
    atomic_fetch_add(&cache->epoch, 1);
    for (size_t i = 0; i < cache->sets; i++) {
        flushed += flush_set(&cache->set[i], name);
    }
    return flushed;
}

void proxy_cache_figures(const struct proxy_cache *cache, struct proxy_cache_figures *figures)
{
    *figures = (struct proxy_cache_figures){.size = cache->size};
    for (size_t i = 0; i < cache->sets; i++) {
        const struct proxy_set *set = &cache->set[i];
        unsigned entries, units;
        set_count(set, &entries, &units);
        figures->entries += entries;
        figures->used += (size_t)units * UNIT_OCTETS;
        figures->put += set_load(&set->word[SET_PUT]);
        figures->evicted += set_load(&set->word[SET_EVICTED]);
    }
}

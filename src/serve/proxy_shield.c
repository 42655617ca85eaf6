/*
 * Who is the target of random names? Under the victim every name is another one, and so is the
 * label just below it; under those above the victim it is always the same label. So each suffix has
 * a set of the labels below it that failed, as 64 bits that hashes choose, and is suspected when
 * most of them are set: 48 of 64 come of some 89 labels. The set loses a random half of its bits
 * every four seconds, so what fails now and then, however long, never fills it: that takes ten new
 * labels a second.
 *
 * A busy suffix fills it all the same with a few failures in a hundred. So its share of failures is
 * kept too, an average over the last 32 or so that ended: with one in twenty failing by chance it
 * gets past a half about never, with 22 failures in a row it does.
 *
 * Answers make no entries, so that a table of 4096 is for suffixes under which something failed;
 * and in its bucket of four the one with the fewest labels gives way. An attack by names with
 * random labels at several levels fills it with suffixes that have one label each, which give way
 * to each other and never put out the victim.
 */
#include "serve/proxy_shield.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum {
    BUCKETS_LOG = 10,
    WAYS = 4,
    LEVELS = 4, /* suffixes of a name that are looked at */
    /* Labels (bits) that failed: from when on a suffix is under attack, and down to how many it
     * stays so, since of sixteen names one is asked then. */
    LABELS_MANY = 48,
    LABELS_STILL = 12,
    TICK_SHIFT = 29, /* 0.54 s: a step of opening */
    HALVE_SHIFT = 3, /* eight ticks: the labels halve */
    HALVES_MAX = 8,  /* of 64 bits nothing is left */
    CLOSED = 4,      /* one in 2^4 is let through; 3 to 1: being opened; 0: open */
    SHARE_HALF = 0x8000,
    SHARE_SHIFT = 5,
    /* Under attack few are asked: six that are answered begin to open, not 22, which would be 350
     * misses. */
    SHARE_SHIFT_CLOSED = 3,
};

static const uint64_t RATE_BURST_NS = 100000000;
static const uint64_t RATE_BURST_LEAST = 10;

struct suffix {
    uint64_t labels; /* below it, that failed: a bit each by hash */
    uint32_t tag;    /* the hash's high bits */
    uint32_t tick;   /* up to when it has been aged */
    uint16_t share;  /* of failures, 0 to 0xffff */
    uint8_t closed;  /* CLOSED to 0 */
};

struct suffix_guard {
    uint64_t seed[2];
    uint64_t chance; /* for what needs no secrecy */
    unsigned closed; /* suffixes that aren't open, as far as they have been aged */
    uint32_t quiet;  /* past this tick all labels have gone, if nothing failed since */
    struct suffix table[1u << BUCKETS_LOG][WAYS];
};

/* One name's: the suffixes nearest to the route's zone, hashed, and the label below each. */
struct suffixes {
    unsigned count;
    uint64_t hash[LEVELS + 1]; /* the last one: of the name itself */
};

/* ---- The rate of a route ---- */

bool shared_rate_take(struct shared_rate *rate, uint32_t per_second, uint64_t now_ns)
{
    uint64_t interval = 1000000000u / per_second;
    uint64_t burst = RATE_BURST_LEAST * interval;
    burst = burst > RATE_BURST_NS ? burst : RATE_BURST_NS;
    uint64_t until = atomic_load_explicit(&rate->until, memory_order_relaxed);
    uint64_t next;
    do {
        next = (until > now_ns ? until : now_ns) + interval;
        if (next > now_ns + burst) {
            return false;
        }
        /* Whoever fails here fails because another took one meanwhile. */
    } while (!atomic_compare_exchange_weak_explicit(&rate->until, &until, next,
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

/* ---- Coming and going ---- */

struct suffix_guard *suffix_guard_new(void)
{
    struct suffix_guard *guard = calloc(1, sizeof *guard); /* off the query path: at start */
    if (guard == NULL) {
        return NULL;
    }
    if (getrandom(guard->seed, sizeof guard->seed, 0) != (ssize_t)sizeof guard->seed) {
        free(guard); /* off the query path: at start */
        return NULL;
    }
    guard->chance = guard->seed[0] | 1;
    return guard;
}

void suffix_guard_free(struct suffix_guard *guard)
{
    free(guard); /* off the query path: at the end */
}

/* ---- Hashing: eight symbols at a time, since attackers like long names ---- */

/* A key on its way from the root's side down. */
struct walk {
    const uint8_t *symbols;
    size_t size, at;
    uint64_t hash; /* of what has been passed */
};

/* The next eight symbols, the first one lowest; zeros past the key's end. Reads nothing past it. */
static uint64_t walk_word(const struct walk *walk)
{
    uint64_t word = 0;
    size_t left = walk->size - walk->at;
    if (left >= sizeof word) {
        memcpy(&word, walk->symbols + walk->at, sizeof word);
        return le64toh(word);
    }
    if (walk->size >= sizeof word) {
        memcpy(&word, walk->symbols + walk->size - sizeof word, sizeof word);
        return le64toh(word) >> 8 * (sizeof word - left);
    }
    memcpy(&word, walk->symbols + walk->at, left);
    return le64toh(word);
}

/* The two halves of a product of which neither factor is known outside. SipHash would take several
 * times as long. Labels end with a zero, so zeros filled in behind it tell nothing else. */
static void walk_mix(const struct suffix_guard *guard, struct walk *walk, uint64_t word)
{
    unsigned __int128 product =
        (unsigned __int128)(word ^ guard->seed[0]) * (walk->hash ^ guard->seed[1]);
    walk->hash = (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The first octets of a word, one at least; zeros behind them. */
static uint64_t first_octets(uint64_t word, size_t octets)
{
    return octets < sizeof word ? word & ((UINT64_C(1) << 8 * octets) - 1) : word;
}

static void walk_to(const struct suffix_guard *guard, struct walk *walk, size_t end)
{
    while (walk->at < end) {
        uint64_t word = walk_word(walk);
        size_t left = end - walk->at < sizeof word ? end - walk->at : sizeof word;
        walk_mix(guard, walk, first_octets(word, left));
        walk->at += left;
    }
}

/*
 * Behind the next separator, which there is. key_label_end would look at each symbol, since a zero
 * may also be the second one of a pair, and take a microsecond for the longest names. Such a zero
 * is taken for a separator here: a name with strange octets has a suffix more, the same one in all
 * names that share it.
 */
static void walk_label(const struct suffix_guard *guard, struct walk *walk)
{
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t word, zeros;
    while (word = walk_word(walk), zeros = (word - ones) & highs, zeros == 0) {
        walk_mix(guard, walk, word);
        walk->at += sizeof word;
    }
    size_t octets = (size_t)__builtin_ctzll(zeros) / 8 + 1; /* the lowest one is exact */
    walk_mix(guard, walk, first_octets(word, octets));
    walk->at += octets;
}

static void find_suffixes(const struct suffix_guard *guard, const uint8_t *symbols, size_t size,
                          size_t zone_size, struct suffixes *suffixes)
{
    struct walk walk = {.symbols = symbols, .size = size};
    suffixes->count = 0;
    walk_to(guard, &walk, zone_size);
    for (unsigned labels = 0; zone_size == 0 && labels < 2 && walk.at < size; labels++) {
        walk_label(guard, &walk);
    }
    while (walk.at < size) {
        suffixes->hash[suffixes->count++] = walk.hash;
        if (suffixes->count < LEVELS) {
            walk_label(guard, &walk);
        } else {
            /* All that is left counts as the label below the last one: with no suffix for each of
             * them, random labels further down have to show there. */
            walk_to(guard, &walk, size);
        }
    }
    suffixes->hash[suffixes->count] = walk.hash;
}

/* ---- A suffix in the table ---- */

static uint64_t next_chance(struct suffix_guard *guard)
{
    uint64_t x = guard->chance;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return guard->chance = x;
}

static void set_closed(struct suffix_guard *guard, struct suffix *suffix, unsigned closed)
{
    guard->closed += (closed != 0) - (unsigned)(suffix->closed != 0);
    suffix->closed = (uint8_t)closed;
}

static unsigned count_labels(const struct suffix *suffix)
{
    return (unsigned)__builtin_popcountll(suffix->labels);
}

static bool mostly_fails(const struct suffix *suffix)
{
    return suffix->share >= SHARE_HALF &&
           count_labels(suffix) >= (suffix->closed != 0 ? LABELS_STILL : LABELS_MANY);
}

/* Brings it to the tick: labels halved, one step of opening for each that passed. */
static void age(struct suffix_guard *guard, struct suffix *suffix, uint32_t tick)
{
    uint32_t passed = tick - suffix->tick;
    if (passed == 0 || passed > UINT32_MAX / 2) { /* or a time that is behind: another batch's */
        return;
    }
    uint32_t halves = (tick >> HALVE_SHIFT) - (suffix->tick >> HALVE_SHIFT);
    for (halves = halves < HALVES_MAX ? halves : HALVES_MAX; halves > 0; halves--) {
        suffix->labels &= next_chance(guard);
    }
    suffix->tick = tick;
    if (suffix->labels == 0) {
        set_closed(guard, suffix, 0);
    } else if (suffix->closed != 0 && !mostly_fails(suffix)) {
        set_closed(guard, suffix, suffix->closed > passed ? suffix->closed - passed : 0);
    }
}

static struct suffix *bucket_of(struct suffix_guard *guard, uint64_t hash)
{
    return guard->table[hash & ((1u << BUCKETS_LOG) - 1)];
}

/* That of the hash, aged, or NULL. */
static struct suffix *find(struct suffix_guard *guard, uint64_t hash, uint32_t tick)
{
    struct suffix *bucket = bucket_of(guard, hash);
    for (unsigned i = 0; i < WAYS; i++) {
        if (bucket[i].tag == (uint32_t)(hash >> 32) && bucket[i].labels != 0) {
            age(guard, &bucket[i], tick);
            return &bucket[i];
        }
    }
    return NULL;
}

/* A new one in the place of that with the fewest labels, which may be none. */
static struct suffix *make(struct suffix_guard *guard, uint64_t hash, uint32_t tick)
{
    struct suffix *bucket = bucket_of(guard, hash);
    struct suffix *least = &bucket[0];
    for (unsigned i = 0; i < WAYS; i++) {
        age(guard, &bucket[i], tick);
        least = count_labels(&bucket[i]) < count_labels(least) ? &bucket[i] : least;
    }
    set_closed(guard, least, 0);
    *least = (struct suffix){.tag = (uint32_t)(hash >> 32), .tick = tick};
    return least;
}

/* ---- What the guard does ---- */

bool suffix_guard_admits(struct suffix_guard *guard, const struct key *key, uint16_t zone_size,
                         uint64_t now_ns)
{
    if (guard->closed == 0) {
        return true;
    }
    struct suffixes suffixes;
    find_suffixes(guard, key->symbols, key->size, zone_size, &suffixes);
    for (unsigned i = suffixes.count; i-- > 0;) {
        struct suffix *suffix = find(guard, suffixes.hash[i], (uint32_t)(now_ns >> TICK_SHIFT));
        if (suffix != NULL && suffix->closed != 0) {
            return next_chance(guard) >> (64 - suffix->closed) == 0;
        }
    }
    return true;
}

static void note_answer(struct suffix *suffix)
{
    unsigned shift = suffix->closed != 0 ? SHARE_SHIFT_CLOSED : SHARE_SHIFT;
    suffix->share = (uint16_t)(suffix->share - (suffix->share >> shift));
}

static void note_failure(struct suffix_guard *guard, struct suffix *suffix, uint64_t below)
{
    unsigned shift = suffix->closed != 0 ? SHARE_SHIFT_CLOSED : SHARE_SHIFT;
    suffix->share = (uint16_t)(suffix->share + ((0xffff - suffix->share) >> shift));
    suffix->labels |= (uint64_t)1 << (below >> 58);
    if (mostly_fails(suffix)) {
        set_closed(guard, suffix, CLOSED);
    }
}

/* Where nothing failed for so long that all labels have gone, answers need not be noted. */
static void forget_all(struct suffix_guard *guard)
{
    if (guard->closed != 0) {
        memset(guard->table, 0, sizeof guard->table);
        guard->closed = 0;
    }
}

void suffix_guard_ended(struct suffix_guard *guard, const uint8_t *symbols, uint16_t size,
                        uint16_t zone_size, bool failed, uint64_t now_ns)
{
    uint32_t tick = (uint32_t)(now_ns >> TICK_SHIFT);
    struct suffixes suffixes;
    if (failed) {
        guard->quiet = tick + (HALVES_MAX << HALVE_SHIFT);
    } else if ((int32_t)(tick - guard->quiet) > 0) {
        forget_all(guard);
        return;
    }
    find_suffixes(guard, symbols, size, zone_size, &suffixes);
    bool closed = false;
    for (unsigned i = suffixes.count; i-- > 0 && !closed;) {
        struct suffix *suffix = find(guard, suffixes.hash[i], tick);
        closed = suffix != NULL && suffix->closed != 0;
        if (failed) {
            suffix = suffix != NULL ? suffix : make(guard, suffixes.hash[i], tick);
            note_failure(guard, suffix, suffixes.hash[i + 1]);
        } else if (suffix != NULL) {
            note_answer(suffix);
        }
    }
}

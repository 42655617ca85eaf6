#include "dnssec/sigstore.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    /* Places of the index that are looked at for a key. The index is at most half full, so that
     * many taken in a row are as good as impossible; where it happens, nothing is kept. */
    PROBES = 64,
    COPY_TRIES = 3, /* of a slot that is being replaced: a miss then */
    /* Up to here a store is a piece of the heap. A hundred thousand small zones with pages of their
     * own for each key would be many times what they need, and near the number of mappings that the
     * kernel lets a process have (65530). */
    SMALL = 1 << 16,
};

/* Followed by the signature, in words. sequence is odd while the slot is written. */
struct slot {
    _Atomic uint64_t key;
    _Atomic uint64_t times; /* inception << 32 | expiration */
    _Atomic uint32_t sequence;
    uint32_t unused;
};

struct sigstore {
    size_t references;
    size_t size;      /* of a signature */
    size_t slot_size; /* octets */
    uint32_t most;    /* slots */
    uint32_t mask;    /* of the index: places are a power of two */
    _Atomic uint32_t used;
    _Atomic uint32_t *index; /* number of the slot and 1; 0: free */
    uint8_t *slots;
    size_t index_octets, slots_octets;
    size_t octets; /* of both, slots first */
};

/* Memory, zeroed; where it is much, there when it is touched. */
static void *reserve(size_t size)
{
    if (size <= SMALL) {
        return calloc(1, size);
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory != MAP_FAILED ? memory : NULL;
}

struct sigstore *sigstore_new(size_t most, size_t size)
{
    struct sigstore *store = calloc(1, sizeof *store);
    if (store == NULL || most > UINT32_MAX / 4) {
        free(store);
        return NULL;
    }
    size_t places = 64;
    while (places < 2 * most) {
        places *= 2;
    }
    store->references = 1;
    store->size = size;
    store->slot_size = sizeof(struct slot) + ((size + 7) & ~(size_t)7);
    store->most = (uint32_t)(most > 0 ? most : 1);
    store->mask = (uint32_t)(places - 1);
    store->index_octets = places * sizeof *store->index;
    store->slots_octets = store->most * store->slot_size;
    store->octets = store->slots_octets + store->index_octets;
    store->slots = reserve(store->octets);
    if (store->slots == NULL) {
        free(store);
        return NULL;
    }
    store->index = (void *)(store->slots + store->slots_octets);
    return store;
}

struct sigstore *sigstore_ref(struct sigstore *store)
{
    store->references++;
    return store;
}

void sigstore_unref(struct sigstore *store)
{
    if (store == NULL || --store->references > 0) {
        return;
    }
    if (store->octets <= SMALL) {
        free(store->slots);
    } else {
        munmap(store->slots, store->octets);
    }
    free(store);
}

static struct slot *slot_at(const struct sigstore *store, uint32_t number)
{
    return (struct slot *)(void *)(store->slots + number * store->slot_size);
}

static _Atomic uint64_t *slot_words(struct slot *slot)
{
    return (_Atomic uint64_t *)(void *)(slot + 1);
}

static uint32_t first_place(const struct sigstore *store, sigstore_key key)
{
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & store->mask;
}

/* The key's slot, or NULL. *place becomes the first free place of the index on its way, or is
 * left. */
static struct slot *find(const struct sigstore *store, sigstore_key key, uint32_t *place)
{
    uint32_t at = first_place(store, key);
    for (unsigned i = 0; i < PROBES; i++, at = (at + 1) & store->mask) {
        uint32_t number = atomic_load_explicit(&store->index[at], memory_order_acquire);
        if (number == 0) {
            *place = at;
            return NULL;
        }
        struct slot *slot = slot_at(store, number - 1);
        if (atomic_load_explicit(&slot->key, memory_order_relaxed) == key) {
            return slot;
        }
    }
    return NULL;
}

/* Words are read by acquire and written by release, so that they stay between the two looks at the
 * sequence number, and between its two changes. (Fences would do, but the thread sanitizer does not
 * know them.) */
static void copy_out(const struct sigstore *store, struct slot *slot, uint8_t *signature)
{
    const _Atomic uint64_t *words = slot_words(slot);
    size_t at = 0;
    for (; at + 8 <= store->size; at += 8) { /* all of most signatures, a store for each */
        uint64_t word = atomic_load_explicit(&words[at / 8], memory_order_acquire);
        memcpy(signature + at, &word, 8);
    }
    if (at < store->size) {
        uint64_t word = atomic_load_explicit(&words[at / 8], memory_order_acquire);
        memcpy(signature + at, &word, store->size - at);
    }
}

static void copy_in(const struct sigstore *store, struct slot *slot, const uint8_t *signature)
{
    for (size_t at = 0; at < store->size; at += 8) {
        uint64_t word = 0;
        memcpy(&word, signature + at, store->size - at < 8 ? store->size - at : 8);
        atomic_store_explicit(&slot_words(slot)[at / 8], word, memory_order_release);
    }
}

static struct sigstore_times times_of(uint64_t times)
{
    return (struct sigstore_times){(uint32_t)(times >> 32), (uint32_t)times};
}

bool sigstore_get(const struct sigstore *store, sigstore_key key, struct sigstore_times *times,
                  uint8_t *signature)
{
    uint32_t place;
    struct slot *slot = find(store, key, &place);
    for (unsigned i = 0; slot != NULL && i < COPY_TRIES; i++) {
        uint32_t before = atomic_load_explicit(&slot->sequence, memory_order_acquire);
        if ((before & 1) != 0) {
            continue;
        }
        *times = times_of(atomic_load_explicit(&slot->times, memory_order_acquire));
        copy_out(store, slot, signature);
        if (atomic_load_explicit(&slot->sequence, memory_order_relaxed) == before) {
            return true;
        }
    }
    return false;
}

static void fill(const struct sigstore *store, struct slot *slot, struct sigstore_times times,
                 const uint8_t *signature)
{
    uint64_t both = (uint64_t)times.inception << 32 | times.expiration;
    atomic_store_explicit(&slot->times, both, memory_order_release);
    copy_in(store, slot, signature);
}

static bool replace(const struct sigstore *store, struct slot *slot, struct sigstore_times times,
                    const uint8_t *signature)
{
    uint32_t sequence = atomic_load_explicit(&slot->sequence, memory_order_relaxed);
    if ((sequence & 1) != 0 ||
        !atomic_compare_exchange_strong_explicit(&slot->sequence, &sequence, sequence + 1,
                                                 memory_order_acquire, memory_order_relaxed)) {
        return false;
    }
    fill(store, slot, times, signature);
    atomic_store_explicit(&slot->sequence, sequence + 2, memory_order_release);
    return true;
}

bool sigstore_put(struct sigstore *store, sigstore_key key, struct sigstore_times times,
                  const uint8_t *signature)
{
    uint32_t place = UINT32_MAX;
    struct slot *slot = find(store, key, &place);
    if (slot != NULL) {
        return replace(store, slot, times, signature);
    }
    if (place == UINT32_MAX ||
        atomic_load_explicit(&store->used, memory_order_relaxed) >= store->most) {
        return false;
    }
    uint32_t number = atomic_fetch_add_explicit(&store->used, 1, memory_order_relaxed);
    if (number >= store->most) {
        atomic_fetch_sub_explicit(&store->used, 1, memory_order_relaxed);
        return false;
    }
    slot = slot_at(store, number);
    fill(store, slot, times, signature);
    atomic_store_explicit(&slot->key, key, memory_order_release);
    uint32_t free_place = 0;
    if (atomic_compare_exchange_strong_explicit(&store->index[place], &free_place, number + 1,
                                                memory_order_release, memory_order_relaxed)) {
        return true;
    }
    /* Another thread took the place, most likely for the same RRset: this slot is wasted. */
    atomic_store_explicit(&slot->key, 0, memory_order_relaxed);
    return false;
}

size_t sigstore_count(const struct sigstore *store)
{
    uint32_t used = atomic_load_explicit(&store->used, memory_order_relaxed);
    return used < store->most ? used : store->most;
}

size_t sigstore_octets(const struct sigstore *store)
{
    if (store->octets <= SMALL) {
        return store->octets;
    }
    size_t count = sigstore_count(store);
    /* A page of the index for each signature, until all pages are touched. */
    size_t index = count * 4096 < store->index_octets ? count * 4096 : store->index_octets;
    return index + count * store->slot_size;
}

sigstore_key sigstore_at(const struct sigstore *store, size_t n, struct sigstore_times *times)
{
    struct slot *slot = slot_at(store, (uint32_t)n);
    *times = times_of(atomic_load_explicit(&slot->times, memory_order_relaxed));
    return atomic_load_explicit(&slot->key, memory_order_acquire);
}

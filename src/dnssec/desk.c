#include "dnssec/desk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/err.h"
#include "base/siphash.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "dnssec/canonical.h"

enum {
    /* Keys whose contexts are at hand. One costs 3 us to make, a tenth of what it is for; zones
     * asked at the same time mostly have a few dozen keys. */
    CONTEXTS = 256,
    /* The cache: sets of WAYS signatures each, the oldest replaced. 8192 signatures in all; of more
     * random names than that a second none would be asked for again anyway. */
    SETS = 2048,
    WAYS = 4,
    CACHED_SIGNATURE_MAX = 256, /* RSA of 2048 bits; with this the cache takes 2.3 MiB */
};

struct context {
    uint64_t id; /* of the key; 0: none */
    struct dnskey_signer *signer;
};

/* Signatures are found by two hashes (128 bits) of all that they depend on. A set's first hashes and
 * what tells which is the oldest are one line of memory: all that a new name has to wait for. */
struct tags {
    uint64_t hash[WAYS]; /* 0: none */
    struct sigstore_times times[WAYS];
};

_Static_assert(sizeof(struct tags) == 64, "a set's tags are a line");

struct cached {
    uint64_t hash;
    uint8_t signature[CACHED_SIGNATURE_MAX];
};

struct sign_desk {
    struct canonical canonical;
    uint8_t secret[2][16]; /* of the hashes */
    struct context contexts[CONTEXTS];
    struct tags *tags; /* of SETS */
    struct cached cached[SETS][WAYS];
};

struct sign_desk *sign_desk_new(void)
{
    struct sign_desk *desk = calloc(1, sizeof *desk);
    struct tags *tags = aligned_alloc(sizeof *tags, SETS * sizeof *tags);
    if (desk == NULL || tags == NULL ||
        getrandom(desk->secret, sizeof desk->secret, 0) != sizeof desk->secret) {
        free(desk);
        free(tags);
        return NULL;
    }
    memset(tags, 0, SETS * sizeof *tags);
    desk->tags = tags;
    return desk;
}

void sign_desk_forget(struct sign_desk *desk)
{
    for (size_t i = 0; i < CONTEXTS; i++) {
        dnskey_signer_free(desk->contexts[i].signer);
        desk->contexts[i] = (struct context){0};
    }
}

void sign_desk_free(struct sign_desk *desk)
{
    if (desk != NULL) {
        sign_desk_forget(desk);
        canonical_free(&desk->canonical);
        free(desk->tags);
        free(desk);
    }
}

/* --- times --- */

/* Whether a signature is valid now and for so long (RRSIG times are serial numbers, RFC 1982). */
static bool is_good(struct sigstore_times times, uint32_t now, uint32_t left)
{
    return (int32_t)(now - times.inception) >= 0 && (int32_t)(times.expiration - now) > 0 &&
           times.expiration - now >= left;
}

/*
 * The zone's signatures are remade in the background when `refresh` of their time is left; on the
 * query path only when that did not happen for long. Those of the cache are nobody's else to
 * remake.
 */
static uint32_t least_left(const struct signing *signing, const struct sign_what *what)
{
    return what->key != 0 ? signing->refresh / 2 : signing->refresh;
}

/* Expirations are spread over a quarter of the time that signatures are used, so that what was
 * signed at once need not be signed at once again. */
static struct sigstore_times times_now(const struct signing *signing, uint32_t now, uint64_t spread)
{
    uint32_t most = (signing->lifetime - signing->refresh) / 4;
    return (struct sigstore_times){
        .inception = now - signing->inception_offset,
        .expiration = now + signing->lifetime - (uint32_t)(spread % (most + 1)),
    };
}

/* --- the cache --- */

static void hash_what(const struct sign_desk *desk, struct sign_what *what)
{
    uint8_t data[NAME_MAX_OCTETS + 4 + 2048];
    const struct rrset *rrset = what->rrset;
    size_t size = name_size(what->owner);
    size_t block = rrset->block_size - 2; /* without the place of the owner's pointer */
    if (block > sizeof data - size - 4) {
        return; /* not kept */
    }
    for (size_t i = 0; i < size; i++) {
        data[i] = name_lower(what->owner[i]);
    }
    memcpy(data + size, &what->ttl, 4);
    memcpy(data + size + 4, rrset->block + 2, block);
    size += 4 + block;
    what->hash[0] = siphash24(desk->secret[0], data, size) | 1;
    what->hash[1] = siphash24(desk->secret[1], data, size);
}

/* A signature's hash, from that of what it covers: other keys move it elsewhere. */
static void hash_for(const struct sign_what *what, const struct signing_key *key, uint64_t hash[2])
{
    uint64_t spread = key->id * UINT64_C(0x9e3779b97f4a7c15);
    hash[0] = what->hash[0] != 0 ? (what->hash[0] ^ spread) | 1 : 0;
    hash[1] = what->hash[1] ^ spread;
}

static const struct cached *cache_find(const struct sign_desk *desk, const uint64_t hash[2],
                                       struct sigstore_times *times)
{
    size_t at = hash[0] / 2 % SETS;
    const struct tags *tags = &desk->tags[at];
    for (unsigned i = 0; i < WAYS; i++) {
        if (tags->hash[i] == hash[0] && desk->cached[at][i].hash == hash[1]) {
            *times = tags->times[i];
            return &desk->cached[at][i];
        }
    }
    return NULL;
}

/* What was made behind the time, before a clock was set back, is older than anything else. */
static uint32_t age(struct sigstore_times times, uint32_t inception)
{
    return inception - times.inception;
}

static void cache_put(struct sign_desk *desk, const uint64_t hash[2], struct sigstore_times times,
                      const uint8_t *signature, size_t size)
{
    size_t at = hash[0] / 2 % SETS;
    struct tags *tags = &desk->tags[at];
    unsigned place = 0;
    for (unsigned i = 0; i < WAYS; i++) {
        if (tags->hash[i] == hash[0] && desk->cached[at][i].hash == hash[1]) {
            place = i;
            break;
        }
        if (age(tags->times[i], times.inception) > age(tags->times[place], times.inception)) {
            place = i;
        }
    }
    tags->hash[place] = hash[0];
    tags->times[place] = times;
    struct cached *cached = &desk->cached[at][place];
    cached->hash = hash[1];
    memcpy(cached->signature, signature, size);
}

/* --- one signature --- */

/* All of the record but the signature; returns where that belongs. */
static uint8_t *write_rrsig(const struct signing *signing, const struct signing_key *key,
                            const struct sign_what *what, struct sigstore_times times,
                            uint8_t *record)
{
    wire_put_u16(record, 0);
    wire_put_u16(record + 2, RRTYPE_RRSIG);
    wire_put_u16(record + 4, CLASS_IN);
    wire_put_u32(record + 6, rrset_ttl(what->rrset));
    wire_put_u16(record + 10, (uint16_t)signing_rrsig_size(signing, key));
    uint8_t *rdata = record + RECORD_HEAD;
    wire_put_u16(rdata, what->rrset->type);
    rdata[2] = key->key->algorithm;
    rdata[3] = what->labels;
    wire_put_u32(rdata + 4, what->ttl);
    wire_put_u32(rdata + 8, times.expiration);
    wire_put_u32(rdata + 12, times.inception);
    wire_put_u16(rdata + 16, key->key->tag);
    memcpy(rdata + SIGNING_RRSIG_FIXED, signing->signer, signing->signer_size);
    return rdata + SIGNING_RRSIG_FIXED + signing->signer_size;
}

/* Writes the record from what is kept; hash is for key 0. */
static bool find_one(struct sign_desk *desk, const struct signing *signing,
                     const struct signing_key *key, const struct sign_what *what,
                     const uint64_t hash[2], uint32_t now, uint8_t *record)
{
    struct sigstore_times times;
    uint8_t *signature = record + RECORD_HEAD + signing_rrsig_size(signing, key) -
                         key->signature_size;
    if (what->key != 0) {
        if (!sigstore_get(key->store, what->key, &times, signature)) {
            return false;
        }
    } else {
        const struct cached *cached = hash[0] != 0 ? cache_find(desk, hash, &times) : NULL;
        if (cached == NULL) {
            return false;
        }
        memcpy(signature, cached->signature, key->signature_size);
    }
    if (!is_good(times, now, least_left(signing, what))) {
        return false;
    }
    write_rrsig(signing, key, what, times, record);
    return true;
}

static struct dnskey_signer *context_of(struct sign_desk *desk, const struct signing_key *key)
{
    struct context *context = &desk->contexts[key->id % CONTEXTS];
    if (context->id != key->id) {
        dnskey_signer_free(context->signer);
        context->signer = dnskey_signer_new(key->key);
        context->id = context->signer != NULL ? key->id : 0;
    }
    return context->signer;
}

static int make_one(struct sign_desk *desk, const struct signing *signing,
                    const struct signing_key *key, const struct sign_what *what,
                    const uint64_t hash[2], uint32_t now, uint8_t *record)
{
    uint64_t spread = what->key != 0 ? what->key * UINT64_C(0x9e3779b97f4a7c15) >> 20 : hash[1];
    struct sigstore_times times = times_now(signing, now, spread);
    uint8_t *signature = write_rrsig(signing, key, what, times, record);
    struct canonical *c = &desk->canonical;
    c->size = 0;
    struct dnskey_signer *signer = context_of(desk, key);
    if (signer == NULL ||
        canonical_octets(c, record + RECORD_HEAD, (size_t)(signature - record) - RECORD_HEAD) !=
            RR_OK ||
        canonical_rrset(c, what->rrset, what->owner, what->ttl) != RR_OK ||
        dnskey_sign(signer, c->data, c->size, signature) != RR_OK) {
        return RR_ENOMEM;
    }
    size_t size = key->signature_size;
    if (what->key != 0) {
        sigstore_put(key->store, what->key, times, signature);
    } else if (hash[0] != 0 && size <= CACHED_SIGNATURE_MAX) {
        cache_put(desk, hash, times, signature, size);
    }
    return RR_OK;
}

/* --- all signatures of an RRset --- */

/* The RRSIGs that were given with the DNSKEY RRset. */
static bool take_given(const struct signing *signing, const struct sign_what *what, uint8_t *run)
{
    if (what->rrset->type != RRTYPE_DNSKEY || signing->given == NULL) {
        return false;
    }
    memcpy(run, signing->given->block, signing->given->block_size);
    return true;
}

/* Finds or, where make is set, makes them. The number made, RR_ENOENT, or RR_ENOMEM. */
static int sign_all(struct sign_desk *desk, const struct signing *signing,
                    struct sign_what *what, uint32_t now, uint8_t *run, bool make)
{
    int made = 0;
    if (take_given(signing, what, run)) {
        return 0;
    }
    if (what->key == 0 && what->hash[0] == 0) {
        hash_what(desk, what);
    }
    for (size_t i = 0; i < signing->keys; i++) {
        const struct signing_key *key = &signing->key[i];
        if (!signing_key_signs(key, what->rrset->type)) {
            continue;
        }
        uint64_t hash[2];
        hash_for(what, key, hash);
        if (!find_one(desk, signing, key, what, hash, now, run)) {
            int error = make ? make_one(desk, signing, key, what, hash, now, run) : RR_ENOENT;
            if (error != RR_OK) {
                return error;
            }
            made++;
        }
        run += RECORD_HEAD + signing_rrsig_size(signing, key);
    }
    return made;
}

bool sign_desk_find(struct sign_desk *desk, const struct signing *signing,
                    struct sign_what *what, uint32_t now, uint8_t *run)
{
    return sign_all(desk, signing, what, now, run, false) >= 0;
}

int sign_desk_make(struct sign_desk *desk, const struct signing *signing,
                   struct sign_what *what, uint32_t now, uint8_t *run)
{
    return sign_all(desk, signing, what, now, run, true);
}

/* --- in the background --- */

/* One kept signature: 1 where it was made anew, 0 where there was no need. */
static int refresh_one(struct sign_desk *desk, const struct signing *signing,
                       const struct signing_key *key, size_t number, uint32_t now)
{
    struct sigstore_times times;
    sigstore_key at = sigstore_at(key->store, number, &times);
    const struct zone *zone = signing->zone;
    const struct node *node = zone_node(zone, sigstore_key_node(at));
    uint16_t type = sigstore_key_type(at);
    if (node == NULL || is_good(times, now, signing->refresh) || !signing_key_signs(key, type)) {
        return 0;
    }
    void *memory = malloc(signing_room(signing, node));
    const struct rrset *rrset = memory != NULL ? signing_rrset(signing, node, type, memory) : NULL;
    int error = memory != NULL ? 0 : RR_ENOMEM;
    if (rrset != NULL) {
        uint8_t name[NAME_MAX_OCTETS];
        uint8_t record[RECORD_HEAD + SIGNING_RRSIG_FIXED + NAME_MAX_OCTETS + DNSKEY_SIGNATURE_MAX];
        node_name(zone, node, name);
        struct sign_what what = {
            .rrset = rrset,
            .owner = name,
            .labels = signing_labels(zone, node),
            .ttl = rrset_ttl(rrset),
            .key = at,
        };
        error = make_one(desk, signing, key, &what, (const uint64_t[2]){0}, now, record);
        error = error == RR_OK ? 1 : error;
    }
    free(memory);
    return error;
}

int sign_desk_refresh(struct sign_desk *desk, const struct signing *signing, uint64_t *cursor,
                      unsigned *look, unsigned make, uint32_t now)
{
    size_t key = (size_t)(*cursor >> 32), number = (size_t)(*cursor & UINT32_MAX);
    unsigned made = 0;
    for (; key < signing->keys; key++, number = 0) {
        size_t count = sigstore_count(signing->key[key].store);
        for (; number < count; number++) {
            if (*look == 0 || made >= make) {
                *cursor = (uint64_t)key << 32 | number;
                return (int)made;
            }
            --*look;
            int one = refresh_one(desk, signing, &signing->key[key], number, now);
            if (one < 0) {
                return one;
            }
            made += (unsigned)one;
        }
    }
    *cursor = 0;
    return (int)made;
}

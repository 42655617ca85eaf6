/*
 * Replies of upstream servers, each any octets: read twice alike and within their bounds; kept,
 * found again and put behind the same question they are a reply with the same records, where no TTL
 * had to change (a name may point into one).
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/wire.h"
#include "serve/proxy_cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1000 };

static const struct cache_times times = {
    .ttl_max = UINT32_MAX, .negative_ttl_max = UINT32_MAX, .stale = 10};

static struct proxy_cache *cache;

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

static void check_bounds(const struct reply *r)
{
    require(r->body >= MESSAGE_HEADER && r->body <= r->size && r->body_size <= r->size - r->body);
    require(r->records == (uint32_t)r->counts[0] + r->counts[1] + r->counts[2]);
    require(r->records * 11 <= r->body_size && (r->records > 0 || r->body_size == 0));
    require(r->cookie_size == 0 ||
            (r->cookie > r->message && r->cookie + r->cookie_size <= r->message + r->size));
    require(!r->has_question || r->body == MESSAGE_HEADER + r->qname_size + 4u);
}

static void check_same(const struct reply *a, const struct reply *b)
{
    require(a->rcode == b->rcode && a->body == b->body && a->body_size == b->body_size);
    require(memcmp(a->counts, b->counts, sizeof a->counts) == 0 && a->records == b->records);
    require(a->qname_size == b->qname_size && a->qtype == b->qtype && a->qclass == b->qclass);
    require(a->kind == b->kind && a->has_soa == b->has_soa && a->ttl == b->ttl);
    require(a->negative_ttl == b->negative_ttl);
}

/* Whether all TTLs of body are as in the reply; what is none must be. */
static bool same_ttls(const struct reply *r, const uint8_t *body)
{
    static uint8_t blank[2][MESSAGE_MAX];
    static uint16_t offsets[REPLY_RECORDS_MAX];
    require(reply_ttls(r, offsets));
    memcpy(blank[0], r->message + r->body, r->body_size);
    memcpy(blank[1], body, r->body_size);
    bool same = memcmp(blank[0], blank[1], r->body_size) == 0;
    for (uint32_t i = 0; i < r->records; i++) {
        require((i == 0 || offsets[i] >= offsets[i - 1] + 11) && offsets[i] + 6u <= r->body_size);
        memset(blank[0] + offsets[i], 0, 4);
        memset(blank[1] + offsets[i], 0, 4);
    }
    require(memcmp(blank[0], blank[1], r->body_size) == 0);
    return same;
}

static void check_found(const struct reply *r, const struct proxy_question *question, uint32_t now)
{
    static uint8_t message[MESSAGE_MAX + 1];
    struct proxy_found found;
    memcpy(message, r->message, r->body);
    enum proxy_cache_state state = proxy_cache_find(cache, question, &times, now, message + r->body,
                                                    sizeof message - r->body, &found);
    require(state != PROXY_CACHE_NONE || now > NOW);
    if (state == PROXY_CACHE_NONE) {
        return;
    }
    require(found.fits && found.size == r->body_size && found.rcode == r->rcode);
    require(found.ede == r->ede && found.flags == (r->flags & (FLAG_AA | FLAG_AD)));
    require(memcmp(found.counts, r->counts, sizeof found.counts) == 0);
    bool same = same_ttls(r, message + r->body);
    for (unsigned i = 0; i < 3; i++) {
        wire_put_u16(message + 6 + 2 * i, found.counts[i]);
    }
    wire_put_u16(message + 2, (uint16_t)(wire_get_u16(message + 2) & ~FLAG_TC));
    struct reply again;
    bool good = reply_parse(message, r->body + found.size, &again);
    require(good || !same);
    if (same && r->rcode <= 0xf) { /* the upper bits are in OPT */
        check_same(r, &again);
    }
}

static void check_kept(const struct reply *r)
{
    struct key key;
    key_from_name(r->message + MESSAGE_HEADER, &key);
    struct proxy_question question = {.key = &key, .qtype = r->qtype, .flags = PROXY_DO};
    question.hash = proxy_cache_hash(cache, &question);
    if (proxy_cache_put(cache, &question, r, &times, NOW, proxy_cache_epoch(cache))) {
        check_found(r, &question, NOW);
        check_found(r, &question, NOW + 5);
        check_found(r, &question, NOW + 400);
        require(proxy_cache_flush(cache, &key) == 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (cache == NULL) {
        cache = proxy_cache_new(PROXY_CACHE_SIZE_MIN);
        require(cache != NULL);
    }
    if (size > MESSAGE_MAX) {
        return 0;
    }
    struct reply r, again;
    bool good = reply_parse(data, size, &r);
    require(good == reply_parse(data, size, &again));
    if (!good) {
        return 0;
    }
    check_same(&r, &again);
    check_bounds(&r);
    if (r.has_question && r.records <= REPLY_RECORDS_MAX) {
        check_kept(&r);
    }
    return 0;
}

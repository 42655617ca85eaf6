/*
 * What the tests of the proxy's cache have in common: a small one, and questions for it.
 */
#ifndef RRDNS_TESTS_PROXY_CACHE_AID_H
#define RRDNS_TESTS_PROXY_CACHE_AID_H

#include "names.h"
#include "reply_aid.h"
#include "serve/proxy_cache.h"
#include "unit.h"

enum { NOW = 1000, ROOM = 4096 };

static const struct cache_times usual = {
    .ttl_max = 86400, .negative_ttl_max = 3600, .stale = 3600, .prefetch = true};

/* A question and its key in one. */
struct asked {
    struct proxy_question question;
    struct key key;
};

static struct proxy_cache *cache;
static struct cache_times times;
static uint8_t body[ROOM];
static struct proxy_found found;

static inline void setup(void)
{
    times = usual;
    cache = proxy_cache_new(PROXY_CACHE_SIZE_MIN);
    ck_assert_ptr_nonnull(cache);
}

static inline void teardown(void)
{
    proxy_cache_free(cache);
}

static inline const struct proxy_question *question_of(struct asked *asked, const uint8_t *name,
                                                       uint16_t type, uint8_t flags, uint32_t group)
{
    key_from_name(name, &asked->key);
    asked->question =
        (struct proxy_question){.key = &asked->key, .qtype = type, .flags = flags, .group = group};
    asked->question.hash = proxy_cache_hash(cache, &asked->question);
    return &asked->question;
}

/* Of class IN with RD, in group 1. */
static inline const struct proxy_question *about(const char *name, uint16_t type)
{
    static struct asked asked[16];
    static unsigned next;
    return question_of(&asked[next++ % 16], names_wire(name), type, PROXY_RD, 1);
}

static inline bool put_reply(const struct proxy_question *question, const struct ask *reply,
                             uint32_t now)
{
    struct reply r;
    ck_assert(reply_parse(reply->data, reply->size, &r));
    return proxy_cache_put(cache, question, &r, &times, now, proxy_cache_epoch(cache));
}

static inline enum proxy_cache_state find_question(const struct proxy_question *question,
                                                   uint32_t now)
{
    memset(body, 0xee, sizeof body);
    memset(&found, 0xee, sizeof found);
    return proxy_cache_find(cache, question, &times, now, body, sizeof body, &found);
}

/* The TTL of the first record, whose owner is a pointer or the root. */
static inline uint32_t first_ttl(void)
{
    return wire_get_u32(body + (body[0] == 0 ? 5 : 6));
}

#endif

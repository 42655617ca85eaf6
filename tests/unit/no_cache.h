/*
 * The functions of the proxy's cache that a test which makes up the others never comes to. They
 * keep the linker from taking the real ones beside those made up.
 */
#ifndef RRDNS_TESTS_NO_CACHE_H
#define RRDNS_TESTS_NO_CACHE_H

#include "serve/proxy_cache.h"
#include "unit.h"

uint64_t proxy_cache_hash(const struct proxy_cache *cache, const struct proxy_question *question)
{
    (void)cache, (void)question;
    ck_abort_msg("the cache is asked for a hash");
}

void proxy_cache_prefetch(const struct proxy_cache *cache, uint64_t hash)
{
    (void)cache, (void)hash;
    ck_abort_msg("the cache is asked");
}

void proxy_cache_prefetch_entry(const struct proxy_cache *cache, uint64_t hash)
{
    (void)cache, (void)hash;
    ck_abort_msg("the cache is asked");
}

enum proxy_cache_state proxy_cache_find(struct proxy_cache *cache,
                                        const struct proxy_question *question,
                                        const struct cache_times *times, uint32_t now, uint8_t *out,
                                        size_t room, struct proxy_found *found)
{
    (void)cache, (void)question, (void)times, (void)now, (void)out, (void)room, (void)found;
    ck_abort_msg("the cache is asked");
}

bool proxy_cache_put(struct proxy_cache *cache, const struct proxy_question *question,
                     const struct reply *r, const struct cache_times *times, uint32_t now,
                     uint64_t epoch)
{
    (void)cache, (void)question, (void)r, (void)times, (void)now, (void)epoch;
    ck_abort_msg("the cache is given something");
}

void proxy_cache_clamp(const struct reply *r, const struct cache_times *times, uint8_t *body)
{
    (void)r, (void)times, (void)body;
    ck_abort_msg("the cache is asked what it makes of TTLs");
}

bool proxy_cache_failed(struct proxy_cache *cache, const struct proxy_question *question,
                        const struct cache_times *times, uint32_t now)
{
    (void)cache, (void)question, (void)times, (void)now;
    ck_abort_msg("the cache is told of a failure");
}

uint64_t proxy_cache_epoch(const struct proxy_cache *cache)
{
    (void)cache;
    ck_abort_msg("the cache is asked for its epoch");
}

#endif

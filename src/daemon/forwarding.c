/*
 * Two of everything while a reload is under way: what is in force, and what will be. Which of them
 * goes is known when the loader is done.
 */
#include "daemon/forwarding.h"

#include <stdlib.h>

#include "base/err.h"
#include "daemon/make_routes.h"
#include "daemon/upstream_slots.h"
#include "net/tls.h"
#include "serve/proxy_cache.h"

struct forwarding {
    uint64_t last_id;
    struct routes *now, *next;          /* NULL: none */
    size_t cache_size, next_cache_size; /* as configured */
    bool prepared;
    struct upstream_slots slots;
};

struct forwarding *forwarding_new(void)
{
    return calloc(1, sizeof(struct forwarding));
}

static struct proxy_cache *cache_of(const struct routes *routes)
{
    return routes != NULL ? routes->cache : NULL;
}

/* Frees routes, and their cache where other has another. */
static void drop(struct routes *routes, const struct routes *other)
{
    struct proxy_cache *cache = cache_of(routes);
    unmake_routes(routes);
    if (cache != NULL && cache != cache_of(other)) {
        proxy_cache_free(cache);
    }
}

void forwarding_free(struct forwarding *forwarding)
{
    if (forwarding == NULL) {
        return;
    }
    forwarding_settle(forwarding, false);
    drop(forwarding->now, NULL);
    upstream_slots_clear(&forwarding->slots);
    free(forwarding);
}

/* Gives groups the trusts in force where theirs are the same: connections go on then. */
static void keep_trusts(struct config_proxy *proxy, const struct routes *now)
{
    for (size_t i = 0; i < proxy->groups; i++) {
        struct upstream_group *group = &proxy->group[i];
        for (size_t j = 0; group->trust != NULL && now != NULL && j < now->groups; j++) {
            struct tls_trust *trust = now->group[j].trust;
            if (trust != NULL && tls_trust_same(trust, group->trust)) {
                tls_trust_ref(trust);
                tls_trust_unref(group->trust);
                group->trust = trust;
                break;
            }
        }
    }
}

int forwarding_prepare(struct forwarding *forwarding, struct config *config, const struct net *net,
                       const struct routes **routes)
{
    struct routes *made = NULL;
    if (config->proxy.routes > 0) {
        keep_trusts(&config->proxy, forwarding->now);
        int error = make_routes(&config->proxy, &made);
        if (error != RR_OK) {
            return error;
        }
        struct proxy_cache *cache = cache_of(forwarding->now);
        bool fits = cache != NULL && forwarding->cache_size == config->proxy.cache_size;
        made->cache = fits ? cache : proxy_cache_new(config->proxy.cache_size);
        error = made->cache != NULL
                    ? upstream_slots_assign(&forwarding->slots, net, made->group, made->groups)
                    : RR_ENOMEM;
        if (error != RR_OK) {
            drop(made, forwarding->now);
            return error;
        }
        made->id = ++forwarding->last_id;
    }
    forwarding->next = made;
    forwarding->next_cache_size = config->proxy.cache_size;
    forwarding->prepared = true;
    *routes = made;
    return RR_OK;
}

void forwarding_settle(struct forwarding *forwarding, bool adopted)
{
    if (!forwarding->prepared) {
        return;
    }
    struct routes *keep = adopted ? forwarding->next : forwarding->now;
    drop(adopted ? forwarding->now : forwarding->next, keep);
    upstream_slots_settle(&forwarding->slots, adopted);
    forwarding->now = keep;
    forwarding->cache_size = adopted ? forwarding->next_cache_size : forwarding->cache_size;
    forwarding->next = NULL;
    forwarding->prepared = false;
}

const struct routes *forwarding_routes(const struct forwarding *forwarding)
{
    return forwarding->now;
}

void forwarding_totals(const struct forwarding *forwarding, const struct net *net, uint32_t slot,
                       struct upstream_totals *totals)
{
    const struct upstream_totals *base = upstream_slots_base(&forwarding->slots, slot);
    upstream_totals_read(net, slot, totals);
    if (base != NULL) {
        upstream_totals_since(totals, base);
    }
}

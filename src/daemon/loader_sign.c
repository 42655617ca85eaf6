#include "daemon/loader_sign.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/crew.h"
#include "base/err.h"
#include "base/log.h"
#include "dns/name.h"

enum {
    /* A second's share. 50 signatures are a millisecond of P-256, 13 ms of RSA. */
    REFRESH_MAKE = 50,
    /* Signatures looked at; half a millisecond. Ten million are gone through in 17 minutes. */
    REFRESH_LOOK = 10000,
    REFRESH_ZONES = 1000, /* zones looked at */
};

/* ---- Policies ---- */

struct loader_policy *loader_policy_new(const struct dnssec_policy *policy, bool makes_keys)
{
    struct loader_policy *copy = calloc(1, sizeof *copy);
    if (copy == NULL) {
        return NULL;
    }
    atomic_init(&copy->references, 1);
    copy->policy = *policy;
    copy->makes_keys = makes_keys;
    copy->policy.name = strdup(policy->name);
    copy->policy.keys = strdup(policy->keys);
    if (copy->policy.name == NULL || copy->policy.keys == NULL) {
        loader_policy_unref(copy);
        return NULL;
    }
    return copy;
}

struct loader_policy *loader_policy_ref(struct loader_policy *policy)
{
    if (policy != NULL) {
        atomic_fetch_add(&policy->references, 1);
    }
    return policy;
}

void loader_policy_unref(struct loader_policy *policy)
{
    if (policy != NULL && atomic_fetch_sub(&policy->references, 1) == 1) {
        keyset_directory_free(policy->directory);
        diag_clear(&policy->fault);
        free(policy->policy.name);
        free(policy->policy.keys);
        free(policy);
    }
}

/* Whether the policy would sign as it is signed. What the entry names may be another one: whose
 * keys could not be read, so that it was never followed. */
static bool is_followed(const struct dnssec_policy *policy, const struct signing *signing)
{
    return policy->denial == signing->denial && policy->lifetime == signing->lifetime &&
           policy->refresh == signing->refresh &&
           policy->inception_offset == signing->inception_offset &&
           policy->dnskey_ttl == signing->dnskey_ttl;
}

/* Whether the keys that the item's zone is signed with are all it has at the time. */
static bool has_keys(const struct loader_item *item, int64_t now)
{
    const struct signing *signing = item->entry->signing;
    return signing != NULL && now >= signing->keyset->whole_from;
}

void loader_sign_begin(struct loader_plan *plan)
{
    int64_t now = clock_wall();
    for (size_t i = 0; i < plan->count; i++) {
        struct loader_policy *policy = plan->items[i].policy;
        bool reads = !plan->items[i].keys_only || !has_keys(&plan->items[i], now);
        if (policy != NULL && reads && policy->directory == NULL &&
            policy->fault.faults == 0 &&
            keyset_directory_read(policy->policy.keys, &policy->directory, &policy->fault) !=
                RR_OK &&
            policy->fault.faults == 0) {
            diag_fault(&policy->fault, policy->policy.keys, 0, "%s", rr_strerror(RR_ENOMEM));
        }
    }
}

void loader_sign_end(struct loader_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct loader_policy *policy = plan->items[i].policy;
        if (policy != NULL) {
            keyset_directory_free(policy->directory);
            policy->directory = NULL;
            diag_clear(&policy->fault);
        }
    }
}

/* ---- Keys ---- */

static bool same_key(const struct dnskey *a, const struct dnskey *b)
{
    return a->rdata_size == b->rdata_size && memcmp(a->rdata, b->rdata, a->rdata_size) == 0 &&
           memcmp(a->times, b->times, sizeof a->times) == 0 &&
           (a->private == NULL) == (b->private == NULL);
}

static bool same_list(const struct keyset_list *a, const struct keyset_list *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = a->record[i].size == b->record[i].size &&
               memcmp(a->record[i].data, b->record[i].data, a->record[i].size) == 0;
    }
    return same;
}

static bool same_offline(const struct keyset_offline *a, const struct keyset_offline *b)
{
    if (a == NULL || b == NULL) {
        return a == b;
    }
    return a->ttl == b->ttl && same_list(&a->dnskey, &b->dnskey) && same_list(&a->rrsig, &b->rrsig);
}

static bool same_keyset(const struct keyset *a, const struct keyset *b)
{
    bool same = a->count == b->count && same_offline(a->offline, b->offline);
    for (size_t i = 0; same && i < a->count; i++) {
        same = same_key(&a->key[i], &b->key[i]);
    }
    return same;
}

static int make_key(struct loader_item *item, int64_t now, struct keyset **keyset)
{
    const struct dnssec_policy *policy = &item->policy->policy;
    char ds[DNSKEY_DS_TEXT];
    int error = keyset_make(policy->keys, item->entry->name, policy->algorithm, now, keyset, ds,
                            &item->diag);
    if (error == RR_OK) {
        char name[NAME_MAX_TEXT];
        name_to_text(item->entry->name, name);
        log_info("zone %s had no key; one was made in %s. For the parent zone: %s", name,
                 policy->keys, ds);
    }
    return error;
}

/* Whether the zone is signed with keys that should still be there at the time. */
static bool is_losing_keys(const struct loader_item *item, int64_t now)
{
    const struct signing *signing = item->entry->signing;
    for (size_t i = 0; signing != NULL && i < signing->keyset->count; i++) {
        if (keyset_state(&signing->keyset->key[i], now) != KEYSET_REMOVED) {
            return true;
        }
    }
    return false;
}

/* What a zone has that has no keys: one that is made for it, or, since the parent's DS would not be
 * of that, the keys that it is signed with. */
static int replace_keys(struct loader_item *item, int64_t now, struct keyset **keyset)
{
    if (is_losing_keys(item, now)) {
        diag_fault(&item->diag, item->policy->policy.keys, 0,
                   "the keys that the zone is signed with are no longer there");
        *keyset = NULL;
        return RR_EINVAL;
    }
    return make_key(item, now, keyset);
}

/* The zone's keys, one reference; an empty set only where none is to be made. */
static int read_keys(struct loader_item *item, int64_t now, struct keyset **keyset)
{
    struct loader_policy *policy = item->policy;
    if (has_keys(item, now) &&
        (item->keys_only ||
         (policy->directory != NULL &&
          keyset_is_current(item->entry->signing->keyset, policy->directory)))) {
        *keyset = keyset_ref(item->entry->signing->keyset);
        return RR_OK;
    }
    if (policy->directory == NULL) {
        for (size_t i = 0; i < policy->fault.kept; i++) {
            diag_fault(&item->diag, NULL, 0, "%s", policy->fault.entries[i].text);
        }
        return RR_EIO;
    }
    int error = keyset_read(policy->directory, item->entry->name, now, keyset, &item->diag);
    if (error == RR_OK && (*keyset)->count == 0 && (*keyset)->offline == NULL &&
        policy->makes_keys) {
        keyset_unref(*keyset);
        error = replace_keys(item, now, keyset);
    }
    return error;
}

/* ---- Signing ---- */

/* What is signed is signed on as it was; a new version of the zone is not put in service. */
static void fail(struct loader_item *item)
{
    zone_unref(item->zone);
    item->zone = NULL;
    item->outcome = LOADER_FAILED;
    item->from_image = item->image_current = false;
}

static bool is_as_before(const struct loader_item *item, const struct keyset *keyset, int64_t now)
{
    const struct loader_entry *entry = item->entry;
    return item->outcome == LOADER_UNCHANGED && entry->signing != NULL &&
           is_followed(&item->policy->policy, entry->signing) &&
           same_keyset(keyset, entry->signing->keyset) && !loader_sign_is_due(entry, now);
}

static int sign(struct loader_item *item, struct keyset *keyset, int64_t now)
{
    const struct zone *zone = item->outcome == LOADER_LOADED ? item->zone : item->served;
    if (is_as_before(item, keyset, now)) {
        return RR_OK;
    }
    int error = signing_new(&item->policy->policy, keyset, now, zone, item->entry->signing,
                            &item->signing);
    if (error == RR_OK) {
        item->resigned = true;
        keyset_warn(keyset, now, &item->signing->moment, &item->diag);
    }
    return error;
}

/*
 * Whether the zone can be signed here, which none can that has signatures of its own: told where it
 * can't. All names are looked at, once for each version that is loaded.
 */
static bool is_unsigned(struct loader_item *item)
{
    const struct zone *zone = item->outcome == LOADER_LOADED ? item->zone : item->served;
    const struct node *node = NULL;
    if (item->outcome == LOADER_LOADED || item->entry->signing == NULL) {
        node = zone_first(zone);
        while (node != NULL && node_rrset(node, RRTYPE_RRSIG) == NULL) {
            crew_step();
            node = zone_next(zone, node);
        }
    }
    if (node == NULL) {
        return true;
    }
    uint8_t name[NAME_MAX_OCTETS];
    char text[NAME_MAX_TEXT] = "its apex";
    if ((node->flags & NODE_APEX) == 0) {
        node_name(zone, node, name);
        name_to_text(name, text);
    }
    diag_fault(&item->diag, item->file, 0,
               "the zone is signed already (%s has RRSIG records), so it can't have the dnssec "
               "policy \"%s\"",
               text, item->policy->policy.name);
    return false;
}

void loader_sign(struct loader_item *item, int64_t now)
{
    bool serves = item->outcome == LOADER_LOADED || item->outcome == LOADER_UNCHANGED;
    if (!serves) {
        return;
    }
    if (item->policy == NULL) {
        item->resigned = item->entry->signing != NULL;
        return;
    }
    if (!is_unsigned(item)) {
        fail(item);
        return;
    }
    struct keyset *keyset = NULL;
    int error = read_keys(item, now, &keyset);
    error = error == RR_OK ? sign(item, keyset, now) : error;
    keyset_unref(keyset);
    if (error != RR_OK) {
        if (item->diag.faults == 0) {
            diag_fault(&item->diag, item->file, 0, "keys: %s", rr_strerror(error));
        }
        fail(item);
    }
}

bool loader_sign_is_due(const struct loader_entry *entry, int64_t now)
{
    const struct signing *signing = entry->signing;
    return signing != NULL && (now >= signing->moment.next || now < signing->since);
}

/* ---- Refreshing ---- */

void loader_refresh_step(struct loader_refresh *refresh, const struct loader_table *table,
                         uint64_t keys_generation, struct counters *counters, int64_t now)
{
    if (refresh->desk == NULL && (refresh->desk = sign_desk_new()) == NULL) {
        return;
    }
    if (refresh->keys_generation != keys_generation) {
        sign_desk_forget(refresh->desk);
        refresh->keys_generation = keys_generation;
    }
    unsigned look = REFRESH_LOOK, make = REFRESH_MAKE;
    for (unsigned zones = 0; zones < REFRESH_ZONES && zones < table->count && make > 0; zones++) {
        if (refresh->position >= table->count) {
            refresh->position = 0;
        }
        const struct signing *signing = table->entries[refresh->position]->signing;
        if (signing != NULL) {
            int made = sign_desk_refresh(refresh->desk, signing, &refresh->cursor, &look, make,
                                         (uint32_t)now);
            if (made < 0) {
                return;
            }
            counter_add(counters, COUNTER_signatures_refreshed, (uint64_t)made);
            make -= (unsigned)made;
            if (refresh->cursor != 0) {
                return; /* there is more of this zone */
            }
        }
        refresh->position++;
    }
}

void loader_refresh_free(struct loader_refresh *refresh)
{
    sign_desk_free(refresh->desk);
    refresh->desk = NULL;
}

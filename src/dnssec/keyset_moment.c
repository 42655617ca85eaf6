/*
 * What a key set says at a time. Where times leave something open, it is as BIND has it: a key that
 * has Activate and no Publish is published now; one without any time signs; one that was only
 * created (dnssec-keygen -G) waits.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dnssec/key_file.h"
#include "dnssec/keyset.h"
#include "dnssec/keyset_list.h"

const char *keyset_state_name(enum keyset_state state)
{
    static const char *const names[] = {
        [KEYSET_FUTURE] = "future",   [KEYSET_PUBLISHED] = "published", [KEYSET_ACTIVE] = "active",
        [KEYSET_RETIRED] = "retired", [KEYSET_REMOVED] = "removed",
    };
    return names[state];
}

/* ---- Lists ---- */

static int compare(const struct keyset_rdata *a, const uint8_t *data, size_t size)
{
    size_t common = a->size < size ? a->size : size;
    int order = memcmp(a->data, data, common);
    return order != 0 ? order : (a->size > size) - (a->size < size);
}

void keyset_list_add(struct keyset_list *list, const uint8_t *data, size_t size)
{
    size_t at = list->count;
    while (at > 0 && compare(&list->record[at - 1], data, size) > 0) {
        at--;
    }
    if (at > 0 && compare(&list->record[at - 1], data, size) == 0) {
        return;
    }
    memmove(&list->record[at + 1], &list->record[at], (list->count - at) * sizeof list->record[0]);
    list->record[at] = (struct keyset_rdata){data, (uint16_t)size};
    list->count++;
}

bool keyset_list_has(const struct keyset_list *list, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < list->count; i++) {
        if (compare(&list->record[i], data, size) == 0) {
            return true;
        }
    }
    return false;
}

/* ---- States ---- */

static bool come(int64_t event, int64_t time)
{
    return event != DNSKEY_UNSET && event <= time;
}

enum keyset_state keyset_state(const struct dnskey *key, int64_t time)
{
    const int64_t *times = key->times;
    bool activates = times[DNSKEY_ACTIVATE] != DNSKEY_UNSET, timed = false;
    for (unsigned event = DNSKEY_CREATED; event <= DNSKEY_DELETE; event++) {
        timed |= times[event] != DNSKEY_UNSET;
    }
    if (come(times[DNSKEY_DELETE], time)) {
        return KEYSET_REMOVED;
    }
    if (come(times[DNSKEY_INACTIVE], time)) {
        return KEYSET_RETIRED;
    }
    if (!timed || come(times[DNSKEY_ACTIVATE], time)) {
        return KEYSET_ACTIVE;
    }
    if (come(times[DNSKEY_PUBLISH], time) || (activates && times[DNSKEY_PUBLISH] == DNSKEY_UNSET)) {
        return KEYSET_PUBLISHED;
    }
    return KEYSET_FUTURE;
}

static bool is_published(enum keyset_state state)
{
    return state == KEYSET_PUBLISHED || state == KEYSET_ACTIVE || state == KEYSET_RETIRED;
}

static bool is_sep(const struct dnskey *key)
{
    return (key->flags & DNSKEY_SEP) != 0;
}

static bool is_revoked(const struct dnskey *key)
{
    return (key->flags & DNSKEY_REVOKE) != 0;
}

/* What is published is what the RRset from elsewhere has, whatever the times say. */
static enum keyset_state offline_state(const struct keyset *keyset, size_t index,
                                       enum keyset_state state)
{
    const struct dnskey *key = &keyset->key[index];
    bool there = keyset_list_has(&keyset->offline->dnskey, key->rdata, key->rdata_size);
    if (there) {
        return is_published(state) ? state : KEYSET_PUBLISHED;
    }
    return is_published(state) ? KEYSET_FUTURE : state;
}

/* ---- Roles ---- */

/* Whether a key is active, can sign, and counts for what its algorithm signs. */
static bool can_sign(const struct keyset *keyset, const struct keyset_moment *moment, size_t index)
{
    return moment->state[index] == KEYSET_ACTIVE && keyset->key[index].private != NULL;
}

/* Whether the algorithm has a key that can sign, with the SEP flag or without, not revoked. */
static bool has_signer(const struct keyset *keyset, const struct keyset_moment *moment,
                       unsigned algorithm, bool sep)
{
    for (size_t i = 0; i < keyset->count; i++) {
        const struct dnskey *key = &keyset->key[i];
        if (key->algorithm == algorithm && is_sep(key) == sep && !is_revoked(key) &&
            can_sign(keyset, moment, i)) {
            return true;
        }
    }
    return false;
}

static void assign_roles(const struct keyset *keyset, struct keyset_moment *moment)
{
    for (size_t i = 0; i < keyset->count; i++) {
        const struct dnskey *key = &keyset->key[i];
        bool signs = can_sign(keyset, moment, i);
        bool alone = !has_signer(keyset, moment, key->algorithm, !is_sep(key));
        moment->signs_dnskey[i] =
            signs && !moment->offline && (is_sep(key) || is_revoked(key) || alone);
        moment->signs_zone[i] = signs && !is_revoked(key) && (!is_sep(key) || alone);
    }
}

/* ---- RRsets ---- */

static bool is_signalled(const struct dnskey *key, enum keyset_state state, int64_t time)
{
    if (!is_sep(key) || is_revoked(key) || come(key->times[DNSKEY_SYNC_DELETE], time)) {
        return false;
    }
    if (key->times[DNSKEY_SYNC_PUBLISH] == DNSKEY_UNSET) {
        return state == KEYSET_ACTIVE;
    }
    return come(key->times[DNSKEY_SYNC_PUBLISH], time) &&
           (state == KEYSET_ACTIVE || state == KEYSET_PUBLISHED);
}

static void fill_lists(const struct keyset *keyset, int64_t time, struct keyset_moment *moment)
{
    if (moment->offline) {
        /* What is used is there. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        moment->dnskey = keyset->offline->dnskey;
        return;
    }
    for (size_t i = 0; i < keyset->count; i++) {
        const struct dnskey *key = &keyset->key[i];
        if (is_published(moment->state[i])) {
            keyset_list_add(&moment->dnskey, key->rdata, key->rdata_size);
        }
        if (is_signalled(key, moment->state[i], time)) {
            keyset_list_add(&moment->cds, keyset->cds[i], KEYSET_CDS_SIZE);
            keyset_list_add(&moment->cdnskey, key->rdata, key->rdata_size);
        }
    }
}

/* The first time after `time` that any key names. */
static int64_t next_event(const struct keyset *keyset, int64_t time)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < keyset->count; i++) {
        for (unsigned event = DNSKEY_PUBLISH; event < DNSKEY_EVENTS; event++) {
            int64_t at = keyset->key[i].times[event];
            if (at > time && at < next) {
                next = at;
            }
        }
    }
    return next;
}

void keyset_at(const struct keyset *keyset, int64_t time, struct keyset_moment *moment)
{
    memset(moment, 0, sizeof *moment);
    int64_t keys = next_event(keyset, time), offline = INT64_MAX;
    moment->offline =
        keyset->offline != NULL && keyset_offline_valid(keyset->offline, time, &offline);
    moment->next = keys < offline ? keys : offline;
    for (size_t i = 0; i < keyset->count; i++) {
        enum keyset_state state = keyset_state(&keyset->key[i], time);
        moment->state[i] = moment->offline ? offline_state(keyset, i, state) : state;
    }
    assign_roles(keyset, moment);
    fill_lists(keyset, time, moment);
}

/* ---- Warnings ---- */

/* Whether any key of the algorithm has the role. */
static bool role_taken(const struct keyset *keyset, const bool *role, unsigned algorithm)
{
    for (size_t i = 0; i < keyset->count; i++) {
        if (role[i] && keyset->key[i].algorithm == algorithm) {
            return true;
        }
    }
    return false;
}

/* RFC 6840 section 5.11: what is in DNSKEY signs. */
static void warn_of_algorithm(const struct keyset *keyset, const struct keyset_moment *moment,
                              unsigned algorithm, const char *zone, struct diag *diag)
{
    const char *name = dnskey_algorithm_name(algorithm);
    if (!role_taken(keyset, moment->signs_zone, algorithm)) {
        diag_warn(diag, NULL, 0,
                  "zone %s: keys of algorithm %u (%s) are published, and none of them is active "
                  "with its private part here: validators may take the zone for bogus",
                  zone, algorithm, name != NULL ? name : "not usable here");
    }
}

/* The algorithms in a DNSKEY RRset, each once. */
static void warn_of_algorithms(const struct keyset *keyset, const struct keyset_moment *moment,
                               const char *zone, struct diag *diag)
{
    bool seen[256] = {false};
    for (size_t i = 0; i < moment->dnskey.count; i++) {
        const uint8_t *rdata = moment->dnskey.record[i].data;
        if (!seen[rdata[3]]) {
            seen[rdata[3]] = true;
            warn_of_algorithm(keyset, moment, rdata[3], zone, diag);
        }
    }
}

static void warn_of_key(const struct keyset *keyset, int64_t time,
                        const struct keyset_moment *moment, size_t index, const char *zone,
                        struct diag *diag)
{
    const struct dnskey *key = &keyset->key[index];
    enum keyset_state state = keyset_state(key, time);
    if (moment->offline) {
        if (is_published(state) && !is_published(moment->state[index])) {
            /* What is used is there. NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
            diag_warn(diag, keyset->offline->path, 0,
                      "the key %u of zone %s is due by its times, and not in it", key->tag, zone);
        }
        return;
    }
    if (state == KEYSET_ACTIVE && is_sep(key) && !is_revoked(key) && key->private == NULL &&
        !has_signer(keyset, moment, key->algorithm, true)) {
        diag_warn(diag, NULL, 0,
                  "zone %s: the private part of its key-signing key %u is not here, nor a DNSKEY "
                  "RRset that it signed",
                  zone, key->tag);
    }
}

void keyset_warn(const struct keyset *keyset, int64_t time, const struct keyset_moment *moment,
                 struct diag *diag)
{
    char zone[NAME_MAX_TEXT];
    name_to_text(keyset->zone, zone);
    if (keyset->offline != NULL && !moment->offline) {
        diag_warn(diag, keyset->offline->path, 0,
                  "not used: not all of its signatures are valid at this time");
    }
    if (moment->dnskey.count == 0) {
        diag_warn(diag, NULL, 0, "zone %s: no key is published", zone);
    }
    warn_of_algorithms(keyset, moment, zone, diag);
    for (size_t i = 0; i < keyset->count; i++) {
        warn_of_key(keyset, time, moment, i, zone, diag);
    }
}

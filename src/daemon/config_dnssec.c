/*
 * A policy is read twice: checked while it is walked, when its path is at hand for messages, and
 * stored when the whole map is known to be good. So nothing half is ever stored.
 */
#include "daemon/config_dnssec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dnssec/dnskey.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
#define DAY (INT64_C(24) * HOUR)

static const char *const denials[] = {
    [DENIAL_COMPACT] = "compact", [DENIAL_NSEC] = "nsec", [DENIAL_NSEC3] = "nsec3"};
enum { DENIALS = sizeof denials / sizeof denials[0] };

/* ---- Words ---- */

static int denial_parse(const char *text, enum dnssec_denial *denial)
{
    for (unsigned i = 0; i < DENIALS; i++) {
        if (strcmp(text, denials[i]) == 0) {
            *denial = (enum dnssec_denial)i;
            return 0;
        }
    }
    return -1;
}

static void take_denial(struct walk *walk, const json_t *value, size_t line)
{
    enum dnssec_denial denial;
    char quoted[WALK_QUOTED_MAX];
    if (denial_parse(json_string_value(value), &denial) != 0) {
        walk_fault(walk, line, "%s is none of \"compact\", \"nsec\" and \"nsec3\"",
                   walk_quote(json_string_value(value), quoted));
    }
}

static void take_algorithm(struct walk *walk, const json_t *value, size_t line)
{
    const char *text = json_string_value(value), *name;
    char quoted[WALK_QUOTED_MAX], hint[MEANT_TEXT_MAX];
    struct meant meant = {0};
    uint8_t algorithm;
    if (dnskey_algorithm_parse(text, &algorithm) == 0) {
        return;
    }
    for (size_t i = 0; (name = dnskey_algorithm_list(i)) != NULL; i++) {
        meant_consider(&meant, text, name);
    }
    walk_fault(walk, line, "%s is no algorithm that can be used here%s", walk_quote(text, quoted),
               meant_text(&meant, hint));
}

static void take_keys(struct walk *walk, const json_t *value, size_t line)
{
    if (json_string_length(value) == 0) {
        walk_fault(walk, line, "must not be empty");
    }
}

/* ---- Policies ---- */

/* Replaces *seconds where the policy has the key; the value has been checked. */
static void read_span(const json_t *policy, const char *key, uint32_t *seconds)
{
    int64_t milliseconds;
    const char *text = json_string_value(json_object_get(policy, key));
    if (text != NULL && text_duration(text, &milliseconds) == 0) {
        *seconds = (uint32_t)(milliseconds / SECOND);
    }
}

/* What a checked policy says, defaults where it says nothing; name and keys are left out. */
static struct dnssec_policy read_policy(const json_t *value)
{
    struct dnssec_policy policy = {
        .algorithm = DNSKEY_ECDSAP256SHA256,
        .denial = DENIAL_COMPACT,
        .lifetime = 14 * DAY / SECOND,
        .refresh = 7 * DAY / SECOND,
        .inception_offset = HOUR / SECOND,
        .dnskey_ttl = HOUR / SECOND,
    };
    const char *algorithm = json_string_value(json_object_get(value, "algorithm"));
    const char *denial = json_string_value(json_object_get(value, "denial"));
    if (algorithm != NULL) {
        dnskey_algorithm_parse(algorithm, &policy.algorithm);
    }
    if (denial != NULL) {
        denial_parse(denial, &policy.denial);
    }
    read_span(value, "lifetime", &policy.lifetime);
    read_span(value, "refresh", &policy.refresh);
    read_span(value, "inception_offset", &policy.inception_offset);
    read_span(value, "dnskey_ttl", &policy.dnskey_ttl);
    return policy;
}

static const char *span_text(uint32_t seconds, char *text)
{
    text_from_duration((int64_t)seconds * SECOND, text);
    return text;
}

/*
 * Between being made and being replaced a signature must have some time, whether lifetime is
 * counted from when it was made or from its inception. And what a resolver keeps must be valid for
 * as long as it keeps it.
 */
static void take_policy(struct walk *walk, const json_t *value, size_t line)
{
    struct dnssec_policy policy = read_policy(value);
    char a[TEXT_DURATION_MAX], b[TEXT_DURATION_MAX], c[TEXT_DURATION_MAX];
    if ((int64_t)policy.refresh + policy.inception_offset >= policy.lifetime) {
        walk_fault(walk, line,
                   "refresh (%s) and inception_offset (%s) together must be less than lifetime "
                   "(%s)",
                   span_text(policy.refresh, a), span_text(policy.inception_offset, b),
                   span_text(policy.lifetime, c));
    }
    if (policy.dnskey_ttl > policy.refresh) {
        walk_fault(walk, line,
                   "dnskey_ttl (%s) must not be more than refresh (%s): signatures would expire "
                   "in caches",
                   span_text(policy.dnskey_ttl, a), span_text(policy.refresh, b));
    }
}

static const struct schema policy_keys[] = {
    {.name = "keys", .kind = SCHEMA_TEXT, .take = take_keys},
    {.name = "algorithm", .kind = SCHEMA_TEXT, .take = take_algorithm},
    {.name = "denial", .kind = SCHEMA_TEXT, .take = take_denial},
    {.name = "lifetime",
     .kind = SCHEMA_DURATION,
     .minimum = 10 * SECOND,
     .maximum = 366 * DAY,
     .take = walk_whole_seconds},
    {.name = "refresh",
     .kind = SCHEMA_DURATION,
     .minimum = SECOND,
     .maximum = 366 * DAY,
     .take = walk_whole_seconds},
    {.name = "inception_offset",
     .kind = SCHEMA_DURATION,
     .maximum = 7 * DAY,
     .take = walk_whole_seconds},
    {.name = "dnskey_ttl", .kind = SCHEMA_DURATION, .maximum = 7 * DAY, .take = walk_whole_seconds},
    {.name = NULL},
};
const struct schema config_policy = {
    .kind = SCHEMA_OBJECT, .inner = policy_keys, .take = take_policy};

void config_take_policies(struct walk *walk, const json_t *value, size_t line)
{
    struct config *config = walk->target;
    const char *name;
    const json_t *policy;
    (void)line;
    config->policy = calloc(json_object_size(value) + 1, sizeof *config->policy);
    if (config->policy == NULL) {
        walk->no_memory = true;
        return;
    }
    json_object_foreach ((json_t *)value, name, policy) {
        const char *keys = json_string_value(json_object_get(policy, "keys"));
        struct dnssec_policy *stored = &config->policy[config->policies++];
        *stored = read_policy(policy);
        stored->name = strdup(name);
        stored->keys = walk_path(walk->file, keys != NULL ? keys : "keys");
        walk->no_memory |= stored->name == NULL || stored->keys == NULL;
    }
}

void config_free_policies(struct config *config)
{
    for (size_t i = 0; i < config->policies; i++) {
        free(config->policy[i].name);
        free(config->policy[i].keys);
    }
    free(config->policy);
}

/* ---- Zones ---- */

static void find_policy(struct zone_entry *entry, const struct config *config, struct diag *diag)
{
    char quoted[WALK_QUOTED_MAX], hint[MEANT_TEXT_MAX];
    struct meant meant = {0};
    for (size_t i = 0; i < config->policies; i++) {
        if (strcmp(config->policy[i].name, entry->policy) == 0) {
            entry->zone.policy = &config->policy[i];
            return;
        }
        meant_consider(&meant, entry->policy, config->policy[i].name);
    }
    diag_fault(diag, config->path, entry->policy_line,
               "zones[%zu].dnssec: no policy %s under \"dnssec\"%s", entry->index,
               walk_quote(entry->policy, quoted), meant_text(&meant, hint));
}

void config_find_policies(struct zone_entries *entries, const struct config *config,
                          struct diag *diag)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (entries->entry[i].policy != NULL) {
            find_policy(&entries->entry[i], config, diag);
        }
    }
}

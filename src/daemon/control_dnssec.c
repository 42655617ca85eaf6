#include "daemon/control_dnssec.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "dns/wire.h"

static const char *const denials[] = {
    [DENIAL_COMPACT] = "compact",
    [DENIAL_NSEC] = "nsec",
    [DENIAL_NSEC3] = "nsec3",
};

/* "2000-01-01T00:00:00Z", or null for a time that isn't set. */
static json_t *time_json(int64_t time)
{
    char text[64];
    time_t at = (time_t)time;
    struct tm tm;
    if (time == DNSKEY_UNSET || time == INT64_MAX || gmtime_r(&at, &tm) == NULL ||
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
        return json_null();
    }
    return json_string(text);
}

static json_t *times_json(const struct dnskey *key)
{
    static const char *const names[DNSKEY_EVENTS] = {
        [DNSKEY_CREATED] = "created",           [DNSKEY_PUBLISH] = "publish",
        [DNSKEY_ACTIVATE] = "activate",         [DNSKEY_INACTIVE] = "inactive",
        [DNSKEY_DELETE] = "delete",             [DNSKEY_SYNC_PUBLISH] = "sync_publish",
        [DNSKEY_SYNC_DELETE] = "sync_delete",
    };
    json_t *times = json_object();
    for (size_t i = 0; i < DNSKEY_EVENTS; i++) {
        if (key->times[i] != DNSKEY_UNSET) {
            json_object_set_new(times, names[i], time_json(key->times[i]));
        }
    }
    return times;
}

/* What the key signs: "all", "dnskey", "zone" or "nothing". */
static const char *signs_text(const struct keyset_moment *moment, size_t index)
{
    if (moment->signs_dnskey[index]) {
        return moment->signs_zone[index] ? "all" : "dnskey";
    }
    return moment->signs_zone[index] ? "zone" : "nothing";
}

static json_t *key_json(const struct signing *signing, size_t index, int64_t now)
{
    const struct dnskey *key = &signing->keyset->key[index];
    const char *algorithm = dnskey_algorithm_name(key->algorithm);
    return json_pack("{s:i, s:s, s:i, s:b, s:b, s:s, s:s, s:o}", "tag", (int)key->tag, "algorithm",
                     algorithm != NULL ? algorithm : "unknown", "flags", (int)key->flags, "sep",
                     (key->flags & DNSKEY_SEP) != 0, "private", key->private != NULL, "state",
                     keyset_state_name(keyset_state(key, now)), "signs",
                     signs_text(&signing->moment, index), "times", times_json(key));
}

static json_t *keys_json(const struct signing *signing, int64_t now)
{
    json_t *list = json_array();
    for (size_t i = 0; i < signing->keyset->count; i++) {
        json_array_append_new(list, key_json(signing, i, now));
    }
    return list;
}

/* For the parent: of keys that sign the DNSKEY RRset, or are published to do so. */
static json_t *ds_json(const struct signing *signing)
{
    json_t *list = json_array();
    for (size_t i = 0; i < signing->keyset->count; i++) {
        const struct dnskey *key = &signing->keyset->key[i];
        enum keyset_state state = signing->moment.state[i];
        char text[DNSKEY_DS_TEXT];
        if ((key->flags & (DNSKEY_SEP | DNSKEY_REVOKE)) == DNSKEY_SEP &&
            (state == KEYSET_PUBLISHED || state == KEYSET_ACTIVE) &&
            dnskey_ds_text(key, DNSKEY_SHA256, text) == 0) {
            json_array_append_new(list, json_string(text));
        }
    }
    return list;
}

/* RDATA of CDS as text. */
static json_t *cds_json(const struct keyset_list *cds)
{
    json_t *list = json_array();
    for (size_t i = 0; i < cds->count; i++) {
        const uint8_t *data = cds->record[i].data;
        char text[64 + 2 * DNSKEY_DS_MAX];
        int used = snprintf(text, sizeof text, "%u %u %u ", wire_get_u16(data), data[2], data[3]);
        for (size_t octet = 4; octet < cds->record[i].size; octet++) {
            used += snprintf(text + used, sizeof text - (size_t)used, "%02X", data[octet]);
        }
        json_array_append_new(list, json_string(text));
    }
    return list;
}

static json_t *signatures_json(const struct signing *signing)
{
    size_t count = 0, octets = 0;
    for (size_t i = 0; i < signing->keys; i++) {
        count += sigstore_count(signing->key[i].store);
        octets += sigstore_octets(signing->key[i].store);
    }
    return json_pack("{s:I, s:I}", "kept", (json_int_t)count, "bytes", (json_int_t)octets);
}

json_t *control_dnssec_json(const struct signing *signing, int64_t now)
{
    return json_pack("{s:s, s:I, s:I, s:b, s:o, s:o, s:o, s:o, s:o}", "denial",
                     denials[signing->denial], "lifetime", (json_int_t)signing->lifetime,
                     "refresh", (json_int_t)signing->refresh, "offline_ksk",
                     signing->moment.offline, "keys", keys_json(signing, now), "next_change",
                     time_json(signing->moment.next), "ds", ds_json(signing), "cds",
                     cds_json(&signing->moment.cds), "signatures", signatures_json(signing));
}

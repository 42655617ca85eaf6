/*
 * DNSKEY RRsets made elsewhere. What is wrong with one is told when it is read, with its line: once
 * it is served, every validator would find out. So signatures are verified, too.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "dnssec/keyset_list.h"
#include "zone/records_list.h"
#include "zone/zone_load.h"

enum {
    RRSIG_HEAD = 18,  /* octets before the signer's name (RFC 4034 section 3.1) */
    RRSIG_LABELS = 3, /* where things stand in them */
    RRSIG_TTL = 4,
    RRSIG_EXPIRATION = 8,
    RRSIG_INCEPTION = 12,
    RRSIG_TAG = 16,
};

struct reading {
    const char *path;
    const uint8_t *zone;
    struct keyset_offline *offline;
    struct diag *diag;
    size_t used; /* of offline->data */
};

static int fault(const struct reading *reading, size_t line, const char *reason)
{
    diag_fault(reading->diag, reading->path, line, "%s", reason);
    return RR_EINVAL;
}

/* ---- Signatures ---- */

/* What an RRSIG of the RRset signs (RFC 4034 section 3.1.8.1), to be freed; NULL: no memory. */
static uint8_t *signed_data(const struct reading *reading, const uint8_t *rrsig, size_t *size)
{
    const struct keyset_list *list = &reading->offline->dnskey;
    size_t zone_size = name_size(reading->zone);
    size_t room = RRSIG_HEAD + zone_size;
    for (size_t i = 0; i < list->count; i++) {
        room += zone_size + 10 + list->record[i].size;
    }
    struct wire_writer out = wire_writer_init(malloc(room), room);
    if (out.data == NULL) {
        return NULL;
    }
    wire_write_octets(&out, rrsig, RRSIG_HEAD);
    wire_write_octets(&out, reading->zone, zone_size);
    for (size_t i = 0; i < list->count; i++) {
        wire_write_octets(&out, reading->zone, zone_size);
        wire_write_u16(&out, RRTYPE_DNSKEY);
        wire_write_u16(&out, CLASS_IN);
        wire_write_octets(&out, rrsig + RRSIG_TTL, 4);
        wire_write_u16(&out, list->record[i].size);
        wire_write_octets(&out, list->record[i].data, list->record[i].size);
    }
    *size = out.pos;
    return out.data;
}

/* Whether the signature is by a key of the set: 0, RR_EINVAL, RR_ENOMEM. */
static int verify(const struct reading *reading, const struct keyset_rdata *rrsig)
{
    const struct keyset_list *list = &reading->offline->dnskey;
    size_t head = RRSIG_HEAD + name_size(reading->zone), size;
    uint8_t *data = signed_data(reading, rrsig->data, &size);
    int error = data != NULL ? RR_EINVAL : RR_ENOMEM;
    for (size_t i = 0; i < list->count && error == RR_EINVAL; i++) {
        const uint8_t *rdata = list->record[i].data;
        struct dnskey key;
        const char *reason;
        if (rdata[3] == rrsig->data[2] &&
            dnskey_tag(rdata, list->record[i].size) == wire_get_u16(rrsig->data + RRSIG_TAG) &&
            dnskey_from_rdata(reading->zone, rdata, list->record[i].size, &key, &reason) == RR_OK) {
            error = dnskey_verify(&key, data, size, rrsig->data + head, rrsig->size - head);
        }
    }
    free(data);
    return error;
}

/* Whether an RRSIG is one over the zone's DNSKEY RRset, but for its signature. NULL: it is. */
static const char *rrsig_fault(const struct reading *reading, const uint8_t *rdata, size_t size)
{
    if (wire_get_u16(rdata) != RRTYPE_DNSKEY) {
        return "a signature of another type than DNSKEY";
    }
    if (!name_equal(rdata + RRSIG_HEAD, reading->zone)) {
        return "the signer is not the zone";
    }
    if (rdata[RRSIG_LABELS] != name_labels(reading->zone)) {
        return "the number of labels is not the zone's";
    }
    if (size == RRSIG_HEAD + name_size(reading->zone)) {
        return "the signature is empty";
    }
    return NULL;
}

/* ---- Records ---- */

static int take_record(struct reading *reading, const struct record *record, bool dnskey)
{
    struct keyset_offline *offline = reading->offline;
    struct keyset_list *list = dnskey ? &offline->dnskey : &offline->rrsig;
    if (list->count == KEYSET_KEYS_MAX) {
        return fault(reading, record->line, "more than 16 records of a type");
    }
    if (dnskey) {
        if (record->size < 4) {
            return fault(reading, record->line, "the RDATA is cut short");
        }
        if (list->count > 0 && offline->ttl != record->ttl) {
            return fault(reading, record->line, "its TTL is not that of the others");
        }
        offline->ttl = record->ttl;
    } else {
        const char *reason = rrsig_fault(reading, record->rdata, record->size);
        if (reason != NULL) {
            return fault(reading, record->line, reason);
        }
    }
    uint8_t *data = memcpy(offline->data + reading->used, record->rdata, record->size);
    reading->used += record->size;
    if (!dnskey) { /* the name in canonical form, as it is signed */
        memcpy(data + RRSIG_HEAD, reading->zone, name_size(reading->zone));
    }
    keyset_list_add(list, data, record->size);
    return RR_OK;
}

/* Verifies a signature that is in the list now. */
static int check_rrsig(struct reading *reading, const struct record *record)
{
    struct keyset_rdata rrsig = {record->rdata, record->size};
    if (wire_get_u32(record->rdata + RRSIG_TTL) < reading->offline->ttl) {
        return fault(reading, record->line, "its original TTL is below the TTL of the keys");
    }
    int error = verify(reading, &rrsig);
    return error == RR_EINVAL
               ? fault(reading, record->line, "the signature is not one by a key of this set")
               : error;
}

/* Calls take with every record of the zone's name; others are told as faults. */
static int each_record(struct reading *reading, const struct records *records,
                       int (*take)(struct reading *reading, const struct record *record))
{
    int error = RR_OK;
    for (size_t part = 0; part < records->parts; part++) {
        const struct record_chunk *chunk = records->part[part].first;
        for (; chunk != NULL; chunk = chunk->next) {
            const struct record_owner *owner = (const void *)chunk->data;
            for (size_t i = 0; i < chunk->owners; i++, owner = record_owner_next(owner)) {
                const struct record *record = record_first(owner);
                for (uint32_t j = 0; j < owner->count; j++, record = record_next(record)) {
                    int one = record_owner_is_apex(owner)
                                  ? take(reading, record)
                                  : fault(reading, record->line, "not a record of the zone's name");
                    error = one != RR_OK ? one : error;
                }
            }
        }
    }
    return error;
}

static int take_keys(struct reading *reading, const struct record *record)
{
    if (record->type != RRTYPE_DNSKEY && record->type != RRTYPE_RRSIG) {
        return fault(reading, record->line, "neither DNSKEY nor RRSIG");
    }
    return record->type == RRTYPE_DNSKEY ? take_record(reading, record, true) : RR_OK;
}

static int take_rrsigs(struct reading *reading, const struct record *record)
{
    if (record->type != RRTYPE_RRSIG) {
        return RR_OK;
    }
    int error = take_record(reading, record, false);
    return error == RR_OK ? check_rrsig(reading, record) : error;
}

/* Octets of all RDATA. */
static size_t all_sizes(const struct records *records)
{
    size_t size = 0;
    for (size_t part = 0; part < records->parts; part++) {
        const struct record_chunk *chunk = records->part[part].first;
        for (; chunk != NULL; chunk = chunk->next) {
            size += chunk->used;
        }
    }
    return size;
}

static int take_records(struct reading *reading, const struct records *records)
{
    reading->offline->data = malloc(all_sizes(records) + 1);
    if (reading->offline->data == NULL) {
        return RR_ENOMEM;
    }
    int error = each_record(reading, records, take_keys);
    if (error == RR_OK) {
        error = each_record(reading, records, take_rrsigs);
    }
    if (error == RR_OK &&
        (reading->offline->dnskey.count == 0 || reading->offline->rrsig.count == 0)) {
        error = fault(reading, 0, "has no DNSKEY, or no RRSIG");
    }
    return error;
}

static int read_file(struct reading *reading)
{
    struct source_list sources = {0};
    struct records *records = records_new(reading->zone);
    int error = RR_ENOMEM;
    if (records != NULL) {
        error = zone_scan_file(reading->path, reading->zone, 1, records, &sources, reading->diag);
    }
    if (error == RR_OK) {
        error = take_records(reading, records);
    } else if (error == RR_EFORMAT) {
        error = fault(reading, 0, "a zone image, not a master file");
    }
    records_free(records);
    source_list_clear(&sources);
    return error;
}

int keyset_offline_read(const char *path, const uint8_t *zone, struct keyset_offline **result,
                        struct diag *diag)
{
    struct keyset_offline *offline = calloc(1, sizeof *offline);
    struct reading reading = {.path = path, .zone = zone, .offline = offline, .diag = diag};
    size_t faults = diag->faults;
    int error = RR_ENOMEM;
    *result = NULL;
    if (offline != NULL && (offline->path = strdup(path)) != NULL) {
        error = read_file(&reading);
    }
    if (error != RR_OK) {
        if (diag->faults == faults) {
            diag_fault(diag, path, 0, "%s", error == RR_EIO ? strerror(errno) : rr_strerror(error));
        }
        keyset_offline_free(offline);
        return error;
    }
    *result = offline;
    return RR_OK;
}

void keyset_offline_free(struct keyset_offline *offline)
{
    if (offline != NULL) {
        free(offline->path);
        free(offline->data);
        free(offline);
    }
}

/* ---- Times ---- */

/* A time of 32 bits as the one that is nearest to now (RFC 4034 section 3.1.5). */
static int64_t near(uint32_t time, int64_t now)
{
    return now + (int32_t)(time - (uint32_t)now);
}

bool keyset_offline_valid(const struct keyset_offline *offline, int64_t time, int64_t *next)
{
    int64_t from = INT64_MIN, to = INT64_MAX;
    for (size_t i = 0; i < offline->rrsig.count; i++) {
        const uint8_t *rdata = offline->rrsig.record[i].data;
        int64_t inception = near(wire_get_u32(rdata + RRSIG_INCEPTION), time);
        int64_t expiration = near(wire_get_u32(rdata + RRSIG_EXPIRATION), time);
        from = inception > from ? inception : from;
        to = expiration < to ? expiration : to;
    }
    *next = time < from ? from : time <= to ? to + 1 : INT64_MAX;
    return time >= from && time <= to;
}

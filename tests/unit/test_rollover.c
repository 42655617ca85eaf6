/*
 * Rollovers by the times in key files, seen as resolvers see them: at every moment each has a DS
 * set, a DNSKEY RRset and data that it fetched at any time within their TTLs, mixed as chance
 * will have it. All mixes must validate, at every moment.
 *
 * A resolver here is a strict one: data and DNSKEY have to be signed by each algorithm that the DS
 * set names (RFC 6840 section 5.11 lets it take one).
 */
#include "dnssec/desk.h"

#include <ldns/ldns.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/wire.h"
#include "dnssec/key_file.h"
#include "dnssec/signing.h"
#include "key_aid.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"

static const uint8_t apex[] = "\7example\4test";

enum {
    TTL = 600, /* of all there is */
    STEP = 150,
    STEPS = 60,
    KEYS = 4,
    CACHED = TTL / STEP, /* states older than this are in no cache */
    NEVER = -1,
};
#define T0 INT64_C(1700000000)

static struct dnskey made[KEYS];
static size_t makes;

/* Whether a key has signed something, and when that is valid. */
struct verdict {
    bool good;
    uint32_t from, to;
};

/* What a resolver can have fetched at one time. By keys: */
struct state {
    bool ds[KEYS];        /* at the parent */
    bool published[KEYS]; /* in the DNSKEY RRset */
    struct verdict dnskey[KEYS], data[KEYS];
};
static struct state states[STEPS];

static void begin(void)
{
    key_directory_make();
    makes = 0;
}

static void end(void)
{
    for (size_t i = 0; i < makes; i++) {
        dnskey_clear(&made[i]);
    }
    memset(states, 0, sizeof states);
    key_directory_remove();
}

/* A key with times in steps from the start; DS in the parent from one step to another. */
static void make(unsigned flags, unsigned algorithm, int publish, int activate, int inactive,
                 int delete, int ds_from, int ds_to)
{
    const int steps[DNSKEY_EVENTS] = {NEVER, publish, activate, inactive, delete, NEVER, NEVER};
    int64_t times[DNSKEY_EVENTS];
    for (int i = 0; i < DNSKEY_EVENTS; i++) {
        times[i] = steps[i] == NEVER ? DNSKEY_UNSET : T0 + (int64_t)steps[i] * STEP;
    }
    ck_assert_uint_lt(makes, KEYS);
    ck_assert_int_eq(keyfile_make(key_directory, apex, (uint16_t)flags, (uint8_t)algorithm, times,
                                  &made[makes]),
                     RR_OK);
    for (int i = 0; i < STEPS && ds_from != NEVER; i++) {
        states[i].ds[makes] = i >= ds_from && (ds_to == NEVER || i < ds_to);
    }
    makes++;
}

/* ---- The zone, signed at a time ---- */

/* Records of a block as ldns has them: owner is their name. */
static void add_records(ldns_rr_list *list, const uint8_t *owner, const uint8_t *block, size_t size)
{
    for (size_t at = 0; at < size;) {
        static uint8_t wire[4096];
        size_t owner_size = name_size(owner);
        size_t record = RECORD_HEAD + (size_t)wire_get_u16(block + at + 10);
        memcpy(wire, owner, owner_size);
        memcpy(wire + owner_size, block + at + 2, record - 2);
        size_t position = 0;
        ldns_rr *rr;
        ck_assert_int_eq(ldns_wire2rr(&rr, wire, owner_size + record - 2, &position,
                                      LDNS_SECTION_ANSWER),
                         LDNS_STATUS_OK);
        ldns_rr_list_push_rr(list, rr);
        at += record;
    }
}

/* The key as a record. */
static ldns_rr *key_record(const struct dnskey *key)
{
    ldns_rr_list *list = ldns_rr_list_new();
    uint8_t record[RECORD_HEAD + DNSKEY_RDATA_MAX] = {0};
    wire_put_u16(record + 2, RRTYPE_DNSKEY);
    wire_put_u16(record + 4, 1);
    wire_put_u16(record + 10, key->rdata_size);
    memcpy(record + RECORD_HEAD, key->rdata, key->rdata_size);
    add_records(list, apex, record, RECORD_HEAD + (size_t)key->rdata_size);
    ldns_rr *rr = ldns_rr_list_pop_rr(list);
    ldns_rr_list_free(list);
    return rr;
}

/* Whether the signature is the key's and right, whatever the time is. */
static bool verifies(ldns_rr_list *records, ldns_rr *signature, ldns_rr *key)
{
    ldns_rr_list *keys = ldns_rr_list_new(), *good = ldns_rr_list_new();
    ldns_rr_list_push_rr(keys, key);
    ldns_status status = ldns_verify_rrsig_keylist_notime(records, signature, keys, good);
    ldns_rr_list_free(keys);
    ldns_rr_list_free(good);
    return status == LDNS_STATUS_OK;
}

static void judge(ldns_rr_list *records, const ldns_rr_list *signatures, struct verdict *verdicts)
{
    for (size_t j = 0; j < makes; j++) {
        ldns_rr *key = key_record(&made[j]);
        for (size_t i = 0; i < ldns_rr_list_rr_count(signatures); i++) {
            ldns_rr *rr = ldns_rr_list_rr(signatures, i);
            if (ldns_rdf2native_int16(ldns_rr_rrsig_keytag(rr)) == made[j].tag &&
                verifies(records, rr, key)) {
                verdicts[j] = (struct verdict){
                    true, ldns_rdf2native_int32(ldns_rr_rrsig_inception(rr)),
                    ldns_rdf2native_int32(ldns_rr_rrsig_expiration(rr))};
            }
        }
        ldns_rr_free(key);
    }
}

/* Has the RRset signed, as for an answer, and judges what comes out. */
static void fetch(struct sign_desk *desk, const struct signing *signing, const uint8_t *owner,
                  uint16_t type, int64_t now, struct verdict *verdicts)
{
    struct key key;
    struct zone_match match;
    key_from_name(owner, &key);
    zone_lookup(signing->zone, &key, &match);
    const struct rrset *rrset = signing_rrset(signing, match.node, type, NULL);
    ck_assert_ptr_nonnull(rrset);
    size_t count;
    size_t size = signing_run_size(signing, type, &count);
    ck_assert_uint_gt(count, 0);
    uint8_t *run = malloc(size);
    struct sign_what what = {
        .rrset = rrset,
        .owner = owner,
        .labels = signing_labels(signing->zone, match.node),
        .ttl = rrset_ttl(rrset),
        .key = signing_key_of(signing->zone, match.node, type),
    };
    ck_assert_int_ge(sign_desk_make(desk, signing, &what, (uint32_t)now, run), 0);
    ldns_rr_list *records = ldns_rr_list_new(), *signatures = ldns_rr_list_new();
    add_records(records, owner, rrset->block, rrset->block_size);
    add_records(signatures, owner, run, size);
    ck_assert_uint_eq(ldns_rr_list_rr_count(signatures), count);
    judge(records, signatures, verdicts);
    ldns_rr_list_deep_free(records);
    ldns_rr_list_deep_free(signatures);
    free(run);
}

static void note_published(const struct signing *signing, struct state *state)
{
    const struct keyset_list *list = &signing->moment.dnskey;
    for (size_t i = 0; i < list->count; i++) {
        for (size_t j = 0; j < makes; j++) {
            state->published[j] |= list->record[i].size == made[j].rdata_size &&
                                   memcmp(list->record[i].data, made[j].rdata,
                                          made[j].rdata_size) == 0;
        }
    }
}

static struct keyset *read_keys(int64_t now)
{
    struct keyset_directory *directory;
    struct keyset *keyset;
    struct diag diag = {0};
    ck_assert_int_eq(keyset_directory_read(key_directory, &directory, &diag), RR_OK);
    ck_assert_int_eq(keyset_read(directory, apex, now, &keyset, &diag), RR_OK);
    keyset_directory_free(directory);
    diag_clear(&diag);
    return keyset;
}

/* Lives through all steps as the server does: signing is made anew when a time has come, what was
 * signed is kept from one to the next. */
static void live(enum dnssec_denial denial)
{
    struct zone *zone = make_zone("example.test.", MAKE_APEX "www A 192.0.2.1\n");
    struct dnssec_policy policy = {
        .denial = denial, .lifetime = 20 * TTL, .refresh = 10 * TTL, .dnskey_ttl = TTL};
    struct sign_desk *desk = sign_desk_new();
    struct signing *signing = NULL;
    for (int i = 0; i < STEPS; i++) {
        int64_t now = T0 + (int64_t)i * STEP;
        if (signing == NULL || now >= signing->moment.next) {
            struct keyset *keyset = read_keys(now);
            struct signing *next;
            ck_assert_int_eq(signing_new(&policy, keyset, now, zone, signing, &next), RR_OK);
            signing_unref(signing);
            keyset_unref(keyset);
            signing = next;
        }
        uint64_t cursor = 0;
        unsigned look = 1000;
        ck_assert_int_ge(sign_desk_refresh(desk, signing, &cursor, &look, 1000, (uint32_t)now), 0);
        note_published(signing, &states[i]);
        fetch(desk, signing, apex, RRTYPE_DNSKEY, now, states[i].dnskey);
        fetch(desk, signing, names_wire("www.example.test."), RRTYPE_A, now, states[i].data);
        if (denial != DENIAL_NSEC3) {
            fetch(desk, signing, apex, RRTYPE_NSEC, now, states[i].data);
        }
    }
    signing_unref(signing);
    sign_desk_free(desk);
    zone_unref(zone);
}

/* ---- Resolvers ---- */

static bool is_valid(const struct verdict *verdict, int64_t now)
{
    return verdict->good && verdict->from <= (uint32_t)now && verdict->to > (uint32_t)now;
}

/* Whether any key of the algorithm in the DNSKEY RRset has signed the data. */
static bool data_is_signed(const struct state *keys, const struct state *data, unsigned algorithm,
                           int64_t now)
{
    for (size_t j = 0; j < makes; j++) {
        if (keys->published[j] && made[j].algorithm == algorithm && is_valid(&data->data[j], now)) {
            return true;
        }
    }
    return false;
}

/* For every algorithm that the DS set names: one of its keys signs the DNSKEY RRset, and one of
 * that RRset the data. */
static bool validates(const struct state *ds, const struct state *keys, const struct state *data,
                      int64_t now)
{
    bool any = false;
    for (size_t i = 0; i < makes; i++) {
        if (!ds->ds[i]) {
            continue;
        }
        bool anchored = false;
        for (size_t j = 0; j < makes && !anchored; j++) {
            anchored = ds->ds[j] && made[j].algorithm == made[i].algorithm && keys->published[j] &&
                       is_valid(&keys->dnskey[j], now);
        }
        if (!anchored || !data_is_signed(keys, data, made[i].algorithm, now)) {
            return false;
        }
        any = true;
    }
    return any;
}

/* The first step at which some resolver fails; STEPS where there is none. */
static int first_failure(void)
{
    for (int now = 0; now < STEPS; now++) {
        int oldest = now > CACHED ? now - CACHED : 0;
        for (int ds = oldest; ds <= now; ds++) {
            for (int keys = oldest; keys <= now; keys++) {
                for (int data = oldest; data <= now; data++) {
                    if (!validates(&states[ds], &states[keys], &states[data],
                                   T0 + (int64_t)now * STEP)) {
                        return now;
                    }
                }
            }
        }
    }
    return STEPS;
}

enum { KSK = 257, ZSK = 256, P256 = 13, ED = 15, RSA_256 = 8 };

/* ---- Rollovers; a TTL is four steps, and one more is a safe wait ---- */

START_TEST(zsk_published_before)
{
    make(KSK, P256, 0, 0, NEVER, NEVER, 0, NEVER);
    make(ZSK, P256, 0, 0, 20, 26, NEVER, NEVER);
    make(ZSK, P256, 14, 20, NEVER, NEVER, NEVER, NEVER);
    live(DENIAL_NSEC);
    ck_assert_int_eq(first_failure(), STEPS);
}
END_TEST

/* The test sees what is wrong: a ZSK that signs as soon as it is published. */
START_TEST(zsk_too_early)
{
    make(KSK, P256, 0, 0, NEVER, NEVER, 0, NEVER);
    make(ZSK, P256, 0, 0, 20, 26, NEVER, NEVER);
    make(ZSK, P256, 20, 20, NEVER, NEVER, NEVER, NEVER);
    live(DENIAL_NSEC);
    ck_assert_int_eq(first_failure(), 20);
}
END_TEST

/* ... and one that is gone while its signatures are still in caches. */
START_TEST(zsk_gone_too_early)
{
    make(KSK, P256, 0, 0, NEVER, NEVER, 0, NEVER);
    make(ZSK, P256, 0, 0, 20, 22, NEVER, NEVER);
    make(ZSK, P256, 14, 20, NEVER, NEVER, NEVER, NEVER);
    live(DENIAL_NSEC);
    ck_assert_int_eq(first_failure(), 22);
}
END_TEST

/* Both DS first, then one KSK for the other at once, then one DS (RFC 6781 section 4.1.2). */
START_TEST(ksk_double_ds)
{
    make(KSK, P256, 0, 0, 20, 20, 0, 26);
    make(KSK, P256, 20, 20, NEVER, NEVER, 14, NEVER);
    make(ZSK, P256, 0, 0, NEVER, NEVER, NEVER, NEVER);
    live(DENIAL_COMPACT);
    ck_assert_int_eq(first_failure(), STEPS);
}
END_TEST

/* Both KSK sign for a while, and the DS changes in the middle of it. */
START_TEST(ksk_double_signature)
{
    make(KSK, P256, 0, 0, 28, 28, 0, 21);
    make(KSK, P256, 14, 14, NEVER, NEVER, 21, NEVER);
    make(ZSK, P256, 0, 0, NEVER, NEVER, NEVER, NEVER);
    live(DENIAL_COMPACT);
    ck_assert_int_eq(first_failure(), STEPS);
}
END_TEST

/* One key for all: the old one goes on signing until the DS of the new one is everywhere. */
START_TEST(csk)
{
    make(KSK, ED, 0, 0, 28, 34, 0, 21);
    make(KSK, ED, 14, 14, NEVER, NEVER, 21, NEVER);
    live(DENIAL_NSEC3);
    ck_assert_int_eq(first_failure(), STEPS);
}
END_TEST

/* Another algorithm: both sign everything while either's DS may be in caches. */
START_TEST(algorithm)
{
    make(KSK, RSA_256, 0, 0, NEVER, 36, 0, 28);
    make(KSK, P256, 10, 10, NEVER, NEVER, 18, NEVER);
    live(DENIAL_NSEC);
    ck_assert_int_eq(first_failure(), STEPS);
}
END_TEST

START_TEST(algorithm_dropped_too_early)
{
    make(KSK, RSA_256, 0, 0, NEVER, 30, 0, 28);
    make(KSK, P256, 10, 10, NEVER, NEVER, 18, NEVER);
    live(DENIAL_NSEC);
    ck_assert_int_eq(first_failure(), 30);
}
END_TEST

/* Nothing changes but time: signatures are replaced before they end, over and over. */
START_TEST(nothing_but_time)
{
    make(KSK, P256, 0, 0, NEVER, NEVER, 0, NEVER);
    live(DENIAL_NSEC);
    ck_assert_int_eq(first_failure(), STEPS);
    /* Signed for 20 TTLs or a quarter of ten less, and again when 10 are left: two or three are
     * made in the 15 that this takes. */
    unsigned changes = 0;
    for (int i = 1; i < STEPS; i++) {
        changes += states[i].data[0].to != states[i - 1].data[0].to;
    }
    ck_assert_uint_ge(changes, 1);
    ck_assert_uint_le(changes, 2);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("rollover");
    tcase_set_timeout(unit.tests, 60);
    tcase_add_checked_fixture(unit.tests, begin, end);
    tcase_add_test(unit.tests, zsk_published_before);
    tcase_add_test(unit.tests, zsk_too_early);
    tcase_add_test(unit.tests, zsk_gone_too_early);
    tcase_add_test(unit.tests, ksk_double_ds);
    tcase_add_test(unit.tests, ksk_double_signature);
    tcase_add_test(unit.tests, csk);
    tcase_add_test(unit.tests, algorithm);
    tcase_add_test(unit.tests, algorithm_dropped_too_early);
    tcase_add_test(unit.tests, nothing_but_time);
    return unit_end(&unit);
}

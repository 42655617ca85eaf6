/*
 * Key sets: rollovers by their timelines, what is signalled to the parent, DNSKEY RRsets made
 * elsewhere, and what is told when something is wrong.
 */
#include "dnssec/keyset.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "dns/base_encoding.h"
#include "dns/wire.h"
#include "dnssec/key_file.h"
#include "key_aid.h"
#include "unit.h"

static const uint8_t zone[] = "\7example\4test";

enum { DAY = 86400, NO = -1, KEYS = 20 };
#define T0 INT64_C(1700000000) /* all times are counted from here, in days */

/* Keys made so far, "A" first. */
static struct dnskey made[KEYS];
static size_t makes;

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
    key_directory_remove();
}

/* Makes key files; days of Publish, Activate, Inactive, Delete, SyncPublish, SyncDelete, or NO. */
static void make(unsigned flags, unsigned algorithm, int publish, int activate, int inactive,
                 int delete, int sync_publish, int sync_delete)
{
    const int days[DNSKEY_EVENTS] = {-1,     publish,      activate,   inactive,
                                     delete, sync_publish, sync_delete};
    int64_t times[DNSKEY_EVENTS];
    for (int i = 0; i < DNSKEY_EVENTS; i++) {
        times[i] = days[i] == NO ? DNSKEY_UNSET : T0 + (int64_t)days[i] * DAY;
    }
    ck_assert_uint_lt(makes, KEYS);
    ck_assert_int_eq(keyfile_make(key_directory, zone, (uint16_t)flags, (uint8_t)algorithm, times,
                                  &made[makes++]),
                     RR_OK);
}

static struct keyset *read_at(int64_t time, const char *told)
{
    struct keyset_directory *directory;
    struct keyset *keyset = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(keyset_directory_read(key_directory, &directory, &diag), RR_OK);
    int error = keyset_read(directory, zone, time, &keyset, &diag);
    ck_assert((error == RR_OK) == (keyset != NULL) && (error != RR_OK) == (diag.faults > 0));
    key_expect_diag(&diag, told);
    keyset_directory_free(directory);
    return keyset;
}

/* The letter of a key that is in the set. */
static size_t letter(const uint8_t *rdata, size_t size)
{
    for (size_t i = 0; i < makes; i++) {
        if (made[i].rdata_size == size && memcmp(made[i].rdata, rdata, size) == 0) {
            return i;
        }
    }
    ck_abort_msg("a key that was not made");
    return 0;
}

static void tell_list(FILE *out, const char *name, const struct keyset_list *list)
{
    bool there[KEYS] = {false};
    fprintf(out, "%s ", name);
    for (size_t i = 0; i < list->count; i++) {
        there[letter(list->record[i].data, list->record[i].size)] = true;
        if (i > 0) {
            size_t a = list->record[i - 1].size, b = list->record[i].size, least = a < b ? a : b;
            ck_assert_int_lt(memcmp(list->record[i - 1].data, list->record[i].data, least), 0);
        }
    }
    for (size_t i = 0; i < makes; i++) {
        if (there[i]) {
            fputc('A' + (int)i, out);
        }
    }
    fputs("; ", out);
}

/*
 * "A active kz, B future; dnskey AB; cds A; next 3": each key with its state, k where it signs
 * DNSKEY and z where it signs the zone; the day of the next change.
 */
static void expect_set(const struct keyset *keyset, int64_t time, const char *expected)
{
    char *text;
    size_t size;
    struct keyset_moment moment;
    FILE *out = open_memstream(&text, &size);
    keyset_at(keyset, time, &moment);
    const char *comma = "";
    for (size_t i = 0; i < makes; i++) {
        for (size_t j = 0; j < keyset->count; j++) {
            if (letter(keyset->key[j].rdata, keyset->key[j].rdata_size) == i) {
                fprintf(out, "%s%c %s%s%s%s", comma, 'A' + (int)i,
                        keyset_state_name(moment.state[j]),
                        moment.signs_dnskey[j] || moment.signs_zone[j] ? " " : "",
                        moment.signs_dnskey[j] ? "k" : "", moment.signs_zone[j] ? "z" : "");
                comma = ", ";
            }
        }
    }
    fputs("; ", out);
    tell_list(out, "dnskey", &moment.dnskey);
    tell_list(out, "cds", &moment.cdnskey);
    ck_assert_uint_eq(moment.cds.count, moment.cdnskey.count);
    if (moment.next == INT64_MAX) {
        fputs("next never", out);
    } else {
        fprintf(out, "next %g", (double)(moment.next - T0) / DAY);
    }
    fputs(moment.offline ? "; offline" : "", out);
    fclose(out);
    ck_assert_msg(strcmp(text, expected) == 0, "on day %g:\n%s\nnot\n%s", (double)(time - T0) / DAY,
                  text, expected);
    free(text);
}

/* Reads the directory as it is on a day, with nothing to tell. */
static void expect(int day, const char *expected)
{
    struct keyset *keyset = read_at(T0 + (int64_t)day * DAY, "");
    expect_set(keyset, T0 + (int64_t)day * DAY, expected);
    keyset_unref(keyset);
}

static void expect_warnings(int64_t time, const char *expected)
{
    struct keyset *keyset = read_at(time, "");
    struct keyset_moment moment;
    struct diag diag = {0};
    keyset_at(keyset, time, &moment);
    keyset_warn(keyset, time, &moment, &diag);
    key_expect_diag(&diag, expected);
    keyset_unref(keyset);
}

/* Text with the tags of A, B, C... for each %u. */
static const char *with_tags(const char *format)
{
    static char text[2048];
    snprintf(text, sizeof text, format, makes > 0 ? made[0].tag : 0, makes > 1 ? made[1].tag : 0);
    return text;
}

/* ---- Timelines ---- */

START_TEST(one_key)
{
    make(257, 13, 1, 2, NO, NO, NO, NO);
    expect(0, "A future; dnskey ; cds ; next 1");
    expect(1, "A published; dnskey A; cds ; next 2");
    expect(2, "A active kz; dnskey A; cds A; next never");
}
END_TEST

/* Pre-publish rollover of a ZSK (RFC 6781 section 4.1.1.1). */
START_TEST(zsk_rollover)
{
    make(257, 13, 0, 0, NO, NO, NO, NO);
    make(256, 13, 0, 0, 10, 12, NO, NO);
    make(256, 13, 8, 10, NO, NO, NO, NO);
    expect(0, "A active k, B active z, C future; dnskey AB; cds A; next 8");
    expect(8, "A active k, B active z, C published; dnskey ABC; cds A; next 10");
    expect(10, "A active k, B retired, C active z; dnskey ABC; cds A; next 12");
    /* A set that was read before says the same as one that is read now without the key. */
    struct keyset *keyset = read_at(T0, "");
    expect_set(keyset, T0 + 12 * DAY - 1,
               "A active k, B retired, C active z; dnskey ABC; cds A; next 12");
    expect_set(keyset, T0 + 12 * DAY,
               "A active k, B removed, C active z; dnskey AC; cds A; next never");
    keyset_unref(keyset);
    expect(12, "A active k, C active z; dnskey AC; cds A; next never");
}
END_TEST

/* Double-DS rollover of a KSK (RFC 6781 section 4.1.2): both are signalled, then one. */
START_TEST(ksk_rollover)
{
    make(257, 15, 0, 0, 12, 13, 0, 12);
    make(256, 15, 0, 0, NO, NO, NO, NO);
    make(257, 15, 9, 12, NO, NO, 10, NO);
    expect(0, "A active k, B active z, C future; dnskey AB; cds A; next 9");
    expect(9, "A active k, B active z, C published; dnskey ABC; cds A; next 10");
    expect(10, "A active k, B active z, C published; dnskey ABC; cds AC; next 12");
    expect(12, "A retired, B active z, C active k; dnskey ABC; cds C; next 13");
    expect(13, "B active z, C active k; dnskey BC; cds C; next never");
}
END_TEST

/* Double signatures: from one CSK to another, both active for a time. */
START_TEST(csk_rollover)
{
    make(257, 13, 0, 0, 6, 6, 0, 4);
    make(257, 13, 2, 2, NO, NO, 4, NO);
    expect(0, "A active kz, B future; dnskey A; cds A; next 2");
    expect(2, "A active kz, B active kz; dnskey AB; cds A; next 4");
    expect(4, "A active kz, B active kz; dnskey AB; cds B; next 6");
    expect(6, "B active kz; dnskey B; cds B; next never");
}
END_TEST

/* From one algorithm to another, KSK and ZSK to a CSK. Both sign all while both are published. */
START_TEST(algorithm_rollover)
{
    make(257, 8, 0, 0, NO, 9, 0, 6);
    make(256, 8, 0, 0, NO, 9, NO, NO);
    make(257, 13, 3, 3, NO, NO, 6, NO);
    expect(0, "A active k, B active z, C future; dnskey AB; cds A; next 3");
    expect(3, "A active k, B active z, C active kz; dnskey ABC; cds A; next 6");
    expect(6, "A active k, B active z, C active kz; dnskey ABC; cds C; next 9");
    expect(9, "C active kz; dnskey C; cds C; next never");
}
END_TEST

/* ---- States and roles ---- */

START_TEST(states)
{
    /* publish, activate, inactive, delete; states before day 0 and on days 0 to 4 */
    static const struct {
        int times[4];
        const char *states;
    } cases[] = {
        {{NO, NO, NO, NO}, "aaaaa"}, {{1, NO, NO, NO}, "fpppp"}, {{NO, 1, NO, NO}, "paaaa"},
        {{1, 2, 3, 4}, "fpart"},     {{NO, NO, 2, NO}, "ffrrr"}, {{NO, NO, NO, 2}, "ffttt"},
        {{1, 1, 3, 3}, "faatt"},     {{3, 1, NO, NO}, "faaaa"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct dnskey key = {0};
        for (int event = 0; event < DNSKEY_EVENTS; event++) {
            key.times[event] = DNSKEY_UNSET;
        }
        for (int event = 0; event < 4; event++) {
            if (cases[i].times[event] != NO) {
                key.times[DNSKEY_PUBLISH + event] = cases[i].times[event];
            }
        }
        for (int time = 0; time < 5; time++) {
            static const char letters[] = "fpart";
            char state = letters[keyset_state(&key, time)];
            ck_assert_msg(state == cases[i].states[time], "case %zu, time %d: %c", i, time, state);
        }
        if (i == 0) {
            key.times[DNSKEY_CREATED] = 1;
            ck_assert_int_eq(keyset_state(&key, 2), KEYSET_FUTURE);
        }
    }
}
END_TEST

/* Keys without the SEP flag, alone in their algorithm, sign all; so does one beside a KSK of
 * another algorithm. */
START_TEST(roles)
{
    make(256, 13, 0, 0, NO, NO, NO, NO);
    expect(0, "A active kz; dnskey A; cds ; next never");
    make(257, 15, 0, 0, NO, NO, NO, NO);
    expect(0, "A active kz, B active kz; dnskey AB; cds B; next never");
    make(257, 13, 0, 5, NO, NO, NO, NO);
    expect(0, "A active kz, B active kz, C published; dnskey ABC; cds B; next 5");
    expect(5, "A active z, B active kz, C active k; dnskey ABC; cds BC; next never");
    make(257 | DNSKEY_REVOKE, 13, 0, 0, NO, NO, NO, NO);
    expect(0, "A active kz, B active kz, C published, D active k; dnskey ABCD; cds B; next 5");
}
END_TEST

/* A private part that is not here: published, but it can't sign. */
START_TEST(public_only)
{
    char name[KEYFILE_NAME_MAX];
    make(257, 13, 0, 0, NO, NO, NO, NO);
    make(256, 13, 0, 0, NO, NO, NO, NO);
    keyfile_name(&made[0], name);
    ck_assert_int_eq(unlink(key_path(strcat(name, ".private"))), 0);
    expect(0, "A active, B active kz; dnskey AB; cds A; next never");
    expect_warnings(T0, with_tags("warning: zone example.test.: the private part of its "
                                  "key-signing key %u is not here, nor a DNSKEY RRset that it "
                                  "signed\n"));
    keyfile_name(&made[1], name);
    ck_assert_int_eq(unlink(key_path(strcat(name, ".private"))), 0);
    expect_warnings(T0, with_tags("warning: zone example.test.: keys of algorithm 13 "
                                  "(ECDSAP256SHA256) are published, and none of them is active "
                                  "with its private part here: validators may take the zone for "
                                  "bogus\n"
                                  "warning: zone example.test.: the private part of its "
                                  "key-signing key %u is not here, nor a DNSKEY RRset that it "
                                  "signed\n"));
}
END_TEST

START_TEST(warnings)
{
    expect_warnings(T0, "warning: zone example.test.: no key is published\n");
    make(257, 13, 0, 0, NO, NO, NO, NO);
    expect_warnings(T0, "");
    make(256, 15, 0, 5, NO, NO, NO, NO);
    expect_warnings(T0, "warning: zone example.test.: keys of algorithm 15 (ED25519) are "
                        "published, and none of them is active with its private part here: "
                        "validators may take the zone for bogus\n");
    expect_warnings(T0 + 5 * DAY, "");
}
END_TEST

/* ---- Reading and making ---- */

START_TEST(limits)
{
    char expected[64 + KEYFILE_NAME_MAX], name[KEYFILE_NAME_MAX], last[KEYFILE_NAME_MAX] = "";
    for (int i = 0; i < KEYSET_KEYS_MAX + 1; i++) {
        make(256, 15, 0, 0, i < 1 ? 5 : NO, i < 1 ? 6 : NO, NO, NO);
    }
    for (size_t i = 0; i < makes; i++) { /* the last by name is the one too many */
        keyfile_name(&made[i], name);
        if (strcmp(name, last) > 0) {
            strcpy(last, name);
        }
    }
    snprintf(expected, sizeof expected,
             "DIR/%s.key: the zone has more than 16 keys that are not deleted\n", last);
    ck_assert_ptr_null(read_at(T0, expected));
    struct keyset *keyset = read_at(T0 + 6 * DAY, "");
    ck_assert_uint_eq(keyset->count, KEYSET_KEYS_MAX);
    struct keyset_moment moment;
    keyset_at(keyset, T0 + 6 * DAY, &moment);
    ck_assert_uint_eq(moment.dnskey.count, KEYSET_KEYS_MAX);
    keyset_unref(keyset);
    for (int i = 0; i <= KEYSET_FILES_MAX; i++) {
        snprintf(name, sizeof name, "Kexample.test.+099+%05d.key", i);
        key_write(name, "", 0644);
    }
    keyfile_name(&made[0], name);
    struct keyset_directory *directory;
    struct diag diag = {0};
    ck_assert_int_eq(keyset_directory_read(key_directory, &directory, &diag), RR_OK);
    ck_assert_int_eq(keyset_read(directory, zone, T0, &keyset, &diag), RR_EINVAL);
    ck_assert_ptr_nonnull(strstr(diag_first_fault(&diag), "at most 256 are read"));
    diag_clear(&diag);
    keyset_directory_free(directory);
}
END_TEST

/* Other zones' keys in the same place, some with names that begin alike. */
START_TEST(directories)
{
    static const uint8_t *const zones[] = {(const uint8_t *)"",
                                           (const uint8_t *)"\4test",
                                           (const uint8_t *)"\7example\4test",
                                           (const uint8_t *)"\7example\5test2",
                                           (const uint8_t *)"\1a\7example\4test",
                                           (const uint8_t *)"\11example.x\4test"};
    enum { ZONES = sizeof zones / sizeof zones[0] };
    struct keyset_directory *directory;
    struct diag diag = {0};
    struct dnskey key;
    int64_t times[DNSKEY_EVENTS];
    for (int i = 0; i < DNSKEY_EVENTS; i++) {
        times[i] = DNSKEY_UNSET;
    }
    for (size_t i = 0; i < ZONES; i++) {
        for (size_t j = 0; j <= i; j++) {
            ck_assert_int_eq(keyfile_make(key_directory, zones[i], 257, 15, times, &key), RR_OK);
            dnskey_clear(&key);
        }
    }
    ck_assert_int_eq(keyset_directory_read(key_directory, &directory, &diag), RR_OK);
    ck_assert_str_eq(keyset_directory_path(directory), key_directory);
    for (size_t i = 0; i < ZONES; i++) {
        struct keyset *keyset;
        ck_assert_int_eq(keyset_read(directory, zones[i], T0, &keyset, &diag), RR_OK);
        ck_assert_uint_eq(keyset->count, i + 1);
        keyset_unref(keyset);
    }
    keyset_directory_free(directory);
    keyset_directory_free(NULL);
    keyset_unref(NULL);
    ck_assert_int_eq(keyset_directory_read(key_path("nowhere"), &directory, &diag), RR_EIO);
    ck_assert_ptr_null(directory);
    key_expect_diag(&diag, "DIR/nowhere: No such file or directory\n");
}
END_TEST

START_TEST(made_for_a_zone)
{
    struct keyset *keyset;
    struct diag diag = {0};
    char ds[DNSKEY_DS_TEXT], expected[DNSKEY_DS_TEXT];
    ck_assert_int_eq(
        keyset_make(key_directory, (const uint8_t *)"\7EXAMPLE\4test", 14, T0, &keyset, ds, &diag),
        RR_OK);
    ck_assert_int_eq(dnskey_ds_text(&keyset->key[0], DNSKEY_SHA256, expected), RR_OK);
    ck_assert_str_eq(ds, expected);
    ck_assert_int_eq(strncmp(ds, "example.test. IN DS ", 20), 0);
    made[makes++] = keyset->key[0];
    expect_set(keyset, T0, "A active kz; dnskey A; cds A; next never");
    expect(0, "A active kz; dnskey A; cds A; next never");
    made[0].private = NULL; /* the set's */
    keyset_unref(keyset);
    ck_assert_int_eq(keyset_make("/nowhere", zone, 13, T0, &keyset, ds, &diag), RR_EIO);
    ck_assert_ptr_null(keyset);
    key_expect_diag(&diag, "/nowhere: no key can be made for example.test.: No such file or "
                           "directory\n");
}
END_TEST

/* Every bad file is told. */
START_TEST(bad_files)
{
    key_write("Kexample.test.+013+00001.key", "example.test. IN A 192.0.2.1\n", 0644);
    key_write("Kexample.test.+013+00002.key", "", 0644);
    ck_assert_ptr_null(read_at(T0, "DIR/Kexample.test.+013+00001.key:1: expected DNSKEY, found "
                                   "\"A\"\n"
                                   "DIR/Kexample.test.+013+00002.key:1: no DNSKEY record in it\n"));
}
END_TEST

/* ---- RRsets made elsewhere ---- */

static void put_base64(FILE *out, const uint8_t *data, size_t size)
{
    char text[2048];
    struct wire_writer writer = wire_writer_init((uint8_t *)text, sizeof text);
    base64_encode(&writer, data, size);
    fprintf(out, "%.*s\n", (int)writer.pos, text);
}

/* Key A signs the keys named by letters, from one day to another; the text, to be freed. */
static char *offline_text(const char *letters, int from, int to)
{
    char *text, first[KEYFILE_TIME_MAX], last[KEYFILE_TIME_MAX];
    size_t size;
    uint8_t data[4096], signature[DNSKEY_SIGNATURE_MAX];
    struct keyset_moment moment;
    struct wire_writer w = wire_writer_init(data, sizeof data);
    FILE *out = open_memstream(&text, &size);
    wire_write_octets(&w, "\0\60\15\2\0\0\16\20", 8); /* DNSKEY 13 2 3600 */
    wire_write_u32(&w, (uint32_t)(T0 + to * DAY));
    wire_write_u32(&w, (uint32_t)(T0 + from * DAY));
    wire_write_u16(&w, made[0].tag);
    wire_write_octets(&w, zone, sizeof zone);
    /* In canonical order, as a key set of these keys alone has it. */
    struct keyset *only = calloc(1, sizeof *only);
    only->key = calloc(KEYSET_KEYS_MAX, sizeof *only->key);
    for (; *letters != '\0'; letters++) {
        const struct dnskey *key = &made[*letters - 'A'];
        fprintf(out, "example.test. 3600 IN DNSKEY %u 3 %u ", key->flags, key->algorithm);
        put_base64(out, key->rdata + 4, key->rdata_size - 4u);
        only->key[only->count] = *key;
        only->key[only->count].times[DNSKEY_DELETE] = DNSKEY_UNSET;
        only->key[only->count++].times[DNSKEY_PUBLISH] = 0;
    }
    keyset_at(only, T0, &moment);
    for (size_t i = 0; i < moment.dnskey.count; i++) {
        wire_write_octets(&w, zone, sizeof zone);
        wire_write_octets(&w, "\0\60\0\1\0\0\16\20", 8);
        wire_write_u16(&w, moment.dnskey.record[i].size);
        wire_write_octets(&w, moment.dnskey.record[i].data, moment.dnskey.record[i].size);
    }
    ck_assert(!w.failed);
    free(only->key);
    free(only);
    struct dnskey_signer *signer = dnskey_signer_new(&made[0]);
    ck_assert_int_eq(dnskey_sign(signer, data, w.pos, signature), RR_OK);
    keyfile_time_format(T0 + from * DAY, first);
    keyfile_time_format(T0 + to * DAY, last);
    fprintf(out, "@ 3600 RRSIG DNSKEY 13 2 3600 %s %s %u EXAMPLE.test. ", last, first, made[0].tag);
    put_base64(out, signature, dnskey_signature_size(&made[0]));
    dnskey_signer_free(signer);
    fclose(out);
    return text;
}

/* The key-signing key's files are taken away, once its signatures are made. */
static void take_away_first(void)
{
    key_command("rm %s/Kexample.test.+013+%05u.*", key_directory, made[0].tag);
}

START_TEST(offline_set)
{
    make(257, 13, 0, 0, NO, NO, NO, NO);
    make(256, 13, 0, 0, NO, NO, NO, NO);
    make(256, 13, 2, 5, NO, NO, NO, NO);
    char *text = offline_text("AB", 0, 10);
    key_write("Kexample.test.dnskey", text, 0644);
    free(text);
    take_away_first();
    expect(-1, "B future, C future; dnskey ; cds ; next 0");
    expect(0, "B active z, C future; dnskey AB; cds ; next 2; offline");
    expect(2, "B active z, C future; dnskey AB; cds ; next 5; offline");
    struct keyset *keyset = read_at(T0, "");
    ck_assert_uint_eq(keyset->offline->ttl, 3600);
    ck_assert_uint_eq(keyset->offline->rrsig.count, 1);
    ck_assert_uint_eq(keyset->offline->rrsig.record[0].size, 18 + sizeof zone + 64);
    ck_assert_int_eq(memcmp(keyset->offline->rrsig.record[0].data + 18, zone, sizeof zone), 0);
    struct keyset_moment moment;
    keyset_at(keyset, T0 + 10 * DAY, &moment);
    ck_assert(moment.offline);
    ck_assert_int_eq(moment.next, T0 + 10 * DAY + 1);
    keyset_at(keyset, T0 + 10 * DAY + 1, &moment);
    ck_assert(!moment.offline);
    ck_assert_int_eq(moment.next, INT64_MAX);
    keyset_unref(keyset);
    expect(11, "B active kz, C active kz; dnskey BC; cds ; next never");
    expect_warnings(T0, "");
    char expected[256];
    snprintf(expected, sizeof expected,
             "warning: DIR/Kexample.test.dnskey: the key %u of zone example.test. is due by its "
             "times, and not in it\n",
             made[2].tag);
    expect_warnings(T0 + 2 * DAY, expected);
    expect_warnings(T0 + 11 * DAY, "warning: DIR/Kexample.test.dnskey: not used: not all of its "
                                   "signatures are valid at this time\n");
}
END_TEST

/* Past 2038 and 2106, where 32 bits of seconds begin anew. */
START_TEST(offline_times)
{
    make(257, 13, 0, 0, NO, NO, NO, NO);
    char *text = offline_text("A", 0, 10);
    key_write("Kexample.test.dnskey", text, 0644);
    free(text);
    struct keyset *keyset = read_at(T0, "");
    struct keyset_moment moment;
    int64_t later = T0 + (INT64_C(1) << 32);
    keyset_at(keyset, later, &moment);
    ck_assert(moment.offline);
    ck_assert_int_eq(moment.next, later + 10 * DAY + 1);
    keyset_at(keyset, later - 1, &moment);
    ck_assert(!moment.offline);
    ck_assert_int_eq(moment.next, later);
    keyset_unref(keyset);
}
END_TEST

static void offline_fault(const char *text, const char *told)
{
    key_write("Kexample.test.dnskey", text, 0644);
    ck_assert_ptr_null(read_at(T0, told));
}

START_TEST(offline_faults)
{
    make(257, 13, 0, 0, NO, NO, NO, NO);
    make(256, 13, 0, 0, NO, NO, NO, NO);
    offline_fault("", "DIR/Kexample.test.dnskey: has no DNSKEY, or no RRSIG\n");
    offline_fault("$TTL 60\n@ IN A 192.0.2.256\n",
                  "DIR/Kexample.test.dnskey:2: expected an IPv4 address, found "
                  "\"192.0.2.256\"\n");
    offline_fault("$TTL 60\n@ IN A 192.0.2.1\nx RRSIG DNSKEY 13 2 60 20300101000000 "
                  "20200101000000 1 @ AAAA\n",
                  "DIR/Kexample.test.dnskey:2: neither DNSKEY nor RRSIG\n"
                  "DIR/Kexample.test.dnskey:3: not a record of the zone's name\n");
    char *text = offline_text("AB", 0, 10), *other = offline_text("A", 0, 10);
    char *mixed = malloc(strlen(text) + strlen(other) + 1);
    /* The signature of A alone, beside A and B. */
    sprintf(mixed, "%.*s%s", (int)(strstr(text, "@ 3600") - text), text, strstr(other, "@ 3600"));
    offline_fault(mixed, "DIR/Kexample.test.dnskey:3: the signature is not one by a key of this "
                         "set\n");
    strstr(mixed, "3600 IN DNSKEY")[0] = '4';
    offline_fault(mixed, "DIR/Kexample.test.dnskey:2: its TTL is not that of the others\n");
    strstr(other, "3600 IN DNSKEY")[0] = '4';
    offline_fault(other, "DIR/Kexample.test.dnskey:2: its original TTL is below the TTL of the "
                         "keys\n");
    free(text);
    free(other);
    free(mixed);
    static const struct {
        const char *rrsig, *told;
    } signatures[] = {
        {"A 13 2 60 20300101000000 20200101000000 1 @ AAAA",
         "a signature of another type than DNSKEY"},
        {"DNSKEY 13 2 60 20300101000000 20200101000000 1 x AAAA", "the signer is not the zone"},
        {"DNSKEY 13 3 60 20300101000000 20200101000000 1 @ AAAA",
         "the number of labels is not the zone's"},
        {"DNSKEY 13 2 60 20300101000000 20200101000000 1 @ AAAA",
         "the signature is not one by a key of this set"},
    };
    for (size_t i = 0; i < sizeof signatures / sizeof signatures[0]; i++) {
        char line[256], told[256];
        snprintf(line, sizeof line, "@ 60 RRSIG %s\n", signatures[i].rrsig);
        snprintf(told, sizeof told, "DIR/Kexample.test.dnskey:1: %s\n", signatures[i].told);
        offline_fault(line, told);
    }
}
END_TEST

/* ---- What need not be read again ---- */

static struct keyset_directory *list_keys(void)
{
    struct keyset_directory *directory;
    struct diag diag = {0};
    ck_assert_int_eq(keyset_directory_read(key_directory, &directory, &diag), RR_OK);
    return directory;
}

/* Whether a set read before is what the files are now. */
static bool is_current(const struct keyset *keyset)
{
    struct keyset_directory *directory = list_keys();
    bool current = keyset_is_current(keyset, directory);
    keyset_directory_free(directory);
    return current;
}

/* Files changed just now may change again unseen; so tests wait until that is over. */
static struct keyset *read_settled(void)
{
    sleep(3);
    struct keyset *keyset = read_at(T0, "");
    ck_assert(is_current(keyset));
    return keyset;
}

START_TEST(unchanged_files)
{
    char name[KEYFILE_NAME_MAX], file[KEYFILE_NAME_MAX + 16], *text;
    begin();
    make(257, 13, -1, -1, NO, NO, NO, NO);
    keyfile_name(&made[0], name);
    struct keyset *keyset = read_at(T0, "");
    ck_assert(!is_current(keyset)); /* of files that are too new */
    keyset_unref(keyset);

    keyset = read_settled();
    snprintf(file, sizeof file, "%s.private", name);
    text = key_read(file);
    key_write(file, text, 0600); /* the same again: to be read, to be sure */
    ck_assert(!is_current(keyset));
    keyset_unref(keyset);

    keyset = read_settled();
    ck_assert_int_eq(chmod(key_path(file), 0640), 0);
    ck_assert(!is_current(keyset));
    ck_assert_int_eq(unlink(key_path(file)), 0);
    ck_assert(!is_current(keyset));
    key_write(file, text, 0600);
    free(text);
    keyset_unref(keyset);

    keyset = read_settled();
    make(256, 13, -1, -1, NO, NO, NO, NO);
    ck_assert(!is_current(keyset)); /* there is one more */
    keyset_unref(keyset);
    end();
}
END_TEST

/* What was deleted when the keys were read, and is not at an earlier time. */
START_TEST(whole_from)
{
    begin();
    make(257, 13, -1, -1, NO, NO, NO, NO);
    struct keyset *keyset = read_at(T0, "");
    ck_assert(keyset->whole_from == INT64_MIN);
    keyset_unref(keyset);
    make(256, 13, -9, -9, -5, -3, NO, NO);
    make(256, 13, -9, -9, -5, -2, NO, NO);
    make(256, 13, -9, -9, 5, 7, NO, NO);
    keyset = read_at(T0, "");
    ck_assert_uint_eq(keyset->count, 2);
    ck_assert_int_eq(keyset->whole_from, T0 - 2 * DAY);
    keyset_unref(keyset);
    keyset = read_at(T0 - 4 * DAY, "");
    ck_assert_uint_eq(keyset->count, 4);
    ck_assert(keyset->whole_from == INT64_MIN);
    keyset_unref(keyset);
    end();
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("keyset");
    tcase_add_checked_fixture(unit.tests, begin, end);
    tcase_add_test(unit.tests, one_key);
    tcase_add_test(unit.tests, zsk_rollover);
    tcase_add_test(unit.tests, ksk_rollover);
    tcase_add_test(unit.tests, csk_rollover);
    tcase_add_test(unit.tests, algorithm_rollover);
    tcase_add_test(unit.tests, states);
    tcase_add_test(unit.tests, roles);
    tcase_add_test(unit.tests, public_only);
    tcase_add_test(unit.tests, warnings);
    tcase_add_test(unit.tests, limits);
    tcase_add_test(unit.tests, directories);
    tcase_add_test(unit.tests, made_for_a_zone);
    tcase_add_test(unit.tests, bad_files);
    tcase_add_test(unit.tests, offline_set);
    tcase_add_test(unit.tests, offline_times);
    tcase_add_test(unit.tests, offline_faults);
    tcase_set_timeout(unit.tests, 60);
    tcase_add_test(unit.tests, unchanged_files);
    tcase_add_test(unit.tests, whole_from);
    return unit_end(&unit);
}

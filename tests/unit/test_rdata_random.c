/*
 * RDATA of every type, by chance: ldns reads our samples as we do, what is printed reads back as
 * the same octets, and no octets at all bring the checks or the printer out of bounds.
 */
#include <arpa/inet.h>
#include <ldns/ldns.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/base_encoding.h"
#include "dns/rdata.h"
#include "dns/rrtype.h"
#include "scan_aid.h"
#include "unit.h"
#include "zone/rdata_print.h"

static const uint16_t types[] = {
#define RRTYPE(mnemonic, number, form) number,
#include "dns/rrtypes.def"
#undef RRTYPE
};

enum { TYPES = sizeof types / sizeof types[0] };

static uint8_t rdata[65535];
static uint8_t again[65535];
static uint8_t printed[RDATA_TEXT_MAX];

/* ---- Random text ---- */

struct text {
    struct rng *rng;
    char data[4096];
    size_t size;
};

static void add(struct text *text, const char *word)
{
    text->size += (size_t)snprintf(text->data + text->size, sizeof text->data - text->size, "%s",
                                   word);
}

static void add_number(struct text *text, uint32_t max)
{
    char word[16];
    uint32_t edge = rng_once_in(text->rng, 4) ? max : (uint32_t)rng_next(text->rng);
    snprintf(word, sizeof word, "%u", max == UINT32_MAX ? edge : edge % (max + 1));
    add(text, word);
}

/* A host-like name, absolute or relative, with an escape now and then. */
static void add_name(struct text *text)
{
    static const char *const labels[] = {"a", "Www", "x-1", "_tcp", "*", "\\.b", "\\001", "\\200c"};
    unsigned count = rng_below(text->rng, 5);
    if (count == 0) {
        add(text, rng_once_in(text->rng, 2) ? "." : "@");
        return;
    }
    for (unsigned i = 0; i < count; i++) {
        add(text, i > 0 ? "." : "");
        add(text, labels[rng_below(text->rng, sizeof labels / sizeof labels[0])]);
    }
    add(text, rng_once_in(text->rng, 2) ? "." : "");
}

static void add_string(struct text *text, const char *characters)
{
    char word[2] = "";
    unsigned count = rng_below(text->rng, 20);
    add(text, "\"");
    for (unsigned i = 0; i < count; i++) {
        word[0] = characters[rng_below(text->rng, (unsigned)strlen(characters))];
        if (word[0] == '"' || word[0] == '\\') {
            add(text, "\\");
        }
        add(text, word);
    }
    add(text, "\"");
}

static void add_octets(struct text *text,
                       void (*encode)(struct wire_writer *, const uint8_t *, size_t), size_t size)
{
    uint8_t octets[64];
    rng_fill(text->rng, octets, size);
    struct wire_writer out = wire_writer_init((uint8_t *)text->data + text->size, 256);
    encode(&out, octets, size);
    text->size += out.pos;
    text->data[text->size] = '\0';
}

static void add_types(struct text *text)
{
    char word[RRTYPE_TEXT_MAX];
    unsigned count = 1 + rng_below(text->rng, 6);
    for (unsigned i = 0; i < count; i++) {
        /* ldns has younger types by number only */
        unsigned most = rng_once_in(text->rng, 3) ? 60000 : 50;
        uint16_t type = (uint16_t)(1 + rng_below(text->rng, most));
        snprintf(word, sizeof word, " TYPE%u", type);
        add(text, word);
    }
}

static void add_address(struct text *text, int family)
{
    char word[64];
    uint8_t octets[16];
    rng_fill(text->rng, octets, sizeof octets);
    for (size_t i = 0; i < sizeof octets && family == AF_INET6; i++) {
        octets[i] = rng_once_in(text->rng, 2) ? 0 : octets[i];
    }
    inet_ntop(family, octets, word, sizeof word);
    add(text, word);
}

static void add_field(struct text *text, char form)
{
    static const char any[] = "abcXYZ019 ;()@$.-_=\"\\,!";
    switch (form) {
    case 'N':
    case 'n':
    case 'o':
        add_name(text);
        break;
    case '1':
    case 'g':
        add_number(text, UINT8_MAX);
        break;
    case '2':
        add_number(text, UINT16_MAX);
        break;
    case 'c':
        add(text, rng_once_in(text->rng, 2) ? "PKIX" : "254");
        break;
    case '4':
    case 'd':
        add_number(text, UINT32_MAX);
        break;
    case 't':
        add(text, rng_once_in(text->rng, 2) ? "20240229235959" : "19991231000001");
        break;
    case 'T':
        add(text, rng_once_in(text->rng, 2) ? "DNSKEY" : "TYPE4711");
        break;
    case 'a':
        add_address(text, AF_INET);
        break;
    case 'A':
        add_address(text, AF_INET6);
        break;
    case 's':
    case 'q':
        add_string(text, any);
        break;
    case 'S':
        add_string(text, any);
        add(text, " ");
        add_string(text, any);
        break;
    case 'k':
        add(text, rng_once_in(text->rng, 2) ? "issue" : "x9");
        break;
    case 'h':
        add_octets(text, hex_encode, 20);
        break;
    case 'b':
        add_octets(text, base64_encode, 1 + rng_below(text->rng, 60));
        break;
    case 'x':
        if (rng_once_in(text->rng, 3)) {
            add(text, "-");
        } else {
            add_octets(text, hex_encode, 1 + rng_below(text->rng, 20));
        }
        break;
    case 'w':
        add_octets(text, base32hex_encode, 20);
        break;
    default: /* M */
        add_types(text);
    }
}

/* RDATA text of a type whose form is made of letters. */
static void make_text(struct text *text, uint16_t type)
{
    text->size = 0;
    text->data[0] = '\0';
    for (const char *form = rrtype_form(type); *form != '\0'; form++) {
        if (text->size > 0) {
            add(text, " ");
        }
        /* digests have the length of their type */
        bool digest_type = form[1] == 'h' && (type == RRTYPE_DS || type == RRTYPE_CDS);
        add(text, digest_type ? "1" : type == RRTYPE_ZONEMD && form[1] == 'h' ? "240" : "");
        if (!digest_type && (type != RRTYPE_ZONEMD || form[1] != 'h')) {
            add_field(text, *form);
        }
    }
}

/* What ldns makes of it, or -1. */
static int ldns_rdata(uint16_t type, const char *text)
{
    char line[4200], mnemonic[RRTYPE_TEXT_MAX];
    ldns_rr *rr = NULL;
    ldns_rdf *origin = NULL;
    size_t size = 0;
    rrtype_to_text(type, mnemonic);
    snprintf(line, sizeof line, "x. 0 IN %s %s", mnemonic, text);
    ldns_str2rdf_dname(&origin, "example.");
    ldns_status status = ldns_rr_new_frm_str(&rr, line, 0, origin, NULL);
    ldns_rdf_deep_free(origin);
    if (status != LDNS_STATUS_OK) {
        return -1;
    }
    for (size_t i = 0; i < ldns_rr_rd_count(rr); i++) {
        const ldns_rdf *field = ldns_rr_rdf(rr, i);
        struct wire_writer out = wire_writer_init(again + size, sizeof again - size);
        wire_write_octets(&out, ldns_rdf_data(field), ldns_rdf_size(field));
        size += out.pos;
    }
    ldns_rr_free(rr);
    return (int)size;
}

/* Whether ldns 1.8 takes what we do: it has no letters for the types it doesn't know. */
static bool known_to_ldns(uint16_t type)
{
    const char *form = rrtype_form(type);
    return form[0] != '\0' && form[0] != 'r' && strchr(form, 'V') == NULL &&
           ldns_rr_descript(type)->_type == type;
}

START_TEST(as_ldns_reads)
{
    struct rng rng = rng_start();
    static struct text text;
    text.rng = &rng;
    unsigned compared = 0, types_compared = 0;
    for (unsigned t = 0; t < TYPES; t++) {
        unsigned before = compared;
        for (unsigned i = 0; i < 500 / UNIT_SLOWER && known_to_ldns(types[t]); i++) {
            const char *fault;
            make_text(&text, types[t]);
            int ours = scan_aid_rdata(types[t], text.data, rdata, &fault);
            ck_assert_msg(ours >= 0 || strcmp(fault, "the target is empty") == 0,
                          "type %u %s: %s", types[t], text.data, fault);
            int theirs = ours >= 0 ? ldns_rdata(types[t], text.data) : -1;
            if (theirs >= 0) {
                ck_assert_msg(ours == theirs && memcmp(rdata, again, (size_t)ours) == 0,
                              "type %u %s", types[t], text.data);
                compared++;
            }
        }
        types_compared += compared > before;
    }
    ck_assert_uint_gt(types_compared, 40);
}
END_TEST

/* ---- Octets by chance ---- */

/* Octets that are RDATA of the type as often as chance allows. */
static size_t make_rdata(struct rng *rng, uint16_t type)
{
    static struct text text;
    const char *form = rrtype_form(type);
    const char *fault;
    text.rng = rng;
    if (form[0] == '\0' || form[0] == 'r' || strchr(form, 'V') != NULL || rng_once_in(rng, 4)) {
        size_t size = rng_below(rng, 30);
        rng_fill(rng, rdata, size);
        for (size_t i = 0; i < size; i++) {
            rdata[i] = rng_once_in(rng, 2) ? rdata[i] % 6 : rdata[i];
        }
        return size;
    }
    make_text(&text, type);
    int size = scan_aid_rdata(type, text.data, rdata, &fault);
    for (unsigned i = rng_below(rng, 3); i > 0 && size > 0; i--) {
        rdata[rng_below(rng, (unsigned)size)] = (uint8_t)rng_next(rng);
    }
    return size > 0 ? (size_t)size - (rng_once_in(rng, 4) ? rng_below(rng, (unsigned)size) : 0) : 0;
}

START_TEST(printed_reads_back)
{
    struct rng rng = rng_start();
    unsigned good = 0;
    for (unsigned i = 0; i < 200000 / UNIT_SLOWER; i++) {
        uint16_t type = rng_once_in(&rng, 20) ? (uint16_t)(300 + rng_below(&rng, 60000))
                                              : types[rng_below(&rng, TYPES)];
        if (rrtype_is_meta(type)) {
            continue;
        }
        size_t size = rrtype_form(type) != NULL ? make_rdata(&rng, type) : rng_below(&rng, 40);
        uint8_t *guarded = unit_guarded(size);
        memcpy(guarded, rdata, size);
        struct wire_writer out = wire_writer_init(printed, sizeof printed - 1);
        const char *wrong = rdata_fault(type, guarded, size);
        rdata_print(type, guarded, size, &out);
        printed[out.pos] = '\0';
        unit_guarded_free(guarded, size);
        const char *fault;
        int back = scan_aid_rdata(type, (const char *)printed, again, &fault);
        ck_assert_msg((back < 0) == (wrong != NULL), "type %u %s: %s", type, printed, fault);
        if (wrong == NULL) {
            ck_assert_msg((size_t)back == size && memcmp(again, rdata, size) == 0, "type %u %s",
                          type, printed);
            good++;
        }
    }
    ck_assert_uint_gt(good, 10000 / UNIT_SLOWER);
}
END_TEST

/* The largest there is of each kind fits into RDATA_TEXT_MAX. */
START_TEST(large_ones)
{
    const char *fault;
    struct wire_writer out = wire_writer_init(rdata, sizeof rdata);
    wire_write_u8(&out, 0);
    for (unsigned window = 0; window < 256; window++) { /* NSEC of all types */
        wire_write_u8(&out, (uint8_t)window);
        wire_write_u8(&out, 32);
        memset(wire_write_room(&out, 32), 0xff, 32);
    }
    size_t size = out.pos;
    struct wire_writer text = wire_writer_init(printed, sizeof printed - 1);
    rdata_print(RRTYPE_NSEC, rdata, size, &text);
    ck_assert(!text.failed);
    printed[text.pos] = '\0';
    ck_assert_int_eq(scan_aid_rdata(RRTYPE_NSEC, (const char *)printed, again, &fault), (int)size);
    ck_assert_mem_eq(again, rdata, size);

    memset(rdata, 0, sizeof rdata); /* TXT of empty strings */
    text = wire_writer_init(printed, sizeof printed - 1);
    rdata_print(RRTYPE_TXT, rdata, sizeof rdata, &text);
    ck_assert(!text.failed);
    printed[text.pos] = '\0';
    ck_assert_int_eq(scan_aid_rdata(RRTYPE_TXT, (const char *)printed, again, &fault), 65535);

    out = wire_writer_init(rdata, sizeof rdata); /* SVCB that makes all keys mandatory it can */
    wire_write_u16(&out, 1);
    wire_write_u8(&out, 0);
    wire_write_u16(&out, 0);
    wire_write_u16(&out, 2 * 10900);
    for (unsigned key = 60000 - 10900; key < 60000; key++) {
        wire_write_u16(&out, (uint16_t)key);
    }
    for (unsigned key = 60000 - 10900; key < 60000; key++) {
        wire_write_u16(&out, (uint16_t)key);
        wire_write_u16(&out, 0);
    }
    ck_assert_ptr_null(rdata_fault(RRTYPE_SVCB, rdata, out.pos));
    text = wire_writer_init(printed, sizeof printed - 1);
    rdata_print(RRTYPE_SVCB, rdata, out.pos, &text);
    ck_assert(!text.failed);
    printed[text.pos] = '\0';
    ck_assert_int_eq(scan_aid_rdata(RRTYPE_SVCB, (const char *)printed, again, &fault),
                     (int)out.pos);
    ck_assert_mem_eq(again, rdata, out.pos);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("rdata_random");
    tcase_add_test(unit.tests, as_ldns_reads);
    tcase_add_test(unit.tests, printed_reads_back);
    tcase_add_test(unit.tests, large_ones);
    return unit_end(&unit);
}

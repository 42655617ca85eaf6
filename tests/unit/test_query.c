/*
 * What the parser makes of queries, each rule by itself, and of broken ones by chance. Every
 * message stands at the end of memory: reading past it ends the test.
 */
#include <stdlib.h>
#include <string.h>

#include "ask.h"
#include "dns/message.h"
#include "dns/query.h"
#include "dns/rrtype.h"
#include "names.h"
#include "unit.h"

/* Messages of a test, freed by its end. */
static struct query parsed;

static enum query_status parse_octets(const void *octets, size_t size)
{
    uint8_t *message = unit_guarded(size);
    memcpy(message, octets, size);
    memset(&parsed, 0xee, sizeof parsed);
    return query_parse(message, size, &parsed); /* parsed points into it: it stays */
}

static enum query_status parse(const struct ask *ask)
{
    return parse_octets(ask->data, ask->size);
}

/* The message is a query: its question asks this. */
static void expect_ok(const struct ask *ask)
{
    ck_assert_int_eq(parse(ask), QUERY_OK);
    ck_assert_uint_eq(parsed.rcode, 0);
    ck_assert(parsed.has_question);
    struct key key;
    key_from_name(ask->data + 12, &key);
    ck_assert_uint_eq(parsed.key.size, key.size);
    ck_assert(memcmp(parsed.key.symbols, key.symbols, key.size) == 0);
    ck_assert_ptr_eq(query_name(&parsed), parsed.message + 12);
    ck_assert_uint_eq(parsed.qname_size, names_size(ask->data + 12));
    ck_assert_uint_eq(parsed.labels, names_labels(ask->data + 12));
}

static void expect_error(const struct ask *ask, uint16_t rcode, int ede, bool question, bool edns)
{
    ck_assert_int_eq(parse(ask), QUERY_ERROR);
    ck_assert_uint_eq(parsed.rcode, rcode);
    ck_assert_int_eq(parsed.ede, ede);
    ck_assert_int_eq(parsed.has_question, question);
    ck_assert_int_eq(parsed.has_edns, edns);
}

static void expect_formerr(const struct ask *ask, bool question)
{
    ck_assert_int_eq(parse(ask), QUERY_ERROR);
    ck_assert_uint_eq(parsed.rcode, RCODE_FORMERR);
    ck_assert_int_eq(parsed.ede, EDE_NONE);
    ck_assert_int_eq(parsed.has_question, question);
}

START_TEST(plain)
{
    struct ask ask = ask_for_class("Www.example.", RRTYPE_AAAA, CLASS_IN);
    ask_flags(&ask, FLAG_RD | FLAG_CD);
    expect_ok(&ask);
    ck_assert_uint_eq(parsed.id, ASK_ID);
    ck_assert_uint_eq(parsed.flags, FLAG_RD | FLAG_CD);
    ck_assert_uint_eq(parsed.opcode, OPCODE_QUERY);
    ck_assert_uint_eq(parsed.qtype, RRTYPE_AAAA);
    ck_assert_uint_eq(parsed.qclass, CLASS_IN);
    ck_assert_mem_eq(query_name(&parsed), "\3Www\7example", 13);
    ck_assert(!parsed.has_edns && !parsed.nsid && !parsed.keepalive);
    ck_assert_uint_eq(parsed.cookie_size, 0);
    ck_assert_ptr_null(parsed.tsig_name);
    ck_assert_int_eq(parsed.ede, EDE_NONE);
    ask = ask_for(".", RRTYPE_NS);
    expect_ok(&ask);
    ck_assert_uint_eq(parsed.labels, 0);
    ck_assert_uint_eq(parsed.qname_size, 1);
    /* All other bits of the header are none of the parser's business. */
    ask_flags(&ask, FLAG_AA | FLAG_TC | FLAG_RA | 0x40 | FLAG_AD | 0xf);
    expect_ok(&ask);
}
END_TEST

START_TEST(too_short)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    for (size_t size = 0; size < 12; size++) {
        ck_assert_int_eq(parse_octets(ask.data, size), QUERY_DROP);
    }
    for (size_t size = 12; size < ask.size; size++) {
        ck_assert_int_eq(parse_octets(ask.data, size), QUERY_ERROR);
        ck_assert_uint_eq(parsed.rcode, RCODE_FORMERR);
        ck_assert(!parsed.has_question);
    }
}
END_TEST

START_TEST(responses)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    for (unsigned flags = FLAG_QR; flags <= 0xffff; flags += 0x101) {
        ask_flags(&ask, (uint16_t)flags);
        ck_assert_int_eq(parse(&ask), QUERY_DROP);
    }
}
END_TEST

START_TEST(question_count)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_count(&ask, ASK_QUESTION, 0);
    expect_formerr(&ask, false);
    ask_octets(&ask, ask.data + 12, 13);
    ask_count(&ask, ASK_QUESTION, 2);
    expect_formerr(&ask, false);
    ask_count(&ask, ASK_QUESTION, 65535);
    expect_formerr(&ask, false);
    ask = ask_nothing();
    expect_formerr(&ask, false);
    ask_opt(&ask, 512, 0);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, false, true);
}
END_TEST

START_TEST(cookie_without_question)
{
    for (size_t size = 0; size <= 42; size++) {
        bool valid = size == 8 || (size >= 16 && size <= 40);
        struct ask ask = ask_nothing();
        ask_opt(&ask, 512, 0);
        ask_option(&ask, EDNS_COOKIE, "0123456789012345678901234567890123456789xx", size);
        ck_assert_int_eq(parse(&ask), valid ? QUERY_COOKIE : QUERY_ERROR);
        ck_assert_uint_eq(parsed.cookie_size, valid ? size : 0);
        ck_assert_uint_eq(parsed.rcode, valid ? RCODE_NOERROR : RCODE_FORMERR);
        ck_assert(!parsed.has_question && parsed.has_edns);
    }
}
END_TEST

START_TEST(other_sections)
{
    static const uint8_t rdata[4] = {0};
    for (enum ask_section section = ASK_ANSWER; section <= ASK_AUTHORITY; section++) {
        struct ask ask = ask_for("example.", RRTYPE_A);
        ask_record(&ask, section, names_wire("a."), RRTYPE_A, CLASS_IN, 0, rdata, 4);
        expect_formerr(&ask, true);
        ask = ask_for("example.", RRTYPE_A);
        ask_count(&ask, section, 1);
        expect_formerr(&ask, true);
    }
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_record(&ask, ASK_ADDITIONAL, names_wire("a."), RRTYPE_A, CLASS_IN, 0, rdata, 4);
    expect_ok(&ask);
    ck_assert(!parsed.has_edns);
}
END_TEST

START_TEST(trailing_octets)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_octets(&ask, "", 1);
    expect_formerr(&ask, true);
    ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_octets(&ask, "", 1);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
}
END_TEST

START_TEST(opcodes)
{
    for (unsigned opcode = 1; opcode < 16; opcode++) {
        struct ask ask = ask_for("example.", RRTYPE_SOA);
        ask_flags(&ask, (uint16_t)(opcode << FLAG_OPCODE_SHIFT));
        expect_error(&ask, RCODE_NOTIMP, EDE_NOT_SUPPORTED, true, false);
        ck_assert_uint_eq(parsed.opcode, opcode);
        /* A question that does not parse is not echoed. */
        ask.size -= 1;
        ck_assert_int_eq(parse(&ask), QUERY_ERROR);
        ck_assert_uint_eq(parsed.rcode, RCODE_NOTIMP);
        ck_assert(!parsed.has_question);
        ask_count(&ask, ASK_QUESTION, 0);
        ck_assert_int_eq(parse(&ask), QUERY_ERROR);
        ck_assert_uint_eq(parsed.rcode, RCODE_NOTIMP);
    }
}
END_TEST

START_TEST(question_names)
{
    static const struct {
        const char *name; /* with type and class */
        size_t size;
    } broken[] = {
        {"\xc0\x0c\0\1\0\1", 6},
        {"\1a\xc0\x0c\0\1\0\1", 8},
        {"\x40"
         "a\0\0\1\0\1",
         7},
        {"\x80"
         "a\0\0\1\0\1",
         7},
        {"\1a\1b", 4},
        {"\1a\1", 3},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        struct ask ask = ask_nothing();
        ask_count(&ask, ASK_QUESTION, 1);
        ask_octets(&ask, broken[i].name, broken[i].size);
        expect_formerr(&ask, false);
    }
    struct rng rng = rng_start();
    uint8_t name[NAME_MAX_OCTETS + 1];
    names_random(&rng, NAMES_LONG, names_wire("."), 1, name);
    struct ask ask = ask_for_wire(name, RRTYPE_A, CLASS_IN);
    expect_ok(&ask);
    ck_assert_uint_eq(parsed.qname_size, 255);
    names_random(&rng, NAMES_MANY, names_wire("."), 1, name);
    ask = ask_for_wire(name, RRTYPE_A, CLASS_IN);
    expect_ok(&ask);
    ck_assert_uint_eq(parsed.labels, 127);
}
END_TEST

/* 255 octets are a name, 256 are none, however they are parted. */
START_TEST(question_name_too_long)
{
    static const struct {
        unsigned labels, length, last; /* so many labels of a length, and one more */
        bool good;
    } names[] = {
        {3, 63, 61, true},  {3, 63, 62, false}, {3, 63, 63, false}, {126, 1, 1, true},
        {126, 1, 2, false}, {127, 1, 1, false}, {50, 4, 3, true},   {50, 4, 4, false},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct ask ask = ask_nothing();
        ask_count(&ask, ASK_QUESTION, 1);
        for (unsigned n = 0; n <= names[i].labels; n++) {
            uint8_t label[64] = "";
            label[0] = (uint8_t)(n < names[i].labels ? names[i].length : names[i].last);
            ask_octets(&ask, label, 1u + label[0]);
        }
        ask_octets(&ask, "\0\0\1\0\1", 5);
        enum query_status status = parse(&ask);
        ck_assert_msg(status == (names[i].good ? QUERY_OK : QUERY_ERROR), "name %zu", i);
        ck_assert_int_eq(parsed.has_question, names[i].good);
    }
}
END_TEST

START_TEST(class)
{
    static const uint16_t classes[] = {0,        CLASS_IN,   2,         CLASS_CH,
                                       CLASS_HS, CLASS_NONE, CLASS_ANY, 65535};
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        struct ask ask = ask_for_class("example.", RRTYPE_A, classes[i]);
        expect_ok(&ask);
        ck_assert_uint_eq(parsed.qclass, classes[i]);
    }
}
END_TEST

START_TEST(type_numbers)
{
    for (unsigned type = 0; type < 65536; type += type < 300 || type >= 65500 ? 1 : 97) {
        struct ask ask = ask_for("example.", (uint16_t)type);
        enum query_status status = query_parse(ask.data, ask.size, &parsed);
        uint16_t rcode = RCODE_NOERROR;
        int ede = EDE_NONE;
        if (type == 0 || type == RRTYPE_OPT || type == RRTYPE_TSIG || type == RRTYPE_NXNAME) {
            rcode = RCODE_FORMERR;
            ede = type == RRTYPE_NXNAME ? EDE_INVALID_QUERY_TYPE : EDE_NONE;
        } else if (type >= 128 && type < RRTYPE_IXFR) {
            rcode = RCODE_NOTIMP;
            ede = EDE_NOT_SUPPORTED;
        } else if (type == RRTYPE_MAILA || type == RRTYPE_MAILB) {
            rcode = RCODE_NOTIMP;
            ede = EDE_NOT_SUPPORTED;
        }
        if (status != (rcode == RCODE_NOERROR ? QUERY_OK : QUERY_ERROR) || parsed.rcode != rcode ||
            parsed.ede != ede || parsed.qtype != type || !parsed.has_question) {
            ck_abort_msg("type %u: status %d, RCODE %u, EDE %d", type, (int)status, parsed.rcode,
                         parsed.ede);
        }
    }
}
END_TEST

/* --- EDNS --- */

START_TEST(edns)
{
    static const uint16_t sizes[][2] = {{0, 512},   {511, 512},   {512, 512},
                                        {513, 513}, {1232, 1232}, {65535, 65535}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct ask ask = ask_for("example.", RRTYPE_A);
        ask_opt(&ask, sizes[i][0], EDNS_DO);
        expect_ok(&ask);
        ck_assert(parsed.has_edns);
        ck_assert_uint_eq(parsed.edns_size, sizes[i][1]);
        ck_assert_uint_eq(parsed.edns_flags, EDNS_DO);
    }
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 512, EDNS_CO | 1);
    expect_ok(&ask);
    ck_assert_uint_eq(parsed.edns_flags, EDNS_CO | 1);
    /* It need not be the first. */
    ask = ask_for("example.", RRTYPE_A);
    ask_record(&ask, ASK_ADDITIONAL, names_wire("a.b."), RRTYPE_TXT, CLASS_IN, 0, "\1x", 2);
    ask_opt(&ask, 777, 0);
    ask_record(&ask, ASK_ADDITIONAL, names_wire("."), RRTYPE_TXT, CLASS_IN, 0, "\1x", 2);
    expect_ok(&ask);
    ck_assert_uint_eq(parsed.edns_size, 777);
}
END_TEST

START_TEST(edns_version)
{
    static const uint8_t versions[] = {1, 2, 255};
    for (size_t i = 0; i < 3; i++) {
        struct ask ask = ask_for("example.", RRTYPE_A);
        ask_opt_version(&ask, 1232, versions[i], EDNS_DO);
        ask_option(&ask, EDNS_NSID, NULL, 0);
        ask_option_octets(&ask, "\0", 1); /* what a later version may mean by it is unknown */
        expect_error(&ask, RCODE_BADVERS, EDE_NONE, true, true);
        ck_assert_uint_eq(parsed.edns_flags, EDNS_DO);
        ck_assert(!parsed.nsid);
        ask_octets(&ask, "", 1);
        expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
    }
    struct ask ask = ask_for("example.", 0);
    ask_opt_version(&ask, 1232, 1, 0);
    expect_error(&ask, RCODE_BADVERS, EDE_NONE, true, true);
}
END_TEST

START_TEST(edns_twice)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_opt(&ask, 1232, 0);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
    ask = ask_for("example.", RRTYPE_A);
    ask_opt_version(&ask, 1232, 1, 0);
    ask_opt_version(&ask, 1232, 1, 0);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
}
END_TEST

START_TEST(edns_owner)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_record(&ask, ASK_ADDITIONAL, names_wire("a."), RRTYPE_OPT, 1232, 0, NULL, 0);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, false);
    ask = ask_for("example.", RRTYPE_A);
    ask_octets(&ask, "\xc0\x14\0\x29\4\xd0\0\0\0\0\0\0", 12); /* a pointer to the root's octet */
    ask_count(&ask, ASK_ADDITIONAL, 1);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, false);
}
END_TEST

START_TEST(edns_options)
{
    static const uint8_t cookie[40] = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_option(&ask, 65001, "anything", 8);
    ask_option(&ask, EDNS_NSID, NULL, 0);
    ask_option(&ask, EDNS_KEEPALIVE, NULL, 0);
    ask_option(&ask, EDNS_COOKIE, cookie, 24);
    ask_option(&ask, EDNS_COOKIE, cookie + 8, 8);
    ask_option(&ask, EDNS_PADDING, cookie, 40);
    ask_option(&ask, 0, NULL, 0);
    expect_ok(&ask);
    ck_assert(parsed.nsid && parsed.keepalive);
    ck_assert_uint_eq(parsed.cookie_size, 24);
    ck_assert_mem_eq(parsed.cookie, cookie, 24);
}
END_TEST

START_TEST(edns_options_broken)
{
    static const uint8_t zeros[64];
    for (size_t size = 0; size <= 60; size++) {
        struct ask ask = ask_for("example.", RRTYPE_A);
        ask_opt(&ask, 1232, 0);
        ask_option(&ask, EDNS_COOKIE, zeros, size);
        if (size == 8 || (size >= 16 && size <= 40)) {
            expect_ok(&ask);
            ck_assert_uint_eq(parsed.cookie_size, size);
        } else {
            expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
        }
    }
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_option(&ask, EDNS_COOKIE, zeros, 8);
    ask_option(&ask, EDNS_COOKIE, zeros, 9);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
    ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_option(&ask, EDNS_KEEPALIVE, zeros, 2);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
    for (size_t size = 1; size < 4; size++) { /* half an option's head */
        ask = ask_for("example.", RRTYPE_A);
        ask_opt(&ask, 1232, 0);
        ask_option_octets(&ask, zeros, size);
        expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
    }
    ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_option_octets(&ask, "\xff\xff\0\5abcd", 8); /* longer than the OPT */
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
}
END_TEST

START_TEST(additional_broken)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_count(&ask, ASK_ADDITIONAL, 2);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
    ask_count(&ask, ASK_ADDITIONAL, 65535);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, true);
    ask_count(&ask, ASK_ADDITIONAL, 0);
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, false);
    ask_count(&ask, ASK_ADDITIONAL, 1);
    expect_ok(&ask);
    size_t whole = ask.size;
    for (ask.size = 12 + 9 + 4; ask.size < whole; ask.size++) {
        expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, false);
    }
    ask.size = whole;
    ask.data[ask.opt + 1] = 1; /* RDLENGTH past the end */
    expect_error(&ask, RCODE_FORMERR, EDE_NONE, true, false);
    static const char *const owners[] = {"\x40",
                                         "\x80"
                                         "a",
                                         "\xbf",
                                         "\x3f"
                                         "abc"};
    for (size_t i = 0; i < 4; i++) {
        ask = ask_for("example.", RRTYPE_A);
        ask_octets(&ask, owners[i], strlen(owners[i]));
        ask_octets(&ask, "\0\0\1\0\1\0\0\0\0\0\0", 11);
        ask_count(&ask, ASK_ADDITIONAL, 1);
        expect_formerr(&ask, true);
    }
    /* Owners of records that mean nothing here may be compressed. */
    ask = ask_for("example.", RRTYPE_A);
    ask_octets(&ask, "\1x\xc0\x0c\0\1\0\1\0\0\0\0\0\4abcd", 18);
    ask_count(&ask, ASK_ADDITIONAL, 1);
    expect_ok(&ask);
}
END_TEST

/* --- TSIG --- */

START_TEST(tsig)
{
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_opt(&ask, 1232, 0);
    ask_tsig(&ask, "Key.example.");
    expect_error(&ask, RCODE_NOTAUTH, EDE_NONE, true, true);
    ck_assert_int_eq(names_compare(parsed.tsig_name, names_wire("key.example.")), 0);
    ck_assert_int_eq(names_compare(parsed.tsig_rdata, names_wire("hmac-sha256.")), 0);
    size_t size = ask.size;
    ask_octets(&ask, "", 1);
    expect_formerr(&ask, true);
    ask.size = size;
    ask_record(&ask, ASK_ADDITIONAL, names_wire("."), RRTYPE_A, CLASS_IN, 0, "abcd", 4);
    expect_formerr(&ask, true); /* it must be the last */
    ask = ask_for("example.", RRTYPE_A);
    ask_tsig(&ask, "a.");
    ask_tsig(&ask, "a.");
    expect_formerr(&ask, true);
}
END_TEST

START_TEST(tsig_broken)
{
    static const uint8_t rdata[] = "\1a\0"
                                   "0123456789abcdef";
    for (size_t size = 0; size <= sizeof rdata - 1; size++) {
        struct ask ask = ask_for("example.", RRTYPE_A);
        ask_record(&ask, ASK_ADDITIONAL, names_wire("k."), RRTYPE_TSIG, CLASS_ANY, 0, rdata, size);
        if (size < sizeof rdata - 1) {
            expect_formerr(&ask, true);
        } else {
            expect_error(&ask, RCODE_NOTAUTH, EDE_NONE, true, false);
        }
    }
    struct ask ask = ask_for("example.", RRTYPE_A);
    ask_octets(&ask,
               "\xc0\x0c\0\xfa\0\xff\0\0\0\0\0\x13\1a\0"
               "0123456789abcdef",
               31);
    ask_count(&ask, ASK_ADDITIONAL, 1);
    expect_formerr(&ask, true);
    ask = ask_for("example.", RRTYPE_A);
    ask_record(&ask, ASK_ADDITIONAL, names_wire("k."), RRTYPE_TSIG, CLASS_ANY, 0,
               "\xc0\x0c"
               "0123456789abcdef",
               18);
    expect_formerr(&ask, true);
}
END_TEST

/* --- chance --- */

static void check_inside(const void *p, size_t size)
{
    const uint8_t *octets = p;
    if (p != NULL && (octets < parsed.message || size > parsed.size ||
                      octets > parsed.message + parsed.size - size)) {
        ck_abort_msg("points out of the message");
    }
}

/* Whatever was parsed, what the query says of itself is true. */
static void check_parsed(enum query_status status)
{
    if (status == QUERY_DROP) {
        return;
    }
    if (parsed.has_question) {
        check_inside(query_name(&parsed), (size_t)parsed.qname_size + 4);
        if (name_check(query_name(&parsed), parsed.qname_size) != parsed.qname_size ||
            names_labels(query_name(&parsed)) != parsed.labels) {
            ck_abort_msg("the name is none");
        }
    }
    check_inside(parsed.cookie, parsed.cookie_size);
    if (parsed.tsig_name != NULL) {
        check_inside(parsed.tsig_name, names_size(parsed.tsig_name));
        check_inside(parsed.tsig_rdata, names_size(parsed.tsig_rdata) + 16);
    }
    if ((status == QUERY_ERROR) != (parsed.rcode != RCODE_NOERROR) ||
        (status == QUERY_OK && !parsed.has_question) ||
        (status == QUERY_COOKIE && (parsed.has_question || parsed.cookie_size == 0)) ||
        (parsed.has_edns && parsed.edns_size < 512) ||
        (parsed.rcode == RCODE_BADVERS && !parsed.has_edns)) {
        ck_abort_msg("status %d and RCODE %u do not agree", (int)status, parsed.rcode);
    }
}

static struct ask random_ask(struct rng *rng)
{
    uint8_t name[NAME_MAX_OCTETS], data[64];
    names_random(rng, rng_once_in(rng, 2) ? NAMES_HOST : NAMES_OCTETS, names_wire("."), 4, name);
    rng_fill(rng, data, sizeof data);
    struct ask ask = ask_for_wire(name, (uint16_t)rng_below(rng, 260), CLASS_IN);
    if (rng_once_in(rng, 10)) {
        ask = ask_nothing();
    }
    if (rng_once_in(rng, 5)) {
        ask_record(&ask, ASK_ADDITIONAL, name, RRTYPE_TXT, CLASS_IN, 0, data, rng_below(rng, 64));
    }
    if (!rng_once_in(rng, 4)) {
        static const uint16_t codes[] = {EDNS_NSID, EDNS_COOKIE, EDNS_KEEPALIVE, EDNS_PADDING};
        ask_opt(&ask, (uint16_t)rng_next(rng), (uint16_t)rng_next(rng));
        for (unsigned n = rng_below(rng, 4); n > 0; n--) {
            ask_option(&ask, codes[rng_below(rng, 4)], data, rng_below(rng, 6) * 8);
        }
    }
    if (rng_once_in(rng, 8)) {
        ask_tsig(&ask, "k.example.");
    }
    return ask;
}

START_TEST(mutations)
{
    struct rng rng = rng_start();
    static const uint8_t edges[] = {0x00, 0x01, 0x0c, 0x3f, 0x40, 0xc0, 0xff};
    size_t seen[QUERY_COOKIE + 1] = {0};
    uint8_t *end = unit_guarded(ASK_MAX);
    for (unsigned round = 0; round < 100000 / UNIT_SLOWER; round++) {
        struct ask ask = random_ask(&rng);
        for (unsigned n = rng_below(&rng, 4); n > 0; n--) {
            size_t at = rng_below(&rng, (unsigned)ask.size);
            switch (rng_below(&rng, 4)) {
            case 0:
                ask.data[at] ^= (uint8_t)(1u << rng_below(&rng, 8));
                break;
            case 1:
                ask.data[at] = (uint8_t)rng_next(&rng);
                break;
            case 2:
                ask.data[at] = edges[rng_below(&rng, sizeof edges)];
                break;
            default:
                ask.size = at;
                break;
            }
            if (ask.size == 0) {
                break;
            }
        }
        uint8_t *message = end + ASK_MAX - ask.size;
        memcpy(message, ask.data, ask.size);
        memset(&parsed, 0xee, offsetof(struct query, key));
        enum query_status status = query_parse(message, ask.size, &parsed);
        check_parsed(status);
        seen[status]++;
    }
    for (size_t i = 0; i <= QUERY_COOKIE; i++) {
        ck_assert_uint_gt(seen[i], 100 / UNIT_SLOWER); /* chance gets everywhere */
    }
    unit_guarded_free(end, ASK_MAX);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("query");
    tcase_add_test(unit.tests, plain);
    tcase_add_test(unit.tests, too_short);
    tcase_add_test(unit.tests, responses);
    tcase_add_test(unit.tests, question_count);
    tcase_add_test(unit.tests, cookie_without_question);
    tcase_add_test(unit.tests, other_sections);
    tcase_add_test(unit.tests, trailing_octets);
    tcase_add_test(unit.tests, opcodes);
    tcase_add_test(unit.tests, question_names);
    tcase_add_test(unit.tests, question_name_too_long);
    tcase_add_test(unit.tests, class);
    tcase_add_test(unit.tests, type_numbers);
    tcase_add_test(unit.tests, edns);
    tcase_add_test(unit.tests, edns_version);
    tcase_add_test(unit.tests, edns_twice);
    tcase_add_test(unit.tests, edns_owner);
    tcase_add_test(unit.tests, edns_options);
    tcase_add_test(unit.tests, edns_options_broken);
    tcase_add_test(unit.tests, additional_broken);
    tcase_add_test(unit.tests, tsig);
    tcase_add_test(unit.tests, tsig_broken);
    tcase_add_test(unit.tests, mutations);
    return unit_end(&unit);
}

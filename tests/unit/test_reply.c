/*
 * What is made of replies: each rule by itself, cut at each octet, and those that ldns has made.
 * Every message stands at the end of memory: reading past it ends the test.
 */
#include "dns/reply.h"

#include <ldns/ldns.h>
#include <stdlib.h>

#include "names.h"
#include "reply_aid.h"
#include "unit.h"

static struct reply parsed;
static uint8_t *room; /* a message's end is the end of this */

enum { ROOM = 1 << 16 };

static bool parse_octets(const void *octets, size_t size)
{
    if (room == NULL) {
        room = unit_guarded(ROOM);
    }
    uint8_t *message = room + ROOM - size;
    memcpy(message, octets, size);
    memset(&parsed, 0xee, sizeof parsed);
    return reply_parse(message, size, &parsed);
}

static bool parse(const struct ask *reply)
{
    return parse_octets(reply->data, reply->size);
}

static void expect_counts(unsigned answer, unsigned authority, unsigned additional)
{
    ck_assert_uint_eq(parsed.counts[0], answer);
    ck_assert_uint_eq(parsed.counts[1], authority);
    ck_assert_uint_eq(parsed.counts[2], additional);
    ck_assert_uint_eq(parsed.records, answer + authority + additional);
}

/* The body's TTLs are these, as reply_ttls finds them. */
static void expect_ttls(size_t count, const uint32_t *ttls)
{
    static uint16_t offsets[REPLY_RECORDS_MAX];
    ck_assert_uint_eq(parsed.records, count);
    ck_assert(reply_ttls(&parsed, offsets));
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_le(offsets[i] + 4u, parsed.body_size);
        ck_assert_uint_eq(wire_get_u32(parsed.message + parsed.body + offsets[i]), ttls[i]);
    }
}

/* Everything: an address, an NS, its address, OPT, with all that an OPT can tell. */
static struct ask full(void)
{
    struct ask reply = reply_to("Www.example.", RRTYPE_A, RCODE_NOERROR);
    reply_a(&reply, 300, 1);
    reply_a(&reply, 200, 2);
    reply_add(&reply, ASK_AUTHORITY, "\xc0\x10", 2, RRTYPE_NS, 400, "\2ns\xc0\x10", 5);
    reply_add(&reply, ASK_ADDITIONAL, "\2ns\xc0\x10", 5, RRTYPE_AAAA, 100, "0123456789abcdef", 16);
    return reply;
}

START_TEST(plain)
{
    struct ask reply = full();
    size_t body_end = reply.size;
    ask_opt(&reply, 1232, EDNS_DO);
    ask_option(&reply, EDNS_COOKIE, "0123456789abcdef", 16);
    ask_option(&reply, EDNS_EDE, "\0\x17why", 5);
    ask_option(&reply, EDNS_EDE, "\0\x01", 2);
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.id, ASK_ID);
    ck_assert_uint_eq(parsed.flags, FLAG_QR | FLAG_RD | FLAG_RA);
    ck_assert_uint_eq(parsed.rcode, 0);
    ck_assert(parsed.has_question);
    ck_assert_uint_eq(parsed.qname_size, 13);
    ck_assert_uint_eq(parsed.qtype, RRTYPE_A);
    ck_assert_uint_eq(parsed.qclass, CLASS_IN);
    ck_assert_uint_eq(parsed.body, 12 + 13 + 4);
    ck_assert_uint_eq(parsed.body_size, body_end - parsed.body);
    expect_counts(2, 1, 1);
    expect_ttls(4, (uint32_t[]){300, 200, 400, 100});
    ck_assert_uint_eq(parsed.ttl, 100);
    ck_assert_int_eq(parsed.kind, REPLY_POSITIVE);
    ck_assert(parsed.has_edns);
    ck_assert_uint_eq(parsed.edns_size, 1232);
    ck_assert_uint_eq(parsed.edns_flags, EDNS_DO);
    ck_assert_uint_eq(parsed.cookie_size, 16);
    ck_assert_mem_eq(parsed.cookie, "0123456789abcdef", 16);
    ck_assert_int_eq(parsed.ede, 23);
}
END_TEST

START_TEST(headers)
{
    struct ask reply = reply_to("example.", RRTYPE_A, RCODE_REFUSED);
    for (size_t size = 0; size < reply.size; size++) {
        ck_assert(!parse_octets(reply.data, size));
    }
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.rcode, RCODE_REFUSED);
    ck_assert_uint_eq(parsed.ttl, UINT32_MAX);
    ck_assert_int_eq(parsed.ede, EDE_NONE);
    ck_assert_int_eq(parsed.kind, REPLY_POSITIVE);
    for (unsigned flags = 0; flags <= 0xffff; flags += 0x11) {
        ask_flags(&reply, (uint16_t)flags);
        ck_assert_int_eq(parse(&reply), (flags & FLAG_QR) != 0 && (flags & FLAG_OPCODE_MASK) == 0);
    }
    /* A header alone, as for FORMERR. */
    reply = ask_nothing();
    ask_flags(&reply, FLAG_QR | RCODE_FORMERR);
    ck_assert(parse(&reply));
    ck_assert(!parsed.has_question);
    ck_assert_uint_eq(parsed.rcode, RCODE_FORMERR);
    expect_counts(0, 0, 0);
}
END_TEST

START_TEST(questions)
{
    struct ask reply = reply_to("example.", RRTYPE_A, 0);
    ask_octets(&reply, "\xc0\x0c\0\1\0\1", 6);
    ck_assert(!parse(&reply)); /* octets behind the last record */
    ask_count(&reply, ASK_QUESTION, 2);
    ck_assert(!parse(&reply));
    reply = ask_nothing();
    ask_flags(&reply, FLAG_QR);
    ask_count(&reply, ASK_QUESTION, 1);
    struct ask compressed = reply, label = reply, longest = reply, longer = reply;
    ask_octets(&compressed, "\xc0\x0c\0\1\0\1", 6);
    ck_assert(!parse(&compressed));
    ask_octets(&label, "\x40", 1);
    for (size_t i = 0; i < 70; i++) {
        ask_octets(&label, "", 1);
    }
    ck_assert(!parse(&label));
    for (size_t i = 0; i < 127; i++) {
        ask_octets(&longest, "\1a", 2);
        ask_octets(&longer, "\1a", 2);
    }
    ask_octets(&longest, "\0\0\1\0\1", 5);
    ck_assert(parse(&longest));
    ck_assert_uint_eq(parsed.qname_size, 255);
    ask_octets(&longer, "\1a\0\0\1\0\1", 7);
    ck_assert(!parse(&longer));
}
END_TEST

/* Without TC no beginning of a reply is one; with TC any is, and what is whole of it counts. */
START_TEST(cut_anywhere)
{
    struct ask reply = full();
    ask_opt(&reply, 1232, 0);
    ask_option(&reply, EDNS_EDE, "\0\x03", 2);
    ck_assert(parse(&reply));
    size_t question = parsed.body;
    size_t ends[] = {question,           question + 16,           question + 32,
                     question + 32 + 17, question + 32 + 17 + 31, reply.size};
    for (size_t size = 12; size < reply.size; size++) {
        ask_flags(&reply, FLAG_QR);
        ck_assert(!parse_octets(reply.data, size));
        ask_flags(&reply, FLAG_QR | FLAG_TC);
        ck_assert(parse_octets(reply.data, size));
        size_t whole = 0;
        while (whole < 4 && size >= ends[whole + 1]) {
            whole++;
        }
        ck_assert_uint_eq(parsed.records, whole);
        ck_assert_uint_eq(parsed.body_size, size < question ? 0 : ends[whole] - question);
        ck_assert_int_eq(parsed.has_question, size >= question);
        ck_assert(!parsed.has_edns);
        expect_ttls(whole, (uint32_t[]){300, 200, 400, 100});
    }
}
END_TEST

START_TEST(behind_the_end)
{
    struct ask reply = full();
    ask_octets(&reply, "", 1);
    ck_assert(!parse(&reply));
    ask_flags(&reply, FLAG_QR | FLAG_TC);
    ck_assert(!parse(&reply));
}
END_TEST

START_TEST(opt_in_the_middle)
{
    struct ask reply = full();
    size_t end = reply.size;
    ask_opt(&reply, 100, 0);
    reply_add(&reply, ASK_ADDITIONAL, "\xc0\x0c", 2, RRTYPE_A, 7, "1234", 4);
    ck_assert(parse(&reply));
    expect_counts(2, 1, 1); /* what is behind it is left out */
    ck_assert_uint_eq(parsed.body_size, end - parsed.body);
    ck_assert_uint_eq(parsed.ttl, 100);
    ck_assert_uint_eq(parsed.edns_size, 512);
    struct ask broken = reply;
    broken.size--;
    ck_assert(!parse(&broken)); /* but it must be whole */
    ask_opt(&reply, 100, 0);
    ck_assert(!parse(&reply)); /* one is enough */
}
END_TEST

START_TEST(opt_places)
{
    for (unsigned section = ASK_ANSWER; section <= ASK_ADDITIONAL; section++) {
        struct ask reply = reply_to("example.", RRTYPE_A, 0);
        reply_add(&reply, section, "", 1, RRTYPE_OPT, 0, NULL, 0);
        ck_assert_int_eq(parse(&reply), section == ASK_ADDITIONAL);
        reply = reply_to("example.", RRTYPE_A, 0);
        reply_add(&reply, section, "\xc0\x0c", 2, RRTYPE_OPT, 0, NULL, 0);
        ck_assert(!parse(&reply));
        reply = reply_to("example.", RRTYPE_A, 0);
        reply_add(&reply, section, "\xc0\x14", 2, RRTYPE_OPT, 0, NULL, 0); /* the root, but far */
        ck_assert(!parse(&reply));
    }
}
END_TEST

START_TEST(rcodes)
{
    struct ask reply = reply_to("example.", RRTYPE_A, 7);
    reply_add(&reply, ASK_ADDITIONAL, "", 1, RRTYPE_OPT, 0x01000000, NULL, 0);
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.rcode, RCODE_BADCOOKIE);
    /* Options of another version than 0 may be anything. */
    reply = reply_to("example.", RRTYPE_A, 0);
    reply_add(&reply, ASK_ADDITIONAL, "", 1, RRTYPE_OPT, 0x01010000, "\0", 1);
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.rcode, RCODE_BADVERS);
}
END_TEST

static bool parse_option(uint16_t code, size_t size)
{
    uint8_t data[64] = {0};
    struct ask reply = reply_to("example.", RRTYPE_A, 0);
    ask_opt(&reply, 512, 0);
    ask_option(&reply, code, data, size);
    return parse(&reply);
}

START_TEST(options)
{
    for (size_t size = 0; size < 64; size++) {
        bool good = size == 8 || (size >= 16 && size <= 40);
        ck_assert_int_eq(parse_option(EDNS_COOKIE, size), good);
        ck_assert(!good || parsed.cookie_size == size);
        ck_assert_int_eq(parse_option(EDNS_EDE, size), size >= 2);
        ck_assert(parse_option(EDNS_PADDING, size));
    }
    for (size_t size = 1; size < 7; size++) {
        struct ask reply = reply_to("example.", RRTYPE_A, 0);
        ask_opt(&reply, 512, 0);
        ask_option_octets(&reply, "\0\x0c\0\4\1\2\3", size); /* one octet short at most */
        ck_assert(!parse(&reply));
    }
}
END_TEST

/* An address at a name that is these octets, behind `before` octets of a TXT's RDATA. */
static bool parse_owner(const void *before, size_t before_size, const void *owner, size_t size)
{
    struct ask reply = reply_to("www.example.", RRTYPE_A, 0); /* the TXT's RDATA is at 41 */
    reply_add(&reply, ASK_ANSWER, "\xc0\x0c", 2, RRTYPE_TXT, 1, before, before_size);
    reply_add(&reply, ASK_ANSWER, owner, size, RRTYPE_A, 1, "1234", 4);
    return parse(&reply);
}

START_TEST(compressed_owners)
{
    ck_assert(parse_owner("", 0, "\xc0\x0c", 2));
    ck_assert(parse_owner("", 0, "\xc0\x10", 2));
    ck_assert(parse_owner("", 0, "\1a\xc0\x10", 4));
    ck_assert(parse_owner("", 0, "\xc0\x18", 2));  /* the root's octet of the question */
    ck_assert(!parse_owner("", 0, "\xc0\x00", 2)); /* into the header */
    ck_assert(!parse_owner("", 0, "\xc0\x0b", 2));
    ck_assert(!parse_owner("", 0, "\xc0\x29", 2));    /* itself */
    ck_assert(!parse_owner("", 0, "\1a\xc0\x29", 4)); /* its own beginning */
    ck_assert(!parse_owner("", 0, "\1a\xc0\x2b", 4));
    ck_assert(!parse_owner("", 0, "\xc0\x2a", 2)); /* forward */
    ck_assert(!parse_owner("", 0, "\xff\xff", 2));
    ck_assert(!parse_owner("", 0, "\x80\x0c", 2)); /* no such kind of label */
    ck_assert(!parse_owner("", 0, "\x40\x0c", 2));
    ck_assert(parse_owner("\1b\xc0\x10", 4, "\1a\xc0\x29", 4));
    ck_assert(!parse_owner("\xc0\x2b\xc0\x29", 4, "\xc0\x2b", 2)); /* a loop of two */
    ck_assert(!parse_owner("\xc0\x29", 2, "\xc0\x29", 2));
    ck_assert(!parse_owner("\1b\xc0\x29", 4, "\xc0\x29", 2));
    ck_assert(!parse_owner("\x40", 1, "\xc0\x29", 2));
    ck_assert(parse_owner("\2ab", 4, "\xc0\x29", 2));
    ck_assert(!parse_owner("\7ab", 3, "\xc0\x29", 2)); /* over the pointer to a zero */
    ck_assert(!parse_owner("\1b\x80\x0c", 4, "\xc0\x29", 2));
}
END_TEST

START_TEST(pointers_without_end)
{
    for (unsigned pointers = 1; pointers < 200; pointers++) {
        uint8_t chain[400];
        wire_put_u16(chain, 0xc00c);
        for (unsigned i = 1; i < pointers; i++) {
            wire_put_u16(chain + 2 * i, (uint16_t)(0xc000 + 41 + 2 * (i - 1)));
        }
        uint8_t owner[2];
        wire_put_u16(owner, (uint16_t)(0xc000 + 41 + 2 * (pointers - 1)));
        ck_assert_int_eq(parse_owner(chain, (size_t)2 * pointers, owner, 2), pointers < 128);
    }
}
END_TEST

START_TEST(long_names)
{
    /* www.example. has 13 octets, so 242 before it make the longest name. */
    uint8_t owner[300];
    for (size_t labels = 115; labels < 130; labels++) {
        for (size_t i = 0; i < labels; i++) {
            memcpy(owner + 2 * i, "\1a", 2);
        }
        memcpy(owner + 2 * labels, "\xc0\x0c", 2);
        ck_assert_int_eq(parse_owner("", 0, owner, 2 * labels + 2), labels <= 121);
        /* The same in two steps. */
        ck_assert_int_eq(parse_owner(owner + 2, 2 * labels, "\1a\xc0\x29", 4), labels <= 121);
        owner[2 * labels] = 0;
        ck_assert_int_eq(parse_owner("", 0, owner, 2 * labels + 1), labels <= 127);
    }
}
END_TEST

static bool parse_rdata(uint16_t type, const void *rdata, size_t size)
{
    struct ask reply = reply_to("www.example.", type, 0);
    reply_add(&reply, ASK_ANSWER, "\xc0\x0c", 2, type, 1, rdata, size);
    return parse(&reply);
}

START_TEST(names_in_rdata)
{
    ck_assert(parse_rdata(RRTYPE_CNAME, "\1a\xc0\x0c", 4));
    ck_assert(!parse_rdata(RRTYPE_CNAME, "", 0));
    ck_assert(!parse_rdata(RRTYPE_CNAME, "\1a\xc0", 3));
    ck_assert(!parse_rdata(RRTYPE_CNAME, "\1a", 2));
    ck_assert(!parse_rdata(RRTYPE_NS, "\1a\xc0\x29", 4)); /* itself */
    ck_assert(!parse_rdata(RRTYPE_PTR, "\0\0", 2));
    ck_assert(parse_rdata(RRTYPE_MX, "\0\1\0", 3));
    ck_assert(!parse_rdata(RRTYPE_MX, "\0", 1));
    ck_assert(!parse_rdata(RRTYPE_MX, "\0\1", 2));
    ck_assert(parse_rdata(RRTYPE_SOA, "\xc0\x0c\xc0\x0c 1234 1234 1234 1234", 24));
    ck_assert(!parse_rdata(RRTYPE_SOA, "\xc0\x0c\xc0\x0c 1234 1234 1234 1234", 23));
    ck_assert(!parse_rdata(RRTYPE_SOA, "\xc0\x0c\xc0\x0c 1234 1234 1234 1234 ", 25));
    ck_assert(!parse_rdata(RRTYPE_SOA, "\xc0\x0c\xc0\xff 1234 1234 1234 1234", 24));
    ck_assert(parse_rdata(RRTYPE_TXT, "\xc0\xff", 2)); /* not ours to judge */
}
END_TEST

START_TEST(kinds)
{
    struct ask reply = reply_to("example.", RRTYPE_A, 0);
    ck_assert(parse(&reply)); /* nothing at all */
    ck_assert_int_eq(parsed.kind, REPLY_NODATA);
    ck_assert(!parsed.has_soa);
    struct ask alias = reply;
    reply_soa(&reply, 100, 50);
    ck_assert(parse(&reply));
    ck_assert_int_eq(parsed.kind, REPLY_NODATA);
    ck_assert(parsed.has_soa);
    ck_assert_uint_eq(parsed.negative_ttl, 50);
    ask_flags(&reply, FLAG_QR | RCODE_NXDOMAIN);
    ck_assert(parse(&reply));
    ck_assert_int_eq(parsed.kind, REPLY_NXDOMAIN);
    ask_flags(&reply, FLAG_QR | RCODE_SERVFAIL);
    ck_assert(parse(&reply));
    ck_assert_int_eq(parsed.kind, REPLY_POSITIVE);

    reply_add(&alias, ASK_ANSWER, "\xc0\x0c", 2, RRTYPE_CNAME, 10, "\1a\0", 3);
    ck_assert(parse(&alias)); /* its end is elsewhere */
    ck_assert_int_eq(parsed.kind, REPLY_POSITIVE);
    struct ask denied = alias, missing = alias;
    reply_soa(&denied, 100, 200);
    ck_assert(parse(&denied));
    ck_assert_int_eq(parsed.kind, REPLY_NODATA);
    ck_assert_uint_eq(parsed.negative_ttl, 100);
    ck_assert_uint_eq(parsed.ttl, 10);
    ask_flags(&missing, FLAG_QR | RCODE_NXDOMAIN);
    ck_assert(parse(&missing));
    ck_assert_int_eq(parsed.kind, REPLY_NXDOMAIN);
    ck_assert(!parsed.has_soa);
    reply_add(&alias, ASK_ANSWER, "\1a", 3, RRTYPE_A, 10, "1234", 4);
    reply_soa(&alias, 100, 200);
    ck_assert(parse(&alias));
    ck_assert_int_eq(parsed.kind, REPLY_POSITIVE);

    reply = reply_to("example.", RRTYPE_ANY, 0);
    reply_a(&reply, 1, 1);
    reply_soa(&reply, 100, 50);
    ck_assert(parse(&reply));
    ck_assert_int_eq(parsed.kind, REPLY_POSITIVE);
    reply = reply_to("example.", RRTYPE_A, 0); /* a referral */
    reply_add(&reply, ASK_AUTHORITY, "", 1, RRTYPE_NS, 10, "\1a\0", 3);
    ck_assert(parse(&reply));
    ck_assert_int_eq(parsed.kind, REPLY_NODATA);
    ck_assert(!parsed.has_soa);
}
END_TEST

START_TEST(ttls)
{
    struct ask reply = reply_to("example.", RRTYPE_A, 0);
    reply_a(&reply, 0x7fffffff, 1);
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.ttl, 0x7fffffff);
    reply_a(&reply, 0x80000000, 2);
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.ttl, 0);
    reply = reply_to("example.", RRTYPE_A, 0);
    reply_soa(&reply, 0xffffffff, 7);
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.negative_ttl, 0);
    reply = reply_to("example.", RRTYPE_A, 0);
    reply_soa(&reply, 7, 0xffffffff);
    ck_assert(parse(&reply));
    ck_assert_uint_eq(parsed.negative_ttl, 0);
}
END_TEST

/* As many records as places are told of, and one more. */
START_TEST(many_records)
{
    static uint8_t message[12 + 5 + (REPLY_RECORDS_MAX + 1) * 11];
    static uint16_t offsets[REPLY_RECORDS_MAX];
    size_t size = 12;
    wire_put_u16(message + 2, FLAG_QR);
    for (unsigned count = 1; count <= REPLY_RECORDS_MAX + 1; count++) {
        memcpy(message + size, "\0\0\1\0\1\0\0\0\1\0\0", 11);
        size += 11;
        wire_put_u16(message + 6, (uint16_t)count);
        if (count >= REPLY_RECORDS_MAX) {
            ck_assert(parse_octets(message, size));
            ck_assert_uint_eq(parsed.records, count);
            ck_assert_int_eq(reply_ttls(&parsed, offsets), count == REPLY_RECORDS_MAX);
        }
    }
    ck_assert_uint_eq(offsets[REPLY_RECORDS_MAX - 1], (REPLY_RECORDS_MAX - 1) * 11 + 5);
}
END_TEST

/* ---- ldns as the judge ---- */

static const char *const lines[] = {
    "www.example. %u IN A 192.0.2.1",
    "example. %u IN NS ns1.example.",
    "a.b.example. %u IN CNAME www.Example.",
    "example. %u IN SOA ns1.example. admin.example. 1 2 3 4 17",
    "example. %u IN MX 10 mail.example.",
    "example. %u IN TXT \"some text\" \"and more\"",
    "_s._tcp.example. %u IN SRV 1 2 3 www.example.",
    "www.example. %u IN AAAA 2001:db8::1",
    "1.2.0.192.in-addr.arpa. %u IN PTR www.example.",
    "example. %u IN RRSIG A 13 1 300 20300101000000 20200101000000 1 example. AAAA",
    "www.example. %u IN NSEC example. A RRSIG NSEC",
    "x.example. %u IN MINFO a.example. b.other.",
};

struct drawn {
    uint16_t counts[3];
    size_t records;
    uint32_t ttls[64];
    uint32_t ttl, negative;
    bool answers, has_soa, has_edns;
    uint16_t qtype, rcode;
};

static void add_drawn(struct rng *rng, ldns_pkt *packet, unsigned section, struct drawn *drawn)
{
    char text[200];
    uint32_t ttl = rng_once_in(rng, 8) ? (uint32_t)rng_next(rng) >> 1 : 1 + rng_below(rng, 1000);
    ldns_rr *rr = NULL;
    snprintf(text, sizeof text, lines[rng_below(rng, sizeof lines / sizeof *lines)], 1u);
    ck_assert_int_eq(ldns_rr_new_frm_str(&rr, text, 0, NULL, NULL), LDNS_STATUS_OK);
    ldns_rr_set_ttl(rr, ttl);
    if (section == 1 && ldns_rr_get_type(rr) == LDNS_RR_TYPE_SOA && !drawn->has_soa) {
        drawn->has_soa = true;
        drawn->negative = ttl < 17 ? ttl : 17;
    }
    drawn->answers |= section == 0 && ldns_rr_get_type(rr) == drawn->qtype;
    drawn->ttls[drawn->records++] = ttl;
    drawn->counts[section]++;
    drawn->ttl = ttl < drawn->ttl ? ttl : drawn->ttl;
    ck_assert(ldns_pkt_push_rr(packet, (ldns_pkt_section)(LDNS_SECTION_ANSWER + section), rr));
}

static uint8_t *draw(struct rng *rng, size_t *size, struct drawn *drawn)
{
    static const uint16_t types[] = {RRTYPE_A, RRTYPE_NS, RRTYPE_CNAME, RRTYPE_SOA, RRTYPE_TXT};
    *drawn = (struct drawn){.qtype = types[rng_below(rng, 5)], .ttl = UINT32_MAX};
    ldns_pkt *packet = ldns_pkt_query_new(ldns_dname_new_frm_str("www.example."),
                                          (ldns_rr_type)drawn->qtype, LDNS_RR_CLASS_IN, LDNS_RD);
    ldns_pkt_set_qr(packet, true);
    ldns_pkt_set_id(packet, 77);
    drawn->rcode = (uint16_t)rng_below(rng, 6);
    for (unsigned section = 0; section < 3; section++) {
        for (unsigned i = rng_below(rng, 6); i > 0; i--) {
            add_drawn(rng, packet, section, drawn);
        }
    }
    if (rng_once_in(rng, 2)) {
        drawn->has_edns = true;
        ldns_pkt_set_edns_udp_size(packet, 1232);
        ldns_pkt_set_edns_do(packet, true);
        uint8_t extended = (uint8_t)(rng_once_in(rng, 4) ? rng_below(rng, 256) : 0);
        ldns_pkt_set_edns_extended_rcode(packet, extended);
        drawn->rcode = (uint16_t)(drawn->rcode | extended << 4);
    }
    ldns_pkt_set_rcode(packet, drawn->rcode & 0xf);
    uint8_t *wire = NULL;
    ck_assert_int_eq(ldns_pkt2wire(&wire, packet, size), LDNS_STATUS_OK);
    ldns_pkt_free(packet);
    return wire;
}

static enum reply_kind kind_of(const struct drawn *drawn)
{
    if (drawn->rcode == RCODE_NXDOMAIN) {
        return REPLY_NXDOMAIN;
    }
    bool nothing = !drawn->answers && (drawn->has_soa || drawn->counts[0] == 0);
    return drawn->rcode == RCODE_NOERROR && nothing ? REPLY_NODATA : REPLY_POSITIVE;
}

START_TEST(made_by_ldns)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 20000 / UNIT_SLOWER; round++) {
        struct drawn drawn;
        size_t size;
        uint8_t *wire = draw(&rng, &size, &drawn);
        ck_assert(parse_octets(wire, size));
        ck_assert_uint_eq(parsed.id, 77);
        ck_assert_uint_eq(parsed.rcode, drawn.rcode);
        ck_assert_uint_eq(parsed.qtype, drawn.qtype);
        expect_counts(drawn.counts[0], drawn.counts[1], drawn.counts[2]);
        expect_ttls(drawn.records, drawn.ttls);
        ck_assert_uint_eq(parsed.ttl, drawn.ttl);
        ck_assert_int_eq(parsed.has_soa, drawn.has_soa);
        ck_assert_uint_eq(parsed.negative_ttl, drawn.negative);
        ck_assert_int_eq(parsed.has_edns, drawn.has_edns);
        ck_assert_int_eq(parsed.kind, kind_of(&drawn));
        ck_assert_uint_eq(parsed.body + parsed.body_size + (drawn.has_edns ? 11 : 0), size);
        LDNS_FREE(wire);
    }
}
END_TEST

/* What is broken by chance: where it is taken, ldns agrees on what is in it. */
START_TEST(mutations)
{
    struct rng rng = rng_start();
    unsigned taken = 0, refused = 0;
    for (unsigned round = 0; round < 20000 / UNIT_SLOWER; round++) {
        struct drawn drawn;
        size_t size;
        uint8_t *wire = draw(&rng, &size, &drawn);
        for (unsigned i = 1 + rng_below(&rng, 3); i > 0; i--) {
            wire[rng_below(&rng, (unsigned)size)] = (uint8_t)rng_next(&rng);
        }
        bool good = parse_octets(wire, size - (rng_once_in(&rng, 4) ? rng_below(&rng, 30) : 0));
        taken += good;
        refused += !good;
        ck_assert_uint_le(parsed.body + parsed.body_size, parsed.size);
        ldns_pkt *packet = NULL;
        if (good && (parsed.flags & FLAG_TC) == 0 &&
            ldns_wire2pkt(&packet, parsed.message, parsed.size) == LDNS_STATUS_OK) {
            ck_assert_uint_eq(parsed.counts[0], ldns_pkt_ancount(packet));
            ck_assert_uint_eq(parsed.counts[1], ldns_pkt_nscount(packet));
            ldns_pkt_free(packet);
        }
        LDNS_FREE(wire);
    }
    ck_assert_uint_gt(taken, 500 / UNIT_SLOWER);
    ck_assert_uint_gt(refused, 500 / UNIT_SLOWER);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("reply");
    tcase_add_test(unit.tests, plain);
    tcase_add_test(unit.tests, headers);
    tcase_add_test(unit.tests, questions);
    tcase_add_test(unit.tests, cut_anywhere);
    tcase_add_test(unit.tests, behind_the_end);
    tcase_add_test(unit.tests, opt_in_the_middle);
    tcase_add_test(unit.tests, opt_places);
    tcase_add_test(unit.tests, rcodes);
    tcase_add_test(unit.tests, options);
    tcase_add_test(unit.tests, compressed_owners);
    tcase_add_test(unit.tests, pointers_without_end);
    tcase_add_test(unit.tests, long_names);
    tcase_add_test(unit.tests, names_in_rdata);
    tcase_add_test(unit.tests, kinds);
    tcase_add_test(unit.tests, ttls);
    tcase_add_test(unit.tests, many_records);
    tcase_add_test(unit.tests, made_by_ldns);
    tcase_add_test(unit.tests, mutations);
    return unit_end(&unit);
}

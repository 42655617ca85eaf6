/*
 * The proxy's cache: each rule by itself.
 */
#include "proxy_cache_aid.h"

static bool put_a(const char *name, uint32_t ttl, uint32_t now)
{
    struct ask reply = reply_to(name, RRTYPE_A, RCODE_NOERROR);
    reply_a(&reply, ttl, 0x01020304);
    return put_reply(about(name, RRTYPE_A), &reply, now);
}

static bool put_failure(const char *name, uint32_t now)
{
    struct ask reply = reply_to(name, RRTYPE_A, RCODE_SERVFAIL);
    return put_reply(about(name, RRTYPE_A), &reply, now);
}

static enum proxy_cache_state find_a(const char *name, uint32_t now)
{
    return find_question(about(name, RRTYPE_A), now);
}

static uint32_t ttl_at(const char *name, uint32_t now)
{
    ck_assert_int_eq(find_a(name, now), PROXY_CACHE_FRESH);
    return first_ttl();
}

START_TEST(put_and_found)
{
    struct ask reply = reply_to("www.example.", RRTYPE_A, RCODE_NOERROR);
    ask_flags(&reply, FLAG_QR | FLAG_AA | FLAG_RA | FLAG_AD);
    reply_a(&reply, 300, 1);
    reply_a(&reply, 100, 2);
    reply_add(&reply, ASK_AUTHORITY, "\xc0\x10", 2, RRTYPE_NS, 400, "\2ns\xc0\x10", 5);
    for (unsigned i = 0; i < 4; i++) { /* more TTLs than a word tells of */
        reply_add(&reply, ASK_ADDITIONAL, "\2ns\xc0\x10", 5, RRTYPE_A, 500 + i, "1234", 4);
    }
    size_t end = reply.size;
    ask_opt(&reply, 1232, 0);
    ask_option(&reply, EDNS_EDE, "\0\x03", 2);
    ck_assert_int_eq(find_a("www.example.", NOW), PROXY_CACHE_NONE);
    ck_assert(put_reply(about("www.example.", RRTYPE_A), &reply, NOW));
    for (uint32_t age = 0; age < 100; age += 9) {
        ck_assert_int_eq(find_a("www.example.", NOW + age), PROXY_CACHE_FRESH);
        ck_assert_uint_eq(found.size, end - 29);
        ck_assert(found.fits);
        ck_assert_uint_eq(found.rcode, RCODE_NOERROR);
        ck_assert_uint_eq(found.flags, FLAG_AA | FLAG_AD);
        ck_assert_int_eq(found.ede, 3);
        ck_assert(found.counts[0] == 2 && found.counts[1] == 1 && found.counts[2] == 4);
        struct reply r;
        memcpy(reply.data + 29, body, found.size);
        ck_assert(reply_parse(reply.data, reply.size, &r));
        uint16_t offsets[REPLY_RECORDS_MAX];
        reply_ttls(&r, offsets);
        static const uint32_t ttls[] = {300, 100, 400, 500, 501, 502, 503};
        for (unsigned i = 0; i < 7; i++) {
            ck_assert_uint_eq(wire_get_u32(body + offsets[i]), ttls[i] - age);
            wire_put_u32(reply.data + 29 + offsets[i], ttls[i]);
        }
    }
    /* Another worker's clock may be a little behind. */
    ck_assert_uint_eq(ttl_at("www.example.", NOW - 1), 300);
    ck_assert_int_eq(find_a("www.example.", NOW + 99), PROXY_CACHE_FRESH);
    ck_assert_int_eq(find_a("www.example.", NOW + 100), PROXY_CACHE_STALE);
}
END_TEST

START_TEST(case_is_ignored)
{
    ck_assert(put_a("wWw.eXample.", 300, NOW));
    ck_assert_int_eq(find_a("WWW.example.", NOW), PROXY_CACHE_FRESH);
}
END_TEST

START_TEST(questions_apart)
{
    struct asked asked;
    const uint8_t *name = names_wire("www.example.");
    unsigned kept = 0;
    for (unsigned flags = 0; flags < 8; flags++) {
        for (uint32_t group = 0; group < 3; group++) {
            for (uint16_t type = 1; type < 3; type++, kept++) {
                struct ask reply = reply_to("www.example.", type, RCODE_NOERROR);
                reply_add(&reply, ASK_ANSWER, "\xc0\x0c", 2, type, 100 + kept, "\0", 1);
                const struct proxy_question *question =
                    question_of(&asked, name, type, (uint8_t)flags, group);
                ck_assert_int_eq(find_question(question, NOW), PROXY_CACHE_NONE);
                ck_assert(put_reply(question, &reply, NOW));
                ck_assert_int_eq(find_question(question, NOW), PROXY_CACHE_FRESH);
                ck_assert_uint_eq(first_ttl(), 100 + kept);
            }
        }
    }
    ck_assert_int_eq(find_a("ww.example.", NOW), PROXY_CACHE_NONE);
    ck_assert_int_eq(find_a("example.", NOW), PROXY_CACHE_NONE);
}
END_TEST

/* Names of all lengths, which fill words of keys to all degrees; in the second round with one hash
 * for all, so that they are told apart by what they are alone. */
START_TEST(names_of_all_lengths)
{
    struct asked asked;
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < (round == 0 ? 254 : 40); i++) {
            uint8_t name[NAME_MAX_OCTETS] = {0};
            memset(name, i % 3 != 0 ? 'x' : 200, i); /* of one symbol, or of two */
            for (unsigned at = 0; at < i; at += 51) {
                name[at] = (uint8_t)(i - at - 1 < 50 ? i - at - 1 : 50);
            }
            if (i % 51 == 1) { /* a label without anything in it */
                continue;
            }
            struct proxy_question question = *question_of(&asked, name, RRTYPE_A, 0, 0);
            question.hash = round == 0 ? question.hash : 7;
            struct ask reply = reply_to("x.", RRTYPE_A, RCODE_NOERROR);
            reply_a(&reply, 300, i);
            ck_assert_int_eq(find_question(&question, NOW), PROXY_CACHE_NONE);
            ck_assert(put_reply(&question, &reply, NOW));
            ck_assert_int_eq(find_question(&question, NOW), PROXY_CACHE_FRESH);
            ck_assert_uint_eq(wire_get_u32(body + 12), i);
        }
    }
}
END_TEST

START_TEST(room)
{
    ck_assert(put_a("www.example.", 300, NOW)); /* 16 octets */
    for (size_t size = 0; size <= 32; size++) {
        uint8_t *out = unit_guarded(size);
        ck_assert_int_eq(proxy_cache_find(cache, about("www.example.", RRTYPE_A), &times, NOW + 1,
                                          out, size, &found),
                         PROXY_CACHE_FRESH);
        ck_assert_int_eq(found.fits, size >= 16);
        ck_assert_uint_eq(found.size, 16);
        ck_assert(size < 16 || memcmp(out, "\xc0\x0c\0\1\0\1\0\0\1\x2b\0\4\1\2\3\4", 16) == 0);
        unit_guarded_free(out, size);
    }
}
END_TEST

START_TEST(clamps)
{
    times.ttl_min = 60;
    times.ttl_max = 600;
    ck_assert(put_a("short.", 0, NOW));
    ck_assert_uint_eq(ttl_at("short.", NOW), 60);
    ck_assert_uint_eq(ttl_at("short.", NOW + 59), 1);
    ck_assert_int_eq(find_a("short.", NOW + 60), PROXY_CACHE_STALE);
    ck_assert(put_a("long.", 700, NOW));
    ck_assert_uint_eq(ttl_at("long.", NOW + 10), 590);
    ck_assert(put_a("absurd.", 0x80000000, NOW)); /* counts as 0 */
    ck_assert_uint_eq(ttl_at("absurd.", NOW), 60);
    times = usual;
    times.ttl_max = UINT32_MAX;
    ck_assert(put_a("ages.", 0x7fffffff, NOW));
    ck_assert_uint_ge(ttl_at("ages.", NOW), 86400 * 365);
    ck_assert(!put_a("never.", 0, NOW));
    ck_assert_int_eq(find_a("never.", NOW), PROXY_CACHE_NONE);
}
END_TEST

/* The TTLs that a reply's records are passed on with. */
START_TEST(clamps_what_is_passed_on)
{
    struct reply r;
    times.ttl_min = 60;
    times.ttl_max = 600;
    struct ask reply = reply_to("www.example.", RRTYPE_A, RCODE_NOERROR);
    reply_a(&reply, 5, 1);
    reply_a(&reply, 300, 2);
    reply_a(&reply, 5000, 3);
    ck_assert(reply_parse(reply.data, reply.size, &r));
    ck_assert_uint_eq(r.ttl_most, 5000);
    uint8_t copy[512];
    memcpy(copy, reply.data + r.body, r.body_size);
    proxy_cache_clamp(&r, &times, copy);
    ck_assert_uint_eq(wire_get_u32(copy + 6), 60);
    ck_assert_uint_eq(wire_get_u32(copy + 22), 300);
    ck_assert_uint_eq(wire_get_u32(copy + 38), 600);
    r.rcode = RCODE_SERVFAIL;
    memcpy(copy, reply.data + r.body, r.body_size);
    proxy_cache_clamp(&r, &times, copy);
    ck_assert_uint_eq(wire_get_u32(copy + 6), 5);
    /* One that counts as 0 is not passed on as it is where nothing else is to be lowered. */
    times.ttl_min = 0;
    reply = reply_to("www.example.", RRTYPE_A, RCODE_NOERROR);
    reply_a(&reply, UINT32_MAX, 1);
    reply_a(&reply, 300, 2);
    ck_assert(reply_parse(reply.data, reply.size, &r));
    memcpy(copy, reply.data + r.body, r.body_size);
    proxy_cache_clamp(&r, &times, copy);
    ck_assert_uint_eq(wire_get_u32(copy + 6), 0);
    ck_assert_uint_eq(wire_get_u32(copy + 22), 300);
}
END_TEST

/* What may not be kept, or is too large, ends what was there nonetheless. */
START_TEST(ends_the_one_before)
{
    ck_assert(put_a("www.example.", 300, NOW));
    ck_assert(!put_a("www.example.", 0, NOW));
    ck_assert_int_eq(find_a("www.example.", NOW), PROXY_CACHE_NONE);
    ck_assert(put_a("www.example.", 300, NOW));
    struct ask reply = reply_to("www.example.", RRTYPE_A, RCODE_NOERROR);
    static uint8_t much[2011];
    reply_a(&reply, 300, 1);
    reply_add(&reply, ASK_ADDITIONAL, "", 1, RRTYPE_TXT, 10, much, sizeof much);
    ck_assert(put_reply(about("www.example.", RRTYPE_A), &reply, NOW));
    reply_add(&reply, ASK_ADDITIONAL, "", 1, RRTYPE_TXT, 10, much, sizeof much);
    ck_assert(!put_reply(about("www.example.", RRTYPE_A), &reply, NOW));
    ck_assert_int_eq(find_a("www.example.", NOW), PROXY_CACHE_NONE);
    struct proxy_cache_figures figures;
    proxy_cache_figures(cache, &figures);
    ck_assert_uint_eq(figures.entries, 0);
    ck_assert_uint_eq(figures.used, 0);
}
END_TEST

static bool put_negative(const char *name, uint16_t rcode, uint32_t ttl, uint32_t minimum)
{
    struct ask reply = reply_to(name, RRTYPE_A, rcode);
    reply_soa(&reply, ttl, minimum);
    return put_reply(about(name, RRTYPE_A), &reply, NOW);
}

START_TEST(negative)
{
    ck_assert(put_negative("a.", RCODE_NXDOMAIN, 500, 100));
    ck_assert_uint_eq(ttl_at("a.", NOW), 100); /* also what clients go by */
    ck_assert_uint_eq(found.rcode, RCODE_NXDOMAIN);
    ck_assert_uint_eq(ttl_at("a.", NOW + 99), 1);
    ck_assert_int_eq(find_a("a.", NOW + 100), PROXY_CACHE_STALE);
    ck_assert(put_negative("b.", RCODE_NOERROR, 100, 500));
    ck_assert_uint_eq(ttl_at("b.", NOW), 100);
    ck_assert(put_negative("c.", RCODE_NOERROR, 10000, 10000));
    ck_assert_uint_eq(ttl_at("c.", NOW), 3600);
    ck_assert(!put_negative("d.", RCODE_NXDOMAIN, 10000, 0));
    times.ttl_min = 60;
    ck_assert(put_negative("d.", RCODE_NXDOMAIN, 10000, 0));
    ck_assert_uint_eq(ttl_at("d.", NOW), 60);
    times.negative_ttl_max = 0;
    ck_assert(!put_negative("d.", RCODE_NXDOMAIN, 10000, 1000));
    times = usual;

    struct ask reply = reply_to("e.", RRTYPE_A, RCODE_NXDOMAIN); /* without SOA */
    ck_assert(!put_reply(about("e.", RRTYPE_A), &reply, NOW));
    reply = reply_to("e.", RRTYPE_A, RCODE_NOERROR);
    ck_assert(!put_reply(about("e.", RRTYPE_A), &reply, NOW));
    reply_add(&reply, ASK_AUTHORITY, "", 1, RRTYPE_NS, 10, "\1a\0", 3); /* a referral */
    ck_assert(!put_reply(about("e.", RRTYPE_A), &reply, NOW));
    reply = reply_to("e.", RRTYPE_A, RCODE_NOERROR); /* as long as the chain to it */
    reply_add(&reply, ASK_ANSWER, "\xc0\x0c", 2, RRTYPE_CNAME, 10, "\1a\0", 3);
    reply_soa(&reply, 100, 100);
    ck_assert(put_reply(about("e.", RRTYPE_A), &reply, NOW));
    ck_assert_int_eq(find_a("e.", NOW + 9), PROXY_CACHE_FRESH);
    ck_assert_int_eq(find_a("e.", NOW + 10), PROXY_CACHE_STALE);
}
END_TEST

START_TEST(stale)
{
    ck_assert(put_a("www.example.", 100, NOW));
    ck_assert_int_eq(find_a("www.example.", NOW + 99), PROXY_CACHE_FRESH);
    ck_assert_int_eq(find_a("www.example.", NOW + 100 + 3599), PROXY_CACHE_STALE);
    ck_assert_uint_eq(first_ttl(), PROXY_CACHE_STALE_TTL);
    ck_assert_int_eq(find_a("www.example.", NOW + 100 + 3600), PROXY_CACHE_NONE);
    times.stale = 0;
    ck_assert_int_eq(find_a("www.example.", NOW + 100), PROXY_CACHE_NONE);
    ck_assert_int_eq(find_a("www.example.", NOW + 99), PROXY_CACHE_FRESH);
}
END_TEST

static bool told(const char *name, uint32_t now)
{
    ck_assert_int_ne(find_a(name, now), PROXY_CACHE_NONE);
    return found.refresh;
}

/* Whether what failed to be fetched leaves an entry. */
static bool failed(const char *name, uint32_t now)
{
    return proxy_cache_failed(cache, about(name, RRTYPE_A), &times, now);
}

START_TEST(retried_unless_it_failed)
{
    ck_assert(put_a("www.example.", 100, NOW));
    ck_assert(!told("www.example.", NOW + 80));
    ck_assert(!failed("none.example.", NOW + 80));
    for (uint32_t now = NOW + 100; now < NOW + 1000; now += PROXY_CACHE_RETRY) {
        ck_assert(told("www.example.", now));
        ck_assert(told("www.example.", now)); /* who asks now joins who asks already */
        ck_assert(failed("www.example.", now));
        ck_assert(!told("www.example.", now));
        ck_assert(!told("www.example.", now + PROXY_CACHE_RETRY - 1));
    }
    ck_assert(put_a("www.example.", 100, NOW + 1000));
    ck_assert(!told("www.example.", NOW + 1099 - 20));
    ck_assert(told("www.example.", NOW + 1100));
    ck_assert(!failed("www.example.", NOW + 1100 + times.stale));
}
END_TEST

START_TEST(prefetch_told_once)
{
    ck_assert(put_a("www.example.", 1000, NOW));
    ck_assert(!told("www.example.", NOW));
    ck_assert(!told("www.example.", NOW + 899));
    ck_assert(told("www.example.", NOW + 900));
    ck_assert(!told("www.example.", NOW + 900));
    ck_assert(!told("www.example.", NOW + 929));
    ck_assert(told("www.example.", NOW + 930)); /* nothing came of it */

    ck_assert(put_a("rare.example.", 1000, NOW));
    ck_assert(!told("rare.example.", NOW + 950)); /* asked for once */
    ck_assert(told("rare.example.", NOW + 950));
    ck_assert(put_a("short.example.", 9, NOW));
    for (uint32_t i = 0; i < 9; i++) {
        ck_assert(!told("short.example.", NOW + i));
    }
    times.prefetch = false;
    ck_assert(put_a("www.example.", 1000, NOW));
    for (uint32_t i = 0; i < 1000; i += 50) {
        ck_assert(!told("www.example.", NOW + i));
    }
}
END_TEST

START_TEST(failures)
{
    ck_assert(put_failure("bad.example.", NOW));
    ck_assert_int_eq(find_a("bad.example.", NOW), PROXY_CACHE_FRESH);
    ck_assert_uint_eq(found.rcode, RCODE_SERVFAIL);
    ck_assert_uint_eq(found.size, 0);
    ck_assert(!found.refresh);
    /* never stale */
    ck_assert_int_eq(find_a("bad.example.", NOW + PROXY_CACHE_FAILURE_TTL), PROXY_CACHE_NONE);
    ck_assert(put_failure("bad.example.", NOW));
    ck_assert(put_failure("bad.example.", NOW + 1));
    ck_assert_int_eq(find_a("bad.example.", NOW + 1), PROXY_CACHE_FRESH);
    ck_assert(put_a("bad.example.", 100, NOW + 1));
    ck_assert(!put_failure("bad.example.", NOW + 2));
    ck_assert_uint_eq(ttl_at("bad.example.", NOW + 2), 99);
    ck_assert(!put_failure("bad.example.", NOW + 200));
    ck_assert_int_eq(find_a("bad.example.", NOW + 200), PROXY_CACHE_STALE);
    ck_assert(put_failure("bad.example.", NOW + 1 + 100 + 3600));

    struct ask reply = reply_to("full.example.", RRTYPE_A, RCODE_REFUSED);
    reply_a(&reply, 300, 1);
    times.ttl_min = 60;
    ck_assert(put_reply(about("full.example.", RRTYPE_A), &reply, NOW));
    ck_assert_uint_eq(ttl_at("full.example.", NOW), PROXY_CACHE_FAILURE_TTL);
}
END_TEST

/* ---- Flushing ---- */

static size_t flush(const char *name)
{
    struct key key;
    key_from_name(names_wire(name), &key);
    return proxy_cache_flush(cache, &key);
}

START_TEST(flushed_below)
{
    static const char *const names[] = {".",        "com.",       "b.com.",  "ab.com.",
                                        "a.b.com.", "x.a.b.com.", "b.comm.", "c.com."};
    for (unsigned i = 0; i < 8; i++) {
        ck_assert(put_a(names[i], 300, NOW));
    }
    ck_assert_uint_eq(flush("B.com."), 3);
    ck_assert_int_eq(find_a("b.com.", NOW), PROXY_CACHE_NONE);
    ck_assert_int_eq(find_a("a.b.com.", NOW), PROXY_CACHE_NONE);
    ck_assert_int_eq(find_a("x.a.b.com.", NOW), PROXY_CACHE_NONE);
    ck_assert_int_eq(find_a("ab.com.", NOW), PROXY_CACHE_FRESH);
    ck_assert_int_eq(find_a("b.comm.", NOW), PROXY_CACHE_FRESH);
    ck_assert_uint_eq(flush("b.com."), 0);
    ck_assert_uint_eq(flush("com."), 3);
    ck_assert_uint_eq(flush("nothing."), 0);
    ck_assert_int_eq(find_a(".", NOW), PROXY_CACHE_FRESH);
    ck_assert_uint_eq(flush("."), 2);
    ck_assert(put_a("com.", 300, NOW));
    ck_assert(put_a(".", 300, NOW));
    ck_assert_uint_eq(proxy_cache_flush(cache, NULL), 2);
    ck_assert_int_eq(find_a(".", NOW), PROXY_CACHE_NONE);
}
END_TEST

START_TEST(flush_ends_what_was_asked_before)
{
    struct ask reply = reply_to("www.example.", RRTYPE_A, RCODE_NOERROR);
    reply_a(&reply, 300, 1);
    struct reply r;
    ck_assert(reply_parse(reply.data, reply.size, &r));
    uint64_t epoch = proxy_cache_epoch(cache);
    flush("other.");
    const struct proxy_question *question = about("www.example.", RRTYPE_A);
    ck_assert(!proxy_cache_put(cache, question, &r, &times, NOW, epoch));
    ck_assert_int_eq(find_question(question, NOW), PROXY_CACHE_NONE);
    epoch = proxy_cache_epoch(cache);
    ck_assert(proxy_cache_put(cache, question, &r, &times, NOW, epoch));
}
END_TEST

START_TEST(sizes)
{
    ck_assert_ptr_null(proxy_cache_new(0));
    ck_assert_ptr_null(proxy_cache_new(PROXY_CACHE_SIZE_MIN - 1));
    ck_assert_ptr_null(proxy_cache_new((size_t)1 << 46)); /* more than there is */
    proxy_cache_free(NULL);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("proxy_cache");
    tcase_add_checked_fixture(unit.tests, setup, teardown);
    tcase_add_test(unit.tests, put_and_found);
    tcase_add_test(unit.tests, case_is_ignored);
    tcase_add_test(unit.tests, questions_apart);
    tcase_add_test(unit.tests, names_of_all_lengths);
    tcase_add_test(unit.tests, room);
    tcase_add_test(unit.tests, clamps);
    tcase_add_test(unit.tests, clamps_what_is_passed_on);
    tcase_add_test(unit.tests, ends_the_one_before);
    tcase_add_test(unit.tests, negative);
    tcase_add_test(unit.tests, stale);
    tcase_add_test(unit.tests, retried_unless_it_failed);
    tcase_add_test(unit.tests, prefetch_told_once);
    tcase_add_test(unit.tests, failures);
    tcase_add_test(unit.tests, flushed_below);
    tcase_add_test(unit.tests, flush_ends_what_was_asked_before);
    tcase_add_test(unit.tests, sizes);
    return unit_end(&unit);
}

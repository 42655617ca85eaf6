/*
 * The hash of NSEC3, by the vectors of RFC 5155 appendix A; the chain in an image: who is in it,
 * which one an answer uses, and where a hash falls.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "craft.h"
#include "dns/base_encoding.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "dnssec/nsec3.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"

#define SIGNED_APEX \
    MAKE_APEX "@ RRSIG SOA 13 1 3600 20300101000000 20200101000000 1 example. AAAA\n"

static const char *encoded(const uint8_t hash[NSEC3_HASH])
{
    static char text[33];
    struct wire_writer out = wire_writer_init((uint8_t *)text, 32);
    base32hex_encode(&out, hash, NSEC3_HASH);
    return text;
}

START_TEST(vectors)
{
    static const uint8_t salt[] = {0xaa, 0xbb, 0xcc, 0xdd};
    static const char *const known[][2] = {
        {"example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"},
        {"a.example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"},
        {"ai.example.", "gjeqe526plbf1g8mklp59enfd789njgi"},
        {"NS1.exAmple.", "2t7b4g4vsa5smi47k61mv5bv1a22bojr"},
        {"ns2.example.", "q04jkcevqvmu85r014c7dkba38o0ji5r"},
        {"w.example.", "k8udemvp1j2f7eg6jebps17vp3n8i58h"},
        {"*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"},
        {"x.w.example.", "b4um86eghhds6nea196smvmlo4ors995"},
        {"y.w.example.", "ji6neoaepv8b5o6k4ev33abha8ht9fgc"},
        {"x.y.w.example.", "2vptu5timamqttgl4luu9kg21e0aor3s"},
        {"xx.example.", "t644ebqk9bibcna874givr6joj62mlhv"},
        {"2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.", "kohar7mbb8dc2ce8a9qvl8hon4k53uhi"},
    };
    const struct nsec3_params params = {salt, 12, sizeof salt};
    struct nsec3_hasher *hasher = nsec3_hasher_new();
    uint8_t hash[NSEC3_HASH];
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        ck_assert(nsec3_hash(hasher, &params, names_wire(known[i][0]), hash));
        ck_assert_str_eq(encoded(hash), known[i][1]);
    }
    nsec3_hasher_free(hasher);
    nsec3_hasher_free(NULL);
}
END_TEST

/* A zone with NSEC3 of random hashes, and where a hash falls, one by one. */
START_TEST(search)
{
    static const unsigned counts[] = {1, 2, 3, 10, 200};
    struct rng rng = rng_start();
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        char *text = malloc(200 * 100 + 1000);
        uint8_t hashes[200][NSEC3_HASH];
        char *at = text + sprintf(text, "%s@ NSEC3PARAM 1 0 0 -\n", SIGNED_APEX);
        bool alike = rng_once_in(&rng, 2); /* hashes that begin the same */
        for (unsigned i = 0; i < counts[c]; i++) {
            rng_fill(&rng, hashes[i], NSEC3_HASH);
            memset(hashes[i], 0x55, alike && i % 2 == 0 ? 4 : 0);
            at += sprintf(at, "%s NSEC3 1 0 0 - %032d A\n", encoded(hashes[i]), 0);
        }
        struct zone *zone = make_zone("example.", text);
        ck_assert_int_eq(zone->denial, ZONE_NSEC3);
        ck_assert_uint_eq(nsec3_chain_of(zone)->count, counts[c]);
        for (unsigned round = 0; round < 500; round++) {
            uint8_t hash[NSEC3_HASH];
            rng_fill(&rng, hash, sizeof hash);
            if (rng_once_in(&rng, 3)) {
                memcpy(hash, hashes[rng_below(&rng, counts[c])], 4 + rng_below(&rng, 17));
            }
            const uint8_t *best = NULL, *last = hashes[0];
            for (unsigned i = 0; i < counts[c]; i++) {
                if (memcmp(hashes[i], hash, NSEC3_HASH) <= 0 &&
                    (best == NULL || memcmp(hashes[i], best, NSEC3_HASH) > 0)) {
                    best = hashes[i];
                }
                last = memcmp(hashes[i], last, NSEC3_HASH) > 0 ? hashes[i] : last;
            }
            best = best != NULL ? best : last;
            bool exact;
            const struct node *node = nsec3_chain_find(zone, hash, &exact);
            uint8_t name[NAME_MAX_OCTETS];
            node_name(zone, node, name);
            ck_assert_mem_eq(name + 1, encoded(best), 32);
            ck_assert_int_eq(exact, memcmp(best, hash, NSEC3_HASH) == 0);
        }
        zone_unref(zone);
        free(text);
    }
}
END_TEST

#define HASH(last) "0000000000000000000000000000000" last

static void expect_chain(const char *text, enum zone_denial denial, unsigned count,
                         unsigned iterations)
{
    struct made made = make_try("example.", text);
    ck_assert_msg(made.zone != NULL, "%s", make_told(&made.diag));
    ck_assert_int_eq(made.zone->denial, denial);
    ck_assert_int_eq(made.zone->head->nsec3 != 0, count > 0);
    if (count > 0) {
        const struct nsec3_chain *chain = nsec3_chain_of(made.zone);
        ck_assert_uint_eq(chain->count, count);
        ck_assert_uint_eq(nsec3_chain_params(chain).iterations, iterations);
    }
    make_free(&made);
}

START_TEST(which_chain)
{
    static const char chain[] = HASH("0") " NSEC3 1 0 1 aa " HASH("1") " A\n"
                                HASH("1") " NSEC3 1 1 1 AA " HASH("0") " A\n";
    char text[2000];
    expect_chain(MAKE_APEX "@ A 192.0.2.1\n", ZONE_UNSIGNED, 0, 0);
    expect_chain(SIGNED_APEX, ZONE_UNSIGNED, 0, 0);
    expect_chain(SIGNED_APEX "@ NSEC a.example. A\n", ZONE_NSEC, 0, 0);
    expect_chain(MAKE_APEX "@ NSEC a.example. A\n", ZONE_UNSIGNED, 0, 0);
    expect_chain(SIGNED_APEX "@ NSEC3PARAM 1 0 1 aa\n", ZONE_UNSIGNED, 0, 0);
    sprintf(text, SIGNED_APEX "%s", chain); /* no NSEC3PARAM: it is not whole */
    expect_chain(text, ZONE_UNSIGNED, 0, 0);
    sprintf(text, SIGNED_APEX "@ NSEC3PARAM 1 0 1 aa\n%s", chain);
    expect_chain(text, ZONE_NSEC3, 2, 1);
    sprintf(text, MAKE_APEX "@ NSEC3PARAM 1 0 1 aa\n%s", chain);
    expect_chain(text, ZONE_UNSIGNED, 2, 1);
    sprintf(text, SIGNED_APEX "@ NSEC a.example. A\n@ NSEC3PARAM 1 0 1 aa\n%s", chain);
    expect_chain(text, ZONE_NSEC, 2, 1);
    /* Other parameters, other places, no hashes. */
    sprintf(text, SIGNED_APEX "@ NSEC3PARAM 1 0 1 aa\n%s"
            HASH("2") " NSEC3 1 0 2 aa " HASH("0") "\n"
            HASH("3") " NSEC3 1 0 1 ab " HASH("0") "\n" HASH("4") " NSEC3 1 0 1 - " HASH("0") "\n"
            HASH("5") ".sub NSEC3 1 0 1 aa " HASH("0") "\n" HASH("") " NSEC3 1 0 1 aa "
            HASH("0") "\n" HASH("x") " NSEC3 1 0 1 aa " HASH("0") "\n", chain);
    expect_chain(text, ZONE_NSEC3, 2, 1);
    /* The first that can be used. */
    sprintf(text, SIGNED_APEX "@ NSEC3PARAM 1 0 501 aa\n@ NSEC3PARAM 2 0 1 aa\n"
            "@ NSEC3PARAM 1 1 1 aa\n@ NSEC3PARAM 1 0 1 aa\n%s", chain);
    expect_chain(text, ZONE_NSEC3, 2, 1);
    expect_chain(SIGNED_APEX "@ NSEC3PARAM 1 0 500 -\n" HASH("0") " NSEC3 1 0 500 - " HASH("0")
                 "\n", ZONE_NSEC3, 1, 500);
    struct made made = make_try("example.", SIGNED_APEX "@ NSEC3PARAM 1 0 501 -\n");
    ck_assert_str_eq(make_told(&made.diag), "warning: zone:4: NSEC3PARAM can't be used: not SHA-1 "
                                            "without flags, or more than 500 iterations\n");
    make_free(&made);
}
END_TEST

static struct craft chain_image(void)
{
    return craft_new("example.", SIGNED_APEX "@ NSEC3PARAM 1 0 1 aa\n"
                     HASH("0") " NSEC3 1 0 1 aa " HASH("1") " A\n"
                     HASH("1") " NSEC3 1 0 1 aa " HASH("0") " A\n"
                     "a A 192.0.2.1\na NSEC3 1 0 1 aa " HASH("0") "\n");
}

static struct nsec3_chain *chain_in(const struct craft *c)
{
    return arena_at(&c->view.arena, c->head->nsec3);
}

START_TEST(broken_chains)
{
    static const char reason[] = "the chain of NSEC3 isn't that of the names";
    struct craft c = chain_image();
    struct zone *zone = craft_parse(c.data, c.size, &(struct diag){0});
    ck_assert_int_eq(zone->denial, ZONE_NSEC3);
    zone_unref(zone);
    c.head->nsec3 = 0;
    craft_broken(&c, reason);
    c = chain_image();
    c.head->nsec3 = UINT32_MAX;
    craft_broken(&c, reason);
    c = chain_image();
    c.head->nsec3 = (arena_ref)((c.size - CRAFT_HEAD) / ARENA_UNIT);
    craft_broken(&c, reason);
    c = chain_image();
    c.head->nsec3--;
    craft_broken(&c, reason);
    static const uint32_t counts[] = {0, 1, 3, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        c = chain_image();
        chain_in(&c)->count = counts[i];
        craft_broken(&c, reason);
    }
    c = chain_image();
    chain_in(&c)->iterations++;
    craft_broken(&c, reason);
    c = chain_image();
    chain_in(&c)->salt_size = 200;
    craft_broken(&c, reason);
    c = chain_image();
    chain_in(&c)->reserved++;
    craft_broken(&c, reason);
    c = chain_image();
    chain_in(&c)->entries[1].start++;
    craft_broken(&c, reason);
    c = chain_image();
    chain_in(&c)->entries[1].node = c.head->apex;
    craft_broken(&c, reason);
    c = chain_image();
    *(uint8_t *)(chain_in(&c)->entries + 2) ^= 1;
    craft_broken(&c, reason);
    c = craft_new("example.", MAKE_APEX); /* one where none is due */
    c.head->nsec3 = c.head->apex;
    craft_broken(&c, reason);
    c = chain_image(); /* what is a name and what is none */
    craft_node(&c, "a.example.")->flags |= NODE_NSEC3;
    craft_broken(&c, "a node that isn't what its place makes it");
    c = chain_image();
    ((struct node *)arena_at(&c.view.arena, chain_in(&c)->entries[0].node))->flags = 0;
    craft_broken(&c, "a node that isn't what its place makes it");
}
END_TEST

START_TEST(signatures_in_order)
{
#define SIGNATURE(type) "a RRSIG " type " 13 1 3600 20300101000000 20200101000000 1 example. AAAA\n"
    static const char text[] =
        MAKE_APEX SIGNATURE("TXT") SIGNATURE("A") SIGNATURE("NSEC") SIGNATURE("AAAA")
        "a RRSIG A 13 1 3600 20300101000000 20200101000000 2 example. AAAA\n";
    struct craft c = craft_new("example.", text);
    struct rrset *rrset = craft_rrset(&c, "a.example.", RRTYPE_RRSIG);
    static const uint16_t order[] = {RRTYPE_A, RRTYPE_A, RRTYPE_TXT, RRTYPE_AAAA, RRTYPE_NSEC};
    static const uint16_t tags[] = {1, 2, 1, 1, 1};
    ck_assert_uint_eq(rrset->count, 5);
    size_t size = rrset->block_size / 5;
    for (size_t i = 0; i < 5; i++) {
        const uint8_t *rdata = rrset->block + i * size + RECORD_HEAD;
        ck_assert_uint_eq(wire_get_u16(rdata), order[i]);
        ck_assert_uint_eq(wire_get_u16(rdata + 16), tags[i]);
    }
    wire_put_u16(rrset->block + size + RECORD_HEAD, RRTYPE_SOA);
    wire_put_u16(rrset->block + RECORD_HEAD, RRTYPE_TXT);
    craft_broken(&c, "signatures out of order");
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("nsec3");
    tcase_add_test(unit.tests, vectors);
    tcase_add_test(unit.tests, search);
    tcase_add_test(unit.tests, which_chain);
    tcase_add_test(unit.tests, broken_chains);
    tcase_add_test(unit.tests, signatures_in_order);
    return unit_end(&unit);
}

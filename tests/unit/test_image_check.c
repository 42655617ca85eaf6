/*
 * Each thing wrong that image_check and rrset_check look for, alone in an image that is good
 * otherwise: it is refused, and for that reason.
 */
#include <stdlib.h>
#include <string.h>

#include "craft.h"
#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"

START_TEST(broken_heads)
{
    struct craft c = craft_rich();
    c.size = CRAFT_HEAD + sizeof *c.head;
    craft_broken(&c, "no room for a head");
    c = craft_rich();
    c.head->magic++;
    craft_broken(&c, "not the head of a zone");
    c = craft_rich();
    c.head->version++;
    craft_broken(&c, "not the head of a zone");
    c = craft_rich();
    c.head->apex_name[0] = 64;
    craft_broken(&c, "the apex is no name");
    c = craft_rich();
    c.head->apex_size = 0;
    craft_broken(&c, "the apex is no name");
    c = craft_rich();
    c.head->apex_size++;
    craft_broken(&c, "the apex is no name");
    c = craft_rich();
    c.head->apex_labels++;
    craft_broken(&c, "the apex is not as long as the head says");
    c = craft_rich();
    c.head->apex_key_size--;
    craft_broken(&c, "the apex is not as long as the head says");
    c = craft_rich();
    c.head->nodes = (uint64_t)1 << 60;
    craft_broken(&c, "more nodes than there is room for");
    c = craft_rich();
    c.head->radix_size = UINT32_MAX;
    craft_broken(&c, "more nodes than there is room for");
    c = craft_rich();
    c.head->apex = 0;
    craft_broken(&c, "nodes don't end where the head says");
    c = craft_rich();
    c.head->last = c.head->radix;
    craft_broken(&c, "nodes don't end where the head says");
    c = craft_rich();
    c.head->nodes--;
    craft_broken(&c, "nodes don't end where the head says");
    c = craft_rich();
    c.head->nodes++;
    craft_broken(&c, "the head's counts are not the zone's");
    c = craft_rich();
    c.head->rrsets++;
    craft_broken(&c, "the head's counts are not the zone's");
    c = craft_rich();
    c.head->records--;
    craft_broken(&c, "the head's counts are not the zone's");
}
END_TEST

START_TEST(broken_names)
{
    struct craft c = craft_rich();
    c.head->apex = craft_ref(&c, craft_node(&c, "www.example."));
    craft_broken(&c, "the first node isn't the apex");
    c = craft_rich();
    craft_node(&c, "example.")->name_size++;
    craft_broken(&c, "the first node isn't the apex");
    c = craft_rich(); /* a child of the root, with a name as long as the apex's */
    c.head->apex = craft_ref(&c, craft_node(&c, "web.example."));
    craft_node(&c, "web.example.")->name_size = c.head->apex_size;
    craft_broken(&c, "the first node isn't the apex");
    c = craft_rich();
    craft_node(&c, "www.example.")->size = 0;
    craft_broken(&c, "a node ends outside the image");
    c = craft_rich();
    craft_node(&c, "www.example.")->size += 4;
    craft_broken(&c, "a node ends outside the image");
    c = craft_rich();
    craft_node(&c, "x.new.example.")->size = 0xfffffff8;
    craft_broken(&c, "a node ends outside the image");
    c = craft_rich();
    craft_node(&c, "web.example.")->key_size = 0xffff;
    craft_broken(&c, "a node ends outside the image");
    c = craft_rich();
    ((uint8_t *)(uintptr_t)node_key(craft_node(&c, "web.example.")))[3] = 77;
    craft_broken(&c, "a key that no name has");
    c = craft_rich();
    ((uint8_t *)(uintptr_t)node_key(craft_node(&c, "www.example.")))[1] = KEY_SEPARATOR;
    craft_broken(&c, "a name whose parent isn't there");
    c = craft_rich();
    craft_node(&c, "www.example.")->key_size--;
    craft_broken(&c, "a key that no name has");
    c = craft_rich(); /* no octet has that place in its group: "!" comes after "odd" */
    ((uint8_t *)(uintptr_t)node_key(craft_node(&c, "odd\\!\\000\\255.example.")))[4] = 45;
    craft_broken(&c, "a key that no name has");
    c = craft_rich();
    craft_node(&c, "www.example.")->name_size++;
    craft_broken(&c, "a name of another size than its key");
    c = craft_rich();
    ((uint8_t *)(uintptr_t)node_key(craft_node(&c, "ns.example.")))[0] -= 10;
    craft_broken(&c, "names out of order");
    c = craft_rich();
    struct node *mail = craft_node(&c, "mail.example.");
    ((uint8_t *)(uintptr_t)node_key(mail))[mail->key_size + 1] = 'N';
    craft_broken(&c, "a name written otherwise than its key");
    c = craft_rich();
    craft_node(&c, "mail.example.")->rrsets_at += 8;
    craft_broken(&c, "RRsets are not where the name ends");
    c = craft_rich();
    craft_node(&c, "wild.example.")->flags |= NODE_CASE;
    craft_broken(&c, "RRsets are not where the name ends");
    c = craft_rich(); /* where they would be, but the node ends before */
    craft_node(&c, "wild.example.")->flags |= NODE_CASE;
    craft_node(&c, "wild.example.")->rrsets_at += 8;
    craft_broken(&c, "RRsets are not where the name ends");
}
END_TEST

START_TEST(broken_places)
{
    const char *reason = "a node that isn't what its place makes it";
    for (unsigned bit = 0; bit < 8; bit++) {
        if (1u << bit != NODE_CASE) {
            struct craft c = craft_rich();
            craft_node(&c, "ns.sub.example.")->flags ^= (uint8_t)(1u << bit);
            craft_broken(&c, reason);
        }
    }
    struct craft c = craft_rich();
    struct node *node = craft_node(&c, "www.example.");
    node->parent = craft_ref(&c, node);
    craft_broken(&c, reason);
    c = craft_rich();
    craft_node(&c, "example.")->parent = c.head->apex;
    craft_broken(&c, reason);
    c = craft_rich();
    craft_node(&c, "sub.example.")->cut = 0;
    craft_broken(&c, reason);
    c = craft_rich();
    craft_node(&c, "web.example.")->cut = craft_ref(&c, craft_node(&c, "sub.example."));
    craft_broken(&c, reason);
    c = craft_rich();
    craft_node(&c, "wild.example.")->star = 0;
    craft_broken(&c, "a wildcard that its parent doesn't know");
    c = craft_rich();
    craft_node(&c, "web.example.")->star = craft_ref(&c, craft_node(&c, "*.wild.example."));
    craft_broken(&c, "a wildcard that isn't there");
    c = craft_rich();
    craft_node(&c, "example.")->star = c.head->last;
    craft_broken(&c, "a wildcard that isn't there");
}
END_TEST

START_TEST(broken_rrsets)
{
    struct rrset *rrset;
    struct craft c = craft_rich();
    craft_node(&c, "web.example.")->rrsets++;
    craft_broken(&c, "an RRset ends outside its node");
    c = craft_rich();
    craft_node(&c, "web.example.")->rrsets--;
    craft_broken(&c, "octets after a node's last RRset");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_A)->block_size = UINT32_MAX;
    craft_broken(&c, "an RRset ends outside its node");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_HTTPS)->patches = UINT16_MAX;
    craft_broken(&c, "an RRset ends outside its node");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_HTTPS)->targets = UINT16_MAX;
    craft_broken(&c, "an RRset ends outside its node");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_HTTPS)->count = 0;
    craft_broken(&c, "an RRset has too few or too many records");
    c = craft_rich();
    craft_rrset(&c, "www.example.", RRTYPE_CNAME)->count = 2;
    craft_broken(&c, "an RRset has too few or too many records");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_A)->count = 2;
    craft_broken(&c, "a record ends outside its RRset");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_A)->block[11]++;
    craft_broken(&c, "a record ends outside its RRset");
    c = craft_rich();
    craft_rrset(&c, "ns.example.", RRTYPE_A)->block[11]--;
    craft_broken(&c, "the data is malformed or too short for its type");
    c = craft_new("example.", MAKE_APEX "a MX 1 b\n");
    craft_rrset(&c, "a.example.", RRTYPE_MX)->block[11] = 1;
    craft_broken(&c, "RDATA is too short");
    c = craft_new("example.", MAKE_APEX "a TYPE999 \\# 30 00000000000000000000000000000000\
0000000000000000000000000000\n");
    rrset = craft_rrset(&c, "a.example.", 999);
    rrset->type = RRTYPE_MX;
    wire_put_u16(rrset->block + 2, RRTYPE_MX);
    craft_broken(&c, "the data is too long for its type");
    c = craft_rich();
    craft_rrset(&c, "*.wild.example.", RRTYPE_TXT)->block[11] = 4; /* the first string alone */
    craft_broken(&c, "octets after an RRset's last record");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_A)->type = 999;
    craft_broken(&c, "a record is not of its RRset's type, class and TTL");
    c = craft_rich();
    craft_rrset(&c, "web.example.", RRTYPE_A)->block[5] = CLASS_CH;
    craft_broken(&c, "a record is not of its RRset's type, class and TTL");
    c = craft_new("example.", MAKE_APEX "a A 192.0.2.1\na A 192.0.2.2\n");
    craft_rrset(&c, "a.example.", RRTYPE_A)->block[RECORD_HEAD + 4 + 9]++; /* the second TTL */
    craft_broken(&c, "a record is not of its RRset's type, class and TTL");
    c = craft_rich();
    rrset = craft_rrset(&c, "ns.example.", RRTYPE_A);
    rrset->type = 999;
    wire_put_u16(rrset->block + 2, 999);
    craft_broken(&c, "RRsets out of order");
    c = craft_rich();
    rrset = craft_rrset(&c, "null.example.", 10);
    rrset->type = RRTYPE_OPT;
    wire_put_u16(rrset->block + 2, RRTYPE_OPT);
    craft_broken(&c, "zone image is broken at octet");
    c = craft_rich();
    rrset = craft_rrset(&c, "null.example.", 10);
    rrset->type = RRTYPE_SOA;
    wire_put_u16(rrset->block + 2, RRTYPE_SOA);
    craft_broken(&c, "an SOA that isn't at the apex");
}
END_TEST

/* A record that takes in most of the next one's RRset: more than a message has room for. */
START_TEST(oversized_rrset)
{
    struct records *records = records_new(names_wire("example."));
    uint8_t *rdata = calloc(1, 65400);
    make_records(records, "example.", MAKE_APEX);
    make_record(records, names_wire("a.example."), 999, 60, rdata, 65400, 0, 1);
    make_record(records, names_wire("a.example."), 1000, 60, rdata, 400, 0, 1);
    struct zone *zone = make_built(records);
    struct craft c = craft_of(zone);
    struct rrset *rrset = craft_rrset(&c, "a.example.", 999);
    rrset->block_size += 120;
    wire_put_u16(rrset->block + 10, 65400 + 120);
    craft_broken(&c, "an RRset is too large for a message");
    c = craft_of(zone); /* a host name and much after it */
    rrset = craft_rrset(&c, "a.example.", 999);
    rrset->type = RRTYPE_NS;
    wire_put_u16(rrset->block + 2, RRTYPE_NS);
    craft_broken(&c, "RDATA is too long");
    zone_unref(zone);
    free(rdata);
}
END_TEST

/* Placeholders: MX of example. is "20 mail2.elsewhere." after "10 Mail" and the owner. */
START_TEST(broken_compression)
{
    const char *text = MAKE_APEX "mx.a MX 1 x.b.c.elsewhere.\nmx.a MX 2 b.c.elsewhere.\n"
                                 "mx.a MX 3 y.mx.a\n*.w MX 1 a.w\n";
    const char *reason = "a name in RDATA is broken";
    struct craft c = craft_new("example.", text);
    struct rrset *rrset = craft_rrset(&c, "mx.a.example.", RRTYPE_MX);
    const uint16_t *patches = rrset_patch_table(rrset);
    ck_assert_uint_eq(rrset->patches, 2);
    size_t inner = patches[0], outer = patches[1];
    unsigned value = wire_get_u16(rrset->block + inner) & 0x3fff;
    ck_assert_uint_eq(value, 256 + RECORD_HEAD + 2 + 2); /* b.c.elsewhere. after 1 and x */
    ck_assert_uint_eq(wire_get_u16(rrset->block + outer) & 0x3fff,
                      names_size(names_wire("mx.a.example.")));
    craft_free(&c);

    const unsigned bad[] = {
        value + 1,             /* the middle of a label */
        256,                   /* a record's head */
        256 + RECORD_HEAD,     /* a preference */
        256 + (unsigned)inner, /* itself */
        256 + (unsigned)outer, /* what comes later */
        0x3fff,                /* nowhere */
        0,                     /* no part of the owner */
        13,                    /* the middle of the owner's label */
        15,                    /* more than the owner */
        255,
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        c = craft_new("example.", text);
        rrset = craft_rrset(&c, "mx.a.example.", RRTYPE_MX);
        wire_put_u16(rrset->block + inner, (uint16_t)(0xc000 | bad[i]));
        craft_broken(&c, reason);
    }

    c = craft_new("example.", text); /* y, then y again, and so on */
    rrset = craft_rrset(&c, "mx.a.example.", RRTYPE_MX);
    wire_put_u16(rrset->block + outer, (uint16_t)(0xc000 | (256 + outer - 2)));
    craft_broken(&c, reason);
    c = craft_new("example.", text); /* the label of a wildcard may stand for another */
    rrset = craft_rrset(&c, "*.w.example.", RRTYPE_MX);
    wire_put_u16(rrset->block + rrset_patch_table(rrset)[0],
                 (uint16_t)(0xc000 | names_size(names_wire("*.w.example."))));
    craft_broken(&c, reason);
    c = craft_new("example.", text); /* the root of the owner is harmless, if never written */
    rrset = craft_rrset(&c, "mx.a.example.", RRTYPE_MX);
    wire_put_u16(rrset->block + inner, 0xc001);
    craft_mend(c.data, c.size);
    ck_assert(craft_harmless(c.data, c.size));
    craft_free(&c);
}
END_TEST

/* Names that go on where their RDATA ends, and names too long with what they point to. */
START_TEST(broken_name_ends)
{
    const char *reason = "a name in RDATA is broken";
    const char *text = MAKE_APEX "a NS b.elsewhere.\na.b NS c.a.b\nr NS .\n";
    struct craft c = craft_new("example.", text);
    craft_rrset(&c, "a.example.", RRTYPE_NS)->block[11]--; /* without its root */
    craft_broken(&c, reason);
    c = craft_new("example.", text);
    craft_rrset(&c, "a.b.example.", RRTYPE_NS)->block[11]--; /* half a placeholder */
    craft_broken(&c, reason);
    c = craft_new("example.", text);
    craft_rrset(&c, "r.example.", RRTYPE_NS)->block[RECORD_HEAD] = 5; /* one octet is there */
    craft_broken(&c, reason);

#define SIXTY "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff"
    text = MAKE_APEX SIXTY "." SIXTY "." SIXTY " MX 1 x.b.elsewhere.\n" SIXTY "." SIXTY "." SIXTY
                           " MX 2 ccc." SIXTY ".b.elsewhere.\n";
    const char *owner = SIXTY "." SIXTY "." SIXTY ".example.";
    c = craft_new("example.", text);
    struct rrset *rrset = craft_rrset(&c, owner, RRTYPE_MX);
    ck_assert_uint_eq(rrset->patches, 1);
    wire_put_u16(rrset->block + rrset_patch_table(rrset)[0],
                 (uint16_t)(0xc000 | names_size(names_wire(owner))));
    craft_broken(&c, reason);
    c = craft_new("example.", MAKE_APEX "a NS " SIXTY "." SIXTY ".\n");
    craft_rrset(&c, "a.example.", RRTYPE_NS)->block[RECORD_HEAD] = 70; /* over 63 */
    craft_broken(&c, reason);
#undef SIXTY
}
END_TEST

START_TEST(broken_patch_tables)
{
    const char *text = MAKE_APEX "mx.a MX 1 x.mx.a\nmx.a MX 2 y.mx.a\nmx.a MX 3 z.mx.a\n";
    const char *reason = "a name in RDATA is broken";
    for (unsigned i = 0; i < 3; i++) {
        struct craft c = craft_new("example.", text);
        uint16_t *patches =
            (uint16_t *)(uintptr_t)rrset_patch_table(craft_rrset(&c, "mx.a.example.", RRTYPE_MX));
        patches[i]++;
        craft_broken(&c, reason);
        c = craft_new("example.", text);
        patches =
            (uint16_t *)(uintptr_t)rrset_patch_table(craft_rrset(&c, "mx.a.example.", RRTYPE_MX));
        patches[i] = patches[(i + 1) % 3];
        craft_broken(&c, reason);
    }
    struct craft c = craft_new("example.", text); /* three end where four would */
    craft_rrset(&c, "mx.a.example.", RRTYPE_MX)->patches++;
    craft_broken(&c, "a patch where no name is compressed");
    c = craft_new("example.", text);
    struct rrset *rrset = craft_rrset(&c, "mx.a.example.", RRTYPE_MX);
    rrset->patches--;
    craft_broken(&c, reason);
}
END_TEST

START_TEST(broken_trees)
{
    struct craft c = craft_rich();
    uint32_t entries = c.head->radix_size;
    craft_free(&c);
    for (uint32_t i = 0; i < entries; i++) {
        for (unsigned word = 0; word < 3; word++) {
            for (unsigned bit = 0; bit < 32; bit++) {
                c = craft_rich();
                uint32_t *entry = arena_at(&c.view.arena, c.head->radix);
                entry[3 * i + word] ^= UINT32_C(1) << bit;
                craft_broken(&c, "the search tree isn't that of the names");
            }
        }
    }
    c = craft_rich();
    c.head->radix_size--;
    craft_broken(&c, "the search tree isn't that of the names");
    c = craft_rich();
    c.head->radix_size -= c.head->radix_size;
    craft_broken(&c, "the search tree isn't as large as the head says");
    c = craft_rich();
    c.head->radix -= 2;
    c.head->radix_size += 1;
    craft_broken(&c, "the search tree isn't that of the names");
    c = craft_rich();
    c.head->radix = 0;
    craft_broken(&c, "the search tree isn't as large as the head says");
    c = craft_rich();
    c.head->radix = UINT32_MAX;
    craft_broken(&c, "the search tree isn't as large as the head says");
    c = craft_rich();
    c.head->radix -= 2;
    craft_broken(&c, "the search tree isn't that of the names");
}
END_TEST

START_TEST(broken_soa)
{
    const char *reason = "the SOA of negative answers isn't the zone's";
    struct craft c = craft_rich();
    c.head->serial++;
    craft_broken(&c, reason);
    c = craft_rich();
    c.head->negative_soa = craft_ref(&c, craft_rrset(&c, "example.", RRTYPE_SOA));
    craft_broken(&c, reason); /* its TTL is another */
    c = craft_rich();
    c.head->negative_soa = UINT32_MAX;
    craft_broken(&c, "no SOA");
    c = craft_rich();
    c.head->negative_soa = 0;
    craft_broken(&c, "no SOA");
    c = craft_new("example.", "@ SOA . . 1 2 3 4 5\n"); /* any RDATA is good for TYPE10 */
    struct rrset *soa = craft_rrset(&c, "example.", RRTYPE_SOA);
    soa->type = 10;
    wire_put_u16(soa->block + 2, 10);
    craft_broken(&c, "no SOA");
    c = craft_rich();
    struct rrset *negative = arena_at(&c.view.arena, c.head->negative_soa);
    negative->patches--;
    craft_broken(&c, reason);
    c = craft_rich();
    negative = arena_at(&c.view.arena, c.head->negative_soa);
    negative->block[negative->block_size - 1]++;
    craft_broken(&c, reason);
}
END_TEST

START_TEST(broken_targets)
{
    const char *reason = "a target that isn't what its record says";
    struct craft c = craft_rich();
    struct rrset_target *targets =
        (struct rrset_target *)(uintptr_t)rrset_targets(craft_rrset(&c, "sub.example.", RRTYPE_NS));
    ck_assert_uint_ne(targets[0].node, 0);
    targets[0].node = targets[1].node;
    craft_broken(&c, reason);
    for (unsigned bit = 0; bit < 32; bit++) {
        c = craft_rich();
        targets = (struct rrset_target *)(uintptr_t)rrset_targets(
            craft_rrset(&c, "_sip._tcp.example.", RRTYPE_SRV));
        targets[0].node ^= UINT32_C(1) << bit;
        craft_broken(&c, reason);
    }
    for (unsigned bit = 0; bit < 16; bit++) {
        c = craft_rich();
        targets = (struct rrset_target *)(uintptr_t)rrset_targets(
            craft_rrset(&c, "_sip._tcp.example.", RRTYPE_SRV));
        targets[0].position ^= (uint16_t)(1u << bit);
        craft_broken(&c, "a target that no record has");
        c = craft_rich();
        targets = (struct rrset_target *)(uintptr_t)rrset_targets(
            craft_rrset(&c, "example.", RRTYPE_HTTPS));
        targets[0].flags ^= (uint16_t)(1u << bit);
        craft_broken(&c, reason);
    }
    c = craft_rich(); /* "." stands for the owner, no other */
    targets =
        (struct rrset_target *)(uintptr_t)rrset_targets(craft_rrset(&c, "example.", RRTYPE_HTTPS));
    targets[0].node = c.head->last;
    craft_broken(&c, reason);
    c = craft_new("example.", MAKE_APEX "a TYPE999 \\# 16 01020304050607080102030405060708\n");
    struct rrset *rrset = craft_rrset(&c, "a.example.", 999);
    rrset->targets = 1; /* where the last eight octets of RDATA were */
    rrset->block_size -= 8;
    rrset->block[11] -= 8;
    craft_broken(&c, "targets of a type that has none");
    c = craft_rich(); /* web.example. becomes web.fxample., which is not in the zone */
    rrset = craft_rrset(&c, "_sip._tcp.example.", RRTYPE_SRV);
    rrset->block[RECORD_HEAD + 6 + 5]++;
    craft_broken(&c, reason);
    c = craft_rich(); /* nothing to add is always true */
    targets =
        (struct rrset_target *)(uintptr_t)rrset_targets(craft_rrset(&c, "example.", RRTYPE_NS));
    targets[0].node = 0;
    craft_mend(c.data, c.size);
    ck_assert(craft_harmless(c.data, c.size));
    craft_free(&c);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("image_check");
    tcase_add_test(unit.tests, broken_heads);
    tcase_add_test(unit.tests, broken_names);
    tcase_add_test(unit.tests, broken_places);
    tcase_add_test(unit.tests, broken_rrsets);
    tcase_add_test(unit.tests, oversized_rrset);
    tcase_add_test(unit.tests, broken_compression);
    tcase_add_test(unit.tests, broken_name_ends);
    tcase_add_test(unit.tests, broken_patch_tables);
    tcase_add_test(unit.tests, broken_trees);
    tcase_add_test(unit.tests, broken_soa);
    tcase_add_test(unit.tests, broken_targets);
    return unit_end(&unit);
}

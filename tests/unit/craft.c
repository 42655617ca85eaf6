#include "craft.h"

#include <stdlib.h>
#include <string.h>

#include "../fuzz/desk.h"
#include "../fuzz/wire_check.h"
#include "base/err.h"
#include "make_zone.h"
#include "names.h"
#include "unit.h"

const char *const craft_rich_text =
    "@ SOA ns host 7 7200 900 86400 300\n"
    "@ NS ns\n"
    "@ NS ns.sub\n"
    "@ MX 10 Mail\n"
    "@ MX 20 mail2.elsewhere.\n"
    "@ TYPE65 \\# 3 000100\n"
    "@ A 192.0.2.80\n"
    "ns A 192.0.2.1\n"
    "ns AAAA 2001:db8::1\n"
    "Mail 60 A 192.0.2.2\n"
    "*.wild TXT \"any\" \"two\"\n"
    "*.wild MX 5 a.wild\n"
    "a.wild A 192.0.2.3\n"
    "sub NS ns.sub\n"
    "sub NS ns\n"
    "sub DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    "ns.sub A 192.0.2.4\n"
    "old DNAME new\n"
    "below.old A 192.0.2.5\n"
    "x.new CNAME www\n"
    "www CNAME web\n"
    "web A 192.0.2.6\n"
    "web TYPE65 \\# 11 0000076578616d706c6500\n" /* AliasMode, to example. */
    "_sip._tcp SRV 1 2 5060 web\n"
    "deep.er.and.deeper TXT \"x\"\n"
    "odd\\!\\000\\255 TXT \"octets\"\n"
    "null TYPE10 \\# 22 00000000000000000000000000000000000000000000\n";

static struct desk desk;

struct craft craft_of(const struct zone *zone)
{
    struct craft c = {.size = CRAFT_HEAD + zone->arena.used};
    struct image_header header;
    image_header(zone->arena.base, zone->arena.used, NULL, &header);
    c.data = malloc(c.size);
    memcpy(c.data, &header, CRAFT_HEAD);
    memcpy(c.data + CRAFT_HEAD, zone->arena.base, zone->arena.used);
    c.view.arena = (struct arena){.base = c.data + CRAFT_HEAD, .used = zone->arena.used};
    c.head = arena_at(&c.view.arena, 1);
    c.view.head = c.head;
    c.view.radix = zone_at(&c.view, c.head->radix);
    return c;
}

struct craft craft_new(const char *apex, const char *text)
{
    struct zone *zone = make_zone(apex, text);
    struct craft c = craft_of(zone);
    zone_unref(zone);
    return c;
}

void craft_free(struct craft *c)
{
    free(c->data);
}

void craft_mend(uint8_t *data, size_t size)
{
    struct image_header header;
    image_header(data + CRAFT_HEAD, size - CRAFT_HEAD, NULL, &header);
    memcpy(data, &header, CRAFT_HEAD);
}

struct node *craft_node(const struct craft *c, const char *text)
{
    struct key key;
    struct zone_match match;
    key_from_name(names_wire(text), &key);
    zone_lookup(&c->view, &key, &match);
    ck_assert_msg(match.node != NULL, "no %s", text);
    return (struct node *)(uintptr_t)match.node;
}

struct rrset *craft_rrset(const struct craft *c, const char *text, uint16_t type)
{
    const struct rrset *rrset = node_rrset(craft_node(c, text), type);
    ck_assert_ptr_nonnull(rrset);
    return (struct rrset *)(uintptr_t)rrset;
}

arena_ref craft_ref(const struct craft *c, const void *at)
{
    return (arena_ref)((size_t)((const uint8_t *)at - c->view.arena.base) / ARENA_UNIT);
}

struct zone *craft_parse(const void *data, size_t size, struct diag *diag)
{
    struct zone *zone = (void *)&desk;
    int error = image_parse("x.img", data, size, 1, &zone, diag);
    if (error == RR_OK) {
        ck_assert_ptr_nonnull(zone);
        ck_assert_uint_eq(diag->faults, 0);
    } else {
        ck_assert_int_eq(error, RR_EFORMAT);
        ck_assert_ptr_null(zone);
        ck_assert_uint_eq(diag->faults, 1);
        ck_assert(strncmp(diag_first_fault(diag), "x.img: ", 7) == 0);
    }
    return zone;
}

void craft_refused(const void *data, size_t size, const char *reason)
{
    struct diag diag = {0};
    struct zone *zone = craft_parse(data, size, &diag);
    ck_assert_msg(zone == NULL, "taken, in spite of: %s", reason);
    ck_assert_msg(strstr(diag_first_fault(&diag), reason) != NULL, "\"%s\" is not \"%s\"",
                  diag_first_fault(&diag), reason);
    diag_clear(&diag);
}

void craft_broken(struct craft *c, const char *reason)
{
    craft_mend(c->data, c->size);
    craft_refused(c->data, c->size, reason);
    craft_free(c);
}

static void well_formed(void *context, const uint8_t *query, size_t query_size,
                        const uint8_t *answer, size_t size)
{
    (void)context;
    (void)query_size;
    ck_assert(size > 0 && memcmp(query, answer, 2) == 0 && wire_check_message(answer, size));
}

bool craft_harmless(const void *data, size_t size)
{
    struct diag diag = {0};
    struct zone *zone = craft_parse(data, size, &diag);
    diag_clear(&diag);
    if (zone != NULL) {
        desk_walk(&desk, zone, well_formed, NULL);
    }
    return zone != NULL;
}

struct craft craft_rich(void)
{
    return craft_new("example.", craft_rich_text);
}

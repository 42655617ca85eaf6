/*
 * Questions to servers, octet by octet, and how long they are over TLS.
 */
#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "net/proxy_own.h"
#include "unit.h"
#include "world/world.h"

static struct proxy *proxy;
static struct world *world;
static struct service service;
static struct proxy_group group;
static struct transaction transaction;
static struct upstream upstream;
static struct attempt attempt;
static uint8_t out[PROXY_QUERY];

/* A name of so many octets. */
static void name_of(size_t size)
{
    uint8_t *name = transaction.qname;
    transaction.qname_size = (uint8_t)size;
    while (size > 1) {
        size_t label = size - 1 > 64 ? size - 1 == 65 ? 62 : 63 : size - 2;
        *name++ = (uint8_t)label;
        memset(name, 'x', label);
        name += label;
        size -= 1 + label;
    }
    *name = 0;
}

static void set_up(void)
{
    proxy = calloc(1, sizeof *proxy);
    world = calloc(1, sizeof *world);
    memcpy(world->settings.loop_mark, "\1\2\3\4\5\6\7\10", sizeof world->settings.loop_mark);
    service.world = world;
    proxy->service = &service;
    transaction.group = &group;
    transaction.question = (struct proxy_question){.qtype = RRTYPE_A, .flags = PROXY_RD};
    attempt.transaction = &transaction;
    attempt.upstream = &upstream;
    attempt.id = 0x1234;
    memcpy(upstream.cookie, "abcdefgh", 8);
    upstream.cookie_size = 8;
    name_of(3);
}

static void tear_down(void)
{
    free(proxy);
    free(world);
}

#define HEAD "\x12\x34\x01\x20\0\1\0\0\0\0\0"
#define QUESTION "\1x\0\0\1\0\1"
#define OPTIONS      \
    "\0\x0a\0\x08"   \
    "abcdefgh"       \
    "\xff\x21\0\x08" \
    "\1\2\3\4\5\6\7\10"

START_TEST(octets)
{
    static const uint8_t plain[] = HEAD "\0" QUESTION;
    static const uint8_t datagram[] = HEAD "\1" QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\x18" OPTIONS;
    static const uint8_t tls[128] =
        HEAD "\1" QUESTION "\0\0\x29\x04\xd0\0\0\0\0\0\x62" OPTIONS "\0\x0c\0\x46";
    for (int transport = UPSTREAM_UDP; transport <= UPSTREAM_TLS; transport++) {
        upstream.server.transport = (enum upstream_transport)transport;
        bool padded = transport == UPSTREAM_TLS;
        memset(out, 0xff, sizeof out);
        ck_assert_uint_eq(proxy_compose(proxy, &attempt, out),
                          padded ? sizeof tls : sizeof datagram - 1);
        ck_assert_mem_eq(out, padded ? tls : datagram, padded ? sizeof tls : sizeof datagram - 1);
        attempt.plain = true;
        ck_assert_uint_eq(proxy_compose(proxy, &attempt, out), sizeof plain - 1);
        ck_assert_mem_eq(out, plain, sizeof plain - 1);
        attempt.plain = false;
    }
}
END_TEST

/* Whatever there is: over TLS the next multiple of 128, all of it there, and none elsewhere. */
START_TEST(sizes)
{
    for (size_t cookie = 8; cookie <= sizeof upstream.cookie; cookie += cookie == 8 ? 8 : 1) {
        upstream.cookie_size = (uint8_t)cookie;
        for (size_t size = 1; size <= NAME_MAX_OCTETS; size += size == 1 ? 2 : 1) {
            name_of(size);
            ck_assert_uint_eq(name_size(transaction.qname), size);
            size_t whole = 12 + size + 4 + 11 + 4 + cookie + 12;
            upstream.server.transport = UPSTREAM_TCP;
            ck_assert_uint_eq(proxy_compose(proxy, &attempt, out), whole);
            upstream.server.transport = UPSTREAM_TLS;
            size_t padded = proxy_compose(proxy, &attempt, out);
            ck_assert_uint_eq(padded % 128, 0);
            ck_assert_uint_ge(padded, whole + 4);
            ck_assert_uint_lt(padded, whole + 4 + 128);
            size_t data = 12 + size + 4 + 11;
            ck_assert_uint_eq(wire_get_u16(out + data - 2), padded - data);
            ck_assert_uint_eq(wire_get_u16(out + whole), EDNS_PADDING);
            ck_assert_uint_eq(wire_get_u16(out + whole + 2), padded - whole - 4);
            for (size_t i = whole + 4; i < padded; i++) {
                ck_assert_uint_eq(out[i], 0);
            }
        }
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("proxy_query");
    tcase_add_checked_fixture(unit.tests, set_up, tear_down);
    tcase_add_test(unit.tests, octets);
    tcase_add_test(unit.tests, sizes);
    return unit_end(&unit);
}

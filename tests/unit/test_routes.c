/*
 * Routes: which one a name takes, and that all of them is given back.
 */
#include "world/routes.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "names.h"
#include "unit.h"

/* Routes to these zones; each one's group is its place in the list. */
static struct routes *make_routes(const char *const *zones, size_t count)
{
    const uint8_t *names[16];
    uint32_t order[16];
    for (size_t i = 0; i < count; i++) {
        names[i] = names_wire(zones[i]);
    }
    struct routes *routes = calloc(1, sizeof *routes);
    ck_assert_ptr_nonnull(routes);
    ck_assert_int_eq(zone_index_new(names, count, order, &routes->index), 0);
    routes->route = calloc(count + 1, sizeof *routes->route);
    for (size_t i = 0; i < count; i++) {
        routes->route[order[i]].group = (uint32_t)i;
    }
    return routes;
}

/* The zone that a name is routed by, or -1; and the size of that zone's key. */
static int locate(const struct routes *routes, const char *name, const char *const *zones)
{
    struct key key, zone;
    key_from_name(names_wire(name), &key);
    uint16_t size = 0xffff;
    const struct route *route = routes_locate(routes, &key, &size);
    if (route == NULL) {
        ck_assert_uint_eq(size, 0xffff);
        return -1;
    }
    key_from_name(names_wire(zones[route->group]), &zone);
    ck_assert_uint_eq(size, zone.size);
    ck_assert_mem_eq(key.symbols, zone.symbols, size);
    return (int)route->group;
}

START_TEST(the_longest_zone)
{
    static const char *const zones[] = {"example.", "b.example.", "c.b.example.", "net.",
                                        "\\000.net."};
    struct routes *routes = make_routes(zones, 5);
    ck_assert_int_eq(locate(routes, "example.", zones), 0);
    ck_assert_int_eq(locate(routes, "EXAMPLE.", zones), 0);
    ck_assert_int_eq(locate(routes, "a.example.", zones), 0);
    ck_assert_int_eq(locate(routes, "bb.example.", zones), 0);
    ck_assert_int_eq(locate(routes, "b.example.", zones), 1);
    ck_assert_int_eq(locate(routes, "a.B.example.", zones), 1);
    ck_assert_int_eq(locate(routes, "c.b.example.", zones), 2);
    ck_assert_int_eq(locate(routes, "x.y.c.b.example.", zones), 2);
    ck_assert_int_eq(locate(routes, "d.b.example.", zones), 1);
    ck_assert_int_eq(locate(routes, "a.net.", zones), 3);
    ck_assert_int_eq(locate(routes, "a.\\000.net.", zones), 4);
    routes_free(routes);
}
END_TEST

START_TEST(none)
{
    static const char *const zones[] = {"b.example.", "net."};
    struct routes *routes = make_routes(zones, 2);
    ck_assert_int_eq(locate(routes, ".", zones), -1);
    ck_assert_int_eq(locate(routes, "example.", zones), -1);
    ck_assert_int_eq(locate(routes, "a.example.", zones), -1);
    ck_assert_int_eq(locate(routes, "ab.example.", zones), -1);
    ck_assert_int_eq(locate(routes, "b.example.org.", zones), -1);
    ck_assert_int_eq(locate(routes, "nett.", zones), -1);
    routes_free(routes);
    routes = make_routes(NULL, 0);
    ck_assert_int_eq(locate(routes, "example.", NULL), -1);
    ck_assert_int_eq(locate(routes, ".", NULL), -1);
    routes_free(routes);
}
END_TEST

START_TEST(the_root)
{
    static const char *const zones[] = {".", "b.example."};
    for (size_t count = 1; count <= 2; count++) {
        struct routes *routes = make_routes(zones, count);
        ck_assert_int_eq(locate(routes, ".", zones), 0);
        ck_assert_int_eq(locate(routes, "example.", zones), 0);
        ck_assert_int_eq(locate(routes, "a.b.c.", zones), 0);
        ck_assert_int_eq(locate(routes, "a.b.example.", zones), count == 1 ? 0 : 1);
        routes_free(routes);
    }
}
END_TEST

/* Compared with a look at all. */
START_TEST(random_zones)
{
    struct rng rng = rng_start();
    for (unsigned round = 0; round < 2000 / UNIT_SLOWER; round++) {
        uint8_t zones[12][NAME_MAX_OCTETS], name[NAME_MAX_OCTETS];
        const char *texts[12];
        size_t count = 0;
        for (unsigned i = 0; i < 12; i++) {
            names_random(&rng, NAMES_DENSE, (const uint8_t *)"", 4, zones[count]);
            bool there = false;
            for (size_t n = 0; n < count; n++) {
                there = there || names_compare(zones[n], zones[count]) == 0;
            }
            texts[count] = names_text(zones[count]);
            count += !there;
        }
        struct routes *routes = make_routes(texts, count);
        for (unsigned i = 0; i < 20; i++) {
            names_random(&rng, NAMES_DENSE, (const uint8_t *)"", 6, name);
            int expected = -1;
            for (size_t n = 0; n < count; n++) {
                if (names_under(name, zones[n]) &&
                    (expected < 0 || names_labels(zones[n]) > names_labels(zones[expected]))) {
                    expected = (int)n;
                }
            }
            ck_assert_int_eq(locate(routes, names_text(name), texts), expected);
        }
        routes_free(routes);
    }
}
END_TEST

START_TEST(who_is_allowed)
{
    struct prefix prefix;
    ck_assert_int_eq(prefix_parse("127.0.0.0/8", &prefix), 0);
    struct route route = {.allowed = 1, .allow = &prefix};
    struct sockaddr_in client = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    ck_assert(route_allows(&route, (const struct sockaddr *)&client));
    client.sin_addr.s_addr = htonl(0x80000001);
    ck_assert(!route_allows(&route, (const struct sockaddr *)&client));
    route.allowed = 0;
    ck_assert(!route_allows(&route, (const struct sockaddr *)&client));
}
END_TEST

/* The sanitizer's to judge: nothing is left, nothing freed twice. */
START_TEST(all_is_given_back)
{
    static const char *const zones[] = {"a.", "b.", "c."};
    struct routes *routes = make_routes(zones, 3);
    routes->allow = calloc(2, sizeof *routes->allow);
    routes->allowed = 2;
    routes->route[0].allow = routes->allow;
    routes->route[0].allowed = 2;
    routes->route[1].allow = calloc(1, sizeof *routes->allow);
    routes->route[1].allowed = 1;
    routes->groups = 2;
    routes->group = calloc(2, sizeof *routes->group);
    routes->group[0] =
        (struct upstream_group){.name = strdup("one"),
                                .probe_name = calloc(1, 1),
                                .servers = 2,
                                .server = calloc(2, sizeof *routes->group[0].server)};
    routes->group[0].server[0].text = strdup("192.0.2.1");
    routes->group[0].server[1].text = strdup("tls://192.0.2.2#dns.example");
    routes->group[0].server[1].tls_name = strdup("dns.example");
    routes->group[1].name = strdup("two"); /* where memory ended while it was made */
    routes_free(routes);

    routes = calloc(1, sizeof *routes);
    routes_free(routes);
    routes_free(NULL);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("routes");
    tcase_add_test(unit.tests, the_longest_zone);
    tcase_add_test(unit.tests, none);
    tcase_add_test(unit.tests, the_root);
    tcase_add_test(unit.tests, random_zones);
    tcase_add_test(unit.tests, who_is_allowed);
    tcase_add_test(unit.tests, all_is_given_back);
    return unit_end(&unit);
}

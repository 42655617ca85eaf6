/*
 * The commands of the control protocol that are about the proxy.
 */
#include "control_aid.h"
#include "unit.h"

static json_int_t flushed(struct client *client, const char *line)
{
    json_t *answer = client_ask(client, line);
    json_int_t number = number_at(result_of(answer), "flushed");
    json_decref(answer);
    return number;
}

START_TEST(cache_of_the_proxy)
{
    aid_routes();
    aid_start();
    counter_add(&aid.counters[0], COUNTER_proxy_hits, 5);
    counter_add(&aid.counters[1], COUNTER_proxy_hits, 6);
    counter_add(&aid.counters[1], COUNTER_proxy_stale, 7);
    counter_add(&aid.counters[0], COUNTER_proxy_misses, 8);
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"cache\"}");
    const json_t *result = result_of(answer);
    ck_assert_uint_eq(json_object_size(result), 8);
    ck_assert_int_eq(number_at(result, "size"), 1048576);
    ck_assert_int_eq(number_at(result, "used"), 4000);
    ck_assert_int_eq(number_at(result, "entries"), 30);
    ck_assert_int_eq(number_at(result, "put"), 40);
    ck_assert_int_eq(number_at(result, "evicted"), 2);
    ck_assert_int_eq(number_at(result, "hits"), 11);
    ck_assert_int_eq(number_at(result, "stale"), 7);
    ck_assert_int_eq(number_at(result, "misses"), 8);
    json_decref(answer);
    ck_assert_int_eq(flushed(&client, "{\"command\":\"cache\",\"action\":\"flush\"}"), 1000);
    ck_assert_int_eq(
        flushed(&client, "{\"command\":\"cache\",\"action\":\"flush\",\"name\":\"Ab.c\"}"), 5);
    ck_assert_int_eq(
        flushed(&client, "{\"command\":\"cache\",\"action\":\"flush\",\"name\":\".\"}"), 0);
    answer = client_ask(&client, "{\"command\":\"status\"}");
    ck_assert_int_eq(number_at(result_of(answer), "routes"), 2);
    json_decref(answer);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(upstreams_of_the_proxy)
{
    static const char *const numbers[] = {"queries",     "replies",     "timeouts",
                                          "unreachable", "rejected",    "servfail",
                                          "truncated",   "connections", "probes"};
    aid_routes();
    aid_start();
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"upstreams\"}");
    const json_t *list = json_object_get(result_of(answer), "upstreams");
    ck_assert_uint_eq(json_array_size(list), 2);
    const json_t *upstream = json_array_get(list, 0);
    ck_assert_str_eq(string_at(upstream, "group"), "resolvers");
    ck_assert_str_eq(string_at(upstream, "server"), "192.0.2.1");
    ck_assert_str_eq(string_at(upstream, "state"), "up");
    ck_assert_double_eq_tol(json_real_value(json_object_get(upstream, "latency_ms")), 12.34, 1e-6);
    ck_assert_int_eq(number_at(upstream, "queries"), 7);
    ck_assert_str_eq(string_at(upstream, "last_error"), "");
    ck_assert(json_is_null(json_object_get(upstream, "last_error_age")));
    ck_assert_uint_eq(json_object_size(json_object_get(upstream, "latency")), 0);
    upstream = json_array_get(list, 1);
    ck_assert_uint_eq(json_object_size(upstream), 17);
    ck_assert_str_eq(string_at(upstream, "server"), "tls://192.0.2.2#a.b");
    ck_assert_str_eq(string_at(upstream, "state"), "down");
    ck_assert(json_is_null(json_object_get(upstream, "latency_ms")));
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        ck_assert_int_eq(number_at(upstream, numbers[i]), 101 + (int)i);
    }
    ck_assert_int_eq(number_at(upstream, "outstanding"), 112);
    ck_assert_str_eq(string_at(upstream, "last_error"), "tls");
    ck_assert_int_ge(number_at(upstream, "last_error_age"), 5);
    ck_assert_int_le(number_at(upstream, "last_error_age"), 60);
    const json_t *latency = json_object_get(upstream, "latency");
    ck_assert_uint_eq(json_object_size(latency), 2);
    ck_assert_int_eq(number_at(latency, "1024"), 110);
    ck_assert_int_eq(number_at(latency, "inf"), 111);
    json_decref(answer);
    client_close(&client);
    aid_stop();
}
END_TEST

START_TEST(nothing_is_forwarded)
{
    aid_start();
    struct client client = client_connect();
    json_t *answer = client_ask(&client, "{\"command\":\"upstreams\"}");
    ck_assert_uint_eq(json_array_size(json_object_get(result_of(answer), "upstreams")), 0);
    json_decref(answer);
    answer = client_ask(&client, "{\"command\":\"cache\"}");
    ck_assert_int_eq(number_at(result_of(answer), "size"), 0);
    ck_assert_int_eq(number_at(result_of(answer), "entries"), 0);
    json_decref(answer);
    ck_assert_int_eq(flushed(&client, "{\"command\":\"cache\",\"action\":\"flush\"}"), 0);
    client_close(&client);
    aid_stop();
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("control_proxy");
    tcase_add_test(unit.tests, cache_of_the_proxy);
    tcase_add_test(unit.tests, upstreams_of_the_proxy);
    tcase_add_test(unit.tests, nothing_is_forwarded);
    return unit_end(&unit);
}

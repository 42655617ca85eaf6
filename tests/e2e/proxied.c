#include "proxied.h"

#include <string.h>

#include "certificate.h"
#include "transport.h"

struct scripted *up, *other;

static json_t *before; /* stats as they were */

static const char own_zone[] =
    "$TTL 3600\n@ SOA ns host 1 7200 900 86400 300\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.10\n"
    "child NS ns.child\nns.child A 192.0.2.5\n"
    "child DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n";

void proxied_upstreams(void)
{
    if (!file_exists(CERTIFICATE)) {
        certificate_make("up", "DNS:up.test,IP:127.0.0.1");
    }
    const char *key = harness_path("up.key");
    up = scripted_begin(CERTIFICATE, key);
    other = scripted_begin(CERTIFICATE, key);
}

static const char *whole(const char *proxy, const char *more)
{
    return format_text("{\"proxy\": %s%s%s}", proxy, more != NULL ? ", " : "",
                       more != NULL ? more : "");
}

void proxied_configure(const char *proxy, const char *more)
{
    daemon_configure(&server, whole(proxy, more));
}

void proxied_start(const char *name, const char *proxy, const char *more)
{
    static unsigned number;
    daemon_prepare(&server, format_text("%s%u", name, number++), whole(proxy, more));
    daemon_zone(&server, "own.test", own_zone);
    daemon_zone(&server, "tie.test", own_zone);
    daemon_start(&server);
    proxied_reset();
}

const char *proxied_upstream(const char *name, const char *servers, const char *options)
{
    const char *timeout = strstr(options, "timeout") == NULL ? ", \"timeout\": \"500ms\"" : "";
    return format_text("\"%s\": {\"servers\": [%s]%s%s}", name, servers, timeout, options);
}

const char *proxied_address(const struct scripted *s)
{
    return format_text("\"127.0.0.1:%u\"", scripted_port(s));
}

void proxied_reset(void)
{
    json_decref(before);
    before = control_stats(&server);
}

int64_t proxied_grown(const char *counter)
{
    json_t *now = control_stats(&server);
    int64_t grown = counter_value(now, counter) - counter_value(before, counter);
    json_object_set(json_object_get(before, "counters"), counter,
                    json_object_get(json_object_get(now, "counters"), counter));
    json_decref(now);
    return grown;
}

json_t *proxied_ctl(const char *arguments)
{
    struct output o = rrdnsctl(&server, format_text("-j %s", arguments));
    ck_assert_msg(o.status == 0, "rrdnsctl %s: %d\n%s", arguments, o.status, o.err);
    json_error_t error;
    json_t *answer = json_loads(o.out, 0, &error);
    ck_assert_msg(answer != NULL, "rrdnsctl %s: %s: %s", arguments, error.text, o.out);
    json_t *result = json_object_get(answer, "result");
    if (result == NULL) {
        return answer;
    }
    json_incref(result);
    json_decref(answer);
    return result;
}

const char *proxied_told(const char *group, const struct scripted *s, const char *key)
{
    json_t *result = control_result(&server, "upstreams");
    const char *server_text = s != NULL ? format_text("127.0.0.1:%u", scripted_port(s)) : "";
    const char *text = NULL;
    const json_t *one;
    size_t i;
    json_array_foreach (json_object_get(result, "upstreams"), i, one) {
        if (strcmp(json_at(one, "group"), group) == 0 &&
            strstr(json_at(one, "server"), server_text) != NULL) {
            text = format_text("%s", json_at(one, key));
        }
    }
    ck_assert_msg(text != NULL, "no %s in group %s: %s", server_text, group,
                  json_at(result, "upstreams"));
    json_decref(result);
    return text;
}

void proxied_await(const char *group, const struct scripted *s, const char *key, const char *text)
{
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    const char *now;
    while (strcmp(now = proxied_told(group, s, key), text) != 0) {
        ck_assert_msg(clock_ms() < end, "%s: %s is %s, not %s", group, key, now, text);
        pause_ms(10);
    }
}

START_TEST(stops)
{
    json_decref(before);
    before = NULL;
    daemon_stop(&server);
    scripted_end(up);
    scripted_end(other);
    up = other = NULL;
}
END_TEST

void proxied_group(Suite *suite, const char *name, void (*start)(void), const TTest *const *tests)
{
    harness_group(suite, name, start, tests, stops);
}

/*
 * Configuration: every fault by its exact message, defaults, overrides, the zone directory, and
 * text that is no configuration at all.
 */
#include "config_aid.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "dns/name.h"
#include "unit.h"

/* ---- Aids ---- */

static void zone_is(const struct config *config, size_t index, const char *name, const char *file,
                    bool listed)
{
    char text[NAME_MAX_TEXT];
    ck_assert_uint_lt(index, config->zones);
    name_to_text(config->zone[index].name, text);
    ck_assert_str_eq(text, name);
    ck_assert_str_eq(config->zone[index].file, file);
    ck_assert_int_eq(config->zone[index].listed, listed);
}

/* ---- What is good ---- */

START_TEST(defaults)
{
    struct config *config = good("{}");
    ck_assert_uint_ge(config->addresses, 1);
    ck_assert_uint_eq(config->workers, 0);
    ck_assert_str_eq(config->user, "rrdns");
    ck_assert_str_eq(config->group, "rrdns");
    ck_assert(config->user_line == 0 && config->group_line == 0 && !config->control_given);
    ck_assert_str_eq(config->nsid, "");
    ck_assert_str_eq(config->version, "");
    ck_assert_uint_eq(config->udp_payload_max, 1232);
    ck_assert_uint_eq(config->tcp_clients_max, 4096);
    ck_assert_uint_eq(config->tcp_clients_per_address, 64);
    ck_assert_uint_eq(config->tcp_idle_ms, 10000);
    ck_assert_uint_eq(config->tcp_queries_per_connection, 0);
    ck_assert(config->cookies);
    ck_assert_uint_eq(config->drain_ms, 5000);
    ck_assert_str_eq(config->control_socket, "/run/rrdns/rrdnsd.sock");
    ck_assert_int_eq(config->log_target, LOG_TARGET_STDERR);
    ck_assert_int_eq(config->log_level, LOG_LEVEL_INFO);
    ck_assert_str_eq(config->zone_directory, "");
    ck_assert_uint_eq(config->zones, 0);
    config_free(config);
}
END_TEST

START_TEST(no_file)
{
    struct config *config;
    struct diag diag = {0};
    ck_assert_int_eq(config_load(NULL, NULL, &config, &diag), RR_OK);
    ck_assert_ptr_null(config->path);
    config_free(config);
    diag_clear(&diag);
}
END_TEST

START_TEST(everything_set)
{
    struct config *config =
        good("{\"server\": {\"listen\": [\"192.0.2.1\", \"[2001:db8::1]:5353\", \"::1\"],\n"
             " \"workers\": 3, \"user\": \"u\", \"group\": \"g\", \"nsid\": \"n1\",\n"
             " \"version\": \"v\", \"udp_payload_max\": 4096, \"cookies\": false,\n"
             " \"drain\": \"500ms\", \"tcp\": {\"clients_max\": 10,\n"
             " \"clients_per_address\": 2, \"idle\": \"1m\", \"queries_per_connection\": 7}},\n"
             "\"control\": {\"socket\": \"c.sock\"}, \"log\": {\"target\": \"file:x.log\",\n"
             " \"level\": \"debug\"}}");
    ck_assert_uint_eq(config->addresses, 3);
    ck_assert_int_eq(config->address[0].address.ss_family, AF_INET);
    ck_assert_int_eq(config->address[1].address.ss_family, AF_INET6);
    ck_assert_uint_eq(config->workers, 3);
    ck_assert_str_eq(config->user, "u");
    ck_assert_str_eq(config->group, "g");
    ck_assert(config->user_line > 0 && config->group_line > 0 && config->control_given);
    ck_assert_str_eq(config->nsid, "n1");
    ck_assert_str_eq(config->version, "v");
    ck_assert_uint_eq(config->udp_payload_max, 4096);
    ck_assert(!config->cookies);
    ck_assert_uint_eq(config->drain_ms, 500);
    ck_assert_uint_eq(config->tcp_clients_max, 10);
    ck_assert_uint_eq(config->tcp_clients_per_address, 2);
    ck_assert_uint_eq(config->tcp_idle_ms, 60000);
    ck_assert_uint_eq(config->tcp_queries_per_connection, 7);
    ck_assert_str_eq(config->control_socket, "c.sock");
    ck_assert_int_eq(config->log_target, LOG_TARGET_FILE);
    ck_assert_str_eq(config->log_path, "x.log");
    ck_assert_int_eq(config->log_level, LOG_LEVEL_DEBUG);
    config_free(config);
}
END_TEST

START_TEST(log_targets)
{
    static const struct {
        const char *target;
        enum log_target is;
    } cases[] = {
        {"stderr", LOG_TARGET_STDERR},
        {"journal", LOG_TARGET_STDERR},
        {"syslog", LOG_TARGET_SYSLOG},
        {"/var/log/rrdns.log", LOG_TARGET_FILE},
        {"file:/var/log/rrdns.log", LOG_TARGET_FILE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"log\": {\"target\": \"%s\"}}", cases[i].target);
        struct config *config = good(text);
        ck_assert_int_eq(config->log_target, cases[i].is);
        if (cases[i].is == LOG_TARGET_FILE) {
            ck_assert_str_eq(config->log_path, "/var/log/rrdns.log");
        }
        config_free(config);
    }
}
END_TEST

/* Features still to come may be named with the value that leaves them off. */
START_TEST(off_values)
{
    config_free(
        good("{\"server\": {\"rate_limit\": {\"responses_per_second\": 0, \"slip\": 2,\n"
             "  \"exempt\": []}}, \"metrics\": {\"listen\": \"\"}, \"log\": {\"queries\": false},\n"
             " \"dnssec\": {}, \"zones\": [{\"name\": \"a\",\n"
             "  \"dnssec\": \"\"}]}"));
}
END_TEST

START_TEST(policies)
{
    /* A zone may name a policy that comes later. */
    static const char text[] =
        "{\"zones\": [{\"name\": \"b\", \"dnssec\": \"other\"}, {\"name\": \"a\", \"dnssec\":"
        " \"\"},\n {\"name\": \"c\", \"dnssec\": \"standard\"}],"
        " \"dnssec\": {\"standard\": {}, \"other\": {\"keys\": \"/k\", \"algorithm\": \"Ed25519\","
        " \"denial\": \"nsec3\", \"lifetime\": \"366d\", \"refresh\": \"100d\","
        " \"inception_offset\": \"0\", \"dnskey_ttl\": \"1d\"}}}";
    struct config *config;
    struct diag diag = {0};
    ck_assert_int_eq(config_parse("/etc/r/rrdns.json", text, strlen(text), NULL, &config, &diag),
                     RR_OK);
    ck_assert_uint_eq(config->policies, 2);
    const struct dnssec_policy *policy = &config->policy[0];
    ck_assert_str_eq(policy->name, "standard");
    ck_assert_str_eq(policy->keys, "/etc/r/keys");
    ck_assert_uint_eq(policy->algorithm, 13);
    ck_assert_int_eq(policy->denial, DENIAL_COMPACT);
    ck_assert_uint_eq(policy->lifetime, 14 * 86400);
    ck_assert_uint_eq(policy->refresh, 7 * 86400);
    ck_assert_uint_eq(policy->inception_offset, 3600);
    ck_assert_uint_eq(policy->dnskey_ttl, 3600);
    policy = &config->policy[1];
    ck_assert_str_eq(policy->name, "other");
    ck_assert_str_eq(policy->keys, "/k");
    ck_assert_uint_eq(policy->algorithm, 15);
    ck_assert_int_eq(policy->denial, DENIAL_NSEC3);
    ck_assert_uint_eq(policy->lifetime, 366 * 86400);
    ck_assert_uint_eq(policy->refresh, 100 * 86400);
    ck_assert_uint_eq(policy->inception_offset, 0);
    ck_assert_uint_eq(policy->dnskey_ttl, 86400);
    ck_assert_ptr_null(config->zone[0].policy);
    ck_assert_ptr_eq(config->zone[1].policy, policy);
    ck_assert_ptr_eq(config->zone[2].policy, &config->policy[0]);
    config_free(config);
}
END_TEST

START_TEST(paths_are_relative_to_the_file)
{
    static const char text[] = "{\"control\": {\"socket\": \"s\"}, \"log\": {\"target\":\n"
                               "\"file:l\"}, \"zones\": [{\"name\": \"a\"}, {\"name\": \".\"},\n"
                               "{\"name\": \"b.c.\", \"file\": \"d/e\"}, {\"name\": \"f\",\n"
                               "\"file\": \"/g\"}, {\"name\": \"0/25.2.0.192.in-addr.arpa\"}]}";
    struct config *config;
    struct diag diag = {0};
    ck_assert_int_eq(config_parse("/etc/x/rrdns.json", text, sizeof text - 1, NULL, &config, &diag),
                     RR_OK);
    ck_assert_str_eq(config->control_socket, "/etc/x/s");
    ck_assert_str_eq(config->log_path, "/etc/x/l");
    ck_assert_uint_eq(config->zones, 5);
    zone_is(config, 0, ".", "/etc/x/root.zone", true);
    zone_is(config, 1, "a.", "/etc/x/a.zone", true);
    zone_is(config, 2, "0/25.2.0.192.in-addr.arpa.", "/etc/x/0\\04725.2.0.192.in-addr.arpa.zone",
            true);
    zone_is(config, 3, "b.c.", "/etc/x/d/e", true);
    zone_is(config, 4, "f.", "/g", true);
    config_free(config);
}
END_TEST

START_TEST(installed_example)
{
    const char *source = getenv("RRDNS_SRC");
    char path[512];
    snprintf(path, sizeof path, "%s/tools/dist/rrdns.json", source != NULL ? source : ".");
    struct config *config = NULL;
    struct diag diag = {0};
    config_load(path, NULL, &config, &diag);
    /* The directory it names is the operator's to make. */
    for (size_t i = 0; i < diag.kept; i++) {
        ck_assert_ptr_nonnull(strstr(diag.entries[i].text, "zone_directory: "));
    }
    ck_assert_uint_le(diag.faults, 1);
    config_free(config);
    diag_clear(&diag);
}
END_TEST

/* ---- Faults ---- */

static const struct {
    const char *text, *lines;
} faults[] = {
    /* not JSON */
    {"", "rrdns.json:1: not JSON: '[' or '{' expected near end of file\n"},
    {"{\n\"server\": {\n", "rrdns.json:3: not JSON: string or '}' expected near end of file\n"},
    {"{\n\"server\": {},\n}\n", "rrdns.json:3: not JSON: string or '}' expected near '}'\n"},
    {"[]", "rrdns.json:1: must be an object, not a list\n"},
    /* keys */
    {"{\n\n\"servr\": {}}", "rrdns.json:3: servr: unknown key, did you mean \"server\"?\n"},
    {"{\"wholly\": 1}", "rrdns.json:1: wholly: unknown key\n"},
    {"{\"zones\": [\n{\"name\": \"a\"},\n{\"name\": \"b\"},\n{\"name\": \"c\",\n"
     "\"dnsec\": \"x\"}]}",
     "rrdns.json:5: zones[2].dnsec: unknown key, did you mean \"dnssec\"?\n"},
    {"{\"server\": {\"USER\": \"x\"}}",
     "rrdns.json:1: server.USER: unknown key, did you mean \"user\"?\n"},
    {"{\"log\": {\"level\": \"info\",\n\"lev\\u0065l\": \"debug\"}}",
     "rrdns.json:2: log.level: duplicate key, first given in line 1\n"},
    {"{\"log\": {},\n\"log\": {},\n\"log\": {\"x\": 1}}",
     "rrdns.json:2: log: duplicate key, first given in line 1\n"
     "rrdns.json:3: log: duplicate key, first given in line 1\n"
     "rrdns.json:3: log.x: unknown key\n"},
    {"{\"a\\n\\u001bb\": 1}", "rrdns.json:1: a\\x0a\\x1bb: unknown key\n"},
    {"{\"\": 1}", "rrdns.json:1: unknown key\n"},
    /* types */
    {"{\"server\": []}", "rrdns.json:1: server: must be an object, not a list\n"},
    {"{\"zones\": {}}", "rrdns.json:1: zones: must be a list, not an object\n"},
    {"{\"zones\": [\n1]}", "rrdns.json:2: zones[0]: must be an object, not a number\n"},
    {"{\"server\": {\"workers\": \"4\"}}",
     "rrdns.json:1: server.workers: must be a whole number, not a string\n"},
    {"{\"server\": {\"workers\": 1.5}}",
     "rrdns.json:1: server.workers: must be a whole number, not a fraction\n"},
    {"{\"server\": {\"cookies\": 1}}",
     "rrdns.json:1: server.cookies: must be true or false, not a number\n"},
    {"{\"server\": {\"user\": null}}", "rrdns.json:1: server.user: must be a string, not null\n"},
    {"{\"server\": {\"user\": false}}", "rrdns.json:1: server.user: must be a string, not false\n"},
    {"{\"server\": {\"drain\": 5}}",
     "rrdns.json:1: server.drain: must be a duration such as \"500ms\", \"10s\", \"5m\" or "
     "\"14d\", not a number\n"},
    {"{\"proxy\": {\"cache\": {\"size\": 5}}}",
     "rrdns.json:1: proxy.cache.size: must be a size such as \"512K\", \"64M\" or \"1G\", not a "
     "number\n"},
    /* ranges */
    {"{\"server\": {\"workers\": 300}}", "rrdns.json:1: server.workers: 300 is outside 0 to 256\n"},
    {"{\"server\": {\"workers\": -1}}", "rrdns.json:1: server.workers: -1 is outside 0 to 256\n"},
    {"{\"server\": {\"udp_payload_max\": 511}}",
     "rrdns.json:1: server.udp_payload_max: 511 is outside 512 to 4096\n"},
    {"{\"server\": {\"udp_payload_max\": 4097}}",
     "rrdns.json:1: server.udp_payload_max: 4097 is outside 512 to 4096\n"},
    {"{\"server\": {\"tcp\": {\"clients_max\": 0}}}",
     "rrdns.json:1: server.tcp.clients_max: 0 is outside 1 to 1000000\n"},
    {"{\"server\": {\"tcp\": {\"clients_per_address\": 0}}}",
     "rrdns.json:1: server.tcp.clients_per_address: 0 is outside 1 to 1000000\n"},
    {"{\"server\": {\"tcp\": {\"idle\": \"100ms\"}}}",
     "rrdns.json:1: server.tcp.idle: \"100ms\" is outside 1s to 1h\n"},
    {"{\"server\": {\"tcp\": {\"queries_per_connection\": 1000000001}}}",
     "rrdns.json:1: server.tcp.queries_per_connection: 1000000001 is outside 0 to 1000000000\n"},
    {"{\"server\": {\"drain\": \"2h\"}}",
     "rrdns.json:1: server.drain: \"2h\" is outside 0s to 1h\n"},
    {"{\"server\": {\"drain\": \"99999999999999999d\"}}",
     "rrdns.json:1: server.drain: \"99999999999999999d\" is outside 0s to 1h\n"},
    {"{\"server\": {\"drain\": \"5 s\"}}",
     "rrdns.json:1: server.drain: \"5 s\" is not a duration such as \"500ms\", \"10s\", \"5m\" or "
     "\"14d\"\n"},
    {"{\"server\": {\"drain\": \"5\"}}",
     "rrdns.json:1: server.drain: \"5\" is not a duration such as \"500ms\", \"10s\", \"5m\" or "
     "\"14d\"\n"},
    {"{\"proxy\": {\"cache\": {\"size\": \"64X\"}}}",
     "rrdns.json:1: proxy.cache.size: \"64X\" is not a size such as \"512K\", \"64M\" or \"1G\"\n"},
    {"{\"proxy\": {\"cache\": {\"size\": \"512K\"}}}",
     "rrdns.json:1: proxy.cache.size: \"512K\" is outside 1M to 1T\n"},
    {"{\"proxy\": {\"cache\": {\"size\": \"0\"}}}",
     "rrdns.json:1: proxy.cache.size: \"0\" is outside 1M to 1T\n"},
    {"{\"server\": {\"nsid\": \"0123456789012345678901234567890123456789012345678901234567890123"
     "45678901234567890123456789012345678901234567890123456789012345678\"}}",
     "rrdns.json:1: server.nsid: has 129 octets, at most 128 are possible\n"},
    /* addresses */
    {"{\"server\": {\"listen\": []}}", "rrdns.json:1: server.listen: needs one address at least\n"},
    {"{\"server\": {\"listen\": [\n\"localhost:53\",\n\"192.0.2.256\"]}}",
     "rrdns.json:2: server.listen[0]: \"localhost:53\" is not an address such as \"192.0.2.1:53\" "
     "or \"[2001:db8::1]:53\"\n"
     "rrdns.json:3: server.listen[1]: \"192.0.2.256\" is not an address such as \"192.0.2.1:53\" "
     "or \"[2001:db8::1]:53\"\n"},
    {"{\"server\": {\"listen\": [\"192.0.2.1:0\", \"[::1]:65536\", \"[::1]:x\"]}}",
     "rrdns.json:1: server.listen[0]: \"192.0.2.1:0\": the port is outside 1 to 65535\n"
     "rrdns.json:1: server.listen[1]: \"[::1]:65536\": the port is outside 1 to 65535\n"
     "rrdns.json:1: server.listen[2]: \"[::1]:x\" is not an address such as \"192.0.2.1:53\" or "
     "\"[2001:db8::1]:53\"\n"},
    {"{\"server\": {\"listen\": [\"192.0.2.1:53\", \"192.0.2.1\"]}}",
     "rrdns.json:1: server.listen[1]: \"192.0.2.1\" is given twice\n"},
    {"{\"server\": {\"listen\": [\"::1\", \"[0:0::1]:53\"]}}",
     "rrdns.json:1: server.listen[1]: \"[0:0::1]:53\" is given twice\n"},
    /* log */
    {"{\"log\": {\"level\": \"loud\"}}",
     "rrdns.json:1: log.level: \"loud\" is none of \"error\", \"warning\", \"info\" and "
     "\"debug\"\n"},
    {"{\"log\": {\"target\": \"printer\"}}",
     "rrdns.json:1: log.target: \"printer\" is none of \"stderr\", \"journal\", \"syslog\" and "
     "\"file:PATH\"\n"},
    /* zones */
    {"{\"zones\": [\n{\"file\": \"x\"}]}", "rrdns.json:2: zones[0]: has no \"name\"\n"},
    {"{\"zones\": [{\"name\": \"a..b\"}, {\"name\": \"\"}]}",
     "rrdns.json:1: zones[0].name: \"a..b\" is not a domain name\n"
     "rrdns.json:1: zones[1].name: \"\" is not a domain name\n"},
    {"{\"zones\": [{\"name\": "
     "\"a123456789012345678901234567890123456789012345678901234567890123.b\"}]}",
     "rrdns.json:1: zones[0].name: "
     "\"a123456789012345678901234567890123456789012345678901234567890123.b\" is longer than a "
     "domain name may be\n"},
    {"{\"zones\": [{\"name\": \"a\", \"file\": \"\"}]}",
     "rrdns.json:1: zones[0].file: must not be empty\n"},
    {"{\"zones\": [\n{\"name\": \"a.example\"},\n{\"name\": \"b\"},\n{\"name\": \"A.Example.\"}]}",
     "rrdns.json:4: zones[2]: zone A.Example is already given by zones[0] in line 2\n"},
    {"{\n\"zone_directory\": \"/nowhere/at/all\"}",
     "rrdns.json:2: zone_directory: /nowhere/at/all: No such file or directory\n"},
    /* dnssec */
    {"{\"zones\": [{\"name\": \"a\",\n\"dnssec\": \"standard\"}]}",
     "rrdns.json:2: zones[0].dnssec: no policy \"standard\" under \"dnssec\"\n"},
    {"{\"zones\": [{\"name\": \"a\"}, {\"dnssec\": \"standart\",\n\"name\": \"b\"}],\n"
     "\"dnssec\": {\"other\": {}, \"standard\": {}}}",
     "rrdns.json:1: zones[1].dnssec: no policy \"standart\" under \"dnssec\", did you mean "
     "\"standard\"?\n"},
    {"{\"dnssec\": {\"s\": {\"keys\": \"k\", \"lifetime\": \"14\"}}}",
     "rrdns.json:1: dnssec.s.lifetime: \"14\" is not a duration such as \"500ms\", "
     "\"10s\", \"5m\" or \"14d\"\n"},
    {"{\"dnssec\": {\"s\": {\"keys\": \"\", \"lifetim\": \"14d\",\n"
     "\"algorithm\": \"ecdsap256sha25\", \"denial\": \"nsec5\"}}}",
     "rrdns.json:1: dnssec.s.keys: must not be empty\n"
     "rrdns.json:1: dnssec.s.lifetim: unknown key, did you mean \"lifetime\"?\n"
     "rrdns.json:2: dnssec.s.algorithm: \"ecdsap256sha25\" is no algorithm that can be used here, "
     "did you mean \"ECDSAP256SHA256\"?\n"
     "rrdns.json:2: dnssec.s.denial: \"nsec5\" is none of \"compact\", \"nsec\" and "
     "\"nsec3\"\n"},
    {"{\"dnssec\": {\"s\": {\"algorithm\": \"dsa\", \"lifetime\": \"9s\", "
     "\"refresh\": \"0s\",\n\"inception_offset\": \"8d\", \"dnskey_ttl\": \"8d\"}}}",
     "rrdns.json:1: dnssec.s.algorithm: \"dsa\" is no algorithm that can be used here\n"
     "rrdns.json:1: dnssec.s.lifetime: \"9s\" is outside 10s to 366d\n"
     "rrdns.json:1: dnssec.s.refresh: \"0s\" is outside 1s to 366d\n"
     "rrdns.json:2: dnssec.s.inception_offset: \"8d\" is outside 0s to 7d\n"
     "rrdns.json:2: dnssec.s.dnskey_ttl: \"8d\" is outside 0s to 7d\n"},
    {"{\"dnssec\": {\"s\": {\"refresh\": \"1500ms\"}}}",
     "rrdns.json:1: dnssec.s.refresh: \"1500ms\" is not a number of whole seconds\n"},
    {"{\"dnssec\": {\"a\": {\"refresh\": \"14d\"},\n\"b\": {\"refresh\": \"13d\", "
     "\"inception_offset\": \"1d\"},\n\"c\": {\"dnskey_ttl\": \"2h\", \"refresh\": "
     "\"1h\"}, \"d\": {\"lifetime\": \"8d\"}}}",
     "rrdns.json:1: dnssec.a: refresh (14d) and inception_offset (1h) together must be less than "
     "lifetime (14d)\n"
     "rrdns.json:2: dnssec.b: refresh (13d) and inception_offset (1d) together must be less than "
     "lifetime (14d)\n"
     "rrdns.json:3: dnssec.c: dnskey_ttl (2h) must not be more than refresh (1h): signatures would "
     "expire in caches\n"},
    /* not yet */
    {"{\"server\": {\"rate_limit\": {\"responses_per_second\": 10}}}",
     "rrdns.json:1: server.rate_limit.responses_per_second: not available in this version (only 0 "
     "is accepted)\n"},
    {"{\"metrics\": {\"listen\": \"127.0.0.1:9100\"}}",
     "rrdns.json:1: metrics.listen: not available in this version (only \"\" is accepted)\n"},
    {"{\"log\": {\"queries\": true}}",
     "rrdns.json:1: log.queries: not available in this version (only false is accepted)\n"},
    /* all of them at once */
    {"{\"log\": {\"level\": 1},\n\"server\": {\"workers\": 999,\n\"x\": 1},\n"
     "\"zones\": [{\"name\": 7},\n{}]}",
     "rrdns.json:1: log.level: must be a string, not a number\n"
     "rrdns.json:2: server.workers: 999 is outside 0 to 256\n"
     "rrdns.json:3: server.x: unknown key\n"
     "rrdns.json:4: zones[0].name: must be a string, not a number\n"
     "rrdns.json:5: zones[1]: has no \"name\"\n"},
};

START_TEST(fault)
{
    bad(faults[_i].text, faults[_i].lines);
}
END_TEST

START_TEST(control_path_too_long)
{
    char text[256];
    snprintf(text, sizeof text, "{\"control\": {\"socket\": \"/%0120d\"}}", 0);
    bad(text, "rrdns.json:1: control.socket: the path has 121 octets, a socket's at most 107\n");
}
END_TEST

START_TEST(too_many_addresses)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("{\"server\": {\"listen\": [", out);
    for (unsigned port = 1; port <= 1025; port++) {
        fprintf(out, "%s\"127.0.0.1:%u\"", port > 1 ? "," : "", port);
    }
    fputs("]}}", out);
    fclose(out);
    bad(text, "rrdns.json:1: server.listen[1024]: more than 1024 addresses\n");
    free(text);
}
END_TEST

/* The 90th fault of many is the last that is kept, none is lost from the count. */
START_TEST(many_faults)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("{\"zones\": [{}", out);
    for (int i = 1; i < 50000; i++) {
        fputs(",\n{}", out);
    }
    fputs("]}", out);
    fclose(out);
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(parse(text, &config, &diag), RR_EINVAL);
    ck_assert_uint_eq(diag.faults, 50000);
    ck_assert_str_eq(diag.entries[99].text, "rrdns.json:100: zones[99]: has no \"name\"");
    diag_clear(&diag);
    free(text);
}
END_TEST

START_TEST(files_that_can_not_be_read)
{
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(config_load("/nowhere/rrdns.json", NULL, &config, &diag), RR_EINVAL);
    ck_assert_int_eq(config_load("/tmp", NULL, &config, &diag), RR_EINVAL);
    char *lines = all_lines(&diag);
    ck_assert_str_eq(lines, "/nowhere/rrdns.json: No such file or directory\n"
                            "/tmp: Is a directory\n");
    free(lines);
    diag_clear(&diag);
}
END_TEST

/* ---- The command line ---- */

START_TEST(overrides_replace)
{
    static const char text[] = "{\"server\": {\"listen\": [\"192.0.2.1\"], \"workers\": 2},\n"
                               "\"control\": {\"socket\": \"a\"}, \"zone_directory\": \"/no\"}";
    static const char *const listen[] = {"127.0.0.1:5300", "[::1]:5300"};
    make_directory();
    write_file("x.example.zone", "");
    struct config_overrides overrides = {listen, 2, directory, 5, "b"};
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(
        config_parse("/e/rrdns.json", text, sizeof text - 1, &overrides, &config, &diag), RR_OK);
    ck_assert_uint_eq(config->addresses, 2);
    ck_assert_uint_eq(config->workers, 5);
    ck_assert_str_eq(config->control_socket, "b");
    ck_assert_str_eq(config->zone_directory, directory);
    ck_assert_uint_eq(config->zones, 1);
    zone_is(config, 0, "x.example.", in_directory("x.example.zone"), false);
    config_free(config);
    remove_directory();
}
END_TEST

START_TEST(overrides_are_checked)
{
    static const char *const listen[] = {"127.0.0.1:5300", "here", "127.0.0.1:5300"};
    struct config_overrides overrides = {listen, 3, "/nowhere", 257, NULL};
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(config_load(NULL, &overrides, &config, &diag), RR_EINVAL);
    char *lines = all_lines(&diag);
    ck_assert_str_eq(lines, "--listen: \"here\" is not an address such as \"192.0.2.1:53\" or "
                            "\"[2001:db8::1]:53\"\n"
                            "--listen: \"127.0.0.1:5300\" is given twice\n"
                            "--workers: 257 is outside 0 to 256\n"
                            "--zones: /nowhere: No such file or directory\n");
    free(lines);
    diag_clear(&diag);
}
END_TEST

/* ---- The zone directory ---- */

START_TEST(zone_directory)
{
    make_directory();
    ck_assert_int_eq(mkdir(in_directory("zones"), 0700), 0);
    write_file("zones/b.example.zone", "");
    write_file("zones/a.example.zone", "");
    write_file("zones/C.Example.zone", "");
    write_file("zones/d\\046e.example.zone", "");
    write_file("zones/f..g.zone", "");
    write_file("zones/h.example.zone", "");
    write_file("zones/H.example.zone", "");
    write_file("zones/.hidden.zone", "");
    write_file("zones/.zone", "");
    write_file("zones/notes.txt", "");
    write_file("rrdns.json",
               "{\"zone_directory\": \"zones\", \"zones\": [{\"name\": \"b.example\",\n"
               "\"file\": \"other\"}, {\"name\": \"c.EXAMPLE\"}, {\"name\": \"z\"}]}");
    struct config *config = NULL;
    struct diag diag = {0};
    char path[256], expected[1024];
    snprintf(path, sizeof path, "%s", in_directory("rrdns.json"));
    ck_assert_int_eq(config_load(path, NULL, &config, &diag), RR_OK);
    char *lines = all_lines(&diag);
    snprintf(expected, sizeof expected,
             "warning: %s/zones/f..g.zone: not served: what is before \".zone\" is not a domain "
             "name\n"
             "warning: %s/zones/h.example.zone: not served: %s/zones/H.example.zone is the same "
             "zone\n",
             directory, directory, directory);
    ck_assert_str_eq(lines, expected);
    ck_assert_uint_eq(config->zones, 6);
    zone_is(config, 0, "a.example.", in_directory("zones/a.example.zone"), false);
    zone_is(config, 1, "b.example.", in_directory("other"), true);
    zone_is(config, 2, "c.EXAMPLE.", in_directory("zones/C.Example.zone"), true);
    zone_is(config, 3, "d\\.e.example.", in_directory("zones/d\\046e.example.zone"), false);
    zone_is(config, 4, "H.example.", in_directory("zones/H.example.zone"), false);
    zone_is(config, 5, "z.", in_directory("zones/z.zone"), true);
    free(lines);
    diag_clear(&diag);
    config_free(config);
    remove_directory();
}
END_TEST

START_TEST(many_zones)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("{\"zones\": [{\"name\": \"last\"}", out);
    for (unsigned i = 0; i < 200000; i++) {
        fprintf(out, ",\n{\"name\": \"zone%06u.example\", \"file\": \"z/%u\"}",
                (i * 7919u) % 200000, i);
    }
    fputs("]}", out);
    fclose(out);
    struct config *config = good(text);
    ck_assert_uint_eq(config->zones, 200001);
    zone_is(config, 1, "zone000001.example.", "z/17679", true);
    zone_is(config, 200000, "last.", "last.zone", true);
    config_free(config);
    free(text);
}
END_TEST

/* ---- Anything at all ---- */

/* Writes a JSON value with keys that the schema knows, at places where it may not. */
static void random_value(struct rng *rng, FILE *out, unsigned depth)
{
    static const char *const words[] = {
        "server", "listen",  "workers", "user",    "nsid",     "tcp",       "idle",    "rate_limit",
        "exempt", "control", "socket",  "metrics", "log",      "target",    "level",   "zones",
        "name",   "file",    "dnssec",  "proxy",   "cache",    "upstreams", "routes",  "allow",
        "10s",    "64M",     "a.b",     "..",      "[::1]:53", "\\u0061",   "\\\"\\n", "stderr",
        "keys",   "denial",  "refresh", "lifetime",
    };
    enum { WORDS = sizeof words / sizeof words[0] };
    uint32_t kind = rng_below(rng, depth > 6 ? 5 : 9);
    uint32_t count = rng_below(rng, 5);
    if (kind < 5) {
        static const char *const plain[] = {"1", "-7e3", "true", "null"};
        if (kind < 4) {
            fputs(plain[kind], out);
        } else {
            fprintf(out, "\"%s\"", words[rng_below(rng, WORDS)]);
        }
        return;
    }
    fputc(kind < 7 ? '{' : '[', out);
    for (uint32_t i = 0; i < count; i++) {
        fputs(i > 0 ? (rng_below(rng, 3) == 0 ? ",\n" : ", ") : "", out);
        if (kind < 7) {
            fprintf(out, "\"%s\": ", words[rng_below(rng, WORDS)]);
        }
        random_value(rng, out, depth + 1);
    }
    fputc(kind < 7 ? '}' : ']', out);
}

START_TEST(random_documents)
{
    struct rng rng = rng_start();
    for (int round = 0; round < 20000 / UNIT_SLOWER; round++) {
        char *text;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        fputs("{\"zones\": ", out);
        random_value(&rng, out, 0);
        fputs(", \"server\": ", out);
        random_value(&rng, out, 0);
        fputs("}", out);
        fclose(out);
        if (rng_below(&rng, 4) == 0 && size > 0) {
            text[rng_below(&rng, (unsigned)size)] = (char)rng_below(&rng, 256);
        }
        struct config *config = NULL;
        struct diag diag = {0};
        int error = config_parse("r", text, size, NULL, &config, &diag);
        ck_assert_int_eq(error != RR_OK, diag.faults > 0);
        config_free(config);
        diag_clear(&diag);
        free(text);
    }
}
END_TEST

START_TEST(deep_documents)
{
    char text[4001];
    memset(text, '[', 4000);
    text[4000] = '\0';
    bad(text, "rrdns.json:1: not JSON: maximum parsing depth reached near '['\n");
    struct config *config = NULL;
    struct diag diag = {0};
    char nested[2 * 2000 + 16];
    snprintf(nested, sizeof nested, "{\"x\": ");
    memset(nested + 6, '[', 2000);
    memset(nested + 2006, ']', 2000);
    strcpy(nested + 4006, "}");
    ck_assert_int_eq(parse(nested, &config, &diag), RR_EINVAL);
    ck_assert_str_eq(diag_first_fault(&diag), "rrdns.json:1: x: unknown key");
    diag_clear(&diag);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("config");
    tcase_add_test(unit.tests, defaults);
    tcase_add_test(unit.tests, no_file);
    tcase_add_test(unit.tests, everything_set);
    tcase_add_test(unit.tests, log_targets);
    tcase_add_test(unit.tests, off_values);
    tcase_add_test(unit.tests, policies);
    tcase_add_test(unit.tests, paths_are_relative_to_the_file);
    tcase_add_test(unit.tests, installed_example);
    tcase_add_loop_test(unit.tests, fault, 0, sizeof faults / sizeof faults[0]);
    tcase_add_test(unit.tests, control_path_too_long);
    tcase_add_test(unit.tests, too_many_addresses);
    tcase_add_test(unit.tests, many_faults);
    tcase_add_test(unit.tests, files_that_can_not_be_read);
    tcase_add_test(unit.tests, overrides_replace);
    tcase_add_test(unit.tests, overrides_are_checked);
    tcase_add_test(unit.tests, zone_directory);
    tcase_add_test(unit.tests, many_zones);
    tcase_add_test(unit.tests, random_documents);
    tcase_add_test(unit.tests, deep_documents);
    return unit_end(&unit);
}

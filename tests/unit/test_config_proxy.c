/*
 * Configuration of the proxy: what is taken, and every fault and warning by its exact message.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "config_aid.h"
#include "stream_aid.h"
#include "unit.h"

/* For servers with addresses that the machine may have: who listens everywhere would ask itself. */
#define HERE "\"server\": {\"listen\": [\"127.0.0.1\"]}, "

static struct stream_certificates authorities;

static void set_up(void)
{
    stream_certify(&authorities);
    setenv("SSL_CERT_FILE", authorities.ca, 1); /* the system's, on all machines */
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
}

static void tear_down(void)
{
    stream_certificates_free(&authorities);
}

/* Has a file of certificates in the directory, too. */
static void place(const char *from, const char *file)
{
    ck_assert_int_eq(symlink(from, in_directory(file)), 0);
}

/* ---- What is good ---- */

static void prefix_is(const struct prefix *prefix, const char *text)
{
    struct prefix expected;
    ck_assert_int_eq(prefix_parse(text, &expected), RR_OK);
    ck_assert_mem_eq(prefix, &expected, sizeof expected);
}

START_TEST(proxy_defaults)
{
    struct config *config = good("{}");
    const struct config_proxy *proxy = &config->proxy;
    ck_assert_uint_eq(proxy->allowed, 2);
    prefix_is(&proxy->allow[0], "127.0.0.0/8");
    prefix_is(&proxy->allow[1], "::1");
    ck_assert_uint_eq(proxy->queries_per_client, 2048);
    ck_assert_uint_eq(proxy->cache_size, 64 << 20);
    ck_assert_uint_eq(proxy->ttl_min_ms, 0);
    ck_assert_uint_eq(proxy->ttl_max_ms, 86400000);
    ck_assert_uint_eq(proxy->negative_ttl_max_ms, 3600000);
    ck_assert_uint_eq(proxy->stale_ms, 3600000);
    ck_assert(proxy->prefetch);
    ck_assert_uint_eq(proxy->groups, 0);
    ck_assert_uint_eq(proxy->routes, 0);
    config_free(config);

    config = good("{" HERE "\"proxy\": {\"upstreams\": {\"r\": {\"servers\": [\"192.0.2.1\"]}},\n"
                  "\"routes\": [{\"upstream\": \"r\", \"zone\": \".\"}]}}");
    const struct upstream_group *group = &config->proxy.group[0];
    ck_assert_int_eq(group->select, SELECT_FASTEST);
    ck_assert_uint_eq(group->timeout_ms, 2000);
    ck_assert_uint_eq(group->attempts, 3);
    ck_assert_uint_eq(group->queries_max, 4096);
    ck_assert(!group->case_mix && !group->origin);
    ck_assert_ptr_null(group->trust); /* nothing is asked over TLS */
    ck_assert_uint_eq(group->probe_name[0], 0);
    ck_assert_uint_eq(group->probe_type, 2);
    ck_assert_uint_eq(group->probe_interval_ms, 30000);
    ck_assert(!config->proxy.route[0].own_allow);
    ck_assert_uint_eq(config->proxy.route[0].rate, 0);
    ck_assert(!config->proxy.route[0].rate_truncates);
    config_free(config);
}
END_TEST

static void server_is(const struct upstream_server *server, enum upstream_transport transport,
                      const char *address, const char *tls_name, const char *text)
{
    char is[ADDRESS_TEXT_MAX];
    address_format((const struct sockaddr *)&server->address, is);
    ck_assert_str_eq(is, address);
    ck_assert_int_eq(server->transport, transport);
    ck_assert_str_eq(server->text, text);
    if (tls_name != NULL) {
        ck_assert_str_eq(server->tls_name, tls_name);
    } else {
        ck_assert_ptr_null(server->tls_name);
    }
}

START_TEST(proxy_everything_set)
{
    static const char text[] =
        "{" HERE
        "\"proxy\": {\"allow\": [\"192.0.2.0/24\", \"2001:db8::1\"], \"queries_per_client\": 7,\n"
        "\"cache\": {\"size\": \"1M\", \"ttl_min\": \"5s\", \"ttl_max\": \"7d\",\n"
        "  \"negative_ttl_max\": \"0\", \"stale\": \"0s\", \"prefetch\": false},\n"
        "\"routes\": [{\"zone\": \"Example.COM\", \"upstream\": \"b\", \"allow\": [],\n"
        "  \"rate_limit\": {\"queries_per_second\": 50, \"over\": \"truncate\"}},\n"
        "  {\"zone\": \".\", \"upstream\": \"a\", \"allow\": [\"10.0.0.0/8\"]}],\n"
        "\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\", \"[2001:db8::1]:5353\",\n"
        "    \"2001:db8::2\", \"tcp://192.0.2.2\", \"tls://192.0.2.3#dns.example\",\n"
        "    \"tls://192.0.2.4:8853\", \"tls://[2001:db8::3]\"],\n"
        "  \"select\": \"hash\", \"timeout\": \"5s\", \"attempts\": 8, \"queries_max\": 1,\n"
        "  \"case_mix\": true, \"tls_ca\": \"ca.pem\",\n"
        "  \"probe\": {\"name\": \"example.com\", \"type\": \"SOA\", \"interval\": \"1s\"}},\n"
        " \"b\": {\"servers\": [\"192.0.2.1\"], \"origin\": true, \"select\": \"ordered\",\n"
        "  \"tls_ca\": \"\"}}}}";
    struct config *config = NULL;
    struct diag diag = {0};
    make_directory();
    place(authorities.ca, "ca.pem");
    ck_assert_int_eq(
        config_parse(in_directory("rrdns.json"), text, strlen(text), NULL, &config, &diag), RR_OK);
    const struct config_proxy *proxy = &config->proxy;
    ck_assert_uint_eq(proxy->allowed, 2);
    prefix_is(&proxy->allow[0], "192.0.2.0/24");
    prefix_is(&proxy->allow[1], "2001:db8::1/128");
    ck_assert_uint_eq(proxy->queries_per_client, 7);
    ck_assert_uint_eq(proxy->cache_size, 1 << 20);
    ck_assert_uint_eq(proxy->ttl_min_ms, 5000);
    ck_assert_uint_eq(proxy->ttl_max_ms, 7 * 86400000);
    ck_assert_uint_eq(proxy->negative_ttl_max_ms, 0);
    ck_assert_uint_eq(proxy->stale_ms, 0);
    ck_assert(!proxy->prefetch);
    ck_assert_uint_eq(proxy->groups, 2);
    const struct upstream_group *a = &proxy->group[0], *b = &proxy->group[1];
    ck_assert_str_eq(a->name, "a");
    ck_assert_uint_eq(a->servers, 7);
    server_is(&a->server[0], UPSTREAM_UDP, "192.0.2.1:53", NULL, "192.0.2.1");
    server_is(&a->server[1], UPSTREAM_UDP, "[2001:db8::1]:5353", NULL, "[2001:db8::1]:5353");
    server_is(&a->server[2], UPSTREAM_UDP, "[2001:db8::2]:53", NULL, "2001:db8::2");
    server_is(&a->server[3], UPSTREAM_TCP, "192.0.2.2:53", NULL, "tcp://192.0.2.2");
    server_is(&a->server[4], UPSTREAM_TLS, "192.0.2.3:853", "dns.example",
              "tls://192.0.2.3#dns.example");
    server_is(&a->server[5], UPSTREAM_TLS, "192.0.2.4:8853", NULL, "tls://192.0.2.4:8853");
    server_is(&a->server[6], UPSTREAM_TLS, "[2001:db8::3]:853", NULL, "tls://[2001:db8::3]");
    ck_assert_int_eq(a->select, SELECT_HASH);
    ck_assert_uint_eq(a->timeout_ms, 5000);
    ck_assert_uint_eq(a->attempts, 8);
    ck_assert_uint_eq(a->queries_max, 1);
    ck_assert(a->case_mix && !a->origin);
    ck_assert_ptr_nonnull(a->trust);
    ck_assert_mem_eq(a->probe_name, "\7example\3com", 13);
    ck_assert_uint_eq(a->probe_type, 6);
    ck_assert_uint_eq(a->probe_interval_ms, 1000);
    ck_assert(b->origin);
    ck_assert_int_eq(b->select, SELECT_ORDERED);
    ck_assert_ptr_null(b->trust);
    ck_assert_uint_eq(proxy->routes, 2);
    ck_assert_mem_eq(proxy->route[0].zone, "\7Example\3COM", 13);
    ck_assert_uint_eq(proxy->route[0].group, 1);
    ck_assert(proxy->route[0].own_allow);
    ck_assert_uint_eq(proxy->route[0].allowed, 0);
    ck_assert_uint_eq(proxy->route[0].rate, 50);
    ck_assert(proxy->route[0].rate_truncates);
    ck_assert_uint_eq(proxy->route[1].group, 0);
    ck_assert_uint_eq(proxy->route[1].allowed, 1);
    prefix_is(&proxy->route[1].allow[0], "10.0.0.0/8");
    config_free(config);
    diag_clear(&diag);
    remove_directory();
}
END_TEST

/* A configuration that is taken, but with something to say. */
static void warned(const char *text, const char *expected)
{
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(parse(text, &config, &diag), RR_OK);
    char *lines = all_lines(&diag);
    ck_assert_str_eq(lines, expected);
    free(lines);
    config_free(config);
    diag_clear(&diag);
}

START_TEST(proxy_warnings)
{
    warned("{" HERE "\"proxy\": {\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\"]},\n"
           "\"b\": {\"servers\": [\"192.0.2.1\"]}},\n"
           "\"routes\": [{\"upstream\": \"a\", \"zone\": \".\"}]}}",
           "warning: rrdns.json:2: proxy.upstreams.b: no route uses it\n");
    warned("{" HERE "\"proxy\": {\"upstreams\": {\"a\": {\n\"tls_ca\": \"/nonexistent/ca.pem\",\n"
           "\"servers\": [\"tcp://192.0.2.1\"]}},\n"
           "\"routes\": [{\"upstream\": \"a\", \"zone\": \".\"}]}}",
           "warning: rrdns.json:2: proxy.upstreams.a.tls_ca: no server of the group is asked over "
           "TLS\n");
    warned("{" HERE "\"proxy\": {\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\"]}},\n"
           "\"allow\": [\"10.0.0.0/8\",\n\"::/0\"],\n"
           "\"routes\": [{\"upstream\": \"a\", \"zone\": \".\"},\n"
           "{\"upstream\": \"a\", \"zone\": \"b\", \"allow\": [\n\"0.0.0.0/0\"]},\n"
           "{\"upstream\": \"a\", \"zone\": \"c\", \"allow\": []}]}}",
           "warning: rrdns.json:6: proxy.routes[1].allow: every address: an open resolver, which "
           "anybody may use and abuse\n"
           "warning: rrdns.json:3: proxy.allow: every address: an open resolver, which anybody may "
           "use and abuse\n");
    /* What origins say is for everybody. */
    config_free(good("{" HERE "\"proxy\": {\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\"],\n"
                     "\"origin\": true}}, \"allow\": [\"0.0.0.0/0\", \"::/0\"],\n"
                     "\"routes\": [{\"upstream\": \"a\", \"zone\": \"b\"}]}}"));
    /* Nobody may ask, or all that may come with their route. */
    config_free(good("{" HERE
                     "\"proxy\": {\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\"]}},\n"
                     "\"allow\": [], \"routes\": [{\"upstream\": \"a\", \"zone\": \"b\"}]}}"));
}
END_TEST

/* How the servers of one group are taken; lines: its faults, without what stands before all. */
static void servers_are(const char *listen, const char *servers, const char *lines)
{
    char text[4096], expected[1024] = "";
    snprintf(text, sizeof text,
             "{\"server\": {\"listen\": [%s]}, \"proxy\": {\"upstreams\": {\"r\": {\"servers\": "
             "[%s]}}, \"routes\": [{\"zone\": \".\", \"upstream\": \"r\"}]}}",
             listen, servers);
    if (lines[0] == '\0') {
        config_free(good(text));
        return;
    }
    snprintf(expected, sizeof expected, "rrdns.json:1: proxy.upstreams.r.servers%s\n", lines);
    bad(text, expected);
}

START_TEST(servers_that_are_ourselves)
{
    static const char itself[] = "[0]: \"%s\" is this server itself: a loop";
    static const struct {
        const char *listen, *server;
        bool loop;
    } cases[] = {
        {"192.0.2.1:53", "192.0.2.1", true},
        {"192.0.2.1:53", "tcp://192.0.2.1:53", true},
        {"192.0.2.1:53", "192.0.2.1:54", false},
        {"192.0.2.1:53", "tls://192.0.2.1", false},
        {"192.0.2.1:853", "tls://192.0.2.1#a.b", true},
        {"192.0.2.1:53", "[::ffff:192.0.2.1]:53", true},
        {"[2001:db8::1]:53", "2001:db8::1", true},
        {"0.0.0.0:53", "127.0.0.53", true},
        {"0.0.0.0:53", "127.0.0.1:54", false},
        {"0.0.0.0:53", "240.0.0.1", false},
        {"0.0.0.0:53", "::1", false},
        {"[::]:53", "::1", true},
        {"[::]:53", "127.0.0.1", false},
        {"[::]:53", "100::1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char listen[64], server[64], line[128];
        snprintf(listen, sizeof listen, "\"%s\"", cases[i].listen);
        snprintf(server, sizeof server, "\"%s\"", cases[i].server);
        snprintf(line, sizeof line, itself, cases[i].server);
        servers_are(listen, server, cases[i].loop ? line : "");
    }
    /* Addresses of the command line count, those of the file that they replace don't. */
    static const char text[] =
        "{\"server\": {\"listen\": [\"192.0.2.1\"]}, \"proxy\": {\"upstreams\": {\"r\": "
        "{\"servers\": [\"192.0.2.1\", \"192.0.2.2\"]}},\n"
        "\"routes\": [{\"zone\": \".\", \"upstream\": \"r\"}]}}";
    const char *listen[] = {"192.0.2.2:53"};
    struct config_overrides overrides = {.listen = listen, .listens = 1, .workers = -1};
    struct config *config = NULL;
    struct diag diag = {0};
    ck_assert_int_eq(config_parse("f", text, strlen(text), &overrides, &config, &diag), RR_EINVAL);
    ck_assert_uint_eq(diag.faults, 1);
    ck_assert_str_eq(diag_first_fault(&diag), "f:1: proxy.upstreams.r.servers[1]: \"192.0.2.2\" is "
                                              "this server itself: a loop");
    diag_clear(&diag);
}
END_TEST

/* An address that some interface has, as the kernel tells by which one it would send from. */
START_TEST(servers_of_this_machine)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)}, from;
    socklen_t size = sizeof from;
    char server[64], line[128], address[INET_ADDRSTRLEN];
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        getsockname(fd, (struct sockaddr *)&from, &size) == 0) {
        inet_ntop(AF_INET, &from.sin_addr, address, sizeof address);
        snprintf(server, sizeof server, "\"%s\"", address);
        snprintf(line, sizeof line, "[0]: \"%s\" is this server itself: a loop", address);
        servers_are("\"0.0.0.0:53\"", server, line);
    }
    close(fd);
}
END_TEST

START_TEST(too_many_of_the_proxy)
{
    char *text, expected[256];
    size_t size;
    for (unsigned what = 0; what < 3; what++) {
        unsigned groups = what == 0 ? 1 : what == 1 ? 65 : 17;
        unsigned servers = what == 0 ? 17 : what == 1 ? 1 : 16;
        FILE *out = open_memstream(&text, &size);
        fprintf(out, "{" HERE "\"proxy\": {\"upstreams\": {");
        for (unsigned i = 0; i < groups; i++) {
            fprintf(out, "%s\"g%u\": {\"servers\": [", i > 0 ? "," : "", i);
            for (unsigned j = 0; j < servers; j++) {
                fprintf(out, "%s\"192.0.%u.%u\"", j > 0 ? "," : "", i, j + 1);
            }
            fprintf(out, "]}");
        }
        fprintf(out, "}}}");
        fclose(out);
        static const char *const lines[] = {
            ".g0.servers: 17 servers, at most 16 are possible",
            ": 65 groups, at most 64 are possible",
            ": 272 different servers, at most 256 are possible",
        };
        snprintf(expected, sizeof expected, "rrdns.json:1: proxy.upstreams%s\n", lines[what]);
        bad(text, expected);
        free(text);
    }
}
END_TEST

/* ---- Certificates ---- */

START_TEST(certificates_are_shared)
{
    make_directory();
    place(authorities.ca, "a.pem");
    place(authorities.strange, "b.pem");
    char text[1024];
    snprintf(text, sizeof text,
             "{" HERE "\"proxy\": {\"upstreams\": {"
             "\"a\": {\"servers\": [\"192.0.2.1\", \"tls://192.0.2.1\"], \"tls_ca\": \"a.pem\"},"
             "\"b\": {\"servers\": [\"tls://192.0.2.2\"], \"tls_ca\": \"b.pem\"},"
             "\"c\": {\"servers\": [\"tls://192.0.2.3\"]},"
             "\"d\": {\"servers\": [\"192.0.2.4\"]},"
             "\"e\": {\"servers\": [\"tls://192.0.2.5\"], \"tls_ca\": \"\"},"
             "\"f\": {\"servers\": [\"tls://192.0.2.6\"], \"tls_ca\": \"%s\"}}}}",
             in_directory("a.pem"));
    struct config *config = NULL;
    struct diag diag = {0};
    int error = config_parse(in_directory("rrdns.json"), text, strlen(text), NULL, &config, &diag);
    ck_assert_msg(error == RR_OK, "%s", diag_first_fault(&diag));
    const struct upstream_group *group = config->proxy.group;
    for (size_t i = 0; i < 6; i++) {
        ck_assert((group[i].trust == NULL) == (i == 3));
    }
    ck_assert_ptr_eq(group[0].trust, group[5].trust);
    ck_assert_ptr_eq(group[2].trust, group[4].trust);
    ck_assert_ptr_ne(group[0].trust, group[1].trust);
    ck_assert_ptr_ne(group[1].trust, group[2].trust);
    config_free(config);
    diag_clear(&diag);
    remove_directory();
}
END_TEST

START_TEST(certificates_that_cannot_be_read)
{
    char text[512], expected[512];
    make_directory();
    write_file("empty.pem", "nothing\n");
    write_file("broken.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    for (unsigned i = 0; i < 4; i++) {
        static const char *const files[] = {"none.pem", "empty.pem", "", "broken.pem"};
        static const char *const whys[] = {"No such file or directory",
                                           "holds no certificate in PEM form", "is no regular file",
                                           "holds PEM that can't be read"};
        const char *path = in_directory(files[i]);
        snprintf(text, sizeof text,
                 "{" HERE
                 "\"proxy\": {\"upstreams\": {\"q\": {\"servers\": [\"192.0.2.1\"]},\n\"r\": {"
                 "\"servers\": [\"tls://192.0.2.1\"],\n\"tls_ca\": \"%s\"}}}}",
                 path);
        snprintf(expected, sizeof expected, "rrdns.json:3: proxy.upstreams.r.tls_ca: \"%s\": %s\n",
                 path, whys[i]);
        bad(text, expected);
    }
    remove_directory();
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    bad("{" HERE "\"proxy\": {\"upstreams\": {\n\"r\": {\"servers\": [\"tls://192.0.2.1\"],\n"
        "\"tls_ca\": \"\"}, \"s\": {\n\"servers\": [\"tls://192.0.2.2\"]}}}}",
        "rrdns.json:2: proxy.upstreams.r: no \"tls_ca\", and of the system's certificates there are "
        "none that can be read\n"
        "rrdns.json:3: proxy.upstreams.s: no \"tls_ca\", and of the system's certificates there are "
        "none that can be read\n");
}
END_TEST

/* ---- Faults ---- */

static const struct {
    const char *text, *lines;
} faults[] = {
    {"{\"proxy\": {\"allow\": [\"192.0.2.1/24\",\n\"localhost\", \"192.0.2.1/33\"],\n"
     "\"queries_per_client\": 0}}",
     "rrdns.json:1: proxy.allow[0]: \"192.0.2.1/24\" has bits set past its length\n"
     "rrdns.json:2: proxy.allow[1]: \"localhost\" is no address or prefix such as "
     "\"192.0.2.0/24\" or \"2001:db8::/32\"\n"
     "rrdns.json:2: proxy.allow[2]: \"192.0.2.1/33\" is no address or prefix such as "
     "\"192.0.2.0/24\" or \"2001:db8::/32\"\n"
     "rrdns.json:3: proxy.queries_per_client: 0 is outside 1 to 1000000\n"},
    {"{\"proxy\": {\"cache\": {\"ttl_min\": \"2h\", \"ttl_max\": \"0\",\n"
     "\"negative_ttl_max\": \"2d\", \"stale\": \"1500ms\"}}}",
     "rrdns.json:1: proxy.cache.ttl_min: \"2h\" is outside 0s to 1h\n"
     "rrdns.json:1: proxy.cache.ttl_max: \"0\" is outside 1s to 7d\n"
     "rrdns.json:2: proxy.cache.negative_ttl_max: \"2d\" is outside 0s to 1d\n"
     "rrdns.json:2: proxy.cache.stale: \"1500ms\" is not a number of whole seconds\n"},
    {"{\"proxy\": {\n\"cache\": {\"ttl_min\": \"1m\", \"ttl_max\": \"30s\"}}}",
     "rrdns.json:2: proxy.cache: ttl_min (1m) must not be more than ttl_max (30s)\n"},
    {"{" HERE
     "\"proxy\": {\"upstreams\": {\"r\": {\"servers\": [\"dns.example\",\n\"192.0.2.1:0\", "
     "\"udp://192.0.2.1\", \"192.0.2.1#a\",\n\"tls://192.0.2.1#a..b\", \"tls://192.0.2.1#\", "
     "\"0.0.0.0\",\n\"[::]:53\", \"\"]}}}}",
     "rrdns.json:1: proxy.upstreams.r.servers[0]: \"dns.example\" is no server such as "
     "\"192.0.2.1\", \"[2001:db8::1]:53\", \"tcp://192.0.2.1\" or "
     "\"tls://192.0.2.1#dns.example\"\n"
     "rrdns.json:2: proxy.upstreams.r.servers[1]: \"192.0.2.1:0\": the port is outside 1 to "
     "65535\n"
     "rrdns.json:2: proxy.upstreams.r.servers[2]: \"udp://192.0.2.1\" is no server such as "
     "\"192.0.2.1\", \"[2001:db8::1]:53\", \"tcp://192.0.2.1\" or "
     "\"tls://192.0.2.1#dns.example\"\n"
     "rrdns.json:2: proxy.upstreams.r.servers[3]: \"192.0.2.1#a\" is no server such as "
     "\"192.0.2.1\", \"[2001:db8::1]:53\", \"tcp://192.0.2.1\" or "
     "\"tls://192.0.2.1#dns.example\"\n"
     "rrdns.json:3: proxy.upstreams.r.servers[4]: \"tls://192.0.2.1#a..b\": what is behind \"#\" "
     "is no host name\n"
     "rrdns.json:3: proxy.upstreams.r.servers[5]: \"tls://192.0.2.1#\": what is behind \"#\" is "
     "no host name\n"
     "rrdns.json:3: proxy.upstreams.r.servers[6]: \"0.0.0.0\": no server has that address\n"
     "rrdns.json:4: proxy.upstreams.r.servers[7]: \"[::]:53\": no server has that address\n"
     "rrdns.json:4: proxy.upstreams.r.servers[8]: \"\" is no server such as \"192.0.2.1\", "
     "\"[2001:db8::1]:53\", \"tcp://192.0.2.1\" or \"tls://192.0.2.1#dns.example\"\n"},
    {"{" HERE "\"proxy\": {\"upstreams\": {\"a\": {},\n\"b\": {\"servers\": []},\n"
     "\"c\": {\"server\": [\"192.0.2.1\"]}}}}",
     "rrdns.json:1: proxy.upstreams.a: has no \"servers\"\n"
     "rrdns.json:2: proxy.upstreams.b.servers: needs one server at least\n"
     "rrdns.json:3: proxy.upstreams.c.server: unknown key, did you mean \"servers\"?\n"},
    {"{" HERE
     "\"proxy\": {\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\", \"tcp://192.0.2.1\",\n"
     "\"192.0.2.1:53\"]},\n\"b\": {\"servers\": [\"tls://192.0.2.1#a.B\",\n"
     "\"tls://192.0.2.1\", \"tls://192.0.2.1:853#A.b\"]}}}}",
     "rrdns.json:2: proxy.upstreams.a.servers[2]: \"192.0.2.1:53\" is given twice\n"
     "rrdns.json:4: proxy.upstreams.b.servers[2]: \"tls://192.0.2.1:853#A.b\" is given twice\n"},
    {"{" HERE
     "\"proxy\": {\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\"], \"select\": \"best\",\n"
     "\"timeout\": \"9ms\", \"attempts\": 9, \"queries_max\": 0,\n\"case_mix\": 1, \"origin\": "
     "\"no\", \"probe\": {\"name\": \"a..b\",\n\"type\": \"AXFR\", \"interval\": \"500ms\"}}}}}",
     "rrdns.json:1: proxy.upstreams.a.select: \"best\" is none of \"fastest\", \"roundrobin\", "
     "\"ordered\" and \"hash\"\n"
     "rrdns.json:2: proxy.upstreams.a.timeout: \"9ms\" is outside 10ms to 5s\n"
     "rrdns.json:2: proxy.upstreams.a.attempts: 9 is outside 1 to 8\n"
     "rrdns.json:2: proxy.upstreams.a.queries_max: 0 is outside 1 to 1000000\n"
     "rrdns.json:3: proxy.upstreams.a.case_mix: must be true or false, not a number\n"
     "rrdns.json:3: proxy.upstreams.a.origin: must be true or false, not a string\n"
     "rrdns.json:3: proxy.upstreams.a.probe.name: \"a..b\" is not a domain name\n"
     "rrdns.json:4: proxy.upstreams.a.probe.type: \"AXFR\" is no record type that can be asked "
     "for\n"
     "rrdns.json:4: proxy.upstreams.a.probe.interval: \"500ms\" is outside 1s to 1h\n"},
    {"{" HERE "\"proxy\": {\"upstreams\": {\"a\": {\"servers\": [\"192.0.2.1\"], \"attempts\": 0, "
     "\"probe\": {\"type\": \"NOTHING\"}}}}}",
     "rrdns.json:1: proxy.upstreams.a.attempts: 0 is outside 1 to 8\n"
     "rrdns.json:1: proxy.upstreams.a.probe.type: \"NOTHING\" is no record type that can be asked "
     "for\n"},
    {"{\"proxy\": {\"routes\": [{\"upstream\": \"r\"},\n{\"zone\": \".\"},\n{\"zone\": \"a..b\", "
     "\"upstream\": \"r\", \"allow\": [\"x\"],\n\"rate_limit\": {\"queries_per_second\": -1, "
     "\"over\": \"drop\"}}]}}",
     "rrdns.json:1: proxy.routes[0]: has no \"zone\"\n"
     "rrdns.json:2: proxy.routes[1]: has no \"upstream\"\n"
     "rrdns.json:3: proxy.routes[2].zone: \"a..b\" is not a domain name\n"
     "rrdns.json:3: proxy.routes[2].allow[0]: \"x\" is no address or prefix such as "
     "\"192.0.2.0/24\" or \"2001:db8::/32\"\n"
     "rrdns.json:4: proxy.routes[2].rate_limit.queries_per_second: -1 is outside 0 to "
     "1000000000\n"
     "rrdns.json:4: proxy.routes[2].rate_limit.over: \"drop\" is none of \"refuse\" and "
     "\"truncate\"\n"},
    {"{" HERE "\"proxy\": {\"upstreams\": {\"other\": {\"servers\": [\"192.0.2.1\"]},\n"
     "\"resolvers\": {\"servers\": [\"192.0.2.1\"]}},\n\"routes\": [{\"zone\": \".\",\n"
     "\"upstream\": \"resolver\"},\n{\"zone\": \"a\", \"upstream\": \"nowhere\"}]}}",
     "rrdns.json:4: proxy.routes[0].upstream: no group \"resolver\" under \"proxy.upstreams\", "
     "did you mean \"resolvers\"?\n"
     "rrdns.json:5: proxy.routes[1].upstream: no group \"nowhere\" under \"proxy.upstreams\"\n"},
    {"{" HERE "\"proxy\": {\"upstreams\": {\"r\": {\"servers\": [\"192.0.2.1\"]}},\n"
     "\"routes\": [{\"zone\": \"b.a\", \"upstream\": \"r\"},\n{\"zone\": \"a\", \"upstream\": "
     "\"r\"},\n{\"upstream\": \"r\", \"zone\": \"B.a.\"},\n{\"zone\": \".\", \"upstream\": "
     "\"r\"},\n{\"zone\": \"b.A\", \"upstream\": \"r\"}]}}",
     "rrdns.json:4: proxy.routes[2].zone: B.a. is already given by proxy.routes[0] in line 2\n"
     "rrdns.json:6: proxy.routes[4].zone: b.A. is already given by proxy.routes[0] in line 2\n"},
};

START_TEST(fault)
{
    bad(faults[_i].text, faults[_i].lines);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("config_proxy");
    tcase_add_unchecked_fixture(unit.tests, set_up, tear_down);
    tcase_add_test(unit.tests, proxy_defaults);
    tcase_add_test(unit.tests, proxy_everything_set);
    tcase_add_test(unit.tests, proxy_warnings);
    tcase_add_test(unit.tests, servers_that_are_ourselves);
    tcase_add_test(unit.tests, servers_of_this_machine);
    tcase_add_test(unit.tests, too_many_of_the_proxy);
    tcase_add_test(unit.tests, certificates_are_shared);
    tcase_add_test(unit.tests, certificates_that_cannot_be_read);
    tcase_add_loop_test(unit.tests, fault, 0, sizeof faults / sizeof faults[0]);
    return unit_end(&unit);
}

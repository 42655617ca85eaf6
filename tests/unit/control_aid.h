/*
 * What the tests of the control socket share: the real control.c, on an event loop of its own
 * thread, around a server whose parts are made up here. net_*, loader_*, forwarding_*,
 * proxy_cache_* and server_* functions are defined in place of the real ones, so this is for one
 * program only.
 */
#ifndef RRDNS_TESTS_CONTROL_AID_H
#define RRDNS_TESTS_CONTROL_AID_H

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/thread.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/control.h"
#include "daemon/forwarding.h"
#include "daemon/loader.h"
#include "daemon/server.h"
#include "dns/name.h"
#include "net/net.h"
#include "no_cache.h"

enum { AID_PATIENCE_MS = 20000, AID_WORKERS = 2 };

/* ---- The made-up parts ---- */

static struct {
    struct server server;
    struct counters counters[AID_WORKERS + 2];
    pthread_t thread;
    char directory[64];
    char socket[128];

    /* Set before aid_start. */
    size_t zones;  /* z000000.example to this many */
    int reload_ms; /* that a reload takes */
    int reload_error;
    struct loader_result reload;
    struct diag reload_diag;
    unsigned reloads; /* asked for */
    struct routes *routes;
} aid;

const struct counters *net_counters(const struct net *net, unsigned worker)
{
    (void)net;
    return &aid.counters[worker];
}

unsigned net_workers(const struct net *net)
{
    (void)net;
    return AID_WORKERS;
}

unsigned net_counter_sets(const struct net *net)
{
    (void)net;
    return AID_WORKERS;
}

/* Slot n has counted n + 1000 queries, 2 negative answers, 3000 octets. */
void net_zone_counts(const struct net *net, uint32_t slot, uint64_t *queries, uint64_t *nxdomain,
                     uint64_t *bytes)
{
    (void)net;
    *queries = slot + 1000;
    *nxdomain = 2;
    *bytes = 3000;
}

size_t net_addresses(const struct net *net, const struct net_address **addresses)
{
    static struct net_address address;
    struct sockaddr_in *in = (struct sockaddr_in *)&address.address;
    (void)net;
    in->sin_family = AF_INET;
    in->sin_port = htons(5300);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.size = sizeof *in;
    *addresses = &address;
    return 1;
}

const struct routes *forwarding_routes(const struct forwarding *forwarding)
{
    (void)forwarding;
    return aid.routes;
}

/* Slot 0 is up and well; all others have counted 101, 102, ... and are down. */
void forwarding_totals(const struct forwarding *forwarding, const struct net *net, uint32_t slot,
                       struct upstream_totals *totals)
{
    (void)forwarding;
    (void)net;
    *totals = (struct upstream_totals){.queries = 7, .state = UPSTREAM_UP, .ewma_ns = 12340000};
    if (slot > 0) {
        *totals = (struct upstream_totals){
            .queries = 101,
            .replies = 102,
            .timeouts = 103,
            .unreachable = 104,
            .rejected = 105,
            .servfail = 106,
            .truncated = 107,
            .connections = 108,
            .probes = 109,
            .latency = {[10] = 110, [31] = 111},
            .outstanding = 112,
            .state = UPSTREAM_DOWN,
            .last_error = UPSTREAM_TLS_FAILED,
            .last_error_ns = clock_now_ns() - UINT64_C(5500000000),
        };
    }
}

struct proxy_cache *proxy_cache_new(size_t size)
{
    (void)size;
    ck_abort_msg("a cache is made");
}

void proxy_cache_free(struct proxy_cache *cache)
{
    ck_assert_ptr_null(cache);
}

/* Below a name: as many entries as its key has symbols. */
size_t proxy_cache_flush(struct proxy_cache *cache, const struct key *name)
{
    (void)cache;
    return name != NULL ? name->size : 1000;
}

void proxy_cache_figures(const struct proxy_cache *cache, struct proxy_cache_figures *figures)
{
    (void)cache;
    *figures = (struct proxy_cache_figures){
        .size = 1048576, .used = 4000, .entries = 30, .put = 40, .evicted = 2};
}

/* Routes with two servers in one group; no more of them than control commands look at. */
static inline void aid_routes(void)
{
    static const uint8_t *const names[] = {(const uint8_t *)"\4test", (const uint8_t *)""};
    static char texts[][24] = {"192.0.2.1", "tls://192.0.2.2#a.b"}, name[] = "resolvers";
    static struct upstream_server server[] = {{.text = texts[0]}, {.text = texts[1], .slot = 1}};
    static struct upstream_group group = {.name = name, .servers = 2, .server = server};
    static struct routes routes = {.groups = 1, .group = &group};
    uint32_t order[2];
    ck_assert_int_eq(zone_index_new(names, 2, order, &routes.index), RR_OK);
    routes.cache = (struct proxy_cache *)(void *)&routes; /* there is one; it is not looked into */
    aid.routes = &routes;
}

const struct counters *loader_counters(const struct loader *loader)
{
    (void)loader;
    return &aid.counters[AID_WORKERS];
}

void loader_totals(struct loader *loader, size_t *zones, size_t *serving, uint64_t *generation)
{
    (void)loader;
    *zones = aid.zones;
    *serving = aid.zones > 0 ? aid.zones - 1 : 0;
    *generation = 7;
}

static void aid_zone(size_t number, struct loader_zone_info *info)
{
    char text[32];
    memset(info, 0, sizeof *info);
    snprintf(text, sizeof text, "z%06zu.example", number);
    ck_assert_int_eq(name_from_text(text, strlen(text), NULL, info->name), 0);
    info->slot = (uint32_t)number;
    info->serving = number != 1;
    info->serial = 100 + (uint32_t)number;
    info->records = 5;
    info->nodes = 3;
    info->bytes = 4096;
    info->loaded_at = 1700000000;
    info->queries_base = 1000;
    snprintf(info->file, sizeof info->file, "/zones/%s.zone", text);
    if (number == 1) {
        /* A quote of a zone file need not be UTF-8. */
        snprintf(info->last_error, sizeof info->last_error, "z.zone:3: caf\xe9 is no address");
    }
}

/* The number of the zone with this name, or aid.zones. */
static size_t aid_zone_number(const uint8_t *name)
{
    char text[NAME_MAX_TEXT];
    size_t number = 0;
    int end = 0;
    size_t length = name_to_text(name, text);
    for (size_t i = 0; i < length; i++) {
        text[i] = (char)name_lower((uint8_t)text[i]);
    }
    int got = sscanf(text, "z%6zu.example.%n", &number, &end);
    return got == 1 && text[end] == '\0' && number < aid.zones ? number : aid.zones;
}

int loader_zone_info(struct loader *loader, const uint8_t *name, struct loader_zone_info *info)
{
    (void)loader;
    size_t number = aid_zone_number(name);
    if (number == aid.zones) {
        return RR_ENOENT;
    }
    aid_zone(number, info);
    return RR_OK;
}

bool loader_signing(struct loader *loader, const uint8_t *name,
                    void (*show)(void *context, const struct signing *signing), void *context)
{
    (void)loader;
    (void)name;
    (void)show;
    (void)context;
    return false; /* tests/e2e asks about zones that are signed */
}

size_t loader_each(struct loader *loader, const uint8_t *after, size_t limit,
                   void (*each)(void *context, const struct loader_zone_info *info), void *context)
{
    (void)loader;
    size_t number = after != NULL ? aid_zone_number(after) + 1 : 0;
    size_t told = 0;
    for (; told < limit && number < aid.zones; told++) {
        struct loader_zone_info info;
        aid_zone(number++, &info);
        each(context, &info);
    }
    return told;
}

struct aid_reload {
    server_reload_done *done;
    void *context;
};

static void aid_reload_over(evutil_socket_t fd, short events, void *context)
{
    struct aid_reload *reload = context;
    struct server_reload_result result = {.error = aid.reload_error,
                                          .diag = &aid.reload_diag,
                                          .restart = "server.user",
                                          .zones = &aid.reload};
    (void)fd;
    (void)events;
    reload->done(reload->context, &result);
    free(reload);
}

int server_reload(struct server *server, const uint8_t *const *names, size_t count,
                  server_reload_done *done, void *context)
{
    struct aid_reload *reload = malloc(sizeof *reload);
    const struct timeval after = {aid.reload_ms / 1000, aid.reload_ms % 1000 * 1000};
    (void)names;
    (void)count;
    aid.reloads++;
    *reload = (struct aid_reload){done, context};
    event_base_once(server->base, -1, EV_TIMEOUT, aid_reload_over, reload, &after);
    return RR_OK;
}

void server_stop(struct server *server)
{
    event_base_loopbreak(server->base);
}

/* ---- Life ---- */

static inline void aid_prepare(void)
{
    strcpy(aid.directory, "/tmp/rrdns-control-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(aid.directory));
    snprintf(aid.socket, sizeof aid.socket, "%s/s", aid.directory);
    signal(SIGPIPE, SIG_IGN); /* as the server does */
    evthread_use_pthreads();
    aid.server.base = event_base_new();
    aid.server.state = SERVER_RUNNING;
    aid.server.started_ns = clock_now_ns();
    aid.server.started_at = clock_wall();
    aid.server.counters = &aid.counters[AID_WORKERS + 1];
}

static void *aid_loop(void *unused)
{
    (void)unused;
    event_base_loop(aid.server.base, EVLOOP_NO_EXIT_ON_EMPTY);
    return NULL;
}

static inline void aid_start(void)
{
    struct diag diag = {0};
    aid_prepare();
    int error =
        control_open(&aid.server, aid.socket, (uid_t)-1, (gid_t)-1, &aid.server.control, &diag);
    ck_assert_msg(error == RR_OK, "%s", diag_first_fault(&diag));
    ck_assert_int_eq(pthread_create(&aid.thread, NULL, aid_loop, NULL), 0);
}

/* Waits for the loop to end, then cleans up. */
static inline void aid_end(void)
{
    pthread_join(aid.thread, NULL);
    control_close(aid.server.control);
    event_base_free(aid.server.base);
    zone_index_unref(aid.routes != NULL ? aid.routes->index : NULL);
    loader_result_free(&aid.reload);
    diag_clear(&aid.reload_diag);
    rmdir(aid.directory);
}

static inline void aid_stop(void)
{
    event_base_loopexit(aid.server.base, NULL); /* holds also where the loop has not begun yet */
    aid_end();
}

/* ---- A client ---- */

struct client {
    int fd;
    char *data; /* received, not yet taken */
    size_t size, room;
    size_t seen; /* octets of it in which there is no newline */
};

static inline struct client client_connect(void)
{
    struct client client = {.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, aid.socket);
    ck_assert_int_eq(connect(client.fd, (struct sockaddr *)&address, sizeof address), 0);
    return client;
}

static inline void client_close(struct client *client)
{
    close(client->fd);
    free(client->data);
}

static inline void client_send(struct client *client, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = send(client->fd, data, size, MSG_NOSIGNAL);
        ck_assert_int_gt(n, 0);
        data += n;
        size -= (size_t)n;
    }
}

static inline void client_say(struct client *client, const char *line)
{
    client_send(client, line, strlen(line));
    client_send(client, "\n", 1);
}

/* The next line without its newline, to be freed; NULL at the end of the connection. */
static inline char *client_line(struct client *client)
{
    for (;;) {
        size_t new = client->size - client->seen;
        char *end = new > 0 ? memchr(client->data + client->seen, '\n', new) : NULL;
        client->seen = end != NULL ? 0 : client->size;
        if (end != NULL) {
            size_t length = (size_t)(end - client->data);
            char *line = strndup(client->data, length);
            client->size -= length + 1;
            memmove(client->data, end + 1, client->size);
            return line;
        }
        if (client->size == client->room) {
            client->room = client->room == 0 ? 65536 : 2 * client->room;
            client->data = realloc(client->data, client->room);
        }
        struct pollfd readable = {.fd = client->fd, .events = POLLIN};
        ck_assert_msg(poll(&readable, 1, AID_PATIENCE_MS) == 1, "no answer");
        ssize_t n = read(client->fd, client->data + client->size, client->room - client->size);
        if (n <= 0) {
            ck_assert_uint_eq(client->size, 0); /* never a part of a line */
            return NULL;
        }
        client->size += (size_t)n;
    }
}

/* The next answer, which must be JSON. */
static inline json_t *client_answer(struct client *client)
{
    json_error_t error;
    char *line = client_line(client);
    ck_assert_msg(line != NULL, "the connection ended");
    json_t *answer = json_loads(line, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(answer != NULL, "%s in: %.200s", error.text, line);
    free(line);
    return answer;
}

static inline json_t *client_ask(struct client *client, const char *line)
{
    client_say(client, line);
    return client_answer(client);
}

/* ---- Its answers ---- */

/* result of an answer that is ok. */
static inline json_t *result_of(json_t *answer)
{
    ck_assert_msg(json_is_true(json_object_get(answer, "ok")), "refused: %s",
                  json_string_value(json_object_get(answer, "error")));
    return json_object_get(answer, "result");
}

static inline json_int_t number_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_integer(value), "%s is no number", key);
    return json_integer_value(value);
}

static inline const char *string_at(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    ck_assert_msg(json_is_string(value), "%s is no string", key);
    return json_string_value(value);
}

/* Asks and checks that the server refuses with an error that holds `why`. */
static inline void ask_refused(struct client *client, const char *line, const char *why)
{
    json_t *answer = client_ask(client, line);
    ck_assert(json_is_false(json_object_get(answer, "ok")));
    const char *error = string_at(answer, "error");
    ck_assert_msg(strstr(error, why) != NULL, "%.100s: \"%s\" is not in \"%.200s\"", line, why,
                  error);
    json_decref(answer);
}

#endif

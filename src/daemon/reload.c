/*
 * One reload at a time, from the reading of the configuration until every worker serves the
 * outcome. So a storm of SIGHUPs costs at most one reload that runs and one that waits, and
 * net_reconfigure never meets the loader publishing.
 *
 * The loader tells its end on its own thread: the result is laid down and an eventfd wakes the
 * main thread, which does the rest.
 */
#include "daemon/reload.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/err.h"
#include "base/log.h"
#include "daemon/apply.h"
#include "daemon/forwarding.h"
#include "daemon/notify.h"
#include "daemon/report.h"
#include "daemon/watch.h"
#include "dns/key.h"
#include "dns/name.h"

struct request {
    struct request *next;
    size_t count; /* names; 0: the whole configuration */
    uint8_t (*names)[NAME_MAX_OCTETS];
    server_reload_done *done;
    void *context;
};

struct reloads {
    struct server *server;
    int wake_fd;
    struct event *wake;
    struct request *waiting, **waiting_end;
    struct request *running; /* all that the one that runs serves; NULL: none runs */

    struct loader_result result; /* laid down by the loader's thread, then finished is set */
    _Atomic bool finished;

    struct watch *watch; /* of the zone directory */
    struct diag diag;    /* of the running one, as restart */
    char restart[128];
    bool whole;

    char *user, *group, *control_socket; /* as at start: they do not change without a restart */
};

/* ---- Requests ---- */

static void request_free(struct request *request)
{
    free(request->names);
    free(request);
}

static struct request *request_new(const uint8_t *const *names, size_t count,
                                   server_reload_done *done, void *context)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL || names == NULL || count == 0) {
        goto out;
    }
    request->names = calloc(count, sizeof *request->names);
    if (request->names == NULL) {
        free(request);
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        memcpy(request->names[i], names[i], name_size(names[i]));
    }
    request->count = count;
out:
    if (request != NULL) {
        request->done = done;
        request->context = context;
    }
    return request;
}

static void wake(struct reloads *reloads)
{
    uint64_t one = 1;
    ssize_t ignored = write(reloads->wake_fd, &one, sizeof one);
    (void)ignored;
}

/* Whether a request for the whole configuration that nobody waits for is in the queue. */
static bool already_asked(const struct reloads *reloads)
{
    for (const struct request *at = reloads->waiting; at != NULL; at = at->next) {
        if (at->count == 0 && at->done == NULL) {
            return true;
        }
    }
    return false;
}

int server_reload(struct server *server, const uint8_t *const *names, size_t count,
                  server_reload_done *done, void *context)
{
    struct reloads *reloads = server->reloads;
    if (names == NULL && done == NULL && already_asked(reloads)) {
        return RR_OK;
    }
    struct request *request = request_new(names, count, done, context);
    if (request == NULL) {
        return RR_ENOMEM;
    }
    *reloads->waiting_end = request;
    reloads->waiting_end = &request->next;
    wake(reloads);
    return RR_OK;
}

/* Makes running of what can be served together: one request for zones, or all for the whole. */
static void take_requests(struct reloads *reloads)
{
    struct request **running_end = &reloads->running;
    struct request **at = &reloads->waiting;
    reloads->whole = reloads->waiting->count == 0;
    while (*at != NULL) {
        struct request *request = *at;
        if ((request->count == 0) != reloads->whole) {
            at = &request->next;
            continue;
        }
        *at = request->next;
        request->next = NULL;
        *running_end = request;
        running_end = &request->next;
        if (!reloads->whole) {
            break;
        }
    }
    for (reloads->waiting_end = &reloads->waiting; *reloads->waiting_end != NULL;) {
        reloads->waiting_end = &(*reloads->waiting_end)->next;
    }
}

/* ---- Applying a configuration ---- */

static void restart_add(struct reloads *reloads, const char *key)
{
    size_t used = strlen(reloads->restart);
    snprintf(reloads->restart + used, sizeof reloads->restart - used, "%s%s", used > 0 ? ", " : "",
             key);
}

/* What went wrong, but not so that the configuration is refused. */
static void add_as_warnings(struct diag *to, struct diag *from)
{
    for (size_t i = 0; i < from->kept; i++) {
        diag_warn(to, NULL, 0, "%s", from->entries[i].text);
    }
    diag_clear(from);
}

static bool same_addresses(const struct net_options *a, const struct net_options *b)
{
    bool same = a->addresses == b->addresses;
    for (size_t i = 0; i < a->addresses && same; i++) {
        same = memcmp(&a->address[i].address, &b->address[i].address,
                      sizeof a->address[i].address) == 0;
    }
    return same;
}

/*
 * net_reconfigure is all or nothing; what can be had without a restart is found by trying less:
 * the addresses as they are, then the number of workers too.
 */
static void apply_net(struct reloads *reloads, const struct config *config)
{
    struct net *net = reloads->server->net;
    struct diag diag = {0}, unheard = {0};
    struct net_options wanted = apply_net_options(config), less = wanted;
    if (net_reconfigure(net, &wanted, &diag) == 0) {
        add_as_warnings(&reloads->diag, &diag);
        return;
    }
    add_as_warnings(&reloads->diag, &diag);

    const struct net_address *serving;
    less.addresses = net_addresses(net, &serving);
    struct net_address *address = calloc(less.addresses + 1, sizeof *address);
    if (address == NULL) {
        diag_warn(&reloads->diag, NULL, 0, "%s", rr_strerror(RR_ENOMEM));
        return;
    }
    memcpy(address, serving, less.addresses * sizeof *address);
    less.address = address;
    if (!same_addresses(&wanted, &less)) {
        restart_add(reloads, "server.listen");
    }
    if (net_reconfigure(net, &less, &unheard) != 0) {
        less.workers = net_workers(net);
        if (less.workers != wanted.workers) {
            restart_add(reloads, "server.workers");
        }
        if (net_reconfigure(net, &less, &diag) != 0) {
            add_as_warnings(&reloads->diag, &diag);
        }
    }
    diag_clear(&unheard);
    diag_clear(&diag);
    free(address);
}

static void apply_log(struct reloads *reloads, const struct config *config)
{
    const struct config *now = reloads->server->config;
    bool same =
        config->log_target == now->log_target &&
        (config->log_target != LOG_TARGET_FILE || strcmp(config->log_path, now->log_path) == 0);
    if (!same && log_open(config->log_target, config->log_path) != 0) {
        diag_warn(&reloads->diag, config->path, 0, "log.target: %s: %s", config->log_path,
                  strerror(errno));
    }
    log_set_level(config->log_level);
}

/* Puts config, which is taken over, in force but for its zones; routes are what it forwards. */
static void apply(struct reloads *reloads, struct config *config, const struct routes *routes)
{
    struct server *server = reloads->server;
    if (strcmp(config->user, reloads->user) != 0) {
        restart_add(reloads, "server.user");
    }
    if (strcmp(config->group, reloads->group) != 0) {
        restart_add(reloads, "server.group");
    }
    if (strcmp(config->control_socket, reloads->control_socket) != 0) {
        restart_add(reloads, "control.socket");
    }
    apply_log(reloads, config);
    apply_net(reloads, config);
    apply_settings(config, &server->settings);
    server->settings.routes = routes;
    config_free(server->config);
    server->config = config;
}

/* Every worker uses the routes on their way, or none ever will. */
static void settle_routes(struct server *server, bool adopted)
{
    forwarding_settle(server->forwarding, adopted);
    server->settings.routes = forwarding_routes(server->forwarding);
}

/* ---- Running one ---- */

/* Tells everyone and makes room for the next. zones may be NULL. */
static void finish(struct reloads *reloads, int error, struct loader_result *zones)
{
    struct server_reload_result result = {
        .error = error,
        .diag = &reloads->diag,
        .restart = reloads->restart,
        .zones = error == RR_OK ? zones : NULL,
    };
    struct request *request = reloads->running;
    reloads->running = NULL;
    while (request != NULL) {
        struct request *next = request->next;
        if (request->done != NULL) {
            request->done(request->context, &result);
        }
        request_free(request);
        request = next;
    }
    if (zones != NULL) {
        loader_result_free(zones);
    }
    if (reloads->whole && reloads->server->state == SERVER_RUNNING) {
        apply_give_back_memory();
        notify_ready();
    }
}

/* The loader's thread. */
static void on_loaded(void *context, struct loader_result *result)
{
    struct reloads *reloads = context;
    reloads->result = *result;
    atomic_store_explicit(&reloads->finished, true, memory_order_release);
    wake(reloads);
}

/* The zone of that name in a configuration, or NULL. */
static const struct config_zone *find_zone(const struct config *config, const uint8_t *name)
{
    struct key wanted, key;
    key_from_name(name, &wanted);
    size_t low = 0, high = config->zones;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        key_from_name(config->zone[middle].name, &key);
        int order = key_compare(key.symbols, key.size, wanted.symbols, wanted.size);
        if (order == 0) {
            return &config->zone[middle];
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

/* A file in the zone directory has been written. */
static void on_written(void *context, const char *file)
{
    static const char suffix[] = ".zone";
    const struct server *server = context;
    size_t length = strlen(file), tail = sizeof suffix - 1;
    uint8_t name[NAME_MAX_OCTETS];
    if (length <= tail || strcmp(file + length - tail, suffix) != 0 ||
        name_from_text(file, length - tail, NULL, name) != RR_OK) {
        return;
    }
    const struct config_zone *zone = find_zone(server->config, name);
    if (zone != NULL && !zone->listed) {
        loader_hint(server->loader, name, zone->file);
    }
}

static int run_whole(struct reloads *reloads)
{
    struct server *server = reloads->server;
    struct config *config;
    const struct routes *routes;
    notify_reloading();
    int error = config_load(server->config_path, server->overrides, &config, &reloads->diag);
    if (error != RR_OK) {
        report_diag(&reloads->diag);
        log_error("reload: configuration refused, nothing changed");
        counter_add(server->counters, COUNTER_reloads_failed, 1);
        return error;
    }
    error = forwarding_prepare(server->forwarding, config, server->net, &routes);
    if (error != RR_OK) {
        log_error("reload: proxy: %s, nothing changed", rr_strerror(error));
        counter_add(server->counters, COUNTER_reloads_failed, 1);
        config_free(config);
        return error;
    }
    apply(reloads, config, routes);
    report_diag(&reloads->diag);
    if (reloads->restart[0] != '\0') {
        log_warning("reload: restart needed for: %s", reloads->restart);
    }
    watch_take(reloads->watch, on_written, server);
    watch_directory(reloads->watch, server->config->zone_directory);
    error = loader_reload(server->loader, server->config, &server->settings, NULL, 0, on_loaded,
                          reloads);
    if (error != RR_OK) {
        log_error("reload: %s: the new configuration is in force, its zones are not",
                  rr_strerror(error));
        counter_add(server->counters, COUNTER_reloads_failed, 1);
        settle_routes(server, false);
    }
    return error;
}

static int run_named(struct reloads *reloads)
{
    const struct request *request = reloads->running;
    const uint8_t **names = calloc(request->count, sizeof *names);
    if (names == NULL) {
        return RR_ENOMEM;
    }
    for (size_t i = 0; i < request->count; i++) {
        names[i] = request->names[i];
    }
    int error = loader_reload(reloads->server->loader, NULL, NULL, names, request->count, on_loaded,
                              reloads);
    free(names);
    return error;
}

static void start(struct reloads *reloads)
{
    diag_clear(&reloads->diag);
    reloads->restart[0] = '\0';
    take_requests(reloads);
    int error = reloads->whole ? run_whole(reloads) : run_named(reloads);
    if (error != RR_OK) {
        finish(reloads, error, NULL);
    }
}

static void on_wake(evutil_socket_t fd, short events, void *context)
{
    struct reloads *reloads = context;
    uint64_t count;
    (void)events;
    ssize_t ignored = read(fd, &count, sizeof count);
    (void)ignored;
    if (atomic_exchange_explicit(&reloads->finished, false, memory_order_acquire)) {
        if (reloads->whole) {
            settle_routes(reloads->server, reloads->result.error == RR_OK);
        }
        if (reloads->result.error == RR_OK) {
            report_zones("reload", &reloads->result);
        } else {
            log_error("reload: %s", rr_strerror(reloads->result.error));
        }
        finish(reloads, reloads->result.error, &reloads->result);
    }
    if (reloads->running == NULL && reloads->waiting != NULL) {
        start(reloads);
        wake(reloads); /* for what waits behind it, where it has ended already */
    }
}

/* ---- Life ---- */

int reloads_open(struct server *server, struct reloads **result)
{
    struct reloads *reloads = calloc(1, sizeof *reloads);
    if (reloads == NULL) {
        return RR_ENOMEM;
    }
    reloads->server = server;
    reloads->waiting_end = &reloads->waiting;
    reloads->user = strdup(server->config->user);
    reloads->group = strdup(server->config->group);
    reloads->control_socket = strdup(server->config->control_socket);
    reloads->watch = watch_new();
    watch_directory(reloads->watch, server->config->zone_directory);
    reloads->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (reloads->wake_fd >= 0) {
        reloads->wake =
            event_new(server->base, reloads->wake_fd, EV_READ | EV_PERSIST, on_wake, reloads);
    }
    if (reloads->wake == NULL || event_add(reloads->wake, NULL) != 0 || reloads->user == NULL ||
        reloads->group == NULL || reloads->control_socket == NULL) {
        reloads_close(reloads);
        return RR_ENOMEM;
    }
    *result = reloads;
    return RR_OK;
}

void reloads_close(struct reloads *reloads)
{
    if (reloads == NULL) {
        return;
    }
    if (atomic_load_explicit(&reloads->finished, memory_order_acquire)) {
        finish(reloads, reloads->result.error, &reloads->result);
    }
    diag_clear(&reloads->diag);
    while (reloads->running != NULL || reloads->waiting != NULL) {
        finish(reloads, RR_ESTATE, NULL);
        if (reloads->waiting != NULL) {
            take_requests(reloads);
        }
    }
    if (reloads->wake != NULL) {
        event_free(reloads->wake);
    }
    if (reloads->wake_fd >= 0) {
        close(reloads->wake_fd);
    }
    watch_free(reloads->watch);
    diag_clear(&reloads->diag);
    free(reloads->user);
    free(reloads->group);
    free(reloads->control_socket);
    free(reloads);
}

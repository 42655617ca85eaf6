/*
 * The order of the start, and why:
 *
 *   configuration       a fault there ends it before anything is touched
 *   sockets, control    bound while it may still be root
 *   privileges          given up before a zone is read: what the server can't read now it could
 *                       not read at a reload either, better to say so at once
 *   log                 opened as who has to open it again after a rotation; until here, and so
 *                       for all faults above, lines go to standard error
 *   zones, workers      the first world is there before the first query is
 *   "ready"             only then: the control socket answers and the service manager is told
 *
 * Signals are blocked in every thread from the first line on and read as events (signalfd).
 */
#include "daemon/server.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/version.h"
#include "daemon/apply.h"
#include "daemon/control.h"
#include "daemon/forwarding.h"
#include "daemon/impatience.h"
#include "daemon/notify.h"
#include "daemon/privileges.h"
#include "daemon/reload.h"
#include "daemon/report.h"
#include "dnssec/secret.h"

/* What only the run itself needs. */
struct run {
    struct publisher publisher;
    struct counters counters;
    struct server server;
    struct privileges privileges;
    struct impatience impatience;
    struct event *signals;
    int signal_fd;
};

/* ---- Signals ---- */

static void handled_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGUSR1);
}

static void block_signals(void)
{
    sigset_t set;
    handled_signals(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static void on_signal(evutil_socket_t fd, short events, void *context)
{
    struct server *server = context;
    struct signalfd_siginfo info;
    (void)events;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGHUP:
            if (server_reload(server, NULL, 0, NULL, NULL) != 0) {
                log_error("reload: %s", rr_strerror(RR_ENOMEM));
            }
            break;
        case SIGUSR1:
            if (log_reopen() != 0) {
                log_error("the log can't be opened again: %s", strerror(errno));
            }
            break;
        default:
            event_base_loopbreak(server->base);
            return; /* what is left ends the drain: impatience reads it */
        }
    }
}

static int open_signals(struct run *run)
{
    sigset_t set;
    handled_signals(&set);
    run->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signal_fd < 0) {
        return RR_EIO;
    }
    run->signals =
        event_new(run->server.base, run->signal_fd, EV_READ | EV_PERSIST, on_signal, &run->server);
    return run->signals != NULL && event_add(run->signals, NULL) == 0 ? RR_OK : RR_ENOMEM;
}

/* ---- Start ---- */

/* Logs what a step had to say and empties it; error is the step's. */
static int told(struct diag *diag, const char *step, int error)
{
    report_diag(diag);
    if (error != 0 && diag->faults == 0) {
        log_error("%s: %s", step, rr_strerror(error));
    }
    diag_clear(diag);
    return error;
}

/* All that has to do with root: sockets first, then no more of it. */
static int start_sockets(struct run *run, struct diag *diag)
{
    struct server *server = &run->server;
    const struct config *config = server->config;
    const struct privileges *to = &run->privileges;
    struct net_options options = apply_net_options(config);
    int error = told(diag, "server.user", privileges_find(config, &run->privileges, diag));
    if (error != 0) {
        return error;
    }
    privileges_raise_files(2 * options.addresses * options.workers + config->tcp_clients_max, diag);
    error = told(diag, "sockets", net_open(&options, server->publisher, &server->net, diag));
    if (error != 0) {
        return error;
    }
    if (config->control_socket[0] != '\0') {
        error =
            control_open(server, config->control_socket, to->uid, to->gid, &server->control, diag);
        /* Who named none can do without: `rrdnsd -l -z` starts for anybody. */
        if (error != 0 && !config->control_given) {
            log_warning("no control socket: %s",
                        diag->faults > 0 ? diag_first_fault(diag) : rr_strerror(error));
            diag_clear(diag);
            error = RR_OK;
        }
        if (told(diag, "control.socket", error) != 0) {
            return error;
        }
    }
    return told(diag, "privileges", privileges_drop(to, diag));
}

static int start_log(const struct config *config)
{
    if (log_open(config->log_target, config->log_path) != 0) {
        log_error("log.target: %s: %s", config->log_path, strerror(errno));
        return RR_EIO;
    }
    return RR_OK;
}

static void slot_counts(void *context, uint32_t slot, uint64_t *queries, uint64_t *nxdomain,
                        uint64_t *bytes)
{
    const struct server *server = context;
    net_zone_counts(server->net, slot, queries, nxdomain, bytes);
}

static int start_forwarding(struct server *server)
{
    server->forwarding = forwarding_new();
    int error = server->forwarding != NULL
                    ? forwarding_prepare(server->forwarding, server->config, server->net,
                                         &server->settings.routes)
                    : RR_ENOMEM;
    if (error != RR_OK) {
        log_error("proxy: %s", rr_strerror(error));
    }
    return error;
}

static int start_zones(struct run *run)
{
    struct server *server = &run->server;
    struct loader_result result = {0};
    apply_settings(server->config, &server->settings);
    int error = apply_secrets(&server->settings);
    if (error != 0) {
        log_error("no random numbers: %s", strerror(errno));
        return error;
    }
    error = start_forwarding(server);
    if (error != 0) {
        return error;
    }
    impatience_begin(&run->impatience,
                     server->control != NULL ? server->config->control_socket : NULL);
    error =
        loader_new(server->config, &server->settings, server->publisher, &server->loader, &result);
    impatience_end(&run->impatience);
    if (error != 0) {
        log_error("zones: %s", rr_strerror(error));
        return error;
    }
    forwarding_settle(server->forwarding, true);
    report_zones("start", &result);
    loader_result_free(&result);
    apply_give_back_memory();
    loader_set_slot_counts(server->loader, slot_counts, server);
    if (server->config->zones == 0 && server->config->proxy.routes == 0) {
        log_warning("no zones and no routes are configured: every query is refused");
    }
    return RR_OK;
}

static int start(struct run *run, struct diag *diag)
{
    struct server *server = &run->server;
    /* Before OpenSSL is used, as it is to read certificates: its allocations can't be taken over
     * later, and what it draws private random numbers from stays where it was made. */
    int secret_error = secret_init();
    int error = told(diag, "configuration",
                     config_load(server->config_path, server->overrides, &server->config, diag));
    if (error != 0) {
        return error;
    }
    log_set_level(server->config->log_level);
    if (secret_error != 0 && server->config->policies > 0) {
        log_warning("private keys: %s",
                    secret_error == RR_EPERM
                        ? "their memory can't be locked (RLIMIT_MEMLOCK): it may be written to "
                          "swap space"
                        : "no memory of their own");
    }
    server->base = event_base_new();
    if (server->base == NULL) {
        log_error("event loop: %s", strerror(errno));
        return RR_EIO;
    }
    error = start_sockets(run, diag);
    error = error != 0 ? error : start_log(server->config);
    error = error != 0 ? error : start_zones(run);
    error = error != 0 ? error : told(diag, "workers", net_start(server->net));
    error = error != 0 ? error : told(diag, "reloads", reloads_open(server, &server->reloads));
    return error != 0 ? error : told(diag, "signals", open_signals(run));
}

static void ready(struct server *server)
{
    server->started_ns = clock_now_ns();
    server->started_at = clock_wall();
    server->state = SERVER_RUNNING;
    notify_ready();
    log_info("rrdnsd " RRDNS_VERSION " is ready: %u workers, %zu addresses",
             net_workers(server->net), server->config->addresses);
}

/* ---- End ---- */

/* Everything that was started, also where the start broke off. */
static void stop(struct run *run)
{
    struct server *server = &run->server;
    bool ran = server->state == SERVER_RUNNING;
    server->state = SERVER_STOPPING;
    if (ran) {
        notify_stopping();
        log_info("stopping");
    }
    impatience_begin(&run->impatience,
                     server->control != NULL ? server->config->control_socket : NULL);
    if (server->net != NULL) {
        net_stop(server->net, server->config->drain_ms);
    }
    loader_free(server->loader);
    reloads_close(server->reloads);
    control_close(server->control);
    impatience_end(&run->impatience);
    if (server->net != NULL) {
        net_free(server->net);
    }
    struct world *world = atomic_load(&server->publisher->current);
    if (world != NULL) {
        world_free(world);
    }
    forwarding_free(server->forwarding);
    if (run->signals != NULL) {
        event_free(run->signals);
    }
    if (run->signal_fd >= 0) {
        close(run->signal_fd);
    }
    if (server->base != NULL) {
        event_base_free(server->base);
    }
    config_free(server->config);
    if (ran) {
        log_info("stopped");
    }
}

void server_stop(struct server *server)
{
    /* The loop takes another turn or two, in which the answer to who asked leaves. */
    static const struct timeval soon = {.tv_usec = 50000};
    event_base_loopexit(server->base, &soon);
}

int server_run(const char *config_path, const struct config_overrides *overrides)
{
    struct run *run = aligned_alloc(_Alignof(struct run), sizeof *run);
    if (run == NULL) {
        log_error("%s", rr_strerror(RR_ENOMEM));
        return 1;
    }
    memset(run, 0, sizeof *run);
    run->signal_fd = -1;
    run->server.config_path = config_path;
    run->server.overrides = overrides;
    run->server.publisher = &run->publisher;
    run->server.counters = &run->counters;
    block_signals();

    struct diag diag = {0};
    int error = start(run, &diag);
    if (error == 0) {
        ready(&run->server);
        event_base_dispatch(run->server.base);
    }
    stop(run);
    diag_clear(&diag);
    free(run);
    return error != 0;
}

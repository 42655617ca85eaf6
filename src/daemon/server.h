/*
 * The server as a whole: what is started in which order, signals, reloads, the end. Everything
 * here belongs to the main thread and its event base; workers and loaders have threads of their
 * own behind net.h and loader.h.
 */
#ifndef RRDNS_DAEMON_SERVER_H
#define RRDNS_DAEMON_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>

#include "base/counters.h"
#include "base/diag.h"
#include "daemon/config.h"
#include "daemon/loader.h"
#include "net/net.h"
#include "world/publish.h"
#include "world/world.h"

enum server_state { SERVER_STARTING, SERVER_RUNNING, SERVER_STOPPING };

struct control;
struct forwarding;
struct reloads;

/*
 * Other files of the daemon read these fields, on the main thread, and write none but counters.
 * config, net, loader and forwarding are NULL until they are there; once the base's loop runs they
 * are. config is replaced by a reload: no pointer into it may be kept over a callback.
 */
struct server {
    struct event_base *base;
    enum server_state state;
    const char *config_path; /* NULL: defaults and the command line only */
    const struct config_overrides *overrides;
    struct config *config;    /* in force, overrides applied */
    struct settings settings; /* in force, or on their way with the reload that runs */
    struct publisher *publisher;
    struct net *net;
    struct loader *loader;
    struct forwarding *forwarding;
    struct control *control;
    struct reloads *reloads;
    struct counters *counters; /* the main thread's set, to be added to the workers' and loader's */
    uint64_t started_ns;       /* clock_now_ns() when it became ready */
    int64_t started_at;        /* wall seconds, likewise */
};

/* What a reload came to; the server's own, valid during the call of done. */
struct server_reload_result {
    /* 0; RR_EINVAL: the configuration is refused and nothing has changed; RR_ENOENT: a name is
     * not configured; RR_ESTATE: the server stops; or another error of loader_reload. */
    int error;
    const struct diag *diag; /* of the configuration: faults (where refused) and warnings */
    const char *restart;     /* keys whose change waits for a restart: "server.user,
                              * control.socket"; "" where there are none */
    const struct loader_result *zones; /* NULL where error is not 0 */
};

/* On the main thread, when every worker serves the outcome. */
typedef void server_reload_done(void *context, const struct server_reload_result *result);

/*
 * Asks for a reload: of the configuration and all that changed (names NULL, count 0), or of the
 * count zones named (wire form, copied) from their files. One reload runs at a time; the others
 * wait, and all that wait for the whole configuration are served by one. done may be NULL, is
 * called exactly once else, never before this returns. Returns 0 or RR_ENOMEM (done is then not
 * called).
 */
int server_reload(struct server *server, const uint8_t *const *names, size_t count,
                  server_reload_done *done, void *context);

/* As SIGTERM: leaves the loop soon, so that an answer to who asked can still be written. */
void server_stop(struct server *server);

/*
 * Runs a server from options to its end: the whole life of the process after the command line is
 * read. Returns the exit status.
 */
int server_run(const char *config_path, const struct config_overrides *overrides);

#endif

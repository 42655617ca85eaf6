/*
 * Faults are collected, never returned one by one: who writes a configuration wants all of them
 * at once. So reading goes on as far as it can: a bad key does not hide a bad zone.
 */
#include "daemon/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "daemon/config_dnssec.h"
#include "daemon/config_keys.h"
#include "daemon/config_proxy.h"
#include "daemon/config_walk.h"

enum { FILE_MAX = 256 << 20 }; /* two hundred thousand zones take 20 MB */

/* ---- Defaults ---- */

/* 0 or RR_ENOMEM. What the file may name is NULL or empty until it has been read. */
static int set_defaults(struct config *config)
{
    *config = (struct config){
        .udp_payload_max = 1232,
        .tcp_clients_max = 4096,
        .tcp_clients_per_address = 64,
        .tcp_idle_ms = 10000,
        .cookies = true,
        .drain_ms = 5000,
        .log_target = LOG_TARGET_STDERR,
        .log_level = LOG_LEVEL_INFO,
        .user = strdup("rrdns"),
        .group = strdup("rrdns"),
        .nsid = strdup(""),
        .version = strdup(""),
        .control_socket = strdup("/run/rrdns/rrdnsd.sock"),
        .zone_directory = strdup(""),
        .image_directory = strdup(""),
    };
    return config->user != NULL && config->group != NULL && config->nsid != NULL &&
                   config->version != NULL && config->control_socket != NULL &&
                   config->zone_directory != NULL && config->image_directory != NULL
               ? config_proxy_defaults(&config->proxy)
               : RR_ENOMEM;
}

/* Where nobody names addresses: all of them, but for IPv6 where the kernel has none. */
static int listen_everywhere(struct config *config, struct diag *diag)
{
    char reason[CONFIG_REASON_MAX];
    int error = config_add_address(config, "0.0.0.0:53", reason);
    int probe = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (probe >= 0) {
        close(probe);
        return error != 0 ? error : config_add_address(config, "[::]:53", reason);
    }
    diag_warn(diag, config->path, 0, "server.listen: no IPv6 here, only 0.0.0.0:53 is served");
    return error;
}

/* ---- The command line ---- */

static int replace(char **text, const char *by)
{
    char *copy = strdup(by);
    if (copy == NULL) {
        return RR_ENOMEM;
    }
    free(*text);
    *text = copy;
    return RR_OK;
}

static int override_listen(struct config *config, const struct config_overrides *overrides,
                           struct diag *diag)
{
    char reason[CONFIG_REASON_MAX];
    config->addresses = 0;
    for (size_t i = 0; i < overrides->listens; i++) {
        int error = config_add_address(config, overrides->listen[i], reason);
        if (error == RR_EINVAL) {
            diag_fault(diag, NULL, 0, "--listen: %s", reason);
        } else if (error != 0) {
            return error;
        }
    }
    return RR_OK;
}

static int apply_overrides(struct config *config, const struct config_overrides *overrides,
                           struct diag *diag)
{
    int error = RR_OK;
    if (overrides->listens > 0) {
        error = override_listen(config, overrides, diag);
    }
    if (overrides->workers >= 0) {
        config->workers = (unsigned)overrides->workers;
        if (config->workers > PUBLISH_READERS_MAX) {
            diag_fault(diag, NULL, 0, "--workers: %u is outside 0 to %d", config->workers,
                       PUBLISH_READERS_MAX);
        }
    }
    if (overrides->zone_directory != NULL && error == RR_OK) {
        error = replace(&config->zone_directory, overrides->zone_directory);
    }
    if (overrides->control_socket != NULL && error == RR_OK) {
        error = replace(&config->control_socket, overrides->control_socket);
        config->control_given = true;
        if (strlen(overrides->control_socket) > CONFIG_SOCKET_PATH_MAX) {
            diag_fault(diag, NULL, 0, "--socket: " CONFIG_SOCKET_PATH_FAULT,
                       strlen(overrides->control_socket), CONFIG_SOCKET_PATH_MAX);
        }
    }
    return error;
}

/* ---- The file ---- */

/*
 * Fills config, in which all but the defaults is still to come. text is NULL where there is no
 * file.
 */
static int build(struct config *config, const char *text, size_t size,
                 const struct config_overrides *overrides, struct diag *diag)
{
    static const struct config_overrides none = {.workers = -1};
    struct config_reading reading = {0};
    struct walk walk = {.file = config->path, .diag = diag, .target = config, .context = &reading};
    size_t faults = diag->faults;
    overrides = overrides != NULL ? overrides : &none;
    int error = text != NULL ? walk_text(&walk, &config_schema, text, size) : RR_OK;
    if (error != RR_ENOMEM) {
        error = apply_overrides(config, overrides, diag);
    }
    if (error == RR_OK && config->addresses == 0 && diag->faults == faults) {
        error = listen_everywhere(config, diag);
    }
    /* Where there are faults, a policy may be missing for its own. */
    if (error == RR_OK && diag->faults == faults) {
        config_find_policies(&reading.entries, config, diag);
        error = config_check_proxy(&reading.proxy, config, diag);
    }
    if (error == RR_OK) {
        bool replaced = overrides->zone_directory != NULL;
        error =
            zone_entries_finish(&reading.entries, config, replaced ? "--zones" : "zone_directory",
                                replaced ? 0 : reading.zone_directory_line, diag);
    }
    zone_entries_free(&reading.entries);
    proxy_reading_free(&reading.proxy);
    return error == RR_OK && diag->faults != faults ? RR_EINVAL : error;
}

static int parse(const char *path, const char *text, size_t size,
                 const struct config_overrides *overrides, struct config **result,
                 struct diag *diag)
{
    struct config *config = malloc(sizeof *config);
    int error = config != NULL ? set_defaults(config) : RR_ENOMEM;
    if (error == RR_OK && path != NULL) {
        config->path = strdup(path);
        error = config->path != NULL ? RR_OK : RR_ENOMEM;
    }
    if (error == RR_OK) {
        error = build(config, text, size, overrides, diag);
    }
    if (error == RR_ENOMEM) {
        diag_fault(diag, path, 0, "%s", rr_strerror(error));
    }
    if (error != RR_OK) {
        config_free(config);
        return RR_EINVAL;
    }
    *result = config;
    return RR_OK;
}

/* The whole of a file, to be freed; NULL with errno set (EFBIG: more than FILE_MAX). */
static char *read_file(const char *path, size_t *size)
{
    FILE *in = fopen(path, "re");
    char *text = NULL;
    size_t room = 0, used = 0;
    while (in != NULL && !feof(in) && !ferror(in)) {
        if (used == room) {
            room = room == 0 ? 16384 : 2 * room;
            char *grown = room <= FILE_MAX ? realloc(text, room) : NULL;
            if (grown == NULL) {
                errno = room > FILE_MAX ? EFBIG : ENOMEM;
                goto fail;
            }
            text = grown;
        }
        used += fread(text + used, 1, room - used, in);
    }
    if (in != NULL && !ferror(in)) {
        fclose(in);
        *size = used;
        return text;
    }
fail:;
    int saved = errno;
    if (in != NULL) {
        fclose(in);
    }
    free(text);
    errno = saved;
    return NULL;
}

int config_load(const char *path, const struct config_overrides *overrides, struct config **config,
                struct diag *diag)
{
    char *text = NULL;
    size_t size = 0;
    if (path != NULL) {
        text = read_file(path, &size);
        if (text == NULL) {
            diag_fault(diag, path, 0, "%s", strerror(errno));
            return RR_EINVAL;
        }
    }
    int error = parse(path, text, size, overrides, config, diag);
    free(text);
    return error;
}

int config_parse(const char *name, const char *text, size_t size,
                 const struct config_overrides *overrides, struct config **config,
                 struct diag *diag)
{
    return parse(name, text, size, overrides, config, diag);
}

void config_free(struct config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < config->zones; i++) {
        free(config->zone[i].name);
        free(config->zone[i].file);
    }
    free(config->zone);
    config_free_policies(config);
    config_free_proxy(&config->proxy);
    free(config->path);
    free(config->address);
    free(config->user);
    free(config->group);
    free(config->nsid);
    free(config->version);
    free(config->control_socket);
    free(config->log_path);
    free(config->zone_directory);
    free(config->image_directory);
    free(config);
}

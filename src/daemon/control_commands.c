/*
 * A new command is a row in `commands`, a function, and its text form in ctl_text.c.
 *
 * Lists of zones can be long: they are written zone by zone, never as one JSON tree (1.5 KiB a
 * zone), and `zones` in pieces that wait for the reader. Between two pieces the configuration may
 * change; the name told last says where to go on.
 */
#include "daemon/control_commands.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/version.h"
#include "daemon/control_dnssec.h"
#include "daemon/control_proxy.h"
#include "daemon/forwarding.h"
#include "daemon/json_read.h"
#include "daemon/stats.h"

enum {
    /* Zones of a list made at once: 2-3 ms, in which neither main thread nor loader do else. */
    LIST_PIECE = 256,
    REAL_DIGITS = 6, /* of numbers that are not whole: times, of which no more is known */
};

struct control_wait {
    struct control_call *call; /* NULL: abandoned */
};

/* ---- Writing answers ---- */

/* Appends a value and frees it; NULL fails. In one piece: jansson's own writing to a function calls
 * it for every token. */
static bool add_json(struct evbuffer *reply, json_t *value, size_t flags)
{
    char *text = value != NULL
                     ? json_dumps(value, JSON_COMPACT | JSON_REAL_PRECISION(REAL_DIGITS) | flags)
                     : NULL;
    bool ok = text != NULL && evbuffer_add(reply, text, strlen(text)) == 0;
    free(text);
    json_decref(value);
    return ok;
}

static bool add_text(struct evbuffer *reply, const char *text)
{
    return evbuffer_add(reply, text, strlen(text)) == 0;
}

/* A string of whatever octets: those that are no UTF-8 (file names, quotes of a zone file) become
 * question marks. */
static json_t *any_string(const char *text)
{
    json_t *string = json_string(text);
    if (string != NULL) {
        return string;
    }
    char *copy = strdup(text);
    if (copy == NULL) {
        return NULL;
    }
    for (char *p = copy; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80) {
            *p = '?';
        }
    }
    string = json_string(copy);
    free(copy);
    return string;
}

static void set_number(json_t *object, const char *key, uint64_t value)
{
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void set_text(json_t *object, const char *key, const char *text)
{
    json_object_set_new(object, key, any_string(text));
}

static void set_flag(json_t *object, const char *key, bool value)
{
    json_object_set_new(object, key, json_boolean(value));
}

static void set_null(json_t *object, const char *key)
{
    json_object_set_new(object, key, json_null());
}

static enum control_progress answer(struct control_call *call, json_t *result)
{
    return add_json(call->reply, json_pack("{s:b, s:o}", "ok", 1, "result", result), 0) &&
                   add_text(call->reply, "\n")
               ? CONTROL_DONE
               : CONTROL_FAILED;
}

/* error and more (an object whose members go beside it; NULL: none) are taken over. */
static enum control_progress refuse(struct evbuffer *reply, json_t *error, json_t *more)
{
    json_t *object = json_pack("{s:b, s:o}", "ok", 0, "error", error);
    if (object != NULL && more != NULL && json_object_update(object, more) != 0) {
        json_decref(object);
        object = NULL;
    }
    json_decref(more);
    return add_json(reply, object, 0) && add_text(reply, "\n") ? CONTROL_DONE : CONTROL_FAILED;
}

enum control_progress control_refuse(struct evbuffer *reply, const char *format, ...)
{
    char *text;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    if (length < 0) {
        return CONTROL_FAILED;
    }
    json_t *error = any_string(text);
    free(text);
    return refuse(reply, error, NULL);
}

/* ---- status, stats ---- */

static json_t *listen_addresses(const struct server *server)
{
    const struct net_address *addresses;
    size_t count = net_addresses(server->net, &addresses);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        char text[ADDRESS_TEXT_MAX];
        address_format((const struct sockaddr *)&addresses[i].address, text);
        json_array_append_new(list, json_string(text));
    }
    return list;
}

static enum control_progress run_status(struct control_call *call, const json_t *request)
{
    static const char *const states[] = {
        [SERVER_STARTING] = "starting",
        [SERVER_RUNNING] = "running",
        [SERVER_STOPPING] = "stopping",
    };
    const struct server *server = call->server;
    const struct routes *routes = forwarding_routes(server->forwarding);
    (void)request;
    size_t zones, serving;
    uint64_t generation;
    loader_totals(server->loader, &zones, &serving, &generation);
    json_t *result = json_object();
    set_text(result, "status", states[server->state]);
    set_text(result, "version", RRDNS_VERSION);
    set_number(result, "pid", (uint64_t)getpid());
    set_number(result, "started_at", (uint64_t)server->started_at);
    set_number(result, "uptime", (clock_now_ns() - server->started_ns) / 1000000000);
    set_number(result, "workers", net_workers(server->net));
    json_object_set_new(result, "listen", listen_addresses(server));
    set_number(result, "zones", zones);
    set_number(result, "zones_serving", serving);
    set_number(result, "routes", routes != NULL ? zone_index_count(routes->index) : 0);
    set_number(result, "generation", generation);
    return answer(call, result);
}

static json_t *each_worker(const struct counters *const *sets, unsigned workers)
{
    json_t *list = json_array();
    for (unsigned i = 0; i < workers; i++) {
        json_array_append_new(list, json_pack("{s:i, s:o}", "worker", (int)i, "counters",
                                              stats_counters(&sets[i], 1)));
    }
    return list;
}

static enum control_progress run_stats(struct control_call *call, const json_t *request)
{
    const struct server *server = call->server;
    const json_t *per_worker = json_object_get(request, "per_worker");
    if (per_worker != NULL && !json_is_boolean(per_worker)) {
        return control_refuse(call->reply, "\"per_worker\" is to be true or false");
    }
    unsigned workers = net_counter_sets(server->net);
    const struct counters **sets = calloc((size_t)workers + 2, sizeof(struct counters *));
    if (sets == NULL) {
        return CONTROL_FAILED;
    }
    for (unsigned i = 0; i < workers; i++) {
        sets[i] = net_counters(server->net, i);
    }
    sets[workers] = loader_counters(server->loader);
    sets[workers + 1] = server->counters;
    json_t *result = json_pack("{s:o, s:o}", "counters", stats_counters(sets, workers + 2),
                               "gauges", stats_gauges(sets, workers + 2));
    if (json_is_true(per_worker)) {
        json_object_set_new(result, "per_worker", each_worker(sets, workers));
    }
    free(sets);
    return answer(call, result);
}

/* ---- zone, zones ---- */

/* What is known of the version in service. */
static void set_version(json_t *zone, const struct loader_zone_info *info)
{
    char loaded[sizeof "2000-01-01T00:00:00Z" + 8];
    time_t at = (time_t)info->loaded_at;
    struct tm tm;
    strftime(loaded, sizeof loaded, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
    if (info->serving) {
        set_number(zone, "serial", info->serial);
        set_text(zone, "loaded_at", loaded);
        set_number(zone, "loaded_at_epoch", (uint64_t)info->loaded_at);
    } else {
        set_null(zone, "serial");
        set_null(zone, "loaded_at");
        set_null(zone, "loaded_at_epoch");
    }
    set_number(zone, "records", info->records);
    set_number(zone, "names", info->nodes);
    set_number(zone, "bytes", info->bytes);
    set_flag(zone, "from_image", info->from_image);
    set_flag(zone, "signed", info->is_signed);
}

static json_t *zone_json(const struct server *server, const struct loader_zone_info *info)
{
    char name[NAME_MAX_TEXT];
    uint64_t queries, nxdomain, bytes;
    loader_name_text(info->name, name);
    net_zone_counts(server->net, info->slot, &queries, &nxdomain, &bytes);
    json_t *zone = json_object();
    set_text(zone, "name", name);
    set_text(zone, "file", info->file);
    set_flag(zone, "serving", info->serving);
    set_version(zone, info);
    if (info->last_error[0] != '\0') {
        set_text(zone, "last_error", info->last_error);
    } else {
        set_null(zone, "last_error");
    }
    set_number(zone, "queries", queries - info->queries_base);
    set_number(zone, "nxdomain", nxdomain - info->nxdomain_base);
    set_number(zone, "bytes_sent", bytes - info->bytes_base);
    return zone;
}

/* Reads a zone's name and what is known of it; else refuses and returns false. */
static bool find_zone(struct control_call *call, const json_t *text, struct loader_zone_info *info,
                      enum control_progress *refused)
{
    uint8_t name[NAME_MAX_OCTETS];
    const char *string = json_string_value(text);
    if (string == NULL) {
        *refused = control_refuse(call->reply, "a zone's name is to be a string");
    } else if (name_from_text(string, strlen(string), NULL, name) != RR_OK) {
        *refused = control_refuse(call->reply, "\"%s\" is not a domain name", string);
    } else if (loader_zone_info(call->server->loader, name, info) != RR_OK) {
        *refused = control_refuse(call->reply, "zone \"%s\" is not configured", string);
    } else {
        return true;
    }
    return false;
}

static enum control_progress run_zone(struct control_call *call, const json_t *request)
{
    struct loader_zone_info info;
    enum control_progress refused;
    const json_t *name = json_object_get(request, "name");
    if (name == NULL) {
        return control_refuse(call->reply, "\"name\" is missing");
    }
    if (!find_zone(call, name, &info, &refused)) {
        return refused;
    }
    return answer(call, zone_json(call->server, &info));
}

/* ---- dnssec ---- */

static void tell_signing(void *context, const struct signing *signing)
{
    json_t **result = context;
    *result = control_dnssec_json(signing, clock_wall());
}

static enum control_progress run_dnssec(struct control_call *call, const json_t *request)
{
    struct loader_zone_info info;
    enum control_progress refused;
    const json_t *name = json_object_get(request, "name");
    char text[NAME_MAX_TEXT];
    json_t *result = NULL;
    if (name == NULL) {
        return control_refuse(call->reply, "\"name\" is missing");
    }
    if (!find_zone(call, name, &info, &refused)) {
        return refused;
    }
    loader_name_text(info.name, text);
    if (!loader_signing(call->server->loader, info.name, tell_signing, &result)) {
        return control_refuse(call->reply, info.is_signed
                                               ? "zone \"%s\" is signed in its file, not here"
                                               : "zone \"%s\" is not signed",
                              text);
    }
    if (result != NULL) {
        set_text(result, "name", text);
    }
    return answer(call, result);
}

struct listing {
    struct control_call *call;
    bool begun; /* something stands before: a comma is wanted */
    bool failed;
};

static void list_zone(void *context, const struct loader_zone_info *info)
{
    struct listing *listing = context;
    struct control_call *call = listing->call;
    if (listing->begun && !add_text(call->reply, ",")) {
        listing->failed = true;
    }
    if (!add_json(call->reply, zone_json(call->server, info), 0)) {
        listing->failed = true;
    }
    listing->begun = true;
    memcpy(call->after, info->name, sizeof call->after);
}

static enum control_progress list_zones(struct control_call *call, bool begun)
{
    struct listing listing = {.call = call, .begun = begun};
    const uint8_t *after = begun ? call->after : NULL;
    size_t told = loader_each(call->server->loader, after, LIST_PIECE, list_zone, &listing);
    if (listing.failed) {
        return CONTROL_FAILED;
    }
    if (told == LIST_PIECE) {
        return CONTROL_MORE;
    }
    return add_text(call->reply, "]}}\n") ? CONTROL_DONE : CONTROL_FAILED;
}

static enum control_progress run_zones(struct control_call *call, const json_t *request)
{
    (void)request;
    return add_text(call->reply, "{\"ok\":true,\"result\":{\"zones\":[") ? list_zones(call, false)
                                                                         : CONTROL_FAILED;
}

enum control_progress control_more(struct control_call *call)
{
    return list_zones(call, true);
}

/* ---- reload ---- */

/* What diag has of a severity, as object[key]: an array, left out where empty. */
static void set_entries(json_t *object, const char *key, const char *more, const struct diag *diag,
                        enum diag_severity severity)
{
    size_t all = severity == DIAG_FAULT ? diag->faults : diag->warnings;
    if (all == 0) {
        return;
    }
    json_t *list = json_array();
    for (size_t i = 0; i < diag->kept; i++) {
        if (diag->entries[i].severity == severity) {
            json_array_append_new(list, any_string(diag->entries[i].text));
        }
    }
    if (all > json_array_size(list)) {
        set_number(object, more, all - json_array_size(list));
    }
    json_object_set_new(object, key, list);
}

static void set_diag(json_t *object, const struct diag *diag)
{
    set_entries(object, "faults", "more_faults", diag, DIAG_FAULT);
    set_entries(object, "warnings", "more_warnings", diag, DIAG_WARNING);
}

static json_t *zone_result_json(const struct loader_zone_result *zone)
{
    static const char *const outcomes[] = {
        [LOADER_LOADED] = "loaded",
        [LOADER_UNCHANGED] = "unchanged",
        [LOADER_FAILED] = "failed",
        [LOADER_REMOVED] = "removed",
    };
    char name[NAME_MAX_TEXT];
    loader_name_text(zone->name, name);
    json_t *object = json_object();
    set_text(object, "name", name);
    set_text(object, "outcome", outcomes[zone->outcome]);
    set_number(object, "serial", zone->serial);
    set_number(object, "records", zone->records);
    set_number(object, "milliseconds", (uint64_t)zone->milliseconds);
    set_diag(object, &zone->diag);
    return object;
}

/* The members of a reload's result but for the list of zones. */
static json_t *reload_head(const struct server_reload_result *result)
{
    const struct loader_result *zones = result->zones;
    json_t *head = json_object();
    set_number(head, "loaded", zones->loaded);
    set_number(head, "unchanged", zones->unchanged);
    set_number(head, "failed", zones->failed);
    set_number(head, "removed", zones->removed);
    set_number(head, "milliseconds", (uint64_t)zones->milliseconds);
    set_text(head, "restart_needed_for", result->restart);
    set_diag(head, result->diag);
    return head;
}

static enum control_progress answer_reload(struct evbuffer *reply,
                                           const struct server_reload_result *result)
{
    if (result->error == RR_EINVAL) {
        json_t *more = json_object();
        set_diag(more, result->diag);
        return refuse(reply, json_string("the configuration is refused, nothing has changed"),
                      more);
    }
    if (result->error != RR_OK) {
        bool stopping = result->error == RR_ESTATE;
        return control_refuse(reply, "%s",
                              stopping ? "the server is stopping" : rr_strerror(result->error));
    }
    const struct loader_result *zones = result->zones;
    bool ok = add_text(reply, "{\"ok\":true,\"result\":{") &&
              add_json(reply, reload_head(result), JSON_EMBED) && add_text(reply, ",\"zones\":[");
    for (size_t i = 0; i < zones->count && ok; i++) {
        ok = (i == 0 || add_text(reply, ",")) &&
             add_json(reply, zone_result_json(&zones->zones[i]), 0);
    }
    return ok && add_text(reply, "]}}\n") ? CONTROL_DONE : CONTROL_FAILED;
}

static void reload_done(void *context, const struct server_reload_result *result)
{
    struct control_wait *wait = context;
    struct control_call *call = wait->call;
    free(wait);
    if (call != NULL) {
        call->wait = NULL;
        call->ready(call->context, answer_reload(call->reply, result));
    }
}

static enum control_progress begin_reload(struct control_call *call, const uint8_t *const *names,
                                          size_t count)
{
    struct control_wait *wait = calloc(1, sizeof *wait);
    if (wait == NULL) {
        return CONTROL_FAILED;
    }
    wait->call = call;
    call->wait = wait;
    int error = server_reload(call->server, names, count, reload_done, wait);
    if (error != RR_OK) {
        free(wait);
        call->wait = NULL;
        return control_refuse(call->reply, "%s", rr_strerror(error));
    }
    return CONTROL_WAIT;
}

static enum control_progress run_reload(struct control_call *call, const json_t *request)
{
    const json_t *zones = json_object_get(request, "zones");
    if (zones == NULL) {
        return begin_reload(call, NULL, 0);
    }
    size_t count = json_array_size(zones);
    if (count == 0) {
        return control_refuse(call->reply, "\"zones\" is to be a list of names");
    }
    struct loader_zone_info info;
    enum control_progress progress = CONTROL_FAILED;
    uint8_t(*block)[NAME_MAX_OCTETS] = calloc(count, sizeof *block);
    const uint8_t **names = calloc(count, sizeof *names);
    if (block == NULL || names == NULL) {
        goto out;
    }
    for (size_t i = 0; i < count; i++) {
        if (!find_zone(call, json_array_get(zones, i), &info, &progress)) {
            goto out;
        }
        names[i] = memcpy(block[i], info.name, sizeof info.name);
    }
    progress = begin_reload(call, names, count);
out:
    free(names);
    free(block);
    return progress;
}

void control_abandon(struct control_call *call)
{
    if (call->wait != NULL) {
        call->wait->call = NULL;
        call->wait = NULL;
    }
}

/* ---- cache, upstreams ---- */

static enum control_progress run_cache(struct control_call *call, const json_t *request)
{
    const json_t *action = json_object_get(request, "action");
    const json_t *name = json_object_get(request, "name");
    const char *text = json_string_value(name);
    uint8_t wire[NAME_MAX_OCTETS];
    if (action == NULL && name == NULL) {
        return answer(call, control_cache_json(call->server));
    }
    if (!json_is_string(action) || strcmp(json_string_value(action), "flush") != 0) {
        return control_refuse(call->reply, "\"action\" is to be \"flush\"");
    }
    if (name != NULL && text == NULL) {
        return control_refuse(call->reply, "a name is to be a string");
    }
    if (text != NULL && name_from_text(text, strlen(text), NULL, wire) != RR_OK) {
        return control_refuse(call->reply, "\"%s\" is not a domain name", text);
    }
    return answer(call, control_flush_json(call->server, text != NULL ? wire : NULL));
}

static enum control_progress run_upstreams(struct control_call *call, const json_t *request)
{
    (void)request;
    return answer(call, control_upstreams_json(call->server));
}

/* ---- log, stop ---- */

static enum control_progress run_log(struct control_call *call, const json_t *request)
{
    enum log_level level;
    const char *text = json_string_value(json_object_get(request, "level"));
    if (text == NULL || log_level_parse(text, &level) != RR_OK) {
        return control_refuse(call->reply, "\"level\" is to be one of error, warning, info, debug");
    }
    log_set_level(level);
    return answer(call, json_pack("{s:s}", "level", log_level_name(level)));
}

static enum control_progress run_stop(struct control_call *call, const json_t *request)
{
    (void)request;
    enum control_progress progress = answer(call, json_pack("{s:b}", "stopping", 1));
    server_stop(call->server);
    return progress;
}

/* ---- Choosing ---- */

enum { FIELDS_MAX = 2 };

static const struct command {
    const char *name;
    const char *field[FIELDS_MAX]; /* those it may have besides "command" */
    enum control_progress (*run)(struct control_call *call, const json_t *request);
} commands[] = {
    {"status", {NULL}, run_status},
    {"stats", {"per_worker"}, run_stats},
    {"reload", {"zones"}, run_reload},
    {"zones", {NULL}, run_zones},
    {"zone", {"name"}, run_zone},
    {"dnssec", {"name"}, run_dnssec},
    {"cache", {"action", "name"}, run_cache},
    {"upstreams", {NULL}, run_upstreams},
    {"log", {"level"}, run_log},
    {"stop", {NULL}, run_stop},
};

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            return &commands[i];
        }
    }
    return NULL;
}

static bool has_field(const struct command *command, const char *name)
{
    bool found = strcmp(name, "command") == 0;
    for (size_t i = 0; i < FIELDS_MAX && command->field[i] != NULL; i++) {
        found |= strcmp(name, command->field[i]) == 0;
    }
    return found;
}

/* The first field of the request that the command does not know; NULL: none. */
static const char *unknown_field(const struct command *command, json_t *request)
{
    const char *key;
    json_t *value;
    json_object_foreach (request, key, value) {
        if (!has_field(command, key)) {
            return key;
        }
    }
    return NULL;
}

static enum control_progress choose(struct control_call *call, json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "command"));
    if (name == NULL) {
        return control_refuse(call->reply, "\"command\" is missing, or is no string");
    }
    const struct command *command = find_command(name);
    if (command == NULL) {
        return control_refuse(call->reply, "unknown command \"%s\"", name);
    }
    const char *field = unknown_field(command, request);
    if (field != NULL) {
        return control_refuse(call->reply, "unknown field \"%s\" of command \"%s\"", field, name);
    }
    return command->run(call, request);
}

enum control_progress control_run(struct control_call *call, const char *line, size_t size)
{
    json_error_t error;
    counter_add(call->server->counters, COUNTER_control_commands, 1);
    json_t *request;
    int failed = json_read(line, size, JSON_REJECT_DUPLICATES, &request, &error);
    if (failed == RR_ENOMEM) {
        return control_refuse(call->reply, "%s", rr_strerror(failed));
    }
    if (failed != RR_OK) {
        return control_refuse(call->reply, "not JSON: %s (column %d)", error.text, error.column);
    }
    enum control_progress progress = json_is_object(request)
                                         ? choose(call, request)
                                         : control_refuse(call->reply, "not a JSON object");
    json_decref(request);
    return progress;
}

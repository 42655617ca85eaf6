/*
 * The whole of the configuration as tables, in the order of the example in rrdns.json(5). Keys of
 * features that are still to come are known here too, with the one value they may have: who
 * sets more is told so, instead of being served without it.
 */
#include "daemon/config_keys.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/err.h"
#include "daemon/config_dnssec.h"
#include "dns/name.h"
#include "world/publish.h"
#include "world/world.h"

enum {
    SECOND = 1000,
    HOUR = 3600 * SECOND,
    DAY = 24 * HOUR,
    COUNT_MAX = 1000000000,
    NSID_MAX = sizeof((struct settings *)0)->nsid,
    VERSION_MAX = 255, /* octets in one string of a TXT record */
};

#define KEY(text, type) .name = (text), .kind = SCHEMA_##type
#define AT(field) .offset = offsetof(struct config, field)
/* ---- Values that need more than their type ---- */

int config_add_address(struct config *config, const char *text, char *reason)
{
    char quoted[WALK_QUOTED_MAX];
    walk_quote(text, quoted);
    struct net_address added;
    int error = address_parse(text, 53, &added.address, &added.size);
    if (error == RR_ERANGE) {
        snprintf(reason, CONFIG_REASON_MAX, "%s: the port is outside 1 to 65535", quoted);
        return RR_EINVAL;
    }
    if (error != 0) {
        snprintf(reason, CONFIG_REASON_MAX,
                 "%s is not an address such as \"192.0.2.1:53\" or \"[2001:db8::1]:53\"", quoted);
        return RR_EINVAL;
    }
    for (size_t i = 0; i < config->addresses; i++) {
        if (memcmp(&config->address[i].address, &added.address, sizeof added.address) == 0) {
            snprintf(reason, CONFIG_REASON_MAX, "%s is given twice", quoted);
            return RR_EINVAL;
        }
    }
    if (config->addresses == CONFIG_ADDRESSES_MAX) {
        snprintf(reason, CONFIG_REASON_MAX, "more than %d addresses", CONFIG_ADDRESSES_MAX);
        return RR_EINVAL;
    }
    struct net_address *address =
        realloc(config->address, (config->addresses + 1) * sizeof *address);
    if (address == NULL) {
        return RR_ENOMEM;
    }
    config->address = address;
    config->address[config->addresses++] = added;
    return RR_OK;
}

static void take_listen(struct walk *walk, const json_t *value, size_t line)
{
    char reason[CONFIG_REASON_MAX];
    int error = config_add_address(walk->target, json_string_value(value), reason);
    if (error == RR_ENOMEM) {
        walk->no_memory = true;
    } else if (error != 0) {
        walk_fault(walk, line, "%s", reason);
    }
}

static void take_listen_list(struct walk *walk, const json_t *value, size_t line)
{
    if (json_array_size(value) == 0) {
        walk_fault(walk, line, "needs one address at least");
    }
}

static void take_user(struct walk *walk, const json_t *value, size_t line)
{
    (void)value;
    ((struct config *)walk->target)->user_line = line;
}

static void take_group(struct walk *walk, const json_t *value, size_t line)
{
    (void)value;
    ((struct config *)walk->target)->group_line = line;
}

static void take_control(struct walk *walk, const json_t *value, size_t line)
{
    struct config *config = walk->target;
    (void)value;
    config->control_given = true;
    if (strlen(config->control_socket) > CONFIG_SOCKET_PATH_MAX) {
        walk_fault(walk, line, CONFIG_SOCKET_PATH_FAULT, strlen(config->control_socket),
                   CONFIG_SOCKET_PATH_MAX);
    }
}

static void take_log_target(struct walk *walk, const json_t *value, size_t line)
{
    struct config *config = walk->target;
    const char *text = json_string_value(value);
    char quoted[WALK_QUOTED_MAX];
    if (strcmp(text, "stderr") == 0 || strcmp(text, "journal") == 0) {
        config->log_target = LOG_TARGET_STDERR;
    } else if (strcmp(text, "syslog") == 0) {
        config->log_target = LOG_TARGET_SYSLOG;
    } else if (text[0] == '/' || (strncmp(text, "file:", 5) == 0 && text[5] != '\0')) {
        char *path = walk_path(walk->file, text[0] == '/' ? text : text + 5);
        walk->no_memory |= path == NULL;
        free(config->log_path);
        config->log_path = path;
        config->log_target = LOG_TARGET_FILE;
    } else {
        walk_fault(walk, line,
                   "%s is none of \"stderr\", \"journal\", \"syslog\" and \"file:PATH\"",
                   walk_quote(text, quoted));
    }
}

static void take_log_level(struct walk *walk, const json_t *value, size_t line)
{
    struct config *config = walk->target;
    char quoted[WALK_QUOTED_MAX];
    if (log_level_parse(json_string_value(value), &config->log_level) != 0) {
        walk_fault(walk, line, "%s is none of \"error\", \"warning\", \"info\" and \"debug\"",
                   walk_quote(json_string_value(value), quoted));
    }
}

static void take_zone_directory(struct walk *walk, const json_t *value, size_t line)
{
    (void)value;
    ((struct config_reading *)walk->context)->zone_directory_line = line;
}

static void take_zone_file(struct walk *walk, const json_t *value, size_t line)
{
    if (json_string_length(value) == 0) {
        walk_fault(walk, line, "must not be empty");
    }
}

static void take_zone_dnssec(struct walk *walk, const json_t *value, size_t line)
{
    (void)value;
    ((struct config_reading *)walk->context)->policy_line = line;
}

static void take_zone(struct walk *walk, const json_t *value, size_t line)
{
    struct config_reading *reading = walk->context;
    const char *text = json_string_value(json_object_get(value, "name"));
    const char *file = json_string_value(json_object_get(value, "file"));
    const char *policy = json_string_value(json_object_get(value, "dnssec"));
    uint8_t name[NAME_MAX_OCTETS];
    if (text == NULL || name_from_text(text, strlen(text), NULL, name) != 0) {
        walk_fault(walk, line, "has no \"name\"");
        return;
    }
    char *path = file != NULL ? walk_path(walk->file, file) : NULL;
    if ((file != NULL && path == NULL) ||
        zone_entries_add(&reading->entries, name, path, line, walk->index) != 0) {
        walk->no_memory = true;
    } else if (policy != NULL && policy[0] != '\0') {
        walk->no_memory |=
            zone_entries_policy(&reading->entries, policy, reading->policy_line) != 0;
    }
}

/* ---- server ---- */

static const struct schema listen_element = {.kind = SCHEMA_TEXT, .take = take_listen};
static const struct schema text_element = {.kind = SCHEMA_TEXT};

static const struct schema tcp_keys[] = {
    {KEY("clients_max", NUMBER), .minimum = 1, .maximum = 1000000, AT(tcp_clients_max)},
    {KEY("clients_per_address", NUMBER), .minimum = 1, .maximum = 1000000,
     AT(tcp_clients_per_address)},
    {KEY("idle", DURATION), .minimum = SECOND, .maximum = HOUR, AT(tcp_idle_ms)},
    {KEY("queries_per_connection", NUMBER), .maximum = COUNT_MAX, AT(tcp_queries_per_connection)},
    {.name = NULL},
};

static const struct schema rate_limit_keys[] = {
    {KEY("responses_per_second", NUMBER), .maximum = COUNT_MAX, .only = "0"},
    {KEY("slip", NUMBER), .maximum = 10, .only = "2"},
    {KEY("exempt", LIST), .inner = &text_element, .only = "[]"},
    {.name = NULL},
};

static const struct schema server_keys[] = {
    {KEY("listen", LIST), .inner = &listen_element, .take = take_listen_list},
    {KEY("workers", NUMBER), .maximum = PUBLISH_READERS_MAX, AT(workers)},
    {KEY("user", TEXT), AT(user), .take = take_user},
    {KEY("group", TEXT), AT(group), .take = take_group},
    {KEY("nsid", TEXT), .maximum = NSID_MAX, AT(nsid)},
    {KEY("version", TEXT), .maximum = VERSION_MAX, AT(version)},
    {KEY("udp_payload_max", NUMBER), .minimum = 512, .maximum = 4096, AT(udp_payload_max)},
    {KEY("tcp", OBJECT), .inner = tcp_keys},
    {KEY("cookies", BOOL), AT(cookies)},
    {KEY("rate_limit", OBJECT), .inner = rate_limit_keys},
    {KEY("drain", DURATION), .maximum = HOUR, AT(drain_ms)},
    {.name = NULL},
};

/* ---- control, metrics, log ---- */

static const struct schema control_keys[] = {
    {KEY("socket", PATH), AT(control_socket), .take = take_control},
    {.name = NULL},
};

static const struct schema metrics_keys[] = {
    {KEY("listen", TEXT), .only = "\"\""},
    {.name = NULL},
};

static const struct schema log_keys[] = {
    {KEY("target", TEXT), .take = take_log_target},
    {KEY("level", TEXT), .take = take_log_level},
    {KEY("queries", BOOL), .only = "false"},
    {.name = NULL},
};

/* ---- zones ---- */

static const struct schema zone_keys[] = {
    {KEY("name", TEXT), .take = walk_take_name},
    {KEY("file", TEXT), .take = take_zone_file},
    {KEY("dnssec", TEXT), .take = take_zone_dnssec},
    {.name = NULL},
};
static const struct schema zone_element = {
    .kind = SCHEMA_OBJECT, .inner = zone_keys, .take = take_zone};

/* ---- The whole ---- */

static const struct schema top_keys[] = {
    {KEY("server", OBJECT), .inner = server_keys},
    {KEY("control", OBJECT), .inner = control_keys},
    {KEY("metrics", OBJECT), .inner = metrics_keys},
    {KEY("log", OBJECT), .inner = log_keys},
    {KEY("zone_directory", PATH), AT(zone_directory), .take = take_zone_directory},
    {KEY("image_directory", PATH), AT(image_directory)},
    {KEY("zones", LIST), .inner = &zone_element},
    {KEY("dnssec", MAP), .inner = &config_policy, .take = config_take_policies},
    {KEY("proxy", OBJECT), .inner = config_proxy_keys},
    {.name = NULL},
};

const struct schema config_schema = {.kind = SCHEMA_OBJECT, .inner = top_keys};

/*
 * Everything printed here comes from another process: strings go through text_printable, and a
 * value that isn't there or of another type prints as nothing or 0, never ends the program.
 */
#include "daemon/ctl_text.h"

#include <stdbool.h>
#include <string.h>

#include "base/text.h"

enum { TEXT_ROOM = 2048, NAME_COLUMN_MAX = 48 };

/* ---- Values ---- */

/* Not reentrant: the text is good until the fourth next call. */
static const char *printable(const char *text)
{
    static char rooms[4][TEXT_ROOM];
    static unsigned turn;
    turn = (turn + 1) % 4;
    return text_printable(text != NULL ? text : "-", rooms[turn], TEXT_ROOM);
}

static const char *string_of(const json_t *object, const char *key)
{
    return printable(json_string_value(json_object_get(object, key)));
}

static json_int_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static bool flag_of(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* "name   value" with the values in one column. */
static void print_pair(FILE *out, const char *name, const char *value)
{
    fprintf(out, "%-12s %s\n", name, value);
}

static void print_number(FILE *out, const char *name, json_int_t value)
{
    fprintf(out, "%-12s %" JSON_INTEGER_FORMAT "\n", name, value);
}

/* Each string of a list, one a line after prefix. */
static void print_lines(FILE *out, const char *prefix, const json_t *list)
{
    size_t i;
    const json_t *line;
    json_array_foreach (list, i, line) {
        fprintf(out, "%s%s\n", prefix, printable(json_string_value(line)));
    }
}

static void print_entries(FILE *out, const json_t *object, const char *key, const char *more,
                          const char *prefix)
{
    print_lines(out, prefix, json_object_get(object, key));
    if (number_of(object, more) > 0) {
        fprintf(out, "%s... and %" JSON_INTEGER_FORMAT " more\n", prefix, number_of(object, more));
    }
}

/* The width of a column: of its heading or its widest value, as far as there is room. */
static int widest(const json_t *list, const char *key, const char *heading)
{
    size_t i;
    const json_t *row;
    int width = (int)strlen(heading);
    json_array_foreach (list, i, row) {
        int length = (int)strlen(string_of(row, key));
        width = length > width ? length : width;
    }
    return width < NAME_COLUMN_MAX ? width : NAME_COLUMN_MAX;
}

/* ---- status, stats ---- */

static void print_uptime(FILE *out, json_int_t seconds)
{
    fprintf(out, "%-12s ", "uptime");
    if (seconds >= 86400) {
        fprintf(out, "%" JSON_INTEGER_FORMAT "d ", seconds / 86400);
    }
    fprintf(out, "%02d:%02d:%02d\n", (int)(seconds / 3600 % 24), (int)(seconds / 60 % 60),
            (int)(seconds % 60));
}

static void print_status(const json_t *result, FILE *out, FILE *err)
{
    (void)err;
    size_t i;
    const json_t *address;
    print_pair(out, "status", string_of(result, "status"));
    print_pair(out, "version", string_of(result, "version"));
    print_number(out, "pid", number_of(result, "pid"));
    print_uptime(out, number_of(result, "uptime"));
    print_number(out, "workers", number_of(result, "workers"));
    json_array_foreach (json_object_get(result, "listen"), i, address) {
        print_pair(out, i == 0 ? "listen" : "", printable(json_string_value(address)));
    }
    fprintf(out, "%-12s %" JSON_INTEGER_FORMAT " (%" JSON_INTEGER_FORMAT " in service)\n", "zones",
            number_of(result, "zones"), number_of(result, "zones_serving"));
    print_number(out, "routes", number_of(result, "routes"));
    print_number(out, "generation", number_of(result, "generation"));
}

static void print_counter(FILE *out, const char *name, const char *label, const json_t *value)
{
    char key[128];
    snprintf(key, sizeof key, "%s%s%s", name, label[0] != '\0' ? "." : "", label);
    fprintf(out, "%-28s %" JSON_INTEGER_FORMAT "\n", printable(key), json_integer_value(value));
}

static void print_counters(FILE *out, json_t *counters)
{
    const char *name, *label;
    json_t *value, *cell;
    json_object_foreach (counters, name, value) {
        if (!json_is_object(value)) {
            print_counter(out, name, "", value);
            continue;
        }
        json_object_foreach (value, label, cell) {
            print_counter(out, name, label, cell);
        }
    }
}

static void print_stats(const json_t *result, FILE *out, FILE *err)
{
    (void)err;
    size_t i;
    const json_t *worker;
    print_counters(out, json_object_get(result, "counters"));
    print_counters(out, json_object_get(result, "gauges"));
    json_array_foreach (json_object_get(result, "per_worker"), i, worker) {
        fprintf(out, "\nworker %" JSON_INTEGER_FORMAT "\n", number_of(worker, "worker"));
        print_counters(out, json_object_get(worker, "counters"));
    }
}

/* ---- zone, zones ---- */

static const char *state_of(const json_t *zone)
{
    bool failed = json_is_string(json_object_get(zone, "last_error"));
    if (!flag_of(zone, "serving")) {
        return "not served";
    }
    return failed ? "served, last load failed" : "served";
}

static void print_zone(const json_t *zone, FILE *out, FILE *err)
{
    (void)err;
    bool serving = flag_of(zone, "serving");
    print_pair(out, "zone", string_of(zone, "name"));
    print_pair(out, "state", state_of(zone));
    print_pair(out, "file", string_of(zone, "file"));
    if (serving) {
        print_number(out, "serial", number_of(zone, "serial"));
        print_number(out, "records", number_of(zone, "records"));
        print_number(out, "names", number_of(zone, "names"));
        print_number(out, "bytes", number_of(zone, "bytes"));
        print_pair(out, "loaded at", string_of(zone, "loaded_at"));
        print_pair(out, "from image", flag_of(zone, "from_image") ? "yes" : "no");
        print_pair(out, "signed", flag_of(zone, "signed") ? "yes" : "no");
    }
    print_pair(out, "last error", string_of(zone, "last_error"));
    print_number(out, "queries", number_of(zone, "queries"));
    print_number(out, "nxdomain", number_of(zone, "nxdomain"));
    print_number(out, "bytes sent", number_of(zone, "bytes_sent"));
}

static void print_zone_row(FILE *out, int width, const json_t *zone)
{
    fprintf(out, "%-*s ", width, string_of(zone, "name"));
    if (flag_of(zone, "serving")) {
        fprintf(out,
                "%10" JSON_INTEGER_FORMAT " %9" JSON_INTEGER_FORMAT " %11" JSON_INTEGER_FORMAT
                " %-20s",
                number_of(zone, "serial"), number_of(zone, "records"), number_of(zone, "bytes"),
                string_of(zone, "loaded_at"));
    } else {
        fprintf(out, "%10s %9s %11s %-20s", "-", "-", "-", "-");
    }
    fprintf(out, " %12" JSON_INTEGER_FORMAT "  %s", number_of(zone, "queries"), state_of(zone));
    if (json_is_string(json_object_get(zone, "last_error"))) {
        fprintf(out, ": %s", string_of(zone, "last_error"));
    }
    fputc('\n', out);
}

static void print_zones(const json_t *result, FILE *out, FILE *err)
{
    (void)err;
    const json_t *zones = json_object_get(result, "zones");
    const json_t *zone;
    size_t i;
    int width = widest(zones, "name", "NAME");
    fprintf(out, "%-*s %10s %9s %11s %-20s %12s  %s\n", width, "NAME", "SERIAL", "RECORDS", "BYTES",
            "LOADED AT", "QUERIES", "STATE");
    json_array_foreach (zones, i, zone) {
        print_zone_row(out, width, zone);
    }
}

/* ---- dnssec ---- */

static void print_key(FILE *out, const json_t *key)
{
    char times[512] = "";
    size_t used = 0;
    const char *event;
    json_t *time;
    json_object_foreach (json_object_get(key, "times"), event, time) {
        int more = snprintf(times + used, sizeof times - used, ", %s %s", printable(event),
                            json_string_value(time));
        used += more > 0 && (size_t)more < sizeof times - used ? (size_t)more : 0;
    }
    fprintf(out, "%-12s %" JSON_INTEGER_FORMAT " %s%s: %s, signs %s%s\n", "key",
            number_of(key, "tag"), string_of(key, "algorithm"), flag_of(key, "sep") ? " SEP" : "",
            string_of(key, "state"), string_of(key, "signs"), times);
    if (!flag_of(key, "private")) {
        fprintf(out, "%-12s its private part is not here\n", "");
    }
}

static void print_strings(FILE *out, const char *name, const json_t *list)
{
    size_t i;
    const json_t *text;
    json_array_foreach (list, i, text) {
        print_pair(out, name, printable(json_string_value(text)));
    }
}

static void print_dnssec(const json_t *result, FILE *out, FILE *err)
{
    (void)err;
    size_t i;
    const json_t *key;
    const json_t *signatures = json_object_get(result, "signatures");
    print_pair(out, "zone", string_of(result, "name"));
    print_pair(out, "denial", string_of(result, "denial"));
    json_array_foreach (json_object_get(result, "keys"), i, key) {
        print_key(out, key);
    }
    print_pair(out, "next change", json_is_string(json_object_get(result, "next_change"))
                                       ? string_of(result, "next_change")
                                       : "none");
    print_strings(out, "DS", json_object_get(result, "ds"));
    print_strings(out, "CDS", json_object_get(result, "cds"));
    print_number(out, "signatures", number_of(signatures, "kept"));
    print_number(out, "their bytes", number_of(signatures, "bytes"));
}

/* ---- cache, upstreams ---- */

static void print_cache(const json_t *result, FILE *out, FILE *err)
{
    static const char *const figures[] = {"size",    "used", "entries", "put",
                                          "evicted", "hits", "stale",   "misses"};
    (void)err;
    if (json_object_get(result, "flushed") != NULL) {
        fprintf(out, "%" JSON_INTEGER_FORMAT " entries flushed\n", number_of(result, "flushed"));
        return;
    }
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        print_number(out, figures[i], number_of(result, figures[i]));
    }
}

static void print_upstream(const json_t *row, int group, int server, FILE *out)
{
    char latency[32] = "-";
    if (json_is_number(json_object_get(row, "latency_ms"))) {
        snprintf(latency, sizeof latency, "%.1f ms",
                 json_number_value(json_object_get(row, "latency_ms")));
    }
    fprintf(out,
            "%-*s %-*s %-7s %10s %12" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT
            " %9" JSON_INTEGER_FORMAT "  ",
            group, string_of(row, "group"), server, string_of(row, "server"),
            string_of(row, "state"), latency, number_of(row, "queries"), number_of(row, "replies"),
            number_of(row, "timeouts"));
    if (json_is_integer(json_object_get(row, "last_error_age"))) {
        fprintf(out, "%s %" JSON_INTEGER_FORMAT " s ago\n", string_of(row, "last_error"),
                number_of(row, "last_error_age"));
    } else {
        fputs("-\n", out);
    }
}

static void print_upstreams(const json_t *result, FILE *out, FILE *err)
{
    const json_t *list = json_object_get(result, "upstreams");
    const json_t *row;
    size_t i;
    int group = widest(list, "group", "GROUP"), server = widest(list, "server", "SERVER");
    (void)err;
    fprintf(out, "%-*s %-*s %-7s %10s %12s %12s %9s  %s\n", group, "GROUP", server, "SERVER",
            "STATE", "LATENCY", "QUERIES", "REPLIES", "TIMEOUTS", "LAST ERROR");
    json_array_foreach (list, i, row) {
        print_upstream(row, group, server, out);
    }
}

/* ---- reload, log, stop ---- */

static void print_reloaded(const json_t *zone, FILE *out, FILE *err)
{
    const char *outcome = json_string_value(json_object_get(zone, "outcome"));
    bool failed = outcome != NULL && strcmp(outcome, "failed") == 0;
    if (failed) {
        fprintf(err, "%s: failed\n", string_of(zone, "name"));
        print_entries(err, zone, "faults", "more_faults", "  ");
    } else if (outcome != NULL && strcmp(outcome, "removed") == 0) {
        fprintf(out, "%s: removed\n", string_of(zone, "name"));
    } else {
        fprintf(out, "%s: %s, serial %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " records\n",
                string_of(zone, "name"), printable(outcome), number_of(zone, "serial"),
                number_of(zone, "records"));
    }
    print_entries(failed ? err : out, zone, "warnings", "more_warnings", "  warning: ");
}

static void print_reload(const json_t *result, FILE *out, FILE *err)
{
    const char *restart = json_string_value(json_object_get(result, "restart_needed_for"));
    size_t i;
    const json_t *zone;
    print_entries(out, result, "warnings", "more_warnings", "warning: ");
    if (restart != NULL && restart[0] != '\0') {
        fprintf(out, "not before a restart: %s\n", printable(restart));
    }
    json_array_foreach (json_object_get(result, "zones"), i, zone) {
        print_reloaded(zone, out, err);
    }
    fprintf(
        out,
        "%" JSON_INTEGER_FORMAT " loaded, %" JSON_INTEGER_FORMAT " unchanged, %" JSON_INTEGER_FORMAT
        " failed, %" JSON_INTEGER_FORMAT " removed in %" JSON_INTEGER_FORMAT " ms\n",
        number_of(result, "loaded"), number_of(result, "unchanged"), number_of(result, "failed"),
        number_of(result, "removed"), number_of(result, "milliseconds"));
}

static void print_log(const json_t *result, FILE *out, FILE *err)
{
    (void)err;
    fprintf(out, "log level %s\n", string_of(result, "level"));
}

static void print_stop(const json_t *result, FILE *out, FILE *err)
{
    (void)result;
    (void)err;
    fprintf(out, "stopped\n");
}

/* ---- Choosing ---- */

void ctl_text_result(const char *command, const json_t *result, FILE *out, FILE *err)
{
    static const struct {
        const char *command;
        void (*print)(const json_t *result, FILE *out, FILE *err);
    } forms[] = {
        {"status", print_status},       {"stats", print_stats},   {"reload", print_reload},
        {"zones", print_zones},         {"zone", print_zone},     {"log", print_log},
        {"stop", print_stop},           {"dnssec", print_dnssec}, {"cache", print_cache},
        {"upstreams", print_upstreams},
    };
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(forms[i].command, command) == 0) {
            forms[i].print(result, out, err);
        }
    }
}

void ctl_text_refusal(const json_t *answer, FILE *err)
{
    fprintf(err, "rrdnsctl: %s\n", string_of(answer, "error"));
    print_entries(err, answer, "faults", "more_faults", "");
    print_entries(err, answer, "warnings", "more_warnings", "warning: ");
}

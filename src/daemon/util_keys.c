/*
 * Making keys, and printing DS records. Options may stand before or behind the word that they are
 * about, which getopt's permutation allows.
 */
#include "daemon/util_keys.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/text.h"
#include "daemon/report.h"
#include "dns/name.h"
#include "dnssec/key_file.h"
#include "dnssec/keyset.h"
#include "dnssec/secret.h"

enum { WRONG_USAGE = -1, PATH_ROOM = 4096 };

static int wrong(const char *what, const char *reason)
{
    char printable[256];
    fprintf(stderr, "rrdnsutil: \"%s\" %s\n", text_printable(what, printable, sizeof printable),
            reason);
    return 2;
}

/* ---- Times ---- */

/* "+N" and a unit, as dnssec-settime has them: y, mo, w, d, h, mi; without one, seconds. */
static int parse_offset(const char *text, int64_t now, int64_t *time)
{
    static const struct {
        const char *unit;
        int64_t seconds;
    } units[] = {{"", 1},      {"s", 1},         {"mi", 60},         {"h", 3600},
                 {"d", 86400}, {"w", 7 * 86400}, {"mo", 30 * 86400}, {"y", 365 * 86400}};
    int64_t sign = text[0] == '-' ? -1 : 1, count = 0;
    size_t at = 1;
    while (text[at] >= '0' && text[at] <= '9' && at < 11) {
        count = 10 * count + (text[at++] - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0] && at > 1; i++) {
        if (strcmp(text + at, units[i].unit) == 0) {
            *time = now + sign * count * units[i].seconds;
            return *time >= 0 ? RR_OK : RR_EINVAL;
        }
    }
    return RR_EINVAL;
}

/* "YYYYMMDDHHMMSS", "YYYYMMDD", "+1d", "-1d", "now", "now+1d", "none". 0 or RR_EINVAL. */
static int parse_time(const char *text, int64_t now, int64_t *time)
{
    char day[KEYFILE_TIME_MAX];
    if (strcmp(text, "none") == 0) {
        *time = DNSKEY_UNSET;
        return RR_OK;
    }
    if (strncmp(text, "now", 3) == 0) {
        text += 3;
        if (text[0] == '\0') {
            *time = now;
            return RR_OK;
        }
    }
    if (text[0] == '+' || text[0] == '-') {
        return parse_offset(text, now, time);
    }
    if (strlen(text) == 8) {
        snprintf(day, sizeof day, "%s000000", text);
        text = day;
    }
    return keyfile_time_parse(text, strlen(text), time);
}

/* ---- keygen ---- */

struct keygen {
    const char *zone, *directory;
    uint8_t algorithm;
    uint16_t flags;
    bool role;      /* has been given */
    bool activates; /* likewise, a time for that */
    int64_t now, times[DNSKEY_EVENTS];
};

/* Letters of options that set a time. */
static const struct option keygen_options[] = {
    {"algorithm", required_argument, NULL, 'a'},
    {"dir", required_argument, NULL, 'd'},
    {"ksk", no_argument, NULL, 'k'},
    {"zsk", no_argument, NULL, 'z'},
    {"csk", no_argument, NULL, 'c'},
    {"publish", required_argument, NULL, 'P'},
    {"activate", required_argument, NULL, 'A'},
    {"inactive", required_argument, NULL, 'I'},
    {"delete", required_argument, NULL, 'D'},
    {NULL, 0, NULL, 0},
};

static int take_role(struct keygen *keygen, int option)
{
    if (keygen->role) {
        fputs("rrdnsutil: only one of --ksk, --zsk and --csk\n", stderr);
        return 2;
    }
    keygen->role = true;
    keygen->flags = option == 'z' ? DNSKEY_ZONE : DNSKEY_ZONE | DNSKEY_SEP;
    return 0;
}

static int take_option(struct keygen *keygen, int option)
{
    static const struct {
        int option;
        enum dnskey_event event;
    } events[] = {{'P', DNSKEY_PUBLISH},
                  {'A', DNSKEY_ACTIVATE},
                  {'I', DNSKEY_INACTIVE},
                  {'D', DNSKEY_DELETE}};
    switch (option) {
    case 'a':
        return dnskey_algorithm_parse(optarg, &keygen->algorithm) == RR_OK
                   ? 0
                   : wrong(optarg, "is no algorithm that can be used here");
    case 'd':
        keygen->directory = optarg;
        return 0;
    case 'k':
    case 'z':
    case 'c':
        return take_role(keygen, option);
    default:
        break;
    }
    keygen->activates |= option == 'A';
    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (events[i].option == option) {
            return parse_time(optarg, keygen->now, &keygen->times[events[i].event]) == RR_OK
                       ? 0
                       : wrong(optarg, "is no time such as 20300101000000, +30d, now or none");
        }
    }
    return WRONG_USAGE;
}

/* argv[0] is the program's name for messages. */
static int parse_keygen(struct keygen *keygen, int argc, char **argv)
{
    int option, status;
    while ((option = getopt_long(argc, argv, "", keygen_options, NULL)) != -1) {
        if ((status = take_option(keygen, option)) != 0) {
            return status;
        }
    }
    if (optind != argc - 1) {
        return WRONG_USAGE;
    }
    keygen->zone = argv[optind];
    if (!keygen->activates) { /* with publication, when that may be */
        keygen->times[DNSKEY_ACTIVATE] = keygen->times[DNSKEY_PUBLISH];
    }
    return 0;
}

/* Times that go backwards would make a key that is never what it is called. */
static bool times_ascend(const struct keygen *keygen)
{
    int64_t last = INT64_MIN;
    for (unsigned event = DNSKEY_PUBLISH; event <= DNSKEY_DELETE; event++) {
        if (keygen->times[event] != DNSKEY_UNSET) {
            if (keygen->times[event] < last) {
                return false;
            }
            last = keygen->times[event];
        }
    }
    return true;
}

static int run_keygen(const struct keygen *keygen)
{
    uint8_t zone[NAME_MAX_OCTETS];
    char name[KEYFILE_NAME_MAX];
    struct dnskey key;
    if (name_from_text(keygen->zone, strlen(keygen->zone), NULL, zone) != RR_OK) {
        return wrong(keygen->zone, "is not a domain name");
    }
    if (!times_ascend(keygen)) {
        fputs("rrdnsutil: --publish, --activate, --inactive and --delete must come in this order\n",
              stderr);
        return 2;
    }
    secret_init(); /* where memory can't be locked the key is in it only for a moment */
    int error = keyfile_make(keygen->directory, zone, keygen->flags, keygen->algorithm,
                             keygen->times, &key);
    if (error == RR_OK) {
        keyfile_name(&key, name);
        printf("%s\n", name);
    } else {
        fprintf(stderr, "%s: %s\n", keygen->directory,
                error == RR_EIO ? strerror(errno) : rr_strerror(error));
    }
    dnskey_clear(&key);
    return error != RR_OK;
}

static int count(char **words)
{
    int n = 0;
    while (words[n] != NULL) {
        n++;
    }
    return n;
}

int util_keygen(char **words)
{
    struct keygen keygen = {
        .directory = ".",
        .algorithm = DNSKEY_ECDSAP256SHA256,
        .flags = DNSKEY_ZONE | DNSKEY_SEP,
        .now = clock_wall(),
    };
    for (unsigned event = 0; event < DNSKEY_EVENTS; event++) {
        keygen.times[event] = event <= DNSKEY_ACTIVATE ? keygen.now : DNSKEY_UNSET;
    }
    int status = parse_keygen(&keygen, count(words) + 1, words - 1);
    return status != 0 ? status : run_keygen(&keygen);
}

/* ---- ds ---- */

/* Prints what reading a key came to: 0, or the exit status. */
static int print_ds(const char *path)
{
    struct dnskey key;
    struct diag diag = {0};
    char text[DNSKEY_DS_TEXT];
    int error = keyfile_read_public(path, &key, &diag);
    report_print(&diag, stderr);
    diag_clear(&diag);
    if (error == RR_OK) {
        error = dnskey_ds_text(&key, DNSKEY_SHA256, text);
        if (error != RR_OK) {
            fprintf(stderr, "%s: %s\n", path, rr_strerror(error));
        } else {
            puts(text);
        }
    }
    return error != RR_OK;
}

/* Whether the key at path is one that a parent points to; true also where it can't be read, which
 * is told then. */
static bool is_entry(const char *path)
{
    struct dnskey key;
    struct diag diag = {0};
    int error = keyfile_read_public(path, &key, &diag);
    diag_clear(&diag);
    return error != RR_OK || ((key.flags & DNSKEY_SEP) != 0 && (key.flags & DNSKEY_REVOKE) == 0);
}

static int ds_of_zone(const char *word, const char *path)
{
    uint8_t zone[NAME_MAX_OCTETS];
    struct keyset_directory *directory;
    struct diag diag = {0};
    const char *const *names;
    char file[PATH_ROOM];
    if (name_from_text(word, strlen(word), NULL, zone) != RR_OK) {
        return wrong(word, "is neither a key file nor a domain name");
    }
    int error = keyset_directory_read(path, &directory, &diag);
    report_print(&diag, stderr);
    diag_clear(&diag);
    if (error != RR_OK) {
        return 1;
    }
    size_t keys = keyset_directory_keys(directory, zone, &names), printed = 0;
    int status = 0;
    for (size_t i = 0; i < keys; i++) {
        snprintf(file, sizeof file, "%s/%s", path, names[i]);
        if (is_entry(file)) {
            status |= print_ds(file);
            printed++;
        }
    }
    if (printed == 0) {
        fprintf(stderr, "%s: no key of %s with the SEP flag\n", path, word);
        status = 1;
    }
    keyset_directory_free(directory);
    return status;
}

/* "K....key" for a word that is that, has no suffix, or is the .private file's; false: it is no file
 * and not named as such files are. */
static bool find_key_file(const char *word, char *path)
{
    static const char *const suffixes[] = {".private", ".key"};
    struct stat st;
    size_t length = strlen(word);
    for (size_t i = 0; i < 2; i++) {
        size_t tail = strlen(suffixes[i]);
        if (length > tail && strcmp(word + length - tail, suffixes[i]) == 0) {
            length -= tail;
            break;
        }
    }
    if (snprintf(path, PATH_ROOM, "%.*s.key", (int)length, word) >= PATH_ROOM) {
        return false;
    }
    const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
    return stat(path, &st) == 0 || (name[0] == 'K' && strchr(name, '+') != NULL);
}

int util_ds(char **words)
{
    static const struct option options[] = {{"dir", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    char path[PATH_ROOM];
    const char *directory = NULL;
    int argc = count(words) + 1, option;
    while ((option = getopt_long(argc, words - 1, "", options, NULL)) != -1) {
        if (option != 'd') {
            return WRONG_USAGE;
        }
        directory = optarg;
    }
    if (optind != argc - 1) {
        return WRONG_USAGE;
    }
    const char *word = words[optind - 1];
    if (directory == NULL && find_key_file(word, path)) {
        return print_ds(path);
    }
    return ds_of_zone(word, directory != NULL ? directory : ".");
}

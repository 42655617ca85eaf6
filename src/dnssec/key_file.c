/*
 * Names and times of key files, and the reading of files into memory.
 */
#include "dnssec/key_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "dnssec/key_file_text.h"
#include "dnssec/secret.h"

/* ---- Names ---- */

static bool stands_as_it_is(uint8_t octet)
{
    return (octet >= 'a' && octet <= 'z') || (octet >= '0' && octet <= '9') || octet == '-' ||
           octet == '_';
}

size_t keyfile_prefix(const uint8_t *zone, char *text)
{
    size_t at = 0;
    text[at++] = 'K';
    if (zone[0] == 0) {
        text[at++] = '.';
    }
    for (const uint8_t *label = zone; label[0] != 0; label += 1 + label[0]) {
        for (unsigned i = 1; i <= label[0]; i++) {
            uint8_t octet = name_lower(label[i]);
            if (stands_as_it_is(octet)) {
                text[at++] = (char)octet;
            } else {
                at += (size_t)snprintf(text + at, KEYFILE_NAME_MAX - at, "%%%02X", octet);
            }
        }
        text[at++] = '.';
    }
    text[at] = '\0';
    return at;
}

size_t keyfile_name(const struct dnskey *key, char *text)
{
    size_t at = keyfile_prefix(key->owner, text);
    return at + (size_t)snprintf(text + at, KEYFILE_NAME_MAX - at, "+%03u+%05u", key->algorithm,
                                 key->tag);
}

/* ---- Times ---- */

static const char *const event_names[DNSKEY_EVENTS] = {
    [DNSKEY_CREATED] = "Created",        [DNSKEY_PUBLISH] = "Publish",
    [DNSKEY_ACTIVATE] = "Activate",      [DNSKEY_INACTIVE] = "Inactive",
    [DNSKEY_DELETE] = "Delete",          [DNSKEY_SYNC_PUBLISH] = "SyncPublish",
    [DNSKEY_SYNC_DELETE] = "SyncDelete",
};

const char *keyfile_event_name(unsigned event)
{
    return event_names[event];
}

/* Decimal digits; the caller has seen that they are. */
static int digits(const char *text, size_t count)
{
    int value = 0;
    while (count-- > 0) {
        value = 10 * value + (*text++ - '0');
    }
    return value;
}

int keyfile_time_parse(const char *text, size_t size, int64_t *time)
{
    if (size != KEYFILE_TIME_MAX - 1) {
        return RR_EINVAL;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return RR_EINVAL;
        }
    }
    struct tm tm = {
        .tm_year = digits(text, 4) - 1900,
        .tm_mon = digits(text + 4, 2) - 1,
        .tm_mday = digits(text + 6, 2),
        .tm_hour = digits(text + 8, 2),
        .tm_min = digits(text + 10, 2),
        .tm_sec = digits(text + 12, 2),
    };
    struct tm normal = tm;
    int64_t seconds = timegm(&normal);
    /* The 31st of February would be another day; so would second 60. */
    if (seconds < 0 || normal.tm_mon != tm.tm_mon || normal.tm_mday != tm.tm_mday ||
        normal.tm_hour != tm.tm_hour || normal.tm_min != tm.tm_min || normal.tm_sec != tm.tm_sec) {
        return RR_EINVAL;
    }
    *time = seconds;
    return RR_OK;
}

void keyfile_time_format(int64_t time, char *text)
{
    time_t seconds = (time_t)time;
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(text, KEYFILE_TIME_MAX, "%Y%m%d%H%M%S", &tm) == 0) {
        /* Behind the year 9999, which the format ends with. */
        memcpy(text, "99991231235959", KEYFILE_TIME_MAX);
    }
}

/* ---- Files ---- */

/* What is wrong with an opened file before it is read; NULL: nothing. */
static const char *refuse(const struct stat *st, bool private)
{
    if (!S_ISREG(st->st_mode)) {
        return "not a regular file";
    }
    if (st->st_size > KEYFILE_SIZE_MAX) {
        return "too large for a key file";
    }
    if (private && (st->st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return "a private key that group or others have access to: chmod 600 it, and think of "
               "replacing it";
    }
    return NULL;
}

/* The whole of an opened file to text: its size, or -1 with errno set. */
static ssize_t read_whole(int file, char *text)
{
    size_t used = 0;
    while (used < KEYFILE_SIZE_MAX) {
        ssize_t n = read(file, text + used, KEYFILE_SIZE_MAX - used);
        if (n == 0) {
            break;
        }
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        used += n > 0 ? (size_t)n : 0;
    }
    return (ssize_t)used;
}

/*
 * Reads a file to text, which has room for KEYFILE_TEXT_ROOM zeroed octets. Returns 0; RR_ENOENT,
 * not told, where there is none; RR_EIO or RR_EINVAL, told.
 */
static int read_text(const char *path, bool private, char *text, size_t *size, struct diag *diag)
{
    /* Not to wait for a writer where it is a pipe. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    if (file < 0 && errno == ENOENT) {
        return RR_ENOENT;
    }
    if (file < 0 || fstat(file, &st) != 0) {
        diag_fault(diag, path, 0, "%s", strerror(errno));
        if (file >= 0) {
            close(file);
        }
        return RR_EIO;
    }
    const char *reason = refuse(&st, private);
    ssize_t used = reason == NULL ? read_whole(file, text) : 0;
    if (reason == NULL && used < 0) {
        reason = strerror(errno);
    }
    close(file);
    if (reason != NULL) {
        diag_fault(diag, path, 0, "%s", reason);
        return used < 0 ? RR_EIO : RR_EINVAL;
    }
    *size = (size_t)used;
    return RR_OK;
}

/* Whether a file named like a key of a zone is named for another key. */
static bool misnamed(const char *path, const struct dnskey *key, char *right)
{
    const char *slash = strrchr(path, '/');
    const char *file = slash != NULL ? slash + 1 : path;
    size_t size = keyfile_name(key, right);
    const char *tag = strrchr(file, '+');
    return file[0] == 'K' && tag != NULL && tag - file >= 6 && tag[-4] == '+' &&
           (strncmp(file, right, size) != 0 || strcmp(file + size, ".key") != 0);
}

int keyfile_read_public(const char *path, struct dnskey *key, struct diag *diag)
{
    char right[KEYFILE_NAME_MAX];
    char *text = secret_alloc(KEYFILE_TEXT_ROOM);
    size_t size;
    memset(key, 0, sizeof *key);
    if (text == NULL) {
        diag_fault(diag, path, 0, "%s", rr_strerror(RR_ENOMEM));
        return RR_ENOMEM;
    }
    int error = read_text(path, false, text, &size, diag);
    if (error == RR_ENOENT) {
        diag_fault(diag, path, 0, "%s", strerror(ENOENT));
        error = RR_EIO;
    }
    if (error == RR_OK) {
        error = keyfile_parse_padded(path, text, size, key, diag);
    }
    if (error == RR_OK && misnamed(path, key, right)) {
        diag_fault(diag, path, 0, "the key in it belongs into %s.key", right);
        error = RR_EINVAL;
    }
    secret_free(text, KEYFILE_TEXT_ROOM);
    return error;
}

static int read_private(const char *path, struct dnskey *key, struct diag *diag)
{
    char *text = secret_alloc(KEYFILE_TEXT_ROOM);
    size_t size;
    if (text == NULL) {
        diag_fault(diag, path, 0, "%s", rr_strerror(RR_ENOMEM));
        return RR_ENOMEM;
    }
    int error = read_text(path, true, text, &size, diag);
    if (error == RR_OK) {
        error = keyfile_parse_private(path, text, size, key, diag);
    }
    secret_free(text, KEYFILE_TEXT_ROOM);
    return error == RR_ENOENT ? RR_OK : error;
}

int keyfile_read(const char *path, struct dnskey *key, struct diag *diag)
{
    static const char suffix[] = ".key", other[] = ".private";
    char private[4096];
    size_t length = strlen(path), tail = sizeof suffix - 1;
    int error = keyfile_read_public(path, key, diag);
    if (error != RR_OK) {
        return error;
    }
    if (length < tail || strcmp(path + length - tail, suffix) != 0 ||
        length - tail + sizeof other > sizeof private) {
        diag_fault(diag, path, 0, "not named as a .key file");
        return RR_EINVAL;
    }
    memcpy(private, path, length - tail);
    memcpy(private + length - tail, other, sizeof other);
    return read_private(private, key, diag);
}

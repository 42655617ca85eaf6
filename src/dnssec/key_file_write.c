/*
 * Writing keys. Both files are written and synced while they have no name (O_TMPFILE), and then
 * linked to theirs, which fails where that is taken: so no key is ever written over, and none is
 * seen half. The .private file comes first, for good: who sees a .key file finds the other one,
 * whenever this was killed or the power failed. What may be left is a .private file alone, which
 * nobody reads, and which is told of (keyset.c).
 *
 * Where the file system has no files without names they are beside their own, and may be left
 * there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "dns/base_encoding.h"
#include "dnssec/key_file.h"
#include "dnssec/key_file_text.h"
#include "dnssec/secret.h"

enum { TRIES = 16, PATH_ROOM = 4096 };

/* ---- Texts ---- */

static void put(struct wire_writer *out, const char *text)
{
    wire_write_octets(out, text, strlen(text));
}

/* "Name: 20260101000000", in .key files as a comment and once more for people. */
static void put_times(struct wire_writer *out, const struct dnskey *key, bool comment)
{
    for (unsigned event = 0; event < DNSKEY_EVENTS; event++) {
        char text[KEYFILE_TIME_MAX], words[32];
        time_t seconds = (time_t)key->times[event];
        struct tm tm;
        if (key->times[event] == DNSKEY_UNSET) {
            continue;
        }
        keyfile_time_format(key->times[event], text);
        put(out, comment ? "; " : "");
        put(out, keyfile_event_name(event));
        put(out, ": ");
        put(out, text);
        if (comment && gmtime_r(&seconds, &tm) != NULL &&
            strftime(words, sizeof words, " (%a %b %e %H:%M:%S %Y)", &tm) > 0) {
            put(out, words);
        }
        put(out, "\n");
    }
}

static void put_public(struct wire_writer *out, const struct dnskey *key)
{
    char owner[NAME_MAX_TEXT], line[NAME_MAX_TEXT + 80];
    name_to_text(key->owner, owner);
    snprintf(line, sizeof line, "; This is a %s%s-signing key, keyid %u, for %s\n",
             (key->flags & DNSKEY_REVOKE) != 0 ? "revoked " : "",
             (key->flags & DNSKEY_SEP) != 0 ? "key" : "zone", key->tag, owner);
    put(out, line);
    put_times(out, key, true);
    snprintf(line, sizeof line, "%s IN DNSKEY %u 3 %u ", owner, key->flags, key->algorithm);
    put(out, line);
    base64_encode(out, key->rdata + 4, key->rdata_size - 4u);
    put(out, "\n");
}

static void put_number(struct wire_writer *out, const char *name,
                       const struct dnskey_private *numbers, size_t index)
{
    put(out, name);
    put(out, ": ");
    base64_encode(out, numbers->number[index].data, numbers->number[index].size);
    put(out, "\n");
}

static void put_private(struct wire_writer *out, const struct dnskey *key,
                        const struct dnskey_private *numbers)
{
    char line[64];
    snprintf(line, sizeof line, "Private-key-format: v1.3\nAlgorithm: %u (%s)\n", key->algorithm,
             dnskey_algorithm_name(key->algorithm));
    put(out, line);
    if (dnskey_is_rsa(key->algorithm)) {
        for (size_t i = 0; i < DNSKEY_NUMBERS; i++) {
            put_number(out, keyfile_number_name(i), numbers, i);
        }
    } else {
        put_number(out, "PrivateKey", numbers, DNSKEY_SCALAR);
    }
    put_times(out, key, false);
}

/* ---- Files ---- */

static int write_whole(int file, const uint8_t *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(file, data, size);
        if (n < 0 && errno != EINTR) {
            return RR_EIO;
        }
        data += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return RR_OK;
}

/* Undoes without a trace in errno. */
static void remove_quietly(const char *path)
{
    int saved = errno;
    unlink(path);
    errno = saved;
}

/* A file that has not its name yet. */
struct unnamed {
    int file;                    /* open, or -1 */
    char beside[PATH_ROOM + 32]; /* the name that it has instead; "": none */
};

/* Opens one in the directory of path: 0 or RR_EIO. */
static int unnamed_open(const char *directory, const char *path, struct unnamed *made)
{
    made->beside[0] = '\0';
    made->file = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    /* It is linked by way of /proc, which may not be there. */
    if (made->file >= 0 && access("/proc/self/fd", X_OK) != 0) {
        close(made->file);
        made->file = -1;
        errno = EOPNOTSUPP;
    }
    if (made->file < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT)) {
        snprintf(made->beside, sizeof made->beside, "%s%sXXXXXX", path, KEYFILE_UNFINISHED);
        made->file = mkostemp(made->beside, O_CLOEXEC); /* 0600, whatever the umask */
        if (made->file < 0) {
            made->beside[0] = '\0';
        }
    }
    return made->file >= 0 ? RR_OK : RR_EIO;
}

static void unnamed_close(struct unnamed *made)
{
    int saved = errno;
    if (made->file >= 0) {
        close(made->file);
    }
    if (made->beside[0] != '\0') {
        unlink(made->beside);
    }
    errno = saved;
}

/* Writes data to such a file, safe on disk: 0 or RR_EIO. */
static int unnamed_write(const char *directory, const char *path, mode_t mode,
                         const struct wire_writer *data, struct unnamed *made)
{
    int error = unnamed_open(directory, path, made);
    if (error == RR_OK) {
        error = write_whole(made->file, data->data, data->pos);
    }
    if (error == RR_OK && (fchmod(made->file, mode) != 0 || fsync(made->file) != 0)) {
        error = RR_EIO;
    }
    return error;
}

/* Gives it its name: 0, RR_EEXIST, RR_EIO. */
static int unnamed_link(const struct unnamed *made, const char *path)
{
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", made->file);
    int done = made->beside[0] != '\0'
                   ? link(made->beside, path)
                   : linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    return done == 0 ? RR_OK : errno == EEXIST ? RR_EEXIST : RR_EIO;
}

static int sync_directory(const char *path)
{
    int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error = directory >= 0 && fsync(directory) == 0 ? RR_OK : RR_EIO;
    if (directory >= 0) {
        close(directory);
    }
    return error;
}

/* Links both files, the private one for good before the other one is there. */
static int link_both(const char *directory, const struct unnamed *private,
                     const char *private_path, const struct unnamed *public,
                     const char *public_path)
{
    int error = unnamed_link(private, private_path);
    if (error != RR_OK) {
        return error;
    }
    error = sync_directory(directory);
    if (error == RR_OK) {
        error = unnamed_link(public, public_path);
    }
    if (error != RR_OK) {
        remove_quietly(private_path);
        return error;
    }
    return sync_directory(directory);
}

static int write_both(const char *directory, const struct dnskey *key,
                      const struct wire_writer *public, const struct wire_writer *private)
{
    char name[KEYFILE_NAME_MAX], public_path[PATH_ROOM], private_path[PATH_ROOM];
    struct unnamed public_file = {.file = -1}, private_file = {.file = -1};
    keyfile_name(key, name);
    if (snprintf(public_path, PATH_ROOM, "%s/%s.key", directory, name) >= PATH_ROOM ||
        snprintf(private_path, PATH_ROOM, "%s/%s.private", directory, name) >= PATH_ROOM) {
        errno = ENAMETOOLONG;
        return RR_EIO;
    }
    int error = unnamed_write(directory, private_path, 0600, private, &private_file);
    if (error == RR_OK) {
        error = unnamed_write(directory, public_path, 0644, public, &public_file);
    }
    if (error == RR_OK) {
        error = link_both(directory, &private_file, private_path, &public_file, public_path);
    }
    unnamed_close(&private_file);
    unnamed_close(&public_file);
    return error;
}

int keyfile_write(const char *directory, const struct dnskey *key)
{
    struct dnskey_private *numbers = secret_alloc(sizeof *numbers);
    uint8_t *room = secret_alloc(2 * KEYFILE_SIZE_MAX);
    int error = RR_ENOMEM;
    if (numbers != NULL && room != NULL) {
        struct wire_writer public = wire_writer_init(room, KEYFILE_SIZE_MAX);
        struct wire_writer private = wire_writer_init(room + KEYFILE_SIZE_MAX, KEYFILE_SIZE_MAX);
        error = dnskey_get_private(key, numbers);
        if (error == RR_OK) {
            put_public(&public, key);
            put_private(&private, key, numbers);
            error = write_both(directory, key, &public, &private);
        }
    }
    secret_free(room, 2 * KEYFILE_SIZE_MAX);
    secret_free(numbers, sizeof *numbers);
    return error;
}

int keyfile_make(const char *directory, const uint8_t *zone, uint16_t flags, uint8_t algorithm,
                 const int64_t *times, struct dnskey *key)
{
    int error = RR_EEXIST;
    memset(key, 0, sizeof *key);
    for (int i = 0; i < TRIES && error == RR_EEXIST; i++) {
        dnskey_clear(key);
        error = dnskey_generate(zone, flags, algorithm, key);
        if (error == RR_OK) {
            memcpy(key->times, times, sizeof key->times);
            error = keyfile_write(directory, key);
        }
    }
    return error;
}

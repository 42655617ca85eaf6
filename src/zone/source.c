/*
 * A file's time stamps can't prove that it is unchanged: a second write within the same tick of the
 * file system's clock leaves them as they are. They are believed only where the last change was at
 * least STALE_NS before the file was read (coarse clocks tick every 10 ms, FAT every 2 s). Else the
 * hash of the content decides.
 *
 * A large file that was written anew nearly always shows that in how it begins, by the serial of its
 * SOA. So that is looked at first: the hash of all would read it once more before it is loaded.
 */
#include "zone/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/crew.h"
#include "base/err.h"
#include "zone/image.h"
#include "zone/lexer.h"

/* Octets that the kernel is asked for at a time. It need not let go of the CPU within a call, and a
 * worker beside may have a query to answer; much less would be all calls and no reading. */
enum { READ_STEP = 1 << 16 };

/* Octets that tell of a file's beginning. Files of up to READ_STEP are hashed by a single read. */
enum { HEAD_SIZE = 4096 };

static const int64_t STALE_NS = INT64_C(2000000000);
static const uint64_t SIZE_MAX_OCTETS = UINT64_C(16) << 30;

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* ---- Directories ---- */

void source_directory_close(struct source_directory *directory)
{
    free(directory->path);
    if (directory->fd > 0) {
        close(directory->fd);
    }
    *directory = (struct source_directory){0};
}

/* Opens the directory that path is in: when it is seen the second time, one may be all there is. */
static void enter(struct source_directory *directory, const char *path, size_t size)
{
    if (directory->size != size || memcmp(directory->path, path, size) != 0) {
        source_directory_close(directory);
        directory->path = strndup(path, size);
        directory->size = directory->path != NULL ? size : 0;
    } else if (directory->fd == 0) {
        int fd = open(directory->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        directory->fd = fd > 0 ? fd : 0;
        if (fd == 0) {
            close(fd);
        }
    }
}

/* Where path leads to, for openat and the like: a descriptor, and *rest of the path from there. */
static int find_place(struct source_directory *directory, const char *path, const char **rest)
{
    const char *slash = directory != NULL ? strrchr(path, '/') : NULL;
    *rest = path;
    if (slash == NULL || slash[1] == '\0') {
        return AT_FDCWD;
    }
    size_t size = (size_t)(slash + 1 - path);
    enter(directory, path, size);
    if (directory->fd == 0) {
        return AT_FDCWD;
    }
    *rest = slash + 1;
    return directory->fd;
}

/* ---- Reading ---- */

/*
 * Opens a regular file of bearable size. O_NONBLOCK: a FIFO without a writer must not hold the
 * loader. Returns the descriptor, or an error as source_read.
 */
static int open_file(struct source_directory *directory, const char *path, struct stat *st)
{
    int place = find_place(directory, path, &path);
    int fd = openat(place, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return RR_EIO;
    }
    int error = RR_OK;
    if (fstat(fd, st) != 0) {
        error = RR_EIO;
    } else if (!S_ISREG(st->st_mode)) {
        error = RR_EINVAL;
    } else if ((uint64_t)st->st_size > SIZE_MAX_OCTETS) {
        error = RR_EIO;
        errno = EFBIG;
    }
    if (error != RR_OK) {
        int saved = errno;
        close(fd);
        errno = saved;
        return error;
    }
    return fd;
}

/* Up to size octets from offset on; fewer only at the end of the file. Negative: errno says why.
 * Where there are threads, read() would lock the file's position. */
static ssize_t read_whole(int fd, char *data, size_t size, size_t offset)
{
    size_t done = 0;
    while (done < size) {
        size_t step = size - done < READ_STEP ? size - done : READ_STEP;
        ssize_t n = pread(fd, data + done, step, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -1;
        }
        if (n == 0) {
            break;
        }
        done += (size_t)n;
        crew_give_way();
    }
    return (ssize_t)done;
}

/*
 * All that fd gives. As many octets as st_size said are taken for all: what a writer adds meanwhile
 * is a change, to be found at the next look, and of a small zone's cost the read that gives nothing
 * more would be a twentieth. st_size is 0 for what has no size (/proc), and too large where a file
 * shrinks while it is read.
 */
static int read_text(int fd, size_t expected, struct source_text *text)
{
    size_t room = expected > 0 ? expected : READ_STEP;
    text->size = 0;
    for (;;) {
        if (text->data == NULL || text->room < room) {
            char *data = realloc(text->data, room + LEXER_SLACK);
            if (data == NULL) {
                source_text_free(text);
                return RR_ENOMEM;
            }
            text->data = data;
            text->room = room;
        }
        ssize_t n = read_whole(fd, text->data + text->size, room - text->size, text->size);
        if (n < 0) {
            int saved = errno;
            source_text_free(text);
            errno = saved;
            return RR_EIO;
        }
        text->size += (size_t)n;
        if (text->size < room || text->size == expected) {
            memset(text->data + text->size, 0, LEXER_SLACK);
            return RR_OK;
        }
        if (room > SIZE_MAX_OCTETS) {
            source_text_free(text);
            errno = EFBIG;
            return RR_EIO;
        }
        room += room / 2 + READ_STEP;
    }
}

/* The hash of how a large file begins; 0: it is not large, or can't be read. */
static uint64_t hash_head(int fd, const struct stat *st)
{
    char head[HEAD_SIZE];
    if (st->st_size <= READ_STEP || pread(fd, head, sizeof head, 0) != sizeof head) {
        return 0;
    }
    return XXH3_64bits(head, sizeof head);
}

static void take_stat(struct source_file *file, const struct stat *st, int64_t read_ns)
{
    file->device = st->st_dev;
    file->inode = st->st_ino;
    file->size = (uint64_t)st->st_size;
    file->mtime_ns = nanoseconds(st->st_mtim);
    file->ctime_ns = nanoseconds(st->st_ctim);
    file->read_ns = read_ns;
}

int64_t source_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return nanoseconds(now);
}

/* The entry for path, a new one where there is none; NULL where there is no memory. */
static struct source_file *entry_for(struct source_list *list, const char *path)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->files[i].path, path) == 0) {
            return &list->files[i];
        }
    }
    char *copy = strdup(path);
    struct source_file *files = realloc(list->files, (list->count + 1) * sizeof *files);
    if (files != NULL) {
        list->files = files;
    }
    if (copy == NULL || files == NULL) {
        free(copy);
        return NULL;
    }
    files[list->count] = (struct source_file){.path = copy, .missing = true};
    return &files[list->count++];
}

int source_open(struct source_list *list, struct source_directory *directory, const char *path,
                struct source_open *file)
{
    struct source_file *entry = entry_for(list, path);
    if (entry == NULL) {
        return RR_ENOMEM;
    }
    file->path = path;
    file->again = !entry->missing; /* included twice */
    entry->missing = true;
    file->read_ns = source_now(); /* before reading: a change meanwhile is then not old */
    file->fd = open_file(directory, path, &file->st);
    return file->fd < 0 ? file->fd : RR_OK;
}

void source_close(struct source_list *list, struct source_open *file, const uint64_t hash[2])
{
    int saved = errno;
    struct source_file *entry = hash != NULL ? entry_for(list, file->path) : NULL;
    if (entry != NULL) {
        /* Changed between the two: what was loaded is neither, and must be loaded again. */
        entry->missing =
            file->again && (hash[0] != entry->hash[0] || hash[1] != entry->hash[1]);
        take_stat(entry, &file->st, file->read_ns);
        memcpy(entry->hash, hash, sizeof entry->hash);
        entry->head = hash_head(file->fd, &file->st);
    }
    close(file->fd);
    errno = saved;
}

int source_rest(struct source_list *list, struct source_open *file, struct source_text *text)
{
    uint64_t hash[2];
    int error = read_text(file->fd, (size_t)file->st.st_size, text);
    if (error == RR_OK) {
        XXH128_hash_t digest = XXH3_128bits(text->data, text->size);
        hash[0] = digest.high64;
        hash[1] = digest.low64;
    }
    source_close(list, file, error == RR_OK ? hash : NULL);
    return error;
}

int source_read(struct source_list *list, struct source_directory *directory, const char *path,
                struct source_text *text)
{
    struct source_open file;
    int error = source_open(list, directory, path, &file);
    return error == RR_OK ? source_rest(list, &file, text) : error;
}

bool source_piece(const struct source_open *file, uint64_t offset, char *data, size_t size)
{
    for (size_t done = 0; done < size;) {
        size_t step = size - done < READ_STEP ? size - done : READ_STEP;
        ssize_t n = pread(file->fd, data + done, step, (off_t)(offset + done));
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return false;
        }
        done += n > 0 ? (size_t)n : 0;
        crew_give_way();
    }
    return true;
}

void source_text_free(struct source_text *text)
{
    free(text->data);
    *text = (struct source_text){0};
}

/* The hash of all that fd gives, without holding it in memory. */
static int hash_file(int fd, uint64_t hash[2])
{
    char *room = malloc(READ_STEP);
    XXH3_state_t *state = XXH3_createState();
    int error = room != NULL && state != NULL ? RR_OK : RR_ENOMEM;
    if (error == RR_OK) {
        XXH3_128bits_reset(state);
        ssize_t n;
        size_t done = 0;
        while ((n = read_whole(fd, room, READ_STEP, done)) > 0) {
            XXH3_128bits_update(state, room, (size_t)n);
            done += (size_t)n;
        }
        XXH128_hash_t digest = XXH3_128bits_digest(state);
        hash[0] = digest.high64;
        hash[1] = digest.low64;
        error = n < 0 ? RR_EIO : RR_OK;
    }
    XXH3_freeState(state);
    free(room);
    return error;
}

/* The checksum in the header of the image that fd gives: with the size it stands for all there is. */
static int hash_image(int fd, uint64_t hash[2])
{
    struct image_header header = {0};
    ssize_t n = read_whole(fd, (char *)&header, sizeof header, 0);
    memcpy(hash, header.checksum, sizeof header.checksum);
    return n < 0 ? RR_EIO : RR_OK;
}

static bool untouched(const struct source_file *file, const struct stat *st)
{
    return file->device == st->st_dev && file->inode == st->st_ino &&
           file->size == (uint64_t)st->st_size && file->mtime_ns == nanoseconds(st->st_mtim) &&
           file->ctime_ns == nanoseconds(st->st_ctim) &&
           file->ctime_ns + STALE_NS <= file->read_ns;
}

/* Whether the file begins otherwise than it did. False proves nothing. */
static bool begins_otherwise(const struct source_file *file, int fd, const struct stat *st)
{
    uint64_t head = file->head != 0 ? hash_head(fd, st) : 0;
    return head != 0 && head != file->head;
}

static bool file_changed(struct source_file *file, struct source_directory *directory)
{
    struct stat st;
    const char *path;
    int place = find_place(directory, file->path, &path);
    if (!file->missing && fstatat(place, path, &st, 0) == 0 && untouched(file, &st)) {
        return false;
    }
    int64_t read_ns = source_now();
    int fd = open_file(directory, file->path, &st);
    if (fd < 0) {
        return !file->missing;
    }
    uint64_t hash[2] = {0};
    bool changed = file->missing || begins_otherwise(file, fd, &st);
    int error = changed       ? RR_OK
                : file->image ? hash_image(fd, hash)
                              : hash_file(fd, hash);
    close(fd);
    bool cut = file->image && (uint64_t)st.st_size != file->size;
    if (changed || error != RR_OK || cut || hash[0] != file->hash[0] ||
        hash[1] != file->hash[1]) {
        return true;
    }
    take_stat(file, &st, read_ns);
    return false;
}

bool source_list_changed(struct source_list *list, struct source_directory *directory)
{
    for (size_t i = 0; i < list->count; i++) {
        if (file_changed(&list->files[i], directory)) {
            return true;
        }
    }
    return false;
}

int source_add_image(struct source_list *list, const char *path, const struct stat *st,
                     int64_t read_ns, const uint8_t checksum[16])
{
    struct source_file *file = entry_for(list, path);
    if (file == NULL) {
        return RR_ENOMEM;
    }
    take_stat(file, st, read_ns);
    memcpy(file->hash, checksum, sizeof file->hash);
    file->head = 0;
    file->missing = false;
    file->image = true;
    return RR_OK;
}

void source_list_hash(const struct source_list *list, uint8_t hash[16])
{
    uint64_t chain[4] = {0};
    for (size_t i = 0; i < list->count; i++) {
        memcpy(chain + 2, list->files[i].hash, 2 * sizeof *chain);
        XXH128_hash_t digest = XXH3_128bits(chain, sizeof chain);
        chain[0] = digest.high64;
        chain[1] = digest.low64;
    }
    memcpy(hash, chain, 16);
}

int source_list_copy(const struct source_list *from, struct source_list *to)
{
    *to = (struct source_list){0};
    to->files = calloc(from->count > 0 ? from->count : 1, sizeof *to->files);
    if (to->files == NULL) {
        return RR_ENOMEM;
    }
    for (; to->count < from->count; to->count++) {
        struct source_file *file = &to->files[to->count];
        *file = from->files[to->count];
        file->path = strdup(file->path);
        if (file->path == NULL) {
            source_list_clear(to);
            return RR_ENOMEM;
        }
    }
    return RR_OK;
}

void source_list_clear(struct source_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->files[i].path);
    }
    free(list->files);
    *list = (struct source_list){0};
}

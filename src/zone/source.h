/*
 * Files that zone data comes from: read whole into private memory, or large ones a piece at a time,
 * and remembered by what they held, so that a reload can tell whether they changed.
 *
 * A file is copied, not mapped: an editor or a copy that truncates a mapped file under the
 * scanner would end the server with SIGBUS. Against the scan that follows, reading costs little.
 */
#ifndef RRDNS_ZONE_SOURCE_H
#define RRDNS_ZONE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* One file as it was read. */
struct source_file {
    char *path;
    uint64_t device, inode, size;
    int64_t mtime_ns, ctime_ns;
    int64_t read_ns;     /* wall clock when it was read, to know a change in the same tick */
    uint64_t hash[2];    /* XXH3, 128 bits, of the content; of an image, its header's checksum */
    uint64_t head;       /* of a large file: XXH3 of how it begins; 0: not known */
    bool image;          /* a zone image, served as it is */
    bool missing;        /* it could not be read; any content later is a change */
};

/* All files of a zone: the master file first, then each $INCLUDE in the order met, once. */
struct source_list {
    size_t count;
    struct source_file *files;
};

struct source_text {
    char *data; /* followed by at least 64 zero octets, so that a scanner may read ahead */
    size_t size;
    size_t room; /* of data, those octets not counted */
};

/*
 * A directory kept open, where many files come from one: they are then found without a walk along
 * their whole path. It stays the directory it was when it was opened, whatever becomes of its path:
 * for the time of one job. A zeroed one is ready; NULL, where one may be given, is none.
 */
struct source_directory {
    char *path; /* with its last slash; NULL: none was seen yet */
    size_t size;
    int fd; /* 0: not open (standard input is no directory of zones) */
};
void source_directory_close(struct source_directory *directory);

/*
 * Reads path and adds it to list (once per path). *text is zeroed, or has been read before: its
 * memory is then used again. Returns 0 and text (to be freed with source_text_free); RR_EIO with
 * errno set; RR_ENOMEM; RR_EINVAL for what isn't a regular file. On failure it is added too, as
 * missing.
 */
int source_read(struct source_list *list, struct source_directory *directory, const char *path,
                struct source_text *text);
void source_text_free(struct source_text *text);

/* A file that is open to be read in pieces, or as a whole after all. */
struct source_open {
    const char *path;
    int fd;
    bool again;      /* it has been read before for the same list */
    int64_t read_ns; /* wall clock before it was opened */
    struct stat st;
};

/*
 * source_read without the reading: adds path (which stays the caller's, until the file is closed)
 * to list as missing. Returns as source_read does; on success source_close or source_rest is to
 * follow.
 */
int source_open(struct source_list *list, struct source_directory *directory, const char *path,
                struct source_open *file);

/* Reads size octets from offset on. False: there are not as many, or they can't be read. May be
 * called by several threads. */
bool source_piece(const struct source_open *file, uint64_t offset, char *data, size_t size);

/* Ends reading in pieces. hash: of the whole file, for list to remember; NULL: it was not read. */
void source_close(struct source_list *list, struct source_open *file, const uint64_t hash[2]);

/* Reads the whole into text, whose memory is used again, and closes it; returns as source_read
 * does. */
int source_rest(struct source_list *list, struct source_open *file, struct source_text *text);

/*
 * Whether any file's content differs from what was read. Cheap where stat shows the same file
 * untouched since well before it was read; otherwise the content is read and compared by hash.
 * Where the content is the same the new time stamps are taken over.
 */
bool source_list_changed(struct source_list *list, struct source_directory *directory);

/* The wall clock as read_ns has it. */
int64_t source_now(void);

/*
 * Adds a zone image that has been read: st and read_ns are of before the reading, checksum that
 * of its header. Returns 0 or RR_ENOMEM.
 */
int source_add_image(struct source_list *list, const char *path, const struct stat *st,
                     int64_t read_ns, const uint8_t checksum[16]);

/* One hash over what all files held, in their order. */
void source_list_hash(const struct source_list *list, uint8_t hash[16]);

/* Returns 0 and a copy to be cleared, or RR_ENOMEM. */
int source_list_copy(const struct source_list *from, struct source_list *to);

void source_list_clear(struct source_list *list);

#endif

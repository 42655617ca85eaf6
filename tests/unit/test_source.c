/*
 * Reading files, and noticing whether they changed: by content, whatever the time stamps say.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "unit.h"
#include "zone/source.h"

static char folder[] = "/tmp/rrdns-source-XXXXXX";
static struct source_list list;

static const char *at(const char *name)
{
    static char paths[4][PATH_MAX];
    static unsigned turn;
    char *path = paths[++turn % 4];
    snprintf(path, PATH_MAX, "%s/%s", folder, name);
    return path;
}

static void begin(void)
{
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void end(void)
{
    char command[PATH_MAX];
    source_list_clear(&list);
    snprintf(command, sizeof command, "rm -r %s", folder);
    ck_assert_int_eq(system(command), 0);
}

static void write_octets(const char *name, const char *octets, size_t size)
{
    FILE *file = fopen(at(name), "w");
    ck_assert_ptr_nonnull(file);
    fwrite(octets, 1, size, file);
    fclose(file);
}

static void write_text(const char *name, const char *text)
{
    write_octets(name, text, strlen(text));
}

static void set_mtime(const char *name, time_t seconds)
{
    struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
    ck_assert_int_eq(utimensat(AT_FDCWD, at(name), times, 0), 0);
}

static void read_is(const char *name, const char *expected)
{
    struct source_text text = {0};
    ck_assert_int_eq(source_read(&list, NULL, at(name), &text), RR_OK);
    ck_assert_uint_eq(text.size, strlen(expected));
    ck_assert_mem_eq(text.data, expected, text.size);
    source_text_free(&text);
}

START_TEST(content_and_slack)
{
    static char octets[70000];
    struct rng rng = rng_start();
    rng_fill(&rng, octets, sizeof octets);
    const size_t sizes[] = {0, 1, 63, 64, 65, 4095, 4096, 65536, 70000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct source_text text = {0};
        write_octets("f", octets, sizes[i]);
        ck_assert_int_eq(source_read(&list, NULL, at("f"), &text), RR_OK);
        ck_assert_uint_eq(text.size, sizes[i]);
        ck_assert(memcmp(text.data, octets, text.size) == 0);
        for (unsigned k = 0; k < 64; k++) {
            ck_assert_int_eq(text.data[text.size + k], 0);
        }
        source_text_free(&text);
    }
    ck_assert_uint_eq(list.count, 1);
}
END_TEST

/* More than the huge pages begin at. */
START_TEST(large)
{
    const size_t size = (9 << 20) + 123;
    char *octets = malloc(size);
    struct rng rng = rng_start();
    struct source_text text = {0};
    rng_fill(&rng, octets, size);
    write_octets("f", octets, size);
    ck_assert_int_eq(source_read(&list, NULL, at("f"), &text), RR_OK);
    ck_assert_uint_eq(text.size, size);
    ck_assert(memcmp(text.data, octets, size) == 0);
    for (unsigned k = 0; k < 64; k++) {
        ck_assert_int_eq(text.data[text.size + k], 0);
    }
    source_text_free(&text);
    ck_assert(!source_list_changed(&list, NULL));
    octets[size - 1] ^= 1;
    write_octets("f", octets, size);
    ck_assert(source_list_changed(&list, NULL));
    free(octets);
}
END_TEST

/* One text and one directory for many files: each read is as if it had been alone. */
START_TEST(one_after_another)
{
    static char octets[70000];
    static const size_t sizes[] = {300, 70000, 0, 1, 65536, 299, 301};
    struct source_directory directory = {0};
    struct source_text text = {0};
    char inner[PATH_MAX];
    struct rng rng = rng_start();
    snprintf(inner, sizeof inner, "%s/inner", folder);
    ck_assert_int_eq(mkdir(inner, 0755), 0);
    for (size_t i = 0; i < 4 * sizeof sizes / sizeof sizes[0]; i++) {
        const char *name = rng_once_in(&rng, 4) ? "inner/f" : i % 2 == 0 ? "f" : "g";
        size_t size = sizes[i % (sizeof sizes / sizeof sizes[0])];
        rng_fill(&rng, octets, sizeof octets);
        write_octets(name, octets, size);
        ck_assert_int_eq(source_read(&list, &directory, at(name), &text), RR_OK);
        ck_assert_uint_eq(text.size, size);
        ck_assert(memcmp(text.data, octets, size) == 0);
        for (unsigned k = 0; k < 64; k++) {
            ck_assert_int_eq(text.data[text.size + k], 0);
        }
        ck_assert_int_eq(source_read(&list, &directory, at("none"), &text), RR_EIO);
        ck_assert_int_eq(errno, ENOENT);
        source_list_clear(&list);
    }
    source_text_free(&text);
    source_directory_close(&directory);
}
END_TEST

/* A directory is opened for the second file in it, and stays what it was. */
START_TEST(directory_stays)
{
    struct source_directory directory = {0};
    struct source_text text = {0};
    char inner[PATH_MAX], other[PATH_MAX];
    snprintf(inner, sizeof inner, "%s/inner", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    ck_assert_int_eq(mkdir(inner, 0755), 0);
    write_text("inner/a", "1");
    ck_assert_int_eq(source_read(&list, &directory, at("inner/a"), &text), RR_OK);
    ck_assert_int_eq(directory.fd, 0);
    write_text("inner/b", "2");
    ck_assert_int_eq(source_read(&list, &directory, at("inner/b"), &text), RR_OK);
    ck_assert_int_gt(directory.fd, 0);
    ck_assert_int_eq(fcntl(directory.fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(rename(inner, other), 0);
    ck_assert(!source_list_changed(&list, &directory));
    ck_assert_int_eq(source_read(&list, &directory, at("inner/b"), &text), RR_OK);
    ck_assert_mem_eq(text.data, "2", 2);
    source_directory_close(&directory);
    ck_assert(source_list_changed(&list, &directory));
    ck_assert_int_eq(source_read(&list, &directory, at("inner/b"), &text), RR_EIO);
    source_text_free(&text);
    source_directory_close(&directory);
    ck_assert_int_eq(directory.fd, 0);
}
END_TEST

/* What can't be measured before it is read: st_size is 0. */
START_TEST(size_unknown)
{
    struct source_text text = {0};
    ck_assert_int_eq(source_read(&list, NULL, "/proc/self/status", &text), RR_OK);
    ck_assert_uint_gt(text.size, 100);
    ck_assert_int_eq(strncmp(text.data, "Name:", 5), 0);
    source_text_free(&text);
}
END_TEST

START_TEST(no_regular_file)
{
    struct source_text text = {0};
    ck_assert_int_eq(source_read(&list, NULL, folder, &text), RR_EINVAL);
    ck_assert_int_eq(source_read(&list, NULL, "/dev/zero", &text), RR_EINVAL);
    /* without a writer, and this must not wait for one */
    ck_assert_int_eq(mkfifo(at("fifo"), 0600), 0);
    ck_assert_int_eq(source_read(&list, NULL, at("fifo"), &text), RR_EINVAL);
    ck_assert_int_eq(source_read(&list, NULL, at("none"), &text), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_eq(symlink("loop", at("loop")), 0);
    ck_assert_int_eq(source_read(&list, NULL, at("loop"), &text), RR_EIO);
    ck_assert_int_eq(errno, ELOOP);
    ck_assert_uint_eq(list.count, 5);
    for (size_t i = 0; i < list.count; i++) {
        ck_assert(list.files[i].missing);
    }
    ck_assert(!source_list_changed(&list, NULL));
}
END_TEST

START_TEST(too_large)
{
    struct source_text text = {0};
    write_text("f", "x");
    if (truncate(at("f"), (off_t)(17ll << 30)) != 0) {
        return; /* no file system here holds that much, not even as a hole */
    }
    ck_assert_int_eq(source_read(&list, NULL, at("f"), &text), RR_EIO);
    ck_assert_int_eq(errno, EFBIG);
    ck_assert(list.files[0].missing);
}
END_TEST

START_TEST(once_a_path)
{
    write_text("a", "1");
    write_text("b", "2");
    read_is("a", "1");
    read_is("b", "2");
    read_is("a", "1");
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.files[0].path, at("a"));
    ck_assert_str_eq(list.files[1].path, at("b"));
    ck_assert(!source_list_changed(&list, NULL));
    /* changed between two readings of one load: what was loaded is neither */
    write_text("a", "3");
    read_is("a", "3");
    ck_assert(source_list_changed(&list, NULL));
}
END_TEST

START_TEST(missing_and_back)
{
    struct source_text text = {0};
    ck_assert_int_eq(source_read(&list, NULL, at("f"), &text), RR_EIO);
    ck_assert(!source_list_changed(&list, NULL));
    write_text("f", "");
    ck_assert(source_list_changed(&list, NULL));
    read_is("f", "");
    ck_assert(!list.files[0].missing);
    ck_assert(!source_list_changed(&list, NULL));
    ck_assert_int_eq(unlink(at("f")), 0);
    ck_assert(source_list_changed(&list, NULL));
}
END_TEST

START_TEST(content_decides)
{
    write_text("f", "abc");
    read_is("f", "abc");
    ck_assert(!source_list_changed(&list, NULL));
    /* the same content in another file, at another time: taken over, not a change */
    write_text("g", "abc");
    ck_assert_int_eq(rename(at("g"), at("f")), 0);
    set_mtime("f", 1000000000);
    ck_assert(!source_list_changed(&list, NULL));
    struct stat st;
    ck_assert_int_eq(stat(at("f"), &st), 0);
    ck_assert_uint_eq(list.files[0].inode, st.st_ino);
    ck_assert_int_eq(list.files[0].mtime_ns, INT64_C(1000000000) * 1000000000);
    /* as long as before and as old as before, but something else */
    write_text("f", "abd");
    set_mtime("f", 1000000000);
    ck_assert(source_list_changed(&list, NULL));
    /* told until it is read again */
    ck_assert(source_list_changed(&list, NULL));
    read_is("f", "abd");
    write_text("f", "abde");
    ck_assert(source_list_changed(&list, NULL));
}
END_TEST

/* Of a large file how it begins is looked at first; only all of it shows that it is the same. */
START_TEST(large_content_decides)
{
    static char octets[300000];
    const size_t places[] = {0, 4095, 4096, 200000, sizeof octets - 1};
    struct source_text text = {0};
    memset(octets, 'a', sizeof octets);
    write_octets("f", octets, sizeof octets);
    ck_assert_int_eq(source_read(&list, NULL, at("f"), &text), RR_OK);
    ck_assert_uint_ne(list.files[0].head, 0);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        octets[places[i]] = 'b';
        write_octets("f", octets, sizeof octets);
        ck_assert(source_list_changed(&list, NULL));
        octets[places[i]] = 'a';
        write_octets("f", octets, sizeof octets);
        ck_assert(!source_list_changed(&list, NULL));
    }
    write_octets("f", octets, 280000); /* still large, */
    ck_assert(source_list_changed(&list, NULL));
    write_octets("f", octets, 100); /* and small */
    ck_assert(source_list_changed(&list, NULL));
    list.files[0].head = 0; /* as where it comes from an image */
    write_octets("f", octets, sizeof octets);
    ck_assert(!source_list_changed(&list, NULL));
    octets[0] = 'b';
    write_octets("f", octets, sizeof octets);
    ck_assert(source_list_changed(&list, NULL));
    source_text_free(&text);
}
END_TEST

/* A second write in the tick of the first leaves no trace in the time stamps. */
START_TEST(stamps_that_are_young)
{
    write_text("f", "abc");
    read_is("f", "abc");
    struct stat st;
    for (unsigned i = 0; i < 200; i++) {
        write_text("f", i % 2 == 0 ? "xyz" : "abc");
        ck_assert_int_eq(stat(at("f"), &st), 0);
        /* make the stamps those of the file as it is now: only the hash can tell */
        list.files[0].mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        list.files[0].ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
        ck_assert_int_eq(source_list_changed(&list, NULL), i % 2 == 0);
    }
    /* 2 s old when it was read: believed, and the content not looked at */
    write_text("f", "xyz");
    ck_assert_int_eq(stat(at("f"), &st), 0);
    list.files[0].mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    list.files[0].ctime_ns = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
    list.files[0].read_ns = list.files[0].ctime_ns + 2000000000;
    ck_assert(!source_list_changed(&list, NULL));
    list.files[0].read_ns--;
    ck_assert(source_list_changed(&list, NULL));
}
END_TEST

START_TEST(any_of_them)
{
    write_text("a", "1");
    write_text("b", "2");
    write_text("c", "3");
    read_is("a", "1");
    read_is("b", "2");
    read_is("c", "3");
    ck_assert(!source_list_changed(&list, NULL));
    write_text("c", "4");
    ck_assert(source_list_changed(&list, NULL));
    source_list_clear(&list);
    ck_assert_uint_eq(list.count, 0);
    ck_assert(!source_list_changed(&list, NULL));
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("source");
    tcase_add_checked_fixture(unit.tests, begin, end);
    tcase_add_test(unit.tests, content_and_slack);
    tcase_add_test(unit.tests, large);
    tcase_add_test(unit.tests, one_after_another);
    tcase_add_test(unit.tests, directory_stays);
    tcase_add_test(unit.tests, size_unknown);
    tcase_add_test(unit.tests, no_regular_file);
    tcase_add_test(unit.tests, too_large);
    tcase_add_test(unit.tests, once_a_path);
    tcase_add_test(unit.tests, missing_and_back);
    tcase_add_test(unit.tests, content_decides);
    tcase_add_test(unit.tests, large_content_decides);
    tcase_add_test(unit.tests, stamps_that_are_young);
    tcase_add_test(unit.tests, any_of_them);
    return unit_end(&unit);
}

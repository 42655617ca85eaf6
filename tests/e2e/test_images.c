/*
 * Images: a restart from the cache serves the same, what changed meanwhile is noticed, and no file
 * in image_directory, whatever it holds, does harm.
 */
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ask.h"
#include "daemon.h"
#include "harness.h"
#include "load.h"

enum { ZONES = 5, LARGE_NAMES = 15000 };

static const char *version(unsigned v)
{
    return format_text("$TTL 3600\n@ SOA ns hostmaster %u 7200 3600 1209600 300\n  NS ns\n"
                       "ns A 192.0.2.250\nwww A 192.0.2.%u\n",
                       v, v);
}

static const char *zone_name(unsigned i)
{
    return format_text("z%u.test", i);
}

static const char *folder(void)
{
    return format_text("%s/images", server.dir);
}

/* Files in the folder that match. */
static size_t files(const char *pattern)
{
    glob_t found;
    size_t count = 0;
    if (glob(format_text("%s/%s", folder(), pattern), 0, NULL, &found) == 0) {
        count = found.gl_pathc;
        globfree(&found);
    }
    return count;
}

static const char *file_of(const char *pattern)
{
    glob_t found;
    ck_assert_int_eq(glob(format_text("%s/%s", folder(), pattern), 0, NULL, &found), 0);
    const char *path = format_text("%s", found.gl_pathv[0]);
    globfree(&found);
    return path;
}

/* load.test is large enough for a file of its own, the others share shards. */
static void begin(void)
{
    static unsigned number;
    daemon_prepare(&server, format_text("images%u", number++), "{\"image_directory\": \"images\"}");
    dir_make(folder());
    ck_assert_int_eq(chmod(folder(), 0700), 0);
    for (unsigned i = 0; i < ZONES; i++) {
        daemon_zone(&server, zone_name(i), version(i + 1));
        file_touch(daemon_zone_path(&server, zone_name(i)), -100);
    }
    load_write_zone(daemon_zone_path(&server, "load.test"), 1, LARGE_NAMES);
}

static void end(void)
{
    daemon_stop(&server);
}

static void expect_www(const char *name, const char *text)
{
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, format_text("www.%s.", name), "A"),
                     text);
}

static void expect_all_but(unsigned changed)
{
    for (unsigned i = 0; i < ZONES; i++) {
        if (i != changed) {
            expect_www(zone_name(i), format_text("NOERROR 192.0.2.%u", i + 1));
        }
    }
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "h7.load.test.", "A"),
                     "NOERROR 1.0.0.7");
}

/* Waits until the zones' images are written; false where they never are. */
static bool are_images_written(void)
{
    for (int left = harness_patience_ms(); left > 0; left -= 20) {
        size_t zones = 0;
        glob_t found;
        if (glob(format_text("%s/shard-*.images", folder()), 0, NULL, &found) == 0) {
            zones = found.gl_pathc;
            globfree(&found);
        }
        /* No two of the names share a shard. */
        if (zones == ZONES && files("zone-*.image") == 1 && files(".rrdns-image-*") == 0) {
            return true;
        }
        pause_ms(20);
    }
    return false;
}

static void await_images(void)
{
    ck_assert_msg(are_images_written(), "no images: %s", command("ls -la %s", folder()).out);
}

static void start_expecting(int64_t from_images)
{
    daemon_start(&server);
    ck_assert_int_eq(daemon_counter(&server, "zones_loaded"), ZONES + 1);
    ck_assert_int_eq(daemon_counter(&server, "zones_from_images"), from_images);
    ck_assert_int_eq(daemon_counter(&server, "zones_failed"), 0);
}

/* A first start, which fills the cache, and its end. */
static void fill(void)
{
    start_expecting(0);
    expect_all_but(ZONES);
    await_images();
    daemon_stop(&server);
}

static const char *from_image(const char *name)
{
    const char *line = format_text("{\"command\": \"zone\", \"name\": \"%s\"}", name);
    json_t *answer = control_line(&server, line, harness_patience_ms());
    const char *text = format_text("%s", json_at(answer, "result.from_image"));
    json_decref(answer);
    return text;
}

START_TEST(restart)
{
    fill();
    size_t from = daemon_log_size(&server);
    start_expecting(ZONES + 1);
    expect_all_but(ZONES);
    ck_contains(daemon_log(&server) + from, format_text("%d zones came from images", ZONES + 1));
    ck_lacks(daemon_log(&server) + from, folder());
    ck_assert_str_eq(from_image("z0.test"), "true");
    ck_contains(rrdnsctl(&server, "zone z0.test").out, "from image");
    /* A reload from text is one. */
    daemon_zone(&server, "z0.test", version(77));
    control_reload_ok(&server);
    expect_www("z0.test", "NOERROR 192.0.2.77");
    ck_assert_str_eq(from_image("z0.test"), "false");
    ck_assert_int_eq(daemon_counter(&server, "zones_from_images"), ZONES + 1);
}
END_TEST

/* What the reload brought is in the cache at the next start. */
START_TEST(reloaded_zones_are_written)
{
    fill();
    start_expecting(ZONES + 1);
    const char *image = file_of("zone-*.image");
    struct stat before, after;
    ck_assert_int_eq(stat(image, &before), 0);
    load_write_zone(daemon_zone_path(&server, "load.test"), 2, LARGE_NAMES);
    daemon_zone(&server, "z1.test", version(88));
    struct load *load = load_begin("127.0.0.1", server.port, LARGE_NAMES);
    load_await(load, 100);
    control_reload_ok(&server);
    load_at_least(load, 2);
    load_await(load, 100);
    int left = harness_patience_ms();
    while (stat(image, &after) != 0 || after.st_ino == before.st_ino) {
        ck_assert_int_gt(left -= 20, 0);
        pause_ms(20);
    }
    load_end(load);
    pause_ms(300 * harness_slow()); /* z1.test's shard is before or after it */
    daemon_stop(&server);
    start_expecting(ZONES + 1);
    expect_www("z1.test", "NOERROR 192.0.2.88");
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "h7.load.test.", "A"),
                     "NOERROR 2.0.0.7");
}
END_TEST

/* Of the same size, and its old time of modification set again. */
START_TEST(changed_while_it_was_away)
{
    fill();
    const char *path = daemon_zone_path(&server, "z2.test");
    ck_assert_int_eq(
        command("cp -p %s %s.old && sed -i s/192.0.2.3/192.0.2.9/ %s && touch -r %s.old %s", path,
                path, path, path, path)
            .status,
        0);
    start_expecting(ZONES);
    expect_www("z2.test", "NOERROR 192.0.2.9");
    expect_all_but(2);
}
END_TEST

/* Only its time stamps are new: its hash tells that it is the same. */
START_TEST(touched_while_it_was_away)
{
    fill();
    file_touch(daemon_zone_path(&server, "z2.test"), 5);
    file_touch(daemon_zone_path(&server, "load.test"), 5);
    start_expecting(ZONES + 1);
    expect_all_but(ZONES);
}
END_TEST

static void damage(const char *path, const char *how)
{
    struct output o = command(how, path);
    ck_assert_msg(o.status == 0, "%s: %s", how, o.err);
}

/* Each is refused with a warning that names it, served from text, and written again. */
START_TEST(damaged)
{
    static const char *const ways[] = {
        "truncate -s -9 %s",
        "truncate -s 40 %s",
        "truncate -s 0 %s",
        "printf x | dd of=%1$s bs=1 seek=$(($(stat -c %%s %1$s) - 60)) conv=notrunc",
        "printf '\\377' | dd of=%s bs=1 seek=12 conv=notrunc", /* version */
        "printf '\\377' | dd of=%s bs=1 seek=90 conv=notrunc", /* directory */
        "head -c 3000 /dev/urandom >%s",
        "chmod 666 %s",
        "sh -c 'rm $0 && mkfifo $0' %s",
    };
    fill();
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        const char *patterns[] = {"shard-*.images", "zone-*.image"};
        for (size_t n = 0; n < 2; n++) {
            const char *path = file_of(patterns[n]);
            damage(path, ways[i]);
            size_t from = daemon_log_size(&server);
            start_expecting(ZONES);
            ck_assert(daemon_logs(&server, from, path));
            expect_all_but(ZONES);
            int left = harness_patience_ms();
            struct stat st;
            while (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0 ||
                   st.st_size < 100 || files(".rrdns-image-*") > 0) {
                ck_assert_int_gt(left -= 20, 0);
                pause_ms(20);
            }
            pause_ms(200 * harness_slow());
            daemon_stop(&server);
            from = daemon_log_size(&server);
            start_expecting(ZONES + 1);
            ck_lacks(daemon_log(&server) + from, folder());
            daemon_stop(&server);
        }
    }
    start_expecting(ZONES + 1);
}
END_TEST

/* Files of one zone under the name of another. */
START_TEST(exchanged)
{
    fill();
    glob_t found;
    ck_assert_int_eq(glob(format_text("%s/shard-*.images", folder()), 0, NULL, &found), 0);
    ck_assert_int_eq(command("cp %s %s", found.gl_pathv[0], found.gl_pathv[1]).status, 0);
    ck_assert_int_eq(command("cp %s %s", found.gl_pathv[2], file_of("zone-*.image")).status, 0);
    globfree(&found);
    start_expecting(ZONES - 1);
    expect_all_but(ZONES);
}
END_TEST

START_TEST(removed_zones)
{
    fill();
    file_write(format_text("%s/mine", folder()), "mine");
    file_write(format_text("%s/.rrdns-image-00beef", folder()), "left by one that was killed");
    ck_assert_int_eq(unlink(daemon_zone_path(&server, "load.test")), 0);
    ck_assert_int_eq(unlink(daemon_zone_path(&server, "z0.test")), 0);
    daemon_start(&server);
    ck_assert_int_eq(unlink(daemon_zone_path(&server, "z1.test")), 0);
    control_reload_ok(&server);
    for (int left = harness_patience_ms();
         files("shard-*") != ZONES - 2 || files("zone-*") != 0 || files(".rrdns*") != 0;) {
        ck_assert_int_gt(left -= 20, 0);
        pause_ms(20);
    }
    ck_assert_uint_eq(files("mine"), 1);
}
END_TEST

/* What comes from an image and can't be signed is not among those that came from images. */
START_TEST(good_image_no_keys)
{
    fill();
    daemon_configure(&server,
                     "{\"image_directory\": \"images\", \"dnssec\": {\"p\": {\"keys\": \"none\"}},"
                     "\"zones\": [{\"name\": \"z0.test\", \"file\": \"zones/z0.test.zone\","
                     " \"dnssec\": \"p\"}]}");
    daemon_start(&server);
    ck_assert_int_eq(daemon_counter(&server, "zones_failed"), 1);
    ck_assert_int_eq(daemon_counter(&server, "zones_loaded"), ZONES);
    ck_assert_int_eq(daemon_counter(&server, "zones_from_images"), ZONES);
    expect_www("z0.test", "SERVFAIL");
}
END_TEST

/* All are written again, those of large zones too, when there is a directory again. */
START_TEST(removed_directory)
{
    fill();
    start_expecting(ZONES + 1);
    ck_assert_int_eq(command("rm -r %s", folder()).status, 0);
    size_t from = daemon_log_size(&server);
    control_reload_ok(&server);
    ck_assert(daemon_logs(&server, from, "image_directory is not used: No such file or directory"));
    for (unsigned i = 0; i < 2; i++) { /* the second time it is exchanged between two reloads */
        dir_make(folder());
        ck_assert_int_eq(chmod(folder(), 0700), 0);
        control_reload_ok(&server);
        await_images();
        ck_assert_int_eq(command("mv %s %s.old%u", folder(), folder(), i).status, 0);
    }
    expect_all_but(ZONES);
}
END_TEST

static void expect_unused(const char *reason)
{
    size_t from = daemon_log_size(&server);
    start_expecting(0);
    ck_assert(daemon_logs(&server, from, reason));
    expect_all_but(ZONES);
    pause_ms(100);
    daemon_stop(&server);
}

START_TEST(directory_of_no_use)
{
    ck_assert_int_eq(chmod(folder(), 0777), 0);
    expect_unused("image_directory is not used: others than the server's user can write there");
    ck_assert_uint_eq(files("*"), 0);
    ck_assert_int_eq(rmdir(folder()), 0);
    expect_unused("image_directory is not used: No such file or directory");
    file_write(folder(), "");
    expect_unused("image_directory is not used: Not a directory");
    ck_assert_int_eq(unlink(folder()), 0);
    dir_make(folder());
    ck_assert_int_eq(chmod(folder(), 0700), 0);
    start_expecting(0);
    await_images();
}
END_TEST

/* A file system with no room, and then one with. */
START_TEST(full_disk)
{
    if (geteuid() != 0 ||
        command("mount -t tmpfs -o size=64k,mode=700 rrdns-test %s", folder()).status != 0) {
        return; /* not to be had here */
    }
    size_t from = daemon_log_size(&server);
    start_expecting(0);
    bool told = daemon_logs(&server, from, "zone images can't be written: No space left");
    expect_all_but(ZONES);
    size_t left_over = files(".rrdns-image-*");
    daemon_stop(&server);
    daemon_start(&server);
    expect_all_but(ZONES);
    bool remounted = command("mount -o remount,size=64m %s", folder()).status == 0;
    daemon_zone(&server, "z0.test", version(5));
    control_reload_ok(&server); /* of another zone: all that are missing are written now */
    bool again = remounted && daemon_logs(&server, from, "zone images are written again");
    bool all = remounted && are_images_written();
    daemon_stop(&server);
    ck_assert_int_eq(command("umount %s", folder()).status, 0);
    ck_assert(told);
    ck_assert_uint_eq(left_over, 0);
    ck_assert(again);
    ck_assert(all);
}
END_TEST

/* Read-only, by the file system, since nobody else keeps root from writing. */
START_TEST(read_only)
{
    fill();
    if (geteuid() != 0 ||
        command("mount --bind %s %s && mount -o remount,ro,bind %s", folder(), folder(), folder())
                .status != 0) {
        return;
    }
    size_t from = daemon_log_size(&server);
    daemon_start(&server);
    int64_t from_images = daemon_counter(&server, "zones_from_images");
    daemon_zone(&server, "z0.test", version(99));
    control_reload_ok(&server);
    bool told = daemon_logs(&server, from, "zone images can't be written: Read-only file system");
    daemon_stop(&server);
    ck_assert_int_eq(command("umount %s", folder()).status, 0);
    ck_assert_int_eq(from_images, ZONES + 1);
    ck_assert(told);
}
END_TEST

/* At any moment of the writing: the next start serves, and what is there is good or refused. */
START_TEST(killed_while_writing)
{
    for (unsigned i = 0; i < 12; i++) {
        load_write_zone(daemon_zone_path(&server, "load.test"), 1 + i, LARGE_NAMES);
        daemon_zone(&server, "z0.test", version(100 + i));
        daemon_start(&server);
        pause_ms(i * 2);
        daemon_kill(&server);
    }
    size_t from = daemon_log_size(&server);
    daemon_start(&server);
    expect_www("z0.test", "NOERROR 192.0.2.111");
    ck_assert_str_eq(ask_once("127.0.0.1", server.port, false, "h7.load.test.", "A"),
                     "NOERROR 12.0.0.7");
    ck_lacks(daemon_log(&server) + from, "damaged");
    await_images();
}
END_TEST

/* Another server has it. */
START_TEST(shared)
{
    fill();
    daemon_start(&server);
    struct output o = command("flock -n %s true", folder());
    ck_assert_int_ne(o.status, 0);
    daemon_stop(&server);
    pid_t pid =
        child_start((const char *[]){"/usr/bin/flock", folder(), "sleep", "60", NULL}, NULL);
    pause_ms(300);
    expect_unused("image_directory is not used: another server uses it");
    child_kill(pid);
}
END_TEST

START_TEST(by_reload)
{
    daemon_configure(&server, NULL);
    start_expecting(0);
    ck_assert_uint_eq(files("*"), 0);
    daemon_configure(&server, "{\"image_directory\": \"images\"}");
    control_reload_ok(&server);
    await_images();
    daemon_configure(&server, NULL);
    control_reload_ok(&server);
    daemon_zone(&server, "z0.test", version(9));
    control_reload_ok(&server);
    daemon_configure(&server, "{\"image_directory\": \"images\"}");
    daemon_stop(&server);
    start_expecting(ZONES); /* all but the one that changed without it */
    expect_www("z0.test", "NOERROR 192.0.2.9");
}
END_TEST

/* ---- Images as zone files ---- */

static void compile(const char *name)
{
    ck_assert_int_eq(command("%s/rrdnsutil compile %s %s/compiled %s.", harness_build(),
                             daemon_zone_path(&server, name), server.dir, name)
                         .status,
                     0);
}

START_TEST(as_zone_file)
{
    const char *more = "{\"zones\": [{\"name\": \"z0.test\", \"file\": \"compiled\"}]}";
    daemon_configure(&server, more);
    daemon_zone(&server, "z0.test", version(60));
    compile("z0.test");
    daemon_zone(&server, "z0.test", "not read\n");
    daemon_start(&server);
    expect_www("z0.test", "NOERROR 192.0.2.60");
    ck_assert_str_eq(from_image("z0.test"), "false");
    daemon_zone(&server, "z0.test", version(61));
    compile("z0.test");
    control_reload_ok(&server);
    expect_www("z0.test", "NOERROR 192.0.2.61");
    ck_assert_int_eq(daemon_counter(&server, "zones_loaded"), ZONES + 2);
    control_reload_ok(&server);
    ck_assert_int_eq(daemon_counter(&server, "zones_loaded"), ZONES + 2);
    /* A bad one, and one of another zone, are refused: what is served stays. */
    damage(format_text("%s/compiled", server.dir), "truncate -s -8 %s");
    ck_contains(rrdnsctl(&server, "reload z0.test").err, "zone image is cut short");
    compile("z1.test");
    ck_contains(rrdnsctl(&server, "reload z0.test").err, "zone image of another zone");
    expect_www("z0.test", "NOERROR 192.0.2.61");
    daemon_stop(&server);
    daemon_start(&server);
    expect_www("z0.test", "SERVFAIL");
}
END_TEST

static Suite *images(void)
{
    const TTest *const tests[] = {restart,
                                  reloaded_zones_are_written,
                                  changed_while_it_was_away,
                                  touched_while_it_was_away,
                                  damaged,
                                  exchanged,
                                  removed_zones,
                                  good_image_no_keys,
                                  removed_directory,
                                  directory_of_no_use,
                                  full_disk,
                                  read_only,
                                  killed_while_writing,
                                  shared,
                                  by_reload,
                                  as_zone_file};
    Suite *suite = suite_create("images");
    TCase *tcase = tcase_create("images");
    tcase_add_checked_fixture(tcase, begin, end);
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        tcase_add_test(tcase, tests[i]);
    }
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return harness_main("images", images);
}

/*
 * Floor 0: arena, crews, diagnostics, SipHash, counters, log, error texts.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/counters.h"
#include "base/crew.h"
#include "base/diag.h"
#include "base/err.h"
#include "base/log.h"
#include "base/siphash.h"
#include "unit.h"

/* --- arena --- */

/* Permissions of the mapping at p, as /proc/self/maps has them ("rw-p"). */
static const char *permissions(const void *p)
{
    static char found[5];
    strcpy(found, "none");
    FILE *maps = fopen("/proc/self/maps", "r");
    ck_assert_ptr_nonnull(maps);
    char line[512];
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long low, high;
        char flags[5];
        if (sscanf(line, "%lx-%lx %4s", &low, &high, flags) == 3 && (uintptr_t)p >= low &&
            (uintptr_t)p < high) {
            memcpy(found, flags, sizeof found);
        }
    }
    fclose(maps);
    return found;
}

START_TEST(arena_grows)
{
    struct rng rng = rng_start();
    enum { OBJECTS = 20000 };
    arena_ref *refs = malloc(OBJECTS * sizeof *refs);
    uint16_t *sizes = malloc(OBJECTS * sizeof *sizes);
    struct arena arena;
    arena_init(&arena);
    for (size_t i = 0; i < OBJECTS; i++) {
        sizes[i] = (uint16_t)(1 + rng_below(&rng, i % 100 == 0 ? 20000 : 100));
        refs[i] = arena_alloc(&arena, sizes[i]);
        if (refs[i] == 0 || (i > 0 && refs[i] <= refs[i - 1])) {
            ck_abort_msg("object %zu has ref %u", i, refs[i]);
        }
        uint8_t *object = arena_at(&arena, refs[i]);
        for (size_t k = 0; k < sizes[i]; k++) {
            if (object[k] != 0) {
                ck_abort_msg("object %zu is not zeroed", i);
            }
            object[k] = (uint8_t)(i + k);
        }
        if ((uintptr_t)object % ARENA_UNIT != 0 || arena.used % ARENA_UNIT != 0 ||
            arena.used > arena.capacity) {
            ck_abort_msg("object %zu is not aligned", i);
        }
    }
    ck_assert(arena.mapped);
    for (int sealed = 0; sealed < 2; sealed++) {
        for (size_t i = 0; i < OBJECTS; i++) {
            const uint8_t *object = arena_at(&arena, refs[i]);
            for (size_t k = 0; k < sizes[i]; k++) {
                if (object[k] != (uint8_t)(i + k)) {
                    ck_abort_msg("object %zu has changed", i);
                }
            }
        }
        if (!sealed) {
            ck_assert_str_eq(permissions(arena.base), "rw-p");
            ck_assert_int_eq(arena_seal(&arena), RR_OK);
        }
    }
    ck_assert_uint_lt(arena.capacity - arena.used, 4096);
    ck_assert_str_eq(permissions(arena.base), "r--p");
    ck_assert_str_eq(permissions(arena.base + arena.used - 1), "r--p");
    arena_free(&arena);
    ck_assert_ptr_null(arena.base);
    arena_free(&arena);
    free(refs);
    free(sizes);
}
END_TEST

/* A small arena is no mapping: 200,000 of them must not cost a page each. */
START_TEST(arena_small)
{
    struct arena arena;
    arena_init(&arena);
    ck_assert_uint_eq(arena_alloc(&arena, 1), 1);
    ck_assert_uint_eq(arena_alloc(&arena, 8), 2);
    ck_assert_uint_eq(arena_alloc(&arena, 9), 3);
    ck_assert_uint_eq(arena_alloc(&arena, 1), 5);
    ck_assert_uint_eq(arena.used, 48);
    ck_assert(!arena.mapped);
    ck_assert_int_eq(arena_seal(&arena), RR_OK);
    ck_assert_uint_eq(arena.capacity, 48);
    arena_free(&arena);
    ck_assert_int_eq(arena_seal(&arena), RR_OK); /* empty */
    arena_free(&arena);
}
END_TEST

/* From malloc to a mapping of its own: what was written stays, what is new is zero. */
START_TEST(arena_crosses_the_line)
{
    for (size_t fill = 65536 - 24; fill <= 65536 + 8; fill += 8) {
        struct arena arena;
        arena_init(&arena);
        arena_ref first = arena_alloc(&arena, fill - ARENA_UNIT);
        memset(arena_at(&arena, first), 0xa5, fill - ARENA_UNIT);
        ck_assert_uint_eq(arena.used, fill);
        ck_assert(arena.mapped == (fill > 65536));
        arena_ref second = arena_alloc(&arena, 16);
        ck_assert_uint_eq(second, fill / ARENA_UNIT);
        ck_assert(arena.mapped == (fill + 16 > 65536));
        const uint8_t *octets = arena_at(&arena, first);
        for (size_t i = 0; i < fill + 8; i++) {
            ck_assert_uint_eq(octets[i], i < fill - ARENA_UNIT ? 0xa5 : 0);
        }
        ck_assert_int_eq(arena_seal(&arena), RR_OK);
        arena_free(&arena);
    }
}
END_TEST

/* Small arenas, one after the other in one region: each is as if it had been built alone. */
START_TEST(arena_sealed_apart)
{
    static const size_t sizes[] = {8, 504, 3000, 40, 0, 65536 - ARENA_UNIT, 16, 65536, 24};
    struct arena room;
    arena_init(&room);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct arena arena = room;
        arena_init(&room);
        if (sizes[i] > 0) {
            arena_ref ref = arena_alloc(&arena, sizes[i]);
            uint8_t *octets = arena_at(&arena, ref);
            ck_assert_uint_eq(ref, 1);
            for (size_t k = 0; k < sizes[i]; k++) {
                ck_assert_uint_eq(octets[k], 0);
            }
            memset(octets, (int)i + 1, sizes[i]);
        }
        bool mapped = arena.mapped;
        ck_assert_int_eq(arena_seal_apart(&arena, &room), RR_OK);
        ck_assert(arena.mapped == mapped && mapped == (sizes[i] > 65536 - ARENA_UNIT));
        ck_assert_uint_eq(room.used, 0);
        ck_assert(room.base != arena.base || arena.base == NULL);
        ck_assert_uint_eq(arena.used, sizes[i] > 0 ? sizes[i] + ARENA_UNIT : 0);
        if (!mapped) {
            ck_assert_uint_eq(arena.capacity, arena.used);
        }
        for (size_t k = 0; k < sizes[i]; k++) {
            ck_assert_uint_eq(((uint8_t *)arena_at(&arena, 1))[k], i + 1);
        }
        arena_free(&arena);
    }
    arena_free(&room);
    struct arena failed = {.failed = true};
    ck_assert_int_eq(arena_seal_apart(&failed, &room), RR_ENOMEM);
}
END_TEST

/* A stray write into a sealed zone ends the process there and then. */
START_TEST(arena_sealed_is_not_written_to)
{
    struct arena arena;
    arena_init(&arena);
    arena_ref last = arena_alloc(&arena, 100000);
    ck_assert_int_eq(arena_seal(&arena), RR_OK);
    volatile uint8_t *octet = (uint8_t *)arena_at(&arena, last) + 99999;
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL); /* sanitizers would explain it at length */
        *octet = 1;
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGSEGV);
    ck_assert_uint_eq(*octet, 0);
    arena_free(&arena);
}
END_TEST

/* What no offset can name fails, never wraps; all that comes after fails too. */
START_TEST(arena_limit)
{
    static const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 6, (size_t)1 << 36,
                                   (size_t)UINT32_MAX * ARENA_UNIT,
                                   (size_t)UINT32_MAX * ARENA_UNIT - ARENA_UNIT + 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct arena arena;
        arena_init(&arena);
        ck_assert_uint_eq(arena_alloc(&arena, 16), 1);
        ck_assert_uint_eq(arena_alloc(&arena, sizes[i]), 0);
        ck_assert(arena.failed);
        ck_assert_uint_eq(arena_alloc(&arena, 8), 0);
        ck_assert_uint_eq(arena.used, 24);
        ck_assert_int_eq(arena_seal(&arena), RR_ENOMEM);
        arena_free(&arena);
        ck_assert(!arena.failed);
    }
}
END_TEST

START_TEST(arena_restored)
{
    static const size_t good[] = {8, 64, 65536, 65544, 1000000, 9000000};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct arena arena;
        arena_init(&arena);
        ck_assert_int_eq(arena_restore(&arena, good[i]), RR_OK);
        ck_assert_uint_eq(arena.used, good[i]);
        memset(arena.base, 7, good[i]);
        ck_assert_int_eq(arena_seal(&arena), RR_OK);
        ck_assert_uint_eq(arena.base[good[i] - 1], 7);
        if (good[i] > 65536) {
            ck_assert_str_eq(permissions(arena.base), "r--p");
        }
        arena_free(&arena);
    }
    static const size_t bad[] = {0, 1, 7, 9, SIZE_MAX, (size_t)1 << 36};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct arena arena;
        arena_init(&arena);
        ck_assert_int_eq(arena_restore(&arena, bad[i]), RR_ERANGE);
        arena_free(&arena);
    }
}
END_TEST

/* --- diagnostics --- */

START_TEST(diag_places)
{
    struct diag diag = {0};
    ck_assert_ptr_null(diag_first_fault(&diag));
    diag_warn(&diag, "file", 7, "a %s", "warning");
    ck_assert_ptr_null(diag_first_fault(&diag));
    diag_fault(&diag, "file", 0, "no line");
    diag_fault(&diag, NULL, 5, "no file");
    ck_assert_uint_eq(diag.faults, 2);
    ck_assert_uint_eq(diag.warnings, 1);
    ck_assert_uint_eq(diag.kept, 3);
    ck_assert_str_eq(diag.entries[0].text, "file:7: a warning");
    ck_assert_int_eq(diag.entries[0].severity, DIAG_WARNING);
    ck_assert_str_eq(diag.entries[1].text, "file: no line");
    ck_assert_str_eq(diag.entries[2].text, "no file");
    ck_assert_int_eq(diag.entries[2].severity, DIAG_FAULT);
    ck_assert_str_eq(diag_first_fault(&diag), "file: no line");
    diag_clear(&diag);
    ck_assert_uint_eq(diag.faults + diag.warnings + diag.kept, 0);
    ck_assert_ptr_null(diag.entries);
    diag_clear(&diag);
}
END_TEST

/* Warnings, however many, leave room for the fault that says why. */
START_TEST(diag_keeps_faults)
{
    struct diag diag = {0};
    for (size_t i = 1; i <= 1000; i++) {
        diag_warn(&diag, "zone", i, "warning");
    }
    diag_fault(&diag, "zone", 5000, "fault");
    diag_warn(&diag, "zone", 5001, "warning");
    ck_assert_uint_eq(diag.warnings, 1001);
    ck_assert_uint_eq(diag.faults, 1);
    ck_assert_uint_lt(diag.kept, DIAG_KEEP);
    ck_assert_str_eq(diag_first_fault(&diag), "zone:5000: fault");
    for (size_t i = 0; i < 1000; i++) {
        diag_fault(&diag, "zone", i, "fault");
    }
    ck_assert_uint_eq(diag.faults, 1001);
    ck_assert_uint_eq(diag.kept, DIAG_KEEP);
    diag_clear(&diag);
}
END_TEST

/* A text that is too long is cut, a file name that is too long is left out. */
START_TEST(diag_long_texts)
{
    struct diag diag = {0};
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    diag_fault(&diag, "zone", 1, "%s", text);
    ck_assert_uint_gt(strlen(diag.entries[0].text), 500);
    ck_assert_uint_lt(strlen(diag.entries[0].text), 2000);
    ck_assert(strncmp(diag.entries[0].text, "zone:1: xxx", 11) == 0);
    diag_fault(&diag, text, 1, "why");
    ck_assert_str_eq(diag.entries[1].text, "why");
    diag_clear(&diag);
}
END_TEST

/* --- SipHash --- */

/* Key 00 to 0f, messages of 0 to 15 octets 00 01 02..: the designers' own vectors. */
START_TEST(siphash_vectors)
{
    static const uint64_t vectors[] = {
        0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
        0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
        0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
        0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
    };
    uint8_t key[16], message[16];
    for (uint8_t i = 0; i < 16; i++) {
        key[i] = message[i] = i;
    }
    for (size_t size = 0; size < 16; size++) {
        /* At the end of memory, and at every alignment. */
        uint8_t *octets = unit_guarded(size == 0 ? 1 : size);
        memcpy(octets, message, size);
        ck_assert_uint_eq(siphash24(key, octets, size), vectors[size]);
        unit_guarded_free(octets, size == 0 ? 1 : size);
    }
}
END_TEST

/* --- counters --- */

START_TEST(counter_names)
{
    size_t cells = 0;
    for (size_t i = 0; i < counter_infos_count; i++) {
        const struct counter_info *info = &counter_infos[i];
        ck_assert_uint_eq(info->first, cells); /* one behind the other, none twice */
        ck_assert_uint_ge(info->size, 1);
        ck_assert((info->size == 1) == (info->labels == LABELS_NONE));
        ck_assert_uint_gt(strlen(info->prose), 10);
        ck_assert_int_eq(info->prose[strlen(info->prose) - 1], '.');
        for (size_t k = 0; k < i; k++) {
            ck_assert_str_ne(info->name, counter_infos[k].name);
        }
        cells += info->size;
    }
    ck_assert_uint_eq(cells, COUNTER_CELLS);
    ck_assert_uint_eq(sizeof(struct counters) % 64, 0);
}
END_TEST

START_TEST(counter_adds)
{
    struct counters *counters = aligned_alloc(64, sizeof *counters);
    memset(counters, 0, sizeof *counters);
    counter_add(counters, COUNTER_rcode + 3, 2);
    counter_add(counters, COUNTER_rcode + 3, 40);
    ck_assert_uint_eq(counter_get(counters, COUNTER_rcode + 3), 42);
    ck_assert_uint_eq(counter_get(counters, COUNTER_rcode + 2), 0);
    ck_assert_uint_eq(counter_get(counters, COUNTER_rcode + 4), 0);
    free(counters);
}
END_TEST

START_TEST(latency_buckets)
{
    static const struct {
        uint64_t ns;
        size_t bucket;
    } cases[] = {
        {0, 0},         {1, 1},           {2, 2},           {3, 2},
        {4, 3},         {1023, 10},       {1024, 11},       {(1u << 30) - 1, 30},
        {1u << 30, 31}, {UINT32_MAX, 31}, {UINT64_MAX, 31},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_uint_eq(counter_latency_bucket(cases[i].ns), cases[i].bucket);
    }
}
END_TEST

/* --- log --- */

static char directory[] = "/tmp/rrdns-test-XXXXXX";
static char path[64], moved[64];

static void log_setup(void)
{
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/log", directory);
    snprintf(moved, sizeof moved, "%s/log.1", directory);
}

static void log_teardown(void)
{
    unlink(path);
    unlink(moved);
    rmdir(directory);
}

static const char *file_text(const char *name)
{
    static char text[8192];
    FILE *file = fopen(name, "r");
    ck_assert_ptr_nonnull(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* Whether the n-th line of a file is a time stamp and this. */
static void expect_line(const char *name, unsigned n, const char *expected)
{
    const char *line = file_text(name);
    while (n-- > 0) {
        line = strchr(line, '\n') + 1;
    }
    /* 2023-11-14T22:13:20Z */
    ck_assert_uint_ge(strlen(line), 21 + strlen(expected));
    ck_assert_int_eq(line[4], '-');
    ck_assert_int_eq(line[10], 'T');
    ck_assert_int_eq(line[19], 'Z');
    ck_assert_msg(strncmp(line + 21, expected, strlen(expected)) == 0, "%s", line);
    ck_assert_int_eq(line[21 + strlen(expected)], '\n');
}

START_TEST(log_to_file)
{
    log_setup();
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, path), RR_OK);
    struct stat status;
    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq(status.st_mode & 07, 0); /* not for everybody */
    log_info("line %d", 1);
    log_debug("not told");
    log_error("line 2");
    expect_line(path, 0, "rrdnsd: info: line 1");
    expect_line(path, 1, "rrdnsd: error: line 2");

    /* Rotated away: lines go on there until the log is opened again. */
    ck_assert_int_eq(rename(path, moved), 0);
    log_warning("line 3");
    expect_line(moved, 2, "rrdnsd: warning: line 3");
    ck_assert_int_eq(log_reopen(), RR_OK);
    log_info("line 4");
    expect_line(path, 0, "rrdnsd: info: line 4");
    ck_assert_ptr_null(strstr(file_text(moved), "line 4"));
    log_teardown();
}
END_TEST

START_TEST(log_levels)
{
    log_setup();
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, path), RR_OK);
    ck_assert_int_eq(log_get_level(), LOG_LEVEL_INFO);
    static const char *const names[] = {"error", "warning", "info", "debug"};
    for (unsigned i = 0; i < 4; i++) {
        enum log_level level = LOG_LEVEL_ERROR;
        ck_assert_int_eq(log_level_parse(names[i], &level), RR_OK);
        ck_assert_uint_eq(level, i);
        ck_assert_str_eq(log_level_name(level), names[i]);
        log_set_level(level);
        ck_assert_int_eq(truncate(path, 0), 0);
        log_error("e");
        log_warning("w");
        log_info("i");
        log_debug("d");
        unsigned lines = 0;
        for (const char *p = file_text(path); (p = strchr(p, '\n')) != NULL; p++) {
            lines++;
        }
        ck_assert_uint_eq(lines, i + 1);
    }
    enum log_level level = LOG_LEVEL_DEBUG;
    ck_assert_int_eq(log_level_parse("Error", &level), RR_EINVAL);
    ck_assert_int_eq(log_level_parse("", &level), RR_EINVAL);
    ck_assert_int_eq(log_level_parse("infos", &level), RR_EINVAL);
    ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
    log_teardown();
}
END_TEST

/* A file that can't be opened changes nothing. */
START_TEST(log_open_fails)
{
    log_setup();
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, path), RR_OK);
    errno = 0;
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, "/no/such/directory/log"), RR_EIO);
    ck_assert_int_eq(errno, ENOENT);
    log_info("still here");
    expect_line(path, 0, "rrdnsd: info: still here");
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(log_reopen(), RR_EIO);
    log_info("still there");
    expect_line(moved, 1, "rrdnsd: info: still there");
    rmdir(path);
    log_teardown();
}
END_TEST

/* From a file to standard error and to another file; what is not the target gets no line. */
START_TEST(log_targets)
{
    log_setup();
    char other[70];
    snprintf(other, sizeof other, "%s.other", path);
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, path), RR_OK);
    int saved = dup(STDERR_FILENO), fd = open(moved, O_RDWR | O_CREAT, 0600);
    dup2(fd, STDERR_FILENO);
    ck_assert_int_eq(log_open(LOG_TARGET_STDERR, NULL), RR_OK);
    log_info("to stderr");
    ck_assert_int_eq(log_reopen(), RR_OK);
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, other), RR_OK);
    log_info("to another");
    dup2(saved, STDERR_FILENO);
    ck_assert_str_eq(file_text(path), "");
    ck_assert_str_eq(file_text(moved), "rrdnsd: info: to stderr\n");
    expect_line(other, 0, "rrdnsd: info: to another");
    close(fd);
    unlink(other);
    log_teardown();
}
END_TEST

START_TEST(log_long_lines)
{
    log_setup();
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, path), RR_OK);
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    log_info("next");
    const char *line = file_text(path);
    size_t size = (size_t)(strchr(line, '\n') - line) + 1;
    ck_assert_uint_gt(size, 1000);
    ck_assert_uint_lt(size, 4096);
    expect_line(path, 1, "rrdnsd: info: next");
    log_teardown();
}
END_TEST

/* --- errors --- */

START_TEST(error_texts)
{
    for (int error = 0; error >= -10; error--) {
        ck_assert_uint_gt(strlen(rr_strerror(error)), 3);
        for (int other = 0; other > error; other--) {
            ck_assert_str_ne(rr_strerror(error), rr_strerror(other));
        }
    }
    ck_assert_str_eq(rr_strerror(-1000), rr_strerror(1));
}
END_TEST

/* --- crews --- */

enum { SHARES = 1000 };

struct shares {
    atomic_size_t next;
    atomic_size_t done;
    atomic_size_t here; /* shares that the test's own thread had */
    atomic_size_t given; /* shares taken while crew_gives_way() */
    atomic_int least_nice;
    pthread_t caller;
    void (*within)(struct shares *shares);
};

static void take_shares(void *context)
{
    struct shares *shares = context;
    int nice = getpriority(PRIO_PROCESS, 0);
    if (nice < atomic_load(&shares->least_nice)) {
        atomic_store(&shares->least_nice, nice);
    }
    if (shares->within != NULL) {
        shares->within(shares);
    }
    while (atomic_fetch_add(&shares->next, 1) < SHARES) {
        atomic_fetch_add(&shares->done, 1);
        atomic_fetch_add(&shares->given, crew_gives_way());
        atomic_fetch_add(&shares->here, pthread_equal(pthread_self(), shares->caller) != 0);
        usleep(5);
    }
}

START_TEST(crews)
{
    int nice = getpriority(PRIO_PROCESS, 0);
    for (size_t members = 1; members <= 3; members++) {
        struct shares shares = {.least_nice = 100, .caller = pthread_self()};
        crew_run(members, take_shares, &shares);
        ck_assert_uint_eq(shares.done, SHARES);
        ck_assert_uint_eq(shares.given, 0);
        ck_assert_int_eq(shares.least_nice, nice);
        shares = (struct shares){.least_nice = 100, .caller = pthread_self()};
        crew_run_gently(members, take_shares, &shares);
        ck_assert_uint_eq(shares.done, SHARES);
        ck_assert_uint_eq(shares.here, 0);
        ck_assert_uint_eq(shares.given, SHARES);
        ck_assert_int_eq(shares.least_nice, nice + 10 < 19 ? nice + 10 : 19);
        ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), nice);
        ck_assert(!crew_gives_way());
    }
}
END_TEST

static void crew_within(struct shares *shares)
{
    struct shares more = {.least_nice = 100, .caller = shares->caller};
    crew_run(3, take_shares, &more);
    ck_assert_uint_eq(more.done, SHARES);
    ck_assert_uint_eq(more.given, SHARES);
    ck_assert_int_eq(more.least_nice, getpriority(PRIO_PROCESS, 0));
}

/* Crews that gentle threads make are as gentle, and no gentler. */
START_TEST(crews_within_crews)
{
    struct shares shares = {.least_nice = 100, .caller = pthread_self(), .within = crew_within};
    crew_run_gently(2, take_shares, &shares);
    ck_assert_uint_eq(shares.done, SHARES);
    ck_assert(!crew_gives_way());
}
END_TEST

/* Long enough for a thousand spans: computing, and waiting in calls that signals interrupt. */
static void compute_and_wait(void *context)
{
    const int *pipe_ends = context;
    struct timespec begin, now;
    char octet = 0;
    uint64_t sum = 1;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        for (int i = 0; i < 10000; i++) {
            sum = sum * 3 + 1;
            errno = ERANGE;
        }
        ck_assert_int_eq(errno, ERANGE);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 < 200);
    ck_assert_uint_ne(sum, 0);
    ck_assert_int_eq(read(pipe_ends[0], &octet, 1), 1);
}

static void *write_later(void *context)
{
    const int *pipe_ends = context;
    usleep(300000);
    ck_assert_int_eq(write(pipe_ends[1], "x", 1), 1);
    return NULL;
}

/* ---- Who has the CPU, where there is but one ---- */

static double cpu_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

struct rivals {
    bool steps;      /* the loader looks at the clock itself */
    unsigned for_ms; /* how long the loader takes */
    atomic_bool begun, end;
    size_t turns;          /* how often the worker was let in */
    double loader, worker; /* seconds of the CPU */
};

/* As a worker beside loaders is, and never idle. */
static void *fill_the_cpu(void *context)
{
    struct rivals *rivals = context;
    ck_assert_int_eq(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), 0);
    double begin = cpu_seconds();
    while (!atomic_load(&rivals->end)) {
        atomic_store(&rivals->begun, true);
    }
    rivals->worker = cpu_seconds() - begin;
    return NULL;
}

/* As one that is woken for one thing after the other. */
static void *be_woken(void *context)
{
    struct rivals *rivals = context;
    const struct timespec pause = {0, 20000};
    ck_assert_int_eq(sched_setscheduler(0, SCHED_BATCH, &(struct sched_param){0}), 0);
    double begin = cpu_seconds();
    while (!atomic_load(&rivals->end)) {
        atomic_store(&rivals->begun, true);
        nanosleep(&pause, NULL);
        rivals->turns++;
    }
    rivals->worker = cpu_seconds() - begin;
    return NULL;
}

static void load_beside(void *context)
{
    struct rivals *rivals = context;
    struct timespec begin, now;
    while (!atomic_load(&rivals->begun)) {
        sched_yield();
    }
    double before = cpu_seconds();
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        if (rivals->steps) {
            crew_step();
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000 <
             rivals->for_ms);
    rivals->loader = cpu_seconds() - before;
    atomic_store(&rivals->end, true);
}

/* A loader beside a worker of that kind, both on one CPU. */
static struct rivals contend(void *(*work)(void *context), bool steps, unsigned for_ms)
{
    struct rivals rivals = {.steps = steps, .for_ms = for_ms};
    pthread_t worker;
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
        }
    }
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ck_assert_int_eq(pthread_create(&worker, NULL, work, &rivals), 0);
    crew_run_gently(1, load_beside, &rivals);
    pthread_join(worker, NULL);
    ck_assert_int_eq(sched_setaffinity(0, sizeof all, &all), 0);
    return rivals;
}

/* A flood does not starve a loader, nor a loader those who answer. */
START_TEST(gentle_threads_have_a_tenth)
{
    struct rivals rivals = contend(fill_the_cpu, _i != 0, 1500);
    double share = rivals.loader / (rivals.loader + rivals.worker);
    ck_assert_msg(share > 0.03 && share < 0.3, "loader %.3f s, worker %.3f s", rivals.loader,
                  rivals.worker);
}
END_TEST

/* Whether they had their CPU to themselves. */
static bool were_alone(const struct rivals *rivals)
{
    return rivals->loader + rivals->worker > 0.9 * rivals->for_ms / 1000;
}

/* Who looks at the clock lets others in far more often than the timer of those who don't. Where the
 * machine is busy the kernel has them all take turns, and nothing can be told. */
START_TEST(gentle_threads_let_others_in)
{
    size_t fewer = 0;
    for (unsigned tries = 0; tries < 10; tries++) {
        struct rivals without = contend(be_woken, false, 300), with = contend(be_woken, true, 300);
        ck_assert_uint_gt(without.turns, 0);
        if (with.turns > 3 * without.turns) {
            return;
        }
        fewer += were_alone(&without) && were_alone(&with);
    }
    ck_assert_msg(fewer == 0, "no more turns than by the timer, %zu times", fewer);
}
END_TEST

/* Giving way disturbs neither errno nor a read that waits. */
START_TEST(crews_go_on_after_giving_way)
{
    int pipe_ends[2];
    pthread_t writer;
    ck_assert_int_eq(pipe(pipe_ends), 0);
    ck_assert_int_eq(pthread_create(&writer, NULL, write_later, pipe_ends), 0);
    crew_run_gently(1, compute_and_wait, pipe_ends);
    pthread_join(writer, NULL);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}
END_TEST

/* Where a thread gets no timer nobody may count on its giving way. */
START_TEST(crews_without_timers)
{
    struct rlimit limit, none;
    ck_assert_int_eq(getrlimit(RLIMIT_SIGPENDING, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &none), 0);
    struct shares shares = {.least_nice = 100, .caller = pthread_self()};
    crew_run_gently(2, take_shares, &shares);
    ck_assert_int_eq(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
    ck_assert_uint_eq(shares.done, SHARES);
    ck_assert_uint_eq(shares.given, 0);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("base");
    tcase_add_test(unit.tests, arena_grows);
    tcase_add_test(unit.tests, arena_small);
    tcase_add_test(unit.tests, arena_crosses_the_line);
    tcase_add_test(unit.tests, arena_sealed_apart);
    tcase_add_test(unit.tests, arena_sealed_is_not_written_to);
    tcase_add_test(unit.tests, arena_limit);
    tcase_add_test(unit.tests, arena_restored);
    tcase_add_test(unit.tests, crews);
    tcase_add_test(unit.tests, crews_within_crews);
    tcase_add_test(unit.tests, crews_go_on_after_giving_way);
    tcase_add_loop_test(unit.tests, gentle_threads_have_a_tenth, 0, 2);
    tcase_add_test(unit.tests, gentle_threads_let_others_in);
    tcase_add_test(unit.tests, crews_without_timers);
    tcase_add_test(unit.tests, diag_places);
    tcase_add_test(unit.tests, diag_keeps_faults);
    tcase_add_test(unit.tests, diag_long_texts);
    tcase_add_test(unit.tests, siphash_vectors);
    tcase_add_test(unit.tests, counter_names);
    tcase_add_test(unit.tests, counter_adds);
    tcase_add_test(unit.tests, latency_buckets);
    tcase_add_test(unit.tests, log_to_file);
    tcase_add_test(unit.tests, log_levels);
    tcase_add_test(unit.tests, log_open_fails);
    tcase_add_test(unit.tests, log_targets);
    tcase_add_test(unit.tests, log_long_lines);
    tcase_add_test(unit.tests, error_texts);
    return unit_end(&unit);
}

/*
 * The whole server, keys read and signed with, has no piece of a private key in memory that a core
 * dump of it would have. (What each step leaves: tests/unit/test_secret.c.)
 */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "harness.h"

enum { NUMBERS = 64, NUMBER_ROOM = 512, PIECE = 16, CHUNK = 1 << 20 };

static struct {
    uint8_t data[NUMBER_ROOM];
    size_t size;
} number[NUMBERS];
static size_t numbers;

/* ---- What is looked for ---- */

static size_t decode(const char *text, uint8_t *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned bits = 0, held = 0;
    size_t size = 0;
    for (const char *digit; *text != '\0' && (digit = strchr(digits, *text)) != NULL; text++) {
        bits = (bits << 6 | (unsigned)(digit - digits)) & 0xffff;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[size++] = (uint8_t)(bits >> held);
        }
    }
    return size;
}

static void add_number(const uint8_t *data, size_t size)
{
    ck_assert_uint_lt(numbers, NUMBERS);
    ck_assert(size >= PIECE && size <= NUMBER_ROOM);
    memcpy(number[numbers].data, data, size);
    number[numbers++].size = size;
}

/* The numbers of a .private file that are secrets: as they are, backwards, and as text. */
static void add_file(const char *path)
{
    static const char *const names[] = {"PrivateKey", "PrivateExponent", "Prime1",     "Prime2",
                                        "Exponent1",  "Exponent2",       "Coefficient"};
    char *text = file_read(path), *save;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *colon = strchr(line, ':');
        *colon = '\0';
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strcmp(line, names[i]) == 0) {
                uint8_t data[NUMBER_ROOM], back[NUMBER_ROOM];
                size_t size = decode(colon + 2, data);
                for (size_t at = 0; at < size; at++) {
                    back[at] = data[size - 1 - at];
                }
                add_number(data, size);
                add_number(back, size);
                add_number((const uint8_t *)colon + 2, strlen(colon + 2));
            }
        }
    }
    free(text);
}

/* ---- Where ---- */

/* Pieces of the numbers, their beginnings, middles and ends, in the octets. */
static unsigned count_pieces(const uint8_t *data, size_t size)
{
    unsigned found = 0;
    for (size_t i = 0; i < numbers; i++) {
        size_t last = number[i].size - PIECE;
        for (size_t at = 0; at <= last; at += last / 2) {
            found += memmem(data, size, number[i].data + at, PIECE) != NULL;
        }
    }
    return found;
}

/* In one mapping of the server. */
static unsigned count_in(int memory, unsigned long from, unsigned long to)
{
    static uint8_t chunk[PIECE + CHUNK];
    unsigned found = 0;
    size_t kept = 0;
    while (from < to) {
        size_t ask = to - from < CHUNK ? to - from : CHUNK;
        ssize_t got = pread(memory, chunk + kept, ask, (off_t)from);
        if (got <= 0) {
            break; /* pages that the kernel shows to nobody */
        }
        from += (unsigned long)got;
        size_t size = kept + (size_t)got;
        found += count_pieces(chunk, size);
        kept = size < PIECE - 1 ? size : PIECE - 1;
        memmove(chunk, chunk + size - kept, kept);
    }
    return found;
}

/* In all that is dumped, or in all that isn't. */
static unsigned count_where(bool dumped)
{
    char *text = file_read(format_text("/proc/%d/smaps", (int)server.pid)), *save;
    int memory = open(format_text("/proc/%d/mem", (int)server.pid), O_RDONLY);
    unsigned found = 0;
    unsigned long from = 0, to = 0;
    ck_assert_int_ge(memory, 0);
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        unsigned long begin, end;
        char rights[8];
        if (sscanf(line, "%lx-%lx %7s", &begin, &end, rights) == 3) {
            from = begin;
            to = rights[0] == 'r' ? end : begin;
        } else if (strncmp(line, "VmFlags:", 8) == 0 && (strstr(line, " dd") == NULL) == dumped &&
                   to - from < 1ul << 32) { /* no sanitizer's shadow */
            found += count_in(memory, from, to);
        }
    }
    close(memory);
    free(text);
    return found;
}

/* ---- Tests ---- */

static unsigned signatures(const char *name)
{
    struct output dig = command("dig +dnssec +short +tcp +time=5 +tries=1 @127.0.0.1 -p %u "
                                "%s.a.test A | grep -c '^A '",
                                server.port, name);
    return (unsigned)strtoul(dig.out, NULL, 10);
}

static void setup(void)
{
    daemon_prepare(&server, "secret",
                   "{\"dnssec\": {\"p\": {\"keys\": \"keys\"}}, \"zones\": [{\"name\": \"a.test\","
                   " \"file\": \"zones/a.test.zone\", \"dnssec\": \"p\"}]}");
    daemon_zone(&server, "a.test", "$TTL 300\n@ SOA ns host 1 3600 600 86400 300\n@ NS ns\n"
                                   "* A 192.0.2.53\nns A 192.0.2.53\n");
    const char *keys = format_text("%s/keys", server.dir);
    dir_make(keys);
    static const char *const algorithms[] = {"rsasha256", "ecdsap256sha256", "ed25519"};
    numbers = 0;
    for (size_t i = 0; i < 3; i++) {
        struct output made = command("%s/rrdnsutil keygen a.test --algorithm %s --dir %s",
                                     harness_build(), algorithms[i], keys);
        ck_assert_msg(made.status == 0, "%s", made.err);
        add_file(format_text("%s/%.*s.private", keys, (int)strcspn(made.out, "\n"), made.out));
    }
}

static void teardown(void)
{
    daemon_kill(&server);
}

START_TEST(server_in_no_dump)
{
    if (access("/proc/1/mem", R_OK) != 0) {
        return; /* a child's memory may be forbidden to look at, too */
    }
    daemon_start(&server);
    for (unsigned i = 0; i < 8; i++) {
        ck_assert_uint_eq(signatures(format_text("n%u", i)), 3);
    }
    control_reload_ok(&server);
    ck_assert_uint_gt(count_where(false), 0); /* they are there, and are found */
    ck_assert_uint_eq(count_where(true), 0);
    daemon_stop(&server);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("signing_secret");
    TCase *tests = tcase_create("secret");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, server_in_no_dump);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_secret", suite);
}

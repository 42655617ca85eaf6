/*
 * Signatures and time: a clock that jumps while the server runs, and lifetimes of seconds. Every
 * answer must be valid at the time it is given.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "harness.h"
#include "packet.h"
#include "resolver.h"
#include "transport.h"

enum { DAY = 86400, YEAR = 365 * DAY, UDP_SIZE = 1232, RCODE_NOERROR = 0, RCODE_NXDOMAIN = 3 };

static void lay_out(const char *name, const char *policy, const char *zone)
{
    daemon_prepare(&server, name,
                   format_text("{\"dnssec\": {\"p\": {\"keys\": \"keys\", %s}}, \"zones\": ["
                               "{\"name\": \"a.test\", \"file\": \"zones/a.test.zone\","
                               " \"dnssec\": \"p\"}]}",
                               policy));
    dir_make(format_text("%s/keys", server.dir));
    ck_assert_int_eq(chmod(format_text("%s/keys", server.dir), 0700), 0);
    daemon_zone(&server, "a.test",
                format_text("$TTL 5\n@ SOA ns host 1 3600 600 86400 5\n@ NS ns\n"
                            "ns A 192.0.2.53\n*.wild TXT x\n%s",
                            zone));
}

static void teardown(void)
{
    unsetenv("LD_PRELOAD");
    daemon_kill(&server);
}

/*
 * Asks with DO; all signatures must be valid at that time, and for `left` seconds more. Returns how
 * many there are.
 */
static size_t ask_at(const char *name, const char *type, int64_t now, int64_t left)
{
    struct packet packet;
    size_t found = 0;
    signed_ask(&server, true, UDP_SIZE, name, type, &packet);
    ck_assert(packet.rcode == RCODE_NOERROR || packet.rcode == RCODE_NXDOMAIN);
    for (enum section section = SECTION_ANSWER; section < SECTIONS; section++) {
        const ldns_rr_list *list = packet_section(&packet, section);
        for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
            const ldns_rr *rr = ldns_rr_list_rr(list, i);
            if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG) {
                int64_t inception = ldns_rdf2native_int32(ldns_rr_rrsig_inception(rr));
                int64_t expiration = ldns_rdf2native_int32(ldns_rr_rrsig_expiration(rr));
                ck_assert_msg(inception <= now + 1 && expiration > now + left,
                              "%s %s: %lld to %lld, and it is %lld", name, type,
                              (long long)inception, (long long)expiration, (long long)now);
                found++;
            }
        }
    }
    packet_free(&packet);
    return found;
}

/* ---- A clock that jumps ---- */

static const char shim[] =
    "#define _GNU_SOURCE\n"
    "#include <dlfcn.h>\n"
    "#include <fcntl.h>\n"
    "#include <stdlib.h>\n"
    "#include <sys/time.h>\n"
    "#include <time.h>\n"
    "#include <unistd.h>\n"
    "static long offset(void)\n"
    "{\n"
    "    char text[32] = \"\";\n"
    "    int file = open(getenv(\"CLOCK_OFFSET\"), O_RDONLY | O_CLOEXEC);\n"
    "    if (file >= 0) {\n"
    "        if (read(file, text, sizeof text - 1) < 0) text[0] = 0;\n"
    "        close(file);\n"
    "    }\n"
    "    return atol(text);\n"
    "}\n"
    "int clock_gettime(clockid_t id, struct timespec *ts)\n"
    "{\n"
    "    static int (*next)(clockid_t, struct timespec *);\n"
    "    if (next == 0) *(void **)&next = dlsym(RTLD_NEXT, \"clock_gettime\");\n"
    "    int error = next(id, ts);\n"
    "    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) ts->tv_sec += offset();\n"
    "    return error;\n"
    "}\n"
    "time_t time(time_t *t)\n"
    "{\n"
    "    struct timespec ts;\n"
    "    clock_gettime(CLOCK_REALTIME, &ts);\n"
    "    if (t != 0) *t = ts.tv_sec;\n"
    "    return ts.tv_sec;\n"
    "}\n"
    "int gettimeofday(struct timeval *tv, void *zone)\n"
    "{\n"
    "    struct timespec ts;\n"
    "    (void)zone;\n"
    "    clock_gettime(CLOCK_REALTIME, &ts);\n"
    "    tv->tv_sec = ts.tv_sec;\n"
    "    tv->tv_usec = ts.tv_nsec / 1000;\n"
    "    return 0;\n"
    "}\n";

static const char *offset_file(void)
{
    return format_text("%s/offset", server.dir);
}

/* Starts the server with a clock of its own. False where that is not to be had. */
static bool start_with_shim(void)
{
    const char *source = format_text("%s/shim.c", server.dir);
    file_write(source, shim);
    file_write(offset_file(), "0");
    if (harness_sanitized() ||
        command("cc -shared -fPIC -o %s/shim.so %s -ldl", server.dir, source).status != 0) {
        return false;
    }
    setenv("CLOCK_OFFSET", offset_file(), 1);
    setenv("LD_PRELOAD", format_text("%s/shim.so", server.dir), 1);
    daemon_start(&server);
    unsetenv("LD_PRELOAD");
    return true;
}

/* Returns the server's time from now on. */
static int64_t jump(int64_t offset)
{
    file_replace(offset_file(), format_text("%lld", (long long)offset));
    pause_ms(20); /* workers read the coarse clock */
    return (int64_t)time(NULL) + offset;
}

static void expect_valid(int64_t now)
{
    static const char *const questions[][2] = {
        {"a.test", "SOA"},      {"a.test", "DNSKEY"},     {"www.a.test", "A"},
        {"www.a.test", "TXT"},  {"none.a.test", "A"},     {"x.wild.a.test", "TXT"},
        {"a.test", "CDS"},      {"also.a.test", "AAAA"},
    };
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        ck_assert_uint_ge(ask_at(questions[i][0], questions[i][1], now, DAY), 1);
    }
}

/* Waits until so many keys sign what is not the keys. */
static void await_signers(size_t count, int64_t now)
{
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    while (ask_at("www.a.test", "A", now, DAY) != count) {
        ck_assert_msg(clock_ms() < end, "not %zu signers", count);
        pause_ms(50);
    }
}

static void keygen(const char *arguments)
{
    struct output made = command("dnssec-keygen -q -a 13 -K %s/keys %s a.test", server.dir,
                                 arguments);
    ck_assert_msg(made.status == 0, "%s", made.err);
}

START_TEST(clock_jumps)
{
    static const int64_t jumps[] = {YEAR, -YEAR, 0, 190 * DAY, 100 * DAY, 6 * DAY, 13 * DAY,
                                    -YEAR, YEAR, 0};
    if (command("sh -c 'command -v dnssec-keygen'").status != 0) {
        return;
    }
    for (unsigned mode = 0; mode < 3; mode++) {
        static const char *const denials[] = {"compact", "nsec", "nsec3"};
        lay_out(format_text("jumps-%s", denials[mode]),
                format_text("\"denial\": \"%s\"", denials[mode]), "www A 192.0.2.1\n");
        keygen("-f KSK -P -2000d -A -2000d");
        keygen("-P -2000d -A -2000d");
        keygen("-P +170d -A +180d -I +200d -D +250d"); /* signs for 20 days that are jumped over */
        if (!start_with_shim()) {
            return;
        }
        expect_valid(time(NULL));
        await_signers(1, time(NULL));
        for (size_t i = 0; i < sizeof jumps / sizeof jumps[0]; i++) {
            int64_t now = jump(jumps[i]);
            expect_valid(now);
            await_signers(jumps[i] == 190 * DAY ? 2 : 1, now);
            /* What is read again while the clock is wrong is not lost when it is right again. */
            control_reload_ok(&server);
            expect_valid(now);
            await_signers(jumps[i] == 190 * DAY ? 2 : 1, now);
        }
        uint64_t before = daemon_cpu_ms(&server);
        pause_ms(1000);
        ck_assert_uint_lt(daemon_cpu_ms(&server) - before, 300);
        daemon_stop(&server);
    }
}
END_TEST

/* A key that was deleted when the keys were read at a wrong time signs when that is over, without
 * another reload. */
START_TEST(deleted_for_a_while)
{
    if (command("sh -c 'command -v dnssec-keygen'").status != 0) {
        return;
    }
    lay_out("deleted", "\"denial\": \"compact\"", "www A 192.0.2.1\n");
    keygen("-f KSK -P -2000d -A -2000d");
    keygen("-P -2000d -A -2000d");
    keygen("-P -10d -A -10d -I +200d -D +250d");
    if (!start_with_shim()) {
        return;
    }
    await_signers(2, time(NULL));
    int64_t now = jump(YEAR);
    control_reload_ok(&server);
    await_signers(1, now);
    now = jump(0);
    await_signers(2, now);
    daemon_stop(&server);
}
END_TEST

/* ---- Lifetimes of seconds ---- */

START_TEST(short_lifetimes)
{
    enum { NAMES = 120, SECONDS = 20 };
    lay_out("short",
            "\"lifetime\": \"10s\", \"refresh\": \"5s\", \"inception_offset\": \"0s\", "
            "\"dnskey_ttl\": \"5s\"",
            format_text("$GENERATE 1-%d n$ A 192.0.2.1\n", NAMES));
    daemon_start(&server);
    uint64_t end = clock_ms() + SECONDS * 1000u, second = clock_ms() + 1000;
    int64_t before = 0, most = 0;
    for (unsigned i = 0; clock_ms() < end; i++) {
        ask_at(format_text("n%u.a.test", i % NAMES + 1), "A", time(NULL), 0);
        ask_at("a.test", "DNSKEY", time(NULL), 0);
        ask_at("none.a.test", "A", time(NULL), 0);
        if (clock_ms() >= second) {
            int64_t now = daemon_counter(&server, "signatures_refreshed");
            most = now - before > most ? now - before : most;
            before = now;
            second += 1000;
        }
        pause_ms(5);
    }
    ck_assert_int_gt(before, NAMES);
    ck_assert_int_le(most, 2 * 50); /* the seconds of both are not the same */
    ck_assert_int_eq(daemon_counter(&server, "signatures_failed"), 0);
    ck_assert_uint_lt(daemon_cpu_ms(&server), SECONDS * 1000u * harness_slow() / 2);
    daemon_stop(&server);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("signing_time");
    TCase *tests = tcase_create("time");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, clock_jumps);
    tcase_add_test(tests, deleted_for_a_while);
    tcase_add_test(tests, short_lifetimes);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_time", suite);
}

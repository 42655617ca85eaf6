/*
 * Signed zones while all that they depend on changes under a load of questions: nothing is left
 * unanswered, what is kept of signatures goes from one version to the next and is freed in time.
 * Most of what could be wrong here the sanitizers tell.
 */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon.h"
#include "harness.h"
#include "packet.h"
#include "resolver.h"
#include "transport.h"

enum { NAMES = 300, ASKERS = 3, UDP_SIZE = 1232 };

/* ---- A load ---- */

/* Threads that ask with DO, one question after another; they may not fail tests, so they count. */
struct asker {
    pthread_t thread;
    unsigned number;
    int fd;
    uint64_t answered, lost, failed; /* failed: SERVFAIL, FORMERR... */
};

static atomic_bool over;
static struct asker askers[ASKERS];

static size_t question(unsigned n, uint16_t id, uint8_t *message)
{
    static const char *const forms[] = {"n%u.s.test", "none%u.s.test", "x%u.wild.s.test",
                                        "n%u.t.test", "y%u.s.test",    "none%u.t.test"};
    static const char *const types[] = {"A", "TXT", "DNSKEY", "SOA", "NSEC", "RRSIG", "ANY"};
    char name[64];
    snprintf(name, sizeof name, forms[n % 6], n / 6 % NAMES); /* NOLINT: forms are ours */
    struct query_spec query = query_for(n % 13 == 0 ? "s.test" : name, types[n / 7 % 7]);
    query.edns = true;
    query.edns_size = UDP_SIZE;
    query.edns_flags = 0x8000;
    return query_write(&query, id, message);
}

static void ask_one(struct asker *asker, unsigned n)
{
    uint8_t message[1232], answer[4096];
    uint16_t id = (uint16_t)n;
    size_t size = question(n, id, message);
    if (send(asker->fd, message, size, 0) < 0) {
        asker->lost++;
        return;
    }
    for (;;) {
        ssize_t got = receive(asker->fd, answer, sizeof answer, harness_patience_ms());
        if (got < 12) {
            asker->lost++;
            return;
        }
        if (answer[0] == message[0] && answer[1] == message[1]) {
            unsigned rcode = answer[3] & 15;
            asker->answered++;
            asker->failed += rcode != 0 && rcode != 3 && rcode != 5;
            return;
        }
    }
}

static void *ask_on(void *argument)
{
    struct asker *asker = argument;
    for (unsigned n = asker->number * 1000003u; !atomic_load(&over); n++) {
        ask_one(asker, n);
    }
    return NULL;
}

static void begin_load(void)
{
    atomic_store(&over, false);
    for (unsigned i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.number = i,
                                   .fd = udp_open(NULL, "127.0.0.1", server.port)};
        ck_assert_int_eq(pthread_create(&askers[i].thread, NULL, ask_on, &askers[i]), 0);
    }
}

static void end_load(void)
{
    uint64_t answered = 0;
    atomic_store(&over, true);
    for (unsigned i = 0; i < ASKERS; i++) {
        pthread_join(askers[i].thread, NULL);
        close(askers[i].fd);
        ck_assert_uint_eq(askers[i].lost, 0);
        ck_assert_uint_eq(askers[i].failed, 0);
        answered += askers[i].answered;
    }
    ck_assert_uint_gt(answered, 100);
}

/* ---- What changes ---- */

static const char *const denials[] = {"compact", "nsec", "nsec3"};

/* A configuration: how s.test is signed (NULL: it is not), and whether there is t.test, by another
 * policy with the same keys. */
static void configure(const char *denial, bool other)
{
    daemon_configure(
        &server,
        format_text("{\"image_directory\": \"images\", \"dnssec\": {"
                    "\"p\": {\"keys\": \"keys\", \"denial\": \"%s\"},"
                    "\"q\": {\"keys\": \"keys\", \"denial\": \"%s\", \"lifetime\": \"10s\","
                    " \"refresh\": \"5s\", \"inception_offset\": \"0s\", \"dnskey_ttl\": \"1s\"}},"
                    "\"zone_directory\": \"\", \"zones\": ["
                    "{\"name\": \"s.test\", \"file\": \"zones/s.test.zone\"%s}%s]}",
                    denial != NULL ? denial : "nsec", denial != NULL ? denial : "compact",
                    denial != NULL ? ", \"dnssec\": \"p\"" : "",
                    other ? ", {\"name\": \"t.test\", \"file\": \"zones/t.test.zone\","
                            " \"dnssec\": \"q\"}"
                          : ""));
}

static void write_zone(const char *name, unsigned serial)
{
    daemon_zone(&server, name,
                format_text("$TTL 300\n@ SOA ns host %u 3600 600 86400 300\n@ NS ns\n"
                            "ns A 192.0.2.53\n*.wild TXT x\n"
                            "$GENERATE 0-%d n$ A 192.0.2.%u\n$GENERATE 0-%d y$ TXT same\n",
                            serial, NAMES - 1, serial % 256, NAMES - 1));
}

static void reload_whatever_comes(const char *names)
{
    json_t *answer = control_reload(&server, names);
    json_decref(answer);
}

/* A zone signing key more, or none of those. */
static void change_keys(bool more)
{
    struct output made =
        more ? command("dnssec-keygen -q -a 13 -K %s/keys -P now -A now s.test", server.dir)
             : command("sh -c 'cd %s/keys && rm -f $(grep -l \" 256 \" Ks.test.*.key) && "
                       "for f in Ks.test.*.private; do [ -e ${f%%.private}.key ] || rm $f; done'",
                       server.dir);
    ck_assert_msg(made.status == 0, "%s", made.err);
}

static void change(unsigned step)
{
    unsigned serial = step + 2;
    switch (step % 10) {
    case 0:
        write_zone("s.test", serial);
        control_reload_ok(&server);
        break;
    case 1:
        configure(denials[step / 10 % 3], true);
        control_reload_ok(&server);
        break;
    case 2:
        change_keys(true);
        reload_whatever_comes("[\"s.test\"]");
        break;
    case 3:
        daemon_zone(&server, "s.test", "@ SOA this is no zone\n");
        reload_whatever_comes(NULL);
        break;
    case 4:
        write_zone("s.test", serial);
        write_zone("t.test", serial);
        kill(server.pid, SIGHUP);
        control_reload_ok(&server);
        break;
    case 5:
        configure(NULL, true);
        control_reload_ok(&server);
        break;
    case 6:
        configure(denials[(step / 10 + 1) % 3], false);
        control_reload_ok(&server);
        break;
    case 7:
        configure(denials[(step / 10 + 1) % 3], true);
        control_reload_ok(&server);
        break;
    case 8:
        change_keys(false);
        control_reload_ok(&server);
        break;
    default:
        write_zone("t.test", serial);
        reload_whatever_comes("[\"t.test\"]");
        reload_whatever_comes("[\"s.test\", \"t.test\"]");
        break;
    }
}

/* Every answer of both zones is signed, and well. */
static void expect_signed(void)
{
    static const char *const names[] = {"n1.s.test", "none.s.test", "z.wild.s.test", "s.test",
                                        "n2.t.test", "none.t.test"};
    struct zone_keys zones[2] = {{.zone = "s.test."}, {.zone = "t.test."}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct packet packet;
        signed_ask(&server, true, UDP_SIZE, names[i], "TXT", &packet);
        const char *fault = signatures_fault(&server, zones, 2, &packet);
        ck_assert_msg(fault == NULL, "%s: %s", names[i], fault);
        packet_free(&packet);
    }
}

START_TEST(everything_changes)
{
    if (command("sh -c 'command -v dnssec-keygen'").status != 0) {
        return;
    }
    daemon_prepare(&server, "changes", NULL);
    dir_make(format_text("%s/keys", server.dir));
    dir_make(format_text("%s/images", server.dir));
    ck_assert_int_eq(chmod(format_text("%s/images", server.dir), 0700), 0);
    configure("compact", true);
    write_zone("s.test", 1);
    write_zone("t.test", 1);
    daemon_start(&server);
    begin_load();
    unsigned steps = harness_sanitized() ? 60 : 150;
    for (unsigned step = 0; step < steps; step++) {
        change(step);
        pause_ms(step % 3 * 20);
    }
    pause_ms(1500); /* for what happens every second */
    configure("nsec", true);
    control_reload_ok(&server);
    end_load();
    expect_signed();
    ck_assert_int_eq(daemon_counter(&server, "signatures_failed"), 0);
    daemon_stop(&server);

    /* Zones that come from images are signed as well. */
    daemon_start(&server);
    ck_assert_int_eq(daemon_counter(&server, "zones_from_images"), 2);
    expect_signed();
    daemon_stop(&server);
}
END_TEST

/* Keys that are due every second, while reloads come all the time. */
START_TEST(due_and_reloaded)
{
    enum { KEYS = 6 };
    if (command("sh -c 'command -v dnssec-keygen'").status != 0) {
        return;
    }
    daemon_prepare(&server, "due", NULL);
    dir_make(format_text("%s/keys", server.dir));
    configure("nsec3", true);
    write_zone("s.test", 1);
    write_zone("t.test", 1);
    for (unsigned i = 1; i <= KEYS; i++) {
        ck_assert_int_eq(command("dnssec-keygen -q -a 13 -K %s/keys -P now -A now+%u -I now+%u "
                                 "s.test",
                                 server.dir, 1 + i, 4 + i)
                             .status,
                         0);
    }
    ck_assert_int_eq(
        command("dnssec-keygen -q -f KSK -a 13 -K %s/keys s.test", server.dir).status, 0);
    daemon_start(&server);
    begin_load();
    uint64_t end = clock_ms() + (KEYS + 6) * 1000u;
    for (unsigned serial = 2; clock_ms() < end; serial++) {
        if (serial % 4 == 0) {
            write_zone("s.test", serial);
        }
        reload_whatever_comes(serial % 2 == 0 ? "[\"s.test\"]" : NULL);
        pause_ms(10);
    }
    end_load();
    /* All of them have become active and are retired. */
    struct output told = rrdnsctl(&server, "dnssec s.test");
    ck_contains(told.out, "retired");
    struct packet packet;
    signed_ask(&server, true, UDP_SIZE, "s.test", "DNSKEY", &packet);
    ck_assert_uint_eq(packet.records[SECTION_ANSWER], KEYS + 2);
    packet_free(&packet);
    daemon_stop(&server);
}
END_TEST

static void teardown(void)
{
    daemon_kill(&server);
}

static Suite *suite(void)
{
    Suite *all = suite_create("signing_reload");
    TCase *tests = tcase_create("reload");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_test(tests, everything_changes);
    tcase_add_test(tests, due_and_reloaded);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_reload", suite);
}

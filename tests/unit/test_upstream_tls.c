/*
 * The same over TLS: who is trusted and who is not, what the log says of it, and sessions that are
 * resumed.
 */
#include "stream_client.h"
#include "unit.h"

#include <stdlib.h>

#include "base/log.h"

static struct stream_certificates certificates;

static void tls_begin(struct client *client, enum stream_kind kind, struct stream_options options)
{
    stream_certify(&certificates);
    options.certificate = certificates.kind[kind];
    client_begin(client, &options);
    client_believe(client, certificates.ca);
}

static void tls_end(struct client *client)
{
    client_end(client);
    stream_certificates_free(&certificates);
}

/* What was logged goes to a file from here on; returns its path. */
static const char *log_to_file(void)
{
    static char path[] = "/tmp/rrdns-test-log-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    ck_assert_int_eq(log_open(LOG_TARGET_FILE, path), 0);
    return path;
}

/* The lines in it that have a text. */
static unsigned logged(const char *path, const char *text)
{
    char line[512];
    unsigned count = 0;
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    while (fgets(line, sizeof line, file) != NULL) {
        count += strstr(line, text) != NULL;
    }
    fclose(file);
    return count;
}

/* ---- Asking ---- */

START_TEST(gets_replies)
{
    const struct stream_options options[] = {
        {.behaviour = stream_echo},
        {.behaviour = stream_echo, .v6 = true},
        {.behaviour = stream_echo, .tls12 = true},
        {.behaviour = stream_echo, .no_alpn = true},
        {.behaviour = stream_echo, .handshake_ms = 1000},
    };
    struct client client;
    tls_begin(&client, STREAM_GOOD, options[_i]);
    for (unsigned i = 0; i < 10; i++) {
        ck_assert_int_eq(client_ask(&client, i, i == 5 ? 65535 : 40), 0);
    }
    client_await_told(&client, 10);
    ck_assert_uint_eq(client.replied, 10);
    ck_assert_uint_eq(client.counts.connections, 1);
    ck_assert_str_eq((const char *)client.server.alpn, options[_i].no_alpn ? "" : "\3dot");
    tls_end(&client);
}
END_TEST

START_TEST(takes_replies_octet_by_octet)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = stream_octet_by_octet});
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(client_ask(&client, i, 30 + i), 0);
    }
    client_await_told(&client, 20);
    ck_assert_uint_eq(client.replied, 20);
    tls_end(&client);
}
END_TEST

START_TEST(asks_a_thousand_over_four)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = stream_echo});
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert_int_eq(client_ask(&client, i, 500), 0);
    }
    client_await_told(&client, 1000);
    ck_assert_uint_eq(client.replied, 1000);
    ck_assert_uint_eq(client.counts.connections, 4);
    tls_end(&client);
}
END_TEST

/* ---- Trust ---- */

enum file { OWN_CA, STRANGE_CA, SELF_CA, SYSTEM_CA };

static const struct trial {
    enum stream_kind kind;
    const char *name;
    enum file file;
    bool v6;
    const char *reason; /* NULL: trusted */
} trials[] = {
    {STREAM_GOOD, "dns.example", OWN_CA, false, NULL},
    {STREAM_GOOD, "DNS.Example", OWN_CA, false, NULL},
    {STREAM_GOOD, NULL, OWN_CA, false, NULL},
    {STREAM_GOOD, NULL, OWN_CA, true, NULL},
    {STREAM_GOOD, "127.0.0.1", OWN_CA, true, NULL}, /* a name that is an address */
    {STREAM_GOOD, "192.0.2.1", OWN_CA, false, "IP address mismatch"},
    {STREAM_GOOD, "dns.example.org", OWN_CA, false, "hostname mismatch"},
    {STREAM_GOOD, "example", OWN_CA, false, "hostname mismatch"},
    {STREAM_GOOD, "server", OWN_CA, false, "hostname mismatch"}, /* the common name counts not */
    {STREAM_NAME_ONLY, "dns.example", OWN_CA, false, NULL},
    {STREAM_NAME_ONLY, NULL, OWN_CA, false, "IP address mismatch"},
    {STREAM_NAME_ONLY, NULL, OWN_CA, true, "IP address mismatch"},
    {STREAM_EXPIRED, "dns.example", OWN_CA, false, "certificate has expired"},
    {STREAM_SELF_SIGNED, "dns.example", OWN_CA, false, "self-signed certificate"},
    {STREAM_SELF_SIGNED, "dns.example", SELF_CA, false, NULL},
    {STREAM_SELF_SIGNED, "other.example", SELF_CA, false, "hostname mismatch"},
    {STREAM_STRANGE, "dns.example", OWN_CA, false, "unable to get local issuer certificate"},
    {STREAM_STRANGE, "dns.example", STRANGE_CA, false, NULL},
    {STREAM_GOOD, "dns.example", SYSTEM_CA, false, "unable to get local issuer certificate"},
};
enum { TRIALS = sizeof trials / sizeof trials[0] };

START_TEST(trusts_whom_it_should)
{
    const struct trial *trial = &trials[_i];
    struct client client;
    char line[200];
    const char *log = log_to_file();
    tls_begin(&client, trial->kind,
              (struct stream_options){.behaviour = stream_echo, .v6 = trial->v6});
    const char *files[] = {certificates.ca, certificates.strange, certificates.self, NULL};
    setenv("SSL_CERT_FILE", certificates.strange, 1); /* the system's, on all machines */
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    client_believe(&client, files[trial->file]);
    char name[32];
    if (trial->name != NULL) {
        client.upstream.server.tls_name = strcpy(name, trial->name);
    }
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 3);
    if (trial->reason == NULL) {
        ck_assert_uint_eq(client.replied, 3);
        ck_assert_uint_eq(logged(log, ""), 0);
    } else {
        ck_assert_uint_eq(client.failed[UPSTREAM_TLS_FAILED], 3);
        ck_assert_uint_eq(atomic_load(&client.server.asked), 0); /* nothing was let out */
        snprintf(line, sizeof line, "upstream a server: TLS: %s", trial->reason);
        ck_assert_uint_eq(logged(log, line), 1);
        ck_assert_uint_eq(logged(log, ""), 1);
    }
    unlink(log);
    tls_end(&client);
}
END_TEST

/* However many fail: a line in ten seconds for each server. */
START_TEST(logs_rarely)
{
    struct client client;
    const char *log = log_to_file();
    tls_begin(&client, STREAM_EXPIRED, (struct stream_options){.behaviour = stream_echo});
    for (unsigned i = 0; i < 20; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        client_await_told(&client, i + 1);
    }
    ck_assert_uint_eq(client.counts.connections, 20);
    ck_assert_uint_eq(logged(log, "expired"), 1);
    client.upstream.server.slot = 1; /* another server */
    ck_assert_int_eq(client_ask(&client, 20, 40), 0);
    client_await_told(&client, 21);
    ck_assert_uint_eq(logged(log, "expired"), 2);
    unlink(log);
    tls_end(&client);
}
END_TEST

/* What was verified with one file is not for who trusts another; not by resumption either. */
START_TEST(keeps_trusts_apart)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = stream_echo});
    struct tls_trust *trusts[] = {client.trust, client_trust(certificates.strange)};
    for (unsigned i = 0; i < 6; i++) {
        client.trust = trusts[i % 2];
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        client_await_told(&client, i + 1);
        ck_assert_uint_eq(client.error[i], i % 2 == 0 ? UPSTREAM_NO_ERROR : UPSTREAM_TLS_FAILED);
    }
    ck_assert_uint_eq(client.replied, 3);
    ck_assert_uint_eq(client.counts.connections, 4);
    client.trust = NULL; /* nor is a connection with TLS for who wants none */
    ck_assert_int_eq(client_ask(&client, 6, 40), 0);
    client_run_ms(&client, 20);
    ck_assert_uint_eq(client.counts.connections, 5);
    tls_trust_unref(trusts[0]);
    tls_trust_unref(trusts[1]);
    tls_end(&client);
}
END_TEST

/* With another trust questions go over new connections, while the old ones bring the replies to
 * what was asked over them and end when they are idle; the trust goes with them. */
START_TEST(turns_to_another_trust)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = stream_echo});
    for (unsigned i = 0; i < 100; i++) { /* crowded: over two */
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_believe(&client, certificates.strange);
    ck_assert_int_eq(client_ask(&client, 100, 40), 0);
    client_await_told(&client, 101);
    ck_assert_uint_eq(client.replied, 100);
    ck_assert_int_eq(client.error[100], UPSTREAM_TLS_FAILED);
    ck_assert_uint_eq(client.counts.connections, 3);
    client_believe(&client, certificates.ca); /* of the same certificates, but another */
    ck_assert_int_eq(client_ask(&client, 101, 40), 0);
    client_await_told(&client, 102);
    ck_assert_uint_eq(client.replied, 101);
    ck_assert_uint_eq(client.counts.connections, 4);
    ck_assert_uint_eq(atomic_load(&client.server.resumed), 0);
    client_run_ms(&client, 9000);
    ck_assert_int_eq(client_ask(&client, 102, 40), 0); /* keeps the last one from getting idle */
    client_await_told(&client, 103);
    unsigned open = unit_descriptors();
    client_run_ms(&client, 2500);
    ck_assert_uint_le(unit_descriptors(), open - 2);
    ck_assert_int_eq(client_ask(&client, 103, 40), 0);
    client_await_told(&client, 104);
    ck_assert_uint_eq(client.counts.connections, 4);
    tls_end(&client);
}
END_TEST

/* ---- Sessions ---- */

START_TEST(resumes_sessions)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD,
              (struct stream_options){.behaviour = stream_one, .tls12 = _i == 1});
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        client_await_told(&client, i + 1);
        client_run_ms(&client, 30);
    }
    ck_assert_uint_eq(client.replied, 5);
    ck_assert_uint_eq(client.counts.connections, 5);
    ck_assert_uint_eq(atomic_load(&client.server.resumed), 4);
    tls_end(&client);
}
END_TEST

static void reset_after_one(struct stream_line *line)
{
    stream_one(line);
    stream_sleep(line, 20);
    stream_will_reset(line);
}

/* Also where the connection ended badly. */
START_TEST(resumes_sessions_after_resets)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = reset_after_one});
    for (unsigned i = 0; i < 5; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        client_await_told(&client, i + 1);
        client_run_ms(&client, 60);
    }
    ck_assert_uint_eq(client.replied, 5);
    ck_assert_uint_eq(atomic_load(&client.server.resumed), 4);
    tls_end(&client);
}
END_TEST

/* ---- Faults ---- */

/* A server that does not speak TLS: closes, resets, answers something, hangs. */
static void ends(struct stream_line *line)
{
    uint8_t data[8];
    stream_get(line, data, sizeof data);
}

static void resets(struct stream_line *line)
{
    ends(line);
    stream_will_reset(line);
}

static void chats(struct stream_line *line)
{
    ends(line);
    stream_put(line, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
    stream_sleep(line, 60000);
}

START_TEST(fails_without_tls)
{
    stream_behaviour *const behaviours[] = {ends, resets, chats};
    struct client client;
    const char *log = log_to_file();
    stream_certify(&certificates);
    client_begin(&client, &(struct stream_options){.behaviour = behaviours[_i]});
    client_believe(&client, certificates.ca);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
    }
    client_await_told(&client, 3);
    ck_assert_uint_eq(client.failed[UPSTREAM_TLS_FAILED], 3);
    ck_assert_uint_eq(logged(log, "upstream a server: TLS: "), 1);
    unlink(log);
    tls_end(&client);
}
END_TEST

START_TEST(gives_up_a_handshake)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD,
              (struct stream_options){.behaviour = stream_echo, .handshake_ms = 30000});
    uint64_t begin = clock_now_ns();
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_TLS_FAILED], 1);
    ck_assert_uint_ge(clock_now_ns() - begin, 4900000000u);
    ck_assert_uint_le(clock_now_ns() - begin, 7000000000u);
    tls_end(&client);
}
END_TEST

/* Garbage below TLS, after a handshake in order. */
static void breaks_records(struct stream_line *line)
{
    uint8_t data[64];
    stream_message(line, data);
    ck_assert_int_eq(send(line->fd, "no TLS record at all, this", 26, MSG_NOSIGNAL), 26);
    stream_sleep(line, 60000);
}

START_TEST(fails_when_tls_breaks)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = breaks_records});
    ck_assert_int_eq(client_ask(&client, 0, 40), 0);
    client_await_told(&client, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_TLS_FAILED], 1);
    tls_end(&client);
}
END_TEST

static void resets_later(struct stream_line *line)
{
    uint8_t data[64];
    for (unsigned i = 0; i < 3; i++) {
        size_t size = stream_message(line, data);
        if (i < line->number) {
            stream_reply(line, data, size);
        }
    }
    stream_sleep(line, 20);
    stream_will_reset(line);
}

/* A connection that breaks under TLS is no fault of TLS, and not told of in the log. */
START_TEST(tells_resets_from_broken_tls)
{
    struct client client;
    const char *log = log_to_file();
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = resets_later});
    for (unsigned i = 0; i < 6; i++) {
        ck_assert_int_eq(client_ask(&client, i, 40), 0);
        if (i == 2) {
            client_await_told(&client, 3);
            ck_assert_uint_eq(client.failed[UPSTREAM_UNREACHABLE], 3);
        }
    }
    client_await_told(&client, 6);
    ck_assert_uint_eq(client.replied, 1);
    ck_assert_uint_eq(client.failed[UPSTREAM_NO_ERROR], 2);
    ck_assert_uint_eq(logged(log, ""), 0);
    unlink(log);
    tls_end(&client);
}
END_TEST

/* At any moment of a connection's life. */
static void close_here(struct client *client, unsigned token)
{
    (void)token;
    upstream_stream_close(client->streams, &client->upstream);
}

START_TEST(closes_at_any_moment)
{
    struct client client;
    tls_begin(&client, STREAM_GOOD, (struct stream_options){.behaviour = stream_echo});
    unsigned asked = 0;
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = 0; i < 100; i++) {
            ck_assert_int_eq(client_ask(&client, asked++, 40), 0);
        }
        client.on_replied = round % 2 == 0 ? close_here : NULL;
        for (unsigned turn = 0; turn < round; turn++) {
            client_run_ms(&client, 0);
        }
        upstream_stream_close(client.streams, &client.upstream);
        ck_assert_uint_eq(client.all, asked);
    }
    ck_assert_uint_eq(client.replied + client.failed[UPSTREAM_NO_ERROR], asked);
    tls_end(&client);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("upstream_tls");
    tcase_add_loop_test(unit.tests, gets_replies, 0, 5);
    tcase_add_test(unit.tests, takes_replies_octet_by_octet);
    tcase_add_test(unit.tests, asks_a_thousand_over_four);
    tcase_add_loop_test(unit.tests, trusts_whom_it_should, 0, TRIALS);
    tcase_add_test(unit.tests, logs_rarely);
    tcase_add_test(unit.tests, keeps_trusts_apart);
    tcase_add_test(unit.tests, turns_to_another_trust);
    tcase_add_loop_test(unit.tests, resumes_sessions, 0, 2);
    tcase_add_test(unit.tests, resumes_sessions_after_resets);
    tcase_add_loop_test(unit.tests, fails_without_tls, 0, 3);
    tcase_add_test(unit.tests, gives_up_a_handshake);
    tcase_add_test(unit.tests, fails_when_tls_breaks);
    tcase_add_test(unit.tests, tells_resets_from_broken_tls);
    tcase_add_test(unit.tests, closes_at_any_moment);
    return unit_end(&unit);
}

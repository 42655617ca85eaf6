/*
 * Certificates to be trusted: files that are taken and refused, what the system trusts, and one
 * trust for several threads.
 */
#include "stream_client.h"
#include "unit.h"

#include <stdlib.h>
#include <sys/stat.h>

static struct stream_certificates certificates;

/* ---- Files ---- */

static const char *write_text(const char *text)
{
    static char path[] = "/tmp/rrdns-test-ca-XXXXXX";
    strcpy(path + sizeof path - 7, "XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

/* The text of a file of certificates; to be freed. */
static char *text_of(const char *path)
{
    char *text = calloc(1, 8192);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_gt(fread(text, 1, 8191, file), 0);
    fclose(file);
    return text;
}

static void refused(const char *path, const char *reason)
{
    const char *why = NULL;
    struct tls_trust *trust = NULL;
    ck_assert_int_eq(tls_trust_open(path, &trust, &why), RR_EIO);
    ck_assert_ptr_null(trust);
    ck_assert_str_eq(why, reason);
}

static void text_refused(const char *text, const char *reason)
{
    const char *path = write_text(text);
    refused(path, reason);
    unlink(path);
}

START_TEST(refuses_bad_files)
{
    char *text, *good, path[] = "/tmp/rrdns-test-fifo-XXXXXX";
    stream_certify(&certificates);
    good = text_of(certificates.ca);
    refused("/nonexistent/ca.pem", "No such file or directory");
    refused("/", "is no regular file");
    ck_assert_ptr_nonnull(mkdtemp(path));
    rmdir(path);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refused(path, "is no regular file"); /* and does not wait */
    unlink(path);
    text_refused("", "holds no certificate in PEM form");
    text_refused("nothing\n", "holds no certificate in PEM form");
    text_refused("-----BEGIN CERTIFICATE-----\nMA==\n", "holds PEM that can't be read");
    text_refused("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n",
                 "holds PEM that can't be read");
    text_refused("-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n"
                 "DEK-Info: AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\n"
                 "AAAAAAAAAAAAAAAAAAAAAA==\n-----END CERTIFICATE-----\n",
                 "holds PEM that can't be read"); /* asks nobody for a password */
    text_refused("-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n",
                 "holds no certificate in PEM form");
    ck_assert_int_gt(asprintf(&text, "%s%.100s\n", good, good), 0); /* the second one is cut off */
    text_refused(text, "holds PEM that can't be read");
    const char *large = write_text(good);
    ck_assert_int_eq(truncate(large, (4 << 20) + 1), 0);
    refused(large, "has more than 4 MB");
    unlink(large);
    free(text);
    free(good);
    stream_certificates_free(&certificates);
}
END_TEST

START_TEST(knows_the_same_certificates)
{
    char *text, *both;
    stream_certify(&certificates);
    text = text_of(certificates.ca);
    char *other = text_of(certificates.strange);
    ck_assert_int_gt(asprintf(&both, "of someone:\n%s\nof another:\n%s", text, other), 0);
    const char *path = write_text(both);
    struct tls_trust *a = client_trust(certificates.ca), *b = client_trust(path);
    ck_assert(!tls_trust_same(a, b));
    ck_assert_ptr_eq(tls_trust_ref(a), a);
    tls_trust_unref(a);
    tls_trust_unref(b);
    unlink(path);
    path = write_text(text);
    b = client_trust(path);
    ck_assert(tls_trust_same(a, b));
    tls_trust_unref(b);
    setenv("SSL_CERT_FILE", path, 1); /* the same, but the system's: other rules */
    setenv("SSL_CERT_DIR", "/nonexistent", 1);
    b = client_trust(NULL);
    ck_assert(!tls_trust_same(a, b));
    tls_trust_unref(b);
    tls_trust_unref(a);
    tls_trust_unref(NULL);
    unlink(path);
    free(text);
    free(other);
    free(both);
    stream_certificates_free(&certificates);
}
END_TEST

/* Files of directories are read at once, those that OpenSSL would look at. */
START_TEST(reads_the_systems)
{
    char directory[] = "/tmp/rrdns-test-certs-XXXXXX", from[80], to[80], list[200];
    static const char *const names[] = {"0123abcd.0", "89abcdef.12", "0123abcd.r0", "a.pem"};
    stream_certify(&certificates);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    snprintf(list, sizeof list, "/nonexistent:%s", directory);
    setenv("SSL_CERT_FILE", "/nonexistent/cert.pem", 1);
    setenv("SSL_CERT_DIR", list, 1);
    refused(NULL, "there are none that can be read");
    snprintf(from, sizeof from, "%s/%s", directory, names[2]);
    ck_assert_int_eq(symlink(certificates.ca, from), 0);
    refused(NULL, "there are none that can be read");
    for (unsigned i = 0; i < 2; i++) {
        struct client client;
        snprintf(to, sizeof to, "%s/%s", directory, names[i]);
        ck_assert_int_eq(symlink(i == 0 ? "/dev/null" : certificates.ca, to), 0);
        if (i == 0) {
            refused(NULL, "there are none that can be read");
            continue;
        }
        client_begin(&client,
                     &(struct stream_options){.behaviour = stream_echo,
                                              .certificate = certificates.kind[STREAM_GOOD]});
        client_believe(&client, NULL);
        unlink(to); /* it is not looked for any more */
        ck_assert_int_eq(client_ask(&client, 0, 40), 0);
        client_await_told(&client, 1);
        ck_assert_uint_eq(client.replied, 1);
        client_end(&client);
        snprintf(to, sizeof to, "%s/%s", directory, names[0]);
        unlink(to);
    }
    unlink(from);
    ck_assert_int_eq(rmdir(directory), 0);
    stream_certificates_free(&certificates);
}
END_TEST

/* ---- Threads ---- */

enum { WORKERS = 4, ROUNDS = 40 };

struct believer {
    struct tls_trust *trust; /* its own reference */
    struct stream_server *server;
    pthread_t thread;
    unsigned replied, ended; /* the server closed before it was asked */
};

static bool count_reply(void *context, uint64_t token, const uint8_t *data, size_t size)
{
    struct believer *believer = context;
    (void)token, (void)data, (void)size;
    believer->replied++;
    return true;
}

static void count_end(void *context, uint64_t token, enum upstream_error error)
{
    struct believer *believer = context;
    (void)token;
    believer->ended += error == UPSTREAM_NO_ERROR;
}

/* Sessions are resumed all the time: each reply is the last of its connection. */
static void *believe(void *context)
{
    struct believer *believer = context;
    struct event_base *base = event_base_new();
    struct upstream_counts counts = {0};
    struct upstream upstream = {.counts = &counts};
    struct upstream_streams *streams = upstream_streams_new(
        base, &(struct upstream_stream_handler){
                  .replied = count_reply, .failed = count_end, .context = believer});
    upstream.server.address = believer->server->address;
    upstream.server.address_size = believer->server->address_size;
    uint64_t end = clock_now_ns() + 20000000000;
    for (unsigned i = 0; believer->replied < ROUNDS && clock_now_ns() < end; i++) {
        uint8_t question[40] = {0};
        if (upstream_stream_send(streams, &upstream, believer->trust, question, sizeof question,
                                 i) != 0) {
            break;
        }
        while (believer->replied + believer->ended == i && clock_now_ns() < end) {
            event_base_loopexit(base, &(struct timeval){0, 1000});
            event_base_dispatch(base);
        }
    }
    tls_trust_unref(believer->trust);
    upstream_stream_close(streams, &upstream);
    upstream_streams_free(streams);
    event_base_free(base);
    return NULL;
}

START_TEST(is_shared_by_threads)
{
    static struct stream_server server;
    struct believer believers[WORKERS];
    signal(SIGPIPE, SIG_IGN);
    stream_certify(&certificates);
    stream_start(&server, &(struct stream_options){.behaviour = stream_one,
                                                   .certificate = certificates.kind[STREAM_GOOD]});
    struct tls_trust *trust = client_trust(certificates.ca);
    for (unsigned i = 0; i < WORKERS; i++) {
        believers[i] = (struct believer){.trust = tls_trust_ref(trust), .server = &server};
        ck_assert_int_eq(pthread_create(&believers[i].thread, NULL, believe, &believers[i]), 0);
    }
    tls_trust_unref(trust);
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(believers[i].thread, NULL);
        ck_assert_uint_eq(believers[i].replied, ROUNDS);
    }
    ck_assert_uint_gt(atomic_load(&server.resumed), 0);
    stream_stop(&server);
    stream_certificates_free(&certificates);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("tls_trust");
    tcase_add_test(unit.tests, refuses_bad_files);
    tcase_add_test(unit.tests, knows_the_same_certificates);
    tcase_add_test(unit.tests, reads_the_systems);
    tcase_add_test(unit.tests, is_shared_by_threads);
    return unit_end(&unit);
}

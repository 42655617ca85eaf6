#include "stream_aid.h"

#include <check.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dns/wire.h"

struct stream_certificate {
    EVP_PKEY *key;
    X509 *x509;
};

/* ---- Octets ---- */

bool stream_get(struct stream_line *line, void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t got = line->ssl != NULL
                          ? SSL_read(line->ssl, (uint8_t *)data + at, (int)(size - at))
                          : recv(line->fd, (uint8_t *)data + at, size - at, 0);
        if (got <= 0) {
            return false;
        }
        at += (size_t)got;
    }
    return true;
}

bool stream_put(struct stream_line *line, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t put = line->ssl != NULL
                          ? SSL_write(line->ssl, (const uint8_t *)data + at, (int)(size - at))
                          : send(line->fd, (const uint8_t *)data + at, size - at, MSG_NOSIGNAL);
        if (put <= 0) {
            return false;
        }
        at += (size_t)put;
    }
    return true;
}

size_t stream_message(struct stream_line *line, uint8_t *data)
{
    uint8_t length[2];
    if (!stream_get(line, length, 2) || !stream_get(line, data, wire_get_u16(length))) {
        return 0;
    }
    atomic_fetch_add(&line->server->asked, 1);
    return wire_get_u16(length);
}

bool stream_reply(struct stream_line *line, uint8_t *data, size_t size)
{
    uint8_t length[2];
    wire_put_u16(length, (uint16_t)size);
    data[2] |= 0x80;
    return stream_put(line, length, 2) && stream_put(line, data, size);
}

void stream_will_reset(struct stream_line *line)
{
    struct linger linger = {.l_onoff = 1};
    setsockopt(line->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    if (line->ssl != NULL) {
        SSL_set_quiet_shutdown(line->ssl, 1);
    }
}

bool stream_sleep(struct stream_line *line, unsigned ms)
{
    for (unsigned i = 0; i < ms && !atomic_load(&line->server->end); i += 5) {
        usleep(5000);
    }
    return !atomic_load(&line->server->end);
}

void stream_echo(struct stream_line *line)
{
    uint8_t *data = malloc(65536);
    size_t size;
    while ((size = stream_message(line, data)) > 0 && stream_reply(line, data, size)) {
    }
    free(data);
}

void stream_octet_by_octet(struct stream_line *line)
{
    uint8_t data[2 + 64];
    size_t size;
    while ((size = stream_message(line, data + 2)) > 0) {
        wire_put_u16(data, (uint16_t)size);
        data[4] |= 0x80;
        for (size_t i = 0; i < 2 + size; i++) {
            stream_put(line, data + i, 1);
            usleep(200);
        }
    }
}

void stream_one(struct stream_line *line)
{
    uint8_t data[64];
    size_t size = stream_message(line, data);
    if (size > 0) {
        stream_reply(line, data, size);
    }
}

/* ---- The server ---- */

static bool shake_hands(struct stream_line *line)
{
    struct stream_server *server = line->server;
    if (!stream_sleep(line, server->options.handshake_ms)) {
        return false;
    }
    line->ssl = SSL_new(server->context);
    SSL_set_fd(line->ssl, line->fd);
    if (SSL_accept(line->ssl) != 1) {
        atomic_fetch_add(&server->refused, 1);
        return false;
    }
    const unsigned char *protocol;
    unsigned size;
    SSL_get0_alpn_selected(line->ssl, &protocol, &size);
    pthread_mutex_lock(&server->lock);
    server->alpn[0] = (uint8_t)size;
    memcpy(server->alpn + 1, size > 0 ? protocol : server->alpn, size < 15 ? size : 15);
    pthread_mutex_unlock(&server->lock);
    if (SSL_session_reused(line->ssl)) {
        atomic_fetch_add(&server->resumed, 1);
    }
    return true;
}

static void *run_line(void *context)
{
    struct stream_line *line = context;
    if (line->server->context == NULL || shake_hands(line)) {
        line->server->options.behaviour(line);
        if (line->ssl != NULL) {
            SSL_shutdown(line->ssl);
        }
    }
    ERR_clear_error();
    pthread_mutex_lock(&line->server->lock);
    SSL_free(line->ssl);
    close(line->fd);
    line->fd = -1;
    pthread_mutex_unlock(&line->server->lock);
    return NULL;
}

static void *run_server(void *context)
{
    struct stream_server *server = context;
    for (;;) {
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0 || atomic_load(&server->end)) {
            if (fd >= 0) {
                close(fd);
            }
            return NULL;
        }
        struct stream_line *line = calloc(1, sizeof *line);
        line->server = server;
        line->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)); /* pieces stay pieces */
        line->number = atomic_load(&server->lines);
        ck_assert_uint_lt(line->number, STREAM_LINES_MAX);
        server->line[line->number] = line;
        ck_assert_int_eq(pthread_create(&line->thread, NULL, run_line, line), 0);
        atomic_fetch_add(&server->lines, 1);
    }
}

static int choose_dot(SSL *ssl, const unsigned char **out, unsigned char *size,
                      const unsigned char *in, unsigned in_size, void *context)
{
    (void)ssl;
    (void)context;
    return SSL_select_next_proto((unsigned char **)out, size, (const unsigned char *)"\3dot", 4, in,
                                 in_size) == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static SSL_CTX *server_context(const struct stream_options *options)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    ck_assert_int_eq(SSL_CTX_use_certificate(context, options->certificate->x509), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey(context, options->certificate->key), 1);
    SSL_CTX_set_session_id_context(context, (const unsigned char *)"x", 1);
    if (options->tls12) {
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    }
    if (!options->no_alpn) {
        SSL_CTX_set_alpn_select_cb(context, choose_dot, NULL);
    }
    return context;
}

void stream_start(struct stream_server *server, const struct stream_options *options)
{
    memset(server, 0, sizeof *server);
    server->options = *options;
    pthread_mutex_init(&server->lock, NULL);
    if (options->certificate != NULL) {
        server->context = server_context(options);
    }
    if (options->v6) {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&server->address;
        *v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        server->address_size = sizeof *v6;
    } else {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&server->address;
        *v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
        server->address_size = sizeof *v4;
    }
    struct sockaddr *address = (struct sockaddr *)&server->address;
    server->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(server->fd, address, server->address_size), 0);
    ck_assert_int_eq(getsockname(server->fd, address, &server->address_size), 0);
    ck_assert_int_eq(listen(server->fd, 128), 0);
    ck_assert_int_eq(pthread_create(&server->thread, NULL, run_server, server), 0);
}

void stream_stop(struct stream_server *server)
{
    atomic_store(&server->end, true);
    shutdown(server->fd, SHUT_RDWR); /* wakes accept */
    pthread_join(server->thread, NULL);
    close(server->fd);
    for (unsigned i = 0; i < atomic_load(&server->lines); i++) {
        pthread_mutex_lock(&server->lock);
        if (server->line[i]->fd >= 0) {
            shutdown(server->line[i]->fd, SHUT_RDWR);
        }
        pthread_mutex_unlock(&server->lock);
        pthread_join(server->line[i]->thread, NULL);
        free(server->line[i]);
    }
    SSL_CTX_free(server->context);
    pthread_mutex_destroy(&server->lock);
}

/* ---- Certificates ---- */

static void extend(X509 *x509, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    ck_assert_ptr_nonnull(extension);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Signed by issuer; NULL: by itself. names NULL: an authority. */
static struct stream_certificate *certify(const char *subject, const char *names, bool expired,
                                          const struct stream_certificate *issuer)
{
    static long serial = 1;
    struct stream_certificate *made = calloc(1, sizeof *made);
    made->key = EVP_EC_gen("P-256");
    made->x509 = X509_new();
    X509 *x509 = made->x509;
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++);
    X509_gmtime_adj(X509_getm_notBefore(x509), -86400 * 2);
    X509_gmtime_adj(X509_getm_notAfter(x509), expired ? -86400 : 86400);
    X509_set_pubkey(x509, made->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(x509, X509_get_subject_name(issuer != NULL ? issuer->x509 : x509));
    if (names == NULL) {
        extend(x509, NID_basic_constraints, "critical,CA:TRUE");
        extend(x509, NID_key_usage, "critical,keyCertSign");
    } else {
        extend(x509, NID_subject_alt_name, names);
    }
    ck_assert_int_gt(X509_sign(x509, issuer != NULL ? issuer->key : made->key, EVP_sha256()), 0);
    return made;
}

static void certificate_free(struct stream_certificate *certificate)
{
    EVP_PKEY_free(certificate->key);
    X509_free(certificate->x509);
    free(certificate);
}

static void save(const struct stream_certificate *certificate, char *path)
{
    strcpy(path, "/tmp/rrdns-test-ca-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    FILE *file = fdopen(fd, "w");
    ck_assert_int_eq(PEM_write_X509(file, certificate->x509), 1);
    fclose(file);
}

void stream_certify(struct stream_certificates *certificates)
{
    static const char good[] = "DNS:dns.example,IP:127.0.0.1,IP:::1";
    struct stream_certificate *ca = certify("An authority", NULL, false, NULL);
    struct stream_certificate *other = certify("Another one", NULL, false, NULL);
    struct stream_certificate **kind = certificates->kind;
    kind[STREAM_GOOD] = certify("server", good, false, ca);
    kind[STREAM_NAME_ONLY] = certify("server", "DNS:dns.example", false, ca);
    kind[STREAM_EXPIRED] = certify("server", good, true, ca);
    kind[STREAM_SELF_SIGNED] = certify("server", good, false, NULL);
    kind[STREAM_STRANGE] = certify("server", good, false, other);
    save(ca, certificates->ca);
    save(other, certificates->strange);
    save(kind[STREAM_SELF_SIGNED], certificates->self);
    certificate_free(ca);
    certificate_free(other);
}

void stream_certificates_free(struct stream_certificates *certificates)
{
    for (size_t i = 0; i < STREAM_KINDS; i++) {
        certificate_free(certificates->kind[i]);
    }
    unlink(certificates->ca);
    unlink(certificates->strange);
    unlink(certificates->self);
}

/*
 * Sessions are kept by ourselves, one a server, instead of in OpenSSL's cache, which would have to
 * be searched by a key of our making. With TLS 1.3 tickets come after the handshake, so it is the
 * callback that keeps them; the last one is used, again where no newer one came (what RFC 8446
 * appendix C.4 says against that, that an onlooker sees it is the same client, he sees anyway).
 */
#include "net/tls.h"

#include <assert.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/tls_certificates.h"

struct tls_trust {
    _Atomic unsigned references;
    SSL_CTX *context; /* not changed once others see it: openssl-threads(7) on factories */
    uint8_t digest[TLS_DIGEST];
};

struct tls_session {
    SSL_SESSION *session; /* NULL: none yet */
    SSL_CTX *context;     /* that it was made under; a reference */
};

/* ---- Sessions ---- */

struct tls_session *tls_session_new(void)
{
    return calloc(1, sizeof(struct tls_session));
}

void tls_session_clear(struct tls_session *session)
{
    SSL_SESSION_free(session->session);
    SSL_CTX_free(session->context);
    *session = (struct tls_session){0};
}

void tls_session_free(struct tls_session *session)
{
    if (session != NULL) {
        tls_session_clear(session);
        free(session);
    }
}

/* OpenSSL calls this when a session can be resumed. 1: the reference is ours now. */
static int keep_session(SSL *ssl, SSL_SESSION *ticket)
{
    struct tls_session *session = SSL_get_app_data(ssl);
    if (session == NULL || SSL_CTX_up_ref(SSL_get_SSL_CTX(ssl)) != 1) {
        return 0;
    }
    tls_session_clear(session);
    *session = (struct tls_session){.session = ticket, .context = SSL_get_SSL_CTX(ssl)};
    return 1;
}

/* ---- Trust ---- */

static bool set_up(SSL_CTX *context)
{
    static const unsigned char dot[] = "\3dot";
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    /* Messages have their length, so who cuts a stream off can't make one of them shorter: an end
     * without a farewell is an end like another. */
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* 34 KB less for each idle connection */
    SSL_CTX_set_session_cache_mode(context,
                                   SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
           SSL_CTX_set_alpn_protos(context, dot, sizeof dot - 1) == 0;
}

int tls_trust_open(const char *file, struct tls_trust **out, const char **why)
{
    int error = RR_ENOMEM;
    struct tls_trust *trust = calloc(1, sizeof *trust);
    if (trust == NULL) {
        return error;
    }
    atomic_init(&trust->references, 1);
    trust->context = SSL_CTX_new(TLS_client_method());
    if (trust->context != NULL && set_up(trust->context)) {
        X509_STORE *store = SSL_CTX_get_cert_store(trust->context);
        error = tls_certificates_read(store, file, trust->digest, why);
    }
    if (error == 0 && file != NULL) {
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(trust->context), X509_V_FLAG_PARTIAL_CHAIN);
    }
    ERR_clear_error(); /* the thread's next call should not find what this one left */
    if (error != 0) {
        tls_trust_unref(trust);
        return error;
    }
    *out = trust;
    return 0;
}

struct tls_trust *tls_trust_ref(struct tls_trust *trust)
{
    atomic_fetch_add_explicit(&trust->references, 1, memory_order_relaxed);
    return trust;
}

void tls_trust_unref(struct tls_trust *trust)
{
    if (trust == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&trust->references, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1) {
        SSL_CTX_free(trust->context);
        free(trust);
    }
}

bool tls_trust_same(const struct tls_trust *a, const struct tls_trust *b)
{
    return memcmp(a->digest, b->digest, sizeof a->digest) == 0;
}

/* ---- Connections ---- */

/* What the certificate must hold. A name that is an address is looked for among its addresses. */
static bool expect(SSL *ssl, const char *name, const struct sockaddr *address)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (name != NULL) {
        X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        return X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1 ||
               (SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1);
    }
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        return X509_VERIFY_PARAM_set1_ip(param, v6->sin6_addr.s6_addr, 16) == 1;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
    return X509_VERIFY_PARAM_set1_ip(param, (const unsigned char *)&v4->sin_addr, 4) == 1;
}

/* The end of the line for a session that is not of this trust: what it says of the server was found
 * with other certificates. One that is refused here costs a whole handshake, nothing more. */
static void resume(SSL *ssl, const struct tls_session *session)
{
    if (session->session != NULL && session->context == SSL_get_SSL_CTX(ssl)) {
        (void)SSL_set_session(ssl, session->session);
    }
}

int tls_connect(const struct tls_trust *trust, struct tls_session *session, struct event_base *base,
                int fd, const char *name, const struct sockaddr *address, struct bufferevent **out)
{
    SSL *ssl = SSL_new(trust->context);
    int error = ssl == NULL ? RR_ENOMEM : expect(ssl, name, address) ? 0 : RR_EINVAL;
    if (error == 0 && SSL_set_fd(ssl, fd) != 1) {
        error = RR_ENOMEM;
    }
    if (error == 0) {
        SSL_set_app_data(ssl, session);
        resume(ssl, session);
    }
    ERR_clear_error();
    if (error != 0) {
        SSL_free(ssl);
        return error;
    }
    /* Where memory runs out in it, releases of libevent differ in whether they free ssl. */
    *out = bufferevent_openssl_socket_new(base, fd, ssl, BUFFEREVENT_SSL_CONNECTING,
                                          BEV_OPT_CLOSE_ON_FREE);
    return *out != NULL ? 0 : RR_ENOMEM;
}

/* libevent's list begins with what SSL_get_error said, which is no code of a library; OpenSSL's own
 * errors, and those of the system that it noted, are behind. */
const char *tls_failure(struct bufferevent *bufferevent)
{
    long verified = SSL_get_verify_result(bufferevent_openssl_get_ssl(bufferevent));
    if (verified != X509_V_OK) {
        return X509_verify_cert_error_string(verified);
    }
    const char *found = NULL;
    unsigned long error;
    while ((error = bufferevent_get_openssl_error(bufferevent)) != 0) {
        if (error != SSL_ERROR_SYSCALL && !ERR_SYSTEM_ERROR(error)) {
            const char *reason = ERR_reason_error_string(error);
            found = reason != NULL ? reason : found != NULL ? found : "TLS failed";
        }
    }
    return found;
}

void tls_close(struct bufferevent *bufferevent)
{
    SSL *ssl = bufferevent_openssl_get_ssl(bufferevent);
    SSL_set_app_data(ssl, NULL);
    bufferevent_disable(bufferevent, EV_READ | EV_WRITE);
    if (SSL_is_init_finished(ssl)) {
        /* Nothing is waited for. A session whose connection did not end like this, OpenSSL would
         * not resume. */
        SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
        (void)SSL_shutdown(ssl);
        SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        ERR_clear_error();
    }
    bufferevent_free(bufferevent);
}

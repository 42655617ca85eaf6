/*
 * One thread with a libevent loop. What other threads set are atomics; to kill it is to end the
 * thread and close all, to revive it to open the same ports again.
 */
#include "scripted.h"

#include <check.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "packet.h"
#include "scripted_answer.h"
#include "transport.h"

enum { MESSAGE_MAX = 65535, LOOPS = 256, BATCH = 32 };

struct connection {
    struct scripted *s;
    struct bufferevent *bev; /* NULL: its handshake has not begun */
    struct event *begin;
    int fd;
    enum scripted_way way;
    uint16_t port;
    LIST_ENTRY(connection) link;
};

/* Whom an answer goes to. */
struct asker {
    struct sockaddr_in address;
    struct connection *connection; /* NULL: UDP */
};

/* An answer that is to be sent later. */
struct late {
    struct scripted *s;
    struct event *timer;
    struct asker asker;
    enum scripted_action action;
    size_t size;
    LIST_ENTRY(late) link;
    uint8_t data[];
};

struct scripted {
    uint16_t port, tls_port;
    SSL_CTX *tls;
    bool running;

    pthread_t thread;
    struct event_base *base;
    int stop_fd, udp, elsewhere, loop;
    struct event *stop_event, *udp_event, *loop_event;
    struct evconnlistener *tcp_listener, *tls_listener;
    LIST_HEAD(, connection) connections;
    LIST_HEAD(, late) lates;
    struct {
        struct asker asker;
        uint16_t id;
    } looped[LOOPS];
    unsigned loops;

    atomic_bool silent, fails, authoritative;
    _Atomic uint8_t version;
    _Atomic uint16_t loop_port;
    atomic_uint handshake_ms, delay_ms, accepted;

    pthread_mutex_t lock; /* of what follows */
    uint64_t count;
    struct scripted_question *log;
    size_t logged, log_room;
};

/* ---- The log ---- */

static bool same_name(const struct scripted_question *a, const uint8_t *name, size_t size)
{
    return a->name_size == size &&
           strncasecmp((const char *)a->name, (const char *)name, size) == 0;
}

/* Returns how often the same was asked before. */
static unsigned note(struct scripted *s, const struct scripted_question *q, bool look)
{
    unsigned before = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; look && i < s->logged; i++) {
        before += s->log[i].type == q->type && same_name(&s->log[i], q->name, q->name_size);
    }
    if (s->logged == s->log_room && s->log_room < SCRIPTED_LOG_MAX) {
        size_t room = s->log_room == 0 ? 1000 : 2 * s->log_room;
        struct scripted_question *log = realloc(s->log, room * sizeof *log);
        s->log = log != NULL ? log : s->log;
        s->log_room = log != NULL ? room : s->log_room;
    }
    if (s->logged < s->log_room && s->logged < SCRIPTED_LOG_MAX) {
        s->log[s->logged++] = *q;
    }
    s->count++;
    pthread_mutex_unlock(&s->lock);
    return before;
}

uint64_t scripted_count(struct scripted *s)
{
    pthread_mutex_lock(&s->lock);
    uint64_t n = s->count;
    pthread_mutex_unlock(&s->lock);
    return n;
}

unsigned scripted_connections(struct scripted *s)
{
    return atomic_load(&s->accepted);
}

/* How many there are; the last one in *last. */
static unsigned find(struct scripted *s, const char *name, const char *type,
                     struct scripted_question *last)
{
    uint8_t wire[PACKET_NAME_MAX];
    size_t size = name_wire(name, wire);
    unsigned found = 0;
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->logged; i++) {
        const struct scripted_question *q = &s->log[i];
        if (same_name(q, wire, size) && (type == NULL || q->type == type_number(type))) {
            *last = *q;
            found++;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return found;
}

unsigned scripted_asked(struct scripted *s, const char *name, const char *type)
{
    struct scripted_question ignored;
    return find(s, name, type, &ignored);
}

struct scripted_question scripted_last(struct scripted *s, const char *name, const char *type)
{
    struct scripted_question last = {0};
    ck_assert_msg(find(s, name, type, &last) > 0, "upstream was not asked for %s", name);
    return last;
}

struct scripted_question *scripted_all(struct scripted *s, size_t *count)
{
    pthread_mutex_lock(&s->lock);
    struct scripted_question *all = malloc((s->logged + 1) * sizeof *all);
    *count = s->logged;
    if (all != NULL && s->logged > 0) {
        memcpy(all, s->log, s->logged * sizeof *all);
    }
    pthread_mutex_unlock(&s->lock);
    ck_assert_ptr_nonnull(all);
    return all;
}

void scripted_forget(struct scripted *s)
{
    pthread_mutex_lock(&s->lock);
    s->logged = 0;
    pthread_mutex_unlock(&s->lock);
}

/* ---- Answers ---- */

static void drop_connection(struct connection *c, bool reset)
{
    struct late *late, *next;
    for (late = LIST_FIRST(&c->s->lates); late != NULL; late = next) {
        next = LIST_NEXT(late, link);
        if (late->asker.connection == c) {
            LIST_REMOVE(late, link);
            event_free(late->timer);
            free(late);
        }
    }
    if (reset) {
        struct linger linger = {.l_onoff = 1, .l_linger = 0};
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    LIST_REMOVE(c, link);
    if (c->bev != NULL) {
        bufferevent_free(c->bev);
    } else {
        close(c->fd);
    }
    if (c->begin != NULL) {
        event_free(c->begin);
    }
    free(c);
}

static void send_framed(struct connection *c, const uint8_t *data, size_t size)
{
    uint8_t length[2] = {(uint8_t)(size >> 8), (uint8_t)size};
    bufferevent_write(c->bev, length, 2);
    bufferevent_write(c->bev, data, size);
}

static void on_written(struct bufferevent *bev, void *argument)
{
    (void)bev;
    drop_connection(argument, false);
}

static void say(struct scripted *s, const struct asker *asker, enum scripted_action action,
                const uint8_t *data, size_t size)
{
    if (asker->connection == NULL) {
        int fd = action == ACT_WRONGSOURCE ? s->elsewhere : s->udp;
        sendto(fd, data, size, MSG_DONTWAIT, (const struct sockaddr *)&asker->address,
               sizeof asker->address);
        return;
    }
    struct connection *c = asker->connection;
    switch (action) {
    case ACT_RESET:
        drop_connection(c, true);
        break;
    case ACT_HALF: {
        uint8_t half[2 + 20] = {(uint8_t)(size >> 8), (uint8_t)size};
        memcpy(half + 2, data, 20);
        bufferevent_setcb(c->bev, NULL, on_written, NULL, c);
        bufferevent_write(c->bev, half, sizeof half);
        break;
    }
    case ACT_STUCK:
        break;
    default:
        send_framed(c, data, size);
    }
}

static void on_late(evutil_socket_t fd, short what, void *argument)
{
    struct late *late = argument;
    (void)fd, (void)what;
    LIST_REMOVE(late, link);
    event_free(late->timer);
    say(late->s, &late->asker, late->action, late->data, late->size);
    free(late);
}

static void say_late(struct scripted *s, const struct asker *asker,
                     const struct scripted_script *script, const uint8_t *data, size_t size)
{
    struct late *late = malloc(sizeof *late + size);
    struct timeval tv = {.tv_sec = script->late_ms / 1000,
                         .tv_usec = script->late_ms % 1000 * 1000};
    if (late == NULL) {
        return;
    }
    *late = (struct late){.s = s, .asker = *asker, .action = script->action, .size = size};
    memcpy(late->data, data, size);
    late->timer = evtimer_new(s->base, on_late, late);
    event_add(late->timer, &tv);
    LIST_INSERT_HEAD(&s->lates, late, link);
}

/* Sends a question on as it is, but for its ID. */
static void pass_on(struct scripted *s, const struct asker *asker, const uint8_t *data, size_t size)
{
    uint8_t message[4096];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(atomic_load(&s->loop_port))};
    if (size > sizeof message || asker->connection != NULL) {
        return;
    }
    unsigned slot = s->loops++ % LOOPS;
    s->looped[slot].asker = *asker;
    s->looped[slot].id = (uint16_t)(data[0] << 8 | data[1]);
    memcpy(message, data, size);
    message[0] = 0;
    message[1] = (uint8_t)slot;
    sendto(s->loop, message, size, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
}

static void on_looped(evutil_socket_t fd, short what, void *argument)
{
    struct scripted *s = argument;
    uint8_t message[4096];
    (void)what;
    ssize_t size = recv(fd, message, sizeof message, MSG_DONTWAIT);
    if (size >= 12) {
        unsigned slot = message[1];
        message[0] = (uint8_t)(s->looped[slot].id >> 8);
        message[1] = (uint8_t)s->looped[slot].id;
        say(s, &s->looped[slot].asker, ACT_OK, message, (size_t)size);
    }
}

static void take(struct scripted *s, const struct asker *asker, enum scripted_way way,
                 uint16_t port, const uint8_t *data, size_t size)
{
    static _Thread_local uint8_t answer[MESSAGE_MAX + 64];
    struct scripted_question q;
    struct scripted_script script;
    if (!scripted_read(data, size, &q)) {
        return;
    }
    q.ms = clock_ms();
    q.way = way;
    q.port = port;
    scripted_words(&q, &script);
    unsigned before = note(s, &q, script.drop > 0);
    if (atomic_load(&s->silent) || script.action == ACT_SILENT || before < script.drop) {
        return;
    }
    if (script.action == ACT_LOOP) {
        pass_on(s, asker, data, size);
        return;
    }
    struct scripted_mood mood = {.version = atomic_load(&s->version),
                                 .authoritative = atomic_load(&s->authoritative),
                                 .fails = atomic_load(&s->fails)};
    size_t length = scripted_compose(&q, &script, &mood, answer);
    script.late_ms += atomic_load(&s->delay_ms);
    if (script.late_ms > 0) {
        say_late(s, asker, &script, answer, length);
        return;
    }
    if (script.action == ACT_TWICE) {
        say(s, asker, ACT_OK, answer, length);
    }
    say(s, asker, script.action, answer, length);
}

/* ---- Sockets ---- */

static void on_udp(evutil_socket_t fd, short what, void *argument)
{
    static _Thread_local uint8_t room[BATCH][2048];
    struct scripted *s = argument;
    struct asker askers[BATCH] = {0};
    struct iovec iov[BATCH];
    struct mmsghdr messages[BATCH] = {0};
    (void)what;
    for (unsigned i = 0; i < BATCH; i++) {
        iov[i] = (struct iovec){.iov_base = room[i], .iov_len = sizeof room[i]};
        messages[i].msg_hdr = (struct msghdr){.msg_name = &askers[i].address,
                                              .msg_namelen = sizeof askers[i].address,
                                              .msg_iov = &iov[i],
                                              .msg_iovlen = 1};
    }
    int got = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++) {
        take(s, &askers[i], BY_UDP, ntohs(askers[i].address.sin_port), room[i],
             messages[i].msg_len);
    }
}

/* Whether c is still there: an answer may have ended it. */
static bool is_connection(const struct scripted *s, const struct connection *c)
{
    const struct connection *other;
    LIST_FOREACH(other, &s->connections, link)
    {
        if (other == c) {
            return true;
        }
    }
    return false;
}

static void on_stream(struct bufferevent *bev, void *argument)
{
    struct connection *c = argument;
    struct scripted *s = c->s;
    struct evbuffer *input = bufferevent_get_input(bev);
    while (is_connection(s, c) && evbuffer_get_length(input) >= 2) {
        uint8_t head[2], message[4096];
        evbuffer_copyout(input, head, 2);
        size_t size = (size_t)(head[0] << 8 | head[1]);
        if (evbuffer_get_length(input) < 2 + size || size > sizeof message) {
            return;
        }
        evbuffer_drain(input, 2);
        evbuffer_remove(input, message, size);
        take(s, &(struct asker){.connection = c}, c->way, c->port, message, size);
    }
}

static void on_stream_event(struct bufferevent *bev, short what, void *argument)
{
    (void)bev;
    if ((what & (BEV_EVENT_EOF | BEV_EVENT_ERROR | BEV_EVENT_TIMEOUT)) != 0) {
        drop_connection(argument, false);
    }
}

static void begin_stream(evutil_socket_t fd, short what, void *argument)
{
    struct connection *c = argument;
    (void)fd, (void)what;
    if (c->way == BY_TLS) {
        c->bev = bufferevent_openssl_socket_new(c->s->base, c->fd, SSL_new(c->s->tls),
                                                BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
        bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
    } else {
        c->bev = bufferevent_socket_new(c->s->base, c->fd, BEV_OPT_CLOSE_ON_FREE);
    }
    bufferevent_setcb(c->bev, on_stream, NULL, on_stream_event, c);
    bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int size, void *argument)
{
    struct scripted *s = argument;
    struct connection *c = calloc(1, sizeof *c);
    (void)size;
    if (c == NULL) {
        close(fd);
        return;
    }
    atomic_fetch_add(&s->accepted, 1);
    c->s = s;
    c->fd = fd;
    c->way = listener == s->tls_listener ? BY_TLS : BY_TCP;
    c->port = ntohs(((struct sockaddr_in *)from)->sin_port);
    LIST_INSERT_HEAD(&s->connections, c, link);
    unsigned ms = atomic_load(&s->handshake_ms);
    if (c->way == BY_TLS && ms > 0) {
        struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
        c->begin = evtimer_new(s->base, begin_stream, c);
        event_add(c->begin, &tv);
    } else {
        begin_stream(fd, 0, c);
    }
}

static int open_udp(uint16_t port)
{
    struct sockaddr_in own = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), size = 4 << 20;
    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    ck_assert_msg(bind(fd, (struct sockaddr *)&own, sizeof own) == 0, "port %u is taken", port);
    return fd;
}

static struct evconnlistener *listen_at(struct scripted *s, uint16_t port)
{
    struct sockaddr_in own = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    struct evconnlistener *listener = evconnlistener_new_bind(
        s->base, on_accept, s, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
        1024, (struct sockaddr *)&own, sizeof own);
    ck_assert_msg(listener != NULL, "port %u is taken", port);
    return listener;
}

static void on_stop(evutil_socket_t fd, short what, void *argument)
{
    struct scripted *s = argument;
    (void)fd, (void)what;
    event_base_loopbreak(s->base);
}

static void *run(void *argument)
{
    struct scripted *s = argument;
    event_base_dispatch(s->base);
    return NULL;
}

static struct event *watch(struct scripted *s, int fd, event_callback_fn callback)
{
    struct event *event = event_new(s->base, fd, EV_READ | EV_PERSIST, callback, s);
    ck_assert(event != NULL && event_add(event, NULL) == 0);
    return event;
}

/* ---- Beginning and end ---- */

void scripted_revive(struct scripted *s)
{
    ck_assert(!s->running);
    s->base = event_base_new();
    ck_assert_ptr_nonnull(s->base);
    s->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->udp = open_udp(s->port);
    s->elsewhere = open_udp(0);
    s->loop = open_udp(0);
    s->stop_event = watch(s, s->stop_fd, on_stop);
    s->udp_event = watch(s, s->udp, on_udp);
    s->loop_event = watch(s, s->loop, on_looped);
    s->tcp_listener = listen_at(s, s->port);
    s->tls_listener = s->tls != NULL ? listen_at(s, s->tls_port) : NULL;
    ck_assert_int_eq(pthread_create(&s->thread, NULL, run, s), 0);
    s->running = true;
}

void scripted_kill(struct scripted *s)
{
    uint64_t one = 1;
    ck_assert(s->running);
    ck_assert_int_eq(write(s->stop_fd, &one, sizeof one), sizeof one);
    pthread_join(s->thread, NULL);
    s->running = false;
    while (!LIST_EMPTY(&s->connections)) {
        drop_connection(LIST_FIRST(&s->connections), true);
    }
    while (!LIST_EMPTY(&s->lates)) {
        struct late *late = LIST_FIRST(&s->lates);
        LIST_REMOVE(late, link);
        event_free(late->timer);
        free(late);
    }
    evconnlistener_free(s->tcp_listener);
    if (s->tls_listener != NULL) {
        evconnlistener_free(s->tls_listener);
    }
    event_free(s->stop_event);
    event_free(s->udp_event);
    event_free(s->loop_event);
    event_base_free(s->base);
    close(s->stop_fd);
    close(s->udp);
    close(s->elsewhere);
    close(s->loop);
}

struct scripted *scripted_begin(const char *certificate, const char *key)
{
    struct scripted *s = calloc(1, sizeof *s);
    ck_assert_ptr_nonnull(s);
    pthread_mutex_init(&s->lock, NULL);
    s->port = free_port();
    s->version = 1;
    if (certificate != NULL) {
        s->tls_port = free_port();
        s->tls = SSL_CTX_new(TLS_server_method());
        ck_assert(s->tls != NULL &&
                  SSL_CTX_use_certificate_file(s->tls, certificate, SSL_FILETYPE_PEM) == 1 &&
                  SSL_CTX_use_PrivateKey_file(s->tls, key, SSL_FILETYPE_PEM) == 1);
    }
    scripted_revive(s);
    return s;
}

void scripted_end(struct scripted *s)
{
    if (s == NULL) {
        return;
    }
    if (s->running) {
        scripted_kill(s);
    }
    SSL_CTX_free(s->tls);
    pthread_mutex_destroy(&s->lock);
    free(s->log);
    free(s);
}

uint16_t scripted_port(const struct scripted *s)
{
    return s->port;
}

uint16_t scripted_tls_port(const struct scripted *s)
{
    return s->tls_port;
}

/* ---- How it is ---- */

void scripted_silence(struct scripted *s, bool silent)
{
    atomic_store(&s->silent, silent);
}

void scripted_delay(struct scripted *s, unsigned ms)
{
    atomic_store(&s->delay_ms, ms);
}

void scripted_servfail(struct scripted *s, bool fails)
{
    atomic_store(&s->fails, fails);
}

void scripted_version(struct scripted *s, uint8_t version)
{
    atomic_store(&s->version, version);
}

void scripted_authoritative(struct scripted *s, bool is)
{
    atomic_store(&s->authoritative, is);
}

void scripted_loop(struct scripted *s, uint16_t port)
{
    atomic_store(&s->loop_port, port);
}

void scripted_handshake(struct scripted *s, unsigned ms)
{
    atomic_store(&s->handshake_ms, ms);
}

const char *scripted_text(const char *name, const char *type, uint8_t version)
{
    uint8_t wire[PACKET_NAME_MAX], rdata[SCRIPTED_RDATA_MAX];
    size_t size = name_wire(name, wire);
    uint16_t number = type_number(type);
    size_t got = scripted_rdata(wire, size, number, version, 0, rdata);
    ck_assert_uint_gt(got, 0);
    ldns_rr *rr = ldns_rr_new();
    ldns_rdf *owner = ldns_dname_new_frm_str(name);
    ldns_rr_set_owner(rr, owner);
    ldns_rr_set_type(rr, (ldns_rr_type)number);
    ldns_rdf_type kind = number == 1    ? LDNS_RDF_TYPE_A
                         : number == 28 ? LDNS_RDF_TYPE_AAAA
                         : number == 16 ? LDNS_RDF_TYPE_STR
                                        : LDNS_RDF_TYPE_UNKNOWN;
    ldns_rr_push_rdf(rr, ldns_rdf_new_frm_data(kind, got, rdata));
    const char *fields = record_text(rr);
    for (unsigned i = 0; i < 4; i++) {
        fields += strcspn(fields, "\t");
        fields += *fields == '\t';
    }
    const char *text = format_text("NOERROR %s", fields);
    ldns_rr_free(rr);
    return text;
}

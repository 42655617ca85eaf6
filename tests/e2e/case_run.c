/*
 * Every answer is held against all that the case says and against what every answer must keep to
 * (packet_read; header bits; the question's octets; the OPT). Counters too: what can be known of
 * a query and its answer is expected of them unasked, and of the others that they stay as they
 * were, so that a wrong path with a right answer is found.
 */
#include "case_run.h"

#include <check.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "harness.h"
#include "transport.h"

enum {
    QUERY_ROOM = 70000,
    UDP_SIZE = 1232, /* what the server advertises unless configured */
    FLAG_AA = 0x0400,
    FLAG_TC = 0x0200,
    COOKIE_CLIENT_SIZE = 8,
    COOKIE_WHOLE = 24,
    /* A question that any server refuses and that no zone's counter sees: class HS. */
    PROBE_CLASS = 4,
};

static const char *const transport_names[] = {
    [UDP4] = "udp4", [UDP6] = "udp6", [TCP4] = "tcp4", [TCP6] = "tcp6"};

/* One run of a case. */
struct run {
    struct daemon *daemon;
    const struct test_case *c;
    enum transport transport;
    bool stream;
    uint8_t query[QUERY_ROOM];
    size_t query_size;
    uint8_t cookie[COOKIE_WHOLE]; /* sent */
    size_t cookie_size;
    size_t probe_size, probe_answer; /* octets, where silence was proved by a probe */
    uint8_t answer[MESSAGE_ROOM];
    size_t answer_size;
    struct packet packet;
};

static struct run run;
static json_t *stats;                        /* after the last run */
static uint8_t last_cookie[2][COOKIE_WHOLE]; /* by family */

void case_run_reset(void)
{
    json_decref(stats);
    stats = NULL;
}

static _Noreturn void differs(const char *format, ...) __attribute__((format(printf, 1, 2)));
static _Noreturn void differs(const char *format, ...)
{
    char reason[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    case_run_reset();
    const char *text = run.packet.data != NULL ? packet_text(&run.packet) : "";
    ck_abort_msg("%s:%u: %s [%s]: %s\n%s", run.c->file->path, run.c->line, run.c->title,
                 transport_names[run.transport], reason, text);
    abort();
}

/* ---- The query ---- */

static void add_cookie(struct query_spec *query)
{
    const uint8_t *kept = last_cookie[run.transport == UDP6 || run.transport == TCP6];
    run.cookie_size = run.c->cookie == COOKIE_FRESH ? COOKIE_CLIENT_SIZE : COOKIE_WHOLE;
    if (run.c->cookie == COOKIE_FRESH) {
        ck_assert_int_eq(getrandom(run.cookie, COOKIE_CLIENT_SIZE, 0), COOKIE_CLIENT_SIZE);
    } else {
        memcpy(run.cookie, kept, COOKIE_WHOLE);
    }
    if (run.c->cookie == COOKIE_FORGED) {
        run.cookie[COOKIE_WHOLE - 1] ^= 1;
    }
    query_add_option(query, 10, run.cookie, run.cookie_size);
}

/* The first cookie among the options as the case has them. */
static void note_cookie(const struct query_spec *query)
{
    const struct packet options = {.options = query->options, .options_size = query->options_size};
    size_t size;
    const uint8_t *data = packet_option(&options, 10, &size);
    if (data != NULL && size >= COOKIE_CLIENT_SIZE) {
        memcpy(run.cookie, data, COOKIE_CLIENT_SIZE);
        run.cookie_size = COOKIE_CLIENT_SIZE;
    }
}

static void make_query(void)
{
    run.cookie_size = 0;
    if (run.c->raw) {
        ck_assert_uint_le(run.c->message_size, sizeof run.query);
        if (run.c->message_size > 0) { /* an empty datagram is a case too */
            memcpy(run.query, run.c->message, run.c->message_size);
        }
        run.query_size = run.c->message_size;
        return;
    }
    struct query_spec query = run.c->query;
    if (run.c->cookie != COOKIE_NONE) {
        add_cookie(&query);
    } else {
        note_cookie(&query);
    }
    run.query_size = query_write(&query, random_id(), run.query);
}

/* ---- The exchange ---- */

static int open_client(void)
{
    const char *address = run.transport == UDP6 || run.transport == TCP6 ? "::1" : "127.0.0.1";
    return run.stream ? tcp_open(NULL, address, run.daemon->port)
                      : udp_open(NULL, address, run.daemon->port);
}

static void send_message(int fd, const uint8_t *message, size_t size)
{
    if (run.stream) {
        tcp_send(fd, message, size);
    } else if (send(fd, message, size, MSG_NOSIGNAL) != (ssize_t)size) { /* of 0 octets too */
        differs("send: %s", strerror(errno));
    }
}

static ssize_t receive_message(int fd)
{
    int ms = harness_patience_ms();
    return run.stream ? tcp_receive(fd, run.answer, ms)
                      : receive(fd, run.answer, sizeof run.answer, ms);
}

/*
 * That nothing comes is not waited for: a second query of the same socket, which the same worker
 * serves after the first one, is answered first.
 */
static void send_probe(int fd)
{
    uint8_t probe[64];
    struct query_spec query = query_for(".", "A");
    query.class = PROBE_CLASS;
    uint16_t id = (uint16_t) ~(run.query_size >= 2 ? run.query[0] << 8 | run.query[1] : 0);
    run.probe_size = query_write(&query, id, probe);
    send_message(fd, probe, run.probe_size);
    ssize_t got = receive_message(fd);
    if (got < 12) {
        differs("nothing was to be answered, and the query after it was not either");
    }
    if (run.answer[0] != probe[0] || run.answer[1] != probe[1]) {
        run.packet.data = run.answer;
        run.packet.size = (size_t)got;
        differs("answered, and should not be");
    }
    run.probe_answer = (size_t)got;
    run.answer_size = 0;
}

static void exchange(void)
{
    int fd = open_client();
    run.probe_size = run.probe_answer = 0;
    send_message(fd, run.query, run.query_size);
    if (run.c->silent) {
        send_probe(fd);
        close(fd);
        return;
    }
    ssize_t got = receive_message(fd);
    close(fd);
    if (got <= 0) {
        differs("no answer");
    }
    run.answer_size = (size_t)got;
}

/* ---- Header, question, OPT ---- */

static unsigned query_opcode(void)
{
    return run.query_size > 2 ? run.query[2] >> 3 & 0xfu : 0;
}

static const char *flags_text(unsigned flags)
{
    static char texts[2][64];
    static unsigned next;
    static const struct {
        unsigned bit;
        const char *text;
    } names[] = {{0x8000, "qr"}, {0x0400, "aa"}, {0x0200, "tc"}, {0x0100, "rd"},
                 {0x0080, "ra"}, {0x0040, "z"},  {0x0020, "ad"}, {0x0010, "cd"}};
    char *text = texts[next++ % 2];
    text[0] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((flags & names[i].bit) != 0) {
            strcat(strcat(text, text[0] != '\0' ? " " : ""), names[i].text);
        }
    }
    return text;
}

static void check_header(void)
{
    const struct packet *p = &run.packet;
    const struct test_case *c = run.c;
    if (memcmp(run.answer, run.query, 2) != 0) {
        differs("the ID is not the query's");
    }
    if (p->rcode != c->rcode) {
        differs("RCODE is %s (%u), not %s", rcode_text(p->rcode), p->rcode, rcode_text(c->rcode));
    }
    unsigned opcode = p->flags >> 11 & 0xf;
    unsigned wanted = c->opcode >= 0 ? (unsigned)c->opcode : query_opcode();
    if (opcode != wanted) {
        differs("the opcode is %u, not %u", opcode, wanted);
    }
    unsigned flags = p->flags & 0x87f0;
    if (flags != (0x8000u | c->flags)) {
        differs("flags are \"%s\", not \"%s\"", flags_text(flags), flags_text(0x8000u | c->flags));
    }
    if (c->size != 0 && run.answer_size != c->size) {
        differs("%zu octets, not %zu", run.answer_size, c->size);
    }
}

static void check_question(void)
{
    const struct test_case *c = run.c;
    const uint8_t *want = c->question_given ? c->question : run.query + 12;
    size_t size = c->question_size;
    if (!c->question_given) {
        size = 12;
        while (size < run.query_size && run.query[size] != 0) {
            size += 1u + run.query[size];
        }
        size = size + 5 - 12;
    }
    unsigned questions = size > 0;
    if (run.packet.questions != questions) {
        differs("QDCOUNT is %u, not %u", run.packet.questions, questions);
    }
    if (run.packet.question_end != 12 + size || memcmp(run.answer + 12, want, size) != 0) {
        differs("the question is not echoed octet by octet");
    }
}

static const struct expected_option *expected_option(uint16_t code)
{
    for (size_t i = 0; i < run.c->options_count; i++) {
        if (run.c->options[i].code == code) {
            return &run.c->options[i];
        }
    }
    return NULL;
}

static void check_cookie(const uint8_t *data, size_t size)
{
    if (size != COOKIE_WHOLE) {
        differs("a cookie of %zu octets", size);
    }
    if (run.cookie_size != 0 && memcmp(data, run.cookie, COOKIE_CLIENT_SIZE) != 0) {
        differs("the client's cookie does not come back");
    }
    if (memcmp(data + COOKIE_CLIENT_SIZE, "\1\0\0\0", 4) != 0) {
        differs("the server cookie is not of RFC 9018's form");
    }
    if (run.c->cookie == COOKIE_LAST && memcmp(data, run.cookie, size) != 0) {
        differs("a good cookie is exchanged for another");
    }
    memcpy(last_cookie[run.transport == UDP6 || run.transport == TCP6], data, COOKIE_WHOLE);
}

static void check_option(uint16_t code, const uint8_t *data, size_t size)
{
    const struct expected_option *want = expected_option(code);
    if (want == NULL) {
        differs("an option %u that nobody expects", code);
    }
    long number = size >= 2 ? data[0] << 8 | data[1] : -1;
    switch (code) {
    case 10:
        check_cookie(data, size);
        return;
    case 11:
        if (size != 2 || number != want->number) {
            differs("keepalive is %ld, not %ld", number, want->number);
        }
        return;
    case 15:
        if (number != want->number) {
            differs("the extended error is %ld, not %ld", number, want->number);
        }
        data += 2;
        size -= 2;
        break;
    default:
        break;
    }
    if (want->text != NULL && (size != strlen(want->text) || memcmp(data, want->text, size) != 0)) {
        differs("option %u says \"%.*s\", not \"%s\"", code, (int)size, (const char *)data,
                want->text);
    }
}

static void check_edns(void)
{
    const struct packet *p = &run.packet;
    const struct test_case *c = run.c;
    bool wanted = c->edns >= 0 ? c->edns != 0 : run.cookie_size > 0 || c->query.edns;
    if (p->opts != wanted) {
        differs(wanted ? "no OPT" : "an OPT where the query had none");
    }
    if (!wanted) {
        return;
    }
    if (p->edns_version != 0 || p->edns_size != UDP_SIZE) {
        differs("EDNS version %u, UDP size %u", p->edns_version, p->edns_size);
    }
    if (!c->raw && p->edns_flags != (c->query.edns_flags & 0x8000)) {
        differs("EDNS flags are %04x", p->edns_flags);
    }
    size_t found = 0;
    for (size_t at = 0; at < p->options_size; found++) {
        const uint8_t *option = p->options + at;
        size_t size = (size_t)option[2] << 8 | option[3];
        check_option((uint16_t)(option[0] << 8 | option[1]), option + 4, size);
        at += 4 + size;
    }
    if (found != c->options_count) {
        differs("%zu options, not %zu", found, c->options_count);
    }
}

/* ---- Sections ---- */

static const char *const section_names[] = {"answer", "authority", "additional"};

/* Whether two records in text are of one RRset. */
static bool one_rrset(const char *a, const char *b)
{
    for (unsigned field = 0; field < 4; field++) { /* owner TTL class type */
        size_t size = strcspn(a, "\t");
        if (strcspn(b, "\t") != size || strncasecmp(a, b, size) != 0) {
            return false;
        }
        a += size + (a[size] != '\0');
        b += size + (b[size] != '\0');
    }
    return true;
}

/*
 * How far a record expected at position i may stand from there: anywhere in its RRset in the
 * answer section, anywhere in the others.
 */
static bool may_swap(enum section section, const struct strings *want, size_t i, size_t j)
{
    if (run.c->ordered) {
        return i == j;
    }
    return section != SECTION_ANSWER || one_rrset(want->text[i], want->text[j]);
}

static void check_section(enum section section)
{
    const struct strings *want = &run.c->section[section];
    const ldns_rr_list *list = packet_section(&run.packet, section);
    size_t count = ldns_rr_list_rr_count(list);
    if (run.c->records[section] >= 0) { /* by the header: ldns hides a TSIG */
        long has = run.packet.records[section];
        has -= section == SECTION_ADDITIONAL ? (long)run.packet.opts : 0;
        if (has != run.c->records[section]) {
            differs("%ld records in %s, not %ld", has, section_names[section],
                    run.c->records[section]);
        }
        return;
    }
    bool *found = calloc(want->count + 1, sizeof *found);
    for (size_t i = 0; i < count; i++) {
        const char *text = record_text(ldns_rr_list_rr(list, i));
        size_t j = 0;
        while (j < want->count && (found[j] || strcmp(want->text[j], text) != 0)) {
            j++;
        }
        if (j == want->count) {
            free(found);
            differs("not expected in %s: %s", section_names[section], text);
        }
        found[j] = true;
        if (i < want->count && !may_swap(section, want, i, j)) {
            free(found);
            differs("out of order in %s: %s", section_names[section], text);
        }
    }
    for (size_t j = 0; j < want->count; j++) {
        if (!found[j]) {
            free(found);
            differs("missing in %s: %s", section_names[section], want->text[j]);
        }
    }
    free(found);
}

static void check_answer(void)
{
    const char *bad = packet_read(&run.packet, run.answer, run.answer_size);
    if (bad != NULL) {
        differs("%s", bad);
    }
    check_header();
    check_question();
    check_edns();
    for (int section = 0; section < SECTIONS; section++) {
        check_section((enum section)section);
    }
}

/* ---- Counters ---- */

struct expectation {
    const char *counter;
    int64_t delta;
};

/* What a query and its answer must do to the counters that are not spoken of. */
static size_t expect_counters(struct expectation *e)
{
    const struct test_case *c = run.c;
    static const char *const queries[] = {[UDP4] = "queries_udp4",
                                          [UDP6] = "queries_udp6",
                                          [TCP4] = "queries_tcp4",
                                          [TCP6] = "queries_tcp6"};
    bool answered = !c->silent, probed = c->silent;
    bool authoritative = answered && (c->flags & FLAG_AA) != 0;
    bool edns = answered && run.packet.opts > 0;
    bool data = answered && run.packet.records[SECTION_ANSWER] > 0;
    int64_t frame = run.stream ? 2 : 0;
    int64_t received = (int64_t)run.query_size + frame;
    int64_t sent = answered ? (int64_t)run.answer_size + frame : 0;
    if (probed) {
        received += (int64_t)run.probe_size + frame;
        sent += (int64_t)run.probe_answer + frame;
    }
    size_t n = 0;
    for (size_t t = 0; t < TRANSPORTS; t++) {
        e[n++] = (struct expectation){queries[t], t == run.transport ? 1 + probed : 0};
    }
    e[n++] = (struct expectation){"answers_udp", !run.stream};
    e[n++] = (struct expectation){"answers_tcp", run.stream};
    e[n++] = (struct expectation){"bytes_received_udp", run.stream ? 0 : received};
    e[n++] = (struct expectation){"bytes_received_tcp", run.stream ? received : 0};
    e[n++] = (struct expectation){"bytes_sent_udp", run.stream ? 0 : sent};
    e[n++] = (struct expectation){"bytes_sent_tcp", run.stream ? sent : 0};
    e[n++] = (struct expectation){"tcp_accepted", run.stream};
    e[n++] = (struct expectation){"queries_edns", edns};
    e[n++] = (struct expectation){"queries_do", edns && (run.packet.edns_flags & 0x8000) != 0};
    e[n++] = (struct expectation){"answers_truncated", answered && (c->flags & FLAG_TC) != 0};
    e[n++] = (struct expectation){"answers_authoritative", authoritative};
    e[n++] = (struct expectation){"answers_nodata", authoritative && !data && c->rcode == 0 &&
                                                        (c->flags & FLAG_TC) == 0};
    static const char *const still[] = {"answers_referral",  "answers_wildcard", "chain_links",
                                        "dropped_short",     "dropped_response", "dropped_send",
                                        "dropped_truncated", "cookies_client",   "cookies_valid",
                                        "cookies_invalid",   "tcp_malformed",    "tcp_reset",
                                        "tcp_refused",       "tcp_evicted"};
    for (size_t i = 0; i < sizeof still / sizeof still[0]; i++) {
        e[n++] = (struct expectation){still[i], 0};
    }
    static char rcode[32];
    snprintf(rcode, sizeof rcode, "rcode.%s", c->silent ? "REFUSED" : rcode_text(c->rcode));
    e[n++] = (struct expectation){rcode, 1};
    for (size_t i = 0; i < c->counts_count; i++) {
        size_t at = 0;
        while (at < n && strcmp(e[at].counter, c->counts[i].counter) != 0) {
            at++;
        }
        e[at] = (struct expectation){c->counts[i].counter, c->counts[i].delta};
        n += at == n;
    }
    return n;
}

/* The last octets are counted after they were sent, so the numbers may come a little later. */
static void check_counters(void)
{
    struct expectation expected[64];
    size_t count = expect_counters(expected);
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms() / 4;
    for (;;) {
        json_t *now = control_stats(run.daemon);
        const struct expectation *wrong = NULL;
        int64_t delta = 0;
        for (size_t i = 0; i < count && wrong == NULL; i++) {
            delta =
                counter_value(now, expected[i].counter) - counter_value(stats, expected[i].counter);
            wrong = delta != expected[i].delta ? &expected[i] : NULL;
        }
        if (wrong == NULL) {
            json_decref(stats);
            stats = now;
            return;
        }
        json_decref(now);
        if (clock_ms() >= end) {
            differs("counter %s went up by %lld, not %lld", wrong->counter, (long long)delta,
                    (long long)wrong->delta);
        }
    }
}

/* ---- The case ---- */

static void run_once(uint8_t *first, size_t *first_size, unsigned repetition)
{
    make_query();
    exchange();
    if (!run.c->silent) {
        check_answer();
    }
    check_counters();
    packet_free(&run.packet);
    /* Repeated, an answer is to be the same octet by octet but for its ID. */
    if (repetition == 0) {
        *first_size = run.answer_size;
        memcpy(first, run.answer, run.answer_size);
    } else if (run.answer_size != *first_size ||
               (run.answer_size > 2 && memcmp(run.answer + 2, first + 2, *first_size - 2) != 0)) {
        differs("repetition %u is answered otherwise", repetition);
    }
}

void case_run(struct daemon *daemon, const struct test_case *c)
{
    static uint8_t first[MESSAGE_ROOM];
    size_t first_size = 0;
    if (stats == NULL) {
        stats = control_stats(daemon);
    }
    for (int t = 0; t < TRANSPORTS; t++) {
        bool v6 = t == UDP6 || t == TCP6;
        if (!c->over[t] || (v6 && !have_ipv6())) {
            continue;
        }
        run.daemon = daemon;
        run.c = c;
        run.transport = (enum transport)t;
        run.stream = t == TCP4 || t == TCP6;
        run.packet = (struct packet){0};
        for (unsigned i = 0; i < c->repeat; i++) {
            run_once(first, &first_size, i);
        }
    }
}

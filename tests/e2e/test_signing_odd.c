/*
 * Signed zones that are not as most are: the root, an apex with a DNAME, an apex with a wildcard, a
 * name with capitals, every record type. One after another with each kind of denial, by the same
 * keys, as validators see them that know the root's key alone.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "harness.h"
#include "packet.h"
#include "resolver.h"
#include "transport.h"

enum { COMPACT, NSEC, NSEC3, MODES };
static const char *const modes[MODES] = {"compact", "nsec", "nsec3"};

enum { ROOT, DNAME, STAR, TYPES, CAPITALS, SIGNED, ORPHAN = SIGNED, ZONES };

static struct zone_keys zones[ZONES];

#define APEX "$TTL 3600\n@ SOA ns.odd. Host.odd. 1 7200 900 86400 300\n@ NS ns.Odd.\n"

static const struct {
    const char *name, *text;
} texts[ZONES] = {
    [ROOT] = {".", APEX "ns.odd. A 192.0.2.1\nhost A 192.0.2.2\n*.wild A 192.0.2.3\n"
                        "Alias CNAME WWW.Types.\nb.ent A 192.0.2.4\n\\255 A 192.0.2.5\n"
                        "dname NS ns.odd.\nstar NS ns.odd.\ntypes NS ns.odd.\n"
                        "Capitals NS ns.odd.\norphan NS ns.odd.\n"},
    [DNAME] = {"dname.", APEX "@ DNAME star.\n@ TXT apex\n"},
    [STAR] = {"star.", APEX "* A 192.0.2.6\n* MX 10 *\n* MX 20 Mail\n* HTTPS 1 . alpn=h2\n"
                            "Mail A 192.0.2.7\na.b A 192.0.2.8\n*.b TXT below\n"
                            "*.c CNAME *.d\n*.d A 192.0.2.9\n"},
    [TYPES] = {"types.", APEX
               "www A 192.0.2.10\nwww AAAA 2001:db8::1\n"
               "a MD X.types.\na MF X.types.\na MB X.types.\na MG X.types.\na MR X.types.\n"
               "a PTR X.types.\na PTR B.types.\na PTR a.types.\na HINFO Cpu Os\n"
               "a MINFO X.types. Y.types.\na MX 1 Www\na MX 1 A\na MX 1 Longer.Name\n"
               "a RP X.types. Y.types.\na AFSDB 1 X.types.\na X25 123\na ISDN 1 2\n"
               "a RT 1 X.types.\na KEY 256 3 13 AAAA\na PX 1 X.types. Y.types.\n"
               "a LOC 0 0 0 N 0 0 0 E 0m\na SRV 1 2 3 X.types.\na SRV 1 2 3 A\n"
               "a NAPTR 1 1 u S \"\" X.types.\na KX 1 X.types.\na CERT 1 1 1 AAAA\n"
               "a APL 1:192.0.2.0/24\na SSHFP 1 1 000102030405060708090a0b0c0d0e0f10111213\na DHCID AAAA\na TLSA 1 1 1 0123\n"
               "a SMIMEA 1 1 1 0123\na OPENPGPKEY AAAA\na CSYNC 1 3 A NS\na SPF spf\n"
               "a SVCB 1 X.types.\na HTTPS 1 X.types. alpn=h2 port=443\na HTTPS 2 x.types.\n"
               "a NID 1 0014:4fff:ff20:ee64\na L32 1 192.0.2.1\na LP 1 X.types.\n"
               "a EUI48 00-00-5e-00-53-2a\na URI 1 1 \"https://X\"\na CAA 0 issue Ca\n"
               "a TYPE65281 \\# 4 41424344\na TYPE65281 \\# 3 414243\na TXT B\na TXT b\n"
               "a TXT \"\"\n"
               "same MX 1 X\nsame MX 1 x\nsame TXT one\nsame TXT one\n"
               "srv SRV 1 1 1 X\nsrv SRV 1 1 1 x\n"
               "dn DNAME Star.\nlong DNAME "
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa."
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.star.\n"
               "@ NSEC3PARAM 1 0 5 ab\n@ CDS 0 0 0 00\n@ NSEC x A\n" /* left of another's signing */
               "stray A 192.0.2.15\nstray NSEC x MX\n"
               "stray CDS 0 0 0 00\n"
               "loop CNAME loop2\nloop2 CNAME loop\n"
               "c1 CNAME c2\nc2 CNAME c3\nc3 CNAME c4\nc4 CNAME c5\nc5 CNAME c6\nc6 CNAME x.none\n"},
    [CAPITALS] = {"Capitals.", APEX "WWW A 192.0.2.11\nB.Ent A 192.0.2.12\n*.Wild A 192.0.2.13\n"
                                    "Alias CNAME wWw\n"},
    [ORPHAN] = {"orphan.", APEX "www A 192.0.2.14\n"},
};

/* ---- The zones ---- */

static void write_zones(unsigned version)
{
    for (size_t i = 0; i < ZONES; i++) {
        const char *more = "";
        for (size_t j = 0; i == ROOT && j < SIGNED; j++) {
            more = format_text("%s%s\n", more, j != ROOT ? zones[j].ds : "");
        }
        file_printf(format_text("%s/files/%zu", server.dir, i), "%s%sversion TXT %u\n",
                    texts[i].text, more, version);
    }
}

static void configure(size_t mode)
{
    const char *list = "";
    for (size_t i = 0; i < ZONES; i++) {
        list = format_text("%s%s{\"name\": \"%s\", \"file\": \"files/%zu\"%s}", list,
                           i > 0 ? ", " : "", texts[i].name, i,
                           i < SIGNED ? ", \"dnssec\": \"all\"" : "");
    }
    daemon_configure(&server, format_text("{\"zones\": [%s], \"dnssec\": {\"all\": "
                                          "{\"denial\": \"%s\", \"algorithm\": \"ed25519\"}}}",
                                          list, modes[mode]));
}

static void begin(void)
{
    daemon_prepare(&server, "odd", NULL);
    const char *keys = format_text("%s/keys", server.dir);
    dir_make(keys);
    dir_make(format_text("%s/files", server.dir));
    write_zones(1);
    configure(COMPACT);
    daemon_start(&server);
    for (size_t i = 0; i < SIGNED; i++) {
        /* In file names all is lower case. */
        static const char *const lower[SIGNED] = {".", "dname.", "star.", "types.", "capitals."};
        keys_read(&zones[i], keys, lower[i]);
    }
    snprintf(zones[ORPHAN].zone, sizeof zones[ORPHAN].zone, "%s", texts[ORPHAN].name);
    for (size_t i = ROOT + 1; i < SIGNED; i++) {
        zones[i].anchor[0] = '\0';
    }
    write_zones(1);
    control_reload_ok(&server);
}

static void end(void)
{
    daemon_stop(&server);
}

/* ---- Questions ---- */

enum { NX = 1, INSECURES = 2, NO_UNBOUND = 4, PLAIN_NX = 8, MANY_LABELS = 16 };

#define L63 "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb."

static const struct {
    const char *name, *type;
    unsigned flags;
} questions[] = {
    {".", "SOA", 0}, {".", "NS", 0}, {".", "DNSKEY", 0}, {".", "A", 0}, {".", "DS", NO_UNBOUND},
    {".", "CDS", 0}, {".", "NSEC", 0}, {".", "ANY", 0},
    {"host.", "A", 0}, {"host.", "AAAA", 0}, {"x.host.", "A", NX}, {"none.", "A", NX},
    {"a.b.c.none.", "A", NX}, {"x.wild.", "A", 0}, {"x.wild.", "TXT", 0}, {"ent.", "A", 0},
    {"alias.", "A", 0}, {"alias.", "TXT", 0}, {"\\255.", "A", 0}, {"\\255\\255.", "A", NX},
    {"\\000.", "A", NX}, {"orphan.", "DS", 0}, {"www.orphan.", "A", INSECURES},
    {"no.orphan.", "A", INSECURES | PLAIN_NX},
    {"a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
     "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a."
     "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.", "A", NX | MANY_LABELS},
    {"dname.", "SOA", 0}, {"dname.", "DNAME", 0}, {"dname.", "TXT", 0}, {"dname.", "A", 0},
    {"x.dname.", "A", 0}, {"x.y.dname.", "AAAA", 0}, {"a.b.dname.", "A", 0},
    {"c.b.dname.", "A", 0}, {"x.c.dname.", "A", 0}, {"dname.", "DS", 0},
    {"star.", "A", 0}, {"x.star.", "A", 0}, {"x.y.z.star.", "A", 0}, {"*.star.", "A", 0},
    {"x.star.", "MX", 0}, {"x.star.", "HTTPS", 0}, {"*.star.", "MX", 0}, {"x.star.", "TXT", 0},
    {"b.star.", "A", 0}, {"a.b.star.", "A", 0}, {"c.b.star.", "TXT", 0}, {"c.b.star.", "A", 0},
    {"x.a.b.star.", "A", NX}, {"mail.star.", "A", 0}, {"x.mail.star.", "A", NX},
    {"q.c.star.", "A", 0}, {"q.c.star.", "MX", 0}, {"x.star.", "DS", 0}, {"x.star.", "ANY", 0},
    {"x.star.", "SOA", 0},
    {"www.types.", "A", 0}, {"a.types.", "NSEC3PARAM", 0}, {"a.types.", "ANY", 0},
    {"same.types.", "MX", 0}, {"same.types.", "TXT", 0}, {"srv.types.", "SRV", 0},
    {"dn.types.", "DNAME", 0}, {"X.dn.types.", "A", 0}, {"long.types.", "DNAME", 0},
    {L63 L63 "long.types.", "A", NO_UNBOUND}, {"loop.types.", "A", NO_UNBOUND},
    {"loop.types.", "CNAME", 0}, {"c1.types.", "A", NX}, {"c1.types.", "CNAME", 0},
    {"a.types.", "MD", 0}, {"a.types.", "MF", 0}, {"a.types.", "MB", 0}, {"a.types.", "MG", 0},
    {"a.types.", "MR", 0}, {"a.types.", "PTR", 0}, {"a.types.", "HINFO", 0},
    {"a.types.", "MINFO", 0}, {"a.types.", "MX", 0}, {"a.types.", "RP", 0},
    {"a.types.", "AFSDB", 0}, {"a.types.", "X25", 0}, {"a.types.", "ISDN", 0},
    {"a.types.", "RT", 0}, {"a.types.", "KEY", 0}, {"a.types.", "PX", 0}, {"a.types.", "LOC", 0},
    {"a.types.", "SRV", 0}, {"a.types.", "NAPTR", 0}, {"a.types.", "KX", 0},
    {"a.types.", "CERT", 0}, {"a.types.", "APL", 0}, {"a.types.", "SSHFP", 0},
    {"a.types.", "DHCID", 0}, {"a.types.", "TLSA", 0}, {"a.types.", "SMIMEA", 0},
    {"a.types.", "OPENPGPKEY", 0}, {"a.types.", "CSYNC", 0}, {"a.types.", "SPF", 0},
    {"a.types.", "TYPE64", 0}, {"a.types.", "TYPE65", 0}, {"a.types.", "NID", 0},
    {"a.types.", "L32", 0}, {"a.types.", "LP", 0}, {"a.types.", "EUI48", 0},
    {"a.types.", "URI", 0}, {"a.types.", "CAA", 0}, {"a.types.", "TYPE65281", 0},
    {"a.types.", "TXT", 0}, {"a.types.", "AAAA", 0}, {"a.types.", "TYPE65280", 0},
    {"types.", "NSEC3PARAM", 0}, {"types.", "CDS", 0}, {"types.", "NSEC", 0}, {"types.", "A", 0},
    {"stray.types.", "NSEC", 0}, {"stray.types.", "A", 0}, {"stray.types.", "TXT", 0},
    {"stray.types.", "CDS", 0},
    {"capitals.", "SOA", 0}, {"CAPITALS.", "DNSKEY", 0}, {"www.capitals.", "A", 0},
    {"wWw.capitalS.", "AAAA", 0}, {"ENT.capitals.", "A", 0}, {"B.ENT.capitals.", "A", 0},
    {"x.wild.capitals.", "A", 0}, {"X.WILD.capitals.", "TXT", 0}, {"ALIAS.capitals.", "A", 0},
    {"None.Capitals.", "A", NX}, {"capitals.", "DS", 0}, {"CAPITALS.", "AAAA", 0},
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

static void ldns_says(size_t mode, size_t i)
{
    const char *name = questions[i].name, *type = questions[i].type;
    for (unsigned stream = 0; stream < 2; stream++) {
        struct packet packet;
        signed_ask(&server, stream == 1, 1232, name, type, &packet);
        const char *fault = signatures_fault(&server, zones, ZONES, &packet);
        ck_assert_msg(fault == NULL, "%s, %s %s: %s\n%s", modes[mode], name, type, fault,
                      packet_text(&packet));
        packet_free(&packet);
    }
}

static void unbound_says(const struct resolver *resolver, size_t mode, size_t i)
{
    unsigned flags = questions[i].flags;
    /* It makes few NSEC3 hashes at a time (CVE-2023-50868), and gives up on a hundred. */
    if ((flags & NO_UNBOUND) != 0 || ((flags & MANY_LABELS) != 0 && mode == NSEC3)) {
        return;
    }
    bool nx = ((flags & NX) != 0 && mode != COMPACT) || (flags & PLAIN_NX) != 0;
    const char *expected = format_text("%s%s", nx ? "NXDOMAIN" : "NOERROR",
                                       (flags & INSECURES) != 0 ? "" : " AD");
    const char *said = resolver_ask(resolver, questions[i].name, questions[i].type);
    ck_assert_msg(strcmp(said, expected) == 0, "%s, %s %s: %s instead of %s", modes[mode],
                  questions[i].name, questions[i].type, said, expected);
}

/* From the root's key down, for some of each sort. */
static void delv_says(size_t mode)
{
    struct delv_question asked[QUESTIONS];
    char *said[QUESTIONS];
    size_t count = 0;
    for (size_t i = 0; i < QUESTIONS; i++) {
        unsigned flags = questions[i].flags;
        if ((flags & MANY_LABELS) != 0 || (i % 9 == mode && (flags & (NO_UNBOUND | INSECURES)) == 0)) {
            asked[count++] = (struct delv_question){questions[i].name, questions[i].type};
        }
    }
    delv(&server, &zones[ROOT], asked, count, said);
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(strstr(said[i], "fully validated") != NULL, "%s, %s %s: %s", modes[mode],
                      asked[i].name, asked[i].type, said[i]);
        free(said[i]);
    }
}

START_TEST(validates)
{
    size_t mode = (size_t)_i;
    struct resolver resolver, aggressive;
    configure(mode);
    control_reload_ok(&server);
    resolver_start(&resolver, format_text("unbound%zu", mode), &server, zones, ZONES, NULL);
    resolver_start(&aggressive, format_text("aggressive%zu", mode), &server, zones, ZONES,
                   " aggressive-nsec: yes\n");
    for (size_t i = 0; i < QUESTIONS; i++) {
        ldns_says(mode, i);
        unbound_says(&resolver, mode, i);
    }
    for (size_t i = 0; i < 2 * QUESTIONS; i++) { /* backwards, and again */
        size_t j = i < QUESTIONS ? QUESTIONS - 1 - i : i - QUESTIONS;
        unbound_says(&aggressive, mode, j);
    }
    resolver_stop(&resolver);
    resolver_stop(&aggressive);
    delv_says(mode);
}
END_TEST

/* ---- Under load ---- */

enum { FLOODS = 3, ROUNDS = 12 };

/* Asks on and on, for names that are there and, every other time, for one that never was. */
struct flood {
    pthread_t thread;
    int fd;
    unsigned seed, answered;
    atomic_bool stop;
    struct {
        size_t size;
        uint8_t octets[512];
    } messages[QUESTIONS + 1];
};

static void *flood_run(void *argument)
{
    struct flood *f = argument;
    uint8_t answer[4096];
    for (unsigned n = 0; !f->stop; n++) {
        size_t i = n % 2 == 0 ? (size_t)rand_r(&f->seed) % QUESTIONS : QUESTIONS;
        uint8_t message[512];
        memcpy(message, f->messages[i].octets, sizeof message);
        message[0] = (uint8_t)n;
        for (size_t at = 13; i == QUESTIONS && at < 21; at++) { /* the first label */
            message[at] = (uint8_t)('a' + rand_r(&f->seed) % 26);
        }
        ssize_t sent = send(f->fd, message, f->messages[i].size, 0);
        f->answered += sent > 0 && recv(f->fd, answer, sizeof answer, 0) > 0;
    }
    return NULL;
}

static void flood_begin(struct flood *f, unsigned seed)
{
    *f = (struct flood){.seed = seed, .fd = udp_open(NULL, "127.0.0.1", server.port)};
    for (size_t i = 0; i <= QUESTIONS; i++) {
        struct query_spec query = i < QUESTIONS ? query_for(questions[i].name, questions[i].type)
                                                : query_for("random00.none.types.", "A");
        query.edns = true;
        query.edns_size = 1232;
        query.edns_flags = 0x8000;
        f->messages[i].size = query_write(&query, 0, f->messages[i].octets);
    }
    const struct timeval wait = {.tv_usec = 100000};
    setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ck_assert_int_eq(pthread_create(&f->thread, NULL, flood_run, f), 0);
}

static unsigned flood_end(struct flood *f)
{
    f->stop = true;
    pthread_join(f->thread, NULL);
    close(f->fd);
    return f->answered;
}

/* Other versions of the zones, other denials, while all of them are asked for. */
START_TEST(changes_under_load)
{
    static struct flood floods[FLOODS];
    for (unsigned i = 0; i < FLOODS; i++) {
        flood_begin(&floods[i], i + 1);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t mode = round / 2 % MODES;
        configure(mode);
        write_zones(round + 2);
        control_reload_ok(&server);
        for (size_t i = round; i < QUESTIONS; i += ROUNDS) {
            ldns_says(mode, i);
        }
    }
    unsigned answered = 0;
    for (unsigned i = 0; i < FLOODS; i++) {
        answered += flood_end(&floods[i]);
    }
    ck_assert_uint_gt(answered, 100);
    ck_assert_int_eq(daemon_counter(&server, "signatures_failed"), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("signing_odd");
    TCase *t = tcase_create("signing_odd");
    tcase_add_unchecked_fixture(t, begin, end);
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, validates, 0, MODES);
    tcase_add_test(t, changes_under_load);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return harness_main("signing_odd", suite);
}

/*
 * Zones that the server signs as they are asked, with each algorithm and each kind of denial, as
 * validators see them: unbound before the server, delv, and ldns record by record.
 */
#include <netinet/in.h>
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

/* Keys that the server makes; then some that were there: a KSK and a ZSK, two algorithms. */
enum { MADE = 6, SPLIT = MADE, TWO, ALGORITHMS, COMMON = 2 };
static const struct {
    const char *name, *policy;
} algorithms[ALGORITHMS] = {
    {"8", "rsasha256"}, {"10", "rsasha512"}, {"13", "ecdsap256sha256"}, {"14", "ecdsap384sha384"},
    {"15", "ed25519"},  {"16", "ed448"},     {"split", "ed25519"},      {"two", "ed448"},
};

enum { KINDS = MODES * ALGORITHMS, PARENTS = 0, CHILDREN = KINDS, INSECURE = 2 * KINDS };
enum { PLAIN = 3 * KINDS, ZONES };

static struct zone_keys zones[ZONES];
static struct resolver resolver, aggressive;

static size_t mode_of(size_t kind)
{
    return kind / ALGORITHMS;
}

static size_t kind_of(size_t mode, size_t algorithm)
{
    return mode * ALGORITHMS + algorithm;
}

/* ---- The zones ---- */

#define BIG(n) "big TXT \"text of some length that fills the answer, number " #n " of twelve\"\n"
#define X15 "xxxxxxxxxxxxxxx"
#define X63 X15 X15 X15 X15 "xxx"

static const char parent_text[] =
    "$TTL 3600\n"
    "@ SOA ns Host 1 7200 900 86400 300\n"
    "@ NS ns\n@ NS NS2\n@ MX 10 Mail\n@ TXT apex\n"
    "ns A 192.0.2.1\nns AAAA 2001:db8::1\nNS2 A 192.0.2.2\nMail A 192.0.2.2\n"
    "www A 192.0.2.3\nwww A 192.0.2.1\nwww A 192.0.2.200\nwww TXT hello\nwww TXT \"\" b\n"
    "www TYPE65300 \\# 3 010203\nwww CAA 0 issue \"ca.example\"\n"
    "srv SRV 1 2 443 WWW\nnaptr NAPTR 1 1 u SIP+D2U \"\" Mail\n"
    "https HTTPS 1 . alpn=h2 ipv4hint=192.0.2.3\n"
    "alias CNAME WWW\ndeep CNAME x.y.wild\ngone CNAME nothere\n"
    "cross CNAME www.nsec3-13.example.\nplain CNAME www.plain.example.\ntoward CNAME www.child\n"
    "crossgone CNAME nothere.compact-13.example.\n"
    "*.wild A 192.0.2.4\n*.wild TXT w\n*.wild MX 5 Mail\n*.wildalias CNAME www\n"
    "real.wild A 192.0.2.4\n"
    "b.ent.deep.nt A 192.0.2.5\na.*.oddwild A 192.0.2.6\n"
    "dn DNAME www\ndn2 DNAME wild\ndn3 DNAME www.plain.example.\nbelow.dnx A 192.0.2.9\n"
    "child NS ns\ninsecure NS ns\n"
    "away NS ns.away\nns.away A 192.0.2.7\n"
    "away DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
    "lost NS ns.lost\nns.lost A 192.0.2.8\n"
    "UPPER.Case A 192.0.2.10\na\\.dot A 192.0.2.11\nsp\\032ace A 192.0.2.12\n"
    "\\000 A 192.0.2.13\nz\\255 A 192.0.2.14\nz\\255\\000 A 192.0.2.15\n\\@at A 192.0.2.16\n"
    "k A 192.0.2.17\n\\000.k A 192.0.2.18\nk\\000 A 192.0.2.19\nj\\255 A 192.0.2.20\n"
    X63 " A 192.0.2.21\na." X63 " A 192.0.2.22\n"
    "m.agg A 192.0.2.23\nn.agg A 192.0.2.24\nx.n.agg A 192.0.2.25\no.agg A 192.0.2.26\n"
    "c.e.agg A 192.0.2.27\n"
    BIG(1) BIG(2) BIG(3) BIG(4) BIG(5) BIG(6) BIG(7) BIG(8) BIG(9) BIG(10) BIG(11) BIG(12);
static const char child_text[] = "$TTL 3600\n"
                                 "@ SOA ns.elsewhere. host.elsewhere. 1 7200 900 86400 300\n"
                                 "@ NS ns.elsewhere.\nwww A 192.0.2.30\n*.wild A 192.0.2.31\n";

/* A name of so many octets, all labels as long as can be, of an octet c. */
static const char *long_name(const char *zone, size_t octets, uint8_t c)
{
    char text[4 * 256 + 8] = "";
    size_t left = octets - strlen(zone) - 1 - 2, used = 0; /* below l.ZONE */
    while (left > 0) {
        size_t take = left > 64 ? 64 : left;
        take -= left - take == 1;
        for (size_t i = 1; i < take; i++) {
            used += (size_t)snprintf(text + used, sizeof text - used, "\\%03u", c);
        }
        text[used++] = '.';
        text[used] = '\0';
        left -= take;
    }
    return format_text("%sl.%s", text, zone);
}

static void write_zone(const struct zone_keys *keys, const char *text)
{
    daemon_zone(&server, format_text("%.*s", (int)strlen(keys->zone) - 1, keys->zone), text);
}

static void write_parent(size_t kind)
{
    const char *zone = zones[PARENTS + kind].zone;
    write_zone(&zones[PARENTS + kind],
               format_text("%s%s A 192.0.2.40\n%s A 192.0.2.41\n%s A 192.0.2.42\n%s\n", parent_text,
                           long_name(zone, 255, 'e'), long_name(zone, 254, 'f'),
                           long_name(zone, 255, 0xff), zones[CHILDREN + kind].ds));
}

static void write_kind(size_t kind)
{
    const char *name = format_text("%s-%s.example.", modes[mode_of(kind)],
                                   algorithms[kind % ALGORITHMS].name);
    snprintf(zones[PARENTS + kind].zone, sizeof zones[0].zone, "%s", name);
    snprintf(zones[CHILDREN + kind].zone, sizeof zones[0].zone, "child.%s", name);
    snprintf(zones[INSECURE + kind].zone, sizeof zones[0].zone, "insecure.%s", name);
    write_parent(kind);
    write_zone(&zones[CHILDREN + kind], child_text);
    write_zone(&zones[INSECURE + kind], child_text);
}

/* A child is signed by the common algorithm and with the next kind of denial. */
static void configure(void)
{
    json_t *policies = json_object(), *list = json_array();
    for (size_t kind = 0; kind < KINDS; kind++) {
        size_t mode = mode_of(kind), of_child = kind_of((mode + 1) % MODES, COMMON);
        const char *name = format_text("p%zu", kind);
        json_object_set_new(policies, name,
                            json_pack("{s:s,s:s,s:s}", "keys", "keys", "denial", modes[mode],
                                      "algorithm", algorithms[kind % ALGORITHMS].policy));
        for (size_t i = 0; i < 2; i++) {
            const char *zone = zones[i == 0 ? PARENTS + kind : CHILDREN + kind].zone;
            const char *file = format_text("zones/%.*s.zone", (int)strlen(zone) - 1, zone);
            json_array_append_new(list, json_pack("{s:s,s:s,s:s}", "name", zone, "file", file,
                                                  "dnssec",
                                                  format_text("p%zu", i == 0 ? kind : of_child)));
        }
    }
    json_t *config = json_pack("{s:o,s:o}", "zones", list, "dnssec", policies);
    char *text = json_dumps(config, 0);
    daemon_configure(&server, text);
    free(text);
    json_decref(config);
}

static void make_keys(const char *dir)
{
    for (size_t mode = 0; mode < MODES; mode++) {
        struct zone_keys unused;
        keys_make(&unused, dir, zones[kind_of(mode, SPLIT)].zone);
        static const char *const two[] = {"RSASHA256", "ECDSAP256SHA256"};
        for (size_t i = 0; i < 2; i++) {
            struct output o = command("dnssec-keygen -q -K %s -f KSK -a %s %s", dir, two[i],
                                      zones[kind_of(mode, TWO)].zone);
            ck_assert_msg(o.status == 0, "dnssec-keygen: %s", o.err);
        }
    }
}

static void begin(void)
{
    daemon_prepare(&server, "signing", NULL);
    const char *dir = format_text("%s/keys", server.dir);
    dir_make(dir);
    for (size_t kind = 0; kind < KINDS; kind++) {
        write_kind(kind);
    }
    snprintf(zones[PLAIN].zone, sizeof zones[PLAIN].zone, "plain.example.");
    write_zone(&zones[PLAIN], child_text);
    make_keys(dir);
    configure();
    daemon_start(&server);
    for (size_t i = 0; i < INSECURE; i++) {
        keys_read(&zones[i], dir, format_text("%s", zones[i].zone));
    }
    for (size_t kind = 0; kind < KINDS; kind++) {
        zones[CHILDREN + kind].anchor[0] = '\0'; /* its parent vouches for it */
        write_parent(kind);
    }
    control_reload_ok(&server);
    resolver_start(&resolver, "unbound", &server, zones, ZONES, NULL);
    resolver_start(&aggressive, "aggressive", &server, zones, ZONES, " aggressive-nsec: yes\n");
}

static void end(void)
{
    resolver_stop(&resolver);
    resolver_stop(&aggressive);
    daemon_stop(&server);
}

/* ---- Questions ---- */

enum {
    NX = 1,        /* NXDOMAIN, for which compact denial says NOERROR */
    INSECURES = 2, /* validators find it so */
    NO_DELV = 4,   /* it leaves the zone that delv has the key of */
    NO_UNBOUND = 8,
    DENIED = 16,  /* ldns can tell whether it is denied */
    EMPTY = 32, /* the same, but where NSEC cover an empty non-terminal ldns misses a wildcard's */
    CROSSES = 64, /* into a zone of compact denial */
};

static const struct question {
    const char *name, *type;
    unsigned flags;
    uint8_t fill; /* for a name of `octets` octets */
    size_t octets;
} questions[] = {
    {"", "SOA", 0, 0, 0},
    {"", "NS", 0, 0, 0},
    {"", "MX", 0, 0, 0},
    {"", "DNSKEY", 0, 0, 0},
    {"", "CDS", 0, 0, 0},
    {"", "CDNSKEY", 0, 0, 0},
    {"", "AAAA", DENIED, 0, 0},
    {"", "DS", NO_DELV | NO_UNBOUND, 0, 0},
    {"www.", "A", 0, 0, 0},
    {"www.", "TXT", 0, 0, 0},
    {"WwW.", "TYPE65300", 0, 0, 0},
    {"www.", "CAA", 0, 0, 0},
    {"www.", "AAAA", DENIED, 0, 0},
    {"www.", "NSEC3PARAM", DENIED, 0, 0},
    {"www.", "TYPE65535", DENIED, 0, 0},
    {"srv.", "SRV", 0, 0, 0},
    {"naptr.", "NAPTR", 0, 0, 0},
    {"https.", "HTTPS", 0, 0, 0},
    {"alias.", "A", 0, 0, 0},
    {"alias.", "AAAA", 0, 0, 0},
    {"alias.", "CNAME", 0, 0, 0},
    {"deep.", "A", 0, 0, 0},
    {"deep.", "AAAA", 0, 0, 0},
    {"gone.", "A", NX, 0, 0},
    {"cross.", "A", NO_DELV, 0, 0},
    {"crossgone.", "A", NX | NO_DELV | CROSSES, 0, 0},
    {"plain.", "A", INSECURES | NO_DELV, 0, 0},
    {"toward.", "A", 0, 0, 0},
    {"x.wild.", "A", 0, 0, 0},
    {"X.wild.", "MX", 0, 0, 0},
    {"a.b.wild.", "TXT", 0, 0, 0},
    {"x.wild.", "AAAA", DENIED, 0, 0},
    {"*.wild.", "A", 0, 0, 0},
    {"*.wild.", "AAAA", 0, 0, 0},
    {"x.*.wild.", "A", NX, 0, 0},
    {"wild.", "A", EMPTY, 0, 0},
    {"real.wild.", "A", 0, 0, 0},
    {"real.wild.", "TXT", DENIED, 0, 0},
    {"x.real.wild.", "TXT", NX, 0, 0},
    {"x.wildalias.", "A", 0, 0, 0},
    {"x.wildalias.", "AAAA", 0, 0, 0},
    {"x.wildalias.", "CNAME", 0, 0, 0},
    {"nothere.", "A", NX | DENIED, 0, 0},
    {"*.nothere.", "A", NX, 0, 0},
    {"0.", "A", NX | DENIED, 0, 0},
    {"zzzz.", "TXT", NX | DENIED, 0, 0},
    {"a.b.c.d.", "A", NX, 0, 0},
    {"ent.deep.nt.", "A", EMPTY, 0, 0},
    {"nt.", "TXT", EMPTY, 0, 0},
    {"x.deep.nt.", "A", NX | DENIED, 0, 0},
    {"b.ent.deep.nt.", "A", 0, 0, 0},
    {"x.oddwild.", "A", 0, 0, 0},
    {"*.oddwild.", "A", 0, 0, 0},
    {"b.*.oddwild.", "A", NX, 0, 0},
    {"a.*.oddwild.", "A", 0, 0, 0},
    {"a.dn.", "A", NX, 0, 0},
    {"a.dn2.", "A", 0, 0, 0},
    {"dn.", "DNAME", 0, 0, 0},
    {"dn.", "A", DENIED, 0, 0},
    {"x.dn3.", "A", NX | INSECURES | NO_DELV, 0, 0},
    {"x.dnx.", "A", NX, 0, 0},
    {"away.", "DS", 0, 0, 0},
    {"lost.", "DS", DENIED, 0, 0},
    {"insecure.", "DS", DENIED, 0, 0},
    {"child.", "DS", 0, 0, 0},
    {"child.", "DNSKEY", 0, 0, 0},
    {"child.", "SOA", 0, 0, 0},
    {"www.child.", "A", 0, 0, 0},
    {"www.child.", "AAAA", 0, 0, 0},
    {"x.wild.child.", "A", 0, 0, 0},
    {"www.insecure.", "A", INSECURES, 0, 0},
    {"upper.case.", "A", 0, 0, 0},
    {"UPPER.CASE.", "AAAA", DENIED, 0, 0},
    {"NotHere.Case.", "AAAA", NX, 0, 0},
    {"a\\.dot.", "A", 0, 0, 0},
    {"a\\.dot.", "AAAA", DENIED, 0, 0},
    {"dot.", "A", NX, 0, 0},
    {"sp\\032ace.", "A", 0, 0, 0},
    {"\\000.", "A", 0, 0, 0},
    {"\\000.", "TXT", 0, 0, 0},
    {"\\000\\000.", "TXT", NX, 0, 0},
    {"z\\255.", "A", 0, 0, 0},
    {"z\\255\\000.", "A", 0, 0, 0},
    {"z\\255\\000\\000.", "A", NX, 0, 0},
    {"\\@at.", "A", 0, 0, 0},
    {"k.", "AAAA", 0, 0, 0},
    {"\\000.k.", "AAAA", 0, 0, 0},
    {"\\000.\\000.k.", "A", NX, 0, 0},
    {"\\001.k.", "A", NX, 0, 0},
    {"k\\000.", "AAAA", 0, 0, 0},
    {"k\\001.", "A", NX, 0, 0},
    {"j\\255.", "A", 0, 0, 0},
    {"j\\255\\255.", "A", NX, 0, 0},
    {X63 ".", "A", 0, 0, 0},
    {X63 ".", "AAAA", 0, 0, 0},
    {"b." X63 ".", "A", NX, 0, 0},
    {NULL, "A", 0, 'e', 255},
    {NULL, "AAAA", 0, 'e', 255},
    {NULL, "A", 0, 'f', 254},
    {NULL, "AAAA", 0, 'f', 254},
    {NULL, "A", NX, 'g', 255},
    {NULL, "A", NX, 'g', 254},
    {NULL, "A", NX, 'g', 253},
    {NULL, "A", NX, '@', 255}, /* before the letters that have no case */
    {NULL, "A", NX, 'Z', 255},
    {NULL, "A", 0, 0xff, 255},
    {NULL, "AAAA", 0, 0xff, 255},
    {NULL, "A", NX, 0xff, 254},
    {NULL, "A", NX, 0xff, 253},
    {"big.", "TXT", 0, 0, 0},
};
enum { QUESTIONS = sizeof questions / sizeof questions[0] };

static const char *name_in(size_t kind, const struct question *q)
{
    const char *zone = zones[PARENTS + kind].zone;
    return q->name == NULL ? long_name(zone, q->octets, q->fill)
                           : format_text("%s%s", q->name, zone);
}

/* The RCODE for who understands DO and nothing of compact denial. */
static const char *rcode_of(size_t kind, const struct question *q)
{
    bool compact = (mode_of(kind) == COMPACT && (q->flags & INSECURES) == 0) ||
                   (q->flags & CROSSES) != 0;
    return (q->flags & NX) != 0 && !compact ? "NXDOMAIN" : "NOERROR";
}

/* ---- What validators say ---- */

START_TEST(unbound_validates)
{
    size_t kind = (size_t)_i;
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        if ((q->flags & NO_UNBOUND) == 0) {
            const char *name = name_in(kind, q);
            const char *expected = format_text("%s%s", rcode_of(kind, q),
                                               (q->flags & INSECURES) != 0 ? "" : " AD");
            const char *said = resolver_ask(&resolver, name, q->type);
            ck_assert_msg(strcmp(said, expected) == 0, "%s %s: %s instead of %s", name, q->type,
                          said, expected);
        }
    }
}
END_TEST

START_TEST(delv_validates)
{
    size_t kind = kind_of((size_t)_i, COMMON), count = 0;
    struct delv_question asked[QUESTIONS];
    bool secure[QUESTIONS];
    char *said[QUESTIONS];
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        /* It takes its time: a part of them for each mode, those that most can go wrong with for all. */
        bool chosen = i % 3 == (size_t)_i || (q->flags & (DENIED | EMPTY)) != 0;
        if (chosen && (q->flags & NO_DELV) == 0) {
            secure[count] = (q->flags & INSECURES) == 0;
            asked[count++] = (struct delv_question){name_in(kind, q), q->type};
        }
    }
    delv(&server, &zones[PARENTS + kind], asked, count, said);
    for (size_t i = 0; i < count; i++) {
        /* That is how it tells of any negative answer. */
        const char *failed = strstr(said[i], "resolution failed: ");
        bool good = failed == NULL || strncmp(strchr(failed, ':') + 2, "ncache ", 7) == 0;
        good = good && (!secure[i] || strstr(said[i], "fully validated") != NULL);
        ck_assert_msg(good, "%s %s: %s", asked[i].name, asked[i].type, said[i]);
        free(said[i]);
    }
}
END_TEST

START_TEST(ldns_verifies)
{
    size_t kind = (size_t)_i;
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        const char *name = name_in(kind, q);
        struct packet packet;
        signed_ask(&server, true, 1232, name, q->type, &packet);
        ck_assert_msg(strcmp(rcode_text(packet.rcode), rcode_of(kind, q)) == 0, "%s %s: %s", name,
                      q->type, packet_text(&packet));
        const char *fault = signatures_fault(&server, zones, ZONES, &packet);
        ck_assert_msg(fault == NULL, "%s %s: %s\n%s", name, q->type, fault, packet_text(&packet));
        if ((q->flags & (mode_of(kind) == NSEC ? DENIED : DENIED | EMPTY)) != 0) {
            fault = denial_fault(&packet, name, q->type);
            ck_assert_msg(fault == NULL, "%s %s: %s\n%s", name, q->type, fault,
                          packet_text(&packet));
        }
        packet_free(&packet);
    }
}
END_TEST

/* What is asked first must not hide from a resolver what is there. */
START_TEST(aggressive_use)
{
    static const struct question order[] = {
        {"mm.agg.", "A", NX, 0, 0},        {"\\000.m.agg.", "A", NX, 0, 0},
        {"m\\000.agg.", "A", NX, 0, 0},    {"l\\255.agg.", "A", NX, 0, 0},
        {"agg.", "A", 0, 0, 0},            {"e.agg.", "A", 0, 0, 0},
        {"b.e.agg.", "A", NX, 0, 0},       {"n.agg.", "AAAA", 0, 0, 0},
        {"w.n.agg.", "A", NX, 0, 0},       {"\\000.n.agg.", "A", NX, 0, 0},
        {"x.wild.", "AAAA", 0, 0, 0},      {"\\000.", "AAAA", 0, 0, 0},
        {"k.", "AAAA", 0, 0, 0},           {"\\000.\\000.k.", "A", NX, 0, 0},
        {"j\\255\\255.", "A", NX, 0, 0},   {"z\\255\\000\\000.", "A", NX, 0, 0},
        {"", "AAAA", 0, 0, 0},             {"lost.", "DS", 0, 0, 0},
        {"wild.", "A", 0, 0, 0},           {NULL, "A", NX, 'd', 255},
        {NULL, "A", NX, 'd', 254},         {NULL, "A", NX, 'f', 255},
        {NULL, "AAAA", 0, 'f', 254},       {NULL, "A", NX, 0xfe, 255},
        {"m.agg.", "A", 0, 0, 0},          {"n.agg.", "A", 0, 0, 0},
        {"x.n.agg.", "A", 0, 0, 0},        {"o.agg.", "A", 0, 0, 0},
        {"c.e.agg.", "A", 0, 0, 0},        {"x.wild.", "A", 0, 0, 0},
        {"real.wild.", "A", 0, 0, 0},      {"y.wild.", "A", 0, 0, 0},
        {"\\000.", "A", 0, 0, 0},          {"k.", "A", 0, 0, 0},
        {"\\000.k.", "A", 0, 0, 0},        {"k\\000.", "A", 0, 0, 0},
        {"j\\255.", "A", 0, 0, 0},         {"z\\255.", "A", 0, 0, 0},
        {"z\\255\\000.", "A", 0, 0, 0},    {"www.", "A", 0, 0, 0},
        {NULL, "A", 0, 'e', 255},          {NULL, "A", 0, 'f', 254},
        {NULL, "A", 0, 0xff, 255},         {"www.child.", "A", 0, 0, 0},
        {"www.insecure.", "A", INSECURES, 0, 0},
        {"mm.agg.", "TXT", NX, 0, 0},      {"e.agg.", "TXT", 0, 0, 0},
    };
    size_t kind = kind_of((size_t)_i, COMMON);
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        const struct question *q = &order[i];
        const char *name = name_in(kind, q);
        const char *expected = format_text("%s%s", rcode_of(kind, q),
                                           (q->flags & INSECURES) != 0 ? "" : " AD");
        const char *said = resolver_ask(&aggressive, name, q->type);
        ck_assert_msg(strcmp(said, expected) == 0, "%s %s: %s instead of %s", name, q->type, said,
                      expected);
    }
}
END_TEST

/* ---- What must not be believed ---- */

START_TEST(other_anchor)
{
    const char *dir = harness_path("other");
    dir_make(dir);
    struct zone_keys other;
    keys_make(&other, dir, zones[kind_of(COMPACT, COMMON)].zone);
    struct resolver deceived;
    resolver_start(&deceived, "deceived", &server, &other, 1, NULL);
    ck_assert_str_eq(resolver_ask(&deceived, format_text("www.%s", other.zone), "A"), "SERVFAIL");
    ck_assert_str_eq(resolver_ask(&deceived, format_text("no.%s", other.zone), "A"), "SERVFAIL");
    resolver_stop(&deceived);
    struct delv_question question = {format_text("www.%s", other.zone), "A"};
    char *said;
    delv(&server, &other, &question, 1, &said);
    ck_contains(said, "resolution failed: broken trust chain");
    free(said);
}
END_TEST

/* Between a resolver and the server: one bit of each address that is www's is another. */
struct relay {
    int fd, server;
    pthread_t thread;
    atomic_uint changed;
    atomic_bool stop;
};

static void *relay_run(void *argument)
{
    static const uint8_t address[] = {192, 0, 2, 200};
    struct relay *r = argument;
    uint8_t message[4096];
    while (!r->stop) {
        struct sockaddr_storage from;
        socklen_t from_size = sizeof from;
        ssize_t size = recvfrom(r->fd, message, sizeof message, 0, (struct sockaddr *)&from,
                                &from_size);
        if (size <= 0 || send(r->server, message, (size_t)size, 0) < 0 ||
            (size = recv(r->server, message, sizeof message, 0)) <= 0) {
            continue; /* a timeout, at which to look whether to stop */
        }
        uint8_t *at = memmem(message, (size_t)size, address, sizeof address);
        if (at != NULL) {
            at[3] ^= 1;
            r->changed++;
        }
        sendto(r->fd, message, (size_t)size, 0, (struct sockaddr *)&from, from_size);
    }
    return NULL;
}

static uint16_t relay_start(struct relay *r)
{
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof local;
    *r = (struct relay){.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ck_assert_int_eq(bind(r->fd, (struct sockaddr *)&local, size), 0);
    ck_assert_int_eq(getsockname(r->fd, (struct sockaddr *)&local, &size), 0);
    r->server = udp_open(NULL, "127.0.0.1", server.port);
    const struct timeval wait = {.tv_usec = 200000};
    setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(r->server, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ck_assert_int_eq(pthread_create(&r->thread, NULL, relay_run, r), 0);
    return ntohs(local.sin_port);
}

static void relay_stop(struct relay *r)
{
    r->stop = true;
    pthread_join(r->thread, NULL);
    close(r->fd);
    close(r->server);
}

START_TEST(changed_on_the_way)
{
    const struct zone_keys *zone = &zones[kind_of(COMPACT, COMMON)];
    struct relay relay;
    struct daemon relayed = server;
    relayed.port = relay_start(&relay);
    struct resolver deceived;
    resolver_start(&deceived, "relayed", &relayed, zone, 1, NULL);
    ck_assert_str_eq(resolver_ask(&deceived, format_text("www.%s", zone->zone), "A"), "SERVFAIL");
    ck_assert_str_eq(resolver_ask(&deceived, format_text("www.%s", zone->zone), "TXT"),
                     "NOERROR AD");
    ck_assert_uint_gt(relay.changed, 0);
    resolver_stop(&deceived);
    relay_stop(&relay);
}
END_TEST

/* ---- Little room ---- */

START_TEST(small_datagrams)
{
    size_t kind = kind_of((size_t)_i % MODES, (size_t)_i < MODES ? COMMON : 0);
    unsigned truncated = 0;
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &questions[i];
        for (uint16_t size = 512; size <= 1232; size = (uint16_t)(size + 240)) {
            struct packet packet;
            signed_ask(&server, false, size, name_in(kind, q), q->type, &packet);
            ck_assert_uint_le(packet.size, size);
            truncated += (packet.flags & 0x0200) != 0;
            const char *fault = signatures_fault(&server, zones, ZONES, &packet);
            ck_assert_msg(fault == NULL, "%s %s in %u octets: %s\n%s", name_in(kind, q), q->type,
                          size, fault, packet_text(&packet));
            packet_free(&packet);
        }
    }
    ck_assert_uint_gt(truncated, 0);
}
END_TEST

/* ---- Special questions ---- */

static size_t count_type(const struct packet *packet, enum section section, ldns_rr_type type)
{
    const ldns_rr_list *list = packet_section(packet, section);
    size_t count = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        count += ldns_rr_get_type(ldns_rr_list_rr(list, i)) == type;
    }
    return count;
}

/* Delegations to zones that are not here: their DS, or the proof that there is none. */
START_TEST(referrals)
{
    size_t kind = (size_t)_i;
    bool nsec3 = mode_of(kind) == NSEC3;
    static const char *const names[] = {"away", "x.y.away", "lost", "ns.lost", "LOST"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct packet packet;
        bool has_ds = strstr(names[i], "away") != NULL;
        const char *name = format_text("%s.%s", names[i], zones[kind].zone);
        signed_ask(&server, true, 1232, name, "A", &packet);
        ck_assert_uint_eq(packet.flags & 0x0600, 0);
        const char *fault = signatures_fault(&server, zones, ZONES, &packet);
        ck_assert_msg(fault == NULL, "%s: %s\n%s", name, fault, packet_text(&packet));
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_NS), 1);
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_DS), has_ds);
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_NSEC),
                          !has_ds && !nsec3);
        ck_assert_uint_eq(count_type(&packet, SECTION_AUTHORITY, LDNS_RR_TYPE_NSEC3),
                          !has_ds && nsec3);
        ck_assert_uint_eq(count_type(&packet, SECTION_ADDITIONAL, LDNS_RR_TYPE_A), 1);
        packet_free(&packet);
    }
}
END_TEST

/* Each RRset is signed once by each algorithm, DNSKEY by the KSK alone. */
START_TEST(signers)
{
    static const char *const types[] = {"DNSKEY", "CDS", "CDNSKEY", "SOA", "NS"};
    for (size_t kind = 0; kind < KINDS; kind++) {
        for (size_t i = 0; i < 5; i++) {
            struct packet packet;
            signed_ask(&server, true, 1232, zones[kind].zone, types[i], &packet);
            ck_assert_uint_eq(count_type(&packet, SECTION_ANSWER, LDNS_RR_TYPE_RRSIG),
                              kind % ALGORITHMS == TWO ? 2 : 1);
            packet_free(&packet);
        }
    }
}
END_TEST

/* Types that denials are made of, or that have something to do with them. */
START_TEST(types_of_proofs)
{
    size_t kind = kind_of((size_t)_i, COMMON);
    static const char *const names[] = {"", "www.", "agg.", "nothere.", "x.wild."};
    for (size_t i = 0; i < 5; i++) {
        static const char *const types[] = {"NSEC", "NSEC3", "NSEC3PARAM", "ANY"};
        for (size_t j = 0; j < 4; j++) {
            const char *name = format_text("%s%s", names[i], zones[kind].zone);
            if (i == 4 && j == 0 && mode_of(kind) == NSEC) {
                continue; /* the wildcard has one, which stands for no other name */
            }
            bool nx = i == 3 && mode_of(kind) != COMPACT;
            const char *said = resolver_ask(&resolver, name, types[j]);
            ck_assert_msg(strcmp(said, nx ? "NXDOMAIN AD" : "NOERROR AD") == 0, "%s %s: %s", name,
                          types[j], said);
        }
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("signing");
    TCase *t = tcase_create("signing");
    tcase_add_unchecked_fixture(t, begin, end);
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, ldns_verifies, 0, KINDS);
    tcase_add_loop_test(t, referrals, 0, KINDS);
    tcase_add_test(t, signers);
    tcase_add_loop_test(t, unbound_validates, 0, KINDS);
    tcase_add_loop_test(t, types_of_proofs, 0, MODES);
    tcase_add_loop_test(t, aggressive_use, 0, MODES);
    tcase_add_test(t, other_anchor);
    tcase_add_test(t, changed_on_the_way);
    tcase_add_loop_test(t, small_datagrams, 0, MODES + 1);
    tcase_add_loop_test(t, delv_validates, 0, MODES);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return harness_main("signing", suite);
}

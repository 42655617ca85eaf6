/*
 * Zones by chance, of few labels so that all that can meet does: wildcards below wildcards, aliases
 * to anything, cuts, empty names. Whatever is asked, a validating resolver must find it secure, with
 * the RCODE that the server gives without DNSSEC; also one that answers from denials it has seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "packet.h"
#include "resolver.h"

enum { COMPACT, NSEC, NSEC3, MODES };
static const char *const modes[MODES] = {"compact", "nsec", "nsec3"};
enum { OWNERS = 30, DEPTH = 4, QUESTIONS = 250, VERSIONS = 3, ZONES = MODES };

static struct zone_keys zones[ZONES];
static char *texts[ZONES];
static struct resolver resolver, aggressive;
static unsigned seed;

static unsigned below(unsigned n)
{
    return (unsigned)rand_r(&seed) % n;
}

/* A name below the zone. */
static const char *random_name(const char *zone, bool star)
{
    /* Below a "*" unbound takes the wrong names for wildcards', so that is only the first label. */
    static const char *const labels[] = {"a", "b", "B", "c", "\\000", "a\\000", "zz", "*"};
    const char *name = zone;
    for (unsigned depth = 1 + below(DEPTH); depth > 0; depth--) {
        name = format_text("%s.%s", labels[below(star && depth == 1 ? 8 : 7)], name);
    }
    return name;
}

/* One to ask for, or to send to. Where signatures are of the wildcard itself, unbound takes the wrong
 * name for it if the one that it stands for begins with "*" too. */
static const char *random_target(const char *zone)
{
    return random_name(zone, strncmp(zone, "compact", 7) == 0);
}

/* What stands at a name; an alias alone, the rest in any mixture. */
static const char *random_records(const char *zone)
{
    const char *name = random_name(zone, true);
    bool wildcard = name[0] == '*'; /* no cuts and no DNAME there, of which nobody knows what they are */
    switch (below(wildcard ? 2 : 10)) {
    case 0:
        return format_text("%s A 192.0.2.3\n", name);
    case 1:
        return format_text("%s CNAME %s\n", name, random_target(zone));
    case 2:
        return format_text("%s DNAME %s\n", name, random_target(zone));
    case 3:
        return format_text("%s NS ns.elsewhere.\n", name);
    case 4:
        return format_text("%s NS ns.elsewhere.\n%s DS 1 13 2 0123456789abcdef0123456789abcdef"
                           "0123456789abcdef0123456789abcdef\n", name, name);
    case 5:
        return format_text("%s TXT text\n%s A 192.0.2.1\n", name, name);
    default:
        return format_text("%s A 192.0.2.2\n", name);
    }
}

/* Adds to a zone's text so many random records, those left out that may not be with the others. */
static void grow(char **text, const char *zone, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const char *more = format_text("%s%s", *text, random_records(zone));
        file_write(harness_path("tried"), more);
        struct output o = command("%s/rrdnsutil check %s %s", harness_build(),
                                  harness_path("tried"), zone);
        if (o.status == 0) {
            free(*text);
            *text = strdup(more);
        }
    }
}

/* Takes out one of five records, but not the first lines. */
static void thin(char *text)
{
    char *line = text;
    for (unsigned i = 0; *line != '\0'; i++) {
        size_t size = strcspn(line, "\n") + 1;
        if (i > 2 && below(5) == 0) {
            memmove(line, line + size, strlen(line + size) + 1);
        } else {
            line += size;
        }
    }
}

static void write_zone(size_t mode)
{
    const char *zone = zones[mode].zone;
    daemon_zone(&server, format_text("%.*s", (int)strlen(zone) - 1, zone), texts[mode]);
}

static void begin(void)
{
    const char *given = getenv("RRDNS_SEED");
    seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)clock_ms();
    printf("random tests: RRDNS_SEED=%u runs the same again\n", seed);
    daemon_prepare(&server, "random", NULL);
    dir_make(format_text("%s/keys", server.dir));
    const char *list = "", *policies = "";
    for (size_t i = 0; i < MODES; i++) {
        snprintf(zones[i].zone, sizeof zones[i].zone, "%s.example.", modes[i]);
        texts[i] = strdup("$TTL 3600\n"
                          "@ SOA ns.elsewhere. host.elsewhere. 1 7200 900 86400 300\n"
                          "@ NS ns.elsewhere.\n");
        grow(&texts[i], zones[i].zone, OWNERS);
        write_zone(i);
        const char *comma = i > 0 ? ", " : "";
        list = format_text("%s%s{\"name\": \"%s.example\", \"file\": \"zones/%s.example.zone\","
                           "\"dnssec\": \"%s\"}", list, comma, modes[i], modes[i], modes[i]);
        policies = format_text("%s%s\"%s\": {\"denial\": \"%s\"}", policies, comma, modes[i],
                               modes[i]);
    }
    daemon_configure(&server, format_text("{\"zones\": [%s], \"dnssec\": {%s}}", list, policies));
    daemon_start(&server);
    for (size_t i = 0; i < MODES; i++) {
        keys_read(&zones[i], format_text("%s/keys", server.dir), format_text("%s", zones[i].zone));
    }
    resolver_start(&resolver, "unbound", &server, zones, ZONES, NULL);
    resolver_start(&aggressive, "aggressive", &server, zones, ZONES, " aggressive-nsec: yes\n");
}

static void end(void)
{
    resolver_stop(&resolver);
    resolver_stop(&aggressive);
    daemon_stop(&server);
    for (size_t i = 0; i < MODES; i++) {
        free(texts[i]);
    }
}

/* Whether a chain of aliases leads through one of its DNAMEs a second time. Its CNAME then does not
 * follow on the DNAME, and unbound holds the answer for bogus (delv: "fully validated"). */
static bool dname_again(const ldns_rr_list *answer)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(answer); i++) {
        const ldns_rr *dname = ldns_rr_list_rr(answer, i);
        size_t through = 0, count = ldns_rr_list_rr_count(answer);
        bool leads = ldns_rr_get_type(dname) == LDNS_RR_TYPE_DNAME;
        for (size_t j = 0; leads && j < count; j++) {
            const ldns_rr *alias = ldns_rr_list_rr(answer, j);
            through += ldns_rr_get_type(alias) == LDNS_RR_TYPE_CNAME &&
                       ldns_dname_is_subdomain(ldns_rr_owner(alias), ldns_rr_owner(dname));
        }
        if (through > 1) {
            return true;
        }
    }
    return false;
}

/* The RCODE without DNSSEC; NULL where the answer ends outside of the zone, or in a loop. */
static const char *plain_answer(const char *name, const char *type)
{
    struct packet packet;
    signed_ask(&server, true, 0, name, type, &packet);
    const ldns_rr_list *answer = packet_section(&packet, SECTION_ANSWER);
    const ldns_rr_list *authority = packet_section(&packet, SECTION_AUTHORITY);
    size_t links = 0, dnames = 0, count = ldns_rr_list_rr_count(answer);
    for (size_t i = 0; i < count; i++) {
        ldns_rr_type found = ldns_rr_get_type(ldns_rr_list_rr(answer, i));
        dnames += found == LDNS_RR_TYPE_DNAME;
        links += found == LDNS_RR_TYPE_CNAME || found == LDNS_RR_TYPE_DNAME;
    }
    bool negative = ldns_rr_list_rr_count(authority) > 0 &&
                    ldns_rr_get_type(ldns_rr_list_rr(authority, 0)) == LDNS_RR_TYPE_SOA;
    /* Asked for the links themselves, unbound does not find its way below a DNAME. */
    bool asks_cname = strcmp(type, "CNAME") == 0, asks_dname = strcmp(type, "DNAME") == 0;
    bool ends = (asks_cname || asks_dname) && dnames > 0
                    ? count == 1
                    : negative || links < count || (asks_cname && count > 0);
    /* Nor where links lead to a name without data: if that is there only because of names below it,
     * unbound holds the answer for bogus (delv: "fully validated"). */
    ends = ends && !(negative && packet.rcode == LDNS_RCODE_NOERROR && links > 0);
    /* For a DS it looks at what was denied before: the NSEC just before a wildcard tells it that
     * there is none, where the wildcard's alias leads on (delv: "fully validated"). */
    ends = ends && !(strcmp(type, "DS") == 0 && links > 0);
    ends = ends && !dname_again(answer);
    const char *rcode = ends && links <= 8 ? rcode_text(packet.rcode) : NULL;
    if (strcmp(rcode_text(packet.rcode), "YXDOMAIN") == 0) {
        rcode = NULL;
    }
    packet_free(&packet);
    return rcode;
}

/* Whether the answer sends on to another zone, behind a chain perhaps. */
static bool refers(const struct packet *packet)
{
    const ldns_rr_list *list = packet_section(packet, SECTION_AUTHORITY);
    bool found = false;
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        found |= ldns_rr_get_type(ldns_rr_list_rr(list, i)) == LDNS_RR_TYPE_NS;
    }
    return found;
}

static void expect(const struct resolver *r, const char *name, const char *type,
                   const char *expected)
{
    const char *said = resolver_ask(r, name, type);
    ck_assert_msg(strcmp(said, expected) == 0, "%s %s: %s instead of %s%s", name, type, said,
                  expected, r == &aggressive ? ", from what was denied before" : "");
}

static const char *random_type(void)
{
    static const char *const types[] = {"A", "A", "TXT", "MX", "CNAME", "DS", "DNAME"};
    return types[below(7)];
}

/* All that is to have signatures has good ones, by ldns. */
static void check_signatures(const char *name, const char *type)
{
    struct packet packet;
    signed_ask(&server, true, 1232, name, type, &packet);
    const char *fault = signatures_fault(&server, zones, ZONES, &packet);
    /* Behind a chain NS of a cut have none, in an answer that is authoritative for its beginning. */
    bool cut = fault != NULL && refers(&packet) && strstr(fault, "\tNS\t") != NULL;
    ck_assert_msg(fault == NULL || cut, "%s %s: %s\n%s", name, type, fault, packet_text(&packet));
    packet_free(&packet);
}

START_TEST(all_is_secure)
{
    size_t mode = (size_t)_i, asked = 0;
    for (unsigned i = 0; i < QUESTIONS; i++) {
        const char *name = random_target(zones[mode].zone), *type = random_type();
        const char *rcode = plain_answer(name, type);
        check_signatures(name, type);
        if (rcode == NULL) {
            continue;
        }
        const char *expected = format_text("%s AD", mode == COMPACT ? "NOERROR" : rcode);
        expect(&resolver, name, type, expected);
        /* Of a real chain unbound takes an NSEC at a wildcard for names below an empty one too. */
        if (mode != NSEC) {
            expect(&aggressive, name, type, expected);
        }
        asked++;
    }
    ck_assert_uint_gt(asked, QUESTIONS / 10);
}
END_TEST

/* What is kept over a reload is good for the new version too. */
START_TEST(versions)
{
    for (unsigned round = 0; round < VERSIONS; round++) {
        for (size_t mode = 0; mode < MODES; mode++) {
            thin(texts[mode]);
            grow(&texts[mode], zones[mode].zone, OWNERS / 5);
            write_zone(mode);
        }
        control_reload_ok(&server);
        for (unsigned i = 0; i < QUESTIONS; i++) {
            check_signatures(random_target(zones[i % MODES].zone), random_type());
        }
    }
    ck_assert_int_eq(daemon_counter(&server, "signatures_failed"), 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("signing_random");
    TCase *t = tcase_create("signing_random");
    tcase_add_unchecked_fixture(t, begin, end);
    tcase_set_timeout(t, 0);
    tcase_add_loop_test(t, all_is_secure, 0, MODES);
    tcase_add_test(t, versions);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return harness_main("signing_random", suite);
}

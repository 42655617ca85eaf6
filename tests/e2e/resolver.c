/*
 * Nothing here leaves loopback: unbound sends from 127.0.0.1 only, so that what it should not ask
 * for it can't get elsewhere.
 */
#include "resolver.h"

#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "packet.h"
#include "transport.h"

enum { FLAG_RD = 0x0100, FLAG_AD = 0x0020, EDNS_DO = 0x8000, UDP_SIZE = 1232 };

/* ---- Keys and signed zones ---- */

static void make_key(const struct zone_keys *keys, const char *options, char *name, size_t room)
{
    struct output o = command("sh -c 'cd %s && ldns-keygen -a ECDSAP256SHA256 %s %s'", keys->dir,
                              options, keys->zone);
    ck_assert_msg(o.status == 0, "ldns-keygen: %s", o.err);
    snprintf(name, room, "%.*s", (int)strcspn(o.out, "\n"), o.out);
}

/* The first line of a file as a record's text, without what ldns-keygen remarks. */
static void read_record(const char *path, char *text, size_t room)
{
    char *file = file_read(path);
    snprintf(text, room, "%.*s", (int)strcspn(file, ";\n"), file);
    free(file);
}

void keys_make(struct zone_keys *keys, const char *dir, const char *zone)
{
    *keys = (struct zone_keys){0};
    snprintf(keys->zone, sizeof keys->zone, "%s", zone);
    snprintf(keys->dir, sizeof keys->dir, "%s", dir);
    make_key(keys, "-k", keys->ksk, sizeof keys->ksk);
    make_key(keys, "", keys->zsk, sizeof keys->zsk);
    read_record(format_text("%s/%s.key", dir, keys->ksk), keys->anchor, sizeof keys->anchor);
    read_record(format_text("%s/%s.ds", dir, keys->ksk), keys->ds, sizeof keys->ds);
}

/* The DNSKEY record of a key file, below the remarks that BIND begins it with. */
static ldns_rr *read_key(const char *path)
{
    char *file = file_read(path), *line = file;
    while (*line == ';') {
        line += strcspn(line, "\n") + 1;
    }
    ldns_rr *rr = NULL;
    ldns_status status = ldns_rr_new_frm_str(&rr, line, 0, NULL, NULL);
    ck_assert_msg(status == LDNS_STATUS_OK, "%s: %s", path, ldns_get_errorstr_by_id(status));
    free(file);
    return rr;
}

void keys_read(struct zone_keys *keys, const char *dir, const char *zone)
{
    glob_t found;
    *keys = (struct zone_keys){0};
    snprintf(keys->zone, sizeof keys->zone, "%s", zone);
    snprintf(keys->dir, sizeof keys->dir, "%s", dir);
    ck_assert_int_eq(glob(format_text("%s/K%s+*.key", dir, zone), 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc && keys->anchor[0] == '\0'; i++) {
        const char *path = found.gl_pathv[i];
        ldns_rr *key = read_key(path);
        if ((ldns_rdf2native_int16(ldns_rr_dnskey_flags(key)) & LDNS_KEY_SEP_KEY) != 0) {
            ldns_rr *ds = ldns_key_rr2ds(key, LDNS_SHA256);
            snprintf(keys->anchor, sizeof keys->anchor, "%s", record_text(key));
            snprintf(keys->ds, sizeof keys->ds, "%s", record_text(ds));
            snprintf(keys->ksk, sizeof keys->ksk, "%.*s", (int)(strlen(path) - strlen(dir) - 5),
                     path + strlen(dir) + 1);
            ldns_rr_free(ds);
        }
        ldns_rr_free(key);
    }
    globfree(&found);
    ck_assert_msg(keys->anchor[0] != '\0', "no key of %s", zone);
}

char *zone_sign(const struct zone_keys *keys, const char *text, enum signer signer,
                enum signer_denial denial)
{
    static const char *const ldns_options[] = {"", "-n -t 1 -s abcd", "-n -p -t 1"};
    static const char *const bind_options[] = {"", "-3 -", "-3 abcd -H 5 -A"};
    const char *in = format_text("%s/unsigned", keys->dir);
    const char *out = format_text("%s/signed", keys->dir);
    struct output o;
    if (signer == SIGNER_LDNS) {
        file_write(in, text);
        o = command("sh -c 'cd %s && ldns-signzone %s -o %s -f %s %s %s %s'", keys->dir,
                    ldns_options[denial], keys->zone, out, in, keys->ksk, keys->zsk);
    } else {
        char *ksk = file_read(format_text("%s/%s.key", keys->dir, keys->ksk));
        char *zsk = file_read(format_text("%s/%s.key", keys->dir, keys->zsk));
        file_printf(in, "%s\n%s\n%s\n", text, ksk, zsk);
        free(ksk);
        free(zsk);
        o = command("sh -c 'cd %s && dnssec-signzone -P -x %s -o %s -f %s %s %s %s'", keys->dir,
                    bind_options[denial], keys->zone, out, in, keys->ksk, keys->zsk);
    }
    ck_assert_msg(o.status == 0, "signing %s: %s", keys->zone, o.err);
    return file_read(out);
}

/* ---- unbound ---- */

static void configure(const struct resolver *r, const char *dir, const struct daemon *daemon,
                      const struct zone_keys *zones, size_t count, const char *more)
{
    static char text[1 << 17];
    size_t used = (size_t)snprintf(
        text, sizeof text,
        "server:\n interface: 127.0.0.1@%u\n outgoing-interface: 127.0.0.1\n do-ip6: no\n"
        " do-daemonize: no\n username: \"\"\n chroot: \"\"\n directory: \"%s\"\n pidfile: \"\"\n"
        " use-syslog: no\n logfile: \"\"\n val-log-level: 2\n"
        " module-config: \"validator iterator\"\n do-not-query-localhost: no\n"
        " aggressive-nsec: no\n qname-minimisation: no\n"
        " harden-below-nxdomain: no\n trust-anchor-signaling: no\n num-threads: 1\n%s\n",
        r->port, dir, more != NULL ? more : "");
    for (size_t i = 0; i < count; i++) {
        if (zones[i].anchor[0] != '\0') {
            used += (size_t)snprintf(text + used, sizeof text - used, " trust-anchor: \"%s\"\n",
                                     zones[i].anchor);
        }
    }
    for (size_t i = 0; i < count; i++) {
        used += (size_t)snprintf(text + used, sizeof text - used,
                                 "stub-zone:\n name: \"%s\"\n stub-addr: 127.0.0.1@%u\n",
                                 zones[i].zone, daemon->port);
    }
    snprintf(text + used, sizeof text - used, "remote-control:\n control-enable: no\n");
    ck_assert_uint_lt(used + 100, sizeof text);
    file_write(format_text("%s/unbound.conf", dir), text);
}

/* The answer to one question; false where none comes. */
static bool ask(const char *address, uint16_t port, bool stream, const struct query_spec *query,
                int ms, struct packet *packet)
{
    static uint8_t answers[4][MESSAGE_ROOM]; /* a packet refers to its octets */
    static unsigned next;
    uint8_t *answer = answers[next++ % 4];
    uint8_t message[1200];
    size_t size = query_write(query, random_id(), message);
    int fd = stream ? tcp_open(NULL, address, port) : udp_open(NULL, address, port);
    if (stream) {
        tcp_send(fd, message, size);
    } else {
        ck_assert_int_eq(write(fd, message, size) >= 0 || ms < harness_patience_ms(), 1);
    }
    ssize_t got = stream ? tcp_receive(fd, answer, ms) : receive(fd, answer, MESSAGE_ROOM, ms);
    close(fd);
    if (got < 12 || memcmp(answer, message, 2) != 0) {
        return false;
    }
    const char *bad = packet_read(packet, answer, (size_t)got);
    ck_assert_msg(bad == NULL, "%s\n%s", bad, packet_text(packet));
    return true;
}

void resolver_start(struct resolver *r, const char *name, const struct daemon *daemon,
                    const struct zone_keys *zones, size_t count, const char *more)
{
    const char *dir = harness_path("%s", name);
    *r = (struct resolver){.port = free_port()};
    snprintf(r->log, sizeof r->log, "%s/log", dir);
    dir_make(dir);
    configure(r, dir, daemon, zones, count, more);
    struct output o = command("sh -c 'PATH=$PATH:/usr/sbin command -v unbound'");
    ck_assert_msg(o.status == 0, "no unbound here");
    char program[PATH_MAX];
    snprintf(program, sizeof program, "%.*s", (int)strcspn(o.out, "\n"), o.out);
    const char *const argv[] = {program, "-d", "-c", format_text("%s/unbound.conf", dir), NULL};
    r->pid = child_start(argv, r->log);
    uint64_t end = clock_ms() + (uint64_t)harness_patience_ms();
    struct query_spec query = query_for(zones[0].zone, "SOA");
    struct packet packet;
    for (query.flags = FLAG_RD; !ask("127.0.0.1", r->port, false, &query, 50, &packet);) {
        int status;
        bool ended = child_wait(r->pid, 1, &status);
        if (ended || clock_ms() >= end) {
            ck_abort_msg("unbound does not answer:\n%s", file_read(r->log));
        }
    }
    packet_free(&packet);
}

void resolver_stop(struct resolver *r)
{
    if (r->pid != 0) {
        child_kill(r->pid);
        r->pid = 0;
    }
}

const char *resolver_ask(const struct resolver *r, const char *name, const char *type)
{
    struct query_spec query = query_for(name, type);
    struct packet packet;
    query.flags = FLAG_RD;
    query.edns = true;
    query.edns_size = UDP_SIZE;
    query.edns_flags = EDNS_DO;
    if (!ask("127.0.0.1", r->port, false, &query, harness_patience_ms(), &packet)) {
        return "(no answer)";
    }
    const char *text = format_text("%s%s", rcode_text(packet.rcode),
                                   (packet.flags & FLAG_AD) != 0 ? " AD" : "");
    packet_free(&packet);
    return text;
}

/* ---- delv ---- */

/* A file with the zone's key as delv wants it. */
static const char *delv_anchor(const struct zone_keys *keys)
{
    const char *file = format_text("%s/%s.anchor", keys->dir, keys->ksk);
    ldns_rr *rr = NULL;
    ck_assert_int_eq(ldns_rr_new_frm_str(&rr, keys->anchor, 0, NULL, NULL), LDNS_STATUS_OK);
    char *algorithm = ldns_rdf2str(ldns_rr_rdf(rr, 2)), *key = ldns_rdf2str(ldns_rr_rdf(rr, 3));
    file_printf(file, "trust-anchors { \"%s\" static-key 257 3 %s \"%s\"; };\n", keys->zone,
                algorithm, key);
    free(algorithm);
    free(key);
    ldns_rr_free(rr);
    return file;
}

void delv(const struct daemon *daemon, const struct zone_keys *keys,
          const struct delv_question *questions, size_t count, char **said)
{
    enum { AT_ONCE = 10 };
    const char *anchor = delv_anchor(keys);
    for (size_t from = 0; from < count; from += AT_ONCE) {
        pid_t pids[AT_ONCE];
        size_t end = count - from > AT_ONCE ? from + AT_ONCE : count;
        for (size_t i = from; i < end; i++) {
            const char *out = format_text("%s/delv%zu", keys->dir, i);
            const char *const argv[] = {
                "/usr/bin/env", "delv", "@127.0.0.1", "-p", format_text("%u", daemon->port), "-a",
                anchor, format_text("+root=%s", keys->zone), questions[i].name, questions[i].type,
                NULL};
            file_write(out, "");
            pids[i - from] = child_start(argv, out);
        }
        for (size_t i = from; i < end; i++) {
            int status;
            ck_assert_msg(child_wait(pids[i - from], harness_patience_ms(), &status),
                          "delv does not end");
            said[i] = file_read(format_text("%s/delv%zu", keys->dir, i));
        }
    }
}

/* ---- ldns ---- */

void query_ask(const struct daemon *daemon, bool stream, const struct query_spec *query,
               struct packet *packet)
{
    ck_assert_msg(ask("127.0.0.1", daemon->port, stream, query, harness_patience_ms(), packet),
                  "no answer");
}

void signed_ask(const struct daemon *daemon, bool stream, uint16_t udp_size, const char *name,
                const char *type, struct packet *packet)
{
    struct query_spec query = query_for(name, type);
    query.edns = udp_size > 0;
    query.edns_size = udp_size;
    query.edns_flags = EDNS_DO;
    query_ask(daemon, stream, &query, packet);
}

/* The keys of a zone as the server has them. To be freed. */
static ldns_rr_list *zone_dnskey(const struct daemon *daemon, const char *zone)
{
    struct packet packet;
    signed_ask(daemon, true, UDP_SIZE, zone, "DNSKEY", &packet);
    ldns_rr_list *keys =
        ldns_pkt_rr_list_by_type(packet.ldns, LDNS_RR_TYPE_DNSKEY, LDNS_SECTION_ANSWER);
    packet_free(&packet);
    return keys;
}

static bool is_name(const ldns_rdf *name, const char *text)
{
    ldns_rdf *other = ldns_dname_new_frm_str(text);
    bool same = ldns_dname_compare(name, other) == 0;
    ldns_rdf_deep_free(other);
    return same;
}

/* Records of the list with an RRset's owner and type; or the signatures that cover that. */
static ldns_rr_list *select_records(const ldns_rr_list *list, const ldns_rr *of, bool signatures)
{
    ldns_rr_list *found = ldns_rr_list_new();
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        ldns_rr *rr = ldns_rr_list_rr(list, i);
        ldns_rr_type type = ldns_rr_get_type(rr);
        bool wanted =
            signatures ? type == LDNS_RR_TYPE_RRSIG &&
                             ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(rr)) == ldns_rr_get_type(of)
                       : type == ldns_rr_get_type(of);
        if (wanted && ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(of)) == 0) {
            ldns_rr_list_push_rr(found, rr);
        }
    }
    return found;
}

/* Whether the list has a record of the type at the name or above, of which owner is the RR's. */
static bool is_below(const ldns_rr_list *list, const ldns_rr *rr, ldns_rr_type type)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        const ldns_rr *other = ldns_rr_list_rr(list, i);
        if (ldns_rr_get_type(other) == type &&
            (ldns_dname_is_subdomain(ldns_rr_owner(rr), ldns_rr_owner(other)) ||
             ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(other)) == 0)) {
            return true;
        }
    }
    return false;
}

/* Whether the zone nearest to the RR's owner has no keys. */
static bool is_unsigned(const struct zone_keys *zones, size_t count, const ldns_rr *rr)
{
    const struct zone_keys *nearest = NULL;
    for (size_t i = 0; i < count; i++) {
        ldns_rdf *name = ldns_dname_new_frm_str(zones[i].zone);
        if ((ldns_dname_is_subdomain(ldns_rr_owner(rr), name) ||
             ldns_dname_compare(ldns_rr_owner(rr), name) == 0) &&
            (nearest == NULL || strlen(zones[i].zone) > strlen(nearest->zone))) {
            nearest = &zones[i];
        }
        ldns_rdf_deep_free(name);
    }
    return nearest == NULL || nearest->ksk[0] == '\0';
}

/* Each signature must be good, where ldns is content with one. */
static ldns_status verify_each(ldns_rr_list *rrset, const ldns_rr_list *signatures,
                               const ldns_rr_list *keys)
{
    ldns_status status = LDNS_STATUS_OK;
    for (size_t i = 0; i < ldns_rr_list_rr_count(signatures) && status == LDNS_STATUS_OK; i++) {
        ldns_rr_list *one = ldns_rr_list_new();
        ldns_rr_list_push_rr(one, ldns_rr_list_rr(signatures, i));
        status = ldns_verify(rrset, one, keys, NULL);
        ldns_rr_list_free(one);
    }
    return status;
}

/* DNSKEY RRsets that were asked for while one answer is looked at. */
struct known_keys {
    size_t count;
    struct {
        const char *zone;
        ldns_rr_list *keys;
    } of[8];
};

static const ldns_rr_list *known_dnskey(struct known_keys *known, const struct daemon *daemon,
                                        const char *zone)
{
    size_t i = 0;
    while (i < known->count && known->of[i].zone != zone) {
        i++;
    }
    if (i == known->count) {
        ck_assert_uint_lt(i, sizeof known->of / sizeof known->of[0]);
        known->of[i].zone = zone;
        known->of[i].keys = zone_dnskey(daemon, zone);
        known->count++;
    }
    return known->of[i].keys;
}

static const char *verify(const struct daemon *daemon, const struct zone_keys *zones, size_t count,
                          struct known_keys *known, ldns_rr_list *rrset, ldns_rr_list *signatures)
{
    const ldns_rdf *signer = ldns_rr_rrsig_signame(ldns_rr_list_rr(signatures, 0));
    for (size_t i = 0; i < count; i++) {
        if (!is_name(signer, zones[i].zone)) {
            continue;
        }
        const ldns_rr_list *keys = known_dnskey(known, daemon, zones[i].zone);
        ldns_status status = verify_each(rrset, signatures, keys);
        uint32_t ttl = ldns_rr_ttl(ldns_rr_list_rr(rrset, 0));
        if (status == LDNS_STATUS_OK && ldns_rr_ttl(ldns_rr_list_rr(signatures, 0)) != ttl) {
            return "a signature with another TTL than its RRset";
        }
        return status == LDNS_STATUS_OK ? NULL : ldns_get_errorstr_by_id(status);
    }
    return "signed by no zone of ours";
}

static const char *find_fault(const struct daemon *daemon, const struct zone_keys *zones,
                              size_t count, struct known_keys *known, const struct packet *packet)
{
    const ldns_rr_list *authority = packet_section(packet, SECTION_AUTHORITY);
    bool referral = (packet->flags & 0x0400) == 0;
    for (enum section section = SECTION_ANSWER; section < SECTIONS; section++) {
        const ldns_rr_list *list = packet_section(packet, section);
        for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
            const ldns_rr *rr = ldns_rr_list_rr(list, i);
            if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG) {
                continue;
            }
            ldns_rr_list *rrset = select_records(list, rr, false);
            ldns_rr_list *signatures = select_records(list, rr, true);
            ldns_rr_type type = ldns_rr_get_type(rr);
            bool never =
                (type == LDNS_RR_TYPE_CNAME && is_below(list, rr, LDNS_RR_TYPE_DNAME)) ||
                (referral && section == SECTION_AUTHORITY && type == LDNS_RR_TYPE_NS) ||
                (referral && section == SECTION_ADDITIONAL &&
                 is_below(authority, rr, LDNS_RR_TYPE_NS));
            const char *fault = NULL;
            if (ldns_rr_list_rr_count(signatures) > 0) {
                fault = never ? "a signature where none is due"
                              : verify(daemon, zones, count, known, rrset, signatures);
            } else if (!never && !is_unsigned(zones, count, rr)) {
                fault = "no signature";
            }
            ldns_rr_list_free(rrset);
            ldns_rr_list_free(signatures);
            if (fault != NULL) {
                return format_text("%s: %s", record_text(rr), fault);
            }
        }
    }
    return NULL;
}

const char *signatures_fault(const struct daemon *daemon, const struct zone_keys *zones,
                             size_t count, const struct packet *packet)
{
    struct known_keys known = {0};
    const char *fault = find_fault(daemon, zones, count, &known, packet);
    for (size_t i = 0; i < known.count; i++) {
        ldns_rr_list_deep_free(known.of[i].keys);
    }
    return fault;
}

/* ldns 1.8 loses a name in ldns_dnssec_verify_denial, which is not ours to be told of. They are there
 * with the address sanitizer alone. */
void __lsan_disable(void) __attribute__((weak));
void __lsan_enable(void) __attribute__((weak));

const char *denial_fault(const struct packet *packet, const char *name, const char *type)
{
    ldns_rr *rr = ldns_rr_new();
    ldns_rr_set_owner(rr, ldns_dname_new_frm_str(name));
    ldns_rr_set_type(rr, (ldns_rr_type)type_number(type));
    ldns_rr_list *signatures =
        ldns_pkt_rr_list_by_type(packet->ldns, LDNS_RR_TYPE_RRSIG, LDNS_SECTION_AUTHORITY);
    ldns_rr_list *nsec =
        ldns_pkt_rr_list_by_type(packet->ldns, LDNS_RR_TYPE_NSEC, LDNS_SECTION_AUTHORITY);
    ldns_rr_list *nsec3 =
        ldns_pkt_rr_list_by_type(packet->ldns, LDNS_RR_TYPE_NSEC3, LDNS_SECTION_AUTHORITY);
    if (__lsan_disable != NULL) {
        __lsan_disable();
    }
    ldns_status status =
        nsec != NULL ? ldns_dnssec_verify_denial(rr, nsec, signatures)
                     : ldns_dnssec_verify_denial_nsec3(rr, nsec3, signatures,
                                                       (ldns_pkt_rcode)packet->rcode,
                                                       ldns_rr_get_type(rr), true);
    if (__lsan_enable != NULL) {
        __lsan_enable();
    }
    ldns_rr_list_deep_free(signatures);
    ldns_rr_list_deep_free(nsec);
    ldns_rr_list_deep_free(nsec3);
    ldns_rr_free(rr);
    return status == LDNS_STATUS_OK ? NULL : ldns_get_errorstr_by_id(status);
}

/*
 * Questions to zones that are signed as they are asked, one in each mode of denial below a signed
 * root: whatever is asked with DO, every RRset that a zone vouches for has a signature that is
 * good, and what denies does not say that what it denies is there.
 *
 * An input is a question in a shorthand, so that most of them hit: octet 0 says how it is asked,
 * octet 1 the type, then come labels, each an octet that picks one of the words or, from 128 on, is
 * followed by a label's own octets.
 */
#include <ldns/ldns.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "desk.h"
#include "dnssec/keyset.h"
#include "dnssec/signing.h"
#include "zones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- The zones ---- */

enum { ZONES = 4 };

#define LABEL_63 "l23456789012345678901234567890123456789012345678901234567890123"
#define LABEL_58 "l234567890123456789012345678901234567890123456789012345678"

/* What all but the root have; owners of cuts, and only these, have a label "cut" or "safe". */
#define CONTENT                                                                               \
    "$TTL 3600\n@ SOA ns host 7 7200 900 86400 300\n@ NS ns\n@ NS ns.cut\n@ MX 10 mail\n"      \
    "@ DNSKEY 257 3 13 AAAA\n@ TYPE65280 \\# 1 00\n* TXT \"apex\"\n"                           \
    "ns A 192.0.2.1\nns AAAA 2001:db8::1\nmail A 192.0.2.2\nmail CAA 0 issue \"a\"\n"          \
    "b.ent TXT x\n*.c.ent MX 5 mail\nc.ent A 192.0.2.3\n*.wild CNAME www\n"                    \
    "cut NS ns.cut\nns.cut A 192.0.2.4\ncut A 192.0.2.5\ncut TXT hidden\nx.y.cut TXT hidden\n" \
    "safe NS ns\nsafe NS ns.safe\nns.safe AAAA 2001:db8::4\n"                                  \
    "safe DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"        \
    "old DNAME new\nold TXT beside\nbelow.old TXT hidden\nx.new CNAME www\nwww CNAME b.ent\n"  \
    "far CNAME far.nsec3.\ndown DNAME compact.\nup DNAME .\nloop CNAME loop2\nloop2 CNAME loop\n" \
    "big TYPE65281 \\# 1 00\nbig TYPE257 \\# 7 00056973737565\nbig TYPE1000 \\# 0\n"           \
    "big TXT \"0123456789012345678901234567890123456789012345678901234567890123456789\"\n"    \
    "$GENERATE 0-60 big A 10.0.0.$\n"                                                         \
    "$GENERATE 0-20 big MX $ m$.big\n$GENERATE 0-20 m$.big A 10.1.0.$\n"                       \
    LABEL_63 "." LABEL_63 "." LABEL_63 " A 192.0.2.9\n"                                        \
    "\\000 TXT a\n\\001.a TXT b\n\\255 TXT c\nab TXT d\n"

static const struct {
    const char *apex, *text;
    enum dnssec_denial denial;
    bool split; /* a key signing key and another one */
} zones[ZONES] = {
    {".",
     "$TTL 3600\n. SOA ns. host. 7 7200 900 86400 300\n. NS ns.\nns. A 192.0.2.1\n"
     "compact. NS ns.\ncompact. DS 44925 13 2 "
     "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
     "nsec. NS ns.\nnsec3. NS ns.\n*.any. A 192.0.2.2\n",
     DENIAL_NSEC, false},
    {"compact.", CONTENT, DENIAL_COMPACT, false},
    {"nsec.", CONTENT, DENIAL_NSEC, true},
    {"nsec3.", CONTENT, DENIAL_NSEC3, false},
};

static const char public_key[] =
    "zuCy3JwQOoOUmOgdSuYoDZRZ69DxjeCtOmZPPZ05APGBnKkoEeCkvxShHn3Tc77mT8V3Vex8v3SLp8ZsYpUarA==";
static const char private_key[] = "BNpCaIyk6tW+0HeaohOU7pB7zah1apLP7FfZeE29iOs=";

static struct desk desk;
static ldns_rr_list *keys[ZONES]; /* of each zone */

static const ldns_pkt *judged; /* the answer at hand, shown where something is wrong with it */

/* Ends the program where a condition does not hold. */
#define require(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            if (judged != NULL) {                                           \
                ldns_pkt_print(stderr, judged);                             \
            }                                                               \
            abort();                                                        \
        }                                                                   \
    } while (0)

static void write_text(const char *directory, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    FILE *out = fopen(path, "w");
    require(out != NULL && chmod(path, 0600) == 0 && fputs(text, out) >= 0 && fclose(out) == 0);
}

/* Writes a key's files, and notes its public part. */
static void write_key(const char *directory, size_t zone, unsigned flags, unsigned tag)
{
    char name[64], text[512];
    ldns_rr *rr;
    const char *prefix = zones[zone].apex;
    snprintf(text, sizeof text, "%s IN DNSKEY %u 3 13 %s\n", zones[zone].apex, flags, public_key);
    require(ldns_rr_new_frm_str(&rr, text, 3600, NULL, NULL) == LDNS_STATUS_OK);
    ldns_rr_list_push_rr(keys[zone], rr);
    snprintf(name, sizeof name, "K%s+013+%05u.key", prefix, tag);
    write_text(directory, name, text);
    snprintf(name, sizeof name, "K%s+013+%05u.private", prefix, tag);
    snprintf(text, sizeof text, "Private-key-format: v1.3\nAlgorithm: 13 (X)\nPrivateKey: %s\n",
             private_key);
    write_text(directory, name, text);
}

static void remove_keys(const char *directory)
{
    char line[128];
    snprintf(line, sizeof line, "rm -r %s", directory);
    require(system(line) == 0);
}

static void sign_zone(const char *directory, size_t index, struct world_zone *place)
{
    const struct dnssec_policy policy = {.denial = zones[index].denial,
                                         .lifetime = 14 * 86400,
                                         .refresh = 7 * 86400,
                                         .inception_offset = 3600,
                                         .dnskey_ttl = 3600};
    struct keyset_directory *list;
    struct keyset *keyset;
    struct diag diag = {0};
    keys[index] = ldns_rr_list_new();
    write_key(directory, index, 257, 44925);
    if (zones[index].split) {
        write_key(directory, index, 256, 44924);
    }
    require(keyset_directory_read(directory, &list, &diag) == 0);
    require(keyset_read(list, place->zone->head->apex_name, DESK_WALL, &keyset, &diag) == 0);
    require(keyset->count == (zones[index].split ? 2 : 1));
    require(signing_new(&policy, keyset, DESK_WALL, place->zone, NULL, &place->signing) == 0);
    keyset_unref(keyset);
    keyset_directory_free(list);
}

static void open_desk(void)
{
    char directory[] = "/tmp/rrdns-fuzz-XXXXXX";
    struct zone *made[ZONES];
    for (size_t i = 0; i < ZONES; i++) {
        made[i] = fuzz_zone_of(zones[i].apex, zones[i].text);
    }
    desk_open(&desk, made, ZONES);
    require(mkdtemp(directory) != NULL);
    for (size_t i = 0; i < ZONES; i++) {
        uint32_t position = world_find(desk.world, made[i]->head->apex_name);
        sign_zone(directory, i, &desk.world->zones[position]);
    }
    remove_keys(directory);
}

/* ---- The question ---- */

static const char *const words[] = {
    "compact", "nsec", "nsec3", "ns",    "mail",  "b",    "ent",  "c",    "wild", "www", "cut",
    "safe",    "old",  "new",   "below", "x",     "y",    "far",  "down", "up",   "big", "m1",
    "loop",    "*",    "any",   "none",  "A",     "ab",   "ac",   "",     LABEL_63, LABEL_58,
};
enum { WORDS = sizeof words / sizeof words[0] };

static const uint16_t types[] = {
    1, 2, 5, 6, 12, 15, 16, 28, 33, 39, 43, 46, 47, 48, 50, 51, 59, 60, 65, 64, 255, 257, 65280,
};
enum { TYPES = sizeof types / sizeof types[0] };

/* The name that the octets say; cut short where it would be too long. */
static void read_name(const uint8_t *data, size_t size, uint8_t name[NAME_MAX_OCTETS])
{
    size_t used = 0;
    while (size > 0) {
        const uint8_t *label;
        size_t length;
        if (data[0] < 128) {
            label = (const uint8_t *)words[data[0] % WORDS];
            length = strlen(words[data[0] % WORDS]);
            data++, size--;
        } else {
            length = data[0] % 64u;
            data++, size--;
            length = length < size ? length : size;
            label = data;
            data += length, size -= length;
        }
        if (used + length + 2 > NAME_MAX_OCTETS) {
            break;
        }
        if (length > 0) {
            name[used++] = (uint8_t)length;
            memcpy(name + used, label, length);
            used += length;
        }
    }
    name[used] = 0;
}

/* ---- The answer ---- */

struct asked {
    uint16_t type;
    ldns_rdf *name;
};

static size_t zone_of(const ldns_rdf *signer)
{
    for (size_t i = 0; i < ZONES; i++) {
        if (ldns_dname_compare(signer, ldns_rr_owner(ldns_rr_list_rr(keys[i], 0))) == 0) {
            return i;
        }
    }
    abort();
}

static bool has_label(const ldns_rdf *name, const char *label)
{
    const uint8_t *at = ldns_rdf_data(name);
    for (; at[0] != 0; at += 1 + at[0]) {
        if (at[0] == strlen(label) && strncasecmp((const char *)at + 1, label, at[0]) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_type(const ldns_rr_list *list, ldns_rr_type type)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(list); i++) {
        if (ldns_rr_get_type(ldns_rr_list_rr(list, i)) == type) {
            return true;
        }
    }
    return false;
}

/* Whether it may be that nobody signs an RRset. */
static bool is_exempt(const ldns_rr_list *section, const ldns_rr *rr)
{
    ldns_rr_type type = ldns_rr_get_type(rr);
    const ldns_rdf *owner = ldns_rr_owner(rr);
    bool cut = has_label(owner, "cut") || has_label(owner, "safe");
    switch (type) {
    case LDNS_RR_TYPE_CNAME:
        for (size_t i = 0; i < ldns_rr_list_rr_count(section); i++) {
            const ldns_rr *other = ldns_rr_list_rr(section, i);
            if (ldns_rr_get_type(other) == LDNS_RR_TYPE_DNAME &&
                ldns_dname_is_subdomain(owner, ldns_rr_owner(other))) {
                return true;
            }
        }
        return false;
    case LDNS_RR_TYPE_NS:
    case LDNS_RR_TYPE_A:
    case LDNS_RR_TYPE_AAAA:
        return cut;
    default:
        return false;
    }
}

/* Takes the records of the same owner and type as `first` out of all. */
static ldns_rr_list *rrset_of(const ldns_rr_list *section, const ldns_rr *first)
{
    ldns_rr_list *rrset = ldns_rr_list_new();
    for (size_t i = 0; i < ldns_rr_list_rr_count(section); i++) {
        ldns_rr *rr = ldns_rr_list_rr(section, i);
        if (ldns_rr_get_type(rr) == ldns_rr_get_type(first) &&
            ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(first)) == 0) {
            require(ldns_rr_ttl(rr) == ldns_rr_ttl(first));
            ldns_rr_list_push_rr(rrset, rr);
        }
    }
    return rrset;
}

static void check_signature(const ldns_rr_list *rrset, const ldns_rr *rrsig)
{
    size_t zone = zone_of(ldns_rr_rrsig_signame(rrsig));
    uint32_t inception = ldns_rdf2native_int32(ldns_rr_rrsig_inception(rrsig));
    uint32_t expiration = ldns_rdf2native_int32(ldns_rr_rrsig_expiration(rrsig));
    require(inception <= DESK_WALL && expiration > DESK_WALL);
    require(ldns_rr_ttl(rrsig) == ldns_rr_ttl(ldns_rr_list_rr(rrset, 0)));
    ldns_rr_list *copy = ldns_rr_list_clone(rrset); /* which the check sorts, and may change */
    require(ldns_verify_rrsig_keylist_notime(copy, rrsig, keys[zone], NULL) == LDNS_STATUS_OK);
    ldns_rr_list_deep_free(copy);
}

/* An RRset has exactly one good signature, as here no two keys sign the same; or none is due. */
static void check_rrset(const ldns_rr_list *section, const ldns_rr *first)
{
    ldns_rr_list *rrset = rrset_of(section, first);
    size_t signatures = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(section); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(section, i);
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG &&
            ldns_rdf2rr_type(ldns_rr_rrsig_typecovered(rr)) == ldns_rr_get_type(first) &&
            ldns_dname_compare(ldns_rr_owner(rr), ldns_rr_owner(first)) == 0) {
            check_signature(rrset, rr);
            signatures++;
        }
    }
    require(signatures == 1 || (signatures == 0 && is_exempt(section, first)));
    ldns_rr_list_free(rrset);
}

static void check_section(const ldns_rr_list *section)
{
    size_t others = 0, signatures = 0;
    for (size_t i = 0; i < ldns_rr_list_rr_count(section); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(section, i);
        bool first = true;
        for (size_t j = 0; j < i && first; j++) {
            const ldns_rr *before = ldns_rr_list_rr(section, j);
            require(ldns_rr_compare(before, rr) != 0);
            first = ldns_rr_get_type(before) != ldns_rr_get_type(rr) ||
                    ldns_dname_compare(ldns_rr_owner(before), ldns_rr_owner(rr)) != 0;
        }
        if (ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG) {
            signatures++;
        } else if (first) {
            check_rrset(section, rr);
            others++;
        }
    }
    require(signatures <= others);
}

/* Signatures alone, all over one type. */
static void check_signatures(const ldns_rr_list *section, const struct asked *asked)
{
    for (size_t i = 0; i < ldns_rr_list_rr_count(section); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(section, i);
        require(ldns_rr_get_type(rr) == LDNS_RR_TYPE_RRSIG);
        require(ldns_dname_compare(ldns_rr_owner(rr), asked->name) == 0);
    }
    require(ldns_rr_list_rr_count(section) == 1);
}

/* What denies in a zone is of its kind, and does not say that the type is there. */
static void check_denials(const ldns_pkt *packet, const struct asked *asked)
{
    const ldns_rr_list *authority = ldns_pkt_authority(packet);
    bool denied = false;
    for (size_t i = 0; i < ldns_rr_list_rr_count(authority); i++) {
        const ldns_rr *rr = ldns_rr_list_rr(authority, i);
        ldns_rr_type type = ldns_rr_get_type(rr);
        denied |= type == LDNS_RR_TYPE_NSEC || type == LDNS_RR_TYPE_NSEC3 ||
                  type == LDNS_RR_TYPE_DS; /* of a referral that is secure */
        if (type == LDNS_RR_TYPE_NSEC && ldns_pkt_aa(packet) && /* no referral */
            ldns_dname_compare(ldns_rr_owner(rr), asked->name) == 0) {
            const ldns_rdf *bitmap = ldns_nsec_get_bitmap(rr);
            bool absent = ldns_nsec_bitmap_covers_type(bitmap, (ldns_rr_type)RRTYPE_NXNAME);
            require(absent || !ldns_nsec_bitmap_covers_type(bitmap, asked->type));
            require(asked->type == LDNS_RR_TYPE_NSEC || asked->type == LDNS_RR_TYPE_RRSIG ||
                    asked->type == LDNS_RR_TYPE_ANY ||
                    !ldns_nsec_bitmap_covers_type(bitmap, LDNS_RR_TYPE_CNAME));
        }
    }
    require(denied);
}

static void check_answer(const ldns_pkt *packet, const struct asked *asked)
{
    ldns_pkt_rcode rcode = ldns_pkt_get_rcode(packet);
    require(rcode == LDNS_RCODE_NOERROR || rcode == LDNS_RCODE_NXDOMAIN ||
            rcode == LDNS_RCODE_YXDOMAIN);
    if (ldns_pkt_tc(packet)) {
        return;
    }
    if (asked->type == LDNS_RR_TYPE_RRSIG && ldns_pkt_ancount(packet) > 0 &&
        !has_type(ldns_pkt_answer(packet), LDNS_RR_TYPE_DNAME)) {
        check_signatures(ldns_pkt_answer(packet), asked);
    } else {
        check_section(ldns_pkt_answer(packet));
    }
    check_section(ldns_pkt_authority(packet));
    check_section(ldns_pkt_additional(packet));
    if (ldns_pkt_ancount(packet) == 0) {
        check_denials(packet, asked);
        require(has_type(ldns_pkt_authority(packet), LDNS_RR_TYPE_SOA) ||
                has_type(ldns_pkt_authority(packet), LDNS_RR_TYPE_NS));
    }
}

/* ---- */

static size_t write_query(const uint8_t *data, size_t size, uint8_t *query, struct asked *asked)
{
    static const uint16_t payloads[] = {512, 1232, 700, 65535};
    uint8_t name[NAME_MAX_OCTETS];
    asked->type = types[data[1] % TYPES];
    read_name(data + 2, size - 2, name);
    size_t octets = desk_query(name, asked->type, payloads[data[0] / 2 % 4], query);
    wire_put_u16(query + octets - 4, (uint16_t)(0x8000 | (data[0] & 8 ? 0x4000 : 0)));
    asked->name = ldns_dname_new_frm_data((uint16_t)name_size(name), name);
    return octets;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (desk.world == NULL) {
        open_desk();
    }
    if (size < 2 || size > 300) {
        return 0;
    }
    uint8_t query[DESK_QUERY_MAX];
    struct asked asked;
    const uint8_t *answer;
    ldns_pkt *packet;
    size_t octets = write_query(data, size, query, &asked);
    bool stream = data[0] % 2 != 0;
    size_t answered = desk_ask(&desk, query, octets, stream, DESK_UDP_MAX, &answer);
    require(answered > 0 && wire_check_message(answer, answered));
    require(ldns_wire2pkt(&packet, answer, answered) == LDNS_STATUS_OK);
    require(!stream || !ldns_pkt_tc(packet));
    judged = packet;
    check_answer(packet, &asked);
    judged = NULL;
    ldns_pkt_free(packet);
    ldns_rdf_deep_free(asked.name);
    return 0;
}

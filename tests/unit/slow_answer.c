#include "slow_answer.h"

#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "told.h"

enum { LINKS_MAX = 16 };

struct state {
    const struct slow_zone *zones;
    size_t zone_count;
    const struct slow_zone *zone;
    uint8_t name[NAME_MAX_OCTETS];
    uint16_t type;
    bool stream;
    unsigned links;
    uint8_t visited[LINKS_MAX + 1][NAME_MAX_OCTETS];
    struct slow_answer *answer;
};

static const struct slow_record *first_of(const struct slow_zone *zone, const uint8_t *owner,
                                          uint16_t type)
{
    for (size_t i = 0; i < zone->count; i++) {
        if (zone->records[i].type == type && names_compare(zone->records[i].owner, owner) == 0) {
            return &zone->records[i];
        }
    }
    return NULL;
}

static bool has_set(const struct slow_answer *answer, const struct slow_record *first)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (answer->sets[i].first == first) {
            return true;
        }
    }
    return false;
}

static struct slow_set *new_set(struct state *s, enum slow_section section)
{
    ck_assert_uint_lt(s->answer->count, sizeof s->answer->sets / sizeof s->answer->sets[0]);
    struct slow_set *set = &s->answer->sets[s->answer->count++];
    *set = (struct slow_set){.section = section};
    return set;
}

/* The RRset that begins with `first`, under the name `owner`. */
static void add_set(struct state *s, enum slow_section section, const struct slow_record *first,
                    const uint8_t *owner, uint32_t ttl)
{
    static const char *const names[] = {"answer", "authority", "additional", "additional"};
    struct told_lines lines = {0};
    for (const struct slow_record *r = first; r < s->zone->records + s->zone->count; r++) {
        if (r->type == first->type && names_compare(r->owner, first->owner) == 0) {
            told_record(&lines, names[section], owner, r->type, ttl, r->rdata, r->size);
        }
    }
    struct slow_set *set = new_set(s, section);
    set->text = lines.text;
    set->first = first;
}

static void add_soa(struct state *s)
{
    const struct slow_record *soa = first_of(s->zone, s->zone->apex, RRTYPE_SOA);
    uint32_t minimum = wire_get_u32(soa->rdata + soa->size - 4);
    add_set(s, SLOW_AUTHORITY, soa, s->zone->apex, minimum < soa->ttl ? minimum : soa->ttl);
}

/* --- additional --- */

static size_t target_at(uint16_t type)
{
    return type == RRTYPE_NS ? 0 : type == RRTYPE_MX ? 2 : type == RRTYPE_SRV ? 6 : SIZE_MAX;
}

static void add_addresses(struct state *s, const uint8_t *target, enum slow_section section)
{
    static const uint16_t types[] = {RRTYPE_A, RRTYPE_AAAA};
    for (size_t i = 0; i < 2; i++) {
        const struct slow_record *first = first_of(s->zone, target, types[i]);
        if (first != NULL && !has_set(s->answer, first)) {
            add_set(s, section, first, target, first->ttl);
        }
    }
}

/* For the RRset that begins with `first`; cut is set where it is the NS of a referral. */
static void add_targets(struct state *s, const struct slow_record *first, const uint8_t *cut,
                        enum slow_section section)
{
    size_t at = target_at(first->type);
    if (at == SIZE_MAX) {
        return;
    }
    for (const struct slow_record *r = first; r < s->zone->records + s->zone->count; r++) {
        if (r->type != first->type || names_compare(r->owner, first->owner) != 0) {
            continue;
        }
        const uint8_t *target = r->rdata + at;
        struct slow_match match;
        if (!names_under(target, s->zone->apex)) {
            continue;
        }
        slow_lookup(s->zone, target, &match);
        bool required = cut != NULL && names_under(target, cut);
        if (match.has_dname || (match.has_cut && cut == NULL) ||
            required != (section == SLOW_REQUIRED)) {
            continue;
        }
        add_addresses(s, target, section);
    }
}

static void add_additional(struct state *s, const uint8_t *cut)
{
    size_t count = s->answer->count;
    for (int pass = cut != NULL ? 0 : 1; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            const struct slow_record *first = s->answer->sets[i].first;
            bool here = first != NULL && first >= s->zone->records &&
                        first < s->zone->records + s->zone->count;
            if (here && (cut == NULL || s->answer->sets[i].section == SLOW_AUTHORITY)) {
                add_targets(s, first, cut, pass == 0 ? SLOW_REQUIRED : SLOW_OPTIONAL);
            }
        }
    }
}

/* --- chains --- */

/* Goes on to target; false where it was asked for before. */
static bool follow(struct state *s, const uint8_t *target)
{
    memcpy(s->visited[s->links++], s->name, names_size(s->name));
    for (unsigned i = 0; i < s->links; i++) {
        if (names_compare(s->visited[i], target) == 0) {
            return false;
        }
    }
    memmove(s->name, target, names_size(target));
    return true;
}

static bool follows(uint16_t type)
{
    return type != RRTYPE_CNAME && type != RRTYPE_ANY && type != RRTYPE_RRSIG &&
           type != RRTYPE_NSEC;
}

static bool take_dname(struct state *s, const uint8_t *owner)
{
    const struct slow_record *dname = first_of(s->zone, owner, RRTYPE_DNAME);
    if (!has_set(s->answer, dname)) {
        add_set(s, SLOW_ANSWER, dname, owner, dname->ttl);
    }
    size_t prefix = names_size(s->name) - names_size(owner);
    if (prefix + dname->size > NAME_MAX_OCTETS) {
        s->answer->rcode = RCODE_YXDOMAIN;
        return false;
    }
    uint8_t target[NAME_MAX_OCTETS];
    memcpy(target, s->name, prefix);
    memcpy(target + prefix, dname->rdata, dname->size);
    struct told_lines lines = {0};
    told_record(&lines, "answer", s->name, RRTYPE_CNAME, dname->ttl, target, prefix + dname->size);
    new_set(s, SLOW_ANSWER)->text = lines.text;
    return follows(s->type) && follow(s, target);
}

/* --- a name in a zone --- */

static bool answer_node(struct state *s, const uint8_t *node)
{
    const struct slow_record *cname = first_of(s->zone, node, RRTYPE_CNAME);
    if (cname != NULL && follows(s->type)) {
        if (s->links == LINKS_MAX) {
            return false;
        }
        add_set(s, SLOW_ANSWER, cname, s->name, cname->ttl);
        return follow(s, cname->rdata);
    }
    bool found = false;
    for (unsigned type = 1; type < 65536; type++) {
        if (type >= 128 && type != s->type) {
            continue; /* slow zones have no such types */
        }
        const struct slow_record *first = NULL;
        if (type == s->type || (s->type == RRTYPE_ANY && type != RRTYPE_RRSIG)) {
            first = first_of(s->zone, node, (uint16_t)type);
        }
        if (first != NULL && has_set(s->answer, first) && name_equal(node, s->name)) {
            return false; /* the DNAME that led here */
        }
        if (first != NULL) {
            add_set(s, SLOW_ANSWER, first, s->name, first->ttl);
            found = true;
            if (!s->stream) {
                break;
            }
        }
    }
    if (!found) {
        add_soa(s);
    }
    add_additional(s, NULL);
    return false;
}

static const struct slow_zone *nearest(const struct state *s, const uint8_t *name, bool above)
{
    const struct slow_zone *best = NULL;
    for (size_t i = 0; i < s->zone_count; i++) {
        const struct slow_zone *zone = &s->zones[i];
        if (names_under(name, zone->apex) && !(above && names_compare(name, zone->apex) == 0) &&
            (best == NULL || names_labels(zone->apex) > names_labels(best->apex))) {
            best = zone;
        }
    }
    return best;
}

/* The zone for the name, and what the name is there. DS is the parent's, if that has a cut there
 * or no cut above. */
static bool choose(struct state *s, struct slow_match *match)
{
    const struct slow_zone *own = nearest(s, s->name, false);
    const struct slow_zone *parent = own;
    if (s->type == RRTYPE_DS && own != NULL && names_compare(own->apex, s->name) == 0) {
        parent = nearest(s, s->name, true);
        parent = parent != NULL ? parent : own;
    }
    s->zone = parent;
    if (parent == NULL) {
        return false;
    }
    slow_lookup(parent, s->name, match);
    if (parent != own && match->has_cut && names_compare(match->cut, s->name) != 0) {
        s->zone = own;
        slow_lookup(own, s->name, match);
    }
    return true;
}

/* One step; true where the chain goes on. */
static bool step(struct state *s)
{
    struct slow_match match;
    if (!choose(s, &match)) {
        s->answer->rcode = s->links == 0 ? RCODE_REFUSED : s->answer->rcode;
        return false;
    }
    bool referral =
        match.has_cut && !(s->type == RRTYPE_DS && names_compare(match.cut, s->name) == 0);
    if (s->links == 0) {
        s->answer->aa = !referral;
    }
    if (referral) {
        const struct slow_record *ns = first_of(s->zone, match.cut, RRTYPE_NS);
        add_set(s, SLOW_AUTHORITY, ns, match.cut, ns->ttl);
        add_additional(s, match.cut);
        return false;
    }
    if (match.has_dname) {
        return s->links < LINKS_MAX && take_dname(s, match.dname);
    }
    if (match.exact || match.has_wildcard) {
        return answer_node(s, match.exact ? s->name : match.wildcard);
    }
    s->answer->rcode = RCODE_NXDOMAIN;
    add_soa(s);
    return false;
}

void slow_answer(const struct slow_zone *zones, size_t count, const uint8_t *name, uint16_t type,
                 bool stream, struct slow_answer *answer)
{
    struct state *s = calloc(1, sizeof *s);
    *s = (struct state){
        .zones = zones, .zone_count = count, .type = type, .stream = stream, .answer = answer};
    memcpy(s->name, name, names_size(name));
    answer->rcode = RCODE_NOERROR;
    answer->aa = false;
    answer->count = 0;
    while (step(s)) {
    }
    free(s);
}

void slow_answer_free(struct slow_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        free(answer->sets[i].text);
    }
    answer->count = 0;
}

/* --- comparing --- */

/* Passes expected at *text; false, and nothing passed, where something else stands there. */
static bool take(const char **text, const char *expected)
{
    size_t size = strlen(expected);
    if (strncmp(*text, expected, size) != 0) {
        return false;
    }
    *text += size;
    return true;
}

static void differs(const struct slow_answer *answer, const char *text, const char *why)
{
    struct told_lines should = {0};
    for (size_t i = 0; i < answer->count; i++) {
        told_line(&should, "%s%s", answer->sets[i].section == SLOW_REQUIRED ? "(required) " : "",
                  answer->sets[i].text);
    }
    ck_abort_msg("%s:\n%s\nshould be RCODE %u%s\n%s", why, text, answer->rcode,
                 answer->aa ? " aa" : "", should.text != NULL ? should.text : "");
}

void slow_expect(const struct slow_answer *answer, const char *text, bool whole)
{
    static const char *const rcodes[] = {
        [RCODE_NOERROR] = "NOERROR qr",
        [RCODE_NXDOMAIN] = "NXDOMAIN qr",
        [RCODE_REFUSED] = "REFUSED qr",
        [RCODE_YXDOMAIN] = "YXDOMAIN qr",
    };
    const char *at = text;
    if (!take(&at, rcodes[answer->rcode]) || take(&at, " aa") != answer->aa) {
        differs(answer, text, "another RCODE or AA");
    }
    bool tc = take(&at, " tc"), missing = false;
    at = strchr(at, '\n') + 1;
    if (take(&at, "question ")) {
        at = strchr(at, '\n') + 1;
    }
    for (size_t i = 0; i < answer->count; i++) {
        const struct slow_set *set = &answer->sets[i];
        bool there = take(&at, set->text);
        if (there && missing) {
            differs(answer, text, "something after what is missing");
        }
        if (!there && (set->section != SLOW_OPTIONAL || whole)) {
            missing = true;
        }
    }
    if (*at != '\0' && strncmp(at, "opt ", 4) != 0) {
        differs(answer, text, "something is there that should not be");
    }
    if (missing != tc || (missing && whole)) {
        differs(answer, text, "something is missing, or TC is wrong");
    }
}

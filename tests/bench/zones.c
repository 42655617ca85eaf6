// Makes what the benchmark serves and asks: the same bytes on every machine, from counted names.
//
//   zones SET DIRECTORY [NUMBER [QUESTIONS]]
//
//   small   one zone of about 1,000 names with some of everything
//   tld     NUMBER delegations (1,000,000), 4 in 10 signed, half with servers in the zone
//   hosts   NUMBER zones (100,000) of seven records
//   big     one zone with NUMBER names (1,000,000)
//   proxied no zone: questions for NUMBER names (4,000) and for new ones, to be forwarded
//
// writes DIRECTORY/zones/NAME.zone; DIRECTORY/zones-plain/NAME, the same file or, for tld, the
// zone without DS records, for a server (gdnsd) that wants the one and takes none of the other;
// and question files (queries.h) of QUESTIONS lines (500,000): hits.q, misses.q and mixed.q, which
// has the mix that a server of such zones sees.
//
// A zone's second line has its serial, 1000000001 at first; who wants a newer one edits that.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TTL "$TTL 3600\n"

static const char *directory;

// ---- Files ----

static FILE *create(const char *folder, const char *name)
{
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s%s", directory, folder, name) >= (int)sizeof path) {
        fprintf(stderr, "zones: a path too long\n");
        exit(1);
    }
    FILE *out = fopen(path, "we");
    if (out == NULL) {
        perror(path);
        exit(1);
    }
    return out;
}

static void done(FILE *out)
{
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        perror("zones: writing");
        exit(1);
    }
}

// zones-plain/NAME: the same file under the zone's name alone.
static void link_plain(const char *name)
{
    char path[4096];
    char plain[4096];
    snprintf(path, sizeof path, "%s/zones/%s.zone", directory, name);
    snprintf(plain, sizeof plain, "%s/zones-plain/%s", directory, name);
    unlink(plain);
    if (link(path, plain) != 0) {
        perror(plain);
        exit(1);
    }
}

static void make_folder(const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    mkdir(path, 0755); // there already is fine; a failure shows when the first file is made
}

// ---- Numbers and names ----

static uint64_t mix(uint64_t x)
{ // splitmix64: the same number for the same n, everywhere
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static uint64_t draws;

static uint64_t draw(uint64_t below)
{
    return mix(UINT64_C(0x1234567) + ++draws) % below;
}

// The label of number n: a few letters that depend on n, then n itself as five digits in base 36,
// so that no two are the same. Lengths from 6 to 13, as registered names have.
static const char *label(uint64_t n, char *out)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    static const char letters[] = "etaoinsrhldcumfpgwybvkxjqz";
    uint64_t bits = mix(n);
    size_t at = 0;
    for (uint64_t left = 1 + bits % 8; left > 0; left--) {
        bits = mix(bits);
        out[at++] = letters[(bits % 26 * (bits >> 32) % 26) % 26];
    }
    for (int i = 0; i < 5; i++, n /= 36) {
        out[at++] = digits[n % 36];
    }
    out[at] = '\0';
    return out;
}

static void soa(FILE *out, const char *origin)
{
    fprintf(out, TTL "%s SOA ns1.%s hostmaster.%s 1000000001 7200 3600 1209600 300\n", origin,
            origin, origin);
}

static void address(FILE *out, const char *owner, uint64_t n)
{
    fprintf(out, "%s A 10.%u.%u.%u\n", owner, (unsigned)(n >> 16 & 255), (unsigned)(n >> 8 & 255),
            (unsigned)(n & 255));
}

static void address6(FILE *out, const char *owner, uint64_t n)
{
    fprintf(out, "%s AAAA 2001:db8:%x:%x::%x\n", owner, (unsigned)(n >> 32 & 0xffff),
            (unsigned)(n >> 16 & 0xffff), (unsigned)(n & 0xffff) | 1);
}

// Misses under `origin`, of several lengths: one in four under a name that is not there either.
static void misses(FILE *out, const char *origin)
{
    static const char marks[] = "????????????????";
    for (int length = 8; length <= 16; length++) {
        for (int i = 0; i < 3; i++) {
            fprintf(out, "%.*s.%s %s NXDOMAIN\n", length, marks, origin, i == 1 ? "AAAA" : "A");
        }
        fprintf(out, "%.*s.www.nothing-%d.%s A NXDOMAIN\n", length, marks, length, origin);
    }
}

static void miss(FILE *out, const char *origin)
{
    fprintf(out, "%.*s.%s %s NXDOMAIN\n", (int)(8 + draw(8)), "????????????????", origin,
            draw(3) == 0 ? "AAAA" : "A");
}

// ---- The sets ----

static void small(uint64_t questions)
{
    FILE *out = create("zones/", "small.test.zone");
    soa(out, "small.test.");
    fprintf(out, "@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\nns2 AAAA 2001:db8::2\n"
                 "@ A 192.0.2.80\n@ AAAA 2001:db8::80\n@ MX 10 mail\n@ MX 20 mail.other.test.\n"
                 "@ TXT \"v=spf1 mx -all\"\nmail A 192.0.2.25\nmail AAAA 2001:db8::25\n"
                 "www CNAME h1\n*.wild A 192.0.2.99\n*.wild TXT \"anything\"\n"
                 "_sip._tcp SRV 0 5 5060 h2\n");
    for (uint64_t i = 0; i < 900; i++) {
        char owner[16];
        snprintf(owner, sizeof owner, "h%u", (unsigned)i);
        address(out, owner, mix(i));
        if (i % 2 == 1) {
            address6(out, owner, mix(i));
        }
        if (i % 10 == 0) {
            fprintf(out, "c%u CNAME h%u\n", (unsigned)i, (unsigned)i + 1);
        }
    }
    for (unsigned i = 0; i < 20; i++) {
        fprintf(out, "sub%u NS ns.sub%u\nsub%u NS ns.other.test.\n", i, i, i);
        fprintf(out, "ns.sub%u A 192.0.2.%u\n", i, 100 + i);
    }
    done(out);
    link_plain("small.test");

    out = create("", "hits.q");
    for (uint64_t i = 0; i < questions; i++) {
        uint64_t host = draw(450) * 2 + 1;
        fprintf(out, "h%u.small.test %s\n", (unsigned)host, draw(2) == 0 ? "A" : "AAAA");
    }
    done(out);
    out = create("", "mixed.q");
    for (uint64_t i = 0; i < questions; i++) {
        unsigned host = (unsigned)draw(450) * 2 + 1;
        switch (draw(20)) {
        case 0:
            fprintf(out, "small.test MX\n");
            break;
        case 1:
            fprintf(out, "small.test TXT\n");
            break;
        case 2:
            fprintf(out, "www.small.test A\n");
            break;
        case 3:
            fprintf(out, "c%u.small.test AAAA\n", host / 10 * 10);
            break;
        case 4:
            fprintf(out, "x%u.wild.small.test A\n", host);
            break;
        case 5:
            fprintf(out, "www.sub%u.small.test A\n", host % 20);
            break;
        case 6:
            fprintf(out, "h%u.small.test TXT\n", host);
            break;
        case 7:
        case 8:
            miss(out, "small.test");
            break;
        case 9:
        case 10:
        case 11:
            fprintf(out, "h%u.small.test AAAA\n", host);
            break;
        default:
            fprintf(out, "h%u.small.test A\n", host);
        }
    }
    done(out);
    out = create("", "misses.q");
    misses(out, "small.test");
    done(out);
}

// Delegation n. The first 100 are the zone's own hosters, which many of the others use.
static void delegation(FILE *out, FILE *plain, uint64_t n)
{
    char name[32];
    uint64_t bits = mix(n + UINT64_C(0x7000000));
    unsigned kind = n < 100 ? 9 : (unsigned)(bits % 10);
    FILE *both[] = {out, plain};
    label(n, name);
    for (int i = 0; i < 2; i++) {
        FILE *file = both[i];
        if (kind < 5) { // servers elsewhere; a few hosters have most
            unsigned hoster = (unsigned)((bits >> 8) % (1 + (bits >> 24) % 1000));
            fprintf(file, "%s NS ns1.hoster%u.example.\n%s NS ns2.hoster%u.example.\n", name,
                    hoster, name, hoster);
        } else if (kind < 7) {
            char hoster[32];
            label((bits >> 8) % 100, hoster);
            fprintf(file, "%s NS ns1.%s\n%s NS ns2.%s\n", name, hoster, name, hoster);
        } else { // servers of its own, with glue
            char host[48];
            fprintf(file, "%s NS ns1.%s\n%s NS ns2.%s\n", name, name, name, name);
            snprintf(host, sizeof host, "ns1.%s", name);
            address(file, host, bits >> 8);
            snprintf(host, sizeof host, "ns2.%s", name);
            address(file, host, bits >> 12);
            if (bits >> 63 == 0) {
                address6(file, host, bits >> 16);
            }
        }
    }
    if ((bits >> 40) % 10 < 4) {
        fprintf(out, "%s DS %u 13 2 %016llx%016llx%016llx%016llx\n", name,
                (unsigned)(bits >> 44 & 0xffff), (unsigned long long)mix(bits),
                (unsigned long long)mix(bits + 1), (unsigned long long)mix(bits + 2),
                (unsigned long long)mix(bits + 3));
    }
}

static void referral_question(FILE *out, uint64_t number, bool ds)
{
    char name[32];
    uint64_t n = draw(number);
    label(n, name);
    if (ds && draw(15) == 0) {
        fprintf(out, "%s.tld DS\n", name);
        return;
    }
    static const char *const below[] = {"", "", "", "www.", "www.", "www.", "mail.", "ns1."};
    fprintf(out, "%s%s.tld %s\n", below[draw(8)], name, draw(3) == 0 ? "AAAA" : "A");
}

static void tld(uint64_t number, uint64_t questions)
{
    FILE *out = create("zones/", "tld.zone");
    FILE *plain = create("zones-plain/", "tld");
    FILE *both[] = {out, plain};
    for (int i = 0; i < 2; i++) {
        soa(both[i], "tld.");
        fprintf(both[i], "@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n");
    }
    for (uint64_t n = 0; n < number; n++) {
        delegation(out, plain, n);
    }
    done(out);
    done(plain);

    out = create("", "hits.q");
    for (uint64_t i = 0; i < questions; i++) {
        referral_question(out, number, false);
    }
    done(out);
    out = create("", "mixed.q");
    for (uint64_t i = 0; i < questions; i++) {
        if (draw(5) == 0) {
            miss(out, "tld");
        } else {
            referral_question(out, number, true);
        }
    }
    done(out);
    out = create("", "misses.q");
    misses(out, "tld");
    done(out);
}

static const char *host_zone(uint64_t n, char *out)
{
    static const char *const tops[] = {"com", "com", "com", "net", "org"};
    char name[32];
    sprintf(out, "%s.%s", label(n, name), tops[mix(n) % 5]);
    return out;
}

static void hosts(uint64_t number, uint64_t questions)
{
    char name[64];
    for (uint64_t n = 0; n < number; n++) {
        char file[80];
        uint64_t bits = mix(n + UINT64_C(0x3000000));
        host_zone(n, name);
        snprintf(file, sizeof file, "%s.zone", name);
        FILE *out = create("zones/", file);
        fprintf(out,
                TTL "@ SOA ns1.hosting.example. hostmaster.hosting.example. 1000000001 7200 "
                    "3600 1209600 300\n@ NS ns1.hosting.example.\n@ NS ns2.hosting.example.\n");
        address(out, "@", bits);
        if (bits % 2 == 0) {
            address(out, "www", bits);
        } else {
            fprintf(out, "www CNAME %s.\n", name); // YADIFA knows no @ here
        }
        fprintf(out, "@ MX 10 mail\n");
        address(out, "mail", bits >> 8);
        done(out);
        link_plain(name);
    }
    FILE *hits = create("", "hits.q");
    FILE *mixed = create("", "mixed.q");
    for (uint64_t i = 0; i < questions; i++) {
        host_zone(draw(number), name);
        uint64_t kind = draw(20);
        if (kind < 10) {
            fprintf(hits, "www.%s A\n", name);
        } else {
            fprintf(hits, "%s %s\n", name, kind < 17 ? "A" : "MX");
        }
        if (kind < 4) {
            miss(mixed, name);
        } else {
            fprintf(mixed, "%s%s %s\n", kind < 12 ? "www." : "", name, kind < 18 ? "A" : "AAAA");
        }
    }
    done(hits);
    done(mixed);
    FILE *out = create("", "misses.q");
    for (uint64_t i = 0; i < questions / 10 + 1; i++) {
        miss(out, host_zone(draw(number), name));
    }
    done(out);
}

static void big(uint64_t number, uint64_t questions)
{
    char name[64];
    FILE *out = create("zones/", "big.test.zone");
    soa(out, "big.test.");
    fprintf(out, "@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\nns2 A 192.0.2.2\n");
    for (uint64_t n = 0; n < number; n++) {
        address(out, label(n, name), mix(n));
        if (n % 4 == 0) {
            address6(out, name, mix(n));
        }
    }
    done(out);
    link_plain("big.test");
    FILE *hits = create("", "hits.q");
    FILE *mixed = create("", "mixed.q");
    for (uint64_t i = 0; i < questions; i++) {
        label(draw(number), name);
        fprintf(hits, "%s.big.test A\n", name);
        switch (draw(5)) {
        case 0:
            miss(mixed, "big.test");
            break;
        case 1:
            fprintf(mixed, "%s.big.test AAAA\n", name);
            break;
        default:
            fprintf(mixed, "%s.big.test A\n", name);
        }
    }
    done(hits);
    done(mixed);
    out = create("", "misses.q");
    misses(out, "big.test");
    done(out);
}

// None of RFC 6761's names, which resolvers answer themselves.
static void proxied(uint64_t number)
{
    char name[64];
    FILE *hits = create("", "hits.q");
    FILE *out = create("", "misses.q");
    for (uint64_t n = 0; n < number; n++) {
        fprintf(hits, "www.%s.rrdns.example A\n", label(n, name));
        fprintf(out, "????????????.%s.rrdns.example A\n", name);
    }
    done(hits);
    done(out);
}

int main(int argc, char **argv)
{
    const char *set = argc > 1 ? argv[1] : "";
    uint64_t number = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    uint64_t questions = argc > 4 ? strtoull(argv[4], NULL, 10) : 500000;
    if (argc < 3 || argc > 5 || questions == 0) {
        fprintf(stderr,
                "usage: zones small|tld|hosts|big|proxied DIRECTORY [NUMBER [QUESTIONS]]\n");
        return 2;
    }
    directory = argv[2];
    mkdir(directory, 0755);
    make_folder("zones");
    make_folder("zones-plain");
    if (strcmp(set, "small") == 0) {
        small(questions);
    } else if (strcmp(set, "tld") == 0) {
        tld(number > 0 ? number : 1000000, questions);
    } else if (strcmp(set, "hosts") == 0) {
        hosts(number > 0 ? number : 100000, questions);
    } else if (strcmp(set, "big") == 0) {
        big(number > 0 ? number : 1000000, questions);
    } else if (strcmp(set, "proxied") == 0) {
        proxied(number > 0 ? number : 4000);
    } else {
        fprintf(stderr, "zones: there is no set \"%s\"\n", set);
        return 2;
    }
    return 0;
}

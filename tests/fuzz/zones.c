#include "zones.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "dns/name.h"
#include "zone/zone_build.h"
#include "zone/zone_load.h"

/* Apex and master file. Names lead from one zone into the others. */
static const char *const texts[FUZZ_ZONES][2] = {
    {"example.",
     "$TTL 3600\n"
     "@ SOA ns host 7 7200 900 86400 300\n"
     "@ NS ns\n@ NS ns.sub\n@ NS ns.other.test.\n"
     "@ MX 10 Mail\n@ MX 20 mail2.other.test.\n"
     "@ HTTPS 1 . alpn=h2\n@ A 192.0.2.80\n@ AAAA 2001:db8::80\n"
     "@ CAA 0 issue \"ca.test\"\n"
     "ns A 192.0.2.1\nns AAAA 2001:db8::1\n"
     "mx MX 1 a.b.mail\nmx MX 2 b.mail\nmx MX 3 a.b.test.\nmx MX 4 c.b.test.\nmx MX 5 b.test.\n"
     "mx MX 6 mx\n"
     "Mail 60 A 192.0.2.2\n"
     "*.wild TXT \"any\" \"two\"\n*.wild MX 5 a.wild\n*.wild NS ns\na.wild A 192.0.2.3\n"
     "*.alias CNAME a.wild\n*.cut.wild A 192.0.2.9\n"
     "sub NS ns.sub\nsub NS ns\nsub NS ns.deep.sub\n"
     "sub DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
     "ns.sub A 192.0.2.4\nns.sub AAAA 2001:db8::4\nns.deep.sub A 192.0.2.44\n"
     "child NS ns.child\nns.child A 192.0.2.5\n"
     "old DNAME new\nold TXT \"beside\"\nbelow.old A 192.0.2.5\n"
     "x.new CNAME www\nwww CNAME web\nweb A 192.0.2.6\n"
     "web HTTPS 0 svc\nsvc HTTPS 0 pool\npool HTTPS 1 . port=8443 ipv4hint=192.0.2.7\n"
     "pool A 192.0.2.7\npool AAAA 2001:db8::7\n"
     "_sip._tcp SRV 1 2 5060 web\n_sip._tcp SRV 1 2 5061 mail\n_sip._tcp SRV 0 0 0 .\n"
     "deep.er.and.deeper TXT \"x\"\n"
     "odd\\!\\000\\255 TXT \"octets\"\n"
     "away CNAME www.other.test.\ngone CNAME a.nowhere.test.\nlost CNAME a.dead.\nloop CNAME loop.other.test.\n"
     "naptr NAPTR 1 2 \"s\" \"SIP+D2T\" \"\" _sip._tcp\n"
     "host HINFO \"PC\" \"OS\"\nrp RP host.mail .\nminfo MINFO mail mail\n"
     "un TYPE65534 \\# 4 01020304\n"},
    {"child.example.",
     "@ 3600 SOA ns.child.example. host.example. 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.5\n"
     "www 60 CNAME www.example.\n* 60 CNAME *\na.* 60 A 192.0.2.6\n"},
    {"Other.TEST.",
     "$TTL 1h\n@ SOA @ @ 1 1h 15m 1w 10\n@ NS ns.example.\n@ NS Ns\nNs A 192.0.2.10\n"
     "www CNAME x.old.example.\nloop CNAME loop.example.\n"
     "c1 CNAME c2\nc2 CNAME c3\nc3 CNAME c4\nc4 CNAME c5\nc5 CNAME c6\nc6 CNAME c7\nc7 CNAME c8\n"
     "c8 CNAME c9\nc9 CNAME c10\nc10 CNAME c11\nc11 CNAME c12\nc12 CNAME c13\nc13 CNAME c14\n"
     "c14 CNAME c15\nc15 CNAME c16\nc16 CNAME c17\nc17 CNAME c18\nc18 A 192.0.2.11\n"
     "d DNAME d.d\ne DNAME example.\n"
     "long DNAME abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz"
     ".abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.example.\n"},
    {"0.8.b.d.0.1.0.0.2.ip6.arpa.",
     "@ 60 SOA ns.example. host.example. 1 2 3 4 5\n@ 60 NS ns.example.\n"
     "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0 60 PTR ns.example.\n"
     "* 60 PTR unknown.example.\n"},
    {"*.star.",
     "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\n* 60 MX 1 @\n*.* 60 A 192.0.2.1\nns 60 A 192.0.2.2\n"},
    {"nsec.test.",
     "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n"
     "@ NSEC b.ent.nsec.test. SOA NS RRSIG NSEC\nb.ent A 192.0.2.1\n"
     "b.ent NSEC cut.nsec.test. A\ncut NS ns.cut\n"
     "cut DS 1 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
     "cut NSEC D.nsec.test. NS DS\nns.cut A 192.0.2.2\nns.cut NSEC x.cut.nsec.test. A\n"
     "D DNAME w\nD NSEC lost.nsec.test. DNAME\nx.D A 192.0.2.2\nlost NS ns.cut\n"
     "lost NSEC ns.nsec.test. NS\nns A 192.0.2.3\nns NSEC *.w.nsec.test. A\n"
     "*.w CNAME away.nsec3.test.\n*.w NSEC nsec.test. CNAME\n"
     "junk NSEC3 1 0 0 - 00000000000000000000000000000000 A\nnone TXT none\n"
     "@ RRSIG SOA 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "@ RRSIG NS 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "@ RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "b.ent RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "b.ent RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "cut RRSIG NS 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "cut RRSIG DS 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "cut RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "ns.cut RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "ns.cut RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "D RRSIG DNAME 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "D RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "x.D RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "lost RRSIG NS 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "lost RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "ns RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "ns RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "*.w RRSIG CNAME 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "*.w RRSIG NSEC 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "junk RRSIG NSEC3 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"
     "none RRSIG TXT 13 1 60 20300101000000 20200101000000 1 nsec.test. AAAA\n"},
    {"nsec3.test.",
     "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\n@ NSEC3PARAM 1 0 1 aa\nns A 192.0.2.1\n"
     "a A 192.0.2.2\n*.w A 192.0.2.3\naway DNAME ent.nsec.test.\ncut NS ns\n"
     "ent.b.c A 192.0.2.4\n"
     "kpscpfj4ftj36tkc3bbnqocfm71aottq NSEC3 1 1 1 aa vbrparej0rb59sv2j1580puflfib2964 SOA NS\n"
     "vbrparej0rb59sv2j1580puflfib2964 NSEC3 1 1 1 aa 8ng561c92m4f7vjegl6r2sudabnqfhc3 A\n"
     "8ng561c92m4f7vjegl6r2sudabnqfhc3 NSEC3 1 0 1 aa 8to7r6h52ep7s50jaldacnv57tuao59t A\n"
     "8to7r6h52ep7s50jaldacnv57tuao59t NSEC3 1 0 1 aa kpscpfj4ftj36tkc3bbnqocfm71aottq\n"
     "vbrparej0rb59sv2j1580puflfib2965 NSEC3 1 0 2 bb 8ng561c92m4f7vjegl6r2sudabnqfhc3 A\n"
     "@ RRSIG SOA 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "@ RRSIG NS 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "@ RRSIG NSEC3PARAM 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "ns RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "a RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "*.w RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "away RRSIG DNAME 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "cut RRSIG NS 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "ent.b.c RRSIG A 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "kpscpfj4ftj36tkc3bbnqocfm71aottq RRSIG NSEC3 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "vbrparej0rb59sv2j1580puflfib2964 RRSIG NSEC3 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "8ng561c92m4f7vjegl6r2sudabnqfhc3 RRSIG NSEC3 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "8to7r6h52ep7s50jaldacnv57tuao59t RRSIG NSEC3 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"
     "vbrparej0rb59sv2j1580puflfib2965 RRSIG NSEC3 13 1 60 20300101000000 20200101000000 1 nsec3.test. AAAA\n"},
    {"big.",
     "$TTL 60\n@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n"
     "$GENERATE 1-60 txt TXT \"some text to fill the room of an answer, number $\"\n"
     "$GENERATE 1-40 mx MX $ mx-$.mail\n$GENERATE 1-40 mx-$.mail A 192.0.2.$\n"
     "$GENERATE 1-40 mx-$.mail AAAA 2001:db8::$\n"
     "$GENERATE 1-13 cut NS ns-$.cut\n$GENERATE 1-13 ns-$.cut A 192.0.2.$\n"
     "$GENERATE 1-13 ns-$.cut AAAA 2001:db8::$\n"
     "$GENERATE 1-300 huge MX $ a-rather-long-label-for-a-mail-server-$.somewhere.else.test.\n"
     "$GENERATE 0-255 all A 10.0.0.$\n$GENERATE 0-255 all A 10.0.1.$\n"
     "$GENERATE 0-255 all A 10.0.2.$\n$GENERATE 0-255 all A 10.0.3.$\n"
     "all TXT \"all\"\nall MX 1 mx-1.mail\nall MX 2 mx-2.mail\n"
     "$GENERATE 1-40 *.w MX $ mx-$.mail\n"},
    {"deep.sub.example.", "@ 60 SOA ns host 1 2 3 4 5\n@ 60 NS ns\n"},
    {"dead.", "@ 60 SOA ns host 1 2 3 4 5\n"},
};

static void check(int error, const struct diag *diag)
{
    if (error != RR_OK) {
        const char *fault = diag_first_fault(diag);
        fprintf(stderr, "fuzz_zone: %s\n", fault != NULL ? fault : rr_strerror(error));
        abort();
    }
}

struct zone *fuzz_zone_of(const char *name, const char *text)
{
    uint8_t apex[NAME_MAX_OCTETS];
    struct diag diag = {0};
    struct source_list sources = {0};
    struct zone *zone;
    check(name_from_text(name, strlen(name), NULL, apex), &diag);
    struct records *records = records_new(apex);
    check(records == NULL ? RR_ENOMEM : RR_OK, &diag);
    check(zone_scan_text(name, text, strlen(text), apex, 1, records, &sources, &diag), &diag);
    check(zone_build(records, 1, &diag, &zone), &diag);
    records_free(records);
    source_list_clear(&sources);
    diag_clear(&diag);
    return zone;
}

struct zone *fuzz_zone(size_t index)
{
    return fuzz_zone_of(texts[index][0], texts[index][1]);
}

/*
 * An upstream server of the tests' own, on a thread: UDP and TCP at one port of 127.0.0.1, TLS at
 * another. What it does with a question stands in the question's name, whose labels are read from
 * the left for as long as they are words of the list below, some with a number ("ttl-5"):
 *
 *   ok                  the plain answer (also where the first label is no word)
 *   ttl-S               with TTLs of S seconds, else 300; SOA minimum too
 *   late-MS             whatever it is, so much later
 *   drop-N              the first N of this name and type get nothing
 *   nodata nxdomain     with a SOA; nosoa, besides: without one
 *   servfail refused notimp     that RCODE
 *   ede-N               with that INFO-CODE
 *   chain               a CNAME to t.NAME and its address
 *   many-N              N records
 *   truncated           TC over UDP, all over TCP
 *   huge                60 KiB (so TC over UDP)
 *   behind              an additional record behind OPT
 *   twice               the answer two times
 *   wrongid wrongquestion wrongtype wrongcase   nearly the answer
 *   wrongsource         from another port
 *   wrongcookie         with another client's cookie
 *   badcookie           BADCOOKIE until the server's cookie comes
 *   noedns              FORMERR with nothing but a header where the question has an OPT
 *   empty               NOERROR without even a question
 *   garbage-N           0 random octets, 1 too short, 2 fewer records than told of, 3 a pointer to
 *                       itself, 4 QR clear, 5 octets behind, 6 an OPT that is not whole, 7 two OPT
 *   silent              nothing
 *   reset half stuck    TC over UDP; over TCP a reset, the half of an answer and the end, nothing
 *   loop                sent to where scripted_loop says, with all that is in it, and what comes
 *                       from there sent back
 *
 * The plain answer to a name and type can be told from that to any other: see scripted_rdata. Every
 * answer has all that is the upstream's own business: AD with AD or DO, options of EDNS, a
 * signature (not a good one) with DO.
 */
#ifndef E2E_SCRIPTED_H
#define E2E_SCRIPTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCRIPTED_OPTION = 65001, /* in all its answers, with NSID */
    SCRIPTED_TYPE = 65280,   /* a type of which it has data, besides A, AAAA, TXT, MX, SOA */
    SCRIPTED_RDATA_MAX = 300,
    SCRIPTED_LOG_MAX = 50000, /* questions that are kept; more are counted */
};

struct scripted;

enum scripted_way { BY_UDP, BY_TCP, BY_TLS };

/* A question as it came. */
struct scripted_question {
    uint64_t ms; /* of clock_ms() */
    enum scripted_way way;
    uint16_t port; /* of who asked */
    uint16_t id, flags, type, class;
    uint8_t name[256]; /* wire form, case kept */
    uint8_t name_size;
    bool edns;
    uint16_t edns_size, edns_flags;
    uint8_t options[128]; /* what of them fits */
    uint16_t options_size;
    uint8_t cookie[40];
    uint8_t cookie_size;
};

/*
 * Starts one; certificate and key are files for TLS, or NULL. It ends with scripted_end, which
 * is harmless with NULL.
 */
struct scripted *scripted_begin(const char *certificate, const char *key);
void scripted_end(struct scripted *s);
uint16_t scripted_port(const struct scripted *s);
uint16_t scripted_tls_port(const struct scripted *s);

/* Its sockets are closed, connections reset: who asks is told so by ICMP. And open again. */
void scripted_kill(struct scripted *s);
void scripted_revive(struct scripted *s);

/* ---- How it is, from now on ---- */

void scripted_silence(struct scripted *s, bool silent);     /* takes all, says nothing */
void scripted_delay(struct scripted *s, unsigned ms);       /* all answers so much later */
void scripted_servfail(struct scripted *s, bool fails);     /* to everything */
void scripted_version(struct scripted *s, uint8_t version); /* of its data; 1 at first */
void scripted_authoritative(struct scripted *s, bool is);   /* AA, no RA */
void scripted_loop(struct scripted *s, uint16_t port);      /* of 127.0.0.1 */
void scripted_handshake(struct scripted *s, unsigned ms);   /* TLS begins so late */

/* ---- What it saw ---- */

uint64_t scripted_count(struct scripted *s); /* questions since it began */
/* Connections that it took. */
unsigned scripted_connections(struct scripted *s);
/* How often a name (text, any case) was asked for, with a type (NULL: any), since
 * scripted_forget. */
unsigned scripted_asked(struct scripted *s, const char *name, const char *type);
/* The last such question. Fails the test where there was none. */
struct scripted_question scripted_last(struct scripted *s, const char *name, const char *type);
/* All of them that are kept; to be freed. */
struct scripted_question *scripted_all(struct scripted *s, size_t *count);
void scripted_forget(struct scripted *s);

/* ---- What it answers ---- */

/*
 * RDATA of the plain answer for a name (wire form, case ignored) and type; its size, 0 where there
 * is no data of the type. Record n of those of "many". For A: the version, then three octets of a
 * hash of the name and type; AAAA, SCRIPTED_TYPE: likewise with more of it; TXT: the version and
 * the hash in hexadecimal.
 */
size_t scripted_rdata(const uint8_t *name, size_t name_size, uint16_t type, uint8_t version,
                      unsigned n, uint8_t rdata[SCRIPTED_RDATA_MAX]);
/* What ask_once() says of it: "NOERROR 1.2.3.4" (static). */
const char *scripted_text(const char *name, const char *type, uint8_t version);

#endif

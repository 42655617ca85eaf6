/*
 * Those who check what is signed: unbound as a validating resolver before our server, delv, ldns;
 * and the tools that make keys and sign zones.
 */
#ifndef E2E_RESOLVER_H
#define E2E_RESOLVER_H

#include <ldns/ldns.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon.h"

/* ---- Keys and signed zones ---- */

/* A zone's keys: names of their files without the ending, and the first one's public part, as the
 * trust anchor that a validator begins with. */
struct zone_keys {
    char zone[128]; /* absolute */
    char dir[PATH_MAX];
    char ksk[160], zsk[160]; /* with the server's own keys, zsk is "" */
    char anchor[1024]; /* a DNSKEY record */
    char ds[512];     /* the DS record for the parent */
};

/* Makes a key signing and a zone signing key, of algorithm 13, in the directory. */
void keys_make(struct zone_keys *keys, const char *dir, const char *zone);

/* Reads the directory for a key with the SEP flag that is there already, and its anchor and DS. */
void keys_read(struct zone_keys *keys, const char *dir, const char *zone);

enum signer { SIGNER_LDNS, SIGNER_BIND };
enum signer_denial { SIGNS_NSEC, SIGNS_NSEC3, SIGNS_OPT_OUT };

/* Signs the text of a master file. Returns that of the signed one, to be freed. */
char *zone_sign(const struct zone_keys *keys, const char *text, enum signer signer,
                enum signer_denial denial);

/* ---- unbound ---- */

struct resolver {
    pid_t pid; /* 0: does not run */
    uint16_t port;
    char log[PATH_MAX];
};

/*
 * Starts it with a directory of its own, as the resolver that asks the server for these zones and
 * nobody else for anything, and waits until it answers. Zones with anchor[0] set are to be
 * validated. more: further lines of its "server:" clause, or NULL.
 */
void resolver_start(struct resolver *resolver, const char *name, const struct daemon *daemon,
                    const struct zone_keys *zones, size_t count, const char *more);
void resolver_stop(struct resolver *resolver); /* harmless where it does not run */

/* What it says, "NOERROR AD", "NXDOMAIN", "SERVFAIL" (static). */
const char *resolver_ask(const struct resolver *resolver, const char *name, const char *type);

/* ---- delv ---- */

struct delv_question {
    const char *name, *type;
};

/* What `delv` prints that asks the server and validates from the zone's keys, for each question:
 * texts, to be freed. It mostly waits, so several run at once. */
void delv(const struct daemon *daemon, const struct zone_keys *keys,
          const struct delv_question *questions, size_t count, char **said);

/* ---- ldns ---- */

/* Any query to the server and its answer, to be freed by packet_free. */
struct packet;
struct query_spec;
void query_ask(const struct daemon *daemon, bool stream, const struct query_spec *query,
               struct packet *packet);

/* A question with DO over UDP, or a stream, and the answer, to be freed by packet_free. With a UDP
 * size of 0 it has no EDNS, and so no DO. */
void signed_ask(const struct daemon *daemon, bool stream, uint16_t udp_size, const char *name,
                const char *type, struct packet *packet);

/*
 * Checks every RRset of the answer with each of the signatures it comes with, by the DNSKEY that the
 * server gives for the signer's name, which must be one of the zones. Returns NULL, or what is
 * wrong (static): only a CNAME that a DNAME made, NS in the authority section of a referral and the
 * addresses below it have and need none, and what stands in a zone without keys needs none.
 */
const char *signatures_fault(const struct daemon *daemon, const struct zone_keys *zones,
                             size_t count, const struct packet *packet);

/* Whether the answer's NSEC or NSEC3 deny the name and type. Returns NULL, or what ldns says. */
const char *denial_fault(const struct packet *packet, const char *name, const char *type);

#endif

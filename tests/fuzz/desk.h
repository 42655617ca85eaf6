/*
 * A desk: questions put to zones without a socket, for fuzzing and for the unit test of images.
 * Functions are static here, so that programs of both folders can have them.
 */
#ifndef RRDNS_TESTS_DESK_H
#define RRDNS_TESTS_DESK_H

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/message.h"
#include "dns/name.h"
#include "dns/rrtype.h"
#include "dns/wire.h"
#include "serve/serve.h"
#include "wire_check.h"
#include "zone/zone.h"

enum {
    DESK_ZONES = 16,
    DESK_UDP_MAX = 1232, /* the payload the server takes */
    DESK_WALL = 1700000000,
    DESK_QUERY_MAX = MESSAGE_HEADER + NAME_MAX_OCTETS + 4 + 11,
};

struct desk {
    struct counters counters;
    struct zone_counts counts[DESK_ZONES];
    struct serve *serve;
    struct world *world;
    uint8_t stream[SERVE_STREAM_ROOM];
};

/* What must not be out of memory. */
static inline void desk_require(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "desk: %s\n", what);
        abort();
    }
}

/* d is zeroed. zones: count of them, each reference is taken over; or none. */
static inline void desk_open(struct desk *d, struct zone *const *zones, size_t count)
{
    const uint8_t *names[DESK_ZONES];
    uint32_t order[DESK_ZONES];
    static const struct settings settings = {
        .udp_payload_max = DESK_UDP_MAX,
        .nsid = "desk",
        .nsid_size = 4,
        .version = "1",
        .hostname = "desk",
        .cookies = true,
        .cookie_secret = "0123456789abcde",
        .cookie_secret_before = "fedcba987654321",
        .tcp_keepalive = 100,
    };
    desk_require(count <= DESK_ZONES, "too many zones");
    if (d->serve == NULL) {
        d->serve = serve_new(&d->counters, d->counts);
        desk_require(d->serve != NULL, "no memory");
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = zones[i]->head->apex_name;
    }
    struct zone_index *index;
    desk_require(zone_index_new(names, count, order, &index) == 0, "no index");
    d->world = world_new(index, &settings);
    desk_require(d->world != NULL, "no memory");
    zone_index_unref(index);
    for (size_t i = 0; i < count; i++) {
        d->world->zones[order[i]] = (struct world_zone){.zone = zones[i], .slot = (uint32_t)i};
    }
}

/* Gives the zones back; the desk can be opened again. */
static inline void desk_close(struct desk *d)
{
    world_free(d->world);
    d->world = NULL;
}

static inline void desk_end(struct desk *d)
{
    desk_close(d);
    serve_free(d->serve);
    d->serve = NULL;
}

/*
 * One message. Returns the octets of the answer, 0 where there is none, and *answer, good until
 * the next question. A datagram may be answered with up to size octets.
 */
static inline size_t desk_ask(struct desk *d, const void *query, size_t query_size, int stream,
                              size_t size, const uint8_t **answer)
{
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(53)};
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    uint8_t *out = malloc(size + 1); /* exact, so that a write past it is seen */
    desk_require(out != NULL, "no memory");
    struct serve_request request = {
        .in = query,
        .in_size = query_size,
        .peer = (const struct sockaddr *)&peer,
        .stream = stream != 0,
        .out = out,
        .out_size = size,
    };
    struct serve_stream answers = {.data = d->stream, .size = sizeof d->stream};
    size_t served = serve_batch(d->serve, d->world, &request, 1, &answers,
                                (struct serve_time){DESK_WALL, 1});
    desk_require(served == 1, "not served");
    if (serve_has_later(d->serve)) {
        serve_later(d->serve, d->world, &request, 1, 0, DESK_WALL);
    }
    size_t octets = request.verdict == SERVE_SEND ? request.out_size : 0;
    desk_require(octets == request.out_size, "dropped, but with an answer");
    if (stream) {
        desk_require(answers.used == (octets > 0 ? octets + 2 : 0), "stream is longer or shorter");
        *answer = d->stream + 2;
    } else {
        desk_require(octets <= size, "answer is larger than its room");
        memcpy(d->stream, out, octets);
        *answer = d->stream;
    }
    free(out);
    return octets;
}

/* A query for a name and type; with an OPT that has this payload size and DO, unless it is 0. */
static inline size_t desk_query(const uint8_t *name, uint16_t type, uint16_t payload,
                                uint8_t query[DESK_QUERY_MAX])
{
    struct wire_writer w = wire_writer_init(query, DESK_QUERY_MAX);
    wire_write_u16(&w, 0x1234);
    wire_write_u16(&w, 0);
    wire_write_u16(&w, 1);
    wire_write_u32(&w, 0);
    wire_write_u16(&w, payload != 0);
    wire_write_octets(&w, name, name_size(name));
    wire_write_u16(&w, type);
    wire_write_u16(&w, CLASS_IN);
    if (payload != 0) {
        wire_write_u8(&w, 0);
        wire_write_u16(&w, RRTYPE_OPT);
        wire_write_u16(&w, payload);
        wire_write_u32(&w, EDNS_DO);
        wire_write_u16(&w, 0);
    }
    desk_require(!w.failed, "query too long");
    return w.pos;
}

/* Called with every question and its answer. */
typedef void desk_answered(void *context, const uint8_t *query, size_t query_size,
                           const uint8_t *answer, size_t size);

/* A question as a small datagram, a large one, and over a stream. */
static inline void desk_question(struct desk *d, const uint8_t *name, uint16_t type,
                                 desk_answered *answered, void *context)
{
    static const uint16_t payloads[] = {0, 4096, 4096};
    for (int way = 0; way < 3; way++) {
        uint8_t query[DESK_QUERY_MAX];
        const uint8_t *answer;
        size_t asked = desk_query(name, type, payloads[way], query);
        size_t size = desk_ask(d, query, asked, way == 2, DESK_UDP_MAX, &answer);
        if (answered != NULL) {
            answered(context, query, asked, answer, size);
        }
    }
}

/* Reads all that a node holds, and asks for it and for what is not there. */
static inline void desk_node(struct desk *d, const struct zone *zone, const struct node *node,
                             desk_answered *answered, void *context)
{
    static const uint16_t types[] = {RRTYPE_A,  RRTYPE_NS,    RRTYPE_DS,
                                     RRTYPE_MX, RRTYPE_HTTPS, RRTYPE_ANY};
    static uint8_t rdata[MESSAGE_MAX];
    uint8_t name[NAME_MAX_OCTETS], below[2 + NAME_MAX_OCTETS] = {1, 'q'};
    struct key key;
    struct zone_match match;
    size_t size = node_name(zone, node, name);
    desk_require(name_check(name, sizeof name) == size, "a node without a name");
    key_from_name(name, &key);
    zone_lookup(zone, &key, &match);
    bool hidden = (node->flags & NODE_NSEC3) != 0; /* but not where it has names below it */
    desk_require(match.node == node || (hidden && match.node == NULL),
                 "a node is not found by its name");
    zone_before(zone, &key);

    const struct rrset *rrset = node_first_rrset(node);
    for (unsigned i = 0; i < node->rrsets; i++, rrset = rrset_next(rrset)) {
        size_t position = 0, records = 0;
        while (rrset_rdata(rrset, name, &position, rdata) >= 0) {
            records++;
        }
        desk_require(records == rrset->count, "not as many records as there are");
        desk_require(node_rrset(node, rrset->type) == rrset, "an RRset is not found by its type");
        desk_question(d, name, rrset->type, answered, context);
    }
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        desk_question(d, name, types[i], answered, context);
    }
    if (size + 2 <= NAME_MAX_OCTETS) {
        memcpy(below + 2, name, size);
        key_from_name(below, &key);
        zone_before(zone, &key);
        desk_question(d, below, RRTYPE_A, answered, context);
        desk_question(d, below, RRTYPE_MX, answered, context);
    }
}

/* The whole of a zone, which is then given back. */
static inline void desk_walk(struct desk *d, struct zone *zone, desk_answered *answered,
                             void *context)
{
    desk_open(d, &zone, 1);
    size_t nodes = 0;
    for (const struct node *node = zone_first(zone); node != NULL; node = zone_next(zone, node)) {
        desk_node(d, zone, node, answered, context);
        nodes++;
    }
    desk_require(nodes == zone->head->nodes, "not as many nodes as there are");
    desk_close(d);
}

/* For desk_walk: ends the program where an answer is none to the query, or no well-formed
 * message. */
static inline void desk_check_answer(void *context, const uint8_t *query, size_t query_size,
                                     const uint8_t *answer, size_t size)
{
    (void)context;
    (void)query_size;
    if (size == 0 || memcmp(query, answer, 2) != 0 || !wire_check_message(answer, size)) {
        abort();
    }
}

#endif

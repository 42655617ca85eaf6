/*
 * Questions that are forwarded, and what upstream makes of them: both any octets. The first octet
 * says how the question comes (1: over a stream), of which group it is (2: origins) and when it
 * comes again (4: past the reply's time); two more are the question's octets, then come the
 * question and the reply's octets behind its own question. What is answered from the cache is the
 * reply, within the client's limit, to this question, with an OPT of ours and only for who sent
 * one.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "dns/query.h"
#include "dns/reply.h"
#include "world/routes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1, LATER = 100 };

static struct desk desk;
static struct routes routes;

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

static void open_desk(void)
{
    static const uint8_t *const root[] = {(const uint8_t *)""};
    static struct upstream_group group = {.id = 1};
    static struct prefix everybody;
    static struct route route = {.allow = &everybody, .allowed = 1};
    static struct settings settings;
    uint32_t order;
    desk_open(&desk, NULL, 0);
    routes = (struct routes){.id = 1, .route = &route, .groups = 1, .group = &group};
    routes.times = (struct cache_times){.ttl_max = 60, .negative_ttl_max = 60, .stale = 3600};
    routes.cache = proxy_cache_new(PROXY_CACHE_SIZE_MIN);
    require(routes.cache != NULL && zone_index_new(root, 1, &order, &routes.index) == 0);
    settings = desk.world->settings;
    settings.routes = &routes;
    desk.world->settings = settings;
}

/* Serves the question once; the octets of the answer in out, or 0. */
static size_t serve(const uint8_t *query, size_t size, bool stream, uint32_t now,
                    enum serve_verdict *verdict, uint8_t *out)
{
    struct sockaddr_in peer = {.sin_family = AF_INET};
    struct serve_stream answers = {.data = desk.stream, .size = sizeof desk.stream};
    struct serve_request request = {.in = query,
                                    .in_size = size,
                                    .peer = (const struct sockaddr *)&peer,
                                    .stream = stream,
                                    .out = out,
                                    .out_size = DESK_UDP_MAX};
    serve_batch(desk.serve, desk.world, &request, 1, &answers, (struct serve_time){DESK_WALL, now});
    *verdict = request.verdict;
    if (request.verdict != SERVE_SEND) {
        require(answers.used == 0);
        return 0;
    }
    if (stream) {
        memcpy(out, desk.stream + 2, request.out_size);
    }
    return request.out_size;
}

/* Keeps octets as the reply to what was left to be asked; r points into message. */
static bool keep(const struct forward *forward, const uint8_t *octets, size_t size,
                 uint8_t *message, struct reply *r)
{
    const struct relay_client *client = &forward->client;
    size_t body = relay_body_at(client);
    require(size <= MESSAGE_MAX);
    size_t header = size < MESSAGE_HEADER ? size : MESSAGE_HEADER;
    memset(message, 0, MESSAGE_HEADER);
    memcpy(message, octets, header);
    wire_put_u16(message + 4, 1);
    memcpy(message + MESSAGE_HEADER, client->qname, client->qname_size);
    wire_put_u16(message + body - 4, client->qtype);
    wire_put_u16(message + body - 2, CLASS_IN);
    size_t rest = size - header < MESSAGE_MAX - body ? size - header : MESSAGE_MAX - body;
    memcpy(message + body, octets + header, rest);
    return reply_parse(message, body + rest, r) && (r->flags & FLAG_TC) == 0 &&
           proxy_cache_put(routes.cache, &forward->question, r, &routes.times, NOW,
                           proxy_cache_epoch(routes.cache));
}

static void check(const uint8_t *query, size_t query_size, const struct reply *r, bool origin,
                  const uint8_t *answer, size_t size, bool stream)
{
    struct query q;
    struct reply said;
    require(query_parse(query, query_size, &q) == QUERY_OK);
    size_t limit = stream        ? MESSAGE_MAX
                   : !q.has_edns ? MESSAGE_UDP_MIN
                   : q.edns_size < DESK_UDP_MAX ? q.edns_size : DESK_UDP_MAX;
    size_t question = q.qname_size + 4u;
    require(size <= limit && reply_parse(answer, size, &said));
    require(said.id == q.id && memcmp(answer + MESSAGE_HEADER, query_name(&q), question) == 0);
    require(said.has_edns == q.has_edns && (said.rcode & 15) == (r->rcode & 15));
    require((said.flags & (FLAG_RD | FLAG_CD)) == (q.flags & (FLAG_RD | FLAG_CD)));
    require(((said.flags & FLAG_RA) != 0) == !origin);
    require((said.flags & FLAG_AA) == (origin ? r->flags & FLAG_AA : 0));
    if ((said.flags & FLAG_TC) != 0) {
        require(said.records == 0 && !stream);
    } else {
        require(said.body_size == r->body_size && said.records == r->records);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t out[MESSAGE_MAX], reply[MESSAGE_MAX];
    if (desk.world == NULL) {
        open_desk();
    }
    if (size < 3 || size > MESSAGE_MAX) {
        return 0;
    }
    bool stream = (data[0] & 1) != 0, origin = (data[0] & 2) != 0;
    size_t query_size = wire_get_u16(data + 1);
    const uint8_t *query = data + 3;
    query_size = query_size < size - 3 ? query_size : size - 3;
    enum serve_verdict verdict;
    routes.group[0].origin = origin;
    proxy_cache_flush(routes.cache, NULL);
    serve(query, query_size, stream, NOW, &verdict, out);
    if (verdict != SERVE_FORWARD) {
        return 0;
    }
    struct reply r;
    const struct forward *forward = serve_forwarded(desk.serve, 0);
    if (!keep(forward, query + query_size, size - 3 - query_size, reply, &r)) {
        return 0;
    }
    uint32_t now = (data[0] & 4) != 0 ? LATER : NOW;
    size_t answered = serve(query, query_size, stream, now, &verdict, out);
    require(verdict == SERVE_SEND || now == LATER);
    if (verdict == SERVE_SEND) {
        check(query, query_size, &r, origin, out, answered, stream);
    }
    return 0;
}

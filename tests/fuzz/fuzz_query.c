/*
 * Query -> answer: any message, over a set of zones. The first octet says how it comes (odd: over a
 * stream), the rest is the message. What is answered is a well-formed message within its limit, to
 * this question, and ldns can read it too.
 */
#include <ldns/ldns.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "dns/query.h"
#include "wire_check.h"
#include "zones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct desk desk;

static void open_desk(void)
{
    struct zone *zones[FUZZ_ZONES];
    for (size_t i = 0; i < FUZZ_ZONES; i++) {
        zones[i] = fuzz_zone(i);
    }
    desk_open(&desk, zones, FUZZ_ZONES);
    struct zone *dead = zones[FUZZ_ZONE_DEAD];
    desk.world->zones[world_find(desk.world, dead->head->apex_name)].zone = NULL;
    zone_unref(dead);
}

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

/* What a client that sent this query may be sent at most. */
static size_t limit_of(const uint8_t *query, size_t size, bool stream)
{
    struct query q;
    query_parse(query, size, &q);
    if (stream) {
        return MESSAGE_MAX;
    }
    if (!q.has_edns) {
        return MESSAGE_UDP_MIN;
    }
    return q.edns_size < DESK_UDP_MAX ? q.edns_size : DESK_UDP_MAX;
}

static void check_answer(const uint8_t *query, size_t query_size, bool stream,
                         const uint8_t *answer, size_t size)
{
    require(size <= limit_of(query, query_size, stream));
    require(size >= MESSAGE_HEADER);
    require(wire_get_u16(answer) == wire_get_u16(query));
    uint16_t asked = wire_get_u16(query + 2), flags = wire_get_u16(answer + 2);
    uint16_t kept = FLAG_OPCODE_MASK | FLAG_RD | FLAG_CD;
    require((flags & FLAG_QR) != 0 && (flags & kept) == (asked & kept));
    require((flags & (FLAG_RA | FLAG_AD | 0x40)) == 0);
    require(!stream || (flags & FLAG_TC) == 0 || size > MESSAGE_MAX / 2);
    require(wire_check_message(answer, size));
    if (wire_get_u16(answer + 4) == 1) {
        size_t question = name_check(query + MESSAGE_HEADER, query_size - MESSAGE_HEADER) + 4;
        require(memcmp(query + MESSAGE_HEADER, answer + MESSAGE_HEADER, question) == 0);
    }
    ldns_pkt *packet = NULL;
    require(ldns_wire2pkt(&packet, answer, size) == LDNS_STATUS_OK);
    ldns_pkt_free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (desk.world == NULL) {
        open_desk();
    }
    if (size < 1 || size > 1 + MESSAGE_MAX) {
        return 0;
    }
    bool stream = data[0] % 2 != 0;
    const uint8_t *query = data + 1, *answer;
    size_t query_size = size - 1;
    size_t answered = desk_ask(&desk, query, query_size, stream, DESK_UDP_MAX, &answer);
    if (answered > 0) {
        check_answer(query, query_size, stream, answer, answered);
        return 0;
    }
    /* Silence is for what is no query, and for what asks more of the answer's end than fits. */
    require(query_size < MESSAGE_HEADER || (query[2] & 0x80) != 0 || wire_get_u16(query + 10) > 0);
    return 0;
}

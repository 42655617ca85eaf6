/*
 * A body's compression pointers count from the header, and the question before it is as long as in
 * the message that it came in: so it is copied as it is.
 */
#include "serve/relay.h"

#include <string.h>

#include "answer/render.h"
#include "dns/wire.h"

static void fill_edns(const struct relay_client *client, const struct settings *settings,
                      const char *ede_text, struct render_edns *edns)
{
    edns->udp_size = settings->udp_payload_max;
    edns->nsid = settings->nsid;
    edns->nsid_size = client->nsid ? settings->nsid_size : 0;
    edns->keepalive = client->keepalive;
    edns->ede_text = ede_text;
    edns->cookie_size = client->cookie_size;
    memcpy(edns->cookie, client->cookie, client->cookie_size);
}

/* What is left of an answer beside its OPT. */
static size_t room_beside(const struct relay_client *client, size_t opt)
{
    size_t taken = relay_body_at(client) + opt;
    return client->limit > taken ? client->limit - taken : 0;
}

size_t relay_body_room(const struct relay_client *client, const struct settings *settings, int ede,
                       const char *ede_text)
{
    struct render_edns edns;
    if (!client->has_edns) {
        return room_beside(client, 0);
    }
    fill_edns(client, settings, ede_text, &edns);
    return room_beside(client, render_opt_size(&edns, ede));
}

static uint16_t header_flags(const struct relay_client *client, const struct relay_answer *answer,
                             bool truncated)
{
    bool wants_ad = (client->flags & FLAG_AD) != 0 || (client->edns_flags & EDNS_DO) != 0;
    unsigned flags = FLAG_QR | (client->flags & (FLAG_RD | FLAG_CD)) | answer->flags;
    flags &= wants_ad ? ~0u : ~(unsigned)FLAG_AD;
    return (uint16_t)(flags | (truncated ? FLAG_TC : 0u) | (answer->rcode & 0xfu));
}

size_t relay_finish(const struct relay_client *client, const struct settings *settings,
                    const struct relay_answer *answer, uint8_t *out, struct counters *counters)
{
    struct render_edns edns;
    size_t opt = 0;
    if (client->has_edns) {
        fill_edns(client, settings, answer->ede_text, &edns);
        opt = render_opt_size(&edns, answer->ede);
    }
    bool fits = answer->body_size <= room_beside(client, opt);
    bool truncated = !fits || (answer->flags & FLAG_TC) != 0;

    wire_put_u16(out, client->id);
    wire_put_u16(out + 2, header_flags(client, answer, truncated));
    wire_put_u16(out + 4, 1);
    for (unsigned i = 0; i < 3; i++) {
        wire_put_u16(out + 6 + (size_t)2 * i, fits ? answer->counts[i] : 0);
    }
    struct wire_writer w = wire_writer_init(out, client->limit);
    w.pos = MESSAGE_HEADER;
    wire_write_octets(&w, client->qname, client->qname_size);
    wire_write_u16(&w, client->qtype);
    wire_write_u16(&w, CLASS_IN);
    w.pos += fits ? answer->body_size : 0;
    if (client->has_edns) {
        wire_put_u16(out + 10, (uint16_t)(wire_get_u16(out + 10) + 1));
        render_opt(&w, &edns, answer->rcode, client->edns_flags & EDNS_DO, answer->ede);
    }
    counter_add(counters, COUNTER_rcode + (answer->rcode < 24 ? answer->rcode : 24u), 1);
    if (truncated) {
        counter_add(counters, COUNTER_answers_truncated, 1);
    }
    return w.pos;
}

#include "ask.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "packet.h"
#include "transport.h"

size_t ask_message(const char *name, const char *type, uint16_t id, uint8_t *message)
{
    struct query_spec query = query_for(name, type);
    return query_write(&query, id, message);
}

const char *answer_text(const uint8_t *answer, size_t size)
{
    static char text[8][1024];
    static unsigned next;
    char *out = text[next++ % 8];
    struct packet packet;
    const char *bad = packet_read(&packet, answer, size);
    ck_assert_msg(bad == NULL, "%s\n%s", bad, packet_text(&packet));
    int used = snprintf(out, sizeof text[0], "%s", rcode_text(packet.rcode));
    const ldns_rr_list *list = packet_section(&packet, SECTION_ANSWER);
    if (ldns_rr_list_rr_count(list) > 0) {
        const ldns_rr *rr = ldns_rr_list_rr(list, 0);
        const char *rdata = record_text(rr);
        for (unsigned field = 0; field < 4; field++) {
            rdata += strcspn(rdata, "\t");
            rdata += *rdata == '\t';
        }
        snprintf(out + used, sizeof text[0] - (size_t)used, " %s", rdata);
    }
    packet_free(&packet);
    return out;
}

/* NULL where no answer comes. */
static const char *exchange(int fd, bool stream, const char *name, const char *type)
{
    static uint8_t answer[MESSAGE_ROOM];
    uint8_t message[512];
    uint16_t id = random_id();
    size_t size = ask_message(name, type, id, message);
    if (stream) {
        tcp_send(fd, message, size);
    } else {
        send_all(fd, message, size);
    }
    for (;;) {
        int ms = harness_patience_ms();
        ssize_t got = stream ? tcp_receive(fd, answer, ms) : receive(fd, answer, sizeof answer, ms);
        if (got <= 0) {
            return NULL;
        }
        bool mine = got >= 12 && answer[0] == message[0] && answer[1] == message[1];
        ck_assert_msg(mine || !stream, "an answer to another question");
        if (mine) {
            ck_assert((size_t)got >= size && memcmp(answer + 12, message + 12, size - 12) == 0);
            return answer_text(answer, (size_t)got);
        }
    }
}

const char *ask_udp(int fd, const char *name, const char *type)
{
    const char *text = exchange(fd, false, name, type);
    ck_assert_msg(text != NULL, "no answer");
    return text;
}

const char *ask_tcp(int fd, const char *name, const char *type)
{
    const char *text = exchange(fd, true, name, type);
    ck_assert_msg(text != NULL, "no answer");
    return text;
}

const char *ask_once(const char *address, uint16_t port, bool stream, const char *name,
                     const char *type)
{
    int fd = stream ? tcp_try(NULL, address, port) : udp_open(NULL, address, port);
    if (fd < 0) {
        return "(no answer)";
    }
    const char *text = exchange(fd, stream, name, type);
    close(fd);
    return text != NULL ? text : "(no answer)";
}

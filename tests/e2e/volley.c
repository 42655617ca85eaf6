#include "volley.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ask.h"
#include "harness.h"
#include "packet.h"
#include "transport.h"

enum { AT_ONCE = 32, OPTION_EDE = 15 };

static void understand(struct said *said, const uint8_t *data, size_t size)
{
    struct packet packet;
    size_t length;
    const char *bad = packet_read(&packet, data, size);
    ck_assert_msg(bad == NULL, "%s\n%s", bad, packet_text(&packet));
    said->answered = true;
    said->size = size;
    said->rcode = packet.rcode;
    said->flags = packet.flags;
    said->ede = -1;
    said->ttl = -1;
    const uint8_t *ede = packet_option(&packet, OPTION_EDE, &length);
    if (ede != NULL) {
        ck_assert_uint_ge(length, 2);
        said->ede = ede[0] << 8 | ede[1];
    }
    const ldns_rr_list *list = packet_section(&packet, SECTION_ANSWER);
    said->records = (unsigned)ldns_rr_list_rr_count(list);
    if (said->records == 0) {
        list = packet_section(&packet, SECTION_AUTHORITY);
    }
    if (ldns_rr_list_rr_count(list) > 0) {
        said->ttl = ldns_rr_ttl(ldns_rr_list_rr(list, 0));
    }
    packet_free(&packet);
    snprintf(said->text, sizeof said->text, "%s", answer_text(data, size));
}

static size_t write_item(const struct volley_item *item, uint16_t id, uint8_t *message)
{
    struct query_spec query = query_for(item->name, item->type);
    query.flags = FLAG_RD;
    query.edns = true;
    return query_write(&query, id, message);
}

/* Takes what comes within ms; the number of answers. */
static size_t take(int fd, struct volley_item *items, size_t count, const uint64_t *sent, int ms)
{
    static uint8_t answer[MESSAGE_ROOM];
    ssize_t got = receive(fd, answer, sizeof answer, ms);
    if (got < 0) {
        return 0;
    }
    ck_assert_int_ge(got, 12);
    size_t i = (size_t)(answer[0] << 8 | answer[1]);
    uint8_t message[1200];
    ck_assert_msg(i < count && !items[i].said.answered, "an answer to nothing that was asked");
    size_t size = write_item(&items[i], (uint16_t)i, message) - 11;
    ck_assert_msg((size_t)got >= size && memcmp(answer + 12, message + 12, size - 12) == 0,
                  "%s: the answer to another question", items[i].name);
    understand(&items[i].said, answer, (size_t)got);
    items[i].said.ms = (unsigned)(clock_ms() - sent[i]);
    return 1;
}

void volley(const char *from, uint16_t port, struct volley_item *items, size_t count, int ms)
{
    int fd = udp_open(from, "127.0.0.1", port);
    uint64_t *sent = malloc(count * sizeof *sent);
    size_t answers = 0;
    ck_assert(sent != NULL && count <= 65536);
    for (size_t i = 0; i < count; i++) {
        uint8_t message[1200];
        items[i].said = (struct said){0};
        sent[i] = clock_ms();
        send_all(fd, message, write_item(&items[i], (uint16_t)i, message));
        if (i % AT_ONCE == AT_ONCE - 1) {
            while (take(fd, items, i + 1, sent, 1) > 0) {
                answers++;
            }
        }
    }
    uint64_t end = clock_ms() + (uint64_t)ms;
    for (uint64_t now; answers < count && (now = clock_ms()) < end;) {
        answers += take(fd, items, count, sent, (int)(end - now));
    }
    free(sent);
    close(fd);
}

size_t volley_count(const struct volley_item *items, size_t count, const char *rcode)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        found += items[i].said.answered && (items[i].said.flags & FLAG_TC) == 0 &&
                 items[i].said.rcode == rcode_number(rcode);
    }
    return found;
}

void volley_all_answered(const struct volley_item *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ck_assert_msg(items[i].said.answered, "%s: no answer", items[i].name);
        ck_assert_msg(items[i].said.ms < CLIENT_MS * harness_slow(), "%s: answered after %u ms",
                      items[i].name, items[i].said.ms);
    }
}

struct said say_to(uint16_t port, bool stream, const char *name, const char *type,
                   uint16_t edns_flags)
{
    static uint8_t answer[MESSAGE_ROOM];
    struct query_spec query = query_for(name, type);
    struct said said = {0};
    uint8_t message[1200];
    uint16_t id = random_id();
    int ms = CLIENT_MS * (int)harness_slow();
    query.flags = FLAG_RD;
    query.edns = true;
    query.edns_flags = edns_flags;
    size_t size = query_write(&query, id, message);
    int fd = stream ? tcp_open(NULL, "127.0.0.1", port) : udp_open(NULL, "127.0.0.1", port);
    uint64_t start = clock_ms();
    if (stream) {
        tcp_send(fd, message, size);
    } else {
        send_all(fd, message, size);
    }
    ssize_t got = stream ? tcp_receive(fd, answer, ms) : receive(fd, answer, sizeof answer, ms);
    close(fd);
    ck_assert_msg(got >= (ssize_t)size - 11, "%s %s: no answer", name, type);
    ck_assert_msg(memcmp(answer, message, 2) == 0, "%s: another ID", name);
    ck_assert_msg(memcmp(answer + 12, message + 12, size - 23) == 0, "%s: another question", name);
    understand(&said, answer, (size_t)got);
    said.ms = (unsigned)(clock_ms() - start);
    return said;
}

const char *text_of(uint16_t port, const char *name, const char *type)
{
    static char texts[8][sizeof((struct said *)0)->text];
    static unsigned next;
    struct said said = say_to(port, false, name, type, 0);
    return strcpy(texts[next++ % 8], said.text);
}

// A flood beside questions at a fixed rate, by the same generator: two of them on one core would
// measure how the scheduler shares it.
#include "load.h"

#include <sys/socket.h>

// Answers that are there, told apart by their TC bit alone.
static void drain(struct load *flood, struct client *client)
{
    uint8_t answer[ANSWER_MAX];
    for (ssize_t got; (got = recv(client->fd, answer, sizeof answer, 0)) > 0;) {
        if (got >= 12) {
            flood->tally.answered++;
            flood->tally.truncated += (answer[2] & 2) != 0;
        }
    }
}

// A run when it is due. After a pause on this core the flood goes on from there, not with all that
// fell due meanwhile.
static void pour(struct load *flood, uint64_t now)
{
    static uint64_t due;
    static unsigned next;
    static unsigned looked_at;
    if (now >= due) {
        unsigned n = next++ % flood->clients;
        struct client *client = &flood->all[n];
        if (client->fd >= 0) {
            drain(flood, client);
        }
        client->open = 0;
        udp_send_run(flood, n, now);
        uint64_t run = (uint64_t)(1e9 * flood->window / flood->rate);
        due = now > due + 1000000U ? now + run : due + run;
    } else {
        struct client *client = &flood->all[looked_at++ % flood->clients];
        if (client->fd >= 0) {
            drain(flood, client);
        }
    }
}

void flood_turn(struct load *flood, uint64_t now)
{
    static uint64_t look_at_all;
    if (flood->rate > 0) {
        pour(flood, now);
        return;
    }
    bool everyone = now >= look_at_all;
    if (everyone) {
        look_at_all = now + 1000000U;
    }
    udp_turn(flood, now, everyone);
}

#include "net/gather.h"

#include "dns/message.h"
#include "dns/wire.h"
#include "net/client.h"

bool gather_take(struct client *client, const uint8_t *data, size_t size, uint64_t now)
{
    struct tcp *tcp = client->tcp;
    struct gather *gather = &tcp->gather;
    if (size < 2 + MESSAGE_HEADER || size != 2u + wire_get_u16(data) ||
        !client_is_idle(client) || client_at_its_limit(client, 0) || tcp->draining ||
        tcp->leaving) {
        return false;
    }
    if (gather->count == 0) {
        gather->since = now;
    }
    tcp->requests[gather->count] = (struct serve_request){
        .in = data + 2, .in_size = size - 2, .peer = &client->peer.any, .stream = true};
    gather->clients[gather->count++] = client;
    client->gathered = true;
    tcp->in.used += size;
    return true;
}

/* What follows for each connection from its query having been served. Returns the answers. */
static size_t settle(struct tcp *tcp, const struct serve_request *requests, size_t first,
                     size_t served)
{
    uint64_t now = service_now(tcp->service);
    size_t answers = 0;
    for (size_t i = 0; i < served; i++) {
        struct client *client = tcp->gather.clients[first + i];
        if (client != NULL) {
            client->gathered = false;
            answers += requests[i].verdict == SERVE_SEND;
            tcp_client_settle(client, client_served(client, &requests[i], i, now), now);
        }
    }
    if (tcp->service->world->settings.routes != NULL) {
        proxy_flush(tcp->service->proxy);
    }
    return answers;
}

/*
 * The largest answers do not all fit: then those behind are served again, of which the next batch
 * has but one more than did fit, as in serve_queries (client.c).
 */
void gather_serve(struct tcp *tcp)
{
    struct service *service = tcp->service;
    struct gather *gather = &tcp->gather;
    size_t most = gather->count;
    for (size_t first = 0; first < gather->count;) {
        struct serve_request *requests = tcp->requests + first;
        size_t left = gather->count - first;
        size_t asked = left < most ? left : most;
        tcp->out.used = 0;
        tcp->out.cost = 0;
        size_t served = serve_batch(service->serve, service->world, requests, asked, &tcp->out,
                                    service_time(service_now(service)));
        size_t answers = settle(tcp, requests, first, served);
        uint64_t end = service_clock(service);
        counter_add(service->counters,
                    COUNTER_latency + counter_latency_bucket(end - gather->since), answers);
        most = served < asked ? served + 1 : SERVE_BATCH;
        first += served;
        tcp_let_datagrams_in(tcp, served);
    }
    gather->count = 0;
    tcp->in.used = 0;
}

void gather_forget(struct client *client)
{
    struct gather *gather = &client->tcp->gather;
    for (size_t i = 0; i < gather->count; i++) {
        if (gather->clients[i] == client) {
            gather->clients[i] = NULL;
        }
    }
}

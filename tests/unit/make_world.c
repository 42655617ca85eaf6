#include "make_world.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dns/wire.h"
#include "names.h"

struct settings make_settings(void)
{
    struct settings settings = {.udp_payload_max = 1232, .cookies = true, .tcp_keepalive = 100};
    memcpy(settings.cookie_secret, "secret of today.", 16);
    memcpy(settings.cookie_secret_before, "one of yesterday", 16);
    return settings;
}

struct world *make_world(const struct settings *settings, const uint8_t *const *names,
                         struct zone *const *zones, size_t count)
{
    uint32_t *order = malloc((count + 1) * sizeof *order);
    struct zone_index *index;
    ck_assert_int_eq(zone_index_new(names, count, order, &index), 0);
    struct world *world = world_new(index, settings);
    ck_assert_ptr_nonnull(world);
    zone_index_unref(index);
    for (size_t i = 0; i < count; i++) {
        world->zones[order[i]] = (struct world_zone){.zone = zones[i], .slot = (uint32_t)i};
    }
    free(order);
    return world;
}

struct desk desk_new(void)
{
    struct desk desk = {
        .counters = aligned_alloc(64, sizeof *desk.counters),
        .zone_counts = calloc(WORLD_ZONES_MAX, sizeof *desk.zone_counts),
        .answer = malloc(65536),
    };
    memset(desk.counters, 0, sizeof *desk.counters);
    desk.serve = serve_new(desk.counters, desk.zone_counts);
    ck_assert_ptr_nonnull(desk.serve);
    return desk;
}

void desk_free(struct desk *desk)
{
    serve_free(desk->serve);
    free(desk->counters);
    free(desk->zone_counts);
    free(desk->answer);
}

const struct sockaddr *desk_client(void)
{
    static struct sockaddr_in client = {.sin_family = AF_INET};
    memcpy(&client.sin_addr, "\xc0\0\2\x4d", 4);
    return (const struct sockaddr *)(const void *)&client;
}

bool desk_ask(struct desk *desk, const struct world *world, const struct ask *ask, bool stream)
{
    static uint8_t octets[SERVE_STREAM_ROOM];
    struct serve_stream to = {.data = octets, .size = sizeof octets};
    struct serve_request request = {
        .in = ask->data,
        .in_size = ask->size,
        .peer = desk_client(),
        .stream = stream,
        .out = octets,
        .out_size = 4096,
    };
    size_t served = serve_batch(desk->serve, world, &request, 1, stream ? &to : NULL,
                                desk_time(DESK_WALL));
    ck_assert_uint_eq(served, 1);
    desk->answer_size = request.out_size;
    if (request.verdict == SERVE_DROP) {
        ck_assert_uint_eq(request.out_size, 0);
        ck_assert_uint_eq(to.used, 0);
        return false;
    }
    if (stream) {
        ck_assert_uint_eq(to.used, 2 + request.out_size);
        ck_assert_uint_eq(wire_get_u16(octets), request.out_size);
    }
    memcpy(desk->answer, octets + (stream ? 2 : 0), request.out_size);
    return true;
}

const char *desk_counters(const struct desk *desk)
{
    static char text[1 << 16];
    char *at = text;
    *at = '\0';
    for (size_t i = 0; i < counter_infos_count; i++) {
        const struct counter_info *info = &counter_infos[i];
        for (size_t k = 0; k < info->size; k++) {
            uint64_t value = counter_get(desk->counters, info->first + k);
            if (value == 0) {
                continue;
            }
            at += info->labels == LABELS_NONE
                      ? sprintf(at, "%s=%llu\n", info->name, (unsigned long long)value)
                      : sprintf(at, "%s[%zu]=%llu\n", info->name, k, (unsigned long long)value);
        }
    }
    return text;
}

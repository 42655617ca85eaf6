/*
 * One place for what a start, a reload and a check all do with a configuration, so that none of
 * them knows a key that the others forgot.
 */
#include "daemon/apply.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/crew.h"
#include "base/err.h"
#include "world/publish.h"

static unsigned cpus(void)
{
    size_t count = crew_cpus();
    return count < PUBLISH_READERS_MAX ? (unsigned)count : PUBLISH_READERS_MAX;
}

struct net_options apply_net_options(const struct config *config)
{
    return (struct net_options){
        .workers = config->workers != 0 ? config->workers : cpus(),
        .addresses = config->addresses,
        .address = config->address,
        .tcp_clients_max = config->tcp_clients_max,
        .tcp_clients_per_address = config->tcp_clients_per_address,
        .tcp_idle_ms = config->tcp_idle_ms,
        .tcp_queries_per_connection = config->tcp_queries_per_connection,
    };
}

void apply_settings(const struct config *config, struct settings *settings)
{
    settings->udp_payload_max = (uint16_t)config->udp_payload_max;
    settings->cookies = config->cookies;
    settings->tcp_keepalive = (uint16_t)(config->tcp_idle_ms / 100);
    settings->nsid_size = (uint8_t)strnlen(config->nsid, sizeof settings->nsid);
    memset(settings->nsid, 0, sizeof settings->nsid);
    memcpy(settings->nsid, config->nsid, settings->nsid_size);
    snprintf(settings->version, sizeof settings->version, "%s", config->version);
    /* Both tell which server this is (RFC 5001 over EDNS, RFC 4892 in class CH): one name. */
    snprintf(settings->hostname, sizeof settings->hostname, "%s", config->nsid);
}

int apply_secrets(struct settings *settings)
{
    size_t size = sizeof settings->cookie_secret;
    if (getrandom(settings->cookie_secret, size, 0) != (ssize_t)size) {
        return RR_EIO;
    }
    memcpy(settings->cookie_secret_before, settings->cookie_secret, size);
    size = sizeof settings->loop_mark;
    return getrandom(settings->loop_mark, size, 0) == (ssize_t)size ? RR_OK : RR_EIO;
}

void apply_give_back_memory(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

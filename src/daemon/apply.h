/*
 * From a configuration to what workers and worlds take of it.
 */
#ifndef RRDNS_DAEMON_APPLY_H
#define RRDNS_DAEMON_APPLY_H

#include "daemon/config.h"
#include "net/net.h"
#include "world/world.h"

/* Addresses stay the configuration's. "One worker per CPU" is resolved: those it may run on. */
struct net_options apply_net_options(const struct config *config);

/* Sets all but the secrets, which stay over reloads, and the routes (forwarding.h). */
void apply_settings(const struct config *config, struct settings *settings);

/* Fresh cookie secrets and loop mark, from the kernel. 0, or RR_EIO with errno set. */
int apply_secrets(struct settings *settings);

/*
 * To be called when a configuration has been read and applied: reading one of 200,000 zones leaves
 * some 140 MB of freed pieces that the C library would keep for itself.
 */
void apply_give_back_memory(void);

#endif

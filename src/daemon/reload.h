/*
 * Reloads: the queue behind server_reload (server.h), and the applying of a changed configuration.
 * All on the main thread.
 */
#ifndef RRDNS_DAEMON_RELOAD_H
#define RRDNS_DAEMON_RELOAD_H

#include "daemon/server.h"

/* For a server whose base, config, net and loader are there. Returns 0 or RR_ENOMEM (which stands
 * for a want of descriptors too). */
int reloads_open(struct server *server, struct reloads **reloads);

/*
 * Calls done, with RR_ESTATE, for all that was not finished. To be called when the loader has
 * been freed and the loop has ended. NULL is harmless.
 */
void reloads_close(struct reloads *reloads);

#endif

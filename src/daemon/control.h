/*
 * The control socket: a Unix stream socket on which rrdnsctl, or any program, asks a running server
 * things. One JSON object a line each way; see rrdnsctl(8) for the protocol.
 *
 * All calls are made from the main thread, where the connections are served too: nothing here
 * waits, so that `status` is answered while a reload runs.
 */
#ifndef RRDNS_DAEMON_CONTROL_H
#define RRDNS_DAEMON_CONTROL_H

#include <sys/types.h>

#include "base/diag.h"
#include "daemon/server.h"

struct control;

/*
 * Listens on path, of at most CONFIG_SOCKET_PATH_MAX octets (mode 0660, given to user and group;
 * (uid_t)-1 and (gid_t)-1 leave it to the process). The directory is made where only its last part
 * is missing. A socket file that a dead server left is replaced. Commands are served once
 * server->base loops and server->net and server->loader are there; who connects before waits.
 *
 * Returns 0; RR_EEXIST where another server listens there; RR_EINVAL where path is no socket;
 * RR_EIO; RR_ENOMEM. diag tells why.
 */
int control_open(struct server *server, const char *path, uid_t user, gid_t group,
                 struct control **control, struct diag *diag);

/*
 * Ends: writes what answers are still to be written (for a second at the most), closes all
 * connections, removes the socket file. To be called last, after all reloads are done and the
 * workers have ended: `rrdnsctl stop` waits for the end of its connection. NULL is harmless.
 */
void control_close(struct control *control);

#endif

/*
 * Who the server runs as once its sockets are bound, and the limits it needs of the system.
 */
#ifndef RRDNS_DAEMON_PRIVILEGES_H
#define RRDNS_DAEMON_PRIVILEGES_H

#include <sys/types.h>

#include "base/diag.h"
#include "daemon/config.h"

struct privileges {
    uid_t uid;     /* to change to; (uid_t)-1: none */
    gid_t gid;     /* likewise */
    char user[64]; /* whose supplementary groups to take; "" where uid is none */
};

/*
 * Looks server.user and server.group up. Started by anybody but root there is nothing to change
 * to (told as a warning where the file names another user). A user or group that the file names
 * and that does not exist is a fault: RR_EINVAL. A default one that does not exist is a warning,
 * and root stays: a fresh machine or container can serve without an account being made first.
 */
int privileges_find(const struct config *config, struct privileges *privileges, struct diag *diag);

/*
 * Gives up what was found, for good and in all threads, and the ability to ever gain more
 * (PR_SET_NO_NEW_PRIVS), which is given up also where there is nothing to change. Returns 0, or
 * RR_EPERM with the reason in diag.
 */
int privileges_drop(const struct privileges *privileges, struct diag *diag);

/*
 * Raises the limit of open files as far as it goes. Warns in diag where that is less than what
 * `needed` descriptors and the server's own take.
 */
void privileges_raise_files(size_t needed, struct diag *diag);

#endif

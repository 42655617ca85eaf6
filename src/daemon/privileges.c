/*
 * Core files: nothing is set here. A process that changed its user is not dumpable (the kernel
 * sees to that), so that no core with secrets in it is left by a server started as root; who
 * starts it as an ordinary user has its own limit, and may want the core.
 */
#include "daemon/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/err.h"

enum { FILES_OWN = 64 }; /* event loops, log, control connections, zone files being read */

static void nothing_to_change(const struct config *config, struct diag *diag)
{
    if (config->user_line == 0 || config->user[0] == '\0') {
        return;
    }
    const struct passwd *user = getpwnam(config->user);
    if (user == NULL || user->pw_uid != geteuid()) {
        diag_warn(diag, config->path, config->user_line,
                  "server.user: not started as root, runs as uid %lu", (unsigned long)geteuid());
    }
}

static int find_user(const struct config *config, struct privileges *privileges, struct diag *diag)
{
    const struct passwd *user = getpwnam(config->user);
    if (user != NULL && strlen(config->user) < sizeof privileges->user) {
        privileges->uid = user->pw_uid;
        privileges->gid = user->pw_gid;
        memcpy(privileges->user, config->user, strlen(config->user) + 1);
        return RR_OK;
    }
    if (config->user_line > 0) {
        diag_fault(diag, config->path, config->user_line, "server.user: there is no user \"%s\"",
                   config->user);
        return RR_EINVAL;
    }
    diag_warn(diag, config->path, 0,
              "there is no user \"%s\", the server stays root (server.user names another user)",
              config->user);
    return RR_OK;
}

static int find_group(const struct config *config, struct privileges *privileges, struct diag *diag)
{
    const struct group *group = getgrnam(config->group);
    if (group != NULL) {
        privileges->gid = group->gr_gid;
    } else if (config->group_line > 0) {
        diag_fault(diag, config->path, config->group_line, "server.group: there is no group \"%s\"",
                   config->group);
        return RR_EINVAL;
    }
    return RR_OK;
}

int privileges_find(const struct config *config, struct privileges *privileges, struct diag *diag)
{
    *privileges = (struct privileges){.uid = (uid_t)-1, .gid = (gid_t)-1};
    if (geteuid() != 0) {
        nothing_to_change(config, diag);
        return RR_OK;
    }
    int error = config->user[0] != '\0' ? find_user(config, privileges, diag) : RR_OK;
    /* The default group goes with a change of user; a named one is meant in any case. */
    bool group = config->group_line > 0 || privileges->uid != (uid_t)-1;
    if (group && config->group[0] != '\0') {
        int group_error = find_group(config, privileges, diag);
        error = error != RR_OK ? error : group_error;
    }
    return error;
}

int privileges_drop(const struct privileges *privileges, struct diag *diag)
{
    const char *step = NULL;
    uid_t uid = privileges->uid;
    gid_t gid = privileges->gid;
    if (uid != (uid_t)-1 && initgroups(privileges->user, gid) != 0) {
        step = "initgroups";
    } else if (gid != (gid_t)-1 && setresgid(gid, gid, gid) != 0) {
        step = "setresgid";
    } else if (uid != (uid_t)-1 && setresuid(uid, uid, uid) != 0) {
        step = "setresuid";
    } else if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        step = "PR_SET_NO_NEW_PRIVS";
    }
    if (step != NULL) {
        diag_fault(diag, NULL, 0, "can't give up root: %s: %s", step, strerror(errno));
        return RR_EPERM;
    }
    if (uid != (uid_t)-1 && uid != 0 && setuid(0) == 0) {
        diag_fault(diag, NULL, 0, "can't give up root: it can be taken back");
        return RR_EPERM;
    }
    return RR_OK;
}

void privileges_raise_files(size_t needed, struct diag *diag)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return;
    }
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
            limit.rlim_cur = before;
        }
    }
    if (limit.rlim_cur < needed + FILES_OWN) {
        diag_warn(diag, NULL, 0,
                  "at most %llu files can be open, sockets and server.tcp.clients_max want %zu",
                  (unsigned long long)limit.rlim_cur, needed + FILES_OWN);
    }
}

/*
 * Sockets and connections of the control protocol; what the commands do is in control_commands.c.
 *
 * Answers come in the order of the commands: a connection runs one at a time, and none while much
 * of what it was answered is still unread. So a peer that sends without reading fills its own
 * socket buffer and nothing else.
 *
 * Who may connect is first told by the mode of the socket file; the kernel's word on who the
 * peer is (SO_PEERCRED, SO_PEERGROUPS) decides, since the directory or the mode may have been
 * changed by hand. The groups come from the kernel, not from a name service, which could block.
 */
#include "daemon/control.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "daemon/control_commands.h"

enum {
    LINE_MAX_OCTETS = 64 * 1024,
    CONNECTIONS_MAX = 64, /* of a handful of tools; each can hold REPLY_ENOUGH and one answer */
    BACKLOG = 64,
    IDLE_SECONDS = 300,        /* without a command */
    SLOW_SECONDS = 30,         /* without reading anything of an answer */
    REPLY_ENOUGH = 256 * 1024, /* unread octets from which on no command is run */
    REPLY_LITTLE = 64 * 1024,  /* and at which it goes on */
    FLUSH_MS = 1000,
    ACCEPT_PAUSE_US = 500000, /* after accept() failed, for want of descriptors */
    GROUPS_MAX = 256,
};

struct connection {
    TAILQ_ENTRY(connection) entry;
    struct control *control;
    struct bufferevent *stream;
    struct control_call call;
    enum control_progress progress; /* of the command read last */
    bool refused;                   /* no more commands are taken from it */
    bool at_end;                    /* it sends no more; commands it has sent are still run */
};

struct control {
    struct server *server;
    struct evconnlistener *listener;
    struct event *pause;
    unsigned count;
    TAILQ_HEAD(connection_list, connection) connections;
    struct sockaddr_un address;
    dev_t device; /* of the socket file, to remove no other's */
    ino_t inode;
};

/* ---- Connections ---- */

static void close_connection(struct connection *connection)
{
    control_abandon(&connection->call);
    TAILQ_REMOVE(&connection->control->connections, connection, entry);
    connection->control->count--;
    bufferevent_free(connection->stream);
    free(connection);
}

static size_t unread(const struct connection *connection)
{
    return evbuffer_get_length(bufferevent_get_output(connection->stream));
}

/* Reads the next line and runs it. Returns false where there is no whole line. */
static bool next_command(struct connection *connection)
{
    struct evbuffer *input = bufferevent_get_input(connection->stream);
    size_t size;
    char *line = evbuffer_readln(input, &size, EVBUFFER_EOL_LF);
    if (line != NULL && size <= LINE_MAX_OCTETS) {
        connection->progress = control_run(&connection->call, line, size);
    } else if (line != NULL || evbuffer_get_length(input) > LINE_MAX_OCTETS) {
        connection->progress =
            control_refuse(connection->call.reply, "a line is longer than 64 KiB");
        connection->refused = true;
    } else {
        return false;
    }
    free(line);
    return true;
}

/*
 * Reads only while commands are taken. Else a peer that sends without reading would fill the input
 * up to its watermark, at which libevent calls on_input without pause for somebody to empty it.
 */
static void read_or_not(struct connection *connection)
{
    bool reading = (bufferevent_get_enabled(connection->stream) & EV_READ) != 0;
    bool taking = !connection->refused && !connection->at_end &&
                  connection->progress == CONTROL_DONE && unread(connection) < REPLY_ENOUGH;
    if (taking && !reading) {
        bufferevent_enable(connection->stream, EV_READ);
    } else if (!taking && reading) {
        bufferevent_disable(connection->stream, EV_READ);
    }
}

/* Does all that can be done now. The connection may be gone afterwards. */
static void advance(struct connection *connection)
{
    while (connection->progress != CONTROL_WAIT && connection->progress != CONTROL_FAILED &&
           unread(connection) < REPLY_ENOUGH) {
        if (connection->progress == CONTROL_MORE) {
            connection->progress = control_more(&connection->call);
        } else if (connection->refused || !next_command(connection)) {
            break;
        }
    }
    /* Where nothing is unread, the loop has ended for want of a command. */
    bool over = (connection->refused || connection->at_end) &&
                connection->progress == CONTROL_DONE && unread(connection) == 0;
    if (over || connection->progress == CONTROL_FAILED) {
        close_connection(connection);
    } else {
        read_or_not(connection);
    }
}

/* The answer that was waited for is there. */
static void on_ready(void *context, enum control_progress progress)
{
    struct connection *connection = context;
    connection->progress = progress;
    advance(connection);
}

static void on_input(struct bufferevent *stream, void *context)
{
    (void)stream;
    advance(context);
}

static void on_written(struct bufferevent *stream, void *context)
{
    (void)stream;
    advance(context);
}

static void on_event(struct bufferevent *stream, short what, void *context)
{
    struct connection *connection = context;
    bool busy = connection->progress != CONTROL_DONE || unread(connection) > 0;
    if ((what & BEV_EVENT_EOF) != 0) {
        connection->at_end = true;
        advance(connection);
    } else if ((what & BEV_EVENT_TIMEOUT) != 0 && (what & BEV_EVENT_READING) != 0 && busy) {
        bufferevent_enable(stream, EV_READ); /* idle is who has nothing to wait for */
    } else {
        close_connection(connection);
    }
}

static struct connection *connection_new(struct control *control, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return NULL;
    }
    connection->stream = bufferevent_socket_new(control->server->base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (connection->stream == NULL) {
        free(connection);
        return NULL;
    }
    connection->control = control;
    connection->call = (struct control_call){
        .server = control->server,
        .reply = bufferevent_get_output(connection->stream),
        .ready = on_ready,
        .context = connection,
    };
    const struct timeval idle = {IDLE_SECONDS, 0}, slow = {SLOW_SECONDS, 0};
    bufferevent_setcb(connection->stream, on_input, on_written, on_event, connection);
    bufferevent_set_timeouts(connection->stream, &idle, &slow);
    bufferevent_setwatermark(connection->stream, EV_READ, 0, LINE_MAX_OCTETS + 1);
    bufferevent_setwatermark(connection->stream, EV_WRITE, REPLY_LITTLE, 0);
    TAILQ_INSERT_TAIL(&control->connections, connection, entry);
    control->count++;
    return connection;
}

/* ---- Accepting ---- */

static bool is_member(int fd, gid_t group)
{
    gid_t groups[GROUPS_MAX];
    socklen_t size = sizeof groups;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) != 0) {
        return false;
    }
    for (size_t i = 0; i < size / sizeof groups[0]; i++) {
        if (groups[i] == group) {
            return true;
        }
    }
    return false;
}

static bool is_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
        return false;
    }
    return peer.uid == 0 || peer.uid == geteuid() || peer.gid == getegid() ||
           is_member(fd, getegid());
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address,
                      int size, void *context)
{
    struct control *control = context;
    (void)listener;
    (void)address;
    (void)size;
    bool room = control->count < CONNECTIONS_MAX;
    bool allowed = is_allowed(fd);
    struct connection *connection = connection_new(control, fd);
    if (connection == NULL) {
        close(fd);
        return;
    }
    if (room && allowed) {
        bufferevent_enable(connection->stream, EV_READ);
        return;
    }
    connection->refused = true;
    connection->progress =
        control_refuse(connection->call.reply, "%s",
                       allowed ? "too many control connections"
                               : "not permitted: neither root, nor of the server's user or group");
    advance(connection);
}

static void on_pause_over(evutil_socket_t fd, short events, void *context)
{
    struct control *control = context;
    (void)fd;
    (void)events;
    evconnlistener_enable(control->listener);
}

/* Without a pause the loop would turn on a connection that can't be accepted. */
static void on_accept_error(struct evconnlistener *listener, void *context)
{
    struct control *control = context;
    const struct timeval pause = {0, ACCEPT_PAUSE_US};
    log_warning("control socket: accept: %s", strerror(errno));
    evconnlistener_disable(listener);
    event_add(control->pause, &pause);
}

/* ---- Listening ---- */

static int fail(struct diag *diag, const char *path, const char *what, int error)
{
    diag_fault(diag, path, 0, "%s: %s", what, strerror(error));
    return error == ENOMEM ? RR_ENOMEM : RR_EIO;
}

/*
 * Opens the socket's directory, which is made where it is missing, and locks it: between the look
 * whether another server listens and the listening nobody else may look.
 */
static int lock_directory(const char *path, uid_t user, gid_t group, int *lock, struct diag *diag)
{
    char copy[sizeof((struct sockaddr_un *)0)->sun_path];
    snprintf(copy, sizeof copy, "%s", path);
    const char *directory = dirname(copy);
    if (mkdir(directory, 0755) == 0) {
        if (chown(directory, user, group) != 0) {
            return fail(diag, directory, "chown", errno);
        }
    } else if (errno != EEXIST) {
        return fail(diag, directory, "mkdir", errno);
    }
    *lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*lock < 0) {
        return fail(diag, directory, "open", errno);
    }
    if (flock(*lock, LOCK_EX | LOCK_NB) != 0) {
        diag_fault(diag, directory, 0, "another server is starting there");
        close(*lock);
        return RR_EEXIST;
    }
    return RR_OK;
}

/* Removes what a dead server left at the address. */
static int clear_path(const struct sockaddr_un *address, struct diag *diag)
{
    struct stat status;
    const char *path = address->sun_path;
    if (lstat(path, &status) != 0) {
        return errno == ENOENT ? RR_OK : fail(diag, path, "stat", errno);
    }
    if (!S_ISSOCK(status.st_mode)) {
        diag_fault(diag, path, 0, "exists and is no socket");
        return RR_EINVAL;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return fail(diag, path, "socket", errno);
    }
    int result = connect(fd, (const struct sockaddr *)address, sizeof *address);
    int error = result == 0 ? 0 : errno;
    close(fd);
    if (error != ECONNREFUSED) { /* EAGAIN: alive, its queue is full */
        if (error != 0 && error != EAGAIN) {
            return fail(diag, path, "connect", error);
        }
        diag_fault(diag, path, 0, "another server listens there");
        return RR_EEXIST;
    }
    return unlink(path) == 0 ? RR_OK : fail(diag, path, "unlink", errno);
}

/* Binds and listens at control->address: *fd. */
static int listen_at(struct control *control, uid_t user, gid_t group, int *fd, struct diag *diag)
{
    const char *path = control->address.sun_path;
    struct stat status;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*fd < 0) {
        return fail(diag, path, "socket", errno);
    }
    /* The file gets the socket's mode less the umask, so that it is never open to more than that;
     * chmod then gives what the umask took. */
    if (fchmod(*fd, 0660) != 0 ||
        bind(*fd, (const struct sockaddr *)&control->address, sizeof control->address) != 0) {
        int error = errno;
        close(*fd);
        return fail(diag, path, "bind", error);
    }
    if (chown(path, user, group) == 0 && chmod(path, 0660) == 0 && listen(*fd, BACKLOG) == 0 &&
        stat(path, &status) == 0) {
        control->device = status.st_dev;
        control->inode = status.st_ino;
        return RR_OK;
    }
    int error = errno;
    unlink(path);
    close(*fd);
    return fail(diag, path, "listen", error);
}

static int start_listening(struct control *control, int fd)
{
    struct event_base *base = control->server->base;
    control->pause = event_new(base, -1, 0, on_pause_over, control);
    control->listener = evconnlistener_new(base, on_accept, control,
                                           LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
    if (control->listener == NULL) {
        close(fd);
    }
    if (control->listener == NULL || control->pause == NULL) {
        return RR_ENOMEM;
    }
    evconnlistener_set_error_cb(control->listener, on_accept_error);
    return RR_OK;
}

int control_open(struct server *server, const char *path, uid_t user, gid_t group,
                 struct control **result, struct diag *diag)
{
    struct control *control = calloc(1, sizeof *control);
    if (control == NULL) {
        return RR_ENOMEM;
    }
    control->server = server;
    control->address.sun_family = AF_UNIX;
    TAILQ_INIT(&control->connections);
    snprintf(control->address.sun_path, sizeof control->address.sun_path, "%s", path);
    int lock = -1, fd = -1;
    int error = lock_directory(path, user, group, &lock, diag);
    if (error == RR_OK) {
        error = clear_path(&control->address, diag);
        error = error == RR_OK ? listen_at(control, user, group, &fd, diag) : error;
        close(lock);
    }
    if (error != RR_OK) {
        free(control);
        return error;
    }
    error = start_listening(control, fd);
    if (error != RR_OK) {
        control_close(control);
        return error;
    }
    *result = control;
    return RR_OK;
}

/* ---- End ---- */

/* Writes what is still to be written, until the deadline (monotonic, ns). */
static void flush(struct connection *connection, uint64_t deadline)
{
    struct evbuffer *output = bufferevent_get_output(connection->stream);
    struct pollfd writable = {.fd = bufferevent_getfd(connection->stream), .events = POLLOUT};
    bufferevent_disable(connection->stream, EV_READ | EV_WRITE);
    evbuffer_unfreeze(output, 1);
    while (evbuffer_get_length(output) > 0) {
        uint64_t now = clock_now_ns();
        int left = now < deadline ? (int)((deadline - now) / 1000000) : 0;
        if (poll(&writable, 1, left) <= 0 || evbuffer_write(output, writable.fd) < 0) {
            break;
        }
    }
    evbuffer_freeze(output, 1);
}

void control_close(struct control *control)
{
    if (control == NULL) {
        return;
    }
    struct stat status;
    const char *path = control->address.sun_path;
    if (stat(path, &status) == 0 && status.st_dev == control->device &&
        status.st_ino == control->inode) {
        unlink(path);
    }
    uint64_t deadline = clock_now_ns() + (uint64_t)FLUSH_MS * 1000000;
    struct connection *connection;
    while ((connection = TAILQ_FIRST(&control->connections)) != NULL) {
        /* Closing takes it out of the list. NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
        flush(connection, deadline);
        close_connection(connection);
    }
    if (control->listener != NULL) {
        evconnlistener_free(control->listener);
    }
    if (control->pause != NULL) {
        event_free(control->pause);
    }
    free(control);
}

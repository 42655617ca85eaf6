#include "daemon/watch.h"

#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

struct watch {
    int fd;
    int directory; /* its watch descriptor, or -1 */
};

struct watch *watch_new(void)
{
    struct watch *watch = malloc(sizeof *watch);
    if (watch == NULL) {
        return NULL;
    }
    *watch = (struct watch){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .directory = -1};
    if (watch->fd < 0) {
        free(watch);
        return NULL;
    }
    return watch;
}

void watch_free(struct watch *watch)
{
    if (watch != NULL) {
        close(watch->fd);
        free(watch);
    }
}

void watch_directory(struct watch *watch, const char *path)
{
    if (watch == NULL) {
        return;
    }
    int now = path[0] == '\0'
                  ? -1
                  : inotify_add_watch(watch->fd, path, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR);
    if (watch->directory >= 0 && watch->directory != now) {
        (void)inotify_rm_watch(watch->fd, watch->directory);
    }
    watch->directory = now;
}

void watch_take(struct watch *watch, void (*each)(void *context, const char *file), void *context)
{
    _Alignas(struct inotify_event) char room[16 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    ssize_t size;
    while (watch != NULL && (size = read(watch->fd, room, sizeof room)) > 0) {
        for (char *at = room; at < room + size;) {
            const struct inotify_event *event = (const void *)at;
            if (event->wd == watch->directory && event->len > 0) {
                each(context, event->name);
            }
            at += sizeof *event + event->len;
        }
    }
}

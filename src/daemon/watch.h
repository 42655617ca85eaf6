/*
 * Which files of a directory have been written since the last look: a hint, no more. A reload looks
 * at every file in any case, since changes can escape a watch (another host's, those through
 * another link or a mapping, too many at once); but it looks at these first, and so serves the one
 * zone that changed among 100,000 long before it has asked for the state of all the others.
 */
#ifndef RRDNS_DAEMON_WATCH_H
#define RRDNS_DAEMON_WATCH_H

struct watch;

/* Without a directory. NULL where there is none to be had: all functions take that. */
struct watch *watch_new(void);
void watch_free(struct watch *watch);

/* Watches this directory from now on ("": none). To be called again when it may be another one of
 * the same name. */
void watch_directory(struct watch *watch, const char *path);

/* Calls each with the name of every file written or moved there since the last call; perhaps more
 * than once, and with none at all where there were too many. */
void watch_take(struct watch *watch, void (*each)(void *context, const char *file), void *context);

#endif

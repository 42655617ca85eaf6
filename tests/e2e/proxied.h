/*
 * What tests of the proxy have in common: a server that forwards, and two scripted upstreams.
 */
#ifndef E2E_PROXIED_H
#define E2E_PROXIED_H

#include "daemon.h"
#include "harness.h"
#include "scripted.h"
#include "volley.h"

/* Upstreams, with a certificate for up.test and 127.0.0.1 in the file CERTIFICATE. */
extern struct scripted *up, *other;
#define CERTIFICATE harness_path("up.pem")

/* Starts both. */
void proxied_upstreams(void);

/*
 * Starts the server in a directory of that name and a number, with own.test (www is 192.0.2.10;
 * child.own.test is delegated, with a DS) and tie.test as its own zones. proxy is the JSON of its
 * "proxy" object, more further members of the configuration ("\"server\": {..}") or NULL. A
 * configuration without a proxy has "{}".
 */
void proxied_start(const char *name, const char *proxy, const char *more);
/* The same configuration anew, for a reload. */
void proxied_configure(const char *proxy, const char *more);

/* One group with an upstream of these servers ("\"127.0.0.1:1\"") and options (", \"attempts\":
 * 1"); the timeout is 500 ms where they have none. */
const char *proxied_upstream(const char *name, const char *servers, const char *options);
/* "\"127.0.0.1:PORT\"" of an upstream. */
const char *proxied_address(const struct scripted *s);

/* A counter's growth since the last call for it: name "proxy_hits". */
int64_t proxied_grown(const char *counter);
/* Forgets what was: all counters are as they are now. */
void proxied_reset(void);

/* rrdnsctl -j ARGUMENTS, which must succeed. New reference. */
json_t *proxied_ctl(const char *arguments);

/* What `upstreams` says under the key of a group's server (NULL: its only one). */
const char *proxied_told(const char *group, const struct scripted *s, const char *key);
/* Waits until that is the text. */
void proxied_await(const char *group, const struct scripted *s, const char *key, const char *text);

/* A group of tests; the last one is that the server ends well, and then the upstreams. */
void proxied_group(Suite *suite, const char *name, void (*start)(void), const TTest *const *tests);

#endif

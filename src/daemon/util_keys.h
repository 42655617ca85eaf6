/*
 * rrdnsutil's commands about keys. Each takes the words behind it, ended by NULL, and returns the
 * exit status; -1: wrong usage.
 */
#ifndef RRDNS_DAEMON_UTIL_KEYS_H
#define RRDNS_DAEMON_UTIL_KEYS_H

int util_keygen(char **words);
int util_ds(char **words);

#endif

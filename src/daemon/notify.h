/*
 * Telling the service manager: the protocol of sd_notify(3), one datagram to the socket that
 * $NOTIFY_SOCKET names. Without it, or where nobody listens, nothing happens.
 */
#ifndef RRDNS_DAEMON_NOTIFY_H
#define RRDNS_DAEMON_NOTIFY_H

void notify_ready(void);     /* started, or done with a reload */
void notify_reloading(void); /* until the next notify_ready */
void notify_stopping(void);

#endif

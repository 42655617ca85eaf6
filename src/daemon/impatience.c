/*
 * A thread in sigwait. A signal handler would do as well, were signals not better blocked in all
 * threads for good: so they can interrupt nothing, and the main loop reads them as events.
 */
#include "daemon/impatience.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"

static void *watch(void *context)
{
    const struct impatience *impatience = context;
    sigset_t ends;
    int signal;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    if (sigwait(&ends, &signal) != 0) {
        return NULL;
    }
    log_info("stopped at once");
    if (impatience->control_socket != NULL) {
        unlink(impatience->control_socket);
    }
    _exit(0);
}

void impatience_begin(struct impatience *impatience, const char *control_socket)
{
    impatience->control_socket = control_socket;
    impatience->watching = pthread_create(&impatience->thread, NULL, watch, impatience) == 0;
}

void impatience_end(struct impatience *impatience)
{
    if (impatience->watching) {
        pthread_cancel(impatience->thread);
        pthread_join(impatience->thread, NULL);
        impatience->watching = false;
    }
}

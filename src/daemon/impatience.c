/*
 * A thread in sigwait. A signal handler would do as well, were signals not better blocked in all
 * threads for good: so they can interrupt nothing, and the main loop reads them as events.
 *
 * The thread is ended by a signal of its own, not cancelled: so a SIGTERM that it has taken is
 * followed in any case, and one that it has not is left for the main loop.
 */
#include "daemon/impatience.h"

#include <signal.h>
#include <unistd.h>

#include "base/log.h"

/* Higher than those it waits for: where both are there, sigwait takes the lower one. */
static int end_of_watch(void)
{
    return SIGRTMIN;
}

static void *watch(void *context)
{
    const struct impatience *impatience = context;
    sigset_t ends;
    int signal;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, end_of_watch());
    if (sigwait(&ends, &signal) != 0 || signal == end_of_watch()) {
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
    sigset_t end, before;
    sigemptyset(&end);
    sigaddset(&end, end_of_watch());
    pthread_sigmask(SIG_BLOCK, &end, &before);
    impatience->control_socket = control_socket;
    impatience->watching = pthread_create(&impatience->thread, NULL, watch, impatience) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void impatience_end(struct impatience *impatience)
{
    if (impatience->watching) {
        pthread_kill(impatience->thread, end_of_watch());
        pthread_join(impatience->thread, NULL);
        impatience->watching = false;
    }
}

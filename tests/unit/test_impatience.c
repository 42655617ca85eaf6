/*
 * A signal that comes as the watch for it ends: the process ends at once, or the signal is there for
 * who reads signals from then on.
 */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/impatience.h"
#include "unit.h"

enum { ROUNDS = 400, LOST = 3 };

static atomic_bool sent;

static void *send_signal(void *context)
{
    const int *delay = context;
    for (volatile int i = 0; i < *delay; i++) {
    }
    kill(getpid(), SIGTERM);
    atomic_store(&sent, true);
    return NULL;
}

/* A process of its own: 0 where the signal was followed or kept, LOST where it wasn't. */
static void be_stopped(int delay)
{
    struct impatience impatience;
    pthread_t sender;
    sigset_t set;
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    impatience_begin(&impatience, NULL);
    /* Detached, since the process may end with it. */
    if (pthread_create(&sender, NULL, send_signal, &delay) != 0 || pthread_detach(sender) != 0) {
        _exit(1);
    }
    impatience_end(&impatience);
    while (!atomic_load(&sent)) {
        sched_yield();
    }
    sigpending(&set);
    _exit(sigismember(&set, SIGTERM) ? 0 : LOST);
}

START_TEST(no_signal_is_lost)
{
    for (int i = 0; i < ROUNDS; i++) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            be_stopped(i * 100);
        }
        ck_assert_int_eq(waitpid(pid, &status, 0), pid);
        ck_assert_int_eq(status, 0);
    }
}
END_TEST

/* What ends the watch ends nothing else, and it can be begun again. */
START_TEST(again)
{
    struct impatience impatience;
    for (int i = 0; i < 10; i++) {
        impatience_begin(&impatience, NULL);
        ck_assert(impatience.watching);
        impatience_end(&impatience);
        ck_assert(!impatience.watching);
        impatience_end(&impatience);
    }
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("impatience");
    tcase_set_timeout(unit.tests, 60);
    tcase_add_test(unit.tests, no_signal_is_lost);
    tcase_add_test(unit.tests, again);
    return unit_end(&unit);
}

#include "base/team.h"

#include <pthread.h>
#include <signal.h>

struct member {
    void (*work)(void *context, size_t index);
    void *context;
    size_t index;
    pthread_t thread;
};

static void *run(void *argument)
{
    struct member *member = argument;
    member->work(member->context, member->index);
    return NULL;
}

void team_run(size_t count, void (*work)(void *context, size_t index), void *context)
{
    struct member members[TEAM_MAX];
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    size_t made = 1;
    for (; made < count; made++) {
        members[made] = (struct member){.work = work, .context = context, .index = made};
        if (pthread_create(&members[made].thread, NULL, run, &members[made]) != 0) {
            break;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (count > 0) {
        work(context, 0);
    }
    for (size_t i = made; i < count; i++) {
        work(context, i);
    }
    for (size_t i = 1; i < made; i++) {
        pthread_join(members[i].thread, NULL);
    }
}

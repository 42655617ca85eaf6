/*
 * More questions than a worker can take: its socket is read turn after turn and not waited for,
 * until it is empty; whoever else is there is served meanwhile.
 */
#include "net_aid.h"
#include "unit.h"

#include <dirent.h>
#include <netinet/in.h>
#include <pthread.h>

#include "net/socket.h"

static const char *const TWO[] = {"127.0.0.1:0", "127.0.0.2:0", NULL};

/* ---- A flood: questions without end, and nobody who reads the answers ---- */

enum { FLOOD_BATCH = 64 };

struct flood {
    pthread_t thread;
    int fd;
    _Atomic bool stop;
};

static void *flood_run(void *context)
{
    struct flood *flood = context;
    uint8_t query[AID_QUERY];
    struct iovec vector = {query, sizeof query};
    struct mmsghdr messages[FLOOD_BATCH];
    aid_query(query, 7, "www", TYPE_A);
    for (size_t i = 0; i < FLOOD_BATCH; i++) {
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &vector, .msg_iovlen = 1};
    }
    while (!atomic_load(&flood->stop)) {
        sendmmsg(flood->fd, messages, FLOOD_BATCH, 0);
    }
    return NULL;
}

static void flood_start(struct flood *flood, const struct aid *aid)
{
    flood->fd = aid_client(aid, SOCK_DGRAM);
    atomic_init(&flood->stop, false);
    ck_assert_int_eq(pthread_create(&flood->thread, NULL, flood_run, flood), 0);
}

static void flood_end(struct flood *flood)
{
    atomic_store(&flood->stop, true);
    pthread_join(flood->thread, NULL);
    close(flood->fd);
}

/* ---- What the system tells of our descriptors ---- */

/* Whether fd is the datagram socket that is bound to this address and connected to none. */
static bool serves(int fd, const struct net_address *address)
{
    struct net_address own;
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    int type = 0;
    socklen_t type_size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) == 0 && type == SOCK_DGRAM &&
           getpeername(fd, (struct sockaddr *)&peer, &size) != 0 && socket_bound(fd, &own) == 0 &&
           socket_same(&own, address);
}

/* Whether an epoll instance of this process, described in a file of /proc, watches it. */
static bool watches(const char *description, const struct net_address *address)
{
    char line[256];
    bool found = false;
    FILE *in = fopen(description, "re");
    while (in != NULL && !found && fgets(line, sizeof line, in) != NULL) {
        int fd;
        found = sscanf(line, "tfd: %d", &fd) == 1 && serves(fd, address);
    }
    if (in != NULL) {
        fclose(in);
    }
    return found;
}

static bool waited_for(const struct net_address *address)
{
    DIR *all = opendir("/proc/self/fdinfo");
    bool found = false;
    ck_assert_ptr_nonnull(all);
    for (struct dirent *one; !found && (one = readdir(all)) != NULL;) {
        char path[sizeof "/proc/self/fdinfo/" + 256];
        snprintf(path, sizeof path, "/proc/self/fdinfo/%s", one->d_name);
        found = watches(path, address);
    }
    closedir(all);
    return found;
}

static void await_waited_for(const struct net_address *address, bool expected)
{
    unsigned ms = 0;
    for (; ms < AID_PATIENCE_MS && waited_for(address) != expected; ms++) {
        usleep(1000);
    }
    ck_assert_uint_lt(ms, AID_PATIENCE_MS);
}

/* Whether a thread of this name rests; false where there is none. */
static bool rests(const char *name)
{
    DIR *tasks = opendir("/proc/self/task");
    bool found = false;
    ck_assert_ptr_nonnull(tasks);
    for (struct dirent *one; !found && (one = readdir(tasks)) != NULL;) {
        char path[sizeof "/proc/self/task//stat" + 256];
        char own[64] = "";
        char state = '?';
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", one->d_name);
        FILE *in = fopen(path, "re");
        found = in != NULL && fscanf(in, "%*d (%63[^)]) %c", own, &state) == 2 &&
                strcmp(own, name) == 0 && state == 'S';
        if (in != NULL) {
            fclose(in);
        }
    }
    closedir(tasks);
    return found;
}

/* ---- Tests ---- */

static void ask_others(const struct aid *aid)
{
    struct net_address other = aid_bound(aid, 1);
    int fd = aid_connect(&other, SOCK_DGRAM);
    aid_ask(fd, 1);
    close(fd);
    fd = aid_client(aid, SOCK_STREAM);
    aid_ask_tcp(fd, 2);
    close(fd);
}

START_TEST(a_flood_is_not_waited_for)
{
    struct aid aid;
    struct flood flood;
    aid_prepare(&aid, TWO);
    aid_start(&aid);
    struct net_address flooded = aid_bound(&aid, 0);
    struct net_address other = aid_bound(&aid, 1);
    ck_assert(waited_for(&flooded));
    for (unsigned times = 0; times < 3; times++) {
        flood_start(&flood, &aid);
        await_waited_for(&flooded, false);
        ck_assert(waited_for(&other));
        ask_others(&aid);
        flood_end(&flood);
        await_waited_for(&flooded, true);
        int fd = aid_client(&aid, SOCK_DGRAM);
        aid_ask(fd, 3);
        close(fd);
    }
    unsigned ms = 0;
    for (; ms < AID_PATIENCE_MS && !rests("worker-0"); ms++) {
        usleep(1000);
    }
    ck_assert_uint_lt(ms, AID_PATIENCE_MS);
    aid_await(&aid, COUNTER_tcp_closed, 3);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

/* Sockets go from worker to worker, and an address goes, while nobody waits for them. */
START_TEST(changes_in_a_flood)
{
    struct aid aid;
    struct flood flood;
    aid_prepare(&aid, TWO);
    aid_start(&aid);
    struct net_address left = aid_bound(&aid, 1);
    flood_start(&flood, &aid);
    for (unsigned workers = 1; workers <= 3; workers++) {
        aid.options.workers = workers;
        aid_reconfigure(&aid);
        ask_others(&aid);
    }
    aid.options.workers = 1;
    aid_reconfigure(&aid);
    aid.options.addresses = 1;
    aid.address[0] = left;
    aid_reconfigure(&aid);
    int fd = aid_connect(&left, SOCK_DGRAM);
    aid_ask(fd, 4);
    close(fd);
    flood_end(&flood);
    aid_await(&aid, COUNTER_tcp_closed, 3);
    aid_balance(&aid);
    aid_end(&aid);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("net_flood");
    tcase_add_test(unit.tests, a_flood_is_not_waited_for);
    tcase_add_test(unit.tests, changes_in_a_flood);
    return unit_end(&unit);
}

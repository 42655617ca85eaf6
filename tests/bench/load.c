// A load generator for DNS servers: asks, checks every answer, and prints one line of figures.
//
//   load [options] ADDRESS PORT QUESTIONS
//
//   -m MODE     udp (default); tcp: -w questions at once on each of -c connections; conn: a
//               connection for each question, -c at once; until: waits until the first -n questions
//               of the file are answered right, one after the other, or the process -p is gone
//   -c N        clients, each with a socket, so a port, of its own (16)
//   -w N        questions a client has open at once, at most 64 (16)
//   -f N        a client takes a new port after N runs of -w questions (64; 0: never)
//   -a N        source addresses, 127.1.0.1 and on (16)
//   -r RATE     asks at a fixed rate instead of as fast as answers come (udp)
//   -l SECONDS  measures so long (2); -W SECONDS warms up before (0.3); -u SECONDS goes on after it
//               to tell the server's time in user mode by sampling (user.h), else by clock ticks
//   -t SECONDS  an answer that takes longer is lost (1)
//   -d DRAW     file (default), uniform or zipf: in which order lines are drawn
//   -n N        reads only N lines
//   -e, -D      EDNS, EDNS with DO
//   -s          no UDP_SEGMENT: every datagram is sent by itself
//   -y          shares its core: sleeps 50 us where it has nothing to do, instead of spinning
//   -H CORE     a second generator on that core, of which only the answers are counted
//   -E          the server only echoes: answers are matched by ID alone
//   -p PID      a process of the server (its descendants count too); -C CORE the core it runs on;
//               -k PID that core's ksoftirqd: their processor time is measured
//   -P          asks as clients ask a resolver (RD); addresses have to be those that origin.h makes
//   -O PORT     is also the upstream that origin.h tells of, on ADDRESS and that port (udp)
//   -F FILE     floods the server beside a fixed rate: -R RATE questions a second of that file,
//               whatever becomes of them, or 48 open at a time (-R 0, the default)
//   -B NS       "until" counts from this moment (date +%s%N), not from its own start
//   -x COMMAND -z ZONE -S SERIAL
//               after two seconds at a fixed rate runs COMMAND and measures the time until the
//               zone's SOA has that serial; ends a second after that, or after -l seconds
//               (p99 is of all since COMMAND, p99_during until the serial is there, p99_after then)
//
// The line is KEY=VALUE pairs: times per answer in microseconds. `wait` is the share of time in
// which the generator had nothing to do; where it is near 0, the generator is what limits. `self`
// is the share of time that it had its core, `other` the share that others took on the server's: a
// run with self < 0.9 or other > 0.1 says little. `asked` is what came to it as an upstream. `stopped`
// (at a fixed rate) are the seconds in which it stood still for more than 2 ms at a time: what was
// open then is counted, and not timed.
//
// Only loopback addresses are taken: this is no tool to try out on others.
#include "cpu.h"
#include "load.h"
#include "user.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct load load = {
    .clients = 16,
    .window = 16,
    .fresh = 64,
    .sources = 16,
    .segments = true,
    .warm_up = 0.3,
    .seconds = 2,
    .timeout = 1000000000U,
};
static struct load flood = {
    .clients = 6,
    .window = 8,
    .fresh = 64,
    .sources = 16,
    .segments = true,
    .timeout = 1000000000U,
};
static const char *flood_file; // of -F
static unsigned origin_port;   // of -O; 0: none
static struct origin origin;
static struct cpu_watch watch = {.core = -1};
static double sample_for;      // seconds of -u
static int helper_core = -1;   // of -H
static uint64_t *helper_count; // what it was answered; shared with it

static void usage(void)
{
    fprintf(stderr, "usage: load [options] ADDRESS PORT QUESTIONS (load.c tells the options)\n");
    exit(2);
}

static enum mode mode_of(const char *text)
{
    static const char *const names[] = {"udp", "tcp", "conn", "until"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            return (enum mode)i;
        }
    }
    usage();
    return MODE_UDP;
}

static enum draw draw_of(const char *text)
{
    if (strcmp(text, "uniform") == 0) {
        return DRAW_UNIFORM;
    }
    return strcmp(text, "zipf") == 0 ? DRAW_ZIPF : DRAW_FILE;
}

static unsigned number(const char *text, unsigned most)
{
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*end != '\0' || end == text || value > most) {
        usage();
    }
    return (unsigned)value;
}

static void read_flood(void)
{
    flood.echo = load.echo;
    flood.server = load.server;
    flood.edns = load.edns;
    if (queries_read(&flood.queries, flood_file, &flood.edns, 0) != 0) {
        exit(1);
    }
    flood.queries.random ^= now_ns(); // other names than the last time
    load.flood = &flood;
}

static void read_options(int argc, char **argv)
{
    size_t limit = 0;
    static const char options[] = "m:c:w:f:a:r:l:W:u:B:t:d:n:eDsyH:EPO:p:C:k:x:z:S:F:R:";
    for (int c; (c = getopt(argc, argv, options)) != -1;) {
        switch (c) {
        case 'm':
            load.mode = mode_of(optarg);
            break;
        case 'c':
            load.clients = number(optarg, 4096);
            break;
        case 'w':
            load.window = number(optarg, WINDOW_MAX);
            break;
        case 'f':
            load.fresh = number(optarg, 1U << 30);
            break;
        case 'a':
            load.sources = number(optarg, 50000);
            break;
        case 'r':
            load.rate = atof(optarg);
            break;
        case 'l':
            load.seconds = atof(optarg);
            break;
        case 'W':
            load.warm_up = atof(optarg);
            break;
        case 'u':
            sample_for = atof(optarg);
            break;
        case 'B':
            load.began = strtoull(optarg, NULL, 10);
            break;
        case 't':
            load.timeout = (uint64_t)(atof(optarg) * 1e9);
            break;
        case 'd':
            load.queries.draw = draw_of(optarg);
            break;
        case 'n':
            limit = number(optarg, 1U << 30);
            break;
        case 'D':
            load.edns.dnssec_ok = true; // fall through
        case 'e':
            load.edns.on = true;
            break;
        case 's':
            load.segments = false;
            break;
        case 'y':
            load.yields = true;
            break;
        case 'H':
            helper_core = (int)number(optarg, 1023);
            break;
        case 'E':
            load.echo = true;
            break;
        case 'P':
            load.forwarded = true;
            break;
        case 'O':
            origin_port = number(optarg, 65535);
            break;
        case 'p':
            cpu_watch_tree(&watch, (int)number(optarg, 1U << 30));
            break;
        case 'C':
            watch.core = (int)number(optarg, 4096);
            break;
        case 'k':
            watch.kernel_pid = (int)number(optarg, 1U << 30);
            break;
        case 'x':
            load.command = optarg;
            break;
        case 'z':
            load.zone = optarg;
            break;
        case 'S':
            load.serial = number(optarg, UINT32_MAX);
            break;
        case 'F':
            flood_file = optarg;
            break;
        case 'R':
            flood.rate = atof(optarg);
            flood.fresh = 0; // answers may be late, and are to find their socket
            break;
        default:
            usage();
        }
    }
    if (argc - optind != 3 || load.clients == 0 || load.window == 0 || load.sources == 0 ||
        (load.command != NULL && (load.zone == NULL || load.rate <= 0)) ||
        ((load.rate > 0 || origin_port > 0) && load.mode != MODE_UDP) ||
        (flood_file != NULL && load.rate <= 0)) {
        usage();
    }
    load.server.sin_family = AF_INET;
    load.server.sin_port = htons((uint16_t)number(argv[optind + 1], 65535));
    if (inet_pton(AF_INET, argv[optind], &load.server.sin_addr) != 1 ||
        ntohl(load.server.sin_addr.s_addr) >> 24 != 127) {
        fprintf(stderr, "load: %s is no address in 127.0.0.0/8\n", argv[optind]);
        exit(2);
    }
    if (load.mode == MODE_CONNECTIONS) {
        load.window = 1;
    }
    load.edns.payload = 1232;
    enum draw draw = load.queries.draw;
    if (queries_read(&load.queries, argv[optind + 2], &load.edns, limit) != 0) {
        exit(1);
    }
    load.queries.draw = draw;
    load.queries.random ^= now_ns(); // patterns: other names than the last time
    if (flood_file != NULL) {
        read_flood();
    }
}

static void print_tally(double seconds)
{
    const struct tally *t = &load.tally;
    printf("seconds=%.3f sent=%" PRIu64 " answered=%" PRIu64 " lost=%" PRIu64 " unsent=%" PRIu64
           " late=%" PRIu64 " bad_question=%" PRIu64 " bad_rcode=%" PRIu64 " empty=%" PRIu64
           " bad_record=%" PRIu64 " asked=%" PRIu64 " truncated=%" PRIu64 " reconnects=%" PRIu64
           " qps=%.0f p50=%.1f p99=%.1f max=%.1f",
           seconds, t->sent, t->answered, t->lost, t->unsent, t->late, t->bad_question,
           t->bad_rcode, t->empty, t->bad_record, t->asked, t->truncated, t->reconnects,
           (double)t->answered / seconds, histogram_at(&t->latency, 0.5),
           histogram_at(&t->latency, 0.99), (double)t->latency.max / 1000);
}

// Per answer: cpu is all that the server's processes and their core's ksoftirqd took; softirq is
// the core's, and part of cpu or not as the kernel accounts for it (cpu.c). `sampled` is the time
// in user mode per answer, where it was sampled, else negative.
static void print_cpu(const struct cpu_sums *a, const struct cpu_sums *b, double seconds,
                      double answers, double sampled)
{
    double run = b->run - a->run + b->kernel - a->kernel;
    double user = b->user - a->user;
    double parts = user + b->system - a->system;
    if (parts > run * 1.02 + 0.02) { // threads that came and went are only in the process's ticks
        run = parts;
    }
    double each = run * 1e6 / answers;
    double user_each = parts > 0 ? each * user / parts : 0;
    if (sampled >= 0) {
        user_each = sampled < each ? sampled : each;
    }
    double softirq = b->core_softirq - a->core_softirq;
    double other = b->core_busy - a->core_busy - run;
    printf(" cpu=%.4f user=%.4f system=%.4f user_by=%s softirq=%.4f busy=%.3f other=%.3f idle=%.3f",
           each, user_each, each - user_each, sampled >= 0 ? "sampling" : "ticks",
           softirq * 1e6 / answers, run / seconds,
           other > 0 && watch.core >= 0 ? other / seconds : 0,
           b->all > a->all ? (b->idle - a->idle) / (b->all - a->all) : 0);
}

// Asks flat out for so long; the second generator tells what it got meanwhile. Returns the seconds
// that it was.
static double run_for(double seconds, bool helping)
{
    bool (*turn)(struct load *, uint64_t, bool) = load.mode == MODE_UDP ? udp_turn : tcp_turn;
    static uint64_t look_at_all;
    uint64_t begin = now_ns();
    uint64_t end = begin + (uint64_t)(seconds * 1e9);
    uint64_t now = begin;
    while (now < end) {
        bool everyone = now >= look_at_all;
        if (everyone) {
            look_at_all = now + 1000000U;
        }
        bool any = turn(&load, now, everyone);
        uint64_t then = now_ns();
        if (!any) {
            if (load.yields) {
                nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
            } else {
                pause_ns(2000);
            }
            then = now_ns();
            load.waited += then - now;
        }
        if (helping) {
            __atomic_store_n(helper_count, load.tally.answered, __ATOMIC_RELAXED);
        }
        now = then;
    }
    return (double)(now - begin) * 1e-9;
}

// Microseconds in user mode per answer, or -1.
static double sample_user(void)
{
    static struct user_clock clock;
    if (sample_for <= 0 || user_clock_start(&clock, &watch) != 0) {
        return -1;
    }
    double before = user_clock_seconds(&clock);
    uint64_t answered = load.tally.answered;
    run_for(sample_for, false);
    double user = user_clock_seconds(&clock) - before;
    answered = load.tally.answered - answered;
    user_clock_stop(&clock);
    return answered > 0 ? user * 1e6 / (double)answered : -1;
}

// The second generator: a process that does the same, until this one is no more.
static int start_helper(void)
{
    cpu_set_t core;
    helper_count =
        mmap(NULL, sizeof *helper_count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pid = helper_count == MAP_FAILED ? -1 : fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        CPU_ZERO(&core);
        CPU_SET((unsigned)helper_core, &core);
        sched_setaffinity(0, sizeof core, &core);
        load.queries.random ^= UINT64_C(0x5851f42d4c957f2d); // other questions at a time
        run_for(600, true);
        _exit(0);
    }
    if (pid < 0) {
        complain("a second generator");
    }
    return pid;
}

static uint64_t helped(void)
{
    return helper_count != NULL ? __atomic_load_n(helper_count, __ATOMIC_RELAXED) : 0;
}

static int run_flat_out(void)
{
    struct cpu_sums before;
    struct cpu_sums after;
    pid_t helper = helper_core >= 0 ? start_helper() : 0;
    if (helper < 0) {
        return 1;
    }
    run_for(load.warm_up, false);
    memset(&load.tally, 0, sizeof load.tally);
    load.waited = 0;
    cpu_read(&watch, &before);
    double own = own_time();
    uint64_t help = helped();
    double seconds = run_for(load.seconds, false);
    cpu_read(&watch, &after);
    own = own_time() - own;
    help = helped() - help;
    double wait = (double)load.waited * 1e-9;
    double answers = (double)(load.tally.answered + help);
    answers = answers > 0 ? answers : 1;
    print_tally(seconds);
    if (helper > 0) {
        printf(" all_qps=%.0f", answers / seconds);
    }
    print_cpu(&before, &after, seconds, answers, sample_user());
    printf(" wait=%.3f self=%.3f\n", wait / seconds, own / seconds);
    if (helper > 0) {
        kill(helper, SIGKILL);
        waitpid(helper, NULL, 0);
    }
    return 0;
}

static int run_rate(void)
{
    struct change change;
    if (udp_rate(&load, &change) != 0) {
        return 1;
    }
    print_tally(change.measured);
    printf(" stopped=%.3f", (double)load.stopped * 1e-9);
    if (load.command != NULL) {
        const struct tally *t = &load.tally;
        printf(" p50_before=%.1f p99_before=%.1f p99_during=%.1f p99_after=%.1f"
               " lost_before=%" PRIu64 " lost_during=%" PRIu64
               " change=%.4f command=%.4f status=%d self=%.3f",
               histogram_at(&change.before, 0.5), histogram_at(&change.before, 0.99),
               histogram_at(&change.during, 0.99), histogram_at(&change.after, 0.99),
               change.lost_before,
               t->lost + t->unsent + t->bad_rcode + t->empty - change.lost_before,
               change.seen != 0 ? (double)(change.seen - change.started) * 1e-9 : -1,
               change.ended != 0 ? (double)(change.ended - change.started) * 1e-9 : -1,
               change.status, change.own / change.measured);
    } else {
        printf(" self=%.3f", change.own / change.measured);
    }
    if (load.flood != NULL) {
        const struct tally *t = &load.flood->tally;
        printf(" flood_sent=%.0f flood_full=%.0f flood_truncated=%.0f",
               (double)t->sent / change.measured,
               (double)(t->answered - t->truncated) / change.measured,
               (double)t->truncated / change.measured);
    }
    printf("\n");
    return 0;
}

static int open_origin(void)
{
    struct sockaddr_in at = load.server;
    at.sin_port = htons((uint16_t)origin_port);
    if (origin_port > 0) {
        if (origin_open(&origin, &at, false) != 0) {
            return -1;
        }
        load.origin = &origin;
    }
    return 0;
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    int result = 1;
    if (open_origin() == 0 && clients_make(&load) == 0 &&
        (load.flood == NULL || clients_make(load.flood) == 0)) {
        if (load.mode == MODE_UNTIL) {
            double took = wait_until_right(&load, watch.pids[0]);
            printf("until=%.4f\n", took);
            result = took < 0;
        } else if (load.rate > 0) {
            result = run_rate();
        } else {
            result = run_flat_out();
        }
    }
    if (load.origin != NULL) {
        origin_close(load.origin);
    }
    clients_free(&load);
    clients_free(&flood);
    queries_free(&load.queries);
    queries_free(&flood.queries);
    return result;
}

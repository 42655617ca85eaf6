/*
 * The program rrdnsctl, from the build directory, against the made-up server of control_aid.h: what
 * it prints for people, what for programs, its exit status. And the manual's table of counters.
 */
#include "control_aid.h"

#include <stdarg.h>
#include <sys/wait.h>

#include "unit.h"

static struct {
    int status;
    char out[1 << 16], err[1 << 16];
} ran;

static void slurp(const char *file, char *text, size_t room)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", aid.directory, file);
    FILE *stream = fopen(path, "r");
    ck_assert_ptr_nonnull(stream);
    text[fread(text, 1, room - 1, stream)] = '\0';
    fclose(stream);
    unlink(path);
}

/* Runs rrdnsctl with these words after its name and the option -s. */
static void ctl(const char *words, ...)
{
    const char *build = getenv("RRDNS_BUILD");
    char command[1024], all[512];
    va_list args;
    va_start(args, words);
    vsnprintf(all, sizeof all, words, args);
    va_end(args);
    snprintf(command, sizeof command, "exec %s/rrdnsctl -s %s %s >%s/out 2>%s/err",
             build != NULL ? build : "build", aid.socket, all, aid.directory, aid.directory);
    int status = system(command);
    ck_assert_msg(WIFEXITED(status), "%s", command);
    ran.status = WEXITSTATUS(status);
    slurp("out", ran.out, sizeof ran.out);
    slurp("err", ran.err, sizeof ran.err);
}

static void expect(int status, const char *out, const char *err)
{
    ck_assert_msg(ran.status == status, "status %d, not %d\n%s\n%s", ran.status, status, ran.out,
                  ran.err);
    ck_assert_msg(strstr(ran.out, out) != NULL, "\"%s\" is not in \"%s\"", out, ran.out);
    ck_assert_msg(strstr(ran.err, err) != NULL, "\"%s\" is not in \"%s\"", err, ran.err);
}

START_TEST(text_of_each_command)
{
    aid.zones = 3;
    aid_routes();
    aid_start();
    counter_add(&aid.counters[0], COUNTER_qtype + 28, 5);
    ctl("status");
    expect(0, "status       running\n", "");
    expect(0, "uptime       00:00:0", "");
    expect(0, "listen       127.0.0.1:5300\n", "");
    expect(0, "zones        3 (2 in service)\nroutes       2\n", "");
    ctl("stats");
    expect(0, "qtype.AAAA                   5\n", "");
    expect(0, "tcp_open                     0\n", "");
    ck_assert_ptr_null(strstr(ran.out, "worker"));
    ctl("stats --per-worker");
    expect(0, "\nworker 1\n", "");
    ctl("zone z000000.example");
    expect(0, "zone         z000000.example\nstate        served\n", "");
    expect(0, "loaded at    2023-11-14T22:13:20Z\n", "");
    ctl("zone z000001.example");
    expect(0, "state        not served\n", "");
    expect(0, "last error   z.zone:3: caf? is no address\n", "");
    ctl("zones");
    expect(0, "z000002.example        102         5        4096 2023-11-14T22:13:20Z", "");
    expect(0, "not served: z.zone:3: caf? is no address\n", "");
    ctl("cache");
    expect(0, "size         1048576\nused         4000\nentries      30\nput          40\n", "");
    expect(0, "evicted      2\nhits         0\nstale        0\nmisses       0\n", "");
    ctl("cache flush");
    expect(0, "1000 entries flushed\n", "");
    ctl("cache flush example.com");
    expect(0, "12 entries flushed\n", "");
    ctl("upstreams");
    expect(0, "GROUP     SERVER              STATE      LATENCY      QUERIES      REPLIES", "");
    expect(0, "resolvers 192.0.2.1           up         12.3 ms            7            0", "");
    expect(0, "resolvers tls://192.0.2.2#a.b down             -          101          102", "");
    expect(0, " 103  tls 5 s ago\n", "");
    ctl("log debug");
    expect(0, "log level debug\n", "");
    ctl("stop >/dev/null & sleep 0.2; kill -0 $!"); /* it waits for the server's end */
    expect(0, "", "");
    aid_end();
}
END_TEST

START_TEST(json_as_it_came)
{
    aid_start();
    ctl("-j log info");
    ck_assert_str_eq(ran.out, "{\"ok\":true,\"result\":{\"level\":\"info\"}}\n");
    ctl("--json zone nope.example");
    expect(1, "{\"ok\":false,\"error\":\"zone \\\"nope.example\\\" is not configured\"}\n",
           "rrdnsctl: zone \"nope.example\" is not configured\n");
    aid_stop();
}
END_TEST

START_TEST(reload_reports)
{
    static uint8_t bad[NAME_MAX_OCTETS], good[NAME_MAX_OCTETS];
    struct loader_zone_result *zones = calloc(2, sizeof *zones);
    name_from_text("bad.example", 11, NULL, bad);
    zones[0].name = bad;
    zones[0].outcome = LOADER_FAILED;
    diag_fault(&zones[0].diag, "bad.zone", 3, "no\x1b[31m good");
    name_from_text("good.example", 12, NULL, good);
    zones[1].name = good;
    zones[1].outcome = LOADER_LOADED;
    zones[1].serial = 7;
    zones[1].records = 2;
    diag_warn(&zones[1].diag, "good.zone", 9, "so so");
    aid.reload = (struct loader_result){.failed = 1, .loaded = 1, .count = 2, .zones = zones};
    aid_start();
    ctl("reload");
    expect(1, "good.example: loaded, serial 7, 2 records\n  warning: good.zone:9: so so\n",
           "bad.example: failed\n  bad.zone:3: no\\x1b[31m good\n");
    expect(1, "1 loaded, 0 unchanged, 1 failed, 0 removed in 0 ms\n", "");
    expect(1, "not before a restart: server.user\n", "");
    ctl("-j reload");
    expect(1, "{\"ok\":true,", "");
    aid_stop();
}
END_TEST

START_TEST(refused_configuration)
{
    aid.reload_error = RR_EINVAL;
    diag_fault(&aid.reload_diag, "rrdns.json", 4, "zones: wrong");
    aid_start();
    ctl("reload");
    expect(1, "",
           "the configuration is refused, nothing has changed\nrrdns.json:4: zones: wrong\n");
    aid_stop();
}
END_TEST

START_TEST(wrong_usage)
{
    static const char *const words[] = {
        "",        "dance",           "status now",  "zone",    "zone a b",
        "log",     "stats --all",     "-x status",   "stop it", "zones all",
        "cache x", "cache flush a b", "upstreams x",
    };
    aid_start();
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        ctl("%s", words[i]);
        expect(2, "", "usage: rrdnsctl");
    }
    ctl("reload $(seq 20000)");
    expect(2, "", "64 KiB");
    ctl("-h");
    expect(0, "usage: rrdnsctl", "");
    ctl("-V");
    expect(0, "rrdnsctl ", "");
    ctl("reload $(seq 1000)"); /* many, but they fit */
    expect(1, "", "zone \"1\" is not configured");
    aid_stop();
}
END_TEST

START_TEST(no_server)
{
    aid_prepare();
    ctl("status");
    expect(3, "", "no server at");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, aid.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    ctl("status");
    expect(3, "", "no server at");
    unlink(aid.socket);
    rmdir(aid.directory);
    event_base_free(aid.server.base);
}
END_TEST

/* The page has each counter with its prose, in the order of counters.def, and no other. */
START_TEST(manual_has_all_counters)
{
    const char *source = getenv("RRDNS_SRC");
    char path[512], line[512];
    snprintf(path, sizeof path, "%s/man/rrdnsctl.8", source != NULL ? source : ".");
    FILE *page = fopen(path, "r");
    ck_assert_msg(page != NULL, "%s", path);
    while (fgets(line, sizeof line, page) != NULL && strstr(line, "counters: begin") == NULL) {
    }
    for (size_t i = 0; i < counter_infos_count; i++) {
        char wanted[512];
        snprintf(wanted, sizeof wanted, ".It Va %s\n", counter_infos[i].name);
        ck_assert_ptr_nonnull(fgets(line, sizeof line, page));
        ck_assert_str_eq(line, wanted); /* where not: run tools/counters-mdoc */
        snprintf(wanted, sizeof wanted, "%s\n", counter_infos[i].prose);
        ck_assert_ptr_nonnull(fgets(line, sizeof line, page));
        ck_assert_str_eq(line, wanted);
    }
    ck_assert_ptr_nonnull(fgets(line, sizeof line, page));
    ck_assert_ptr_nonnull(strstr(line, "counters: end"));
    fclose(page);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("rrdnsctl");
    tcase_add_test(unit.tests, text_of_each_command);
    tcase_add_test(unit.tests, json_as_it_came);
    tcase_add_test(unit.tests, reload_reports);
    tcase_add_test(unit.tests, refused_configuration);
    tcase_add_test(unit.tests, wrong_usage);
    tcase_add_test(unit.tests, no_server);
    tcase_add_test(unit.tests, manual_has_all_counters);
    return unit_end(&unit);
}

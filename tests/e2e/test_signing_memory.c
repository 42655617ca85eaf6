/*
 * No memory in the middle of a reload that reads keys and signs anew: each allocation in turn fails
 * once, then all from one on for the rest of the reload. What was served goes on, signed, and the
 * next reload does what this one could not.
 */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon.h"
#include "harness.h"
#include "packet.h"
#include "resolver.h"

/* Shared with the server, by way of a file. */
struct shortage {
    atomic_long calls; /* allocations while armed */
    atomic_long from;  /* the first that fails; 0: not armed */
    atomic_long count; /* how many do */
};
static struct shortage *shortage;

static const char shim[] =
    "#include <errno.h>\n"
    "#include <fcntl.h>\n"
    "#include <stdatomic.h>\n"
    "#include <stdlib.h>\n"
    "#include <sys/mman.h>\n"
    "#include <unistd.h>\n"
    "void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t);\n"
    "void *__libc_realloc(void *, size_t), *__libc_memalign(size_t, size_t);\n"
    "static struct { atomic_long calls, from, count; } *shared;\n"
    "__attribute__((constructor)) static void begin(void)\n"
    "{\n"
    "    int file = open(getenv(\"SHORTAGE\"), O_RDWR | O_CLOEXEC);\n"
    "    void *at = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);\n"
    "    close(file);\n"
    "    if (at != MAP_FAILED) shared = at;\n"
    "}\n"
    "static int fails(void)\n"
    "{\n"
    "    long from = shared != 0 ? atomic_load(&shared->from) : 0;\n"
    "    if (from == 0) return 0;\n"
    "    long call = 1 + atomic_fetch_add(&shared->calls, 1);\n"
    "    if (call < from || call - from >= atomic_load(&shared->count)) return 0;\n"
    "    errno = ENOMEM;\n"
    "    return 1;\n"
    "}\n"
    "void *malloc(size_t n) { return fails() ? 0 : __libc_malloc(n); }\n"
    "void *calloc(size_t n, size_t s) { return fails() ? 0 : __libc_calloc(n, s); }\n"
    "void *realloc(void *p, size_t n) { return fails() ? 0 : __libc_realloc(p, n); }\n"
    "void *aligned_alloc(size_t a, size_t n) { return fails() ? 0 : __libc_memalign(a, n); }\n"
    "int posix_memalign(void **p, size_t a, size_t n)\n"
    "{\n"
    "    void *made = fails() ? 0 : __libc_memalign(a, n);\n"
    "    if (made != 0) *p = made;\n"
    "    return made != 0 ? 0 : ENOMEM;\n"
    "}\n";

/* ---- The server ---- */

static unsigned version;

static void write_zone(void)
{
    daemon_zone(&server, "a.test",
                format_text("$TTL 300\n@ SOA ns host %u 3600 600 86400 300\n@ NS ns\n"
                            "ns A 192.0.2.53\nwww A 192.0.2.1\nv%u A 192.0.2.2\n",
                            version, version));
    version++;
}

/* Starts it with the shim and a key of the algorithm. False where that is not to be had. */
static bool begin(const char *algorithm)
{
    daemon_prepare(&server, format_text("memory-%s", algorithm),
                   "{\"server\": {\"workers\": 1}, \"dnssec\": {\"p\": {\"keys\": \"keys\"}}, "
                   "\"zones\": [{\"name\": \"a.test\", \"file\": \"zones/a.test.zone\", "
                   "\"dnssec\": \"p\"}]}");
    const char *source = format_text("%s/shim.c", server.dir);
    const char *file = format_text("%s/shortage", server.dir);
    file_write(source, shim);
    if (harness_sanitized() ||
        command("cc -shared -fPIC -o %s/shim.so %s", server.dir, source).status != 0) {
        return false;
    }
    dir_make(format_text("%s/keys", server.dir));
    ck_assert_int_eq(command("%s/rrdnsutil keygen a.test --algorithm %s --dir %s/keys",
                             harness_build(), algorithm, server.dir).status,
                     0);
    version = 1;
    write_zone();
    int shared = open(file, O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(ftruncate(shared, 4096), 0);
    shortage = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
    ck_assert_ptr_ne(shortage, MAP_FAILED);
    close(shared);
    setenv("SHORTAGE", file, 1);
    setenv("LD_PRELOAD", format_text("%s/shim.so", server.dir), 1);
    daemon_start(&server);
    unsetenv("LD_PRELOAD");
    return true;
}

static void teardown(void)
{
    unsetenv("LD_PRELOAD");
    daemon_kill(&server);
    if (shortage != NULL) {
        munmap(shortage, 4096);
        shortage = NULL;
    }
}

/* A reload of a new version with new stamps of keys; allocations fail from one on, so many. Returns
 * the allocations. */
static long reload(long from, long count)
{
    size_t log = daemon_log_size(&server);
    write_zone();
    ck_assert_int_eq(command("touch %s/keys/*", server.dir).status, 0);
    atomic_store(&shortage->calls, 0);
    atomic_store(&shortage->count, count);
    atomic_store(&shortage->from, from);
    ck_assert_int_eq(kill(server.pid, SIGHUP), 0);
    bool told = daemon_logs(&server, log, "reload");
    atomic_store(&shortage->from, 0);
    ck_assert_msg(told, "%ld allocations from %ld on failed: nothing told", count, from);
    return atomic_load(&shortage->calls);
}

static void expect_signed(const char *name)
{
    static const struct zone_keys zone = {.zone = "a.test."};
    struct packet packet;
    signed_ask(&server, true, 1232, name, "A", &packet);
    ck_assert_uint_eq(packet.rcode, 0);
    ck_assert_uint_eq(ldns_rr_list_rr_count(packet_section(&packet, SECTION_ANSWER)), 2);
    const char *fault = signatures_fault(&server, &zone, 1, &packet);
    ck_assert_msg(fault == NULL, "%s: %s", name, fault);
    packet_free(&packet);
}

/* What there was goes on; and the next time all is well. */
static void expect_well(void)
{
    expect_signed("www.a.test");
    control_reload_ok(&server);
    expect_signed(format_text("v%u.a.test", version - 1));
}

START_TEST(each_allocation)
{
    static const char *const algorithms[] = {"ecdsap256sha256", "rsasha256", "ed25519"};
    if (!begin(algorithms[_i])) {
        return;
    }
    long all = reload(1, 0); /* none fails */
    expect_well();
    ck_assert_int_gt(all, 100);
    for (long from = 1; from <= all; from++) {
        reload(from, 1);
        expect_well();
    }
    for (long from = 1; from <= all; from += 7) {
        reload(from, 1000000);
        expect_well();
    }
    daemon_stop(&server);
}
END_TEST

static Suite *suite(void)
{
    Suite *all = suite_create("signing_memory");
    TCase *tests = tcase_create("memory");
    tcase_add_checked_fixture(tests, NULL, teardown);
    tcase_add_loop_test(tests, each_allocation, 0, 3);
    suite_add_tcase(all, tests);
    return all;
}

int main(void)
{
    return harness_main("signing_memory", suite);
}

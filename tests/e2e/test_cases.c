/*
 * Runs tests/e2e/cases/NAME.case: questions and the answers that they must get, as text. Each
 * file has a server of its own; each case is a test, run over UDP and TCP, IPv4 and IPv6.
 *
 * A file is made of lines. "#" begins a comment, blank lines are skipped, and what belongs to a
 * zone or a case is indented. At the left margin:
 *
 *   server JSON            put over the server's configuration (one line)
 *   origin NAME            appended to names that follow and have no final dot; "@" is it
 *   define WORD TEXT       $WORD stands for TEXT from here on
 *   zone NAME              its master file follows, indented by four; no $TTL is given for you
 *   broken NAME            the same for a zone that must not load; all others must
 *   case TITLE             a case follows, indented
 *
 * In a case:
 *
 *   ask NAME TYPE [CLASS] [+FLAG...]
 *       Flags: rd cd ad aa tc ra z qr (header bits), opcode=N; do co ez (EDNS flags; ez: all
 *       reserved ones), edns[=SIZE] (1232), version=N, nsid, keepalive, opt=CODE:HEX, cookie
 *       (=last: the one got last from this server over this family, =forged: that with a bit
 *       flipped). Each of those with EDNS in their meaning brings an OPT.
 *   send OCTETS...
 *       Instead of ask: the message itself, over as many lines as it takes. Words: hex (1234),
 *       hex*TIMES (00*20), <name> in wire form, 'letters' as they are.
 *   over TRANSPORT...      udp4 udp6 tcp4 tcp6, udp, tcp; all where there is no such line
 *   repeat N               so many times; every answer must be the same but for its ID
 *
 *   reply RCODE [FLAG...]  exactly these of aa tc rd ra ad cd, opcode=N where not the query's
 *   reply none             not answered at all
 *   question none          or NAME TYPE [CLASS]; else the query's comes back octet by octet
 *   answer RECORD          and authority, additional: exactly these records. TTL 3600 and class
 *                          IN where not written; letters' case counts. In the answer section RRsets
 *                          have the order of the lines, in the others any; the records of
 *                          an RRset any, but:
 *   ordered                everything in the order of the lines
 *   answer N records       just so many (likewise the others)
 *   edns, noedns           the answer has an OPT, or not; else as the query
 *   option nsid TEXT       what the OPT has: exactly these options; a TEXT in quotes may be left
 *   option cookie            out, but for the option itself
 *   option keepalive N
 *   option ede N [TEXT]
 *   size N                 octets of the answer
 *   count COUNTER +N       see case_run.c for what is expected of the others
 *
 * E2E_CASES=NAME runs one file, E2E_CASES=NAME:LINE one case.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "case_run.h"
#include "casefile.h"
#include "daemon.h"
#include "harness.h"

enum { CASES_MAX = 4096, FILES_MAX = 64 };

/* A test: a case, or the end of a file's server (NULL case). */
static struct {
    struct case_file *file;
    const struct test_case *c;
} tests[CASES_MAX];
static int tests_count;
static struct case_file *files[FILES_MAX];
static size_t files_count;

static const struct case_file *served; /* by server */
static const struct case_file *failed; /* could not be served */

/* No case is any good where its zone did not load. */
static void check_zones(const struct case_file *file)
{
    json_t *result = control_result(&server, "zones");
    json_t *zone;
    size_t at;
    json_array_foreach (json_object_get(result, "zones"), at, zone) {
        bool broken = false;
        for (size_t i = 0; i < file->zones_count; i++) {
            broken |=
                file->zones[i].broken && strcmp(file->zones[i].name, json_at(zone, "name")) == 0;
        }
        ck_assert_msg(json_is_true(json_object_get(zone, "serving")) != broken, "%s: zone %s: %s",
                      file->path, json_at(zone, "name"), json_at(zone, "last_error"));
    }
    json_decref(result);
}

static void serve(const struct case_file *file)
{
    if (served == file) {
        return;
    }
    ck_assert_msg(failed != file, "its server could not be started");
    daemon_kill(&server);
    case_run_reset();
    served = NULL;
    failed = file;
    ck_assert_msg(file->fault == NULL, "%s", file->fault);
    daemon_prepare(&server, file->name, file->server);
    for (size_t i = 0; i < file->zones_count; i++) {
        daemon_zone(&server, file->zones[i].name, file->zones[i].text);
    }
    daemon_start(&server);
    check_zones(file);
    served = file;
    failed = NULL;
}

START_TEST(a_case)
{
    const struct case_file *file = tests[_i].file;
    if (tests[_i].c != NULL || file->fault != NULL) {
        serve(file);
        case_run(&server, tests[_i].c);
    } else if (served == file) {
        daemon_stop(&server);
        served = NULL;
    }
}
END_TEST

static void add(struct case_file *file, const struct test_case *c)
{
    if (tests_count < CASES_MAX) {
        tests[tests_count].file = file;
        tests[tests_count++].c = c;
    }
}

/* What E2E_CASES chooses. */
static bool chosen(const struct case_file *file, const struct test_case *c)
{
    const char *choice = getenv("E2E_CASES");
    if (choice == NULL || choice[0] == '\0') {
        return true;
    }
    size_t name = strcspn(choice, ":");
    if (strlen(file->name) != name || strncmp(file->name, choice, name) != 0) {
        return false;
    }
    return c == NULL || choice[name] == '\0' || (unsigned)atoi(choice + name + 1) == c->line;
}

static void read_files(void)
{
    glob_t found;
    char pattern[4096];
    snprintf(pattern, sizeof pattern, "%s/tests/e2e/cases/*.case", harness_src());
    if (glob(pattern, 0, NULL, &found) != 0) {
        return;
    }
    for (size_t i = 0; i < found.gl_pathc && files_count < FILES_MAX; i++) {
        struct case_file *file = case_file_read(found.gl_pathv[i]);
        files[files_count++] = file;
        if (!chosen(file, NULL)) {
            continue;
        }
        for (size_t j = 0; j < file->cases_count && file->fault == NULL; j++) {
            if (chosen(file, &file->cases[j])) {
                add(file, &file->cases[j]);
            }
        }
        add(file, NULL);
    }
    globfree(&found);
}

static Suite *cases(void)
{
    Suite *suite = suite_create("cases");
    TCase *tcase = tcase_create("cases");
    read_files();
    tcase_add_loop_test(tcase, a_case, 0, tests_count);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    int status = harness_main("cases", cases);
    case_run_reset();
    for (size_t i = 0; i < files_count; i++) {
        case_file_free(files[i]);
    }
    return status;
}

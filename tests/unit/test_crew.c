/*
 * Crews of threads: everyone works, all have ended at the end, and who works gently is known.
 */
#include "base/crew.h"
#include "unit.h"

#include <stdatomic.h>
#include <sched.h>
#include <sys/resource.h>

enum { PIECES = 1000 };

struct pieces {
    atomic_size_t next;
    atomic_size_t done;
    atomic_bool gentle; /* crew_is_gentle() was true all the time */
    atomic_int nice;    /* of the last who worked */
    struct pieces *within;
};

static void work(void *context)
{
    struct pieces *pieces = context;
    while (atomic_fetch_add(&pieces->next, 1) < PIECES) {
        if (!crew_is_gentle()) {
            atomic_store(&pieces->gentle, false);
        }
        atomic_fetch_add(&pieces->done, 1);
    }
    atomic_store(&pieces->nice, getpriority(PRIO_PROCESS, 0));
    if (pieces->within != NULL) {
        crew_run_gently(1, work, pieces->within);
    }
}

START_TEST(all_is_done)
{
    for (size_t members = 0; members <= 4; members++) {
        struct pieces pieces = {.gentle = true};
        crew_run(members, work, &pieces);
        ck_assert_uint_eq(pieces.done, PIECES);
        ck_assert(!pieces.gentle);
    }
}
END_TEST

START_TEST(gently)
{
    int nice = getpriority(PRIO_PROCESS, 0);
    for (size_t members = 0; members <= 4; members++) {
        struct pieces pieces = {.gentle = true};
        ck_assert(!crew_is_gentle());
        crew_run_gently(members, work, &pieces);
        ck_assert(!crew_is_gentle());
        ck_assert_uint_eq(pieces.done, PIECES);
        ck_assert(pieces.gentle);
        ck_assert(members == 0 || pieces.nice > nice || nice > 9);
    }
    ck_assert_int_eq(getpriority(PRIO_PROCESS, 0), nice);
}
END_TEST

/* One that ends does not end what others do. */
START_TEST(gently_within)
{
    struct pieces inner = {.gentle = true}, outer = {.gentle = true, .within = &inner};
    crew_run_gently(1, work, &outer);
    ck_assert(!crew_is_gentle());
    ck_assert_uint_eq(outer.done, PIECES);
    ck_assert_uint_eq(inner.done, PIECES);
    ck_assert(outer.gentle && inner.gentle);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("crew");
    tcase_add_test(unit.tests, all_is_done);
    tcase_add_test(unit.tests, gently);
    tcase_add_test(unit.tests, gently_within);
    return unit_end(&unit);
}

/*
 * How much is signed for a batch: by what waits, by what zones take of it.
 */
#include "serve/budget.h"

#include "unit.h"

START_TEST(less_the_more_wait)
{
    unsigned before = budget_for(0).left;
    ck_assert_uint_gt(before, 1);
    for (unsigned waiting = 1; waiting < 1000; waiting++) {
        struct budget budget = budget_for(waiting);
        ck_assert_uint_le(budget.left, before);
        ck_assert_uint_le(budget.zone, budget.left);
        before = budget.left;
    }
    ck_assert_uint_eq(before, 0);
}
END_TEST

/* Where clients keep a few batches waiting, zones get ahead all the same. */
START_TEST(seldom_nothing)
{
    struct budget budget = budget_for(256);
    unsigned used = 0;
    ck_assert(budget_take(&budget, &used, 1));
    ck_assert_uint_eq(used, 1);
    ck_assert_uint_eq(budget.used, 1);
}
END_TEST

START_TEST(zones_share)
{
    struct budget budget = budget_for(0);
    unsigned most = budget.left, greedy = 0, other = 0;
    while (budget_take(&budget, &greedy, 1)) {
    }
    ck_assert_uint_lt(greedy, most);
    ck_assert(budget_take(&budget, &other, 1));
    ck_assert(!budget_take(&budget, &greedy, 1));

    budget_share_rest(&budget);
    while (budget_take(&budget, &greedy, 1)) {
    }
    ck_assert_uint_eq(greedy + other, most);
    ck_assert_uint_eq(budget.left, 0);
    ck_assert(!budget_take(&budget, &other, 1));
    ck_assert_uint_eq(other, 1);
}
END_TEST

START_TEST(what_costs_too_much_takes_nothing)
{
    struct budget budget = budget_for(0);
    unsigned most = budget.left, used = 0;
    budget_share_rest(&budget);
    ck_assert(budget_take(&budget, &used, 1));
    ck_assert(!budget_take(&budget, &used, most));
    ck_assert_uint_eq(budget.left, most - 1);
    ck_assert(budget_take(&budget, &used, most - 1));
}
END_TEST

/* Where few wait; else not. */
START_TEST(the_first_is_made_whatever_it_costs)
{
    struct budget budget = budget_for(0);
    unsigned most = budget.left, used = 0, other = 0;
    ck_assert(budget_take(&budget, &used, 2 * most));
    ck_assert_uint_eq(budget.left, 0);
    ck_assert_uint_eq(budget.used, 2 * most);
    ck_assert(!budget_take(&budget, &other, 1));

    budget = budget_for(150);
    ck_assert_uint_gt(budget.left, 0);
    ck_assert(!budget_take(&budget, &other, 2 * most));
}
END_TEST

START_TEST(overdrawn)
{
    struct budget budget = budget_for(0);
    unsigned most = budget.left, used = 0;
    budget_overdraw(&budget, most + 5);
    ck_assert_uint_eq(budget.left, 0);
    ck_assert_uint_eq(budget.used, most + 5);
    ck_assert(!budget_take(&budget, &used, 1));
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("budget");
    tcase_add_test(unit.tests, less_the_more_wait);
    tcase_add_test(unit.tests, seldom_nothing);
    tcase_add_test(unit.tests, zones_share);
    tcase_add_test(unit.tests, what_costs_too_much_takes_nothing);
    tcase_add_test(unit.tests, the_first_is_made_whatever_it_costs);
    tcase_add_test(unit.tests, overdrawn);
    return unit_end(&unit);
}

/* Being written. */
#include <check.h>

#include "harness.h"

START_TEST(nothing)
{
    ck_assert_ptr_nonnull(harness_dir());
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("control");
    TCase *t = tcase_create("control");
    tcase_add_test(t, nothing);
    suite_add_tcase(s, t);
    return s;
}

int main(void)
{
    return harness_main("control", suite);
}

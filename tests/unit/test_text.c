/*
 * Durations, sizes, slips of the pen, printable text, and addresses.
 */
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/address.h"
#include "base/err.h"
#include "base/text.h"
#include "unit.h"

START_TEST(durations)
{
    static const struct {
        const char *text;
        int error;
        int64_t value;
    } cases[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"500ms", 0, 500},
        {"10s", 0, 10000},
        {"5m", 0, 300000},
        {"2h", 0, 7200000},
        {"14d", 0, 1209600000},
        {"1w", 0, 604800000},
        {"9223372036854775807ms", 0, INT64_MAX},
        {"9223372036854775808ms", RR_ERANGE, 0},
        {"9223372036854776s", RR_ERANGE, 0},
        {"", RR_EINVAL, 0},
        {"s", RR_EINVAL, 0},
        {"5", RR_EINVAL, 0},
        {"-5s", RR_EINVAL, 0},
        {"1.5s", RR_EINVAL, 0},
        {"5S", RR_EINVAL, 0},
        {"5 s", RR_EINVAL, 0},
        {"1h30m", RR_EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        ck_assert_msg(text_duration(cases[i].text, &value) == cases[i].error, "%s", cases[i].text);
        if (cases[i].error == 0) {
            ck_assert_int_eq(value, cases[i].value);
        }
    }
}
END_TEST

START_TEST(durations_written)
{
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0s"},         {1, "1ms"},       {1500, "1500ms"}, {1000, "1s"},
                 {60000, "1m"},     {5400000, "90m"}, {3600000, "1h"},  {86400000, "1d"},
                 {604800000, "7d"}, {90000000, "25h"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TEXT_DURATION_MAX];
        text_from_duration(cases[i].value, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(sizes)
{
    int64_t value = 0;
    ck_assert_int_eq(text_size("0", &value), 0);
    ck_assert_int_eq(value, 0);
    ck_assert_int_eq(text_size("4096", &value), 0);
    ck_assert_int_eq(value, 4096);
    ck_assert_int_eq(text_size("512K", &value), 0);
    ck_assert_int_eq(value, 524288);
    ck_assert_int_eq(text_size("64M", &value), 0);
    ck_assert_int_eq(value, 67108864);
    ck_assert_int_eq(text_size("2G", &value), 0);
    ck_assert_int_eq(value, INT64_C(2147483648));
    ck_assert_int_eq(text_size("8388608T", &value), RR_ERANGE);
    ck_assert_int_eq(text_size("64MB", &value), RR_EINVAL);
    ck_assert_int_eq(text_size("64m", &value), RR_EINVAL);
    ck_assert_int_eq(text_size("M", &value), RR_EINVAL);
}
END_TEST

START_TEST(sizes_written)
{
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {1, "1"},
                 {1023, "1023"},
                 {1024, "1K"},
                 {1025, "1025"},
                 {1536, "1536"},
                 {64 << 20, "64M"},
                 {65 << 10, "65K"},
                 {INT64_C(3) << 30, "3G"},
                 {INT64_C(1) << 40, "1T"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[TEXT_SIZE_MAX];
        text_from_size(cases[i].value, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(slips)
{
    ck_assert_uint_eq(text_slip("dnsec", "dnssec"), 1);
    ck_assert_uint_eq(text_slip("DNSSEC", "dnssec"), 0);
    ck_assert_uint_eq(text_slip("lsiten", "listen"), 2);
    ck_assert_uint_eq(text_slip("same", "same"), 0);
    ck_assert_uint_eq(text_slip("zones", "log"), SIZE_MAX);
    ck_assert_uint_eq(text_slip("a", "b"), SIZE_MAX);
    ck_assert_uint_eq(text_slip("", "user"), SIZE_MAX);
    ck_assert_uint_eq(text_slip("user", ""), SIZE_MAX);
    ck_assert_uint_eq(text_slip("a-word-of-more-than-forty-octets-is-no-slip", "word"), SIZE_MAX);
}
END_TEST

START_TEST(printable)
{
    char out[16];
    ck_assert_str_eq(text_printable("plain", out, sizeof out), "plain");
    ck_assert_str_eq(text_printable("a\nb\x7f", out, sizeof out), "a\\x0ab\\x7f");
    ck_assert_str_eq(text_printable("0123456789abcdef", out, sizeof out), "0123456789ab...");
    ck_assert_str_eq(text_printable("\n\n\n\n\n", out, sizeof out), "\\x0a\\x0a\\x0a...");
    ck_assert_str_eq(text_printable("", out, sizeof out), "");
}
END_TEST

START_TEST(addresses)
{
    static const struct {
        const char *text, *written;
    } cases[] = {
        {"192.0.2.1", "192.0.2.1:53"},
        {"192.0.2.1:5300", "192.0.2.1:5300"},
        {"0.0.0.0:65535", "0.0.0.0:65535"},
        {"::1", "[::1]:53"},
        {"[::1]", "[::1]:53"},
        {"[2001:DB8:0::1]:1", "[2001:db8::1]:1"},
        {"[fe80::1%lo]:53", "[fe80::1%lo]:53"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sockaddr_storage address;
        socklen_t size;
        char text[ADDRESS_TEXT_MAX];
        ck_assert_msg(address_parse(cases[i].text, 53, &address, &size) == 0, "%s", cases[i].text);
        ck_assert_uint_eq(size, address.ss_family == AF_INET ? sizeof(struct sockaddr_in)
                                                             : sizeof(struct sockaddr_in6));
        address_format((struct sockaddr *)&address, text);
        ck_assert_str_eq(text, cases[i].written);
    }
}
END_TEST

START_TEST(no_addresses)
{
    static const char *const cases[] = {
        "",
        "localhost",
        "192.0.2",
        "192.0.2.1:",
        "192.0.2.1:x",
        "[192.0.2.1]:53",
        "[::1",
        "[::1]53",
        "[::1]:",
        "::1]:53",
        ":53",
        "[]:53",
        "*:53",
        "1:2:3",
        "192.0.2.1:5 3",
        "192.0.2.1:-53",
        " ::1",
        "[fe80::1%nosuch]:53",
        "[::1%",
        "%",
        "[::1%]:53",
    };
    struct sockaddr_storage address;
    socklen_t size;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ck_assert_msg(address_parse(cases[i], 53, &address, &size) == RR_EINVAL, "%s", cases[i]);
    }
    ck_assert_int_eq(address_parse("192.0.2.1:0", 53, &address, &size), RR_ERANGE);
    ck_assert_int_eq(address_parse("192.0.2.1:65536", 53, &address, &size), RR_ERANGE);
    ck_assert_int_eq(address_parse("[::1]:99999999999999999999", 53, &address, &size), RR_ERANGE);
}
END_TEST

int main(void)
{
    struct unit unit = unit_begin("text");
    tcase_add_test(unit.tests, durations);
    tcase_add_test(unit.tests, durations_written);
    tcase_add_test(unit.tests, sizes);
    tcase_add_test(unit.tests, sizes_written);
    tcase_add_test(unit.tests, slips);
    tcase_add_test(unit.tests, printable);
    tcase_add_test(unit.tests, addresses);
    tcase_add_test(unit.tests, no_addresses);
    return unit_end(&unit);
}

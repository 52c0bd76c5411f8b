/* Numbers, sizes and times: what is accepted, and what is refused whole. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "parse.h"

static void test_integers(void **state) {
    uint64_t v = 7;
    assert_int_equal(parse_uint64("18446744073709551615", &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(parse_uint64("18446744073709551616", &v), -ERANGE);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x10", "1.0", "1e3", "\xD9\xA3"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(parse_uint64(bad[i], &v), -EINVAL);
    assert_true(v == UINT64_MAX);
}

static void test_doubles(void **state) {
    double v;
    assert_int_equal(parse_double("-0.5", &v), 0);
    assert_true(v == -0.5);
    assert_int_equal(parse_double("1e-3", &v), 0);
    static const char *const bad[] = {"", "nan", "inf", "-inf", "0x1p3", "1,5", "1.5x", " 1", "--1", "1e999"};
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_true(parse_double(bad[i], &v) < 0);
}

static void test_sizes(void **state) {
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"0", 0}, {"65536", 65536}, {"512M", 512u << 20}, {"2G", UINT64_C(2) << 30}, {"1k", 1024},
        {"1KiB", 1024}, {"1MB", 1 << 20}};
    static const char *const bad[] = {"", "-1M", "1.5G", "M", "1 M", "1Mx", "1P", "99999999999T"};
    uint64_t v;
    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        assert_int_equal(parse_size(good[i].text, &v), 0);
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_true(parse_size(bad[i], &v) < 0);
}

static void test_times(void **state) {
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {{"30s", 30000000}, {"5min", 300000000}, {"1h 30min", 5400000000}, {"250ms", 250000}, {"10", 10000000},
        {" 2 s ", 2000000}, {"0", 0}, {"1d", 86400000000}};
    static const char *const bad[] = {"", "s", "-5s", "5 parsecs", "1h 30", "30 1h", "1.5s", "99999999999999999d"};
    uint64_t v;
    for (size_t i = 0; i < ELEMENTSOF(good); i++) {
        assert_int_equal(parse_usec(good[i].text, &v), 0);
        assert_true(v == good[i].value);
    }
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_true(parse_usec(bad[i], &v) < 0);
}

static void test_booleans(void **state) {
    bool v = false;
    assert_int_equal(parse_bool("YES", &v), 0);
    assert_true(v);
    assert_int_equal(parse_bool("off", &v), 0);
    assert_false(v);
    assert_int_equal(parse_bool("perhaps", &v), -EINVAL);
}

static void test_utf8(void **state) {
    static const char *const good[] = {
        "", "plain", "gr\xC3\xBC\xC3\x9F", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xF4\x8F\xBF\xBF"};
    static const char *const bad[] = {"\x80", "\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
        "\xF8\x88\x80\x80\x80", "\xE2\x82", "\xFF"};
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_true(parse_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_false(parse_is_utf8(bad[i], strlen(bad[i])));
    assert_false(parse_is_utf8("a\0b", 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_booleans),
        cmocka_unit_test(test_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

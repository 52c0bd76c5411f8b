#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "macros.h"

static void test_returns_its_code_and_fills_the_message(void **state) {
    Error e = {};
    assert_int_equal(error_set(&e, -EINVAL, "option %s must not be negative", "top-k"), -EINVAL);
    assert_int_equal(e.code, -EINVAL);
    assert_string_equal(e.message, "option top-k must not be negative");
}

static void test_accepts_nobody_listening(void **state) {
    assert_int_equal(error_set(NULL, -ENOENT, "no such model"), -ENOENT);
}

static void test_cuts_at_a_character_boundary(void **state) {
    char text[600];
    for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
        memcpy(text + i, "\xE2\x82\xAC", 3); /* a three-byte character */
    text[sizeof(text) - 3] = '\0';

    Error e = {};
    error_set(&e, -EINVAL, "x%s", text);
    size_t n = strlen(e.message);
    assert_int_equal((n - 1) % 3, 0);
    assert_true(n > sizeof(e.message) - 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_returns_its_code_and_fills_the_message),
        cmocka_unit_test(test_accepts_nobody_listening),
        cmocka_unit_test(test_cuts_at_a_character_boundary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

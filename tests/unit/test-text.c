/* A growing piece of text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "text.h"

static void test_grows_and_clears(void **state) {
    Text t = {};
    assert_string_equal(text_string(&t), "");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(text_append(&t, "abc", 3), 0);
    assert_int_equal(t.n, 3000);
    assert_int_equal(strlen(t.data), 3000);
    text_clear(&t);
    assert_string_equal(text_string(&t), "");
    assert_int_equal(text_append(&t, "x", SIZE_MAX), -ENOMEM);
    text_done(&t);
}

static void test_replaces_nul(void **state) {
    Text t = {};
    assert_int_equal(text_append_without_nul(&t, "\0a\0\0b\0", 6), 0);
    assert_string_equal(t.data, "\xEF\xBF\xBD"
                                "a\xEF\xBF\xBD\xEF\xBF\xBD"
                                "b\xEF\xBF\xBD");
    text_done(&t);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_grows_and_clears), cmocka_unit_test(test_replaces_nul)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
